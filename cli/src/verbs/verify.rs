//! `proof verify`: one word and its reason, from the proof, node cards and trust packs alone. No node and
//! no network, unless `--ask` lets the running node fetch the issuer's newest list.
//!
//! The word is never a bare tick: it says as of when, the revocation status with its date or that it is
//! unknown, and that the signature is technical. Exit code 0 valid, 1 invalid, 2 cannot tell.

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use yunling_protocol::key::Role;
use yunling_protocol::log::policy::Witness;
use yunling_protocol::log::{Origin, Quorum};
use yunling_protocol::member::Members;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::{
    Amount, Claims, LogTrust, PREFIX, ROSTER_STALE_SECONDS, StatusRules, TOKEN_BYTES_MAX, Verdict, Verified,
    verify_logged,
};
use yunling_protocol::roster::Freshness;
use yunling_protocol::status::LIST_SECONDS;
use yunling_protocol::trust_pack::TrustPack;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::show::text;
use crate::trust::Trust;
use crate::words::{Fields, Lang, fields};

/// Largest file taken for a proof: more than the longest text, less than a mistake.
pub(crate) const PROOF_BYTES_MAX: u64 = 8 * TOKEN_BYTES_MAX as u64;
/// Longest wait for the node's questions to the issuer.
const ASK_WITHIN: Duration = Duration::from_secs(120);
const DAY_SECONDS: i64 = 86_400;

/// Options of `proof verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The text, a file of it, or `-`.
    #[arg(value_name = "TEXT|FILE")]
    proof: String,
    /// Node cards and trust packs.
    #[arg(long, value_name = "FILE", required_unless_present = "ask")]
    trust: Vec<PathBuf>,
    /// Ask the running node.
    #[arg(long)]
    ask: bool,
    /// Take only proofs with a receipt.
    #[arg(long)]
    logged: bool,
    /// Oldest list that counts.
    #[arg(long, value_name = "DAYS", default_value_t = (LIST_SECONDS / DAY_SECONDS) as u32)]
    stale_days: u32,
    /// Longest time since the roster expired.
    #[arg(long, value_name = "DAYS", default_value_t = (ROSTER_STALE_SECONDS / DAY_SECONDS) as u32)]
    roster_stale_days: u32,
}

/// Where the record of a superseded proof went, as its issuer says.
struct Moved {
    at: String,
    to: NodeName,
}

/// Verifies.
pub(crate) async fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let mut trust = Trust::read(&args.trust)?;
    let given = if args.proof.starts_with(PREFIX) {
        args.proof.clone()
    } else {
        files::read_text(Path::new(&args.proof), PROOF_BYTES_MAX)?
    };
    let mut moved = None;
    if args.ask {
        let body = json!({ "proof": given.trim() });
        let answer = context.control()?.call_within("proof/ask", body, ASK_WITHIN).await?;
        let broken =
            |cause: String| Failure::new("control-broken").with("cause", cause).exit(Exit::CannotTell);
        let pack = BASE64.decode(text(&answer, "pack").as_bytes()).map_err(|e| broken(e.to_string()))?;
        let pack = TrustPack::decode(&pack).map_err(|e| broken(e.to_string()))?;
        trust.add_pack(pack, "proof/ask")?;
        moved = answer
            .get("moved")
            .filter(|m| !m.is_null())
            .and_then(|m| Some(Moved { at: text(m, "at"), to: NodeName::parse(&text(m, "to")).ok()? }));
    }
    let now = trust.settle();
    let rules = StatusRules {
        stale_seconds: Some(i64::from(args.stale_days) * DAY_SECONDS),
        roster_stale_seconds: Some(i64::from(args.roster_stale_days) * DAY_SECONDS),
    };
    let members = &trust.members;
    let keys = |node: &NodeName| members.keys_known(node, Role::Log).cloned().collect();
    // A policy that cannot be read is one that nobody meets.
    let quorum = |origin: &Origin| match members.quorum(&origin.node) {
        Ok(quorum) => quorum,
        Err(_) => unmet(&origin.node),
    };
    let logs = LogTrust { keys: &keys, quorum: &quorum, required: args.logged };
    let verified = verify_logged(&given, members, &trust.lists, &rules, &logs, now);
    let shown = Shown { out: context.out, verified: &verified, trust: &trust, moved: moved.as_ref() };
    context.out.object(&shown.as_json());
    shown.show();
    Ok(match verified.verdict() {
        Verdict::Valid => Exit::Yes,
        Verdict::Invalid => Exit::No,
        Verdict::CannotTell => Exit::CannotTell,
    })
}

