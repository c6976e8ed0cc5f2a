//! A few offices with stores in memory, their clerks' acts, and what must hold after every step.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use yunling_protocol::card::{Card, NodeKind};
use yunling_protocol::custody::record::Loaded;
use yunling_protocol::custody::{Transfer, giving, taking};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::dossier::{Custody, Dossier, Totals};
use yunling_protocol::fresh::Fresh;
use yunling_protocol::id::{DossierId, DossierKey, StatementId, TransferId};
use yunling_protocol::key::{KeyEntry, Role, Signer, SoftSigner};
use yunling_protocol::ledger::{self, Books, LedgerError};
use yunling_protocol::log::rows;
use yunling_protocol::member::{Member, Members};
use yunling_protocol::message::Life;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{DecideError, Office, Secrets, Vault};
use yunling_protocol::policy::Policy;
use yunling_protocol::profile::{Profile, YUNNAN};
use yunling_protocol::recovery::fence::{self, Fence};
use yunling_protocol::register::{self, Made};
use yunling_protocol::statement::{Attestation, Correction, Statement};
use yunling_protocol::store::{
    Batch, CommitError, Item, Oracle, Read, SCAN_ITEMS_MAX, Store, StoreError, Table,
};

use crate::samples::{BEGIN, consent, consent_to, duty_task, name};

/// What every volunteer's profile is in these tests; it must arrive with the key.
pub(crate) const PROFILE: &[u8] = b"profile of a volunteer who is not real";

/// One office.
pub(crate) struct Desk {
    pub(crate) name: NodeName,
    pub(crate) signer: SoftSigner,
    pub(crate) store: Oracle,
    pub(crate) policies: BTreeMap<NodeName, Policy>,
    pub(crate) hold: Cell<bool>,
    cache: RefCell<BTreeMap<DossierId, Arc<Dossier>>>,
    drawn: Cell<u64>,
}

impl Read for Desk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.store.scan(table, prefix, after, limit)
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        self.store.last(table, prefix)
    }
}

impl Books for Desk {
    fn dossier(&self, id: DossierId, profile: &Profile) -> Result<Option<Arc<Dossier>>, LedgerError> {
        let Some(record) = ledger::whole_record(&self.store, id)? else { return Ok(None) };
        if let Some(kept) = self.cache.borrow().get(&id).filter(|d| d.head() == record.head) {
            return Ok(Some(kept.clone()));
        }
        let folded = ledger::fold(&self.store, id, profile)?.map(Arc::new);
        if let Some(dossier) = &folded {
            self.cache.borrow_mut().insert(id, dossier.clone());
        }
        Ok(folded)
    }
}

/// Secrets as they are: these tests are not about encryption at rest.
pub(crate) struct PlainVault;

impl Vault for PlainVault {
    fn open(&self, _dossier: DossierId, stored: &[u8]) -> Option<Secrets> {
        let (key, rest) = stored.split_first_chunk::<32>()?;
        let profile = rest.split_first().and_then(|(mark, bytes)| (*mark == 1).then(|| bytes.to_vec()));
        Some(Secrets { key: DossierKey(*key), profile })
    }

    fn close(&self, _dossier: DossierId, secrets: &Secrets, _nonce: [u8; 32]) -> Vec<u8> {
        let mut out = secrets.key.0.to_vec();
        out.push(u8::from(secrets.profile.is_some()));
        out.extend_from_slice(secrets.profile.as_deref().unwrap_or_default());
        out
    }
}

/// Entries of each log, by who mirrored it and its origin.
pub(crate) type Mirrors = BTreeMap<(usize, String), Vec<Vec<u8>>>;

/// Everything there is.
pub(crate) struct World {
    pub(crate) desks: Vec<Desk>,
    pub(crate) members: Members,
    pub(crate) now: Cell<UnixTime>,
    /// Nodes that answer nobody now.
    pub(crate) silent: RefCell<BTreeSet<usize>>,
    seed: u64,
    /// Whether the offices keep logs, whose witnesses the roster names.
    pub(crate) logged: bool,
    /// What each witness has mirrored of each log.
    pub(crate) mirrors: RefCell<Mirrors>,
    /// Head records of each dossier at the last check: what did not change is not checked again.
    seen: RefCell<BTreeMap<DossierId, Vec<Option<Vec<u8>>>>>,
    /// The longest history of each dossier seen so far.
    history: RefCell<BTreeMap<DossierId, Vec<Vec<u8>>>>,
}

