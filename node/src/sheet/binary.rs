//! A guard before .xls: follows the compound file to the workbook stream and counts how far its
//! cells reach before a reader reserves room for them (MS-CFB 2, MS-XLS 2.1).

use super::error::{SheetError, damaged};
use super::spread::CELLS_MAX;
use super::unpacked::{u16_at, u32_at};

/// Rows and columns of the format.
const ROWS_MAX: usize = 65_536;
const COLUMNS_MAX: usize = 256;
/// Most worksheets; each is walked once.
const SHEETS_MAX: usize = 256;
/// Streams shorter than this lie in the mini stream.
const MINI_CUTOFF: usize = 4_096;
/// Sector numbers from here on end a chain.
const CHAIN_END: usize = 0xffff_fffa;

/// Refuses a file whose sheets reach too far.
pub(super) fn check(bytes: &[u8]) -> Result<(), SheetError> {
    let stream = workbook(bytes)?;
    let mut sheets = vec![];
    for record in Records::from(&stream, 0) {
        match record {
            // FilePass: whatever follows is encrypted or obscured.
            (0x002f, _) => return Err(SheetError::Password),
            (0x0085, data) => sheets.push(u32_at(data, 0)?),
            (0x000a, _) => break,
            _ => {}
        }
    }
    if sheets.len() > SHEETS_MAX {
        return Err(damaged());
    }
    let mut cells = 0u64;
    for at in sheets {
        cells = cells.saturating_add(sheet_cells(&stream, at)?);
        if cells > CELLS_MAX {
            return Err(SheetError::TooManyCells { max: CELLS_MAX });
        }
    }
    Ok(())
}

/// Cells of the rectangle around all values of the sheet at `at`.
fn sheet_cells(stream: &[u8], at: usize) -> Result<u64, SheetError> {
    const BEGIN: u16 = 0x0809;
    const END: u16 = 0x000a;
    let (mut rows, mut columns) = ((usize::MAX, 0), (usize::MAX, 0));
    let (mut begun, mut nested) = (false, 0usize);
    for (kind, data) in Records::from(stream, at) {
        match kind {
            BEGIN if begun => nested += 1,
            BEGIN => begun = true,
            END if nested == 0 => break,
            END => nested -= 1,
            // A chart inside the sheet has records like cells; the reader passes over them.
            _ if nested > 0 => {}
            // Dimensions; BIFF5 has 16-bit rows.
            0x0200 => {
                let (row, column) = if data.len() >= 14 {
                    (u32_at(data, 4)?, u16_at(data, 10)?)
                } else {
                    (usize::from(u16_at(data, 2)?), u16_at(data, 6)?)
                };
                if row > ROWS_MAX || usize::from(column) > COLUMNS_MAX {
                    return Err(damaged());
                }
            }
            // Formula, Number, Label, RString, BoolErr, Rk, LabelSst, MulRk.
            0x0006 | 0x0203 | 0x0204 | 0x00d6 | 0x0205 | 0x027e | 0x00fd | 0x00bd => {
                let (row, first) = (usize::from(u16_at(data, 0)?), usize::from(u16_at(data, 2)?));
                let several = if kind == 0x00bd { data.len().saturating_sub(6) / 6 } else { 1 };
                rows = (rows.0.min(row), rows.1.max(row + 1));
                columns = (columns.0.min(first), columns.1.max(first + several));
            }
            _ => {}
        }
    }
    let span = |(from, to): (usize, usize)| to.saturating_sub(from) as u64;
    Ok(span(rows).saturating_mul(span(columns)))
}

/// Records of a stream: kind and data. A record that is cut ends them.
struct Records<'a> {
    stream: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    fn from(stream: &'a [u8], at: usize) -> Self {
        Self { stream, at }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = u16_at(self.stream, self.at).ok()?;
        let length = usize::from(u16_at(self.stream, self.at + 2).ok()?);
        let data = self.stream.get(self.at + 4..self.at + 4 + length)?;
        self.at += 4 + length;
        Some((kind, data))
    }
}

