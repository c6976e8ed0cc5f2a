//! Evidence against a node (DESIGN §7): its own signatures that contradict each other. Anyone who
//! has the node's keys can check it, offline; nobody's word is needed.
//!
//! | kind | what contradicts |
//! |---|---|
//! | [`Evidence::TwoRoots`] | two signed checkpoints of one log and size with different roots |
//! | [`Evidence::TwoLeaves`] | one index, two entries, each included under a signed checkpoint of one log |
//! | [`Evidence::TwoSeals`] | two different seals of one dossier and epoch, signed by one node |
//! | [`Evidence::Rewritten`] | an older signed checkpoint, and a newer one that extends another root of that size |
//! | [`Evidence::Dropped`] | a receipt *accepted*, and a later head signed by the same node whose chain lacks the statement |
//!
//! **A dropped statement, precisely.** The receipt is a statement of the custodian for the dossier
//! with outcome *accepted*, a target, and (epoch, length, head) after it: the target is among the
//! first `length` statements, and a chain only grows. The later head is anything in which the same
//! node signed (epoch, length, head) of that dossier: another receipt, a seal (the chain below it)
//! or an Offer. It is *later* when its length is not below the receipt's and its epoch neither;
//! lengths never fall, so this needs no clock. The ids of the chain come with it, unsigned: they
//! count because they hash, from the empty head of the dossier, to exactly the signed head. If the
//! target is not among them, the node has signed both that it took the statement and that it has
//! not. A chain that holds the target at another place is no evidence: that a restored node took a
//! delivery again at the end of its chain is told by other means.
//!
//! A missing consistency proof or a repeated nullifier is an alarm, not evidence. Evidence of the
//! last two kinds holds a dossier id and is for members; the first two hold hashes only.

mod codec;

use std::collections::BTreeSet;

use super::checkpoint::{Checkpoint, CheckpointError, Origin};
use super::merkle::{self, Hash, MerkleError};
use super::note::{KeyType, NoteKey};
use crate::dossier::{empty_head, next_head};
use crate::id::{ChainHead, DossierId, StatementId};
use crate::key::{KeyEntry, Role};
use crate::message::{Content, Message};
use crate::name::NodeName;
use crate::statement::{Body, Outcome, Receipt, Statement};

pub use codec::{EVIDENCE_BYTES_MAX, IDS_MAX};

/// An entry of a log and the signed checkpoint that includes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncludedLeaf {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// Inclusion path.
    pub path: Vec<Hash>,
    /// The checkpoint's note.
    pub note: String,
}

/// Signed things that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Two notes of one origin and size with different roots.
    TwoRoots {
        /// One.
        one: String,
        /// The other.
        other: String,
    },
    /// Two entries at one index of one log.
    TwoLeaves {
        /// The index.
        index: u64,
        /// One.
        one: IncludedLeaf,
        /// The other.
        other: IncludedLeaf,
    },
    /// Two seals of one dossier and epoch.
    TwoSeals {
        /// One.
        one: Vec<u8>,
        /// The other.
        other: Vec<u8>,
    },
    /// An older checkpoint, and a newer one with a consistency proof from another root of the older size:
    /// what the newer one extends is not what was signed before.
    Rewritten {
        /// The older note.
        old: String,
        /// The newer note.
        new: String,
        /// Root of the older size under the newer checkpoint.
        root: Hash,
        /// Consistency proof from it.
        path: Vec<Hash>,
    },
    /// A receipt, and a later head without its statement.
    Dropped {
        /// The receipt's bytes.
        receipt: Vec<u8>,
        /// A receipt, seal (statements) or Offer (message) by the same node.
        head: Vec<u8>,
        /// Ids of the chain under that head, in order.
        ids: Vec<StatementId>,
    },
}

impl Evidence {
    /// Stable word of the kind.
    pub fn word(&self) -> &'static str {
        match self {
            Self::TwoRoots { .. } => "two-roots",
            Self::TwoLeaves { .. } => "two-leaves",
            Self::TwoSeals { .. } => "two-seals",
            Self::Rewritten { .. } => "rewritten",
            Self::Dropped { .. } => "dropped",
        }
    }
}

/// What evidence proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    /// The log was shown with two roots at one size: to some it was rewritten.
    TwoRoots {
        /// The log.
        origin: Origin,
        /// Entries.
        size: u64,
    },
    /// An entry of the log was replaced.
    TwoLeaves {
        /// The log.
        origin: Origin,
        /// The index.
        index: u64,
    },
    /// Entries that a checkpoint had covered were replaced.
    Rewritten {
        /// The log.
        origin: Origin,
        /// Size of the older checkpoint.
        size: u64,
    },
    /// The node gave one dossier away twice.
    TwoSeals {
        /// The node.
        node: NodeName,
        /// The dossier.
        dossier: DossierId,
        /// The epoch that both seals end.
        epoch: u64,
    },
    /// The node acknowledged a statement and lost or dropped it.
    Dropped {
        /// The node.
        node: NodeName,
        /// The dossier.
        dossier: DossierId,
        /// The statement.
        statement: StatementId,
    },
}

