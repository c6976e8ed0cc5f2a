//! What the network task, the handles and the serving tasks see together: the allow list with its
//! places, the open connections, the listen addresses, the counters. Each lock is held for a few
//! instructions and never across a wait.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    counters::{Counter, Counters},
    dial::Transport,
    guests::Guests,
    limits::{
        AGENT_CHARS_MAX, BULK_IN_PER_PEER_MAX, BULK_IN_TOTAL_MAX, BULK_OUT_PER_PEER_MAX, NOTICES_IN_MAX,
        REQUESTS_IN_PER_PEER_MAX, REQUESTS_IN_TOTAL_MAX, REQUESTS_OUT_PER_PEER_MAX, STREAMS_OUT_BURST,
        STREAMS_OUT_PER_SECOND,
    },
    meter::{Bucket, Meter},
};

/// Places of one peer; they outlive a change of its addresses.
pub(super) struct Places {
    pub(super) requests_out: Arc<Semaphore>,
    pub(super) bulk_out: Arc<Semaphore>,
    pace: Mutex<Bucket>,
    requests_in: Arc<Semaphore>,
    bulk_in: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            requests_out: Arc::new(Semaphore::new(REQUESTS_OUT_PER_PEER_MAX)),
            bulk_out: Arc::new(Semaphore::new(BULK_OUT_PER_PEER_MAX)),
            pace: Mutex::new(Bucket::new(STREAMS_OUT_PER_SECOND, STREAMS_OUT_BURST, Instant::now())),
            requests_in: Arc::new(Semaphore::new(REQUESTS_IN_PER_PEER_MAX)),
            bulk_in: Arc::new(Semaphore::new(BULK_IN_PER_PEER_MAX)),
        })
    }

    /// Waits until one more stream to the peer is within the rate that it bears.
    pub(super) async fn pace(&self) {
        let pause = lock(&self.pace).take(Instant::now());
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

/// How this node can be reached, as far as it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Addresses a relay has reached this node under, directly.
    pub direct: Vec<Multiaddr>,
    /// Addresses a relay has tried and not reached this node under.
    pub closed: Vec<Multiaddr>,
    /// Relays at which this node has a place now.
    pub relays: Vec<PeerId>,
}

struct Peer {
    addresses: Vec<Multiaddr>,
    places: Arc<Places>,
}

/// One open connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: PeerId,
    /// What it runs on.
    pub transport: Transport,
    /// The relay it goes through, for a circuit.
    pub relay: Option<PeerId>,
    /// When it was opened.
    pub since: SystemTime,
    /// Whether this node dialled it.
    pub dialled: bool,
    /// Whether the peer has let this node in: it answered something.
    pub accepted: bool,
    /// What the peer calls itself: program, version and a mark of the running process.
    pub agent: Option<String>,
}

/// A place on both the peer's and the node's count; freed by dropping it.
pub(super) type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// State seen by all tasks of one network.
pub(super) struct Shared {
    peers: RwLock<BTreeMap<PeerId, Peer>>,
    connections: Mutex<BTreeMap<ConnectionId, Connection>>,
    listening: Mutex<Vec<Multiaddr>>,
    requests_in: Arc<Semaphore>,
    bulk_in: Arc<Semaphore>,
    pub(super) notices_in: Arc<Semaphore>,
    pub(super) counters: Counters,
    pub(super) meter: Arc<Meter>,
    pub(super) guests: Guests,
    reach: Mutex<Reach>,
}

