//! A restored node rejoins through the witnesses of its log (DESIGN §6).
//!
//! No release leaves a node before k of its log's n witnesses have cosigned a checkpoint with the seal, so
//! any n − k + 1 of them have met every seal that counts. They name the newest checkpoint they know of each
//! of its logs, promise to cosign no older life, and hand over the entries up to it; a dossier whose seal
//! shows there stays closed until that seal is found. [`vouch`] is the witness's side, [`take`],
//! [`standing`], [`import`] and `shut` are the restored node's.
//!
//! A repaired node, and one whose backup is older than its witnesses, asks everybody as before: its fence
//! begins at a time for which no rule is known ([`Members::quorums_since`](crate::member::Members)).

mod import;

use std::collections::{BTreeMap, BTreeSet};

use super::fence::{Fence, REASON_BYTES_MAX, encode_life, fence_key};
use super::{NO_DOSSIER, NO_TRANSFER};
use crate::cbor::{self, MapBuilder, Value};
use crate::cose::{self, Typ};
use crate::dossier::Custody;
use crate::id::{DossierId, StatementId, TransferId};
use crate::ledger::{self, Books, HeadRecord, LedgerError};
use crate::log::keep;
use crate::log::note::Note;
use crate::log::rows;
use crate::log::witness::Seen;
use crate::log::{Checkpoint, Hash, Origin, Quorum};
use crate::message::{Answer, Content, Life, MESSAGE_BYTES_MAX, Message};
use crate::mutants::{self, Mutant};
use crate::name::NodeName;
use crate::office::{DecideError, Decision, Office, Vault, custody_outbox_key, secrets_key};
use crate::proof::live;
use crate::store::{Batch, Expect, Key, Put, Read, Table, scan_all};

pub use import::{LOST_ENTRIES_MAX, import};

/// Most lives between a backup and its restore: one that was restored more often than monthly for two
/// years asks every peer instead. All their notes fit one message.
pub const LIVES_MAX: usize = 32;
/// Largest note in a vouch: origin, size, root and the log's own signature have under 600 bytes.
pub const VOUCHED_NOTE_BYTES_MAX: usize = 1_536;
/// Dossiers closed in one batch: with some dozens of proofs each it stays within its bounds.
const SHUT_ROWS: usize = 200;
/// First byte of the index of closed dossiers.
const CLOSED: &[u8] = b"k";

/// Key of the mark that a dossier is closed; the value is the seal's id.
pub(super) fn closed_key(dossier: DossierId) -> Key {
    Key::new(Table::Index, [CLOSED, dossier.as_bytes()].concat())
}

fn vouch_prefix(life: Life) -> Vec<u8> {
    [&b"vouch/"[..], &encode_life(life)].concat()
}

/// Key of what a witness said to a life.
fn vouch_key(life: Life, witness: &NodeName) -> Key {
    Key::new(Table::Meta, [vouch_prefix(life).as_slice(), witness.as_str().as_bytes()].concat())
}

/// Where the question to a witness waits until it has answered.
fn question_key(witness: &NodeName) -> Key {
    custody_outbox_key(witness, NO_TRANSFER, Content::Rejoin { since: 0 }.number())
}

