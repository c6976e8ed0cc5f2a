//! The clerk's decisions about a dossier held here: register, record, correct, void.
//!
//! Checks come before a statement is made, each with its own error (DESIGN §5). A record for a
//! dossier held elsewhere is signed here and put into the outbox for its custodian.

use crate::custody::giving;
use crate::day::UnixTime;
use crate::dossier::{Dossier, Hour};
use crate::fresh::Fresh;
use crate::id::{DossierId, DossierKey, ItemId, StatementId, TransferId};
use crate::ledger::{self, Appender, Books};
use crate::message::{Content, FUTURE_SECONDS_MAX};
use crate::minutes::Minutes;
use crate::name::NodeName;
use crate::office::{self, DecideError, Office, Secrets, Vault};
use crate::profile::Profile;
use crate::proof::live;
use crate::statement::{Attestation, Body, Consent, Correction, Statement, VoidStatement, When};
use crate::store::{Batch, Key, Read, Table};

/// A statement made, with the batch that makes it durable.
#[derive(Debug)]
pub struct Made {
    /// To be durable first.
    pub batch: Batch,
    /// The statement.
    pub statement: Statement,
    /// What a clerk should see; nothing here stops the record.
    pub flags: Vec<&'static str>,
    /// Something stands in the outbox.
    pub wake: bool,
    /// The dossier after it, when it is held here; for the caller's cache.
    pub dossier: Option<Dossier>,
}

/// Starts a dossier: a fresh key, and the consent that begins its chain.
pub fn open_dossier(
    office: &Office<'_>,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    consent: Consent,
    profile_data: Option<Vec<u8>>,
) -> Result<(DossierId, Appender<'static>, Batch), DecideError> {
    if let Some(code) = office.closed() {
        return Err(DecideError::Rule(code));
    }
    let key = DossierKey(fresh.bytes32());
    let id = key.dossier_id();
    let statement = office.state(fresh, id, &Body::Consent(consent))?;
    let mut appender = Appender::create(id, &crate::profile::YUNNAN);
    appender.append(&statement)?;
    let mut batch = Batch::default();
    let secrets = Secrets { key, profile: profile_data };
    ledger::set(&mut batch, office::secrets_key(id), vault.close(id, &secrets, fresh.bytes32()));
    Ok((id, appender, batch))
}

/// Checks an attestation before it is signed; returns flags.
pub fn check(
    attestation: &Attestation,
    dossier: Option<&Dossier>,
    profile: &Profile,
    now: UnixTime,
) -> Result<Vec<&'static str>, DecideError> {
    let rule = |code| Err(DecideError::Rule(code));
    if attestation.minutes.0 == 0 {
        return rule("minutes-zero");
    }
    if attestation.recorder.name.trim().is_empty() {
        return rule("recorder-missing");
    }
    if attestation.activity.name.trim().is_empty()
        || attestation.content.trim().is_empty()
        || attestation.place.text.trim().is_empty()
    {
        // an hour without these can never become effective.
        return rule("field-missing");
    }
    match attestation.when {
        When::Clock { start, end } => {
            if start >= end {
                return rule("end-before-start");
            }
            if end > UnixTime(now.0 + FUTURE_SECONDS_MAX) {
                return rule("in-future");
            }
            // Both come from a peer: they may be as far apart as numbers go.
            if attestation.minutes.0 > end.0.saturating_sub(start.0) as u64 / 60 {
                return rule("minutes-over-span");
            }
            if start.day() != attestation.when.last_day() && !profile.may_cross_midnight {
                return rule("crosses-midnight");
            }
        }
        When::Day(_) | When::Period { .. } => {
            if attestation.when.last_day() > now.day() {
                return rule("in-future");
            }
            let days =
                i64::from(attestation.when.last_day().0) - i64::from(attestation.when.first_day().0) + 1;
            if attestation.minutes.0 > profile.day_max.0 * days as u64 {
                return rule("over-day");
            }
        }
    }
    let mut flags = Vec::new();
    let day = attestation.when.first_day();
    let same_day = |h: &&Hour| h.void.is_none() && !h.repeat && h.when.first_day() == day;
    let others: Vec<&Hour> =
        dossier.map(|d| d.hours().values().map(Box::as_ref).filter(same_day).collect()).unwrap_or_default();
    let sum = others.iter().map(|h| h.minutes.0).sum::<u64>() + attestation.minutes.0;
    if overlaps(attestation.when, &others) {
        flags.push("overlap");
    } else if sum > profile.day_max.0 && attestation.when.last_day() == day {
        return rule("over-day");
    }
    if sum > profile.day_flag.0 {
        flags.push("day-over-flag");
    }
    Ok(flags)
}

