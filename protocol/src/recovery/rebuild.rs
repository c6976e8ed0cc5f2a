//! What a store that lost rows can make again by itself: places in chains, heads, lookups, transfers
//! and deliveries, all from the statements that are left.
//!
//! In goes one dossier, out come a batch and what could not be made. Nothing is believed that the
//! statements do not show: an id is the hash of its bytes, a signature is checked where the issuer is
//! known, and the order of a chain is checked against every head that somebody signed.

mod chain;
mod lookups;

use std::collections::{BTreeMap, BTreeSet};

use super::learn::DOUBLE;
use crate::custody::record::Loaded;
use crate::custody::taking::check_copied;
use crate::custody::{Side, Stage, Transfer};
use crate::dossier::{Custody, Dossier, empty_head, next_head};
use crate::id::{DossierId, StatementId};
use crate::ledger::{self, HeadRecord, LedgerError};
use crate::name::NodeName;
use crate::office::{DecideError, Office};
use crate::statement::{Authorisation, Body, Seal, Statement, id_of};
use crate::store::{Batch, Key, Put, Read, Table, scan_all};

pub use lookups::transfers;

/// First byte of the index of dossiers whose chain has holes.
const HOLES: &[u8] = b"h";

/// Key of the mark of a dossier with holes.
fn holes_key(dossier: DossierId) -> Key {
    Key::new(Table::Index, [HOLES, dossier.as_bytes()].concat())
}

/// What one dossier came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Places of the chain whose statement is not here, though it should be.
    pub holes: u64,
    /// The chain names other statements than its head was made of, and no order explains it.
    pub unordered: bool,
    /// The order was taken from the dates: no signed head was left to check it.
    pub by_date: bool,
    /// Statements removed because their signature is wrong.
    pub forged: u64,
    /// Statements whose issuer is not known here, so that only their hash was checked.
    pub unjudged: u64,
}

/// Everything of one dossier that lies in the store.
struct Scene<'a> {
    office: &'a Office<'a>,
    read: &'a dyn Read,
    id: DossierId,
    statements: BTreeMap<StatementId, Statement>,
    chain: BTreeMap<u64, StatementId>,
    head: Option<HeadRecord>,
    /// Receipts beside statements, by the statement.
    receipts: BTreeMap<StatementId, Statement>,
    batch: Batch,
    found: Found,
}

/// Makes again what is missing of one dossier. The puts may be written in pieces.
pub fn dossier(office: &Office<'_>, read: &dyn Read, id: DossierId) -> Result<(Batch, Found), DecideError> {
    let mut scene = Scene {
        office,
        read,
        id,
        statements: BTreeMap::new(),
        chain: BTreeMap::new(),
        head: ledger::head_record(read, id).unwrap_or_default(),
        receipts: BTreeMap::new(),
        batch: Batch::default(),
        found: Found::default(),
    };
    scene.load()?;
    scene.order()?;
    scene.set_head()?;
    scene.set_transfers()?;
    lookups::of_dossier(&mut scene)?;
    Ok((scene.batch, scene.found))
}

/// Every dossier of which anything lies in the store, in order, after `after`, at most `limit`.
pub fn dossiers(
    read: &dyn Read,
    after: Option<DossierId>,
    limit: usize,
) -> Result<Vec<DossierId>, LedgerError> {
    let mut ids = BTreeSet::new();
    for table in [Table::Head, Table::Statement, Table::Chain, Table::Beside, Table::Profile] {
        let mut last = after;
        for _ in 0..limit {
            // The greatest key of a dossier: its rows are passed over with one look.
            let from = last.map(|id| [&id.0[..], &[u8::MAX; 33]].concat());
            let rows = read.scan(table, &[], from.as_deref(), 1)?;
            let Some(id) = rows.first().and_then(|(key, _)| key.first_chunk::<16>().copied()) else { break };
            last = Some(DossierId(id));
            ids.insert(id);
        }
    }
    Ok(ids.into_iter().take(limit).map(DossierId).collect())
}

