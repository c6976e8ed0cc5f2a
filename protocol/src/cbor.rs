//! Strict CBOR for our own objects, and a well-formedness check for foreign ones.
//!
//! `serde_cbor` is archived and lenient, so it is used only as bytes ⇄ [`Value`] and only here:
//! in front stands a checker of RFC 8949 (well-formed, §4.2.1 order, shortest heads, no duplicate
//! keys, depth, size, nothing trailing), behind it decode–encode–compare. Nothing is decoded
//! before the size cap and the checker have passed.

pub use serde_cbor::Value;

pub mod check;
pub mod fields;

pub use check::{Mode, check};
pub use fields::{Fields, MapBuilder, as_array, as_int, as_text, as_uint};

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

/// Decodes one strict object: size cap, checker, decode, encode again, compare.
pub fn decode(bytes: &[u8], cap: usize) -> Result<Value, CborError> {
    check(bytes, cap, Mode::Strict)?;
    let value: Value = serde_cbor::from_slice(bytes).map_err(|_| CborError::Decoder)?;
    if !encodes_to(&value, bytes) {
        return Err(CborError::NotReproducible);
    }
    Ok(value)
}

/// Encodes again and compares on the way, so that nothing is allocated for what is thrown away.
fn encodes_to(value: &Value, bytes: &[u8]) -> bool {
    struct Rest<'a>(&'a [u8]);
    impl std::io::Write for Rest<'_> {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            match self.0.strip_prefix(piece) {
                Some(rest) => {
                    self.0 = rest;
                    Ok(piece.len())
                }
                None => Err(std::io::ErrorKind::InvalidData.into()),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut rest = Rest(bytes);
    let mut serializer = serde_cbor::Serializer::new(serde_cbor::ser::IoWrite::new(&mut rest));
    serde::Serialize::serialize(value, &mut serializer).is_ok() && rest.0.is_empty()
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
