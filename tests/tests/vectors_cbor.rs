//! CBOR vectors of other projects: RFC 8949 Appendix A, the dCBOR set, and encodings that are not
//! well-formed. Foreign tokens need only be well-formed; our own objects obey §4.2.1 and hold
//! nothing but integers, strings, arrays, maps, booleans, null and tag 18.

use serde_json::Value as Json;
use yunling_protocol::cbor::{self, CborError, Mode, Value};
use yunling_tests::{Outcomes, hex, vector_json};

const CAP: usize = 4096;

/// In the set of RFC 7049, withdrawn by RFC 8949.
const SIMPLE_24: (&str, &str) =
    ("f818", "RFC 8949 §3.3: a simple value below 32 in two bytes is not well-formed");

/// The JSON reader may be one unit in the last place away; dCBOR writes -0.0 as 0.
fn close(a: f64, text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|b| (a == 0.0 && b == 0.0) || a.to_bits().abs_diff(b.to_bits()) <= 1)
}

/// Whether a decoded value is the one that the set states in JSON.
fn same(value: &Value, json: &Json) -> bool {
    match (value, json) {
        (Value::Bool(a), Json::Bool(b)) => a == b,
        // The sets hold integers up to 65 bits, which JSON keeps as a float.
        (Value::Integer(a), Json::Number(b)) => {
            let text = b.to_string();
            text.parse::<i128>().map_or_else(|_| close(*a as f64, &text), |n| n == *a)
        }
        (Value::Float(a), Json::Number(b)) => close(*a, &b.to_string()),
        (Value::Text(a), Json::String(b)) => a == b,
        (Value::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Json::Object(b)) => {
            let key = |k: &Value| match k {
                Value::Text(t) => t.clone(),
                Value::Integer(n) => n.to_string(),
                other => format!("{other:?}"),
            };
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(&key(k)).is_some_and(|j| same(v, j)))
        }
        // The JSON of a big number is the number, which its bytes are not; of another tag, the inner value.
        (Value::Null, Json::Null) | (Value::Tag(2 | 3, _), Json::Number(_)) => true,
        (Value::Tag(_, inner), json) => same(inner, json),
        _ => false,
    }
}

fn read_foreign(bytes: &[u8], vector: &Json) -> Result<(), String> {
    cbor::check(bytes, CAP, Mode::WellFormed).map_err(|e| format!("checker: {e}"))?;
    let value = cbor::decode_foreign(bytes, CAP).map_err(|e| format!("decoder: {e}"))?;
    match vector.get("decoded") {
        Some(json) if !same(&value, json) => Err(format!("decoded as {value:?}, not {json}")),
        _ => Ok(()),
    }
}

/// Strict reading accepts it and gives the same bytes again, or refuses it for a value that our
/// objects never hold; never for its order or its length.
fn read_strict(bytes: &[u8], canonical: bool) -> Result<bool, String> {
    match cbor::decode(bytes, CAP) {
        Ok(value) if cbor::encode(&value) != bytes => Err("encodes to other bytes".into()),
        Ok(_) if !canonical => Err("not canonical but accepted".into()),
        Ok(_) => Ok(true),
        Err(CborError::ForbiddenValue(_) | CborError::ForbiddenTag { .. } | CborError::Indefinite(_)) => {
            Ok(false)
        }
        Err(other) => Err(other.to_string()),
    }
}

#[test]
fn rfc_8949_appendix_a_is_read_as_foreign_cbor() {
    let Some(set) = vector_json("cbor/rfc8949_appendix_a.json") else { return };
    let mut outcomes = Outcomes::default();
    for vector in set.as_array().expect("a list") {
        let text = vector["hex"].as_str().expect("hex");
        outcomes.add(text, read_foreign(&hex(text), vector));
    }
    outcomes.judge("RFC 8949 Appendix A, well-formed", 82, &[
        SIMPLE_24,
        ("f0", "simple value without a meaning: well-formed, but the decoder has no value for it, so it is refused"),
        ("f8ff", "simple value without a meaning: well-formed, but the decoder has no value for it, so it is refused"),
    ]);
}

#[test]
fn rfc_8949_appendix_a_is_read_strictly_where_our_objects_could_hold_it() {
    let Some(set) = vector_json("cbor/rfc8949_appendix_a.json") else { return };
    let (mut outcomes, mut accepted) = (Outcomes::default(), 0);
    for vector in set.as_array().expect("a list") {
        let text = vector["hex"].as_str().expect("hex");
        let result = read_strict(&hex(text), vector["roundtrip"] == Json::Bool(true));
        accepted += usize::from(result == Ok(true));
        outcomes.add(text, result.map(|_| ()));
    }
    outcomes.judge("RFC 8949 Appendix A, strict", 82, &[SIMPLE_24]);
    assert_eq!(accepted, 37, "vectors that our own objects could hold");
}

#[test]
fn canonical_dcbor_is_read_and_made_again() {
    let Some(set) = vector_json("cbor/dcbor_valid.json") else { return };
    let (mut foreign, mut strict, mut accepted) = (Outcomes::default(), Outcomes::default(), 0);
    for (at, vector) in set.as_array().expect("a list").iter().enumerate() {
        let text = vector["hex"].as_str().expect("hex");
        let (name, bytes) = (format!("{at} {text}"), hex(text));
        foreign.add(name.as_str(), read_foreign(&bytes, vector));
        let result = read_strict(&bytes, true);
        accepted += usize::from(result == Ok(true));
        strict.add(name, result.map(|_| ()));
    }
    foreign.judge("dCBOR valid, well-formed", 40, &[]);
    strict.judge("dCBOR valid, strict", 40, &[]);
    assert_eq!(accepted, 24, "vectors that our own objects could hold");
}

#[test]
fn what_is_not_well_formed_is_refused_in_both_modes() {
    let Some(set) = vector_json("cbor/not_well_formed_qcbor.json") else { return };
    let mut outcomes = Outcomes::default();
    for (at, vector) in set.as_array().expect("a list").iter().enumerate() {
        let bytes = hex(vector["hex"].as_str().expect("hex"));
        let refused = [Mode::Strict, Mode::WellFormed].map(|mode| cbor::check(&bytes, CAP, mode).is_err());
        let result = if refused == [true; 2] && cbor::decode_foreign(&bytes, CAP).is_err() {
            Ok(())
        } else {
            Err(format!("accepted: {} ({})", vector["hex"], vector["why"]))
        };
        outcomes.add(format!("{at}"), result);
    }
    outcomes.judge("not well-formed", 122, &[]);
}
