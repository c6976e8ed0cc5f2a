//! The roster (名册): who is a member, with keys, state and witnesses, signed by k of n stewards.
//!
//! In: signed versions as they come from a file or a peer. Out: a [`Chain`] of adopted versions that
//! says whose key counted when. A version is a COSE_Sign over deterministic CBOR; version N+1 counts
//! only with thresholds of N *and* of N+1 (TUF's rule). What always holds: history grows. A node, key,
//! state or compromise that one version names stands in every later one, so that the newest version
//! alone can judge a signature of any time ([`step`] says exactly what may change).

mod chain;
mod check;
mod codec;
mod diff;
pub mod key_change;
mod node;
pub mod step;
mod verdict;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::card::{CardError, digit_groups};
use crate::cbor::CborError;
use crate::cose::CoseError;
use crate::day::UnixTime;
use crate::key::{KeyEntry, KeyId, Role};
use crate::log::policy::POLICY_NAME_BYTES_MAX;
use crate::name::NodeName;

pub use chain::{
    Adopted, Adoption, CHAIN_BYTES_MAX, Chain, Freshness, Update, WARN_DAYS, read_chain, write_chain,
};
pub use codec::SignedRoster;
pub use diff::{Change, diff};
pub use node::{LastCheckpoint, LogPolicy, RosterNode, State, StateEntry};
pub use verdict::{KeyRef, SignedTime, Verdict};

/// Largest version in bytes: about 300 nodes with their keys of twenty years; it must pass in one
/// answer of the wire (1 MiB) with room, and be read before anything in it is believed.
pub const ROSTER_BYTES_MAX: usize = 256 * 1024;
/// Most nodes in a roster: 16 prefectures, their counties and organizations, with room; the peers a node
/// may have ([`ROSTER_BYTES_MAX`] is reached earlier with many keys).
pub const NODES_MAX: usize = 512;
/// Most stewards: a province, its prefectures' offices and a few; each must be reached for a signature.
pub const STEWARDS_MAX: usize = 16;
/// Most signatures on one version: all stewards of it and all of the one before.
pub const SIGNATURES_MAX: usize = 2 * STEWARDS_MAX;
/// Most versions taken in one update (PROOFS §4.3): a version each day for almost three years; more is
/// somebody wasting this node's time.
pub const STEPS_MAX: usize = 1_024;
/// Highest version number: one each hour for more than a hundred years. A number near the end of its
/// range would be the last one.
pub const VERSION_MAX: u64 = 1 << 20;
/// Most witnesses of one log; each must be asked for a cosignature before a move.
pub const WITNESSES_MAX: usize = crate::log::policy::WITNESSES_MAX;
/// Most states of one node in all its history: suspended and let in again a few times.
pub const STATES_MAX: usize = 32;
/// Longest page URL, steward name or policy name in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Furthest in the future a version may be dated, in seconds (DESIGN §4, a signature's time).
pub const FUTURE_SECONDS_MAX: i64 = crate::message::FUTURE_SECONDS_MAX;

/// A holder of one of the keys that sign the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steward {
    /// Name of the office that holds the key; never a person's.
    pub name: String,
    /// Its Ed25519 key. The entry has no window: a steward counts as long as a version lists it.
    key: KeyEntry,
}

impl Steward {
    /// Wraps a public key; one that is no sound Ed25519 key is refused.
    pub fn new(name: String, public: [u8; 32]) -> Result<Self, CborError> {
        // The role is never looked at: a roster signature is bound to its own typ and external_aad.
        let key = KeyEntry::new(Role::Recovery, public, UnixTime(i64::MIN), None)?;
        Ok(Self { name, key })
    }

    /// Raw public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.key.public
    }

    /// Key id, as it stands beside a signature.
    pub fn kid(&self) -> KeyId {
        self.key.kid()
    }

    /// Key to verify with.
    pub fn key(&self) -> &KeyEntry {
        &self.key
    }
}

