//! Every limit of the network layer, each with its reason. Constants are what the protocol fixes for
//! all nodes; [`Limits`] holds those that an operator's line or a test may move. Nothing elsewhere in
//! `net` writes a number of bytes, of peers or of seconds.

use std::time::Duration;

/// Largest request a peer may send, bytes. Requests are signed messages and ids; whatever is longer
/// belongs on a bulk stream.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Largest answer a node may give, bytes. A page of statements fits; a dossier goes by bulk stream.
pub const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// Largest frame of a bulk stream, bytes. Equal to the largest stored value (DESIGN 9), so one
/// statement is always one frame, and a reader never holds more than this per stream.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Largest announcement, bytes. Announcements name things to pull; they carry no records.
pub const NOTICE_BYTES_MAX: usize = 16 * 1024;

/// Room for the envelope around an announcement (source, sequence, signature, topic), bytes.
pub(super) const NOTICE_ENVELOPE_BYTES: usize = 1024;

/// Peers on the allow list. Fifty times the number of prefectures in the country.
pub const PEERS_MAX: usize = 16_384;

/// Addresses kept per peer: IPv4 and IPv6, QUIC and TCP, two sites, and as many again.
pub const ADDRESSES_PER_PEER_MAX: usize = 16;

/// Connections with one peer. Both sides may dial at once (2), a connection test adds one or two, and
/// beside them stand a circuit through a relay, the direct way found for it, and a dial-back that
/// tests whether this node can be reached.
pub(super) const CONNECTIONS_PER_PEER_MAX: u32 = 8;

/// Connections that have not shown who they are yet. A flood of half-open handshakes ends here.
pub(super) const CONNECTIONS_PENDING_IN_MAX: u32 = 128;

/// Of these from one address: a fifth, so that a machine that opens and stays silent leaves room for all
/// others. Offices that share an address and come back at once after an outage are let in in turn.
pub(super) const CONNECTIONS_PENDING_IN_PER_ADDRESS_MAX: u32 = 24;

/// Dials under way. Above it a dial fails at once and is tried again later.
pub(super) const CONNECTIONS_PENDING_OUT_MAX: u32 = 128;

/// Established inbound connections: one per member with room for pairs; file descriptors are finite.
pub(super) const CONNECTIONS_IN_MAX: u32 = 768;

/// Established outbound connections, for the same reason.
pub(super) const CONNECTIONS_OUT_MAX: u32 = 768;

/// Established connections in all, below the usual limit of 1,024 open files less the store's share.
pub(super) const CONNECTIONS_TOTAL_MAX: u32 = 896;

/// Share of the machine's memory above which no new connection is taken: existing work goes on.
pub(super) const MEMORY_SHARE_MAX: f64 = 0.7;

/// Requests from one peer being answered at once. Twice what an honest peer sends
/// ([`REQUESTS_OUT_PER_PEER_MAX`]), so that only a peer out of order is ever told "busy".
pub(super) const REQUESTS_IN_PER_PEER_MAX: usize = 64;

/// Requests from all peers being answered at once: with the caps above at most 16 MiB of requests.
pub(super) const REQUESTS_IN_TOTAL_MAX: usize = 256;

/// Requests to one peer under way; more wait in this process, inside their own deadline.
pub(super) const REQUESTS_OUT_PER_PEER_MAX: usize = 32;

/// Request streams of one connection in both directions before the library drops more.
pub(super) const REQUEST_STREAMS_PER_CONNECTION_MAX: usize = 128;

/// Bulk streams served to one peer at once: some moves at a time share a line well.
pub(super) const BULK_IN_PER_PEER_MAX: usize = 8;

/// Bulk streams served to all peers at once; each holds an open read of the store.
pub(super) const BULK_IN_TOTAL_MAX: usize = 64;

/// Bulk streams opened to one peer at once, below what the other side allows.
pub(super) const BULK_OUT_PER_PEER_MAX: usize = 4;

/// Times a bulk stream is opened again when the other side dropped it before its first byte:
/// `libp2p-stream` hands over one inbound stream at a time and drops the others.
pub(super) const BULK_OPEN_TRIES_MAX: u32 = 4;

/// Pause before the next such try, times the number of the try.
pub(super) const BULK_OPEN_PAUSE: Duration = Duration::from_millis(40);

