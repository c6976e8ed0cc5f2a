//! Rosters: what is read, what is adopted in which order, and what keys are worth by time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use yunling_protocol::card::{Card, SignedCard};
use yunling_protocol::cbor::{self, Value};
use yunling_protocol::cose::sign::Sign;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{Role, Signer as _};
use yunling_protocol::roster::{
    Chain, KeyRef, LastCheckpoint, Roster, RosterNode, SignedRoster, SignedTime, State, StateEntry,
};

use super::world::{
    DAY, ISSUER, START, WITNESSES, card, change_node, first_roster, hash_of, hex, judge, key, list, name,
    next_roster, number, role, sign_roster, signed, signer, steward, stewards, string, time, unhex,
};

const NEW: &str = "spec.example/w4";

fn day(n: i64) -> UnixTime {
    UnixTime(START + n * DAY)
}

fn add_node(roster: &mut Roster, card: SignedCard, from: i64) {
    roster.nodes.push(Arc::new(RosterNode::joining(card, day(from))));
}

fn state(roster: &mut Roster, node: &str, state: State, from: i64) {
    change_node(roster, node, |node| node.states.push(StateEntry { state, from: day(from) }));
}

/// A card of `node` made on `day`, with a change.
fn card_of(node: &str, made: i64, change: impl FnOnce(&mut Card)) -> Arc<SignedCard> {
    let mut card = Card { made_at: day(made), ..card(node) };
    change(&mut card);
    Arc::new(signed(&card))
}

fn one() -> SignedRoster {
    sign_roster(&first_roster(), &[1, 2])
}

/// Day 100: a member more, steward 4 for steward 3, w2 suspended, a proof key that ended and its follower.
fn second() -> Roster {
    let mut next = next_roster(&one(), 100);
    next.stewards = stewards(&[1, 2, 4]);
    let mut new = card(NEW);
    new.keys = Role::ALL.into_iter().map(|role| key(NEW, role, START, None)).collect();
    add_node(&mut next, signed(&new), 60);
    state(&mut next, WITNESSES[1], State::Suspended, 90);
    change_node(&mut next, ISSUER, |node| {
        node.card = card_of(ISSUER, 99, |card| {
            let at = card.keys.iter().position(|key| key.role == Role::Proof).unwrap();
            card.keys[at] = key(ISSUER, Role::Proof, START - 30 * DAY, Some(START + 120 * DAY));
            card.keys.push(key("spec.example/cangshan second", Role::Proof, START + 110 * DAY, None));
        });
    });
    next
}

fn two() -> SignedRoster {
    sign_roster(&second(), &[1, 2])
}

/// Day 200: a compromise of a past time, w2 is back, w4 acts for w3.
fn third() -> Roster {
    let mut next = next_roster(&two(), 200);
    state(&mut next, WITNESSES[1], State::Active, 150);
    let checkpoint = LastCheckpoint { origin: format!("{}/1", WITNESSES[2]), size: 70, root: [1; 32] };
    state(&mut next, WITNESSES[2], State::Succeeded { by: name(NEW), checkpoint: Some(checkpoint) }, 180);
    let public = signer(WITNESSES[0], Role::Statement).public();
    change_node(&mut next, WITNESSES[0], |node| node.compromised.push((public, day(50))));
    next
}

fn changed(roster: Roster, by: &[u8], change: impl FnOnce(&mut Roster)) -> Vec<u8> {
    let mut roster = roster;
    change(&mut roster);
    sign_roster(&roster, by).bytes()
}

/// Version 1 with any change of its payload, signed by stewards 1 and 2.
fn forged(typ: &str, change: impl FnOnce(&mut BTreeMap<Value, Value>)) -> Vec<u8> {
    let bytes = one().bytes();
    let Value::Map(mut map) =
        cbor::decode(&Sign::parse(&bytes, bytes.len(), 32).unwrap().payload, bytes.len()).unwrap()
    else {
        panic!("a map")
    };
    change(&mut map);
    let mut sign = Sign::unsigned(typ, cbor::encode(&Value::Map(map)));
    for n in [1, 2] {
        sign.sign(&steward(n), b"yunling/roster/1").unwrap();
    }
    sign.encode()
}

