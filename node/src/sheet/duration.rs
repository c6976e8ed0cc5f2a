//! Durations as the source states them: `3.5`, `3.5小时`, `3h30`, `210分钟`, `3:30`, number cells.
//!
//! The stated value is kept scaled with its own unit and decimals (S2); nothing is rounded here.

use yunling_protocol::minutes::{Stated, StatedUnit};

use super::Cell;
use super::text::{is_blank, narrow};

/// More decimals than this are rounded away: number cells hold binary fractions such as
/// 3.6666666666666665, and nine decimals of an hour are 4 µs.
const DECIMALS_MAX: usize = 9;
/// More digits before the point than this are no duration: a year has 8 760 hours.
const WHOLE_DIGITS_MAX: usize = 7;

/// Unit of bare numbers in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnitHint {
    /// The header names none: hours (67号 Art. 7).
    #[default]
    None,
    /// The header says hours.
    Hours,
    /// The header says minutes.
    Minutes,
}

/// Stated duration of a cell, and whether full-width characters had to be read; `None` when
/// unreadable or negative.
pub(super) fn of_cell(cell: &Cell, hint: UnitHint) -> Option<(Stated, bool)> {
    let unit = if hint == UnitHint::Minutes { StatedUnit::Minutes } else { StatedUnit::Hours };
    match cell {
        Cell::Number(value) => number(&shortest(*value)?, unit).map(|s| (s, false)),
        Cell::Date { days, .. } => {
            // A cell formatted [h]:mm holds days; one formatted as a date holds no duration.
            let minutes = (days * 1440.0).round();
            (0.0..=14_400_000.0).contains(&minutes).then(|| (whole_minutes(minutes as u64), false))
        }
        Cell::Text(text) => {
            let plain = narrow(text);
            let repaired = plain.trim_matches(is_blank) != text.trim_matches(is_blank);
            parse(&plain, unit).map(|s| (s, repaired))
        }
        Cell::Empty | Cell::Error => None,
    }
}

fn whole_minutes(value: u64) -> Stated {
    Stated { value, unit: StatedUnit::Minutes, decimals: 0 }
}

/// Shortest text of a number cell, rounded to [`DECIMALS_MAX`] and without closing zeros.
fn shortest(value: f64) -> Option<String> {
    if !value.is_finite() || value < 0.0 {
        return None;
    }
    let text = format!("{value}");
    let decimals = text.split_once('.').map_or(0, |(_, d)| d.len());
    if decimals <= DECIMALS_MAX {
        return Some(text);
    }
    let text = format!("{value:.DECIMALS_MAX$}");
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

/// Reads a text with ASCII digits; bare numbers are of `unit`.
pub(super) fn parse(text: &str, unit: StatedUnit) -> Option<Stated> {
    let plain: String = text.chars().filter(|c| !is_blank(*c)).flat_map(char::to_lowercase).collect();
    let (first, rest) = split_number(&plain)?;
    let (word, rest) = split_word(rest);
    if rest.is_empty() {
        let unit = if word.is_empty() { unit } else { unit_of(word)? };
        return number(first, unit);
    }
    let (second, tail) = split_number(rest)?;
    let (closing, tail) = split_word(tail);
    let clock = word == ":" && (closing.is_empty() || (closing == ":" && tail == "00"));
    let spoken = unit_of(word) == Some(StatedUnit::Hours)
        && tail.is_empty()
        && (closing.is_empty() || unit_of(closing) == Some(StatedUnit::Minutes));
    if !clock && !spoken {
        return None;
    }
    let hours: u64 = first.parse().ok().filter(|_| first.len() <= WHOLE_DIGITS_MAX)?;
    let minutes: u64 = second.parse().ok().filter(|m| *m < 60)?;
    Some(whole_minutes(hours * 60 + minutes))
}

fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len()))
}

pub(super) fn unit_of(word: &str) -> Option<StatedUnit> {
    match word {
        "小时" | "个小时" | "时" | "钟头" | "个钟头" | "h" | "hr" | "hrs" | "hour" | "hours" => {
            Some(StatedUnit::Hours)
        }
        "分钟" | "分" | "m" | "min" | "mins" | "minute" | "minutes" => Some(StatedUnit::Minutes),
        _ => None,
    }
}

/// `3`, `3.5`, `.5`, `3.`
fn number(text: &str, unit: StatedUnit) -> Option<Stated> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let any = !whole.is_empty() || !fraction.is_empty();
    if !any || !digits(whole) || !digits(fraction) || whole.len() > WHOLE_DIGITS_MAX {
        return None;
    }
    let kept = fraction.get(..fraction.len().min(DECIMALS_MAX))?;
    let mut value: u64 = format!("0{whole}{kept}").parse().ok()?;
    if fraction.as_bytes().get(DECIMALS_MAX).is_some_and(|next| *next >= b'5') {
        value += 1;
    }
    Some(Stated { value, unit, decimals: kept.len() as u8 })
}

#[cfg(test)]
mod tests {
    use yunling_protocol::minutes::Minutes;

    use super::*;

    fn read(text: &str) -> Option<(u64, StatedUnit, u8)> {
        parse(text, StatedUnit::Hours).map(|s| (s.value, s.unit, s.decimals))
    }

    #[test]
    fn hours_come_in_many_forms() {
        use StatedUnit::{Hours, Minutes};
        for (text, value, unit, decimals) in [
            ("3.5", 35, Hours, 1),
            ("3.5小时", 35, Hours, 1),
            ("3.50 h", 350, Hours, 2),
            ("3h30", 210, Minutes, 0),
            ("2h00", 120, Minutes, 0),
            ("3小时30分", 210, Minutes, 0),
            ("3小时30分钟", 210, Minutes, 0),
            ("3:30", 210, Minutes, 0),
            ("3:30:00", 210, Minutes, 0),
            ("210分钟", 210, Minutes, 0),
            ("210 Min", 210, Minutes, 0),
            ("0.833333小时", 833_333, Hours, 6),
            ("4.0", 40, Hours, 1),
            ("0", 0, Hours, 0),
            (".5", 5, Hours, 1),
            ("3个小时", 3, Hours, 0),
        ] {
            assert_eq!(read(text), Some((value, unit, decimals)), "{text}");
        }
        for text in [
            "",
            "半天",
            "-3",
            "3,5",
            "3h75",
            "3.5h30",
            "3..5",
            "123456789",
            "3小时30小时",
            "1e3",
            "约3小时",
            ".",
            "3:30:15",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_cell_keeps_the_decimals_a_person_typed() {
        let stated =
            |value| of_cell(&Cell::Number(value), UnitHint::None).map(|(s, _)| (s.value, s.decimals));
        assert_eq!(stated(2.83), Some((283, 2)));
        assert_eq!(stated(4.0), Some((4, 0)));
        assert_eq!(stated(3.666_666_666_666_666_5), Some((3_666_666_667, 9)));
        assert_eq!(stated(2.829_999_999_999_999_6), Some((283, 2)));
        assert_eq!(stated(-1.0), None);
        assert_eq!(stated(f64::NAN), None);
        assert_eq!(stated(1e300), None);
        let minutes = of_cell(&Cell::Number(90.0), UnitHint::Minutes).map(|(s, _)| s.minutes_rounded());
        assert_eq!(minutes, Some(Minutes(90)));
    }

    #[test]
    fn a_duration_cell_is_minutes() {
        let cell = Cell::Date { days: 3.5 / 24.0, at: super::super::moment::Moment::Clock(12_600) };
        assert_eq!(of_cell(&cell, UnitHint::None).map(|(s, _)| s.minutes_rounded()), Some(Minutes(210)));
    }
}
