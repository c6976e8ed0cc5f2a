//! Makes a courier file: what waits for a peer, the answers to what it asked, and parts of the
//! dossiers that it copies. Everything said lies in the store before; the file may be made again.

use std::sync::PoisonError;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use yunling_protocol::courier::{Cover, Item, PART_BYTES, Writer};
use yunling_protocol::custody::record::live;
use yunling_protocol::custody::{Side, Stage, Transfer};
use yunling_protocol::id::TransferId;
use yunling_protocol::key::Role;
use yunling_protocol::ledger;
use yunling_protocol::message::{Answer, Content, Frame, Message};
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{DecideError, OutboxEntry};
use yunling_protocol::recovery::tell;

use super::rows::{Kept, Rows};
use super::{Refusal, seal};
use crate::service::exchange::BULK_ROWS;
use crate::service::outbox::OUTBOX_ROWS;
use crate::service::transfers::node_name;
use crate::service::{Node, recovery};

/// Most pages of what is known of a restored peer in one file: leaves as many items for the rest.
const PAGES_MAX: usize = yunling_protocol::courier::ITEMS_MAX / 2;
/// Room of a parcel below which no part is begun.
const PART_ROOM: usize = 2 * PART_BYTES;

/// For whom a file is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// The peer.
    pub to: String,
}

/// What went into a file.
#[derive(Debug, Default)]
struct Told {
    messages: usize,
    answers: usize,
    statements: u64,
    more: bool,
}

impl Node {
    /// Makes a file for a peer; gives its bytes in Base64 and what is in it.
    pub fn export_courier(&self, request: &ExportRequest) -> Result<Value, Refusal> {
        let to = node_name(&request.to)?;
        let _one = self.courier.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.encryption_key(&to)?;
        self.ask_peers()?;
        let cover = self.next_cover(&to)?;
        let (mut writer, mut told) = (Writer::default(), Told::default());
        writer.put(&Item::Request(Frame::Hello(self.hello()?).encode()));
        let rows = self.courier_rows(&to)?;
        let pages = self.put_answers(&rows, &to, &mut writer, &mut told)?;
        self.put_messages(&to, pages, &mut writer, &mut told)?;
        if !self.fenced() {
            self.put_questions(&to, &mut writer, &mut told)?;
            self.put_parts(&rows, &to, &mut writer, &mut told)?;
        }
        told.more |= !writer.whole();
        let closed = seal::close(&writer.finish(&cover), &key)?;
        let (number, at) = (cover.number, cover.at);
        let file = self.decide(|office| cover.write(office.signer, &closed));
        let file = file.map_err(|e| Refusal::new("sign-device").with("cause", e))?;
        tracing::info!(
            peer = %to, number, messages = told.messages, answers = told.answers,
            statements = told.statements, bytes = file.len(), "courier file made"
        );
        Ok(json!({
            "to": to.to_string(), "number": number, "made": at.to_string(), "messages": told.messages,
            "answers": told.answers, "statements": told.statements, "more": told.more,
            "bytes": file.len(), "file": BASE64.encode(&file),
        }))
    }

    /// The key that a peer's files are closed to: the newest of its card that counts now.
    fn encryption_key(&self, to: &NodeName) -> Result<[u8; 32], Refusal> {
        let members = self.members();
        if *to == self.home.name {
            return Err(Refusal::new("peer-self").with("name", to));
        }
        let member = members.get(to).filter(|m| m.removed_at.is_none());
        let member = member.ok_or_else(|| Refusal::new("peer-unknown").with("name", to))?;
        let now = self.home.clock.now();
        let keys = member.card.card.keys_of(Role::Encryption).filter(|key| key.valid_at(now));
        let key = keys.max_by_key(|key| key.not_before);
        key.map(|key| key.public).ok_or_else(|| Refusal::new("courier-no-key").with("name", to))
    }

