//! The node's clock and its source of random bytes: the only places that ask the system for them.
//!
//! A trial home may be set to another time by `YUNLING_CLOCK`; a real home ignores the variable.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::fresh::Fresh;

/// Variable that sets the clock of a trial home: unix seconds, `YYYY-MM-DD` or `YYYY-MM-DD HH:MM`.
pub const CLOCK_VARIABLE: &str = "YUNLING_CLOCK";

/// A clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    set_to: Option<(i64, Instant)>,
}

impl Clock {
    /// The clock of a home.
    pub fn for_home(trial: bool) -> Self {
        let set = if trial { std::env::var(CLOCK_VARIABLE).ok().and_then(|t| parse(&t)) } else { None };
        Self { set_to: set.map(|t| (t, Instant::now())) }
    }

    /// Now.
    pub fn now(&self) -> UnixTime {
        match self.set_to {
            Some((start, since)) => UnixTime(start + since.elapsed().as_secs() as i64),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                UnixTime(since.map_or(0, |d| d.as_secs() as i64))
            }
        }
    }
}

fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (day, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    let day = Day::parse(day)?;
    let mut parts = time.split(':').map(|p| p.parse::<i64>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    (hour < 24 && minute < 60).then(|| day.start().0 + hour * 3600 + minute * 60)
}

/// 32 random bytes from the system. The system having none is not survivable: nothing could be
/// signed or encrypted safely.
pub fn random32() -> [u8; 32] {
    let mut bytes = [0; 32];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system gives no random bytes; stopping");
        std::process::abort();
    }
    bytes
}

/// Fresh bytes for one decision.
pub fn fresh() -> Fresh {
    Fresh::new(random32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_clock_reads_three_forms() {
        assert_eq!(parse("1000"), Some(1000));
        assert_eq!(parse("2026-05-16"), Some(Day::parse("2026-05-16").map_or(0, |d| d.start().0)));
        assert_eq!(parse("2026-05-16 09:30"), parse("2026-05-16").map(|t| t + 9 * 3600 + 1800));
        assert_eq!(parse("noon"), None);
    }
}
