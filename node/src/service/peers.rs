//! Peering by exchanged cards: each office accepts the other's card; only then do nodes connect.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use yunling_protocol::card::{SignedCard, follow};
use yunling_protocol::cbor::{self, CborError, Fields, MapBuilder};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::Role;
use yunling_protocol::member::{Member, Members};
use yunling_protocol::message::Life;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::DecideError;
use yunling_protocol::pairing::HALF_BYTES_MAX;
use yunling_protocol::recovery::{LifeVerdict, judge_life, new_life};
use yunling_protocol::roster::key_change::KeyChange;
use yunling_protocol::store::{Batch, Expect, Key, Put, Read, Table, scan_all};

use super::{CONFLICT_TRIES_MAX, Node, Refusal};
use crate::clock::fresh;
use crate::net::{PeerAddress, TestStep};

/// Peers a node may have: 16 prefectures, their counties and organizations, with room; the allow
/// list and the members live in memory.
pub const PEERS_MAX: usize = 512;

/// A stored peer.
#[derive(Debug, Clone)]
pub struct PeerRecord {
    /// Its card as accepted or as it last showed it.
    pub card: SignedCard,
    /// When accepted here.
    pub accepted_at: UnixTime,
    /// When removed here.
    pub removed_at: Option<UnixTime>,
    /// Highest life seen of it.
    pub life: Option<Life>,
    /// Whether it has answered as an accepted peer, so that both sides have accepted.
    pub mutual: bool,
    /// Its half of the pairing record, as it signed it.
    pub theirs: Option<Vec<u8>>,
}

pub(super) fn peer_key(name: &NodeName) -> Key {
    Key::new(Table::Peer, name.as_str().as_bytes().to_vec())
}

impl PeerRecord {
    /// A peer accepted at `at`, from which nothing was heard yet.
    pub fn accepted(card: SignedCard, at: UnixTime) -> Self {
        Self { card, accepted_at: at, removed_at: None, life: None, mutual: false, theirs: None }
    }

    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::bytes(self.card.bytes()))
            .put(3, cbor::int(self.accepted_at.0))
            .put_opt(4, self.removed_at.map(|t| cbor::int(t.0)))
            .put_opt(5, self.life.map(|l| cbor::int(l.generation)))
            .put_opt(6, self.life.map(|l| cbor::bytes(l.mark)))
            .put_opt(7, self.mutual.then_some(cbor::Value::Bool(true)))
            .put_opt(8, self.theirs.as_deref().map(cbor::bytes));
        cbor::encode(&map.build())
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, 64 * 1024)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let card = f.bytes(2, yunling_protocol::card::CARD_BYTES_MAX)?;
        let life = match (f.opt_uint(5)?, f.opt_array(6)?) {
            (Some(generation), Some(mark)) => Some(Life { generation, mark }),
            (None, None) => None,
            _ => return Err(CborError::WrongType(5)),
        };
        let record = Self {
            card: SignedCard::parse(&card).map_err(|_| CborError::WrongType(2))?,
            accepted_at: UnixTime(f.int(3)?),
            removed_at: f.opt_int(4)?.map(UnixTime),
            life,
            mutual: f.flag(7)?,
            theirs: f.opt_bytes(8, HALF_BYTES_MAX)?,
        };
        f.finish()?;
        Ok(record)
    }
}

fn other_keys(held: &SignedCard, given: &SignedCard) -> Refusal {
    Refusal::new("peer-other-keys")
        .with("name", &given.card.name)
        .with("known", held.fingerprint())
        .with("given", given.fingerprint())
}

/// Own card, accepted peers and members of the roster.
pub(super) fn load_members(node: &Node) -> Result<Members, Refusal> {
    let mut members = Members::default();
    for record in records(node)? {
        members.insert(Member { card: record.card, removed_at: record.removed_at });
    }
    members.insert(Member { card: node.card()?, removed_at: None });
    if let Some(roster) = node.roster() {
        members.set_roster(roster);
    }
    Ok(members)
}

pub(super) fn records(node: &Node) -> Result<Vec<PeerRecord>, Refusal> {
    let mut out = Vec::new();
    scan_all::<Refusal>(node, Table::Peer, b"", |_, bytes| {
        let record =
            PeerRecord::decode(&bytes).map_err(|e| Refusal::new("store-damaged").with("cause", &e))?;
        out.push(record);
        Ok(())
    })?;
    Ok(out)
}

