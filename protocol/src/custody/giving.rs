//! The old custodian's decisions: authorise, answer a request, seal, release.

use super::authorisation::{self, CodeRecord, TRIES_MAX, authorisation_key, code_hash};
use super::record::Loaded;
use super::{Action, Facts, Input, Side, TRANSFER_SECONDS_MAX, Transfer, plain_content, step};
use crate::day::UnixTime;
use crate::dossier::{Custody, Dossier};
use crate::fresh::Fresh;
use crate::id::DossierId;
use crate::ledger::{self, Appender, Books, LedgerError};
use crate::log::rows;
use crate::message::{Answer, CODE_BYTES, Content, Message};
use crate::mutants::{self, Mutant};
use crate::name::NodeName;
use crate::office::{self, DecideError, Decision, Office, Vault};
use crate::proof::live;
use crate::statement::{Authorisation, Body, Consent, Seal};
use crate::store::{Batch, Expect};

/// A new authorisation: the batch, and the slip for the volunteer.
#[derive(Debug)]
pub struct Slip {
    /// To be durable before the slip is shown.
    pub batch: Batch,
    /// Text of the slip.
    pub code: String,
    /// Until when it counts.
    pub expires: UnixTime,
}

/// Records the consent and issues a code for moving `dossier` to `to`.
pub fn authorise(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    dossier: DossierId,
    to: &NodeName,
    consent: Consent,
    with_profile: bool,
) -> Result<Slip, DecideError> {
    office.refuse_peer(to)?;
    if consent.receiver.as_ref().is_none_or(|r| r.node != *to) {
        return Err(DecideError::Rule("consent-receiver"));
    }
    let mut appender = open(office, books, dossier)?;
    let statement = office.state(fresh, dossier, &Body::Consent(consent))?;
    appender.append(&statement)?;
    let epoch = appender.dossier().epoch();
    let (mut batch, _) = appender.finish();
    let mut code = [0; CODE_BYTES];
    code.copy_from_slice(&fresh.bytes32()[..CODE_BYTES]);
    let expires = UnixTime(office.now.0 + TRANSFER_SECONDS_MAX);
    let record = CodeRecord {
        hash: code_hash(dossier, &code),
        to: to.clone(),
        epoch,
        expires,
        tries: 0,
        consent: statement.id,
        with_profile,
    };
    // A second authorisation replaces the first: one slip counts at a time.
    ledger::set(&mut batch, authorisation_key(dossier), record.encode());
    Ok(Slip { batch, code: authorisation::code_text(dossier, &code), expires })
}

/// The appender of a dossier this node may append to.
pub fn open<'p>(
    office: &Office<'p>,
    books: &dyn Books,
    dossier: DossierId,
) -> Result<Appender<'p>, DecideError> {
    if let Some(code) = office.closed() {
        return Err(DecideError::Rule(code));
    }
    // The head record answers also when the rest of a moved dossier is destroyed.
    match ledger::head_record(books, dossier)?.map(|r| r.custody) {
        Some(Custody::Open(node)) if node == *office.me => {}
        Some(Custody::Open(_) | Custody::Sealed { .. }) => return Err(DecideError::Rule("dossier-moved")),
        Some(Custody::Empty) | None => return Err(DecideError::Rule("dossier-unknown")),
    }
    let appender =
        Appender::load(books, dossier, office.profile)?.ok_or(DecideError::Rule("dossier-unknown"))?;
    if Loaded::current(books, dossier)?.is_some_and(|l| l.transfer.queues_appends()) {
        return Err(DecideError::Rule("transfer-in-progress"));
    }
    Ok(appender)
}

