//! Opens a file, whatever its name says it is, and turns it into rows of typed cells.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{Data, DataRef, Dimensions, ExcelDateTime, Reader, SheetType, SheetVisible};
use yunling_protocol::day::{Day, UnixTime};

use super::error::SheetError;
use super::moment::Moment;
use super::unpacked::{self, Package};
use super::{Cell, Options, Row, Table, binary, csv_text, header, merged};

/// Largest file read: 200 000 rows as CSV are about 40 MB.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most rows that hold anything: a large prefecture's year; more is split, so that a report stays
/// readable.
const ROWS_MAX: usize = 200_000;
/// Most columns: legacy sheets have 15 to 40.
pub(super) const COLUMNS_MAX: usize = 256;
/// Most characters of a cell: Excel's own limit.
pub(super) const CELL_CHARS_MAX: usize = 32_767;

/// Reads the sheet in `path`.
pub fn read_sheet(path: &Path, options: &Options) -> Result<Table, SheetError> {
    let io = |source| SheetError::Io { path: path.display().to_string(), source };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(SheetError::TooLarge { bytes, max: FILE_BYTES_MAX });
    }
    read_content(&std::fs::read(path).map_err(io)?, path, options)
}

/// Reads the sheet in `content`, which came from `path`.
pub fn read_content(content: &[u8], path: &Path, options: &Options) -> Result<Table, SheetError> {
    // The reader of foreign formats may panic on a hostile file; that must refuse the file, not end
    // the daemon.
    let read = catch_unwind(AssertUnwindSafe(|| rows_of(content, path, options)));
    read.unwrap_or_else(|_| Err(SheetError::Unreadable { why: "the file is damaged".to_owned() }))
}

fn rows_of(content: &[u8], path: &Path, options: &Options) -> Result<Table, SheetError> {
    match content {
        [b'P', b'K', 3, 4, ..] => match unpacked::check(content)? {
            Package::Xlsx => xlsx(content, path, options),
            Package::Ods => {
                let workbook = calamine::Ods::new(Cursor::new(content)).map_err(|e| match e {
                    calamine::OdsError::Password => SheetError::Password,
                    other => unreadable(other),
                })?;
                // OpenDocument repeats no value under a merged cell and the reader names no regions.
                whole_sheets(workbook, path, options, |_, _| vec![])
            }
            Package::Other => Err(SheetError::NotASheet { found: "another kind of package" }),
        },
        [0xd0, 0xcf, 0x11, 0xe0, ..] => {
            // An encrypted .xlsx is an OLE file whose directory names this stream in UTF-16.
            let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
            if content.windows(name.len()).any(|w| w == name) {
                return Err(SheetError::Password);
            }
            binary::check(content)?;
            let workbook = calamine::Xls::new(Cursor::new(content)).map_err(|e| match e {
                calamine::XlsError::Password => SheetError::Password,
                other => unreadable(other),
            })?;
            whole_sheets(workbook, path, options, |book, name| {
                book.merge_cells_by_sheet_name(name).unwrap_or_default()
            })
        }
        [b'%', b'P', b'D', b'F', ..] => Err(SheetError::NotASheet { found: "a PDF document" }),
        _ => text_sheet(content, path, options),
    }
}

fn unreadable(error: impl std::fmt::Display) -> SheetError {
    // Only the first line, and short: a reader may quote what it stumbled over.
    let why: String = error.to_string().lines().next().unwrap_or_default().chars().take(120).collect();
    SheetError::Unreadable { why }
}

/// Rows being collected, with the limits.
#[derive(Default)]
struct Collector {
    rows: BTreeMap<u32, Vec<Cell>>,
}

impl Collector {
    /// Takes one cell; `row` counts from 1, `column` from 0.
    fn put(&mut self, row: u32, column: usize, cell: Cell) -> Result<(), SheetError> {
        if cell.is_blank() {
            return Ok(());
        }
        if column >= COLUMNS_MAX {
            return Err(SheetError::TooManyColumns { row, max: COLUMNS_MAX });
        }
        if let Cell::Text(text) = &cell {
            let chars = if text.len() > CELL_CHARS_MAX { text.chars().count() } else { 0 };
            if chars > CELL_CHARS_MAX {
                return Err(SheetError::CellTooLong { row, chars, max: CELL_CHARS_MAX });
            }
        }
        let cells = self.rows.entry(row).or_default();
        if cells.len() <= column {
            cells.resize(column + 1, Cell::Empty);
        }
        cells[column] = cell;
        if self.rows.len() > ROWS_MAX {
            return Err(SheetError::TooManyRows { max: ROWS_MAX });
        }
        Ok(())
    }

