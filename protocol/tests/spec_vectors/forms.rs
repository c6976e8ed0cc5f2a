//! The forms below everything else: Base45, deterministic CBOR, keys and their ids, text ids.

use serde_json::{Value, json};

use yunling_protocol::base45;
use yunling_protocol::cbor;
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::{DossierId, StatementId};
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner, key_id};

use super::world::{ISSUER, WITNESSES, hash_of, hex, list, role, seed, signer, string, unhex};

/// What a strict decoder takes and what not.
const CBOR: [(&str, &str, bool); 25] = [
    ("a map of three labels in order", "a301f61818f620f6", true),
    ("false, true, null", "83f4f5f6", true),
    ("the largest unsigned number", "1bffffffffffffffff", true),
    ("tag 18", "d28440a04040", true),
    ("tag 98 around everything", "d8628440a04080", true),
    ("text of two letters of three bytes", "66e6a0b7e4be8b", true),
    ("nothing", "", false),
    ("a byte behind the item", "0101", false),
    ("cut", "4200", false),
    ("a number not in the shortest form", "1801", false),
    ("a length not in the shortest form", "580101", false),
    ("an array of indefinite length", "9fff", false),
    ("labels out of order", "a202f601f6", false),
    ("-1 before 24: ordered by length first", "a220f61818f6", false),
    ("a label twice", "a201f601f6", false),
    ("a float", "f90000", false),
    ("undefined", "f7", false),
    ("another simple value", "e0", false),
    ("tag 61", "d83d00", false),
    ("tag 98 inside an array", "81d8628440a04080", false),
    ("text that is not UTF-8", "61ff", false),
    ("a reserved head", "1c", false),
    ("a break alone", "ff", false),
    ("16 arrays in one another", "8181818181818181818181818181818100", true),
    ("17 arrays in one another", "818181818181818181818181818181818100", false),
];

const BASE45: [(&str, Option<&str>); 9] = [
    ("", Some("")),
    ("BB8", Some("4142")),
    ("UJCLQE7W581", Some("626173652d3435")),
    ("FGW", Some("ffff")),
    ("GGW", None),
    ("A", None),
    ("bb8", None),
    ("U5", Some("ff")),
    (":::", None),
];

pub(crate) fn make() -> Value {
    let cbor: Vec<Value> =
        CBOR.iter().map(|(name, hex, taken)| json!({ "name": name, "hex": hex, "taken": taken })).collect();
    let base45: Vec<Value> =
        BASE45.iter().map(|(text, bytes)| json!({ "text": text, "hex": bytes })).collect();
    let nodes = [ISSUER].into_iter().chain(WITNESSES);
    let keys =
        nodes.flat_map(|node| Role::ALL.map(|role| (node, role))).filter(|(_, r)| *r != Role::Encryption);
    let keys: Vec<Value> = keys
        .map(|(node, role)| {
            let (seed, public) = (seed(node, role.word()), signer(node, role).public());
            json!({ "node": node, "role": role.word(), "seed": hex(&seed), "public": hex(&public),
                "kid": hex(&kid(&public)) })
        })
        .collect();
    // The neutral point, a point of order 2, and bytes that are no point.
    let weak = [
        "01".to_owned() + &"00".repeat(31),
        "ec".to_owned() + &"ff".repeat(30) + "7f",
        "02".to_owned() + &"00".repeat(31),
    ];
    json!({
        "about": "Base45, deterministic CBOR (cap 64 bytes), keys from seeds with their ids, refused keys, text ids (SPEC 2 to 4).",
        "base45": base45, "cbor": cbor, "keys": keys, "refused_keys": weak,
        "ids": [
            { "kind": "dossier", "hex": hex(&[5; 16]), "text": DossierId([5; 16]).to_string() },
            { "kind": "statement", "hex": hex(&[9; 32]), "text": StatementId([9; 32]).to_string() },
        ],
    })
}

/// RFC 9679 by hand: SHA-256 of {1: 1, -1: 6, -2: x}, first eight bytes.
fn kid(public: &[u8; 32]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let head = [0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20];
    Sha256::digest([head.as_slice(), public].concat())[..8].to_vec()
}

pub(crate) fn check(file: &Value) {
    for case in list(&file["base45"]) {
        let decoded = base45::decode(string(&case["text"])).ok().map(|bytes| hex(&bytes));
        assert_eq!(decoded.as_deref(), case["hex"].as_str(), "{case}");
        if !case["hex"].is_null() {
            assert_eq!(base45::encode(&unhex(&case["hex"])), string(&case["text"]));
        }
    }
    for case in list(&file["cbor"]) {
        assert_eq!(cbor::decode(&unhex(&case["hex"]), 64).is_ok(), case["taken"] == true, "{case}");
    }
    for case in list(&file["keys"]) {
        let (seed, public) = (hash_of(&case["seed"]), hash_of(&case["public"]));
        let entry = KeyEntry::new(role(&case["role"]), public, UnixTime(0), None).unwrap();
        assert_eq!(
            (SoftSigner::from_seed(&seed).public(), hex(&key_id(&public))),
            (public, hex(&entry.kid()))
        );
        assert_eq!(hex(&entry.kid()), string(&case["kid"]));
    }
    for key in list(&file["refused_keys"]) {
        assert!(KeyEntry::new(Role::Proof, hash_of(key), UnixTime(0), None).is_err(), "{key}");
    }
    for case in list(&file["ids"]) {
        let text = string(&case["text"]);
        let read = match string(&case["kind"]) {
            "dossier" => DossierId::parse(text).map(|id| hex(&id.0)),
            _ => StatementId::parse(text).map(|id| hex(&id.0)),
        };
        assert_eq!(read.as_deref(), Ok(string(&case["hex"])));
    }
}
