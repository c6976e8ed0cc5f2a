//! Civil days at UTC+8 and unix seconds. China has one time zone and no summer time, so the
//! offset is a constant and a day is an integer.

use std::fmt;

/// Seconds east of UTC.
const OFFSET_SECONDS: i64 = 8 * 3600;
const DAY_SECONDS: i64 = 86_400;

/// A civil day at UTC+8, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// Day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    /// From year, month 1–12, day; `None` when there is no such day or the year is not 1800–9999.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(1800..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        if day > days_in_month(year, month) {
            return None;
        }
        // Years begin in March so that the leap day comes last (proleptic Gregorian calendar).
        let y = i64::from(if month <= 2 { year - 1 } else { year });
        let m = i64::from((month + 9) % 12);
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let day_of_year = (153 * m + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        i32::try_from(era * 146_097 + day_of_era - 719_468).ok().map(Self)
    }

    /// Year, month, day.
    pub fn ymd(self) -> (i32, u32, u32) {
        let z = i64::from(self.0) + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let m = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * m + 2) / 5 + 1) as u32;
        let month = if m < 10 { m + 3 } else { m - 9 } as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year as i32, month, day)
    }

    /// The day a moment lies in.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        UnixTime(seconds).day()
    }

    /// Year.
    pub fn year(self) -> i32 {
        self.ymd().0
    }

    /// Year and month as one ordered number.
    pub fn month(self) -> (i32, u32) {
        let (y, m, _) = self.ymd();
        (y, m)
    }

    /// First second of the day.
    pub fn start(self) -> UnixTime {
        UnixTime(i64::from(self.0) * DAY_SECONDS - OFFSET_SECONDS)
    }

    /// Weekday; 1970-01-01 was a Thursday.
    pub fn weekday(self) -> Weekday {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        [Thursday, Friday, Saturday, Sunday, Monday, Tuesday, Wednesday][self.0.rem_euclid(7) as usize]
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '-');
        let year = parts.next()?.parse().ok()?;
        let month = parts.next()?.parse().ok()?;
        let day = parts.next()?.parse().ok()?;
        Self::from_ymd(year, month, day)
    }
}

/// Days of a month.
pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = self.ymd();
        write!(f, "{y:04}-{m:02}-{d:02}")
    }
}

/// Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// From local (UTC+8) civil time.
    pub fn from_local(year: i32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<Self> {
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let day = Day::from_ymd(year, month, day)?;
        Some(Self(day.start().0 + i64::from(hour * 3600 + minute * 60 + second)))
    }

    /// Civil day at UTC+8.
    pub fn day(self) -> Day {
        let days = (self.0.saturating_add(OFFSET_SECONDS)).div_euclid(DAY_SECONDS);
        Day(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }))
    }

    /// Seconds since local midnight.
    pub fn second_of_day(self) -> i64 {
        (self.0.saturating_add(OFFSET_SECONDS)).rem_euclid(DAY_SECONDS)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.second_of_day();
        write!(f, "{} {:02}:{:02}", self.day(), s / 3600, s % 3600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_there_and_back_and_know_their_weekday() {
        for (y, m, d, n) in
            [(1970, 1, 1, 0), (2000, 2, 29, 11_016), (2026, 11, 24, 20_781), (1900, 1, 1, -25_567)]
        {
            let day = Day::from_ymd(y, m, d).expect("a real day");
            assert_eq!(day, Day(n));
            assert_eq!(day.ymd(), (y, m, d));
        }
        assert_eq!(Day::from_ymd(2025, 2, 29), None);
        assert_eq!(Day(20_781).weekday(), Weekday::Tuesday);
        for n in -40_000..40_000 {
            let (y, m, d) = Day(n).ymd();
            assert_eq!(Day::from_ymd(y, m, d), Some(Day(n)));
        }
    }

    #[test]
    fn local_midnight_begins_the_day_at_utc_plus_8() {
        let midnight = UnixTime::from_local(2025, 1, 4, 0, 0, 0).expect("valid");
        assert_eq!(midnight.day().to_string(), "2025-01-04");
        assert_eq!(UnixTime(midnight.0 - 1).day().to_string(), "2025-01-03");
        assert_eq!(Day::from_unix_seconds(midnight.0).to_string(), "2025-01-04");
        assert_eq!(Day::parse(" 2025-01-04 "), Some(midnight.day()));
        assert_eq!(
            UnixTime::from_local(2025, 1, 4, 11, 50, 0).map(|t| t.to_string()),
            Some("2025-01-04 11:50".into())
        );
        assert_eq!(UnixTime::from_local(2025, 1, 4, 24, 0, 0), None);
    }
}