    /// The cover of the next file, counted in the store before the file is made.
    fn next_cover(&self, to: &NodeName) -> Result<Cover, Refusal> {
        let (life, at) = (self.life(), self.home.clock.now());
        let mut progress = self.courier_progress(to)?;
        let last = if progress.sent.0 == life.generation { progress.sent.1 } else { 0 };
        (progress.sent, progress.sent_at) = ((life.generation, last + 1), at);
        self.keep_progress(to, &progress)?;
        let from = self.home.name.clone();
        let trial = self.home.config.node.trial;
        Ok(Cover { from, to: to.clone(), life, number: last + 1, at, trial, bytes: 0, hash: [0; 32] })
    }

    /// Answers what the peer asked, once more where the answer may have changed; the answers may put
    /// messages into the outbox, so they come before these. Whether pages of what is known of a
    /// restored peer were written.
    fn put_answers(
        &self,
        rows: &Rows,
        to: &NodeName,
        writer: &mut Writer,
        told: &mut Told,
    ) -> Result<bool, Refusal> {
        let mut pages = false;
        for row in rows.values() {
            if let Kept::Frame(frame) = &row.kept {
                pages |= self.put_pages(frame, writer, told)?;
            }
        }
        for (id, row) in rows {
            let answer = match &row.kept {
                // Two restored at once would wait for each other for ever.
                Kept::Answer(answer) if matches!(Answer::decode(answer), Ok(Answer::Stale { .. })) => {
                    answer.clone()
                }
                // A fenced node has forgotten why it gave the answer.
                _ if self.fenced() => continue,
                Kept::Pull(_) => continue,
                Kept::Answer(answer) => answer.clone(),
                Kept::Frame(frame) if recovery::asks(frame).is_some() => continue,
                Kept::Frame(frame) => self.answer_frame(to, Frame::decode(frame)).encode(),
            };
            let fits = writer.put(&Item::Answer { to: *id, answer });
            told.answers += usize::from(fits);
            told.more |= !fits;
        }
        Ok(pages)
    }

    /// Writes all that is known of a restored peer at once: on a connection it asks page by page, but
    /// here every question is a journey. The peer takes each page as the answer to its next question.
    fn put_pages(&self, frame: &[u8], writer: &mut Writer, told: &mut Told) -> Result<bool, Refusal> {
        let Some(bytes) = recovery::asks(frame) else { return Ok(false) };
        let Ok(message) = self.decide(|o| Message::open(&bytes, o.me, o.members, o.trial, o.now)) else {
            return Ok(false);
        };
        let Content::Recovering { since, after } = message.content.clone() else { return Ok(false) };
        if self.check_life(&message.from, message.life)?.is_some() {
            return Ok(false);
        }
        let mut after = after;
        for _ in 0..PAGES_MAX {
            let page = self.act(|office| {
                let decision = tell::answer(office, self, self.vault(), &message, since, &after)?;
                let page = decision.batch.put.iter().filter_map(|put| OutboxEntry::decode(put.value()?).ok());
                let mut page = page.filter_map(|entry| {
                    let read = Message::parse_own(&entry.message).ok()?;
                    matches!(read.content, Content::Known { .. }).then_some((entry.message, read.content))
                });
                let page = page.next().ok_or(DecideError::Rule("store-damaged"))?;
                Ok((decision.batch, page))
            })?;
            let (bytes, Content::Known { next, .. }) = page else { return Ok(true) };
            if !writer.put(&Item::Request(Frame::Message(bytes).encode())) {
                told.more = true;
                return Ok(true);
            }
            told.messages += 1;
            match next {
                Some(next) if next > after => after = next,
                _ => return Ok(true),
            }
        }
        told.more = true;
        Ok(true)
    }

    fn put_messages(
        &self,
        to: &NodeName,
        pages: bool,
        writer: &mut Writer,
        told: &mut Told,
    ) -> Result<(), Refusal> {
        let waiting = self.sayable(to)?;
        if waiting.len() >= OUTBOX_ROWS {
            writer.leave_out();
        }
        for (key, mut entry) in waiting {
            self.resign(&key, &mut entry)?;
            let known = || {
                let read = Message::parse_own(&entry.message);
                read.is_ok_and(|m| matches!(m.content, Content::Known { .. }))
            };
            // The last of the pages that stand before it.
            if pages && known() {
                continue;
            }
            let fits = writer.put(&Item::Request(Frame::Message(entry.message).encode()));
            told.messages += usize::from(fits);
            if !fits {
                writer.leave_out();
            }
        }
        Ok(())
    }

