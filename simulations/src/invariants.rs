//! What must hold after every event, whatever happened, and what must hold at rest.

use std::fmt;

use yunling_protocol::custody::{Side, Stage};
use yunling_protocol::dossier::{Custody, Disputes};
use yunling_protocol::id::{DossierId, StatementId};
use yunling_protocol::ledger::{self, Books as _};
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::proof::{self, live, rows};
use yunling_protocol::recovery::learn::losses;
use yunling_protocol::status::Status;
use yunling_protocol::store::{Read as _, SCAN_ITEMS_MAX, Table};

use crate::work::short;
use crate::world::World;

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: &'static str,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.found)
    }
}

/// At most one node may append to a dossier.
pub const ONE_APPENDER: &str = "one-appender";
/// Every node's chain is a piece of one history.
pub const ONE_HISTORY: &str = "one-history";
/// The history only grows, and who may append has all of it.
pub const HISTORY_GROWS: &str = "history-grows";
/// Counted minutes are those of the acts, each once.
pub const MINUTES_CONSERVED: &str = "minutes-conserved";
/// No statement stands twice in a history.
pub const COUNTED_ONCE: &str = "counted-once";
/// What an operator was told is recorded is in the history, or on its way.
pub const ACTS_SURVIVE: &str = "acts-survive";
/// A proof states no more than is true until a void or a correction.
pub const PROOF_STANDS: &str = "proof-stands";
/// Without faults everything ends.
pub const LIVENESS: &str = "liveness";
/// At rest all nodes agree.
pub const AGREEMENT: &str = "agreement";
/// No seal leaves without its quorum, and each that left shows in what the quorum has mirrored.
pub const SEAL_SHOWN: &str = "seal-shown";
/// Production code panicked.
pub const PANIC: &str = "no-panic";

pub(crate) fn violated(invariant: &'static str, found: String) -> Result<(), Violation> {
    Err(Violation { invariant, found })
}

