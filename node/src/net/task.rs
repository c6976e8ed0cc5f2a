//! The one task that owns the swarm. Commands come in through a bounded queue, library events come in
//! from the swarm, answers of the service come back from their own tasks; nothing here waits for
//! anything else. Every command is answered, at the latest when this task ends and drops its sender.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Swarm,
    gossipsub::{self, PublishError},
    request_response as rr,
    swarm::ConnectionId,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    Service,
    behaviour::{Behaviour, BehaviourEvent, notice_topic},
    codec::{Kind, Reply, Request},
    counters::Counter,
    dial,
    error::NetError,
    limits::{
        LINKS_TICK, Limits, NOTICE_BYTES_MAX, REFUSED_LOG_LINES_PER_MINUTE_MAX, RESPONSE_BYTES_MAX,
        SHUTDOWN_GRACE, STRIKE_BAD, STRIKE_BUSY,
    },
    links::Links,
    relay::Places,
    shared::Shared,
};

mod cutoff;
mod events;
mod listen;
mod relays;

use cutoff::CutOff;

/// Where the outcome of a command goes.
pub(super) type Outcome<T> = oneshot::Sender<Result<T, NetError>>;

/// What a handle asks of the task.
pub(super) enum Command {
    SetPeers {
        peers: BTreeMap<PeerId, Vec<Multiaddr>>,
        done: oneshot::Sender<()>,
    },
    /// Answered when the peer has let this node in.
    Connect {
        peer: PeerId,
        done: Outcome<()>,
    },
    Request {
        peer: PeerId,
        request: Request,
        done: Outcome<Reply>,
    },
    /// Dials one address beside whatever exists; answered like `Connect`.
    Probe {
        peer: PeerId,
        address: Multiaddr,
        done: Outcome<ConnectionId>,
    },
    Close(ConnectionId),
    Announce {
        notice: Vec<u8>,
        done: Outcome<bool>,
    },
    Shutdown(oneshot::Sender<()>),
}

type Answer = (rr::ResponseChannel<Reply>, Reply);

/// The task's state.
pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    service: Arc<dyn Service>,
    shared: Arc<Shared>,
    limits: Limits,
    links: Links,
    /// Who waits to be let in by a peer.
    waiting: BTreeMap<PeerId, Vec<Outcome<()>>>,
    /// Dials under way, those of tests left out.
    dialling: BTreeMap<ConnectionId, PeerId>,
    probes: BTreeMap<ConnectionId, Outcome<ConnectionId>>,
    requests: BTreeMap<rr::OutboundRequestId, (PeerId, Outcome<Reply>)>,
    answers: JoinSet<Option<Answer>>,
    /// Serves bulk streams beside this task and ends with it.
    bulk: Option<AbortHandle>,
    refused_log: LogBudget,
    /// Places of this node at its relays.
    places: Places,
    /// Whether this node is a relay.
    relay: bool,
    /// Whether the configuration says under which addresses this node is reached.
    external: bool,
    cut_off: CutOff,
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bulk) = &self.bulk {
            bulk.abort();
        }
    }
}

