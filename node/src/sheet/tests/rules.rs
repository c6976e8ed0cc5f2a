//! One test per rule of the import.

use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::day::Day;
use yunling_protocol::minutes::{Minutes, Stated, StatedUnit};
use yunling_protocol::statement::{EntryWay, Grade, When};

use super::*;

const REFUSED: Outcome = Outcome::Refused;
const REPAIRED: Outcome = Outcome::Repaired;
const ACCEPTED: Outcome = Outcome::Accepted;

#[test]
fn a_sound_row_becomes_a_record_with_every_field() {
    let record = record(&[]);
    assert_eq!(record.row, 2);
    assert_eq!(record.name, "志愿者甲");
    assert_eq!(record.minutes, Minutes(210));
    assert_eq!(record.stated, Some(Stated { value: 35, unit: StatedUnit::Hours, decimals: 1 }));
    let start = UnixTime::from_local(2025, 1, 4, 9, 0, 0).unwrap();
    assert_eq!(record.when, When::Clock { start, end: UnixTime(start.0 + 210 * 60) });
    assert_eq!(record.categories[0].code, "0006");
    assert_eq!(record.division.unwrap().0, 530_102);
    assert_eq!(record.uscc.as_deref(), Some("51530100MJ000000X8"));
    assert_eq!((record.entry_way, record.grade), (EntryWay::Group, Grade::C));
    assert_eq!(record.in_charge.as_deref(), Some("站长"));
    assert_eq!((record.remark, record.flags), (None, vec![]));
}

#[test]
fn refused_is_an_identity_number_a_spreadsheet_destroyed_or_with_a_wrong_checksum() {
    for (id, code) in [
        ("5.30102E+17", "id-scientific"),
        ("532901190001010000", "id-truncated"),
        ("530102190001010018", "id-checksum"),
        ("53010219000101001", "id-length"),
        ("", "id-empty"),
    ] {
        assert_eq!(verdict(&[("证件号码", id)]), (REFUSED, vec![code]));
    }
}

#[test]
fn refused_is_an_end_not_after_the_start() {
    for end in ["2025-01-04 09:00", "2025-01-04 08:59", "2025-01-03 12:30"] {
        assert_eq!(verdict(&[("结束时间", end)]), (REFUSED, vec!["end-before-start"]));
    }
}

#[test]
fn refused_is_a_service_in_the_future_or_not_yet_over() {
    let times = |start, end| verdict(&[("开始时间", start), ("结束时间", end), ("服务时长", "1")]);
    assert_eq!(times("2031-01-04 09:00", "2031-01-04 10:00"), (REFUSED, vec!["start-in-future"]));
    assert_eq!(times("2026-03-01 12:01", "2026-03-01 13:01"), (REFUSED, vec!["start-in-future"]));
    assert_eq!(times("2026-03-01 11:30", "2026-03-01 12:30"), (REFUSED, vec!["end-in-future"]));
    assert_eq!(times("2026-03-01 11:00", "2026-03-01 12:00"), (ACCEPTED, vec![]));
    assert_eq!(times("2026-03-02", ""), (REFUSED, vec!["start-in-future"]));
    assert_eq!(times("2026-03-01", ""), (ACCEPTED, vec![]));
}

#[test]
fn refused_is_a_row_that_lacks_what_the_order_asks_for_r04() {
    for (header, code) in [
        ("活动名称", "activity-empty"),
        ("服务地点", "place-empty"),
        ("服务内容", "content-empty"),
        ("组织单位", "organization-empty"),
        ("开始时间", "start-empty"),
        ("姓名", "name-empty"),
    ] {
        for blank in ["", "  ", "　"] {
            assert_eq!(verdict(&[(header, blank)]), (REFUSED, vec![code]));
        }
    }
}

