//! Reads one row: typed cells in, a record and everything found on the way out.
//!
//! Judges the row by itself; what depends on other rows or the store is in `judge`. A record comes
//! out exactly when nothing refused the row.

use std::fmt;

use yunling_protocol::citizen_id::{CitizenId, Repairs};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::minutes::{Minutes, Stated};
use yunling_protocol::profile::Profile;
use yunling_protocol::statement::attestation::{CODES_MAX, LONG_TEXT_BYTES_MAX, SHORT_TEXT_BYTES_MAX};
use yunling_protocol::statement::{Code, EntryWay, Grade, When};
use yunling_protocol::uscc;

use super::field::Field;
use super::item::ItemKey;
use super::moment::Moment;
use super::times::{self, Moments, Times};
use super::{Cell, Finding, Outcome, Row, Table, UnitHint, codes, duration, text};

/// Number cells hold 15 digits; a longer identity number in one has lost its end (P15).
const NUMBER_CELL_MAX: f64 = 1e15;
/// Characters of a value repeated in a finding.
const QUOTED_CHARS_MAX: usize = 40;

/// One service ready to be recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct RowRecord {
    /// Row number as Excel shows it.
    pub row: u32,
    /// Name as stored: blanks at its ends gone, dots as given.
    pub name: String,
    /// Identity number.
    pub person: CitizenId,
    /// What makes it the same service as another row.
    pub item: ItemKey,
    /// Name of the activity.
    pub activity: String,
    /// Position.
    pub position: Option<String>,
    /// Service categories; a label stays where the code is not national.
    pub categories: Vec<Code>,
    /// Beneficiaries.
    pub beneficiaries: Vec<Code>,
    /// What was done.
    pub content: String,
    /// Place as text.
    pub place: String,
    /// Division of the place.
    pub division: Option<DivisionCode>,
    /// When.
    pub when: When,
    /// Minutes counted.
    pub minutes: Minutes,
    /// Duration as the source states it (S2).
    pub stated: Option<Stated>,
    /// Organizing unit.
    pub organization: String,
    /// Its unified social credit code.
    pub uscc: Option<String>,
    /// Person in charge; a name, for the register only.
    pub in_charge: Option<String>,
    /// Entry way.
    pub entry_way: EntryWay,
    /// Entry way in the words of the source.
    pub entry_text: Option<String>,
    /// Evidence grade.
    pub grade: Grade,
    /// Remark of the source.
    pub remark: Option<String>,
    /// Codes of the findings for which it is flagged.
    pub flags: Vec<&'static str>,
}

impl fmt::Debug for RowRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowRecord(row {}, {:?}, {} min, {:?}, …)", self.row, self.when, self.minutes.0, self.grade)
    }
}

/// Reads a row. The record is there when no finding refuses.
pub(super) fn read(
    table: &Table,
    row: &Row,
    profile: &Profile,
    now: UnixTime,
) -> (Option<RowRecord>, Vec<Finding>) {
    let mut reader = RowReader { table, row, findings: vec![] };
    let record = reader.record(profile, now);
    let refused = reader.findings.iter().any(|f| f.outcome == Outcome::Refused);
    (record.filter(|_| !refused), reader.findings)
}

struct RowReader<'a> {
    table: &'a Table,
    row: &'a Row,
    findings: Vec<Finding>,
}

