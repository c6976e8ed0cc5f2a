//! Restoring a backup as a protocol event (DESIGN §6): a node that comes back with an older state
//! is fenced, takes a new life, and asks every peer what left it since.
//!
//! Where the roster names witnesses of its log, [`rejoin`] opens the fence by their word; the other peers
//! are asked all the same, without being waited for.
//!
//! [`fence`] is what the restored node keeps, [`tell`] is what a peer answers, [`learn`] is what
//! the restored node makes of it. The peer needs no state: each page names where the next begins.

pub mod fence;
pub mod learn;
pub mod rebuild;
pub mod rejoin;
pub mod tell;

use crate::custody::record::live;
use crate::custody::{Input, Side, giving, taking};
use crate::fresh::Fresh;
use crate::id::{DossierId, TransferId};
use crate::ledger::Books;
use crate::message::{Life, Message};
use crate::name::NodeName;
use crate::office::{DecideError, Office, OutboxEntry, Vault};
use crate::store::Batch;

pub use fence::{Fence, ask_all, lift, raise};

/// Dossier and transfer of a message that speaks of none.
pub(crate) const NO_DOSSIER: DossierId = DossierId([0; 16]);
/// See [`NO_DOSSIER`].
pub(crate) const NO_TRANSFER: TransferId = TransferId([0; 16]);

/// What the life in a message means beside the highest one seen of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifeVerdict {
    /// The one known.
    Same,
    /// Higher: the sender was restored (or is heard for the first time).
    Newer,
    /// Lower, or another one of the same generation; the answer is [`crate::message::Answer::Stale`].
    Stale(Life),
}

/// Judges the life a peer shows. A twin is stale for the side that saw the other one first: two
/// restores of one backup drew different marks, and only one of them may speak.
pub fn judge_life(seen: Option<Life>, shown: Life) -> LifeVerdict {
    match seen {
        Some(seen) if seen == shown => LifeVerdict::Same,
        Some(seen) if seen.generation >= shown.generation => LifeVerdict::Stale(seen),
        _ => LifeVerdict::Newer,
    }
}

/// A peer shows a higher life than before: what was half made with the old one is dropped, in the
/// batch that stores the new life. What was sealed towards it is owed still and goes out again.
pub fn new_life(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    peer: &NodeName,
) -> Result<Batch, DecideError> {
    let mut batch = Batch::default();
    for transfer in live(books)?.into_iter().filter(|t| t.peer == *peer) {
        let Some(loaded) = crate::custody::record::Loaded::by_id(books, transfer.id)? else { continue };
        let input = Input::PeerCancels { reason: "peer-restored".into() };
        let decision = match transfer.side {
            Side::Giving => giving::advance(office, books, vault, fresh, loaded, &input)?,
            Side::Taking => taking::advance(office, loaded, &input)?,
        };
        batch.merge(decision.batch);
    }
    Ok(batch)
}

/// A message from the outbox signed under an older life, signed again under the present one; `None`
/// when it is of this life already. Peers answer the older one with `Stale`.
pub fn resign(office: &Office<'_>, entry: &OutboxEntry) -> Result<Option<OutboxEntry>, DecideError> {
    let mut message = Message::parse_own(&entry.message).map_err(|e| DecideError::Rule(e.code()))?;
    if message.life == office.life {
        return Ok(None);
    }
    message.life = office.life;
    message.at = office.now;
    Ok(Some(OutboxEntry { created: entry.created, message: message.sign(office.signer)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_higher_life_replaces_the_one_seen() {
        let life = |generation, mark| Life { generation, mark: [mark; 16] };
        assert_eq!(judge_life(None, life(1, 1)), LifeVerdict::Newer);
        assert_eq!(judge_life(Some(life(2, 1)), life(2, 1)), LifeVerdict::Same);
        assert_eq!(judge_life(Some(life(2, 1)), life(3, 9)), LifeVerdict::Newer);
        assert_eq!(judge_life(Some(life(2, 1)), life(1, 1)), LifeVerdict::Stale(life(2, 1)));
        assert_eq!(judge_life(Some(life(2, 1)), life(2, 2)), LifeVerdict::Stale(life(2, 1)), "a twin");
    }
}
