//! `volunteer`: the register of this office.

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::show::{flag, list, text};
use crate::words::{Fields, fields};

/// Longest identity number on standard input, with blanks.
const NUMBER_BYTES_MAX: u64 = 256;

/// Acts on the register.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Registers a volunteer.
    Register {
        /// Full name.
        #[arg(long)]
        name: String,
        /// Identity number, or `-`.
        #[arg(long, value_name = "NUMBER|-")]
        id_number: Option<String>,
        /// How to reach them.
        #[arg(long, value_name = "TEXT")]
        contact: Option<String>,
        /// Words of the consent's basis.
        #[arg(long, value_name = "TEXT")]
        basis: Option<String>,
    },
    /// Lists volunteers.
    List {
        /// Dossier after which the list goes on.
        #[arg(long, value_name = "DOSSIER")]
        after: Option<String>,
        /// Most listed.
        #[arg(long, value_name = "COUNT")]
        limit: Option<u64>,
    },
    /// Shows one volunteer.
    Show {
        /// Dossier id, identity number, or name.
        #[arg(value_name = "REF")]
        volunteer: String,
    },
    /// Card with which hours are recorded anywhere.
    Card {
        /// Dossier id, identity number, or name.
        #[arg(value_name = "REF")]
        volunteer: String,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Register { name, id_number, contact, basis } => {
            let id_number = id_number.map(number).transpose()?;
            let body = json!({ "name": name, "id_number": id_number, "contact": contact, "basis": basis });
            register(context, body).await
        }
        Verb::List { after, limit } => volunteers(context, json!({ "after": after, "limit": limit })).await,
        Verb::Show { volunteer } => show(context, &volunteer).await,
        Verb::Card { volunteer } => card(context, &volunteer).await,
    }
}

/// From standard input when `-`: arguments of a process can be read by others on the machine.
fn number(given: String) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given);
    }
    Ok(files::read_text(Path::new("-"), NUMBER_BYTES_MAX)?.trim().to_owned())
}

async fn register(context: &Context<'_>, body: Value) -> Result<Exit, Failure> {
    let answer = context.call("volunteer/register", body).await?;
    context.out.object(&answer);
    context.out.say(
        "volunteer-registered",
        &fields([("dossier", text(&answer, "dossier")), ("card", text(&answer, "card"))]),
    );
    Ok(Exit::Yes)
}

async fn volunteers(context: &Context<'_>, body: Value) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.call("volunteer/list", body).await?;
    out.object(&answer);
    let volunteers = list(&answer, "volunteers");
    if volunteers.is_empty() {
        out.say("volunteer-none", &Fields::new());
        return Ok(Exit::Yes);
    }
    let row = |v: &Value| {
        vec![text(v, "dossier"), text(v, "name"), text(v, "hours"), text(v, "minutes"), out.custody(v)]
    };
    let headers = ["dossier", "name", "hours", "minutes", "custody"];
    out.table(&headers, &["hours", "minutes"], volunteers.iter().map(row).collect());
    Ok(Exit::Yes)
}

async fn show(context: &Context<'_>, volunteer: &str) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.call("volunteer/show", json!({ "volunteer": volunteer })).await?;
    out.object(&answer);
    out.pairs(&[
        ("dossier", text(&answer, "dossier")),
        ("name", text(&answer, "name")),
        ("id", text(&answer, "id_masked")),
        ("contact", text(&answer, "contact")),
        ("custody", out.custody(&answer)),
        ("hours", text(&answer, "hours")),
        ("minutes", text(&answer, "minutes")),
        ("stars-due", text(&answer, "stars_due")),
        (
            "star-review",
            if flag(&answer, "star_review") { out.words.word("word-star-review") } else { String::new() },
        ),
    ]);
    Ok(Exit::Yes)
}

async fn card(context: &Context<'_>, volunteer: &str) -> Result<Exit, Failure> {
    let answer = context.call("volunteer/card", json!({ "volunteer": volunteer })).await?;
    context.out.object(&answer);
    context.out.line(&text(&answer, "card"));
    Ok(Exit::Yes)
}
