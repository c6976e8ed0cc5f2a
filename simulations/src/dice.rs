//! Seeded random numbers: the one source of chance of a run, so that a seed replays it.

use std::cell::Cell;

/// Random numbers (SplitMix64). Shared by reference: whoever draws moves it on.
#[derive(Debug)]
pub struct Dice(Cell<u64>);

impl Dice {
    /// Starts from a seed; neighbouring seeds share nothing.
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A place in a list of `len`, which is not 0.
    pub fn index(&self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// One of a list, if there is one.
    pub fn pick<'a, T>(&self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() { None } else { list.get(self.index(list.len())) }
    }

    /// True in `per_mille` of 1000 cases.
    pub fn chance(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// 32 bytes never drawn before.
    pub fn bytes32(&self) -> [u8; 32] {
        let mut out = [0; 32];
        for part in out.chunks_exact_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        out
    }
}
