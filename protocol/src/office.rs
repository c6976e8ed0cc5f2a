//! What a decision knows of its own node, and what it gives back.
//!
//! [`Office`] is the context of every decision; [`Decision`] is its result: one batch that must be
//! durable before anything else happens, the answer to the caller, and what to wake.

use std::collections::BTreeMap;

use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::custody::CustodyError;
use crate::day::UnixTime;
use crate::dossier::FoldError;
use crate::fresh::Fresh;
use crate::id::{DossierId, DossierKey, Salt, StatementId, TransferId};
use crate::key::{SignError, Signer};
use crate::ledger::LedgerError;
use crate::member::Members;
use crate::message::{Answer, Content, Life, MESSAGE_BYTES_MAX, Message};
use crate::name::NodeName;
use crate::policy::Policy;
use crate::profile::Profile;
use crate::roster::Verdict;
use crate::statement::{Body, Statement, statement_common};
use crate::store::{Batch, Key, Table};

/// The deciding node.
#[derive(Clone, Copy)]
pub struct Office<'a> {
    /// Its name.
    pub me: &'a NodeName,
    /// Its life.
    pub life: Life,
    /// A trial home.
    pub trial: bool,
    /// Nodes it knows.
    pub members: &'a Members,
    /// Its statement key.
    pub signer: &'a dyn Signer,
    /// Rule profile.
    pub profile: &'a Profile,
    /// Policies of single peers; others get the default.
    pub policies: &'a BTreeMap<NodeName, Policy>,
    /// Restored and not yet told by all its peers what it forgot: nothing may be appended.
    pub fenced: bool,
    /// A clerk must approve each transfer away.
    pub hold_transfers: bool,
    /// Now.
    pub now: UnixTime,
}

/// Secrets of a dossier, readable by its custodian only.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Dossier key.
    pub key: DossierKey,
    /// Profile of the person, as the node encodes it; opaque here.
    pub profile: Option<Vec<u8>>,
}

/// Opens and closes the encrypted secrets of a dossier.
pub trait Vault {
    /// Opens stored bytes; `None` when they do not belong to this key.
    fn open(&self, dossier: DossierId, stored: &[u8]) -> Option<Secrets>;
    /// Closes secrets for storing, with a nonce never used before.
    fn close(&self, dossier: DossierId, secrets: &Secrets, nonce: [u8; 32]) -> Vec<u8>;
}

/// Result of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// To be durable first.
    pub batch: Batch,
    /// Then the answer.
    pub answer: Answer,
    /// Something stands in the outbox.
    pub wake: bool,
}

impl Decision {
    /// Nothing changes.
    pub fn answer(answer: Answer) -> Self {
        Self { batch: Batch::default(), answer, wake: false }
    }

    /// Nothing changes; refused with a stable code.
    pub fn refused(code: &str) -> Self {
        Self::answer(Answer::Refused(code.to_owned()))
    }
}

/// Why a decision could not be made. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The chain does not take the statement.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The transfer does not take the step.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The signing device.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A rule, by its stable code.
    #[error("rule {0}")]
    Rule(&'static str),
}

impl DecideError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ledger(e) => e.code(),
            Self::Fold(e) => e.code(),
            Self::Custody(e) => e.code(),
            Self::Sign(_) => "sign-device",
            Self::Rule(code) => code,
        }
    }
}

impl From<CborError> for DecideError {
    fn from(error: CborError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<crate::store::StoreError> for DecideError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Ledger(error.into())
    }
}

