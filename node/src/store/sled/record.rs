//! How a record lies in the tree: its key, and its value with a version and a checksum.
//!
//! The engine's own checksums cover what it writes; ours also shows a value that the engine gives
//! back for another key or an older page. A record that does not match is never given out.

use sha2::{Digest, Sha256};
use yunling_protocol::store::{Key, StoreError, Table, prefix_end};

use super::OWNER_KEY;
use super::form::FORM;

/// Version of the form below, the first byte of every value. In the owner's record, otherwise the same, it
/// is the form of the store ([`FORM`]): who does not know it reads the owner first and goes no further.
const VERSION: u8 = 1;

/// Bytes of the checksum: chance finds a match in one of 2^64 damaged values.
const CHECK_BYTES: usize = 8;

/// Bytes before the value.
pub(super) const HEAD_BYTES: usize = 1 + CHECK_BYTES;

/// The key in the tree: the table's number, then the key.
pub(super) fn raw_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(1 + key.len());
    raw.push(table.number());
    raw.extend_from_slice(key);
    raw
}

/// The first key of the tree behind all that begin with `raw_prefix`.
pub(super) fn raw_end(raw_prefix: &[u8]) -> Vec<u8> {
    // A raw prefix begins with a table's number, far below the byte that has no successor.
    prefix_end(raw_prefix).unwrap_or_else(|| vec![u8::MAX; raw_prefix.len() + 1])
}

/// The stored form of a value.
pub(super) fn encode(raw_key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(HEAD_BYTES + value.len());
    stored.push(if is_owner(raw_key) { FORM } else { VERSION });
    stored.extend_from_slice(&checksum(raw_key, value));
    stored.extend_from_slice(value);
    stored
}

/// The value of a stored form, if it is whole and lies at the right key.
pub(super) fn decode(raw_key: &[u8], stored: &[u8]) -> Result<Vec<u8>, StoreError> {
    let whole = match stored.split_at_checked(HEAD_BYTES) {
        Some((head, value)) if known(raw_key, head[0]) && head[1..] == checksum(raw_key, value) => value,
        _ => return Err(StoreError::Damaged { key: key_of(raw_key) }),
    };
    Ok(whole.to_vec())
}

fn is_owner(raw_key: &[u8]) -> bool {
    raw_key.split_first() == Some((&Table::Meta.number(), OWNER_KEY))
}

fn known(raw_key: &[u8], version: u8) -> bool {
    version == VERSION || is_owner(raw_key) && (VERSION..=FORM).contains(&version)
}

/// The checksum in a stored form as it lies there, right or wrong; 0 where there is none.
pub(super) fn check_of(stored: &[u8]) -> u64 {
    let check = stored.get(1..).and_then(<[u8]>::first_chunk::<CHECK_BYTES>);
    check.map_or(0, |check| u64::from_be_bytes(*check))
}

fn key_of(raw_key: &[u8]) -> Key {
    let (number, key) = raw_key.split_first().unwrap_or((&0, &[]));
    Key::new(Table::from_number(*number).unwrap_or(Table::Meta), key)
}

fn checksum(raw_key: &[u8], value: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new()
        .chain_update(b"yunling/record/1")
        .chain_update([raw_key.len() as u8])
        .chain_update(raw_key)
        .chain_update(value)
        .finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_value_keeps_its_bytes_for_ever() {
        let key = raw_key(Table::Chain, &[0xAA, 0xBB]);
        let stored = encode(&key, b"value");
        assert_eq!(data_encoding::HEXLOWER.encode(&stored), "01707857eac76dea3076616c7565");
        assert_eq!(decode(&key, &stored), Ok(b"value".to_vec()));
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_seen() {
        let key = raw_key(Table::Chain, &[1]);
        let stored = encode(&key, b"ab");
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&key, &bad).is_err(), "bit {bit}");
        }
        for len in 0..stored.len() {
            assert!(decode(&key, &stored[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn a_value_at_another_key_is_damaged() {
        let stored = encode(&raw_key(Table::Chain, &[1]), b"ab");
        let error = decode(&raw_key(Table::Head, &[1]), &stored);
        let key = Key::new(Table::Head, [1]);
        assert_eq!(error, Err(StoreError::Damaged { key }));
    }
}
