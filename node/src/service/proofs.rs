//! Proofs issued here.

use serde::Deserialize;
use serde_json::{Value, json};
use yunling_protocol::day::UnixTime;
use yunling_protocol::dispute;
use yunling_protocol::dossier::{Custody, Disputes, Dossier, Totals};
use yunling_protocol::id::DossierId;
use yunling_protocol::key::Role;
use yunling_protocol::ledger::{self, Books as _};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{self, Vault};
use yunling_protocol::proof::{self, Amount, Claims, PREFIX, live, rows};
use yunling_protocol::statement::id_of;
use yunling_protocol::status::Status;
use yunling_protocol::store::{Batch, Read, Table, scan_all};

use super::dossiers::VolunteerRequest;
use super::refusal::shown;
use super::{Node, Refusal};
use crate::clock::{fresh, random32};

/// Days a proof is valid when nothing is said: a school year's certificate is asked for yearly.
const PROOF_DAYS: u64 = 365;
/// Longest a proof may be valid, days.
const PROOF_DAYS_MAX: u64 = 3_660;

/// A proof to issue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofRequest {
    /// Volunteer.
    pub volunteer: String,
    /// At least so many minutes; exact total when absent.
    pub at_least_minutes: Option<u64>,
    /// Audience named by the holder.
    pub audience: Option<String>,
    /// Full name opened by the holder's act.
    #[serde(default)]
    pub with_name: bool,
    /// Days until it expires.
    pub days: Option<u64>,
    /// Certificate number.
    pub number: Option<String>,
}

/// A proof to withdraw.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// Its code as `proof list` shows it, or its text.
    pub proof: String,
    /// Why; stays at this office.
    pub reason: String,
}

/// Longest reason of a revocation, bytes.
const REASON_BYTES_MAX: usize = yunling_protocol::statement::attestation::SHORT_TEXT_BYTES_MAX;

impl Node {
    /// Issues a proof over a dossier held here.
    pub fn issue_proof(&self, request: &ProofRequest) -> Result<Value, Refusal> {
        // What it would prove may have moved, or been voided, since the backup.
        self.refuse_closed()?;
        let id = self.find(&request.volunteer)?;
        let dossier = self.fold(id)?;
        match dossier.custody() {
            Custody::Open(node) if *node == self.home.name => {}
            Custody::Sealed { next, .. } => {
                return Err(self.about_dossier(Refusal::new("dossier-moved").with("node", next), id));
            }
            _ => return Err(self.about_dossier(Refusal::new("dossier-moved"), id)),
        }
        if let Some(kind) = dossier.unknown_critical() {
            return Err(Refusal::new("statement-newer-version").with("kind", kind));
        }
        let disputes = self.disputes(&dossier)?;
        let totals = dossier.totals_within(self.profile(), u64::MAX, &disputes);
        let amount = match request.at_least_minutes {
            Some(least) if least > totals.counted.0 => {
                let stated = Minutes(least).hours_text();
                return Err(Refusal::new("proof-too-high")
                    .with("asked", stated)
                    .with("hours", totals.counted));
            }
            Some(0) => return Err(Refusal::new("minutes-zero")),
            Some(least) => Amount::AtLeast(Minutes(least)),
            None => Amount::Exact(totals.counted),
        };
        let days = request.days.unwrap_or(PROOF_DAYS);
        if days == 0 || days > PROOF_DAYS_MAX {
            return Err(Refusal::new("proof-days").with("days", days).with("max", PROOF_DAYS_MAX));
        }
        let claims = self.claims(id, &dossier, &totals, request, amount, days)?;
        let signer = self.signer_of(Role::Proof)?;
        let base = self.home.config.proof.list_base();
        let mut fresh = fresh();
        let issued = self
            .act(|office| live::issue(office, self, &mut fresh, &*signer, base, id, claims.clone()))
            .map_err(|e| {
                let asked = request.at_least_minutes.map_or(totals.counted, Minutes).hours_text();
                let e = e.about("asked", asked).about("hours", totals.counted).about("max", live::LIVE_MAX);
                self.about_dossier(e, id)
            })?;
        // The first proof opens a list, which verifiers are to find.
        self.status_wake.notify_one();
        let text = issued.text;
        let minutes = match amount {
            Amount::AtLeast(m) | Amount::Exact(m) => m,
        };
        let bytes = (text.len() - proof::PREFIX.len()) / 3 * 2 + usize::from((text.len() - 4) % 3 == 2);
        Ok(json!({
            "proof": text, "minutes": minutes.0, "hours": minutes.hours_text(),
            "amount": if request.at_least_minutes.is_some() { "at-least" } else { "exact" },
            "expires": claims.expires.to_string(), "bytes": bytes, "chars": text.len(),
            "code": issued.place.to_string(),
            "recorders": claims.recorders.iter().map(|(n, _)| n.to_string()).collect::<Vec<_>>(),
        }))
    }

