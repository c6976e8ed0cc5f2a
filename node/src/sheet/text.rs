//! Texts as people type them: blanks, full-width forms, and words that look like formulas.

use yunling_protocol::citizen_id::{CitizenId, half_width};

/// White space of any width and the invisible marks that come with copied text.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}')
}

/// Without blanks at both ends, and whether there were any.
pub(super) fn trimmed(text: &str) -> (&str, bool) {
    let inner = text.trim_matches(is_blank);
    (inner, inner.len() != text.len())
}

/// Full-width digits and signs made ASCII; Chinese letters stay.
pub(super) fn narrow(text: &str) -> String {
    text.chars().map(half_width).collect()
}

/// For comparing headers and code words: no blanks, ASCII forms, no stars and closing colons.
pub(super) fn compact(text: &str) -> String {
    let plain: String = text.chars().map(half_width).filter(|c| !is_blank(*c) && *c != '*').collect();
    plain.trim_end_matches(':').to_owned()
}

/// Whether a spreadsheet would take the text for a formula.
pub(super) fn looks_like_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@'])
}

/// A name with its dots made one and its blanks gone, for comparison only (P19).
pub(crate) fn comparable_name(name: &str) -> String {
    const DOTS: [char; 8] = ['·', '•', '・', '．', '‧', '∙', '⋅', '.'];
    name.chars().filter(|c| !is_blank(*c)).map(|c| if DOTS.contains(&c) { '·' } else { c }).collect()
}

/// Hides identity and mobile numbers in a text that would go into a statement for ever (DESIGN §5);
/// `None` when there is none.
pub(super) fn without_private_numbers(text: &str) -> Option<String> {
    let plain: Vec<char> = text.chars().map(half_width).collect();
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, 'x' | 'X');
    let mut out: Vec<char> = text.chars().collect();
    let mut found = false;
    let mut at = 0;
    while at < plain.len() {
        let length = plain[at..].iter().take_while(|c| is_part(**c)).count();
        let run: String = plain[at..at + length].iter().collect();
        if is_mobile(&run) || (length == 18 && CitizenId::parse(&run).is_ok()) {
            out[at..at + length].fill('*');
            found = true;
        }
        at += length.max(1);
    }
    found.then(|| out.into_iter().collect())
}

fn is_mobile(run: &str) -> bool {
    let digits = run.as_bytes();
    digits.len() == 11
        && digits[0] == b'1'
        && matches!(digits[1], b'3'..=b'9')
        && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_numbers_are_hidden_in_texts() {
        let hidden = |text| without_private_numbers(text);
        assert_eq!(hidden("找 53290119000101019x 领取").as_deref(), Some("找 ****************** 领取"));
        assert_eq!(hidden("电话13800000000").as_deref(), Some("电话***********"));
        for text in ["第18条", "51530100MJ000000X8", "530102190001010011", "2025010412000", ""] {
            assert_eq!(hidden(text), None, "{text}");
        }
    }

    #[test]
    fn headers_are_compared_without_decoration() {
        assert_eq!(compact(" *姓 名：\n"), "姓名");
        assert_eq!(compact("服务时长（小时）"), "服务时长(小时)");
    }

    #[test]
    fn dots_of_a_name_are_one_for_comparison_only_p19() {
        for name in ["岩温·罕", "岩温•罕", "岩温・罕", "岩温．罕", "岩温 ·罕"] {
            assert_eq!(comparable_name(name), "岩温·罕");
        }
        assert_ne!(comparable_name("岩温罕"), "岩温·罕");
    }
}
