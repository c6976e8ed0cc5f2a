//! Points in time as sheets hold them: text in several habits, Excel serials, date cells.
//!
//! A value is a moment with clock time, a day, or a clock time alone; which one it is decides
//! whether a row has clock times at all. Everything is civil time at UTC+8. Nothing is guessed: a
//! text that fits no form is unreadable.

use yunling_protocol::day::{Day, UnixTime};

use super::Cell;
use super::text::{is_blank, narrow};

/// Excel serial of 1970-01-01 in the 1900 system.
const SERIAL_OF_EPOCH: f64 = 25_569.0;
/// Serials read as dates, 1954 to 2119; outside, a number is no date of a service.
const SERIALS: std::ops::Range<f64> = 20_000.0..80_000.0;
/// Seconds of a day.
const DAY_SECONDS: f64 = 86_400.0;

/// What a cell says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A day with clock time.
    At(UnixTime),
    /// A day only.
    Day(Day),
    /// A clock time only, seconds since midnight; 24:00 is 86 400.
    Clock(u32),
}

impl Moment {
    /// From an Excel serial: days and the part of the day, to the nearest second.
    pub(super) fn from_serial(serial: f64) -> Option<Self> {
        if (0.0..1.0).contains(&serial) {
            return Some(Self::Clock((serial * DAY_SECONDS).round() as u32));
        }
        if !SERIALS.contains(&serial) {
            return None;
        }
        let day = Day((serial.floor() - SERIAL_OF_EPOCH) as i32);
        let second = (serial.fract() * DAY_SECONDS).round() as i64;
        Some(if second == 0 { Self::Day(day) } else { Self::At(UnixTime(day.start().0 + second)) })
    }

    /// Moment of a cell, and whether full-width characters had to be read; `None` when unreadable.
    pub(super) fn of_cell(cell: &Cell) -> Option<(Self, bool)> {
        match cell {
            Cell::Number(serial) => Self::from_serial(*serial).map(|m| (m, false)),
            Cell::Date { at, .. } => Some((*at, false)),
            Cell::Text(text) => {
                let plain = narrow(text);
                let repaired = plain.trim_matches(is_blank) != text.trim_matches(is_blank);
                Self::parse(&plain).map(|m| (m, repaired))
            }
            Cell::Empty | Cell::Error => None,
        }
    }

    /// Reads a text with ASCII digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(is_blank);
        if let Some(day) = eight_digits(text) {
            return Some(Self::Day(day));
        }
        let is_serial = text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if let Some(moment) = text.parse().ok().filter(|_| is_serial).and_then(Self::from_serial) {
            return Some(moment);
        }
        let (numbers, gaps) = tokens(text)?;
        let dated = numbers.len() >= 3 && is_date(&gaps);
        if !dated {
            return clock(&numbers, &gaps).map(Self::Clock);
        }
        let year = i32::try_from(numbers[0]).ok()?;
        let day = Day::from_ymd(year, numbers[1], numbers[2])?;
        if numbers.len() == 3 {
            return closes_day(&gaps[3]).then_some(Self::Day(day));
        }
        let mut clock_gaps = gaps[3..].to_vec();
        clock_gaps[0] = opens_clock(&gaps[3])?;
        let seconds = clock(&numbers[3..], &clock_gaps)?;
        Some(Self::At(UnixTime(day.start().0 + i64::from(seconds))))
    }
}

/// `20250104`.
fn eight_digits(text: &str) -> Option<Day> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Day::from_ymd(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?)
}

/// Numbers of a text and what stands before, between and after them, without blanks.
fn tokens(text: &str) -> Option<(Vec<u32>, Vec<String>)> {
    // Year to second and a fraction are seven numbers; more is no moment.
    const NUMBERS_MAX: usize = 7;
    let mut numbers = vec![];
    let mut gaps = vec![String::new()];
    let mut in_number = false;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            if !in_number {
                numbers.push(0u32);
                if numbers.len() > NUMBERS_MAX {
                    return None;
                }
            }
            let last = numbers.last_mut()?;
            *last = last.checked_mul(10)?.checked_add(digit)?;
            in_number = true;
        } else {
            if in_number {
                gaps.push(String::new());
            }
            if !is_blank(c) {
                gaps.last_mut()?.push(c);
            }
            in_number = false;
        }
    }
    if in_number {
        gaps.push(String::new());
    }
    (!numbers.is_empty()).then_some((numbers, gaps))
}

