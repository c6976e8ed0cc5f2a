//! Messages between nodes: COSE_Sign1 by the statement key over from, to, dossier, epoch,
//! transfer and life (DESIGN §6). The connection proves nothing, and a file is as good.
//!
//! Also the unsigned frames around them: [`Frame`] for a request, [`Answer`] for its reply.

pub mod status;
pub mod wire;

use std::fmt;

pub use status::{StatusAnswer, StatusAsk};
pub use wire::{Answer, Frame, Hello, Pairing, SPEAKS_ROSTERS};

use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::cose::{self, CoseError, Sign1, Typ};
use crate::day::UnixTime;
use crate::id::{ChainHead, DossierId, DossierKey, TransferId};
use crate::key::{KeyEntry, Role, SignError, Signer};
use crate::member::Members;
use crate::minutes::Minutes;
use crate::name::NodeName;
use crate::name::node_name;
use crate::recovery::fence::CURSOR_BYTES_MAX;
use crate::recovery::rejoin::{LIVES_MAX, VOUCHED_NOTE_BYTES_MAX};
use crate::roster::Verdict;
use crate::statement::STATEMENT_BYTES_MAX;
use crate::statement::attestation::SHORT_TEXT_BYTES_MAX;

/// Largest signed message in bytes: a release carries a seal and a profile of at most 32 KiB and
/// must fit a request of 64 KiB.
pub const MESSAGE_BYTES_MAX: usize = 60 * 1024;
/// Largest encrypted or plain profile carried by a release.
pub const PROFILE_BYTES_MAX: usize = 32 * 1024;
/// Largest inclusion carried by a release: a path of 63 hashes (2,835 bytes of text) and a checkpoint with
/// the lines of its witnesses.
pub const INCLUSION_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a transfer code: 96 random bits, more than the 80 that DESIGN §6 asks.
pub const CODE_BYTES: usize = 12;

/// Generation and random mark of a node since its last restore.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// 1 at `init`, higher after each restore.
    pub generation: u64,
    /// 16 bytes drawn with it.
    pub mark: [u8; 16],
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Life({}/{:02x}{:02x})", self.generation, self.mark[0], self.mark[1])
    }
}

impl Life {
    pub(crate) fn to_value(self) -> Value {
        Value::Array(vec![cbor::int(self.generation), cbor::bytes(self.mark)])
    }

    pub(crate) fn from_value(value: Value, label: i64) -> Result<Self, CborError> {
        let Value::Array(items) = value else { return Err(CborError::WrongType(label)) };
        let [generation, mark]: [Value; 2] = items.try_into().map_err(|_| CborError::WrongType(label))?;
        Ok(Self { generation: cbor::as_uint(&generation, label)?, mark: cbor::as_array(mark, label)? })
    }
}

/// What a message asks or tells.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// New → old: hand me this dossier; the code was given to the volunteer.
    Request {
        /// Secret of the authorisation.
        code: [u8; CODE_BYTES],
    },
    /// Old → new: copy this chain.
    Offer {
        /// Head to copy up to.
        head: ChainHead,
        /// Statements up to it.
        count: u64,
        /// Minutes counted there, for the clerk.
        minutes: Minutes,
    },
    /// Old → new: no.
    Refuse {
        /// Reason code.
        reason: String,
    },
    /// New → old: give me the frames from this sequence on (opens a bulk stream).
    Pull {
        /// First sequence wanted.
        from: u64,
    },
    /// New → old: everything is copied, checked and durable.
    Accept {
        /// Head copied.
        head: ChainHead,
        /// Statements copied.
        count: u64,
    },
    /// Old → new: sealed; custody is yours.
    Release {
        /// The seal's bytes.
        seal: Vec<u8>,
        /// Dossier key.
        key: DossierKey,
        /// Profile, only with the volunteer's consent for this receiver.
        profile: Option<Vec<u8>>,
        /// The seal's place in the old custodian's log under a checkpoint that the quorum cosigned
        /// ([`crate::log::tlog_proof`]); none between bilateral peers.
        inclusion: Option<Vec<u8>>,
    },
    /// New → old: promoted and durable.
    Done {
        /// Length after "received".
        count: u64,
        /// Head after it.
        head: ChainHead,
    },
    /// Either side, before the seal.
    Cancel {
        /// Reason code.
        reason: String,
    },
    /// Issuer → custodian: a statement served away, or a change to one.
    Deliver {
        /// The statement's bytes.
        statement: Vec<u8>,
    },
    /// Restored node → peer: tell what you know of me since my backup.
    Recovering {
        /// When the backup was made, by the clock of the sender.
        since: UnixTime,
        /// Where the page begins, as the answer before named it; empty at first.
        after: Vec<u8>,
    },
    /// Peer → restored node: one page of what it knows.
    Known {
        /// Where the page begins.
        after: Vec<u8>,
        /// Statements signed by the receiver, seals that gave it a dossier, its receipts.
        items: Vec<Vec<u8>>,
        /// Where the next page begins; absent on the last one.
        next: Option<Vec<u8>>,
    },
    /// Successor → every member: I take this dossier over from a node that is gone; say what you hold of
    /// it that its custodian signed and that goes beyond this chain.
    Notice {
        /// The custodian that is gone.
        old: NodeName,
        /// Head of the chain known to the successor.
        head: ChainHead,
        /// Statements up to it.
        count: u64,
        /// When the notice ends.
        ends: UnixTime,
    },
    /// Restored node → witness of its log: name the newest checkpoint you know of each log that I had
    /// since, and cosign no older life of mine any more.
    Rejoin {
        /// Generation of the life that the backup was made in.
        since: u64,
    },
    /// Witness → restored node: promised; these are the newest checkpoints known here.
    Vouch {
        /// Version of the witness's roster, 0 for none: one that knows a newer one may know of other
        /// witnesses.
        roster: u64,
        /// Notes, one for each log, oldest life first.
        logs: Vec<Vec<u8>>,
    },
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the code, the key or the profile.
        f.write_str(self.word())
    }
}

