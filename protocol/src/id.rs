//! Identifiers: fixed-size byte newtypes with a text form that carries a checksum.
//!
//! Text form: a prefix of the kind, then RFC 4648 base32 (lower case, no padding) of the bytes and
//! two checksum bytes, so that a mistyped id is refused before anything is looked up.

use std::fmt;

use data_encoding::BASE32_NOPAD_NOCASE;
use sha2::{Digest, Sha256};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix names another kind of id, or none.
    #[error("expected an id that begins with `{0}`")]
    Prefix(&'static str),
    /// Letters outside base32 or the wrong length.
    #[error("id `{0}…` is not base32 of the right length")]
    Form(&'static str),
    /// The checksum differs: a typing error.
    #[error("checksum of the id that begins with `{0}` is wrong: it was mistyped")]
    Checksum(&'static str),
}

fn checksum(prefix: &str, bytes: &[u8]) -> [u8; 2] {
    let digest =
        Sha256::new().chain_update(b"yunling/id/1").chain_update(prefix).chain_update(bytes).finalize();
    [digest[0], digest[1]]
}

/// Text form of `bytes` under `prefix`.
pub fn to_text(prefix: &str, bytes: &[u8]) -> String {
    let mut all = bytes.to_vec();
    all.extend_from_slice(&checksum(prefix, bytes));
    let mut text = BASE32_NOPAD_NOCASE.encode(&all);
    text.make_ascii_lowercase();
    format!("{prefix}{text}")
}

/// Bytes of a text form; blanks and hyphens inside are ignored, letter case too.
pub fn from_text<const N: usize>(prefix: &'static str, text: &str) -> Result<[u8; N], IdError> {
    let clean: String =
        text.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let rest = clean.strip_prefix(prefix).ok_or(IdError::Prefix(prefix))?;
    let raw = BASE32_NOPAD_NOCASE.decode(rest.as_bytes()).map_err(|_| IdError::Form(prefix))?;
    if raw.len() != N + 2 {
        return Err(IdError::Form(prefix));
    }
    let mut out = [0; N];
    out.copy_from_slice(&raw[..N]);
    if checksum(prefix, &out) != raw[N..] {
        return Err(IdError::Checksum(prefix));
    }
    Ok(out)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Prefix of the text form.
            pub const PREFIX: &'static str = $prefix;

            /// Reads the text form.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                from_text($prefix, text).map(Self)
            }

            /// The raw bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_text($prefix, &self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self)
            }
        }
    };
}

id_type!(
    /// Random id of a dossier: first 128 bits of SHA-256("yunling/dossier/1" ‖ dossier key).
    DossierId, 16, "yd"
);
id_type!(
    /// SHA-256 of a statement's tagged COSE_Sign1 with an empty unprotected map.
    StatementId, 32, "ys"
);
id_type!(
    /// Random id of one transfer of custody.
    TransferId, 16, "yt"
);
id_type!(
    /// Identifier an issuer derives from its own record of one service (HMAC under a node secret).
    ItemId, 16, "yi"
);
id_type!(
    /// Random salt of a statement, so that its id can be published without leaking its content.
    Salt, 16, "yz"
);
id_type!(
    /// Head of a dossier's hash chain.
    ChainHead, 32, "yh"
);

/// The secret 256-bit key of a dossier, held by custodians and the volunteer's own bundle only.
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct DossierKey(pub [u8; 32]);

impl DossierKey {
    /// The id that this key commits to.
    pub fn dossier_id(&self) -> DossierId {
        let digest = Sha256::new().chain_update(b"yunling/dossier/1").chain_update(self.0).finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        DossierId(id)
    }

    /// HMAC-SHA-256 under this key over `label` ‖ `data`.
    pub fn hmac(&self, label: &[u8], data: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.0, &[label, data])
    }

    /// Nullifier of the seal that ends `epoch` (DESIGN §7): two seals of one dossier and epoch
    /// show the same value, outsiders learn nothing.
    pub fn nullifier(&self, epoch: u64) -> [u8; 32] {
        self.hmac(b"yunling/seal/1", &epoch.to_be_bytes())
    }
}

impl fmt::Debug for DossierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DossierKey(secret)")
    }
}

/// HMAC-SHA-256 over the concatenation of `parts`.
pub fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    use hmac::{KeyInit, Mac};
    // Any key length is fine for HMAC; 32 bytes are padded to the block by the crate.
    let Ok(mut mac) = hmac::Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_text_form_survives_blanks_hyphens_and_case_and_refuses_a_typing_error() {
        let id = DossierId([7; 16]);
        let text = id.to_string();
        assert_eq!(DossierId::parse(&text.to_uppercase()), Ok(id));
        assert_eq!(DossierId::parse(&format!("{} -{}", &text[..10], &text[10..])), Ok(id));
        let mut wrong = text.clone().into_bytes();
        wrong[5] = if wrong[5] == b'a' { b'b' } else { b'a' };
        assert_eq!(DossierId::parse(std::str::from_utf8(&wrong).unwrap()), Err(IdError::Checksum("yd")));
        assert_eq!(StatementId::parse(&text), Err(IdError::Prefix("ys")));
    }

    #[test]
    fn the_dossier_id_is_fixed_by_its_key() {
        assert_eq!(DossierKey([0; 32]).dossier_id(), DossierKey([0; 32]).dossier_id());
        assert_ne!(DossierKey([0; 32]).dossier_id(), DossierKey([1; 32]).dossier_id());
    }
}
