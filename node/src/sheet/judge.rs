//! Judges every row of a table against itself, the rows above it and what the store already has.
//!
//! In go the table, the rules with `now`, and a view of the store; out comes one verdict per row. A
//! row's result is the first of refused, duplicate, flagged, repaired, accepted; the later row of
//! two that overlap is the flagged one. Same input, same verdicts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;

use serde::Serialize;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::profile::Profile;
use yunling_protocol::statement::When;

use super::field::Field;
use super::item::ItemKey;
use super::report::Report;
use super::row::{self, RowRecord};
use super::spans::{Owner, Spans};
use super::{Cell, Finding, Outcome, Row, Table, text};

/// What the store already has of a person.
pub trait Existing {
    /// What a read may fail with.
    type Error;

    /// Whether a record of this service exists, effective or not.
    fn seen(&self, person: &CitizenId, item: &ItemKey) -> Result<bool, Self::Error>;

    /// Start and end (exclusive) of the person's effective records with clock times.
    fn effective_intervals(&self, person: &CitizenId) -> Result<Vec<(UnixTime, UnixTime)>, Self::Error>;

    /// Name in the register, when the person is registered.
    fn name_of(&self, person: &CitizenId) -> Result<Option<String>, Self::Error>;

    /// Effective minutes of the person that begin on a day.
    fn day_minutes(&self, _person: &CitizenId, _day: Day) -> Result<Minutes, Self::Error> {
        Ok(Minutes(0))
    }
}

/// An empty store.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingYet;

impl Existing for NothingYet {
    type Error = Infallible;

    fn seen(&self, _: &CitizenId, _: &ItemKey) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn effective_intervals(&self, _: &CitizenId) -> Result<Vec<(UnixTime, UnixTime)>, Infallible> {
        Ok(vec![])
    }

    fn name_of(&self, _: &CitizenId) -> Result<Option<String>, Infallible> {
        Ok(None)
    }
}

/// By what a sheet is judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The moment of the import.
    pub now: UnixTime,
    /// Rule profile: whether midnight may be crossed, most minutes of a day.
    pub profile: &'a Profile,
}

/// Result of one row.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Row number as Excel shows it.
    pub row: u32,
    /// The result.
    pub outcome: Outcome,
    /// Everything found, in the order of the columns judged.
    pub findings: Vec<Finding>,
    /// The record, when the row adds one.
    pub record: Option<RowRecord>,
}

/// Why a row was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SkippedWhy {
    /// No recognized column holds anything.
    Blank,
    /// A sum.
    Total,
    /// The header again, as printed on every page.
    Header,
}

/// A row that was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Row number as Excel shows it.
    pub row: u32,
    /// Why.
    pub why: SkippedWhy,
}

/// A judged sheet.
#[derive(Debug, Clone)]
pub struct Judged {
    /// One verdict per row judged, in order.
    pub verdicts: Vec<Verdict>,
    /// Rows that hold something and were not judged.
    pub skipped: Vec<Skipped>,
    /// Rows between the header and the last row that hold nothing at all.
    pub empty_rows: u32,
}

impl Judged {
    /// Records to add, in the order of the rows.
    pub fn records(&self) -> impl Iterator<Item = &RowRecord> {
        self.verdicts.iter().filter_map(|v| v.record.as_ref())
    }

    /// The report as it stands when all records are added.
    pub fn report(&self, table: &Table) -> Report {
        Report::new(self, table)
    }

    /// Turns a row that the node could not record after all into a refused one, so that the report
    /// tells what happened.
    pub fn refuse(&mut self, row: u32, code: &'static str) {
        if let Some(verdict) = self.verdicts.iter_mut().find(|v| v.row == row) {
            verdict.record = None;
            verdict.outcome = Outcome::Refused;
            verdict.findings.push(Finding::new(Outcome::Refused, None, code));
        }
    }
}

/// Judges every row of `table`.
pub fn judge<E: Existing>(table: &Table, existing: &E, rules: Rules<'_>) -> Result<Judged, E::Error> {
    let mut people: HashMap<CitizenId, Known> = HashMap::new();
    let mut judged = Judged { verdicts: vec![], skipped: vec![], empty_rows: 0 };
    let mut above = table.header_row;
    for row in &table.rows {
        judged.empty_rows += row.number.saturating_sub(above + 1);
        above = row.number;
        if let Some(why) = skip(table, row) {
            judged.skipped.push(Skipped { row: row.number, why });
            continue;
        }
        let (record, mut findings) = row::read(table, row, rules.profile, rules.now);
        let record = match record {
            Some(record) => {
                if !people.contains_key(&record.person) {
                    let known = Known::load(existing, &record.person)?;
                    people.insert(record.person.clone(), known);
                }
                match people.get_mut(&record.person) {
                    Some(known) => known.judge(record, &mut findings, existing, rules.profile)?,
                    None => None,
                }
            }
            None => None,
        };
        let outcome = findings.iter().map(|f| f.outcome).min().unwrap_or(Outcome::Accepted);
        judged.verdicts.push(Verdict { row: row.number, outcome, findings, record });
    }
    Ok(judged)
}

