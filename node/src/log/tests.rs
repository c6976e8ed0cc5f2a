#![allow(clippy::unwrap_used)]

use std::path::Path;

use yunling_protocol::key::SoftSigner;
use yunling_protocol::ledger::set;
use yunling_protocol::log::merkle::{
    MemoryTree, consistency_proof, inclusion_proof, leaf_hash, root_at, verify_consistency, verify_inclusion,
};
use yunling_protocol::log::rows::{self, HeadRow};
use yunling_protocol::log::{Checkpoint, Entry};
use yunling_protocol::store::{Batch, Oracle, Put, Store as _};

use super::*;

const GENERATION: u64 = 3;
const ORIGIN: &str = "kunming/3";

fn entry(n: u64) -> Vec<u8> {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    let entry =
        if n.is_multiple_of(3) { Entry::Custody { id, nullifier: [8; 32] } } else { Entry::Signed(id) };
    entry.encode().unwrap()
}

/// A store and a folder of one log.
struct Scene {
    store: Oracle,
    home: tempfile::TempDir,
    book: Book,
}

impl Scene {
    fn new() -> Self {
        Self { store: Oracle::new(), home: tempfile::tempdir().unwrap(), book: Book::default() }
    }

    fn folder(&self) -> Folder {
        Folder::of(self.home.path(), GENERATION)
    }

    fn head(&self) -> HeadRow {
        let signer = SoftSigner::from_seed(&[5; 32]);
        let note =
            Checkpoint::new(ORIGIN, self.book.size(), self.book.root()).sign(&signer).unwrap().render();
        HeadRow { frontier: self.book.frontier().clone(), note }
    }

    /// Appends entries and stores them; publishes them only when told to, as a crash would have it.
    fn grow(&mut self, count: u64, publish: bool) {
        let mut round = self.book.round();
        for _ in 0..count {
            self.book.append(&entry(self.book.size()), &mut round).unwrap();
        }
        let mut batch = Batch::default();
        for (number, bundle) in round.bundles(&self.book) {
            set(&mut batch, rows::bundle_key(GENERATION, number), bundle.to_vec());
        }
        self.store.commit(batch).unwrap();
        if publish {
            self.folder().publish(&self.book.files(round), &self.head().note).unwrap();
        }
    }

    fn open(&self) -> Result<Book, LogError> {
        Book::open(&self.store, &self.folder(), GENERATION, &self.head())
    }

    /// The folder alone comes to the root, whatever happened before.
    fn files_are_right(&self) {
        let folder = self.folder();
        let size = self.book.size();
        let tiles = Tiles { folder: &folder, size };
        assert_eq!(root_at(&tiles, size).unwrap(), self.book.root());
        let published = folder.read(CHECKPOINT_FILE).unwrap().unwrap();
        assert_eq!(String::from_utf8(published).unwrap(), self.head().note);
        for number in [0, size / 2, size - 1] {
            let served = folder.tile(Tile::bundle_of(number, size).unwrap().0).unwrap().unwrap();
            let (tile, place) = Tile::bundle_of(number, size).unwrap();
            let entries = yunling_protocol::log::tile::decode_entries(&served, tile.width).unwrap();
            assert_eq!(entries[place], entry(number));
        }
    }
}

use yunling_protocol::log::Tile;

