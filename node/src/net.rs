//! The network between nodes: authenticated connections to the peers on an allow list, requests with
//! answers, bulk streams, announcements, and a connection test. Bytes go in and come out; what they
//! mean (dossiers, custody, the store) is unknown here. A peer that is not on the list is refused at
//! its connection, every length has a limit, and every request ends by an answer or by a timer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use libp2p::StreamProtocol;
pub use libp2p::{Multiaddr, PeerId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

mod behaviour;
mod bulk;
mod codec;
mod counters;
mod dial;
mod error;
mod guests;
mod half_open;
pub mod limits;
mod links;
mod meter;
mod probe;
mod relay;
mod serve;
mod shared;
mod task;
#[cfg(test)]
mod tests;
mod transport;

pub use behaviour::{NOTICE_TOPIC, peer_id};
pub use bulk::{BULK_PROTOCOL, BulkReader, BulkSource, SourceStopped};
pub use codec::{RPC_PROTOCOL, read_request_bytes};
pub use counters::Counter;
pub use dial::Transport;
pub use error::{NetError, Step};
pub use limits::Limits;
pub use probe::TestStep;
pub use relay::{circuit_address, is_circuit, relay_address};
pub use shared::{Connection, Reach};

use behaviour::Roles;
use bulk::Opening;
use codec::{Kind, Reply, Request};
use limits::{
    BULK_OPEN_PAUSE, BULK_OPEN_TRIES_MAX, COMMANDS_MAX, PEERS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX,
};
use shared::Shared;
use task::{Command, Outcome, Task};

/// What a network needs to start.
pub struct NetConfig {
    /// Secret of the transport key (ed25519 seed). Wiped from this struct by [`Net::start`].
    pub transport_seed: [u8; 32],
    /// Addresses to listen on; port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses under which peers reach this node, where they differ.
    pub external: Vec<Multiaddr>,
    /// Whether this node carries circuits between its peers, and tests for them whether they can be
    /// reached.
    pub relay: bool,
    /// Relays at which this node asks for a place, each with its identity; they must be peers as well.
    pub relays: Vec<(PeerId, Multiaddr)>,
    /// Timers and counts.
    pub limits: Limits,
}

/// A peer that may connect, and where to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// The identity of its transport key.
    pub peer: PeerId,
    /// Where it listens, with or without `/p2p/…`; may be empty for a peer that only dials.
    pub addresses: Vec<Multiaddr>,
}

/// What the node does with the bytes that arrive. Calls run in tasks of their own, at most a bounded
/// number at once, and are cut off after [`Limits::service_timeout`]; work that blocks belongs on
/// `spawn_blocking`. A request may arrive more than once, so acting on it twice must be harmless.
pub trait Service: Send + Sync + 'static {
    /// Answers a request of an allowed peer, or of a guest ([`Net::welcome_guests`]), with at most [`limits::RESPONSE_BYTES_MAX`] bytes.
    fn answer(&self, from: PeerId, request: Vec<u8>) -> BoxFuture<'static, Vec<u8>>;

    /// Opens a bulk stream to an allowed peer (or a guest), or refuses with at most
    /// [`limits::FRAME_BYTES_MAX`] bytes of reason.
    fn bulk(&self, from: PeerId, request: Vec<u8>) -> BoxFuture<'static, Result<BulkSource, Vec<u8>>>;

    /// Takes an announcement signed by an allowed peer. It may come twice, late or not at all.
    fn notice(&self, from: PeerId, notice: Vec<u8>) -> BoxFuture<'static, ()>;

    /// Told that an allowed peer was cut off for `length`, because it opened `over_rate` streams beyond
    /// its rate and sent `bad` requests that are not of the protocol or beyond its places.
    fn cut_off(&self, from: PeerId, over_rate: u64, bad: u64, length: Duration) {
        let _ = (from, over_rate, bad, length);
    }
}

struct Inner {
    local: PeerId,
    commands: mpsc::Sender<Command>,
    control: libp2p_stream::Control,
    shared: Arc<Shared>,
    limits: Limits,
}

