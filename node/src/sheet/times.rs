//! When a row took place and how many minutes it is worth.
//!
//! In go the moments and the stated duration of a row, out come `When`, minutes and what was found.
//! Rules: end after start, nothing in the future, at least a minute, never more than start–end plus
//! one minute; stated hours count when they are shorter (breaks, R-05), the exact minutes when both
//! agree at the precision of the source.

use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::minutes::{Minutes, Stated, StatedUnit};
use yunling_protocol::profile::Profile;
use yunling_protocol::statement::When;

use super::field::Field;
use super::moment::Moment;
use super::{Finding, Outcome};

/// Stated hours may be longer than start–end by this much: sources round.
const STATED_SLACK: Minutes = Minutes(1);

/// Moments of a row as its cells hold them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) start: Moment,
    pub(super) end: Option<Moment>,
    /// The end stands in a number cell, where midnight looks like a day.
    pub(super) end_is_number: bool,
    pub(super) date: Option<Day>,
}

/// Times of a row brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) when: When,
    /// For the identity of the row.
    pub(super) key_start: UnixTime,
    /// For the identity of the row.
    pub(super) key_end: Option<UnixTime>,
}

fn refuse(field: Field, code: &'static str) -> Finding {
    Finding::new(Outcome::Refused, field, code)
}

/// Start and end on the calendar; `Err` is a refusal.
pub(super) fn place(moments: Moments) -> Result<Times, Finding> {
    let start = match (moments.start, moments.date) {
        (Moment::Clock(second), Some(day)) => Moment::At(on(day, second)),
        (Moment::Clock(_), None) => return Err(refuse(Field::Start, "start-without-day")),
        (moment, _) => moment,
    };
    let first = day_of(start);
    let end = match moments.end {
        Some(Moment::Clock(second)) => Some(Moment::At(on(first, second))),
        Some(Moment::Day(day)) if moments.end_is_number && day > first => Some(Moment::At(day.start())),
        other => other,
    };
    let key_start = first_second(start);
    let key_end = end.map(first_second);
    let before = || refuse(Field::End, "end-before-start");
    let when = match (start, end) {
        (Moment::At(s), Some(Moment::At(e))) if e <= s => return Err(before()),
        (Moment::At(start), Some(Moment::At(end))) => When::Clock { start, end },
        (_, None) => When::Day(first),
        (_, Some(end)) => {
            let last = day_of(end);
            match last.cmp(&first) {
                std::cmp::Ordering::Less => return Err(before()),
                std::cmp::Ordering::Equal => When::Day(first),
                std::cmp::Ordering::Greater => When::Period { first, last },
            }
        }
    };
    Ok(Times { when, key_start, key_end })
}

fn on(day: Day, second: u32) -> UnixTime {
    UnixTime(day.start().0 + i64::from(second))
}

fn day_of(moment: Moment) -> Day {
    match moment {
        Moment::At(time) => time.day(),
        Moment::Day(day) => day,
        // A clock time has been put on its day before.
        Moment::Clock(_) => Day(0),
    }
}

fn first_second(moment: Moment) -> UnixTime {
    match moment {
        Moment::At(time) => time,
        other => day_of(other).start(),
    }
}

/// Refuses what lies in the future or crosses midnight where the profile does not allow it.
pub(super) fn check_calendar(when: When, profile: &Profile, now: UnixTime) -> Option<Finding> {
    let (start_late, end_late) = match when {
        When::Clock { start, end } => (start > now, end > now),
        other => (other.first_day() > now.day(), other.last_day() > now.day()),
    };
    if start_late {
        return Some(refuse(Field::Start, "start-in-future"));
    }
    if end_late {
        return Some(refuse(Field::End, "end-in-future"));
    }
    let crosses = matches!(when, When::Clock { start, .. } if start.day() != when.last_day());
    (crosses && !profile.may_cross_midnight).then(|| refuse(Field::End, "crosses-midnight"))
}

/// Minutes of a row, with a remark when the stated hours are shorter; `Err` is a refusal.
pub(super) fn minutes(
    when: When,
    stated: Option<Stated>,
    profile: &Profile,
) -> Result<(Minutes, Option<Finding>), Finding> {
    let zero = || refuse(Field::Hours, "minutes-zero");
    if stated.is_some_and(|s| s.value == 0) {
        return Err(zero());
    }
    let When::Clock { start, end } = when else {
        let Some(stated) = stated else { return Err(refuse(Field::Hours, "hours-empty")) };
        let minutes = stated.minutes_rounded();
        let days = i64::from(when.last_day().0 - when.first_day().0) + 1;
        return match minutes.0 {
            0 => Err(zero()),
            m if m > profile.day_max.0.saturating_mul(days as u64) => {
                Err(refuse(Field::Hours, "over-day").with("minutes", m))
            }
            _ => Ok((minutes, None)),
        };
    };
    let span = Minutes((end.0 - start.0) as u64 / 60);
    if span.0 == 0 {
        return Err(zero());
    }
    let Some(stated) = stated else { return Ok((span, None)) };
    if stated.exceeds(span, STATED_SLACK) {
        let long = refuse(Field::Hours, "hours-over-span");
        return Err(long.with("minutes", stated.minutes_rounded().0).with("span", span.0));
    }
    if agree(stated, span) {
        return Ok((span, None));
    }
    let minutes = stated.minutes_rounded().min(span);
    if minutes.0 == 0 {
        return Err(zero());
    }
    let shorter = Finding::new(Outcome::Accepted, Field::Hours, "stated-shorter");
    let remark = (minutes < span).then(|| shorter.with("minutes", minutes.0).with("span", span.0));
    Ok((minutes, remark))
}

/// Whole hours are compared with one decimal: a number cell drops its closing zero, and 3 h stated
/// for 3 h 20 min is a service with a break, not a rounding.
fn agree(stated: Stated, span: Minutes) -> bool {
    let whole = stated.unit == StatedUnit::Hours && stated.decimals == 0;
    match stated.value.checked_mul(10).filter(|_| whole) {
        Some(value) => Stated { value, decimals: 1, ..stated }.agrees_with(span),
        None => stated.agrees_with(span),
    }
}
