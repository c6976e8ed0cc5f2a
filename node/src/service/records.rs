//! The clerk's acts on hours: record, void, correct; here or for a dossier held elsewhere.

use serde::Deserialize;
use serde_json::{Value, json};
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::division::DivisionCode;
use yunling_protocol::id::{DossierId, ItemId, StatementId, hmac_sha256};
use yunling_protocol::ledger::{self, Books};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::register::{self, Made};
use yunling_protocol::statement::{
    Activity, Attestation, Body, Code, Correction, EntryWay, Grade, Place, Recorder, Statement,
    VoidStatement, When,
};
use yunling_protocol::uscc;

use super::dossiers::when_text;
use super::notes::Note;
use super::refusal::shown;
use super::{Node, Refusal};
use crate::clock::fresh;
use crate::sheet::ItemKey;

/// Most statements voided by one call; a longer list is several calls.
const VOID_MAX: usize = 1_000;

/// A service to record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    /// Dossier id, identity number or name of a volunteer held here.
    pub volunteer: Option<String>,
    /// Text of a volunteer's card, for a dossier held elsewhere.
    pub card: Option<String>,
    /// Activity name.
    pub activity: String,
    /// Recording unit.
    pub organization: String,
    /// Its unified social credit code.
    pub uscc: Option<String>,
    /// Unit that guides an unregistered team.
    pub guided_by: Option<String>,
    /// Place.
    pub place: String,
    /// Division of the place.
    pub division: Option<String>,
    /// What was done.
    pub content: String,
    /// Category code or label.
    pub category: Option<String>,
    /// Position.
    pub position: Option<String>,
    /// `YYYY-MM-DD HH:MM`.
    pub start: Option<String>,
    /// `YYYY-MM-DD HH:MM`.
    pub end: Option<String>,
    /// `YYYY-MM-DD`, for a day without clock times.
    pub day: Option<String>,
    /// Minutes; from start and end when absent.
    pub minutes: Option<u64>,
    /// Evidence grade, default C.
    pub grade: Option<String>,
    /// Entry way number, default group entry.
    pub entry_way: Option<String>,
    /// Campaign tag.
    pub campaign: Option<String>,
    /// 非职务行为 declared.
    #[serde(default)]
    pub off_duty: bool,
    /// Person in charge; only a commitment leaves the register.
    pub in_charge: Option<String>,
}

/// A void.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoidRequest {
    /// Volunteer or dossier id.
    pub volunteer: String,
    /// Statements.
    pub statements: Vec<String>,
    /// Reason code.
    pub reason: String,
    /// Words.
    pub note: Option<String>,
}

/// A correction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectRequest {
    /// Volunteer or dossier id.
    pub volunteer: String,
    /// Statement.
    pub statement: String,
    /// Reason code.
    pub reason: String,
    /// Words.
    pub note: Option<String>,
    /// New minutes.
    pub minutes: Option<u64>,
    /// New start.
    pub start: Option<String>,
    /// New end.
    pub end: Option<String>,
    /// New grade.
    pub grade: Option<String>,
    /// New content.
    pub content: Option<String>,
}

/// `YYYY-MM-DD HH:MM` at UTC+8.
pub fn parse_moment(text: &str) -> Result<UnixTime, Refusal> {
    let refuse = || Refusal::new("time-form").with("value", shown(text));
    let (day, time) = text.trim().split_once([' ', 'T']).ok_or_else(refuse)?;
    let day = Day::parse(day).ok_or_else(refuse)?;
    let (hour, minute) = time.trim().split_once(':').ok_or_else(refuse)?;
    let (hour, minute): (u32, u32) =
        (hour.parse().map_err(|_| refuse())?, minute.parse().map_err(|_| refuse())?);
    let (y, m, d) = day.ymd();
    UnixTime::from_local(y, m, d, hour, minute, 0).ok_or_else(refuse)
}

fn parse_grade(text: &str) -> Result<Grade, Refusal> {
    Grade::from_letter(text).ok_or_else(|| Refusal::new("grade-form").with("value", shown(text)))
}

fn parse_statement(text: &str) -> Result<StatementId, Refusal> {
    StatementId::parse(text)
        .map_err(|e| Refusal::new("statement-id").with("value", shown(text)).with("cause", &e))
}

