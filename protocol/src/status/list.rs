//! The list itself: a row of places of 1, 2, 4 or 8 bits, least significant bits first, and its
//! zlib form (draft §4).

use std::io::{Read as _, Write as _};

use super::{BITS, ENTRIES, Status, StatusError};
use crate::cbor::{self, Value};

/// Largest list that is unpacked, bytes: 2^20 places of 8 bits. A list of ours has a quarter.
pub const UNPACKED_BYTES_MAX: usize = 1 << 20;

/// A row of places.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    bits: u8,
    row: Vec<u8>,
}

impl std::fmt::Debug for StatusList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StatusList({} places of {} bits)", self.len(), self.bits)
    }
}

/// The zlib form of a list with its width: the value of claim 65533.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Bits of one place.
    pub bits: u8,
    /// zlib.
    pub list: Vec<u8>,
}

impl Default for StatusList {
    fn default() -> Self {
        Self { bits: BITS, row: vec![0; ENTRIES as usize * BITS as usize / 8] }
    }
}

impl StatusList {
    /// A list of ours with every place valid.
    pub fn new() -> Self {
        Self::default()
    }

    /// A list over raw bytes, of any width the draft allows.
    pub fn from_row(bits: u8, row: Vec<u8>) -> Result<Self, StatusError> {
        if !matches!(bits, 1 | 2 | 4 | 8) {
            return Err(StatusError::Bits(u64::from(bits)));
        }
        if row.is_empty() || row.len() > UNPACKED_BYTES_MAX {
            return Err(StatusError::Packed);
        }
        Ok(Self { bits, row })
    }

    /// Bits of one place.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Places.
    pub fn len(&self) -> u64 {
        self.row.len() as u64 * 8 / u64::from(self.bits)
    }

    /// Never: a list has places.
    pub fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    /// Raw bytes.
    pub fn row(&self) -> &[u8] {
        &self.row
    }

    /// The number at a place; one that is not in the list is an error, never "valid".
    pub fn number(&self, index: u64) -> Result<u8, StatusError> {
        let (byte, shift) = self.place(index)?;
        let mask = (1u16 << self.bits).wrapping_sub(1) as u8;
        Ok((self.row[byte] >> shift) & mask)
    }

    /// The status at a place of a list of 2 bits.
    pub fn status(&self, index: u64) -> Result<Status, StatusError> {
        let number = self.number(index)?;
        Status::from_number(number).ok_or(StatusError::Bits(u64::from(self.bits)))
    }

    /// Writes a status into a list of 2 bits.
    pub fn set(&mut self, index: u64, status: Status) -> Result<(), StatusError> {
        if self.bits != BITS {
            return Err(StatusError::Bits(u64::from(self.bits)));
        }
        let (byte, shift) = self.place(index)?;
        self.row[byte] = (self.row[byte] & !(0b11 << shift)) | ((status as u8) << shift);
        Ok(())
    }

    /// Places with another number than 0, ascending.
    pub fn changed(&self) -> impl Iterator<Item = (u64, u8)> {
        let per_byte = u64::from(8 / self.bits);
        let bytes = self.row.iter().enumerate().filter(|(_, byte)| **byte != 0);
        bytes
            .flat_map(move |(at, _)| (0..per_byte).map(move |n| at as u64 * per_byte + n))
            .filter_map(|index| self.number(index).ok().filter(|n| *n != 0).map(|n| (index, n)))
    }

    /// Byte and shift of a place, least significant bits first.
    fn place(&self, index: u64) -> Result<(usize, u8), StatusError> {
        let outside = StatusError::OutOfRange { index, entries: self.len() };
        if index >= self.len() {
            return Err(outside);
        }
        let per_byte = u64::from(8 / self.bits);
        let byte = usize::try_from(index / per_byte).map_err(|_| outside)?;
        Ok((byte, (index % per_byte) as u8 * self.bits))
    }

    /// The zlib form, as small as it gets: it is made a few times a day and fetched by many.
    pub fn pack(&self) -> Packed {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        // Writing to a Vec cannot fail; an empty list would be refused by everybody.
        let list = encoder.write_all(&self.row).and_then(|()| encoder.finish()).unwrap_or_default();
        Packed { bits: self.bits, list }
    }
}

impl Packed {
    /// As the value of claim 65533, deterministic: `lst` before `bits`.
    pub fn to_value(&self) -> Value {
        super::text_map([("lst", cbor::bytes(self.list.as_slice())), ("bits", cbor::int(self.bits))])
    }

    /// From the value of claim 65533. A place for the aggregation address is read over: it says where
    /// lists are, and these come with the roster.
    pub fn from_value(value: Value) -> Result<Self, StatusError> {
        let mut f = super::TextFields::open(value)?;
        let bits = cbor::as_uint(&f.need("bits")?, super::CLAIM_LIST)?;
        let Value::Bytes(list) = f.need("lst")? else {
            return Err(cbor::CborError::WrongType(super::CLAIM_LIST).into());
        };
        if !matches!(bits, 1 | 2 | 4 | 8) {
            return Err(StatusError::Bits(bits));
        }
        f.opt("aggregation_uri");
        f.finish()?;
        Ok(Self { bits: bits as u8, list })
    }

    /// Unpacks, at most [`UNPACKED_BYTES_MAX`]; all of the packed bytes must belong to it.
    pub fn unpack(&self) -> Result<StatusList, StatusError> {
        let mut row = Vec::new();
        let mut reader =
            flate2::read::ZlibDecoder::new(self.list.as_slice()).take(UNPACKED_BYTES_MAX as u64 + 1);
        reader.read_to_end(&mut row).map_err(|_| StatusError::Packed)?;
        if reader.into_inner().total_in() != self.list.len() as u64 {
            return Err(StatusError::Packed);
        }
        StatusList::from_row(self.bits, row)
    }
}
