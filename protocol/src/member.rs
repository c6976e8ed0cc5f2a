//! The nodes one node knows: its own card, the peers it has accepted, and the members of the roster.
//!
//! A peer that was removed keeps its card here with a closing date, so that what it signed before can
//! still be checked. For a member of the roster the roster's keys, windows, compromises and states
//! count, whatever card was exchanged; everybody else is *bilateral* and judged by the pinned card.

pub mod quorum;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::card::SignedCard;
use crate::day::UnixTime;
use crate::key::{KeyEntry, KeyId, Role};
use crate::name::NodeName;
use crate::roster::{Chain, KeyRef, LastCheckpoint, SignedTime, State, Verdict};
use crate::statement::{Statement, StatementError};

/// A known node.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its pinned card, or the one in the roster.
    pub card: SignedCard,
    /// Peering ended at this moment: nothing first received later is accepted.
    pub removed_at: Option<UnixTime>,
}

/// Why a node is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The stewards list it.
    Roster,
    /// Two offices exchanged cards; shown in every result (DESIGN §4).
    Bilateral,
}

impl Standing {
    /// Stable lower-case word.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Roster => "roster",
            Standing::Bilateral => "bilateral",
        }
    }
}

/// Own card, peers and members of the roster, by name.
#[derive(Debug, Clone, Default)]
pub struct Members {
    known: BTreeMap<NodeName, Member>,
    roster: Option<Arc<Chain>>,
}

impl Members {
    /// Adds or replaces a member.
    pub fn insert(&mut self, member: Member) {
        self.known.insert(member.card.card.name.clone(), member);
    }

    /// Takes over the roster: its members are known without an exchange of cards, its keys count. A peer
    /// that the operator removed stays removed.
    pub fn set_roster(&mut self, roster: Arc<Chain>) {
        for node in &roster.newest().roster().nodes {
            // Members that only an expired version brought are no members yet.
            let counts = node.keys().first().is_some_and(|key| roster.counts(node.name(), key));
            if counts && !self.known.contains_key(node.name()) {
                self.insert(Member { card: node.card.as_ref().clone(), removed_at: None });
            }
        }
        self.roster = Some(roster);
    }

    /// The roster, where there is one.
    pub fn roster(&self) -> Option<&Arc<Chain>> {
        self.roster.as_ref()
    }

    /// A member by name.
    pub fn get(&self, name: &NodeName) -> Option<&Member> {
        self.known.get(name)
    }

    /// Why a node is known; `None` when it is not.
    pub fn standing(&self, name: &NodeName) -> Option<Standing> {
        self.known.get(name)?;
        Some(if self.listed(name).is_some() { Standing::Roster } else { Standing::Bilateral })
    }

    /// The roster, when it lists this node in a version that had not expired when it came.
    fn listed(&self, name: &NodeName) -> Option<&Arc<Chain>> {
        let roster = self.roster.as_ref()?;
        let node = roster.node(name)?;
        node.keys().first().is_some_and(|key| roster.counts(name, key)).then_some(roster)
    }

    /// Whether `name` is known and peering with it has not been ended here. What the roster says of it
    /// is asked with [`Members::admits`].
    pub fn is_active(&self, name: &NodeName) -> bool {
        self.get(name).is_some_and(|m| m.removed_at.is_none())
    }

    /// What the roster says of `name` at `at`; a bilateral peer is good, a node nobody knows is not.
    pub fn state(&self, name: &NodeName, at: UnixTime) -> Verdict {
        match (self.listed(name), self.get(name)) {
            (Some(roster), _) => roster.node_verdict(name, at),
            (None, Some(_)) => Verdict::Good,
            (None, None) => Verdict::UnknownNode,
        }
    }

    /// Who acts for a member that is gone, and up to where its log counts; none unless the roster says so
    /// of `at`.
    pub fn succession(&self, gone: &NodeName, at: UnixTime) -> Option<(&NodeName, Option<&LastCheckpoint>)> {
        match &self.listed(gone)?.node(gone)?.state_at(at)?.state {
            State::Succeeded { by, checkpoint } => Some((by, checkpoint.as_ref())),
            _ => None,
        }
    }

