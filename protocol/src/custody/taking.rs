//! The new custodian's decisions: start, stage the copy, check it, promote on the release.

use std::collections::BTreeSet;

use super::authorisation::{code_hash, parse_code};
use super::giving::clear_outbox;
use super::record::{Loaded, staged_key};
use super::{Action, Input, Side, Stage, Transfer, plain_content, step, takeover};
use crate::day::UnixTime;
use crate::dossier::{Custody, Dossier, Entry};
use crate::fresh::Fresh;
use crate::id::{ChainHead, DossierId, TransferId};
use crate::key::Role;
use crate::ledger::{self, Books};
use crate::member::Members;
use crate::message::{Answer, Content, Message};
use crate::mutants::{self, Mutant};
use crate::name::NodeName;
use crate::office::{DecideError, Decision, Office, Secrets, Vault};
use crate::profile::Profile;
use crate::roster::{SignedTime, Verdict};
use crate::statement::{Body, Statement};
use crate::store::{Batch, Read, Table};

mod changes;
mod release;

pub use changes::{shown, told};
pub use release::{may_install, release_fits};

use release::{adopt, release};

/// First sequence of staged extras: changes an issuer told while the copy was checked.
pub(super) const EXTRA_FROM: u64 = 1 << 48;
/// Statements installed by one batch; keeps a batch far below its limits.
pub const INSTALL_ROWS: usize = 1_000;

/// Asks `from` for the dossier on the slip.
pub fn start(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    from: &NodeName,
    slip: &str,
) -> Result<(Batch, Transfer), DecideError> {
    if let Some(code) = office.closed() {
        return Err(DecideError::Rule(code));
    }
    let (dossier, code) = parse_code(slip).map_err(|_| DecideError::Rule("transfer-code-form"))?;
    office.refuse_peer(from)?;
    let record = ledger::head_record(books, dossier)?;
    if record.is_some_and(|r| r.custody == Custody::Open(office.me.clone())) {
        return Err(DecideError::Rule("dossier-held-here"));
    }
    if Loaded::current(books, dossier)?
        .is_some_and(|l| !l.transfer.stage.ended() && l.transfer.side == Side::Taking)
    {
        return Err(DecideError::Rule("transfer-in-progress"));
    }
    // The slip does not say the epoch; a dossier that was here before tells the least it can be.
    let id = TransferId(fresh.bytes16());
    let transfer = Transfer {
        code_hash: code_hash(dossier, &code),
        ..Transfer::new(id, dossier, Side::Taking, from.clone(), office.now)
    };
    let mut batch = Batch::default();
    office.post(&mut batch, from, dossier, 0, transfer.id, Content::Request { code })?;
    Loaded::new(transfer.clone()).save(&mut batch);
    Ok((batch, transfer))
}

/// Answers a custody message that the old node sent.
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
    let Some(mut loaded) = Loaded::by_id(books, message.transfer)? else {
        return match &message.content {
            Content::Release { .. } => adopt(office, books, message),
            _ => Ok(Decision::refused("transfer-unknown")),
        };
    };
    let t = &mut loaded.transfer;
    let any_peer =
        mutants::is(Mutant::SealByEpochAlone) && matches!(message.content, Content::Release { .. });
    if (t.peer != message.from && !any_peer) || t.dossier != message.dossier || t.side != Side::Taking {
        return Ok(Decision::refused("transfer-other"));
    }
    let input = match &message.content {
        Content::Offer { head, count, minutes } => {
            if t.stage == Stage::Requested {
                t.epoch = message.epoch;
            }
            Input::Offer { head: *head, count: *count, minutes: *minutes }
        }
        Content::Refuse { reason } => Input::Refused { reason: reason.clone() },
        Content::Cancel { reason } => Input::PeerCancels { reason: reason.clone() },
        Content::Release { key, profile, .. } => {
            let secrets = Secrets { key: key.clone(), profile: profile.clone() };
            return release(office, books, vault, fresh, loaded, message, &secrets);
        }
        _ => return Ok(Decision::refused("message-unexpected")),
    };
    // The epoch is known from the first offer on; a transfer cancelled before it never knew it.
    if t.epoch != message.epoch && !matches!(t.stage, Stage::Requested | Stage::Cancelled) {
        return Ok(Decision::refused("transfer-epoch"));
    }
    advance(office, loaded, &input)
}

