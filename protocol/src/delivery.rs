//! Deliveries of statements served away (DESIGN §6): the custodian judges and answers with a
//! signed receipt; the issuer keeps it beside its statement and ends the delivery, or follows
//! the dossier to its new custodian.
//!
//! Exactly once by statement id: a repeat gets the receipt of the first time.

use crate::dossier::{Custody, Dossier};
use crate::fresh::Fresh;
use crate::id::{DossierId, StatementId, TransferId};
use crate::ledger::{self, Appender, Books, LedgerError};
use crate::log::rows;
use crate::message::{Answer, Content, FUTURE_SECONDS_MAX, Message};
use crate::minutes::Minutes;
use crate::mutants::{self, Mutant};
use crate::name::NodeName;
use crate::office::{self, DecideError, Decision, Office, OutboxKind};
use crate::policy::{Already, Verdict};
use crate::proof::live;
use crate::recovery::{learn, rebuild};
use crate::register::custodian_key;
use crate::statement::{Attestation, Body, Correction, Outcome, Receipt, Statement, id_of};
use crate::store::{Batch, Expect, Put, Read};

/// Deliveries held per dossier; above it they are answered busy, so that a flood fills nothing.
pub const HELD_MAX: usize = 256;

/// Answers a delivered statement.
pub fn receive(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    message: &Message,
    bytes: &[u8],
) -> Result<Decision, DecideError> {
    if office.closed().is_some() {
        return Ok(Decision::answer(Answer::Busy));
    }
    let statement = match office.members.verify(bytes, office.now, office.trial) {
        Ok(statement) => statement,
        Err(error) => return Ok(Decision::refused(error.code())),
    };
    if statement.common.dossier != message.dossier {
        return Ok(Decision::refused("dossier-other"));
    }
    let id = message.dossier;
    match ledger::head_record(books, id)?.map(|r| r.custody) {
        Some(Custody::Open(node)) if node == *office.me => {
            if let Some(batch) = rebuild::fills(books, &statement)? {
                return refilled(office, books, &statement, batch);
            }
        }
        // It left here, but a peer has given it back since the backup: it is on its way.
        Some(Custody::Sealed { .. }) if learn::comes_back(books, id)? => {
            return Ok(Decision::answer(Answer::Busy));
        }
        Some(Custody::Sealed { next, .. }) => return moved(office, books, &statement, message, &next),
        None if learn::comes_back(books, id)? => return Ok(Decision::answer(Answer::Busy)),
        _ => return Ok(Decision::refused("dossier-unknown")),
    }
    let dossier = books.dossier(id, office.profile)?.ok_or(DecideError::Rule("dossier-unknown"))?;
    if dossier.sequence_of(statement.id).is_some() && !mutants::is(Mutant::ForgottenDedup) {
        return repeat(office, books, fresh, &dossier, &statement);
    }
    if !matches!(
        statement.body,
        Body::Attestation(_) | Body::Correction(_) | Body::Void(_) | Body::Training(_) | Body::Award(_)
    ) {
        return receipt(
            office,
            fresh,
            Batch::default(),
            &dossier,
            &statement,
            Outcome::Refused,
            Some("kind"),
        );
    }
    let appender = match crate::custody::giving::open(office, books, id) {
        Ok(appender) => appender,
        Err(DecideError::Rule("transfer-in-progress")) => return Ok(Decision::answer(Answer::Busy)),
        Err(error) => return Err(error),
    };
    let key = office::held_key(id, statement.id);
    if books.get(key.table, &key.key)?.is_some_and(|stored| stored.is_empty()) {
        // A person refused it while it was held; that stands, whatever policy says by now.
        let refused = Outcome::Refused;
        return receipt(office, fresh, Batch::default(), &dossier, &statement, refused, Some("held-refused"));
    }
    let verdict = match &statement.body {
        _ if statement.common.issued_at.0 > office.now.0 + FUTURE_SECONDS_MAX => Verdict::Hold("clock"),
        Body::Attestation(a) => judge(office, &dossier, &statement, a, None),
        Body::Correction(c) => judge_correction(office, books, &dossier, &statement, c)?,
        _ => Verdict::Accept,
    };
    match verdict {
        Verdict::Accept => accept(office, books, fresh, appender, &statement),
        Verdict::Hold(reason) => hold(office, books, fresh, &dossier, &statement, reason),
        Verdict::Refuse(reason) => {
            receipt(office, fresh, Batch::default(), &dossier, &statement, Outcome::Refused, Some(reason))
        }
    }
}