fn entry_way(text: Option<&str>) -> Result<EntryWay, Refusal> {
    Ok(match text.map(str::trim) {
        None | Some("团体录入" | "group") => EntryWay::Group,
        Some("个人申报" | "individual") => EntryWay::Individual,
        Some("时长码" | "time-code") => EntryWay::TimeCode,
        Some("APP计时" | "app") => EntryWay::App,
        Some("自动计时" | "automatic") => EntryWay::Automatic,
        Some("补录" | "back-entry") => EntryWay::BackEntry,
        Some(other) => return Err(Refusal::new("entry-way").with("value", shown(other))),
    })
}

/// `yd…@custodian`.
pub fn parse_volunteer_card(text: &str) -> Result<(DossierId, NodeName), Refusal> {
    let refuse = || Refusal::new("volunteer-card").with("value", shown(text));
    let (id, node) = text.trim().split_once('@').ok_or_else(refuse)?;
    Ok((DossierId::parse(id).map_err(|_| refuse())?, NodeName::parse(node).map_err(|_| refuse())?))
}

impl RecordRequest {
    /// The options left empty of those that Art. 7 asks for.
    fn missing(&self) -> String {
        let asked = [("--activity", &self.activity), ("--content", &self.content), ("--place", &self.place)];
        let empty = asked.iter().filter(|(_, value)| value.trim().is_empty());
        empty.map(|(option, _)| *option).collect::<Vec<_>>().join(" ")
    }

    fn when(&self) -> Result<When, Refusal> {
        match (&self.start, &self.end, &self.day) {
            (Some(start), Some(end), None) => {
                let (start, end) = (parse_moment(start)?, parse_moment(end)?);
                if start >= end {
                    return Err(Refusal::new("end-before-start").with("when", format!("{start} – {end}")));
                }
                Ok(When::Clock { start, end })
            }
            (None, None, Some(day)) => Day::parse(day)
                .map(When::Day)
                .ok_or_else(|| Refusal::new("time-form").with("value", shown(day))),
            _ => Err(Refusal::new("when-missing")),
        }
    }

    fn minutes(&self, when: When) -> Result<Minutes, Refusal> {
        match (self.minutes, when) {
            (Some(minutes), _) => Ok(Minutes(minutes)),
            (None, When::Clock { start, end }) => Ok(Minutes((end.0 - start.0) as u64 / 60)),
            _ => Err(Refusal::new("minutes-missing")),
        }
    }
}

impl Node {
    /// The item of a service: keyed hash under the node's secret (DESIGN §5), the same for a typed
    /// record and an imported row, so that one service is never stated twice.
    pub(crate) fn item(&self, person: &[u8], key: &ItemKey) -> ItemId {
        let canonical = key.canonical_bytes();
        let length = (person.len() as u64).to_be_bytes();
        let mac = hmac_sha256(&self.home.keys.secret, &[b"yunling/item/1", &length, person, &canonical]);
        let mut item = [0; 16];
        item.copy_from_slice(&mac[..16]);
        ItemId(item)
    }

    /// What stands for the person in an item: the identity number where known, else the dossier.
    pub(crate) fn item_person(&self, dossier: DossierId) -> Result<Vec<u8>, Refusal> {
        let number = self.person(dossier)?.and_then(|p| p.citizen_id);
        Ok(number.map_or_else(|| dossier.0.to_vec(), |id: CitizenId| id.expose().as_bytes().to_vec()))
    }

    pub(crate) fn in_charge_commitment(&self, item: ItemId, name: Option<&str>) -> Option<[u8; 32]> {
        name.map(|n| hmac_sha256(&self.home.keys.secret, &[b"yunling/in-charge/1", &item.0, n.as_bytes()]))
    }