/// A witness answers a restored node. A fenced one says *later*: it forgot what it has cosigned. The batch
/// holds the promise and expects every row that was read, so that no older life is cosigned in between.
pub fn vouch(
    office: &Office<'_>,
    books: &dyn Books,
    message: &Message,
    since: u64,
) -> Result<Decision, DecideError> {
    if office.closed().is_some() {
        return Ok(Decision::answer(Answer::Busy));
    }
    let life = message.life;
    if life.generation.saturating_sub(since) > LIVES_MAX as u64 {
        return Ok(Decision::refused("rejoin-lives"));
    }
    let mut batch = Batch::default();
    let mut logs = Vec::new();
    for generation in since..life.generation {
        let origin = Origin { node: message.from.clone(), generation };
        let key = rows::witnessed_key(&origin.hash());
        let stored = books.get(key.table, &key.key)?;
        batch.expect_read(key.table, key.key.clone(), stored.as_deref());
        if let Some(stored) = stored {
            logs.push(Seen::decode(&stored)?.note.into_bytes());
        }
    }
    if logs.iter().any(|note| note.len() > VOUCHED_NOTE_BYTES_MAX) {
        return Ok(Decision::refused("rejoin-note"));
    }
    let (promised, stored) = rows::promised(books, &message.from)?;
    let key = rows::promised_key(&message.from);
    batch.expect_read(key.table, key.key.clone(), stored.as_deref());
    ledger::set(&mut batch, key, promised.max(life.generation).to_be_bytes().to_vec());
    let roster = office.members.roster().map_or(0, |roster| roster.newest().roster().version);
    let content = Content::Vouch { roster, logs };
    // Said to this life and to no other, as what is told in pages.
    office.post(&mut batch, &message.from, NO_DOSSIER, life.generation, TransferId(life.mark), content)?;
    Ok(Decision { batch, answer: Answer::Ok, wake: true })
}

/// Whether a witness may cosign a checkpoint of this log: it has not promised to leave this life. The batch
/// that stores the cosignature expects that no promise came between.
pub fn may_cosign(
    read: &(impl Read + ?Sized),
    origin: &Origin,
    batch: &mut Batch,
) -> Result<bool, LedgerError> {
    let (promised, stored) = rows::promised(read, &origin.node)?;
    let key = rows::promised_key(&origin.node);
    batch.expect_read(key.table, key.key, stored.as_deref());
    Ok(origin.generation >= promised)
}

/// Asks every witness that has not answered this life; safe to repeat.
pub fn ask(office: &Office<'_>, read: &(impl Read + ?Sized), fence: &Fence) -> Result<Batch, DecideError> {
    let mut batch = Batch::default();
    for witness in waited_for(office, read, fence)? {
        if office.members.admits(&witness, office.now) {
            let content = Content::Rejoin { since: fence.old_generation };
            office.post(&mut batch, &witness, NO_DOSSIER, 0, NO_TRANSFER, content)?;
        }
    }
    Ok(batch)
}

fn waited_for(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    fence: &Fence,
) -> Result<BTreeSet<NodeName>, DecideError> {
    let Some(standing) = standing(office, read, fence)? else { return Ok(BTreeSet::new()) };
    Ok(standing.rules.into_iter().flat_map(|rule| rule.waits).collect())
}

/// The word of a witness is kept when it was said to this life, each note is of one of this node's logs and
/// signed by its key, and no newer roster is known there.
pub fn take(office: &Office<'_>, books: &dyn Books, message: &Message) -> Result<Decision, DecideError> {
    let Content::Vouch { roster, logs } = &message.content else {
        return Ok(Decision::refused("message-unexpected"));
    };
    let to_me = (message.epoch, message.transfer.0) == (office.life.generation, office.life.mark);
    let Some((fence, stored)) = Fence::load(books)?.filter(|_| to_me) else {
        return Ok(Decision::answer(Answer::Ok));
    };
    let held = office.members.roster().map_or(0, |held| held.newest().roster().version);
    if *roster > held {
        // Other witnesses may stand there. The question stays and is answered again.
        return Ok(Decision::answer(Answer::Ok));
    }
    let mut last = None;
    for note in logs {
        let named = own_checkpoint(office, note).filter(|(origin, _)| {
            (fence.old_generation..office.life.generation).contains(&origin.generation)
                && last.is_none_or(|last| last < origin.generation)
        });
        let Some((origin, _)) = named else { return Ok(Decision::refused("checkpoint-unsigned")) };
        last = Some(origin.generation);
    }
    let mut batch = Batch::default();
    batch.expect.push(Expect::Equals(fence_key(), stored));
    let list = logs.iter().map(|note| cbor::bytes(note.as_slice())).collect();
    ledger::set(&mut batch, vouch_key(office.life, &message.from), cbor::encode(&Value::Array(list)));
    batch.put.push(Put::Delete(question_key(&message.from)));
    Ok(Decision { batch, answer: Answer::Ok, wake: true })
}

