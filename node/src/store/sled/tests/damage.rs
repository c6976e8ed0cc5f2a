//! A bit flips, a tail is cut, a sector is blank, in any file of a closed store: what is read
//! afterwards is right and whole, or an error says that it is not.
//!
//! Each case runs in a process of its own, so that an engine that aborts or hangs is seen as such
//! and leaves nothing to the next case.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::sync::Mutex;

use yunling_protocol::store::{Item, scan_all};

use super::*;

/// Where the undamaged store lies and what to do to a copy, for the process of one case.
const CHILD_FOLDER: &str = "YUNLING_TEST_DAMAGE_FOLDER";
const CHILD_CASE: &str = "YUNLING_TEST_DAMAGE_CASE";

/// Cases in a usual run, some ten seconds; `YUNLING_TEST_LONG` makes it thousands, and
/// `YUNLING_TEST_SEED` begins elsewhere.
const CASES: usize = 240;
const CASES_LONG: usize = 4000;

/// What a case may take before it counts as hanging: some hundred times what it needs.
const CASE_WAIT_MAX: Duration = Duration::from_mins(1);

/// Bytes of a disk's sector.
const SECTOR_BYTES: u64 = 512;

/// How a case ended well: all rows are right.
const WHOLE: &str = "whole";
/// Some read gave an error, all others were right.
const TOLD: &str = "told at a read";
/// Opening gave an error; its code follows.
const REFUSED: &str = "refused at open";

#[test]
fn damage_anywhere_is_told_or_does_no_harm() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("whole");
    make(&folder);
    let long = std::env::var_os("YUNLING_TEST_LONG").is_some();
    let cases = if long { CASES_LONG } else { CASES };
    let seed = std::env::var("YUNLING_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let next = AtomicUsize::new(seed);
    let seen = Mutex::new(BTreeMap::<(String, String), usize>::new());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= seed + cases {
                        return;
                    }
                    let (what, end) = run(&folder, case);
                    if let Err(why) = &end {
                        wrong.lock().unwrap().push(format!("case {case}: {what}: {why}"));
                    }
                    let kind = what.split(" at ").next().unwrap_or_default().to_owned();
                    let end = end.unwrap_or_else(|_| "WRONG".to_owned());
                    *seen.lock().unwrap().entry((kind, end)).or_default() += 1;
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    for ((kind, end), count) in &seen {
        println!("{kind}: {count} {end}");
    }
    let count = |word: &str| {
        let such = seen.iter().filter(|((_, end), _)| end.contains(word));
        such.map(|(_, count)| count).sum::<usize>()
    };
    let (whole, open, read) = (count(WHOLE), count(REFUSED), count(TOLD));
    let (lost, panics) = (count("store-lost"), count("panicked"));
    println!("{cases} cases: {whole} whole, {read} told at a read, {open} refused at open;");
    println!("of these {lost} only the tally knew of, in {panics} the engine panicked");
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
    assert!(open > cases / 4, "the damage hardly met anything: {open} of {cases} refused");
}

/// A store of a few hundred rows in several tables and segments, some replaced, some taken away.
fn make(folder: &Path) {
    for round in 0..3_u8 {
        let store = open_with_ballast(folder).unwrap();
        for n in 0..60_u8 {
            let mut batch = Batch::new();
            batch.set(Table::Head, [n % 20], [round, n]);
            batch.insert(Table::Statement, [n, round], vec![n; 700]);
            batch.insert(Table::Chain, [n, round], [n; 32]);
            if n % 4 == 0 {
                batch.set(Table::Profile, [n], vec![round; 40_000]);
            }
            if n % 3 == 0 && round > 0 {
                batch.delete(Table::Statement, [n, round - 1]);
            }
            store.commit(batch).unwrap();
        }
    }
}

fn open_with_ballast(folder: &Path) -> Result<SledStore, OpenError> {
    // A small one: every case copies it.
    SledStore::open(folder, OWNER, Options { ballast_bytes: 64 * 1024, free_bytes_min: 0, ..small() })
}

fn run(folder: &Path, case: usize) -> (String, Result<String, String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["store::sled::tests::damage::child_of_one_case", "--exact"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_CASE, case.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ended = wait(&mut child);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut said).unwrap();
    let line = |word: &str| said.lines().find_map(|line| line.strip_prefix(word)).map(str::to_owned);
    let what = line("DAMAGE ").unwrap_or_default();
    let well = |end: &String| [WHOLE, TOLD, REFUSED].iter().any(|word| end.starts_with(word));
    let end = match (ended, line("END ")) {
        (Ok(()), Some(end)) if well(&end) => Ok(end),
        (ended, end) => Err(format!("{ended:?} {end:?}")),
    };
    (what, end)
}

fn wait(child: &mut Child) -> Result<(), String> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return if status.success() { Ok(()) } else { Err(status.to_string()) };
        }
        if start.elapsed() > CASE_WAIT_MAX {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err("it hangs".to_owned());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "started by the damage test only"]