    fn finish(self) -> Vec<Row> {
        self.rows.into_iter().map(|(number, cells)| Row { number, cells }).collect()
    }
}

fn text_sheet(content: &[u8], path: &Path, options: &Options) -> Result<Table, SheetError> {
    let text = csv_text::decode(content)?;
    // Many systems export a web page under the name .xls.
    let start = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
    if ["<html", "<!doctype", "<table", "<?xml", "<meta"].iter().any(|tag| start.starts_with(tag)) {
        return Err(SheetError::NotASheet { found: "a web page" });
    }
    if text.contains('\0') {
        return Err(SheetError::Encoding);
    }
    let mut collector = Collector::default();
    csv_text::read(&text, |number, record| {
        for (column, cell) in record.iter().enumerate() {
            collector.put(number, column, Cell::Text(cell.to_owned()))?;
        }
        Ok::<(), SheetError>(())
    })?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    assemble(path, name, vec![], Found { rows: collector.finish(), merged: vec![] }, options)
}

/// What a worksheet holds.
struct Found {
    rows: Vec<Row>,
    merged: Vec<Dimensions>,
}

fn assemble(
    path: &Path,
    sheet: String,
    other_sheets: Vec<String>,
    found: Found,
    options: &Options,
) -> Result<Table, SheetError> {
    let mut rows = found.rows;
    let header = header::find(&rows, options)?;
    rows.retain(|row| row.number > header.row);
    merged::fill(&mut rows, &found.merged, &header.columns)?;
    Ok(Table {
        source: path.to_owned(),
        sheet,
        other_sheets,
        header_row: header.row,
        headers: header.texts,
        columns: header.columns,
        rows,
    })
}

/// Worksheets that may be read, visible ones only unless one is asked for by name.
fn choices(all: &[calamine::Sheet], options: &Options) -> Result<Vec<String>, SheetError> {
    let sheets = || all.iter().filter(|s| s.typ == SheetType::WorkSheet);
    let Some(wanted) = &options.sheet else {
        return Ok(sheets().filter(|s| s.visible == SheetVisible::Visible).map(|s| s.name.clone()).collect());
    };
    let by_name = sheets().find(|s| s.name == *wanted);
    let by_place = || wanted.parse::<usize>().ok().and_then(|n| sheets().nth(n.checked_sub(1)?));
    by_name.or_else(by_place).map(|s| vec![s.name.clone()]).ok_or_else(|| SheetError::SheetUnknown {
        wanted: wanted.clone(),
        known: sheets().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", "),
    })
}

