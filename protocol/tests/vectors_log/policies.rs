//! Policy files of transparency-dev/formats and sigsum-go.
//!
//! sigsum-go writes keys as bare hex ("same grammar otherwise"): each is replaced by a verifier key
//! made of it, the same for the same hex, so that the grammar and the rules are what is tested.

use sha2::{Digest, Sha256};
use yunling_protocol::key::{Signer, SoftSigner};
use yunling_protocol::log::note::{KeyType, NoteKey};
use yunling_protocol::log::policy::PolicyFile;

use crate::{Tally, json};

/// Replaces hex keys by verifier keys of the type that the line's first word needs.
fn with_vkeys(policy: &str) -> String {
    let line = |line: &str| {
        let kind =
            if line.trim_start().starts_with("log") { KeyType::Ed25519 } else { KeyType::CosignatureV1 };
        let word = |word: &str| {
            if word.len() != 64 || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
                return word.to_owned();
            }
            let public = SoftSigner::from_seed(&Sha256::digest(word).into()).public();
            NoteKey::new(&format!("example.org/{}", &word[60..]), kind, &public).unwrap().vkey()
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    };
    policy.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

const MARK: &str = "upstream expects an error (TestParsePolicy_Errors), the set marks it ok by mistake";

/// Cases that the file marks as accepted, or as a matter of the implementation, and we refuse.
const REFUSED: &[(&str, &str)] = &[
    ("1 whitespace and comments", "a comment behind a line: the specification knows comment lines only"),
    ("2 group numerical", "two witness lines with one public key, which the specification forbids"),
    ("3 group all", "two witness lines with one public key, which the specification forbids"),
    ("4 group any", "two witness lines with one public key, which the specification forbids"),
    ("5 no quorum", MARK),
    ("6 unknown quorum component", MARK),
    (
        "7 duplicate component name",
        "two witness lines with one public key; upstream expects an error as well",
    ),
    ("8 negative threshold", "two witness lines with one public key; upstream expects an error as well"),
    ("9 witness name is keyword", MARK),
    ("10 witness name is keyword", MARK),
];

#[test]
fn parsing() {
    let Some(set) = json("tlog/policy_parsing.json") else { return };
    let tally = Tally::new("policy parsing", REFUSED);
    for (at, case) in set.as_array().unwrap().iter().enumerate() {
        let policy = with_vkeys(case["policy"].as_str().unwrap());
        let parsed = PolicyFile::parse(policy.as_bytes());
        // "implementation-defined" says who accepts; then it stands in the table above.
        let expected = case["expect"] != "reject";
        tally.case(&format!("{at} {}", case["desc"].as_str().unwrap()), expected, parsed.is_ok(), &parsed);
    }
    tally.finish(24);
}

#[test]
fn quorum() {
    let Some(set) = json("tlog/policy_quorum.json") else { return };
    let tally = Tally::new("policy quorum", &[]);
    for (at, set) in set.as_array().unwrap().iter().enumerate() {
        let policy = PolicyFile::parse(with_vkeys(set["policy"].as_str().unwrap()).as_bytes()).unwrap();
        for case in set["cases"].as_array().unwrap() {
            let names: Vec<&[u8]> = case["witnesses_verified"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().as_bytes())
                .collect();
            assert!(names.iter().all(|name| policy.witnesses().any(|(known, _)| known == *name)));
            let satisfied = policy.satisfied(|name, _| names.contains(&name));
            tally.case(&format!("{at} {names:?}"), case["sufficient"].as_bool().unwrap(), satisfied, &());
        }
    }
    tally.finish(23);
}
