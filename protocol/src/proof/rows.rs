//! What a node keeps of the proofs it issued, in table `proof`.
//!
//! | key | value |
//! |---|---|
//! | dossier | how many proofs were ever issued of it; each act on them expects it |
//! | dossier, hash of the text | [`Record`]; a bare text in stores before there were lists, not read any more |
//! | `x`, list, place | dossier and hash: a place is given once, and for ever |
//! | `s`, list, place | status and since when, where it is not *valid as issued* |
//! | `u`, list, place | a change that the published list does not show yet and must show at once |
//! | `l`, list | generation of the node's life that opened it, its URI |
//! | `t`, node, hash of a URI | heading of a stored list token ([`crate::status::stored`]) |
//! | `T`, node, hash of a URI, piece | its bytes |
//!
//! A dossier id has 16 bytes; the other keys are shorter or longer than those that begin with one.

use super::{Claims, PREFIX, TOKEN_BYTES_MAX, decode_claims, encode_claims};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::day::UnixTime;
use crate::id::{DossierId, StatementId};
use crate::ledger::LedgerError;
use crate::statement::attestation::SHORT_TEXT_BYTES_MAX;
use crate::status::{Status, StatusRef, URI_BYTES_MAX};
use crate::store::{Batch, Expect, Key, Put, Read, Table};

/// How the keys of lists begin: their numbers are small, so two zero bytes follow, as hardly any
/// dossier id has after this letter.
const LISTS: &[u8] = b"l\0\0";

/// A place in one of this node's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the list at this node, from 1.
    pub list: u32,
    /// Place in it.
    pub index: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.list, self.index)
    }
}

impl Place {
    /// Reads `list/place`, the code by which clerks name a proof.
    pub fn parse(text: &str) -> Option<Self> {
        let (list, index) = text.trim().split_once('/')?;
        let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok()).flatten();
        Some(Self { list: number(list)?, index: number(index)? })
    }

    fn key(self, kind: u8) -> Key {
        let (list, index) = (self.list.to_be_bytes(), self.index.to_be_bytes());
        Key::new(Table::Proof, [&[kind][..], &list, &index].concat())
    }

    /// Key of who has the place.
    pub fn owner_key(self) -> Key {
        self.key(b'x')
    }

    /// Key of its status.
    pub fn status_key(self) -> Key {
        self.key(b's')
    }

    /// Key of a change that must show at once.
    pub fn urgent_key(self) -> Key {
        self.key(b'u')
    }

    /// The index of a key of one list; `None` for a longer key, which belongs to a dossier.
    pub(crate) fn index_of(key: &[u8]) -> Option<u32> {
        key.get(5..)?.try_into().ok().map(u32::from_be_bytes)
    }
}

/// Prefix of the rows of `kind` (`s`, `u`, `x`) of one list.
pub(crate) fn list_prefix(kind: u8, list: u32) -> Vec<u8> {
    [&[kind][..], &list.to_be_bytes()].concat()
}

/// Whether a key marks a change that must show at once.
pub fn is_urgent(key: &Key) -> bool {
    key.table == Table::Proof && key.key.len() == 9 && key.key.first() == Some(&b'u')
}

/// Key of the count of proofs of a dossier.
pub fn count_key(dossier: DossierId) -> Key {
    Key::new(Table::Proof, dossier.as_bytes().to_vec())
}

/// Key of a proof by the hash of its text.
pub fn record_key(dossier: DossierId, hash: StatementId) -> Key {
    Key::new(Table::Proof, [dossier.as_bytes(), hash.as_bytes()].concat())
}

/// Key of a list.
pub fn list_key(list: u32) -> Key {
    Key::new(Table::Proof, [&b"l"[..], &list.to_be_bytes()].concat())
}

