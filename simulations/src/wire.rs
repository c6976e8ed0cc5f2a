//! The wire and the pump of a node: what leaves an outbox, how it travels, what comes back.

use std::rc::Rc;

use yunling_protocol::custody::record::live;
use yunling_protocol::custody::{Input, Side, Stage, Transfer, leftovers};
use yunling_protocol::message::{Answer, Content, Message};
use yunling_protocol::office::OutboxEntry;
use yunling_protocol::recovery;
use yunling_protocol::store::{Batch, Expect, Key, Put, Read as _, SCAN_ITEMS_MAX, Table};

use crate::faults::Fault;
use crate::logs;
use crate::work::{Decided, Packet, Reply, Work};
use crate::world::{Event, World};

/// Pause between two looks of a node at its outbox, milliseconds.
const PUMP_MS: u64 = 1_500;
/// Pause before a message without an answer is sent again.
const UNKNOWN_MS: u64 = 5_000;
/// Pause after the peer took a message but the transfer has not moved on.
const TAKEN_MS: u64 = 12_000;
/// Pause after the peer said not yet.
const LATER_MS: u64 = 6_000;

/// What an outbox entry is, told by its key.
fn word(key: &[u8]) -> &'static str {
    let zero = key.iter().position(|b| *b == 0);
    match (zero.and_then(|zero| key.get(zero + 1)), key.last()) {
        (Some(b'c'), Some(number)) => Content::word_of(u64::from(*number)).unwrap_or("message"),
        _ => "deliver",
    }
}

impl World {
    /// Whether two nodes can talk now, both ways.
    pub(crate) fn passes(&self, a: usize, b: usize) -> bool {
        let open = |from, to| self.cut.get(&(from, to)).is_none_or(|until| *until <= self.now);
        let answers = |at: usize| self.nodes[at].up && !self.nodes[at].silent;
        open(a, b) && open(b, a) && answers(a) && answers(b)
    }

    /// How long something travels; `None` when it is lost.
    fn travel(&mut self) -> Option<u64> {
        if self.hits(Fault::Loss, self.faults.loss) {
            return None;
        }
        let mut after = 10 + self.dice.below(60);
        if self.hits(Fault::Reordering, self.faults.reordering) {
            after += self.dice.below(3_000);
        }
        if self.hits(Fault::Delay, self.faults.delay) {
            after += 3_000 + self.dice.below(20_000);
        }
        Some(after)
    }

    /// Puts a packet on the wire.
    pub(crate) fn post(&mut self, packet: Packet) {
        let (from, to, what) = (packet.from, packet.to, packet.word);
        self.say(|| format!("{from} sends {what} to {to}"));
        if self.hits(Fault::Duplication, self.faults.duplication) {
            let after = 10 + self.dice.below(8_000);
            self.schedule(after, Event::Packet(packet.clone()));
        }
        if let Some(after) = self.travel() {
            self.schedule(after, Event::Packet(packet));
        }
    }

    /// Sends back what a packet is answered with.
    pub(crate) fn reply(&mut self, packet: Packet, reply: Reply) {
        let reply = match reply {
            Reply::Rows(id, from, mut rows) => {
                if rows.len() > 1 && self.hits(Fault::CutCopy, self.faults.cut_copy) {
                    rows.truncate(1 + self.dice.index(rows.len() - 1));
                }
                Reply::Rows(id, from, rows)
            }
            // Whoever held a dossier once may send its issuers anywhere; they must not believe it.
            Reply::Answer(Answer::Moved { .. }) if self.hits(Fault::Lie, self.faults.lie) => {
                Reply::Answer(self.misled(packet.to))
            }
            other @ (Reply::Answer(_) | Reply::Judged(_)) => other,
        };
        if self.hits(Fault::Duplication, self.faults.duplication) {
            let after = 10 + self.dice.below(4_000);
            self.schedule(after, Event::Reply(packet.clone(), reply.clone(), self.now));
        }
        if let Some(after) = self.travel() {
            self.schedule(after, Event::Reply(packet, reply, self.now));
        }
    }

    fn open_way(&self, from: usize, to: usize) -> bool {
        let cut = self.cut.get(&(from, to)).is_some_and(|until| *until > self.now);
        let there = &self.nodes[to];
        !cut && there.up && !there.silent && !self.nodes[from].silent
    }

