//! The order of a chain that lost places: from what was signed about it, else from the dates.

use std::collections::{BTreeMap, BTreeSet};

use super::Scene;
use crate::day::UnixTime;
use crate::dossier::{Custody, empty_head, next_head};
use crate::id::{ChainHead, StatementId};
use crate::ledger;
use crate::office::DecideError;
use crate::statement::{Body, Outcome, When};

/// Most lost places whose every order is tried: 5040 of them, some milliseconds.
const PERMUTED_MAX: usize = 7;

impl Scene<'_> {
    /// Lengths at which somebody signed the head, and the one stored.
    fn points(&self) -> BTreeMap<u64, ChainHead> {
        let mut points = BTreeMap::new();
        for receipt in self.receipts.values() {
            if let Body::Receipt(body) = &receipt.body
                && let Some((_, length, head)) = body.state
                && receipt.common.issuer == *self.office.me
            {
                points.insert(length, head);
            }
        }
        for (statement, seal) in self.seals() {
            points.insert(seal.count, seal.head);
            points.insert(seal.count + 1, next_head(seal.head, statement.id));
        }
        for statement in self.statements.values() {
            if let Body::Takeover(takeover) = &statement.body {
                points.insert(takeover.count, takeover.head);
                points.insert(takeover.count + 1, next_head(takeover.head, statement.id));
            }
        }
        if let Some(head) = &self.head {
            points.insert(head.length, head.head);
        }
        points
    }

    /// Statements whose place was signed.
    fn placed(&self) -> BTreeMap<u64, StatementId> {
        let mut placed = BTreeMap::new();
        for (target, receipt) in &self.receipts {
            if let Body::Receipt(body) = &receipt.body
                && body.outcome == Outcome::Accepted
                && receipt.common.issuer == *self.office.me
                && let Some(place) = body.sequence
            {
                placed.insert(place, *target);
            }
        }
        for statement in self.statements.values() {
            match &statement.body {
                Body::Seal(seal) => drop(placed.insert(seal.count, statement.id)),
                Body::Received(received) => drop(placed.insert(received.count, statement.id)),
                Body::Takeover(takeover) => drop(placed.insert(takeover.count, statement.id)),
                _ => {}
            }
        }
        placed
    }

    /// Length of the chain: of the head, unless more of it is here than that knows.
    pub(super) fn length(&self) -> Result<u64, DecideError> {
        let rows = self.chain.keys().zip(0_u64..).take_while(|(place, n)| *place == n).count() as u64;
        Ok(match &self.head {
            None => {
                let signed = self.points().last_key_value().map_or(0, |(length, _)| *length);
                let last = self.chain.last_key_value().map_or(0, |(place, _)| place + 1);
                signed.max(last)
            }
            // A copy on its way in lies behind the head until its promotion.
            Some(head) if head.length >= rows || self.live_taking()? => head.length,
            Some(head) => {
                let (longer, folded) = self.fold(rows);
                let held = match longer.custody() {
                    Custody::Open(node) => node == self.office.me,
                    Custody::Sealed { seal, .. } => {
                        self.statements.get(seal).is_some_and(|s| s.common.issuer == *self.office.me)
                    }
                    Custody::Empty => false,
                };
                if folded == rows && held { rows } else { head.length }
            }
        })
    }

    /// Fills lost places of the chain.
    pub(super) fn order(&mut self) -> Result<(), DecideError> {
        let nothing = self.head.is_none() && (!self.was_held() || self.live_taking()?);
        if nothing || self.head.as_ref().is_some_and(|head| head.destroyed) {
            return Ok(());
        }
        let points = self.points();
        let signed = points.last_key_value().map_or(0, |(length, _)| *length);
        let mut chain = self.chain.clone();
        let mut left = self.loose(&chain);
        for (place, id) in self.placed() {
            if !chain.contains_key(&place) && left.remove(&id) {
                chain.insert(place, id);
            }
        }
        let rows = chain.last_key_value().map_or(0, |(last, _)| last + 1);
        let mut length = signed.max(rows);
        if self.head.is_none() && signed == 0 {
            // Nobody signed a head of it: all that is here is taken.
            length = length.max((chain.len() + left.len()) as u64);
        }
        let gaps: Vec<u64> = (0..length).filter(|n| !chain.contains_key(n)).collect();
        let found = self.fitting(&chain, &gaps, &left, &points);
        self.found.by_date = found.is_some() && gaps.last().is_some_and(|last| *last >= signed);
        self.found.unordered = found.is_none();
        let chain = found.unwrap_or(chain);
        for (place, id) in &chain {
            if self.chain.get(place) != Some(id) {
                ledger::set(&mut self.batch, ledger::chain_key(self.id, *place), id.0.to_vec());
            }
        }
        self.chain = chain;
        Ok(())
    }

    /// Statements that may stand in the chain and do not.
    fn loose(&self, chain: &BTreeMap<u64, StatementId>) -> BTreeSet<StatementId> {
        let used: BTreeSet<StatementId> = chain.values().copied().collect();
        let mut loose: BTreeSet<StatementId> = self.statements.keys().copied().collect();
        loose.retain(|id| !used.contains(id));
        loose
    }

    /// The chain with its lost places filled so that every signed head is right; `None` when no
    /// order that was tried is.
    fn fitting(
        &self,
        chain: &BTreeMap<u64, StatementId>,
        gaps: &[u64],
        left: &BTreeSet<StatementId>,
        points: &BTreeMap<u64, ChainHead>,
    ) -> Option<BTreeMap<u64, StatementId>> {
        if gaps.is_empty() {
            return agrees(self.id, chain, points).then(|| chain.clone());
        }
        if left.len() != gaps.len() {
            return None;
        }
        let date = |id: &StatementId| {
            let statement = self.statements.get(id);
            let day = statement.and_then(|s| match &s.body {
                Body::Attestation(a) => Some(match a.when {
                    When::Clock { start, .. } => (a.when.first_day(), start),
                    _ => (a.when.first_day(), UnixTime(0)),
                }),
                _ => None,
            });
            (statement.map(|s| s.common.issued_at), day)
        };
        let mut order: Vec<StatementId> = left.iter().copied().collect();
        // A consent comes before what it allows when both were signed in one second.
        order.sort_by_key(|id| {
            let (signed, day) = date(id);
            let first = self.statements.get(id).is_some_and(|s| matches!(s.body, Body::Consent(_)));
            (signed, !first, day, *id)
        });
        let filled = |order: &[StatementId]| {
            let mut filled = chain.clone();
            filled.extend(gaps.iter().copied().zip(order.iter().copied()));
            agrees(self.id, &filled, points).then_some(filled)
        };
        if let Some(found) = filled(&order) {
            return Some(found);
        }
        if order.len() > PERMUTED_MAX {
            return None;
        }
        order.sort_unstable();
        loop {
            if let Some(found) = filled(&order) {
                return Some(found);
            }
            if !next_order(&mut order) {
                return None;
            }
        }
    }
}

/// The next order of the same things; `false` after the last.
fn next_order(order: &mut [StatementId]) -> bool {
    let Some(at) = (1..order.len()).rev().find(|n| order[n - 1] < order[*n]) else { return false };
    let pivot = at - 1;
    if let Some(larger) = (at..order.len()).rev().find(|n| order[*n] > order[pivot]) {
        order.swap(pivot, larger);
    }
    order[at..].reverse();
    true
}

/// Whether the ids of a chain give every head that is known of it.
fn agrees(
    dossier: crate::id::DossierId,
    chain: &BTreeMap<u64, StatementId>,
    points: &BTreeMap<u64, ChainHead>,
) -> bool {
    let mut head = empty_head(dossier);
    let last = points.last_key_value().map_or(0, |(length, _)| *length);
    for place in 0..=last {
        if points.get(&place).is_some_and(|known| *known != head) {
            return false;
        }
        if place < last {
            let Some(id) = chain.get(&place) else { return false };
            head = next_head(head, *id);
        }
    }
    true
}
