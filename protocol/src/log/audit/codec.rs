//! The state of an audit as bytes, so that it goes on where it stopped.

use std::collections::BTreeMap;

use super::{Audit, AuditError, Counts, FINDINGS_MAX, Finding, PENDING_MAX};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::log::checkpoint::ORIGIN_BYTES_MAX;
use crate::log::merkle::{FRONTIER_BYTES_MAX, Frontier};

/// Largest state, bytes: five million seals, and everything else at its limit.
pub const STATE_BYTES_MAX: usize = 256 * 1024 * 1024;

const VERSION: u64 = 1;
/// A nullifier and the index of its first entry.
const NULLIFIER_BYTES: usize = 40;
/// Size, root and a flag.
const PENDING_BYTES: usize = 41;
/// A number of the kind, two numbers, two hashes.
const FINDING_BYTES: usize = 1 + 8 + 8 + 32 + 32;

impl Audit {
    /// Deterministic CBOR: 1 version, 2 origin, 3 right edge, 4 counters, 5 confirmed size, then
    /// nullifiers, waiting checkpoints and findings as rows of fixed width.
    pub fn encode(&self) -> Vec<u8> {
        let c = &self.counts;
        let sums = [c.unknown, c.malformed, c.repeated, c.agreed, c.witnessed, c.other_roots];
        let counts = c.kinds.iter().chain(&sums);
        let nullifiers: Vec<u8> = self
            .nullifiers
            .iter()
            .flat_map(|(n, first)| [n.as_slice(), &first.to_be_bytes()].concat())
            .collect();
        let pending: Vec<u8> = self
            .pending
            .iter()
            .flat_map(|((size, root), witnessed)| {
                [size.to_be_bytes().as_slice(), root, &[u8::from(*witnessed)]].concat()
            })
            .collect();
        let findings: Vec<u8> = self.findings.iter().flat_map(finding_bytes).collect();
        let map = MapBuilder::new()
            .put(1, cbor::int(VERSION))
            .put(2, cbor::text(self.origin.as_str()))
            .put(3, cbor::bytes(self.frontier.encode()))
            .put(4, Value::Array(counts.map(|n| cbor::int(*n)).collect()))
            .put(5, cbor::int(self.confirmed))
            .put(6, cbor::bytes(nullifiers))
            .put(7, cbor::bytes(pending))
            .put(8, cbor::bytes(findings));
        cbor::encode(&map.build())
    }

    /// Reads what [`Audit::encode`] wrote. The state is the auditor's own: a person who can change
    /// it can make the audit say anything.
    pub fn decode(bytes: &[u8]) -> Result<Self, AuditError> {
        decode(bytes).map_err(|_| AuditError::Damaged)
    }
}

fn decode(bytes: &[u8]) -> Result<Audit, CborError> {
    let mut f = Fields::open(cbor::decode(bytes, STATE_BYTES_MAX)?)?;
    if f.uint(1)? != VERSION {
        return Err(CborError::WrongType(1));
    }
    let origin = f.text(2, ORIGIN_BYTES_MAX)?;
    let frontier = Frontier::decode(&f.bytes(3, FRONTIER_BYTES_MAX)?).map_err(|_| CborError::WrongType(3))?;
    let counts = counts(f.list(4, 11)?)?;
    let confirmed = f.uint(5)?;
    let nullifiers = rows::<NULLIFIER_BYTES>(&f.bytes(6, STATE_BYTES_MAX)?, 6)?;
    let pending = rows::<PENDING_BYTES>(&f.bytes(7, PENDING_MAX * PENDING_BYTES)?, 7)?;
    let findings = rows::<FINDING_BYTES>(&f.bytes(8, FINDINGS_MAX * FINDING_BYTES)?, 8)?;
    f.finish()?;
    let nullifiers: BTreeMap<[u8; 32], u64> =
        nullifiers.iter().map(|row| (hash_at(row, 0), number_at(row, 32))).collect();
    let pending = pending
        .iter()
        .map(|row| match row[40] {
            flag @ (0 | 1) => Ok(((number_at(row, 0), hash_at(row, 8)), flag == 1)),
            _ => Err(CborError::WrongType(7)),
        })
        .collect::<Result<_, _>>()?;
    let findings = findings.iter().map(finding_from).collect::<Result<_, _>>()?;
    let audit = Audit { origin, frontier, counts, confirmed, nullifiers, pending, findings };
    let passed = audit.pending.first_key_value().is_some_and(|((size, _), _)| *size <= audit.size());
    if passed || confirmed > audit.size() || audit.encode() != bytes {
        return Err(CborError::NotReproducible);
    }
    Ok(audit)
}

fn counts(values: Vec<Value>) -> Result<Counts, CborError> {
    let numbers: Vec<u64> = values.iter().map(|v| cbor::as_uint(v, 4)).collect::<Result<_, _>>()?;
    let numbers: [u64; 11] = numbers.try_into().map_err(|_| CborError::WrongType(4))?;
    let [kinds @ .., unknown, malformed, repeated, agreed, witnessed, other_roots] = numbers;
    Ok(Counts { kinds, unknown, malformed, repeated, agreed, witnessed, other_roots })
}

fn finding_bytes(finding: &Finding) -> Vec<u8> {
    let (kind, a, b, one, other) = match finding {
        Finding::OtherRoot { size, signed, computed } => (1u8, *size, 0, *signed, *computed),
        Finding::RepeatedNullifier { first, again } => (2, *first, *again, [0; 32], [0; 32]),
        Finding::Malformed { index } => (3, *index, 0, [0; 32], [0; 32]),
    };
    [[kind].as_slice(), &a.to_be_bytes(), &b.to_be_bytes(), &one, &other].concat()
}

fn finding_from(row: &[u8; FINDING_BYTES]) -> Result<Finding, CborError> {
    let (a, b) = (number_at(row, 1), number_at(row, 9));
    match row[0] {
        1 => Ok(Finding::OtherRoot { size: a, signed: hash_at(row, 17), computed: hash_at(row, 49) }),
        2 => Ok(Finding::RepeatedNullifier { first: a, again: b }),
        3 => Ok(Finding::Malformed { index: a }),
        _ => Err(CborError::WrongType(8)),
    }
}

fn rows<const N: usize>(bytes: &[u8], label: i64) -> Result<Vec<[u8; N]>, CborError> {
    let (rows, rest) = bytes.as_chunks::<N>();
    if rest.is_empty() { Ok(rows.to_vec()) } else { Err(CborError::WrongType(label)) }
}

/// Eight bytes of a row; `at` is a constant inside it.
fn number_at(row: &[u8], at: usize) -> u64 {
    row.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Thirty-two bytes of a row; `at` is a constant inside it.
fn hash_at(row: &[u8], at: usize) -> [u8; 32] {
    row.get(at..).and_then(|rest| rest.first_chunk::<32>()).copied().unwrap_or([0; 32])
}
