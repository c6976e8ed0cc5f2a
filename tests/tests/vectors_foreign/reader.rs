//! A reader of tokens that others made: text, Base45, zlib, well-formed CBOR, COSE_Sign1, Ed25519.
//! In: their text or bytes. Out: the payload and whether the signature holds, or the step that
//! refused it. It is built only from what `yunling-protocol` offers, with the same size limits.

use std::collections::BTreeMap;
use std::io::Read as _;

use yunling_protocol::base45;
use yunling_protocol::cbor::{self, Value};
use yunling_protocol::cose::sig_structure;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role};

/// Largest foreign token after decompression: 64 KiB (PROOFS §4.1); a face picture fits.
pub(crate) const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// The step that refused a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Base45,
    Zlib,
    NotCbor(String),
    NotCose(&'static str),
    Header(&'static str),
}

/// What the signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Ed25519, holds.
    Holds,
    /// Ed25519, does not hold.
    Broken,
    /// Another algorithm, or no key given.
    Unchecked(i64),
}

/// A COSE_Sign1 of somebody else, bytes kept.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub protected: Vec<u8>,
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
    pub alg: i64,
}

/// Bytes of the text form: Base45, and zlib when it begins with its usual first byte.
pub(crate) fn unpack(text: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = base45::decode(text).map_err(|_| Refusal::Base45)?;
    if bytes.first() != Some(&0x78) {
        return Ok(bytes);
    }
    let mut out = Vec::new();
    let decoder = flate2::read::ZlibDecoder::new(bytes.as_slice());
    decoder.take(TOKEN_BYTES_MAX as u64 + 1).read_to_end(&mut out).map_err(|_| Refusal::Zlib)?;
    if out.len() > TOKEN_BYTES_MAX { Err(Refusal::Zlib) } else { Ok(out) }
}

fn map(bytes: &[u8]) -> Result<BTreeMap<Value, Value>, Refusal> {
    if bytes.is_empty() {
        return Ok(BTreeMap::new());
    }
    match cbor::decode_foreign(bytes, TOKEN_BYTES_MAX) {
        Ok(Value::Map(map)) => Ok(map),
        _ => Err(Refusal::Header("the protected header is no map")),
    }
}

/// Reads a COSE_Sign1 with tag 18, with the CWT tag around it, or bare (RFC 9052 §2).
pub(crate) fn parse(bytes: &[u8]) -> Result<Foreign, Refusal> {
    let mut value =
        cbor::decode_foreign(bytes, TOKEN_BYTES_MAX).map_err(|e| Refusal::NotCbor(e.to_string()))?;
    if let Value::Tag(61, inner) = value {
        value = *inner;
    }
    let items = match value {
        Value::Tag(18, inner) => match *inner {
            Value::Array(items) => items,
            _ => return Err(Refusal::NotCose("tag 18 over something else than an array")),
        },
        Value::Tag(..) => return Err(Refusal::NotCose("the tag is not 18")),
        Value::Array(items) => items,
        _ => return Err(Refusal::NotCose("no array")),
    };
    let Ok::<[Value; 4], _>([protected, unprotected, payload, signature]) = items.try_into() else {
        return Err(Refusal::NotCose("not four items"));
    };
    let (Value::Bytes(protected), Value::Map(_), Value::Bytes(payload), Value::Bytes(signature)) =
        (protected, unprotected, payload, signature)
    else {
        return Err(Refusal::NotCose("an item has another type"));
    };
    // The algorithm counts only where the signature covers it.
    let alg = match map(&protected)?.remove(&cbor::int(1)) {
        Some(Value::Integer(alg)) => i64::try_from(alg).map_err(|_| Refusal::Header("alg out of range"))?,
        Some(_) => return Err(Refusal::Header("alg is no registered number")),
        None => return Err(Refusal::Header("no alg in the protected header")),
    };
    Ok(Foreign { protected, payload, signature, alg })
}

impl Foreign {
    /// Bytes that the signature covers.
    pub(crate) fn to_be_signed(&self, aad: &[u8]) -> Vec<u8> {
        sig_structure(&self.protected, aad, &self.payload)
    }

    /// Checks the signature through our own key entry when alg and key are Ed25519.
    pub(crate) fn seal(&self, key: Option<[u8; 32]>, aad: &[u8]) -> Seal {
        let entry = key.and_then(|key| KeyEntry::new(Role::Proof, key, UnixTime(0), None).ok());
        let Some(entry) = entry.filter(|entry| entry.accepts_alg(self.alg)) else {
            return Seal::Unchecked(self.alg);
        };
        let signature: Result<[u8; 64], _> = self.signature.as_slice().try_into();
        match signature {
            Ok(signature) if entry.verify(&self.to_be_signed(aad), &signature) => Seal::Holds,
            _ => Seal::Broken,
        }
    }
}
