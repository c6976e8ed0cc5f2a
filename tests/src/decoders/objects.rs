//! Signed objects and what carries them between nodes.

use yunling_protocol::base45;
use yunling_protocol::bundle::Bundle;
use yunling_protocol::card::{CARD_BYTES_MAX, SignedCard};
use yunling_protocol::cbor::{self, Value};
use yunling_protocol::cose::sign::Sign;
use yunling_protocol::cose::{Typ, sign1};
use yunling_protocol::dossier::Dossier;
use yunling_protocol::id::DossierId;
use yunling_protocol::key::Role;
use yunling_protocol::log::Checkpoint;
use yunling_protocol::log::evidence::Evidence;
use yunling_protocol::log::tlog_proof::TlogProof;
use yunling_protocol::log::witness::AddCheckpoint;
use yunling_protocol::message::wire::{ANSWER_BYTES_MAX, FRAME_BYTES_MAX};
use yunling_protocol::message::{Answer, Content, Frame, MESSAGE_BYTES_MAX, Message};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::pairing::Half;
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::proof::{self, CWT, PREFIX, TEXT_CHARS_MAX, Verified};
use yunling_protocol::roster::key_change::KeyChange;
use yunling_protocol::roster::{
    Adoption, Chain, ROSTER_BYTES_MAX, RosterNode, STEPS_MAX, SignedRoster, diff, read_chain,
};
use yunling_protocol::statement::{Body, STATEMENT_BYTES_MAX, Statement, id_of, typ_word};
use yunling_protocol::status::foreign::FOREIGN_BYTES_MAX;
use yunling_protocol::status::token::TOKEN_BYTES_MAX;
use yunling_protocol::status::{self, ForeignToken, StatusToken};
use yunling_protocol::trust_pack::{PACK_BYTES_MAX, TrustPack};

use super::wrap::{NOW, key, known_card, map, payload, signer, trust, wrapped};

/// Most bytes of a bundle looked at; a real one has a few MiB, and the parts are what matters.
const BUNDLE_BYTES_MAX: usize = 1024 * 1024;

fn signed<T>(result: Result<T, yunling_protocol::key::SignError>) -> T {
    result.unwrap_or_else(|e| panic!("a key in memory signs: {e}"))
}

/// Bytes as a statement, and as the payload of one that the known node signed.
pub(super) fn statement(bytes: &[u8]) {
    read_statement(bytes);
    if let Some(fields) = map(bytes)
        && let Some(Value::Integer(kind)) = fields.get(&Value::Integer(1))
        && let Ok(kind) = u64::try_from(*kind)
    {
        let made = wrapped(&typ_word(kind), bytes);
        if let Some(read) = read_statement(&made) {
            let key = key(Role::Statement);
            let by = read.verify([&key]);
            assert!(by.is_ok(), "a statement that was read and signed verifies: {by:?}");
        }
    }
}

fn read_statement(bytes: &[u8]) -> Option<Statement> {
    let read = Statement::parse(bytes).ok()?;
    assert!(bytes.len() <= STATEMENT_BYTES_MAX, "a statement of {} bytes was taken", bytes.len());
    assert_eq!(read.bytes(), bytes, "the bytes are kept");
    assert_eq!(read.id, id_of(bytes), "the id is over the bytes");
    // The fields of a newer kind are not known here, so only known ones can be written again.
    if !matches!(read.body, Body::Unknown { .. }) {
        let again = signed(Statement::sign(&signer(Role::Statement), &read.common, &read.body));
        assert_eq!(payload(again.bytes()), payload(bytes), "what is read is what is written");
    }
    Some(read)
}

/// Bytes as a message, and as the payload of one that the known node signed.
pub(super) fn message(bytes: &[u8]) {
    read_message(bytes);
    if map(bytes).is_some() {
        read_message(&wrapped("yunling/message", bytes));
    }
}

