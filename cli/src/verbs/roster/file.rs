//! A roster file: all versions, the last one perhaps still to be signed.

use std::path::Path;

use yunling_protocol::day::UnixTime;
use yunling_protocol::roster::step::{history, step};
use yunling_protocol::roster::{
    CHAIN_BYTES_MAX, Chain, Change, RosterError, SignedRoster, Steward, diff, read_chain, write_chain,
};

use crate::failure::Failure;
use crate::files;

/// Versions of a file, oldest first; never empty.
#[derive(Debug)]
pub(super) struct RosterFile {
    versions: Vec<SignedRoster>,
}

/// Signatures of the last version: have and need, of the version before and of its own stewards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Of the stewards of the version before; 0 of 0 for a first version.
    pub(super) before: (u64, u64),
    /// Of its own stewards.
    pub(super) own: (u64, u64),
}

impl Standing {
    /// Whether it may be published.
    pub(super) fn complete(self) -> bool {
        self.before.0 >= self.before.1 && self.own.0 >= self.own.1
    }
}

fn failure(error: &RosterError) -> Failure {
    Failure::new(error.code()).with("cause", error)
}

impl RosterFile {
    pub(super) fn begin(first: SignedRoster) -> Self {
        Self { versions: vec![first] }
    }

    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(&files::read(path, CHAIN_BYTES_MAX as u64)?, path)
    }

    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, Failure> {
        let failed = |e: RosterError| failure(&e).with("path", path.display());
        let mut versions: Vec<SignedRoster> = Vec::new();
        for bytes in read_chain(bytes).map_err(failed)? {
            let before = versions.last().map(SignedRoster::roster);
            let version = SignedRoster::parse_after(&bytes, before).map_err(failed)?;
            versions.push(version);
        }
        if versions.is_empty() {
            return Err(Failure::new("roster-none"));
        }
        Ok(Self { versions })
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        files::write(path, &write_chain(&self.versions), files::MODE_PUBLIC)
    }

    pub(super) fn last(&self) -> &SignedRoster {
        &self.versions[self.versions.len() - 1]
    }

    pub(super) fn last_mut(&mut self) -> &mut SignedRoster {
        let last = self.versions.len() - 1;
        &mut self.versions[last]
    }

    pub(super) fn push(&mut self, version: SignedRoster) {
        self.versions.push(version);
    }

    /// The version before the last one.
    pub(super) fn before(&self) -> Option<&SignedRoster> {
        self.versions.len().checked_sub(2).map(|at| &self.versions[at])
    }

    /// Stewards who may sign the last version.
    pub(super) fn stewards(&self) -> impl Iterator<Item = &Steward> + Clone {
        let before = self.before().into_iter().flat_map(|version| &version.roster().stewards);
        before.chain(&self.last().roster().stewards)
    }

    /// What the last version changes.
    pub(super) fn changes(&self) -> Vec<Change> {
        self.before().map(|before| diff(before.roster(), self.last().roster())).unwrap_or_default()
    }

    /// Whether the last version may follow, and whose signatures it still needs. Every signature in it
    /// must be a steward's.
    pub(super) fn standing(&self) -> Result<Standing, Failure> {
        let last = self.last();
        if let Some(before) = self.before() {
            match step(before, last) {
                Ok(()) | Err(RosterError::ThresholdBefore { .. } | RosterError::ThresholdOwn { .. }) => {}
                Err(error) => return Err(failure(&error)),
            }
            history(before.roster(), last.roster()).map_err(|e| failure(&e))?;
        }
        let signed = last.signers(self.stewards()).map_err(|e| failure(&e))?;
        let count = |version: &SignedRoster| {
            let roster = version.roster();
            let have = roster.stewards.iter().filter(|s| signed.contains(s.public())).count() as u64;
            (have, roster.threshold)
        };
        Ok(Standing { before: self.before().map_or((0, 0), count), own: count(last) })
    }

    /// Verifies every version, the first one with the fingerprint it is given or that it has itself.
    pub(super) fn chain(&self, fingerprint: Option<&str>, now: UnixTime) -> Result<Chain, Failure> {
        let mut versions = self.versions.iter().cloned();
        let first = versions.next().ok_or_else(|| Failure::new("roster-none"))?;
        let own = first.roster().fingerprint();
        let trial = first.roster().trial;
        let chain = Chain::begin(first, fingerprint.unwrap_or(&own), trial, now);
        let mut chain = chain.map_err(|e| failure(&e))?;
        for version in versions {
            chain.adopt(version, now).map_err(|e| failure(&e))?;
        }
        Ok(chain)
    }
}