/// Answers a custody message that the new node sent.
pub fn receive(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    message: &Message,
) -> Result<Decision, DecideError> {
    if office.closed().is_some() {
        return Ok(Decision::answer(Answer::Busy));
    }
    let known = Loaded::by_id(books, message.transfer)?;
    let input = match &message.content {
        Content::Request { code } => match known {
            None => return request(office, books, message, code),
            Some(_) => Input::Request { hold: true },
        },
        Content::Accept { head, count } => Input::Accept { head: *head, count: *count },
        Content::Done { .. } => Input::Done,
        Content::Cancel { reason } => Input::PeerCancels { reason: reason.clone() },
        _ => return Ok(Decision::refused("message-unexpected")),
    };
    let Some(loaded) = known else {
        // A cancel that overtook its request, or whose request was refused: nothing to end.
        return Ok(match &message.content {
            Content::Cancel { .. } => Decision::answer(Answer::Ok),
            _ => Decision::refused("transfer-unknown"),
        });
    };
    let t = &loaded.transfer;
    // The slip does not name the epoch, so the new node knows it from the offer on.
    let knows_epoch = matches!(message.content, Content::Accept { .. } | Content::Done { .. });
    let other_epoch = knows_epoch && t.epoch != message.epoch;
    if t.peer != message.from || t.dossier != message.dossier || other_epoch || t.side != Side::Giving {
        return Ok(Decision::refused("transfer-other"));
    }
    advance(office, books, vault, fresh, loaded, &input)
}

/// Lets a person or the clock move a transfer on.
pub fn advance(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    mut loaded: Loaded,
    input: &Input,
) -> Result<Decision, DecideError> {
    let facts = facts_now(office, books, loaded.transfer.dossier)?;
    let before = loaded.transfer.clone();
    let actions = step(&mut loaded.transfer, input, Some(facts), office.now)?;
    let mut batch = Batch::default();
    let transfer = &mut loaded.transfer;
    let mut seal_bytes = None;
    for action in &actions {
        match action {
            Action::SpendCode => spend(books, transfer, &mut batch)?,
            Action::ClearOutbox => clear_outbox(transfer, &mut batch),
            Action::Seal => seal_bytes = Some(seal(office, books, vault, fresh, transfer, &mut batch)?),
            Action::SendRelease => {
                let bytes = match seal_bytes.take() {
                    Some(bytes) => bytes,
                    None => stored_seal(books, transfer)?,
                };
                release(office, books, vault, transfer, bytes, &mut batch)?;
            }
            other => {
                if let Some(content) = plain_content(transfer, other) {
                    office.post(
                        &mut batch,
                        &transfer.peer,
                        transfer.dossier,
                        transfer.epoch,
                        transfer.id,
                        content,
                    )?;
                }
            }
        }
    }
    let wake = !batch.put.is_empty();
    loaded.save_changed(&before, &mut batch);
    Ok(Decision { batch, answer: Answer::Ok, wake })
}

/// What is known of a dossier, also when only its head is left here.
fn facts_now(office: &Office<'_>, books: &dyn Books, id: DossierId) -> Result<Facts, DecideError> {
    match books.dossier(id, office.profile) {
        Ok(Some(dossier)) => Ok(facts_of(&dossier, office)),
        Err(LedgerError::Destroyed(_) | LedgerError::Closed(_)) => {
            let record = ledger::head_record(books, id)?.ok_or(DecideError::Rule("dossier-unknown"))?;
            Ok(Facts { head: record.head, count: record.length, minutes: record.counted })
        }
        Ok(None) => Err(DecideError::Rule("dossier-unknown")),
        Err(error) => Err(error.into()),
    }
}

fn facts_of(dossier: &Dossier, office: &Office<'_>) -> Facts {
    Facts { head: dossier.head(), count: dossier.length(), minutes: dossier.totals(office.profile).counted }
}

