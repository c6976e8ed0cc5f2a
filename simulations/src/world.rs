//! The world: nodes, a wire, a clock, and one queue of events drawn from one seed.
//!
//! An event makes a node decide by the production functions; what was decided goes to its disk,
//! and only then its effects happen. A crash may come between any two of these.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::rc::Rc;

use yunling_protocol::custody::Stage;
use yunling_protocol::custody::record::Loaded;
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::TransferId;
use yunling_protocol::log::rows;
use yunling_protocol::message::Answer;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::DecideError;
use yunling_protocol::policy::Policy;
use yunling_protocol::recovery::rejoin;
use yunling_protocol::store::{Batch, CommitError, Key, Put, Table};

use crate::dice::Dice;
use crate::faults::{Fault, Faults, Injected};
use crate::invariants::Violation;
use crate::logs;
use crate::model::Model;
use crate::mutants::Mutant;
use crate::node::{BEGIN, Cast, NODES_MAX, Node};
use crate::work::{Act, Decided, Job, Packet, Reply, Work};

/// Decisions made again after another write came first (the node does the same).
const DECISIONS_MAX: u32 = 16;

/// Something that happens at a moment.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A packet arrives.
    Packet(Packet),
    /// A reply arrives at the sender of a packet; when it was sent.
    Reply(Packet, Reply, u64),
    /// The disk of a node has written what waited longest.
    Durable(usize, u32),
    /// A node looks at what is to be done; `true` when it does so regularly.
    Pump(usize, u32, bool),
    /// A node starts.
    Boot(usize),
    /// An operator acts.
    Operator,
    /// A volunteer arrives at a node with a slip of another.
    Carry(usize, usize, String),
    /// A node makes a backup.
    Backup(usize),
    /// Faults that need no occasion are looked for.
    Moment,
}

/// What happened in a run, so that a run in which nothing happens is noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events.
    pub steps: u64,
    /// Moves completed.
    pub moves: u64,
    /// Moves cancelled.
    pub cancelled: u64,
    /// Deliveries that ended with a receipt.
    pub deliveries: u64,
    /// Deliveries that followed a dossier.
    pub redirects: u64,
    /// Stops of a node.
    pub crashes: u64,
    /// Batches that came second.
    pub conflicts: u64,
    /// Acts acknowledged.
    pub acts: u64,
    /// Voids and corrections in the histories.
    pub changes: u64,
    /// Proofs looked at in the end.
    pub proofs: u64,
    /// Proofs that their office withdrew or superseded.
    pub withdrawn: u64,
    /// Deliveries that look for a dossier where a restore undid its move.
    pub astray: u64,
    /// Runs that did not come to rest after several restores.
    pub stuck: u64,
    /// Dossiers that several restores lost, and that are reported so.
    pub lost: u64,
    /// Moves completed whose seal a quorum had cosigned before it left.
    pub witnessed: u64,
    /// Fences that witnesses opened while a peer had not told what it knows.
    pub rejoined: u64,
    /// Dossiers that such a fence left closed, because the log shows a seal that the node forgot.
    pub closed: u64,
    /// Dossiers that stayed closed for a seal that is nowhere, until a person opened them again.
    pub reopened: u64,
    /// Faults.
    pub injected: Injected,
}

/// A run.
#[derive(Debug)]
pub struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) policies: BTreeMap<NodeName, Policy>,
    pub(crate) model: RefCell<Model>,
    pub(crate) faults: Faults,
    pub(crate) dice: Dice,
    /// Milliseconds since the beginning.
    pub(crate) now: u64,
    /// Seconds that passed while nobody looked.
    pub(crate) jump: i64,
    pub(crate) queue: BTreeMap<(u64, u64), Event>,
    pub(crate) queued: u64,
    /// Links that pass nothing, and until when.
    pub(crate) cut: BTreeMap<(usize, usize), u64>,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) tally: Tally,
    /// Nodes whose disk has changed since the last look at the invariants.
    pub(crate) dirty: BTreeSet<usize>,
    /// The next number of a service.
    pub(crate) served: u64,
    /// The faults are over.
    pub(crate) calm: bool,
    /// The offices keep logs with witnesses.
    pub(crate) witnessed: bool,
    pub(crate) mirrors: RefCell<logs::Mirrors>,
    /// A rule that did not hold while something was sent.
    pub(crate) broken: Option<Violation>,
    trace: RefCell<Option<String>>,
}

