//! Sums of a dossier: stated, disputed, counted, by year and issuer, stars and balance.
//!
//! Overlapping clock times count once (their union) until the recorders decide (S3). A day or a
//! period without clock times is counted without an overlap check, and shown so.

use std::collections::{BTreeMap, BTreeSet};

use super::Dossier;
use crate::day::Day;
use crate::id::StatementId;
use crate::minutes::Minutes;
use crate::name::NodeName;
use crate::profile::Profile;
use crate::statement::When;

/// Sums of one dossier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Minutes of all effective attestations.
    pub stated: Minutes,
    /// Minutes that overlap others, or came from an issuer that is suspended.
    pub disputed: Minutes,
    /// Those of them that came from an issuer that is suspended.
    pub suspended: Minutes,
    /// Stated minus disputed: the honour total.
    pub counted: Minutes,
    /// Minutes of voided attestations, shown apart.
    pub voided: Minutes,
    /// Minutes of repeats of one item, shown apart.
    pub repeated: Minutes,
    /// Effective attestations.
    pub attestations: u64,
    /// Counted minutes by the year of their first day.
    pub by_year: BTreeMap<i32, Minutes>,
    /// Counted minutes by attesting node.
    pub by_issuer: BTreeMap<NodeName, Minutes>,
    /// Counted minutes by recording unit.
    pub by_recorder: BTreeMap<String, Minutes>,
    /// First and last day counted.
    pub days: Option<(Day, Day)>,
    /// Attestations that overlap an earlier one.
    pub overlapping: Vec<StatementId>,
    /// Counted minus redeemed.
    pub balance: Minutes,
    /// Stars due for the counted minutes.
    pub stars_due: u64,
    /// Highest star awarded by a statement.
    pub stars_awarded: u64,
    /// A star was due or awarded before and is no longer due: 待复核, never deleted silently.
    pub star_review: bool,
}

/// Attestations that are stated and not counted, because their issuer is suspended from a date before they
/// came ([`crate::dispute`]). No part of the fold: it depends on statements alone.
pub type Disputes = BTreeSet<StatementId>;

impl Dossier {
    /// Sums under `profile`.
    pub fn totals(&self, profile: &Profile) -> Totals {
        of(self, profile, u64::MAX, &Disputes::new())
    }

    /// Sums over what stood in the chain when it had `length` statements, as it is known today: with
    /// the corrections and voids that came since, without the hours that came since, and without those in
    /// dispute now.
    pub fn totals_within(&self, profile: &Profile, length: u64, disputes: &Disputes) -> Totals {
        of(self, profile, length, disputes)
    }
}

/// Sums over the hours that stand before place `end` of the chain, as corrected and voided by all of it.
fn of(dossier: &Dossier, profile: &Profile, end: u64, disputes: &Disputes) -> Totals {
    let mut t = Totals::default();
    let mut clock: Vec<(i64, i64, StatementId)> = Vec::new();
    let mut counted: Vec<(StatementId, u64)> = Vec::new();
    for (id, hour) in dossier.hours().iter().filter(|(_, hour)| hour.sequence < end) {
        if hour.void.is_some() {
            t.voided.0 += hour.minutes.0;
        } else if hour.repeat {
            t.repeated.0 += hour.minutes.0;
        } else {
            t.stated.0 += hour.minutes.0;
            t.attestations += 1;
            if disputes.contains(id) {
                t.disputed.0 += hour.minutes.0;
                t.suspended.0 += hour.minutes.0;
                continue;
            }
            match hour.when {
                When::Clock { start, end } => clock.push((start.0, end.0, *id)),
                _ => counted.push((*id, hour.minutes.0)),
            }
        }
    }
    clock.sort_unstable();
    let mut covered_to = i64::MIN;
    for (start, end, id) in clock {
        let minutes = dossier.hours()[&id].minutes.0;
        let overlap_seconds = covered_to.min(end).saturating_sub(start).max(0);
        // An overlap of part of a minute disputes that whole minute: never count twice.
        let overlap = (overlap_seconds as u64).div_ceil(60).min(minutes);
        if overlap > 0 {
            t.disputed.0 += overlap;
            t.overlapping.push(id);
        }
        covered_to = covered_to.max(end);
        counted.push((id, minutes - overlap));
    }
    for (id, minutes) in counted {
        let hour = &dossier.hours()[&id];
        let (first, last) = (hour.when.first_day(), hour.when.last_day());
        t.counted.0 += minutes;
        add(&mut t.by_year, first.year(), minutes);
        add_ref(&mut t.by_issuer, &hour.issuer, minutes);
        add_ref(&mut t.by_recorder, &hour.recorder, minutes);
        t.days = Some(t.days.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
    }
    t.balance = Minutes(t.counted.0.saturating_sub(dossier.redeemed.0));
    t.stars_due = profile.stars_due(t.counted);
    t.stars_awarded = dossier.award_star;
    let undisputed =
        if disputes.is_empty() { 0 } else { of(dossier, profile, end, &Disputes::new()).stars_due };
    t.star_review = dossier.star_peak.max(dossier.award_star).max(undisputed) > t.stars_due;
    t
}

fn add(map: &mut BTreeMap<i32, Minutes>, year: i32, minutes: u64) {
    map.entry(year).or_default().0 += minutes;
}

fn add_ref<K: Ord + Clone>(map: &mut BTreeMap<K, Minutes>, key: &K, minutes: u64) {
    if let Some(sum) = map.get_mut(key) {
        sum.0 += minutes;
    } else {
        map.insert(key.clone(), Minutes(minutes));
    }
}
