//! Relays in the network task: places this node asks for, circuits that are no longer needed, what a
//! relay grants to others, and what is known of this node's reach.

use std::time::Instant;

use libp2p::{Multiaddr, PeerId, autonat, core::transport::ListenerId, multiaddr::Protocol, relay};

use super::{Task, jitter};
use crate::net::{counters::Counter, limits::CIRCUIT_GRACE, relay::Due};

impl Task {
    /// Asks for the places that are due and closes circuits that a direct way has replaced.
    pub(super) fn tend_relays(&mut self) {
        let (shared, now) = (&self.shared, Instant::now());
        let due = self.places.due(now, jitter(), |peer| shared.allowed(peer), |peer| shared.linked(peer));
        for due in due {
            match due {
                Due::NotAllowed(relay) => {
                    tracing::warn!(%relay, "a relay of the configuration is no accepted peer; not used");
                }
                Due::Connect(relay) => self.connect(relay, None),
                Due::Reserve(relay, address) => match self.swarm.listen_on(address) {
                    Ok(listener) => self.places.asked(&relay, listener),
                    Err(error) => tracing::warn!(%relay, %error, "cannot ask the relay for a place"),
                },
            }
        }
        for circuit in self.shared.needless_circuits(CIRCUIT_GRACE) {
            tracing::debug!("a direct connection stands; its circuit closed");
            self.swarm.close_connection(circuit);
        }
    }

    /// A listener reported an address; says whether it is a place at a relay.
    pub(super) fn on_place_opened(&mut self, listener: ListenerId) -> bool {
        let Some(relay) = self.places.opened(listener) else { return false };
        let held = self.places.held();
        self.shared.change_reach(|reach| {
            if reach.relays != held {
                tracing::info!(%relay, "this node can be reached through the relay");
                reach.relays = held;
            }
        });
        true
    }

    /// A listener closed; says whether it was a place at a relay.
    pub(super) fn on_place_closed(&mut self, listener: ListenerId, reason: &str) -> bool {
        let Some((relay, held)) = self.places.closed(listener, Instant::now(), jitter()) else {
            return false;
        };
        if held {
            tracing::warn!(%relay, reason, "the place at the relay is lost; asked for again");
        } else {
            tracing::warn!(%relay, reason, "the relay gave no place; asked again later");
        }
        let held = self.places.held();
        self.shared.change_reach(|reach| reach.relays = held);
        true
    }

    /// Notes where this node listens, when it is a relay: members learn from it under which address
    /// their place is reached.
    pub(super) fn on_relay_listens(&mut self, address: &Multiaddr) {
        if !self.relay {
            return;
        }
        let own = *self.swarm.local_peer_id();
        let named = address.clone().with(Protocol::P2p(own));
        tracing::info!(relay = %named, "relay is open to accepted peers; they name it in `relays`");
        if !self.external {
            self.swarm.add_external_address(address.clone());
        }
    }

    pub(super) fn on_relay(&mut self, event: relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id: peer, renewed: false } => {
                self.shared.count(Counter::RelayReservations);
                tracing::info!(%peer, "place given to a peer at this relay");
            }
            relay::Event::ReservationReqDenied { src_peer_id: peer, status } => {
                self.relay_refused(peer, "a place", &format!("{status:?}"));
            }
            relay::Event::CircuitReqAccepted { src_peer_id: peer, dst_peer_id: to } => {
                self.shared.count(Counter::RelayCircuits);
                tracing::debug!(%peer, %to, "circuit opened through this relay");
            }
            relay::Event::CircuitReqDenied { src_peer_id: peer, status, .. } => {
                self.relay_refused(peer, "a circuit", &format!("{status:?}"));
            }
            relay::Event::CircuitClosed { src_peer_id: peer, dst_peer_id: to, error } => {
                tracing::debug!(%peer, %to, ?error, "circuit through this relay closed");
            }
            _ => {}
        }
    }

    fn relay_refused(&mut self, peer: PeerId, what: &'static str, status: &str) {
        self.shared.count(Counter::RelayRefused);
        if self.refused_log.take() {
            tracing::warn!(%peer, what, status, "refused to a peer at this relay");
        }
    }

    pub(super) fn on_reachability(&mut self, event: &autonat::v2::client::Event) {
        let address = event.tested_addr.clone();
        let reached = event.result.is_ok();
        self.shared.change_reach(|reach| {
            let known = if reached { &mut reach.direct } else { &mut reach.closed };
            if !known.contains(&address) {
                tracing::info!(%address, reached, "a relay tested whether this node can be reached");
                known.push(address.clone());
            }
            let other = if reached { &mut reach.closed } else { &mut reach.direct };
            other.retain(|known| *known != address);
        });
    }
}
