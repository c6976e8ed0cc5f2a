//! A refusal as people and programs get it: a stable code and fields; the words live in the
//! message catalogues.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};
use yunling_protocol::custody::CustodyError;
use yunling_protocol::dossier::FoldError;
use yunling_protocol::ledger::LedgerError;
use yunling_protocol::office::DecideError;
use yunling_protocol::store::{CommitError, StoreError};

use crate::config::ConfigError;

/// A run of as many digits may be a telephone or an identity number.
const PRIVATE_DIGITS_MIN: usize = 11;
/// Characters of a typed text that are repeated in a refusal.
const SHOWN_CHARS_MAX: usize = 64;

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

    /// Names a value unless the refusal names one of that key already: for a service that knows what
    /// was asked, while the rule that refused it gave only its code.
    pub fn about(mut self, key: &str, value: impl Display) -> Self {
        self.fields.entry(key.to_owned()).or_insert_with(|| value.to_string());
        self
    }
}

/// A typed text as it may be shown: short, and not at all when it may hold an identity or telephone
/// number.
pub(crate) fn shown(text: &str) -> String {
    let runs = text.split(|c: char| !c.is_numeric());
    if runs.map(|run| run.chars().count()).max().unwrap_or_default() >= PRIVATE_DIGITS_MIN {
        return "…".into();
    }
    text.trim().chars().take(SHOWN_CHARS_MAX).collect()
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
            DecideError::Fold(FoldError::SealMismatch(what) | FoldError::TakeoverMismatch(what)) => {
                refusal.with("what", what)
            }
            DecideError::Custody(CustodyError::NotNow { stage }) => refusal.with("stage", stage),
            DecideError::Rule(_) => refusal,
            other => refusal.with("cause", other),
        }
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        let refusal = Self::new(error.code());
        match &error {
            ConfigError::Missing(path) => refusal.with("path", path.display()),
            ConfigError::Io { path, source } => refusal.with("path", path.display()).with("cause", source),
            ConfigError::Syntax { path, message } => {
                refusal.with("path", path.display()).with("cause", message)
            }
            ConfigError::Value { key, value, expected } => {
                refusal.with("key", key).with("value", shown(value)).with("expected", expected)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_text_is_shown_short_and_without_private_numbers() {
        assert_eq!(shown(" 2025-13-01 09:00 "), "2025-13-01 09:00");
        for private in [
            "530102190001010016",
            "53010219000101001x",
            "13800000000",
            "５３０１０２１９０００１０１００１６",
        ] {
            assert_eq!(shown(private), "…", "{private}");
        }
        assert_eq!(shown(&"云".repeat(100)).chars().count(), SHOWN_CHARS_MAX);
    }

    #[test]
    fn what_the_rule_named_stays_when_a_service_adds_what_it_knows() {
        let refusal = Refusal::new("not-issuer").with("node", "a").about("node", "b").about("dossier", "d");
        assert_eq!(refusal.to_string(), "not-issuer dossier=d node=a");
    }
}
