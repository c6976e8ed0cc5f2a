//! What passes between the parts of a world: packets, replies, acts of operators, jobs of a disk.

use std::rc::Rc;

use yunling_protocol::custody::{Input, Transfer};
use yunling_protocol::id::{DossierId, StatementId, TransferId};
use yunling_protocol::log::witness;
use yunling_protocol::message::Answer;
use yunling_protocol::recovery::rejoin::Newest;
use yunling_protocol::store::{Batch, Key};

use crate::model::Said;

/// A signed message on its way.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The node whose outbox it left, or who put it on the wire.
    pub from: usize,
    /// The node it goes to.
    pub to: usize,
    /// Its bytes.
    pub bytes: Rc<Vec<u8>>,
    /// Its place in the sender's outbox; none for a pull and for a lie.
    pub key: Option<Key>,
    /// Start of the sender that waits for the answer.
    pub boot: u32,
    /// What it is, for the trace.
    pub word: &'static str,
}

/// What comes back.
#[derive(Debug, Clone)]
pub enum Reply {
    /// An answer.
    Answer(Answer),
    /// Statements of a bulk copy from a sequence on.
    Rows(TransferId, u64, Vec<Vec<u8>>),
    /// A witness's answer to a checkpoint.
    Judged(witness::Answer),
}

/// What an operator does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Registers a volunteer.
    Register,
    /// Records a service for the custodian the node believes in.
    Record(DossierId, usize, Said),
    /// Corrects a service of the node.
    Correct(DossierId, StatementId, u64),
    /// Voids a service of the node.
    Void(DossierId, StatementId),
    /// Hands the volunteer a slip for moving to a node.
    Slip(DossierId, usize),
    /// Asks a node for the dossier on a slip.
    Ask(usize, String),
    /// Takes or refuses a held delivery.
    Held(DossierId, StatementId, bool),
    /// Makes a proof.
    Prove(DossierId),
    /// Accepts a peer, or ends peering with it.
    Peer(usize, bool),
    /// Opens a dossier whose seal is nowhere.
    Reopen(DossierId),
}

/// A piece of work that ends with batches on the disk.
#[derive(Debug, Clone)]
pub enum Work {
    /// A message came.
    Message(Packet),
    /// An answer came to a packet.
    Answer(Packet, Answer),
    /// Part of a copy came.
    Stage(TransferId, u64, Vec<Vec<u8>>),
    /// A whole copy is to be checked.
    Judge(TransferId),
    /// A person or the clock moves a transfer on.
    Push(TransferId, Input),
    /// What an ended transfer leaves is destroyed.
    Sweep(Transfer),
    /// A fenced node asks its peers, or finds that nobody is left to ask.
    AskPeers,
    /// What waits is taken into the log.
    Sequence,
    /// A checkpoint came to be cosigned.
    Witness(Packet),
    /// A checkpoint has its quorum.
    Prove(String),
    /// Witnesses hand over entries of an older log.
    Import(Newest, Vec<Vec<u8>>),
    /// An operator's act.
    Act(Act),
}

impl Work {
    /// A word for the trace.
    pub fn word(&self) -> String {
        match self {
            Work::Message(packet) => format!("hears {} of {}", packet.word, packet.from),
            Work::Answer(packet, answer) => format!("hears back of {}: {}", packet.word, brief(answer)),
            Work::Stage(id, from, rows) => {
                format!("stages {} rows from {from} of {}", rows.len(), short(&id.0))
            }
            Work::Judge(id) => format!("checks the copy of {}", short(&id.0)),
            Work::Push(id, input) => format!("moves {} on: {input:?}", short(&id.0)),
            Work::Sweep(t) => format!("sweeps after {}", short(&t.id.0)),
            Work::AskPeers => "asks its peers".into(),
            Work::Sequence => "logs what waits".into(),
            Work::Witness(packet) => format!("judges a checkpoint of {}", packet.from),
            Work::Prove(_) => "has a checkpoint with its quorum".into(),
            Work::Import(log, entries) => format!("takes {} entries of {}", entries.len(), log.origin),
            Work::Act(act) => match act {
                Act::Ask(from, _) => format!("asks {from} for the dossier on a slip"),
                Act::Record(id, to, said) => format!("records for {to} in {}: {said:?}", short(&id.0)),
                other => format!("operator: {other:?}"),
            },
        }
    }
}

/// The first bytes of an id.
pub fn short(id: &[u8]) -> String {
    use std::fmt::Write as _;
    id.iter().take(3).fold(String::new(), |mut out, b| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// An answer in a few words.
pub fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Refused(code) => format!("refused {code}"),
        Answer::Receipt(_) => "receipt".into(),
        Answer::Moved { to, seals } => format!("moved to {to}, {} seals", seals.len()),
        other => format!("{other:?}"),
    }
}

/// What is done once a decision is durable.
#[derive(Debug, Clone, Default)]
pub struct Then {
    /// Sent back to whoever sent the packet.
    pub reply: Option<Reply>,
    /// The sender showed a new life, which had to be written first: the message is heard again.
    pub again: bool,
    /// Something may stand in the outbox.
    pub wake: bool,
    /// An operator is told: this statement is recorded.
    pub made: Option<StatementId>,
    /// An operator is told: this dossier is open.
    pub opened: Option<DossierId>,
    /// The volunteer gets a slip and carries it to a node.
    pub slip: Option<(usize, String)>,
    /// An operator is told: the move has begun.
    pub asked: Option<TransferId>,
    /// The volunteer gets a proof: dossier, text, minutes.
    pub proof: Option<(DossierId, String, u64)>,
    /// The custodian refused this delivery for good.
    pub refused: Option<StatementId>,
    /// Moves that waited for the witnesses and may go on.
    pub proven: Vec<TransferId>,
}

/// Batches to be durable in order, and what follows.
#[derive(Debug, Clone, Default)]
pub struct Decided {
    /// In order; a crash may come between two.
    pub batches: Vec<Batch>,
    /// What follows.
    pub then: Then,
}

/// Work that waits for the disk with what was decided about it.
#[derive(Debug, Clone)]
pub struct Job {
    /// The work, to be decided again when another write came first.
    pub work: Work,
    /// The decision.
    pub decided: Decided,
}