fn child_of_one_case() {
    let whole = PathBuf::from(std::env::var_os(CHILD_FOLDER).unwrap());
    let case: u64 = std::env::var(CHILD_CASE).unwrap().parse().unwrap();
    let home = TempDir::new().unwrap();
    let right = {
        let store_folder = home.path().join("right");
        copy(&whole, &store_folder);
        all(&open_with_ballast(&store_folder).unwrap()).unwrap()
    };
    let folder = home.path().join("store");
    copy(&whole, &folder);
    println!("\nDAMAGE {}", damage(&folder, &mut Dice(case.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
    let first = look(&folder, &right);
    println!("\nEND {}", first.as_ref().unwrap_or_else(|why| why));
    // What the first opening changed may not make the loss look right to the second.
    if let Ok(first) = first {
        match look(&folder, &right) {
            Ok(second) if first == WHOLE => assert_eq!(second, first),
            Ok(_) => {}
            Err(why) => panic!("opened again: {why}"),
        }
    }
}

fn look(folder: &Path, right: &BTreeMap<Key, Vec<u8>>) -> Result<String, String> {
    let store = match open_with_ballast(folder) {
        Ok(store) => store,
        Err(error @ (OpenError::Damaged { .. } | OpenError::Lost { .. } | OpenError::Io { .. })) => {
            let panicked = if error.to_string().contains("panicked") { ", panicked" } else { "" };
            return Ok(format!("{REFUSED}: {}{panicked}", error.code()));
        }
        Err(error) => return Err(format!("misleading: {error}")),
    };
    let mut end = WHOLE;
    for (key, value) in right {
        match store.get(key.table, &key.key) {
            Ok(found) if found.as_ref() == Some(value) => {}
            Ok(found) => return Err(format!("{key} is {found:?}")),
            Err(_) => end = TOLD,
        }
    }
    match all(&store) {
        Ok(found) if found == *right => {}
        Ok(found) => return Err(format!("{} rows of {}", found.len(), right.len())),
        Err(_) => end = TOLD,
    }
    // Work may go on or be refused; nothing may come to pieces over it, nor over the closing.
    let _ = store.commit(one("after", "damage"));
    if end == WHOLE {
        let mut batch = Batch::new();
        batch.delete(Table::Head, "after");
        store.commit(batch).map_err(|error| format!("whole, but not written to: {error}"))?;
    }
    drop(store);
    Ok(end.to_owned())
}

fn all(store: &SledStore) -> Result<BTreeMap<Key, Vec<u8>>, StoreError> {
    let mut all = BTreeMap::new();
    for table in Table::ALL {
        let mut first: Option<Item> = None;
        scan_all::<StoreError>(store, table, &[], |key, value| {
            first = Some((key.clone(), value.clone()));
            all.insert(Key::new(table, key), value);
            Ok(())
        })?;
        assert_eq!(store.last(table, &[])?, first, "the last of a table is the last met");
    }
    Ok(all)
}

/// Copies what is written and leaves holes holes: the engine's file is mostly empty.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, len) in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let bytes = fs::read(&path).unwrap();
        let file = File::create(&target).unwrap();
        file.set_len(len).unwrap();
        for at in written(&bytes) {
            file.write_all_at(&bytes[at..bytes.len().min(at + 4096)], at as u64).unwrap();
        }
    }
    fs::create_dir_all(to.join("sled/blobs")).unwrap();
}

/// Where the blocks begin that are not blank.
fn written(bytes: &[u8]) -> Vec<usize> {
    let blocks = bytes.chunks(4096).enumerate();
    blocks.filter(|(_, block)| block.iter().any(|b| *b != 0)).map(|(n, _)| n * 4096).collect()
}

fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::metadata(&path).unwrap().len()));
        }
    }
    found.sort();
    found
}

/// Does one damage to one file and says which.
fn damage(folder: &Path, dice: &mut Dice) -> String {
    let files: Vec<_> = files(folder).into_iter().filter(|(_, len)| *len > 0).collect();
    // Half of all in the records, the rest in any file.
    let db = files.iter().position(|(path, _)| path.ends_with("sled/db")).unwrap();
    let chosen = if dice.below(2) == 0 { db } else { dice.below(files.len() as u64) as usize };
    let (path, len) = &files[chosen];
    let name = path.strip_prefix(folder).unwrap().display().to_string();
    let name = if name.contains("snap.") { "sled/snap" } else { &name };
    let bytes = fs::read(path).unwrap();
    let blocks = written(&bytes);
    let file = OpenOptions::new().write(true).open(path).unwrap();
    // Mostly where something is written.
    let any = dice.below(*len);
    let at = match blocks.is_empty() || dice.below(8) == 0 {
        true => any,
        false => {
            let block = blocks[dice.below(blocks.len() as u64) as usize] as u64;
            let rest = bytes.len() as u64 - block;
            block + dice.below(rest.min(4096))
        }
    };
    match dice.below(4) {
        0 => {
            file.set_len(at).unwrap();
            format!("{name} cut at {at} of {len}")
        }
        1 => {
            let sector = at - at % SECTOR_BYTES;
            let blank = vec![0; SECTOR_BYTES.min(len - sector) as usize];
            file.write_all_at(&blank, sector).unwrap();
            format!("{name} blank at {sector} of {len}")
        }
        _ => {
            let bit = dice.below(8);
            let flipped = bytes[at as usize] ^ (1 << bit);
            file.write_all_at(&[flipped], at).unwrap();
            format!("{name} flip at {at}, bit {bit}, of {len}")
        }
    }
}
