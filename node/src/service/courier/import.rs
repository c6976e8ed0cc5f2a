//! Takes a courier file: everything is checked and read before anything is acted on; then answers,
//! requests and parts go where they would have gone from a connection. A file may come again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use yunling_protocol::courier::{CourierError, Cover, FILE_BYTES_MAX, Item, Parcel, request_id};
use yunling_protocol::custody::{Side, Stage};
use yunling_protocol::id::TransferId;
use yunling_protocol::key::Role;
use yunling_protocol::message::{Answer, Content, Frame, Life, Message};
use yunling_protocol::name::NodeName;
use yunling_protocol::office::OutboxEntry;
use yunling_protocol::statement::{Body, Outcome, Statement};

use super::rows::{Kept, Place, Progress, Row};
use super::{Node, Refusal, refused, seal};
use crate::home::ring::RingKey;
use crate::service::copy::STAGE_ROWS;
use crate::service::outbox::{Pause, passing};
use crate::service::recovery;

/// A file that a clerk brings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// Its bytes in Base64.
    pub file: String,
}

impl std::fmt::Debug for ImportRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImportRequest({} characters)", self.file.len())
    }
}

/// What a file brought.
#[derive(Debug, Default)]
struct Taken {
    /// Requests that were taken.
    messages: usize,
    /// Requests that were refused or must wait, by their code.
    refused: BTreeMap<String, usize>,
    /// Own messages that the answers ended.
    ended: usize,
    /// Statements of a dossier that were new.
    statements: u64,
    /// Copies that grew.
    copies: BTreeSet<TransferId>,
}

/// A file that was opened.
struct Opened {
    cover: Cover,
    parcel: Parcel,
    /// The sender has a newer life: its answers and parts count for nothing.
    stale: bool,
}

impl Node {
    /// Takes a file. Nothing is changed when it is refused; taken twice, it changes nothing more.
    pub async fn import_courier(self: &Arc<Self>, request: ImportRequest) -> Result<Value, Refusal> {
        let node = self.clone();
        let taken = tokio::task::spawn_blocking(move || node.take_courier(&request)).await;
        let (mut answer, whole) = taken.map_err(|e| Refusal::new("internal").with("cause", e))??;
        for transfer in &whole {
            self.clone().check_now(*transfer).await;
        }
        answer["copied"] = whole.len().into();
        self.wake.notify_one();
        Ok(answer)
    }

    fn take_courier(&self, request: &ImportRequest) -> Result<(Value, Vec<TransferId>), Refusal> {
        let file = BASE64.decode(request.file.as_bytes());
        let file = file.map_err(|e| Refusal::new("request-form").with("cause", e))?;
        let _one = self.courier.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = self.open_courier(&file)?;
        drop(file);
        let Opened { cover, parcel, stale } = &opened;
        let from = &cover.from;
        let mut progress = self.courier_progress(from)?;
        let repeated = !stale && progress.seen >= place(cover);
        let mut taken = Taken::default();
        if !stale {
            self.take_answers(from, &parcel.items, &mut taken)?;
        }
        self.take_requests(&opened, &mut progress, &mut taken)?;
        if !stale {
            self.take_parts(from, &parcel.items, &mut taken)?;
        }
        self.keep_progress(from, &progress)?;
        tracing::info!(
            peer = %from, number = cover.number, messages = taken.messages, ended = taken.ended,
            statements = taken.statements, stale, "courier file taken"
        );
        let mut whole = Vec::new();
        for id in &taken.copies {
            whole.extend(
                Some(*id).filter(|_| self.transfer(*id).is_ok_and(|l| l.transfer.stage == Stage::Checking)),
            );
        }
        let answer = json!({
            "from": from.to_string(), "number": cover.number, "made": cover.at.to_string(),
            "messages": taken.messages, "refused": taken.refused, "ended": taken.ended,
            "statements": taken.statements, "older": repeated, "stale": stale,
        });
        Ok((answer, whole))
    }