fn overlaps(when: When, others: &[&Hour]) -> bool {
    let When::Clock { start, end } = when else { return false };
    others.iter().any(|h| match h.when {
        When::Clock { start: s, end: e } => start < e && s < end,
        _ => false,
    })
}

/// Records one service. For a dossier held elsewhere `custodian` says by whom.
pub fn record(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    dossier: DossierId,
    custodian: &NodeName,
    attestation: Attestation,
) -> Result<Made, DecideError> {
    // Also for a dossier held elsewhere: where it is may be among what was forgotten.
    if let Some(code) = office.closed() {
        return Err(DecideError::Rule(code));
    }
    if custodian != office.me {
        return record_away(office, books, fresh, dossier, custodian, attestation);
    }
    let mut appender = giving::open(office, books, dossier)?;
    let flags = check(&attestation, Some(appender.dossier()), office.profile, office.now)?;
    if appender.dossier().has_item(office.me, attestation.item).is_some() {
        return Err(DecideError::Rule("record-duplicate"));
    }
    let statement = office.state(fresh, dossier, &Body::Attestation(Box::new(attestation)))?;
    appender.append(&statement)?;
    let (mut batch, dossier) = appender.finish();
    // An overlap counts once: one hour more can make the sum smaller.
    live::recheck(office, books, &dossier, &mut batch)?;
    Ok(Made { batch, statement, flags, wake: false, dossier: Some(dossier) })
}

/// Key of what this node issued for a dossier held elsewhere, by item.
pub(crate) fn issued_item_key(dossier: DossierId, item: ItemId) -> Key {
    Key::new(Table::Index, [&b"i"[..], dossier.as_bytes(), item.as_bytes()].concat())
}

fn record_away(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    dossier: DossierId,
    custodian: &NodeName,
    attestation: Attestation,
) -> Result<Made, DecideError> {
    let flags = check(&attestation, None, office.profile, office.now)?;
    let key = issued_item_key(dossier, attestation.item);
    if books.get(key.table, &key.key)?.is_some() {
        return Err(DecideError::Rule("record-duplicate"));
    }
    let statement = office.state(fresh, dossier, &Body::Attestation(Box::new(attestation)))?;
    let mut batch = Batch::default();
    batch.expect.push(crate::store::Expect::Absent(key.clone()));
    ledger::set(&mut batch, key, statement.id.0.to_vec());
    if custodian_of(books, dossier)?.is_none() {
        // Until an answer says more, so that it can be voided before one has come.
        ledger::set(&mut batch, custodian_key(dossier), custodian.as_str().as_bytes().to_vec());
    }
    send(office, &mut batch, custodian, &statement)?;
    Ok(Made { batch, statement, flags, wake: true, dossier: None })
}

/// Stores an own statement about a dossier held elsewhere and posts it to the custodian.
fn send(
    office: &Office<'_>,
    batch: &mut Batch,
    custodian: &NodeName,
    statement: &Statement,
) -> Result<(), DecideError> {
    let dossier = statement.common.dossier;
    ledger::set(batch, ledger::statement_key(dossier, statement.id), statement.bytes().to_vec());
    let content = Content::Deliver { statement: statement.bytes().to_vec() };
    office.post(batch, custodian, dossier, 0, TransferId([0; 16]), content)?;
    Ok(())
}

/// Withdraws an attestation of this node, wherever its dossier is now.
pub fn void(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    dossier: DossierId,
    change: VoidStatement,
) -> Result<Made, DecideError> {
    let target = change.target;
    self::change(office, books, fresh, dossier, target, &Body::Void(change))
}

/// Corrects an attestation of this node, wherever its dossier is now.
pub fn correct(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    dossier: DossierId,
    change: Correction,
) -> Result<Made, DecideError> {
    let nothing = change.when.is_none()
        && change.minutes.is_none()
        && change.grade.is_none()
        && change.content.is_none()
        && change.place.is_none();
    if nothing {
        return Err(DecideError::Rule("correction-empty"));
    }
    if change.minutes == Some(Minutes(0)) {
        return Err(DecideError::Rule("minutes-zero"));
    }
    let target = change.target;
    let original = original(books, dossier, target, office)?;
    let mut corrected = original.clone();
    corrected.when = change.when.unwrap_or(original.when);
    corrected.minutes = change.minutes.unwrap_or(original.minutes);
    check(&corrected, None, office.profile, office.now)?;
    self::change(office, books, fresh, dossier, target, &Body::Correction(change))
}

