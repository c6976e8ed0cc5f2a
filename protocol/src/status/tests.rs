//! Lists, tokens, the collection and the hours.

#![allow(clippy::unwrap_used)]

use super::token::{Heading, sign};
use super::*;
use crate::day::{Day, UnixTime};
use crate::key::{KeyEntry, Role, Signer, SoftSigner};
use crate::name::NodeName;

const MADE: UnixTime = UnixTime(1_795_000_000);

fn signer(role: Role) -> SoftSigner {
    SoftSigner::from_seed(&[role as u8; 32])
}

fn key(role: Role) -> KeyEntry {
    KeyEntry::new(role, signer(role).public(), UnixTime(0), None).unwrap()
}

fn heading() -> Heading {
    Heading {
        issuer: NodeName::parse("dali").unwrap(),
        uri: "yunling:s/1".into(),
        issued: MADE,
        expires: UnixTime(MADE.0 + LIST_SECONDS),
        ttl: TTL_SECONDS,
    }
}

fn token(list: &StatusList) -> Vec<u8> {
    sign(&signer(Role::Status), &heading(), list).unwrap()
}

#[test]
fn a_list_holds_what_is_written_and_nothing_beside_it() {
    let mut list = StatusList::new();
    let places = [0, 1, 2, 3, 4, 524_287, u64::from(ENTRIES) - 1];
    let words = [Status::Superseded, Status::Revoked, Status::Suspended, Status::Superseded];
    for (place, word) in places.iter().zip(words.iter().cycle()) {
        list.set(*place, *word).unwrap();
    }
    list.set(1, Status::Suspended).unwrap();
    let changed: Vec<_> = list.changed().collect();
    assert_eq!(changed, [(0, 3), (1, 2), (2, 2), (3, 3), (4, 3), (524_287, 1), (1_048_575, 2)]);
    let end = u64::from(ENTRIES);
    assert_eq!(list.status(end), Err(StatusError::OutOfRange { index: end, entries: end }));
    assert!(list.set(end, Status::Revoked).is_err() && list.status(u64::MAX).is_err());
    assert_eq!(list.pack().unpack(), Ok(list));
}

