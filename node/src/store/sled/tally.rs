//! How many records there must be, and a sum of their checksums: the engine's loss made visible.
//!
//! The engine gives back an older state, or a part of one, when its files were damaged, and says
//! nothing. So each group of batches also writes a *tally* in the same atomic batch: the number of
//! the group, and for each table its rows and the sum of their checksums. On opening every row is
//! met once and compared with it. An older state that is whole in itself is found by [`file`], which
//! keeps the number of the newest group beside the engine.

use std::collections::{BTreeMap, BTreeSet};

use ::sled::Db;
use sha2::{Digest, Sha256};
use yunling_protocol::store::{StoreError, Table};

use super::record::{HEAD_BYTES, check_of, decode, encode};
use super::state::{Fault, Values, guarded};

pub(super) mod file;

/// Where the tally lies in the tree: before the records, for no table has the number 0.
pub(super) const TALLY_KEY: &[u8] = &[0];

/// Version of the form of a tally, its first byte.
const VERSION: u8 = 1;

/// Rows of one table and the sum of their checksums.
///
/// A row that is missing or older than it should be leaves another sum, but for one chance in 2^64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    rows: u64,
    sum: u64,
}

/// What the tree must hold after one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Groups written since the store was made.
    pub(super) number: u64,
    tables: BTreeMap<u8, Count>,
}

impl Tally {
    /// Meets every row of the tree. The number of the group is not in it and stays 0.
    pub(super) fn of(db: &Db) -> Result<Self, Fault> {
        guarded(|| {
            let mut tally = Self::default();
            for item in db.iter() {
                let (key, stored) = item?;
                tally.add(&key, &stored);
            }
            Ok(tally)
        })
    }

    fn add(&mut self, raw_key: &[u8], stored: &[u8]) {
        if let Some(count) = self.count(raw_key) {
            count.rows = count.rows.wrapping_add(1);
            count.sum = count.sum.wrapping_add(check_of(stored));
        }
    }

    fn take(&mut self, raw_key: &[u8], stored: &[u8]) {
        if let Some(count) = self.count(raw_key) {
            count.rows = count.rows.wrapping_sub(1);
            count.sum = count.sum.wrapping_sub(check_of(stored));
        }
    }

    // What is no record, such as the tally itself, is not counted.
    fn count(&mut self, raw_key: &[u8]) -> Option<&mut Count> {
        let number = *raw_key.first()?;
        (number != TALLY_KEY[0]).then(|| self.tables.entry(number).or_default())
    }

    /// The tally after a group: `old` has what lay at each key of `puts` before.
    pub(super) fn after(&self, old: &Values, puts: &Values) -> Self {
        let mut next = self.clone();
        next.number += 1;
        for (key, put) in puts {
            if let Some(Some(stored)) = old.get(key) {
                next.take(key, stored);
            }
            if let Some(stored) = put {
                next.add(key, stored);
            }
        }
        next.tables.retain(|_, count| *count != Count::default());
        next
    }

    /// Rows of all tables.
    pub(super) fn rows(&self) -> u64 {
        self.tables.values().fold(0, |rows, count| rows.saturating_add(count.rows))
    }

    /// Rows of one table and the sum of their checksums.
    pub(super) fn of_table(&self, table: Table) -> (u64, u64) {
        self.tables.get(&table.number()).map_or((0, 0), |count| (count.rows, count.sum))
    }

    /// These rows under the number of another.
    pub(super) fn numbered_as(self, other: &Self) -> Self {
        Self { number: other.number, ..self }
    }

