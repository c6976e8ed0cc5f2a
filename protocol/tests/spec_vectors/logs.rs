//! Log entries, trees, tiles, lives; checkpoints with signatures and cosignatures.

use serde_json::{Value, json};

use yunling_protocol::day::UnixTime;
use yunling_protocol::id::StatementId;
use yunling_protocol::key::{KeyEntry, Role, Signer as _};
use yunling_protocol::log::entry::void_mark;
use yunling_protocol::log::life::LifeRecord;
use yunling_protocol::log::merkle::{self, Hash};
use yunling_protocol::log::note::KeyType;
use yunling_protocol::log::policy::{Witness, WitnessKey};
use yunling_protocol::log::tile::{TileKind, decode_entries, push_entry};
use yunling_protocol::log::{Checkpoint, Entry, Note, NoteKey, Origin, Quorum, Tile, cosignature};
use yunling_protocol::message::Life;

use super::naive;
use super::world::{
    DAY, ISSUER, START, WITNESSES, hash_of, hex, judge, list, list_or_none, name, number, signer, string,
    time, unhex,
};

const ORIGIN: &str = "spec.example/cangshan/1";

fn hashes(all: &[Hash]) -> Vec<String> {
    all.iter().map(|hash| hex(hash)).collect()
}

fn entries() -> Vec<(&'static str, Vec<u8>)> {
    let (id, other) = ([1; 32], [2; 32]);
    let encoded = |entry: Entry| entry.encode().unwrap();
    vec![
        ("statement or proof", encoded(Entry::Signed(id))),
        ("seal", encoded(Entry::Custody { id, nullifier: other })),
        ("void", encoded(Entry::Change { id, mark: void_mark(StatementId(other)) })),
        ("status list", encoded(Entry::StatusList(id))),
        ("roster or life", encoded(Entry::Node(id))),
    ]
}

/// Leaves 0 to 12: each entry is one byte, its number.
fn leaves(size: u8) -> Vec<Hash> {
    (0..size).map(|n| naive::leaf(&[n])).collect()
}

pub(crate) fn make_merkle() -> Value {
    let entry = |(name, bytes): (&str, Vec<u8>)| {
        json!({ "name": name, "hex": hex(&bytes), "kind": bytes[1],
        "leaf": hex(&naive::leaf(&bytes)) })
    };
    let roots: Vec<String> = (0..=13).map(|size| hex(&naive::root(&leaves(size)))).collect();
    let inclusion = |name: &str, index: u8, size: u8, change: &dyn Fn(&mut Value)| {
        let mut case = json!({ "name": name, "leaf": hex(&naive::leaf(&[index])), "index": index,
            "size": size,
            "root": hex(&naive::root(&leaves(size))), "path": hashes(&naive::path(index.into(),
                &leaves(size))), "expect": {} });
        change(&mut case);
        case
    };
    let refused = |word: &'static str, key: &'static str, value: Value| {
        move |case: &mut Value| {
            case[key] = value.clone();
            case["expect"] = json!({ "refused": word });
        }
    };
    let mut included = vec![
        inclusion("index 5 shown as 4", 5, 13, &refused("merkle-other-root", "index", 4.into())),
        inclusion("outside", 5, 13, &refused("merkle-index-outside", "index", 13.into())),
        inclusion(
            "a hash less",
            5,
            13,
            &refused("merkle-proof-length", "path", hashes(&naive::path(5, &leaves(13))[..3]).into()),
        ),
        inclusion("another root", 5, 13, &refused("merkle-other-root", "root", hex(&[0; 32]).into())),
    ];
    included.extend(
        [(0, 1), (0, 2), (2, 3), (4, 5), (6, 7), (3, 8), (12, 13), (5, 13)]
            .map(|(index, size)| inclusion("holds", index, size, &|_| {})),
    );
    let consistency = |name: &str, old: u8, new: u8, change: &dyn Fn(&mut Value)| {
        let mut case = json!({ "name": name, "old_size": old, "old_root": hex(&naive::root(&leaves(old))),
            "new_size": new,
            "new_root": hex(&naive::root(&leaves(new))), "path": hashes(&naive::consistency(old.into(),
                &leaves(new))), "expect": {} });
        change(&mut case);
        case
    };
    let mut consistent = vec![
        consistency(
            "a rewritten entry",
            6,
            13,
            &refused("merkle-other-root", "old_root", hex(&naive::root(&leaves(5))).into()),
        ),
        consistency("the older is larger", 6, 13, &refused("merkle-sizes", "old_size", 14.into())),
        consistency(
            "a hash more",
            6,
            13,
            &refused(
                "merkle-proof-length",
                "path",
                hashes(&[naive::consistency(6, &leaves(13)), vec![[0; 32]]].concat()).into(),
            ),
        ),
        consistency(
            "a proof where none belongs",
            0,
            13,
            &refused("merkle-proof-length", "path", hashes(&[[0; 32]]).into()),
        ),
    ];
    consistent.extend(
        [(0, 13), (1, 2), (3, 7), (4, 8), (6, 13), (8, 13), (12, 13), (13, 13)]
            .map(|(old, new)| consistency("holds", old, new, &|_| {})),
    );
    let mut bundle = Vec::new();
    for (_, entry) in entries() {
        push_entry(&mut bundle, &entry).unwrap();
    }
    json!({
        "about": "Entries, trees over the one-byte entries 0, 1, 2, …, proofs, tile paths, a bundle, life records (SPEC 8).",
        "entries": entries().into_iter().map(entry).collect::<Vec<_>>(),
        "malformed_entries": ["8101", "820158200101", "83015820", "820658", "01"],
        "unknown_entries": [{ "hex": "8206636e6577", "kind": 6 }],
        "roots": roots, "inclusion": included, "consistency": consistent,
        "tiles": [
            { "path": "tile/0/000", "level": 0, "index": 0, "width": 256 },
            { "path": "tile/0/x001/x234/067.p/17", "level": 0, "index": 1_234_067, "width": 17 },
            { "path": "tile/1/000.p/1", "level": 1, "index": 0, "width": 1 },
            { "path": "tile/entries/x001/000.p/255", "level": null, "index": 1_000, "width": 255 },
        ],
        "refused_tiles": ["tile/0/0", "tile/00/000", "tile/8/000", "tile/0/000.p/256", "tile/0/000.p/0",
            "tile/0/x000/001", "tile/0/001/000", "tile/entries/000/"],
        "bundle": { "width": 5, "hex": hex(&bundle) },
        "lives": lives(),
    })
}

