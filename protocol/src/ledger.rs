//! Where statements and dossiers lie in the store, and the one way to append.
//!
//! Dossier id first in every key, so that a distributed store keeps one dossier together. An
//! append expects the old head record, so two writers can never both extend one chain.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::dossier::{Custody, Dossier, FoldError, next_head};
use crate::id::{ChainHead, DossierId, StatementId};
use crate::minutes::Minutes;
use crate::name::NodeName;
use crate::name::node_name;
use crate::profile::Profile;
use crate::statement::{Body, Seal, Statement, StatementError};
use crate::store::{Batch, Expect, Key, Put, Read, StoreError, Table, scan_all};

/// Statements read from the chain in one scan; bounds memory of a single read, not of a dossier.
const SCAN_ROWS: usize = 1024;

/// Why the ledger could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored object does not decode.
    #[error("a stored record is damaged: {0}")]
    Record(#[from] CborError),
    /// A stored statement does not parse.
    #[error("a stored statement is damaged: {0}")]
    Statement(#[from] StatementError),
    /// A stored chain does not fold.
    #[error("the stored chain of {dossier} breaks: {error}")]
    Chain {
        /// Dossier.
        dossier: DossierId,
        /// Why.
        error: FoldError,
    },
    /// What this node did not sign was destroyed 90 days after the dossier moved away.
    #[error("the dossier {0} moved away and its rest was destroyed here")]
    Destroyed(DossierId),
    /// The log of before a restore shows a seal of it that is not here.
    #[error("the log shows a seal of {0} that was forgotten and is not found yet")]
    Closed(DossierId),
    /// The chain names a statement that is not stored or not the one named, or the head differs.
    #[error("the stored chain of {0} is not whole")]
    NotWhole(DossierId),
}

impl LedgerError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Destroyed(_) => "dossier-moved",
            Self::Closed(_) => "dossier-closed",
            _ => "store-damaged",
        }
    }
}

/// A node's reads, with dossiers folded; the node overrides [`Books::dossier`] with a cache.
pub trait Books: Read {
    /// The fold of a dossier held or once held here, `None` when unknown.
    fn dossier(&self, id: DossierId, profile: &Profile) -> Result<Option<Arc<Dossier>>, LedgerError>;
}

/// Adds a set of a whole [`Key`] to a batch.
pub fn set(batch: &mut Batch, key: Key, value: Vec<u8>) {
    batch.put.push(Put::Set(key, value));
}

/// Key of a statement's bytes.
pub fn statement_key(dossier: DossierId, id: StatementId) -> Key {
    Key::new(Table::Statement, [dossier.as_bytes(), id.as_bytes()].concat())
}

/// Key of a place in the chain.
pub fn chain_key(dossier: DossierId, sequence: u64) -> Key {
    Key::new(Table::Chain, [dossier.as_bytes(), &sequence.to_be_bytes()[..]].concat())
}

/// Key of a dossier's head record.
pub fn head_key(dossier: DossierId) -> Key {
    Key::new(Table::Head, dossier.as_bytes().to_vec())
}

/// Key of what lies beside a statement (its receipt).
pub fn beside_key(dossier: DossierId, target: StatementId) -> Key {
    Key::new(Table::Beside, [dossier.as_bytes(), target.as_bytes()].concat())
}

/// Summary of a dossier, rewritten with each append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRecord {
    /// Epoch.
    pub epoch: u64,
    /// Length.
    pub length: u64,
    /// Head.
    pub head: ChainHead,
    /// Custody.
    pub custody: Custody,
    /// Minutes counted.
    pub counted: Minutes,
    /// Moved away, and what this node did not sign is destroyed: only the ids are left.
    pub destroyed: bool,
    /// A seal of this epoch that stands in the log and was forgotten in a restore: nothing may be appended
    /// or shown until it is found ([`crate::recovery::rejoin`]).
    pub closed: Option<StatementId>,
}

impl HeadRecord {
    /// The record of a dossier that left and of which not everything is here any more: what its seal,
    /// the statement `id`, says.
    pub(crate) fn closed_by(id: StatementId, seal: &Seal) -> Self {
        Self {
            epoch: seal.epoch,
            length: seal.count + 1,
            head: next_head(seal.head, id),
            custody: Custody::Sealed { seal: id, next: seal.next.clone() },
            counted: seal.minutes,
            destroyed: true,
            closed: None,
        }
    }

