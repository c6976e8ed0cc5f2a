//! The engine in memory: an ordered map behind one lock.
//!
//! It is the answer the other engines are compared with, and the store of simulations and tests.
//! Nothing is ever on a disk, so "durable" here means: in the map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    Batch, CommitError, Item, Key, Put, Read, Snapshot, Store, StoreError, Table, check_scan, prefix_end,
};

/// The records themselves: a state that can be read, so that one lock covers check and change.
#[derive(Debug, Clone, Default)]
struct Records(BTreeMap<(Table, Vec<u8>), Vec<u8>>);

/// A store in memory.
#[derive(Debug, Default)]
pub struct Oracle {
    map: Mutex<Records>,
}

impl Oracle {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every record in order, to compare two stores.
    pub fn dump(&self) -> Vec<(Key, Vec<u8>)> {
        let map = self.lock();
        map.0.iter().map(|((t, k), v)| (Key::new(*t, k.clone()), v.clone())).collect()
    }

    // Nothing panics between two changes of the map, so a poisoned lock still guards a whole map.
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Oracle {
    /// A second store with the same records, independent from then on.
    fn clone(&self) -> Self {
        Self { map: Mutex::new(self.lock().clone()) }
    }
}

impl Read for Oracle {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.lock().get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.lock().scan(table, prefix, after, limit)
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        self.lock().last(table, prefix)
    }
}

impl Store for Oracle {
    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_limits()?;
        let mut map = self.lock();
        batch.check_expects(&*map)?;
        for put in batch.put {
            match put {
                Put::Set(key, value) => map.0.insert((key.table, key.key), value),
                Put::Delete(key) => map.0.remove(&(key.table, key.key)),
            };
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(Copied(self.dump().into_iter())))
    }
}

/// A copy of all records, given out in order.
struct Copied(std::vec::IntoIter<(Key, Vec<u8>)>);

impl Snapshot for Copied {
    fn next(&mut self, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        check_scan(limit)?;
        Ok(self.0.by_ref().take(limit).collect())
    }
}

impl Read for Records {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(&(table, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        check_scan(limit)?;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.to_vec())),
            _ => Bound::Included((table, prefix.to_vec())),
        };
        Ok(self
            .0
            .range((start, Bound::Unbounded))
            .take_while(|((t, k), _)| *t == table && k.starts_with(prefix))
            .take(limit)
            .map(|((_, k), v)| (k.clone(), v.clone()))
            .collect())
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        let start = Bound::Included((table, prefix.to_vec()));
        let next_table = Table::ALL.into_iter().find(|t| *t > table);
        let end = match (prefix_end(prefix), next_table) {
            (Some(end), _) => Bound::Excluded((table, end)),
            (None, Some(next)) => Bound::Excluded((next, Vec::new())),
            (None, None) => Bound::Unbounded,
        };
        let found = self.0.range((start, end)).next_back();
        Ok(found.map(|((_, k), v)| (k.clone(), v.clone())))
    }
}
