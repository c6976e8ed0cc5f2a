//! `proof verify`: one word and its reason, from the proof and node cards alone. No node, no network.
//!
//! The word is never a bare tick: it says as of when, that the revocation status is unknown, and
//! that the signature is technical. Exit code 0 valid, 1 invalid, 2 cannot tell.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use yunling_node::clock::Clock;
use yunling_protocol::member::{Member, Members};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::{Amount, Claims, PREFIX, TOKEN_BYTES_MAX, Verdict, Verified, verify};

use super::Context;
use crate::cards;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::words::{Fields, Lang, fields};

/// Largest file taken for a proof: more than the longest text, less than a mistake.
const PROOF_BYTES_MAX: u64 = 8 * TOKEN_BYTES_MAX as u64;

/// Options of `proof verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The text, a file of it, or `-`.
    #[arg(value_name = "TEXT|FILE")]
    proof: String,
    /// Node cards.
    #[arg(long, value_name = "FILE", required = true)]
    trust: Vec<PathBuf>,
}

/// Verifies.
pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let trust = trusted(&args.trust)?;
    let given = if args.proof.starts_with(PREFIX) {
        args.proof.clone()
    } else {
        files::read_text(Path::new(&args.proof), PROOF_BYTES_MAX)?
    };
    // The clock may be set only where every office trusted is a trial one.
    let trial = trust.iter().all(|m| m.card.card.trial);
    let verified = verify(&given, &trust, Clock::for_home(trial).now());
    context.out.object(&as_json(&verified, &trust, context.out));
    show(context.out, &verified, &trust);
    Ok(match verified.verdict() {
        Verdict::Valid => Exit::Yes,
        Verdict::Invalid => Exit::No,
        Verdict::CannotTell => Exit::CannotTell,
    })
}

/// The cards of all files; of two cards of one node the newer counts, other keys under one name are
/// refused.
pub(crate) fn trusted(paths: &[PathBuf]) -> Result<Members, Failure> {
    let mut members = Members::default();
    for path in paths {
        let text = files::read_text(path, cards::TEXT_BYTES_MAX)?;
        let shown = path.display();
        let found = cards::cards_in(&text).map_err(|f| f.with("path", &shown).exit(Exit::Usage))?;
        for card in found {
            let name = &card.card.name;
            let old = members.get(name).map(|m| (m.card.fingerprint(), m.card.card.made_at));
            match old {
                Some((fingerprint, _)) if fingerprint != card.fingerprint() => {
                    return Err(Failure::usage("trust-conflict").with("path", shown).with("name", name));
                }
                Some((_, made_at)) if made_at >= card.card.made_at => {}
                _ => members.insert(Member { card, removed_at: None }),
            }
        }
    }
    Ok(members)
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

/// The words of the reason with what the proof itself says.
fn reason(out: &Output, verified: &Verified, trust: &Members) -> String {
    let known = verified.claims.as_ref().map(|c| {
        fields([
            ("issuer", title(out, trust, &c.issuer)),
            ("issued", c.issued.day().to_string()),
            ("expires", c.expires.day().to_string()),
        ])
    });
    out.words.error(verified.why.code(), &known.unwrap_or_default())
}

fn as_json(verified: &Verified, trust: &Members, out: &Output) -> Value {
    let mut value = json!({
        "verdict": word(verified.verdict()), "why": verified.why.code(),
        "message": reason(out, verified, trust), "status": "unknown",
    });
    let Some(claims) = &verified.claims else { return value };
    let (kind, minutes) = amount(claims);
    let recorders = claims.recorders.iter().map(|(node, minutes)| {
        json!({ "node": node.to_string(), "title": title(out, trust, node), "minutes": minutes.map(|m| m.0) })
    });
    let more = json!({
        "issuer": claims.issuer.to_string(), "issuer_title": title(out, trust, &claims.issuer),
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

fn show(out: &Output, verified: &Verified, trust: &Members) {
    let verdict = word(verified.verdict());
    let reason = reason(out, verified, trust);
    let issued = verified.claims.as_ref().map(|c| c.issued.day().to_string()).unwrap_or_default();
    out.say(&format!("verify-{verdict}"), &fields([("reason", reason.as_str()), ("issued", &issued)]));
    if let Some(claims) = &verified.claims {
        show_claims(out, claims, trust);
        out.say("verify-signature", &Fields::new());
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
