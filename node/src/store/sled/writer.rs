//! The one thread that writes: it takes a group, decides, makes it durable, then answers.
//!
//! When the engine fails, the group is answered only after it is known what became of it: the
//! engine is opened again and every record of the group compared. A group found half written is
//! taken back; one that cannot be judged stops all writing until the process is started again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::sled::Batch as EngineBatch;
use yunling_protocol::store::{CommitError, Key, StoreError};

use super::home::is_full;
use super::queue::{Job, Taken};
use super::record::{decode, encode, raw_key};
use super::room::REOPEN_FREE_BYTES_MIN;
use super::state::{Fault, Values};
use super::tally::file::{SYNC_AFTER, TallyFile};
use super::tally::{TALLY_KEY, Tally};
use super::whole::{Begun, DataFile};
use super::{Health, Shared};

/// How often an idle writer looks whether a cause of trouble is gone.
const TICK: Duration = Duration::from_secs(1);

/// A group whose write failed and whose fate is not known yet.
struct Pending {
    puts: Values,
    /// Whether its batches were already told that they are not in the store.
    answered: bool,
}

/// What became of a failed group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Durable,
    Gone,
    Unknown,
}

/// The writer.
pub(super) struct Writer {
    shared: Arc<Shared>,
    data_file: DataFile,
    tally_file: TallyFile,
    /// What the durable state holds.
    tally: Tally,
    pending: Option<Pending>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, begun: Begun) -> Self {
        let Begun { data_file, tally_file, tally } = begun;
        Self { shared, data_file, tally_file, tally, pending: None }
    }

    /// Has tests look at the data before each sync.
    #[cfg(test)]
    pub(super) fn watch(&mut self, before: Box<dyn FnMut() -> std::io::Result<()> + Send>) {
        self.data_file.before = Some(before);
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            let wait = if self.tally_file.is_dirty() { SYNC_AFTER } else { TICK };
            match self.shared.queue.take(wait) {
                Taken::Group(jobs) => self.serve(jobs),
                Taken::Nothing => self.tick(),
                Taken::Closed => return self.end(),
            }
            let synced = self.tally_file.sync_if_due();
            self.tally_synced(synced);
            self.shared.silent.store(false, Ordering::Release);
        }
    }

    fn serve(&mut self, jobs: Vec<Job>) {
        if let Err(error) = self.ready() {
            for job in jobs {
                job.answer(Err(error.clone()));
            }
            return;
        }
        let plan = self.plan(jobs);
        let written = self.write(plan.puts);
        for (job, verdict) in plan.verdicts {
            // A verdict that rests on a group which failed is worth nothing.
            job.answer(written.clone().and(verdict));
        }
    }

    fn end(mut self) {
        let synced = self.tally_file.sync();
        self.tally_synced(synced);
    }

    // A disk that fails to sync this file will not keep the next group either.
    fn tally_synced(&mut self, synced: std::io::Result<()>) {
        if let Err(error) = synced
            && !matches!(self.shared.health(), Health::Stopped { .. })
        {
            self.stop(&format!("the disk failed to sync: {error}"));
        }
    }

    fn stop_if_given_up(&mut self) {
        let words = self.shared.read().given_up().map(str::to_owned);
        if let Some(words) = words
            && !matches!(self.shared.health(), Health::Stopped { .. })
        {
            self.stop(&Fault::GivenUp(words).to_string());
        }
    }

    fn tick(&mut self) {
        self.stop_if_given_up();
        match self.shared.health() {
            Health::Good if self.shared.sick.load(Ordering::Acquire) => {
                self.wait_for("a read failed");
                self.heal();
            }
            Health::Good => self.shared.home.room.take_ballast(),
            Health::Waiting { .. } => {
                self.heal();
            }
            Health::Stopped { .. } => {}
        }
    }

    /// Whether new work may be written now.
    fn ready(&mut self) -> Result<(), CommitError> {
        self.stop_if_given_up();
        if self.shared.sick.load(Ordering::Acquire) {
            self.tick();
        }
        if matches!(self.shared.health(), Health::Waiting { .. }) {
            self.heal();
        }
        match self.shared.health() {
            Health::Good => self.room(self.shared.home.room.free_bytes_min),
            Health::Waiting { why } => {
                self.room(REOPEN_FREE_BYTES_MIN)?;
                Err(CommitError::Engine(why))
            }
            Health::Stopped { why } => Err(CommitError::Engine(why)),
        }
    }

    fn room(&self, needed_bytes: u64) -> Result<(), CommitError> {
        let free_bytes = self.shared.home.room.free_bytes();
        let free_bytes = free_bytes.map_err(|e| CommitError::Engine(e.to_string()))?;
        if free_bytes < needed_bytes {
            return Err(CommitError::Full { free_bytes, needed_bytes });
        }
        Ok(())
    }

    /// Judges each batch against the state and the batches before it.
    fn plan(&self, jobs: Vec<Job>) -> Plan {
        let mut plan = Plan::default();
        for job in jobs {
            let verdict = self.judge(&job, &plan.puts);
            if verdict.is_ok() {
                for put in &job.batch.put {
                    let key = raw_key(put.key().table, &put.key().key);
                    let stored = put.value().map(|value| encode(&key, value));
                    plan.puts.insert(key, stored);
                }
            }
            plan.verdicts.push((job, verdict));
        }
        plan
    }

    fn judge(&self, job: &Job, before: &Values) -> Result<(), CommitError> {
        for expect in std::iter::once(&self.shared.owner).chain(&job.batch.expect) {
            let found = self.value(expect.key(), before)?;
            if !expect.holds(found.as_deref()) {
                return Err(CommitError::Conflict { key: expect.key().clone() });
            }
        }
        Ok(())
    }

    fn value(&self, key: &Key, before: &Values) -> Result<Option<Vec<u8>>, StoreError> {
        let raw = raw_key(key.table, &key.key);
        let stored = match before.get(&raw) {
            Some(stored) => stored.clone(),
            None => self.stored(&raw)?,
        };
        stored.map(|stored| decode(&raw, &stored)).transpose()
    }

    fn stored(&self, raw_key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.read().get(raw_key).map_err(|fault| {
            // Reopened before the next group, when the engine keeps the error.
            self.shared.sick.store(true, Ordering::Release);
            StoreError::Engine(fault.to_string())
        })
    }

    /// Makes the puts durable, or leaves the store as it was.
    pub(super) fn write(&mut self, mut puts: Values) -> Result<(), CommitError> {
        let mut undo = Values::new();
        for key in puts.keys() {
            undo.insert(key.clone(), self.stored(key)?);
        }
        puts.retain(|key, new| undo.get(key) != Some(&*new));
        if puts.is_empty() {
            return Ok(());
        }
        self.count(&mut undo, &mut puts)?;
        let (error, fate) = match self.attempt(&undo, &puts) {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        // The engine keeps an old error until it writes: the cause may be long gone, and then
        // nobody needs to hear of it.
        if fate == Fate::Gone && self.ready().is_ok() {
            return self.attempt(&undo, &puts).map_err(|(error, _)| error);
        }
        Err(error)
    }

    /// Adds the tally after the group to it.
    fn count(&mut self, undo: &mut Values, puts: &mut Values) -> Result<(), CommitError> {
        let whole = |(key, old): (&Vec<u8>, &Option<Vec<u8>>)| {
            old.as_ref().is_none_or(|stored| decode(key, stored).is_ok())
        };
        if !undo.iter().all(whole) {
            // A damaged record is about to be replaced. Its own checksum may be what is damaged,
            // so that only what lies there now can be taken from the sum; all else must be right.
            let state = self.shared.read();
            let db = state.db().map_err(engine)?;
            let compared = state.noted(self.tally.compare(db)).map_err(engine)?;
            if let Err(why) = compared {
                state.give_up(&why);
                return Err(CommitError::Engine(why));
            }
            let met = state.noted(Tally::of(db)).map_err(engine)?;
            self.tally = met.numbered_as(&self.tally);
        }
        puts.insert(TALLY_KEY.to_vec(), Some(self.tally.after(undo, puts).stored()));
        undo.insert(TALLY_KEY.to_vec(), self.stored(TALLY_KEY)?);
        Ok(())
    }

    fn attempt(&mut self, undo: &Values, puts: &Values) -> Result<(), (CommitError, Fate)> {
        self.shared.write().cover(undo.clone());
        match self.apply(puts) {
            Ok(()) => {
                self.settle().map_err(|error| (error, Fate::Unknown))?;
                if let Some(next) = puts.get(TALLY_KEY).and_then(Option::as_deref).and_then(Tally::parse) {
                    self.note(next);
                }
                Ok(())
            }
            Err(fault) => self.failed(fault, puts.clone()),
        }
    }

    fn note(&mut self, tally: Tally) {
        self.tally = tally;
        if let Err(error) = self.tally_file.write(&self.tally) {
            // The tree may be ahead of the file. The next group writes it again.
            tracing::warn!(%error, "the tally beside the store could not be written");
        }
    }

    // One tree and one batch of it: the engine gives back all of a batch or nothing after a crash.
    fn apply(&self, puts: &Values) -> Result<(), Fault> {
        let mut batch = EngineBatch::default();
        for (key, stored) in puts {
            match stored {
                Some(stored) => batch.insert(key.as_slice(), stored.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        self.shared.read().call(|db| db.apply_batch(batch).and_then(|()| db.flush()))?;
        Ok(())
    }

    /// Brings what was flushed onto the disk and shows it to readers.
    fn settle(&mut self) -> Result<(), CommitError> {
        // The engine's flush starts the writing but does not make the disk keep it.
        if let Err(error) = self.data_file.sync() {
            return Err(self.stop(&format!("the disk failed to sync: {error}")));
        }
        self.shared.write().uncover();
        Ok(())
    }

    fn failed(&mut self, fault: Fault, puts: Values) -> Result<(), (CommitError, Fate)> {
        // An error the engine keeps stops it from writing; after any other, closing it could
        // write the part of the group that it holds.
        let kept = match &fault {
            Fault::Engine(_) => self.shared.read().db().is_ok_and(|db| db.context.global_error().is_err()),
            Fault::Panic(_) | Fault::GivenUp(_) | Fault::Closed => false,
        };
        if !kept {
            return Err((self.stop(&fault.to_string()), Fate::Unknown));
        }
        self.pending = Some(Pending { puts, answered: false });
        self.wait_for(&fault.to_string());
        let fate = self.heal();
        if let Some(pending) = &mut self.pending {
            pending.answered = true;
        }
        let error = match fate {
            Fate::Durable => return Ok(()),
            Fate::Gone | Fate::Unknown if is_full(&fault) => self.full(),
            Fate::Gone | Fate::Unknown => CommitError::Engine(fault.to_string()),
        };
        Err((error, fate))
    }

    fn full(&self) -> CommitError {
        let room = &self.shared.home.room;
        CommitError::Full {
            free_bytes: room.free_bytes().unwrap_or(0),
            needed_bytes: room.free_bytes_min.max(REOPEN_FREE_BYTES_MIN),
        }
    }

    fn wait_for(&self, why: &str) {
        tracing::warn!(why, "store waits: it refuses writes until it could be reopened");
        self.shared.set_health(Health::Waiting { why: why.into() });
    }

    /// Ends all writing until the process is started again.
    fn stop(&mut self, why: &str) -> CommitError {
        tracing::error!(why, "store stopped writing: check the disk, then start the node again");
        let why = format!("{why}; check the disk, then start the node again");
        self.shared.write().distrust();
        self.shared.set_health(Health::Stopped { why: why.clone() });
        CommitError::Engine(why)
    }

    /// Opens the engine again when there is room for it, and finds out what became of a group.
    fn heal(&mut self) -> Fate {
        if let Err(error) = self.data_file.sync() {
            // Pages that failed to reach the disk look clean afterwards: nothing read from them
            // may be taken for durable.
            self.stop(&format!("the disk failed to sync: {error}"));
            return Fate::Unknown;
        }
        let room = &self.shared.home.room;
        room.drop_ballast();
        if !room.free_bytes().is_ok_and(|free| free >= REOPEN_FREE_BYTES_MIN) {
            return Fate::Unknown;
        }
        {
            let mut state = self.shared.write();
            state.close();
            match self.shared.home.open() {
                Ok(db) => state.reopened(db),
                Err(error) => {
                    tracing::warn!(%error, "store could not be reopened");
                    return Fate::Unknown;
                }
            }
        }
        self.resolve()
    }

    fn resolve(&mut self) -> Fate {
        let fate = match self.judge_pending() {
            Ok(fate) => fate,
            Err(fault) => {
                self.wait_for(&fault.to_string());
                return Fate::Unknown;
            }
        };
        if let Err(error) = self.settle() {
            tracing::error!(%error, "store could not be settled after reopening");
            return Fate::Unknown;
        }
        if let Err(why) = self.recount() {
            self.shared.read().give_up(&why);
            self.stop(&why);
            return Fate::Unknown;
        }
        self.pending = None;
        self.shared.sick.store(false, Ordering::Release);
        self.shared.set_health(Health::Good);
        self.shared.home.room.take_ballast();
        tracing::info!("store reopened: writes go on");
        fate
    }

    /// Whether the engine, opened again, still has all it had.
    fn recount(&mut self) -> Result<(), String> {
        let tally = {
            let state = self.shared.read();
            let stored = state.call(|db| db.get(TALLY_KEY)).map_err(|fault| fault.to_string())?;
            let tally = stored.and_then(|stored| Tally::parse(&stored)).ok_or("the tally is gone")?;
            if tally.number < self.tally.number {
                return Err(format!("group {} of {} is the last", tally.number, self.tally.number));
            }
            let db = state.db().map_err(|fault| fault.to_string())?;
            state.noted(tally.compare(db)).map_err(|fault| fault.to_string())??;
            tally
        };
        self.note(tally);
        Ok(())
    }

    /// Compares each record of the pending group with the tree, and takes back what may not stay.
    fn judge_pending(&self) -> Result<Fate, Fault> {
        let Some(pending) = &self.pending else {
            return Ok(Fate::Gone);
        };
        let (mut new, mut old) = (0, 0);
        let undo = {
            let state = self.shared.read();
            for (key, put) in &pending.puts {
                let found = state.call(|db| db.get(key))?.map(|stored| stored.to_vec());
                new += usize::from(found == *put);
                old += usize::from(state.undo().get(key) == Some(&found));
            }
            state.undo().clone()
        };
        let all = pending.puts.len();
        if old == all {
            return Ok(Fate::Gone);
        }
        if new == all && !pending.answered {
            return Ok(Fate::Durable);
        }
        self.apply(&undo)?;
        Ok(Fate::Gone)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Also when the writer panicked: nobody may wait for it any more.
        self.shared.queue.close();
        while let Taken::Group(jobs) = self.shared.queue.take(Duration::ZERO) {
            drop(jobs);
        }
    }
}

fn engine(fault: Fault) -> CommitError {
    CommitError::Engine(fault.to_string())
}

/// What a group comes to.
#[derive(Default)]
struct Plan {
    verdicts: Vec<(Job, Result<(), CommitError>)>,
    puts: Values,
}

#[cfg(test)]
mod tests;
