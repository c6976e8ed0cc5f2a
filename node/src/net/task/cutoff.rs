//! Peers that flooded this node: cut off, kept out for a while, let in again, for longer each time.
//! Whoever floods costs this node a bounded amount and the other peers nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use libp2p::PeerId;

use super::Task;
use crate::net::{counters::Counter, error::NetError, limits::CUT_OFF_MAX, meter::Excess};

/// One peer's time out.
struct Out {
    until: Option<Instant>,
    times: u32,
}

/// Who is kept out until when. Pure: the time comes in.
#[derive(Default)]
pub(super) struct CutOff(BTreeMap<PeerId, Out>);

impl CutOff {
    /// Begins a time out; gives its length.
    fn begin(&mut self, peer: PeerId, first: Duration, now: Instant) -> Duration {
        let out = self.0.entry(peer).or_insert(Out { until: None, times: 0 });
        let length = first.saturating_mul(1 << out.times.min(16)).min(CUT_OFF_MAX);
        out.times = out.times.saturating_add(1);
        out.until = Some(now + length);
        length
    }

    /// Time left for a peer that is out.
    pub(super) fn left(&self, peer: &PeerId, now: Instant) -> Option<Duration> {
        let until = self.0.get(peer)?.until?;
        Some(until.saturating_duration_since(now))
    }

    /// Ends the time outs that are over; gives their peers.
    fn over(&mut self, now: Instant) -> Vec<PeerId> {
        let mut over = Vec::new();
        for (peer, out) in &mut self.0 {
            if out.until.is_some_and(|until| until <= now) {
                out.until = None;
                over.push(*peer);
            }
        }
        over
    }

    /// A peer that the operator removed; accepting it again is a new start.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

impl Task {
    /// Cuts off who went too far since the last tick, and lets in again whose time is over.
    pub(super) fn tend_cut_off(&mut self) {
        let now = Instant::now();
        for excess in self.shared.meter.excess() {
            if self.shared.allowed(&excess.peer) && self.cut_off.left(&excess.peer, now).is_none() {
                self.cut(&excess, now);
            } else if self.shared.guests.dismiss(&excess.peer, now) {
                tracing::warn!(peer = %excess.peer, "a guest flooded this node and is shown out");
            }
        }
        for peer in self.shared.guests.over(now) {
            if !self.shared.allowed(&peer) {
                self.shared.meter.forget(&peer);
                self.swarm.behaviour_mut().allowed.disallow_peer(peer);
            }
        }
        for peer in self.cut_off.over(now) {
            if self.shared.allowed(&peer) {
                tracing::info!(%peer, "the peer that was cut off is let in again");
                self.swarm.behaviour_mut().allowed.allow_peer(peer);
            }
        }
    }

    fn cut(&mut self, excess: &Excess, now: Instant) {
        let Excess { peer, over_rate, bad } = *excess;
        let length = self.cut_off.begin(peer, self.limits.cut_off, now);
        let seconds = length.as_secs();
        self.shared.count(Counter::PeersCut);
        tracing::warn!(%peer, over_rate, bad, seconds, "peer cut off: it flooded this node");
        self.service.cut_off(peer, over_rate, bad, length);
        self.shared.meter.forget(&peer);
        self.swarm.behaviour_mut().allowed.disallow_peer(peer);
        self.answer_waiting(peer, &Err(NetError::CutOff { peer, seconds }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_out_is_twice_as_long_up_to_its_bound_and_ends() {
        let (peer, mut now) = (PeerId::random(), Instant::now());
        let mut out = CutOff::default();
        let mut minutes = Vec::new();
        for _ in 0..6 {
            let length = out.begin(peer, Duration::from_mins(5), now);
            minutes.push(length.as_secs() / 60);
            assert_eq!(out.left(&peer, now), Some(length));
            assert!(out.over(now + length / 2).is_empty());
            now += length;
            assert_eq!(out.over(now), [peer]);
            assert_eq!(out.left(&peer, now), None);
        }
        assert_eq!(minutes, [5, 10, 20, 40, 60, 60]);
        out.forget(&peer);
        assert_eq!(out.begin(peer, Duration::from_mins(5), now), Duration::from_mins(5));
    }
}