/// Lets a person, the copy or the clock move a transfer on (all but the release).
pub fn advance(office: &Office<'_>, mut loaded: Loaded, input: &Input) -> Result<Decision, DecideError> {
    let before = loaded.transfer.clone();
    let actions = step(&mut loaded.transfer, input, None, office.now)?;
    let mut batch = Batch::default();
    let t = &loaded.transfer;
    for action in &actions {
        match action {
            Action::ClearOutbox => clear_outbox(t, &mut batch),
            Action::SendDone => return Err(DecideError::Rule("transfer-done-only-with-release")),
            other => {
                if let Some(content) = plain_content(t, other) {
                    office.post(&mut batch, &t.peer, t.dossier, t.epoch, t.id, content)?;
                }
            }
        }
    }
    let wake = !batch.put.is_empty();
    loaded.save_changed(&before, &mut batch);
    Ok(Decision { batch, answer: Answer::Ok, wake })
}

/// Stages statement bytes from `from` on; the caller cut them from the bulk stream.
pub fn stage(
    office: &Office<'_>,
    loaded: Loaded,
    from: u64,
    statements: &[Vec<u8>],
) -> Result<Decision, DecideError> {
    if from != loaded.transfer.have {
        return Err(DecideError::Rule("transfer-stage-order"));
    }
    let id = loaded.transfer.id;
    let have = from + statements.len() as u64;
    let mut decision = advance(office, loaded, &Input::Staged { have })?;
    for (index, bytes) in statements.iter().enumerate() {
        ledger::set(&mut decision.batch, staged_key(id, from + index as u64), bytes.clone());
    }
    Ok(decision)
}

/// The staged statement bytes of a transfer, in order.
pub fn staged(read: &(impl Read + ?Sized), transfer: &Transfer) -> Result<Vec<Vec<u8>>, DecideError> {
    rows(read, transfer, 0, transfer.count)
}

fn rows(
    read: &(impl Read + ?Sized),
    transfer: &Transfer,
    from: u64,
    to: u64,
) -> Result<Vec<Vec<u8>>, DecideError> {
    let mut out = Vec::new();
    let mut after = from.checked_sub(1).map(|n| staged_key(transfer.id, n).key);
    let end = staged_key(transfer.id, to).key;
    loop {
        let part = read.scan(Table::Staged, transfer.id.as_bytes(), after.as_deref(), 512)?;
        let Some((last, _)) = part.last() else { return Ok(out) };
        after = Some(last.clone());
        for (key, value) in part {
            if key >= end {
                return Ok(out);
            }
            out.push(value);
        }
    }
}

/// Verifies one copied statement with any key its issuer ever had up to now: a copy brings old
/// statements, and a card keeps its keys' history. A key that was compromised vouches for nothing whose
/// time is not proven.
pub fn verify_copied(
    members: &Members,
    bytes: &[u8],
    trial: bool,
    now: UnixTime,
) -> Result<Statement, &'static str> {
    let statement = Statement::parse(bytes).map_err(|e| e.code())?;
    check_copied(members, &statement, trial, now)?;
    Ok(statement)
}

/// As [`verify_copied`], of a statement parsed before.
pub fn check_copied(
    members: &Members,
    statement: &Statement,
    trial: bool,
    now: UnixTime,
) -> Result<(), &'static str> {
    check_proven(members, statement, None, trial, now)
}

/// As [`check_copied`], of a statement whose time may be proven, as [`Members::signed_time`] does: a key
/// that was compromised later vouches for it still (DESIGN §4).
pub fn check_proven(
    members: &Members,
    statement: &Statement,
    proven: Option<SignedTime>,
    trial: bool,
    now: UnixTime,
) -> Result<(), &'static str> {
    if statement.common.trial != trial {
        return Err("statement-trial");
    }
    let issuer = &statement.common.issuer;
    if members.get(issuer).is_none() {
        return Err("issuer-unknown");
    }
    let stands = || match &statement.body {
        Body::Takeover(body) => takeover::proven(members, issuer, body, now),
        _ => Ok(()),
    };
    let Err(error) = statement.verify(members.keys_ever(issuer, Role::Statement, now)) else {
        return stands();
    };
    let then = proven.map(|time| statement.verify(members.keys_ever(issuer, Role::Statement, time.at())));
    if then.is_some_and(|verified| verified.is_ok()) {
        return stands();
    }
    let Ok(key) = statement.verify(members.keys_known(issuer, Role::Statement)) else {
        return Err(error.code());
    };
    match members.verdict(issuer, Role::Statement, key.kid(), SignedTime::Received(now)) {
        verdict @ (Verdict::Compromised { .. } | Verdict::RosterExpired) => Err(verdict.code()),
        _ => Err(error.code()),
    }
}

