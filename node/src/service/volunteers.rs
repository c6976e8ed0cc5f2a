//! The register of volunteers: who a dossier is about, found by dossier id, identity number or name.

use serde::Serialize;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::dossier::{Custody, Dossier};
use yunling_protocol::id::{DossierId, hmac_sha256};
use yunling_protocol::ledger::{self, Books, HeadRecord};
use yunling_protocol::office::{self, Secrets, Vault};
use yunling_protocol::register::open_dossier;
use yunling_protocol::statement::{Consent, ConsentGiver};
use yunling_protocol::store::{Expect, Key, Put, Read, Table, scan_all};

use super::{Node, Refusal};
use crate::clock::fresh;
use crate::person::Person;
use crate::sheet::comparable_name;

/// Most volunteers listed at once; a longer list is asked for in parts.
pub const LIST_MAX: usize = 1_000;

/// Default words of the consent recorded at registration or import.
pub const CONSENT_BASIS: &str = "民政部令第67号第六条";

/// A volunteer in a list.
#[derive(Debug, Serialize)]
pub struct VolunteerRow {
    /// Dossier id.
    pub dossier: String,
    /// Masked name.
    pub name: String,
    /// Minutes counted.
    pub minutes: u64,
    /// Hours as text.
    pub hours: String,
    /// `held`, or `moved` with where to.
    pub custody: String,
}

/// What `card` prints for a volunteer: enough to record hours for them anywhere.
#[derive(Debug, Serialize)]
pub struct VolunteerCard {
    /// Dossier id.
    pub dossier: String,
    /// Custodian.
    pub custodian: String,
    /// One text with both.
    pub card: String,
}

/// Key of the person index: keyed hash under the node's secret; never leaves the node.
pub(crate) fn person_key(node: &Node, id: &CitizenId) -> Key {
    let mac = hmac_sha256(&node.home.keys.secret, &[b"yunling/person/1", id.expose().as_bytes()]);
    Key::new(Table::Index, [&b"p"[..], &mac[..16]].concat())
}

impl Node {
    /// Key of the person index of a dossier whose person is known here by number.
    pub(crate) fn person_key_of(&self, id: DossierId) -> Result<Option<Key>, Refusal> {
        let key = office::secrets_key(id);
        let stored = self.get(key.table, &key.key)?;
        let person = stored.and_then(|stored| self.vault().open(id, &stored)).and_then(|s| person_of(&s));
        Ok(person.and_then(|person| person.citizen_id).map(|number| person_key(self, &number)))
    }
}

/// Consent recorded when the office keeps a volunteer's records.
pub fn consent_to_record(basis: &str) -> Consent {
    Consent {
        purpose: "志愿服务记录与证明".into(),
        basis: basis.into(),
        receiver: None,
        method: "电子登记、保存、查询、出具证明".into(),
        data_kinds: vec![
            "身份信息".into(),
            "服务信息".into(),
            "培训信息".into(),
            "表彰奖励信息".into(),
            "评价信息".into(),
        ],
        given_by: ConsentGiver::Volunteer,
        expires: None,
    }
}

impl Node {
    /// Registers a volunteer: dossier key, consent, encrypted profile. A number registered before is
    /// refused with its dossier.
    pub fn register(&self, person: &Person, consent: &Consent) -> Result<DossierId, Refusal> {
        if person.name.trim().is_empty() {
            return Err(Refusal::new("name-missing"));
        }
        let index = person.citizen_id.as_ref().map(|id| person_key(self, id));
        let mut fresh = fresh();
        if let Some(key) = &index
            && let Some(found) = self.get(key.table, &key.key)?
        {
            let id = <[u8; 16]>::try_from(found)
                .map(DossierId)
                .map_err(|_| Refusal::new("store-damaged").with("cause", "person index"))?;
            return Err(Refusal::new("volunteer-exists").with("dossier", id));
        }
        let (id, dossier) = self.act(|office| {
            let data = Some(person.encode());
            let (id, appender, mut batch) =
                open_dossier(office, self.vault(), &mut fresh, consent.clone(), data)?;
            let (append, dossier) = appender.finish();
            batch.merge(append);
            if let Some(key) = &index {
                batch.expect.push(Expect::Absent(key.clone()));
                batch.put.push(Put::Set(key.clone(), id.0.to_vec()));
            }
            Ok((batch, (id, dossier)))
        })?;
        self.remember(dossier);
        Ok(id)
    }

    /// The dossier of an identity number.
    pub fn find_by_number(&self, id: &CitizenId) -> Result<Option<DossierId>, Refusal> {
        let key = person_key(self, id);
        let Some(found) = self.get(key.table, &key.key)? else { return Ok(None) };
        let id = <[u8; 16]>::try_from(found)
            .map_err(|_| Refusal::new("store-damaged").with("cause", "person index"))?;
        Ok(Some(DossierId(id)))
    }

