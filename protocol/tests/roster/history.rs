//! What may change from one version to the next: history grows and is never rewritten.

use std::sync::Arc;

use yunling_protocol::cbor::{self, Value};
use yunling_protocol::cose::sign::Sign;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role};
use yunling_protocol::roster::{
    Change, LastCheckpoint, LogPolicy, NODES_MAX, ROSTER_BYTES_MAX, Roster, RosterError, RosterNode,
    SignedRoster, State, StateEntry, diff,
};

use crate::world::{
    DAY, LIFE_DAYS, START, advance, after, card, chain, change_node, entry, first, member, name, next,
    office_key, set_state, sign, signed, stewards, try_sign,
};

/// Office 1's card made anew with a change, signed by its first statement key.
fn new_card(roster: &mut Roster, change: impl FnOnce(&mut yunling_protocol::card::Card)) {
    change_node(roster, 1, |node| {
        let mut card = node.card.card.clone();
        card.made_at = UnixTime(card.made_at.0 + DAY);
        change(&mut card);
        node.card = Arc::new(signed(&card, 1, 0));
    });
}

fn code(result: Result<(), RosterError>) -> &'static str {
    result.map_or_else(|e| e.code(), |()| "taken")
}

/// Adopts version 2 ten days after the first, with a change; then says what became of it.
fn second(change: impl FnOnce(&mut Roster)) -> &'static str {
    code(advance(&mut chain(), 10, change))
}

#[test]
fn what_is_free_to_change() {
    let result = second(|roster| {
        roster.threshold = 1;
        roster.stewards = stewards(&[1, 2, 3, 4]);
        new_card(roster, |card| {
            card.title_zh = "新".into();
            card.addresses.clear();
            card.contact = "other desk".into();
        });
        change_node(roster, 1, |node| {
            node.page = Some("https://vol.example/".into());
            node.log = None;
        });
    });
    assert_eq!(result, "taken");
}

#[test]
fn a_node_is_never_deleted() {
    let gone = |roster: &mut Roster| {
        (1..=2).for_each(|n| change_node(roster, n, |node| node.log = None));
        roster.nodes.remove(2);
    };
    assert_eq!(second(gone), "roster-node-gone");
}

#[test]
fn a_key_is_never_deleted_and_keeps_its_role_and_beginning() {
    let gone = |card: &mut yunling_protocol::card::Card| {
        card.keys.retain(|k| k.role != Role::Proof);
        card.keys.push(entry(1, Role::Proof, 1, after(10), None));
    };
    assert_eq!(second(|roster| new_card(roster, gone)), "roster-key-gone");
    let other_role = |card: &mut yunling_protocol::card::Card| {
        let public = card.keys.iter().find(|k| k.role == Role::Proof).unwrap().public;
        card.keys.retain(|k| k.role != Role::Proof);
        card.keys.push(KeyEntry::new(Role::Log, public, after(-30), None).unwrap());
        card.keys.push(entry(1, Role::Proof, 1, after(10), None));
    };
    assert_eq!(second(|roster| new_card(roster, other_role)), "roster-key-gone");
    for days in [-31, -29] {
        let moved = |card: &mut yunling_protocol::card::Card| card.keys[2].not_before = after(days);
        assert_eq!(second(|roster| new_card(roster, moved)), "roster-window");
    }
}

#[test]
fn a_window_may_end_from_the_settled_time_on_and_never_opens_again() {
    let until =
        |days: i64| move |card: &mut yunling_protocol::card::Card| card.keys[2].not_after = Some(after(days));
    assert_eq!(second(|roster| new_card(roster, until(-1))), "roster-window", "ends before version 1");
    assert_eq!(second(|roster| new_card(roster, until(0))), "taken");
    assert_eq!(second(|roster| new_card(roster, until(20))), "taken");
    let third = |end: i64, new: Option<i64>| {
        let mut chain = chain();
        advance(&mut chain, 10, |roster| new_card(roster, until(end))).unwrap();
        let change = |card: &mut yunling_protocol::card::Card| card.keys[2].not_after = new.map(after);
        code(advance(&mut chain, 20, |roster| new_card(roster, change)))
    };
    assert_eq!(third(15, Some(30)), "roster-window", "it had passed when version 3 was issued");
    assert_eq!(third(15, None), "roster-window");
    assert_eq!(third(25, Some(30)), "taken", "it had not");
    assert_eq!(third(25, None), "taken");
    assert_eq!(third(25, Some(9)), "roster-window", "what version 2 said of its time stays");
}

