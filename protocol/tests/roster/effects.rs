//! What the roster changes elsewhere: messages, statements, copies and proofs are judged by it, and a
//! node that reads itself as suspended is read-only.

use std::collections::BTreeMap;
use std::sync::Arc;

use yunling_protocol::custody::taking::verify_copied;
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::{DossierId, Salt, StatementId, TransferId};
use yunling_protocol::key::{Role, Signer as _};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::message::{Content, Life, Message, MessageError};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::office::{DecideError, Office};
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::proof::{self, Amount, Claims, Verdict as ProofVerdict, Why};
use yunling_protocol::roster::{Chain, Freshness, Roster, State, Verdict};
use yunling_protocol::statement::{Body, Statement, StatementError, VoidStatement, statement_common};

use crate::world::{
    LIFE_DAYS, advance, after, card, chain, change_node, name, office_key, set_state, signed,
};

const LIFE: Life = Life { generation: 1, mark: [1; 16] };

/// The chain after a second version, issued on day 10, with a change.
fn second(change: impl FnOnce(&mut Roster)) -> Members {
    let mut chain = chain();
    advance(&mut chain, 10, change).unwrap();
    known(&chain)
}

fn known(chain: &Chain) -> Members {
    let mut members = Members::default();
    members.insert(Member { card: signed(&card(9), 9, 0), removed_at: None });
    members.set_roster(Arc::new(chain.clone()));
    members
}

fn compromised(role: Role, days: i64) -> impl FnOnce(&mut Roster) {
    move |roster| {
        let public = office_key(2, role, 0).public();
        change_node(roster, 2, |node| node.compromised = vec![(public, after(days))]);
    }
}

fn message(n: u8, at: UnixTime) -> Vec<u8> {
    let message = Message {
        from: name(&format!("office-{n}")),
        to: name("office-1"),
        dossier: DossierId([1; 16]),
        epoch: 1,
        transfer: TransferId([2; 16]),
        life: LIFE,
        at,
        trial: false,
        content: Content::Pull { from: 0 },
    };
    message.sign(&office_key(n, Role::Statement, 0)).unwrap()
}

fn statement(n: u8) -> Statement {
    let issuer = name(&format!("office-{n}"));
    let common = statement_common(DossierId([1; 16]), Salt([3; 16]), issuer, after(1), false);
    let body = Body::Void(VoidStatement { target: StatementId([4; 32]), reason: "wrong".into(), note: None });
    Statement::sign(&office_key(n, Role::Statement, 0), &common, &body).unwrap()
}

#[test]
fn a_message_of_a_suspended_member_is_refused_from_that_day_on() {
    let members = second(|roster| set_state(roster, 2, State::Suspended, 10));
    let me = name("office-1");
    let open = |n: u8, days: i64| {
        Message::open(&message(n, after(days)), &me, &members, false, after(days)).map(|_| ())
    };
    assert_eq!(open(2, 9), Ok(()));
    let verdict = Verdict::Suspended { from: after(10) };
    let refused = open(2, 10);
    assert_eq!(refused, Err(MessageError::NotMember { name: name("office-2"), verdict }));
    assert_eq!(refused.unwrap_err().code(), "node-suspended");
    assert_eq!([open(3, 10), open(9, 10)], [Ok(()), Ok(())], "others and bilateral peers go on");
    assert_eq!(open(8, 10), Err(MessageError::UnknownPeer(name("office-8"))));
}

#[test]
fn a_message_by_a_compromised_key_is_refused_though_the_card_was_pinned() {
    let mut members = second(compromised(Role::Statement, 5));
    members.insert(Member { card: signed(&card(2), 2, 0), removed_at: None });
    let me = name("office-1");
    let open = |days: i64| Message::open(&message(2, after(days)), &me, &members, false, after(days));
    assert!(open(4).is_ok());
    assert_eq!(open(5).unwrap_err().code(), "message-signature");
}

#[test]
fn a_statement_says_why_its_genuine_signature_does_not_count() {
    let bytes = statement(2).bytes().to_vec();
    let verify = |members: &Members, days: i64| members.verify(&bytes, after(days), false).map(|_| ());
    let members = second(compromised(Role::Statement, 5));
    assert_eq!(verify(&members, 4), Ok(()));
    let from = after(5);
    assert_eq!(verify(&members, 6), Err(StatementError::Key(Verdict::Compromised { from })));
    let members = second(|roster| set_state(roster, 2, State::Withdrawn, 10));
    assert_eq!(verify(&members, 9), Ok(()));
    let from = after(10);
    assert_eq!(verify(&members, 10), Err(StatementError::Key(Verdict::Withdrawn { from })));
    assert_eq!(verify(&members, 10).unwrap_err().code(), "node-withdrawn");
    // A changed signature is no genuine one, whatever the roster says.
    let mut forged = bytes.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let error = members.verify(&forged, after(10), false).unwrap_err();
    assert_ne!(error.code(), "node-withdrawn");
}

#[test]
fn a_copy_takes_old_statements_of_who_left_but_none_of_a_compromised_key() {
    let bytes = statement(2).bytes().to_vec();
    let copied = |members: &Members| verify_copied(members, &bytes, false, after(20)).map(|_| ());
    assert_eq!(copied(&second(|_| ())), Ok(()));
    assert_eq!(copied(&second(|roster| set_state(roster, 2, State::Withdrawn, 10))), Ok(()));
    assert_eq!(copied(&second(|roster| set_state(roster, 2, State::Suspended, 10))), Ok(()));
    assert_eq!(copied(&second(compromised(Role::Statement, 10))), Err("key-compromised"));
    assert_eq!(copied(&second(compromised(Role::Proof, 10))), Ok(()), "another key of it");
    assert_eq!(copied(&second(compromised(Role::Statement, 21))), Ok(()), "not yet");
}

