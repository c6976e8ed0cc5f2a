//! A takeover under notice as it is stored, with the chain and what lies beside it in staged rows.

use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::custody::record::staged_key;
use crate::custody::taking::EXTRA_FROM;
use crate::day::UnixTime;
use crate::id::{ChainHead, DossierId, TransferId};
use crate::ledger::LedgerError;
use crate::name::{NodeName, node_name};
use crate::office::DecideError;
use crate::statement::attestation::SHORT_TEXT_BYTES_MAX;
use crate::store::{Batch, Expect, Key, Put, Read, Table, VALUE_BYTES_MAX, scan_all};

/// First bytes of the rows in table `Meta`; they are facts that no other row could give back.
const PREFIX: &[u8] = b"takeover/";
/// Rows erased by one batch.
const ERASED_ROWS: usize = 1_024;

/// Where a takeover stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The members are told; nothing may be appended.
    Noticed = 1,
    /// A member showed that the dossier went elsewhere; for a person to look at.
    Stopped = 2,
    /// Taken over; what was staged is being erased.
    Completed = 3,
    /// A person ended it; what was staged is being erased.
    Cancelled = 4,
}

impl Stage {
    /// Stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Noticed => "noticed",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One takeover at the successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Id, as in notices and in the statement.
    pub id: TransferId,
    /// Dossier.
    pub dossier: DossierId,
    /// The custodian that is gone.
    pub old: NodeName,
    /// Epoch that ends.
    pub epoch: u64,
    /// Head of the chain known.
    pub head: ChainHead,
    /// Statements in it.
    pub count: u64,
    /// Longest chain that the old custodian signed, as far as is known.
    pub need: u64,
    /// When the notice began.
    pub announced: UnixTime,
    /// When it ends.
    pub ends: UnixTime,
    /// The log searched: origin, entries, root; none when the old custodian had none.
    pub searched: Option<(String, u64, [u8; 32])>,
    /// Where it stands.
    pub stage: Stage,
    /// Secrets of the dossier, closed by the vault.
    pub secrets: Vec<u8>,
}

fn key(dossier: DossierId) -> Key {
    Key::new(Table::Meta, [PREFIX, dossier.as_bytes()].concat())
}

impl Pending {
    fn encode(&self) -> Vec<u8> {
        let searched = self.searched.as_ref().map(|(origin, size, root)| {
            Value::Array(vec![cbor::text(origin.as_str()), cbor::int(*size), cbor::bytes(*root)])
        });
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::bytes(self.id.0))
            .put(3, cbor::bytes(self.dossier.0))
            .put(4, cbor::text(self.old.as_str()))
            .put(5, cbor::int(self.epoch))
            .put(6, cbor::bytes(self.head.0))
            .put(7, cbor::int(self.count))
            .put(8, cbor::int(self.need))
            .put(9, cbor::int(self.announced.0))
            .put(10, cbor::int(self.ends.0))
            .put_opt(11, searched)
            .put(12, cbor::int(self.stage as u64))
            .put(13, cbor::bytes(self.secrets.as_slice()));
        cbor::encode(&map.build())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, VALUE_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let searched = |value: Value| -> Result<(String, u64, [u8; 32]), CborError> {
            let Value::Array(items) = value else { return Err(CborError::WrongType(11)) };
            let [origin, size, root]: [Value; 3] = items.try_into().map_err(|_| CborError::WrongType(11))?;
            let origin = cbor::as_text(origin, 11, SHORT_TEXT_BYTES_MAX)?;
            Ok((origin, cbor::as_uint(&size, 11)?, cbor::as_array(root, 11)?))
        };
        let pending = Self {
            id: TransferId(f.array(2)?),
            dossier: DossierId(f.array(3)?),
            old: node_name(&mut f, 4)?,
            epoch: f.uint(5)?,
            head: ChainHead(f.array(6)?),
            count: f.uint(7)?,
            need: f.uint(8)?,
            announced: UnixTime(f.int(9)?),
            ends: UnixTime(f.int(10)?),
            searched: f.opt(11).map(searched).transpose()?,
            stage: match f.uint(12)? {
                1 => Stage::Noticed,
                2 => Stage::Stopped,
                3 => Stage::Completed,
                4 => Stage::Cancelled,
                _ => return Err(CborError::WrongType(12)),
            },
            secrets: f.bytes(13, VALUE_BYTES_MAX)?,
        };
        f.finish()?;
        Ok(pending)
    }
}

/// A takeover with the bytes it was stored as, so that a batch can expect them unchanged.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The takeover.
    pub pending: Pending,
    stored: Option<Vec<u8>>,
}

impl Loaded {
    /// One not stored yet.
    pub fn new(pending: Pending) -> Self {
        Self { pending, stored: None }
    }

    /// The takeover of a dossier, but for one that has ended.
    pub fn of(read: &(impl Read + ?Sized), dossier: DossierId) -> Result<Option<Self>, LedgerError> {
        let key = key(dossier);
        let Some(bytes) = read.get(key.table, &key.key)? else { return Ok(None) };
        let pending = Pending::decode(&bytes)?;
        let ended = matches!(pending.stage, Stage::Completed | Stage::Cancelled);
        Ok((!ended).then_some(Self { pending, stored: Some(bytes) }))
    }

    /// Adds the new state to the batch, expecting the old one.
    pub fn save(self, batch: &mut Batch) {
        let key = key(self.pending.dossier);
        batch.expect.push(match self.stored {
            Some(old) => Expect::Equals(key.clone(), old),
            None => Expect::Absent(key.clone()),
        });
        crate::ledger::set(batch, key, self.pending.encode());
    }
}

/// Every takeover that is stored, in order of dossier.
pub fn all(read: &(impl Read + ?Sized)) -> Result<Vec<Pending>, LedgerError> {
    let mut out = Vec::new();
    scan_all::<LedgerError>(read, Table::Meta, PREFIX, |_, bytes| {
        out.push(Pending::decode(&bytes)?);
        Ok(())
    })?;
    Ok(out)
}

/// Statements, whole.
pub type Statements = Vec<Vec<u8>>;

/// Staged statements of a takeover: the chain, and what lies beside it.
pub fn rows(read: &(impl Read + ?Sized), id: TransferId) -> Result<(Statements, Statements), LedgerError> {
    let (mut chain, mut beside) = (Vec::new(), Vec::new());
    let first = staged_key(id, EXTRA_FROM).key;
    scan_all::<LedgerError>(read, Table::Staged, id.as_bytes(), |key, bytes| {
        if key < first {
            chain.push(bytes);
        } else {
            beside.push(bytes);
        }
        Ok(())
    })?;
    Ok((chain, beside))
}

/// Erases, piece by piece, what an ended takeover staged; the record goes with the last piece.
pub fn erase(read: &(impl Read + ?Sized), pending: &Pending) -> Result<Batch, DecideError> {
    let mut batch = Batch::default();
    let rows = read.scan(Table::Staged, pending.id.as_bytes(), None, ERASED_ROWS)?;
    if rows.is_empty() {
        let key = key(pending.dossier);
        batch.expect.push(Expect::Equals(key.clone(), pending.encode()));
        batch.put.push(Put::Delete(key));
    }
    batch.put.extend(rows.into_iter().map(|(key, _)| Put::Delete(Key::new(Table::Staged, key))));
    Ok(batch)
}
