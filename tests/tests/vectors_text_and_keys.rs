//! Base45 (RFC 9285) and Ed25519 vectors of other projects. Base45 is read strictly both ways; a
//! signature counts only under `verify_strict` through the key entry that every check goes through.

use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value as Json;
use yunling_protocol::base45;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role};
use yunling_tests::{Outcomes, hex, vector_json};

fn text<'a>(vector: &'a Json, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("vector without {field}"))
}

#[test]
fn base45_texts_are_read_and_made_again_and_wrong_ones_refused() {
    let Some(set) = vector_json("base45/base45.json") else { return };
    let mut outcomes = Outcomes::default();
    for vector in set["valid"].as_array().expect("a list") {
        let (coded, bytes) = (text(vector, "base45"), hex(text(vector, "bytes_hex")));
        let both = base45::decode(coded) == Ok(bytes.clone()) && base45::encode(&bytes) == coded;
        outcomes.add(coded, if both { Ok(()) } else { Err("differs".into()) });
    }
    for vector in set["invalid"].as_array().expect("a list") {
        let coded = text(vector, "base45");
        let result = base45::decode(coded);
        outcomes.add(coded, result.map_or(Ok(()), |_| Err(format!("accepted: {}", text(vector, "why")))));
    }
    outcomes.judge("Base45", 8, &[]);
}

/// Whether our own key entry takes the signature; a key it refuses to hold verifies nothing.
fn accepted(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(public), Ok(signature)) = (public.try_into(), signature.try_into()) else { return false };
    let entry = KeyEntry::new(Role::Statement, public, UnixTime(0), None);
    entry.is_ok_and(|key| key.verify(message, &signature))
}

#[test]
fn wycheproof_signatures_are_judged_as_stated() {
    let Some(set) = vector_json("ed25519/wycheproof_ed25519_test.json") else { return };
    let mut outcomes = Outcomes::default();
    for group in set["testGroups"].as_array().expect("a list") {
        let public = hex(text(&group["publicKey"], "pk"));
        for vector in group["tests"].as_array().expect("a list") {
            let expected = match text(vector, "result") {
                "valid" => true,
                "invalid" => false,
                other => panic!("result {other} is not known here"),
            };
            let got = accepted(&public, &hex(text(vector, "msg")), &hex(text(vector, "sig")));
            let result =
                if got == expected { Ok(()) } else { Err(format!("accepted: {got}, {}", vector["comment"])) };
            outcomes.add(vector["tcId"].to_string(), result);
        }
    }
    outcomes.judge("Wycheproof Ed25519", 151, &[]);
}

/// Cases 0 to 11 are the edges on which implementations differ; only case 3, with a key and a
/// commitment of mixed order whose equation holds without the cofactor, passes a strict check.
#[test]
fn of_the_disputed_edge_cases_strict_verification_takes_only_case_three() {
    let Some(set) = vector_json("ed25519/speccheck_cases.json") else { return };
    let cases = set.as_array().expect("a list");
    assert_eq!(cases.len(), 12);
    let parts = |case: &Json| ["pub_key", "message", "signature"].map(|field| hex(text(case, field)));
    let by_us = |case: &Json| {
        let [public, message, signature] = parts(case);
        accepted(&public, &message, &signature)
    };
    let by_the_library = |case: &Json| {
        let [public, message, signature] = parts(case);
        let public = public.try_into().ok().and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        let signature = Signature::from_slice(&signature).ok();
        public
            .zip(signature)
            .is_some_and(|(public, signature)| public.verify_strict(&message, &signature).is_ok())
    };
    let taken = |check: &dyn Fn(&Json) -> bool| {
        cases.iter().enumerate().filter(|(_, case)| check(case)).map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(taken(&by_us), [3]);
    assert_eq!(taken(&by_the_library), [3]);
}
