//! Keys by role, and the signer seam.
//!
//! A node has one key per role, never shared between roles (DESIGN §4). Verification is Ed25519
//! `verify_strict` only: batch and lenient checks accept weak keys and non-canonical signatures.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::day::UnixTime;

/// COSE algorithm Ed25519 (RFC 9864), the one we emit.
pub const ALG_ED25519: i64 = -19;
/// COSE algorithm `EdDSA` (RFC 9053), accepted on proofs made for older verifiers.
pub const ALG_EDDSA: i64 = -8;

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// libp2p identity; rotates freely.
    Transport = 1,
    /// Statements, seals, custody messages and the card.
    Statement = 2,
    /// Proofs shown to verifiers.
    Proof = 3,
    /// Status lists.
    Status = 4,
    /// Log and checkpoints.
    Log = 5,
    /// Cosignatures on other nodes' checkpoints.
    Witness = 6,
    /// X25519 key that files and profiles are encrypted to.
    Encryption = 7,
    /// Kept offline; can replace the others.
    Recovery = 8,
}

impl Role {
    /// Every role, in the order of their numbers.
    pub const ALL: [Role; 8] = [
        Role::Transport,
        Role::Statement,
        Role::Proof,
        Role::Status,
        Role::Log,
        Role::Witness,
        Role::Encryption,
        Role::Recovery,
    ];

    /// Stable lower-case word, also the name of the key file.
    pub fn word(self) -> &'static str {
        match self {
            Role::Transport => "transport",
            Role::Statement => "statement",
            Role::Proof => "proof",
            Role::Status => "status",
            Role::Log => "log",
            Role::Witness => "witness",
            Role::Encryption => "encryption",
            Role::Recovery => "recovery",
        }
    }

    fn from_number(n: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|r| *r as u64 == n)
    }
}

/// First 8 bytes of the SHA-256 COSE Key Thumbprint (RFC 9679) of an Ed25519 key; a hint only.
pub type KeyId = [u8; 8];

/// Key id of an Ed25519 public key: thumbprint over {1: OKP, -1: Ed25519, -2: x}.
pub fn key_id(public: &[u8; 32]) -> KeyId {
    let mut cose_key = Vec::with_capacity(41);
    cose_key.extend_from_slice(&[0xa3, 0x01, 0x01, 0x20, 0x06, 0x21]);
    cbor::put_bytes(&mut cose_key, public);
    let digest = Sha256::digest(&cose_key);
    let mut kid = [0; 8];
    kid.copy_from_slice(&digest[..8]);
    kid
}

/// Signs with one key; a PKCS#11 device can stand behind it.
pub trait Signer: Send + Sync {
    /// COSE algorithm number of the signatures.
    fn alg(&self) -> i64;
    /// Key id put into the protected header.
    fn kid(&self) -> KeyId;
    /// Raw public key.
    fn public(&self) -> [u8; 32];
    /// Signature over `message`.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// A signing device refused or is absent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signing device did not sign: {0}")]
pub struct SignError(pub String);

/// Ed25519 key in memory; wiped on drop.
pub struct SoftSigner {
    key: SigningKey,
    kid: KeyId,
}

impl SoftSigner {
    /// From a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let kid = key_id(key.verifying_key().as_bytes());
        Self { key, kid }
    }
}

impl fmt::Debug for SoftSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftSigner({:02x?})", self.kid)
    }
}

impl Signer for SoftSigner {
    fn alg(&self) -> i64 {
        ALG_ED25519
    }

    fn kid(&self) -> KeyId {
        self.kid
    }

    fn public(&self) -> [u8; 32] {
        *self.key.verifying_key().as_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.key.sign(message).to_bytes())
    }
}

/// A public key with its role and window, as a card or roster lists it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// What it may sign.
    pub role: Role,
    /// COSE algorithm it is bound to.
    pub alg: i64,
    /// Raw public key: Ed25519, or X25519 for [`Role::Encryption`].
    pub public: [u8; 32],
    /// First moment it counts.
    pub not_before: UnixTime,
    /// First moment it no longer counts.
    pub not_after: Option<UnixTime>,
    kid: KeyId,
    verifying: Option<VerifyingKey>,
}

impl fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEntry({} {:02x?})", self.role.word(), self.kid)
    }
}

impl KeyEntry {
    /// An Ed25519 or X25519 entry; an Ed25519 key that is no curve point is refused.
    pub fn new(
        role: Role,
        public: [u8; 32],
        not_before: UnixTime,
        not_after: Option<UnixTime>,
    ) -> Result<Self, CborError> {
        let verifying = if role == Role::Encryption {
            None
        } else {
            let key = VerifyingKey::from_bytes(&public).map_err(|_| CborError::WrongType(3))?;
            if key.is_weak() {
                return Err(CborError::WrongType(3));
            }
            Some(key)
        };
        let kid = key_id(&public);
        Ok(Self { role, alg: ALG_ED25519, public, not_before, not_after, kid, verifying })
    }

    /// The key id.
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// Whether it counts at `time`.
    pub fn valid_at(&self, time: UnixTime) -> bool {
        self.not_before <= time && self.not_after.is_none_or(|end| time < end)
    }

    /// Whether a signature header `alg` is this key's algorithm; -8 names the same Ed25519.
    pub fn accepts_alg(&self, alg: i64) -> bool {
        alg == self.alg || (self.alg == ALG_ED25519 && alg == ALG_EDDSA)
    }

    /// Strict verification; false for encryption keys.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.verifying
            .is_some_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }

    /// As a CBOR map: 1 role, 2 alg, 3 public, 4 not before, 5 not after.
    pub fn to_value(&self) -> Value {
        MapBuilder::new()
            .put(1, cbor::int(self.role as u64))
            .put(2, cbor::int(self.alg))
            .put(3, cbor::bytes(self.public))
            .put(4, cbor::int(self.not_before.0))
            .put_opt(5, self.not_after.map(|t| cbor::int(t.0)))
            .build()
    }

    /// From its CBOR map.
    pub fn from_value(value: Value) -> Result<Self, CborError> {
        let mut fields = Fields::open(value)?;
        let role = Role::from_number(fields.uint(1)?).ok_or(CborError::WrongType(1))?;
        if fields.int(2)? != ALG_ED25519 {
            return Err(CborError::WrongType(2));
        }
        let public = fields.array(3)?;
        let not_before = UnixTime(fields.int(4)?);
        let not_after = fields.opt_int(5)?.map(UnixTime);
        fields.finish()?;
        Self::new(role, public, not_before, not_after)
    }
}
