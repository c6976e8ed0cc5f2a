//! Profile data at rest: XChaCha20-Poly1305 under a key file kept apart from the data folder.
//!
//! Holds the dossier key and the person's data of each dossier. Bound to the dossier id, so that
//! rows cannot be exchanged; a row that does not open is damage, never an empty person.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use yunling_protocol::cbor::{self, Fields, MapBuilder, Value};
use yunling_protocol::id::{DossierId, DossierKey};
use yunling_protocol::message::PROFILE_BYTES_MAX;
use yunling_protocol::office::{Secrets, Vault};

/// Version byte of a stored row.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// The node's vault.
pub struct ProfileVault {
    cipher: XChaCha20Poly1305,
    /// Makes the nonces of [`ProfileVault::seal_waiting`]; empty of data until it is used.
    nonces: Hmac<Sha256>,
}

impl std::fmt::Debug for ProfileVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProfileVault(secret)")
    }
}

impl ProfileVault {
    /// From the profile key.
    pub fn new(key: &[u8; 32]) -> Self {
        // RFC 2104: a key shorter than the block of the hash is filled up with zeros.
        let mac = |key: &[u8; 32]| {
            let mut block = [0; 64];
            block[..32].copy_from_slice(key);
            <Hmac<Sha256> as KeyInit>::new(&block.into())
        };
        let nonces: [u8; 32] = mac(key).chain_update(b"yunling/waiting/1").finalize().into_bytes().into();
        Self { cipher: XChaCha20Poly1305::new(key.into()), nonces: mac(&nonces) }
    }
}

fn aad(dossier: DossierId) -> Vec<u8> {
    [&b"yunling/profile/1"[..], dossier.as_bytes()].concat()
}

impl ProfileVault {
    /// Seals a note of the register under the key it is stored at.
    pub(crate) fn seal(&self, stored_at: &[u8], plain: &[u8], nonce: [u8; 32]) -> Vec<u8> {
        self.close_bytes(&[&b"yunling/note/1"[..], stored_at].concat(), plain, nonce)
    }

    /// Opens a sealed note; `None` when it does not belong to this place or key.
    pub(crate) fn unseal(&self, stored_at: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.open_bytes(&[&b"yunling/note/1"[..], stored_at].concat(), sealed)
    }

    /// Seals a message that waits in the outbox under the key it waits at: a release carries a person's
    /// data and the dossier's key, a request the code of a slip. The nonce comes from the message, so that
    /// the same message at the same place has the same bytes and a batch can expect them.
    pub(crate) fn seal_waiting(&self, waits_at: &[u8], plain: &[u8]) -> Vec<u8> {
        let length = (waits_at.len() as u64).to_be_bytes();
        let mac = self.nonces.clone().chain_update(length).chain_update(waits_at).chain_update(plain);
        self.close_bytes(
            &[&b"yunling/waiting/1"[..], waits_at].concat(),
            plain,
            mac.finalize().into_bytes().into(),
        )
    }

    /// Opens a sealed message; `None` when it is not sealed, or not for this place or key.
    pub(crate) fn unseal_waiting(&self, waits_at: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.open_bytes(&[&b"yunling/waiting/1"[..], waits_at].concat(), sealed)
    }

    fn open_bytes(&self, aad: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = stored.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
        if *version != VERSION {
            return None;
        }
        let nonce = XNonce::try_from(nonce).ok()?;
        self.cipher.decrypt(&nonce, Payload { msg: sealed, aad }).ok()
    }

    fn close_bytes(&self, aad: &[u8], plain: &[u8], nonce: [u8; 32]) -> Vec<u8> {
        let mut short = [0; NONCE_BYTES];
        short.copy_from_slice(&nonce[..NONCE_BYTES]);
        let sealed = self.cipher.encrypt(&XNonce::from(short), Payload { msg: plain, aad });
        let mut out = vec![VERSION];
        out.extend_from_slice(&short);
        // Encryption fails only beyond 256 GiB, which the caps of both users exclude.
        out.extend_from_slice(&sealed.unwrap_or_default());
        out
    }
}

impl Vault for ProfileVault {
    fn open(&self, dossier: DossierId, stored: &[u8]) -> Option<Secrets> {
        let plain = self.open_bytes(&aad(dossier), stored)?;
        let mut f = Fields::open(cbor::decode(&plain, PROFILE_BYTES_MAX + 256).ok()?).ok()?;
        let key = DossierKey(f.array(1).ok()?);
        let profile = match f.opt(2) {
            None => None,
            Some(Value::Bytes(bytes)) => Some(bytes),
            Some(_) => return None,
        };
        f.finish().ok()?;
        Some(Secrets { key, profile })
    }

    fn close(&self, dossier: DossierId, secrets: &Secrets, nonce: [u8; 32]) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::bytes(secrets.key.0))
            .put_opt(2, secrets.profile.as_ref().map(|p| cbor::bytes(p.as_slice())));
        self.close_bytes(&aad(dossier), &cbor::encode(&map.build()), nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_message_opens_only_at_its_place_and_is_the_same_each_time() {
        let vault = ProfileVault::new(&[1; 32]);
        let sealed = vault.seal_waiting(b"dali", b"person");
        assert_eq!(sealed, vault.seal_waiting(b"dali", b"person"));
        assert_eq!(vault.unseal_waiting(b"dali", &sealed), Some(b"person".to_vec()));
        assert_eq!(vault.unseal_waiting(b"yuxi", &sealed), None);
        assert_eq!(ProfileVault::new(&[2; 32]).unseal_waiting(b"dali", &sealed), None);
        for other in [vault.seal_waiting(b"dali", b"persons"), vault.seal_waiting(b"dalip", b"erson")] {
            assert_ne!(other[1..=NONCE_BYTES], sealed[1..=NONCE_BYTES], "a nonce serves one message");
        }
        assert!(!sealed.windows(6).any(|w| w == b"person"));
    }

    #[test]
    fn secrets_open_only_for_their_dossier_and_key() {
        let vault = ProfileVault::new(&[1; 32]);
        let (a, b) = (DossierId([1; 16]), DossierId([2; 16]));
        let secrets = Secrets { key: DossierKey([9; 32]), profile: Some(b"person".to_vec()) };
        let stored = vault.close(a, &secrets, [5; 32]);
        assert!(vault.open(a, &stored) == Some(secrets));
        assert!(vault.open(b, &stored).is_none());
        assert!(ProfileVault::new(&[2; 32]).open(a, &stored).is_none());
        assert!(!stored.windows(6).any(|w| w == b"person"));
    }
}
