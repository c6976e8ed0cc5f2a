//! Making this node's lists: from the stored changes, at fixed hours and at once where it protects.

use super::list::StatusList;
use super::schedule::{due, last_fixed, shows};
use super::stored::{self, StoredList};
use super::token::{Heading, StatusToken, sign};
use super::{ENTRIES, LIST_SECONDS, Status, TTL_SECONDS};
use crate::day::UnixTime;
use crate::key::Signer;
use crate::ledger::LedgerError;
use crate::office::{DecideError, Office};
use crate::proof::live::read_status_row;
use crate::proof::rows::{OwnList, Place, list_prefix, own_lists};
use crate::store::{Batch, Key, Put, Read, Table, scan_all};

/// A list made, to be durable before anybody gets it.
#[derive(Debug)]
pub struct Published {
    /// The new token in the place of the old one; what it shows is no longer waiting.
    pub batch: Batch,
    /// The token.
    pub token: StatusToken,
}

/// Addresses of all lists this node answers for, each with the list it opened under it. A list that a
/// restored node forgot it opened, and got back from a peer, has none: it is made again as it was.
pub fn addresses(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
) -> Result<Vec<(String, Option<OwnList>)>, LedgerError> {
    let mut all: Vec<_> = own_lists(read)?.into_iter().map(|list| (list.uri.clone(), Some(list))).collect();
    for stored in stored::stored_lists(read, Some(office.me))? {
        if all.iter().all(|(uri, _)| *uri != stored.uri) {
            all.push((stored.uri, None));
        }
    }
    Ok(all)
}

/// Makes the list at one address when it is due, `None` when it is not. A fenced node makes none: it
/// may have forgotten a revocation, and its last list stands at its peers.
pub fn publish(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    signer: &dyn Signer,
    hours: &[u32],
    uri: &str,
    own: Option<&OwnList>,
) -> Result<Option<Published>, DecideError> {
    if office.fenced {
        return Ok(None);
    }
    let before = stored::stored_list(read, office.me, uri)?.map(|(list, _)| list);
    let urgent = own.map_or(Ok(vec![]), |own| keys_of(read, b'u', own.number))?;
    let fixed = last_fixed(office.now, hours);
    let made = before.as_ref().map(|list| list.issued);
    if !due(made, fixed, !urgent.is_empty()) {
        return Ok(None);
    }
    let list = compose(read, before.as_ref(), own, fixed)?;
    // Newer than the one it replaces, also when both are made within a second or the clock went back.
    let issued = UnixTime(made.map_or(office.now.0, |made| office.now.0.max(made.0.saturating_add(1))));
    let heading = Heading {
        issuer: office.me.clone(),
        uri: uri.to_owned(),
        issued,
        expires: UnixTime(issued.0.saturating_add(LIST_SECONDS)),
        ttl: TTL_SECONDS,
    };
    let bytes = sign(signer, &heading, &list)?;
    let token = StatusToken::parse(&bytes).map_err(|e| DecideError::Rule(e.code()))?;
    let Some(mut batch) = stored::store(read, &token, office.now)? else { return Ok(None) };
    batch.put.extend(urgent.into_iter().map(Put::Delete));
    Ok(Some(Published { batch, token }))
}

fn keys_of(read: &(impl Read + ?Sized), kind: u8, list: u32) -> Result<Vec<Key>, LedgerError> {
    let mut keys = Vec::new();
    scan_all::<LedgerError>(read, Table::Proof, &list_prefix(kind, list), |key, _| {
        keys.extend(Place::index_of(&key).map(|_| Key::new(Table::Proof, key)));
        Ok(())
    })?;
    // A batch has a limit; what is left over stays urgent and makes the next list due.
    keys.truncate(URGENT_MAX);
    Ok(keys)
}

/// Most urgent marks taken away with one list.
const URGENT_MAX: usize = 8_192;

/// The list as it is to be shown: what was shown before, and over it every change that may show now.
/// What was shown before counts also where no change is stored: a restored node forgot it.
fn compose(
    read: &(impl Read + ?Sized),
    before: Option<&StoredList>,
    own: Option<&OwnList>,
    fixed: UnixTime,
) -> Result<StatusList, DecideError> {
    let shown = before.map(|list| stored::token(read, list)).transpose();
    let shown = shown.map_err(|e| DecideError::Rule(e.code()))?.flatten();
    let mut list = shown.map_or_else(StatusList::new, |token| token.list().clone());
    let Some(own) = own else { return Ok(list) };
    scan_all::<DecideError>(read, Table::Proof, &list_prefix(b's', own.number), |key, bytes| {
        let Some((index, (status, since))) = Place::index_of(&key).zip(read_status_row(&bytes)) else {
            return Ok(());
        };
        let place = u64::from(index);
        let now = list.status(place).unwrap_or(Status::Valid);
        if index < ENTRIES && shows(status, since, fixed) && now.may_become(status) {
            list.set(place, status).map_err(|e| DecideError::Rule(e.code()))?;
        }
        Ok(())
    })?;
    Ok(list)
}
