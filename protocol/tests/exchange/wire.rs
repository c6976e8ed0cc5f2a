//! The wire: takes what stands in the outboxes to its receiver and brings the answer back.

use yunling_protocol::custody::record::Loaded;
use yunling_protocol::custody::{Input, Side, Stage, giving, takeover, taking};
use yunling_protocol::delivery::{self, Next};
use yunling_protocol::id::TransferId;
use yunling_protocol::message::{Answer, Content, Message};
use yunling_protocol::office::{DecideError, Decision, OutboxEntry, answer_ends};
use yunling_protocol::recovery::{self, LifeVerdict, fence};
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Batch, Expect, Key, Put, Read, SCAN_ITEMS_MAX, Table};

use crate::copy::Dies;
use crate::samples::name;
use crate::world::{PlainVault, World};

/// Rounds after which a world without faults must be quiet: a move takes under ten, a redirect
/// one for each node on the way.
const ROUNDS_MAX: usize = 60;

/// One message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) key: Key,
    /// The stored outbox entry, so that an answer ends only what it answers.
    pub(crate) entry: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    /// What it is about, told by its key alone.
    pub(crate) fn word(&self) -> &'static str {
        let zero = self.key.key.iter().position(|b| *b == 0).expect("a name ends with zero");
        match (self.key.key[zero + 1], self.key.key.last()) {
            (b'c', Some(number)) => Content::word_of(u64::from(*number)).expect("a kind of message"),
            _ => "deliver",
        }
    }

    pub(crate) fn message(&self) -> Message {
        Message::parse_own(&self.bytes).expect("an outbox message parses")
    }
}

impl World {
    /// What stands in the outbox of `from`, in order of its keys.
    pub(crate) fn outbox(&self, from: usize) -> Vec<Packet> {
        let rows = self.desks[from].scan(Table::Outbox, &[], None, SCAN_ITEMS_MAX).unwrap();
        let packet = |(key, entry): (Vec<u8>, Vec<u8>)| {
            let bytes = OutboxEntry::decode(&entry).unwrap().message;
            let to = key.split(|b| *b == 0).next().and_then(|text| std::str::from_utf8(text).ok());
            let to = self.index(&name(to.expect("an outbox key begins with a name")));
            Packet { from, to, key: Key::new(Table::Outbox, key), entry, bytes }
        };
        rows.into_iter().map(packet).collect()
    }

