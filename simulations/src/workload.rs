//! What people do: operators of every office, volunteers who carry slips, and moments at which
//! something goes wrong without any occasion.

use yunling_protocol::custody::{Input, Side, Stage, Transfer};
use yunling_protocol::dossier::Custody;
use yunling_protocol::id::{DossierId, StatementId};
use yunling_protocol::store::{Read as _, SCAN_ITEMS_MAX, Table};

use crate::faults::{Fault, Faults};
use crate::model::Said;
use crate::work::{Act, Work};
use crate::world::{Event, World};

/// Milliseconds of the hostile phase.
pub(crate) const HOSTILE_MS: u64 = 45_000;
/// Pause between moments.
const MOMENT_MS: u64 = 1_000;
/// Fewest acts of operators in a run, and how many more there may be.
const ACTS: (u64, u64) = (8, 10);
/// Minutes between the beginnings of two services, one a day.
const DAY_MINUTES: u64 = 24 * 60;
/// Most minutes of one service.
const SERVICE_MINUTES: u64 = 90;

impl World {
    /// The first dossier, the clocks, and everything that is to happen in the hostile phase.
    pub(crate) fn begin(&mut self) {
        let faults = std::mem::replace(&mut self.faults, Faults::none());
        self.submit_act(0, Act::Register);
        let first = self.home_service();
        self.submit_act(0, first);
        self.faults = faults;
        for at in 0..self.nodes.len() {
            if self.hits(Fault::Skew, self.faults.skew) {
                // Mostly within what peers forgive, sometimes beyond.
                let most = if self.dice.chance(800) { 500 } else { 1_500 };
                self.nodes[at].skew = self.dice.below(2 * most) as i64 - most as i64;
            }
            let after = self.dice.below(1_000);
            self.schedule(after, Event::Pump(at, 0, true));
        }
        if self.hits(Fault::Silence, self.faults.silence) {
            let at = self.dice.index(self.nodes.len());
            self.nodes[at].silent = true;
        }
        for _ in 0..ACTS.0 + self.dice.below(ACTS.1) {
            let after = self.dice.below(HOSTILE_MS);
            self.schedule(after, Event::Operator);
        }
        if self.faults.restore > 0 {
            // Without a backup nothing is restored: each node makes one or two at some time.
            for at in 0..self.nodes.len() {
                for _ in 0..=self.dice.below(2) {
                    let after = self.dice.below(HOSTILE_MS * 2 / 3);
                    self.schedule(after, Event::Backup(at));
                }
            }
        }
        for moment in 1..HOSTILE_MS / MOMENT_MS {
            self.schedule(moment * MOMENT_MS, Event::Moment);
        }
    }

    fn home_service(&mut self) -> Act {
        let id = self.model.borrow().dossiers.first().copied().unwrap_or(DossierId([0; 16]));
        Act::Record(id, 0, self.service())
    }

    /// A new service, on a day of its own.
    fn service(&mut self) -> Said {
        self.served += 1;
        let minutes = 1 + self.dice.below(SERVICE_MINUTES);
        Said::Hour { item: self.served, start: self.served * DAY_MINUTES, minutes }
    }

    /// One of the dossiers.
    fn dossier(&self) -> DossierId {
        let model = self.model.borrow();
        model.dossiers[self.dice.index(model.dossiers.len())]
    }

    /// Nodes that may append to a dossier.
    pub(crate) fn custodians(&self, id: DossierId) -> Vec<usize> {
        self.nodes.iter().filter(|n| n.may_append(id)).map(|n| n.at).collect()
    }

    /// One act of one operator.
    pub(crate) fn operator(&mut self) {
        match self.dice.below(100) {
            0..4 if self.model.borrow().dossiers.len() < 2 => {
                let at = self.dice.index(self.nodes.len());
                self.submit_act(at, Act::Register);
            }
            0..38 => self.serve(),
            38..43 => self.serve_again(),
            43..48 => self.change(true),
            48..54 => self.change(false),
            54..76 => self.start_move(),
            76..82 => self.person_pushes(),
            82..86 => self.decide_held(),
            86..92 => self.prove(),
            92..94 => self.peering(),
            94..96 => {
                let at = self.dice.index(self.nodes.len());
                self.nodes[at].hold = self.dice.chance(400);
            }
            96..99 => {
                let at = self.dice.index(self.nodes.len());
                self.back_up(at);
            }
            _ => {
                self.say(|| "a month passes".into());
                self.jump += 31 * 86_400;
            }
        }
    }

