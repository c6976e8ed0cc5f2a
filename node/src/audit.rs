//! Replay of a whole log in a folder: one's own, a mirror of another's, or one on a stick. Every entry is
//! hashed again and compared with the newest checkpoint and with every other that was ever seen; what
//! contradicts becomes evidence that a third machine can check.

mod state;

use std::collections::{BTreeMap, BTreeSet};

use yunling_protocol::day::UnixTime;
use yunling_protocol::id::StatementId;
use yunling_protocol::log::audit::{Finding, Report};
use yunling_protocol::log::entry::void_mark;
use yunling_protocol::log::evidence::Evidence;
use yunling_protocol::log::merkle::{consistency_proof, root_at};
use yunling_protocol::log::tile::{self, TILE_WIDTH, Tile};
use yunling_protocol::log::{Checkpoint, Entry, Origin};
use yunling_protocol::member::Members;

use crate::log::{CHECKPOINT_FILE, Folder, LogError, Tiles};
use crate::service::Refusal;
use state::State;

pub use state::Keep;

/// What one holds of the statements of a log's owner: they must be in its log, and no change of them may be
/// there that was never told.
#[derive(Debug, Default)]
pub struct Held {
    /// Ids of statements of the owner, in any of its logs.
    pub ids: BTreeSet<StatementId>,
}

/// What an audit came to.
#[derive(Debug)]
pub struct Audited {
    /// The replay.
    pub report: Report,
    /// Size of the newest checkpoint of the folder.
    pub size: u64,
    /// Whether the quorum cosigned the newest checkpoint; none where no witnesses are set.
    pub witnessed: Option<bool>,
    /// Held statements of the owner that are in this log.
    pub found: BTreeSet<StatementId>,
    /// Held statements of the owner that are not in this log.
    pub missing: Vec<StatementId>,
    /// Held statements that the log says were voided or corrected by a statement not held here.
    pub untold: Vec<StatementId>,
    /// Evidence against the owner.
    pub evidence: Vec<Evidence>,
}

impl Audited {
    /// Whether nothing speaks against the log.
    pub fn is_clean(&self) -> bool {
        self.report.is_clean()
            && self.untold.is_empty()
            && self.missing.is_empty()
            && self.evidence.is_empty()
            && self.witnessed != Some(false)
    }
}

/// As [`audit_kept`], in one go.
pub fn audit(
    folder: &Folder,
    members: &Members,
    seen: &[String],
    held: &Held,
    now: UnixTime,
    progress: impl FnMut(u64, u64),
) -> Result<Audited, Refusal> {
    audit_kept(folder, members, (seen, held), None, now, progress)
}

