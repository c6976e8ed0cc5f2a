//! Replay of a whole log in a folder: one's own, a mirror of another's, or one on a stick. Every entry is
//! hashed again and compared with the newest checkpoint and with every other that was ever seen; what
//! contradicts becomes evidence that a third machine can check.

use std::collections::{BTreeMap, BTreeSet};

use yunling_protocol::day::UnixTime;
use yunling_protocol::id::StatementId;
use yunling_protocol::log::audit::{Audit, Finding, Report};
use yunling_protocol::log::entry::void_mark;
use yunling_protocol::log::evidence::Evidence;
use yunling_protocol::log::merkle::{consistency_proof, root_at};
use yunling_protocol::log::tile::{self, TILE_WIDTH, Tile};
use yunling_protocol::log::{Checkpoint, Entry, Origin};
use yunling_protocol::member::Members;

use crate::log::{CHECKPOINT_FILE, Folder, LogError, Tiles};
use crate::service::Refusal;

/// What one holds of the statements of a log's owner: they must be in its log, and no change of them may be
/// there that was never told.
#[derive(Debug, Default)]
pub struct Held {
    /// Ids of statements of the owner, in any of its logs.
    pub ids: BTreeSet<StatementId>,
    /// Ids that need not be found: they are in another of its logs, or not logged yet.
    pub excused: BTreeSet<StatementId>,
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

/// Replays the log in `folder`. `seen` are notes of its checkpoints from anywhere; those of other logs and
/// those that its key did not sign are passed over. `progress` hears of the entries read.
pub fn audit(
    folder: &Folder,
    members: &Members,
    seen: &[String],
    held: &Held,
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
    let mut audit = Audit::new(&newest.origin);
    let mut notes: BTreeMap<(u64, [u8; 32]), String> = BTreeMap::new();
    for text in seen.iter().map(String::as_str).chain(std::str::from_utf8(&note)) {
        let Ok((note, checkpoint)) = Checkpoint::parse(text.as_bytes()) else { continue };
        if checkpoint.origin != newest.origin || note.verify(&keys).is_err() {
            continue;
        }
        audit.checkpoint(&checkpoint, false).map_err(|e| Refusal::new(e.code()).with("cause", e))?;
        notes.insert((checkpoint.size, checkpoint.root), text.to_owned());
    }
    let watched: BTreeMap<[u8; 32], StatementId> = held.ids.iter().map(|id| (void_mark(*id), *id)).collect();
    let (mut found, mut untold) = (BTreeSet::new(), Vec::new());
    let mut replay = Replay::new(folder, newest.size);
    while let Some(entries) = replay.next()? {
        for bytes in entries {
            let step = audit.entry(&bytes).map_err(|e| Refusal::new(e.code()).with("cause", e))?;
            let Some(entry) = step.entry else { continue };
            if let Some(id) = entry.id().map(|id| StatementId(*id)).filter(|id| held.ids.contains(id)) {
                found.insert(id);
            }
            if let Entry::Change { id, mark } = entry
                && let Some(target) = watched.get(&mark)
                && !held.ids.contains(&StatementId(id))
            {
                untold.push(*target);
            }
        }
        progress(audit.size(), newest.size);
    }
    let report = audit.report();
    let missing = held.ids.difference(&found).filter(|id| !held.excused.contains(id)).copied().collect();
    let evidence = evidence_of(folder, &report, &notes, (newest.size, newest.root))?;
    Ok(Audited { report, size: newest.size, witnessed, missing, untold, evidence })
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
        self.at = bundle.index * TILE_WIDTH + u64::from(bundle.width);
        Ok(Some(entries.into_iter().map(<[u8]>::to_vec).collect()))
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