/// A proof this node issued. The name it may show is not kept, nor its signature: what is looked at
/// again are minutes, days and recorders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it states, without the name; `None` once the rest of a dossier that moved away is
    /// destroyed here.
    pub claims: Option<Claims>,
    /// Its place in a list.
    pub place: Place,
    /// What became of it.
    pub status: Status,
    /// Since when.
    pub since: UnixTime,
    /// Why: a word of this program, or what a clerk gave.
    pub reason: Option<String>,
    /// Statements in the dossier's chain when it was issued.
    pub length: u64,
    /// Past this nobody takes it any more.
    pub expires: UnixTime,
}

impl Record {
    /// Whether something may still come to it: not withdrawn, not moved away, not over.
    pub fn is_live(&self, now: UnixTime) -> bool {
        matches!(self.status, Status::Valid | Status::Suspended) && self.expires > now
    }

    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put_opt(2, self.claims.as_ref().map(|claims| cbor::bytes(encode_claims(claims))))
            .put(3, cbor::int(self.place.list))
            .put(4, cbor::int(self.place.index))
            .put(5, cbor::int(self.status as u8))
            .put(6, cbor::int(self.since.0))
            .put_opt(7, self.reason.as_ref().map(|r| cbor::text(r.as_str())))
            .put(8, cbor::int(self.length))
            .put(9, cbor::int(self.expires.0));
        cbor::encode(&map.build())
    }

    /// Decodes; `None` for a bare text, which has no place.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, CborError> {
        if bytes.starts_with(PREFIX.as_bytes()) {
            return Ok(None);
        }
        let mut f = Fields::open(cbor::decode(bytes, TOKEN_BYTES_MAX + SHORT_TEXT_BYTES_MAX + 256)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let claims = f.opt_bytes(2, TOKEN_BYTES_MAX)?;
        let small = |value: u64, label| u32::try_from(value).map_err(|_| CborError::WrongType(label));
        let record = Self {
            claims: claims.map(|bytes| own_claims(&bytes)).transpose()?,
            place: Place { list: small(f.uint(3)?, 3)?, index: small(f.uint(4)?, 4)? },
            status: u8::try_from(f.uint(5)?)
                .ok()
                .and_then(Status::from_number)
                .ok_or(CborError::WrongType(5))?,
            since: UnixTime(f.int(6)?),
            reason: f.opt_text(7, SHORT_TEXT_BYTES_MAX)?,
            length: f.uint(8)?,
            expires: UnixTime(f.int(9)?),
        };
        f.finish()?;
        Ok(Some(record))
    }
}

/// Claims as this version writes them: what a proof of others may hold beside them is not in a row.
fn own_claims(bytes: &[u8]) -> Result<Claims, CborError> {
    let claims = decode_claims(bytes).map_err(|_| CborError::WrongType(2))?;
    if encode_claims(&claims) == bytes { Ok(claims) } else { Err(CborError::NotReproducible) }
}

/// A list this node opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnList {
    /// Its number, from 1.
    pub number: u32,
    /// Generation of the life that opened it: a restored node gives no place in a list of before, for
    /// it forgot which ones it gave.
    pub generation: u64,
    /// Its URI.
    pub uri: String,
}

impl OwnList {
    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let items = vec![cbor::int(1), cbor::int(self.generation), cbor::text(self.uri.as_str())];
        cbor::encode(&Value::Array(items))
    }

    /// Decodes the list under `key`.
    pub fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, CborError> {
        let shape = CborError::Shape("a list of proofs");
        let Value::Array(items) = cbor::decode(bytes, URI_BYTES_MAX + 64)? else { return Err(shape) };
        let number = key.get(1..).and_then(|k| k.try_into().ok()).map(u32::from_be_bytes);
        let Ok::<[Value; 3], _>([version, generation, uri]) = items.try_into() else { return Err(shape) };
        if cbor::as_uint(&version, 1)? != 1 {
            return Err(shape);
        }
        Ok(Self {
            number: number.ok_or(shape)?,
            generation: cbor::as_uint(&generation, 2)?,
            uri: cbor::as_text(uri, 3, URI_BYTES_MAX)?,
        })
    }

    /// How a proof names a place in it.
    pub fn reference(&self, index: u32) -> StatusRef {
        StatusRef { index, uri: self.uri.clone() }
    }
}

