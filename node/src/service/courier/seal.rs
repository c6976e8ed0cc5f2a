//! Closing a parcel to the encryption key of a card and opening it with the key of this home, in the
//! age format. The keys are raw X25519; age takes them in their text form only.

use std::io::{Read as _, Write as _};

use age::x25519;
use bech32::{Bech32, Hrp};
use yunling_protocol::courier::{FILE_BYTES_MAX, PARCEL_BYTES_MAX};
use zeroize::Zeroizing;

use super::Refusal;

/// What stands before a public key and before a secret one.
const PUBLIC: Hrp = Hrp::parse_unchecked("age");
const SECRET: Hrp = Hrp::parse_unchecked("age-secret-key-");

/// Closes a parcel so that only the owner of `key` opens it.
pub(super) fn close(parcel: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, Refusal> {
    let internal = |cause: String| Refusal::new("internal").with("cause", cause);
    let text = bech32::encode::<Bech32>(PUBLIC, key).map_err(|e| internal(e.to_string()))?;
    let recipient: x25519::Recipient = text.parse().map_err(|e: &str| internal(e.to_owned()))?;
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        .map_err(|e| internal(e.to_string()))?;
    let mut closed = Vec::with_capacity(parcel.len() + 1_024);
    let mut stream = encryptor.wrap_output(&mut closed).map_err(|e| internal(e.to_string()))?;
    stream.write_all(parcel).and_then(|()| stream.finish()).map_err(|e| internal(e.to_string()))?;
    Ok(closed)
}

/// Opens a closed parcel with the secret of this home's encryption key.
pub(super) fn open(closed: &[u8], seed: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let damaged = |cause: String| Refusal::new("courier-damaged").with("what", format!("parcel: {cause}"));
    let lower = Zeroizing::new(bech32::encode::<Bech32>(SECRET, seed).map_err(|e| damaged(e.to_string()))?);
    let text = Zeroizing::new(lower.to_uppercase());
    let identity: x25519::Identity = text.parse().map_err(|e: &str| damaged(e.to_owned()))?;
    let decryptor = age::Decryptor::new_buffered(closed).map_err(|e| damaged(e.to_string()))?;
    let opened = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity));
    let stream = opened.map_err(|e| match e {
        age::DecryptError::NoMatchingKeys => Refusal::new("courier-key"),
        other => damaged(other.to_string()),
    })?;
    // As much as the file can hold: never grown, so that no copy of it stays behind.
    let mut parcel = Zeroizing::new(Vec::with_capacity(closed.len().min(FILE_BYTES_MAX)));
    let read = stream.take(PARCEL_BYTES_MAX as u64 + 1).read_to_end(&mut parcel);
    read.map_err(|e| damaged(e.to_string()))?;
    Ok(parcel)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pair(seed: u8) -> ([u8; 32], [u8; 32]) {
        let secret = x25519_dalek::StaticSecret::from([seed; 32]);
        ([seed; 32], x25519_dalek::PublicKey::from(&secret).to_bytes())
    }

    #[test]
    fn a_parcel_is_opened_by_the_key_it_was_closed_to_and_by_no_other() {
        let ((seed, public), (other, _)) = (pair(3), pair(4));
        for parcel in [vec![], vec![7; 200_000]] {
            let closed = close(&parcel, &public).unwrap();
            assert_eq!(*open(&closed, &seed).unwrap(), parcel);
            assert_eq!(open(&closed, &other).unwrap_err().code, "courier-key");
            for cut in [0, 1, closed.len() / 2, closed.len() - 1] {
                assert_eq!(open(&closed[..cut], &seed).unwrap_err().code, "courier-damaged", "{cut}");
            }
        }
    }

    #[test]
    fn a_parcel_flipped_anywhere_is_refused() {
        let (seed, public) = pair(3);
        let closed = close(&[7; 300], &public).unwrap();
        for at in 0..closed.len() {
            let mut flipped = closed.clone();
            flipped[at] ^= 1 << (at % 8);
            let opened = open(&flipped, &seed);
            assert!(opened.is_err(), "byte {at}");
        }
    }
}
