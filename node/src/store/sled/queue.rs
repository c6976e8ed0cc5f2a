//! The line of batches that wait for the writer.
//!
//! Many threads push, one takes everything that waits up to the size of a group. The line has an
//! end: who comes when it is full waits for a place, and every wait has a deadline.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use yunling_protocol::store::{BATCH_BYTES_MAX, BATCH_PUTS_MAX, Batch, CommitError};

/// Batches that may wait. Each waiting batch is a blocked thread of the node, which has fewer than
/// these; a batch is at most 8 MiB but a few KiB as a rule.
const WAITING_JOBS_MAX: usize = 512;

/// A batch and where its answer goes.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) answer: SyncSender<Result<(), CommitError>>,
}

impl Job {
    pub(super) fn answer(self, result: Result<(), CommitError>) {
        // Who asked may have stopped waiting; the outcome stands all the same.
        let _ = self.answer.send(result);
    }
}

/// Why a job did not get into the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Closed,
    NoPlace,
}

/// What the writer got.
pub(super) enum Taken {
    Group(Vec<Job>),
    Nothing,
    Closed,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// The line.
#[derive(Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    came: Condvar,
    left: Condvar,
}

impl Queue {
    /// Puts a job at the end, waiting for a place until `deadline`.
    pub(super) fn push(&self, job: Job, deadline: Instant) -> Result<(), Refused> {
        let mut line = self.lock();
        while !line.closed && line.jobs.len() >= WAITING_JOBS_MAX {
            let wait = deadline.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Err(Refused::NoPlace);
            }
            let woken = self.left.wait_timeout(line, wait);
            line = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        if line.closed {
            return Err(Refused::Closed);
        }
        line.jobs.push_back(job);
        self.came.notify_one();
        Ok(())
    }

    /// Takes what waits, at least one job and at most one group, or nothing after `wait`.
    pub(super) fn take(&self, wait: Duration) -> Taken {
        let mut line = self.lock();
        if line.jobs.is_empty() && !line.closed {
            let woken = self.came.wait_timeout(line, wait);
            line = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        if line.jobs.is_empty() {
            return if line.closed { Taken::Closed } else { Taken::Nothing };
        }
        let group = take_group(&mut line.jobs);
        self.left.notify_all();
        Taken::Group(group)
    }

    /// Lets nobody in any more; what waits is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_all();
        self.left.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// A group is no larger than one batch may be, so that the room kept free is enough for it.
fn take_group(jobs: &mut VecDeque<Job>) -> Vec<Job> {
    let (mut bytes, mut puts) = (0, 0);
    let mut group = Vec::new();
    while let Some(job) = jobs.front() {
        bytes += job.batch.bytes();
        puts += job.batch.put.len();
        if !group.is_empty() && (bytes > BATCH_BYTES_MAX || puts > BATCH_PUTS_MAX) {
            break;
        }
        group.extend(jobs.pop_front());
    }
    group
}
