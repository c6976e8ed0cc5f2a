//! Stored form of a transfer, and where it lies.

use super::{Side, Stage, Transfer};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::day::UnixTime;
use crate::id::{ChainHead, DossierId, StatementId, TransferId};
use crate::ledger::LedgerError;
use crate::minutes::Minutes;
use crate::name::NodeName;
use crate::name::node_name;
use crate::statement::attestation::SHORT_TEXT_BYTES_MAX;
use crate::store::{Batch, Expect, Key, Put, Read, Table, scan_all};

/// Most issuers listed as unasked; a dossier with more is shown with the first ones.
const UNASKED_MAX: usize = 64;

/// First byte of the index of transfers under way, and of ended ones with something to destroy.
const LIVE: &[u8] = b"l";
const LEFTOVER: &[u8] = b"z";

/// Key of a transfer.
pub fn transfer_key(id: TransferId) -> Key {
    Key::new(Table::Transfer, id.as_bytes().to_vec())
}

/// Key that names the newest transfer of a dossier at this node.
pub fn current_key(dossier: DossierId) -> Key {
    Key::new(Table::Index, [&b"t"[..], dossier.as_bytes()].concat())
}

/// Key that marks a transfer as under way, so that nobody reads all that ever were.
pub(crate) fn live_key(id: TransferId) -> Key {
    Key::new(Table::Index, [LIVE, id.as_bytes()].concat())
}

/// Key of an ended transfer that leaves something to destroy, by when that is due.
pub(crate) fn leftover_key(transfer: &Transfer) -> Key {
    let due = transfer.purge_at.map_or(0, |t| t.0.max(0) as u64);
    Key::new(Table::Index, [LEFTOVER, &due.to_be_bytes()[..], transfer.id.as_bytes()].concat())
}

/// The transfers of this node that have not ended.
pub fn live(read: &(impl Read + ?Sized)) -> Result<Vec<Transfer>, LedgerError> {
    let mut ids = Vec::new();
    scan_all::<LedgerError>(read, Table::Index, LIVE, |key, _| {
        ids.push(key);
        Ok(())
    })?;
    let mut out = Vec::with_capacity(ids.len());
    for key in ids {
        out.extend(of_index(read, &key)?);
    }
    Ok(out)
}

/// Ended transfers whose leftovers are due to be destroyed, at most `limit`, oldest first.
pub fn leftovers(
    read: &(impl Read + ?Sized),
    now: UnixTime,
    limit: usize,
) -> Result<Vec<Transfer>, LedgerError> {
    let mut out = Vec::new();
    for (key, _) in read.scan(Table::Index, LEFTOVER, None, limit)? {
        let due = key.get(LEFTOVER.len()..LEFTOVER.len() + 8).and_then(|b| <[u8; 8]>::try_from(b).ok());
        if due.is_none_or(|due| u64::from_be_bytes(due) > now.0.max(0) as u64) {
            break;
        }
        out.extend(of_index(read, &key)?);
    }
    Ok(out)
}

/// Nothing is left of an ended transfer: it need not be looked at again.
pub fn forget_leftovers(transfer: &Transfer) -> Batch {
    Batch { expect: vec![], put: vec![Put::Delete(leftover_key(transfer))] }
}

/// The transfer whose id ends an index key.
fn of_index(read: &(impl Read + ?Sized), key: &[u8]) -> Result<Option<Transfer>, LedgerError> {
    let id = key.last_chunk::<16>().copied().ok_or(CborError::Shape("a transfer id has 16 bytes"))?;
    Ok(Loaded::by_id(read, TransferId(id))?.map(|l| l.transfer))
}

/// Key of a staged statement.
pub fn staged_key(id: TransferId, sequence: u64) -> Key {
    Key::new(Table::Staged, [id.as_bytes(), &sequence.to_be_bytes()[..]].concat())
}

