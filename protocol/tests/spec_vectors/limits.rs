//! The table of limits in SPEC.md, row by row, against the constants.

use yunling_protocol::log::{checkpoint, entry, evidence, life, merkle, note, policy};
use yunling_protocol::proof::{self, receipt};
use yunling_protocol::{card, cbor, message, name, roster, statement, status, trust_pack};

fn table() -> Vec<(&'static str, usize)> {
    let seconds = |n: i64| usize::try_from(n).unwrap();
    vec![
        ("text of a proof", proof::TEXT_CHARS_MAX),
        ("token of a proof", proof::TOKEN_BYTES_MAX),
        ("name in a proof", proof::NAME_BYTES_MAX),
        ("recorders in a proof", proof::RECORDERS_MAX),
        ("short text", statement::attestation::SHORT_TEXT_BYTES_MAX),
        ("node name", name::NODE_NAME_BYTES_MAX),
        ("nesting", cbor::DEPTH_MAX),
        ("card", card::CARD_BYTES_MAX),
        ("receipts of a proof", receipt::RECEIPTS_MAX),
        ("receipt", receipt::RECEIPT_BYTES_MAX),
        ("hashes of a path", merkle::PATH_HASHES_MAX),
        ("witnesses of a log", policy::WITNESSES_MAX),
        ("keys of a witness", policy::WITNESS_KEYS_MAX),
        ("name of a usable policy", policy::POLICY_NAME_BYTES_MAX),
        ("status list URI", status::URI_BYTES_MAX),
        ("status list token", status::token::TOKEN_BYTES_MAX),
        ("places of a status list", status::ENTRIES as usize),
        ("age of a status list, seconds", seconds(status::LIST_SECONDS)),
        ("ttl of a status list, seconds", status::TTL_SECONDS as usize),
        ("clock difference of peers, seconds", seconds(message::FUTURE_SECONDS_MAX)),
        ("log entry", entry::ENTRY_BYTES_MAX),
        ("signed note", note::NOTE_BYTES_MAX),
        ("signatures of a note", note::SIGNATURES_MAX),
        ("bytes of a signature line's signature", note::SIGNATURE_BYTES_MAX),
        ("key name, origin", checkpoint::ORIGIN_BYTES_MAX.min(note::KEY_NAME_BYTES_MAX)),
        ("life record", life::LIFE_RECORD_BYTES_MAX),
        ("roster version", roster::ROSTER_BYTES_MAX),
        ("nodes of a roster", roster::NODES_MAX),
        ("stewards", roster::STEWARDS_MAX),
        ("signatures of a roster version", roster::SIGNATURES_MAX),
        ("versions in one update", roster::STEPS_MAX),
        ("highest version", roster::VERSION_MAX as usize),
        ("states of a node", roster::STATES_MAX),
        ("file of roster versions", roster::CHAIN_BYTES_MAX),
        ("statement", statement::STATEMENT_BYTES_MAX),
        ("message", message::MESSAGE_BYTES_MAX),
        ("evidence", evidence::EVIDENCE_BYTES_MAX),
        ("ids in evidence", evidence::IDS_MAX),
        ("trust pack", trust_pack::PACK_BYTES_MAX),
        ("checkpoint in a trust pack", trust_pack::CHECKPOINT_BYTES_MAX),
    ]
}

/// With a comma behind every three digits, as the specification writes numbers.
fn with_commas(n: usize) -> String {
    let digits = n.to_string();
    let head = digits.len() % 3;
    let groups = digits.as_bytes()[head..].chunks(3).map(|group| String::from_utf8(group.to_vec()).unwrap());
    let parts: Vec<String> =
        (head > 0).then(|| digits[..head].to_owned()).into_iter().chain(groups).collect();
    parts.join(",")
}

pub(crate) fn check(spec: &str) {
    let (_, section) = spec.split_once("\n## 15 Limits\n").unwrap();
    let rows: Vec<&str> =
        section.split("\n## ").next().unwrap().lines().filter(|l| l.starts_with('|')).collect();
    let wanted: Vec<String> =
        table().into_iter().map(|(limit, n)| format!("| {limit} | {} |", with_commas(n))).collect();
    assert_eq!(rows[2..], wanted);
}
