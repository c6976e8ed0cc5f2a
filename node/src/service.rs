//! The running office: loads state, calls the decisions of `yunling-protocol`, commits their batch,
//! then releases their effects. Persist comes before send, always.
//!
//! One [`Node`] serves the control API, the network and the import. Acts on one dossier that meet
//! another writer are decided again from the new state; nothing is ever half written.

pub mod audit;
mod continuity;
pub mod copy;
pub mod courier;
pub mod doctor;
pub mod dossiers;
pub mod exchange;
pub mod exposed;
pub mod figures;
mod gossip;
mod greet;
pub mod import;
mod keys;
pub mod log;
mod mirror;
pub mod notes;
pub mod outbox;
mod pairing;
pub mod peers;
pub mod proofs;
mod proven;
pub mod reach;
pub mod receipts;
pub mod records;
pub mod recovery;
mod refill;
pub mod refusal;
mod rejoin;
pub mod roster;
pub mod status;
pub mod takeover;
pub mod transfers;
pub mod trust_pack;
pub mod volunteers;
mod waiting;
pub mod witness;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Notify;
use yunling_protocol::dossier::Dossier;
use yunling_protocol::id::DossierId;
use yunling_protocol::key::{Role, SoftSigner};
use yunling_protocol::ledger::{self, Books, LedgerError};
use yunling_protocol::member::Members;
use yunling_protocol::message::Life;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{DecideError, Decision, Office};
use yunling_protocol::policy::Policy;
use yunling_protocol::profile::{Profile, YUNNAN};
use yunling_protocol::proof::rows;
use yunling_protocol::recovery::fence::{Fence, decode_life, encode_life, life_key};
use yunling_protocol::roster::Chain;
use yunling_protocol::store::{Batch, CommitError, Expect, Item, Key, Put, Read, Store, StoreError, Table};

use crate::clock::random32;
use crate::home::Home;
use crate::net::Net;
use crate::store::{Options, SledStore};
use crate::vault::ProfileVault;

pub use refusal::Refusal;

/// Folds kept in memory. A prefecture's clerks work on few dossiers at once; one fold of a hundred
/// statements takes about 50 KiB.
const CACHED_DOSSIERS_MAX: usize = 2_000;
/// Times an act is decided again when another writer was first.
const CONFLICT_TRIES_MAX: usize = 16;
/// First life of a node.
const FIRST_GENERATION: u64 = 1;

/// A running office.
pub struct Node {
    /// Its home.
    pub home: Home,
    store: Arc<dyn Store>,
    /// The same store where it is the embedded engine, which can be checked as a whole.
    embedded: std::sync::OnceLock<Arc<SledStore>>,
    /// A statement key of the home: what decides when no other can be found.
    signer: Arc<SoftSigner>,
    vault: ProfileVault,
    pub(crate) life: RwLock<Life>,
    pub(crate) fenced: AtomicBool,
    members: RwLock<Known>,
    /// Adopted versions; held while new ones are adopted, one after the other.
    roster: Mutex<Option<Arc<Chain>>>,
    /// Held from reading the stored peers to showing them, so that an older reading never comes last.
    reloading: Mutex<()>,
    cache: Mutex<HashMap<DossierId, Arc<Dossier>>>,
    counters: Mutex<BTreeMap<&'static str, u64>>,
    /// Held while a backup is made: one at a time.
    pub(crate) backup: Mutex<()>,
    /// Held while a courier file is made or taken: one after the other.
    courier: Mutex<()>,
    pub(crate) outbox_state: Mutex<outbox::Progress>,
    pub(crate) wake: Notify,
    /// The log of this life at its end; none until it is opened, or after its files could not be written.
    book: Mutex<Option<log::Open>>,
    log_wake: Notify,
    /// Held while a checkpoint is judged: reading, deciding and storing are one step.
    witnessing: Mutex<()>,
    rounds: Mutex<witness::Rounds>,
    gossip: Mutex<gossip::Gossip>,
    asking: Mutex<proven::Asking>,
    /// Logs whose entries are being fetched before their checkpoint is cosigned.
    mirroring: Mutex<std::collections::BTreeSet<yunling_protocol::log::Origin>>,
    /// Audits under way, by peer.
    pub(crate) audits: Mutex<BTreeMap<NodeName, audit::Under>>,
    /// Nodes against which evidence stands.
    exposed: Mutex<std::collections::BTreeSet<NodeName>>,
    /// A status list may be due.
    pub(crate) status_wake: Notify,
    pub(crate) status_asked: Mutex<status::Asked>,
    pub(crate) net: std::sync::OnceLock<Net>,
}

/// Members with the policy towards each.
#[derive(Clone, Default)]
struct Known {
    members: Arc<Members>,
    policies: Arc<BTreeMap<NodeName, Policy>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.home.name)
    }
}

