//! What this node does with the requests of its peers: the network's service.
//!
//! The connection proves nothing: messages are signed and opened here; a refusal is logged with
//! the peer and counted.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use libp2p::PeerId;
use yunling_protocol::card::SignedCard;
use yunling_protocol::cbor::CborError;
use yunling_protocol::custody::record::Loaded;
use yunling_protocol::custody::{Side, Stage, giving, takeover, taking};
use yunling_protocol::delivery;
use yunling_protocol::ledger;
use yunling_protocol::message::{Answer, Content, Frame, Hello, Message, SPEAKS_ROSTERS};
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{DecideError, secrets_key};
use yunling_protocol::recovery::{learn, rejoin, tell};
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Batch, Expect, Put, Read as _};

use super::volunteers::person_key;
use super::{Node, Refusal};
use crate::clock::fresh;
use crate::net::{BulkSource, Service, SourceStopped};
use crate::person::Person;

/// Statements read from the store for one piece of a bulk stream.
pub(super) const BULK_ROWS: usize = 128;

/// The network's service over an office.
#[derive(Debug, Clone)]
pub struct Exchange(pub Arc<Node>);

impl Service for Exchange {
    fn answer(&self, from: PeerId, request: Vec<u8>) -> BoxFuture<'static, Vec<u8>> {
        let node = self.0.clone();
        async move {
            if !node.mirrors(from, &request).await {
                return Answer::Busy.encode();
            }
            let answered = tokio::task::spawn_blocking(move || node.answer(from, &request)).await;
            answered.unwrap_or(Answer::Refused("internal".into())).encode()
        }
        .boxed()
    }

    fn bulk(&self, from: PeerId, request: Vec<u8>) -> BoxFuture<'static, Result<BulkSource, Vec<u8>>> {
        let node = self.0.clone();
        async move {
            let opened = {
                let node = node.clone();
                tokio::task::spawn_blocking(move || node.open_pull(from, &request)).await
            };
            match opened {
                Ok(Ok((transfer, start))) => Ok(pull_source(node, transfer, start)),
                Ok(Err(code)) => Err(code.into_bytes()),
                Err(_) => Err(b"internal".to_vec()),
            }
        }
        .boxed()
    }

    fn notice(&self, from: PeerId, notice: Vec<u8>) -> BoxFuture<'static, ()> {
        let node = self.0.clone();
        async move {
            // It checks a signature and may sync to the disk. A panic is the network's to tell.
            let heard = tokio::task::spawn_blocking(move || node.hear_notice(from, &notice)).await;
            if let Err(stopped) = heard {
                tracing::error!(cause = %stopped, "an announcement was not judged");
            }
        }
        .boxed()
    }

    fn cut_off(&self, from: PeerId, over_rate: u64, bad: u64, length: Duration) {
        let name = self.0.member_of(from).map_or_else(|| from.to_string(), |name| name.to_string());
        let seconds = length.as_secs();
        tracing::warn!(peer = name, over_rate, bad, seconds, "office cut off: its node floods this one");
        self.0.count("peers_cut");
    }
}

fn pull_source(node: Arc<Node>, transfer: yunling_protocol::custody::Transfer, start: u64) -> BulkSource {
    let stream = futures::stream::try_unfold((node, transfer, start), |(node, transfer, at)| async move {
        if at >= transfer.count {
            return Ok(None);
        }
        let limit = BULK_ROWS.min((transfer.count - at) as usize);
        let dossier = transfer.dossier;
        let reader = node.clone();
        let rows =
            tokio::task::spawn_blocking(move || ledger::chain(reader.as_ref(), dossier, at, limit)).await;
        let rows =
            rows.map_err(|e| SourceStopped(e.to_string()))?.map_err(|e| SourceStopped(e.to_string()))?;
        if rows.is_empty() {
            return Err(SourceStopped("chain ends early".into()));
        }
        let next = at + rows.len() as u64;
        Ok(Some((futures::stream::iter(rows.into_iter().map(Ok)), (node, transfer, next))))
    });
    BulkSource::new(futures::TryStreamExt::try_flatten(stream))
}

