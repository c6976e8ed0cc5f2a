//! Witnesses, both ways: this node judges the checkpoints of the logs its configuration names, and asks the
//! witnesses of its own log for their word. A move waits for it; otherwise they are asked once a minute.
//!
//! What a witness has cosigned is stored before its answer leaves, in a batch that expects what was read.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use yunling_protocol::custody::Input;
use yunling_protocol::key::Role;
use yunling_protocol::ledger::set;
use yunling_protocol::log::evidence::Evidence;
use yunling_protocol::log::keep;
use yunling_protocol::log::note::{Note, NoteKey, NoteSignature};
use yunling_protocol::log::policy::Quorum;
use yunling_protocol::log::rows::{self, HeadRow, Place};
use yunling_protocol::log::tile::{self, Tile};
use yunling_protocol::log::tlog_proof::TlogProof;
use yunling_protocol::log::witness::{self, AddCheckpoint, Alarm, Answer as Judged, Seen, Witnesser};
use yunling_protocol::log::{Checkpoint, Entry, Origin};
use yunling_protocol::message::{Answer, Frame};
use yunling_protocol::name::NodeName;
use yunling_protocol::store::{Batch, Read as _, Table};

use super::log::Inclusion;
use super::{Node, Refusal};
use crate::log::LogError;

/// Pause between rounds to the witnesses when no move waits (DESIGN §7: each minute).
const ROUND_PAUSE: Duration = Duration::from_secs(60);
/// Pause between rounds while a move waits; a witness that was away is asked again soon.
const MOVE_PAUSE: Duration = Duration::from_secs(2);
/// How often the task looks whether a round is due.
const LOOK: Duration = Duration::from_millis(500);
/// Most tries at one witness in a round: the second one knows the size from the first one's answer.
const TRIES: usize = 2;

/// What is known of the rounds; in memory, for a restart only asks once more.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// Size that each witness cosigned last, as far as this process knows.
    sizes: BTreeMap<NodeName, u64>,
    /// Cosignatures on the checkpoint of the round under way.
    lines: BTreeMap<NodeName, NoteSignature>,
    /// Text that they are on.
    text: String,
    /// When the last round began.
    began: Option<Instant>,
    /// Why a witness gave no word, the last time.
    errors: BTreeMap<NodeName, String>,
}

impl Rounds {
    /// Why a witness gave nothing, for status.
    pub(crate) fn note_error(&mut self, witness: &NodeName, code: &str) {
        self.errors.insert(witness.clone(), code.to_owned());
    }

    /// It gave what was asked.
    pub(crate) fn forget_error(&mut self, witness: &NodeName) {
        self.errors.remove(witness);
    }
}

impl Node {
    /// Judges the body of an `add-checkpoint`, by HTTP or by a peer.
    pub fn witness(&self, body: &[u8]) -> Result<Judged, Refusal> {
        let _one_at_a_time = self.witnessing.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(request) = AddCheckpoint::parse(body) else { return Ok(Judged::Malformed) };
        // It forgot what it has cosigned.
        self.refuse_fenced()?;
        let signer = self.signer_of(Role::Witness)?;
        let keys = Origin::parse(&request.checkpoint.origin).and_then(|origin| self.witnessed_keys(&origin));
        let (name, now) = (self.home.name.as_str(), self.home.clock.now());
        let witness = Witnesser { signer: &*signer, name, now };
        let (decided, batch) = witness::judge(self, &witness, &request, keys.as_deref())?;
        self.commit(batch)?;
        match decided.alarm {
            Some(Alarm::TwoRoots { seen, shown }) => {
                drop(self.expose(&Evidence::TwoRoots { one: seen, other: shown })?);
            }
            Some(Alarm::Inconsistent { .. }) => {
                let origin = &request.checkpoint.origin;
                tracing::error!(origin, "ALARM: a checkpoint does not continue the one witnessed before");
                self.count("log_alarms");
            }
            None => {}
        }
        Ok(decided.answer)
    }

