//! The COSE working group's examples. A COSE_Sign1 of others is read when well-formed, its
//! Sig_structure is compared with the stated one whatever the algorithm, and Ed25519 signatures
//! are checked. None of these objects may ever be read as one of ours.

use crate::reader::{Foreign, Refusal, Seal, parse};
use serde_json::Value as Json;
use yunling_protocol::card::SignedCard;
use yunling_protocol::cbor::{self, Mode};
use yunling_protocol::cose::Sign1;
use yunling_protocol::message::Message;
use yunling_protocol::statement::Statement;
use yunling_tests::{Outcomes, hex, vector_json_files};

const CAP: usize = 64 * 1024;
const ES256: &str = "ES256: suite 1 verifies Ed25519 only; structure and Sig_structure are checked apart";

fn bytes_of(vector: &Json) -> Vec<u8> {
    hex(vector["output"]["cbor"].as_str().expect("output bytes"))
}

/// The files that hold one signature over one payload.
fn sign1_files() -> Option<Vec<(String, Json)>> {
    let mut files = vector_json_files("cose-wg")?;
    files.retain(|(_, vector)| vector["input"].get("sign0").is_some());
    Some(files)
}

fn aad(vector: &Json) -> Vec<u8> {
    vector["input"]["sign0"]["external"].as_str().map_or_else(Vec::new, hex)
}

fn ed25519_key(vector: &Json) -> Option<[u8; 32]> {
    let key = &vector["input"]["sign0"]["key"];
    (key["crv"] == "Ed25519").then(|| hex(key["x_hex"].as_str().expect("x")).try_into().expect("32 bytes"))
}

fn stated_to_be_signed(vector: &Json) -> Vec<u8> {
    hex(vector["intermediates"]["ToBeSign_hex"].as_str().expect("ToBeSign_hex"))
}

#[test]
fn signatures_over_one_payload_are_judged_as_stated() {
    let Some(files) = sign1_files() else { return };
    let mut outcomes = Outcomes::default();
    for (name, vector) in files {
        let must_fail = vector["fail"] == Json::Bool(true);
        let seal = parse(&bytes_of(&vector)).map(|token| token.seal(ed25519_key(&vector), &aad(&vector)));
        let result = match seal {
            Ok(Seal::Holds) if must_fail => Err("accepted".to_owned()),
            Ok(Seal::Holds) => Ok(()),
            _ if must_fail => Ok(()),
            other => Err(format!("{other:?}")),
        };
        outcomes.add(name, result);
    }
    outcomes.judge(
        "COSE_Sign1 examples",
        16,
        &[
            ("CWT/A_3.json", ES256),
            ("RFC8152/Appendix_C_2_1.json", ES256),
            ("eddsa-examples/eddsa-sig-02.json", "Ed448: suite 1 verifies Ed25519 only"),
            (
                "sign1-tests/sign-pass-01.json",
                "alg stands unprotected, and the stated header bytes are disputed upstream",
            ),
            ("sign1-tests/sign-pass-02.json", ES256),
            ("sign1-tests/sign-pass-03.json", ES256),
        ],
    );
}

#[test]
fn the_bytes_to_be_signed_are_the_stated_ones_whatever_the_algorithm() {
    let Some(files) = sign1_files() else { return };
    let mut outcomes = Outcomes::default();
    for (name, vector) in files.into_iter().filter(|(_, v)| v["fail"] != Json::Bool(true)) {
        let result = match parse(&bytes_of(&vector)) {
            Ok(token) if token.to_be_signed(&aad(&vector)) == stated_to_be_signed(&vector) => Ok(()),
            Ok(_) => Err("other bytes to be signed".into()),
            Err(refusal) => Err(format!("{refusal:?}")),
        };
        outcomes.add(name, result);
    }
    outcomes.judge(
        "Sig_structure of COSE_Sign1 examples",
        10,
        &[(
            "sign1-tests/sign-pass-01.json",
            "alg stands unprotected, and the stated header bytes are disputed upstream",
        )],
    );
}

/// The failing examples are ES256, so that none could verify here anyway: this shows that each is
/// refused, or covers other bytes than were signed, for the reason that it was made for.
#[test]
fn each_spoiled_signature_is_noticed_for_its_own_reason() {
    let Some(files) = sign1_files() else { return };
    let find = |name: &str| {
        let name = format!("sign1-tests/sign-{name}.json");
        files.iter().find(|(file, _)| *file == name).map(|(_, vector)| vector).expect("the file")
    };
    let read = |name: &str| parse(&bytes_of(find(name)));
    assert_eq!(read("fail-01").err(), Some(Refusal::NotCose("the tag is not 18")));
    assert_eq!(read("fail-03").map(|token| token.alg), Ok(-999));
    assert_eq!(read("fail-04").err(), Some(Refusal::Header("alg is no registered number")));
    for name in ["fail-06", "fail-07"] {
        let token = read(name).expect("it can be read");
        assert_ne!(
            token.to_be_signed(&[]),
            stated_to_be_signed(find(name)),
            "{name}: covers what was signed"
        );
    }
    // Only the signature differs from the example of RFC 8152 C.2.1 that it was made from.
    let original = files.iter().find(|(file, _)| file == "RFC8152/Appendix_C_2_1.json").expect("the file");
    let Foreign { protected, payload, signature, .. } =
        parse(&bytes_of(&original.1)).expect("it can be read");
    let spoiled = read("fail-02").expect("it can be read");
    assert_eq!((&spoiled.protected, &spoiled.payload.len()), (&protected, &payload.len()));
    assert!(spoiled.payload != payload || spoiled.signature != signature);
}

/// Every class of COSE message is well-formed CBOR; what is not COSE_Sign1 says so.
#[test]
fn every_example_is_well_formed_and_only_sign1_is_read_as_such() {
    let Some(files) = vector_json_files("cose-wg") else { return };
    let mut outcomes = Outcomes::default();
    for (name, vector) in files {
        let bytes = bytes_of(&vector);
        let sign1 = vector["input"].get("sign0").is_some();
        let result = match (cbor::check(&bytes, CAP, Mode::WellFormed), parse(&bytes)) {
            (Err(error), _) => Err(error.to_string()),
            (Ok(()), Ok(_)) if !sign1 => Err("read as COSE_Sign1".into()),
            (Ok(()), Err(Refusal::NotCose(_))) if !sign1 => Ok(()),
            (Ok(()), Err(refusal)) if !sign1 => Err(format!("{refusal:?}")),
            _ => Ok(()),
        };
        outcomes.add(name, result);
    }
    outcomes.judge("classes of COSE messages", 55, &[]);
}

#[test]
fn no_example_is_read_as_an_object_of_ours() {
    let Some(files) = vector_json_files("cose-wg") else { return };
    for (name, vector) in files {
        let bytes = bytes_of(&vector);
        assert!(Sign1::parse(&bytes, CAP).is_err(), "{name} is read as our envelope");
        assert!(Statement::parse(&bytes).is_err(), "{name} is read as a statement");
        assert!(SignedCard::parse(&bytes).is_err(), "{name} is read as a card");
        assert!(Message::parse_own(&bytes).is_err(), "{name} is read as a message");
    }
}
