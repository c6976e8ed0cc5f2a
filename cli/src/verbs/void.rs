//! `void`: takes records of this office back; they stay in the dossier, void.

use serde_json::json;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::show::{list, text};
use crate::words::fields;

/// Options of `void`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dossier id, identity number, or name.
    #[arg(value_name = "REF")]
    volunteer: String,
    /// Statements.
    #[arg(value_name = "STATEMENT", required = true)]
    statements: Vec<String>,
    /// Reason code.
    #[arg(long, value_name = "CODE")]
    reason: String,
    /// Words to the reason.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Voids.
pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let body = json!({
        "volunteer": args.volunteer, "statements": args.statements, "reason": args.reason, "note": args.note,
    });
    let answer = context.call("void", body).await?;
    context.out.object(&answer);
    let count = list(&answer, "voided").len().to_string();
    let values = [("count", count), ("hours", text(&answer, "hours")), ("minutes", text(&answer, "minutes"))];
    context.out.say("void-done", &fields(values));
    Ok(Exit::Yes)
}