/// Checks a copy statement by statement, in chain order, while others are still being verified.
#[derive(Debug)]
pub struct CopyCheck<'a> {
    transfer: &'a Transfer,
    profile: &'a Profile,
    /// Length and head that this office knew when the dossier was here before.
    kept: Option<(u64, ChainHead)>,
    dossier: Dossier,
}

impl<'a> CopyCheck<'a> {
    /// Begins; a dossier that was here before must come back with the chain it left with.
    pub fn begin(
        office: &Office<'a>,
        read: &(impl Read + ?Sized),
        transfer: &'a Transfer,
    ) -> Result<Self, DecideError> {
        let kept = ledger::head_record(read, transfer.dossier)?.map(|r| (r.length, r.head));
        Ok(Self { transfer, profile: office.profile, kept, dossier: Dossier::new(transfer.dossier) })
    }

    /// Takes the next verified statement. `Err` is the reason code.
    pub fn take(&mut self, entry: Entry) -> Result<(), &'static str> {
        self.dossier.take(entry, self.profile).map_err(|e| e.code())?;
        match self.kept {
            Some((length, head)) if self.dossier.length() == length && self.dossier.head() != head => {
                Err("transfer-copy-forks")
            }
            _ => Ok(()),
        }
    }

    /// Compares the whole with the offer. `Err` is the reason code.
    pub fn finish(self) -> Result<Dossier, &'static str> {
        let (dossier, transfer) = (self.dossier, self.transfer);
        let right = dossier.length() == transfer.count
            && dossier.head() == transfer.head
            && dossier.epoch() == transfer.epoch
            && *dossier.custody() == Custody::Open(transfer.peer.clone());
        if !right {
            return Err("transfer-copy-differs");
        }
        if self.kept.is_some_and(|(length, _)| length > dossier.length()) {
            return Err("transfer-copy-forks");
        }
        if dossier.totals(self.profile).counted != transfer.minutes {
            return Err("transfer-minutes-differ");
        }
        if dossier.unknown_critical().is_some() {
            return Err("statement-newer-version");
        }
        Ok(dossier)
    }
}

/// Nodes whose statements a dossier holds, but for the one that gives it.
pub fn issuers(dossier: &Dossier, transfer: &Transfer, me: &NodeName) -> BTreeSet<NodeName> {
    let all = dossier.hours().values().map(|h| h.issuer.clone());
    all.filter(|n| *n != transfer.peer && n != me).collect()
}

/// Stores the outcome of the check: changes told by issuers are staged beside the copy.
pub fn checked(
    office: &Office<'_>,
    loaded: Loaded,
    changes: &[Statement],
    unasked: Vec<NodeName>,
) -> Result<Decision, DecideError> {
    let id = loaded.transfer.id;
    let mut decision = advance(office, loaded, &Input::Checked { unasked })?;
    for (index, statement) in changes.iter().enumerate() {
        ledger::set(
            &mut decision.batch,
            staged_key(id, EXTRA_FROM + index as u64),
            statement.bytes().to_vec(),
        );
    }
    Ok(decision)
}

/// Batches that install the staged statements where the ledger keeps them. Invisible until the
/// head record names them, so they may be written in pieces and again.
pub fn install(dossier: DossierId, statements: &[Statement]) -> Vec<Batch> {
    let mut batches = Vec::new();
    for (part, chunk) in statements.chunks(INSTALL_ROWS).enumerate() {
        let mut batch = Batch::default();
        for (index, statement) in chunk.iter().enumerate() {
            let sequence = (part * INSTALL_ROWS + index) as u64;
            let key = ledger::statement_key(dossier, statement.id);
            ledger::set(&mut batch, key, statement.bytes().to_vec());
            ledger::set(&mut batch, ledger::chain_key(dossier, sequence), statement.id.0.to_vec());
        }
        batches.push(batch);
    }
    batches
}
