//! Half-open connections by the address they come from. Before a handshake ends nobody knows who is
//! there, so one machine that opens and stays silent could hold every place; here it holds its share,
//! and others still get in. In: connections that begin, end or are refused. Out: refusals.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, dummy,
    },
};

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
#[error("{max} half-open connections from {source_ip} already")]
pub(super) struct TooMany {
    max: u32,
    source_ip: IpAddr,
}

/// Counts the half-open connections of each address.
pub(super) struct Behaviour {
    max: u32,
    pending: BTreeMap<ConnectionId, IpAddr>,
    count: BTreeMap<IpAddr, u32>,
}

impl Behaviour {
    pub(super) fn new(max: u32) -> Self {
        Self { max, pending: BTreeMap::new(), count: BTreeMap::new() }
    }

    fn begin(&mut self, id: ConnectionId, from: &Multiaddr) -> Result<(), TooMany> {
        let Some(source_ip) = source(from) else { return Ok(()) };
        let count = self.count.entry(source_ip).or_default();
        if *count >= self.max {
            return Err(TooMany { max: self.max, source_ip });
        }
        *count += 1;
        self.pending.insert(id, source_ip);
        Ok(())
    }

    fn end(&mut self, id: ConnectionId) {
        let Some(source) = self.pending.remove(&id) else { return };
        if let Some(count) = self.count.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.count.remove(&source);
            }
        }
    }
}

/// Who is counted as one: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer
/// gets. Circuits have no address and are bounded by their relay; on loopback a proxy of this machine
/// stands for everybody.
fn source(from: &Multiaddr) -> Option<IpAddr> {
    const NETWORK: u128 = !0 << 64;
    let ip = match from.iter().next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => IpAddr::V4(ip),
            None if ip.is_loopback() => return None,
            None => IpAddr::V6((u128::from(ip) & NETWORK).into()),
        },
        _ => return None,
    };
    (!ip.is_loopback()).then_some(ip)
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.begin(id, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.end(id);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        if let FromSwarm::ListenFailure(failure) = event {
            self.end(failure.connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(address: &str) -> Multiaddr {
        address.parse().unwrap()
    }

    #[test]
    fn one_address_holds_its_share_and_others_still_get_in() {
        let mut half_open = Behaviour::new(3);
        let here = at("/ip4/10.77.1.1/tcp/7440");
        let begin = |behaviour: &mut Behaviour, id, from: &str| {
            let id = ConnectionId::new_unchecked(id);
            behaviour.handle_pending_inbound_connection(id, &here, &at(from)).is_ok()
        };
        for id in 0..3 {
            assert!(begin(&mut half_open, id, &format!("/ip4/192.0.2.1/tcp/{}", 1_000 + id)));
        }
        assert!(!begin(&mut half_open, 3, "/ip4/192.0.2.1/udp/2000/quic-v1"), "the fourth of one address");
        assert!(!begin(&mut half_open, 4, "/ip6/::ffff:192.0.2.1/tcp/2000"), "the same, written otherwise");
        assert!(begin(&mut half_open, 5, "/ip4/192.0.2.2/tcp/2000"), "another address");
        let _ = half_open.handle_established_inbound_connection(
            ConnectionId::new_unchecked(0),
            PeerId::random(),
            &here,
            &here,
        );
        assert!(begin(&mut half_open, 6, "/ip4/192.0.2.1/tcp/2001"), "one has shown who it is");
        for id in [1, 2, 3, 5, 6] {
            half_open.end(ConnectionId::new_unchecked(id));
        }
        assert!(half_open.pending.is_empty() && half_open.count.is_empty(), "nothing is kept");
    }

    #[test]
    fn a_network_of_64_bits_counts_as_one_and_loopback_and_circuits_not_at_all() {
        assert_eq!(source(&at("/ip6/2001:db8:1:2:a::1/tcp/1")), source(&at("/ip6/2001:db8:1:2:b::2/tcp/1")));
        assert_ne!(source(&at("/ip6/2001:db8:1:2::1/tcp/1")), source(&at("/ip6/2001:db8:1:3::1/tcp/1")));
        let circuit = format!("/p2p/{}", PeerId::random());
        for free in ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1", &circuit] {
            assert_eq!(source(&at(free)), None, "{free}");
        }
    }
}
