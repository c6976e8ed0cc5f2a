//! The power is cut between two syncs: of what was written since, any sector may be on the disk
//! and any other not, in whatever order it was written.
//!
//! The engine's file is looked at just before each sync and compared with the one before: the
//! sectors that differ are the unsynced writes. From them disks are put together as a cut may leave
//! them, and opened: all that was answered is there, and the last group wholly or not at all.
//! This needs no rights, unlike the cut of a mounted disk in `cut`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use super::*;
use crate::store::sled::record::encode;
use crate::store::sled::state::Values;
use crate::store::sled::whole::begin;

/// Groups in a usual run, with [`CUTS_OF_GROUP`] cuts in each; `YUNLING_TEST_LONG` makes it more.
const GROUPS: usize = 40;
const GROUPS_LONG: usize = 500;
const CUTS_OF_GROUP: usize = 3;

/// What a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
/// Rows to put, `None` for one to take away.
type Puts = BTreeMap<Vec<u8>, Option<Vec<u8>>>;
type Image = BTreeMap<PathBuf, Vec<u8>>;

/// What lies in the files of a store that its engine and its tally write.
fn image(folder: &Path) -> Image {
    let mut image = Image::new();
    for part in ["", "sled"] {
        for entry in fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                image.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    image
}

fn lay(image: &Image, folder: &Path) {
    fs::create_dir_all(folder.join("sled/blobs")).unwrap();
    for (name, bytes) in image {
        let file = File::create(folder.join(name)).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        for (n, block) in bytes.chunks(4096).enumerate() {
            if block.iter().any(|b| *b != 0) {
                file.write_all_at(block, n as u64 * 4096).unwrap();
            }
        }
    }
}

/// How a cut chooses among the unsynced sectors.
#[derive(Debug, Clone, Copy)]
enum Choice {
    /// Each with this many chances in ten.
    Chance(u64),
    /// The first so many percent.
    First(u64),
    /// All but the first so many percent.
    Last(u64),
}

impl Choice {
    fn any(dice: &mut Dice) -> Self {
        match dice.below(3) {
            0 => Self::Chance(dice.below(11)),
            1 => Self::First(dice.below(101)),
            _ => Self::Last(dice.below(101)),
        }
    }

    fn keeps(self, n: usize, of: usize, dice: &mut Dice) -> bool {
        let percent = n as u64 * 100 / of.max(1) as u64;
        match self {
            Self::Chance(chances) => dice.below(10) < chances,
            Self::First(most) => percent < most,
            Self::Last(first) => percent >= first,
        }
    }
}

/// A file as a cut leaves it: `old` is on the disk, what `new` has beside it may be.
fn mixed(old: &[u8], new: &[u8], choice: Choice, dice: &mut Dice) -> Vec<u8> {
    let sector = |bytes: &'_ [u8], n: usize| -> Vec<u8> {
        let start = bytes.len().min(n * SECTOR_BYTES);
        bytes[start..bytes.len().min(start + SECTOR_BYTES)].to_vec()
    };
    let all = old.len().max(new.len()).div_ceil(SECTOR_BYTES);
    let changed: Vec<_> = (0..all).filter(|n| sector(old, *n) != sector(new, *n)).collect();
    // The new length may be on the disk before what fills it.
    let mut mixed = old.to_vec();
    if dice.below(2) == 0 {
        mixed.resize(new.len(), 0);
    }
    for (n, changed_sector) in changed.iter().enumerate() {
        let bytes = sector(new, *changed_sector);
        if choice.keeps(n, changed.len(), dice) && !bytes.is_empty() {
            let start = changed_sector * SECTOR_BYTES;
            let end = start + bytes.len();
            if mixed.len() < end {
                mixed.resize(end, 0);
            }
            mixed[start..end].copy_from_slice(&bytes);
        }
    }
    mixed
}

/// The files named in `which` mixed, all others as they were.
fn cut(old: &Image, new: &Image, which: &[&str], dice: &mut Dice) -> (Image, Choice) {
    let mut image = old.clone();
    let choice = Choice::any(dice);
    for name in which.iter().map(PathBuf::from) {
        let mixed = mixed(&old[&name], &new[&name], choice, dice);
        image.insert(name, mixed);
    }
    (image, choice)
}

fn rows(store: &SledStore) -> Result<Rows, StoreError> {
    let mut rows = Rows::new();
    for table in [Table::Chain, Table::Head, Table::Staged] {
        yunling_protocol::store::scan_all::<StoreError>(store, table, &[], |key, value| {
            rows.insert(raw_key(table, &key), value);
            Ok(())
        })?;
    }
    Ok(rows)
}