impl Content {
    /// Kind number on the wire.
    pub fn number(&self) -> u64 {
        match self {
            Content::Request { .. } => 1,
            Content::Offer { .. } => 2,
            Content::Refuse { .. } => 3,
            Content::Pull { .. } => 4,
            Content::Accept { .. } => 5,
            Content::Release { .. } => 6,
            Content::Done { .. } => 7,
            Content::Cancel { .. } => 8,
            Content::Deliver { .. } => 9,
            Content::Recovering { .. } => 10,
            Content::Known { .. } => 11,
            Content::Notice { .. } => 12,
            Content::Rejoin { .. } => 13,
            Content::Vouch { .. } => 14,
        }
    }

    /// Word for logs.
    pub fn word(&self) -> &'static str {
        Self::word_of(self.number()).unwrap_or_default()
    }

    /// Word of a kind number.
    pub fn word_of(number: u64) -> Option<&'static str> {
        const WORDS: [&str; 14] = [
            "request",
            "offer",
            "refuse",
            "pull",
            "accept",
            "release",
            "done",
            "cancel",
            "deliver",
            "recovering",
            "known",
            "notice",
            "rejoin",
            "vouch",
        ];
        WORDS.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }

    fn put(&self, map: MapBuilder) -> MapBuilder {
        match self {
            Content::Request { code } => map.put(20, cbor::bytes(*code)),
            Content::Offer { head, count, minutes } => {
                map.put(20, cbor::bytes(head.0)).put(21, cbor::int(*count)).put(22, cbor::int(minutes.0))
            }
            Content::Refuse { reason } | Content::Cancel { reason } => {
                map.put(20, cbor::text(reason.as_str()))
            }
            Content::Pull { from } => map.put(20, cbor::int(*from)),
            Content::Accept { head, count } | Content::Done { count, head } => {
                map.put(20, cbor::bytes(head.0)).put(21, cbor::int(*count))
            }
            Content::Release { seal, key, profile, inclusion } => map
                .put(20, cbor::bytes(seal.as_slice()))
                .put(21, cbor::bytes(key.0))
                .put_opt(22, profile.as_ref().map(|p| cbor::bytes(p.as_slice())))
                .put_opt(23, inclusion.as_ref().map(|i| cbor::bytes(i.as_slice()))),
            Content::Deliver { statement } => map.put(20, cbor::bytes(statement.as_slice())),
            Content::Recovering { since, after } => {
                map.put(20, cbor::int(since.0)).put(21, cbor::bytes(after.as_slice()))
            }
            Content::Notice { old, head, count, ends } => map
                .put(20, cbor::text(old.as_str()))
                .put(21, cbor::bytes(head.0))
                .put(22, cbor::int(*count))
                .put(23, cbor::int(ends.0)),
            Content::Rejoin { since } => map.put(20, cbor::int(*since)),
            Content::Vouch { roster, logs } => {
                let list: Vec<Value> = logs.iter().map(|note| cbor::bytes(note.as_slice())).collect();
                map.put(20, cbor::int(*roster)).put_opt(21, (!list.is_empty()).then_some(Value::Array(list)))
            }
            Content::Known { after, items, next } => {
                let list: Vec<Value> = items.iter().map(|s| cbor::bytes(s.as_slice())).collect();
                map.put(20, cbor::bytes(after.as_slice()))
                    .put_opt(21, (!list.is_empty()).then_some(Value::Array(list)))
                    .put_opt(22, next.as_ref().map(|n| cbor::bytes(n.as_slice())))
            }
        }
    }

    fn take(kind: u64, f: &mut Fields) -> Result<Self, CborError> {
        Ok(match kind {
            1 => Content::Request { code: f.array(20)? },
            2 => Content::Offer {
                head: ChainHead(f.array(20)?),
                count: f.uint(21)?,
                minutes: Minutes(f.uint(22)?),
            },
            3 => Content::Refuse { reason: f.text(20, SHORT_TEXT_BYTES_MAX)? },
            4 => Content::Pull { from: f.uint(20)? },
            5 => Content::Accept { head: ChainHead(f.array(20)?), count: f.uint(21)? },
            6 => Content::Release {
                seal: f.bytes(20, STATEMENT_BYTES_MAX)?,
                key: DossierKey(f.array(21)?),
                profile: opt_bytes(f, 22, PROFILE_BYTES_MAX)?,
                inclusion: opt_bytes(f, 23, INCLUSION_BYTES_MAX)?,
            },
            7 => Content::Done { head: ChainHead(f.array(20)?), count: f.uint(21)? },
            8 => Content::Cancel { reason: f.text(20, SHORT_TEXT_BYTES_MAX)? },
            9 => Content::Deliver { statement: f.bytes(20, STATEMENT_BYTES_MAX)? },
            10 => Content::Recovering { since: UnixTime(f.int(20)?), after: f.bytes(21, CURSOR_BYTES_MAX)? },
            11 => Content::Known {
                after: f.bytes(20, CURSOR_BYTES_MAX)?,
                items: f
                    .list(21, KNOWN_ITEMS_MAX)?
                    .into_iter()
                    .map(statement_bytes)
                    .collect::<Result<_, _>>()?,
                next: match f.opt(22) {
                    None => None,
                    Some(Value::Bytes(bytes)) if bytes.len() <= CURSOR_BYTES_MAX => Some(bytes),
                    Some(_) => return Err(CborError::WrongType(22)),
                },
            },
            12 => Content::Notice {
                old: node_name(f, 20)?,
                head: ChainHead(f.array(21)?),
                count: f.uint(22)?,
                ends: UnixTime(f.int(23)?),
            },
            13 => Content::Rejoin { since: f.uint(20)? },
            14 => Content::Vouch {
                roster: f.uint(20)?,
                logs: f
                    .list(21, LIVES_MAX)?
                    .into_iter()
                    .map(|note| match note {
                        Value::Bytes(bytes) if bytes.len() <= VOUCHED_NOTE_BYTES_MAX => Ok(bytes),
                        _ => Err(CborError::WrongType(21)),
                    })
                    .collect::<Result<_, _>>()?,
            },
            _ => return Err(CborError::WrongType(1)),
        })
    }
}

