//! The report of an import: figures, and what was found in which row.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use yunling_protocol::minutes::Minutes;

use super::judge::{Judged, Skipped, SkippedWhy};
use super::{Outcome, Table};

/// Figures of a judged sheet and everything found, as one JSON object.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Rows judged.
    pub rows: usize,
    /// Rows recorded as they stand.
    pub accepted: usize,
    /// Rows recorded after a repair.
    pub repaired: usize,
    /// Rows recorded that someone should look at.
    pub flagged: usize,
    /// Rows refused.
    pub refused: usize,
    /// Rows that are there already.
    pub duplicate: usize,
    /// Records added: accepted, repaired and flagged rows.
    pub records_added: usize,
    /// Sum of the minutes of the records added.
    pub minutes_total: u64,
    /// The same as hours with two decimals.
    pub hours_total: String,
    /// People with a record added.
    pub people: usize,
    /// Row numbers of the refused rows, as Excel shows them.
    pub refused_rows: Vec<u32>,
    /// Name of the worksheet.
    pub sheet: String,
    /// Worksheets of the file that were not read.
    pub other_sheets: Vec<String>,
    /// Row number of the header.
    pub header_row: u32,
    /// Rows not judged because they hold nothing.
    pub skipped_blank: usize,
    /// Rows not judged because they are sums or repeat the header.
    pub skipped_total: usize,
    /// The skipped rows that hold something.
    pub skipped_rows: Vec<Skipped>,
    /// Everything found.
    pub findings: Vec<RowFinding>,
}

/// One thing found in one row.
#[derive(Debug, Clone, Serialize)]
pub struct RowFinding {
    /// Row number as Excel shows it.
    pub row: u32,
    /// Result of the row.
    pub outcome: &'static str,
    /// What this finding does to the row; `accepted` is a remark.
    pub effect: &'static str,
    /// Header of the column, as the sheet has it.
    pub column: Option<String>,
    /// Field of the column.
    pub field: Option<&'static str>,
    /// Stable code; the words are in the catalogue.
    pub code: &'static str,
    /// Values for the words.
    pub values: BTreeMap<&'static str, String>,
}

impl Report {
    pub(super) fn new(judged: &Judged, table: &Table) -> Self {
        let count = |outcome| judged.verdicts.iter().filter(|v| v.outcome == outcome).count();
        let people: BTreeSet<_> = judged.records().map(|r| &r.person).collect();
        let minutes = Minutes(judged.records().map(|r| r.minutes.0).fold(0, u64::saturating_add));
        let refused = judged.verdicts.iter().filter(|v| v.outcome == Outcome::Refused);
        let skipped = |blank| judged.skipped.iter().filter(|s| (s.why == SkippedWhy::Blank) == blank).count();
        Self {
            rows: judged.verdicts.len(),
            accepted: count(Outcome::Accepted),
            repaired: count(Outcome::Repaired),
            flagged: count(Outcome::Flagged),
            refused: count(Outcome::Refused),
            duplicate: count(Outcome::Duplicate),
            records_added: judged.records().count(),
            minutes_total: minutes.0,
            hours_total: minutes.hours_text(),
            people: people.len(),
            refused_rows: refused.map(|v| v.row).collect(),
            sheet: table.sheet.clone(),
            other_sheets: table.other_sheets.clone(),
            header_row: table.header_row,
            skipped_blank: skipped(true) + judged.empty_rows as usize,
            skipped_total: skipped(false),
            skipped_rows: judged.skipped.clone(),
            findings: findings(judged, table),
        }
    }
}

fn findings(judged: &Judged, table: &Table) -> Vec<RowFinding> {
    let of_row = |verdict: &super::Verdict| {
        let (row, outcome) = (verdict.row, verdict.outcome.code());
        let one = move |finding: &super::Finding| RowFinding {
            row,
            outcome,
            effect: finding.outcome.code(),
            column: finding.field.and_then(|field| table.header(field)).map(str::to_owned),
            field: finding.field.map(super::Field::name),
            code: finding.code,
            values: finding.values.clone(),
        };
        verdict.findings.iter().map(one).collect::<Vec<_>>()
    };
    judged.verdicts.iter().flat_map(of_row).collect()
}
