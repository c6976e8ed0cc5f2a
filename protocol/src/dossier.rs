//! The dossier fold: what a chain of statements says of one volunteer.
//!
//! In: verified statements in chain order. Out: minutes stated, disputed, counted, per year, stars
//! due, balance, custody. Same statements, same result, everywhere; policy never enters. What a
//! rule does not count is shown apart, never dropped.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::custody::takeover::NOTICE_SECONDS;
use crate::day::UnixTime;
use crate::id::{ChainHead, DossierId, ItemId, StatementId};
use crate::minutes::Minutes;
use crate::mutants::{self, Mutant};
use crate::name::NodeName;
use crate::profile::Profile;
use crate::statement::{Body, Statement, Takeover};

mod entry;
pub mod totals;

use entry::Fact;
pub use entry::{Entry, Hour};
pub use totals::{Disputes, Totals};

/// Most minutes of one attestation, a year of them: beyond any record, and every sum stays in u64.
pub const HOUR_MINUTES_MAX: Minutes = Minutes(60 * 24 * 366);

/// Chain head of an empty dossier; binds the chain to its id.
pub fn empty_head(id: DossierId) -> ChainHead {
    ChainHead(Sha256::new().chain_update(b"yunling/chain/1").chain_update(id.0).finalize().into())
}

/// h(i) = SHA-256(h(i-1) ‖ id(i)).
pub fn next_head(head: ChainHead, id: StatementId) -> ChainHead {
    ChainHead(Sha256::new().chain_update(head.0).chain_update(id.0).finalize().into())
}

/// Why a statement does not fit the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// It speaks of another dossier.
    #[error("the statement belongs to another dossier")]
    OtherDossier,
    /// It is in the chain already.
    #[error("the statement is in the dossier already, at sequence {0}")]
    Repeated(u64),
    /// A chain begins with a consent signed by its first custodian.
    #[error("a dossier begins with a consent signed by its first custodian (R-03)")]
    NoConsent,
    /// Only the custodian may sign this kind.
    #[error("only the custodian {custodian} may sign a {kind}, not {issuer}")]
    NotCustodian {
        /// Word of the kind.
        kind: &'static str,
        /// Who holds custody.
        custodian: NodeName,
        /// Who signed.
        issuer: NodeName,
    },
    /// A correction, void or evaluation of something not in this dossier.
    #[error("the statement it changes is not in this dossier")]
    UnknownTarget,
    /// Only the issuer of the original may change it.
    #[error("only {0}, who recorded the original, may correct or void it (R-12)")]
    NotIssuer(NodeName),
    /// The original is void already.
    #[error("the original is void already")]
    AlreadyVoid,
    /// A seal of the wrong epoch, head, count, minutes or balance.
    #[error("the seal does not match the dossier: {0}")]
    SealMismatch(&'static str),
    /// The dossier is sealed and waits for its next custodian.
    #[error("the dossier is sealed; only {0} may continue it")]
    Sealed(NodeName),
    /// A received statement without a matching seal.
    #[error("a received statement must follow its own seal")]
    NotReceivable,
    /// A takeover of another chain, or made before its notice ended.
    #[error("the takeover does not match the dossier: {0}")]
    TakeoverMismatch(&'static str),
    /// A receipt lies beside, never in the chain.
    #[error("a receipt is never part of a chain")]
    Beside,
    /// Minutes beyond what a u64 sum can hold.
    #[error("the minutes are beyond any possible sum")]
    Overflow,
}

impl FoldError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherDossier => "dossier-other",
            Self::Repeated(_) => "dossier-repeated",
            Self::NoConsent => "consent-missing",
            Self::NotCustodian { .. } => "not-custodian",
            Self::UnknownTarget => "target-unknown",
            Self::NotIssuer(_) => "not-issuer",
            Self::AlreadyVoid => "already-void",
            Self::SealMismatch(_) => "seal-mismatch",
            Self::Sealed(_) => "dossier-sealed",
            Self::NotReceivable => "not-receivable",
            Self::TakeoverMismatch(_) => "takeover-mismatch",
            Self::Beside => "statement-beside",
            Self::Overflow => "minutes-overflow",
        }
    }
}

