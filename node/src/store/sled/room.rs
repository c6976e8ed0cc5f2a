//! Room on the disk: what must stay free, and a ballast to drop when it is not.
//!
//! The engine needs some room even to open, and a disk can fill up under it at any moment. So a
//! store refuses new work while there is still room, and holds a file of real blocks that can be
//! given up to get it open again on a disk without any.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that must be free before a group of batches is written: a group is at most 8 MiB, the
/// engine writes up to five times that, and the rest is for logs and the people who clear up.
pub(super) const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Bytes that must be free to open the engine: it rewrites the rest of one 8 MiB segment and a
/// snapshot of some 20 bytes for each of its pages.
pub(super) const REOPEN_FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Size of the ballast: twice what opening needs, since others may take a part of it at once.
pub(super) const BALLAST_BYTES: u64 = 32 * 1024 * 1024;

/// The disk that a store lies on.
#[derive(Debug, Clone)]
pub(super) struct Room {
    folder: PathBuf,
    /// Bytes that must be free for new work.
    pub(super) free_bytes_min: u64,
    /// Size of the ballast, 0 for none.
    pub(super) ballast_bytes: u64,
}

impl Room {
    pub(super) fn new(folder: &Path, free_bytes_min: u64, ballast_bytes: u64) -> Self {
        Self { folder: folder.to_path_buf(), free_bytes_min, ballast_bytes }
    }

    /// Bytes that this process may still write here.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Gives the ballast back to the disk; `true` when there was one.
    pub(super) fn drop_ballast(&self) -> bool {
        fs::remove_file(self.ballast_path()).is_ok()
    }

    /// Takes the ballast again when that leaves enough room for work.
    ///
    /// A file system that cannot reserve blocks has no ballast: the store works without.
    pub(super) fn take_ballast(&self) {
        let path = self.ballast_path();
        if self.ballast_bytes == 0 || path.exists() {
            return;
        }
        let needed = self.free_bytes_min.saturating_add(self.ballast_bytes);
        if self.free_bytes().is_ok_and(|free| free >= needed)
            && let Err(error) = self.reserve(&path)
        {
            tracing::warn!(%error, "store has no ballast: it may not open on a full disk");
            self.drop_ballast();
        }
    }

    fn reserve(&self, path: &Path) -> io::Result<()> {
        let file: File = OpenOptions::new().create_new(true).write(true).open(path)?;
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&file, flags, 0, self.ballast_bytes)?;
        Ok(())
    }

    fn ballast_path(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}
