//! One office of the world: its name and keys, its disk, its clock, and what it holds in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use yunling_protocol::card::{Card, NodeKind, SignedCard};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::dossier::{Custody, Dossier};
use yunling_protocol::fresh::Fresh;
use yunling_protocol::id::{DossierId, DossierKey, TransferId};
use yunling_protocol::key::{KeyEntry, Role, Signer, SoftSigner};
use yunling_protocol::ledger::{self, Books, HeadRecord, LedgerError};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::message::Life;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{Office, Secrets, Vault};
use yunling_protocol::policy::Policy;
use yunling_protocol::profile::{Profile, YUNNAN};
use yunling_protocol::recovery::fence::{decode_life, encode_life, fence_key, life_key};
use yunling_protocol::roster::Chain;
use yunling_protocol::store::{Batch, Item, Key, Put, Read, StoreError, Table, scan_all};

use crate::disk::Disk;
use crate::logs::Rounds;
use crate::work::Job;

/// Most nodes of a world.
pub const NODES_MAX: usize = 4;

/// When every world begins: 2026-11-18, 20:26:40 at UTC+8.
pub const BEGIN: UnixTime = UnixTime(1_795_004_800);

/// Names, keys and cards of the offices; the same in every run, so they are made once.
#[derive(Debug)]
pub struct Cast {
    /// Names.
    pub names: Vec<NodeName>,
    members: Vec<Member>,
    rosters: Vec<Option<Arc<Chain>>>,
}

/// The seed of a key; these keys guard nothing.
fn key_seed(node: usize, role: Role) -> [u8; 32] {
    [node as u8 * 16 + role as u8 + 1; 32]
}

/// A key of a node.
pub fn signer(node: usize, role: Role) -> SoftSigner {
    SoftSigner::from_seed(&key_seed(node, role))
}

impl Cast {
    /// The offices of all worlds. Panics never: the samples are well formed.
    pub fn new() -> Rc<Self> {
        let names: Vec<NodeName> = ["kunming", "dali", "yuxi", "chuxiong"]
            .iter()
            .filter_map(|text| NodeName::parse(text).ok())
            .collect();
        let members = names.iter().enumerate().filter_map(|(node, name)| member(node, name)).collect();
        let mut cast = Self { names, members, rosters: Vec::new() };
        cast.rosters = (0..=NODES_MAX).map(|nodes| crate::logs::roster(&cast, nodes)).collect();
        Rc::new(cast)
    }
}

impl Cast {
    /// The card of an office.
    pub(crate) fn card(&self, at: usize) -> Option<SignedCard> {
        self.members.get(at).map(|member| member.card.clone())
    }
}

fn member(node: usize, name: &NodeName) -> Option<Member> {
    let keys = Role::ALL.into_iter().filter_map(|role| {
        KeyEntry::new(role, signer(node, role).public(), UnixTime(1_600_000_000), None).ok()
    });
    let card = Card {
        name: name.clone(),
        title_zh: "志愿者协会".into(),
        title_en: "Volunteers".into(),
        division: DivisionCode(530_100),
        kind: NodeKind::Prefecture,
        keys: keys.collect(),
        addresses: Vec::new(),
        contact: "窗口".into(),
        made_at: BEGIN,
        trial: false,
    };
    Some(Member { card: card.sign(&signer(node, Role::Statement)).ok()?, removed_at: None })
}

/// Secrets as they are: the simulation is not about encryption at rest.
#[derive(Debug)]
pub struct PlainVault;

impl Vault for PlainVault {
    fn open(&self, _dossier: DossierId, stored: &[u8]) -> Option<Secrets> {
        let (key, rest) = stored.split_first_chunk::<32>()?;
        Some(Secrets { key: DossierKey(*key), profile: (!rest.is_empty()).then(|| rest.to_vec()) })
    }

    fn close(&self, _dossier: DossierId, secrets: &Secrets, _nonce: [u8; 32]) -> Vec<u8> {
        let mut out = secrets.key.0.to_vec();
        out.extend_from_slice(secrets.profile.as_deref().unwrap_or_default());
        out
    }
}

