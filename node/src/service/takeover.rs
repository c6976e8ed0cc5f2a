//! Dossiers of a node that is gone, taken over by this one because the roster names it as the successor.
//!
//! Here are the parts around the decisions of `protocol/src/custody/takeover`: bundles from the command
//! line, the gone node's log in a folder, what members answer, and the person at the desk.

use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use yunling_protocol::bundle::Bundle;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::custody::takeover::act::{self, Heard};
use yunling_protocol::custody::takeover::chain::assemble;
use yunling_protocol::custody::takeover::{Assembled, Pending, Search, Searched, Stage, pending};
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::DossierId;
use yunling_protocol::log::Origin;
use yunling_protocol::message::Message;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{DecideError, OutboxEntry};
use yunling_protocol::roster::LastCheckpoint;
use yunling_protocol::store::{Batch, CommitError, Expect, Key, Put, Read as _, Table};

use super::audit::AUDIT_FOLDER;
use super::outbox::Pause;
use super::refusal::shown;
use super::transfers::node_name;
use super::volunteers::person_key;
use super::{Node, Refusal};
use crate::audit::Replay;
use crate::clock::fresh;
use crate::log::Folder;
use crate::person::Person;

/// Most bundles of one dossier: the volunteer's own, old data, a few copies.
const BUNDLES_MAX: usize = 8;
/// Largest request: bundles in Base64 and the JSON around them.
pub const BODY_BYTES_MAX: usize = yunling_protocol::bundle::BUNDLE_BYTES_MAX / 3 * 4 * 2;
const DAY_SECONDS: i64 = 86_400;

/// A takeover to announce.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnounceRequest {
    /// The node that is gone.
    pub from: String,
    /// Bundles of one dossier, Base64.
    pub bundles: Vec<String>,
    /// Folder with the gone node's log; the mirror that an audit made, when absent.
    pub log: Option<PathBuf>,
    /// Full name of the person, as the clerk checked it.
    pub name: Option<String>,
    /// Identity number.
    pub id_number: Option<String>,
    /// How to reach them.
    pub contact: Option<String>,
}

/// A takeover to act on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeoverRequest {
    /// Dossier id.
    pub dossier: String,
}

fn dossier_id(text: &str) -> Result<DossierId, Refusal> {
    DossierId::parse(text.trim())
        .map_err(|e| Refusal::new("dossier-id").with("value", shown(text)).with("cause", &e))
}

fn person(request: &AnnounceRequest) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(name) = request.name.as_deref().map(str::trim).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let length = request.id_number.as_deref().map_or(0, |n| n.trim().chars().count());
    let number = request.id_number.as_deref().map(|n| CitizenId::parse(n).map(|(id, _)| id)).transpose();
    let person = Person {
        name: name.to_owned(),
        // How long it is may be shown, the number never.
        citizen_id: number.map_err(|e| Refusal::new(e.code()).with("length", length))?,
        contact: request.contact.clone(),
    };
    Ok(Some(person.encode()))
}

fn view(p: &Pending, now: UnixTime) -> Value {
    let left = (p.ends.0 - now.0).max(0);
    json!({
        "dossier": p.dossier.to_string(), "takeover": p.id.to_string(), "from": p.old.to_string(),
        "state": p.stage.word(), "epoch": p.epoch, "count": p.count, "need": p.need,
        "announced": p.announced.to_string(), "ends": p.ends.to_string(),
        "days_left": (left + DAY_SECONDS - 1) / DAY_SECONDS,
        "log": p.searched.as_ref().map(|(origin, size, _)| format!("{origin}:{size}")),
    })
}

