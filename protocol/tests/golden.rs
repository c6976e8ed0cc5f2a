//! Golden bytes of everything that crosses the wire or lies in a chain, with fixed keys and salts.
//!
//! `golden/bytes.txt` holds `name hex` (or `name text`) a line. Making a sample must give exactly
//! these bytes, and reading them must give the sample back: whoever changes a byte has made a new
//! version. A kind, content or frame without golden bytes fails here; to add its lines run
//! `cargo test -p yunling-protocol --test golden -- --ignored --nocapture`. Never replace a line.

#![allow(clippy::unwrap_used)]

#[path = "golden/refusals.rs"]
mod refusals;
#[path = "golden/samples.rs"]
mod samples;

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use samples::{
    SIGNED_AT, answers, bodies, common, contents, courier_cover, courier_items, entry, frames, message,
    proofs, signer,
};
use yunling_protocol::card::SignedCard;
use yunling_protocol::courier;
use yunling_protocol::key::Role;
use yunling_protocol::message::{Answer, Content, Frame, Message};
use yunling_protocol::proof::{self, PREFIX, Verdict};
use yunling_protocol::roster::key_change::KeyChange;
use yunling_protocol::roster::{Adoption, Chain, SignedRoster, read_chain, write_chain};
use yunling_protocol::statement::{Body, Statement, id_of};
use yunling_protocol::{base45, proof::verify};

fn golden() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("golden/bytes.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut map = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(' ').expect("a golden line is `name value`");
        assert!(map.insert(name, value).is_none(), "golden bytes of {name} stand twice");
    }
    map
}

fn statement(body: &Body) -> Vec<u8> {
    Statement::sign(&signer(Role::Statement), &common(), body).unwrap().bytes().to_vec()
}

/// A courier file whose parcel is not closed: closing it is random.
fn courier_file() -> Vec<u8> {
    let mut writer = courier::Writer::default();
    assert!(courier_items().iter().all(|item| writer.put(item)));
    let parcel = writer.finish(&courier_cover());
    courier_cover().write(&signer(Role::Statement), &parcel).unwrap()
}

/// Every sample as made now: name and value.
fn made() -> Vec<(String, String)> {
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let mut all = Vec::new();
    for (name, body) in bodies() {
        all.push((format!("statement-{name}"), hex(&statement(&body))));
    }
    let trial = Statement::sign(
        &signer(Role::Statement),
        &yunling_protocol::statement::Common { trial: true, ..common() },
        &bodies()[0].1,
    );
    all.push(("statement-attestation-trial".into(), hex(trial.unwrap().bytes())));
    all.push(("card".into(), hex(samples::signed_card().bytes())));
    all.push(("card-text".into(), samples::signed_card().to_text()));
    all.push(("pairing-half".into(), hex(&samples::half().sign(&signer(Role::Statement)).unwrap())));
    all.push(("card-fingerprint".into(), samples::signed_card().fingerprint()));
    for (name, content) in contents() {
        all.push((format!("message-{name}"), hex(&message(content).sign(&signer(Role::Statement)).unwrap())));
    }
    all.extend(frames().into_iter().map(|(name, frame)| (name.to_owned(), hex(&frame.encode()))));
    all.extend(answers().into_iter().map(|(name, answer)| (name.to_owned(), hex(&answer.encode()))));
    let [one, two] = samples::rosters();
    all.push(("roster-first".into(), hex(&one.bytes())));
    all.push(("roster-full".into(), hex(&two.bytes())));
    all.push(("roster-hash".into(), hex(&two.hash())));
    all.push(("roster-fingerprint".into(), two.roster().fingerprint()));
    all.push(("roster-file".into(), hex(&write_chain([&one, &two]))));
    all.push(("key-change".into(), hex(&samples::key_change().sign(&signer(Role::Recovery)).unwrap())));
    let stolen = KeyChange { compromised_from: Some(samples::STOLEN_AT), ..samples::key_change() };
    all.push(("key-change-compromised".into(), hex(&stolen.sign(&signer(Role::Recovery)).unwrap())));
    all.push(("courier-file".into(), hex(&courier_file())));
    for (name, bundle) in samples::bundles() {
        all.push((format!("bundle-{name}"), hex(&bundle.encode())));
    }
    for (name, claims) in proofs() {
        all.push((format!("proof-{name}"), proof::issue(&signer(Role::Proof), &claims).unwrap()));
    }
    all
}