/// A correction that states more than before is judged as the attestation it makes: else any cap
/// could be passed by a small attestation and a large correction.
fn judge_correction(
    office: &Office<'_>,
    books: &dyn Books,
    dossier: &Dossier,
    statement: &Statement,
    c: &Correction,
) -> Result<Verdict, DecideError> {
    let original = dossier.hours().get(&c.target);
    let Some(hour) = original.filter(|h| h.issuer == statement.common.issuer && h.void.is_none()) else {
        // Whose it is and whether it stands is the chain's to say.
        return Ok(Verdict::Accept);
    };
    let when = c.when.unwrap_or(hour.when);
    let minutes = c.minutes.unwrap_or(hour.minutes);
    let grade = c.grade.unwrap_or(hour.grade);
    if when == hour.when && minutes <= hour.minutes && grade >= hour.grade {
        return Ok(Verdict::Accept);
    }
    let bytes =
        ledger::statement(books, dossier.id(), c.target)?.ok_or(DecideError::Rule("target-unknown"))?;
    let made = Statement::parse(&bytes).map_err(|e| DecideError::Rule(e.code()))?;
    let Body::Attestation(made) = made.body else { return Err(DecideError::Rule("target-unknown")) };
    let corrected = Attestation { when, minutes, grade, ..*made };
    Ok(judge(office, dossier, statement, &corrected, Some(c.target)))
}

/// Judges an attestation by the rules and by policy; `instead_of` is not counted into the caps.
fn judge(
    office: &Office<'_>,
    dossier: &Dossier,
    statement: &Statement,
    a: &Attestation,
    instead_of: Option<StatementId>,
) -> Verdict {
    if let Err(error) = crate::register::check(a, None, office.profile, office.now) {
        // A fact no rule allows (in the future, zero minutes) is no service; a clock that differs
        // a little is held by its own word.
        return match error.code() {
            "in-future" => Verdict::Hold("clock"),
            "minutes-zero" => Verdict::Refuse("minutes-zero"),
            "end-before-start" => Verdict::Refuse("end-before-start"),
            "minutes-over-span" => Verdict::Refuse("minutes-over-span"),
            _ => Verdict::Hold("rule"),
        };
    }
    let day = a.when.first_day();
    let mut already = Already::default();
    for (id, hour) in dossier.hours() {
        let other = hour.issuer != statement.common.issuer || instead_of == Some(*id);
        if other || hour.void.is_some() || hour.repeat {
            continue;
        }
        let first = hour.when.first_day();
        if first == day {
            already.day = Minutes(already.day.0 + hour.minutes.0);
        }
        if first.month() == day.month() {
            already.month = Minutes(already.month.0 + hour.minutes.0);
        }
    }
    office.policy(&statement.common.issuer).judge(a, already)
}

fn accept(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    mut appender: Appender<'_>,
    statement: &Statement,
) -> Result<Decision, DecideError> {
    if let Err(error) = appender.append(statement) {
        let (_, dossier) = appender.finish();
        let outcome = match error.code() {
            // A void that overtook its attestation waits for it.
            "target-unknown" => Outcome::Held,
            _ => Outcome::Refused,
        };
        return receipt(office, fresh, Batch::default(), &dossier, statement, outcome, Some(error.code()));
    }
    let (mut batch, dossier) = appender.finish();
    live::recheck(office, books, &dossier, &mut batch)?;
    batch.put.push(Put::Delete(office::held_key(dossier.id(), statement.id)));
    receipt(office, fresh, batch, &dossier, statement, Outcome::Accepted, None)
}

fn hold(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    dossier: &Dossier,
    statement: &Statement,
    reason: &'static str,
) -> Result<Decision, DecideError> {
    let key = office::held_key(dossier.id(), statement.id);
    if books.get(key.table, &key.key)?.is_some() {
        return receipt(office, fresh, Batch::default(), dossier, statement, Outcome::Held, Some(reason));
    }
    if books.scan(key.table, dossier.id().as_bytes(), None, HELD_MAX)?.len() >= HELD_MAX {
        return Ok(Decision::answer(Answer::Busy));
    }
    let mut batch = Batch::default();
    ledger::set(&mut batch, key, statement.bytes().to_vec());
    receipt(office, fresh, batch, dossier, statement, Outcome::Held, Some(reason))
}

