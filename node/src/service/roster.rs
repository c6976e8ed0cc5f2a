//! The roster at this node: its adopted versions in the store, who is met because of it, and how it
//! passes between nodes.
//!
//! In: versions from a file or a peer. Out: members, and what people are shown. Versions are believed by
//! their signatures alone, so it does not matter who brings them. What always holds: a version is durable
//! before its members count.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use yunling_protocol::day::UnixTime;
use yunling_protocol::log::{Entry, rows};
use yunling_protocol::member::Standing;
use yunling_protocol::message::{Answer, Frame};
use yunling_protocol::name::NodeName;
use yunling_protocol::roster::{
    Adopted, Chain, RosterError, STEPS_MAX, SignedRoster, Verdict, read_chain, write_chain,
};
use yunling_protocol::store::{Batch, Read as _, Table, VALUE_BYTES_MAX, scan_all};

use super::{Node, Refusal, gossip, peers};

/// Bytes of a version in one row; eight more say when it was adopted.
const PIECE_BYTES: usize = VALUE_BYTES_MAX - 1024;
/// Bytes of versions in one answer: below the cap of an answer, and at least one version fits.
const ANSWER_VERSIONS_BYTES: usize = 768 * 1024;
/// Forks kept as evidence; one is enough to raise the alarm, and each needs the stewards' signatures.
const FORKS_MAX: usize = 16;
/// Longest wait for versions; one may be a quarter of a MiB on a thin line.
const ROSTER_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two pulls from one peer: one that claims what it does not have must not keep this node
/// reading.
const PULL_PAUSE: Duration = Duration::from_secs(5);
const PIN_KEY: &[u8] = b"pin";
const VERSION_PREFIX: &[u8] = b"v";
const FORK_PREFIX: &[u8] = b"f";

fn refusal(error: &RosterError) -> Refusal {
    Refusal::new(error.code()).with("cause", error)
}

fn version_prefix(version: u64) -> Vec<u8> {
    [VERSION_PREFIX, &version.to_be_bytes()].concat()
}

/// Puts the pieces of a version under a prefix.
fn put_pieces(batch: &mut Batch, prefix: &[u8], bytes: &[u8], at: UnixTime) {
    for (n, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
        let value = [&at.0.to_be_bytes()[..], &(bytes.len() as u32).to_be_bytes(), piece].concat();
        batch.set(Table::Roster, [prefix, &[n as u8]].concat(), value);
    }
}

/// Reads a version; `None` when it is not there, or not whole any more: then it is pulled again.
fn read_pieces(node: &Node, prefix: &[u8]) -> Result<Option<(Vec<u8>, UnixTime)>, Refusal> {
    let (mut bytes, mut head) = (Vec::new(), None);
    scan_all::<Refusal>(node, Table::Roster, prefix, |_, value| {
        if let Some((at, rest)) = value.split_first_chunk::<8>()
            && let Some((len, piece)) = rest.split_first_chunk::<4>()
        {
            head.get_or_insert((i64::from_be_bytes(*at), u32::from_be_bytes(*len)));
            bytes.extend_from_slice(piece);
        }
        Ok(())
    })?;
    Ok(head.filter(|(_, len)| bytes.len() == *len as usize).map(|(at, _)| (bytes, UnixTime(at))))
}

/// Reads the chain from the store and verifies it again.
pub(super) fn load(node: &Node) -> Result<Option<Arc<Chain>>, Refusal> {
    let Some(pin) = pinned(node)? else { return Ok(None) };
    let mut stored = Vec::new();
    while let Some(version) = read_pieces(node, &version_prefix(stored.len() as u64 + 1))? {
        stored.push(version);
    }
    let chain = Chain::load(stored, &pin, node.home.config.node.trial);
    Ok(chain.map_err(|e| Refusal::new("store-damaged").with("cause", &e))?.map(Arc::new))
}