/// Replays the log in `folder`. `seen` are notes of its checkpoints from anywhere; those of other logs and
/// those that its key did not sign are passed over. With `keep` it goes on where a run before it was stopped, with
/// what was held then. `progress` hears of the entries read.
pub fn audit_kept(
    folder: &Folder,
    members: &Members,
    (seen, held): (&[String], &Held),
    keep: Option<&Keep>,
    now: UnixTime,
    mut progress: impl FnMut(u64, u64),
) -> Result<Audited, Refusal> {
    let note = folder.read(CHECKPOINT_FILE)?.ok_or_else(|| Refusal::new("audit-no-log"))?;
    let (parsed, newest) = Checkpoint::parse(&note).map_err(LogError::from)?;
    let unknown = || Refusal::new("audit-unknown-log").with("origin", &newest.origin);
    let origin = Origin::parse(&newest.origin).ok_or_else(unknown)?;
    let keys = members.log_keys(&origin);
    if parsed.verify(&keys).is_err() {
        return Err(unknown());
    }
    let quorum = members.quorum(&origin.node).map_err(|e| Refusal::new(e.code()).with("cause", e))?;
    let witnessed = quorum
        .map(|quorum| quorum.judge(&parsed.text, parsed.signatures.iter().map(Into::into), now).is_ok());
    let mut notes: BTreeMap<(u64, [u8; 32]), String> = BTreeMap::new();
    for text in seen.iter().map(String::as_str).chain(std::str::from_utf8(&note)) {
        let Ok((note, checkpoint)) = Checkpoint::parse(text.as_bytes()) else { continue };
        if checkpoint.origin != newest.origin || note.verify(&keys).is_err() {
            continue;
        }
        notes.insert((checkpoint.size, checkpoint.root), text.to_owned());
    }
    let goes_on =
        |state: &State| state.continues(folder, (&newest.origin, newest.size), notes.keys().copied());
    let kept = keep.and_then(Keep::read).filter(goes_on);
    let mut state = kept.unwrap_or_else(|| State::begin(&newest.origin, &held.ids));
    for (size, root) in notes.keys() {
        if state.told.insert((*size, *root)) {
            let checkpoint = Checkpoint::new(newest.origin.clone(), *size, *root);
            let told = state.audit.checkpoint(&checkpoint, false);
            told.map_err(|e| Refusal::new(e.code()).with("cause", e))?;
        }
    }
    let watched: BTreeMap<[u8; 32], StatementId> =
        state.held.iter().map(|id| (void_mark(*id), *id)).collect();
    let mut replay = Replay { folder, size: newest.size, at: state.audit.size() };
    let mut saved = state.audit.size();
    while let Some(entries) = replay.next()? {
        for bytes in entries {
            let step = state.audit.entry(&bytes).map_err(|e| Refusal::new(e.code()).with("cause", e))?;
            let Some(entry) = step.entry else { continue };
            if let Some(id) = entry.id().map(|id| StatementId(*id)).filter(|id| state.held.contains(id)) {
                state.found.insert(id);
            }
            if let Entry::Change { id, mark } = entry
                && let Some(target) = watched.get(&mark)
                && !state.held.contains(&StatementId(id))
            {
                state.untold.push(*target);
            }
        }
        if let Some(keep) = keep.filter(|keep| state.audit.size() - saved >= keep.every) {
            saved = state.audit.size();
            keep.write(&state)?;
        }
        progress(state.audit.size(), newest.size);
    }
    if let Some(keep) = keep {
        keep.forget()?;
    }
    let report = state.audit.report();
    let State { held, found, untold, .. } = state;
    let missing = held.difference(&found).copied().collect();
    let evidence = evidence_of(folder, &report, &notes, (newest.size, newest.root))?;
    Ok(Audited { report, found, size: newest.size, witnessed, missing, untold, evidence })
}

/// The entries of a folder, a bundle at a time.
pub(crate) struct Replay<'a> {
    folder: &'a Folder,
    size: u64,
    at: u64,
}

impl<'a> Replay<'a> {
    /// From the first entry up to `size`.
    pub(crate) fn new(folder: &'a Folder, size: u64) -> Self {
        Self { folder, size, at: 0 }
    }

    /// The entries of the next bundle.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>, Refusal> {
        let Some((bundle, _)) = Tile::bundle_of(self.at, self.size) else { return Ok(None) };
        let lacks = || Refusal::new("audit-incomplete").with("path", bundle.to_string());
        let bytes = self.folder.tile(bundle)?.ok_or_else(lacks)?;
        let entries = tile::decode_entries(&bytes, bundle.width).map_err(|_| lacks())?;
        // A kept replay may have stopped within what was the last bundle then.
        let entries = entries.into_iter().skip((self.at - bundle.index * TILE_WIDTH) as usize);
        self.at = bundle.index * TILE_WIDTH + u64::from(bundle.width);
        Ok(Some(entries.map(<[u8]>::to_vec).collect()))
    }
}

/// Evidence out of the checkpoints that the entries contradict.
fn evidence_of(
    folder: &Folder,
    report: &Report,
    notes: &BTreeMap<(u64, [u8; 32]), String>,
    newest: (u64, [u8; 32]),
) -> Result<Vec<Evidence>, Refusal> {
    let mut evidence = Vec::new();
    for finding in &report.findings {
        let Finding::OtherRoot { size, signed, computed } = finding else { continue };
        let Some(old) = notes.get(&(*size, *signed)) else { continue };
        // Two signed roots of one size, where both were seen.
        if let Some(other) = notes.get(&(*size, *computed)) {
            evidence.push(Evidence::TwoRoots { one: old.clone(), other: other.clone() });
            continue;
        }
        // Else the newest checkpoint extends what the entries come to: only when they are really its entries.
        let tiles = Tiles { folder, size: newest.0 };
        let (Some(new), true) = (notes.get(&newest), newest.0 > *size) else { continue };
        if root_at(&tiles, newest.0).is_ok_and(|root| root == newest.1) {
            let path = consistency_proof(&tiles, *size, newest.0).map_err(LogError::from)?;
            evidence.push(Evidence::Rewritten { old: old.clone(), new: new.clone(), root: *computed, path });
        }
    }
    Ok(evidence)
}

#[cfg(test)]
mod tests;
