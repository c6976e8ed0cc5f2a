//! What lies in a courier file once it is opened: who wrote to whom, then items, each with its
//! length before it. A parcel is read whole before anything of it is acted on.

use super::{Cover, ITEMS_MAX, PARCEL_BYTES_MAX};
use crate::cbor::{self, CborError, Value};
use crate::id::TransferId;
use crate::message::MESSAGE_BYTES_MAX;
use crate::message::wire::{ANSWER_BYTES_MAX, FRAME_BYTES_MAX};
use crate::statement::STATEMENT_BYTES_MAX;

/// Largest item: the largest answer, and its head.
const ITEM_BYTES_MAX: usize = ANSWER_BYTES_MAX + 64;
/// Most statements in one part: none is smaller than 120 bytes.
const PART_STATEMENTS_MAX: usize = ITEM_BYTES_MAX / 120;
/// Bytes of statements after which a part ends; one more of the largest still fits the item.
pub const PART_BYTES: usize = ITEM_BYTES_MAX / 2;

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A request, as the frame of a connection.
    Request(Vec<u8>),
    /// The answer to a request of the receiver.
    Answer {
        /// See [`super::request_id`].
        to: [u8; 32],
        /// The answer frame.
        answer: Vec<u8>,
    },
    /// The signed message that opens a bulk stream on a connection.
    Pull(Vec<u8>),
    /// Statements of a dossier that the receiver copies.
    Part {
        /// The transfer.
        transfer: TransferId,
        /// Sequence of the first one.
        from: u64,
        /// Statement bytes in order; none when nothing is lacking from there on.
        statements: Vec<Vec<u8>>,
    },
}

impl Item {
    fn encode(&self) -> Vec<u8> {
        let items = match self {
            Item::Request(frame) => vec![cbor::int(1), cbor::bytes(frame.as_slice())],
            Item::Answer { to, answer } => {
                vec![cbor::int(2), cbor::bytes(*to), cbor::bytes(answer.as_slice())]
            }
            Item::Pull(message) => vec![cbor::int(3), cbor::bytes(message.as_slice())],
            Item::Part { transfer, from, statements } => {
                let list = statements.iter().map(|s| cbor::bytes(s.as_slice())).collect();
                vec![cbor::int(4), cbor::bytes(transfer.0), cbor::int(*from), Value::Array(list)]
            }
        };
        cbor::encode(&Value::Array(items))
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut items = array(bytes)?.into_iter();
        let mut next = |index| items.next().ok_or(CborError::Missing(index));
        let item = match cbor::as_uint(&next(0)?, 0)? {
            1 => Item::Request(sized(next(1)?, 1, FRAME_BYTES_MAX)?),
            2 => Item::Answer {
                to: cbor::as_array(next(1)?, 1)?,
                answer: sized(next(2)?, 2, ANSWER_BYTES_MAX)?,
            },
            3 => Item::Pull(sized(next(1)?, 1, MESSAGE_BYTES_MAX)?),
            4 => {
                let (transfer, from) =
                    (TransferId(cbor::as_array(next(1)?, 1)?), cbor::as_uint(&next(2)?, 2)?);
                let Value::Array(list) = next(3)? else { return Err(CborError::WrongType(3)) };
                if list.len() > PART_STATEMENTS_MAX {
                    return Err(CborError::WrongType(3));
                }
                let statements = list.into_iter().map(|s| sized(s, 3, STATEMENT_BYTES_MAX));
                Item::Part { transfer, from, statements: statements.collect::<Result<_, _>>()? }
            }
            _ => return Err(CborError::WrongType(0)),
        };
        if items.next().is_some() { Err(CborError::Shape("an item has too many fields")) } else { Ok(item) }
    }
}

fn array(bytes: &[u8]) -> Result<Vec<Value>, CborError> {
    match cbor::decode(bytes, ITEM_BYTES_MAX)? {
        Value::Array(items) => Ok(items),
        _ => Err(CborError::Shape("an item is an array")),
    }
}

fn sized(value: Value, index: i64, cap: usize) -> Result<Vec<u8>, CborError> {
    match value {
        Value::Bytes(bytes) if bytes.len() <= cap => Ok(bytes),
        _ => Err(CborError::WrongType(index)),
    }
}

/// The opened content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Every request that waited for the receiver is in it: what an older file asked and this one does
    /// not is no longer asked.
    pub whole: bool,
    /// In the order in which they are acted on.
    pub items: Vec<Item>,
}

/// Fills a parcel up to its limits.
#[derive(Debug, Default)]
pub struct Writer {
    items: Vec<Vec<u8>>,
    bytes: usize,
    left_out: bool,
}

impl Writer {
    /// Puts an item in; `false` when it does not fit.
    pub fn put(&mut self, item: &Item) -> bool {
        let bytes = item.encode();
        let fits = self.items.len() < ITEMS_MAX && bytes.len() + 4 <= self.room();
        if fits {
            self.bytes += bytes.len() + 4;
            self.items.push(bytes);
        }
        fits
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        // The heading holds two names, two numbers and a flag.
        PARCEL_BYTES_MAX.saturating_sub(512 + self.bytes)
    }

    /// A request that waits is not in it.
    pub fn leave_out(&mut self) {
        self.left_out = true;
    }

    /// Whether every request that waits is in it.
    pub fn whole(&self) -> bool {
        !self.left_out
    }

    /// The bytes to be closed. The heading repeats what the cover says, so that nobody can take a
    /// closed parcel and put an own cover on it.
    pub fn finish(self, cover: &Cover) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes + 512);
        put(&mut out, &heading(cover, self.whole()));
        self.items.iter().for_each(|item| put(&mut out, item));
        out
    }
}

fn heading(cover: &Cover, whole: bool) -> Vec<u8> {
    let items = vec![
        cbor::int(1),
        cbor::text(cover.from.as_str()),
        cbor::text(cover.to.as_str()),
        cover.life.to_value(),
        cbor::int(cover.number),
        Value::Bool(whole),
    ];
    cbor::encode(&Value::Array(items))
}

fn put(out: &mut Vec<u8>, item: &[u8]) {
    out.extend_from_slice(&(item.len() as u32).to_be_bytes());
    out.extend_from_slice(item);
}

impl Parcel {
    /// Reads an opened parcel that lay under `cover`.
    pub fn read(bytes: &[u8], cover: &Cover) -> Result<Self, CborError> {
        if bytes.len() > PARCEL_BYTES_MAX {
            return Err(CborError::TooLarge { len: bytes.len(), cap: PARCEL_BYTES_MAX });
        }
        let mut rest = bytes;
        let first = next(&mut rest)?;
        let whole = first == heading(cover, true).as_slice();
        if !whole && first != heading(cover, false).as_slice() {
            return Err(CborError::Shape("the parcel belongs under another cover"));
        }
        let mut items = Vec::new();
        while !rest.is_empty() {
            if items.len() == ITEMS_MAX {
                return Err(CborError::Shape("the parcel has too many items"));
            }
            items.push(Item::decode(next(&mut rest)?)?);
        }
        Ok(Self { whole, items })
    }
}

fn next<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], CborError> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or(CborError::Truncated(0))?;
    let length = u32::from_be_bytes(*length) as usize;
    let (item, after) = after.split_at_checked(length).ok_or(CborError::Truncated(0))?;
    *rest = after;
    Ok(item)
}