#[test]
fn a_new_key_of_a_known_node_is_not_dated_back() {
    let add = |days: i64| {
        move |card: &mut yunling_protocol::card::Card| {
            card.keys.push(entry(1, Role::Statement, 1, after(days), None));
        }
    };
    assert_eq!(second(|roster| new_card(roster, add(-1))), "roster-window");
    assert_eq!(second(|roster| new_card(roster, add(0))), "taken");
}

#[test]
fn a_compromise_is_never_taken_back() {
    let public = member(1).keys()[2].public;
    let mark = |days: Option<i64>| {
        move |roster: &mut Roster| {
            change_node(roster, 1, |node| {
                node.compromised = days.map(|d| (public, after(d))).into_iter().collect();
            });
        }
    };
    let third = |days: Option<i64>| {
        let mut chain = chain();
        advance(&mut chain, 10, mark(Some(-5))).unwrap();
        code(advance(&mut chain, 20, mark(days)))
    };
    assert_eq!(third(None), "roster-compromise-taken");
    assert_eq!(third(Some(-4)), "roster-compromise-taken");
    assert_eq!(third(Some(-5)), "taken");
    assert_eq!(third(Some(-6)), "taken", "more was found out");
    let strange = |roster: &mut Roster| {
        change_node(roster, 1, |node| node.compromised = vec![([9; 32], START)]);
    };
    assert_eq!(second(strange), "roster-no-such-key");
}

#[test]
fn states_are_only_added_and_rights_do_not_come_back_for_the_past() {
    let third = |change: &dyn Fn(&mut Roster)| {
        let mut chain = chain();
        advance(&mut chain, 10, |roster| set_state(roster, 1, State::Suspended, 5)).unwrap();
        code(advance(&mut chain, 20, change))
    };
    assert_eq!(third(&|r| change_node(r, 1, |node| drop(node.states.pop()))), "roster-state-gone");
    let moved = |r: &mut Roster| change_node(r, 1, |node| node.states[1].from = after(6));
    assert_eq!(third(&moved), "roster-state-gone");
    assert_eq!(third(&|r| set_state(r, 1, State::Active, 9)), "roster-state", "before version 2");
    assert_eq!(third(&|r| set_state(r, 1, State::Active, 10)), "taken");
    assert_eq!(third(&|r| set_state(r, 1, State::Withdrawn, 4)), "roster-state", "not in order");
    assert_eq!(third(&|r| set_state(r, 1, State::Withdrawn, 6)), "taken", "a judgement on the past");
    assert_eq!(third(&|r| set_state(r, 1, State::Suspended, 15)), "roster-state", "twice");
}

#[test]
fn who_left_does_not_come_back_under_its_name() {
    let third = |state: State| {
        let mut chain = chain();
        advance(&mut chain, 10, |roster| set_state(roster, 1, State::Withdrawn, 10)).unwrap();
        code(advance(&mut chain, 20, |roster| set_state(roster, 1, state, 20)))
    };
    assert_eq!(third(State::Active), "roster-state");
    assert_eq!(third(State::Suspended), "roster-state");
    let by = name("office-2");
    assert_eq!(third(State::Succeeded { by, checkpoint: None }), "taken", "somebody answers for it");
}

