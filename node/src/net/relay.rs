//! Relays: how one is named, under which addresses a node is reached through it, what a relay grants,
//! and when a node asks for its place again. A relay carries encrypted bytes between two members that
//! cannot reach each other; it is no member of their talk, and only members of its own list may use it.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId, core::transport::ListenerId, multiaddr::Protocol, relay};

use super::{
    limits::{
        RELAY_CIRCUIT, RELAY_CIRCUIT_BYTES_MAX, RELAY_CIRCUITS_BURST, RELAY_CIRCUITS_MAX,
        RELAY_CIRCUITS_PER_PEER_MAX, RELAY_REFILL, RELAY_RESERVATION, RELAY_RESERVATIONS_BURST,
        RELAY_RESERVATIONS_MAX, RELAY_RESERVATIONS_PER_PEER_MAX,
    },
    links::pause,
};

/// Reads the address of a relay, which must end in `/p2p/` and the relay's identity; none when it does
/// not, or when it leads through another relay.
pub fn relay_address(text: &str) -> Option<(PeerId, Multiaddr)> {
    let mut address: Multiaddr = text.parse().ok()?;
    if is_circuit(&address) {
        return None;
    }
    let Some(Protocol::P2p(peer)) = address.pop() else { return None };
    (!address.is_empty()).then_some((peer, address))
}

/// The address under which whoever holds a place at the relay is reached.
pub fn circuit_address(relay: PeerId, address: &Multiaddr) -> Multiaddr {
    address.clone().with(Protocol::P2p(relay)).with(Protocol::P2pCircuit)
}

/// Whether an address leads through a relay.
pub fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|protocol| protocol == Protocol::P2pCircuit)
}

/// The relay that an address leads through.
pub(super) fn circuit_relay(address: &Multiaddr) -> Option<PeerId> {
    let mut before = None;
    for protocol in address {
        match protocol {
            Protocol::P2p(peer) => before = Some(peer),
            Protocol::P2pCircuit => return before,
            _ => {}
        }
    }
    None
}

/// What this node grants as a relay.
pub(super) fn server(own: PeerId) -> relay::Behaviour {
    let config = relay::Config {
        max_reservations: RELAY_RESERVATIONS_MAX,
        max_reservations_per_peer: RELAY_RESERVATIONS_PER_PEER_MAX,
        reservation_duration: RELAY_RESERVATION,
        // Per member, not per network address: the offices of a province may share one.
        reservation_rate_limiters: Vec::new(),
        max_circuits: RELAY_CIRCUITS_MAX,
        max_circuits_per_peer: RELAY_CIRCUITS_PER_PEER_MAX,
        max_circuit_duration: RELAY_CIRCUIT,
        max_circuit_bytes: RELAY_CIRCUIT_BYTES_MAX,
        circuit_src_rate_limiters: Vec::new(),
    };
    let burst = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let config = config
        .reservation_rate_per_peer(burst(RELAY_RESERVATIONS_BURST), RELAY_REFILL)
        .circuit_src_per_peer(burst(RELAY_CIRCUITS_BURST), RELAY_REFILL);
    let mut server = relay::Behaviour::new(own, config);
    // The operator has said so; whether others find it is seen by its members.
    server.set_status(Some(relay::Status::Enable));
    server
}

/// What to do about a relay now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Not an accepted peer of this node; said once.
    NotAllowed(PeerId),
    /// Connect to it.
    Connect(PeerId),
    /// Ask it for a place under this address.
    Reserve(PeerId, Multiaddr),
}

/// One relay of this node.
struct Place {
    addresses: Vec<Multiaddr>,
    listener: Option<ListenerId>,
    open: bool,
    next: Instant,
    failures: u32,
    told: bool,
}

/// The places of this node at its relays. Pure: the time and the jitter come in.
pub(super) struct Places {
    relays: BTreeMap<PeerId, Place>,
    first: Duration,
    max: Duration,
}

impl Places {
    pub(super) fn new(
        relays: Vec<(PeerId, Multiaddr)>,
        first: Duration,
        max: Duration,
        now: Instant,
    ) -> Self {
        let mut all = BTreeMap::new();
        for (peer, address) in relays {
            let place = all.entry(peer).or_insert_with(|| Place {
                addresses: Vec::new(),
                listener: None,
                open: false,
                next: now,
                failures: 0,
                told: false,
            });
            place.addresses.push(address);
        }
        Self { relays: all, first, max }
    }

    /// Configured addresses of a relay.
    pub(super) fn addresses(&self, peer: &PeerId) -> &[Multiaddr] {
        self.relays.get(peer).map_or(&[], |place| &place.addresses)
    }

