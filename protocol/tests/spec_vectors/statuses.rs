//! Status list tokens, and what they make of a proof.

use serde_json::{Value as Json, json};

use yunling_protocol::cbor::{self, MapBuilder, Value};
use yunling_protocol::cose::{self, Typ};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::Role;
use yunling_protocol::proof::Claims;
use yunling_protocol::status::token::{Heading, sign};
use yunling_protocol::status::{Status, StatusList, StatusLists, StatusRef, StatusToken, TYP};

use super::proofs::{self, Case, INDEX, ISSUED, URI, claims, file, issue};
use super::world::{
    DAY, ISSUER, WITNESSES, card, cards_trust, hex, judge, list, list_or_none, name, number, read_trust,
    signed, signer, time, unhex, with_lists,
};

/// When the lists are made: two days after the proof.
const MADE: i64 = ISSUED + 2 * DAY;

fn heading(issuer: &str, uri: &str, made: i64) -> Heading {
    let (issued, expires) = (UnixTime(made), UnixTime(made + 30 * DAY));
    Heading { issuer: name(issuer), uri: uri.into(), issued, expires, ttl: 43_200 }
}

fn list_of(status: Status) -> StatusList {
    let mut list = StatusList::new();
    list.set(u64::from(INDEX), status).unwrap();
    list
}

fn token(status: Status, uri: &str, made: i64) -> Vec<u8> {
    sign(&signer(ISSUER, Role::Status), &heading(ISSUER, uri, made), &list_of(status)).unwrap()
}

/// A token with any claim 65533, typ, and presence of `ttl`.
fn odd(value: Value, typ: &str, ttl: bool) -> Vec<u8> {
    let map = MapBuilder::new()
        .put(1, cbor::text(ISSUER))
        .put(2, cbor::text(URI))
        .put(4, cbor::int(MADE + 30 * DAY))
        .put(6, cbor::int(MADE))
        .put(65_533, value)
        .put_opt(65_534, ttl.then(|| cbor::int(43_200)));
    let payload = cbor::encode(&map.build());
    cose::sign1(&signer(ISSUER, Role::Status), &Typ::Text(typ.into()), &[], &payload).unwrap()
}

fn packed(bits: u8, bytes: usize, more: &[u8]) -> Value {
    let row = StatusList::from_row(bits, vec![0; bytes]).unwrap();
    let mut packed = row.pack();
    packed.list.extend_from_slice(more);
    packed.to_value()
}

/// Tokens by themselves: bytes, when they came, what is said of them.
fn tokens() -> Vec<Json> {
    let case = |name: &str, bytes: &[u8], expect: Json| {
        json!({ "name": name, "hex": hex(bytes),
        "received": MADE + 60, "expect": expect })
    };
    let refused = |name: &str, bytes: &[u8], word: &str| case(name, bytes, json!({ "refused": word }));
    let by = |node: &str, role| {
        sign(&signer(node, role), &heading(ISSUER, URI, MADE), &StatusList::new()).unwrap()
    };
    let whole = || packed(2, 1 << 18, &[]);
    let mixed = {
        let mut list = StatusList::new();
        let all = [
            (0, Status::Revoked),
            (1, Status::Suspended),
            (2, Status::Superseded),
            ((1 << 20) - 1, Status::Revoked),
        ];
        for (index, status) in all {
            list.set(index, status).unwrap();
        }
        sign(&signer(ISSUER, Role::Status), &heading(ISSUER, URI, MADE), &list).unwrap()
    };
    let stranger =
        sign(&signer(WITNESSES[0], Role::Status), &heading(WITNESSES[0], URI, MADE), &StatusList::new());
    let good = |changed: Json| {
        json!({ "issuer": ISSUER, "uri": URI, "issued": MADE,
        "expires": MADE + 30 * DAY, "ttl": 43_200, "not_valid": changed })
    };
    vec![
        case("every place valid", &by(ISSUER, Role::Status), good(json!([]))),
        case(
            "the first byte is 0x39: places 0, 1, 2 are 1, 2, 3",
            &mixed,
            good(json!([[0, 1], [1, 2], [2, 3], [1_048_575, 1]])),
        ),
        refused("by the proof key", &by(ISSUER, Role::Proof), "status-list-signature"),
        refused("by another office", &by(WITNESSES[0], Role::Status), "status-list-signature"),
        refused("of an office that is not known", &stranger.unwrap(), "status-list-unknown-issuer"),
        refused("dated 601 seconds ahead", &token(Status::Valid, URI, MADE + 661), "status-list-from-future"),
        refused("another typ", &odd(whole(), "application/cwt", true), "status-list-encoding"),
        refused("no ttl", &odd(whole(), TYP, false), "status-list-encoding"),
        refused("one bit a place", &odd(packed(1, 1 << 17, &[]), TYP, true), "status-list-packed"),
        refused("half the places", &odd(packed(2, 1 << 17, &[]), TYP, true), "status-list-packed"),
        refused(
            "a byte behind the zlib stream",
            &odd(packed(2, 1 << 18, &[0]), TYP, true),
            "status-list-packed",
        ),
    ]
}

