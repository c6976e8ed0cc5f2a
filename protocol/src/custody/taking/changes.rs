//! Voids and corrections that an issuer tells after the copy was checked: it could not be asked then,
//! and its answer came in a courier file.

use super::{EXTRA_FROM, rows, staged};
use crate::custody::record::Loaded;
use crate::custody::{Side, Stage, Transfer};
use crate::dossier::Custody;
use crate::id::StatementId;
use crate::ledger;
use crate::name::NodeName;
use crate::office::{DecideError, Office};
use crate::statement::{Body, Statement};
use crate::store::{Batch, Expect, Read};

/// Statements read at a time to find one that can be shown.
const PAGE_ROWS: usize = 256;

/// The first service in the dossier that `issuer` recorded: shown to it, it answers which changes it
/// made. `None` when the dossier is no longer this office's to ask about.
pub fn shown(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    transfer: &Transfer,
    issuer: &NodeName,
) -> Result<Option<StatementId>, DecideError> {
    let found = |list: &[Vec<u8>]| {
        list.iter()
            .filter_map(|bytes| Statement::parse(bytes).ok())
            .find(|s| s.common.issuer == *issuer && matches!(s.body, Body::Attestation(_)))
    };
    if transfer.stage == Stage::Accepted {
        return Ok(found(&staged(read, transfer)?).map(|s| s.id));
    }
    if transfer.stage != Stage::Completed || !held(office, read, transfer)? {
        return Ok(None);
    }
    let mut at = 0;
    loop {
        let page = ledger::chain(read, transfer.dossier, at, PAGE_ROWS)?;
        if let Some(statement) = found(&page) {
            return Ok(Some(statement.id));
        }
        if page.len() < PAGE_ROWS {
            return Ok(None);
        }
        at += page.len() as u64;
    }
}

fn held(office: &Office<'_>, read: &(impl Read + ?Sized), t: &Transfer) -> Result<bool, DecideError> {
    let record = ledger::head_record(read, t.dossier)?;
    Ok(record.is_some_and(|r| r.custody == Custody::Open(office.me.clone()) && !r.destroyed))
}

/// Takes what `issuer` told: beside the staged copy before the release, into the chain after it. What
/// the chain has already, or no longer takes, changes nothing.
pub fn told(
    office: &Office<'_>,
    books: &dyn ledger::Books,
    mut loaded: Loaded,
    issuer: &NodeName,
    changes: &[Statement],
) -> Result<Batch, DecideError> {
    if let Some(code) = office.closed() {
        return Err(DecideError::Rule(code));
    }
    let before = loaded.transfer.clone();
    let t = &mut loaded.transfer;
    let asked = t.side == Side::Taking && t.unasked.contains(issuer);
    if !asked || !matches!(t.stage, Stage::Accepted | Stage::Completed) {
        return Ok(Batch::default());
    }
    t.unasked.retain(|name| name != issuer);
    let mut batch = Batch::default();
    if t.stage == Stage::Accepted {
        let taken = rows(books, t, EXTRA_FROM, u64::MAX)?.len() as u64;
        for (index, change) in changes.iter().enumerate() {
            let key = super::staged_key(t.id, EXTRA_FROM + taken + index as u64);
            batch.expect.push(Expect::Absent(key.clone()));
            ledger::set(&mut batch, key, change.bytes().to_vec());
        }
    } else if held(office, books, t)? {
        let mut appender = crate::custody::giving::open(office, books, t.dossier)?;
        let length = appender.dossier().length();
        for change in changes {
            // One that was delivered meanwhile, or whose service was voided, is no error.
            let _ = appender.append(change);
        }
        if appender.dossier().length() > length {
            let (appended, dossier) = appender.finish();
            batch.merge(appended);
            crate::proof::live::recheck(office, books, &dossier, &mut batch)?;
        }
    }
    loaded.save_changed(&before, &mut batch);
    Ok(batch)
}