/// The stream `Workbook`, or `Book` of older files.
fn workbook(bytes: &[u8]) -> Result<Vec<u8>, SheetError> {
    let sector = match u16_at(bytes, 30)? {
        9 => 512,
        12 => 4096,
        _ => return Err(damaged()),
    };
    let file = Sectors { bytes, size: sector, offset: sector };
    let fat = table(&file, &fat_sectors(bytes, &file)?)?;
    let directory = file.chain(u32_at(bytes, 48)?, &fat)?;
    let entry = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        directory.chunks_exact(128).find(|e| e[..wide.len()].eq_ignore_ascii_case(&wide))
    };
    let found = entry("Workbook").or_else(|| entry("Book")).ok_or_else(damaged)?;
    let (start, length) = (u32_at(found, 116)?, u32_at(found, 120)?);
    let mut stream = if length < MINI_CUTOFF {
        let root = directory.get(..128).ok_or_else(damaged)?;
        let mini = file.chain(u32_at(root, 116)?, &fat)?;
        let mini_fat = numbers(&file.chain(u32_at(bytes, 60)?, &fat)?);
        Sectors { bytes: &mini, size: 64, offset: 0 }.chain(start, &mini_fat)?
    } else {
        file.chain(start, &fat)?
    };
    stream.truncate(length);
    Ok(stream)
}

/// Sectors that hold the allocation table: 109 named in the header, the rest in a chain.
fn fat_sectors(bytes: &[u8], file: &Sectors<'_>) -> Result<Vec<usize>, SheetError> {
    let mut all = numbers(bytes.get(76..512).ok_or_else(damaged)?);
    let mut next = u32_at(bytes, 68)?;
    let mut left = bytes.len() / file.size;
    while next < CHAIN_END {
        left = left.checked_sub(1).ok_or_else(damaged)?;
        let mut more = numbers(file.get(next)?);
        next = more.pop().ok_or_else(damaged)?;
        all.extend(more);
    }
    all.retain(|n| *n < CHAIN_END);
    Ok(all)
}

fn table(file: &Sectors<'_>, sectors: &[usize]) -> Result<Vec<usize>, SheetError> {
    if sectors.len() > file.bytes.len() / file.size {
        return Err(damaged());
    }
    let mut all = vec![];
    for sector in sectors {
        all.extend(numbers(file.get(*sector)?));
    }
    Ok(all)
}

fn numbers(bytes: &[u8]) -> Vec<usize> {
    bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]) as usize).collect()
}

struct Sectors<'a> {
    bytes: &'a [u8],
    size: usize,
    /// Bytes before sector 0.
    offset: usize,
}

