//! `recovery`: the fence of a restored node, and lifting it when a peer can never answer.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Context;
use crate::failure::{Exit, Failure};
use crate::show::{flag, list, number, text};
use crate::words::{Fields, fields};

/// Acts on the fence.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Shows who has answered and who is missing.
    Show {},
    /// Lifts the fence without the peers named.
    Lift {
        /// A peer that can never answer.
        #[arg(long, value_name = "NAME")]
        without: Vec<String>,
        /// Why, for the record.
        #[arg(long = "reason", value_name = "TEXT")]
        why: String,
        /// A dossier whose seal is nowhere, to be opened again.
        #[arg(long = "dossier", value_name = "ID")]
        reopen: Option<String>,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Show {} => show(context).await,
        Verb::Lift { without, why, reopen } => {
            let body = json!({ "without": without, "reason": why, "dossier": reopen });
            let answer = context.call("recovery/lift", body).await?;
            context.out.object(&answer);
            let key = if reopen.is_some() { "recovery-reopened" } else { "recovery-lifted" };
            context.out.say(key, &fields([("missing", names(&answer, "missing"))]));
            Ok(Exit::Yes)
        }
    }
}

fn names(answer: &Value, key: &str) -> String {
    let names: Vec<String> = list(answer, key).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    names.join(" ")
}

/// How far the witnesses of one rule have come.
pub(crate) fn witnesses(rule: &Value) -> Fields {
    let heard = list(rule, "heard");
    fields([
        ("count", heard.len().to_string()),
        ("need", text(rule, "need")),
        ("of", text(rule, "of")),
        ("heard", names(rule, "heard")),
        ("waits", names(rule, "waits")),
    ])
}

async fn show(context: &Context<'_>) -> Result<Exit, Failure> {
    let answer = context.call("recovery/show", json!({})).await?;
    let out = context.out;
    out.object(&answer);
    if flag(&answer, "fenced") {
        let rules = list(&answer["witnesses"], "rules");
        let key = if rules.is_empty() { "recovery-fenced" } else { "recovery-fenced-witnesses" };
        out.say(key, &fields([("generation", number(&answer, "generation"))]));
        for rule in rules {
            out.say("recovery-witnesses", &witnesses(rule));
        }
        for log in list(&answer["witnesses"], "logs") {
            let log =
                [("origin", text(log, "origin")), ("have", text(log, "have")), ("size", text(log, "size"))];
            out.say("recovery-log", &fields(log));
        }
        if flag(&answer["witnesses"], "forked") {
            out.say("recovery-forked", &Fields::new());
        }
        out.pairs(&[
            ("recovery-heard", names(&answer, "heard")),
            ("recovery-missing", names(&answer, "missing")),
            ("recovery-unknown", names(&answer, "unknown")),
        ]);
        if !list(&answer, "unknown").is_empty() {
            out.say("recovery-accept-again", &Fields::new());
        }
    } else {
        out.say("recovery-open", &fields([("generation", number(&answer, "generation"))]));
    }
    let lost = fields([
        ("entries", number(&answer, "lost_entries")),
        ("dossiers", number(&answer, "lost_dossiers")),
    ]);
    if number(&answer, "lost_entries") + number(&answer, "lost_dossiers") > 0 {
        out.say("recovery-lost", &lost);
    }
    if !flag(&answer, "fenced") && !list(&answer, "asking").is_empty() {
        out.say("recovery-asking", &fields([("missing", names(&answer, "asking"))]));
    }
    if number(&answer, "lost_logged") > 0 {
        out.say("recovery-lost-logged", &fields([("entries", number(&answer, "lost_logged"))]));
    }
    if number(&answer, "closed_dossiers") > 0 {
        let closed = [("count", text(&answer, "closed_dossiers")), ("dossiers", names(&answer, "closed"))];
        out.say("recovery-closed", &fields(closed));
    }
    if number(&answer, "holed_dossiers") > 0 {
        let holes = fields([
            ("entries", number(&answer, "missing_statements")),
            ("dossiers", number(&answer, "holed_dossiers")),
        ]);
        out.say("recovery-holes", &holes);
    }
    if number(&answer, "double_seals") > 0 {
        out.say("recovery-double", &fields([("count", text(&answer, "double_seals"))]));
    }
    Ok(if flag(&answer, "fenced") { Exit::CannotTell } else { Exit::Yes })
}
