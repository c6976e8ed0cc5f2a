//! COSE_Sign1 (RFC 9052 §4.2): our own objects and the envelope of proofs; [`sign`] has COSE_Sign for
//! what several keys sign.
//!
//! Received bytes are kept and verified as received: the protected header is hashed exactly as it
//! came. Our own objects carry a protected `typ` per kind and the same words as external_aad, so
//! a signature over one kind never counts as another.

use std::collections::BTreeMap;

use crate::cbor::{self, CborError, Value};
use crate::key::{KeyEntry, KeyId, SignError, Signer};

pub mod sign;

const LABEL_ALG: i128 = 1;
const LABEL_KID: i128 = 4;
const LABEL_TYP: i128 = 16;

/// `typ` of a protected header: a text of ours, or a CoAP content-format number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typ {
    /// `yunling/<kind>`.
    Text(String),
    /// CoAP content format, 61 = application/cwt.
    Number(u64),
}

/// Why an envelope was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// The CBOR rules.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Header labels other than alg, kid and typ in the protected map.
    #[error("unexpected label in the protected header")]
    ProtectedLabel,
    /// A label in the unprotected map, which must be empty.
    #[error("the unprotected header must be empty")]
    Unprotected,
    /// The algorithm is not one we know.
    #[error("signature algorithm {0} is not accepted")]
    Algorithm(i64),
    /// No key with this id and role counts at that time.
    #[error("no key of the signer is valid for this signature")]
    NoKey,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    BadSignature,
}

/// A parsed COSE_Sign1, bytes kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign1 {
    /// Protected header bytes as received.
    pub protected: Vec<u8>,
    /// Algorithm number.
    pub alg: i64,
    /// Key id.
    pub kid: KeyId,
    /// Type of the object.
    pub typ: Option<Typ>,
    /// Unprotected header.
    pub unprotected: BTreeMap<Value, Value>,
    /// Payload bytes as received.
    pub payload: Vec<u8>,
    /// Raw signature.
    pub signature: [u8; 64],
}

impl Sign1 {
    /// Parses a tagged COSE_Sign1 in our strict encoding.
    pub fn parse(bytes: &[u8], cap: usize) -> Result<Self, CoseError> {
        let shape = CborError::Shape("a COSE_Sign1 with tag 18 is expected");
        let Value::Tag(18, inner) = cbor::decode(bytes, cap)? else {
            return Err(shape.into());
        };
        let Value::Array(items) = *inner else { return Err(shape.into()) };
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
        let signature: [u8; 64] = signature.try_into().map_err(|_| shape)?;
        let (alg, kid, typ) = parse_protected(&protected)?;
        for label in [LABEL_ALG, LABEL_KID, LABEL_TYP] {
            if unprotected.contains_key(&Value::Integer(label)) {
                return Err(CoseError::Unprotected);
            }
        }
        Ok(Self { protected, alg, kid, typ, unprotected, payload, signature })
    }

    /// Bytes that the signature covers.
    pub fn to_be_signed(&self, aad: &[u8]) -> Vec<u8> {
        sig_structure(&self.protected, aad, &self.payload)
    }

    /// Verifies against every candidate key: the key id is a hint, never a proof.
    pub fn verify<'k>(
        &self,
        aad: &[u8],
        keys: impl IntoIterator<Item = &'k KeyEntry>,
    ) -> Result<&'k KeyEntry, CoseError> {
        verify(self.alg, &self.kid, &self.to_be_signed(aad), &self.signature, keys)
    }
}

/// Verifies `signature` over `message` (the Sig_structure) against every candidate key with this
/// id and algorithm: the key id is a hint, never a proof.
pub fn verify<'k>(
    alg: i64,
    kid: &KeyId,
    message: &[u8],
    signature: &[u8; 64],
    keys: impl IntoIterator<Item = &'k KeyEntry>,
) -> Result<&'k KeyEntry, CoseError> {
    let mut tried = false;
    for key in keys.into_iter().filter(|k| k.kid() == *kid && k.accepts_alg(alg)) {
        tried = true;
        if key.verify(message, signature) {
            return Ok(key);
        }
    }
    Err(if tried { CoseError::BadSignature } else { CoseError::NoKey })
}