/// Tries the worksheets in order; the first with a header row is the one.
fn first_with_header(
    all: &[calamine::Sheet],
    path: &Path,
    options: &Options,
    mut read: impl FnMut(&str) -> Result<Found, SheetError>,
) -> Result<Table, SheetError> {
    let mut nearest = SheetError::HeaderMissing { rows: 0 };
    for name in choices(all, options)? {
        let others = all.iter().filter(|s| s.name != name && s.typ == SheetType::WorkSheet);
        let others = others.map(|s| s.name.clone()).collect();
        match assemble(path, name.clone(), others, read(&name)?, options) {
            Ok(table) => return Ok(table),
            // A header that lacks a column says more than a sheet without any.
            Err(error @ SheetError::HeaderMissing { .. }) => {
                if matches!(nearest, SheetError::HeaderMissing { rows: 0 }) {
                    nearest = error;
                }
            }
            Err(error @ (SheetError::ColumnsMissing { .. } | SheetError::MapColumn { .. })) => {
                if matches!(nearest, SheetError::HeaderMissing { .. }) {
                    nearest = error;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(nearest)
}

/// Reads cell by cell: a sheet with one value in its far corner must not become a full rectangle.
fn xlsx(content: &[u8], path: &Path, options: &Options) -> Result<Table, SheetError> {
    let mut workbook = calamine::Xlsx::new(Cursor::new(content)).map_err(unreadable)?;
    let all = workbook.sheets_metadata().to_vec();
    first_with_header(&all, path, options, |name| {
        let mut collector = Collector::default();
        let mut reader = workbook.worksheet_cells_reader(name).map_err(unreadable)?;
        while let Some(cell) = reader.next_cell().map_err(unreadable)? {
            let (row, column) = cell.get_position();
            collector.put(row.saturating_add(1), column as usize, of_ref(cell.get_value()))?;
        }
        drop(reader);
        let merged = workbook.merge_cells_by_sheet_name(name).map_err(unreadable)?;
        Ok(Found { rows: collector.finish(), merged })
    })
}

fn whole_sheets<'a, R>(
    mut workbook: R,
    path: &Path,
    options: &Options,
    merged: impl Fn(&R, &str) -> Vec<Dimensions>,
) -> Result<Table, SheetError>
where
    R: Reader<Cursor<&'a [u8]>>,
    R::Error: std::fmt::Display,
{
    let all = workbook.sheets_metadata().to_vec();
    first_with_header(&all, path, options, |name| {
        let range = workbook.worksheet_range(name).map_err(unreadable)?;
        let Some((first_row, first_column)) = range.start() else {
            return Ok(Found { rows: vec![], merged: vec![] });
        };
        let mut collector = Collector::default();
        for (row, column, value) in range.used_cells() {
            let number = u32::try_from(row).unwrap_or(u32::MAX).saturating_add(first_row).saturating_add(1);
            collector.put(number, column + first_column as usize, of_data(value))?;
        }
        Ok(Found { rows: collector.finish(), merged: merged(&workbook, name) })
    })
}

fn of_ref(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::SharedString(text) => Cell::Text((*text).to_owned()),
        other => of_data(&Data::from(other.clone())),
    }
}

fn of_data(value: &Data) -> Cell {
    match value {
        Data::Empty => Cell::Empty,
        Data::String(text) | Data::DateTimeIso(text) => Cell::Text(text.clone()),
        Data::Int(value) => Cell::Number(*value as f64),
        Data::Float(value) => Cell::Number(*value),
        Data::Bool(value) => Cell::Text(if *value { "TRUE" } else { "FALSE" }.to_owned()),
        Data::DateTime(value) => date_cell(value),
        Data::DurationIso(text) => duration_cell(text),
        Data::Error(_) => Cell::Error,
    }
}

/// A cell shown as date or time. A workbook may count days from 1904, so the parts are taken, not
/// the number.
fn date_cell(value: &ExcelDateTime) -> Cell {
    let days = value.as_f64();
    if value.is_duration() || (0.0..1.0).contains(&days) {
        return match Moment::from_serial(days.max(0.0).fract()) {
            Some(at) => Cell::Date { days, at },
            None => Cell::Number(days),
        };
    }
    let (year, month, day, hour, minute, second, milli) = value.to_ymd_hms_milli();
    let Some(day) = Day::from_ymd(i32::from(year), u32::from(month), u32::from(day)) else {
        return Cell::Number(days);
    };
    let clock = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second) + i64::from(milli >= 500);
    let at = if clock == 0 { Moment::Day(day) } else { Moment::At(UnixTime(day.start().0 + clock)) };
    Cell::Date { days, at }
}

/// OpenDocument durations, `PT03H30M00S`.
fn duration_cell(text: &str) -> Cell {
    let seconds = || {
        let mut rest = text.strip_prefix("PT")?;
        let mut sum = 0.0;
        for (mark, length) in [('H', 3600.0), ('M', 60.0), ('S', 1.0)] {
            if let Some((number, after)) = rest.split_once(mark) {
                sum += number.replace(',', ".").parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)?
                    * length;
                rest = after;
            }
        }
        rest.is_empty().then_some(sum)
    };
    match seconds() {
        Some(seconds) => {
            let days = seconds / 86_400.0;
            Moment::from_serial(days.fract()).map_or(Cell::Error, |at| Cell::Date { days, at })
        }
        None => Cell::Text(text.to_owned()),
    }
}
