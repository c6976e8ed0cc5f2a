//! Guests: strangers that a fenced node lets in for a moment, since one of them may be a peer that it
//! forgot and that can show the pairing record both signed. A guest may ask; what it gets to ask is the
//! service's business. Few, briefly, and each once in a while: a stranger must not take the places.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use libp2p::PeerId;

use super::{
    limits::{GUEST_PAUSE, GUEST_TIME, GUESTS_MAX},
    shared::Places,
};

struct Guest {
    places: Arc<Places>,
    /// Shown out already; kept until then so that it does not come back at once.
    out: bool,
    until: Instant,
}

/// Who is a guest now. Pure but for the lock: the time comes in.
#[derive(Default)]
pub(super) struct Guests {
    welcome: AtomicBool,
    guests: Mutex<BTreeMap<PeerId, Guest>>,
}

impl Guests {
    fn guests(&self) -> MutexGuard<'_, BTreeMap<PeerId, Guest>> {
        // A panic while the lock was held leaves plain data behind.
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens or closes the door.
    pub(super) fn welcome(&self, open: bool) {
        self.welcome.store(open, Ordering::Release);
    }

    /// A stranger stands at the door: whether it may come in.
    pub(super) fn admit(&self, peer: PeerId, now: Instant) -> bool {
        let mut guests = self.guests();
        let may =
            self.welcome.load(Ordering::Acquire) && guests.len() < GUESTS_MAX && !guests.contains_key(&peer);
        if may {
            guests.insert(peer, Guest { places: Places::new(), out: false, until: now + GUEST_TIME });
        }
        may
    }

    /// Places of a guest.
    pub(super) fn places(&self, peer: &PeerId) -> Option<Arc<Places>> {
        self.guests().get(peer).filter(|guest| !guest.out).map(|guest| guest.places.clone())
    }

    /// A guest that misbehaves; says whether it was one.
    pub(super) fn dismiss(&self, peer: &PeerId, now: Instant) -> bool {
        match self.guests().get_mut(peer).filter(|guest| !guest.out) {
            Some(guest) => {
                guest.until = now;
                true
            }
            None => false,
        }
    }

    /// Guests whose time is over, or all when the door was closed.
    pub(super) fn over(&self, now: Instant) -> Vec<PeerId> {
        let closed = !self.welcome.load(Ordering::Acquire);
        let mut over = Vec::new();
        self.guests().retain(|peer, guest| {
            if guest.out {
                return !closed && guest.until > now;
            }
            if closed || guest.until <= now {
                over.push(*peer);
                (guest.out, guest.until) = (true, now + GUEST_PAUSE);
            }
            true
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_few_brief_and_only_behind_an_open_door() {
        let (guests, now) = (Guests::default(), Instant::now());
        let peer = PeerId::random();
        assert!(!guests.admit(peer, now), "the door is closed");
        guests.welcome(true);
        assert!(guests.admit(peer, now));
        assert!(!guests.admit(peer, now), "it is in already");
        for _ in 1..GUESTS_MAX {
            assert!(guests.admit(PeerId::random(), now));
        }
        assert!(!guests.admit(PeerId::random(), now), "no more places");
        assert!(guests.over(now).is_empty());
        assert!(guests.places(&peer).is_some());
        let later = now + GUEST_TIME;
        assert_eq!(guests.over(later).len(), GUESTS_MAX);
        assert!(guests.places(&peer).is_none());
        assert!(!guests.admit(peer, later), "not again at once");
        assert!(guests.over(later + GUEST_PAUSE).is_empty());
        assert!(guests.admit(peer, later + GUEST_PAUSE));
        guests.welcome(false);
        assert_eq!(guests.over(later + GUEST_PAUSE), [peer]);
    }
}
