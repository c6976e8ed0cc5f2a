//! Receipts of a proof (P2): that it stands in its issuer's log, under a checkpoint that witnesses
//! have cosigned (DESIGN §8, PROOFS §4.2). A COSE Receipt (RFC 9942) in the unprotected header of
//! the proof, so that it is added later and the proof is not signed again.
//!
//! ```text
//! 394: [ bstr:
//!   18([ << 1: alg, 4: kid of the log, 15: { 1: iss }, 395: 1, -65539: generation >>,
//!        { 396: { -1: [ << [size, index, [hash …]] >> ] }, -65538: [ 76 bytes, … ] },
//!        null,                              the payload is the root, made again by the verifier
//!        signature ]) ]
//! ```
//!
//! There is no root and no checkpoint text in it that a lazy verifier could trust. `iss` is the
//! node's name, as in the proof; the generation of its life completes the log's origin and is of
//! ours (a private label beside -65538). The log's signature covers the root alone; origin and size
//! are bound by the witnesses, whose cosignatures cover the checkpoint's text, and by the protected
//! header.

mod text;
mod trust;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

pub use text::{TextError, log_line, of_tlog_proof, to_tlog_proof};
pub use trust::{LogTrust, Logged, judge};

use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::cose::{self, CoseError, Sign1};
use crate::id::StatementId;
use crate::key::{ALG_ED25519, ALG_EDDSA, KeyEntry, KeyId, SignError, Signer};
use crate::log::checkpoint::{Checkpoint, Origin};
use crate::log::cosignature::COSIGNATURE_BYTES;
use crate::log::entry::Entry;
use crate::log::merkle::{self, Hash, MerkleError, PATH_HASHES_MAX};
use crate::log::policy::WITNESSES_MAX;
use crate::name::node_name;

/// Unprotected header of receipts (RFC 9942).
pub const HEADER_RECEIPTS: i64 = 394;
/// Protected header: kind of verifiable data structure.
const HEADER_VDS: i64 = 395;
/// Unprotected header: its proofs.
const HEADER_VDP: i64 = 396;
/// Protected header: CWT claims (RFC 9597).
const HEADER_CLAIMS: i64 = 15;
/// Private header: C2SP cosignatures (PROOFS §4.2).
const HEADER_COSIGNATURES: i64 = -65_538;
/// Private header: generation of the life whose log it is.
const HEADER_GENERATION: i64 = -65_539;
/// RFC9162_SHA256.
const VDS_RFC9162: i128 = 1;
/// Inclusion proofs in the proofs' map.
const PROOF_INCLUSION: i64 = -1;

/// Most receipts of one proof: the log of its life, and of lives after a restore.
pub const RECEIPTS_MAX: usize = 4;

/// Largest receipt, bytes: 63 hashes and 16 cosignatures.
pub const RECEIPT_BYTES_MAX: usize = 256 + 35 * PATH_HASHES_MAX + 78 * WITNESSES_MAX;

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Encoding, or a shape that is not the one above.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Its algorithm is not one we know.
    #[error("signature algorithm {0} is not accepted")]
    Algorithm(i64),
    /// Another verifiable data structure than RFC 9162 with SHA-256.
    #[error("a receipt of another kind of log")]
    OtherStructure,
    /// It is the receipt of another node's log.
    #[error("the receipt is of another node's log")]
    OtherIssuer,
    /// The path does not fit size and index.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// No log key of the node has its key id, or the signature does not verify over the root that
    /// the path leads to.
    #[error(transparent)]
    Signature(#[from] CoseError),
}

impl ReceiptError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cbor(_) => "receipt-encoding",
            Self::Algorithm(_) => "receipt-algorithm",
            Self::OtherStructure => "receipt-other-structure",
            Self::OtherIssuer => "receipt-other-issuer",
            Self::Merkle(error) => error.code(),
            Self::Signature(CoseError::NoKey) => "receipt-no-key",
            Self::Signature(_) => "receipt-bad-signature",
        }
    }
}

/// A parsed receipt, bytes kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The log.
    pub origin: Origin,
    /// Entries under the checkpoint.
    pub size: u64,
    /// Index of the proof's entry.
    pub index: u64,
    /// Inclusion path.
    pub path: Vec<Hash>,
    /// Cosignatures: key id, time, signature.
    pub cosignatures: Vec<[u8; COSIGNATURE_BYTES]>,
    alg: i64,
    kid: KeyId,
    protected: Vec<u8>,
    signature: [u8; 64],
}

