//! Stewards, offices and versions with fixed keys.

use std::sync::Arc;

use yunling_protocol::card::{Card, NodeKind, SignedCard};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::name::NodeName;
use yunling_protocol::roster::{
    Chain, LogPolicy, Roster, RosterError, RosterNode, SignedRoster, State, StateEntry, Steward,
};

pub(crate) const DAY: i64 = 86_400;
/// When version 1 is issued.
pub(crate) const START: UnixTime = UnixTime(1_790_000_000);
/// How long each version is good, in days.
pub(crate) const LIFE_DAYS: i64 = 400;

pub(crate) fn after(days: i64) -> UnixTime {
    UnixTime(START.0 + days * DAY)
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// Key of steward `n`.
pub(crate) fn steward_key(n: u8) -> SoftSigner {
    SoftSigner::from_seed(&[100 + n; 32])
}

/// Stewards with these numbers, in the order a roster lists them.
pub(crate) fn stewards(numbers: &[u8]) -> Vec<Steward> {
    let one = |n: &u8| Steward::new(format!("steward {n}"), steward_key(*n).public()).unwrap();
    let mut all: Vec<Steward> = numbers.iter().map(one).collect();
    all.sort_by_key(|s| *s.public());
    all
}

/// Key of office `n` in a role; `turn` counts the keys it had there.
pub(crate) fn office_key(n: u8, role: Role, turn: u8) -> SoftSigner {
    let mut seed = [n; 32];
    (seed[0], seed[1]) = (role as u8, turn);
    SoftSigner::from_seed(&seed)
}

pub(crate) fn entry(n: u8, role: Role, turn: u8, from: UnixTime, until: Option<UnixTime>) -> KeyEntry {
    KeyEntry::new(role, office_key(n, role, turn).public(), from, until).unwrap()
}

/// The first card of office `n`, not signed yet.
pub(crate) fn card(n: u8) -> Card {
    Card {
        name: name(&format!("office-{n}")),
        title_zh: format!("试样{n}"),
        title_en: format!("Office {n}"),
        division: DivisionCode(530_100),
        kind: NodeKind::Prefecture,
        keys: Role::ALL.into_iter().map(|role| entry(n, role, 0, after(-30), None)).collect(),
        addresses: vec![format!("/ip4/192.0.2.{n}/udp/7440/quic-v1")],
        contact: "service desk".into(),
        made_at: after(-30),
        trial: false,
    }
}

pub(crate) fn signed(card: &Card, n: u8, turn: u8) -> SignedCard {
    card.sign(&office_key(n, Role::Statement, turn)).unwrap()
}

/// A member that joined with the first version.
pub(crate) fn member(n: u8) -> RosterNode {
    RosterNode::joining(signed(&card(n), n, 0), START)
}

/// Version 1 with stewards 1, 2, 3, two of them wanted, and three offices; each log has the two others
/// as witnesses.
pub(crate) fn first() -> Roster {
    let mut nodes: Vec<RosterNode> = (1..=3).map(member).collect();
    for n in 0..3 {
        let witnesses = (0..3).filter(|m| *m != n).map(|m| nodes[m].name().clone()).collect();
        nodes[n].log = Some(LogPolicy { name: "two-of-two".into(), witnesses, k: 2 });
    }
    Roster {
        version: 1,
        previous: None,
        issued: START,
        expires: after(LIFE_DAYS),
        threshold: 2,
        stewards: stewards(&[1, 2, 3]),
        nodes: nodes.into_iter().map(Arc::new).collect(),
        trial: false,
    }
}

/// A version after `before`, issued `days` after the start, otherwise the same.
pub(crate) fn next(before: &SignedRoster, days: i64) -> Roster {
    Roster {
        version: before.roster().version + 1,
        previous: Some(before.hash()),
        issued: after(days),
        expires: after(days + LIFE_DAYS),
        ..before.roster().clone()
    }
}

pub(crate) fn sign(roster: &Roster, by: &[u8]) -> SignedRoster {
    try_sign(roster, by).unwrap()
}

pub(crate) fn try_sign(roster: &Roster, by: &[u8]) -> Result<SignedRoster, RosterError> {
    let mut signed = SignedRoster::draft(roster)?;
    for n in by {
        signed.sign(&steward_key(*n)).unwrap();
    }
    // As it comes from a file.
    SignedRoster::parse(&signed.bytes())
}

/// A chain that begins with `roster`, signed by stewards 1 and 2, pinned as it is.
pub(crate) fn chain_of(roster: &Roster) -> Chain {
    Chain::begin(sign(roster, &[1, 2]), &roster.fingerprint(), roster.trial, START).unwrap()
}

pub(crate) fn chain() -> Chain {
    chain_of(&first())
}

/// Makes the next version with a change, signs it with stewards 1 and 2 and adopts it when it is issued.
pub(crate) fn advance(
    chain: &mut Chain,
    days: i64,
    change: impl FnOnce(&mut Roster),
) -> Result<(), RosterError> {
    let mut roster = next(chain.newest(), days);
    change(&mut roster);
    chain.adopt(try_sign(&roster, &[1, 2])?, after(days)).map(|_| ())
}

/// Changes one node of a roster.
pub(crate) fn change_node(roster: &mut Roster, n: u8, change: impl FnOnce(&mut RosterNode)) {
    let name = name(&format!("office-{n}"));
    let node = roster.nodes.iter_mut().find(|node| *node.name() == name).unwrap();
    change(Arc::make_mut(node));
}

/// Adds a state to one node.
pub(crate) fn set_state(roster: &mut Roster, n: u8, state: State, days: i64) {
    change_node(roster, n, |node| node.states.push(StateEntry { state, from: after(days) }));
}
