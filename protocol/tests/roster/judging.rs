//! Whose key counted when: rotation, compromise, suspension, successors, and an expired roster.

use std::sync::Arc;

use yunling_protocol::card::SignedCard;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{Role, Signer as _};
use yunling_protocol::member::{Member, Members, Standing};
use yunling_protocol::roster::key_change::{KeyChange, KeyChangeError, Voucher, vouch};
use yunling_protocol::roster::{
    Chain, Freshness, KeyRef, LastCheckpoint, RosterNode, SignedTime, State, StateEntry, Verdict, read_chain,
    write_chain,
};

use crate::world::{
    DAY, LIFE_DAYS, START, advance, after, card, chain, change_node, entry, first, member, name, next,
    office_key, set_state, sign, signed,
};

/// What the statement key number `turn` of office `n` is worth `days` after the start.
fn worth(chain: &Chain, n: u8, turn: u8, days: i64) -> Verdict {
    let kid = office_key(n, Role::Statement, turn).kid();
    let time = SignedTime::Received(after(days));
    chain.verdict(&name(&format!("office-{n}")), Role::Statement, KeyRef::Id(kid), time)
}

/// Office 1's card with a second statement key from `from`, the first one ending at `end`.
fn rotated(from: i64, end: Option<i64>, turn: u8) -> SignedCard {
    let mut card = card(1);
    card.made_at = after(from);
    card.keys.iter_mut().find(|k| k.role == Role::Statement).unwrap().not_after = end.map(after);
    card.keys.push(entry(1, Role::Statement, 1, after(from), None));
    signed(&card, 1, turn)
}

#[test]
fn a_key_counts_in_its_window_from_the_joining_on() {
    let chain = chain();
    assert_eq!(worth(&chain, 1, 0, 0), Verdict::Good);
    assert_eq!(worth(&chain, 1, 0, -1), Verdict::OutsideWindow, "before it joined");
    assert_eq!(worth(&chain, 1, 1, 0), Verdict::UnknownKey);
    assert_eq!(worth(&chain, 9, 0, 0), Verdict::UnknownNode);
    let time = SignedTime::Received(START);
    let kid = office_key(1, Role::Statement, 0).kid();
    let verdict = chain.verdict(&name("office-1"), Role::Proof, KeyRef::Id(kid), time);
    assert_eq!(verdict, Verdict::UnknownKey, "a key counts in its role only");
    let public = office_key(1, Role::Statement, 0).public();
    let verdict = chain.verdict(&name("office-1"), Role::Statement, KeyRef::Public(&public), time);
    assert_eq!(verdict, Verdict::Good);
}

#[test]
fn rotation_with_overlap() {
    let mut chain = chain();
    let card = rotated(10, Some(20), 0);
    assert_eq!(
        vouch(chain.node(&name("office-1")).unwrap(), &card, None, after(9)),
        Ok(Voucher::StatementKey)
    );
    advance(&mut chain, 9, |r| change_node(r, 1, |node| node.card = Arc::new(card))).unwrap();
    let days = [9, 10, 19, 20];
    let old: Vec<bool> = days.iter().map(|d| worth(&chain, 1, 0, *d) == Verdict::Good).collect();
    let new: Vec<bool> = days.iter().map(|d| worth(&chain, 1, 1, *d) == Verdict::Good).collect();
    assert_eq!(old, [true, true, true, false]);
    assert_eq!(new, [false, true, true, true]);
    let at = |days: i64| chain.good_keys(&name("office-1"), Role::Statement, after(days)).count();
    assert_eq!([at(9), at(15), at(25)], [1, 2, 1]);
}