fn judged() -> Vec<Case<'static>> {
    let case = |name, trust, why, status| {
        Case { status, ..Case::new(name, issue(&claims()), trust, why).shows(&claims()) }.at(MADE + DAY)
    };
    let old = MADE + 30 * DAY;
    let outside = Claims { status: Some(StatusRef { index: 1 << 20, uri: URI.into() }), ..claims() };
    let none = Claims { status: None, ..claims() };
    vec![
        case("good", "valid", "proof-status-good", Some(("valid", MADE))),
        case("revoked", "revoked", "proof-revoked", Some(("revoked", MADE))),
        case("suspended", "suspended", "proof-suspended", Some(("suspended", MADE))),
        case("superseded", "superseded", "proof-superseded", Some(("superseded", MADE))),
        case("the list of another address", "other uri", "proof-status-unknown", None),
        case("a list made before the proof", "before", "proof-status-unknown", None),
        case("30 days old", "valid", "proof-status-good", Some(("valid", MADE))).at(old),
        case("a second older", "valid", "proof-status-stale", Some(("valid", MADE))).at(old + 1),
        case("suspended, and old", "suspended", "proof-status-stale", Some(("suspended", MADE))).at(old + 1),
        case("superseded stays", "superseded", "proof-superseded", Some(("superseded", MADE))).at(old + 1),
        case("revoked stays", "revoked", "proof-revoked", Some(("revoked", MADE))).at(old + 1),
        Case {
            stale: None,
            ..case("any age is taken", "valid", "proof-status-good", Some(("valid", MADE))).at(old + 1)
        },
        case(
            "the list is 301 seconds ahead of this clock",
            "valid",
            "proof-from-future",
            Some(("valid", MADE)),
        )
        .at(MADE - 301),
        case("revoked, though expired", "revoked", "proof-revoked", Some(("revoked", MADE)))
            .at(ISSUED + 366 * DAY),
        case("expired goes before superseded", "superseded", "proof-expired", Some(("superseded", MADE)))
            .at(ISSUED + 366 * DAY),
        Case::new("a place outside the list", issue(&outside), "valid", "proof-status-range")
            .shows(&outside)
            .at(MADE + DAY),
        Case::new("a proof without a place", issue(&none), "revoked", "proof-status-unknown")
            .shows(&none)
            .at(MADE + DAY),
    ]
}

pub(crate) fn make() -> Json {
    let trust = |status, uri, made| {
        with_lists(cards_trust(&[signed(&card(ISSUER))]), &[(token(status, uri, made), MADE + 60)])
    };
    let trusts = vec![
        ("valid", trust(Status::Valid, URI, MADE)),
        ("revoked", trust(Status::Revoked, URI, MADE)),
        ("suspended", trust(Status::Suspended, URI, MADE)),
        ("superseded", trust(Status::Superseded, URI, MADE)),
        ("other uri", trust(Status::Revoked, "yunling:s/9", MADE)),
        ("before", trust(Status::Valid, URI, ISSUED - 1)),
        ("nothing", cards_trust(&[signed(&card(ISSUER))])),
    ];
    let mut file = file(
        "Status list tokens, judged with trust `nothing`, and proofs judged with lists (SPEC 7, 12).",
        trusts,
        &judged(),
    );
    file["tokens"] = tokens().into();
    file
}

pub(crate) fn check(file: &Json) {
    proofs::check(file);
    let (members, _) = read_trust(&file["trusts"]["nothing"]);
    for case in list(&file["tokens"]) {
        let judged = StatusToken::parse(&unhex(&case["hex"])).and_then(|token| {
            let mut lists = StatusLists::default();
            lists.add(token.clone(), &members, time(&case["received"]))?;
            Ok(token)
        });
        judge(case, judged.map_err(|e| e.code().to_owned()).map(|token| {
            let h = &token.heading;
            let changed: Vec<Json> = token.list().changed().map(|(index, n)| json!([index, n])).collect();
            for one in list_or_none(&case["expect"]["not_valid"]) {
                assert_eq!(token.list().number(number(&one[0])).unwrap(), number(&one[1]) as u8);
            }
            json!({ "issuer": h.issuer.as_str(), "uri": h.uri, "issued": h.issued.0, "expires": h.expires.0,
                "ttl": h.ttl, "not_valid": changed })
        }));
    }
}
