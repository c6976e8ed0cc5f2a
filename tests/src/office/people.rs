//! Invented people and their sheets. In: how many rows. Out: a CSV as offices write it. Identity
//! numbers are nobody's: the birth date lies in 1900 and only the check digit is right.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Weights and check digits of GB 11643.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];

/// The identity number of invented person `n`.
///
/// # Panics
/// For more people than numbers of one place and year.
pub fn id_number(n: u32) -> String {
    assert!(n < 12 * 28 * 999, "no number left for person {n}");
    let (serial, day) = (n / (12 * 28) + 1, n % (12 * 28));
    let digits = format!("5301021900{:02}{:02}{serial:03}", day / 28 + 1, day % 28 + 1);
    let sum: u32 = digits.chars().filter_map(|c| c.to_digit(10)).zip(WEIGHTS).map(|(d, w)| d * w).sum();
    format!("{digits}{}", CHECKS[(sum % 11) as usize])
}

/// A sheet under construction.
#[derive(Debug)]
pub struct Sheet(String);

impl Default for Sheet {
    fn default() -> Self {
        Self("姓名,证件号码,活动名称,服务类别,服务内容,服务地点,行政区划代码,开始时间,结束时间,服务时长,组织单位,统一社会信用代码,负责人,录入方式\n".into())
    }
}

impl Sheet {
    /// Rows of one person, each on a day of its own from 2024-01-01 on, 08:00 and so many hours and
    /// minutes. Months are taken to have 28 days.
    #[must_use]
    pub fn person(mut self, n: u32, lengths: &[u32]) -> Self {
        for (i, minutes) in (0u32..).zip(lengths) {
            let (year, month, day) = (2024 + i / 336, i / 28 % 12 + 1, i % 28 + 1);
            let end = 8 * 60 + minutes;
            // Writing to a String cannot fail.
            let _ = writeln!(
                self.0,
                "测试{n}号,{},邻里守望,社区服务,上门照护与清洁,五华区翠湖社区,530102,{year}-{month:02}-{day:02} 08:00,{year}-{month:02}-{day:02} {:02}:{:02},{minutes}分钟,翠湖志愿服务队,51530100MJ000000X8,站长,APP计时",
                id_number(n),
                end / 60,
                end % 60,
            );
        }
        self
    }

    /// The volunteer of 287.50 h: 57 × 300 min and 150 min, 17,250 min in all.
    #[must_use]
    pub fn mover(self, n: u32) -> Self {
        let mut lengths = vec![300; 57];
        lengths.push(150);
        self.person(n, &lengths)
    }

    /// Writes the sheet.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, &self.0).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }
}
