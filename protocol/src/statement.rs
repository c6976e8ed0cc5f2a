//! Statements: one signed fact each, a COSE_Sign1 over deterministic CBOR.
//!
//! In: received bytes, or a body to sign. Out: a typed [`Statement`] that keeps its bytes. Its id
//! is the SHA-256 of exactly those bytes. Unknown fields of a known kind are refused; an unknown
//! kind is kept and carried, and an odd (critical) unknown kind makes sums answer *cannot tell*.

pub mod attestation;
pub mod body;

use std::borrow::Cow;
use std::ops::Range;

use sha2::{Digest, Sha256};

pub use attestation::{Activity, Attestation, Code, EntryWay, Grade, Place, Recorder, When};
pub use body::{
    Authorisation, Award, Body, Consent, ConsentGiver, Correction, Evaluation, Link, Outcome, Receipt,
    Received, Receiver, Redemption, Reservation, Seal, Takeover, Training, Unlink, VoidStatement,
};

use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::cose::{self, CoseError, Sign1, Typ};
use crate::day::UnixTime;
use crate::id::{DossierId, Salt, StatementId};
use crate::key::{KeyEntry, KeyId, SignError, Signer};
use crate::name::NodeName;
use crate::roster::Verdict;

/// Largest statement in bytes: a value of the store and a frame of the bulk stream are 64 KiB, a
/// message adds its own header, and a long real attestation has under 2 KiB.
pub const STATEMENT_BYTES_MAX: usize = 16 * 1024;

/// Version of every kind defined here.
pub const VERSION: u64 = 1;

/// Why bytes are not an acceptable statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Encoding rules.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Envelope or signature.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The protected `typ` is not the one of the kind.
    #[error("protected typ does not belong to kind {0}")]
    Typ(u64),
    /// A node name is malformed.
    #[error(transparent)]
    Name(#[from] crate::name::NameError),
    /// Signed for a trial, shown to a real node, or the other way round.
    #[error("a trial statement and a real node do not mix")]
    Trial,
    /// The signature is right, but by what the roster or the card says of its key it did not count.
    #[error("the signature is genuine, but its key did not count: {}", .0.code())]
    Key(Verdict),
}

impl StatementError {
    /// Stable code for messages and counters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cbor(CborError::UnknownField(_)) => "statement-unknown-field",
            Self::Cbor(_) => "statement-encoding",
            Self::Cose(CoseError::BadSignature) => "statement-bad-signature",
            Self::Cose(CoseError::NoKey) => "statement-no-key",
            Self::Cose(_) => "statement-envelope",
            Self::Typ(_) => "statement-typ",
            Self::Name(_) => "statement-name",
            Self::Trial => "statement-trial",
            Self::Key(verdict) => verdict.code(),
        }
    }
}

/// Fields that every statement carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// Dossier it speaks of.
    pub dossier: DossierId,
    /// 16 fresh bytes.
    pub salt: Salt,
    /// Node that signs.
    pub issuer: NodeName,
    /// When the issuer says it signed.
    pub issued_at: UnixTime,
    /// Made by a trial home.
    pub trial: bool,
}

/// A parsed statement with its bytes; [`Statement::verify`] says whether the signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// SHA-256 of the bytes.
    pub id: StatementId,
    /// The fields of every statement.
    pub common: Common,
    /// The fact itself.
    pub body: Body,
    /// `typ` as signed, of a kind that has no word here.
    foreign_word: Option<String>,
    bytes: Vec<u8>,
    envelope: Envelope,
}

/// Where the signed parts lie in the bytes of a statement. A dossier of ten thousand is checked in
/// one go, and a second copy of every part is what the caches have no room for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Envelope {
    alg: i64,
    kid: KeyId,
    protected: Range<usize>,
    payload: Range<usize>,
}

impl Envelope {
    /// Bytes after the payload: the head of the signature and the signature.
    const TAIL: usize = 2 + 64;

    /// Finds the parts in bytes that are a deterministic COSE_Sign1: tag and array take two bytes,
    /// the protected map is first (its head says its length), payload and signature are last.
    fn locate(bytes: &[u8], payload_len: usize, alg: i64, kid: KeyId) -> Option<Self> {
        let protected = match bytes.get(2..4)? {
            [short @ 0x40..=0x57, _] => 3..3 + usize::from(short - 0x40),
            [0x58, long] => 4..4 + usize::from(*long),
            _ => return None,
        };
        let end = bytes.len().checked_sub(Self::TAIL)?;
        let payload = end.checked_sub(payload_len)?..end;
        (protected.end < payload.start).then_some(Self { alg, kid, protected, payload })
    }
}

/// `typ` word of a kind number, `yunling/kind-n` for kinds unknown here.
pub fn typ_word(kind: u64) -> String {
    match Body::word(kind) {
        Some(word) => format!("yunling/{word}"),
        None => format!("yunling/kind-{kind}"),
    }
}

impl Statement {
    /// Signs a new statement.
    pub fn sign(signer: &dyn Signer, common: &Common, body: &Body) -> Result<Self, SignError> {
        let kind = body.kind();
        let payload = encode_payload(common, body);
        let word = typ_word(kind);
        let aad = format!("{word}/1");
        let bytes = cose::sign1(signer, &Typ::Text(word), aad.as_bytes(), &payload)?;
        let envelope = Envelope::locate(&bytes, payload.len(), signer.alg(), signer.kid())
            .ok_or_else(|| SignError("an envelope of another shape".into()))?;
        let foreign_word = None;
        Ok(Self {
            id: id_of(&bytes),
            common: common.clone(),
            body: body.clone(),
            foreign_word,
            bytes,
            envelope,
        })
    }

