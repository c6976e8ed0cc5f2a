//! Deliberate defects, so that the simulator can show that it would find them.
//!
//! Without the feature `mutants`, which no shipped build switches on, [`is`] is `false` at compile
//! time and nothing of this is left. With it a defect is chosen for one thread at a time. Defects
//! that can be made outside the protocol are made in the simulator's world, not here.

/// A defect that must sit in the decisions themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A statement that is in the chain already is taken and counted again.
    ForgottenDedup,
    /// The old custodian seals over whatever head it has, copied or not.
    SealNotBoundToHead,
    /// A seal counts when only its epoch is right, whoever signed it for whomever.
    SealByEpochAlone,
    /// The fence opens while one witness too few has answered.
    RejoinOneWitnessEarly,
    /// What the witnesses gave back is not searched for seals.
    ForgottenSealsOpen,
    /// A release leaves before the witnesses have cosigned its seal.
    ReleaseUnwitnessed,
}

/// Whether this thread runs with the defect.
#[cfg(not(feature = "mutants"))]
pub const fn is(_mutant: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
mod chosen {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Whether this thread runs with the defect.
    pub fn is(mutant: Mutant) -> bool {
        CHOSEN.get() == Some(mutant)
    }

    /// Chooses the defect of this thread; `None` for none.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.set(mutant);
    }
}

#[cfg(feature = "mutants")]
pub use chosen::{choose, is};
