//! Hours in dispute: what a suspended issuer attested after the date it is suspended from (DESIGN §4).
//!
//! Not part of the fold, which depends on statements alone: it is laid over the sums where they are shown
//! and proven, and is gone when the suspension is lifted. The time that counts is when this node received
//! the attestation, never a date inside it: its own receipt says so, else its own statement that took the
//! dossier in. What nothing dates was received no earlier than now.

use std::collections::BTreeMap;

use crate::day::UnixTime;
use crate::dossier::{Disputes, Dossier};
use crate::ledger::{self, LedgerError};
use crate::name::NodeName;
use crate::office::Office;
use crate::roster::Verdict;
use crate::statement::{Body, Statement};
use crate::store::Read;

/// The attestations of a dossier that are in dispute now; none unless an issuer in it is suspended.
pub fn of(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    dossier: &Dossier,
) -> Result<Disputes, LedgerError> {
    let mut suspended: BTreeMap<&NodeName, Option<UnixTime>> = BTreeMap::new();
    for hour in dossier.hours().values() {
        suspended.entry(&hour.issuer).or_insert_with(|| {
            match office.members.state(&hour.issuer, office.now) {
                Verdict::Suspended { from } => Some(from),
                _ => None,
            }
        });
    }
    let mut disputes = Disputes::new();
    if suspended.values().all(Option::is_none) {
        return Ok(disputes);
    }
    let taken_in = taken_in(office, read, dossier)?;
    for (id, hour) in dossier.hours() {
        let Some(Some(from)) = suspended.get(&hour.issuer) else { continue };
        let key = ledger::beside_key(dossier.id(), *id);
        let beside = read.get(key.table, &key.key)?.and_then(|bytes| Statement::parse(&bytes).ok());
        let receipt = beside.filter(|r| r.common.issuer == *office.me).map(|r| r.common.issued_at);
        let copied = taken_in.range(hour.sequence..).next().map(|(_, at)| *at);
        if receipt.or(copied).unwrap_or(office.now) >= *from {
            disputes.insert(*id);
        }
    }
    Ok(disputes)
}

/// Where in the chain, and when, this node took the dossier in: everything before was in the copy.
fn taken_in(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    dossier: &Dossier,
) -> Result<BTreeMap<u64, UnixTime>, LedgerError> {
    let mut taken = BTreeMap::new();
    for link in dossier.seals() {
        let Some(place) = dossier.sequence_of(*link) else { continue };
        // A takeover took it in itself; a seal is followed by what the next custodian received.
        for bytes in ledger::chain(read, dossier.id(), place, 2)? {
            let statement = Statement::parse(&bytes)?;
            let takes = matches!(statement.body, Body::Takeover(_) | Body::Received(_));
            if takes && statement.common.issuer == *office.me {
                taken.insert(place, statement.common.issued_at);
            }
        }
    }
    Ok(taken)
}
