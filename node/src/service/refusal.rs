//! A refusal as people and programs get it: a stable code and fields; the words live in the
//! message catalogues.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};
use yunling_protocol::dossier::FoldError;
use yunling_protocol::ledger::LedgerError;
use yunling_protocol::office::DecideError;
use yunling_protocol::store::{CommitError, StoreError};

/// A refusal: nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable code, a key of the catalogue (`error-<code>`).
    pub code: String,
    /// Values named in the words.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        for (key, value) in &self.fields {
            write!(f, " {key}={value}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// A refusal.
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into(), fields: BTreeMap::new() }
    }

    /// Names a value.
    pub fn with(mut self, key: &str, value: impl Display) -> Self {
        self.fields.insert(key.to_owned(), value.to_string());
        self
    }
}

impl From<DecideError> for Refusal {
    fn from(error: DecideError) -> Self {
        let refusal = Self::new(error.code());
        match &error {
            DecideError::Fold(FoldError::NotIssuer(node) | FoldError::Sealed(node)) => {
                refusal.with("node", node)
            }
            DecideError::Fold(FoldError::NotCustodian { custodian, .. }) => refusal.with("node", custodian),
            DecideError::Fold(FoldError::Repeated(sequence)) => refusal.with("sequence", sequence),
            DecideError::Fold(FoldError::SealMismatch(what)) => refusal.with("what", what),
            DecideError::Rule(_) => refusal,
            other => refusal.with("cause", other),
        }
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        let refusal = Self::new(error.code());
        match &error {
            CommitError::Full { free_bytes, needed_bytes } => {
                refusal.with("free", free_bytes >> 20).with("needed", needed_bytes >> 20)
            }
            other => refusal.with("cause", other),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::new(error.code()).with("cause", &error)
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self::new(error.code()).with("cause", &error)
    }
}
