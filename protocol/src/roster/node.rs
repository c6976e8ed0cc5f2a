//! One member in the roster: its own signed card, and what the stewards add to it.
//!
//! Name, titles, division, kind, keys with windows, addresses and contact are what the node itself
//! signed on its card; the stewards vouch for the card and add page, witnesses, states and compromises.

use std::sync::Arc;

use crate::card::SignedCard;
use crate::day::UnixTime;
use crate::key::{KeyEntry, Role};
use crate::name::NodeName;

/// Which witnesses must cosign a node's log: k of a fixed list (DESIGN §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPolicy {
    /// Name of the policy, so that people can say by which one they verify.
    pub name: String,
    /// Witness nodes, in order of name; the owner is never among them.
    pub witnesses: Vec<NodeName>,
    /// Cosignatures wanted; more than half of the witnesses.
    pub k: u64,
}

/// The last checkpoint of a log that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// Origin of the log: node name `/` generation.
    pub origin: String,
    /// Entries that count.
    pub size: u64,
    /// Root hash at that size: two histories of one length differ in it.
    pub root: [u8; 32],
}

/// What a member may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A full member.
    Active,
    /// What it signs is not accepted until it is active again.
    Suspended,
    /// It left.
    Withdrawn,
    /// Another node acts for it (合并, 撤销).
    Succeeded {
        /// Who.
        by: NodeName,
        /// Up to where its log counts; none when it had no log.
        checkpoint: Option<LastCheckpoint>,
    },
}

impl State {
    /// Stable lower-case word.
    pub fn word(&self) -> &'static str {
        match self {
            State::Active => "active",
            State::Suspended => "suspended",
            State::Withdrawn => "withdrawn",
            State::Succeeded { .. } => "succeeded",
        }
    }
}

/// A state and the moment it begins; it ends where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEntry {
    /// State.
    pub state: State,
    /// First moment.
    pub from: UnixTime,
}

/// A member of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterNode {
    /// Its card, as it signed it.
    pub card: Arc<SignedCard>,
    /// Page of its proofs and log.
    pub page: Option<String>,
    /// Witnesses of its log.
    pub log: Option<LogPolicy>,
    /// All its states, the first one active, in order of time.
    pub states: Vec<StateEntry>,
    /// Keys that somebody else may have had: public key and since when, in order of key.
    pub compromised: Vec<([u8; 32], UnixTime)>,
}

impl RosterNode {
    /// A member that joins at `from`.
    pub fn joining(card: SignedCard, from: UnixTime) -> Self {
        let states = vec![StateEntry { state: State::Active, from }];
        Self { card: Arc::new(card), page: None, log: None, states, compromised: Vec::new() }
    }

    /// Its name.
    pub fn name(&self) -> &NodeName {
        &self.card.card.name
    }

    /// All its keys of all time.
    pub fn keys(&self) -> &[KeyEntry] {
        &self.card.card.keys
    }

    /// Keys of one role.
    pub fn keys_of(&self, role: Role) -> impl Iterator<Item = &KeyEntry> {
        self.card.card.keys_of(role)
    }

    /// Since when a key may have been in other hands.
    pub fn compromised_from(&self, public: &[u8; 32]) -> Option<UnixTime> {
        self.compromised.iter().find(|(key, _)| key == public).map(|(_, from)| *from)
    }

    /// The state at `at`; none before it joined.
    pub fn state_at(&self, at: UnixTime) -> Option<&StateEntry> {
        self.states.iter().rev().find(|entry| entry.from <= at)
    }

    /// Whether it is an active member at `at`.
    pub fn active_at(&self, at: UnixTime) -> bool {
        self.state_at(at).is_some_and(|entry| entry.state == State::Active)
    }

    /// When it was no active member: before it joined, while suspended, since it left. From the first moment
    /// to the one at which it was active again.
    pub fn away(&self) -> Vec<(UnixTime, Option<UnixTime>)> {
        let mut spans = Vec::new();
        let mut since = Some(UnixTime(i64::MIN));
        for entry in &self.states {
            match (entry.state == State::Active, since) {
                (true, Some(from)) => {
                    spans.push((from, Some(entry.from)));
                    since = None;
                }
                (false, None) => since = Some(entry.from),
                _ => {}
            }
        }
        spans.extend(since.map(|from| (from, None)));
        spans
    }

    /// The keys of a role that count at `at`: in their window, not compromised by then, of an active
    /// member.
    pub fn good_keys(&self, role: Role, at: UnixTime) -> impl Iterator<Item = &KeyEntry> {
        let active = self.active_at(at);
        self.keys_of(role).filter(move |key| {
            active && key.valid_at(at) && self.compromised_from(&key.public).is_none_or(|from| at < from)
        })
    }
}
