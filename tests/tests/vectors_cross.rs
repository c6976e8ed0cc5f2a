//! Our objects under independent implementations: envelopes read by `coset` and checked with the
//! bare Ed25519 library, proofs read by the reference reader of Claim 169, and their QR codes made
//! by one library and read back by another. The golden bytes of the protocol crate are the input.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use claim169_core::{CryptoError, CryptoResult, Decoder, SignatureVerifier};
use coset::cbor::value::Value as Cbor;
use coset::{CoseSign, CoseSign1, Label, RegisteredLabelWithPrivate, TaggedCborSerializable as _, iana};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use fast_qr::{ECL, QRBuilder};
use yunling_protocol::base45;
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::key::{ALG_ED25519, ALG_EDDSA, Role, SoftSigner};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::{Amount, Claims, PREFIX, issue, issue_with_alg};
use yunling_tests::hex;

/// Lines `name value` of the protocol crate's golden bytes, made with the seeds of [`public`].
const GOLDEN: &str = include_str!("../../protocol/tests/golden/bytes.txt");

fn golden() -> BTreeMap<&'static str, &'static str> {
    GOLDEN.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect()
}

/// Public key of the golden signer of a role, computed without our own key code.
fn public(role: Role) -> VerifyingKey {
    SigningKey::from_bytes(&[role as u8; 32]).verifying_key()
}

/// Checks an envelope as a stranger would: its tag, its alg, an empty unprotected map, and the
/// signature over what the other library says is signed.
fn check_as_a_stranger(bytes: &[u8], role: Role, aad: &[u8]) -> CoseSign1 {
    let read = CoseSign1::from_tagged_slice(bytes).unwrap();
    assert!(read.unprotected.is_empty());
    let alg = RegisteredLabelWithPrivate::Assigned(iana::Algorithm::Ed25519);
    assert_eq!(read.protected.header.alg, Some(alg), "alg -19");
    assert_eq!(read.protected.header.key_id.len(), 8);
    read.verify_signature(aad, |signature, message| {
        public(role).verify_strict(message, &Signature::from_slice(signature).unwrap())
    })
    .unwrap();
    assert_eq!(read.clone().to_tagged_vec().unwrap(), bytes, "encoding it again gives other bytes");
    read
}

fn typ(read: &CoseSign1) -> &Cbor {
    let rest = &read.protected.header.rest;
    &rest.iter().find(|(label, _)| *label == Label::Int(16)).unwrap().1
}

