//! What a restored node makes of what its peers tell: own statements it forgot come back, a
//! dossier it had sealed is closed, and what was lost is at least counted.
//!
//! Everything told is signed, mostly by this node itself, so a peer can hide but not invent.

use super::fence::{self, Fence, fence_key};
use super::rejoin;
use crate::custody::record::{Loaded, forget_leftovers};
use crate::custody::taking::verify_copied;
use crate::custody::{PURGE_SECONDS, Side, Stage, Transfer, giving};
use crate::day::UnixTime;
use crate::dossier::Custody;
use crate::fresh::Fresh;
use crate::id::DossierId;
use crate::ledger::{self, Appender, Books, HeadRecord, LedgerError};
use crate::log::rows;
use crate::message::{Answer, Content, Message};
use crate::name::NodeName;
use crate::office::{DecideError, Decision, Office, Vault};
use crate::register::{custodian_key, voided_key};
use crate::statement::{Body, Seal, Statement};
use crate::store::{Batch, Expect, Key, Put, Read, Table, scan_all};

/// First byte of the index of what peers know of a dossier and this node may lack.
const SEEN: &[u8] = b"n";
/// First byte of the index of own seals that contradict one another.
pub(super) const DOUBLE: &[u8] = b"y";

/// Key of the longest chain of a dossier that others saw under this node: epoch and length.
fn seen_key(dossier: DossierId) -> Key {
    Key::new(Table::Index, [SEEN, dossier.as_bytes()].concat())
}

/// Takes one page. A page that was not asked for is taken too: it only ever closes.
pub fn take(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    message: &Message,
) -> Result<Decision, DecideError> {
    let Content::Known { after, items, next } = &message.content else {
        return Ok(Decision::refused("message-unexpected"));
    };
    let mut batch = Batch::default();
    let mut told = Vec::new();
    for bytes in items {
        // One that does not verify is no reason to lose the others; it says nothing.
        if let Ok(statement) = verify_copied(office.members, bytes, office.trial, office.now) {
            told.push(statement);
        }
    }
    // Of two seals of one dossier the later one must have the last word.
    told.sort_by_key(|s| if let Body::Seal(seal) = &s.body { seal.epoch } else { 0 });
    for statement in &told {
        if statement.common.issuer == *office.me {
            own(office, books, &message.from, statement, &mut batch)?;
        } else if matches!(statement.body, Body::Seal(_) | Body::Takeover(_)) {
            if let Body::Seal(seal) = &statement.body
                && statement.common.issuer == message.from
                && seal.next == *office.me
            {
                // Held here once and perhaps forgotten: the release comes again, its length is known.
                see(books, statement.common.dossier, seal.epoch + 1, seal.count + 2, &mut batch)?;
            }
            // Of the way before an own seal: kept, to be shown to who asks for the dossier.
            let key = ledger::statement_key(statement.common.dossier, statement.id);
            if books.get(key.table, &key.key)?.is_none() {
                ledger::set(&mut batch, key, statement.bytes().to_vec());
            }
        }
    }
    // What an earlier life was told closes dossiers, but a peer that told it may know more by now.
    let to_me = (message.epoch, message.transfer.0) == (office.life.generation, office.life.mark);
    let fenced = Fence::load(books)?;
    let (key, open) = if fenced.is_some() { (fence_key(), false) } else { (fence::asking_key(), true) };
    let asking = if open { Fence::load_asking(books)? } else { fenced };
    if let Some((mut fence, stored)) = asking.filter(|_| to_me) {
        let asked = fence.cursors.get(&message.from).map_or(&[][..], Vec::as_slice);
        if asked == after.as_slice() && !fence.heard.contains(&message.from) {
            batch.expect.push(Expect::Equals(key.clone(), stored));
            match next {
                Some(next) if next.len() <= fence::CURSOR_BYTES_MAX && next > after => {
                    fence.cursors.insert(message.from.clone(), next.clone());
                    fence.ask(office, &message.from, &mut batch)?;
                }
                Some(_) => return Ok(Decision::refused("known-cursor")),
                None => {
                    fence.cursors.remove(&message.from);
                    batch.put.push(Put::Delete(fence::question_key(&message.from)));
                    fence.heard.push(message.from.clone());
                }
            }
            ledger::set(&mut batch, key.clone(), fence.encode());
            if fence.missing(office.members, office.me).is_empty() {
                if open {
                    batch.put.push(Put::Delete(key));
                } else {
                    fence::open(office, books, vault, fresh, &fence, &mut batch)?;
                }
            }
        }
    }
    let wake = !batch.put.is_empty();
    Ok(Decision { batch, answer: Answer::Ok, wake })
}

