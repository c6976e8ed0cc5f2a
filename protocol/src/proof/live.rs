//! Live proofs: given a place when they are issued, looked at again in the batch that changes their
//! dossier, superseded in the batch that seals it (DESIGN §8, PROOFS §4.4).
//!
//! Two things meet here that must not pass one another: a proof being issued and a statement being
//! appended. Issuing expects the head of the dossier; appending expects the count of its proofs. So
//! one of two that meet is decided again, and no proof stands on hours it was never compared with.

use super::rows::{self, OwnList, Place, Record};
use super::{Amount, Claims, issue as sign};
use crate::day::UnixTime;
use crate::dispute;
use crate::dossier::{Custody, Disputes, Dossier, Totals};
use crate::fresh::Fresh;
use crate::id::{DossierId, StatementId};
use crate::key::Signer;
use crate::ledger::{self, Books};
use crate::log;
use crate::office::{DecideError, Office};
use crate::profile::Profile;
use crate::statement::id_of;
use crate::status::{ENTRIES, Status, StatusRef};
use crate::store::{Batch, Expect, Read};

/// Most proofs of one dossier that may be live at once: all of them change in the one batch of a seal,
/// with four rows each.
pub const LIVE_MAX: usize = 1_000;
/// Draws for a free place before a list is taken to be full. A list is left when about four of five
/// places are given: then all draws meet given ones in one of fifty times.
const DRAWS: usize = 16;
/// Beginning of a list's URI at a node without an address of its own: the node name stands beside it in
/// proof and list, so it need not be repeated where 250 bytes must do.
pub const NAMELESS_BASE: &str = "yunling:s/";

/// Why a proof changed its status, where no clerk gave a reason.
pub mod reason {
    /// A void, correction or overlap took away what it states.
    pub const CLAIM_FAILS: &str = "claim-fails";
    /// The dossier holds a statement that only a newer version understands.
    pub const NEWER_STATEMENT: &str = "newer-statement";
    /// What stood against it is gone.
    pub const CLAIM_HOLDS: &str = "claim-holds";
    /// Custody moved.
    pub const MOVED: &str = "moved";
}

/// A proof made, not yet durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its text.
    pub text: String,
    /// Its place at this node, the code by which clerks name it.
    pub place: Place,
    /// What it states, with the place as verifiers see it.
    pub claims: Claims,
}

/// Issues a proof of a dossier held here: a place nobody had, the signature, the record.
///
/// `base` is the beginning of the URI of new lists. Errors: `fenced`, `dossier-moved`,
/// `dossier-unknown`, `proof-too-high` (the claim does not hold), `proof-many`.
pub fn issue(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    signer: &dyn Signer,
    base: &str,
    dossier: DossierId,
    claims: Claims,
) -> Result<(Batch, Issued), DecideError> {
    if office.fenced {
        return Err(DecideError::Rule("fenced"));
    }
    let head = ledger::head_key(dossier);
    let stored_head = books.get(head.table, &head.key)?.ok_or(DecideError::Rule("dossier-unknown"))?;
    let fold = books.dossier(dossier, office.profile)?.ok_or(DecideError::Rule("dossier-unknown"))?;
    match fold.custody() {
        Custody::Open(node) if node == office.me => {}
        _ => return Err(DecideError::Rule("dossier-moved")),
    }
    let disputes = dispute::of(office, books, &fold)?;
    if judge(&claims, fold.length(), &fold, office.profile, &disputes) != Status::Valid {
        return Err(DecideError::Rule("proof-too-high"));
    }
    let live = rows::records_of(books, dossier)?;
    if live.iter().filter(|(_, record, _)| record.is_live(office.now)).count() >= LIVE_MAX {
        return Err(DecideError::Rule("proof-many"));
    }
    let mut batch = Batch::default();
    batch.expect.push(Expect::Equals(head, stored_head));
    count_one(books, dossier, &mut batch)?;
    let (place, reference) = give_place(office, books, fresh, base, &mut batch)?;
    let claims = Claims { status: Some(reference), ..claims };
    let text = sign(signer, &claims)?;
    if let Ok(logged) = super::logged_id(&text) {
        log::rows::wait(&mut batch, &log::Entry::Signed(logged.0));
    }
    let hash = id_of(text.as_bytes());
    let record = Record {
        claims: Some(Claims { full_name: None, ..claims.clone() }),
        place,
        status: Status::Valid,
        since: office.now,
        reason: None,
        length: fold.length(),
        expires: claims.expires,
    };
    let owner = [dossier.as_bytes(), hash.as_bytes()].concat();
    for (key, value) in [(place.owner_key(), owner), (rows::record_key(dossier, hash), record.encode())] {
        batch.expect.push(Expect::Absent(key.clone()));
        ledger::set(&mut batch, key, value);
    }
    Ok((batch, Issued { text, place, claims }))
}

