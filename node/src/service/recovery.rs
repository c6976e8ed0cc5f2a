//! The fence of a restored node: asks the peers, shows who has answered, opens, or is lifted by an
//! operator. The rules are `yunling_protocol::recovery`.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};
use yunling_protocol::id::DossierId;
use yunling_protocol::log::rows;
use yunling_protocol::message::{Content, Frame, Life, Message};
use yunling_protocol::name::NodeName;
use yunling_protocol::recovery::fence::{self, Fence};
use yunling_protocol::recovery::rejoin::{self, Standing};
use yunling_protocol::recovery::{ask_all, learn, rebuild};
use yunling_protocol::store::{Expect, Read as _, Table};

use super::{Node, Refusal};
use crate::clock::fresh;

/// Most dossiers with holes that are named; they are all counted.
const HOLED_SHOWN_MAX: usize = 100;

/// Entries without what they name that are counted; more are shown as so many.
const LOST_COUNTED_MAX: usize = 4_000;

/// What `recovery lift` asks.
#[derive(Debug, Deserialize)]
pub struct LiftRequest {
    /// Peers that cannot be heard.
    pub without: Vec<String>,
    /// Why, for the record.
    pub reason: String,
    /// A dossier whose seal is nowhere, to be opened again; else the fence.
    #[serde(default)]
    pub dossier: Option<String>,
}

/// The message in a frame by which a restored peer asks what is known of it.
pub(super) fn asks(frame: &[u8]) -> Option<Vec<u8>> {
    let Ok(Frame::Message(bytes)) = Frame::decode(frame) else { return None };
    let message = Message::parse_own(&bytes).ok()?;
    matches!(message.content, Content::Recovering { .. }).then_some(bytes)
}

/// The witnesses as `recovery show` and `status` have them: under each rule how many answers are wanted, who
/// gave one, and which logs are still handed over.
fn witnesses_view(standing: &Standing) -> Value {
    let text = |list: &[NodeName]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let rules = standing.rules.iter().map(|rule| {
        json!({ "of": rule.of, "need": rule.need, "heard": text(&rule.heard), "waits": text(&rule.waits) })
    });
    let logs = standing.logs.iter();
    let logs =
        logs.map(|log| json!({ "origin": log.origin.to_string(), "have": log.have, "size": log.size }));
    json!({
        "rules": rules.collect::<Vec<_>>(), "logs": logs.collect::<Vec<_>>(), "forked": standing.forked(),
    })
}

impl Node {
    /// Whether nothing may be appended until the peers have told what they know.
    pub fn fenced(&self) -> bool {
        self.fenced.load(Ordering::Acquire)
    }

    /// Refuses what a fenced node must not do, naming whom it waits for.
    pub(crate) fn refuse_fenced(&self) -> Result<(), Refusal> {
        if !self.fenced() {
            return Ok(());
        }
        let mut missing = self.witnesses_missing().unwrap_or_default();
        if missing.is_empty() {
            missing = self.fence_missing().unwrap_or_default();
        }
        let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Err(Refusal::new("fenced").with("missing", names.join(" ")))
    }

    fn fence_missing(&self) -> Result<Vec<NodeName>, Refusal> {
        let Some((fence, _)) = Fence::load(self)? else { return Ok(Vec::new()) };
        Ok(self.decide(|office| fence.missing(office.members, office.me)))
    }

    /// Reads the fence again after something may have ended it.
    pub(crate) fn look_at_fence(&self) -> Result<(), Refusal> {
        if self.fenced() && Fence::load(self)?.is_none() {
            self.fenced.store(false, Ordering::Release);
            tracing::info!("the fence is open: what was forgotten is known");
            self.log_wake.notify_one();
            self.retry_now();
        }
        Ok(())
    }

    /// Asks every peer that has not answered, and opens when nobody is left to ask.
    pub(crate) fn ask_peers(&self) -> Result<(), Refusal> {
        if !self.fenced() {
            return self.ask_on();
        }
        let mut fresh = fresh();
        self.act(|office| {
            let mut batch = learn::settle(office, self, self.vault(), &mut fresh)?;
            if batch.put.is_empty()
                && let Some((fence, stored)) = Fence::load(self)?
            {
                batch = ask_all(office, self, &fence)?;
                batch.expect.push(Expect::Equals(fence::fence_key(), stored));
            }
            Ok((batch, ()))
        })?;
        self.look_at_fence()?;
        self.wake.notify_one();
        Ok(())
    }

    /// Behind a fence that the witnesses opened, the peers that have not told everything are asked on.
    fn ask_on(&self) -> Result<(), Refusal> {
        if Fence::load_asking(self)?.is_none() {
            return Ok(());
        }
        let mut fresh = fresh();
        self.act(|office| {
            let mut batch = learn::settle(office, self, self.vault(), &mut fresh)?;
            if batch.put.is_empty()
                && let Some((asking, stored)) = Fence::load_asking(self)?
            {
                batch = ask_all(office, self, &asking)?;
                batch.expect.push(Expect::Equals(fence::asking_key(), stored));
            }
            Ok((batch, ()))
        })?;
        self.wake.notify_one();
        Ok(())
    }

