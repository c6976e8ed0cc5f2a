//! Backups and their restore as a protocol event, and what the world's own book makes of it.
//!
//! A restore may lose what never left the node. The book forgets exactly that, no more: whatever
//! another node still holds or can deliver again must come back, and is looked for at rest.

use yunling_protocol::id::TransferId;
use yunling_protocol::message::{Content, Life};
use yunling_protocol::name::NodeName;
use yunling_protocol::office::custody_outbox_key;
use yunling_protocol::recovery::fence::{Fence, encode_life, fence_key, life_key};
use yunling_protocol::store::{Batch, Put};

use crate::disk::Version;
use crate::mutants::Mutant;
use crate::work::short;
use crate::world::World;

impl World {
    /// Makes a backup of a node.
    pub(crate) fn back_up(&mut self, at: usize) {
        self.say(|| format!("{at} makes a backup"));
        let now = self.nodes[at].office(self.seconds(), &self.policies).now;
        let made = self.now;
        self.nodes[at].disk.keep_version(now, made);
    }

    /// Sets a node back to an older state of its disk, under a new life and fenced, and starts it.
    pub(crate) fn restore(&mut self, at: usize, version: usize) {
        let Some(version) = self.nodes[at].disk.versions().get(version).cloned() else { return };
        self.say(|| format!("{at} is restored to its state at {}", version.made));
        self.crash(at);
        self.nodes[at].restored_at = self.now;
        self.nodes[at].disk.restore(&version);
        self.nodes[at].load();
        if self.mutant != Some(Mutant::PlainRestore) {
            self.begin_life(at, &version);
        }
        self.forget_lost(at);
        self.dirty.insert(at);
    }

    /// The new life and the fence, in one batch, before the node opens.
    fn begin_life(&mut self, at: usize, version: &Version) {
        let mut mark = [0; 16];
        mark.copy_from_slice(&self.dice.bytes32()[..16]);
        let node = &self.nodes[at];
        let old_generation = node.life.generation;
        let life = Life { generation: old_generation + 1, mark };
        // The operator names the peers made since: they are not in the backup.
        let since = node.accepted.iter().filter(|(_, when)| **when >= version.made);
        let unknown = |name: &&NodeName| !node.members.is_active(name);
        let new_peers: Vec<NodeName> = since.map(|(name, _)| name).filter(unknown).cloned().collect();
        let Ok(fence) = Fence::begin(&node.disk, version.made_at, old_generation, &new_peers) else { return };
        let put = vec![Put::Set(life_key(), encode_life(life)), Put::Set(fence_key(), fence.encode())];
        let written = node.disk.commit(Batch { expect: Vec::new(), put });
        debug_assert!(written.is_ok(), "nobody else writes");
        self.nodes[at].load();
    }

    /// What no node holds any more is taken out of the book.
    fn forget_lost(&mut self, at: usize) {
        let dossiers = self.model.borrow().dossiers.clone();
        for id in dossiers {
            let longest = self.living_chains(id).into_iter().max_by_key(Vec::len).unwrap_or_default();
            let nowhere = self.nodes.iter().all(|n| n.chain(id).is_empty());
            let mut model = self.model.borrow_mut();
            let Some(history) = model.history.get_mut(&id).filter(|h| h.chain != longest) else {
                continue;
            };
            self.say(|| {
                format!(
                    "{} of {} statements are left of {}",
                    longest.len(),
                    history.chain.len(),
                    short(&id.0)
                )
            });
            history.known = longest.iter().cloned().collect();
            history.chain = longest;
            // A proof may now state what was lost.
            model.proofs.retain(|p| p.dossier != id);
            if nowhere {
                model.dossiers.retain(|d| *d != id);
            }
        }
        self.forget_acts(at);
    }

    /// Acts of a restored node that are not in its store now may be lost; those that others hold
    /// must come back to it.
    fn forget_acts(&mut self, at: usize) {
        let mut model = self.model.borrow_mut();
        let node = &self.nodes[at];
        let own = |id: &yunling_protocol::id::StatementId| model.acknowledged.get(id) == Some(&at);
        let gone: Vec<_> = model
            .intended
            .iter()
            .filter(|(id, made)| {
                let stored = yunling_protocol::ledger::statement(node, made.dossier, **id);
                own(id) && !matches!(stored, Ok(Some(_)))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            model.acknowledged.remove(&id);
            model.forgotten.insert(id, at);
        }
        model.asked.retain(|(by, id)| *by != at || self.transfer(at, *id).is_some());
        model.restores += 1;
    }

    /// The defect: nobody waits for the last peer.
    pub(crate) fn open_early(&mut self, at: usize) {
        // With witnesses fences open so by right, and the questions to them would be left behind.
        if self.witnessed {
            return;
        }
        let node = &self.nodes[at];
        let Ok(Some((fence, _))) = Fence::load(&node.disk) else { return };
        if let [last] = fence.missing(&node.members, &node.name).as_slice() {
            let asks = Content::Recovering { since: fence.made_at, after: Vec::new() };
            let question = custody_outbox_key(last, TransferId([0; 16]), asks.number());
            let put = vec![Put::Delete(fence_key()), Put::Delete(question)];
            let written = node.disk.commit(Batch { expect: Vec::new(), put });
            debug_assert!(written.is_ok(), "nobody else writes");
            self.nodes[at].look_at_fence();
        }
    }
}
