//! Repeatable chance for the end-to-end tests.

use std::time::Duration;

/// xorshift64*: the moments need to differ and to be repeatable, no more.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// A stream of its own for each user; the seed is printed, `YUNLING_SEED` repeats it.
    pub fn new(stream: u64) -> Self {
        let seed = std::env::var("YUNLING_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_260_516);
        println!("YUNLING_SEED={seed}");
        Self((seed ^ (stream << 32)) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % end
    }

    /// A moment within `whole`, which was measured: kills fall inside the act on any machine.
    pub fn moment(&mut self, whole: Duration) -> Duration {
        Duration::from_micros(self.below(whole.as_micros() as u64 + 1))
    }
}