    /// Some office records a service, for the custodian it believes in.
    fn serve(&mut self) {
        let (at, id) = (self.dice.index(self.nodes.len()), self.dossier());
        let mut said = self.service();
        if self.dice.chance(120)
            && let Some(other) = self.some_hour(|_, _| true)
            && let (Said::Hour { start, .. }, Said::Hour { item, minutes, .. }) = (other.1, said)
        {
            // Two offices attest the same time: it may count only once.
            said = Said::Hour { item, start: start + self.dice.below(30), minutes };
        }
        if let Some(believed) = self.believed(at, id) {
            self.submit_act(at, Act::Record(id, believed, said));
        }
    }

    /// Where an office believes a dossier: mostly where it is, sometimes where it was.
    fn believed(&self, at: usize, id: DossierId) -> Option<usize> {
        let here = self.custodians(id);
        if here.contains(&at) {
            return Some(at);
        }
        let was: Vec<usize> =
            (0..self.nodes.len()).filter(|n| *n != at && self.nodes[*n].record(id).is_some()).collect();
        if self.dice.chance(700) { self.dice.pick(&here).copied() } else { None }
            .or_else(|| self.dice.pick(&was).copied())
    }

    /// An acknowledged service, its issuer and what it says.
    fn some_hour(
        &self,
        fits: impl Fn(DossierId, usize) -> bool,
    ) -> Option<(StatementId, Said, usize, DossierId)> {
        let model = self.model.borrow();
        let hours: Vec<_> = model
            .acknowledged
            .keys()
            .filter_map(|id| model.intended.get(id).map(|i| (*id, i.said, i.issuer, i.dossier)))
            .filter(|(_, said, issuer, dossier)| matches!(said, Said::Hour { .. }) && fits(*dossier, *issuer))
            .collect();
        self.dice.pick(&hours).copied()
    }

    /// The same record again, after the dossier moved perhaps: it may count only once.
    fn serve_again(&mut self) {
        let Some((_, said, at, id)) = self.some_hour(|_, _| true) else { return };
        if let Some(believed) = self.believed(at, id) {
            self.submit_act(at, Act::Record(id, believed, said));
        }
    }

    /// An office voids or corrects a service of its own.
    fn change(&mut self, void: bool) {
        let Some((target, said, at, id)) = self.some_hour(|_, _| true) else { return };
        let Said::Hour { minutes, .. } = said else { return };
        let act =
            if void { Act::Void(id, target) } else { Act::Correct(id, target, 1 + self.dice.below(minutes)) };
        self.submit_act(at, act);
    }

    /// A volunteer moves.
    fn start_move(&mut self) {
        let id = self.dossier();
        let Some(from) = self.custodians(id).first().copied() else { return };
        let to = (from + 1 + self.dice.index(self.nodes.len() - 1)) % self.nodes.len();
        // Mostly one move at a time: a second slip spoils the first.
        let live = self.live_transfers().into_iter().any(|(_, t)| t.dossier == id);
        if !live || self.dice.chance(100) {
            self.submit_act(from, Act::Slip(id, to));
        }
    }

    /// Transfers that have not ended, with their node.
    pub(crate) fn live_transfers(&self) -> Vec<(usize, Transfer)> {
        let live = |at: usize| yunling_protocol::custody::record::live(&self.nodes[at]).unwrap_or_default();
        (0..self.nodes.len()).flat_map(|at| live(at).into_iter().map(move |t| (at, t))).collect()
    }

    /// Someone cancels, goes on, approves or refuses.
    fn person_pushes(&mut self) {
        let live = self.live_transfers();
        let Some((at, t)) = self.dice.pick(&live).cloned() else { return };
        let waits = t.side == Side::Giving && t.stage == Stage::Requested;
        let input = match self.dice.below(10) {
            0..2 if waits => Input::Refuse { reason: "identity-doubt".into() },
            _ if waits => Input::Approve,
            0..4 => Input::Resume,
            _ => Input::Cancel { reason: "volunteer-stays".into() },
        };
        if self.nodes[at].up {
            let _ = self.submit(at, Work::Push(t.id, input));
        }
    }

