//! What must not be read: the golden statements, changed in one way each and signed again where
//! only the form is wrong, so that nothing but the named rule can refuse them.

use yunling_protocol::card::SignedCard;
use yunling_protocol::cbor::{self, CborError, Value};
use yunling_protocol::cose::{self, CoseError, Sign1, Typ};
use yunling_protocol::key::{Role, Signer as _};
use yunling_protocol::message::{Frame, Message};
use yunling_protocol::name::NodeName;
use yunling_protocol::pairing::{Half, PairingError};
use yunling_protocol::proof::{PREFIX, Verdict, Why};
use yunling_protocol::statement::{Body, STATEMENT_BYTES_MAX, Statement, StatementError, typ_word};
use yunling_protocol::{base45, proof::verify};

use crate::samples::{self, SIGNED_AT, bodies, common, entry, signer};

fn sign_as(word: &str, payload: &[u8]) -> Vec<u8> {
    let aad = format!("{word}/1");
    cose::sign1(&signer(Role::Statement), &Typ::Text(word.into()), aad.as_bytes(), payload).unwrap()
}

fn payload_of(bytes: &[u8]) -> Vec<u8> {
    Sign1::parse(bytes, STATEMENT_BYTES_MAX).unwrap().payload
}

/// Every sample: its kind's word, its bytes, its payload.
fn samples() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let one = |(_, body): (&str, Body)| {
        let bytes = crate::statement(&body);
        let payload = payload_of(&bytes);
        (typ_word(body.kind()), bytes, payload)
    };
    bodies().into_iter().map(one).collect()
}

fn with_field(payload: &[u8], label: i64, value: Value) -> Vec<u8> {
    let Value::Map(mut map) = cbor::decode(payload, STATEMENT_BYTES_MAX).unwrap() else {
        panic!("a payload is a map")
    };
    map.insert(cbor::int(label), value);
    cbor::encode(&Value::Map(map))
}

#[test]
fn an_unknown_field_of_a_known_kind_is_refused() {
    for (word, _, payload) in samples() {
        for label in [9, 31, 99, -1] {
            let bytes = sign_as(&word, &with_field(&payload, label, Value::Bool(true)));
            let expected = StatementError::Cbor(CborError::UnknownField(label.to_string()));
            assert_eq!(Statement::parse(&bytes), Err(expected), "{word} with field {label}");
        }
    }
}

#[test]
fn a_missing_field_is_refused() {
    for (word, _, payload) in samples() {
        let Value::Map(map) = cbor::decode(&payload, STATEMENT_BYTES_MAX).unwrap() else { unreachable!() };
        for label in (1..=6).map(cbor::int) {
            let mut less = map.clone();
            less.remove(&label);
            let bytes = sign_as(&word, &cbor::encode(&Value::Map(less)));
            assert!(
                matches!(Statement::parse(&bytes), Err(StatementError::Cbor(_))),
                "{word} without {label:?}"
            );
        }
    }
}

#[test]
fn a_payload_encoded_in_another_way_is_refused_even_when_signed() {
    for (word, _, payload) in samples() {
        // The first pair is `01 kind`; the same kind in two bytes, and in an indefinite map.
        let pairs_at = if payload[0] == 0xb8 { 2 } else { 1 };
        assert_eq!(payload[pairs_at], 0x01);
        let longer = [&payload[..=pairs_at], &[0x18], &payload[pairs_at + 1..]].concat();
        let open_ended = [&[0xbf], &payload[pairs_at..], &[0xff]].concat();
        let trailing = [payload.as_slice(), &[0x00]].concat();
        for (changed, rule) in [(longer, "shortest"), (open_ended, "indefinite"), (trailing, "follow")] {
            let error = Statement::parse(&sign_as(&word, &changed)).unwrap_err();
            assert_eq!(error.code(), "statement-encoding", "{word}, {rule}");
            assert!(error.to_string().contains(rule), "{word}: {error}, not {rule}");
        }
    }
}