/// A peer as an operator sees it.
#[derive(Debug, Serialize)]
pub struct PeerView {
    /// Name.
    pub name: String,
    /// Chinese title.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// Division.
    pub division: String,
    /// `roster` when the stewards list it, else `bilateral`.
    pub standing: &'static str,
    /// What the roster says of it now; `active` for a bilateral one.
    pub member: &'static str,
    /// `waiting` until the other side has accepted too, `active`, or `removed`.
    pub state: &'static str,
    /// Whether its half of the pairing record is kept here.
    pub paired: bool,
    /// Open connection now.
    pub connected: bool,
    /// Fingerprint to compare.
    pub fingerprint: String,
    /// Addresses.
    pub addresses: Vec<String>,
    /// Messages that wait for it.
    pub waiting: usize,
    /// Last error of the outbox towards it.
    pub last_error: Option<String>,
}

impl Node {
    /// Own card; with the addresses the network listens on, when it runs.
    pub fn card(&self) -> Result<SignedCard, Refusal> {
        let listening = self.net().map(|n| n.listen_addresses().iter().map(ToString::to_string).collect());
        let addresses = listening.unwrap_or_else(|| self.home.config.net.listen.clone());
        self.home.card(addresses).map_err(|e| Refusal::new(e.code()).with("cause", &e))
    }

    /// Pins another node's card; a peer's card with other keys only when it continues the one held.
    pub fn accept_peer(&self, card: SignedCard) -> Result<PeerView, Refusal> {
        self.accept_with(card, None)
    }

    /// Accepts the new card in a request that a peer's recovery key signed.
    pub fn accept_key_change(&self, bytes: &[u8]) -> Result<PeerView, Refusal> {
        let now = self.home.clock.now();
        let mut refused = None;
        for record in records(self)? {
            match follow::open_change(bytes, &record.card, now) {
                Ok(change) => return self.accept_with(change.card.clone(), Some(&change)),
                Err(error) if error.code() == "key-change-other-node" => {}
                Err(error) => refused = Some(error),
            }
        }
        Err(match refused {
            Some(error) => Refusal::new(error.code()).with("cause", &error),
            None => Refusal::new("key-change-other-node"),
        })
    }

    fn accept_with(&self, card: SignedCard, change: Option<&KeyChange>) -> Result<PeerView, Refusal> {
        let name = card.card.name.clone();
        if name == self.home.name {
            return Err(Refusal::new("peer-self").with("name", &name));
        }
        if card.card.trial != self.home.config.node.trial {
            return Err(Refusal::new("trial-mixed").with("name", &name));
        }
        let key = peer_key(&name);
        let stored = self.get(key.table, &key.key)?;
        let old = stored.as_deref().map(PeerRecord::decode).transpose();
        let old = old.map_err(|e| Refusal::new("store-damaged").with("cause", &e))?;
        if let Some(old) = &old {
            self.refuse_other_keys(&old.card, &card, change)?;
        } else if records(self)?.len() >= PEERS_MAX {
            return Err(Refusal::new("peer-too-many").with("max", PEERS_MAX));
        }
        let record = PeerRecord {
            card,
            accepted_at: old.as_ref().map_or(self.home.clock.now(), |o| o.accepted_at),
            removed_at: None,
            life: old.as_ref().and_then(|o| o.life),
            mutual: old.as_ref().is_some_and(|o| o.mutual),
            theirs: old.and_then(|o| o.theirs),
        };
        self.put_peer(&key, stored, &record)?;
        tracing::info!(peer = %name, "peer accepted");
        self.ask_peers()?;
        Ok(self.view(&record))
    }

    /// Another office under a known name is refused; new keys are taken from who vouches for them.
    fn refuse_other_keys(
        &self,
        held: &SignedCard,
        card: &SignedCard,
        change: Option<&KeyChange>,
    ) -> Result<(), Refusal> {
        // The same keys with other windows must be vouched for too.
        if held.card.keys == card.card.keys {
            return Ok(());
        }
        let name = &card.card.name;
        match follow::follows(held, card, change, self.home.clock.now()) {
            Ok(voucher) => {
                tracing::warn!(peer = %name, by = voucher.word(), "the peer has changed its keys: followed");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(peer = %name, code = error.code(), "the peer shows other keys: not taken");
                Err(other_keys(held, card))
            }
        }
    }

    fn put_peer(&self, key: &Key, stored: Option<Vec<u8>>, record: &PeerRecord) -> Result<(), Refusal> {
        let mut batch = Batch::default();
        batch.expect.push(match stored {
            Some(old) => Expect::Equals(key.clone(), old),
            None => Expect::Absent(key.clone()),
        });
        batch.put.push(Put::Set(key.clone(), record.encode()));
        self.commit(batch)?;
        self.reload_members()?;
        self.wake.notify_one();
        Ok(())
    }

