//! Frames of `/yunling/rpc/1`: what one request and its answer look like on a connection.
//!
//! Nothing in a frame is believed because of the connection: messages and receipts are signed.
//! Every request is idempotent, so a timeout only means *unknown*.

use super::status::{StatusAnswer, StatusAsk};
use super::{INCLUSION_BYTES_MAX, Life, MESSAGE_BYTES_MAX};
use crate::card::CARD_BYTES_MAX;
use crate::cbor::{self, CborError, Value};
use crate::id::{DossierId, StatementId};
use crate::log::rows::NOTE_BYTES_MAX;
use crate::name::{NODE_NAME_BYTES_MAX, NodeName};
use crate::pairing::HALF_BYTES_MAX;
use crate::roster::{ROSTER_BYTES_MAX, STEPS_MAX};
use crate::statement::STATEMENT_BYTES_MAX;
use crate::statement::attestation::SHORT_TEXT_BYTES_MAX;
use crate::store::VALUE_BYTES_MAX;

/// Cap of a request frame (DESIGN §10).
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Cap of an answer frame (DESIGN §10).
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Most changes in one answer: with the statement cap they stay under the answer cap.
pub const ITEMS_MAX: usize = 60;
/// Most seals in one answer: one for each move a dossier ever made. A seal has under 1 KiB, so that
/// all of them stay under the answer cap.
pub const SEALS_MAX: usize = 1_000;

/// Largest `add-checkpoint` body taken: a size, 63 hashes of text and a note with sixteen signatures stay
/// under 8 KiB.
pub const CHECKPOINT_REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Largest file of a log: 256 entries of at most 128 bytes with their lengths; a tile of hashes has 8 KiB.
pub const LOG_FILE_BYTES_MAX: usize = 64 * 1024;

/// Most statements whose places in a log are asked for at once: the answers, of at most 8 KiB each, stay
/// under the answer cap.
pub const INCLUSIONS_MAX: usize = 64;

/// What a node speaks that understands rosters; the newest today.
pub const SPEAKS_ROSTERS: u64 = 2;

/// First words of a peer on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Newest card of the sender.
    pub card: Vec<u8>,
    /// Its life.
    pub life: Life,
    /// What it speaks: 1, or [`SPEAKS_ROSTERS`]. One that speaks 1 reads no greeting with a roster in it.
    pub version: u64,
    /// Its clock, unix seconds, so that offices can compare.
    pub clock: i64,
    /// Version of its roster, 0 when it has none: who has the lower one pulls (DESIGN §4).
    pub roster: u64,
}

/// Halves of the pairing record ([`crate::pairing`]) as one office shows them to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Card of the sender: the asked node may have forgotten it.
    pub card: Vec<u8>,
    /// The sender's half.
    pub mine: Vec<u8>,
    /// The half of the asked node, where the sender has it.
    pub yours: Option<Vec<u8>>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A signed message.
    Message(Vec<u8>),
    /// Who are you, here is who I am.
    Hello(Hello),
    /// Which corrections and voids did you issue for this dossier? Asked before a copy is accepted.
    Changes {
        /// Dossier.
        dossier: DossierId,
        /// A statement of the asked node in it, as proof that the asker holds the dossier.
        shown: StatementId,
    },
    /// Here are the halves of our pairing record; send me yours.
    Pairing(Pairing),
    /// A file of the asked node's log, by the generation of its life and the path of tlog-tiles.
    LogFile {
        /// Generation.
        generation: u64,
        /// `checkpoint`, `tile/0/000`, …
        path: String,
        /// Whose log, when it is not that of the asked node but what a witness has mirrored of it.
        of: Option<NodeName>,
    },
    /// A checkpoint to be witnessed: the body of `add-checkpoint` (`c2sp.org/tlog-witness`).
    AddCheckpoint(Vec<u8>),
    /// Which status lists of a node do you have that I have not?
    Status(StatusAsk),
    /// I have the roster up to this version, 0 for none; send me those that follow.
    Roster {
        /// Newest version held.
        have: u64,
    },
    /// A checkpoint of anybody's log that the sender relies on: the note, for a witness of that log to compare
    /// with what it has seen (DESIGN §7).
    Checkpoint(Vec<u8>),
    /// Show me the places of these statements in their issuers' logs, under cosigned checkpoints.
    Inclusions(Vec<StatementId>),
    /// Send me the evidence whose file has this SHA-256.
    Evidence([u8; 32]),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Taken (a repeat is taken too).
    Ok,
    /// A signed receipt statement.
    Receipt(Vec<u8>),
    /// Custody is elsewhere, with the seals that prove it, oldest first.
    Moved {
        /// Next holder this node knows of.
        to: NodeName,
        /// Seal statements.
        seals: Vec<Vec<u8>>,
    },
    /// Refused, with a stable code.
    Refused(String),
    /// The sender's life is not the newest one seen.
    Stale {
        /// Generation seen.
        seen: Life,
    },
    /// Too much at once; ask again later.
    Busy,
    /// Answer to a hello.
    Hello(Hello),
    /// Answer to changes: statements, oldest first.
    Changes(Vec<Vec<u8>>),
    /// Answer to a pairing: the half of the asked node.
    Pairing(Vec<u8>),
    /// Answer to a log file.
    LogFile(Vec<u8>),
    /// Answer to a checkpoint: the status and body of `add-checkpoint`.
    Witnessed {
        /// HTTP status.
        status: u64,
        /// Cosignature lines, or the size known.
        body: Vec<u8>,
    },
    /// Answer to a question about status lists.
    Status(StatusAnswer),
    /// Answer to a roster: the versions that follow, oldest first, as many as fit; none when there are
    /// none.
    Roster(Vec<Vec<u8>>),
    /// Answer to inclusions: a proof ([`crate::log::tlog_proof`]) for each statement asked for, in that order;
    /// no bytes where none is known yet.
    Inclusions(Vec<Vec<u8>>),
    /// Answer to a question about evidence: its file.
    Evidence(Vec<u8>),
}

