//! COSE_Sign (RFC 9052 §4.1): one payload that several keys sign, each apart and in any order.
//!
//! In: received bytes; out: the payload and its signatures, as received. The form is one only: no
//! unprotected header, the kind in the body's protected header, and the signatures in order of key id
//! and bytes, none twice. Whose keys must have signed is decided by the caller ([`crate::roster`]).

use super::{CoseError, LABEL_ALG, LABEL_KID, LABEL_TYP, parse_protected, verify};
use crate::cbor::{self, CborError, Value};
use crate::key::{KeyEntry, KeyId, SignError, Signer};

/// CBOR tag of a COSE_Sign object (RFC 9052 §2).
const TAG: u64 = 98;

/// One signature of a COSE_Sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneSignature {
    /// Protected header bytes as received.
    protected: Vec<u8>,
    alg: i64,
    kid: KeyId,
    signature: [u8; 64],
}

impl OneSignature {
    /// Key id: a hint, never a proof.
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    fn place(&self) -> (KeyId, [u8; 64]) {
        (self.kid, self.signature)
    }
}

/// A parsed COSE_Sign, bytes kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// Body protected header bytes as received; it holds the kind and nothing else.
    protected: Vec<u8>,
    /// Kind of the object, `yunling/<kind>`.
    pub typ: String,
    /// Payload bytes as received.
    pub payload: Vec<u8>,
    signatures: Vec<OneSignature>,
}

impl Sign {
    /// A payload nobody has signed yet.
    pub fn unsigned(typ: &str, payload: Vec<u8>) -> Self {
        let mut protected = Vec::with_capacity(typ.len() + 8);
        cbor::put_head(&mut protected, 5, 1);
        protected.push(LABEL_TYP as u8);
        cbor::put_text(&mut protected, typ);
        Self { protected, typ: typ.to_owned(), payload, signatures: Vec::new() }
    }

    /// Parses a tagged COSE_Sign in our strict encoding, of at most `cap` bytes and `signatures_max`
    /// signatures; none is verified here.
    pub fn parse(bytes: &[u8], cap: usize, signatures_max: usize) -> Result<Self, CoseError> {
        let shape = CborError::Shape("a COSE_Sign with tag 98 is expected");
        let Value::Tag(TAG, inner) = cbor::decode(bytes, cap)? else { return Err(shape.into()) };
        let (protected, payload, last) = parts(*inner).ok_or_else(|| shape.clone())?;
        let Value::Array(signatures) = last else { return Err(shape.into()) };
        if signatures.len() > signatures_max {
            return Err(CborError::Shape("too many signatures").into());
        }
        let Value::Map(mut header) = cbor::decode(&protected, 256)? else {
            return Err(CborError::Shape("the protected header is a map").into());
        };
        let Some(Value::Text(typ)) = header.remove(&Value::Integer(LABEL_TYP)) else {
            return Err(CborError::WrongType(16).into());
        };
        if !header.is_empty() {
            return Err(CoseError::ProtectedLabel);
        }
        let signatures = signatures.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
        if signatures.windows(2).any(|pair| pair[0].place() >= pair[1].place()) {
            return Err(CborError::Shape("signatures are out of order or stand twice").into());
        }
        Ok(Self { protected, typ, payload, signatures })
    }

    /// The signatures, in order of key id.
    pub fn signatures(&self) -> &[OneSignature] {
        &self.signatures
    }

    /// Adds the signature of one key; a repeat of it changes nothing.
    pub fn sign(&mut self, signer: &dyn Signer, aad: &[u8]) -> Result<(), SignError> {
        self.sign_with_alg(signer, signer.alg(), aad)
    }

    /// As [`Sign::sign`] with the algorithm number to write.
    pub fn sign_with_alg(&mut self, signer: &dyn Signer, alg: i64, aad: &[u8]) -> Result<(), SignError> {
        let mut protected = Vec::with_capacity(16);
        cbor::put_head(&mut protected, 5, 2);
        protected.push(LABEL_ALG as u8);
        // Negative integers are written as -1 - n (RFC 8949 §3.1).
        cbor::put_head(&mut protected, 1, (-1 - alg) as u64);
        protected.push(LABEL_KID as u8);
        cbor::put_bytes(&mut protected, &signer.kid());
        let signature = signer.sign(&self.to_be_signed(&protected, aad))?;
        self.add(OneSignature { protected, alg, kid: signer.kid(), signature });
        Ok(())
    }

    /// Adds a signature made elsewhere over the same payload.
    pub fn add(&mut self, signature: OneSignature) {
        if let Err(at) = self.signatures.binary_search_by_key(&signature.place(), OneSignature::place) {
            self.signatures.insert(at, signature);
        }
    }

    /// Verifies one of the signatures against every candidate key.
    pub fn verify<'k>(
        &self,
        signature: &OneSignature,
        aad: &[u8],
        keys: impl IntoIterator<Item = &'k KeyEntry>,
    ) -> Result<&'k KeyEntry, CoseError> {
        let message = self.to_be_signed(&signature.protected, aad);
        verify(signature.alg, &signature.kid, &message, &signature.signature, keys)
    }

    /// RFC 9052 §4.4 Sig_structure of one signer, deterministic.
    fn to_be_signed(&self, sign_protected: &[u8], aad: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len() + aad.len() + sign_protected.len() + 64);
        cbor::put_head(&mut out, 4, 5);
        cbor::put_text(&mut out, "Signature");
        cbor::put_bytes(&mut out, &self.protected);
        cbor::put_bytes(&mut out, sign_protected);
        cbor::put_bytes(&mut out, aad);
        cbor::put_bytes(&mut out, &self.payload);
        out
    }

    /// Encodes with tag 98.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len() + 96 * self.signatures.len() + 64);
        cbor::put_head(&mut out, 6, TAG);
        cbor::put_head(&mut out, 4, 4);
        cbor::put_bytes(&mut out, &self.protected);
        cbor::put_head(&mut out, 5, 0);
        cbor::put_bytes(&mut out, &self.payload);
        cbor::put_head(&mut out, 4, self.signatures.len() as u64);
        for signature in &self.signatures {
            cbor::put_head(&mut out, 4, 3);
            cbor::put_bytes(&mut out, &signature.protected);
            cbor::put_head(&mut out, 5, 0);
            cbor::put_bytes(&mut out, &signature.signature);
        }
        out
    }
}

/// Protected header, payload and list of signatures of the outer array.
fn parts(value: Value) -> Option<(Vec<u8>, Vec<u8>, Value)> {
    let Value::Array(items) = value else { return None };
    let [protected, unprotected, payload, last] = <[Value; 4]>::try_from(items).ok()?;
    match (protected, unprotected, payload) {
        (Value::Bytes(protected), Value::Map(empty), Value::Bytes(payload)) if empty.is_empty() => {
            Some((protected, payload, last))
        }
        _ => None,
    }
}

fn one(value: Value) -> Result<OneSignature, CoseError> {
    let shape = CborError::Shape("a COSE_Signature is expected");
    let Value::Array(items) = value else { return Err(shape.into()) };
    let items: [Value; 3] = items.try_into().map_err(|_| shape.clone())?;
    let [Value::Bytes(protected), Value::Map(empty), Value::Bytes(signature)] = items else {
        return Err(shape.into());
    };
    if !empty.is_empty() {
        return Err(CoseError::Unprotected);
    }
    let (alg, kid, typ) = parse_protected(&protected)?;
    if typ.is_some() {
        return Err(CoseError::ProtectedLabel);
    }
    let signature = signature.try_into().map_err(|_| shape)?;
    Ok(OneSignature { protected, alg, kid, signature })
}
