//! Custody transfer (DESIGN §6): one machine per transfer and side, as input / action / state.
//!
//! [`step`] is the machine alone: it reads facts, changes a [`Transfer`] and lists actions. It
//! never reads a store; [`giving`] and [`taking`] load the facts, call it and turn its actions
//! into one store batch that holds the new state, statements and outgoing messages together, so
//! that persist always comes before send.

pub mod authorisation;
pub mod giving;
pub mod leftovers;
pub mod record;
pub mod takeover;
pub mod taking;
mod transfer;

pub use transfer::{Side, Stage, Transfer};

use crate::day::UnixTime;
use crate::id::{ChainHead, StatementId};
use crate::message::Content;
use crate::minutes::Minutes;
use crate::mutants::{self, Mutant};
use crate::name::NodeName;

/// An authorisation and a transfer live at most 30 days (DESIGN §6.1).
pub const TRANSFER_SECONDS_MAX: i64 = 30 * 24 * 3600;
/// After this many offers that were outrun by new statements the old node queues appends.
pub const OFFER_ROUNDS_MAX: u64 = 2;
/// The old node destroys what it did not sign this long after `Done`.
pub const PURGE_SECONDS: i64 = 90 * 24 * 3600;

/// What the giving node knows of the dossier when an input arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Chain head.
    pub head: ChainHead,
    /// Length.
    pub count: u64,
    /// Counted minutes.
    pub minutes: Minutes,
}

/// An input: what a person or the peer did, or time passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Giving: a request with a valid authorisation came; `hold` when a clerk must approve.
    Request {
        /// A clerk must approve.
        hold: bool,
    },
    /// Giving: the clerk approves.
    Approve,
    /// Giving: the clerk refuses.
    Refuse {
        /// Reason code.
        reason: String,
    },
    /// Giving: the new node has copied up to this head.
    Accept {
        /// Head.
        head: ChainHead,
        /// Statements.
        count: u64,
    },
    /// Giving: the new node has promoted.
    Done,
    /// Taking: an offer came.
    Offer {
        /// Head.
        head: ChainHead,
        /// Statements.
        count: u64,
        /// Minutes.
        minutes: Minutes,
    },
    /// Taking: the old node refused.
    Refused {
        /// Reason code.
        reason: String,
    },
    /// Taking: frames were staged durably.
    Staged {
        /// Statements staged in all.
        have: u64,
    },
    /// Taking: the whole copy was checked and is right.
    Checked {
        /// Issuers that could not be asked.
        unasked: Vec<NodeName>,
    },
    /// Taking: the copy or its check failed.
    Failed {
        /// Reason code.
        reason: String,
    },
    /// Taking: the release came, for a seal over this head.
    Release {
        /// The seal's head.
        head: ChainHead,
        /// The seal's count.
        count: u64,
        /// The seal.
        seal: StatementId,
    },
    /// Either: a person cancels here.
    Cancel {
        /// Reason code.
        reason: String,
    },
    /// Either: the peer cancels.
    PeerCancels {
        /// Reason code.
        reason: String,
    },
    /// Either: a person asks to go on.
    Resume,
    /// Either: time passed.
    Tick,
}

/// What must happen, in order, in the batch that stores the new state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Spend the authorisation.
    SpendCode,
    /// Put an offer of the current facts into the outbox.
    SendOffer,
    /// Put a refusal into the outbox.
    SendRefuse(String),
    /// Append the seal and put the release into the outbox.
    Seal,
    /// Put the release into the outbox again.
    SendRelease,
    /// Put a cancel into the outbox.
    SendCancel(String),
    /// Put the accept into the outbox.
    SendAccept,
    /// Promote the staged copy and append "received"; put done into the outbox.
    Promote,
    /// Put done into the outbox again.
    SendDone,
    /// Erase the staged copy.
    EraseStaged,
    /// Take this side's messages of the transfer out of the outbox.
    ClearOutbox,
}

/// Why an input does not fit the state. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustodyError {
    /// After the seal custody has moved; there is nothing to cancel.
    #[error("the dossier is sealed already: a transfer cannot be cancelled after the seal")]
    AfterSeal,
    /// The input does not belong to this side or stage.
    #[error("the transfer is at `{stage}` and cannot take this step")]
    NotNow {
        /// Stage word.
        stage: &'static str,
    },
    /// The peer names another head than the one offered.
    #[error("the head is not the one offered")]
    OtherHead,
}

impl CustodyError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AfterSeal => "transfer-after-seal",
            Self::NotNow { .. } => "transfer-not-now",
            Self::OtherHead => "transfer-other-head",
        }
    }
}

/// The machine. Changes `transfer`, returns the actions; on an error nothing changed.
pub fn step(
    transfer: &mut Transfer,
    input: &Input,
    facts: Option<Facts>,
    now: UnixTime,
) -> Result<Vec<Action>, CustodyError> {
    match transfer.side {
        Side::Giving => step_giving(transfer, input, facts, now),
        Side::Taking => step_taking(transfer, input, now),
    }
}

