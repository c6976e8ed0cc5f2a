//! The right edge of a growing tree: all that is needed to append and to know the root.

use super::{EMPTY_ROOT, Hash, MerkleError, SIZE_MAX, leaf_hash, node_hash};

/// Largest encoding of a [`Frontier`] in bytes: the size and one hash for each bit of it.
pub const FRONTIER_BYTES_MAX: usize = 8 + 32 * 41;

/// A tree of `size` leaves as the roots of its complete subtrees, largest first (a compact range).
/// One hash for each set bit of the size, so at most 41.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    edge: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry and returns its index.
    pub fn append(&mut self, entry: &[u8]) -> Result<u64, MerkleError> {
        self.append_leaf(leaf_hash(entry), |_, _, _| ())
    }

    /// Appends a leaf hash and returns its index. `done` hears of every subtree that became
    /// complete, the leaf first: level, index in the level, hash.
    pub fn append_leaf(
        &mut self,
        leaf: Hash,
        mut done: impl FnMut(u8, u64, &Hash),
    ) -> Result<u64, MerkleError> {
        if self.size >= SIZE_MAX {
            return Err(MerkleError::Full);
        }
        let index = self.size;
        done(0, index, &leaf);
        let mut hash = leaf;
        // As many complete subtrees are joined as the index has ones at its end.
        for level in 1..=index.trailing_ones() as u8 {
            let Some(left) = self.edge.pop() else { return Err(MerkleError::Damaged) };
            hash = node_hash(&left, &hash);
            done(level, index >> level, &hash);
        }
        self.edge.push(hash);
        self.size += 1;
        Ok(index)
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        let mut from_right = self.edge.iter().rev();
        let Some(last) = from_right.next() else { return EMPTY_ROOT };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The size as 8 bytes, big-endian, then the hashes, largest subtree first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 32 * self.edge.len());
        out.extend_from_slice(&self.size.to_be_bytes());
        self.edge.iter().for_each(|hash| out.extend_from_slice(hash));
        out
    }

    /// Reads what [`Frontier::encode`] wrote, of exactly that length.
    pub fn decode(bytes: &[u8]) -> Result<Self, MerkleError> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(MerkleError::Damaged)?;
        let size = u64::from_be_bytes(*size);
        let (edge, odd) = rest.as_chunks::<32>();
        if size > SIZE_MAX || !odd.is_empty() || edge.len() != size.count_ones() as usize {
            return Err(MerkleError::Damaged);
        }
        Ok(Self { size, edge: edge.to_vec() })
    }
}