/// `2025-01-04`, `2025/1/4`, `2025.1.4`, `2025年1月4日`.
fn is_date(gaps: &[String]) -> bool {
    gaps[0].is_empty()
        && matches!((gaps[1].as_str(), gaps[2].as_str()), ("-", "-") | ("/", "/") | (".", ".") | ("年", "月"))
}

fn closes_day(gap: &str) -> bool {
    matches!(gap, "" | "日" | "号")
}

/// Between the day and the clock; what remains says which half of the day.
fn opens_clock(gap: &str) -> Option<String> {
    let rest = gap.trim_start_matches(['日', '号']);
    matches!(rest, "" | "T" | "上午" | "下午").then(|| rest.trim_start_matches('T').to_owned())
}

/// `11:50`, `11:50:30`, `11时50分`, `9时`, `下午3:20`; seconds since midnight.
fn clock(numbers: &[u32], gaps: &[String]) -> Option<u32> {
    let half_day = match gaps[0].as_str() {
        "" => None,
        "上午" => Some(0),
        "下午" => Some(12),
        _ => return None,
    };
    let between: Vec<&str> = gaps[1..].iter().map(String::as_str).collect();
    let (minute, second) = match (numbers, between.as_slice()) {
        ([_], ["时" | "点"]) => (0, 0),
        ([_, m], [":" | "时" | "点", "" | "分"]) => (*m, 0),
        // A fraction of a second, as OpenDocument writes it, is below what a service needs.
        ([_, m, s], [":", ":", ""] | ["时" | "点", "分", "秒"]) | ([_, m, s, _], [":", ":", ".", ""]) => {
            (*m, *s)
        }
        _ => return None,
    };
    let mut hour = numbers[0];
    if let Some(offset) = half_day {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + offset;
    }
    let end_of_day = hour == 24 && minute == 0 && second == 0;
    if (hour > 23 && !end_of_day) || minute > 59 || second > 59 {
        return None;
    }
    Some(hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(h: u32, m: u32, s: u32) -> Moment {
        Moment::At(UnixTime::from_local(2025, 1, 4, h, m, s).expect("a real moment"))
    }

    #[test]
    fn every_habit_of_writing_a_moment_means_the_same() {
        for text in [
            "2025-01-04 11:50",
            "2025/1/4 11:50",
            "2025/01/04  11:50:00",
            "2025年01月04日 11:50",
            "2025年1月4日11时50分",
            "2025.1.4 11:50",
            "2025-01-04T11:50:00",
            "2025-01-04T11:50:00.000000000",
            "2025年1月4日 上午11:50",
            "45661.493055556",
        ] {
            assert_eq!(Moment::parse(text), Some(at(11, 50, 0)), "{text}");
        }
        assert_eq!(Moment::parse("2025/1/4 下午3:20"), Some(at(15, 20, 0)));
        assert_eq!(Moment::parse("2025-01-04 24:00"), Moment::parse("2025-01-05 0:00"));
        let (moment, repaired) =
            Moment::of_cell(&Cell::Text(" ２０２５-01-04 11：50".into())).expect("readable");
        assert_eq!((moment, repaired), (at(11, 50, 0), true));
    }

    #[test]
    fn a_day_and_a_clock_time_alone_are_told_apart() {
        let day = Day::from_ymd(2025, 1, 4).expect("a real day");
        for text in ["2025-01-04", "2025/1/4", "2025年1月4日", "20250104", "45661"] {
            assert_eq!(Moment::parse(text), Some(Moment::Day(day)), "{text}");
        }
        assert_eq!(Moment::parse("9:05"), Some(Moment::Clock(9 * 3600 + 5 * 60)));
        assert_eq!(Moment::parse("9时"), Some(Moment::Clock(9 * 3600)));
        assert_eq!(Moment::from_serial(0.5), Some(Moment::Clock(43_200)));
    }

    #[test]
    fn serials_are_read_to_the_nearest_second() {
        for serial in [45_661.395_833_33, 45_661.395_83, 45_661.395_833_333_336] {
            assert_eq!(Moment::from_serial(serial), Some(at(9, 30, 0)));
        }
        assert_eq!(Moment::from_serial(1.5), None);
        assert_eq!(Moment::from_serial(f64::NAN), None);
    }

    #[test]
    fn what_fits_no_form_is_unreadable() {
        for text in [
            "",
            "昨天",
            "2025-02-29 10:00",
            "25-01-04 10:00",
            "2025-01-04 25:00",
            "2025-01-04 10:60",
            "2025-01/04",
            "2025-01-04 10:00-12:00",
            "1月4日",
            "3.5",
            "99999999999999999999",
            "2025-13-01",
            "-5",
            "2025-01-04 约10:00",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
