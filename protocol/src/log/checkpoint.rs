//! Checkpoints (`c2sp.org/tlog-checkpoint`): the signed head of a log. Its text is fully made of
//! origin, size and root, so a binary proof need not carry it.

use std::fmt;

use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

use super::merkle::Hash;
use super::note::{KeyType, Note, NoteError, NoteSignature, key_hash};
use crate::key::{SignError, Signer};
use crate::name::NodeName;

/// Longest origin accepted, bytes: that of a key name, for a log signs under its origin.
pub const ORIGIN_BYTES_MAX: usize = 256;

/// Why a checkpoint was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note, or signatures that do not count.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not origin, size and root.
    #[error("the text is not a checkpoint")]
    Malformed,
}

impl CheckpointError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Malformed => "checkpoint-malformed",
        }
    }
}

/// Name of a log: one for each life of a node (DESIGN §7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The node.
    pub node: NodeName,
    /// Generation of its life.
    pub generation: u64,
}

impl Origin {
    /// Reads `node/generation`; the generation in decimal without leading zeros.
    pub fn parse(text: &str) -> Option<Self> {
        let (node, generation) = text.rsplit_once('/')?;
        Some(Self { node: NodeName::parse(node).ok()?, generation: decimal(generation)? })
    }

    /// SHA-256 of its text: where its rows lie, and the path of its monitoring.
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.to_string()).into()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.generation)
    }
}

/// Reads an ASCII decimal without sign and leading zeros, as C2SP writes sizes.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Reads the base64 of one hash.
pub(super) fn hash_line(text: &str) -> Option<Hash> {
    // 44 characters are 32 bytes; anything longer is not even decoded.
    if text.len() != 44 {
        return None;
    }
    base64(text)?.try_into().ok()
}

/// Reads base64 in its one form: the decoder also takes texts put together, with padding in between, and
/// two spellings of one note must not both be read.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    (BASE64.encode(&bytes) == text).then_some(bytes)
}

/// Head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Origin line: of our logs an [`Origin`], of others any text.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
    /// Extension lines, each with its newline; empty in ours.
    pub extension: String,
}

impl Checkpoint {
    /// A head without extension lines.
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Self {
        Self { origin: origin.into(), size, root, extension: String::new() }
    }

    /// Reads the text of a note.
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Malformed)?;
        let mut lines = body.splitn(4, '\n');
        let mut next = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Malformed);
        let (origin, size, root) = (next()?, next()?, next()?);
        let extension = match lines.next() {
            None => String::new(),
            Some(rest) if rest.split('\n').all(|line| !line.is_empty()) => format!("{rest}\n"),
            Some(_) => return Err(CheckpointError::Malformed),
        };
        if origin.len() > ORIGIN_BYTES_MAX {
            return Err(CheckpointError::Malformed);
        }
        let size = decimal(size).ok_or(CheckpointError::Malformed)?;
        let root = hash_line(root).ok_or(CheckpointError::Malformed)?;
        Ok(Self { origin: origin.to_owned(), size, root, extension })
    }

    /// Reads a note and its text; no signature is checked.
    pub fn parse(bytes: &[u8]) -> Result<(Note, Self), CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse_text(&note.text)?;
        Ok((note, checkpoint))
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n{}", self.origin, self.size, BASE64.encode(&self.root), self.extension)
    }

    /// Signs it as the log; the key name is the origin.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Note, SignError> {
        let text = self.text();
        // What cannot be read again must not be signed: a log that signs two texts for one head, or
        // an origin with a newline, would be evidence against itself.
        if Self::parse_text(&text).as_ref() != Ok(self) || !super::note::valid_key_name(&self.origin) {
            return Err(SignError("an origin or extension that no checkpoint may carry".into()));
        }
        let signature = signer.sign(text.as_bytes())?.to_vec();
        let key_hash = key_hash(&self.origin, KeyType::Ed25519 as u8, &signer.public());
        let line = NoteSignature { name: self.origin.clone(), key_hash, signature };
        Ok(Note { text, signatures: vec![line] })
    }
}
