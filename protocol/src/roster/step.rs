//! What may change from one version to the next.
//!
//! The moment the version before was issued is the *settled* time: what versions said about earlier
//! times stays as it is, but for compromises and for states that take rights away, which are judgements
//! on the past. In particular
//! - stewards, threshold, expiry, pages, witnesses, titles, divisions, kinds, addresses and contacts may
//!   change freely;
//! - a node stays; a new one joins no earlier than settled;
//! - a key stays, with its role and beginning; a new key of a known node begins no earlier than settled;
//! - the end of a window may come earlier, but not before settled, or later, if it had not passed when
//!   the new version was issued;
//! - a compromise may be added for any time and moved to an earlier time, never taken back;
//! - states are only added; one that gives rights back begins no earlier than settled;
//! - a card may be replaced by a newer one that obeys these rules.

use std::collections::BTreeSet;

use super::{Roster, RosterError, RosterNode, SignedRoster, State};
use crate::day::UnixTime;
use crate::key::KeyEntry;

/// Checks that `next` may follow `before`: number, hash, signatures of both thresholds, and history.
pub fn step(before: &SignedRoster, next: &SignedRoster) -> Result<(), RosterError> {
    let (old, new) = (before.roster(), next.roster());
    if new.version != old.version.saturating_add(1) {
        return Err(RosterError::Skipped { have: old.version, given: new.version });
    }
    if new.previous != Some(before.hash()) {
        return Err(RosterError::Previous(new.version));
    }
    signatures(old, next)?;
    history(old, new)
}

/// Checks the signatures of a version: the threshold of the version before and its own, each key
/// counted once.
pub fn signatures(before: &Roster, next: &SignedRoster) -> Result<(), RosterError> {
    let new = next.roster();
    let signed = next.signers(before.stewards.iter().chain(&new.stewards))?;
    let (have, need) = (count(before, &signed), before.threshold);
    if have < need {
        return Err(RosterError::ThresholdBefore { have, need });
    }
    own_threshold(new, &signed)
}

/// Checks the signatures of a first version, which has none before it.
pub fn first_signatures(first: &SignedRoster) -> Result<(), RosterError> {
    own_threshold(first.roster(), &first.signers(first.roster().stewards.iter())?)
}

fn own_threshold(roster: &Roster, signed: &BTreeSet<[u8; 32]>) -> Result<(), RosterError> {
    let (have, need) = (count(roster, signed), roster.threshold);
    if have < need { Err(RosterError::ThresholdOwn { have, need }) } else { Ok(()) }
}

fn count(roster: &Roster, signed: &BTreeSet<[u8; 32]>) -> u64 {
    roster.stewards.iter().filter(|s| signed.contains(s.public())).count() as u64
}

/// Checks that history only grows; a tool asks before anybody is asked to sign.
pub fn history(old: &Roster, new: &Roster) -> Result<(), RosterError> {
    if new.issued < old.issued {
        return Err(RosterError::IssuedEarlier(new.version));
    }
    if new.trial != old.trial {
        return Err(RosterError::Trial);
    }
    for node in &old.nodes {
        let name = node.name();
        let later = new.node(name).ok_or_else(|| RosterError::NodeGone(name.clone()))?;
        same_node(node, later, old.issued, new.issued)?;
    }
    for node in new.nodes.iter().filter(|node| old.node(node.name()).is_none()) {
        if node.states.first().is_some_and(|entry| entry.from < old.issued) {
            return Err(RosterError::State(node.name().clone(), "it joins before the version before"));
        }
    }
    Ok(())
}

fn same_node(
    old: &RosterNode,
    new: &RosterNode,
    settled: UnixTime,
    issued: UnixTime,
) -> Result<(), RosterError> {
    let name = old.name();
    if new.card.card.made_at < old.card.card.made_at {
        return Err(RosterError::CardOlder(name.clone()));
    }
    for key in old.keys() {
        let word = key.role.word();
        let later = new.keys().iter().find(|k| k.public == key.public && k.role == key.role);
        let later = later.ok_or_else(|| RosterError::KeyGone(name.clone(), word))?;
        if !window_follows(key, later, settled, issued) {
            return Err(RosterError::Window(name.clone(), word));
        }
        let since = |node: &RosterNode| node.compromised_from(&key.public);
        if since(old).is_some_and(|was| since(new).is_none_or(|is| is > was)) {
            return Err(RosterError::CompromiseTaken(name.clone(), word));
        }
    }
    for key in new.keys() {
        let known = old.keys().iter().any(|k| k.public == key.public);
        if !known && key.not_before < settled {
            return Err(RosterError::Window(name.clone(), key.role.word()));
        }
    }
    let (kept, added) = new.states.split_at(old.states.len().min(new.states.len()));
    if kept != old.states {
        return Err(RosterError::StateGone(name.clone()));
    }
    if added.iter().any(|entry| entry.state == State::Active && entry.from < settled) {
        return Err(RosterError::State(name.clone(), "rights come back for a time that has passed"));
    }
    Ok(())
}

fn window_follows(old: &KeyEntry, new: &KeyEntry, settled: UnixTime, issued: UnixTime) -> bool {
    let end = |key: &KeyEntry| key.not_after.unwrap_or(UnixTime(i64::MAX));
    let (was, is) = (end(old), end(new));
    old.not_before == new.not_before
        && (is == was || (is < was && is >= settled) || (is > was && was >= issued))
}
