//! The chain that is taken over: the longest that the old custodian signed.
//!
//! A bundle is completed by receipts of the old custodian and the statements that they are for; it is
//! never believed to be the end of the chain when one of them names a longer one.

use std::collections::BTreeMap;

use super::ended_custody;
use super::pending::{self, Loaded};
use crate::bundle::Bundle;
use crate::custody::Side;
use crate::custody::record::Loaded as LoadedTransfer;
use crate::custody::taking::verify_copied;
use crate::dossier::{Custody, Dossier, next_head};
use crate::id::{ChainHead, DossierId, DossierKey, StatementId};
use crate::ledger::{self, Books};
use crate::name::NodeName;
use crate::office::{DecideError, Office};
use crate::statement::{Body, Outcome, Statement};
use crate::store::{Read, Table, scan_all};

/// A chain put together, with what else is known of it.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// Its fold: held by the node that is gone.
    pub dossier: Dossier,
    /// Its statements.
    pub statements: Vec<Statement>,
    /// What lies beside it: receipts of the old custodian, and statements that are in no chain here.
    pub beside: Vec<Statement>,
    /// Longest chain that the old custodian signed a head of.
    pub need: u64,
    /// The custodian that is gone.
    pub old: NodeName,
    /// Dossier key.
    pub key: DossierKey,
}

impl Assembled {
    /// Refuses a chain that is shorter than the longest the old custodian signed. Errors:
    /// `takeover-shorter`.
    pub fn whole(&self) -> Result<(), DecideError> {
        if self.need > self.dossier.length() { Err(DecideError::Rule("takeover-shorter")) } else { Ok(()) }
    }
}

/// Puts the chain together from bundles, a notice that stands already, and what this node holds itself.
///
/// Errors: `takeover-not-successor`, `takeover-no-key`, `dossier-other`, `dossier-held-here`,
/// `takeover-sealed-away`, `takeover-other-custodian`, `takeover-forks`, `takeover-head-unsigned`,
/// `transfer-copy-forks`, and those of a statement in a copy.
pub fn assemble(
    office: &Office<'_>,
    books: &dyn Books,
    old: &NodeName,
    bundles: &[Bundle],
) -> Result<Assembled, DecideError> {
    let rule = |code| Err(DecideError::Rule(code));
    if let Some(code) = office.closed() {
        return rule(code);
    }
    if office.members.succession(old, office.now).is_none_or(|(by, _)| by != office.me) {
        return rule("takeover-not-successor");
    }
    let Some(longest) = bundles.iter().max_by_key(|b| b.statements.len()) else {
        return rule("takeover-no-key");
    };
    let id = longest.dossier;
    let Some(key) = bundles.iter().find_map(|b| b.own.as_ref()).map(|own| own.key.clone()) else {
        return rule("takeover-no-key");
    };
    if bundles.iter().any(|b| b.dossier != id) {
        return rule("dossier-other");
    }
    if ledger::head_record(books, id)?.is_some_and(|r| r.custody == Custody::Open(office.me.clone())) {
        return rule("dossier-held-here");
    }
    let (mut base, mut beside) = (longest.statements.clone(), Vec::new());
    for bundle in bundles {
        beside.extend(bundle.own.iter().map(|own| own.receipt.clone()));
        beside.extend(bundle.statements.iter().cloned());
    }
    if let Some(loaded) = Loaded::of(books, id)? {
        let (staged, extra) = pending::rows(books, loaded.pending.id)?;
        if staged.len() > base.len() {
            base.clone_from(&staged);
        }
        beside.extend(staged);
        beside.extend(extra);
    }
    held_here(books, id, &mut beside)?;
    build(office, books, id, old, key, &base, &beside)
}

/// What this node holds of a dossier: statements that it issued, receipts for them.
pub(super) fn held_here(
    read: &(impl Read + ?Sized),
    id: DossierId,
    out: &mut Vec<Vec<u8>>,
) -> Result<(), DecideError> {
    for table in [Table::Statement, Table::Beside] {
        scan_all::<DecideError>(read, table, id.as_bytes(), |_, bytes| {
            out.push(bytes);
            Ok(())
        })?;
    }
    Ok(())
}

