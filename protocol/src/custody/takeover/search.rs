//! The old custodian's log up to the checkpoint that the roster names: whether a seal of this epoch stands
//! in it, and a change of a statement in the chain that is not in the chain.

use std::collections::BTreeSet;

use super::Assembled;
use crate::log::Entry;
use crate::log::entry::void_mark;
use crate::log::merkle::Frontier;
use crate::roster::LastCheckpoint;

/// A search under way: it is fed the entries of the log from the first on.
#[derive(Debug)]
pub struct Search {
    until: LastCheckpoint,
    nullifier: [u8; 32],
    marks: BTreeSet<[u8; 32]>,
    known: BTreeSet<[u8; 32]>,
    log: Frontier,
    sealed: bool,
    changed: bool,
}

/// A log that was searched up to the checkpoint that counts, and holds nothing against the takeover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched(LastCheckpoint);

impl Searched {
    /// What was searched.
    pub fn checkpoint(&self) -> &LastCheckpoint {
        &self.0
    }

    /// Origin, entries and root.
    pub(super) fn checkpoint_parts(&self) -> (String, u64, [u8; 32]) {
        (self.0.origin.clone(), self.0.size, self.0.root)
    }
}

impl Search {
    /// Begins, for a chain and the last checkpoint that counts.
    pub fn new(assembled: &Assembled, until: &LastCheckpoint) -> Self {
        let chain = assembled.statements.iter();
        let by_old = chain.clone().filter(|s| s.common.issuer == assembled.old);
        Self {
            until: until.clone(),
            nullifier: assembled.key.nullifier(assembled.dossier.epoch()),
            marks: by_old.map(|s| void_mark(s.id)).collect(),
            known: chain.map(|s| s.id.0).collect(),
            log: Frontier::new(),
            sealed: false,
            changed: false,
        }
    }

    /// Whether entries are still wanted.
    pub fn wants(&self) -> bool {
        self.log.size() < self.until.size
    }

    /// Takes the next entry; one behind the checkpoint does not count and is passed over.
    pub fn entry(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        if !self.wants() {
            return Ok(());
        }
        self.log.append(bytes).map_err(|_| "takeover-log-differs")?;
        match Entry::decode(bytes) {
            Ok(Entry::Custody { nullifier, .. }) => self.sealed |= nullifier == self.nullifier,
            Ok(Entry::Change { id, mark }) => {
                self.changed |= self.marks.contains(&mark) && !self.known.contains(&id);
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends. Errors: `takeover-log-short` when the entries do not reach the checkpoint,
    /// `takeover-log-differs` when they do not come to its root, `takeover-sealed-away` when the dossier
    /// was sealed, `takeover-change-missing` when a correction or void is not in the chain.
    pub fn finish(self) -> Result<Searched, &'static str> {
        if self.wants() {
            return Err("takeover-log-short");
        }
        if self.log.root() != self.until.root {
            return Err("takeover-log-differs");
        }
        if self.sealed {
            return Err("takeover-sealed-away");
        }
        if self.changed {
            return Err("takeover-change-missing");
        }
        Ok(Searched(self.until))
    }
}