#[test]
fn a_line_of_successors_ends_at_a_listed_node() {
    let to = |text: &str| State::Succeeded { by: name(text), checkpoint: None };
    assert_eq!(second(|r| set_state(r, 1, to("nobody"), 10)), "roster-state");
    assert_eq!(second(|r| set_state(r, 1, to("office-1"), 10)), "roster-state");
    let ring = |r: &mut Roster| {
        set_state(r, 1, to("office-2"), 10);
        set_state(r, 2, to("office-3"), 10);
        set_state(r, 3, to("office-1"), 10);
    };
    assert_eq!(second(ring), "roster-state");
    let line = |r: &mut Roster| {
        set_state(r, 1, to("office-2"), 10);
        set_state(r, 2, to("office-3"), 10);
    };
    assert_eq!(second(line), "taken");
}

#[test]
fn a_new_node_joins_no_earlier_than_the_version_before() {
    let join = |days: i64| {
        second(move |roster| {
            roster.nodes.push(Arc::new(RosterNode::joining(signed(&card(4), 4, 0), after(days))));
        })
    };
    assert_eq!(join(-1), "roster-state");
    assert_eq!(join(0), "taken", "its keys may be older: it is judged from its joining on");
}

#[test]
fn an_older_card_is_refused() {
    let old = |roster: &mut Roster| new_card(roster, |card| card.made_at = after(-31));
    assert_eq!(second(old), "roster-card-older");
}

#[test]
fn a_key_is_listed_once() {
    let shared = |roster: &mut Roster| {
        let theirs = office_key(2, Role::Proof, 0);
        let public = yunling_protocol::key::Signer::public(&theirs);
        new_card(roster, |card| card.keys.push(KeyEntry::new(Role::Proof, public, after(5), None).unwrap()));
    };
    assert_eq!(second(shared), "roster-key-shared");
    let steward = |roster: &mut Roster| {
        let public = *roster.stewards[0].public();
        new_card(roster, |card| card.keys.push(KeyEntry::new(Role::Proof, public, after(5), None).unwrap()));
    };
    assert_eq!(second(steward), "roster-key-shared");
}

#[test]
fn witnesses_are_more_than_half_listed_and_not_the_owner() {
    let policy = |witnesses: &[&str], k: u64| {
        let witnesses = witnesses.iter().map(|n| name(n)).collect();
        second(move |r| {
            change_node(r, 1, |node| node.log = Some(LogPolicy { name: "p".into(), witnesses, k }));
        })
    };
    assert_eq!(policy(&["office-2", "office-3"], 2), "taken");
    assert_eq!(policy(&["office-2"], 1), "taken");
    assert_eq!(policy(&["office-2", "office-3"], 1), "roster-log-policy", "not 2k > n");
    assert_eq!(policy(&["office-2", "office-3"], 3), "roster-log-policy", "more than all");
    assert_eq!(policy(&[], 0), "roster-encoding", "a list of none is left out");
    assert_eq!(policy(&["office-2"], u64::MAX), "roster-log-policy");
    assert_eq!(policy(&["office-1", "office-2", "office-3"], 2), "roster-log-policy", "the owner");
    assert_eq!(policy(&["office-2", "office-2", "office-3"], 2), "roster-log-policy", "twice");
    assert_eq!(policy(&["office-2", "stranger"], 2), "roster-log-policy");
    let named = |title: String| {
        let witnesses = vec![name("office-2")];
        second(move |r| change_node(r, 1, |node| node.log = Some(LogPolicy { name: title, witnesses, k: 1 })))
    };
    assert_eq!(named(String::new()), "roster-policy-name", "no quorum can be made of it");
    assert_eq!([named("n".repeat(64)), named("n".repeat(65))], ["taken", "roster-policy-name"]);
    assert_eq!(named("名".repeat(22)), "roster-policy-name", "bytes are counted");
}

