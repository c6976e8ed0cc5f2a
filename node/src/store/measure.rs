//! How fast a store makes records durable, beside what the disk itself allows.
//!
//! In goes an open store or a folder, out come counts and times. Nothing here is part of a node's
//! work; `yunling bench` prints it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use yunling_protocol::store::{Batch, CommitError, Store, Table};

/// Bytes of a measured record: an attestation is about this long.
pub const RECORD_BYTES: usize = 700;

/// What was done in how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Things done.
    pub count: u64,
    /// Time they took together.
    pub time: Duration,
}

impl Rate {
    /// Things done per second.
    pub fn per_second(self) -> f64 {
        self.count as f64 / self.time.as_secs_f64().max(f64::EPSILON)
    }
}

/// Commits of one record each that `writers` threads get answered within `time`.
///
/// The records stay in the store under [`Table::Staged`]: measure in a folder of its own.
pub fn durable_records(store: &dyn Store, writers: u32, time: Duration) -> Result<Rate, CommitError> {
    let start = Instant::now();
    // Distinct keys for repeated measures on one store, without reading what is there.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let write = || -> Result<u64, CommitError> {
        let mut count = 0;
        while start.elapsed() < time {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            // Spread like ids, which are hashes, so that pages are met at random.
            let key = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
            let mut batch = Batch::new();
            batch.insert(Table::Staged, key, vec![n as u8; RECORD_BYTES]);
            store.commit(batch)?;
            count += 1;
        }
        Ok(count)
    };
    let count = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        let counts = threads.into_iter().map(|thread| {
            let ended = || CommitError::Engine("a measuring thread ended".to_owned());
            thread.join().unwrap_or_else(|_| Err(ended()))
        });
        counts.sum::<Result<u64, _>>()
    })?;
    Ok(Rate { count, time: start.elapsed() })
}

/// Bare appends of one record, each synced, that the disk under `folder` takes within `time`: the
/// limit for one writer.
pub fn bare_syncs(folder: &Path, time: Duration) -> io::Result<Rate> {
    let path = folder.join("measure-syncs");
    let mut file = OpenOptions::new().create_new(true).write(true).open(&path)?;
    let start = Instant::now();
    let mut count = 0;
    let done = loop {
        if start.elapsed() >= time {
            break Ok(());
        }
        if let Err(error) = file.write_all(&[1; RECORD_BYTES]).and_then(|()| file.sync_all()) {
            break Err(error);
        }
        count += 1;
    };
    let time = start.elapsed();
    std::fs::remove_file(&path)?;
    done.map(|()| Rate { count, time })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::{Options, SledStore};

    // The disk of a shared machine changes its speed by the minute: bare syncs go between.
    #[test]
    #[ignore = "prints figures; run it alone"]
    fn figures() {
        let home = tempfile::TempDir::new().unwrap();
        let time = Duration::from_secs(2);
        let folder = home.path().join("store");
        let open = || SledStore::open(&folder, b"owner", Options::default()).unwrap();
        let store = open();
        let mut records = 0;
        for writers in [1, 64, 1, 64, 1, 64] {
            let bare = bare_syncs(home.path(), time).unwrap().per_second();
            let rate = durable_records(&store, writers, time).unwrap();
            records += rate.count;
            let each = rate.per_second();
            println!("{writers} writers {each:.0}/s, bare syncs {bare:.0}/s");
        }
        drop(store);
        let start = Instant::now();
        drop(open());
        let bytes = std::fs::metadata(folder.join("sled/db")).unwrap().len();
        println!("{records} records, {bytes} bytes, reopened in {:?}", start.elapsed());
        let start = Instant::now();
        drop(open());
        println!("reopened again in {:?}", start.elapsed());
    }

    #[test]
    fn every_counted_record_is_in_the_store() {
        let store = yunling_protocol::store::Oracle::new();
        let rate = durable_records(&store, 4, Duration::from_millis(20)).unwrap();
        assert_eq!(store.dump().len() as u64, rate.count);
        assert!(rate.count > 0);
    }
}