/// Whether a row is no service at all.
fn skip(table: &Table, row: &Row) -> Option<SkippedWhy> {
    const TOTALS: [&str; 6] = ["合计", "总计", "小计", "共计", "累计", "本页合计"];
    let cell = |field: Field| table.columns.get(&field).and_then(|c| row.cells.get(c.index));
    if table.columns.values().all(|c| row.cells.get(c.index).is_none_or(Cell::is_blank)) {
        return Some(SkippedWhy::Blank);
    }
    let first = row.cells.iter().find(|c| !c.is_blank());
    if cell(Field::Id).is_none_or(Cell::is_blank)
        && let Some(Cell::Text(first)) = first
    {
        let word = text::compact(first);
        if TOTALS.iter().any(|total| word.starts_with(total)) {
            return Some(SkippedWhy::Total);
        }
    }
    let repeats = |(field, _): (&Field, _)| match (cell(*field), table.header(*field)) {
        (Some(Cell::Text(text)), Some(header)) => text::compact(text) == text::compact(header),
        _ => false,
    };
    table.columns.iter().all(repeats).then_some(SkippedWhy::Header)
}

/// What is known of one person while the sheet is judged.
struct Known {
    /// First name met, made comparable.
    name: Option<String>,
    spans: Spans,
    items: HashSet<ItemKey>,
    /// Minutes by day, store and sheet together, read when a day is first needed.
    days: BTreeMap<Day, u64>,
}

impl Known {
    fn load<E: Existing>(existing: &E, person: &CitizenId) -> Result<Self, E::Error> {
        let mut spans = Spans::default();
        for (start, end) in existing.effective_intervals(person)? {
            spans.take(start.0, end.0, Owner::Store);
        }
        let name = existing.name_of(person)?.map(|name| text::comparable_name(&name));
        Ok(Self { name, spans, items: HashSet::new(), days: BTreeMap::new() })
    }

    /// Judges a sound row against what is known; gives the record back when it is added.
    fn judge<E: Existing>(
        &mut self,
        mut record: RowRecord,
        findings: &mut Vec<Finding>,
        existing: &E,
        profile: &Profile,
    ) -> Result<Option<RowRecord>, E::Error> {
        if self.items.contains(&record.item) || existing.seen(&record.person, &record.item)? {
            findings.push(Finding::new(Outcome::Duplicate, None, "duplicate"));
            return Ok(None);
        }
        let overlap = self.overlap(record.when);
        let day = record.when.first_day();
        if let std::collections::btree_map::Entry::Vacant(slot) = self.days.entry(day) {
            slot.insert(existing.day_minutes(&record.person, day)?.0);
        }
        let of_day = self.days.get(&day).copied().unwrap_or(0).saturating_add(record.minutes.0);
        if overlap.is_none() && record.when.last_day() == day && of_day > profile.day_max.0 {
            let over = Finding::new(Outcome::Refused, Field::Hours, "over-day");
            findings.push(over.with("minutes", of_day));
            return Ok(None);
        }
        findings.extend(overlap);
        findings.extend(self.another_name(&record.name));
        self.days.insert(day, of_day);
        if let When::Clock { start, end } = record.when {
            self.spans.take(start.0, end.0, Owner::Row(record.row));
        }
        self.items.insert(record.item.clone());
        record.flags = findings.iter().filter(|f| f.outcome == Outcome::Flagged).map(|f| f.code).collect();
        Ok(Some(record))
    }

    fn overlap(&self, when: When) -> Option<Finding> {
        let When::Clock { start, end } = when else { return None };
        let finding = |code| Finding::new(Outcome::Flagged, Field::Start, code);
        Some(match self.spans.overlap(start.0, end.0)? {
            Owner::Row(other) => finding("overlap").with("other", other),
            Owner::Store => finding("overlap-recorded"),
        })
    }

    fn another_name(&mut self, name: &str) -> Option<Finding> {
        let name = text::comparable_name(name);
        let known = self.name.get_or_insert_with(|| name.clone());
        (*known != name).then(|| Finding::new(Outcome::Flagged, Field::Name, "another-name"))
    }
}