/// Opens a fence whose witnesses have all said what they know, or that has nobody left to wait for (a node
/// without peers, or the last one removed); ends the asking that goes on behind an open one.
pub fn settle(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
) -> Result<Batch, DecideError> {
    let mut batch = Batch::default();
    let Some((fence, stored)) = Fence::load(books)? else {
        if let Some((asking, stored)) = Fence::load_asking(books)?
            && asking.missing(office.members, office.me).is_empty()
        {
            batch.expect.push(Expect::Equals(fence::asking_key(), stored));
            batch.put.push(Put::Delete(fence::asking_key()));
        }
        return Ok(batch);
    };
    let enough = || rejoin::standing(office, books, &fence).map(|s| s.is_some_and(|s| s.enough()));
    if fence.missing(office.members, office.me).is_empty() || enough()? {
        batch.expect.push(Expect::Equals(fence_key(), stored));
        fence::open(office, books, vault, fresh, &fence, &mut batch)?;
    }
    Ok(batch)
}

/// A statement this node signed and may have forgotten.
fn own(
    office: &Office<'_>,
    books: &dyn Books,
    from: &NodeName,
    statement: &Statement,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let id = statement.common.dossier;
    // It stood in the log that the witnesses gave back, and what it says is here again.
    let lost = rows::lost_key(&statement.id.0);
    if books.get(lost.table, &lost.key)?.is_some() {
        batch.put.push(Put::Delete(lost));
    }
    match &statement.body {
        Body::Seal(seal) => return close(office, books, statement, seal, batch),
        Body::Receipt(receipt) => {
            let Some((epoch, length, _)) = receipt.state else { return Ok(()) };
            return see(books, id, epoch, length, batch);
        }
        Body::Void(void) => {
            let key = voided_key(id, void.target);
            if books.get(key.table, &key.key)?.is_none() {
                ledger::set(batch, key, statement.id.0.to_vec());
            }
        }
        _ => {}
    }
    let key = ledger::statement_key(id, statement.id);
    if books.get(key.table, &key.key)?.is_none() {
        ledger::set(batch, key, statement.bytes().to_vec());
        if ledger::head_record(books, id)?.is_none() {
            ledger::set(batch, custodian_key(id), from.as_str().as_bytes().to_vec());
        }
    }
    Ok(())
}

/// A seal of this node: custody ended here, whatever the restored store says. Its own signature is
/// proof enough.
fn close(
    office: &Office<'_>,
    books: &dyn Books,
    statement: &Statement,
    seal: &Seal,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let id = statement.common.dossier;
    let record = ledger::head_record(books, id)?;
    let key = ledger::statement_key(id, statement.id);
    if books.get(key.table, &key.key)?.is_none() {
        ledger::set(batch, key, statement.bytes().to_vec());
    }
    if let Some(record) = &record {
        let sealed_as = match &record.custody {
            Custody::Sealed { seal, .. } => Some(*seal),
            _ => None,
        };
        if sealed_as == Some(statement.id) || record.epoch > seal.epoch {
            return Ok(());
        }
        if record.epoch == seal.epoch && sealed_as.is_some() {
            // Two different seals of one epoch: both are kept, an alarm for the operator.
            let double = Key::new(Table::Index, [DOUBLE, id.as_bytes(), statement.id.as_bytes()].concat());
            ledger::set(batch, double, statement.bytes().to_vec());
            return Ok(());
        }
    }
    let shut = rejoin::closed_key(id);
    if books.get(shut.table, &shut.key)?.is_some() {
        batch.put.push(Put::Delete(shut));
    }
    let whole = record.as_ref().is_some_and(|r| {
        !r.destroyed
            && r.closed.is_none()
            && (r.epoch, r.length, r.head) == (seal.epoch, seal.count, seal.head)
    });
    let mut appended = None;
    // A chain with holes takes no seal; it is closed all the same.
    let loaded = if whole { Appender::load(books, id, office.profile) } else { Ok(None) };
    match loaded {
        Ok(Some(mut appender)) => appended = appender.append(statement).is_ok().then_some(appender),
        Ok(None) | Err(LedgerError::NotWhole(_)) => {}
        Err(error) => return Err(error.into()),
    }
    if let Some(appender) = appended {
        batch.merge(appender.finish().0);
    } else {
        // The chain up to the seal is not here; what is here is an older piece of it.
        if let Some(record) = &record {
            batch.expect.push(Expect::Equals(ledger::head_key(id), record.encode()));
        }
        ledger::set(batch, ledger::head_key(id), HeadRecord::closed_by(statement.id, seal).encode());
    }
    // Its proofs were superseded with the seal, which this node forgot too.
    crate::proof::live::supersede(office, books, id, batch)?;
    ended(office, books, statement, seal, batch)
}