impl Task {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        service: Arc<dyn Service>,
        shared: Arc<Shared>,
        limits: Limits,
        relay: bool,
        relays: Vec<(PeerId, Multiaddr)>,
    ) -> Self {
        let links = Links::new(
            *swarm.local_peer_id(),
            limits.standing_links_max,
            limits.redial_first,
            limits.redial_max,
        );
        let places = Places::new(relays, limits.redial_first, limits.redial_max, Instant::now());
        Self {
            swarm,
            service,
            shared,
            limits,
            links,
            waiting: BTreeMap::new(),
            dialling: BTreeMap::new(),
            probes: BTreeMap::new(),
            requests: BTreeMap::new(),
            answers: JoinSet::new(),
            bulk: None,
            refused_log: LogBudget::default(),
            places,
            relay,
            external: false,
            cut_off: CutOff::default(),
        }
    }

    pub(super) fn set_bulk(&mut self, bulk: AbortHandle) {
        self.bulk = Some(bulk);
    }

    /// Runs until told to stop or until the last handle is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut tick = interval(LINKS_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = commands.recv() => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                Some(answer) = self.answers.join_next() => {
                    if let Ok(Some((channel, reply))) = answer {
                        // An error means that the peer is gone; the library reports that itself.
                        let _ = self.swarm.behaviour_mut().rpc.send_response(channel, reply);
                    }
                }
                _ = tick.tick() => {
                    self.tend_cut_off();
                    self.dial_due();
                    self.tend_relays();
                }
            }
        };
        self.stop().await;
        drop(self);
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    async fn stop(&mut self) {
        if let Some(bulk) = self.bulk.take() {
            bulk.abort();
        }
        self.answers.abort_all();
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let swarm = &mut self.swarm;
        let goodbye = async {
            while swarm.network_info().num_peers() > 0 {
                swarm.select_next_some().await;
            }
        };
        let _ = timeout(SHUTDOWN_GRACE, goodbye).await;
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::SetPeers { peers, done } => {
                self.set_peers(peers);
                let _ = done.send(());
            }
            Command::Connect { peer, done } => self.connect(peer, Some(done)),
            Command::Request { peer, request, done } => {
                if !self.swarm.is_connected(&peer) {
                    let _ = done.send(Err(NetError::NotConnected { peer }));
                    return;
                }
                let rpc = &mut self.swarm.behaviour_mut().rpc;
                let id = rpc.send_request(&peer, request);
                self.requests.insert(id, (peer, done));
            }
            Command::Probe { peer, address, done } => self.probe(peer, address, done),
            Command::Close(id) => {
                self.swarm.close_connection(id);
            }
            Command::Announce { notice, done } => {
                let _ = done.send(self.announce(notice));
            }
            Command::Shutdown(_) => {}
        }
    }

    fn set_peers(&mut self, peers: BTreeMap<PeerId, Vec<Multiaddr>>) {
        let own = *self.swarm.local_peer_id();
        let ids: BTreeSet<_> = peers.keys().copied().filter(|id| *id != own).collect();
        let (added, removed) = self.shared.set_peers(peers);
        let behaviour = self.swarm.behaviour_mut();
        for peer in added {
            behaviour.allowed.allow_peer(peer);
        }
        for peer in removed {
            behaviour.allowed.disallow_peer(peer);
            self.cut_off.forget(&peer);
            self.shared.meter.forget(&peer);
            for done in self.waiting.remove(&peer).unwrap_or_default() {
                let _ = done.send(Err(NetError::UnknownPeer { peer }));
            }
        }
        self.links.set(ids.iter(), Instant::now(), jitter());
        // A peer that was just added is dialled without waiting for the next tick.
        self.dial_due();
    }

    /// Makes sure that a connection to `peer` exists or is on its way.
    fn connect(&mut self, peer: PeerId, done: Option<Outcome<()>>) {
        if self.shared.linked(&peer) {
            if let Some(done) = done {
                let _ = done.send(Ok(()));
            }
            return;
        }
        if let Some(done) = done {
            let waiting = self.waiting.entry(peer).or_default();
            waiting.retain(|earlier| !earlier.is_closed());
            waiting.push(done);
        }
        let under_way = self.dialling.values().any(|dialled| *dialled == peer);
        if under_way || self.swarm.is_connected(&peer) {
            return;
        }
        let Some(mut addresses) = self.shared.addresses(&peer) else {
            self.answer_waiting(peer, &Err(NetError::UnknownPeer { peer }));
            return;
        };
        if let Some(left) = self.cut_off.left(&peer, Instant::now()) {
            self.answer_waiting(peer, &Err(NetError::CutOff { peer, seconds: left.as_secs() }));
            return;
        }
        for address in self.places.addresses(&peer) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        let options = dial::options(peer, addresses);
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dialling.insert(id, peer);
            }
            Err(error) => self.dial_failed(peer, &dial::error(peer, &error)),
        }
    }

    fn probe(&mut self, peer: PeerId, address: Multiaddr, done: Outcome<ConnectionId>) {
        let options = dial::probe_options(peer, address);
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.probes.insert(id, done);
            }
            Err(error) => {
                let _ = done.send(Err(dial::error(peer, &error)));
            }
        }
    }

    fn announce(&mut self, notice: Vec<u8>) -> Result<bool, NetError> {
        if notice.len() > NOTICE_BYTES_MAX {
            return Err(NetError::TooLarge { what: "notice", size: notice.len(), cap: NOTICE_BYTES_MAX });
        }
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        match gossip.publish(notice_topic(), notice) {
            Ok(_) => {
                self.shared.count(Counter::NoticesSent);
                Ok(true)
            }
            // Everybody heard it.
            Err(PublishError::Duplicate) => Ok(true),
            Err(PublishError::NoPeersSubscribedToTopic) => Ok(false),
            Err(error) => Err(NetError::Announce { detail: error.to_string() }),
        }
    }

    fn dial_due(&mut self) {
        let swarm = &self.swarm;
        let due = self.links.due(Instant::now(), |peer| swarm.is_connected(peer));
        for peer in due {
            self.connect(peer, None);
        }
    }

    fn dial_failed(&mut self, peer: PeerId, error: &NetError) {
        self.shared.count(Counter::DialsFailed);
        tracing::debug!(%peer, %error, "dial failed");
        self.links.failed(&peer, Instant::now(), jitter());
        self.answer_waiting(peer, &Err(error.clone()));
    }

    fn answer_waiting(&mut self, peer: PeerId, result: &Result<(), NetError>) {
        for done in self.waiting.remove(&peer).unwrap_or_default() {
            let _ = done.send(result.clone());
        }
    }

    /// Hands a request to the service in a task of its own, if the peer has a free place.
    fn serve(&mut self, peer: PeerId, request: Request, channel: rr::ResponseChannel<Reply>) {
        if request.kind == Kind::Echo {
            let rpc = &mut self.swarm.behaviour_mut().rpc;
            let _ = rpc.send_response(channel, Reply::Answer(request.body));
            return;
        }
        if request.kind == Kind::Unreadable {
            // The stream ends with the dropped channel.
            self.shared.count(Counter::RequestsBad);
            self.shared.meter.strike(&peer, STRIKE_BAD);
            if self.refused_log.take() {
                let reason = String::from_utf8_lossy(&request.body);
                tracing::warn!(%peer, %reason, "unreadable request refused");
            }
            return;
        }
        self.shared.count(Counter::RequestsReceived);
        let Some(place) = self.shared.request_place(&peer) else {
            self.shared.count(Counter::RequestsBusy);
            self.shared.meter.strike(&peer, STRIKE_BUSY);
            if self.refused_log.take() {
                tracing::warn!(%peer, "too many requests in work for this peer; answered busy");
            }
            let rpc = &mut self.swarm.behaviour_mut().rpc;
            let _ = rpc.send_response(channel, Reply::Busy);
            return;
        };
        let service = self.service.clone();
        let shared = self.shared.clone();
        let limit = self.limits.service_timeout;
        self.answers.spawn(async move {
            let work = async move { service.answer(peer, request.body).await };
            let reply = reply_of(guarded(limit, work).await);
            if !matches!(reply, Reply::Answer(_)) {
                shared.count(Counter::ServiceFailed);
                tracing::error!(%peer, ?reply, "the service gave no usable answer");
            }
            drop(place);
            Some((channel, reply))
        });
    }

    fn on_notice(&mut self, via: PeerId, id: &gossipsub::MessageId, message: gossipsub::Message) {
        let from = message.source.filter(|from| self.shared.allowed(from));
        let acceptance = match from {
            Some(_) => gossipsub::MessageAcceptance::Accept,
            None => gossipsub::MessageAcceptance::Ignore,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(id, &via, acceptance);
        let place = self.shared.notices_in.clone().try_acquire_owned();
        let (Some(from), Ok(place)) = (from, place) else {
            self.shared.count(Counter::NoticesIgnored);
            return;
        };
        self.shared.count(Counter::NoticesReceived);
        let service = self.service.clone();
        let limit = self.limits.service_timeout;
        self.answers.spawn(async move {
            let work = async move { service.notice(from, message.data).await };
            if guarded(limit, work).await.is_none() {
                tracing::error!(peer = %from, "the service failed on an announcement");
            }
            drop(place);
            None
        });
    }
}

