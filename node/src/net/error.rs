//! What can go wrong between two nodes, as one enum. Each variant has a stable code for the message
//! catalogue, and [`NetError::outcome_unknown`] says whether the other side may have acted: callers
//! repeat such requests, and the messages above this layer are made so that repeating is harmless.

use libp2p::PeerId;
use thiserror::Error;

/// Where on the way to a peer an attempt ended, in the order of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Waiting in this process for a free place.
    Queue,
    /// Finding addresses: none is known, or none is of a kind this node speaks.
    Addresses,
    /// Turning a host name into an IP address.
    Resolve,
    /// Reaching the port: nobody answers there, or a firewall is in between.
    Connect,
    /// Getting from the relay to the peer: the relay refuses, or the peer holds no place there.
    Relay,
    /// Agreeing on encryption: something answers, but it is no node.
    Handshake,
    /// Showing who is there: a node answers, but with another key.
    Identity,
    /// This node's own limits on connections or memory.
    Limits,
    /// Waiting for the answer to what was sent.
    Answer,
}

impl Step {
    /// Stable name, for codes and fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Addresses => "addresses",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Relay => "relay",
            Self::Handshake => "handshake",
            Self::Identity => "identity",
            Self::Limits => "limits",
            Self::Answer => "answer",
        }
    }
}

/// A failure of the network layer.
#[derive(Clone, Debug, Error)]
pub enum NetError {
    /// The peer is not on this node's allow list.
    #[error("peer {peer} is not on the allow list of this node")]
    UnknownPeer {
        /// The peer asked for.
        peer: PeerId,
    },
    /// The peer closed the connection before any exchange; most often it does not know this node.
    #[error("peer {peer} closed the connection at once; it may not know this node yet")]
    Refused {
        /// The peer dialled.
        peer: PeerId,
    },
    /// This node has cut the peer off for a while, because it flooded this node.
    #[error("peer {peer} is cut off for {seconds} s more, because it flooded this node")]
    CutOff {
        /// The peer asked for.
        peer: PeerId,
        /// Time left, seconds.
        seconds: u64,
    },
    /// The connection was gone before anything was sent.
    #[error("not connected to peer {peer}")]
    NotConnected {
        /// The peer asked for.
        peer: PeerId,
    },
    /// No connection could be made.
    #[error("dialling peer {peer} failed at step {}: {detail}", step.name())]
    Dial {
        /// The peer dialled.
        peer: PeerId,
        /// The furthest step reached on any address.
        step: Step,
        /// Each address and its error, for the operator.
        detail: String,
    },
    /// The time given ran out; at step `answer` the outcome is unknown.
    #[error("peer {peer}: no result within {millis} ms, at step {}", step.name())]
    Timeout {
        /// The peer asked.
        peer: PeerId,
        /// What was being waited for.
        step: Step,
        /// The time given, milliseconds.
        millis: u64,
    },
    /// The connection broke after the request was sent; the outcome is unknown.
    #[error("peer {peer}: the connection broke before the answer: {detail}")]
    Broken {
        /// The peer asked.
        peer: PeerId,
        /// The library's reason.
        detail: String,
    },
    /// The peer has as many of our requests in work as it takes.
    #[error("peer {peer} is busy with earlier requests of this node")]
    Busy {
        /// The peer asked.
        peer: PeerId,
    },
    /// Something is longer than the protocol allows.
    #[error("{what} of {size} bytes exceeds the limit of {cap} bytes")]
    TooLarge {
        /// `request`, `response`, `frame` or `notice`.
        what: &'static str,
        /// Its length in bytes, as far as known.
        size: usize,
        /// The limit in bytes.
        cap: usize,
    },
    /// The peer took the request and failed inside; its own log says why.
    #[error("peer {peer} failed while answering")]
    PeerFailed {
        /// The peer asked.
        peer: PeerId,
    },
    /// The peer speaks, but not this protocol version.
    #[error("peer {peer} does not speak {protocol}")]
    Unsupported {
        /// The peer asked.
        peer: PeerId,
        /// The protocol's name.
        protocol: &'static str,
    },
    /// The peer's service refused the bulk request and gave its reason in its own words.
    #[error("peer {peer} refused the bulk stream ({} bytes of reason)", reply.len())]
    BulkRefused {
        /// The peer asked.
        peer: PeerId,
        /// What its service answered.
        reply: Vec<u8>,
    },
    /// A bulk stream ended without its end marker.
    #[error("bulk stream from peer {peer} was cut after {frames} frames: {detail}")]
    BulkCut {
        /// The sending peer.
        peer: PeerId,
        /// Whole frames received before.
        frames: u64,
        /// The reason, where there is one.
        detail: String,
    },
    /// The peer gave up in the middle of a bulk stream.
    #[error("peer {peer} gave up the bulk stream after {frames} frames")]
    BulkAborted {
        /// The sending peer.
        peer: PeerId,
        /// Whole frames received before.
        frames: u64,
    },
    /// The peer sent bytes that are not of the protocol.
    #[error("peer {peer} broke the protocol: {detail}")]
    Malformed {
        /// The sending peer.
        peer: PeerId,
        /// The rule broken.
        detail: String,
    },
    /// A listen address could not be used.
    #[error("cannot listen on {address}: {detail}")]
    Listen {
        /// The address from the configuration.
        address: String,
        /// The system's reason.
        detail: String,
    },
    /// The network stack could not be built.
    #[error("cannot set up the network: {detail}")]
    Setup {
        /// The library's reason.
        detail: String,
    },
    /// An announcement could not be sent.
    #[error("cannot announce: {detail}")]
    Announce {
        /// The library's reason.
        detail: String,
    },
    /// The network of this node is stopped.
    #[error("the network of this node is stopped")]
    Stopped,
}

impl NetError {
    /// Stable code for the message catalogue.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownPeer { .. } => "net-unknown-peer",
            Self::Refused { .. } => "net-refused",
            Self::CutOff { .. } => "net-cut-off",
            Self::NotConnected { .. } => "net-not-connected",
            Self::Dial { step, .. } => match step {
                Step::Addresses => "net-dial-addresses",
                Step::Resolve => "net-dial-resolve",
                Step::Relay => "net-dial-relay",
                Step::Handshake => "net-dial-handshake",
                Step::Identity => "net-dial-identity",
                Step::Limits => "net-dial-limits",
                Step::Connect | Step::Queue | Step::Answer => "net-dial-connect",
            },
            Self::Timeout { .. } => "net-timeout",
            Self::Broken { .. } => "net-broken",
            Self::Busy { .. } => "net-busy",
            Self::TooLarge { .. } => "net-too-large",
            Self::PeerFailed { .. } => "net-peer-failed",
            Self::Unsupported { .. } => "net-unsupported",
            Self::BulkRefused { .. } => "net-bulk-refused",
            Self::BulkCut { .. } => "net-bulk-cut",
            Self::BulkAborted { .. } => "net-bulk-aborted",
            Self::Malformed { .. } => "net-malformed",
            Self::Listen { .. } => "net-listen",
            Self::Setup { .. } => "net-setup",
            Self::Announce { .. } => "net-announce",
            Self::Stopped => "net-stopped",
        }
    }

    /// Whether the peer may have acted on the request although no answer came.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Timeout { step, .. } => *step == Step::Answer,
            Self::Broken { .. } | Self::PeerFailed { .. } | Self::Stopped => true,
            Self::TooLarge { what, .. } => *what == "response",
            _ => false,
        }
    }
}