/// Bytes that may be absent, at most `max` of them.
fn opt_bytes(f: &mut Fields, label: i64, max: usize) -> Result<Option<Vec<u8>>, CborError> {
    match f.opt(label) {
        None => Ok(None),
        Some(Value::Bytes(bytes)) if bytes.len() <= max => Ok(Some(bytes)),
        Some(_) => Err(CborError::WrongType(label)),
    }
}

/// Most statements in one page: no statement is smaller than 120 bytes.
const KNOWN_ITEMS_MAX: usize = MESSAGE_BYTES_MAX / 120;

fn statement_bytes(value: Value) -> Result<Vec<u8>, CborError> {
    match value {
        Value::Bytes(bytes) if bytes.len() <= STATEMENT_BYTES_MAX => Ok(bytes),
        _ => Err(CborError::WrongType(21)),
    }
}

/// A signed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Sender.
    pub from: NodeName,
    /// Receiver.
    pub to: NodeName,
    /// Dossier.
    pub dossier: DossierId,
    /// Custody epoch the sender speaks of; of what is known, the generation of the life that asked.
    pub epoch: u64,
    /// Transfer; zero bytes for a delivery; of what is known, the mark of the life that asked.
    pub transfer: TransferId,
    /// Sender's life.
    pub life: Life,
    /// When it was signed.
    pub at: UnixTime,
    /// Sender is a trial node.
    pub trial: bool,
    /// The content.
    pub content: Content,
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Encoding.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Envelope or signature.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// For another node.
    #[error("the message is for {0}")]
    NotForMe(NodeName),
    /// From a node that is not an accepted peer.
    #[error("{0} is not an accepted peer")]
    UnknownPeer(NodeName),
    /// From a node that the roster does not count as a member now: suspended, withdrawn, succeeded.
    #[error("{name} is no member now: {}", .verdict.code())]
    NotMember {
        /// Sender.
        name: NodeName,
        /// What the roster says of it.
        verdict: Verdict,
    },
    /// Trial and real do not mix.
    #[error("a trial node and a real node do not exchange messages")]
    Trial,
    /// Signed more than [`FUTURE_SECONDS_MAX`] ahead of the own clock.
    #[error("the message is dated in the future: compare the clocks")]
    Clock,
}

