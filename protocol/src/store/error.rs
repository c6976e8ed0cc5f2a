//! Why a store gave no answer or wrote nothing.
//!
//! Each error has a stable code for people's messages; a key is shown in part, a value never.

use std::fmt;

use super::Key;

/// A limit of the store that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`super::KEY_BYTES_MAX`].
    Key,
    /// [`super::VALUE_BYTES_MAX`].
    Value,
    /// [`super::BATCH_PUTS_MAX`].
    Puts,
    /// [`super::BATCH_EXPECTS_MAX`].
    Expects,
    /// [`super::BATCH_BYTES_MAX`].
    Batch,
    /// [`super::SCAN_ITEMS_MAX`].
    Scan,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "bytes in a key",
            Self::Value => "bytes in a value",
            Self::Puts => "puts in a batch",
            Self::Expects => "expectations in a batch",
            Self::Batch => "bytes in a batch",
            Self::Scan => "items in a scan",
        })
    }
}

/// Why a read gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A limit of the store was passed by the caller.
    #[error("{found} {limit}, at most {max} allowed")]
    Limit {
        /// Which limit.
        limit: Limit,
        /// What was asked for.
        found: usize,
        /// What is allowed.
        max: usize,
    },
    /// The stored bytes are not those that were written.
    #[error("stored record {key} is damaged: its checksum does not match")]
    Damaged {
        /// Where.
        key: Key,
    },
    /// The engine failed; the words are its own.
    #[error("store engine failed: {0}")]
    Engine(String),
}

impl StoreError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Limit { .. } => "store-limit",
            Self::Damaged { .. } => "store-damaged",
            Self::Engine(_) => "store-engine",
        }
    }
}

/// Why a batch was not written. Nothing of it is in the store, unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// An expectation did not hold: read again and decide again.
    #[error("record {key} is not as expected")]
    Conflict {
        /// The first key that was not as expected.
        key: Key,
    },
    /// A limit of the store was passed by the caller.
    #[error("{found} {limit}, at most {max} allowed")]
    Limit {
        /// Which limit.
        limit: Limit,
        /// What was asked for.
        found: usize,
        /// What is allowed.
        max: usize,
    },
    /// The disk has no room; reads go on and writes resume when there is room again.
    #[error("disk full: {free_bytes} bytes free, {needed_bytes} needed")]
    Full {
        /// Bytes free where the store lies.
        free_bytes: u64,
        /// Bytes that must be free.
        needed_bytes: u64,
    },
    /// A record that was expected something of is damaged.
    #[error("stored record {key} is damaged: its checksum does not match")]
    Damaged {
        /// Where.
        key: Key,
    },
    /// The engine failed; the words are its own. Whether the batch is in the store is unknown:
    /// read again before deciding again.
    #[error("store engine failed: {0}")]
    Engine(String),
}

impl CommitError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "store-conflict",
            Self::Limit { .. } => "store-limit",
            Self::Full { .. } => "store-full",
            Self::Damaged { .. } => "store-damaged",
            Self::Engine(_) => "store-engine",
        }
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Limit { limit, found, max } => Self::Limit { limit, found, max },
            StoreError::Damaged { key } => Self::Damaged { key },
            StoreError::Engine(words) => Self::Engine(words),
        }
    }
}
