//! A log that Tessera wrote: checkpoints, partial tiles and bundles of 0 to 15 entries. Read as a
//! client reads it, and written again byte for byte.

use std::path::Path;

use yunling_protocol::log::merkle::{
    Frontier, Hash, MemoryTree, Nodes, consistency_proof, inclusion_proof, root_at, verify_consistency,
    verify_inclusion,
};
use yunling_protocol::log::note::NoteKey;
use yunling_protocol::log::tile::{self, Tile, TileKind};
use yunling_protocol::log::{Checkpoint, merkle};

use crate::folder;

/// Tiles of a folder, in a tree of this size.
struct Tiles<'a>(&'a Path, u64);

impl Nodes for Tiles<'_> {
    type Error = String;

    fn node(&self, level: u8, index: u64) -> Result<Hash, String> {
        let (tile, start, count) = Tile::of_node(level, index, self.1).ok_or("not in the tree")?;
        let bytes = std::fs::read(self.0.join(tile.to_string())).map_err(|e| format!("{tile}: {e}"))?;
        let hashes = tile::decode_hashes(&bytes, tile.width).map_err(|e| e.to_string())?;
        tile::node_in_tile(&hashes, start, count).map_err(|e| e.to_string())
    }
}

fn head(log: &Path, size: u64, key: &NoteKey) -> Checkpoint {
    let bytes = std::fs::read(log.join(format!("checkpoint.{size}"))).unwrap();
    let (note, checkpoint) = Checkpoint::parse(&bytes).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(key)).unwrap().len(), 1);
    assert_eq!((checkpoint.size, checkpoint.origin.as_str()), (size, key.name()));
    checkpoint
}

#[test]
fn the_log_of_tessera_is_read_and_written_byte_for_byte() {
    let Some(log) = folder().map(|f| f.join("tlog/tessera-log")) else { return };
    let key = NoteKey::parse(std::fs::read_to_string(log.join("vkey.txt")).unwrap().trim()).unwrap();
    let last = head(&log, 15, &key);
    let (bundle, _) = Tile::bundle_of(14, 15).unwrap();
    let bytes = std::fs::read(log.join(bundle.to_string())).unwrap();
    let entries = tile::decode_entries(&bytes, bundle.width).unwrap();
    let (mut frontier, mut tree) = (Frontier::new(), MemoryTree::new());
    let (mut files, mut proofs) = (0, 0);
    for size in 0..=15u64 {
        let checkpoint = head(&log, size, &key);
        assert_eq!(frontier.root(), checkpoint.root);
        assert_eq!(root_at(&Tiles(&log, size), size), Ok(checkpoint.root));
        let proof = consistency_proof(&Tiles(&log, 15), size, 15).unwrap();
        verify_consistency(size, &checkpoint.root, 15, &last.root, &proof).unwrap();
        for index in 0..size {
            let leaf = merkle::leaf_hash(entries[index as usize]);
            let path = inclusion_proof(&Tiles(&log, size), index, size).unwrap();
            verify_inclusion(&leaf, index, size, &checkpoint.root, &path).unwrap();
            proofs += 1;
        }
        // What we would write for this step is exactly what lies there.
        for tile in tile::changed(size.saturating_sub(1), size) {
            let mut ours = Vec::new();
            for n in 0..u64::from(tile.width) {
                match tile.kind {
                    TileKind::Entries => tile::push_entry(&mut ours, entries[n as usize]).unwrap(),
                    TileKind::Hashes(level) => ours.extend_from_slice(&tree.node(level * 8, n).unwrap()),
                }
            }
            assert_eq!(std::fs::read(log.join(tile.to_string())).unwrap(), ours, "{tile}");
            files += 1;
        }
        if let Some(entry) = entries.get(size as usize) {
            frontier.append(entry).unwrap();
            tree.append_leaf(merkle::leaf_hash(entry)).unwrap();
        }
    }
    println!("tessera log: 16 checkpoints, {files} tiles and bundles, {proofs} inclusion proofs");
    assert_eq!((files, proofs), (30, 120));
}
