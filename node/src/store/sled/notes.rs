//! The engine's notes: the list of its pages, brought up to date and onto the disk before the
//! engine is opened on its records.
//!
//! The engine writes its notes only when it is opened, and then at once blanks each part of its log
//! that the new ones do not need. It does not sync the folder between the two, so a cut of the power
//! can leave the old notes and the blanks, and with them nothing that can be read. So it is opened
//! first on a copy of the part of its log that the old notes lack: what it notes there is put in
//! place and synced, and when it then opens the records the notes are on the disk, whatever becomes
//! of what it blanks. A cut before that finds old notes and records that nothing has touched.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::home::SEGMENT_BYTES;

/// Name of the folder with the copy, in the folder of the store. A cut may leave it.
const COPY: &str = "opening";

/// Bytes at the start of a segment that say where in the log it stands: a checksum, then the place
/// with all bits but the highest turned over.
const HEAD_BYTES: usize = 12;
const PLACE_MASK: u64 = i64::MAX as u64;

/// What of the log is newer than the notes.
#[derive(Debug)]
pub(super) struct Lacking {
    store: PathBuf,
    /// Where the segments begin in the file, and the length of the file.
    segments: Vec<u64>,
    len: u64,
}

/// Removes what an earlier opening left half done, and finds what the notes lack of the log.
pub(super) fn lacking(store: &Path, log: &File) -> io::Result<Lacking> {
    remove_copy(store)?;
    let engine = store.join("sled");
    // The engine would take half of its notes for the newest, and refuse the store for them.
    for half in notes(&engine)?.into_iter().filter(|path| place(path).is_none()) {
        fs::remove_file(half)?;
    }
    // They are named after the place in the log up to which they go.
    let noted = newest(&engine)?.and_then(|path| place(&path)).unwrap_or(0);
    let first = noted - noted % SEGMENT_BYTES as u64;
    let len = log.metadata()?.len();
    let mut segments = Vec::new();
    for at in (0..len).step_by(SEGMENT_BYTES) {
        let mut head = [0; HEAD_BYTES];
        let found = match log.read_exact_at(&mut head, at) {
            Ok(()) => head.last_chunk::<8>().map_or(0, |place| u64::from_le_bytes(*place) ^ PLACE_MASK),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(error),
        };
        // A blank head is one that the engine gave up.
        if head != [0; HEAD_BYTES] && found >= first {
            segments.push(at);
        }
    }
    Ok(Lacking { store: store.to_path_buf(), segments, len })
}

impl Lacking {
    /// Bytes of disk that the copy takes.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.len() as u64 * SEGMENT_BYTES as u64
    }

    /// Brings the notes up to date; `open` opens the engine in a folder and closes it again.
    ///
    /// An engine that makes no notes of the copy leaves the old ones: it will say why when it is
    /// opened on the records.
    pub(super) fn note(&self, open: impl FnOnce(&Path)) -> io::Result<()> {
        let engine = self.store.join("sled");
        let copy = self.store.join(COPY);
        fs::create_dir(&copy)?;
        let old = newest(&engine)?;
        for path in old.iter().chain([&engine.join("conf")]) {
            if let Some(name) = path.file_name().filter(|_| path.exists()) {
                fs::copy(path, copy.join(name))?;
            }
        }
        self.copy_log(&engine, &copy)?;
        open(&copy);
        if let Some(new) = newest(&copy)?.filter(|new| place(new) > old.as_deref().and_then(place)) {
            put_in_place(&new, &engine)?;
        }
        remove_copy(&self.store)
    }

    fn copy_log(&self, engine: &Path, copy: &Path) -> io::Result<()> {
        let from = File::open(engine.join("db"))?;
        let to = File::create_new(copy.join("db"))?;
        to.set_len(self.len)?;
        let mut bytes = vec![0; SEGMENT_BYTES];
        for at in &self.segments {
            let rest = usize::try_from(self.len - at).unwrap_or(SEGMENT_BYTES).min(SEGMENT_BYTES);
            from.read_exact_at(&mut bytes[..rest], *at)?;
            to.write_all_at(&bytes[..rest], *at)?;
        }
        Ok(())
    }
}

/// Gives new notes their place, on the disk before the old ones go.
fn put_in_place(new: &Path, engine: &Path) -> io::Result<()> {
    let Some(target) = new.file_name().map(|name| engine.join(name)) else { return Ok(()) };
    File::open(new)?.sync_all()?;
    fs::rename(new, &target)?;
    File::open(engine)?.sync_all()?;
    for old in notes(engine)?.into_iter().filter(|path| *path != target) {
        fs::remove_file(old)?;
    }
    Ok(())
}

fn remove_copy(store: &Path) -> io::Result<()> {
    match fs::remove_dir_all(store.join(COPY)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn newest(engine: &Path) -> io::Result<Option<PathBuf>> {
    Ok(notes(engine)?.into_iter().filter(|path| place(path).is_some()).max())
}

/// All notes in the folder, whole or not.
fn notes(engine: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(engine)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"snap.")) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The place in the log that notes are named after; `None` for those half written.
fn place(notes: &Path) -> Option<u64> {
    let name = notes.file_name()?.to_str()?.strip_prefix("snap.")?;
    u64::from_str_radix(name, 16).ok()
}