/// The transfer of a seal that was told: it ended, and what it leaves is destroyed in its time.
fn ended(
    office: &Office<'_>,
    books: &dyn Books,
    statement: &Statement,
    seal: &Seal,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let mut loaded = match Loaded::by_id(books, seal.transfer)? {
        Some(loaded) => {
            batch.merge(forget_leftovers(&loaded.transfer));
            loaded
        }
        None => {
            let common = &statement.common;
            let peer = seal.next.clone();
            Loaded::new(Transfer {
                epoch: seal.epoch,
                stage: Stage::Sealed,
                head: seal.head,
                count: seal.count,
                minutes: seal.minutes,
                expires: common.issued_at,
                ..Transfer::new(seal.transfer, common.dossier, Side::Giving, peer, common.issued_at)
            })
        }
    };
    giving::clear_outbox(&loaded.transfer, batch);
    loaded.transfer.stage = Stage::Completed;
    loaded.transfer.seal = Some(statement.id);
    loaded.transfer.reason = None;
    loaded.transfer.purge_at = Some(UnixTime(office.now.0 + PURGE_SECONDS));
    loaded.save(batch);
    Ok(())
}

/// Remembers that others saw `length` statements of a dossier here.
fn see(
    books: &dyn Books,
    dossier: DossierId,
    epoch: u64,
    length: u64,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let key = seen_key(dossier);
    let mark = [epoch.to_be_bytes(), length.to_be_bytes()].concat();
    let known = books.get(key.table, &key.key)?;
    // The same page may raise it twice; a later put replaces an earlier one only when it is more.
    let queued = batch.put.iter().rev().find(|p| *p.key() == key).and_then(|p| p.value().map(<[u8]>::to_vec));
    if queued.or(known).is_none_or(|old| old < mark) {
        ledger::set(batch, key, mark);
    }
    Ok(())
}

/// Whether a peer gave this node a dossier in a later epoch than the store knows: then the release
/// comes again, and nobody should be sent after an older move.
pub(crate) fn comes_back(read: &(impl Read + ?Sized), dossier: DossierId) -> Result<bool, LedgerError> {
    let key = seen_key(dossier);
    let Some(mark) = read.get(key.table, &key.key)? else { return Ok(false) };
    let epoch = mark.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b));
    Ok(ledger::head_record(read, dossier)?.is_none_or(|record| record.epoch < epoch))
}

/// What a restore cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Entries that others saw in dossiers held here and that have not come back.
    pub entries: u64,
    /// Dossiers given to this node that have not come back.
    pub dossiers: u64,
}

/// Counts what others saw here and is not here. It only ever shrinks while things come back.
pub fn losses(read: &(impl Read + ?Sized), me: &NodeName) -> Result<Losses, LedgerError> {
    let mut losses = Losses::default();
    let mut seen = Vec::new();
    scan_all::<LedgerError>(read, Table::Index, SEEN, |key, mark| {
        seen.push((key, mark));
        Ok(())
    })?;
    for (key, mark) in seen {
        let id = key.get(SEEN.len()..).and_then(|k| <[u8; 16]>::try_from(k).ok());
        let numbers = <[u8; 16]>::try_from(mark).ok();
        let (Some(id), Some(numbers)) = (id, numbers) else { continue };
        let (epoch, length) = numbers.split_at(8);
        let number = |b: &[u8]| <[u8; 8]>::try_from(b).map_or(0, u64::from_be_bytes);
        let (epoch, length) = (number(epoch), number(length));
        match ledger::head_record(read, DossierId(id))? {
            Some(record) if record.epoch > epoch || record.custody != Custody::Open(me.clone()) => {
                // Moved on: the next custodian holds whatever there was.
                losses.dossiers += u64::from(record.epoch < epoch);
            }
            Some(record) if record.epoch == epoch => {
                losses.entries += length.saturating_sub(record.length);
            }
            Some(_) | None => losses.dossiers += 1,
        }
    }
    Ok(losses)
}

/// Own seals that contradict one another, oldest key first.
pub fn double_seals(read: &(impl Read + ?Sized)) -> Result<Vec<Vec<u8>>, LedgerError> {
    let mut out = Vec::new();
    scan_all::<LedgerError>(read, Table::Index, DOUBLE, |_, bytes| {
        out.push(bytes);
        Ok(())
    })?;
    Ok(out)
}
