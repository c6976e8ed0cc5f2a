//! Legacy sheets through the binary, with exactly the figures that were worked out for them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use yunling_tests::office::Office;
use yunling_tests::shared_dir;

fn sheets() -> Option<(Value, [PathBuf; 2])> {
    let data = shared_dir()?.join("data");
    let bytes = std::fs::read(data.join("legacy-530100.expected.json")).expect("the expected figures");
    let expected = serde_json::from_slice(&bytes).expect("the expected figures are JSON");
    Some((expected, [data.join("legacy-530100.xlsx"), data.join("legacy-530100.gbk.csv")]))
}

fn judge(expected: &Value, answer: &Value, sheet: &Path) {
    let keys = [
        "rows",
        "accepted",
        "repaired",
        "flagged",
        "refused",
        "duplicate",
        "records_added",
        "minutes_total",
        "people",
    ];
    for key in keys {
        assert_eq!(answer[key], expected[key], "{key} of {}", sheet.display());
    }
    // The workbook has a title above its header row, the text file has none: one row less.
    let title = u64::from(sheet.extension().is_some_and(|e| e == "xlsx"));
    let rows = expected["refused_rows_xlsx"].as_array().into_iter().flatten().filter_map(Value::as_u64);
    let rows: Vec<u64> = rows.map(|row| row - 1 + title).collect();
    assert_eq!(answer["refused_rows"], Value::from(rows), "{}", sheet.display());
}

fn judge_again(office: &Office, expected: &Value, sheet: &Path) {
    let again = office.import(sheet);
    assert_eq!(
        (&again["records_added"], &again["minutes_total"]),
        (&0.into(), &0.into()),
        "{}",
        sheet.display()
    );
    assert_eq!(again["refused"], expected["refused"]);
}

#[test]
fn both_legacy_sheets_give_the_expected_figures_with_the_node_running() {
    let Some((expected, sheets)) = sheets() else { return };
    for sheet in &sheets {
        let folder = tempfile::tempdir().expect("folder");
        let mut office = Office::open(folder.path(), "kunming", "530100");
        judge(&expected, &office.import(sheet), sheet);
        judge_again(&office, &expected, sheet);
        // What was told is there after a power cut, and the other form of the sheet adds nothing.
        office.restart();
        for other in &sheets {
            judge_again(&office, &expected, other);
        }
        assert_eq!(office.ok(&["status"])["volunteers"], expected["people"]);
    }
}

#[test]
fn both_legacy_sheets_give_the_expected_figures_with_the_node_stopped() {
    let Some((expected, sheets)) = sheets() else { return };
    for sheet in &sheets {
        let folder = tempfile::tempdir().expect("folder");
        let mut office =
            Office::make(folder.path(), "kunming", "530100", yunling_tests::office::Plan::default());
        judge(&expected, &office.import(sheet), sheet);
        judge_again(&office, &expected, sheet);
        office.start();
        judge_again(&office, &expected, sheet);
        assert_eq!(office.ok(&["status"])["volunteers"], expected["people"]);
        office.stop();
        judge_again(&office, &expected, sheet);
    }
}

#[test]
fn a_trial_run_of_an_import_changes_nothing() {
    let Some((expected, sheets)) = sheets() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let office = Office::open(folder.path(), "kunming", "530100");
    let path = sheets[0].display().to_string();
    let dry = office.ok(&["import", "--dry-run", &path]);
    assert_eq!((&dry["dry_run"], &dry["accepted"]), (&true.into(), &expected["accepted"]));
    assert_eq!(office.ok(&["status"])["volunteers"], 0);
    judge(&expected, &office.import(&sheets[0]), &sheets[0]);
}
