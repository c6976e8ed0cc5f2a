//! Moves as operators see and steer them.

use serde::Deserialize;
use serde_json::{Value, json};
use yunling_protocol::custody::record::Loaded;
use yunling_protocol::custody::{Input, Side, Stage, Transfer, authorisation, giving, taking};
use yunling_protocol::id::TransferId;
use yunling_protocol::name::NodeName;
use yunling_protocol::statement::{Consent, ConsentGiver, Receiver};
use yunling_protocol::store::{Table, scan_all};

use super::refusal::shown;
use super::{Node, Refusal};
use crate::clock::fresh;

/// Authorisation of a move.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeRequest {
    /// Volunteer.
    pub volunteer: String,
    /// Receiving node.
    pub to: String,
    /// Whether the profile goes along.
    #[serde(default = "yes")]
    pub with_profile: bool,
    /// `volunteer`, `guardian` or `unit`.
    #[serde(default)]
    pub given_by: Option<String>,
}

fn yes() -> bool {
    true
}

/// A step on a transfer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    /// Transfer id.
    pub transfer: String,
    /// Reason of a refusal or cancel.
    pub reason: Option<String>,
}

/// Start of a move.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// Old custodian.
    pub from: String,
    /// Code of the slip.
    pub code: String,
}

/// What an operator may do to a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Let it go.
    Approve,
    /// Refuse it.
    Refuse,
    /// End it before the seal.
    Cancel,
    /// Go on.
    Resume,
}

