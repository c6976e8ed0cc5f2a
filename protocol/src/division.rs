//! Administrative divisions (GB/T 2260): every code of the country since 1981 with its years and
//! successors, current and abolished; an identity number keeps the code of first registration.
//!
//! `division/table.tsv`: code, name, first year, last year or `-`, successors or `-`; the facts
//! come from yescallop/areacodes (CC0), which follows the yearly lists of the Ministry of Civil
//! Affairs up to the end of 2024.

use std::fmt;
use std::sync::LazyLock;

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

/// Lines of the table by code: an import asks for a division once per row.
static BY_CODE: LazyLock<Vec<(DivisionCode, &'static str)>> = LazyLock::new(|| {
    let coded = |line: &'static str| Some((DivisionCode::parse(line.get(..6)?)?, line));
    let mut lines: Vec<_> = TABLE.lines().filter_map(coded).collect();
    lines.sort_by_key(|(code, _)| *code);
    lines
});

/// Every entry of a code; a code may have had several names.
pub fn lookup_all(code: DivisionCode) -> Vec<Division> {
    let from = BY_CODE.partition_point(|(c, _)| *c < code);
    BY_CODE[from..].iter().take_while(|(c, _)| *c == code).filter_map(|(_, line)| parse_line(line)).collect()
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

    /// The file the table was made from: `YUNLING_SHARED`, else a folder `shared` beside the repository.
    fn source() -> Option<String> {
        let folder = std::env::var_os("YUNLING_SHARED").map(std::path::PathBuf::from);
        let beside = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
        std::fs::read_to_string(folder.unwrap_or_else(beside).join("data/divisions.csv")).ok()
    }

    #[test]
    fn the_table_holds_exactly_the_facts_of_its_source() {
        let Some(text) = source() else {
            assert!(std::env::var_os("CI").is_none(), "no divisions.csv: set YUNLING_SHARED");
            eprintln!("SKIPPED: no divisions.csv to compare with; set YUNLING_SHARED");
            return;
        };
        let mut expected: Vec<String> = text
            .lines()
            .skip(1)
            .map(|line| {
                let parts: Vec<&str> = line.split(',').collect();
                let or_dash = |i: usize| {
                    parts.get(i).filter(|t| !t.is_empty()).map_or("-".into(), |t| t.replace(' ', ","))
                };
                [parts[0].to_owned(), parts[1].to_owned(), or_dash(2), or_dash(3), or_dash(4)].join("\t")
            })
            .collect();
        expected.sort();
        let mut held: Vec<&str> = TABLE.lines().collect();
        held.sort_unstable();
        assert_eq!(held.len(), expected.len());
        for (ours, theirs) in held.iter().zip(&expected) {
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        assert_eq!(all().count(), TABLE.lines().count());
    }
}