impl<'a> Sectors<'a> {
    fn get(&self, number: usize) -> Result<&'a [u8], SheetError> {
        let from = self.offset + number * self.size;
        // The last sector of a file may be short.
        let to = (from + self.size).min(self.bytes.len());
        self.bytes.get(from..to).filter(|s| !s.is_empty()).ok_or_else(damaged)
    }

    fn chain(&self, start: usize, fat: &[usize]) -> Result<Vec<u8>, SheetError> {
        let mut out = vec![];
        let mut next = start;
        let mut left = self.bytes.len() / self.size + 1;
        while next < CHAIN_END {
            left = left.checked_sub(1).ok_or_else(damaged)?;
            out.extend_from_slice(self.get(next)?);
            next = *fat.get(next).ok_or_else(damaged)?;
        }
        Ok(out)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn record(out: &mut Vec<u8>, kind: u16, data: &[u8]) {
        out.extend(kind.to_le_bytes());
        out.extend((data.len() as u16).to_le_bytes());
        out.extend(data);
    }

    /// A workbook stream with one sheet of label cells.
    fn stream(cells: &[(u16, u16, &str)], rows: u32) -> Vec<u8> {
        let bof = |kind: u16| [&[0, 6], kind.to_le_bytes().as_slice(), &[0; 12]].concat();
        let mut globals = vec![];
        record(&mut globals, 0x0809, &bof(5));
        let name: Vec<u8> = "记录".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let at = globals.len() as u32 + 4 + 8 + name.len() as u32 + 4;
        record(&mut globals, 0x0085, &[&at.to_le_bytes()[..], &[0, 0, 2, 1], &name].concat());
        record(&mut globals, 0x000a, &[]);
        record(&mut globals, 0x0809, &bof(0x10));
        record(&mut globals, 0x0200, &[&[0; 4][..], &rows.to_le_bytes(), &[0, 0, 16, 0, 0, 0]].concat());
        for (row, column, text) in cells {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let count = (wide.len() / 2) as u16;
            let head = [row.to_le_bytes(), column.to_le_bytes(), [0, 0], count.to_le_bytes()].concat();
            record(&mut globals, 0x0204, &[&head[..], &[1], &wide].concat());
        }
        record(&mut globals, 0x000a, &[]);
        globals
    }

    /// A compound file with one stream, written by hand: header, one FAT sector, directory, data.
    pub(in crate::sheet) fn compound(mut data: Vec<u8>) -> Vec<u8> {
        data.resize(data.len().max(MINI_CUTOFF).next_multiple_of(512), 0);
        let sectors = data.len() / 512;
        assert!(sectors + 2 <= 128, "one FAT sector is enough");
        let end = 0xffff_fffe_u32;
        let mut header = [&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1][..], &[0; 16]].concat();
        header.extend([0x3e, 0, 3, 0, 0xfe, 0xff, 9, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [1u32, 1, 0, 4096, end, 0, end, 0, 0] {
            header.extend(number.to_le_bytes());
        }
        header.resize(512, 0xff);
        let mut fat: Vec<u8> = [0xffff_fffd_u32, end].iter().flat_map(|n| n.to_le_bytes()).collect();
        for i in 0..sectors as u32 {
            fat.extend(if i + 1 == sectors as u32 { end } else { i + 3 }.to_le_bytes());
        }
        fat.resize(512, 0xff);
        let entry = |name: &str, kind: u8, start: u32, length: u32| {
            let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            entry.resize(64, 0);
            entry.extend(((name.len() + 1) as u16 * 2).to_le_bytes());
            entry.extend([kind, 1]);
            entry.resize(116, 0);
            entry.extend(start.to_le_bytes());
            entry.extend(length.to_le_bytes());
            entry.resize(128, 0);
            entry
        };
        let mut directory = entry("Root Entry", 5, end, 0);
        directory.extend(entry("Workbook", 2, 2, data.len() as u32));
        directory.resize(512, 0);
        [header, fat, directory, data].concat()
    }

    /// An .xls file with the given texts from row 1 on.
    pub(in crate::sheet) fn xls(rows: &[Vec<String>]) -> Vec<u8> {
        let mut cells = vec![];
        for (r, row) in rows.iter().enumerate() {
            let filled = row.iter().enumerate().filter(|(_, text)| !text.is_empty());
            cells.extend(filled.map(|(c, text)| (r as u16, c as u16, text.as_str())));
        }
        compound(stream(&cells, rows.len() as u32))
    }

    #[test]
    fn a_sheet_that_reaches_too_far_is_refused_before_room_is_made() {
        assert!(check(&compound(stream(&[(0, 0, "a"), (65_535, 100, "b")], 1))).is_ok());
        let corner = compound(stream(&[(0, 0, "a"), (65_535, 255, "b")], 1));
        assert!(matches!(check(&corner), Err(SheetError::TooManyCells { .. })));
        assert!(check(&compound(stream(&[(0, 0, "a")], u32::MAX))).is_err());
    }

    #[test]
    fn a_password_is_known_by_its_record() {
        let mut locked = stream(&[(0, 0, "a")], 1);
        let after_begin = 4 + 16;
        locked.splice(after_begin..after_begin, [0x2f, 0, 2, 0, 1, 0]);
        assert!(matches!(check(&compound(locked)), Err(SheetError::Password)));
    }

    #[test]
    fn a_broken_compound_file_is_refused_and_never_panics() {
        let whole = compound(stream(&[(0, 0, "a")], 1));
        for n in (0..whole.len()).step_by(7) {
            let _ = check(&whole[..n]);
        }
        for n in 0..1536 {
            let mut changed = whole.clone();
            changed[n] ^= 0xff;
            let _ = check(&changed);
        }
    }
}