fn original(
    books: &dyn Books,
    dossier: DossierId,
    target: StatementId,
    office: &Office<'_>,
) -> Result<Attestation, DecideError> {
    let bytes = ledger::statement(books, dossier, target)?.ok_or(DecideError::Rule("target-unknown"))?;
    let statement = Statement::parse(&bytes).map_err(|e| DecideError::Rule(e.code()))?;
    if statement.common.issuer != *office.me {
        return Err(DecideError::Rule("not-issuer"));
    }
    match statement.body {
        Body::Attestation(a) => Ok(*a),
        _ => Err(DecideError::Rule("target-unknown")),
    }
}

fn change(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    dossier: DossierId,
    target: StatementId,
    body: &Body,
) -> Result<Made, DecideError> {
    if let Some(code) = office.closed() {
        return Err(DecideError::Rule(code));
    }
    original(books, dossier, target, office)?;
    match giving::open(office, books, dossier) {
        Ok(mut appender) => {
            let statement = office.state(fresh, dossier, body)?;
            appender.append(&statement)?;
            let (mut batch, dossier) = appender.finish();
            live::recheck(office, books, &dossier, &mut batch)?;
            Ok(Made { batch, statement, flags: vec![], wake: false, dossier: Some(dossier) })
        }
        Err(DecideError::Rule("dossier-moved" | "dossier-unknown")) => {
            let already = voided_key(dossier, target);
            let mut batch = Batch::default();
            if matches!(body, Body::Void(_)) {
                if books.get(already.table, &already.key)?.is_some() {
                    return Err(DecideError::Rule("already-void"));
                }
                batch.expect.push(crate::store::Expect::Absent(already.clone()));
            } else if books.get(already.table, &already.key)?.is_some() {
                return Err(DecideError::Rule("already-void"));
            }
            let record = ledger::head_record(books, dossier)?;
            if record.is_some_and(|r| r.destroyed)
                && crate::custody::leftovers::voided_here(office, books, dossier, target)?
            {
                // Voided while it was held here: the fold that knew it is destroyed.
                return Err(DecideError::Rule("already-void"));
            }
            let custodian = whereabouts(books, dossier, target)?;
            let statement = office.state(fresh, dossier, body)?;
            if matches!(body, Body::Void(_)) {
                ledger::set(&mut batch, already, statement.id.0.to_vec());
            }
            send(office, &mut batch, &custodian, &statement)?;
            Ok(Made { batch, statement, flags: vec![], wake: true, dossier: None })
        }
        Err(error) => Err(error),
    }
}

/// Where this node last knew a dossier to be: the next custodian of its own seal, else the node
/// that took the attestation.
fn whereabouts(books: &dyn Books, dossier: DossierId, target: StatementId) -> Result<NodeName, DecideError> {
    let custody = ledger::head_record(books, dossier)?.map(|record| record.custody);
    if let Some(crate::dossier::Custody::Sealed { next, .. }) = custody {
        return Ok(next);
    }
    custodian_of(books, dossier)?
        .or(receipt_signer(books, dossier, target)?)
        .ok_or(DecideError::Rule("custodian-unknown"))
}

/// Key that marks an attestation of a dossier held elsewhere as voided by this node.
pub(crate) fn voided_key(dossier: DossierId, target: StatementId) -> Key {
    Key::new(Table::Index, [&b"v"[..], dossier.as_bytes(), target.as_bytes()].concat())
}

/// Key of the custodian last known of a dossier held elsewhere.
pub fn custodian_key(dossier: DossierId) -> Key {
    Key::new(Table::Index, [&b"c"[..], dossier.as_bytes()].concat())
}

/// Custodian last known of a dossier held elsewhere.
pub fn custodian_of(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
) -> Result<Option<NodeName>, DecideError> {
    let key = custodian_key(dossier);
    let Some(bytes) = read.get(key.table, &key.key)? else { return Ok(None) };
    Ok(std::str::from_utf8(&bytes).ok().and_then(|t| NodeName::parse(t).ok()))
}

fn receipt_signer(
    books: &dyn Books,
    dossier: DossierId,
    target: StatementId,
) -> Result<Option<NodeName>, DecideError> {
    let key = ledger::beside_key(dossier, target);
    let Some(bytes) = books.get(key.table, &key.key)? else { return Ok(None) };
    Ok(Statement::parse(&bytes).ok().map(|s| s.common.issuer))
}
