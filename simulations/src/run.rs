//! One seed, and many on all cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::invariants::{ACTS_SURVIVE, AGREEMENT, LIVENESS, PANIC, Violation};
use crate::mutants::{self, CAUGHT_WITHIN_SEEDS, Mutant};
use crate::node::Cast;
use crate::workload::HOSTILE_MS;
use crate::world::{Tally, World};

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub tally: Tally,
    /// The first rule that did not hold.
    pub violation: Option<Violation>,
    /// The trace, when it was asked for.
    pub trace: String,
}

/// What several restores in one run may break and a single one may not: two nodes can forget the
/// same thing. Who may append, the one history and its sums must hold even then. Such runs are
/// counted apart, so that nobody takes them for repaired.
const AT_REST: [&str; 3] = [LIVENESS, AGREEMENT, ACTS_SURVIVE];

/// Runs one seed.
pub fn one(cast: &Rc<Cast>, seed: u64, mutant: Option<Mutant>, trace: bool) -> Outcome {
    mutants::choose(mutant);
    let mut world = World::new(cast, seed, mutant, trace);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        while world.now < HOSTILE_MS && world.step()? {}
        world.calm()
    }));
    mutants::choose(None);
    let several = world.model.borrow().restores > 1;
    let violation = match ran {
        Ok(Ok(())) => None,
        Ok(Err(violation)) if several && world.calm && AT_REST.contains(&violation.invariant) => {
            world.say(|| format!("STUCK {violation}"));
            world.tally.stuck += 1;
            None
        }
        Ok(Err(violation)) => Some(violation),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
            Some(Violation { invariant: PANIC, found: text.unwrap_or_default() })
        }
    };
    if let Some(violation) = &violation {
        world.say(|| format!("VIOLATION {violation}"));
    }
    Outcome { seed, trace: world.take_trace(), tally: world.tally, violation }
}

/// What came of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Seeds run.
    pub seeds: u64,
    /// Sums of all runs.
    pub tally: Tally,
    /// Seeds that failed, in order, with the rule that did not hold.
    pub failed: Vec<(u64, Violation)>,
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.tally.add(&outcome.tally);
        self.failed.extend(outcome.violation.map(|v| (outcome.seed, v)));
    }
}

impl Tally {
    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.moves += other.moves;
        self.cancelled += other.cancelled;
        self.deliveries += other.deliveries;
        self.redirects += other.redirects;
        self.crashes += other.crashes;
        self.conflicts += other.conflicts;
        self.acts += other.acts;
        self.changes += other.changes;
        self.proofs += other.proofs;
        self.withdrawn += other.withdrawn;
        self.lost += other.lost;
        self.witnessed += other.witnessed;
        self.rejoined += other.rejoined;
        self.closed += other.closed;
        self.reopened += other.reopened;
        self.astray += other.astray;
        self.stuck += other.stuck;
        self.injected.add(&other.injected);
    }
}

/// Runs `count` seeds from `first` on, on `jobs` threads; `done` hears how many are finished.
pub fn many(first: u64, count: u64, jobs: usize, done: impl Fn(u64)) -> Summary {
    let next = AtomicU64::new(first);
    let (sender, receiver) = mpsc::channel();
    let mut summary = Summary::default();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                let cast = Cast::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || sender.send(one(&cast, seed, None, false)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for outcome in receiver {
            summary.add(outcome);
            done(summary.seeds);
        }
    });
    summary.failed.sort_by_key(|(seed, _)| *seed);
    summary
}

/// The first seed that catches a defect, with the rule that it broke; `None` when none of the
/// seeds does.
pub fn hunt(mutant: Mutant, done: impl Fn(u64)) -> Option<(u64, Violation)> {
    let cast = Cast::new();
    (0..CAUGHT_WITHIN_SEEDS).find_map(|seed| {
        done(seed);
        one(&cast, seed, Some(mutant), false).violation.map(|violation| (seed, violation))
    })
}
