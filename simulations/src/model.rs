//! What the operators were told: the world's own book of every act, kept apart from the fold.
//!
//! It knows each statement by what was typed in, not by what the protocol made of it, and works
//! out the sums of a chain by minutes on a line.

use std::collections::{BTreeMap, BTreeSet};

use yunling_protocol::day::UnixTime;
use yunling_protocol::id::{DossierId, StatementId, TransferId};

/// What a statement was made to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// A service.
    Hour {
        /// The node's record; equal numbers are one record.
        item: u64,
        /// First minute on the line of all minutes.
        start: u64,
        /// Minutes.
        minutes: u64,
    },
    /// Other minutes for a service.
    Correct {
        /// The service.
        target: StatementId,
        /// Minutes.
        minutes: u64,
        /// When the issuer's clock said it was signed.
        at: UnixTime,
    },
    /// A service withdrawn.
    Void {
        /// The service.
        target: StatementId,
    },
}

/// A statement that a node decided to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intended {
    /// The issuing node.
    pub issuer: usize,
    /// Of which dossier.
    pub dossier: DossierId,
    /// What it says.
    pub said: Said,
}

/// A proof that was handed out.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Of which dossier.
    pub dossier: DossierId,
    /// Its text.
    pub text: String,
    /// Minutes it states.
    pub minutes: u64,
    /// Voids and corrections in the chain when it was made: one more, and it may state too much.
    pub changes: usize,
}

/// The book.
#[derive(Debug, Default)]
pub struct Model {
    /// Every statement decided on, whether or not it ever was durable.
    pub intended: BTreeMap<StatementId, Intended>,
    /// Those an operator was told are recorded.
    pub acknowledged: BTreeMap<StatementId, usize>,
    /// Deliveries that ended with a refusal of the custodian.
    pub refused: BTreeSet<StatementId>,
    /// Moves an operator was told have begun, by node.
    pub asked: BTreeSet<(usize, TransferId)>,
    /// Dossiers opened, in order.
    pub dossiers: Vec<DossierId>,
    /// The longest history of each dossier so far.
    pub history: BTreeMap<DossierId, History>,
    /// Proofs handed out.
    pub proofs: Vec<Shown>,
    /// Acts that a restored node may have lost; if another holds them, they must come back.
    pub forgotten: BTreeMap<StatementId, usize>,
    /// Restores so far.
    pub restores: usize,
}

/// The one history of a dossier.
#[derive(Debug, Default)]
pub struct History {
    /// Statement ids in order.
    pub chain: Vec<Vec<u8>>,
    /// The same, to be asked.
    pub known: BTreeSet<Vec<u8>>,
}

/// Sums of a chain by the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Minutes that count once.
    pub counted: u64,
    /// Minutes of all effective services.
    pub stated: u64,
    /// Voids and corrections seen.
    pub changes: usize,
}

impl Model {
    /// Whether a statement stands in the history of its dossier.
    pub fn in_history(&self, dossier: DossierId, id: StatementId) -> bool {
        self.history.get(&dossier).is_some_and(|h| h.known.contains(&id.0[..]))
    }

    /// Sums of a chain.
    pub fn sums(&self, chain: &[Vec<u8>]) -> Sums {
        let mut hours: BTreeMap<StatementId, (usize, Hour)> = BTreeMap::new();
        let mut sums = Sums::default();
        for (place, id) in chain.iter().enumerate() {
            let Some(id) = <[u8; 32]>::try_from(id.as_slice()).ok().map(StatementId) else { continue };
            let Some(intended) = self.intended.get(&id) else { continue };
            match intended.said {
                Said::Hour { item, start, minutes } => {
                    let hour = Hour {
                        id,
                        record: (intended.issuer, item),
                        start,
                        span: minutes,
                        minutes,
                        signed: UnixTime(i64::MIN),
                        void: false,
                    };
                    hours.insert(id, (place, hour));
                }
                Said::Correct { target, minutes, at } => {
                    sums.changes += 1;
                    // Who signed later is right, whichever arrived first.
                    if let Some((_, hour)) = hours.get_mut(&target).filter(|(_, h)| at >= h.signed) {
                        (hour.minutes, hour.signed) = (minutes, at);
                    }
                }
                Said::Void { target } => {
                    sums.changes += 1;
                    if let Some((_, hour)) = hours.get_mut(&target) {
                        hour.void = true;
                    }
                }
            }
        }
        // Of one record the first that stands counts.
        let mut firsts: BTreeMap<(usize, u64), (usize, Hour)> = BTreeMap::new();
        for (place, hour) in hours.into_values().filter(|(_, h)| !h.void) {
            let first = firsts.entry(hour.record).or_insert((place, hour));
            if place < first.0 {
                *first = (place, hour);
            }
        }
        // Of services at the very same time the one with the smaller id comes first.
        let mut line: Vec<(u64, u64, StatementId, u64)> =
            firsts.values().map(|(_, h)| (h.start, h.start + h.span, h.id, h.minutes)).collect();
        line.sort_unstable();
        let mut covered = 0;
        for (start, end, _, minutes) in line {
            sums.stated += minutes;
            let twice = covered.min(end).saturating_sub(start).min(minutes);
            sums.counted += minutes - twice;
            covered = covered.max(end);
        }
        sums
    }
}

#[derive(Debug, Clone, Copy)]
struct Hour {
    id: StatementId,
    record: (usize, u64),
    start: u64,
    span: u64,
    minutes: u64,
    signed: UnixTime,
    void: bool,
}
