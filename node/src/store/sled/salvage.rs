//! A damaged store, read for all that is right in it; nothing of it is changed.
//!
//! The engine writes when it opens, and blanks parts of its log, so it is opened on a copy. When it
//! gives all that the tally says there was, its rows are the store. When it does not, the log is read
//! without it, and what the engine gave fills what is missing there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use yunling_protocol::store::{Key, StoreError, Table};

use super::carve::carve;
use super::home::Home;
use super::record::decode;
use super::state::{RawItem, State};
use super::tally::file::{Found, NAME as TALLY_FILE, find};
use super::tally::{TALLY_KEY, Tally};
use super::{OWNER_KEY, OpenError, Options, SledStore};

/// Rows read from the engine at a time.
const PAGE_ROWS: usize = 1024;
/// Bytes copied at a time; a piece that is blank is left as a hole.
const COPY_BYTES: usize = 64 * 1024;

/// Where a row was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The newest of its key: it replaces one read before.
    Newest,
    /// Perhaps an older one: it counts only where there is none.
    Filler,
}

/// Rows of a table and a sum of their checksums: two tables with the same have the same rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Rows.
    pub rows: u64,
    sum: u64,
}

/// What a salvage met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// What each table held as the store last counted it; none when that cannot be told.
    pub had: Option<BTreeMap<Table, Sum>>,
    /// Whether the engine gave all that was counted.
    pub whole: bool,
    /// What the engine or the count said when not.
    pub why: Option<String>,
    /// Entries with a wrong checksum.
    pub damaged: u64,
}

/// A store that is held but not opened.
#[derive(Debug)]
pub struct Damaged {
    home: Home,
    options: Options,
}

impl Damaged {
    /// Takes the lock of the store in `folder`, which must exist.
    pub fn hold(folder: &Path, options: Options) -> Result<Self, OpenError> {
        Ok(Self { home: Home::hold(folder, options)?, options })
    }

    /// Bytes that its files take on the disk; as many are needed for the copy, and for the new store.
    pub fn bytes(&self) -> io::Result<u64> {
        use std::os::unix::fs::MetadataExt as _;
        let mut bytes = 0;
        for path in files(&self.home.folder().join("sled"))? {
            bytes += fs::metadata(path)?.blocks() * 512;
        }
        Ok(bytes)
    }

    /// Bytes free on its disk.
    pub fn free_bytes(&self) -> io::Result<u64> {
        self.home.room.free_bytes()
    }

    /// Copies the engine's files and the newest tally into `folder`, where a store of the same content can
    /// be opened.
    pub fn copy_to(&self, folder: &Path) -> io::Result<()> {
        let from = self.home.folder();
        copy_engine(&from.join("sled"), &folder.join("sled"))?;
        copy_tally(from, folder)
    }

    /// Calls `each` for every right row but the owner's. `scratch` is an empty folder for the copy.
    pub fn rows<E: From<OpenError>>(
        &self,
        scratch: &Path,
        mut each: impl FnMut(Key, Vec<u8>, Origin) -> Result<(), E>,
    ) -> Result<Salvaged, E> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| E::from(OpenError::Io { path, source })
        };
        let folder = self.home.folder();
        self.copy_to(scratch).map_err(io(scratch))?;
        let copy = Home::hold(scratch, Options { ballast_bytes: 0, ..self.options })?;
        let mut salvaged = Salvaged::default();
        let engine = match copy.open() {
            Ok(db) => Some(State::new(db)),
            Err(error) => {
                // Not the whole sentence: it names the copy.
                salvaged.why = Some(match error {
                    OpenError::Damaged { why, .. } | OpenError::Lost { why, .. } => why,
                    other => other.to_string(),
                });
                None
            }
        };
        let newest = find(folder).map_err(io(folder))?;
        let tally = engine.as_ref().and_then(tally_of);
        if let (Some(state), Some(tally)) = (&engine, &tally) {
            let compared = newest_of(tally, newest).and_then(|()| compare(state, tally));
            salvaged.whole = compared.is_ok();
            salvaged.why = compared.err();
            salvaged.had = salvaged.whole.then(|| had(tally));
        } else if engine.is_some() {
            salvaged.why = Some("the tally is gone".to_owned());
        }
        let mut origin = Origin::Newest;
        if !salvaged.whole {
            origin = Origin::Filler;
            let found = self.read_log(&mut salvaged, &mut each)?;
            let best = [found, tally].into_iter().flatten().max_by_key(|tally| tally.number);
            salvaged.had = best.filter(|tally| newest_of(tally, newest).is_ok()).map(|tally| had(&tally));
        }
        if let Some(state) = &engine {
            from_engine(state, origin, &mut salvaged, &mut each)?;
        }
        Ok(salvaged)
    }

    /// Every row of the log; gives the newest tally in it.
    fn read_log<E: From<OpenError>>(
        &self,
        salvaged: &mut Salvaged,
        each: &mut impl FnMut(Key, Vec<u8>, Origin) -> Result<(), E>,
    ) -> Result<Option<Tally>, E> {
        let path = self.home.folder().join("sled/db");
        let log = match File::open(&path) {
            Ok(log) => log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OpenError::Io { path, source }.into()),
        };
        let at = |source| OpenError::Io { path: path.clone(), source };
        let carved = carve(&log).map_err(at)?;
        tracing::info!(skipped = carved.skipped, "the log was read without the engine");
        let mut tally: Option<Tally> = None;
        let wrong = carved.rows(&log, |(key, stored)| {
            if key == TALLY_KEY {
                let found = Tally::parse(&stored);
                if found.as_ref().map(|t| t.number) > tally.as_ref().map(|t| t.number) {
                    tally = found;
                }
                return Ok(());
            }
            give(&key, &stored, Origin::Newest, each).map(drop).map_err(Stop::Caller)
        });
        match wrong {
            Ok(wrong) => salvaged.damaged += wrong,
            Err(Stop::Io(source)) => return Err(at(source).into()),
            Err(Stop::Caller(error)) => return Err(error),
        }
        Ok(tally)
    }
}