impl Node {
    fn refuse_peer(&self, from: &str, code: &str) -> Answer {
        tracing::warn!(peer = from, code, "request refused");
        self.count("requests_refused");
        Answer::Refused(code.to_owned())
    }

    fn or_refuse(&self, from: &NodeName, answer: Result<Answer, Refusal>) -> Answer {
        answer.unwrap_or_else(|refusal| self.refuse_peer(from.as_str(), &refusal.code))
    }

    /// Answers one request frame.
    pub fn answer(&self, from: PeerId, request: &[u8]) -> Answer {
        match (Frame::decode(request), self.member_of(from)) {
            (Ok(Frame::Pairing(pairing)), _) => {
                let answer = self.answer_pairing(from, &pairing);
                answer.unwrap_or_else(|e| self.refuse_peer(&from.to_string(), &e.code))
            }
            (frame, Some(name)) => self.answer_frame(&name, frame),
            (_, None) => self.refuse_peer(&from.to_string(), "peer-unknown"),
        }
    }

    /// Answers one request frame that `name` sent, on a connection or in a courier file.
    pub(super) fn answer_frame(&self, name: &NodeName, frame: Result<Frame, CborError>) -> Answer {
        match frame {
            Err(_) => self.refuse_peer(name.as_str(), "frame-encoding"),
            Ok(Frame::Hello(hello)) => self.answer_hello(name, &hello),
            Ok(Frame::Message(bytes)) => self.answer_message(name.as_str(), &bytes),
            // The record is shown on a connection: who holds the transport key counts.
            Ok(Frame::Pairing(_)) => self.refuse_peer(name.as_str(), "frame-unexpected"),
            Ok(Frame::LogFile { generation, path, of }) => match self.log_file_of(of, generation, &path) {
                Ok(Some(served)) => Answer::LogFile(served.bytes),
                Ok(None) => Answer::Refused("log-file-unknown".into()),
                Err(refusal) => self.refuse_peer(name.as_str(), &refusal.code),
            },
            Ok(Frame::AddCheckpoint(body)) => match self.witness(&body) {
                Ok(judged) => {
                    let status = u64::from(judged.status());
                    Answer::Witnessed { status, body: judged.body().into_bytes() }
                }
                Err(refusal) => self.refuse_peer(name.as_str(), &refusal.code),
            },
            Ok(Frame::Checkpoint(note)) => self.or_refuse(name, self.answer_checkpoint(&note)),
            Ok(Frame::Inclusions(ids)) => self.or_refuse(name, self.answer_inclusions(&ids)),
            Ok(Frame::Evidence(hash)) => self.or_refuse(name, self.answer_evidence(&hash)),
            // A roster is believed by its signatures; every member may have it.
            Ok(Frame::Roster { have }) => self.answer_roster(have),
            Ok(Frame::Changes { dossier, shown }) => {
                let answer = self.decide(|office| delivery::changes(office, self, dossier, shown));
                answer.unwrap_or_else(|e| self.refuse_peer(name.as_str(), e.code()))
            }
            Ok(Frame::Status(ask)) => match self.answer_status(&ask) {
                Ok(answer) => Answer::Status(answer),
                Err(refusal) => self.refuse_peer(name.as_str(), &refusal.code),
            },
        }
    }

    /// Own hello.
    pub(crate) fn hello(&self) -> Result<Hello, Refusal> {
        let card = self.card()?;
        Ok(Hello {
            card: card.bytes().to_vec(),
            life: self.life(),
            version: SPEAKS_ROSTERS,
            clock: self.home.clock.now().0,
            roster: self.roster_version(),
        })
    }

