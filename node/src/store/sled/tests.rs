#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use yunling_protocol::store::VALUE_BYTES_MAX;
use yunling_protocol::store::conformance::{self, Dice, Harness};

use super::*;

mod checked;
mod crash;
mod cut;
mod damage;
mod full;
mod lost;
mod steps;
mod torn;

const OWNER: &[u8] = b"owner of tests";

pub(super) fn small() -> Options {
    Options { cache_bytes: 8 * 1024 * 1024, ballast_bytes: 0, ..Options::default() }
}

/// A folder in memory where there is one, for tests that lay out many disks: their syncs would
/// only wear the real one.
fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

fn open(folder: &Path) -> SledStore {
    SledStore::open(folder, OWNER, small()).unwrap()
}

fn one(key: &str, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.set(Table::Head, key, value);
    batch
}

#[derive(Default)]
struct Folders {
    made: Vec<TempDir>,
}

impl Folders {
    fn last(&self) -> PathBuf {
        self.made.last().unwrap().path().join("store")
    }
}

impl Harness for Folders {
    fn fresh(&mut self) -> Box<dyn Store> {
        self.made.push(TempDir::new().unwrap());
        Box::new(open(&self.last()))
    }

    fn reopen(&mut self, store: Box<dyn Store>) -> Box<dyn Store> {
        drop(store);
        Box::new(open(&self.last()))
    }

    fn initial(&self) -> Batch {
        let mut batch = Batch::new();
        batch.set(Table::Meta, OWNER_KEY, OWNER);
        batch
    }
}

#[test]
fn sled_passes_the_suite_of_every_engine() {
    conformance::check(&mut Folders::default()).unwrap();
}

#[test]
fn sled_answers_as_the_oracle_does() {
    for seed in 0..3 {
        conformance::compare(&mut Folders::default(), seed, 200).unwrap();
    }
}

#[test]
fn sixty_four_writers_lose_and_tear_nothing() {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    thread::scope(|scope| {
        for writer in 0..64_u8 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..8_u8 {
                    let mut batch = Batch::new();
                    batch.insert(Table::Chain, [writer, n], [n]);
                    batch.set(Table::Head, [writer], [n]);
                    store.commit(batch).unwrap();
                }
            });
        }
    });
    drop(store);
    let store = open(home.path());
    let mut seen = 0;
    yunling_protocol::store::scan_all::<StoreError>(&store, Table::Chain, &[], |key, value| {
        assert_eq!(key[1..], value);
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 64 * 8);
    assert_eq!(store.scan(Table::Head, &[], None, 99).unwrap().len(), 64);
}

#[test]
fn of_many_who_take_the_same_step_one_succeeds() {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    store.commit(one("n", "0")).unwrap();
    for n in 0..10 {
        let winners = thread::scope(|scope| {
            let step = || {
                let mut batch = Batch::new();
                batch.expect_equals(Table::Head, "n", n.to_string());
                batch.set(Table::Head, "n", (n + 1).to_string());
                store.commit(batch)
            };
            let tries: Vec<_> = (0..16).map(|_| scope.spawn(step)).collect();
            let answers = tries.into_iter().map(|t| t.join().unwrap());
            answers.flatten().count()
        });
        assert_eq!(winners, 1);
    }
    assert_eq!(store.get(Table::Head, b"n").unwrap().unwrap(), b"10");
}

#[test]
fn readers_see_a_batch_wholly_or_not_at_all() {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _end = steps::End(&done);
            for n in 0..100_u8 {
                let mut batch = Batch::new();
                for key in 0..40_u8 {
                    batch.set(Table::Chain, [key], [n]);
                }
                store.commit(batch).unwrap();
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let items = store.scan(Table::Chain, &[], None, 99).unwrap();
                    let first = items.first().map(|(_, v)| v.clone());
                    assert!(items.is_empty() || items.len() == 40);
                    assert!(items.iter().all(|(_, v)| Some(v) == first.as_ref()));
                }
            });
        }
    });
}

#[test]
fn a_second_opening_is_refused_with_the_remedy() {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    let error = SledStore::open(home.path(), OWNER, small()).unwrap_err();
    assert_eq!(error.code(), "store-locked");
    assert!(error.to_string().contains("stop that one"));
    drop(store);
    open(home.path());
}

#[test]
fn the_store_of_another_owner_is_refused() {
    let home = TempDir::new().unwrap();
    drop(open(home.path()));
    let error = SledStore::open(home.path(), b"another", small()).unwrap_err();
    assert_eq!(error.code(), "store-owner");
    open(home.path());
}

#[test]
fn every_commit_expects_the_owner() {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    let mut batch = Batch::new();
    batch.set(Table::Meta, OWNER_KEY, "restored elsewhere");
    store.commit(batch).unwrap();
    let told = store.commit(one("a", "1"));
    assert!(matches!(told, Err(CommitError::Conflict { key }) if key.key == OWNER_KEY));
}

#[test]
fn a_damaged_value_is_told_and_others_are_read() {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    store.commit(one("a", "1")).unwrap();
    store.commit(one("b", "2")).unwrap();
    let key = raw_key(Table::Head, b"a");
    {
        let state = store.shared.read();
        let db = state.db().unwrap();
        let mut stored = db.get(&key).unwrap().unwrap().to_vec();
        *stored.last_mut().unwrap() ^= 1;
        db.insert(&key, stored).unwrap();
    }
    let error = store.get(Table::Head, b"a").unwrap_err();
    assert_eq!(error.code(), "store-damaged");
    assert!(store.scan(Table::Head, b"", None, 9).is_err());
    assert_eq!(store.get(Table::Head, b"b").unwrap().unwrap(), b"2");
    let mut batch = Batch::new();
    batch.expect_present(Table::Head, "a");
    let told = store.commit(batch).unwrap_err();
    assert_eq!(told.code(), "store-damaged");
    store.commit(one("a", "mended")).unwrap();
    assert_eq!(store.get(Table::Head, b"a").unwrap().unwrap(), b"mended");
}

#[test]
fn new_work_is_refused_before_the_disk_is_full() {
    let home = TempDir::new().unwrap();
    open(home.path()).commit(one("a", "1")).unwrap();
    let options = Options { free_bytes_min: u64::MAX, ..small() };
    let store = SledStore::open(home.path(), OWNER, options).unwrap();
    let told = store.commit(one("a", "2")).unwrap_err();
    assert_eq!(told.code(), "store-full");
    assert_eq!(store.get(Table::Head, b"a").unwrap().unwrap(), b"1");
    assert_eq!(store.health(), Health::Good);
}

#[test]
fn the_largest_values_never_leave_the_synced_file() {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    let mut dice = Dice(1);
    for _ in 0..6 {
        let mut batch = Batch::new();
        for _ in 0..100 {
            let key = dice.below(300).to_be_bytes();
            batch.set(Table::Staged, key, vec![1; VALUE_BYTES_MAX]);
        }
        store.commit(batch).unwrap();
        let mut batch = Batch::new();
        for _ in 0..80 {
            batch.delete(Table::Staged, dice.below(300).to_be_bytes());
        }
        store.commit(batch).unwrap();
        let blobs = home.path().join("sled/blobs");
        assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0);
    }
}
