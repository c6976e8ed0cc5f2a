//! The disk of a node: what is durable, what waits to be, and past states of it.
//!
//! The durable part is the protocol's own store in memory. Batches that wait are not readable,
//! as with the real engines, and a crash loses them. A version is a whole past state, as a backup
//! made then would hold it.

use std::collections::VecDeque;

use yunling_protocol::day::UnixTime;
use yunling_protocol::store::{Batch, CommitError, Item, Oracle, Put, Read, Store, StoreError, Table};

/// Past states kept of one disk.
const VERSIONS_MAX: usize = 3;

/// A disk; `W` is the work that waits for its batch to be durable.
#[derive(Debug)]
pub struct Disk<W> {
    durable: Oracle,
    waiting: VecDeque<W>,
    versions: Vec<Version>,
}

/// A past state, as a backup made then holds it.
#[derive(Debug, Clone)]
pub struct Version {
    store: Oracle,
    /// The node's clock when it was made.
    pub made_at: UnixTime,
    /// The world's clock then, milliseconds.
    pub made: u64,
}

impl<W> Default for Disk<W> {
    fn default() -> Self {
        Self { durable: Oracle::new(), waiting: VecDeque::new(), versions: Vec::new() }
    }
}

impl<W> Disk<W> {
    /// Writes a batch whole or not at all.
    pub fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.durable.commit(batch)
    }

    /// Work that waits for the disk.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Work waits behind what waits already: one writer, one order.
    pub fn wait(&mut self, work: W) {
        self.waiting.push_back(work);
    }

    /// The next work whose time has come.
    pub fn take_next(&mut self) -> Option<W> {
        self.waiting.pop_front()
    }

    /// Power is gone: what was not durable is lost.
    pub fn crash(&mut self) {
        self.waiting.clear();
    }

    /// Forgets a whole table, for a store that never wrote it.
    pub fn forget(&self, table: Table) {
        let rows = self.durable.dump().into_iter().filter(|(key, _)| key.table == table);
        let put = rows.map(|(key, _)| Put::Delete(key)).collect();
        let written = self.durable.commit(Batch { expect: Vec::new(), put });
        debug_assert!(written.is_ok(), "deletions expect nothing");
    }

    /// Keeps the state of now as a version.
    pub fn keep_version(&mut self, made_at: UnixTime, made: u64) {
        if self.versions.len() == VERSIONS_MAX {
            self.versions.remove(0);
        }
        self.versions.push(Version { store: self.durable.clone(), made_at, made });
    }

    /// Versions kept, oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Sets the disk back to a version; what happened since is gone from it.
    pub fn restore(&mut self, version: &Version) {
        self.durable = version.store.clone();
        self.waiting.clear();
    }
}

impl<W> Read for Disk<W> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.durable.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.durable.scan(table, prefix, after, limit)
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        self.durable.last(table, prefix)
    }
}
