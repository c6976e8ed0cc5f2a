//! Opens the listeners at start, and finds what would go wrong with them before anything else runs:
//! either every address of the configuration is open, or the start fails with the address and reason.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, TcpListener},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr,
    core::transport::{ListenerId, TransportError},
    multiaddr::Protocol,
    swarm::SwarmEvent,
};
use tokio::time::{Instant, timeout_at};

use super::Task;
use crate::net::{dial, error::NetError, limits::LISTEN_TIMEOUT};

impl Task {
    /// Opens every listener and waits until each reported an address, so that a wrong address or a
    /// port in use is found at start.
    pub(in crate::net) async fn listen(
        &mut self,
        listen: Vec<Multiaddr>,
        external: Vec<Multiaddr>,
    ) -> Result<(), NetError> {
        let mut pending: Vec<(ListenerId, Multiaddr)> = Vec::new();
        // All before any: this node's own IPv4 listener would stand in the way of its IPv6 one.
        for address in &listen {
            port_free(address)?;
        }
        for address in listen {
            match self.swarm.listen_on(address.clone()) {
                Ok(id) => pending.push((id, address)),
                Err(error) if no_ipv6(&address, &error) => {
                    tracing::warn!(%address, "this machine has no IPv6; not listening there");
                }
                Err(error) => return Err(listen_error(&address, &error)),
            }
        }
        self.external = !external.is_empty();
        for address in external {
            self.swarm.add_external_address(address);
        }
        let deadline = Instant::now() + LISTEN_TIMEOUT;
        while let Some((_, address)) = pending.first().cloned() {
            let Ok(event) = timeout_at(deadline, self.swarm.select_next_some()).await else {
                let seconds = LISTEN_TIMEOUT.as_secs();
                return Err(listen_error(&address, format!("no address reported within {seconds} s")));
            };
            match &event {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    pending.retain(|(id, _)| id != listener_id);
                }
                SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                    if let Some((_, address)) = pending.iter().find(|(id, _)| id == listener_id) {
                        let reason = reason.as_ref().err();
                        let reason = reason.map_or_else(|| "closed".to_owned(), ToString::to_string);
                        return Err(listen_error(address, reason));
                    }
                }
                _ => {}
            }
            self.on_event(event);
        }
        Ok(())
    }
}

fn listen_error(address: &Multiaddr, error: impl std::fmt::Display) -> NetError {
    NetError::Listen { address: address.to_string(), detail: dial::shortened(&error.to_string()) }
}

/// The library shares a TCP port with other processes of the same user (it dials from that port), and
/// two nodes started by mistake would each get half of the connections. A plain bind finds the other.
fn port_free(address: &Multiaddr) -> Result<(), NetError> {
    let mut protocols = address.iter();
    let ip: IpAddr = match protocols.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    let Some(Protocol::Tcp(port)) = protocols.next() else {
        return Ok(());
    };
    match TcpListener::bind((ip, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(listen_error(address, &error)),
        // Whatever else is wrong, listening says it itself.
        _ => Ok(()),
    }
}

/// The default configuration names IPv6 as well; a machine without it is no mistake of the operator.
fn no_ipv6(address: &Multiaddr, error: &TransportError<io::Error>) -> bool {
    let any = address.iter().next() == Some(Protocol::Ip6(Ipv6Addr::UNSPECIFIED));
    let text = error.to_string().to_lowercase();
    any && (text.contains("address family") || text.contains("cannot assign requested address"))
}
