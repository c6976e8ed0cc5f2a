//! The lookups that other tables say everything of, and deliveries that were owed.

use std::collections::{BTreeMap, BTreeSet};

use super::{DOUBLE, Scene};
use crate::custody::record::{current_key, leftover_key, live_key};
use crate::custody::{Side, Stage, Transfer, giving};
use crate::dossier::Custody;
use crate::id::{DossierId, StatementId, TransferId};
use crate::ledger::{self, Books, LedgerError};
use crate::message::Content;
use crate::name::NodeName;
use crate::office::{self, DecideError, Office, OutboxKind, Vault};
use crate::register::{custodian_key, issued_item_key, voided_key};
use crate::statement::{Body, Statement};
use crate::store::{Batch, Key, Put, Read, Table, scan_all};

/// Number of [`Content::Release`] in the key of its outbox entry.
fn release_number() -> u64 {
    let key = crate::id::DossierKey([0; 32]);
    Content::Release { seal: Vec::new(), key, profile: None, inclusion: None }.number()
}

/// What this node issued for a dossier that was elsewhere: by item, what it voided, where the dossier
/// is, and the delivery that no receipt has ended; and what lies there in vain.
pub(super) fn of_dossier(scene: &mut Scene<'_>) -> Result<(), DecideError> {
    let chained: BTreeSet<StatementId> = scene.chain.values().copied().collect();
    let mut batch = std::mem::take(&mut scene.batch);
    let away: Vec<&Statement> = scene.statements.values().filter(|s| is_away(scene, &chained, s)).collect();
    for statement in &away {
        let key = match &statement.body {
            Body::Attestation(a) => issued_item_key(scene.id, a.item),
            Body::Void(void) => voided_key(scene.id, void.target),
            _ => continue,
        };
        set_missing(scene.read, &mut batch, key, &statement.id.0)?;
    }
    if let Some(custodian) = custodian(scene, &away)? {
        set_missing(scene.read, &mut batch, custodian_key(scene.id), custodian.as_str().as_bytes())?;
        for statement in away.iter().filter(|s| !scene.receipts.contains_key(&s.id)) {
            deliver_again(scene, &custodian, statement, &mut batch)?;
        }
    }
    doubles(scene, &mut batch)?;
    for id in &chained {
        let key = office::held_key(scene.id, *id);
        if scene.read.get(key.table, &key.key)?.is_some() {
            batch.put.push(Put::Delete(key));
        }
    }
    scene.batch = batch;
    Ok(())
}

/// Whether it is an own statement that was sent to another custodian.
fn is_away(scene: &Scene<'_>, chained: &BTreeSet<StatementId>, statement: &Statement) -> bool {
    let kind = matches!(statement.body, Body::Attestation(_) | Body::Void(_) | Body::Correction(_));
    let receipt = scene.receipts.get(&statement.id);
    let elsewhere = receipt.is_some_and(|r| r.common.issuer != *scene.office.me);
    kind && statement.common.issuer == *scene.office.me && (elsewhere || !chained.contains(&statement.id))
}

/// The custodian last known: of the newest receipt, or the one whom a waiting delivery goes to.
fn custodian(scene: &Scene<'_>, away: &[&Statement]) -> Result<Option<NodeName>, DecideError> {
    if away.is_empty() {
        return Ok(None);
    }
    if let Some(Custody::Sealed { next, .. }) = scene.head.as_ref().map(|head| &head.custody) {
        return Ok(Some(next.clone()));
    }
    for member in scene.office.members.iter() {
        let name = &member.card.card.name;
        for statement in away {
            let key = office::outbox_key(name, OutboxKind::Delivery, &statement.id.0);
            if scene.read.get(key.table, &key.key)?.is_some() {
                return Ok(Some(name.clone()));
            }
        }
    }
    let receipts = scene.receipts.values().filter(|r| r.common.issuer != *scene.office.me);
    Ok(receipts.max_by_key(|r| r.common.issued_at).map(|r| r.common.issuer.clone()))
}

/// A delivery without a receipt that waits nowhere: it goes out again, and is taken once.
fn deliver_again(
    scene: &Scene<'_>,
    custodian: &NodeName,
    statement: &Statement,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    if custodian == scene.office.me {
        return Ok(());
    }
    for member in scene.office.members.iter() {
        let key = office::outbox_key(&member.card.card.name, OutboxKind::Delivery, &statement.id.0);
        if scene.read.get(key.table, &key.key)?.is_some() {
            return Ok(());
        }
    }
    let content = Content::Deliver { statement: statement.bytes().to_vec() };
    scene.office.post(batch, custodian, scene.id, 0, TransferId([0; 16]), content)?;
    Ok(())
}

