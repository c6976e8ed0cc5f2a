//! Unified social credit codes of organizations (GB 32100): 18 characters with a check character.

const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

/// Why a text is not a unified social credit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsccError {
    /// Not 18 characters of its alphabet (no I O S V Z).
    #[error("a unified social credit code has 18 characters without I O S V Z (GB 32100)")]
    Form,
    /// Wrong check character.
    #[error("the check character of the unified social credit code is wrong (GB 32100)")]
    Checksum,
}

impl UsccError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "uscc-form",
            Self::Checksum => "uscc-checksum",
        }
    }
}

/// Checks a code; returns it in upper case without blanks.
pub fn parse(text: &str) -> Result<String, UsccError> {
    let code: String = text
        .chars()
        .map(crate::citizen_id::half_width)
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let mut values = [0usize; 18];
    if code.len() != 18 {
        return Err(UsccError::Form);
    }
    for (slot, c) in values.iter_mut().zip(code.bytes()) {
        *slot = ALPHABET.iter().position(|a| *a == c).ok_or(UsccError::Form)?;
    }
    let sum: usize = values.iter().zip(WEIGHTS).map(|(v, w)| v * w).sum();
    if (31 - sum % 31) % 31 == values[17] { Ok(code) } else { Err(UsccError::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_examples_hold_and_a_changed_character_does_not() {
        for code in ["91350100M000100Y43", "91110000802100433B", "51530100MJ000000X8", "11532900015000003B"] {
            assert_eq!(parse(code).as_deref(), Ok(code));
        }
        assert_eq!(parse("51530100MJ000000X9"), Err(UsccError::Checksum));
        assert_eq!(parse("51530100MJ00000OX8"), Err(UsccError::Form));
        assert_eq!(parse("5153"), Err(UsccError::Form));
    }
}