    /// The stored form, checksum and all.
    pub(super) fn stored(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.number.to_be_bytes());
        for (table, count) in &self.tables {
            bytes.push(*table);
            bytes.extend_from_slice(&count.rows.to_be_bytes());
            bytes.extend_from_slice(&count.sum.to_be_bytes());
        }
        encode(TALLY_KEY, &bytes)
    }

    /// Reads a stored form; `None` when it is damaged or of a newer version.
    pub(super) fn parse(stored: &[u8]) -> Option<Self> {
        let bytes = decode(TALLY_KEY, stored).ok()?;
        let (&VERSION, rest) = bytes.split_first()? else { return None };
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let mut tables = BTreeMap::new();
        let (counts, []) = rest.as_chunks::<17>() else { return None };
        for count in counts {
            let (table, rest) = count.split_first()?;
            let (rows, rest) = rest.split_first_chunk::<8>()?;
            let (sum, _) = rest.split_first_chunk::<8>()?;
            let count = Count { rows: u64::from_be_bytes(*rows), sum: u64::from_be_bytes(*sum) };
            tables.insert(*table, count);
        }
        Some(Self { number: u64::from_be_bytes(*number), tables })
    }

    /// A short form that differs when the tally does.
    pub(super) fn digest(&self) -> [u8; 16] {
        let whole = Sha256::digest(self.stored());
        let mut digest = [0; 16];
        digest.copy_from_slice(&whole[..16]);
        digest
    }

    /// Whether the tree holds what the tally says; the words are for people.
    ///
    /// A row whose own checksum does not match is told whenever it is read, and need not keep the
    /// others from being read. Its checksum may be what is damaged, which leaves another sum: that
    /// is borne when it explains the whole difference, and nothing else is.
    pub(super) fn compare(&self, db: &Db) -> Result<Result<(), String>, Fault> {
        let found = Self::of(db)?;
        let numbers: BTreeSet<_> = self.tables.keys().chain(found.tables.keys()).collect();
        for number in numbers {
            let must = self.tables.get(number).copied().unwrap_or_default();
            let is = found.tables.get(number).copied().unwrap_or_default();
            let table = Table::from_number(*number).map_or("unknown", Table::name);
            if must.rows != is.rows {
                return Ok(Err(format!("table {table} has {} records, it had {}", is.rows, must.rows)));
            }
            let difference = must.sum.wrapping_sub(is.sum);
            if difference != 0 && !explains(&damaged(db, *number)?, difference) {
                return Ok(Err(format!("table {table} has other records than it had")));
            }
        }
        Ok(Ok(()))
    }
}

/// Most damaged rows of one table that are tried out. More are a disk that falls to pieces.
const DAMAGED_ROWS_MAX: usize = 8;

/// For each damaged row of a table, by how much its checksum would change if its value was right.
fn damaged(db: &Db, table: u8) -> Result<Vec<u64>, Fault> {
    guarded(|| {
        let mut found = Vec::new();
        for item in db.scan_prefix([table]) {
            let (key, stored) = item?;
            if let Err(StoreError::Damaged { key: told }) = decode(&key, &stored) {
                tracing::error!(key = %told, "a stored record is damaged");
                let right = encode(&key, stored.get(HEAD_BYTES..).unwrap_or_default());
                found.push(check_of(&right).wrapping_sub(check_of(&stored)));
            }
        }
        Ok(found)
    })
}

/// Whether some of these changes come to the difference.
fn explains(changes: &[u64], difference: u64) -> bool {
    let chosen = |choice: u32| {
        let some = changes.iter().enumerate().filter(|(n, _)| choice & (1 << n) != 0);
        some.fold(0_u64, |sum, (_, change)| sum.wrapping_add(*change))
    };
    changes.len() <= DAMAGED_ROWS_MAX && (1..1 << changes.len()).any(|choice| chosen(choice) == difference)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::record::raw_key;
    use super::*;

    fn values(pairs: &[(&str, Option<&str>)]) -> Values {
        let raw = |(key, value): &(&str, Option<&str>)| {
            let key = raw_key(Table::Head, key.as_bytes());
            let stored = value.map(|value| encode(&key, value.as_bytes()));
            (key, stored)
        };
        pairs.iter().map(raw).collect()
    }

    #[test]
    fn what_comes_and_goes_leaves_no_trace() {
        let none = values(&[("a", None), ("b", None)]);
        let one = values(&[("a", Some("1")), ("b", Some("2"))]);
        let two = values(&[("a", Some("3")), ("b", None)]);
        let start = Tally::default();
        let first = start.after(&none, &one);
        let second = first.after(&one, &two);
        let third = second.after(&two, &none);
        assert_eq!(first.tables[&2].rows, 2);
        assert_eq!(second.tables[&2].rows, 1);
        assert_ne!(first.tables[&2].sum, second.tables[&2].sum);
        assert_eq!(third, Tally { number: 3, ..Tally::default() });
    }

    #[test]
    fn its_stored_form_comes_back_and_no_other_does() {
        let none = values(&[("a", None)]);
        let one = values(&[("a", Some("1"))]);
        let tally = Tally::default().after(&none, &one);
        let stored = tally.stored();
        assert_eq!(Tally::parse(&stored), Some(tally));
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Tally::parse(&bad), None, "bit {bit}");
        }
        assert!((0..stored.len()).all(|len| Tally::parse(&stored[..len]).is_none()));
    }
}