    fn answer_hello(&self, name: &NodeName, hello: &Hello) -> Answer {
        // Before the card is judged: new keys of this peer may stand in what it has.
        self.hear_roster(name, hello.roster);
        let shown = match SignedCard::parse(&hello.card) {
            Ok(card) if card.card.name == *name => card,
            _ => return self.refuse_peer(name.as_str(), "card-signature"),
        };
        if let Err(error) = self.note_peer(&shown) {
            return self.refuse_peer(name.as_str(), &error.code);
        }
        let speaks = hello.version;
        match self.hello() {
            Ok(hello) if speaks < SPEAKS_ROSTERS => Answer::Hello(Hello { roster: 0, ..hello }),
            Ok(hello) => Answer::Hello(hello),
            Err(error) => Answer::Refused(error.code),
        }
    }

    /// Answers a signed message that `bearer` brought; who signed it is what counts.
    pub fn answer_message(&self, bearer: &str, bytes: &[u8]) -> Answer {
        let opened = self.decide(|o| Message::open(bytes, o.me, o.members, o.trial, o.now));
        let message = match opened {
            Ok(message) => message,
            Err(error) => return self.refuse_peer(bearer, error.code()),
        };
        let from = message.from.to_string();
        let life = if message.from == self.home.name {
            Ok(None)
        } else {
            self.check_life(&message.from, message.life)
        };
        match life {
            // What follows is decided under the life that was just stored.
            Ok(None) => {}
            Ok(Some(seen)) => {
                tracing::warn!(peer = from, "message of a stale life");
                self.count("stale_lives");
                return Answer::Stale { seen };
            }
            Err(error) => return self.refuse_peer(&from, &error.code),
        }
        if self.shut_out(&message.from, &message.content) {
            return self.refuse_peer(&from, "node-exposed");
        }
        match self.take_message(&message) {
            Ok(Answer::Refused(code)) => self.refuse_peer(&from, &code),
            Ok(answer) => {
                tracing::debug!(peer = from, kind = message.content.word(), "message answered");
                answer
            }
            Err(error) => self.refuse_peer(&from, &error.code),
        }
    }

    fn take_message(&self, message: &Message) -> Result<Answer, Refusal> {
        let mut fresh = fresh();
        match &message.content {
            Content::Recovering { since, after } => {
                tracing::info!(peer = %message.from, "a restored peer asks what it forgot");
                self.act_decision(|o| tell::answer(o, self, self.vault(), message, *since, after))
            }
            Content::Known { items, next, .. } => {
                let answer =
                    self.act_decision(|o| learn::take(o, self, self.vault(), &mut fresh, message))?;
                let (told, last) = (items.len(), next.is_none());
                tracing::info!(peer = %message.from, told, last, "a peer told what it knows");
                self.look_at_fence()?;
                Ok(answer)
            }
            Content::Rejoin { since } => {
                tracing::info!(peer = %message.from, "a restored peer asks what is witnessed here of it");
                self.act_decision(|o| rejoin::vouch(o, self, message, *since))
            }
            Content::Vouch { roster, .. } => {
                self.hear_roster(&message.from, *roster);
                self.act_decision(|o| rejoin::take(o, self, message))
            }
            Content::Deliver { statement } => {
                self.act_decision(|o| delivery::receive(o, self, &mut fresh, message, statement))
            }
            Content::Request { .. } | Content::Accept { .. } | Content::Done { .. } => {
                self.act_decision(|o| giving::receive(o, self, self.vault(), &mut fresh, message))
            }
            Content::Offer { .. } | Content::Refuse { .. } => {
                self.act_decision(|o| taking::receive(o, self, self.vault(), &mut fresh, message))
            }
            Content::Release { .. } => {
                self.install_copy(message)?;
                self.act_decision(|o| {
                    let mut decision = taking::receive(o, self, self.vault(), &mut fresh, message)?;
                    self.index_person(message, &mut decision.batch)
                        .map_err(|_| DecideError::Rule("store-damaged"))?;
                    Ok(decision)
                })
            }
            Content::Cancel { .. } => match Loaded::by_id(self, message.transfer)?.map(|l| l.transfer.side) {
                None => Ok(Answer::Refused("transfer-unknown".into())),
                Some(Side::Giving) => {
                    self.act_decision(|o| giving::receive(o, self, self.vault(), &mut fresh, message))
                }
                Some(Side::Taking) => {
                    self.act_decision(|o| taking::receive(o, self, self.vault(), &mut fresh, message))
                }
            },
            Content::Notice { old, .. } => {
                tracing::info!(peer = %message.from, dossier = %message.dossier, %old, "notice of a takeover");
                self.act_decision(|o| takeover::noticed(o, self, message))
            }
            Content::Pull { .. } => Ok(Answer::Refused("message-unexpected".into())),
        }
    }

