//! Model checking: every order of a few events, over the same custody machine.
//!
//! Three nodes, two moves, a cancel, appends and crashes; the network keeps every message that was
//! ever put into an outbox and may deliver it at any time, any number of times, or never. What
//! lies around the machine ([`office`]) is kept as small as it can be: a chain is a few bytes and
//! its own head, so that a fork shows itself.

pub mod office;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stateright::{Checker, Model, Property};
use yunling_protocol::custody::{Side, Stage};

use office::{Change, Desk, Input, Msg};

/// Nodes.
const NODES: usize = 3;
/// Moves: the first goes to node 1, the second to node 2.
const MOVES: usize = 2;

/// How much of everything there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Statements appended by the custodian.
    pub appends: u8,
    /// Cancels by a person.
    pub cancels: u8,
    /// Decisions that others overtake before they are durable.
    pub held: u8,
    /// Decisions lost in a crash.
    pub crashes: u8,
    /// Longest path looked at.
    pub depth: usize,
    /// The defect that shows that the model bites: what was read is not compared before a write.
    pub blind: bool,
}

impl Limits {
    /// Ends within some minutes in a release build.
    pub const FULL: Self = Self { appends: 2, cancels: 2, held: 2, crashes: 2, depth: 64, blind: false };
    /// Ends within seconds in a test.
    pub const SMALL: Self = Self { appends: 1, cancels: 1, held: 0, crashes: 0, depth: 64, blind: false };
}

/// A decision that waits for its disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Waiting {
    at: u8,
    change: Change,
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    desks: Vec<Arc<Desk>>,
    net: BTreeSet<Msg>,
    waiting: Option<Waiting>,
    begun: u8,
    appends: u8,
    cancels: u8,
    held: u8,
    crashes: u8,
    /// Some chain was ever written over.
    lost: bool,
}

/// What may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A message is heard, decided on and written.
    Deliver(Msg),
    /// A message is heard and decided on; others come before it is written.
    Hear(Msg),
    /// The decision that waits is written, if what it read is still so.
    Write,
    /// The node whose decision waits stops.
    Crash,
    /// The custodian appends a statement.
    Append(u8),
    /// The volunteer gets a slip and the next node asks for the dossier.
    Ask(u8),
    /// A node copies: all that is offered, or a part.
    Pull(u8, u8, bool),
    /// A node checks its copy.
    Check(u8, u8),
    /// A person cancels.
    Cancel(u8, u8),
    /// A person goes on.
    Resume(u8, u8),
}

/// The model.
#[derive(Debug, Clone, Copy)]
pub struct Moves {
    /// How much of everything.
    pub limits: Limits,
}

impl State {
    fn desk(&self, at: u8) -> &Desk {
        &self.desks[usize::from(at)]
    }

    fn custodians(&self) -> usize {
        self.desks.iter().filter(|d| d.may_append()).count()
    }

    /// Applies a change to a node, if what was read for it still stands.
    fn write(&mut self, at: u8, change: Change) {
        let desk = Arc::make_mut(&mut self.desks[usize::from(at)]);
        let before = desk.chain.clone();
        if desk.write(&change) {
            self.lost |= !desk.chain.starts_with(&before);
            self.net.extend(change.posts);
        }
    }

    fn ended(&self, side: Side, stage: Stage) -> usize {
        let of = |d: &Arc<Desk>| {
            d.moves.iter().flatten().filter(|m| m.0.side == side && m.0.stage == stage).count()
        };
        self.desks.iter().map(of).sum()
    }
}