/// One more proof of this dossier; whoever appends to it at the same time decides again.
fn count_one(books: &dyn Books, dossier: DossierId, batch: &mut Batch) -> Result<(), DecideError> {
    let key = rows::count_key(dossier);
    let stored = books.get(key.table, &key.key)?;
    let count = stored.as_deref().and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
    batch.expect_read(key.table, key.key.clone(), stored.as_deref());
    ledger::set(batch, key, count.saturating_add(1).to_be_bytes().to_vec());
    Ok(())
}

/// A free place, drawn at random so that it says nothing about when it was given, in the newest list of
/// this life or in a new one.
fn give_place(
    office: &Office<'_>,
    books: &dyn Books,
    fresh: &mut Fresh,
    base: &str,
    batch: &mut Batch,
) -> Result<(Place, StatusRef), DecideError> {
    let newest = rows::newest_list(books)?;
    let open = newest.as_ref().filter(|list| list.generation == office.life.generation);
    if let Some(list) = open {
        for _ in 0..DRAWS {
            let place = Place { list: list.number, index: draw(fresh) };
            let key = place.owner_key();
            if books.get(key.table, &key.key)?.is_none() {
                return Ok((place, list.reference(place.index)));
            }
        }
    }
    let number = newest.as_ref().map_or(0, |list| list.number).saturating_add(1);
    let of_this_life = match open {
        None => 0,
        Some(_) => {
            let all = rows::own_lists(books)?;
            all.iter().filter(|list| list.generation == office.life.generation).count()
        }
    };
    let list = OwnList {
        number,
        generation: office.life.generation,
        uri: uri(base, office.life.generation, of_this_life),
    };
    let key = rows::list_key(number);
    batch.expect.push(Expect::Absent(key.clone()));
    ledger::set(batch, key, list.encode());
    let place = Place { list: number, index: draw(fresh) };
    Ok((place, list.reference(place.index)))
}

fn draw(fresh: &mut Fresh) -> u32 {
    let bytes = fresh.bytes32();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) % ENTRIES
}

/// URI of a list: the generation of the life that opened it, and a running number from the second on.
/// Two lives never use one URI, though the later one forgot the lists of the earlier.
fn uri(base: &str, generation: u64, before: usize) -> String {
    if before == 0 { format!("{base}{generation}") } else { format!("{base}{generation}-{}", before + 1) }
}

/// What has become of a claim made when the chain had `length` statements.
///
/// *At least N*: the hours counted today must reach N. *Exactly N*: what stood then must still come to
/// N, and to the same minutes of each recorder named, whatever came since. What is in dispute counts for neither. A period named must lie
/// within the days counted, and each recorder named must have recorded something.
pub fn judge(
    claims: &Claims,
    length: u64,
    dossier: &Dossier,
    profile: &Profile,
    disputes: &Disputes,
) -> Status {
    if dossier.unknown_critical().is_some() {
        return Status::Suspended;
    }
    let now = dossier.totals_within(profile, u64::MAX, disputes);
    let holds = match claims.amount {
        Amount::AtLeast(minutes) => now.counted >= minutes && describes(claims, &now),
        Amount::Exact(minutes) => {
            let then = dossier.totals_within(profile, length, disputes);
            let same = then.counted == minutes && now.counted >= minutes;
            same && describes(claims, &then)
        }
    };
    if holds { Status::Valid } else { Status::Revoked }
}

fn describes(claims: &Claims, totals: &Totals) -> bool {
    let within = claims.days.is_none_or(|(first, last)| {
        totals.days.is_some_and(|(earliest, latest)| earliest <= first && last <= latest)
    });
    let recorded = claims.recorders.iter().all(|(node, minutes)| {
        let found = totals.by_issuer.get(node).filter(|m| m.0 > 0);
        found.is_some_and(|found| minutes.is_none_or(|stated| stated == *found))
    });
    within && recorded
}

/// Looks at the live proofs of a dossier again after statements were appended, and puts what changes
/// into the batch of the append. Returns how many changed.
pub fn recheck(
    office: &Office<'_>,
    books: &dyn Books,
    after: &Dossier,
    batch: &mut Batch,
) -> Result<usize, DecideError> {
    let mut changed = 0;
    let live = expect_live(office, books, after.id(), batch)?;
    if live.is_empty() {
        return Ok(0);
    }
    let disputes = dispute::of(office, books, after)?;
    for (hash, record, stored) in live {
        let Some(claims) = &record.claims else { continue };
        let next = judge(claims, record.length, after, office.profile, &disputes);
        if !record.status.may_become(next) {
            continue;
        }
        let why = match next {
            Status::Suspended => reason::NEWER_STATEMENT,
            Status::Valid => reason::CLAIM_HOLDS,
            _ => reason::CLAIM_FAILS,
        };
        change(office.now, after.id(), hash, record, stored, next, why, batch);
        changed += 1;
    }
    Ok(changed)
}

