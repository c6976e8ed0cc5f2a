//! A receipt as a C2SP tlog-proof and back, byte for byte.
//!
//! The checkpoint's text is made again and the cosignatures become note lines; a note line needs
//! the witness's name, which the receipt leaves out. The log's COSE signature is no note signature,
//! so it travels with its protected header in the `extra` line, and the way back finds it there. A
//! C2SP verifier wants the log's own line on the checkpoint: whoever has the checkpoint (the log
//! and its witnesses serve it) adds it.

use super::{Receipt, ReceiptError, parse_protected};
use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::log::checkpoint::{Checkpoint, CheckpointError};
use crate::log::cosignature::COSIGNATURE_BYTES;
use crate::log::merkle::{self, Hash};
use crate::log::note::{KeyType, Note, NoteSignature, key_hash};
use crate::log::policy::{Quorum, WITNESSES_MAX};
use crate::log::tlog_proof::TlogProof;

/// Largest extra data of ours, bytes.
const EXTRA_BYTES_MAX: usize = 512;

/// Why a receipt cannot be written as a tlog-proof, or one is no receipt of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A cosignature by a key that the quorum does not name: its line would have no name.
    #[error("a cosignature is by a witness that is not known")]
    UnknownWitness,
    /// The proof does not carry the log's COSE signature.
    #[error("the tlog-proof carries no receipt signature")]
    NoReceipt,
    /// The checkpoint's origin or size are not those of the receipt's protected header.
    #[error("checkpoint and receipt are of different logs")]
    OtherLog,
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The parts.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
}

impl TextError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownWitness => "receipt-unknown-witness",
            Self::NoReceipt => "receipt-not-in-text",
            Self::OtherLog => "receipt-other-log",
            Self::Checkpoint(error) => error.code(),
            Self::Receipt(error) => error.code(),
        }
    }
}

/// The receipt of an entry with this leaf hash as a tlog-proof. `quorum` names the witnesses;
/// `log_line` is the log's signature on the checkpoint, where it is at hand.
pub fn to_tlog_proof(
    receipt: &Receipt,
    leaf: &Hash,
    quorum: &Quorum,
    log_line: Option<NoteSignature>,
) -> Result<TlogProof, TextError> {
    let root = merkle::root_from_inclusion(leaf, receipt.index, receipt.size, &receipt.path)
        .map_err(ReceiptError::from)?;
    let text = Checkpoint::new(receipt.origin.to_string(), receipt.size, root).text();
    let mut signatures: Vec<NoteSignature> = log_line.into_iter().collect();
    for raw in &receipt.cosignatures {
        let key_hash = [raw[0], raw[1], raw[2], raw[3]];
        let mut keys = quorum.witnesses().iter().flat_map(|witness| &witness.keys);
        let key = keys.find(|key| key.key.hash() == key_hash).ok_or(TextError::UnknownWitness)?;
        let name = key.key.name().to_owned();
        signatures.push(NoteSignature { name, key_hash, signature: raw[4..].to_vec() });
    }
    let extra = MapBuilder::new()
        .put(1, cbor::bytes(receipt.protected.as_slice()))
        .put(2, cbor::bytes(receipt.signature));
    Ok(TlogProof {
        extra: Some(cbor::encode(&extra.build())),
        index: receipt.index,
        path: receipt.path.clone(),
        checkpoint: Note { text, signatures }.render(),
    })
}

/// The receipt in a tlog-proof that [`to_tlog_proof`] wrote, whoever added or left out the log's
/// line. Nothing is verified: that is done to the proof it is attached to.
pub fn of_tlog_proof(proof: &TlogProof) -> Result<Receipt, TextError> {
    let extra = proof.extra.as_ref().ok_or(TextError::NoReceipt)?;
    let (protected, signature) = parse_extra(extra).map_err(|_| TextError::NoReceipt)?;
    let (alg, kid, origin) = parse_protected(&protected)?;
    let (note, head) = Checkpoint::parse(proof.checkpoint.as_bytes())?;
    if head.origin != origin.to_string() || head.text() != note.text || !head.extension.is_empty() {
        return Err(TextError::OtherLog);
    }
    let cosignatures: Vec<[u8; COSIGNATURE_BYTES]> =
        note.signatures.iter().filter(|line| line.name != head.origin).filter_map(cosignature).collect();
    if cosignatures.len() > WITNESSES_MAX {
        return Err(ReceiptError::from(CborError::WrongType(super::HEADER_COSIGNATURES)).into());
    }
    let (size, index, path) = (head.size, proof.index, proof.path.clone());
    Ok(Receipt { origin, size, index, path, cosignatures, alg, kid, protected, signature })
}

/// The 76 bytes of a line that has the size of a cosignature.
fn cosignature(line: &NoteSignature) -> Option<[u8; COSIGNATURE_BYTES]> {
    line.raw().try_into().ok()
}

fn parse_extra(extra: &[u8]) -> Result<(Vec<u8>, [u8; 64]), CborError> {
    let mut f = Fields::open(cbor::decode(extra, EXTRA_BYTES_MAX)?)?;
    let parts = (f.bytes(1, 256)?, f.array(2)?);
    f.finish()?;
    Ok(parts)
}

/// The log's own line on a checkpoint, out of its note.
pub fn log_line(note: &Note, origin: &str, public: &[u8; 32]) -> Option<NoteSignature> {
    let hash = key_hash(origin, KeyType::Ed25519 as u8, public);
    note.signatures.iter().find(|line| line.name == origin && line.key_hash == hash).cloned()
}
