#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::log::merkle::{Frontier, MemoryTree, Nodes, inclusion_proof, leaf_hash, root_at};

#[test]
fn paths_are_written_as_the_specification_writes_them_and_no_other_spelling_is_read() {
    let cases = [
        (TileKind::Hashes(0), 1_234_067, 256, "tile/0/x001/x234/067"),
        (TileKind::Hashes(0), 273, 112, "tile/0/273.p/112"),
        (TileKind::Hashes(2), 0, 1, "tile/2/000.p/1"),
        (TileKind::Entries, 1_000, 256, "tile/entries/x001/000"),
        (TileKind::Entries, 0, 5, "tile/entries/000.p/5"),
    ];
    for (kind, index, width, path) in cases {
        let tile = Tile { kind, index, width };
        assert_eq!(tile.to_string(), path);
        assert_eq!(Tile::parse(path), Some(tile));
    }
    for wrong in [
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/8/000",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/05",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/entries/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../000",
        "tile/-1/000",
        "tile/0/+01",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "checkpoint",
        "",
    ] {
        assert_eq!(Tile::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_tree_of_70_000_has_the_tiles_that_the_specification_counts() {
    let all = changed(0, 70_000);
    let count =
        |kind: TileKind, full: bool| all.iter().filter(|t| t.kind == kind && t.is_full() == full).count();
    assert_eq!((count(TileKind::Hashes(0), true), count(TileKind::Hashes(0), false)), (273, 1));
    assert_eq!((count(TileKind::Entries, true), count(TileKind::Entries, false)), (273, 1));
    assert_eq!((count(TileKind::Hashes(1), true), count(TileKind::Hashes(1), false)), (1, 1));
    let last = Tile { kind: TileKind::Hashes(2), index: 0, width: 1 };
    assert_eq!((all.last(), all.len()), (Some(&last), 2 * 274 + 2 + 1));
    assert_eq!(Tile::at(1, 1, 70_000).unwrap().width, 17);
    let one_more = changed(70_000, 70_001).iter().map(Tile::to_string).collect::<Vec<_>>();
    assert_eq!(one_more, ["tile/entries/273.p/113", "tile/0/273.p/113"]);
    assert!(changed(5, 5).is_empty() && changed(6, 5).is_empty() && changed(0, SIZE_MAX + 1).is_empty());
}

/// A folder of tiles in memory, filled only by what [`changed`] names.
#[derive(Default)]
struct Folder {
    files: BTreeMap<String, Vec<u8>>,
    size: u64,
}

impl Folder {
    fn grow(&mut self, tree: &MemoryTree, entry: impl Fn(u64) -> Vec<u8>) {
        let new = tree.frontier().size();
        for tile in changed(self.size, new) {
            let mut bytes = Vec::new();
            let first = tile.index * TILE_WIDTH;
            for i in first..first + u64::from(tile.width) {
                match tile.kind {
                    TileKind::Hashes(level) => bytes.extend_from_slice(&tree.node(level * 8, i).unwrap()),
                    TileKind::Entries => push_entry(&mut bytes, &entry(i)).unwrap(),
                }
            }
            assert!(self.files.insert(tile.to_string(), bytes).is_none(), "written twice: {tile}");
        }
        self.size = new;
    }
}

impl Nodes for Folder {
    type Error = String;

    fn node(&self, level: u8, index: u64) -> Result<Hash, String> {
        let (tile, start, count) = Tile::of_node(level, index, self.size).ok_or("not complete")?;
        let bytes = self.files.get(&tile.to_string()).ok_or_else(|| tile.to_string())?;
        let hashes = decode_hashes(bytes, tile.width).map_err(|e| e.to_string())?;
        node_in_tile(&hashes, start, count).map_err(|e| e.to_string())
    }
}

#[test]
fn proofs_from_tiles_are_those_from_memory_after_any_steps_of_growth() {
    let entry = |i: u64| i.to_be_bytes()[..(i % 9) as usize].to_vec();
    let (mut tree, mut folder) = (MemoryTree::new(), Folder::default());
    for step in [1u64, 2, 252, 1, 1, 300, 65_000, 500, 7] {
        for _ in 0..step {
            tree.append_leaf(leaf_hash(&entry(tree.frontier().size()))).unwrap();
        }
        folder.grow(&tree, entry);
        let size = folder.size;
        assert_eq!(root_at(&folder, size), Ok(tree.frontier().root()));
        for index in [0, 1, size / 2, size.saturating_sub(2), size - 1].into_iter().filter(|i| *i < size) {
            let (a, b) = (inclusion_proof(&folder, index, size), inclusion_proof(&tree, index, size));
            assert_eq!(a.unwrap(), b.unwrap());
            let (bundle, place) = Tile::bundle_of(index, size).unwrap();
            let entries = decode_entries(&folder.files[&bundle.to_string()], bundle.width).unwrap();
            assert_eq!(entries[place], entry(index));
        }
    }
    // What lies in the folder is enough to find the root again.
    let mut frontier = Frontier::new();
    for n in 0..folder.size.div_ceil(TILE_WIDTH) {
        let (bundle, _) = Tile::bundle_of(n * TILE_WIDTH, folder.size).unwrap();
        for entry in decode_entries(&folder.files[&bundle.to_string()], bundle.width).unwrap() {
            frontier.append(entry).unwrap();
        }
    }
    assert_eq!(frontier.root(), tree.frontier().root());
}

#[test]
fn nodes_beyond_the_tree_and_damaged_files_are_refused() {
    assert_eq!(Tile::of_node(0, 5, 5), None);
    assert_eq!(Tile::of_node(3, 0, 7), None);
    assert_eq!(Tile::of_node(3, 0, 8), Some((Tile::at(0, 0, 8).unwrap(), 0, 8)));
    assert_eq!(Tile::of_node(63, u64::MAX, u64::MAX), None);
    assert_eq!(Tile::of_node(255, 0, u64::MAX), None);
    assert_eq!(Tile::bundle_of(5, 5), None);
    assert_eq!(decode_hashes(&[0; 63], 2), Err(TileError::Length));
    assert_eq!(decode_hashes(&[0; 64], 1), Err(TileError::Length));
    assert_eq!(decode_entries(&[0, 2, 1], 1), Err(TileError::Length));
    assert_eq!(decode_entries(&[0], 1), Err(TileError::Length));
    assert_eq!(decode_entries(&[0, 0, 0, 0], 1), Err(TileError::Length));
    assert_eq!(decode_entries(&[0; 2 * 257], 257), Err(TileError::TooLarge));
    assert_eq!(push_entry(&mut Vec::new(), &[0; ENTRY_BYTES_MAX + 1]), Err(TileError::TooLarge));
    assert!(node_in_tile(&[[0; 32]; 4], 2, 4).is_err() && node_in_tile(&[[0; 32]; 4], 0, 3).is_err());
}
