//! The office's log: what it signed is taken from the store into the log within a second, by one task,
//! outside of every act. The head is signed and stored in the batch that takes the entries; files and
//! checkpoint are published only then.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use yunling_protocol::key::Role;
use yunling_protocol::ledger::set;
use yunling_protocol::log::merkle::{consistency_proof, inclusion_proof};
use yunling_protocol::log::rows::{self, HeadRow, Place};
use yunling_protocol::log::{Checkpoint, Entry, Hash, Origin, keep};
use yunling_protocol::message::Life;
use yunling_protocol::store::{Batch, Expect, Key, Put, Read as _, Table, scan_all};

use super::{Node, Refusal};
use crate::log::{Book, Folder, LogError, Served, Tiles};

/// Entries taken in one round: each costs three puts of a batch, and a batch must leave others their turn.
const ROUND_ENTRIES: usize = 1_024;
/// Statements of a batch when what an older version signed is put before the log.
const BACKLOG_ROWS: usize = 512;
/// How long acts are gathered: entries of one round share their files and syncs, and a checkpoint must follow
/// within a second (DESIGN §7).
const GATHER: Duration = Duration::from_millis(200);
/// Longest the task sleeps when nothing wakes it.
const IDLE: Duration = Duration::from_secs(5);

/// The log of the present life, at its end.
#[derive(Debug)]
pub(crate) struct Open {
    generation: u64,
    book: Book,
}

/// A place in a log with all that shows it.
#[derive(Debug, Clone)]
pub struct Inclusion {
    /// Index of the entry.
    pub index: u64,
    /// Path to the root of the checkpoint.
    pub path: Vec<Hash>,
    /// The checkpoint: a whole note.
    pub note: String,
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        Self::new(error.code()).with("cause", error)
    }
}

impl Node {
    /// Folder of the log of a life.
    pub(crate) fn log_folder(&self, generation: u64) -> Folder {
        Folder::of(&self.home.path, generation)
    }

    /// Head of the log of a life, none before it began.
    pub fn log_head(&self, generation: u64) -> Result<Option<HeadRow>, Refusal> {
        let key = rows::head_key(generation);
        let stored = self.get(key.table, &key.key)?;
        let damaged = |e| Refusal::new("log-damaged").with("cause", e);
        stored.map(|bytes| HeadRow::decode(&bytes).map_err(damaged)).transpose()
    }

    /// Begins the log of this life where there is none, and brings the files of every log up to its head.
    pub(super) fn open_log(&self) -> Result<(), Refusal> {
        let life = self.life();
        // A fenced node signs nothing, and its first entry names what its witnesses may still tell it of.
        if !self.fenced() && self.log_head(life.generation)?.is_none() {
            self.begin_log(life)?;
        }
        let mut heads = Vec::new();
        scan_all::<Refusal>(self, Table::Log, rows::HEAD_PREFIX, |key, bytes| {
            let generation = key.get(1..).and_then(|rest| rest.try_into().ok()).map(u64::from_be_bytes);
            let head = HeadRow::decode(&bytes).ok();
            let damaged = Refusal::new("log-damaged").with("cause", "head");
            heads.push(generation.zip(head).ok_or(damaged)?);
            Ok(())
        })?;
        for (generation, head) in heads {
            let folder = self.log_folder(generation);
            let book = Book::open(self, &folder, generation, &head)?;
            let key = rows::life_key(generation);
            if let Some(record) = self.get(key.table, &key.key)? {
                folder.publish_life(&record)?;
            }
            if generation == life.generation {
                *self.book.lock().unwrap_or_else(PoisonError::into_inner) = Some(Open { generation, book });
            }
        }
        Ok(())
    }

    /// The first entry names this life and the last checkpoint known of the one before, whose log is closed
    /// but stays provable. What an older version signed is logged in the first log.
    fn begin_log(&self, life: Life) -> Result<(), Refusal> {
        if self.last(Table::Log, rows::HEAD_PREFIX)?.is_none() {
            self.log_backlog()?;
        }
        let record = keep::first(self, &self.home.name, life)?;
        let entry = record.entry();
        let mut batch = Batch::default();
        set(&mut batch, rows::life_key(life.generation), record.encode());
        self.grow(life.generation, Book::default(), None, &[entry.encode().unwrap_or_default()], batch)?;
        Ok(())
    }

    fn log_backlog(&self) -> Result<(), Refusal> {
        let mut batch = Batch::default();
        for table in [Table::Statement, Table::Beside] {
            scan_all::<Refusal>(self, table, b"", |_, bytes| {
                let Some(entry) = rows::own_entry(&self.home.name, &bytes) else { return Ok(()) };
                rows::wait(&mut batch, &entry);
                if batch.put.len() >= BACKLOG_ROWS {
                    self.commit(std::mem::take(&mut batch))?;
                }
                Ok(())
            })?;
        }
        Ok(self.commit(batch)?)
    }