impl Node {
    /// Opens the office of a home with its embedded store.
    pub fn open(home: Home) -> Result<Self, Refusal> {
        crate::repair::refuse_unfinished(&home.path)?;
        crate::migrate::backup_before(&home)?;
        let folder = home.store_folder();
        let owner = owner_of(&home.name);
        let store = SledStore::open(&folder, &owner, Options::default())
            .map_err(|e| Refusal::from(e).with("path", folder.display()))?;
        let store = Arc::new(store);
        let node = Self::with_store(home, store.clone())?;
        // Set once: the node was made a moment ago.
        let _ = node.embedded.set(store);
        Ok(node)
    }

    /// Opens the office on a given store.
    pub fn with_store(home: Home, store: Arc<dyn Store>) -> Result<Self, Refusal> {
        let node = Self::assemble(home, store)?;
        waiting::seal_all(&node)?;
        let roster = roster::load(&node)?;
        *node.roster.lock().unwrap_or_else(PoisonError::into_inner) = roster;
        // A crash may have come between the version and its peers.
        node.meet_members()?;
        node.reload_members()?;
        node.open_log()?;
        node.load_exposed()?;
        Ok(node)
    }

    /// The office with nothing loaded and nothing written: enough for a backup of it as it lies there.
    pub(crate) fn assemble(home: Home, store: Arc<dyn Store>) -> Result<Self, Refusal> {
        let signer = home
            .signer(Role::Statement)
            .ok_or_else(|| Refusal::new("key-file").with("path", "keys/statement.key"))?;
        let vault = ProfileVault::new(&home.keys.profile);
        check_identity(&home, store.as_ref())?;
        let life = load_life(store.as_ref())?;
        let fenced = Fence::load(store.as_ref())?.is_some();
        Ok(Self {
            home,
            store,
            embedded: std::sync::OnceLock::new(),
            signer,
            vault,
            life: RwLock::new(life),
            fenced: AtomicBool::new(fenced),
            members: RwLock::default(),
            roster: Mutex::default(),
            reloading: Mutex::default(),
            cache: Mutex::default(),
            counters: Mutex::default(),
            backup: Mutex::default(),
            courier: Mutex::default(),
            outbox_state: Mutex::default(),
            wake: Notify::new(),
            book: Mutex::default(),
            log_wake: Notify::new(),
            witnessing: Mutex::default(),
            rounds: Mutex::default(),
            gossip: Mutex::default(),
            asking: Mutex::default(),
            mirroring: Mutex::default(),
            audits: Mutex::default(),
            exposed: Mutex::default(),
            status_wake: Notify::new(),
            status_asked: Mutex::default(),
            net: std::sync::OnceLock::new(),
        })
    }

    /// The embedded engine, where the office runs on it.
    pub(crate) fn embedded(&self) -> Option<Arc<SledStore>> {
        self.embedded.get().cloned()
    }

