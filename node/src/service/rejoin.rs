//! A restored node and the witnesses of its log: the entries that its backup lacks are fetched from those that
//! named the newest checkpoint, and the fence opens. The rules are `yunling_protocol::recovery::rejoin`.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use yunling_protocol::log::tile::{self, TILE_WIDTH, Tile, TileKind};
use yunling_protocol::name::NodeName;
use yunling_protocol::recovery::fence::Fence;
use yunling_protocol::recovery::rejoin::{self, LOST_ENTRIES_MAX, Newest, Standing};

use super::{Node, Refusal};

/// How often a fenced node looks how far its witnesses have come.
const LOOK: Duration = Duration::from_millis(500);
/// Pause after a witness could not hand over what it named.
const AGAIN: Duration = Duration::from_secs(5);

impl Node {
    /// Where a fenced node stands with its witnesses; none when it asks every peer.
    pub(super) fn witness_standing(&self) -> Result<Option<Standing>, Refusal> {
        let Some((fence, _)) = Fence::load(self)? else { return Ok(None) };
        Ok(self.decide(|office| rejoin::standing(office, self, &fence))?)
    }

    /// Witnesses whose answer is wanted and has not come.
    pub(super) fn witnesses_missing(&self) -> Result<Vec<NodeName>, Refusal> {
        let rules = self.witness_standing()?.map(|standing| standing.rules).unwrap_or_default();
        let unmet = rules.into_iter().filter(|rule| rule.heard.len() < rule.need);
        let mut missing: Vec<NodeName> = unmet.flat_map(|rule| rule.waits).collect();
        missing.sort();
        missing.dedup();
        Ok(missing)
    }

    /// Takes what the witnesses hand over, until the fence is open or the node stops.
    pub(crate) async fn keep_rejoining(self: Arc<Self>) {
        while self.fenced() {
            tokio::time::sleep(LOOK).await;
            if let Err(refusal) = self.clone().rejoin_round().await {
                tracing::warn!(code = refusal.code, "the witnesses have not handed over the log");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    async fn rejoin_round(self: Arc<Self>) -> Result<(), Refusal> {
        let node = self.clone();
        let standing = blocking(move || node.witness_standing()).await?;
        let Some(standing) = standing.filter(|s| s.heard() && !s.forked()) else { return Ok(()) };
        for log in standing.lacks() {
            self.take_log(log).await?;
        }
        let node = self.clone();
        blocking(move || node.ask_peers()).await
    }

    /// Takes the entries of one log from the first witness that has them.
    async fn take_log(self: &Arc<Self>, log: &Newest) -> Result<(), Refusal> {
        let mut last = Refusal::new("audit-incomplete").with("path", &log.origin);
        for witness in &log.from {
            let taken = match self.handed_over(witness, log).await {
                Ok(entries) => {
                    let (node, log) = (self.clone(), log.clone());
                    blocking(move || {
                        for batch in rejoin::import(node.as_ref(), &log, &entries)? {
                            node.commit(batch)?;
                        }
                        tracing::info!(
                            origin = %log.origin, entries = entries.len(),
                            "the witnesses gave back what the backup lacks of the log"
                        );
                        Ok(())
                    })
                    .await
                }
                Err(refusal) => Err(refusal),
            };
            let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            match taken {
                Ok(()) => {
                    rounds.forget_error(witness);
                    return Ok(());
                }
                Err(refusal) => {
                    rounds.note_error(witness, &refusal.code);
                    last = refusal;
                }
            }
        }
        Err(last)
    }

    /// The entries behind those that are here, up to the newest checkpoint, as a witness has mirrored them.
    async fn handed_over(&self, witness: &NodeName, log: &Newest) -> Result<Vec<Vec<u8>>, Refusal> {
        let lacks = |path: &Tile| Refusal::new("audit-incomplete").with("path", path);
        if log.size - log.have > LOST_ENTRIES_MAX as u64 {
            return Err(Refusal::new("rejoin-entries"));
        }
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut at = log.have;
        while at < log.size {
            let number = at / TILE_WIDTH;
            let width = (log.size - number * TILE_WIDTH).min(TILE_WIDTH) as u16;
            let bundle = Tile { kind: TileKind::Entries, index: number, width };
            let path = bundle.to_string();
            let bytes = self.fetch(witness, Some(&self.home.name), log.origin.generation, &path).await?;
            let bytes = bytes.ok_or_else(|| lacks(&bundle))?;
            let all = tile::decode_entries(&bytes, width).map_err(|_| lacks(&bundle))?;
            entries.extend(all.into_iter().skip((at % TILE_WIDTH) as usize).map(<[u8]>::to_vec));
            at = number * TILE_WIDTH + u64::from(width);
        }
        Ok(entries)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Refusal::new("internal").with("cause", e))?
}