    fn open_courier(&self, file: &[u8]) -> Result<Opened, Refusal> {
        let me = &self.home.name;
        let opened = self.decide(|o| Cover::open(file, o.me, o.members, o.trial, o.now));
        let (cover, closed) = opened.map_err(|error| match error {
            CourierError::Trial => Refusal::new(error.code()).with("name", me),
            other => refused(&other, me),
        })?;
        // A file may have been closed before the key was rotated.
        let ring = self.home.keys.ring();
        let mut seeds = ring.of(Role::Encryption).filter_map(RingKey::seed);
        let first =
            seeds.next().ok_or_else(|| Refusal::new("key-file").with("path", "keys/encryption.key"))?;
        let other = |refusal: &Refusal| refusal.code == "courier-key";
        let plain = seeds.fold(seal::open(closed, first), |opened, seed| match opened {
            Err(refusal) if other(&refusal) => seal::open(closed, seed),
            opened => opened,
        })?;
        let parcel = Parcel::read(&plain, &cover)
            .map_err(|e| Refusal::new("courier-damaged").with("what", format!("parcel: {e}")))?;
        // From here on something may change.
        let stale = self.check_life(&cover.from, cover.life)?.is_some();
        Ok(Opened { cover, parcel, stale })
    }

    /// Answers to what waits in the outbox, and to questions for changes.
    fn take_answers(&self, from: &NodeName, items: &[Item], taken: &mut Taken) -> Result<(), Refusal> {
        if !items.iter().any(|item| matches!(item, Item::Answer { .. })) {
            return Ok(());
        }
        let mut waiting: BTreeMap<[u8; 32], (Vec<u8>, OutboxEntry)> = BTreeMap::new();
        for (key, entry) in self.sayable(from)? {
            // One of an older life is signed anew before it is said: no answer to it counts.
            if Message::parse_own(&entry.message).is_ok_and(|m| m.life == self.life()) {
                let frame = Frame::Message(entry.message.clone()).encode();
                waiting.insert(request_id(&frame), (key, entry));
            }
        }
        let questions = self.questions(from)?;
        for item in items {
            let Item::Answer { to, answer } = item else { continue };
            let Ok(answer) = Answer::decode(answer) else { continue };
            if let Answer::Stale { seen } = answer {
                self.hear_stale(from, seen)?;
            } else if let (Some((_, transfer)), Answer::Changes(list)) = (questions.get(to), &answer) {
                // One that cannot be taken now is asked again with the next file.
                let learned = self.learn_changes(from, transfer, list).unwrap_or(false);
                taken.ended += usize::from(learned);
            } else if let Some((key, entry)) = waiting.get(to) {
                // As on a connection: what cannot be acted on now waits for the next answer.
                let ended = self.answered(from, key, entry, &answer);
                taken.ended += usize::from(matches!(ended, Ok(Pause::Ended)));
            }
        }
        Ok(())
    }

    /// A peer has seen a newer life of this node. On a connection that answers the present life; a
    /// file may answer an older one, and then it says nothing new.
    fn hear_stale(&self, from: &NodeName, seen: Life) -> Result<(), Refusal> {
        let own = self.life();
        if seen == own || seen.generation < own.generation {
            return Ok(());
        }
        self.meet_stale(from, seen)
    }

    fn take_requests(
        &self,
        opened: &Opened,
        progress: &mut Progress,
        taken: &mut Taken,
    ) -> Result<(), Refusal> {
        let Opened { cover, parcel, stale } = opened;
        let (from, here) = (&cover.from, place(cover));
        let newest = !stale && here >= progress.seen;
        // Of an older file only what the newest one had no room for is still asked.
        let remember = newest || *stale || !progress.seen_whole;
        let asked = if newest { here } else { progress.seen };
        let before = self.courier_rows(from)?;
        let mut rows = before.clone();
        for item in &parcel.items {
            let (bytes, pull) = match item {
                Item::Request(frame) => (frame, false),
                Item::Pull(message) => (message, true),
                Item::Answer { .. } | Item::Part { .. } => continue,
            };
            let id = request_id(bytes);
            let known = rows.get_mut(&id);
            if let Some(row) = known
                && refused_for_good(row)
            {
                row.asked = row.asked.max(asked);
                continue;
            }
            let kept = if pull {
                Some(Kept::Pull(bytes.clone())).filter(|_| !stale && self.judge_pull(from, bytes).is_ok())
            } else {
                self.take_request(from, bytes, taken)
            };
            if let Some(kept) = kept.filter(|_| remember || before.contains_key(&id)) {
                let asked = before.get(&id).map_or(asked, |row| row.asked.max(asked));
                rows.insert(id, Row { asked, kept });
            }
        }
        if newest {
            if parcel.whole {
                rows.retain(|_, row| row.asked >= here);
            }
            (progress.seen, progress.seen_at, progress.seen_whole) = (here, cover.at, parcel.whole);
        }
        self.keep_rows(from, &before, rows)
    }

