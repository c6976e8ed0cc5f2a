//! Trust packs.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use yunling_protocol::cbor::{self, Value};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::Role;
use yunling_protocol::log::Checkpoint;
use yunling_protocol::status::StatusList;
use yunling_protocol::status::token::{Heading, sign};
use yunling_protocol::trust_pack::TrustPack;

use super::naive;
use super::world::{
    DAY, ISSUER, START, card, first_roster, hex, judge, list, name, sign_roster, signed, signer, unhex,
};

fn pack() -> TrustPack {
    let made = START + 60 * DAY;
    let heading = Heading {
        issuer: name(ISSUER),
        uri: "yunling:s/1".into(),
        issued: UnixTime(made),
        expires: UnixTime(made + 30 * DAY),
        ttl: 43_200,
    };
    let head = Checkpoint::new(format!("{ISSUER}/1"), 1, naive::leaf(&[0]));
    TrustPack {
        rosters: vec![sign_roster(&first_roster(), &[1, 2]).bytes()],
        lists: vec![sign(&signer(ISSUER, Role::Status), &heading, &StatusList::new()).unwrap()],
        checkpoints: vec![head.sign(&signer(ISSUER, Role::Log)).unwrap().render()],
        cards: vec![signed(&card(ISSUER)).bytes().to_vec()],
        ..TrustPack::new(UnixTime(made), name(ISSUER))
    }
}

fn shown(pack: &TrustPack) -> Json {
    let all = |parts: &[Vec<u8>]| parts.iter().map(|part| hex(part)).collect::<Vec<_>>();
    json!({ "made_at": pack.made_at.0, "made_by": pack.made_by.as_str(), "rosters": all(&pack.rosters),
        "lists": all(&pack.lists), "checkpoints": pack.checkpoints, "cards": all(&pack.cards) })
}

fn altered(change: impl FnOnce(&mut BTreeMap<Value, Value>)) -> Vec<u8> {
    let bytes = TrustPack::new(UnixTime(START), name(ISSUER)).encode();
    let Value::Map(mut map) = cbor::decode(&bytes, bytes.len()).unwrap() else { panic!("a map") };
    change(&mut map);
    cbor::encode(&Value::Map(map))
}

pub(crate) fn make() -> Json {
    let empty = TrustPack::new(UnixTime(START), name(ISSUER));
    let good = |name: &str, pack: &TrustPack| {
        json!({ "name": name, "hex": hex(&pack.encode()),
        "expect": shown(pack) })
    };
    let bad = |name: &str, bytes: &[u8]| {
        json!({ "name": name, "hex": hex(bytes),
        "expect": { "refused": "pack" } })
    };
    json!({
        "about": "Trust packs: parts as they are, or `pack` when it is none (SPEC 14).",
        "cases": [
            good("one of each part", &pack()),
            good("empty", &empty),
            bad("another kind", &altered(|m| _ = m.insert(cbor::int(1), cbor::text("yunling/other-pack")))),
            bad("version 2", &altered(|m| _ = m.insert(cbor::int(2), cbor::int(2)))),
            bad("an unknown label", &altered(|m| _ = m.insert(cbor::int(9), cbor::int(2)))),
            bad("an empty list of cards", &altered(|m| _ = m.insert(cbor::int(8), Value::Array(vec![])))),
            bad("a card of 8,193 bytes", &altered(|m| _ = m.insert(cbor::int(8),
                Value::Array(vec![cbor::bytes(vec![0; 8_193])])))),
            bad("a byte behind it", &[empty.encode(), vec![0]].concat()),
        ],
    })
}

pub(crate) fn check(file: &Json) {
    for case in list(&file["cases"]) {
        judge(
            case,
            TrustPack::decode(&unhex(&case["hex"])).map(|pack| shown(&pack)).map_err(|_| "pack".to_owned()),
        );
    }
}
