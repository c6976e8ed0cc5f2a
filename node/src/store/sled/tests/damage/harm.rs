//! Copies of a store's folder, and what may happen to a file of one.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use super::super::*;

/// Bytes of a disk's sector, and of a file system's block.
const SECTOR_BYTES: u64 = 512;
const BLOCK_BYTES: usize = 4096;

/// What was done to a store.
pub(super) struct Damage {
    kind: &'static str,
    file: String,
    at: u64,
    of: u64,
}

// The kind up to the comma is a row of the table.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}, at {} of {}", self.kind, self.file, self.at, self.of)
    }
}

/// Copies what is written and leaves holes holes: the engine's file is mostly empty.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, len) in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let bytes = fs::read(&path).unwrap();
        let file = File::create(&target).unwrap();
        file.set_len(len).unwrap();
        for at in written(&bytes) {
            file.write_all_at(&bytes[at..bytes.len().min(at + BLOCK_BYTES)], at as u64).unwrap();
        }
    }
    fs::create_dir_all(to.join("sled/blobs")).unwrap();
}

/// Where the blocks begin that are not blank.
fn written(bytes: &[u8]) -> Vec<usize> {
    let blank = [0; BLOCK_BYTES];
    let blocks = bytes.chunks(BLOCK_BYTES).enumerate();
    blocks.filter(|(_, block)| **block != blank[..block.len()]).map(|(n, _)| n * BLOCK_BYTES).collect()
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

/// Does one damage to one file of `folder`; `older` is the same store some writes before.
pub(super) fn damage(folder: &Path, older: &Path, dice: &mut Dice) -> Damage {
    let files: Vec<_> = files(folder).into_iter().filter(|(_, len)| *len > 0).collect();
    // Most in the records, the rest in any file.
    let db = files.iter().position(|(path, _)| path.ends_with("sled/db")).unwrap();
    let chosen = if dice.below(3) > 0 { db } else { dice.below(files.len() as u64) as usize };
    let (path, len) = &files[chosen];
    let bytes = fs::read(path).unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let at = place(&bytes, dice);
    let sector = at - at % SECTOR_BYTES;
    let sector_bytes = SECTOR_BYTES.min(len - sector) as usize;
    let name = path.strip_prefix(folder).unwrap().display().to_string();
    let kind = match dice.below(9) {
        0 => {
            file.set_len(at).unwrap();
            "a cut tail"
        }
        1 => {
            file.write_all_at(&vec![0; sector_bytes], sector).unwrap();
            "a blank sector"
        }
        2 => {
            let junk: Vec<u8> = (0..sector_bytes).map(|_| dice.below(256) as u8).collect();
            file.write_all_at(&junk, sector).unwrap();
            "a sector of junk"
        }
        3 => {
            // Sixteen blocks that the disk never wrote; for a small file all of it.
            let start = at - at % (16 * BLOCK_BYTES as u64);
            let old = fs::read(older_of(&older.join(&name))).unwrap_or_default();
            let end = old.len().min(start as usize + 16 * BLOCK_BYTES);
            let old = old.get(start as usize..end).unwrap_or_default();
            file.write_all_at(old, start).unwrap();
            "old blocks"
        }
        4 if dice.below(3) == 0 => {
            fs::remove_file(path).unwrap();
            "a missing file"
        }
        _ => {
            let flipped = bytes[at as usize] ^ (1 << dice.below(8));
            file.write_all_at(&[flipped], at).unwrap();
            "a flipped bit"
        }
    };
    let file = if name.contains("snap.") { "sled/snap".to_owned() } else { name };
    Damage { kind, file, at, of: *len }
}

// The engine names its notes anew each time; the older ones take the place of the newer.
fn older_of(path: &Path) -> PathBuf {
    if path.exists() {
        return path.to_path_buf();
    }
    let folder = path.parent().unwrap();
    let snaps = files(folder).into_iter().map(|(path, _)| path);
    let mut snaps = snaps.filter(|path| path.to_string_lossy().contains("snap."));
    snaps.next().unwrap_or_else(|| path.to_path_buf())
}

/// A byte to damage: mostly where something is written, and often at the start of a segment, whose
/// few bytes of head decide over the rest.
fn place(bytes: &[u8], dice: &mut Dice) -> u64 {
    let blocks = written(bytes);
    if blocks.is_empty() || dice.below(10) == 0 {
        return dice.below(bytes.len() as u64);
    }
    let heads: Vec<_> = blocks.iter().filter(|at| *at % home::SEGMENT_BYTES == 0).collect();
    if !heads.is_empty() && dice.below(5) == 0 {
        let head = *heads[dice.below(heads.len() as u64) as usize];
        return (head as u64 + dice.below(20)).min(bytes.len() as u64 - 1);
    }
    let block = blocks[dice.below(blocks.len() as u64) as usize] as u64;
    block + dice.below((bytes.len() as u64 - block).min(BLOCK_BYTES as u64))
}