    /// Questions for changes, and what a copy still lacks.
    fn put_questions(&self, to: &NodeName, writer: &mut Writer, told: &mut Told) -> Result<(), Refusal> {
        let questions = self.questions(to)?.into_values().map(|(frame, _)| Item::Request(frame));
        let copying = live(self)?
            .into_iter()
            .filter(|t| t.side == Side::Taking && t.peer == *to && matches!(t.stage, Stage::Copying));
        let pulls: Vec<Item> = copying
            .map(|t| Ok(Item::Pull(self.pull_message(&t, t.have)?)))
            .collect::<Result<_, Refusal>>()?;
        for item in questions.chain(pulls) {
            let fits = writer.put(&item);
            told.messages += usize::from(fits);
            if !fits {
                writer.leave_out();
            }
        }
        Ok(())
    }

    /// Parts of what the peer copies: from where it asked, and from the start what was offered to it and
    /// not yet asked for, which saves a journey.
    fn put_parts(
        &self,
        rows: &Rows,
        to: &NodeName,
        writer: &mut Writer,
        told: &mut Told,
    ) -> Result<(), Refusal> {
        let mut wanted: Vec<(Transfer, u64)> = Vec::new();
        for row in rows.values() {
            if let Kept::Pull(message) = &row.kept
                && let Ok((transfer, from)) = self.judge_pull(to, message)
                // Of two pulls of one transfer the later one lacks less.
                && !wanted.iter().any(|(t, at)| t.id == transfer.id && *at >= from)
            {
                wanted.retain(|(t, _)| t.id != transfer.id);
                wanted.push((transfer, from));
            }
        }
        for transfer in live(self)? {
            let offered = transfer.side == Side::Giving && transfer.stage == Stage::Offered;
            if offered && transfer.peer == *to && !wanted.iter().any(|(t, _)| t.id == transfer.id) {
                wanted.push((transfer, 0));
            }
        }
        for (transfer, from) in wanted {
            self.put_dossier(&transfer, from, writer, told)?;
        }
        Ok(())
    }

    fn put_dossier(
        &self,
        transfer: &Transfer,
        from: u64,
        writer: &mut Writer,
        told: &mut Told,
    ) -> Result<(), Refusal> {
        let mut part = Part { transfer: transfer.id, from, statements: Vec::new(), bytes: 0 };
        let mut at = from;
        while at < transfer.count && writer.room() > PART_ROOM {
            let limit = BULK_ROWS.min((transfer.count - at) as usize);
            let rows = ledger::chain(self, transfer.dossier, at, limit)?;
            if rows.is_empty() {
                return Err(Refusal::new("store-damaged").with("cause", "chain ends early"));
            }
            at += rows.len() as u64;
            for row in rows {
                part.add(row, writer, told);
            }
        }
        told.more |= at < transfer.count;
        // An empty part tells that nothing is lacking.
        if part.bytes > 0 || from >= transfer.count {
            part.write(writer, told);
        }
        Ok(())
    }
}

/// A part that grows.
struct Part {
    transfer: TransferId,
    from: u64,
    statements: Vec<Vec<u8>>,
    bytes: usize,
}

impl Part {
    fn add(&mut self, statement: Vec<u8>, writer: &mut Writer, told: &mut Told) {
        self.bytes += statement.len();
        self.statements.push(statement);
        if self.bytes >= PART_BYTES {
            self.write(writer, told);
        }
    }

    fn write(&mut self, writer: &mut Writer, told: &mut Told) {
        let statements = std::mem::take(&mut self.statements);
        let count = statements.len() as u64;
        let item = Item::Part { transfer: self.transfer, from: self.from, statements };
        // Another part of the same piece may not fit: the peer pulls from where its copy ends.
        if writer.put(&item) {
            told.statements += count;
        } else {
            told.more = true;
        }
        (self.from, self.bytes) = (self.from + count, 0);
    }
}