/// What a receipt is made of, but for the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion<'a> {
    /// Head of the log that includes the entry.
    pub head: &'a Checkpoint,
    /// Index of the entry.
    pub index: u64,
    /// Its path in the tree of that head.
    pub path: Vec<Hash>,
    /// Cosignatures on that head.
    pub cosignatures: Vec<[u8; COSIGNATURE_BYTES]>,
}

impl Receipt {
    /// Signs a receipt with the key of the log. The head must be one that the log has signed.
    pub fn make(signer: &dyn Signer, inclusion: Inclusion<'_>) -> Result<Self, SignError> {
        let Inclusion { head, index, path, cosignatures } = inclusion;
        let origin = Origin::parse(&head.origin);
        let origin = origin.ok_or_else(|| SignError("not the origin of a log of ours".into()))?;
        let fits = merkle::inclusion_length(index, head.size) == Some(path.len());
        if !fits || cosignatures.len() > WITNESSES_MAX || !head.extension.is_empty() {
            return Err(SignError("a path or cosignatures that no receipt may carry".into()));
        }
        let (alg, kid) = (signer.alg(), signer.kid());
        let claims = MapBuilder::new().put(1, cbor::text(origin.node.as_str())).build();
        let protected = MapBuilder::new()
            .put(1, cbor::int(alg))
            .put(4, cbor::bytes(kid))
            .put(HEADER_CLAIMS, claims)
            .put(HEADER_VDS, cbor::int(VDS_RFC9162))
            .put(HEADER_GENERATION, cbor::int(origin.generation));
        let protected = cbor::encode(&protected.build());
        let signature = signer.sign(&cose::sig_structure(&protected, &[], &head.root))?;
        Ok(Self { origin, size: head.size, index, path, cosignatures, alg, kid, protected, signature })
    }

    /// The receipt's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let path = self.path.iter().map(|hash| cbor::bytes(*hash)).collect();
        let proof = Value::Array(vec![cbor::int(self.size), cbor::int(self.index), Value::Array(path)]);
        let inclusion = Value::Array(vec![cbor::bytes(cbor::encode(&proof))]);
        let cosignatures: Vec<Value> = self.cosignatures.iter().map(|c| cbor::bytes(*c)).collect();
        let unprotected = MapBuilder::new()
            .put(HEADER_VDP, MapBuilder::new().put(PROOF_INCLUSION, inclusion).build())
            .put_opt(HEADER_COSIGNATURES, (!cosignatures.is_empty()).then_some(Value::Array(cosignatures)));
        let items = vec![
            cbor::bytes(self.protected.as_slice()),
            unprotected.build(),
            Value::Null,
            cbor::bytes(self.signature),
        ];
        cbor::encode(&Value::Tag(18, Box::new(Value::Array(items))))
    }

    /// Reads a receipt; nothing is verified.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let shape = CborError::Shape("a COSE receipt of RFC 9942 is expected");
        let Value::Tag(18, inner) = cbor::decode(bytes, RECEIPT_BYTES_MAX)? else {
            return Err(shape.into());
        };
        let Value::Array(items) = *inner else { return Err(shape.into()) };
        let Ok::<[Value; 4], _>([Value::Bytes(protected), unprotected, Value::Null, signature]) =
            items.try_into()
        else {
            return Err(shape.into());
        };
        let signature = cbor::as_array(signature, 0)?;
        let (alg, kid, origin) = parse_protected(&protected)?;
        let mut f = Fields::open(unprotected)?;
        let mut proofs = Fields::open(f.need(HEADER_VDP)?)?;
        let inclusion = proofs.list(PROOF_INCLUSION, 1)?;
        proofs.finish()?;
        let cosignatures = f
            .list(HEADER_COSIGNATURES, WITNESSES_MAX)?
            .into_iter()
            .map(|value| cbor::as_array(value, HEADER_COSIGNATURES))
            .collect::<Result<_, _>>()?;
        f.finish()?;
        let Some(Value::Bytes(inclusion)) = inclusion.into_iter().next() else { return Err(shape.into()) };
        let (size, index, path) = parse_inclusion(&inclusion)?;
        Ok(Self { origin, size, index, path, cosignatures, alg, kid, protected, signature })
    }

    /// Checks that the entry of `id` is in the log under the head that the log's key signed: the
    /// root is made from entry and path, and the signature must hold over it. Says which head.
    pub fn verify<'k>(
        &self,
        id: StatementId,
        keys: impl IntoIterator<Item = &'k KeyEntry>,
    ) -> Result<(Checkpoint, &'k KeyEntry), ReceiptError> {
        // A known kind always has bytes.
        let entry = Entry::Signed(id.0).encode().unwrap_or_default();
        let leaf = merkle::leaf_hash(&entry);
        let root = merkle::root_from_inclusion(&leaf, self.index, self.size, &self.path)?;
        let message = cose::sig_structure(&self.protected, &[], &root);
        let key = cose::verify(self.alg, &self.kid, &message, &self.signature, keys)?;
        Ok((Checkpoint::new(self.origin.to_string(), self.size, root), key))
    }
}

