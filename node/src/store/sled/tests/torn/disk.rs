//! What a cut of the power may leave of the files of a store: the model of the disk.
//!
//! *Kept.* What was written before an `fsync` of its file returned, with the length of the file:
//! that is what `fsync` promises, and the file systems we name (ext4, XFS, Btrfs) keep it unless
//! the disk lies. A sector that nothing wrote to since keeps what it had.
//!
//! *Free.* Of what was written since, each sector is on the disk or not, whatever the order of
//! writing: the kernel writes pages back in any order, and so does the cache of the disk. A new
//! length may be there before what fills it, which then reads as zeros; the three never show
//! another file's bytes. A sector written twice may hold the first writing. The engine only appends
//! between two syncs, so that is its new beginning before its old end; so may any one sector here.
//! This also covers disks that tear a sector, for the records.
//!
//! *Whole.* The two marks of the file `tally` are the exception: one lies within one sector, and a
//! sector is written whole or not at all. ATA and NVMe disks give that, and journals rest on it.
//!
//! *Names.* A new name is on the disk when its folder was synced. Before that it is there or not,
//! whatever else is: no file system keeps the writing to one file back until another has its name.
//! So notes of the engine that are renamed without a sync of the folder may be missing though
//! what was blanked after them is blank; the store therefore makes and syncs them itself first.
//!
//! Bits that rot, sectors that go blank and files of another day are no power cut: `damage` has
//! them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use super::super::*;

const SECTOR_BYTES: usize = 512;
const BLOCK_BYTES: usize = 4096;

/// Contents by path in the folder of the store.
pub(super) type Image = BTreeMap<PathBuf, Vec<u8>>;

/// What lies in the files of a store that its engine and its tally write.
pub(super) fn image(folder: &Path) -> Image {
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

/// Writes an image into a new folder; what is blank stays a hole.
pub(super) fn lay(image: &Image, folder: &Path) {
    fs::create_dir_all(folder.join("sled/blobs")).unwrap();
    let blank = [0; BLOCK_BYTES];
    for (name, bytes) in image {
        let file = File::create(folder.join(name)).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        for (n, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
            if *block != blank[..block.len()] {
                file.write_all_at(block, (n * BLOCK_BYTES) as u64).unwrap();
            }
        }
    }
}

/// Which of the unsynced sectors the disk has.
#[derive(Debug, Clone, Copy)]
enum Choice {
    /// All: the cut came between the sync and the answer.
    All,
    /// Each with this many chances in ten.
    Chance(u64),
    /// The first so many percent.
    First(u64),
    /// All but the first so many percent.
    Last(u64),
    /// All but one in the middle.
    AllBut(u64),
}

impl Choice {
    fn any(dice: &mut Dice) -> Self {
        match dice.below(6) {
            0 => Self::All,
            1 | 2 => Self::Chance(dice.below(11)),
            3 => Self::First(dice.below(101)),
            4 => Self::Last(dice.below(101)),
            _ => Self::AllBut(dice.below(100)),
        }
    }

    fn keeps(self, n: usize, of: usize, dice: &mut Dice) -> bool {
        let place = |percent: u64| (percent * of as u64 / 100) as usize;
        match self {
            Self::All => true,
            Self::Chance(chances) => dice.below(10) < chances,
            Self::First(percent) => n < place(percent),
            Self::Last(percent) => n >= place(percent),
            Self::AllBut(percent) => n != place(percent),
        }
    }
}

/// Where the sectors of `new` begin that `old` has otherwise.
pub(super) fn changed(old: &[u8], new: &[u8]) -> Vec<usize> {
    let differs = |start: usize, len: usize| {
        let part =
            |bytes: &'_ [u8]| -> (usize, usize) { (bytes.len().min(start), bytes.len().min(start + len)) };
        let ((a, b), (c, d)) = (part(old), part(new));
        old[a..b] != new[c..d]
    };
    let blocks = (0..old.len().max(new.len())).step_by(BLOCK_BYTES).filter(|at| differs(*at, BLOCK_BYTES));
    let sectors = blocks.flat_map(|block| (block..block + BLOCK_BYTES).step_by(SECTOR_BYTES));
    sectors.filter(|at| differs(*at, SECTOR_BYTES)).collect()
}

/// A file as a cut leaves it: `old` is on the disk, what `new` has beside it may be.
fn mixed(old: &[u8], new: &[u8], choice: Choice, may_tear: bool, dice: &mut Dice) -> Vec<u8> {
    let changed = changed(old, new);
    let torn = (may_tear && dice.below(2) == 0).then(|| dice.below(changed.len().max(1) as u64) as usize);
    let mut mixed = old.to_vec();
    // The new length may be on the disk before what fills it.
    if matches!(choice, Choice::All) || dice.below(2) == 0 {
        mixed.resize(new.len(), 0);
    }
    for (n, start) in changed.iter().copied().enumerate() {
        let mut end = new.len().min(start + SECTOR_BYTES);
        if torn == Some(n) && !matches!(choice, Choice::All) {
            end = end.min(start + dice.below(SECTOR_BYTES as u64) as usize);
        }
        if choice.keeps(n, changed.len(), dice) && start < end {
            if mixed.len() < end {
                mixed.resize(end, 0);
            }
            mixed[start..end].copy_from_slice(&new[start..end]);
        }
    }
    mixed
}

/// The disk after a cut between two syncs: `old` was synced, `new` was written.
pub(super) fn cut(old: &Image, new: &Image, dice: &mut Dice) -> (Image, String) {
    let choice = Choice::any(dice);
    let mut image = old.clone();
    for (name, may_tear) in [("sled/db", true), ("tally", false)] {
        let name = PathBuf::from(name);
        let mixed = mixed(&old[&name], &new[&name], choice, may_tear, dice);
        image.insert(name, mixed);
    }
    (image, format!("{choice:?}"))
}

/// The engine's notes in an image.
pub(super) fn notes(image: &Image) -> Image {
    let notes = image.iter().filter(|(name, _)| name.to_string_lossy().contains("snap."));
    notes.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
}
