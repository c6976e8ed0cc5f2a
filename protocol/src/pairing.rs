//! The pairing record: what two offices sign when each has accepted the other's card.
//!
//! It has two halves. Each office signs that it accepted the other under a fingerprint; each keeps
//! both halves. A node that was put back from a backup made before the pairing does not know the
//! peer any more, but it knows its own signature: the peer shows that half, and is heard before the
//! fence opens (DESIGN §6). A half gives nobody any right that its signer did not give by hand.

use crate::card::SignedCard;
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::cose::{self, CoseError, Sign1, Typ};
use crate::day::UnixTime;
use crate::key::{Role, SignError, Signer};
use crate::name::{NODE_NAME_BYTES_MAX, NodeName};

/// Largest half in bytes: two names, a fingerprint, a date, the envelope.
pub const HALF_BYTES_MAX: usize = 1_024;
/// Longest fingerprint in bytes; one has eight groups of four digits.
const FINGERPRINT_BYTES_MAX: usize = 64;
/// What the signature is bound to.
const CONTEXT: &[u8] = b"yunling/pairing/1";
const TYP: &str = "yunling/pairing";

/// One office's half: it accepted `with`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// Who signed.
    pub by: NodeName,
    /// Whom it accepted.
    pub with: NodeName,
    /// Fingerprint of the keys it accepted ([`SignedCard::fingerprint`]).
    pub fingerprint: String,
    /// When it accepted them, by its own clock.
    pub since: UnixTime,
    /// Between trial nodes.
    pub trial: bool,
}

/// Why a half counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// The envelope or its signature.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The payload.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// It is signed by another, speaks of another pair, of other keys, or of a trial.
    #[error("the pairing record is not of these two offices and keys")]
    Other,
}

impl PairingError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cose(CoseError::BadSignature | CoseError::NoKey) => "pairing-signature",
            Self::Cose(_) | Self::Cbor(_) => "pairing-encoding",
            Self::Other => "pairing-other",
        }
    }
}

impl Half {
    /// Signs it with the statement key of `by`.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        let payload = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::text(self.by.as_str()))
            .put(3, cbor::text(self.with.as_str()))
            .put(4, cbor::text(self.fingerprint.as_str()))
            .put(5, cbor::int(self.since.0))
            .put_opt(6, self.trial.then_some(Value::Bool(true)));
        cose::sign1(signer, &Typ::Text(TYP.into()), CONTEXT, &cbor::encode(&payload.build()))
    }

    fn read(payload: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(payload, HALF_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let name = |text: String, label| NodeName::parse(&text).map_err(|_| CborError::WrongType(label));
        let half = Self {
            by: name(f.text(2, NODE_NAME_BYTES_MAX)?, 2)?,
            with: name(f.text(3, NODE_NAME_BYTES_MAX)?, 3)?,
            fingerprint: f.text(4, FINGERPRINT_BYTES_MAX)?,
            since: UnixTime(f.int(5)?),
            trial: f.flag(6)?,
        };
        f.finish()?;
        Ok(half)
    }

    /// Opens the half that `by` signed when it accepted `with`: the signature must be of a statement
    /// key of `by`, and the keys it accepted those of `with`.
    pub fn open(bytes: &[u8], by: &SignedCard, with: &SignedCard) -> Result<Self, PairingError> {
        let envelope = Sign1::parse(bytes, HALF_BYTES_MAX)?;
        if envelope.typ != Some(Typ::Text(TYP.into())) || !envelope.unprotected.is_empty() {
            return Err(PairingError::Other);
        }
        envelope.verify(CONTEXT, by.card.keys_of(Role::Statement))?;
        let half = Self::read(&envelope.payload)?;
        let right = half.by == by.card.name
            && half.with == with.card.name
            && half.fingerprint == with.fingerprint()
            && half.trial == by.card.trial
            && half.trial == with.card.trial;
        if right { Ok(half) } else { Err(PairingError::Other) }
    }
}
