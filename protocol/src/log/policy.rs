//! When a checkpoint counts as witnessed.
//!
//! [`Quorum`] is the rule of a log of ours (DESIGN §4): k of a fixed n witnesses, 2k > n, the
//! log's owner never among them, each witness counted once however many keys it has. [`PolicyFile`]
//! reads the policy files of other tools (`c2sp.org/tlog-policy`).

pub mod file;

pub use file::{PolicyFile, PolicyFileError};

use super::cosignature;
use super::note::{KeyType, NoteKey, NoteSignature, VkeyError};
use crate::day::UnixTime;
use crate::key::KeyEntry;
use crate::name::NodeName;

/// Most witnesses of one log: a receipt grows by 78 bytes for each that is needed, and a member of
/// a federation of some dozens asks a handful of them.
pub const WITNESSES_MAX: usize = 16;

/// Longest name of a policy, bytes: it is shown in one line of a verdict.
pub const POLICY_NAME_BYTES_MAX: usize = 64;

/// Most keys of one witness that are kept: rotation over its whole life.
pub const WITNESS_KEYS_MAX: usize = 32;

/// Seconds that a witness's clock may be ahead of the judging node's (DESIGN §4: 10 minutes).
const FUTURE_SECONDS_MAX: i64 = crate::message::FUTURE_SECONDS_MAX;

/// Why there is no such policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No name, or a longer one than a verdict shows.
    #[error("a witness policy has a name of 1 to {POLICY_NAME_BYTES_MAX} bytes")]
    Name,
    /// The log's owner is among the witnesses.
    #[error("the owner of a log does not count as its witness")]
    Owner,
    /// A witness is named twice, or two of them share a key.
    #[error("a witness or its key is listed twice")]
    Repeated,
    /// More than half of the witnesses are needed, and not more than there are.
    #[error("k of n witnesses with n/2 < k ≤ n is needed")]
    Threshold,
    /// Over [`WITNESSES_MAX`] or [`WITNESS_KEYS_MAX`].
    #[error("too many witnesses or keys")]
    TooMany,
    /// A signature of a known witness key does not verify.
    #[error("a cosignature of a known witness does not verify")]
    BadCosignature,
    /// Fewer witnesses than k.
    #[error("{have} of the {need} witnesses needed have cosigned")]
    NoQuorum {
        /// Witnesses whose cosignature counts.
        have: usize,
        /// Witnesses needed.
        need: usize,
    },
}

impl PolicyError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Name => "policy-name",
            Self::Owner => "policy-owner",
            Self::Repeated => "policy-repeated",
            Self::Threshold => "policy-threshold",
            Self::TooMany => "policy-too-many",
            Self::BadCosignature => "policy-bad-cosignature",
            Self::NoQuorum { .. } => "policy-no-quorum",
        }
    }
}

/// A key of a witness with its window, judged by the time inside the cosignature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessKey {
    /// The key, of type cosignature/v1, under the name of the node.
    pub key: NoteKey,
    /// First moment it counts.
    pub from: UnixTime,
    /// First moment it no longer counts: the end of its window, or when it was compromised.
    pub until: Option<UnixTime>,
}

impl WitnessKey {
    /// From an entry of a card or roster; a cosigner's key name is the node's name. An earlier
    /// `compromised_from` must be put into [`WitnessKey::until`] by the caller.
    pub fn of(node: &NodeName, entry: &KeyEntry) -> Result<Self, VkeyError> {
        let key = NoteKey::new(node.as_str(), KeyType::CosignatureV1, &entry.public)?;
        Ok(Self { key, from: entry.not_before, until: entry.not_after })
    }

    fn counts_at(&self, time: i64) -> bool {
        self.from <= UnixTime(time) && self.until.is_none_or(|until| UnixTime(time) < until)
    }
}

/// A witness of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The node.
    pub node: NodeName,
    /// Its keys, old ones too.
    pub keys: Vec<WitnessKey>,
    /// When it was no active member: from the first moment to the one at which it was again, none where
    /// that has not come. A cosignature of such a time is genuine and not counted.
    pub away: Vec<(UnixTime, Option<UnixTime>)>,
}

impl Witness {
    /// A witness of no roster: its keys alone say when it counts.
    pub fn new(node: NodeName, keys: Vec<WitnessKey>) -> Self {
        Self { node, keys, away: Vec::new() }
    }

    fn counts_at(&self, time: UnixTime) -> bool {
        !self.away.iter().any(|(from, until)| *from <= time && until.is_none_or(|until| time < until))
    }
}

/// k of n witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    name: String,
    witnesses: Vec<Witness>,
    threshold: usize,
}

/// Cosignatures that satisfy a [`Quorum`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// Name of the policy.
    pub policy: String,
    /// Witnesses that cosigned, with the time each gave, in the order of the policy.
    pub by: Vec<(NodeName, UnixTime)>,
    /// The moment by which k of them had: the k-th earliest of their times. Up to k − 1 witnesses
    /// that give an early time cannot move it before the first honest one. `None` when no witness
    /// is needed.
    pub at: Option<UnixTime>,
}

/// A cosignature as a receipt or a note holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosignature<'a> {
    /// Key name; a receipt holds none.
    pub name: Option<&'a str>,
    /// Key id.
    pub key_hash: [u8; 4],
    /// Time and signature.
    pub signature: &'a [u8],
}

