//! The outbox drainer: everything that waits is durable; this sends it, with backoff, until an
//! answer ends it. A timeout means *unknown*; every message is safe to repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use yunling_protocol::custody::record::{Loaded, forget_leftovers, live};
use yunling_protocol::custody::{Input, Stage, Transfer, leftovers, taking};
use yunling_protocol::delivery::{self, Next};
use yunling_protocol::message::{Answer, Content, Frame, Message};
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{OutboxEntry, answer_ends, outbox_prefix};
use yunling_protocol::recovery;
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Batch, CommitError, Expect, Key, Put, Table};

use super::{Node, Refusal, peers};

/// First pause after a failed try; doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Longest pause between tries: a peer that comes back is reached within this time.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Pause after a message was taken but its transfer has not moved on.
const TAKEN_PAUSE: Duration = Duration::from_secs(10);
/// Pause of a held delivery: a person decides, minutes are soon enough.
const HELD_PAUSE: Duration = Duration::from_secs(60);
/// Longest a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages to one peer in one round; others get their turn.
const PEER_ROUND_MAX: usize = 64;
/// Messages of a peer read at a time: one scan of the store.
pub(super) const OUTBOX_ROWS: usize = 4_000;
/// Longest the pump sleeps when nothing wakes it.
const IDLE: Duration = Duration::from_millis(500);
/// Pause between looks for expired transfers.
const TICK: Duration = Duration::from_secs(60);

/// Tries in memory; after a restart everything is tried at once.
#[derive(Debug, Default)]
pub struct Progress {
    tries: BTreeMap<Vec<u8>, Attempt>,
    /// When each peer may be greeted again.
    pub(super) greeted: BTreeMap<NodeName, Instant>,
    /// How often all were to be greeted anew.
    pub(super) greet_round: u64,
    ticked: Option<Instant>,
    pub(super) copying: BTreeSet<yunling_protocol::id::TransferId>,
    pub(super) copy_after: BTreeMap<yunling_protocol::id::TransferId, Instant>,
    /// Peers that have a higher version of the roster.
    pub(super) rosters_at: BTreeSet<NodeName>,
    /// When each peer may be asked for its roster again.
    pub(super) roster_after: BTreeMap<NodeName, Instant>,
    /// A new version is to be announced.
    pub(super) announce_roster: bool,
    /// When holes are looked for again.
    pub(super) refill_after: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Attempt {
    tries: u32,
    after: Instant,
    error: Option<String>,
}

impl Node {
    /// Runs until the network stops: outbox, copies, expiries.
    pub async fn pump(self: Arc<Self>) {
        loop {
            self.greet();
            self.pass_rosters();
            self.clone().send_waiting().await;
            self.clone().start_copies();
            self.clone().start_refills();
            let node = self.clone();
            // A failure here is shown by status and tried again with the next round.
            let _ = tokio::task::spawn_blocking(move || node.housekeeping()).await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(IDLE) => {}
            }
        }
    }

    /// Tries everything again now: a person asked to.
    pub fn retry_now(&self) {
        {
            let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
            progress.tries.clear();
            progress.greeted.clear();
            progress.copy_after.clear();
            progress.refill_after = None;
        }
        self.wake.notify_one();
    }

    /// Messages that wait for a peer, and the last error.
    pub(super) fn waiting_for(&self, name: &NodeName) -> (usize, Option<String>) {
        let prefix = outbox_prefix(name);
        let waiting = self.waiting(&prefix, 1_000).map_or(0, |rows| rows.len());
        let progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = progress.tries.range(prefix.clone()..).take_while(|(k, _)| k.starts_with(&prefix));
        (waiting, tries.filter_map(|(_, a)| a.error.clone()).last())
    }

    /// Everything that waits: how much, and since when the oldest.
    pub fn outbox_figures(&self) -> Result<(usize, i64), Refusal> {
        let rows = self.waiting(b"", OUTBOX_ROWS)?;
        let count = rows.len();
        let entries = rows.into_iter().filter_map(|(key, stored)| self.entry_of(&key, stored));
        let created = entries.map(|e| e.created.0).min();
        Ok((count, created.map_or(0, |c| self.home.clock.now().0 - c)))
    }