#[test]
fn keys_out_of_order_or_repeated_are_refused() {
    let (word, _, payload) = samples().swap_remove(0);
    let repeated = {
        // One pair more in the head, and `01 kind` twice.
        let (head, rest) = payload.split_at(2);
        [&[head[0], head[1] + 1], &rest[..2], rest].concat()
    };
    let swapped = {
        let (head, rest) = payload.split_at(2);
        [head, &rest[2..4], &rest[..2], &rest[4..]].concat()
    };
    for changed in [repeated, swapped] {
        let error = Statement::parse(&sign_as(&word, &changed)).unwrap_err();
        assert!(matches!(error, StatementError::Cbor(CborError::KeyOrder(_))), "{error}");
    }
}

/// Splits an envelope: tag and array head, protected header with its length, the rest after the
/// empty unprotected map.
fn split(bytes: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let protected_len = usize::from(bytes[3]);
    assert_eq!((&bytes[..3], bytes[4 + protected_len]), (&[0xd2, 0x84, 0x58][..], 0xa0));
    (&bytes[..2], &bytes[2..4 + protected_len], &bytes[5 + protected_len..])
}

#[test]
fn an_unprotected_label_is_refused_on_our_own_objects() {
    for (word, bytes, _) in samples() {
        let (head, protected, rest) = split(&bytes);
        for label in [&[0xa1, 0x18, 99, 0xf5][..], &[0xa1, 0x04, 0x41, 0x00], &[0xa1, 0x01, 0x32]] {
            let changed = [head, protected, label, rest].concat();
            assert_eq!(Statement::parse(&changed), Err(CoseError::Unprotected.into()), "{word}");
        }
    }
    let card = samples::signed_card();
    let (head, protected, rest) = split(card.bytes());
    let changed = [head, protected, &[0xa1, 0x18, 99, 0xf5], rest].concat();
    assert!(SignedCard::parse(&changed).is_err());
}

#[test]
fn a_label_more_or_less_in_the_protected_header_is_refused() {
    let payload = samples().swap_remove(0).2;
    let kid = signer(Role::Statement).kid();
    let typ = |out: &mut Vec<u8>| {
        out.push(0x10);
        cbor::put_text(out, &typ_word(1));
    };
    let envelope = |protected: &[u8]| {
        let aad = format!("{}/1", typ_word(1));
        let message = cose::sig_structure(protected, aad.as_bytes(), &payload);
        let mut out = vec![0xd2, 0x84];
        cbor::put_bytes(&mut out, protected);
        out.push(0xa0);
        cbor::put_bytes(&mut out, &payload);
        cbor::put_bytes(&mut out, &signer(Role::Statement).sign(&message).unwrap());
        out
    };
    let mut right = vec![0xa3, 0x01, 0x32, 0x04];
    cbor::put_bytes(&mut right, &kid);
    typ(&mut right);
    assert!(Statement::parse(&envelope(&right)).is_ok(), "the envelope built here is the right one");

    let mut more = vec![0xa4, 0x01, 0x32, 0x04];
    cbor::put_bytes(&mut more, &kid);
    typ(&mut more);
    more.extend([0x18, 99, 0xf5]);
    assert_eq!(Statement::parse(&envelope(&more)), Err(CoseError::ProtectedLabel.into()));

    let mut no_kid = vec![0xa2, 0x01, 0x32];
    typ(&mut no_kid);
    assert!(matches!(Statement::parse(&envelope(&no_kid)), Err(StatementError::Cose(CoseError::Cbor(_)))));

    let mut no_typ = vec![0xa2, 0x01, 0x32, 0x04];
    cbor::put_bytes(&mut no_typ, &kid);
    assert_eq!(Statement::parse(&envelope(&no_typ)), Err(StatementError::Typ(1)));

    // ES256 under our key id: an algorithm that is not the key's.
    let mut es256 = vec![0xa3, 0x01, 0x26, 0x04];
    cbor::put_bytes(&mut es256, &kid);
    typ(&mut es256);
    assert_eq!(Statement::parse(&envelope(&es256)), Err(CoseError::Algorithm(-7).into()));
}

