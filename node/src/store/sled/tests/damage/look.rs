//! A store to damage, and what is read from a damaged one: by the engine alone and by the store.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Mutex;

use yunling_protocol::store::scan_all;

use super::super::*;
use super::harm::copy;
use super::{OURS, PLAIN};
use crate::store::sled::tally::TALLY_KEY;

/// Values by raw key.
pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Makes in `home` the store `whole` of some segments, `older` as it was before the last round,
/// and a list of the right rows.
pub(super) fn make(home: &Path) {
    let folder = home.join("whole");
    for round in 0..4_u8 {
        if round == 3 {
            copy(&folder, &home.join("older"));
        }
        let store = open_with_ballast(&folder).unwrap();
        for n in 0..if round == 3 { 200 } else { 60_u8 } {
            let mut batch = Batch::new();
            batch.set(Table::Head, [n % 20], [round, n]);
            batch.insert(Table::Statement, [n, round], vec![n; 700]);
            batch.insert(Table::Chain, [n, round], [n; 32]);
            // The last round fills some segments that no notes of the engine know: it writes
            // them only when it is opened, and a node runs for months.
            if n % 2 == 0 || round == 3 {
                batch.set(Table::Profile, [n], vec![round; 60_000]);
            }
            if n % 3 == 0 && round > 0 {
                batch.delete(Table::Statement, [n, round - 1]);
            }
            store.commit(batch).unwrap();
        }
        if round == 3 {
            let mut list = Vec::new();
            for (key, value) in all(&store).unwrap() {
                for part in [key, value] {
                    list.extend_from_slice(&(part.len() as u32).to_be_bytes());
                    list.extend_from_slice(&part);
                }
            }
            fs::write(home.join("right"), list).unwrap();
        }
    }
}

/// The rows of the store that [`make`] made.
pub(super) fn right(home: &Path) -> Rows {
    let list = fs::read(home.join("right")).unwrap();
    let mut rest = list.as_slice();
    let mut part = || {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let (part, after) = after.split_at(u32::from_be_bytes(*len) as usize);
        rest = after;
        Some(part.to_vec())
    };
    std::iter::from_fn(|| Some((part()?, part()?))).collect()
}

fn open_with_ballast(folder: &Path) -> Result<SledStore, OpenError> {
    // A small one: every case copies it.
    SledStore::open(folder, OWNER, Options { ballast_bytes: 64 * 1024, free_bytes_min: 0, ..small() })
}

/// Words of the panics in any thread of this process since the last call.
fn panics() -> Vec<String> {
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
        let place = place.rsplit("src/").next().unwrap_or_default().to_owned();
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }));
    std::mem::take(&mut SEEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// How the engine alone bears the damage.
pub(super) fn plain(folder: &Path, right: &Rows) -> &'static str {
    panics();
    let config = ::sled::Config::new().segment_size(home::SEGMENT_BYTES).flush_every_ms(None);
    let config = config.path(folder.join("sled"));
    let looked = catch_unwind(AssertUnwindSafe(|| -> Result<Rows, ::sled::Error> {
        let db = config.open()?;
        let mut rows = Rows::new();
        for row in db.iter() {
            let (key, stored) = row?;
            if *key != *TALLY_KEY {
                rows.insert(key.to_vec(), stored.get(9..).unwrap_or_default().to_vec());
            }
        }
        db.insert("after", "damage")?;
        db.flush()?;
        Ok(rows)
    }));
    let met = panics();
    if let Some(first) = met.first() {
        println!("\nDETAIL panic at {first}");
    }
    match looked {
        _ if !met.is_empty() => PLAIN[0],
        Ok(Ok(rows)) if rows == *right => PLAIN[3],
        Ok(Ok(_)) => PLAIN[1],
        Ok(Err(_)) => PLAIN[2],
        Err(_) => PLAIN[0],
    }
}

/// How the store bears the damage; an error says what is wrong.
pub(super) fn ours(folder: &Path, right: &Rows) -> Result<&'static str, String> {
    panics();
    let end = look(folder, right);
    let met = panics();
    if let Some(first) = met.first() {
        println!("\nDETAIL panic at {first}, ends as {}", end.as_deref().unwrap_or("WRONG"));
    }
    end
}

fn look(folder: &Path, right: &Rows) -> Result<&'static str, String> {
    let store = match open_with_ballast(folder) {
        Ok(store) => store,
        Err(OpenError::Damaged { .. } | OpenError::Lost { .. } | OpenError::Io { .. }) => return Ok(OURS[0]),
        Err(error) => return Err(format!("misleading: {error}")),
    };
    let mut end = OURS[2];
    for (key, value) in right {
        let (number, short) = key.split_first().unwrap();
        match store.get(Table::from_number(*number).unwrap(), short) {
            Ok(found) if found.as_ref() == Some(value) => {}
            Ok(found) => return Err(format!("{key:?} is {:?} bytes", found.map(|v| v.len()))),
            Err(_) => end = OURS[1],
        }
    }
    match all(&store) {
        Ok(found) if found == *right => {}
        Ok(found) => return Err(format!("{} rows of {}", found.len(), right.len())),
        Err(_) => end = OURS[1],
    }
    // Work may go on or be refused; nothing may come to pieces over it, nor over the closing.
    let _ = store.commit(one("after", "damage"));
    let mut batch = Batch::new();
    batch.delete(Table::Head, "after");
    let written = store.commit(batch);
    if end == OURS[2] {
        written.map_err(|error| format!("whole, but not written to: {error}"))?;
    }
    drop(store);
    Ok(end)
}

fn all(store: &SledStore) -> Result<Rows, StoreError> {
    let mut all = Rows::new();
    for table in Table::ALL {
        let mut last = None;
        scan_all::<StoreError>(store, table, &[], |key, value| {
            last = Some((key.clone(), value.clone()));
            all.insert(raw_key(table, &key), value);
            Ok(())
        })?;
        assert_eq!(store.last(table, &[])?, last, "the last of a table is the last met");
    }
    Ok(all)
}
