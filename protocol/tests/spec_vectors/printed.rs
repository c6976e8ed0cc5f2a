//! P1: printed proofs, each step of the verifier's order with its word.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::Value as Json;

use yunling_protocol::base45;
use yunling_protocol::cbor::{self, MapBuilder, Value};
use yunling_protocol::cose::{self, Sign1, Typ};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{ALG_EDDSA, Role};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::proof::{self, Amount, Claims, PREFIX};

use super::proofs::{Case, ISSUED, claims, file, issue};
use super::world::{
    DAY, ISSUER, START, WITNESSES, card, card_with_window, cards_trust, name, signed, signer,
};

type Map = BTreeMap<Value, Value>;

fn token(text: &str) -> Vec<u8> {
    base45::decode(&text[PREFIX.len()..]).unwrap()
}

fn text(token: &[u8]) -> String {
    format!("{PREFIX}{}", base45::encode(token))
}

/// A token over any payload bytes, by the proof key.
fn signed_payload(payload: &[u8], typ: &Typ, alg: i64) -> String {
    text(&cose::sign1_with_alg(&signer(ISSUER, Role::Proof), alg, typ, &[], payload).unwrap())
}

/// The sample's payload with a change, signed.
fn altered(change: impl FnOnce(&mut Map)) -> String {
    let payload = Sign1::parse(&token(&issue(&claims())), 8_192).unwrap().payload;
    let Value::Map(mut map) = cbor::decode(&payload, 8_192).unwrap() else { panic!("a map") };
    change(&mut map);
    signed_payload(&cbor::encode(&Value::Map(map)), &Typ::Number(61), -19)
}

/// The sample with a change in its claim -65537.
fn hours(change: impl FnOnce(&mut Map)) -> String {
    altered(|map| {
        let Some(Value::Map(hours)) = map.get_mut(&cbor::int(-65_537)) else { panic!("a map") };
        change(hours);
    })
}

fn text_map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(key, value)| (cbor::text(key), value)).collect())
}

/// Claim 65535 with this index.
fn place(index: u64) -> Value {
    let place = text_map([("idx", cbor::int(index)), ("uri", cbor::text("yunling:s/1"))]);
    text_map([("status_list", place)])
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Every claim that a proof may carry.
fn full() -> Claims {
    Claims {
        full_name: Some("样例·甲".into()),
        amount: Amount::Exact(Minutes(18_030)),
        recorders: vec![(name(ISSUER), Some(Minutes(12_000))), (name(WITNESSES[0]), Some(Minutes(6_030)))],
        number: Some("CS-2026-000017".into()),
        ..claims()
    }
}

fn valid() -> Vec<Case<'static>> {
    let plain = claims();
    let good =
        |name, text, claims: &Claims| Case::new(name, text, "card", "proof-status-unknown").shows(claims);
    let no_place = Claims { status: None, days: None, ..claims() };
    let trial = Claims { trial: true, ..claims() };
    let several = Claims { recorders: vec![(name(ISSUER), None), (name(WITNESSES[0]), None)], ..claims() };
    let eddsa = proof::issue_with_alg(&signer(ISSUER, Role::Proof), ALG_EDDSA, &plain).unwrap();
    vec![
        good("at least so many minutes, with a place in a list", issue(&plain), &plain),
        good("exact minutes, name, recorders with minutes, number", issue(&full()), &full()),
        good("no days, no place in a list", issue(&no_place), &no_place),
        good("recorders without minutes", issue(&several), &several),
        good("of a trial home", issue(&trial), &trial),
        good("alg -8 names the same key", eddsa, &plain),
        good("line ends and a byte order mark around it", format!("\u{feff}{}\r\n", issue(&plain)), &plain),
        good("packed with zlib", text(&zlib(&token(&issue(&plain)))), &plain),
        good(
            "a label of 24 or more in -65537 is ignored",
            hours(|m| _ = m.insert(cbor::int(24), cbor::int(1))),
            &plain,
        ),
        good("issued 300 seconds ahead of this clock", issue(&plain), &plain).at(ISSUED - 300),
        good("expired 300 seconds ago", issue(&plain), &plain).at(ISSUED + 365 * DAY + 300),
    ]
}

