//! The adopted versions of a roster, from the first one on.
//!
//! In: versions, `now`. Out: the chain with one more, or the reason why not. All versions are kept:
//! the newest one judges keys, an older one says which witnesses a log had at its time.

use std::sync::Arc;

use super::step::{first_signatures, signatures, step};
use super::{FUTURE_SECONDS_MAX, ROSTER_BYTES_MAX, Roster, RosterError, RosterNode, STEPS_MAX, SignedRoster};
use crate::cbor::{self, CborError, Value};
use crate::day::UnixTime;
use crate::name::NodeName;

/// Days before expiry at which people are warned (DESIGN §4).
pub const WARN_DAYS: [i64; 4] = [60, 30, 7, 1];
/// Largest file of versions in bytes: what a courier or a stick brings to a new home.
pub const CHAIN_BYTES_MAX: usize = 16 * 1024 * 1024;
const CHAIN_WORD: &str = "yunling/rosters/1";
const DAY_SECONDS: i64 = 86_400;

/// A version and when this node took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The version.
    pub signed: Arc<SignedRoster>,
    /// This node's clock when it was adopted.
    pub at: UnixTime,
}

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// It is the newest one now.
    Adopted,
    /// It was held already.
    Known,
}

/// How much time the newest version has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// More than the first warning.
    Fresh {
        /// Full days left.
        days: i64,
    },
    /// Ask the stewards for the next version.
    Warn {
        /// Full days left.
        days: i64,
        /// Which of [`WARN_DAYS`] was passed last.
        mark: i64,
    },
    /// Degraded: no new members or keys; those known go on.
    Expired {
        /// Full days since.
        days: i64,
    },
}

impl Freshness {
    /// Stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fresh { .. } => "fresh",
            Self::Warn { .. } => "warn",
            Self::Expired { .. } => "expired",
        }
    }

    /// Full days left; negative when it is over.
    pub fn days_left(self) -> i64 {
        match self {
            Self::Fresh { days } | Self::Warn { days, .. } => days,
            Self::Expired { days } => -days,
        }
    }
}

/// Result of an update with several versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Versions adopted, in order; they stay adopted whatever follows.
    pub adopted: Vec<Arc<SignedRoster>>,
    /// Why the next one was refused.
    pub refused: Option<RosterError>,
}

/// Adopted versions, the first one pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Never empty; version n lies at n - 1.
    versions: Vec<Adopted>,
}

impl Chain {
    /// Begins with version 1, whose stewards and threshold are those of the `pinned` fingerprint
    /// (blanks do not matter), for a home that is a `trial` one or not.
    pub fn begin(first: SignedRoster, pinned: &str, trial: bool, now: UnixTime) -> Result<Self, RosterError> {
        let roster = first.roster();
        if roster.version != 1 {
            return Err(RosterError::NotFirst(roster.version));
        }
        if roster.trial != trial {
            return Err(RosterError::Trial);
        }
        let digits = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let given = roster.fingerprint();
        if digits(&given) != digits(pinned) {
            return Err(RosterError::Pin { given, pinned: pinned.chars().take(64).collect() });
        }
        first_signatures(&first)?;
        not_from_future(roster, now)?;
        Ok(Self { versions: vec![Adopted { signed: Arc::new(first), at: now }] })
    }

    /// Adopts the next version; a version held already is known, another one of its number a fork.
    ///
    /// The expiry of the version before is not looked at, nor that of this one: an expired roster
    /// degrades and never stops (DESIGN §4), and what it takes away counts at once.
    pub fn adopt(&mut self, next: SignedRoster, now: UnixTime) -> Result<Adoption, RosterError> {
        let roster = next.roster();
        if let Some(held) = self.version(roster.version) {
            if held.hash() == next.hash() {
                return Ok(Adoption::Known);
            }
            // Only what the stewards really signed is a fork; anybody can write the same number.
            match roster.version.checked_sub(1).and_then(|before| self.version(before)) {
                Some(before) => signatures(before.roster(), &next)?,
                None if roster.fingerprint() == held.roster().fingerprint() => first_signatures(&next)?,
                None => {
                    let (given, pinned) = (roster.fingerprint(), held.roster().fingerprint());
                    return Err(RosterError::Pin { given, pinned });
                }
            }
            let (held, given) = (held.hash(), next.hash());
            return Err(RosterError::Fork { version: roster.version, held, given });
        }
        step(self.newest(), &next)?;
        not_from_future(roster, now)?;
        self.versions.push(Adopted { signed: Arc::new(next), at: now });
        Ok(Adoption::Adopted)
    }

