//! From addresses to what can be dialled, and from the library's dial errors to the step where the
//! way ended. An operator reads the result on the phone with another office, so the step must be right.

use std::error::Error;

use libp2p::{
    Multiaddr, PeerId,
    core::transport::TransportError,
    multiaddr::Protocol,
    swarm::{
        DialError,
        dial_opts::{DialOpts, PeerCondition},
    },
};

use super::{
    error::{NetError, Step},
    limits::{ADDRESSES_PER_PEER_MAX, DETAIL_CHARS_MAX},
};

/// What a connection or an address runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// QUIC over UDP.
    Quic,
    /// TCP with noise and yamux.
    Tcp,
    /// WebSocket over TCP, where nothing but port 443 is open.
    WebSocket,
    /// A circuit through a relay.
    Relay,
    /// Anything else; this version dials no such address.
    Other,
}

impl Transport {
    /// The transport an address is for.
    pub fn of(address: &Multiaddr) -> Self {
        let mut transport = Self::Other;
        for protocol in address {
            match protocol {
                Protocol::P2pCircuit => return Self::Relay,
                Protocol::QuicV1 => transport = Self::Quic,
                Protocol::Ws(_) | Protocol::Wss(_) => transport = Self::WebSocket,
                Protocol::Tcp(_) => transport = Self::Tcp,
                _ => {}
            }
        }
        transport
    }

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
            Self::WebSocket => "websocket",
            Self::Relay => "relay",
            Self::Other => "other",
        }
    }
}

/// The addresses of `peer` worth keeping: a trailing `/p2p/…` of the peer itself is cut off, an
/// address of another peer is left out, no address twice, and not more than the limit.
pub(super) fn usable(peer: &PeerId, addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut usable = Vec::new();
    for mut address in addresses {
        if let Some(Protocol::P2p(named)) = address.iter().last() {
            if named != *peer {
                tracing::warn!(%peer, %address, "address names another peer; left out");
                continue;
            }
            address.pop();
        }
        if !address.is_empty() && !usable.contains(&address) {
            usable.push(address);
        }
    }
    if usable.len() > ADDRESSES_PER_PEER_MAX {
        tracing::warn!(%peer, addresses = usable.len(), "more addresses than are kept");
        usable.truncate(ADDRESSES_PER_PEER_MAX);
    }
    usable
}

/// How to dial a peer that is neither connected nor being dialled.
pub(super) fn options(peer: PeerId, addresses: Vec<Multiaddr>) -> DialOpts {
    let quic = addresses.iter().any(|a| Transport::of(a) == Transport::Quic);
    let options =
        DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).addresses(addresses);
    if quic {
        // From the listening port: one entry in a firewall then serves both directions.
        options.build()
    } else {
        // Two nodes that dial each other from their listening TCP ports at the same moment end in
        // one connection where both think they dialled, and the handshake fails.
        options.allocate_new_port().build()
    }
}

/// How a connection test dials one address, beside whatever else exists.
pub(super) fn probe_options(peer: PeerId, address: Multiaddr) -> DialOpts {
    DialOpts::peer_id(peer)
        .condition(PeerCondition::Always)
        .addresses(vec![address])
        .allocate_new_port()
        .build()
}

/// The library's error with the furthest step any address reached.
pub(super) fn error(peer: PeerId, error: &DialError) -> NetError {
    let (step, detail) = match error {
        DialError::NoAddresses => (Step::Addresses, "no address is known".to_owned()),
        DialError::LocalPeerId { address } => {
            (Step::Identity, format!("{address} is this node's own address"))
        }
        DialError::WrongPeerId { obtained, address } => {
            (Step::Identity, format!("{address} is peer {obtained}"))
        }
        DialError::Denied { cause } => (Step::Limits, cause.to_string()),
        DialError::Aborted | DialError::DialPeerConditionFalse(_) => (Step::Connect, error.to_string()),
        DialError::Transport(failures) => transport_error(failures),
    };
    NetError::Dial { peer, step, detail: shortened(&detail) }
}

