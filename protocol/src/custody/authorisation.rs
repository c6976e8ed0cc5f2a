//! Authorisation of a move by a code: issued after a real-name check for one dossier, epoch and
//! receiver, together with the consent of PIPL Art. 23; only its hash is kept.

use sha2::{Digest, Sha256};

use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::day::UnixTime;
use crate::id::{self, DossierId, IdError, StatementId};
use crate::ledger::LedgerError;
use crate::message::CODE_BYTES;
use crate::name::NodeName;
use crate::name::node_name;
use crate::store::{Key, Read, Table};

/// Wrong codes until the authorisation is spent (DESIGN §6.1).
pub const TRIES_MAX: u64 = 5;
/// Prefix of the code's text form.
pub const CODE_PREFIX: &str = "yc";

/// Key of the authorisation of a dossier; at most one at a time.
pub fn authorisation_key(dossier: DossierId) -> Key {
    Key::new(Table::Index, [&b"a"[..], dossier.as_bytes()].concat())
}

/// What a code stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRecord {
    /// SHA-256 of the code.
    pub hash: [u8; 32],
    /// Receiver.
    pub to: NodeName,
    /// Epoch it may end.
    pub epoch: u64,
    /// Until when.
    pub expires: UnixTime,
    /// Wrong codes so far.
    pub tries: u64,
    /// The consent recorded with it.
    pub consent: StatementId,
    /// Whether the profile goes along.
    pub with_profile: bool,
}

/// Hash under which a code is kept.
pub fn code_hash(dossier: DossierId, code: &[u8; CODE_BYTES]) -> [u8; 32] {
    Sha256::new().chain_update(b"yunling/code/1").chain_update(dossier.0).chain_update(code).finalize().into()
}

/// Text on the slip that the volunteer carries: dossier and code in one, with a checksum.
pub fn code_text(dossier: DossierId, code: &[u8; CODE_BYTES]) -> String {
    let text = id::to_text(CODE_PREFIX, &[dossier.as_bytes(), code].concat());
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(5).map(|c| c.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// Reads the slip.
pub fn parse_code(text: &str) -> Result<(DossierId, [u8; CODE_BYTES]), IdError> {
    let raw: [u8; 16 + CODE_BYTES] = id::from_text(CODE_PREFIX, text)?;
    let (mut dossier, mut code) = ([0; 16], [0; CODE_BYTES]);
    dossier.copy_from_slice(&raw[..16]);
    code.copy_from_slice(&raw[16..]);
    Ok((DossierId(dossier), code))
}

impl CodeRecord {
    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::bytes(self.hash))
            .put(3, cbor::text(self.to.as_str()))
            .put(4, cbor::int(self.epoch))
            .put(5, cbor::int(self.expires.0))
            .put(6, cbor::int(self.tries))
            .put(7, cbor::bytes(self.consent.0))
            .put_opt(8, self.with_profile.then_some(cbor::Value::Bool(true)));
        cbor::encode(&map.build())
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, 1024)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let record = Self {
            hash: f.array(2)?,
            to: node_name(&mut f, 3)?,
            epoch: f.uint(4)?,
            expires: UnixTime(f.int(5)?),
            tries: f.uint(6)?,
            consent: StatementId(f.array(7)?),
            with_profile: f.flag(8)?,
        };
        f.finish()?;
        Ok(record)
    }

    /// Loads the authorisation of a dossier with its stored bytes.
    pub fn load(
        read: &(impl Read + ?Sized),
        dossier: DossierId,
    ) -> Result<Option<(Self, Vec<u8>)>, LedgerError> {
        let key = authorisation_key(dossier);
        match read.get(key.table, &key.key)? {
            Some(bytes) => Ok(Some((Self::decode(&bytes)?, bytes))),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slip_is_read_back_and_a_typing_error_is_named() {
        let (dossier, code) = (DossierId([3; 16]), [9; CODE_BYTES]);
        let text = code_text(dossier, &code);
        assert_eq!(parse_code(&text.to_uppercase().replace('-', " ")), Ok((dossier, code)));
        let wrong = text.replacen('a', "b", 1);
        assert!(wrong == text || parse_code(&wrong).is_err());
    }
}
