#![allow(clippy::unwrap_used)]
use super::*;
use crate::card::{Card, NodeKind};
use crate::division::DivisionCode;
use crate::key::{KeyEntry, Signer, SoftSigner};
use crate::member::Member;
use crate::name::NodeName;
use crate::proof::{Amount, issue, issue_with_alg};

const ISSUED: UnixTime = UnixTime(1_795_000_000);

fn signer(role: Role) -> SoftSigner {
    SoftSigner::from_seed(&[role as u8; 32])
}

fn trust() -> Members {
    let keys = Role::ALL
        .into_iter()
        .map(|role| KeyEntry::new(role, signer(role).public(), UnixTime(0), None).unwrap())
        .collect();
    let card = Card {
        name: NodeName::parse("dali").unwrap(),
        title_zh: "大理".into(),
        title_en: "Dali".into(),
        division: DivisionCode(532_900),
        kind: NodeKind::Prefecture,
        keys,
        addresses: vec![],
        contact: String::new(),
        made_at: UnixTime(0),
        trial: false,
    };
    let mut trust = Members::default();
    trust.insert(Member { card: card.sign(&signer(Role::Statement)).unwrap(), removed_at: None });
    trust
}

fn claims() -> Claims {
    Claims {
        issuer: NodeName::parse("dali").unwrap(),
        subject: [7; 16],
        issued: ISSUED,
        expires: UnixTime(ISSUED.0 + 365 * 86_400),
        full_name: Some("岩温·罕".into()),
        amount: Amount::AtLeast(Minutes(18_000)),
        days: Some((Day(20_000), Day(20_700))),
        epoch: 1,
        recorders: vec![(NodeName::parse("kunming").unwrap(), None)],
        number: None,
        trial: false,
        status: None,
    }
}

#[test]
fn a_proof_is_valid_as_issued_and_its_text_fits_the_qr_alphabet() {
    let text = issue(&signer(Role::Proof), &claims()).unwrap();
    let checked = verify(&text, &trust(), ISSUED);
    assert_eq!((checked.why, checked.claims), (Why::StatusUnknown, Some(claims())));
    for alg in [crate::key::ALG_EDDSA, crate::key::ALG_ED25519] {
        let text = issue_with_alg(&signer(Role::Proof), alg, &claims()).unwrap();
        assert_eq!(verify(&text, &trust(), ISSUED).verdict(), Verdict::Valid);
    }
}

#[test]
fn every_changed_character_is_noticed() {
    let text = issue(&signer(Role::Proof), &claims()).unwrap();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_ne!(verify(&changed, &trust(), ISSUED).verdict(), Verdict::Valid, "character {at}");
    }
}

#[test]
fn each_doubt_has_its_own_word() {
    let text = issue(&signer(Role::Proof), &claims()).unwrap();
    let why = |text: &str, trust: &Members, now| verify(text, trust, now).why;
    assert_eq!(why(&text, &Members::default(), ISSUED), Why::UnknownIssuer);
    assert_eq!(why(&text, &trust(), UnixTime(ISSUED.0 + 366 * 86_400)), Why::Expired);
    assert_eq!(why(&text, &trust(), UnixTime(ISSUED.0 - 3_600)), Why::FromFuture);
    assert_eq!(why("HC1:ABC", &trust(), ISSUED), Why::NotAProof);
    // Signed by the statement key: right node, wrong role.
    let other = issue(&signer(Role::Statement), &claims()).unwrap();
    assert_eq!(why(&other, &trust(), ISSUED), Why::UnknownKey);
}

#[test]
fn a_proof_for_ever_is_judged_and_does_not_overflow() {
    let for_ever = Claims { expires: UnixTime(i64::MAX), ..claims() };
    let text = issue(&signer(Role::Proof), &for_ever).unwrap();
    assert_eq!(verify(&text, &trust(), ISSUED).why, Why::StatusUnknown);
    let never = Claims { issued: UnixTime(i64::MIN), expires: UnixTime(i64::MIN), ..claims() };
    let text = issue(&signer(Role::Proof), &never).unwrap();
    assert_eq!(verify(&text, &trust(), UnixTime(i64::MAX)).why, Why::DateUnproven);
}

#[test]
fn a_zlib_packed_proof_is_read_and_a_bomb_is_not() {
    use std::io::Write as _;
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        format!("{PREFIX}{}", base45::encode(&encoder.finish().unwrap()))
    };
    let text = issue(&signer(Role::Proof), &claims()).unwrap();
    let token = base45::decode(&text[4..]).unwrap();
    assert_eq!(verify(&pack(&token), &trust(), ISSUED).verdict(), Verdict::Valid);
    assert_eq!(verify(&pack(&vec![0; 100_000]), &trust(), ISSUED).why, Why::NotAProof);
}
