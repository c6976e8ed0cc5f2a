//! The fence of a restored node: whom it must hear before it may append again.
//!
//! It lies in the store and is written in the batch that gives the restored store its new life, so
//! that no node ever opens unfenced on old data. It ends when every peer ever accepted has told
//! all it knows, or when an operator signs for the missing ones.

use std::collections::{BTreeMap, BTreeSet};

use super::{NO_DOSSIER, NO_TRANSFER};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::cose::{self, Typ};
use crate::custody::record::{Loaded, live};
use crate::custody::{Input, Side, Stage, giving, taking};
use crate::day::UnixTime;
use crate::fresh::Fresh;
use crate::ledger::{self, Books, LedgerError};
use crate::member::Members;
use crate::message::{Content, Life};
use crate::name::{NODE_NAME_BYTES_MAX, NodeName};
use crate::office::{DecideError, Office, Vault};
use crate::recovery::rejoin;
use crate::store::{Batch, Expect, Key, Put, Read, Table};

/// Peers a fence can name: more than a node may have.
const PEERS_MAX: usize = 1_024;
/// Longest cursor of a page: one byte of table and the longest statement key.
pub const CURSOR_BYTES_MAX: usize = 64;
/// Largest stored fence in bytes: every peer with a name and a cursor of full length.
const FENCE_BYTES_MAX: usize = PEERS_MAX * 2 * (NODE_NAME_BYTES_MAX + CURSOR_BYTES_MAX + 8);
/// Longest reason of an operator who lifts a fence, in bytes.
pub const REASON_BYTES_MAX: usize = 512;

/// Key of the fence; absent on a node that may append.
pub fn fence_key() -> Key {
    Key::new(Table::Meta, &b"fence"[..])
}

/// Key of what a node still asks its peers after its witnesses opened the fence; absent when all have told.
pub fn asking_key() -> Key {
    Key::new(Table::Meta, &b"asking"[..])
}

/// Key of the node's own life.
pub fn life_key() -> Key {
    Key::new(Table::Meta, &b"life"[..])
}

/// Key of the signed act that lifted the fence of a life.
pub fn lifted_key(life: Life) -> Key {
    Key::new(Table::Meta, [&b"lifted/"[..], &encode_life(life)].concat())
}

/// Where the question to a peer waits until the peer has told everything.
pub(super) fn question_key(peer: &NodeName) -> Key {
    let asks = Content::Recovering { since: UnixTime(0), after: Vec::new() };
    crate::office::custody_outbox_key(peer, NO_TRANSFER, asks.number())
}

/// Stored form of a life: generation in 8 bytes, most significant first, and the mark.
pub fn encode_life(life: Life) -> Vec<u8> {
    [&life.generation.to_be_bytes()[..], &life.mark].concat()
}

/// Reads a stored life.
pub fn decode_life(bytes: &[u8]) -> Option<Life> {
    let (generation, mark) = bytes.split_first_chunk::<8>()?;
    Some(Life { generation: u64::from_be_bytes(*generation), mark: mark.try_into().ok()? })
}

/// The fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// When the backup was made, by this node's own clock.
    pub made_at: UnixTime,
    /// Generation of the life it was made in; of the first one where a backup was made behind a fence.
    pub old_generation: u64,
    /// Peers made since, as the operator named them: they must answer too.
    pub new_peers: Vec<NodeName>,
    /// Peers that have told everything to the present life.
    pub heard: Vec<NodeName>,
    /// Where the next page of the others begins.
    pub cursors: BTreeMap<NodeName, Vec<u8>>,
}

fn names(list: &[NodeName]) -> Option<Value> {
    let list: Vec<Value> = list.iter().map(|n| cbor::text(n.as_str())).collect();
    (!list.is_empty()).then_some(Value::Array(list))
}

fn name(value: Value, label: i64) -> Result<NodeName, CborError> {
    let text = cbor::as_text(value, label, NODE_NAME_BYTES_MAX)?;
    NodeName::parse(&text).map_err(|_| CborError::WrongType(label))
}