fn read_message(bytes: &[u8]) {
    let Ok(read) = Message::parse_own(bytes) else { return };
    assert!(bytes.len() <= MESSAGE_BYTES_MAX, "a message of {} bytes was taken", bytes.len());
    let again = signed(read.sign(&signer(Role::Statement)));
    assert_eq!(payload(&again), payload(bytes), "what is read is what is written");
    let opened = Message::open(bytes, &read.to, trust(), read.trial, NOW);
    assert!(opened.is_err() || opened == Ok(read.clone()), "opening reads the same message");
    match &read.content {
        Content::Deliver { statement } | Content::Release { seal: statement, .. } => {
            read_statement(statement);
        }
        Content::Known { items, .. } => {
            for item in items {
                read_statement(item);
            }
        }
        _ => {}
    }
}

/// Bytes as a card, as its text form (an invitation), and as a payload that the known node signed.
pub(super) fn card(bytes: &[u8]) {
    if let Ok(card) = SignedCard::parse(bytes) {
        check_card(&card);
    }
    if let Some(card) = std::str::from_utf8(bytes).ok().and_then(|text| SignedCard::from_text(text).ok()) {
        check_card(&card);
    }
    if map(bytes).is_some()
        && let Ok(card) = SignedCard::parse(&wrapped("yunling/card", bytes))
    {
        assert_eq!(payload(card.bytes()), bytes, "the payload is kept");
        check_card(&card);
    }
}

fn check_card(read: &SignedCard) {
    assert!(read.bytes().len() <= CARD_BYTES_MAX, "a card over its cap was taken");
    assert_eq!(SignedCard::from_text(&read.to_text()).as_ref(), Ok(read), "the text form leads back");
    let again = signed(read.card.sign(&signer(Role::Statement)));
    assert_eq!(payload(again.bytes()), payload(read.bytes()), "what is read is what is written");
    assert_eq!(read.fingerprint().len(), 39, "eight groups of four digits");
    for role in Role::ALL {
        assert!(read.card.keys_of(role).next().is_some(), "a card without a {} key", role.word());
    }
}

/// Bytes as a version of a roster, as a file of versions, as the payload of a version, and as a request
/// to change keys.
pub(super) fn roster(bytes: &[u8]) {
    check_roster(bytes);
    if let Ok(versions) = read_chain(bytes) {
        assert!(versions.len() <= STEPS_MAX, "a file of {} versions was taken", versions.len());
        if let [version] = versions.as_slice()
            && version == bytes
        {
            // One version is a file too.
        } else {
            let array = [cbor::text("yunling/rosters/1")].into_iter();
            let array = array.chain(versions.iter().map(|v| cbor::bytes(v.as_slice()))).collect();
            assert_eq!(cbor::encode(&Value::Array(array)), bytes, "what is read is what is written");
        }
        for version in versions.iter().take(4) {
            check_roster(version);
        }
    }
    if map(bytes).is_some() {
        let made = Sign::unsigned("yunling/roster", bytes.to_vec()).encode();
        check_roster(&made);
        let change = signed(sign1(
            &signer(Role::Recovery),
            &Typ::Text("yunling/key-change".into()),
            b"yunling/key-change/1",
            bytes,
        ));
        let member = RosterNode::joining(known_card().clone(), NOW);
        if let Ok(change) = KeyChange::open(&change, &member, NOW) {
            let again = signed(change.sign(&signer(Role::Recovery)));
            assert_eq!(payload(&again), bytes, "what is read is what is written");
        }
    }
}

fn check_roster(bytes: &[u8]) {
    let Ok(read) = SignedRoster::parse(bytes) else { return };
    assert!(bytes.len() <= ROSTER_BYTES_MAX, "a roster of {} bytes was taken", bytes.len());
    assert_eq!(read.bytes(), bytes, "the bytes are kept");
    let again =
        SignedRoster::draft(read.roster()).unwrap_or_else(|e| panic!("what is read is a roster: {e}"));
    assert_eq!(
        (again.roster(), again.hash()),
        (read.roster(), read.hash()),
        "what is read is what is written"
    );
    assert_eq!(read.roster().fingerprint().len(), 39, "eight groups of four digits");
    assert!(diff(read.roster(), read.roster()).is_empty(), "nothing differs from itself");
    let pin = read.roster().fingerprint();
    if let Ok(mut chain) = Chain::begin(read.clone(), &pin, read.roster().trial, NOW) {
        assert_eq!(chain.adopt(read, NOW), Ok(Adoption::Known), "a version again changes nothing");
    }
}