/// First request of a transfer: checks custody, the code and that nothing else is under way.
fn request(
    office: &Office<'_>,
    books: &dyn Books,
    message: &Message,
    code: &[u8; CODE_BYTES],
) -> Result<Decision, DecideError> {
    let id = message.dossier;
    match ledger::head_record(books, id)?.map(|r| r.custody) {
        None => return Ok(Decision::refused("dossier-unknown")),
        Some(Custody::Open(node)) if node == *office.me => {}
        Some(_) => return Ok(Decision::refused("dossier-moved")),
    }
    let dossier = books.dossier(id, office.profile)?.ok_or(DecideError::Rule("dossier-unknown"))?;
    let Some((mut record, stored)) = CodeRecord::load(books, id)? else {
        return Ok(Decision::refused("transfer-not-authorised"));
    };
    if record.tries >= TRIES_MAX {
        return Ok(Decision::refused("transfer-code-spent"));
    }
    if office.now > record.expires {
        return Ok(Decision::refused("transfer-code-expired"));
    }
    // The code counts for its receiver only; nobody else may use up the tries.
    if record.to != message.from {
        return Ok(Decision::refused("transfer-code-wrong"));
    }
    if record.hash != code_hash(id, code) {
        record.tries += 1;
        let mut batch = Batch::default();
        batch.expect.push(Expect::Equals(authorisation_key(id), stored));
        ledger::set(&mut batch, authorisation_key(id), record.encode());
        return Ok(Decision { batch, answer: Answer::Refused("transfer-code-wrong".into()), wake: false });
    }
    if record.epoch != dossier.epoch() {
        return Ok(Decision::refused("transfer-epoch"));
    }
    if Loaded::current(books, id)?.is_some_and(|l| !l.transfer.stage.ended()) {
        return Ok(Decision::refused("transfer-in-progress"));
    }
    let mut loaded = Loaded::new(new_transfer(office, message, &record));
    let input = Input::Request { hold: office.hold_transfers };
    let actions = step(&mut loaded.transfer, &input, Some(facts_of(&dossier, office)), office.now)?;
    let mut batch = Batch::default();
    for action in &actions {
        if *action == Action::SpendCode {
            spend(books, &loaded.transfer, &mut batch)?;
        } else if let Some(content) = plain_content(&loaded.transfer, action) {
            office.post(&mut batch, &message.from, id, loaded.transfer.epoch, loaded.transfer.id, content)?;
        }
    }
    loaded.save(&mut batch);
    Ok(Decision { batch, answer: Answer::Ok, wake: true })
}

fn new_transfer(office: &Office<'_>, message: &Message, record: &CodeRecord) -> Transfer {
    let peer = message.from.clone();
    Transfer {
        epoch: record.epoch,
        expires: record.expires,
        code_hash: record.hash,
        ..Transfer::new(message.transfer, message.dossier, Side::Giving, peer, office.now)
    }
}

/// The code is spent in the batch that makes the offer; whether the profile may go is kept.
fn spend(books: &dyn Books, transfer: &Transfer, batch: &mut Batch) -> Result<(), DecideError> {
    let (mut record, stored) =
        CodeRecord::load(books, transfer.dossier)?.ok_or(DecideError::Rule("transfer-not-authorised"))?;
    if record.hash != transfer.code_hash {
        return Err(DecideError::Rule("transfer-not-authorised"));
    }
    batch.expect.push(Expect::Equals(authorisation_key(transfer.dossier), stored));
    record.tries = TRIES_MAX;
    ledger::set(batch, authorisation_key(transfer.dossier), record.encode());
    Ok(())
}

/// Takes this side's waiting messages of the transfer out of the outbox.
pub(crate) fn clear_outbox(transfer: &Transfer, batch: &mut Batch) {
    // Every content number a custody message can have.
    for number in 1..=8 {
        batch.put.push(crate::store::Put::Delete(office::custody_outbox_key(
            &transfer.peer,
            transfer.id,
            number,
        )));
    }
}