/// Content of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// Version, from 1.
    pub version: u64,
    /// Hash of the version before ([`SignedRoster::hash`]); none for version 1.
    pub previous: Option<[u8; 32]>,
    /// When it was made.
    pub issued: UnixTime,
    /// When it degrades; never a wall (DESIGN §4).
    pub expires: UnixTime,
    /// Stewards that must sign.
    pub threshold: u64,
    /// Stewards, in order of their public keys.
    pub stewards: Vec<Steward>,
    /// Members of all time, in order of name.
    pub nodes: Vec<Arc<RosterNode>>,
    /// A trial roster (试用): read by trial homes only.
    pub trial: bool,
}

impl Roster {
    /// A node by name.
    pub fn node(&self, name: &NodeName) -> Option<&RosterNode> {
        let at = self.nodes.binary_search_by(|n| n.name().cmp(name)).ok()?;
        Some(&self.nodes[at])
    }

    /// Fingerprint over threshold and steward keys: eight groups of four digits. A home pins the one of
    /// version 1; whoever reads it out vouches for everything that follows.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new()
            .chain_update(b"yunling/roster-fingerprint/1")
            .chain_update(self.threshold.to_be_bytes());
        for steward in &self.stewards {
            hasher.update(steward.public());
        }
        digit_groups(&hasher.finalize().into())
    }
}

