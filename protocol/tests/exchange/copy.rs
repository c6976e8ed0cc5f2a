//! The bulk copy: what the taking node does between the offer and its accept.

use yunling_protocol::custody::record::{Loaded, forget_leftovers};
use yunling_protocol::custody::{Input, Side, Stage, Transfer, leftovers, taking};
use yunling_protocol::delivery;
use yunling_protocol::dossier::Dossier;
use yunling_protocol::id::TransferId;
use yunling_protocol::ledger;
use yunling_protocol::message::Answer;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::DecideError;
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Batch, SCAN_ITEMS_MAX, Table};

use crate::world::World;

/// Where a copying node dies, to be started again from its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dies {
    Never,
    /// After the decision, before its batch is durable.
    BeforeCommit,
    /// With half of the statements installed, before the check is recorded.
    HalfInstalled,
}

impl World {
    fn loaded(&self, at: usize, id: TransferId) -> Loaded {
        Loaded::by_id(&self.desks[at], id).unwrap().expect("the transfer is known")
    }

    /// Whether the taking node has something to copy or check.
    pub(crate) fn has_work(&self, at: usize) -> Option<Transfer> {
        let busy =
            |t: &Transfer| t.side == Side::Taking && matches!(t.stage, Stage::Copying | Stage::Checking);
        self.transfers(at).into_iter().find(busy)
    }

    /// One step of the copy: pull at most `most` statements, or check when all are staged.
    pub(crate) fn work(&self, at: usize, id: TransferId, most: usize, dies: Dies) {
        match self.transfer(at, id).map(|t| t.stage) {
            Some(Stage::Copying) => self.pull(at, id, most, dies),
            Some(Stage::Checking) => self.judge(at, id, dies),
            _ => {}
        }
    }

    /// Pulls from the old node, verifies and stages.
    pub(crate) fn pull(&self, at: usize, id: TransferId, most: usize, dies: Dies) {
        let loaded = self.loaded(at, id);
        let t = loaded.transfer.clone();
        let giver = self.index(&t.peer);
        let serves = |g: &Transfer| matches!(g.stage, Stage::Offered | Stage::Sealed | Stage::Completed);
        if !self.transfer(giver, id).as_ref().is_some_and(serves) {
            return;
        }
        let wanted = (t.count.saturating_sub(t.have) as usize).min(most);
        let part = ledger::chain(&self.desks[giver], t.dossier, t.have, wanted.max(1)).unwrap();
        let part = &part[..wanted.min(part.len())];
        for bytes in part {
            taking::verify_copied(&self.members, bytes, false, self.now.get())
                .expect("an honest chain verifies");
        }
        let decision = taking::stage(&self.office(at), loaded, t.have, part).unwrap();
        if dies != Dies::BeforeCommit {
            self.commit(at, decision.batch).unwrap();
        }
    }

    /// The staged statements, verified again.
    pub(crate) fn staged(&self, at: usize, id: TransferId) -> Vec<Statement> {
        let t = self.transfer(at, id).expect("the transfer is known");
        let bytes = taking::staged(&self.desks[at], &t).unwrap();
        let verify = |b: &Vec<u8>| taking::verify_copied(&self.members, b, false, self.now.get());
        bytes.iter().map(|b| verify(b).expect("staged statements verify")).collect()
    }

    /// Folds a copy and compares it with the offer.
    pub(crate) fn check_copy(
        &self,
        at: usize,
        t: &Transfer,
        statements: &[Statement],
    ) -> Result<Dossier, &'static str> {
        let mut check = taking::CopyCheck::begin(&self.office(at), &self.desks[at], t).unwrap();
        statements.iter().try_for_each(|s| check.take(s.clone().into()))?;
        check.finish()
    }

    /// Checks the copy, asks the issuers for changes, installs, accepts.
    pub(crate) fn judge(&self, at: usize, id: TransferId, dies: Dies) {
        let loaded = self.loaded(at, id);
        let statements = self.staged(at, id);
        let office = self.office(at);
        let dossier = match self.check_copy(at, &loaded.transfer, &statements) {
            Ok(dossier) => dossier,
            Err(reason) => {
                let failed = Input::Failed { reason: reason.into() };
                self.commit(at, taking::advance(&office, loaded, &failed).unwrap().batch).unwrap();
                return;
            }
        };
        let mut changes = Vec::new();
        let mut unasked = Vec::new();
        for issuer in taking::issuers(&dossier, &loaded.transfer, office.me) {
            match self.ask_changes(&dossier, &issuer) {
                Some(told) => changes.extend(told),
                None => unasked.push(issuer),
            }
        }
        let batches = taking::install(loaded.transfer.dossier, &statements);
        let decision = taking::checked(&office, loaded, &changes, unasked).unwrap();
        for batch in batches {
            if dies == Dies::HalfInstalled {
                let half = batch.put.len() / 2;
                self.commit(at, Batch { expect: vec![], put: batch.put[..half].to_vec() }).unwrap();
                return;
            }
            self.commit(at, batch).unwrap();
        }
        if dies != Dies::BeforeCommit {
            self.commit(at, decision.batch).unwrap();
        }
    }

    /// Corrections and voids an issuer made that the copy lacks; `None` when it does not answer.
    fn ask_changes(&self, dossier: &Dossier, issuer: &NodeName) -> Option<Vec<Statement>> {
        let asked = self.index(issuer);
        if self.silent.borrow().contains(&asked) {
            return None;
        }
        let (shown, _) = dossier.hours().iter().find(|(_, h)| h.issuer == *issuer)?;
        let answer =
            delivery::changes(&self.office(asked), &self.desks[asked], dossier.id(), *shown).unwrap();
        let Answer::Changes(list) = answer else { return None };
        let verify = |b: &Vec<u8>| self.members.verify(b, self.now.get(), false).expect("own changes verify");
        Some(list.iter().map(verify).filter(|s| dossier.sequence_of(s.id).is_none()).collect())
    }

    /// Destroys what ended transfers must not leave; the janitor of a node.
    pub(crate) fn sweep(&self, at: usize) {
        for t in leftovers::waiting(&self.office(at), &self.desks[at]).unwrap() {
            loop {
                let batch = leftovers::destroy(&self.office(at), &self.desks[at], &t, 16).unwrap();
                if batch.is_empty() {
                    break;
                }
                self.commit(at, batch).unwrap();
            }
            self.commit(at, forget_leftovers(&t)).unwrap();
        }
    }

    /// Statements staged at a node.
    pub(crate) fn staged_rows(&self, at: usize) -> usize {
        use yunling_protocol::store::Read;
        self.desks[at].scan(Table::Staged, &[], None, SCAN_ITEMS_MAX).unwrap().len()
    }

    /// Moves a taking transfer on by a person.
    pub(crate) fn push_taking(&self, at: usize, id: TransferId, input: &Input) -> Result<(), DecideError> {
        let decision = taking::advance(&self.office(at), self.loaded(at, id), input)?;
        self.commit(at, decision.batch).expect("nobody else wrote since the decision");
        Ok(())
    }
}