#[test]
fn every_statement_card_and_message_is_sound_to_another_cose_library() {
    let mut seen = 0;
    for (name, value) in golden() {
        let kind = match name.split_once('-') {
            None if name == "card" => "card",
            Some(("statement", rest)) => rest.trim_end_matches("-least").trim_end_matches("-held"),
            Some(("message", _)) => "message",
            _ => continue,
        };
        let word = format!("yunling/{}", kind.trim_end_matches("-trial"));
        let aad = format!("{word}/1");
        let read = check_as_a_stranger(&hex(value), Role::Statement, aad.as_bytes());
        assert_eq!(typ(&read).as_text(), Some(word.as_str()), "{name}");
        // The payload is one map with integer keys, for the other library too.
        let payload = read.payload.unwrap();
        let map: Cbor = coset::cbor::from_reader(payload.as_slice()).unwrap();
        assert!(map.into_map().unwrap().iter().all(|(key, _)| key.is_integer()), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 22 + 1 + 18, "golden envelopes");
}

#[test]
fn every_golden_roster_is_sound_to_another_cose_library() {
    let golden = golden();
    for name in ["roster-first", "roster-full"] {
        let bytes = hex(golden[name]);
        let read = CoseSign::from_tagged_slice(&bytes).unwrap();
        assert!(read.unprotected.is_empty());
        let typ = read.protected.header.rest.iter().find(|(label, _)| *label == Label::Int(16)).unwrap();
        assert_eq!(typ.1.as_text(), Some("yunling/roster"));
        assert_eq!(read.signatures.len(), 2, "{name}: two stewards have signed");
        // The seeds of the golden stewards; which of them signed which is found by trying.
        let stewards: Vec<VerifyingKey> =
            (1..=3).map(|n| SigningKey::from_bytes(&[0xa0 + n; 32]).verifying_key()).collect();
        let mut signers = BTreeSet::new();
        for which in 0..read.signatures.len() {
            let good = stewards.iter().position(|key| {
                let verify = |signature: &[u8], message: &[u8]| {
                    key.verify_strict(message, &Signature::from_slice(signature).unwrap())
                };
                read.verify_signature(which, b"yunling/roster/1", verify).is_ok()
            });
            signers.insert(good.unwrap());
        }
        assert_eq!(signers, BTreeSet::from([0, 1]), "{name}");
        assert_eq!(read.to_tagged_vec().unwrap(), bytes, "encoding it again gives other bytes");
    }
    let change = check_as_a_stranger(&hex(golden["key-change"]), Role::Recovery, b"yunling/key-change/1");
    assert_eq!(typ(&change).as_text(), Some("yunling/key-change"));
}

#[test]
fn every_golden_proof_is_sound_to_another_cose_library() {
    let mut seen = 0;
    for (name, text) in golden().into_iter().filter(|(name, _)| name.starts_with("proof-")) {
        let token = base45::decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
        let read = check_as_a_stranger(&token, Role::Proof, &[]);
        assert_eq!(typ(&read).as_integer(), Some(61.into()), "{name}: application/cwt");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

fn claims() -> Claims {
    Claims {
        issuer: NodeName::parse("vol.yn.cn/532900").unwrap(),
        subject: [0xf0; 16],
        issued: UnixTime(1_795_000_000),
        expires: UnixTime(1_826_536_000),
        full_name: Some("试样甲乙丙".into()),
        amount: Amount::AtLeast(Minutes(18_000)),
        days: Some((Day(19_358), Day(20_780))),
        epoch: 2,
        recorders: vec![],
        number: None,
        trial: false,
        status: None,
    }
}

/// Ed25519 for the Claim 169 reader; it records which algorithm the token named.
struct Strict(VerifyingKey);

impl SignatureVerifier for Strict {
    fn verify(
        &self,
        algorithm: iana::Algorithm,
        key_id: Option<&[u8]>,
        data: &[u8],
        signature: &[u8],
    ) -> CryptoResult<()> {
        assert_eq!((algorithm, key_id.map(<[u8]>::len)), (iana::Algorithm::EdDSA, Some(8)));
        let signature = Signature::from_slice(signature).map_err(|_| CryptoError::VerificationFailed)?;
        self.0.verify_strict(data, &signature).map_err(|_| CryptoError::VerificationFailed)
    }
}

#[test]
fn a_proof_under_alg_8_is_read_by_the_claim_169_reference_reader() {
    let signer = SoftSigner::from_seed(&[Role::Proof as u8; 32]);
    let text = issue_with_alg(&signer, ALG_EDDSA, &claims()).unwrap();
    let body = text.strip_prefix(PREFIX).unwrap();
    let decode = |body: &str, role| {
        Decoder::new(body).verify_with(Strict(public(role))).without_timestamp_validation().decode()
    };
    let read = decode(body, Role::Proof).unwrap();
    assert_eq!(read.claim169.full_name.as_deref(), Some("试样甲乙丙"));
    assert_eq!(read.cwt_meta.issuer.as_deref(), Some("vol.yn.cn/532900"));
    assert_eq!(
        (read.cwt_meta.issued_at, read.cwt_meta.expires_at),
        (Some(1_795_000_000), Some(1_826_536_000))
    );
    assert!(decode(body, Role::Statement).is_err(), "another key verifies it");
    let mut changed = base45::decode(body).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    assert!(decode(&base45::encode(&changed), Role::Proof).is_err(), "a changed signature verifies");
}

#[test]
fn a_proof_printed_as_qr_is_read_back_by_another_library() {
    let signer = SoftSigner::from_seed(&[Role::Proof as u8; 32]);
    let with_alg = |alg| issue_with_alg(&signer, alg, &claims()).unwrap();
    let mut texts = vec![with_alg(ALG_ED25519), with_alg(ALG_EDDSA)];
    texts.extend(
        golden().into_iter().filter(|(name, _)| name.starts_with("proof-")).map(|(_, t)| t.to_owned()),
    );
    assert_eq!(texts[0], issue(&signer, &claims()).unwrap());
    for text in texts {
        let code = QRBuilder::new(text.as_str()).ecl(ECL::M).build().unwrap();
        // Four light modules around it and four pixels a module, as on paper.
        let (quiet, scale) = (4, 4);
        let side = (code.size + 2 * quiet) * scale;
        let dark = |at: usize| (at / scale).checked_sub(quiet).filter(|module| *module < code.size);
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| {
            let module = dark(y).zip(dark(x));
            if module.is_some_and(|(row, column)| code[row][column].value()) { 0 } else { 255 }
        });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        let (meta, read) = grids[0].decode().unwrap();
        assert_eq!(read, text);
        println!("{} characters: version {}, {} modules a side", text.len(), meta.version.0, code.size);
        assert!(meta.version.0 <= 16, "a printed certificate has room for version 16 at most");
    }
}

/// All characters of the alphanumeric mode: a lower-case letter would make the code a third larger.
#[test]
fn proof_texts_hold_only_characters_of_the_qr_alphanumeric_mode() {
    for (name, text) in golden().into_iter().filter(|(name, _)| name.starts_with("proof-")) {
        let alphanumeric = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase() || " $%*+-./:".contains(c);
        assert!(text.chars().all(alphanumeric), "{name}");
    }
}
