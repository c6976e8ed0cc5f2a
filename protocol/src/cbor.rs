//! Strict CBOR for our own objects, and a well-formedness check for foreign ones.
//!
//! `serde_cbor` is archived and lenient, so it is used only as bytes ⇄ [`Value`] and only here:
//! in front stands a checker of RFC 8949 (well-formed, §4.2.1 order, shortest heads, no duplicate
//! keys, depth, size, nothing trailing), behind it decode–encode–compare. Nothing is decoded
//! before the size cap and the checker have passed.

use std::collections::BTreeMap;

pub use serde_cbor::Value;

/// Deepest nesting accepted; our deepest object (a proof with a receipt) needs 7.
pub const DEPTH_MAX: usize = 16;

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// More bytes than the caller's cap.
    #[error("object of {len} bytes is over its limit of {cap} bytes")]
    TooLarge {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        cap: usize,
    },
    /// The input ends inside an item.
    #[error("input ends inside an item at byte {0}")]
    Truncated(usize),
    /// Bytes follow the item.
    #[error("bytes follow the item at byte {0}")]
    Trailing(usize),
    /// Nesting over [`DEPTH_MAX`].
    #[error("nesting deeper than {DEPTH_MAX} at byte {0}")]
    TooDeep(usize),
    /// A reserved additional-information value, or a break outside an indefinite item.
    #[error("not well-formed (RFC 8949 §3) at byte {0}")]
    NotWellFormed(usize),
    /// A length or number not in its shortest form (RFC 8949 §4.2.1).
    #[error("number not in shortest form (RFC 8949 §4.2.1) at byte {0}")]
    NotShortest(usize),
    /// Indefinite length where only definite lengths are allowed.
    #[error("indefinite length (RFC 8949 §4.2.1) at byte {0}")]
    Indefinite(usize),
    /// Map keys out of bytewise order, or repeated.
    #[error("map keys not in order or repeated (RFC 8949 §4.2.1) at byte {0}")]
    KeyOrder(usize),
    /// A float or a simple value other than false, true and null.
    #[error("value of a kind our objects never hold at byte {0}")]
    ForbiddenValue(usize),
    /// A tag that this object may not carry.
    #[error("tag {tag} not allowed at byte {at}")]
    ForbiddenTag {
        /// The tag number.
        tag: u64,
        /// Where it stands.
        at: usize,
    },
    /// Text that is not UTF-8.
    #[error("text is not UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// Decoded and encoded again, the bytes differ.
    #[error("decoding and encoding again gives other bytes")]
    NotReproducible,
    /// The decoder itself refused.
    #[error("decoder refused the bytes")]
    Decoder,
    /// A field is missing.
    #[error("field {0} is missing")]
    Missing(i64),
    /// A field has another type or range than its label requires.
    #[error("field {0} has the wrong type or range")]
    WrongType(i64),
    /// A field that this kind and version does not have.
    #[error("unknown field {0}")]
    UnknownField(String),
    /// The outer shape (tag, array length, map) is not the expected one.
    #[error("unexpected shape: {0}")]
    Shape(&'static str),
}

/// Which rules the checker applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Our own objects: deterministic encoding of RFC 8949 §4.2.1; only tag 18 (COSE_Sign1).
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
                if self.mode == Mode::Strict && value != 18 {
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

/// Decodes one strict object: size cap, checker, decode, encode again, compare.
pub fn decode(bytes: &[u8], cap: usize) -> Result<Value, CborError> {
    check(bytes, cap, Mode::Strict)?;
    let value: Value = serde_cbor::from_slice(bytes).map_err(|_| CborError::Decoder)?;
    if encode(&value) != bytes {
        return Err(CborError::NotReproducible);
    }
    Ok(value)
}

/// Decodes a foreign token that need only be well-formed; its bytes are never made again.
pub fn decode_foreign(bytes: &[u8], cap: usize) -> Result<Value, CborError> {
    check(bytes, cap, Mode::WellFormed)?;
    serde_cbor::from_slice(bytes).map_err(|_| CborError::Decoder)
}

/// Encodes deterministically (RFC 8949 §4.2.1): `Value` maps are ordered by their encoded keys.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut serializer = serde_cbor::Serializer::new(&mut out);
    // Writing to a Vec cannot fail and a Value has no foreign serializer inside.
    if serde::Serialize::serialize(value, &mut serializer).is_err() {
        out.clear();
    }
    out
}

