//! A whole tree in memory, for monitors of small logs, the simulator and tests.

use super::{Frontier, Hash, MerkleError, Nodes};

/// Every complete subtree of a tree, 64 bytes a leaf.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    frontier: Frontier,
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf hash and returns its index.
    pub fn append_leaf(&mut self, leaf: Hash) -> Result<u64, MerkleError> {
        let levels = &mut self.levels;
        self.frontier.append_leaf(leaf, |level, _, hash| {
            let level = usize::from(level);
            if levels.len() == level {
                levels.push(Vec::new());
            }
            levels[level].push(*hash);
        })
    }

    /// Its right edge: size and root.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}

impl Nodes for MemoryTree {
    type Error = MerkleError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, MerkleError> {
        let row = self.levels.get(usize::from(level));
        let found = usize::try_from(index).ok().and_then(|index| row?.get(index));
        found.copied().ok_or(MerkleError::IndexOutside)
    }
}
