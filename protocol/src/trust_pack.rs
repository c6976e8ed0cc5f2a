//! The trust pack: everything a verifier needs offline, in one file (PROOFS §4.4).
//!
//! It holds the roster's versions, the status lists of all nodes, their cosigned checkpoints, and the
//! cards of bilateral members. **The pack itself is not signed**: each part is signed by those who
//! answer for it, and is checked when it is used. Who exported it and when is only said, so that
//! people can tell packs apart; leaving parts out makes a verifier know less, never believe more.
//!
//! Rosters and checkpoints are opaque here. What a pack lacks is seen by the dates of what is in it.

use crate::card::{CARD_BYTES_MAX, SignedCard};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::day::UnixTime;
use crate::name::{NodeName, node_name};
use crate::status::token::TOKEN_BYTES_MAX;
use crate::status::{StatusError, StatusToken};

const KIND: &str = "yunling/trust-pack";
/// Largest pack, bytes. 16 nodes with a million proofs each make under 1 MB; a province of 129
/// counties that all issue proofs stays under this.
pub const PACK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most roster versions: a verifier follows as many steps (PROOFS §4.3).
pub const ROSTERS_MAX: usize = 1_024;
/// Largest roster version, bytes.
pub const ROSTER_BYTES_MAX: usize = 256 * 1024;
/// Most status lists: several lists of each of some hundred nodes.
pub const LISTS_MAX: usize = 1_024;
/// Most checkpoints: one of each life of each of some hundred nodes.
pub const CHECKPOINTS_MAX: usize = 1_024;
/// Largest checkpoint, bytes: three lines and some sixteen signatures of a hundred bytes, with room.
pub const CHECKPOINT_BYTES_MAX: usize = 8 * 1024;
/// Most cards, as many as a node may have peers.
pub const CARDS_MAX: usize = 1_024;

/// What a verifier takes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPack {
    /// When it was put together.
    pub made_at: UnixTime,
    /// Node that exported it; said, not proven.
    pub made_by: NodeName,
    /// Roster versions in order, as signed.
    pub rosters: Vec<Vec<u8>>,
    /// Status list tokens, as signed.
    pub lists: Vec<Vec<u8>>,
    /// Cosigned checkpoints: signed notes.
    pub checkpoints: Vec<String>,
    /// Cards of the exporter and its bilateral peers, as signed.
    pub cards: Vec<Vec<u8>>,
}

impl TrustPack {
    /// An empty pack.
    pub fn new(made_at: UnixTime, made_by: NodeName) -> Self {
        Self { made_at, made_by, rosters: vec![], lists: vec![], checkpoints: vec![], cards: vec![] }
    }

    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let list = |items: &[Vec<u8>]| {
            let items: Vec<_> = items.iter().map(|b| cbor::bytes(b.as_slice())).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        };
        let notes: Vec<_> = self.checkpoints.iter().map(|t| cbor::text(t.as_str())).collect();
        let map = MapBuilder::new()
            .put(1, cbor::text(KIND))
            .put(2, cbor::int(1))
            .put(3, cbor::int(self.made_at.0))
            .put(4, cbor::text(self.made_by.as_str()))
            .put_opt(5, list(&self.rosters))
            .put_opt(6, list(&self.lists))
            .put_opt(7, (!notes.is_empty()).then_some(Value::Array(notes)))
            .put_opt(8, list(&self.cards));
        cbor::encode(&map.build())
    }

    /// Decodes. The parts are checked when they are used.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, PACK_BYTES_MAX)?)?;
        if f.text(1, KIND.len())? != KIND {
            return Err(CborError::Shape("a trust pack is expected"));
        }
        if f.uint(2)? != 1 {
            return Err(CborError::WrongType(2));
        }
        let pack = Self {
            made_at: UnixTime(f.int(3)?),
            made_by: node_name(&mut f, 4)?,
            rosters: byte_items(&mut f, 5, ROSTERS_MAX, ROSTER_BYTES_MAX)?,
            lists: byte_items(&mut f, 6, LISTS_MAX, TOKEN_BYTES_MAX)?,
            checkpoints: f
                .list(7, CHECKPOINTS_MAX)?
                .into_iter()
                .map(|v| cbor::as_text(v, 7, CHECKPOINT_BYTES_MAX))
                .collect::<Result<_, _>>()?,
            cards: byte_items(&mut f, 8, CARDS_MAX, CARD_BYTES_MAX)?,
        };
        f.finish()?;
        Ok(pack)
    }

    /// The status lists that parse; their signatures are checked by [`crate::status::StatusLists::add`].
    pub fn tokens(&self) -> impl Iterator<Item = Result<StatusToken, StatusError>> {
        self.lists.iter().map(|bytes| StatusToken::parse(bytes))
    }

    /// The cards, each checked against its own statement key. A pack pins nobody: whose card it is
    /// must be known from elsewhere, as with a card file.
    pub fn signed_cards(&self) -> impl Iterator<Item = Result<SignedCard, crate::card::CardError>> {
        self.cards.iter().map(|bytes| SignedCard::parse(bytes))
    }
}

fn byte_items(f: &mut Fields, label: i64, most: usize, cap: usize) -> Result<Vec<Vec<u8>>, CborError> {
    let one = |value| match value {
        Value::Bytes(bytes) if bytes.len() <= cap => Ok(bytes),
        _ => Err(CborError::WrongType(label)),
    };
    f.list(label, most)?.into_iter().map(one).collect()
}