/// Supersedes every live proof of a dossier, in the batch that seals it.
pub fn supersede(
    office: &Office<'_>,
    books: &dyn Books,
    dossier: DossierId,
    batch: &mut Batch,
) -> Result<usize, DecideError> {
    let live = expect_live(office, books, dossier, batch)?;
    let count = live.len();
    for (hash, record, stored) in live {
        change(office.now, dossier, hash, record, stored, Status::Superseded, reason::MOVED, batch);
    }
    Ok(count)
}

/// The live proofs of a dossier; the batch expects that none is issued meanwhile.
fn expect_live(
    office: &Office<'_>,
    books: &dyn Books,
    dossier: DossierId,
    batch: &mut Batch,
) -> Result<Vec<(StatementId, Record, Vec<u8>)>, DecideError> {
    let key = rows::count_key(dossier);
    let stored = books.get(key.table, &key.key)?;
    batch.expect_read(key.table, key.key, stored.as_deref());
    if stored.is_none() {
        return Ok(Vec::new());
    }
    let mut live = rows::records_of(books, dossier)?;
    live.retain(|(_, record, _)| record.is_live(office.now));
    Ok(live)
}

/// Withdraws one proof for ever, by an act of this office. Errors: `fenced`, `proof-not-ours`,
/// `proof-already-revoked`.
pub fn revoke(
    office: &Office<'_>,
    books: &dyn Books,
    dossier: DossierId,
    hash: StatementId,
    why: &str,
) -> Result<(Batch, Record), DecideError> {
    if office.fenced {
        return Err(DecideError::Rule("fenced"));
    }
    let (record, stored) =
        rows::record_of(books, dossier, hash)?.ok_or(DecideError::Rule("proof-not-ours"))?;
    if !record.status.may_become(Status::Revoked) {
        return Err(DecideError::Rule("proof-already-revoked"));
    }
    let mut batch = Batch::default();
    change(office.now, dossier, hash, record.clone(), stored, Status::Revoked, why, &mut batch);
    Ok((batch, record))
}

/// Writes a change of status: the record, the place's status, and, unless it waits for a fixed hour,
/// that it must show at once.
#[allow(clippy::too_many_arguments)]
fn change(
    now: UnixTime,
    dossier: DossierId,
    hash: StatementId,
    record: Record,
    stored: Vec<u8>,
    next: Status,
    why: &str,
    batch: &mut Batch,
) {
    let place = record.place;
    let key = rows::record_key(dossier, hash);
    batch.expect.push(Expect::Equals(key.clone(), stored));
    let record = Record { status: next, since: now, reason: Some(why.to_owned()), ..record };
    ledger::set(batch, key, record.encode());
    ledger::set(batch, place.status_key(), status_row(next, now));
    if next != Status::Superseded {
        ledger::set(batch, place.urgent_key(), Vec::new());
    }
}

/// Status and since when, as the list is made from.
pub(crate) fn status_row(status: Status, since: UnixTime) -> Vec<u8> {
    [&[status as u8][..], &since.0.to_be_bytes()].concat()
}

/// Reads [`status_row`].
pub(crate) fn read_status_row(bytes: &[u8]) -> Option<(Status, UnixTime)> {
    let (status, since) = bytes.split_first()?;
    Some((Status::from_number(*status)?, UnixTime(i64::from_be_bytes(since.try_into().ok()?))))
}

/// Where the record of a superseded proof went: when it moved, and who holds it now as far as this
/// node knows. Told to who shows the proof, and only once the published list shows it as superseded,
/// which is what `shown_since` (the last fixed hour) is for.
pub fn moved_to(
    read: &(impl Read + ?Sized),
    place: Place,
    hash: StatementId,
    shown_since: UnixTime,
) -> Result<Option<(UnixTime, crate::name::NodeName)>, DecideError> {
    let Some((dossier, owner)) = rows::owner_of(read, place)? else { return Ok(None) };
    let Some((record, _)) = rows::record_of(read, dossier, hash)?.filter(|_| owner == hash) else {
        return Ok(None);
    };
    if record.status != Status::Superseded || record.since > shown_since {
        return Ok(None);
    }
    let holder = match ledger::head_record(read, dossier)?.map(|head| head.custody) {
        Some(Custody::Open(node)) => Some(node),
        Some(Custody::Sealed { next, .. }) => {
            Some(crate::register::custodian_of(read, dossier)?.unwrap_or(next))
        }
        _ => None,
    };
    Ok(holder.map(|holder| (record.since, holder)))
}
