//! `transfer`: moves of a dossier from one office to another, by the volunteer's authorization code.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::show::{list, number, text};
use crate::words::{Fields, fields};

/// How often a waiting command looks again.
const POLL_EVERY: Duration = Duration::from_millis(400);
/// Longest code on standard input.
const CODE_BYTES_MAX: u64 = 1_024;

/// Acts on transfers.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Gives the volunteer a code.
    Authorize {
        /// Dossier id, identity number, or name.
        #[arg(value_name = "REF")]
        volunteer: String,
        /// Receiving node.
        #[arg(long, value_name = "NODE")]
        to: String,
        /// The profile goes along.
        #[arg(long)]
        with_profile: bool,
        /// Who gives the consent.
        #[arg(long, value_name = "WORD", value_parser = ["volunteer", "guardian", "unit"], default_value = "volunteer")]
        given_by: String,
        /// The person's document was checked.
        #[arg(long, required = true)]
        checked: bool,
    },
    /// Asks the old office for the dossier.
    Start {
        /// Old custodian.
        #[arg(long, value_name = "NODE")]
        from: String,
        /// Authorization code, or `-`.
        #[arg(long, value_name = "CODE|-")]
        code: String,
        /// Wait for the end.
        #[arg(long)]
        wait: bool,
    },
    /// Lists transfers.
    List {},
    /// Shows one.
    Show(Which),
    /// Lets a waiting one go.
    Approve(Step),
    /// Refuses a waiting one.
    Refuse(Step),
    /// Ends one before the seal.
    Cancel(Step),
    /// Tries again.
    Resume(Step),
}

/// A transfer.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Transfer id.
    #[arg(value_name = "TRANSFER")]
    transfer: String,
}

/// A step on a transfer.
#[derive(Debug, clap::Args)]
pub(crate) struct Step {
    /// Transfer id.
    #[arg(value_name = "TRANSFER")]
    transfer: String,
    /// Reason.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Authorize { volunteer, to, with_profile, given_by, checked: _ } => {
            let body = json!({ "volunteer": volunteer, "to": to, "with_profile": with_profile, "given_by": given_by });
            authorize(context, body).await
        }
        Verb::Start { from, code, wait } => start(context, &from, code, wait).await,
        Verb::List {} => transfers(context).await,
        Verb::Show(Which { transfer }) => step(context, "show", &transfer, None).await,
        Verb::Approve(args) => step(context, "approve", &args.transfer, args.reason.as_deref()).await,
        Verb::Refuse(args) => step(context, "refuse", &args.transfer, args.reason.as_deref()).await,
        Verb::Cancel(args) => step(context, "cancel", &args.transfer, args.reason.as_deref()).await,
        Verb::Resume(args) => step(context, "resume", &args.transfer, args.reason.as_deref()).await,
    }
}

async fn authorize(context: &Context<'_>, body: Value) -> Result<Exit, Failure> {
    let answer = context.call("transfer/authorize", body).await?;
    context.out.object(&answer);
    let value = |key| (key, text(&answer, key));
    context.out.say(
        "transfer-authorized",
        &fields([value("code"), value("to"), value("expires"), value("dossier")]),
    );
    Ok(Exit::Yes)
}

async fn start(context: &Context<'_>, from: &str, code: String, wait: bool) -> Result<Exit, Failure> {
    let code = if code == "-" { files::read_text(Path::new("-"), CODE_BYTES_MAX)? } else { code };
    let body = json!({ "from": from, "code": code.trim() });
    let mut transfer = context.call("transfer/start", body).await?;
    if wait {
        transfer = wait_for_end(context, &transfer).await?;
    }
    context.out.object(&transfer);
    show(context.out, &transfer);
    if !wait {
        context.out.say("transfer-started", &fields([("transfer", text(&transfer, "transfer"))]));
        return Ok(Exit::Yes);
    }
    Ok(match text(&transfer, "stage").as_str() {
        "completed" => Exit::Yes,
        "cancelled" => Exit::No,
        _ => Exit::CannotTell,
    })
}

/// Asks until the transfer has ended or a person must look. A connection that is lost in between
/// ends the waiting, not the transfer.
async fn wait_for_end(context: &Context<'_>, started: &Value) -> Result<Value, Failure> {
    let id = text(started, "transfer");
    let bar = ProgressBar::new(number(started, "count"));
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
        bar.set_style(style);
    }
    loop {
        let transfer = context.call("transfer/show", json!({ "transfer": id })).await?;
        let stage = text(&transfer, "stage");
        if ["completed", "cancelled", "needs-attention"].contains(&stage.as_str()) {
            bar.finish_and_clear();
            return Ok(transfer);
        }
        bar.set_length(number(&transfer, "count"));
        bar.set_position(number(&transfer, "have"));
        bar.set_message(context.out.words.of("stage", &stage));
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn transfers(context: &Context<'_>) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.call("transfer/list", json!({})).await?;
    out.object(&answer);
    let transfers = list(&answer, "transfers");
    if transfers.is_empty() {
        out.say("transfer-none", &Fields::new());
        return Ok(Exit::Yes);
    }
    let row = |t: &Value| {
        vec![
            text(t, "transfer"),
            text(t, "dossier"),
            out.words.of("side", &text(t, "side")),
            text(t, "peer"),
            out.words.of("stage", &text(t, "stage")),
            format!("{}/{}", number(t, "have"), number(t, "count")),
            text(t, "hours"),
            text(t, "started"),
        ]
    };
    let headers = ["transfer", "dossier", "side", "peer", "stage", "copied", "hours", "started"];
    out.table(&headers, &["copied", "hours"], transfers.iter().map(row).collect());
    Ok(Exit::Yes)
}

async fn step(
    context: &Context<'_>,
    act: &str,
    transfer: &str,
    reason: Option<&str>,
) -> Result<Exit, Failure> {
    let body = json!({ "transfer": transfer, "reason": reason });
    let answer = context.call(&format!("transfer/{act}"), body).await?;
    context.out.object(&answer);
    show(context.out, &answer);
    Ok(Exit::Yes)
}

fn show(out: &Output, transfer: &Value) {
    let reason = text(transfer, "reason");
    let known = out.words.has(&format!("error-{reason}"));
    let about = ["transfer", "dossier", "peer"].map(|key| (key, text(transfer, key)));
    let about = fields(about);
    out.pairs(&[
        ("transfer", text(transfer, "transfer")),
        ("dossier", text(transfer, "dossier")),
        ("side", out.words.of("side", &text(transfer, "side"))),
        ("peer", text(transfer, "peer")),
        ("stage", out.words.of("stage", &text(transfer, "stage"))),
        ("reason", if known { out.words.error(&reason, &about) } else { reason }),
        ("copied", format!("{}/{}", number(transfer, "have"), number(transfer, "count"))),
        ("hours", text(transfer, "hours")),
        ("epoch", text(transfer, "epoch")),
        ("started", text(transfer, "started")),
        ("expires", text(transfer, "expires")),
        ("unasked", text(transfer, "unasked")),
    ]);
}
