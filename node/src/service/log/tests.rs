#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use yunling_protocol::log::life::LifeRecord;
use yunling_protocol::log::tile::{Tile, decode_entries};
use yunling_protocol::message::Life;
use yunling_protocol::recovery::fence;

use super::*;
use crate::home::Home;
use crate::person::Person;
use crate::service::volunteers::{CONSENT_BASIS, consent_to_record};

fn open(path: &Path) -> Node {
    Node::open(Home::open(path).unwrap()).unwrap()
}

fn register(node: &Node, name: &str) {
    let person = Person { name: name.into(), citizen_id: None, contact: None };
    node.register(&person, &consent_to_record(CONSENT_BASIS)).unwrap();
}

fn entries(node: &Node, generation: u64) -> Vec<Entry> {
    let size = node.log_head(generation).unwrap().unwrap().frontier.size();
    let folder = node.log_folder(generation);
    let (bundle, _) = Tile::bundle_of(size - 1, size).unwrap();
    let bytes = folder.tile(bundle).unwrap().unwrap();
    let entries = decode_entries(&bytes, bundle.width).unwrap();
    entries.into_iter().map(|bytes| Entry::decode(bytes).unwrap()).collect()
}

#[test]
fn what_is_signed_is_logged_once_also_when_the_log_is_late_or_its_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kunming");
    Home::init(&path, "kunming", "530100", true).unwrap();
    let node = open(&path);
    register(&node, "甲");
    // Stopped before the log was taken: what waits is durable.
    assert_eq!(entries(&node, 1).len(), 1, "the life alone");
    drop(node);
    std::fs::remove_dir_all(path.join("log")).unwrap();
    let node = open(&path);
    register(&node, "乙");
    while node.sequence().unwrap() {}
    let logged = entries(&node, 1);
    let ids: BTreeSet<_> = logged.iter().filter_map(|entry| entry.id().copied()).collect();
    assert_eq!((logged.len(), ids.len()), (3, 3), "the life and two consents: {logged:?}");
    // The same statements stored again are not logged again.
    let stored = node.scan(Table::Statement, b"", None, 10).unwrap();
    let mut batch = Batch::default();
    for (key, bytes) in stored {
        batch.put.push(Put::Set(Key::new(Table::Statement, key), bytes));
    }
    node.commit(batch).unwrap();
    while node.sequence().unwrap() {}
    assert_eq!(entries(&node, 1).len(), 3);
    assert_eq!(node.log_figures().unwrap()["waiting"], 0);
}

#[test]
fn another_life_begins_another_log_that_names_the_head_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kunming");
    Home::init(&path, "kunming", "530100", true).unwrap();
    let node = open(&path);
    register(&node, "甲");
    while node.sequence().unwrap() {}
    let before = node.log_head(1).unwrap().unwrap();
    let life = Life { generation: 4, mark: [7; 16] };
    let mut batch = Batch::default();
    set(&mut batch, fence::life_key(), fence::encode_life(life));
    node.commit(batch).unwrap();
    drop(node);

    let node = open(&path);
    register(&node, "乙");
    while node.sequence().unwrap() {}
    let key = rows::life_key(4);
    let record = LifeRecord::decode(&node.get(key.table, &key.key).unwrap().unwrap()).unwrap();
    let (closed, size, root) = record.closes.clone().unwrap();
    assert_eq!((closed.generation, size, root), (1, before.frontier.size(), before.frontier.root()));
    let later = entries(&node, 4);
    assert_eq!((later.len(), later[0]), (2, record.entry()), "what the first log has is not logged again");
    // The closed log stays, and is served.
    assert!(node.log_file(1, "checkpoint").unwrap().is_some());
    assert!(node.log_file(4, "life").unwrap().is_some());
}
