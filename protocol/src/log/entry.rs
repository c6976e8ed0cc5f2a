//! Entries of the log (DESIGN §7): deterministic CBOR arrays that begin with the kind's number and
//! hold nothing but hashes and keyed values, so that nothing personal is ever public.
//!
//! | bytes | what was signed or adopted |
//! |---|---|
//! | `[1, id]` | a statement, or a proof token |
//! | `[2, id, nullifier]` | a seal or a takeover |
//! | `[3, id, mark]` | a void, correction or redemption |
//! | `[4, id]` | a status list |
//! | `[5, id]` | a roster, or the record that opens a life |
//!
//! `id` is the SHA-256 of the signed bytes (with an empty unprotected map), 32 bytes like
//! nullifier and mark. A number that this version does not know is *not* an error: a monitor must
//! be able to walk on, so the entry is read as [`Entry::Unknown`] and its bytes count for the tree.

use sha2::{Digest, Sha256};

use super::merkle::Hash;
use crate::cbor::{self, CborError, Value, as_array, as_uint};
use crate::id::{DossierKey, StatementId};
use crate::statement::{Body, Statement};

/// Largest entry in bytes. Ours have at most 70; a later version may say more, but a bundle of 256
/// must stay small (C2SP tlog-tiles allows 65,535 each).
pub const ENTRY_BYTES_MAX: usize = 1024;

/// A log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A statement, or a proof token.
    Signed(Hash),
    /// A seal or a takeover: ends custody of one dossier in one epoch.
    Custody {
        /// Id of the statement.
        id: Hash,
        /// The same for every seal of one dossier and epoch, see [`DossierKey::nullifier`].
        nullifier: [u8; 32],
    },
    /// A void, correction or redemption.
    Change {
        /// Id of the statement.
        id: Hash,
        /// [`void_mark`] or [`spend_mark`].
        mark: [u8; 32],
    },
    /// A status list.
    StatusList(Hash),
    /// A roster that was adopted, or the record that opens a life.
    Node(Hash),
    /// A kind that a newer version knows.
    Unknown(u64),
}

/// Why no entry can be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Encoding rules, or the shape of a known kind.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A redemption is marked with the dossier key, which was not given.
    #[error("the dossier key is needed to log a redemption")]
    KeyNeeded,
}

impl EntryError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cbor(_) => "log-entry-encoding",
            Self::KeyNeeded => "log-entry-key-needed",
        }
    }
}

/// Mark of a statement that changes `target`: who holds the target finds it in the issuer's log,
/// nobody else can link the two (each statement carries a random salt).
pub fn void_mark(target: StatementId) -> [u8; 32] {
    Sha256::new().chain_update(b"yunling/void/1").chain_update(target.0).finalize().into()
}

/// Mark of the redemption with this running number in its dossier; found by whoever holds the dossier
/// key and counts on.
pub fn spend_mark(key: &DossierKey, number: u64) -> [u8; 32] {
    key.hmac(b"yunling/spend/1", &number.to_be_bytes())
}

impl Entry {
    /// Entry of a statement that this node signed. `key` is needed for a redemption only. A kind
    /// with a nullifier that is unknown here must be logged by who knows it, as [`Entry::Custody`].
    pub fn of_statement(statement: &Statement, key: Option<&DossierKey>) -> Result<Self, EntryError> {
        let id = statement.id.0;
        Ok(match &statement.body {
            Body::Seal(seal) => Self::Custody { id, nullifier: seal.nullifier },
            Body::Takeover(takeover) => Self::Custody { id, nullifier: takeover.nullifier },
            Body::Void(void) => Self::Change { id, mark: void_mark(void.target) },
            Body::Correction(correction) => Self::Change { id, mark: void_mark(correction.target) },
            Body::Redemption(redemption) => {
                let key = key.ok_or(EntryError::KeyNeeded)?;
                Self::Change { id, mark: spend_mark(key, redemption.number) }
            }
            _ => Self::Signed(id),
        })
    }

    /// Number of the kind.
    pub fn kind(&self) -> u64 {
        match self {
            Self::Signed(_) => 1,
            Self::Custody { .. } => 2,
            Self::Change { .. } => 3,
            Self::StatusList(_) => 4,
            Self::Node(_) => 5,
            Self::Unknown(kind) => *kind,
        }
    }

    /// Hash of what was logged; `None` for a kind that is unknown here.
    pub fn id(&self) -> Option<&Hash> {
        match self {
            Self::Signed(id)
            | Self::Custody { id, .. }
            | Self::Change { id, .. }
            | Self::StatusList(id)
            | Self::Node(id) => Some(id),
            Self::Unknown(_) => None,
        }
    }