    /// Adds the person of a promoted dossier to the index, so that the new office finds them by
    /// number. A person registered here before keeps the first dossier until both are linked.
    fn index_person(&self, message: &Message, batch: &mut Batch) -> Result<(), Refusal> {
        let Content::Release { profile: Some(profile), .. } = &message.content else { return Ok(()) };
        let secrets = secrets_key(message.dossier);
        if !batch.put.iter().any(|put| *put.key() == secrets) {
            return Ok(());
        }
        let Some(number) = Person::decode(profile).ok().and_then(|p| p.citizen_id) else { return Ok(()) };
        let index = person_key(self, &number);
        if self.get(index.table, &index.key)?.is_none() {
            batch.expect.push(Expect::Absent(index.clone()));
            batch.put.push(Put::Set(index, message.dossier.0.to_vec()));
        }
        Ok(())
    }

    /// Writes the checked copy where the ledger keeps it, invisible until the promotion.
    fn install_copy(&self, message: &Message) -> Result<(), Refusal> {
        let Some(loaded) = Loaded::by_id(self, message.transfer)? else { return Ok(()) };
        let transfer = loaded.transfer;
        if !self.decide(|office| taking::may_install(office, &transfer, message)) {
            return Ok(());
        }
        let staged = taking::staged(self, &transfer)?;
        let statements: Result<Vec<_>, _> = staged.iter().map(|b| Statement::parse(b)).collect();
        let statements = statements.map_err(|e| DecideError::Rule(e.code()))?;
        for batch in taking::install(transfer.dossier, &statements) {
            self.commit(batch)?;
        }
        Ok(())
    }

    fn open_pull(
        &self,
        from: PeerId,
        request: &[u8],
    ) -> Result<(yunling_protocol::custody::Transfer, u64), String> {
        let name = self.member_of(from).ok_or("peer-unknown")?;
        self.judge_pull(&name, request)
    }

    /// Checks a pull that `name` sent, on a connection or in a courier file, and says what may be read.
    pub(super) fn judge_pull(
        &self,
        name: &NodeName,
        request: &[u8],
    ) -> Result<(yunling_protocol::custody::Transfer, u64), String> {
        if self.fenced() {
            return Err("fenced".into());
        }
        let opened = self.decide(|o| Message::open(request, o.me, o.members, o.trial, o.now));
        let message = opened.map_err(|e| e.code().to_owned())?;
        let Content::Pull { from: start } = message.content else { return Err("message-unexpected".into()) };
        if message.from != *name {
            return Err("message-not-for-me".into());
        }
        let loaded = Loaded::by_id(self, message.transfer).map_err(|e| e.code().to_owned())?;
        let transfer = loaded.ok_or("transfer-unknown")?.transfer;
        // Completed here, and yet asked for again by a restored peer, while it is still whole.
        let open = matches!(transfer.stage, Stage::Offered | Stage::Sealed | Stage::Completed);
        if transfer.side != Side::Giving
            || transfer.peer != *name
            || !open
            || transfer.dossier != message.dossier
        {
            return Err("transfer-not-now".into());
        }
        Ok((transfer, start))
    }
}