#[test]
fn refused_is_a_credit_code_with_a_wrong_checksum_and_none_is_no_error() {
    assert_eq!(verdict(&[("统一社会信用代码", "51530100MJ000000X9")]), (REFUSED, vec!["uscc-checksum"]));
    assert_eq!(verdict(&[("统一社会信用代码", "5153")]), (REFUSED, vec!["uscc-form"]));
    assert_eq!(verdict(&[("统一社会信用代码", "")]), (ACCEPTED, vec![]));
    assert_eq!(verdict(&[("统一社会信用代码", "51530100mj000000x8")]), (REPAIRED, vec!["uscc-repaired"]));
}

#[test]
fn refused_are_stated_hours_more_than_a_minute_longer_than_start_to_end() {
    assert_eq!(verdict(&[("服务时长", "212分钟")]), (REFUSED, vec!["hours-over-span"]));
    assert_eq!(verdict(&[("服务时长", "5.5")]), (REFUSED, vec!["hours-over-span"]));
    assert_eq!(verdict(&[("服务时长", "211分钟")]), (ACCEPTED, vec![]));
    assert_eq!(record(&[("服务时长", "211分钟")]).minutes, Minutes(210));
}

#[test]
fn refused_are_zero_minutes() {
    for hours in ["0", "0.0", "0分钟", "0h00", "0.001"] {
        assert_eq!(verdict(&[("服务时长", hours)]), (REFUSED, vec!["minutes-zero"]));
    }
    let seconds = [("结束时间", "2025-01-04 09:00:40"), ("服务时长", "")];
    assert_eq!(verdict(&seconds), (REFUSED, vec!["minutes-zero"]));
}

#[test]
fn refused_is_what_cannot_be_read_with_the_value_named() {
    for (header, value, code) in [
        ("开始时间", "上周六", "start-unreadable"),
        ("结束时间", "25:70", "end-unreadable"),
        ("服务时长", "半天", "hours-unreadable"),
    ] {
        assert_eq!(verdict(&[(header, value)]), (REFUSED, vec![code]));
        let (_, judged) = judged(&[row(&[(header, value)])]);
        assert_eq!(judged.verdicts[0].findings[0].values["value"], value);
    }
}

#[test]
fn refused_is_a_service_that_crosses_midnight_but_not_one_that_ends_there() {
    let night = [("开始时间", "2025-01-04 22:00"), ("结束时间", "2025-01-05 01:00"), ("服务时长", "3")];
    assert_eq!(verdict(&night), (REFUSED, vec!["crosses-midnight"]));
    let evening = [("开始时间", "2025-01-04 22:00"), ("结束时间", "2025-01-05 00:00"), ("服务时长", "2")];
    assert_eq!(verdict(&evening), (ACCEPTED, vec![]));
    assert_eq!(
        verdict(&[("开始时间", "2025-01-04 22:00"), ("结束时间", "24:00"), ("服务时长", "2")]),
        (ACCEPTED, vec![])
    );
}

#[test]
fn every_reason_of_a_refused_row_is_told() {
    let (outcome, codes) = verdict(&[("活动名称", ""), ("服务地点", ""), ("服务时长", "0")]);
    assert_eq!((outcome, codes), (REFUSED, vec!["activity-empty", "place-empty", "minutes-zero"]));
}

#[test]
fn repaired_are_lower_case_x_full_width_digits_and_blanks() {
    assert_eq!(verdict(&[("证件号码", "53290119000101019x")]), (REPAIRED, vec!["id-lower-x"]));
    assert_eq!(
        verdict(&[("证件号码", "５３０１０２１９０００１０１００１９")]),
        (REPAIRED, vec!["id-full-width"])
    );
    assert_eq!(verdict(&[("证件号码", " 530102190001010019 ")]), (REPAIRED, vec!["id-blanks"]));
    assert_eq!(verdict(&[("证件号码", "530102000101001")]), (REPAIRED, vec!["id-old-form"]));
    assert_eq!(verdict(&[("姓名", "志愿者甲 ")]), (REPAIRED, vec!["blanks-removed"]));
    assert_eq!(verdict(&[("服务时长", "３．５小时")]), (REPAIRED, vec!["full-width"]));
    assert_eq!(verdict(&[("开始时间", " 2025-01-04 09:00")]), (REPAIRED, vec!["blanks-removed"]));
    assert_eq!(record(&[("证件号码", "53290119000101019x")]).person.expose(), "53290119000101019X");
}

