//! Repairing a store that lost rows: what is right is copied into a new store, what follows from it is
//! made again, and the node that forgot asks its peers, fenced and under a new life, as after a restore.
//!
//! In goes a stopped home, out comes a [`Report`] with what is lost as a number. The damaged store is
//! only read, and kept under a dated name. The new one takes its place by one exchange of two names;
//! a mark in the home keeps the node from starting before that, and lets a killed run begin again or
//! go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use yunling_protocol::day::UnixTime;
use yunling_protocol::message::Life;
use yunling_protocol::name::NodeName;
use yunling_protocol::recovery::fence::{decode_life, life_key};
use yunling_protocol::recovery::rebuild;
use yunling_protocol::store::{Batch, Key, Put, Read as _, Store as _, Table};

use crate::backup::restore::{BATCH_BYTES, BATCH_PUTS, begin_life, is_erased, open_store};
use crate::erasures::{self, Erased};
use crate::home::Home;
use crate::service::{Node, Refusal};
use crate::store::{Damaged, OpenError, Options, Origin, Salvaged, SledStore, Sum};

mod report;
mod swap;

pub use report::{Report, TableReport};
pub use swap::refuse_unfinished;

use swap::{Place, Stage};

/// Dossiers looked at between two writes.
const DOSSIERS_PAGE: usize = 64;
/// Bytes that must stay free beside the copy and the new store.
const SPARE_BYTES: u64 = 128 * 1024 * 1024;

/// What to repair.
#[derive(Debug)]
pub struct RepairRequest {
    /// The home; its node is stopped.
    pub home: Home,
    /// Peers of which the operator knows that they were accepted; `None` when not said. Demanded when
    /// cards of peers were lost, since a peer that nobody remembers would not be waited for.
    pub new_peers: Option<Vec<NodeName>>,
    /// Only say what would be done.
    pub dry_run: bool,
}

fn opened(folder: &Path) -> impl Fn(OpenError) -> Refusal {
    move |e| Refusal::from(e).with("path", folder.display())
}

/// Repairs the store of a home.
pub fn repair(request: RepairRequest) -> Result<Report, Refusal> {
    let RepairRequest { home, new_peers, dry_run } = request;
    let place = Place::of(&home);
    let again = match place.stage()? {
        None => false,
        // The new store is whole: only the names are left to be exchanged.
        Some(Stage::Swap { report, .. }) if !dry_run => {
            place.finish()?;
            return Ok(Report { again: true, ..*report });
        }
        Some(Stage::Swap { .. }) => return refuse_unfinished(&home.path).map(|()| Report::default()),
        Some(Stage::Copy) => true,
    };
    if !place.store.is_dir() {
        return Err(Refusal::new("repair-no-store").with("path", place.store.display()));
    }
    let damaged = Damaged::hold(&place.store, Options::default()).map_err(opened(&place.store))?;
    check_room(&damaged, &place)?;
    if !dry_run {
        place.mark(&Stage::Copy)?;
    }
    place.clear()?;
    place.make()?;
    let made = Work { place: &place, damaged: &damaged, new_peers, dry_run }.make(home);
    match made {
        Ok(report) if dry_run || report.nothing_to_do => {
            place.clear()?;
            if !dry_run {
                place.unmark()?;
            }
            Ok(Report { again, ..report })
        }
        Ok(report) => {
            place
                .mark(&Stage::Swap { kept: place.kept_name(report.at), report: Box::new(report.clone()) })?;
            place.finish()?;
            Ok(Report { again, ..report })
        }
        Err(refusal) => {
            // Nothing was changed: the node may be started, or the repair asked for again.
            place.clear()?;
            if !dry_run {
                place.unmark()?;
            }
            Err(refusal)
        }
    }
}

fn check_room(damaged: &Damaged, place: &Place) -> Result<(), Refusal> {
    let io = swap::io(&place.store);
    // A copy for the engine, which writes when it opens, and the new store.
    let needed = damaged.bytes().map_err(&io)?.saturating_mul(2).saturating_add(SPARE_BYTES);
    let free = damaged.free_bytes().map_err(&io)?;
    if free < needed {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        return Err(Refusal::new("repair-room")
            .with("path", place.store.display())
            .with("free", mib(free))
            .with("needed", mib(needed)));
    }
    Ok(())
}

