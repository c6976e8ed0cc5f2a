//! The record that opens a log: one log for each life of a node (DESIGN §7).
//!
//! Its hash is the first entry of the log, so the log's first checkpoint signs it. It names the
//! last checkpoint known of the log before, which is closed by it and stays provable.

use sha2::{Digest, Sha256};

use super::checkpoint::{Checkpoint, Origin};
use super::entry::Entry;
use super::merkle::Hash;
use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::message::Life;
use crate::name::node_name;

/// Largest record, bytes: two names, two hashes and numbers.
pub const LIFE_RECORD_BYTES_MAX: usize = 1024;

/// What opens a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifeRecord {
    /// The new log.
    pub origin: Origin,
    /// Mark of the life that the origin's generation belongs to.
    pub mark: [u8; 16],
    /// Head of the log before as far as it is known now; none for the first life.
    pub closes: Option<(Origin, u64, Hash)>,
}

impl LifeRecord {
    /// Record of `life` after the log with this head; an origin that is none of ours is refused.
    pub fn new(origin: Origin, life: Life, closes: Option<&Checkpoint>) -> Option<Self> {
        let closes = match closes {
            None => None,
            Some(head) => Some((Origin::parse(&head.origin)?, head.size, head.root)),
        };
        let record = Self { origin, mark: life.mark, closes };
        (record.origin.generation == life.generation && record.in_order()).then_some(record)
    }

    /// A life closes an older one of the same node.
    fn in_order(&self) -> bool {
        self.closes.as_ref().is_none_or(|(before, _, _)| {
            before.node == self.origin.node && before.generation < self.origin.generation
        })
    }

    /// Deterministic CBOR: 1 node, 2 generation, 3 mark, 4–6 generation, size and root closed.
    pub fn encode(&self) -> Vec<u8> {
        let closes = self.closes.as_ref();
        let map = MapBuilder::new()
            .put(1, cbor::text(self.origin.node.as_str()))
            .put(2, cbor::int(self.origin.generation))
            .put(3, cbor::bytes(self.mark))
            .put_opt(4, closes.map(|(origin, _, _)| cbor::int(origin.generation)))
            .put_opt(5, closes.map(|(_, size, _)| cbor::int(*size)))
            .put_opt(6, closes.map(|(_, _, root)| cbor::bytes(*root)));
        cbor::encode(&map.build())
    }

    /// Reads what [`LifeRecord::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, LIFE_RECORD_BYTES_MAX)?)?;
        let node = node_name(&mut f, 1)?;
        let origin = Origin { node: node.clone(), generation: f.uint(2)? };
        let mark = f.array(3)?;
        let closes = match f.opt_uint(4)? {
            None => None,
            Some(generation) => Some((Origin { node, generation }, f.uint(5)?, f.array(6)?)),
        };
        f.finish()?;
        let record = Self { origin, mark, closes };
        if record.in_order() { Ok(record) } else { Err(CborError::WrongType(4)) }
    }

    /// SHA-256("yunling/life/1" ‖ bytes).
    pub fn id(&self) -> Hash {
        Sha256::new().chain_update(b"yunling/life/1").chain_update(self.encode()).finalize().into()
    }

    /// The first entry of the log.
    pub fn entry(&self) -> Entry {
        Entry::Node(self.id())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_life_closes_an_older_one_of_the_same_node_only() {
        let origin = |text: &str| Origin::parse(text).unwrap();
        let life = Life { generation: 3, mark: [9; 16] };
        let head = |text: &str| Checkpoint::new(text, 70, [1; 32]);
        let record = LifeRecord::new(origin("dali/3"), life, Some(&head("dali/1"))).unwrap();
        assert_eq!(LifeRecord::decode(&record.encode()), Ok(record.clone()));
        let first = LifeRecord::new(origin("dali/3"), life, None).unwrap();
        assert_eq!(LifeRecord::decode(&first.encode()), Ok(first.clone()));
        assert_ne!(first.id(), record.id());
        for wrong in ["dali/3", "dali/4", "kunming/1", "dali"] {
            assert_eq!(LifeRecord::new(origin("dali/3"), life, Some(&head(wrong))), None, "{wrong}");
        }
        assert_eq!(LifeRecord::new(origin("dali/2"), life, None), None);
        let backwards = LifeRecord { closes: Some((origin("dali/4"), 1, [0; 32])), ..record };
        assert!(LifeRecord::decode(&backwards.encode()).is_err());
    }
}
