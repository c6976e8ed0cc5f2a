//! Fresh random bytes handed into a pure decision.
//!
//! The caller draws 32 bytes from the system and passes them in; a decision that needs several
//! salts or ids takes them from here in order. The same seed gives the same bytes, so a
//! simulation replays exactly.

use sha2::{Digest, Sha256};

/// A source of fresh bytes for one decision, expanded from 32 random bytes.
#[derive(Debug, Clone)]
pub struct Fresh {
    seed: [u8; 32],
    taken: u64,
}

impl Fresh {
    /// Starts from 32 bytes that were never used before.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, taken: 0 }
    }

    /// The next 32 bytes.
    pub fn bytes32(&mut self) -> [u8; 32] {
        let digest = Sha256::new()
            .chain_update(b"yunling/fresh/1")
            .chain_update(self.seed)
            .chain_update(self.taken.to_be_bytes())
            .finalize();
        self.taken += 1;
        digest.into()
    }

    /// The next 16 bytes.
    pub fn bytes16(&mut self) -> [u8; 16] {
        let mut out = [0; 16];
        out.copy_from_slice(&self.bytes32()[..16]);
        out
    }
}
