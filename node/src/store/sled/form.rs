//! The form of a store: a number that grows with each change that an older program must not write over.
//!
//! | form | since | what an older program would do |
//! |---|---|---|
//! | 1 | 0.1.0 | |
//! | 2 | 0.2.0 | not count what it writes in the tally |
//! | 3 | 0.3.0 | sign without logging, for it knows no table of the log; act without the roster |
//!
//! It is the version of the owner's record, which every program reads before it writes. From form 3 on it
//! also lies in a file beside the engine, so that a store of a newer form is left before the engine opens
//! it: the engine writes when it opens.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::store::OpenError;

/// The form that this program writes.
pub(in super::super) const FORM: u8 = 3;

/// Name of the file in the folder of the store.
const NAME: &str = "form";

/// Most bytes read of it: more digits than any number here.
const BYTES_MAX: usize = 16;

/// Refuses a store whose file names a newer form than this program knows.
pub(super) fn refuse_newer(folder: &Path) -> Result<(), OpenError> {
    match read(folder).map_err(|source| OpenError::Io { path: folder.join(NAME), source })? {
        Some(found) if found > u64::from(FORM) => Err(newer(folder, found)),
        _ => Ok(()),
    }
}

/// The refusal of a newer form.
pub(super) fn newer(folder: &Path, found: u64) -> OpenError {
    OpenError::Newer { path: folder.to_path_buf(), found, known: FORM.into() }
}

/// The form that the file names; none in a store of before the file, or where it says nothing: the owner's
/// record says it then.
pub(in super::super) fn read(folder: &Path) -> io::Result<Option<u64>> {
    let bytes = match fs::read(folder.join(NAME)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = bytes.get(..bytes.len().min(BYTES_MAX)).and_then(|bytes| std::str::from_utf8(bytes).ok());
    Ok(text.and_then(|text| text.trim_end().parse().ok()))
}

/// Writes the file; it comes into the folder whole. After the owner's record is on the disk, never before.
pub(super) fn note(folder: &Path) -> io::Result<()> {
    if read(folder)? == Some(FORM.into()) {
        return Ok(());
    }
    let path = folder.join("form.new");
    let mut file = File::create(&path)?;
    writeln!(file, "{FORM}")?;
    file.sync_all()?;
    fs::rename(&path, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}