/// As [`forged`], with a change of the map of the first node, the issuer.
fn forged_node(change: impl FnOnce(&mut BTreeMap<Value, Value>)) -> Vec<u8> {
    forged("yunling/roster", |map| {
        let Some(Value::Array(nodes)) = map.get_mut(&cbor::int(8)) else { panic!("nodes") };
        let Value::Map(node) = &mut nodes[0] else { panic!("a node") };
        change(node);
    })
}

fn map<const N: usize>(fields: [(i64, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(label, value)| (cbor::int(label), value)).collect())
}

/// Versions that are refused whatever is held.
fn unread() -> Vec<Json> {
    let case = |name: &str, bytes: &[u8], word: &str| {
        json!({ "name": name, "hex": hex(bytes),
        "expect": { "refused": word } })
    };
    let put = |label: i64, value: Value| forged("yunling/roster", |m| _ = m.insert(cbor::int(label), value));
    let shared = map([(1, cbor::text("x")), (2, cbor::bytes(signer(ISSUER, Role::Log).public()))]);
    let states = |kind: i64| Value::Array(vec![map([(1, cbor::int(kind)), (2, cbor::int(START))])]);
    let witnesses = |names: &[&str]| Value::Array(names.iter().map(|n| cbor::text(*n)).collect());
    let named = |name: &str, k: i64, names: &[&str]| {
        forged_node(|m| {
            _ = m
                .insert(cbor::int(3), map([(1, cbor::text(name)), (2, cbor::int(k)), (3, witnesses(names))]));
        })
    };
    let policy = |k: i64, names: &[&str]| named("p", k, names);
    vec![
        case("another typ", &forged("yunling/card", |_| {}), "roster-encoding"),
        case("an unknown label", &put(10, cbor::int(1)), "roster-encoding"),
        case(
            "stewards out of order",
            &forged("yunling/roster", |m| {
                let Some(Value::Array(stewards)) = m.get_mut(&cbor::int(7)) else { panic!("stewards") };
                stewards.swap(0, 1);
            }),
            "roster-encoding",
        ),
        case(
            "a steward twice",
            &forged("yunling/roster", |m| {
                let Some(Value::Array(stewards)) = m.get_mut(&cbor::int(7)) else { panic!("stewards") };
                stewards[1] = stewards[0].clone();
            }),
            "roster-steward-twice",
        ),
        case("threshold 0", &put(6, cbor::int(0)), "roster-threshold"),
        case("four of three", &put(6, cbor::int(4)), "roster-threshold"),
        case("expires when it is issued", &put(5, cbor::int(START)), "roster-expires"),
        case("version 0", &put(2, cbor::int(0)), "roster-version"),
        case("version 1 that names one before", &put(3, cbor::bytes([1; 32])), "roster-version"),
        case("version 2 that names none", &put(2, cbor::int(2)), "roster-version"),
        case("a trial roster of real offices", &put(9, Value::Bool(true)), "roster-trial"),
        case("an office's key as a steward's", &put(7, Value::Array(vec![shared])), "roster-threshold"),
        case(
            "the same with threshold 1",
            &{
                let shared =
                    map([(1, cbor::text("x")), (2, cbor::bytes(signer(ISSUER, Role::Log).public()))]);
                forged("yunling/roster", |m| {
                    m.insert(cbor::int(6), cbor::int(1));
                    m.insert(cbor::int(7), Value::Array(vec![shared]));
                })
            },
            "roster-key-shared",
        ),
        case("half of the witnesses", &policy(1, &WITNESSES[..2]), "roster-log-policy"),
        case("the owner as witness", &policy(2, &[ISSUER, WITNESSES[0]]), "roster-log-policy"),
        case("an unlisted witness", &policy(1, &["spec.example/w9"]), "roster-log-policy"),
        case("a policy without a name", &named("", 2, &WITNESSES), "roster-policy-name"),
        case(
            "a policy with a name of 65 bytes",
            &named(&"n".repeat(65), 2, &WITNESSES),
            "roster-policy-name",
        ),
        case(
            "suspended from the beginning",
            &forged_node(|m| _ = m.insert(cbor::int(4), states(2))),
            "roster-state",
        ),
        case("no state", &forged_node(|m| _ = m.remove(&cbor::int(4))), "roster-state"),
        case(
            "a compromise of a key it does not have",
            &forged_node(|m| {
                _ = m.insert(
                    cbor::int(5),
                    Value::Array(vec![map([(1, cbor::bytes([1; 32])), (2, cbor::int(START))])]),
                );
            }),
            "roster-no-such-key",
        ),
        case(
            "a page that is no web address",
            &forged_node(|m| _ = m.insert(cbor::int(2), cbor::text("javascript:x"))),
            "roster-encoding",
        ),
        case("a broken card", &forged_node(|m| _ = m.insert(cbor::int(1), cbor::bytes([1]))), "roster-card"),
    ]
}

