//! The full check: what it counts, what it names, and that it says so of a loss.

use yunling_protocol::statement::id_of;

use super::*;
use crate::store::sled::record::encode;

fn filled() -> (TempDir, SledStore) {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    for n in 0..300_u16 {
        let bytes = n.to_be_bytes();
        let mut batch = Batch::new();
        batch.set(Table::Statement, [&[7; 16][..], &id_of(&bytes).0].concat(), bytes);
        batch.set(Table::Head, bytes, "head");
        store.commit(batch).unwrap();
    }
    (home, store)
}

fn change(store: &SledStore, table: Table, key: &[u8], put: Option<&[u8]>) {
    let key = raw_key(table, key);
    let state = store.shared.read();
    let db = state.db().unwrap();
    match put {
        Some(value) => db.insert(&key, encode(&key, value)).unwrap(),
        None => db.remove(&key).unwrap(),
    };
}

#[test]
fn a_right_store_is_good_and_every_row_is_met() {
    let (_home, store) = filled();
    let mut last = (0, 0);
    let checked = store.check(|done, all| last = (done, all)).unwrap();
    // With the owner.
    assert_eq!((checked.rows, last), (601, (601, 601)));
    assert!(checked.is_good() && checked.counted, "{checked:?}");
}

#[test]
fn a_statement_under_another_id_and_a_damaged_row_are_named() {
    let (_home, store) = filled();
    let key = [&[7; 16][..], &id_of(&[0, 5]).0].concat();
    change(&store, Table::Statement, &key, Some(&[0, 6]));
    {
        let raw = raw_key(Table::Head, &[0, 9]);
        let state = store.shared.read();
        let mut stored = state.get(&raw).unwrap().unwrap();
        *stored.last_mut().unwrap() ^= 1;
        state.db().unwrap().insert(&raw, stored).unwrap();
    }
    let checked = store.check(|_, _| {}).unwrap();
    assert_eq!(checked.damaged, 2);
    assert_eq!(checked.named, [Key::new(Table::Head, [0, 9]), Key::new(Table::Statement, key)]);
    let missing = checked.missing.unwrap();
    assert!(missing.contains("table statement has other records"), "{missing}");
}

#[test]
fn a_lost_row_is_missed() {
    let (_home, store) = filled();
    change(&store, Table::Head, &[0, 9], None);
    let checked = store.check(|_, _| {}).unwrap();
    assert_eq!(checked.missing.as_deref(), Some("table head has 299 records, it had 300"));
    assert!(!checked.is_good());
}

#[test]
fn writes_go_on_during_a_check() {
    let (_home, store) = filled();
    let mut n = 0_u32;
    let write = |_, _| {
        n += 1;
        store.commit(one("meanwhile", &n.to_string())).unwrap();
    };
    let checked = store.check(write).unwrap();
    assert!(checked.is_good() && !checked.counted, "{checked:?}");
}
