//! The folders of backups: names, what lies there, the second copy, and which are old enough to go.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use yunling_protocol::day::UnixTime;
use yunling_protocol::name::NodeName;

use super::Manifest;
use super::file::Opened;
use crate::home::Home;
use crate::service::Refusal;

/// End of the name of a backup.
const SUFFIX: &str = ".ylbackup";
/// Bytes of the moment in the name.
const STAMP_BYTES: usize = 15;
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
    let mut names = Vec::new();
    for entry in entries {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if name.strip_suffix(SUFFIX).is_some_and(|stem| is_own(stem, node)) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a name without its end is one that this program gives to backups of the node. Another
/// node's name may begin with this one's, so nothing but the moment may follow.
fn is_own(stem: &str, node: &NodeName) -> bool {
    let stamp = stem.strip_prefix(&prefix(node));
    stamp.is_some_and(|s| s.len() == STAMP_BYTES && s.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
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
pub(crate) struct Unfinished {
    target: PathBuf,
    part: PathBuf,
    finished: bool,
}

impl Unfinished {
    /// Begins a file; what a killed run left under the same name is overwritten.
    pub(crate) fn begin(target: &Path) -> io::Result<(Self, File)> {
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
    pub(crate) fn finish(mut self) -> io::Result<()> {
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
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let stem = name.to_str().and_then(|n| n.strip_suffix(PART_SUFFIX)?.strip_suffix(SUFFIX));
        if stem.is_some_and(|stem| is_own(stem, node)) {
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
    // Signature and hash: no other bytes pass.
    Opened::open(unfinished.path())?;
    unfinished.finish().map_err(failed)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn in_a_shared_folder_only_the_own_files_are_listed_swept_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let node = NodeName::parse("kunming").unwrap();
        let other = NodeName::parse("kunming-20").unwrap();
        let at = |n: i64| UnixTime(1_795_000_000 + n);
        for n in 0..4 {
            for node in [&node, &other] {
                fs::write(folder.path().join(name(node, at(n))), "x").unwrap();
            }
        }
        let part = |node| folder.path().join(format!("{}.part", name(node, at(9))));
        fs::write(part(&node), "x").unwrap();
        fs::write(part(&other), "x").unwrap();
        sweep(folder.path(), &node);
        assert!(!part(&node).exists() && part(&other).exists());
        assert_eq!(prune(folder.path(), &node, 2, &name(&node, at(0))).unwrap(), 2);
        assert_eq!(names(folder.path(), &node).unwrap(), [name(&node, at(0)), name(&node, at(3))]);
        assert_eq!(names(folder.path(), &other).unwrap().len(), 4);
    }
}
