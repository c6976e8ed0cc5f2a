//! What the library reports, turned into state, answers and counters. Each event is handled at once;
//! none starts a wait.

use std::time::{Instant, SystemTime};

use libp2p::{
    PeerId,
    allow_block_list::NotAllowed,
    core::ConnectedPoint,
    gossipsub, identify, ping, request_response as rr,
    swarm::{ConnectionId, DialError, ListenError, StreamUpgradeError, SwarmEvent},
};

use super::{BehaviourEvent, Task, jitter};
use crate::net::{
    bulk,
    codec::{RPC_PROTOCOL, Reply, Request},
    counters::Counter,
    dial::{self, Transport},
    error::{NetError, Step},
    relay::circuit_relay,
    shared::Connection,
};

impl Task {
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_opened(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, cause, .. } => {
                let cause = cause.map_or_else(|| "closed".to_owned(), |cause| cause.to_string());
                self.on_closed(peer_id, connection_id, num_established, &cause);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id: Some(peer), error } => {
                self.on_dial_error(peer, connection_id, &error);
            }
            SwarmEvent::IncomingConnectionError { error, peer_id, .. } => {
                self.on_refused(peer_id, error);
            }
            SwarmEvent::NewListenAddr { address, listener_id } => {
                // Under which address a place is reached stands in the configuration.
                if self.on_place_opened(listener_id) {
                    return;
                }
                tracing::info!(%address, "listening");
                self.on_relay_listens(&address);
                self.shared.change_listening(|all| {
                    if !all.contains(&address) {
                        all.push(address);
                    }
                });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                tracing::info!(%address, "no longer listening");
                self.shared.change_listening(|all| all.retain(|known| *known != address));
            }
            SwarmEvent::ListenerClosed { addresses, reason, listener_id } => {
                let text = reason.as_ref().err().map_or_else(|| "closed".to_owned(), dial::chain);
                if self.on_place_closed(listener_id, &text) {
                    return;
                }
                tracing::error!(?addresses, ?reason, "a listener closed");
                self.shared.change_listening(|all| all.retain(|known| !addresses.contains(known)));
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener reported an error");
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { connection_id, peer_id, info }) => {
                self.on_accepted(peer_id, connection_id);
                for stale in self.shared.identified(connection_id, &info.agent_version) {
                    tracing::info!(peer = %peer_id, "the peer restarted; its old connection closed");
                    self.swarm.close_connection(stale);
                }
            }
            BehaviourEvent::Identify(identify::Event::Error {
                connection_id,
                peer_id,
                // It answered, if only that it does not speak this.
                error: StreamUpgradeError::NegotiationFailed,
            }) => self.on_accepted(peer_id, connection_id),
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => match result {
                // It answered, if only that it does not speak this.
                Ok(_) | Err(ping::Failure::Unsupported) => self.on_accepted(peer, connection),
                Err(failure) => {
                    tracing::info!(%peer, %failure, "no answer to a ping; connection closed");
                    self.swarm.close_connection(connection);
                }
            },
            BehaviourEvent::Rpc(event) => self.on_rpc(event),
            BehaviourEvent::Relay(event) => self.on_relay(event),
            BehaviourEvent::Reachability(event) => self.on_reachability(&event),
            BehaviourEvent::Direct(event) => {
                let peer = event.remote_peer_id;
                match event.result {
                    Ok(_) => tracing::info!(%peer, "direct way found beside the relay"),
                    Err(error) => tracing::debug!(%peer, %error, "no direct way beside the relay"),
                }
            }
            BehaviourEvent::Gossip(gossipsub::Event::Message { propagation_source, message_id, message }) => {
                self.on_notice(propagation_source, &message_id, message);
            }
            _ => {}
        }
    }

    fn on_opened(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        self.dialling.remove(&id);
        self.shared.count(Counter::ConnectionsOpened);
        let transport = if endpoint.is_relayed() {
            Transport::Relay
        } else {
            Transport::of(endpoint.get_remote_address())
        };
        let dialled = endpoint.is_dialer();
        let relay = circuit_relay(match endpoint {
            ConnectedPoint::Dialer { address, .. } => address,
            ConnectedPoint::Listener { local_addr, .. } => local_addr,
        });
        tracing::debug!(%peer, transport = transport.name(), dialled, "connection opened");
        let connection = Connection {
            peer,
            transport,
            relay,
            since: SystemTime::now(),
            dialled,
            accepted: false,
            agent: None,
        };
        self.shared.opened(id, connection);
    }

    /// The peer answered on this connection, so it is not one it is about to refuse.
    fn on_accepted(&mut self, peer: PeerId, id: ConnectionId) {
        if !self.shared.accepted(id) {
            return;
        }
        if let Some(done) = self.probes.remove(&id) {
            let _ = done.send(Ok(id));
        }
        self.links.up(&peer);
        self.places.linked(&peer, Instant::now());
        self.answer_waiting(peer, &Ok(()));
    }

    fn on_closed(&mut self, peer: PeerId, id: ConnectionId, remaining: u32, cause: &str) {
        self.shared.count(Counter::ConnectionsClosed);
        tracing::debug!(%peer, cause, "connection closed");
        let Some(closed) = self.shared.closed(id) else { return };
        if let Some(done) = self.probes.remove(&id) {
            let _ = done.send(Err(NetError::Refused { peer }));
        }
        if remaining > 0 {
            return;
        }
        if closed.accepted {
            self.links.lost(&peer, Instant::now(), jitter());
        } else {
            self.links.failed(&peer, Instant::now(), jitter());
        }
        if !self.waiting.contains_key(&peer) {
            return;
        }
        if closed.dialled {
            self.answer_waiting(peer, &Err(NetError::Refused { peer }));
        } else {
            // The peer came and went by itself; that says nothing about what it answers when dialled.
            self.connect(peer, None);
        }
    }

    fn on_dial_error(&mut self, peer: PeerId, id: ConnectionId, error: &DialError) {
        let ours = self.dialling.remove(&id).is_some();
        let failure = dial::error(peer, error);
        if let Some(done) = self.probes.remove(&id) {
            let _ = done.send(Err(failure));
        } else if ours && !self.swarm.is_connected(&peer) {
            self.dial_failed(peer, &failure);
        }
    }

    fn on_refused(&mut self, peer: Option<PeerId>, error: ListenError) {
        let ListenError::Denied { cause } = error else {
            tracing::debug!(?peer, %error, "an incoming connection failed");
            return;
        };
        let Some(peer) = peer.filter(|_| cause.downcast_ref::<NotAllowed>().is_some()) else {
            self.shared.count(Counter::LimitRefused);
            if self.refused_log.take() {
                tracing::warn!(?peer, %cause, "incoming connection refused by a limit");
            }
            return;
        };
        self.shared.count(Counter::UnknownRefused);
        if self.shared.guests.admit(peer, Instant::now()) {
            // It dials again by itself.
            self.swarm.behaviour_mut().allowed.allow_peer(peer);
            tracing::info!(%peer, "an unknown peer may come back to show its pairing record");
            return;
        }
        if self.refused_log.take() {
            tracing::warn!(%peer, "incoming connection of an unknown peer refused");
        }
    }

    fn on_rpc(&mut self, event: rr::Event<Request, Reply>) {
        match event {
            rr::Event::Message { peer, message, connection_id } => match message {
                rr::Message::Request { request, channel, .. } => {
                    self.on_accepted(peer, connection_id);
                    self.serve(peer, request, channel);
                }
                rr::Message::Response { request_id, response } => {
                    if let Some((_, done)) = self.requests.remove(&request_id) {
                        let _ = done.send(Ok(response));
                    }
                }
            },
            rr::Event::OutboundFailure { peer, request_id, error, .. } => {
                if let Some((_, done)) = self.requests.remove(&request_id) {
                    let failure = self.request_failure(peer, &error);
                    let _ = done.send(Err(failure));
                }
            }
            rr::Event::InboundFailure { peer, error, .. } => {
                // A bad request was reported when it was read; the rest is a peer that went away.
                tracing::debug!(%peer, %error, "a request ended without its answer sent");
            }
            rr::Event::ResponseSent { .. } => {}
        }
    }

    fn request_failure(&self, peer: PeerId, error: &rr::OutboundFailure) -> NetError {
        match error {
            rr::OutboundFailure::DialFailure => NetError::NotConnected { peer },
            rr::OutboundFailure::Timeout => NetError::Timeout {
                peer,
                step: Step::Answer,
                millis: self.limits.request_timeout_max.as_millis() as u64,
            },
            rr::OutboundFailure::ConnectionClosed => {
                NetError::Broken { peer, detail: "connection closed".to_owned() }
            }
            rr::OutboundFailure::UnsupportedProtocols => {
                NetError::Unsupported { peer, protocol: RPC_PROTOCOL }
            }
            rr::OutboundFailure::Io(error) => bulk::io_error(peer, error),
        }
    }
}