impl<'a> Cosignature<'a> {
    /// From the 76 bytes of a receipt.
    pub fn of_raw(raw: &'a [u8; cosignature::COSIGNATURE_BYTES]) -> Self {
        let (key_hash, signature) = (&raw[..4], &raw[4..]);
        Self { name: None, key_hash: [key_hash[0], key_hash[1], key_hash[2], key_hash[3]], signature }
    }
}

impl<'a> From<&'a NoteSignature> for Cosignature<'a> {
    fn from(line: &'a NoteSignature) -> Self {
        Self { name: Some(&line.name), key_hash: line.key_hash, signature: &line.signature }
    }
}

impl Quorum {
    /// The rule of the log of `owner`: at least `threshold` of these witnesses.
    pub fn new(
        name: &str,
        owner: &NodeName,
        witnesses: Vec<Witness>,
        threshold: usize,
    ) -> Result<Self, PolicyError> {
        if name.is_empty() || name.len() > POLICY_NAME_BYTES_MAX {
            return Err(PolicyError::Name);
        }
        if witnesses.len() > WITNESSES_MAX || witnesses.iter().any(|w| w.keys.len() > WITNESS_KEYS_MAX) {
            return Err(PolicyError::TooMany);
        }
        if witnesses.iter().any(|w| w.node == *owner) {
            return Err(PolicyError::Owner);
        }
        if threshold > witnesses.len() || 2 * threshold <= witnesses.len() {
            return Err(PolicyError::Threshold);
        }
        for (at, witness) in witnesses.iter().enumerate() {
            let shares_key = |other: &Witness| {
                let publics = |w: &Witness| w.keys.iter().map(|k| *k.key.public()).collect::<Vec<_>>();
                publics(other).iter().any(|key| publics(witness).contains(key))
            };
            if witnesses[..at].iter().any(|other| other.node == witness.node || shares_key(other)) {
                return Err(PolicyError::Repeated);
            }
        }
        Ok(Self { name: name.to_owned(), witnesses, threshold })
    }

    /// The rule between bilateral peers: nothing is needed, which every result says (DESIGN §6).
    pub fn none() -> Self {
        Self { name: "none".to_owned(), witnesses: Vec::new(), threshold: 0 }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Witnesses needed.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// All witnesses.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Judges the cosignatures on the checkpoint with this text, at `now`.
    ///
    /// Unknown keys are ignored. A known key whose signature does not verify rejects all. A
    /// cosignature outside the window of its key, of a time at which the witness was no active member,
    /// or from the future, is genuine and not counted.
    pub fn judge<'a>(
        &self,
        text: &str,
        cosignatures: impl IntoIterator<Item = Cosignature<'a>>,
        now: UnixTime,
    ) -> Result<Witnessed, PolicyError> {
        let latest = now.0.saturating_add(FUTURE_SECONDS_MAX);
        let mut times: Vec<Option<i64>> = vec![None; self.witnesses.len()];
        for cosignature in cosignatures {
            // A receipt names no key: witnesses whose key ids collide are all tried.
            let candidates: Vec<(usize, &WitnessKey)> = self.candidates(&cosignature).collect();
            let verified = candidates.iter().find_map(|(at, key)| {
                Some((*at, *key, cosignature::verify(&key.key, text, cosignature.signature)?))
            });
            match verified {
                Some((at, key, time)) => {
                    let time = i64::try_from(time).ok().filter(|t| *t <= latest && key.counts_at(*t));
                    if let Some(time) = time.filter(|t| self.witnesses[at].counts_at(UnixTime(*t))) {
                        times[at] = Some(times[at].map_or(time, |known: i64| known.min(time)));
                    }
                }
                None if candidates.is_empty() => {}
                None => return Err(PolicyError::BadCosignature),
            }
        }
        self.count(&times)
    }

    fn candidates<'s>(&'s self, c: &Cosignature<'s>) -> impl Iterator<Item = (usize, &'s WitnessKey)> {
        let (name, hash) = (c.name, c.key_hash);
        let fits = move |key: &WitnessKey| key.key.hash() == hash && name.is_none_or(|n| n == key.key.name());
        self.witnesses
            .iter()
            .enumerate()
            .flat_map(|(at, witness)| witness.keys.iter().map(move |key| (at, key)))
            .filter(move |(_, key)| fits(key))
    }

    fn count(&self, times: &[Option<i64>]) -> Result<Witnessed, PolicyError> {
        let by: Vec<(NodeName, UnixTime)> = self
            .witnesses
            .iter()
            .zip(times)
            .filter_map(|(witness, time)| Some((witness.node.clone(), UnixTime((*time)?))))
            .collect();
        if by.len() < self.threshold {
            return Err(PolicyError::NoQuorum { have: by.len(), need: self.threshold });
        }
        let mut sorted: Vec<UnixTime> = by.iter().map(|(_, time)| *time).collect();
        sorted.sort_unstable();
        let at = self.threshold.checked_sub(1).and_then(|kth| sorted.get(kth)).copied();
        Ok(Witnessed { policy: self.name.clone(), by, at })
    }
}

#[cfg(test)]
mod tests;
