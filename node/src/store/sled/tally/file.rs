//! The newest tally's number, kept in a file beside the engine.
//!
//! Two places are written in turn, so that a cut in the middle of a write leaves the other. The
//! tree may be *ahead* of the file, by what was written since its last sync before a cut of the
//! power; a tree that is *behind* it has lost what was answered. The file is written before a group
//! is answered, so that it is exact whatever happens to the process, and synced a few times a
//! second rather than once for each group, which would halve what a disk takes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Tally;

/// Name of the file in the folder of the store.
pub(in super::super) const NAME: &str = "tally";

/// Bytes from one place to the next: a disk writes no more than this at once.
const PLACE_BYTES: u64 = 4096;

/// First bytes of a place, with the version of its form.
const MAGIC: &[u8; 8] = b"yltally1";

/// Magic, number, digest.
const BODY_BYTES: usize = 8 + 8 + 16;
const CHECK_BYTES: usize = 8;

/// How long a written number may stay unsynced: four syncs a second cost a disk that makes a few
/// hundred about one in a hundred.
pub(in super::super) const SYNC_AFTER: Duration = Duration::from_millis(250);

/// What a place says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Mark {
    /// Number of the group.
    pub(in super::super) number: u64,
    /// [`Tally::digest`] after it.
    pub(in super::super) digest: [u8; 16],
}

impl Mark {
    fn of(tally: &Tally) -> Self {
        Self { number: tally.number, digest: tally.digest() }
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.digest);
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, found) = bytes.split_at_checked(BODY_BYTES)?;
        if found != check(body) {
            return None;
        }
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (digest, _) = rest.split_first_chunk::<16>()?;
        (magic == MAGIC).then_some(Self { number: u64::from_be_bytes(*number), digest: *digest })
    }
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&Sha256::digest(body)[..CHECK_BYTES]);
    check
}

/// What lies in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Found {
    /// No file: a new store, or one of a version before tallies.
    Nothing,
    /// Neither place can be read.
    Unreadable,
    /// The newest place that can be read.
    Mark(Mark),
}

/// Reads the file of a store's folder.
pub(in super::super) fn find(folder: &Path) -> io::Result<Found> {
    let file = match File::open(folder.join(NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let mut newest: Option<Mark> = None;
    for place in 0..2 {
        let mut bytes = [0; BODY_BYTES + CHECK_BYTES];
        match file.read_exact_at(&mut bytes, place * PLACE_BYTES) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(error),
        }
        let mark = Mark::parse(&bytes);
        if mark.map(|m| m.number) >= newest.map(|m| m.number) {
            newest = mark;
        }
    }
    Ok(newest.map_or(Found::Unreadable, Found::Mark))
}

/// The file of an open store.
#[derive(Debug)]
pub(in super::super) struct TallyFile {
    file: File,
    synced: Instant,
    dirty: bool,
}

impl TallyFile {
    /// Makes the file for a store that has no tally yet, on the disk when this returns.
    ///
    /// It comes into the folder whole, so that half a file always means damage.
    pub(in super::super) fn make(folder: &Path) -> io::Result<()> {
        let path = path_new(folder);
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        file.set_len(2 * PLACE_BYTES)?;
        // Real blocks in both places: later writes need no room, also on a full disk.
        file.write_all_at(&vec![0; 2 * PLACE_BYTES as usize], 0)?;
        file.write_all_at(&Mark::of(&Tally::default()).bytes(), 0)?;
        file.sync_all()?;
        fs::rename(&path, folder.join(NAME))?;
        File::open(folder)?.sync_all()
    }

    /// Opens the file that [`find`] read.
    pub(in super::super) fn open(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(folder.join(NAME))?;
        Ok(Self { file, synced: Instant::now(), dirty: false })
    }

    /// Writes the newest tally, for a process that ends; see [`Self::sync_if_due`] for the disk.
    pub(in super::super) fn write(&mut self, tally: &Tally) -> io::Result<()> {
        let place = (tally.number % 2) * PLACE_BYTES;
        self.dirty = true;
        self.file.write_all_at(&Mark::of(tally).bytes(), place)
    }

    /// Whether something written is not synced yet.
    pub(in super::super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Brings the file onto the disk when it has waited long enough.
    pub(in super::super) fn sync_if_due(&mut self) -> io::Result<()> {
        if !self.dirty || self.synced.elapsed() < SYNC_AFTER {
            return Ok(());
        }
        self.sync()
    }

    /// Brings the file onto the disk.
    pub(in super::super) fn sync(&mut self) -> io::Result<()> {
        self.synced = Instant::now();
        self.file.sync_data()?;
        self.dirty = false;
        Ok(())
    }
}

fn path_new(folder: &Path) -> PathBuf {
    folder.join("tally.new")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn numbered(number: u64) -> Tally {
        Tally { number, ..Tally::default() }
    }

    #[test]
    fn the_newest_whole_place_counts() {
        let home = tempfile::TempDir::new().unwrap();
        assert_eq!(find(home.path()).unwrap(), Found::Nothing);
        TallyFile::make(home.path()).unwrap();
        let mut file = TallyFile::open(home.path()).unwrap();
        for number in 1..4 {
            file.write(&numbered(number)).unwrap();
            assert_eq!(find(home.path()).unwrap(), Found::Mark(Mark::of(&numbered(number))));
        }
        let path = home.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for (place, left) in [(0, 3), (PLACE_BYTES as usize, 2)] {
            for byte in place..place + BODY_BYTES + CHECK_BYTES {
                let mut bad = whole.clone();
                bad[byte] ^= 4;
                fs::write(&path, bad).unwrap();
                assert_eq!(find(home.path()).unwrap(), Found::Mark(Mark::of(&numbered(left))));
            }
        }
        for (len, found) in [(8192, 3), (4140, 3), (4130, 2), (40, 2)] {
            fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(find(home.path()).unwrap(), Found::Mark(Mark::of(&numbered(found))), "{len}");
        }
        fs::write(&path, &whole[..39]).unwrap();
        assert_eq!(find(home.path()).unwrap(), Found::Unreadable);
    }
}
