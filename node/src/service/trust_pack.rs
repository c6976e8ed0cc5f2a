//! The trust pack of this node: what it has of rosters, status lists, checkpoints and cards, in one
//! file; and the file of another, from which it takes the lists that are newer.

use std::sync::Arc;

use serde_json::{Value, json};
use yunling_protocol::log::witness::Seen;
use yunling_protocol::log::{Checkpoint, rows};
use yunling_protocol::name::NodeName;
use yunling_protocol::status::stored;
use yunling_protocol::store::{Table, scan_all};
use yunling_protocol::trust_pack::{CHECKPOINTS_MAX, PACK_BYTES_MAX, TrustPack};

use super::{Node, Refusal};

/// Largest request body that brings a pack: Base64 and the JSON around it.
pub(crate) const BODY_BYTES_MAX: usize = PACK_BYTES_MAX / 3 * 4 + 1024;

impl Node {
    /// The newest checkpoint known of each log: of this node's with its witnesses, of others as it was seen here.
    fn newest_checkpoints(&self) -> Result<Vec<String>, Refusal> {
        let mut newest = std::collections::BTreeMap::<String, (u64, String)>::new();
        let mut keep = |note: String| {
            if let Ok((_, checkpoint)) = Checkpoint::parse(note.as_bytes()) {
                let known = newest.entry(checkpoint.origin).or_default();
                if checkpoint.size >= known.0 {
                    *known = (checkpoint.size, note);
                }
            }
        };
        // The own ones grow by one a minute for ever: only the last is read.
        if let Some((_, note)) = self.cosigned(self.life().generation)? {
            keep(note);
        }
        scan_all::<Refusal>(self, Table::Log, rows::ALL_FOREIGN_PREFIX, |_, note| {
            if let Ok(note) = String::from_utf8(note) {
                keep(note);
            }
            Ok(())
        })?;
        scan_all::<Refusal>(self, Table::Log, rows::WITNESSED_PREFIX, |_, seen| {
            if let Ok(seen) = Seen::decode(&seen) {
                keep(seen.note);
            }
            Ok(())
        })?;
        Ok(newest.into_values().map(|(_, note)| note).take(CHECKPOINTS_MAX).collect())
    }

    /// The pack as it is now. Rosters and checkpoints are put in where a node has them.
    pub(super) fn trust_pack(&self) -> Result<TrustPack, Refusal> {
        let mut pack = TrustPack::new(self.home.clock.now(), self.home.name.clone());
        for list in self.known_lists()? {
            pack.lists.extend(stored::token_bytes(self, &list)?);
        }
        if let Some(roster) = self.roster() {
            pack.rosters = roster.versions().iter().map(|adopted| adopted.signed.bytes()).collect();
        }
        pack.checkpoints = self.newest_checkpoints()?;
        pack.cards = self.members().iter().map(|m| m.card.bytes().to_vec()).collect();
        Ok(pack)
    }

    /// Makes the pack for a file, after asking every peer for lists that are newer.
    pub async fn export_trust_pack(self: &Arc<Self>) -> Result<Value, Refusal> {
        let members = self.members();
        let names: Vec<NodeName> =
            members.iter().filter(|m| m.removed_at.is_none()).map(|m| m.card.card.name.clone()).collect();
        let asks = names.iter().map(|name| self.fetch_of(name));
        futures::future::join_all(asks).await;
        let node = self.clone();
        let made = tokio::task::spawn_blocking(move || -> Result<Value, Refusal> {
            node.publish_lists()?;
            let pack = node.trust_pack()?;
            let bytes = pack.encode();
            if bytes.len() > PACK_BYTES_MAX {
                return Err(Refusal::new("trust-pack-large").with("max", PACK_BYTES_MAX));
            }
            let mut value = contents(&pack);
            value["file"] = data_encoding::BASE64.encode(&bytes).into();
            value["bytes"] = bytes.len().into();
            Ok(value)
        });
        made.await.map_err(|e| Refusal::new("internal").with("cause", e))?
    }

    /// Takes the lists of a pack that are newer than those here. Cards and rosters of a file accept
    /// nobody: that is an act of its own.
    pub fn import_trust_pack(&self, request: &Value) -> Result<Value, Refusal> {
        let text = request.get("file").and_then(Value::as_str).unwrap_or_default();
        let wrong = |cause: String| Refusal::new("trust-pack-encoding").with("cause", cause);
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).map_err(|e| wrong(e.to_string()))?;
        let pack = TrustPack::decode(&bytes).map_err(|e| wrong(e.to_string()))?;
        let (mut taken, mut known, mut refused) = (0, 0, std::collections::BTreeMap::<String, u64>::new());
        for list in &pack.lists {
            match self.take_list(list) {
                Ok(true) => taken += 1,
                Ok(false) => known += 1,
                Err(refusal) if refusal.code.starts_with("status-") => {
                    *refused.entry(refusal.code).or_default() += 1;
                }
                Err(refusal) => return Err(refusal),
            }
        }
        self.status_wake.notify_one();
        let mut value = contents(&pack);
        value["taken"] = taken.into();
        value["known"] = known.into();
        value["refused"] = json!(refused);
        Ok(value)
    }
}

/// What is in a pack, for people: by whom and when, and the date of each list.
fn contents(pack: &TrustPack) -> Value {
    let lists = pack.tokens().flatten().map(|token| {
        let heading = &token.heading;
        json!({
            "issuer": heading.issuer.to_string(), "uri": heading.uri, "made": heading.issued.to_string(),
            "expires": heading.expires.to_string(),
        })
    });
    json!({
        "by": pack.made_by.to_string(), "made": pack.made_at.to_string(),
        "rosters": pack.rosters.len(), "checkpoints": pack.checkpoints.len(), "cards": pack.cards.len(),
        "lists": lists.collect::<Vec<_>>(),
    })
}