/// Why a reading of the log ended.
enum Stop<E> {
    Io(io::Error),
    Caller(E),
}

impl<E> From<io::Error> for Stop<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Hands a row on; `false` when it is not right.
fn give<E>(
    raw: &[u8],
    stored: &[u8],
    origin: Origin,
    each: &mut impl FnMut(Key, Vec<u8>, Origin) -> Result<(), E>,
) -> Result<bool, E> {
    let Some((number, key)) = raw.split_first() else { return Ok(false) };
    let (Some(table), Ok(value)) = (Table::from_number(*number), decode(raw, stored)) else {
        return Ok(false);
    };
    if table != Table::Meta || key != OWNER_KEY {
        each(Key::new(table, key), value, origin)?;
    }
    Ok(true)
}

/// Every row the engine still gives; its first panic ends that.
fn from_engine<E>(
    state: &State,
    origin: Origin,
    salvaged: &mut Salvaged,
    each: &mut impl FnMut(Key, Vec<u8>, Origin) -> Result<(), E>,
) -> Result<(), E> {
    let mut start = vec![TALLY_KEY[0] + 1];
    loop {
        let rows: Vec<RawItem> = match state.ascending(&start, &[u8::MAX], PAGE_ROWS) {
            Ok(rows) => rows,
            Err(fault) => {
                tracing::warn!(%fault, "the engine gives no more rows");
                salvaged.why.get_or_insert_with(|| fault.to_string());
                salvaged.whole = false;
                return Ok(());
            }
        };
        let Some((last, _)) = rows.last() else { return Ok(()) };
        start = [last.as_slice(), &[0]].concat();
        for (raw, stored) in &rows {
            let right = give(raw, stored, origin, each)?;
            salvaged.damaged += u64::from(!right && origin == Origin::Newest);
        }
    }
}

fn tally_of(state: &State) -> Option<Tally> {
    let stored = state.call(|db| db.get(TALLY_KEY)).ok()??;
    Tally::parse(&stored)
}

fn had(tally: &Tally) -> BTreeMap<Table, Sum> {
    let sum = |table| {
        let (rows, sum) = tally.of_table(table);
        (table, Sum { rows, sum })
    };
    Table::ALL.into_iter().map(sum).collect()
}

impl SledStore {
    /// What each table holds now, as the store counts it.
    pub fn sums(&self) -> Result<BTreeMap<Table, Sum>, StoreError> {
        let stored = self.answered(|state| state.get(TALLY_KEY))?;
        let tally = stored.as_deref().and_then(Tally::parse);
        Ok(had(&tally.ok_or_else(|| StoreError::Engine("the tally is gone".to_owned()))?))
    }
}

/// Whether the tally is the newest one that was written.
fn newest_of(tally: &Tally, found: Found) -> Result<(), String> {
    match found {
        Found::Mark(mark) if mark.number <= tally.number => Ok(()),
        Found::Mark(mark) => {
            Err(format!("{} groups were written, the last one there is {}", mark.number, tally.number))
        }
        Found::Nothing => Err("the file tally is missing".to_owned()),
        Found::Unreadable => Err("the file tally is damaged".to_owned()),
    }
}

fn compare(state: &State, tally: &Tally) -> Result<(), String> {
    let db = state.db().map_err(|fault| fault.to_string())?;
    state.noted(tally.compare(db)).map_err(|fault| fault.to_string())?
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn copy_tally(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from.join(TALLY_FILE), to.join(TALLY_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies the engine's files and leaves holes holes: its log is mostly empty.
fn copy_engine(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("blobs"))?;
    for path in files(from)? {
        let Some(name) = path.file_name() else { continue };
        let (source, target) = (File::open(&path)?, File::create(to.join(name))?);
        let len = source.metadata()?.len();
        target.set_len(len)?;
        let mut piece = vec![0; COPY_BYTES];
        for at in (0..len).step_by(COPY_BYTES) {
            let rest = usize::try_from(len - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
            source.read_exact_at(&mut piece[..rest], at)?;
            if piece[..rest].iter().any(|byte| *byte != 0) {
                target.write_all_at(&piece[..rest], at)?;
            }
        }
    }
    Ok(())
}