fn seal(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    transfer: &mut Transfer,
    batch: &mut Batch,
) -> Result<Vec<u8>, DecideError> {
    let mut appender = Appender::load(books, transfer.dossier, office.profile)?
        .ok_or(DecideError::Rule("dossier-unknown"))?;
    let key = office::secrets_key(transfer.dossier);
    let stored = books.get(key.table, &key.key)?.ok_or(DecideError::Rule("secrets-missing"))?;
    let secrets = vault.open(transfer.dossier, &stored).ok_or(DecideError::Rule("secrets-missing"))?;
    let totals = appender.dossier().totals(office.profile);
    let body = Body::Seal(Seal {
        epoch: transfer.epoch,
        transfer: transfer.id,
        head: transfer.head,
        count: transfer.count,
        minutes: totals.counted,
        balance: totals.balance,
        next: transfer.peer.clone(),
        authorisation: Authorisation::CodeHash(transfer.code_hash),
        nullifier: secrets.key.nullifier(transfer.epoch),
    });
    let statement = office.state(fresh, transfer.dossier, &body)?;
    appender.append(&statement)?;
    batch.merge(appender.finish().0);
    // In this batch or never: a proof that outlived the seal would speak for two offices. The list that
    // says so is made at a fixed hour, so that nothing links the two.
    live::supersede(office, books, transfer.dossier, batch)?;
    transfer.seal = Some(statement.id);
    Ok(statement.bytes().to_vec())
}

fn stored_seal(books: &dyn Books, transfer: &Transfer) -> Result<Vec<u8>, DecideError> {
    let id = transfer.seal.ok_or(DecideError::Rule("seal-missing"))?;
    ledger::statement(books, transfer.dossier, id)?.ok_or(DecideError::Rule("seal-missing"))
}

/// Puts the release of a sealed transfer into the outbox once more.
pub(crate) fn release_again(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    transfer: &Transfer,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let seal = stored_seal(books, transfer)?;
    release(office, books, vault, transfer, seal, batch)
}

/// Proof that the seal of a transfer lies under a checkpoint that the quorum cosigned, once there is one.
pub fn inclusion(books: &dyn Books, transfer: &Transfer) -> Result<Option<Vec<u8>>, DecideError> {
    let id = transfer.seal.ok_or(DecideError::Rule("seal-missing"))?;
    let key = rows::inclusion_key(&id.0);
    Ok(books.get(key.table, &key.key)?)
}

fn release(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    transfer: &Transfer,
    seal: Vec<u8>,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let key = office::secrets_key(transfer.dossier);
    let stored = books.get(key.table, &key.key)?.ok_or(DecideError::Rule("secrets-missing"))?;
    let secrets = vault.open(transfer.dossier, &stored).ok_or(DecideError::Rule("secrets-missing"))?;
    let consented = CodeRecord::load(books, transfer.dossier)?
        .is_some_and(|(r, _)| r.hash == transfer.code_hash && r.with_profile);
    let inclusion = match office.members.quorum(office.me) {
        Ok(None) => None,
        _ if mutants::is(Mutant::ReleaseUnwitnessed) => None,
        // Fail closed (DESIGN §6): until the quorum has cosigned a checkpoint with the seal the release
        // waits, and is asked for again when it has.
        _ => match inclusion(books, transfer)? {
            Some(proof) => {
                // Ends here and not with the proof: between the two lies a crash that would lose the release.
                batch.put.extend(transfer.seal.map(|id| crate::store::Put::Delete(rows::wanted_key(&id.0))));
                Some(proof)
            }
            None => {
                let id = transfer.seal.ok_or(DecideError::Rule("seal-missing"))?;
                ledger::set(batch, rows::wanted_key(&id.0), transfer.id.as_bytes().to_vec());
                return Ok(());
            }
        },
    };
    let content = Content::Release {
        seal,
        key: secrets.key.clone(),
        profile: secrets.profile.clone().filter(|_| consented),
        inclusion,
    };
    office.post(batch, &transfer.peer, transfer.dossier, transfer.epoch, transfer.id, content)?;
    Ok(())
}
