#![allow(clippy::unwrap_used)]

use super::*;
use crate::key::{Signer as _, SoftSigner};
use crate::log::checkpoint::{Checkpoint, CheckpointError, Origin};

fn signer(seed: u8) -> SoftSigner {
    SoftSigner::from_seed(&[seed; 32])
}

fn key(name: &str, seed: u8) -> NoteKey {
    NoteKey::new(name, KeyType::Ed25519, &signer(seed).public()).unwrap()
}

fn line(name: &str, seed: u8, text: &str) -> NoteSignature {
    let signature = signer(seed).sign(text.as_bytes()).unwrap().to_vec();
    NoteSignature { name: name.into(), key_hash: key(name, seed).hash(), signature }
}

const TEXT: &str = "dali/1\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

fn note(signatures: Vec<NoteSignature>) -> Note {
    Note { text: TEXT.into(), signatures }
}

#[test]
fn unknown_keys_are_ignored_and_a_known_one_with_a_bad_signature_rejects_all() {
    let known = [key("dali/1", 1), key("b", 2)];
    let good = line("dali/1", 1, TEXT);
    let names = |note: &Note| {
        note.verify(&known).map(|found| found.iter().map(|k| k.key.name().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(names(&note(vec![good.clone()])), Ok(vec!["dali/1".into()]));
    assert_eq!(names(&note(vec![line("x", 9, TEXT), good.clone()])), Ok(vec!["dali/1".into()]));
    // The name of a known key and another id, or the other way round: an unknown key.
    assert_eq!(names(&note(vec![line("b", 1, TEXT), good.clone()])), Ok(vec!["dali/1".into()]));
    assert_eq!(names(&note(vec![line("b", 2, "other\n"), good.clone()])), Err(NoteError::BadSignature));
    assert_eq!(names(&note(vec![line("x", 9, TEXT)])), Err(NoteError::NoKnownSignature));
    let twice = note(vec![good.clone(), line("dali/1", 1, "other\n")]);
    assert_eq!(names(&twice), Ok(vec!["dali/1".into()]), "a key speaks once, as in Go");
    assert_eq!(note(vec![good]).verify(&[key("dali/1", 1), key("dali/1", 1)]), Err(NoteError::AmbiguousKey));
}

#[test]
fn a_hundred_signatures_are_read_and_no_more() {
    let many = |n| note(vec![line("x", 9, TEXT); n]).render();
    assert_eq!(Note::parse(many(16).as_bytes()).unwrap().signatures.len(), 16);
    assert!(Note::parse(many(SIGNATURES_MAX).as_bytes()).is_ok());
    assert_eq!(Note::parse(many(SIGNATURES_MAX + 1).as_bytes()), Err(NoteError::TooLarge));
    assert_eq!(Note::parse(&vec![b'a'; NOTE_BYTES_MAX + 1]), Err(NoteError::TooLarge));
}

#[test]
fn a_text_with_empty_lines_is_split_at_the_last_one() {
    let text = "a\n\nb\n";
    let note = Note { text: text.into(), signatures: vec![line("x", 9, text)] };
    assert_eq!(Note::parse(note.render().as_bytes()), Ok(note));
}

#[test]
fn weak_and_foreign_keys_are_refused_by_their_own_word() {
    let mut weak = [0; 32];
    weak[0] = 1;
    assert_eq!(NoteKey::new("a", KeyType::Ed25519, &weak), Err(VkeyError::Key));
    for name in ["", "a b", "a+b", "a\u{3000}b", "a\nb"] {
        assert_eq!(NoteKey::new(name, KeyType::Ed25519, &signer(1).public()), Err(VkeyError::Form), "{name}");
    }
    let text = key("dali/1", 1).vkey();
    assert_eq!(NoteKey::parse(&text), Ok(key("dali/1", 1)));
    let other_name = text.replace("dali/1", "dali/2");
    assert_eq!(NoteKey::parse(&other_name), Err(VkeyError::KeyId));
}

#[test]
fn a_checkpoint_is_its_three_lines_and_signs_under_its_origin() {
    let head = Checkpoint::new("dali/1", 5, [0; 32]);
    assert_eq!(head.text(), TEXT);
    let note = head.sign(&signer(1)).unwrap();
    assert_eq!(Checkpoint::parse(note.render().as_bytes()), Ok((note.clone(), head.clone())));
    assert!(note.verify(&[key("dali/1", 1)]).is_ok());
    let body = |size: &str| TEXT.replace("\n5\n", &format!("\n{size}\n"));
    for size in ["", "05", "+5", "-5", "5 ", "18446744073709551616", "五"] {
        assert_eq!(Checkpoint::parse_text(&body(size)), Err(CheckpointError::Malformed), "{size}");
    }
    assert_eq!(Checkpoint::parse_text(&body("18446744073709551615")).map(|c| c.size), Ok(u64::MAX));
    for text in [
        "",
        "\n",
        "a\n5\n",
        "a\n5\nAAAA\n",
        &TEXT[..TEXT.len() - 1],
        &format!("{TEXT}\n"),
        &format!("\n{TEXT}"),
    ] {
        assert!(Checkpoint::parse_text(text).is_err(), "{text:?}");
    }
    // What could not be read again is not signed.
    for origin in ["", "a b", "a\nb", "a+b"] {
        assert!(Checkpoint::new(origin, 5, [0; 32]).sign(&signer(1)).is_err(), "{origin:?}");
    }
    let extended = Checkpoint { extension: "more\n\nlines\n".into(), ..head };
    assert!(extended.sign(&signer(1)).is_err());
}

#[test]
fn an_origin_is_a_node_and_the_generation_of_its_life() {
    let origin = Origin::parse("vol.yn.cn/532900/12").unwrap();
    assert_eq!((origin.node.as_str(), origin.generation), ("vol.yn.cn/532900", 12));
    assert_eq!(origin.to_string(), "vol.yn.cn/532900/12");
    for wrong in ["dali", "dali/", "dali/01", "dali/x", "/1", "da li/1", "dali/-1"] {
        assert_eq!(Origin::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_cosignature_binds_witness_time_and_text() {
    let made = cosignature::sign(&signer(3), "kunming", 1_795_000_000, TEXT).unwrap();
    assert_eq!(made.raw().len(), cosignature::COSIGNATURE_BYTES);
    let key = NoteKey::new("kunming", KeyType::CosignatureV1, &signer(3).public()).unwrap();
    assert_eq!(cosignature::verify(&key, TEXT, &made.signature), Some(1_795_000_000));
    assert_eq!(cosignature::verify(&key, &TEXT.replace('5', "6"), &made.signature), None);
    assert_eq!(cosignature::verify(&key, TEXT, &made.signature[1..]), None);
    let plain = NoteKey::new("kunming", KeyType::Ed25519, &signer(3).public()).unwrap();
    assert_eq!(cosignature::verify(&plain, TEXT, &made.signature), None, "a key of the other type");
    assert_ne!(plain.hash(), key.hash());
    assert!(cosignature::sign(&signer(3), "kunming", u64::MAX, TEXT).is_err());
    // A plain signature over the text is no cosignature, and the other way round.
    let mut note = note(vec![made]);
    note.signatures[0].key_hash = plain.hash();
    assert_eq!(note.verify(&[plain]), Err(NoteError::BadSignature));
}

#[test]
fn base64_put_together_of_two_texts_is_another_spelling_and_refused() {
    // Four bytes and eight, each padded by itself; a lenient decoder reads twelve.
    assert_eq!(NoteSignature::parse_line("\u{2014} a AAAAAA==AAAAAAAAAAA="), Err(NoteError::Malformed));
    assert!(NoteSignature::parse_line("\u{2014} a AAAAAAAAAAAAAAAA").is_ok());
    let hash = |text: &str| Checkpoint::parse_text(&format!("dali/1\n5\n{text}\n")).is_ok();
    assert!(hash("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    assert!(!hash("AAA=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}