impl World {
    /// The world of a seed, before its first event.
    pub fn new(cast: &Rc<Cast>, seed: u64, mutant: Option<Mutant>, trace: bool) -> Self {
        let dice = Dice::new(seed);
        let nodes = 2 + dice.index(NODES_MAX - 1);
        let faults = Faults::drawn(&dice);
        // In some runs two offices come to know each other only later, after a backup perhaps.
        let strangers = (nodes > 2 && dice.chance(300)).then(|| (dice.index(nodes), dice.index(nodes)));
        // Members of a roster know each other.
        let witnessed = logs::witnessed(seed);
        let strangers = strangers.filter(|_| !witnessed);
        let listed = witnessed.then_some(nodes);
        let knows = |at: usize| -> Vec<usize> {
            let strange = |other: usize| {
                strangers.is_some_and(|(a, b)| a != b && [(a, b), (b, a)].contains(&(at, other)))
            };
            (0..nodes).filter(|other| !strange(*other)).collect()
        };
        let mut world = Self {
            nodes: (0..nodes).map(|at| Node::new(cast, at, &knows(at), seed, listed)).collect(),
            policies: BTreeMap::new(),
            model: RefCell::default(),
            faults,
            dice,
            now: 0,
            jump: 0,
            queue: BTreeMap::new(),
            queued: 0,
            cut: BTreeMap::new(),
            mutant,
            tally: Tally::default(),
            dirty: BTreeSet::new(),
            served: 0,
            calm: false,
            witnessed,
            mirrors: RefCell::default(),
            broken: None,
            trace: RefCell::new(trace.then(String::new)),
        };
        world.say(|| format!("seed {seed}: {nodes} nodes, {faults:?}"));
        world.begin();
        world
    }

    /// Seconds of the world's clock.
    pub(crate) fn seconds(&self) -> i64 {
        BEGIN.0 + self.jump + (self.now / 1000) as i64
    }

