//! Test vectors of other projects for the log (`../shared/vectors/merkle` and `/tlog`): every case
//! of every set is run. A case whose verdict differs from its file's stands in a table with the
//! reason, and the table must be used up, so that nothing is left out silently.

#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[path = "vectors_log/merkle.rs"]
mod merkle;
#[path = "vectors_log/notes.rs"]
mod notes;
#[path = "vectors_log/policies.rs"]
mod policies;
#[path = "vectors_log/proofs.rs"]
mod proofs;
#[path = "vectors_log/receipts.rs"]
mod receipts;
#[path = "vectors_log/tessera.rs"]
mod tessera;
#[path = "vectors_log/witness.rs"]
mod witness;

/// The folder of vectors: `YUNLING_SHARED`, else a folder `shared` beside the repository.
fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("YUNLING_SHARED").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let folder = folder.join("vectors");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no test vectors: set YUNLING_SHARED");
    eprintln!("SKIPPED: no test vectors; set YUNLING_SHARED");
    None
}

/// A JSON file of vectors.
fn json(path: &str) -> Option<Value> {
    Some(serde_json::from_slice(&std::fs::read(folder()?.join(path)).unwrap()).unwrap())
}

/// A file of one JSON value a line.
fn json_lines(path: &str) -> Option<Vec<Value>> {
    let text = std::fs::read_to_string(folder()?.join(path)).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Counts cases, and the exceptions that were met.
struct Tally {
    set: &'static str,
    exceptions: &'static [(&'static str, &'static str)],
    met: RefCell<Vec<&'static str>>,
    cases: RefCell<usize>,
}

impl Tally {
    fn new(set: &'static str, exceptions: &'static [(&'static str, &'static str)]) -> Self {
        Self { set, exceptions, met: RefCell::default(), cases: RefCell::default() }
    }

    /// A case with the verdict that its file expects, or the opposite if it stands in the table.
    fn case(&self, id: &str, expected: bool, ours: bool, why: &dyn std::fmt::Debug) {
        *self.cases.borrow_mut() += 1;
        match self.exceptions.iter().find(|(known, _)| *known == id) {
            None => assert_eq!(ours, expected, "{}: {id}: {why:?}", self.set),
            Some((known, _)) => {
                assert_ne!(ours, expected, "{}: {id} agrees with its file; no exception is needed", self.set);
                self.met.borrow_mut().push(known);
            }
        }
    }

    /// Prints the counts; every exception was met.
    fn finish(self, expected_cases: usize) {
        let (met, cases) = (self.met.into_inner(), self.cases.into_inner());
        println!("{}: {cases} cases, {} with another verdict than their file", self.set, met.len());
        for (id, why) in self.exceptions {
            println!("  {id}: {why}");
            assert!(met.contains(id), "{}: the exception {id} was never met", self.set);
        }
        assert_eq!(cases, expected_cases, "{}: cases that were run", self.set);
    }
}

fn base64(text: &str) -> Vec<u8> {
    data_encoding::BASE64.decode(text.as_bytes()).unwrap()
}