#[test]
fn forms_that_are_not_the_one_form_are_refused() {
    let check = |change: &dyn Fn(&mut Roster)| {
        let mut roster = first();
        change(&mut roster);
        try_sign(&roster, &[1]).map_or_else(|e| e.code(), |_| "taken")
    };
    assert_eq!(check(&|r| r.nodes.swap(0, 1)), "roster-encoding");
    assert_eq!(check(&|r| r.nodes.push(r.nodes[2].clone())), "roster-encoding", "a node twice");
    assert_eq!(check(&|r| r.stewards.swap(0, 1)), "roster-encoding");
    for url in ["javascript:alert(1)", "https://a b", "https://a\u{7}", "vol.example"] {
        assert_eq!(check(&|r| change_node(r, 1, |n| n.page = Some(url.into()))), "roster-encoding", "{url}");
    }
    assert_eq!(check(&|r| change_node(r, 1, |n| n.states.clear())), "roster-encoding");
    assert_eq!(check(&|r| change_node(r, 1, |n| n.states[0].state = State::Suspended)), "roster-state");
}

/// A field of a map, followed from label to label; the last one is set.
fn set(value: &mut Value, path: &[i64], new: &Value) {
    let Some((label, rest)) = path.split_first() else {
        *value = new.clone();
        return;
    };
    match value {
        Value::Map(map) => set(map.entry(cbor::int(*label)).or_insert(Value::Null), rest, new),
        Value::Array(items) => set(&mut items[*label as usize], rest, new),
        _ => panic!("no map or list at {label}"),
    }
}

#[test]
fn unknown_fields_other_kinds_and_other_headers_are_refused() {
    let one = sign(&first(), &[1, 2]);
    let payload = Sign::parse(&one.bytes(), ROSTER_BYTES_MAX, 4).unwrap().payload;
    let made = |typ: &str, payload: &Value| {
        let made = Sign::unsigned(typ, cbor::encode(payload));
        SignedRoster::parse(&made.encode()).map_or_else(|e| e.to_string(), |_| "taken".into())
    };
    let whole = cbor::decode(&payload, ROSTER_BYTES_MAX).unwrap();
    assert_eq!(made("yunling/roster", &whole), "taken");
    assert_eq!(made("yunling/card", &whole), "unexpected shape: typ of a roster is expected");
    let places: [&[i64]; 5] = [&[99], &[7, 0, 99], &[8, 0, 99], &[8, 0, 3, 99], &[8, 0, 4, 0, 99]];
    for path in places {
        let mut more = whole.clone();
        set(&mut more, path, &Value::Bool(true));
        assert_eq!(made("yunling/roster", &more), "unknown field 99", "{path:?}");
    }
    for (path, value) in [
        (&[1][..], cbor::int(2)),
        (&[8, 0, 4, 0, 1], cbor::int(5)),
        (&[8, 0, 4, 0, 1], cbor::int(4)),
        (&[9], Value::Bool(false)),
        (&[7, 0, 2], cbor::bytes([0; 32])),
        (&[8, 0, 1], cbor::bytes([0; 32])),
    ] {
        let mut other = whole.clone();
        set(&mut other, path, &value);
        assert_ne!(made("yunling/roster", &other), "taken", "{path:?} {value:?}");
    }
    let bytes = one.bytes();
    assert_eq!(bytes[..2], [0xd8, 98]);
    // Another tag, nothing signed with it; bytes behind; an unprotected header.
    let tag_18 = [&[0xd2], &bytes[2..]].concat();
    let trailing = [&bytes[..], &[0]].concat();
    let at = bytes.iter().position(|b| *b == 0xa0).unwrap();
    let header = [&bytes[..at], &[0xa1, 0x18, 99, 0x00], &bytes[at + 1..]].concat();
    for bad in [tag_18, trailing, header] {
        assert_eq!(SignedRoster::parse(&bad).unwrap_err().code(), "roster-encoding");
    }
}