/// Key of an office in another role than that of statements, where no two may be the same.
pub(crate) fn role_key(office: &NodeName, role: Role) -> SoftSigner {
    let mut seed = [role as u8; 32];
    for (at, byte) in office.as_str().bytes().take(31).enumerate() {
        seed[at + 1] = byte;
    }
    SoftSigner::from_seed(&seed)
}

/// A signed card of a made-up office.
pub(crate) fn card(office: &NodeName, signer: &SoftSigner, trial: bool) -> Member {
    let keys = Role::ALL.into_iter().map(|role| {
        let public = if role == Role::Statement {
            signer.public()
        } else {
            SoftSigner::from_seed(&[role as u8; 32]).public()
        };
        KeyEntry::new(role, public, UnixTime(1_600_000_000), None).expect("a key from a seed is sound")
    });
    let card = Card {
        name: office.clone(),
        title_zh: "志愿者协会".into(),
        title_en: "Volunteers".into(),
        division: DivisionCode(530_100),
        kind: NodeKind::Prefecture,
        keys: keys.collect(),
        addresses: Vec::new(),
        contact: "窗口".into(),
        made_at: BEGIN,
        trial,
    };
    Member { card: card.sign(signer).expect("a soft key signs"), removed_at: None }
}

impl World {
    /// Offices of these names that know each other.
    pub(crate) fn new(names: &[&str], seed: u64) -> Self {
        let mut members = Members::default();
        let mut desks = Vec::new();
        for (index, text) in names.iter().enumerate() {
            let office = name(text);
            let signer = SoftSigner::from_seed(&[index as u8 + 100; 32]);
            members.insert(card(&office, &signer, false));
            desks.push(Desk {
                name: office,
                signer,
                store: Oracle::new(),
                policies: BTreeMap::new(),
                hold: Cell::new(false),
                cache: RefCell::default(),
                drawn: Cell::new(0),
            });
        }
        Self {
            desks,
            members,
            now: Cell::new(BEGIN),
            silent: RefCell::default(),
            seed,
            logged: false,
            mirrors: RefCell::default(),
            seen: RefCell::default(),
            history: RefCell::default(),
        }
    }

