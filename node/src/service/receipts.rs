//! Receipts: what makes a printed proof (P1) a transparent one (P2) without signing it again. The proof's
//! place in the log is shown under a checkpoint that the witnesses cosigned, or, where the roster sets none,
//! under the newest one.

use serde_json::{Value, json};
use yunling_protocol::key::Role;
use yunling_protocol::log::cosignature::COSIGNATURE_BYTES;
use yunling_protocol::log::rows;
use yunling_protocol::log::{Checkpoint, Note};
use yunling_protocol::proof;
use yunling_protocol::proof::receipt::{Inclusion, Receipt};
use yunling_protocol::store::{Read as _, Table};

use super::{Node, Refusal};
use crate::log::LogError;

impl Node {
    /// The proof with its receipt.
    pub fn receipt(&self, request: &Value) -> Result<Value, Refusal> {
        let text = request.get("proof").and_then(Value::as_str).unwrap_or_default().trim();
        let id = proof::logged_id(text).map_err(|why| Refusal::new(why.code()))?;
        let unlogged = || Refusal::new("proof-not-logged-yet");
        let place = self.place(&id.0)?.ok_or_else(unlogged)?;
        let quorum = self.members().quorum(&self.home.name);
        let quorum = quorum.map_err(|e| Refusal::new(e.code()).with("cause", e))?;
        let note = match &quorum {
            None => None,
            // The first one that covers it: its path is the shortest, its time the earliest.
            Some(_) => Some(self.cosigned_over(place.generation, place.index)?.ok_or_else(unlogged)?),
        };
        let (_, inclusion) = self.inclusion(&id.0, note.as_deref())?.ok_or_else(unlogged)?;
        let (note, head) = Checkpoint::parse(inclusion.note.as_bytes()).map_err(LogError::from)?;
        let cosignatures = quorum.map(|quorum| cosignatures(&note, &quorum)).unwrap_or_default();
        let witnesses = cosignatures.len();
        let signer = self.signer_of(Role::Log)?;
        let receipt = Receipt::make(
            &*signer,
            Inclusion { head: &head, index: inclusion.index, path: inclusion.path, cosignatures },
        )
        .map_err(|e| Refusal::new("sign-device").with("cause", e))?;
        let text = proof::with_receipts(text, &[receipt]).map_err(|why| Refusal::new(why.code()))?;
        Ok(json!({
            "proof": text, "chars": text.len(), "origin": head.origin, "size": head.size,
            "index": inclusion.index, "witnesses": witnesses,
        }))
    }

    /// The first checkpoint with its quorum that covers an index.
    pub(super) fn cosigned_over(&self, generation: u64, index: u64) -> Result<Option<String>, Refusal> {
        let prefix = rows::cosigned_prefix(generation);
        // A checkpoint of size n covers the indices below n.
        let after = rows::cosigned_key(generation, index).key;
        let Some((_, note)) = self.scan(Table::Log, &prefix, Some(&after), 1)?.into_iter().next() else {
            return Ok(None);
        };
        String::from_utf8(note).map(Some).map_err(|e| Refusal::new("log-damaged").with("cause", e))
    }
}

/// The cosignatures of the policy's witnesses, no more than it needs.
fn cosignatures(note: &Note, quorum: &yunling_protocol::log::Quorum) -> Vec<[u8; COSIGNATURE_BYTES]> {
    let known = |name: &str| quorum.witnesses().iter().any(|w| w.node.as_str() == name);
    let lines = note.signatures.iter().filter(|line| known(&line.name));
    lines.filter_map(|line| line.raw().try_into().ok()).take(quorum.threshold()).collect()
}