fn transport_error(failures: &[(Multiaddr, TransportError<std::io::Error>)]) -> (Step, String) {
    let mut furthest = Step::Addresses;
    let mut details = Vec::new();
    for (address, failure) in failures {
        let (step, text) = match failure {
            TransportError::MultiaddrNotSupported(_) => {
                (Step::Addresses, "kind of address not supported".to_owned())
            }
            TransportError::Other(error) => (step_of(error), innermost(error)),
        };
        furthest = furthest.max(step);
        details.push(format!("{address}: {text}"));
    }
    (furthest, details.join("; "))
}

/// How the library's relay client words its failures: the relay was reached and refused, or it was not
/// reached, or is no accepted peer of this node.
const RELAY_WORDINGS: [&str; 2] =
    ["failed to connect to destination", "response from behaviour was canceled"];

/// The step at which a transport failed. The library wraps its errors in types that cannot all be
/// named, so the innermost system error decides, and after it the wording; a test holds the wordings.
fn step_of(error: &std::io::Error) -> Step {
    use std::io::ErrorKind as Kind;
    let chain = texts(error).join(" / ").to_lowercase();
    if RELAY_WORDINGS.iter().any(|wording| chain.contains(wording)) {
        return Step::Relay;
    }
    if chain.contains("dns") || chain.contains("resolv") || chain.contains("no records found") {
        return Step::Resolve;
    }
    if chain.contains("timeout") || chain.contains("timed out") {
        return Step::Connect;
    }
    let mut kinds = vec![error.kind()];
    let mut next = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(inner) = next {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            kinds.push(io.kind());
        }
        next = inner.source();
    }
    let reach = [
        Kind::ConnectionRefused,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::NetworkDown,
        Kind::TimedOut,
        Kind::AddrNotAvailable,
        Kind::PermissionDenied,
    ];
    let reached = !kinds.iter().any(|kind| reach.contains(kind))
        && !chain.contains("refused")
        && !chain.contains("unreachable");
    if reached { Step::Handshake } else { Step::Connect }
}

fn texts(error: &std::io::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut next = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(inner) = next {
        texts.push(inner.to_string());
        next = inner.source();
    }
    texts
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &std::io::Error) -> String {
    shortened(&texts(error).join(": "))
}

fn innermost(error: &std::io::Error) -> String {
    texts(error).pop().unwrap_or_default()
}

/// Text of an error in one line and of bounded length.
pub(super) fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DETAIL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_lose_their_own_peer_and_keep_no_other() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let plain: Multiaddr = "/ip4/192.0.2.1/tcp/7440".parse().unwrap();
        let own = plain.clone().with(Protocol::P2p(peer));
        let foreign = plain.clone().with(Protocol::P2p(other));
        let kept = usable(&peer, vec![own, foreign, plain.clone()]);
        assert_eq!(kept, [plain]);
    }

    #[test]
    fn a_transport_is_read_from_its_address() {
        for (text, transport) in [
            ("/ip4/192.0.2.1/udp/7440/quic-v1", Transport::Quic),
            ("/dns/node.example/tcp/7440", Transport::Tcp),
            ("/dns/node.example/tcp/443/wss", Transport::WebSocket),
            ("/ip4/192.0.2.1/tcp/443/ws", Transport::WebSocket),
            (
                &format!("/ip4/192.0.2.1/udp/7440/quic-v1/p2p/{}/p2p-circuit", PeerId::random()),
                Transport::Relay,
            ),
            ("/memory/1", Transport::Other),
        ] {
            assert_eq!(Transport::of(&text.parse().unwrap()), transport);
        }
    }

    #[test]
    fn the_step_is_read_from_the_system_error() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(step_of(&std::io::Error::other(refused)), Step::Connect);
        let noise = std::io::Error::other("Handshake failed: invalid data");
        assert_eq!(step_of(&noise), Step::Handshake);
    }

    #[test]
    fn details_are_one_bounded_line() {
        let text = "a\n".repeat(DETAIL_CHARS_MAX);
        assert_eq!(shortened(&text).len(), DETAIL_CHARS_MAX);
        assert!(!shortened(&text).contains('\n'));
    }
}
