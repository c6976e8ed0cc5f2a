//! Signed envelopes around any payload, so that what stands behind a signature is reached too.
//!
//! A hostile peer can sign whatever it likes; no fuzzer finds a signature by itself.

use std::sync::LazyLock;

use yunling_protocol::card::{Card, NodeKind, SignedCard};
use yunling_protocol::cbor::{self, Value};
use yunling_protocol::cose::{Sign1, Typ, sign1};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::name::NodeName;

/// The clock of every decoder: 2026-11-18 at UTC+8.
pub(super) const NOW: UnixTime = UnixTime(1_795_000_000);
/// Name of the one known node.
const NODE: &str = "vol.yn.cn/532900";
/// Larger than any object of ours.
const OBJECT_BYTES_MAX: usize = 1024 * 1024;

/// The known node's key in a role; the seeds are those of the golden bytes.
pub(super) fn signer(role: Role) -> SoftSigner {
    SoftSigner::from_seed(&[role as u8; 32])
}

/// The known node's public key in a role.
pub(super) fn key(role: Role) -> KeyEntry {
    KeyEntry::new(role, signer(role).public(), UnixTime(1_700_000_000), None)
        .unwrap_or_else(|e| panic!("a key made from a seed is sound: {e}"))
}

/// A circle of trust with one node in it; made once, for its keys are slow to make.
pub(super) fn trust() -> &'static Members {
    static TRUST: LazyLock<Members> = LazyLock::new(made_trust);
    &TRUST
}

/// The card of the one known node.
pub(super) fn known_card() -> &'static SignedCard {
    let name = NodeName::parse(NODE).unwrap_or_else(|e| panic!("{e}"));
    &trust().get(&name).unwrap_or_else(|| panic!("{NODE} is known")).card
}

fn made_trust() -> Members {
    let card = Card {
        name: NodeName::parse(NODE).unwrap_or_else(|e| panic!("{e}")),
        title_zh: String::new(),
        title_en: String::new(),
        division: DivisionCode(532_900),
        kind: NodeKind::Prefecture,
        keys: Role::ALL.into_iter().map(key).collect(),
        addresses: vec![],
        contact: String::new(),
        made_at: NOW,
        trial: false,
    };
    let card = card.sign(&signer(Role::Statement)).unwrap_or_else(|e| panic!("{e}"));
    let mut members = Members::default();
    members.insert(Member { card, removed_at: None });
    members
}

/// The payload of an envelope.
pub(super) fn payload(envelope: &[u8]) -> Vec<u8> {
    Sign1::parse(envelope, OBJECT_BYTES_MAX).unwrap_or_else(|e| panic!("an envelope made here: {e}")).payload
}

/// A strict map, which is what every payload of ours is.
pub(super) fn map(bytes: &[u8]) -> Option<std::collections::BTreeMap<Value, Value>> {
    match cbor::decode(bytes, OBJECT_BYTES_MAX).ok()? {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

/// `payload` signed as an object of kind `word`.
pub(super) fn wrapped(word: &str, payload: &[u8]) -> Vec<u8> {
    let aad = format!("{word}/1");
    sign1(&signer(Role::Statement), &Typ::Text(word.to_owned()), aad.as_bytes(), payload)
        .unwrap_or_else(|e| panic!("a key in memory signs: {e}"))
}
