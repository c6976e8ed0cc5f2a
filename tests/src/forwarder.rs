//! A bad line: a forwarder in user space that delays everything and loses some of it. In: packets of
//! QUIC or connections of TCP to a port of its own. Out: the same bytes at the office behind it, later.
//! Losses follow a fixed sequence, so that a run can be repeated. Its threads end with the test.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Largest datagram, and read of a connection, at a time.
const PIECE_BYTES: usize = 65_536;

/// How bad the line is.
#[derive(Debug, Clone, Copy)]
pub struct Quality {
    /// Each way.
    pub delay: Duration,
    /// Lost packets in a thousand.
    pub lost_in_thousand: u64,
}

/// What a line did.
#[derive(Debug, Default)]
pub struct Tally {
    passed: AtomicU64,
    lost: AtomicU64,
}

impl Tally {
    /// Packets passed on and packets lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.passed.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }

    /// Decides about the next packet: whether it is lost. Multiplying by an odd number spreads the
    /// losses without repeating a short pattern.
    fn lose(&self, quality: Quality) -> bool {
        let number = self.passed.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed);
        let dice = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let lost = dice % 1_000 < quality.lost_in_thousand;
        let count = if lost { &self.lost } else { &self.passed };
        count.fetch_add(1, Ordering::Relaxed);
        lost
    }
}

/// Hands each piece on when its time has come, in order.
fn later(pieces: Receiver<(Instant, Vec<u8>)>, mut send: impl FnMut(&[u8]) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        for (due, piece) in pieces {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if !send(&piece) {
                break;
            }
        }
    });
}

/// A line for datagrams from loopback port `port` to `target`.
///
/// # Panics
/// When the port cannot be bound.
pub fn datagrams(port: u16, target: u16, quality: Quality) -> Arc<Tally> {
    let outer = UdpSocket::bind(("127.0.0.1", port)).unwrap_or_else(|e| panic!("forwarder: {e}"));
    let tally = Arc::new(Tally::default());
    let given = tally.clone();
    std::thread::spawn(move || {
        let mut ways: HashMap<SocketAddr, Sender<(Instant, Vec<u8>)>> = HashMap::new();
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok((size, from)) = outer.recv_from(&mut piece) {
            let Some(way) = way_of(&mut ways, &outer, from, target, quality, &tally) else { break };
            if !tally.lose(quality) {
                let _ = way.send((Instant::now() + quality.delay, piece[..size].to_vec()));
            }
        }
    });
    given
}

/// The way from one sender to the office, with the way back beside it.
fn way_of<'a>(
    ways: &'a mut HashMap<SocketAddr, Sender<(Instant, Vec<u8>)>>,
    outer: &UdpSocket,
    from: SocketAddr,
    target: u16,
    quality: Quality,
    tally: &Arc<Tally>,
) -> Option<&'a Sender<(Instant, Vec<u8>)>> {
    if let std::collections::hash_map::Entry::Vacant(vacant) = ways.entry(from) {
        let inner = UdpSocket::bind(("127.0.0.1", 0)).ok()?;
        inner.connect(("127.0.0.1", target)).ok()?;
        let (there, pieces) = channel();
        let sending = inner.try_clone().ok()?;
        // An office that is down refuses datagrams; the line goes on.
        later(pieces, move |piece| {
            let _ = sending.send(piece);
            true
        });
        let (back, pieces) = channel();
        let sending = outer.try_clone().ok()?;
        later(pieces, move |piece| sending.send_to(piece, from).is_ok());
        let tally = tally.clone();
        std::thread::spawn(move || {
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                match inner.recv(&mut piece) {
                    Ok(_) if tally.lose(quality) => {}
                    Ok(size) => {
                        let due = Instant::now() + quality.delay;
                        if back.send((due, piece[..size].to_vec())).is_err() {
                            break;
                        }
                    }
                    // Refused by an office that is down.
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        vacant.insert(there);
    }
    ways.get(&from)
}

/// A line for connections from loopback port `port` to `target`. What TCP does about a lost packet is to
/// send it again: the piece, and all behind it, come two delays later.
///
/// # Panics
/// When the port cannot be bound.
pub fn connections(port: u16, target: u16, quality: Quality) -> Arc<Tally> {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap_or_else(|e| panic!("forwarder: {e}"));
    let tally = Arc::new(Tally::default());
    let given = tally.clone();
    std::thread::spawn(move || {
        for incoming in listener.incoming().flatten() {
            let Ok(outgoing) = TcpStream::connect(("127.0.0.1", target)) else { continue };
            for (from, to) in [(&incoming, &outgoing), (&outgoing, &incoming)] {
                if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                    carry(from, to, quality, tally.clone());
                }
            }
        }
    });
    given
}

fn carry(mut from: TcpStream, to: TcpStream, quality: Quality, tally: Arc<Tally>) {
    let (way, pieces) = channel();
    let mut sending = to;
    later(pieces, move |piece: &[u8]| {
        if piece.is_empty() || sending.write_all(piece).is_err() {
            let _ = sending.shutdown(Shutdown::Both);
            return false;
        }
        true
    });
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let size = from.read(&mut piece).unwrap_or(0);
            let again = if size > 0 && tally.lose(quality) { quality.delay * 2 } else { Duration::ZERO };
            let due = Instant::now() + quality.delay + again;
            // An empty piece ends the connection, after everything before it.
            if way.send((due, piece[..size].to_vec())).is_err() || size == 0 {
                break;
            }
        }
    });
}
