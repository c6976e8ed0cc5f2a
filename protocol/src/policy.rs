//! Peer policy: what an away delivery is accepted, held or refused by (DESIGN §4).
//!
//! The default for the 16 prefectures: accept grades A and B, hold C, D and E for a person, refuse
//! X; caps per issuer and dossier. Above a cap an item is held, not refused, and others go on.
//! Policy judges deliveries only; a move is taken whole or refused.

use crate::minutes::Minutes;
use crate::statement::{Attestation, Grade};

/// What policy says of one attestation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Accept,
    /// A person decides; reason code.
    Hold(&'static str),
    /// Never; reason code.
    Refuse(&'static str),
}

/// Limits towards one issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Grades taken without a person.
    pub accept_to: Grade,
    /// Grades a person may take; worse ones are refused.
    pub hold_to: Grade,
    /// Minutes of one item.
    pub item_minutes_max: Minutes,
    /// Minutes per issuer, dossier and civil day.
    pub day_minutes_max: Minutes,
    /// Minutes per issuer, dossier and calendar month.
    pub month_minutes_max: Minutes,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            accept_to: Grade::B,
            hold_to: Grade::E,
            // S21: receivers in the field take at most 40 h per item.
            item_minutes_max: Minutes(40 * 60),
            // S12: three rescue days of 11 h are real, 16 h a day is the most a person can serve.
            day_minutes_max: Minutes(16 * 60),
            // 25 days of 10 hours: more from one issuer in one month needs a look.
            month_minutes_max: Minutes(250 * 60),
        }
    }
}

/// Minutes of the same issuer already in the dossier, for the caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Already {
    /// On the same day.
    pub day: Minutes,
    /// In the same month.
    pub month: Minutes,
}

impl Policy {
    /// Judges one attestation.
    pub fn judge(&self, attestation: &Attestation, already: Already) -> Verdict {
        if attestation.grade > self.hold_to {
            return Verdict::Refuse("policy-grade");
        }
        if attestation.grade > self.accept_to {
            return Verdict::Hold("policy-grade");
        }
        let over = |sum: Minutes, max: Minutes| sum.0.saturating_add(attestation.minutes.0) > max.0;
        if attestation.minutes > self.item_minutes_max {
            return Verdict::Hold("policy-item-cap");
        }
        if over(already.day, self.day_minutes_max) {
            return Verdict::Hold("policy-day-cap");
        }
        if over(already.month, self.month_minutes_max) {
            return Verdict::Hold("policy-month-cap");
        }
        Verdict::Accept
    }
}
