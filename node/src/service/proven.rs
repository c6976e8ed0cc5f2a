//! Places of others' statements in their issuers' logs. Delivery does not wait for a witness: once the quorum
//! has cosigned, the custodian asks the issuer for the proof and keeps it beside the statement. A statement
//! without one for 30 days is shown as *unwitnessed* and blocks nothing (DESIGN §7).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yunling_protocol::id::{DossierId, DossierKey, StatementId};
use yunling_protocol::ledger::{self, set};
use yunling_protocol::log::rows::{self, Awaited};
use yunling_protocol::log::tlog_proof::TlogProof;
use yunling_protocol::message::wire::INCLUSIONS_MAX;
use yunling_protocol::message::{Answer, Frame};
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{Vault as _, secrets_key};
use yunling_protocol::roster::SignedTime;
use yunling_protocol::statement::{Body, Statement};
use yunling_protocol::store::{Batch, Key, Put, Read as _, Table};

use super::log::Inclusion;
use super::{Node, Refusal};

/// How often the task looks for an issuer to ask.
const LOOK: Duration = Duration::from_secs(5);
/// First pause after a round that brought nothing, and the longest: witnesses are asked once a minute, and one
/// that is away comes back within hours.
const PAUSE_FIRST: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Statements counted for the figures; beyond it the exact number tells nobody more.
const FIGURES_MAX: usize = 4_000;

/// When each issuer is asked again, and from which key on; in memory.
#[derive(Debug, Default)]
pub(crate) struct Asking(BTreeMap<NodeName, Turn>);

#[derive(Debug, Clone, Default)]
struct Turn {
    after: Option<Instant>,
    pause: Option<Duration>,
    cursor: Option<Vec<u8>>,
}

impl Node {
    /// The places that this node can show of the statements asked for: in its own logs, or kept beside others'.
    pub(super) fn answer_inclusions(&self, ids: &[StatementId]) -> Result<Answer, Refusal> {
        let proofs = ids.iter().map(|id| Ok(self.shown_place(id)?.unwrap_or_default()));
        Ok(Answer::Inclusions(proofs.collect::<Result<_, Refusal>>()?))
    }

    fn shown_place(&self, id: &StatementId) -> Result<Option<Vec<u8>>, Refusal> {
        let key = rows::inclusion_key(&id.0);
        if let Some(kept) = self.get(key.table, &key.key)? {
            return Ok(Some(kept));
        }
        let Some(place) = self.place(&id.0)? else { return Ok(None) };
        let Some(note) = self.cosigned_over(place.generation, place.index)? else { return Ok(None) };
        let Some((_, inclusion)) = self.inclusion(&id.0, Some(&note))? else { return Ok(None) };
        let Inclusion { index, path, note } = inclusion;
        Ok(Some(TlogProof { extra: None, index, path, checkpoint: note }.render().into_bytes()))
    }