    /// Records one service.
    pub fn record(&self, request: &RecordRequest) -> Result<Value, Refusal> {
        let (dossier, custodian) = match (&request.volunteer, &request.card) {
            (Some(reference), None) => {
                let id = self.find(reference)?;
                (id, self.custodian(id)?)
            }
            (None, Some(card)) => {
                let (id, shown) = parse_volunteer_card(card)?;
                // A card is paper: where this node knows better than the paper, that counts.
                (id, self.custodian(id).unwrap_or(shown))
            }
            _ => return Err(Refusal::new("volunteer-missing")),
        };
        let away = custodian != self.home.name;
        if away && !self.members().is_active(&custodian) {
            return Err(Refusal::new("peer-unknown").with("name", &custodian));
        }
        let attestation = self.attestation(request, dossier)?;
        let (minutes, when) = (attestation.minutes, when_text(attestation.when));
        let note = Note::new(request.in_charge.as_deref(), None);
        let mut fresh = fresh();
        let made: Result<Made, Refusal> = self.act(|office| {
            let made = register::record(office, self, &mut fresh, dossier, &custodian, attestation.clone())?;
            let mut batch = made.batch.clone();
            self.put_note(&mut batch, dossier, attestation.item, &note);
            Ok((batch, made))
        });
        let made = made.map_err(|e| {
            let asked = e.about("dossier", dossier).about("node", &custodian).about("when", &when);
            asked.about("minutes", minutes.0).about("missing", request.missing())
        })?;
        self.finish(&made);
        Ok(json!({
            "statement": made.statement.id.to_string(), "dossier": dossier.to_string(), "minutes": minutes.0,
            "hours": minutes.hours_text(), "flags": made.flags, "custodian": custodian.to_string(), "away": away,
        }))
    }

    fn attestation(&self, request: &RecordRequest, dossier: DossierId) -> Result<Attestation, Refusal> {
        let when = request.when()?;
        let uscc = request.uscc.as_deref().map(uscc::parse).transpose();
        let uscc = uscc.map_err(|e| {
            Refusal::new(e.code()).with("value", shown(request.uscc.as_deref().unwrap_or_default()))
        })?;
        let division = match &request.division {
            None => None,
            Some(text) => Some(
                DivisionCode::parse(text)
                    .ok_or_else(|| Refusal::new("division-unknown").with("value", shown(text)))?,
            ),
        };
        let (start, end) = match when {
            When::Clock { start, end } => (start, Some(end)),
            other => (other.first_day().start(), None),
        };
        let key = ItemKey {
            organization: request.organization.trim().to_owned(),
            activity: request.activity.trim().to_owned(),
            start,
            end,
        };
        let item = self.item(&self.item_person(dossier)?, &key);
        let now = self.home.clock.now();
        Ok(Attestation {
            item,
            recorder: Recorder { name: key.organization, uscc, guided_by: request.guided_by.clone() },
            activity: Activity { id: None, name: key.activity },
            position: request.position.clone(),
            place: Place { text: request.place.trim().to_owned(), division },
            content: request.content.trim().to_owned(),
            categories: request.category.iter().map(|c| category(c)).collect(),
            beneficiaries: vec![],
            when,
            minutes: request.minutes(when)?,
            stated: None,
            parent: None,
            entry_way: entry_way(request.entry_way.as_deref())?,
            grade: request.grade.as_deref().map_or(Ok(Grade::C), parse_grade)?,
            second_person: None,
            off_duty: request.off_duty,
            campaign: request.campaign.clone(),
            profile: self.profile().name.into(),
            profile_version: self.profile().version,
            recorded_at: now,
            in_charge: self.in_charge_commitment(item, request.in_charge.as_deref()),
        })
    }

    /// Who holds a dossier, as far as this node knows.
    pub(crate) fn custodian(&self, dossier: DossierId) -> Result<NodeName, Refusal> {
        use yunling_protocol::dossier::Custody;
        match ledger::head_record(self, dossier)?.map(|r| r.custody) {
            Some(Custody::Open(node)) => Ok(node),
            Some(Custody::Sealed { next, .. }) => Ok(register::custodian_of(self, dossier)?.unwrap_or(next)),
            _ => register::custodian_of(self, dossier)?
                .ok_or_else(|| Refusal::new("dossier-unknown").with("dossier", dossier)),
        }
    }

    pub(crate) fn finish(&self, made: &Made) {
        if let Some(dossier) = &made.dossier {
            self.remember(dossier.clone());
        }
        if made.wake {
            self.wake.notify_one();
        }
    }

