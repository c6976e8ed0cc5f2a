//! What a status list makes of a proof: each word, and that nothing but the signature comes before it.

#![allow(clippy::unwrap_used)]

#[path = "golden/samples.rs"]
#[allow(dead_code)]
mod samples;

use samples::{SIGNED_AT, signer, trust};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::Role;
use yunling_protocol::member::Member;
use yunling_protocol::proof::{Claims, StatusRules, Verdict, Verified, Why, issue, verify, verify_with};
use yunling_protocol::status::token::{Heading, sign};
use yunling_protocol::status::{
    LIST_SECONDS, Status, StatusList, StatusLists, StatusRef, StatusToken, TTL_SECONDS,
};

const DAY: i64 = 86_400;

fn claims() -> Claims {
    samples::proofs().into_iter().find(|(name, _)| *name == "p1-status").unwrap().1
}

fn text(claims: &Claims) -> String {
    issue(&signer(Role::Proof), claims).unwrap()
}

/// The lists a verifier has when the issuer's list of `at` says `status` of the sample's place.
fn lists(status: Status, at: UnixTime, uri: &str) -> StatusLists {
    let mut list = StatusList::new();
    list.set(u64::from(claims().status.unwrap().index), status).unwrap();
    let heading = Heading {
        issuer: claims().issuer,
        uri: uri.into(),
        issued: at,
        expires: UnixTime(at.0 + LIST_SECONDS),
        ttl: TTL_SECONDS,
    };
    let token = sign(&signer(Role::Status), &heading, &list).unwrap();
    let mut lists = StatusLists::default();
    assert_eq!(lists.add(StatusToken::parse(&token).unwrap(), &trust(), at), Ok(true));
    lists
}

fn uri() -> String {
    claims().status.unwrap().uri
}

fn check(claims: &Claims, lists: &StatusLists, now: UnixTime) -> Verified {
    verify_with(&text(claims), &trust(), lists, &StatusRules::default(), now)
}

fn later(days: i64) -> UnixTime {
    UnixTime(SIGNED_AT.0 + days * DAY)
}

#[test]
fn each_status_has_its_word_and_the_date_of_its_list() {
    let expected = [
        (Status::Valid, Verdict::Valid, Why::StatusGood),
        (Status::Revoked, Verdict::Invalid, Why::Revoked),
        (Status::Suspended, Verdict::CannotTell, Why::Suspended),
        (Status::Superseded, Verdict::CannotTell, Why::Superseded),
    ];
    for (status, verdict, why) in expected {
        let checked = check(&claims(), &lists(status, later(2), &uri()), later(3));
        assert_eq!((checked.verdict(), checked.why), (verdict, why));
        let seen = checked.status.unwrap();
        assert_eq!((seen.status, seen.at), (status, later(2)));
        assert_eq!(checked.claims, Some(claims()), "what is genuine is shown");
    }
}

#[test]
fn without_a_list_that_speaks_of_it_a_proof_is_valid_as_issued() {
    let unknown = |checked: Verified| {
        assert_eq!(
            (checked.verdict(), checked.why, checked.status),
            (Verdict::Valid, Why::StatusUnknown, None)
        );
    };
    unknown(verify(&text(&claims()), &trust(), later(3)));
    unknown(check(&claims(), &lists(Status::Valid, later(2), "yunling:s/9"), later(3)));
    // A list made before the proof does not know it.
    unknown(check(&claims(), &lists(Status::Valid, later(-1), &uri()), later(3)));
    // A proof made before there were lists names no place.
    let old = Claims { status: None, ..claims() };
    unknown(check(&old, &lists(Status::Revoked, later(2), &uri()), later(3)));
}

#[test]
fn age_takes_the_good_word_away_and_never_a_final_one() {
    let (made, now) = (later(2), UnixTime(later(2).0 + LIST_SECONDS + 1));
    let why = |status, rules: StatusRules, now| {
        verify_with(&text(&claims()), &trust(), &lists(status, made, &uri()), &rules, now).why
    };
    let usual = StatusRules::default();
    assert_eq!(why(Status::Valid, usual, UnixTime(now.0 - 1)), Why::StatusGood);
    assert_eq!(why(Status::Valid, usual, now), Why::StatusStale);
    assert_eq!(Why::StatusStale.verdict(), Verdict::CannotTell);
    assert_eq!(why(Status::Suspended, usual, now), Why::StatusStale);
    assert_eq!(why(Status::Superseded, usual, now), Why::Superseded);
    assert_eq!(why(Status::Revoked, usual, now), Why::Revoked);
    assert_eq!(why(Status::Valid, StatusRules { stale_seconds: None, ..usual }, now), Why::StatusGood);
    assert_eq!(
        why(Status::Valid, StatusRules { stale_seconds: Some(3_600), ..usual }, later(3)),
        Why::StatusStale
    );
    // A list from tomorrow has no age.
    assert_eq!(why(Status::Valid, usual, later(1)), Why::FromFuture);
}

#[test]
fn a_revocation_outlives_every_other_doubt_and_no_word_comes_before_the_signature() {
    let after_end = later(366);
    let mut revoked = lists(Status::Revoked, later(2), &uri());
    assert_eq!(check(&claims(), &revoked, after_end).why, Why::Revoked);
    assert_eq!(check(&claims(), &lists(Status::Superseded, later(2), &uri()), after_end).why, Why::Expired);

    let mut removed = trust();
    let card = removed.get(&claims().issuer).unwrap().card.clone();
    removed.insert(Member { card, removed_at: Some(later(1)) });
    let judged = |lists: &StatusLists| {
        verify_with(&text(&claims()), &removed, lists, &StatusRules::default(), later(3)).why
    };
    assert_eq!(judged(&lists(Status::Valid, later(2), &uri())), Why::IssuerRemoved);
    assert_eq!(judged(&revoked), Why::Revoked);

    // Signed by another role's key, or changed: the list is not asked.
    let forged = issue(&signer(Role::Statement), &claims()).unwrap();
    let checked = verify_with(&forged, &trust(), &revoked, &StatusRules::default(), later(3));
    assert_eq!((checked.why, checked.status), (Why::UnknownKey, None));
    // A newer list takes the older one's place.
    let newer = lists(Status::Suspended, later(3), &uri());
    let token = StatusToken::parse(newer.iter().next().unwrap().bytes()).unwrap();
    assert_eq!(revoked.add(token, &trust(), later(3)), Ok(true));
    assert_eq!(check(&claims(), &revoked, later(3)).why, Why::Suspended);
}

#[test]
fn a_place_outside_the_list_is_rejected() {
    let outside = StatusRef { index: 1 << 20, uri: uri() };
    let checked = check(
        &Claims { status: Some(outside), ..claims() },
        &lists(Status::Valid, later(2), &uri()),
        later(3),
    );
    assert_eq!((checked.verdict(), checked.why), (Verdict::Invalid, Why::StatusRange));
}