    /// A packet arrives, if its receiver can hear it.
    pub(crate) fn arrives(&mut self, packet: Packet) {
        let to = packet.to;
        if self.open_way(packet.from, to) {
            if packet.word == logs::CHECKPOINT {
                let _ = self.submit(to, Work::Witness(packet));
                return;
            }
            // The rule that refuses it has been answered and told already.
            let _ = self.submit(to, Work::Message(packet));
        }
    }

    /// A reply arrives, if whoever asked still waits for it.
    pub(crate) fn returns(&mut self, packet: Packet, reply: Reply, sent: u64) {
        let at = packet.from;
        if !self.open_way(packet.to, at) || self.nodes[at].boot != packet.boot {
            return;
        }
        // Nor does an answer outlive the store that gave it: the connection ended with the node.
        if self.nodes[packet.to].restored_at > sent {
            return;
        }
        match reply {
            Reply::Answer(answer) if packet.key.is_some() => {
                let _ = self.submit(at, Work::Answer(packet, answer));
            }
            // A pull that was refused is tried again; nobody waits for the answer to a lie.
            Reply::Answer(_) => {}
            Reply::Judged(answer) => self.judged(at, &packet, answer),
            Reply::Rows(id, from, rows) => {
                self.nodes[at].copying.remove(&id);
                let wanted = self.transfer(at, id).is_some_and(|t| t.have == from);
                if wanted && self.is_at(at, id, Stage::Copying) {
                    let _ = self.submit(at, Work::Stage(id, from, rows));
                }
            }
        }
    }

    /// When a message that was answered may be sent again.
    pub(crate) fn note_try(&mut self, at: usize, packet: &Packet, answer: &Answer) {
        let Some(key) = &packet.key else { return };
        let pause = if *answer == Answer::Ok { TAKEN_MS } else { LATER_MS };
        let due = self.now + pause;
        self.nodes[at].tries.insert(key.key.clone(), due);
    }

    /// A node looks at what is to be done.
    pub(crate) fn pump(&mut self, at: usize, regular: bool) {
        if !self.nodes[at].up {
            return;
        }
        if regular && !self.calm {
            let (boot, after) = (self.nodes[at].boot, PUMP_MS + self.dice.below(PUMP_MS / 2));
            self.schedule(after, Event::Pump(at, boot, true));
        }
        self.send_waiting(at);
        if self.nodes[at].fenced {
            if self.nodes[at].ask_after <= self.now {
                self.nodes[at].ask_after = self.now + UNKNOWN_MS;
                let _ = self.submit(at, Work::AskPeers);
                if self.witnessed && self.nodes[at].up {
                    self.take_logs(at);
                }
            }
            return;
        }
        if self.witnessed {
            self.tend_log(at);
            if self.nodes[at].up && self.nodes[at].ask_after <= self.now && self.asks_on(at) {
                self.nodes[at].ask_after = self.now + UNKNOWN_MS;
                let _ = self.submit(at, Work::AskPeers);
            }
            if !self.nodes[at].up {
                return;
            }
        }
        let transfers = live(&self.nodes[at]).unwrap_or_default();
        for transfer in transfers {
            if !self.nodes[at].up {
                return;
            }
            self.tend(at, &transfer);
        }
        if regular && self.nodes[at].up {
            let office = self.nodes[at].office(self.seconds(), &self.policies);
            let waiting = leftovers::waiting(&office, &self.nodes[at]).unwrap_or_default();
            if let Some(transfer) = waiting.into_iter().next() {
                let _ = self.submit(at, Work::Sweep(transfer));
            }
        }
    }

    /// Sends everything in the outbox that is due.
    fn send_waiting(&mut self, at: usize) {
        let rows = self.nodes[at].scan(Table::Outbox, &[], None, SCAN_ITEMS_MAX).unwrap_or_default();
        for (key, entry) in rows {
            if self.nodes[at].tries.get(&key).is_some_and(|due| *due > self.now) {
                continue;
            }
            // Nothing else may leave a fenced node: it forgot what it said before.
            if self.nodes[at].fenced && !matches!(word(&key), "recovering" | "known" | "rejoin") {
                continue;
            }
            let entry = self.resigned(at, &key, entry);
            let due = self.now + UNKNOWN_MS;
            if let Some(packet) = self.packet(at, &key, &entry) {
                self.nodes[at].tries.insert(key, due);
                if self.witnessed {
                    self.check_release(&packet);
                }
                self.post(packet);
            }
        }
    }

