//! When lists are made. A list made at the moment of a move would say to everybody who watches it
//! that the record which just appeared elsewhere is the one superseded here; so superseded places
//! show only in lists made after a fixed hour. Revocations show at once: they protect verifiers, and
//! tell nothing of another office.

use super::Status;
use crate::day::UnixTime;

/// Hours of the day (UTC+8) at which lists are made when nothing is said: four times a day.
pub const HOURS: [u32; 4] = [0, 6, 12, 18];
/// Most hours that may be set: each one of a day.
pub const HOURS_MAX: usize = 24;

/// The newest fixed hour that is not after `now`, by civil hours at UTC+8; `now` itself without any
/// hour, so that nothing waits for ever.
pub fn last_fixed(now: UnixTime, hours: &[u32]) -> UnixTime {
    let today = now.day().start();
    let moments = hours.iter().filter(|h| **h < 24).map(|h| UnixTime(today.0 + i64::from(*h) * 3_600));
    let newest_today = moments.clone().filter(|t| *t <= now).max();
    // Before the first hour of today counts the last one of yesterday.
    newest_today.or_else(|| moments.max().map(|t| UnixTime(t.0 - 86_400))).unwrap_or(now)
}

/// Whether a change of status that was made at `since` may show in a list now.
pub fn shows(status: Status, since: UnixTime, last_fixed: UnixTime) -> bool {
    match status {
        Status::Superseded => since <= last_fixed,
        Status::Valid | Status::Revoked | Status::Suspended => true,
    }
}

/// Whether a new list is due: there is none, a fixed hour has passed since the newest one, or a change
/// waits that shows at once.
pub fn due(newest_list: Option<UnixTime>, last_fixed: UnixTime, urgent: bool) -> bool {
    urgent || newest_list.is_none_or(|made| made < last_fixed)
}
