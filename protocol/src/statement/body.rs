//! Bodies of every statement kind but the attestation, and the table of kind numbers.
//!
//! An odd number is critical: a node that does not know it must answer *cannot tell* instead of
//! a sum. Labels 10 and above belong to the body; below stand the fields of every statement.

mod codec;

use super::attestation::{Attestation, Grade, Place, When};
use crate::day::{Day, UnixTime};
use crate::id::{ChainHead, DossierId, StatementId, TransferId};
use crate::minutes::Minutes;
use crate::name::NodeName;

/// Replaces fields of an attestation; by the issuer of the original only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Attestation corrected.
    pub target: StatementId,
    /// Reason code.
    pub reason: String,
    /// Words to the reason.
    pub note: Option<String>,
    /// New time.
    pub when: Option<When>,
    /// New minutes.
    pub minutes: Option<Minutes>,
    /// New grade.
    pub grade: Option<Grade>,
    /// New content.
    pub content: Option<String>,
    /// New place.
    pub place: Option<Place>,
}

/// Withdraws an attestation; by the issuer of the original only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidStatement {
    /// Attestation voided.
    pub target: StatementId,
    /// Reason code, e.g. `not-volunteer-service` (67号 Art. 19).
    pub reason: String,
    /// Words to the reason.
    pub note: Option<String>,
}

/// Training (67号 Art. 8); never service time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Training {
    /// Name.
    pub name: String,
    /// Main content.
    pub content: String,
    /// Minutes.
    pub minutes: Minutes,
    /// Host unit.
    pub host: String,
    /// First and last day.
    pub when: When,
    /// Form (c-6).
    pub form: Option<String>,
}

/// Award (67号 Art. 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Award {
    /// Name.
    pub name: String,
    /// Day.
    pub day: Day,
    /// Grantor.
    pub grantor: String,
    /// Star level 1–5 when it is a star award.
    pub star: Option<u64>,
    /// Reference to evidence.
    pub evidence: Option<String>,
}

/// Evaluation (67号 Art. 10); rules later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Attestation evaluated.
    pub target: StatementId,
    /// Punctuality, attitude, skill, 1–5 each.
    pub scores: [u64; 3],
    /// Day.
    pub day: Day,
}

/// Who gave a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentGiver {
    /// The volunteer.
    Volunteer = 1,
    /// A guardian (PIPL 31).
    Guardian = 2,
    /// The unit that kept the old records, for records under 67号 Art. 6.
    Unit = 3,
}

/// Receiver named in a consent (PIPL 23).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Node.
    pub node: NodeName,
    /// Name of the office.
    pub name: String,
    /// How to reach it.
    pub contact: String,
}

/// Consent; with a receiver it holds the five items of PIPL Art. 23.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Purpose.
    pub purpose: String,
    /// Basis, e.g. `67号 Art. 6`.
    pub basis: String,
    /// Receiver, when data goes to another office.
    pub receiver: Option<Receiver>,
    /// Method of processing.
    pub method: String,
    /// Kinds of data.
    pub data_kinds: Vec<String>,
    /// Who gave it.
    pub given_by: ConsentGiver,
    /// Until when it counts.
    pub expires: Option<UnixTime>,
}

/// What authorised a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorisation {
    /// SHA-256 of the code the old node issued after a real-name check.
    CodeHash([u8; 32]),
}

/// Ends custody at one node and names the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Epoch that ends.
    pub epoch: u64,
    /// Transfer.
    pub transfer: TransferId,
    /// Chain head that the new custodian has copied and accepted.
    pub head: ChainHead,
    /// Statements in the chain up to the head.
    pub count: u64,
    /// Minutes counted.
    pub minutes: Minutes,
    /// Spendable balance.
    pub balance: Minutes,
    /// Next custodian.
    pub next: NodeName,
    /// What authorised it.
    pub authorisation: Authorisation,
    /// HMAC of the dossier key over the epoch (DESIGN §7).
    pub nullifier: [u8; 32],
}

