//! Whose key counted when.
//!
//! The newest version answers for every time, since history only grows ([`super::step`]): what a
//! signature was worth by the roster of its time is still written in it, and compromises that became
//! known later count for the past too.

use super::{Chain, RosterNode, State};
use crate::day::UnixTime;
use crate::key::{KeyEntry, KeyId, Role};
use crate::name::NodeName;

/// When a signature was made, as far as anybody can prove it (DESIGN §4); never a date inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedTime {
    /// The quorum's cosignature on a checkpoint that includes it.
    Cosigned(UnixTime),
    /// When the judging node first received it.
    Received(UnixTime),
}

impl SignedTime {
    /// The time that counts.
    pub fn at(self) -> UnixTime {
        match self {
            Self::Cosigned(at) | Self::Received(at) => at,
        }
    }
}

/// Which key of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRef<'a> {
    /// By its id, as it stands in a header; a hint, so all keys with it are tried.
    Id(KeyId),
    /// By its public bytes.
    Public(&'a [u8; 32]),
}

impl KeyRef<'_> {
    fn is(&self, key: &KeyEntry) -> bool {
        match self {
            Self::Id(kid) => key.kid() == *kid,
            Self::Public(public) => key.public == **public,
        }
    }
}

/// What a key was worth at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Good,
    /// The node is not in the roster.
    UnknownNode,
    /// The node has no such key in that role.
    UnknownKey,
    /// Node or key stand only in versions that had expired when they came here.
    RosterExpired,
    /// The key may have been in other hands since.
    Compromised {
        /// Since when.
        from: UnixTime,
    },
    /// Before the node joined, before the key's window or after it.
    OutsideWindow,
    /// The node was suspended.
    Suspended {
        /// Since when.
        from: UnixTime,
    },
    /// The node had left.
    Withdrawn {
        /// Since when.
        from: UnixTime,
    },
    /// Another node acts for it.
    Succeeded {
        /// Since when.
        from: UnixTime,
        /// Who.
        by: NodeName,
    },
}

impl Verdict {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Good => "key-good",
            Self::UnknownNode => "key-unknown-node",
            Self::UnknownKey => "key-unknown",
            Self::RosterExpired => "key-roster-expired",
            Self::Compromised { .. } => "key-compromised",
            Self::OutsideWindow => "key-outside-window",
            Self::Suspended { .. } => "node-suspended",
            Self::Withdrawn { .. } => "node-withdrawn",
            Self::Succeeded { .. } => "node-succeeded",
        }
    }
}

impl Chain {
    /// What a key of `name` in `role` was worth for a signature made at `time`.
    pub fn verdict(&self, name: &NodeName, role: Role, key: KeyRef<'_>, time: SignedTime) -> Verdict {
        let Some(node) = self.node(name) else { return Verdict::UnknownNode };
        let verdicts = node.keys_of(role).filter(|k| key.is(k)).map(|k| self.judge(node, k, time.at()));
        let mut worst = Verdict::UnknownKey;
        for verdict in verdicts {
            if verdict == Verdict::Good {
                return verdict;
            }
            worst = verdict;
        }
        worst
    }

    fn judge(&self, node: &RosterNode, key: &KeyEntry, at: UnixTime) -> Verdict {
        if !self.counts(node.name(), key) {
            return Verdict::RosterExpired;
        }
        if let Some(from) = node.compromised_from(&key.public).filter(|from| at >= *from) {
            return Verdict::Compromised { from };
        }
        match node_verdict(node, at) {
            Verdict::Good if key.valid_at(at) => Verdict::Good,
            Verdict::Good => Verdict::OutsideWindow,
            other => other,
        }
    }

    /// What a member may do at `at`, whatever its keys.
    pub fn node_verdict(&self, name: &NodeName, at: UnixTime) -> Verdict {
        match self.node(name) {
            None => Verdict::UnknownNode,
            Some(_) if self.counted().is_none_or(|roster| roster.node(name).is_none()) => {
                Verdict::RosterExpired
            }
            Some(node) => node_verdict(node, at),
        }
    }

    /// Whether a key came with a version that had not expired then.
    pub fn counts(&self, name: &NodeName, key: &KeyEntry) -> bool {
        let node = self.counted().and_then(|roster| roster.node(name));
        node.is_some_and(|node| node.keys_of(key.role).any(|k| k.public == key.public))
    }

    /// Keys of `name` in `role` that count at `at`.
    pub fn good_keys<'a>(
        &'a self,
        name: &NodeName,
        role: Role,
        at: UnixTime,
    ) -> impl Iterator<Item = &'a KeyEntry> + use<'a> {
        let node = self.node(name).into_iter();
        let good = node.flat_map(move |node| node.good_keys(role, at).map(move |key| (node, key)));
        good.filter(|(node, key)| self.counts(node.name(), key)).map(|(_, key)| key)
    }

    /// Keys of `name` in `role` that ever counted by `at`, but for those compromised by then: they say who
    /// signed something old whose time nobody can prove.
    pub fn keys_ever<'a>(
        &'a self,
        name: &NodeName,
        role: Role,
        at: UnixTime,
    ) -> impl Iterator<Item = &'a KeyEntry> + use<'a> {
        let node = self.node(name).into_iter();
        let all = node.flat_map(move |node| node.keys_of(role).map(move |key| (node, key)));
        let ever = all.filter(move |(node, key)| {
            let whole = node.compromised_from(&key.public).is_none_or(|from| at < from);
            whole && key.not_before <= at && self.counts(node.name(), key)
        });
        ever.map(|(_, key)| key)
    }
}

fn node_verdict(node: &RosterNode, at: UnixTime) -> Verdict {
    let Some(entry) = node.state_at(at) else { return Verdict::OutsideWindow };
    let from = entry.from;
    match &entry.state {
        State::Active => Verdict::Good,
        State::Suspended => Verdict::Suspended { from },
        State::Withdrawn => Verdict::Withdrawn { from },
        State::Succeeded { by, .. } => Verdict::Succeeded { from, by: by.clone() },
    }
}
