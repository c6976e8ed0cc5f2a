//! Making proofs from a source of complete subtrees.

use super::{EMPTY_ROOT, Hash, MerkleError, node_hash};

/// A source of node hashes: tiles on a disk, tiles over the network, memory.
pub trait Nodes {
    /// Why a node cannot be read.
    type Error;

    /// Hash of the complete subtree over leaves `index << level .. (index + 1) << level`. It is
    /// asked only for subtrees that are complete in the tree of the size that was given.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why no proof was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MakeError<E> {
    /// The question is wrong: index or sizes.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// The source of nodes failed.
    #[error("a node of the tree cannot be read")]
    Nodes(E),
}

/// Root of the first `size` leaves; reads one node for each set bit of `size`.
pub fn root_at<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(EMPTY_ROOT) } else { range_root(nodes, 0, size) }
}

/// Path of the leaf at `index` in the tree of `size` leaves (RFC 9162 §2.1.3.1), leaf's sibling
/// first; reads O(log n) nodes.
pub fn inclusion_proof<N: Nodes + ?Sized>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, MakeError<N::Error>> {
    if index >= size {
        return Err(MerkleError::IndexOutside.into());
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        let sibling = if index < middle { (middle, end) } else { (start, middle) };
        path.push(range_root(nodes, sibling.0, sibling.1).map_err(MakeError::Nodes)?);
        (start, end) = if index < middle { (start, middle) } else { (middle, end) };
    }
    path.reverse();
    Ok(path)
}

/// Proof that the first `old_size` of `new_size` leaves were not changed (RFC 9162 §2.1.4.1). Empty
/// from the empty tree and between equal sizes; reads O(log n) nodes.
pub fn consistency_proof<N: Nodes + ?Sized>(
    nodes: &N,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Hash>, MakeError<N::Error>> {
    if old_size > new_size {
        return Err(MerkleError::Sizes.into());
    }
    if old_size == 0 {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new_size);
    let mut path = Vec::new();
    // Down to the subtree that ends where the old tree ended.
    while end > old_size {
        let middle = start + split(end - start);
        let sibling = if old_size <= middle { (middle, end) } else { (start, middle) };
        path.push(range_root(nodes, sibling.0, sibling.1).map_err(MakeError::Nodes)?);
        (start, end) = if old_size <= middle { (start, middle) } else { (middle, end) };
    }
    // A verifier has the old root itself; it needs the subtree only when it is a part of that.
    if start > 0 {
        path.push(range_root(nodes, start, end).map_err(MakeError::Nodes)?);
    }
    path.reverse();
    Ok(path)
}

/// Largest power of two below `n`; `n` is at least 2.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// Root over leaves `start..end`, not empty, `start` a multiple of every power of two up to the
/// width: the complete subtrees from the left, joined from the right.
fn range_root<N: Nodes + ?Sized>(nodes: &N, start: u64, end: u64) -> Result<Hash, N::Error> {
    let mut parts = Vec::with_capacity((end - start).count_ones() as usize);
    let mut at = start;
    while at < end {
        let level = (end - at).ilog2();
        parts.push(nodes.node(level as u8, at >> level)?);
        at += 1 << level;
    }
    let mut from_right = parts.into_iter().rev();
    let Some(last) = from_right.next() else { return Ok(EMPTY_ROOT) };
    Ok(from_right.fold(last, |right, left| node_hash(&left, &right)))
}