    /// Adopts several versions in order, at most [`STEPS_MAX`]; those held already are passed over.
    pub fn update(&mut self, versions: &[Vec<u8>], now: UnixTime) -> Update {
        let mut update = Update { adopted: Vec::new(), refused: None };
        if versions.len() > STEPS_MAX {
            update.refused = Some(RosterError::Steps(versions.len()));
            return update;
        }
        for bytes in versions {
            let next = SignedRoster::parse_after(bytes, Some(self.newest().roster()));
            match next.and_then(|next| self.adopt(next, now)) {
                Ok(Adoption::Adopted) => update.adopted.push(self.newest().clone()),
                Ok(Adoption::Known) => {}
                Err(error) => {
                    update.refused = Some(error);
                    break;
                }
            }
        }
        update
    }

    /// Rebuilds a chain from what a node stored: version bytes and when each was adopted, in order.
    /// Everything is verified again.
    pub fn load(
        stored: impl IntoIterator<Item = (Vec<u8>, UnixTime)>,
        pinned: &str,
        trial: bool,
    ) -> Result<Option<Self>, RosterError> {
        let mut chain: Option<Self> = None;
        for (bytes, at) in stored {
            let before = chain.as_ref().map(|chain| chain.newest().roster());
            let version = SignedRoster::parse_after(&bytes, before)?;
            match &mut chain {
                None => chain = Some(Self::begin(version, pinned, trial, at)?),
                Some(chain) => {
                    chain.adopt(version, at)?;
                }
            }
        }
        Ok(chain)
    }

    /// The newest version.
    pub fn newest(&self) -> &Arc<SignedRoster> {
        // A chain is made with one version and only grows.
        &self.versions[self.versions.len() - 1].signed
    }

    /// A version by number.
    pub fn version(&self, version: u64) -> Option<&Arc<SignedRoster>> {
        let at = usize::try_from(version.checked_sub(1)?).ok()?;
        self.versions.get(at).map(|adopted| &adopted.signed)
    }

    /// All versions with the time of their adoption, oldest first.
    pub fn versions(&self) -> &[Adopted] {
        &self.versions
    }

    /// The version in force at `at`: the newest one issued by then.
    pub fn in_force(&self, at: UnixTime) -> Option<&Arc<SignedRoster>> {
        let found = self.versions.iter().rev().find(|adopted| adopted.signed.roster().issued <= at);
        found.map(|adopted| &adopted.signed)
    }

    /// A member in the newest version.
    pub fn node(&self, name: &NodeName) -> Option<&RosterNode> {
        self.newest().roster().node(name)
    }

    /// The newest version that had not expired when it was adopted. Members and keys that only a later
    /// one names do not count: an expired roster brings no new ones (DESIGN §4).
    pub(super) fn counted(&self) -> Option<&Roster> {
        let in_time = |adopted: &&Adopted| adopted.at < adopted.signed.roster().expires;
        self.versions.iter().rev().find(in_time).map(|adopted| adopted.signed.roster())
    }

    /// Time left at `now`.
    pub fn freshness(&self, now: UnixTime) -> Freshness {
        let left = self.newest().roster().expires.0.saturating_sub(now.0);
        if left <= 0 {
            return Freshness::Expired { days: left.saturating_neg() / DAY_SECONDS };
        }
        let days = left / DAY_SECONDS;
        match WARN_DAYS.into_iter().rev().find(|mark| left <= mark * DAY_SECONDS) {
            Some(mark) => Freshness::Warn { days, mark },
            None => Freshness::Fresh { days },
        }
    }
}

fn not_from_future(roster: &Roster, now: UnixTime) -> Result<(), RosterError> {
    if roster.issued.0 > now.0.saturating_add(FUTURE_SECONDS_MAX) {
        return Err(RosterError::FromFuture(roster.version));
    }
    Ok(())
}

/// Versions in one file, oldest first.
pub fn write_chain<'a>(versions: impl IntoIterator<Item = &'a SignedRoster>) -> Vec<u8> {
    let versions = versions.into_iter().map(|version| cbor::bytes(version.bytes()));
    cbor::encode(&Value::Array([cbor::text(CHAIN_WORD)].into_iter().chain(versions).collect()))
}

/// Bytes of the versions in a file of [`write_chain`], or of the one version that the file is.
pub fn read_chain(bytes: &[u8]) -> Result<Vec<Vec<u8>>, RosterError> {
    // A file of versions is an array, a version begins with its tag.
    if bytes.first().is_some_and(|first| first >> 5 == 6) {
        return Ok(vec![bytes.to_vec()]);
    }
    let shape = || CborError::Shape("a file of rosters is expected");
    let Value::Array(items) = cbor::decode(bytes, CHAIN_BYTES_MAX)? else { return Err(shape().into()) };
    let mut items = items.into_iter();
    if items.next() != Some(cbor::text(CHAIN_WORD)) {
        return Err(shape().into());
    }
    if items.len() > STEPS_MAX {
        return Err(RosterError::Steps(items.len()));
    }
    let one = |item| match item {
        Value::Bytes(bytes) if bytes.len() <= ROSTER_BYTES_MAX => Ok(bytes),
        _ => Err(shape().into()),
    };
    items.map(one).collect()
}
