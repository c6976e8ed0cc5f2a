//! The vectors of `protocol/SPEC.md`: every file in `protocol/vectors` is read as a second implementer reads
//! it, each case is judged by our code, and each file is made again from fixed seeds and compared, so that
//! neither files nor code drift from what is written.
//!
//! What a case expects is written down in the maker by hand; trees, roots and paths come from the plain
//! recursion of RFC 6962 in [`naive`], not from the code under test. zlib streams are those of the locked
//! `flate2`: an update of it may change bytes and nothing else. After a wanted change run
//! `cargo test -p yunling-protocol --test spec_vectors -- --ignored` and read the difference.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "spec_vectors/cards.rs"]
mod cards;
#[path = "spec_vectors/evidence.rs"]
mod evidence;
#[path = "spec_vectors/forms.rs"]
mod forms;
#[path = "spec_vectors/limits.rs"]
mod limits;
#[path = "spec_vectors/logs.rs"]
mod logs;
#[path = "spec_vectors/naive.rs"]
mod naive;
#[path = "spec_vectors/packs.rs"]
mod packs;
#[path = "spec_vectors/printed.rs"]
mod printed;
#[path = "spec_vectors/proofs.rs"]
mod proofs;
#[path = "spec_vectors/receipts.rs"]
mod receipts;
#[path = "spec_vectors/rosters.rs"]
mod rosters;
#[path = "spec_vectors/statuses.rs"]
mod statuses;
#[path = "spec_vectors/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

/// A file: its name, who makes it, who checks it.
type File = (&'static str, fn() -> Value, fn(&Value));

const FILES: [File; 10] = [
    ("forms", forms::make, forms::check),
    ("cards", cards::make, cards::check),
    ("proofs-p1", printed::make, proofs::check),
    ("proofs-p2", receipts::make, proofs::check),
    ("status", statuses::make, statuses::check),
    ("merkle", logs::make_merkle, logs::check_merkle),
    ("checkpoints", logs::make_checkpoints, logs::check_checkpoints),
    ("roster", rosters::make, rosters::check),
    ("evidence", evidence::make, evidence::check),
    ("trust-pack", packs::make, packs::check),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn spec() -> String {
    std::fs::read_to_string(folder().with_file_name("SPEC.md")).unwrap()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

fn text_of(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn every_file_gives_the_expected_answers() {
    for (name, _, check) in FILES {
        let value: Value = serde_json::from_str(&read(name)).unwrap();
        println!("{name}");
        check(&value);
    }
}

#[test]
fn every_file_is_what_is_made_from_the_seeds() {
    let mut there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    for (name, make, _) in FILES {
        assert!(there.remove(&format!("{name}.json")), "{name}.json is missing");
        assert!(text_of(&make()) == read(name), "{name}.json differs from what is made now");
    }
    assert!(there.is_empty(), "files nobody checks: {there:?}");
}

/// Every word of a proof's verdict, and every other word that a case expects, stands in the specification.
#[test]
fn every_word_that_is_expected_stands_in_the_specification() {
    let mut expected = BTreeSet::new();
    for (name, _, _) in FILES {
        collect(&serde_json::from_str(&read(name)).unwrap(), &mut expected);
    }
    let spec = spec();
    let unwritten: Vec<_> = expected.iter().filter(|word| !spec.contains(&format!("`{word}`"))).collect();
    assert!(unwritten.is_empty(), "not in SPEC.md: {unwritten:?}");
    let untold: Vec<_> = proofs::WORDS.iter().filter(|(word, _)| !expected.contains(*word)).collect();
    assert!(untold.is_empty(), "no vector expects: {untold:?}");
}

#[test]
fn every_limit_in_the_specification_is_the_one_of_the_code() {
    limits::check(&spec());
}

/// Words under `refused` and `why`, at any depth.
fn collect(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(word) if key == "refused" || key == "why" => _ = into.insert(word.clone()),
                    other => collect(other, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}

#[test]
#[ignore = "writes the files of protocol/vectors"]
fn write_the_vectors() {
    for (name, make, _) in FILES {
        std::fs::write(folder().join(format!("{name}.json")), text_of(&make())).unwrap();
    }
}
