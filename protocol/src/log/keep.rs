//! A log as rows of a store, without files: bundles of entries, the place of each id, the head with its signed
//! checkpoint. The node makes its files from the same rows; the simulator and tests have the rows alone.

use std::collections::BTreeMap;

use super::life::LifeRecord;
use super::merkle::{MemoryTree, consistency_proof, inclusion_proof, leaf_hash};
use super::rows::{self, HeadRow, Place};
use super::tile::{self, TILE_WIDTH};
use super::tlog_proof::TlogProof;
use super::{Checkpoint, Entry, Hash, MerkleError, Origin};
use crate::id::TransferId;
use crate::key::Signer;
use crate::ledger::set;
use crate::message::Life;
use crate::name::NodeName;
use crate::office::DecideError;
use crate::store::{Batch, Expect, Key, Put, Read, StoreError, Table, scan_all};

/// What the store holds does not come to what was signed.
const DAMAGED: DecideError = DecideError::Rule("log-damaged");

/// A bundle of entries: its bytes, and the new ones in it with their indices.
#[derive(Debug, Default)]
pub(crate) struct Bundle<'a> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) new: Vec<(u64, &'a [u8])>,
}

/// The bundles that change when `entries` follow a log of `begin` entries, by number.
pub(crate) fn bundles<'a>(
    read: &(impl Read + ?Sized),
    generation: u64,
    begin: u64,
    entries: impl IntoIterator<Item = &'a [u8]>,
) -> Result<BTreeMap<u64, Bundle<'a>>, DecideError> {
    let mut bundles: BTreeMap<u64, Bundle<'a>> = BTreeMap::new();
    if !begin.is_multiple_of(TILE_WIDTH) {
        let key = rows::bundle_key(generation, begin / TILE_WIDTH);
        let bytes = read.get(key.table, &key.key)?.ok_or(DAMAGED)?;
        tile::decode_entries(&bytes, (begin % TILE_WIDTH) as u16).map_err(|_| DAMAGED)?;
        bundles.insert(begin / TILE_WIDTH, Bundle { bytes, new: Vec::new() });
    }
    for (index, entry) in (begin..).zip(entries) {
        let bundle = bundles.entry(index / TILE_WIDTH).or_default();
        tile::push_entry(&mut bundle.bytes, entry).map_err(|_| DecideError::Rule("log-entry-encoding"))?;
        bundle.new.push((index, entry));
    }
    Ok(bundles)
}

/// The head of the log of a life.
pub fn head(read: &(impl Read + ?Sized), generation: u64) -> Result<Option<HeadRow>, DecideError> {
    let key = rows::head_key(generation);
    Ok(read.get(key.table, &key.key)?.map(|bytes| HeadRow::decode(&bytes)).transpose()?)
}

/// The record that begins the log of a life; it closes the newest log known.
pub fn first(read: &(impl Read + ?Sized), me: &NodeName, life: Life) -> Result<LifeRecord, DecideError> {
    let before = read.last(Table::Log, rows::HEAD_PREFIX)?;
    let before = before.map(|(_, bytes)| HeadRow::decode(&bytes)).transpose()?;
    let closed = before.map(|head| Checkpoint::parse(head.note.as_bytes())).transpose();
    let closed = closed.map_err(|_| DAMAGED)?.map(|(_, checkpoint)| checkpoint);
    let origin = Origin { node: me.clone(), generation: life.generation };
    LifeRecord::new(origin, life, closed.as_ref()).ok_or(DAMAGED)
}

/// Takes everything that waits into the log of this life, which begins with its record; none when nothing is
/// to be done.
pub fn sequence(
    read: &(impl Read + ?Sized),
    me: &NodeName,
    life: Life,
    signer: &dyn Signer,
) -> Result<Option<Batch>, DecideError> {
    let generation = life.generation;
    let old = head(read, generation)?;
    let mut batch = Batch::default();
    let mut entries = Vec::new();
    if old.is_none() {
        let record = first(read, me, life)?;
        set(&mut batch, rows::life_key(generation), record.encode());
        entries.extend(record.entry().encode());
    }
    let mut waiting = Vec::new();
    scan_all::<DecideError>(read, Table::Log, rows::PENDING_PREFIX, |key, entry| {
        waiting.push((key, entry));
        Ok(())
    })?;
    for (key, entry) in waiting {
        let id = key.get(1..).and_then(|id| <[u8; 32]>::try_from(id).ok()).ok_or(DAMAGED)?;
        batch.put.push(Put::Delete(Key::new(Table::Log, key)));
        if Place::of(read, &id)?.is_none() {
            entries.push(entry);
        }
    }
    if entries.is_empty() {
        return Ok((!batch.put.is_empty()).then_some(batch));
    }
    let mut frontier = old.as_ref().map(|head| head.frontier.clone()).unwrap_or_default();
    let begin = frontier.size();
    for (index, entry) in (begin..).zip(&entries) {
        frontier.append(entry).map_err(|e| DecideError::Rule(e.code()))?;
        let id = Entry::decode(entry)?.id().copied().ok_or(DAMAGED)?;
        set(&mut batch, rows::place_key(&id), Place { generation, index }.encode());
    }
    for (number, bundle) in bundles(read, generation, begin, entries.iter().map(Vec::as_slice))? {
        set(&mut batch, rows::bundle_key(generation, number), bundle.bytes);
    }
    let origin = Origin { node: me.clone(), generation };
    let note = Checkpoint::new(origin.to_string(), frontier.size(), frontier.root()).sign(signer)?.render();
    let key = rows::head_key(generation);
    batch.expect.push(match &old {
        Some(old) => Expect::Equals(key.clone(), old.encode()),
        None => Expect::Absent(key.clone()),
    });
    set(&mut batch, key, HeadRow { frontier, note }.encode());
    Ok(Some(batch))
}