/// A person takes or refuses a held delivery; the issuer learns it when it asks again.
pub fn decide_held(
    office: &Office<'_>,
    books: &dyn Books,
    dossier: DossierId,
    id: StatementId,
    take: bool,
) -> Result<Batch, DecideError> {
    if let Some(code) = office.closed() {
        return Err(DecideError::Rule(code));
    }
    let key = office::held_key(dossier, id);
    let stored = books.get(key.table, &key.key)?.filter(|b| !b.is_empty());
    let bytes = stored.ok_or(DecideError::Rule("held-unknown"))?;
    if !take {
        let mut batch = Batch::default();
        batch.expect.push(Expect::Equals(key.clone(), bytes));
        ledger::set(&mut batch, key, Vec::new());
        return Ok(batch);
    }
    let statement =
        office.members.verify(&bytes, office.now, office.trial).map_err(|e| DecideError::Rule(e.code()))?;
    let mut appender = crate::custody::giving::open(office, books, dossier)?;
    appender.append(&statement)?;
    let (mut batch, dossier) = appender.finish();
    live::recheck(office, books, &dossier, &mut batch)?;
    // Another clerk may refuse it at the same time.
    batch.expect.push(Expect::Equals(key.clone(), bytes));
    batch.put.push(Put::Delete(key));
    Ok(batch)
}

/// Signs the receipt; an accepted one is kept beside the statement in the same batch.
fn receipt(
    office: &Office<'_>,
    fresh: &mut Fresh,
    mut batch: Batch,
    dossier: &Dossier,
    statement: &Statement,
    outcome: Outcome,
    reason: Option<&str>,
) -> Result<Decision, DecideError> {
    let body = Body::Receipt(Receipt {
        target: statement.id,
        outcome,
        reason: reason.map(str::to_owned),
        sequence: dossier.sequence_of(statement.id),
        state: Some((dossier.epoch(), dossier.length(), dossier.head())),
    });
    let signed = office.state(fresh, dossier.id(), &body)?;
    if outcome == Outcome::Accepted {
        let key = ledger::beside_key(dossier.id(), statement.id);
        ledger::set(&mut batch, key, signed.bytes().to_vec());
    }
    Ok(Decision { batch, answer: Answer::Receipt(signed.bytes().to_vec()), wake: false })
}

/// A delivery that was taken once and fills a hole of the chain again: the receipt of the first time
/// where it is left, else the sender asks again and gets one when the chain is whole.
fn refilled(
    office: &Office<'_>,
    books: &dyn Books,
    statement: &Statement,
    batch: Batch,
) -> Result<Decision, DecideError> {
    let key = ledger::beside_key(statement.common.dossier, statement.id);
    let stored = books.get(key.table, &key.key)?;
    let own = |bytes: &Vec<u8>| Statement::parse(bytes).is_ok_and(|r| r.common.issuer == *office.me);
    let answer = stored.filter(own).map_or(Answer::Busy, Answer::Receipt);
    Ok(Decision { batch, answer, wake: false })
}

/// The receipt of the first time, or a fresh one for a statement that came another way.
fn repeat(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    dossier: &Dossier,
    statement: &Statement,
) -> Result<Decision, DecideError> {
    let key = ledger::beside_key(dossier.id(), statement.id);
    let stored = books.get(key.table, &key.key)?;
    // An issuer that became custodian keeps the receipt that its predecessor gave it there.
    let own = |bytes: &Vec<u8>| Statement::parse(bytes).is_ok_and(|r| r.common.issuer == *office.me);
    match stored.filter(own) {
        Some(bytes) => Ok(Decision::answer(Answer::Receipt(bytes))),
        None => receipt(office, fresh, Batch::default(), dossier, statement, Outcome::Accepted, None),
    }
}