/// Announcements handled at once; more are dropped, since pulling heals what an announcement missed.
pub(super) const NOTICES_IN_MAX: usize = 16;

/// Commands waiting for the network task. A full queue makes callers wait inside their deadline.
pub(super) const COMMANDS_MAX: usize = 256;

/// A connection nobody uses is kept this long (DESIGN 10): a handshake costs more than silence.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// One dial attempt, handshake included. Slow satellite lines answer within 3 s.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pings find links whose other end lost power: TCP alone would notice after hours.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(15);

/// A ping unanswered for this long closes the connection.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// QUIC packets that keep a firewall's entry open and show that the other end lives.
pub(super) const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// QUIC connections silent for this long are dead, milliseconds: three lost keep-alives.
/// A killed peer that comes back is found by this alone unless it dials first, so it is short.
pub(super) const QUIC_IDLE_TIMEOUT_MS: u32 = 7_000;

/// Unread bytes of one QUIC stream held for a slow reader: 2 MiB keep a line of 150 ms full at
/// 100 Mbit/s, and a whole answer fits.
pub(super) const QUIC_STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// The same for all streams of one connection; memory a member can make this node hold.
pub(super) const QUIC_CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// Streams of one TCP connection: requests, bulk streams and the small ones of the library.
pub(super) const TCP_STREAMS_PER_CONNECTION_MAX: usize = 256;

/// Largest WebSocket frame taken, bytes. What is inside are encrypted frames of at most 64 KiB, some
/// of which the sender may join; the library's own limit of 256 MiB is memory a stranger could ask for.
pub(super) const WEBSOCKET_FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Members that may hold a place at this relay: every office of a province, three times over.
pub(super) const RELAY_RESERVATIONS_MAX: usize = 512;

/// Places one member may hold: one, and one each for connections that it has lost without noticing.
pub(super) const RELAY_RESERVATIONS_PER_PEER_MAX: usize = 4;

/// How long a place is kept; the member renews it before. A member that has gone away is forgotten then.
pub(super) const RELAY_RESERVATION: Duration = Duration::from_hours(1);

/// Circuits through this relay at once: 64 offices behind it with 16 standing links each.
pub(super) const RELAY_CIRCUITS_MAX: usize = 1_024;

/// Circuits of one member, as either end: its standing links, and as many again on demand.
pub(super) const RELAY_CIRCUITS_PER_PEER_MAX: usize = 64;

/// How long a circuit may live. The library's 2 minutes would cut every long copy and every standing
/// link; after a day the two ends meet anew, so that no circuit outlives a change of the members.
pub(super) const RELAY_CIRCUIT: Duration = Duration::from_hours(24);

/// Bytes one circuit may carry, both directions together. The library's 128 KiB would cut a dossier
/// of a few hundred statements; a move of the largest dossier allowed is a hundred times smaller than
/// this, and a member that takes the relay for a file store is cut. The next circuit begins at zero.
pub(super) const RELAY_CIRCUIT_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// Places asked for by one member, at once and then one in each [`RELAY_REFILL`]: a member that loses
/// its line asks again every few seconds.
pub(super) const RELAY_RESERVATIONS_BURST: u32 = 60;

/// Circuits asked for by one member, at once and then one in each [`RELAY_REFILL`]: after a restart
/// it asks for all its peers, and again for those that are away.
pub(super) const RELAY_CIRCUITS_BURST: u32 = 240;

/// Time in which one more ask of a member is free again.
pub(super) const RELAY_REFILL: Duration = Duration::from_secs(2);

/// Relays a node may name: two sites and a spare.
pub const RELAYS_MAX: usize = 4;

/// A circuit is closed this long after a direct connection to the same peer stands: what began on it
/// in the first moments can end, and the relay is not used for what goes without it.
pub(super) const CIRCUIT_GRACE: Duration = Duration::from_secs(10);

/// Streams a peer may open at once before it is taken more slowly: several times what an honest node
/// does after a long silence ([`STREAMS_OUT_BURST`]), library streams included.
pub(super) const STREAMS_IN_BURST: u32 = 2_000;

/// Streams a peer may open in a second, on all its connections: above [`STREAMS_OUT_PER_SECOND`] with
/// room for the streams of the library, and no burden for this node.
pub(super) const STREAMS_IN_PER_SECOND: u32 = 1_000;

