//! A replay that goes on where it stopped: its state in a file beside the log that it replays.
//!
//! In: the replay, now and then. Out: the same replay later, if it is still about the same log and nothing has
//! come that it should have known before. The file is the auditor's own; it is written whole or not at all.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use yunling_protocol::cbor::{self, CborError, Fields, MapBuilder};
use yunling_protocol::id::StatementId;
use yunling_protocol::log::audit::{Audit, STATE_BYTES_MAX};
use yunling_protocol::log::merkle::root_at;

use crate::backup::folder::Unfinished;
use crate::log::{Folder, LogError, Tiles};

/// Entries between two savings: a second of work, and a state of some MiB for the largest logs.
const KEEP_EVERY: u64 = 65_536;
/// Largest file: the replay's state, and as much again for what is held of the owner.
const FILE_BYTES_MAX: usize = 2 * STATE_BYTES_MAX;
/// Ids and checkpoints of each list; more than any office holds of another.
const ROWS_MAX: usize = 4_000_000;

/// Where a replay is kept, and how often.
#[derive(Debug, Clone)]
pub struct Keep {
    /// File.
    pub path: PathBuf,
    /// Entries between two savings.
    pub every: u64,
}

impl Keep {
    /// In this file, as often as is usual.
    pub fn at(path: PathBuf) -> Self {
        Self { path, every: KEEP_EVERY }
    }

    /// The state in the file; none where there is none or where another version wrote it.
    pub(super) fn read(&self) -> Option<State> {
        let length = std::fs::metadata(&self.path).ok()?.len();
        if length > FILE_BYTES_MAX as u64 {
            return None;
        }
        State::decode(&std::fs::read(&self.path).ok()?).ok()
    }

    pub(super) fn write(&self, state: &State) -> Result<(), LogError> {
        let write = || -> std::io::Result<()> {
            let (unfinished, mut file) = Unfinished::begin(&self.path)?;
            file.write_all(&state.encode())?;
            file.sync_all()?;
            unfinished.finish()
        };
        write().map_err(|source| LogError::Io { path: self.path.clone(), source })
    }

    /// The replay has ended: the next one begins anew, with what is held then.
    pub(super) fn forget(&self) -> Result<(), LogError> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(LogError::Io { path: self.path.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

/// A replay under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) audit: Audit,
    /// Size and root of each checkpoint it was told.
    pub(super) told: BTreeSet<(u64, [u8; 32])>,
    /// What was held when it began.
    pub(super) held: BTreeSet<StatementId>,
    pub(super) found: BTreeSet<StatementId>,
    pub(super) untold: Vec<StatementId>,
}

impl State {
    pub(super) fn begin(origin: &str, held: &BTreeSet<StatementId>) -> Self {
        let (told, found) = (BTreeSet::new(), BTreeSet::new());
        Self { audit: Audit::new(origin), told, held: held.clone(), found, untold: Vec::new() }
    }

    /// Whether it may go on with this log: it is about it, its entries are those of the folder, and every
    /// checkpoint whose size it has passed was known to it.
    pub(super) fn continues(
        &self,
        folder: &Folder,
        newest: (&str, u64),
        known: impl Iterator<Item = (u64, [u8; 32])>,
    ) -> bool {
        let (origin, size) = newest;
        let report = self.audit.report();
        let passed = |checkpoint: &(u64, [u8; 32])| checkpoint.0 <= report.size;
        report.origin == origin
            && (1..=size).contains(&report.size)
            && known.filter(passed).all(|checkpoint| self.told.contains(&checkpoint))
            && root_at(&Tiles { folder, size }, report.size).is_ok_and(|root| root == report.root)
    }

    fn encode(&self) -> Vec<u8> {
        let told: Vec<u8> =
            self.told.iter().flat_map(|(size, root)| [&size.to_be_bytes()[..], root].concat()).collect();
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::bytes(self.audit.encode()))
            .put(3, cbor::bytes(told))
            .put(4, cbor::bytes(rows(&self.held)))
            .put(5, cbor::bytes(rows(&self.found)))
            .put(6, cbor::bytes(rows(&self.untold)));
        cbor::encode(&map.build())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, FILE_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let audit = Audit::decode(&f.bytes(2, STATE_BYTES_MAX)?).map_err(|_| CborError::WrongType(2))?;
        let told = f.bytes(3, ROWS_MAX * 40)?;
        let told = told.chunks(40).map(|row| {
            let (size, root) = row.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*size), <[u8; 32]>::try_from(root).ok()?))
        });
        let told = told.collect::<Option<_>>().ok_or(CborError::WrongType(3))?;
        let mut ids = |label| {
            let bytes = f.bytes(label, ROWS_MAX * 32)?;
            let ids = bytes.chunks(32).map(|row| row.try_into().ok().map(StatementId));
            ids.collect::<Option<Vec<_>>>().ok_or(CborError::WrongType(label))
        };
        let (held, found, untold) = (ids(4)?, ids(5)?, ids(6)?);
        f.finish()?;
        let (held, found) = (held.into_iter().collect(), found.into_iter().collect());
        Ok(Self { audit, told, held, found, untold })
    }
}

fn rows<'a>(ids: impl IntoIterator<Item = &'a StatementId>) -> Vec<u8> {
    ids.into_iter().flat_map(|id| id.0).collect()
}