/// A checkpoint of one of this node's own logs, signed by its log key.
fn own_checkpoint(office: &Office<'_>, note: &[u8]) -> Option<(Origin, Checkpoint)> {
    let (note, checkpoint): (Note, Checkpoint) = Checkpoint::parse(note).ok()?;
    let origin = Origin::parse(&checkpoint.origin).filter(|origin| origin.node == *office.me)?;
    note.verify(&office.members.log_keys(&origin)).ok()?;
    Some((origin, checkpoint))
}

/// One rule of the log, and who of its witnesses has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Witnesses, n.
    pub of: usize,
    /// Answers wanted, n − k + 1.
    pub need: usize,
    /// Who has answered.
    pub heard: Vec<NodeName>,
    /// Who has not.
    pub waits: Vec<NodeName>,
}

/// The newest checkpoint that a witness named of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// The log.
    pub origin: Origin,
    /// Entries.
    pub size: u64,
    /// Root.
    pub root: Hash,
    /// The note.
    pub note: String,
    /// All roots that witnesses named, by size; two of one size are a fork.
    pub named: BTreeSet<(u64, Hash)>,
    /// Who named the newest: each has the entries up to it.
    pub from: Vec<NodeName>,
    /// Entries that this node has.
    pub have: u64,
}

/// How far the witnesses have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The rules since the backup, each of which must be met.
    pub rules: Vec<Rule>,
    /// The newest checkpoint named of each log, oldest life first.
    pub logs: Vec<Newest>,
}

impl Standing {
    /// Whether enough witnesses have answered under every rule.
    pub fn heard(&self) -> bool {
        self.rules.iter().all(|rule| rule.heard.len() >= rule.need)
    }

    /// Whether two of the named checkpoints cannot both be of one history: this node signed two.
    pub fn forked(&self) -> bool {
        let two = |log: &Newest| {
            let sizes: BTreeSet<u64> = log.named.iter().map(|(size, _)| *size).collect();
            sizes.len() < log.named.len()
        };
        self.logs.iter().any(two)
    }

    /// The logs whose entries are still to be handed over.
    pub fn lacks(&self) -> impl Iterator<Item = &Newest> {
        self.logs.iter().filter(|log| log.have < log.size)
    }

    /// Whether the fence may open.
    pub fn enough(&self) -> bool {
        self.heard() && !self.forked() && self.lacks().next().is_none()
    }
}

/// Where a fenced node stands with its witnesses; none when not every rule since its backup names some.
pub fn standing(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    fence: &Fence,
) -> Result<Option<Standing>, DecideError> {
    // A rule that cannot be read is met by nobody; the peers are left.
    let quorums = office.members.quorums_since(office.me, fence.made_at).unwrap_or_default();
    if quorums.is_empty() {
        return Ok(None);
    }
    let mut vouched: BTreeMap<NodeName, Vec<Vec<u8>>> = BTreeMap::new();
    for witness in quorums.iter().flat_map(Quorum::witnesses).map(|witness| &witness.node) {
        let key = vouch_key(office.life, witness);
        let stored = read.get(key.table, &key.key)?;
        // One that is suspended now is believed as little as one that is silent.
        if let Some(stored) = stored.filter(|_| office.members.admits(witness, office.now)) {
            vouched.insert(witness.clone(), notes(&stored)?);
        }
    }
    let rule = |quorum: &Quorum| {
        let nodes = quorum.witnesses().iter().map(|witness| witness.node.clone());
        let (heard, waits): (Vec<NodeName>, _) = nodes.partition(|node| vouched.contains_key(node));
        let of = quorum.witnesses().len();
        let early = usize::from(mutants::is(Mutant::RejoinOneWitnessEarly));
        Rule { of, need: of + 1 - quorum.threshold().min(of) - early, heard, waits }
    };
    let rules = quorums.iter().map(rule).collect();
    let mut logs: BTreeMap<u64, Newest> = BTreeMap::new();
    for (witness, notes) in &vouched {
        for note in notes {
            let Some((origin, checkpoint)) = own_checkpoint(office, note) else { continue };
            name(&mut logs, witness, origin, &checkpoint, note);
        }
    }
    for log in logs.values_mut() {
        log.have = keep::head(read, log.origin.generation)?.map_or(0, |head| head.frontier.size());
    }
    Ok(Some(Standing { rules, logs: logs.into_values().collect() }))
}