impl<'a> RowReader<'a> {
    fn record(&mut self, profile: &Profile, now: UnixTime) -> Option<RowRecord> {
        let name = self.needed(Field::Name, "name-empty", SHORT_TEXT_BYTES_MAX);
        let person = self.person();
        let activity = self.stated_text(Field::Activity, "activity-empty", SHORT_TEXT_BYTES_MAX);
        let content = self.stated_text(Field::Content, "content-empty", LONG_TEXT_BYTES_MAX);
        let place = self.stated_text(Field::Place, "place-empty", SHORT_TEXT_BYTES_MAX);
        let organization = self.stated_text(Field::Organization, "organization-empty", SHORT_TEXT_BYTES_MAX);
        let uscc = self.uscc();
        let times = self.times();
        let hours = self.hours();
        let worth = times.zip(hours).and_then(|(times, stated)| self.minutes(&times, stated, profile, now));
        let (entry_way, entry_text, grade) = self.entry(times.map(|t| t.when));
        let position =
            self.optional(Field::Position, SHORT_TEXT_BYTES_MAX).map(|t| self.hidden(Field::Position, t));
        let categories = self.codes(Field::Category, codes::categories);
        let beneficiaries = self.codes(Field::Beneficiary, codes::beneficiaries);
        let division = self.division();
        let in_charge = self.optional(Field::InCharge, SHORT_TEXT_BYTES_MAX);
        if in_charge.is_none() {
            self.remark(Field::InCharge, "in-charge-empty");
        }
        let remark = self.text(Field::Remark);
        let (times, activity, organization) = (times?, activity?, organization?);
        Some(RowRecord {
            row: self.row.number,
            name: name?,
            person: person?,
            item: ItemKey {
                organization: organization.clone(),
                activity: activity.clone(),
                start: times.key_start,
                end: times.key_end,
            },
            activity,
            position,
            categories,
            beneficiaries,
            content: content?,
            place: place?,
            division,
            when: times.when,
            minutes: worth?,
            stated: hours?,
            organization,
            uscc,
            in_charge,
            entry_way,
            entry_text,
            grade,
            remark,
            flags: vec![],
        })
    }

    fn add(&mut self, outcome: Outcome, field: Field, code: &'static str) {
        self.findings.push(Finding::new(outcome, field, code));
    }

    fn refuse(&mut self, field: Field, code: &'static str) {
        self.add(Outcome::Refused, field, code);
    }

    fn repair(&mut self, field: Field, code: &'static str) {
        self.add(Outcome::Repaired, field, code);
    }

    /// Something worth knowing that changes nothing.
    fn remark(&mut self, field: Field, code: &'static str) {
        self.add(Outcome::Accepted, field, code);
    }

    fn unreadable(&mut self, field: Field, code: &'static str) {
        let value = quoted(self.cell(field));
        self.findings.push(Finding::new(Outcome::Refused, field, code).with("value", value));
    }

