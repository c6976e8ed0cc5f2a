//! The libp2p stack of a node: transports, and behaviours in an order where those that refuse come
//! first, so that a peer that is turned away costs nothing behind them. Built once, at start.

use std::{collections::HashSet, time::Duration};

use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder,
    allow_block_list::{self, AllowedPeers},
    connection_limits::{self, ConnectionLimits},
    dns, gossipsub, identify, identity, memory_connection_limits, noise, ping, request_response,
    swarm::NetworkBehaviour,
    tcp, yamux,
};

use super::{
    codec::{Codec, RPC_PROTOCOL},
    error::NetError,
    limits::{
        CONNECTIONS_IN_MAX, CONNECTIONS_OUT_MAX, CONNECTIONS_PENDING_IN_MAX, CONNECTIONS_PENDING_OUT_MAX,
        CONNECTIONS_PER_PEER_MAX, CONNECTIONS_TOTAL_MAX, DIAL_TIMEOUT, IDLE_TIMEOUT, MEMORY_SHARE_MAX,
        NOTICE_BYTES_MAX, NOTICE_ENVELOPE_BYTES, PING_INTERVAL, PING_TIMEOUT, QUIC_CONNECTION_WINDOW_BYTES,
        QUIC_IDLE_TIMEOUT_MS, QUIC_KEEP_ALIVE, QUIC_STREAM_WINDOW_BYTES, REQUEST_STREAMS_PER_CONNECTION_MAX,
        TCP_STREAMS_PER_CONNECTION_MAX,
    },
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
    /// Refuses every peer that is not a member: nothing below ever sees a stranger.
    pub(super) allowed: allow_block_list::Behaviour<AllowedPeers>,
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
    /// Announcements; last, since losing one is healed by pulling.
    pub(super) gossip: Gossip,
}

/// The topic of announcements.
pub(super) fn notice_topic() -> gossipsub::IdentTopic {
    gossipsub::IdentTopic::new(NOTICE_TOPIC)
}

fn tcp_streams() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(TCP_STREAMS_PER_CONNECTION_MAX);
    config
}

fn setup(error: impl std::fmt::Display) -> NetError {
    NetError::Setup { detail: error.to_string() }
}

/// Builds the stack. Must be called inside a tokio runtime.
pub(super) fn build(
    key: &identity::Keypair,
    request_timeout: Duration,
) -> Result<Swarm<Behaviour>, NetError> {
    let behaviour = |key: &identity::Keypair| {
        behaviour(key, request_timeout)
            .map_err(|error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>)
    };
    let transport = || -> Result<_, NetError> {
        Ok(SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, tcp_streams)
            .map_err(setup)?
            .with_quic_config(|mut quic| {
                quic.keep_alive_interval = QUIC_KEEP_ALIVE;
                quic.max_idle_timeout = QUIC_IDLE_TIMEOUT_MS;
                quic.handshake_timeout = DIAL_TIMEOUT;
                quic.max_stream_data = QUIC_STREAM_WINDOW_BYTES;
                quic.max_connection_data = QUIC_CONNECTION_WINDOW_BYTES;
                quic
            }))
    };
    let config =
        |config: libp2p::swarm::Config| config.with_idle_connection_timeout(IDLE_TIMEOUT).with_smart_dial();
    // A machine without a usable /etc/resolv.conf still reaches peers by number; host names then
    // fail at the step "resolve", where the operator looks.
    let swarm = match transport()?.with_dns() {
        Ok(builder) => builder
            .with_behaviour(behaviour)
            .map_err(setup)?
            .with_swarm_config(config)
            .with_connection_timeout(DIAL_TIMEOUT)
            .build(),
        Err(error) => {
            tracing::warn!(%error, "host names of peers cannot be resolved");
            let nowhere = dns::ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            transport()?
                .with_dns_config(nowhere, dns::ResolverOpts::default())
                .with_behaviour(behaviour)
                .map_err(setup)?
                .with_swarm_config(config)
                .with_connection_timeout(DIAL_TIMEOUT)
                .build()
        }
    };
    Ok(swarm)
}

fn behaviour(key: &identity::Keypair, request_timeout: Duration) -> Result<Behaviour, NetError> {
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
    Ok(Behaviour {
        allowed: allow_block_list::Behaviour::default(),
        limits: connection_limits::Behaviour::new(limits),
        memory: memory_connection_limits::Behaviour::with_max_percentage(MEMORY_SHARE_MAX),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping),
        rpc: request_response::Behaviour::new([rpc_protocol], rpc),
        bulk: libp2p_stream::Behaviour::new(),
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
