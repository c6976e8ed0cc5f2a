//! A guard before OpenDocument content: how many cells it spreads to.
//!
//! A few bytes may say "this cell 16 384 times, this row a million times"; a reader that believes
//! them fills the memory. The scan follows exactly the tags the reader follows.

use super::error::{SheetError, damaged};
use super::open::{CELL_CHARS_MAX, COLUMNS_MAX};

/// Most cells a file may spread to: 200 000 rows of 40 columns.
pub(super) const CELLS_MAX: u64 = 8_000_000;

#[derive(Default)]
struct Scan {
    /// Row number, repeats counted.
    row: u64,
    /// Times the current row is repeated.
    row_repeat: u64,
    /// Columns passed in the current row.
    column: u64,
    /// Column after the last value of the current row.
    last: u64,
    /// Empty rows since the last row with a value.
    empty_rows: u64,
    /// Rows from the first value of the table on.
    rows: u64,
    /// Widest row of the table.
    width: u64,
    /// Cells of the tables before.
    before: u64,
}

/// Refuses content that spreads too far.
pub(super) fn check_open_document(content: &[u8]) -> Result<(), SheetError> {
    let mut scan = Scan::default();
    let mut rest = content;
    while let Some(open) = rest.iter().position(|b| *b == b'<') {
        rest = &rest[open..];
        let tag = &rest[..tag_length(rest).ok_or_else(damaged)?];
        rest = &rest[tag.len()..];
        scan.take(tag)?;
    }
    Ok(())
}

/// Length of the tag, comment, CDATA section or instruction at the start.
fn tag_length(text: &[u8]) -> Option<usize> {
    let until = |end: &[u8]| text.windows(end.len()).position(|w| w == end).map(|at| at + end.len());
    if text.starts_with(b"<!--") {
        return until(b"-->");
    }
    if text.starts_with(b"<![CDATA[") {
        return until(b"]]>");
    }
    if text.starts_with(b"<?") {
        return until(b"?>");
    }
    let mut quote = None;
    for (at, byte) in text.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), close) if open == *close => quote = None,
            _ => {}
        }
    }
    None
}

/// Value of a whole-number attribute; 1 when it is absent.
fn number(tag: &[u8], name: &[u8]) -> Result<u64, SheetError> {
    let Some(at) = tag.windows(name.len()).position(|w| w == name) else { return Ok(1) };
    let value = tag[at + name.len()..].trim_ascii_start();
    let value = value.strip_prefix(b"=").map(<[u8]>::trim_ascii_start).ok_or_else(damaged)?;
    let quote = *value.first().ok_or_else(damaged)?;
    let inner = value[1..].split(|b| *b == quote).next().ok_or_else(damaged)?;
    std::str::from_utf8(inner).ok().and_then(|t| t.parse().ok()).ok_or_else(damaged)
}

impl Scan {
    fn take(&mut self, tag: &[u8]) -> Result<(), SheetError> {
        let name_end =
            tag.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'>')).unwrap_or(tag.len());
        let closed = tag.ends_with(b"/>");
        match tag[..name_end].trim_ascii().strip_suffix(b"/").unwrap_or(&tag[..name_end]) {
            b"<table:table" => {
                self.before = self.cells();
                *self = Self { before: self.before, ..Self::default() };
            }
            b"<table:table-row" => {
                self.row_repeat = number(tag, b"table:number-rows-repeated")?;
                (self.column, self.last) = (0, 0);
                if closed {
                    self.end_row()?;
                }
            }
            b"</table:table-row" => self.end_row()?,
            b"<table:table-cell" | b"<table:covered-table-cell" => {
                let repeat = number(tag, b"table:number-columns-repeated")?;
                self.column = self.column.saturating_add(repeat);
                let marks: [&[u8]; 3] = [b"office:", b"calcext:", b"table:formula"];
                if marks.iter().any(|mark| tag.windows(mark.len()).any(|w| w == *mark)) {
                    self.last = self.column;
                    if self.last > COLUMNS_MAX as u64 {
                        let row = u32::try_from(self.row + 1).unwrap_or(u32::MAX);
                        return Err(SheetError::TooManyColumns { row, max: COLUMNS_MAX });
                    }
                }
            }
            b"<text:s" if number(tag, b"text:c")? > CELL_CHARS_MAX as u64 => {
                let row = u32::try_from(self.row + 1).unwrap_or(u32::MAX);
                return Err(SheetError::CellTooLong { row, chars: CELL_CHARS_MAX + 1, max: CELL_CHARS_MAX });
            }
            _ => {}
        }
        Ok(())
    }

    fn cells(&self) -> u64 {
        self.before.saturating_add(self.rows.saturating_mul(self.width))
    }

    fn end_row(&mut self) -> Result<(), SheetError> {
        let repeat = std::mem::replace(&mut self.row_repeat, 1);
        self.row = self.row.saturating_add(repeat);
        if self.last > 0 {
            self.rows = self.rows.saturating_add(self.empty_rows).saturating_add(repeat);
            self.empty_rows = 0;
            self.width = self.width.max(self.last);
        } else if self.rows > 0 {
            self.empty_rows = self.empty_rows.saturating_add(repeat);
        }
        (self.column, self.last) = (0, 0);
        if self.cells() > CELLS_MAX { Err(SheetError::TooManyCells { max: CELLS_MAX }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "<table:table-cell office:value-type=\"float\" office:value=\"1\"/>";

    fn check(rows: &str) -> Result<(), SheetError> {
        check_open_document(format!("<table:table table:name=\"a\">{rows}</table:table>").as_bytes())
    }

    #[test]
    fn what_every_writer_puts_at_the_end_of_a_sheet_is_no_spread() {
        let row = format!(
            "<table:table-row>{VALUE}<table:table-cell table:number-columns-repeated=\"16383\"/></table:table-row>"
        );
        let end = "<table:table-row table:number-rows-repeated=\"1048575\"><table:table-cell \
                   table:style-name='a>b' table:number-columns-repeated=\"16384\"/></table:table-row>";
        assert!(check(&format!("{row}{end}")).is_ok());
    }

    #[test]
    fn values_repeated_or_far_apart_are_refused() {
        let far =
            "<table:table-row table:number-rows-repeated=\"1048000\"><table:table-cell/></table:table-row>";
        let wide = format!("<table:table-cell table:number-columns-repeated = '16383'/>{VALUE}");
        let row = |cells: &str| format!("<table:table-row>{cells}</table:table-row>");
        assert!(matches!(check(&row(&wide)), Err(SheetError::TooManyColumns { row: 1, .. })));
        let ten = VALUE.repeat(10);
        assert!(matches!(check(&format!("{0}{far}{0}", row(&ten))), Err(SheetError::TooManyCells { .. })));
        let repeated = far.replace("<table:table-cell/>", &ten);
        assert!(matches!(check(&repeated), Err(SheetError::TooManyCells { .. })));
        let hidden = format!("<!-- </table:table-row> -->{}", row(&wide));
        assert!(check(&hidden).is_err());
        assert!(check("<table:table-row table:number-rows-repeated=\"&#49;000\"/>").is_err());
        let blanks = "<text:s text:c=\"1000000000\"/>";
        assert!(matches!(check(&row(blanks)), Err(SheetError::CellTooLong { .. })));
    }
}