/// Where the dossier went, with the seals that prove it; told only to a node that shows a
/// statement of its own for that dossier.
fn moved(
    office: &Office<'_>,
    books: &dyn Books,
    statement: &Statement,
    message: &Message,
    next: &NodeName,
) -> Result<Decision, DecideError> {
    if statement.common.issuer != message.from {
        return Ok(Decision::refused("dossier-unknown"));
    }
    let id = statement.common.dossier;
    let seals = match books.dossier(id, office.profile) {
        Ok(Some(dossier)) => {
            let mut seals = Vec::new();
            for seal in dossier.seals() {
                seals.extend(ledger::statement(books, id, *seal)?);
            }
            seals
        }
        Ok(None) => vec![],
        Err(LedgerError::Destroyed(_)) => ledger::seals_kept(books, id)?,
        Err(error) => return Err(error.into()),
    };
    if unwitnessed(books, &seals)? {
        // Custody has not passed before the quorum has seen the seal, and nobody may rely on it.
        return Ok(Decision::answer(Answer::Busy));
    }
    Ok(Decision::answer(Answer::Moved { to: next.clone(), seals }))
}

/// Whether the newest of these seals waits for its witnesses.
fn unwitnessed(books: &dyn Books, seals: &[Vec<u8>]) -> Result<bool, DecideError> {
    let Some(seal) = seals.last() else { return Ok(false) };
    let key = rows::wanted_key(&id_of(seal).0);
    Ok(books.get(key.table, &key.key)?.is_some())
}

/// What a delivery's sender does with the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The delivery ended; the batch takes it out of the outbox.
    Ended(Batch),
    /// It goes to another node now; the batch moves it.
    Redirected(Batch, NodeName),
    /// Try again later; the code says why.
    Later(String),
}

/// Reads the answer to a delivery to `to`.
pub fn answered(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    to: &NodeName,
    statement: &Statement,
    answer: &Answer,
) -> Result<Next, DecideError> {
    let key = office::outbox_key(to, OutboxKind::Delivery, &statement.id.0);
    let dossier = statement.common.dossier;
    match answer {
        Answer::Receipt(bytes) => {
            let receipt = match office.members.verify(bytes, office.now, office.trial) {
                Ok(receipt) => receipt,
                Err(error) => return Ok(Next::Later(error.code().to_owned())),
            };
            let Body::Receipt(body) = &receipt.body else {
                return Ok(Next::Later("receipt-expected".into()));
            };
            if body.target != statement.id
                || receipt.common.issuer != *to
                || receipt.common.dossier != dossier
            {
                return Ok(Next::Later("receipt-other".into()));
            }
            let given_up = body.outcome == Outcome::Held && changes_nothing(read, statement)?;
            if body.outcome == Outcome::Held && !given_up {
                return Ok(Next::Later(format!("held: {}", body.reason.clone().unwrap_or_default())));
            }
            let mut batch = Batch::default();
            batch.put.push(Put::Delete(key));
            ledger::set(&mut batch, ledger::beside_key(dossier, statement.id), bytes.clone());
            ledger::set(&mut batch, custodian_key(dossier), to.as_str().as_bytes().to_vec());
            Ok(Next::Ended(batch))
        }
        Answer::Moved { to: next, seals } => {
            if !proves(office, dossier, to, next, seals) {
                return Ok(Next::Later("moved-unproven".into()));
            }
            if !office.members.admits(next, office.now) {
                return Ok(Next::Later(format!("moved-to-unknown-peer: {next}")));
            }
            let mut batch = Batch::default();
            batch.put.push(Put::Delete(key));
            let content = Content::Deliver { statement: statement.bytes().to_vec() };
            office.post(&mut batch, next, dossier, 0, TransferId([0; 16]), content)?;
            ledger::set(&mut batch, custodian_key(dossier), next.as_str().as_bytes().to_vec());
            Ok(Next::Redirected(batch, next.clone()))
        }
        Answer::Refused(code) => Ok(Next::Later(code.clone())),
        Answer::Stale { .. } => Ok(Next::Later("stale-life".into())),
        Answer::Busy => Ok(Next::Later("busy".into())),
        _ => Ok(Next::Later("answer-unexpected".into())),
    }
}

