//! Text sheets: which encoding, which separator, and rows numbered as Excel numbers them.

use std::borrow::Cow;

use super::error::SheetError;

/// Text of a file: UTF-8 with or without BOM, UTF-16 with BOM (Excel's "Unicode text"), GB18030.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, SheetError> {
    if let Some(text) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| SheetError::Encoding);
    }
    for (mark, encoding) in [(b"\xff\xfe", encoding_rs::UTF_16LE), (b"\xfe\xff", encoding_rs::UTF_16BE)] {
        if let Some(text) = bytes.strip_prefix(mark) {
            let decoded = encoding.decode_without_bom_handling_and_without_replacement(text);
            return decoded.ok_or(SheetError::Encoding);
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(Cow::Borrowed(text));
    }
    encoding_rs::GB18030
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or(SheetError::Encoding)
}

/// The separator that occurs most often in the first lines: comma, tab or semicolon.
fn separator(text: &str) -> u8 {
    // The header may stand below a few title rows.
    const LINES: usize = 20;
    let count = |c: char| text.lines().take(LINES).map(|line| line.matches(c).count()).sum::<usize>();
    let best = [',', '\t', ';'].into_iter().rev().max_by_key(|c| count(*c));
    best.map_or(b',', |c| c as u8)
}

/// Calls `row` with the row number and the cells of each line that holds anything.
///
/// Excel numbers records: an empty line is a row, a line break inside quotes is not.
pub(super) fn read<E>(
    text: &str,
    mut row: impl FnMut(u32, &csv::StringRecord) -> Result<(), E>,
) -> Result<(), E>
where
    E: From<SheetError>,
{
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator(text))
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut breaks = LineBreaks { text: text.as_bytes(), ..LineBreaks::default() };
    loop {
        let more = reader.read_record(&mut record);
        let more = more.map_err(|e| SheetError::Unreadable { why: e.to_string() })?;
        if !more {
            return Ok(());
        }
        let start = record.position().map_or(0, csv::Position::byte) as usize;
        let number = breaks.row_at(start);
        breaks.inside += record.iter().map(inner_breaks).sum::<u32>();
        row(number, &record)?;
    }
}

/// Line breaks of a quoted cell.
fn inner_breaks(cell: &str) -> u32 {
    count_breaks(cell.as_bytes())
}

/// `\r\n`, `\n` and `\r` each end one line.
fn count_breaks(bytes: &[u8]) -> u32 {
    let ends = |i: &usize| bytes[*i] == b'\n' || (bytes[*i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    (0..bytes.len()).filter(ends).count() as u32
}

#[derive(Default)]
struct LineBreaks<'a> {
    text: &'a [u8],
    /// Bytes counted so far.
    until: usize,
    /// Breaks before `until`.
    breaks: u32,
    /// Of these, breaks inside cells.
    inside: u32,
}

impl LineBreaks<'_> {
    /// Row number of the record that starts at or after `start`; empty lines before it are rows.
    fn row_at(&mut self, start: usize) -> u32 {
        let mut start = start.max(self.until).min(self.text.len());
        while self.text.get(start).is_some_and(|b| matches!(b, b'\r' | b'\n')) {
            start += 1;
        }
        self.breaks += count_breaks(&self.text[self.until..start]);
        self.until = start;
        self.breaks - self.inside + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u32, Vec<String>)> {
        let mut rows = vec![];
        let result: Result<(), SheetError> = read(text, |n, record| {
            rows.push((n, record.iter().map(str::to_owned).collect()));
            Ok(())
        });
        result.expect("readable");
        rows
    }

    #[test]
    fn rows_are_numbered_as_excel_numbers_them() {
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "", "\"c\nx\",d", "", "", "e,f"].join(end);
            let numbers: Vec<u32> = rows(&text).into_iter().map(|(n, _)| n).collect();
            assert_eq!(numbers, [1, 3, 6], "{end:?}");
        }
        assert_eq!(rows("\n\na,b\n")[0].0, 3);
    }

    #[test]
    fn the_separator_is_found() {
        assert_eq!(rows("t\na\tb,c\td\n")[1].1, ["a", "b,c", "d"]);
        assert_eq!(rows("a;b;c\n")[0].1.len(), 3);
        assert_eq!(rows("a,b\n")[0].1.len(), 2);
    }

    #[test]
    fn encodings_are_told_apart() {
        let text = "姓名,岩温·罕";
        let (gb, _, _) = encoding_rs::GB18030.encode(text);
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for bytes in
            [text.as_bytes().to_vec(), [b"\xef\xbb\xbf", text.as_bytes()].concat(), gb.to_vec(), utf16]
        {
            assert_eq!(decode(&bytes).expect("known encoding"), text);
        }
        assert!(matches!(decode(b"\xff\xff\xff"), Err(SheetError::Encoding)));
        assert!(matches!(decode(b"\xef\xbb\xbf\xff"), Err(SheetError::Encoding)));
    }
}