    /// Whether something of `name` may be accepted at `at`: it is known, was not removed here, and is not
    /// suspended, withdrawn or succeeded.
    pub fn admits(&self, name: &NodeName, at: UnixTime) -> bool {
        self.is_active(name) && self.state(name, at) == Verdict::Good
    }

    /// All members in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.known.values()
    }

    /// Keys of `name` in `role` that count for a signature made at `at`: its window holds `at`, and for a
    /// member of the roster it was not compromised and its node an active member by then.
    pub fn keys<'a>(
        &'a self,
        name: &NodeName,
        role: Role,
        at: UnixTime,
    ) -> impl Iterator<Item = &'a KeyEntry> + use<'a> {
        let listed = self.listed(name);
        let card = if listed.is_some() { None } else { self.known.get(name) };
        let pinned = card.into_iter().flat_map(move |m| m.card.card.keys_of(role));
        let good = listed.map(|roster| roster.good_keys(name, role, at));
        good.into_iter().flatten().chain(pinned.filter(move |key| key.valid_at(at)))
    }

    /// Every key of `name` in `role` whose window began by `at`, but for those compromised by then.
    pub fn keys_ever<'a>(
        &'a self,
        name: &NodeName,
        role: Role,
        at: UnixTime,
    ) -> impl Iterator<Item = &'a KeyEntry> + use<'a> {
        let listed = self.listed(name);
        let card = if listed.is_some() { None } else { self.known.get(name) };
        let pinned = card.into_iter().flat_map(move |m| m.card.card.keys_of(role));
        let ever = listed.map(|roster| roster.keys_ever(name, role, at));
        ever.into_iter().flatten().chain(pinned.filter(move |key| key.not_before <= at))
    }

    /// Every key of `name` in `role`, whatever its window and whatever became of it: to say by whom
    /// something is, before it is said what that is worth.
    pub fn keys_known<'a>(
        &'a self,
        name: &NodeName,
        role: Role,
    ) -> impl Iterator<Item = &'a KeyEntry> + use<'a> {
        let listed = self.listed(name).and_then(|roster| roster.node(name));
        let card = if listed.is_some() { None } else { self.known.get(name) };
        let pinned = card.into_iter().flat_map(move |m| m.card.card.keys_of(role));
        listed.into_iter().flat_map(move |node| node.keys_of(role)).chain(pinned)
    }

    /// What the key `kid` of `name` in `role` was worth for a signature made at `time`.
    pub fn verdict(&self, name: &NodeName, role: Role, kid: KeyId, time: SignedTime) -> Verdict {
        if let Some(roster) = self.listed(name) {
            return roster.verdict(name, role, KeyRef::Id(kid), time);
        }
        let Some(member) = self.get(name) else { return Verdict::UnknownNode };
        let mut keys = member.card.card.keys_of(role).filter(|key| key.kid() == kid).peekable();
        if keys.peek().is_none() {
            Verdict::UnknownKey
        } else if keys.any(|key| key.valid_at(time.at())) {
            Verdict::Good
        } else {
            Verdict::OutsideWindow
        }
    }

    /// Parses a statement and checks its signature with the issuer's statement keys valid at `at`,
    /// the time this node first received it.
    pub fn verify(&self, bytes: &[u8], at: UnixTime, trial: bool) -> Result<Statement, StatementError> {
        let statement = Statement::parse(bytes)?;
        if statement.common.trial != trial {
            return Err(StatementError::Trial);
        }
        let issuer = &statement.common.issuer;
        match statement.verify(self.keys(issuer, Role::Statement, at)) {
            Ok(_) => Ok(statement),
            Err(error) => Err(self.genuine(&statement, at).map_or(error, StatementError::Key)),
        }
    }

    /// What stands against a statement whose signature is right: its key did not count at `at`.
    fn genuine(&self, statement: &Statement, at: UnixTime) -> Option<Verdict> {
        let issuer = &statement.common.issuer;
        let key = statement.verify(self.keys_known(issuer, Role::Statement)).ok()?;
        let verdict = self.verdict(issuer, Role::Statement, key.kid(), SignedTime::Received(at));
        (verdict != Verdict::Good).then_some(verdict)
    }
}