/// One office.
#[derive(Debug)]
pub struct Node {
    /// Its place in the world.
    pub at: usize,
    /// Its name.
    pub name: NodeName,
    /// Its statement key.
    pub signer: SoftSigner,
    /// Its disk.
    pub disk: Disk<Job>,
    /// Nodes it knows, as its table of peers says.
    pub members: Members,
    /// Its life, as the store has it.
    pub life: Life,
    /// Restored and not yet told by all its peers what it forgot, as the store has it.
    pub fenced: bool,
    /// Peers it has accepted, and when by the world's clock: the operator's own memory.
    pub accepted: BTreeMap<NodeName, u64>,
    /// When it was restored last, by the world's clock.
    pub restored_at: u64,
    /// In memory: when a fenced node asks its peers again.
    pub ask_after: u64,
    /// A clerk must approve each transfer away.
    pub hold: bool,
    /// Seconds its clock is ahead of the world's.
    pub skew: i64,
    /// Starts so far; what an earlier start had in memory means nothing to a later one.
    pub boot: u32,
    /// Running.
    pub up: bool,
    /// Answers nobody.
    pub silent: bool,
    /// In memory: when each waiting message may be sent again.
    pub tries: BTreeMap<Vec<u8>, u64>,
    /// In memory: copies under way, and until when they are waited for.
    pub copying: BTreeMap<TransferId, u64>,
    /// In memory: its rounds to the witnesses of its log.
    pub rounds: Rounds,
    /// The roster, where the offices of the world stand in one.
    roster: Option<Arc<Chain>>,
    /// In memory: copies whose check is at the disk.
    pub judging: Option<TransferId>,
    cache: RefCell<BTreeMap<DossierId, Arc<Dossier>>>,
    cast: Rc<Cast>,
    seed: u64,
    drawn: Cell<u64>,
}

/// Where the life of a peer lies.
pub fn seen_key(peer: &NodeName) -> Key {
    Key::new(Table::Peer, [peer.as_str().as_bytes(), &b"\0life"[..]].concat())
}

/// A peer row: 1 for accepted, then since when it is removed.
fn peer_row(removed_at: Option<UnixTime>) -> Vec<u8> {
    removed_at.map_or(vec![1], |t| [&[0][..], &t.0.to_be_bytes()[..]].concat())
}

impl Node {
    /// A new office that knows itself and some others.
    pub fn new(cast: &Rc<Cast>, at: usize, knows: &[usize], seed: u64, listed: Option<usize>) -> Self {
        let mut node = Self {
            at,
            name: cast.names[at].clone(),
            signer: signer(at, Role::Statement),
            disk: Disk::default(),
            members: Members::default(),
            life: Life { generation: 1, mark: [at as u8; 16] },
            fenced: false,
            accepted: BTreeMap::new(),
            ask_after: 0,
            restored_at: 0,
            hold: false,
            skew: 0,
            boot: 0,
            up: true,
            silent: false,
            tries: BTreeMap::new(),
            copying: BTreeMap::new(),
            judging: None,
            rounds: Rounds::default(),
            roster: None,
            cache: RefCell::default(),
            cast: cast.clone(),
            seed,
            drawn: Cell::new(0),
        };
        let mut batch = Batch::new();
        for name in knows.iter().map(|known| &cast.names[*known]) {
            batch.set(Table::Peer, name.as_str().as_bytes(), peer_row(None));
        }
        batch.put.push(Put::Set(life_key(), encode_life(node.life)));
        let written = node.disk.commit(batch);
        debug_assert!(written.is_ok(), "an empty disk takes what expects nothing");
        node.roster = listed.and_then(|nodes| cast.rosters.get(nodes).cloned().flatten());
        node.load();
        node
    }

    /// Reads what a node keeps in memory of its store: peers, life, fence.
    pub fn load(&mut self) {
        self.look_at_fence();
        self.load_members();
    }

    /// Reads its life and whether it is fenced.
    pub fn look_at_fence(&mut self) {
        let meta = |key: Key| self.disk.get(key.table, &key.key).ok().flatten();
        let life = meta(life_key()).and_then(|bytes| decode_life(&bytes));
        let fenced = meta(fence_key()).is_some();
        self.life = life.unwrap_or(self.life);
        self.fenced = fenced;
    }