/// Bytes as the text of a proof, as the token in it, and as claims that the known node signed.
pub(super) fn proof(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_proof(text);
    }
    check_proof(&format!("{PREFIX}{}", base45::encode(bytes)));
    if map(bytes).is_some() {
        let token = signed(sign1(&signer(Role::Proof), &Typ::Number(CWT), &[], bytes));
        check_proof(&format!("{PREFIX}{}", base45::encode(&token)));
    }
}

fn check_proof(text: &str) {
    let read = proof::verify(text, trust(), NOW);
    let Some(claims) = &read.claims else { return };
    if let Ok(receipts) = proof::receipts_of(text)
        && let Ok(again) = proof::with_receipts(text, &receipts)
    {
        // Packed or not, the receipts that were read are those that are written.
        assert_eq!(proof::receipts_of(&again).as_ref(), Ok(&receipts), "receipts");
        assert_eq!(proof::logged_id(&again), proof::logged_id(text), "the id in the log");
        assert_eq!(read.logged.is_some(), !receipts.is_empty(), "a receipt is never ignored");
    }
    assert!(text.trim().len() <= TEXT_CHARS_MAX, "a proof of {} characters was taken", text.len());
    // Claims that a newer version added may be left out; all that was understood comes back.
    let again = signed(proof::issue(&signer(Role::Proof), claims));
    let read_again = proof::verify(&again, trust(), NOW);
    let expected =
        Verified { why: read.why, claims: read.claims.clone(), status: None, logged: None, roster: None };
    assert_eq!(read_again, expected, "what is read is what is written");
}

/// Bytes as a request frame and as an answer frame.
pub(super) fn frame(bytes: &[u8]) {
    if let Ok(frame) = Frame::decode(bytes) {
        assert!(bytes.len() <= FRAME_BYTES_MAX, "a frame of {} bytes was taken", bytes.len());
        assert_eq!(frame.encode(), bytes, "what is read is what is written");
        match &frame {
            Frame::Message(message) => read_message(message),
            Frame::Hello(hello) => card(&hello.card),
            Frame::Changes { .. }
            | Frame::LogFile { .. }
            | Frame::Roster { .. }
            | Frame::Status(_)
            | Frame::Inclusions(_)
            | Frame::Evidence(_) => {}
            Frame::Checkpoint(note) => drop(Checkpoint::parse(note)),
            Frame::AddCheckpoint(body) => drop(AddCheckpoint::parse(body)),
            Frame::Pairing(shown) => {
                card(&shown.card);
                if let Ok(card) = SignedCard::parse(&shown.card)
                    && let Ok(half) = Half::open(&shown.mine, &card, &card)
                {
                    assert_eq!((&half.by, &half.with), (&card.card.name, &card.card.name));
                }
            }
        }
    }
    if let Ok(answer) = Answer::decode(bytes) {
        assert!(bytes.len() <= ANSWER_BYTES_MAX, "an answer of {} bytes was taken", bytes.len());
        assert_eq!(answer.encode(), bytes, "what is read is what is written");
        match &answer {
            Answer::Hello(hello) => card(&hello.card),
            Answer::Roster(versions) => versions.iter().take(4).for_each(|version| check_roster(version)),
            Answer::Inclusions(proofs) => proofs.iter().for_each(|proof| drop(TlogProof::parse(proof))),
            Answer::Evidence(file) => drop(Evidence::decode(file)),
            Answer::Status(told) => told.tokens.iter().for_each(|token| status_list(token)),
            _ => {}
        }
    }
}

/// Bytes as a status list token of ours and of others, and as claims that the known node signed.
pub(super) fn status_list(bytes: &[u8]) {
    if let Ok(token) = ForeignToken::parse(bytes) {
        assert!(bytes.len() <= FOREIGN_BYTES_MAX, "a foreign list of {} bytes was taken", bytes.len());
        assert!(token.list.number(token.list.len()).is_err(), "a list ends");
    }
    read_status_list(bytes);
    if map(bytes).is_some() {
        let typ = Typ::Text(status::TYP.to_owned());
        let token = signed(sign1(&signer(Role::Status), &typ, &[], bytes));
        if let Some(read) = read_status_list(&token) {
            let key = key(Role::Status);
            assert!(read.verify([&key]).is_ok(), "a list that was read and signed verifies");
        }
    }
}

