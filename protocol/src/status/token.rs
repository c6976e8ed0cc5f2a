//! Our status list tokens: strict, signed by the node's status key, one form only.
//!
//! Beside what the draft asks for the token carries `iss`, the node name: lists lie in trust packs
//! and at mirrors, and their URI alone need not name the node.

use sha2::{Digest, Sha256};

use super::list::{Packed, StatusList};
use super::{CLAIM_LIST, CLAIM_TTL, ENTRIES, StatusError, TYP, URI_BYTES_MAX};
use crate::cbor::{self, Fields, MapBuilder};
use crate::cose::{self, Sign1, Typ};
use crate::day::UnixTime;
use crate::key::{KeyEntry, SignError, Signer};
use crate::name::{NodeName, node_name};

/// Largest token of ours, bytes: a list in which every place is another (2^18 bytes that zlib cannot
/// make smaller, and five bytes for each 16 KiB block), and 512 bytes around it.
pub const TOKEN_BYTES_MAX: usize = (1 << 18) + 128 + 512;

/// What stands around a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Node whose proofs stand in it.
    pub issuer: NodeName,
    /// Its address, which proofs name.
    pub uri: String,
    /// When it was made; of two lists with one address the newer counts.
    pub issued: UnixTime,
    /// Past this it is stale.
    pub expires: UnixTime,
    /// Seconds it may be kept before a newer one is asked for.
    pub ttl: u64,
}

/// A parsed token, bytes kept. Its signature is checked by [`StatusToken::verify`].
#[derive(Clone, PartialEq, Eq)]
pub struct StatusToken {
    /// What stands around the list.
    pub heading: Heading,
    list: StatusList,
    sign1: Sign1,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for StatusToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StatusToken({} {} {})", self.heading.issuer, self.heading.uri, self.heading.issued.0)
    }
}

/// What the log holds of a token in an entry `[4, id]` (DESIGN §7): SHA-256 of its bytes, so that a
/// node cannot show two lists.
pub fn status_list_digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Signs a list and returns the bytes of the token.
pub fn sign(signer: &dyn Signer, heading: &Heading, list: &StatusList) -> Result<Vec<u8>, SignError> {
    let claims = MapBuilder::new()
        .put(1, cbor::text(heading.issuer.as_str()))
        .put(2, cbor::text(heading.uri.as_str()))
        .put(4, cbor::int(heading.expires.0))
        .put(6, cbor::int(heading.issued.0))
        .put(CLAIM_LIST, list.pack().to_value())
        .put(CLAIM_TTL, cbor::int(heading.ttl))
        .build();
    cose::sign1(signer, &Typ::Text(TYP.into()), &[], &cbor::encode(&claims))
}

impl StatusToken {
    /// Parses a token of ours: strict encoding, tag 18 outermost, 2 bits, 2^20 places.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatusError> {
        let sign1 = Sign1::parse(bytes, TOKEN_BYTES_MAX)?;
        if sign1.typ != Some(Typ::Text(TYP.into())) {
            return Err(StatusError::NotAList("typ"));
        }
        if !sign1.unprotected.is_empty() {
            return Err(cose::CoseError::Unprotected.into());
        }
        let mut f = Fields::open(cbor::decode(&sign1.payload, TOKEN_BYTES_MAX)?)?;
        let heading = Heading {
            issuer: node_name(&mut f, 1)?,
            uri: f.text(2, URI_BYTES_MAX)?,
            expires: UnixTime(f.int(4)?),
            issued: UnixTime(f.int(6)?),
            ttl: 0,
        };
        let packed = Packed::from_value(f.need(CLAIM_LIST)?)?;
        let heading = Heading { ttl: f.uint(CLAIM_TTL)?, ..heading };
        f.finish()?;
        if packed.bits != super::BITS {
            return Err(StatusError::Bits(u64::from(packed.bits)));
        }
        let list = packed.unpack()?;
        if list.len() != u64::from(ENTRIES) {
            return Err(StatusError::Packed);
        }
        Ok(Self { heading, list, sign1, bytes: bytes.to_vec() })
    }

    /// Checks the signature against the issuer's status keys.
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k KeyEntry>,
    ) -> Result<&'k KeyEntry, StatusError> {
        Ok(self.sign1.verify(&[], keys)?)
    }

    /// The list.
    pub fn list(&self) -> &StatusList {
        &self.list
    }

    /// Signed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the log holds of it.
    pub fn digest(&self) -> [u8; 32] {
        status_list_digest(&self.bytes)
    }
}