fn lives() -> Vec<Value> {
    let origin = |n: u64| Origin { node: name(ISSUER), generation: n };
    let life = |generation| Life { generation, mark: [9; 16] };
    let head = Checkpoint::new(ORIGIN, 13, naive::root(&leaves(13)));
    let first = LifeRecord::new(origin(1), life(1), None).unwrap();
    let second = LifeRecord::new(origin(2), life(2), Some(&head)).unwrap();
    let shown = |record: &LifeRecord, closes: Value| {
        let (generation, id) = (record.origin.generation, hex(&record.id()));
        json!({ "hex": hex(&record.encode()), "origin": record.origin.to_string(), "generation": generation,
            "mark": hex(&record.mark), "closes": closes, "id": id,
            "first_entry": hex(&record.entry().encode().unwrap()) })
    };
    vec![
        shown(&first, Value::Null),
        shown(&second, json!({ "origin": ORIGIN, "size": 13, "root": hex(&head.root) })),
    ]
}

pub(crate) fn check_merkle(file: &Value) {
    for case in list(&file["entries"]) {
        let bytes = unhex(&case["hex"]);
        let entry = Entry::decode(&bytes).unwrap();
        assert_eq!((entry.kind(), entry.encode().unwrap()), (number(&case["kind"]), bytes.clone()));
        assert_eq!(hex(&merkle::leaf_hash(&bytes)), string(&case["leaf"]));
    }
    for entry in list(&file["malformed_entries"]) {
        assert!(Entry::decode(&unhex(entry)).is_err(), "{entry}");
    }
    for case in list(&file["unknown_entries"]) {
        assert_eq!(Entry::decode(&unhex(&case["hex"])), Ok(Entry::Unknown(number(&case["kind"]))));
    }
    for (size, root) in list(&file["roots"]).iter().enumerate() {
        let mut tree = merkle::Frontier::new();
        (0..size as u8).for_each(|n| _ = tree.append_leaf(merkle::leaf_hash(&[n]), |_, _, _| {}).unwrap());
        assert_eq!(hex(&tree.root()), string(root));
    }
    let path = |case: &Value| list(&case["path"]).iter().map(hash_of).collect::<Vec<_>>();
    let said =
        |judged: Result<(), merkle::MerkleError>| judged.map(|()| json!({})).map_err(|e| e.code().to_owned());
    for case in list(&file["inclusion"]) {
        let (index, size) = (number(&case["index"]), number(&case["size"]));
        judge(
            case,
            said(merkle::verify_inclusion(
                &hash_of(&case["leaf"]),
                index,
                size,
                &hash_of(&case["root"]),
                &path(case),
            )),
        );
    }
    for case in list(&file["consistency"]) {
        let (old, new) = (number(&case["old_size"]), number(&case["new_size"]));
        judge(
            case,
            said(merkle::verify_consistency(
                old,
                &hash_of(&case["old_root"]),
                new,
                &hash_of(&case["new_root"]),
                &path(case),
            )),
        );
    }
    for case in list(&file["tiles"]) {
        let kind = case["level"].as_u64().map_or(TileKind::Entries, |level| TileKind::Hashes(level as u8));
        let tile = Tile { kind, index: number(&case["index"]), width: number(&case["width"]) as u16 };
        assert_eq!(
            (Tile::parse(string(&case["path"])), tile.to_string()),
            (Some(tile), string(&case["path"]).to_owned())
        );
    }
    for path in list(&file["refused_tiles"]) {
        assert_eq!(Tile::parse(string(path)), None, "{path}");
    }
    let bundle = unhex(&file["bundle"]["hex"]);
    let expected: Vec<Vec<u8>> = list(&file["entries"]).iter().map(|case| unhex(&case["hex"])).collect();
    assert_eq!(decode_entries(&bundle, number(&file["bundle"]["width"]) as u16).unwrap(), expected);
    for case in list(&file["lives"]) {
        let record = LifeRecord::decode(&unhex(&case["hex"])).unwrap();
        let closes = record.closes.as_ref().map(
            |(origin, size, root)| json!({ "origin": origin.to_string(), "size": size, "root": hex(root) }),
        );
        assert_eq!(closes.unwrap_or_default(), case["closes"]);
        assert_eq!(
            (hex(&record.id()).as_str(), hex(&record.mark).as_str()),
            (string(&case["id"]), string(&case["mark"]))
        );
        assert_eq!(
            (record.origin.to_string().as_str(), hex(&record.entry().encode().unwrap()).as_str()),
            (string(&case["origin"]), string(&case["first_entry"]))
        );
    }
}

