//! The demo's legacy sheet: invented people (birth dates in 1900), written as offices write them.

use std::fmt::Write as _;

use yunling_protocol::day::Day;

/// Identity number of the demo's volunteer; nobody's.
pub(crate) const NUMBER: &str = "530102190001010019";
/// Activity that turns out to be a duty, 5 × 5 h = 25 h.
pub(crate) const DUTY: &str = "节日值班";

/// The sheet as CSV: 58 rows of the volunteer (17,250 minutes), one row of someone else, one row
/// refused for its identity number.
pub(crate) fn sheet() -> String {
    let mut text = String::from(
        "姓名,证件号码,活动名称,服务类别,服务内容,服务地点,行政区划代码,开始时间,结束时间,服务时长,组织单位,统一社会信用代码,负责人,录入方式\n",
    );
    let first = Day::from_ymd(2025, 3, 1).unwrap_or(Day(20_148));
    for n in 0..58 {
        let day = Day(first.0 + n);
        let (activity, end, stated) = match n {
            0..5 => (DUTY, "13:00", "5小时"),
            57 => ("邻里守望", "10:30", "2h30"),
            _ => ("邻里守望", "13:00", "300分钟"),
        };
        row(&mut text, "岩温·罕", NUMBER, activity, day, end, stated);
    }
    row(&mut text, "李一", "532901190001010026", "邻里守望", first, "10:00", "2");
    row(&mut text, "王二", "5.30102E+17", "邻里守望", first, "10:00", "2");
    text
}

fn row(text: &mut String, name: &str, number: &str, activity: &str, day: Day, end: &str, stated: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{name},{number},{activity},社区服务,上门照护与清洁,五华区翠湖社区,530102,{day} 08:00,{day} {end},{stated},翠湖志愿服务队,51530100MJ000000X8,站长,APP计时"
    );
}