impl Node {
    /// Puts the chain together, searches the gone node's log and tells every member.
    pub fn announce_takeover(self: &Arc<Self>, request: &AnnounceRequest) -> Result<Value, Refusal> {
        let old = node_name(&request.from)?;
        let wrong = |cause: &dyn std::fmt::Display| Refusal::new("bundle-encoding").with("cause", cause);
        if request.bundles.is_empty() || request.bundles.len() > BUNDLES_MAX {
            return Err(wrong(&format!("1..={BUNDLES_MAX}")));
        }
        let mut bundles = Vec::new();
        for text in &request.bundles {
            let bytes = BASE64.decode(text.as_bytes()).map_err(|e| wrong(&e))?;
            bundles.push(Bundle::decode(&bytes).map_err(|e| wrong(&e))?);
        }
        let profile = person(request)?;
        let about = |refusal: Refusal| refusal.about("name", &old);
        let assembled =
            self.decide(|o| assemble(o, self.as_ref(), &old, &bundles)).map_err(|e| about(e.into()))?;
        let lacks = |e: DecideError| {
            let (count, need) = (assembled.dossier.length(), assembled.need);
            about(e.into()).about("count", count).about("need", need)
        };
        assembled.whole().map_err(lacks)?;
        let searched = self.search_log(&assembled, request.log.clone()).map_err(about)?;
        let mut fresh = fresh();
        let decide = |fresh: &mut _| {
            self.decide(|office| {
                let (books, vault) = (self.as_ref(), self.vault());
                act::announce(office, books, vault, fresh, &assembled, searched.as_ref(), profile.clone())
            })
        };
        let announced = decide(&mut fresh).map_err(lacks)?;
        for batch in announced.staging {
            self.commit(batch)?;
        }
        self.commit(announced.last)?;
        self.wake.notify_one();
        let p = &announced.pending;
        tracing::info!(dossier = %p.dossier, from = %p.old, ends = %p.ends, "takeover announced");
        let mut answer = view(p, self.home.clock.now());
        answer["minutes"] = assembled.dossier.totals(self.profile()).counted.0.into();
        answer["bundle_statements"] = bundles.iter().map(|b| b.statements.len()).max().into();
        Ok(answer)
    }

    /// Replays the gone node's log up to the checkpoint that the roster names; none when it had no log.
    fn search_log(
        &self,
        assembled: &Assembled,
        folder: Option<PathBuf>,
    ) -> Result<Option<Searched>, Refusal> {
        let members = self.members();
        let counts = members.succession(&assembled.old, self.home.clock.now());
        let Some(until) = counts.and_then(|(_, checkpoint)| checkpoint.cloned()) else { return Ok(None) };
        let origin = Origin::parse(&until.origin);
        let origin = origin.ok_or_else(|| Refusal::new("audit-unknown-log").with("origin", &until.origin))?;
        let mirror = || {
            let name = origin.node.as_str().replace('/', "_");
            self.home.path.join(AUDIT_FOLDER).join(name).join(origin.generation.to_string())
        };
        let path = folder.unwrap_or_else(mirror);
        let about = |refusal: Refusal| {
            refusal.about("path", path.display()).about("size", until.size).about("origin", &until.origin)
        };
        let searched = replay(&Folder::at(&path), &until, Search::new(assembled, &until));
        searched.map(Some).map_err(about)
    }

    /// The takeovers of this node that have not ended.
    pub fn takeovers(&self) -> Result<Value, Refusal> {
        let now = self.home.clock.now();
        let mut all = pending::all(self)?;
        all.retain(|p| matches!(p.stage, Stage::Noticed | Stage::Stopped));
        Ok(json!({ "takeovers": all.iter().map(|p| view(p, now)).collect::<Vec<_>>() }))
    }