    fn claims(
        &self,
        id: DossierId,
        dossier: &Dossier,
        totals: &Totals,
        request: &ProofRequest,
        amount: Amount,
        days: u64,
    ) -> Result<Claims, Refusal> {
        let now = self.home.clock.now();
        let subject = match request.audience.as_deref().filter(|a| !a.trim().is_empty()) {
            Some(audience) => {
                let key = office::secrets_key(id);
                let stored = self
                    .get(key.table, &key.key)?
                    .ok_or_else(|| Refusal::new("secrets-missing").with("dossier", id))?;
                let secrets = self
                    .vault()
                    .open(id, &stored)
                    .ok_or_else(|| Refusal::new("secrets-missing").with("dossier", id))?;
                proof::subject_for(&secrets.key, audience.trim())
            }
            None => {
                let mut subject = [0; 16];
                subject.copy_from_slice(&random32()[..16]);
                subject
            }
        };
        let full_name = if request.with_name {
            let person = self.person(id)?.ok_or_else(|| Refusal::new("name-missing"))?;
            if person.name.len() > proof::NAME_BYTES_MAX {
                return Err(Refusal::new("name-long")
                    .with("bytes", person.name.len())
                    .with("max", proof::NAME_BYTES_MAX));
            }
            Some(person.name)
        } else {
            None
        };
        let others = totals.by_issuer.keys().any(|n| *n != self.home.name);
        let exact = matches!(amount, Amount::Exact(_));
        let recorders: Vec<(NodeName, Option<Minutes>)> = if others {
            totals.by_issuer.iter().map(|(n, m)| (n.clone(), exact.then_some(*m))).collect()
        } else {
            vec![]
        };
        if recorders.len() > proof::RECORDERS_MAX {
            return Err(Refusal::new("proof-recorders")
                .with("count", recorders.len())
                .with("max", proof::RECORDERS_MAX));
        }
        Ok(Claims {
            issuer: self.home.name.clone(),
            subject,
            issued: now,
            expires: UnixTime(now.0 + days as i64 * 86_400),
            full_name,
            amount,
            days: totals.days,
            epoch: dossier.epoch(),
            recorders,
            number: request.number.clone(),
            trial: self.home.config.node.trial,
            status: None,
        })
    }

