//! Filling the holes that a repair found: a dossier that came from another office is asked for there
//! once more, while that office still has its copy, and what the own chain names is taken from it.
//!
//! Nothing is appended and nothing is believed: an id in the own chain is the hash of what fills it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use yunling_protocol::custody::taking::verify_copied;
use yunling_protocol::custody::{Side, Stage, Transfer};
use yunling_protocol::id::DossierId;
use yunling_protocol::ledger::LedgerError;
use yunling_protocol::recovery::rebuild;
use yunling_protocol::store::{Table, scan_all};

use super::{Node, Refusal};

/// Pause before a former custodian is asked again: one that has destroyed its copy says so each time.
const REFILL_RETRY: Duration = Duration::from_mins(1);
/// Pause between two looks for holes: each reads the chains that have some, and every transfer.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

impl Node {
    /// Starts a task for each former custodian that may have what is missing here.
    pub(super) fn start_refills(self: Arc<Self>) {
        if self.fenced() {
            return;
        }
        {
            let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if progress.refill_after.is_some_and(|after| now < after) {
                return;
            }
            progress.refill_after = Some(now + LOOK_PAUSE);
        }
        let Ok(sources) = self.refill_sources() else { return };
        for transfer in sources {
            {
                let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                if progress.copy_after.get(&transfer.id).is_some_and(|after| now < *after) {
                    continue;
                }
                progress.copy_after.insert(transfer.id, now + REFILL_RETRY);
            }
            let node = self.clone();
            tokio::spawn(async move {
                match node.clone().refill(&transfer).await {
                    Ok(filled) => tracing::info!(dossier = %transfer.dossier, filled, "holes were filled"),
                    Err(error) => tracing::warn!(
                        dossier = %transfer.dossier, peer = %transfer.peer, code = error.code,
                        "the former custodian gave nothing to fill holes with"
                    ),
                }
                node.wake.notify_one();
            });
        }
    }

    /// Moves by which dossiers with holes came here.
    fn refill_sources(&self) -> Result<Vec<Transfer>, LedgerError> {
        let holed: Vec<DossierId> =
            rebuild::holed(self)?.into_iter().filter(|one| one.missing > 0).map(|one| one.dossier).collect();
        let mut sources = Vec::new();
        if holed.is_empty() {
            return Ok(sources);
        }
        scan_all::<LedgerError>(self, Table::Transfer, b"", |_, bytes| {
            let transfer = Transfer::decode(&bytes)?;
            let came = transfer.side == Side::Taking && transfer.stage == Stage::Completed;
            sources.extend(Some(transfer).filter(|t| came && holed.contains(&t.dossier)));
            Ok(())
        })?;
        Ok(sources)
    }

    async fn refill(self: Arc<Self>, transfer: &Transfer) -> Result<u64, Refusal> {
        let mut reader = self.open_pull_of(transfer, 0).await?;
        let mut filled = 0;
        loop {
            let frame = reader.next().await.map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
            let Some(bytes) = frame else { break };
            let node = self.clone();
            let took = tokio::task::spawn_blocking(move || node.fill(&bytes)).await;
            filled += u64::from(took.map_err(|e| Refusal::new("internal").with("cause", &e))??);
        }
        let (node, id) = (self.clone(), transfer.dossier);
        let settled = tokio::task::spawn_blocking(move || {
            // The sums of its head may be of the time with holes.
            node.act(|office| Ok((rebuild::dossier(office, &*node, id)?.0, ())))
        });
        settled.await.map_err(|e| Refusal::new("internal").with("cause", &e))??;
        Ok(filled)
    }

    fn fill(&self, bytes: &[u8]) -> Result<bool, Refusal> {
        let statement = self.decide(|office| verify_copied(office.members, bytes, office.trial, office.now));
        let Ok(statement) = statement else { return Ok(false) };
        let Some(batch) = rebuild::fills(self, &statement)? else { return Ok(false) };
        self.commit(batch)?;
        Ok(true)
    }
}
