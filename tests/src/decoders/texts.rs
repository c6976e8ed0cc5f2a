//! Texts that people type, paste or carry on paper, and the configuration.

use std::fmt::Display;
use std::path::PathBuf;

use yunling_node::config::Config;
use yunling_node::erasures::Erasure;
use yunling_node::net::relay_address;
use yunling_node::service::records::{parse_moment, parse_volunteer_card};
use yunling_protocol::base45;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::custody::authorisation::{code_text, parse_code};
use yunling_protocol::day::Day;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::id::{ChainHead, DossierId, ItemId, Salt, StatementId, TransferId};
use yunling_protocol::name::{NODE_NAME_BYTES_MAX, NodeName};
use yunling_protocol::statement::Grade;
use yunling_protocol::uscc;

/// What is read must be read again from how it is shown.
fn shown_again<T: Display + PartialEq>(text: &str, read: impl Fn(&str) -> Option<T>) {
    if let Some(value) = read(text) {
        let shown = value.to_string();
        assert!(
            read(&shown).is_some_and(|again| again == value),
            "`{shown}` is not read again as it was shown"
        );
    }
}

/// Bytes as each of the short texts.
pub(super) fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    shown_again(text, |t| DossierId::parse(t).ok());
    shown_again(text, |t| StatementId::parse(t).ok());
    shown_again(text, |t| TransferId::parse(t).ok());
    shown_again(text, |t| ItemId::parse(t).ok());
    shown_again(text, |t| Salt::parse(t).ok());
    shown_again(text, |t| ChainHead::parse(t).ok());
    shown_again(text, Day::parse);
    shown_again(text, |t| parse_moment(t).ok());
    shown_again(text, DivisionCode::parse);
    if let Ok((dossier, code)) = parse_code(text) {
        assert_eq!(parse_code(&code_text(dossier, &code)), Ok((dossier, code)), "the slip is read again");
    }
    if let Ok(name) = NodeName::parse(text) {
        assert!(name.as_str() == text && text.len() <= NODE_NAME_BYTES_MAX, "a name is taken as it stands");
    }
    if let Ok((dossier, node)) = parse_volunteer_card(text) {
        let again = parse_volunteer_card(&format!("{dossier}@{node}")).ok();
        assert_eq!(again, Some((dossier, node)), "the card is read again");
    }
    if let Ok((id, _)) = CitizenId::parse(text) {
        let again = CitizenId::parse(id.expose());
        assert!(
            again.is_ok_and(|(again, repairs)| again == id && !repairs.any()),
            "a repaired number is sound"
        );
        assert_eq!(id.expose().len(), 18, "a number has 18 characters");
        assert!(id.masked() != id.expose(), "a masked number hides something");
        let _ = (id.birth_day(), id.division());
    }
    if let Ok(code) = uscc::parse(text) {
        assert_eq!(uscc::parse(&code).as_ref(), Ok(&code), "a code in its normal form stays");
    }
    if let Ok(decoded) = base45::decode(text) {
        assert_eq!(base45::encode(&decoded), text, "one text for given bytes");
    }
    if let Some(erasure) = Erasure::parse(text) {
        assert_eq!(erasure.to_string(), text, "one line for an erasure");
    }
    if let Some(division) = DivisionCode::parse(text) {
        let _ = division.lookup();
    }
    let _ = (Grade::from_letter(text), relay_address(text));
}

/// Bytes as a configuration.
pub(super) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(config) = Config::parse(PathBuf::from("config.toml"), text) else { return };
    let sound = config.name().is_ok() && config.division().is_ok() && config.kind().is_ok();
    assert!(sound && config.policies().is_ok(), "a configuration that was taken can be used");
    assert!(config.relays().is_ok_and(|relays| relays.len() <= 4), "at most four relays");
    assert!(config.backup.hour < 24 && config.backup.keep > 0, "the schedule is one");
}