const NOW: i64 = START + 60 * DAY;

fn head(size: u8) -> Checkpoint {
    Checkpoint::new(ORIGIN, u64::from(size), naive::root(&leaves(size)))
}

/// The note signed by the log, with cosignatures of these witnesses at these times.
fn note(head: &Checkpoint, by: &[(&str, i64)]) -> Note {
    let mut note = head.sign(&signer(ISSUER, Role::Log)).unwrap();
    for (witness, time) in by {
        note.signatures.push(
            cosignature::sign(&signer(witness, Role::Witness), witness, *time as u64, &head.text()).unwrap(),
        );
    }
    note
}

pub(crate) fn make_checkpoints() -> Value {
    let [w1, w2, w3] = WITNESSES;
    let log_key = NoteKey::new(ORIGIN, KeyType::Ed25519, &signer(ISSUER, Role::Log).public()).unwrap();
    let witness = |node: &str, until: Option<i64>| {
        json!({ "node": node, "public": hex(&signer(node, Role::Witness).public()), "from": START,
            "until": until,
        "vkey": NoteKey::new(node, KeyType::CosignatureV1, &signer(node,
            Role::Witness).public()).unwrap().vkey() })
    };
    let case = |name: &str, note: String, expect: Value| {
        json!({ "name": name, "note": note, "now": NOW,
        "expect": expect })
    };
    let seen = |size: u8, by: &[(&str, i64)], at: i64| {
        let by: Vec<Value> = by.iter().map(|(node, time)| json!([node, time])).collect();
        json!({ "origin": ORIGIN, "size": size, "root": hex(&naive::root(&leaves(size))), "by": by,
            "at": at })
    };
    let refused = |name: &str, note: String, word: &str| case(name, note, json!({ "refused": word }));
    let good = note(&head(13), &[(w1, NOW - 60), (w2, NOW - 30)]);
    let text = good.render();
    let spoiled = |line: usize, byte: usize| {
        let mut note = good.clone();
        note.signatures[line].signature[byte] ^= 1;
        note.render()
    };
    let unsigned = Note { text: good.text.clone(), signatures: good.signatures[1..].to_vec() };
    json!({
        "about": "Checkpoints of one log (origin, vkey), judged with the log's key and then with two of three witnesses (SPEC 8, 10). `by` is in the order of the policy.",
        "origin": ORIGIN, "log_vkey": log_key.vkey(), "log_public": hex(log_key.public()),
        "policy": { "name": "two-of-three", "owner": ISSUER, "k": 2, "witnesses": [witness(w1, None),
            witness(w2, None), witness(w3, Some(NOW - 1_000))] },
        "cosignature": { "text": good.text, "time": NOW - 60,
            "message": format!("cosignature/v1\ntime {}\n{}", NOW - 60, good.text),
            "raw": hex(&good.signatures[1].raw()) },
        "cases": [
            case("two witnesses", text.clone(), seen(13, &[(w1, NOW - 60), (w2, NOW - 30)], NOW - 30)),
            case("three, one before its window's end", note(&head(13), &[(w3, NOW - 2_000), (w2, NOW - 30),
                (w1, NOW - 60)]).render(), seen(13, &[(w1, NOW - 60), (w2, NOW - 30), (w3, NOW - 2_000)],
                NOW - 60)),
            case("a stranger's line is ignored", note(&head(8), &[(w1, NOW), (w2, NOW), ("spec.example/w9",
                NOW)]).render(), seen(8, &[(w1, NOW), (w2, NOW)], NOW)),
            refused("one witness", note(&head(13), &[(w1, NOW)]).render(), "policy-no-quorum"),
            refused("a witness after its window", note(&head(13), &[(w1, NOW), (w3, NOW)]).render(),
                "policy-no-quorum"),
            refused("601 seconds ahead", note(&head(13), &[(w1, NOW), (w2, NOW + 601)]).render(),
                "policy-no-quorum"),
            refused("a changed cosignature", spoiled(2, 40), "policy-bad-cosignature"),
            refused("a changed time", spoiled(1, 7), "policy-bad-cosignature"),
            refused("a changed log signature", spoiled(0, 7), "note-bad-signature"),
            refused("without the log's line", unsigned.render(), "note-no-known-signature"),
            refused("another size under the same signatures", text.replacen("\n13\n", "\n12\n", 1),
                "note-bad-signature"),
            refused("no last newline", text[..text.len() - 1].to_owned(), "note-malformed"),
            refused("a control character", text.replacen('\n', "\r\n", 1), "note-malformed"),
            refused("a size with a leading zero", text.replacen("\n13\n", "\n013\n", 1),
                "checkpoint-malformed"),
            refused("a root of 31 bytes",
                { let root = data_encoding::BASE64.encode(&naive::root(&leaves(13))); text.replacen(&root,
                &root[4..], 1) }, "checkpoint-malformed"),
        ],
    })
}

