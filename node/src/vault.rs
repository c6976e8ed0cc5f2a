//! Profile data at rest: XChaCha20-Poly1305 under a key file kept apart from the data folder.
//!
//! Holds the dossier key and the person's data of each dossier. Bound to the dossier id, so that
//! rows cannot be exchanged; a row that does not open is damage, never an empty person.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use yunling_protocol::cbor::{self, Fields, MapBuilder, Value};
use yunling_protocol::id::{DossierId, DossierKey};
use yunling_protocol::message::PROFILE_BYTES_MAX;
use yunling_protocol::office::{Secrets, Vault};

/// Version byte of a stored row.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// The node's vault.
pub struct ProfileVault(XChaCha20Poly1305);

impl std::fmt::Debug for ProfileVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProfileVault(secret)")
    }
}

impl ProfileVault {
    /// From the profile key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
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

    fn open_bytes(&self, aad: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = stored.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
        if *version != VERSION {
            return None;
        }
        let nonce = XNonce::try_from(nonce).ok()?;
        self.0.decrypt(&nonce, Payload { msg: sealed, aad }).ok()
    }

    fn close_bytes(&self, aad: &[u8], plain: &[u8], nonce: [u8; 32]) -> Vec<u8> {
        let mut short = [0; NONCE_BYTES];
        short.copy_from_slice(&nonce[..NONCE_BYTES]);
        let sealed = self.0.encrypt(&XNonce::from(short), Payload { msg: plain, aad });
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
