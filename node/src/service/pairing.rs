//! The pairing record between this node and its peers: exchanged once both have accepted, shown again
//! to a peer that does not know this node any more. A fenced node takes a peer back on its own
//! signature and waits for it like for every other.

use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use yunling_protocol::card::SignedCard;
use yunling_protocol::message::{Answer, Frame, Pairing};
use yunling_protocol::name::NodeName;
use yunling_protocol::pairing::{Half, PairingError};

use super::peers::{PeerRecord, peer_id};
use super::{Node, Refusal};

/// Longest an exchange of halves may take; the connection stands already.
const PAIRING_TIMEOUT: Duration = Duration::from_secs(10);

fn refusal(error: &PairingError) -> Refusal {
    Refusal::new(error.code()).with("cause", error)
}

impl Node {
    /// This node's half of the record with a peer. The signature is deterministic, so that it need not
    /// be kept.
    fn own_half(&self, record: &PeerRecord) -> Result<Vec<u8>, Refusal> {
        let half = Half {
            by: self.home.name.clone(),
            with: record.card.card.name.clone(),
            fingerprint: record.card.fingerprint(),
            since: record.accepted_at,
            trial: self.home.config.node.trial,
        };
        let signed = self.decide(|office| half.sign(office.signer));
        signed.map_err(|e| Refusal::new("internal").with("cause", e))
    }

    /// Exchanges halves with a connected peer, and so shows it the one it signed itself.
    pub(super) async fn pair_with(self: &Arc<Self>, name: &NodeName) -> Result<(), Refusal> {
        let net = self.net().ok_or_else(|| Refusal::new("net-down"))?;
        let (_, record) = self.peer(name)?;
        let peer = peer_id(&record.card)
            .ok_or_else(|| Refusal::new("card-missing-key").with("cause", "transport"))?;
        let pairing = Pairing {
            card: self.card()?.bytes().to_vec(),
            mine: self.own_half(&record)?,
            yours: record.theirs.clone(),
        };
        let answer = net.request(peer, Frame::Pairing(pairing).encode(), PAIRING_TIMEOUT).await;
        let answer = answer.map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
        match Answer::decode(&answer) {
            Ok(Answer::Pairing(half)) => {
                let (node, name) = (self.clone(), name.clone());
                let kept = tokio::task::spawn_blocking(move || node.keep_half(&name, &half)).await;
                kept.map_err(|e| Refusal::new("internal").with("cause", e))?
            }
            Ok(Answer::Refused(code)) => Err(Refusal::new(code).with("name", name)),
            _ => Err(Refusal::new("net-malformed")),
        }
    }

    /// Keeps the half of a peer after verifying it.
    fn keep_half(&self, name: &NodeName, half: &[u8]) -> Result<(), Refusal> {
        let own = self.card()?;
        self.change_peer(name, |record| {
            if record.removed_at.is_some() {
                return Err(Refusal::new("peer-unknown").with("name", name));
            }
            Half::open(half, &record.card, &own).map_err(|e| refusal(&e))?;
            let changed = record.theirs.as_deref() != Some(half);
            record.theirs = Some(half.to_vec());
            Ok((changed, ()))
        })
    }

    /// Answers a peer, or at a fenced node a stranger, that shows its halves.
    pub(super) fn answer_pairing(&self, from: PeerId, pairing: &Pairing) -> Result<Answer, Refusal> {
        let card = SignedCard::parse(&pairing.card).map_err(|e| Refusal::new(e.code()))?;
        let name = card.card.name.clone();
        if peer_id(&card) != Some(from) {
            // Whoever brings it must hold the transport key that the card names.
            return Err(Refusal::new("pairing-other"));
        }
        match self.member_of(from) {
            Some(member) if member == name => {}
            Some(_) => return Err(Refusal::new("pairing-other")),
            None => self.take_back(card, pairing)?,
        }
        self.keep_half(&name, &pairing.mine)?;
        let (_, record) = self.peer(&name)?;
        Ok(Answer::Pairing(self.own_half(&record)?))
    }

    /// A stranger shows a half that this node signed itself and has forgotten: it is a peer.
    fn take_back(&self, card: SignedCard, pairing: &Pairing) -> Result<(), Refusal> {
        let name = card.card.name.clone();
        let unknown = || Refusal::new("peer-unknown").with("name", &name);
        // A node that forgot nothing takes nobody back; who was removed stays removed.
        let known = self.peer(&name).is_ok();
        let shown = pairing.yours.as_deref().filter(|_| self.fenced() && !known).ok_or_else(unknown)?;
        let half = Half::open(shown, &self.card()?, &card).map_err(|e| refusal(&e))?;
        tracing::warn!(
            peer = %name, since = half.since.0,
            "a peer that this node forgot shows the pairing both signed: taken back, its card accepted again"
        );
        self.count("peers_taken_back");
        self.accept_peer(card)?;
        Ok(())
    }
}
