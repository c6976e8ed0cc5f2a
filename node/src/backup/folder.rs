//! The folders of backups: names, what lies there, the second copy, and which are old enough to go.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use yunling_protocol::day::UnixTime;
use yunling_protocol::name::NodeName;

use super::file::Opened;
use super::{Manifest, damaged};
use crate::home::Home;
use crate::service::Refusal;

/// End of the name of a backup.
const SUFFIX: &str = ".ylbackup";
/// End of the name of one that is being written.
const PART_SUFFIX: &str = ".part";

/// Folder of the backups of a home.
pub fn folder_of(home: &Home) -> PathBuf {
    home.config.backup.folder.clone().unwrap_or_else(|| home.path.join("backups"))
}

fn prefix(node: &NodeName) -> String {
    format!("{}-", node.as_str().replace('/', "_"))
}

/// Name of a backup: node and moment in China time, so that names sort by time.
pub(super) fn name(node: &NodeName, made_at: UnixTime) -> String {
    let (y, m, d) = made_at.day().ymd();
    let s = made_at.second_of_day();
    format!("{}{y:04}{m:02}{d:02}-{:02}{:02}{:02}{SUFFIX}", prefix(node), s / 3600, s % 3600 / 60, s % 60)
}

/// A backup in a folder.
#[derive(Debug)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// What it says of itself, or why it cannot be told.
    pub manifest: Result<Manifest, Refusal>,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Backups of a node in a folder, the oldest first; only their manifests are read.
pub fn list(folder: &Path, node: &NodeName) -> Result<Vec<Found>, Refusal> {
    let names = names(folder, node).map_err(super::io(folder))?;
    let found = |name: String| {
        let path = folder.join(name);
        let bytes = fs::metadata(&path).map_or(0, |m| m.len());
        Found { manifest: Opened::peek(&path).map(|o| o.manifest), path, bytes }
    };
    Ok(names.into_iter().map(found).collect())
}

/// Names by which this program made backups of the node here, the oldest first.
fn names(folder: &Path, node: &NodeName) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(e),
    };
    let prefix = prefix(node);
    let mut names = Vec::new();
    for entry in entries {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let stamp = name.strip_prefix(&prefix).and_then(|n| n.strip_suffix(SUFFIX));
        // Another node's name may begin with this one's: only the moment may follow.
        if stamp.is_some_and(|s| s.len() == 15 && s.bytes().all(|b| b.is_ascii_digit() || b == b'-')) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes all but the newest `keep`, and never `newest`, which may be older by its clock.
pub(super) fn prune(folder: &Path, node: &NodeName, keep: u32, newest: &str) -> io::Result<usize> {
    let mut names = names(folder, node)?;
    names.retain(|name| name != newest);
    let surplus = names.len().saturating_sub(keep.saturating_sub(1) as usize);
    for name in names.iter().take(surplus) {
        fs::remove_file(folder.join(name))?;
    }
    Ok(surplus)
}

/// The folder, made when it is not there.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A file that gets its name only when it is whole and on the disk.
pub(super) struct Unfinished {
    target: PathBuf,
    part: PathBuf,
    finished: bool,
}

impl Unfinished {
    /// Begins a file; what a killed run left under the same name is overwritten.
    pub(super) fn begin(target: &Path) -> io::Result<(Self, File)> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(PART_SUFFIX);
        let part = target.with_file_name(name);
        match fs::remove_file(&part) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&part)?;
        Ok((Self { target: target.to_path_buf(), part, finished: false }, file))
    }

    /// Where it is written now.
    pub(super) fn path(&self) -> &Path {
        &self.part
    }

    /// Gives it its name; its bytes must be synced.
    pub(super) fn finish(mut self) -> io::Result<()> {
        fs::rename(&self.part, &self.target)?;
        self.finished = true;
        match self.target.parent().filter(|p| !p.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // It is worth nothing; the next run removes it when this one could not.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Removes what killed runs left here.
pub(super) fn sweep(folder: &Path, node: &NodeName) {
    let (prefix, suffix) = (prefix(node), format!("{SUFFIX}{PART_SUFFIX}"));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.starts_with(&prefix) && n.ends_with(&suffix)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Copies a backup to the second folder and reads the copy back.
pub(super) fn copy(source: &Path, folder: &Path) -> Result<PathBuf, Refusal> {
    let target = folder.join(source.file_name().unwrap_or_default());
    let failed = |e: io::Error| Refusal::new("backup-copy").with("path", target.display()).with("cause", e);
    // Not made when it is missing: a NAS that is not mounted must not be taken for the local disk.
    let mut from = File::open(source).map_err(failed)?;
    let (unfinished, mut to) = Unfinished::begin(&target).map_err(failed)?;
    io::copy(&mut from, &mut to).map_err(failed)?;
    to.flush().and_then(|()| to.sync_all()).map_err(failed)?;
    let (own, copied) = (Opened::peek(source)?, Opened::open(unfinished.path())?);
    if own.manifest != copied.manifest {
        return Err(damaged(unfinished.path(), "copy"));
    }
    unfinished.finish().map_err(failed)?;
    Ok(target)
}
