//! What the tally tells, and what it bears: older states, missing files, stores of 0.1.0.

use std::fs;

use super::*;
use crate::store::sled::record::encode;
use crate::store::sled::tally::TALLY_KEY;

fn engine(folder: &Path) -> ::sled::Db {
    let config = ::sled::Config::new().segment_size(home::SEGMENT_BYTES).flush_every_ms(None);
    let config = config.path(folder.join("sled"));
    // The threads of an engine that was just closed may hold the lock of its file for a moment.
    let mut tries = (0..200).map(|_| {
        thread::sleep(Duration::from_millis(20));
        config.open()
    });
    tries.find_map(Result::ok).unwrap()
}

fn refused(folder: &Path) -> String {
    let error = SledStore::open(folder, OWNER, small()).unwrap_err();
    assert_eq!(error.code(), "store-lost", "{error}");
    error.to_string()
}

fn filled() -> TempDir {
    let home = TempDir::new().unwrap();
    let store = open(home.path());
    store.commit(one("a", "1")).unwrap();
    store.commit(one("b", "2")).unwrap();
    home
}

#[test]
fn rows_that_the_engine_lost_are_missed() {
    let home = filled();
    let db = engine(home.path());
    let key = raw_key(Table::Head, b"a");
    let old = db.remove(&key).unwrap().unwrap();
    db.flush().unwrap();
    drop(db);
    assert!(refused(home.path()).contains("table head has 1 records, it had 2"));
    let db = engine(home.path());
    db.insert(&key, encode(&key, b"older")).unwrap();
    db.flush().unwrap();
    drop(db);
    assert!(refused(home.path()).contains("table head has other records"));
    let db = engine(home.path());
    db.insert(&key, old).unwrap();
    db.flush().unwrap();
    drop(db);
    assert_eq!(open(home.path()).get(Table::Head, b"a").unwrap().unwrap(), b"1");
}

#[test]
fn a_damaged_record_does_not_keep_the_store_shut() {
    let home = filled();
    let db = engine(home.path());
    let key = raw_key(Table::Head, b"a");
    let mut stored = db.get(&key).unwrap().unwrap().to_vec();
    stored[3] ^= 1;
    db.insert(&key, stored).unwrap();
    db.flush().unwrap();
    drop(db);
    let store = open(home.path());
    assert_eq!(store.get(Table::Head, b"a").unwrap_err().code(), "store-damaged");
    assert_eq!(store.get(Table::Head, b"b").unwrap().unwrap(), b"2");
    store.commit(one("a", "mended")).unwrap();
    drop(store);
    assert_eq!(open(home.path()).get(Table::Head, b"a").unwrap().unwrap(), b"mended");
}

#[test]
fn a_damaged_record_does_not_hide_that_another_is_older() {
    let home = filled();
    let db = engine(home.path());
    let key = raw_key(Table::Head, b"a");
    let mut stored = db.get(&key).unwrap().unwrap().to_vec();
    stored[3] ^= 1;
    db.insert(&key, stored).unwrap();
    let other = raw_key(Table::Head, b"b");
    db.insert(&other, encode(&other, b"older")).unwrap();
    db.flush().unwrap();
    drop(db);
    assert!(refused(home.path()).contains("table head has other records"));
}

#[test]
fn an_older_engine_folder_under_a_newer_tally_is_refused() {
    let home = filled();
    let older = home.path().join("older");
    fs::create_dir_all(older.join("blobs")).unwrap();
    for entry in fs::read_dir(home.path().join("sled")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, older.join(path.file_name().unwrap())).unwrap();
        }
    }
    open(home.path()).commit(one("c", "3")).unwrap();
    fs::rename(home.path().join("sled"), home.path().join("newer")).unwrap();
    fs::rename(&older, home.path().join("sled")).unwrap();
    let told = refused(home.path());
    assert!(told.contains("4 groups were written, the last one there is 3"), "{told}");
    // Again, after the engine has written what it makes of it.
    refused(home.path());
    fs::remove_dir_all(home.path().join("sled")).unwrap();
    assert!(refused(home.path()).contains("none of them is there"));
}

#[test]
fn a_tally_file_that_is_behind_is_borne_and_one_that_is_gone_is_not() {
    let home = filled();
    let file = home.path().join("tally");
    let behind = fs::read(&file).unwrap();
    open(home.path()).commit(one("c", "3")).unwrap();
    fs::write(&file, behind).unwrap();
    assert_eq!(open(home.path()).get(Table::Head, b"c").unwrap().unwrap(), b"3");
    fs::write(&file, b"").unwrap();
    assert!(refused(home.path()).contains("file tally is damaged"));
    fs::remove_file(&file).unwrap();
    assert!(refused(home.path()).contains("file tally is missing"));
}