/// Requests and bulk streams this node opens to one peer at once without a pause.
pub(super) const STREAMS_OUT_BURST: u32 = 500;

/// Requests and bulk streams this node opens to one peer in a second. A peer writes each request to
/// its disk; more than this it could not answer.
pub(super) const STREAMS_OUT_PER_SECOND: u32 = 500;

/// Strikes at which a peer is cut off. An honest node collects none.
pub(super) const STRIKES_MAX: u32 = 2_000;

/// Strikes forgotten in a second: a fault that shows now and then never adds up.
pub(super) const STRIKES_FADE_PER_SECOND: u32 = 10;

/// Strike of a stream beyond the rate.
pub(super) const STRIKE_OVER_RATE: u32 = 1;

/// Strike of a request or stream beyond the peer's places.
pub(super) const STRIKE_BUSY: u32 = 5;

/// Strike of a request that is not of the protocol, of a frame over the cap, or of one never finished.
pub(super) const STRIKE_BAD: u32 = 20;

/// Strike of a bulk stream that held a place until its timer ran out. An honest peer on a dead line
/// lets its four ([`BULK_OUT_PER_PEER_MAX`]) run out every 30 s, which fades faster than it adds up.
pub(super) const STRIKE_STALLED: u32 = 50;

/// Longest a peer stays cut off, however often it comes back to the same.
pub(super) const CUT_OFF_MAX: Duration = Duration::from_hours(1);

/// Strangers let in at once while this node is fenced, each with the places of a peer: a node forgets
/// the few peers made since its backup, not many.
pub(super) const GUESTS_MAX: usize = 16;

/// How long a guest may stay: twice the longest pause between two dials of a peer, so that it comes
/// back within it after having been refused, and shows its record.
pub(super) const GUEST_TIME: Duration = Duration::from_mins(3);

/// How long who was a guest is not let in again: others have their turn.
pub(super) const GUEST_PAUSE: Duration = Duration::from_mins(1);

/// How long a clean stop waits for connections to say goodbye.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How long `start` waits for the listeners to report their addresses.
pub(super) const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How often standing links are looked at.
pub(super) const LINKS_TICK: Duration = Duration::from_millis(250);

/// Log lines about refused unknown peers in a minute: a stranger must not fill the disk.
/// The counter goes on counting.
pub(super) const REFUSED_LOG_LINES_PER_MINUTE_MAX: u32 = 60;

/// Text of a dial error kept, characters: it is shown to a person.
pub(super) const DETAIL_CHARS_MAX: usize = 400;

/// Text kept of what a peer calls itself, characters.
pub(super) const AGENT_CHARS_MAX: usize = 64;

/// Addresses of one kind tried by a connection test, so that a test ends within a minute or so.
pub(super) const PROBE_ADDRESSES_MAX: usize = 4;

/// Timers and counts an operator's line or a test may need to move.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest a request may last, queueing and dialling included; longer timeouts are cut to it.
    pub request_timeout_max: Duration,
    /// Longest the service may think about a request or the opening of a bulk stream; then the peer
    /// is told that this node failed.
    pub service_timeout: Duration,
    /// From asking for a bulk stream to its first answer, dialling included.
    pub bulk_open_timeout: Duration,
    /// Longest pause between two frames of a bulk stream, reading and writing. 64 KiB in 30 s is
    /// 18 kbit/s: slower lines are for the courier.
    pub frame_timeout: Duration,
    /// Peers a connection is kept to at all times (DESIGN 10: 12 to 16); the rest is on demand.
    pub standing_links_max: usize,
    /// First pause before a lost or failed standing link is dialled again; doubles each time.
    pub redial_first: Duration,
    /// Longest such pause. A peer that comes back dials by itself, so this can be long.
    pub redial_max: Duration,
    /// How long a peer that flooded this node stays cut off; doubles each time, up to an hour.
    pub cut_off: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout_max: Duration::from_mins(1),
            service_timeout: Duration::from_secs(45),
            bulk_open_timeout: Duration::from_mins(1),
            frame_timeout: Duration::from_secs(30),
            standing_links_max: 16,
            redial_first: Duration::from_secs(1),
            redial_max: Duration::from_mins(1),
            cut_off: Duration::from_mins(5),
        }
    }
}