impl MessageError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cbor(_) => "message-encoding",
            Self::Cose(_) => "message-signature",
            Self::NotForMe(_) => "message-not-for-me",
            Self::UnknownPeer(_) => "peer-unknown",
            Self::NotMember { verdict, .. } => verdict.code(),
            Self::Trial => "trial-mixed",
            Self::Clock => "clock",
        }
    }
}

/// Clock difference accepted from a peer, seconds (DESIGN §4: 10 minutes).
pub const FUTURE_SECONDS_MAX: i64 = 600;

const TYP: &str = "yunling/message";
const AAD: &[u8] = b"yunling/message/1";

impl Message {
    /// Signs the message.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        let map = MapBuilder::new()
            .put(1, cbor::int(self.content.number()))
            .put(2, cbor::int(1))
            .put(3, cbor::bytes(self.dossier.0))
            .put(4, cbor::text(self.from.as_str()))
            .put(5, cbor::text(self.to.as_str()))
            .put(6, cbor::int(self.at.0))
            .put_opt(7, self.trial.then_some(Value::Bool(true)))
            .put(8, cbor::int(self.epoch))
            .put(9, cbor::bytes(self.transfer.0))
            .put(10, self.life.to_value());
        cose::sign1(signer, &Typ::Text(TYP.into()), AAD, &cbor::encode(&self.content.put(map).build()))
    }

    /// Parses a message and checks sender, receiver, clock and signature at `now`.
    pub fn open(
        bytes: &[u8],
        me: &NodeName,
        members: &Members,
        trial: bool,
        now: UnixTime,
    ) -> Result<Self, MessageError> {
        let (message, sign1) = Self::parse(bytes)?;
        if message.to != *me {
            return Err(MessageError::NotForMe(message.to));
        }
        if !members.is_active(&message.from) {
            return Err(MessageError::UnknownPeer(message.from));
        }
        match members.state(&message.from, now) {
            Verdict::Good => {}
            verdict => return Err(MessageError::NotMember { name: message.from, verdict }),
        }
        let keys: Vec<&KeyEntry> = members.keys(&message.from, Role::Statement, now).collect();
        sign1.verify(AAD, keys)?;
        if message.trial != trial {
            return Err(MessageError::Trial);
        }
        if message.at.0 > now.0 + FUTURE_SECONDS_MAX {
            return Err(MessageError::Clock);
        }
        Ok(message)
    }

    fn parse(bytes: &[u8]) -> Result<(Self, Sign1), MessageError> {
        let sign1 = Sign1::parse(bytes, MESSAGE_BYTES_MAX)?;
        if sign1.typ != Some(Typ::Text(TYP.into())) || !sign1.unprotected.is_empty() {
            return Err(CborError::Shape("typ of a message is expected").into());
        }
        let mut f = Fields::open(cbor::decode(&sign1.payload, MESSAGE_BYTES_MAX)?)?;
        let kind = f.uint(1)?;
        if f.uint(2)? != 1 {
            return Err(CborError::WrongType(2).into());
        }
        let message = Self {
            dossier: DossierId(f.array(3)?),
            from: node_name(&mut f, 4)?,
            to: node_name(&mut f, 5)?,
            at: UnixTime(f.int(6)?),
            trial: f.flag(7)?,
            epoch: f.uint(8)?,
            transfer: TransferId(f.array(9)?),
            life: Life::from_value(f.need(10)?, 10)?,
            content: Content::take(kind, &mut f)?,
        };
        f.finish()?;
        Ok((message, sign1))
    }

    /// Reads a message between any two nodes and checks who signed it with the statement keys that
    /// `keys` gives of a node: what it says can be shown to third parties. Receiver, clock and life
    /// are not judged.
    pub fn signed(bytes: &[u8], keys: impl FnOnce(&NodeName) -> Vec<KeyEntry>) -> Result<Self, MessageError> {
        let (message, sign1) = Self::parse(bytes)?;
        sign1.verify(AAD, &keys(&message.from))?;
        Ok(message)
    }

    /// Reads a message that this node made itself, e.g. from its outbox; no signature check.
    pub fn parse_own(bytes: &[u8]) -> Result<Self, MessageError> {
        Self::parse(bytes).map(|(message, _)| message)
    }
}
