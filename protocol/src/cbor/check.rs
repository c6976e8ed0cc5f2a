//! The checker in front of the decoder: one pass over the bytes, nothing decoded, nothing allocated.

use super::{CborError, DEPTH_MAX};

/// Which rules the checker applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Our own objects: deterministic encoding of RFC 8949 §4.2.1; only tag 18 (COSE_Sign1), and around
    /// a whole object tag 98 (COSE_Sign).
    Strict,
    /// Foreign tokens: well-formed only (RFC 8949 §3), any tag, floats and indefinite lengths.
    WellFormed,
}

/// Checks that `bytes` is exactly one item obeying `mode`, without decoding it.
pub fn check(bytes: &[u8], cap: usize, mode: Mode) -> Result<(), CborError> {
    if bytes.len() > cap {
        return Err(CborError::TooLarge { len: bytes.len(), cap });
    }
    let mut checker = Checker { bytes, at: 0, mode };
    checker.item(0)?;
    if checker.at != bytes.len() {
        return Err(CborError::Trailing(checker.at));
    }
    Ok(())
}

struct Checker<'a> {
    bytes: &'a [u8],
    at: usize,
    mode: Mode,
}

impl Checker<'_> {
    fn byte(&mut self) -> Result<u8, CborError> {
        let byte = *self.bytes.get(self.at).ok_or(CborError::Truncated(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads a head: major type, additional information, argument (None = indefinite).
    fn head(&mut self) -> Result<(u8, u8, Option<u64>), CborError> {
        let start = self.at;
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 0x1f);
        let width = match info {
            0..=23 => return Ok((major, info, Some(u64::from(info)))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 if matches!(major, 2..=5 | 7) => return Ok((major, info, None)),
            _ => return Err(CborError::NotWellFormed(start)),
        };
        let end = self.at + width;
        let raw = self.bytes.get(self.at..end).ok_or(CborError::Truncated(self.at))?;
        self.at = end;
        let value = raw.iter().fold(0u64, |acc, b| (acc << 8) | u64::from(*b));
        if self.mode == Mode::Strict && major != 7 {
            let least = match width {
                1 => 24,
                2 => 1 << 8,
                4 => 1 << 16,
                _ => 1 << 32,
            };
            if value < least {
                return Err(CborError::NotShortest(start));
            }
        }
        Ok((major, info, Some(value)))
    }

    fn skip(&mut self, len: u64) -> Result<&[u8], CborError> {
        let start = self.at;
        let len = usize::try_from(len).map_err(|_| CborError::Truncated(start))?;
        let end = start.checked_add(len).ok_or(CborError::Truncated(start))?;
        let slice = self.bytes.get(start..end).ok_or(CborError::Truncated(start))?;
        self.at = end;
        Ok(slice)
    }

    fn item(&mut self, depth: usize) -> Result<(), CborError> {
        let start = self.at;
        if depth > DEPTH_MAX {
            return Err(CborError::TooDeep(start));
        }
        let (major, info, argument) = self.head()?;
        let Some(value) = argument else {
            return self.indefinite(major, start, depth);
        };
        match major {
            0 | 1 => Ok(()),
            2 => self.skip(value).map(|_| ()),
            3 => {
                let text = self.skip(value)?;
                std::str::from_utf8(text).map(|_| ()).map_err(|_| CborError::NotUtf8(start))
            }
            4 => {
                for _ in 0..value {
                    self.item(depth + 1)?;
                }
                Ok(())
            }
            5 => self.map(value, depth),
            6 => {
                let known = value == 18 || (value == 98 && depth == 0);
                if self.mode == Mode::Strict && !known {
                    return Err(CborError::ForbiddenTag { tag: value, at: start });
                }
                self.item(depth + 1)
            }
            _ => self.simple(info, value, start),
        }
    }

    fn map(&mut self, pairs: u64, depth: usize) -> Result<(), CborError> {
        let mut previous: Option<(usize, usize)> = None;
        for _ in 0..pairs {
            let key_start = self.at;
            self.item(depth + 1)?;
            let key_end = self.at;
            if self.mode == Mode::Strict {
                if let Some((s, e)) = previous
                    && self.bytes[s..e] >= self.bytes[key_start..key_end]
                {
                    return Err(CborError::KeyOrder(key_start));
                }
                previous = Some((key_start, key_end));
            }
            self.item(depth + 1)?;
        }
        Ok(())
    }

    fn simple(&self, info: u8, value: u64, start: usize) -> Result<(), CborError> {
        match (self.mode, info) {
            // RFC 8949 §3.3: a two-byte simple value below 32 is not well-formed.
            (_, 24) if value < 32 => Err(CborError::NotWellFormed(start)),
            (_, 20..=22) | (Mode::WellFormed, _) => Ok(()),
            (Mode::Strict, _) => Err(CborError::ForbiddenValue(start)),
        }
    }

    fn indefinite(&mut self, major: u8, start: usize, depth: usize) -> Result<(), CborError> {
        if major == 7 {
            return Err(CborError::NotWellFormed(start));
        }
        if self.mode == Mode::Strict {
            return Err(CborError::Indefinite(start));
        }
        let mut items = 0u64;
        loop {
            if self.bytes.get(self.at) == Some(&0xff) {
                self.at += 1;
                // A map must close after a whole pair.
                return if major == 5 && items % 2 == 1 {
                    Err(CborError::NotWellFormed(start))
                } else {
                    Ok(())
                };
            }
            if matches!(major, 2 | 3) {
                let chunk = self.at;
                let (inner, _, len) = self.head()?;
                // Chunks are definite strings of the same major type (RFC 8949 §3.2.3).
                let (Some(len), true) = (len, inner == major) else {
                    return Err(CborError::NotWellFormed(chunk));
                };
                let text = self.skip(len)?;
                if major == 3 && std::str::from_utf8(text).is_err() {
                    return Err(CborError::NotUtf8(chunk));
                }
            } else {
                self.item(depth + 1)?;
            }
            items += 1;
        }
    }
}