    /// Log keys of an origin that is witnessed here. Not those of an older life: a restored node's witnesses
    /// have promised to cosign none (DESIGN §6).
    pub(super) fn witnessed_keys(&self, origin: &Origin) -> Option<Vec<NoteKey>> {
        let named = self.home.config.witnessed().ok()?;
        let listed = self.members().roster().is_some_and(|roster| {
            let policy = roster.node(&origin.node).and_then(|node| node.log.as_ref());
            policy.is_some_and(|policy| policy.witnesses.contains(&self.home.name))
        });
        if !(listed || named.contains(&origin.node)) || !self.members().is_active(&origin.node) {
            return None;
        }
        let life = self.peer(&origin.node).ok().and_then(|(_, record)| record.life);
        if life.is_some_and(|life| life.generation > origin.generation) {
            return None;
        }
        let keys = self.members().log_keys(origin);
        (!keys.is_empty()).then_some(keys)
    }

    /// The newest checkpoint cosigned here for a log, by the SHA-256 of its origin in hex.
    pub fn witnessed(&self, origin_hash: &str) -> Result<Option<String>, Refusal> {
        let hash = data_encoding::HEXLOWER.decode(origin_hash.as_bytes()).ok();
        let Some(hash) = hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok()) else { return Ok(None) };
        let key = rows::witnessed_key(&hash);
        let Some(stored) = self.get(key.table, &key.key)? else { return Ok(None) };
        let seen = Seen::decode(&stored).map_err(|e| Refusal::new("log-damaged").with("cause", e))?;
        Ok(Some(seen.note))
    }

    /// Asks the witnesses whenever a round is due, until the node stops.
    pub(crate) async fn keep_witnessed(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(refusal) = self.clone().witness_round().await {
                tracing::warn!(code = refusal.code, "witnesses were not asked");
            }
        }
    }

    async fn witness_round(self: Arc<Self>) -> Result<(), Refusal> {
        let node = self.clone();
        let due = tokio::task::spawn_blocking(move || node.round_due()).await;
        let Some((quorum, head, generation)) =
            due.map_err(|e| Refusal::new("internal").with("cause", e))??
        else {
            return Ok(());
        };
        let witnesses: Vec<NodeName> = quorum.witnesses().iter().map(|w| w.node.clone()).collect();
        let asked = witnesses.into_iter().map(|name| {
            let (node, head) = (self.clone(), head.clone());
            async move {
                let answered = node.ask_witness(&name, &head, generation).await;
                let mut rounds = node.rounds.lock().unwrap_or_else(PoisonError::into_inner);
                match answered {
                    Ok(line) => {
                        rounds.errors.remove(&name);
                        rounds.lines.insert(name, line);
                    }
                    Err(code) => drop(rounds.errors.insert(name, code)),
                }
            }
        });
        futures::future::join_all(asked).await;
        let node = self.clone();
        let kept = tokio::task::spawn_blocking(move || node.keep_cosigned(&quorum, &head, generation)).await;
        kept.map_err(|e| Refusal::new("internal").with("cause", e))?
    }

    /// Whether the witnesses are to be asked now, and about what.
    fn round_due(&self) -> Result<Option<(Quorum, HeadRow, u64)>, Refusal> {
        let quorum =
            self.members().quorum(&self.home.name).map_err(|e| Refusal::new(e.code()).with("cause", e))?;
        let Some(quorum) = quorum.filter(|_| !self.fenced()) else { return Ok(None) };
        let generation = self.life().generation;
        let Some(head) = self.log_head(generation)? else { return Ok(None) };
        let size = head.frontier.size();
        // Also what was cosigned before it was asked for.
        self.release_witnessed()?;
        let newest = self.cosigned(generation)?;
        if newest.as_ref().is_some_and(|(cosigned, _)| *cosigned >= size) {
            return Ok(None);
        }
        let moves = !keep::wanted(self)?.is_empty();
        let pause = if moves { MOVE_PAUSE } else { ROUND_PAUSE };
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        if rounds.began.is_some_and(|began| began.elapsed() < pause) {
            return Ok(None);
        }
        rounds.began = Some(Instant::now());
        let (note, _) = Checkpoint::parse(head.note.as_bytes()).map_err(LogError::from)?;
        if rounds.text != note.text {
            rounds.lines.clear();
            rounds.text = note.text;
        }
        Ok(Some((quorum, head, generation)))
    }

    /// One witness's word on a checkpoint; the code says why there is none.
    async fn ask_witness(
        &self,
        name: &NodeName,
        head: &HeadRow,
        generation: u64,
    ) -> Result<NoteSignature, String> {
        let size = head.frontier.size();
        let known = self.rounds.lock().unwrap_or_else(PoisonError::into_inner).sizes.get(name).copied();
        let mut old = known.unwrap_or(size).min(size);
        for _ in 0..TRIES {
            let proof = self.consistency(generation, old, size).map_err(|refusal| refusal.code)?;
            let frame = Frame::AddCheckpoint(AddCheckpoint::body(old, &proof, &head.note).into_bytes());
            let (status, body) = match self.ask(name, &frame).await? {
                Answer::Witnessed { status, body } => (status, body),
                Answer::Refused(code) => return Err(code),
                Answer::Busy => return Err("busy".into()),
                _ => return Err("answer-unexpected".into()),
            };
            let text = String::from_utf8(body).unwrap_or_default();
            match status {
                200 => {
                    let line = text.lines().next().and_then(|line| NoteSignature::parse_line(line).ok());
                    let line = line.ok_or("answer-unexpected")?;
                    self.rounds
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .sizes
                        .insert(name.clone(), size);
                    return Ok(line);
                }
                409 => match text.trim_end().parse::<u64>() {
                    Ok(seen) if seen <= size && seen != old => old = seen,
                    // It has cosigned more than this log holds, or another root: this store is an older one.
                    _ => return Err("witness-ahead".into()),
                },
                422 => return Err("witness-inconsistent".into()),
                404 => return Err("witness-unknown-log".into()),
                403 => return Err("witness-forbidden".into()),
                _ => return Err("witness-malformed".into()),
            }
        }
        Err("witness-conflict".into())
    }

    /// Stores a checkpoint that has its quorum, and lets what waited for it go on.
    fn keep_cosigned(&self, quorum: &Quorum, head: &HeadRow, generation: u64) -> Result<(), Refusal> {
        let (note, checkpoint) = Checkpoint::parse(head.note.as_bytes()).map_err(LogError::from)?;
        let lines: Vec<NoteSignature> = {
            let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            if rounds.text != note.text {
                return Ok(());
            }
            // One that is no word of that witness must not spoil the others'.
            let now = self.home.clock.now();
            let alone = |line: &&NoteSignature| {
                !matches!(
                    quorum.judge(&note.text, [(*line).into()], now),
                    Err(yunling_protocol::log::policy::PolicyError::BadCosignature)
                )
            };
            rounds.lines.values().filter(alone).cloned().collect()
        };
        let cosigned = Note { text: note.text, signatures: [note.signatures, lines].concat() };
        let judged =
            quorum.judge(&cosigned.text, cosigned.signatures.iter().map(Into::into), self.home.clock.now());
        if judged.is_err() {
            return Ok(());
        }
        let rendered = cosigned.render();
        let mut batch = Batch::default();
        set(&mut batch, rows::cosigned_key(generation, checkpoint.size), rendered.clone().into_bytes());
        self.commit(batch)?;
        if self.log_head(generation)?.is_some_and(|now| now.note == head.note) {
            self.log_folder(generation).publish_checkpoint(&rendered)?;
        }
        self.release_witnessed()
    }

    /// The newest checkpoint of a log that has its quorum: size and note.
    pub fn cosigned(&self, generation: u64) -> Result<Option<(u64, String)>, Refusal> {
        let Some((_, note)) = self.last(Table::Log, &rows::cosigned_prefix(generation))? else {
            return Ok(None);
        };
        let note = String::from_utf8(note).map_err(|e| Refusal::new("log-damaged").with("cause", e))?;
        let (_, checkpoint) = Checkpoint::parse(note.as_bytes()).map_err(LogError::from)?;
        Ok(Some((checkpoint.size, note)))
    }

    /// Puts the proofs of seals that lie under a cosigned checkpoint beside them, and sends their releases. One
    /// that lies in the log of a life that is over, unseen by its witnesses, is logged again: they cosign no
    /// older life.
    fn release_witnessed(&self) -> Result<(), Refusal> {
        for (seal, _) in keep::wanted(self)? {
            let key = rows::inclusion_key(&seal);
            if self.get(key.table, &key.key)?.is_some() {
                continue;
            }
            let Some(place) = Place::of(self, &seal)? else { continue };
            let mut batch = Batch::default();
            let Some(note) = self.cosigned_over(place.generation, place.index)? else {
                if place.generation < self.life().generation
                    && let Some(entry) = self.entry_at(place)?
                {
                    rows::log_again(&mut batch, &entry);
                    self.commit(batch)?;
                }
                continue;
            };
            let Some((_, inclusion)) = self.inclusion(&seal, Some(&note))? else { continue };
            let Inclusion { index, path, note } = inclusion;
            let proof = TlogProof { extra: None, index, path, checkpoint: note };
            set(&mut batch, rows::inclusion_key(&seal), proof.render().into_bytes());
            self.commit(batch)?;
        }
        for transfer in keep::ready(self)? {
            // One that cannot go on must not keep the others back.
            if let Err(refusal) = self.advance_transfer(transfer, &Input::Request { hold: false }) {
                tracing::warn!(%transfer, code = refusal.code, "a witnessed seal was not released");
            }
        }
        Ok(())
    }

    /// The entry at a place of one of this node's logs.
    fn entry_at(&self, place: Place) -> Result<Option<Entry>, Refusal> {
        let Some(head) = self.log_head(place.generation)? else { return Ok(None) };
        let Some((bundle, at)) = Tile::bundle_of(place.index, head.frontier.size()) else { return Ok(None) };
        let Some(bytes) = self.log_folder(place.generation).tile(bundle)? else { return Ok(None) };
        let entries = tile::decode_entries(&bytes, bundle.width);
        Ok(entries.ok().and_then(|entries| Entry::decode(entries.get(at)?).ok()))
    }

    /// What a move waits for at the witnesses: the quorum, the words given, and why others gave none.
    pub fn witness_figures(&self) -> Result<Option<serde_json::Value>, Refusal> {
        let quorum =
            self.members().quorum(&self.home.name).map_err(|e| Refusal::new(e.code()).with("cause", e))?;
        let Some(quorum) = quorum else { return Ok(None) };
        let generation = self.life().generation;
        let cosigned = self.cosigned(generation)?.map_or(0, |(size, _)| size);
        let size = self.log_head(generation)?.map_or(0, |head| head.frontier.size());
        let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let errors: BTreeMap<String, &String> =
            rounds.errors.iter().map(|(n, e)| (n.to_string(), e)).collect();
        Ok(Some(serde_json::json!({
            "policy": quorum.name(), "threshold": quorum.threshold(), "of": quorum.witnesses().len(),
            "size": size, "cosigned": cosigned, "errors": errors,
        })))
    }

    /// Where an id of this node lies, for the checks of others.
    pub fn place(&self, id: &[u8; 32]) -> Result<Option<Place>, Refusal> {
        Ok(Place::of(self, id)?)
    }
}
