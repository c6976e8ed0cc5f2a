//! Bytes of a version: strict CBOR in a COSE_Sign, kept as received.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    LastCheckpoint, LogPolicy, NODES_MAX, ROSTER_BYTES_MAX, Roster, RosterError, RosterNode, SIGNATURES_MAX,
    STATES_MAX, STEWARDS_MAX, State, StateEntry, Steward, TEXT_BYTES_MAX, WITNESSES_MAX, check,
};
use crate::card::{CARD_BYTES_MAX, SignedCard};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::cose::sign::Sign;
use crate::day::UnixTime;
use crate::key::{KeyEntry, SignError, Signer};
use crate::name::{NODE_NAME_BYTES_MAX, NodeName};

const TYP: &str = "yunling/roster";
const AAD: &[u8] = b"yunling/roster/1";
/// Most compromised keys of one node: every key a card may list.
const COMPROMISED_MAX: usize = 56;
/// Longest log origin: a node name, a slash and a generation.
const ORIGIN_BYTES_MAX: usize = NODE_NAME_BYTES_MAX + 1 + 20;

/// A version with the bytes its stewards signed.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRoster {
    roster: Roster,
    sign: Sign,
    hash: [u8; 32],
}

impl fmt::Debug for SignedRoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedRoster({}, {} signatures)", self.roster.version, self.sign.signatures().len())
    }
}

impl SignedRoster {
    /// A version that nobody has signed yet; refused when its content breaks a rule.
    pub fn draft(roster: &Roster) -> Result<Self, RosterError> {
        // Read back, so that what is signed is what every reader will take.
        Self::of(Sign::unsigned(TYP, cbor::encode(&write(roster))), Some(roster))
    }

    /// Parses a version and checks all that needs no other version. Signatures are verified when it is
    /// adopted ([`super::Chain`]): whose they must be is said by the version before.
    pub fn parse(bytes: &[u8]) -> Result<Self, RosterError> {
        Self::parse_after(bytes, None)
    }

    /// As [`SignedRoster::parse`]; cards that stand in `before` byte by byte are taken from it, since the
    /// signature of each takes its time and most stay the same.
    pub fn parse_after(bytes: &[u8], before: Option<&Roster>) -> Result<Self, RosterError> {
        Self::of(Sign::parse(bytes, ROSTER_BYTES_MAX, SIGNATURES_MAX)?, before)
    }

    fn of(sign: Sign, before: Option<&Roster>) -> Result<Self, RosterError> {
        if sign.typ != TYP {
            return Err(CborError::Shape("typ of a roster is expected").into());
        }
        let roster = read(&sign.payload, before)?;
        check::check(&roster)?;
        let hash = Sha256::new().chain_update(AAD).chain_update(&sign.payload).finalize().into();
        let signed = Self { roster, sign, hash };
        let len = signed.bytes().len();
        if len > ROSTER_BYTES_MAX {
            return Err(CborError::TooLarge { len, cap: ROSTER_BYTES_MAX }.into());
        }
        Ok(signed)
    }

