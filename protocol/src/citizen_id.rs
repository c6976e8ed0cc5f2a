//! Resident identity numbers (GB 11643): checksum, 15 to 18 digits, repair of typing habits.
//!
//! A number never leaves the node that registered it: the type prints no digits.

use std::fmt;

use crate::day::Day;

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";

/// A number with a right checksum, 18 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CitizenId([u8; 18]);

/// Why a text is not a resident identity number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CitizenIdError {
    /// Nothing there.
    #[error("no identity number")]
    Empty,
    /// A spreadsheet turned it into a number like 5.30102E+17; digits are lost for good.
    #[error("the identity number is in scientific notation; a spreadsheet has destroyed its last digits")]
    Scientific,
    /// Not 15 or 18 characters.
    #[error("an identity number has 18 characters (GB 11643)")]
    Length,
    /// Something else than digits and a final X.
    #[error("an identity number holds digits and a final X only (GB 11643)")]
    Characters,
    /// The last three digits are 000 and the checksum is wrong: cut to 15 digits by a spreadsheet.
    #[error("the identity number ends in 000 with a wrong checksum; a spreadsheet has cut it to 15 digits")]
    Truncated,
    /// Wrong check character.
    #[error("the check character of the identity number is wrong (GB 11643)")]
    Checksum,
    /// No such birth date.
    #[error("the identity number holds no real birth date (GB 11643)")]
    BirthDate,
}

impl CitizenIdError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "id-empty",
            Self::Scientific => "id-scientific",
            Self::Length => "id-length",
            Self::Characters => "id-characters",
            Self::Truncated => "id-truncated",
            Self::Checksum => "id-checksum",
            Self::BirthDate => "id-birth-date",
        }
    }
}

/// What was repaired on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repairs {
    /// Lower-case x became X.
    pub lower_x: bool,
    /// Full-width characters became ASCII.
    pub full_width: bool,
    /// Blanks were removed.
    pub blanks: bool,
    /// A 15-digit number was extended to 18.
    pub old_form: bool,
}

impl Repairs {
    /// Whether anything was repaired.
    pub fn any(self) -> bool {
        self.lower_x || self.full_width || self.blanks || self.old_form
    }
}

/// ASCII form of a full-width character (U+FF01–U+FF5E and the ideographic space).
pub fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}

impl CitizenId {
    /// Reads a number as people type it and says what had to be repaired.
    pub fn parse(text: &str) -> Result<(Self, Repairs), CitizenIdError> {
        let mut repairs = Repairs::default();
        let mut clean = String::with_capacity(18);
        for c in text.chars() {
            let half = half_width(c);
            repairs.full_width |= half != c && !half.is_whitespace();
            // A leading apostrophe is how people force text cells.
            if half.is_whitespace() || matches!(half, '\u{feff}' | '\u{200b}' | '\'') {
                repairs.blanks = true;
            } else if half == 'x' {
                repairs.lower_x = true;
                clean.push('X');
            } else {
                clean.push(half);
            }
        }
        if clean.is_empty() {
            return Err(CitizenIdError::Empty);
        }
        if is_scientific(&clean) {
            return Err(CitizenIdError::Scientific);
        }
        let mut digits = clean.into_bytes();
        if digits.len() == 15 && digits.iter().all(u8::is_ascii_digit) {
            repairs.old_form = true;
            digits.splice(6..6, *b"19");
            digits.push(check_character(&digits));
        }
        let Ok(number) = <[u8; 18]>::try_from(digits) else { return Err(CitizenIdError::Length) };
        if !number[..17].iter().all(u8::is_ascii_digit)
            || !(number[17].is_ascii_digit() || number[17] == b'X')
        {
            return Err(CitizenIdError::Characters);
        }
        if check_character(&number[..17]) != number[17] {
            let cut = &number[15..] == b"000";
            return Err(if cut { CitizenIdError::Truncated } else { CitizenIdError::Checksum });
        }
        let id = Self(number);
        if id.birth().is_none() {
            return Err(CitizenIdError::BirthDate);
        }
        Ok((id, repairs))
    }

    fn number(&self, from: usize, to: usize) -> u32 {
        self.0[from..to].iter().fold(0, |n, d| n * 10 + u32::from(*d - b'0'))
    }

    fn birth(&self) -> Option<Day> {
        Day::from_ymd(i32::try_from(self.number(6, 10)).ok()?, self.number(10, 12), self.number(12, 14))
    }

    /// Birth date.
    pub fn birth_day(&self) -> Day {
        self.birth().unwrap_or(Day(0))
    }

    /// Division code of first registration; may be abolished since.
    pub fn division(&self) -> u32 {
        self.number(0, 6)
    }

    /// The 18 characters; for the encrypted register and its index only.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// First six digits and last character, the rest hidden.
    pub fn masked(&self) -> String {
        let text = self.expose();
        format!("{}***********{}", &text[..6], &text[17..])
    }
}

impl fmt::Debug for CitizenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CitizenId(…)")
    }
}

fn check_character(digits: &[u8]) -> u8 {
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(d, w)| u32::from(d.saturating_sub(b'0')) * w).sum();
    CHECKS[(sum % 11) as usize]
}

fn is_scientific(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    match upper.split_once('E') {
        Some((mantissa, exponent)) => {
            let exponent = exponent.trim_start_matches('+');
            !exponent.is_empty()
                && exponent.bytes().all(|b| b.is_ascii_digit())
                && mantissa.parse::<f64>().is_ok()
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_examples_and_the_old_form_are_read() {
        for text in ["11010519491231002X", "440524188001010014", "53290119000101019X", "533221190001010032"] {
            let (id, repairs) = CitizenId::parse(text).expect("right");
            assert!(!repairs.any());
            assert_eq!(id.expose(), text);
        }
        let (id, repairs) = CitizenId::parse("110105491231002").expect("old form");
        assert_eq!(id.expose(), "11010519491231002X");
        assert!(repairs.old_form);
    }

    #[test]
    fn typing_habits_are_repaired_and_named() {
        let (id, r) = CitizenId::parse(" 53290119000101019x").expect("repairable");
        assert_eq!(id.expose(), "53290119000101019X");
        assert!(r.lower_x && r.blanks && !r.full_width);
        let (_, r) = CitizenId::parse("５３２９０１１９０００１０１０１９X").expect("repairable");
        assert!(r.full_width);
    }

    #[test]
    fn what_a_spreadsheet_destroyed_is_refused_by_its_own_name() {
        let error = |text| CitizenId::parse(text).expect_err("refused");
        assert_eq!(error("5.30102E+17"), CitizenIdError::Scientific);
        assert_eq!(error("532901190001010000"), CitizenIdError::Truncated);
        assert_eq!(error("530102190001010018"), CitizenIdError::Checksum);
        assert_eq!(error("53010219000101001"), CitizenIdError::Length);
        assert_eq!(error(""), CitizenIdError::Empty);
    }

    #[test]
    fn debug_prints_no_digit() {
        let (id, _) = CitizenId::parse("530102190001010019").expect("right");
        assert!(!format!("{id:?}").contains(|c: char| c.is_ascii_digit()));
    }
}