#[test]
fn limits_hold_for_nodes_and_bytes() {
    let many = |count: usize, title: usize| {
        let node = |n: usize| {
            let mut card = card(1);
            card.name = name(&format!("office-{n:03}"));
            card.title_zh = "x".repeat(title);
            card.keys = (0..8u8)
                .map(|i| {
                    let mut seed = [i; 32];
                    seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
                    let key = yunling_protocol::key::SoftSigner::from_seed(&seed);
                    let public = yunling_protocol::key::Signer::public(&key);
                    KeyEntry::new(Role::ALL[usize::from(i)], public, after(-30), None).unwrap()
                })
                .collect();
            let mut seed = [1; 32];
            seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
            let key = yunling_protocol::key::SoftSigner::from_seed(&seed);
            Arc::new(RosterNode::joining(card.sign(&key).unwrap(), START))
        };
        let nodes = (0..count).map(node).collect();
        SignedRoster::draft(&Roster { nodes, ..first() })
    };
    let full = many(16, 40).unwrap();
    println!("16 nodes with 8 keys each: {} bytes", full.bytes().len());
    let large = many(400, 1).unwrap();
    println!("400 nodes with 8 keys each: {} bytes", large.bytes().len());
    assert!(large.bytes().len() <= ROSTER_BYTES_MAX);
    let error = many(NODES_MAX + 1, 1).unwrap_err();
    assert_eq!(error.code(), "roster-encoding");
    assert_eq!(many(400, 250).unwrap_err().code(), "roster-encoding", "over the bytes");
}

#[test]
fn a_diff_names_every_change_and_nothing_else() {
    let mut chain = chain();
    let one = chain.newest().roster().clone();
    assert_eq!(diff(&one, &one), []);
    let public = member(2).keys()[2].public;
    let last = LastCheckpoint { origin: "office-3/1".into(), size: 42, root: [5; 32] };
    advance(&mut chain, 10, |roster| {
        roster.threshold = 3;
        roster.stewards = stewards(&[1, 2, 4]);
        new_card(roster, |card| {
            card.keys.push(entry(1, Role::Statement, 1, after(12), None));
            card.keys[1].not_after = Some(after(20));
        });
        change_node(roster, 2, |node| node.compromised = vec![(public, after(3))]);
        set_state(roster, 3, State::Succeeded { by: name("office-1"), checkpoint: Some(last.clone()) }, 9);
        roster.nodes.push(Arc::new(RosterNode::joining(signed(&card(4), 4, 0), after(10))));
    })
    .unwrap_err();
    // Stewards 1 and 2 alone no longer meet the threshold of three.
    let mut two = next(chain.newest(), 10);
    two.threshold = 2;
    two.stewards = stewards(&[1, 2, 4]);
    new_card(&mut two, |card| {
        card.keys.push(entry(1, Role::Statement, 1, after(12), None));
        card.keys[1].not_after = Some(after(20));
    });
    change_node(&mut two, 2, |node| node.compromised = vec![(public, after(3))]);
    let state = State::Succeeded { by: name("office-1"), checkpoint: Some(last) };
    set_state(&mut two, 3, state.clone(), 9);
    two.nodes.push(Arc::new(RosterNode::joining(signed(&card(4), 4, 0), after(10))));
    chain.adopt(sign(&two, &[1, 2]), after(10)).unwrap();
    let kid = |n: u8, role: Role, turn: u8| entry(n, role, turn, START, None).kid();
    let steward = |n: u8| stewards(&[n])[0].kid();
    assert_eq!(
        diff(&one, chain.newest().roster()),
        [
            Change::StewardRemoved { name: "steward 3".into(), kid: steward(3) },
            Change::StewardAdded { name: "steward 4".into(), kid: steward(4) },
            Change::Expires { old: after(LIFE_DAYS), new: after(10 + LIFE_DAYS) },
            Change::KeyWindow {
                node: name("office-1"),
                role: Role::Statement,
                kid: kid(1, Role::Statement, 0),
                old: None,
                new: Some(after(20)),
            },
            Change::KeyAdded {
                node: name("office-1"),
                role: Role::Statement,
                kid: kid(1, Role::Statement, 1),
                from: after(12),
                until: None,
            },
            Change::KeyCompromised {
                node: name("office-2"),
                role: Role::Proof,
                kid: kid(2, Role::Proof, 0),
                from: Some(after(3)),
            },
            Change::StateAdded { node: name("office-3"), entry: StateEntry { state, from: after(9) } },
            Change::NodeAdded { node: name("office-4") },
        ]
    );
}