#[test]
fn a_proof_is_judged_by_the_roster() {
    let claims = Claims {
        issuer: name("office-2"),
        subject: [0; 16],
        issued: after(1),
        expires: after(300),
        full_name: None,
        amount: Amount::AtLeast(Minutes(60)),
        days: None,
        epoch: 1,
        recorders: vec![],
        number: None,
        trial: false,
        status: None,
    };
    let text = proof::issue(&office_key(2, Role::Proof, 0), &claims).unwrap();
    let why = |members: &Members| proof::verify(&text, members, after(20)).why;
    assert_eq!(why(&second(|_| ())), Why::StatusUnknown);
    assert_eq!(why(&second(compromised(Role::Proof, 15))), Why::KeyCompromised);
    assert_eq!(Why::KeyCompromised.verdict(), ProofVerdict::Invalid);
    assert_eq!(why(&second(compromised(Role::Statement, 15))), Why::StatusUnknown);
    let suspended = why(&second(|roster| set_state(roster, 2, State::Suspended, 10)));
    assert_eq!((suspended, suspended.verdict()), (Why::IssuerSuspended, ProofVerdict::CannotTell));
    let left = why(&second(|roster| set_state(roster, 2, State::Withdrawn, 10)));
    assert_eq!(left, Why::IssuerRemoved);
}

#[test]
fn an_expired_roster_is_said_and_after_a_while_it_vouches_for_nothing() {
    let claims = |issuer: &str| Claims {
        issuer: name(issuer),
        subject: [0; 16],
        issued: after(1),
        expires: after(900),
        full_name: None,
        amount: Amount::AtLeast(Minutes(60)),
        days: None,
        epoch: 1,
        recorders: vec![],
        number: None,
        trial: false,
        status: None,
    };
    let text = proof::issue(&office_key(2, Role::Proof, 0), &claims("office-2")).unwrap();
    let members = known(&chain());
    let at = |days: i64| {
        let checked = proof::verify(&text, &members, after(days));
        (checked.why, checked.roster)
    };
    let expired = |days| Some(Freshness::Expired { days });
    assert_eq!(at(20), (Why::StatusUnknown, Some(Freshness::Fresh { days: LIFE_DAYS - 20 })));
    assert_eq!(at(LIFE_DAYS), (Why::StatusUnknown, expired(0)), "said at once");
    assert_eq!(at(LIFE_DAYS + 30), (Why::StatusUnknown, expired(30)));
    assert_eq!(at(LIFE_DAYS + 31), (Why::RosterStale, expired(31)));
    assert_eq!(
        (Why::RosterStale.code(), Why::RosterStale.verdict()),
        ("proof-roster-stale", ProofVerdict::CannotTell)
    );
    // What it knows against a proof it knows for ever; a forged one stays forged.
    let stolen = second(compromised(Role::Proof, 15));
    assert_eq!(proof::verify(&text, &stolen, after(800)).why, Why::KeyCompromised);
    let forged = proof::issue(&office_key(3, Role::Proof, 0), &claims("office-2")).unwrap();
    assert_eq!(proof::verify(&forged, &members, after(800)).why, Why::UnknownKey);
    // Who is known by a card stands in no roster.
    let bilateral = proof::issue(&office_key(9, Role::Proof, 0), &claims("office-9")).unwrap();
    let checked = proof::verify(&bilateral, &members, after(800));
    assert_eq!((checked.why, checked.roster), (Why::StatusUnknown, None));
}

#[test]
fn a_node_that_reads_itself_as_suspended_is_read_only() {
    let members = second(|roster| set_state(roster, 2, State::Suspended, 10));
    let policies = BTreeMap::new();
    let office = |me, fenced, days: i64| {
        let members = &members;
        let (signer, policies) = (Box::leak(Box::new(office_key(2, Role::Statement, 0))), &policies);
        let (me, now) = (Box::leak(Box::new(name(me))), after(days));
        Office {
            me,
            life: LIFE,
            trial: false,
            members,
            signer,
            profile: &YUNNAN,
            policies,
            fenced,
            hold_transfers: false,
            now,
        }
    };
    assert_eq!(office("office-2", false, 9).closed(), None);
    assert_eq!(office("office-2", false, 10).closed(), Some("self-suspended"));
    assert_eq!(office("office-2", true, 10).closed(), Some("fenced"));
    assert_eq!(office("office-1", false, 10).closed(), None);
    assert_eq!(office("office-9", false, 10).closed(), None, "not in the roster at all");
    let rule = |me, other: &str| office(me, false, 10).refuse_peer(&name(other));
    assert_eq!(rule("office-1", "office-3"), Ok(()));
    assert_eq!(rule("office-1", "office-2"), Err(DecideError::Rule("node-suspended")));
    assert_eq!(rule("office-1", "office-8"), Err(DecideError::Rule("peer-unknown")));
    assert_eq!(rule("office-1", "office-1"), Err(DecideError::Rule("peer-unknown")));
}
