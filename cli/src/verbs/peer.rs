//! `peer`: other offices. Both accept each other's card; only then do their nodes connect.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::{Value, json};
use yunling_node::home::Home;
use yunling_protocol::card::{CARD_PREFIX, SignedCard};
use yunling_protocol::roster::key_change::KEY_CHANGE_BYTES_MAX;

use super::Context;
use crate::cards;
use crate::control::TEST_WITHIN;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::show::{flag, list, number, text};
use crate::words::{Fields, Lang, fields};

/// Acts on peers.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// This node's card.
    Card {
        /// File to write.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// An invitation with the card.
    Invite {
        /// File to write.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Accepts the card of another office.
    Accept {
        /// File, `-`, or the text.
        #[arg(value_name = "CARD", required_unless_present = "key_change")]
        card: Option<String>,
        /// Request that the peer's recovery key signed.
        #[arg(long, value_name = "FILE", conflicts_with = "card")]
        key_change: Option<PathBuf>,
        /// Fingerprint the card must have.
        #[arg(long, value_name = "DIGITS")]
        fingerprint: Option<String>,
    },
    /// Lists peers.
    List {},
    /// Ends peering.
    Remove {
        /// Node name.
        #[arg(value_name = "NODE")]
        name: String,
    },
    /// Tests the way to a peer.
    Test {
        /// Node name.
        #[arg(value_name = "NODE")]
        name: String,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Card { out } => card(context, out.as_deref()).await,
        Verb::Invite { out } => invite(context, out.as_deref()).await,
        Verb::Accept { card, key_change, fingerprint } => {
            accept(context, card.as_deref(), key_change.as_deref(), fingerprint.as_deref()).await
        }
        Verb::List {} => peers(context).await,
        Verb::Remove { name } => remove(context, &name).await,
        Verb::Test { name } => test(context, &name).await,
    }
}

/// The card; with the node stopped it is made from the home.
async fn card(context: &Context<'_>, file: Option<&Path>) -> Result<Exit, Failure> {
    let answer = own_card(context).await?;
    give(context.out, &answer, "card", file)?;
    note_addresses(context.out, &answer);
    Ok(Exit::Yes)
}

/// The card of the running node, else that of the home.
pub(super) async fn own_card(context: &Context<'_>) -> Result<Value, Failure> {
    match context.call("peer/card", json!({})).await {
        Err(failure) if failure.code == "node-unreachable" => card_of_home(&context.home()?),
        answer => answer,
    }
}

fn card_of_home(path: &Path) -> Result<Value, Failure> {
    let home = Home::open(path)?;
    let card = home.card(home.config.net.listen.clone())?;
    Ok(json!({ "card": card.to_text(), "name": home.name.to_string(), "fingerprint": card.fingerprint() }))
}

/// Nobody else can reach an unspecified address: said when the card is made, not when it fails.
fn note_addresses(out: &Output, answer: &Value) {
    let Ok(card) = SignedCard::from_text(&text(answer, "card")) else { return };
    let nowhere = |a: &String| a.starts_with("/ip4/0.0.0.0/") || a.starts_with("/ip6/::/");
    if !out.json && card.card.addresses.iter().all(nowhere) {
        out.note("peer-card-addresses", &fields([("addresses", card.card.addresses.join(" "))]));
    }
}

async fn invite(context: &Context<'_>, file: Option<&Path>) -> Result<Exit, Failure> {
    let answer = context.call("peer/invite", json!({})).await?;
    give(context.out, &answer, "invitation", file)?;
    note_addresses(context.out, &answer);
    Ok(Exit::Yes)
}

/// Prints a text of the answer or writes it to a file.
fn give(out: &Output, answer: &Value, key: &str, file: Option<&Path>) -> Result<(), Failure> {
    let given = text(answer, key);
    if let Some(file) = file {
        files::write(file, format!("{}\n", given.trim_end()).as_bytes(), files::MODE_PUBLIC)?;
        let shown = file.display().to_string();
        out.say(
            "peer-written",
            &fields([("file", shown.as_str()), ("fingerprint", &text(answer, "fingerprint"))]),
        );
        let mut answer = answer.clone();
        answer["out"] = shown.into();
        out.object(&answer);
    } else {
        out.line(given.trim_end());
        out.object(answer);
    }
    Ok(())
}

/// The text of the card in a file or given itself, with the fingerprint it must have.
fn given_card(source: &str, fingerprint: Option<&str>) -> Result<String, Failure> {
    let given = if source.contains(CARD_PREFIX) {
        source.to_owned()
    } else {
        files::read_text(Path::new(source), cards::TEXT_BYTES_MAX)?
    };
    let card = cards::one_card(&given)?;
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    if let Some(expected) = fingerprint.filter(|expected| digits(expected) != digits(&card.fingerprint())) {
        return Err(Failure::new("peer-fingerprint")
            .with("expected", expected)
            .with("given", card.fingerprint()));
    }
    Ok(card.to_text())
}

async fn accept(
    context: &Context<'_>,
    source: Option<&str>,
    key_change: Option<&Path>,
    fingerprint: Option<&str>,
) -> Result<Exit, Failure> {
    let body = match (source, key_change) {
        (_, Some(path)) => {
            let change = files::read(path, KEY_CHANGE_BYTES_MAX as u64)?;
            json!({ "key_change": BASE64.encode(&change) })
        }
        (source, None) => json!({ "card": given_card(source.unwrap_or("-"), fingerprint)? }),
    };
    let answer = context.call("peer/accept", body).await?;
    context.out.object(&answer);
    let title = title(context.out, &answer);
    let (name, shown) = (text(&answer, "name"), text(&answer, "fingerprint"));
    context
        .out
        .say("peer-accepted", &fields([("title", title), ("name", name.clone()), ("fingerprint", shown)]));
    if fingerprint.is_none() && key_change.is_none() {
        context.out.say("peer-compare", &fields([("name", &name)]));
    }
    if text(&answer, "state") == "waiting" {
        context.out.say("peer-waiting", &fields([("name", &name)]));
    }
    Ok(Exit::Yes)
}

fn title(out: &Output, peer: &Value) -> String {
    text(peer, if out.words.lang == Lang::Zh { "title_zh" } else { "title_en" })
}

async fn peers(context: &Context<'_>) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.call("peer/list", json!({})).await?;
    out.object(&answer);
    let peers = list(&answer, "peers");
    if peers.is_empty() {
        out.say("peer-none", &Fields::new());
        return Ok(Exit::Yes);
    }
    let row = |peer: &Value| {
        let connected = if flag(peer, "connected") { "yes" } else { "no" };
        let error = text(peer, "last_error");
        // The last error is a code where the outbox has one.
        let known = out.words.has(&format!("error-{error}"));
        vec![
            text(peer, "name"),
            title(out, peer),
            text(peer, "division"),
            out.words.of("peer", &text(peer, "state")),
            standing(out, peer),
            out.words.of("connected", connected),
            text(peer, "waiting"),
            if known { out.words.error(&error, &fields([("peer", text(peer, "name"))])) } else { error },
        ]
    };
    let headers = ["name", "title", "division", "state", "standing", "connected", "waiting", "last-error"];
    out.table(&headers, &["waiting"], peers.iter().map(row).collect());
    Ok(Exit::Yes)
}

/// Listed in the roster or bilateral, and what the roster says when it is not a full member.
fn standing(out: &Output, peer: &Value) -> String {
    let member = text(peer, "member");
    match member.as_str() {
        "active" => out.words.of("standing", &text(peer, "standing")),
        _ => out.words.of("member", &member),
    }
}

async fn remove(context: &Context<'_>, name: &str) -> Result<Exit, Failure> {
    let answer = context.call("peer/remove", json!({ "name": name })).await?;
    context.out.object(&answer);
    context.out.say("peer-removed", &fields([("name", name)]));
    Ok(Exit::Yes)
}

async fn test(context: &Context<'_>, name: &str) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.control()?.call_within("peer/test", json!({ "name": name }), TEST_WITHIN).await?;
    out.object(&answer);
    let row = |step: &Value| {
        vec![
            out.words.of("step", &text(step, "name")),
            out.words.of("ok", if flag(step, "ok") { "yes" } else { "no" }),
            text(step, "address"),
            number(step, "millis").to_string(),
            text(step, "detail"),
        ]
    };
    let steps = list(&answer, "steps");
    out.table(
        &["step", "result", "address", "millis", "detail"],
        &["millis"],
        steps.iter().map(row).collect(),
    );
    if flag(&answer, "ok") {
        out.say("peer-test-ok", &fields([("name", name)]));
        return Ok(Exit::Yes);
    }
    for step in steps.iter().filter(|s| !flag(s, "ok") && !text(s, "code").is_empty()) {
        let mut known = fields([("peer", name.to_owned()), ("address", text(step, "address"))]);
        known.retain(|_, value| !value.is_empty());
        out.line(&out.words.error(&text(step, "code"), &known));
    }
    out.say("peer-test-failed", &fields([("name", name)]));
    Ok(Exit::No)
}
