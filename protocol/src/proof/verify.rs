//! The verifier's order (PROOFS §4.7), fail closed: text, Base45, strict CBOR, header, issuer and
//! key, signature, times, then one word and its reason.

use std::io::Read as _;

use data_encoding::BASE64URL_NOPAD;

use super::receipt::{self, LogTrust, Logged, Receipt};
use super::status::{self, StatusRules};
use super::{
    Amount, CLAIM_HOURS, CLAIM_IDENTITY, CWT, Claims, NAME_BYTES_MAX, PREFIX, RECORDERS_MAX, TEXT_CHARS_MAX,
    TOKEN_BYTES_MAX,
};
use crate::base45;
use crate::cbor::{self, CborError, Fields, Value};
use crate::cose::{CoseError, Sign1, Typ};
use crate::day::{Day, UnixTime};
use crate::key::Role;
use crate::member::{Members, Standing};
use crate::minutes::Minutes;
use crate::name::{NODE_NAME_BYTES_MAX, NodeName, node_name};
use crate::roster::{Freshness, SignedTime, Verdict as KeyVerdict};
use crate::statement::attestation::SHORT_TEXT_BYTES_MAX;
use crate::status::lists::Seen;
use crate::status::{CLAIM_STATUS, StatusError, StatusLists, StatusRef};

/// Clock difference forgiven, seconds (PROOFS §4.7).
pub(super) const SKEW_SECONDS: i64 = 300;

/// The word of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Valid as issued on its date.
    Valid,
    /// Forged, changed, or by nobody we know.
    Invalid,
    /// Genuine or not, this verifier cannot say.
    CannotTell,
}

/// The reason of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Signature and times hold; whether it was revoked since is not known without a status list.
    StatusUnknown,
    /// Not a proof of ours: prefix, alphabet or length.
    NotAProof,
    /// Encoding rules are broken: it was made by hand or cut.
    Malformed,
    /// The signature does not verify: changed or forged.
    Forged,
    /// The issuer is not among the cards given.
    UnknownIssuer,
    /// The issuer is known, but no key of it has this id.
    UnknownKey,
    /// The key's window does not hold the date of issue, and nothing else proves the date.
    DateUnproven,
    /// Past its date.
    Expired,
    /// Dated in the future: compare the clocks.
    FromFuture,
    /// It holds a claim that only a newer version understands.
    NewerVersion,
    /// Peering with the issuer has ended, or it is no member of the roster any more.
    IssuerRemoved,
    /// The roster says that the key may have been in other hands, and nothing proves an earlier date.
    KeyCompromised,
    /// The roster says that the issuer is suspended.
    IssuerSuspended,
    /// Signature and times hold, and the issuer's list has not withdrawn it as of the list's date.
    StatusGood,
    /// The roster that lists the issuer expired longer ago than this verifier takes, or its key stands
    /// only in a version that had expired when it came.
    RosterStale,
    /// The issuer has withdrawn it.
    Revoked,
    /// The issuer says not to rely on it for now.
    Suspended,
    /// Genuine, but the record moved to another office, which gives a fresh one.
    Superseded,
    /// The newest list is older than this verifier takes.
    StatusStale,
    /// It names a place that the issuer's list does not have.
    StatusRange,
    /// A receipt in it does not hold: it is never ignored.
    ReceiptBad,
    /// A receipt is signed by a log key that this verifier does not know of the issuer.
    ReceiptUnknownKey,
    /// Logged, but fewer witnesses than the quorum have seen the checkpoint.
    NotWitnessed,
    /// No receipt, where this verifier wants one.
    NotLogged,
}

