//! What a status list makes of a proof whose signature holds (DESIGN §8, PROOFS §4.4).

use super::verify::Why;
use super::{Claims, verify::SKEW_SECONDS};
use crate::day::UnixTime;
use crate::status::lists::Seen;
use crate::status::{LIST_SECONDS, Status, StatusLists};

/// The verifier's own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRules {
    /// Lists older than this many seconds say nothing good any more; `None` takes any age.
    pub stale_seconds: Option<i64>,
    /// Seconds after its expiry from which the roster says nothing good any more; `None` takes any age.
    pub roster_stale_seconds: Option<i64>,
}

/// Usual grace of an expired roster, seconds: as long as a status list counts. The stewards are warned 60
/// days ahead of the expiry, so that a roster of this age is one that somebody did not bring along.
pub const ROSTER_STALE_SECONDS: i64 = LIST_SECONDS;

impl Default for StatusRules {
    fn default() -> Self {
        // As long as issuers say that a list counts.
        Self { stale_seconds: Some(LIST_SECONDS), roster_stale_seconds: Some(ROSTER_STALE_SECONDS) }
    }
}

/// The reason after the list has spoken. `why` is what signature and times came to.
///
/// A revocation ends everything, also a proof that has expired. The other words count only for a proof
/// that would be valid. A list older than the proof cannot speak of it; one without a list stays
/// valid as issued, its status unknown. Revoked and superseded are final, so an old list may say them.
pub(super) fn apply(
    claims: &Claims,
    why: Why,
    lists: &StatusLists,
    rules: &StatusRules,
    now: UnixTime,
) -> (Why, Option<Seen>) {
    let Some(place) = &claims.status else { return (why, None) };
    let seen = match lists.look(&claims.issuer, place) {
        Ok(Some(seen)) => seen,
        Ok(None) => return (why, None),
        Err(_) => return (Why::StatusRange, None),
    };
    let stale = rules.stale_seconds.is_some_and(|most| now.0.saturating_sub(seen.at.0) > most);
    let ahead = seen.at.0 > now.0.saturating_add(SKEW_SECONDS);
    let word = match seen.status {
        Status::Revoked => return (Why::Revoked, Some(seen)),
        _ if why != Why::StatusUnknown => return (why, Some(seen)),
        Status::Superseded => Why::Superseded,
        // A list that this clock takes to be of tomorrow has an age that nobody knows.
        _ if ahead => Why::FromFuture,
        _ if stale => Why::StatusStale,
        Status::Suspended => Why::Suspended,
        Status::Valid if seen.at < claims.issued => return (Why::StatusUnknown, None),
        Status::Valid => Why::StatusGood,
    };
    (word, Some(seen))
}
