//! What nodes tell each other of logs: each announces its newest checkpoint once a minute, who relies on one
//! passes it to the witnesses that have not seen it, and evidence goes round. What is heard is compared with
//! what was seen before; a log that shows two histories is found by whoever holds both.
//!
//! Announcements may be lost: the next one comes within minutes, and evidence is pulled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use sha2::{Digest as _, Sha256};
use yunling_protocol::cbor::{self, Value};
use yunling_protocol::day::UnixTime;
use yunling_protocol::ledger::set;
use yunling_protocol::log::evidence::Evidence;
use yunling_protocol::log::rows::{self, NOTE_BYTES_MAX};
use yunling_protocol::log::witness::Seen;
use yunling_protocol::log::{Checkpoint, Origin, Quorum};
use yunling_protocol::message::{Answer, Frame};
use yunling_protocol::name::NodeName;
use yunling_protocol::store::{Batch, Key, Put, Read as _, Table};

use super::{Node, Refusal, peers};

/// How often the task looks for something to tell.
const LOOK: Duration = Duration::from_secs(2);
/// Pause between two announcements of this node's log (DESIGN §7: at most one per log and minute).
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(60);
/// Pause between two announcements of all evidence: whoever was away hears of it then.
const EVIDENCE_PAUSE: Duration = Duration::from_mins(10);
/// Evidence announced in one round: enough to expose everybody.
const EVIDENCE_ROUND: usize = 16;
/// Evidence pulled at once; what is announced again comes later.
const PULLS_MAX: usize = 16;
/// Longest another node may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after a witness that could not be reached.
const PASS_PAUSE: Duration = Duration::from_secs(60);
/// Checkpoints passed on in one round; a witness takes one in a millisecond.
const PASS_ROUND: usize = 16;
/// A witness that was away so long has heard of the log by other ways: 7 days, seconds.
const PASS_SECONDS_MAX: i64 = 7 * 86_400;
/// Checkpoints that were only heard of, kept for each log; at one a minute they reach back half an hour, and
/// each is found again below the next.
const HEARD_MAX: usize = 32;
/// Largest announcement read: a word and a note.
const NOTICE_BYTES_MAX: usize = NOTE_BYTES_MAX + 32;
const ROSTER_WORD: &str = "roster";
const CHECKPOINT_WORD: &str = "checkpoint";
const EVIDENCE_WORD: &str = "evidence";

/// What is known in memory; after a restart it is told and asked once more.
#[derive(Debug, Default)]
pub(crate) struct Gossip {
    announced: Option<(Instant, String)>,
    evidence_told: Option<Instant>,
    /// Evidence was met since it was last told.
    pub(super) fresh_evidence: bool,
    /// Evidence announced and not held here, and by whom.
    wanted: BTreeMap<[u8; 32], NodeName>,
    /// Witnesses that have seen a checkpoint that is to be passed on, by its key.
    passed: BTreeMap<Vec<u8>, BTreeSet<NodeName>>,
    away: BTreeMap<NodeName, Instant>,
    /// Last key looked at of what is to be passed on: one whose witness is away must not hold up those behind.
    pass_after: Option<Vec<u8>>,
    /// Logs, by the SHA-256 of their origin, that were heard of since they were last compared.
    pub(super) unchecked: BTreeSet<[u8; 32]>,
    /// Logs that contradicted themselves, and when they were audited for it.
    pub(super) audited: BTreeMap<[u8; 32], Instant>,
}

/// What is to be announced now.
#[derive(Debug, Default)]
struct Due {
    /// Note of the newest checkpoint.
    checkpoint: Option<String>,
    /// SHA-256 of evidence files.
    evidence: Vec<Vec<u8>>,
}

fn notice(word: &str, value: Value) -> Vec<u8> {
    cbor::encode(&Value::Array(vec![cbor::text(word), value]))
}

/// Announcement of a version of the roster.
pub(super) fn roster_notice(version: u64) -> Vec<u8> {
    notice(ROSTER_WORD, cbor::int(version))
}

impl Node {
    /// An announcement.
    pub(super) fn hear_notice(&self, from: PeerId, bytes: &[u8]) {
        let Some(name) = self.member_of(from) else { return };
        let Ok(Value::Array(items)) = cbor::decode(bytes, NOTICE_BYTES_MAX) else { return };
        match items.as_slice() {
            [Value::Text(word), version] if word == ROSTER_WORD => {
                if let Ok(version) = cbor::as_uint(version, 1) {
                    self.hear_roster(&name, version);
                }
            }
            [Value::Text(word), Value::Bytes(note)] if word == CHECKPOINT_WORD => {
                // Announced by the log's owner: others pass on what they rely on, by request.
                if let Err(refusal) = self.hear_checkpoint(note, Some(&name)) {
                    tracing::debug!(peer = %name, code = refusal.code, "announced checkpoint not taken");
                }
            }
            [Value::Text(word), Value::Bytes(hash)] if word == EVIDENCE_WORD => {
                if let Ok(hash) = <[u8; 32]>::try_from(hash.as_slice()) {
                    self.hear_evidence(hash, name);
                }
            }
            _ => {}
        }
    }

