//! What a repair came to, in numbers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use yunling_protocol::store::Table;

use super::Rebuilt;
use crate::store::{Salvaged, Sum};

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// Rows that the store last counted; none when that is lost too.
    pub had: Option<u64>,
    /// Rows that were right.
    pub kept: u64,
    /// Rows made again.
    pub rebuilt: u64,
    /// Rows that are missing, or older than they were; none when it cannot be told.
    pub lost: Option<u64>,
}

/// The newest backup of the home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its file.
    pub file: PathBuf,
    /// When it was made, unix seconds.
    pub made_at: i64,
    /// Records in it.
    pub rows: u64,
    /// Generation of the life it was made in.
    pub generation: u64,
}

/// What a repair came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it began, unix seconds.
    pub at: i64,
    /// Nothing was changed, for it was asked only what would be.
    pub dry_run: bool,
    /// The store is right as it is.
    pub nothing_to_do: bool,
    /// A killed run was begun again, or gone on with.
    pub again: bool,
    /// What kept the store from opening.
    pub why: Option<String>,
    /// Every table that has or had rows.
    pub tables: Vec<TableReport>,
    /// Entries met with a wrong checksum.
    pub damaged: u64,
    /// Records left out because they were erased.
    pub erased: u64,
    /// Statements that chains of dossiers held here name and that are missing.
    pub missing_statements: u64,
    /// Dossiers with such, or whose order cannot be told: nothing can be added to them.
    pub holed_dossiers: u64,
    /// Dossiers whose order was taken from the dates, since no signed head of them was left.
    pub by_date: u64,
    /// Statements removed because their signature is wrong.
    pub forged: u64,
    /// Statements of issuers that are not known here: only their hash was checked.
    pub unjudged: u64,
    /// More than lookups was lost: the node has a new life and is fenced.
    pub forgot: bool,
    /// The new life, when there is one.
    pub generation: Option<u64>,
    /// Whether cards of peers were lost.
    pub peers_lost: bool,
    /// Nodes that are waited for and whose cards must be accepted again.
    pub accept_again: Vec<String>,
    /// Where the damaged store is kept.
    pub kept_as: Option<PathBuf>,
    /// The newest backup of the home.
    pub backup: Option<Backup>,
}

impl Report {
    pub(super) fn of(
        salvaged: &Salvaged,
        kept: &BTreeMap<Table, Sum>,
        now: &BTreeMap<Table, Sum>,
        rebuilt: &Rebuilt,
    ) -> Self {
        let of = |sums: &BTreeMap<Table, Sum>, table| sums.get(&table).copied().unwrap_or_default();
        let mut report = Self {
            missing_statements: rebuilt.holes,
            holed_dossiers: rebuilt.holed,
            by_date: rebuilt.by_date,
            forged: rebuilt.forged,
            unjudged: rebuilt.unjudged,
            ..Self::default()
        };
        for table in Table::ALL {
            let had = salvaged.had.as_ref().map(|had| of(had, table));
            let (kept, now) = (of(kept, table), of(now, table));
            let same = had == Some(now);
            let rebuilt = now.rows.saturating_sub(kept.rows);
            // As many rows, and none made anew, but another sum: at least one is an older one.
            let older = u64::from(rebuilt == 0 && !same);
            let lost = had.map(|had| had.rows.saturating_sub(now.rows).max(older));
            if !same && table != Table::Index {
                report.forgot = true;
                report.peers_lost |= table == Table::Peer;
            }
            if had.is_none_or(|had| had.rows > 0) || now.rows > 0 {
                let (table, had) = (table.name().to_owned(), had.map(|had| had.rows));
                report.tables.push(TableReport { table, had, kept: kept.rows, rebuilt, lost });
            }
        }
        report.forgot |= report.holed_dossiers > 0 || report.forged > 0;
        report
    }

    /// Rows lost in all; none when it cannot be told.
    pub fn lost(&self) -> Option<u64> {
        self.tables.iter().map(|table| table.lost).sum()
    }
}