    /// What a decision at `at` knows of its node.
    pub(crate) fn office(&self, at: usize) -> Office<'_> {
        let desk = &self.desks[at];
        Office {
            me: &desk.name,
            life: self.life(at),
            fenced: Fence::load(&desk.store).unwrap().is_some(),
            trial: false,
            members: &self.members,
            signer: &desk.signer,
            profile: &YUNNAN,
            policies: &desk.policies,
            hold_transfers: desk.hold.get(),
            now: self.now.get(),
        }
    }

    /// The life of a node: of its own, or one it took when it was restored.
    pub(crate) fn life(&self, at: usize) -> Life {
        let key = fence::life_key();
        let stored = self.desks[at].get(key.table, &key.key).unwrap();
        stored.map_or(Life { generation: 1, mark: [at as u8; 16] }, |b| fence::decode_life(&b).unwrap())
    }

    /// Bytes never used before.
    pub(crate) fn fresh(&self, at: usize) -> Fresh {
        let drawn = &self.desks[at].drawn;
        drawn.set(drawn.get() + 1);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        seed[8..16].copy_from_slice(&(at as u64).to_be_bytes());
        seed[16..24].copy_from_slice(&drawn.get().to_be_bytes());
        Fresh::new(seed)
    }

    /// Index of a node by name.
    pub(crate) fn index(&self, node: &NodeName) -> usize {
        self.desks.iter().position(|d| d.name == *node).expect("a node of this world")
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: i64) {
        self.now.set(UnixTime(self.now.get().0 + seconds));
    }

    /// Commits; a batch that does not hold changes nothing.
    pub(crate) fn commit(&self, at: usize, batch: Batch) -> Result<(), CommitError> {
        let mut batch = batch;
        if self.logged {
            rows::enqueue(&self.desks[at].name, &self.members, self.now.get(), &mut batch);
        }
        self.desks[at].store.commit(batch)
    }

    /// A new volunteer at `at`.
    pub(crate) fn open(&self, at: usize) -> DossierId {
        let (office, mut fresh) = (self.office(at), self.fresh(at));
        let opened =
            register::open_dossier(&office, &PlainVault, &mut fresh, consent(), Some(PROFILE.to_vec()));
        let (id, appender, mut batch) = opened.unwrap();
        batch.merge(appender.finish().0);
        self.commit(at, batch).unwrap();
        id
    }

    fn keep(
        &self,
        at: usize,
        made: Result<Made, DecideError>,
    ) -> Result<(StatementId, Vec<&'static str>), DecideError> {
        let made = made?;
        self.commit(at, made.batch).expect("nobody else wrote since the decision");
        Ok((made.statement.id, made.flags))
    }

    /// `at` records a service for a dossier it believes at `custodian`.
    pub(crate) fn record(
        &self,
        at: usize,
        dossier: DossierId,
        custodian: usize,
        service: Attestation,
    ) -> Result<(StatementId, Vec<&'static str>), DecideError> {
        let to = &self.desks[custodian].name;
        let made =
            register::record(&self.office(at), &self.desks[at], &mut self.fresh(at), dossier, to, service);
        self.keep(at, made)
    }

    /// `at` voids its own statement.
    pub(crate) fn void(
        &self,
        at: usize,
        dossier: DossierId,
        target: StatementId,
    ) -> Result<StatementId, DecideError> {
        let made = register::void(
            &self.office(at),
            &self.desks[at],
            &mut self.fresh(at),
            dossier,
            duty_task(target),
        );
        Ok(self.keep(at, made)?.0)
    }

    /// `at` corrects its own statement.
    pub(crate) fn correct(
        &self,
        at: usize,
        dossier: DossierId,
        change: Correction,
    ) -> Result<StatementId, DecideError> {
        let made = register::correct(&self.office(at), &self.desks[at], &mut self.fresh(at), dossier, change);
        Ok(self.keep(at, made)?.0)
    }

    /// `at` hands the volunteer a slip for moving to `to`.
    pub(crate) fn slip(&self, at: usize, dossier: DossierId, to: usize) -> Result<String, DecideError> {
        let to = &self.desks[to].name;
        let (office, desk) = (self.office(at), &self.desks[at]);
        let slip = giving::authorise(&office, desk, &mut self.fresh(at), dossier, to, consent_to(to), true)?;
        self.commit(at, slip.batch).expect("nobody else wrote since the decision");
        Ok(slip.code)
    }

    /// `at` asks `from` for the dossier on the slip.
    pub(crate) fn ask(&self, at: usize, from: usize, slip: &str) -> Result<TransferId, DecideError> {
        let from = &self.desks[from].name;
        let (batch, transfer) =
            taking::start(&self.office(at), &self.desks[at], &mut self.fresh(at), from, slip)?;
        self.commit(at, batch).expect("nobody else wrote since the decision");
        Ok(transfer.id)
    }

    /// A transfer as `at` has it.
    pub(crate) fn transfer(&self, at: usize, id: TransferId) -> Option<Transfer> {
        Loaded::by_id(&self.desks[at], id).unwrap().map(|l| l.transfer)
    }

    /// Every transfer `at` has.
    pub(crate) fn transfers(&self, at: usize) -> Vec<Transfer> {
        let rows = self.desks[at].scan(Table::Transfer, &[], None, SCAN_ITEMS_MAX).unwrap();
        rows.iter().map(|(_, bytes)| Transfer::decode(bytes).unwrap()).collect()
    }

    /// A dossier as `at` has it.
    pub(crate) fn dossier(&self, at: usize, id: DossierId) -> Option<Arc<Dossier>> {
        self.desks[at].dossier(id, &YUNNAN).unwrap()
    }

    /// The sums of a dossier as `at` has it.
    pub(crate) fn totals(&self, at: usize, id: DossierId) -> Totals {
        self.dossier(at, id).expect("the dossier is here").totals(&YUNNAN)
    }

    /// Who may append to a dossier now.
    pub(crate) fn custodians(&self, id: DossierId) -> Vec<usize> {
        let holds = |at: &usize| {
            let record = ledger::head_record(&self.desks[*at], id).unwrap();
            let fenced = Fence::load(&self.desks[*at].store).unwrap().is_some();
            let me = &self.desks[*at].name;
            !fenced && record.is_some_and(|r| r.closed.is_none() && r.custody == Custody::Open(me.clone()))
        };
        (0..self.desks.len()).filter(holds).collect()
    }

    /// The chain of a dossier at one node: statement ids in order.
    pub(crate) fn chain(&self, at: usize, id: DossierId) -> Vec<Vec<u8>> {
        let Some(record) = ledger::head_record(&self.desks[at], id).unwrap() else { return Vec::new() };
        let rows = self.desks[at].scan(Table::Chain, id.as_bytes(), None, SCAN_ITEMS_MAX).unwrap();
        assert!(rows.len() as u64 >= record.length, "a chain is as long as its head record says");
        rows.into_iter().take(record.length as usize).map(|(_, id)| id).collect()
    }

    /// A stored statement, parsed.
    pub(crate) fn statement(&self, at: usize, dossier: DossierId, id: StatementId) -> Statement {
        let bytes =
            ledger::statement(&self.desks[at], dossier, id).unwrap().expect("the statement is stored");
        Statement::parse(&bytes).unwrap()
    }

    /// What holds after every step, whatever happened: at most one node may append; every node's
    /// chain is a piece of one history; that history only grows; nothing in it counts twice.
    pub(crate) fn check(&self, id: DossierId) {
        let key = ledger::head_key(id);
        let heads: Vec<_> = self.desks.iter().map(|d| d.get(key.table, &key.key).unwrap()).collect();
        if self.seen.borrow().get(&id) == Some(&heads) {
            return;
        }
        self.seen.borrow_mut().insert(id, heads);
        let custodians = self.custodians(id);
        assert!(custodians.len() <= 1, "two custodians: {custodians:?} (seed {})", self.seed);
        let chains: Vec<_> = (0..self.desks.len()).map(|at| self.chain(at, id)).collect();
        let (longest_at, longest) =
            chains.iter().enumerate().max_by_key(|(_, c)| c.len()).expect("a world has nodes");
        for chain in &chains {
            assert!(longest.starts_with(chain), "two histories of one dossier (seed {})", self.seed);
        }
        if let [custodian] = custodians[..] {
            assert_eq!(
                chains[custodian].len(),
                longest.len(),
                "the custodian lacks statements (seed {})",
                self.seed
            );
        }
        let mut history = self.history.borrow_mut();
        let before = history.entry(id).or_default();
        assert!(longest.starts_with(before), "statements were lost (seed {})", self.seed);
        if before.len() < longest.len() {
            before.clone_from(longest);
            self.check_sums(longest_at, id);
        }
    }

    /// The counted minutes are those of single, effective hours, less what overlaps.
    fn check_sums(&self, at: usize, id: DossierId) {
        let dossier = self.dossier(at, id).expect("a chain folds");
        let totals = dossier.totals(&YUNNAN);
        let mut seen = BTreeSet::new();
        let mut sum = 0;
        for hour in dossier.hours().values().filter(|h| h.void.is_none() && !h.repeat) {
            assert!(
                seen.insert((hour.issuer.clone(), hour.item)),
                "one item counts twice (seed {})",
                self.seed
            );
            sum += hour.minutes.0;
        }
        assert_eq!(totals.stated.0, sum, "the stated sum is not the sum of the hours (seed {})", self.seed);
        assert_eq!(
            totals.stated.0,
            totals.counted.0 + totals.disputed.0,
            "minutes leak (seed {})",
            self.seed
        );
    }
}