fn parse_protected(bytes: &[u8]) -> Result<(i64, KeyId, Option<Typ>), CoseError> {
    let Value::Map(mut map) = cbor::decode(bytes, 256)? else {
        return Err(CborError::Shape("the protected header is a map").into());
    };
    let alg = match map.remove(&Value::Integer(LABEL_ALG)) {
        Some(Value::Integer(n)) => i64::try_from(n).map_err(|_| CborError::WrongType(1))?,
        _ => return Err(CborError::Missing(1).into()),
    };
    if alg != crate::key::ALG_ED25519 && alg != crate::key::ALG_EDDSA {
        return Err(CoseError::Algorithm(alg));
    }
    let kid = map.remove(&Value::Integer(LABEL_KID)).ok_or(CborError::Missing(4))?;
    let kid = cbor::as_array(kid, 4)?;
    let typ = match map.remove(&Value::Integer(LABEL_TYP)) {
        None => None,
        Some(Value::Text(text)) => Some(Typ::Text(text)),
        Some(Value::Integer(n)) => Some(Typ::Number(u64::try_from(n).map_err(|_| CborError::WrongType(16))?)),
        Some(_) => return Err(CborError::WrongType(16).into()),
    };
    if map.is_empty() { Ok((alg, kid, typ)) } else { Err(CoseError::ProtectedLabel) }
}

/// RFC 9052 §4.4 Sig_structure for COSE_Sign1, deterministic.
pub fn sig_structure(protected: &[u8], aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(protected.len() + aad.len() + payload.len() + 24);
    cbor::put_head(&mut out, 4, 4);
    cbor::put_text(&mut out, "Signature1");
    cbor::put_bytes(&mut out, protected);
    cbor::put_bytes(&mut out, aad);
    cbor::put_bytes(&mut out, payload);
    out
}

/// The tagged COSE_Sign1 of these parts: the only bytes they have in our encoding.
pub fn assemble(
    protected: &[u8],
    unprotected: &BTreeMap<Value, Value>,
    payload: &[u8],
    signature: &[u8; 64],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(protected.len() + payload.len() + 80);
    cbor::put_head(&mut out, 6, 18);
    cbor::put_head(&mut out, 4, 4);
    cbor::put_bytes(&mut out, protected);
    out.extend_from_slice(&cbor::encode(&Value::Map(unprotected.clone())));
    cbor::put_bytes(&mut out, payload);
    cbor::put_bytes(&mut out, signature);
    out
}

/// Signs `payload` and returns the tagged COSE_Sign1 with an empty unprotected map.
pub fn sign1(signer: &dyn Signer, typ: &Typ, aad: &[u8], payload: &[u8]) -> Result<Vec<u8>, SignError> {
    sign1_with_alg(signer, signer.alg(), typ, aad, payload)
}

/// As [`sign1`] with the algorithm number to write; -8 for verifiers that know only that one.
pub fn sign1_with_alg(
    signer: &dyn Signer,
    alg: i64,
    typ: &Typ,
    aad: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>, SignError> {
    let mut protected = Vec::with_capacity(64);
    cbor::put_head(&mut protected, 5, 3);
    protected.push(LABEL_ALG as u8);
    // Negative integers are written as -1 - n (RFC 8949 §3.1).
    cbor::put_head(&mut protected, 1, (-1 - alg) as u64);
    protected.push(LABEL_KID as u8);
    cbor::put_bytes(&mut protected, &signer.kid());
    protected.push(LABEL_TYP as u8);
    match typ {
        Typ::Text(text) => cbor::put_text(&mut protected, text),
        Typ::Number(n) => cbor::put_head(&mut protected, 0, *n),
    }
    let signature = signer.sign(&sig_structure(&protected, aad, payload))?;
    Ok(assemble(&protected, &BTreeMap::new(), payload, &signature))
}
