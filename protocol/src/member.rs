//! The nodes one node knows: its own card and the peers it has accepted.
//!
//! Until the roster exists this is the only source of keys. A peer that was removed keeps its
//! card here with a closing date, so that what it signed before can still be checked.

use std::collections::BTreeMap;

use crate::card::SignedCard;
use crate::day::UnixTime;
use crate::key::{KeyEntry, Role};
use crate::name::NodeName;
use crate::statement::{Statement, StatementError};

/// A known node.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its pinned card.
    pub card: SignedCard,
    /// Peering ended at this moment: nothing first received later is accepted.
    pub removed_at: Option<UnixTime>,
}

/// Own card and peers, by name.
#[derive(Debug, Clone, Default)]
pub struct Members(BTreeMap<NodeName, Member>);

impl Members {
    /// Adds or replaces a member.
    pub fn insert(&mut self, member: Member) {
        self.0.insert(member.card.card.name.clone(), member);
    }

    /// A member by name.
    pub fn get(&self, name: &NodeName) -> Option<&Member> {
        self.0.get(name)
    }

    /// Whether `name` is a member now.
    pub fn is_active(&self, name: &NodeName) -> bool {
        self.get(name).is_some_and(|m| m.removed_at.is_none())
    }

    /// All members in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.values()
    }

    /// Keys of `name` in `role` whose window holds `at`.
    pub fn keys<'a>(
        &'a self,
        name: &NodeName,
        role: Role,
        at: UnixTime,
    ) -> impl Iterator<Item = &'a KeyEntry> {
        self.0
            .get(name)
            .into_iter()
            .flat_map(move |m| m.card.card.keys_of(role))
            .filter(move |k| k.valid_at(at))
    }

    /// Parses a statement and checks its signature with the issuer's statement keys valid at `at`,
    /// the time this node first received it.
    pub fn verify(&self, bytes: &[u8], at: UnixTime, trial: bool) -> Result<Statement, StatementError> {
        let statement = Statement::parse(bytes)?;
        if statement.common.trial != trial {
            return Err(StatementError::Trial);
        }
        statement.verify(self.keys(&statement.common.issuer, Role::Statement, at))?;
        Ok(statement)
    }
}
