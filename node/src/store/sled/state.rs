//! The open tree, and the durable state as readers see it.
//!
//! While a group of batches is being written, the tree already shows it though no disk holds it.
//! So the writer first lays the old values over the tree (the *undo*) and lifts them when the group
//! is durable: a reader sees a group wholly or not at all, and never one that may still be lost.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// The tree and what is laid over it.
#[derive(Default)]
pub(super) struct State {
    db: Option<Db>,
    undo: Values,
    /// What a snapshot that is being read still needs.
    kept: Option<Kept>,
    distrusted: bool,
}

impl State {
    pub(super) fn new(db: Db) -> Self {
        Self { db: Some(db), undo: Values::new(), kept: None, distrusted: false }
    }

    /// The open tree.
    pub(super) fn db(&self) -> Result<&Db, Fault> {
        self.db.as_ref().ok_or(Fault::Closed)
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
        self.db = None;
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
        if let Some(old) = self.undo.get(raw_key) {
            return Ok(old.clone());
        }
        let db = self.db()?;
        let found = guarded(|| db.get(raw_key))?;
        Ok(found.map(|stored| stored.to_vec()))
    }

    /// At most `limit` items from `start` up to, not including, `end`, ascending.
    pub(super) fn ascending(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<RawItem>, Fault> {
        if start >= end {
            return Ok(Vec::new());
        }
        let db = self.db()?;
        let over = self.undo.range(start.to_vec()..end.to_vec());
        guarded(|| {
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
        let db = self.db()?;
        guarded(|| {
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
        let db = self.db()?;
        let over = self.undo.range(start.to_vec()..end.to_vec()).rev();
        guarded(|| {
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
        if self.distrusted {
            // The engine flushes when dropped. What it holds is torn, so it is left to the end of
            // the process, which writes nothing.
            std::mem::forget(self.db.take());
        }
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