    /// Hands one request to its handler; what is to be kept for the answer in the next file.
    fn take_request(&self, from: &NodeName, frame: &[u8], taken: &mut Taken) -> Option<Kept> {
        let answer = self.answer_frame(from, Frame::decode(frame));
        match &answer {
            // A hello is said in every file and needs no answer.
            Answer::Hello(_) => return None,
            Answer::Refused(code) => *taken.refused.entry(code.clone()).or_default() += 1,
            Answer::Busy => *taken.refused.entry("busy".into()).or_default() += 1,
            Answer::Stale { .. } => *taken.refused.entry("stale-life".into()).or_default() += 1,
            _ => taken.messages += 1,
        }
        if stays(frame, &answer) {
            return Some(Kept::Answer(answer.encode()));
        }
        Some(Kept::Frame(frame.to_vec())).filter(|_| may_be_kept(frame))
    }

    /// Stages the parts that a copy lacks; they are checked as a whole once the copy is whole.
    fn take_parts(&self, from: &NodeName, items: &[Item], taken: &mut Taken) -> Result<(), Refusal> {
        for item in items {
            let Item::Part { transfer, from: first, statements } = item else { continue };
            if self.fenced() {
                return Ok(());
            }
            let Ok(loaded) = self.transfer(*transfer) else { continue };
            let t = loaded.transfer;
            let mut have = t.have;
            let copies = t.side == Side::Taking && t.peer == *from && t.stage == Stage::Copying;
            // A part behind a gap waits for the one before: the next pull asks from where the copy ends.
            let Some(known) = have.checked_sub(*first).filter(|_| copies) else { continue };
            let lacked = (t.count.saturating_sub(have) as usize).min(statements.len());
            let new = statements.get(known as usize..).unwrap_or_default();
            let new = &new[..new.len().min(lacked)];
            if new.is_empty() && have < t.count {
                continue;
            }
            let pieces: Vec<&[Vec<u8>]> =
                if new.is_empty() { vec![&[]] } else { new.chunks(STAGE_ROWS).collect() };
            for piece in pieces {
                match self.stage(*transfer, have, piece) {
                    Ok(()) => have += piece.len() as u64,
                    // A stream brought it meanwhile, or the transfer went on.
                    Err(refusal) if !refusal.code.starts_with("store-") => break,
                    Err(refusal) => return Err(refusal),
                }
            }
            taken.statements += have - t.have;
            taken.copies.insert(*transfer);
        }
        Ok(())
    }
}

fn place(cover: &Cover) -> Place {
    (cover.life.generation, cover.number)
}

/// A request for a dossier that was refused is not tried again by the same bytes: each try of a wrong
/// code is counted.
fn refused_for_good(row: &Row) -> bool {
    let Kept::Answer(answer) = &row.kept else { return false };
    matches!(Answer::decode(answer), Ok(Answer::Refused(_)))
}

/// Whether the answer to a request will be the same at the time of the next file.
fn stays(frame: &[u8], answer: &Answer) -> bool {
    let Ok(Frame::Message(message)) = Frame::decode(frame) else { return false };
    match answer {
        Answer::Ok => recovery::asks(frame).is_none(),
        Answer::Stale { .. } => true,
        Answer::Receipt(bytes) => Statement::parse(bytes)
            .is_ok_and(|s| matches!(s.body, Body::Receipt(r) if r.outcome != Outcome::Held)),
        Answer::Refused(code) => {
            let request = Message::parse_own(&message);
            request.is_ok_and(|m| matches!(m.content, Content::Request { .. })) && !passing(code)
        }
        _ => false,
    }
}

/// Whether a request may lie here until the next file. A release holds personal data and a request the
/// code of a slip; both come again with every file of the peer until they are taken.
fn may_be_kept(frame: &[u8]) -> bool {
    match Frame::decode(frame) {
        Ok(Frame::Message(message)) => Message::parse_own(&message)
            .is_ok_and(|m| !matches!(m.content, Content::Release { .. } | Content::Request { .. })),
        Ok(Frame::Changes { .. }) => true,
        Ok(
            Frame::Hello(_)
            | Frame::Pairing(_)
            | Frame::LogFile { .. }
            | Frame::Status(_)
            | Frame::Roster { .. }
            | Frame::AddCheckpoint(_)
            | Frame::Checkpoint(_)
            | Frame::Inclusions(_)
            | Frame::Evidence(_),
        )
        | Err(_) => false,
    }
}

/// Largest request body that brings a file: Base64 and the JSON around it.
pub(crate) const BODY_BYTES_MAX: usize = FILE_BYTES_MAX / 3 * 4 + 1024;
