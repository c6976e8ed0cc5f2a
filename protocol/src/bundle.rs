//! A dossier as one file: its statements in chain order. Version 1 is for anybody who may read it;
//! version 2 is the volunteer's own, with the dossier key and the custodian's signature over the head, so
//! that a successor can take the dossier over when the custodian is gone (DESIGN §6).
//!
//! Whoever reads a bundle believes nothing but signatures: [`Bundle::decode`] checks the form, that the ids
//! come to the head named, and that the key is the dossier's.

use crate::cbor::{self, CborError, Value, as_array, as_text, as_uint};
use crate::dossier::{empty_head, next_head};
use crate::id::{ChainHead, DossierId, DossierKey};
use crate::statement::{STATEMENT_BYTES_MAX, id_of};

/// First word of a bundle.
const WORD: &str = "yunling/bundle";
/// Largest bundle in bytes: a dossier of twenty thousand statements of 800 bytes.
pub const BUNDLE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most statements; more than fit with the smallest of 120 bytes.
const STATEMENTS_MAX: usize = BUNDLE_BYTES_MAX / 120;

/// What only the volunteer's own bundle holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Own {
    /// Dossier key.
    pub key: DossierKey,
    /// A receipt of the custodian for the last statement: its signature over epoch, length and head.
    pub receipt: Vec<u8>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.write_str("Own")
    }
}

/// A bundle whose ids come to its head. No signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Dossier.
    pub dossier: DossierId,
    /// Head of the chain.
    pub head: ChainHead,
    /// Statement bytes in chain order.
    pub statements: Vec<Vec<u8>>,
    /// The volunteer's own bundle.
    pub own: Option<Own>,
}

impl Bundle {
    /// Encodes: version 1, or 2 for the volunteer's own.
    pub fn encode(&self) -> Vec<u8> {
        let items = self.statements.iter().map(|s| cbor::bytes(s.as_slice())).collect();
        let mut all = vec![
            cbor::text(WORD),
            cbor::int(if self.own.is_some() { 2 } else { 1 }),
            cbor::bytes(self.dossier.0),
            cbor::bytes(self.head.0),
            Value::Array(items),
        ];
        if let Some(own) = &self.own {
            all.extend([cbor::bytes(own.key.0), cbor::bytes(own.receipt.as_slice())]);
        }
        cbor::encode(&Value::Array(all))
    }

    /// Decodes either version.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let Value::Array(items) = cbor::decode(bytes, BUNDLE_BYTES_MAX)? else {
            return Err(CborError::Shape("a bundle is an array"));
        };
        let mut items = items.into_iter();
        let mut next = |label| items.next().ok_or(CborError::Missing(label));
        if as_text(next(0)?, 0, WORD.len())? != WORD {
            return Err(CborError::WrongType(0));
        }
        let version = as_uint(&next(1)?, 1)?;
        let dossier = DossierId(as_array(next(2)?, 2)?);
        let head = ChainHead(as_array(next(3)?, 3)?);
        let Value::Array(list) = next(4)? else { return Err(CborError::WrongType(4)) };
        if list.len() > STATEMENTS_MAX {
            return Err(CborError::WrongType(4));
        }
        let statements = list.into_iter().map(|v| statement(v, 4)).collect::<Result<Vec<_>, _>>()?;
        let own = match version {
            1 => None,
            2 => Some(Own { key: DossierKey(as_array(next(5)?, 5)?), receipt: statement(next(6)?, 6)? }),
            _ => return Err(CborError::WrongType(1)),
        };
        if items.next().is_some() {
            return Err(CborError::Shape("a bundle with too many items"));
        }
        if own.as_ref().is_some_and(|own| own.key.dossier_id() != dossier) {
            return Err(CborError::Shape("the key is of another dossier"));
        }
        if statements.iter().fold(empty_head(dossier), |head, s| next_head(head, id_of(s))) != head {
            return Err(CborError::Shape("the statements do not come to the head"));
        }
        Ok(Self { dossier, head, statements, own })
    }
}

fn statement(value: Value, label: i64) -> Result<Vec<u8>, CborError> {
    match value {
        Value::Bytes(bytes) if bytes.len() <= STATEMENT_BYTES_MAX => Ok(bytes),
        _ => Err(CborError::WrongType(label)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_read_back_and_a_changed_one_is_refused() {
        let key = DossierKey([7; 32]);
        let dossier = key.dossier_id();
        let statements = vec![vec![1; 9], vec![2; 9]];
        let head = statements.iter().fold(empty_head(dossier), |head, s| next_head(head, id_of(s)));
        let plain = Bundle { dossier, head, statements, own: None };
        let own = Bundle { own: Some(Own { key, receipt: vec![3; 9] }), ..plain.clone() };
        for bundle in [&plain, &own] {
            assert_eq!(Bundle::decode(&bundle.encode()).as_ref(), Ok(bundle));
        }
        let swapped = Bundle { statements: plain.statements.iter().rev().cloned().collect(), ..plain };
        assert!(Bundle::decode(&swapped.encode()).is_err());
        let other = Own { key: DossierKey([8; 32]), receipt: vec![] };
        assert!(Bundle::decode(&Bundle { own: Some(other), ..own }.encode()).is_err());
    }
}