    /// Cell of a field that holds anything.
    fn cell(&self, field: Field) -> Option<&'a Cell> {
        let column = self.table.columns.get(&field)?;
        self.row.cells.get(column.index).filter(|cell| !cell.is_blank())
    }

    /// Text of a field without blanks at its ends.
    fn text(&mut self, field: Field) -> Option<String> {
        let text = match self.cell(field)? {
            Cell::Text(text) => {
                let (inner, blanks) = text::trimmed(text);
                if blanks {
                    self.repair(field, "blanks-removed");
                }
                inner.to_owned()
            }
            Cell::Error => {
                self.refuse(field, "cell-error");
                return None;
            }
            other => plain(other),
        };
        if text::looks_like_formula(&text) {
            self.remark(field, "formula-as-text");
        }
        Some(text)
    }

    fn optional(&mut self, field: Field, bytes_max: usize) -> Option<String> {
        let text = self.text(field)?;
        if text.len() > bytes_max {
            let long = Finding::new(Outcome::Refused, field, "text-too-long");
            self.findings.push(long.with("bytes", text.len()).with("max", bytes_max));
        }
        Some(text)
    }

    fn needed(&mut self, field: Field, empty: &'static str, bytes_max: usize) -> Option<String> {
        if self.cell(field).is_none() {
            self.refuse(field, empty);
        }
        self.optional(field, bytes_max)
    }

    /// A text that goes into the statement.
    fn stated_text(&mut self, field: Field, empty: &'static str, bytes_max: usize) -> Option<String> {
        self.needed(field, empty, bytes_max).map(|text| self.hidden(field, text))
    }

    fn hidden(&mut self, field: Field, text: String) -> String {
        match text::without_private_numbers(&text) {
            Some(clean) => {
                self.repair(field, "private-number-hidden");
                clean
            }
            None => text,
        }
    }

    fn person(&mut self) -> Option<CitizenId> {
        let text = match self.cell(Field::Id) {
            None => {
                self.refuse(Field::Id, "id-empty");
                return None;
            }
            Some(Cell::Number(value)) if *value >= NUMBER_CELL_MAX => {
                self.refuse(Field::Id, "id-truncated");
                return None;
            }
            Some(Cell::Text(text)) => text.clone(),
            Some(Cell::Error) => {
                self.refuse(Field::Id, "cell-error");
                return None;
            }
            Some(other) => plain(other),
        };
        match CitizenId::parse(&text) {
            Ok((id, Repairs { lower_x, full_width, blanks, old_form })) => {
                let repairs = [
                    (lower_x, "id-lower-x"),
                    (full_width, "id-full-width"),
                    (blanks, "id-blanks"),
                    (old_form, "id-old-form"),
                ];
                for (_, code) in repairs.into_iter().filter(|(done, _)| *done) {
                    self.repair(Field::Id, code);
                }
                // Abolished codes are in the table: a number keeps the one of its first registration.
                if DivisionCode(id.division()).lookup().is_none() {
                    self.remark(Field::Id, "id-division-unknown");
                }
                Some(id)
            }
            Err(error) => {
                self.refuse(Field::Id, error.code());
                None
            }
        }
    }

    /// Notes blanks at the ends of a value that is read, not stored.
    fn note_blanks(&mut self, field: Field) {
        if let Some(Cell::Text(text)) = self.cell(field)
            && text::trimmed(text).1
        {
            self.repair(field, "blanks-removed");
        }
    }

    fn uscc(&mut self) -> Option<String> {
        let text = self.text(Field::Uscc)?;
        match uscc::parse(&text) {
            Ok(code) => {
                if code != text {
                    self.repair(Field::Uscc, "uscc-repaired");
                }
                Some(code)
            }
            Err(error) => {
                self.unreadable(Field::Uscc, error.code());
                None
            }
        }
    }

    /// Moment of a field: `Ok(None)` when blank, `Err` when refused.
    fn moment(&mut self, field: Field, unreadable: &'static str) -> Result<Option<Moment>, ()> {
        let Some(cell) = self.cell(field) else { return Ok(None) };
        match Moment::of_cell(cell) {
            Some((moment, repaired)) => {
                self.note_blanks(field);
                if repaired {
                    self.repair(field, "full-width");
                }
                Ok(Some(moment))
            }
            None => {
                self.unreadable(field, unreadable);
                Err(())
            }
        }
    }

    fn times(&mut self) -> Option<Times> {
        let date = self.moment(Field::Date, "date-unreadable");
        let start = self.moment(Field::Start, "start-unreadable");
        let end = self.moment(Field::End, "end-unreadable");
        let date = match date.ok()? {
            Some(Moment::Day(day)) => Some(day),
            Some(Moment::At(time)) => Some(time.day()),
            Some(Moment::Clock(_)) => {
                self.unreadable(Field::Date, "date-unreadable");
                return None;
            }
            None => None,
        };
        let (start, end) = (start.ok()?, end.ok()?);
        let Some(start) = start.or(date.map(Moment::Day)) else {
            self.refuse(Field::Start, "start-empty");
            return None;
        };
        let end_is_number = matches!(self.cell(Field::End), Some(Cell::Number(_) | Cell::Date { .. }));
        match times::place(Moments { start, end, end_is_number, date }) {
            Ok(times) => Some(times),
            Err(finding) => {
                let (start, end) = (quoted(self.cell(Field::Start)), quoted(self.cell(Field::End)));
                self.findings.push(finding.with("when", format!("{start} – {end}")));
                None
            }
        }
    }

    /// Stated duration: the inner `None` when blank, the outer when refused.
    #[allow(clippy::option_option)] // three answers, each used
    fn hours(&mut self) -> Option<Option<Stated>> {
        let Some(cell) = self.cell(Field::Hours) else { return Some(None) };
        let hint = self.table.columns.get(&Field::Hours).map_or(UnitHint::None, |c| c.unit);
        match duration::of_cell(cell, hint) {
            Some((stated, repaired)) => {
                self.note_blanks(Field::Hours);
                if repaired {
                    self.repair(Field::Hours, "full-width");
                }
                Some(Some(stated))
            }
            None => {
                self.unreadable(Field::Hours, "hours-unreadable");
                None
            }
        }
    }

    fn minutes(
        &mut self,
        times: &Times,
        stated: Option<Stated>,
        profile: &Profile,
        now: UnixTime,
    ) -> Option<Minutes> {
        if let Some(finding) = times::check_calendar(times.when, profile, now) {
            let finding = finding.with("when", quoted_when(times.when));
            self.findings.push(finding);
        }
        match times::minutes(times.when, stated, profile) {
            Ok((minutes, remark)) => {
                self.findings.extend(remark);
                Some(minutes)
            }
            Err(finding) => {
                self.findings.push(finding.with("when", quoted_when(times.when)));
                None
            }
        }
    }

    /// Entry way and grade: without clock times or without a known way it is a back-entry, grade E.
    fn entry(&mut self, when: Option<When>) -> (EntryWay, Option<String>, Grade) {
        let text = self.text(Field::EntryWay);
        let (way, grade) = match text.as_deref().map(codes::entry_way) {
            Some(Some(known)) => known,
            Some(None) => {
                self.remark(Field::EntryWay, "entry-way-unknown");
                (EntryWay::Unstated, Grade::E)
            }
            None => (EntryWay::Unstated, Grade::E),
        };
        if when.is_none_or(|when| matches!(when, When::Clock { .. })) {
            return (way, text, grade);
        }
        self.remark(Field::End, "no-clock-times");
        (way, text, Grade::E)
    }

    fn codes(&mut self, field: Field, read: impl Fn(&str) -> Vec<Code>) -> Vec<Code> {
        let Some(text) = self.optional(field, LONG_TEXT_BYTES_MAX) else { return vec![] };
        let codes = read(&text);
        let long = |c: &Code| c.label.as_ref().is_some_and(|l| l.len() > SHORT_TEXT_BYTES_MAX);
        if codes.len() > CODES_MAX || codes.iter().any(|c| long(c) || c.code.len() > SHORT_TEXT_BYTES_MAX) {
            let many = Finding::new(Outcome::Refused, field, "too-many-codes");
            self.findings.push(many.with("max", CODES_MAX));
        }
        codes
    }

    fn division(&mut self) -> Option<DivisionCode> {
        let text = text::narrow(&self.text(Field::Division)?);
        // Longer codes name streets and villages below the first six digits, or fill up with zeros.
        let long = [6, 9, 12, 18].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let code = text.get(..6).filter(|_| long).and_then(DivisionCode::parse);
        let known = code.filter(|code| code.lookup().is_some());
        if known.is_none() {
            let value = quoted(self.cell(Field::Division));
            let unknown = Finding::new(Outcome::Accepted, Field::Division, "division-unknown");
            self.findings.push(unknown.with("value", value));
        }
        known
    }
}

/// What a cell shows, for messages and for number cells in text columns.
pub(super) fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Number(value) => format!("{value}"),
        Cell::Date { at: Moment::At(time), .. } => time.to_string(),
        Cell::Date { at: Moment::Day(day), .. } => day.to_string(),
        Cell::Date { at: Moment::Clock(second), days } if *days < 1.0 => {
            format!("{:02}:{:02}", second / 3600, second % 3600 / 60)
        }
        Cell::Date { days, .. } => {
            let minutes = (days * 1440.0).round() as u64;
            format!("{}:{:02}", minutes / 60, minutes % 60)
        }
        Cell::Error => "#".to_owned(),
    }
}

/// Value for a message, short and without private numbers.
fn quoted(cell: Option<&Cell>) -> String {
    let text = cell.map(plain).unwrap_or_default();
    let text = text::without_private_numbers(&text).unwrap_or(text);
    text.trim_matches(text::is_blank).chars().take(QUOTED_CHARS_MAX).collect()
}

fn quoted_when(when: When) -> String {
    match when {
        When::Clock { start, end } => format!("{start} – {end}"),
        other if other.first_day() == other.last_day() => other.first_day().to_string(),
        other => format!("{} – {}", other.first_day(), other.last_day()),
    }
}