#[test]
fn lost_keys_are_replaced_by_the_recovery_key_and_by_nobody_else() {
    let chain = chain();
    let one = chain.node(&name("office-1")).unwrap();
    // The card of the new keys is signed by the new statement key: the old one is lost.
    let card = rotated(10, Some(10), 1);
    let unvouched = Err(KeyChangeError::Unvouched(name("office-1")));
    assert_eq!(vouch(one, &card, None, after(10)), unvouched);
    let change = KeyChange {
        node: name("office-1"),
        card: card.clone(),
        at: after(10),
        trial: false,
        compromised_from: None,
    };
    let bytes = change.sign(&office_key(1, Role::Recovery, 0)).unwrap();
    let opened = KeyChange::open(&bytes, one, after(10)).unwrap();
    assert_eq!(opened, change);
    assert_eq!(vouch(one, &card, Some(&opened), after(10)), Ok(Voucher::RecoveryKey));
    // Another card, another member, another signer.
    assert_eq!(vouch(one, &rotated(11, None, 1), Some(&opened), after(10)), unvouched);
    let two = chain.node(&name("office-2")).unwrap();
    assert_eq!(KeyChange::open(&bytes, two, after(10)).unwrap_err().code(), "key-change-other-node");
    for role in [Role::Statement, Role::Proof] {
        let forged = change.sign(&office_key(1, role, 0)).unwrap();
        assert_eq!(KeyChange::open(&forged, one, after(10)).unwrap_err().code(), "key-change-signature");
    }
    // A recovery key that is itself compromised vouches for nothing.
    let mut marked = one.clone();
    marked.compromised = vec![(office_key(1, Role::Recovery, 0).public(), after(5))];
    assert_eq!(KeyChange::open(&bytes, &marked, after(10)).unwrap_err().code(), "key-change-signature");
    assert!(KeyChange::open(&bytes, &marked, after(4)).is_ok());
}

#[test]
fn a_compromised_key_keeps_only_what_is_proven_to_be_older() {
    let mut chain = chain();
    let public = office_key(1, Role::Statement, 0).public();
    advance(&mut chain, 30, |r| change_node(r, 1, |node| node.compromised = vec![(public, after(20))]))
        .unwrap();
    let judge = |time| chain.verdict(&name("office-1"), Role::Statement, KeyRef::Public(&public), time);
    assert_eq!(judge(SignedTime::Cosigned(after(19))), Verdict::Good, "witnessed before");
    assert_eq!(judge(SignedTime::Received(after(19))), Verdict::Good, "this node saw it before");
    let from = after(20);
    assert_eq!(judge(SignedTime::Received(after(31))), Verdict::Compromised { from }, "dated before or not");
    assert_eq!(judge(SignedTime::Cosigned(from)), Verdict::Compromised { from });
    let other = office_key(1, Role::Proof, 0).kid();
    let verdict =
        chain.verdict(&name("office-1"), Role::Proof, KeyRef::Id(other), SignedTime::Received(after(31)));
    assert_eq!(verdict, Verdict::Good, "the other keys go on");
    assert_eq!(worth(&chain, 2, 0, 31), Verdict::Good);
}

#[test]
fn a_suspension_has_a_beginning_and_may_end() {
    let mut chain = chain();
    advance(&mut chain, 10, |r| set_state(r, 2, State::Suspended, 5)).unwrap();
    advance(&mut chain, 20, |r| set_state(r, 2, State::Active, 25)).unwrap();
    let suspended = Verdict::Suspended { from: after(5) };
    let expected = [(4, Verdict::Good), (5, suspended.clone()), (24, suspended), (25, Verdict::Good)];
    for (day, verdict) in expected {
        assert_eq!(worth(&chain, 2, 0, day), verdict, "day {day}");
    }
}

#[test]
fn withdrawal_and_successor() {
    let mut chain = chain();
    let checkpoint = Some(LastCheckpoint { origin: "office-3/1".into(), size: 9, root: [1; 32] });
    let state = State::Succeeded { by: name("office-1"), checkpoint: checkpoint.clone() };
    advance(&mut chain, 10, |r| {
        set_state(r, 2, State::Withdrawn, 8);
        set_state(r, 3, state, 8);
    })
    .unwrap();
    assert_eq!(worth(&chain, 2, 0, 7), Verdict::Good);
    assert_eq!(worth(&chain, 2, 0, 8), Verdict::Withdrawn { from: after(8) });
    assert_eq!(worth(&chain, 3, 0, 7), Verdict::Good);
    let by = name("office-1");
    assert_eq!(worth(&chain, 3, 0, 8), Verdict::Succeeded { from: after(8), by: by.clone() });
    let last = &chain.node(&name("office-3")).unwrap().states[1];
    assert_eq!(*last, StateEntry { state: State::Succeeded { by, checkpoint }, from: after(8) });
}

