//! Status lists at this node: its own made at their hours, those of its peers kept for verifiers
//! offline, both given to any peer that asks.
//!
//! What is published is durable first. Where a node has a log, the entry `[4, digest]` of a new list
//! belongs into the batch that stores it: [`Node::publish_lists`] is the one place.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yunling_protocol::id::StatementId;
use yunling_protocol::key::Role;
use yunling_protocol::log::{self, Entry};
use yunling_protocol::message::status::ANSWER_TOKENS_BYTES_MAX;
use yunling_protocol::message::{Answer, Frame, StatusAnswer, StatusAsk};
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::{self, live, rows};
use yunling_protocol::statement::id_of;
use yunling_protocol::status::publish::{self, Published};
use yunling_protocol::status::schedule::last_fixed;
use yunling_protocol::status::stored::{self, LISTS_OF_ONE_MAX, StoredList};
use yunling_protocol::status::{StatusError, StatusRef, StatusToken};
use yunling_protocol::store::CommitError;

use super::{CONFLICT_TRIES_MAX, Node, Refusal, peers};

/// How often it is looked whether a list is due or a peer is to be asked.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// How long after a peer's lists came they are asked for again: half a day, as long as a list is told
/// to be kept.
const ASK_AGAIN: Duration = Duration::from_hours(12);
/// Pause after a peer did not answer.
const ASK_PAUSE: Duration = Duration::from_mins(5);
/// Longest a question may take, dialling included.
const ASK_TIMEOUT: Duration = Duration::from_secs(15);
/// Questions to one peer about the lists of one node: an answer holds at least three lists.
const ROUNDS_MAX: usize = LISTS_OF_ONE_MAX;

/// When each peer is asked again.
#[derive(Debug, Default)]
pub struct Asked(BTreeMap<NodeName, Instant>);

/// What came of asking for lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Lists that were newer and are kept now.
    pub taken: usize,
    /// Lists that were refused: another's signature, damaged, dated in the future.
    pub refused: usize,
}

