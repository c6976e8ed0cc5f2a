//! Counters of the network layer for metrics. They only grow, start at zero with the process, and
//! their names are stable, so that a page or a scraper can list them without knowing this module.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter { $($(#[$doc])* $variant,)* }

        impl Counter {
            /// Every counter, in the order of the numbers below.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name for metrics, without a prefix.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

counters! {
    /// Requests this node sent, repeats not counted.
    RequestsSent => "requests_sent",
    /// Requests that ended by a timer.
    RequestsTimedOut => "requests_timed_out",
    /// Requests that ended by any other error.
    RequestsFailed => "requests_failed",
    /// Requests received from peers.
    RequestsReceived => "requests_received",
    /// Received requests turned away because the peer has too many in work.
    RequestsBusy => "requests_busy",
    /// Received requests the service failed to answer: too long, too late, or a panic.
    ServiceFailed => "service_failed",
    /// Request streams whose bytes were not of the protocol, or that stopped in the middle.
    RequestsBad => "requests_bad",
    /// Connections refused because the peer is not on the allow list.
    UnknownRefused => "unknown_peers_refused",
    /// Connections refused by the limits on connections and memory.
    LimitRefused => "limit_refused",
    /// Connections opened, in both directions.
    ConnectionsOpened => "connections_opened",
    /// Connections closed.
    ConnectionsClosed => "connections_closed",
    /// Dials that failed.
    DialsFailed => "dials_failed",
    /// Bulk streams this node asked for.
    BulkAsked => "bulk_asked",
    /// Bulk streams read that ended without their end marker.
    BulkCut => "bulk_cut",
    /// Bulk streams served to their end.
    BulkServed => "bulk_served",
    /// Bulk streams turned away because the peer has too many open.
    BulkBusy => "bulk_busy",
    /// Bulk streams that stopped while being served.
    BulkServeFailed => "bulk_serve_failed",
    /// Announcements sent.
    NoticesSent => "notices_sent",
    /// Announcements received and handed on.
    NoticesReceived => "notices_received",
    /// Announcements ignored: the signer is unknown, or too many came at once.
    NoticesIgnored => "notices_ignored",
    /// Places given to members by this relay, renewals not counted.
    RelayReservations => "relay_reservations",
    /// Circuits opened through this relay.
    RelayCircuits => "relay_circuits",
    /// Places and circuits this relay refused.
    RelayRefused => "relay_refused",
    /// Peers cut off for a while because they flooded this node.
    PeersCut => "peers_cut",
}

/// The live counters.
pub(super) struct Counters([AtomicU64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Counter::ALL.len()])
    }
}

impl Counters {
    /// Adds one.
    pub(super) fn add(&self, counter: Counter) {
        self.0[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The value now.
    pub(super) fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}