    /// Content.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Signed bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.sign.encode()
    }

    /// SHA-256 over `yunling/roster/1` and the payload: what the next version names. Signatures are not
    /// in it, so that one more changes nothing.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Adds a steward's signature.
    pub fn sign(&mut self, signer: &dyn Signer) -> Result<(), SignError> {
        self.sign.sign(signer, AAD)
    }

    /// Takes over the signatures of another copy of the same version; `false` when it is another one.
    pub fn merge(&mut self, other: &Self) -> bool {
        let same = self.hash == other.hash;
        for signature in other.sign.signatures().iter().filter(|_| same) {
            self.sign.add(signature.clone());
        }
        same
    }

    /// Number of signatures, verified or not.
    pub fn signatures(&self) -> usize {
        self.sign.signatures().len()
    }

    /// Verifies every signature with the keys of these stewards; gives the public keys that signed, each
    /// once however often it signed. One signature by anybody else, or a wrong one, refuses all:
    /// no byte of a roster may be changed and still be taken.
    pub fn signers<'k>(
        &self,
        stewards: impl Iterator<Item = &'k Steward> + Clone,
    ) -> Result<BTreeSet<[u8; 32]>, RosterError> {
        let mut signed = BTreeSet::new();
        for signature in self.sign.signatures() {
            let keys: Vec<&KeyEntry> = stewards.clone().map(Steward::key).collect();
            signed.insert(self.sign.verify(signature, AAD, keys)?.public);
        }
        Ok(signed)
    }

    /// As [`SignedRoster::sign`] under a given algorithm number of the same key, for tests of counting.
    #[doc(hidden)]
    pub fn sign_with_alg(&mut self, signer: &dyn Signer, alg: i64) -> Result<(), SignError> {
        self.sign.sign_with_alg(signer, alg, AAD)
    }
}

fn write(roster: &Roster) -> Value {
    let steward = |s: &Steward| {
        MapBuilder::new().put(1, cbor::text(s.name.as_str())).put(2, cbor::bytes(*s.public())).build()
    };
    let nodes: Vec<Value> = roster.nodes.iter().map(|n| write_node(n)).collect();
    MapBuilder::new()
        .put(1, cbor::int(1))
        .put(2, cbor::int(roster.version))
        .put_opt(3, roster.previous.map(cbor::bytes))
        .put(4, cbor::int(roster.issued.0))
        .put(5, cbor::int(roster.expires.0))
        .put(6, cbor::int(roster.threshold))
        .put(7, Value::Array(roster.stewards.iter().map(steward).collect()))
        .put_opt(8, (!nodes.is_empty()).then_some(Value::Array(nodes)))
        .put_opt(9, roster.trial.then_some(Value::Bool(true)))
        .build()
}

fn read(payload: &[u8], before: Option<&Roster>) -> Result<Roster, RosterError> {
    let mut f = Fields::open(cbor::decode(payload, ROSTER_BYTES_MAX)?)?;
    if f.uint(1)? != 1 {
        return Err(CborError::WrongType(1).into());
    }
    let (version, previous) = (f.uint(2)?, f.opt_array(3)?);
    let (issued, expires) = (UnixTime(f.int(4)?), UnixTime(f.int(5)?));
    let threshold = f.uint(6)?;
    let stewards = f.list(7, STEWARDS_MAX)?.into_iter().map(read_steward).collect::<Result<_, _>>()?;
    let nodes = f.list(8, NODES_MAX)?.into_iter();
    let nodes = nodes.map(|n| read_node(n, before).map(Arc::new)).collect::<Result<_, _>>()?;
    let roster = Roster { version, previous, issued, expires, threshold, stewards, nodes, trial: f.flag(9)? };
    f.finish()?;
    Ok(roster)
}

fn read_steward(value: Value) -> Result<Steward, CborError> {
    let mut f = Fields::open(value)?;
    let (name, public) = (f.text(1, TEXT_BYTES_MAX)?, f.array(2)?);
    f.finish()?;
    Steward::new(name, public)
}

fn write_node(node: &RosterNode) -> Value {
    let states = node.states.iter().map(write_state).collect();
    let mark = |(public, from): &([u8; 32], UnixTime)| {
        MapBuilder::new().put(1, cbor::bytes(*public)).put(2, cbor::int(from.0)).build()
    };
    let marks: Vec<Value> = node.compromised.iter().map(mark).collect();
    MapBuilder::new()
        .put(1, cbor::bytes(node.card.bytes()))
        .put_opt(2, node.page.as_deref().map(cbor::text))
        .put_opt(3, node.log.as_ref().map(write_policy))
        .put(4, Value::Array(states))
        .put_opt(5, (!marks.is_empty()).then_some(Value::Array(marks)))
        .build()
}