#[test]
#[ignore = "prints the lines of golden/bytes.txt for a new sample"]
fn print_golden_lines() {
    for (name, value) in made() {
        println!("{name} {value}");
    }
}

#[test]
fn making_a_sample_gives_exactly_its_golden_bytes() {
    let mut golden = golden();
    for (name, value) in made() {
        let expected = golden.remove(name.as_str()).unwrap_or_else(|| panic!("{name} has no golden bytes"));
        assert_eq!(value, expected, "{name}: its bytes changed, which needs a new version and a migration");
    }
    assert!(golden.is_empty(), "golden bytes that no sample makes: {:?}", golden.keys());
}

#[test]
fn every_statement_kind_has_golden_bytes() {
    let sampled: BTreeSet<u64> = bodies().iter().map(|(_, body)| body.kind()).collect();
    let known: BTreeSet<u64> = Body::kinds().map(|(kind, _)| kind).collect();
    assert_eq!(sampled, known, "a kind without a sample, or a sample of no kind");
    for (name, body) in bodies() {
        let word = Body::word(body.kind()).unwrap();
        assert!(name.starts_with(word), "sample {name} is a {word}");
    }
}

/// No wildcard arms: a new content, frame or answer does not compile until it is counted here, and
/// then fails until it has a sample.
#[test]
fn every_content_frame_and_answer_has_golden_bytes() {
    let content = |c: &Content| match c {
        Content::Request { .. } => 1,
        Content::Offer { .. } => 2,
        Content::Refuse { .. } => 3,
        Content::Pull { .. } => 4,
        Content::Accept { .. } => 5,
        Content::Release { .. } => 6,
        Content::Done { .. } => 7,
        Content::Cancel { .. } => 8,
        Content::Deliver { .. } => 9,
        Content::Recovering { .. } => 10,
        Content::Known { .. } => 11,
        Content::Notice { .. } => 12,
        Content::Rejoin { .. } => 13,
        Content::Vouch { .. } => 14,
    };
    let frame = |f: &Frame| match f {
        Frame::Message(_) => 1,
        Frame::Hello(_) => 2,
        Frame::Changes { .. } => 3,
        Frame::Pairing(_) => 4,
        Frame::LogFile { .. } => 5,
        Frame::AddCheckpoint(_) => 8,
        Frame::Status(_) => 7,
        Frame::Roster { .. } => 6,
        Frame::Checkpoint(_) => 9,
        Frame::Inclusions(_) => 10,
        Frame::Evidence(_) => 11,
    };
    let answer = |a: &Answer| match a {
        Answer::Ok => 1,
        Answer::Receipt(_) => 2,
        Answer::Moved { .. } => 3,
        Answer::Refused(_) => 4,
        Answer::Stale { .. } => 5,
        Answer::Busy => 6,
        Answer::Hello(_) => 7,
        Answer::Changes(_) => 8,
        Answer::Pairing(_) => 9,
        Answer::LogFile(_) => 10,
        Answer::Roster(_) => 11,
        Answer::Status(_) => 12,
        Answer::Witnessed { .. } => 13,
        Answer::Inclusions(_) => 14,
        Answer::Evidence(_) => 15,
    };
    let all = |numbers: BTreeSet<u64>, known: &[u64]| assert_eq!(numbers, known.iter().copied().collect());
    all(contents().iter().map(|(_, c)| content(c)).collect(), &(1..=14).collect::<Vec<_>>());
    all(frames().iter().map(|(_, f)| frame(f)).collect(), &(1..=11).collect::<Vec<_>>());
    all(answers().iter().map(|(_, a)| answer(a)).collect(), &(1..=15).collect::<Vec<_>>());
    for (name, c) in contents() {
        assert_eq!(content(&c), c.number(), "{name}");
        assert!(name.starts_with(c.word()), "sample {name} is a {}", c.word());
    }
}

fn bytes_of(golden: &BTreeMap<&str, &str>, name: &str) -> Vec<u8> {
    HEXLOWER.decode(golden[name].as_bytes()).unwrap()
}

