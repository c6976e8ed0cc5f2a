//! Where a repair works, and how the new store takes the place of the damaged one.
//!
//! The mark `repair.part` in the home says how far a run is: at `copy` nothing of the store was
//! touched, and all is begun again; at `swap` the new store is whole, and only names are left to be
//! changed. The new store has a file of its own until the end, by which it is told from the old one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use yunling_protocol::day::UnixTime;

use super::{Report, beside};
use crate::backup::folder::Unfinished;
use crate::home::{Home, make_folder};
use crate::service::Refusal;

/// Mark of a run under way, in the home.
const MARK_FILE: &str = "repair.part";
/// File in the new store until it has its place.
const NEW_FILE: &str = "repaired";
/// Largest mark read: a report of all tables is some kilobytes.
const MARK_BYTES_MAX: u64 = 1024 * 1024;

/// How far a run is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// The new store is being made.
    Copy,
    /// The new store is whole.
    Swap {
        /// Where the damaged store goes.
        kept: PathBuf,
        /// What was found.
        report: Box<Report>,
    },
}

/// The folders of a repair.
#[derive(Debug)]
pub(super) struct Place {
    home: PathBuf,
    /// The store.
    pub(super) store: PathBuf,
    work: PathBuf,
    /// The new store.
    pub(super) new: PathBuf,
    /// The copy that the engine may open.
    pub(super) reading: PathBuf,
}

pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Refusal {
    move |e| Refusal::new("repair-io").with("path", path.display()).with("cause", e)
}

/// Refuses a home whose repair was cut off: its store may be the old one, or not in its place.
pub fn refuse_unfinished(home: &Path) -> Result<(), Refusal> {
    if home.join(MARK_FILE).exists() {
        return Err(Refusal::new("repair-unfinished").with("path", home.display()));
    }
    Ok(())
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

impl Place {
    pub(super) fn of(home: &Home) -> Self {
        let store = home.store_folder();
        let work = beside(&store, ".repair");
        let (new, reading) = (work.join("new"), work.join("reading"));
        Self { home: home.path.clone(), store, work, new, reading }
    }

    /// Where the damaged store goes: its name, and the moment in China time.
    pub(super) fn kept_name(&self, at: i64) -> PathBuf {
        let at = UnixTime(at);
        let ((y, m, d), s) = (at.day().ymd(), at.second_of_day());
        let stamp = format!(".damaged-{y:04}{m:02}{d:02}-{:02}{:02}{:02}", s / 3600, s % 3600 / 60, s % 60);
        let kept = beside(&self.store, &stamp);
        // Two repairs within one second, or a clock that was set back.
        let more = (2..).map(|n| beside(&self.store, &format!("{stamp}-{n}")));
        std::iter::once(kept.clone()).chain(more).find(|path| !path.exists()).unwrap_or(kept)
    }

    fn mark_path(&self) -> PathBuf {
        self.home.join(MARK_FILE)
    }

    pub(super) fn stage(&self) -> Result<Option<Stage>, Refusal> {
        let path = self.mark_path();
        match fs::metadata(&path) {
            Ok(found) if found.len() <= MARK_BYTES_MAX => {}
            Ok(_) => return Ok(Some(Stage::Copy)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(&path)(e)),
        }
        let bytes = fs::read(&path).map_err(io(&path))?;
        // It comes into the home whole, so that anything else is damage: the names were not changed
        // yet, or the file in the new store says so.
        Ok(Some(serde_json::from_slice(&bytes).unwrap_or(Stage::Copy)))
    }

    pub(super) fn mark(&self, stage: &Stage) -> Result<(), Refusal> {
        let path = self.mark_path();
        let write = || -> io::Result<()> {
            if matches!(stage, Stage::Swap { .. }) {
                File::create(self.new.join(NEW_FILE))?.sync_all()?;
                File::open(&self.new)?.sync_all()?;
                File::open(&self.work)?.sync_all()?;
            }
            let (unfinished, mut file) = Unfinished::begin(&path)?;
            file.write_all(&serde_json::to_vec(stage)?)?;
            file.sync_all()?;
            unfinished.finish()
        };
        write().map_err(io(&path))
    }

    pub(super) fn unmark(&self) -> Result<(), Refusal> {
        let path = self.mark_path();
        fs::remove_file(&path).and_then(|()| sync_folder_of(&path)).map_err(io(&path))
    }

    /// Removes what a run left half made, and makes the folders of the next one.
    pub(super) fn clear(&self) -> Result<(), Refusal> {
        match fs::remove_dir_all(&self.work) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(&self.work)(e)),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn make(&self) -> Result<(), Refusal> {
        for folder in [&self.work, &self.new, &self.reading] {
            make_folder(folder).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
        }
        Ok(())
    }

    /// Exchanges the names, from wherever a killed run stopped.
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        let Some(Stage::Swap { kept, .. }) = self.stage()? else { return Ok(()) };
        if self.new.join(NEW_FILE).exists() {
            let (old, new) = (&self.store, &self.new);
            let exchange = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(rustix::fs::CWD, old, rustix::fs::CWD, new, exchange)
                .map_err(|e| Refusal::new("repair-swap").with("path", old.display()).with("cause", e))?;
            sync_folder_of(&self.store).map_err(io(&self.store))?;
        }
        let rest = || -> io::Result<()> {
            File::open(&self.work)?.sync_all()?;
            if self.new.exists() {
                fs::rename(&self.new, &kept)?;
                sync_folder_of(&kept)?;
            }
            Ok(())
        };
        if self.work.exists() {
            rest().map_err(io(&kept))?;
        }
        self.clear()?;
        let new_file = self.store.join(NEW_FILE);
        match fs::remove_file(&new_file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(&new_file)(e)),
            _ => {}
        }
        self.unmark()
    }
}