fn parse_protected(bytes: &[u8]) -> Result<(i64, KeyId, Origin), ReceiptError> {
    let mut f = Fields::open(cbor::decode(bytes, 256)?)?;
    let alg = f.int(1)?;
    if alg != ALG_ED25519 && alg != ALG_EDDSA {
        return Err(ReceiptError::Algorithm(alg));
    }
    let kid = f.array(4)?;
    let mut claims = Fields::open(f.need(HEADER_CLAIMS)?)?;
    let node = node_name(&mut claims, 1)?;
    claims.finish()?;
    if i128::from(f.int(HEADER_VDS)?) != VDS_RFC9162 {
        return Err(ReceiptError::OtherStructure);
    }
    let generation = f.uint(HEADER_GENERATION)?;
    f.finish()?;
    Ok((alg, kid, Origin { node, generation }))
}

fn parse_inclusion(bytes: &[u8]) -> Result<(u64, u64, Vec<Hash>), CborError> {
    let wrong = CborError::WrongType(HEADER_VDP);
    let Value::Array(items) = cbor::decode(bytes, RECEIPT_BYTES_MAX)? else { return Err(wrong) };
    let [size, index, path]: [Value; 3] = items.try_into().map_err(|_| wrong.clone())?;
    let Value::Array(path) = path else { return Err(wrong) };
    if path.len() > PATH_HASHES_MAX {
        return Err(wrong);
    }
    let path = path.into_iter().map(|hash| cbor::as_array(hash, HEADER_VDP)).collect::<Result<_, _>>()?;
    Ok((cbor::as_uint(&size, HEADER_VDP)?, cbor::as_uint(&index, HEADER_VDP)?, path))
}

/// The bytes of a token with an empty unprotected header: what was signed, logged and printed. They
/// are the only ones, for the encoding is deterministic.
pub fn bare(sign1: &Sign1) -> Vec<u8> {
    cose::assemble(&sign1.protected, &BTreeMap::new(), &sign1.payload, &sign1.signature)
}

/// Id of a token in the log.
pub fn logged_id(sign1: &Sign1) -> StatementId {
    StatementId(Sha256::digest(bare(sign1)).into())
}

/// The token with these receipts in place of any it has.
pub(super) fn with_receipts(sign1: &Sign1, receipts: &[Receipt]) -> Vec<u8> {
    let mut unprotected = BTreeMap::new();
    if !receipts.is_empty() {
        let all = receipts.iter().map(|receipt| cbor::bytes(receipt.encode())).collect();
        unprotected.insert(cbor::int(HEADER_RECEIPTS), Value::Array(all));
    }
    cose::assemble(&sign1.protected, &unprotected, &sign1.payload, &sign1.signature)
}

/// The receipts of a token; `None` when its unprotected header holds anything else.
pub(super) fn receipts_of(sign1: &Sign1) -> Option<Result<Vec<Receipt>, ReceiptError>> {
    let receipts = match sign1.unprotected.get(&cbor::int(HEADER_RECEIPTS)) {
        None if sign1.unprotected.is_empty() => return Some(Ok(Vec::new())),
        Some(receipts) if sign1.unprotected.len() == 1 => receipts,
        _ => return None,
    };
    let wrong = || CborError::WrongType(HEADER_RECEIPTS).into();
    Some(match receipts {
        Value::Array(all) if !all.is_empty() && all.len() <= RECEIPTS_MAX => all
            .iter()
            .map(|one| match one {
                Value::Bytes(bytes) => Receipt::parse(bytes),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    })
}
