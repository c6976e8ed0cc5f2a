//! Tiles and entry bundles (`c2sp.org/tlog-tiles`): how a log lies in a folder that any static web
//! server can serve.
//!
//! A tile holds up to 256 hashes of every eighth level of the tree; a bundle holds up to 256
//! entries. A full one never changes; a partial one has its width in its name, so that it does not
//! change either.

use std::fmt;

use super::checkpoint::decimal;
use super::entry::ENTRY_BYTES_MAX;
use super::merkle::{Hash, MerkleError, SIZE_MAX, node_hash};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u8 = 8;
/// Largest bundle accepted, bytes.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + ENTRY_BYTES_MAX);
/// Largest tile, bytes.
pub const TILE_BYTES_MAX: usize = TILE_WIDTH as usize * 32;
/// Highest tile level that any tree needs (C2SP allows 63; 8 × 8 levels are more than 2^63 leaves).
const LEVEL_MAX: u8 = 7;

/// What a path holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of this tile level.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// Coordinates of a tile or bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Hashes of a level, or entries.
    pub kind: TileKind,
    /// Number within its level.
    pub index: u64,
    /// Hashes or entries in it, 1 to 256.
    pub width: u16,
}

/// Why bytes are not the tile or bundle they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Another length than its width says.
    #[error("the tile has another length than its name says")]
    Length,
    /// An entry over the limit of its kind, or a bundle of more than 256.
    #[error("an entry is too long, or the bundle holds too many")]
    TooLarge,
}

impl TileError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Length => "tile-length",
            Self::TooLarge => "tile-too-large",
        }
    }
}

impl Tile {
    /// Whether it is complete and so never replaced.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// The full tile at the same place.
    pub fn full(self) -> Self {
        Self { width: TILE_WIDTH as u16, ..self }
    }

    /// Reads a path as [`Tile`]'s text form writes it, and no other spelling of it.
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = if level == "entries" {
            TileKind::Entries
        } else {
            TileKind::Hashes(decimal(level).filter(|l| *l <= u64::from(LEVEL_MAX))? as u8)
        };
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((number, width)) => (number, decimal(width).filter(|w| (1..TILE_WIDTH).contains(w))?),
        };
        let mut index = 0u64;
        for part in number.split('/') {
            let digits = part.strip_prefix('x').unwrap_or(part);
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self { kind, index, width: width as u16 };
        (tile.to_string() == path).then_some(tile)
    }

    /// The tile of hashes that holds the node at `level` of the tree, in a tree of `size` leaves,
    /// and where in it the node's subtree begins and how many hashes it spans (1 for the tile's own
    /// levels). `None` when the node is not complete in that tree.
    pub fn of_node(level: u8, index: u64, size: u64) -> Option<(Self, usize, usize)> {
        // The first leaf after the subtree must be in the tree.
        let end = index.checked_add(1)?.checked_mul(1u64.checked_shl(u32::from(level))?)?;
        if end > size {
            return None;
        }
        let tile_level = (level / TILE_HEIGHT).min(LEVEL_MAX);
        let rest = level - tile_level * TILE_HEIGHT;
        let first = index.checked_shl(u32::from(rest))?;
        let tile = Self::at(tile_level, first / TILE_WIDTH, size)?;
        Some((tile, (first % TILE_WIDTH) as usize, 1 << rest))
    }

    /// The tile of this level and number in a tree of `size` leaves, full or partial.
    pub fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0);
        let width = hashes.checked_sub(index.checked_mul(TILE_WIDTH)?)?.min(TILE_WIDTH);
        (width > 0).then_some(Self { kind: TileKind::Hashes(level), index, width: width as u16 })
    }

    /// The bundle that holds the entry at `index` in a log of `size` entries, and its place in it.
    pub fn bundle_of(index: u64, size: u64) -> Option<(Self, usize)> {
        let tile = Self::at(0, index / TILE_WIDTH, size)?;
        let place = (index % TILE_WIDTH) as usize;
        (index < size).then_some((Self { kind: TileKind::Entries, ..tile }, place))
    }
}

impl fmt::Display for Tile {
    /// The path below the log's prefix: `tile/0/x001/234`, `tile/1/000.p/17`, `tile/entries/000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let (mut parts, mut rest) = (vec![self.index % 1000], self.index / 1000);
        while rest > 0 {
            parts.push(rest % 1000);
            rest /= 1000;
        }
        for part in parts[1..].iter().rev() {
            write!(f, "x{part:03}/")?;
        }
        write!(f, "{:03}", parts[0])?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// The tiles and bundles to write when a log of `old` entries grew to `new`: bundles first, then
/// tiles by level. All are new files: a full one is written once, a partial one under its width.
/// Nothing when it did not grow or is over [`SIZE_MAX`].
pub fn changed(old: u64, new: u64) -> Vec<Tile> {
    let mut out = Vec::new();
    if old >= new || new > SIZE_MAX {
        return out;
    }
    for level in 0..=LEVEL_MAX {
        let shift = u32::from(level) * u32::from(TILE_HEIGHT);
        let (before, after) = (old >> shift, new >> shift);
        if before == after {
            break;
        }
        let tiles = (before / TILE_WIDTH..after.div_ceil(TILE_WIDTH)).filter_map(|n| Tile::at(level, n, new));
        if level == 0 {
            out.extend(tiles.clone().map(|tile| Tile { kind: TileKind::Entries, ..tile }));
        }
        out.extend(tiles);
    }
    out
}

/// Root over hashes `start..start + count` of a tile; `count` is a power of two.
pub fn node_in_tile(hashes: &[Hash], start: usize, count: usize) -> Result<Hash, MerkleError> {
    let end = start.checked_add(count).ok_or(MerkleError::IndexOutside)?;
    let row = hashes.get(start..end).filter(|_| count.is_power_of_two()).ok_or(MerkleError::IndexOutside)?;
    let mut row = row.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied().ok_or(MerkleError::IndexOutside)
}

/// Hashes of a tile file of that width.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let (hashes, odd) = bytes.as_chunks::<32>();
    if !odd.is_empty() || hashes.len() != usize::from(width) {
        return Err(TileError::Length);
    }
    Ok(hashes.to_vec())
}

/// Appends one entry to a bundle: its length as two bytes, big-endian, then its bytes.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    if entry.len() > ENTRY_BYTES_MAX {
        return Err(TileError::TooLarge);
    }
    bundle.extend_from_slice(&(entry.len() as u16).to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Entries of a bundle file of that width.
pub fn decode_entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let entries = entries_of(bytes)?;
    if entries.len() == usize::from(width) { Ok(entries) } else { Err(TileError::Length) }
}

/// Entries of a bundle, however many.
pub fn entries_of(bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    if bytes.len() > BUNDLE_BYTES_MAX {
        return Err(TileError::TooLarge);
    }
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<2>().ok_or(TileError::Length)?;
        let (entry, tail) =
            tail.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(TileError::Length)?;
        if entry.len() > ENTRY_BYTES_MAX || entries.len() == TILE_WIDTH as usize {
            return Err(TileError::TooLarge);
        }
        entries.push(entry);
        rest = tail;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
