//! One state of the store, read in pages while batches go on being written.
//!
//! The engine keeps no old states. So the writer, before it changes a record that the snapshot has
//! not read yet, lays the old value aside; reading takes it from there and forgets it. Nobody waits:
//! a writer does one more look into a map per record. What is laid aside has a limit; a snapshot
//! that is outrun by the writers ends with an error and never shows a mixture.

use yunling_protocol::store::{Key, Snapshot, StoreError, Table, check_scan};

use super::SledStore;
use super::record::decode;
use super::state::Values;
use super::tally::TALLY_KEY;

/// Bytes of keys and old values that may be laid aside: half a million new records ahead of the
/// reader, which reads faster than a disk lets anybody write.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes one entry of the map takes beside its key and value.
const ENTRY_BYTES: usize = 64;

/// What a snapshot still needs of the past.
#[derive(Debug, Default)]
pub(super) struct Kept {
    cursor: Vec<u8>,
    old: Values,
    bytes: usize,
    outrun: bool,
}

fn bytes_of(key: &[u8], value: Option<&Vec<u8>>) -> usize {
    key.len() + value.map_or(0, Vec::len) + ENTRY_BYTES
}

impl Kept {
    pub(super) fn new(undo: &Values) -> Self {
        // The engine's own count lies before every table and is this store's alone.
        let mut kept = Self { cursor: vec![TALLY_KEY[0] + 1], ..Self::default() };
        kept.keep(undo);
        kept
    }

    /// Lays aside the old values of records that were not read yet. The first one counts.
    pub(super) fn keep(&mut self, undo: &Values) {
        if self.outrun {
            return;
        }
        for (key, value) in undo.range(self.cursor.clone()..) {
            if !self.old.contains_key(key) {
                self.bytes += bytes_of(key, value.as_ref());
                self.old.insert(key.clone(), value.clone());
            }
        }
        if self.bytes > KEPT_BYTES_MAX {
            self.outrun = true;
            self.old.clear();
        }
    }

    /// The first raw key not read yet.
    pub(super) fn cursor(&self) -> &[u8] {
        &self.cursor
    }

    /// Old values of what was not read yet.
    pub(super) fn ahead(&self) -> std::collections::btree_map::Range<'_, Vec<u8>, Option<Vec<u8>>> {
        self.old.range(self.cursor.clone()..)
    }

    /// Forgets everything up to a raw key that was read.
    fn read_to(&mut self, key: &[u8]) {
        self.cursor = [key, &[0]].concat();
        let ahead = self.old.split_off(&self.cursor);
        let behind = std::mem::replace(&mut self.old, ahead);
        self.bytes -= behind.iter().map(|(k, v)| bytes_of(k, v.as_ref())).sum::<usize>().min(self.bytes);
    }
}

/// A snapshot of a store.
pub(super) struct SledSnapshot<'a>(&'a SledStore);

impl<'a> SledSnapshot<'a> {
    pub(super) fn begin(store: &'a SledStore) -> Result<Self, StoreError> {
        if store.shared.write().begin_snapshot() {
            return Ok(Self(store));
        }
        Err(StoreError::Engine("another snapshot is being read".to_owned()))
    }
}

impl Snapshot for SledSnapshot<'_> {
    fn next(&mut self, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        check_scan(limit)?;
        let items = self.0.answered(|state| state.snapshot_items(limit))?;
        let mut state = self.0.shared.write();
        // Looked at after reading: what was read before it was outrun is whole, the rest is not.
        if let Some(kept) = state.kept() {
            if kept.outrun {
                let mib = KEPT_BYTES_MAX >> 20;
                let words = format!("over {mib} MiB were changed while it was read: try again");
                return Err(StoreError::Engine(words));
            }
            if let Some((key, _)) = items.last() {
                kept.read_to(key);
            }
        }
        drop(state);
        items
            .iter()
            .map(|(raw, stored)| {
                let value = decode(raw, stored)?;
                let (number, key) = raw.split_first().unwrap_or((&0, &[]));
                let table = Table::from_number(*number);
                // A later version's table: an older binary must not make a backup without it.
                let table =
                    table.ok_or_else(|| StoreError::Engine(format!("table {number} is not known")))?;
                Ok((Key::new(table, key), value))
            })
            .collect()
    }
}

impl Drop for SledSnapshot<'_> {
    fn drop(&mut self) {
        self.0.shared.write().end_snapshot();
    }
}

#[cfg(test)]
mod tests;
