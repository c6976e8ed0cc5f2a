//! Where a node's log lies in its store, and the one way into it.
//!
//! Whatever a node signs stands, as an entry that waits, in the batch that stores it ([`enqueue`]); one
//! task takes what waits into the log, outside of every append. What is logged is therefore never more
//! and never less than what is durable. All rows lie in [`Table::Log`], told apart by their first byte.

use sha2::{Digest, Sha256};

use super::checkpoint::Checkpoint;
use super::entry::Entry;
use super::merkle::Frontier;
use super::tlog_proof::TlogProof;
use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::day::UnixTime;
use crate::id::DossierId;
use crate::ledger::set;
use crate::member::Members;
use crate::name::NodeName;
use crate::statement::Statement;
use crate::store::{Batch, Key, Put, Read, StoreError, Table};

/// After so many seconds a statement of another node without a place under a cosigned checkpoint is shown as
/// *unwitnessed* (DESIGN §7: 30 days).
pub const UNWITNESSED_SECONDS: i64 = 30 * 86_400;

/// First bytes of the keys.
const PENDING: u8 = b'p';
const PLACE: u8 = b'i';
const BUNDLE: u8 = b'e';
const HEAD: u8 = b'h';
const LIFE: u8 = b'l';
const COSIGNED: u8 = b'c';
const INCLUSION: u8 = b'q';
const WITNESSED: u8 = b'w';
const EVIDENCE: u8 = b'v';
const FOREIGN: u8 = b'f';
const LIFTED: u8 = b'x';
const WANTED: u8 = b'n';
const AWAITED: u8 = b'a';
const PASS: u8 = b's';
const HEARD: u8 = b'g';
const CHECKED: u8 = b'k';
const PROMISED: u8 = b'm';
const SHOWN: u8 = b'z';
const LOST: u8 = b'o';

/// Largest checkpoint stored with a head or as cosigned: a note with sixteen signatures has under 3 KiB.
pub const NOTE_BYTES_MAX: usize = 8 * 1024;
/// Largest head row: generation, frontier, note.
const HEAD_BYTES_MAX: usize = NOTE_BYTES_MAX + super::merkle::FRONTIER_BYTES_MAX + 64;

fn key(kind: u8, rest: &[&[u8]]) -> Key {
    let mut key = vec![kind];
    for part in rest {
        key.extend_from_slice(part);
    }
    Key::new(Table::Log, key)
}

/// Prefix of the entries that wait.
pub const PENDING_PREFIX: &[u8] = &[PENDING];
/// Prefix of the heads of all logs, one for each life, oldest first.
pub const HEAD_PREFIX: &[u8] = &[HEAD];

/// Key of an entry that waits, by the id it names.
pub fn pending_key(id: &[u8; 32]) -> Key {
    key(PENDING, &[id])
}

/// Whether a key is that of an entry that waits.
pub fn is_pending(key: &Key) -> bool {
    key.table == Table::Log && key.key.first() == Some(&PENDING)
}

/// Key of the place of an id in a log.
pub fn place_key(id: &[u8; 32]) -> Key {
    key(PLACE, &[id])
}

/// Key of a bundle of 256 entries.
pub fn bundle_key(generation: u64, bundle: u64) -> Key {
    key(BUNDLE, &[&generation.to_be_bytes(), &bundle.to_be_bytes()])
}

/// Prefix of the bundles of one log, in order.
pub fn bundle_prefix(generation: u64) -> Vec<u8> {
    key(BUNDLE, &[&generation.to_be_bytes()]).key
}

/// Key of the head of the log of one life.
pub fn head_key(generation: u64) -> Key {
    key(HEAD, &[&generation.to_be_bytes()])
}

/// Key of the record that begins the log of a life.
pub fn life_key(generation: u64) -> Key {
    key(LIFE, &[&generation.to_be_bytes()])
}

