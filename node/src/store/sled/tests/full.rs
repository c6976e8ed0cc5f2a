//! A disk without room: nothing told is lost, reads go on, writes resume by themselves.
//!
//! Each test mounts a small file system in memory, which needs the right to mount. Without it the
//! test says so aloud, and fails where `CI` is set.

use std::process::Command;

use super::*;

const MIB: u64 = 1024 * 1024;

/// A small disk of its own, unmounted when dropped.
struct Disk {
    folder: TempDir,
    size_bytes: u64,
}

impl Disk {
    fn mount(size_mib: u64) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let disk = Self { folder, size_bytes: size_mib * MIB };
        if disk.call_mount("nosuid", disk.size_bytes) {
            return Some(disk);
        }
        assert!(std::env::var_os("CI").is_none(), "this test must mount a tmpfs: run it as root");
        eprintln!("SKIPPED, NOT PASSED: no right to mount a tmpfs for the full disk test");
        None
    }

    fn call_mount(&self, options: &str, size_bytes: u64) -> bool {
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("{options},size={size_bytes}"), "tmpfs"])
            .arg(self.folder.path())
            .output()
            .is_ok_and(|output| output.status.success())
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Shrinks the disk until `leave` bytes are free, at one stroke, also while others write.
    fn fill(&self, leave: u64) {
        let shrunk = (0..100).any(|_| {
            let stat = rustix::fs::statvfs(self.folder.path()).unwrap();
            let used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize;
            self.call_mount("remount", used + leave.max(4096))
        });
        assert!(shrunk, "the disk could not be made smaller");
    }

    fn clear(&self) {
        assert!(self.call_mount("remount", self.size_bytes));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The engine's threads let go of its file a moment after it was closed.
        let gone = (0..100).any(|_| {
            thread::sleep(READ_RETRY);
            let done = Command::new("umount").arg(self.folder.path()).output();
            done.is_ok_and(|output| output.status.success())
        });
        if !gone {
            eprintln!("could not unmount {}", self.folder.path().display());
        }
    }
}

fn numbered(n: u32) -> Batch {
    let mut batch = Batch::new();
    for part in 0..8_u8 {
        batch.insert(Table::Chain, [&n.to_be_bytes()[..], &[part]].concat(), value(n));
    }
    batch
}

fn value(n: u32) -> Vec<u8> {
    Dice(u64::from(n)).bytes(40_000)
}

fn check_exactly(store: &SledStore, told: &[u32]) {
    let mut right =
        told.iter().flat_map(|n| (0..8_u8).map(move |part| ([&n.to_be_bytes()[..], &[part]].concat(), *n)));
    yunling_protocol::store::scan_all::<StoreError>(store, Table::Chain, &[], |key, found| {
        let (right_key, n) = right.next().expect("a refused batch left a record");
        assert_eq!(key, right_key);
        assert!(found == value(n));
        Ok(())
    })
    .unwrap();
    assert_eq!(right.next(), None, "a batch that was told is lost");
}

#[test]
fn work_is_refused_while_there_is_still_room_and_resumes() {
    let Some(disk) = Disk::mount(192) else { return };
    let store = SledStore::open(&disk.store(), OWNER, Options::default()).unwrap();
    store.commit(numbered(0)).unwrap();
    disk.fill(FREE_BYTES_MIN - MIB);
    let told = store.commit(numbered(1)).unwrap_err();
    let CommitError::Full { free_bytes, needed_bytes } = told else {
        panic!("a full disk gave {told:?}");
    };
    assert!(free_bytes < needed_bytes && needed_bytes == FREE_BYTES_MIN);
    check_exactly(&store, &[0]);
    disk.clear();
    store.commit(numbered(1)).unwrap();
    check_exactly(&store, &[0, 1]);
}

#[test]
fn a_disk_that_fills_under_the_engine_loses_nothing_and_resumes() {
    let Some(disk) = Disk::mount(320) else { return };
    let mut dice = Dice(3);
    let mut met = 0;
    // The engine meets the end of the disk when it is writing at that very moment, and to a file
    // that still grows: hence many rounds, each with a new store.
    for round in 0..60 {
        met += usize::from(fill_under_writing(&disk, &mut dice, round));
        std::fs::remove_dir_all(disk.store()).unwrap();
        if met == 3 {
            return;
        }
    }
    panic!("the engine met the end of the disk {met} times only");
}

