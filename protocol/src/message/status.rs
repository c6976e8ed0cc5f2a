//! Frames about status lists: any node may be asked for the lists of any node it keeps, since only
//! their signature counts; where a superseded proof went is told by its issuer alone, to who shows it.

use super::wire::take;
use crate::cbor::{self, CborError, Value};
use crate::day::UnixTime;
use crate::id::StatementId;
use crate::name::{NODE_NAME_BYTES_MAX, NodeName};
use crate::status::stored::LISTS_OF_ONE_MAX;
use crate::status::token::TOKEN_BYTES_MAX;
use crate::status::{StatusRef, URI_BYTES_MAX};

/// Most bytes of tokens in one answer: three lists in which zlib finds nothing, and under the answer's
/// cap. Who lacks more asks again with what it has by then.
pub const ANSWER_TOKENS_BYTES_MAX: usize = 3 * TOKEN_BYTES_MAX;

const _: () = assert!(ANSWER_TOKENS_BYTES_MAX + 4_096 < super::wire::ANSWER_BYTES_MAX);

/// A question about the lists of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusAsk {
    /// Whose lists.
    pub issuer: NodeName,
    /// Lists the asker has: address, and when that list was made.
    pub have: Vec<(String, UnixTime)>,
    /// A superseded proof of the asked node: its place and the hash of its text. Where did it go?
    pub shown: Option<(StatusRef, StatementId)>,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusAnswer {
    /// Newer tokens; empty when the asker has them all.
    pub tokens: Vec<Vec<u8>>,
    /// When the record of the shown proof moved, and who holds it now.
    pub moved: Option<(UnixTime, NodeName)>,
}

fn list(value: Value, index: i64, most: usize) -> Result<Vec<Value>, CborError> {
    match value {
        Value::Array(items) if items.len() <= most => Ok(items),
        _ => Err(CborError::WrongType(index)),
    }
}

fn fixed<const N: usize>(value: Value, index: i64) -> Result<[Value; N], CborError> {
    list(value, index, N)?.try_into().map_err(|_| CborError::WrongType(index))
}

fn name(value: Value, index: i64) -> Result<NodeName, CborError> {
    let text = cbor::as_text(value, index, NODE_NAME_BYTES_MAX)?;
    NodeName::parse(&text).map_err(|_| CborError::WrongType(index))
}

impl StatusAsk {
    pub(super) fn items(&self) -> Vec<Value> {
        let have = self
            .have
            .iter()
            .map(|(uri, made)| Value::Array(vec![cbor::text(uri.as_str()), cbor::int(made.0)]));
        let mut items = vec![cbor::text(self.issuer.as_str()), Value::Array(have.collect())];
        items.extend(self.shown.as_ref().map(|(place, hash)| {
            let uri = cbor::text(place.uri.as_str());
            Value::Array(vec![uri, cbor::int(place.index), cbor::bytes(hash.0)])
        }));
        items
    }

    pub(super) fn take(items: &mut std::vec::IntoIter<Value>) -> Result<Self, CborError> {
        let issuer = name(take(items, 1)?, 1)?;
        let one = |value| {
            let [uri, made] = fixed(value, 2)?;
            Ok((cbor::as_text(uri, 2, URI_BYTES_MAX)?, UnixTime(cbor::as_int(&made, 2)?)))
        };
        let have = list(take(items, 2)?, 2, LISTS_OF_ONE_MAX)?;
        let have = have.into_iter().map(one).collect::<Result<_, CborError>>()?;
        let shown = match items.next() {
            None => None,
            Some(value) => {
                let [uri, index, hash] = fixed(value, 3)?;
                let index = u32::try_from(cbor::as_uint(&index, 3)?).map_err(|_| CborError::WrongType(3))?;
                let place = StatusRef { index, uri: cbor::as_text(uri, 3, URI_BYTES_MAX)? };
                Some((place, StatementId(cbor::as_array(hash, 3)?)))
            }
        };
        Ok(Self { issuer, have, shown })
    }
}

impl StatusAnswer {
    pub(super) fn items(&self) -> Vec<Value> {
        let tokens = self.tokens.iter().map(|t| cbor::bytes(t.as_slice())).collect();
        let mut items = vec![Value::Array(tokens)];
        items.extend(
            self.moved.iter().map(|(at, to)| Value::Array(vec![cbor::int(at.0), cbor::text(to.as_str())])),
        );
        items
    }

    pub(super) fn take(items: &mut std::vec::IntoIter<Value>) -> Result<Self, CborError> {
        let one = |value| match value {
            Value::Bytes(bytes) if bytes.len() <= TOKEN_BYTES_MAX => Ok(bytes),
            _ => Err(CborError::WrongType(1)),
        };
        let tokens = list(take(items, 1)?, 1, LISTS_OF_ONE_MAX)?.into_iter().map(one);
        let tokens = tokens.collect::<Result<_, CborError>>()?;
        let moved = match items.next() {
            None => None,
            Some(value) => {
                let [at, to] = fixed(value, 2)?;
                Some((UnixTime(cbor::as_int(&at, 2)?), name(to, 2)?))
            }
        };
        Ok(Self { tokens, moved })
    }
}