/// Handle to a running network. Cheap to clone; the network stops when the last handle is dropped or
/// [`Net::shutdown`] is called.
#[derive(Clone)]
pub struct Net {
    inner: Arc<Inner>,
}

impl Net {
    /// Starts a network inside the current tokio runtime. On success every listen address is open; no
    /// peer is allowed until [`Net::set_peers`].
    pub async fn start(config: NetConfig, service: impl Service) -> Result<Self, NetError> {
        // The stack is some 20 KiB of state; callers should not carry it in their own futures.
        Box::pin(Self::build(config, Arc::new(service))).await
    }

    async fn build(mut config: NetConfig, service: Arc<dyn Service>) -> Result<Self, NetError> {
        let key = behaviour::transport_key(&config.transport_seed);
        zeroize::Zeroize::zeroize(&mut config.transport_seed);
        let roles = Roles { relay: config.relay, behind: !config.relays.is_empty() };
        let shared = Arc::new(Shared::new());
        let swarm = behaviour::build(&key?, config.limits.request_timeout_max, roles, &shared.meter)?;
        let local = *swarm.local_peer_id();
        let mut control = swarm.behaviour().bulk.new_control();
        let incoming = control
            .accept(StreamProtocol::new(BULK_PROTOCOL))
            .map_err(|error| NetError::Setup { detail: error.to_string() })?;
        let limits = config.limits;
        let mut task =
            Task::new(swarm, service.clone(), shared.clone(), limits.clone(), config.relay, config.relays);
        task.listen(config.listen, config.external).await?;
        let serving = serve::serve_bulk(incoming, service, shared.clone(), limits.clone());
        task.set_bulk(tokio::spawn(serving).abort_handle());
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(task.run(queue));
        tracing::info!(peer = %local, "network started");
        let inner = Inner { local, commands, control, shared, limits };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Stops: closes connections and listeners, ends what is being served. Everything asked of any
    /// handle afterwards is answered by [`NetError::Stopped`].
    pub async fn shutdown(&self) {
        let (done, stopped) = oneshot::channel();
        if self.send(Command::Shutdown(done)).await.is_ok() {
            let _ = stopped.await;
        }
    }

    /// This node's transport identity.
    pub fn local_peer(&self) -> PeerId {
        self.inner.local
    }

    /// Replaces the allow list. Peers no longer on it are disconnected, also in the middle of a
    /// stream; peers that stay keep their connections.
    pub async fn set_peers(&self, peers: Vec<PeerAddress>) -> Result<(), NetError> {
        if peers.len() > PEERS_MAX {
            return Err(NetError::TooLarge { what: "peers", size: peers.len(), cap: PEERS_MAX });
        }
        let peers: BTreeMap<_, _> = peers
            .into_iter()
            .filter(|peer| peer.peer != self.inner.local)
            .map(|peer| (peer.peer, dial::usable(&peer.peer, peer.addresses)))
            .collect();
        let (done, set) = oneshot::channel();
        self.send(Command::SetPeers { peers, done }).await?;
        set.await.map_err(|_| NetError::Stopped)
    }

    /// Whether strangers may come in for a moment. The service is asked for what they may do: it gets
    /// their requests as those of a peer.
    pub fn welcome_guests(&self, open: bool) {
        self.shared().guests.welcome(open);
    }

    /// Sends a request of at most [`limits::REQUEST_BYTES_MAX`] bytes and waits for the answer,
    /// dialling first when needed. `timeout` covers all of it. When the connection breaks before the
    /// answer, the request is sent once more: it must be safe to repeat.
    pub async fn request(
        &self,
        peer: PeerId,
        request: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>, NetError> {
        let size = request.len();
        if size > REQUEST_BYTES_MAX {
            return Err(NetError::TooLarge { what: "request", size, cap: REQUEST_BYTES_MAX });
        }
        let request = Request { kind: Kind::Service, body: request };
        self.shared().count(Counter::RequestsSent);
        let result = match self.call(peer, request, timeout).await {
            Ok(Reply::Answer(answer)) => return Ok(answer),
            Ok(Reply::Busy) => Err(NetError::Busy { peer }),
            Ok(Reply::Failed) => Err(NetError::PeerFailed { peer }),
            Ok(Reply::TooLarge(size)) => {
                Err(NetError::TooLarge { what: "response", size: size as usize, cap: RESPONSE_BYTES_MAX })
            }
            Err(error) => Err(error),
        };
        let timed_out = matches!(result, Err(NetError::Timeout { .. }));
        self.shared().count(if timed_out { Counter::RequestsTimedOut } else { Counter::RequestsFailed });
        result
    }

    /// Opens a bulk stream: sends `request`, and on success gives a reader of the frames that the
    /// peer's service sends. Opening has [`Limits::bulk_open_timeout`], each frame
    /// [`Limits::frame_timeout`].
    pub async fn bulk(&self, peer: PeerId, request: Vec<u8>) -> Result<BulkReader, NetError> {
        let size = request.len();
        if size > REQUEST_BYTES_MAX {
            return Err(NetError::TooLarge { what: "request", size, cap: REQUEST_BYTES_MAX });
        }
        self.shared().count(Counter::BulkAsked);
        let limit = self.inner.limits.bulk_open_timeout;
        let at = Progress::default();
        let opened = timeout_at(Instant::now() + limit, self.open(peer, &request, &at)).await;
        opened.unwrap_or_else(|_| Err(at.timeout(peer, limit)))
    }

    /// Announces `notice` (at most [`limits::NOTICE_BYTES_MAX`] bytes) to peers that are connected,
    /// and through them to others; false when nobody connected listens. Nothing tells whether it arrived.
    pub async fn announce(&self, notice: Vec<u8>) -> Result<bool, NetError> {
        self.ask(|done| Command::Announce { notice, done }).await
    }

    /// Addresses this node listens on now.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.shared().listening()
    }

    /// How this node can be reached, as far as its relays have told.
    pub fn reach(&self) -> Reach {
        self.shared().reach()
    }

    /// Open connections, oldest first; a peer may appear more than once.
    pub fn connected(&self) -> Vec<Connection> {
        self.shared().connections()
    }

    /// The value of one counter.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.shared().counters.get(counter)
    }