impl Model for Moves {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let desks = (0..NODES as u8).map(|at| Arc::new(Desk::new(at))).collect();
        let zero = 0;
        vec![State {
            desks,
            net: BTreeSet::new(),
            waiting: None,
            begun: zero,
            appends: zero,
            cancels: zero,
            held: zero,
            crashes: zero,
            lost: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let limits = &self.limits;
        for message in &state.net {
            actions.push(Action::Deliver(message.clone()));
            if state.waiting.is_none() && state.held < limits.held {
                actions.push(Action::Hear(message.clone()));
            }
        }
        if state.waiting.is_some() {
            actions.push(Action::Write);
            if state.crashes < limits.crashes {
                actions.push(Action::Crash);
            }
        }
        for at in 0..NODES as u8 {
            if state.appends < limits.appends && state.desk(at).may_append() {
                actions.push(Action::Append(at));
            }
            for number in 0..MOVES as u8 {
                let Some(held) = &state.desk(at).moves[usize::from(number)] else { continue };
                match (held.0.side, held.0.stage) {
                    (Side::Taking, Stage::Copying) => {
                        actions.push(Action::Pull(at, number, true));
                        actions.push(Action::Pull(at, number, false));
                    }
                    (Side::Taking, Stage::Checking) => actions.push(Action::Check(at, number)),
                    (Side::Taking, Stage::Attention) => actions.push(Action::Resume(at, number)),
                    _ => {}
                }
                if state.cancels < limits.cancels && !held.0.stage.ended() {
                    actions.push(Action::Cancel(at, number));
                }
            }
        }
        if usize::from(state.begun) < MOVES {
            actions.push(Action::Ask(state.begun));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        match action {
            Action::Deliver(message) => {
                let (at, change) = (message.to, last.desk(message.to).hear(&message)?);
                next.write(at, change);
            }
            Action::Hear(message) => {
                let (at, change) = (message.to, last.desk(message.to).hear(&message)?);
                next.waiting = Some(Waiting { at, change });
                next.held += 1;
            }
            Action::Write => {
                let Waiting { at, change } = next.waiting.take()?;
                next.write(at, if self.limits.blind { change.blindly() } else { change });
            }
            Action::Crash => {
                next.waiting = None;
                next.crashes += 1;
            }
            Action::Append(at) => {
                let change = last.desk(at).append(last.appends)?;
                next.write(at, change);
                next.appends += 1;
            }
            Action::Ask(number) => {
                let to = number + 1;
                let from = (0..NODES as u8).find(|at| last.desk(*at).may_append())?;
                if from == to {
                    return None;
                }
                next.write(from, last.desk(from).authorise(number, to)?);
                let asked = next.desk(to).ask(number, from)?;
                next.write(to, asked);
                next.begun += 1;
            }
            Action::Pull(at, number, whole) => {
                let giver = usize::from(last.desk(at).peer(number)?);
                let change = last.desk(at).pull(number, &last.desks[giver], whole)?;
                next.write(at, change);
            }
            Action::Check(at, number) => {
                let change = last.desk(at).check(number)?;
                next.write(at, change);
            }
            Action::Cancel(at, number) => {
                let input = Input::Cancel { reason: "volunteer-stays".into() };
                next.write(at, last.desk(at).push(number, &input)?);
                next.cancels += 1;
            }
            Action::Resume(at, number) => {
                next.write(at, last.desk(at).push(number, &Input::Resume)?);
            }
        }
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one appender", |_: &Self, state: &State| state.custodians() <= 1),
            Property::always("one history", |_: &Self, state: &State| {
                let longest = state.desks.iter().map(|d| &d.chain).max_by_key(|c| c.len());
                longest.is_none_or(|l| state.desks.iter().all(|d| l.starts_with(&d.chain)))
            }),
            Property::always("nothing is lost", |_: &Self, state: &State| !state.lost),
            Property::always("who may append has all", |_: &Self, state: &State| {
                let longest = state.desks.iter().map(|d| d.chain.len()).max().unwrap_or_default();
                state.desks.iter().all(|d| !d.may_append() || d.chain.len() == longest)
            }),
            Property::always("no seal after a cancel", |_: &Self, state: &State| {
                let mut moves = state.desks.iter().flat_map(|d| d.moves.iter().flatten());
                moves.all(|m| m.0.stage != Stage::Cancelled || m.0.seal.is_none())
            }),
            Property::sometimes("completed", |_: &Self, state: &State| {
                state.ended(Side::Giving, Stage::Completed) > 0
            }),
            Property::sometimes("cancelled", |_: &Self, state: &State| {
                state.ended(Side::Giving, Stage::Cancelled) > 0
                    && state.ended(Side::Taking, Stage::Cancelled) > 0
            }),
            Property::sometimes("moved twice", |_: &Self, state: &State| {
                state.ended(Side::Taking, Stage::Completed) == MOVES
            }),
            Property::sometimes("offered again", |_: &Self, state: &State| {
                let mut moves = state.desks.iter().flat_map(|d| d.moves.iter().flatten());
                moves.any(|m| m.0.rounds > 1)
            }),
        ]
    }
}

/// What the checker saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// States reached, repeats included.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// Longest path.
    pub depth: usize,
    /// Time.
    pub took: Duration,
    /// Rules that were broken, with the path that breaks them.
    pub broken: Vec<(&'static str, String)>,
    /// What should happen sometimes and never did.
    pub never: Vec<&'static str>,
    /// What happened, with the length of the shortest path to it.
    pub happened: Vec<(&'static str, usize)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "状态 states {}, 不同状态 unique {}, 深度 depth {}, {:.1} s",
            self.states,
            self.unique,
            self.depth,
            self.took.as_secs_f64()
        )?;
        for (name, steps) in &self.happened {
            writeln!(f, "出现 happens: {name}, {steps} 步 steps")?;
        }
        for name in &self.never {
            writeln!(f, "从未出现 never happens: {name}")?;
        }
        for (name, path) in &self.broken {
            writeln!(f, "违反 broken: {name}\n{path}")?;
        }
        Ok(())
    }
}

/// Looks at every state within the limits.
pub fn check(limits: Limits, threads: usize) -> Report {
    let began = Instant::now();
    let checker =
        Moves { limits }.checker().threads(threads.max(1)).target_max_depth(limits.depth).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let mut report = Report {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        broken: Vec::new(),
        never: Vec::new(),
        happened: Vec::new(),
    };
    for property in checker.model().properties() {
        let always = matches!(property.expectation, stateright::Expectation::Always);
        match discoveries.get(property.name) {
            Some(path) if always => {
                let actions = path.clone().into_actions();
                let steps: Vec<String> = actions.iter().map(|a| format!("  {a:?}")).collect();
                report.broken.push((property.name, steps.join("\n")));
            }
            Some(path) => report.happened.push((property.name, path.clone().into_actions().len())),
            None if always => {}
            None => report.never.push(property.name),
        }
    }
    report
}