impl Transfer {
    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let unasked: Vec<Value> =
            self.unasked.iter().take(UNASKED_MAX).map(|n| cbor::text(n.as_str())).collect();
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::bytes(self.id.0))
            .put(3, cbor::bytes(self.dossier.0))
            .put(4, cbor::int(self.side as u64))
            .put(5, cbor::text(self.peer.as_str()))
            .put(6, cbor::int(self.epoch))
            .put(7, cbor::int(self.stage as u64))
            .put(8, cbor::bytes(self.head.0))
            .put(9, cbor::int(self.count))
            .put(10, cbor::int(self.minutes.0))
            .put(11, cbor::int(self.have))
            .put(12, cbor::int(self.rounds))
            .put(13, cbor::int(self.started.0))
            .put(14, cbor::int(self.expires.0))
            .put_opt(15, self.reason.as_ref().map(|r| cbor::text(r.as_str())))
            .put_opt(16, self.seal.map(|s| cbor::bytes(s.0)))
            .put(17, cbor::bytes(self.code_hash))
            .put_opt(18, self.purge_at.map(|t| cbor::int(t.0)))
            .put_opt(19, (!unasked.is_empty()).then_some(Value::Array(unasked)));
        cbor::encode(&map.build())
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, 16 * 1024)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let side = match f.uint(4)? {
            1 => Side::Giving,
            2 => Side::Taking,
            _ => return Err(CborError::WrongType(4)),
        };
        let unasked = f.list(19, UNASKED_MAX)?.into_iter().map(|v| {
            let text = cbor::as_text(v, 19, SHORT_TEXT_BYTES_MAX)?;
            NodeName::parse(&text).map_err(|_| CborError::WrongType(19))
        });
        let transfer = Self {
            unasked: unasked.collect::<Result<_, _>>()?,
            id: TransferId(f.array(2)?),
            dossier: DossierId(f.array(3)?),
            side,
            peer: node_name(&mut f, 5)?,
            epoch: f.uint(6)?,
            stage: stage(f.uint(7)?)?,
            head: ChainHead(f.array(8)?),
            count: f.uint(9)?,
            minutes: Minutes(f.uint(10)?),
            have: f.uint(11)?,
            rounds: f.uint(12)?,
            started: UnixTime(f.int(13)?),
            expires: UnixTime(f.int(14)?),
            reason: f.opt_text(15, SHORT_TEXT_BYTES_MAX)?,
            seal: f.opt_array(16)?.map(StatementId),
            code_hash: f.array(17)?,
            purge_at: f.opt_int(18)?.map(UnixTime),
        };
        f.finish()?;
        Ok(transfer)
    }
}

fn stage(n: u64) -> Result<Stage, CborError> {
    use Stage::{Accepted, Attention, Cancelled, Checking, Completed, Copying, Offered, Requested, Sealed};
    let all = [Requested, Offered, Copying, Checking, Accepted, Sealed, Completed, Cancelled, Attention];
    all.into_iter().find(|s| *s as u64 == n).ok_or(CborError::WrongType(7))
}

/// A transfer with the bytes it was stored as, so that a batch can expect them unchanged.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The transfer.
    pub transfer: Transfer,
    stored: Option<Vec<u8>>,
}

impl Loaded {
    /// A transfer not stored yet.
    pub fn new(transfer: Transfer) -> Self {
        Self { transfer, stored: None }
    }

    /// Loads by id.
    pub fn by_id(read: &(impl Read + ?Sized), id: TransferId) -> Result<Option<Self>, LedgerError> {
        let key = transfer_key(id);
        match read.get(key.table, &key.key)? {
            Some(bytes) => Ok(Some(Self { transfer: Transfer::decode(&bytes)?, stored: Some(bytes) })),
            None => Ok(None),
        }
    }

    /// Loads the newest transfer of a dossier at this node.
    pub fn current(read: &(impl Read + ?Sized), dossier: DossierId) -> Result<Option<Self>, LedgerError> {
        let key = current_key(dossier);
        let Some(id) = read.get(key.table, &key.key)? else { return Ok(None) };
        let id: [u8; 16] = id.try_into().map_err(|_| CborError::Shape("a transfer id has 16 bytes"))?;
        Self::by_id(read, TransferId(id))
    }

    /// Saves a transfer that is no longer as it was `before`. Of one that is, the batch only
    /// expects that it still is: the messages in it were decided on that state.
    pub fn save_changed(self, before: &Transfer, batch: &mut Batch) {
        if self.transfer != *before {
            self.save(batch);
        } else if let Some(stored) = self.stored.filter(|_| !batch.put.is_empty()) {
            batch.expect.push(Expect::Equals(transfer_key(self.transfer.id), stored));
        }
    }

    /// Adds the transfer's new state to the batch, expecting the old one.
    pub fn save(self, batch: &mut Batch) {
        let key = transfer_key(self.transfer.id);
        if self.stored.is_none() {
            // Only a new transfer is the newest; an older one may still end after it began.
            crate::ledger::set(batch, current_key(self.transfer.dossier), self.transfer.id.0.to_vec());
        }
        batch.expect.push(match self.stored {
            Some(old) => Expect::Equals(key.clone(), old),
            None => Expect::Absent(key.clone()),
        });
        if self.transfer.stage.ended() {
            batch.put.push(Put::Delete(live_key(self.transfer.id)));
            crate::ledger::set(batch, leftover_key(&self.transfer), Vec::new());
        } else {
            crate::ledger::set(batch, live_key(self.transfer.id), Vec::new());
        }
        crate::ledger::set(batch, key, self.transfer.encode());
    }
}