/// Why a version was refused. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The CBOR rules.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The envelope.
    #[error(transparent)]
    Cose(CoseError),
    /// A node's card.
    #[error("card in the roster: {0}")]
    Card(#[from] CardError),
    /// A list is not in its order, or names something twice.
    #[error("{0} are out of order or stand twice")]
    Order(&'static str),
    /// The threshold is none, or above the number of stewards.
    #[error("{k} of {n} stewards is not a threshold")]
    Threshold {
        /// Signatures wanted.
        k: u64,
        /// Stewards.
        n: usize,
    },
    /// One steward key is listed twice, so that one holder would count as two.
    #[error("a steward's key is listed twice")]
    StewardTwice,
    /// One public key in two roles, at two nodes, or of a steward.
    #[error("a key of {0} is listed for two roles, nodes or stewards")]
    KeyShared(NodeName),
    /// It expires before it is issued.
    #[error("the roster expires before it is issued")]
    Expires,
    /// Version number is 0 or over [`VERSION_MAX`], or version 1 names one before (or another does not).
    #[error("the version number and the hash of the version before do not fit")]
    Version,
    /// Trial and real are mixed: roster and card, two versions, or roster and home.
    #[error("trial and real rosters, nodes or homes are mixed")]
    Trial,
    /// The witnesses of a log: unknown, the owner itself, or not 2k > n.
    #[error("log policy of {0}: {1}")]
    LogPolicy(NodeName, &'static str),
    /// The name of a log's policy is one that no verdict shows.
    #[error("the log policy of {0} needs a name of 1 to {POLICY_NAME_BYTES_MAX} bytes")]
    PolicyName(NodeName),
    /// A node's states do not follow one another.
    #[error("state of {0}: {1}")]
    State(NodeName, &'static str),
    /// A compromise of a key that the node does not have.
    #[error("{0} has no such key to be compromised")]
    NoSuchKey(NodeName),
    /// The version that follows was expected.
    #[error("version {given} was given, version {have} is held: those between are missing")]
    Skipped {
        /// Newest version held.
        have: u64,
        /// Version given.
        given: u64,
    },
    /// The hash of the version before is not that of the held one.
    #[error("version {0} does not follow the version held here")]
    Previous(u64),
    /// Dated before the version before.
    #[error("version {0} is dated before the version before it")]
    IssuedEarlier(u64),
    /// Dated in the future.
    #[error("version {0} is dated in the future: compare the clocks")]
    FromFuture(u64),
    /// Too few stewards of the version before have signed.
    #[error("{have} of the {need} stewards wanted by the version before have signed")]
    ThresholdBefore {
        /// Signed.
        have: u64,
        /// Wanted.
        need: u64,
    },
    /// Too few stewards of this version have signed.
    #[error("{have} of the {need} stewards wanted by this version have signed")]
    ThresholdOwn {
        /// Signed.
        have: u64,
        /// Wanted.
        need: u64,
    },
    /// A signature by nobody who is a steward of this version or the one before.
    #[error("a signature is by no steward of this version or the one before")]
    SignerUnknown,
    /// A steward's signature does not verify: the roster was changed.
    #[error("a steward's signature does not verify: the roster was changed or damaged")]
    Signature,
    /// A node of the version before is gone.
    #[error("{0} is no longer listed: history is never deleted")]
    NodeGone(NodeName),
    /// A key of the version before is gone.
    #[error("a {1} key of {0} is no longer listed: keys are never deleted")]
    KeyGone(NodeName, &'static str),
    /// A window was changed in a way that judges the past anew.
    #[error("the window of a {1} key of {0} was changed backwards")]
    Window(NodeName, &'static str),
    /// A compromise was taken back or moved to a later time.
    #[error("the compromise of a {1} key of {0} was taken back")]
    CompromiseTaken(NodeName, &'static str),
    /// States of the version before are gone or changed.
    #[error("states of {0} are gone or changed: they are only added")]
    StateGone(NodeName),
    /// A node's card is older than the one before.
    #[error("the card of {0} is older than the one listed before")]
    CardOlder(NodeName),
    /// More than [`STEPS_MAX`] versions at once.
    #[error("{0} versions at once are more than {STEPS_MAX}")]
    Steps(usize),
    /// A chain must begin with version 1.
    #[error("version {0} cannot be the first one: all from version 1 on are needed")]
    NotFirst(u64),
    /// The first version has other stewards than those pinned.
    #[error("the roster's stewards are not the pinned ones: fingerprint {given}, pinned {pinned}")]
    Pin {
        /// Fingerprint of the version given.
        given: String,
        /// Fingerprint pinned here.
        pinned: String,
    },
    /// Two rosters of one version, both signed by the stewards: evidence, keep both.
    #[error("two different rosters of version {version} are both signed by the stewards")]
    Fork {
        /// The version.
        version: u64,
        /// Hash of the one held.
        held: [u8; 32],
        /// Hash of the one given.
        given: [u8; 32],
    },
}

impl From<CoseError> for RosterError {
    fn from(error: CoseError) -> Self {
        match error {
            CoseError::Cbor(error) => Self::Cbor(error),
            CoseError::NoKey => Self::SignerUnknown,
            CoseError::BadSignature => Self::Signature,
            other => Self::Cose(other),
        }
    }
}

impl RosterError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cbor(_) | Self::Cose(_) | Self::Order(_) => "roster-encoding",
            Self::Card(_) => "roster-card",
            Self::Threshold { .. } => "roster-threshold",
            Self::StewardTwice => "roster-steward-twice",
            Self::KeyShared(_) => "roster-key-shared",
            Self::Expires => "roster-expires",
            Self::Version => "roster-version",
            Self::Trial => "roster-trial",
            Self::LogPolicy(..) => "roster-log-policy",
            Self::PolicyName(_) => "roster-policy-name",
            Self::State(..) => "roster-state",
            Self::NoSuchKey(_) => "roster-no-such-key",
            Self::Skipped { .. } => "roster-skipped",
            Self::Previous(_) => "roster-previous",
            Self::IssuedEarlier(_) => "roster-issued-earlier",
            Self::FromFuture(_) => "roster-from-future",
            Self::ThresholdBefore { .. } => "roster-threshold-before",
            Self::ThresholdOwn { .. } => "roster-threshold-own",
            Self::SignerUnknown => "roster-signer-unknown",
            Self::Signature => "roster-signature",
            Self::NodeGone(_) => "roster-node-gone",
            Self::KeyGone(..) => "roster-key-gone",
            Self::Window(..) => "roster-window",
            Self::CompromiseTaken(..) => "roster-compromise-taken",
            Self::StateGone(_) => "roster-state-gone",
            Self::CardOlder(_) => "roster-card-older",
            Self::Steps(_) => "roster-steps",
            Self::NotFirst(_) => "roster-not-first",
            Self::Pin { .. } => "roster-pin",
            Self::Fork { .. } => "roster-fork",
        }
    }
}
