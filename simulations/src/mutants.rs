//! Deliberate defects by name: each must be caught, or the simulator proves nothing.
//!
//! A defect is made in the world's use of the machine where that is possible; the others sit
//! behind hooks in the protocol that exist only with the feature `mutants`.

use yunling_protocol::mutants as hooks;

/// Seeds within which each must be caught.
pub const CAUGHT_WITHIN_SEEDS: u64 = 5_000;

/// A deliberate defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Answers and messages leave before the decision is on the disk.
    SendBeforePersist,
    /// A statement delivered twice is taken twice.
    ForgottenDedup,
    /// A backup is copied back as if nothing had happened since.
    PlainRestore,
    /// The seal stands on a head that nobody copied.
    SealNotBoundToHead,
    /// A seal of the right epoch is believed, whoever signed it.
    SealByEpochAlone,
    /// `Done` is sent though the copy never became the dossier.
    DoneWithoutCopy,
    /// `Accept` is sent though the copy is in memory only.
    AcceptWithoutStage,
    /// The outbox is in memory only.
    OutboxForgotten,
    /// A message counts whatever the life of its sender.
    NoLifeCheck,
    /// The fence opens while one peer has not told what it knows.
    FenceOnePeerEarly,
    /// The fence opens while one witness too few has answered.
    RejoinOneWitnessEarly,
    /// What the witnesses gave back is not searched for seals.
    ForgottenSealsOpen,
    /// A release leaves before the witnesses have cosigned its seal.
    ReleaseUnwitnessed,
}

impl Mutant {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::SendBeforePersist,
        Self::ForgottenDedup,
        Self::PlainRestore,
        Self::SealNotBoundToHead,
        Self::SealByEpochAlone,
        Self::DoneWithoutCopy,
        Self::AcceptWithoutStage,
        Self::OutboxForgotten,
        Self::NoLifeCheck,
        Self::FenceOnePeerEarly,
        Self::RejoinOneWitnessEarly,
        Self::ForgottenSealsOpen,
        Self::ReleaseUnwitnessed,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendBeforePersist => "send-before-persist",
            Self::ForgottenDedup => "forgotten-dedup",
            Self::PlainRestore => "plain-restore",
            Self::SealNotBoundToHead => "seal-not-bound-to-head",
            Self::SealByEpochAlone => "seal-by-epoch-alone",
            Self::DoneWithoutCopy => "done-without-copy",
            Self::AcceptWithoutStage => "accept-without-stage",
            Self::OutboxForgotten => "outbox-forgotten",
            Self::NoLifeCheck => "no-life-check",
            Self::FenceOnePeerEarly => "fence-one-peer-early",
            Self::RejoinOneWitnessEarly => "rejoin-one-witness-early",
            Self::ForgottenSealsOpen => "forgotten-seals-open",
            Self::ReleaseUnwitnessed => "release-unwitnessed",
        }
    }

    /// By name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// The hook in the protocol it needs, if any.
    pub fn hook(self) -> Option<hooks::Mutant> {
        match self {
            Self::ForgottenDedup => Some(hooks::Mutant::ForgottenDedup),
            Self::SealNotBoundToHead => Some(hooks::Mutant::SealNotBoundToHead),
            Self::SealByEpochAlone => Some(hooks::Mutant::SealByEpochAlone),
            Self::RejoinOneWitnessEarly => Some(hooks::Mutant::RejoinOneWitnessEarly),
            Self::ForgottenSealsOpen => Some(hooks::Mutant::ForgottenSealsOpen),
            Self::ReleaseUnwitnessed => Some(hooks::Mutant::ReleaseUnwitnessed),
            _ => None,
        }
    }

    /// Whether this build can run it.
    pub fn built(self) -> bool {
        cfg!(feature = "mutants") || self.hook().is_none()
    }
}

/// Chooses the hook of a mutant for this thread, if the build has hooks.
pub fn choose(mutant: Option<Mutant>) {
    #[cfg(feature = "mutants")]
    hooks::choose(mutant.and_then(Mutant::hook));
    #[cfg(not(feature = "mutants"))]
    let _ = mutant;
}
