//! Cosignatures of witnesses (`c2sp.org/tlog-cosignature`, Ed25519, type 0x04): time and signature
//! over `cosignature/v1`, the time and the checkpoint's text.
//!
//! It says: as of this time, the largest consistent tree that I have seen of this origin is this
//! one. 76 bytes with the key id; the same bytes stand in a note line and in a COSE receipt.

use super::note::{KeyType, NoteKey, NoteSignature, key_hash, valid_key_name};
use crate::key::{SignError, Signer};

/// Key id, time and signature: what a note line and a receipt hold.
pub const COSIGNATURE_BYTES: usize = 4 + 8 + 64;

/// Latest time a cosignature may name, seconds (2^63 − 1 by the specification).
const TIME_MAX: u64 = i64::MAX as u64;

/// The message that is signed.
fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// Signs a checkpoint's text as the witness `name` at `time` (seconds since 1970). The caller has
/// verified that the checkpoint is consistent and has stored it.
pub fn sign(signer: &dyn Signer, name: &str, time: u64, text: &str) -> Result<NoteSignature, SignError> {
    if !valid_key_name(name) || time > TIME_MAX {
        return Err(SignError("a witness name or time that no cosignature may carry".into()));
    }
    let signature = signer.sign(&message(time, text))?;
    let key_hash = key_hash(name, KeyType::CosignatureV1 as u8, &signer.public());
    let signature = [time.to_be_bytes().as_slice(), &signature].concat();
    Ok(NoteSignature { name: name.to_owned(), key_hash, signature })
}

/// Time of the cosignature `signature` (time and signature, without key id) when `key` made it over
/// this text.
pub fn verify(key: &NoteKey, text: &str, signature: &[u8]) -> Option<u64> {
    let (time, signature) = signature.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    let signature: &[u8; 64] = signature.try_into().ok()?;
    let fits = key.key_type() == KeyType::CosignatureV1 && time <= TIME_MAX;
    (fits && key.verify_raw(&message(time, text), signature)).then_some(time)
}
