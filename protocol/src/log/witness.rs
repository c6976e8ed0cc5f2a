//! A witness's decision about one `add-checkpoint` (`c2sp.org/tlog-witness`), without IO: request
//! and stored state in, an answer and the state to store out.
//!
//! *The state is durable before the answer leaves*, and reading, deciding and storing are one step
//! for one origin: the caller's batch must expect the state that was given here. The answer holds
//! the cosignature, so whoever loses the race throws it away.

mod stored;

pub use stored::judge;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

use super::checkpoint::{Checkpoint, CheckpointError, decimal, hash_line};
use super::cosignature;
use super::merkle::{self, Hash, PATH_HASHES_MAX};
use super::note::{NOTE_BYTES_MAX, Note, NoteKey, NoteSignature};
use crate::cbor::{self, CborError, Fields, MapBuilder};
use crate::day::UnixTime;
use crate::key::{SignError, Signer};

/// Largest request body, bytes: the old size, 63 hashes and a note.
pub const REQUEST_BYTES_MAX: usize = 64 + 45 * PATH_HASHES_MAX + NOTE_BYTES_MAX;

/// Content type of the answer to a conflict.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// A parsed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size that the client believes the witness has seen last.
    pub old_size: u64,
    /// Consistency proof from it.
    pub proof: Vec<Hash>,
    /// The checkpoint's note.
    pub note: Note,
    /// Its text, read.
    pub checkpoint: Checkpoint,
}

/// The body is not a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Over [`REQUEST_BYTES_MAX`].
    #[error("the request is larger than any request")]
    TooLarge,
    /// Not an old size, hashes, an empty line and a checkpoint.
    #[error("not an add-checkpoint request")]
    Malformed,
    /// The checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl RequestError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "witness-request-too-large",
            Self::Malformed => "witness-request-malformed",
            Self::Checkpoint(error) => error.code(),
        }
    }
}

impl AddCheckpoint {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::TooLarge);
        }
        let text = std::str::from_utf8(body).map_err(|_| RequestError::Malformed)?;
        let (head, note) = text.split_once("\n\n").ok_or(RequestError::Malformed)?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let proof: Option<Vec<Hash>> = lines.by_ref().take(PATH_HASHES_MAX).map(hash_line).collect();
        let (Some(old_size), Some(proof), None) = (old_size, proof, lines.next()) else {
            return Err(RequestError::Malformed);
        };
        let (note, checkpoint) = Checkpoint::parse(note.as_bytes())?;
        Ok(Self { old_size, proof, note, checkpoint })
    }

    /// The body of a request.
    pub fn body(old_size: u64, proof: &[Hash], note: &str) -> String {
        let mut out = format!("old {old_size}\n");
        for hash in proof {
            out.push_str(&BASE64.encode(hash));
            out.push('\n');
        }
        out.push('\n');
        out.push_str(note);
        out
    }
}

/// What a witness keeps of an origin: the latest checkpoint it cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Entries.
    pub size: u64,
    /// Root.
    pub root: Hash,
    /// The note with the log's signature as it came: half of the evidence if the log ever shows
    /// another root of this size.
    pub note: String,
}

impl Seen {
    /// Deterministic CBOR for the store: 1 size, 2 root, 3 note.
    pub fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(self.size))
            .put(2, cbor::bytes(self.root))
            .put(3, cbor::text(self.note.as_str()));
        cbor::encode(&map.build())
    }

    /// Reads what [`Seen::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, NOTE_BYTES_MAX + 64)?)?;
        let seen = Self { size: f.uint(1)?, root: f.array(2)?, note: f.text(3, NOTE_BYTES_MAX)? };
        f.finish()?;
        Ok(seen)
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: consistent, and stored by now.
    Cosigned(NoteSignature),
    /// 400: not a request, or an old size over the checkpoint's.
    Malformed,
    /// 403: no valid signature of the log.
    Forbidden,
    /// 404: an origin that is not witnessed here.
    UnknownOrigin,
    /// 409: the witness has seen this size, or another root of the same size.
    Conflict(u64),
    /// 422: the consistency proof does not verify.
    Inconsistent,
}

impl Answer {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosigned(_) => 200,
            Self::Malformed => 400,
            Self::Forbidden => 403,
            Self::UnknownOrigin => 404,
            Self::Conflict(_) => 409,
            Self::Inconsistent => 422,
        }
    }

    /// Body of the answer.
    pub fn body(&self) -> String {
        match self {
            Self::Cosigned(signature) => signature.line(),
            Self::Malformed => "malformed request\n".to_owned(),
            Self::Forbidden => "no valid signature of the log\n".to_owned(),
            Self::UnknownOrigin => "unknown log\n".to_owned(),
            Self::Conflict(size) => format!("{size}\n"),
            Self::Inconsistent => "the consistency proof does not verify\n".to_owned(),
        }
    }

    /// Content type of the body.
    pub fn content_type(&self) -> &'static str {
        if matches!(self, Self::Conflict(_)) { SIZE_CONTENT_TYPE } else { "text/plain; charset=utf-8" }
    }
}