impl Fence {
    /// The fence of a store that was just put back from a backup made at `made_at` in the life of
    /// `old_generation`. A backup made behind a fence knows no more than the one it came from: what
    /// that fence still waited for is waited for again, since the older of both dates.
    pub fn begin(
        restored: &(impl Read + ?Sized),
        made_at: UnixTime,
        old_generation: u64,
        new_peers: &[NodeName],
    ) -> Result<Self, LedgerError> {
        let mut fence = Self {
            made_at,
            old_generation,
            new_peers: new_peers.to_vec(),
            heard: Vec::new(),
            cursors: BTreeMap::new(),
        };
        for inner in [Self::load(restored)?, Self::load_asking(restored)?].into_iter().flatten() {
            fence.made_at = fence.made_at.min(inner.0.made_at);
            fence.old_generation = fence.old_generation.min(inner.0.old_generation);
            fence.new_peers.extend(inner.0.new_peers);
        }
        // An operator may name a peer twice; the record may not.
        fence.new_peers.sort();
        fence.new_peers.dedup();
        Ok(fence)
    }

    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let cursors = self.cursors.iter().map(|(n, c)| (cbor::text(n.as_str()), cbor::bytes(c.as_slice())));
        let cursors: Vec<Value> = cursors.map(|(n, c)| Value::Array(vec![n, c])).collect();
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::int(self.made_at.0))
            .put(3, cbor::int(self.old_generation))
            .put_opt(4, names(&self.new_peers))
            .put_opt(5, names(&self.heard))
            .put_opt(6, (!cursors.is_empty()).then_some(Value::Array(cursors)));
        cbor::encode(&map.build())
    }

    /// Decodes. A record that names a peer twice in one list was not made here: it could count one
    /// answer as two, or hide a cursor behind another.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, FENCE_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let list = |f: &mut Fields, label| -> Result<Vec<NodeName>, CborError> {
            let list: Vec<NodeName> =
                f.list(label, PEERS_MAX)?.into_iter().map(|v| name(v, label)).collect::<Result<_, _>>()?;
            let different = list.iter().collect::<BTreeSet<_>>().len() == list.len();
            if different { Ok(list) } else { Err(CborError::WrongType(label)) }
        };
        let cursor = |value| -> Result<(NodeName, Vec<u8>), CborError> {
            let Value::Array(pair) = value else { return Err(CborError::WrongType(6)) };
            let [peer, cursor]: [Value; 2] = pair.try_into().map_err(|_| CborError::WrongType(6))?;
            match cursor {
                Value::Bytes(bytes) if bytes.len() <= CURSOR_BYTES_MAX => Ok((name(peer, 6)?, bytes)),
                _ => Err(CborError::WrongType(6)),
            }
        };
        let cursors = |f: &mut Fields| -> Result<BTreeMap<NodeName, Vec<u8>>, CborError> {
            let list = f.list(6, PEERS_MAX)?.into_iter().map(cursor).collect::<Result<Vec<_>, _>>()?;
            // The order of names, each once: the one form in which they are written.
            let ordered = list.is_sorted_by(|a, b| a.0 < b.0);
            if ordered { Ok(list.into_iter().collect()) } else { Err(CborError::WrongType(6)) }
        };
        let fence = Self {
            made_at: UnixTime(f.int(2)?),
            old_generation: f.uint(3)?,
            new_peers: list(&mut f, 4)?,
            heard: list(&mut f, 5)?,
            cursors: cursors(&mut f)?,
        };
        f.finish()?;
        Ok(fence)
    }

    /// The fence of this store with its stored bytes, `None` when it may append.
    pub fn load(read: &(impl Read + ?Sized)) -> Result<Option<(Self, Vec<u8>)>, LedgerError> {
        Self::load_from(read, &fence_key())
    }

    /// What is still asked although the fence is open, with its stored bytes.
    pub fn load_asking(read: &(impl Read + ?Sized)) -> Result<Option<(Self, Vec<u8>)>, LedgerError> {
        Self::load_from(read, &asking_key())
    }

    fn load_from(read: &(impl Read + ?Sized), key: &Key) -> Result<Option<(Self, Vec<u8>)>, LedgerError> {
        match read.get(key.table, &key.key)? {
            Some(bytes) => Ok(Some((Self::decode(&bytes)?, bytes))),
            None => Ok(None),
        }
    }

    /// Peers that must still tell what they know: all that are members, and those named as new.
    pub fn missing(&self, members: &Members, me: &NodeName) -> Vec<NodeName> {
        let active = members.iter().filter(|m| m.removed_at.is_none()).map(|m| m.card.card.name.clone());
        let mut all: Vec<NodeName> = active.chain(self.new_peers.iter().cloned()).collect();
        all.sort();
        all.dedup();
        all.retain(|name| name != me && !self.heard.contains(name));
        all
    }

    /// Puts the question for the next page of `peer` into the outbox.
    pub(super) fn ask(
        &self,
        office: &Office<'_>,
        peer: &NodeName,
        batch: &mut Batch,
    ) -> Result<(), DecideError> {
        let after = self.cursors.get(peer).cloned().unwrap_or_default();
        let content = Content::Recovering { since: self.made_at, after };
        Ok(office.post(batch, peer, NO_DOSSIER, 0, NO_TRANSFER, content)?)
    }
}