    /// A dossier by what a clerk has: dossier id, identity number, or a name that only one has.
    pub fn find(&self, reference: &str) -> Result<DossierId, Refusal> {
        let reference = reference.trim();
        if let Ok(id) = DossierId::parse(reference) {
            return Ok(id);
        }
        if let Ok((number, _)) = CitizenId::parse(reference) {
            return self.find_by_number(&number)?.ok_or_else(|| Refusal::new("volunteer-unknown"));
        }
        let wanted = comparable_name(reference);
        let mut found = Vec::new();
        scan_all::<Refusal>(self, Table::Profile, b"", |key, bytes| {
            let Ok(id) = <[u8; 16]>::try_from(key) else { return Ok(()) };
            let id = DossierId(id);
            if let Some(person) = self.vault().open(id, &bytes).and_then(|s| person_of(&s))
                && comparable_name(&person.name) == wanted
            {
                found.push(id);
            }
            Ok(())
        })?;
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Refusal::new("volunteer-unknown")),
            many => Err(Refusal::new("volunteer-ambiguous").with("count", many.len())),
        }
    }

    /// The person of a dossier held here.
    pub fn person(&self, id: DossierId) -> Result<Option<Person>, Refusal> {
        let key = office::secrets_key(id);
        let Some(bytes) = self.get(key.table, &key.key)? else { return Ok(None) };
        let secrets = self
            .vault()
            .open(id, &bytes)
            .ok_or_else(|| Refusal::new("secrets-missing").with("dossier", id))?;
        Ok(person_of(&secrets))
    }

    /// Volunteers, after `after`, at most `limit`.
    pub fn volunteers(&self, after: Option<DossierId>, limit: usize) -> Result<Vec<VolunteerRow>, Refusal> {
        let after = after.map(|id| id.0);
        let rows = self.scan(Table::Head, b"", after.as_ref().map(|a| &a[..]), limit.clamp(1, LIST_MAX))?;
        let mut out = Vec::new();
        for (key, bytes) in rows {
            let Ok(id) = <[u8; 16]>::try_from(key) else { continue };
            let id = DossierId(id);
            let record =
                HeadRecord::decode(&bytes).map_err(|e| Refusal::new("store-damaged").with("cause", &e))?;
            let name = self.person(id)?.map(|p| p.masked_name()).unwrap_or_default();
            out.push(VolunteerRow {
                dossier: id.to_string(),
                name,
                minutes: record.counted.0,
                hours: record.counted.hours_text(),
                custody: custody_words(&record.custody),
            });
        }
        Ok(out)
    }

    /// The card a volunteer carries: dossier id and custodian, no personal data.
    pub fn volunteer_card(&self, id: DossierId) -> Result<VolunteerCard, Refusal> {
        let record = ledger::head_record(self, id)?
            .ok_or_else(|| Refusal::new("dossier-unknown").with("dossier", id))?;
        let custodian = match record.custody {
            Custody::Open(node) => node,
            Custody::Sealed { next, .. } => next,
            Custody::Empty => return Err(Refusal::new("dossier-unknown").with("dossier", id)),
        };
        Ok(VolunteerCard {
            dossier: id.to_string(),
            card: format!("{id}@{custodian}"),
            custodian: custodian.to_string(),
        })
    }

    /// Adds to a refusal which dossier it is about and who holds it, as far as this node knows.
    pub(crate) fn about_dossier(&self, refusal: Refusal, id: DossierId) -> Refusal {
        let refusal = refusal.about("dossier", id);
        match self.custodian(id) {
            Ok(node) => refusal.about("node", node),
            Err(_) => refusal,
        }
    }

    /// The fold of a dossier known here.
    pub fn fold(&self, id: DossierId) -> Result<std::sync::Arc<Dossier>, Refusal> {
        let folded = self.dossier(id, self.profile()).map_err(|e| self.about_dossier(e.into(), id))?;
        folded.ok_or_else(|| Refusal::new("dossier-unknown").with("dossier", id))
    }
}

fn person_of(secrets: &Secrets) -> Option<Person> {
    secrets.profile.as_deref().and_then(|p| Person::decode(p).ok())
}

/// `held`, `sealed → next` as words for lists.
pub fn custody_words(custody: &Custody) -> String {
    match custody {
        Custody::Empty => "empty".into(),
        Custody::Open(node) => format!("held:{node}"),
        Custody::Sealed { next, .. } => format!("moved:{next}"),
    }
}
