//! Proofs as text (`c2sp.org/tlog-proof@v1`): index, inclusion path and checkpoint with its
//! signatures, for anybody with a C2SP tool; nothing in it is ours.

use data_encoding::BASE64;

use super::checkpoint::{Checkpoint, CheckpointError, base64, decimal, hash_line};
use super::merkle::{self, Hash, MerkleError, PATH_HASHES_MAX};
use super::note::NOTE_BYTES_MAX;
use super::policy::PolicyFile;
use super::policy::file::PolicyRefusal;

/// First line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Largest opaque data accepted, bytes; ours have none.
pub const EXTRA_BYTES_MAX: usize = 16 * 1024;

/// Largest proof accepted, bytes: header, extra data, path and note.
pub const TLOG_PROOF_BYTES_MAX: usize = 256 + EXTRA_BYTES_MAX * 4 / 3 + 45 * PATH_HASHES_MAX + NOTE_BYTES_MAX;

/// Why a proof was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Over [`TLOG_PROOF_BYTES_MAX`], or more hashes than any tree needs.
    #[error("the proof is larger than any proof")]
    TooLarge,
    /// Not of this format.
    #[error("not a tlog-proof")]
    Malformed,
    /// The checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The policy refuses the checkpoint.
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),
    /// The path does not lead to the checkpoint's root.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
}

impl TlogProofError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "tlog-proof-too-large",
            Self::Malformed => "tlog-proof-malformed",
            Self::Checkpoint(error) => error.code(),
            Self::Policy(_) => "tlog-proof-policy",
            Self::Merkle(error) => error.code(),
        }
    }
}

/// A parsed proof. That it proves anything is said by [`TlogProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque data, not covered by any signature.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// Inclusion path, leaf's sibling first.
    pub path: Vec<Hash>,
    /// The checkpoint's note, verbatim.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads the text.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > TLOG_PROOF_BYTES_MAX {
            return Err(TlogProofError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TlogProofError::Malformed)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(TlogProofError::Malformed)?;
        if checkpoint.is_empty() {
            return Err(TlogProofError::Malformed);
        }
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError::Malformed);
        }
        let mut extra = None;
        if let Some(encoded) = lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            if encoded.len() > EXTRA_BYTES_MAX * 4 / 3 + 4 {
                return Err(TlogProofError::TooLarge);
            }
            extra = Some(base64(encoded).ok_or(TlogProofError::Malformed)?);
            lines.next();
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or(TlogProofError::Malformed)?;
        let path: Option<Vec<Hash>> = lines.by_ref().take(PATH_HASHES_MAX).map(hash_line).collect();
        if lines.next().is_some() {
            return Err(TlogProofError::TooLarge);
        }
        let path = path.ok_or(TlogProofError::Malformed)?;
        Ok(Self { extra, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// The text. The checkpoint is written verbatim.
    pub fn render(&self) -> String {
        let extra = self.extra.as_ref().map(|extra| format!("extra {}\n", BASE64.encode(extra)));
        let mut out = format!("{HEADER}\n{}index {}\n", extra.unwrap_or_default(), self.index);
        for hash in &self.path {
            out.push_str(&BASE64.encode(hash));
            out.push('\n');
        }
        out.push('\n');
        out.push_str(&self.checkpoint);
        out
    }

    /// Checks that an entry with this leaf hash is in the log under a checkpoint that satisfies the
    /// policy. The order is signatures first, then the path.
    pub fn verify(&self, leaf: &Hash, policy: &PolicyFile) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = policy.verify(self.checkpoint.as_bytes(), &[])?;
        merkle::verify_inclusion(leaf, self.index, checkpoint.size, &checkpoint.root, &self.path)?;
        Ok(checkpoint)
    }
}
