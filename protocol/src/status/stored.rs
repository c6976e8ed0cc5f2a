//! Status list tokens in a node's store: its own and those of its peers, the newest of each address.
//!
//! A token may be larger than one value, so it lies in pieces under a heading that names its hash: a
//! mixture of two tokens is never given out.

use sha2::{Digest, Sha256};

use super::token::StatusToken;
use super::{StatusError, URI_BYTES_MAX, status_list_digest};
use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::day::UnixTime;
use crate::ledger::{self, LedgerError};
use crate::name::NodeName;
use crate::store::{Batch, Key, Put, Read, Table, scan_all};

/// Bytes of a token in one value; below the largest value.
const PIECE_BYTES: usize = 60 * 1024;
/// Most lists kept of one node: each holds some 800,000 proofs, and each restore begins one.
pub const LISTS_OF_ONE_MAX: usize = 64;

/// What is known of a stored token without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredList {
    /// Whose.
    pub issuer: NodeName,
    /// Its address.
    pub uri: String,
    /// When it was made.
    pub issued: UnixTime,
    /// When it first came here; the time its signature is judged by.
    pub received: UnixTime,
    /// What the log holds of it.
    pub digest: [u8; 32],
    /// Its length.
    pub bytes: usize,
}

fn key_of(kind: u8, issuer: &NodeName, uri: &str, piece: Option<u16>) -> Key {
    let mut key = vec![kind];
    key.extend_from_slice(issuer.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&Sha256::digest(uri.as_bytes())[..8]);
    key.extend(piece.into_iter().flat_map(u16::to_be_bytes));
    Key::new(Table::Proof, key)
}

/// Key of the heading of a stored token; a batch that writes one expects what it read there.
pub fn heading_key(issuer: &NodeName, uri: &str) -> Key {
    key_of(b't', issuer, uri, None)
}

impl StoredList {
    fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::text(self.issuer.as_str()))
            .put(3, cbor::text(self.uri.as_str()))
            .put(4, cbor::int(self.issued.0))
            .put(5, cbor::int(self.received.0))
            .put(6, cbor::bytes(self.digest))
            .put(7, cbor::int(self.bytes as u64));
        cbor::encode(&map.build())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, 1_024)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let stored = Self {
            issuer: crate::name::node_name(&mut f, 2)?,
            uri: f.text(3, URI_BYTES_MAX)?,
            issued: UnixTime(f.int(4)?),
            received: UnixTime(f.int(5)?),
            digest: f.array(6)?,
            bytes: usize::try_from(f.uint(7)?).map_err(|_| CborError::WrongType(7))?,
        };
        f.finish()?;
        Ok(stored)
    }
}

/// The headings of all stored tokens, or of those of one node.
pub fn stored_lists(
    read: &(impl Read + ?Sized),
    of: Option<&NodeName>,
) -> Result<Vec<StoredList>, LedgerError> {
    let mut prefix = vec![b't'];
    if let Some(name) = of {
        prefix.extend_from_slice(name.as_str().as_bytes());
        prefix.push(0);
    }
    let mut lists = Vec::new();
    scan_all::<LedgerError>(read, Table::Proof, &prefix, |key, bytes| {
        // Keys of a dossier whose id begins so hold other rows: only a heading stands under its own key.
        if let Ok(list) = StoredList::decode(&bytes)
            && heading_key(&list.issuer, &list.uri).key == key
        {
            lists.push(list);
        }
        Ok(())
    })?;
    Ok(lists)
}

/// One heading with its stored bytes.
pub fn stored_list(
    read: &(impl Read + ?Sized),
    issuer: &NodeName,
    uri: &str,
) -> Result<Option<(StoredList, Vec<u8>)>, LedgerError> {
    let key = heading_key(issuer, uri);
    match read.get(key.table, &key.key)? {
        Some(bytes) => Ok(Some((StoredList::decode(&bytes)?, bytes))),
        None => Ok(None),
    }
}

/// The bytes of a stored token; `None` when pieces are missing or do not fit its heading.
pub fn token_bytes(read: &(impl Read + ?Sized), list: &StoredList) -> Result<Option<Vec<u8>>, LedgerError> {
    let mut bytes = Vec::with_capacity(list.bytes.min(super::token::TOKEN_BYTES_MAX));
    for piece in 0..pieces(list.bytes) {
        let key = key_of(b'T', &list.issuer, &list.uri, Some(piece));
        let Some(part) = read.get(key.table, &key.key)? else { return Ok(None) };
        bytes.extend_from_slice(&part);
    }
    Ok((bytes.len() == list.bytes && status_list_digest(&bytes) == list.digest).then_some(bytes))
}

fn pieces(bytes: usize) -> u16 {
    u16::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u16::MAX)
}

/// Puts a verified token in the place of the one of its address, when it is newer. `None`: it is not,
/// or its node has too many lists.
pub fn store(
    read: &(impl Read + ?Sized),
    token: &StatusToken,
    received: UnixTime,
) -> Result<Option<Batch>, LedgerError> {
    let heading = &token.heading;
    let old = stored_list(read, &heading.issuer, &heading.uri)?;
    match &old {
        Some((old, _)) if old.issued >= heading.issued => return Ok(None),
        None if stored_lists(read, Some(&heading.issuer))?.len() >= LISTS_OF_ONE_MAX => return Ok(None),
        _ => {}
    }
    let list = StoredList {
        issuer: heading.issuer.clone(),
        uri: heading.uri.clone(),
        issued: heading.issued,
        received,
        digest: token.digest(),
        bytes: token.bytes().len(),
    };
    let mut batch = Batch::default();
    let key = heading_key(&list.issuer, &list.uri);
    batch.expect_read(key.table, key.key.clone(), old.as_ref().map(|(_, bytes)| bytes.as_slice()));
    ledger::set(&mut batch, key, list.encode());
    for (piece, part) in token.bytes().chunks(PIECE_BYTES).enumerate() {
        ledger::set(&mut batch, key_of(b'T', &list.issuer, &list.uri, Some(piece as u16)), part.to_vec());
    }
    let before = old.map_or(0, |(old, _)| pieces(old.bytes));
    for piece in pieces(list.bytes)..before {
        batch.put.push(Put::Delete(key_of(b'T', &list.issuer, &list.uri, Some(piece))));
    }
    Ok(Some(batch))
}

/// A stored token, parsed.
pub fn token(read: &(impl Read + ?Sized), list: &StoredList) -> Result<Option<StatusToken>, StatusError> {
    let bytes = token_bytes(read, list).map_err(|_| StatusError::Packed)?;
    bytes.map(|bytes| StatusToken::parse(&bytes)).transpose()
}
