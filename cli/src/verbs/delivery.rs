//! `delivery`: records of other offices for volunteers held here that wait for a person.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Context;
use crate::failure::{Exit, Failure};
use crate::show::{list, text};
use crate::words::{Fields, fields};

/// Acts on held deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists them.
    List {},
    /// Takes one into the dossier.
    Accept {
        /// Dossier.
        #[arg(value_name = "DOSSIER")]
        dossier: String,
        /// Statement.
        #[arg(value_name = "STATEMENT")]
        statement: String,
    },
    /// Refuses one.
    Refuse {
        /// Dossier.
        #[arg(value_name = "DOSSIER")]
        dossier: String,
        /// Statement.
        #[arg(value_name = "STATEMENT")]
        statement: String,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::List {} => held(context).await,
        Verb::Accept { dossier, statement } => decide(context, "accept", &dossier, &statement).await,
        Verb::Refuse { dossier, statement } => decide(context, "refuse", &dossier, &statement).await,
    }
}

async fn held(context: &Context<'_>) -> Result<Exit, Failure> {
    let answer = context.call("delivery/list", json!({})).await?;
    context.out.object(&answer);
    let held = list(&answer, "held");
    if held.is_empty() {
        context.out.say("delivery-none", &Fields::new());
        return Ok(Exit::Yes);
    }
    let keys = ["dossier", "statement", "issuer", "activity", "when", "hours", "grade"];
    let row = |v: &Value| keys.iter().map(|key| text(v, key)).collect();
    context.out.table(&keys, &["hours"], held.iter().map(row).collect());
    Ok(Exit::Yes)
}

async fn decide(context: &Context<'_>, act: &str, dossier: &str, statement: &str) -> Result<Exit, Failure> {
    let body = json!({ "dossier": dossier, "statement": statement });
    let answer = context.call(&format!("delivery/{act}"), body).await?;
    context.out.object(&answer);
    context.out.say(&format!("delivery-done-{act}"), &fields([("statement", statement)]));
    Ok(Exit::Yes)
}