/// Runs work of the service: nothing it does, panics included, reaches the network task.
pub(super) async fn guarded<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let work = AssertUnwindSafe(work).catch_unwind();
    timeout(limit, work).await.ok()?.ok()
}

fn reply_of(answer: Option<Vec<u8>>) -> Reply {
    match answer {
        Some(body) if body.len() > RESPONSE_BYTES_MAX => {
            Reply::TooLarge(u32::try_from(body.len()).unwrap_or(u32::MAX))
        }
        Some(body) => Reply::Answer(body),
        None => Reply::Failed,
    }
}

/// Random spread of redials; when the system gives no random bytes, the full pause is as good.
fn jitter() -> u16 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u16::from_be_bytes(bytes),
        Err(_) => u16::MAX,
    }
}

/// Log lines left in this minute.
pub(super) struct LogBudget {
    minute_began: Instant,
    lines: u32,
}

impl Default for LogBudget {
    fn default() -> Self {
        Self { minute_began: Instant::now(), lines: 0 }
    }
}

impl LogBudget {
    pub(super) fn take(&mut self) -> bool {
        if self.minute_began.elapsed() >= Duration::from_mins(1) {
            *self = Self::default();
        }
        self.lines += 1;
        self.lines <= REFUSED_LOG_LINES_PER_MINUTE_MAX
    }
}
