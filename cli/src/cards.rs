//! Node cards in texts that people send each other: an invitation, an e-mail, a file of several.

use yunling_protocol::card::{CARD_BYTES_MAX, CARD_PREFIX, CardError, SignedCard};

use crate::failure::Failure;

/// Largest text searched for cards: a roster's worth of them.
pub(crate) const TEXT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Most lines one card may be broken into: mail programs break at 76 characters or less.
const LINES_MAX: usize = CARD_BYTES_MAX * 4 / 3 / 40;

/// Every card in a text, in order; an error when there is none, or one cannot be read.
pub(crate) fn cards_in(text: &str) -> Result<Vec<SignedCard>, Failure> {
    let mut out = Vec::new();
    for (at, _) in text.match_indices(CARD_PREFIX) {
        out.push(card_at(&text[at..])?);
    }
    if out.is_empty() { Err(CardError::Text.into()) } else { Ok(out) }
}

/// Exactly one card.
pub(crate) fn one_card(text: &str) -> Result<SignedCard, Failure> {
    let mut cards = cards_in(text)?;
    match (cards.pop(), cards.len()) {
        (Some(card), 0) => Ok(card),
        (_, more) => Err(Failure::new("card-several").with("count", more + 1)),
    }
}

/// The card that begins here: its first line, or with the lines after it when it was broken. Its
/// signature says where it ends.
fn card_at(text: &str) -> Result<SignedCard, Failure> {
    let mut first_error = None;
    let mut candidate = String::new();
    for line in text.lines().take(LINES_MAX) {
        let line = line.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':');
        // What stands behind the card on its line is not of it.
        let word = line.split(|c: char| !plain(c)).next().unwrap_or_default();
        if word.is_empty() {
            break;
        }
        candidate.push_str(word);
        match SignedCard::from_text(&candidate) {
            Ok(card) => return Ok(card),
            Err(error) => _ = first_error.get_or_insert(error),
        }
        if word.len() < line.len() {
            break;
        }
    }
    Err(first_error.unwrap_or(CardError::Text).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use yunling_node::home::Home;

    #[test]
    fn a_card_is_found_in_an_invitation_and_in_lines_broken_by_mail() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::init(&folder.path().join("h"), "dali", "532900", true).unwrap();
        let card = home.card(vec!["/ip4/127.0.0.1/tcp/1".into()]).unwrap();
        let text = card.to_text();
        assert_eq!(one_card(&format!("请接收\n\n{text}\nThanks\n")).unwrap(), card);
        let broken: Vec<_> = text.as_bytes().chunks(72).map(|c| std::str::from_utf8(c).unwrap()).collect();
        assert_eq!(one_card(&format!("Hello\r\n{}\r\nRegards\r\n", broken.join("\r\n"))).unwrap(), card);
        assert_eq!(cards_in(&format!("{text}\n{text}\n")).unwrap().len(), 2);
        assert_eq!(one_card(&format!("{text}\n{text}\n")).unwrap_err().code, "card-several");
        assert_eq!(one_card("nothing").unwrap_err().code, "card-text");
        let end = text.len() - 4;
        assert!(one_card(&text[..end]).is_err());
    }
}
