//! The taking side's copy: pulls a dossier over a bulk stream from where it stopped, stages it
//! durably, verifies everything on all cores, asks issuers for changes, then accepts.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use yunling_protocol::custody::record::{Loaded, live};
use yunling_protocol::custody::taking::CopyCheck;
use yunling_protocol::custody::{Input, Side, Stage, Transfer, taking};
use yunling_protocol::dossier::Dossier;
use yunling_protocol::id::{DossierId, StatementId, TransferId};
use yunling_protocol::message::wire::INCLUSIONS_MAX;
use yunling_protocol::message::{Answer, Content, Frame, Message};
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{DecideError, Office};
use yunling_protocol::roster::SignedTime;
use yunling_protocol::statement::{Body, Statement};

use super::{Node, Refusal, peers};
use crate::net::BulkReader;

/// Statements staged by one batch: a cut loses at most these.
pub(super) const STAGE_ROWS: usize = 64;
/// Pause before a copy that was cut is tried again.
const COPY_RETRY: Duration = Duration::from_secs(2);
/// Longest to wait for an issuer's changes: it delivers them to the new custodian anyway.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Reasons after which only a person can help. A piece out of order is none: a courier file brought
/// the same statements while the stream ran.
fn needs_a_person(code: &str) -> bool {
    !code.starts_with("net-") && code != "transfer-stage-order"
}

impl Node {
    /// Starts a task for each copy that is due.
    pub(super) fn start_copies(self: Arc<Self>) {
        if self.fenced() {
            return;
        }
        let Ok(transfers) = live(&*self) else { return };
        for transfer in transfers {
            let due =
                transfer.side == Side::Taking && matches!(transfer.stage, Stage::Copying | Stage::Checking);
            if !due {
                continue;
            }
            {
                let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
                let wait = progress.copy_after.get(&transfer.id).is_some_and(|t| Instant::now() < *t);
                if wait || !progress.copying.insert(transfer.id) {
                    continue;
                }
            }
            let node = self.clone();
            tokio::spawn(async move {
                let id = transfer.id;
                if let Err(error) = node.clone().copy(&transfer).await {
                    node.clone().copy_failed(id, error).await;
                }
                {
                    let mut progress = node.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
                    progress.copying.remove(&id);
                    progress.copy_after.insert(id, Instant::now() + COPY_RETRY);
                }
                node.wake.notify_one();
            });
        }
    }

    async fn copy_failed(self: Arc<Self>, id: TransferId, error: Refusal) {
        tracing::warn!(transfer = %id, code = error.code, "copy stopped");
        if needs_a_person(&error.code) {
            let reason = error.code;
            let failed = move || self.advance_transfer(id, &Input::Failed { reason });
            // Shown by the next look at the transfer; a failing store shows itself.
            let _ = tokio::task::spawn_blocking(failed).await;
        }
    }

    /// Checks a copy that a courier file made whole, so that the accept waits for the next file.
    pub(super) async fn check_now(self: Arc<Self>, id: TransferId) {
        if let Err(error) = self.clone().check_copy(id).await {
            self.copy_failed(id, error).await;
        }
    }

    async fn copy(self: Arc<Self>, transfer: &Transfer) -> Result<(), Refusal> {
        if transfer.stage == Stage::Copying {
            self.clone().pull(transfer).await?;
        }
        self.check_copy(transfer.id).await
    }

    /// Asks the office on the other end of a move for its copy, from a place of the chain on.
    pub(super) async fn open_pull_of(&self, transfer: &Transfer, from: u64) -> Result<BulkReader, Refusal> {
        let net = self.net().ok_or_else(|| Refusal::new("net-down"))?;
        let members = self.members();
        let member = members
            .get(&transfer.peer)
            .ok_or_else(|| Refusal::new("peer-unknown").with("name", &transfer.peer))?;
        let peer = peers::peer_id(&member.card)
            .ok_or_else(|| Refusal::new("card-missing-key").with("cause", "transport"))?;
        let request = self.pull_message(transfer, from)?;
        net.bulk(peer, request).await.map_err(|e| Refusal::new(e.code()).with("cause", &e))
    }

    async fn pull(self: Arc<Self>, transfer: &Transfer) -> Result<(), Refusal> {
        let mut reader = self.open_pull_of(transfer, transfer.have).await?;
        let mut at = transfer.have;
        let mut piece = Vec::with_capacity(STAGE_ROWS);
        loop {
            let frame = reader.next().await.map_err(|e| Refusal::new(e.code()).with("cause", &e));
            let (ended, failed) = match frame {
                Ok(Some(bytes)) => {
                    piece.push(bytes);
                    (false, None)
                }
                Ok(None) => (true, None),
                Err(error) => (true, Some(error)),
            };
            // An empty piece tells the machine that a copy which lacked nothing is whole; after the piece
            // that made it whole there is nothing more to tell.
            let lacked_nothing = failed.is_none() && at == transfer.have;
            let last = ended && (!piece.is_empty() || lacked_nothing);
            if piece.len() == STAGE_ROWS || last {
                let node = self.clone();
                let (id, part) = (transfer.id, std::mem::take(&mut piece));
                let count = part.len() as u64;
                let staged = tokio::task::spawn_blocking(move || node.stage(id, at, &part)).await;
                staged.map_err(|e| Refusal::new("internal").with("cause", &e))??;
                at += count;
            }
            match (ended, failed) {
                (_, Some(error)) => return Err(error),
                (true, None) => return Ok(()),
                _ => {}
            }
        }
    }