    /// A checkpoint of some log, from anywhere. It is believed by the signature of the log's key, compared with
    /// every other seen of that log, and kept. `owner`: only of this node's logs.
    pub(super) fn hear_checkpoint(&self, note: &[u8], owner: Option<&NodeName>) -> Result<(), Refusal> {
        let unsigned = || Refusal::new("checkpoint-unsigned");
        let text = std::str::from_utf8(note).ok().filter(|text| text.len() <= NOTE_BYTES_MAX);
        let text = text.ok_or_else(unsigned)?;
        let (parsed, checkpoint) = Checkpoint::parse(note).map_err(|_| unsigned())?;
        let origin = Origin::parse(&checkpoint.origin).ok_or_else(unsigned)?;
        let keys = self.members().log_keys(&origin);
        if owner.is_some_and(|owner| *owner != origin.node) || parsed.verify(&keys).is_err() {
            return Err(unsigned());
        }
        if origin.node == self.home.name {
            return self.hear_own(&origin, &checkpoint);
        }
        let hash: [u8; 32] = Sha256::digest(&checkpoint.origin).into();
        if let Some(other) = self.other_root(&hash, &checkpoint)? {
            self.expose(&Evidence::TwoRoots { one: other, other: text.to_owned() })?;
        }
        let key = rows::heard_key(&hash, checkpoint.size, &checkpoint.root);
        let kept = rows::foreign_key(&hash, checkpoint.size, &checkpoint.root);
        if self.get(key.table, &key.key)?.is_some() || self.get(kept.table, &kept.key)?.is_some() {
            return Ok(());
        }
        let mut batch = Batch::default();
        set(&mut batch, key, note.to_vec());
        let heard = self.scan(Table::Log, &rows::heard_prefix(&hash), None, HEARD_MAX)?;
        if let Some((oldest, _)) = heard.first().filter(|_| heard.len() >= HEARD_MAX) {
            batch.put.push(Put::Delete(Key::new(Table::Log, oldest.clone())));
        }
        self.commit(batch)?;
        self.count("checkpoints_heard");
        self.gossip.lock().unwrap_or_else(PoisonError::into_inner).unchecked.insert(hash);
        Ok(())
    }

    /// A checkpoint of a log of this node that it did not make: another process has its key, or another copy of
    /// this home runs.
    fn hear_own(&self, origin: &Origin, checkpoint: &Checkpoint) -> Result<(), Refusal> {
        let size = self.log_head(origin.generation)?.map_or(0, |head| head.frontier.size());
        let own = checkpoint.size <= size && {
            let folder = self.log_folder(origin.generation);
            let tiles = crate::log::Tiles { folder: &folder, size };
            let root = yunling_protocol::log::merkle::root_at(&tiles, checkpoint.size);
            root? == checkpoint.root
        };
        if !own && origin.generation >= self.life().generation {
            let origin = origin.to_string();
            tracing::error!(origin, "ALARM: a checkpoint of this node's log that it has not made");
            self.count("log_alarms");
        }
        Ok(())
    }

    /// A checkpoint of the same size that was seen before and has another root.
    fn other_root(&self, hash: &[u8; 32], checkpoint: &Checkpoint) -> Result<Option<String>, Refusal> {
        let mut notes = Vec::new();
        let key = rows::witnessed_key(hash);
        if let Some(stored) = self.get(key.table, &key.key)? {
            notes.extend(Seen::decode(&stored).ok().map(|seen| seen.note));
        }
        let prefixes = [
            rows::foreign_size_prefix(hash, checkpoint.size),
            rows::heard_size_prefix(hash, checkpoint.size),
        ];
        for prefix in prefixes {
            for (_, note) in self.scan(Table::Log, &prefix, None, HEARD_MAX)? {
                notes.extend(String::from_utf8(note));
            }
        }
        let other = |note: &String| {
            Checkpoint::parse(note.as_bytes())
                .is_ok_and(|(_, seen)| seen.size == checkpoint.size && seen.root != checkpoint.root)
        };
        Ok(notes.into_iter().find(other))
    }

    /// A checkpoint that a peer relies on.
    pub(super) fn answer_checkpoint(&self, note: &[u8]) -> Result<Answer, Refusal> {
        self.hear_checkpoint(note, None).map(|()| Answer::Ok)
    }

