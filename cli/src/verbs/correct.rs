//! `correct`: puts a record of this office right; the original stays in the dossier.

use serde_json::json;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::show::text;
use crate::words::fields;

/// Options of `correct`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dossier id, identity number, or name.
    #[arg(value_name = "REF")]
    volunteer: String,
    /// Statement.
    #[arg(value_name = "STATEMENT")]
    statement: String,
    /// Reason code.
    #[arg(long, value_name = "CODE")]
    reason: String,
    /// Words to the reason.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// New minutes.
    #[arg(long, value_name = "COUNT")]
    minutes: Option<u64>,
    /// New start.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// New end.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// New grade.
    #[arg(long, value_name = "A-E")]
    grade: Option<String>,
    /// New content.
    #[arg(long, value_name = "TEXT")]
    content: Option<String>,
}

/// Corrects.
pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let body = json!({
        "volunteer": args.volunteer, "statement": args.statement, "reason": args.reason, "note": args.note,
        "minutes": args.minutes, "start": args.start, "end": args.end, "grade": args.grade,
        "content": args.content,
    });
    let answer = context.call("correct", body).await?;
    context.out.object(&answer);
    let values = [("target", args.statement), ("statement", text(&answer, "statement"))];
    context.out.say("correct-done", &fields(values));
    Ok(Exit::Yes)
}