    /// An entry of an older life is signed again, in the store before it is sent.
    fn resigned(&mut self, at: usize, key: &[u8], entry: Vec<u8>) -> Vec<u8> {
        let node = &self.nodes[at];
        // Never restored: there is no older life.
        if node.life.generation == 1 {
            return entry;
        }
        let office = node.office(self.seconds(), &self.policies);
        let newer =
            OutboxEntry::decode(&entry).ok().and_then(|e| recovery::resign(&office, &e).ok().flatten());
        let Some(newer) = newer.map(|n| n.encode()) else { return entry };
        let key = Key::new(Table::Outbox, key);
        let expect = vec![Expect::Equals(key.clone(), entry)];
        let written = node.disk.commit(Batch { expect, put: vec![Put::Set(key, newer.clone())] });
        debug_assert!(written.is_ok(), "nobody wrote since it was read");
        newer
    }

    /// The packet of an outbox entry; none for a peer that is not accepted.
    fn packet(&self, at: usize, key: &[u8], entry: &[u8]) -> Option<Packet> {
        let name = key.split(|b| *b == 0).next()?;
        let to = self.nodes.iter().position(|n| n.name.as_str().as_bytes() == name)?;
        if !self.nodes[at].members.is_active(&self.nodes[to].name) {
            return None;
        }
        let bytes = OutboxEntry::decode(entry).ok()?.message;
        Some(Packet {
            from: at,
            to,
            bytes: Rc::new(bytes),
            key: Some(Key::new(Table::Outbox, key)),
            boot: self.nodes[at].boot,
            word: word(key),
        })
    }

    /// The defect: what a decision puts into the outbox leaves before it is written.
    pub(crate) fn post_unwritten(&mut self, at: usize, decided: &Decided) {
        for put in decided.batches.iter().flat_map(|b| &b.put) {
            let Put::Set(key, entry) = put else { continue };
            if key.table == Table::Outbox
                && let Some(packet) = self.packet(at, &key.key, entry)
            {
                self.post(packet);
            }
        }
    }

    /// Copies, checks and expiries of one transfer.
    fn tend(&mut self, at: usize, t: &Transfer) {
        let expired = self.seconds() + self.nodes[at].skew > t.expires.0;
        if expired && t.stage != Stage::Sealed {
            let _ = self.submit(at, Work::Push(t.id, Input::Tick));
        } else if t.side == Side::Taking && t.stage == Stage::Copying {
            if self.nodes[at].copying.get(&t.id).is_none_or(|until| *until <= self.now) {
                self.pull(at, t);
            }
        } else if t.side == Side::Taking && t.stage == Stage::Checking && self.nodes[at].judging.is_none() {
            self.nodes[at].judging = Some(t.id);
            if self.submit(at, Work::Judge(t.id)).is_err() {
                self.nodes[at].judging = None;
            }
        }
    }

    /// Whether peers are asked on behind a fence that the witnesses opened.
    pub(crate) fn asks_on(&self, at: usize) -> bool {
        recovery::fence::Fence::load_asking(&self.nodes[at]).is_ok_and(|asking| asking.is_some())
    }

    /// Asks the old node for the next rows of a copy.
    fn pull(&mut self, at: usize, t: &Transfer) {
        let Some(to) = self.nodes.iter().position(|n| n.name == t.peer) else { return };
        let node = &self.nodes[at];
        let office = node.office(self.seconds(), &self.policies);
        let message = Message {
            from: node.name.clone(),
            to: t.peer.clone(),
            dossier: t.dossier,
            epoch: t.epoch,
            transfer: t.id,
            life: node.life,
            at: office.now,
            trial: false,
            content: Content::Pull { from: t.have },
        };
        let Ok(bytes) = message.sign(office.signer) else { return };
        let boot = node.boot;
        let until = self.now + UNKNOWN_MS;
        self.nodes[at].copying.insert(t.id, until);
        self.post(Packet { from: at, to, bytes: Rc::new(bytes), key: None, boot, word: "pull" });
    }
}
