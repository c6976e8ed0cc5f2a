//! Figures of the log at 10^6 and 10^7 entries: growth, proofs from tiles, audit. Run by hand:
//! `cargo test --release -p yunling-protocol --test log_speed -- --ignored --nocapture`.
//! Tiles lie in memory here (320 MB at 10^7): what is measured is our work, not the disk's.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use yunling_protocol::log::audit::Audit;
use yunling_protocol::log::merkle::{
    Frontier, Hash, Nodes, consistency_proof, inclusion_proof, leaf_hash, root_at, verify_consistency,
    verify_inclusion,
};
use yunling_protocol::log::tile::{Tile, TileKind, decode_hashes, node_in_tile};
use yunling_protocol::log::{Checkpoint, Entry};

/// Tile files by level, one after the other.
#[derive(Default)]
struct Tiles {
    levels: [Vec<u8>; 4],
    size: u64,
}

impl Nodes for Tiles {
    type Error = String;

    fn node(&self, level: u8, index: u64) -> Result<Hash, String> {
        let (tile, start, count) = Tile::of_node(level, index, self.size).ok_or("not complete")?;
        let TileKind::Hashes(tile_level) = tile.kind else { return Err("entries".into()) };
        // As a reader of files does: the whole tile is taken and cut into hashes.
        let at = tile.index as usize * 8192;
        let bytes = &self.levels[usize::from(tile_level)][at..at + 32 * usize::from(tile.width)];
        let hashes = decode_hashes(bytes, tile.width).map_err(|e| e.to_string())?;
        node_in_tile(&hashes, start, count).map_err(|e| e.to_string())
    }
}

fn entry(i: u64) -> Vec<u8> {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&i.to_be_bytes());
    let entry = if i % 100 == 7 { Entry::Custody { id, nullifier: id } } else { Entry::Signed(id) };
    entry.encode().unwrap()
}

fn per_second(n: u64, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64()
}

/// Bare SHA-256 of one block in the same run: the unit of the ratios.
fn bare() -> f64 {
    let started = Instant::now();
    for i in 0..1_000_000u64 {
        black_box(Sha256::digest(black_box(&[i as u8; 33])));
    }
    per_second(1_000_000, started.elapsed())
}

fn measure(size: u64) {
    let bare = bare();
    println!("{size} entries; bare SHA-256 of 33 bytes: {:.2} M/s", bare / 1e6);
    let (mut tiles, mut frontier) = (Tiles::default(), Frontier::new());
    let started = Instant::now();
    for i in 0..size {
        let levels = &mut tiles.levels;
        let append = |level: u8, _, hash: &Hash| {
            if level.is_multiple_of(8) {
                levels[usize::from(level / 8)].extend_from_slice(hash);
            }
        };
        frontier.append_leaf(leaf_hash(&entry(i)), append).unwrap();
    }
    let grown = per_second(size, started.elapsed());
    println!(
        "  grown: {:.2} M entries/s, {:.2} of bare; state {} bytes",
        grown / 1e6,
        grown / bare,
        frontier.encode().len()
    );
    tiles.size = size;
    let root = frontier.root();
    assert_eq!(root_at(&tiles, size), Ok(root));

    let mut worst = [Duration::ZERO; 4];
    let mut sum = [Duration::ZERO; 4];
    let samples = 2_000u64;
    for n in 0..samples {
        let index = n * (size / samples) + n % 7;
        let mut time = |which: usize, took: Duration| {
            worst[which] = worst[which].max(took);
            sum[which] += took;
        };
        let started = Instant::now();
        let path = black_box(inclusion_proof(&tiles, index, size).unwrap());
        time(0, started.elapsed());
        let leaf = leaf_hash(&entry(index));
        let started = Instant::now();
        black_box(verify_inclusion(&leaf, index, size, &root, &path)).unwrap();
        time(1, started.elapsed());
        let started = Instant::now();
        let proof = black_box(consistency_proof(&tiles, index + 1, size).unwrap());
        time(2, started.elapsed());
        let old = root_at(&tiles, index + 1).unwrap();
        let started = Instant::now();
        black_box(verify_consistency(index + 1, &old, size, &root, &proof)).unwrap();
        time(3, started.elapsed());
    }
    for (which, word) in ["inclusion made", "inclusion verified", "consistency made", "consistency verified"]
        .iter()
        .enumerate()
    {
        println!("  {word}: mean {:?}, worst {:?}", sum[which] / samples as u32, worst[which]);
    }
    // The mean: on a shared machine the worst of 2,000 is the scheduler's.
    assert!(sum.iter().all(|sum| *sum / (samples as u32) < Duration::from_millis(1)));

    let mut audit = Audit::new("dali/1");
    audit.checkpoint(&Checkpoint::new("dali/1", size, root), true).unwrap();
    let started = Instant::now();
    for i in 0..size {
        audit.entry(&entry(i)).unwrap();
    }
    let audited = per_second(size, started.elapsed());
    assert!(audit.report().is_clean());
    let state = audit.encode().len();
    println!(
        "  audited: {:.2} M entries/s, {:.2} of bare; stored state {state} bytes",
        audited / 1e6,
        audited / bare
    );
}

#[test]
#[ignore = "figures, for a release build"]
fn a_million() {
    measure(1_000_000);
}

#[test]
#[ignore = "figures, for a release build; 320 MB"]
fn ten_million() {
    measure(10_000_000);
}
