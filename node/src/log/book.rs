//! A log that grows: the right edge of its tiles in memory, at most 255 hashes for each level.

use yunling_protocol::log::merkle::{Frontier, Hash, Nodes, leaf_hash, root_at};
use yunling_protocol::log::rows::{self, HeadRow};
use yunling_protocol::log::tile::{self, TILE_HEIGHT, TILE_WIDTH, Tile, TileKind};
use yunling_protocol::log::{Checkpoint, MerkleError};
use yunling_protocol::store::{Read, Table};

use super::{CHECKPOINT_FILE, Folder, LogError, Tiles};

/// Bundles read from the store at a time when files are made again.
const SCAN_BUNDLES: usize = 64;

/// A log at its end.
#[derive(Debug, Clone, Default)]
pub struct Book {
    frontier: Frontier,
    /// Hashes of the last, incomplete tile of each tile level.
    edge: Vec<Vec<Hash>>,
    /// Entries of the last, incomplete bundle.
    bundle: Vec<u8>,
}

/// What one round of appends came to.
#[derive(Debug, Default)]
pub struct Round {
    /// Size before it.
    before: u64,
    /// Full tiles and bundles.
    full: Vec<(Tile, Vec<u8>)>,
}

impl Book {
    /// Entries.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Root.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The tree, to be stored.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Begins a round.
    pub fn round(&self) -> Round {
        Round { before: self.size(), full: Vec::new() }
    }

    /// Appends an entry; gives its index.
    pub fn append(&mut self, entry: &[u8], round: &mut Round) -> Result<u64, LogError> {
        let edge = &mut self.edge;
        let full = &mut round.full;
        let index = self.frontier.append_leaf(leaf_hash(entry), |level, index, hash| {
            if !level.is_multiple_of(TILE_HEIGHT) {
                return;
            }
            let tile_level = usize::from(level / TILE_HEIGHT);
            if edge.len() <= tile_level {
                edge.resize_with(tile_level + 1, Vec::new);
            }
            let row = &mut edge[tile_level];
            row.push(*hash);
            if row.len() as u64 == TILE_WIDTH {
                let kind = TileKind::Hashes(level / TILE_HEIGHT);
                full.push((Tile { kind, index: index / TILE_WIDTH, width: TILE_WIDTH as u16 }, row.concat()));
                row.clear();
            }
        })?;
        tile::push_entry(&mut self.bundle, entry).map_err(|_| LogError::Damaged("an entry is too large"))?;
        if (index + 1).is_multiple_of(TILE_WIDTH) {
            let tile = Tile { kind: TileKind::Entries, index: index / TILE_WIDTH, width: TILE_WIDTH as u16 };
            round.full.push((tile, std::mem::take(&mut self.bundle)));
        }
        Ok(index)
    }

    /// Ends a round: the files to write.
    pub fn files(&self, round: Round) -> Vec<(Tile, Vec<u8>)> {
        let partial = tile::changed(round.before, self.size()).into_iter().filter(|tile| !tile.is_full());
        let mut files = round.full;
        files.extend(partial.map(|tile| {
            let bytes = match tile.kind {
                TileKind::Entries => self.bundle.clone(),
                TileKind::Hashes(level) => {
                    self.edge.get(usize::from(level)).map(|row| row.concat()).unwrap_or_default()
                }
            };
            (tile, bytes)
        }));
        files
    }

    /// Opens the log whose head lies in the store, and brings its files up to it: what a crash left behind,
    /// what a restore did not bring, and what damage took is made again from the stored entries.
    pub fn open(read: &dyn Read, folder: &Folder, generation: u64, head: &HeadRow) -> Result<Self, LogError> {
        // From the files as far as they go; where they are not those of this log, from the beginning.
        for mut book in [Self::resume(folder, head.frontier.size())?, Self::default()] {
            let mut round = book.round();
            book.replay(read, generation, head.frontier.size(), folder, &mut round)?;
            if book.root() == head.frontier.root() {
                let grown = book.size() > round.before;
                if grown || folder.read(CHECKPOINT_FILE)?.is_none() {
                    folder.publish(&book.files(round), &head.note)?;
                }
                return Ok(book);
            }
        }
        Err(LogError::Damaged("the stored entries do not come to the signed root"))
    }