    /// Deliveries that wait for a person at a node.
    pub(crate) fn held(&self, at: usize) -> Vec<(DossierId, StatementId)> {
        let rows = self.nodes[at].scan(Table::Held, &[], None, SCAN_ITEMS_MAX).unwrap_or_default();
        let split = |(key, value): (Vec<u8>, Vec<u8>)| {
            let dossier = key.get(..16).and_then(|b| <[u8; 16]>::try_from(b).ok())?;
            let id = key.get(16..).and_then(|b| <[u8; 32]>::try_from(b).ok())?;
            (!value.is_empty()).then_some((DossierId(dossier), StatementId(id)))
        };
        rows.into_iter().filter_map(split).collect()
    }

    fn decide_held(&mut self) {
        let at = self.dice.index(self.nodes.len());
        let held = self.held(at);
        if let Some((dossier, id)) = self.dice.pick(&held).copied() {
            let take = self.dice.chance(800);
            self.submit_act(at, Act::Held(dossier, id, take));
        }
    }

    fn prove(&mut self) {
        let id = self.dossier();
        if let Some(at) = self.custodians(id).first().copied() {
            self.submit_act(at, Act::Prove(id));
        }
    }

    /// Peering ends or begins again.
    fn peering(&mut self) {
        let at = self.dice.index(self.nodes.len());
        let peer = (at + 1 + self.dice.index(self.nodes.len() - 1)) % self.nodes.len();
        let active = self.nodes[at].members.is_active(&self.nodes[peer].name);
        // A node refuses to remove a peer while it waits for all of them.
        if !(active && self.nodes[at].fenced) {
            self.submit_act(at, Act::Peer(peer, !active));
        }
    }

    /// What the world remembers of an operator's act that is durable.
    pub(crate) fn acted(&mut self, at: usize, work: &Work) {
        match work {
            Work::Act(Act::Peer(peer, true)) => {
                let name = self.nodes[*peer].name.clone();
                self.nodes[at].accepted.insert(name, self.now);
            }
            Work::Act(Act::Reopen(_)) => self.tally.reopened += 1,
            _ => {}
        }
    }

    /// Faults without an occasion.
    pub(crate) fn moment(&mut self) {
        let nodes = self.nodes.len();
        if self.hits(Fault::PowerCut, self.faults.power_cut) {
            let at = self.dice.index(nodes);
            self.crash(at);
        }
        if self.hits(Fault::Partition, self.faults.partition) {
            let from = self.dice.index(nodes);
            let to = (from + 1 + self.dice.index(nodes - 1)) % nodes;
            let until = self.now + 2_000 + self.dice.below(15_000);
            self.say(|| format!("nothing passes from {from} to {to} until {until}"));
            self.cut.insert((from, to), until);
        }
        if self.faults.restore > 0 {
            let at = self.dice.index(nodes);
            let versions = self.nodes[at].disk.versions().len();
            if versions > 0 && self.hits(Fault::Restore, self.faults.restore) {
                let version = self.dice.index(versions);
                self.restore(at, version);
                self.keep_one_away(at);
            }
        }
        if self.hits(Fault::Lie, self.faults.lie) {
            self.lie();
        }
    }

    /// Witnesses open a fence while a peer is away, and it may be the one that a forgotten seal names: in
    /// every second restore of a world with witnesses the way to one other office is cut for a while.
    fn keep_one_away(&mut self, at: usize) {
        let nodes = self.nodes.len();
        if !self.witnessed || nodes < 3 || !self.hits(Fault::Partition, 500) {
            return;
        }
        let away = (at + 1 + self.dice.index(nodes - 1)) % nodes;
        let until = self.now + 10_000 + self.dice.below(20_000);
        self.say(|| format!("nothing passes between {at} and {away} until {until}"));
        self.cut.insert((at, away), until);
        self.cut.insert((away, at), until);
    }

    /// Who holds a dossier or is about to, for a message of the trace.
    pub(crate) fn whereabouts(&self, id: DossierId) -> String {
        let word = |n: &crate::node::Node| match n.record(id).map(|r| (r.length, r.custody)) {
            None => format!("{}: none", n.at),
            Some((length, Custody::Open(name))) => format!("{}: {length} open at {name}", n.at),
            Some((length, Custody::Sealed { next, .. })) => format!("{}: {length} sealed for {next}", n.at),
            Some((length, Custody::Empty)) => format!("{}: {length} empty", n.at),
        };
        self.nodes.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}