impl Proved {
    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TwoRoots { .. } => "evidence-two-roots",
            Self::TwoLeaves { .. } => "evidence-two-leaves",
            Self::TwoSeals { .. } => "evidence-two-seals",
            Self::Rewritten { .. } => "evidence-rewritten",
            Self::Dropped { .. } => "evidence-dropped",
        }
    }

    /// The node, the log or dossier, and the size, index, epoch or statement, as texts.
    pub fn place(&self) -> (String, String, String) {
        let (what, at) = match self {
            Self::TwoRoots { origin, size } | Self::Rewritten { origin, size } => {
                (origin.to_string(), size.to_string())
            }
            Self::TwoLeaves { origin, index } => (origin.to_string(), index.to_string()),
            Self::TwoSeals { dossier, epoch, .. } => (dossier.to_string(), epoch.to_string()),
            Self::Dropped { dossier, statement, .. } => (dossier.to_string(), statement.to_string()),
        };
        (self.node().to_string(), what, at)
    }

    /// The node that is exposed.
    pub fn node(&self) -> &NodeName {
        match self {
            Self::TwoRoots { origin, .. }
            | Self::TwoLeaves { origin, .. }
            | Self::Rewritten { origin, .. } => &origin.node,
            Self::TwoSeals { node, .. } | Self::Dropped { node, .. } => node,
        }
    }
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The file is not evidence of this version.
    #[error("not an evidence file of this version")]
    Encoding,
    /// A part is not what its place asks for.
    #[error("a part of the evidence is of another kind")]
    Part,
    /// A checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An inclusion path is refused.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// A part is not signed by a key known of the accused node.
    #[error("a part is not signed by a known key of the node")]
    Signature,
    /// The parts speak of different logs, nodes, dossiers, sizes or epochs.
    #[error("the parts do not speak of the same thing")]
    Unrelated,
    /// The parts agree with each other.
    #[error("the parts do not contradict each other")]
    NoContradiction,
    /// The head is not later than the receipt.
    #[error("the head is not later than the receipt")]
    NotLater,
    /// The ids do not hash to the signed head.
    #[error("the list of ids does not lead to the signed head")]
    OtherChain,
}

impl EvidenceError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Encoding => "evidence-encoding",
            Self::Part => "evidence-part",
            Self::Checkpoint(error) => error.code(),
            Self::Merkle(error) => error.code(),
            Self::Signature => "evidence-signature",
            Self::Unrelated => "evidence-unrelated",
            Self::NoContradiction => "evidence-no-contradiction",
            Self::NotLater => "evidence-not-later",
            Self::OtherChain => "evidence-other-chain",
        }
    }
}

/// A head of a dossier as its custodian signed it.
struct SignedHead {
    node: NodeName,
    dossier: DossierId,
    epoch: u64,
    length: u64,
    head: ChainHead,
}

impl Evidence {
    /// Checks it. `keys` gives every key known of a node in a role, whatever its window: a key that
    /// has ended still binds its owner. Keys that are known to be stolen must be left out by the
    /// caller, for a thief can make evidence.
    pub fn verify(&self, keys: impl Fn(&NodeName, Role) -> Vec<KeyEntry>) -> Result<Proved, EvidenceError> {
        match self {
            Self::TwoRoots { one, other } => two_roots(&keys, one, other),
            Self::TwoLeaves { index, one, other } => two_leaves(&keys, *index, one, other),
            Self::TwoSeals { one, other } => two_seals(&keys, one, other),
            Self::Rewritten { old, new, root, path } => rewritten(&keys, old, new, root, path),
            Self::Dropped { receipt, head, ids } => dropped(&keys, receipt, head, ids),
        }
    }
}

type Keys<'a> = &'a dyn Fn(&NodeName, Role) -> Vec<KeyEntry>;

fn two_roots(keys: Keys<'_>, one: &str, other: &str) -> Result<Proved, EvidenceError> {
    let (origin, one) = checkpoint(keys, one)?;
    let (other_origin, other) = checkpoint(keys, other)?;
    if origin != other_origin || one.size != other.size {
        return Err(EvidenceError::Unrelated);
    }
    if one.root == other.root {
        return Err(EvidenceError::NoContradiction);
    }
    Ok(Proved::TwoRoots { origin, size: one.size })
}

fn two_leaves(
    keys: Keys<'_>,
    index: u64,
    one: &IncludedLeaf,
    other: &IncludedLeaf,
) -> Result<Proved, EvidenceError> {
    let included = |leaf: &IncludedLeaf| -> Result<Origin, EvidenceError> {
        let (origin, head) = checkpoint(keys, &leaf.note)?;
        let hash = merkle::leaf_hash(&leaf.entry);
        merkle::verify_inclusion(&hash, index, head.size, &head.root, &leaf.path)?;
        Ok(origin)
    };
    let origin = included(one)?;
    if origin != included(other)? {
        return Err(EvidenceError::Unrelated);
    }
    if one.entry == other.entry {
        return Err(EvidenceError::NoContradiction);
    }
    Ok(Proved::TwoLeaves { origin, index })
}

