//! Dossiers as people and files see them.

use serde::Deserialize;
use serde_json::{Value, json};
use yunling_protocol::bundle::{Bundle, Own};
use yunling_protocol::custody::takeover::act::vouch;
use yunling_protocol::dossier::{Disputes, Dossier, Totals};
use yunling_protocol::id::DossierId;
use yunling_protocol::ledger;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::statement::{Body, Statement, When};

use super::volunteers::custody_words;
use super::{Node, Refusal};
use crate::clock::fresh;

/// Reference to a volunteer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolunteerRequest {
    /// Dossier id, identity number or name.
    pub volunteer: String,
}

/// A dossier to export.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// Dossier id, identity number or name.
    pub volunteer: String,
    /// As the volunteer's own bundle, with the dossier key.
    #[serde(default)]
    pub own: bool,
}

impl Node {
    /// A dossier with its sums and statements.
    pub fn show_dossier(&self, request: &VolunteerRequest) -> Result<Value, Refusal> {
        let id = self.find(&request.volunteer)?;
        let dossier = self.fold(id)?;
        let disputes = self.disputes(&dossier)?;
        let totals = dossier.totals_within(self.profile(), u64::MAX, &disputes);
        let mut statements = Vec::new();
        let mut at = 0;
        while at < dossier.length() {
            let part = ledger::chain(self, id, at, 1_024)?;
            if part.is_empty() {
                return Err(Refusal::new("store-damaged").with("cause", format!("chain of {id}")));
            }
            for bytes in part {
                let statement =
                    Statement::parse(&bytes).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
                let mut view = statement_view(at, &statement, &dossier, &totals, &disputes);
                if let Some(hour) = dossier.hours().get(&statement.id).filter(|h| h.issuer == self.home.name)
                {
                    let note = self.note(id, hour.item)?;
                    view["in_charge"] = note.in_charge.into();
                    view["remark"] = note.remark.into();
                }
                view["place"] = self.place_word(&statement.common.issuer, statement.id)?.into();
                statements.push(view);
                at += 1;
            }
        }
        let text_map = |entries: Vec<(String, Minutes)>| {
            entries.into_iter().map(|(k, m)| (k, Value::from(m.0))).collect::<serde_json::Map<_, _>>()
        };
        Ok(json!({
            "dossier": id.to_string(), "custody": custody_words(dossier.custody()), "epoch": dossier.epoch(),
            "length": dossier.length(), "head": dossier.head().to_string(),
            "stated_minutes": totals.stated.0, "disputed_minutes": totals.disputed.0,
            "suspended_minutes": totals.suspended.0,
            "counted_minutes": totals.counted.0, "hours": totals.counted.hours_text(),
            "voided_minutes": totals.voided.0, "repeated_minutes": totals.repeated.0,
            "attestations": totals.attestations,
            "by_year": text_map(totals.by_year.iter().map(|(y, m)| (y.to_string(), *m)).collect()),
            "by_issuer": text_map(totals.by_issuer.iter().map(|(n, m)| (n.to_string(), *m)).collect()),
            "by_recorder": text_map(totals.by_recorder.iter().map(|(n, m)| (n.clone(), *m)).collect()),
            "stars_due": totals.stars_due, "stars_awarded": totals.stars_awarded,
            "star_review": totals.star_review, "balance_minutes": totals.balance.0,
            "cannot_tell": dossier.unknown_critical(), "rebuilt": dossier.rebuilt(), "statements": statements,
        }))
    }

    /// The dossier as one file: its statements in chain order, no profile. The volunteer's own also holds
    /// the key and this custodian's signature over the head.
    pub fn export_dossier(&self, request: &ExportRequest) -> Result<Value, Refusal> {
        let id = self.find(&request.volunteer)?;
        let dossier = self.fold(id)?;
        let mut items = Vec::new();
        while (items.len() as u64) < dossier.length() {
            let part = ledger::chain(self, id, items.len() as u64, 1_024)?;
            if part.is_empty() {
                return Err(Refusal::new("store-damaged").with("cause", format!("chain of {id}")));
            }
            items.extend(part);
        }
        let count = items.len();
        let own = if request.own { Some(self.vouch(id, &dossier, items.last())?) } else { None };
        let bundle = Bundle { dossier: id, head: dossier.head(), statements: items, own };
        Ok(json!({
            "bundle": data_encoding::BASE64URL_NOPAD.encode(&bundle.encode()), "own": request.own,
            "statements": count, "minutes": dossier.totals(self.profile()).counted.0,
        }))
    }

    fn vouch(&self, id: DossierId, dossier: &Dossier, last: Option<&Vec<u8>>) -> Result<Own, Refusal> {
        let last = last.ok_or_else(|| Refusal::new("dossier-unknown").with("dossier", id))?;
        let last = Statement::parse(last).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
        let mut fresh = fresh();
        let own = self.act(|o| vouch(o, self, self.vault(), &mut fresh, dossier, &last));
        own.map_err(|e| self.about_dossier(e, id))
    }

    /// A volunteer with personal data, for the clerk.
    pub fn show_volunteer(&self, request: &VolunteerRequest) -> Result<Value, Refusal> {
        let id = self.find(&request.volunteer)?;
        let dossier = self.fold(id)?;
        let disputes = self.disputes(&dossier)?;
        let totals = dossier.totals_within(self.profile(), u64::MAX, &disputes);
        let person = self.person(id)?;
        Ok(json!({
            "dossier": id.to_string(),
            "name": person.as_ref().map(|p| p.name.clone()),
            "id_masked": person.as_ref().and_then(|p| p.citizen_id.as_ref().map(yunling_protocol::citizen_id::CitizenId::masked)),
            "contact": person.as_ref().and_then(|p| p.contact.clone()),
            "custody": custody_words(dossier.custody()), "minutes": totals.counted.0,
            "hours": totals.counted.hours_text(), "stars_due": totals.stars_due,
            "star_review": totals.star_review,
        }))
    }
}

/// When, for a person.
pub fn when_text(when: When) -> String {
    match when {
        When::Clock { start, end } if start.day() == end.day() => {
            let s = end.second_of_day();
            format!("{start}–{:02}:{:02}", s / 3600, s % 3600 / 60)
        }
        When::Clock { start, end } => format!("{start}–{end}"),
        When::Day(day) => day.to_string(),
        When::Period { first, last } => format!("{first}–{last}"),
    }
}

fn statement_view(
    sequence: u64,
    statement: &Statement,
    dossier: &Dossier,
    totals: &Totals,
    disputes: &Disputes,
) -> Value {
    let mut view = json!({
        "sequence": sequence, "id": statement.id.to_string(),
        "kind": Body::word(statement.body.kind()).map_or_else(|| format!("unknown kind {}", statement.body.kind()), str::to_owned),
        "issuer": statement.common.issuer.to_string(), "issued_at": statement.common.issued_at.to_string(),
    });
    if let Some(hour) = dossier.hours().get(&statement.id) {
        let state = match hour {
            h if h.void.is_some() => "void",
            h if h.repeat => "repeat",
            _ if disputes.contains(&statement.id) => "disputed",
            h if h.corrected.is_some() => "corrected",
            _ => "effective",
        };
        view["minutes"] = hour.minutes.0.into();
        view["when"] = when_text(hour.when).into();
        view["activity"] = hour.activity.clone().into();
        view["recorder"] = hour.recorder.clone().into();
        view["grade"] = hour.grade.letter().into();
        view["state"] = state.into();
        view["overlap"] = totals.overlapping.contains(&statement.id).into();
    }
    view
}