/// A quorum of one witness without a key.
fn unmet(owner: &NodeName) -> Option<Quorum> {
    let node = ["nobody", "none"].iter().find(|name| **name != owner.as_str())?;
    let witness = Witness::new(NodeName::parse(node).ok()?, vec![]);
    Quorum::new("unreadable", owner, vec![witness], 1).ok()
}

fn title(out: &Output, trust: &Members, name: &NodeName) -> String {
    let card = trust.get(name).map(|m| &m.card.card);
    let title = card.map(|c| if out.words.lang == Lang::Zh { &c.title_zh } else { &c.title_en });
    title.filter(|t| !t.is_empty()).map_or_else(|| name.to_string(), Clone::clone)
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::Invalid => "invalid",
        Verdict::CannotTell => "cannot-tell",
    }
}

fn amount(claims: &Claims) -> (&'static str, Minutes) {
    match claims.amount {
        Amount::AtLeast(minutes) => ("at-least", minutes),
        Amount::Exact(minutes) => ("exact", minutes),
    }
}

/// A verdict with what it rests on.
struct Shown<'a> {
    out: &'a Output,
    verified: &'a Verified,
    trust: &'a Trust,
    moved: Option<&'a Moved>,
}

impl Shown<'_> {
    fn title(&self, name: &NodeName) -> String {
        title(self.out, &self.trust.members, name)
    }

    /// The words of the reason with what the proof itself, the list and the issuer say.
    fn reason(&self) -> String {
        let mut known = Fields::new();
        if let Some(c) = &self.verified.claims {
            known.extend(fields([
                ("issuer", self.title(&c.issuer)),
                ("issued", c.issued.day().to_string()),
                ("expires", c.expires.day().to_string()),
            ]));
        }
        known.extend(self.verified.status.map(|seen| ("status_at".to_owned(), seen.at.to_string())));
        if let Some(moved) = self.moved {
            known.extend(fields([("moved_at", moved.at.clone()), ("moved_to", self.title(&moved.to))]));
        }
        known.extend(self.expired().map(|days| ("days".to_owned(), days.to_string())));
        self.out.words.error(self.verified.why.code(), &known)
    }

    /// Full days since the roster expired that lists the issuer.
    fn expired(&self) -> Option<i64> {
        match self.verified.roster? {
            Freshness::Expired { days } => Some(days),
            _ => None,
        }
    }

    fn status(&self) -> &'static str {
        self.verified.status.map_or("unknown", |seen| seen.status.word())
    }

    fn as_json(&self) -> Value {
        let packs = self.trust.packs.iter();
        let packs = packs.map(|(by, at)| json!({ "by": by.to_string(), "made": at.to_string() }));
        let mut value = json!({
            "verdict": word(self.verified.verdict()), "why": self.verified.why.code(),
            "message": self.reason(), "status": self.status(),
            "status_at": self.verified.status.map(|seen| seen.at.to_string()),
            "packs": packs.collect::<Vec<_>>(), "lists_refused": self.trust.refused,
            "logged": self.verified.logged.as_ref().map(|logged| json!({
                "origin": logged.origin.to_string(), "size": logged.size, "index": logged.index,
                "witnesses": logged.witnessed.as_ref().map(|w| w.by.len()),
                "at": logged.time().map(|at| at.to_string()),
            })),
            "roster": self.verified.roster.map(|roster| json!({
                "state": roster.word(), "days_left": roster.days_left(),
            })),
            "moved": self.moved.map(|m| json!({
                "at": m.at, "to": m.to.to_string(), "title": self.title(&m.to),
            })),
        });
        let Some(claims) = &self.verified.claims else { return value };
        let (kind, minutes) = amount(claims);
        let recorders = claims.recorders.iter().map(|(node, minutes)| {
            json!({ "node": node.to_string(), "title": self.title(node), "minutes": minutes.map(|m| m.0) })
        });
        let more = json!({
            "issuer": claims.issuer.to_string(), "issuer_title": self.title(&claims.issuer),
            "issued": claims.issued.day().to_string(), "expires": claims.expires.day().to_string(),
            "amount": kind, "minutes": minutes.0, "hours": minutes.hours_text(),
            "from": claims.days.map(|(first, _)| first.to_string()),
            "to": claims.days.map(|(_, last)| last.to_string()),
            "name": claims.full_name, "number": claims.number, "epoch": claims.epoch,
            "recorders": recorders.collect::<Vec<_>>(), "trial": claims.trial, "signature": "technical",
        });
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        value
    }

    fn show(&self) {
        let out = self.out;
        let verdict = word(self.verified.verdict());
        let claims = self.verified.claims.as_ref();
        let issued = claims.map(|c| c.issued.day().to_string()).unwrap_or_default();
        let reason = self.reason();
        out.say(&format!("verify-{verdict}"), &fields([("reason", reason.as_str()), ("issued", &issued)]));
        if let Some(claims) = claims {
            show_claims(out, claims, &self.trust.members);
            let seen = self.verified.status.map(|seen| seen.at.to_string()).unwrap_or_default();
            out.pairs(&[("status", out.words.of("status", self.status())), ("status-at", seen)]);
            if let Some(logged) = &self.verified.logged {
                let witnesses = logged.witnessed.as_ref().map_or(0, |w| w.by.len());
                let at = logged.time().map(|at| at.to_string()).unwrap_or_default();
                let values = fields([
                    ("origin", logged.origin.to_string()),
                    ("size", logged.size.to_string()),
                    ("witnesses", witnesses.to_string()),
                    ("at", at),
                ]);
                out.say(if witnesses > 0 { "verify-witnessed" } else { "verify-logged" }, &values);
            }
            // Also with a proof that is valid: the roster may have changed since.
            if let Some(days) = self.expired() {
                out.say("verify-roster-expired", &fields([("days", days.to_string())]));
            }
            out.say("verify-signature", &Fields::new());
        }
        for (by, made) in &self.trust.packs {
            out.say("verify-pack", &fields([("by", self.title(by)), ("made", made.to_string())]));
        }
        if self.trust.refused > 0 {
            out.say("verify-lists-refused", &fields([("count", self.trust.refused)]));
        }
    }
}