    fn hear_evidence(&self, hash: [u8; 32], from: NodeName) {
        let key = rows::evidence_key(&hash);
        if !matches!(self.get(key.table, &key.key), Ok(None)) {
            return;
        }
        let mut gossip = self.gossip.lock().unwrap_or_else(PoisonError::into_inner);
        if gossip.wanted.len() < PULLS_MAX {
            gossip.wanted.entry(hash).or_insert(from);
        }
    }

    /// The file of evidence that is held here.
    pub(super) fn answer_evidence(&self, hash: &[u8; 32]) -> Result<Answer, Refusal> {
        let key = rows::evidence_key(hash);
        let held = self.get(key.table, &key.key)?;
        Ok(held.map_or_else(|| Answer::Refused("evidence-none".into()), Answer::Evidence))
    }

    /// Runs until the node stops.
    pub(crate) async fn keep_gossip(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.fenced() {
                continue;
            }
            self.announce_due().await;
            self.pull_evidence().await;
            self.check_continuity().await;
            if let Err(refusal) = self.clone().pass_on().await {
                tracing::warn!(code = refusal.code, "checkpoints were not passed on");
            }
        }
    }

    async fn announce_due(self: &Arc<Self>) {
        let node = self.clone();
        let Ok(Ok(due)) = tokio::task::spawn_blocking(move || node.notices_due()).await else { return };
        let Some(net) = self.net() else { return };
        if let Some(note) = due.checkpoint {
            let told = net.announce(notice(CHECKPOINT_WORD, cbor::bytes(note.as_bytes()))).await;
            if !matches!(told, Ok(true)) && !self.tell_each(&note).await {
                // Nobody is connected yet: told with the next look.
                self.gossip.lock().unwrap_or_else(PoisonError::into_inner).announced = None;
            }
        }
        for hash in due.evidence {
            if !matches!(net.announce(notice(EVIDENCE_WORD, cbor::bytes(hash))).await, Ok(true)) {
                self.gossip.lock().unwrap_or_else(PoisonError::into_inner).evidence_told = None;
            }
        }
    }

    /// Tells the peers that are connected one by one: those that still hold a connection of this node from
    /// before its crash do not say anew that they listen to announcements. Whether anybody answered.
    async fn tell_each(&self, note: &str) -> bool {
        let Some(net) = self.net() else { return false };
        let connected: BTreeSet<PeerId> =
            net.connected().iter().filter(|c| c.accepted).map(|c| c.peer).collect();
        let names: BTreeSet<NodeName> =
            connected.into_iter().filter_map(|peer| self.member_of(peer)).collect();
        let frame = Frame::Checkpoint(note.as_bytes().to_vec());
        let asked = names.iter().map(|name| self.ask(name, &frame));
        futures::future::join_all(asked).await.iter().any(Result::is_ok)
    }

    fn notices_due(&self) -> Result<Due, Refusal> {
        let generation = self.life().generation;
        // The cosigned one says more; a log without witnesses has only its own.
        let newest = match self.cosigned(generation)? {
            Some((_, note)) => Some(note),
            None => self.log_head(generation)?.map(|head| head.note),
        };
        let evidence = self.scan(Table::Log, rows::EVIDENCE_PREFIX, None, EVIDENCE_ROUND)?;
        let mut gossip = self.gossip.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notices = Due::default();
        if let Some(note) = newest {
            let told = gossip.announced.as_ref();
            if told.is_none_or(|(at, told)| at.elapsed() >= ANNOUNCE_PAUSE && *told != note) {
                notices.checkpoint = Some(note.clone());
                gossip.announced = Some((Instant::now(), note));
            }
        }
        let due = gossip.evidence_told.is_none_or(|at| at.elapsed() >= EVIDENCE_PAUSE);
        if due || std::mem::take(&mut gossip.fresh_evidence) {
            gossip.evidence_told = Some(Instant::now());
            notices.evidence =
                evidence.iter().filter_map(|(key, _)| key.get(1..)).map(<[u8]>::to_vec).collect();
        }
        Ok(notices)
    }

    /// Pulls what was announced; it convicts by itself, whoever brings it.
    async fn pull_evidence(self: &Arc<Self>) {
        let wanted = {
            let mut gossip = self.gossip.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut gossip.wanted)
        };
        for (hash, from) in wanted {
            let answer = self.ask(&from, &Frame::Evidence(hash)).await;
            let Ok(Answer::Evidence(file)) = answer else { continue };
            let node = self.clone();
            let taken = tokio::task::spawn_blocking(move || {
                let wrong = |cause: String| Refusal::new("evidence-encoding").with("cause", cause);
                if Sha256::digest(&file)[..] != hash {
                    return Err(wrong("another file".into()));
                }
                node.expose(&Evidence::decode(&file).map_err(|e| wrong(e.to_string()))?)
            });
            if let Ok(Err(refusal)) = taken.await {
                tracing::warn!(peer = %from, code = refusal.code, "announced evidence does not hold");
            }
        }
    }

    /// One question to a member, and its answer; the code says why there is none.
    pub(super) async fn ask(&self, name: &NodeName, frame: &Frame) -> Result<Answer, String> {
        let net = self.net().ok_or("net-stopped")?;
        let members = self.members();
        let peer = members.get(name).filter(|m| m.removed_at.is_none()).ok_or("peer-unknown")?;
        let peer = peers::peer_id(&peer.card).ok_or("peer-unknown")?;
        let bytes = net.request(peer, frame.encode(), ANSWER_TIMEOUT).await;
        let bytes = bytes.map_err(|e| e.code().to_owned())?;
        Answer::decode(&bytes).map_err(|_| "answer-unexpected".to_owned())
    }

    /// Shows the checkpoints relied on to the witnesses of their logs that have not cosigned them.
    async fn pass_on(self: Arc<Self>) -> Result<(), Refusal> {
        let node = self.clone();
        let due = tokio::task::spawn_blocking(move || node.to_pass()).await;
        for (key, note, witnesses) in due.map_err(|e| Refusal::new("internal").with("cause", e))?? {
            let mut left = false;
            for witness in witnesses {
                let answer = self.ask(&witness, &Frame::Checkpoint(note.clone().into_bytes())).await;
                let mut gossip = self.gossip.lock().unwrap_or_else(PoisonError::into_inner);
                // One that refuses has heard it too.
                if matches!(answer, Ok(Answer::Ok | Answer::Refused(_))) {
                    self.count("checkpoints_passed");
                    gossip.passed.entry(key.key.clone()).or_default().insert(witness);
                } else {
                    gossip.away.insert(witness, Instant::now());
                    left = true;
                }
            }
            if !left {
                self.end_pass(key).await?;
            }
        }
        Ok(())
    }

    async fn end_pass(self: &Arc<Self>, key: Key) -> Result<(), Refusal> {
        self.gossip.lock().unwrap_or_else(PoisonError::into_inner).passed.remove(&key.key);
        let node = self.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let mut batch = Batch::default();
            batch.put.push(Put::Delete(key));
            node.commit(batch)
        });
        Ok(ended.await.map_err(|e| Refusal::new("internal").with("cause", e))??)
    }

    /// Checkpoints to be passed on, and to whom.
    fn to_pass(&self) -> Result<Vec<(Key, String, Vec<NodeName>)>, Refusal> {
        let members = self.members();
        let now = self.home.clock.now();
        let mut due = Vec::new();
        let after = self.gossip.lock().unwrap_or_else(PoisonError::into_inner).pass_after.take();
        let page = self.scan(Table::Log, rows::PASS_PREFIX, after.as_deref(), PASS_ROUND)?;
        self.gossip.lock().unwrap_or_else(PoisonError::into_inner).pass_after =
            page.last().filter(|_| page.len() == PASS_ROUND).map(|(key, _)| key.clone());
        for (pass, since) in page {
            let since = <[u8; 8]>::try_from(since).map_or(UnixTime(0), |b| UnixTime(i64::from_be_bytes(b)));
            let key = rows::foreign_of_pass(&pass);
            let pass = Key::new(Table::Log, pass);
            let note = self.get(key.table, &key.key)?.and_then(|note| String::from_utf8(note).ok());
            let parsed = note.as_ref().and_then(|note| Checkpoint::parse(note.as_bytes()).ok());
            let (Some(note), Some((parsed, checkpoint))) = (note, parsed) else {
                due.push((pass, String::new(), Vec::new()));
                continue;
            };
            let owner = Origin::parse(&checkpoint.origin).map(|origin| origin.node);
            let quorum = owner.and_then(|owner| members.quorum(&owner).ok().flatten());
            let over = now.0.saturating_sub(since.0) > PASS_SECONDS_MAX;
            let gossip = self.gossip.lock().unwrap_or_else(PoisonError::into_inner);
            let passed = gossip.passed.get(&pass.key);
            let all = quorum.iter().filter(|_| !over).flat_map(Quorum::witnesses);
            let others = all.map(|witness| &witness.node).filter(|name| {
                **name != self.home.name
                    && !parsed.signatures.iter().any(|line| line.name == name.as_str())
                    && !passed.is_some_and(|passed| passed.contains(*name))
            });
            let others: Vec<NodeName> = others.cloned().collect();
            let rests = |name: &NodeName| gossip.away.get(name).is_some_and(|at| at.elapsed() < PASS_PAUSE);
            if others.is_empty() || !others.iter().all(rests) {
                due.push((pass, note, others));
            }
        }
        Ok(due)
    }
}

#[cfg(test)]
mod tests;