    async fn send_waiting(self: Arc<Self>) {
        let members = self.members();
        let names: Vec<NodeName> =
            members.iter().filter(|m| m.removed_at.is_none()).map(|m| m.card.card.name.clone()).collect();
        // Also to itself: a delivery follows its dossier, which may have come here.
        let sends = names.into_iter().map(|name| self.clone().send_to(name));
        futures::future::join_all(sends).await;
    }

    async fn send_to(self: Arc<Self>, name: NodeName) {
        let node = self.clone();
        let prefix = outbox_prefix(&name);
        let to = name.clone();
        let rows = tokio::task::spawn_blocking(move || {
            node.follow_successor(&to)?;
            node.due(&prefix)
        });
        let rows = rows.await;
        let Ok(Ok(rows)) = rows else { return };
        for (key, entry) in rows {
            let Some(net) = self.net() else { return };
            let members = self.members();
            let Some(peer) = members.get(&name).and_then(|m| peers::peer_id(&m.card)) else { return };
            let answer = if name == self.home.name {
                let (node, message) = (self.clone(), entry.message.clone());
                let own = tokio::task::spawn_blocking(move || {
                    Answer::decode(&node.answer_message(node.home.name.as_str(), &message).encode())
                });
                own.await.map_err(|_| crate::net::NetError::Stopped)
            } else {
                let frame = Frame::Message(entry.message.clone()).encode();
                net.request(peer, frame, REQUEST_TIMEOUT).await.map(|bytes| Answer::decode(&bytes))
            };
            let pause = match answer {
                Ok(Ok(answer)) => {
                    let node = self.clone();
                    let (to, key) = (name.clone(), key.clone());
                    let taken =
                        tokio::task::spawn_blocking(move || node.answered(&to, &key, &entry, &answer)).await;
                    taken.unwrap_or_else(|_| Err(Refusal::new("internal"))).map_err(|e| e.code)
                }
                Ok(Err(_)) => Err("answer-unexpected".to_owned()),
                Err(error) => Err(error.code().to_owned()),
            };
            let unreachable = matches!(&pause, Err(code) if code.starts_with("net-"));
            self.note_try(&key, pause);
            if unreachable {
                // The others would wait for the same peer.
                return;
            }
        }
    }

    /// What waits for a node that is gone goes to its successor, which takes it once the dossier is there.
    fn follow_successor(&self, gone: &NodeName) -> Result<(), Refusal> {
        if self.fenced() || self.members().succession(gone, self.home.clock.now()).is_none() {
            return Ok(());
        }
        for (key, stored) in self.waiting(&outbox_prefix(gone), OUTBOX_ROWS)? {
            let content = self.entry_of(&key, stored).and_then(|e| Message::parse_own(&e.message).ok());
            let Some(Content::Deliver { statement }) = content.map(|message| message.content) else {
                continue;
            };
            self.act(|office| {
                let batch = delivery::follow_successor(office, gone, &statement)?;
                Ok((batch.unwrap_or_default(), ()))
            })?;
        }
        Ok(())
    }

    fn due(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, OutboxEntry)>, Refusal> {
        let rows = self.waiting(prefix, OUTBOX_ROWS)?;
        let now = Instant::now();
        let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
        // What left the outbox another way (its move went on, a courier file brought the answer) has no
        // error to show any more.
        progress.tries.retain(|key, _| {
            !key.starts_with(prefix) || rows.binary_search_by(|(waits, _)| waits.cmp(key)).is_ok()
        });
        let due = rows.into_iter().filter(|(key, _)| progress.tries.get(key).is_none_or(|a| a.after <= now));
        let entries = due.filter_map(|(key, stored)| {
            let entry = self.entry_of(&key, stored)?;
            Some((key, entry))
        });
        let fenced = self.fenced();
        // Behind a fence nothing else may leave: it would be said by a node that forgot what it said.
        let may_leave = entries.filter(|(_, entry)| !fenced || speaks_of_recovery(entry));
        let mut due: Vec<_> = may_leave.take(PEER_ROUND_MAX).collect();
        drop(progress);
        for (key, entry) in &mut due {
            self.resign(key, entry)?;
        }
        Ok(due)
    }