#[test]
fn witnesses_are_those_of_the_version_in_force() {
    let mut chain = chain();
    advance(&mut chain, 10, |r| change_node(r, 1, |node| node.log = None)).unwrap();
    let log = |at: UnixTime| {
        let version = chain.in_force(at)?;
        Some(version.roster().node(&name("office-1"))?.log.is_some())
    };
    assert_eq!(log(UnixTime(START.0 - 1)), None);
    assert_eq!([log(START), log(after(9)), log(after(10))], [Some(true), Some(true), Some(false)]);
}

#[test]
fn warnings_come_60_30_7_and_1_days_ahead_and_expiry_stops_nothing() {
    let chain = chain();
    let at = |left_seconds: i64| chain.freshness(UnixTime(after(LIFE_DAYS).0 - left_seconds));
    assert_eq!(at(60 * DAY + 1), Freshness::Fresh { days: 60 });
    let cases = [(60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (2, 7), (1, 1)];
    for (days, mark) in cases {
        assert_eq!(at(days * DAY), Freshness::Warn { days, mark });
    }
    assert_eq!(at(1), Freshness::Warn { days: 0, mark: 1 });
    assert_eq!(at(0), Freshness::Expired { days: 0 });
    assert_eq!(at(-3 * DAY), Freshness::Expired { days: 3 });
    assert_eq!(worth(&chain, 1, 0, LIFE_DAYS + 1000), Verdict::Good, "who is known goes on");
}

#[test]
fn an_expired_version_brings_no_new_members_or_keys_but_takes_away_at_once() {
    let mut chain = chain();
    let two = |chain: &Chain| {
        let mut two = next(chain.newest(), 10);
        change_node(&mut two, 1, |node| node.card = Arc::new(rotated(10, None, 0)));
        set_state(&mut two, 2, State::Suspended, 10);
        two.nodes.push(Arc::new(RosterNode::joining(signed(&card(4), 4, 0), after(10))));
        sign(&two, &[1, 2])
    };
    let late = 10 + LIFE_DAYS;
    let mut in_time = chain.clone();
    in_time.adopt(two(&chain), after(late - 1)).unwrap();
    chain.adopt(two(&chain), after(late)).unwrap();
    let day = late + 5;
    let all = |chain: &Chain| [worth(chain, 1, 0, day), worth(chain, 1, 1, day), worth(chain, 4, 0, day)];
    assert_eq!(all(&in_time), [Verdict::Good, Verdict::Good, Verdict::Good]);
    assert_eq!(all(&chain), [Verdict::Good, Verdict::RosterExpired, Verdict::RosterExpired]);
    for chain in [&chain, &in_time] {
        assert_eq!(worth(chain, 2, 0, day), Verdict::Suspended { from: after(10) });
    }
    // The next version in its time brings all of them.
    advance(&mut chain, day, |_| ()).unwrap();
    assert_eq!(all(&chain), [Verdict::Good, Verdict::Good, Verdict::Good]);
}

#[test]
fn a_stored_chain_is_the_same_chain() {
    let mut chain = chain();
    advance(&mut chain, 10, |r| set_state(r, 2, State::Suspended, 5)).unwrap();
    let stored: Vec<_> = chain.versions().iter().map(|a| (a.signed.bytes(), a.at)).collect();
    let pin = first().fingerprint();
    assert_eq!(Chain::load(stored.clone(), &pin, false), Ok(Some(chain.clone())));
    assert_eq!(Chain::load([], &pin, false), Ok(None));
    let mut damaged = stored;
    damaged[1].0[200] ^= 1;
    assert!(Chain::load(damaged, &pin, false).is_err());
    let file = write_chain(chain.versions().iter().map(|a| a.signed.as_ref()));
    let versions: Vec<_> = chain.versions().iter().map(|a| a.signed.bytes()).collect();
    assert_eq!(read_chain(&file), Ok(versions.clone()));
    assert_eq!(read_chain(&versions[1]), Ok(vec![versions[1].clone()]), "one version is a file too");
    for bytes in [&b""[..], &[0x80], &[0x81, 0x61, 0x78], &[0xa0]] {
        assert_eq!(read_chain(bytes).unwrap_err().code(), "roster-encoding");
    }
}

/// Members of a home that pinned the cards of offices `pinned`.
fn members(pinned: &[u8], chain: &Chain) -> Members {
    let mut members = Members::default();
    for n in pinned {
        members.insert(Member { card: signed(&card(*n), *n, 0), removed_at: None });
    }
    members.set_roster(Arc::new(chain.clone()));
    members
}

#[test]
fn members_come_from_the_roster_and_bilateral_peers_stay() {
    let mut chain = chain();
    let public = office_key(1, Role::Statement, 0).public();
    advance(&mut chain, 10, |r| {
        change_node(r, 1, |node| node.compromised = vec![(public, after(8))]);
        set_state(r, 2, State::Suspended, 10);
    })
    .unwrap();
    let known = members(&[1, 9], &chain);
    let standing = |n: u8| known.standing(&name(&format!("office-{n}")));
    assert_eq!(standing(1), Some(Standing::Roster), "pinned before, listed now");
    assert_eq!(standing(2), Some(Standing::Roster));
    assert_eq!((standing(9), standing(8)), (Some(Standing::Bilateral), None));
    let admits = |n: u8, day: i64| known.admits(&name(&format!("office-{n}")), after(day));
    assert_eq!(
        [admits(1, 12), admits(2, 9), admits(2, 10), admits(9, 12), admits(8, 12)],
        [true, true, false, true, false]
    );
    let keys =
        |n: u8, day: i64| known.keys(&name(&format!("office-{n}")), Role::Statement, after(day)).count();
    assert_eq!([keys(1, 7), keys(1, 8)], [1, 0], "the pinned card does not save a compromised key");
    assert_eq!([keys(2, 9), keys(2, 10), keys(3, 10)], [1, 0, 1]);
    assert_eq!([keys(9, -31), keys(9, -30)], [0, 1], "a bilateral peer's window is its card's");
    assert_eq!(known.iter().count(), 4);
}

#[test]
fn a_peer_removed_here_stays_removed_whatever_the_roster_says() {
    let mut members = Members::default();
    members.insert(Member { card: signed(&card(1), 1, 0), removed_at: Some(after(1)) });
    members.set_roster(Arc::new(chain()));
    assert!(!members.is_active(&name("office-1")) && !members.admits(&name("office-1"), after(2)));
    assert!(members.admits(&name("office-2"), after(2)));
}

#[test]
fn without_a_roster_all_is_as_before() {
    let mut known = Members::default();
    known.insert(Member { card: signed(&card(1), 1, 0), removed_at: None });
    assert_eq!(known.standing(&name("office-1")), Some(Standing::Bilateral));
    assert_eq!(known.state(&name("office-1"), after(5)), Verdict::Good);
    assert!(known.admits(&name("office-1"), after(-99)), "a card says nothing of states");
    assert_eq!(known.state(&name("office-2"), after(5)), Verdict::UnknownNode);
    assert_eq!(member(1).keys().len(), 8);
}

#[test]
fn a_request_marks_the_keys_that_its_card_ends_and_no_others() {
    let chain = chain();
    let one = chain.node(&name("office-1")).unwrap();
    let change = |end, compromised_from| KeyChange {
        node: name("office-1"),
        card: rotated(10, end, 1),
        at: after(10),
        trial: false,
        compromised_from,
    };
    let marked = |change: &KeyChange| change.compromised(one).map(|key| key.public).collect::<Vec<_>>();
    let old = office_key(1, Role::Statement, 0).public();
    assert_eq!(marked(&change(Some(10), Some(after(7)))), [old]);
    assert!(marked(&change(Some(10), None)).is_empty(), "lost, not stolen");
    assert!(marked(&change(Some(20), Some(after(7)))).is_empty(), "a planned overlap ends nothing now");
}