    /// What to do now. Each relay is due again only after a pause.
    pub(super) fn due(
        &mut self,
        now: Instant,
        jitter: u16,
        allowed: impl Fn(&PeerId) -> bool,
        linked: impl Fn(&PeerId) -> bool,
    ) -> Vec<Due> {
        let mut due = Vec::new();
        for (peer, place) in &mut self.relays {
            if place.listener.is_some() {
                continue;
            }
            if !allowed(peer) {
                if !std::mem::replace(&mut place.told, true) {
                    due.push(Due::NotAllowed(*peer));
                }
                continue;
            }
            place.told = false;
            // A relay that dialled this node itself is asked at once.
            let linked = linked(peer);
            if place.next > now {
                continue;
            }
            place.next = now + pause(self.first, self.max, place.failures, jitter);
            place.failures = place.failures.saturating_add(1);
            match place.addresses.first() {
                Some(address) if linked => due.push(Due::Reserve(*peer, circuit_address(*peer, address))),
                _ => due.push(Due::Connect(*peer)),
            }
        }
        due
    }

    /// The library took the request for a place.
    pub(super) fn asked(&mut self, peer: &PeerId, listener: ListenerId) {
        if let Some(place) = self.relays.get_mut(peer) {
            place.listener = Some(listener);
        }
    }

    /// A link to the relay stands, so its place can be asked for without waiting.
    pub(super) fn linked(&mut self, peer: &PeerId, now: Instant) {
        if let Some(place) = self.relays.get_mut(peer) {
            place.next = now;
        }
    }

    /// The relay gave a place; says which relay, when the listener is one of a place.
    pub(super) fn opened(&mut self, listener: ListenerId) -> Option<PeerId> {
        let (peer, place) = self.relays.iter_mut().find(|(_, p)| p.listener == Some(listener))?;
        place.open = true;
        place.failures = 0;
        Some(*peer)
    }

    /// The place is lost or was refused; says which relay, and whether the place had been given.
    pub(super) fn closed(
        &mut self,
        listener: ListenerId,
        now: Instant,
        jitter: u16,
    ) -> Option<(PeerId, bool)> {
        let (peer, place) = self.relays.iter_mut().find(|(_, p)| p.listener == Some(listener))?;
        place.listener = None;
        place.next = now + pause(self.first, self.max, place.failures, jitter);
        Some((*peer, std::mem::take(&mut place.open)))
    }

    /// Relays at which this node has a place now.
    pub(super) fn held(&self) -> Vec<PeerId> {
        self.relays.iter().filter(|(_, place)| place.open).map(|(peer, _)| *peer).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_relay_is_named_with_its_identity_and_directly() {
        let (relay, other) = (PeerId::random(), PeerId::random());
        let plain: Multiaddr = "/ip4/192.0.2.1/tcp/443/ws".parse().unwrap();
        let named = format!("{plain}/p2p/{relay}");
        assert_eq!(relay_address(&named), Some((relay, plain.clone())));
        for wrong in [plain.to_string(), format!("/p2p/{relay}"), format!("{named}/p2p-circuit/p2p/{other}")]
        {
            assert_eq!(relay_address(&wrong), None, "{wrong}");
        }
        let circuit = circuit_address(relay, &plain);
        assert_eq!(circuit.to_string(), format!("{named}/p2p-circuit"));
        assert!(is_circuit(&circuit) && !is_circuit(&plain));
        let through = circuit.with(Protocol::P2p(other));
        assert_eq!((circuit_relay(&through), circuit_relay(&plain)), (Some(relay), None));
    }

    #[test]
    fn a_place_is_asked_for_once_linked_and_again_after_a_growing_pause() {
        let (relay, mut now) = (PeerId::random(), Instant::now());
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/7440".parse().unwrap();
        let mut places = Places::new(vec![(relay, address.clone())], SECOND, 60 * SECOND, now);
        let due =
            |places: &mut Places, now, allowed, linked| places.due(now, u16::MAX, |_| allowed, |_| linked);
        assert_eq!(due(&mut places, now, false, false), [Due::NotAllowed(relay)]);
        assert_eq!(due(&mut places, now, false, false), []);
        assert_eq!(due(&mut places, now, true, false), [Due::Connect(relay)]);
        assert_eq!(due(&mut places, now, true, true), [], "a pause follows each try");
        places.linked(&relay, now);
        let reserve = [Due::Reserve(relay, circuit_address(relay, &address))];
        assert_eq!(due(&mut places, now, true, true), reserve);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let listener = ListenerId::next();
            places.asked(&relay, listener);
            assert_eq!(due(&mut places, now + 90 * SECOND, true, true), [], "asked already");
            assert_eq!(places.closed(listener, now, u16::MAX), Some((relay, false)));
            let before = now;
            while due(&mut places, now, true, true).is_empty() {
                now += SECOND;
            }
            pauses.push((now - before).as_secs());
        }
        assert!(pauses.is_sorted() && pauses[0] <= 4 && pauses[7] == 60, "{pauses:?}");
        let listener = ListenerId::next();
        places.asked(&relay, listener);
        assert_eq!(places.opened(listener), Some(relay));
        assert_eq!(places.held(), [relay]);
        assert_eq!(places.closed(listener, now, 0), Some((relay, true)));
        assert_eq!(places.held(), []);
    }
}
