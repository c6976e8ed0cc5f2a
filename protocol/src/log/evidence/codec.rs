//! Evidence as a file: one deterministic CBOR map.

use super::{Evidence, EvidenceError, IncludedLeaf};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::id::StatementId;
use crate::log::entry::ENTRY_BYTES_MAX;
use crate::log::merkle::PATH_HASHES_MAX;
use crate::log::note::NOTE_BYTES_MAX;
use crate::message::MESSAGE_BYTES_MAX;
use crate::statement::STATEMENT_BYTES_MAX;

/// Most ids of a chain: ten times the longest dossier that was ever measured here.
pub const IDS_MAX: usize = 100_000;

/// Largest evidence file, bytes: the ids of a chain, a receipt and a message.
pub const EVIDENCE_BYTES_MAX: usize = 32 * IDS_MAX + STATEMENT_BYTES_MAX + MESSAGE_BYTES_MAX + 1024;

/// First field: what the file is, for a person who opens it.
const MAGIC: &str = "yunling/evidence/1";

impl Evidence {
    /// The file: 1 `yunling/evidence/1`, 2 kind, then the parts.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new().put(1, cbor::text(MAGIC));
        let map = match self {
            Self::TwoRoots { one, other } => {
                map.put(2, cbor::int(1)).put(3, cbor::text(one.as_str())).put(4, cbor::text(other.as_str()))
            }
            Self::TwoLeaves { index, one, other } => map
                .put(2, cbor::int(2))
                .put(3, leaf_value(one))
                .put(4, leaf_value(other))
                .put(5, cbor::int(*index)),
            Self::TwoSeals { one, other } => map
                .put(2, cbor::int(3))
                .put(3, cbor::bytes(one.as_slice()))
                .put(4, cbor::bytes(other.as_slice())),
            Self::Rewritten { old, new, root, path } => map
                .put(2, cbor::int(5))
                .put(3, cbor::text(old.as_str()))
                .put(4, cbor::text(new.as_str()))
                .put(5, cbor::bytes(*root))
                .put(6, cbor::bytes(path.concat())),
            Self::Dropped { receipt, head, ids } => map
                .put(2, cbor::int(4))
                .put(3, cbor::bytes(receipt.as_slice()))
                .put(4, cbor::bytes(head.as_slice()))
                .put(5, cbor::bytes(ids.iter().flat_map(|id| id.0).collect::<Vec<u8>>())),
        };
        cbor::encode(&map.build())
    }

    /// Reads a file; [`Evidence::verify`] says what it proves.
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        decode(bytes).map_err(|_| EvidenceError::Encoding)
    }
}

fn decode(bytes: &[u8]) -> Result<Evidence, CborError> {
    let mut f = Fields::open(cbor::decode(bytes, EVIDENCE_BYTES_MAX)?)?;
    if f.text(1, MAGIC.len())? != MAGIC {
        return Err(CborError::WrongType(1));
    }
    let evidence = match f.uint(2)? {
        1 => Evidence::TwoRoots { one: f.text(3, NOTE_BYTES_MAX)?, other: f.text(4, NOTE_BYTES_MAX)? },
        2 => Evidence::TwoLeaves {
            one: leaf_from(f.need(3)?)?,
            other: leaf_from(f.need(4)?)?,
            index: f.uint(5)?,
        },
        3 => Evidence::TwoSeals {
            one: f.bytes(3, STATEMENT_BYTES_MAX)?,
            other: f.bytes(4, STATEMENT_BYTES_MAX)?,
        },
        4 => Evidence::Dropped {
            receipt: f.bytes(3, STATEMENT_BYTES_MAX)?,
            head: f.bytes(4, MESSAGE_BYTES_MAX)?,
            ids: hashes(&f.bytes(5, 32 * IDS_MAX)?, 5)?.into_iter().map(StatementId).collect(),
        },
        5 => Evidence::Rewritten {
            old: f.text(3, NOTE_BYTES_MAX)?,
            new: f.text(4, NOTE_BYTES_MAX)?,
            root: f.array(5)?,
            path: hashes(&f.bytes(6, 32 * PATH_HASHES_MAX)?, 6)?,
        },
        _ => return Err(CborError::WrongType(2)),
    };
    f.finish()?;
    Ok(evidence)
}

fn leaf_value(leaf: &IncludedLeaf) -> Value {
    MapBuilder::new()
        .put(1, cbor::bytes(leaf.entry.as_slice()))
        .put(2, cbor::bytes(leaf.path.concat()))
        .put(3, cbor::text(leaf.note.as_str()))
        .build()
}

fn leaf_from(value: Value) -> Result<IncludedLeaf, CborError> {
    let mut f = Fields::open(value)?;
    let leaf = IncludedLeaf {
        entry: f.bytes(1, ENTRY_BYTES_MAX)?,
        path: hashes(&f.bytes(2, 32 * PATH_HASHES_MAX)?, 2)?,
        note: f.text(3, NOTE_BYTES_MAX)?,
    };
    f.finish()?;
    Ok(leaf)
}

fn hashes(bytes: &[u8], label: i64) -> Result<Vec<[u8; 32]>, CborError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() { Ok(hashes.to_vec()) } else { Err(CborError::WrongType(label)) }
}