    /// The rule profile in force.
    pub fn profile(&self) -> &'static Profile {
        &YUNNAN
    }

    /// The network, when it runs.
    pub fn net(&self) -> Option<&Net> {
        self.net.get()
    }

    /// This node's life.
    pub fn life(&self) -> Life {
        *self.life.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Known nodes.
    pub fn members(&self) -> Arc<Members> {
        self.known().members
    }

    fn known(&self) -> Known {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn reload_members(&self) -> Result<(), Refusal> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let members = peers::load_members(self)?;
        let (default, named) = self.home.config.policies()?;
        let policies = members
            .iter()
            .map(|m| {
                let name = m.card.card.name.clone();
                let policy = named.get(&name).copied().unwrap_or(default);
                (name, policy)
            })
            .collect();
        let known = Known { members: Arc::new(members), policies: Arc::new(policies) };
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Counts something that status and metrics show.
    pub fn count(&self, what: &'static str) {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// Counters since start.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `decide` with this node's context.
    pub fn decide<T>(&self, decide: impl FnOnce(&Office<'_>) -> T) -> T {
        let known = self.known();
        let signer = self.key_of(Role::Statement, &known.members).unwrap_or_else(|| self.signer.clone());
        let office = Office {
            me: &self.home.name,
            life: self.life(),
            fenced: self.fenced(),
            trial: self.home.config.node.trial,
            members: &known.members,
            signer: &*signer,
            profile: self.profile(),
            policies: &known.policies,
            hold_transfers: self.home.config.transfer.hold_for_clerk,
            now: self.home.clock.now(),
        };
        decide(&office)
    }

    /// Decides, commits and hands the result back; decides again when another writer was first.
    pub fn act<T>(
        &self,
        mut decide: impl FnMut(&Office<'_>) -> Result<(Batch, T), DecideError>,
    ) -> Result<T, Refusal> {
        for _ in 0..CONFLICT_TRIES_MAX {
            let (batch, value) = self.decide(&mut decide)?;
            match self.commit(batch) {
                Ok(()) => return Ok(value),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::new("store-conflict").with("tries", CONFLICT_TRIES_MAX))
    }

    /// As [`Node::act`] for a decision with an answer; wakes the outbox.
    pub fn act_decision(
        &self,
        mut decide: impl FnMut(&Office<'_>) -> Result<Decision, DecideError>,
    ) -> Result<yunling_protocol::message::Answer, Refusal> {
        let (answer, wake) = self.act(|office| {
            let decision = decide(office)?;
            Ok((decision.batch, (decision.answer, decision.wake)))
        })?;
        if wake {
            self.wake.notify_one();
        }
        Ok(answer)
    }

    /// Commits a batch, with an entry of the log for each statement in it that this node signed.
    pub fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        if batch.put.is_empty() {
            return Ok(());
        }
        let (batch, to_log) = log::with_entries(self, batch);
        // A proof that a statement withdrew is to be shown so at once, whichever act it came with.
        let withdraws = batch.put.iter().any(|put| rows::is_urgent(put.key()));
        self.store.commit(waiting::at_rest(&self.vault, batch))?;
        if to_log {
            self.log_wake.notify_one();
        }
        if withdraws {
            self.status_wake.notify_one();
        }
        Ok(())
    }

    /// Keeps a fold that was just committed.
    pub fn remember(&self, dossier: Dossier) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_DOSSIERS_MAX {
            // Folds are cheap to make again; a full cache starts over instead of keeping an order.
            cache.clear();
        }
        cache.insert(dossier.id(), Arc::new(dossier));
    }

    /// The store, for a snapshot.
    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub(crate) fn vault(&self) -> &ProfileVault {
        &self.vault
    }
}

impl Read for Node {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self.store.get(table, key)?;
        Ok(stored.map(|value| waiting::as_written(&self.vault, table, key, value)))
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = self.store.scan(table, prefix, after, limit)?;
        if table == Table::Outbox {
            for (key, value) in &mut items {
                *value = waiting::as_written(&self.vault, table, key, std::mem::take(value));
            }
        }
        Ok(items)
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        let last = self.store.last(table, prefix)?;
        Ok(last.map(|(key, value)| {
            let value = waiting::as_written(&self.vault, table, &key, value);
            (key, value)
        }))
    }
}

impl Books for Node {
    fn dossier(&self, id: DossierId, profile: &Profile) -> Result<Option<Arc<Dossier>>, LedgerError> {
        let Some(record) = ledger::whole_record(self, id)? else { return Ok(None) };
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(dossier) = cache.get(&id).filter(|d| d.head() == record.head) {
                return Ok(Some(dossier.clone()));
            }
        }
        let Some(dossier) = ledger::fold(self, id, profile)? else { return Ok(None) };
        self.remember(dossier.clone());
        Ok(Some(Arc::new(dossier)))
    }
}

/// The owner of a node's store.
pub(crate) fn owner_of(name: &NodeName) -> Vec<u8> {
    [name.as_str().as_bytes(), b"/1"].concat()
}

/// What was fixed at `init` must not change in the configuration of a used store.
fn check_identity(home: &Home, store: &dyn Store) -> Result<(), Refusal> {
    let identity = format!("1|{}|{}", home.name, home.config.node.trial);
    let key = Key::new(Table::Meta, &b"identity"[..]);
    match store.get(key.table, &key.key)? {
        Some(stored) if stored == identity.as_bytes() => Ok(()),
        Some(stored) => Err(Refusal::new("home-identity")
            .with("stored", String::from_utf8_lossy(&stored))
            .with("now", identity)),
        None => {
            let mut batch = Batch::default();
            batch.expect.push(Expect::Absent(key.clone()));
            batch.put.push(Put::Set(key, identity.into_bytes()));
            Ok(store.commit(batch)?)
        }
    }
}

fn load_life(store: &dyn Store) -> Result<Life, Refusal> {
    let key = life_key();
    if let Some(bytes) = store.get(key.table, &key.key)? {
        return decode_life(&bytes).ok_or_else(|| Refusal::new("store-damaged").with("cause", "node life"));
    }
    let mut mark = [0; 16];
    mark.copy_from_slice(&random32()[..16]);
    let life = Life { generation: FIRST_GENERATION, mark };
    let mut batch = Batch::default();
    batch.expect.push(Expect::Absent(key.clone()));
    batch.put.push(Put::Set(key, encode_life(life)));
    store.commit(batch)?;
    Ok(life)
}