fn frame(number: u64, mut items: Vec<Value>) -> Vec<u8> {
    items.insert(0, cbor::int(number));
    cbor::encode(&Value::Array(items))
}

fn unframe(bytes: &[u8], cap: usize) -> Result<(u64, std::vec::IntoIter<Value>), CborError> {
    let Value::Array(items) = cbor::decode(bytes, cap)? else {
        return Err(CborError::Shape("a frame is an array"));
    };
    let mut items = items.into_iter();
    let number = cbor::as_uint(&items.next().ok_or(CborError::Missing(0))?, 0)?;
    Ok((number, items))
}

pub(super) fn take(items: &mut std::vec::IntoIter<Value>, index: i64) -> Result<Value, CborError> {
    items.next().ok_or(CborError::Missing(index))
}

fn take_bytes(items: &mut std::vec::IntoIter<Value>, index: i64, cap: usize) -> Result<Vec<u8>, CborError> {
    match take(items, index)? {
        Value::Bytes(bytes) if bytes.len() <= cap => Ok(bytes),
        _ => Err(CborError::WrongType(index)),
    }
}

fn take_list(
    items: &mut std::vec::IntoIter<Value>,
    index: i64,
    max: usize,
    item_bytes_max: usize,
) -> Result<Vec<Vec<u8>>, CborError> {
    let Value::Array(list) = take(items, index)? else { return Err(CborError::WrongType(index)) };
    if list.len() > max {
        return Err(CborError::WrongType(index));
    }
    let one = |v| match v {
        Value::Bytes(bytes) if bytes.len() <= item_bytes_max => Ok(bytes),
        _ => Err(CborError::WrongType(index)),
    };
    list.into_iter().map(one).collect()
}

fn take_ids(items: &mut std::vec::IntoIter<Value>, index: i64) -> Result<Vec<StatementId>, CborError> {
    let Value::Array(list) = take(items, index)? else { return Err(CborError::WrongType(index)) };
    if list.is_empty() || list.len() > INCLUSIONS_MAX {
        return Err(CborError::WrongType(index));
    }
    list.into_iter().map(|id| cbor::as_array(id, index).map(StatementId)).collect()
}

fn done<T>(items: &mut std::vec::IntoIter<Value>, value: T) -> Result<T, CborError> {
    if items.next().is_some() { Err(CborError::Shape("a frame has too many items")) } else { Ok(value) }
}

fn list(statements: &[Vec<u8>]) -> Value {
    Value::Array(statements.iter().map(|s| cbor::bytes(s.as_slice())).collect())
}

impl Hello {
    fn items(&self) -> Vec<Value> {
        let mut items = vec![
            cbor::bytes(self.card.as_slice()),
            self.life.to_value(),
            cbor::int(self.version),
            cbor::int(self.clock),
        ];
        // A node without a roster says what one said before there were rosters.
        items.extend((self.roster > 0).then(|| cbor::int(self.roster)));
        items
    }

    fn take(items: &mut std::vec::IntoIter<Value>) -> Result<Self, CborError> {
        let hello = Self {
            card: take_bytes(items, 1, CARD_BYTES_MAX)?,
            life: Life::from_value(take(items, 2)?, 2)?,
            version: cbor::as_uint(&take(items, 3)?, 3)?,
            clock: cbor::as_int(&take(items, 4)?, 4)?,
            roster: match items.len() {
                0 => 0,
                _ => match cbor::as_uint(&take(items, 5)?, 5)? {
                    0 => return Err(CborError::WrongType(5)),
                    version => version,
                },
            },
        };
        done(items, hello)
    }
}

