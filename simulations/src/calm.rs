//! The calm after the faults: nodes start, clocks are set, clerks do their work, and everything
//! that began must end.

use yunling_protocol::custody::{Input, Side, Stage};
use yunling_protocol::id::TransferId;
use yunling_protocol::message::{Content, Message};
use yunling_protocol::office::OutboxEntry;
use yunling_protocol::store::{Read as _, SCAN_ITEMS_MAX, Table};

use crate::faults::Faults;
use crate::invariants::{LIVENESS, Violation, violated};
use crate::work::{Act, Work};
use crate::world::{Event, World};

/// Rounds after which a world without faults must be quiet. A clock that was 25 minutes ahead
/// must be caught up with first: 50 rounds.
const ROUNDS_MAX: u32 = 140;
/// Milliseconds of one round.
const ROUND_MS: u64 = 30_000;

impl World {
    /// Runs until nothing is left to do.
    pub(crate) fn calm(&mut self) -> Result<(), Violation> {
        self.say(|| "-- calm --".into());
        self.faults = Faults::none();
        self.calm = true;
        self.cut.clear();
        for at in 0..self.nodes.len() {
            self.nodes[at].silent = false;
            self.nodes[at].skew = 0;
            self.nodes[at].hold = false;
            self.boot(at);
        }
        // Only what the operators and the wire still have on the way; nobody begins anything new.
        self.queue.retain(|_, event| {
            !matches!(event, Event::Operator | Event::Moment | Event::Backup(_) | Event::Pump(_, _, true))
        });
        for _ in 0..ROUNDS_MAX {
            self.clerks();
            let until = self.now + ROUND_MS;
            for at in 0..self.nodes.len() {
                let boot = self.nodes[at].boot;
                self.nodes[at].tries.clear();
                self.schedule(0, Event::Pump(at, boot, true));
            }
            while self.queue.first_key_value().is_some_and(|((at, _), _)| *at < until) {
                self.step()?;
            }
            self.now = until;
            if self.quiet() {
                let waiting = |at: usize| self.waiting(at) as u64;
                self.tally.astray += (0..self.nodes.len()).map(waiting).sum::<u64>();
                return self.check_rest();
            }
        }
        violated(LIVENESS, format!("not quiet after {ROUNDS_MAX} rounds: {}", self.unrest()))
    }

    /// Clerks approve what waits for them, take what is held, and go on with what stopped.
    fn clerks(&mut self) {
        for at in 0..self.nodes.len() {
            for peer in 0..self.nodes.len() {
                // Again each round: a removal may still have waited for the disk.
                if !self.nodes[at].members.is_active(&self.nodes[peer].name) {
                    self.submit_act(at, Act::Peer(peer, true));
                }
            }
            for dossier in self.closed_for_good(at) {
                self.submit_act(at, Act::Reopen(dossier));
            }
            for (dossier, id) in self.held(at) {
                self.submit_act(at, Act::Held(dossier, id, true));
            }
        }
        for (at, t) in self.live_transfers() {
            match (t.side, t.stage) {
                (Side::Giving, Stage::Requested) => self.approve(at, t.id),
                (Side::Taking, Stage::Attention) => {
                    let _ = self.submit(at, Work::Push(t.id, Input::Resume));
                }
                _ => {}
            }
        }
    }

    /// A slip that was replaced meanwhile can never be approved: refused then.
    fn approve(&mut self, at: usize, id: TransferId) {
        if self.submit(at, Work::Push(id, Input::Approve)).is_err() {
            let refuse = Input::Refuse { reason: "slip-replaced".into() };
            let _ = self.submit(at, Work::Push(id, refuse));
        }
    }

    fn quiet(&self) -> bool {
        let none = |at: usize, table| self.nodes[at].scan(table, &[], None, 1).is_ok_and(|r| r.is_empty());
        let still =
            |at: usize| self.undelivered(at) == 0 && none(at, Table::Staged) && !self.nodes[at].fenced;
        (0..self.nodes.len()).all(still) && self.live_transfers().is_empty() && self.queue.is_empty()
    }

    /// Messages that wait, but for deliveries to a dossier that a restore lost altogether, or whose
    /// move a restore undid, so that its issuers look for it where it never arrived.
    fn undelivered(&self, at: usize) -> usize {
        let model = self.model.borrow();
        let rows = self.nodes[at].scan(Table::Outbox, &[], None, SCAN_ITEMS_MAX).unwrap_or_default();
        let lost = |entry: &[u8]| {
            let entry = OutboxEntry::decode(entry).ok();
            let message = entry.and_then(|e| Message::parse_own(&e.message).ok());
            message.is_some_and(|m| {
                let to = self.nodes.iter().find(|n| n.name == m.to);
                let unknown = to.is_none_or(|n| n.record(m.dossier).is_none());
                let lost = !model.dossiers.contains(&m.dossier) || (model.restores > 0 && unknown);
                matches!(m.content, Content::Deliver { .. }) && lost
            })
        };
        rows.iter().filter(|(_, entry)| model.restores == 0 || !lost(entry)).count()
    }

    /// Everything in an outbox.
    fn waiting(&self, at: usize) -> usize {
        self.nodes[at].scan(Table::Outbox, &[], None, SCAN_ITEMS_MAX).unwrap_or_default().len()
    }

    /// What is still to do, for a message.
    fn unrest(&self) -> String {
        let mut left: Vec<String> = self
            .live_transfers()
            .iter()
            .map(|(at, t)| format!("{at} {:?} {} {:?}", t.side, t.stage.word(), t.reason))
            .collect();
        for at in 0..self.nodes.len() {
            let fenced = if self.nodes[at].fenced { ", is fenced" } else { "" };
            left.push(format!("{at} has {} messages waiting{fenced}", self.undelivered(at)));
        }
        for id in &self.model.borrow().dossiers {
            left.push(self.whereabouts(*id));
        }
        left.push(format!("{} events", self.queue.len()));
        left.join("; ")
    }
}