/// A transfer as JSON.
pub fn view(node: &Node, t: &Transfer) -> Value {
    json!({
        "transfer": t.id.to_string(),
        "dossier": t.dossier.to_string(),
        "side": if t.side == Side::Giving { "giving" } else { "taking" },
        "peer": t.peer.to_string(),
        "stage": t.stage.word(),
        "have": t.have,
        "count": t.count,
        "minutes": t.minutes.0,
        "hours": t.minutes.hours_text(),
        "epoch": t.epoch,
        "reason": t.reason,
        "started": t.started.to_string(),
        "expires": t.expires.to_string(),
        "standing": node.standing(&t.peer).0,
        // Between bilateral peers no witness cosigns the seal (DESIGN §6): said in every result.
        "quorum": node.quorum_of(t),
        "waits_for": node.waits_for(t),
        "unasked": t.unasked.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

pub(crate) fn node_name(text: &str) -> Result<NodeName, Refusal> {
    NodeName::parse(text.trim()).map_err(|_| Refusal::new("node-name").with("value", shown(text)))
}

impl Node {
    /// Witnesses that must cosign the log of the office that gives the dossier away.
    fn quorum_of(&self, t: &Transfer) -> usize {
        let giver = if t.side == Side::Giving { &self.home.name } else { &t.peer };
        self.members().quorum(giver).ok().flatten().map_or(0, |quorum| quorum.threshold())
    }

    /// Whose word a sealed transfer waits for.
    fn waits_for(&self, t: &Transfer) -> Option<&'static str> {
        let sealed = t.side == Side::Giving && t.stage == Stage::Sealed && self.quorum_of(t) > 0;
        let waits = sealed && giving::inclusion(self, t).is_ok_and(|inclusion| inclusion.is_none());
        waits.then_some("witnesses")
    }

    /// Records the consent of PIPL Art. 23 and issues the slip.
    pub fn authorize(&self, request: &AuthorizeRequest) -> Result<Value, Refusal> {
        let dossier = self.find(&request.volunteer)?;
        let to = node_name(&request.to)?;
        let members = self.members();
        let member = members
            .get(&to)
            .filter(|m| m.removed_at.is_none())
            .ok_or_else(|| Refusal::new("peer-unknown").with("name", &to))?;
        let given_by = match request.given_by.as_deref() {
            None | Some("volunteer") => ConsentGiver::Volunteer,
            Some("guardian") => ConsentGiver::Guardian,
            Some("unit") => ConsentGiver::Unit,
            Some(other) => return Err(Refusal::new("given-by").with("value", shown(other))),
        };
        let card = &member.card.card;
        let contact = if card.contact.is_empty() { card.title_zh.clone() } else { card.contact.clone() };
        let mut data_kinds = vec!["服务信息".to_owned(), "培训信息".to_owned(), "表彰奖励信息".to_owned()];
        if request.with_profile {
            data_kinds.insert(0, "身份信息".to_owned());
        }
        let consent = Consent {
            purpose: "志愿服务记录异地转移和接续".into(),
            basis: "个人信息保护法第二十三条、第四十五条".into(),
            receiver: Some(Receiver { node: to.clone(), name: card.title_zh.clone(), contact }),
            method: "节点间加密传输".into(),
            data_kinds,
            given_by,
            expires: None,
        };
        let mut fresh = fresh();
        let (code, expires) = self
            .act(|office| {
                let slip = giving::authorise(
                    office,
                    self,
                    &mut fresh,
                    dossier,
                    &to,
                    consent.clone(),
                    request.with_profile,
                )?;
                Ok((slip.batch, (slip.code, slip.expires)))
            })
            .map_err(|e| self.about_dossier(e.about("name", &to), dossier))?;
        tracing::info!(%dossier, peer = %to, "transfer authorised");
        Ok(json!({
            "code": code, "expires": expires.to_string(), "to": to.to_string(), "dossier": dossier.to_string(),
        }))
    }

    /// Asks the old custodian for the dossier on the slip.
    pub fn start_transfer(&self, request: &StartRequest) -> Result<Value, Refusal> {
        let from = node_name(&request.from)?;
        let mut fresh = fresh();
        let transfer = self.act(|office| taking::start(office, self, &mut fresh, &from, &request.code));
        let transfer = transfer.map_err(|e| {
            let e = e.about("name", &from);
            // The code itself is a secret; the dossier on it is not.
            let slip = authorisation::parse_code(&request.code);
            slip.map_or(e.clone(), |(dossier, _)| e.about("dossier", dossier))
        })?;
        tracing::info!(transfer = %transfer.id, dossier = %transfer.dossier, peer = %from, "transfer asked for");
        self.wake.notify_one();
        Ok(view(self, &transfer))
    }

    /// All transfers.
    pub fn transfers(&self) -> Result<Vec<Transfer>, Refusal> {
        let mut out = Vec::new();
        scan_all::<Refusal>(self, Table::Transfer, b"", |_, bytes| {
            out.push(Transfer::decode(&bytes).map_err(|e| Refusal::new("store-damaged").with("cause", &e))?);
            Ok(())
        })?;
        Ok(out)
    }

    /// One transfer.
    pub fn transfer(&self, id: TransferId) -> Result<Loaded, Refusal> {
        Loaded::by_id(self, id)?.ok_or_else(|| Refusal::new("transfer-unknown").with("transfer", id))
    }

    /// A transfer by its text.
    pub fn transfer_by_text(&self, text: &str) -> Result<Loaded, Refusal> {
        let id = TransferId::parse(text)
            .map_err(|e| Refusal::new("transfer-id").with("value", shown(text)).with("cause", &e))?;
        self.transfer(id)
    }

    /// Moves a transfer on by a person's act.
    pub fn step_transfer(&self, request: &TransferRequest, step: Step) -> Result<Value, Refusal> {
        let id = self.transfer_by_text(&request.transfer)?.transfer.id;
        let reason = request.reason.clone().unwrap_or_else(|| "operator".into());
        let input = match step {
            Step::Approve => Input::Approve,
            Step::Refuse => Input::Refuse { reason },
            Step::Cancel => Input::Cancel { reason },
            Step::Resume => Input::Resume,
        };
        self.refuse_closed()?;
        self.advance_transfer(id, &input).map_err(|e| e.about("transfer", id))?;
        if step == Step::Resume {
            self.retry_now();
        }
        Ok(view(self, &self.transfer(id)?.transfer))
    }

    /// Feeds one input to a transfer, whichever side this node is.
    pub(crate) fn advance_transfer(&self, id: TransferId, input: &Input) -> Result<(), Refusal> {
        let mut fresh = fresh();
        self.act_decision(|office| {
            let loaded = Loaded::by_id(self, id)?
                .ok_or(yunling_protocol::office::DecideError::Rule("transfer-unknown"))?;
            match loaded.transfer.side {
                Side::Giving => giving::advance(office, self, self.vault(), &mut fresh, loaded, input),
                Side::Taking if loaded.transfer.stage == yunling_protocol::custody::Stage::Completed => {
                    // Done was sent with the release; a resume only tries the outbox again.
                    Ok(yunling_protocol::office::Decision::answer(yunling_protocol::message::Answer::Ok))
                }
                Side::Taking => taking::advance(office, loaded, input),
            }
        })?;
        self.wake.notify_one();
        Ok(())
    }
}