fn offer(transfer: &mut Transfer, facts: Facts) {
    transfer.stage = Stage::Offered;
    transfer.head = facts.head;
    transfer.count = facts.count;
    transfer.minutes = facts.minutes;
    transfer.rounds += 1;
}

#[allow(clippy::match_same_arms)] // a table of stage and input, read in that order
fn step_giving(
    t: &mut Transfer,
    input: &Input,
    facts: Option<Facts>,
    now: UnixTime,
) -> Result<Vec<Action>, CustodyError> {
    use Stage::{Cancelled, Completed, Offered, Requested, Sealed};
    let not_now = Err(CustodyError::NotNow { stage: t.stage.word() });
    let Some(facts) = facts else { return not_now };
    match (t.stage, input) {
        // The first request makes the transfer; a repeat finds it further on and is answered again.
        (Requested, Input::Request { hold: true }) => Ok(vec![]),
        (Requested, Input::Request { hold: false } | Input::Approve) => {
            offer(t, facts);
            Ok(vec![Action::SpendCode, Action::SendOffer])
        }
        (Offered, Input::Request { .. } | Input::Approve | Input::Resume) => Ok(vec![Action::SendOffer]),
        (Requested, Input::Refuse { reason }) => {
            t.stage = Cancelled;
            t.reason = Some(reason.clone());
            Ok(vec![Action::ClearOutbox, Action::SendRefuse(reason.clone())])
        }
        (Offered, Input::Accept { head, count }) => {
            let unbound = mutants::is(Mutant::SealNotBoundToHead);
            if (*head != t.head || *count != t.count) && !unbound {
                return Err(CustodyError::OtherHead);
            }
            // The dossier grew while the peer copied: the seal may only stand on a copied head.
            if facts.head != t.head && !unbound {
                offer(t, facts);
                return Ok(vec![Action::SendOffer]);
            }
            t.stage = Sealed;
            Ok(vec![Action::ClearOutbox, Action::Seal, Action::SendRelease])
        }
        (Sealed | Completed, Input::Accept { .. } | Input::Request { .. }) | (Sealed, Input::Resume) => {
            Ok(vec![Action::SendRelease])
        }
        (Sealed, Input::Done) => {
            t.stage = Completed;
            t.purge_at = Some(UnixTime(now.0 + PURGE_SECONDS));
            Ok(vec![Action::ClearOutbox])
        }
        // An accept that was overtaken may have put the release into the outbox once more.
        (Completed, Input::Done) => Ok(vec![Action::ClearOutbox]),
        // A peer that was restored to before it heard of the end asks until it is told again.
        (Cancelled, Input::PeerCancels { .. }) => {
            Ok(vec![Action::SendCancel(t.reason.clone().unwrap_or_default())])
        }
        // Too late to cancel: the peer learns it by the release, also one that was restored to before it
        // promoted and would wait for a word on its cancel.
        (Sealed | Completed, Input::PeerCancels { .. }) => Ok(vec![Action::SendRelease]),
        (Requested | Offered, Input::Cancel { reason } | Input::PeerCancels { reason }) => {
            t.stage = Cancelled;
            t.reason = Some(reason.clone());
            Ok(vec![Action::ClearOutbox, Action::SendCancel(reason.clone())])
        }
        (Requested | Offered, Input::Tick) if now > t.expires => {
            t.stage = Cancelled;
            t.reason = Some("transfer-expired".into());
            Ok(vec![Action::ClearOutbox, Action::SendCancel("transfer-expired".into())])
        }
        (Cancelled, Input::Request { .. } | Input::Accept { .. }) => {
            Ok(vec![Action::SendCancel(t.reason.clone().unwrap_or_default())])
        }
        (_, Input::Tick) => Ok(vec![]),
        (Sealed | Completed, Input::Cancel { .. }) => Err(CustodyError::AfterSeal),
        _ => not_now,
    }
}

