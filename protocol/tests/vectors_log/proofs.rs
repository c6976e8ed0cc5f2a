//! tlog-proof texts of transparency-dev/formats.

use serde_json::Value;
use yunling_protocol::log::tlog_proof::TlogProof;

use crate::{Tally, base64, json};

#[test]
fn tlog_proofs() {
    let Some(set) = json("tlog/tlog_proof.json") else { return };
    let tally = Tally::new("tlog-proof", &[]);
    for case in set["format"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let hashes = case["hashes"].as_array().unwrap();
        let expected = TlogProof {
            extra: case.get("extra_b64").map(|extra| base64(extra.as_str().unwrap())),
            index: case["index"].as_u64().unwrap(),
            path: hashes.iter().map(|h: &Value| base64(h.as_str().unwrap()).try_into().unwrap()).collect(),
            checkpoint: case["checkpoint"].as_str().unwrap().to_owned(),
        };
        let parsed = TlogProof::parse(text.as_bytes());
        let agrees = parsed.as_ref() == Ok(&expected) && expected.render() == text;
        tally.case(case["name"].as_str().unwrap(), true, agrees, &parsed);
    }
    for case in set["reject"].as_array().unwrap() {
        let parsed = TlogProof::parse(case["text"].as_str().unwrap().as_bytes());
        tally.case(case["name"].as_str().unwrap(), false, parsed.is_ok(), &parsed);
    }
    tally.finish(10);
}
