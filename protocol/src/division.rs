//! Administrative divisions (GB/T 2260): every code of the country since 1981 with its years and
//! successors, current and abolished; an identity number keeps the code of first registration.
//!
//! `division/table.tsv`: code, name, first year, last year or `-`, successors or `-`; the facts
//! come from yescallop/areacodes (CC0), which follows the yearly lists of the Ministry of Civil
//! Affairs up to the end of 2024.

use std::fmt;

const TABLE: &str = include_str!("division/table.tsv");

/// A six-digit division code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DivisionCode(pub u32);

impl fmt::Display for DivisionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl fmt::Debug for DivisionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    /// Code.
    pub code: DivisionCode,
    /// Chinese name.
    pub name: &'static str,
    /// First year in use.
    pub start_year: u32,
    /// Last year in use, `None` while in use.
    pub end_year: Option<u32>,
    /// Codes that took its place.
    pub successors: Vec<DivisionCode>,
}

/// Official English names of the 16 prefectures of Yunnan.
const PREFECTURES: [(u32, &str); 16] = [
    (530_100, "Kunming"),
    (530_300, "Qujing"),
    (530_400, "Yuxi"),
    (530_500, "Baoshan"),
    (530_600, "Zhaotong"),
    (530_700, "Lijiang"),
    (530_800, "Pu'er"),
    (530_900, "Lincang"),
    (532_300, "Chuxiong Yi A.P."),
    (532_500, "Honghe Hani and Yi A.P."),
    (532_600, "Wenshan Zhuang and Miao A.P."),
    (532_800, "Xishuangbanna Dai A.P."),
    (532_900, "Dali Bai A.P."),
    (533_100, "Dehong Dai and Jingpo A.P."),
    (533_300, "Nujiang Lisu A.P."),
    (533_400, "Diqing Tibetan A.P."),
];

impl DivisionCode {
    /// Six digits; need not be in the table.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok().map(Self))?
    }

    /// English name, for the prefectures of Yunnan.
    pub fn english(self) -> Option<&'static str> {
        PREFECTURES.iter().find(|(code, _)| *code == self.0).map(|(_, name)| *name)
    }

    /// The entry in use, else the newest abolished one.
    pub fn lookup(self) -> Option<Division> {
        lookup_all(self).into_iter().max_by_key(|d| (d.end_year.is_none(), d.end_year))
    }
}

/// Codes of the 16 prefectures of Yunnan with their English names.
pub fn prefectures() -> impl Iterator<Item = (DivisionCode, &'static str)> {
    PREFECTURES.into_iter().map(|(code, name)| (DivisionCode(code), name))
}

/// Every entry of a code; a code may have had several names.
pub fn lookup_all(code: DivisionCode) -> Vec<Division> {
    let text = code.to_string();
    TABLE.lines().filter(|line| line.starts_with(&text)).filter_map(parse_line).collect()
}

/// Every entry.
pub fn all() -> impl Iterator<Item = Division> {
    TABLE.lines().filter_map(parse_line)
}

fn parse_line(line: &'static str) -> Option<Division> {
    let mut parts = line.split('\t');
    let code = DivisionCode::parse(parts.next()?)?;
    let name = parts.next()?;
    let start_year = parts.next()?.parse().ok()?;
    let end_year = parts.next()?.parse().ok();
    let successors = parts.next()?.split(',').filter_map(DivisionCode::parse).collect();
    Some(Division { code, name, start_year, end_year, successors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefectures_and_abolished_codes_are_known() {
        for (code, _) in prefectures() {
            assert!(code.lookup().is_some_and(|d| d.end_year.is_none()), "{code}");
        }
        let old = DivisionCode(533_221).lookup().expect("abolished code is kept");
        assert!(old.end_year.is_some());
        assert_eq!(old.successors, [DivisionCode(530_702), DivisionCode(530_721)]);
        assert_eq!(DivisionCode(999_999).lookup(), None);
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        assert_eq!(all().count(), TABLE.lines().count());
    }
}
