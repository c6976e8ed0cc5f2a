//! What a verifier knows of logs, and its judgement of a proof's receipts.

use super::super::verify::Why;
use super::{Receipt, ReceiptError};
use crate::cose::CoseError;
use crate::day::UnixTime;
use crate::id::StatementId;
use crate::key::KeyEntry;
use crate::log::checkpoint::Origin;
use crate::log::policy::{Cosignature, PolicyError, Quorum, Witnessed};
use crate::name::NodeName;

/// What a verifier knows of logs.
#[derive(Clone, Copy)]
pub struct LogTrust<'a> {
    /// Log keys of a node, also those whose window has ended.
    pub keys: &'a dyn Fn(&NodeName) -> Vec<KeyEntry>,
    /// Quorum of a log. `None` where none is known, as between bilateral peers: then a receipt
    /// says that it is logged and not that anyone saw it, and proves no time.
    pub quorum: &'a dyn Fn(&Origin) -> Option<Quorum>,
    /// A proof without a receipt is not taken.
    pub required: bool,
}

/// That a proof is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The log.
    pub origin: Origin,
    /// Entries under the checkpoint: "valid as of checkpoint N". Bound by the cosignatures alone (the
    /// log's receipt signature covers the root): where nobody witnessed, it is a claim.
    pub size: u64,
    /// Index of its entry, as far as the path binds it.
    pub index: u64,
    /// Who saw the checkpoint and when; `None` where no quorum is known.
    pub witnessed: Option<Witnessed>,
}

impl Logged {
    /// The moment before which it was signed, as its quorum says.
    pub fn time(&self) -> Option<UnixTime> {
        self.witnessed.as_ref().and_then(|witnessed| witnessed.at)
    }
}

/// Judges the receipts of the token with this id by `issuer`, at `now`. Each must hold; the one
/// that was witnessed first speaks for the proof.
///
/// The order: the root is made again, the log's key must have signed it, the checkpoint's text is
/// made again, and the cosignatures on it must satisfy the quorum, which never counts the issuer.
/// The log key must be in its window at the witnessed time, or now where there is none.
pub fn judge(
    receipts: &[Receipt],
    id: StatementId,
    issuer: &NodeName,
    trust: &LogTrust<'_>,
    now: UnixTime,
) -> Result<Option<Logged>, Why> {
    let mut best: Option<Logged> = None;
    for receipt in receipts {
        let logged = judge_one(receipt, id, issuer, trust, now)?;
        let earlier = |known: &Logged| match (logged.time(), known.time()) {
            (Some(time), Some(known)) => time < known,
            (time, known) => time.is_some() && known.is_none(),
        };
        if best.as_ref().is_none_or(earlier) {
            best = Some(logged);
        }
    }
    if best.is_none() && trust.required { Err(Why::NotLogged) } else { Ok(best) }
}

fn judge_one(
    receipt: &Receipt,
    id: StatementId,
    issuer: &NodeName,
    trust: &LogTrust<'_>,
    now: UnixTime,
) -> Result<Logged, Why> {
    if receipt.origin.node != *issuer {
        return Err(Why::ReceiptBad);
    }
    let keys = (trust.keys)(issuer);
    let (head, key) = receipt.verify(id, &keys).map_err(|error| match error {
        // A newer card or roster may know it.
        ReceiptError::Signature(CoseError::NoKey) => Why::ReceiptUnknownKey,
        _ => Why::ReceiptBad,
    })?;
    let witnessed = match (trust.quorum)(&receipt.origin) {
        None => None,
        Some(quorum) => {
            let cosignatures = receipt.cosignatures.iter().map(Cosignature::of_raw);
            Some(quorum.judge(&head.text(), cosignatures, now).map_err(|error| match error {
                PolicyError::NoQuorum { .. } => Why::NotWitnessed,
                _ => Why::ReceiptBad,
            })?)
        }
    };
    let logged = Logged { origin: receipt.origin.clone(), size: head.size, index: receipt.index, witnessed };
    if key.valid_at(logged.time().unwrap_or(now)) { Ok(logged) } else { Err(Why::DateUnproven) }
}