/// The entries of a log from `begin` up to `size`.
pub fn entries(
    read: &(impl Read + ?Sized),
    generation: u64,
    begin: u64,
    size: u64,
) -> Result<Vec<Vec<u8>>, DecideError> {
    let mut found = Vec::new();
    let mut at = begin;
    while at < size {
        let key = rows::bundle_key(generation, at / TILE_WIDTH);
        let bytes = read.get(key.table, &key.key)?.ok_or(DAMAGED)?;
        let whole = tile::entries_of(&bytes).map_err(|_| DAMAGED)?;
        let end = (size - at / TILE_WIDTH * TILE_WIDTH).min(TILE_WIDTH) as usize;
        let part =
            whole.get((at % TILE_WIDTH) as usize..end).filter(|part| !part.is_empty()).ok_or(DAMAGED)?;
        found.extend(part.iter().map(|entry| entry.to_vec()));
        at += part.len() as u64;
    }
    Ok(found)
}

fn tree(read: &(impl Read + ?Sized), generation: u64, size: u64) -> Result<MemoryTree, DecideError> {
    let mut tree = MemoryTree::new();
    for entry in entries(read, generation, 0, size)? {
        tree.append_leaf(leaf_hash(&entry)).map_err(|e: MerkleError| DecideError::Rule(e.code()))?;
    }
    Ok(tree)
}

/// Proof that a log only grew between two sizes.
pub fn consistency(
    read: &(impl Read + ?Sized),
    generation: u64,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, DecideError> {
    consistency_proof(&tree(read, generation, new)?, old, new).map_err(|_| DAMAGED)
}

/// Seals whose release waits, with their transfers; what posts a release takes its seal off.
pub fn wanted(read: &(impl Read + ?Sized)) -> Result<Vec<([u8; 32], TransferId)>, DecideError> {
    let mut wanted = Vec::new();
    scan_all::<DecideError>(read, Table::Log, rows::WANTED_PREFIX, |key, transfer| {
        let seal = key.get(1..).and_then(|id| <[u8; 32]>::try_from(id).ok());
        let transfer = <[u8; 16]>::try_from(transfer).ok().map(TransferId);
        wanted.push(seal.zip(transfer).ok_or(DAMAGED)?);
        Ok(())
    })?;
    Ok(wanted)
}

fn is_proven(read: &(impl Read + ?Sized), seal: &[u8; 32]) -> Result<bool, StoreError> {
    let key = rows::inclusion_key(seal);
    Ok(read.get(key.table, &key.key)?.is_some())
}

/// Transfers whose seal is proven and whose release is not posted: a crash came between the two, or comes now.
pub fn ready(read: &(impl Read + ?Sized)) -> Result<Vec<TransferId>, DecideError> {
    let mut ready = Vec::new();
    for (seal, transfer) in wanted(read)? {
        if is_proven(read, &seal)? {
            ready.push(transfer);
        }
    }
    Ok(ready)
}

/// Stores a checkpoint that has the cosignatures of its quorum, and puts the proofs of the seals under it that
/// a release waits for beside them; gives the transfers that may go on. A seal that lies in the log of a life
/// that is over, unseen by its witnesses, is logged again.
pub fn prove(
    read: &(impl Read + ?Sized),
    generation: u64,
    cosigned: &str,
) -> Result<(Batch, Vec<TransferId>), DecideError> {
    let (_, checkpoint) = Checkpoint::parse(cosigned.as_bytes()).map_err(|_| DAMAGED)?;
    let mut batch = Batch::default();
    set(&mut batch, rows::cosigned_key(generation, checkpoint.size), cosigned.as_bytes().to_vec());
    let mut proven = Vec::new();
    for (seal, transfer) in wanted(read)? {
        if is_proven(read, &seal)? {
            continue;
        }
        let Some(place) = Place::of(read, &seal)? else { continue };
        if place.generation < generation {
            let entry = entries(read, place.generation, place.index, place.index + 1)?;
            if let Some(entry) = entry.first().map(|entry| Entry::decode(entry)).transpose()? {
                rows::log_again(&mut batch, &entry);
            }
        } else if place.index < checkpoint.size {
            let path =
                inclusion_proof(&tree(read, generation, checkpoint.size)?, place.index, checkpoint.size);
            let path = path.map_err(|_| DAMAGED)?;
            let proof = TlogProof { extra: None, index: place.index, path, checkpoint: cosigned.to_owned() };
            set(&mut batch, rows::inclusion_key(&seal), proof.render().into_bytes());
            proven.push(transfer);
        }
    }
    Ok((batch, proven))
}
