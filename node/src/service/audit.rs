//! Audit of another office's log: its bundles are fetched into a mirror under `audit/` in the home, its tiles
//! are made again from them, and everything is replayed. A mirror that was begun is gone on with.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use yunling_protocol::id::StatementId;
use yunling_protocol::log::audit::{Finding, Report};
use yunling_protocol::log::evidence::Evidence;
use yunling_protocol::log::rows;
use yunling_protocol::log::tile::{self, TILE_WIDTH, Tile, TileKind};
use yunling_protocol::log::witness::Seen;
use yunling_protocol::log::{Checkpoint, Origin};
use yunling_protocol::message::{Answer, Frame};
use yunling_protocol::name::NodeName;
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Read as _, Table, scan_all};

use super::{Node, Refusal, peers};
use crate::audit::{Audited, Held, Keep, audit_kept};
use crate::log::{Book, CHECKPOINT_FILE, Folder, LogError, Round};

/// Folder of the mirrors in a home.
pub(super) const AUDIT_FOLDER: &str = "audit";
/// State of a replay, beside the mirror it is about; no path of a log is called so.
const STATE_FILE: &str = "replay";
/// Lives of a peer that are read, the newest ones; each is a restore.
const LIVES_MAX: u64 = 64;
/// Longest a file of a log may take: it has at most 64 KiB.
const FILE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bundles fetched between two writes of the mirror.
const BUNDLES_KEPT: usize = 64;

/// What an audit of a peer is doing now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Under {
    stage: &'static str,
    at: u64,
    of: u64,
}

/// Ends the entry of a running audit, however it ends.
struct Running<'a>(&'a Node, &'a NodeName);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.audits.lock().unwrap_or_else(PoisonError::into_inner).remove(self.1);
    }
}

impl Node {
    /// Fetches and replays the logs of all lives of a peer. The answer is that of the present one; what is held
    /// of the peer must be in one of them.
    pub async fn audit_peer(self: Arc<Self>, name: &NodeName) -> Result<Value, Refusal> {
        let unknown = || Refusal::new("peer-unknown").with("name", name);
        let life = self.peer(name).map(|(_, record)| record.life)?;
        let generation = life.map_or(1, |life| life.generation);
        {
            let mut audits = self.audits.lock().unwrap_or_else(PoisonError::into_inner);
            if audits.contains_key(name) {
                return Err(Refusal::new("audit-running").with("name", name));
            }
            audits.insert(name.clone(), Under { stage: "fetching", at: 0, of: 0 });
        }
        let node = self.clone();
        let _running = Running(&node, name);
        let (mut earlier, mut unread) = (Vec::new(), Vec::new());
        for life in generation.saturating_sub(LIVES_MAX).max(1)..generation {
            let origin = Origin { node: name.clone(), generation: life };
            match self.audit_life(&origin).await? {
                Some(audited) => {
                    // A log that a restore cut short cannot show what it lost.
                    if audited.report.unreached > 0 {
                        unread.push(life);
                    }
                    earlier.push((origin.to_string(), audited));
                }
                None => unread.push(life),
            }
        }
        let origin = Origin { node: name.clone(), generation };
        let audited = self.audit_life(&origin).await?.ok_or_else(unknown)?;
        Ok(joined(&origin, audited, &earlier, &unread))
    }

    /// How far the audit of a peer is; nothing when none runs.
    pub fn audit_progress(&self, name: &NodeName) -> Value {
        let under = self.audits.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        under.map_or(Value::Null, |Under { stage, at, of }| json!({ "stage": stage, "at": at, "of": of }))
    }