pub(crate) fn check_checkpoints(file: &Value) {
    let key = NoteKey::parse(string(&file["log_vkey"])).unwrap();
    assert_eq!(
        (key.name(), hex(key.public()).as_str()),
        (string(&file["origin"]), string(&file["log_public"]))
    );
    let policy = &file["policy"];
    let witness = |w: &Value| {
        let (node, until) = (name(string(&w["node"])), w["until"].as_i64().map(UnixTime));
        let entry = KeyEntry::new(Role::Witness, hash_of(&w["public"]), time(&w["from"]), until).unwrap();
        let key = WitnessKey::of(&node, &entry).unwrap();
        assert_eq!(key.key.vkey(), string(&w["vkey"]));
        Witness::new(node, vec![key])
    };
    let witnesses: Vec<Witness> = list(&policy["witnesses"]).iter().map(witness).collect();
    let cosigned = &file["cosignature"];
    let raw = unhex(&cosigned["raw"]);
    assert_eq!(
        cosignature::verify(&witnesses[0].keys[0].key, string(&cosigned["text"]), &raw[4..]),
        Some(number(&cosigned["time"]))
    );
    let signature: &[u8; 64] = raw[12..].try_into().unwrap();
    assert!(witnesses[0].keys[0].key.verify_raw(string(&cosigned["message"]).as_bytes(), signature));
    let owner = name(string(&policy["owner"]));
    let quorum =
        Quorum::new(string(&policy["name"]), &owner, witnesses, number(&policy["k"]) as usize).unwrap();
    for case in list_or_none(&file["cases"]) {
        let read = || -> Result<Value, String> {
            let (note, head) =
                Checkpoint::parse(string(&case["note"]).as_bytes()).map_err(|e| e.code().to_owned())?;
            note.verify(std::slice::from_ref(&key)).map_err(|e| e.code().to_owned())?;
            let seen = quorum
                .judge(&note.text, note.signatures.iter().map(Into::into), time(&case["now"]))
                .map_err(|e| e.code().to_owned())?;
            let by: Vec<Value> = seen.by.iter().map(|(node, at)| json!([node.as_str(), at.0])).collect();
            Ok(json!({ "origin": head.origin, "size": head.size, "root": hex(&head.root), "by": by,
                    "at": seen.at.map(|at| at.0) }))
        };
        judge(case, read());
    }
}
