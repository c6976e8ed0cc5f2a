#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use yunling_protocol::store::{Batch, Key, Put, Read as _, Snapshot, Store, Table};

use super::super::state::State;
use super::super::tests::small;
use super::{Kept, SledStore, Values};

fn put(n: u32, value: &str) -> Batch {
    let mut batch = Batch::default();
    batch.set(Table::Chain, n.to_be_bytes(), value.as_bytes());
    batch
}

fn all(snapshot: &mut dyn Snapshot, limit: usize) -> Vec<(Key, Vec<u8>)> {
    let mut out = Vec::new();
    loop {
        let page = snapshot.next(limit).unwrap();
        if page.is_empty() {
            return out;
        }
        out.extend(page);
    }
}

#[test]
fn a_snapshot_shows_one_state_whatever_is_written_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path(), b"me", small()).unwrap();
    for n in 0..40 {
        store.commit(put(n * 2, "old")).unwrap();
    }
    let mut snapshot = store.snapshot().unwrap();
    assert!(store.snapshot().is_err(), "one at a time");
    let mut found = snapshot.next(10).unwrap();
    for n in 0..80 {
        // Changed, added and deleted, before and behind what was read.
        store.commit(put(n, "new")).unwrap();
        store.commit(put(n, "newer")).unwrap();
        if n % 4 == 0 {
            let mut batch = Batch::default();
            batch.put.push(Put::Delete(Key::new(Table::Chain, n.to_be_bytes())));
            store.commit(batch).unwrap();
        }
        if n % 7 == 0 {
            found.extend(snapshot.next(3).unwrap());
        }
    }
    found.extend(all(snapshot.as_mut(), 5));
    let chain: Vec<_> = found.iter().filter(|(k, _)| k.table == Table::Chain).collect();
    assert_eq!(chain.len(), 40);
    for (n, (key, value)) in (0u32..).zip(chain) {
        assert_eq!((key.key.as_slice(), value.as_slice()), (&(n * 2).to_be_bytes()[..], &b"old"[..]));
    }
    drop(snapshot);
    let now: BTreeMap<_, _> =
        all(store.snapshot().unwrap().as_mut(), 4096).into_iter().map(|(k, v)| (k.key, v)).collect();
    assert_eq!(now.get(&2u32.to_be_bytes()[..]).map(Vec::as_slice), Some(&b"newer"[..]));
    assert_eq!(now.get(&4u32.to_be_bytes()[..]), None);
}

#[test]
fn a_group_that_is_not_durable_yet_is_in_no_snapshot_even_when_it_is_later() {
    let db = ::sled::Config::new().temporary(true).open().unwrap();
    for key in [[4, 1], [4, 2]] {
        db.insert(key, "new").unwrap();
    }
    let mut state = State::new(db);
    state.cover(Values::from([(vec![4, 1], Some(b"old".to_vec())), (vec![4, 2], None)]));
    assert!(state.begin_snapshot());
    state.uncover();
    assert_eq!(state.snapshot_items(9).unwrap(), [(vec![4, 1], b"old".to_vec())]);
    state.end_snapshot();
    assert!(state.begin_snapshot());
    assert_eq!(state.snapshot_items(9).unwrap().len(), 2);
}

#[test]
fn what_was_read_is_forgotten_and_too_much_ends_the_snapshot() {
    let undo = |n: u8, bytes: usize| Values::from([(vec![4, n], Some(vec![0; bytes]))]);
    let mut kept = Kept::new(&Values::new());
    kept.keep(&undo(1, 10));
    kept.keep(&undo(2, 10));
    kept.keep(&undo(2, 99));
    kept.read_to(&[4, 1]);
    assert_eq!((kept.ahead().count(), kept.bytes), (1, 2 + 10 + super::ENTRY_BYTES));
    kept.keep(&undo(1, 10));
    assert_eq!(kept.ahead().count(), 1, "behind the cursor nothing is kept");
    kept.keep(&undo(3, super::KEPT_BYTES_MAX));
    assert!(kept.outrun);
}

