//! Every decoder over its seeds and over thousands of changed ones, on the stable compiler.
//!
//! The same functions run under a fuzzer with coverage by `tests/run --long`; what that finds
//! becomes a seed in `tests/fuzz/seeds`, so that this test keeps it found.
#![allow(clippy::unwrap_used)]

#[path = "decoders/seeds.rs"]
mod seeds;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use yunling_tests::decoders::{DECODERS, run, watch_panics};
use yunling_tests::dice::Dice;
use yunling_tests::repository_root;

/// Changed seeds per decoder: a few seconds in all.
const CHANGED: u64 = 4_000;
/// All seeds together: a clone of the repository carries them for ever.
const SEEDS_BYTES_MAX: usize = 1024 * 1024;

fn folder() -> PathBuf {
    repository_root().join("tests/fuzz/seeds")
}

/// Seeds by decoder, in order of their file names.
fn seeds() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut all: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        let mut files: Vec<_> = std::fs::read_dir(entry.path()).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        let name = entry.file_name().into_string().unwrap();
        all.insert(name, files.into_iter().map(|f| std::fs::read(f).unwrap()).collect());
    }
    all
}

/// Some bytes of `seed` changed: the ways in which files break, and those a liar would try.
fn changed(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let pick = |dice: &mut Dice| &seeds[dice.below(seeds.len() as u64) as usize];
    let mut bytes = pick(dice).clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() as u64 + 1) as usize;
        let end = (at + dice.below(16) as usize).min(bytes.len());
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.insert(at, dice.below(256) as u8),
            5 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            // Numbers at the ends of their ranges, as CBOR and as plain big-endian bytes.
            6 => {
                let number = [0, 1, 23, 24, 255, 1 << 31, u64::MAX >> 1, u64::MAX][dice.below(8) as usize];
                let width = [1, 2, 4, 8][dice.below(4) as usize];
                let tail = number.to_be_bytes()[8 - width..].to_vec();
                let until = (at + width).min(bytes.len());
                bytes.splice(at..until, tail);
            }
            7 => {
                let other = pick(dice);
                let from = dice.below(other.len() as u64 + 1) as usize;
                let piece = other[from..(from + 64).min(other.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.rotate_left(at),
        }
    }
    bytes
}

/// Runs one input; a broken promise keeps the input, to become a seed.
fn must_hold(name: &str, bytes: &[u8], which: &str) {
    if catch_unwind(AssertUnwindSafe(|| run(name, bytes))).is_err() {
        let kept = std::env::temp_dir().join(format!("yunling-decoder-{name}"));
        std::fs::write(&kept, bytes).unwrap();
        panic!("{name} breaks a promise on {which}; the input lies in {}", kept.display());
    }
}

/// One test for all: the memory of the process is measured, and tests beside would be counted too.
#[test]
fn every_decoder_keeps_its_promises_on_its_seeds_and_on_changed_ones() {
    watch_panics();
    let seeds = seeds();
    let names: Vec<&str> = DECODERS.iter().map(|(name, _)| *name).collect();
    for name in seeds.keys() {
        assert!(names.contains(&name.as_str()), "seeds for {name}, but no such decoder");
    }
    for (stream, (name, _)) in DECODERS.iter().enumerate() {
        let began = std::time::Instant::now();
        let own = seeds.get(*name).unwrap_or_else(|| panic!("no seeds for {name}"));
        for (n, seed) in own.iter().enumerate() {
            must_hold(name, seed, &format!("seed {n}"));
        }
        let mut dice = Dice::new(1_000 + stream as u64);
        for n in 0..CHANGED {
            must_hold(name, &changed(&mut dice, own), &format!("change {n}"));
        }
        println!("{name}: {} seeds, {CHANGED} changed, {:.1?}", own.len(), began.elapsed());
    }
}

#[test]
fn every_fuzz_target_is_a_decoder_and_the_seeds_stay_small() {
    let fuzz = repository_root().join("tests/fuzz");
    let manifest: toml::Table = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap().parse().unwrap();
    let targets: Vec<&str> =
        manifest["bin"].as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap()).collect();
    let names: Vec<&str> = DECODERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(targets, names, "targets of tests/fuzz and decoders, in the same order");
    for name in names {
        let source = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("run(\"{name}\", bytes)")), "{name} runs its own decoder");
    }
    let bytes: usize = seeds().values().flatten().map(Vec::len).sum();
    assert!(bytes < SEEDS_BYTES_MAX, "the seeds have {bytes} bytes");
}
