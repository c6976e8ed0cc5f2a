//! The successor's acts: announce, hear what the members say, take over, or give it up.

use std::collections::BTreeSet;

use super::chain::{Assembled, build, held_here};
use super::pending::{self, Loaded, Pending, Stage};
use super::{NOTICE_SECONDS, Searched, ended_custody};
use crate::bundle::Own;
use crate::custody::record::staged_key;
use crate::custody::taking::{self, EXTRA_FROM, verify_copied};
use crate::day::UnixTime;
use crate::dossier::{Custody, Dossier};
use crate::fresh::Fresh;
use crate::id::{DossierId, StatementId, TransferId};
use crate::ledger::{self, Appender, Books};
use crate::log::{Entry, rows};
use crate::message::Content;
use crate::name::NodeName;
use crate::office::{self, DecideError, Office, Secrets, Vault};
use crate::statement::{Body, Outcome, Receipt, Statement, Takeover};
use crate::store::{Batch, Expect, Put};

/// Statements kept beside a chain: receipts and what they are for, of a year of busy issuers.
pub const BESIDE_MAX: usize = 4_096;
/// Number of [`Content::Notice`], as part of an outbox key.
const NOTICE_NUMBER: u64 = 12;

/// A notice to be given: `staging` first, in pieces and invisible, then `last`, which makes it count.
#[derive(Debug)]
pub struct Announced {
    /// Pieces of the chain.
    pub staging: Vec<Batch>,
    /// The record and the notices.
    pub last: Batch,
    /// What is recorded.
    pub pending: Pending,
}

/// Announces a takeover, or adds to one that is announced. `profile` is what the successor's clerk knows of
/// the person. Errors: `takeover-shorter`, `takeover-log-needed`, `takeover-not-successor`,
/// `takeover-stopped`, `takeover-too-many`.
pub fn announce(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    assembled: &Assembled,
    searched: Option<&Searched>,
    profile: Option<Vec<u8>>,
) -> Result<Announced, DecideError> {
    if let Some(code) = office.closed() {
        return Err(DecideError::Rule(code));
    }
    assembled.whole()?;
    if assembled.beside.len() > BESIDE_MAX {
        return Err(DecideError::Rule("takeover-too-many"));
    }
    searched_right(office, &assembled.old, searched.map(Searched::checkpoint_parts).as_ref())?;
    let id = assembled.dossier.id();
    let before = Loaded::of(books, id)?;
    if before.as_ref().is_some_and(|l| l.pending.stage == Stage::Stopped) {
        return Err(DecideError::Rule("takeover-stopped"));
    }
    let known = before.as_ref().map(|l| (l.pending.id, l.pending.announced, l.pending.secrets.clone()));
    let (takeover, announced, closed) =
        known.unwrap_or_else(|| (TransferId(fresh.bytes16()), office.now, Vec::new()));
    let kept = vault.open(id, &closed).and_then(|secrets| secrets.profile);
    let secrets = Secrets { key: assembled.key.clone(), profile: profile.or(kept) };
    let pending = Pending {
        id: takeover,
        dossier: id,
        old: assembled.old.clone(),
        epoch: assembled.dossier.epoch(),
        head: assembled.dossier.head(),
        count: assembled.dossier.length(),
        need: assembled.need,
        announced,
        ends: UnixTime(announced.0.saturating_add(NOTICE_SECONDS)),
        searched: searched.map(Searched::checkpoint_parts),
        stage: Stage::Noticed,
        secrets: vault.close(id, &secrets, fresh.bytes32()),
    };
    let mut last = Batch::default();
    for member in office.members.iter() {
        let name = &member.card.card.name;
        // The old node too, should it still run: it may hold the seal that nobody else has.
        if name != office.me && (office.members.admits(name, office.now) || *name == pending.old) {
            tell(office, &pending, name, &mut last)?;
        }
    }
    let mut loaded = before.unwrap_or_else(|| Loaded::new(pending.clone()));
    loaded.pending = pending.clone();
    loaded.save(&mut last);
    Ok(Announced { staging: staging(takeover, assembled), last, pending })
}

fn tell(office: &Office<'_>, p: &Pending, to: &NodeName, batch: &mut Batch) -> Result<(), DecideError> {
    let content = Content::Notice { old: p.old.clone(), head: p.head, count: p.count, ends: p.ends };
    Ok(office.post(batch, to, p.dossier, p.epoch, p.id, content)?)
}

fn staging(id: TransferId, assembled: &Assembled) -> Vec<Batch> {
    let chain = (0..).zip(&assembled.statements);
    let beside = (EXTRA_FROM..).zip(&assembled.beside);
    let rows: Vec<(u64, &Statement)> = chain.chain(beside).collect();
    let piece = |rows: &[(u64, &Statement)]| {
        let mut batch = Batch::default();
        for (at, statement) in rows {
            ledger::set(&mut batch, staged_key(id, *at), statement.bytes().to_vec());
        }
        batch
    };
    // A statement may be as large as a value; a hundred of them stay under the bytes of a batch.
    rows.chunks(100).map(piece).collect()
}