#[test]
fn names_are_stored_as_given_and_compared_without_their_dots_p19() {
    let rows = [
        row(&[("姓名", "岩温·罕")]),
        row(&[
            ("姓名", "岩温•罕"),
            ("活动名称", "甲"),
            ("开始时间", "2025-01-05 09:00"),
            ("结束时间", "2025-01-05 12:30"),
        ]),
        row(&[
            ("姓名", "玉罕"),
            ("活动名称", "乙"),
            ("开始时间", "2025-01-06 09:00"),
            ("结束时间", "2025-01-06 12:30"),
        ]),
    ];
    let (_, judged) = judged(&rows);
    let names: Vec<&str> = judged.records().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["岩温·罕", "岩温•罕", "玉罕"]);
    let outcomes: Vec<Outcome> = judged.verdicts.iter().map(|v| v.outcome).collect();
    assert_eq!(outcomes, [ACCEPTED, ACCEPTED, Outcome::Flagged]);
    assert_eq!(judged.verdicts[2].findings.last().unwrap().code, "another-name");
}

#[test]
fn flagged_is_the_later_row_of_two_that_overlap_and_it_is_kept() {
    let rows = [
        row(&[]),
        row(&[
            ("活动名称", "重叠"),
            ("开始时间", "2025-01-04 12:00"),
            ("结束时间", "2025-01-04 13:00"),
            ("服务时长", "1"),
        ]),
        row(&[
            ("活动名称", "相接"),
            ("开始时间", "2025-01-04 13:00"),
            ("结束时间", "2025-01-04 14:00"),
            ("服务时长", "1"),
        ]),
        row(&[("证件号码", "532901190001010026"), ("姓名", "志愿者乙")]),
    ];
    let (table, judged) = judged(&rows);
    let outcomes: Vec<Outcome> = judged.verdicts.iter().map(|v| v.outcome).collect();
    assert_eq!(outcomes, [ACCEPTED, Outcome::Flagged, ACCEPTED, ACCEPTED]);
    let finding = &judged.verdicts[1].findings[0];
    assert_eq!((finding.code, finding.values["other"].as_str()), ("overlap", "2"));
    assert_eq!(judged.records().nth(1).unwrap().flags, ["overlap"]);
    let report = judged.report(&table);
    assert_eq!((report.flagged, report.records_added, report.minutes_total, report.people), (1, 4, 540, 2));
}

#[test]
fn a_refused_row_overlaps_nothing_and_repeats_nothing() {
    let rows = [row(&[("统一社会信用代码", "51530100MJ000000X9")]), row(&[]), row(&[])];
    let (_, judged) = judged(&rows);
    let outcomes: Vec<Outcome> = judged.verdicts.iter().map(|v| v.outcome).collect();
    assert_eq!(outcomes, [REFUSED, ACCEPTED, Outcome::Duplicate]);
}

#[test]
fn duplicate_is_the_same_person_organization_activity_start_and_end_however_written() {
    let rows = [
        row(&[]),
        row(&[
            ("开始时间", "2025/1/4 9:00"),
            ("结束时间", "45661.520833333"),
            ("服务时长", "210分钟"),
            ("证件号码", "530102000101001"),
        ]),
        row(&[("组织单位", "另一支队"), ("统一社会信用代码", "")]),
    ];
    let (_, judged) = judged(&rows);
    let outcomes: Vec<Outcome> = judged.verdicts.iter().map(|v| v.outcome).collect();
    assert_eq!(outcomes, [ACCEPTED, Outcome::Duplicate, Outcome::Flagged]);
}

/// A store with one record.
struct One(RowRecord);

impl Existing for One {
    type Error = std::convert::Infallible;

    fn seen(&self, person: &CitizenId, item: &ItemKey) -> Result<bool, Self::Error> {
        Ok(self.0.person == *person && self.0.item == *item)
    }

