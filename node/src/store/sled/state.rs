//! The open tree, and the durable state as readers see it.
//!
//! While a group of batches is being written, the tree already shows it though no disk holds it.
//! So the writer first lays the old values over the tree (the *undo*) and lifts them when the group
//! is durable: a reader sees a group wholly or not at all, and never one that may still be lost.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use ::sled::Db;

use super::snapshot::Kept;

/// Stored form by raw key, `None` for no record.
pub(super) type Values = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A raw key and its stored form.
pub(super) type RawItem = (Vec<u8>, Vec<u8>);

/// Why the engine gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The engine's own error.
    #[error("{0}")]
    Engine(#[from] ::sled::Error),
    /// The engine panicked; what it holds in memory can no longer be trusted.
    #[error("engine panicked: {0}")]
    Panic(String),
    /// The engine is not called any more.
    #[error("the engine is not used any more: {0}")]
    GivenUp(String),
    /// The tree is closed until it could be opened again.
    #[error("the store is being reopened")]
    Closed,
}

/// Runs one call of the engine; a panic in it becomes a [`Fault`].
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, ::sled::Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Ok(result?),
        Err(panic) => {
            let words = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(Fault::Panic(words.unwrap_or_else(|| "no words".to_owned())))
        }
    }
}

/// Closes an engine, which writes what it still holds; also one that panics over it.
pub(super) fn close(db: Db) {
    if let Err(fault) = guarded(|| {
        drop(db);
        Ok(())
    }) {
        tracing::error!(%fault, "the engine could not be closed");
    }
}

/// The tree and what is laid over it.
#[derive(Default)]
pub(super) struct State {
    db: Option<Db>,
    undo: Values,
    /// What a snapshot that is being read still needs.
    kept: Option<Kept>,
    distrusted: bool,
    /// Why the engine is not called any more, usually its panic: what it holds in memory may be
    /// half changed, and a lock in it may be held for ever.
    given_up: OnceLock<String>,
}

impl State {
    pub(super) fn new(db: Db) -> Self {
        Self { db: Some(db), undo: Values::new(), kept: None, distrusted: false, given_up: OnceLock::new() }
    }

    /// The open tree, unless it was given up.
    pub(super) fn db(&self) -> Result<&Db, Fault> {
        if let Some(words) = self.given_up.get() {
            return Err(Fault::GivenUp(words.clone()));
        }
        self.db.as_ref().ok_or(Fault::Closed)
    }

    /// Calls the engine; its first panic is its last call.
    pub(super) fn call<T>(&self, call: impl FnOnce(&Db) -> Result<T, ::sled::Error>) -> Result<T, Fault> {
        let db = self.db()?;
        self.noted(guarded(|| call(db)))
    }