/// Asks every missing peer that is known, and every witness while the fence stands; safe to repeat, the
/// question of each has one place in the outbox. A peer named as new is asked once its card is accepted again.
///
/// Behind an open fence no witness is asked: its word would be taken by nobody ([`rejoin::take`]), so the
/// question would wait for ever.
pub fn ask_all(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    fence: &Fence,
) -> Result<Batch, DecideError> {
    let stands = Fence::load(read)?.is_some();
    let mut batch = if stands { rejoin::ask(office, read, fence)? } else { Batch::default() };
    for peer in fence.missing(office.members, office.me) {
        if office.members.is_active(&peer) {
            fence.ask(office, &peer, &mut batch)?;
        }
    }
    Ok(batch)
}

/// A peer has seen a higher or twin life of this node: takes one above it and begins to ask anew,
/// since what was told to the lower one might be told to a stranger. Only a fenced node may; one
/// that works would hide that two of it run.
pub fn raise(
    office: &Office<'_>,
    read: &(impl Read + ?Sized),
    seen: Life,
    fresh: &mut Fresh,
) -> Result<(Batch, Life), DecideError> {
    let (mut fence, stored) = Fence::load(read)?.ok_or(DecideError::Rule("life-superseded"))?;
    if seen.generation < office.life.generation {
        // The answer to a message of a life that was raised since.
        return Ok((Batch::default(), office.life));
    }
    let generation = seen.generation.max(office.life.generation).checked_add(1);
    let life =
        Life { generation: generation.ok_or(DecideError::Rule("life-exhausted"))?, mark: fresh.bytes16() };
    fence.heard.clear();
    fence.cursors.clear();
    let mut batch = Batch::default();
    batch.expect.push(Expect::Equals(fence_key(), stored));
    batch.expect.push(Expect::Equals(life_key(), encode_life(office.life)));
    ledger::set(&mut batch, fence_key(), fence.encode());
    ledger::set(&mut batch, life_key(), encode_life(life));
    let raised = Office { life, ..*office };
    batch.merge(ask_all(&raised, read, &fence)?);
    Ok((batch, life))
}

/// Ends the fence. A dossier whose seal shows in the log of before is closed first; the peers that have not
/// told everything are asked on.
///
/// What this node had half made in its old life is cancelled, because its peers have dropped it too and
/// might answer it no more. A copy that was accepted stays: only the old custodian can say whether it has
/// sealed.
pub(super) fn open(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    fence: &Fence,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    if rejoin::shut(office, books, vault, batch)? {
        // More than one batch holds: the fence stays for the rest.
        return Ok(());
    }
    rejoin::clear(office, books, fence, batch)?;
    if fence.missing(office.members, office.me).is_empty() {
        batch.put.push(Put::Delete(asking_key()));
    } else {
        ledger::set(batch, asking_key(), fence.encode());
    }
    batch.put.push(Put::Delete(fence_key()));
    for transfer in live(books)? {
        let half_made = match transfer.side {
            Side::Giving => matches!(transfer.stage, Stage::Requested | Stage::Offered),
            Side::Taking => !matches!(transfer.stage, Stage::Accepted),
        };
        // A seal that was learned in this very batch has ended the transfer already.
        let key = crate::custody::record::transfer_key(transfer.id);
        let touched = batch.put.iter().any(|put| *put.key() == key);
        if !half_made || touched {
            continue;
        }
        let Some(loaded) = Loaded::by_id(books, transfer.id)? else { continue };
        let input = Input::Cancel { reason: "restored".into() };
        let decision = match transfer.side {
            Side::Giving => giving::advance(office, books, vault, fresh, loaded, &input)?,
            Side::Taking => taking::advance(office, loaded, &input)?,
        };
        batch.merge(decision.batch);
    }
    Ok(())
}