    /// The signed message that asks for the copy from a place of the chain on.
    pub(super) fn pull_message(&self, transfer: &Transfer, from: u64) -> Result<Vec<u8>, Refusal> {
        let request = self.decide(|office| {
            let message = Message {
                from: office.me.clone(),
                to: transfer.peer.clone(),
                dossier: transfer.dossier,
                epoch: transfer.epoch,
                transfer: transfer.id,
                life: office.life,
                at: office.now,
                trial: office.trial,
                content: Content::Pull { from },
            };
            message.sign(office.signer)
        });
        request.map_err(|e| Refusal::new("sign-device").with("cause", &e))
    }

    pub(super) fn stage(&self, id: TransferId, at: u64, statements: &[Vec<u8>]) -> Result<(), Refusal> {
        self.act_decision(|office| {
            let loaded = Loaded::by_id(self, id)?.ok_or(DecideError::Rule("transfer-unknown"))?;
            taking::stage(office, loaded, at, statements)
        })?;
        Ok(())
    }

    async fn check_copy(self: Arc<Self>, id: TransferId) -> Result<(), Refusal> {
        self.clone().prove_copy(id).await?;
        let node = self.clone();
        let checked = tokio::task::spawn_blocking(move || node.verify_copy(id)).await;
        let Some((transfer, dossier)) = checked.map_err(|e| Refusal::new("internal").with("cause", &e))??
        else {
            return Ok(());
        };
        let mut changes = Vec::new();
        let mut unasked = Vec::new();
        for issuer in taking::issuers(&dossier, &transfer, &self.home.name) {
            match self.ask_changes(&issuer, &dossier).await {
                Some(told) => {
                    changes.extend(told.into_iter().filter(|s| dossier.sequence_of(s.id).is_none()));
                }
                None => unasked.push(issuer),
            }
        }
        let node = self.clone();
        let accepted = tokio::task::spawn_blocking(move || {
            node.act_decision(|office| {
                let loaded = Loaded::by_id(&*node, id)?.ok_or(DecideError::Rule("transfer-unknown"))?;
                if loaded.transfer.stage != Stage::Checking || loaded.transfer.head != transfer.head {
                    return Ok(yunling_protocol::office::Decision::answer(Answer::Ok));
                }
                taking::checked(office, loaded, &changes, unasked.clone())
            })
        });
        accepted.await.map_err(|e| Refusal::new("internal").with("cause", &e))??;
        Ok(())
    }