/// Who may append now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Custody {
    /// Nobody yet: the chain is empty.
    Empty,
    /// This node.
    Open(NodeName),
    /// Sealed by the custodian, waiting for the next.
    Sealed {
        /// The seal.
        seal: StatementId,
        /// Next custodian.
        next: NodeName,
    },
}

/// State of a dossier after a prefix of its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dossier {
    id: DossierId,
    epoch: u64,
    length: u64,
    head: ChainHead,
    custody: Custody,
    hours: BTreeMap<StatementId, Box<Hour>>,
    /// By item first: it nearly always decides, so names are seldom compared.
    items: BTreeMap<(ItemId, NodeName), StatementId>,
    other: BTreeMap<StatementId, u64>,
    seals: Vec<StatementId>,
    rebuilt: bool,
    consents: Vec<(StatementId, Option<NodeName>)>,
    redeemed: Minutes,
    award_star: u64,
    star_peak: u64,
    grown: bool,
    newest: UnixTime,
    unknown_critical: Option<u64>,
}

impl Dossier {
    /// An empty dossier.
    pub fn new(id: DossierId) -> Self {
        Self {
            id,
            epoch: 0,
            length: 0,
            head: empty_head(id),
            custody: Custody::Empty,
            hours: BTreeMap::new(),
            items: BTreeMap::new(),
            other: BTreeMap::new(),
            seals: Vec::new(),
            rebuilt: false,
            consents: Vec::new(),
            redeemed: Minutes(0),
            award_star: 0,
            star_peak: 0,
            grown: false,
            newest: UnixTime(i64::MIN),
            unknown_critical: None,
        }
    }

    /// Id.
    pub fn id(&self) -> DossierId {
        self.id
    }

    /// Custody epoch, from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Statements in the chain.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Chain head.
    pub fn head(&self) -> ChainHead {
        self.head
    }

    /// Custody.
    pub fn custody(&self) -> &Custody {
        &self.custody
    }

    /// Attested services by statement id.
    pub fn hours(&self) -> &BTreeMap<StatementId, Box<Hour>> {
        &self.hours
    }

    /// The statements that ended custody, seals and takeovers, in order of epoch.
    pub fn seals(&self) -> &[StatementId] {
        &self.seals
    }

    /// Whether a successor ever rebuilt it after its custodian was gone; shown for ever (DESIGN §6).
    pub fn rebuilt(&self) -> bool {
        self.rebuilt
    }

    /// Newest time any statement in it names.
    pub fn newest(&self) -> UnixTime {
        self.newest
    }

    /// Odd kind number that this version does not know, if one stands in the chain.
    pub fn unknown_critical(&self) -> Option<u64> {
        self.unknown_critical
    }

    /// Whether a statement is in the chain, and where.
    pub fn sequence_of(&self, id: StatementId) -> Option<u64> {
        self.hours.get(&id).map(|h| h.sequence).or_else(|| self.other.get(&id).copied())
    }

    /// Whether an attestation of this (issuer, item) is in the chain.
    pub fn has_item(&self, issuer: &NodeName, item: ItemId) -> Option<StatementId> {
        self.items.get(&(item, issuer.clone())).copied()
    }

    /// Whether a consent in the chain names `receiver` (PIPL 23).
    pub fn consent_for(&self, receiver: &NodeName) -> Option<StatementId> {
        self.consents.iter().rev().find(|(_, r)| r.as_ref() == Some(receiver)).map(|(id, _)| *id)
    }

    /// Checks a verified statement and appends it; on an error nothing changes.
    pub fn apply(&mut self, statement: &Statement, profile: &Profile) -> Result<u64, FoldError> {
        self.take(statement.clone().into(), profile)
    }

    /// As [`Dossier::apply`] for an entry made of a verified statement.
    pub fn take(&mut self, entry: Entry, profile: &Profile) -> Result<u64, FoldError> {
        if entry.dossier != self.id {
            return Err(FoldError::OtherDossier);
        }
        if let Some(sequence) = self.sequence_of(entry.id)
            && !mutants::is(Mutant::ForgottenDedup)
        {
            return Err(FoldError::Repeated(sequence));
        }
        let sequence = self.length;
        let Entry { id, issuer, issued_at, fact, .. } = entry;
        match fact {
            Fact::Hour(hour) => self.take_hour(id, hour, sequence)?,
            Fact::Other(body) => {
                self.check_custody(&issuer, &body)?;
                self.take_body(id, issuer, issued_at, &body, profile)?;
                self.other.insert(id, sequence);
            }
        }
        self.length += 1;
        self.head = next_head(self.head, id);
        self.newest = self.newest.max(issued_at);
        Ok(sequence)
    }