impl Frame {
    /// Encodes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Frame::Message(bytes) => frame(1, vec![cbor::bytes(bytes.as_slice())]),
            Frame::Hello(hello) => frame(2, hello.items()),
            Frame::Changes { dossier, shown } => frame(3, vec![cbor::bytes(dossier.0), cbor::bytes(shown.0)]),
            Frame::Pairing(Pairing { card, mine, yours }) => {
                let known = [Some(card), Some(mine), yours.as_ref()].into_iter().flatten();
                frame(4, known.map(|bytes| cbor::bytes(bytes.as_slice())).collect())
            }
            Frame::LogFile { generation, path, of } => {
                let mut items = vec![cbor::int(*generation), cbor::text(path.as_str())];
                items.extend(of.as_ref().map(|node| cbor::text(node.as_str())));
                frame(5, items)
            }
            Frame::AddCheckpoint(body) => frame(8, vec![cbor::bytes(body.as_slice())]),
            Frame::Status(ask) => frame(7, ask.items()),
            Frame::Roster { have } => frame(6, vec![cbor::int(*have)]),
            Frame::Checkpoint(note) => frame(9, vec![cbor::bytes(note.as_slice())]),
            Frame::Inclusions(ids) => {
                frame(10, vec![Value::Array(ids.iter().map(|id| cbor::bytes(id.0)).collect())])
            }
            Frame::Evidence(hash) => frame(11, vec![cbor::bytes(*hash)]),
        }
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let (number, mut items) = unframe(bytes, FRAME_BYTES_MAX)?;
        let frame = match number {
            1 => Frame::Message(take_bytes(&mut items, 1, MESSAGE_BYTES_MAX)?),
            2 => Frame::Hello(Hello::take(&mut items)?),
            3 => Frame::Changes {
                dossier: DossierId(cbor::as_array(take(&mut items, 1)?, 1)?),
                shown: StatementId(cbor::as_array(take(&mut items, 2)?, 2)?),
            },
            4 => Frame::Pairing(Pairing {
                card: take_bytes(&mut items, 1, CARD_BYTES_MAX)?,
                mine: take_bytes(&mut items, 2, HALF_BYTES_MAX)?,
                yours: match items.len() {
                    0 => None,
                    _ => Some(take_bytes(&mut items, 3, HALF_BYTES_MAX)?),
                },
            }),
            5 => Frame::LogFile {
                generation: cbor::as_uint(&take(&mut items, 1)?, 1)?,
                path: cbor::as_text(take(&mut items, 2)?, 2, SHORT_TEXT_BYTES_MAX)?,
                of: match items.len() {
                    0 => None,
                    _ => {
                        let node = cbor::as_text(take(&mut items, 3)?, 3, NODE_NAME_BYTES_MAX)?;
                        Some(NodeName::parse(&node).map_err(|_| CborError::WrongType(3))?)
                    }
                },
            },
            8 => Frame::AddCheckpoint(take_bytes(&mut items, 1, CHECKPOINT_REQUEST_BYTES_MAX)?),
            7 => Frame::Status(StatusAsk::take(&mut items)?),
            6 => Frame::Roster { have: cbor::as_uint(&take(&mut items, 1)?, 1)? },
            9 => Frame::Checkpoint(take_bytes(&mut items, 1, NOTE_BYTES_MAX)?),
            10 => Frame::Inclusions(take_ids(&mut items, 1)?),
            11 => Frame::Evidence(cbor::as_array(take(&mut items, 1)?, 1)?),
            _ => return Err(CborError::WrongType(0)),
        };
        done(&mut items, frame)
    }
}

