//! What the fold keeps of one statement.

use crate::day::UnixTime;
use crate::id::{DossierId, ItemId, StatementId};
use crate::minutes::Minutes;
use crate::name::NodeName;
use crate::statement::{Body, Grade, Statement, When};

/// An attested service as it stands after corrections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    /// Sequence in the chain.
    pub sequence: u64,
    /// Attesting node.
    pub issuer: NodeName,
    /// Issuer's item.
    pub item: ItemId,
    /// Recording unit.
    pub recorder: String,
    /// Activity name.
    pub activity: String,
    /// When.
    pub when: When,
    /// Minutes.
    pub minutes: Minutes,
    /// Grade.
    pub grade: Grade,
    /// Voided by.
    pub void: Option<StatementId>,
    /// Newest correction.
    pub corrected: Option<StatementId>,
    /// When the newest corrections of time, minutes and grade, and of anything, were signed:
    /// corrections may overtake each other on the way, and an older one never undoes a newer one.
    pub corrected_at: [UnixTime; 4],
    /// Another attestation of the same (issuer, item) came before; shown, not counted.
    pub repeat: bool,
}

/// What the fold needs of one verified statement. Made apart from the fold, so that the parts of a
/// long chain can be read on all cores and only this is kept of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub(super) id: StatementId,
    pub(super) dossier: DossierId,
    pub(super) issuer: NodeName,
    pub(super) issued_at: UnixTime,
    pub(super) fact: Fact,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    Hour(Box<Hour>),
    Other(Body),
}

impl From<Statement> for Entry {
    fn from(statement: Statement) -> Self {
        let Statement { id, common, body, .. } = statement;
        let fact = match body {
            Body::Attestation(a) => Fact::Hour(Box::new(Hour {
                sequence: 0,
                issuer: common.issuer.clone(),
                item: a.item,
                recorder: a.recorder.name,
                activity: a.activity.name,
                when: a.when,
                minutes: a.minutes,
                grade: a.grade,
                void: None,
                corrected: None,
                corrected_at: [UnixTime(i64::MIN); 4],
                repeat: false,
            })),
            other => Fact::Other(other),
        };
        Self { id, dossier: common.dossier, issuer: common.issuer, issued_at: common.issued_at, fact }
    }
}
