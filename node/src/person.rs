//! A volunteer's personal data: kept encrypted beside the dossier, never in statements or logs.

use yunling_protocol::cbor::{self, CborError, Fields, MapBuilder};
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::message::PROFILE_BYTES_MAX;

/// Longest name or contact in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// Who a dossier is about.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Name as given; dots as typed.
    pub name: String,
    /// Identity number, when registered with one.
    pub citizen_id: Option<CitizenId>,
    /// Contact.
    pub contact: Option<String>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person(…)")
    }
}

impl Person {
    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::text(self.name.as_str()))
            .put_opt(3, self.citizen_id.as_ref().map(|c| cbor::text(c.expose())))
            .put_opt(4, self.contact.as_ref().map(|c| cbor::text(c.as_str())));
        cbor::encode(&map.build())
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, PROFILE_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let name = f.text(2, TEXT_BYTES_MAX)?;
        let number = f.opt_text(3, 18)?;
        let citizen_id =
            number.map(|n| CitizenId::parse(&n).map(|(id, _)| id).map_err(|_| CborError::WrongType(3)));
        let person =
            Self { name, citizen_id: citizen_id.transpose()?, contact: f.opt_text(4, TEXT_BYTES_MAX)? };
        f.finish()?;
        Ok(person)
    }

    /// First character and stars, for lists that others may see.
    pub fn masked_name(&self) -> String {
        let mut chars = self.name.chars();
        let first = chars.next().map(String::from).unwrap_or_default();
        format!("{first}{}", "*".repeat(chars.count().min(4)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_person_survives_and_prints_nothing() {
        let (id, _) = CitizenId::parse("530102190001010019").unwrap();
        let person = Person { name: "岩温·罕".into(), citizen_id: Some(id), contact: None };
        assert_eq!(Person::decode(&person.encode()).unwrap(), person);
        assert_eq!(format!("{person:?}"), "Person(…)");
        assert_eq!(person.masked_name(), "岩***");
    }
}