fn read_node(value: Value, before: Option<&Roster>) -> Result<RosterNode, RosterError> {
    let mut f = Fields::open(value)?;
    let card = f.bytes(1, CARD_BYTES_MAX)?;
    let known = before.and_then(|roster| roster.nodes.iter().find(|n| n.card.bytes() == card));
    let card = match known {
        Some(node) => node.card.clone(),
        None => Arc::new(SignedCard::parse(&card)?),
    };
    let page = f.opt_text(2, TEXT_BYTES_MAX)?;
    let log = f.opt(3).map(read_policy).transpose()?;
    let states = f.list(4, STATES_MAX)?.into_iter().map(read_state).collect::<Result<_, _>>()?;
    let compromised = f.list(5, COMPROMISED_MAX)?.into_iter().map(read_mark).collect::<Result<_, _>>()?;
    f.finish()?;
    Ok(RosterNode { card, page, log, states, compromised })
}

fn read_mark(value: Value) -> Result<([u8; 32], UnixTime), CborError> {
    let mut f = Fields::open(value)?;
    let mark = (f.array(1)?, UnixTime(f.int(2)?));
    f.finish()?;
    Ok(mark)
}

fn write_policy(policy: &LogPolicy) -> Value {
    let witnesses = policy.witnesses.iter().map(|name| cbor::text(name.as_str())).collect();
    MapBuilder::new()
        .put(1, cbor::text(policy.name.as_str()))
        .put(2, cbor::int(policy.k))
        .put(3, Value::Array(witnesses))
        .build()
}

fn read_policy(value: Value) -> Result<LogPolicy, CborError> {
    let mut f = Fields::open(value)?;
    let (name, k) = (f.text(1, TEXT_BYTES_MAX)?, f.uint(2)?);
    let witness = |v| {
        let text = cbor::as_text(v, 3, NODE_NAME_BYTES_MAX)?;
        NodeName::parse(&text).map_err(|_| CborError::WrongType(3))
    };
    let witnesses = f.list(3, WITNESSES_MAX)?.into_iter().map(witness).collect::<Result<_, _>>()?;
    f.finish()?;
    Ok(LogPolicy { name, witnesses, k })
}

fn write_state(entry: &StateEntry) -> Value {
    let number = |n: u64| MapBuilder::new().put(1, cbor::int(n)).put(2, cbor::int(entry.from.0));
    match &entry.state {
        State::Active => number(1).build(),
        State::Suspended => number(2).build(),
        State::Withdrawn => number(3).build(),
        State::Succeeded { by, checkpoint } => {
            let map = number(4).put(3, cbor::text(by.as_str()));
            let last = checkpoint.as_ref();
            map.put_opt(4, last.map(|c| cbor::text(c.origin.as_str())))
                .put_opt(5, last.map(|c| cbor::int(c.size)))
                .put_opt(6, last.map(|c| cbor::bytes(c.root)))
                .build()
        }
    }
}

fn read_state(value: Value) -> Result<StateEntry, CborError> {
    let mut f = Fields::open(value)?;
    let (kind, from) = (f.uint(1)?, UnixTime(f.int(2)?));
    let state = match kind {
        1 => State::Active,
        2 => State::Suspended,
        3 => State::Withdrawn,
        4 => {
            let by = crate::name::node_name(&mut f, 3)?;
            let (origin, size, root) = (f.opt_text(4, ORIGIN_BYTES_MAX)?, f.opt_uint(5)?, f.opt_array(6)?);
            let checkpoint = match (origin, size, root) {
                (Some(origin), Some(size), Some(root)) => Some(LastCheckpoint { origin, size, root }),
                (None, None, None) => None,
                _ => return Err(CborError::WrongType(4)),
            };
            State::Succeeded { by, checkpoint }
        }
        _ => return Err(CborError::WrongType(1)),
    };
    f.finish()?;
    Ok(StateEntry { state, from })
}
