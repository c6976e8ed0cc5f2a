//! The content of a backup before encryption: parts of rows, one after the other.
//!
//! A frame is its kind and its lengths, then its bytes: `1` opens a part (length and name), `2` is a
//! row (length of the key, key, length of the value, value), `0` ends the content. Nothing is held
//! in memory but one row.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use super::manifest::Part;

const END: u8 = 0;
const PART: u8 = 1;
const ROW: u8 = 2;
/// Largest value of a row: a record is at most 64 KiB, a configuration 1 MiB.
pub(crate) const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// Writes parts.
#[derive(Debug)]
pub struct PartsWriter<W> {
    out: W,
    open: Option<(String, u64, u64, Sha256)>,
    done: Vec<Part>,
}

impl<W: Write> PartsWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, open: None, done: Vec::new() }
    }

    /// Opens the next part.
    pub fn part(&mut self, name: &str) -> io::Result<()> {
        self.close();
        self.out.write_all(&[PART, name.len() as u8])?;
        self.out.write_all(name.as_bytes())?;
        self.open = Some((name.to_owned(), 0, 0, Sha256::new()));
        Ok(())
    }

    fn close(&mut self) {
        if let Some((name, rows, bytes, hash)) = self.open.take() {
            self.done.push(Part { name, rows, bytes, hash: hash.finalize().into() });
        }
    }

    /// Writes a row.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let key_len =
            u8::try_from(key.len()).map_err(|_| io::Error::other("the key of a row is too long"))?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(io::Error::other("the value of a row is too long"));
        }
        let mut frame = Vec::with_capacity(6 + key.len() + value.len());
        frame.extend_from_slice(&[ROW, key_len]);
        frame.extend_from_slice(key);
        frame.extend_from_slice(&(value.len() as u32).to_be_bytes());
        frame.extend_from_slice(value);
        if let Some((_, rows, bytes, hash)) = &mut self.open {
            *rows += 1;
            *bytes += frame.len() as u64;
            hash.update(&frame);
        }
        self.out.write_all(&frame)
    }

    /// Ends the content.
    pub fn finish(mut self) -> io::Result<(W, Vec<Part>)> {
        self.close();
        self.out.write_all(&[END])?;
        Ok((self.out, self.done))
    }
}

/// Reads parts; gives each row to `each` with the name of its part, and the parts as they were found.
pub fn read_parts<E: From<io::Error>>(
    mut from: impl Read,
    mut each: impl FnMut(&str, &[u8], &[u8]) -> Result<(), E>,
) -> Result<Vec<Part>, E> {
    let bad = |what: &str| E::from(io::Error::new(io::ErrorKind::InvalidData, what));
    let mut done: Vec<Part> = Vec::new();
    let mut hash = Sha256::new();
    loop {
        let kind = byte(&mut from)?;
        if kind != ROW
            && let Some(part) = done.last_mut()
        {
            part.hash = std::mem::take(&mut hash).finalize().into();
        }
        match kind {
            END => break,
            PART => {
                let len = byte_len(&mut from)?;
                let name = bytes(&mut from, len)?;
                let name = String::from_utf8(name).map_err(|_| bad("the name of a part is not text"))?;
                done.push(Part { name, rows: 0, bytes: 0, hash: [0; 32] });
            }
            ROW => {
                let len = byte_len(&mut from)?;
                let key = bytes(&mut from, len)?;
                let mut len = [0; 4];
                from.read_exact(&mut len)?;
                let value_len = u32::from_be_bytes(len) as usize;
                if value_len > VALUE_BYTES_MAX {
                    return Err(bad("the value of a row is too long"));
                }
                let value = bytes(&mut from, value_len)?;
                let part = done.last_mut().ok_or_else(|| bad("a row stands outside of a part"))?;
                part.rows += 1;
                part.bytes += 6 + key.len() as u64 + value.len() as u64;
                for piece in [&[ROW, key.len() as u8][..], &key, &len, &value] {
                    hash.update(piece);
                }
                each(&part.name, &key, &value)?;
            }
            _ => return Err(bad("a frame of an unknown kind")),
        }
    }
    if from.read(&mut [0])? != 0 {
        return Err(bad("bytes after the end"));
    }
    Ok(done)
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut one = [0];
    from.read_exact(&mut one)?;
    Ok(one[0])
}

fn byte_len(from: &mut impl Read) -> io::Result<usize> {
    byte(from).map(usize::from)
}

fn bytes(from: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    let mut out = vec![0; len];
    from.read_exact(&mut out)?;
    Ok(out)
}