/// One round; `true` when the engine met the end of the disk.
fn fill_under_writing(disk: &Disk, dice: &mut Dice, round: usize) -> bool {
    let store = SledStore::open(&disk.store(), OWNER, Options::default()).unwrap();
    let ballast = disk.store().join("ballast");
    assert!(ballast.exists());
    let mut told = Vec::new();
    let wait = Duration::from_millis(5 + dice.below(20));
    let full = thread::scope(|scope| {
        let filler = scope.spawn(|| {
            thread::sleep(wait);
            disk.fill(0);
        });
        let full = write_until_full(&store, &mut told);
        filler.join().unwrap();
        full
    });
    // Refused before the engine met the end of the disk, or after it was opened again.
    assert!(matches!(full, CommitError::Full { .. }), "round {round}: {full:?}");
    assert_eq!(store.health(), Health::Good);
    let met = !ballast.exists();
    check_exactly(&store, &told);
    disk.clear();
    store.commit(numbered(5000)).unwrap();
    told.push(5000);
    check_exactly(&store, &told);
    drop(store);
    check_exactly(&SledStore::open(&disk.store(), OWNER, Options::default()).unwrap(), &told);
    met
}

fn write_until_full(store: &SledStore, told: &mut Vec<u32>) -> CommitError {
    for n in 0..2000 {
        match store.commit(numbered(n)) {
            Ok(()) => told.push(n),
            Err(error) => return error,
        }
    }
    panic!("the disk never filled up");
}

#[test]
fn an_error_that_the_engine_kept_does_not_refuse_new_work() {
    let Some(disk) = Disk::mount(192) else { return };
    let store = SledStore::open(&disk.store(), OWNER, Options::default()).unwrap();
    store.commit(numbered(0)).unwrap();
    disk.fill(0);
    {
        let state = store.shared.read();
        let db = state.db().unwrap();
        // Beside the writer, and beside the records, of which the tally knows the number.
        let met = (0..100).any(|n| {
            let filled = db.insert([0, n], value(1));
            filled.and_then(|_| db.flush()).is_err()
        });
        assert!(met, "the engine did not meet the end of the disk");
    }
    disk.clear();
    store.commit(numbered(1)).unwrap();
    check_exactly(&store, &[0, 1]);
}

#[test]
fn without_any_room_to_reopen_nothing_is_lost_or_wrong() {
    let Some(disk) = Disk::mount(192) else { return };
    let options = Options { free_bytes_min: 0, ..Options::default() };
    let store = SledStore::open(&disk.store(), OWNER, options).unwrap();
    disk.fill(24 * MIB);
    let mut told = Vec::new();
    // Nothing is kept free here: the first refusal gives up the ballast, new work eats it.
    let mut n = 0;
    while store.health() == Health::Good {
        match store.commit(numbered(n)) {
            Ok(()) => told.push(n),
            Err(CommitError::Full { .. }) => {}
            Err(other) => panic!("a full disk gave {other:?}"),
        }
        n += 1;
        assert!(n < 1000, "the disk never filled up");
    }
    for n in &told {
        // The engine may need the disk for a read; then it says so.
        match store.shared.read().get(&raw_key(Table::Chain, &[&n.to_be_bytes()[..], &[0]].concat())) {
            Ok(found) => assert!(found.is_some()),
            Err(fault) => assert!(matches!(fault, Fault::Engine(_)), "{fault}"),
        }
    }
    assert_eq!(store.commit(numbered(n)).unwrap_err().code(), "store-full");
    disk.clear();
    store.commit(numbered(n)).unwrap();
    told.push(n);
    assert_eq!(store.health(), Health::Good);
    check_exactly(&store, &told);
    drop(store);
    check_exactly(&SledStore::open(&disk.store(), OWNER, options).unwrap(), &told);
}

#[test]
fn a_store_opens_on_a_full_disk_and_resumes() {
    let Some(disk) = Disk::mount(192) else { return };
    let store = SledStore::open(&disk.store(), OWNER, Options::default()).unwrap();
    store.commit(numbered(0)).unwrap();
    drop(store);
    disk.fill(0);
    let store = SledStore::open(&disk.store(), OWNER, Options::default()).unwrap();
    check_exactly(&store, &[0]);
    assert_eq!(store.commit(numbered(1)).unwrap_err().code(), "store-full");
    disk.clear();
    store.commit(numbered(1)).unwrap();
    check_exactly(&store, &[0, 1]);
}

#[test]
fn a_new_store_on_a_full_disk_is_refused_with_the_remedy() {
    let Some(disk) = Disk::mount(8) else { return };
    disk.fill(MIB);
    let error = SledStore::open(&disk.store(), OWNER, Options::default()).unwrap_err();
    assert_eq!(error.code(), "store-full", "{error}");
    disk.clear();
}