    /// A peer has seen another life of this node. While fenced a higher one is taken; a node that
    /// works must not: then two of it run, and a person has to look.
    pub(crate) fn meet_stale(&self, peer: &NodeName, seen: Life) -> Result<(), Refusal> {
        if !self.fenced() {
            tracing::error!(
                peer = %peer, generation = seen.generation,
                "a peer has seen a newer life of this node: is a restored copy running elsewhere?"
            );
            self.count("life_superseded");
            return Ok(());
        }
        let mut fresh = fresh();
        let life = self.act(|office| {
            let (batch, life) = yunling_protocol::recovery::raise(office, self, seen, &mut fresh)?;
            Ok((batch, life))
        })?;
        *self.life.write().unwrap_or_else(PoisonError::into_inner) = life;
        tracing::info!(generation = life.generation, "a life above the one a peer has seen");
        self.wake.notify_one();
        Ok(())
    }

    /// Lifts the fence on the word of an operator, who names every peer that is missing.
    pub fn lift_fence(&self, request: &LiftRequest) -> Result<Value, Refusal> {
        let parse = |text: &String| {
            NodeName::parse(text)
                .map_err(|_| Refusal::new("node-name").with("value", super::refusal::shown(text)))
        };
        let without: Vec<NodeName> = request.without.iter().map(parse).collect::<Result<_, _>>()?;
        if let Some(dossier) = &request.dossier {
            return self.reopen(dossier, &without, &request.reason);
        }
        let missing = self.fence_missing()?;
        let mut fresh = fresh();
        let act =
            self.act(|office| fence::lift(office, self, self.vault(), &mut fresh, &without, &request.reason));
        let act = act.map_err(|e| {
            let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
            e.about("missing", names.join(" ")).about("max", fence::REASON_BYTES_MAX)
        })?;
        tracing::warn!(
            missing = %missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            "the fence was lifted by an operator"
        );
        self.look_at_fence()?;
        Ok(json!({
            "lifted": true,
            "missing": missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "act": BASE64URL_NOPAD.encode(&act),
        }))
    }

    fn reopen(&self, dossier: &str, without: &[NodeName], reason: &str) -> Result<Value, Refusal> {
        let id = DossierId::parse(dossier).map_err(|e| {
            Refusal::new("dossier-id").with("value", super::refusal::shown(dossier)).with("cause", e)
        })?;
        let act = self.act(|office| rejoin::reopen(office, self, id, without, reason));
        let missing = self.still_asked()?.join(" ");
        let act = act.map_err(|e| {
            e.about("dossier", id).about("missing", &missing).about("max", fence::REASON_BYTES_MAX)
        })?;
        tracing::warn!(dossier = %id, missing, "an operator opened a dossier whose seal is not found");
        Ok(json!({ "lifted": true, "missing": self.still_asked()?, "act": BASE64URL_NOPAD.encode(&act) }))
    }

    /// Peers that are asked on behind an open fence.
    fn still_asked(&self) -> Result<Vec<String>, Refusal> {
        let Some((asking, _)) = Fence::load_asking(self)? else { return Ok(Vec::new()) };
        let missing = self.decide(|office| asking.missing(office.members, office.me));
        Ok(missing.iter().map(ToString::to_string).collect())
    }

    /// The fence and what the restore cost, for `recovery show` and `status`.
    pub fn recovery(&self) -> Result<Value, Refusal> {
        let losses = learn::losses(self, &self.home.name)?;
        let holed = rebuild::holed(self)?;
        let missing: u64 = holed.iter().map(|one| one.missing).sum();
        let dossiers: Vec<String> =
            holed.iter().take(HOLED_SHOWN_MAX).map(|one| one.dossier.to_string()).collect();
        let double = learn::double_seals(self)?.len();
        let life = self.life();
        let lifted = fence::lifted_key(life);
        let lifted = self.get(lifted.table, &lifted.key)?.is_some();
        let mut view = json!({
            "fenced": self.fenced(), "generation": life.generation, "lifted": lifted,
            "lost_entries": losses.entries, "lost_dossiers": losses.dossiers, "double_seals": double,
            "holed_dossiers": holed.len(), "missing_statements": missing, "holed": dossiers,
        });
        let shut: Vec<String> = rejoin::closed(self)?.iter().map(|(id, _)| id.to_string()).collect();
        view["closed_dossiers"] = json!(shut.len());
        view["closed"] = json!(&shut[..shut.len().min(HOLED_SHOWN_MAX)]);
        view["lost_logged"] = json!(self.scan(Table::Log, rows::LOST_PREFIX, None, LOST_COUNTED_MAX)?.len());
        if let Some(standing) = self.witness_standing()? {
            view["witnesses"] = witnesses_view(&standing);
        }
        view["asking"] = json!(self.still_asked()?);
        if let Some((fence, _)) = Fence::load(self)? {
            let text = |list: &[NodeName]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            view["made_at"] = json!(yunling_protocol::day::UnixTime(fence.made_at.0).0);
            view["heard"] = json!(text(&fence.heard));
            view["missing"] = json!(text(&self.fence_missing()?));
            view["unknown"] = json!(text(
                &fence.new_peers.iter().filter(|n| !self.members().is_active(n)).cloned().collect::<Vec<_>>()
            ));
        }
        Ok(view)
    }
}