#[test]
fn least_significant_bits_come_first() {
    // The short list of the draft: 1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3 = c9 44 f9.
    let list = StatusList::from_row(2, vec![0xc9, 0x44, 0xf9]).unwrap();
    let read: Vec<u8> = (0..12).map(|n| list.number(n).unwrap()).collect();
    assert_eq!(read, [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
}

#[test]
fn a_token_is_read_back_and_only_a_status_key_signs_it() {
    let mut list = StatusList::new();
    list.set(77, Status::Revoked).unwrap();
    let bytes = token(&list);
    let read = StatusToken::parse(&bytes).unwrap();
    assert_eq!((&read.heading, read.list(), read.bytes()), (&heading(), &list, bytes.as_slice()));
    assert_eq!(read.digest(), status_list_digest(&bytes));
    assert!(read.verify(&[key(Role::Status)]).is_ok());
    let other = SoftSigner::from_seed(&[99; 32]);
    let other = KeyEntry::new(Role::Status, other.public(), UnixTime(0), None).unwrap();
    assert!(read.verify(&[other]).is_err());
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let verified = StatusToken::parse(&changed).and_then(|t| t.verify(&[key(Role::Status)]).map(|_| ()));
        assert!(verified.is_err(), "byte {at}");
    }
}

fn signed(payload: &Value, typ: &crate::cose::Typ) -> Vec<u8> {
    crate::cose::sign1(&signer(Role::Status), typ, &[], &cbor::encode(payload)).unwrap()
}

#[test]
fn what_is_not_one_of_our_lists_is_refused_by_its_own_reason() {
    let claims = |list: Value| {
        cbor::MapBuilder::new()
            .put(1, cbor::text("dali"))
            .put(2, cbor::text("yunling:s/1"))
            .put(4, cbor::int(2))
            .put(6, cbor::int(1))
            .put(CLAIM_LIST, list)
            .put(CLAIM_TTL, cbor::int(1))
            .build()
    };
    let typ = crate::cose::Typ::Text(TYP.into());
    let parse = |list: Value| StatusToken::parse(&signed(&claims(list), &typ)).map(|_| ());
    let good = StatusList::new().pack();
    assert_eq!(parse(good.to_value()), Ok(()));
    let other_typ = signed(&claims(good.to_value()), &crate::cose::Typ::Number(61));
    assert_eq!(StatusToken::parse(&other_typ).map(|_| ()), Err(StatusError::NotAList("typ")));
    let packed = |bits, row: Vec<u8>| StatusList::from_row(bits, row).unwrap().pack().to_value();
    assert_eq!(parse(packed(4, vec![0; 1 << 19])), Err(StatusError::Bits(4)));
    assert_eq!(parse(packed(2, vec![0; 1 << 17])), Err(StatusError::Packed), "half as many places");
    assert_eq!(parse(packed(2, vec![0; (1 << 18) + 1])), Err(StatusError::Packed), "some more places");
    let raw = |list: Vec<u8>| Packed { bits: 2, list }.to_value();
    let tail = [good.list.as_slice(), &[0]].concat();
    assert_eq!(parse(raw(tail)), Err(StatusError::Packed), "bytes after the end");
    let mut sum = good.list.clone();
    *sum.last_mut().unwrap() ^= 1;
    assert_eq!(parse(raw(sum)), Err(StatusError::Packed), "checksum");
    let mut cut = good.list.clone();
    cut.truncate(cut.len() / 2);
    assert_eq!(parse(raw(cut)), Err(StatusError::Packed), "cut");
    assert_eq!(parse(raw(vec![])), Err(StatusError::Packed));
    // A CWT tag around it is what the draft forbids.
    let bytes = token(&StatusList::new());
    let tagged = [&[0xd8, 61], bytes.as_slice()].concat();
    assert!(StatusToken::parse(&tagged).is_err());
    assert_eq!(ForeignToken::parse(&tagged).map(|_| ()), Err(StatusError::NotAList("tag")));
}

#[test]
fn a_bomb_is_not_unpacked() {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let list = encoder.finish().unwrap();
    assert!(list.len() < 100_000);
    assert_eq!(Packed { bits: 8, list }.unpack().map(|_| ()), Err(StatusError::Packed));
}

#[test]
fn our_token_is_one_that_readers_of_the_draft_take() {
    let mut list = StatusList::new();
    list.set(5, Status::Superseded).unwrap();
    let read = ForeignToken::parse(&token(&list)).unwrap();
    assert_eq!((read.uri.as_str(), read.issued, read.ttl), ("yunling:s/1", MADE, Some(TTL_SECONDS)));
    let place = |index, uri: &str| StatusRef { index, uri: uri.into() };
    assert_eq!(read.number(&place(5, "yunling:s/1")), Ok(3));
    assert_eq!(read.number(&place(5, "yunling:s/2")), Err(StatusError::OtherUri));
    assert!(matches!(read.number(&place(ENTRIES, "yunling:s/1")), Err(StatusError::OutOfRange { .. })));
}

#[test]
fn a_reference_is_strict() {
    let place = StatusRef { index: 412_345, uri: "https://vol.yn.cn/532900/s/7".into() };
    assert_eq!(StatusRef::from_value(place.to_value()), Ok(place.clone()));
    let claim = |inner: Value| text_map([("status_list", inner)]);
    let inner = |idx: Value, uri: Value| text_map([("idx", idx), ("uri", uri)]);
    let refused = |value: Value| StatusRef::from_value(value).unwrap_err();
    let uri = || cbor::text("u");
    assert!(matches!(refused(claim(inner(cbor::int(-1), uri()))), StatusError::Cbor(_)));
    assert!(matches!(refused(claim(inner(cbor::text("1"), uri()))), StatusError::Cbor(_)));
    assert!(matches!(refused(claim(inner(cbor::int(1), cbor::text("")))), StatusError::Cbor(_)));
    assert!(matches!(refused(claim(text_map([("idx", cbor::int(1))]))), StatusError::Cbor(_)));
    let long = cbor::text("u".repeat(URI_BYTES_MAX + 1));
    assert!(matches!(refused(claim(inner(cbor::int(1), long))), StatusError::Cbor(_)));
    let far = claim(inner(cbor::int(1u64 << 40), uri()));
    assert!(matches!(refused(far), StatusError::OutOfRange { .. }));
    let more = text_map([("idx", cbor::int(1)), ("uri", uri()), ("x", cbor::int(1))]);
    assert!(matches!(refused(claim(more)), StatusError::Cbor(_)));
    let two = text_map([("status_list", inner(cbor::int(1), uri())), ("identifier_list", uri())]);
    assert_eq!(refused(two), StatusError::OtherMechanism);
}

#[test]
fn a_revocation_is_for_ever_and_a_suspension_is_not() {
    use Status::{Revoked, Superseded, Suspended, Valid};
    let all = [Valid, Revoked, Suspended, Superseded];
    let ways = all.map(|from| all.into_iter().filter(|to| from.may_become(*to)).collect::<Vec<_>>());
    let expected: [&[Status]; 4] =
        [&[Revoked, Suspended, Superseded], &[], &[Valid, Revoked, Superseded], &[Revoked]];
    assert_eq!(ways, expected.map(<[_]>::to_vec));
}

#[test]
fn a_list_is_due_at_fixed_hours_and_a_move_waits_for_one() {
    use schedule::{HOURS, due, last_fixed, shows};
    let day = Day::from_ymd(2026, 11, 18).unwrap().start();
    let at = |hour: i64, minute: i64| UnixTime(day.0 + hour * 3_600 + minute * 60);
    assert_eq!(last_fixed(at(11, 59), &HOURS), at(6, 0));
    assert_eq!(last_fixed(at(12, 0), &HOURS), at(12, 0));
    assert_eq!(last_fixed(at(0, 0), &HOURS), at(0, 0));
    assert_eq!(last_fixed(at(5, 0), &[6, 20]), at(-4, 0), "yesterday at 20");
    assert_eq!(last_fixed(at(5, 0), &[]), at(5, 0));
    assert_eq!(last_fixed(at(5, 0), &[77]), at(5, 0), "no hour of a day");
    assert!(due(None, at(6, 0), false));
    assert!(due(Some(at(5, 0)), at(6, 0), false) && !due(Some(at(6, 0)), at(6, 0), false));
    assert!(due(Some(at(7, 0)), at(6, 0), true));
    let sealed = at(8, 30);
    assert!(!shows(Status::Superseded, sealed, last_fixed(at(11, 59), &HOURS)));
    assert!(shows(Status::Superseded, sealed, last_fixed(at(12, 0), &HOURS)));
    assert!(shows(Status::Revoked, sealed, last_fixed(sealed, &HOURS)));
}
