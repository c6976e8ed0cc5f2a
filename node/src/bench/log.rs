//! The log: entries taken and audited, and a proof with its receipt.

use std::hint::black_box;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use yunling_protocol::key::{KeyEntry, Role, SoftSigner};
use yunling_protocol::log::audit::Audit;
use yunling_protocol::log::cosignature::{self, COSIGNATURE_BYTES};
use yunling_protocol::log::merkle::{MemoryTree, inclusion_proof, leaf_hash, root_at};
use yunling_protocol::log::policy::{Quorum, Witness, WitnessKey};
use yunling_protocol::log::{Checkpoint, Entry, Origin};
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::receipt::{Inclusion, Receipt};
use yunling_protocol::proof::{self, LogTrust, StatusRules};
use yunling_protocol::status::StatusLists;

use super::{Bench, Line, compare, median, micros};
use crate::log::{Book, Folder};
use crate::service::Refusal;

/// Entries of one round; a checkpoint follows each thousand, as in a busy office.
const ENTRIES: usize = 20_000;
const ROUND: usize = 1_000;
/// Entries of the log in which the proof lies: paths of 14 hashes (PROOFS §4.2).
const TREE: u64 = 16_384;
/// Witnesses of the receipt.
const WITNESSES: usize = 2;

fn internal(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new("internal").with("cause", cause)
}

fn entry(n: usize) -> Vec<u8> {
    let mut id = [3; 32];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    Entry::Signed(id).encode().unwrap_or_default()
}

/// Bare SHA-256 of as many entries, per second.
fn bare() -> f64 {
    let began = Instant::now();
    for n in 0..ENTRIES {
        black_box(Sha256::digest(entry(n)));
    }
    ENTRIES as f64 / began.elapsed().as_secs_f64()
}

fn rate(
    rounds: usize,
    name: &'static str,
    unit: &'static str,
    mut work: impl FnMut() -> Result<f64, Refusal>,
) -> Result<Line, Refusal> {
    let (mut values, mut ratios, mut limits) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        let (limit, value) = (bare(), work()?);
        values.push(value);
        limits.push(limit);
        ratios.push(value / limit);
    }
    let limit = format!("bare SHA-256: {:.0}/s", median(limits));
    Ok(Line { name, value: median(values), unit, ratio: Some(median(ratios)), limit })
}

/// Entries logged per second: hashed, bundled, tiles written and synced, a checkpoint signed each thousand.
pub(super) fn logged(folder: &std::path::Path, rounds: usize) -> Result<Line, Refusal> {
    let signer = SoftSigner::from_seed(&[Role::Log as u8; 32]);
    let mut number = 0;
    rate(rounds, "entry-logged", "1/s", || {
        number += 1;
        let log = Folder::at(folder.join(format!("log{number}")));
        let mut book = Book::default();
        let began = Instant::now();
        for round in 0..ENTRIES / ROUND {
            let mut growth = book.round();
            for n in 0..ROUND {
                book.append(&entry(round * ROUND + n), &mut growth)?;
            }
            let note =
                Checkpoint::new("kunming/1", book.size(), book.root()).sign(&signer).map_err(internal)?;
            log.publish(&book.files(growth), &note.render())?;
        }
        let rate = ENTRIES as f64 / began.elapsed().as_secs_f64();
        log.remove()?;
        Ok(rate)
    })
}

/// Entries audited per second.
pub(super) fn audited(rounds: usize) -> Result<Line, Refusal> {
    let entries: Vec<Vec<u8>> = (0..ENTRIES).map(entry).collect();
    rate(rounds, "entry-audited", "1/s", || {
        let mut audit = Audit::new("kunming/1");
        let began = Instant::now();
        for entry in &entries {
            audit.entry(entry).map_err(internal)?;
        }
        Ok(ENTRIES as f64 / began.elapsed().as_secs_f64())
    })
}

/// A proof with its receipt of 14 hashes and two witnesses, beside one bare signature check.
pub(super) fn verify_p2(bench: &Bench, rounds: usize) -> Result<Line, Refusal> {
    let text = bench.proof()?;
    let id = proof::logged_id(&text).map_err(|why| internal(why.code()))?;
    let mut tree = MemoryTree::new();
    for n in 0..TREE {
        let leaf = if n == 5 { Entry::Signed(id.0).encode().unwrap_or_default() } else { entry(n as usize) };
        tree.append_leaf(leaf_hash(&leaf)).map_err(internal)?;
    }
    let log = SoftSigner::from_seed(&[Role::Log as u8; 32]);
    let root = root_at(&tree, TREE).map_err(internal)?;
    let head = Checkpoint::new("kunming/1", TREE, root);
    let mut witnesses = Vec::new();
    let mut cosignatures: Vec<[u8; COSIGNATURE_BYTES]> = Vec::new();
    for n in 0..WITNESSES {
        let node = NodeName::parse(&format!("witness{n}")).map_err(internal)?;
        let signer = SoftSigner::from_seed(&[100 + n as u8; 32]);
        let time = bench.now.0.unsigned_abs();
        let line = cosignature::sign(&signer, node.as_str(), time, &head.text()).map_err(internal)?;
        cosignatures.extend(<[u8; COSIGNATURE_BYTES]>::try_from(line.raw()).ok());
        let public = yunling_protocol::key::Signer::public(&signer);
        let key = KeyEntry::new(Role::Witness, public, yunling_protocol::day::UnixTime(0), None);
        let key = WitnessKey::of(&node, &key.map_err(internal)?).map_err(internal)?;
        witnesses.push(Witness::new(node, vec![key]));
    }
    let quorum = Quorum::new("bench", &bench.name, witnesses, WITNESSES).map_err(internal)?;
    let path = inclusion_proof(&tree, 5, TREE).map_err(|_| internal("path"))?;
    let inclusion = Inclusion { head: &head, index: 5, path, cosignatures };
    let receipt = Receipt::make(&log, inclusion).map_err(internal)?;
    let p2 = proof::with_receipts(&text, &[receipt]).map_err(|why| internal(why.code()))?;
    let keys = |node: &NodeName| bench.members.keys_known(node, Role::Log).cloned().collect();
    let quorum = |_: &Origin| Some(quorum.clone());
    let logs = LogTrust { keys: &keys, quorum: &quorum, required: true };
    let (lists, rules) = (StatusLists::default(), StatusRules::default());
    let verify = || proof::verify_logged(&p2, &bench.members, &lists, &rules, &logs, bench.now);
    let checked = verify();
    if checked.verdict() != proof::Verdict::Valid {
        return Err(internal(checked.why.code()));
    }
    let bare = bench.bare_check()?;
    Ok(compare(
        rounds,
        "p2-verified",
        "bare verify_strict",
        || micros(|_| drop(black_box(verify()))),
        || micros(|_| bare()),
    ))
}