    pub(crate) fn of(dossier: &Dossier, profile: &Profile) -> Self {
        Self {
            epoch: dossier.epoch(),
            length: dossier.length(),
            head: dossier.head(),
            custody: dossier.custody().clone(),
            counted: dossier.totals(profile).counted,
            destroyed: false,
            closed: None,
        }
    }

    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::int(self.epoch))
            .put(3, cbor::int(self.length))
            .put(4, cbor::bytes(self.head.0))
            .put(5, cbor::int(self.counted.0))
            .put_opt(9, self.destroyed.then_some(cbor::Value::Bool(true)))
            .put_opt(10, self.closed.map(|seal| cbor::bytes(seal.0)));
        let map = match &self.custody {
            Custody::Empty => map,
            Custody::Open(node) => map.put(6, cbor::text(node.as_str())),
            Custody::Sealed { seal, next } => {
                map.put(7, cbor::bytes(seal.0)).put(8, cbor::text(next.as_str()))
            }
        };
        cbor::encode(&map.build())
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, 1024)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let custody = if let Some(seal) = f.opt_array(7)? {
            Custody::Sealed { seal: StatementId(seal), next: node_name(&mut f, 8)? }
        } else {
            match f.opt_text(6, crate::name::NODE_NAME_BYTES_MAX)? {
                Some(name) => Custody::Open(NodeName::parse(&name).map_err(|_| CborError::WrongType(6))?),
                None => Custody::Empty,
            }
        };
        let record = Self {
            epoch: f.uint(2)?,
            length: f.uint(3)?,
            head: ChainHead(f.array(4)?),
            counted: Minutes(f.uint(5)?),
            destroyed: f.flag(9)?,
            closed: f.opt_array(10)?.map(StatementId),
            custody,
        };
        f.finish()?;
        Ok(record)
    }
}

/// The head record of a dossier.
pub fn head_record(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
) -> Result<Option<HeadRecord>, LedgerError> {
    let key = head_key(dossier);
    match read.get(key.table, &key.key)? {
        Some(bytes) => Ok(Some(HeadRecord::decode(&bytes)?)),
        None => Ok(None),
    }
}

/// The head record of a dossier whose statements are all here and which is not closed; also a cache of
/// folds asks it, since the head of a dossier stays when its rest is destroyed.
pub fn whole_record(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
) -> Result<Option<HeadRecord>, LedgerError> {
    match head_record(read, dossier)? {
        Some(record) if record.destroyed => Err(LedgerError::Destroyed(dossier)),
        Some(record) if record.closed.is_some() => Err(LedgerError::Closed(dossier)),
        record => Ok(record),
    }
}

/// A statement's bytes, whether in a chain or not; never those of another id, for an id is the
/// hash of its statement.
pub fn statement(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
    id: StatementId,
) -> Result<Option<Vec<u8>>, LedgerError> {
    let key = statement_key(dossier, id);
    let bytes = read.get(key.table, &key.key)?;
    if bytes.as_deref().is_some_and(|bytes| crate::statement::id_of(bytes) != id) {
        return Err(LedgerError::NotWhole(dossier));
    }
    Ok(bytes)
}

/// The statement bytes of a chain from `from` on, at most `limit`.
pub fn chain(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
    from: u64,
    limit: usize,
) -> Result<Vec<Vec<u8>>, LedgerError> {
    let after = from.checked_sub(1).map(|n| chain_key(dossier, n).key);
    let rows = read.scan(Table::Chain, dossier.as_bytes(), after.as_deref(), limit)?;
    let mut out = Vec::with_capacity(rows.len());
    for (index, (key, value)) in rows.into_iter().enumerate() {
        let whole = LedgerError::NotWhole(dossier);
        if key != chain_key(dossier, from + index as u64).key {
            return Err(whole);
        }
        let Ok(id) = <[u8; 32]>::try_from(value) else { return Err(whole) };
        out.push(statement(read, dossier, StatementId(id))?.ok_or(whole)?);
    }
    Ok(out)
}

/// Head that the first `length` ids of a stored chain come to; `None` when one is not there.
pub fn chain_head(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
    length: u64,
) -> Result<Option<ChainHead>, LedgerError> {
    let mut head = crate::dossier::empty_head(dossier);
    for place in 0..length {
        let key = chain_key(dossier, place);
        let id = read.get(key.table, &key.key)?.and_then(|id| <[u8; 32]>::try_from(id).ok());
        let Some(id) = id else { return Ok(None) };
        head = crate::dossier::next_head(head, StatementId(id));
    }
    Ok(Some(head))
}