    /// Runs until the node stops.
    pub(crate) async fn keep_proven(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.fenced() {
                continue;
            }
            let members = self.members();
            let issuers = members.iter().map(|member| &member.card.card.name);
            let issuers: Vec<_> = issuers.filter(|name| members.has_quorum(name)).cloned().collect();
            for issuer in issuers {
                if let Err(refusal) = self.clone().ask_places(&issuer).await {
                    tracing::warn!(peer = %issuer, code = refusal.code, "places in a log were not asked for");
                }
            }
        }
    }

    /// Asks for the places of some statements of an issuer: the issuer itself, then who had the dossier before.
    async fn ask_places(self: Arc<Self>, issuer: &NodeName) -> Result<(), Refusal> {
        let (node, name) = (self.clone(), issuer.clone());
        let awaited = tokio::task::spawn_blocking(move || node.due_places(&name)).await;
        let awaited = awaited.map_err(|e| Refusal::new("internal").with("cause", e))??;
        if awaited.is_empty() {
            return Ok(());
        }
        let asked = awaited.len();
        let mut left = self.clone().ask_for(issuer, issuer, awaited).await?;
        let mut givers: BTreeMap<NodeName, Vec<(StatementId, Awaited)>> = BTreeMap::new();
        for one in std::mem::take(&mut left) {
            let (node, dossier) = (self.clone(), one.1.dossier);
            // A fold may be read from the disk.
            let giver = tokio::task::spawn_blocking(move || node.giver(dossier)).await.ok().flatten();
            match giver.filter(|giver| giver != issuer) {
                Some(giver) => givers.entry(giver).or_default().push(one),
                None => left.push(one),
            }
        }
        for (giver, some) in givers {
            left.extend(self.clone().ask_for(&giver, issuer, some).await?);
        }
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = asking.0.entry(issuer.clone()).or_default();
        let pause = match turn.pause {
            _ if left.len() < asked => PAUSE_FIRST,
            Some(pause) => pause.saturating_mul(2).min(PAUSE_MAX),
            None => PAUSE_FIRST,
        };
        turn.pause = Some(pause);
        turn.after = (left.len() == asked || asked < INCLUSIONS_MAX).then(|| Instant::now() + pause);
        Ok(())
    }

    /// The next statements of an issuer whose places are awaited, when its turn has come.
    fn due_places(&self, issuer: &NodeName) -> Result<Vec<(StatementId, Awaited)>, Refusal> {
        let turn = {
            let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            asking.0.get(issuer).cloned().unwrap_or_default()
        };
        if turn.after.is_some_and(|after| Instant::now() < after) {
            return Ok(Vec::new());
        }
        let prefix = rows::awaited_prefix(issuer);
        let mut page = self.scan(Table::Log, &prefix, turn.cursor.as_deref(), INCLUSIONS_MAX)?;
        if page.is_empty() && turn.cursor.is_some() {
            page = self.scan(Table::Log, &prefix, None, INCLUSIONS_MAX)?;
        }
        let cursor = page.last().map(|(key, _)| key.clone());
        self.asking
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .entry(issuer.clone())
            .or_default()
            .cursor = cursor;
        let (mut awaited, mut batch) = (Vec::new(), Batch::default());
        for (key, value) in page {
            let read = key.last_chunk::<32>().map(|id| StatementId(*id)).zip(Awaited::decode(&value));
            // Destroyed since, or shown by an earlier copy of the same statement.
            let waits = match &read {
                Some((id, one)) => {
                    let (kept, stated) =
                        (rows::inclusion_key(&id.0), ledger::statement_key(one.dossier, *id));
                    self.get(kept.table, &kept.key)?.is_none()
                        && self.get(stated.table, &stated.key)?.is_some()
                }
                None => false,
            };
            match read.filter(|_| waits) {
                Some(one) => awaited.push(one),
                None => batch.put.push(Put::Delete(Key::new(Table::Log, key))),
            }
        }
        self.commit(batch)?;
        Ok(awaited)
    }

    /// Asks one node, keeps what it shows; gives what is still awaited.
    async fn ask_for(
        self: Arc<Self>,
        whom: &NodeName,
        issuer: &NodeName,
        awaited: Vec<(StatementId, Awaited)>,
    ) -> Result<Vec<(StatementId, Awaited)>, Refusal> {
        let ids = awaited.iter().map(|(id, _)| *id).collect();
        let Ok(Answer::Inclusions(proofs)) = self.ask(whom, &Frame::Inclusions(ids)).await else {
            return Ok(awaited);
        };
        if proofs.len() != awaited.len() {
            return Ok(awaited);
        }
        let (node, issuer) = (self, issuer.clone());
        let kept = tokio::task::spawn_blocking(move || node.keep_places(&issuer, awaited, &proofs)).await;
        kept.map_err(|e| Refusal::new("internal").with("cause", e))?
    }

    /// Keeps the proofs that hold; gives the statements that have none.
    fn keep_places(
        &self,
        issuer: &NodeName,
        awaited: Vec<(StatementId, Awaited)>,
        proofs: &[Vec<u8>],
    ) -> Result<Vec<(StatementId, Awaited)>, Refusal> {
        let (mut left, mut batch) = (Vec::new(), Batch::default());
        for ((id, one), proof) in awaited.into_iter().zip(proofs) {
            if proof.is_empty() {
                left.push((id, one));
            } else if self.judge_place(one.dossier, id, proof)?.is_some() {
                rows::keep_foreign(self, &mut batch, proof, self.home.clock.now())?;
                set(&mut batch, rows::inclusion_key(&id.0), proof.clone());
                batch.put.push(Put::Delete(rows::awaited_key(issuer, &id.0)));
            } else {
                tracing::warn!(peer = %issuer, "a place in a log that does not hold was shown");
                self.count("places_refused");
                left.push((id, one));
            }
        }
        self.commit(batch)?;
        Ok(left)
    }

    /// Whether a proof shows the place of a statement held here in its issuer's log, under a quorum.
    fn judge_place(
        &self,
        dossier: DossierId,
        id: StatementId,
        proof: &[u8],
    ) -> Result<Option<SignedTime>, Refusal> {
        let key = ledger::statement_key(dossier, id);
        let Some(bytes) = self.get(key.table, &key.key)? else { return Ok(None) };
        let Ok(statement) = Statement::parse(&bytes) else { return Ok(None) };
        Ok(self.time_of(&statement, proof))
    }

    /// When a statement was signed at the latest, by the place in its issuer's log that is kept of it.
    pub(super) fn proven_time(&self, statement: &Statement) -> Option<SignedTime> {
        let key = rows::inclusion_key(&statement.id.0);
        let proof = self.get(key.table, &key.key).ok()??;
        self.time_of(statement, &proof)
    }

    fn time_of(&self, statement: &Statement, proof: &[u8]) -> Option<SignedTime> {
        let key = self.key_for(statement).ok()?;
        self.members().signed_time(statement, key.as_ref(), proof, self.home.clock.now())
    }

    /// Asks for the places of statements that are not held yet, and keeps those that hold; gives the others.
    pub(super) async fn prove(
        self: Arc<Self>,
        whom: &NodeName,
        statements: Vec<Statement>,
    ) -> Result<Vec<Statement>, Refusal> {
        let ids = statements.iter().map(|statement| statement.id).collect();
        let Ok(Answer::Inclusions(proofs)) = self.ask(whom, &Frame::Inclusions(ids)).await else {
            return Ok(statements);
        };
        let node = self;
        let kept = tokio::task::spawn_blocking(move || {
            let (mut left, mut batch) = (Vec::new(), Batch::default());
            for (at, statement) in statements.into_iter().enumerate() {
                match proofs.get(at).filter(|proof| node.time_of(&statement, proof).is_some()) {
                    Some(proof) => {
                        rows::keep_foreign(&*node, &mut batch, proof, node.home.clock.now())?;
                        set(&mut batch, rows::inclusion_key(&statement.id.0), proof.clone());
                    }
                    None => left.push(statement),
                }
            }
            node.commit(batch)?;
            Ok(left)
        });
        kept.await.map_err(|e| Refusal::new("internal").with("cause", e))?
    }

    /// The dossier's key, on which the entry of a redemption hangs and no other.
    fn key_for(&self, statement: &Statement) -> Result<Option<DossierKey>, Refusal> {
        let dossier = statement.common.dossier;
        if !matches!(statement.body, Body::Redemption(_)) {
            return Ok(None);
        }
        let key = secrets_key(dossier);
        let secrets = self.get(key.table, &key.key)?.and_then(|stored| self.vault().open(dossier, &stored));
        Ok(secrets.map(|secrets| secrets.key.clone()))
    }

    /// The node that handed a dossier over last.
    fn giver(&self, dossier: DossierId) -> Option<NodeName> {
        let fold = self.fold(dossier).ok()?;
        let seal = ledger::statement(self, dossier, *fold.seals().last()?).ok()??;
        Some(Statement::parse(&seal).ok()?.common.issuer)
    }

    /// What is known of the place of a statement held here: `witnessed`, `awaited` or `unwitnessed`; nothing of
    /// own statements and where its issuer has no witnesses.
    pub(super) fn place_word(
        &self,
        issuer: &NodeName,
        id: StatementId,
    ) -> Result<Option<&'static str>, Refusal> {
        let key = rows::inclusion_key(&id.0);
        if *issuer == self.home.name {
            return Ok(None);
        }
        if self.get(key.table, &key.key)?.is_some() {
            return Ok(Some("witnessed"));
        }
        let key = rows::awaited_key(issuer, &id.0);
        let awaited = self.get(key.table, &key.key)?.and_then(|row| Awaited::decode(&row));
        let now = self.home.clock.now();
        Ok(awaited.map(|row| if row.unwitnessed(now) { "unwitnessed" } else { "awaited" }))
    }

    /// How many statements of others wait for their place to be shown, and how many have for 30 days.
    pub fn proven_figures(&self) -> Result<Value, Refusal> {
        let now = self.home.clock.now();
        let awaited = self.scan(Table::Log, rows::ALL_AWAITED_PREFIX, None, FIGURES_MAX)?;
        let late = |row: &Vec<u8>| Awaited::decode(row).is_some_and(|row| row.unwitnessed(now));
        let unwitnessed = awaited.iter().filter(|(_, row)| late(row)).count();
        Ok(json!({ "awaited": awaited.len(), "unwitnessed": unwitnessed }))
    }
}