fn unread() -> Vec<Case<'static>> {
    let sample = issue(&claims());
    let bad = |name, text, why| Case::new(name, text, "card", why);
    let packed = |more: &[u8]| text(&[zlib(&token(&sample)).as_slice(), more].concat());
    let payload = Sign1::parse(&token(&sample), 8_192).unwrap().payload;
    let tagged = {
        let mut bytes = vec![0xd8, 0x3d];
        bytes.extend(token(&sample));
        bytes
    };
    // The map's head in two bytes: not the shortest form.
    let long_head = [&[0xb8, payload[0] & 0x1f], &payload[1..]].concat();
    let mut protected = Sign1::parse(&token(&sample), 8_192).unwrap();
    protected.unprotected.insert(cbor::int(1), cbor::int(-19));
    let again = |s: &Sign1| text(&cose::assemble(&s.protected, &s.unprotected, &s.payload, &s.signature));
    vec![
        bad("another prefix", sample.replacen("YH1:", "HC1:", 1), "proof-not-a-proof"),
        bad("a lower case letter", format!("{PREFIX}b{}", &sample[5..]), "proof-not-a-proof"),
        bad("a blank behind it", format!("{sample} "), "proof-not-a-proof"),
        bad("a group that overflows", format!("{}:::", &sample[..sample.len() - 3]), "proof-not-a-proof"),
        bad("2,201 characters", format!("YH1:{}", "0".repeat(2_197)), "proof-not-a-proof"),
        bad("a byte behind the zlib stream", packed(&[0]), "proof-not-a-proof"),
        bad("zlib of more than 8,192 bytes", text(&zlib(&[0; 8_193])), "proof-not-a-proof"),
        bad("zlib that is cut", text(&zlib(&token(&sample))[..60]), "proof-malformed"),
        bad("cut", text(&token(&sample)[..100]), "proof-malformed"),
        bad("CWT tag 61 around it", text(&tagged), "proof-malformed"),
        bad("alg in the unprotected header", again(&protected), "proof-malformed"),
        bad(
            "typ as text",
            signed_payload(&payload, &Typ::Text("application/cwt".into()), -19),
            "proof-malformed",
        ),
        bad("alg -7", signed_payload(&payload, &Typ::Number(61), -7), "proof-malformed"),
        bad(
            "payload not in the shortest form",
            signed_payload(&long_head, &Typ::Number(61), -19),
            "proof-malformed",
        ),
        bad(
            "both at least and exact",
            hours(|m| _ = m.insert(cbor::int(3), cbor::int(1))),
            "proof-malformed",
        ),
        bad("neither at least nor exact", hours(|m| _ = m.remove(&cbor::int(2))), "proof-malformed"),
        bad("no expiry", altered(|m| _ = m.remove(&cbor::int(4))), "proof-malformed"),
        bad(
            "a subject of 15 bytes",
            altered(|m| _ = m.insert(cbor::int(2), cbor::text("BwcHBwcHBwcHBwcHBwcH"))),
            "proof-malformed",
        ),
        bad(
            "a name of 97 bytes",
            altered(|m| {
                _ = m.insert(cbor::int(169), MapBuilder::new().put(4, cbor::text("a".repeat(97))).build());
            }),
            "proof-malformed",
        ),
        bad(
            "another label in the unprotected header",
            {
                let mut sign1 = Sign1::parse(&token(&sample), 8_192).unwrap();
                sign1.unprotected.insert(cbor::int(395), cbor::int(1));
                again(&sign1)
            },
            "proof-newer-version",
        ),
        bad(
            "an unknown claim",
            altered(|m| _ = m.insert(cbor::int(7), cbor::bytes([1]))),
            "proof-newer-version",
        ),
        bad(
            "version 2 of claim -65537",
            hours(|m| _ = m.insert(cbor::int(1), cbor::int(2))),
            "proof-newer-version",
        ),
        bad(
            "an unknown label below 24 in -65537",
            hours(|m| _ = m.insert(cbor::int(9), cbor::int(1))),
            "proof-newer-version",
        ),
        bad(
            "another status mechanism",
            altered(|m| {
                let Some(Value::Map(claim)) = m.get_mut(&cbor::int(65_535)) else { panic!("a map") };
                claim.insert(cbor::text("other"), cbor::int(1));
            }),
            "proof-newer-version",
        ),
        bad(
            "a place of more than 32 bits",
            altered(|m| _ = m.insert(cbor::int(65_535), place(1 << 32))),
            "proof-status-range",
        ),
    ]
}