#[test]
fn the_typ_of_another_kind_is_refused() {
    for (word, _, payload) in samples() {
        for (_, other) in Body::kinds() {
            let other = format!("yunling/{other}");
            if other != word {
                let error = Statement::parse(&sign_as(&other, &payload)).unwrap_err();
                assert!(matches!(error, StatementError::Typ(_)), "{word} under {other}: {error}");
            }
        }
        for other in ["yunling/message", "yunling/card"] {
            assert!(matches!(Statement::parse(&sign_as(other, &payload)), Err(StatementError::Typ(_))));
        }
    }
    // A signed card or message is no statement, and the other way round.
    assert!(Statement::parse(samples::signed_card().bytes()).is_err());
    let (_, statement, _) = samples().swap_remove(0);
    assert!(SignedCard::parse(&statement).is_err());
    assert!(Message::parse_own(&statement).is_err());
}

#[test]
fn a_signature_over_one_kind_never_counts_as_another() {
    // Right payload and typ, but signed with the external_aad of another kind.
    let payload = samples().swap_remove(0).2;
    let typ = Typ::Text(typ_word(1));
    let bytes = cose::sign1(&signer(Role::Statement), &typ, b"yunling/void/1", &payload).unwrap();
    let read = Statement::parse(&bytes).unwrap();
    assert_eq!(read.verify(&[entry(Role::Statement)]), Err(CoseError::BadSignature.into()));
}

#[test]
fn the_key_of_another_role_verifies_nothing() {
    for (word, bytes, _) in samples() {
        let read = Statement::parse(&bytes).unwrap();
        for role in [Role::Proof, Role::Log, Role::Transport] {
            assert_eq!(
                read.verify(&[entry(role)]),
                Err(CoseError::NoKey.into()),
                "{word} under {}",
                role.word()
            );
        }
    }
}

#[test]
fn a_bare_or_foreign_tag_is_refused() {
    let (_, bytes, _) = samples().swap_remove(0);
    for changed in [bytes[1..].to_vec(), [&[0xd1], &bytes[1..]].concat(), [&[0xd8, 61], &bytes[..]].concat()]
    {
        assert!(Statement::parse(&changed).is_err());
    }
}

#[test]
fn every_flipped_bit_of_every_statement_is_noticed() {
    let key = [entry(Role::Statement)];
    for (word, bytes, _) in samples() {
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let accepted = Statement::parse(&changed).is_ok_and(|s| s.verify(&key).is_ok());
            assert!(!accepted, "{word}: byte {at}");
        }
        for len in 0..bytes.len() {
            assert!(Statement::parse(&bytes[..len]).is_err(), "{word} cut to {len} bytes");
        }
    }
}

#[test]
fn a_half_of_a_pairing_counts_for_its_signer_its_peer_and_their_keys_only() {
    let card = samples::signed_card();
    let half = samples::half();
    let bytes = half.sign(&signer(Role::Statement)).unwrap();
    assert_eq!(Half::open(&bytes, &card, &card), Ok(half.clone()));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(Half::open(&changed, &card, &card).is_err(), "byte {at}");
        assert!(Half::open(&bytes[..at], &card, &card).is_err(), "cut to {at} bytes");
    }
    let mut other = samples::card();
    other.name = NodeName::parse("dali").unwrap();
    let other = other.sign(&signer(Role::Statement)).unwrap();
    for (by, with) in [(&other, &card), (&card, &other)] {
        assert_eq!(Half::open(&bytes, by, with), Err(PairingError::Other));
    }
    for wrong in [
        Half { trial: true, ..half.clone() },
        Half { fingerprint: other.fingerprint(), ..half.clone() },
        Half { by: other.card.name.clone(), ..half },
    ] {
        let bytes = wrong.sign(&signer(Role::Statement)).unwrap();
        assert_eq!(Half::open(&bytes, &card, &card), Err(PairingError::Other));
    }
}