#[test]
fn a_log_grows_over_every_edge_and_its_files_prove_each_place_and_each_step() {
    let mut scene = Scene::new();
    let mut tree = MemoryTree::new();
    let mut sizes = Vec::new();
    // Over the ends of tiles of the first and the second level.
    for count in [1, 2, 252, 1, 1, 300, 65_000, 200, 1, 1_000] {
        for n in tree.frontier().size()..tree.frontier().size() + count {
            tree.append_leaf(leaf_hash(&entry(n))).unwrap();
        }
        scene.grow(count, true);
        assert_eq!(scene.book.root(), tree.frontier().root());
        sizes.push((scene.book.size(), scene.book.root()));
        scene.files_are_right();
    }
    let folder = scene.folder();
    let (size, root) = *sizes.last().unwrap();
    let tiles = Tiles { folder: &folder, size };
    for index in [0, 1, 255, 256, 65_535, 65_536, size - 1] {
        let path = inclusion_proof(&tiles, index, size).unwrap();
        verify_inclusion(&leaf_hash(&entry(index)), index, size, &root, &path).unwrap();
    }
    for (old, old_root) in &sizes {
        let path = consistency_proof(&tiles, *old, size).unwrap();
        verify_consistency(*old, old_root, size, &root, &path).unwrap();
    }
    // Proofs under an older checkpoint are made from what the files became since.
    let (older, older_root) = sizes[6];
    let tiles = Tiles { folder: &folder, size: older };
    let path = inclusion_proof(&tiles, older - 1, older).unwrap();
    verify_inclusion(&leaf_hash(&entry(older - 1)), older - 1, older, &older_root, &path).unwrap();
}

#[test]
fn what_was_stored_and_not_published_is_published_when_the_log_opens() {
    for lost in [1, 255, 256, 700] {
        let mut scene = Scene::new();
        scene.grow(300, true);
        scene.grow(lost, false);
        let book = scene.open().unwrap();
        assert_eq!((book.size(), book.root()), (scene.book.size(), scene.book.root()));
        scene.files_are_right();
        // And it goes on from there.
        scene.book = book;
        scene.grow(10, true);
        scene.files_are_right();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[test]
fn files_that_are_lost_or_damaged_are_made_again_from_the_store() {
    let mut scene = Scene::new();
    scene.grow(600, true);
    let log = scene.home.path().join(LOG_FOLDER);
    std::fs::remove_dir_all(&log).unwrap();
    scene.open().unwrap();
    scene.files_are_right();
    // The last tiles are what the log goes on from: each byte of them counts.
    for path in files(&log).iter().filter(|p| p.to_string_lossy().contains(".p/")) {
        let good = std::fs::read(path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        std::fs::write(path, &bad).unwrap();
        let book = scene.open().unwrap();
        assert_eq!(book.root(), scene.book.root());
        assert_eq!(std::fs::read(path).unwrap(), good, "{}", path.display());
    }
}

#[test]
fn stored_entries_that_do_not_come_to_the_signed_root_are_refused() {
    let mut scene = Scene::new();
    scene.grow(600, true);
    std::fs::remove_dir_all(scene.home.path().join(LOG_FOLDER)).unwrap();
    let key = rows::bundle_key(GENERATION, 1);
    let good = yunling_protocol::store::Read::get(&scene.store, key.table, &key.key).unwrap().unwrap();
    let mut bad = good.clone();
    bad[40] ^= 1;
    for (change, refused) in [
        (Put::Set(key.clone(), bad), true),
        (Put::Delete(key.clone()), true),
        (Put::Set(key.clone(), good[..good.len() - 1].to_vec()), true),
        (Put::Set(key, good), false),
    ] {
        scene.store.commit(Batch { expect: vec![], put: vec![change] }).unwrap();
        assert_eq!(scene.open().map_err(|e| e.code()).err(), refused.then_some("log-damaged"));
    }
}

#[test]
fn only_the_files_of_a_log_are_served() {
    let mut scene = Scene::new();
    scene.grow(300, true);
    let folder = scene.folder();
    std::fs::write(scene.home.path().join("secret"), b"secret").unwrap();
    for path in ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"] {
        assert!(folder.served(path).unwrap().is_some(), "{path}");
    }
    // A partial tile that a full one replaced is cut from it.
    let full = folder.served("tile/0/000").unwrap().unwrap().bytes;
    assert_eq!(folder.served("tile/0/000.p/9").unwrap().unwrap().bytes, full[..9 * 32]);
    for path in [
        "",
        "../../secret",
        "/etc/passwd",
        "tile/0/../../../secret",
        "tile/0/000.p/0",
        "tile/0/002",
        "tile/9/000",
    ] {
        assert_eq!(folder.served(path).unwrap(), None, "{path}");
    }
}
