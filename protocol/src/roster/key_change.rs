//! A node asks the stewards to list its new card: after a planned change of keys, or when keys are lost.
//!
//! In: the member as the roster lists it, its new card, and where the old signing keys cannot vouch any
//! more the [`KeyChange`] that its recovery key signed. Out: who vouches. The stewards' tool asks before
//! it puts a card into the next version, so that nobody who only found a file can take over a name.

use crate::card::{CARD_BYTES_MAX, CardError, SignedCard};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::cose::{self, CoseError, Sign1, Typ};
use crate::day::UnixTime;
use crate::key::{KeyEntry, Role, SignError, Signer};
use crate::name::NodeName;
use crate::roster::RosterNode;

/// Largest key change in bytes: a card, a name, a date and the envelope.
pub const KEY_CHANGE_BYTES_MAX: usize = CARD_BYTES_MAX + 512;
const TYP: &str = "yunling/key-change";
const AAD: &[u8] = b"yunling/key-change/1";

/// A node's recovery key vouches for the node's new card, which lists the new keys and all old ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The node.
    pub node: NodeName,
    /// Its new card.
    pub card: SignedCard,
    /// When it was asked for, by the clock of the node.
    pub at: UnixTime,
    /// Of a trial node.
    pub trial: bool,
    /// Since when somebody else may have had the keys that the card ends; none when they were only lost.
    pub compromised_from: Option<UnixTime>,
}

/// Who vouches for a new card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voucher {
    /// A statement key that the roster lists and that is good now.
    StatementKey,
    /// The recovery key.
    RecoveryKey,
}

impl Voucher {
    /// Stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::StatementKey => "statement",
            Self::RecoveryKey => "recovery",
        }
    }
}

/// Why a card or a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyChangeError {
    /// The CBOR rules.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The envelope.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The card inside.
    #[error(transparent)]
    Card(#[from] CardError),
    /// Card and request, or card and member, are of two nodes.
    #[error("the request and the card are not of {0}")]
    OtherNode(NodeName),
    /// Neither a good statement key nor the recovery key of the listed member vouches for the card.
    #[error(
        "no key that the roster lists for {0} vouches for the new card: a request signed by its recovery \
         key is needed"
    )]
    Unvouched(NodeName),
}

impl KeyChangeError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cbor(_) => "key-change-encoding",
            Self::Cose(_) => "key-change-signature",
            Self::Card(error) => error.code(),
            Self::OtherNode(_) => "key-change-other-node",
            Self::Unvouched(_) => "key-change-unvouched",
        }
    }
}

impl KeyChange {
    /// Signs with the node's recovery key.
    pub fn sign(&self, recovery: &dyn Signer) -> Result<Vec<u8>, SignError> {
        let payload = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::text(self.node.as_str()))
            .put(3, cbor::bytes(self.card.bytes()))
            .put(4, cbor::int(self.at.0))
            .put_opt(5, self.trial.then_some(Value::Bool(true)))
            .put_opt(6, self.compromised_from.map(|from| cbor::int(from.0)));
        cose::sign1(recovery, &Typ::Text(TYP.into()), AAD, &cbor::encode(&payload.build()))
    }

    /// Opens the request of a member and verifies it with the recovery keys that the roster lists for it
    /// and that are good at `now`.
    pub fn open(bytes: &[u8], member: &RosterNode, now: UnixTime) -> Result<Self, KeyChangeError> {
        let sign1 = Sign1::parse(bytes, KEY_CHANGE_BYTES_MAX)?;
        if sign1.typ != Some(Typ::Text(TYP.into())) || !sign1.unprotected.is_empty() {
            return Err(CborError::Shape("typ of a key change is expected").into());
        }
        let mut f = Fields::open(cbor::decode(&sign1.payload, KEY_CHANGE_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1).into());
        }
        let node = crate::name::node_name(&mut f, 2)?;
        let card = SignedCard::parse(&f.bytes(3, CARD_BYTES_MAX)?)?;
        let (at, trial) = (UnixTime(f.int(4)?), f.flag(5)?);
        let compromised_from = f.opt_int(6)?.map(UnixTime);
        let change = Self { node, card, at, trial, compromised_from };
        f.finish()?;
        let same = change.node == *member.name()
            && change.card.card.name == change.node
            && change.trial == change.card.card.trial
            && change.trial == member.card.card.trial;
        if !same {
            return Err(KeyChangeError::OtherNode(member.name().clone()));
        }
        sign1.verify(AAD, vouching(member, Role::Recovery, now))?;
        Ok(change)
    }
}

impl KeyChange {
    /// Keys of the member that the change says were in other hands: those which its card ends, and which
    /// had no such end before.
    pub fn compromised<'m>(&'m self, member: &'m RosterNode) -> impl Iterator<Item = &'m KeyEntry> {
        let ends = |key: &&KeyEntry| {
            let new = self.card.card.keys_of(key.role).find(|k| k.public == key.public);
            let end = new.and_then(|k| k.not_after);
            end.is_some_and(|end| end <= self.at && key.not_after.is_none_or(|old| end < old))
        };
        member.keys().iter().filter(move |key| self.compromised_from.is_some() && ends(key))
    }
}

/// Keys of a member that may vouch at `now`. A suspended member may change its keys too: that may be why
/// it is suspended.
fn vouching(member: &RosterNode, role: Role, now: UnixTime) -> impl Iterator<Item = &KeyEntry> {
    member.keys_of(role).filter(move |key| {
        key.valid_at(now) && member.compromised_from(&key.public).is_none_or(|from| now < from)
    })
}

/// Says who vouches for the new card of a member: a good statement key that signed it, or the recovery
/// key in a request opened with [`KeyChange::open`].
pub fn vouch(
    member: &RosterNode,
    card: &SignedCard,
    change: Option<&KeyChange>,
    now: UnixTime,
) -> Result<Voucher, KeyChangeError> {
    if card.card.name != *member.name() {
        return Err(KeyChangeError::OtherNode(member.name().clone()));
    }
    if card.signed_by(vouching(member, Role::Statement, now)).is_ok() {
        return Ok(Voucher::StatementKey);
    }
    match change {
        Some(change) if change.card == *card && change.node == *member.name() => Ok(Voucher::RecoveryKey),
        _ => Err(KeyChangeError::Unvouched(member.name().clone())),
    }
}