impl Why {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Why::StatusUnknown => "proof-status-unknown",
            Why::NotAProof => "proof-not-a-proof",
            Why::Malformed => "proof-malformed",
            Why::Forged => "proof-forged",
            Why::UnknownIssuer => "proof-unknown-issuer",
            Why::UnknownKey => "proof-unknown-key",
            Why::DateUnproven => "proof-date-unproven",
            Why::Expired => "proof-expired",
            Why::FromFuture => "proof-from-future",
            Why::NewerVersion => "proof-newer-version",
            Why::IssuerRemoved => "proof-issuer-removed",
            Why::KeyCompromised => "proof-key-compromised",
            Why::IssuerSuspended => "proof-issuer-suspended",
            Why::RosterStale => "proof-roster-stale",
            Why::StatusGood => "proof-status-good",
            Why::Revoked => "proof-revoked",
            Why::Suspended => "proof-suspended",
            Why::Superseded => "proof-superseded",
            Why::StatusStale => "proof-status-stale",
            Why::StatusRange => "proof-status-range",
            Why::ReceiptBad => "proof-receipt-bad",
            Why::ReceiptUnknownKey => "proof-receipt-unknown-key",
            Why::NotWitnessed => "proof-not-witnessed",
            Why::NotLogged => "proof-not-logged",
        }
    }

    /// The word this reason leads to.
    pub fn verdict(self) -> Verdict {
        match self {
            Why::StatusUnknown | Why::StatusGood => Verdict::Valid,
            Why::NotAProof
            | Why::Malformed
            | Why::Forged
            | Why::UnknownIssuer
            | Why::UnknownKey
            | Why::KeyCompromised
            | Why::Revoked
            | Why::StatusRange
            | Why::ReceiptBad => Verdict::Invalid,
            Why::DateUnproven
            | Why::Expired
            | Why::FromFuture
            | Why::NewerVersion
            | Why::IssuerRemoved
            | Why::IssuerSuspended
            | Why::RosterStale
            | Why::Suspended
            | Why::Superseded
            | Why::StatusStale
            | Why::ReceiptUnknownKey
            | Why::NotWitnessed
            | Why::NotLogged => Verdict::CannotTell,
        }
    }
}

/// Result of a check. Claims are shown only when the signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Reason; [`Why::verdict`] gives the word.
    pub why: Why,
    /// What it states, when its signature verifies.
    pub claims: Option<Claims>,
    /// What the issuer's newest list said, when there was one that can speak of this proof.
    pub status: Option<Seen>,
    /// The checkpoint of the issuer's log that includes it, when it has a receipt that holds.
    pub logged: Option<Logged>,
    /// How much time the roster has left that lists the issuer; none of a bilateral issuer. Expired is said
    /// with every verdict (DESIGN §4).
    pub roster: Option<Freshness>,
}

impl Verified {
    fn no(why: Why) -> Self {
        Self { why, claims: None, status: None, logged: None, roster: None }
    }

    /// The word.
    pub fn verdict(&self) -> Verdict {
        self.why.verdict()
    }
}

/// Checks the text of a proof against cards, at `now`, without status lists.
pub fn verify(text: &str, trust: &Members, now: UnixTime) -> Verified {
    verify_with(text, trust, &StatusLists::default(), &StatusRules::default(), now)
}

/// As [`verify`], with the status lists that are at hand. A list is asked only when the signature holds.
pub fn verify_with(
    text: &str,
    trust: &Members,
    lists: &StatusLists,
    rules: &StatusRules,
    now: UnixTime,
) -> Verified {
    let keys = |node: &NodeName| {
        let keys = trust.get(node).into_iter().flat_map(|member| member.card.card.keys_of(Role::Log));
        keys.cloned().collect()
    };
    let logs = LogTrust { keys: &keys, quorum: &|_| None, required: false };
    verify_logged(text, trust, lists, rules, &logs, now)
}

/// As [`verify_with`], with what is known of logs and their witnesses.
pub fn verify_logged(
    text: &str,
    trust: &Members,
    lists: &StatusLists,
    rules: &StatusRules,
    logs: &LogTrust<'_>,
    now: UnixTime,
) -> Verified {
    let read = token_of(text).and_then(|sign1| {
        let (receipts, claims) = (receipts_of(&sign1)?, read_claims(&sign1.payload)?);
        Ok((sign1, receipts, claims))
    });
    let (sign1, receipts, claims) = match read {
        Ok(read) => read,
        Err(why) => return Verified::no(why),
    };
    let Some(member) = trust.get(&claims.issuer) else { return Verified::no(Why::UnknownIssuer) };
    let key = match sign1.verify(&[], trust.keys_known(&claims.issuer, Role::Proof)) {
        Ok(key) => key,
        Err(CoseError::NoKey) => return Verified::no(Why::UnknownKey),
        Err(_) => return Verified::no(Why::Forged),
    };
    let logged = match receipt::judge(&receipts, receipt::logged_id(&sign1), &claims.issuer, logs, now) {
        Ok(logged) => logged,
        Err(why) => return Verified::no(why),
    };
    // A signature's time is the quorum's (DESIGN §4); without one only a key that still counts does.
    let key_counts = match logged.as_ref().and_then(Logged::time) {
        Some(witnessed) => key.valid_at(witnessed),
        None => key.valid_at(claims.issued) && key.valid_at(now),
    };
    let why = judge_times(&claims, key_counts, now);
    let why = if member.removed_at.is_some() { Why::IssuerRemoved } else { why };
    // Where no quorum proves when it was signed, its own date is its issuer's word.
    let time = logged.as_ref().and_then(Logged::time).map_or(SignedTime::Received(now), SignedTime::Cosigned);
    let why = match trust.verdict(&claims.issuer, Role::Proof, key.kid(), time) {
        KeyVerdict::Compromised { .. } => Why::KeyCompromised,
        KeyVerdict::Suspended { .. } => Why::IssuerSuspended,
        KeyVerdict::Withdrawn { .. } | KeyVerdict::Succeeded { .. } => Why::IssuerRemoved,
        KeyVerdict::RosterExpired if why == Why::StatusUnknown => Why::RosterStale,
        _ => why,
    };
    let (why, status) = status::apply(&claims, why, lists, rules, now);
    let (why, roster) = judge_roster(trust, &claims, why, rules, now);
    Verified { why, claims: Some(claims), status, logged, roster }
}