    /// A log of which only files are there: from their checkpoint, or from the beginning when they are of
    /// another history or beyond `size`.
    pub fn resume(folder: &Folder, size: u64) -> Result<Self, LogError> {
        let published = folder.read(CHECKPOINT_FILE)?;
        let published = published.and_then(|bytes| Checkpoint::parse(&bytes).ok()).map(|(_, c)| c);
        let base = published.filter(|c| c.size <= size).and_then(|c| Self::from_files(folder, &c));
        Ok(base.unwrap_or_default())
    }

    /// The right edge as the files have it, when it comes to the root of their checkpoint.
    fn from_files(folder: &Folder, checkpoint: &Checkpoint) -> Option<Self> {
        let size = checkpoint.size;
        let tiles = Tiles { folder, size };
        if root_at(&tiles, size).ok()? != checkpoint.root {
            return None;
        }
        let mut edge = Vec::new();
        for level in 0.. {
            let hashes = size.checked_shr(level * u32::from(TILE_HEIGHT)).filter(|n| *n > 0);
            let Some(hashes) = hashes else { break };
            let last = hashes - hashes % TILE_WIDTH;
            let row = match Tile::at(level as u8, last / TILE_WIDTH, size) {
                Some(tile) => tile::decode_hashes(&folder.tile(tile).ok()??, tile.width).ok()?,
                None => Vec::new(),
            };
            edge.push(row);
        }
        let bundle = match Tile::at(0, size / TILE_WIDTH, size) {
            Some(tile) => folder.tile(Tile { kind: TileKind::Entries, ..tile }).ok()??,
            None => Vec::new(),
        };
        let entries = tile::decode_entries(&bundle, (size % TILE_WIDTH) as u16).ok()?;
        let leaves: Vec<Hash> = entries.into_iter().map(leaf_hash).collect();
        if edge.first() != Some(&leaves) {
            return None;
        }
        let mut encoded = size.to_be_bytes().to_vec();
        for level in (0..u64::BITS as u8).rev().filter(|level| size >> level & 1 == 1) {
            encoded.extend_from_slice(&tiles.node(level, (size >> level) - 1).ok()?);
        }
        Some(Self { frontier: Frontier::decode(&encoded).ok()?, edge, bundle })
    }

    /// Appends the stored entries from its size on up to `size`; full files are written on the way, so that
    /// memory stays small however much is made again.
    fn replay(
        &mut self,
        read: &dyn Read,
        generation: u64,
        size: u64,
        folder: &Folder,
        round: &mut Round,
    ) -> Result<(), LogError> {
        let damaged = LogError::Damaged("a bundle of entries is not whole");
        let prefix = rows::bundle_prefix(generation);
        let mut after =
            (self.size() / TILE_WIDTH).checked_sub(1).map(|n| rows::bundle_key(generation, n).key);
        while self.size() < size {
            let bundles = read.scan(Table::Log, &prefix, after.as_deref(), SCAN_BUNDLES)?;
            let Some((last, _)) = bundles.last() else { return Err(damaged) };
            after = Some(last.clone());
            for (key, bytes) in &bundles {
                let number = self.size() / TILE_WIDTH;
                if *key != rows::bundle_key(generation, number).key {
                    return Err(damaged);
                }
                let width = (size - number * TILE_WIDTH).min(TILE_WIDTH) as u16;
                let Ok(entries) = tile::decode_entries(bytes, width) else { return Err(damaged) };
                let begin = (self.size() % TILE_WIDTH) as usize;
                for entry in entries.into_iter().skip(begin) {
                    self.append(entry, round)?;
                }
                if self.size() >= size {
                    break;
                }
            }
            folder.write_tiles(&std::mem::take(&mut round.full))?;
        }
        Ok(())
    }
}

impl Round {
    /// The full bundles of this round, to be stored with the last partial one of the book.
    pub fn bundles<'a>(&'a self, book: &'a Book) -> impl Iterator<Item = (u64, &'a [u8])> {
        let full = self.full.iter().filter(|(tile, _)| tile.kind == TileKind::Entries);
        let partial = (!book.bundle.is_empty()).then(|| (book.size() / TILE_WIDTH, book.bundle.as_slice()));
        full.map(|(tile, bytes)| (tile.index, bytes.as_slice())).chain(partial)
    }
}

impl From<MerkleError> for crate::service::Refusal {
    fn from(error: MerkleError) -> Self {
        Self::new(error.code()).with("cause", error)
    }
}