    fn note_progress(&self, name: &NodeName, stage: &'static str, at: u64, of: u64) {
        let mut audits = self.audits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under) = audits.get_mut(name) {
            *under = Under { stage, at, of };
        }
    }

    /// Fetches and replays the log of one life; none when the peer does not serve it.
    async fn audit_life(self: &Arc<Self>, origin: &Origin) -> Result<Option<Audited>, Refusal> {
        let (name, generation) = (&origin.node, origin.generation);
        let Some(note) = self.fetch(name, None, generation, CHECKPOINT_FILE).await? else { return Ok(None) };
        let (_, checkpoint) = Checkpoint::parse(&note).map_err(LogError::from)?;
        if checkpoint.origin != origin.to_string() {
            return Err(Refusal::new("audit-unknown-log").with("origin", checkpoint.origin));
        }
        // A mirror of another history must not hide what is served now: it is made again beside it.
        let mirror = self.mirror(origin, false);
        let fresh = self.mirror(origin, true);
        let folder = if self.fill_mirror(origin, &mirror, &note, &checkpoint).await? {
            mirror
        } else {
            fresh.remove()?;
            self.fill_mirror(origin, &fresh, &note, &checkpoint).await?;
            fresh
        };
        let (node, origin) = (self.clone(), origin.clone());
        let done = tokio::task::spawn_blocking(move || node.audit_folder(&folder, &origin)).await;
        done.map_err(|e| Refusal::new("internal").with("cause", e))?.map(Some)
    }

    fn mirror(&self, origin: &Origin, fresh: bool) -> Folder {
        let life = origin.generation.to_string() + if fresh { "-again" } else { "" };
        Folder::at(self.home.path.join(AUDIT_FOLDER).join(origin.node.as_str().replace('/', "_")).join(life))
    }

    /// A file of a peer's log, or of what it has mirrored of the log `of` another.
    pub(super) async fn fetch(
        &self,
        name: &NodeName,
        of: Option<&NodeName>,
        generation: u64,
        path: &str,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let failed = |code: &str| Refusal::new("audit-fetch").with("name", name).with("cause", code);
        let net = self.net().ok_or_else(|| failed("net-stopped"))?;
        let members = self.members();
        let member = members.get(name).filter(|m| m.removed_at.is_none());
        let peer = member.and_then(|m| peers::peer_id(&m.card)).ok_or_else(|| failed("peer-unknown"))?;
        let frame = Frame::LogFile { generation, path: path.to_owned(), of: of.cloned() }.encode();
        let bytes = net.request(peer, frame, FILE_TIMEOUT).await.map_err(|e| failed(e.code()))?;
        match Answer::decode(&bytes) {
            Ok(Answer::LogFile(bytes)) => Ok(Some(bytes)),
            Ok(Answer::Refused(code)) if code == "log-file-unknown" => Ok(None),
            Ok(Answer::Refused(code)) => Err(failed(&code)),
            _ => Err(failed("answer-unexpected")),
        }
    }

    /// Brings a mirror up to a checkpoint; false when its entries do not come to the checkpoint's root.
    async fn fill_mirror(
        &self,
        origin: &Origin,
        folder: &Folder,
        note: &[u8],
        checkpoint: &Checkpoint,
    ) -> Result<bool, Refusal> {
        let (book, round) = self.pull_entries(origin, folder, checkpoint.size).await?;
        let note = String::from_utf8_lossy(note);
        let same = book.root() == checkpoint.root;
        folder.publish(&book.files(round), &note)?;
        Ok(same)
    }

    /// The log of a peer up to `size`, gone on with from the files that are in `folder`; full ones are written
    /// on the way.
    pub(super) async fn pull_entries(
        &self,
        origin: &Origin,
        folder: &Folder,
        size: u64,
    ) -> Result<(Book, Round), Refusal> {
        let mut book = Book::resume(folder, size)?;
        let mut round = book.round();
        let mut kept = 0;
        while book.size() < size {
            let number = book.size() / TILE_WIDTH;
            let width = (size - number * TILE_WIDTH).min(TILE_WIDTH) as u16;
            let bundle = Tile { kind: TileKind::Entries, index: number, width };
            let lacks = || Refusal::new("audit-incomplete").with("path", bundle.to_string());
            let bytes = self.fetch(&origin.node, None, origin.generation, &bundle.to_string()).await?;
            let bytes = bytes.ok_or_else(lacks)?;
            let entries = tile::decode_entries(&bytes, width).map_err(|_| lacks())?;
            for entry in entries.into_iter().skip((book.size() % TILE_WIDTH) as usize) {
                book.append(entry, &mut round)?;
            }
            self.note_progress(&origin.node, "fetching", book.size(), size);
            kept += 1;
            if kept == BUNDLES_KEPT {
                kept = 0;
                let full = std::mem::replace(&mut round, book.round());
                folder.write_tiles(&book.files(full))?;
            }
        }
        Ok((book, round))
    }

    fn audit_folder(&self, folder: &Folder, origin: &Origin) -> Result<Audited, Refusal> {
        let seen = self.seen_checkpoints(origin)?;
        let held = self.held_of(&origin.node)?;
        let keep = Keep::at(folder.path().join(STATE_FILE));
        let progress = |at, of| self.note_progress(&origin.node, "replaying", at, of);
        let now = self.home.clock.now();
        let audited = audit_kept(folder, &self.members(), (&seen, &held), Some(&keep), now, progress)?;
        for evidence in &audited.evidence {
            self.expose(evidence)?;
        }
        Ok(audited)
    }

    /// Every checkpoint of a log that this node has kept: those it cosigned, relied on or heard of.
    fn seen_checkpoints(&self, origin: &Origin) -> Result<Vec<String>, Refusal> {
        let mut seen = Vec::new();
        let hash: [u8; 32] = Sha256::digest(origin.to_string()).into();
        let key = rows::witnessed_key(&hash);
        if let Some(stored) = self.get(key.table, &key.key)? {
            let stored = Seen::decode(&stored).map_err(|e| Refusal::new("log-damaged").with("cause", e))?;
            seen.push(stored.note);
        }
        for prefix in [rows::foreign_prefix(&hash), rows::heard_prefix(&hash)] {
            scan_all::<Refusal>(self, Table::Log, &prefix, |_, note| {
                seen.extend(String::from_utf8(note));
                Ok(())
            })?;
        }
        Ok(seen)
    }

    /// Statements of a node that are held here.
    fn held_of(&self, issuer: &NodeName) -> Result<Held, Refusal> {
        let mut held = Held::default();
        scan_all::<Refusal>(self, Table::Statement, b"", |_, bytes| {
            if let Ok(statement) = Statement::parse(&bytes)
                && statement.common.issuer == *issuer
            {
                held.ids.insert(StatementId(statement.id.0));
            }
            Ok(())
        })?;
        Ok(held)
    }
}

