//! Hands the refused rows back as a sheet: the clerk's own columns, then the original row number and
//! the reasons, ready to be put right and imported again.

use std::io::Write;
use std::path::Path;

use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

use super::row::plain;
use super::{Cell, Finding, Judged, Outcome, Table};

/// Width of the reason column in characters.
const REASON_WIDTH: f64 = 60.0;
/// Number cells above this would lose digits.
const EXACT_NUMBER_MAX: f64 = 1e15;

/// Why the sheet of refused rows could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RefusedError {
    /// The report would overwrite the sheet it reports on.
    #[error("the report {path} is the imported file itself: name another file")]
    OverSource {
        /// The file.
        path: String,
    },
    /// The sheet could not be made.
    #[error("the sheet of refused rows could not be made: {0}")]
    Sheet(#[from] XlsxError),
    /// The file could not be written.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl RefusedError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OverSource { .. } => "refused-over-source",
            Self::Sheet(_) => "refused-sheet",
            Self::Io { .. } => "refused-io",
        }
    }
}

/// Headers of the two columns added.
#[derive(Debug, Clone, Copy)]
pub struct ReasonHeaders<'a> {
    /// Over the original row numbers.
    pub row: &'a str,
    /// Over the reasons.
    pub reason: &'a str,
}

/// Writes the refused rows of `judged` to `path` and returns how many there are. `words` turns a
/// finding into a sentence. Every text is written as text, never as a formula; the file is written
/// whole or not at all, readable by its owner only.
pub fn write_refused_xlsx(
    judged: &Judged,
    table: &Table,
    path: &Path,
    headers: ReasonHeaders<'_>,
    words: impl Fn(&Finding) -> String,
) -> Result<usize, RefusedError> {
    let same = std::fs::canonicalize(path).ok().zip(std::fs::canonicalize(&table.source).ok());
    if same.is_some_and(|(report, source)| report == source) {
        return Err(RefusedError::OverSource { path: path.display().to_string() });
    }
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let bold = Format::new().set_bold();
    let row_column = column(table.headers.len());
    for (i, header) in table.headers.iter().enumerate() {
        sheet.write_string_with_format(0, column(i), header, &bold)?;
    }
    sheet.write_string_with_format(0, row_column, headers.row, &bold)?;
    sheet.write_string_with_format(0, row_column + 1, headers.reason, &bold)?;
    sheet.set_column_width(row_column + 1, REASON_WIDTH)?;
    sheet.set_freeze_panes(1, 0)?;
    let mut written = 0;
    for verdict in judged.verdicts.iter().filter(|v| v.outcome == Outcome::Refused) {
        written += 1;
        let found = table.rows.binary_search_by_key(&verdict.row, |row| row.number);
        let cells = found.ok().and_then(|i| table.rows.get(i)).map_or(&[][..], |row| &row.cells);
        for (i, cell) in cells.iter().take(table.headers.len()).enumerate() {
            write_cell(sheet, written, column(i), cell)?;
        }
        sheet.write_number(written, row_column, f64::from(verdict.row))?;
        let reasons = verdict.findings.iter().filter(|f| f.outcome == Outcome::Refused).map(&words);
        sheet.write_string(written, row_column + 1, reasons.collect::<Vec<_>>().join("；"))?;
    }
    save(&workbook.save_to_buffer()?, path)?;
    Ok(written as usize)
}

fn column(index: usize) -> u16 {
    // The reader takes no more than 256 columns.
    u16::try_from(index).unwrap_or(u16::MAX - 1)
}

fn write_cell(sheet: &mut Worksheet, row: u32, column: u16, cell: &Cell) -> Result<(), XlsxError> {
    match cell {
        Cell::Empty => Ok(()),
        Cell::Number(value) if value.abs() < EXACT_NUMBER_MAX => {
            sheet.write_number(row, column, *value).map(|_| ())
        }
        other => sheet.write_string(row, column, plain(other)).map(|_| ()),
    }
}

fn save(bytes: &[u8], path: &Path) -> Result<(), RefusedError> {
    let io = |source| RefusedError::Io { path: path.display().to_string(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| std::fs::rename(&part, path)) {
        let _ = std::fs::remove_file(&part);
        return Err(io(error));
    }
    Ok(())
}