impl World {
    /// Looks at every dossier of the nodes whose disk has changed.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        let dirty = std::mem::take(&mut self.dirty);
        if dirty.is_empty() {
            return Ok(());
        }
        let dossiers = self.model.borrow().dossiers.clone();
        for id in dossiers {
            self.check_chains(id)?;
        }
        dirty.into_iter().try_for_each(|at| self.check_acts(at))
    }

    fn check_chains(&self, id: DossierId) -> Result<(), Violation> {
        let custodians = self.custodians(id);
        if custodians.len() > 1 {
            return violated(ONE_APPENDER, format!("{custodians:?} of {}", short(&id.0)));
        }
        let lengths: Vec<u64> = self.nodes.iter().map(|n| n.record(id).map_or(0, |r| r.length)).collect();
        let known = self.model.borrow().history.get(&id).map_or(0, |h| h.chain.len() as u64);
        let chains = self.living_chains(id);
        for (node, length) in self.nodes.iter().zip(lengths) {
            // A head that a restored node was told of, or whose rest is destroyed, has no whole chain. A
            // closed one counts for nothing, but what is there of it is whole.
            let whole = node.record(id).is_none_or(|r| !r.destroyed);
            if whole && !node.fenced && node.chain(id).len() as u64 != length {
                let at = node.at;
                return violated(ONE_HISTORY, format!("the chain of {} at {at} has holes", short(&id.0)));
            }
        }
        let Some(longest) = chains.iter().max_by_key(|c| c.len()) else { return Ok(()) };
        if chains.iter().any(|c| !longest.starts_with(c)) {
            return violated(ONE_HISTORY, format!("{} forks: {}", short(&id.0), self.whereabouts(id)));
        }
        if (longest.len() as u64) < known {
            return violated(HISTORY_GROWS, format!("{} shrank: {}", short(&id.0), self.whereabouts(id)));
        }
        if custodians.iter().any(|at| chains[*at].len() < longest.len()) {
            let found = format!("the custodian of {} lacks some: {}", short(&id.0), self.whereabouts(id));
            return violated(HISTORY_GROWS, found);
        }
        self.check_growth(id, longest)
    }

    /// The chains that count. What lies behind a fence, or was closed because the node was told of
    /// its seal, may be of a time that a restore undid: nothing is built on it.
    pub(crate) fn living_chains(&self, id: DossierId) -> Vec<Vec<Vec<u8>>> {
        let living = |node: &crate::node::Node| {
            let chain = node.chain(id);
            let told = node.record(id).is_some_and(|r| r.destroyed && r.length > chain.len() as u64);
            let closed = node.record(id).is_some_and(|r| r.closed.is_some());
            if node.fenced || told || closed { Vec::new() } else { chain }
        };
        self.nodes.iter().map(living).collect()
    }

    /// The history as known before must be the beginning of the longest chain; its sums must be
    /// those of the acts.
    fn check_growth(&self, id: DossierId, longest: &[Vec<u8>]) -> Result<(), Violation> {
        let mut model = self.model.borrow_mut();
        let history = model.history.entry(id).or_default();
        if !longest.starts_with(&history.chain) {
            return violated(HISTORY_GROWS, format!("{} was rewritten", short(&id.0)));
        }
        if longest.len() == history.chain.len() {
            return Ok(());
        }
        for statement in &longest[history.chain.len()..] {
            if !history.known.insert(statement.clone()) {
                return violated(
                    COUNTED_ONCE,
                    format!("{} stands twice in {}", short(statement), short(&id.0)),
                );
            }
        }
        history.chain = longest.to_vec();
        let sums = model.sums(longest);
        for node in &self.nodes {
            let Ok(Some(dossier)) = node.dossier(id, &YUNNAN) else { continue };
            // Behind a fence there may be another chain, of a time that the restore undid.
            if node.fenced || dossier.length() < longest.len() as u64 {
                continue;
            }
            let totals = dossier.totals(&YUNNAN);
            if (totals.stated.0, totals.counted.0) != (sums.stated, sums.counted) {
                let found = format!(
                    "{} at {}: {} of {} minutes counted, the acts give {} of {}",
                    short(&id.0),
                    node.at,
                    totals.counted.0,
                    totals.stated.0,
                    sums.counted,
                    sums.stated
                );
                return violated(MINUTES_CONSERVED, found);
            }
        }
        let lost = model
            .proofs
            .iter()
            .find(|p| p.dossier == id && p.changes == sums.changes && p.minutes > sums.counted);
        match lost {
            Some(p) => violated(PROOF_STANDS, format!("{} proven, {} counted", p.minutes, sums.counted)),
            None => Ok(()),
        }
    }

    /// Every act acknowledged by a node is in the history, on its way, or refused by the custodian.
    fn check_acts(&self, at: usize) -> Result<(), Violation> {
        let model = self.model.borrow();
        let node = &self.nodes[at];
        for id in model.acknowledged.iter().filter(|(_, by)| **by == at).map(|(id, _)| *id) {
            let Some(made) = model.intended.get(&id) else { continue };
            let stored = matches!(ledger::statement(node, made.dossier, id), Ok(Some(_)));
            if !stored {
                return violated(ACTS_SURVIVE, format!("{} is gone from {at}", short(&id.0)));
            }
            let settled = model.in_history(made.dossier, id) || model.refused.contains(&id);
            // After a restore of the custodian it waits to be told; that it comes is seen at rest.
            if !settled && model.restores == 0 && !self.waits(at, id) {
                return violated(ACTS_SURVIVE, format!("{} of {at} is nowhere on its way", short(&id.0)));
            }
        }
        for (_, transfer) in model.asked.iter().filter(|(by, _)| *by == at) {
            if self.transfer(at, *transfer).is_none() {
                return violated(ACTS_SURVIVE, format!("the move {} is forgotten", short(&transfer.0)));
            }
        }
        Ok(())
    }

    /// Whether a delivery stands in the outbox of a node.
    fn waits(&self, at: usize, id: StatementId) -> bool {
        let rows = self.nodes[at].scan(Table::Outbox, &[], None, SCAN_ITEMS_MAX).unwrap_or_default();
        rows.iter().any(|(key, _)| key.ends_with(&id.0))
    }

    /// What must hold when nothing is left to do.
    pub(crate) fn check_rest(&mut self) -> Result<(), Violation> {
        let dossiers = self.model.borrow().dossiers.clone();
        for id in dossiers {
            let custodians = self.custodians(id);
            if custodians.is_empty() && self.reported_lost(id) {
                self.model.borrow_mut().dossiers.retain(|d| *d != id);
                self.tally.lost += 1;
                continue;
            }
            let [custodian] = custodians[..] else {
                let found =
                    format!("{} has {} custodians: {}", short(&id.0), custodians.len(), self.whereabouts(id));
                return violated(AGREEMENT, found);
            };
            self.check_rest_of(id, custodian)?;
        }
        for at in 0..self.nodes.len() {
            let staged = self.nodes[at].scan(Table::Staged, &[], None, 1).unwrap_or_default();
            if !staged.is_empty() {
                return violated(LIVENESS, format!("{at} keeps a staged copy"));
            }
            self.check_transfers(at)?;
        }
        if self.witnessed {
            self.check_seals()?;
        }
        self.check_live_proofs()?;
        self.check_proofs()
    }

    /// A proof that its office still calls valid states what the record says, and the record is there.
    fn check_live_proofs(&mut self) -> Result<(), Violation> {
        let dossiers = self.model.borrow().dossiers.clone();
        for node in &self.nodes {
            for id in &dossiers {
                for (_, record, _) in rows::records_of(node, *id).unwrap_or_default() {
                    self.tally.withdrawn += u64::from(record.status != Status::Valid);
                    let now = node.office(self.seconds(), &self.policies).now;
                    if record.status != Status::Valid || !record.is_live(now) {
                        continue;
                    }
                    let found = format!("{} of {} is still valid at {}", record.place, short(&id.0), node.at);
                    let (Ok(Some(dossier)), Some(claims)) = (node.dossier(*id, &YUNNAN), &record.claims)
                    else {
                        return violated(PROOF_STANDS, format!("{found}, where the record is not"));
                    };
                    let here = *dossier.custody() == Custody::Open(node.name.clone());
                    if !here
                        || live::judge(claims, record.length, &dossier, &YUNNAN, &Disputes::new())
                            != Status::Valid
                    {
                        return violated(PROOF_STANDS, format!("{found}, held here: {here}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a dossier that nobody holds after restores is reported as lost where it was last
    /// sealed for.
    fn reported_lost(&self, id: DossierId) -> bool {
        let model = self.model.borrow();
        let newest = self.nodes.iter().filter_map(|n| n.record(id)).max_by_key(|r| r.epoch);
        let Some(Custody::Sealed { next, .. }) = newest.map(|r| r.custody) else { return false };
        let mut nodes = self.nodes.iter().filter(|n| n.name == next);
        let reported = |n: &crate::node::Node| losses(&n.disk, &n.name).is_ok_and(|l| l.dossiers > 0);
        model.restores > 1 && nodes.any(reported)
    }

    fn check_rest_of(&mut self, id: DossierId, custodian: usize) -> Result<(), Violation> {
        let Ok(Some(dossier)) = self.nodes[custodian].dossier(id, &YUNNAN) else {
            return violated(AGREEMENT, format!("{custodian} cannot fold {}", short(&id.0)));
        };
        let model = self.model.borrow();
        let chain = self.nodes[custodian].chain(id);
        let sums = model.sums(&chain);
        let totals = dossier.totals(&YUNNAN);
        if (totals.stated.0, totals.counted.0) != (sums.stated, sums.counted) {
            return violated(MINUTES_CONSERVED, format!("{totals:?} at rest, the acts give {sums:?}"));
        }
        for (statement, by) in &model.forgotten {
            let Some(made) = model.intended.get(statement).filter(|made| made.dossier == id) else {
                continue;
            };
            let back = matches!(ledger::statement(&self.nodes[*by], id, *statement), Ok(Some(_)));
            if model.in_history(id, *statement) && !back {
                return violated(
                    ACTS_SURVIVE,
                    format!("{} did not come back to {}", short(&statement.0), made.issuer),
                );
            }
        }
        for (statement, made) in model.intended.iter().filter(|(_, made)| made.dossier == id) {
            let told = model.acknowledged.contains_key(statement);
            // It may wait for a dossier whose move a restore undid.
            let waits = model.restores > 0 && self.waits(made.issuer, *statement);
            if told && !waits && !model.in_history(id, *statement) && !model.refused.contains(statement) {
                return violated(
                    ACTS_SURVIVE,
                    format!("{} of {} never arrived", short(&statement.0), made.issuer),
                );
            }
        }
        self.tally.changes += sums.changes as u64;
        Ok(())
    }

    fn check_transfers(&mut self, at: usize) -> Result<(), Violation> {
        let rows = self.nodes[at].scan(Table::Transfer, &[], None, SCAN_ITEMS_MAX).unwrap_or_default();
        for (_, bytes) in rows {
            let Ok(t) = yunling_protocol::custody::Transfer::decode(&bytes) else {
                return violated(AGREEMENT, format!("a transfer of {at} does not decode"));
            };
            if !t.stage.ended() {
                return violated(LIVENESS, format!("{} hangs at {at}: {}", short(&t.id.0), t.stage.word()));
            }
            let peer = self.nodes.iter().position(|n| n.name == t.peer);
            let other = peer.and_then(|peer| self.transfer(peer, t.id));
            // A restored node may have forgotten how a transfer ended; who holds the dossier is what counts.
            let restored = self.model.borrow().restores > 0;
            if !restored && other.as_ref().is_some_and(|o| o.stage != t.stage) {
                return violated(
                    AGREEMENT,
                    format!(
                        "{} is {} at {at}, {} at {}",
                        short(&t.id.0),
                        t.stage.word(),
                        other.map_or("", |o| o.stage.word()),
                        t.peer
                    ),
                );
            }
            let given = u64::from(t.stage == Stage::Completed && t.side == Side::Giving);
            self.tally.moves += given;
            self.tally.witnessed += if self.witnessed { given } else { 0 };
            self.tally.cancelled += u64::from(t.stage == Stage::Cancelled && t.side == Side::Taking);
        }
        Ok(())
    }

    /// Proofs handed out verify, with any node's cards.
    fn check_proofs(&mut self) -> Result<(), Violation> {
        let model = self.model.borrow();
        for shown in &model.proofs {
            let node = &self.nodes[self.dice.index(self.nodes.len())];
            let now = node.office(self.seconds(), &self.policies).now;
            let verdict = proof::verify(&shown.text, &node.members, now);
            // Dated by a clock that was ahead, or long ago, or by a peer whose removal waited for the disk
            // until all was calm: the verifier says so, and nothing worse.
            let stands = matches!(
                verdict.why,
                proof::Why::StatusUnknown
                    | proof::Why::Expired
                    | proof::Why::FromFuture
                    | proof::Why::IssuerRemoved
            );
            if !stands {
                return violated(PROOF_STANDS, format!("a proof is {}", verdict.why.code()));
            }
        }
        self.tally.proofs += model.proofs.len() as u64;
        Ok(())
    }
}
