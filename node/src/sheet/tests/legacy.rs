//! The two legacy sheets give exactly their known answer. The folder is found by `YUNLING_SHARED` or
//! beside the repository; without it the tests say so and fail in CI.

use std::path::Path;
use std::time::Instant;

use super::*;

fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("YUNLING_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = folder.unwrap_or_else(beside).join("data").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{name} is missing: set YUNLING_SHARED");
    eprintln!("SKIPPED: {name} not found; set YUNLING_SHARED");
    None
}

fn gives_the_known_answer(name: &str, rows_above: u32) {
    let (Some(path), Some(answer)) = (shared(name), shared("legacy-530100.expected.json")) else { return };
    let answer: serde_json::Value = serde_json::from_slice(&std::fs::read(answer).unwrap()).unwrap();
    let table = read_sheet(&path, &Options::default()).unwrap();
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let report = serde_json::to_value(judged.report(&table)).unwrap();
    for key in [
        "rows",
        "accepted",
        "repaired",
        "flagged",
        "refused",
        "duplicate",
        "records_added",
        "minutes_total",
        "people",
    ] {
        assert_eq!(report[key], answer[key], "{key}");
    }
    // The known rows are those of the workbook, which has a title row above its header.
    let numbers = |value: &serde_json::Value, minus: u32| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() - u64::from(minus)).collect()
    };
    let known = numbers(&answer["refused_rows_xlsx"], 1 - rows_above);
    assert_eq!(numbers(&report["refused_rows"], 0), known);
    let defects = |codes: &[&str]| {
        let hit = |v: &&Verdict| v.findings.iter().any(|f| codes.contains(&f.code));
        judged.verdicts.iter().filter(hit).count() as u64
    };
    for (defect, codes) in [
        ("sci", &["id-scientific"][..]),
        ("end_before_start", &["end-before-start"]),
        ("future", &["start-in-future"]),
        ("no_name_of_activity", &["activity-empty"]),
        ("no_place", &["place-empty"]),
        ("bad_uscc", &["uscc-checksum"]),
        ("too_many_hours", &["hours-over-span"]),
        ("zero", &["minutes-zero"]),
        ("lower_x", &["id-lower-x"]),
        ("full_width", &["id-full-width"]),
        ("formula", &["formula-as-text"]),
        ("overlap", &["overlap"]),
        ("duplicate", &["duplicate"]),
    ] {
        assert_eq!(defects(codes), answer["by_defect"][defect].as_u64().unwrap(), "{defect}");
    }
    assert_eq!(defects(&["id-checksum", "id-truncated"]), 12);
}

#[test]
fn the_workbook_gives_exactly_the_known_figures() {
    gives_the_known_answer("legacy-530100.xlsx", 1);
}

#[test]
fn the_gb18030_text_gives_exactly_the_known_figures() {
    gives_the_known_answer("legacy-530100.gbk.csv", 0);
}

#[test]
fn the_refused_rows_written_back_are_refused_again_and_nothing_else_is() {
    let Some(path) = shared("legacy-530100.xlsx") else { return };
    let table = read_sheet(&path, &Options::default()).unwrap();
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("refused.xlsx");
    let headers = ReasonHeaders { row: "原行号", reason: "原因" };
    let written = write_refused_xlsx(&judged, &table, &report, headers, |f| f.code.to_owned()).unwrap();
    assert_eq!(written, 44);
    let again = read_sheet(&report, &Options::default()).unwrap();
    let judged_again = judge(&again, &NothingYet, rules()).unwrap();
    assert_eq!(judged_again.report(&again).refused, 44);
    let codes = |judged: &Judged| -> Vec<Vec<&'static str>> {
        let refused = judged.verdicts.iter().filter(|v| v.outcome == Outcome::Refused);
        refused.map(|v| v.findings.iter().map(|f| f.code).collect()).collect()
    };
    assert_eq!(codes(&judged), codes(&judged_again));
}

/// Run by hand in release: `cargo test -p yunling-node --release -- --ignored hundred_thousand`.
#[test]
#[ignore = "a measurement"]
fn a_hundred_thousand_rows_are_read_and_judged_in_seconds() {
    let rows: Vec<Vec<String>> = (0..100_000)
        .map(|i| {
            let day = format!("2025-{:02}-{:02}", i / 28 % 12 + 1, i % 28 + 1);
            let (start, end) = (format!("{day} 09:00"), format!("{day} 12:30"));
            row(&[("活动名称", &format!("活动{i}")), ("开始时间", &start), ("结束时间", &end)])
        })
        .collect();
    let content = csv_of(&headed(&rows));
    let began = Instant::now();
    let table = table_of(&content);
    let read = began.elapsed();
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    eprintln!("read in {read:?}, read and judged in {:?}", began.elapsed());
    assert_eq!(judged.verdicts.len(), 100_000);
    assert!(began.elapsed().as_secs() < 60, "slower than any machine excuses: something is quadratic");
}