    /// Takes what waits into the log, at most one round; says whether more waits.
    pub fn sequence(&self) -> Result<bool, Refusal> {
        if self.fenced() {
            return Ok(false);
        }
        let generation = self.life().generation;
        let mut open = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|open| open.generation != generation) {
            // Another life began, or the files could not be written.
            *open = None;
            drop(open);
            self.open_log()?;
            return Ok(true);
        }
        let waiting = self.scan(Table::Log, rows::PENDING_PREFIX, None, ROUND_ENTRIES)?;
        let Some(present) = open.as_ref().filter(|_| !waiting.is_empty()) else { return Ok(false) };
        let more = waiting.len() == ROUND_ENTRIES;
        let mut batch = Batch::default();
        let mut entries = Vec::with_capacity(waiting.len());
        for (key, entry) in waiting {
            let id = key.get(1..).and_then(|id| <[u8; 32]>::try_from(id).ok());
            let logged = match id {
                Some(id) => Place::of(self, &id)?.is_some(),
                None => true,
            };
            batch.put.push(Put::Delete(Key::new(Table::Log, key)));
            if !logged {
                entries.push(entry);
            }
        }
        if entries.is_empty() {
            self.commit(batch)?;
            return Ok(more);
        }
        let head = self.log_head(generation)?;
        let book = self.grow(generation, present.book.clone(), head, &entries, batch);
        match book {
            Ok(book) => *open = Some(Open { generation, book }),
            Err(refusal) => {
                // Read again from store and files: what was stored is published then.
                *open = None;
                return Err(refusal);
            }
        }
        Ok(more)
    }

    /// Appends entries, stores them with the new head and its signed checkpoint in one batch, and publishes.
    fn grow(
        &self,
        generation: u64,
        mut book: Book,
        old: Option<HeadRow>,
        entries: &[Vec<u8>],
        mut batch: Batch,
    ) -> Result<Book, Refusal> {
        let mut round = book.round();
        for entry in entries {
            let index = book.append(entry, &mut round)?;
            let id = Entry::decode(entry).ok().and_then(|entry| entry.id().copied());
            let id = id.ok_or_else(|| Refusal::new("log-damaged").with("cause", "an entry that waits"))?;
            set(&mut batch, rows::place_key(&id), Place { generation, index }.encode());
        }
        for (number, bundle) in round.bundles(&book) {
            set(&mut batch, rows::bundle_key(generation, number), bundle.to_vec());
        }
        let origin = Origin { node: self.home.name.clone(), generation };
        let signer = self.signer_of(Role::Log)?;
        let note = Checkpoint::new(origin.to_string(), book.size(), book.root())
            .sign(&*signer)
            .map_err(|e| Refusal::new("sign-device").with("cause", e))?
            .render();
        let key = rows::head_key(generation);
        batch.expect.push(match old {
            Some(old) => Expect::Equals(key.clone(), old.encode()),
            None => Expect::Absent(key.clone()),
        });
        let head = HeadRow { frontier: book.frontier().clone(), note };
        set(&mut batch, key, head.encode());
        self.store.commit(batch)?;
        self.log_folder(generation).publish(&book.files(round), &head.note)?;
        Ok(book)
    }

    /// The place of an id in its log, under the newest checkpoint or under one of the size given.
    pub fn inclusion(
        &self,
        id: &[u8; 32],
        note: Option<&str>,
    ) -> Result<Option<(Place, Inclusion)>, Refusal> {
        let Some(place) = Place::of(self, id)? else { return Ok(None) };
        let Some(head) = self.log_head(place.generation)? else { return Ok(None) };
        let note = note.map_or(head.note, str::to_owned);
        let (_, checkpoint) = Checkpoint::parse(note.as_bytes()).map_err(LogError::from)?;
        if checkpoint.size <= place.index {
            return Ok(None);
        }
        let folder = self.log_folder(place.generation);
        let tiles = Tiles { folder: &folder, size: checkpoint.size };
        let path = inclusion_proof(&tiles, place.index, checkpoint.size).map_err(LogError::from)?;
        Ok(Some((place, Inclusion { index: place.index, path, note })))
    }

    /// Proof that the log of this life only grew between two sizes.
    pub fn consistency(&self, generation: u64, old: u64, new: u64) -> Result<Vec<Hash>, Refusal> {
        let folder = self.log_folder(generation);
        let tiles = Tiles { folder: &folder, size: new };
        Ok(consistency_proof(&tiles, old, new).map_err(LogError::from)?)
    }

    /// The log of this life: its origin and entries, and how many wait for it.
    pub fn log_figures(&self) -> Result<serde_json::Value, Refusal> {
        let generation = self.life().generation;
        let size = self.log_head(generation)?.map_or(0, |head| head.frontier.size());
        let waiting = self.scan(Table::Log, rows::PENDING_PREFIX, None, ROUND_ENTRIES)?.len();
        let origin = Origin { node: self.home.name.clone(), generation };
        let evidence = self.scan(Table::Log, rows::EVIDENCE_PREFIX, None, ROUND_ENTRIES)?.len();
        Ok(serde_json::json!({
            "origin": origin.to_string(), "size": size, "waiting": waiting, "evidence": evidence,
        }))
    }

    /// A file of one of this node's logs.
    pub fn log_file(&self, generation: u64, path: &str) -> Result<Option<Served>, Refusal> {
        Ok(self.log_folder(generation).served(path)?)
    }

    /// Runs until the node stops: takes what waits.
    pub(crate) async fn keep_log(self: Arc<Self>) {
        loop {
            tokio::time::sleep(GATHER).await;
            let node = self.clone();
            let taken = tokio::task::spawn_blocking(move || node.sequence()).await;
            match taken {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => {}
                // Shown by status; the next round tries again.
                Ok(Err(refusal)) => {
                    tracing::error!(code = refusal.code, "the log does not go on");
                    self.count("log_failed");
                }
                Err(stopped) => tracing::error!(cause = %stopped, "the log does not go on"),
            }
            tokio::select! {
                () = self.log_wake.notified() => {}
                () = tokio::time::sleep(IDLE) => {}
            }
        }
    }
}

/// The batch with an entry for each statement in it that this node signed; whether anything waits for the log.
pub(super) fn with_entries(node: &Node, mut batch: Batch) -> (Batch, bool) {
    rows::enqueue(&node.home.name, &node.members(), node.home.clock.now(), &mut batch);
    let waits = batch.put.iter().any(|put| matches!(put, Put::Set(key, _) if rows::is_pending(key)));
    (batch, waits)
}

#[cfg(test)]
mod tests;