    /// Parses received bytes; the signature is not checked yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let sign1 = Sign1::parse(bytes, STATEMENT_BYTES_MAX)?;
        if !sign1.unprotected.is_empty() {
            return Err(CoseError::Unprotected.into());
        }
        let mut fields = Fields::open(cbor::decode(&sign1.payload, STATEMENT_BYTES_MAX)?)?;
        let kind = fields.uint(1)?;
        let version = fields.uint(2)?;
        let common = Common {
            dossier: DossierId(fields.array(3)?),
            salt: Salt(fields.array(4)?),
            issuer: NodeName::parse(&fields.text(5, crate::name::NODE_NAME_BYTES_MAX)?)?,
            issued_at: UnixTime(fields.int(6)?),
            trial: fields.flag(7)?,
        };
        let known = Body::word(kind).is_some();
        let typ_fits = match &sign1.typ {
            Some(Typ::Text(word)) if known => *word == typ_word(kind),
            // A newer node knows the word of a kind that has only a number here; what matters is
            // that the word belongs to no kind of ours, so that the bytes read one way only.
            Some(Typ::Text(word)) => {
                word.strip_prefix("yunling/").is_some_and(|w| Body::kinds().all(|(_, ours)| ours != w))
            }
            _ => false,
        };
        if !typ_fits {
            return Err(StatementError::Typ(kind));
        }
        let body = if version == VERSION && known {
            let body = Body::take(kind, &mut fields)?;
            fields.finish()?;
            body
        } else {
            Body::Unknown { kind, version }
        };
        let Some(envelope) = Envelope::locate(bytes, sign1.payload.len(), sign1.alg, sign1.kid) else {
            return Err(CborError::Shape("the parts of a COSE_Sign1 in their places are expected").into());
        };
        let foreign_word = match sign1.typ {
            Some(Typ::Text(word)) if !known => Some(word),
            _ => None,
        };
        Ok(Self { id: id_of(bytes), common, body, foreign_word, bytes: bytes.to_vec(), envelope })
    }

    /// Checks the signature against the issuer's candidate keys.
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k KeyEntry>,
    ) -> Result<&'k KeyEntry, StatementError> {
        let word = match &self.foreign_word {
            Some(word) => Cow::Borrowed(word.as_str()),
            None => Cow::Owned(typ_word(self.body.kind())),
        };
        let Envelope { alg, kid, protected, payload } = &self.envelope;
        let (_, signature) = self.bytes.split_last_chunk::<64>().ok_or(CoseError::BadSignature)?;
        let message = cose::sig_structure(
            &self.bytes[protected.clone()],
            format!("{word}/1").as_bytes(),
            &self.bytes[payload.clone()],
        );
        Ok(cose::verify(*alg, kid, &message, signature, keys)?)
    }

    /// The signed bytes, exactly as received or made.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Id of statement bytes.
pub fn id_of(bytes: &[u8]) -> StatementId {
    StatementId(Sha256::digest(bytes).into())
}

fn encode_payload(common: &Common, body: &Body) -> Vec<u8> {
    let version = match body {
        Body::Unknown { version, .. } => *version,
        _ => VERSION,
    };
    let map = MapBuilder::new()
        .put(1, cbor::int(body.kind()))
        .put(2, cbor::int(version))
        .put(3, cbor::bytes(common.dossier.0))
        .put(4, cbor::bytes(common.salt.0))
        .put(5, cbor::text(common.issuer.as_str()))
        .put(6, cbor::int(common.issued_at.0))
        .put_opt(7, common.trial.then_some(cbor::Value::Bool(true)));
    cbor::encode(&body.put(map).build())
}

/// Fields of every statement, from a decision.
pub fn statement_common(
    dossier: DossierId,
    salt: Salt,
    issuer: NodeName,
    issued_at: UnixTime,
    trial: bool,
) -> Common {
    Common { dossier, salt, issuer, issued_at, trial }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::{Role, SoftSigner};

    #[test]
    fn a_newer_kind_is_kept_under_its_own_word_and_verifies() {
        let signer = SoftSigner::from_seed(&[9; 32]);
        let key = KeyEntry::new(Role::Statement, signer.public(), UnixTime(0), None).unwrap();
        let common = statement_common(
            DossierId([1; 16]),
            Salt([2; 16]),
            NodeName::parse("dali").unwrap(),
            UnixTime(5),
            false,
        );
        let payload = encode_payload(&common, &Body::Unknown { kind: 21, version: 1 });
        let made = |word: &str| {
            let typ = Typ::Text(format!("yunling/{word}"));
            cose::sign1(&signer, &typ, format!("yunling/{word}/1").as_bytes(), &payload).unwrap()
        };
        let statement = Statement::parse(&made("newer-kind")).unwrap();
        assert_eq!(statement.body, Body::Unknown { kind: 21, version: 1 });
        assert!(statement.verify([&key]).is_ok());
        // Under a word of ours the same bytes would read two ways.
        assert_eq!(Statement::parse(&made("seal")), Err(StatementError::Typ(21)));
    }
}
