//! The libp2p stack of a node: transports, and behaviours in an order where those that refuse come
//! first, so that a peer that is turned away costs nothing behind them. Built once, at start.

use std::{collections::HashSet, sync::Arc, time::Duration};

use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder,
    allow_block_list::{self, AllowedPeers},
    autonat,
    connection_limits::{self, ConnectionLimits},
    dcutr, gossipsub, identify, identity, memory_connection_limits, ping, request_response,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};

use super::{
    codec::{Codec, RPC_PROTOCOL},
    error::NetError,
    half_open,
    limits::{
        CONNECTIONS_IN_MAX, CONNECTIONS_OUT_MAX, CONNECTIONS_PENDING_IN_MAX,
        CONNECTIONS_PENDING_IN_PER_ADDRESS_MAX, CONNECTIONS_PENDING_OUT_MAX, CONNECTIONS_PER_PEER_MAX,
        CONNECTIONS_TOTAL_MAX, DIAL_TIMEOUT, IDLE_TIMEOUT, MEMORY_SHARE_MAX, NOTICE_BYTES_MAX,
        NOTICE_ENVELOPE_BYTES, PING_INTERVAL, PING_TIMEOUT, REQUEST_STREAMS_PER_CONNECTION_MAX,
    },
    meter::Meter,
    relay, transport,
};

/// Topic of announcements.
pub const NOTICE_TOPIC: &str = "yunling/notice/1";

/// Name by which two nodes know that they speak the same family of protocols.
const PROTOCOL_FAMILY: &str = "yunling/1";

/// Announcements from named topics only.
pub(super) type Gossip =
    gossipsub::Behaviour<gossipsub::IdentityTransform, gossipsub::WhitelistSubscriptionFilter>;

/// What the node does on each connection; fields are asked in this order.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    /// Refuses every peer that is not a member or, while the node is fenced, one of its few guests:
    /// nothing below ever sees another.
    pub(super) allowed: allow_block_list::Behaviour<AllowedPeers>,
    /// Refuses half-open connections beyond the share of one address.
    pub(super) half_open: half_open::Behaviour,
    /// Refuses what exceeds the numbers in `limits`: a member gone wild cannot take all places.
    pub(super) limits: connection_limits::Behaviour,
    /// Refuses new connections when memory is short: work in progress is worth more.
    pub(super) memory: memory_connection_limits::Behaviour,
    /// Exchanges protocol names; its arrival is how a dialler knows that it was let in.
    pub(super) identify: identify::Behaviour,
    /// Finds connections whose other end is gone.
    pub(super) ping: ping::Behaviour,
    /// Requests and answers.
    pub(super) rpc: request_response::Behaviour<Codec>,
    /// Bulk streams.
    pub(super) bulk: libp2p_stream::Behaviour,
    /// Circuits through relays, to others and from them.
    pub(super) circuits: libp2p::relay::client::Behaviour,
    /// Carries circuits between members, where the operator has said so.
    pub(super) relay: Toggle<libp2p::relay::Behaviour>,
    /// Looks for a direct way once a circuit stands.
    pub(super) direct: dcutr::Behaviour,
    /// Asks relays whether this node can be reached without them.
    pub(super) reachability: Toggle<autonat::v2::client::Behaviour>,
    /// Answers that question for others, where this node is a relay.
    pub(super) dial_back: Toggle<autonat::v2::server::Behaviour>,
    /// Announcements; last, since losing one is healed by pulling.
    pub(super) gossip: Gossip,
}

/// The topic of announcements.
pub(super) fn notice_topic() -> gossipsub::IdentTopic {
    gossipsub::IdentTopic::new(NOTICE_TOPIC)
}

pub(super) fn setup(error: impl std::fmt::Display) -> NetError {
    NetError::Setup { detail: error.to_string() }
}

/// Which parts of a relay this node plays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roles {
    /// Serves as a relay, and tests for others whether they can be reached.
    pub(super) relay: bool,
    /// Names relays, so it wants to know whether it can be reached without one.
    pub(super) behind: bool,
}