fn judged() -> Vec<Case<'static>> {
    let sample = issue(&claims());
    let other = proof::issue(&signer(WITNESSES[0], Role::Proof), &claims()).unwrap();
    let role = proof::issue(&signer(ISSUER, Role::Statement), &claims()).unwrap();
    let mut changed = token(&sample);
    let minutes = changed.windows(3).position(|w| w == [0x19, 0x46, 0x50]).unwrap();
    changed[minutes + 2] ^= 1;
    let mut broken = token(&sample);
    *broken.last_mut().unwrap() ^= 1;
    let sure = |name, trust, why| Case::new(name, sample.clone(), trust, why).shows(&claims());
    let late = Claims { expires: UnixTime(ISSUED + 3_600), ..claims() };
    vec![
        Case::new("minutes changed", text(&changed), "card", "proof-forged"),
        Case::new("signature changed", text(&broken), "card", "proof-forged"),
        Case::new("nobody is trusted", sample.clone(), "nobody", "proof-unknown-issuer"),
        Case::new("another office is trusted", sample.clone(), "other", "proof-unknown-issuer"),
        Case::new("by the proof key of another office", other, "both", "proof-unknown-key"),
        Case::new("by the issuer's statement key", role, "card", "proof-unknown-key"),
        sure("the key's window ended before now", "ended", "proof-date-unproven"),
        sure("the key's window began after the issue", "begun", "proof-date-unproven"),
        sure("issued 301 seconds ahead of this clock", "card", "proof-from-future").at(ISSUED - 301),
        sure("expired 301 seconds ago", "card", "proof-expired").at(ISSUED + 365 * DAY + 301),
        Case::new(
            "expired, and the key ended: the key speaks first",
            issue(&late),
            "ended",
            "proof-date-unproven",
        )
        .shows(&late),
        Case {
            required: true,
            ..Case::new("no receipt where one is wanted", sample.clone(), "card", "proof-not-logged")
        },
    ]
}

pub(crate) fn make() -> Json {
    let issuer = signed(&card(ISSUER));
    let ended = card_with_window(ISSUER, Role::Proof, START - 30 * DAY, Some(ISSUED + DAY));
    let begun = card_with_window(ISSUER, Role::Proof, ISSUED + 1, None);
    let trusts = vec![
        ("card", cards_trust(std::slice::from_ref(&issuer))),
        ("nobody", cards_trust(&[])),
        ("other", cards_trust(&[signed(&card(WITNESSES[0]))])),
        ("both", cards_trust(&[issuer, signed(&card(WITNESSES[0]))])),
        ("ended", cards_trust(&[ended])),
        ("begun", cards_trust(&[begun])),
    ];
    let cases: Vec<Case<'_>> = [valid(), unread(), judged()].into_iter().flatten().collect();
    file(
        "Printed proofs (SPEC 6, 12): text, clock and what is trusted; verdict, word and claims shown.",
        trusts,
        &cases,
    )
}
