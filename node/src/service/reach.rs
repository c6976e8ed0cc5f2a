//! How other offices reach this node, as far as it can know: what relays tested, who connected from
//! outside, which places at relays it holds, and what a firewall must let in.

use std::collections::{BTreeMap, BTreeSet};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use serde::Serialize;

use super::Node;
use crate::net::{Connection, Net, Reach, Transport, is_circuit};

/// How this node is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReachState {
    /// The network does not run.
    Down,
    /// It listens on this machine only.
    Local,
    /// From outside: a relay tested it, or a peer came in.
    Direct,
    /// Through a relay.
    Relay,
    /// A relay tried and did not get through, and no place at a relay is held.
    Closed,
    /// Nobody has tried from outside yet.
    Unknown,
}

impl ReachState {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Local => "local",
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// How other offices reach this node, for `status` and `doctor`.
#[derive(Debug, Clone, Serialize)]
pub struct ReachView {
    /// The way.
    pub state: ReachState,
    /// Addresses a relay has reached this node under.
    pub addresses: Vec<String>,
    /// Peers that came in from outside and are connected now.
    pub from: Vec<String>,
    /// Relays at which a place is held.
    pub relays: Vec<String>,
    /// What a firewall must let in, such as `UDP 7440, TCP 7440`.
    pub ports: String,
}

impl Node {
    /// The name of the peer with this network identity; the identity itself when it is no peer.
    pub(super) fn peer_word(&self, peer: PeerId) -> String {
        self.member_of(peer).map_or_else(|| peer.to_string(), |name| name.to_string())
    }

    /// How this node is reached now.
    pub fn reachability(&self) -> ReachView {
        let listen = self.net().map(Net::listen_addresses).unwrap_or_default();
        let external: Vec<Multiaddr> =
            self.home.config.net.external.iter().filter_map(|a| a.parse().ok()).collect();
        let reach = self.net().map(Net::reach).unwrap_or_default();
        let connections = self.net().map(Net::connected).unwrap_or_default();
        let from: BTreeSet<_> = connections.iter().filter(|c| came_in(c)).map(|c| c.peer).collect();
        let state = match self.net() {
            None => ReachState::Down,
            Some(_) => judge(&reach, !from.is_empty(), external.is_empty() && listen.iter().all(is_local)),
        };
        ReachView {
            state,
            addresses: reach.direct.iter().map(ToString::to_string).collect(),
            from: from.into_iter().map(|peer| self.peer_word(peer)).collect(),
            relays: reach.relays.iter().map(|relay| self.peer_word(*relay)).collect(),
            ports: ports(if external.is_empty() { &listen } else { &external }),
        }
    }
}

/// Whether a peer opened this connection from outside. A way found with the help of a relay counts as
/// dialled by both sides.
fn came_in(connection: &Connection) -> bool {
    connection.accepted && !connection.dialled && connection.transport != Transport::Relay
}

fn judge(reach: &Reach, came_in: bool, local: bool) -> ReachState {
    if local && reach.relays.is_empty() {
        ReachState::Local
    } else if came_in || !reach.direct.is_empty() {
        ReachState::Direct
    } else if !reach.relays.is_empty() {
        ReachState::Relay
    } else if !reach.closed.is_empty() {
        ReachState::Closed
    } else {
        ReachState::Unknown
    }
}

fn is_local(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

/// The ports of addresses, in their order, each once.
fn ports(addresses: &[Multiaddr]) -> String {
    let mut ports: BTreeMap<String, usize> = BTreeMap::new();
    for address in addresses.iter().filter(|a| !is_circuit(a)) {
        let port = address.iter().find_map(|protocol| match protocol {
            Protocol::Udp(port) => Some(format!("UDP {port}")),
            Protocol::Tcp(port) => Some(format!("TCP {port}")),
            _ => None,
        });
        let next = ports.len();
        if let Some(port) = port {
            ports.entry(port).or_insert(next);
        }
    }
    let mut ordered: Vec<_> = ports.into_iter().collect();
    ordered.sort_by_key(|(_, order)| *order);
    ordered.into_iter().map(|(port, _)| port).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_firewall_is_asked_for_each_port_once() {
        let all: Vec<Multiaddr> = [
            "/ip4/0.0.0.0/udp/7440/quic-v1",
            "/ip4/0.0.0.0/tcp/7440",
            "/ip6/::/udp/7440/quic-v1",
            "/ip4/0.0.0.0/tcp/443/ws",
        ]
        .map(|a| a.parse().unwrap())
        .to_vec();
        assert_eq!(ports(&all), "UDP 7440, TCP 7440, TCP 443");
        let circuit = crate::net::circuit_address(PeerId::random(), &all[1]);
        assert_eq!(ports(&[circuit]), "");
    }

    #[test]
    fn what_was_seen_from_outside_outranks_what_was_only_tried() {
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/7440".parse().unwrap();
        let reach = |direct: bool, closed: bool, relay: bool| Reach {
            direct: direct.then(|| address.clone()).into_iter().collect(),
            closed: closed.then(|| address.clone()).into_iter().collect(),
            relays: relay.then(PeerId::random).into_iter().collect(),
        };
        for (reach, came_in, local, state) in [
            (reach(false, false, false), false, false, ReachState::Unknown),
            (reach(false, true, false), false, false, ReachState::Closed),
            (reach(false, true, true), false, false, ReachState::Relay),
            (reach(true, true, true), false, false, ReachState::Direct),
            (reach(false, true, false), true, false, ReachState::Direct),
            (reach(false, false, false), true, true, ReachState::Local),
            (reach(false, true, true), false, true, ReachState::Relay),
        ] {
            assert_eq!(judge(&reach, came_in, local), state, "{reach:?}");
        }
    }
}
