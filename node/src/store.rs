//! The node's durable memory: opening a store and the engines behind the seam of the protocol.
//!
//! In goes a folder and the owner it must belong to, out comes a [`SledStore`] that implements
//! [`yunling_protocol::store::Store`]. What an engine has answered `Ok` is on the disk, and a
//! store that belongs to another node or is open elsewhere is never touched.

use std::path::{Path, PathBuf};

pub mod measure;
pub mod sled;

pub use sled::{Checked, Damaged, Health, Options, Origin, Salvaged, SledStore, Sum};

/// Why a store could not be opened. Each message names what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the store.
    #[error("store {path} is in use by another process: stop that one or name another folder")]
    Locked {
        /// The folder of the store.
        path: PathBuf,
    },
    /// The store was made for another owner.
    #[error("store {path} belongs to another node: name the folder that this node's keys made")]
    Owner {
        /// The folder of the store.
        path: PathBuf,
    },
    /// A newer program has written the store; nothing of it was touched.
    #[error("store {path} has form {found}, this program knows {known}: use the newer program")]
    Newer {
        /// The folder of the store.
        path: PathBuf,
        /// Its form.
        found: u64,
        /// The newest form known here.
        known: u64,
    },
    /// There is no room to open the store.
    #[error("disk full: {free_bytes} bytes free at {path}, {needed_bytes} needed to open the store")]
    Full {
        /// The folder of the store.
        path: PathBuf,
        /// Bytes free there.
        free_bytes: u64,
        /// Bytes that must be free.
        needed_bytes: u64,
    },
    /// A file could not be made, read or synced.
    #[error("cannot use {path}: {source}; check that the folder exists and may be written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The engine could not read what lies in the folder.
    #[error(
        "store {path} cannot be read: {why}; run yunling repair, or restore the last backup into an empty folder"
    )]
    Damaged {
        /// The folder of the store.
        path: PathBuf,
        /// What the engine said.
        why: String,
    },
    /// The engine opened the store, but not all that was written is there.
    #[error(
        "store {path} has lost records: {why}; run yunling repair, or restore the last backup into an empty folder"
    )]
    Lost {
        /// The folder of the store.
        path: PathBuf,
        /// What is missing, without any record's content.
        why: String,
    },
}

impl OpenError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "store-locked",
            Self::Owner { .. } => "store-owner",
            Self::Newer { .. } => "store-newer",
            Self::Full { .. } => "store-full",
            Self::Io { .. } => "store-io",
            Self::Damaged { .. } => "store-damaged",
            Self::Lost { .. } => "store-lost",
        }
    }
}

/// Whether a store in `path` is of a form that opening it brings up to date; nothing is touched.
pub fn is_older(path: &Path) -> bool {
    let form = sled::form::read(path).ok().flatten().unwrap_or_default();
    path.join("sled/db").exists() && form < u64::from(sled::form::FORM)
}

/// Opens the store in `path` with the usual limits, making it for `owner` when it is new.
pub fn open(path: &Path, owner: &[u8]) -> Result<SledStore, OpenError> {
    SledStore::open(path, owner, Options::default())
}
