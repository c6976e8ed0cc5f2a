//! Signed notes (`c2sp.org/signed-note`): a text, an empty line, and signature lines.
//!
//! [`Note::parse`] reads the form only. [`Note::verify`] gives the signatures of keys one knows:
//! unknown keys are ignored, a known key with a wrong signature rejects the whole note, and a note
//! without any known signature is rejected.

mod vkey;

use data_encoding::BASE64;

pub use vkey::{KEY_NAME_BYTES_MAX, KeyType, NoteKey, VkeyError, key_hash, valid_key_name};

use super::cosignature;

/// Largest note accepted, bytes: 64 KiB is a frame of our network; a checkpoint with 16 witnesses
/// has under 3 KiB.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// Most signature lines accepted; the specification asks for at least 16. Others stop at 100, and
/// so a note that they accept is accepted here.
pub const SIGNATURES_MAX: usize = 100;

/// Largest signature in a line, bytes: ML-DSA-44 with time and key id has 2,432; more is no
/// signature of any type assigned.
pub const SIGNATURE_BYTES_MAX: usize = 8 * 1024;

const SPLIT: &str = "\n\n";
const DASH: &str = "\u{2014} ";

/// Why a note was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Over [`NOTE_BYTES_MAX`] or [`SIGNATURES_MAX`].
    #[error("the note is larger than any note of ours")]
    TooLarge,
    /// Not UTF-8, control characters, no final newline, no signature, or a malformed line.
    #[error("not a signed note")]
    Malformed,
    /// Two keys of the verifier have one name and key id: which one is meant cannot be told.
    #[error("two of the known keys have the same name and id")]
    AmbiguousKey,
    /// The signature of a known key does not verify.
    #[error("a signature of a known key does not verify")]
    BadSignature,
    /// No signature of a known key.
    #[error("no signature of a known key")]
    NoKnownSignature,
}

impl NoteError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "note-too-large",
            Self::Malformed => "note-malformed",
            Self::AmbiguousKey => "note-ambiguous-key",
            Self::BadSignature => "note-bad-signature",
            Self::NoKnownSignature => "note-no-known-signature",
        }
    }
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Key name.
    pub name: String,
    /// First four bytes: a hint which key of that name.
    pub key_hash: [u8; 4],
    /// The rest: as its key's type says.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// Key id and signature, as the line holds them in base64.
    pub fn raw(&self) -> Vec<u8> {
        [self.key_hash.as_slice(), &self.signature].concat()
    }

    /// The line with its newline.
    pub fn line(&self) -> String {
        format!("{DASH}{} {}\n", self.name, BASE64.encode(&self.raw()))
    }

    /// Reads one line without its newline.
    pub fn parse_line(line: &str) -> Result<Self, NoteError> {
        let (name, encoded) =
            line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(NoteError::Malformed)?;
        if !valid_key_name(name) || encoded.len() > SIGNATURE_BYTES_MAX * 4 / 3 + 4 {
            return Err(NoteError::Malformed);
        }
        let raw = super::checkpoint::base64(encoded).ok_or(NoteError::Malformed)?;
        let (key_hash, signature) = raw.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
        if signature.is_empty() {
            return Err(NoteError::Malformed);
        }
        Ok(Self { name: name.to_owned(), key_hash: *key_hash, signature: signature.to_vec() })
    }
}

/// A parsed note; whether its signatures count is asked by [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The signed text, its final newline included.
    pub text: String,
    /// Signature lines in order.
    pub signatures: Vec<NoteSignature>,
}

/// A signature that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSignature<'k> {
    /// The key.
    pub key: &'k NoteKey,
    /// Seconds of a cosignature/v1; `None` for a plain signature.
    pub time: Option<u64>,
}

impl Note {
    /// Reads the form of a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        if whole.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::Malformed);
        }
        let split = whole.rfind(SPLIT).ok_or(NoteError::Malformed)?;
        let (text, lines) = (&whole[..=split], &whole[split + SPLIT.len()..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        if lines.bytes().filter(|b| *b == b'\n').count() >= SIGNATURES_MAX {
            return Err(NoteError::TooLarge);
        }
        let signatures = lines.split('\n').map(NoteSignature::parse_line).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The whole note. It parses again to the same when the text ends in a newline and holds no
    /// control character.
    pub fn render(&self) -> String {
        let mut out = format!("{}\n", self.text);
        self.signatures.iter().for_each(|signature| out.push_str(&signature.line()));
        out
    }

    /// The signatures of the keys given, one for each key at most (a line that repeats a key is
    /// skipped after it verified once).
    pub fn verify<'k>(&self, keys: &'k [NoteKey]) -> Result<Vec<KnownSignature<'k>>, NoteError> {
        let mut found: Vec<KnownSignature<'k>> = Vec::new();
        for line in &self.signatures {
            let mut same = keys.iter().filter(|k| k.hash() == line.key_hash && k.name() == line.name);
            let Some(key) = same.next() else { continue };
            if same.next().is_some() {
                return Err(NoteError::AmbiguousKey);
            }
            if found.iter().any(|known| known.key == key) {
                continue;
            }
            found.push(verify_one(key, &self.text, &line.signature).ok_or(NoteError::BadSignature)?);
        }
        if found.is_empty() { Err(NoteError::NoKnownSignature) } else { Ok(found) }
    }
}

/// Verifies one signature by the type of its key.
fn verify_one<'k>(key: &'k NoteKey, text: &str, signature: &[u8]) -> Option<KnownSignature<'k>> {
    let time = match key.key_type() {
        KeyType::Ed25519 => {
            let signature: &[u8; 64] = signature.try_into().ok()?;
            if !key.verify_raw(text.as_bytes(), signature) {
                return None;
            }
            None
        }
        KeyType::CosignatureV1 => Some(cosignature::verify(key, text, signature)?),
    };
    Some(KnownSignature { key, time })
}

#[cfg(test)]
mod tests;