    fn check_custody(&self, issuer: &NodeName, body: &Body) -> Result<(), FoldError> {
        match (&self.custody, body) {
            (_, Body::Receipt(_)) => Err(FoldError::Beside),
            (Custody::Empty, Body::Consent(_)) => Ok(()),
            (Custody::Empty, _) => Err(FoldError::NoConsent),
            (Custody::Sealed { seal, next }, Body::Received(r)) => {
                if issuer == next && r.seal == *seal && r.epoch == self.epoch + 1 && r.count == self.length {
                    Ok(())
                } else {
                    Err(FoldError::NotReceivable)
                }
            }
            (Custody::Sealed { next, .. }, _) => Err(FoldError::Sealed(next.clone())),
            (Custody::Open(_), Body::Received(_)) => Err(FoldError::NotReceivable),
            (Custody::Open(custodian), Body::Takeover(t)) => {
                if issuer == custodian || t.from != *custodian {
                    return Err(FoldError::TakeoverMismatch("custodian"));
                }
                Ok(())
            }
            (Custody::Open(custodian), body) => {
                let only_custodian = !matches!(
                    body,
                    Body::Correction(_)
                        | Body::Void(_)
                        | Body::Training(_)
                        | Body::Award(_)
                        | Body::Evaluation(_)
                        | Body::Unknown { .. }
                );
                let believed = matches!(body, Body::Seal(_)) && mutants::is(Mutant::SealByEpochAlone);
                if only_custodian && issuer != custodian && !believed {
                    return Err(FoldError::NotCustodian {
                        kind: Body::word(body.kind()).unwrap_or("statement"),
                        custodian: custodian.clone(),
                        issuer: issuer.clone(),
                    });
                }
                Ok(())
            }
        }
    }

    fn take_body(
        &mut self,
        id: StatementId,
        issuer: NodeName,
        signed: UnixTime,
        body: &Body,
        profile: &Profile,
    ) -> Result<(), FoldError> {
        match body {
            Body::Correction(c) => {
                self.changeable(c.target, &issuer)?;
                if c.minutes.is_some_and(|m| m > HOUR_MINUTES_MAX) {
                    return Err(FoldError::Overflow);
                }
                self.note_peak(profile);
                if let Some(hour) = self.hours.get_mut(&c.target) {
                    let [when, minutes, grade, any] = &mut hour.corrected_at;
                    replace(&mut hour.when, when, c.when, signed);
                    replace(&mut hour.minutes, minutes, c.minutes, signed);
                    replace(&mut hour.grade, grade, c.grade, signed);
                    replace(&mut hour.corrected, any, Some(Some(id)), signed);
                }
                self.grown = true;
            }
            Body::Void(v) => {
                self.changeable(v.target, &issuer)?;
                self.note_peak(profile);
                if let Some(hour) = self.hours.get_mut(&v.target) {
                    hour.void = Some(id);
                }
                self.restore_repeat(v.target);
            }
            Body::Evaluation(e) if !self.hours.contains_key(&e.target) => {
                return Err(FoldError::UnknownTarget);
            }
            Body::Award(a) => self.award_star = self.award_star.max(a.star.unwrap_or(0)),
            Body::Consent(c) => {
                if self.custody == Custody::Empty {
                    self.custody = Custody::Open(issuer);
                }
                self.consents.push((id, c.receiver.as_ref().map(|r| r.node.clone())));
            }
            Body::Redemption(r) => {
                self.redeemed = self.redeemed.checked_add(r.minutes).ok_or(FoldError::Overflow)?;
            }
            Body::Seal(s) => {
                self.check_seal(s, profile)?;
                self.seals.push(id);
                self.custody = Custody::Sealed { seal: id, next: s.next.clone() };
            }
            Body::Takeover(t) => {
                self.check_takeover(t, signed, profile)?;
                self.seals.push(id);
                self.rebuilt = true;
                self.epoch += 1;
                self.custody = Custody::Open(issuer);
            }
            Body::Received(r) => {
                self.epoch = r.epoch;
                self.custody = Custody::Open(issuer);
            }
            Body::Unknown { kind, .. } if kind % 2 == 1 => self.unknown_critical = Some(*kind),
            _ => {}
        }
        Ok(())
    }

