//! Offices, keys and rosters with fixed seeds, and their way into JSON and back.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use yunling_protocol::card::{Card, NodeKind, SignedCard};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::name::NodeName;
use yunling_protocol::roster::{Chain, LogPolicy, Roster, RosterNode, SignedRoster, Steward};
use yunling_protocol::status::{StatusLists, StatusToken};

pub(crate) const DAY: i64 = 86_400;
/// Day 0 of every story: version 1 of a roster is issued.
pub(crate) const START: i64 = 1_790_000_000;

/// The issuer of all proofs, and its witnesses.
pub(crate) const ISSUER: &str = "spec.example/cangshan";
pub(crate) const WITNESSES: [&str; 3] = ["spec.example/w1", "spec.example/w2", "spec.example/w3"];

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text is expected: {value}"))
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(string(value).as_bytes()).unwrap()
}

pub(crate) fn hash_of(value: &Value) -> [u8; 32] {
    unhex(value).try_into().unwrap()
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number is expected: {value}"))
}

pub(crate) fn time(value: &Value) -> UnixTime {
    UnixTime(value.as_i64().unwrap_or_else(|| panic!("a time is expected: {value}")))
}

pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("a list is expected: {value}"))
}

/// A list that may be absent.
pub(crate) fn list_or_none(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

pub(crate) fn role(value: &Value) -> Role {
    Role::ALL.into_iter().find(|role| role.word() == string(value)).unwrap()
}

/// Seed of a key: SHA-256("yunling/spec-vectors/1" ‖ owner ‖ 0x00 ‖ purpose).
pub(crate) fn seed(owner: &str, purpose: &str) -> [u8; 32] {
    let hasher = Sha256::new().chain_update(b"yunling/spec-vectors/1").chain_update(owner);
    hasher.chain_update([0]).chain_update(purpose).finalize().into()
}

pub(crate) fn signer(node: &str, role: Role) -> SoftSigner {
    SoftSigner::from_seed(&seed(node, role.word()))
}

pub(crate) fn key(node: &str, role: Role, from: i64, until: Option<i64>) -> KeyEntry {
    KeyEntry::new(role, signer(node, role).public(), UnixTime(from), until.map(UnixTime)).unwrap()
}

/// A card whose keys count from 30 days before day 0 on.
pub(crate) fn card(node: &str) -> Card {
    Card {
        name: name(node),
        title_zh: "样例办公室".into(),
        title_en: "Sample office".into(),
        division: DivisionCode(532_900),
        kind: NodeKind::Prefecture,
        keys: Role::ALL.into_iter().map(|role| key(node, role, START - 30 * DAY, None)).collect(),
        addresses: vec!["/dns4/spec.example/udp/7440/quic-v1".into()],
        contact: "service desk".into(),
        made_at: UnixTime(START - 30 * DAY),
        trial: false,
    }
}

pub(crate) fn signed(card: &Card) -> SignedCard {
    card.sign(&signer(card.name.as_str(), Role::Statement)).unwrap()
}

/// The card of `node` with another window for one role.
pub(crate) fn card_with_window(node: &str, role: Role, from: i64, until: Option<i64>) -> SignedCard {
    let mut card = card(node);
    for entry in card.keys.iter_mut().filter(|entry| entry.role == role) {
        *entry = key(node, role, from, until);
    }
    signed(&card)
}

pub(crate) fn steward(n: u8) -> SoftSigner {
    SoftSigner::from_seed(&seed("steward", &n.to_string()))
}

pub(crate) fn stewards(numbers: &[u8]) -> Vec<Steward> {
    let one = |n: &u8| Steward::new(format!("steward {n}"), steward(*n).public()).unwrap();
    let mut all: Vec<Steward> = numbers.iter().map(one).collect();
    all.sort_by_key(|s| *s.public());
    all
}

/// Version 1: stewards 1, 2, 3 (two must sign), the issuer with two of three witnesses, the witnesses.
pub(crate) fn first_roster() -> Roster {
    let node = |name: &str| RosterNode::joining(signed(&card(name)), UnixTime(START));
    let mut issuer = node(ISSUER);
    let witnesses = WITNESSES.iter().map(|witness| name(witness)).collect();
    issuer.log = Some(LogPolicy { name: "two-of-three".into(), witnesses, k: 2 });
    let nodes = [issuer].into_iter().chain(WITNESSES.iter().map(|witness| node(witness)));
    Roster {
        version: 1,
        previous: None,
        issued: UnixTime(START),
        expires: UnixTime(START + 400 * DAY),
        threshold: 2,
        stewards: stewards(&[1, 2, 3]),
        nodes: nodes.map(Arc::new).collect(),
        trial: false,
    }
}

/// The version after `before`, issued on `day`, otherwise the same.
pub(crate) fn next_roster(before: &SignedRoster, day: i64) -> Roster {
    Roster {
        version: before.roster().version + 1,
        previous: Some(before.hash()),
        issued: UnixTime(START + day * DAY),
        expires: UnixTime(START + (day + 400) * DAY),
        ..before.roster().clone()
    }
}

pub(crate) fn sign_roster(roster: &Roster, by: &[u8]) -> SignedRoster {
    let mut signed = SignedRoster::draft(roster).unwrap();
    for n in by {
        signed.sign(&steward(*n)).unwrap();
    }
    signed
}

pub(crate) fn change_node(roster: &mut Roster, node: &str, change: impl FnOnce(&mut RosterNode)) {
    let node = roster.nodes.iter_mut().find(|n| n.name().as_str() == node).unwrap();
    change(Arc::make_mut(node));
}

/// What a verifier trusts, as JSON: cards alone.
pub(crate) fn cards_trust(cards: &[SignedCard]) -> Value {
    json!({ "cards": cards.iter().map(SignedCard::to_text).collect::<Vec<_>>() })
}

/// A roster whose versions are adopted when they are issued.
pub(crate) fn roster_trust(versions: &[SignedRoster]) -> Value {
    let one = |v: &SignedRoster| json!({ "hex": hex(&v.bytes()), "adopted_at": v.roster().issued.0 });
    let first = versions[0].roster();
    let versions: Vec<Value> = versions.iter().map(one).collect();
    json!({ "roster": { "pin": first.fingerprint(), "trial": first.trial, "versions": versions } })
}

pub(crate) fn with_lists(mut trust: Value, lists: &[(Vec<u8>, i64)]) -> Value {
    let all: Vec<Value> =
        lists.iter().map(|(bytes, received)| json!({ "hex": hex(bytes), "received": received })).collect();
    trust["lists"] = all.into();
    trust
}

/// Reads what [`cards_trust`], [`roster_trust`] and [`with_lists`] wrote.
pub(crate) fn read_trust(trust: &Value) -> (Members, StatusLists) {
    let (mut members, mut lists) = (Members::default(), StatusLists::default());
    for text in list_or_none(&trust["cards"]) {
        let card = SignedCard::from_text(string(text)).unwrap();
        members.insert(Member { card, removed_at: None });
    }
    if let Some(roster) = trust.get("roster") {
        let versions = list(&roster["versions"]).iter();
        let stored = versions.map(|v| (unhex(&v["hex"]), time(&v["adopted_at"])));
        let chain = Chain::load(stored, string(&roster["pin"]), roster["trial"].as_bool().unwrap());
        members.set_roster(Arc::new(chain.unwrap().unwrap()));
    }
    for token in list_or_none(&trust["lists"]) {
        let parsed = StatusToken::parse(&unhex(&token["hex"])).unwrap();
        assert_eq!(lists.add(parsed, &members, time(&token["received"])), Ok(true));
    }
    (members, lists)
}

/// Compares an outcome with `expect`: either `{"refused": word}` or what was accepted.
pub(crate) fn judge(case: &Value, outcome: Result<Value, String>) {
    let outcome = outcome.unwrap_or_else(|word| json!({ "refused": word }));
    assert_eq!(outcome, case["expect"], "{}", case["name"]);
}