/// One making of a new store.
struct Work<'a> {
    place: &'a Place,
    damaged: &'a Damaged,
    new_peers: Option<Vec<NodeName>>,
    dry_run: bool,
}

impl Work<'_> {
    fn make(self, home: Home) -> Result<Report, Refusal> {
        let name = home.name.clone();
        let now = home.clock.now();
        let backup = newest_backup(&home);
        let store = open_store(&self.place.new, &name)?;
        let erased = erasures::read(&erasures::path_of(&home.path, &home.config))?;
        let erased = erased.iter().map(|e| e.what).collect();
        let mut copy = Copy { store: &store, erased, batch: Batch::default(), bytes: 0, left_out: 0 };
        let salvaged =
            self.damaged.rows(&self.place.reading, |key, value, origin| copy.take(key, value, origin))?;
        copy.write()?;
        let left_out = copy.left_out;
        let kept = store.sums()?;
        let old = old_generation(&store, backup.as_ref().map(|b| b.generation))?;

        let store = Arc::new(store);
        let node = Node::with_store(home, store.clone())?;
        let rebuilt = rebuild_all(&node)?;
        let inferred = peers_unknown(&node)?;
        drop(node);
        let now_has = store.sums()?;
        let mut report = Report {
            at: now.0,
            dry_run: self.dry_run,
            erased: left_out,
            damaged: salvaged.damaged,
            why: salvaged.why.clone(),
            backup,
            kept_as: Some(self.place.kept_name(now.0)),
            ..Report::of(&salvaged, &kept, &now_has, &rebuilt)
        };
        report.nothing_to_do = is_untouched(&salvaged, &kept, &now_has, &report);
        if report.nothing_to_do {
            report.kept_as = None;
            return Ok(report);
        }
        drop(Arc::into_inner(store));
        if report.forgot {
            self.fence(&mut report, &name, old, inferred)?;
        }
        Ok(report)
    }

    /// The new life and the fence: everything since the beginning is asked for, since a row may be lost
    /// whatever its age.
    fn fence(
        &self,
        report: &mut Report,
        name: &NodeName,
        old: u64,
        inferred: Vec<NodeName>,
    ) -> Result<(), Refusal> {
        let mut peers = inferred;
        match &self.new_peers {
            Some(named) => peers.extend(named.iter().cloned()),
            None if report.peers_lost && !self.dry_run => return Err(Refusal::new("repair-new-peers")),
            None => {}
        }
        peers.sort();
        peers.dedup();
        let life: Life = begin_life(&self.place.new, name, UnixTime(0), old, &peers)?;
        report.generation = Some(life.generation);
        report.accept_again = peers.iter().map(ToString::to_string).collect();
        Ok(())
    }
}

/// Whether the store is right as it is: all that was counted is there, and nothing had to be made.
fn is_untouched(
    salvaged: &Salvaged,
    kept: &BTreeMap<Table, Sum>,
    now_has: &BTreeMap<Table, Sum>,
    report: &Report,
) -> bool {
    salvaged.whole
        && salvaged.damaged == 0
        && report.erased == 0
        && kept == now_has
        && report.lost() == Some(0)
}

/// Writes salvaged rows into the new store.
struct Copy<'a> {
    store: &'a SledStore,
    erased: BTreeSet<Erased>,
    batch: Batch,
    bytes: usize,
    left_out: u64,
}

impl Copy<'_> {
    fn take(&mut self, key: Key, value: Vec<u8>, origin: Origin) -> Result<(), Refusal> {
        if is_erased(&self.erased, key.table, &key.key, &value) {
            self.left_out += 1;
            return Ok(());
        }
        if origin == Origin::Filler {
            // What was read before must be seen by the look for it.
            if self.batch.put.iter().any(|put| *put.key() == key) {
                self.write()?;
            }
            if self.store.get(key.table, &key.key)?.is_some() {
                return Ok(());
            }
        }
        self.bytes += key.key.len() + value.len();
        self.batch.put.push(Put::Set(key, value));
        if self.batch.put.len() >= BATCH_PUTS || self.bytes >= BATCH_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Refusal> {
        self.bytes = 0;
        Ok(self.store.commit(std::mem::take(&mut self.batch))?)
    }
}

