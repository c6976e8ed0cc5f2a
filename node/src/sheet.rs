//! Legacy sheets: reading a clerk's .xlsx, .xls, .ods or .csv and judging each row.
//!
//! In goes a file, a moment and what the store already has; out come records ready to be signed and
//! a report with the row numbers Excel shows. Nothing here writes to the store or touches the
//! network, every row of the sheet is accounted for exactly once, and no cell is ever printed by
//! `Debug`: a sheet is full of identity numbers.
//!
//! [`read_sheet`] makes a [`Table`], [`judge`] makes [`Judged`], which holds the records and the
//! [`Report`]; [`write_refused_xlsx`] hands the refused rows back with their reasons.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

mod binary;
mod codes;
mod csv_text;
mod duration;
mod error;
mod field;
mod header;
mod item;
mod judge;
mod merged;
pub mod moment;
mod open;
mod refused;
mod report;
mod row;
mod spans;
mod spread;
mod text;
mod times;
mod unpacked;

pub use duration::UnitHint;
pub use error::SheetError;
pub use field::Field;
pub use item::ItemKey;
pub use judge::{Existing, Judged, NothingYet, Rules, Skipped, SkippedWhy, Verdict, judge};
pub use open::{read_content, read_sheet};
pub use refused::{ReasonHeaders, RefusedError, write_refused_xlsx};
pub use report::{Report, RowFinding};
pub use row::RowRecord;
pub(crate) use text::comparable_name;

/// What a caller may say about a sheet.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of the worksheet, or its place counted from 1; without it the first visible worksheet
    /// that holds the header row is read.
    pub sheet: Option<String>,
    /// Columns named by hand: header text to field, `None` to leave a column out (`--map 列名=field`).
    pub map: Vec<(String, Option<Field>)>,
}

impl Options {
    /// Reads one `列名=field` of the command line. The field is its English name, its Chinese name,
    /// or `-` to leave the column out.
    pub fn map_column(&mut self, argument: &str) -> Result<(), SheetError> {
        let wrong = || SheetError::MapField { given: argument.to_owned(), known: Field::names() };
        let (column, field) = argument.split_once(['=', '＝']).ok_or_else(wrong)?;
        if column.trim().is_empty() {
            return Err(wrong());
        }
        let field = match field.trim() {
            "-" => None,
            name => Some(Field::parse(name).ok_or_else(wrong)?),
        };
        self.map.push((column.trim().to_owned(), field));
        Ok(())
    }
}

/// One cell as the file holds it.
#[derive(Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Text, as typed.
    Text(String),
    /// A number.
    Number(f64),
    /// A number shown as date, time or duration.
    Date {
        /// Days since the epoch of the workbook, or the length in days of a duration.
        days: f64,
        /// What a person sees.
        at: moment::Moment,
    },
    /// An error value such as `#N/A`.
    Error,
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Text(_) => "Text(…)",
            Self::Number(_) => "Number(…)",
            Self::Date { .. } => "Date(…)",
            Self::Error => "Error",
        })
    }
}

impl Cell {
    /// Whether there is nothing to see.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.chars().all(text::is_blank),
            _ => false,
        }
    }
}

/// One row of the sheet that holds anything.
#[derive(Debug, Clone)]
pub struct Row {
    /// Row number as Excel shows it.
    pub number: u32,
    /// Cells from column A on; missing ones are empty.
    pub cells: Vec<Cell>,
}

/// A sheet read and its columns recognized.
#[derive(Debug, Clone)]
pub struct Table {
    /// The file it came from.
    pub source: PathBuf,
    /// Name of the worksheet; the file name of a .csv.
    pub sheet: String,
    /// Other worksheets of the file, which were not read.
    pub other_sheets: Vec<String>,
    /// Row number of the (last) header row.
    pub header_row: u32,
    /// Header texts from column A on.
    pub headers: Vec<String>,
    /// Where each field stands.
    pub columns: BTreeMap<Field, Column>,
    /// Rows below the header that hold anything, in order.
    pub rows: Vec<Row>,
}

/// A recognized column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Place counted from 0.
    pub index: usize,
    /// Unit the header names, for hours.
    pub unit: UnitHint,
}

impl Table {
    /// Header text of the column of a field.
    pub fn header(&self, field: Field) -> Option<&str> {
        self.columns.get(&field).and_then(|c| self.headers.get(c.index)).map(String::as_str)
    }
}

/// Result of a row: the first of these that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Not recorded; the row must be put right.
    Refused,
    /// Not recorded; it is there already.
    Duplicate,
    /// Recorded, and someone should look at it.
    Flagged,
    /// Recorded after a typing habit was put right.
    Repaired,
    /// Recorded as it stands.
    Accepted,
}

impl Outcome {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Duplicate => "duplicate",
            Self::Flagged => "flagged",
            Self::Repaired => "repaired",
            Self::Accepted => "accepted",
        }
    }
}

/// Something found in a row. The words live in the message catalogue (`sheet-row-<code>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Column it is about; `None` when it is about the row.
    pub field: Option<Field>,
    /// What it does to the row; [`Outcome::Accepted`] is a remark without effect.
    pub outcome: Outcome,
    /// Stable code.
    pub code: &'static str,
    /// Values for the words; never a name or an identity number.
    pub values: BTreeMap<&'static str, String>,
}

impl Finding {
    fn new(outcome: Outcome, field: impl Into<Option<Field>>, code: &'static str) -> Self {
        Self { field: field.into(), outcome, code, values: BTreeMap::new() }
    }

    fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.values.insert(key, value.to_string());
        self
    }
}

#[cfg(test)]
mod tests;
