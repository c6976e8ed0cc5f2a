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
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Show {} => show(context).await,
        Verb::Lift { without, why } => {
            let body = json!({ "without": without, "reason": why });
            let answer = context.call("recovery/lift", body).await?;
            context.out.object(&answer);
            context.out.say("recovery-lifted", &fields([("missing", names(&answer, "missing"))]));
            Ok(Exit::Yes)
        }
    }
}

fn names(answer: &Value, key: &str) -> String {
    let names: Vec<String> = list(answer, key).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    names.join(" ")
}

async fn show(context: &Context<'_>) -> Result<Exit, Failure> {
    let answer = context.call("recovery/show", json!({})).await?;
    let out = context.out;
    out.object(&answer);
    if flag(&answer, "fenced") {
        out.say("recovery-fenced", &fields([("generation", number(&answer, "generation"))]));
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
