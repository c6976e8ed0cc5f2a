//! A line between two offices that can be cut. In: connections to a port of its own. Out: the same
//! bytes to and from the office behind it. While a limit is set, every connection dies after so many
//! bytes of both directions, counted from the setting for those that were open.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// No limit.
const OPEN: u64 = u64::MAX;
/// Read at a time; small, so that a cut comes near its byte.
const CHUNK_BYTES: usize = 512;

#[derive(Debug)]
struct State {
    limit: AtomicU64,
    /// Counts settings, so that an open connection counts anew.
    setting: AtomicU64,
    cuts: AtomicU64,
    /// Bytes of all connections since the setting.
    passed: AtomicU64,
}

/// Lines that are cut together: one to each office, so that none knows the other directly.
#[derive(Debug, Clone)]
pub struct Line(Arc<State>);

impl Default for Line {
    fn default() -> Self {
        Self(Arc::new(State {
            limit: AtomicU64::new(OPEN),
            setting: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        }))
    }
}

impl Line {
    /// Listens on `port` and forwards to `target`. The thread ends with the test.
    ///
    /// # Panics
    /// When the port cannot be bound.
    pub fn from_to(&self, port: u16, target: u16) {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap_or_else(|e| panic!("line: {e}"));
        let state = self.0.clone();
        std::thread::spawn(move || {
            for incoming in listener.incoming().flatten() {
                // An office that is down is seen as a connection that closes at once.
                if let Ok(outgoing) = TcpStream::connect(("127.0.0.1", target)) {
                    forward(&state, &incoming, &outgoing);
                }
            }
        });
    }

    /// From now on every connection dies after `bytes`.
    pub fn cut_after(&self, bytes: u64) {
        self.0.limit.store(bytes, Ordering::SeqCst);
        self.0.setting.fetch_add(1, Ordering::SeqCst);
        self.0.cuts.store(0, Ordering::SeqCst);
        self.0.passed.store(0, Ordering::SeqCst);
    }

    /// Lets everything through.
    pub fn open(&self) {
        self.0.limit.store(OPEN, Ordering::SeqCst);
    }

    /// Lets everything through and counts from now on.
    pub fn measure(&self) {
        self.cut_after(OPEN);
    }

    /// Bytes let through since the limit was set, of both directions.
    pub fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::SeqCst)
    }

    /// Connections cut since the limit was set.
    pub fn cuts(&self) -> u64 {
        self.0.cuts.load(Ordering::SeqCst)
    }
}

fn forward(state: &Arc<State>, a: &TcpStream, b: &TcpStream) {
    let count = Arc::new((AtomicU64::new(state.setting.load(Ordering::SeqCst)), AtomicU64::new(0)));
    for (from, to) in [(a, b), (b, a)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let (state, count) = (state.clone(), count.clone());
        std::thread::spawn(move || pump(&state, &count, from, to));
    }
}

fn pump(state: &State, count: &(AtomicU64, AtomicU64), mut from: TcpStream, mut to: TcpStream) {
    let mut chunk = [0; CHUNK_BYTES];
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        let (setting, passed) = count;
        let now = state.setting.load(Ordering::SeqCst);
        if setting.swap(now, Ordering::SeqCst) != now {
            passed.store(0, Ordering::SeqCst);
        }
        let before = passed.fetch_add(read as u64, Ordering::SeqCst);
        let limit = state.limit.load(Ordering::SeqCst);
        let room = usize::try_from(limit.saturating_sub(before)).unwrap_or(usize::MAX).min(read);
        if to.write_all(&chunk[..room]).is_err() {
            break;
        }
        state.passed.fetch_add(room as u64, Ordering::SeqCst);
        if room < read {
            state.cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
    }
    // The other direction ends by this too; either may be closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
