//! The log of what this node signed (DESIGN §7), on the disk: `log/GENERATION/` in the home, as any static
//! web server may serve it (`c2sp.org/tlog-tiles`).
//!
//! The store holds the truth: bundles of entries, places, the head with its signed checkpoint, one batch for
//! each round. The folder is made from it, and again where it lacks something. [`Book`] grows a log in
//! constant memory; [`Folder`] reads and writes its files.

mod book;
mod folder;
#[cfg(test)]
mod tests;

pub use book::{Book, Round};
pub use folder::{Folder, Tiles};

use std::path::PathBuf;

use yunling_protocol::log::merkle::make::MakeError;
use yunling_protocol::log::{CheckpointError, MerkleError};
use yunling_protocol::store::StoreError;

/// Folder of all logs in a home.
pub const LOG_FOLDER: &str = "log";
/// Name of the newest checkpoint in the folder of a log.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// Name of the record that begins a log.
pub const LIFE_FILE: &str = "life";

/// A file of the log, as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Decides how long it may be kept.
    pub kind: Kind,
    /// Content.
    pub bytes: Vec<u8>,
}

/// What a file of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The newest checkpoint: replaced within a second.
    Checkpoint,
    /// A tile, a bundle or the record of a life: never changes.
    Tile,
}

/// Why the log cannot be read or go on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file.
    #[error("cannot use {path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// What is stored does not come to the root that this node signed.
    #[error("the log is damaged: {0}")]
    Damaged(&'static str),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A question beyond the log.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
}

impl LogError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "log-io",
            Self::Damaged(_) => "log-damaged",
            Self::Store(error) => error.code(),
            Self::Merkle(error) => error.code(),
        }
    }
}

impl From<CheckpointError> for LogError {
    fn from(_: CheckpointError) -> Self {
        Self::Damaged("a stored checkpoint")
    }
}

impl From<MakeError<LogError>> for LogError {
    fn from(error: MakeError<LogError>) -> Self {
        match error {
            MakeError::Merkle(error) => error.into(),
            MakeError::Nodes(error) => error,
        }
    }
}
