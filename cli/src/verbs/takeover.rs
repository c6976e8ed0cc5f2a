//! `takeover`: dossiers of an office that is gone, taken over by the one that the roster names.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::{Value, json};
use yunling_protocol::bundle::BUNDLE_BYTES_MAX;
use yunling_protocol::minutes::Minutes;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::show::{list, number, text};
use crate::words::{Fields, fields};

/// Longest identity number on standard input, with blanks.
const NUMBER_BYTES_MAX: u64 = 256;

/// Acts on takeovers.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Tells every member, thirty days ahead.
    Announce {
        /// The office that is gone.
        #[arg(long, value_name = "NODE")]
        from: String,
        /// Bundles of one dossier.
        #[arg(long, value_name = "FILE", required = true)]
        bundle: Vec<PathBuf>,
        /// Folder with its log.
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
        /// Full name.
        #[arg(long)]
        name: Option<String>,
        /// Identity number, or `-`.
        #[arg(long, value_name = "NUMBER|-", requires = "name")]
        id_number: Option<String>,
        /// How to reach them.
        #[arg(long, value_name = "TEXT", requires = "name")]
        contact: Option<String>,
    },
    /// Lists takeovers.
    List {},
    /// Takes over after the notice.
    Complete(Which),
    /// Gives one up.
    Cancel(Which),
}

/// A takeover.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Dossier id.
    #[arg(value_name = "DOSSIER")]
    dossier: String,
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Announce { from, bundle, log, name, id_number, contact } => {
            let bundles = bundle.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
            let log = log.map(|path| files::absolute(&path)).transpose()?;
            // From standard input when `-`: arguments of a process can be read by others on the machine.
            let id_number = match id_number {
                Some(given) if given == "-" => Some(files::read_text(Path::new("-"), NUMBER_BYTES_MAX)?),
                given => given,
            };
            let body = json!({
                "from": from, "bundles": bundles, "log": log, "name": name,
                "id_number": id_number.map(|n| n.trim().to_owned()), "contact": contact,
            });
            announce(context, body).await
        }
        Verb::List {} => takeovers(context).await,
        Verb::Complete(which) => complete(context, &which.dossier).await,
        Verb::Cancel(which) => {
            let answer = context.call("takeover/cancel", json!({ "dossier": which.dossier })).await?;
            context.out.object(&answer);
            context.out.say("takeover-cancelled", &fields([("dossier", text(&answer, "dossier"))]));
            Ok(Exit::Yes)
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    Ok(BASE64.encode(&files::read(path, BUNDLE_BYTES_MAX as u64)?))
}

async fn announce(context: &Context<'_>, body: Value) -> Result<Exit, Failure> {
    let answer = context.call("takeover/announce", body).await?;
    let out = context.out;
    out.object(&answer);
    let keys = ["dossier", "from", "count", "ends"];
    let mut values = fields(keys.map(|key| (key, text(&answer, key))));
    values.insert("hours".into(), Minutes(number(&answer, "minutes")).hours_text());
    out.say("takeover-announced", &values);
    if number(&answer, "count") > number(&answer, "bundle_statements") {
        let more = number(&answer, "count") - number(&answer, "bundle_statements");
        out.say("takeover-longer", &fields([("more", more)]));
    }
    Ok(Exit::Yes)
}

async fn takeovers(context: &Context<'_>) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.call("takeover/list", json!({})).await?;
    out.object(&answer);
    let all = list(&answer, "takeovers");
    if all.is_empty() {
        out.say("takeover-none", &Fields::new());
        return Ok(Exit::Yes);
    }
    let row = |t: &Value| {
        vec![
            text(t, "dossier"),
            text(t, "from"),
            out.words.of("takeover", &text(t, "state")),
            format!("{}/{}", number(t, "count"), number(t, "need").max(number(t, "count"))),
            text(t, "ends"),
            text(t, "days_left"),
        ]
    };
    let headers = ["dossier", "gone", "state", "complete", "notice-ends", "days-left"];
    out.table(&headers, &["complete", "days-left"], all.iter().map(row).collect());
    Ok(Exit::Yes)
}

async fn complete(context: &Context<'_>, dossier: &str) -> Result<Exit, Failure> {
    let answer = context.call("takeover/complete", json!({ "dossier": dossier })).await?;
    context.out.object(&answer);
    let keys = ["dossier", "epoch", "length", "hours"];
    context.out.say("takeover-completed", &fields(keys.map(|key| (key, text(&answer, key)))));
    Ok(Exit::Yes)
}
