//! A guard before packed sheets (.xlsx, .ods): counts what they unfold to before any reader holds
//! it in memory, and says which kind of package it is.

use std::io::Read;

use super::error::SheetError;

/// Most bytes a package may unfold to: 200 000 rows of 15 columns written with inline texts are
/// about 190 MB.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;
/// Most files in a package; a workbook with a hundred pictures has a few hundred.
const ENTRIES_MAX: u16 = 10_000;

/// Kind of a package.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Package {
    /// Office Open XML workbook.
    Xlsx,
    /// OpenDocument.
    Ods,
    /// Anything else.
    Other,
}

fn damaged() -> SheetError {
    SheetError::Unreadable { why: "the package is damaged".to_owned() }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, SheetError> {
    let two = at.checked_add(2).and_then(|end| bytes.get(at..end)).ok_or_else(damaged)?;
    Ok(u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize, SheetError> {
    Ok(usize::from(u16_at(bytes, at)?) | usize::from(u16_at(bytes, at + 2)?) << 16)
}

/// Walks the central directory, unfolds every file and counts.
pub(super) fn check(bytes: &[u8]) -> Result<Package, SheetError> {
    // The end record is 22 bytes and a comment of at most 64 KiB (APPNOTE 4.3.16).
    let tail = bytes.len().saturating_sub(22 + 0xffff);
    let end = bytes[tail..].windows(4).rposition(|w| w == b"PK\x05\x06").ok_or_else(damaged)? + tail;
    u16_at(bytes, end + 20)?;
    let entries = u16_at(bytes, end + 10)?;
    if entries > ENTRIES_MAX {
        return Err(damaged());
    }
    let mut at = u32_at(bytes, end + 16)?;
    let mut left = UNPACKED_BYTES_MAX;
    let mut package = Package::Other;
    for _ in 0..entries {
        if bytes.get(at..).is_none_or(|rest| !rest.starts_with(b"PK\x01\x02")) {
            return Err(damaged());
        }
        let method = u16_at(bytes, at + 10)?;
        let packed = u32_at(bytes, at + 20)?;
        let name_length = usize::from(u16_at(bytes, at + 28)?);
        let local = u32_at(bytes, at + 42)?;
        let name = bytes.get(at + 46..at + 46 + name_length).ok_or_else(damaged)?;
        match name {
            b"xl/workbook.xml" => package = Package::Xlsx,
            b"content.xml" => package = Package::Ods,
            _ => {}
        }
        // The lengths in the local header may differ from those of the directory.
        let skip = 30 + usize::from(u16_at(bytes, local + 26)?) + usize::from(u16_at(bytes, local + 28)?);
        let from = local + skip;
        let data = bytes.get(from..from.saturating_add(packed)).ok_or_else(damaged)?;
        left = left
            .checked_sub(unfolded(data, method, left)?)
            .ok_or(SheetError::Unfolds { max: UNPACKED_BYTES_MAX })?;
        at += 46 + name_length + usize::from(u16_at(bytes, at + 30)?) + usize::from(u16_at(bytes, at + 32)?);
    }
    Ok(package)
}

/// Bytes a file unfolds to, counted up to one more than `max`.
fn unfolded(data: &[u8], method: u16, max: u64) -> Result<u64, SheetError> {
    const STORED: u16 = 0;
    const DEFLATED: u16 = 8;
    match method {
        STORED => Ok(data.len() as u64),
        DEFLATED => {
            let mut reader = flate2::read::DeflateDecoder::new(data).take(max.saturating_add(1));
            std::io::copy(&mut reader, &mut std::io::sink()).map_err(|_| damaged())
        }
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A package with one deflated file, written by hand.
    fn package(name: &str, content: &[u8], declared: u32) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
        encoder.write_all(content).expect("memory");
        let packed = encoder.finish().expect("memory");
        let mut head = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        head.extend((packed.len() as u32).to_le_bytes());
        head.extend(declared.to_le_bytes());
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        let mut out = [b"PK\x03\x04", head.as_slice(), name.as_bytes(), &packed].concat();
        let directory = out.len() as u32;
        out.extend(b"PK\x01\x02\x14\x00");
        out.extend(&head);
        out.extend([0; 14]);
        out.extend(name.as_bytes());
        let size = out.len() as u32 - directory;
        out.extend(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
        out.extend(size.to_le_bytes());
        out.extend(directory.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    #[test]
    fn kinds_of_packages_are_known() {
        assert_eq!(check(&package("xl/workbook.xml", b"x", 1)).expect("sound"), Package::Xlsx);
        assert_eq!(check(&package("content.xml", b"x", 1)).expect("sound"), Package::Ods);
        assert_eq!(check(&package("word/document.xml", b"x", 1)).expect("sound"), Package::Other);
    }

    #[test]
    fn a_package_that_unfolds_too_far_is_refused_whatever_it_declares() {
        let bomb = package("content.xml", &vec![0; (UNPACKED_BYTES_MAX + 1) as usize], 1);
        assert!(matches!(check(&bomb), Err(SheetError::Unfolds { .. })));
    }

    #[test]
    fn a_cut_package_is_damaged_and_never_panics() {
        let whole = package("content.xml", b"some content", 12);
        for n in 0..whole.len() {
            assert!(check(&whole[..n]).is_err(), "{n}");
            let mut changed = whole.clone();
            changed[n] ^= 0xff;
            let _ = check(&changed);
        }
    }
}