/// An expired roster degrades: what would be valid stays so for a while, and is then *cannot tell*. What
/// it knows against a proof it knows for ever, and a bilateral issuer does not stand in it.
fn judge_roster(
    trust: &Members,
    claims: &Claims,
    why: Why,
    rules: &StatusRules,
    now: UnixTime,
) -> (Why, Option<Freshness>) {
    let listed = trust.standing(&claims.issuer) == Some(Standing::Roster);
    let Some(roster) = trust.roster().filter(|_| listed) else { return (why, None) };
    let over = now.0.saturating_sub(roster.newest().roster().expires.0);
    let stale = rules.roster_stale_seconds.is_some_and(|most| over > most);
    let why = if stale && why.verdict() == Verdict::Valid { Why::RosterStale } else { why };
    (why, Some(roster.freshness(now)))
}

/// The token in a proof's text; its signature is not checked.
pub(super) fn token_of(text: &str) -> Result<Sign1, Why> {
    let sign1 = Sign1::parse(&unpack(text)?, TOKEN_BYTES_MAX).map_err(|error| match error {
        CoseError::Cbor(CborError::TooLarge { .. }) => Why::NotAProof,
        _ => Why::Malformed,
    })?;
    if sign1.typ == Some(Typ::Number(CWT)) { Ok(sign1) } else { Err(Why::Malformed) }
}

/// Its receipts; an unprotected header with anything else is of a newer version.
pub(super) fn receipts_of(sign1: &Sign1) -> Result<Vec<Receipt>, Why> {
    receipt::receipts_of(sign1).ok_or(Why::NewerVersion)?.map_err(|_| Why::ReceiptBad)
}

/// The claims of a proof that this node made itself: read, not verified.
pub(super) fn claims_of(text: &str) -> Result<Claims, Why> {
    read_claims(&token_of(text)?.payload)
}

fn judge_times(claims: &Claims, key_counts: bool, now: UnixTime) -> Why {
    // Times in a proof are any number its issuer signed.
    if claims.issued.0 > now.0.saturating_add(SKEW_SECONDS) {
        Why::FromFuture
    } else if !key_counts {
        Why::DateUnproven
    } else if claims.expires.0.saturating_add(SKEW_SECONDS) < now.0 {
        Why::Expired
    } else {
        Why::StatusUnknown
    }
}

fn unpack(text: &str) -> Result<Vec<u8>, Why> {
    let text = text.trim_matches(|c: char| c == '\r' || c == '\n' || c == '\u{feff}');
    if text.len() > TEXT_CHARS_MAX {
        return Err(Why::NotAProof);
    }
    let body = text.strip_prefix(PREFIX).ok_or(Why::NotAProof)?;
    let bytes = base45::decode(body).map_err(|_| Why::NotAProof)?;
    if base45::encode(&bytes) != body {
        return Err(Why::NotAProof);
    }
    // Proofs made elsewhere may be zlib-packed; ours never are (it would make them longer).
    if bytes.first() != Some(&0x78) {
        return Ok(bytes);
    }
    let mut out = Vec::new();
    let mut reader = flate2::read::ZlibDecoder::new(bytes.as_slice()).take(TOKEN_BYTES_MAX as u64 + 1);
    reader.read_to_end(&mut out).map_err(|_| Why::Malformed)?;
    let rest = reader.into_inner();
    if out.len() > TOKEN_BYTES_MAX || rest.total_in() != bytes.len() as u64 {
        return Err(Why::NotAProof);
    }
    Ok(out)
}