#[test]
fn unknown_kinds_are_kept_with_their_bytes_whether_critical_or_not() {
    for kind in [12, 14, 20, 1_000_000, 21, 23, 1_000_001] {
        let body = Body::Unknown { kind, version: 1 };
        assert_eq!(Body::word(kind), None, "{kind} is a kind now: take another number here");
        let plain = Statement::sign(&signer(Role::Statement), &common(), &body).unwrap();
        // With fields that nobody here can know.
        let payload =
            with_field(&payload_of(plain.bytes()), 10, Value::Array(vec![cbor::int(1), cbor::text("x")]));
        for bytes in [plain.bytes().to_vec(), sign_as(&typ_word(kind), &payload)] {
            let read = Statement::parse(&bytes).unwrap();
            assert_eq!((&read.body, read.bytes()), (&body, bytes.as_slice()), "kind {kind}");
            assert!(read.verify(&[entry(Role::Statement)]).is_ok(), "kind {kind}");
        }
    }
}

#[test]
fn an_unknown_version_of_a_known_kind_is_kept() {
    for (kind, word) in Body::kinds() {
        let body = Body::Unknown { kind, version: 2 };
        let made = Statement::sign(&signer(Role::Statement), &common(), &body).unwrap();
        let read = Statement::parse(made.bytes()).unwrap();
        assert_eq!(read.body, body, "{word} version 2");
        assert!(read.verify(&[entry(Role::Statement)]).is_ok());
    }
}

#[test]
fn a_changed_proof_is_refused_and_a_newer_one_says_so() {
    let verdict = |token: &[u8]| {
        let checked = verify(&format!("{PREFIX}{}", base45::encode(token)), &samples::trust(), SIGNED_AT);
        (checked.verdict(), checked.why)
    };
    let (_, claims) = samples::proofs().swap_remove(0);
    let text = yunling_protocol::proof::issue(&signer(Role::Proof), &claims).unwrap();
    let token = base45::decode(&text[PREFIX.len()..]).unwrap();
    assert_eq!(verdict(&token), (Verdict::Valid, Why::StatusUnknown));

    let payload = payload_of(&token);
    let resign = |typ: &Typ, payload: &[u8]| cose::sign1(&signer(Role::Proof), typ, &[], payload).unwrap();
    let cwt = Typ::Number(yunling_protocol::proof::CWT);
    let extra = resign(&cwt, &with_field(&payload, 65_000, Value::Bool(true)));
    assert_eq!(verdict(&extra), (Verdict::CannotTell, Why::NewerVersion));
    let odd_status = resign(&cwt, &with_field(&payload, 65_535, Value::Bool(true)));
    assert_eq!(verdict(&odd_status), (Verdict::Invalid, Why::Malformed));
    assert_eq!(verdict(&resign(&Typ::Number(60), &payload)), (Verdict::Invalid, Why::Malformed));
    assert_eq!(
        verdict(&resign(&Typ::Text("yunling/void".into()), &payload)),
        (Verdict::Invalid, Why::Malformed)
    );
    assert_eq!(verdict(&[token.as_slice(), &[0]].concat()), (Verdict::Invalid, Why::Malformed));
    // A receipt in the unprotected map (P2) is not skipped; what else stands there is of a newer version.
    let at = 3 + usize::from(token[2] & 0x1f);
    assert_eq!(token[at], 0xa0);
    let with = |header: &[u8]| [&token[..at], header, &token[at + 1..]].concat();
    let no_receipt = with(&[0xa1, 0x19, 0x01, 0x8a, 0x81, 0x41, 0x00]);
    assert_eq!(verdict(&no_receipt), (Verdict::Invalid, Why::ReceiptBad));
    assert_eq!(verdict(&with(&[0xa1, 0x19, 0x01, 0x8b, 0x00])), (Verdict::CannotTell, Why::NewerVersion));
}

#[test]
fn frames_of_unknown_numbers_or_with_more_items_are_refused() {
    for (name, frame) in samples::frames() {
        let bytes = frame.encode();
        let longer = [&[bytes[0] + 1], &bytes[1..], &[0x00]].concat();
        assert!(Frame::decode(&longer).is_err(), "{name} with an item more");
        let renumbered = [&[bytes[0], 0x17], &bytes[2..]].concat();
        assert!(Frame::decode(&renumbered).is_err(), "{name} under an unknown number");
    }
}