/// Key of a checkpoint with the cosignatures of the quorum, by its size.
pub fn cosigned_key(generation: u64, size: u64) -> Key {
    key(COSIGNED, &[&generation.to_be_bytes(), &size.to_be_bytes()])
}

/// Prefix of the cosigned checkpoints of one log, by size.
pub fn cosigned_prefix(generation: u64) -> Vec<u8> {
    key(COSIGNED, &[&generation.to_be_bytes()]).key
}

/// Key of the proof that a statement lies under a cosigned checkpoint ([`super::tlog_proof`]).
pub fn inclusion_key(id: &[u8; 32]) -> Key {
    key(INCLUSION, &[id])
}

/// Key of a seal whose release waits for its [`inclusion_key`]; the value is the transfer's id.
pub fn wanted_key(id: &[u8; 32]) -> Key {
    key(WANTED, &[id])
}

/// Prefix of all seals whose release waits.
pub const WANTED_PREFIX: &[u8] = &[WANTED];

/// Key of what this node has cosigned for a log, by the SHA-256 of its origin.
pub fn witnessed_key(origin_hash: &[u8; 32]) -> Key {
    key(WITNESSED, &[origin_hash])
}

/// Prefix of the checkpoints of others' logs that something was believed under, by origin.
pub fn foreign_prefix(origin_hash: &[u8; 32]) -> Vec<u8> {
    key(FOREIGN, &[origin_hash]).key
}

/// Key of one of them.
pub fn foreign_key(origin_hash: &[u8; 32], size: u64, root: &[u8; 32]) -> Key {
    key(FOREIGN, &[origin_hash, &size.to_be_bytes(), root])
}

/// Prefix of those of one size.
pub fn foreign_size_prefix(origin_hash: &[u8; 32], size: u64) -> Vec<u8> {
    key(FOREIGN, &[origin_hash, &size.to_be_bytes()]).key
}

/// Key of a checkpoint that something was believed under and that the log's other witnesses are yet to see;
/// the value says since when, unix seconds.
pub fn pass_key(origin_hash: &[u8; 32], size: u64, root: &[u8; 32]) -> Key {
    key(PASS, &[origin_hash, &size.to_be_bytes(), root])
}

/// Prefix of all checkpoints that are yet to be passed on.
pub const PASS_PREFIX: &[u8] = &[PASS];

/// The [`foreign_key`] of a checkpoint to be passed on.
pub fn foreign_of_pass(pass: &[u8]) -> Key {
    key(FOREIGN, &[pass.get(1..).unwrap_or_default()])
}

/// Key of a checkpoint of another's log that was only heard of.
pub fn heard_key(origin_hash: &[u8; 32], size: u64, root: &[u8; 32]) -> Key {
    key(HEARD, &[origin_hash, &size.to_be_bytes(), root])
}

/// Prefix of what was heard of one log, by size.
pub fn heard_prefix(origin_hash: &[u8; 32]) -> Vec<u8> {
    key(HEARD, &[origin_hash]).key
}

/// Prefix of those of one size.
pub fn heard_size_prefix(origin_hash: &[u8; 32], size: u64) -> Vec<u8> {
    key(HEARD, &[origin_hash, &size.to_be_bytes()]).key
}

/// Prefix of all checkpoints that were only heard of.
pub const ALL_HEARD_PREFIX: &[u8] = &[HEARD];

/// Key of the newest checkpoint of another's log that was found to continue those before.
pub fn checked_key(origin_hash: &[u8; 32]) -> Key {
    key(CHECKED, &[origin_hash])
}

/// Key of a statement of another node whose place in that node's log is not shown yet.
pub fn awaited_key(issuer: &NodeName, id: &[u8; 32]) -> Key {
    // No name holds a zero byte.
    key(AWAITED, &[issuer.as_str().as_bytes(), &[0], id])
}

/// Prefix of those of one issuer.
pub fn awaited_prefix(issuer: &NodeName) -> Vec<u8> {
    key(AWAITED, &[issuer.as_str().as_bytes(), &[0]]).key
}