impl Scene<'_> {
    fn load(&mut self) -> Result<(), DecideError> {
        let mut rows = Vec::new();
        scan_all::<LedgerError>(self.read, Table::Statement, self.id.as_bytes(), |key, bytes| {
            rows.push((key, bytes));
            Ok(())
        })?;
        for (key, bytes) in rows {
            let right = key.get(16..) == Some(&id_of(&bytes).0[..]);
            match self.judge(&bytes).filter(|_| right) {
                Some(statement) => drop(self.statements.insert(statement.id, statement)),
                None => {
                    self.found.forged += 1;
                    self.batch.put.push(Put::Delete(Key::new(Table::Statement, key)));
                }
            }
        }
        let mut rows = Vec::new();
        scan_all::<LedgerError>(self.read, Table::Beside, self.id.as_bytes(), |key, bytes| {
            rows.push((key, bytes));
            Ok(())
        })?;
        for (key, bytes) in rows {
            let target = key.get(16..).and_then(|id| <[u8; 32]>::try_from(id).ok()).map(StatementId);
            let receipt = self.judge(&bytes);
            let fits = receipt.filter(|r| matches!(&r.body, Body::Receipt(b) if Some(b.target) == target));
            match (target, fits) {
                (Some(target), Some(receipt)) => drop(self.receipts.insert(target, receipt)),
                _ => {
                    self.found.forged += 1;
                    self.batch.put.push(Put::Delete(Key::new(Table::Beside, key)));
                }
            }
        }
        let id = self.id;
        let chain = &mut self.chain;
        scan_all::<LedgerError>(self.read, Table::Chain, id.as_bytes(), |key, value| {
            let place = key.get(16..).and_then(|place| <[u8; 8]>::try_from(place).ok());
            if let (Some(place), Ok(id)) = (place, <[u8; 32]>::try_from(value)) {
                chain.insert(u64::from_be_bytes(place), StatementId(id));
            }
            Ok(())
        })?;
        Ok(())
    }

    /// A statement of this dossier whose signature is not wrong, as far as its issuer is known.
    fn judge(&mut self, bytes: &[u8]) -> Option<Statement> {
        let statement = Statement::parse(bytes).ok().filter(|s| s.common.dossier == self.id)?;
        match check_copied(self.office.members, &statement, self.office.trial, self.office.now) {
            Ok(()) => Some(statement),
            // Of an office whose card was lost too, or signed with a key that its newest card left out.
            Err("issuer-unknown" | "statement-no-key") => {
                self.found.unjudged += 1;
                Some(statement)
            }
            Err(_) => None,
        }
    }

    fn live_taking(&self) -> Result<bool, DecideError> {
        let current = Loaded::current(self.read, self.id)?;
        Ok(current.is_some_and(|l| l.transfer.side == Side::Taking && !l.transfer.stage.ended()))
    }

    /// Seals of this dossier, in order of epoch.
    fn seals(&self) -> Vec<(&Statement, &Seal)> {
        let mut seals: Vec<_> = self
            .statements
            .values()
            .filter_map(|s| if let Body::Seal(seal) = &s.body { Some((s, seal)) } else { None })
            .collect();
        seals.sort_by_key(|(_, seal)| seal.epoch);
        seals
    }

    /// The head record, from the fold where every statement is here.
    fn set_head(&mut self) -> Result<(), DecideError> {
        let record = self.head.clone();
        let nothing = record.is_none() && (!self.was_held() || self.live_taking()?);
        if nothing || record.as_ref().is_some_and(|head| head.destroyed) {
            return Ok(());
        }
        let length = self.length()?;
        let here = |n| self.chain.get(&n).is_some_and(|id| self.statements.contains_key(id));
        let missing = (0..length).filter(|n| !here(*n)).count() as u64;
        let (dossier, folded) = self.fold(length);
        if missing == 0 && folded == length && !self.found.unordered {
            let sound = HeadRecord::of(&dossier, self.office.profile);
            if record.as_ref() != Some(&sound) {
                // Of use where the node runs: nobody appends between the reading and this.
                let key = ledger::head_key(self.id);
                let stored = self.read.get(key.table, &key.key)?;
                self.batch.expect_read(key.table, key.key, stored.as_deref());
                ledger::set(&mut self.batch, ledger::head_key(self.id), sound.encode());
            }
            self.head = Some(sound);
            return self.unmark();
        }
        if record.is_none() {
            let made = self.closed_head().unwrap_or_else(|| self.open_head(&dossier, length));
            ledger::set(&mut self.batch, ledger::head_key(self.id), made.encode());
            self.head = Some(made);
        }
        if self.head.as_ref().is_none_or(|head| !head.destroyed) {
            self.found.holes = missing;
            ledger::set(&mut self.batch, holes_key(self.id), missing.to_be_bytes().to_vec());
        }
        Ok(())
    }

    /// Whether this node was ever the custodian, as far as its own statements show.
    fn was_held(&self) -> bool {
        let custodian = |s: &&Statement| {
            matches!(s.body, Body::Consent(_) | Body::Received(_) | Body::Seal(_) | Body::Takeover(_))
        };
        let mut own = self.statements.values().filter(|s| s.common.issuer == *self.office.me);
        own.any(|s| custodian(&s))
    }

    /// Epoch in which this node received the dossier last; 0 where it began here.
    fn own_epoch(&self) -> u64 {
        let own = self.statements.values().filter(|s| s.common.issuer == *self.office.me);
        let begun = own.filter_map(|s| match &s.body {
            Body::Received(r) => Some(r.epoch),
            Body::Takeover(t) => Some(t.epoch.saturating_add(1)),
            _ => None,
        });
        begun.max().unwrap_or(0)
    }

    /// The record of a dossier that left and of which not everything is here: its last own seal says
    /// all that a restored node would be told.
    fn closed_head(&self) -> Option<HeadRecord> {
        let seals = self.seals();
        let (statement, seal) = seals.iter().rfind(|(s, _)| s.common.issuer == *self.office.me)?;
        (seal.epoch >= self.own_epoch()).then(|| HeadRecord::closed_by(statement.id, seal))
    }

    /// The record of a dossier held here with holes: sums as far as they can be seen. Nothing can be
    /// appended to it until it is whole.
    fn open_head(&self, dossier: &Dossier, length: u64) -> HeadRecord {
        let ids = (0..length).map(|n| self.chain.get(&n).copied().unwrap_or(StatementId([0; 32])));
        HeadRecord {
            epoch: self.own_epoch(),
            length,
            head: ids.fold(empty_head(self.id), next_head),
            custody: Custody::Open(self.office.me.clone()),
            closed: None,
            ..HeadRecord::of(dossier, self.office.profile)
        }
    }

    fn unmark(&mut self) -> Result<(), DecideError> {
        let key = holes_key(self.id);
        if self.read.get(key.table, &key.key)?.is_some() {
            self.batch.put.push(Put::Delete(key));
        }
        Ok(())
    }

    /// Folds the chain, leaving out what is missing or does not fit; gives how many did.
    fn fold(&self, length: u64) -> (Dossier, u64) {
        let mut dossier = Dossier::new(self.id);
        let mut folded = 0;
        for statement in (0..length).filter_map(|n| self.statements.get(self.chain.get(&n)?)) {
            folded += u64::from(dossier.apply(statement, self.office.profile).is_ok());
        }
        (dossier, folded)
    }

    /// A seal of this node whose transfer was lost: the release is owed until the other side says
    /// that it is done, which it says again.
    fn set_transfers(&mut self) -> Result<(), DecideError> {
        let mut lost = Vec::new();
        for (statement, seal) in self.seals() {
            if statement.common.issuer != *self.office.me
                || Loaded::by_id(self.read, seal.transfer)?.is_some()
            {
                continue;
            }
            let destroyed = self.head.as_ref().is_none_or(|head| head.destroyed);
            let Authorisation::CodeHash(code_hash) = seal.authorisation;
            lost.push(Transfer {
                epoch: seal.epoch,
                stage: if destroyed { Stage::Completed } else { Stage::Sealed },
                head: seal.head,
                count: seal.count,
                minutes: seal.minutes,
                expires: statement.common.issued_at,
                seal: Some(statement.id),
                code_hash,
                ..Transfer::new(
                    seal.transfer,
                    self.id,
                    Side::Giving,
                    seal.next.clone(),
                    statement.common.issued_at,
                )
            });
        }
        for transfer in lost {
            let key = crate::custody::record::transfer_key(transfer.id);
            ledger::set(&mut self.batch, key, transfer.encode());
        }
        Ok(())
    }
}

