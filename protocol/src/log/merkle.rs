//! The Merkle tree of RFC 9162 §2.1 (the same hashing as RFC 6962 §2.1): SHA-256, a leaf is
//! hashed behind 0x00, an inner node behind 0x01.
//!
//! Three parts: [`Frontier`] grows a tree in O(log n) memory; [`verify_inclusion`] and
//! [`verify_consistency`] judge proofs from anybody; [`make`] builds proofs out of any source of
//! complete subtrees ([`Nodes`]), such as the tiles on a disk.

mod frontier;
pub mod make;
mod memory;

use sha2::{Digest, Sha256};

pub use frontier::{FRONTIER_BYTES_MAX, Frontier};
pub use make::{Nodes, consistency_proof, inclusion_proof, root_at};
pub use memory::MemoryTree;

/// A SHA-256 value: a leaf, a node or a root.
pub type Hash = [u8; 32];

/// Most leaves a tree of ours may have. 2^40 leaves at the bound of 50 a second are 700 years; the
/// bound keeps every sum of sizes and indices far from overflow. Verification has no bound.
pub const SIZE_MAX: u64 = 1 << 40;

/// Most hashes of a path in a tree of up to 2^63 leaves (C2SP tlog-witness: at most 63 lines).
pub const PATH_HASHES_MAX: usize = 63;

/// Root of the tree without leaves: SHA-256 of nothing (RFC 9162 §2.1.1).
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Why a proof was refused, or a tree could not grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The leaf index is not in a tree of that size.
    #[error("the leaf index lies outside the tree")]
    IndexOutside,
    /// The older tree is larger than the newer, or the range is no subtree of the tree.
    #[error("the sizes do not fit each other")]
    Sizes,
    /// More or fewer hashes than a proof for these sizes has.
    #[error("the proof has the wrong number of hashes")]
    ProofLength,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    OtherRoot,
    /// The tree has [`SIZE_MAX`] leaves.
    #[error("the tree is full")]
    Full,
    /// Kept bytes of a tree are not what this version wrote.
    #[error("the kept state of the tree is damaged")]
    Damaged,
}

impl MerkleError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::IndexOutside => "merkle-index-outside",
            Self::Sizes => "merkle-sizes",
            Self::ProofLength => "merkle-proof-length",
            Self::OtherRoot => "merkle-other-root",
            Self::Full => "merkle-full",
            Self::Damaged => "merkle-damaged",
        }
    }
}

/// Hash of a leaf with the bytes of `entry`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// Hash of a node over two children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Number of hashes an inclusion path has; `None` when `index` is not in a tree of `size`.
pub fn inclusion_length(index: u64, size: u64) -> Option<usize> {
    (index < size).then(|| {
        let (inner, border) = inner_and_border(index, size);
        (inner + border) as usize
    })
}

/// Steps of a path below and along the right edge: where the ways to the leaf and to the last leaf
/// part, and how many left siblings stand above that.
fn inner_and_border(index: u64, size: u64) -> (u32, u32) {
    let inner = 64 - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner, border)
}

/// Root that an inclusion path leads to (RFC 9162 §2.1.3.2). There is no root to compare with:
/// the caller must check a signature over the answer.
pub fn root_from_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, MerkleError> {
    if index >= size {
        return Err(MerkleError::IndexOutside);
    }
    let (inner, border) = inner_and_border(index, size);
    if path.len() != (inner + border) as usize {
        return Err(MerkleError::ProofLength);
    }
    let mut hash = *leaf;
    for (level, sibling) in path.iter().enumerate() {
        let is_right = level >= inner as usize || (index >> level) & 1 == 1;
        hash = if is_right { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
    }
    Ok(hash)
}

/// Checks that `leaf` is at `index` of the tree of `size` leaves with `root`.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    root: &Hash,
    path: &[Hash],
) -> Result<(), MerkleError> {
    if root_from_inclusion(leaf, index, size, path)? == *root { Ok(()) } else { Err(MerkleError::OtherRoot) }
}

/// Checks that the tree of `old_size` leaves with `old_root` is a prefix of the newer one
/// (RFC 9162 §2.1.4.2).
///
/// From the empty tree everything is consistent: then the proof must be empty and `old_root` the
/// root of the empty tree (C2SP tlog-witness). Equal sizes need equal roots and an empty proof.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), MerkleError> {
    if old_size > new_size {
        return Err(MerkleError::Sizes);
    }
    if old_size > 0 {
        return verify_subtree_consistency(0, old_size, old_root, new_size, new_root, proof);
    }
    if !proof.is_empty() {
        return Err(MerkleError::ProofLength);
    }
    let new_is_right = new_size > 0 || *new_root == EMPTY_ROOT;
    if *old_root == EMPTY_ROOT && new_is_right { Ok(()) } else { Err(MerkleError::OtherRoot) }
}

/// Whether leaves `start..end` are a subtree (draft-ietf-plants-merkle-tree-certs §4.1): not empty,
/// and `start` a multiple of the smallest power of two that holds as many leaves.
pub fn is_subtree(start: u64, end: u64) -> bool {
    let aligned = |width: u64| start.is_multiple_of(width);
    start < end && (start == 0 || (end - start).checked_next_power_of_two().is_some_and(aligned))
}

/// Checks that the subtree over leaves `start..end` with `subtree_root` belongs to the tree of
/// `size` leaves with `root` (draft-ietf-plants-merkle-tree-certs §4.4.3). With `start` 0 it is the
/// consistency proof of RFC 9162.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    subtree_root: &Hash,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), MerkleError> {
    if !is_subtree(start, end) || end > size {
        return Err(MerkleError::Sizes);
    }
    let (mut first, mut second, mut last) = (start, end - 1, size - 1);
    // Skip what both trees share below: the whole subtree where it is complete or at the edge.
    while first != second && (second == last || second & 1 == 1) {
        (first, second, last) = (first >> 1, second >> 1, last >> 1);
    }
    let mut hashes = proof.iter();
    let seed =
        if first == second { *subtree_root } else { *hashes.next().ok_or(MerkleError::ProofLength)? };
    let (mut old, mut new) = (seed, seed);
    for sibling in hashes {
        if last == 0 {
            return Err(MerkleError::ProofLength);
        }
        if second & 1 == 1 || second == last {
            if first < second {
                old = node_hash(sibling, &old);
            }
            new = node_hash(sibling, &new);
            // `second` is not 0 here: it is odd, or it equals `last`, which is not 0.
            while second & 1 == 0 {
                (first, second, last) = (first >> 1, second >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, sibling);
        }
        (first, second, last) = (first >> 1, second >> 1, last >> 1);
    }
    if last != 0 {
        return Err(MerkleError::ProofLength);
    }
    if old == *subtree_root && new == *root { Ok(()) } else { Err(MerkleError::OtherRoot) }
}

#[cfg(test)]
mod tests;