    fn take_hour(&mut self, id: StatementId, mut hour: Box<Hour>, sequence: u64) -> Result<(), FoldError> {
        match &self.custody {
            Custody::Open(_) => {}
            Custody::Empty => return Err(FoldError::NoConsent),
            Custody::Sealed { next, .. } => return Err(FoldError::Sealed(next.clone())),
        }
        if hour.minutes > HOUR_MINUTES_MAX {
            return Err(FoldError::Overflow);
        }
        let first = *self.items.entry((hour.item, hour.issuer.clone())).or_insert(id);
        hour.sequence = sequence;
        hour.repeat = first != id;
        self.hours.insert(id, hour);
        self.grown = true;
        Ok(())
    }

    /// After the first of an item is voided, a later attestation of the same item counts.
    fn restore_repeat(&mut self, voided: StatementId) {
        let Some(hour) = self.hours.get(&voided).filter(|h| !h.repeat) else { return };
        let key = (hour.item, hour.issuer.clone());
        let next = self
            .hours
            .iter()
            .filter(|(_, h)| h.repeat && h.void.is_none() && h.item == key.0 && h.issuer == key.1)
            .min_by_key(|(_, h)| h.sequence)
            .map(|(id, _)| *id);
        match next {
            Some(id) => {
                if let Some(hour) = self.hours.get_mut(&id) {
                    hour.repeat = false;
                }
                self.items.insert(key, id);
            }
            None => {
                self.items.remove(&key);
            }
        }
    }

    fn changeable(&self, target: StatementId, issuer: &NodeName) -> Result<(), FoldError> {
        let hour = self.hours.get(&target).ok_or(FoldError::UnknownTarget)?;
        if hour.issuer != *issuer {
            return Err(FoldError::NotIssuer(hour.issuer.clone()));
        }
        if hour.void.is_some() {
            return Err(FoldError::AlreadyVoid);
        }
        Ok(())
    }

    /// A seal binds exactly the copied head, its sums and the epoch.
    fn check_seal(&self, s: &crate::statement::Seal, profile: &Profile) -> Result<(), FoldError> {
        let totals = self.totals(profile);
        let checks = [
            (s.epoch == self.epoch, "epoch"),
            (s.head == self.head, "head"),
            (s.count == self.length, "count"),
            (s.minutes == totals.counted, "minutes"),
            (s.balance == totals.balance, "balance"),
        ];
        let unbound = mutants::is(Mutant::SealNotBoundToHead);
        match checks.iter().find(|(ok, what)| !(*ok || unbound && *what != "epoch")) {
            Some((_, what)) => Err(FoldError::SealMismatch(what)),
            None => Ok(()),
        }
    }

    /// A takeover binds the chain it stands on like a seal, and comes after its notice. Until then nobody
    /// could append, so that the balance was frozen.
    fn check_takeover(&self, t: &Takeover, signed: UnixTime, profile: &Profile) -> Result<(), FoldError> {
        let totals = self.totals(profile);
        let noticed = t.notice_ends.0.saturating_sub(t.announced.0) >= NOTICE_SECONDS;
        let checks = [
            (t.epoch == self.epoch, "epoch"),
            (t.head == self.head, "head"),
            (t.count == self.length, "count"),
            (t.minutes == totals.counted, "minutes"),
            (t.balance == totals.balance, "balance"),
            (noticed && signed >= t.notice_ends, "notice"),
        ];
        match checks.iter().find(|(ok, _)| !ok) {
            Some((_, what)) => Err(FoldError::TakeoverMismatch(what)),
            None => Ok(()),
        }
    }

    /// Remembers the highest star ever due before hours shrink, for the star review (S6). Only
    /// needed when hours grew since the last look.
    fn note_peak(&mut self, profile: &Profile) {
        if self.grown {
            self.star_peak = self.star_peak.max(self.totals(profile).stars_due);
            self.grown = false;
        }
    }
}

/// Takes a corrected value unless a correction signed later was taken before.
fn replace<T>(field: &mut T, at: &mut UnixTime, value: Option<T>, signed: UnixTime) {
    if let Some(value) = value.filter(|_| signed >= *at) {
        (*field, *at) = (value, signed);
    }
}
