//! Base45 (RFC 9285), the text of a QR in alphanumeric mode.
//!
//! Strict: an overflowing group, a stray character or a dangling last character is refused, so
//! exactly one text stands for given bytes.

const ALPHABET: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/// Why a text is not Base45.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Base45Error {
    /// A character outside the alphabet; lower case is outside.
    #[error("character {0} is not in the Base45 alphabet (RFC 9285 §3.2)")]
    Alphabet(usize),
    /// A group stands for more than its bytes can hold.
    #[error("group at character {0} overflows (RFC 9285 §4)")]
    Overflow(usize),
    /// One character is left over.
    #[error("the last group has one character only (RFC 9285 §4)")]
    Dangling,
}

/// Encodes bytes.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(2) * 3);
    let letter = |n: usize| char::from(ALPHABET[n]);
    for pair in bytes.chunks(2) {
        if let [a, b] = *pair {
            let n = usize::from(a) * 256 + usize::from(b);
            out.extend([letter(n % 45), letter(n / 45 % 45), letter(n / 2025)]);
        } else {
            let n = usize::from(pair[0]);
            out.extend([letter(n % 45), letter(n / 45)]);
        }
    }
    out
}

const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut table = [255; 256];
    let mut i = 0;
    while i < 45 {
        table[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    table
}

/// Decodes text.
pub fn decode(text: &str) -> Result<Vec<u8>, Base45Error> {
    let mut out = Vec::with_capacity(text.len() / 3 * 2 + 1);
    for (index, group) in text.as_bytes().chunks(3).enumerate() {
        let at = index * 3;
        let mut n = 0u32;
        for (i, c) in group.iter().enumerate().rev() {
            let value = VALUES[usize::from(*c)];
            if value == 255 {
                return Err(Base45Error::Alphabet(at + i));
            }
            n = n * 45 + u32::from(value);
        }
        match group.len() {
            3 => {
                out.extend_from_slice(
                    &u16::try_from(n).map_err(|_| Base45Error::Overflow(at))?.to_be_bytes(),
                );
            }
            2 => out.push(u8::try_from(n).map_err(|_| Base45Error::Overflow(at))?),
            _ => return Err(Base45Error::Dangling),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_9285_hold() {
        assert_eq!(encode(b"AB"), "BB8");
        assert_eq!(encode(b"Hello!!"), "%69 VD92EX0");
        assert_eq!(encode(b"base-45"), "UJCLQE7W581");
        assert_eq!(decode("QED8WEX0"), Ok(b"ietf!".to_vec()));
    }

    #[test]
    fn overflow_stray_and_dangling_characters_are_refused() {
        assert_eq!(decode("GGW"), Err(Base45Error::Overflow(0)));
        assert_eq!(decode("::"), Err(Base45Error::Overflow(0)));
        assert!(matches!(decode("bb8"), Err(Base45Error::Alphabet(_))));
        assert_eq!(decode("BB8A"), Err(Base45Error::Dangling));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(0u8.., 0..100)) {
            proptest::prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
    }
}
