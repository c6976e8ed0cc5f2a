//! Import of a legacy sheet into the register and the dossiers: judged row by row, then recorded
//! person by person, each person in one batch. Importing the same file again adds nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::custody::giving;
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::dossier::{Custody, Dossier};
use yunling_protocol::id::DossierId;
use yunling_protocol::ledger::{Books, LedgerError};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::office::DecideError;
use yunling_protocol::register::open_dossier;
use yunling_protocol::statement::{Activity, Attestation, Body, Consent, Place, Recorder, When};
use yunling_protocol::store::{Expect, Put};

use super::notes::Note;
use super::volunteers::{CONSENT_BASIS, consent_to_record, person_key};
use super::{Node, Refusal};
use crate::clock::fresh;
use crate::person::Person;
use crate::sheet::{Existing, ItemKey, Options, RowRecord, Rules, SheetError, judge, read_sheet};

/// People recorded at the same time: their batches share one flush of the store.
const WRITERS: usize = 16;
/// Records of one person in one batch; far below the batch limits of the store.
const BATCH_RECORDS: usize = 2_000;

/// What to import and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportRequest {
    /// File; absolute when sent to a running node.
    pub path: PathBuf,
    /// Worksheet.
    pub sheet: Option<String>,
    /// Header text to field name.
    pub map: BTreeMap<String, String>,
    /// Judge only.
    pub dry_run: bool,
    /// Words of the consent's basis.
    pub basis: Option<String>,
}

impl From<SheetError> for Refusal {
    fn from(error: SheetError) -> Self {
        error.fields().into_iter().fold(Refusal::new(error.code()), |r, (key, value)| r.with(key, value))
    }
}

impl Existing for Node {
    type Error = Refusal;

    fn seen(&self, person: &CitizenId, item: &ItemKey) -> Result<bool, Refusal> {
        let Some(dossier) = self.fold_of(person)? else { return Ok(false) };
        let item = self.item(person.expose().as_bytes(), item);
        // A voided row is seen too: voiding is an act, importing again must not undo it.
        Ok(dossier.hours().values().any(|h| h.issuer == self.home.name && h.item == item))
    }

    fn effective_intervals(&self, person: &CitizenId) -> Result<Vec<(UnixTime, UnixTime)>, Refusal> {
        let Some(dossier) = self.fold_of(person)? else { return Ok(vec![]) };
        let effective = dossier.hours().values().filter(|h| h.void.is_none() && !h.repeat);
        let clock = effective.filter_map(|h| match h.when {
            When::Clock { start, end } => Some((start, end)),
            _ => None,
        });
        Ok(clock.collect())
    }

    fn name_of(&self, person: &CitizenId) -> Result<Option<String>, Refusal> {
        let Some(id) = self.find_by_number(person)? else { return Ok(None) };
        Ok(self.person(id)?.map(|p| p.name))
    }

    fn day_minutes(&self, person: &CitizenId, day: Day) -> Result<Minutes, Refusal> {
        let Some(dossier) = self.fold_of(person)? else { return Ok(Minutes(0)) };
        let effective = dossier.hours().values().filter(|h| h.void.is_none() && !h.repeat);
        Ok(Minutes(effective.filter(|h| h.when.first_day() == day).map(|h| h.minutes.0).sum()))
    }
}

impl Node {
    fn fold_of(&self, person: &CitizenId) -> Result<Option<std::sync::Arc<Dossier>>, Refusal> {
        let Some(id) = self.find_by_number(person)? else { return Ok(None) };
        match self.dossier(id, self.profile()) {
            // Moved away and destroyed here: recording refuses its rows, the others go on.
            Err(LedgerError::Destroyed(_)) => Ok(None),
            folded => Ok(folded?),
        }
    }

    /// Imports a sheet and reports every row.
    pub fn import(&self, request: &ImportRequest) -> Result<Value, Refusal> {
        self.refuse_closed()?;
        let mut options = Options { sheet: request.sheet.clone(), ..Options::default() };
        for (column, field) in &request.map {
            options.map_column(&format!("{column}={field}"))?;
        }
        let table = read_sheet(&request.path, &options)?;
        let rules = Rules { now: self.home.clock.now(), profile: self.profile() };
        let mut judged = judge(&table, self, rules)?;
        if !request.dry_run {
            let basis = request.basis.as_deref().unwrap_or(CONSENT_BASIS);
            let consent = consent_to_record(basis);
            let mut people: BTreeMap<CitizenId, Vec<RowRecord>> = BTreeMap::new();
            for record in judged.records() {
                people.entry(record.person.clone()).or_default().push(record.clone());
            }
            for (row, code) in self.record_people(&people, &consent)? {
                judged.refuse(row, code);
            }
        }
        let report = judged.report(&table);
        tracing::info!(
            rows = report.rows,
            added = report.records_added,
            refused = report.refused,
            "sheet imported"
        );
        let mut value =
            serde_json::to_value(&report).map_err(|e| Refusal::new("internal").with("cause", &e))?;
        if let Value::Object(map) = &mut value {
            map.insert("dry_run".into(), request.dry_run.into());
        }
        Ok(value)
    }