/// Prefix of all statements whose place is not shown yet.
pub const ALL_AWAITED_PREFIX: &[u8] = &[AWAITED];

/// Key of evidence against a node, by the SHA-256 of its file.
pub fn evidence_key(hash: &[u8; 32]) -> Key {
    key(EVIDENCE, &[hash])
}

/// Key of the note by which an operator let an exposed node in again.
pub fn lifted_key(node: &NodeName) -> Key {
    key(LIFTED, &[node.as_str().as_bytes()])
}

/// Key of a witness's promise to a restored node: the generation below which it cosigns no log of it.
pub fn promised_key(node: &NodeName) -> Key {
    key(PROMISED, &[node.as_str().as_bytes()])
}

/// The promise made to a node, 0 for none, with the stored bytes that a decision about it expects.
pub fn promised(read: &(impl Read + ?Sized), node: &NodeName) -> Result<(u64, Option<Vec<u8>>), StoreError> {
    let key = promised_key(node);
    let stored = read.get(key.table, &key.key)?;
    let generation = stored.as_deref().and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    // Bytes that are no number promise everything: a witness that cannot read its word keeps it.
    Ok((generation.unwrap_or(if stored.is_some() { u64::MAX } else { 0 }), stored))
}

/// Key of a seal that the log of before a restore shows, by its nullifier; the value is its statement's id.
pub fn shown_key(nullifier: &[u8; 32]) -> Key {
    key(SHOWN, &[nullifier])
}

/// Prefix of all of them.
pub const SHOWN_PREFIX: &[u8] = &[SHOWN];

/// Key of an entry that a restore lost and the witnesses gave back, while what it names has not come back.
pub fn lost_key(id: &[u8; 32]) -> Key {
    key(LOST, &[id])
}

/// Prefix of all of them.
pub const LOST_PREFIX: &[u8] = &[LOST];

/// Prefix of all evidence.
pub const EVIDENCE_PREFIX: &[u8] = &[EVIDENCE];

/// Prefix of what is cosigned here.
pub const WITNESSED_PREFIX: &[u8] = &[WITNESSED];
/// Prefix of all checkpoints of others' logs that something was believed under.
pub const ALL_FOREIGN_PREFIX: &[u8] = &[FOREIGN];

/// A statement of another node whose place in that node's log is not shown yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    /// Its dossier.
    pub dossier: DossierId,
    /// Since when it is here.
    pub since: UnixTime,
}

impl Awaited {
    /// Encodes: the dossier and 8 bytes.
    pub fn encode(self) -> Vec<u8> {
        [&self.dossier.0[..], &self.since.0.to_be_bytes()].concat()
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (dossier, since) = bytes.split_first_chunk::<16>()?;
        let since = UnixTime(i64::from_be_bytes(since.try_into().ok()?));
        Some(Self { dossier: DossierId(*dossier), since })
    }

    /// Whether the issuer's witnesses have had their time: 30 days (DESIGN §7). It blocks nothing.
    pub fn unwitnessed(self, now: UnixTime) -> bool {
        now.0.saturating_sub(self.since.0) > UNWITNESSED_SECONDS
    }
}

/// Where an id lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Generation of the life whose log it is.
    pub generation: u64,
    /// Index in it.
    pub index: u64,
}

impl Place {
    /// Encodes: two numbers of 8 bytes.
    pub fn encode(self) -> Vec<u8> {
        [self.generation.to_be_bytes(), self.index.to_be_bytes()].concat()
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (generation, index) = bytes.split_first_chunk::<8>()?;
        let index: [u8; 8] = index.try_into().ok()?;
        Some(Self { generation: u64::from_be_bytes(*generation), index: u64::from_be_bytes(index) })
    }

    /// The place of an id, if it is logged.
    pub fn of(read: &(impl Read + ?Sized), id: &[u8; 32]) -> Result<Option<Self>, StoreError> {
        let key = place_key(id);
        Ok(read.get(key.table, &key.key)?.and_then(|bytes| Self::decode(&bytes)))
    }
}