    /// Changes a stored peer; looks again when another writer was first: hellos and messages of one peer
    /// arrive together. `change` says whether there is anything to write.
    pub(super) fn change_peer<T>(
        &self,
        name: &NodeName,
        mut change: impl FnMut(&mut PeerRecord) -> Result<(bool, T), Refusal>,
    ) -> Result<T, Refusal> {
        for _ in 0..CONFLICT_TRIES_MAX {
            let (stored, mut record) = self.peer(name)?;
            let (changed, value) = change(&mut record)?;
            if !changed {
                return Ok(value);
            }
            match self.put_peer(&peer_key(name), Some(stored), &record) {
                Ok(()) => return Ok(value),
                Err(refusal) if refusal.code == "store-conflict" => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Err(Refusal::new("store-conflict").with("tries", CONFLICT_TRIES_MAX))
    }

    /// Ends peering; what it signed before stays verifiable.
    pub fn remove_peer(&self, name: &NodeName) -> Result<(), Refusal> {
        // A fence waits for every peer; who cannot be heard is named in the signed act that lifts it.
        self.refuse_fenced()?;
        self.change_peer(name, |record| {
            record.removed_at = Some(self.home.clock.now());
            record.mutual = false;
            Ok((true, ()))
        })?;
        tracing::info!(peer = %name, "peer removed");
        self.ask_peers()?;
        Ok(())
    }

    /// A stored peer with its bytes.
    pub fn peer(&self, name: &NodeName) -> Result<(Vec<u8>, PeerRecord), Refusal> {
        let key = peer_key(name);
        let bytes =
            self.get(key.table, &key.key)?.ok_or_else(|| Refusal::new("peer-unknown").with("name", name))?;
        let record =
            PeerRecord::decode(&bytes).map_err(|e| Refusal::new("store-damaged").with("cause", &e))?;
        Ok((bytes, record))
    }

    /// All peers.
    pub fn peers(&self) -> Result<Vec<PeerView>, Refusal> {
        Ok(records(self)?.iter().map(|r| self.view(r)).collect())
    }

    fn view(&self, record: &PeerRecord) -> PeerView {
        let card = &record.card.card;
        let peer = peer_id(&record.card);
        let connected = self
            .net()
            .zip(peer)
            .is_some_and(|(net, id)| net.connected().iter().any(|c| c.peer == id && c.accepted));
        let state = match (record.removed_at, record.mutual) {
            (Some(_), _) => "removed",
            (None, true) => "active",
            (None, false) => "waiting",
        };
        let (waiting, last_error) = self.waiting_for(&card.name);
        let (standing, member) = self.standing(&card.name);
        PeerView {
            standing,
            member,
            name: card.name.to_string(),
            title_zh: card.title_zh.clone(),
            title_en: card.title_en.clone(),
            division: card.division.to_string(),
            state,
            paired: record.theirs.is_some(),
            connected,
            fingerprint: record.card.fingerprint(),
            addresses: card.addresses.clone(),
            waiting,
            last_error,
        }
    }

    /// Remembers what a peer showed: a newer card of the same keys or one that continues them, that it accepts
    /// us. The life in
    /// a greeting is not signed and counts for nothing; that of its first message does.
    pub(crate) fn note_peer(&self, shown: &SignedCard) -> Result<(), Refusal> {
        let name = &shown.card.name;
        self.change_peer(name, |record| {
            if record.removed_at.is_some() {
                return Err(other_keys(&record.card, shown));
            }
            // A card whose keys the roster lists is greeted, but kept only when it continues the one held: a
            // stolen key must not bring the keys back that the recovery key ended.
            let followed = self.refuse_other_keys(&record.card, shown, None);
            let follows = followed.is_ok();
            if !self.lists_keys_of(shown) {
                followed?;
            }
            let (held, new) = (&record.card.card, &shown.card);
            let other = new.addresses != held.addresses || new.keys != held.keys;
            // Keys that continue those held are newer also when both cards are of one second: the older card
            // does not continue the newer one.
            let later = new.made_at > held.made_at;
            let newer = follows && other && (later || (new.made_at == held.made_at && new.keys != held.keys));
            let changed = !record.mutual || newer;
            record.mutual = true;
            if newer {
                record.card = shown.clone();
            }
            Ok((changed, ()))
        })
    }

    /// Checks the life in a message against the highest one seen; a lower or twin life is stale.
    pub(crate) fn check_life(&self, name: &NodeName, life: Life) -> Result<Option<Life>, Refusal> {
        let mut fresh = fresh();
        let verdict = self.act(|office| {
            let damaged = |_| DecideError::Rule("store-damaged");
            let key = peer_key(name);
            let stored = self.get(key.table, &key.key)?.ok_or(DecideError::Rule("peer-unknown"))?;
            let mut record = PeerRecord::decode(&stored).map_err(damaged)?;
            let mut batch = Batch::default();
            match judge_life(record.life, life) {
                LifeVerdict::Same => return Ok((batch, None)),
                LifeVerdict::Stale(seen) => return Ok((batch, Some(seen))),
                LifeVerdict::Newer => {}
            }
            if record.life.is_some() {
                tracing::warn!(peer = %name, generation = life.generation, "the peer was restored");
                batch = new_life(office, self, self.vault(), &mut fresh, name)?;
            }
            record.life = Some(life);
            batch.expect.push(Expect::Equals(key.clone(), stored));
            batch.put.push(Put::Set(key, record.encode()));
            // What was sealed towards it is owed again.
            self.wake.notify_one();
            Ok((batch, None))
        })?;
        Ok(verdict)
    }

    /// Tests the way to a peer, step by step; the last step is a hello: the office itself answers, and
    /// takes this one for a peer.
    pub async fn test_peer(self: &Arc<Self>, name: &NodeName) -> Result<Vec<TestStep>, Refusal> {
        let (_, record) = self.peer(name)?;
        let net = self.net().ok_or_else(|| Refusal::new("net-down"))?;
        let peer = peer_id(&record.card)
            .ok_or_else(|| Refusal::new("card-missing-key").with("cause", "transport"))?;
        let mut steps = net.test(peer).await;
        if steps.iter().any(|step| step.name == "echo" && step.ok) {
            let began = Instant::now();
            let (code, detail) = match self.say_hello(name).await {
                Ok(_) => (None, "card, life and clock exchanged".to_owned()),
                Err((code, detail)) => (Some(code), detail),
            };
            let millis = began.elapsed().as_millis() as u64;
            steps.push(TestStep { name: "hello", address: None, ok: code.is_none(), code, detail, millis });
        }
        Ok(steps)
    }

    /// Peers for the allow list of the network.
    pub(crate) fn allowed(&self) -> Vec<PeerAddress> {
        let members = self.members();
        let active = members.iter().filter(|m| m.removed_at.is_none() && m.card.card.name != self.home.name);
        let address = |m: &Member| {
            let addresses = m.card.card.addresses.iter().filter_map(|a| a.parse().ok()).collect();
            Some(PeerAddress { peer: peer_id(&m.card)?, addresses })
        };
        active.filter_map(address).collect()
    }

    /// The member behind a network identity.
    pub(crate) fn member_of(&self, peer: libp2p::PeerId) -> Option<NodeName> {
        let members = self.members();
        let found = members.iter().find(|m| m.removed_at.is_none() && peer_id(&m.card) == Some(peer));
        found.map(|m| m.card.card.name.clone())
    }
}

/// Network identity of a card: its newest transport key. Only the recovery key replaces one, without overlap.
pub fn peer_id(card: &SignedCard) -> Option<libp2p::PeerId> {
    let key = card.card.keys_of(Role::Transport).max_by_key(|key| key.not_before)?;
    let public = libp2p::identity::ed25519::PublicKey::try_from_bytes(&key.public).ok()?;
    Some(libp2p::identity::PublicKey::from(public).to_peer_id())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::home::Home;

    fn node(folder: &std::path::Path, name: &str, division: &str) -> Node {
        let path = folder.join(name);
        Home::init(&path, name, division, true).unwrap();
        Node::open(Home::open(&path).unwrap()).unwrap()
    }

    #[test]
    fn a_hello_and_messages_that_arrive_together_are_all_taken() {
        let folder = tempfile::tempdir().unwrap();
        let kunming = node(folder.path(), "kunming", "530100");
        let dali = node(folder.path(), "dali", "532900");
        let card = dali.card().unwrap();
        let name = card.card.name.clone();
        kunming.accept_peer(card.clone()).unwrap();
        let life = |generation: u64| Life { generation, mark: [generation as u8; 16] };
        let gate = std::sync::Barrier::new(4);
        let refused = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (kunming, card, name, gate, refused) = (&kunming, &card, &name, &gate, &refused);
                scope.spawn(move || {
                    for generation in 1..=25 {
                        gate.wait();
                        let taken = if writer == 0 {
                            kunming.note_peer(card)
                        } else {
                            kunming.check_life(name, life(generation)).map(drop)
                        };
                        // Kept, not thrown: the others wait at the gate for each.
                        refused.lock().unwrap().extend(taken.err());
                    }
                });
            }
        });
        assert_eq!(refused.into_inner().unwrap(), []);
        let (_, record) = kunming.peer(&name).unwrap();
        assert_eq!((record.mutual, record.life), (true, Some(life(25))));
    }
}
