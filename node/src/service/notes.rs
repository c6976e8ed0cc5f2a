//! What the register keeps beside a record of its own and never signs: the person in charge, of
//! whom the statement holds a commitment only, and the remark of an imported row (DESIGN §5).
//!
//! Personal data: encrypted at rest like a profile, never sent to anybody.

use yunling_protocol::cbor::{self, CborError, Fields, MapBuilder};
use yunling_protocol::id::{DossierId, ItemId};
use yunling_protocol::store::{Batch, Key, Put, Read as _, Table};

use super::{Node, Refusal};
use crate::clock::random32;

/// Longest remark kept, bytes; a cell of a sheet is seldom longer than a sentence.
const REMARK_BYTES_MAX: usize = 1_024;
/// Longest name of a person in charge, bytes.
const NAME_BYTES_MAX: usize = 256;
/// Largest encoded note: both texts and their frame.
const NOTE_BYTES_MAX: usize = REMARK_BYTES_MAX + NAME_BYTES_MAX + 32;

/// A note beside one record.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// Person in charge, as given.
    pub in_charge: Option<String>,
    /// Remark of the sheet.
    pub remark: Option<String>,
}

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Note(…)")
    }
}

impl Note {
    /// From what a clerk or a sheet gave; blanks count as nothing.
    pub fn new(in_charge: Option<&str>, remark: Option<&str>) -> Self {
        let kept = |text: Option<&str>, cap: usize| {
            let text = text.map(str::trim).filter(|t| !t.is_empty())?;
            Some(text[..text.floor_char_boundary(cap)].to_owned())
        };
        Self { in_charge: kept(in_charge, NAME_BYTES_MAX), remark: kept(remark, REMARK_BYTES_MAX) }
    }

    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let text = |t: &Option<String>| t.as_ref().map(|t| cbor::text(t.as_str()));
        let map = MapBuilder::new().put(1, cbor::int(1));
        cbor::encode(&map.put_opt(2, text(&self.in_charge)).put_opt(3, text(&self.remark)).build())
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, NOTE_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let note =
            Self { in_charge: f.opt_text(2, NAME_BYTES_MAX)?, remark: f.opt_text(3, REMARK_BYTES_MAX)? };
        f.finish()?;
        Ok(note)
    }
}

fn note_key(dossier: DossierId, item: ItemId) -> Key {
    Key::new(Table::Register, [&dossier.0[..], &item.0].concat())
}

impl Node {
    /// Adds a note to the batch that records its hour; nothing when there is nothing to note.
    pub(crate) fn put_note(&self, batch: &mut Batch, dossier: DossierId, item: ItemId, note: &Note) {
        if *note != Note::default() {
            let key = note_key(dossier, item);
            let sealed = self.vault().seal(&key.key, &note.encode(), random32());
            batch.put.push(Put::Set(key, sealed));
        }
    }

    /// The note beside a record of this office.
    pub fn note(&self, dossier: DossierId, item: ItemId) -> Result<Note, Refusal> {
        let key = note_key(dossier, item);
        let Some(sealed) = self.get(key.table, &key.key)? else { return Ok(Note::default()) };
        let plain = self.vault().unseal(&key.key, &sealed).ok_or_else(|| Refusal::new("secrets-missing"))?;
        Note::decode(&plain).map_err(|e| Refusal::new("store-damaged").with("cause", e))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_note_survives_is_cut_at_a_character_and_prints_nothing() {
        let note = Note::new(Some(" 站长 "), Some(&"备".repeat(400)));
        assert_eq!(note.in_charge.as_deref(), Some("站长"));
        assert_eq!(note.remark.as_ref().unwrap().len(), 1_023);
        assert_eq!(Note::decode(&note.encode()).unwrap(), note);
        assert_eq!(format!("{note:?}"), "Note(…)");
        assert_eq!(Note::new(Some("  "), None), Note::default());
    }
}
