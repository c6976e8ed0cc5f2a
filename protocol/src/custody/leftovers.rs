//! What an ended transfer leaves behind and must not keep: the copy staged for a move that did not
//! happen, and, 90 days after one that did, everything the old custodian did not sign (DESIGN §6.5).
//!
//! Both work in small batches that may be repeated and cut anywhere; each expects that no newer
//! transfer of the dossier has begun, because that one installs its own copy in the same place.

use super::record::{current_key, leftovers as due};
use super::taking::EXTRA_FROM;
use super::{Side, Stage, Transfer};
use crate::dossier::Custody;
use crate::id::StatementId;
use crate::ledger;
use crate::log::rows::inclusion_key;
use crate::office::{self, DecideError, Office};
use crate::statement::{Body, Statement, id_of};
use crate::store::{Batch, Expect, Key, Put, Read, Table, scan_all};

/// Rows destroyed by one batch, and as many proofs; three puts each stay far below the limits of a batch.
pub const DESTROY_ROWS: usize = 1_000;
/// Transfers looked at in one round; the rest has its turn in the next.
const ROUND_TRANSFERS: usize = 64;

/// Ended transfers that have something left to destroy at `office.now`.
pub fn waiting(office: &Office<'_>, read: &(impl Read + ?Sized)) -> Result<Vec<Transfer>, DecideError> {
    Ok(due(read, office.now, ROUND_TRANSFERS)?)
}

/// The next piece of work on an ended transfer; empty when nothing is left.
pub fn destroy(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    transfer: &Transfer,
    rows: usize,
) -> Result<Batch, DecideError> {
    match (transfer.side, transfer.stage) {
        (Side::Taking, Stage::Completed | Stage::Cancelled) => erase_staged(office, read, transfer, rows),
        (Side::Giving, Stage::Completed) => destroy_rest(office, read, transfer, rows),
        _ => Ok(Batch::default()),
    }
}

/// Whether this is still the newest transfer of its dossier here; if so the batch expects it.
fn newest(read: &(impl Read + ?Sized), transfer: &Transfer, batch: &mut Batch) -> Result<bool, DecideError> {
    let key = current_key(transfer.dossier);
    let newest = read.get(key.table, &key.key)?.is_some_and(|id| id == transfer.id.0);
    if newest {
        batch.expect.push(Expect::Equals(key, transfer.id.0.to_vec()));
    }
    Ok(newest)
}

/// Erases the staged copy; of a move that was cancelled also the rows already installed from it.
fn erase_staged(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    transfer: &Transfer,
    rows: usize,
) -> Result<Batch, DecideError> {
    let mut batch = Batch::default();
    let staged = read.scan(Table::Staged, transfer.id.as_bytes(), None, rows)?;
    if staged.is_empty() {
        return Ok(batch);
    }
    let installed = transfer.stage == Stage::Cancelled && newest(read, transfer, &mut batch)?;
    let record = ledger::head_record(read, transfer.dossier)?;
    // A dossier that was here before keeps the part of the chain that its head record covers.
    let kept = record.map_or(0, |r| r.length);
    for (key, bytes) in staged {
        let sequence = key.last_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b));
        if installed && (kept..EXTRA_FROM).contains(&sequence) {
            uninstall(office, read, transfer, sequence, &bytes, &mut batch)?;
        }
        batch.put.push(Put::Delete(Key::new(Table::Staged, key)));
    }
    Ok(batch)
}

fn uninstall(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    transfer: &Transfer,
    sequence: u64,
    bytes: &[u8],
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let (chain, id) = (ledger::chain_key(transfer.dossier, sequence), id_of(bytes));
    if read.get(chain.table, &chain.key)?.is_none_or(|stored| stored != id.0) {
        return Ok(());
    }
    batch.put.push(Put::Delete(chain));
    // What this office issued itself lies in the same place and stays.
    if !Statement::parse(bytes).is_ok_and(|s| s.common.issuer == *office.me) {
        batch.put.push(Put::Delete(ledger::statement_key(transfer.dossier, id)));
    }
    Ok(())
}

/// Destroys the profile, the key and every statement of others; own statements, the line of seals
/// that proves where the dossier went, and the ids stay.
fn destroy_rest(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    transfer: &Transfer,
    rows: usize,
) -> Result<Batch, DecideError> {
    let mut batch = Batch::default();
    let dossier = transfer.dossier;
    let head = ledger::head_key(dossier);
    let Some(stored) = read.get(head.table, &head.key)? else { return Ok(batch) };
    let mut record = ledger::HeadRecord::decode(&stored)?;
    let gone = matches!(&record.custody, Custody::Sealed { seal, .. } if Some(*seal) == transfer.seal);
    if !gone || !newest(read, transfer, &mut batch)? {
        // It came back, or is on its way back: then it is a dossier held here, with its own duties.
        return Ok(Batch::default());
    }
    let mut doomed: Vec<Key> = Vec::new();
    scan_all::<DecideError>(read, Table::Statement, dossier.as_bytes(), |key, bytes| {
        if doomed.len() < rows {
            let statement = Statement::parse(&bytes).map_err(|e| DecideError::Rule(e.code()))?;
            let link = matches!(statement.body, Body::Seal(_) | Body::Takeover(_));
            let stays = link || statement.common.issuer == *office.me;
            doomed.extend((!stays).then(|| Key::new(Table::Statement, key)));
        }
        Ok(())
    })?;
    for (key, _) in read.scan(Table::Held, dossier.as_bytes(), None, rows)? {
        doomed.push(Key::new(Table::Held, key));
    }
    let stripped = crate::proof::rows::strip(read, dossier, rows, &mut batch)?;
    if record.destroyed && doomed.is_empty() && stripped == 0 {
        return Ok(Batch::default());
    }
    batch.expect.push(Expect::Equals(head.clone(), stored));
    record.destroyed = true;
    ledger::set(&mut batch, head, record.encode());
    batch.put.push(Put::Delete(office::secrets_key(dossier)));
    batch.put.push(Put::Delete(super::authorisation::authorisation_key(dossier)));
    for key in doomed {
        // What showed its place in its issuer's log goes with a statement.
        if let Some(id) = key.key.last_chunk::<32>().filter(|_| key.table == Table::Statement) {
            batch.put.push(Put::Delete(inclusion_key(id)));
        }
        batch.put.push(Put::Delete(key));
    }
    Ok(batch)
}

/// Whether this office voided its own statement of a dossier whose rest is destroyed.
pub fn voided_here(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    dossier: crate::id::DossierId,
    target: StatementId,
) -> Result<bool, DecideError> {
    let mut found = false;
    scan_all::<DecideError>(read, Table::Statement, dossier.as_bytes(), |_, bytes| {
        let own = Statement::parse(&bytes).ok().filter(|s| s.common.issuer == *office.me);
        found |= own.is_some_and(|s| matches!(s.body, Body::Void(v) if v.target == target));
        Ok(())
    })?;
    Ok(found)
}
