//! Audit of a log: a state machine that is fed every entry in order and every checkpoint seen.
//!
//! In: entry bytes, and checkpoints from anywhere (tiles, gossip, receipts, witnesses) whose log
//! signature the caller has checked. Out: for each entry what it is, and at the end a [`Report`].
//! Each checkpoint is compared with the root at its size; two that do not lie on one history cannot
//! both agree. What a checkpoint says must be known before the entries pass its size, for only the
//! right edge of the tree is kept. Memory does not grow with the log but for the nullifiers (40
//! bytes a seal). The state can be stored between any two entries and read again.

mod codec;

use std::collections::BTreeMap;

use super::checkpoint::Checkpoint;
use super::entry::Entry;
use super::merkle::{Frontier, Hash, MerkleError};

pub use codec::STATE_BYTES_MAX;

/// Most checkpoints that wait for their size: a checkpoint a minute for a month and a half. Feed the
/// rest when the entries have passed some.
pub const PENDING_MAX: usize = 65_536;

/// Most findings that are kept in words; more are counted.
pub const FINDINGS_MAX: usize = 1_000;

/// Something that the operator must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A signed checkpoint has another root than the entries give: the log was rewritten, or these
    /// are not its entries.
    OtherRoot {
        /// Entries.
        size: u64,
        /// Root that was signed.
        signed: Hash,
        /// Root of the entries.
        computed: Hash,
    },
    /// A nullifier was seen before: custody of one dossier and epoch given away twice, or one seal
    /// logged twice. An alarm; the seals themselves are the evidence.
    RepeatedNullifier {
        /// Index of the first.
        first: u64,
        /// Index of this one.
        again: u64,
    },
    /// An entry of a known kind in another shape, or no entry at all.
    Malformed {
        /// Its index.
        index: u64,
    },
}

/// What one entry was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its index.
    pub index: u64,
    /// The entry, when it can be read: the caller compares it with the dossiers it holds.
    pub entry: Option<Entry>,
    /// Index of an earlier entry with the same nullifier.
    pub repeats: Option<u64>,
    /// A checkpoint of the size after it disagrees.
    pub other_root: bool,
}

/// Why an audit cannot take something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// A checkpoint of another log.
    #[error("the checkpoint is of another log")]
    OtherOrigin,
    /// A checkpoint of a size that the entries have passed; begin again with it known.
    #[error("the entries have passed the size of this checkpoint")]
    Passed,
    /// [`PENDING_MAX`] checkpoints wait.
    #[error("too many checkpoints wait for their entries")]
    Pending,
    /// The tree cannot grow.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// Stored state that this version did not write.
    #[error("the stored state of the audit is damaged")]
    Damaged,
}

impl AuditError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::OtherOrigin => "audit-other-origin",
            Self::Passed => "audit-passed",
            Self::Pending => "audit-pending",
            Self::Merkle(error) => error.code(),
            Self::Damaged => "audit-damaged",
        }
    }
}

/// Counters of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Entries of each kind, 1 to 5, in order.
    pub kinds: [u64; 5],
    /// Entries of a kind that is unknown here.
    pub unknown: u64,
    /// Entries that cannot be read.
    pub malformed: u64,
    /// Repeated nullifiers.
    pub repeated: u64,
    /// Checkpoints that agree with the entries.
    pub agreed: u64,
    /// Those of them that the caller found cosigned by the quorum.
    pub witnessed: u64,
    /// Checkpoints that disagree.
    pub other_roots: u64,
}

/// The outcome so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The log.
    pub origin: String,
    /// Entries read.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Counters.
    pub counts: Counts,
    /// Size of the largest checkpoint that agreed; what lies behind it nobody has signed for.
    pub confirmed: u64,
    /// Checkpoints whose size the entries did not reach.
    pub unreached: usize,
    /// Findings in order, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing was found: every checkpoint agreed, no alarm, nothing unreadable, and the
    /// entries reached every checkpoint. An unknown kind is no finding.
    pub fn is_clean(&self) -> bool {
        let Counts { malformed, repeated, other_roots, .. } = self.counts;
        malformed == 0 && repeated == 0 && other_roots == 0 && self.unreached == 0
    }
}

/// A running audit of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    origin: String,
    frontier: Frontier,
    counts: Counts,
    confirmed: u64,
    /// First index of each nullifier.
    nullifiers: BTreeMap<[u8; 32], u64>,
    /// Root and whether a quorum cosigned it, by size; two roots of one size are both kept.
    pending: BTreeMap<(u64, Hash), bool>,
    findings: Vec<Finding>,
}

impl Audit {
    /// Begins with an empty log.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            frontier: Frontier::new(),
            counts: Counts::default(),
            confirmed: 0,
            nullifiers: BTreeMap::new(),
            pending: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    /// Entries read.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Adds a checkpoint whose log signature was verified; `witnessed` when its cosignatures
    /// satisfy the quorum. One of the present size is judged at once. The same one again changes
    /// nothing while it waits, but for being witnessed.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint, witnessed: bool) -> Result<(), AuditError> {
        if checkpoint.origin != self.origin {
            return Err(AuditError::OtherOrigin);
        }
        if checkpoint.size < self.size() {
            return Err(AuditError::Passed);
        }
        let key = (checkpoint.size, checkpoint.root);
        if self.pending.len() >= PENDING_MAX && !self.pending.contains_key(&key) {
            return Err(AuditError::Pending);
        }
        *self.pending.entry(key).or_default() |= witnessed;
        self.settle();
        Ok(())
    }

    /// Reads the next entry.
    pub fn entry(&mut self, bytes: &[u8]) -> Result<Step, AuditError> {
        let index = self.frontier.append(bytes)?;
        let entry = Entry::decode(bytes).ok();
        let mut repeats = None;
        match entry {
            None => {
                self.counts.malformed += 1;
                self.find(Finding::Malformed { index });
            }
            Some(Entry::Unknown(_)) => self.counts.unknown += 1,
            Some(known) => self.counts.kinds[known.kind() as usize - 1] += 1,
        }
        if let Some(Entry::Custody { nullifier, .. }) = entry {
            let first = *self.nullifiers.entry(nullifier).or_insert(index);
            if first != index {
                repeats = Some(first);
                self.counts.repeated += 1;
                self.find(Finding::RepeatedNullifier { first, again: index });
            }
        }
        let other_root = self.settle();
        Ok(Step { index, entry, repeats, other_root })
    }

    /// Judges the checkpoints of the present size; true when one disagrees.
    fn settle(&mut self) -> bool {
        let size = self.size();
        if self.pending.first_key_value().is_none_or(|((waiting, _), _)| *waiting != size) {
            return false;
        }
        let computed = self.frontier.root();
        let mut disagrees = false;
        while let Some(first) = self.pending.first_entry().filter(|first| first.key().0 == size) {
            let ((_, signed), witnessed) = first.remove_entry();
            if signed == computed {
                self.confirmed = size;
                self.counts.agreed += 1;
                self.counts.witnessed += u64::from(witnessed);
            } else {
                disagrees = true;
                self.counts.other_roots += 1;
                self.find(Finding::OtherRoot { size, signed, computed });
            }
        }
        disagrees
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// The outcome so far.
    pub fn report(&self) -> Report {
        Report {
            origin: self.origin.clone(),
            size: self.size(),
            root: self.frontier.root(),
            counts: self.counts,
            confirmed: self.confirmed,
            unreached: self.pending.len(),
            findings: self.findings.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
