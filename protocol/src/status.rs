//! Status of issued proofs: Token Status Lists (draft-ietf-oauth-status-list, PROOFS §1.6, DESIGN §8).
//!
//! Every proof names a place in a list of its issuer; the list says of each place whether what stands
//! there is still good. A verifier fetches whole lists, so that nobody learns which proof was asked
//! about, and any mirror may serve them: only the signature of the issuer's **status** key counts.
//!
//! Our lists have 2 bits a place, 2^20 places, least significant bits first, zlib, in a CWT with tag
//! 18. Lists of others ([`foreign`]) may have 1, 2, 4 or 8 bits and need only be well-formed.

pub mod foreign;
pub mod list;
pub mod lists;
pub mod publish;
pub mod schedule;
pub mod stored;
pub mod token;

pub use foreign::ForeignToken;
pub use list::{Packed, StatusList};
pub use lists::StatusLists;
pub use token::{StatusToken, status_list_digest};

use crate::cbor::{self, CborError, Value};
use crate::cose::CoseError;

/// `typ` of a status list token (draft §5.2).
pub const TYP: &str = "application/statuslist+cwt";
/// CWT claim of a referenced token that names its place.
pub const CLAIM_STATUS: i64 = 65_535;
/// CWT claim "time to live" of a list, seconds.
pub const CLAIM_TTL: i64 = 65_534;
/// CWT claim that holds the list.
pub const CLAIM_LIST: i64 = 65_533;
/// Bits of one place in our lists: four values.
pub const BITS: u8 = 2;
/// Places of one of our lists. Wide, so that a place says nothing about when it was given.
pub const ENTRIES: u32 = 1 << 20;
/// Longest URI of a list that is read, bytes.
pub const URI_BYTES_MAX: usize = 255;
/// Longest URI that our proofs write, bytes: with a name of six characters a printed proof stays
/// within 250 bytes, which a V12-M code holds (PROOFS §4.1).
pub const OWN_URI_BYTES_MAX: usize = 28;
/// How long a list is told to be kept, seconds: half a day (PROOFS §4.4).
pub const TTL_SECONDS: u64 = 12 * 3_600;
/// How long a list counts, seconds: 30 days (PROOFS §4.4). Past it a list is stale, never an error.
pub const LIST_SECONDS: i64 = 30 * 86_400;

/// What a list says of one proof. The numbers are those of the draft; 3 is left to applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Good as issued.
    Valid = 0,
    /// Withdrawn for ever.
    Revoked = 1,
    /// Not to be relied on for now.
    Suspended = 2,
    /// Genuine, but custody of the record has moved: the new custodian gives a fresh one.
    Superseded = 3,
}

impl Status {
    /// From its number in a list of 2 bits.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Valid, Self::Revoked, Self::Suspended, Self::Superseded]
            .into_iter()
            .find(|s| *s as u8 == number)
    }

    /// Stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::Superseded => "superseded",
        }
    }

    /// Whether a proof with this status may get `next`: a revocation is for ever, a proof whose record
    /// moved may only still be revoked, a suspension may be lifted.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Valid | Self::Suspended => next != self,
            Self::Superseded => next == Self::Revoked,
            Self::Revoked => false,
        }
    }
}

/// Where a proof stands: claim 65535 `{"status_list": {"idx": …, "uri": …}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRef {
    /// Place in the list, from 0.
    pub index: u32,
    /// URI of the list, equal to its `sub`.
    pub uri: String,
}

impl StatusRef {
    /// As the value of claim 65535.
    pub fn to_value(&self) -> Value {
        let place = [("idx", cbor::int(self.index)), ("uri", cbor::text(self.uri.as_str()))];
        text_map([("status_list", text_map(place))])
    }

    /// From the value of claim 65535.
    pub fn from_value(value: Value) -> Result<Self, StatusError> {
        let mut claim = TextFields::open(value)?;
        let mut place = TextFields::open(claim.need("status_list")?)?;
        // Another mechanism beside the list could say "revoked": it is not passed over.
        claim.finish().map_err(|_| StatusError::OtherMechanism)?;
        let index = cbor::as_uint(&place.need("idx")?, CLAIM_STATUS)?;
        let uri = cbor::as_text(place.need("uri")?, CLAIM_STATUS, URI_BYTES_MAX)?;
        place.finish()?;
        let index = u32::try_from(index).map_err(|_| StatusError::OutOfRange { index, entries: 0 })?;
        if uri.is_empty() {
            return Err(CborError::WrongType(CLAIM_STATUS).into());
        }
        Ok(Self { index, uri })
    }
}

/// Why a list or a reference was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Encoding.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Envelope or signature.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// Not a status list token: another typ, or a CWT tag around it.
    #[error("this is not a status list token: {0}")]
    NotAList(&'static str),
    /// A width other than 1, 2, 4, 8, or, in a list of ours, other than 2.
    #[error("a status list of {0} bits a place is not accepted")]
    Bits(u64),
    /// The list does not unpack, has bytes after it, or more or fewer places than it may have.
    #[error("the packed list is damaged or has the wrong size")]
    Packed,
    /// The place is not in the list.
    #[error("place {index} is outside the list of {entries} places")]
    OutOfRange {
        /// Place asked for.
        index: u64,
        /// Places of the list.
        entries: u64,
    },
    /// A status mechanism that this version does not know.
    #[error("the proof names a status mechanism that only a newer version understands")]
    OtherMechanism,
    /// `sub` of the list is not the URI that the proof names.
    #[error("the list is for another address than the proof names")]
    OtherUri,
    /// Nobody we know issued it.
    #[error("the issuer of the list is not known")]
    UnknownIssuer,
    /// Dated in the future.
    #[error("the list is dated in the future: compare the clocks")]
    FromFuture,
}

impl StatusError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cbor(_) | Self::NotAList(_) => "status-list-encoding",
            Self::Cose(_) => "status-list-signature",
            Self::Bits(_) | Self::Packed => "status-list-packed",
            Self::OutOfRange { .. } => "status-list-range",
            Self::OtherMechanism => "status-mechanism",
            Self::OtherUri => "status-list-other",
            Self::UnknownIssuer => "status-list-unknown-issuer",
            Self::FromFuture => "status-list-from-future",
        }
    }
}

/// A map with text keys, as the draft has them inside its claims.
fn text_map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(key, value)| (cbor::text(key), value)).collect())
}

/// Takes fields out of a map with text keys; [`TextFields::finish`] refuses what is left.
struct TextFields(std::collections::BTreeMap<Value, Value>);

impl TextFields {
    fn open(value: Value) -> Result<Self, CborError> {
        match value {
            Value::Map(map) => Ok(Self(map)),
            _ => Err(CborError::Shape("a map is expected")),
        }
    }

    fn opt(&mut self, key: &str) -> Option<Value> {
        self.0.remove(&cbor::text(key))
    }

    fn need(&mut self, key: &'static str) -> Result<Value, CborError> {
        self.opt(key).ok_or(CborError::Shape(key))
    }

    fn finish(self) -> Result<(), CborError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(key) => Err(CborError::UnknownField(format!("{key:?}"))),
        }
    }
}

#[cfg(test)]
mod tests;