/// Appends the head of an item: `major` type and argument, shortest form.
pub fn put_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let m = major << 5;
    match argument {
        0..=23 => out.push(m | argument as u8),
        24..=0xff => out.extend_from_slice(&[m | 24, argument as u8]),
        0x100..=0xffff => {
            out.push(m | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(m | 26);
            out.extend_from_slice(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.push(m | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

/// Appends a byte string.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_head(out, 2, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a text string.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_head(out, 3, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// A text value.
pub fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

/// A byte string value.
pub fn bytes(value: impl Into<Vec<u8>>) -> Value {
    Value::Bytes(value.into())
}

/// An integer value.
pub fn int(value: impl Into<i128>) -> Value {
    Value::Integer(value.into())
}

/// Builds a map with integer labels; optional fields are left out when absent.
#[derive(Debug, Default)]
pub struct MapBuilder(BTreeMap<Value, Value>);

impl MapBuilder {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `label`.
    pub fn put(mut self, label: i64, value: Value) -> Self {
        self.0.insert(int(label), value);
        self
    }

    /// Sets `label` when there is a value.
    pub fn put_opt(self, label: i64, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.put(label, value),
            None => self,
        }
    }

    /// The finished map.
    pub fn build(self) -> Value {
        Value::Map(self.0)
    }
}

/// Takes typed fields out of a map by integer label; [`Fields::finish`] refuses what is left.
#[derive(Debug)]
pub struct Fields(BTreeMap<Value, Value>);

impl Fields {
    /// Opens a map value.
    pub fn open(value: Value) -> Result<Self, CborError> {
        match value {
            Value::Map(map) => Ok(Self(map)),
            _ => Err(CborError::Shape("a map is expected")),
        }
    }

    /// Takes `label` if present.
    pub fn opt(&mut self, label: i64) -> Option<Value> {
        self.0.remove(&int(label))
    }

    /// Takes `label`, which must be present.
    pub fn need(&mut self, label: i64) -> Result<Value, CborError> {
        self.opt(label).ok_or(CborError::Missing(label))
    }

    /// A text field of at most `cap` bytes.
    pub fn text(&mut self, label: i64, cap: usize) -> Result<String, CborError> {
        as_text(self.need(label)?, label, cap)
    }

    /// An optional text field of at most `cap` bytes.
    pub fn opt_text(&mut self, label: i64, cap: usize) -> Result<Option<String>, CborError> {
        self.opt(label).map(|v| as_text(v, label, cap)).transpose()
    }

    /// A non-negative integer.
    pub fn uint(&mut self, label: i64) -> Result<u64, CborError> {
        as_uint(&self.need(label)?, label)
    }

    /// An optional non-negative integer.
    pub fn opt_uint(&mut self, label: i64) -> Result<Option<u64>, CborError> {
        self.opt(label).map(|v| as_uint(&v, label)).transpose()
    }

    /// A signed integer.
    pub fn int(&mut self, label: i64) -> Result<i64, CborError> {
        as_int(&self.need(label)?, label)
    }

    /// An optional signed integer.
    pub fn opt_int(&mut self, label: i64) -> Result<Option<i64>, CborError> {
        self.opt(label).map(|v| as_int(&v, label)).transpose()
    }

    /// A byte string of exactly `N` bytes.
    pub fn array<const N: usize>(&mut self, label: i64) -> Result<[u8; N], CborError> {
        as_array(self.need(label)?, label)
    }

    /// An optional byte string of exactly `N` bytes.
    pub fn opt_array<const N: usize>(&mut self, label: i64) -> Result<Option<[u8; N]>, CborError> {
        self.opt(label).map(|v| as_array(v, label)).transpose()
    }

    /// A byte string of at most `cap` bytes.
    pub fn bytes(&mut self, label: i64, cap: usize) -> Result<Vec<u8>, CborError> {
        match self.need(label)? {
            Value::Bytes(bytes) if bytes.len() <= cap => Ok(bytes),
            _ => Err(CborError::WrongType(label)),
        }
    }

    /// A flag that is written only when true.
    pub fn flag(&mut self, label: i64) -> Result<bool, CborError> {
        match self.opt(label) {
            None => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(_) => Err(CborError::WrongType(label)),
        }
    }

    /// An array of at most `cap` items; absent means empty.
    pub fn list(&mut self, label: i64, cap: usize) -> Result<Vec<Value>, CborError> {
        match self.opt(label) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= cap && !items.is_empty() => Ok(items),
            Some(_) => Err(CborError::WrongType(label)),
        }
    }

    /// Refuses fields that nobody took.
    pub fn finish(self) -> Result<(), CborError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((Value::Integer(n), _)) => Err(CborError::UnknownField(n.to_string())),
            Some(_) => Err(CborError::UnknownField("not an integer".to_owned())),
        }
    }
}

/// A text value of at most `cap` bytes.
pub fn as_text(value: Value, label: i64, cap: usize) -> Result<String, CborError> {
    match value {
        Value::Text(text) if text.len() <= cap => Ok(text),
        _ => Err(CborError::WrongType(label)),
    }
}

/// A non-negative integer value.
pub fn as_uint(value: &Value, label: i64) -> Result<u64, CborError> {
    match value {
        Value::Integer(n) => u64::try_from(*n).map_err(|_| CborError::WrongType(label)),
        _ => Err(CborError::WrongType(label)),
    }
}

/// A signed integer value.
pub fn as_int(value: &Value, label: i64) -> Result<i64, CborError> {
    match value {
        Value::Integer(n) => i64::try_from(*n).map_err(|_| CborError::WrongType(label)),
        _ => Err(CborError::WrongType(label)),
    }
}

/// A byte string value of exactly `N` bytes.
pub fn as_array<const N: usize>(value: Value, label: i64) -> Result<[u8; N], CborError> {
    match value {
        Value::Bytes(bytes) => bytes.try_into().map_err(|_| CborError::WrongType(label)),
        _ => Err(CborError::WrongType(label)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn integer_labels_are_ordered_as_rfc_8949_4_2_1_asks() {
        let labels = [-65537i64, -2, 100, 1, -1, 24];
        let map = labels.iter().fold(MapBuilder::new(), |m, l| m.put(*l, Value::Null)).build();
        let bytes = encode(&map);
        let expected = [
            0xa6, 0x01, 0xf6, 0x18, 24, 0xf6, 0x18, 100, 0xf6, 0x20, 0xf6, 0x21, 0xf6, 0x3a, 0, 1, 0, 0, 0xf6,
        ];
        assert_eq!(bytes, expected);
        assert_eq!(check(&bytes, 64, Mode::Strict), Ok(()));
    }

    #[test]
    fn non_canonical_forms_are_refused_each_with_its_rule() {
        let cases: [(&[u8], CborError); 9] = [
            (&[0x18, 0x01], CborError::NotShortest(0)),
            (&[0x9f, 0xff], CborError::Indefinite(0)),
            (&[0xa2, 0x02, 0xf6, 0x01, 0xf6], CborError::KeyOrder(3)),
            (&[0xa2, 0x01, 0xf6, 0x01, 0xf6], CborError::KeyOrder(3)),
            (&[0xf9, 0x00, 0x00], CborError::ForbiddenValue(0)),
            (&[0xc1, 0x00], CborError::ForbiddenTag { tag: 1, at: 0 }),
            (&[0x01, 0x01], CborError::Trailing(1)),
            (&[0x61, 0xff], CborError::NotUtf8(0)),
            (&[0x42, 0x00], CborError::Truncated(1)),
        ];
        for (bytes, error) in cases {
            assert_eq!(check(bytes, 64, Mode::Strict), Err(error), "{bytes:02x?}");
        }
    }

    #[test]
    fn nesting_and_size_are_bounded_before_anything_is_decoded() {
        let deep = [vec![0x81u8; DEPTH_MAX + 1], vec![0x00]].concat();
        assert!(matches!(decode(&deep, 64), Err(CborError::TooDeep(_))));
        assert!(matches!(decode(&[0; 65], 64), Err(CborError::TooLarge { .. })));
        // A giant declared length must not allocate.
        assert!(matches!(
            decode(&[0x5b, 0x7f, 255, 255, 255, 255, 255, 255, 255], 64),
            Err(CborError::Truncated(_))
        ));
    }

    #[test]
    fn unknown_fields_are_named() {
        let mut fields = Fields::open(MapBuilder::new().put(1, int(5)).put(99, int(1)).build()).unwrap();
        assert_eq!(fields.uint(1), Ok(5));
        assert_eq!(fields.finish(), Err(CborError::UnknownField("99".into())));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_an_answer_and_accepted_ones_encode_to_themselves(bytes in proptest::collection::vec(0u8.., 0..200)) {
            if let Ok(value) = decode(&bytes, 200) {
                proptest::prop_assert_eq!(encode(&value), bytes);
            }
        }
    }
}