/// Own seals of one epoch: the alarm stays.
fn doubles(scene: &Scene<'_>, batch: &mut Batch) -> Result<(), DecideError> {
    let mut by_epoch: BTreeMap<u64, Vec<&Statement>> = BTreeMap::new();
    for (statement, seal) in scene.seals() {
        if statement.common.issuer == *scene.office.me {
            by_epoch.entry(seal.epoch).or_default().push(statement);
        }
    }
    for statement in by_epoch.into_values().filter(|seals| seals.len() > 1).flatten() {
        if !scene.chain.values().any(|id| *id == statement.id) {
            let key = [DOUBLE, scene.id.as_bytes(), statement.id.as_bytes()].concat();
            set_missing(scene.read, batch, Key::new(Table::Index, key), statement.bytes())?;
        }
    }
    Ok(())
}

fn set_missing(read: &dyn Read, batch: &mut Batch, key: Key, value: &[u8]) -> Result<(), LedgerError> {
    if read.get(key.table, &key.key)?.is_none() {
        ledger::set(batch, key, value.to_vec());
    }
    Ok(())
}

/// The lookups of transfers, and releases that are owed and wait nowhere. Called after every dossier:
/// transfers made again from seals are in the store by then.
pub fn transfers(office: &Office<'_>, books: &dyn Books, vault: &dyn Vault) -> Result<Batch, DecideError> {
    let mut all = Vec::new();
    scan_all::<LedgerError>(books, Table::Transfer, b"", |_, bytes| {
        all.push(Transfer::decode(&bytes)?);
        Ok(())
    })?;
    let mut batch = Batch::default();
    let mut newest: BTreeMap<DossierId, &Transfer> = BTreeMap::new();
    for transfer in &all {
        let kept = newest.entry(transfer.dossier).or_insert(transfer);
        if (transfer.epoch, transfer.started, transfer.id.0) > (kept.epoch, kept.started, kept.id.0) {
            *kept = transfer;
        }
        let (live, ended) = (live_key(transfer.id), transfer.stage.ended());
        if ended {
            if books.get(live.table, &live.key)?.is_some() {
                batch.put.push(Put::Delete(live));
            }
            if leaves_something(books, transfer)? {
                set_missing(as_read(books), &mut batch, leftover_key(transfer), &[])?;
            }
        } else {
            set_missing(as_read(books), &mut batch, live, &[])?;
        }
        release(office, books, vault, transfer, &mut batch)?;
    }
    for (dossier, transfer) in newest {
        let key = current_key(dossier);
        let named = books.get(key.table, &key.key)?.and_then(|id| <[u8; 16]>::try_from(id).ok());
        if named.is_none_or(|id| !all.iter().any(|t| t.id.0 == id)) {
            ledger::set(&mut batch, key, transfer.id.0.to_vec());
        }
    }
    Ok(batch)
}

fn as_read(books: &dyn Books) -> &dyn Read {
    books
}

/// Whether an ended transfer left rows that must be destroyed in their time.
fn leaves_something(books: &dyn Books, transfer: &Transfer) -> Result<bool, DecideError> {
    if transfer.side == Side::Taking {
        return Ok(!books.scan(Table::Staged, transfer.id.as_bytes(), None, 1)?.is_empty());
    }
    let record = ledger::head_record(books, transfer.dossier).unwrap_or_default();
    let key = office::secrets_key(transfer.dossier);
    let secrets = books.get(key.table, &key.key)?.is_some();
    let gone =
        record.is_some_and(|r| matches!(&r.custody, Custody::Sealed { .. }) && (!r.destroyed || secrets));
    Ok(transfer.stage == Stage::Completed && gone)
}

fn release(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    transfer: &Transfer,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    if transfer.side != Side::Giving || transfer.stage != Stage::Sealed {
        return Ok(());
    }
    let key = office::custody_outbox_key(&transfer.peer, transfer.id, release_number());
    if books.get(key.table, &key.key)?.is_some() {
        return Ok(());
    }
    // Without the seal or the dossier's key there is nothing to release; the losses say so.
    let mut release = Batch::default();
    if giving::release_again(office, books, vault, transfer, &mut release).is_ok() {
        batch.merge(release);
    }
    Ok(())
}
