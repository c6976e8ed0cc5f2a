//! Hellos: each office shows the other its newest card, its life and its clock. A peer that has not
//! accepted this node yet is greeted until it has; an accepted one once after a connection stands and
//! then now and again, so that new addresses reach it without a new invitation.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use yunling_protocol::card::SignedCard;
use yunling_protocol::message::{Answer, Frame, Hello};
use yunling_protocol::name::NodeName;
use yunling_protocol::pairing::Half;

use super::{Node, peers};

/// Longest a hello may take, dialling included.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a hello that was not answered, and before the next look at a peer that is away.
const GREET_PAUSE: Duration = Duration::from_secs(5);
/// Pause when the network has not yet taken over a peer that was accepted a moment ago.
const GREET_SOON: Duration = Duration::from_millis(300);
/// Pause after a hello that was answered: a changed address is known to all peers within this time.
const GREET_AGAIN: Duration = Duration::from_mins(10);

/// An answered hello.
#[derive(Debug)]
pub(super) struct Greeted {
    /// What the peer showed.
    pub(super) hello: Hello,
    /// From asking to the answer.
    pub(super) took: Duration,
    /// This node's clock when the answer came, unix seconds.
    pub(super) clock: i64,
}

impl Node {
    /// Says hello to a peer and keeps what it shows. On failure: the code of the failure and what is
    /// known of it.
    pub(super) async fn say_hello(
        self: &Arc<Self>,
        name: &NodeName,
    ) -> Result<Greeted, (&'static str, String)> {
        let net = self.net().ok_or_else(|| ("net-down", String::new()))?;
        let members = self.members();
        let member = members.get(name).filter(|m| m.removed_at.is_none());
        let peer = member.and_then(|m| peers::peer_id(&m.card));
        let peer = peer.ok_or_else(|| ("peer-unknown", name.to_string()))?;
        let hello = self.hello().map_err(|e| ("internal", e.code))?;
        let began = Instant::now();
        let older = Hello { roster: 0, ..hello.clone() };
        let answer = net.request(peer, Frame::Hello(hello).encode(), HELLO_TIMEOUT).await;
        let mut answer = Answer::decode(&answer.map_err(|e| (e.code(), e.to_string()))?);
        if matches!(&answer, Ok(Answer::Refused(code)) if code == "frame-encoding") {
            // One of 0.2 reads no greeting with a roster in it.
            let again = net.request(peer, Frame::Hello(older).encode(), HELLO_TIMEOUT).await;
            answer = Answer::decode(&again.map_err(|e| (e.code(), e.to_string()))?);
        }
        let (took, clock) = (began.elapsed(), self.home.clock.now().0);
        let hello = match answer {
            Ok(Answer::Hello(hello)) => hello,
            Ok(Answer::Refused(code)) => return Err(("peer-hello-refused", code)),
            _ => return Err(("net-malformed", "no hello came back".to_owned())),
        };
        self.hear_roster(name, hello.roster);
        let card = SignedCard::parse(&hello.card).ok().filter(|card| card.card.name == *name);
        let card = card.ok_or_else(|| ("card-signature", "another card came back".to_owned()))?;
        let node = self.clone();
        match tokio::task::spawn_blocking(move || node.note_peer(&card)).await {
            Ok(Ok(())) => Ok(Greeted { hello, took, clock }),
            Ok(Err(refusal)) => Err(("card-signature", refusal.to_string())),
            Err(stopped) => Err(("internal", stopped.to_string())),
        }
    }

    /// Greets the peers that are due, each in a task of its own: one that does not answer must not keep
    /// the outbox waiting. The tasks end with the network.
    pub(super) fn greet(self: &Arc<Self>) {
        let Some(net) = self.net() else { return };
        let connections = net.connected();
        let linked: BTreeSet<PeerId> = connections.iter().filter(|c| c.accepted).map(|c| c.peer).collect();
        let members = self.members();
        let active = members.iter().filter(|m| m.removed_at.is_none() && m.card.card.name != self.home.name);
        for member in active {
            let name = &member.card.card.name;
            let away = peers::peer_id(&member.card).is_none_or(|peer| !linked.contains(&peer));
            if away {
                // Once it is back it is greeted anew: it may be another life of it.
                self.greet_sooner(name);
            }
            if !self.greet_due(name) {
                continue;
            }
            let record = self.peer(name).ok().map(|(_, record)| record);
            let known = record.as_ref().is_none_or(|record| record.mutual);
            // A half over older keys of this node is asked for again.
            let current = |record: &peers::PeerRecord| {
                let (half, own) = (record.theirs.as_deref(), self.card().ok());
                half.zip(own).is_some_and(|(half, own)| Half::open(half, &record.card, &own).is_ok())
            };
            let paired = record.is_none_or(|record| current(&record));
            if away && known {
                self.greet_after(name, GREET_PAUSE);
                continue;
            }
            self.greet_after(name, HELLO_TIMEOUT + GREET_PAUSE);
            let (node, name, round) = (self.clone(), name.clone(), self.greet_round());
            tokio::spawn(async move {
                let answered = node.say_hello(&name).await;
                if answered.is_ok() && !known {
                    tracing::info!(peer = %name, "peer has accepted this node");
                }
                let forgotten =
                    matches!(&answered, Err(("peer-hello-refused", code)) if code == "peer-unknown");
                let mut taken_back = false;
                if (answered.is_ok() && !paired) || (forgotten && paired) {
                    let pairing = node.pair_with(&name).await;
                    taken_back = forgotten && pairing.is_ok();
                    if let Err(refusal) = pairing {
                        tracing::debug!(peer = %name, code = refusal.code, "no pairing record exchanged");
                    }
                }
                let pause = match answered {
                    // What was said a moment ago is no longer all there is to say.
                    _ if taken_back || node.greet_round() != round => GREET_SOON,
                    Ok(_) => GREET_AGAIN,
                    Err(("net-unknown-peer", _)) => GREET_SOON,
                    Err(_) => GREET_PAUSE,
                };
                node.greet_after(&name, pause);
            });
        }
    }

    /// Greets everybody soon, also whom a hello of before is on its way to: there is a new roster or card.
    pub(super) fn greet_all(&self) {
        {
            let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
            progress.greeted.clear();
            progress.greet_round += 1;
        }
        self.wake.notify_one();
    }

    fn greet_round(&self) -> u64 {
        self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner).greet_round
    }

    fn greet_due(&self, name: &NodeName) -> bool {
        let progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
        progress.greeted.get(name).is_none_or(|after| Instant::now() >= *after)
    }

    /// Ends the long pause after a hello that was answered; one that is under way is left alone.
    fn greet_sooner(&self, name: &NodeName) {
        let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(due) =
            progress.greeted.get_mut(name).filter(|due| **due > now + HELLO_TIMEOUT + GREET_PAUSE)
        {
            *due = now + GREET_PAUSE;
        }
    }

    fn greet_after(&self, name: &NodeName, pause: Duration) {
        let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
        progress.greeted.insert(name.clone(), Instant::now() + pause);
    }
}