/// The newest list, `None` before the first proof.
pub fn newest_list(read: &(impl Read + ?Sized)) -> Result<Option<OwnList>, LedgerError> {
    match read.last(Table::Proof, LISTS)? {
        Some((key, bytes)) if key.len() == 5 => Ok(Some(OwnList::decode(&key, &bytes)?)),
        // A dossier id may begin so too; its keys are longer.
        Some(_) => Ok(own_lists(read)?.pop()),
        None => Ok(None),
    }
}

/// All lists of this node in order of number.
pub fn own_lists(read: &(impl Read + ?Sized)) -> Result<Vec<OwnList>, LedgerError> {
    let mut lists = Vec::new();
    crate::store::scan_all::<LedgerError>(read, Table::Proof, LISTS, |key, bytes| {
        if key.len() == 5 {
            lists.push(OwnList::decode(&key, &bytes)?);
        }
        Ok(())
    })?;
    Ok(lists)
}

/// Who has a place: dossier and hash of the proof.
pub fn owner_of(
    read: &(impl Read + ?Sized),
    place: Place,
) -> Result<Option<(DossierId, StatementId)>, LedgerError> {
    let key = place.owner_key();
    let Some(bytes) = read.get(key.table, &key.key)? else { return Ok(None) };
    let Some((dossier, hash)) = bytes.split_first_chunk::<16>() else { return Ok(None) };
    Ok(hash.try_into().ok().map(|hash| (DossierId(*dossier), StatementId(hash))))
}

/// The proof that `hash` names in a dossier, with its stored bytes.
pub fn record_of(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
    hash: StatementId,
) -> Result<Option<(Record, Vec<u8>)>, LedgerError> {
    let key = record_key(dossier, hash);
    let Some(bytes) = read.get(key.table, &key.key)? else { return Ok(None) };
    Ok(Record::decode(&bytes)?.map(|record| (record, bytes)))
}

/// Takes what proofs state out of the rows of a dossier whose rest is destroyed here, at most `most` of
/// them, and old bare texts whole; place and status stay, so that its list goes on saying them. How
/// many there were.
pub fn strip(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
    most: usize,
    batch: &mut Batch,
) -> Result<usize, LedgerError> {
    let mut stripped = 0;
    crate::store::scan_all::<LedgerError>(read, Table::Proof, dossier.as_bytes(), |key, bytes| {
        if key.len() != 48 || stripped == most {
            return Ok(());
        }
        let key = Key::new(Table::Proof, key);
        match Record::decode(&bytes)? {
            Some(record) if record.claims.is_none() => return Ok(()),
            Some(record) => {
                batch.expect.push(Expect::Equals(key.clone(), bytes));
                batch.put.push(Put::Set(key, Record { claims: None, ..record }.encode()));
            }
            None => batch.put.push(Put::Delete(key)),
        }
        stripped += 1;
        Ok(())
    })?;
    Ok(stripped)
}

/// Every proof of a dossier that has a place, with its stored bytes, in order of hash.
pub fn records_of(
    read: &(impl Read + ?Sized),
    dossier: DossierId,
) -> Result<Vec<(StatementId, Record, Vec<u8>)>, LedgerError> {
    let mut all = Vec::new();
    crate::store::scan_all::<LedgerError>(read, Table::Proof, dossier.as_bytes(), |key, bytes| {
        let hash = key.get(16..).and_then(|rest| <[u8; 32]>::try_from(rest).ok());
        if let (Some(hash), Some(record)) =
            (hash, if key.len() == 48 { Record::decode(&bytes)? } else { None })
        {
            all.push((StatementId(hash), record, bytes));
        }
        Ok(())
    })?;
    Ok(all)
}