/// First versions that are not the pinned one, or not signed enough.
fn firsts() -> Vec<Json> {
    let pin = first_roster().fingerprint();
    let case = |name: &str, roster: &SignedRoster, pin: &str, trial: bool, now: i64, expect: Json| {
        json!({ "name": name, "hex": hex(&roster.bytes()), "pin": pin, "trial": trial,
        "now": now, "expect": expect })
    };
    let no = |word: &str| json!({ "refused": word });
    let begun = json!({ "version": 1, "hash": hex(&one().hash()), "fingerprint": pin });
    let broken = pin.replacen(' ', "", 3);
    let stranger = sign_roster(&first_roster(), &[1, 2, 9]);
    vec![
        case("pinned, two of three", &one(), &pin, false, START, begun.clone()),
        case("blanks of the pin do not matter", &one(), &broken, false, START, begun),
        case(
            "another pin",
            &one(),
            "0000 0000 0000 0000 0000 0000 0000 0000",
            false,
            START,
            no("roster-pin"),
        ),
        case(
            "one signature",
            &sign_roster(&first_roster(), &[1]),
            &pin,
            false,
            START,
            no("roster-threshold-own"),
        ),
        case(
            "a stranger's signature beside two good ones",
            &stranger,
            &pin,
            false,
            START,
            no("roster-signer-unknown"),
        ),
        case("for a trial home", &one(), &pin, true, START, no("roster-trial")),
        case("issued 601 seconds ahead", &one(), &pin, false, START - 601, no("roster-from-future")),
        case(
            "not version 1",
            &two(),
            &two().roster().fingerprint(),
            false,
            START + 100 * DAY,
            no("roster-not-first"),
        ),
    ]
}

struct Steps(Vec<Json>);

impl Steps {
    fn add(&mut self, name: &str, bytes: &[u8], on: i64, expect: &Json) {
        self.0.push(json!({ "name": name, "hex": hex(bytes), "now": START + on * DAY, "expect": expect }));
    }

    fn no(&mut self, name: &str, bytes: &[u8], on: i64, word: &str) {
        self.add(name, bytes, on, &json!({ "refused": word }));
    }
}

fn after_one(steps: &mut Steps) {
    steps.add("the version held", &one().bytes(), 1, &json!({ "known": 1 }));
    let mut bad = two().bytes();
    *bad.last_mut().unwrap() ^= 1;
    steps.no("a broken signature", &bad, 100, "roster-signature");
    steps.no(
        "one steward of the version before, two new ones",
        &changed(second(), &[1, 4], |r| {
            r.stewards = stewards(&[1, 4, 5]);
        }),
        100,
        "roster-threshold-before",
    );
    steps.no(
        "two stewards of the version before, one of its own",
        &changed(second(), &[1, 2], |r| {
            r.stewards = stewards(&[1, 4, 5]);
        }),
        100,
        "roster-threshold-own",
    );
    steps.no(
        "another hash of the version before",
        &changed(second(), &[1, 2], |r| r.previous = Some([1; 32])),
        100,
        "roster-previous",
    );
    steps.no(
        "issued before the version before",
        &changed(next_roster(&one(), -1), &[1, 2], |_| {}),
        100,
        "roster-issued-earlier",
    );
    let trial = changed(next_roster(&one(), 100), &[1, 2], |r| {
        r.trial = true;
        r.nodes = vec![];
    });
    steps.no("a trial version after a real one", &trial, 100, "roster-trial");
    steps.no("version 3 after version 1", &sign_roster(&third(), &[1, 2]).bytes(), 200, "roster-skipped");
    steps.no("a day ahead of this clock", &two().bytes(), 99, "roster-from-future");
    steps.no(
        "a node less",
        &changed(next_roster(&one(), 100), &[1, 2], |r| {
            r.nodes.retain(|node| node.name().as_str() != WITNESSES[2]);
            change_node(r, ISSUER, |node| node.log = None);
        }),
        100,
        "roster-node-gone",
    );
    let with_card = |card: Arc<SignedCard>| {
        changed(next_roster(&one(), 100), &[1, 2], |r| change_node(r, ISSUER, |node| node.card = card))
    };
    steps.no("an older card", &with_card(card_of(ISSUER, -31, |_| {})), 100, "roster-card-older");
    steps.no(
        "a key less",
        &with_card(card_of(ISSUER, 1, |card| {
            let at = card.keys.iter().position(|key| key.role == Role::Proof).unwrap();
            card.keys[at] = key("spec.example/cangshan second", Role::Proof, START, None);
        })),
        100,
        "roster-key-gone",
    );
    steps.no(
        "a window that ends before settled time",
        &with_card(card_of(ISSUER, 1, |card| {
            let at = card.keys.iter().position(|key| key.role == Role::Proof).unwrap();
            card.keys[at] = key(ISSUER, Role::Proof, START - 30 * DAY, Some(START - 1));
        })),
        100,
        "roster-window",
    );
    steps.no(
        "a new key that began before settled time",
        &with_card(card_of(ISSUER, 1, |card| {
            card.keys.push(key("spec.example/cangshan second", Role::Proof, START - 1, None));
        })),
        100,
        "roster-window",
    );
    steps.no(
        "a node that joined before settled time",
        &changed(next_roster(&one(), 100), &[1, 2], |r| add_node(r, signed(&card(NEW)), -1)),
        100,
        "roster-state",
    );
    steps.add("version 2", &two().bytes(), 100, &json!({ "adopted": 2 }));
}