    fn effective_intervals(&self, person: &CitizenId) -> Result<Vec<(UnixTime, UnixTime)>, Self::Error> {
        let When::Clock { start, end } = self.0.when else { return Ok(vec![]) };
        Ok(if self.0.person == *person { vec![(start, end)] } else { vec![] })
    }

    fn name_of(&self, person: &CitizenId) -> Result<Option<String>, Self::Error> {
        Ok((self.0.person == *person).then(|| self.0.name.clone()))
    }

    fn day_minutes(&self, person: &CitizenId, day: Day) -> Result<Minutes, Self::Error> {
        let same = self.0.person == *person && self.0.when.first_day() == day;
        Ok(if same { self.0.minutes } else { Minutes(0) })
    }
}

#[test]
fn what_the_store_has_counts_like_rows_above() {
    let rows = [
        row(&[]),
        row(&[("活动名称", "重叠"), ("姓名", "别名")]),
        row(&[("活动名称", "全天"), ("结束时间", ""), ("服务时长", "24")]),
    ];
    let table = table_of(&csv_of(&headed(&rows)));
    let judged = judge(&table, &One(record(&[])), rules()).unwrap();
    let outcomes: Vec<Outcome> = judged.verdicts.iter().map(|v| v.outcome).collect();
    assert_eq!(outcomes, [Outcome::Duplicate, Outcome::Flagged, REFUSED]);
    let codes: Vec<&str> = judged.verdicts[1].findings.iter().map(|f| f.code).collect();
    assert_eq!(codes, ["overlap-recorded", "another-name"]);
    assert_eq!(judged.verdicts[2].findings.last().unwrap().code, "over-day");
}

#[test]
fn minutes_are_exact_when_the_stated_hours_agree_at_their_own_precision_s2() {
    let minutes = |end, hours| record(&[("结束时间", end), ("服务时长", hours)]).minutes.0;
    assert_eq!(minutes("2025-01-04 12:50", "3.83"), 230);
    assert_eq!(minutes("2025-01-04 12:40", "3.66667小时"), 220);
    assert_eq!(minutes("2025-01-04 09:20", "0.33"), 20);
    assert_eq!(minutes("2025-01-04 09:20", "0.3"), 20);
    let stated = record(&[("结束时间", "2025-01-04 09:20"), ("服务时长", "0.33")]).stated.unwrap();
    assert_eq!((stated.value, stated.decimals), (33, 2));
}

#[test]
fn shorter_stated_hours_count_and_both_are_kept_r05() {
    for (hours, minutes) in [("3", 180), ("3.0", 180), ("2.5小时", 150), ("200分钟", 200), ("3h20", 200)]
    {
        let (_, judged) = judged(&[row(&[("服务时长", hours)])]);
        assert_eq!(judged.verdicts[0].outcome, ACCEPTED);
        let record = judged.records().next().unwrap();
        assert_eq!(record.minutes.0, minutes, "{hours}");
        assert!(matches!(record.when, When::Clock { start, end } if end.0 - start.0 == 210 * 60));
        let remark = &judged.verdicts[0].findings[0];
        assert_eq!((remark.code, remark.values["span"].as_str()), ("stated-shorter", "210"));
    }
    assert_eq!(record(&[("服务时长", "")]).minutes, Minutes(210));
}

#[test]
fn without_an_end_time_it_is_a_day_with_stated_hours_of_grade_e() {
    let record = record(&[("结束时间", "")]);
    assert_eq!(record.when, When::Day(Day::from_ymd(2025, 1, 4).unwrap()));
    assert_eq!((record.minutes, record.grade), (Minutes(210), Grade::E));
    assert_eq!(verdict(&[("结束时间", ""), ("服务时长", "")]), (REFUSED, vec!["hours-empty"]));
    assert_eq!(verdict(&[("结束时间", ""), ("服务时长", "25")]), (REFUSED, vec!["over-day"]));
    let days = [("开始时间", "2025-01-04"), ("结束时间", "2025-01-06"), ("服务时长", "20")];
    let (first, last) = (Day::from_ymd(2025, 1, 4).unwrap(), Day::from_ymd(2025, 1, 6).unwrap());
    assert_eq!(super::record(&days).when, When::Period { first, last });
}