/// Sends a delivery that waits for a node that is gone to the one that the roster names as its successor;
/// none when it names none that is a member now.
pub fn follow_successor(
    office: &Office<'_>,
    gone: &NodeName,
    statement: &[u8],
) -> Result<Option<Batch>, DecideError> {
    let statement = Statement::parse(statement).map_err(|e| DecideError::Rule(e.code()))?;
    let by = office.members.succession(gone, office.now).map(|(by, _)| by.clone());
    let me = |by: &NodeName| by == office.me && office.closed().is_none();
    let Some(by) = by.filter(|by| me(by) || office.members.admits(by, office.now)) else { return Ok(None) };
    let dossier = statement.common.dossier;
    let mut batch = Batch::default();
    batch.put.push(Put::Delete(office::outbox_key(gone, OutboxKind::Delivery, &statement.id.0)));
    let content = Content::Deliver { statement: statement.bytes().to_vec() };
    office.post(&mut batch, &by, dossier, 0, TransferId([0; 16]), content)?;
    ledger::set(&mut batch, custodian_key(dossier), by.as_str().as_bytes().to_vec());
    Ok(Some(batch))
}

/// Whether a void or correction is held for a service that a custodian refused for good: it would
/// wait for its target for ever.
fn changes_nothing(read: &(impl Read + ?Sized), statement: &Statement) -> Result<bool, DecideError> {
    let target = match &statement.body {
        Body::Void(void) => void.target,
        Body::Correction(correction) => correction.target,
        _ => return Ok(false),
    };
    let key = ledger::beside_key(statement.common.dossier, target);
    let Some(bytes) = read.get(key.table, &key.key)? else { return Ok(false) };
    let receipt = Statement::parse(&bytes).map_err(|e| DecideError::Rule(e.code()))?;
    Ok(matches!(receipt.body, Body::Receipt(r) if r.outcome == Outcome::Refused))
}

/// Whether the newest seal shown is by `from`, for `next`, over this dossier, and the seals before
/// it form an unbroken line of epochs, each signed by the node the one before names.
fn proves(
    office: &Office<'_>,
    dossier: DossierId,
    from: &NodeName,
    next: &NodeName,
    seals: &[Vec<u8>],
) -> bool {
    let mut holder: Option<NodeName> = None;
    for (epoch, bytes) in seals.iter().enumerate() {
        let Ok(seal) = crate::custody::taking::verify_copied(office.members, bytes, office.trial, office.now)
        else {
            return false;
        };
        // Who held the dossier until this link, and who holds it from it on. That the roster names the
        // signer of a takeover was checked with its signature.
        let (ended, before, after) = match &seal.body {
            Body::Seal(body) => (body.epoch, &seal.common.issuer, &body.next),
            Body::Takeover(body) => (body.epoch, &body.from, &seal.common.issuer),
            _ => return false,
        };
        let right = seal.common.dossier == dossier
            && ended == epoch as u64
            && holder.as_ref().is_none_or(|h| h == before);
        if !right {
            return false;
        }
        if epoch + 1 == seals.len() {
            return before == from && after == next;
        }
        holder = Some(after.clone());
    }
    false
}

/// Changes this node issued for a dossier, shown to a node that holds one of its statements.
pub fn changes(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    dossier: DossierId,
    shown: StatementId,
) -> Result<Answer, DecideError> {
    let Some(bytes) = ledger::statement(read, dossier, shown)? else {
        return Ok(Answer::Refused("target-unknown".into()));
    };
    if !Statement::parse(&bytes).is_ok_and(|s| s.common.issuer == *office.me) {
        return Ok(Answer::Refused("not-issuer".into()));
    }
    if office.fenced {
        // What it voided and forgot would be missing.
        return Ok(Answer::Busy);
    }
    let mut out = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = read.scan(crate::store::Table::Statement, dossier.as_bytes(), after.as_deref(), 256)?;
        let Some((last, _)) = rows.last() else { return Ok(Answer::Changes(out)) };
        after = Some(last.clone());
        for (_, bytes) in rows {
            let Ok(statement) = Statement::parse(&bytes) else { continue };
            let change = matches!(statement.body, Body::Correction(_) | Body::Void(_));
            if change && statement.common.issuer == *office.me && out.len() < crate::message::wire::ITEMS_MAX
            {
                out.push(bytes);
            }
        }
    }
}