    /// Takes note of a panic in an answer of the engine.
    pub(super) fn noted<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(Fault::Panic(words)) = &answer {
            self.give_up(words);
        }
        answer
    }

    /// Calls the engine no more: every read and write is an error from now on.
    pub(super) fn give_up(&self, why: &str) {
        // A second cause at the same moment says no more than the first.
        let _ = self.given_up.set(why.to_owned());
    }

    /// Why the engine is not called any more.
    pub(super) fn given_up(&self) -> Option<&str> {
        self.given_up.get().map(String::as_str)
    }

    /// Lays old values over the tree.
    pub(super) fn cover(&mut self, undo: Values) {
        if let Some(kept) = &mut self.kept {
            kept.keep(&undo);
        }
        self.undo = undo;
    }

    /// Shows the tree as it is.
    pub(super) fn uncover(&mut self) {
        self.undo = Values::new();
    }

    /// The old values that lie over the tree.
    pub(super) fn undo(&self) -> &Values {
        &self.undo
    }

    /// Closes the tree. Only right when the engine will write nothing of its own accord: after
    /// success, or after an error that the engine keeps.
    pub(super) fn close(&mut self) {
        if let Some(db) = self.db.take() {
            close(db);
        }
    }

    /// Takes a tree that was opened again.
    pub(super) fn reopened(&mut self, db: Db) {
        self.db = Some(db);
    }

    /// Never lets the engine write again what it holds: closing it would write a torn group.
    pub(super) fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// The stored form at a raw key.
    pub(super) fn get(&self, raw_key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.db()?;
        if let Some(old) = self.undo.get(raw_key) {
            return Ok(old.clone());
        }
        let found = self.call(|db| db.get(raw_key))?;
        Ok(found.map(|stored| stored.to_vec()))
    }

    /// At most `limit` items from `start` up to, not including, `end`, ascending.
    pub(super) fn ascending(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<RawItem>, Fault> {
        if start >= end {
            return Ok(Vec::new());
        }
        let over = self.undo.range(start.to_vec()..end.to_vec());
        self.call(|db| {
            let under = db.range(start..end);
            Merged::new(under, over, |a, b| a < b).take(limit).collect()
        })
    }

    /// Begins a snapshot of what readers see now; `false` when one is being read.
    pub(super) fn begin_snapshot(&mut self) -> bool {
        if self.kept.is_some() {
            return false;
        }
        // A group that is being written is not durable: the snapshot is the state before it.
        self.kept = Some(Kept::new(&self.undo));
        true
    }

    /// The next items of the snapshot.
    pub(super) fn snapshot_items(&self, limit: usize) -> Result<Vec<RawItem>, Fault> {
        let Some(kept) = &self.kept else { return Ok(Vec::new()) };
        self.call(|db| {
            let under = db.range(kept.cursor()..);
            Merged::new(under, kept.ahead(), |a, b| a < b).take(limit).collect()
        })
    }

    /// The snapshot that is being read.
    pub(super) fn kept(&mut self) -> Option<&mut Kept> {
        self.kept.as_mut()
    }

    /// Ends the snapshot.
    pub(super) fn end_snapshot(&mut self) {
        self.kept = None;
    }

    /// The last item from `start` up to, not including, `end`.
    pub(super) fn last(&self, start: &[u8], end: &[u8]) -> Result<Option<RawItem>, Fault> {
        let over = self.undo.range(start.to_vec()..end.to_vec()).rev();
        self.call(|db| {
            let under = db.range(start..end).rev();
            Merged::new(under, over, |a, b| a > b).next().transpose()
        })
    }
}

// The engine's own form would print every record.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.distrusted || self.given_up.get().is_some() {
            // The engine flushes when dropped. What it holds is torn, so it is left to the end of
            // the process, which writes nothing.
            std::mem::forget(self.db.take());
        }
        self.close();
    }
}

type Under = Result<(::sled::IVec, ::sled::IVec), ::sled::Error>;

/// Two ordered lists as one; at the same key the one laid over counts.
struct Merged<U: Iterator<Item = Under>, O: Iterator> {
    under: Peekable<U>,
    over: Peekable<O>,
    before: fn(&[u8], &[u8]) -> bool,
}

impl<'a, U, O> Merged<U, O>
where
    U: Iterator<Item = Under>,
    O: Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
{
    fn new(under: U, over: O, before: fn(&[u8], &[u8]) -> bool) -> Self {
        Self { under: under.peekable(), over: over.peekable(), before }
    }
}

impl<'a, U, O> Iterator for Merged<U, O>
where
    U: Iterator<Item = Under>,
    O: Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
{
    type Item = Result<RawItem, ::sled::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let over_first = match (self.under.peek(), self.over.peek()) {
                (_, None) | (Some(Err(_)), Some(_)) => false,
                (None, Some(_)) => true,
                (Some(Ok((under, _))), Some((over, _))) => {
                    if under == *over {
                        // Hidden: the item laid over it comes next.
                        self.under.next();
                        continue;
                    }
                    (self.before)(over, under)
                }
            };
            if !over_first {
                let item = self.under.next()?;
                return Some(item.map(|(key, value)| (key.to_vec(), value.to_vec())));
            }
            if let Some((key, Some(value))) = self.over.next() {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    }
}
