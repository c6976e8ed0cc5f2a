//! The Token Status List vectors of the draft (`../shared/vectors/status-list`): every place of every
//! list, both claims, both signatures.
//!
//! Not applicable: the JSON form (`json.lst`) is the same zlib stream in base64url for JWTs, which we
//! do not read; it is decoded here only to see that both forms hold one stream.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use yunling_protocol::cbor::{Value, decode, decode_foreign};
use yunling_protocol::day::UnixTime;
use yunling_protocol::status::foreign::Envelope;
use yunling_protocol::status::{ForeignToken, Packed, StatusList, StatusRef, StatusToken};

/// A file of vectors, read as the value model that is at hand here: JSON objects become text maps.
fn vectors(file: &str) -> Option<serde_json::Value> {
    let folder = std::env::var_os("YUNLING_SHARED").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    match std::fs::read_to_string(folder.join("vectors/status-list").join(file)) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "no {file}: set YUNLING_SHARED ({error})");
            eprintln!("SKIPPED: no {file} to compare with; set YUNLING_SHARED");
            None
        }
    }
}

fn hex(value: &serde_json::Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn packed(vector: &serde_json::Value) -> (Packed, StatusList) {
    let bytes = hex(&vector["cbor_hex"]);
    // `bits` stands before `lst`: legal for the draft, refused where our own objects are read.
    assert!(decode(&bytes, bytes.len()).is_err());
    let value: Value = decode_foreign(&bytes, bytes.len()).unwrap();
    let packed = Packed::from_value(value).unwrap();
    assert_eq!(u64::from(packed.bits), vector["bits"].as_u64().unwrap());
    let json = BASE64URL_NOPAD.decode(vector["json"]["lst"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(json, packed.list, "both forms hold one stream");
    let list = packed.unpack().unwrap();
    (packed, list)
}

#[test]
fn every_place_of_the_long_lists_is_read() {
    let Some(file) = vectors("token_status_list_vectors.json") else { return };
    let mut places = 0u64;
    for vector in file["long"].as_array().unwrap() {
        let (packed, list) = packed(vector);
        let entries = vector["entries"].as_u64().unwrap();
        assert_eq!(list.len(), entries);
        let nonzero: BTreeMap<u64, u64> = vector["nonzero"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.parse().unwrap(), v.as_u64().unwrap()))
            .collect();
        for index in 0..entries {
            let expected = nonzero.get(&index).copied().unwrap_or(0);
            assert_eq!(u64::from(list.number(index).unwrap()), expected, "place {index}");
        }
        assert!(list.number(entries).is_err());
        let changed: BTreeMap<u64, u64> = list.changed().map(|(i, n)| (i, u64::from(n))).collect();
        assert_eq!(changed, nonzero);
        // Packed again here it is another stream of the same list.
        assert_eq!(list.pack().unpack(), Ok(list.clone()));
        assert_eq!(list.bits(), packed.bits);
        places += entries;
    }
    println!("status list vectors: {} long lists, {places} places", file["long"].as_array().unwrap().len());
    assert_eq!(places, 4 << 20);
}

#[test]
fn the_short_lists_have_the_bytes_of_the_draft() {
    let Some(file) = vectors("token_status_list_vectors.json") else { return };
    let short = file["short"].as_array().unwrap();
    assert_eq!(short.len(), 2);
    for vector in short {
        let (_, list) = packed(vector);
        assert_eq!(list.row(), hex(&vector["uncompressed_hex"]));
        let statuses: Vec<u64> =
            vector["statuses"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        let read: Vec<u64> = (0..list.len()).map(|n| u64::from(list.number(n).unwrap())).collect();
        assert_eq!(read, statuses);
    }
}

#[test]
fn both_example_tokens_are_read_and_their_signatures_hold() {
    let Some(file) = vectors("cwt_examples.json") else { return };
    let point = [vec![0x04], hex(&file["x"]), hex(&file["y"])].concat();
    let key = VerifyingKey::from_sec1_bytes(&point).unwrap();
    let signed = |envelope: &Envelope| {
        assert_eq!(envelope.alg, -7);
        key.verify(&envelope.to_be_signed(), &Signature::from_slice(&envelope.signature).unwrap())
    };
    let bytes = hex(&file["status_list_token_cwt_hex"]);
    let token = ForeignToken::parse(&bytes).unwrap();
    assert!(signed(&token.envelope).is_ok());
    assert_eq!(token.uri, "https://example.com/statuslists/1");
    assert_eq!((token.issued, token.expires), (UnixTime(1_686_920_170), Some(UnixTime(2_291_720_170))));
    assert_eq!(token.ttl, Some(43_200));
    assert!(StatusToken::parse(&bytes).is_err(), "another's algorithm and encoding are not ours");

    let referenced = Envelope::parse(&hex(&file["referenced_token_cwt_hex"])).unwrap();
    assert!(signed(&referenced).is_ok());
    let place = referenced.reference().unwrap().unwrap();
    assert_eq!(place, StatusRef { index: 0, uri: token.uri.clone() });
    assert_eq!(token.number(&place), Ok(1), "the example's first place is revoked");

    let mut changed = bytes.clone();
    let at = changed.len() - 80;
    changed[at] ^= 1;
    let refused = ForeignToken::parse(&changed).map_or(true, |t| signed(&t.envelope).is_err());
    assert!(refused, "a changed byte of the payload or signature");
    // The CWT tag that the draft forbids.
    assert!(ForeignToken::parse(&[&[0xd8, 0x3d], bytes.as_slice()].concat()).is_err());
    assert!(ForeignToken::parse(&hex(&file["referenced_token_cwt_hex"])).is_err(), "no list inside");
}
