//! Texts, entries, tiles and files of the transparency log.

use yunling_protocol::log::audit::Audit;
use yunling_protocol::log::checkpoint::Checkpoint;
use yunling_protocol::log::entry::{ENTRY_BYTES_MAX, Entry};
use yunling_protocol::log::evidence::Evidence;
use yunling_protocol::log::life::LifeRecord;
use yunling_protocol::log::merkle::Frontier;
use yunling_protocol::log::note::{NOTE_BYTES_MAX, Note, NoteKey};
use yunling_protocol::log::policy::PolicyFile;
use yunling_protocol::log::tile::{Tile, decode_entries, decode_hashes, push_entry};
use yunling_protocol::log::tlog_proof::TlogProof;
use yunling_protocol::log::witness::{AddCheckpoint, Seen};
use yunling_protocol::proof::Receipt;

use super::wrap::key;

/// Bytes as everything of a log that comes from elsewhere: whatever is read is written the same.
pub(super) fn log(bytes: &[u8]) {
    texts(bytes);
    if let Ok(entry) = Entry::decode(bytes) {
        assert!(bytes.len() <= ENTRY_BYTES_MAX, "an entry of {} bytes was taken", bytes.len());
        let written = entry.encode();
        assert!(written.is_none_or(|written| written == bytes), "{entry:?} is written otherwise");
    }
    if let Ok(receipt) = Receipt::parse(bytes) {
        assert_eq!(receipt.encode(), bytes, "a receipt");
    }
    if let Ok(evidence) = Evidence::decode(bytes) {
        assert_eq!(evidence.encode(), bytes, "evidence");
        // Of nobody whose keys are known nothing is proved.
        assert!(evidence.verify(|_, _| Vec::new()).is_err());
        let _ = evidence.verify(|_, role| vec![key(role)]);
    }
    if let Ok(record) = LifeRecord::decode(bytes) {
        assert_eq!(record.encode(), bytes, "a life");
    }
    if let Ok(seen) = Seen::decode(bytes) {
        assert_eq!(seen.encode(), bytes, "what a witness keeps");
    }
    if let Ok(frontier) = Frontier::decode(bytes) {
        assert_eq!(frontier.encode(), bytes, "a right edge");
    }
    if let Ok(mut audit) = Audit::decode(bytes) {
        assert_eq!(audit.encode(), bytes, "an audit");
        let _ = audit.entry(bytes);
    }
    for width in [1, 2, 255, 256] {
        if let Ok(entries) = decode_entries(bytes, width) {
            let mut again = Vec::new();
            assert!(entries.iter().all(|entry| push_entry(&mut again, entry).is_ok()) && again == bytes);
        }
        assert_eq!(decode_hashes(bytes, width).is_ok(), bytes.len() == 32 * usize::from(width));
    }
}

fn texts(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert!(bytes.len() <= NOTE_BYTES_MAX, "a note of {} bytes was taken", bytes.len());
        assert_eq!(note.render().as_bytes(), bytes, "a note");
        if let Ok(checkpoint) = Checkpoint::parse_text(&note.text) {
            assert_eq!(checkpoint.text(), note.text, "a checkpoint");
        }
    }
    if let Ok(proof) = TlogProof::parse(bytes) {
        assert_eq!(proof.render().as_bytes(), bytes, "a tlog-proof");
    }
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        let body = AddCheckpoint::body(request.old_size, &request.proof, &request.note.render());
        assert_eq!(body.as_bytes(), bytes, "a request to a witness");
    }
    if let Ok(policy) = PolicyFile::parse(bytes) {
        assert!(policy.satisfied(|_, _| true), "all witnesses are always enough");
        let _ = policy.verify(bytes, &[]);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(tile) = Tile::parse(text) {
        assert_eq!(tile.to_string(), text, "a path");
    }
    if let Ok(key) = NoteKey::parse(text) {
        assert_eq!(key.vkey(), text, "a verifier key");
    }
}
