//! Figures of the running office, and what waits for a person's decision.

use serde_json::{Value, json};
use yunling_protocol::custody::record::live;
use yunling_protocol::id::DossierId;
use yunling_protocol::office::DecideError;
use yunling_protocol::statement::{Body, Statement};
use yunling_protocol::store::{Table, scan_all};

use super::dossiers::when_text;
use super::refusal::shown;
use super::{Node, Refusal};

impl Node {
    /// Deliveries that wait for a person.
    pub fn held(&self) -> Result<Value, Refusal> {
        let mut held = Vec::new();
        scan_all::<Refusal>(self, Table::Held, b"", |_, bytes| {
            // An empty row marks one that a person refused.
            let Ok(statement) = Statement::parse(&bytes) else { return Ok(()) };
            if let Body::Attestation(a) = &statement.body {
                held.push(json!({
                    "dossier": statement.common.dossier.to_string(), "statement": statement.id.to_string(),
                    "issuer": statement.common.issuer.to_string(), "minutes": a.minutes.0,
                    "hours": a.minutes.hours_text(), "grade": a.grade.letter(),
                    "activity": a.activity.name, "when": when_text(a.when),
                }));
            }
            Ok(())
        })?;
        Ok(json!({ "held": held }))
    }

    /// Takes or refuses a held delivery.
    pub fn decide_held(&self, dossier: &str, statement: &str, take: bool) -> Result<Value, Refusal> {
        let dossier = DossierId::parse(dossier)
            .map_err(|e| Refusal::new("dossier-id").with("value", shown(dossier)).with("cause", &e))?;
        let statement = yunling_protocol::id::StatementId::parse(statement)
            .map_err(|e| Refusal::new("statement-id").with("value", shown(statement)).with("cause", &e))?;
        self.act(|office| {
            let batch = yunling_protocol::delivery::decide_held(office, self, dossier, statement, take)?;
            Ok::<_, DecideError>((batch, ()))
        })
        .map_err(|e| self.about_dossier(e.about("statement", statement), dossier))?;
        Ok(json!({}))
    }

    /// Figures of the node.
    pub fn status(&self) -> Result<Value, Refusal> {
        let mut volunteers = 0u64;
        scan_all::<Refusal>(self, Table::Head, b"", |_, _| {
            volunteers += 1;
            Ok(())
        })?;
        let (waiting, oldest) = self.outbox_figures()?;
        let open = live(self)?.len();
        let net = self.net();
        let counters: serde_json::Map<_, _> = self
            .counts()
            .into_iter()
            .chain(net.map(super::super::net::Net::counters).unwrap_or_default())
            .map(|(k, v)| (k.to_owned(), Value::from(v)))
            .collect();
        let peers = self.peers()?;
        let held = self.held()?["held"].as_array().map_or(0, Vec::len);
        let node = &self.home.config.node;
        let free = self.free_mib().unwrap_or_default();
        Ok(json!({
            "name": self.home.name.to_string(), "title_zh": node.title_zh, "title_en": node.title_en,
            "division": node.division, "trial": node.trial, "version": env!("CARGO_PKG_VERSION"),
            "generation": self.life().generation,
            "listen": net.map(|n| n.listen_addresses().iter().map(ToString::to_string).collect::<Vec<_>>()),
            "reach": self.reachability(), "peers": peers.len(), "connected": peers.iter().filter(|p| p.connected).count(),
            "recovery": self.recovery()?, "roster": self.roster_view(),
            "log": self.log_figures()?, "places": self.proven_figures()?, "witnesses": self.witness_figures()?,
            "volunteers": volunteers, "outbox_waiting": waiting, "outbox_oldest_seconds": oldest,
            "transfers_open": open, "held": held, "free_mib": free, "store": "good", "counters": counters,
            "backup": crate::backup::state::view(&self.home),
        }))
    }
}