    /// The proofs issued of a dossier, newest first.
    pub fn proofs(&self, request: &VolunteerRequest) -> Result<Value, Refusal> {
        let id = self.find(&request.volunteer)?;
        let now = self.home.clock.now();
        let mut all = Vec::new();
        for (_, record, _) in rows::records_of(self, id)? {
            let amount = record.claims.as_ref().map(|claims| match claims.amount {
                Amount::AtLeast(minutes) => ("at-least", minutes),
                Amount::Exact(minutes) => ("exact", minutes),
            });
            let issued = record.claims.as_ref().map(|claims| claims.issued);
            let over = record.expires <= now;
            let live = matches!(record.status, Status::Valid | Status::Suspended);
            let state = if over && live { "expired" } else { record.status.word() };
            let view = json!({
                "code": record.place.to_string(), "issued": issued.map(|at| at.to_string()),
                "expires": record.expires.to_string(), "amount": amount.map(|(kind, _)| kind),
                "minutes": amount.map(|(_, m)| m.0), "hours": amount.map(|(_, m)| m.hours_text()),
                "status": state, "since": record.since.to_string(), "reason": record.reason,
                "number": record.claims.as_ref().and_then(|claims| claims.number.clone()),
            });
            all.push((std::cmp::Reverse((issued, record.place)), view));
        }
        all.sort_by_key(|(key, _)| *key);
        let proofs: Vec<Value> = all.into_iter().map(|(_, view)| view).collect();
        Ok(json!({ "dossier": id.to_string(), "proofs": proofs }))
    }

    /// Withdraws a proof for ever; the list that says so is made at once.
    pub fn revoke_proof(&self, request: &RevokeRequest) -> Result<Value, Refusal> {
        let text = request.proof.trim();
        let unknown = || Refusal::new("proof-not-ours").with("proof", shown(text));
        let reason = request.reason.trim();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(Refusal::new("reason-length")
                .with("bytes", reason.len())
                .with("max", REASON_BYTES_MAX));
        }
        let owner = if text.starts_with(PREFIX) {
            let claims = proof::claims_of(text).map_err(|why| Refusal::new(why.code()))?;
            let place = claims.status.filter(|_| claims.issuer == self.home.name).ok_or_else(unknown)?;
            let lists = rows::own_lists(self)?;
            let list = lists.iter().find(|list| list.uri == place.uri).ok_or_else(unknown)?;
            let place = rows::Place { list: list.number, index: place.index };
            // The place alone is not the proof: a forged text may name any.
            rows::owner_of(self, place)?.filter(|(_, hash)| *hash == id_of(text.as_bytes()))
        } else {
            rows::owner_of(self, rows::Place::parse(text).ok_or_else(unknown)?)?
        };
        let (dossier, hash) = owner.ok_or_else(unknown)?;
        let record = self
            .act(|office| live::revoke(office, self, dossier, hash, reason))
            .map_err(|e| e.about("proof", shown(text)))?;
        self.count("proofs_revoked");
        Ok(json!({
            "code": record.place.to_string(), "dossier": dossier.to_string(), "was": record.status.word(),
        }))
    }

    /// Hours of a dossier that are in dispute now.
    pub(super) fn disputes(&self, dossier: &Dossier) -> Result<Disputes, Refusal> {
        Ok(self.decide(|office| dispute::of(office, self, dossier))?)
    }

    /// Looks at the live proofs of every dossier again, because the roster changed who is suspended.
    pub(super) fn recheck_proofs(&self) -> Result<(), Refusal> {
        let mut held = Vec::new();
        scan_all::<Refusal>(self, Table::Proof, b"", |key, _| {
            held.extend(<[u8; 16]>::try_from(key).ok().map(DossierId));
            Ok(())
        })?;
        let mut changed = 0;
        for id in held {
            changed += self.act(|office| {
                let mut batch = Batch::default();
                let record = ledger::head_record(self, id)?.filter(|record| !record.destroyed);
                let here = record.is_some_and(|r| r.custody == Custody::Open(office.me.clone()));
                let dossier = if here { self.dossier(id, office.profile)? } else { None };
                let Some(dossier) = dossier else { return Ok((batch, 0)) };
                let changed = live::recheck(office, self, &dossier, &mut batch)?;
                Ok((batch, changed))
            })?;
        }
        if changed > 0 {
            tracing::warn!(changed, "proofs changed because an issuer is suspended or no longer is");
        }
        Ok(())
    }
}