/// Stands where the seal of a custodian that is gone would stand: the node that the roster names as its
/// successor signs it, and holds the dossier from it on. Counts only with the roster's word
/// ([`crate::custody::takeover::proven`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// Epoch that ends.
    pub epoch: u64,
    /// Id of the takeover, as its notices name it.
    pub transfer: TransferId,
    /// Chain head taken over.
    pub head: ChainHead,
    /// Statements in the chain up to the head.
    pub count: u64,
    /// Minutes counted.
    pub minutes: Minutes,
    /// Spendable balance.
    pub balance: Minutes,
    /// The custodian that is gone.
    pub from: NodeName,
    /// Origin of its last log, and the entries of it in which no seal of this epoch was found; none when
    /// the roster says that it had no log.
    pub searched: Option<(String, u64)>,
    /// HMAC of the dossier key over the epoch, the same that a seal would show (DESIGN §7).
    pub nullifier: [u8; 32],
    /// When the members were told.
    pub announced: UnixTime,
    /// When the notice ended.
    pub notice_ends: UnixTime,
}

/// First statement of the new custodian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Epoch that begins.
    pub epoch: u64,
    /// Transfer.
    pub transfer: TransferId,
    /// The seal it follows.
    pub seal: StatementId,
    /// Old custodian.
    pub from: NodeName,
    /// Statements received, the seal included.
    pub count: u64,
}

/// Outcome of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// In the dossier.
    Accepted = 1,
    /// Waits for a person; never ends a delivery.
    Held = 2,
    /// Will not be taken.
    Refused = 3,
}

/// Signed answer to a delivery; lies beside the statement, never in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Statement delivered.
    pub target: StatementId,
    /// Outcome.
    pub outcome: Outcome,
    /// Reason code when held or refused.
    pub reason: Option<String>,
    /// Sequence the statement got.
    pub sequence: Option<u64>,
    /// Epoch, length and head of the dossier after it.
    pub state: Option<(u64, u64, ChainHead)>,
}

/// Two dossiers of one person, counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The other dossier.
    pub other: DossierId,
    /// Reason.
    pub reason: String,
}

/// Undoes a link within 30 days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlink {
    /// The link statement.
    pub link: StatementId,
}

/// Minutes exchanged for a service; rules later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    /// Minutes spent.
    pub minutes: Minutes,
    /// What for.
    pub item: String,
    /// Running number in the dossier.
    pub number: u64,
}

/// Minutes set aside for a redemption; rules later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Minutes set aside.
    pub minutes: Minutes,
    /// What for.
    pub item: String,
    /// Until when.
    pub until: UnixTime,
}

/// The fact of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // each variant is the struct of the same name
pub enum Body {
    Attestation(Box<Attestation>),
    Correction(Correction),
    Void(VoidStatement),
    Training(Training),
    Award(Award),
    Evaluation(Evaluation),
    Consent(Consent),
    Seal(Seal),
    Received(Received),
    Receipt(Receipt),
    Link(Link),
    Unlink(Unlink),
    Redemption(Redemption),
    Reservation(Reservation),
    Takeover(Takeover),
    /// A kind or version not known here; kept and carried.
    Unknown {
        kind: u64,
        version: u64,
    },
}

/// Kind numbers and words; the only place that lists them.
const KINDS: [(u64, &str); 15] = [
    (1, "attestation"),
    (2, "training"),
    (3, "correction"),
    (4, "award"),
    (5, "void"),
    (6, "evaluation"),
    (7, "seal"),
    (8, "consent"),
    (9, "received"),
    (10, "receipt"),
    (11, "link"),
    (13, "unlink"),
    (15, "redemption"),
    (17, "reservation"),
    (19, "takeover"),
];

impl Body {
    /// Kind number.
    pub fn kind(&self) -> u64 {
        match self {
            Body::Attestation(_) => 1,
            Body::Training(_) => 2,
            Body::Correction(_) => 3,
            Body::Award(_) => 4,
            Body::Void(_) => 5,
            Body::Evaluation(_) => 6,
            Body::Seal(_) => 7,
            Body::Consent(_) => 8,
            Body::Received(_) => 9,
            Body::Receipt(_) => 10,
            Body::Link(_) => 11,
            Body::Unlink(_) => 13,
            Body::Redemption(_) => 15,
            Body::Reservation(_) => 17,
            Body::Takeover(_) => 19,
            Body::Unknown { kind, .. } => *kind,
        }
    }

    /// Word of a kind number, if known here.
    pub fn word(kind: u64) -> Option<&'static str> {
        KINDS.iter().find(|(n, _)| *n == kind).map(|(_, word)| *word)
    }

    /// Every known kind number with its word.
    pub fn kinds() -> impl Iterator<Item = (u64, &'static str)> {
        KINDS.into_iter()
    }
}