    /// The bytes that are hashed into the tree; `None` for a kind that is unknown here, whose
    /// bytes only its reader has.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let id = self.id()?;
        let second = match self {
            Self::Custody { nullifier, .. } => Some(nullifier),
            Self::Change { mark, .. } => Some(mark),
            _ => None,
        };
        let mut out = Vec::with_capacity(70);
        cbor::put_head(&mut out, 4, if second.is_some() { 3 } else { 2 });
        cbor::put_head(&mut out, 0, self.kind());
        cbor::put_bytes(&mut out, id);
        if let Some(second) = second {
            cbor::put_bytes(&mut out, second);
        }
        Some(out)
    }

    /// The known kinds in the only bytes they may have: an audit reads ten million of them.
    fn decode_plain(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let (id, rest) = rest.split_first_chunk::<32>()?;
        let second = || rest.strip_prefix(&[0x58, 0x20])?.try_into().ok();
        Some(match (head, rest.is_empty()) {
            ([0x82, 1, 0x58, 0x20], true) => Self::Signed(*id),
            ([0x82, 4, 0x58, 0x20], true) => Self::StatusList(*id),
            ([0x82, 5, 0x58, 0x20], true) => Self::Node(*id),
            ([0x83, 2, 0x58, 0x20], false) => Self::Custody { id: *id, nullifier: second()? },
            ([0x83, 3, 0x58, 0x20], false) => Self::Change { id: *id, mark: second()? },
            _ => return None,
        })
    }

    /// Reads an entry, strictly. An unknown number is [`Entry::Unknown`] as long as it stands
    /// first in a deterministic array.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        if let Some(entry) = Self::decode_plain(bytes) {
            return Ok(entry);
        }
        let Value::Array(items) = cbor::decode(bytes, ENTRY_BYTES_MAX)? else {
            return Err(CborError::Shape("a log entry is an array"));
        };
        let mut items = items.into_iter();
        let kind = as_uint(&items.next().ok_or(CborError::Missing(0))?, 0)?;
        if !(1..=5).contains(&kind) {
            return Ok(Self::Unknown(kind));
        }
        let mut next = |label: i64| as_array::<32>(items.next().ok_or(CborError::Missing(label))?, label);
        let id = next(1)?;
        let entry = match kind {
            1 => Self::Signed(id),
            2 => Self::Custody { id, nullifier: next(2)? },
            3 => Self::Change { id, mark: next(2)? },
            4 => Self::StatusList(id),
            _ => Self::Node(id),
        };
        if items.next().is_some() {
            Err(CborError::Shape("a log entry with too many items"))
        } else {
            Ok(entry)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_reads_back_and_has_the_size_that_is_documented() {
        let (id, other) = ([1; 32], [2; 32]);
        let all = [
            Entry::Signed(id),
            Entry::Custody { id, nullifier: other },
            Entry::Change { id, mark: other },
            Entry::StatusList(id),
            Entry::Node(id),
        ];
        for (at, entry) in all.into_iter().enumerate() {
            let bytes = entry.encode().unwrap();
            assert_eq!(bytes.len(), if matches!(at, 1 | 2) { 70 } else { 36 });
            assert_eq!((entry.kind(), Entry::decode(&bytes)), (at as u64 + 1, Ok(entry)));
        }
        // PROOFS §4.2: 82 01 5820…
        assert_eq!(all[0].encode().unwrap()[..4], [0x82, 0x01, 0x58, 0x20]);
    }

    #[test]
    fn a_known_kind_of_another_shape_is_refused_and_an_unknown_one_is_walked_over() {
        let bytes = |items: Vec<Value>| cbor::encode(&Value::Array(items));
        let id = || cbor::bytes([1; 32]);
        for wrong in [
            bytes(vec![]),
            bytes(vec![cbor::int(1)]),
            bytes(vec![cbor::int(1), id(), id()]),
            bytes(vec![cbor::int(2), id()]),
            bytes(vec![cbor::int(3), id(), cbor::bytes([1; 31])]),
            bytes(vec![cbor::int(4), cbor::text("x")]),
            bytes(vec![cbor::int(-1), id()]),
            cbor::encode(&cbor::int(1)),
            vec![0x82, 0x18, 0x01, 0x40],
            vec![],
        ] {
            assert!(Entry::decode(&wrong).is_err(), "{wrong:02x?}");
        }
        assert_eq!(Entry::decode(&bytes(vec![cbor::int(6), cbor::text("new")])), Ok(Entry::Unknown(6)));
        assert_eq!(Entry::decode(&bytes(vec![cbor::int(0)])), Ok(Entry::Unknown(0)));
        let long = bytes(vec![cbor::int(6), cbor::bytes(vec![0; ENTRY_BYTES_MAX])]);
        assert!(matches!(Entry::decode(&long), Err(CborError::TooLarge { .. })));
    }

    #[test]
    fn marks_and_nullifiers_differ_by_purpose_number_and_key() {
        let (a, b) = (DossierKey([1; 32]), DossierKey([2; 32]));
        let all = [
            a.nullifier(1),
            a.nullifier(2),
            b.nullifier(1),
            spend_mark(&a, 1),
            spend_mark(&a, 2),
            spend_mark(&b, 1),
            void_mark(StatementId([1; 32])),
            void_mark(StatementId([2; 32])),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
