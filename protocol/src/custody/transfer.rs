//! One transfer at one node: its two ends, where it stands, what is known of the dossier.

use super::{OFFER_ROUNDS_MAX, TRANSFER_SECONDS_MAX};
use crate::day::UnixTime;
use crate::id::{ChainHead, DossierId, StatementId, TransferId};
use crate::minutes::Minutes;
use crate::name::NodeName;

/// Which end of the transfer this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Old custodian.
    Giving = 1,
    /// New custodian.
    Taking = 2,
}

/// Where a transfer stands; the words operators see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Asked for, waits for an offer or for a clerk.
    Requested = 1,
    /// Offered, waits for the copy.
    Offered = 2,
    /// Copying, `have` of `count`.
    Copying = 3,
    /// The copy is being checked.
    Checking = 4,
    /// Copied and checked; waits for the seal.
    Accepted = 5,
    /// Sealed; the old node owes the release until done.
    Sealed = 6,
    /// Custody moved.
    Completed = 7,
    /// Ended before the seal.
    Cancelled = 8,
    /// A person must look; `reason` says why.
    Attention = 9,
}

impl Stage {
    /// Stable word.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Requested => "requested",
            Stage::Offered => "offered",
            Stage::Copying => "copying",
            Stage::Checking => "checking",
            Stage::Accepted => "accepted",
            Stage::Sealed => "sealed",
            Stage::Completed => "completed",
            Stage::Cancelled => "cancelled",
            Stage::Attention => "needs-attention",
        }
    }

    /// Whether nothing more happens by itself.
    pub fn ended(self) -> bool {
        matches!(self, Stage::Completed | Stage::Cancelled)
    }
}

/// One transfer at one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Id.
    pub id: TransferId,
    /// Dossier.
    pub dossier: DossierId,
    /// This node's end.
    pub side: Side,
    /// The other node.
    pub peer: NodeName,
    /// Epoch that the seal ends.
    pub epoch: u64,
    /// Stage.
    pub stage: Stage,
    /// Head offered or copied.
    pub head: ChainHead,
    /// Statements up to it.
    pub count: u64,
    /// Minutes there.
    pub minutes: Minutes,
    /// Statements staged so far (taking side).
    pub have: u64,
    /// Offers made.
    pub rounds: u64,
    /// When it began.
    pub started: UnixTime,
    /// When it ends by itself if not sealed.
    pub expires: UnixTime,
    /// Reason code of a cancel or of the attention asked.
    pub reason: Option<String>,
    /// The seal.
    pub seal: Option<StatementId>,
    /// SHA-256 of the authorisation's code.
    pub code_hash: [u8; 32],
    /// When the old node destroys what it did not sign.
    pub purge_at: Option<UnixTime>,
    /// Issuers that could not be asked for voids.
    pub unasked: Vec<NodeName>,
}

impl Transfer {
    /// A transfer that begins now, of which nothing but its two ends is known.
    pub fn new(id: TransferId, dossier: DossierId, side: Side, peer: NodeName, now: UnixTime) -> Self {
        Self {
            id,
            dossier,
            side,
            peer,
            epoch: 0,
            stage: Stage::Requested,
            head: ChainHead([0; 32]),
            count: 0,
            minutes: Minutes(0),
            have: 0,
            rounds: 0,
            started: now,
            expires: UnixTime(now.0.saturating_add(TRANSFER_SECONDS_MAX)),
            reason: None,
            seal: None,
            code_hash: [0; 32],
            purge_at: None,
            unasked: Vec::new(),
        }
    }

    /// Whether local appends must wait until the seal or a cancel.
    pub fn queues_appends(&self) -> bool {
        self.side == Side::Giving && self.stage == Stage::Offered && self.rounds > OFFER_ROUNDS_MAX
    }
}