fn name(
    logs: &mut BTreeMap<u64, Newest>,
    witness: &NodeName,
    origin: Origin,
    checkpoint: &Checkpoint,
    note: &[u8],
) {
    let log = logs.entry(origin.generation).or_insert_with(|| Newest {
        origin,
        size: 0,
        root: crate::log::merkle::EMPTY_ROOT,
        note: String::new(),
        named: BTreeSet::new(),
        from: Vec::new(),
        have: 0,
    });
    log.named.insert((checkpoint.size, checkpoint.root));
    if checkpoint.size > log.size {
        (log.size, log.root) = (checkpoint.size, checkpoint.root);
        log.note = String::from_utf8_lossy(note).into_owned();
        log.from.clear();
    }
    if checkpoint.size == log.size {
        log.from.push(witness.clone());
    }
}

fn notes(stored: &[u8]) -> Result<Vec<Vec<u8>>, DecideError> {
    let damaged = cbor::CborError::WrongType(0);
    let Value::Array(list) = cbor::decode(stored, MESSAGE_BYTES_MAX)? else { return Err(damaged.into()) };
    let bytes = |note| match note {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(DecideError::from(cbor::CborError::WrongType(0))),
    };
    list.into_iter().map(bytes).collect()
}

/// The seal of `dossier` in this epoch that the log of before the restore shows and that is not here.
pub(crate) fn forgotten_seal(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
    nullifier: &[u8; 32],
) -> Result<Option<StatementId>, DecideError> {
    let key = rows::shown_key(nullifier);
    let shown = read.get(key.table, &key.key)?.and_then(|id| <[u8; 32]>::try_from(id).ok());
    let Some(seal) = shown.map(StatementId) else { return Ok(None) };
    Ok(ledger::statement(read, dossier, seal)?.is_none().then_some(seal))
}

/// Closes the dossiers believed to be held here whose seal shows; at most [`SHUT_ROWS`] at a time, `true`
/// when more may be left. What `batch` touches already was told by a peer and stays as told.
pub(super) fn shut(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    batch: &mut Batch,
) -> Result<bool, DecideError> {
    let none = books.scan(Table::Log, rows::SHOWN_PREFIX, None, 1)?.is_empty();
    if none || mutants::is(Mutant::ForgottenSealsOpen) {
        return Ok(false);
    }
    let told: BTreeSet<Key> = batch.put.iter().map(|put| put.key().clone()).collect();
    let mut closed = 0;
    scan_all::<DecideError>(books, Table::Head, b"", |key, stored| {
        let record = HeadRecord::decode(&stored)?;
        let held = record.custody == Custody::Open(office.me.clone()) && record.closed.is_none();
        let id = <[u8; 16]>::try_from(key.as_slice()).map(DossierId);
        let Some(id) =
            id.ok().filter(|id| held && closed < SHUT_ROWS && !told.contains(&ledger::head_key(*id)))
        else {
            return Ok(());
        };
        let secrets = secrets_key(id);
        let secrets = books.get(secrets.table, &secrets.key)?.and_then(|stored| vault.open(id, &stored));
        let seal = match secrets {
            Some(secrets) => forgotten_seal(books, id, &secrets.key.nullifier(record.epoch))?,
            // Erased, so that nobody can tell whether it was sealed.
            None => Some(StatementId([0; 32])),
        };
        if let Some(seal) = seal {
            closed += 1;
            batch.expect.push(Expect::Equals(ledger::head_key(id), stored));
            ledger::set(batch, ledger::head_key(id), HeadRecord { closed: Some(seal), ..record }.encode());
            ledger::set(batch, closed_key(id), seal.0.to_vec());
            // With the seal its proofs were superseded, which this node forgot too.
            live::supersede(office, books, id, batch)?;
        }
        Ok(())
    })?;
    Ok(closed == SHUT_ROWS)
}