    /// Adds a line to the trace.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if let Some(trace) = self.trace.borrow_mut().as_mut() {
            let written = writeln!(trace, "{:>8} {}", self.now, text());
            debug_assert!(written.is_ok(), "a text takes everything");
        }
    }

    /// The trace so far.
    pub fn take_trace(&self) -> String {
        self.trace.borrow_mut().take().unwrap_or_default()
    }

    /// Puts an event into the queue, `after` milliseconds from now.
    pub(crate) fn schedule(&mut self, after: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), event);
    }

    /// Whether a fault of this ratio happens now; counted.
    pub(crate) fn hits(&mut self, fault: Fault, per_mille: u64) -> bool {
        let hit = per_mille > 0 && self.dice.chance(per_mille);
        if hit {
            self.tally.injected.count(fault);
        }
        hit
    }

    /// Takes the next event; `false` when there is none.
    pub(crate) fn step(&mut self) -> Result<bool, Violation> {
        let Some(((at, _), event)) = self.queue.pop_first() else { return Ok(false) };
        self.now = at;
        self.tally.steps += 1;
        match event {
            Event::Packet(packet) => self.arrives(packet),
            Event::Reply(packet, reply, sent) => self.returns(packet, reply, sent),
            Event::Durable(node, boot) if self.nodes[node].boot == boot => self.written(node),
            Event::Pump(node, boot, regular) if self.nodes[node].boot == boot => self.pump(node, regular),
            Event::Durable(..) | Event::Pump(..) => {}
            Event::Boot(node) => self.boot(node),
            Event::Operator => self.operator(),
            Event::Carry(to, from, slip) => {
                self.submit_act(to, Act::Ask(from, slip));
            }
            Event::Backup(node) => {
                if self.nodes[node].up {
                    self.back_up(node);
                }
            }
            Event::Moment => self.moment(),
        }
        self.check()?;
        Ok(true)
    }

    /// Stops a node; it starts again by itself.
    pub(crate) fn crash(&mut self, at: usize) {
        if !self.nodes[at].up {
            return;
        }
        self.say(|| format!("{at} stops"));
        self.tally.crashes += 1;
        self.nodes[at].crash();
        match self.mutant {
            Some(Mutant::OutboxForgotten) => self.nodes[at].disk.forget(Table::Outbox),
            Some(Mutant::AcceptWithoutStage) => self.nodes[at].disk.forget(Table::Staged),
            _ => {}
        }
        self.dirty.insert(at);
        let after = 500 + self.dice.below(6_000);
        self.schedule(after, Event::Boot(at));
    }

    pub(crate) fn boot(&mut self, at: usize) {
        if self.nodes[at].up {
            return;
        }
        self.say(|| format!("{at} starts"));
        self.nodes[at].up = true;
        self.nodes[at].load();
        let boot = self.nodes[at].boot;
        self.schedule(10, Event::Pump(at, boot, true));
    }

    /// An operator's act at a node that runs; the rule that forbids it, if one does.
    pub(crate) fn submit_act(&mut self, at: usize, act: Act) -> Option<&'static str> {
        if !self.nodes[at].up {
            return Some("down");
        }
        self.submit(at, Work::Act(act)).err().map(|e| e.code())
    }

    /// Decides about work and gives it to the disk.
    pub(crate) fn submit(&mut self, at: usize, work: Work) -> Result<(), DecideError> {
        let decided = match self.decide(at, &work) {
            Ok(decided) => decided,
            Err(error) => {
                self.say(|| format!("{at} {}: {}", work.word(), error.code()));
                if let Work::Message(packet) = work {
                    let refused = Reply::Answer(Answer::Refused(error.code().to_owned()));
                    self.reply(packet, refused);
                }
                return Err(error);
            }
        };
        self.say(|| {
            let reply = match &decided.then.reply {
                Some(Reply::Answer(answer)) => format!(", answers {}", crate::work::brief(answer)),
                Some(Reply::Rows(_, from, rows)) => format!(", sends {} rows from {from}", rows.len()),
                Some(Reply::Judged(answer)) => format!(", answers {}", answer.status()),
                None => String::new(),
            };
            let puts: usize = decided.batches.iter().map(|b| b.put.len()).sum();
            format!("{at} {}{reply}, {puts} puts", work.word())
        });
        if decided.batches.iter().all(|b| b.put.is_empty()) {
            self.effects(at, &work, &decided);
            return Ok(());
        }
        // What is only heard again has no effects to come early.
        if self.mutant == Some(Mutant::SendBeforePersist) && !decided.then.again {
            self.post_unwritten(at, &decided);
            self.effects(at, &work, &decided);
        }
        if self.hits(Fault::CrashBefore, self.faults.crash_before) {
            self.crash(at);
            return Ok(());
        }
        let slow = self.hits(Fault::SlowDisk, self.faults.slow_disk);
        if slow || self.nodes[at].disk.waiting() > 0 {
            let after = if slow { 20 + self.dice.below(1_500) } else { 1 };
            self.nodes[at].disk.wait(Job { work, decided });
            // One writer: what is quick waits behind what is slow.
            let last = self.queue.iter().rev().find_map(|((due, _), event)| match event {
                Event::Durable(node, boot) if *node == at && *boot == self.nodes[at].boot => Some(*due),
                _ => None,
            });
            let after = last.map_or(after, |due| due.saturating_sub(self.now) + after);
            let boot = self.nodes[at].boot;
            self.schedule(after, Event::Durable(at, boot));
            return Ok(());
        }
        self.write(at, Job { work, decided });
        Ok(())
    }

    fn written(&mut self, at: usize) {
        if let Some(job) = self.nodes[at].disk.take_next() {
            self.write(at, job);
        }
    }

    /// Writes the batches of a job, then lets its effects happen.
    fn write(&mut self, at: usize, job: Job) {
        let Job { work, mut decided } = job;
        for _ in 0..DECISIONS_MAX {
            match self.write_all(at, &decided.batches) {
                Written::All => {
                    // The operator may never be told, but the delivery has ended.
                    self.model.borrow_mut().refused.extend(decided.then.refused);
                    self.acted(at, &work);
                    if self.hits(Fault::CrashAfter, self.faults.crash_after) {
                        self.crash(at);
                    } else {
                        self.effects(at, &work, &decided);
                    }
                    return;
                }
                Written::Crashed => return,
                Written::Conflict => {}
            }
            self.tally.conflicts += 1;
            self.say(|| format!("{at} decides again, another write came first"));
            match self.decide(at, &work) {
                Ok(again) => decided = again,
                Err(error) => {
                    self.say(|| format!("{at} {}: {}", work.word(), error.code()));
                    let refused = Reply::Answer(Answer::Refused(error.code().to_owned()));
                    decided = Decided::default();
                    decided.then.reply = matches!(work, Work::Message(_)).then_some(refused);
                    self.effects(at, &work, &decided);
                    return;
                }
            }
        }
        self.nodes[at].judging = None;
    }

    fn write_all(&mut self, at: usize, batches: &[Batch]) -> Written {
        for (index, batch) in batches.iter().filter(|b| !b.put.is_empty()).enumerate() {
            if index > 0 && self.hits(Fault::CrashBetween, self.faults.crash_between) {
                self.crash(at);
                return Written::Crashed;
            }
            let mut batch = self.spoiled(batch.clone());
            if self.witnessed {
                let (node, now) = (&self.nodes[at], UnixTime(self.seconds()));
                rows::enqueue(&node.name, &node.members, now, &mut batch);
            }
            match self.nodes[at].disk.commit(batch) {
                Ok(()) => {
                    self.dirty.insert(at);
                    let fenced = self.nodes[at].fenced;
                    self.nodes[at].look_at_fence();
                    let opened = fenced && !self.nodes[at].fenced;
                    if opened && self.asks_on(at) {
                        self.tally.rejoined += 1;
                        self.tally.closed += rejoin::closed(&self.nodes[at]).map_or(0, |c| c.len() as u64);
                    }
                    if self.mutant == Some(Mutant::FenceOnePeerEarly) {
                        self.open_early(at);
                    }
                }
                Err(CommitError::Conflict { .. }) => return Written::Conflict,
                Err(error) => {
                    self.say(|| format!("{at} cannot write: {error}"));
                    return Written::Crashed;
                }
            }
        }
        Written::All
    }

    /// What a defective node writes instead.
    fn spoiled(&self, mut batch: Batch) -> Batch {
        let promotes = self.mutant == Some(Mutant::DoneWithoutCopy)
            && batch.put.iter().any(|p| matches!(p, Put::Set(k, _) if is_done(k)));
        if promotes {
            let of_dossier = |t: Table| matches!(t, Table::Head | Table::Chain | Table::Statement);
            batch.put.retain(|p| !of_dossier(p.key().table));
        }
        batch
    }

    /// What happens once a decision is durable.
    fn effects(&mut self, at: usize, work: &Work, decided: &Decided) {
        let then = decided.then.clone();
        if let (Work::Message(packet) | Work::Witness(packet), Some(reply)) = (work, then.reply) {
            self.reply(packet.clone(), reply);
        }
        self.told(at, work, decided);
        self.proven(at, &then.proven);
        if then.again {
            // Decided anew under the life that was just written.
            let _ = self.submit(at, work.clone());
        }
        match work {
            Work::Act(Act::Peer(..)) => {
                self.nodes[at].load_members();
                self.nodes[at].ask_after = 0;
            }
            Work::Judge(_) => self.nodes[at].judging = None,
            Work::Answer(packet, answer) => self.note_try(at, packet, answer),
            _ => {}
        }
        let busy = matches!(work, Work::Stage(..) | Work::Judge(_) | Work::Sweep(_) | Work::Push(..));
        let wrote = decided.batches.iter().any(|b| !b.put.is_empty());
        if then.wake || (wrote && (busy || matches!(work, Work::Message(_)))) {
            let boot = self.nodes[at].boot;
            self.schedule(5, Event::Pump(at, boot, false));
        }
    }

    /// Writes down what an operator or a volunteer is told.
    fn told(&mut self, at: usize, work: &Work, decided: &Decided) {
        let then = &decided.then;
        let mut model = self.model.borrow_mut();
        if let Some(id) = then.made {
            self.tally.acts += 1;
            model.acknowledged.insert(id, at);
        }
        if let Some(id) = then.opened {
            self.tally.acts += 1;
            model.dossiers.push(id);
        }
        if let Some(transfer) = then.asked {
            self.tally.acts += 1;
            model.asked.insert((at, transfer));
        }
        if let Work::Answer(_, answer) = work {
            self.tally.redirects += u64::from(matches!(answer, Answer::Moved { .. }));
            let ended = matches!(answer, Answer::Receipt(_)) && !decided.batches.is_empty();
            self.tally.deliveries += u64::from(ended);
        }
        if let Some((dossier, text, minutes)) = then.proof.clone() {
            let changes = model.sums(&self.nodes[at].chain(dossier)).changes;
            model.proofs.push(crate::model::Shown { dossier, text, minutes, changes });
        }
        drop(model);
        if let Some((to, slip)) = then.slip.clone() {
            let after = 100 + self.dice.below(4_000);
            self.schedule(after, Event::Carry(to, at, slip));
        }
    }

    /// A transfer as a node has it.
    pub(crate) fn transfer(&self, at: usize, id: TransferId) -> Option<yunling_protocol::custody::Transfer> {
        Loaded::by_id(&self.nodes[at], id).ok().flatten().map(|l| l.transfer)
    }

    /// Whether a copy of a node is at a stage.
    pub(crate) fn is_at(&self, at: usize, id: TransferId, stage: Stage) -> bool {
        self.transfer(at, id).is_some_and(|t| t.stage == stage)
    }
}

enum Written {
    All,
    Conflict,
    Crashed,
}

/// Whether this is the place of a `Done` in an outbox.
fn is_done(key: &Key) -> bool {
    const DONE: u8 = 7;
    let kind = key.key.iter().position(|b| *b == 0).and_then(|zero| key.key.get(zero + 1));
    key.table == Table::Outbox && kind == Some(&b'c') && key.key.last() == Some(&DONE)
}
