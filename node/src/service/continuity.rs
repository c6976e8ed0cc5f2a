//! Whether a log that was heard of goes on from where it was: the consistency proof between the newest
//! checkpoint found good and the one heard last is made from the log's own tiles. A log that cannot show it is
//! an alarm, and is audited at once, for the audit finds the evidence.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use yunling_protocol::ledger::set;
use yunling_protocol::log::merkle::{self, Hash, Nodes, consistency_proof};
use yunling_protocol::log::tile::{self, TILE_WIDTH, Tile};
use yunling_protocol::log::{Checkpoint, Origin, rows};
use yunling_protocol::store::{Batch, Read as _, Table};

use super::{Node, Refusal};
use crate::log::LogError;

/// Logs looked at in one round.
const ROUND_LOGS: usize = 8;
/// Pause between two audits of one log that contradicts itself: each reads it whole.
const AUDIT_PAUSE: Duration = Duration::from_secs(3_600);

/// The tiles of a peer's log, fetched one by one.
struct Fetched<'a> {
    node: &'a Node,
    runtime: &'a Handle,
    origin: &'a Origin,
    size: u64,
}

impl Fetched<'_> {
    fn file(&self, tile: Tile) -> Result<Option<Vec<u8>>, LogError> {
        let Origin { node, generation } = self.origin;
        let fetched = self.runtime.block_on(self.node.fetch(node, None, *generation, &tile.to_string()));
        fetched.map_err(|_| LogError::Damaged("a tile cannot be had"))
    }
}

impl Nodes for Fetched<'_> {
    type Error = LogError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
        let lacks = || LogError::Damaged("a tile is missing");
        let (mut tile, start, count) = Tile::of_node(level, index, self.size).ok_or_else(lacks)?;
        let bytes = match self.file(tile)? {
            Some(bytes) => bytes,
            // A partial tile may be gone once it is full.
            None => {
                tile.width = TILE_WIDTH as u16;
                self.file(tile)?.ok_or_else(lacks)?
            }
        };
        let hashes = tile::decode_hashes(&bytes, tile.width).map_err(|_| lacks())?;
        Ok(tile::node_in_tile(&hashes, start, count)?)
    }
}

/// What comparing two checkpoints of a log came to.
enum Compared {
    /// The later one continues the earlier one; the note of the later.
    Continues(String),
    /// It does not.
    Contradicts,
}

impl Node {
    /// Compares the logs that were heard of since the last round with what was found good before.
    pub(super) async fn check_continuity(self: &Arc<Self>) {
        let hashes: Vec<[u8; 32]> = {
            let mut gossip = self.gossip.lock().unwrap_or_else(PoisonError::into_inner);
            let some: Vec<_> = gossip.unchecked.iter().take(ROUND_LOGS).copied().collect();
            for hash in &some {
                gossip.unchecked.remove(hash);
            }
            some
        };
        for hash in hashes {
            let node = self.clone();
            let runtime = Handle::current();
            let checked = tokio::task::spawn_blocking(move || node.check_log(&hash, &runtime)).await;
            match checked {
                Ok(Ok(Some(origin))) => self.contradicted(hash, &origin).await,
                // A log that is away is looked at again with its next announcement.
                Ok(Err(refusal)) => tracing::debug!(code = refusal.code, "a log was not compared"),
                Ok(Ok(None)) | Err(_) => {}
            }
        }
    }

    /// Gives the origin when the log contradicts itself.
    fn check_log(&self, hash: &[u8; 32], runtime: &Handle) -> Result<Option<Origin>, Refusal> {
        let Some((_, newest)) = self.last(Table::Log, &rows::heard_prefix(hash))? else { return Ok(None) };
        let (_, new) = Checkpoint::parse(&newest).map_err(LogError::from)?;
        let Some(origin) = Origin::parse(&new.origin) else { return Ok(None) };
        let newest = String::from_utf8_lossy(&newest).into_owned();
        let key = rows::checked_key(hash);
        let compared = match self.get(key.table, &key.key)? {
            None => Compared::Continues(newest),
            Some(good) => self.compare(&origin, &good, &newest, runtime)?,
        };
        match compared {
            Compared::Continues(note) => {
                let mut batch = Batch::default();
                set(&mut batch, key, note.into_bytes());
                self.commit(batch)?;
                Ok(None)
            }
            Compared::Contradicts => Ok(Some(origin)),
        }
    }

    fn compare(
        &self,
        origin: &Origin,
        good: &[u8],
        newest: &str,
        runtime: &Handle,
    ) -> Result<Compared, Refusal> {
        let (_, one) = Checkpoint::parse(good).map_err(LogError::from)?;
        let (_, two) = Checkpoint::parse(newest.as_bytes()).map_err(LogError::from)?;
        let good = String::from_utf8_lossy(good).into_owned();
        let (old, new, later) =
            if one.size <= two.size { (one, two, newest.to_owned()) } else { (two, one, good) };
        if old.size == new.size {
            let same = old.root == new.root;
            return Ok(if same { Compared::Continues(later) } else { Compared::Contradicts });
        }
        let tiles = Fetched { node: self, runtime, origin, size: new.size };
        let path = consistency_proof(&tiles, old.size, new.size).map_err(LogError::from)?;
        let shown = merkle::verify_consistency(old.size, &old.root, new.size, &new.root, &path);
        Ok(if shown.is_ok() { Compared::Continues(later) } else { Compared::Contradicts })
    }

    async fn contradicted(self: &Arc<Self>, hash: [u8; 32], origin: &Origin) {
        {
            let mut gossip = self.gossip.lock().unwrap_or_else(PoisonError::into_inner);
            if gossip.audited.get(&hash).is_some_and(|at| at.elapsed() < AUDIT_PAUSE) {
                return;
            }
            gossip.audited.insert(hash, Instant::now());
        }
        let shown = origin.to_string();
        tracing::error!(origin = shown, "ALARM: a log does not continue the checkpoint heard of before");
        self.count("log_alarms");
        // Evidence that it finds is kept, shuts the node out and goes round.
        if let Err(refusal) = self.clone().audit_peer(&origin.node).await {
            tracing::warn!(origin = shown, code = refusal.code, "the log could not be audited");
        }
    }
}