/// A dossier that lost statements, and how many of them are still missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holed {
    /// Dossier.
    pub dossier: DossierId,
    /// Statements that its chain names and that are not here; 0 when only their order is unknown.
    pub missing: u64,
}

/// The dossiers that a repair found with holes and that have not been filled since.
pub fn holed(read: &(impl Read + ?Sized)) -> Result<Vec<Holed>, LedgerError> {
    let mut marks = Vec::new();
    scan_all::<LedgerError>(read, Table::Index, HOLES, |key, _| {
        marks.extend(key.get(HOLES.len()..).and_then(|id| <[u8; 16]>::try_from(id).ok()));
        Ok(())
    })?;
    let mut out = Vec::new();
    for dossier in marks.into_iter().map(DossierId) {
        let mut missing = 0;
        let record = ledger::head_record(read, dossier)?;
        let Some(record) = record.filter(|record| !record.destroyed) else { continue };
        for place in 0..record.length {
            let key = ledger::chain_key(dossier, place);
            let id = read.get(key.table, &key.key)?.and_then(|id| <[u8; 32]>::try_from(id).ok());
            let here = match id {
                Some(id) => ledger::statement(read, dossier, StatementId(id))?.is_some(),
                None => false,
            };
            missing += u64::from(!here);
        }
        let ordered = missing == 0 && ledger::chain_head(read, dossier, record.length)? == Some(record.head);
        if !ordered {
            out.push(Holed { dossier, missing });
        }
    }
    Ok(out)
}

