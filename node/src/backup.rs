//! Backups: one encrypted, signed file from which a dead machine comes back.
//!
//! A file is a head with the format's version, the content in the age format, and a manifest signed
//! by the node's statement key. So everybody can check that it is whole and whose it is; only the
//! identity in the safe, or the passphrase, opens it. It holds the store, the configuration, the
//! keys and the list of erasures; never the recovery key. See `node/docs/backup.md`.

use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::service::Refusal;

mod create;
mod file;
pub(crate) mod folder;
pub mod keys;
mod manifest;
mod parts;
pub(crate) mod restore;
pub mod schedule;
pub mod state;

pub use create::CreateRequest;
pub use file::{Content, Opened};
pub use folder::{Found, folder_of, list};
pub use manifest::{Manifest, Part};
pub use parts::{PartsWriter, read_parts};
pub use restore::{RestoreRequest, Restored, restore};

/// Part with the configuration and the keys, by path in the home.
pub(crate) const PART_FILES: &str = "files";
/// Part with the lines of the list of erasures.
pub(crate) const PART_ERASURES: &str = "erasures";
/// Part with the records of the store, by table number and key.
pub(crate) const PART_STORE: &str = "store";

/// A file of a backup could not be read or written.
pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> Refusal {
    move |e| Refusal::new("backup-io").with("path", path.display()).with("cause", e)
}

/// The file is cut or changed; `what` says where it was seen.
pub(crate) fn damaged(path: &Path, what: &str) -> Refusal {
    Refusal::new("backup-damaged").with("path", path.display()).with("what", what)
}

/// Counts and hashes what goes through.
pub(crate) struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// What is inside, how many bytes went through and their hash.
    pub(crate) fn finish(self) -> (T, u64, [u8; 32]) {
        (self.inner, self.bytes, self.hash.finalize().into())
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.note(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(into)?;
        self.note(&into[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
