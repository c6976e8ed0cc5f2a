//! Verifier keys of notes and their text form `name+keyid+base64(type ‖ key)`.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// Longest key name accepted, bytes: a node name (64) with a generation, or a long address.
pub const KEY_NAME_BYTES_MAX: usize = 256;

/// What the signatures of a key are made over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyType {
    /// 0x01: Ed25519 over the note's text.
    Ed25519 = 1,
    /// 0x04: `c2sp.org/tlog-cosignature` v1, with a time.
    CosignatureV1 = 4,
}

impl KeyType {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Ed25519, Self::CosignatureV1].into_iter().find(|t| *t as u8 == byte)
    }
}

/// Why a key text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VkeyError {
    /// Not `name+keyid+base64`, or a name that no note may carry.
    #[error("not a verifier key")]
    Form,
    /// The id is not the one of name, type and key.
    #[error("the key id does not belong to this key")]
    KeyId,
    /// A signature type that is not built here.
    #[error("signature type {0:#04x} is not supported")]
    Type(u8),
    /// Wrong length, no curve point, or a weak key.
    #[error("the key itself is unusable")]
    Key,
}

impl VkeyError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "vkey-form",
            Self::KeyId => "vkey-key-id",
            Self::Type(_) => "vkey-type",
            Self::Key => "vkey-key",
        }
    }
}

/// Whether `name` may be the key name of a note: not empty, no Unicode space, no `+`.
pub fn valid_key_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= KEY_NAME_BYTES_MAX
        && !name.chars().any(|c| c.is_whitespace() || c == '+' || c < ' ')
}

/// Key id of a note signature: SHA-256(name ‖ 0x0A ‖ type ‖ key), first four bytes.
pub fn key_hash(name: &str, key_type: u8, key: &[u8]) -> [u8; 4] {
    let digest =
        Sha256::new().chain_update(name).chain_update([b'\n', key_type]).chain_update(key).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// A key that signs notes under a name.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key_type: KeyType,
    hash: [u8; 4],
    key: VerifyingKey,
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.vkey())
    }
}

impl NoteKey {
    /// From its parts; a weak key or one that is no curve point is refused.
    pub fn new(name: &str, key_type: KeyType, public: &[u8; 32]) -> Result<Self, VkeyError> {
        if !valid_key_name(name) {
            return Err(VkeyError::Form);
        }
        let key = VerifyingKey::from_bytes(public).map_err(|_| VkeyError::Key)?;
        if key.is_weak() {
            return Err(VkeyError::Key);
        }
        Ok(Self { name: name.to_owned(), key_type, hash: key_hash(name, key_type as u8, public), key })
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, VkeyError> {
        // The base64 may hold `+`, name and id may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VkeyError::Form);
        };
        if !valid_key_name(name) || id.len() != 8 {
            return Err(VkeyError::Form);
        }
        let id = HEXLOWER.decode(id.as_bytes()).map_err(|_| VkeyError::Form)?;
        let raw = crate::log::checkpoint::base64(encoded).ok_or(VkeyError::Form)?;
        let (type_byte, public) = raw.split_first().ok_or(VkeyError::Form)?;
        if key_hash(name, *type_byte, public) != *id {
            return Err(VkeyError::KeyId);
        }
        let key_type = KeyType::from_byte(*type_byte).ok_or(VkeyError::Type(*type_byte))?;
        Self::new(name, key_type, public.try_into().map_err(|_| VkeyError::Key)?)
    }

    /// The text form.
    pub fn vkey(&self) -> String {
        let raw = [&[self.key_type as u8], self.key.as_bytes().as_slice()].concat();
        format!("{}+{}+{}", self.name, HEXLOWER.encode(&self.hash), BASE64.encode(&raw))
    }

    /// Key name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Signature type.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Key id.
    pub fn hash(&self) -> [u8; 4] {
        self.hash
    }

    /// Raw public key.
    pub fn public(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Strict verification over `message`, whatever the type of the key.
    pub fn verify_raw(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}
