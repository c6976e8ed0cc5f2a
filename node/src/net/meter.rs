//! How much each peer asks of this node. Streams cost tokens: who opens them faster than an honest
//! node ever does is first taken more slowly, and each stream over the rate, each request that is not
//! of the protocol or beyond the peer's places is a strike. Strikes fade; a peer with too many is
//! handed to the network task, which cuts it off for a while. Pure bookkeeping apart from the lock.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use libp2p::PeerId;

use super::limits::{
    STREAMS_IN_BURST, STREAMS_IN_PER_SECOND, STRIKE_OVER_RATE, STRIKES_FADE_PER_SECOND, STRIKES_MAX,
};

/// Tokens that come back at a steady rate.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f64,
    per_second: f64,
    burst: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let (per_second, burst) = (f64::from(per_second), f64::from(burst));
        Self { tokens: burst, per_second, burst, at: now }
    }

    /// Takes a token, on credit when there is none; then says how long it takes to come back.
    pub(super) fn take(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst) - 1.0;
        self.at = now;
        (self.tokens < 0.0).then(|| Duration::from_secs_f64(-self.tokens / self.per_second))
    }
}

/// What one peer did.
struct Account {
    streams: Bucket,
    strikes: f64,
    at: Instant,
    over_rate: u64,
    bad: u64,
}

impl Account {
    fn new(now: Instant) -> Self {
        let streams = Bucket::new(STREAMS_IN_PER_SECOND, STREAMS_IN_BURST, now);
        Self { streams, strikes: 0.0, at: now, over_rate: 0, bad: 0 }
    }

    /// Adds strikes; says whether that is the one too many.
    fn strike(&mut self, weight: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let max = f64::from(STRIKES_MAX);
        let before = (self.strikes - passed * f64::from(STRIKES_FADE_PER_SECOND)).max(0.0);
        self.strikes = before + f64::from(weight);
        self.at = now;
        before <= max && self.strikes > max
    }
}

/// A peer that went too far, with what it did since its account was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excess {
    pub(super) peer: PeerId,
    /// Streams beyond the rate.
    pub(super) over_rate: u64,
    /// Requests that were not of the protocol, or beyond its places.
    pub(super) bad: u64,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<PeerId, Account>,
    excess: Vec<Excess>,
}

impl State {
    fn stream(&mut self, peer: &PeerId, now: Instant) -> Option<Duration> {
        let account = self.accounts.entry(*peer).or_insert_with(|| Account::new(now));
        let pause = account.streams.take(now)?;
        account.over_rate += 1;
        if account.strike(STRIKE_OVER_RATE, now) {
            self.report(peer);
        }
        Some(pause)
    }

    fn strike(&mut self, peer: &PeerId, weight: u32, now: Instant) {
        let account = self.accounts.entry(*peer).or_insert_with(|| Account::new(now));
        account.bad += 1;
        if account.strike(weight, now) {
            self.report(peer);
        }
    }

    fn report(&mut self, peer: &PeerId) {
        if let Some(Account { over_rate, bad, .. }) = self.accounts.get(peer) {
            self.excess.push(Excess { peer: *peer, over_rate: *over_rate, bad: *bad });
        }
    }
}

/// The accounts of all peers; members only, since nobody else gets as far as a stream.
#[derive(Default)]
pub(super) struct Meter(Mutex<State>);

impl Meter {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves plain numbers behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an inbound stream; gives the pause before the next may be taken.
    pub(super) fn stream(&self, peer: &PeerId) -> Option<Duration> {
        self.state().stream(peer, Instant::now())
    }

    /// Counts a request that an honest peer does not send.
    pub(super) fn strike(&self, peer: &PeerId, weight: u32) {
        self.state().strike(peer, weight, Instant::now());
    }

    /// Peers that went too far since the last call.
    pub(super) fn excess(&self) -> Vec<Excess> {
        std::mem::take(&mut self.state().excess)
    }

    /// Closes the account of a peer that was cut off or is no member any more.
    pub(super) fn forget(&self, peer: &PeerId) {
        self.state().accounts.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::limits::{STREAMS_OUT_BURST, STREAMS_OUT_PER_SECOND, STRIKE_BAD, STRIKE_BUSY};

    #[test]
    fn a_peer_at_the_rate_that_this_node_sends_at_is_never_paused() {
        let (peer, mut now) = (PeerId::random(), Instant::now());
        let mut state = State::default();
        for _ in 0..STREAMS_OUT_BURST {
            assert_eq!(state.stream(&peer, now), None);
        }
        for _ in 0..20 * STREAMS_OUT_PER_SECOND {
            now += Duration::from_secs(1) / STREAMS_OUT_PER_SECOND;
            assert_eq!(state.stream(&peer, now), None);
        }
        assert!(state.excess.is_empty());
    }

    #[test]
    fn a_flood_is_slowed_and_then_reported_once_with_its_figures() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut state = State::default();
        let mut slowed = 0;
        for _ in 0..STREAMS_IN_BURST + 3 * STRIKES_MAX {
            slowed += u32::from(state.stream(&peer, now).is_some());
        }
        assert_eq!(slowed, 3 * STRIKES_MAX);
        let over_rate = u64::from(STRIKES_MAX / STRIKE_OVER_RATE) + 1;
        assert_eq!(state.excess, [Excess { peer, over_rate, bad: 0 }]);
    }

    #[test]
    fn a_few_bad_requests_fade_and_many_are_too_many() {
        let (peer, mut now) = (PeerId::random(), Instant::now());
        let mut state = State::default();
        let pause = Duration::from_secs(1) * STRIKE_BAD / STRIKES_FADE_PER_SECOND;
        for _ in 0..10 * STRIKES_MAX / STRIKE_BAD {
            state.strike(&peer, STRIKE_BAD, now);
            now += pause;
        }
        assert!(state.excess.is_empty(), "one now and then is an error, not an attack");
        for _ in 0..=STRIKES_MAX / STRIKE_BUSY {
            state.strike(&peer, STRIKE_BUSY, now);
        }
        assert_eq!(state.excess.len(), 1);
    }
}
