//! The folder of a store: its lock, the engine's files, and getting them onto the disk.
//!
//! `lock` keeps a second process out, `ballast` is spare room, `sled/` is the engine's own. The
//! engine syncs neither its folder nor its `conf`, so this module does, each time it is opened.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::sled::{Config, Db};

use super::room::{REOPEN_FREE_BYTES_MIN, Room};
use super::state::{Fault, guarded};
use super::{Options, form, notes};
use crate::store::OpenError;

/// Bytes of one segment of the engine. A page is at most twenty values of 64 KiB, and one larger
/// than a quarter of a segment would go to a file of its own, which nothing ever syncs.
pub(super) const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// How long to wait for the lock of a store that was just closed: a program that the former holder
/// is starting at that moment has the lock until it runs.
const HOLD_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long to wait for the last thread of a closed engine to let go of its file.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);

const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The folder of a store that this process holds.
#[derive(Debug)]
pub(super) struct Home {
    folder: PathBuf,
    cache_bytes: u64,
    pub(super) room: Room,
    // Held, not used: the lock goes when the file is closed.
    _lock: File,
}

impl Home {
    /// Makes the folder if needed and takes its lock.
    pub(super) fn hold(folder: &Path, options: Options) -> Result<Self, OpenError> {
        fs::create_dir_all(folder).map_err(|e| at(folder, e))?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| at(&path, e))?;
        let start = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < HOLD_WAIT_MAX => {
                    std::thread::sleep(LOCK_RETRY);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::Locked { path: folder.to_path_buf() });
                }
                Err(TryLockError::Error(error)) => return Err(at(&path, error)),
            }
        }
        form::refuse_newer(folder)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            cache_bytes: options.cache_bytes,
            room: Room::new(folder, options.free_bytes_min, options.ballast_bytes),
            _lock: lock,
        })
    }

    /// Opens the engine and brings its folder onto the disk; on a full disk, without the ballast.
    pub(super) fn open(&self) -> Result<Db, OpenError> {
        if !self.engine_folder().exists() {
            self.room_for_new()?;
        }
        self.refresh_notes().map_err(|e| at(&self.folder, e))?;
        let opened = match self.open_engine() {
            Err(fault) if is_full(&fault) && self.room.drop_ballast() => self.open_engine(),
            other => other,
        };
        let db = opened.map_err(|fault| self.error(&fault))?;
        self.sync().map_err(|e| at(&self.folder, e))?;
        Ok(db)
    }

    /// Brings the engine's notes up to date and onto the disk.
    ///
    /// On a disk without room for it the engine is opened all the same: only a cut of the power in
    /// that very moment would do harm.
    pub(super) fn refresh_notes(&self) -> io::Result<()> {
        // An engine that was just closed may still be writing; it holds this lock until it is done.
        let log = match File::open(self.engine_folder().join("db")) {
            Ok(log) => log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let start = Instant::now();
        while log.try_lock().is_err() && start.elapsed() < LOCK_WAIT_MAX {
            std::thread::sleep(LOCK_RETRY);
        }
        let lacking = notes::lacking(&self.folder, &log)?;
        let needed = lacking.bytes().saturating_add(REOPEN_FREE_BYTES_MIN);
        if self.room.free_bytes()? < needed {
            tracing::warn!(needed, "the disk has no room for the notes to be brought up to date first");
            return Ok(());
        }
        lacking.note(|folder| {
            if let Err(fault) = guarded(|| self.config(folder).open().map(drop)) {
                // Usual: pages that the old notes know are not in the copy.
                tracing::debug!(%fault, "the engine closed the copy");
            }
        })
    }

    // A new store without room for a single batch would only fail later, half made.
    fn room_for_new(&self) -> Result<(), OpenError> {
        let needed_bytes = self.room.free_bytes_min;
        let free_bytes = self.room.free_bytes().map_err(|e| at(&self.folder, e))?;
        if free_bytes >= needed_bytes {
            return Ok(());
        }
        Err(OpenError::Full { path: self.folder.clone(), free_bytes, needed_bytes })
    }

    /// A file handle of our own on the engine's data, to bring it onto the disk.
    pub(super) fn data_file(&self) -> Result<File, OpenError> {
        let path = self.engine_folder().join("db");
        File::open(&path).map_err(|e| at(&path, e))
    }

    fn config(&self, folder: &Path) -> Config {
        Config::new()
            .path(folder)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(self.cache_bytes)
            // The writer flushes; a timer of the engine would only write between its groups.
            .flush_every_ms(None)
    }

    fn open_engine(&self) -> Result<Db, Fault> {
        let config = self.config(&self.engine_folder());
        let start = Instant::now();
        loop {
            match guarded(|| config.open()) {
                Err(fault) if is_lock(&fault) && start.elapsed() < LOCK_WAIT_MAX => {
                    std::thread::sleep(LOCK_RETRY);
                }
                other => return other,
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        let engine = self.engine_folder();
        for path in [&engine.join("db"), &engine.join("conf")] {
            File::open(path)?.sync_all()?;
        }
        for folder in [&engine.join("blobs"), &engine, &self.folder] {
            File::open(folder)?.sync_all()?;
        }
        // A new store's folder is itself a new entry of the folder above.
        match self.folder.parent() {
            Some(above) if !above.as_os_str().is_empty() => File::open(above)?.sync_all(),
            _ => Ok(()),
        }
    }

    /// The folder of the store.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn engine_folder(&self) -> PathBuf {
        self.folder.join("sled")
    }

    /// A fault of the engine as whoever opens the store sees it.
    pub(super) fn error(&self, fault: &Fault) -> OpenError {
        let path = self.folder.clone();
        match fault {
            fault if is_full(fault) => OpenError::Full {
                path,
                free_bytes: self.room.free_bytes().unwrap_or(0),
                needed_bytes: REOPEN_FREE_BYTES_MIN,
            },
            Fault::Engine(::sled::Error::Io(error)) => {
                at(&path, io::Error::new(error.kind(), error.to_string()))
            }
            fault => OpenError::Damaged { path, why: fault.to_string() },
        }
    }
}

/// Whether the disk has no room.
pub(super) fn is_full(fault: &Fault) -> bool {
    let Fault::Engine(::sled::Error::Io(error)) = fault else {
        return false;
    };
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    full.contains(&error.kind())
}

// The engine gives no kind of its own for this; the words are those of the one version we take.
fn is_lock(fault: &Fault) -> bool {
    let words = "could not acquire lock";
    matches!(fault, Fault::Engine(::sled::Error::Io(e)) if e.to_string().contains(words))
}

fn at(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { path: path.to_path_buf(), source }
}