impl Answer {
    /// Encodes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Answer::Ok => frame(1, vec![]),
            Answer::Receipt(bytes) => frame(2, vec![cbor::bytes(bytes.as_slice())]),
            Answer::Moved { to, seals } => frame(3, vec![cbor::text(to.as_str()), list(seals)]),
            Answer::Refused(code) => frame(4, vec![cbor::text(code.as_str())]),
            Answer::Stale { seen } => frame(5, vec![seen.to_value()]),
            Answer::Busy => frame(6, vec![]),
            Answer::Hello(hello) => frame(7, hello.items()),
            Answer::Changes(statements) => frame(8, vec![list(statements)]),
            Answer::Pairing(half) => frame(9, vec![cbor::bytes(half.as_slice())]),
            Answer::LogFile(bytes) => frame(10, vec![cbor::bytes(bytes.as_slice())]),
            Answer::Witnessed { status, body } => {
                frame(13, vec![cbor::int(*status), cbor::bytes(body.as_slice())])
            }
            Answer::Status(answer) => frame(12, answer.items()),
            Answer::Roster(versions) => frame(11, vec![list(versions)]),
            Answer::Inclusions(proofs) => frame(14, vec![list(proofs)]),
            Answer::Evidence(file) => frame(15, vec![cbor::bytes(file.as_slice())]),
        }
    }

    /// Decodes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let (number, mut items) = unframe(bytes, ANSWER_BYTES_MAX)?;
        let answer = match number {
            1 => Answer::Ok,
            2 => Answer::Receipt(take_bytes(&mut items, 1, STATEMENT_BYTES_MAX)?),
            3 => {
                let to = cbor::as_text(take(&mut items, 1)?, 1, NODE_NAME_BYTES_MAX)?;
                let to = NodeName::parse(&to).map_err(|_| CborError::WrongType(1))?;
                Answer::Moved { to, seals: take_list(&mut items, 2, SEALS_MAX, STATEMENT_BYTES_MAX)? }
            }
            4 => Answer::Refused(cbor::as_text(take(&mut items, 1)?, 1, SHORT_TEXT_BYTES_MAX)?),
            5 => Answer::Stale { seen: Life::from_value(take(&mut items, 1)?, 1)? },
            6 => Answer::Busy,
            7 => Answer::Hello(Hello::take(&mut items)?),
            8 => Answer::Changes(take_list(&mut items, 1, ITEMS_MAX, STATEMENT_BYTES_MAX)?),
            9 => Answer::Pairing(take_bytes(&mut items, 1, HALF_BYTES_MAX)?),
            10 => Answer::LogFile(take_bytes(&mut items, 1, LOG_FILE_BYTES_MAX)?),
            13 => Answer::Witnessed {
                status: cbor::as_uint(&take(&mut items, 1)?, 1)?,
                body: take_bytes(&mut items, 2, CHECKPOINT_REQUEST_BYTES_MAX)?,
            },
            12 => Answer::Status(StatusAnswer::take(&mut items)?),
            11 => Answer::Roster(take_list(&mut items, 1, STEPS_MAX, ROSTER_BYTES_MAX)?),
            14 => Answer::Inclusions(take_list(&mut items, 1, INCLUSIONS_MAX, INCLUSION_BYTES_MAX)?),
            15 => Answer::Evidence(take_bytes(&mut items, 1, VALUE_BYTES_MAX)?),
            _ => return Err(CborError::WrongType(0)),
        };
        done(&mut items, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_answers_survive_the_wire() {
        let life = Life { generation: 3, mark: [7; 16] };
        let hello = Hello { card: vec![1, 2], life, version: 1, clock: 5, roster: 0 };
        let newer = Hello { roster: 7, ..hello.clone() };
        for frame in [
            Frame::Message(vec![1; 300]),
            Frame::Hello(hello.clone()),
            Frame::Changes { dossier: DossierId([1; 16]), shown: StatementId([2; 32]) },
            Frame::Pairing(Pairing { card: vec![1], mine: vec![2], yours: None }),
            Frame::Pairing(Pairing { card: vec![1], mine: vec![2], yours: Some(vec![3]) }),
            Frame::LogFile { generation: 2, path: "tile/0/x001/234.p/5".into(), of: None },
            Frame::AddCheckpoint(b"old 0\n\n".to_vec()),
            Frame::Hello(newer.clone()),
            Frame::Roster { have: 3 },
            Frame::Checkpoint(b"kunming/1\n".to_vec()),
            Frame::Inclusions(vec![StatementId([2; 32]); INCLUSIONS_MAX]),
            Frame::Evidence([3; 32]),
        ] {
            assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }
        for answer in [
            Answer::Ok,
            Answer::Busy,
            Answer::Receipt(vec![9]),
            Answer::Refused("x".into()),
            Answer::Stale { seen: life },
            Answer::Hello(hello),
            Answer::Changes(vec![vec![1], vec![2]]),
            Answer::Pairing(vec![4]),
            Answer::LogFile(vec![5]),
            Answer::Witnessed { status: 409, body: b"7\n".to_vec() },
            Answer::Hello(newer),
            Answer::Roster(vec![vec![1; 100_000], vec![2]]),
            Answer::Inclusions(vec![vec![1; INCLUSION_BYTES_MAX]; INCLUSIONS_MAX]),
            Answer::Evidence(vec![1; VALUE_BYTES_MAX]),
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }
    }

    #[test]
    fn a_frame_with_more_items_or_an_unknown_number_is_refused() {
        assert!(Frame::decode(&frame(1, vec![cbor::bytes([1]), cbor::int(1)])).is_err());
        assert!(Frame::decode(&frame(99, vec![])).is_err());
        assert!(Frame::decode(&Frame::Inclusions(vec![]).encode()).is_err(), "asks for nothing");
        let many = Frame::Inclusions(vec![StatementId([2; 32]); INCLUSIONS_MAX + 1]);
        assert!(Frame::decode(&many.encode()).is_err());
    }
}
