//! What changed between two versions, as people must see it before they sign or adopt.

use super::{LogPolicy, Roster, RosterNode, StateEntry, Steward};
use crate::card::NodeKind;
use crate::day::UnixTime;
use crate::division::DivisionCode;
use crate::key::{KeyEntry, KeyId, Role};
use crate::name::NodeName;

/// One change. Nodes and keys that are gone do not occur between versions that follow one another, but
/// any two may be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields say what they are: the node, the old and the new value
pub enum Change {
    /// Threshold.
    Threshold { old: u64, new: u64 },
    /// A new steward.
    StewardAdded { name: String, kid: KeyId },
    /// A steward less.
    StewardRemoved { name: String, kid: KeyId },
    /// A steward's name.
    StewardRenamed { kid: KeyId, old: String, new: String },
    /// When it degrades.
    Expires { old: UnixTime, new: UnixTime },
    /// A new member.
    NodeAdded { node: NodeName },
    /// A member gone.
    NodeRemoved { node: NodeName },
    /// A title, Chinese and English.
    Titles { node: NodeName, old: (String, String), new: (String, String) },
    /// Division.
    Division { node: NodeName, old: DivisionCode, new: DivisionCode },
    /// Kind.
    Kind { node: NodeName, old: NodeKind, new: NodeKind },
    /// Addresses.
    Addresses { node: NodeName, old: Vec<String>, new: Vec<String> },
    /// How people reach the office.
    Contact { node: NodeName, old: String, new: String },
    /// Page.
    Page { node: NodeName, old: Option<String>, new: Option<String> },
    /// Witnesses of its log.
    Log { node: NodeName, old: Option<LogPolicy>, new: Option<LogPolicy> },
    /// A new key.
    KeyAdded { node: NodeName, role: Role, kid: KeyId, from: UnixTime, until: Option<UnixTime> },
    /// A key gone.
    KeyRemoved { node: NodeName, role: Role, kid: KeyId },
    /// The end of a window.
    KeyWindow { node: NodeName, role: Role, kid: KeyId, old: Option<UnixTime>, new: Option<UnixTime> },
    /// A key may be in other hands since; `None` when a compromise is gone.
    KeyCompromised { node: NodeName, role: Role, kid: KeyId, from: Option<UnixTime> },
    /// A new state.
    StateAdded { node: NodeName, entry: StateEntry },
}

/// Changes from `old` to `new`, stewards first, then nodes in order of name.
pub fn diff(old: &Roster, new: &Roster) -> Vec<Change> {
    let mut out = Vec::new();
    if old.threshold != new.threshold {
        out.push(Change::Threshold { old: old.threshold, new: new.threshold });
    }
    stewards(old, new, &mut out);
    if old.expires != new.expires {
        out.push(Change::Expires { old: old.expires, new: new.expires });
    }
    for node in old.nodes.iter().filter(|n| new.node(n.name()).is_none()) {
        out.push(Change::NodeRemoved { node: node.name().clone() });
    }
    for node in &new.nodes {
        match old.node(node.name()) {
            Some(before) => nodes(before, node, &mut out),
            None => out.push(Change::NodeAdded { node: node.name().clone() }),
        }
    }
    out
}

fn stewards(old: &Roster, new: &Roster, out: &mut Vec<Change>) {
    let find = |roster: &Roster, s: &Steward| -> Option<Steward> {
        roster.stewards.iter().find(|other| other.public() == s.public()).cloned()
    };
    for steward in &old.stewards {
        let (name, kid) = (steward.name.clone(), steward.kid());
        match find(new, steward) {
            None => out.push(Change::StewardRemoved { name, kid }),
            Some(later) if later.name != name => {
                out.push(Change::StewardRenamed { kid, old: name, new: later.name });
            }
            Some(_) => {}
        }
    }
    for steward in new.stewards.iter().filter(|s| find(old, s).is_none()) {
        out.push(Change::StewardAdded { name: steward.name.clone(), kid: steward.kid() });
    }
}

fn nodes(old: &RosterNode, new: &RosterNode, out: &mut Vec<Change>) {
    let node = || new.name().clone();
    let (was, is) = (&old.card.card, &new.card.card);
    let titles = |c: &crate::card::Card| (c.title_zh.clone(), c.title_en.clone());
    if titles(was) != titles(is) {
        out.push(Change::Titles { node: node(), old: titles(was), new: titles(is) });
    }
    if was.division != is.division {
        out.push(Change::Division { node: node(), old: was.division, new: is.division });
    }
    if was.kind != is.kind {
        out.push(Change::Kind { node: node(), old: was.kind, new: is.kind });
    }
    if was.addresses != is.addresses {
        out.push(Change::Addresses { node: node(), old: was.addresses.clone(), new: is.addresses.clone() });
    }
    if was.contact != is.contact {
        out.push(Change::Contact { node: node(), old: was.contact.clone(), new: is.contact.clone() });
    }
    if old.page != new.page {
        out.push(Change::Page { node: node(), old: old.page.clone(), new: new.page.clone() });
    }
    if old.log != new.log {
        out.push(Change::Log { node: node(), old: old.log.clone(), new: new.log.clone() });
    }
    keys(old, new, out);
    for entry in new.states.iter().filter(|entry| !old.states.contains(entry)) {
        out.push(Change::StateAdded { node: node(), entry: entry.clone() });
    }
}

fn keys(old: &RosterNode, new: &RosterNode, out: &mut Vec<Change>) {
    let find = |node: &RosterNode, key: &KeyEntry| -> Option<KeyEntry> {
        node.keys_of(key.role).find(|k| k.public == key.public).cloned()
    };
    let node = || new.name().clone();
    for key in old.keys().iter().filter(|key| find(new, key).is_none()) {
        out.push(Change::KeyRemoved { node: node(), role: key.role, kid: key.kid() });
    }
    for key in new.keys() {
        let (role, kid) = (key.role, key.kid());
        match find(old, key) {
            None => {
                let (from, until) = (key.not_before, key.not_after);
                out.push(Change::KeyAdded { node: node(), role, kid, from, until });
            }
            Some(before) if before.not_after != key.not_after => {
                let (old, new) = (before.not_after, key.not_after);
                out.push(Change::KeyWindow { node: node(), role, kid, old, new });
            }
            Some(_) => {}
        }
        let from = new.compromised_from(&key.public);
        if from != old.compromised_from(&key.public) {
            out.push(Change::KeyCompromised { node: node(), role, kid, from });
        }
    }
}