/// As [`assemble`], from the statements of a chain and those beside it. Of what lies beside, a statement
/// that does not verify says nothing.
pub(super) fn build(
    office: &Office<'_>,
    books: &dyn Books,
    id: DossierId,
    old: &NodeName,
    key: DossierKey,
    base: &[Vec<u8>],
    beside: &[Vec<u8>],
) -> Result<Assembled, DecideError> {
    let verify = |bytes: &[u8]| verify_copied(office.members, bytes, office.trial, office.now);
    let mut work = Work { office, dossier: Dossier::new(id), heads: BTreeMap::new(), statements: Vec::new() };
    for bytes in base {
        work.take(verify(bytes).map_err(DecideError::Rule)?)?;
    }
    let mut known = BTreeMap::new();
    for bytes in beside {
        if let Ok(statement) = verify(bytes)
            && statement.common.dossier == id
        {
            known.insert(statement.id, statement);
        }
    }
    let offered = LoadedTransfer::current(books, id)?.map(|l| l.transfer);
    let offered =
        offered.filter(|t| t.side == Side::Taking && t.peer == *old && t.epoch == work.dossier.epoch());
    let mut need = offered.map_or(0, |t| t.count);
    let points = points(&known, old);
    work.extend(&known, &points);
    match work.dossier.custody() {
        Custody::Open(node) if node == old => {}
        Custody::Sealed { .. } => return Err(DecideError::Rule("takeover-sealed-away")),
        _ => return Err(DecideError::Rule("takeover-other-custodian")),
    }
    let (epoch, length) = (work.dossier.epoch(), work.dossier.length());
    if known.values().any(|statement| ended_custody(statement, old) >= Some(epoch)) {
        return Err(DecideError::Rule("takeover-sealed-away"));
    }
    let mut vouched = false;
    for Point { target, epoch: at, length: longer, head, taken } in points {
        need = need.max(if at > epoch { longer.max(length + 1) } else { longer });
        let differs = work.heads.get(&longer).is_some_and(|own| *own != head);
        if differs || (taken && longer <= length && work.dossier.sequence_of(target).is_none()) {
            return Err(DecideError::Rule("takeover-forks"));
        }
        vouched |= longer == length;
    }
    if !vouched {
        return Err(DecideError::Rule("takeover-head-unsigned"));
    }
    if let Some(record) = ledger::head_record(books, id)?
        && work.heads.get(&record.length) != Some(&record.head)
    {
        // A dossier that was here before must have the chain it left with.
        return Err(DecideError::Rule("transfer-copy-forks"));
    }
    if work.dossier.unknown_critical().is_some() {
        return Err(DecideError::Rule("statement-newer-version"));
    }
    let Work { dossier, statements, .. } = work;
    known.retain(|id, _| dossier.sequence_of(*id).is_none());
    Ok(Assembled { dossier, statements, beside: known.into_values().collect(), need, old: old.clone(), key })
}

/// A head that the old custodian signed.
struct Point {
    /// Statement that the receipt is for.
    target: StatementId,
    epoch: u64,
    length: u64,
    head: ChainHead,
    /// Whether the statement was taken into the chain.
    taken: bool,
}

fn points(known: &BTreeMap<StatementId, Statement>, old: &NodeName) -> Vec<Point> {
    let of = |statement: &Statement| match &statement.body {
        Body::Receipt(receipt) if statement.common.issuer == *old => {
            let (epoch, length, head) = receipt.state?;
            let taken = receipt.outcome == Outcome::Accepted;
            Some(Point { target: receipt.target, epoch, length, head, taken })
        }
        _ => None,
    };
    let mut points: Vec<Point> = known.values().filter_map(of).collect();
    points.sort_by_key(|point| (point.epoch, point.length));
    points
}

struct Work<'a> {
    office: &'a Office<'a>,
    dossier: Dossier,
    heads: BTreeMap<u64, ChainHead>,
    statements: Vec<Statement>,
}

impl Work<'_> {
    fn take(&mut self, statement: Statement) -> Result<(), DecideError> {
        self.dossier.apply(&statement, self.office.profile)?;
        self.heads.insert(self.dossier.length(), self.dossier.head());
        self.statements.push(statement);
        Ok(())
    }

    /// Appends what the old custodian signed as the next one, as long as there is one.
    fn extend(&mut self, known: &BTreeMap<StatementId, Statement>, points: &[Point]) {
        for Point { target, epoch, length, head, .. } in points {
            let next = *epoch == self.dossier.epoch()
                && *length == self.dossier.length() + 1
                && *head == next_head(self.dossier.head(), *target);
            if let Some(statement) = known.get(target).filter(|_| next) {
                // One that the fold refuses leaves the chain shorter than was signed, which is refused.
                let _ = self.take(statement.clone());
            }
        }
    }
}