/// Whether what was searched is what the roster says today that counts.
fn searched_right(
    office: &Office<'_>,
    old: &NodeName,
    searched: Option<&(String, u64, [u8; 32])>,
) -> Result<(), DecideError> {
    let rule = |code| Err(DecideError::Rule(code));
    match office.members.succession(old, office.now) {
        Some((by, counts)) if by == office.me => match (counts, searched) {
            (None, None) => Ok(()),
            (Some(counts), Some((origin, size, root)))
                if (&counts.origin, counts.size, &counts.root) == (origin, *size, root) =>
            {
                Ok(())
            }
            _ => rule("takeover-log-needed"),
        },
        _ => rule("takeover-not-successor"),
    }
}

/// What a member's answer to the notice came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing more to say.
    Nothing,
    /// The dossier went elsewhere: the takeover is stopped.
    Stopped,
    /// The old custodian signed more than was known; the member is asked again.
    More,
    /// What was said does not verify, or was known; the member is asked again later.
    Unproven,
}

/// Takes the statements with which `from` answered the notice of a dossier.
pub fn heard(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    from: &NodeName,
    dossier: DossierId,
    told: &[Vec<u8>],
) -> Result<(Batch, Heard), DecideError> {
    let mut batch = Batch::default();
    let Some(mut loaded) = Loaded::of(books, dossier)?.filter(|l| l.pending.stage == Stage::Noticed) else {
        // Stopped, given up or done meanwhile: the notice is no longer in the outbox, or must leave it.
        return Ok((batch, Heard::Nothing));
    };
    let p = &mut loaded.pending;
    let verify = |bytes: &Vec<u8>| verify_copied(office.members, bytes, office.trial, office.now).ok();
    let mut shown: Vec<Statement> = told.iter().filter_map(verify).collect();
    // What the gone node did not sign counts only where a receipt of it says so: nobody fills this store.
    let receipts = shown.iter().filter_map(|s| match &s.body {
        Body::Receipt(receipt) if s.common.issuer == p.old => Some(receipt.target),
        _ => None,
    });
    let targets: BTreeSet<StatementId> = receipts.collect();
    let ends = |s: &Statement| ended_custody(s, &p.old) >= Some(p.epoch);
    shown.retain(|s| {
        let counts = s.common.issuer == p.old || targets.contains(&s.id) || ends(s);
        s.common.dossier == dossier && counts
    });
    let ended = shown.iter().any(ends);
    let mut more: Vec<Vec<u8>> = shown.iter().map(|s| s.bytes().to_vec()).collect();
    let (chain, mut beside) = pending::rows(books, p.id)?;
    more.retain(|bytes| !chain.contains(bytes) && !beside.contains(bytes));
    if more.is_empty() || beside.len() + more.len() > BESIDE_MAX {
        return Ok((batch, Heard::Unproven));
    }
    for (at, bytes) in (beside.len() as u64..).zip(&more) {
        let key = staged_key(p.id, EXTRA_FROM + at);
        batch.expect.push(Expect::Absent(key.clone()));
        ledger::set(&mut batch, key, bytes.clone());
    }
    if ended {
        p.stage = Stage::Stopped;
        silence(office, p, &mut batch);
        loaded.save(&mut batch);
        return Ok((batch, Heard::Stopped));
    }
    beside.extend(more);
    let secrets = vault.open(dossier, &p.secrets).ok_or(DecideError::Rule("secrets-missing"))?;
    match build(office, books, dossier, &p.old, secrets.key, &chain, &beside) {
        Ok(found) => {
            (p.head, p.count) = (found.dossier.head(), found.dossier.length());
            p.need = found.need;
        }
        // It does not fit together any more: a person must look before anything is taken over.
        Err(DecideError::Rule(code)) if code.starts_with("takeover-") => p.stage = Stage::Stopped,
        Err(error) => return Err(error),
    }
    let stopped = p.stage == Stage::Stopped;
    if stopped {
        silence(office, p, &mut batch);
    } else {
        tell(office, p, from, &mut batch)?;
    }
    loaded.save(&mut batch);
    Ok((batch, if stopped { Heard::Stopped } else { Heard::More }))
}

/// Takes the notices out of the outbox.
fn silence(office: &Office<'_>, p: &Pending, batch: &mut Batch) {
    for member in office.members.iter() {
        let key = office::custody_outbox_key(&member.card.card.name, p.id, NOTICE_NUMBER);
        batch.put.push(Put::Delete(key));
    }
}

/// A dossier taken over: `install` first, in pieces and invisible, then `last`, which makes it count.
#[derive(Debug)]
pub struct TakenOver {
    /// The chain where the ledger keeps it.
    pub install: Vec<Batch>,
    /// The takeover, head record, secrets.
    pub last: Batch,
    /// The dossier, held here.
    pub dossier: Dossier,
    /// Profile of the person, where the clerk gave one.
    pub profile: Option<Vec<u8>>,
}