#[test]
fn a_store_of_0_1_0_gets_its_tally_and_is_then_closed_to_0_1_0() {
    let home = TempDir::new().unwrap();
    let owner = raw_key(Table::Meta, OWNER_KEY);
    let row = raw_key(Table::Head, b"a");
    let db = engine(home.path());
    let mut first_form = encode(&owner, OWNER);
    first_form[0] = 1;
    db.insert(&owner, first_form).unwrap();
    db.insert(&row, encode(&row, b"1")).unwrap();
    db.flush().unwrap();
    drop(db);
    let store = open(home.path());
    assert_eq!(store.get(Table::Head, b"a").unwrap().unwrap(), b"1");
    drop(store);
    let db = engine(home.path());
    assert!(db.get(TALLY_KEY).unwrap().is_some());
    assert_eq!(db.get(&owner).unwrap().unwrap()[0], 3, "0.1.0 knows only version 1");
    db.remove(&row).unwrap();
    db.flush().unwrap();
    drop(db);
    refused(home.path());
}

/// Changes the form in the owner's record, as a program of another version writes it, and counts it.
fn set_form(folder: &Path, form: u8) {
    let owner = raw_key(Table::Meta, OWNER_KEY);
    let db = engine(folder);
    let mut stored = db.get(&owner).unwrap().unwrap().to_vec();
    stored[0] = form;
    db.insert(&owner, stored).unwrap();
    db.flush().unwrap();
}

fn form_of(folder: &Path) -> u8 {
    engine(folder).get(raw_key(Table::Meta, OWNER_KEY)).unwrap().unwrap()[0]
}

#[test]
fn a_store_of_0_2_0_is_brought_to_the_form_that_0_2_0_refuses() {
    let home = filled();
    set_form(home.path(), 2);
    fs::remove_file(home.path().join("form")).unwrap();
    assert!(crate::store::is_older(home.path()));
    let store = open(home.path());
    assert_eq!(store.get(Table::Head, b"a").unwrap().unwrap(), b"1");
    store.commit(one("d", "4")).unwrap();
    drop(store);
    // 0.2.0 knows 1 and 2 there, and reads it before it writes.
    assert_eq!(form_of(home.path()), 3);
    assert_eq!(fs::read(home.path().join("form")).unwrap(), b"3\n");
    assert!(!crate::store::is_older(home.path()));
    assert_eq!(open(home.path()).get(Table::Head, b"d").unwrap().unwrap(), b"4");
}

#[test]
fn a_cut_between_record_and_file_is_made_good() {
    let home = filled();
    fs::remove_file(home.path().join("form")).unwrap();
    fs::write(home.path().join("form.new"), b"3").unwrap();
    assert_eq!(open(home.path()).get(Table::Head, b"a").unwrap().unwrap(), b"1");
    assert_eq!(fs::read(home.path().join("form")).unwrap(), b"3\n");
}

#[test]
fn a_store_of_a_newer_form_is_refused_and_left_as_it_is() {
    let home = filled();
    let all = |folder: &Path| -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let files =
            [folder.to_path_buf(), folder.join("sled")].into_iter().flat_map(|f| fs::read_dir(f).unwrap());
        let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let mut all: Vec<_> = files.map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
        all.sort();
        all
    };
    fs::write(home.path().join("form"), b"4\n").unwrap();
    let before = all(home.path());
    let code = || SledStore::open(home.path(), OWNER, small()).unwrap_err().code();
    assert_eq!(code(), "store-newer");
    let held = Damaged::hold(home.path(), small()).unwrap_err();
    assert_eq!(held.code(), "store-newer", "a repair would throw away what it does not know");
    assert!(all(home.path()) == before, "not even the engine was opened");
    // Without the file the owner's record says it.
    set_form(home.path(), 4);
    fs::remove_file(home.path().join("form")).unwrap();
    assert_eq!(code(), "store-newer");
    // A byte that says so against the file is damage.
    fs::write(home.path().join("form"), b"3\n").unwrap();
    assert_eq!(code(), "store-damaged");
    set_form(home.path(), 3);
    assert_eq!(open(home.path()).get(Table::Head, b"a").unwrap().unwrap(), b"1");
}

#[test]
fn a_new_store_whose_making_was_cut_off_is_made() {
    let home = TempDir::new().unwrap();
    drop(engine(home.path()));
    tally::file::TallyFile::make(home.path()).unwrap();
    drop(open(home.path()));
    open(home.path()).commit(one("a", "1")).unwrap();
}

#[test]
fn what_an_opening_left_half_done_does_not_keep_the_store_shut() {
    let home = filled();
    let engine_folder = home.path().join("sled");
    for half in [true, false] {
        drop(open(home.path()));
        let notes = fs::read_dir(&engine_folder).unwrap().map(|entry| entry.unwrap().path());
        let newest = notes.filter(|path| path.to_string_lossy().contains("snap.")).max().unwrap();
        let mut bytes = fs::read(&newest).unwrap();
        bytes.truncate(if half { bytes.len() / 2 } else { bytes.len() });
        let generating = engine_folder.join("snap.00000000FFFFFFFF.generating");
        fs::write(&generating, bytes).unwrap();
        fs::create_dir(home.path().join("opening")).unwrap();
        fs::write(home.path().join("opening/db"), b"half a copy").unwrap();
        assert_eq!(open(home.path()).get(Table::Head, b"a").unwrap().unwrap(), b"1");
        assert!(!generating.exists() && !home.path().join("opening").exists());
    }
}
