//! A guard before packed sheets (.xlsx, .ods): counts what they unfold to before any reader holds
//! it in memory, and says which kind of package it is.

use std::io::{Read, Write};

use super::error::{SheetError, damaged};
use super::spread;

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

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, SheetError> {
    let two = at.checked_add(2).and_then(|end| bytes.get(at..end)).ok_or_else(damaged)?;
    Ok(u16::from_le_bytes([two[0], two[1]]))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<usize, SheetError> {
    Ok(usize::from(u16_at(bytes, at)?) | usize::from(u16_at(bytes, at + 2)?) << 16)
}

/// Walks the central directory, unfolds every file and counts; of OpenDocument also how far its
/// repeated cells reach.
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
        // The lengths in the local header may differ from those of the directory.
        let skip = 30 + usize::from(u16_at(bytes, local + 26)?) + usize::from(u16_at(bytes, local + 28)?);
        let from = local + skip;
        let data = bytes.get(from..from.saturating_add(packed)).ok_or_else(damaged)?;
        let max = SheetError::Unfolds { max: UNPACKED_BYTES_MAX };
        left = left.checked_sub(unfold(data, method, left, &mut std::io::sink())?).ok_or(max)?;
        match name {
            b"xl/workbook.xml" => package = Package::Xlsx,
            b"content.xml" => {
                package = Package::Ods;
                let mut content = vec![];
                unfold(data, method, UNPACKED_BYTES_MAX, &mut content)?;
                spread::check_open_document(&content)?;
            }
            _ => {}
        }
        at += 46 + name_length + usize::from(u16_at(bytes, at + 30)?) + usize::from(u16_at(bytes, at + 32)?);
    }
    Ok(package)
}

/// Unfolds a file into `out` and counts its bytes, up to one more than `max`.
fn unfold(data: &[u8], method: u16, max: u64, out: &mut impl Write) -> Result<u64, SheetError> {
    const STORED: u16 = 0;
    const DEFLATED: u16 = 8;
    let count = match method {
        STORED => std::io::copy(&mut data.take(max.saturating_add(1)), out),
        DEFLATED => {
            std::io::copy(&mut flate2::read::DeflateDecoder::new(data).take(max.saturating_add(1)), out)
        }
        _ => return Err(damaged()),
    };
    count.map_err(|_| damaged())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A package of deflated files, written by hand.
    pub(in crate::sheet) fn package_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut out, mut directory) = (vec![], vec![]);
        for (name, content) in files {
            let mut encoder = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
            encoder.write_all(content).expect("memory");
            let packed = encoder.finish().expect("memory");
            let mut sum = flate2::Crc::new();
            sum.update(content);
            let mut head = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
            for number in [sum.sum(), packed.len() as u32, content.len() as u32] {
                head.extend(number.to_le_bytes());
            }
            head.extend((name.len() as u16).to_le_bytes());
            head.extend([0, 0]);
            let offset = (out.len() as u32).to_le_bytes();
            out.extend([b"PK\x03\x04", head.as_slice(), name.as_bytes(), &packed].concat());
            directory.extend(
                [b"PK\x01\x02\x14\x00", head.as_slice(), &[0; 10], &offset, name.as_bytes()].concat(),
            );
        }
        let place = out.len() as u32;
        out.extend(&directory);
        let count = (files.len() as u16).to_le_bytes();
        out.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count].concat());
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(place.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    fn package(name: &str, content: &[u8]) -> Vec<u8> {
        package_of(&[(name, content)])
    }

    #[test]
    fn kinds_of_packages_are_known() {
        assert_eq!(check(&package("xl/workbook.xml", b"x")).expect("sound"), Package::Xlsx);
        assert_eq!(check(&package("content.xml", b"x")).expect("sound"), Package::Ods);
        assert_eq!(check(&package("word/document.xml", b"x")).expect("sound"), Package::Other);
    }

    #[test]
    fn a_package_that_unfolds_too_far_is_refused_whatever_it_declares() {
        let bomb = package("content.xml", &vec![0; (UNPACKED_BYTES_MAX + 1) as usize]);
        assert!(matches!(check(&bomb), Err(SheetError::Unfolds { .. })));
    }

    #[test]
    fn a_cut_package_is_damaged_and_never_panics() {
        let whole = package("content.xml", b"some content");
        for n in 0..whole.len() {
            assert!(check(&whole[..n]).is_err(), "{n}");
            let mut changed = whole.clone();
            changed[n] ^= 0xff;
            let _ = check(&changed);
        }
    }
}
