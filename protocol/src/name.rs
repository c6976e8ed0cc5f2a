//! Node names: the `iss` of statements and proofs, and later the origin of the log.

use crate::cbor::{CborError, Fields};
use std::fmt;

/// Longest node name in bytes: it stands in every statement and in a printed QR.
pub const NODE_NAME_BYTES_MAX: usize = 64;

/// Name of a node, unique among the peers of a node. Needs no domain.
///
/// Letters and digits of any script, and `. - _ /`; no blanks, `:` or `+` (a note key name and a
/// log origin, PROOFS §4.1, may hold none of them).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node name `{0}` must be 1 to {NODE_NAME_BYTES_MAX} bytes of letters, digits and . - _ /")]
pub struct NameError(pub String);

impl NodeName {
    /// Checks and wraps a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
        if text.is_empty() || text.len() > NODE_NAME_BYTES_MAX || !text.chars().all(allowed) {
            return Err(NameError(text.chars().take(NODE_NAME_BYTES_MAX).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node name field.
pub(crate) fn node_name(f: &mut Fields, label: i64) -> Result<NodeName, CborError> {
    NodeName::parse(&f.text(label, NODE_NAME_BYTES_MAX)?).map_err(|_| CborError::WrongType(label))
}
