//! Rule profiles (办法) as versioned data: stars, caps, deadlines.
//!
//! `yunnan` ships now. Values and their force are in the table of each constant; a proof and an
//! attestation name the profile and version they were made under.

use crate::minutes::Minutes;

/// A rule profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Name.
    pub name: &'static str,
    /// Version.
    pub version: u64,
    /// Inclusive star thresholds in minutes (R-70: 累计达到).
    pub star_minutes: [Minutes; 5],
    /// More minutes than this on one civil day are flagged, not refused (S12).
    pub day_flag: Minutes,
    /// More minutes than this on one civil day are refused: a day has no more.
    pub day_max: Minutes,
    /// One attestation may cross midnight.
    pub may_cross_midnight: bool,
    /// Longest single item a node makes; longer duties are split under one parent (S21).
    pub item_max: Minutes,
}

/// The profile of Yunnan, version 1: the star table of the 2014 document §7; the 8-hour flag is
/// practice of other provinces (b-9), hence a flag and not a limit.
pub const YUNNAN: Profile = Profile {
    name: "yunnan",
    version: 1,
    star_minutes: [Minutes(6_000), Minutes(18_000), Minutes(36_000), Minutes(60_000), Minutes(90_000)],
    day_flag: Minutes(480),
    day_max: Minutes(1_440),
    may_cross_midnight: false,
    item_max: Minutes(1_440),
};

impl Profile {
    /// Stars due for `minutes`, 0 to 5.
    pub fn stars_due(&self, minutes: Minutes) -> u64 {
        self.star_minutes.iter().filter(|least| minutes >= **least).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_thresholds_are_inclusive_s1() {
        assert_eq!(YUNNAN.stars_due(Minutes(17_250)), 1);
        assert_eq!(YUNNAN.stars_due(Minutes(17_999)), 1);
        assert_eq!(YUNNAN.stars_due(Minutes(18_000)), 2);
        assert_eq!(YUNNAN.stars_due(Minutes(90_000)), 5);
    }
}