/// The seals and takeovers of a dossier whose rest is destroyed here, in order of epoch.
pub fn seals_kept(read: &(impl Read + ?Sized), dossier: DossierId) -> Result<Vec<Vec<u8>>, LedgerError> {
    let mut seals = BTreeMap::new();
    scan_all::<LedgerError>(read, Table::Statement, dossier.as_bytes(), |_, bytes| {
        match Statement::parse(&bytes)?.body {
            Body::Seal(seal) => drop(seals.insert(seal.epoch, bytes)),
            Body::Takeover(takeover) => drop(seals.insert(takeover.epoch, bytes)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(seals.into_values().collect())
}

/// Folds a stored chain from its statements; their signatures were checked when they came in.
pub fn fold(
    read: &(impl Read + ?Sized),
    id: DossierId,
    profile: &Profile,
) -> Result<Option<Dossier>, LedgerError> {
    let Some(record) = whole_record(read, id)? else { return Ok(None) };
    let mut dossier = Dossier::new(id);
    while dossier.length() < record.length {
        let part = chain(read, id, dossier.length(), SCAN_ROWS)?;
        if part.is_empty() {
            return Err(LedgerError::NotWhole(id));
        }
        for bytes in part {
            let statement = Statement::parse(&bytes)?;
            dossier
                .take(statement.into(), profile)
                .map_err(|error| LedgerError::Chain { dossier: id, error })?;
        }
    }
    if dossier.head() != record.head {
        return Err(LedgerError::NotWhole(id));
    }
    Ok(Some(dossier))
}

/// Appends statements to one dossier and collects the batch.
#[derive(Debug)]
pub struct Appender<'p> {
    dossier: Dossier,
    old_head: Option<Vec<u8>>,
    profile: &'p Profile,
    batch: Batch,
}

impl<'p> Appender<'p> {
    /// Starts from the stored state of a dossier.
    pub fn load(
        books: &(impl Books + ?Sized),
        id: DossierId,
        profile: &'p Profile,
    ) -> Result<Option<Self>, LedgerError> {
        let Some(dossier) = books.dossier(id, profile)? else { return Ok(None) };
        let key = head_key(id);
        let old_head = books.get(key.table, &key.key)?;
        // The cache and the store must speak of one state, or the expectation would be a lie.
        let record = old_head.as_deref().map(HeadRecord::decode).transpose()?;
        if record.is_none_or(|r| r.head != dossier.head()) {
            return Err(LedgerError::NotWhole(id));
        }
        Ok(Some(Self { dossier: (*dossier).clone(), old_head, profile, batch: Batch::default() }))
    }

    /// Starts from a dossier that was copied and checked; an older record of it that this node
    /// kept when it gave it away is replaced.
    pub fn adopt(
        books: &(impl Books + ?Sized),
        dossier: Dossier,
        profile: &'p Profile,
    ) -> Result<Self, LedgerError> {
        let key = head_key(dossier.id());
        let old_head = books.get(key.table, &key.key)?;
        Ok(Self { dossier, old_head, profile, batch: Batch::default() })
    }

    /// Starts a dossier that must not exist yet.
    pub fn create(id: DossierId, profile: &'p Profile) -> Self {
        Self { dossier: Dossier::new(id), old_head: None, profile, batch: Batch::default() }
    }

    /// State after the appends so far.
    pub fn dossier(&self) -> &Dossier {
        &self.dossier
    }

    /// Appends a verified statement.
    pub fn append(&mut self, statement: &Statement) -> Result<u64, FoldError> {
        let sequence = self.dossier.apply(statement, self.profile)?;
        let id = self.dossier.id();
        set(&mut self.batch, statement_key(id, statement.id), statement.bytes().to_vec());
        set(&mut self.batch, chain_key(id, sequence), statement.id.0.to_vec());
        Ok(sequence)
    }

    /// The batch with the new head record, and the new state.
    pub fn finish(mut self) -> (Batch, Dossier) {
        let key = head_key(self.dossier.id());
        self.batch.expect.push(match self.old_head.take() {
            Some(old) => Expect::Equals(key.clone(), old),
            None => Expect::Absent(key.clone()),
        });
        set(&mut self.batch, key, HeadRecord::of(&self.dossier, self.profile).encode());
        (self.batch, self.dossier)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::{Oracle, Store as _};

    #[test]
    fn bytes_under_an_id_that_is_not_their_hash_are_never_given_out() {
        let store = Oracle::new();
        let dossier = DossierId([7; 16]);
        let id = crate::statement::id_of(b"right");
        for (bytes, right) in [(b"right", true), (b"wrong", false)] {
            let mut batch = Batch::new();
            set(&mut batch, statement_key(dossier, id), bytes.to_vec());
            store.commit(batch).unwrap();
            let told = statement(&store, dossier, id);
            assert_eq!(told.is_ok_and(|found| found.as_deref() == Some(bytes)), right);
        }
    }
}
