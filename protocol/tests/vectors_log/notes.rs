//! Notes, checkpoints and cosignatures of seven projects, and verifier keys.

use serde_json::Value;
use yunling_protocol::log::note::{NoteKey, NoteSignature, VkeyError};
use yunling_protocol::log::{Checkpoint, Note, cosignature};

use crate::{Tally, json};

fn bytes(case: &Value) -> Vec<u8> {
    match case.get("note_hex") {
        Some(hex) => data_encoding::HEXLOWER.decode(hex.as_str().unwrap().as_bytes()).unwrap(),
        None => case["note"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn keys(case: &Value) -> Vec<NoteKey> {
    case["vkeys"].as_array().unwrap().iter().map(|k| NoteKey::parse(k.as_str().unwrap()).unwrap()).collect()
}

#[test]
fn notes_and_checkpoints() {
    let Some(set) = json("tlog/notes_checkpoints_cosignatures.json") else { return };
    let tally = Tally::new("notes, checkpoints and cosignatures", &[]);
    for case in set.as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        if id == "sigsum-cosignature-lines" {
            tally.case(id, true, cosignature_lines(case), &());
            continue;
        }
        let keys = keys(case);
        let note = Note::parse(&bytes(case));
        let verified = note.as_ref().map_err(|e| *e).and_then(|note| note.verify(&keys));
        // Two projects differ about a line with three bytes; we read it as Go does: malformed.
        let expected = case["expect"] == "ok";
        tally.case(id, expected, verified.is_ok(), &verified);
        let (Ok(note), Ok(verified)) = (note, verified) else { continue };
        assert_eq!(note.render().as_bytes(), bytes(case), "{id}: rendered again");
        if let Some(by) = case.get("verified_by") {
            let ours: Vec<String> = verified.iter().map(|known| known.key.vkey()).collect();
            assert_eq!(serde_json::to_value(ours).unwrap(), *by, "{id}: the keys that verify");
        }
        if id.starts_with("go-") || id.starts_with("c2sp-") {
            continue;
        }
        let checkpoint = Checkpoint::parse_text(&note.text).unwrap();
        assert_eq!(checkpoint.text(), note.text, "{id}: the text made of origin, size and root");
        if let Some(origin) = case.get("origin") {
            assert_eq!(checkpoint.origin, origin.as_str().unwrap(), "{id}");
        }
    }
    tally.finish(43);
}

fn cosignature_lines(case: &Value) -> bool {
    let text = case["checkpoint_body"].as_str().unwrap();
    let key = keys(case).remove(0);
    let lines: Vec<NoteSignature> = case["cosignature_lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| NoteSignature::parse_line(line.as_str().unwrap()).unwrap())
        .collect();
    let note = |line: &NoteSignature| Note { text: text.to_owned(), signatures: vec![line.clone()] };
    let counts: Vec<bool> =
        lines.iter().map(|line| note(line).verify(std::slice::from_ref(&key)).is_ok()).collect();
    let mut other_time = lines[1].signature.clone();
    other_time[7] ^= 1;
    counts == [false, true, false]
        && cosignature::verify(&key, text, &lines[1].signature) == Some(1234)
        && cosignature::verify(&key, text, &other_time).is_none()
}

#[test]
fn verifier_keys() {
    let Some(set) = json("tlog/vkeys.json") else { return };
    let tally = Tally::new(
        "verifier keys",
        &[(
            "works: native algMLDSA44 verifier",
            "ML-DSA-44 (type 0x06) is not built: its 2,420 bytes fit no QR; besides, the id of this one is not \
             that of its key by the rule of the specification",
        )],
    );
    for (group, expected) in [("valid", true), ("invalid", false)] {
        for case in set[group].as_array().unwrap() {
            let text = case["vkey"].as_str().unwrap();
            let key = NoteKey::parse(text);
            if text.len() > 1_000 {
                assert_eq!(key, Err(VkeyError::KeyId));
            }
            if let Ok(key) = &key {
                assert_eq!(key.vkey(), text);
            }
            tally.case(case["desc"].as_str().unwrap(), expected, key.is_ok(), &key);
        }
    }
    tally.finish(8);
}