    /// All counters with their names.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let all = Counter::ALL.iter();
        all.map(|counter| (counter.name(), self.counter(*counter))).collect()
    }

    fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    async fn send(&self, command: Command) -> Result<(), NetError> {
        let sent = self.inner.commands.send(command).await;
        sent.map_err(|_| NetError::Stopped)
    }

    /// Sends a command and waits for its outcome; a task that ends drops the sender.
    async fn ask<T>(&self, command: impl FnOnce(Outcome<T>) -> Command) -> Result<T, NetError> {
        let (done, outcome) = oneshot::channel();
        self.send(command(done)).await?;
        outcome.await.unwrap_or(Err(NetError::Stopped))
    }

    async fn call(&self, peer: PeerId, request: Request, timeout: Duration) -> Result<Reply, NetError> {
        let timeout = timeout.min(self.inner.limits.request_timeout_max);
        let at = Progress::default();
        let work = self.exchange(peer, request, &at);
        let result = timeout_at(Instant::now() + timeout, work).await;
        result.unwrap_or_else(|_| Err(at.timeout(peer, timeout)))
    }

    async fn exchange(&self, peer: PeerId, request: Request, at: &Progress) -> Result<Reply, NetError> {
        let unknown = || NetError::UnknownPeer { peer };
        let places = self.shared().places(&peer).ok_or_else(unknown)?;
        let place = places.requests_out.acquire().await;
        let _place = place.map_err(|_| NetError::Stopped)?;
        let first = self.exchange_once(peer, request.clone(), at).await;
        match first {
            // A restarted peer resets its old connections when they are used: try a fresh one.
            Err(NetError::Broken { .. } | NetError::NotConnected { .. }) => {
                self.exchange_once(peer, request, at).await
            }
            result => result,
        }
    }

    async fn exchange_once(&self, peer: PeerId, request: Request, at: &Progress) -> Result<Reply, NetError> {
        at.set(Step::Connect);
        self.ask(|done| Command::Connect { peer, done }).await?;
        if let Some(places) = self.shared().places(&peer) {
            places.pace().await;
        }
        at.set(Step::Answer);
        let request = |done| Command::Request { peer, request, done };
        self.ask(request).await
    }

    async fn open(&self, peer: PeerId, request: &[u8], at: &Progress) -> Result<BulkReader, NetError> {
        let unknown = || NetError::UnknownPeer { peer };
        let places = self.shared().places(&peer).ok_or_else(unknown)?;
        let place = places.bulk_out.clone().acquire_owned().await;
        let place = place.map_err(|_| NetError::Stopped)?;
        let mut tries = 1;
        let stream = loop {
            match self.open_once(peer, request, at).await {
                Err(NetError::Broken { .. }) if tries < BULK_OPEN_TRIES_MAX => {
                    tokio::time::sleep(BULK_OPEN_PAUSE * tries).await;
                    tries += 1;
                }
                result => break result?,
            }
        };
        let shared = self.inner.shared.clone();
        let on_cut = Box::new(move || shared.count(Counter::BulkCut));
        let limit = self.inner.limits.frame_timeout;
        Ok(BulkReader::new(peer, stream, limit, Some(place), Some(on_cut)))
    }

    /// Connects first, then opens: left to itself the library may wait for ever for a peer that a
    /// behaviour refuses.
    async fn open_once(
        &self,
        peer: PeerId,
        request: &[u8],
        at: &Progress,
    ) -> Result<impl futures::AsyncRead + Send + Unpin + 'static, NetError> {
        at.set(Step::Connect);
        self.ask(|done| Command::Connect { peer, done }).await?;
        if let Some(places) = self.shared().places(&peer) {
            places.pace().await;
        }
        at.set(Step::Answer);
        let broken = |detail: String| NetError::Broken { peer, detail };
        let mut control = self.inner.control.clone();
        let opened = control.open_stream(peer, StreamProtocol::new(BULK_PROTOCOL));
        let mut stream = match opened.await {
            Ok(stream) => stream,
            Err(libp2p_stream::OpenStreamError::UnsupportedProtocol(_)) => {
                return Err(NetError::Unsupported { peer, protocol: BULK_PROTOCOL });
            }
            Err(error) => return Err(broken(error.to_string())),
        };
        let exchanged = async {
            bulk::write_request(&mut stream, request).await?;
            bulk::read_opening(&mut stream).await
        };
        match exchanged.await {
            Ok(Opening::Frames) => Ok(stream),
            Ok(Opening::Refused(reply)) => Err(NetError::BulkRefused { peer, reply }),
            Ok(Opening::Busy) => Err(NetError::Busy { peer }),
            Ok(Opening::Failed) => Err(NetError::PeerFailed { peer }),
            Err(error) => Err(bulk::io_error(peer, &error)),
        }
    }
}

/// How far a call has come, for the error when its time runs out.
#[derive(Default)]
struct Progress(AtomicU8);

impl Progress {
    const STEPS: [Step; 3] = [Step::Queue, Step::Connect, Step::Answer];

    fn set(&self, step: Step) {
        let index = Self::STEPS.iter().position(|known| *known == step);
        self.0.store(index.unwrap_or(0) as u8, Ordering::Relaxed);
    }

    fn timeout(&self, peer: PeerId, limit: Duration) -> NetError {
        let index = usize::from(self.0.load(Ordering::Relaxed));
        NetError::Timeout {
            peer,
            step: Self::STEPS[index.min(Self::STEPS.len() - 1)],
            millis: limit.as_millis() as u64,
        }
    }
}
