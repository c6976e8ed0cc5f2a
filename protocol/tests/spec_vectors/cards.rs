//! Node cards.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value as Json, json};

use yunling_protocol::card::{CARD_PREFIX, Card, SignedCard};
use yunling_protocol::cbor::{self, Value};
use yunling_protocol::cose::{self, Sign1, Typ};
use yunling_protocol::key::Role;

use super::world::{DAY, ISSUER, START, WITNESSES, card, hex, judge, key, list, signed, signer, string};

fn shown(card: &SignedCard) -> Json {
    let fingerprint = card.fingerprint();
    let card = &card.card;
    let keys = card.keys.iter().map(|k| {
        json!({ "role": k.role.word(), "public": hex(&k.public), "kid": hex(&k.kid()),
            "from": k.not_before.0, "until": k.not_after.map(|t| t.0) })
    });
    json!({
        "name": card.name.as_str(), "title_zh": card.title_zh, "title_en": card.title_en,
        "division": card.division.0, "kind": card.kind as u64, "keys": keys.collect::<Vec<_>>(),
        "addresses": card.addresses, "made_at": card.made_at.0, "contact": card.contact, "trial": card.trial,
        "fingerprint": fingerprint,
    })
}

/// The sample's payload with a change, signed by this key under this typ.
fn altered(typ: &str, role: Role, change: impl FnOnce(&mut BTreeMap<Value, Value>)) -> String {
    let payload = Sign1::parse(signed(&card(ISSUER)).bytes(), 8_192).unwrap().payload;
    let Value::Map(mut map) = cbor::decode(&payload, 8_192).unwrap() else { panic!("a map") };
    change(&mut map);
    let payload = cbor::encode(&Value::Map(map));
    let bytes =
        cose::sign1(&signer(ISSUER, role), &Typ::Text(typ.into()), b"yunling/card/1", &payload).unwrap();
    format!("{CARD_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
}

pub(crate) fn make() -> Json {
    let plain = signed(&card(ISSUER));
    let rotated = {
        let old = card(WITNESSES[0]);
        let mut keys = old.keys.clone();
        keys.push(key("spec.example/w1 second", Role::Proof, START, Some(START + 365 * DAY)));
        signed(&Card { keys, addresses: vec![], trial: true, ..old })
    };
    let lines: Vec<String> =
        plain.to_text().as_bytes().chunks(72).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect();
    let same = |_: &mut BTreeMap<Value, Value>| {};
    let typ = "yunling/card";
    let good = |name: &str, text: String, card: &SignedCard| {
        json!({ "name": name, "text": text,
        "expect": shown(card) })
    };
    let bad = |name: &str, text: String, word: &str| {
        json!({ "name": name, "text": text,
        "expect": { "refused": word } })
    };
    json!({
        "about": "Node cards: text form, content, fingerprint; or why they are refused (SPEC 5).",
        "cases": [
            good("every role, one key each", plain.to_text(), &plain),
            good("two proof keys, no address, trial", rotated.to_text(), &rotated),
            good("broken into lines", lines.join("\r\n"), &plain),
            bad("another prefix", plain.to_text().replacen("YC1:", "YC2:", 1), "card-text"),
            bad("no base64url", plain.to_text() + "=", "card-text"),
            bad("cut", plain.to_text()[..400].to_owned(), "card-signature"),
            bad("another typ", altered("yunling/roster", Role::Statement, same), "card-encoding"),
            bad("by the recovery key", altered(typ, Role::Recovery, same), "card-signature"),
            bad("an unknown label", altered(typ, Role::Statement, |m| _ = m.insert(cbor::int(12),
                cbor::int(1))), "card-encoding"),
            bad("version 2", altered(typ, Role::Statement, |m| _ = m.insert(cbor::int(1), cbor::int(2))),
                "card-encoding"),
            bad("an empty list", altered(typ, Role::Statement, |m| _ = m.insert(cbor::int(8),
                Value::Array(vec![]))), "card-encoding"),
            bad("a role without a key", altered(typ, Role::Statement, |m| {
                let Some(Value::Array(keys)) = m.get_mut(&cbor::int(7)) else { panic!("keys") };
                keys.pop();
            }), "card-missing-key"),
            bad("a blank in the name", altered(typ, Role::Statement, |m| _ = m.insert(cbor::int(2),
                cbor::text("a b"))), "card-encoding"),
        ],
    })
}

pub(crate) fn check(file: &Json) {
    for case in list(&file["cases"]) {
        let read = SignedCard::from_text(string(&case["text"]));
        judge(case, read.map(|card| shown(&card)).map_err(|e| e.code().to_owned()));
    }
}