fn read_status_list(bytes: &[u8]) -> Option<StatusToken> {
    let read = StatusToken::parse(bytes).ok()?;
    assert!(bytes.len() <= TOKEN_BYTES_MAX, "a list of {} bytes was taken", bytes.len());
    assert_eq!(read.bytes(), bytes, "the bytes are kept");
    assert_eq!(read.list().len(), u64::from(status::ENTRIES), "our lists have one length");
    // The zlib stream of others may be another one; the list in it is the same.
    let again = signed(status::token::sign(&signer(Role::Status), &read.heading, read.list()));
    let again = StatusToken::parse(&again).unwrap_or_else(|e| panic!("a list made here is read: {e}"));
    assert_eq!(
        (&again.heading, again.list()),
        (&read.heading, read.list()),
        "what is read is what is written"
    );
    Some(read)
}

/// Bytes as a trust pack.
pub(super) fn trust_pack(bytes: &[u8]) {
    let Ok(pack) = TrustPack::decode(bytes) else { return };
    assert!(bytes.len() <= PACK_BYTES_MAX, "a pack of {} bytes was taken", bytes.len());
    assert_eq!(pack.encode(), bytes, "what is read is what is written");
    for token in pack.tokens().flatten() {
        read_status_list(token.bytes());
    }
    for read in pack.signed_cards().flatten() {
        check_card(&read);
    }
}

/// Bytes as they come from a connection, before anything knows what is in them.
pub(super) fn request(bytes: &[u8]) {
    let Ok((kind, body)) = yunling_node::net::read_request_bytes(bytes) else { return };
    assert!(body.len() <= FRAME_BYTES_MAX, "a request of {} bytes was taken", body.len());
    let again = [&[kind][..], &(body.len() as u32).to_be_bytes(), &body].concat();
    assert_eq!(again, bytes, "what is read is what is written");
}

/// Bytes as an exported dossier: every statement is read, and those that fit are folded. The fold is
/// what a copy from another office goes through; no statement may break the sums.
pub(super) fn bundle(bytes: &[u8]) {
    if let Ok(read) = Bundle::decode(bytes) {
        assert_eq!(read.encode(), bytes, "what is read is what is written");
        if let Some(own) = &read.own {
            assert_eq!(own.key.dossier_id(), read.dossier, "the key is the dossier's");
            read_statement(&own.receipt);
        }
    }
    let Ok(Value::Array(parts)) = cbor::decode(bytes, BUNDLE_BYTES_MAX) else { return };
    let [Value::Text(word), Value::Integer(1), Value::Bytes(id), Value::Bytes(_), Value::Array(items)] =
        parts.as_slice()
    else {
        return;
    };
    let (true, Ok(id)) = (word == "yunling/bundle", <[u8; 16]>::try_from(id.as_slice())) else { return };
    let mut dossier = Dossier::new(DossierId(id));
    for item in items {
        let Value::Bytes(item) = item else { return };
        let Some(statement) = read_statement(item) else { continue };
        let before = dossier.clone();
        match dossier.apply(&statement, &YUNNAN) {
            Ok(sequence) => assert_eq!(dossier.length(), sequence + 1, "one longer"),
            Err(_) => assert_eq!(dossier, before, "a statement that does not fit changes nothing"),
        }
        check_sums(&dossier);
    }
}

fn check_sums(dossier: &Dossier) {
    let totals = dossier.totals(&YUNNAN);
    let sum = |parts: Vec<Minutes>| Minutes::checked_sum(parts);
    assert_eq!(sum(vec![totals.counted, totals.disputed]), Some(totals.stated), "nothing is dropped");
    let split = [
        sum(totals.by_year.values().copied().collect()),
        sum(totals.by_issuer.values().copied().collect()),
        sum(totals.by_recorder.values().copied().collect()),
    ];
    assert_eq!(split, [Some(totals.counted); 3], "each way of splitting gives the whole");
    assert!(totals.balance <= totals.counted, "nobody spends more than was counted");
    assert!(totals.stars_due <= 5 && totals.stars_awarded <= 5, "there are five stars");
}