fn after_two(steps: &mut Steps) {
    steps.add(
        "version 2 with a signature more",
        &sign_roster(&second(), &[1, 2, 4]).bytes(),
        101,
        &json!({ "known": 2 }),
    );
    steps.no(
        "another version 2, signed enough",
        &changed(second(), &[1, 2], |r| r.expires = day(900)),
        101,
        "roster-fork",
    );
    steps.no(
        "another version 2, signed too little",
        &changed(second(), &[1], |r| r.expires = day(900)),
        101,
        "roster-threshold-before",
    );
    steps.no(
        "by stewards of version 1 alone",
        &sign_roster(&third(), &[1, 3]).bytes(),
        200,
        "roster-signer-unknown",
    );
    steps.no(
        "states taken away",
        &changed(third(), &[1, 4], |r| change_node(r, WITNESSES[1], |node| node.states.truncate(1))),
        200,
        "roster-state-gone",
    );
    steps.no(
        "rights that come back for settled time",
        &changed(next_roster(&two(), 200), &[1, 4], |r| state(r, WITNESSES[1], State::Active, 95)),
        200,
        "roster-state",
    );
    steps.add(
        "version 3, by one old and one new steward",
        &sign_roster(&third(), &[1, 4]).bytes(),
        200,
        &json!({ "adopted": 3 }),
    );
    let three = sign_roster(&third(), &[1, 4]);
    steps.no(
        "a compromise taken back",
        &changed(next_roster(&three, 210), &[1, 4], |r| {
            change_node(r, WITNESSES[0], |node| node.compromised.clear());
        }),
        210,
        "roster-compromise-taken",
    );
    steps.no(
        "a compromise moved to a later time",
        &changed(next_roster(&three, 210), &[1, 4], |r| {
            change_node(r, WITNESSES[0], |node| node.compromised[0].1 = day(51));
        }),
        210,
        "roster-compromise-taken",
    );
}

fn verdict(node: &str, role: Role, public: &[u8; 32], at: i64, why: &str) -> Json {
    json!({ "node": node, "role": role.word(), "public": hex(public), "time": at, "why": why })
}

fn verdicts() -> Vec<Json> {
    let public = |node: &str, role| signer(node, role).public();
    let second_key = signer("spec.example/cangshan second", Role::Proof).public();
    let of = |node: &str, role, on: i64, why: &str| {
        verdict(node, role, &public(node, role), START + on * DAY, why)
    };
    let (w1, w2, w3) = (WITNESSES[0], WITNESSES[1], WITNESSES[2]);
    vec![
        of(ISSUER, Role::Log, 10, "key-good"),
        of(ISSUER, Role::Log, -1, "key-outside-window"),
        of(ISSUER, Role::Proof, 119, "key-good"),
        of(ISSUER, Role::Proof, 120, "key-outside-window"),
        verdict(ISSUER, Role::Proof, &second_key, START + 110 * DAY, "key-good"),
        verdict(ISSUER, Role::Proof, &second_key, START + 110 * DAY - 1, "key-outside-window"),
        verdict(ISSUER, Role::Status, &second_key, START + 110 * DAY, "key-unknown"),
        of("spec.example/w9", Role::Log, 10, "key-unknown-node"),
        of(w1, Role::Statement, 49, "key-good"),
        of(w1, Role::Statement, 50, "key-compromised"),
        of(w1, Role::Log, 50, "key-good"),
        of(w2, Role::Witness, 89, "key-good"),
        of(w2, Role::Witness, 90, "node-suspended"),
        of(w2, Role::Witness, 150, "key-good"),
        of(w3, Role::Witness, 179, "key-good"),
        of(w3, Role::Witness, 180, "node-succeeded"),
        of(NEW, Role::Log, 59, "key-outside-window"),
        of(NEW, Role::Log, 60, "key-good"),
    ]
}

