//! A custodian that is gone (DESIGN §6): the node that the roster names as its successor takes a dossier
//! over, from the volunteer's own bundle, the old data and what issuers hold.
//!
//! It goes in two acts. The *notice*: the chain is put together from what the old custodian signed
//! ([`chain`]), its log is searched for a seal ([`search`]), and every member is told ([`act::announce`]).
//! Thirty days later the *takeover*: a statement that stands where a seal would stand. Between the two
//! nobody may append, so that the balance is frozen; whoever holds a seal ends it, whoever holds a
//! newer signed head completes it ([`noticed`]). Objections are statements of the old custodian, never
//! the word of who brings them.

pub mod act;
pub mod chain;
pub mod pending;
pub mod search;

use std::collections::BTreeSet;

use crate::day::UnixTime;
use crate::id::DossierId;
use crate::ledger::{self, Books};
use crate::member::Members;
use crate::message::wire::ITEMS_MAX;
use crate::message::{Answer, Content, FUTURE_SECONDS_MAX, Message};
use crate::name::NodeName;
use crate::office::{DecideError, Decision, Office};
use crate::statement::{Body, Statement, Takeover};
use crate::store::{Table, scan_all};

pub use chain::Assembled;
pub use pending::{Pending, Stage};
pub use search::{Search, Searched};

/// How long all members are told before a dossier is taken over (DESIGN §6).
pub const NOTICE_SECONDS: i64 = 30 * 24 * 3600;

/// Whether the roster names the signer of a takeover as the successor of the node it speaks of, the log was
/// searched up to the checkpoint that counts, and the notice is over. `Err` is the reason code.
pub fn proven(
    members: &Members,
    issuer: &NodeName,
    body: &Takeover,
    now: UnixTime,
) -> Result<(), &'static str> {
    let Some((by, checkpoint)) = members.succession(&body.from, now) else { return Err("takeover-unproven") };
    let counts = checkpoint.map(|c| (c.origin.as_str(), c.size));
    if by != issuer || body.searched.as_ref().map(|(origin, size)| (origin.as_str(), *size)) != counts {
        return Err("takeover-unproven");
    }
    if body.notice_ends.0 > now.0.saturating_add(FUTURE_SECONDS_MAX) {
        return Err("takeover-notice");
    }
    Ok(())
}

/// Answers the notice of a successor: nothing to say, or the statements that speak against it: what ended
/// the custody it wants to take over, else receipts of the old custodian for a longer chain with what they
/// are for. Also a node that is read-only answers; one behind a fence forgot what it would have to say.
pub fn noticed(office: &Office<'_>, books: &dyn Books, message: &Message) -> Result<Decision, DecideError> {
    let Content::Notice { old, count, .. } = &message.content else {
        return Ok(Decision::refused("message-unexpected"));
    };
    if office.fenced {
        return Ok(Decision::answer(Answer::Busy));
    }
    if office.members.succession(old, office.now).is_none_or(|(by, _)| *by != message.from) {
        return Ok(Decision::refused("takeover-unproven"));
    }
    let items = objections(books, message.dossier, old, message.epoch, *count)?;
    Ok(Decision::answer(if items.is_empty() { Answer::Ok } else { Answer::Changes(items) }))
}

/// Epoch in which this statement ended the custody of `old`, where it did: its own seal, or a takeover from
/// it. A seal of anybody else says nothing without the one of `old` before it.
fn ended_custody(statement: &Statement, old: &NodeName) -> Option<u64> {
    match &statement.body {
        Body::Seal(seal) if statement.common.issuer == *old => Some(seal.epoch),
        Body::Takeover(takeover) if takeover.from == *old => Some(takeover.epoch),
        _ => None,
    }
}

fn objections(
    books: &dyn Books,
    dossier: DossierId,
    old: &NodeName,
    epoch: u64,
    count: u64,
) -> Result<Vec<Vec<u8>>, DecideError> {
    let mut links = Vec::new();
    let mut receipts = Vec::new();
    for table in [Table::Statement, Table::Beside] {
        scan_all::<DecideError>(books, table, dossier.as_bytes(), |_, bytes| {
            let Ok(statement) = Statement::parse(&bytes) else { return Ok(()) };
            match &statement.body {
                _ if ended_custody(&statement, old) >= Some(epoch) => links.push(bytes),
                Body::Receipt(receipt) if statement.common.issuer == *old => {
                    let newer = receipt.state.filter(|(e, length, _)| (*e, *length) > (epoch, count));
                    receipts.extend(newer.map(|(e, length, _)| (e, length, receipt.target, bytes)));
                }
                _ => {}
            }
            Ok(())
        })?;
    }
    if !links.is_empty() {
        links.truncate(ITEMS_MAX);
        return Ok(links);
    }
    receipts.sort();
    let mut items = Vec::new();
    let mut told = BTreeSet::new();
    for (_, _, target, receipt) in receipts {
        // A receipt and its statement go together, or the chain could not be completed with it.
        if items.len() + 2 > ITEMS_MAX {
            break;
        }
        items.push(receipt);
        if told.insert(target) {
            items.extend(ledger::statement(books, dossier, target)?);
        }
    }
    Ok(items)
}