/// Makes lists and asks for those of others, until the node stops.
pub async fn keep(node: Arc<Node>) {
    loop {
        let maker = node.clone();
        if let Ok(Err(refusal)) = tokio::task::spawn_blocking(move || maker.publish_lists()).await {
            tracing::warn!(code = refusal.code, "no status list was made");
        }
        node.clone().fetch_due().await;
        tokio::select! {
            () = node.status_wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

impl Node {
    /// Makes every own list that is due; how many were.
    pub fn publish_lists(&self) -> Result<usize, Refusal> {
        let signer = self.signer_of(Role::Status)?;
        let hours = &self.home.config.proof.list_hours;
        let mut made = 0;
        for (uri, own) in self.decide(|office| publish::addresses(office, self))? {
            for _ in 0..CONFLICT_TRIES_MAX {
                let due = self.decide(|o| publish::publish(o, self, &*signer, hours, &uri, own.as_ref()))?;
                let Some(Published { mut batch, token }) = due else { break };
                log::rows::wait(&mut batch, &Entry::StatusList(token.digest()));
                match self.commit(batch) {
                    Ok(()) => {
                        made += 1;
                        self.count("status_lists");
                        tracing::info!(uri, bytes = token.bytes().len(), "status list made");
                        break;
                    }
                    Err(CommitError::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(made)
    }

    /// The newest token of an own list, and the seconds it may be kept; for who serves it over HTTP.
    /// `None`: there is no list with this address.
    pub fn own_status_list(&self, uri: &str) -> Result<Option<(Vec<u8>, u64)>, Refusal> {
        let Some((list, _)) = stored::stored_list(self, &self.home.name, uri)? else { return Ok(None) };
        let ttl = yunling_protocol::status::TTL_SECONDS;
        Ok(stored::token_bytes(self, &list)?.map(|token| (token, ttl)))
    }

    /// The addresses of the own lists: the aggregation that lets verifiers fetch all of them.
    pub fn own_status_uris(&self) -> Result<Vec<String>, Refusal> {
        let lists = stored::stored_lists(self, Some(&self.home.name))?;
        Ok(lists.into_iter().map(|list| list.uri).collect())
    }

    /// Every stored list of nodes that are known here.
    pub(super) fn known_lists(&self) -> Result<Vec<StoredList>, Refusal> {
        let members = self.members();
        let mut lists = stored::stored_lists(self, None)?;
        lists.retain(|list| members.get(&list.issuer).is_some());
        Ok(lists)
    }

    /// Verifies a list and keeps it when it is newer than the one here. Whether it was.
    pub(super) fn take_list(&self, bytes: &[u8]) -> Result<bool, Refusal> {
        let refuse = |e: StatusError| Refusal::new(e.code()).with("cause", &e);
        let token = StatusToken::parse(bytes).map_err(refuse)?;
        let now = self.home.clock.now();
        let issuer = token.heading.issuer.clone();
        let mut checked = yunling_protocol::status::StatusLists::default();
        checked.add(token.clone(), &self.members(), now).map_err(|e| refuse(e).with("issuer", &issuer))?;
        for _ in 0..CONFLICT_TRIES_MAX {
            let Some(batch) = stored::store(self, &token, now)? else { return Ok(false) };
            match self.commit(batch) {
                Ok(()) => return Ok(true),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::new("store-conflict").with("tries", CONFLICT_TRIES_MAX))
    }

    /// Answers a question about lists. Any node that is let in may ask about any node: lists are public.
    pub(super) fn answer_status(&self, ask: &StatusAsk) -> Result<StatusAnswer, Refusal> {
        let mut answer = StatusAnswer::default();
        let mut bytes = 0;
        for list in stored::stored_lists(self, Some(&ask.issuer))? {
            let had = ask.have.iter().any(|(uri, made)| *uri == list.uri && *made >= list.issued);
            if had || bytes + list.bytes > ANSWER_TOKENS_BYTES_MAX {
                continue;
            }
            if let Some(token) = stored::token_bytes(self, &list)? {
                bytes += token.len();
                answer.tokens.push(token);
            }
        }
        if let Some((place, hash)) = ask.shown.as_ref().filter(|_| ask.issuer == self.home.name) {
            answer.moved = self.moved_proof(place, *hash)?;
        }
        Ok(answer)
    }

    /// Where the record of a superseded own proof went, once the published list says that it did.
    fn moved_proof(
        &self,
        place: &StatusRef,
        hash: StatementId,
    ) -> Result<Option<(yunling_protocol::day::UnixTime, NodeName)>, Refusal> {
        let lists = rows::own_lists(self)?;
        let Some(list) = lists.into_iter().find(|list| list.uri == place.uri) else { return Ok(None) };
        let shown_since = last_fixed(self.home.clock.now(), &self.home.config.proof.list_hours);
        let place = rows::Place { list: list.number, index: place.index };
        Ok(live::moved_to(self, place, hash, shown_since)?)
    }

    /// Asks the peers that are due for their lists; a restored node also for what they keep of its own.
    async fn fetch_due(self: Arc<Self>) {
        if self.net().is_none() {
            return;
        }
        let due: Vec<NodeName> = {
            let members = self.members();
            let mut asked = self.status_asked.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let active = members.iter().filter(|m| m.removed_at.is_none()).map(|m| &m.card.card.name);
            let due: Vec<_> = active
                .filter(|name| **name != self.home.name)
                .filter(|name| asked.0.get(*name).is_none_or(|after| now >= *after))
                .cloned()
                .collect();
            asked.0.extend(due.iter().map(|name| (name.clone(), now + ASK_PAUSE)));
            due
        };
        let asks = due.into_iter().map(|name| {
            let node = self.clone();
            async move {
                if node.fetch_lists(&name, &name).await.is_err() {
                    return;
                }
                if node.life().generation > super::FIRST_GENERATION {
                    let _ = node.fetch_lists(&name, &node.home.name).await;
                }
                let mut asked = node.status_asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.0.insert(name, Instant::now() + ASK_AGAIN);
            }
        });
        futures::future::join_all(asks).await;
    }

    /// Brings the lists of `issuer` here: from itself, else from whoever of the peers keeps them.
    pub(super) async fn fetch_of(self: &Arc<Self>, issuer: &NodeName) -> Fetched {
        if *issuer == self.home.name {
            return Fetched::default();
        }
        if let Ok(fetched) = self.fetch_lists(issuer, issuer).await {
            return fetched;
        }
        let members = self.members();
        let others = members.iter().filter(|m| m.removed_at.is_none()).map(|m| &m.card.card.name);
        for from in others.filter(|name| **name != *issuer && **name != self.home.name) {
            if let Ok(fetched) = self.fetch_lists(from, issuer).await
                && fetched.taken > 0
            {
                return fetched;
            }
        }
        Fetched::default()
    }

    /// Asks `from` for the lists of `issuer` until it has no newer one.
    async fn fetch_lists(
        self: &Arc<Self>,
        from: &NodeName,
        issuer: &NodeName,
    ) -> Result<Fetched, (&'static str, String)> {
        let mut fetched = Fetched::default();
        for _ in 0..ROUNDS_MAX {
            let have = self.lists_of(issuer)?;
            let ask = StatusAsk { issuer: issuer.clone(), have, shown: None };
            let answer = self.ask_status(from, ask).await?;
            let before = fetched.taken;
            for token in answer.tokens {
                let node = self.clone();
                match tokio::task::spawn_blocking(move || node.take_list(&token)).await {
                    Ok(Ok(true)) => fetched.taken += 1,
                    Ok(Ok(false)) => {}
                    Ok(Err(refusal)) => {
                        fetched.refused += 1;
                        tracing::warn!(peer = %from, code = refusal.code, "status list refused");
                        self.count("status_lists_refused");
                    }
                    Err(stopped) => return Err(("internal", stopped.to_string())),
                }
            }
            if fetched.taken == before {
                break;
            }
        }
        if fetched.taken > 0 && *issuer == self.home.name {
            // What others saw of the own lists is shown again with the next one.
            self.status_wake.notify_one();
        }
        Ok(fetched)
    }

    /// The lists of a node that are here, as a question names them.
    fn lists_of(
        &self,
        issuer: &NodeName,
    ) -> Result<Vec<(String, yunling_protocol::day::UnixTime)>, (&'static str, String)> {
        let lists = stored::stored_lists(self, Some(issuer)).map_err(|e| (e.code(), e.to_string()))?;
        Ok(lists.into_iter().map(|list| (list.uri, list.issued)).take(LISTS_OF_ONE_MAX).collect())
    }

    async fn ask_status(
        &self,
        from: &NodeName,
        ask: StatusAsk,
    ) -> Result<StatusAnswer, (&'static str, String)> {
        let net = self.net().ok_or_else(|| ("net-down", String::new()))?;
        let members = self.members();
        let member = members.get(from).filter(|m| m.removed_at.is_none());
        let peer = member.and_then(|m| peers::peer_id(&m.card));
        let peer = peer.ok_or_else(|| ("peer-unknown", from.to_string()))?;
        let answer = net.request(peer, Frame::Status(ask).encode(), ASK_TIMEOUT).await;
        let answer = answer.map_err(|e| (e.code(), e.to_string()))?;
        match Answer::decode(&answer) {
            Ok(Answer::Status(answer)) => Ok(answer),
            Ok(Answer::Refused(code)) => Err(("peer-refused", code)),
            _ => Err(("net-malformed", "no status answer came back".to_owned())),
        }
    }

    /// What this node can find out about a proof that somebody shows: its issuer's newest lists, and,
    /// where its record moved, when and to whom. The pack is what `proof verify` reads.
    pub async fn ask_about_proof(self: &Arc<Self>, request: Value) -> Result<Value, Refusal> {
        let text = request.get("proof").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let mut moved = None;
        // Of a text that is no proof the verifier says so itself.
        if let Ok(claims) = proof::claims_of(&text)
            && let Some(place) = claims.status
        {
            let (issuer, hash) = (claims.issuer, id_of(text.as_bytes()));
            if issuer == self.home.name {
                moved = self.moved_proof(&place, hash)?;
            } else {
                self.fetch_of(&issuer).await;
                let have = self.lists_of(&issuer).unwrap_or_default();
                let ask = StatusAsk { issuer: issuer.clone(), have, shown: Some((place, hash)) };
                // Nobody else may say where it went; without its answer the issuer is who to ask.
                moved = self.ask_status(&issuer, ask).await.ok().and_then(|answer| answer.moved);
            }
        }
        let pack = self.trust_pack()?;
        Ok(json!({
            "pack": data_encoding::BASE64.encode(&pack.encode()),
            "moved": moved.map(|(at, to)| json!({ "at": at.day().to_string(), "to": to.to_string() })),
        }))
    }
}