    /// Records everybody, several people at a time; returns rows that were refused after all.
    fn record_people(
        &self,
        people: &BTreeMap<CitizenId, Vec<RowRecord>>,
        consent: &Consent,
    ) -> Result<Vec<(u32, &'static str)>, Refusal> {
        let people: Vec<_> = people.values().collect();
        let next = AtomicUsize::new(0);
        let refused = Mutex::new(Vec::new());
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..WRITERS.min(people.len()) {
                scope.spawn(|| {
                    while let Some(records) = people.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match self.record_person(records, consent) {
                            Ok(rows) => refused.lock().unwrap_or_else(PoisonError::into_inner).extend(rows),
                            Err(error) => {
                                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                                // Nobody starts another person after a failure of the store.
                                next.store(usize::MAX / 2, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(refused.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn record_person(
        &self,
        records: &[RowRecord],
        consent: &Consent,
    ) -> Result<Vec<(u32, &'static str)>, Refusal> {
        let mut refused = Vec::new();
        for part in records.chunks(BATCH_RECORDS) {
            let mut fresh = fresh();
            let outcome = self.act(|office| {
                let person = &part[0].person;
                let index = person_key(self, person);
                let known = self.find_by_number(person).map_err(|_| DecideError::Rule("store-damaged"))?;
                let mut first = yunling_protocol::store::Batch::default();
                let (id, mut appender) = match known {
                    Some(id) => (id, giving::open(office, self, id)?),
                    None => {
                        let data = Person {
                            name: part[0].name.clone(),
                            citizen_id: Some(person.clone()),
                            contact: None,
                        };
                        let (id, appender, batch) = open_dossier(
                            office,
                            self.vault(),
                            &mut fresh,
                            consent.clone(),
                            Some(data.encode()),
                        )?;
                        first = batch;
                        first.expect.push(Expect::Absent(index.clone()));
                        first.put.push(Put::Set(index, id.0.to_vec()));
                        (id, appender)
                    }
                };
                let mut rows = Vec::new();
                for record in part {
                    let attestation = self.attestation_of(record);
                    let item = attestation.item;
                    let body = Body::Attestation(Box::new(attestation));
                    let statement = office.state(&mut fresh, id, &body)?;
                    match appender.append(&statement) {
                        Ok(_) => {
                            let note = Note::new(record.in_charge.as_deref(), record.remark.as_deref());
                            self.put_note(&mut first, id, item, &note);
                        }
                        Err(error) => rows.push((record.row, error.code())),
                    }
                }
                let (batch, dossier) = appender.finish();
                first.merge(batch);
                Ok((first, (dossier, rows)))
            });
            match outcome {
                Ok((dossier, rows)) => {
                    self.remember(dossier);
                    refused.extend(rows);
                }
                // The dossier moved away or is being moved: its rows are refused, others go on.
                Err(error) if error.code == "dossier-moved" => {
                    refused.extend(part.iter().map(|r| (r.row, "dossier-moved")));
                }
                Err(error) if error.code == "transfer-in-progress" => {
                    refused.extend(part.iter().map(|r| (r.row, "transfer-in-progress")));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    fn attestation_of(&self, record: &RowRecord) -> Attestation {
        let item = self.item(record.person.expose().as_bytes(), &record.item);
        Attestation {
            item,
            recorder: Recorder {
                name: record.organization.clone(),
                uscc: record.uscc.clone(),
                guided_by: None,
            },
            activity: Activity { id: None, name: record.activity.clone() },
            position: record.position.clone(),
            place: Place { text: record.place.clone(), division: record.division },
            content: record.content.clone(),
            categories: record.categories.clone(),
            beneficiaries: record.beneficiaries.clone(),
            when: record.when,
            minutes: record.minutes,
            stated: record.stated,
            parent: None,
            entry_way: record.entry_way,
            grade: record.grade,
            second_person: None,
            off_duty: false,
            campaign: None,
            profile: self.profile().name.into(),
            profile_version: self.profile().version,
            recorded_at: self.home.clock.now(),
            in_charge: self.in_charge_commitment(item, record.in_charge.as_deref()),
        }
    }

    /// Whether a dossier may be appended to here.
    pub fn holds(&self, id: DossierId) -> Result<bool, Refusal> {
        let dossier = self.dossier(id, self.profile())?;
        Ok(dossier.is_some_and(|d| *d.custody() == Custody::Open(self.home.name.clone())))
    }
}