fn rewritten(
    keys: Keys<'_>,
    old: &str,
    new: &str,
    root: &Hash,
    path: &[Hash],
) -> Result<Proved, EvidenceError> {
    let (origin, old) = checkpoint(keys, old)?;
    let (other_origin, new) = checkpoint(keys, new)?;
    // The empty tree is the beginning of every tree.
    if origin != other_origin || old.size == 0 {
        return Err(EvidenceError::Unrelated);
    }
    merkle::verify_consistency(old.size, root, new.size, &new.root, path)?;
    if old.root == *root {
        return Err(EvidenceError::NoContradiction);
    }
    Ok(Proved::Rewritten { origin, size: old.size })
}

fn two_seals(keys: Keys<'_>, one: &[u8], other: &[u8]) -> Result<Proved, EvidenceError> {
    let (one, other) = (statement(keys, one)?, statement(keys, other)?);
    let (Body::Seal(seal), Body::Seal(other_seal)) = (&one.body, &other.body) else {
        return Err(EvidenceError::Part);
    };
    let same = one.common.issuer == other.common.issuer
        && one.common.dossier == other.common.dossier
        && seal.epoch == other_seal.epoch;
    if !same {
        return Err(EvidenceError::Unrelated);
    }
    if one.id == other.id {
        return Err(EvidenceError::NoContradiction);
    }
    Ok(Proved::TwoSeals { node: one.common.issuer, dossier: one.common.dossier, epoch: seal.epoch })
}

fn dropped(
    keys: Keys<'_>,
    receipt: &[u8],
    later: &[u8],
    ids: &[StatementId],
) -> Result<Proved, EvidenceError> {
    let receipt = statement(keys, receipt)?;
    let Body::Receipt(Receipt {
        target, outcome: Outcome::Accepted, state: Some((epoch, length, _)), ..
    }) = receipt.body
    else {
        return Err(EvidenceError::Part);
    };
    let later = signed_head(keys, later)?;
    if later.node != receipt.common.issuer || later.dossier != receipt.common.dossier {
        return Err(EvidenceError::Unrelated);
    }
    if later.length < length || later.epoch < epoch {
        return Err(EvidenceError::NotLater);
    }
    let head = ids.iter().fold(empty_head(later.dossier), |head, id| next_head(head, *id));
    if ids.len() as u64 != later.length || head != later.head {
        return Err(EvidenceError::OtherChain);
    }
    if ids.contains(&target) {
        return Err(EvidenceError::NoContradiction);
    }
    Ok(Proved::Dropped { node: later.node, dossier: later.dossier, statement: target })
}

/// A checkpoint of a log of ours, signed by a log key known of the node its origin names.
fn checkpoint(keys: Keys<'_>, note: &str) -> Result<(Origin, Checkpoint), EvidenceError> {
    let (note, checkpoint) = Checkpoint::parse(note.as_bytes())?;
    let origin = Origin::parse(&checkpoint.origin).ok_or(EvidenceError::Part)?;
    let note_key = |entry: &KeyEntry| NoteKey::new(&checkpoint.origin, KeyType::Ed25519, &entry.public).ok();
    let mut seen = BTreeSet::new();
    let mut known: Vec<NoteKey> = keys(&origin.node, Role::Log).iter().filter_map(note_key).collect();
    known.retain(|key| seen.insert(*key.public()));
    note.verify(&known).map_err(CheckpointError::from)?;
    Ok((origin, checkpoint))
}

fn statement(keys: Keys<'_>, bytes: &[u8]) -> Result<Statement, EvidenceError> {
    let statement = Statement::parse(bytes).map_err(|_| EvidenceError::Part)?;
    let known = keys(&statement.common.issuer, Role::Statement);
    statement.verify(&known).map_err(|_| EvidenceError::Signature)?;
    Ok(statement)
}

/// (dossier, epoch, length, head) out of a receipt, a seal or an Offer.
fn signed_head(keys: Keys<'_>, bytes: &[u8]) -> Result<SignedHead, EvidenceError> {
    if Statement::parse(bytes).is_err() {
        let offer = Message::signed(bytes, |from| keys(from, Role::Statement))
            .map_err(|_| EvidenceError::Signature)?;
        let Content::Offer { head, count, .. } = offer.content else { return Err(EvidenceError::Part) };
        let (node, dossier, epoch) = (offer.from, offer.dossier, offer.epoch);
        return Ok(SignedHead { node, dossier, epoch, length: count, head });
    }
    let statement = statement(keys, bytes)?;
    let (epoch, length, head) = match statement.body {
        Body::Receipt(receipt) => receipt.state.ok_or(EvidenceError::Part)?,
        Body::Seal(seal) => (seal.epoch, seal.count, seal.head),
        _ => return Err(EvidenceError::Part),
    };
    Ok(SignedHead { node: statement.common.issuer, dossier: statement.common.dossier, epoch, length, head })
}

#[cfg(test)]
mod tests;