/// Four writers move one number between far-apart records in one batch each; a mixture of two
/// moments would show another sum.
#[test]
fn a_batch_of_another_thread_is_in_a_snapshot_wholly_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path(), b"me", small()).unwrap();
    let keys = 200u32;
    let value = |n: u64| n.to_be_bytes().to_vec();
    let mut batch = Batch::default();
    for n in 0..keys {
        batch.set(Table::Chain, n.to_be_bytes(), value(1_000));
    }
    store.commit(batch).unwrap();
    let stop = AtomicBool::new(false);
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    let (moves, seen) = std::thread::scope(|scope| {
        let mover = |seed: u32| {
            let (mut dice, mut moves) = (seed | 1, 0u32);
            while !stop.load(Ordering::Acquire) {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (a, b) = ((dice >> 8) % keys, (dice >> 16) % keys);
                let read = |n: u32| store.get(Table::Chain, &n.to_be_bytes()).unwrap().unwrap();
                let (from, to) = (read(a), read(b));
                if a == b || number(&from) == 0 {
                    continue;
                }
                let mut batch = Batch::default();
                batch.expect_equals(Table::Chain, a.to_be_bytes(), from.clone());
                batch.expect_equals(Table::Chain, b.to_be_bytes(), to.clone());
                batch.set(Table::Chain, a.to_be_bytes(), value(number(&from) - 1));
                batch.set(Table::Chain, b.to_be_bytes(), value(number(&to) + 1));
                moves += u32::from(store.commit(batch).is_ok());
            }
            moves
        };
        let movers: Vec<_> = (1..5u32).map(|n| scope.spawn(move || mover(n * 7919))).collect();
        let seen: Vec<_> = (0..30)
            .map(|_| {
                let mut snapshot = store.snapshot().unwrap();
                let mut sum = 0;
                loop {
                    let page = snapshot.next(7).unwrap();
                    if page.is_empty() {
                        break sum;
                    }
                    let chain = page.iter().filter(|(k, _)| k.table == Table::Chain);
                    sum += chain.map(|(_, v)| number(v)).sum::<u64>();
                    std::thread::sleep(Duration::from_micros(200));
                }
            })
            .collect();
        stop.store(true, Ordering::Release);
        (movers.into_iter().map(|m| m.join().unwrap()).sum::<u32>(), seen)
    });
    assert!(moves > 100, "only {moves} moves: the writers did not write");
    assert!(seen.iter().all(|sum| *sum == u64::from(keys) * 1_000), "{moves} moves, sums {seen:?}");
    println!("30 snapshots during {moves} batches");
}

/// How long writers wait while a snapshot is read, against the same without one.
#[test]
fn writers_do_not_wait_for_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path(), b"me", small()).unwrap();
    let rows = 40_000u32;
    for start in (0..rows).step_by(4_000) {
        let mut batch = Batch::default();
        for n in start..start + 4_000 {
            batch.set(Table::Statement, n.to_be_bytes(), vec![7; 400]);
        }
        store.commit(batch).unwrap();
    }
    let writes = |stop: &AtomicBool| {
        let mut waits = Vec::new();
        let began = Instant::now();
        while !stop.load(Ordering::Acquire) && began.elapsed() < Duration::from_secs(20) {
            let one = Instant::now();
            // Never the same bytes twice: an unchanged record is not written at all.
            let value = format!("{one:?}");
            store.commit(put(waits.len() as u32, &value)).unwrap();
            waits.push(one.elapsed());
        }
        waits.sort();
        waits
    };
    let stop = AtomicBool::new(false);
    let (quiet, busy, read, took) = std::thread::scope(|scope| {
        let quiet = scope.spawn(|| writes(&stop));
        std::thread::sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Release);
        let quiet = quiet.join().unwrap();
        stop.store(false, Ordering::Release);
        let busy = scope.spawn(|| writes(&stop));
        let began = Instant::now();
        let mut read = 0;
        // Read at the pace of an encrypting, syncing reader: a page, then the writers' turn.
        let mut snapshot = store.snapshot().unwrap();
        loop {
            let page = snapshot.next(128).unwrap();
            if page.is_empty() {
                break;
            }
            read += page.len();
        }
        let took = began.elapsed();
        drop(snapshot);
        stop.store(true, Ordering::Release);
        (quiet, busy.join().unwrap(), read, took)
    });
    assert!(read >= rows as usize);
    let at =
        |waits: &[Duration], part: usize| waits.get(waits.len() * part / 100).copied().unwrap_or_default();
    println!(
        "snapshot of {read} records in {took:?}; commits without: median {:?} max {:?}; during: {} commits, median {:?} max {:?}",
        at(&quiet, 50),
        quiet.last(),
        busy.len(),
        at(&busy, 50),
        busy.last()
    );
    // A writer that waited for the whole reading would have made one commit at most.
    assert!(busy.len() > 1 || took < Duration::from_millis(50), "writers stood still for {took:?}");
}
