//! What becomes of a group when the engine fails half-way: each fate is made by hand here.

#![allow(clippy::unwrap_used)]

use tempfile::TempDir;
use yunling_protocol::store::{Batch, Read, Store, Table};

use super::super::whole::begin;
use super::super::{Options, SledStore};
use super::*;

fn open(home: &TempDir) -> SledStore {
    let options = Options { ballast_bytes: 0, ..Options::default() };
    let store = SledStore::open(home.path(), b"owner", options).unwrap();
    let mut batch = Batch::new();
    batch.set(Table::Head, "a", "old").set(Table::Head, "b", "old");
    store.commit(batch).unwrap();
    store
}

/// A writer to fail by hand, in place of the store's own, which would mend what it finds.
fn writer(store: &mut SledStore) -> Writer {
    store.shared.queue.close();
    store.writer.take().unwrap().join().unwrap();
    let state = store.shared.read();
    let begun = begin(&store.shared.home, &state, b"owner").unwrap();
    drop(state);
    Writer::new(Arc::clone(&store.shared), begun)
}

const TALLY: &str = "\0";

fn values(pairs: &[(&str, Option<&str>)]) -> Values {
    let raw = |(key, value): &(&str, Option<&str>)| {
        let key = raw_key(Table::Head, key.as_bytes());
        let stored = value.map(|value| encode(&key, value.as_bytes()));
        (key, stored)
    };
    pairs.iter().map(raw).collect()
}

fn shown(store: &SledStore) -> Vec<String> {
    let items = store.scan(Table::Head, &[], None, 9).unwrap();
    items.into_iter().map(|(key, value)| String::from_utf8([key, value].concat()).unwrap()).collect()
}

/// Leaves `applied` of the group a=new, b=gone, c=new in the tree, as a failed write would.
fn fail_after(store: &mut SledStore, applied: &[&str], answered: bool) -> Writer {
    let mut group = values(&[("a", Some("new")), ("b", None), ("c", Some("new"))]);
    let mut undo = values(&[("a", Some("old")), ("b", Some("old")), ("c", None)]);
    let mut writer = writer(store);
    writer.count(&mut undo, &mut group).unwrap();
    store.shared.write().cover(undo);
    let part = group
        .iter()
        .filter(|(key, _)| applied.iter().any(|a| key.ends_with(a.as_bytes())))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    writer.apply(&part).unwrap();
    assert_eq!(shown(store), ["aold", "bold"], "a failed group is shown");
    writer.wait_for("test");
    writer.pending = Some(Pending { puts: group, answered });
    writer
}

#[test]
fn a_group_that_did_not_arrive_is_gone() {
    let home = TempDir::new().unwrap();
    let mut store = open(&home);
    let mut writer = fail_after(&mut store, &[], false);
    assert_eq!(writer.heal(), Fate::Gone);
    assert_eq!(shown(&store), ["aold", "bold"]);
    assert_eq!(store.health(), Health::Good);
}

#[test]
fn a_group_that_arrived_whole_is_durable() {
    let home = TempDir::new().unwrap();
    let mut store = open(&home);
    let mut writer = fail_after(&mut store, &["a", "b", "c", TALLY], false);
    assert_eq!(writer.heal(), Fate::Durable);
    assert_eq!(shown(&store), ["anew", "cnew"]);
}

#[test]
fn a_torn_group_is_taken_back() {
    let home = TempDir::new().unwrap();
    let mut store = open(&home);
    let mut writer = fail_after(&mut store, &["a", "b"], false);
    assert_eq!(writer.heal(), Fate::Gone);
    assert_eq!(shown(&store), ["aold", "bold"]);
}

#[test]
fn a_group_that_was_answered_with_an_error_is_taken_back() {
    let home = TempDir::new().unwrap();
    let mut store = open(&home);
    let mut writer = fail_after(&mut store, &["a", "b", "c", TALLY], true);
    assert_eq!(writer.heal(), Fate::Gone);
    drop(writer);
    assert_eq!(shown(&store), ["aold", "bold"]);
    drop(store);
    let options = Options::default();
    let store = SledStore::open(home.path(), b"owner", options).unwrap();
    assert_eq!(shown(&store), ["aold", "bold"]);
}

#[test]
fn an_engine_that_lost_a_record_while_it_was_reopened_is_given_up() {
    let home = TempDir::new().unwrap();
    let mut store = open(&home);
    let mut writer = writer(&mut store);
    let lose = |db: &::sled::Db| db.remove(raw_key(Table::Head, b"b")).and_then(|_| db.flush());
    store.shared.read().call(lose).unwrap();
    assert_eq!(writer.heal(), Fate::Unknown);
    let told = store.get(Table::Head, b"a").unwrap_err().to_string();
    assert!(told.contains("table head has 1 records, it had 2"), "{told}");
    assert_eq!(writer.ready().unwrap_err().code(), "store-engine");
    assert!(matches!(store.health(), Health::Stopped { .. }));
}

#[test]
fn a_failed_sync_stops_writes_and_keeps_reads() {
    let home = TempDir::new().unwrap();
    let mut store = open(&home);
    let mut writer = writer(&mut store);
    writer.watch(Box::new(|| Err(std::io::Error::other("no disk"))));
    let told = writer.write(values(&[("a", Some("new"))])).unwrap_err().to_string();
    assert!(told.contains("no disk"), "{told}");
    assert_eq!(shown(&store), ["aold", "bold"], "a group that the disk may not keep is shown");
    assert!(writer.ready().is_err());
}

#[test]
fn after_a_panic_the_engine_is_not_called_any_more() {
    let home = TempDir::new().unwrap();
    let mut store = open(&home);
    let mut writer = writer(&mut store);
    let panics = |_: &::sled::Db| -> Result<(), ::sled::Error> { panic!("broken on purpose") };
    let fault = store.shared.read().call(panics).unwrap_err();
    let (error, _) = writer.failed(fault, Values::new()).unwrap_err();
    assert!(error.to_string().contains("broken on purpose"));
    assert!(error.to_string().contains("start the node again"));
    for told in [
        store.get(Table::Head, b"a").unwrap_err(),
        store.scan(Table::Head, &[], None, 9).unwrap_err(),
        store.last(Table::Head, &[]).unwrap_err(),
    ] {
        assert!(told.to_string().contains("broken on purpose"), "{told}");
    }
    assert_eq!(writer.ready().unwrap_err().code(), "store-engine");
    assert!(matches!(store.health(), Health::Stopped { .. }));
    drop((store, writer));
}

#[test]
fn a_panic_while_reading_ends_writing_too() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    let panics = |_: &::sled::Db| -> Result<(), ::sled::Error> { panic!("broken on purpose") };
    store.shared.read().call(panics).unwrap_err();
    let mut batch = Batch::new();
    batch.set(Table::Head, "a", "new");
    let told = store.commit(batch).unwrap_err().to_string();
    assert!(told.contains("broken on purpose"), "{told}");
    assert!(matches!(store.health(), Health::Stopped { .. }));
}