fn pinned(node: &Node) -> Result<Option<String>, Refusal> {
    let pin = node.get(Table::Roster, PIN_KEY)?;
    Ok(pin.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

impl Node {
    /// The adopted roster.
    pub fn roster(&self) -> Option<Arc<Chain>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Version of the roster, 0 when there is none.
    pub(super) fn roster_version(&self) -> u64 {
        self.roster().map_or(0, |chain| chain.newest().roster().version)
    }

    /// Pins the fingerprint of the first version's stewards, read out by one of them. It cannot be
    /// changed once a version was adopted.
    pub fn pin_roster(&self, fingerprint: &str) -> Result<Value, Refusal> {
        let digits: String = fingerprint.chars().filter(char::is_ascii_digit).collect();
        if digits.len() != 32 {
            return Err(Refusal::new("roster-fingerprint"));
        }
        if let Some(chain) = self.roster() {
            let held = chain.versions()[0].signed.roster().fingerprint();
            if held.replace(' ', "") != digits {
                return Err(Refusal::new("roster-pinned").with("pinned", held));
            }
            return Ok(json!({ "fingerprint": held, "version": self.roster_version() }));
        }
        let mut batch = Batch::new();
        batch.set(Table::Roster, PIN_KEY, digits.as_bytes());
        self.commit(batch)?;
        tracing::info!("roster pinned");
        // Whoever has a roster is asked for it.
        self.greet_all();
        Ok(json!({ "fingerprint": digits, "version": 0 }))
    }

    /// Adopts the versions of a file and offers them to the peers.
    pub fn publish_roster(&self, file: &[u8], fingerprint: Option<&str>) -> Result<Value, Refusal> {
        let versions = read_chain(file).map_err(|e| refusal(&e))?;
        if let Some(fingerprint) = fingerprint {
            self.pin_roster(fingerprint)?;
        }
        let adopted = self.adopt_roster(&versions)?;
        let mut view = self.roster_view();
        view["adopted"] = adopted.into();
        Ok(view)
    }

    /// Adopts versions that follow, in order; says how many were new. Those before a refused one stay.
    pub(super) fn adopt_roster(&self, versions: &[Vec<u8>]) -> Result<usize, Refusal> {
        let now = self.home.clock.now();
        let mut held = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut chain, begun) = match held.as_deref() {
            Some(chain) => (chain.clone(), 0),
            None => (self.begin_roster(versions, now)?, 1),
        };
        let update = chain.update(versions, now);
        let new = begun + update.adopted.len();
        let first = chain.versions().len() - new;
        for Adopted { signed, at } in &chain.versions()[first..] {
            let mut batch = Batch::new();
            put_pieces(&mut batch, &version_prefix(signed.roster().version), &signed.bytes(), *at);
            rows::wait(&mut batch, &Entry::Node(signed.hash()));
            self.commit(batch)?;
        }
        if new > 0 {
            let roster = chain.newest().roster();
            tracing::info!(version = roster.version, nodes = roster.nodes.len(), "roster adopted");
            *held = Some(Arc::new(chain));
        }
        drop(held);
        if new > 0 {
            self.meet_members()?;
            self.reload_members()?;
            self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner).announce_roster = true;
            self.greet_all();
            // The version stands, whatever becomes of a proof.
            if let Err(refusal) = self.recheck_proofs() {
                tracing::error!(code = refusal.code, "proofs not looked at again");
            }
        }
        match update.refused {
            None => Ok(new),
            Some(error) => {
                if let RosterError::Fork { version, given, .. } = &error {
                    self.keep_fork(*version, given, versions)?;
                }
                Err(refusal(&error).with("adopted", new))
            }
        }
    }

    fn begin_roster(&self, versions: &[Vec<u8>], now: UnixTime) -> Result<Chain, Refusal> {
        let pin = pinned(self)?.ok_or_else(|| Refusal::new("roster-unpinned"))?;
        let first = versions.first().ok_or_else(|| Refusal::new("roster-none"))?;
        let first = SignedRoster::parse(first).map_err(|e| refusal(&e))?;
        Chain::begin(first, &pin, self.home.config.node.trial, now).map_err(|e| refusal(&e))
    }

    /// Two rosters of one version: both are kept, the alarm stays until a person has looked.
    fn keep_fork(&self, version: u64, hash: &[u8; 32], versions: &[Vec<u8>]) -> Result<(), Refusal> {
        tracing::error!(version, hash = HEXLOWER.encode(hash), "ALARM: the stewards signed two rosters");
        self.count("roster_forks");
        if self.roster_forks()? >= FORKS_MAX {
            return Ok(());
        }
        let is = |bytes: &&Vec<u8>| SignedRoster::parse(bytes).is_ok_and(|found| found.hash() == *hash);
        let Some(bytes) = versions.iter().find(is) else { return Ok(()) };
        let mut batch = Batch::new();
        put_pieces(&mut batch, &[FORK_PREFIX, hash].concat(), bytes, self.home.clock.now());
        Ok(self.commit(batch)?)
    }

    /// Forks kept as evidence.
    pub(super) fn roster_forks(&self) -> Result<usize, Refusal> {
        let mut hashes = BTreeSet::new();
        scan_all::<Refusal>(self, Table::Roster, FORK_PREFIX, |key, _| {
            hashes.insert(key[..key.len().saturating_sub(1)].to_vec());
            Ok(())
        })?;
        Ok(hashes.len())
    }

    /// Makes peers of the members: no invitation is needed. A peer removed here stays removed; new keys
    /// of a known peer are taken from the roster.
    pub(super) fn meet_members(&self) -> Result<(), Refusal> {
        let Some(chain) = self.roster() else { return Ok(()) };
        let now = self.home.clock.now();
        let mut batch = Batch::new();
        let mut known = peers::records(self)?.len();
        for node in &chain.newest().roster().nodes {
            let name = node.name();
            if *name == self.home.name || chain.node_verdict(name, now) == Verdict::RosterExpired {
                continue;
            }
            match self.peer(name) {
                Ok((stored, mut record)) => {
                    let other = record.card.fingerprint() != node.card.fingerprint();
                    if other || node.card.card.made_at > record.card.card.made_at {
                        if other {
                            tracing::warn!(peer = %name, "the roster names other keys of the peer: taken");
                        }
                        record.card = node.card.as_ref().clone();
                        let key = peers::peer_key(name);
                        batch.expect_equals(key.table, key.key.clone(), stored);
                        batch.set(key.table, key.key, record.encode());
                    }
                }
                Err(unknown) if unknown.code == "peer-unknown" && known < peers::PEERS_MAX => {
                    let key = peers::peer_key(name);
                    let record = peers::PeerRecord::accepted(node.card.as_ref().clone(), now);
                    batch.insert(key.table, key.key, record.encode());
                    known += 1;
                }
                Err(unknown) if unknown.code == "peer-unknown" => {
                    tracing::warn!(peer = %name, max = peers::PEERS_MAX, "too many peers: not met");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.commit(batch)?)
    }

    /// Whether the roster lists every identity key of this card for its node.
    pub(super) fn lists_keys_of(&self, card: &yunling_protocol::card::SignedCard) -> bool {
        use yunling_protocol::key::Role;
        let Some(chain) = self.roster() else { return false };
        let Some(node) = chain.node(&card.card.name) else { return false };
        [Role::Statement, Role::Recovery].into_iter().all(|role| {
            card.card.keys_of(role).all(|key| {
                chain.counts(node.name(), key) && node.keys_of(role).any(|k| k.public == key.public)
            })
        })
    }

    /// Versions that follow `have`, as many as fit.
    pub(super) fn answer_roster(&self, have: u64) -> Answer {
        let (mut out, mut bytes) = (Vec::new(), 0);
        let Some(chain) = self.roster() else { return Answer::Roster(out) };
        for version in (1..=STEPS_MAX as u64).filter_map(|n| chain.version(have.checked_add(n)?)) {
            let signed = version.bytes();
            bytes += signed.len();
            if bytes > ANSWER_VERSIONS_BYTES {
                break;
            }
            out.push(signed);
        }
        Answer::Roster(out)
    }

    /// A peer says which version it has: a higher one is pulled with the next round.
    pub(super) fn hear_roster(&self, name: &NodeName, version: u64) {
        let version_held = self.roster_version();
        // Without a pin nobody's roster could be believed.
        if version <= version_held || (version_held == 0 && !pinned(self).is_ok_and(|pin| pin.is_some())) {
            return;
        }
        self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner).rosters_at.insert(name.clone());
        self.wake.notify_one();
    }

    /// Pulls from those who have a higher version and announces an own new one. The tasks end with the
    /// network.
    pub(super) fn pass_rosters(self: &Arc<Self>) {
        let (from, announce): (BTreeSet<NodeName>, bool) = {
            let mut progress = self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let due = |name: &NodeName| progress.roster_after.get(name).is_none_or(|after| now >= *after);
            let (due, later) = progress.rosters_at.iter().cloned().partition(due);
            progress.rosters_at = later;
            for name in &due {
                progress.roster_after.insert(name.clone(), now + PULL_PAUSE);
            }
            (due, std::mem::take(&mut progress.announce_roster))
        };
        if announce {
            let node = self.clone();
            tokio::spawn(async move {
                let Some(net) = node.net() else { return };
                if let Err(error) = net.announce(gossip::roster_notice(node.roster_version())).await {
                    // Whoever is greeted hears of it too.
                    tracing::debug!(code = error.code(), "roster not announced");
                }
            });
        }
        if from.is_empty() {
            return;
        }
        let node = self.clone();
        tokio::spawn(async move {
            // One after the other: the first usually brings all.
            for name in from {
                if let Err(refusal) = node.pull_roster(&name).await {
                    tracing::warn!(peer = %name, code = refusal.code, "roster not taken");
                }
            }
        });
    }

    async fn pull_roster(self: &Arc<Self>, name: &NodeName) -> Result<(), Refusal> {
        let net = self.net().ok_or_else(|| Refusal::new("net-down"))?;
        let peer = self.members().get(name).and_then(|member| peers::peer_id(&member.card));
        let peer = peer.ok_or_else(|| Refusal::new("peer-unknown").with("name", name))?;
        loop {
            let frame = Frame::Roster { have: self.roster_version() };
            let answer = net.request(peer, frame.encode(), ROSTER_TIMEOUT).await;
            let answer = answer.map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
            let versions = match Answer::decode(&answer) {
                Ok(Answer::Roster(versions)) => versions,
                Ok(Answer::Refused(code)) => return Err(Refusal::new(code).with("name", name)),
                _ => return Err(Refusal::new("net-malformed")),
            };
            if versions.is_empty() {
                return Ok(());
            }
            let node = self.clone();
            let adopted = tokio::task::spawn_blocking(move || node.adopt_roster(&versions)).await;
            let adopted = adopted.map_err(|e| Refusal::new("internal").with("cause", e))??;
            if adopted == 0 {
                return Ok(());
            }
        }
    }

    /// Refuses what a node must not do that is fenced, suspended, has left or was succeeded.
    pub(crate) fn refuse_closed(&self) -> Result<(), Refusal> {
        self.refuse_fenced()?;
        // The fence has its own words, and may have opened meanwhile.
        match self.decide(|office| office.closed().filter(|code| *code != "fenced")) {
            Some(code) => Err(Refusal::new(code)),
            None => Ok(()),
        }
    }

    /// Standing of a peer and what the roster says of it now: stable words.
    pub(crate) fn standing(&self, name: &NodeName) -> (&'static str, &'static str) {
        let members = self.members();
        let standing = members.standing(name).unwrap_or(Standing::Bilateral).word();
        let state = match members.state(name, self.home.clock.now()) {
            Verdict::Suspended { .. } => "suspended",
            Verdict::Withdrawn { .. } => "withdrawn",
            Verdict::Succeeded { .. } => "succeeded",
            Verdict::OutsideWindow => "joining",
            _ => "active",
        };
        (standing, state)
    }

    /// The roster as people and programs see it; version 0 when there is none.
    pub fn roster_view(&self) -> Value {
        let Some(chain) = self.roster() else {
            let pinned = pinned(self).ok().flatten();
            return json!({ "version": 0, "pinned": pinned });
        };
        let now = self.home.clock.now();
        let (roster, freshness) = (chain.newest().roster(), chain.freshness(now));
        let (_, own) = self.standing(&self.home.name);
        let listed = chain.node(&self.home.name).is_some();
        json!({
            "version": roster.version,
            "issued": roster.issued.to_string(), "expires": roster.expires.to_string(),
            "freshness": freshness.word(), "days_left": freshness.days_left(),
            "threshold": roster.threshold, "stewards": roster.stewards.len(), "nodes": roster.nodes.len(),
            "fingerprint": chain.versions()[0].signed.roster().fingerprint(),
            "forks": self.roster_forks().unwrap_or_default(),
            "listed": listed, "state": if listed { own } else { "unlisted" },
        })
    }

    /// The adopted versions as one file.
    pub fn roster_file(&self) -> Result<Vec<u8>, Refusal> {
        let chain = self.roster().ok_or_else(|| Refusal::new("roster-none"))?;
        Ok(write_chain(chain.versions().iter().map(|adopted| adopted.signed.as_ref())))
    }
}

#[cfg(test)]
mod tests;
