#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::conformance::{self, Harness};
use super::*;

struct Memory;

impl Harness for Memory {
    fn fresh(&mut self) -> Box<dyn Store> {
        Box::new(Oracle::new())
    }

    fn reopen(&mut self, store: Box<dyn Store>) -> Box<dyn Store> {
        store
    }
}

/// An engine with a fault, to show that the suite can fail.
struct Torn(Oracle);

impl Read for Torn {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.0.scan(table, prefix, after, limit)
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        self.0.last(table, prefix)
    }
}

impl Store for Torn {
    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_limits()?;
        for put in batch.put.clone() {
            let one = Batch { expect: Vec::new(), put: vec![put] };
            self.0.commit(one)?;
        }
        batch.check_expects(&self.0)
    }
}

struct TornHarness;

impl Harness for TornHarness {
    fn fresh(&mut self) -> Box<dyn Store> {
        Box::new(Torn(Oracle::new()))
    }

    fn reopen(&mut self, store: Box<dyn Store>) -> Box<dyn Store> {
        store
    }
}

#[test]
fn the_oracle_passes_its_own_suite() {
    conformance::check(&mut Memory).unwrap();
    for seed in 0..20 {
        conformance::compare(&mut Memory, seed, 300).unwrap();
    }
}

#[test]
fn the_suite_finds_an_engine_that_tears_batches() {
    assert!(conformance::check(&mut TornHarness).is_err());
    let found = (0..20).any(|seed| conformance::compare(&mut TornHarness, seed, 300).is_err());
    assert!(found);
}

#[test]
fn table_numbers_are_stable_and_ascend() {
    // The numbers are on disk: a new table gets the next one, and none is ever moved or reused.
    let numbers: Vec<u8> = Table::ALL.into_iter().map(Table::number).collect();
    let expected: Vec<u8> = (1..=18).collect();
    assert_eq!(numbers, expected);
    for table in Table::ALL {
        assert_eq!(Table::from_number(table.number()), Some(table));
    }
    for unknown in [0, 19] {
        assert_eq!(Table::from_number(unknown), None);
    }
}

#[test]
fn merging_drops_only_expectations_that_the_first_batch_meets() {
    let mut first = Batch::new();
    first.expect_absent(Table::Head, "a").set(Table::Head, "a", "1");
    let mut second = Batch::new();
    second.expect_equals(Table::Head, "a", "1").set(Table::Head, "a", "2");
    second.expect_absent(Table::Head, "b").set(Table::Head, "b", "1");
    let mut both = first.clone();
    both.merge(second.clone());
    let store = Oracle::new();
    store.commit(both).unwrap();
    assert_eq!(store.get(Table::Head, b"a").unwrap().unwrap(), b"2");

    let mut clash = Batch::new();
    clash.set(Table::Head, "a", "other").merge(second);
    let told = Oracle::new().commit(clash);
    assert!(matches!(told, Err(CommitError::Conflict { .. })));
}

#[test]
fn an_error_shows_no_more_than_sixteen_bytes_of_a_key() {
    let conflict = CommitError::Conflict { key: Key::new(Table::Profile, [0xAB; 40]) };
    let words = conflict.to_string();
    assert!(words.contains(&"ab".repeat(16)) && !words.contains(&"ab".repeat(17)));
    assert_eq!(conflict.code(), "store-conflict");
}

proptest! {
    #[test]
    fn a_prefix_ends_where_no_longer_key_begins_with_it(
        prefix in prop::collection::vec(any::<u8>(), 0..4),
        key in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let inside = prefix_end(&prefix).is_none_or(|end| key < end) && key >= prefix;
        prop_assert_eq!(inside, key.starts_with(&prefix));
    }
}
