//! Courier files (DESIGN §6): what two offices would say on a connection, written down. In: requests,
//! answers and parts of a dossier. Out: a [`Parcel`] that the receiver's key closes, under a [`Cover`]
//! that the sender's statement key signs.
//!
//! Requests are the frames of a connection and go to the same decisions. Answers are not signed
//! there because the connection is the peer's; here the cover is, and it says in which life they were
//! given. Closing and opening needs random bytes and is the node's.
//!
//! A file is `yunling-courier`, a line end, the version, the length of the cover (4 bytes), the
//! cover, and the closed parcel to the end. The cover is in clear: who wrote to whom, when, and no more.

mod parcel;

pub use parcel::{Item, PART_BYTES, Parcel, Writer};

use sha2::{Digest as _, Sha256};

use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::cose::{self, CoseError, Sign1, Typ};
use crate::day::UnixTime;
use crate::key::{KeyEntry, Role, SignError, Signer};
use crate::member::Members;
use crate::message::{FUTURE_SECONDS_MAX, Life};
use crate::name::{NodeName, node_name};

/// Largest file: with a third more in Base64 it passes the 25 MB of common mail servers.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest parcel: leaves room in the file for cover, age header and the 16 bytes on each 64 KiB.
pub const PARCEL_BYTES_MAX: usize = FILE_BYTES_MAX - 64 * 1024;
/// Most items of a file: as many messages as one look at the outbox reads, and as many answers.
pub const ITEMS_MAX: usize = 8_192;

/// First bytes of every file, then the version.
const MAGIC: &[u8; 16] = b"yunling-courier\n";
const VERSION: u8 = 1;
/// Magic, version, length of the cover.
const HEAD_BYTES: usize = 16 + 1 + 4;
/// Largest cover: two names, a life, a hash and a signature.
const COVER_BYTES_MAX: usize = 1_024;
const TYP: &str = "yunling/courier";
const AAD: &[u8] = b"yunling/courier/1";

/// What a file says of itself in clear, signed by its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// Sender.
    pub from: NodeName,
    /// Receiver.
    pub to: NodeName,
    /// Sender's life; answers of a life that is over count for nothing.
    pub life: Life,
    /// Running number of the sender's files to this receiver in this life, from 1.
    pub number: u64,
    /// When it was made.
    pub at: UnixTime,
    /// Sender is a trial node.
    pub trial: bool,
    /// Bytes of the closed parcel.
    pub bytes: u64,
    /// Their SHA-256.
    pub hash: [u8; 32],
}

/// Why a file was refused. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CourierError {
    /// Not a courier file.
    #[error("not a courier file")]
    Form,
    /// A version this program does not know.
    #[error("format version {0}, known is {VERSION}")]
    Newer(u64),
    /// Larger than any file may be.
    #[error("the file has {bytes} bytes, at most {FILE_BYTES_MAX} are read")]
    Large {
        /// Its bytes.
        bytes: u64,
    },
    /// The file ends early, or something was added to it.
    #[error("the file has {found} bytes of its parcel, {expected} belong to it")]
    Cut {
        /// Bytes that belong to it.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// Changed on the way.
    #[error("the {0} is not what the sender signed")]
    Damaged(&'static str),
    /// For another office.
    #[error("the file is for {0}")]
    NotForMe(NodeName),
    /// From an office that is no accepted peer.
    #[error("{0} is not an accepted peer")]
    UnknownSender(NodeName),
    /// Not signed by the sender's statement key.
    #[error("the file is not signed by {0}")]
    Signature(NodeName),
    /// Trial and real do not mix.
    #[error("a trial node and a real node do not exchange files")]
    Trial,
    /// Made more than [`FUTURE_SECONDS_MAX`] ahead of the own clock.
    #[error("the file is dated in the future: {0}")]
    Clock(UnixTime),
}

impl CourierError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form => "courier-form",
            Self::Newer(_) => "courier-newer",
            Self::Large { .. } => "courier-large",
            Self::Cut { .. } => "courier-cut",
            Self::Damaged(_) => "courier-damaged",
            Self::NotForMe(_) => "courier-not-for-me",
            Self::UnknownSender(_) => "courier-sender-unknown",
            Self::Signature(_) => "courier-signature",
            Self::Trial => "trial-mixed",
            Self::Clock(_) => "courier-clock",
        }
    }
}

impl Cover {
    /// The whole file: signed cover and closed parcel. `bytes` and `hash` are filled in here.
    pub fn write(mut self, signer: &dyn Signer, closed: &[u8]) -> Result<Vec<u8>, SignError> {
        self.bytes = closed.len() as u64;
        self.hash = Sha256::digest(closed).into();
        let cover = self.sign(signer)?;
        let length = (cover.len() as u32).to_be_bytes();
        Ok([&MAGIC[..], &[VERSION], &length, &cover, closed].concat())
    }

    fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        let map = MapBuilder::new()
            .put(1, cbor::int(VERSION))
            .put(2, cbor::text(self.from.as_str()))
            .put(3, cbor::text(self.to.as_str()))
            .put(4, self.life.to_value())
            .put(5, cbor::int(self.number))
            .put(6, cbor::int(self.at.0))
            .put_opt(7, self.trial.then_some(cbor::Value::Bool(true)))
            .put(8, cbor::int(self.bytes))
            .put(9, cbor::bytes(self.hash));
        cose::sign1(signer, &Typ::Text(TYP.into()), AAD, &cbor::encode(&map.build()))
    }

    /// Reads a file and checks all that needs no secret: form, receiver, sender, signature, clock,
    /// and that the parcel is whole. Gives the cover and the closed parcel.
    pub fn open<'b>(
        file: &'b [u8],
        me: &NodeName,
        members: &Members,
        trial: bool,
        now: UnixTime,
    ) -> Result<(Self, &'b [u8]), CourierError> {
        if file.len() > FILE_BYTES_MAX {
            return Err(CourierError::Large { bytes: file.len() as u64 });
        }
        let (signed, closed) = split(file)?;
        let (cover, sign1) = Self::parse(signed)?;
        if cover.to != *me {
            return Err(CourierError::NotForMe(cover.to));
        }
        if cover.from == *me || !members.admits(&cover.from, now) {
            return Err(CourierError::UnknownSender(cover.from));
        }
        let keys: Vec<&KeyEntry> = members.keys(&cover.from, Role::Statement, now).collect();
        if sign1.verify(AAD, keys).is_err() {
            return Err(CourierError::Signature(cover.from));
        }
        if cover.trial != trial {
            return Err(CourierError::Trial);
        }
        if cover.at.0 > now.0.saturating_add(FUTURE_SECONDS_MAX) {
            return Err(CourierError::Clock(cover.at));
        }
        if cover.bytes != closed.len() as u64 {
            return Err(CourierError::Cut { expected: cover.bytes, found: closed.len() as u64 });
        }
        if cover.hash != <[u8; 32]>::from(Sha256::digest(closed)) {
            return Err(CourierError::Damaged("parcel"));
        }
        Ok((cover, closed))
    }

    fn parse(signed: &[u8]) -> Result<(Self, Sign1), CourierError> {
        let read = || -> Result<(Self, Sign1), CoseError> {
            let sign1 = Sign1::parse(signed, COVER_BYTES_MAX)?;
            if sign1.typ != Some(Typ::Text(TYP.into())) || !sign1.unprotected.is_empty() {
                return Err(CborError::Shape("typ of a cover is expected").into());
            }
            let mut f = Fields::open(cbor::decode(&sign1.payload, COVER_BYTES_MAX)?)?;
            if f.uint(1)? != u64::from(VERSION) {
                return Err(CborError::WrongType(1).into());
            }
            let cover = Self {
                from: node_name(&mut f, 2)?,
                to: node_name(&mut f, 3)?,
                life: Life::from_value(f.need(4)?, 4)?,
                number: f.uint(5)?,
                at: UnixTime(f.int(6)?),
                trial: f.flag(7)?,
                bytes: f.uint(8)?,
                hash: f.array(9)?,
            };
            f.finish()?;
            Ok((cover, sign1))
        };
        read().map_err(|_| CourierError::Damaged("cover"))
    }
}

/// Cuts a file into signed cover and closed parcel.
fn split(file: &[u8]) -> Result<(&[u8], &[u8]), CourierError> {
    let cut = |expected: usize| CourierError::Cut { expected: expected as u64, found: file.len() as u64 };
    let head = match file.get(..HEAD_BYTES) {
        Some(head) => head,
        // A piece of the head is a file that was cut, anything else is no courier file.
        None if !file.is_empty() && file[..file.len().min(16)] == MAGIC[..file.len().min(16)] => {
            return Err(cut(HEAD_BYTES));
        }
        None => return Err(CourierError::Form),
    };
    if head[..16] != MAGIC[..] {
        return Err(CourierError::Form);
    }
    if head[16] != VERSION {
        return Err(CourierError::Newer(u64::from(head[16])));
    }
    let length = head[17..].iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
    if length > COVER_BYTES_MAX {
        return Err(CourierError::Damaged("cover"));
    }
    let rest = &file[HEAD_BYTES..];
    if rest.len() < length {
        return Err(cut(HEAD_BYTES + length));
    }
    Ok(rest.split_at(length))
}

/// How a request is named in its answer: SHA-256 of its bytes.
pub fn request_id(request: &[u8]) -> [u8; 32] {
    Sha256::digest(request).into()
}