/// What a request showed about its log beside the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// Two roots of one size, both signed: the notes are evidence
    /// ([`Evidence::TwoRoots`](super::evidence::Evidence::TwoRoots)).
    TwoRoots {
        /// The note that this witness has cosigned.
        seen: String,
        /// The note of the request.
        shown: String,
    },
    /// A signed checkpoint came with a proof that does not verify: an alarm, not evidence.
    Inconsistent {
        /// The note of the request.
        shown: String,
    },
}

/// An answer, and what must be durable before it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub answer: Answer,
    /// The new state of this origin, when it changed; its repetition changes nothing.
    pub store: Option<(String, Seen)>,
    /// What the operator must hear of.
    pub alarm: Option<Alarm>,
}

impl Decision {
    fn no(answer: Answer) -> Self {
        Self { answer, store: None, alarm: None }
    }
}

/// Who witnesses.
pub struct Witnesser<'a> {
    /// Witness key.
    pub signer: &'a dyn Signer,
    /// Key name: the node's name.
    pub name: &'a str,
    /// Time of the cosignature.
    pub now: UnixTime,
}

/// Decides about a parsed request, in the order of the specification. `keys` are the log keys of
/// its origin, `None` when the origin is not witnessed here (an older life of a restored node is
/// such an origin); `seen` is what is stored of it.
pub fn decide(
    witness: &Witnesser<'_>,
    request: &AddCheckpoint,
    keys: Option<&[NoteKey]>,
    seen: Option<&Seen>,
) -> Result<Decision, SignError> {
    let new = &request.checkpoint;
    let Some(keys) = keys else { return Ok(Decision::no(Answer::UnknownOrigin)) };
    if request.note.verify(keys).is_err() {
        return Ok(Decision::no(Answer::Forbidden));
    }
    if request.old_size > new.size {
        return Ok(Decision::no(Answer::Malformed));
    }
    let shown = || request.note.render();
    let (size, root) = seen.map_or((0, merkle::EMPTY_ROOT), |seen| (seen.size, seen.root));
    if let Some(seen) = seen.filter(|seen| seen.size == new.size && seen.root != new.root) {
        let alarm = Some(Alarm::TwoRoots { seen: seen.note.clone(), shown: shown() });
        return Ok(Decision { alarm, ..Decision::no(Answer::Conflict(size)) });
    }
    if request.old_size != size {
        return Ok(Decision::no(Answer::Conflict(size)));
    }
    if merkle::verify_consistency(size, &root, new.size, &new.root, &request.proof).is_err() {
        let alarm = Some(Alarm::Inconsistent { shown: shown() });
        return Ok(Decision { alarm, ..Decision::no(Answer::Inconsistent) });
    }
    let time = u64::try_from(witness.now.0).map_err(|_| SignError("a time before 1970".into()))?;
    let signature = cosignature::sign(witness.signer, witness.name, time, &request.note.text)?;
    let grown = seen.is_none_or(|seen| seen.size < new.size);
    let store = grown.then(|| {
        (new.origin.clone(), Seen { size: new.size, root: new.root, note: only_known(&request.note, keys) })
    });
    Ok(Decision { answer: Answer::Cosigned(signature), store, alarm: None })
}

/// The note with the signatures of these keys only: others could fill the store.
fn only_known(note: &Note, keys: &[NoteKey]) -> String {
    let known =
        |line: &&NoteSignature| keys.iter().any(|k| k.hash() == line.key_hash && k.name() == line.name);
    let signatures = note.signatures.iter().filter(known).cloned().collect();
    Note { text: note.text.clone(), signatures }.render()
}

/// Parses and decides: a body that is no request is answered, not an error.
pub fn answer(
    witness: &Witnesser<'_>,
    body: &[u8],
    lookup: impl FnOnce(&str) -> (Option<Vec<NoteKey>>, Option<Seen>),
) -> Result<Decision, SignError> {
    let Ok(request) = AddCheckpoint::parse(body) else { return Ok(Decision::no(Answer::Malformed)) };
    let (keys, seen) = lookup(&request.checkpoint.origin);
    decide(witness, &request, keys.as_deref(), seen.as_ref())
}

/// Path below a witness's monitoring prefix where the latest checkpoint of an origin is read.
pub fn monitoring_path(origin: &str) -> String {
    format!("{}/checkpoint", HEXLOWER.encode(&Sha256::digest(origin)))
}

#[cfg(test)]
mod tests;
