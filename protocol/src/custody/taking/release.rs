//! The release at the new custodian: what it must carry, the promotion of the staged copy, and what a
//! release does that comes again, late, or to a node that forgot its transfer.

use super::{EXTRA_FROM, check_proven, rows, staged, verify_copied};
use crate::custody::giving::clear_outbox;
use crate::custody::record::Loaded;
use crate::custody::{Action, Input, Side, Stage, TRANSFER_SECONDS_MAX, Transfer, step};
use crate::day::UnixTime;
use crate::dossier::{Custody, Dossier};
use crate::fresh::Fresh;
use crate::id::{ChainHead, StatementId};
use crate::ledger::{self, Appender, Books, HeadRecord};
use crate::log::{Entry, rows};
use crate::message::{Answer, Content, Message};
use crate::mutants::{self, Mutant};
use crate::office::{self, DecideError, Decision, Office, Secrets, Vault};
use crate::recovery::rejoin::forgotten_seal;
use crate::statement::{Body, Received, Statement};
use crate::store::Batch;

/// Checks that a release is the one this transfer waits for: the seal of its old custodian over
/// exactly the copied head, and the key of this dossier. `Err` is the reason code.
pub fn release_fits(office: &Office<'_>, t: &Transfer, message: &Message) -> Result<Statement, &'static str> {
    let Content::Release { seal, key, inclusion, .. } = &message.content else {
        return Err("message-unexpected");
    };
    let seal = Statement::parse(seal).map_err(|e| e.code())?;
    let proven =
        inclusion.as_deref().and_then(|proof| office.members.signed_time(&seal, None, proof, office.now));
    check_proven(office.members, &seal, proven, office.trial, office.now)?;
    let Body::Seal(body) = &seal.body else { return Err("seal-mismatch") };
    let right = message.from == t.peer
        && seal.common.issuer == t.peer
        && seal.common.dossier == t.dossier
        && body.transfer == t.id
        && body.epoch == message.epoch
        && body.epoch == t.epoch
        && body.next == *office.me
        && key.dossier_id() == t.dossier
        && body.nullifier == key.nullifier(t.epoch);
    let right = right || (mutants::is(Mutant::SealByEpochAlone) && body.epoch == t.epoch);
    if !right {
        return Err("seal-mismatch");
    }
    if !witnessed(office, t, &seal, inclusion.as_deref()) {
        return Err("seal-not-witnessed");
    }
    Ok(seal)
}

/// Whether the old custodian's log shows the seal under a checkpoint that its witnesses cosigned; between
/// bilateral peers none is asked for.
fn witnessed(office: &Office<'_>, t: &Transfer, seal: &Statement, inclusion: Option<&[u8]>) -> bool {
    match office.members.quorum(&t.peer) {
        Ok(None) => true,
        Ok(Some(_)) => inclusion.is_some_and(|proof| {
            let entry = Entry::of_statement(seal, None);
            entry.is_ok_and(|entry| office.members.logged(&t.peer, &entry, proof, office.now).is_ok())
        }),
        Err(_) => false,
    }
}

/// Whether the staged copy is the one that a fitting release seals, so that it may be installed.
pub fn may_install(office: &Office<'_>, t: &Transfer, message: &Message) -> bool {
    let sealed =
        |seal: &Statement| matches!(&seal.body, Body::Seal(b) if (b.head, b.count) == (t.head, t.count));
    office.closed().is_none()
        && t.stage == Stage::Accepted
        && release_fits(office, t, message).is_ok_and(|seal| sealed(&seal))
}

/// The release: promotes the staged copy, appends the seal and "received".
#[allow(clippy::too_many_arguments)]
pub(super) fn release(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    mut loaded: Loaded,
    message: &Message,
    secrets: &Secrets,
) -> Result<Decision, DecideError> {
    if loaded.transfer.stage == Stage::Completed {
        return done_again(office, books, &loaded.transfer);
    }
    let before = loaded.transfer.clone();
    let copies_again = matches!(before.stage, Stage::Requested | Stage::Cancelled);
    if copies_again {
        // No offer was seen, or it is forgotten: the epoch is the one the seal speaks of.
        loaded.transfer.epoch = message.epoch;
    }
    let seal = match release_fits(office, &loaded.transfer, message) {
        Ok(seal) => seal,
        Err(code) => return Ok(Decision::refused(code)),
    };
    let Body::Seal(body) = &seal.body else { return Ok(Decision::refused("seal-mismatch")) };
    if let Some(record) = ledger::head_record(books, message.dossier)?.filter(|r| r.epoch > body.epoch) {
        return gone_on(office, loaded, &before, seal.id, &record);
    }
    // It was here in this life of the dossier and left again, which a restore made this node forget: the
    // seal shows in its log and is looked for.
    let next = secrets.key.nullifier(body.epoch.saturating_add(1));
    if forgotten_seal(books, message.dossier, &next)?.is_some() {
        return Ok(Decision::answer(Answer::Busy));
    }
    let mut batch = Batch::default();
    if copies_again {
        clear_outbox(&before, &mut batch);
        // Sealed long ago perhaps: the copy has its time again.
        loaded.transfer.expires = UnixTime(office.now.0 + TRANSFER_SECONDS_MAX);
    }
    let input = Input::Release { head: body.head, count: body.count, seal: seal.id };
    let actions = step(&mut loaded.transfer, &input, None, office.now)?;
    if loaded.transfer.head != before.head {
        loaded.transfer.minutes = body.minutes;
    }
    if let Content::Release { inclusion: Some(proof), .. } = &message.content {
        rows::keep_foreign(books, &mut batch, proof, office.now)?;
    }
    if actions.contains(&Action::Promote) {
        clear_outbox(&loaded.transfer, &mut batch);
        promote(office, books, vault, fresh, &before, &seal, secrets, &mut batch)?;
    }
    let wake = !batch.put.is_empty();
    loaded.save_changed(&before, &mut batch);
    Ok(Decision { batch, answer: Answer::Ok, wake })
}

/// A release of what was here and has gone on, though a restored node forgot it and its transfer is
/// of the time before: what the release asks for is done, and must not be done again.
fn gone_on(
    office: &Office<'_>,
    mut loaded: Loaded,
    before: &Transfer,
    seal: StatementId,
    record: &HeadRecord,
) -> Result<Decision, DecideError> {
    let mut batch = Batch::default();
    clear_outbox(before, &mut batch);
    let t = &mut loaded.transfer;
    t.stage = Stage::Completed;
    t.reason = None;
    t.seal = Some(seal);
    post_done(office, t, record.length, record.head, &mut batch)?;
    loaded.save_changed(before, &mut batch);
    Ok(Decision { batch, answer: Answer::Ok, wake: true })
}

#[allow(clippy::too_many_arguments)]
fn promote(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    transfer: &Transfer,
    seal: &Statement,
    secrets: &Secrets,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let bytes = staged(books, transfer)?;
    let mut dossier = Dossier::new(transfer.dossier);
    for one in &bytes {
        // Checked before the accept; parsed again because the disk is not believed.
        let statement = Statement::parse(one).map_err(|e| DecideError::Rule(e.code()))?;
        dossier.take(statement.into(), office.profile)?;
    }
    let mut appender = Appender::adopt(books, dossier, office.profile)?;
    appender.append(seal)?;
    let received = Body::Received(Received {
        epoch: transfer.epoch + 1,
        transfer: transfer.id,
        seal: seal.id,
        from: transfer.peer.clone(),
        count: transfer.count + 1,
    });
    let statement = office.state(fresh, transfer.dossier, &received)?;
    appender.append(&statement)?;
    for extra in rows(books, transfer, EXTRA_FROM, u64::MAX)? {
        if let Ok(change) = verify_copied(office.members, &extra, office.trial, office.now) {
            // A change that no longer fits (told twice) is not an error of the move.
            let _ = appender.append(&change);
        }
    }
    let (count, head) = (appender.dossier().length(), appender.dossier().head());
    batch.merge(appender.finish().0);
    let stored = vault.close(transfer.dossier, secrets, fresh.bytes32());
    ledger::set(batch, office::secrets_key(transfer.dossier), stored);
    post_done(office, transfer, count, head, batch)
}

/// Tells the old custodian that the dossier is here, with the length and head it has now.
fn post_done(
    office: &Office<'_>,
    t: &Transfer,
    count: u64,
    head: ChainHead,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    office.post(batch, &t.peer, t.dossier, t.epoch, t.id, Content::Done { count, head })?;
    Ok(())
}

/// A release of a transfer that this node forgot when it was restored: the seal says all that is
/// needed to copy the dossier once more. The old custodian must help, so an old message alone
/// moves nothing.
pub(super) fn adopt(
    office: &Office<'_>,
    books: &dyn Books,
    message: &Message,
) -> Result<Decision, DecideError> {
    let Content::Release { seal, .. } = &message.content else {
        return Ok(Decision::refused("message-unexpected"));
    };
    let Ok(seal) = Statement::parse(seal) else { return Ok(Decision::refused("seal-mismatch")) };
    let Body::Seal(body) = &seal.body else { return Ok(Decision::refused("seal-mismatch")) };
    let (id, peer) = (message.transfer, message.from.clone());
    let transfer = Transfer {
        epoch: body.epoch,
        stage: Stage::Copying,
        head: body.head,
        count: body.count,
        minutes: body.minutes,
        ..Transfer::new(id, message.dossier, Side::Taking, peer, office.now)
    };
    if let Err(code) = release_fits(office, &transfer, message) {
        return Ok(Decision::refused(code));
    }
    let mut batch = Batch::default();
    match ledger::head_record(books, message.dossier)? {
        // It was here and has gone on: what the release asks for is done.
        Some(record) if record.epoch > body.epoch => {
            post_done(office, &transfer, record.length, record.head, &mut batch)?;
            return Ok(Decision { batch, answer: Answer::Ok, wake: true });
        }
        Some(record) if record.custody == Custody::Open(office.me.clone()) => {
            return Ok(Decision::refused("dossier-held-here"));
        }
        _ => {}
    }
    if Loaded::current(books, message.dossier)?
        .is_some_and(|l| !l.transfer.stage.ended() && l.transfer.side == Side::Taking)
    {
        return Ok(Decision::answer(Answer::Busy));
    }
    Loaded::new(transfer).save(&mut batch);
    Ok(Decision { batch, answer: Answer::Ok, wake: true })
}

/// Done again for a release that came again.
fn done_again(office: &Office<'_>, books: &dyn Books, t: &Transfer) -> Result<Decision, DecideError> {
    let record = ledger::head_record(books, t.dossier)?.ok_or(DecideError::Rule("dossier-unknown"))?;
    let mut batch = Batch::default();
    post_done(office, t, record.length, record.head, &mut batch)?;
    Ok(Decision { batch, answer: Answer::Ok, wake: true })
}
