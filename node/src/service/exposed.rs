//! Nodes that evidence exposes: nothing that changes records is taken from them or given to them until an
//! operator lifts it by name, with a reason, or the stewards' roster decides.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use yunling_protocol::key::Role;
use yunling_protocol::ledger::set;
use yunling_protocol::log::evidence::{EVIDENCE_BYTES_MAX, Evidence};
use yunling_protocol::log::rows;
use yunling_protocol::message::Content;
use yunling_protocol::name::NodeName;
use yunling_protocol::store::{Batch, Read as _, Table, scan_all};

use super::transfers::node_name;
use super::{Node, Refusal};

/// Longest reason of a lift, bytes: a sentence.
const REASON_BYTES_MAX: usize = 512;
/// Most evidence kept: enough to convict everybody many times; more would fill the store of who is shown it.
const EVIDENCE_MAX: usize = 1_000;

impl Node {
    /// Keeps evidence that holds and says so; what it exposes is shut out from now on.
    pub(crate) fn expose(&self, evidence: &Evidence) -> Result<NodeName, Refusal> {
        // A thief of keys can make evidence: those known to be in other hands do not count.
        let (members, now) = (self.members(), self.home.clock.now());
        let keys = |node: &NodeName, role: Role| members.keys_ever(node, role, now).cloned().collect();
        let proved = evidence.verify(keys).map_err(|e| Refusal::new(e.code()).with("cause", e))?;
        let node = proved.node().clone();
        let bytes = evidence.encode();
        let key = rows::evidence_key(&Sha256::digest(&bytes).into());
        let known = self.get(key.table, &key.key)?.is_some();
        let kept = self.scan(Table::Log, rows::EVIDENCE_PREFIX, None, EVIDENCE_MAX)?.len();
        // A file may be larger than a row; what is too large is kept by who exported it.
        if !known && kept < EVIDENCE_MAX && bytes.len() <= yunling_protocol::store::VALUE_BYTES_MAX {
            let mut batch = Batch::default();
            set(&mut batch, key, bytes);
            self.commit(batch)?;
        }
        if !known {
            self.count("evidence");
            tracing::error!(node = %node, kind = evidence.word(), "ALARM: evidence against a node");
        }
        self.gossip.lock().unwrap_or_else(PoisonError::into_inner).fresh_evidence |= !known;
        self.load_exposed()?;
        Ok(node)
    }

    /// Reads who is exposed; at the start, and whenever that changes.
    pub(super) fn load_exposed(&self) -> Result<(), Refusal> {
        // A thief of keys can make evidence: those known to be in other hands do not count.
        let (members, now) = (self.members(), self.home.clock.now());
        let keys = |node: &NodeName, role: Role| members.keys_ever(node, role, now).cloned().collect();
        let mut exposed = BTreeSet::new();
        for (_, evidence) in self.evidence()? {
            if let Ok(proved) = evidence.verify(keys) {
                let key = rows::lifted_key(proved.node());
                if self.get(key.table, &key.key)?.is_none() {
                    exposed.insert(proved.node().clone());
                }
            }
        }
        *self.exposed.lock().unwrap_or_else(PoisonError::into_inner) = exposed;
        Ok(())
    }

    /// Whether evidence stands against a node.
    pub fn is_exposed(&self, name: &NodeName) -> bool {
        self.exposed.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// Whether a message of an exposed node is not taken. What ends something, and what restores tell, is.
    pub(super) fn shut_out(&self, from: &NodeName, content: &Content) -> bool {
        let ends = matches!(
            content,
            Content::Cancel { .. }
                | Content::Refuse { .. }
                | Content::Done { .. }
                | Content::Recovering { .. }
                | Content::Rejoin { .. }
                | Content::Known { .. }
        );
        !ends && self.is_exposed(from)
    }

    /// Takes evidence from a file that somebody brought.
    pub fn import_evidence(&self, request: &Value) -> Result<Value, Refusal> {
        let text = request.get("file").and_then(Value::as_str).unwrap_or_default();
        let wrong = |cause: String| Refusal::new("evidence-encoding").with("cause", cause);
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).map_err(|e| wrong(e.to_string()))?;
        if bytes.len() > EVIDENCE_BYTES_MAX {
            return Err(wrong("too large".into()));
        }
        let evidence = Evidence::decode(&bytes).map_err(|e| wrong(e.to_string()))?;
        let node = self.expose(&evidence)?;
        Ok(json!({ "node": node.to_string(), "kind": evidence.word() }))
    }

    /// Lets an exposed node in again, by name and with a reason that stays.
    pub fn lift_exposed(&self, request: &Value) -> Result<Value, Refusal> {
        let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default().trim();
        let (node, reason) = (node_name(text("node"))?, text("reason"));
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(Refusal::new("evidence-reason").with("max", REASON_BYTES_MAX));
        }
        if !self.is_exposed(&node) {
            return Err(Refusal::new("evidence-none").with("node", &node));
        }
        let mut batch = Batch::default();
        let note = format!("{} {reason}", self.home.clock.now());
        set(&mut batch, rows::lifted_key(&node), note.into_bytes());
        self.commit(batch)?;
        tracing::warn!(node = %node, "evidence against a node no longer shuts it out");
        self.load_exposed()?;
        Ok(json!({ "node": node.to_string() }))
    }

    /// All evidence that this node has met.
    pub fn evidence(&self) -> Result<Vec<(String, Evidence)>, Refusal> {
        let mut found = Vec::new();
        scan_all::<Refusal>(self, Table::Log, rows::EVIDENCE_PREFIX, |key, bytes| {
            let evidence = Evidence::decode(&bytes).map_err(|e| Refusal::new(e.code()).with("cause", e))?;
            found.push((data_encoding::HEXLOWER.encode(&key[1..9.min(key.len())]), evidence));
            Ok(())
        })?;
        Ok(found)
    }
}
