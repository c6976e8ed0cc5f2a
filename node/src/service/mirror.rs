//! What a witness keeps of the logs it cosigns: their entries, under `mirror/` in the home, so that a node that
//! comes back from a backup gets its log again (DESIGN §6). They are fetched before the cosignature is given:
//! what a quorum has cosigned is there whatever becomes of its owner a moment later.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use libp2p::PeerId;
use yunling_protocol::log::witness::AddCheckpoint;
use yunling_protocol::log::{Checkpoint, Origin};
use yunling_protocol::message::Frame;
use yunling_protocol::name::NodeName;

use super::{Node, Refusal};
use crate::log::{Book, Folder, Served};

/// Folder of the mirrors in a home.
const MIRROR_FOLDER: &str = "mirror";
/// Most entries of a log that are mirrored: at 50 a minute ten years of one life, 2 GB with their tiles. What is
/// longer is cosigned all the same; its owner asks every peer when it is restored.
const MIRROR_ENTRIES_MAX: u64 = 1 << 25;
/// Longest the answer to a checkpoint waits for its entries: less than the asking node waits for it. The rest
/// is fetched on, and the next round finds it.
const MIRROR_WAIT: Duration = Duration::from_secs(8);

impl Node {
    fn mirror_of(&self, origin: &Origin) -> Folder {
        Folder::at(self.home.path.join(MIRROR_FOLDER).join(HEXLOWER.encode(&origin.hash())))
    }

    /// A file of one of this node's logs, or of what it has mirrored of another's.
    pub(super) fn log_file_of(
        &self,
        of: Option<NodeName>,
        generation: u64,
        path: &str,
    ) -> Result<Option<Served>, Refusal> {
        match of.filter(|node| *node != self.home.name) {
            None => self.log_file(generation, path),
            Some(node) => Ok(self.mirror_of(&Origin { node, generation }).served(path)?),
        }
    }

    /// Fetches the entries under a checkpoint that a peer wants cosigned; `false` when they are not here yet
    /// and the peer must ask again. Everything else is for the judgement that follows.
    pub(super) async fn mirrors(self: &Arc<Self>, from: PeerId, request: &[u8]) -> bool {
        let Ok(Frame::AddCheckpoint(body)) = Frame::decode(request) else { return true };
        let node = self.clone();
        let looked = tokio::task::spawn_blocking(move || node.to_mirror(from, &body)).await;
        let Ok(Ok(Some((origin, checkpoint, note)))) = looked else { return true };
        if !self.mirroring.lock().unwrap_or_else(PoisonError::into_inner).insert(origin.clone()) {
            return false;
        }
        let node = self.clone();
        let fetched = tokio::spawn(async move {
            let fetched = node.fetch_mirror(&origin, &checkpoint, &note).await;
            if let Err(refusal) = &fetched {
                tracing::warn!(origin = %origin, code = refusal.code, "entries to be witnessed are not here");
            }
            node.mirroring.lock().unwrap_or_else(PoisonError::into_inner).remove(&origin);
            fetched.is_ok()
        });
        matches!(tokio::time::timeout(MIRROR_WAIT, fetched).await, Ok(Ok(true)))
    }

    /// The checkpoint in a request that is witnessed here and whose entries are not.
    fn to_mirror(&self, from: PeerId, body: &[u8]) -> Result<Option<(Origin, Checkpoint, String)>, Refusal> {
        let Ok(request) = AddCheckpoint::parse(body) else { return Ok(None) };
        let checkpoint = request.checkpoint;
        let Some(origin) = Origin::parse(&checkpoint.origin) else { return Ok(None) };
        let known = self.member_of(from).is_some() && !self.fenced();
        let keys = self.witnessed_keys(&origin).filter(|_| known).unwrap_or_default();
        let signed = request.note.verify(&keys).is_ok() && checkpoint.size <= MIRROR_ENTRIES_MAX;
        if !signed || Book::resume(&self.mirror_of(&origin), checkpoint.size)?.size() == checkpoint.size {
            return Ok(None);
        }
        Ok(Some((origin, checkpoint, request.note.render())))
    }

    /// Fetches the entries from their owner. What does not come to the signed root is not kept: the judgement
    /// says what it is.
    async fn fetch_mirror(
        &self,
        origin: &Origin,
        checkpoint: &Checkpoint,
        note: &str,
    ) -> Result<(), Refusal> {
        let folder = self.mirror_of(origin);
        let (book, round) = self.pull_entries(origin, &folder, checkpoint.size).await?;
        if book.root() == checkpoint.root {
            folder.publish(&book.files(round), note)?;
        }
        Ok(())
    }
}
