//! What must hold inside one version, whatever stands in the others.

use std::collections::BTreeSet;

use super::{LogPolicy, Roster, RosterError, RosterNode, State, VERSION_MAX};
use crate::log::policy::POLICY_NAME_BYTES_MAX;
use crate::name::NodeName;

/// Checks one version by itself.
pub(super) fn check(roster: &Roster) -> Result<(), RosterError> {
    if roster.version == 0
        || roster.version > VERSION_MAX
        || (roster.version == 1) != roster.previous.is_none()
    {
        return Err(RosterError::Version);
    }
    if roster.expires <= roster.issued {
        return Err(RosterError::Expires);
    }
    let mut keys = stewards(roster)?;
    if roster.nodes.windows(2).any(|pair| pair[0].name() >= pair[1].name()) {
        return Err(RosterError::Order("nodes"));
    }
    for node in &roster.nodes {
        if node.card.card.trial != roster.trial {
            return Err(RosterError::Trial);
        }
        if node.keys().iter().any(|key| !keys.insert(key.public)) {
            return Err(RosterError::KeyShared(node.name().clone()));
        }
        compromised(node)?;
        page(node)?;
        if let Some(policy) = &node.log {
            let bad = |why| RosterError::LogPolicy(node.name().clone(), why);
            // Else no quorum could be made of it, and whoever judges would have to guess what was meant.
            if policy.name.is_empty() || policy.name.len() > POLICY_NAME_BYTES_MAX {
                return Err(RosterError::PolicyName(node.name().clone()));
            }
            log_policy(roster, node.name(), policy).map_err(bad)?;
        }
        states(roster, node).map_err(|why| RosterError::State(node.name().clone(), why))?;
    }
    Ok(())
}

fn stewards(roster: &Roster) -> Result<BTreeSet<[u8; 32]>, RosterError> {
    let n = roster.stewards.len();
    if roster.threshold == 0 || roster.threshold > n as u64 {
        return Err(RosterError::Threshold { k: roster.threshold, n });
    }
    let keys: BTreeSet<[u8; 32]> = roster.stewards.iter().map(|s| *s.public()).collect();
    if keys.len() < n {
        return Err(RosterError::StewardTwice);
    }
    if roster.stewards.windows(2).any(|pair| pair[0].public() >= pair[1].public()) {
        return Err(RosterError::Order("stewards"));
    }
    Ok(keys)
}

fn compromised(node: &RosterNode) -> Result<(), RosterError> {
    if node.compromised.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(RosterError::Order("compromised keys"));
    }
    let known = |public: &[u8; 32]| node.keys().iter().any(|key| key.public == *public);
    if node.compromised.iter().all(|(public, _)| known(public)) {
        Ok(())
    } else {
        Err(RosterError::NoSuchKey(node.name().clone()))
    }
}

/// A page is shown as a link: nothing but http, and nothing that could stand for another text.
fn page(node: &RosterNode) -> Result<(), RosterError> {
    let sound = |url: &str| {
        let web = url.starts_with("https://") || url.starts_with("http://");
        web && !url.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    match &node.page {
        Some(url) if !sound(url) => Err(crate::cbor::CborError::WrongType(2).into()),
        _ => Ok(()),
    }
}

fn log_policy(roster: &Roster, owner: &NodeName, policy: &LogPolicy) -> Result<(), &'static str> {
    let n = policy.witnesses.len() as u64;
    if policy.k > n || policy.k.saturating_mul(2) <= n {
        return Err("cosignatures of more than half of the witnesses are wanted, and no more than all");
    }
    if policy.witnesses.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err("witnesses are out of order or stand twice");
    }
    if policy.witnesses.contains(owner) {
        return Err("the owner of a log is no witness of it");
    }
    if policy.witnesses.iter().all(|name| roster.node(name).is_some()) {
        Ok(())
    } else {
        Err("a witness is not in the roster")
    }
}

fn states(roster: &Roster, node: &RosterNode) -> Result<(), &'static str> {
    let Some(first) = node.states.first() else { return Err("there is none") };
    if first.state != State::Active {
        return Err("the first one is active");
    }
    for pair in node.states.windows(2) {
        if pair[0].from >= pair[1].from {
            return Err("each begins after the one before");
        }
        let follows = match (&pair[0].state, &pair[1].state) {
            (State::Active, State::Suspended)
            | (State::Active | State::Suspended, State::Withdrawn)
            | (State::Suspended, State::Active) => true,
            // Also of a member that left: somebody must answer for what it holds.
            (before, State::Succeeded { .. }) => !matches!(before, State::Succeeded { .. }),
            _ => false,
        };
        if !follows {
            return Err("a member that left or was succeeded does not come back under its name");
        }
    }
    successors(roster, node)
}

/// Follows the line of successors: every one is listed, and the line ends.
fn successors(roster: &Roster, node: &RosterNode) -> Result<(), &'static str> {
    let mut at = node;
    for _ in 0..=roster.nodes.len() {
        let Some(State::Succeeded { by, .. }) = at.states.last().map(|entry| &entry.state) else {
            return Ok(());
        };
        at = roster.node(by).ok_or("the successor is not in the roster")?;
    }
    Err("the line of successors leads back")
}