#[allow(clippy::match_same_arms)] // a table of stage and input, read in that order
fn step_taking(t: &mut Transfer, input: &Input, now: UnixTime) -> Result<Vec<Action>, CustodyError> {
    use Stage::{Accepted, Attention, Cancelled, Checking, Completed, Copying, Requested};
    let cancel = |t: &mut Transfer, reason: &str| {
        t.stage = Cancelled;
        t.reason = Some(reason.to_owned());
    };
    match (t.stage, input) {
        (Requested | Copying | Checking | Attention | Accepted, Input::Offer { head, count, minutes }) => {
            match &t.reason {
                // Asked to cancel after the accept: another offer says that nothing was sealed on
                // it, the same one that nothing is decided yet.
                Some(reason) if t.stage == Accepted => {
                    let reason = reason.clone();
                    if (*head, *count) == (t.head, t.count) {
                        return Ok(vec![Action::SendCancel(reason)]);
                    }
                    if *count < t.count {
                        return Ok(vec![]);
                    }
                    cancel(t, &reason);
                    return Ok(vec![Action::ClearOutbox, Action::SendCancel(reason), Action::EraseStaged]);
                }
                _ if t.stage == Accepted && *head == t.head => return Ok(vec![Action::SendAccept]),
                // An older offer overtaken on the way never takes the copy back, and a repeated one
                // neither interrupts a check nor hides that a person must look.
                _ if t.stage != Requested && (*count < t.count || *head == t.head) => return Ok(vec![]),
                _ => {}
            }
            (t.head, t.count, t.minutes) = (*head, *count, *minutes);
            t.stage = Copying;
            t.reason = None;
            Ok(vec![Action::ClearOutbox])
        }
        (Requested, Input::Refused { reason }) => {
            cancel(t, reason);
            Ok(vec![Action::ClearOutbox, Action::EraseStaged])
        }
        (Copying | Attention, Input::Staged { have }) => {
            t.have = *have;
            t.stage = if *have >= t.count { Checking } else { Copying };
            Ok(vec![])
        }
        (Checking, Input::Checked { unasked }) => {
            t.stage = Accepted;
            t.unasked.clone_from(unasked);
            Ok(vec![Action::SendAccept])
        }
        (Copying | Checking | Attention, Input::Failed { reason }) => {
            t.stage = Attention;
            t.reason = Some(reason.clone());
            Ok(vec![])
        }
        (Attention, Input::Resume) => {
            // A whole copy that failed its check is pulled again from the start.
            if t.have >= t.count {
                t.have = 0;
            }
            t.reason = None;
            t.stage = Copying;
            Ok(vec![])
        }
        (Accepted, Input::Resume) => {
            t.reason = None;
            Ok(vec![Action::ClearOutbox, Action::SendAccept])
        }
        (Requested | Copying | Checking, Input::Resume) | (Completed, Input::Offer { .. }) => Ok(vec![]),
        // The cancel and the request crossed on the way: the old node must not wait for a copy.
        (Cancelled, Input::Offer { .. }) => {
            Ok(vec![Action::SendCancel(t.reason.clone().unwrap_or_default())])
        }
        (Accepted, Input::Release { head, count, seal }) if *head == t.head && *count == t.count => {
            t.stage = Completed;
            t.reason = None;
            t.seal = Some(*seal);
            Ok(vec![Action::ClearOutbox, Action::Promote, Action::SendDone, Action::EraseStaged])
        }
        // Sealed over another head than the one staged: pull again up to the seal's head.
        (Accepted | Copying | Checking | Attention, Input::Release { head, count, .. }) => {
            if (*head, *count) != (t.head, t.count) {
                (t.head, t.count) = (*head, *count);
                t.stage = if t.have >= t.count { Checking } else { Copying };
            }
            Ok(vec![])
        }
        (Completed, Input::Release { .. } | Input::Resume) => Ok(vec![Action::SendDone]),
        // Forgotten or dropped because one side was restored, and yet the old custodian had sealed:
        // custody is here whatever was thought, so the copy is made once more.
        (Requested | Cancelled, Input::Release { head, count, .. }) => {
            (t.head, t.count, t.have) = (*head, *count, 0);
            t.stage = Copying;
            t.reason = None;
            Ok(vec![])
        }
        (Requested | Copying | Checking | Attention, Input::Cancel { reason }) => {
            cancel(t, reason);
            Ok(vec![Action::ClearOutbox, Action::SendCancel(reason.clone()), Action::EraseStaged])
        }
        // The old node may have sealed on our accept: only it can still cancel.
        (Accepted, Input::Cancel { reason }) => {
            t.reason = Some(reason.clone());
            Ok(vec![Action::ClearOutbox, Action::SendCancel(reason.clone())])
        }
        (Completed, Input::Cancel { .. }) => Err(CustodyError::AfterSeal),
        (Requested | Copying | Checking | Attention | Accepted, Input::PeerCancels { reason }) => {
            cancel(t, reason);
            Ok(vec![Action::ClearOutbox, Action::EraseStaged])
        }
        (Cancelled | Completed, Input::PeerCancels { .. } | Input::Refused { .. }) => Ok(vec![]),
        (Requested | Copying | Checking | Attention, Input::Tick) if now > t.expires => {
            cancel(t, "transfer-expired");
            Ok(vec![Action::ClearOutbox, Action::SendCancel("transfer-expired".into()), Action::EraseStaged])
        }
        (_, Input::Tick) => Ok(vec![]),
        _ => Err(CustodyError::NotNow { stage: t.stage.word() }),
    }
}

/// The message of an action that sends one without needing the store.
pub(crate) fn plain_content(t: &Transfer, action: &Action) -> Option<Content> {
    Some(match action {
        Action::SendOffer => Content::Offer { head: t.head, count: t.count, minutes: t.minutes },
        Action::SendRefuse(reason) => Content::Refuse { reason: reason.clone() },
        Action::SendCancel(reason) => Content::Cancel { reason: reason.clone() },
        Action::SendAccept => Content::Accept { head: t.head, count: t.count },
        _ => return None,
    })
}