fn show_claims(out: &Output, claims: &Claims, trust: &Members) {
    let (kind, minutes) = amount(claims);
    let values = fields([("hours", minutes.hours_text()), ("minutes", minutes.0.to_string())]);
    let days =
        claims.days.map(|(first, last)| fields([("first", first.to_string()), ("last", last.to_string())]));
    out.pairs(&[
        ("trial", if claims.trial { out.words.word("verify-trial") } else { String::new() }),
        ("issuer", format!("{} ({})", title(out, trust, &claims.issuer), claims.issuer)),
        ("issued", claims.issued.day().to_string()),
        ("expires", claims.expires.day().to_string()),
        ("name", claims.full_name.clone().unwrap_or_default()),
        ("amount", out.words.say(&format!("verify-{kind}"), &values)),
        ("period", days.map(|d| out.words.say("verify-period", &d)).unwrap_or_default()),
        ("number", claims.number.clone().unwrap_or_default()),
    ]);
    let issuer = [(claims.issuer.clone(), None)];
    // Without a list every hour was recorded by the issuer's own units.
    let recorders = if claims.recorders.is_empty() { &issuer[..] } else { &claims.recorders };
    for (node, minutes) in recorders {
        let mut values = fields([("title", title(out, trust, node)), ("node", node.to_string())]);
        let key = if minutes.is_some() { "proof-recorder-hours" } else { "proof-recorder" };
        values.extend(minutes.map(|m| ("hours".to_owned(), m.hours_text())));
        out.say(key, &values);
    }
}