/// Takes a dossier over after its notice. Errors: `takeover-unknown`, `takeover-stopped`,
/// `takeover-notice` before the notice ended, `takeover-shorter`, `takeover-log-needed`, and those of
/// [`super::chain::assemble`].
pub fn complete(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    id: DossierId,
) -> Result<TakenOver, DecideError> {
    let rule = |code| Err(DecideError::Rule(code));
    if let Some(code) = office.closed() {
        return rule(code);
    }
    let mut loaded = Loaded::of(books, id)?.ok_or(DecideError::Rule("takeover-unknown"))?;
    let p = &loaded.pending;
    if p.stage == Stage::Stopped {
        return rule("takeover-stopped");
    }
    if office.now < p.ends {
        return rule("takeover-notice");
    }
    searched_right(office, &p.old, p.searched.as_ref())?;
    let secrets = vault.open(id, &p.secrets).ok_or(DecideError::Rule("secrets-missing"))?;
    let (chain, mut beside) = pending::rows(books, p.id)?;
    // Also what came here since: a peer may have given a restored node back what it had forgotten.
    held_here(books, id, &mut beside)?;
    let found = build(office, books, id, &p.old, secrets.key.clone(), &chain, &beside)?;
    found.whole()?;
    let mut appender = Appender::adopt(books, found.dossier, office.profile)?;
    let totals = appender.dossier().totals(office.profile);
    let body = Body::Takeover(Takeover {
        epoch: appender.dossier().epoch(),
        transfer: p.id,
        head: appender.dossier().head(),
        count: appender.dossier().length(),
        minutes: totals.counted,
        balance: totals.balance,
        from: p.old.clone(),
        searched: p.searched.as_ref().map(|(origin, size, _)| (origin.clone(), *size)),
        nullifier: secrets.key.nullifier(appender.dossier().epoch()),
        announced: p.announced,
        notice_ends: p.ends,
    });
    let statement = office.state(fresh, id, &body)?;
    appender.append(&statement)?;
    let (mut last, dossier) = appender.finish();
    ledger::set(&mut last, office::secrets_key(id), vault.close(id, &secrets, fresh.bytes32()));
    silence(office, p, &mut last);
    loaded.pending.stage = Stage::Completed;
    loaded.save(&mut last);
    let install = taking::install(id, &found.statements);
    Ok(TakenOver { install, last, dossier, profile: secrets.profile })
}

/// Gives a takeover up. Errors: `takeover-unknown`.
pub fn cancel(office: &Office<'_>, books: &dyn Books, id: DossierId) -> Result<Batch, DecideError> {
    let mut loaded = Loaded::of(books, id)?.ok_or(DecideError::Rule("takeover-unknown"))?;
    let mut batch = Batch::default();
    silence(office, &loaded.pending, &mut batch);
    loaded.pending.stage = Stage::Cancelled;
    loaded.save(&mut batch);
    Ok(batch)
}

/// What makes a bundle the volunteer's own: the dossier key, and this custodian's signature over epoch,
/// length and head (a receipt for the last statement, which is logged like every other). Also a node that
/// was succeeded hands its data over so. Errors: `fenced`, `dossier-unknown`, `dossier-moved`,
/// `secrets-missing`.
pub fn vouch(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    dossier: &Dossier,
    last: &Statement,
) -> Result<(Batch, Own), DecideError> {
    if office.fenced {
        return Err(DecideError::Rule("fenced"));
    }
    if *dossier.custody() != Custody::Open(office.me.clone()) {
        return Err(DecideError::Rule("dossier-moved"));
    }
    let id = dossier.id();
    let head = ledger::head_record(books, id)?.filter(|record| record.head == dossier.head());
    let head = head.ok_or(DecideError::Rule("dossier-unknown"))?;
    let key = office::secrets_key(id);
    let stored = books.get(key.table, &key.key)?;
    let secrets = stored.and_then(|stored| vault.open(id, &stored));
    let secrets = secrets.ok_or(DecideError::Rule("secrets-missing"))?;
    let receipt = office.state(
        fresh,
        id,
        &Body::Receipt(Receipt {
            target: last.id,
            outcome: Outcome::Accepted,
            reason: None,
            sequence: dossier.sequence_of(last.id),
            state: Some((dossier.epoch(), dossier.length(), dossier.head())),
        }),
    )?;
    let mut batch = Batch::default();
    batch.expect.push(Expect::Equals(ledger::head_key(id), head.encode()));
    if let Ok(entry) = Entry::of_statement(&receipt, None) {
        rows::wait(&mut batch, &entry);
    }
    Ok((batch, Own { key: secrets.key, receipt: receipt.bytes().to_vec() }))
}