    /// Takes a dossier over whose notice is over.
    pub fn complete_takeover(&self, request: &TakeoverRequest) -> Result<Value, Refusal> {
        let id = dossier_id(&request.dossier)?;
        let mut fresh = fresh();
        let now = self.home.clock.now();
        let about = |refusal: Refusal| {
            let refusal = refusal.about("dossier", id);
            let Ok(Some(loaded)) = pending::Loaded::of(self, id) else { return refusal };
            let p = view(&loaded.pending, now);
            let text = |key: &str| p[key].as_str().map_or_else(|| p[key].to_string(), str::to_owned);
            let keys = [("days", "days_left"), ("ends", "ends"), ("count", "count"), ("need", "need")];
            keys.into_iter().fold(refusal, |refusal, (name, key)| refusal.about(name, text(key)))
        };
        let taken = self.decide(|o| act::complete(o, self, self.vault(), &mut fresh, id));
        let mut taken = taken.map_err(|e| about(e.into()))?;
        for batch in taken.install {
            self.commit(batch)?;
        }
        let number = taken.profile.as_deref().and_then(|p| Person::decode(p).ok()).and_then(|p| p.citizen_id);
        if let Some(index) = number.map(|number| person_key(self, &number))
            && self.get(index.table, &index.key)?.is_none()
        {
            taken.last.expect.push(Expect::Absent(index.clone()));
            taken.last.put.push(Put::Set(index, id.0.to_vec()));
        }
        self.commit(taken.last)?;
        let minutes = taken.dossier.totals(self.profile()).counted;
        let (epoch, length) = (taken.dossier.epoch(), taken.dossier.length());
        self.remember(taken.dossier);
        tracing::info!(dossier = %id, epoch, "dossier taken over");
        if let Err(refusal) = self.erase_takeovers() {
            // Tried again with the next round.
            tracing::warn!(code = refusal.code, "staged statements stay");
        }
        self.wake.notify_one();
        Ok(json!({
            "dossier": id.to_string(), "epoch": epoch, "length": length, "minutes": minutes.0,
            "hours": minutes.hours_text(), "rebuilt": true,
        }))
    }

    /// Gives a takeover up.
    pub fn cancel_takeover(&self, request: &TakeoverRequest) -> Result<Value, Refusal> {
        let id = dossier_id(&request.dossier)?;
        self.act(|office| Ok((act::cancel(office, self, id)?, ())))
            .map_err(|e: Refusal| e.about("dossier", id))?;
        self.erase_takeovers()?;
        Ok(json!({ "dossier": id.to_string() }))
    }

    /// What a member said to a notice: statements that speak against it.
    pub(super) fn notice_answered(
        &self,
        from: &NodeName,
        key: &[u8],
        entry: &OutboxEntry,
        message: &Message,
        told: &[Vec<u8>],
    ) -> Result<Pause, Refusal> {
        let heard = self.act(|o| act::heard(o, self, self.vault(), from, message.dossier, told))?;
        match heard {
            Heard::Nothing => {
                let key = Key::new(Table::Outbox, key);
                let expect = vec![Expect::Equals(key.clone(), entry.encode())];
                match self.commit(Batch { expect, put: vec![Put::Delete(key)] }) {
                    Ok(()) | Err(CommitError::Conflict { .. }) => Ok(Pause::Ended),
                    Err(error) => Err(error.into()),
                }
            }
            Heard::Stopped => {
                tracing::error!(dossier = %message.dossier, peer = %from, "takeover stopped by an objection");
                self.count("takeovers_stopped");
                Ok(Pause::Ended)
            }
            Heard::More => {
                tracing::info!(dossier = %message.dossier, peer = %from, "a member completes a takeover");
                Ok(Pause::Ended)
            }
            Heard::Unproven => Ok(Pause::Later("objection-unproven".into())),
        }
    }

    /// Erases what ended takeovers staged.
    pub(super) fn erase_takeovers(&self) -> Result<(), Refusal> {
        for ended in pending::all(self)? {
            if matches!(ended.stage, Stage::Noticed | Stage::Stopped) {
                continue;
            }
            loop {
                let batch = pending::erase(self, &ended)?;
                let last = !batch.expect.is_empty();
                match self.commit(batch) {
                    Ok(()) if !last => {}
                    Ok(()) | Err(CommitError::Conflict { .. }) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

fn replay(folder: &Folder, until: &LastCheckpoint, mut search: Search) -> Result<Searched, Refusal> {
    let mut replay = Replay::new(folder, until.size);
    while search.wants() {
        // A bundle that is not there leaves the log too short, which has its own word.
        let Ok(Some(entries)) = replay.next() else { break };
        for entry in entries {
            search.entry(&entry).map_err(Refusal::new)?;
        }
    }
    search.finish().map_err(Refusal::new)
}
