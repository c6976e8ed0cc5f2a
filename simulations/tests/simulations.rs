//! The simulator in the normal tests: recorded seeds, some hundred others, the same run twice, the
//! defects that a build without hooks can make, and a small model.

#![allow(clippy::unwrap_used)]

use yunling_simulations::checking::{self, Limits};
use yunling_simulations::faults::Fault;
use yunling_simulations::mutants::Mutant;
use yunling_simulations::node::Cast;
use yunling_simulations::run;

/// Seeds run here; the full run is `cargo run --release -p yunling-simulations -- --seeds 100000`.
const SEEDS: u64 = 300;
/// Seeds within which a defect must show itself here; every one does within the first 200.
const BITES_WITHIN: u64 = 300;

#[test]
fn no_seed_violates_anything() {
    let summary = run::many(0, SEEDS, 2, |_| {});
    assert_eq!(summary.seeds, SEEDS);
    assert_eq!(summary.failed, Vec::new(), "replay: cargo run -p yunling-simulations -- --seed N --trace");
    // A run in which little happens proves little.
    let t = &summary.tally;
    assert!(t.cancelled > SEEDS / 6 && t.deliveries > 2 * SEEDS, "{t:?}");
    // One seed of three has witnesses, whose quorum each seal waits for: fewer moves fit into its time.
    assert!(t.moves - t.witnessed > SEEDS * 2 / 3 && t.witnessed > SEEDS / 5 && t.rejoined > 0, "{t:?}");
    assert!(t.redirects > SEEDS / 4 && t.conflicts > SEEDS / 20 && t.crashes > SEEDS, "{t:?}");
    assert!(t.changes > SEEDS / 2 && t.proofs > SEEDS / 4, "{t:?}");
    let missing: Vec<_> = Fault::ALL.into_iter().filter(|f| t.injected.of(*f) == 0).collect();
    assert_eq!(missing, [], "every fault happens");
}

#[test]
fn recorded_seeds_stay_repaired() {
    let cast = Cast::new();
    let listed = include_str!("../regressions.txt");
    let seeds = listed.lines().filter_map(|line| line.split('#').next()?.trim().parse::<u64>().ok());
    let mut count = 0;
    for seed in seeds {
        count += 1;
        assert_eq!(run::one(&cast, seed, None, false).violation, None, "seed {seed}");
    }
    assert!(count > 0, "the list is read");
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in [1, 7, 42] {
        let first = run::one(&Cast::new(), seed, None, true);
        let second = run::one(&Cast::new(), seed, None, true);
        assert!(first.trace.lines().count() > 20, "seed {seed} says what happens");
        assert_eq!(first.trace, second.trace);
        assert_eq!(first.tally, second.tally);
        let silent = run::one(&Cast::new(), seed, None, false);
        assert_eq!(first.tally, silent.tally, "listening changes nothing");
    }
}

#[test]
fn each_defect_is_caught() {
    let cast = Cast::new();
    for mutant in Mutant::ALL.into_iter().filter(|m| m.built()) {
        let caught =
            (0..BITES_WITHIN).any(|seed| run::one(&cast, seed, Some(mutant), false).violation.is_some());
        assert!(caught, "{} is not caught", mutant.name());
        assert_eq!(Mutant::by_name(mutant.name()), Some(mutant));
    }
}

#[test]
fn the_model_holds_and_everything_happens_in_it() {
    let report = checking::check(Limits::SMALL, 2);
    println!("{report}");
    assert_eq!(report.broken, Vec::new());
    assert_eq!(report.never, Vec::<&str>::new());
    assert!(report.unique > 1_000, "{report}");
}

#[test]
fn the_model_finds_a_write_that_does_not_look() {
    let report = checking::check(Limits { held: 1, blind: true, ..Limits::SMALL }, 2);
    let broken: Vec<_> = report.broken.iter().map(|(name, _)| *name).collect();
    assert!(broken.contains(&"nothing is lost"), "{report}");
}