pub(crate) fn make() -> Json {
    let mut steps = Steps(Vec::new());
    after_one(&mut steps);
    after_two(&mut steps);
    // A version that had expired when it came brings no members, and what it takes away counts.
    let mut late = second();
    late.expires = day(150);
    state(&mut late, WITNESSES[2], State::Withdrawn, 140);
    let mut expired = Steps(Vec::new());
    expired.add(
        "version 2, expired when it comes",
        &sign_roster(&late, &[1, 2]).bytes(),
        150,
        &json!({ "adopted": 2 }),
    );
    let of = |node: &str, on: i64, why: &str| {
        verdict(node, Role::Log, &signer(node, Role::Log).public(), START + on * DAY, why)
    };
    let begin = json!({ "hex": hex(&one().bytes()), "pin": first_roster().fingerprint(), "trial": false,
        "now": START });
    json!({
        "about": "Rosters (SPEC 9): versions refused by themselves; first versions; chains in steps, a refused step changes nothing; what keys are worth for a signature of a time.",
        "unread": unread(), "first": firsts(),
        "chains": [
            { "begin": begin, "steps": steps.0, "verdicts": verdicts() },
            { "begin": begin, "steps": expired.0, "verdicts": [
                of(NEW, 160, "key-roster-expired"), of(ISSUER, 160, "key-good"),
                of(WITNESSES[2], 139, "key-good"), of(WITNESSES[2], 140, "node-withdrawn"),
            ] },
        ],
    })
}

fn begin(case: &Json) -> Result<Chain, String> {
    let first = SignedRoster::parse(&unhex(&case["hex"])).map_err(|e| e.code().to_owned())?;
    let trial = case["trial"].as_bool().unwrap();
    Chain::begin(first, string(&case["pin"]), trial, time(&case["now"])).map_err(|e| e.code().to_owned())
}

pub(crate) fn check(file: &Json) {
    for case in list(&file["unread"]) {
        let read = SignedRoster::parse(&unhex(&case["hex"]));
        judge(case, read.map(|_| json!("read")).map_err(|e| e.code().to_owned()));
    }
    for case in list(&file["first"]) {
        judge(
            case,
            begin(case).map(|chain| {
                let newest = chain.newest();
                json!({ "version": newest.roster().version, "hash": hex(&newest.hash()),
                "fingerprint": newest.roster().fingerprint() })
            }),
        );
    }
    for one in list(&file["chains"]) {
        let mut chain = begin(&one["begin"]).unwrap();
        for step in list(&one["steps"]) {
            let before = chain.clone();
            let update = chain.update(&[unhex(&step["hex"])], time(&step["now"]));
            let newest = chain.newest().roster().version;
            let given = SignedRoster::parse(&unhex(&step["hex"])).unwrap().roster().version;
            let outcome = match update.refused {
                Some(error) => {
                    assert_eq!(chain, before, "a refused step changes nothing");
                    Err(error.code().to_owned())
                }
                None if update.adopted.is_empty() => Ok(json!({ "known": given })),
                None => Ok(json!({ "adopted": newest })),
            };
            judge(step, outcome);
        }
        for asked in list(&one["verdicts"]) {
            let public = hash_of(&asked["public"]);
            let at = SignedTime::Received(time(&asked["time"]));
            let said = chain.verdict(
                &name(string(&asked["node"])),
                role(&asked["role"]),
                KeyRef::Public(&public),
                at,
            );
            assert_eq!(said.code(), string(&asked["why"]), "{asked}");
        }
        assert!(number(&json!(chain.versions().len())) > 1);
    }
}
