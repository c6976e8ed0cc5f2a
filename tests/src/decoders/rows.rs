//! Rows of the store: written by this node, read back from a disk or a backup that somebody touched.

use yunling_node::person::Person;
use yunling_node::service::notes::Note;
use yunling_node::service::peers::PeerRecord;
use yunling_protocol::cbor::CborError;
use yunling_protocol::custody::Transfer;
use yunling_protocol::custody::authorisation::CodeRecord;
use yunling_protocol::ledger::HeadRecord;
use yunling_protocol::office::OutboxEntry;
use yunling_protocol::proof::rows::{OwnList, Record, list_key};
use yunling_protocol::recovery::fence::{Fence, decode_life, encode_life};

fn same<T>(bytes: &[u8], read: Result<T, CborError>, encode: impl Fn(&T) -> Vec<u8>) {
    if let Ok(row) = read {
        assert_eq!(encode(&row), bytes, "what is read is what is written");
    }
}

/// Bytes as each kind of row; the kinds are told apart by the table they lie in, so every kind must
/// bear the bytes of every other.
pub(super) fn row(bytes: &[u8]) {
    same(bytes, Fence::decode(bytes), Fence::encode);
    same(bytes, HeadRecord::decode(bytes), HeadRecord::encode);
    same(bytes, Transfer::decode(bytes), Transfer::encode);
    same(bytes, CodeRecord::decode(bytes), CodeRecord::encode);
    same(bytes, OutboxEntry::decode(bytes), OutboxEntry::encode);
    same(bytes, PeerRecord::decode(bytes), PeerRecord::encode);
    same(bytes, Note::decode(bytes), Note::encode);
    same(bytes, OwnList::decode(&list_key(7).key, bytes), OwnList::encode);
    if let Ok(Some(record)) = Record::decode(bytes) {
        assert_eq!(record.encode(), bytes, "what is read is what is written");
    }
    if let Some(life) = decode_life(bytes) {
        assert_eq!(encode_life(life), bytes, "what is read is what is written");
    }
    if let Ok(fence) = Fence::decode(bytes) {
        let mut peers = fence.heard.clone();
        peers.sort();
        peers.dedup();
        assert_eq!(peers.len(), fence.heard.len(), "a peer counts once");
    }
    if let Ok(person) = Person::decode(bytes) {
        // The number is written in its normal form, whatever form it was read in.
        let again = Person::decode(&person.encode());
        assert!(again.is_ok_and(|again| again == person), "a person written again is the same");
        assert!(format!("{person:?}") == "Person(…)", "a person prints nothing");
        person.masked_name();
    }
}
