//! The embedded engine: sled 0.34 behind one writer thread, with every answer on the disk.
//!
//! Batches come from any thread and wait in a line; the writer takes all that wait, checks each
//! against the state and the ones before it, writes them as one atomic batch, brings the file onto
//! the disk and answers all. What was answered `Ok` survives a cut of the power; a full disk
//! refuses new work, keeps the old, and is left behind without a restart.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use yunling_protocol::store::{
    Batch, CommitError, Expect, Item, Key, Read, Snapshot, Store, StoreError, Table, check_scan,
};

pub use self::check::Checked;
use self::home::Home;
use self::queue::{Job, Queue, Refused};
use self::record::{decode, raw_end, raw_key};
use self::room::{BALLAST_BYTES, FREE_BYTES_MIN};
pub use self::salvage::{Damaged, Origin, Salvaged, Sum};
use self::state::{Fault, State};
use self::whole::begin;
use self::writer::Writer;
use super::OpenError;

mod carve;
mod check;
pub(super) mod form;
mod home;
mod notes;
mod queue;
mod record;
mod room;
mod salvage;
mod snapshot;
mod state;
mod tally;
mod whole;
mod writer;

/// Key of the record in [`Table::Meta`] that says whose store this is.
pub const OWNER_KEY: &[u8] = b"owner";

/// How long a commit waits for its answer. A group takes milliseconds and reopening some seconds:
/// a disk that is silent for longer needs a person.
const COMMIT_WAIT_MAX: Duration = Duration::from_mins(1);

/// How long a read waits for the store to be reopened, and how often it looks.
const READ_WAIT_MAX: Duration = Duration::from_secs(5);
const READ_RETRY: Duration = Duration::from_millis(50);

/// Limits of one store that depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of pages the engine keeps in memory.
    pub cache_bytes: u64,
    /// Bytes that must be free on the disk before new work is taken.
    pub free_bytes_min: u64,
    /// Bytes of disk held back to open the store when there is no room; 0 for none.
    pub ballast_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // Enough for the head and index pages of a prefecture, small beside an office server.
            cache_bytes: 128 * 1024 * 1024,
            free_bytes_min: FREE_BYTES_MIN,
            ballast_bytes: BALLAST_BYTES,
        }
    }
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes go on.
    Good,
    /// Writes are refused until the cause is gone; the store tries again by itself.
    Waiting {
        /// The cause, usually a full disk.
        why: String,
    },
    /// Writes are refused until the process is started again. Reads go on, unless the engine
    /// panicked: then they are refused too.
    Stopped {
        /// The cause, such as a disk that failed to sync.
        why: String,
    },
}

/// What readers, writer and callers share.
struct Shared {
    home: Home,
    state: RwLock<State>,
    queue: Queue,
    health: Mutex<Health>,
    /// A reader met an error that the engine keeps: it must be reopened.
    sick: AtomicBool,
    /// A commit waited in vain: new ones are refused until the writer answers again.
    silent: AtomicBool,
    owner: Expect,
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> Health {
        let health = self.health.lock();
        health.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// A store in a folder on this machine.
pub struct SledStore {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl SledStore {
    /// Opens the store in `folder`, making it for `owner` when it is new.
    pub fn open(folder: &Path, owner: &[u8], options: Options) -> Result<Self, OpenError> {
        let home = Home::hold(folder, options)?;
        // From here on a panic of the engine is its last call, also while it is looked at.
        let state = State::new(home.open()?);
        let begun = begin(&home, &state, owner)?;
        let owner_key = Key::new(Table::Meta, OWNER_KEY);
        home.room.take_ballast();
        let shared = Arc::new(Shared {
            home,
            state: RwLock::new(state),
            queue: Queue::default(),
            health: Mutex::new(Health::Good),
            sick: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            owner: Expect::Equals(owner_key, owner.to_vec()),
        });
        let writer = Writer::new(Arc::clone(&shared), begun);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { path: folder.to_path_buf(), source })?;
        Ok(Self { shared, writer: Some(thread) })
    }

    /// How the store is, for status pages and `doctor`.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Bytes free on the disk of the store.
    pub fn free_bytes(&self) -> std::io::Result<u64> {
        self.shared.home.room.free_bytes()
    }

    /// Reads once the engine answers; an error it keeps until reopened is waited for.
    fn answered<T>(&self, read: impl Fn(&State) -> Result<T, Fault>) -> Result<T, StoreError> {
        let start = Instant::now();
        loop {
            let fault = match read(&self.shared.read()) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let passing = matches!(fault, Fault::Closed | Fault::Engine(::sled::Error::Io(_)));
            if !passing || start.elapsed() >= READ_WAIT_MAX {
                return Err(StoreError::Engine(fault.to_string()));
            }
            self.shared.sick.store(true, Ordering::Release);
            thread::sleep(READ_RETRY);
        }
    }
}

// Without the records and batches that are in memory.
impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore")
            .field("folder", &self.shared.home.folder())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

impl Read for SledStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let key = raw_key(table, key);
        let stored = self.answered(|state| state.get(&key))?;
        stored.map(|stored| decode(&key, &stored)).transpose()
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        check_scan(limit)?;
        let mut start = raw_key(table, prefix);
        let end = raw_end(&start);
        if let Some(after) = after
            && after >= prefix
        {
            // The first key behind `after` is `after` and a zero byte.
            start = raw_key(table, after);
            start.push(0);
        }
        let items = self.answered(|state| state.ascending(&start, &end, limit))?;
        items.iter().map(|(key, stored)| item(key, stored)).collect()
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        let start = raw_key(table, prefix);
        let end = raw_end(&start);
        let found = self.answered(|state| state.last(&start, &end))?;
        found.map(|(key, stored)| item(&key, &stored)).transpose()
    }
}

fn item(raw_key: &[u8], stored: &[u8]) -> Result<Item, StoreError> {
    let value = decode(raw_key, stored)?;
    Ok((raw_key.get(1..).unwrap_or_default().to_vec(), value))
}

impl Store for SledStore {
    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_limits()?;
        if self.shared.silent.load(Ordering::Acquire) {
            return Err(silent());
        }
        let (answer, answered) = sync_channel(1);
        let deadline = Instant::now() + COMMIT_WAIT_MAX;
        let job = Job { batch, answer };
        match self.shared.queue.push(job, deadline) {
            Ok(()) => {}
            Err(Refused::NoPlace) => return Err(silent()),
            Err(Refused::Closed) => return Err(ended()),
        }
        match answered.recv_timeout(COMMIT_WAIT_MAX) {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
            Err(RecvTimeoutError::Timeout) => {
                self.shared.silent.store(true, Ordering::Release);
                Err(silent())
            }
        }
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self::snapshot::SledSnapshot::begin(self)?))
    }
}

fn silent() -> CommitError {
    let seconds = COMMIT_WAIT_MAX.as_secs();
    CommitError::Engine(format!("the disk gave no answer within {seconds} s: check the disk"))
}

fn ended() -> CommitError {
    CommitError::Engine("the store's writer has ended: start the node again".to_owned())
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && !self.shared.silent.load(Ordering::Acquire)
        {
            // A panic of the writer was already told to everyone who waited.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
