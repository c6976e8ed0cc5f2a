//! Minutes: the only unit of service time. Hours are shown, never stored or summed.

use std::fmt;

/// A count of minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Minutes(pub u64);

impl Minutes {
    /// Sum, `None` when beyond u64.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Difference, `None` when `other` is more.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Sum of many, `None` when beyond u64.
    pub fn checked_sum(items: impl IntoIterator<Item = Self>) -> Option<Self> {
        items.into_iter().try_fold(Self(0), Self::checked_add)
    }

    /// Hours with two decimals, rounded half up; for people only, never to be summed.
    pub fn hours_text(self) -> String {
        let hundredths = (u128::from(self.0) * 100 + 30) / 60;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hours_text())
    }
}

/// Unit in which a source stated a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatedUnit {
    /// Hours.
    Hours,
    /// Minutes.
    Minutes,
}

/// A duration exactly as the source stated it: `value` / 10^`decimals` units (S2).
///
/// 0.33 h is kept as value 33, decimals 2, hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stated {
    /// Scaled integer.
    pub value: u64,
    /// Unit.
    pub unit: StatedUnit,
    /// Decimal places the source gave, at most 9.
    pub decimals: u8,
}

impl Stated {
    fn per_minute(self) -> (u128, u128) {
        // value / 10^d units * minutes-per-unit = minutes
        let unit = if self.unit == StatedUnit::Hours { 60 } else { 1 };
        (u128::from(self.value) * unit, 10u128.pow(u32::from(self.decimals.min(9))))
    }

    /// Whole minutes nearest to the stated value, half up.
    pub fn minutes_rounded(self) -> Minutes {
        let (numerator, denominator) = self.per_minute();
        Minutes(u64::try_from((numerator * 2 + denominator) / (denominator * 2)).unwrap_or(u64::MAX))
    }

    /// Whether exact minutes agree with the stated value at the source's own precision: rounded half
    /// up to that unit and that many decimals they give it. Cutting is not agreeing: 3.5 h stated for
    /// 3 h 35 min is a service with a break.
    pub fn agrees_with(self, exact: Minutes) -> bool {
        let unit: u128 = if self.unit == StatedUnit::Hours { 60 } else { 1 };
        let scale = 10u128.pow(u32::from(self.decimals.min(9)));
        let scaled = u128::from(exact.0) * scale;
        let stated = u128::from(self.value);
        (scaled * 2 + unit) / (unit * 2) == stated
    }

    /// Whether the stated value is more than `slack` minutes above `exact`.
    pub fn exceeds(self, exact: Minutes, slack: Minutes) -> bool {
        let (numerator, denominator) = self.per_minute();
        numerator > (u128::from(exact.0) + u128::from(slack.0)) * denominator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_shown_with_two_decimals_and_never_summed_rounded_s2() {
        assert_eq!(Minutes(17_250).hours_text(), "287.50");
        assert_eq!(Minutes(17_999).hours_text(), "299.98");
        assert_eq!(Minutes(20).hours_text(), "0.33");
        assert_eq!(Minutes(900 * 20).hours_text(), "300.00");
    }

    #[test]
    fn sums_and_differences_never_wrap() {
        assert_eq!(Minutes(2).checked_sub(Minutes(3)), None);
        assert_eq!(Minutes(3).checked_sub(Minutes(3)), Some(Minutes(0)));
        assert_eq!(Minutes::checked_sum([Minutes(u64::MAX), Minutes(1)]), None);
        assert_eq!(Minutes::checked_sum((0..900).map(|_| Minutes(20))), Some(Minutes(18_000)));
    }

    #[test]
    fn a_stated_value_agrees_at_its_own_precision() {
        let hours = |value, decimals| Stated { value, unit: StatedUnit::Hours, decimals };
        assert!(hours(383, 2).agrees_with(Minutes(230)));
        assert!(hours(366_667, 5).agrees_with(Minutes(220)));
        assert!(hours(33, 2).agrees_with(Minutes(20)));
        assert!(!hours(35, 1).agrees_with(Minutes(220)));
        assert!(!hours(35, 1).agrees_with(Minutes(215)));
        assert_eq!(hours(33, 2).minutes_rounded(), Minutes(20));
        assert!(hours(45, 1).exceeds(Minutes(230), Minutes(1)));
        assert!(!hours(383, 2).exceeds(Minutes(229), Minutes(1)));
    }
}