/// One answer for all lives: what is held must be in the log of one of them. What is in none stays unplaced where
/// a life before the present one cannot be read whole, and is missing where all can.
fn joined(origin: &Origin, mut audited: Audited, earlier: &[(String, Audited)], unread: &[u64]) -> Value {
    let in_earlier = |id: &StatementId| earlier.iter().any(|(_, life)| life.found.contains(id));
    let nowhere: Vec<StatementId> = audited.missing.iter().filter(|id| !in_earlier(id)).copied().collect();
    let (missing, unplaced) = if unread.is_empty() { (nowhere, Vec::new()) } else { (Vec::new(), nowhere) };
    audited.missing = missing;
    let mut all = view(&origin.to_string(), &audited);
    // An earlier log is closed: its last checkpoint may have met no witness, its end may be lost.
    let whole = |life: &Audited| {
        life.report.findings.is_empty() && life.evidence.is_empty() && life.untold.is_empty()
    };
    all["clean"] = (audited.is_clean() && earlier.iter().all(|(_, life)| whole(life))).into();
    let shown = |(origin, life): &(String, Audited)| {
        let mut shown = view(origin, life);
        shown["missing"] = json!([]);
        shown["clean"] = whole(life).into();
        shown
    };
    all["earlier"] = earlier.iter().map(shown).collect();
    all["unread"] = json!(unread);
    all["unplaced"] = unplaced.iter().map(ToString::to_string).collect();
    all
}

impl Node {
    /// Whom evidence exposes, in what log or dossier, and at which size, index, epoch or statement; blanks
    /// when this node does not know the accused (any more).
    pub fn proved(&self, evidence: &Evidence) -> (String, String, String) {
        let (members, now) = (self.members(), self.home.clock.now());
        let keys = |node: &NodeName, role| members.keys_ever(node, role, now).cloned().collect();
        evidence.verify(keys).map(|proved| proved.place()).unwrap_or_default()
    }
}

/// An audit as the API and the command line show it.
pub fn view(origin: &str, audited: &Audited) -> Value {
    let Audited { report, size, witnessed, missing, untold, evidence, .. } = audited;
    let Report { counts, confirmed, findings, .. } = report;
    json!({
        "origin": origin,
        "clean": audited.is_clean(),
        "size": size,
        "entries": report.size,
        "confirmed": confirmed,
        "checkpoints": counts.agreed,
        "other_roots": counts.other_roots,
        "repeated_nullifiers": counts.repeated,
        "malformed": counts.malformed,
        "witnessed": witnessed,
        "missing": missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "untold": untold.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "evidence": evidence.iter().map(Evidence::word).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    match finding {
        Finding::OtherRoot { size, .. } => json!({ "kind": "other-root", "at": size }),
        Finding::RepeatedNullifier { first, again } => {
            json!({ "kind": "repeated-nullifier", "at": again, "first": first })
        }
        Finding::Malformed { index } => json!({ "kind": "malformed", "at": index }),
    }
}