/// Some puts: mostly small, at times so many large ones that the engine takes a new segment.
fn group(n: u32, rows: &Rows, dice: &mut Dice) -> Puts {
    let mut puts = Puts::new();
    puts.insert(raw_key(Table::Head, b"n"), Some(n.to_be_bytes().to_vec()));
    puts.insert(raw_key(Table::Chain, &n.to_be_bytes()), Some(vec![n as u8; 700]));
    let large = if dice.below(4) == 0 { 30 + dice.below(60) } else { dice.below(3) };
    for _ in 0..large {
        let key = raw_key(Table::Staged, &[dice.below(120) as u8]);
        puts.insert(key, Some(vec![n as u8; 30_000 + dice.below(30_000) as usize]));
    }
    for key in rows.keys().filter(|key| key[0] == Table::Staged.number()) {
        if dice.below(6) == 0 {
            puts.insert(key.clone(), None);
        }
    }
    puts
}

#[test]
fn unsynced_writes_dropped_torn_or_reordered_lose_nothing_that_was_told() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("store");
    let mut store = open(&folder);
    store.shared.queue.close();
    store.writer.take().unwrap().join().unwrap();
    let begun = begin(&store.shared.home, &store.shared.read(), OWNER).unwrap();
    let mut writer = Writer::new(Arc::clone(&store.shared), begun);
    let unsynced = Arc::new(Mutex::new(Image::new()));
    let (seen, watched) = (Arc::clone(&unsynced), folder.clone());
    writer.watch(Box::new(move || {
        *seen.lock().unwrap() = image(&watched);
        Ok(())
    }));
    let long = std::env::var_os("YUNLING_TEST_LONG").is_some();
    let seed = std::env::var("YUNLING_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut dice = Dice(seed.unwrap_or(23));
    let (mut before, mut synced) = (Rows::new(), image(&folder));
    let (mut cuts, mut kept_last, mut again) = (0, 0, 0);
    for n in 0..if long { GROUPS_LONG } else { GROUPS } {
        let puts = group(n as u32, &before, &mut dice);
        let stored = |(key, put): (&Vec<u8>, &Option<Vec<u8>>)| {
            (key.clone(), put.as_ref().map(|value| encode(key, value)))
        };
        writer.write(puts.iter().map(stored).collect::<Values>()).unwrap();
        let mut after = before.clone();
        for (key, put) in puts {
            match put {
                Some(value) => after.insert(key, value),
                None => after.remove(&key),
            };
        }
        let written = unsynced.lock().unwrap().clone();
        for _ in 0..CUTS_OF_GROUP {
            let (disk, choice) = cut(&synced, &written, &["sled/db", "tally"], &mut dice);
            let case = format!("group {n}, {choice:?}");
            let top = TempDir::new_in(home.path()).unwrap();
            let found = opened(&disk, top.path(), &case);
            assert!(found == before || found == after, "{case}: {} rows", found.len());
            kept_last += usize::from(found == after);
            cuts += 1;
            if dice.below(4) == 0 {
                // Again while the engine is opened: it syncs its notes before it blanks what it
                // could not read, so that these are there whatever is blank.
                let after_open = image(top.path());
                let mut before_open = after_open.clone();
                before_open.extend(disk.into_iter().filter(|(name, _)| name.ends_with("db")));
                let (disk, choice) = cut(&before_open, &after_open, &["sled/db"], &mut dice);
                let top = TempDir::new_in(home.path()).unwrap();
                let found_again = opened(&disk, top.path(), &format!("{case}, then {choice:?}"));
                assert!(found_again == before || found_again == after, "{case}, then {choice:?}");
                again += 1;
            }
        }
        before = after;
        // The tally may wait for its sync, the records never do.
        let tally = PathBuf::from("tally");
        let old_tally = synced.get(&tally).cloned().unwrap();
        synced = written;
        if n % 5 == 4 {
            synced.insert(tally, fs::read(folder.join("tally")).unwrap());
        } else {
            synced.insert(tally, old_tally);
        }
    }
    println!("{cuts} power cuts between syncs, {again} more while opening: nothing that was told is lost,");
    println!("the last group was there whole in {kept_last}, gone in {}", cuts - kept_last);
    assert!(kept_last > 0 && kept_last < cuts, "the cuts left no choice");
}

fn opened(disk: &Image, folder: &Path, case: &str) -> Rows {
    lay(disk, folder);
    let store = SledStore::open(folder, OWNER, small()).unwrap_or_else(|e| panic!("{case}: {e}"));
    rows(&store).unwrap_or_else(|e| panic!("{case}: {e}"))
}