    /// What may be said to a peer now, with the keys in the outbox; of more than one look reads, the
    /// first.
    pub(super) fn sayable(&self, peer: &NodeName) -> Result<Vec<(Vec<u8>, OutboxEntry)>, Refusal> {
        let rows = self.waiting(&outbox_prefix(peer), OUTBOX_ROWS)?;
        let entries = rows.into_iter().filter_map(|(key, stored)| {
            let entry = self.entry_of(&key, stored)?;
            Some((key, entry))
        });
        let fenced = self.fenced();
        Ok(entries.filter(|(_, entry)| !fenced || speaks_of_recovery(entry)).collect())
    }

    /// Signs an entry of an older life again, in the store before it is sent.
    pub(super) fn resign(&self, key: &[u8], entry: &mut OutboxEntry) -> Result<(), Refusal> {
        if let Some(newer) = self.decide(|office| recovery::resign(office, entry))? {
            let key = Key::new(Table::Outbox, key);
            let expect = vec![Expect::Equals(key.clone(), entry.encode())];
            match self.commit(Batch { expect, put: vec![Put::Set(key, newer.encode())] }) {
                // Replaced or taken out meanwhile: then what is sent is an old message, which the
                // peer refuses, and the new one has its turn.
                Ok(()) | Err(CommitError::Conflict { .. }) => *entry = newer,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn note_try(&self, key: &[u8], result: Result<Pause, String>) {
        let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = progress.tries.get(key).map_or(0, |a| a.tries) + 1;
        let backoff = RETRY_FIRST.saturating_mul(1 << tries.min(10)).min(RETRY_MAX);
        let (pause, error) = match result {
            Ok(Pause::Ended) => {
                progress.tries.remove(key);
                return;
            }
            Ok(Pause::Taken) => (TAKEN_PAUSE, None),
            Ok(Pause::Later(error)) if error.starts_with("held") => (HELD_PAUSE, Some(error)),
            Ok(Pause::Later(error)) | Err(error) => (backoff, Some(error)),
        };
        if let Some(error) = &error {
            tracing::debug!(error, tries, "message waits");
        }
        progress.tries.insert(key.to_vec(), Attempt { tries, after: Instant::now() + pause, error });
    }

    /// Acts on the answer to a message from the outbox.
    pub(super) fn answered(
        &self,
        to: &NodeName,
        key: &[u8],
        entry: &OutboxEntry,
        answer: &Answer,
    ) -> Result<Pause, Refusal> {
        let message =
            Message::parse_own(&entry.message).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
        if let Content::Deliver { statement } = &message.content {
            return self.delivered(to, statement, answer);
        }
        match (answer, &message.content) {
            (answer, content) if answer_ends(content, answer) => {
                let key = Key::new(Table::Outbox, key);
                // A newer one in the same place has not been answered.
                let expect = vec![Expect::Equals(key.clone(), entry.encode())];
                match self.commit(Batch { expect, put: vec![Put::Delete(key)] }) {
                    Ok(()) | Err(CommitError::Conflict { .. }) => Ok(Pause::Ended),
                    Err(error) => Err(error.into()),
                }
            }
            (Answer::Changes(told), Content::Notice { .. }) => {
                self.notice_answered(to, key, entry, &message, told)
            }
            (Answer::Ok, _) => Ok(Pause::Taken),
            (Answer::Refused(code), Content::Request { .. }) if !passing(code) => {
                tracing::warn!(peer = %to, code, "transfer refused");
                self.act_decision(|office| {
                    let loaded = Loaded::by_id(self, message.transfer)?
                        .ok_or(yunling_protocol::office::DecideError::Rule("transfer-unknown"))?;
                    taking::advance(office, loaded, &Input::Refused { reason: code.clone() })
                })?;
                Ok(Pause::Ended)
            }
            (Answer::Refused(code), _) => Ok(Pause::Later(code.clone())),
            (Answer::Stale { seen }, _) => {
                self.meet_stale(to, *seen)?;
                Ok(Pause::Later("stale-life".into()))
            }
            (Answer::Busy, _) => Ok(Pause::Later("busy".into())),
            _ => Ok(Pause::Later("answer-unexpected".into())),
        }
    }

    fn delivered(&self, to: &NodeName, statement: &[u8], answer: &Answer) -> Result<Pause, Refusal> {
        let statement = Statement::parse(statement).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
        let pause = self.act(|office| {
            Ok(match delivery::answered(office, self, to, &statement, answer)? {
                Next::Ended(batch) => (batch, Pause::Ended),
                Next::Redirected(batch, next) => {
                    tracing::info!(statement = %statement.id, peer = %next, "delivery follows the dossier");
                    (batch, Pause::Ended)
                }
                Next::Later(code) => (Batch::default(), Pause::Later(code)),
            })
        })?;
        if matches!(pause, Pause::Ended) {
            self.wake.notify_one();
        }
        Ok(pause)
    }

    /// Expired transfers end; what ended ones must not leave is destroyed.
    fn housekeeping(&self) -> Result<(), Refusal> {
        {
            let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
            if progress.ticked.is_some_and(|t| t.elapsed() < TICK) {
                return Ok(());
            }
            progress.ticked = Some(Instant::now());
        }
        if self.fenced() {
            return self.ask_peers();
        }
        for transfer in live(self)? {
            if transfer.stage != Stage::Sealed && self.home.clock.now() > transfer.expires {
                self.advance_transfer(transfer.id, &Input::Tick)?;
            }
        }
        for transfer in self.decide(|office| leftovers::waiting(office, self))? {
            // One that cannot be read must not keep the others.
            if let Err(error) = self.destroy_leftovers(&transfer) {
                tracing::warn!(transfer = %transfer.id, code = error.code, "leftovers stay");
            }
        }
        self.erase_takeovers()
    }

    /// Destroys, piece by piece, what an ended transfer must not leave. The keyed index entry of the
    /// person stays: without it the old sheet imported again would count every hour a second time.
    fn destroy_leftovers(&self, transfer: &Transfer) -> Result<(), Refusal> {
        loop {
            let batch = self.decide(|o| leftovers::destroy(o, self, transfer, leftovers::DESTROY_ROWS))?;
            if batch.put.is_empty() {
                self.commit(forget_leftovers(transfer))?;
                return Ok(());
            }
            match self.commit(batch) {
                Ok(()) => {}
                // A new transfer of the dossier began: looked at again with the next round.
                Err(CommitError::Conflict { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether a waiting message is one that a fenced node sends.
fn speaks_of_recovery(entry: &OutboxEntry) -> bool {
    Message::parse_own(&entry.message).is_ok_and(|m| {
        matches!(m.content, Content::Recovering { .. } | Content::Known { .. } | Content::Rejoin { .. })
    })
}

/// Whether a refusal says nothing about what was asked: the other office is busy with the dossier, its
/// disk is full, or it failed. Asked again, it may agree.
pub(super) fn passing(code: &str) -> bool {
    code == "transfer-in-progress" || code == "internal" || code.starts_with("store-")
}

/// What to do with an outbox entry after an answer.
#[derive(Debug)]
pub(super) enum Pause {
    /// It has left the outbox.
    Ended,
    /// The peer has it; the transfer must move on.
    Taken,
    /// Try again later, and why.
    Later(String),
}

#[cfg(test)]
mod tests {
    use super::passing;

    #[test]
    fn a_full_disk_or_a_conflict_at_the_other_office_ends_no_transfer() {
        for code in ["store-full", "store-conflict", "internal", "transfer-in-progress"] {
            assert!(passing(code), "{code}");
        }
        for code in ["transfer-code", "consent-receiver", "peer-unknown"] {
            assert!(!passing(code), "{code}");
        }
    }
}