    /// Asks for the places in their issuers' logs of those statements of a copy whose key was in other hands
    /// later: a quorum that saw one before is what they stand by. The old custodian has them, else the issuer.
    async fn prove_copy(self: Arc<Self>, id: TransferId) -> Result<(), Refusal> {
        let node = self.clone();
        let doubted = tokio::task::spawn_blocking(move || node.doubted_in(id)).await;
        let Some((giver, doubted)) = doubted.map_err(|e| Refusal::new("internal").with("cause", e))?? else {
            return Ok(());
        };
        for (issuer, statements) in doubted {
            for some in statements.chunks(INCLUSIONS_MAX) {
                let mut left = some.to_vec();
                for whom in [&giver, &issuer] {
                    if !left.is_empty() {
                        left = self.clone().prove(whom, left).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The old custodian, and the statements of a staged copy that do not stand by their keys alone.
    #[allow(clippy::type_complexity)]
    fn doubted_in(
        &self,
        id: TransferId,
    ) -> Result<Option<(NodeName, BTreeMap<NodeName, Vec<Statement>>)>, Refusal> {
        let transfer = self.transfer(id)?.transfer;
        let members = self.members();
        let listed = members.roster().map(|roster| &roster.newest().roster().nodes);
        let compromised = listed.is_some_and(|nodes| nodes.iter().any(|node| !node.compromised.is_empty()));
        if transfer.stage != Stage::Checking || !compromised {
            return Ok(None);
        }
        let (now, trial) = (self.home.clock.now(), self.home.config.node.trial);
        let mut doubted: BTreeMap<NodeName, Vec<Statement>> = BTreeMap::new();
        for bytes in taking::staged(self, &transfer)? {
            if let Ok(statement) = Statement::parse(&bytes)
                && taking::check_copied(&members, &statement, trial, now).is_err()
                && self.proven_time(&statement).is_none()
            {
                doubted.entry(statement.common.issuer.clone()).or_default().push(statement);
            }
        }
        Ok(Some((transfer.peer, doubted)))
    }

    /// Verifies the staged copy on all cores; `None` when it is not due any more.
    fn verify_copy(&self, id: TransferId) -> Result<Option<(Transfer, Dossier)>, Refusal> {
        let transfer = self.transfer(id)?.transfer;
        if transfer.stage != Stage::Checking {
            return Ok(None);
        }
        let staged = taking::staged(self, &transfer)?;
        let checked = self.decide(|office| {
            let mut check = CopyCheck::begin(office, self, &transfer)?;
            let proven = |statement: &Statement| self.proven_time(statement);
            verify_in_order(office, &staged, &proven, |entry| check.take(entry).map_err(Refusal::new))?;
            check.finish().map_err(Refusal::new)
        });
        checked.map(|dossier| Some((transfer, dossier)))
    }

    /// Checks every signature of statements that a peer told.
    fn verify_all(&self, statements: &[Vec<u8>]) -> Result<Vec<Statement>, Refusal> {
        let mut verified = Vec::with_capacity(statements.len());
        self.decide(|office| {
            verify_in_order(office, statements, &|_| None, |statement| {
                verified.push(statement);
                Ok(())
            })
        })?;
        Ok(verified)
    }

    async fn ask_changes(&self, issuer: &NodeName, dossier: &Dossier) -> Option<Vec<Statement>> {
        let net = self.net()?;
        let members = self.members();
        let member = members.get(issuer).filter(|m| m.removed_at.is_none())?;
        let peer = peers::peer_id(&member.card)?;
        let shown: StatementId = *dossier.hours().iter().find(|(_, h)| h.issuer == *issuer)?.0;
        let id: DossierId = dossier.id();
        let frame = Frame::Changes { dossier: id, shown }.encode();
        let answer = net.request(peer, frame, ASK_TIMEOUT).await.ok()?;
        let Ok(Answer::Changes(list)) = Answer::decode(&answer) else { return None };
        self.changes_of(issuer, id, &list)
    }

    /// What an issuer told of its changes, if all of it is its own and about the dossier.
    pub(super) fn changes_of(
        &self,
        issuer: &NodeName,
        id: DossierId,
        list: &[Vec<u8>],
    ) -> Option<Vec<Statement>> {
        let verified = self.verify_all(list).ok()?;
        let fits = |s: &Statement| {
            s.common.issuer == *issuer
                && s.common.dossier == id
                && matches!(s.body, Body::Void(_) | Body::Correction(_))
        };
        verified.iter().all(fits).then_some(verified)
    }
}

/// When a statement was signed at the latest, where that is proven.
pub(crate) type Proven<'a> = dyn Fn(&Statement) -> Option<SignedTime> + Sync + 'a;

/// Statements one core takes at a time. It parses them all and then checks their signatures: in
/// turn, each would push the other's data out of the cache (measured: 8 % slower).
const VERIFY_PIECE: usize = 64;

/// Checks every signature of a chain on all cores and hands on, in order, what is kept of each
/// statement.
///
/// Folding one part while the next is checked was tried and is slower: both share the cache.
pub(crate) fn verify_in_order<T: From<Statement> + Send>(
    office: &Office<'_>,
    statements: &[Vec<u8>],
    proven: &Proven<'_>,
    mut each: impl FnMut(T) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let verified: Vec<Result<Vec<T>, Refusal>> =
        statements.par_chunks(VERIFY_PIECE).map(|piece| verify_piece(office, piece, proven)).collect();
    for piece in verified {
        piece?.into_iter().try_for_each(&mut each)?;
    }
    Ok(())
}

/// A function of its own for the optimizer too: grown together with the walk over the cores, the
/// same work took 7 % longer.
#[inline(never)]
fn verify_piece<T: From<Statement>>(
    office: &Office<'_>,
    piece: &[Vec<u8>],
    proven: &Proven<'_>,
) -> Result<Vec<T>, Refusal> {
    let mut parsed = Vec::with_capacity(piece.len());
    for bytes in piece {
        parsed.push(Statement::parse(bytes).map_err(|e| Refusal::new(e.code()).with("cause", &e))?);
    }
    for statement in &parsed {
        let checked = taking::check_copied(office.members, statement, office.trial, office.now);
        let checked = checked.or_else(|_| {
            // Only then is a proof looked for: reading one for each statement would cost more than all else.
            let at = proven(statement);
            taking::check_proven(office.members, statement, at, office.trial, office.now)
        });
        checked.map_err(|code| Refusal::new(code).with("issuer", &statement.common.issuer))?;
    }
    Ok(parsed.into_iter().map(T::from).collect())
}