/// The head of a log: how far it has come, and the checkpoint that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRow {
    /// The tree.
    pub frontier: Frontier,
    /// Checkpoint over it, signed by the log key: the whole note.
    pub note: String,
}

impl HeadRow {
    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::bytes(self.frontier.encode()))
            .put(3, cbor::text(self.note.as_str()));
        cbor::encode(&map.build())
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, HEAD_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let frontier = Frontier::decode(&f.bytes(2, super::merkle::FRONTIER_BYTES_MAX)?)
            .map_err(|_| CborError::WrongType(2))?;
        let row = Self { frontier, note: f.text(3, NOTE_BYTES_MAX)? };
        f.finish()?;
        Ok(row)
    }
}

/// Keeps the checkpoint that a proof ([`super::tlog_proof`]) was believed under: if its log ever shows another
/// history, it is half of the evidence. Unless it is kept already it is to be passed to the log's other
/// witnesses.
pub fn keep_foreign(
    read: &(impl Read + ?Sized),
    batch: &mut Batch,
    proof: &[u8],
    now: UnixTime,
) -> Result<(), StoreError> {
    let Ok(proof) = TlogProof::parse(proof) else { return Ok(()) };
    let Ok((_, checkpoint)) = Checkpoint::parse(proof.checkpoint.as_bytes()) else { return Ok(()) };
    let origin: [u8; 32] = Sha256::digest(&checkpoint.origin).into();
    let key = foreign_key(&origin, checkpoint.size, &checkpoint.root);
    if read.get(key.table, &key.key)?.is_none() {
        set(batch, key, proof.checkpoint.into_bytes());
        let pass = pass_key(&origin, checkpoint.size, &checkpoint.root);
        set(batch, pass, now.0.to_be_bytes().to_vec());
    }
    Ok(())
}

/// Puts an entry into a batch, to be taken into the log. One of an unknown kind has no bytes to log.
pub fn wait(batch: &mut Batch, entry: &Entry) {
    if let (Some(id), Some(bytes)) = (entry.id(), entry.encode()) {
        set(batch, pending_key(id), bytes);
    }
}

/// Logs once more what lies in the log of a life that is over and that no witness has seen there.
pub fn log_again(batch: &mut Batch, entry: &Entry) {
    if let Some(id) = entry.id() {
        batch.put.push(Put::Delete(place_key(id)));
        wait(batch, entry);
    }
}

/// Adds to a batch an entry for each statement in it that `me` has signed. What is logged already is
/// passed over when the log takes it. A redemption is logged by the act that makes it, which has the
/// dossier's key. A statement of another node whose log has witnesses is noted as awaited: its place in that
/// log is to be shown.
pub fn enqueue(me: &NodeName, members: &Members, now: UnixTime, batch: &mut Batch) {
    let mut entries = Vec::new();
    let mut awaited = Vec::new();
    for put in &batch.put {
        let Put::Set(key, value) = put else { continue };
        if !matches!(key.table, Table::Statement | Table::Beside) {
            continue;
        }
        let Ok(statement) = Statement::parse(value) else { continue };
        let issuer = &statement.common.issuer;
        if issuer == me {
            entries.extend(Entry::of_statement(&statement, None).ok());
        } else if key.table == Table::Statement && members.has_quorum(issuer) {
            awaited.push((awaited_key(issuer, &statement.id.0), statement.common.dossier));
        }
    }
    for entry in &entries {
        wait(batch, entry);
    }
    for (key, dossier) in awaited {
        set(batch, key, Awaited { dossier, since: now }.encode());
    }
}

/// Entry of a statement that `me` signed; none for other bytes.
pub fn own_entry(me: &NodeName, statement: &[u8]) -> Option<Entry> {
    let statement = Statement::parse(statement).ok()?;
    (statement.common.issuer == *me).then(|| Entry::of_statement(&statement, None).ok())?
}