#[test]
fn golden_statements_are_read_back_and_verify() {
    let golden = golden();
    let key = [entry(Role::Statement)];
    for (name, body) in bodies() {
        let bytes = bytes_of(&golden, &format!("statement-{name}"));
        let read = Statement::parse(&bytes).unwrap();
        assert_eq!((&read.common, &read.body), (&common(), &body), "{name}");
        assert_eq!((read.bytes(), read.id), (bytes.as_slice(), id_of(&bytes)), "{name}");
        assert!(read.verify(&key).is_ok(), "{name}");
    }
}

#[test]
fn golden_messages_are_read_back_and_verify() {
    let golden = golden();
    let (me, trust) = (samples::name("vol.yn.cn/530100"), samples::trust());
    for (name, content) in contents() {
        let bytes = bytes_of(&golden, &format!("message-{name}"));
        assert_eq!(Message::open(&bytes, &me, &trust, false, SIGNED_AT), Ok(message(content)), "{name}");
    }
    for (name, frame) in frames() {
        assert_eq!(Frame::decode(&bytes_of(&golden, name)), Ok(frame), "{name}");
    }
    for (name, answer) in answers() {
        assert_eq!(Answer::decode(&bytes_of(&golden, name)), Ok(answer), "{name}");
    }
}

#[test]
fn the_golden_courier_file_is_read_back() {
    let golden = golden();
    let bytes = bytes_of(&golden, "courier-file");
    let (me, trust) = (courier_cover().to, samples::trust());
    let (cover, parcel) = courier::Cover::open(&bytes, &me, &trust, false, SIGNED_AT).unwrap();
    assert_eq!((cover.life, cover.number, cover.at), (courier_cover().life, 3, SIGNED_AT));
    let read = courier::Parcel::read(parcel, &cover);
    assert_eq!(read, Ok(courier::Parcel { whole: true, items: courier_items() }));
}

#[test]
fn the_golden_card_is_read_back_in_both_forms() {
    let golden = golden();
    let card = SignedCard::parse(&bytes_of(&golden, "card")).unwrap();
    assert_eq!(card.card, samples::card());
    assert_eq!(SignedCard::from_text(golden["card-text"]), Ok(card.clone()));
    assert_eq!(card.fingerprint(), golden["card-fingerprint"]);
}

#[test]
fn the_golden_rosters_are_read_back_and_adopted() {
    let golden = golden();
    let versions = read_chain(&bytes_of(&golden, "roster-file")).unwrap();
    assert_eq!(versions, [bytes_of(&golden, "roster-first"), bytes_of(&golden, "roster-full")]);
    let [one, two] = samples::rosters();
    assert_eq!(SignedRoster::parse(&versions[0]), Ok(one.clone()));
    assert_eq!(SignedRoster::parse(&versions[1]), Ok(two.clone()));
    let begun = Chain::begin(one, golden["roster-fingerprint"], false, SIGNED_AT);
    let mut chain = begun.unwrap();
    assert_eq!(chain.adopt(two.clone(), SIGNED_AT), Ok(Adoption::Adopted));
    let bytes = bytes_of(&golden, "key-change");
    let member = two.roster().node(&samples::name("vol.yn.cn/532900")).unwrap();
    assert_eq!(KeyChange::open(&bytes, member, SIGNED_AT), Ok(samples::key_change()));
    let stolen = KeyChange { compromised_from: Some(samples::STOLEN_AT), ..samples::key_change() };
    let bytes = bytes_of(&golden, "key-change-compromised");
    assert_eq!(KeyChange::open(&bytes, member, SIGNED_AT), Ok(stolen));
}

#[test]
fn golden_proofs_are_valid_and_fit_a_printed_qr() {
    let golden = golden();
    for (name, claims) in proofs() {
        let text = golden[format!("proof-{name}").as_str()];
        let checked = verify(text, &samples::trust(), SIGNED_AT);
        assert_eq!((checked.verdict(), checked.claims), (Verdict::Valid, Some(claims)), "{name}");
        let token = base45::decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
        println!("{name}: {} bytes, {} characters", token.len(), text.len());
        // PROOFS §4.1: 250 bytes and a V12-M code, which holds 419 characters of its alphabet, for a proof
        // with a name of six characters and a status reference.
        let most = match name {
            "p1-status" => 250,
            "p1" => 190,
            "p1-blind" => 200,
            _ => 350,
        };
        assert!(text.len() <= 419 || name == "p1-full", "{name} has {} characters", text.len());
        assert!(token.len() <= most, "{name} has {} bytes, at most {most} fit", token.len());
    }
}