/// What the rebuilding of all dossiers came to.
#[derive(Debug, Default)]
pub(crate) struct Rebuilt {
    /// Statements that chains name and that are not here.
    pub(crate) holes: u64,
    /// Dossiers with such, or with an order that nobody can tell.
    pub(crate) holed: u64,
    /// Dossiers whose order was taken from the dates.
    pub(crate) by_date: u64,
    /// Statements removed for a wrong signature.
    pub(crate) forged: u64,
    /// Statements whose issuer is not known here.
    pub(crate) unjudged: u64,
}

fn rebuild_all(node: &Node) -> Result<Rebuilt, Refusal> {
    let mut rebuilt = Rebuilt::default();
    let mut after = None;
    loop {
        let ids = rebuild::dossiers(node, after, DOSSIERS_PAGE)?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        for id in ids {
            let (batch, found) = node.decide(|office| rebuild::dossier(office, node, id))?;
            write_pieces(node, batch)?;
            rebuilt.holes += found.holes;
            rebuilt.holed += u64::from(found.holes > 0 || found.unordered);
            rebuilt.by_date += u64::from(found.by_date);
            rebuilt.forged += found.forged;
            rebuilt.unjudged += found.unjudged;
            if let Some(key) = node.person_key_of(id)?
                && node.get(key.table, &key.key)?.is_none()
            {
                let mut batch = Batch::default();
                batch.put.push(Put::Set(key, id.0.to_vec()));
                node.commit(batch)?;
            }
        }
    }
    write_pieces(node, node.decide(|office| rebuild::transfers(office, node, node.vault()))?)?;
    Ok(rebuilt)
}

/// Nobody else has this store: a batch larger than one may be is written in pieces.
fn write_pieces(node: &Node, batch: Batch) -> Result<(), Refusal> {
    let mut piece = Batch::default();
    let mut bytes = 0;
    for put in batch.put {
        bytes += put.key().key.len() + put.value().map_or(0, <[u8]>::len);
        piece.put.push(put);
        if piece.put.len() >= BATCH_PUTS || bytes >= BATCH_BYTES {
            node.commit(std::mem::take(&mut piece))?;
            bytes = 0;
        }
    }
    Ok(node.commit(piece)?)
}

/// Nodes that the records speak of and whose cards are not here.
fn peers_unknown(node: &Node) -> Result<Vec<NodeName>, Refusal> {
    let members = node.members();
    let names = rebuild::names(node)?;
    Ok(names.into_iter().filter(|name| members.get(name).is_none()).collect())
}

/// The generation of the life so far; where its row is lost, of the newest backup. One that is too low
/// is told by the peers, and a higher one is taken then.
fn old_generation(store: &SledStore, backup: Option<u64>) -> Result<u64, Refusal> {
    let key = life_key();
    let stored = store.get(key.table, &key.key)?.and_then(|bytes| decode_life(&bytes));
    Ok(stored.map_or(1, |life| life.generation).max(backup.unwrap_or(1)))
}

/// The newest backup of the home that can be read.
fn newest_backup(home: &Home) -> Option<report::Backup> {
    let found = crate::backup::list(&crate::backup::folder_of(home), &home.name).ok()?;
    found.into_iter().rev().find_map(|found| {
        let manifest = found.manifest.ok()?;
        Some(report::Backup {
            file: found.path,
            made_at: manifest.made_at.0,
            rows: manifest.rows(crate::backup::PART_STORE),
            generation: manifest.life.generation,
        })
    })
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        let refusal = Self::new(error.code()).with("cause", &error);
        match error {
            OpenError::Newer { found, known, .. } => refusal.with("found", found).with("known", known),
            _ => refusal,
        }
    }
}

/// Where a folder of the repair lies beside the store.
pub(crate) fn beside(store: &Path, end: &str) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(end);
    store.with_file_name(name)
}

#[cfg(test)]
mod tests;