/// A statement that fills a hole: its bytes, when the chain of a dossier held here names it and it
/// is not here. It was in the chain before, so that nothing is appended.
pub fn fills(read: &(impl Read + ?Sized), statement: &Statement) -> Result<Option<Batch>, LedgerError> {
    let dossier = statement.common.dossier;
    let mark = holes_key(dossier);
    if read.get(mark.table, &mark.key)?.is_none() || ledger::statement(read, dossier, statement.id)?.is_some()
    {
        return Ok(None);
    }
    let mut named = false;
    scan_all::<LedgerError>(read, Table::Chain, dossier.as_bytes(), |_, id| {
        named |= id == statement.id.0;
        Ok(())
    })?;
    if !named {
        return Ok(None);
    }
    let mut batch = Batch::default();
    ledger::set(&mut batch, ledger::statement_key(dossier, statement.id), statement.bytes().to_vec());
    Ok(Some(batch))
}

/// Names of every node that a store speaks of: the peers that must be heard when their cards were
/// lost.
pub fn names(read: &dyn Read) -> Result<BTreeSet<NodeName>, LedgerError> {
    let mut names = BTreeSet::new();
    scan_all::<LedgerError>(read, Table::Transfer, b"", |_, bytes| {
        names.extend(Transfer::decode(&bytes).ok().map(|t| t.peer));
        Ok(())
    })?;
    scan_all::<LedgerError>(read, Table::Outbox, b"", |key, _| {
        let name = key.split(|byte| *byte == 0).next().and_then(|name| std::str::from_utf8(name).ok());
        names.extend(name.and_then(|name| NodeName::parse(name).ok()));
        Ok(())
    })?;
    for table in [Table::Statement, Table::Beside, Table::Held] {
        scan_all::<LedgerError>(read, table, b"", |_, bytes| {
            let Ok(statement) = Statement::parse(&bytes) else { return Ok(()) };
            if let Body::Seal(seal) = &statement.body {
                names.insert(seal.next.clone());
            }
            names.insert(statement.common.issuer);
            Ok(())
        })?;
    }
    Ok(names)
}
