//! MOSIP Claim 169 tokens: Base45, zlib, COSE_Sign1, CWT, claim 169, the nearest neighbour of our
//! proof. Each must be read as far as its author says, and fail at the step its author names.

use serde_json::Value as Json;
use yunling_protocol::cbor::{self, Value};
use yunling_protocol::day::UnixTime;
use yunling_protocol::member::Members;
use yunling_protocol::proof::{CLAIM_IDENTITY, PREFIX, Verdict, verify};
use yunling_tests::{Outcomes, hex, vector_json_files};

use crate::reader::{Refusal, Seal, TOKEN_BYTES_MAX, parse, unpack};

/// A moment between issue and expiry of the valid tokens, 2026-01-15.
const NOW: i64 = 1_768_435_200;

/// Claims of a CWT that carries claim 169.
#[derive(Debug)]
struct Claims {
    issuer: Option<String>,
    full_name: Option<String>,
    expires: Option<i64>,
    not_before: Option<i64>,
    seal: Seal,
}

/// Words of the set for the step that fails.
fn step(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Base45 => "Base45Decode",
        Refusal::Zlib => "Decompress",
        Refusal::NotCbor(_) | Refusal::NotCose(_) | Refusal::Header(_) => "CoseParse",
    }
}

fn read(text: &str, key: Option<[u8; 32]>) -> Result<Claims, String> {
    let word = |refusal: Refusal| step(&refusal).to_owned();
    let token = parse(&unpack(text).map_err(word)?).map_err(word)?;
    let seal = token.seal(key, &[]);
    let Ok(Value::Map(mut claims)) = cbor::decode_foreign(&token.payload, TOKEN_BYTES_MAX) else {
        return Err("CborParse".into());
    };
    let Some(Value::Map(mut identity)) = claims.remove(&cbor::int(CLAIM_IDENTITY)) else {
        return Err("Claim169NotFound".into());
    };
    let text = |value: Option<Value>| value.and_then(|v| cbor::as_text(v, 0, 1024).ok());
    Ok(Claims {
        issuer: text(claims.remove(&cbor::int(1))),
        full_name: text(identity.remove(&cbor::int(4))),
        expires: claims.remove(&cbor::int(4)).and_then(|v| cbor::as_int(&v, 4).ok()),
        not_before: claims.remove(&cbor::int(5)).and_then(|v| cbor::as_int(&v, 5).ok()),
        seal,
    })
}

/// Compares what was read with what the file expects.
fn judge(vector: &Json, read: Result<Claims, String>) -> Result<(), String> {
    let claims = match (read, vector["expected_error"].as_str()) {
        (Err(step), Some(expected)) if step == expected => return Ok(()),
        (Err(step), expected) => return Err(format!("refused at {step}, expected {expected:?}")),
        (Ok(_), Some(expected)) => return Err(format!("accepted, expected {expected}")),
        (Ok(claims), None) => claims,
    };
    let (identity, meta) = (&vector["expected_claim169"], &vector["expected_cwt_meta"]);
    let stated = (identity["fullName"].as_str(), meta["issuer"].as_str());
    if (claims.full_name.as_deref(), claims.issuer.as_deref()) != stated {
        return Err("another name or issuer".into());
    }
    if (claims.expires, claims.not_before) != (meta["expiresAt"].as_i64(), meta["notBefore"].as_i64()) {
        return Err("another expiry or first moment".into());
    }
    let in_time = claims.expires.is_none_or(|t| NOW < t) && claims.not_before.is_none_or(|t| t <= NOW);
    let must_be_in_time = !matches!(vector["name"].as_str(), Some("expired" | "not-yet-valid"));
    if in_time != must_be_in_time {
        return Err(format!("in time: {in_time}"));
    }
    match (&claims.seal, vector.get("signing_key").is_some()) {
        (Seal::Holds, true) | (Seal::Unchecked(_), false) => Ok(()),
        (seal, _) => Err(format!("{seal:?}")),
    }
}

fn ed25519_key(vector: &Json) -> Option<[u8; 32]> {
    let key = &vector["signing_key"];
    (key["algorithm"] == "EdDSA")
        .then(|| hex(key["public_key_hex"].as_str().expect("key")).try_into().expect("32 bytes"))
}

#[test]
fn claim_169_tokens_are_read_or_refused_at_the_stated_step() {
    let Some(files) = vector_json_files("claim169") else { return };
    let mut outcomes = Outcomes::default();
    for (name, vector) in files {
        let text = vector["qr_data"].as_str().expect("text");
        outcomes.add(name, judge(&vector, read(text, ed25519_key(&vector))));
    }
    outcomes.judge(
        "Claim 169",
        18,
        &[
            ("invalid/bad-zlib.json", "does not begin as zlib, so it is refused one step later, as no COSE"),
            ("valid/ecdsa-p256-signed.json", "ES256: suite 1 verifies Ed25519 only"),
            (
                "valid/encrypted-aes256.json",
                "COSE_Encrypt0: our proofs are never encrypted, nor are others' read so",
            ),
            (
                "valid/encrypted-signed.json",
                "COSE_Encrypt0: our proofs are never encrypted, nor are others' read so",
            ),
        ],
    );
}

/// A token of another scheme is no proof of ours, under its own text or under our prefix.
#[test]
fn no_claim_169_token_passes_as_a_proof() {
    let Some(files) = vector_json_files("claim169") else { return };
    for (name, vector) in files {
        let text = vector["qr_data"].as_str().expect("text");
        for text in [text.to_owned(), format!("{PREFIX}{text}")] {
            let checked = verify(&text, &Members::default(), UnixTime(NOW));
            assert_ne!(checked.verdict(), Verdict::Valid, "{name}");
            assert!(checked.claims.is_none(), "{name}: claims shown without a signature");
        }
    }
}
