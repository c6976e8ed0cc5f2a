//! The power is cut between two syncs, and again while the store is opened after it: all that was
//! answered is there, and the last group wholly or not at all.
//!
//! The files are looked at just before each sync and compared with what was synced before it. From
//! the two, disks are put together as [`disk`] says a cut may leave them, and opened. This needs no
//! rights, unlike the cut of a mounted disk in `cut`.

use std::collections::BTreeMap;
use std::fs;

use self::disk::{Image, cut, image, lay};
use super::*;
use crate::store::sled::record::encode;
use crate::store::sled::state::Values;
use crate::store::sled::whole::begin;

mod disk;

/// Groups in a usual run, with [`CUTS_OF_GROUP`] cuts in each; `YUNLING_LONG` makes it more.
const GROUPS: usize = 24;
const GROUPS_LONG: usize = 150;
const CUTS_OF_GROUP: usize = 4;

/// Groups from one opening of the running store to the next.
const GROUPS_OF_LIFE: usize = 10;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
/// Rows to put, `None` for one to take away.
type Puts = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

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

/// A store whose files are looked at before each sync.
struct Watched {
    writer: Writer,
    unsynced: Arc<Mutex<Image>>,
    // Dropped last: it closes the engine.
    _store: SledStore,
}

impl Watched {
    fn open(folder: &Path) -> Self {
        let mut store = open(folder);
        store.shared.queue.close();
        store.writer.take().unwrap().join().unwrap();
        let begun = begin(&store.shared.home, &store.shared.read(), OWNER).unwrap();
        let mut writer = Writer::new(Arc::clone(&store.shared), begun);
        let unsynced = Arc::new(Mutex::new(Image::new()));
        let (seen, watched) = (Arc::clone(&unsynced), folder.to_path_buf());
        writer.watch(Box::new(move || {
            *seen.lock().unwrap() = image(&watched);
            Ok(())
        }));
        Self { writer, unsynced, _store: store }
    }

    /// Writes a group and gives the files as they were before its sync.
    fn write(&mut self, puts: &Puts) -> Image {
        let stored = |(key, put): (&Vec<u8>, &Option<Vec<u8>>)| {
            (key.clone(), put.as_ref().map(|value| encode(key, value)))
        };
        self.writer.write(puts.iter().map(stored).collect::<Values>()).unwrap();
        self.unsynced.lock().unwrap().clone()
    }
}

#[derive(Default)]
struct Counts {
    cuts: usize,
    again: usize,
    kept_last: usize,
    kept_again: usize,
}

#[test]
fn unsynced_writes_dropped_torn_or_reordered_lose_nothing_that_was_told() {
    let home = in_memory();
    let folder = home.path().join("store");
    let long = std::env::var_os("YUNLING_LONG").is_some();
    let seed = std::env::var("YUNLING_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut dice = Dice(seed.unwrap_or(23));
    let mut watched = Watched::open(&folder);
    let (mut before, mut synced) = (Rows::new(), image(&folder));
    let mut counts = Counts::default();
    for n in 0..if long { GROUPS_LONG } else { GROUPS } {
        if n % GROUPS_OF_LIFE == GROUPS_OF_LIFE - 1 {
            drop(watched);
            watched = Watched::open(&folder);
            synced = image(&folder);
        }
        let puts = group(n as u32, &before, &mut dice);
        let written = watched.write(&puts);
        let mut after = before.clone();
        for (key, put) in puts {
            match put {
                Some(value) => after.insert(key, value),
                None => after.remove(&key),
            };
        }
        for _ in 0..CUTS_OF_GROUP {
            try_cut(&format!("group {n}"), [&synced, &written], [&before, &after], &mut dice, &mut counts);
        }
        before = after;
        // The tally may wait for its sync, the records never do.
        let tally = PathBuf::from("tally");
        let kept = match n % 5 {
            4 => fs::read(folder.join("tally")).unwrap(),
            _ => synced[&tally].clone(),
        };
        synced = written;
        synced.insert(tally, kept);
    }
    let Counts { cuts, again, kept_last, kept_again } = counts;
    println!("{cuts} power cuts between syncs, {again} more while opening: nothing that was told is lost,");
    println!("the last group was there whole in {kept_last}, gone in {}", cuts - kept_last);
    // How many it is depends on what the engine had written by itself.
    assert!(kept_last > 0 && kept_last < cuts, "the cuts left no choice: {kept_last} of {cuts}");
    assert!(kept_again > 0 && kept_again < again, "the second cuts left no choice");
}

/// Cuts between the syncs of two images, half of the time again while that is opened.
fn try_cut(group: &str, disks: [&Image; 2], right: [&Rows; 2], dice: &mut Dice, counts: &mut Counts) {
    let (disk, choice) = cut(disks[0], disks[1], dice);
    let case = format!("{group}, {choice}");
    let (first, opened) = open_cut(&disk, right, &case);
    counts.cuts += 1;
    counts.kept_last += usize::from(first == right[1]);
    if dice.below(2) == 0 {
        let noted = with_notes(&disk);
        assert_eq!(noted[Path::new("sled/db")], disk[Path::new("sled/db")], "{case}: records are touched");
        assert_eq!(disk::notes(&noted), disk::notes(&opened), "{case}: the engine makes notes of its own");
        let (disk, choice) = cut(&noted, &opened, dice);
        let (second, _) = open_cut(&disk, right, &format!("{case}, then {choice}"));
        counts.again += 1;
        counts.kept_again += usize::from(second == right[1]);
    }
}

/// The disk when the notes of the engine are up to date and the engine is not yet opened.
fn with_notes(disk: &Image) -> Image {
    let top = in_memory();
    lay(disk, top.path());
    home::Home::hold(top.path(), small()).unwrap().refresh_notes().unwrap();
    image(top.path())
}

/// Opens a disk that a cut left, and gives its rows, one of the two right ones, and its files then.
fn open_cut<'a>(disk: &Image, right: [&'a Rows; 2], case: &str) -> (&'a Rows, Image) {
    let top = in_memory();
    lay(disk, top.path());
    let store = SledStore::open(top.path(), OWNER, small()).unwrap_or_else(|e| panic!("{case}: {e}"));
    let found = rows(&store).unwrap_or_else(|e| panic!("{case}: {e}"));
    let which = right.into_iter().find(|rows| **rows == found);
    let which = which.unwrap_or_else(|| panic!("{case}: {} rows, neither before nor after", found.len()));
    // Before it is closed: what that writes comes long after.
    let files = image(top.path());
    store.commit(one("after", "the cut")).unwrap_or_else(|e| panic!("{case}: {e}"));
    (which, files)
}
