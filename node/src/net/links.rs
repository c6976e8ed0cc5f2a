//! Which peers a connection is kept to, and when a lost one is dialled again. Pure bookkeeping: the
//! time and the jitter come in, peers to dial come out; there is always a bounded pause between two
//! dials of one peer, and never more standing links than the limit.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use libp2p::PeerId;
use sha2::{Digest, Sha256};

/// Head start of the side with the smaller id, so that two nodes that meet rarely dial each other at
/// the same moment and end with two connections.
const HEAD_START: Duration = Duration::from_secs(1);

/// Doublings after which the pause no longer grows, whatever its bound: keeps the shift in range.
const DOUBLINGS_MAX: u32 = 16;

struct Attempt {
    next: Instant,
    failures: u32,
}

/// Standing links of one node.
pub(super) struct Links {
    own: PeerId,
    count_max: usize,
    redial_first: Duration,
    redial_max: Duration,
    standing: BTreeMap<PeerId, Attempt>,
}

impl Links {
    pub(super) fn new(own: PeerId, count_max: usize, redial_first: Duration, redial_max: Duration) -> Self {
        Self { own, count_max, redial_first, redial_max, standing: BTreeMap::new() }
    }

    /// Takes the new allow list and keeps the attempts of peers that stay.
    pub(super) fn set<'a>(&mut self, peers: impl Iterator<Item = &'a PeerId>, now: Instant, jitter: u16) {
        let own = self.own;
        let mut ranked: Vec<_> = peers.map(|peer| (distance(&own, peer), *peer)).collect();
        ranked.sort_unstable();
        ranked.truncate(self.count_max);
        let mut old = std::mem::take(&mut self.standing);
        for (_, peer) in ranked {
            let attempt = old.remove(&peer).unwrap_or_else(|| {
                let wait = jittered(self.redial_first, jitter);
                let head_start = if own > peer { HEAD_START } else { Duration::ZERO };
                Attempt { next: now + wait.min(HEAD_START) + head_start, failures: 0 }
            });
            self.standing.insert(peer, attempt);
        }
    }

    /// Peers to dial now; each is due again only after the bound unless its dial reports earlier.
    pub(super) fn due(&mut self, now: Instant, connected: impl Fn(&PeerId) -> bool) -> Vec<PeerId> {
        let mut due = Vec::new();
        for (peer, attempt) in &mut self.standing {
            if attempt.next <= now && !connected(peer) {
                attempt.next = now + self.redial_max;
                due.push(*peer);
            }
        }
        due
    }

    /// A dial failed, or the peer closed before any exchange: wait longer.
    pub(super) fn failed(&mut self, peer: &PeerId, now: Instant, jitter: u16) {
        if let Some(attempt) = self.standing.get_mut(peer) {
            attempt.next = now + pause(self.redial_first, self.redial_max, attempt.failures, jitter);
            attempt.failures = attempt.failures.saturating_add(1);
        }
    }

    /// A working connection exists.
    pub(super) fn up(&mut self, peer: &PeerId) {
        if let Some(attempt) = self.standing.get_mut(peer) {
            attempt.failures = 0;
        }
    }

    /// The last working connection is gone: dial again soon.
    pub(super) fn lost(&mut self, peer: &PeerId, now: Instant, jitter: u16) {
        if let Some(attempt) = self.standing.get_mut(peer) {
            attempt.next = now + jittered(self.redial_first, jitter);
        }
    }
}

/// The pause after so many failures: doubled for each, up to the bound, and spread.
pub(super) fn pause(first: Duration, max: Duration, failures: u32, jitter: u16) -> Duration {
    let pause = first.saturating_mul(1 << failures.min(DOUBLINGS_MAX));
    jittered(pause.min(max), jitter)
}

/// Between half of `pause` and all of it.
fn jittered(pause: Duration, jitter: u16) -> Duration {
    pause / 2 + (pause / 2).mul_f64(f64::from(jitter) / f64::from(u16::MAX))
}

/// The same for both ends of a link, so that two nodes choose each other, and spread over all nodes,
/// so that no member carries everyone's links.
fn distance(a: &PeerId, b: &PeerId) -> [u8; 32] {
    let a = Sha256::digest(a.to_bytes());
    let b = Sha256::digest(b.to_bytes());
    std::array::from_fn(|i| a[i] ^ b[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn links(own: PeerId, max: usize) -> Links {
        Links::new(own, max, SECOND, 60 * SECOND)
    }

    #[test]
    fn never_more_links_than_the_limit_and_the_same_choice_again() {
        let peers: Vec<_> = (0..40).map(|_| PeerId::random()).collect();
        let now = Instant::now();
        let mut links = links(PeerId::random(), 16);
        links.set(peers.iter(), now, 0);
        let first = links.due(now + 5 * SECOND, |_| false);
        assert_eq!(first.len(), 16);
        links.set(peers.iter().rev(), now, 0);
        assert_eq!(links.standing.len(), 16);
        assert!(first.iter().all(|peer| links.standing.contains_key(peer)));
    }

    #[test]
    fn the_pause_doubles_up_to_its_bound_and_falls_back_after_success() {
        let peer = PeerId::random();
        let mut links = links(PeerId::random(), 16);
        let now = Instant::now();
        links.set([peer].iter(), now, 0);
        let mut pauses = Vec::new();
        for _ in 0..70 {
            links.failed(&peer, now, u16::MAX);
            pauses.push((links.standing[&peer].next - now).as_secs());
        }
        assert_eq!(pauses[..7], [1, 2, 4, 8, 16, 32, 60]);
        assert!(pauses[7..].iter().all(|pause| *pause == 60));
        links.up(&peer);
        links.lost(&peer, now, 0);
        assert_eq!(links.standing[&peer].next - now, SECOND / 2);
    }

    #[test]
    fn a_peer_is_dialled_once_and_not_while_connected() {
        let peer = PeerId::random();
        let mut links = links(PeerId::random(), 16);
        let now = Instant::now();
        links.set([peer].iter(), now, 0);
        let later = now + 5 * SECOND;
        assert!(links.due(later, |_| true).is_empty());
        assert_eq!(links.due(later, |_| false), [peer]);
        assert!(links.due(later, |_| false).is_empty());
    }

    #[test]
    fn both_ends_rank_each_other_alike() {
        let (a, b) = (PeerId::random(), PeerId::random());
        assert_eq!(distance(&a, &b), distance(&b, &a));
    }
}