    /// Voids attestations of this node.
    pub fn void(&self, request: &VoidRequest) -> Result<Value, Refusal> {
        if request.statements.is_empty() || request.statements.len() > VOID_MAX {
            return Err(Refusal::new("void-count")
                .with("count", request.statements.len())
                .with("max", VOID_MAX));
        }
        let dossier = self.find(&request.volunteer)?;
        // All are read before the first is changed: one wrong id changes nothing.
        let mut minutes = Minutes(0);
        let mut targets = Vec::new();
        for text in &request.statements {
            let target = parse_statement(text)?;
            if targets.contains(&target) {
                return Err(Refusal::new("already-void").with("statement", text));
            }
            minutes.0 += self.own_attestation(dossier, target)?.minutes.0;
            targets.push(target);
        }
        let mut voided = Vec::new();
        for target in targets {
            let change = VoidStatement { target, reason: request.reason.clone(), note: request.note.clone() };
            let mut fresh = fresh();
            let made: Result<Made, Refusal> = self.act(|office| {
                let made = register::void(office, self, &mut fresh, dossier, change.clone())?;
                Ok((made.batch.clone(), made))
            });
            let made = made.map_err(|e| e.about("dossier", dossier).about("statement", target))?;
            self.finish(&made);
            voided.push(made.statement.id.to_string());
        }
        Ok(json!({ "voided": voided, "minutes": minutes.0, "hours": minutes.hours_text() }))
    }

    /// Corrects an attestation of this node.
    pub fn correct(&self, request: &CorrectRequest) -> Result<Value, Refusal> {
        let dossier = self.find(&request.volunteer)?;
        let target = parse_statement(&request.statement)?;
        let original = self.own_attestation(dossier, target)?;
        let when = match (&request.start, &request.end) {
            (None, None) => None,
            (start, end) => {
                let When::Clock { start: s, end: e } = original.when else {
                    return Err(Refusal::new("when-missing"));
                };
                let start = start.as_deref().map_or(Ok(s), parse_moment)?;
                let end = end.as_deref().map_or(Ok(e), parse_moment)?;
                Some(When::Clock { start, end })
            }
        };
        let change = Correction {
            target,
            reason: request.reason.clone(),
            note: request.note.clone(),
            when,
            minutes: request.minutes.map(Minutes),
            grade: request.grade.as_deref().map(parse_grade).transpose()?,
            content: request.content.clone(),
            place: None,
        };
        let mut fresh = fresh();
        let made: Result<Made, Refusal> = self.act(|office| {
            let made = register::correct(office, self, &mut fresh, dossier, change.clone())?;
            Ok((made.batch.clone(), made))
        });
        let made = made.map_err(|e| {
            let (when, minutes) =
                (change.when.unwrap_or(original.when), change.minutes.unwrap_or(original.minutes));
            let asked = e.about("dossier", dossier).about("statement", target);
            asked.about("when", when_text(when)).about("minutes", minutes.0)
        })?;
        self.finish(&made);
        Ok(json!({ "statement": made.statement.id.to_string() }))
    }

    fn own_attestation(&self, dossier: DossierId, target: StatementId) -> Result<Attestation, Refusal> {
        let unknown = || Refusal::new("target-unknown").with("statement", target);
        let bytes = ledger::statement(self, dossier, target)?.ok_or_else(unknown)?;
        let statement = Statement::parse(&bytes).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
        if statement.common.issuer != self.home.name {
            return Err(Refusal::new("not-issuer").with("node", &statement.common.issuer));
        }
        let Body::Attestation(attestation) = statement.body else { return Err(unknown()) };
        // Of a dossier whose rest is destroyed here the decision itself looks at the own voids.
        let destroyed = ledger::head_record(self, dossier)?.is_some_and(|r| r.destroyed);
        if !destroyed
            && let Some(fold) = self.dossier(dossier, self.profile())?
            && fold.hours().get(&target).is_some_and(|h| h.void.is_some())
        {
            return Err(Refusal::new("already-void").with("statement", target));
        }
        Ok(*attestation)
    }
}

fn category(text: &str) -> Code {
    let text = text.trim();
    if text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) {
        Code { code: text.into(), label: None }
    } else {
        Code { code: String::new(), label: Some(text.into()) }
    }
}
