//! The entries of a log that a restored node had after its backup, handed over by a witness.
//!
//! They are believed because they come to a root that the node itself has signed. They lie where its own
//! lie, so the log of the life before is closed at the newest checkpoint, stays provable, and nothing in it
//! is logged twice.

use super::Newest;
use crate::ledger::set;
use crate::log::keep::{self, Bundle};
use crate::log::merkle::Frontier;
use crate::log::rows::{self, HeadRow, Place};
use crate::log::{Entry, Hash};
use crate::office::DecideError;
use crate::store::{Batch, Expect, Read};

/// Most entries taken back: a year of a prefecture that signs two a minute. They are held in memory, 75 MB.
pub const LOST_ENTRIES_MAX: usize = 1 << 20;
/// Bundles of one batch: each entry takes up to three puts.
const BUNDLES_A_BATCH: usize = 8;

/// The batches that take `entries` into the log that `newest` speaks of, to be committed in order; they follow
/// those that are here. Nothing of them counts before the last one, which moves the head.
pub fn import(
    read: &(impl Read + ?Sized),
    newest: &Newest,
    entries: &[Vec<u8>],
) -> Result<Vec<Batch>, DecideError> {
    let generation = newest.origin.generation;
    let old = keep::head(read, generation)?;
    let begin = old.as_ref().map_or(0, |head| head.frontier.size());
    let wanted = newest.size.checked_sub(begin).and_then(|n| usize::try_from(n).ok());
    if wanted != Some(entries.len()) || entries.is_empty() || entries.len() > LOST_ENTRIES_MAX {
        return Err(DecideError::Rule("rejoin-entries"));
    }
    let frontier = grown(old.as_ref(), newest, entries)?;
    let mut bundles = keep::bundles(read, generation, begin, entries.iter().map(Vec::as_slice))?;
    let mut last = Batch::default();
    let key = rows::head_key(generation);
    last.expect.push(match &old {
        Some(old) => Expect::Equals(key.clone(), old.encode()),
        None => Expect::Absent(key.clone()),
    });
    set(&mut last, key, HeadRow { frontier, note: newest.note.clone() }.encode());
    // The bundle that the old head ends in may only change with the head.
    if let Some((number, bundle)) = bundles.pop_first() {
        put(&mut last, generation, number, &bundle);
    }
    let mut batches = Vec::new();
    let mut batch = Batch::default();
    for (at, (number, bundle)) in bundles.iter().enumerate() {
        put(&mut batch, generation, *number, bundle);
        if (at + 1).is_multiple_of(BUNDLES_A_BATCH) {
            batches.push(std::mem::take(&mut batch));
        }
    }
    batches.push(batch);
    batches.push(last);
    batches.retain(|batch| !batch.put.is_empty());
    Ok(batches)
}

/// The tree with the entries, when it comes to the newest root and to every other that was named on the way.
fn grown(old: Option<&HeadRow>, newest: &Newest, entries: &[Vec<u8>]) -> Result<Frontier, DecideError> {
    let mut frontier = old.map(|head| head.frontier.clone()).unwrap_or_default();
    let mut forked = false;
    let mut check = |size: u64, root: &dyn Fn() -> Hash| {
        let of_size = (size, [0; 32])..=(size, [0xff; 32]);
        forked |= newest.named.range(of_size).any(|(_, named)| *named != root());
    };
    for entry in entries {
        frontier.append(entry).map_err(|e| DecideError::Rule(e.code()))?;
        check(frontier.size(), &|| frontier.root());
    }
    if frontier.root() != newest.root {
        return Err(DecideError::Rule("rejoin-entries"));
    }
    if forked { Err(DecideError::Rule("rejoin-forked")) } else { Ok(frontier) }
}

fn put(batch: &mut Batch, generation: u64, number: u64, bundle: &Bundle<'_>) {
    set(batch, rows::bundle_key(generation, number), bundle.bytes.clone());
    for (index, entry) in &bundle.new {
        let Ok(entry) = Entry::decode(entry) else { continue };
        let Some(id) = entry.id() else { continue };
        set(batch, rows::place_key(id), Place { generation, index: *index }.encode());
        set(batch, rows::lost_key(id), Vec::new());
        if let Entry::Custody { nullifier, .. } = entry {
            set(batch, rows::shown_key(&nullifier), id.to_vec());
        }
    }
}