impl Office<'_> {
    /// Why this node may neither append, answer nor send: it is fenced, or it reads in the roster that it
    /// is suspended, has left or was succeeded and is read-only (DESIGN §6).
    pub fn closed(&self) -> Option<&'static str> {
        if self.fenced {
            return Some("fenced");
        }
        match self.members.state(self.me, self.now) {
            Verdict::Suspended { .. } => Some("self-suspended"),
            Verdict::Withdrawn { .. } => Some("self-withdrawn"),
            Verdict::Succeeded { .. } => Some("self-succeeded"),
            _ => None,
        }
    }

    /// Refuses what is meant for a node that is no peer, or no member now; says which.
    pub fn refuse_peer(&self, name: &NodeName) -> Result<(), DecideError> {
        if name == self.me || !self.members.is_active(name) {
            return Err(DecideError::Rule("peer-unknown"));
        }
        match self.members.state(name, self.now) {
            Verdict::Good => Ok(()),
            verdict => Err(DecideError::Rule(verdict.code())),
        }
    }

    /// Signs a statement of this node about `dossier`.
    pub fn state(&self, fresh: &mut Fresh, dossier: DossierId, body: &Body) -> Result<Statement, SignError> {
        let common = statement_common(dossier, Salt(fresh.bytes16()), self.me.clone(), self.now, self.trial);
        Statement::sign(self.signer, &common, body)
    }

    /// Signs a message and puts it into the outbox.
    pub fn post(
        &self,
        batch: &mut Batch,
        to: &NodeName,
        dossier: DossierId,
        epoch: u64,
        transfer: TransferId,
        content: Content,
    ) -> Result<(), SignError> {
        let key = match &content {
            Content::Deliver { statement } => {
                outbox_key(to, OutboxKind::Delivery, &crate::statement::id_of(statement).0)
            }
            other => custody_outbox_key(to, transfer, other.number()),
        };
        let message = Message {
            from: self.me.clone(),
            to: to.clone(),
            dossier,
            epoch,
            transfer,
            life: self.life,
            at: self.now,
            trial: self.trial,
            content,
        };
        let entry = OutboxEntry { created: self.now, message: message.sign(self.signer)? };
        crate::ledger::set(batch, key, entry.encode());
        Ok(())
    }

    /// Policy towards an issuer.
    pub fn policy(&self, issuer: &NodeName) -> Policy {
        self.policies.get(issuer).copied().unwrap_or_default()
    }
}

/// Kinds of outbox entries; part of the stored key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxKind {
    /// A custody message; leaves the outbox when the transfer moves on.
    Custody = b'c' as isize,
    /// A delivery; leaves it with an accepted or refused receipt.
    Delivery = b'd' as isize,
}

/// Key of an outbox entry: peer, zero, kind, id.
pub fn outbox_key(to: &NodeName, kind: OutboxKind, id: &[u8]) -> Key {
    let mut key = outbox_prefix(to);
    key.push(kind as u8);
    key.extend_from_slice(id);
    Key::new(Table::Outbox, key)
}

/// Prefix of a peer's outbox entries; a name holds no zero byte.
pub fn outbox_prefix(to: &NodeName) -> Vec<u8> {
    let mut key = to.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

/// Key of a custody message in the outbox.
pub fn custody_outbox_key(to: &NodeName, transfer: TransferId, content_number: u64) -> Key {
    let id = [transfer.as_bytes(), &[content_number as u8]].concat();
    outbox_key(to, OutboxKind::Custody, &id)
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Since when.
    pub created: UnixTime,
    /// The signed message.
    pub message: Vec<u8>,
}

impl OutboxEntry {
    /// Encodes, version 1.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::int(self.created.0))
            .put(3, cbor::bytes(self.message.as_slice()));
        cbor::encode(&map.build())
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, MESSAGE_BYTES_MAX + 256)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let entry = Self { created: UnixTime(f.int(2)?), message: f.bytes(3, MESSAGE_BYTES_MAX)? };
        f.finish()?;
        Ok(entry)
    }
}

/// Whether an answer ends a custody message of the outbox that no next message of its transfer
/// would end. A cancel is over when the peer took it or knows of no such move; a peer that only
/// does not listen now (peering ended, its clock is wrong) would never hear of it otherwise.
pub fn answer_ends(content: &Content, answer: &Answer) -> bool {
    let no_more = matches!(
        content,
        Content::Cancel { .. } | Content::Refuse { .. } | Content::Known { .. } | Content::Vouch { .. }
    );
    match answer {
        Answer::Ok => no_more || matches!(content, Content::Done { .. } | Content::Notice { .. }),
        Answer::Refused(code) => no_more && !matches!(code.as_str(), "peer-unknown" | "clock"),
        _ => false,
    }
}

/// Key of the secrets of a dossier.
pub fn secrets_key(dossier: DossierId) -> Key {
    Key::new(Table::Profile, dossier.as_bytes().to_vec())
}

/// Key of a delivery held for a person.
pub fn held_key(dossier: DossierId, id: StatementId) -> Key {
    Key::new(Table::Held, [dossier.as_bytes(), id.as_bytes()].concat())
}