    /// Words of what stands in all outboxes, for a failing test to print.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let all = (0..self.desks.len()).flat_map(|at| self.outbox(at));
        let word =
            |p: Packet| format!("{} -> {}: {}", self.desks[p.from].name, self.desks[p.to].name, p.word());
        all.map(word).collect()
    }

    /// Decides about received bytes; nothing is durable yet.
    pub(crate) fn decide(&self, at: usize, bytes: &[u8]) -> Decision {
        let message = match Message::open(bytes, &self.desks[at].name, &self.members, false, self.now.get()) {
            Ok(message) => message,
            Err(error) => return Decision::refused(error.code()),
        };
        let life = match self.judge_life(at, &message) {
            Ok(batch) => batch,
            Err(answer) => return Decision::answer(answer),
        };
        if !life.put.is_empty() {
            self.commit(at, life).expect("nobody else wrote since the decision");
        }
        match self.route(at, &message) {
            Ok(decision) => decision,
            Err(error) => Decision::refused(error.code()),
        }
    }

    /// Looks at the life of a message, as every node does before anything else.
    fn judge_life(&self, at: usize, message: &Message) -> Result<Batch, Answer> {
        let key = Key::new(Table::Peer, message.from.as_str().as_bytes());
        let seen = self.desks[at].get(key.table, &key.key).unwrap().and_then(|b| fence::decode_life(&b));
        let mut batch = Batch::default();
        match recovery::judge_life(seen, message.life) {
            LifeVerdict::Same => {}
            LifeVerdict::Stale(seen) => return Err(Answer::Stale { seen }),
            LifeVerdict::Newer => {
                if seen.is_some() {
                    let (office, books, fresh) = (self.office(at), &self.desks[at], &mut self.fresh(at));
                    let dropped = recovery::new_life(&office, books, &PlainVault, fresh, &message.from);
                    batch = dropped.map_err(|e| Answer::Refused(e.code().to_owned()))?;
                }
                batch.put.push(Put::Set(key, fence::encode_life(message.life)));
            }
        }
        Ok(batch)
    }

    fn route(&self, at: usize, message: &Message) -> Result<Decision, DecideError> {
        let (office, books, fresh) = (self.office(at), &self.desks[at], &mut self.fresh(at));
        let taker = || {
            let known = Loaded::by_id(books, message.transfer)?;
            Ok::<_, DecideError>(known.is_some_and(|l| l.transfer.side == Side::Taking))
        };
        match &message.content {
            Content::Deliver { statement } => delivery::receive(&office, books, fresh, message, statement),
            Content::Offer { .. } | Content::Refuse { .. } | Content::Release { .. } => {
                taking::receive(&office, books, &PlainVault, fresh, message)
            }
            Content::Recovering { since, after } => {
                recovery::tell::answer(&office, books, &PlainVault, message, *since, after)
            }
            Content::Known { .. } => recovery::learn::take(&office, books, &PlainVault, fresh, message),
            Content::Notice { .. } => takeover::noticed(&office, books, message),
            Content::Rejoin { since } => recovery::rejoin::vouch(&office, books, message, *since),
            Content::Vouch { .. } => recovery::rejoin::take(&office, books, message),
            Content::Cancel { .. } if taker()? => {
                taking::receive(&office, books, &PlainVault, fresh, message)
            }
            _ => giving::receive(&office, books, &PlainVault, fresh, message),
        }
    }

    /// Receives a message: decide, commit, answer.
    pub(crate) fn receive(&self, at: usize, bytes: &[u8]) -> Answer {
        let decision = self.decide(at, bytes);
        match self.commit(at, decision.batch) {
            Ok(()) => decision.answer,
            Err(_) => Answer::Busy,
        }
    }

    /// What the sender does with the answer to a packet.
    pub(crate) fn answered(&self, packet: &Packet, answer: &Answer) {
        let (office, desk) = (self.office(packet.from), &self.desks[packet.from]);
        let message = packet.message();
        let batch = match &message.content {
            Content::Deliver { statement } => {
                let statement = Statement::parse(statement).unwrap();
                match delivery::answered(&office, desk, &message.to, &statement, answer).unwrap() {
                    Next::Ended(batch) | Next::Redirected(batch, _) => batch,
                    Next::Later(_) => return,
                }
            }
            Content::Request { .. } => {
                let Answer::Refused(reason) = answer else { return };
                let loaded =
                    Loaded::by_id(desk, message.transfer).unwrap().expect("an own transfer is known");
                let input = Input::Refused { reason: reason.clone() };
                // An answer that comes late, when the transfer is further on, changes nothing.
                let Ok(decision) = taking::advance(&office, loaded, &input) else { return };
                decision.batch
            }
            Content::Recovering { .. } | Content::Rejoin { .. } => {
                let Answer::Stale { seen } = answer else { return };
                recovery::raise(&office, desk, *seen, &mut self.fresh(packet.from)).expect("a fenced node").0
            }
            content if answer_ends(content, answer) => {
                let mut batch = Batch::new();
                batch.expect.push(Expect::Equals(packet.key.clone(), packet.entry.clone()));
                batch.put.push(Put::Delete(packet.key.clone()));
                // Replaced since: the new entry is sent again.
                let _ = self.commit(packet.from, batch);
                return;
            }
            _ => return,
        };
        self.commit(packet.from, batch).expect("nobody else wrote since the decision");
    }

    /// Takes one packet there and its answer back.
    pub(crate) fn carry(&self, packet: &Packet) -> Answer {
        let answer = self.receive(packet.to, &packet.bytes);
        self.answered(packet, &answer);
        answer
    }

    /// Takes everything that stands in the outbox of `from` once; the answers in order.
    pub(crate) fn send_all(&self, from: usize) -> Vec<Answer> {
        let silent = |at: usize| self.silent.borrow().contains(&at);
        self.resign(from);
        let fenced = self.office(from).fenced;
        let may = |p: &Packet| !fenced || matches!(p.word(), "recovering" | "known" | "rejoin" | "vouch");
        let packets = self.outbox(from).into_iter().filter(|p| !silent(p.from) && !silent(p.to) && may(p));
        packets.map(|p| self.carry(&p)).collect()
    }

    /// Signs again what waits under an older life.
    fn resign(&self, at: usize) {
        for packet in self.outbox(at) {
            let entry = OutboxEntry::decode(&packet.entry).unwrap();
            if let Some(entry) = recovery::resign(&self.office(at), &entry).unwrap() {
                let put = Put::Set(packet.key, entry.encode());
                self.commit(at, Batch { expect: vec![], put: vec![put] }).unwrap();
            }
        }
    }

    /// Carries the one message of this kind that `from` has waiting.
    pub(crate) fn carry_one(&self, from: usize, word: &str) -> Answer {
        let found = self.outbox(from).into_iter().find(|p| p.word() == word);
        self.carry(&found.unwrap_or_else(|| panic!("no {word} waits at {}: {:?}", from, self.waiting())))
    }

    /// A person or the clock moves a giving transfer on.
    pub(crate) fn push_giving(&self, at: usize, id: TransferId, input: &Input) -> Result<(), DecideError> {
        let (office, books) = (self.office(at), &self.desks[at]);
        let loaded = Loaded::by_id(books, id)?.expect("the transfer is known");
        let decision = giving::advance(&office, books, &PlainVault, &mut self.fresh(at), loaded, input)?;
        self.commit(at, decision.batch).expect("nobody else wrote since the decision");
        Ok(())
    }

    /// Moves a transfer on at whichever side `at` is.
    pub(crate) fn push(&self, at: usize, id: TransferId, input: &Input) -> Result<(), DecideError> {
        match self.transfer(at, id).map(|t| t.side) {
            Some(Side::Giving) => self.push_giving(at, id, input),
            _ => self.push_taking(at, id, input),
        }
    }

    /// Without faults: everything is sent, copied and checked until nothing is left to do.
    pub(crate) fn settle(&self) {
        for _ in 0..ROUNDS_MAX {
            for at in 0..self.desks.len() {
                self.send_all(at);
                if self.logged {
                    self.keep_log(at);
                }
                while let Some(t) = self.has_work(at) {
                    self.work(at, t.id, 64, Dies::Never);
                    let stuck = self.transfer(at, t.id).is_some_and(|n| n == t);
                    if stuck {
                        break;
                    }
                }
            }
            let work = (0..self.desks.len()).any(|at| self.has_work(at).is_some());
            if !work && self.waiting().is_empty() {
                return;
            }
            self.wait(60);
        }
        let stages: Vec<_> =
            (0..self.desks.len()).flat_map(|at| self.transfers(at)).map(|t| (t.side, t.stage)).collect();
        let answers: Vec<_> = (0..self.desks.len()).flat_map(|at| self.send_all(at)).collect();
        panic!("not quiet after {ROUNDS_MAX} rounds: {:?}, {stages:?}, {answers:?}", self.waiting());
    }

    /// Stage of a transfer at a node.
    pub(crate) fn stage(&self, at: usize, id: TransferId) -> Option<Stage> {
        self.transfer(at, id).map(|t| t.stage)
    }
}