#[test]
fn the_entry_way_gives_the_grade() {
    for (way, grade) in [
        ("团体录入", Grade::C),
        ("APP计时", Grade::B),
        ("个人申报", Grade::D),
        ("", Grade::E),
        ("口头", Grade::E),
    ] {
        assert_eq!(record(&[("录入方式", way)]).grade, grade, "{way}");
    }
}

#[test]
fn text_that_looks_like_a_formula_is_stored_as_text() {
    for content in ["=HYPERLINK(\"http://example.invalid\",\"邻里守望\")", "+1", "-1", "@SUM(A1)"] {
        assert_eq!(verdict(&[("服务内容", content)]), (ACCEPTED, vec![]));
        assert_eq!(record(&[("服务内容", content)]).content, content);
    }
}

#[test]
fn identity_and_mobile_numbers_never_enter_a_statement() {
    let changes = [("服务内容", "陪护 530102190001010019，电话 13800000000")];
    assert_eq!(verdict(&changes), (REPAIRED, vec!["private-number-hidden"]));
    assert!(!record(&changes).content.contains(|c: char| c.is_ascii_digit()));
}

#[test]
fn total_blank_and_repeated_header_rows_are_skipped_and_counted_apart() {
    let mut total = vec![String::new(); 15];
    total[0] = "合 计".into();
    total[9] = "3.5".into();
    let mut rows = headed(&[row(&[]), vec![String::new(); 15], total]);
    rows.push(HEADERS.map(str::to_owned).to_vec());
    rows.push(row(&[("活动名称", "乙"), ("开始时间", "2025-01-05 09:00"), ("结束时间", "2025-01-05 12:30")]));
    let table = table_of(&csv_of(&rows));
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let report = judged.report(&table);
    assert_eq!((report.rows, report.accepted), (2, 2));
    assert_eq!((report.skipped_blank, report.skipped_total), (1, 2));
    let skipped: Vec<(u32, SkippedWhy)> = report.skipped_rows.iter().map(|s| (s.row, s.why)).collect();
    assert_eq!(skipped, [(4, SkippedWhy::Total), (5, SkippedWhy::Header)]);
    assert_eq!(judged.verdicts[1].row, 6);
}

#[test]
fn texts_longer_than_a_statement_holds_are_refused() {
    let long = "长".repeat(86);
    assert_eq!(verdict(&[("活动名称", &long)]), (REFUSED, vec!["text-too-long"]));
    assert_eq!(verdict(&[("服务内容", &long)]), (ACCEPTED, vec![]));
}

#[test]
fn the_report_has_the_agreed_keys_and_no_identity_number_or_name() {
    let (table, judged) = judged(&[row(&[("证件号码", "530102190001010018")]), row(&[])]);
    let json = serde_json::to_value(judged.report(&table)).unwrap();
    assert_eq!(json["refused_rows"], serde_json::json!([2]));
    for (key, value) in [
        ("rows", 2),
        ("accepted", 1),
        ("repaired", 0),
        ("flagged", 0),
        ("refused", 1),
        ("duplicate", 0),
        ("records_added", 1),
        ("minutes_total", 210),
        ("people", 1),
    ] {
        assert_eq!(json[key], value, "{key}");
    }
    assert_eq!(json["findings"][0]["column"], "证件号码");
    let printed = format!("{json} {judged:?} {table:?}");
    assert!(!printed.contains("19000101") && !printed.contains("志愿者甲"));
}

#[test]
fn a_row_the_node_could_not_record_is_told_as_refused() {
    let (table, mut judged) = judged(&[row(&[])]);
    judged.refuse(2, "dossier-moved");
    let report = judged.report(&table);
    assert_eq!((report.refused, report.records_added, report.minutes_total), (1, 0, 0));
}
