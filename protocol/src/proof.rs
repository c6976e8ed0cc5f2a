//! Proofs that a verifier checks offline (DESIGN §8, PROOFS §4): P1, the printed shape, and P2, the
//! same with a [`receipt`] of the issuer's log.
//!
//! A proof is a CWT in COSE_Sign1, Base45 with the prefix `YH1:`. It never carries an ID number or
//! the dossier id. [`issue`] makes one from claims; [`verify`](verify::verify) answers with one
//! word and its reason, never a bare tick.

pub mod live;
pub mod receipt;
pub mod rows;
mod status;
pub mod verify;

use data_encoding::BASE64URL_NOPAD;

pub use receipt::{LogTrust, Logged, Receipt};
pub use status::{ROSTER_STALE_SECONDS, StatusRules};
pub use verify::{Verdict, Verified, Why, verify, verify_logged, verify_with};

use crate::base45;
use crate::cbor::{self, MapBuilder, Value};
use crate::cose::{self, Typ};
use crate::day::{Day, UnixTime};
use crate::id::{DossierKey, StatementId};
use crate::key::{SignError, Signer};
use crate::minutes::Minutes;
use crate::name::NodeName;
use crate::status::{CLAIM_STATUS, StatusRef};

/// Prefix of the text form.
pub const PREFIX: &str = "YH1:";
/// Longest text accepted (PROOFS §4.1): a V32-M QR holds less.
pub const TEXT_CHARS_MAX: usize = 2_200;
/// Largest token accepted after any decompression (PROOFS §4.7).
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Private claim "vhours" (PROOFS §4.1).
pub const CLAIM_HOURS: i64 = -65_537;
/// Registered claim "identity-data".
pub const CLAIM_IDENTITY: i64 = 169;
/// CoAP content format of application/cwt.
pub const CWT: u64 = 61;
/// Longest full name in a proof, bytes: claim 169 in a printable QR.
pub const NAME_BYTES_MAX: usize = 96;
/// Most recorders named in one proof; more are summed as the last one by the issuer.
pub const RECORDERS_MAX: usize = 16;

/// How many minutes the proof states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// At least so many; nothing more can be read from it.
    AtLeast(Minutes),
    /// Exactly so many.
    Exact(Minutes),
}

/// What a proof states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Issuing node, the custodian.
    pub issuer: NodeName,
    /// Pseudonym of the holder, 16 bytes.
    pub subject: [u8; 16],
    /// Issued.
    pub issued: UnixTime,
    /// Expires.
    pub expires: UnixTime,
    /// Full name, only with the holder's act.
    pub full_name: Option<String>,
    /// Minutes.
    pub amount: Amount,
    /// First and last day counted.
    pub days: Option<(Day, Day)>,
    /// Custody epoch.
    pub epoch: u64,
    /// Recording nodes with their minutes, when another than the issuer recorded any of it; with a
    /// threshold the minutes stay out.
    pub recorders: Vec<(NodeName, Option<Minutes>)>,
    /// Certificate number.
    pub number: Option<String>,
    /// Made by a trial home.
    pub trial: bool,
    /// Its place in a status list of the issuer; proofs made before there were lists have none.
    pub status: Option<StatusRef>,
}

/// Pseudonym of the holder for a named audience (DESIGN §8): the same audience sees the same one.
pub fn subject_for(key: &DossierKey, audience: &str) -> [u8; 16] {
    let mac = key.hmac(b"yunling/sub/1", audience.as_bytes());
    let mut subject = [0; 16];
    subject.copy_from_slice(&mac[..16]);
    subject
}

/// Signs a proof and returns its text form.
pub fn issue(signer: &dyn Signer, claims: &Claims) -> Result<String, SignError> {
    issue_with_alg(signer, signer.alg(), claims)
}

/// As [`issue`] with the algorithm number to write; -8 for verifiers that know only that one.
pub fn issue_with_alg(signer: &dyn Signer, alg: i64, claims: &Claims) -> Result<String, SignError> {
    let token = cose::sign1_with_alg(signer, alg, &Typ::Number(CWT), &[], &payload(claims))?;
    Ok(format!("{PREFIX}{}", base45::encode(&token)))
}

/// The id under which a proof's text is logged (its entry is `[1, id]`), with or without receipts.
pub fn logged_id(text: &str) -> Result<StatementId, Why> {
    Ok(receipt::logged_id(&verify::token_of(text)?))
}

/// The proof's text with these receipts in place of any it has (P2), or with none (P1): the proof is
/// not signed again.
pub fn with_receipts(text: &str, receipts: &[Receipt]) -> Result<String, Why> {
    let token = receipt::with_receipts(&verify::token_of(text)?, receipts);
    let text = format!("{PREFIX}{}", base45::encode(&token));
    if text.len() > TEXT_CHARS_MAX { Err(Why::NotAProof) } else { Ok(text) }
}

/// The receipts in a proof's text, read and **not verified**.
pub fn receipts_of(text: &str) -> Result<Vec<Receipt>, Why> {
    verify::receipts_of(&verify::token_of(text)?)
}

/// The claims in a proof's text, read and **not verified**: for proofs that this node keeps itself.
pub fn claims_of(text: &str) -> Result<Claims, Why> {
    verify::claims_of(text)
}

/// The claims alone, unsigned, as an office keeps them: the bytes of the signed payload.
pub fn encode_claims(claims: &Claims) -> Vec<u8> {
    payload(claims)
}

/// Reads [`encode_claims`].
pub fn decode_claims(bytes: &[u8]) -> Result<Claims, Why> {
    verify::read_claims(bytes)
}

fn payload(claims: &Claims) -> Vec<u8> {
    let (label, minutes) = match claims.amount {
        Amount::AtLeast(minutes) => (2, minutes),
        Amount::Exact(minutes) => (3, minutes),
    };
    let recorders: Vec<Value> = claims
        .recorders
        .iter()
        .take(RECORDERS_MAX)
        .map(|(name, minutes)| {
            let mut pair = vec![cbor::text(name.as_str())];
            pair.extend(minutes.map(|m| cbor::int(m.0)));
            Value::Array(pair)
        })
        .collect();
    let hours = MapBuilder::new()
        .put(1, cbor::int(1))
        .put(label, cbor::int(minutes.0))
        .put_opt(4, claims.days.map(|(a, b)| Value::Array(vec![cbor::int(a.0), cbor::int(b.0)])))
        .put(5, cbor::int(claims.epoch))
        .put_opt(6, (!recorders.is_empty()).then_some(Value::Array(recorders)))
        .put_opt(7, claims.number.as_ref().map(|n| cbor::text(n.as_str())))
        // Critical (below 24): a verifier that does not know trials must not show a real proof.
        .put_opt(8, claims.trial.then_some(Value::Bool(true)));
    let identity =
        claims.full_name.as_ref().map(|name| MapBuilder::new().put(4, cbor::text(name.as_str())).build());
    let map = MapBuilder::new()
        .put(1, cbor::text(claims.issuer.as_str()))
        .put(2, cbor::text(BASE64URL_NOPAD.encode(&claims.subject)))
        .put(4, cbor::int(claims.expires.0))
        .put(6, cbor::int(claims.issued.0))
        .put_opt(CLAIM_IDENTITY, identity)
        .put_opt(CLAIM_STATUS, claims.status.as_ref().map(StatusRef::to_value))
        .put(CLAIM_HOURS, hours.build());
    cbor::encode(&map.build())
}