/// A panic while a lock was held leaves plain data behind, never half a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            peers: RwLock::default(),
            connections: Mutex::default(),
            listening: Mutex::default(),
            requests_in: Arc::new(Semaphore::new(REQUESTS_IN_TOTAL_MAX)),
            bulk_in: Arc::new(Semaphore::new(BULK_IN_TOTAL_MAX)),
            notices_in: Arc::new(Semaphore::new(NOTICES_IN_MAX)),
            counters: Counters::default(),
            meter: Arc::default(),
            guests: Guests::default(),
            reach: Mutex::default(),
        }
    }

    pub(super) fn count(&self, counter: Counter) {
        self.counters.add(counter);
    }

    /// Replaces the allow list; returns the peers added and the peers removed.
    pub(super) fn set_peers(&self, new: BTreeMap<PeerId, Vec<Multiaddr>>) -> (Vec<PeerId>, Vec<PeerId>) {
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *peers);
        let mut added = Vec::new();
        for (id, addresses) in new {
            let places = match old.remove(&id) {
                Some(peer) => peer.places,
                None => {
                    added.push(id);
                    Places::new()
                }
            };
            peers.insert(id, Peer { addresses, places });
        }
        (added, old.into_keys().collect())
    }

    fn peer<T>(&self, peer: &PeerId, read: impl FnOnce(&Peer) -> T) -> Option<T> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.get(peer).map(read)
    }

    pub(super) fn allowed(&self, peer: &PeerId) -> bool {
        self.peer(peer, |_| ()).is_some()
    }

    pub(super) fn addresses(&self, peer: &PeerId) -> Option<Vec<Multiaddr>> {
        self.peer(peer, |peer| peer.addresses.clone())
    }

    pub(super) fn places(&self, peer: &PeerId) -> Option<Arc<Places>> {
        self.peer(peer, |peer| peer.places.clone()).or_else(|| self.guests.places(peer))
    }

    /// A place for a request of `peer`, or none when it has too many in work.
    pub(super) fn request_place(&self, peer: &PeerId) -> Option<Place> {
        let of_peer = self.places(peer)?.requests_in.clone().try_acquire_owned();
        let of_all = self.requests_in.clone().try_acquire_owned();
        Some((of_peer.ok()?, of_all.ok()?))
    }

    /// A place for a bulk stream to `peer`, or none when it has too many open.
    pub(super) fn bulk_place(&self, peer: &PeerId) -> Option<Place> {
        let of_peer = self.places(peer)?.bulk_in.clone().try_acquire_owned();
        let of_all = self.bulk_in.clone().try_acquire_owned();
        Some((of_peer.ok()?, of_all.ok()?))
    }

    pub(super) fn opened(&self, id: ConnectionId, connection: Connection) {
        lock(&self.connections).insert(id, connection);
    }

    /// Marks a connection as accepted; says whether it was not before.
    pub(super) fn accepted(&self, id: ConnectionId) -> bool {
        let mut connections = lock(&self.connections);
        let fresh = connections.get_mut(&id).filter(|c| !c.accepted);
        fresh.is_some_and(|connection| {
            connection.accepted = true;
            true
        })
    }

    /// Notes what the peer calls itself on this connection; gives its older connections that belong to
    /// an earlier process, which QUIC would take seconds to find dead.
    pub(super) fn identified(&self, id: ConnectionId, agent: &str) -> Vec<ConnectionId> {
        let mut connections = lock(&self.connections);
        let Some(connection) = connections.get_mut(&id) else { return Vec::new() };
        connection.agent = Some(agent.chars().take(AGENT_CHARS_MAX).collect());
        let (peer, agent) = (connection.peer, connection.agent.clone());
        let older = connections.range(..id);
        let stale = older.filter(|(_, c)| c.peer == peer && c.agent.is_some() && c.agent != agent);
        stale.map(|(id, _)| *id).collect()
    }

    pub(super) fn closed(&self, id: ConnectionId) -> Option<Connection> {
        lock(&self.connections).remove(&id)
    }

    /// Whether some connection to `peer` is accepted.
    pub(super) fn linked(&self, peer: &PeerId) -> bool {
        let connections = lock(&self.connections);
        connections.values().any(|c| c.peer == *peer && c.accepted)
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        lock(&self.connections).values().cloned().collect()
    }

    pub(super) fn reach(&self) -> Reach {
        lock(&self.reach).clone()
    }

    pub(super) fn change_reach(&self, change: impl FnOnce(&mut Reach)) {
        change(&mut lock(&self.reach));
    }

    /// Circuits to peers to whom a direct connection has stood for `grace` as well.
    pub(super) fn needless_circuits(&self, grace: Duration) -> Vec<ConnectionId> {
        let connections = lock(&self.connections);
        let circuits = connections.iter().filter(|(_, c)| c.transport == Transport::Relay);
        let replaced = circuits.filter(|(_, circuit)| {
            connections.values().any(|c| {
                let stood = c.since.elapsed().is_ok_and(|stood| stood >= grace);
                c.peer == circuit.peer && c.transport != Transport::Relay && c.accepted && stood
            })
        });
        replaced.map(|(id, _)| *id).collect()
    }

    pub(super) fn listening(&self) -> Vec<Multiaddr> {
        lock(&self.listening).clone()
    }

    pub(super) fn change_listening(&self, change: impl FnOnce(&mut Vec<Multiaddr>)) {
        change(&mut lock(&self.listening));
    }
}