/// Builds the stack. Must be called inside a tokio runtime.
pub(super) fn build(
    key: &identity::Keypair,
    request_timeout: Duration,
    roles: Roles,
    meter: &Arc<Meter>,
) -> Result<Swarm<Behaviour>, NetError> {
    let (transport, circuits) = transport::build(key, meter)?;
    let behaviour = behaviour(key, request_timeout, roles, circuits)?;
    let swarm = SwarmBuilder::with_existing_identity(key.clone())
        .with_tokio()
        .with_other_transport(|_| transport)
        .map_err(setup)?
        .with_behaviour(|_| behaviour)
        .map_err(setup)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT).with_smart_dial())
        .with_connection_timeout(DIAL_TIMEOUT)
        .build();
    Ok(swarm)
}

fn behaviour(
    key: &identity::Keypair,
    request_timeout: Duration,
    roles: Roles,
    circuits: libp2p::relay::client::Behaviour,
) -> Result<Behaviour, NetError> {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(CONNECTIONS_PENDING_IN_MAX))
        .with_max_pending_outgoing(Some(CONNECTIONS_PENDING_OUT_MAX))
        .with_max_established_incoming(Some(CONNECTIONS_IN_MAX))
        .with_max_established_outgoing(Some(CONNECTIONS_OUT_MAX))
        .with_max_established(Some(CONNECTIONS_TOTAL_MAX))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
    // The mark differs in every process, so that a peer tells connections of a dead one.
    let mut mark = [0; 8];
    getrandom::fill(&mut mark).map_err(setup)?;
    let mark = u64::from_be_bytes(mark);
    let identify = identify::Config::new(PROTOCOL_FAMILY.to_owned(), key.public())
        .with_agent_version(format!("yunling/{} {mark:016x}", env!("CARGO_PKG_VERSION")))
        // Peers dial what cards and roster say, never what a peer claims about itself.
        .with_cache_size(0)
        .with_hide_listen_addrs(true);
    let ping = ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT);
    let rpc = request_response::Config::default()
        .with_request_timeout(request_timeout)
        .with_max_concurrent_streams(REQUEST_STREAMS_PER_CONNECTION_MAX);
    let rpc_protocol = (StreamProtocol::new(RPC_PROTOCOL), request_response::ProtocolSupport::Full);
    let own = key.public().to_peer_id();
    Ok(Behaviour {
        allowed: allow_block_list::Behaviour::default(),
        half_open: half_open::Behaviour::new(CONNECTIONS_PENDING_IN_PER_ADDRESS_MAX),
        limits: connection_limits::Behaviour::new(limits),
        memory: memory_connection_limits::Behaviour::with_max_percentage(MEMORY_SHARE_MAX),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping),
        rpc: request_response::Behaviour::new([rpc_protocol], rpc),
        bulk: libp2p_stream::Behaviour::new(),
        circuits,
        relay: roles.relay.then(|| relay::server(own)).into(),
        direct: dcutr::Behaviour::new(own),
        // The library's own numbers: ten addresses at most, looked at every five seconds, each asked for
        // until it is known.
        reachability: roles.behind.then(autonat::v2::client::Behaviour::default).into(),
        dial_back: roles.relay.then(autonat::v2::server::Behaviour::default).into(),
        gossip: gossip(key)?,
    })
}

fn gossip(key: &identity::Keypair) -> Result<Gossip, NetError> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Strict)
        // Forwarded only after the signer was found on the allow list.
        .validate_messages()
        .max_transmit_size(NOTICE_BYTES_MAX + NOTICE_ENVELOPE_BYTES)
        .build()
        .map_err(setup)?;
    let topic = notice_topic();
    let filter = gossipsub::WhitelistSubscriptionFilter(HashSet::from([topic.hash()]));
    let author = gossipsub::MessageAuthenticity::Signed(key.clone());
    let mut gossip = Gossip::new_with_subscription_filter(author, config, filter).map_err(setup)?;
    gossip.subscribe(&topic).map_err(setup)?;
    Ok(gossip)
}

/// The transport key from its seed; the copy made here is wiped.
pub(super) fn transport_key(seed: &[u8; 32]) -> Result<identity::Keypair, NetError> {
    let mut bytes = zeroize::Zeroizing::new(*seed);
    identity::Keypair::ed25519_from_bytes(&mut bytes[..]).map_err(setup)
}

/// The peer id that belongs to a transport seed.
pub fn peer_id(seed: &[u8; 32]) -> Result<PeerId, NetError> {
    Ok(transport_key(seed)?.public().to_peer_id())
}