    /// The life of a peer that it saw last.
    pub fn seen_life(&self, peer: &NodeName) -> Option<Life> {
        let key = seen_key(peer);
        self.disk.get(key.table, &key.key).ok().flatten().and_then(|bytes| decode_life(&bytes))
    }

    /// Reads the table of peers.
    pub fn load_members(&mut self) {
        let mut members = Members::default();
        let all = self.cast.names.iter().zip(&self.cast.members);
        for (name, member) in all {
            let row = self.disk.get(Table::Peer, name.as_str().as_bytes()).ok().flatten();
            let Some(row) = row else { continue };
            let removed = row.get(1..9).and_then(|b| <[u8; 8]>::try_from(b).ok());
            let removed_at = removed.map(|b| UnixTime(i64::from_be_bytes(b)));
            members.insert(Member { removed_at, ..member.clone() });
        }
        if let Some(roster) = &self.roster {
            members.set_roster(roster.clone());
        }
        self.members = members;
    }

    /// The batch that accepts a peer, or removes it at a moment.
    pub fn peer_batch(name: &NodeName, removed_at: Option<UnixTime>) -> Batch {
        let mut batch = Batch::new();
        batch.set(Table::Peer, name.as_str().as_bytes(), peer_row(removed_at));
        batch
    }

    /// What a decision knows of this node at world time `now`, seconds.
    pub fn office<'a>(&'a self, now: i64, policies: &'a BTreeMap<NodeName, Policy>) -> Office<'a> {
        Office {
            me: &self.name,
            life: self.life,
            trial: false,
            members: &self.members,
            signer: &self.signer,
            profile: &YUNNAN,
            policies,
            hold_transfers: self.hold,
            fenced: self.fenced,
            now: UnixTime(now + self.skew),
        }
    }

    /// Bytes never used before, also not before a crash or a restore.
    pub fn fresh(&self) -> Fresh {
        self.drawn.set(self.drawn.get() + 1);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        seed[8..16].copy_from_slice(&(self.at as u64).to_be_bytes());
        seed[16..24].copy_from_slice(&self.drawn.get().to_be_bytes());
        Fresh::new(seed)
    }

    /// Stops: what was in memory is gone.
    pub fn crash(&mut self) {
        self.up = false;
        self.boot += 1;
        self.disk.crash();
        self.tries.clear();
        self.copying.clear();
        self.judging = None;
        self.rounds = Rounds::default();
        self.ask_after = 0;
        self.cache.borrow_mut().clear();
    }

    /// The head record of a dossier here.
    pub fn record(&self, id: DossierId) -> Option<HeadRecord> {
        ledger::head_record(&self.disk, id).ok().flatten()
    }

    /// Whether this node may append to a dossier now.
    pub fn may_append(&self, id: DossierId) -> bool {
        let open = |r: &HeadRecord| r.closed.is_none() && r.custody == Custody::Open(self.name.clone());
        !self.fenced && self.record(id).as_ref().is_some_and(open)
    }

    /// The chain of a dossier here: statement ids up to its head.
    pub fn chain(&self, id: DossierId) -> Vec<Vec<u8>> {
        let length = self.record(id).map_or(0, |r| r.length as usize);
        let mut ids = Vec::with_capacity(length);
        let read = scan_all::<StoreError>(&self.disk, Table::Chain, id.as_bytes(), |_, statement| {
            ids.push(statement);
            Ok(())
        });
        debug_assert!(read.is_ok(), "a store in memory reads");
        ids.truncate(length);
        ids
    }
}

impl Read for Node {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.disk.scan(table, prefix, after, limit)
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        self.disk.last(table, prefix)
    }
}

impl Books for Node {
    fn dossier(&self, id: DossierId, profile: &Profile) -> Result<Option<Arc<Dossier>>, LedgerError> {
        let Some(record) = ledger::whole_record(&self.disk, id)? else { return Ok(None) };
        if let Some(kept) = self.cache.borrow().get(&id).filter(|d| d.head() == record.head) {
            return Ok(Some(kept.clone()));
        }
        let folded = ledger::fold(&self.disk, id, profile)?.map(Arc::new);
        if let Some(dossier) = &folded {
            self.cache.borrow_mut().insert(id, dossier.clone());
        }
        Ok(folded)
    }
}