pub(super) fn read_claims(payload: &[u8]) -> Result<Claims, Why> {
    let malformed = |_: CborError| Why::Malformed;
    let value = cbor::decode(payload, TOKEN_BYTES_MAX).map_err(malformed)?;
    let mut f = Fields::open(value).map_err(malformed)?;
    let mut read = || -> Result<_, CborError> {
        let issuer = node_name(&mut f, 1)?;
        let subject = f.text(2, 64)?;
        let subject = BASE64URL_NOPAD.decode(subject.as_bytes()).map_err(|_| CborError::WrongType(2))?;
        let subject: [u8; 16] = subject.try_into().map_err(|_| CborError::WrongType(2))?;
        let (expires, issued) = (UnixTime(f.int(4)?), UnixTime(f.int(6)?));
        let full_name = f.opt(CLAIM_IDENTITY).map(full_name).transpose()?;
        let status = f.opt(CLAIM_STATUS);
        Ok((issuer, subject, expires, issued, full_name, status, f.need(CLAIM_HOURS)?))
    };
    let (issuer, subject, expires, issued, full_name, status, hours) = read().map_err(malformed)?;
    let status = status.map(StatusRef::from_value).transpose().map_err(|error| match error {
        StatusError::OtherMechanism => Why::NewerVersion,
        StatusError::OutOfRange { .. } => Why::StatusRange,
        _ => Why::Malformed,
    })?;
    // A claim that this version does not know is not ignored.
    f.finish().map_err(|_| Why::NewerVersion)?;
    let mut hours = Fields::open(hours).map_err(malformed)?;
    if hours.uint(1).map_err(malformed)? != 1 {
        return Err(Why::NewerVersion);
    }
    let mut read = || -> Result<_, CborError> {
        let amount = match (hours.opt_uint(2)?, hours.opt_uint(3)?) {
            (Some(n), None) => Amount::AtLeast(Minutes(n)),
            (None, Some(n)) => Amount::Exact(Minutes(n)),
            _ => return Err(CborError::WrongType(2)),
        };
        let days = hours.opt(4).map(days).transpose()?;
        let epoch = hours.uint(5)?;
        let recorders = hours.list(6, RECORDERS_MAX)?.into_iter().map(recorder).collect::<Result<_, _>>()?;
        let number = hours.opt_text(7, SHORT_TEXT_BYTES_MAX)?;
        Ok((amount, days, epoch, recorders, number, hours.flag(8)?))
    };
    let (amount, days, epoch, recorders, number, trial) = read().map_err(malformed)?;
    refuse_critical(hours)?;
    Ok(Claims {
        issuer,
        subject,
        issued,
        expires,
        full_name,
        amount,
        days,
        epoch,
        recorders,
        number,
        trial,
        status,
    })
}

/// Keys below 24 that this version does not know are critical; 24 and above may be ignored.
fn refuse_critical(hours: Fields) -> Result<(), Why> {
    match hours.finish() {
        Ok(()) => Ok(()),
        // Keys are ordered: if the first unknown one is 24 or more, so are the others.
        Err(CborError::UnknownField(label)) if label.parse::<i64>().is_ok_and(|n| n >= 24) => Ok(()),
        Err(_) => Err(Why::NewerVersion),
    }
}

fn full_name(value: Value) -> Result<String, CborError> {
    let mut f = Fields::open(value)?;
    let name = f.text(4, NAME_BYTES_MAX)?;
    f.finish()?;
    Ok(name)
}

fn days(value: Value) -> Result<(Day, Day), CborError> {
    let Value::Array(items) = value else { return Err(CborError::WrongType(4)) };
    let [first, last] = items.as_slice() else { return Err(CborError::WrongType(4)) };
    let day = |v| i32::try_from(cbor::as_int(v, 4)?).map(Day).map_err(|_| CborError::WrongType(4));
    Ok((day(first)?, day(last)?))
}

fn recorder(value: Value) -> Result<(crate::name::NodeName, Option<Minutes>), CborError> {
    let Value::Array(pair) = value else { return Err(CborError::WrongType(6)) };
    let mut items = pair.into_iter();
    let name = cbor::as_text(items.next().ok_or(CborError::WrongType(6))?, 6, NODE_NAME_BYTES_MAX)?;
    let name = crate::name::NodeName::parse(&name).map_err(|_| CborError::WrongType(6))?;
    let minutes = items.next().map(|v| cbor::as_uint(&v, 6).map(Minutes)).transpose()?;
    if items.next().is_some() { Err(CborError::WrongType(6)) } else { Ok((name, minutes)) }
}

#[cfg(test)]
mod tests;