/// An operator takes it on himself that some peers cannot be heard: a signed act that names them,
/// kept for ever. All that are missing must be named, so that nobody lifts more than he knows.
pub fn lift(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    fresh: &mut Fresh,
    without: &[NodeName],
    reason: &str,
) -> Result<(Batch, Vec<u8>), DecideError> {
    let (fence, stored) = Fence::load(books)?.ok_or(DecideError::Rule("fence-none"))?;
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(DecideError::Rule("fence-reason"));
    }
    let missing = fence.missing(office.members, office.me);
    if missing.iter().any(|name| !without.contains(name)) {
        return Err(DecideError::Rule("fence-missing-unnamed"));
    }
    let payload = MapBuilder::new()
        .put(1, cbor::int(1))
        .put(2, cbor::text(office.me.as_str()))
        .put(3, office.life.to_value())
        .put(4, cbor::int(office.now.0))
        .put(5, cbor::int(fence.made_at.0))
        .put_opt(6, names(&missing))
        .put(7, cbor::text(reason))
        .put_opt(8, office.trial.then_some(Value::Bool(true)));
    let typ = Typ::Text("yunling/fence-lifted".into());
    let act = cose::sign1(office.signer, &typ, b"yunling/fence-lifted/1", &cbor::encode(&payload.build()))?;
    let mut batch = Batch::default();
    batch.expect.push(Expect::Equals(fence_key(), stored));
    batch.put.extend(missing.iter().map(|peer| Put::Delete(question_key(peer))));
    ledger::set(&mut batch, lifted_key(office.life), act.clone());
    // Named by the operator, so they are asked no more.
    let nobody = Fence { heard: [fence.heard.clone(), missing].concat(), ..fence };
    open(office, books, vault, fresh, &nobody, &mut batch)?;
    Ok((batch, act))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fence_is_read_back_and_the_one_of_a_new_restore_is_short() {
        let name = |n: &str| NodeName::parse(n).unwrap();
        let mut fence = Fence {
            made_at: UnixTime(9),
            old_generation: 1,
            new_peers: vec![name("dali")],
            heard: vec![],
            cursors: BTreeMap::new(),
        };
        assert_eq!(Fence::decode(&fence.encode()), Ok(fence.clone()));
        fence.heard = vec![name("dali"), name("yuxi")];
        fence.cursors.insert(name("yuxi"), vec![7; 49]);
        assert_eq!(Fence::decode(&fence.encode()), Ok(fence));
    }

    #[test]
    fn a_fence_that_names_a_peer_twice_is_refused() {
        let name = |n: &str| NodeName::parse(n).unwrap();
        let once = Fence {
            made_at: UnixTime(9),
            old_generation: 1,
            new_peers: vec![name("yuxi"), name("dali")],
            heard: vec![name("dali")],
            cursors: BTreeMap::from([(name("dali"), vec![1]), (name("yuxi"), vec![2])]),
        };
        assert_eq!(Fence::decode(&once.encode()), Ok(once.clone()));
        let twice = Fence { new_peers: vec![name("dali"); 2], ..once.clone() };
        assert_eq!(Fence::decode(&twice.encode()), Err(CborError::WrongType(4)));
        let twice = Fence { heard: vec![name("dali"); 2], ..once.clone() };
        assert_eq!(Fence::decode(&twice.encode()), Err(CborError::WrongType(5)));
        // Cursors are a map here, so the second `yuxi` is written over the bytes of `dali`.
        let mut bytes = once.encode();
        let at = bytes.windows(4).rposition(|w| w == b"dali").unwrap();
        bytes[at..at + 4].copy_from_slice(b"yuxi");
        assert_eq!(Fence::decode(&bytes), Err(CborError::WrongType(6)));
    }

    #[test]
    fn a_peer_named_twice_by_the_operator_is_written_once() {
        let name = |n: &str| NodeName::parse(n).unwrap();
        let store = crate::store::oracle::Oracle::new();
        let named = [name("yuxi"), name("dali"), name("yuxi")];
        let fence = Fence::begin(&store, UnixTime(9), 1, &named).unwrap();
        assert_eq!(fence.new_peers, [name("dali"), name("yuxi")]);
        assert_eq!(Fence::decode(&fence.encode()), Ok(fence));
    }
}
