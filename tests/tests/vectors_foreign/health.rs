//! European health certificates: `HC1:`, Base45, zlib, COSE_Sign1 with ES256 or PS256, from ten
//! countries and the common set. Their signatures are of algorithms we do not have; prefix,
//! Base45, compression and envelope must be judged as the files say.

use serde_json::Value as Json;
use yunling_protocol::day::UnixTime;
use yunling_protocol::member::Members;
use yunling_protocol::proof::{PREFIX, Verdict, verify};
use yunling_tests::{Outcomes, hex, vector_path};

use crate::reader::{Refusal, parse, unpack};

fn certificates() -> Option<Vec<Json>> {
    let text = std::fs::read_to_string(vector_path("eu-dcc/dcc_common_and_10_countries.jsonl")?)
        .expect("a text file");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

fn judge(vector: &Json) -> Result<(), String> {
    let expected = |key: &str| vector["EXPECTEDRESULTS"][key].as_bool();
    let text = vector["PREFIX"].as_str().unwrap_or_default();
    let Some(body) = text.strip_prefix("HC1:") else {
        return if expected("EXPECTEDUNPREFIX") == Some(false) { Ok(()) } else { Err("prefix".into()) };
    };
    if expected("EXPECTEDUNPREFIX") == Some(false) {
        return Err("prefix taken".into());
    }
    let bytes = match unpack(body) {
        Err(Refusal::Base45) if expected("EXPECTEDB45DECODE") == Some(false) => return Ok(()),
        Err(Refusal::Zlib) if expected("EXPECTEDCOMPRESSION") == Some(false) => return Ok(()),
        Err(refusal) => return Err(format!("{refusal:?}")),
        Ok(_) if expected("EXPECTEDB45DECODE") == Some(false) => return Err("Base45 taken".into()),
        Ok(bytes) => bytes,
    };
    let steps = ["EXPECTEDCOMPRESSION", "EXPECTEDDECODE"].map(expected).contains(&Some(false));
    if let Some(stated) = vector["COSE"].as_str()
        && !steps
        && hex(stated) != bytes
    {
        return Err("other bytes than stated".into());
    }
    let spoiled = steps || expected("EXPECTEDVERIFY") == Some(false);
    match parse(&bytes) {
        Ok(_) if steps => Err("taken".into()),
        Ok(token) if matches!(token.alg, -7 | -37) => Ok(()),
        Ok(token) => Err(format!("alg {}", token.alg)),
        Err(_) if spoiled => Ok(()),
        Err(refusal) => Err(format!("{refusal:?}")),
    }
}

#[test]
fn health_certificates_are_unpacked_or_refused_as_stated() {
    let Some(set) = certificates() else { return };
    let mut outcomes = Outcomes::default();
    for vector in set {
        outcomes.add(vector["path"].as_str().expect("path"), judge(&vector));
    }
    outcomes.judge(
        "European health certificates",
        90,
        &[
            (
                "common/2DCode/raw/CBO1.json",
                "wrong inside the health claims, which are not read here; the envelope is sound",
            ),
            (
                "common/2DCode/raw/CO20.json",
                "alg stands unprotected only: refused here, as the signature must cover it",
            ),
            (
                "common/2DCode/raw/Z2.json",
                "not compressed: wrong for HC1, but our own text form is never compressed",
            ),
        ],
    );
}

#[test]
fn no_health_certificate_passes_as_a_proof() {
    let Some(set) = certificates() else { return };
    for vector in set {
        let text = vector["PREFIX"].as_str().unwrap_or_default();
        let under_our_prefix = format!("{PREFIX}{}", text.trim_start_matches("HC1:"));
        for text in [text, &under_our_prefix] {
            let checked = verify(text, &Members::default(), UnixTime(1_700_000_000));
            assert_eq!(checked.verdict(), Verdict::Invalid, "{}", vector["path"]);
        }
    }
}
