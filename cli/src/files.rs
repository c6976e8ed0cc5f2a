//! Files and standard input of commands: read with a limit, written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Reads a text of at most `bytes_max` bytes; `-` is standard input.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    let bytes = read(path, bytes_max)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage("file-text").with("path", path.display()))
}

/// Reads at most `bytes_max` bytes; `-` is standard input.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let io = |e: std::io::Error| Failure::usage("file-read").with("path", &shown).with("cause", e);
    let mut bytes = Vec::new();
    let mut source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(io)?)
    };
    source.by_ref().take(bytes_max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::usage("file-large").with("path", &shown).with("max", bytes_max));
    }
    Ok(bytes)
}

/// Writes a file beside its place and moves it there, on the disk when it returns; `mode` is that of a
/// new file.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let io = |e: std::io::Error| Failure::new("file-write").with("path", path.display()).with("cause", e);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    // What a killed command left may have another mode.
    let _ = std::fs::remove_file(&part);
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, path)?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    };
    write().map_err(|e| {
        let _ = std::fs::remove_file(&part);
        io(e)
    })
}

/// Mode of files that others may read: cards, invitations.
pub(crate) const MODE_PUBLIC: u32 = 0o644;
/// Mode of files about a person.
pub(crate) const MODE_PRIVATE: u32 = 0o600;

/// The path as the node, which runs elsewhere, understands it.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|e| Failure::usage("file-read").with("path", path.display()).with("cause", e))
}