/// The dossiers that are closed, with the id of the seal that is looked for.
pub fn closed(read: &(impl Read + ?Sized)) -> Result<Vec<(DossierId, StatementId)>, LedgerError> {
    let mut found = Vec::new();
    scan_all::<LedgerError>(read, Table::Index, CLOSED, |key, seal| {
        let id = key.get(CLOSED.len()..).and_then(|id| <[u8; 16]>::try_from(id).ok());
        let seal = <[u8; 32]>::try_from(seal).ok();
        found.extend(id.map(DossierId).zip(seal.map(StatementId)));
        Ok(())
    })?;
    Ok(found)
}

/// An operator takes it on himself that a seal which the log shows is nowhere: the dossier is open again. A
/// signed act that names who was not heard, kept for ever; all that have not told must be named.
pub fn reopen(
    office: &Office<'_>,
    books: &dyn Books,
    dossier: DossierId,
    without: &[NodeName],
    reason: &str,
) -> Result<(Batch, Vec<u8>), DecideError> {
    let record = ledger::head_record(books, dossier)?.ok_or(DecideError::Rule("dossier-unknown"))?;
    let Some(seal) = record.closed else { return Err(DecideError::Rule("dossier-not-closed")) };
    if office.fenced {
        return Err(DecideError::Rule("fenced"));
    }
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(DecideError::Rule("fence-reason"));
    }
    let asking = Fence::load_asking(books)?.map(|(asking, _)| asking);
    let missing = asking.map(|asking| asking.missing(office.members, office.me)).unwrap_or_default();
    if missing.iter().any(|name| !without.contains(name)) {
        return Err(DecideError::Rule("fence-missing-unnamed"));
    }
    let names: Vec<Value> = missing.iter().map(|name| cbor::text(name.as_str())).collect();
    let payload = MapBuilder::new()
        .put(1, cbor::int(1))
        .put(2, cbor::text(office.me.as_str()))
        .put(3, office.life.to_value())
        .put(4, cbor::int(office.now.0))
        .put(5, cbor::bytes(dossier.0))
        .put(6, cbor::bytes(seal.0))
        .put_opt(7, (!names.is_empty()).then_some(Value::Array(names)))
        .put(8, cbor::text(reason))
        .put_opt(9, office.trial.then_some(Value::Bool(true)));
    let typ = Typ::Text("yunling/dossier-reopened".into());
    let payload = cbor::encode(&payload.build());
    let act = cose::sign1(office.signer, &typ, b"yunling/dossier-reopened/1", &payload)?;
    let mut batch = Batch::default();
    batch.expect.push(Expect::Equals(ledger::head_key(dossier), record.encode()));
    ledger::set(&mut batch, ledger::head_key(dossier), HeadRecord { closed: None, ..record }.encode());
    batch.put.push(Put::Delete(closed_key(dossier)));
    ledger::set(&mut batch, reopened_key(dossier, seal), act.clone());
    Ok((batch, act))
}

/// Key of the signed act by which a closed dossier was opened again.
pub fn reopened_key(dossier: DossierId, seal: StatementId) -> Key {
    Key::new(Table::Meta, [&b"reopened/"[..], dossier.as_bytes(), seal.as_bytes()].concat())
}

/// Takes the questions and answers of a fence that opens out of the store.
pub(super) fn clear(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    fence: &Fence,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    // Also the questions to those that have answered: one decided on before the answer may be written after it.
    let rules = standing(office, read, fence)?.map(|standing| standing.rules).unwrap_or_default();
    for witness in rules.iter().flat_map(|rule| rule.waits.iter().chain(&rule.heard)) {
        batch.put.push(Put::Delete(question_key(witness)));
    }
    scan_all::<DecideError>(read, Table::Meta, b"vouch/", |key, _| {
        batch.put.push(Put::Delete(Key::new(Table::Meta, key)));
        Ok(())
    })
}
