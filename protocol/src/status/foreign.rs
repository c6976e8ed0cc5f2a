//! Status list tokens and referenced tokens of others: well-formed CBOR, received bytes verified.
//!
//! They are not deterministic (all vectors of the draft break RFC 8949 §4.2.1), their algorithms are
//! not ours and their places may have 1, 2, 4 or 8 bits. Who checks the signature knows the algorithm;
//! here are the bytes it covers.

use std::collections::BTreeMap;

use super::list::{Packed, StatusList};
use super::{CLAIM_LIST, CLAIM_STATUS, CLAIM_TTL, StatusError, StatusRef, TYP, URI_BYTES_MAX};
use crate::cbor::{self, CborError, Value};
use crate::cose::sig_structure;
use crate::day::UnixTime;

/// Largest foreign token, bytes: a list of 2^20 places of 8 bits that zlib cannot make smaller.
pub const FOREIGN_BYTES_MAX: usize = (1 << 20) + 1024;

/// A COSE_Sign1 of others, opened and not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Protected header bytes as received.
    pub protected: Vec<u8>,
    /// Algorithm number.
    pub alg: i64,
    /// Media type in the header, when it is a text.
    pub typ: Option<String>,
    /// Payload bytes as received.
    pub payload: Vec<u8>,
    /// Raw signature.
    pub signature: Vec<u8>,
}

impl Envelope {
    /// Opens tag 18; the CWT tag 61 around it is refused (draft §5.2).
    pub fn parse(bytes: &[u8]) -> Result<Self, StatusError> {
        let shape = CborError::Shape("a COSE_Sign1 of four items is expected");
        let items = match cbor::decode_foreign(bytes, FOREIGN_BYTES_MAX)? {
            Value::Tag(18, inner) => match *inner {
                Value::Array(items) => items,
                _ => return Err(shape.into()),
            },
            Value::Tag(..) => return Err(StatusError::NotAList("tag")),
            _ => return Err(shape.into()),
        };
        let Ok::<[Value; 4], _>([protected, unprotected, payload, signature]) = items.try_into() else {
            return Err(shape.into());
        };
        let (
            Value::Bytes(protected),
            Value::Map(unprotected),
            Value::Bytes(payload),
            Value::Bytes(signature),
        ) = (protected, unprotected, payload, signature)
        else {
            return Err(shape.into());
        };
        let Value::Map(header) = cbor::decode_foreign(&protected, FOREIGN_BYTES_MAX)? else {
            return Err(shape.into());
        };
        // A label in both maps could be read two ways (RFC 9052 §3).
        if header.keys().any(|label| unprotected.contains_key(label)) {
            return Err(CborError::Shape("a label in both headers").into());
        }
        let alg = header.get(&cbor::int(1)).ok_or(CborError::Missing(1))?;
        let alg = cbor::as_int(alg, 1)?;
        let typ = match header.get(&cbor::int(16)) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        Ok(Self { protected, alg, typ, payload, signature })
    }

    /// Bytes that the signature covers.
    pub fn to_be_signed(&self) -> Vec<u8> {
        sig_structure(&self.protected, &[], &self.payload)
    }

    fn claims(&self) -> Result<BTreeMap<Value, Value>, StatusError> {
        match cbor::decode_foreign(&self.payload, FOREIGN_BYTES_MAX)? {
            Value::Map(claims) => Ok(claims),
            _ => Err(CborError::Shape("claims are a map").into()),
        }
    }

    /// The place that a referenced token names, `None` when it names none.
    pub fn reference(&self) -> Result<Option<StatusRef>, StatusError> {
        self.claims()?.remove(&cbor::int(CLAIM_STATUS)).map(StatusRef::from_value).transpose()
    }
}

/// A status list token of others, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignToken {
    /// Its envelope: who checks the signature needs it.
    pub envelope: Envelope,
    /// Its address.
    pub uri: String,
    /// When it was made.
    pub issued: UnixTime,
    /// Past this it is stale.
    pub expires: Option<UnixTime>,
    /// Seconds it may be kept.
    pub ttl: Option<u64>,
    /// The list.
    pub list: StatusList,
}

impl ForeignToken {
    /// Parses a token; claims that the draft does not name are passed over, as CWT asks.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatusError> {
        let envelope = Envelope::parse(bytes)?;
        if envelope.typ.as_deref() != Some(TYP) {
            return Err(StatusError::NotAList("typ"));
        }
        let mut claims = envelope.claims()?;
        let mut take = |label: i64| claims.remove(&cbor::int(label));
        let uri = cbor::as_text(take(2).ok_or(CborError::Missing(2))?, 2, URI_BYTES_MAX)?;
        let issued = UnixTime(cbor::as_int(&take(6).ok_or(CborError::Missing(6))?, 6)?);
        let expires = take(4).map(|v| cbor::as_int(&v, 4).map(UnixTime)).transpose()?;
        let ttl = take(CLAIM_TTL).map(|v| cbor::as_uint(&v, CLAIM_TTL)).transpose()?;
        let list = Packed::from_value(take(CLAIM_LIST).ok_or(CborError::Missing(CLAIM_LIST))?)?.unpack()?;
        Ok(Self { envelope, uri, issued, expires, ttl, list })
    }

    /// The number at the place that `reference` names; another address or a place outside is an error.
    pub fn number(&self, reference: &StatusRef) -> Result<u8, StatusError> {
        if reference.uri != self.uri {
            return Err(StatusError::OtherUri);
        }
        self.list.number(u64::from(reference.index))
    }
}
