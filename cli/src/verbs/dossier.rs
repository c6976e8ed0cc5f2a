//! `dossier`: everything recorded of one volunteer.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use yunling_protocol::minutes::Minutes;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::show::{flag, list, number, text};
use crate::words::{Fields, fields};

/// Acts on dossiers.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Shows sums and statements.
    Show {
        /// Dossier id, identity number, or name.
        #[arg(value_name = "REF")]
        volunteer: String,
    },
    /// Writes the signed statements to a file.
    Export {
        /// Dossier id, identity number, or name.
        #[arg(value_name = "REF")]
        volunteer: String,
        /// File to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// As the volunteer's own bundle, with the dossier key.
        #[arg(long)]
        own: bool,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Show { volunteer } => show(context, &volunteer).await,
        Verb::Export { volunteer, out, own } => export(context, &volunteer, &out, own).await,
    }
}

async fn show(context: &Context<'_>, volunteer: &str) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.call("dossier/show", json!({ "volunteer": volunteer })).await?;
    out.object(&answer);
    sums(out, &answer);
    for (key, heading) in [("by_year", "year"), ("by_issuer", "issuer"), ("by_recorder", "recorder")] {
        breakdown(out, &answer, key, heading);
    }
    statements(out, &answer);
    if answer.get("cannot_tell").is_some_and(|kind| !kind.is_null()) {
        out.say("dossier-cannot-tell", &fields([("kind", text(&answer, "cannot_tell"))]));
        return Ok(Exit::CannotTell);
    }
    Ok(Exit::Yes)
}

fn hours(out: &Output, minutes: u64) -> String {
    let values = [("hours", Minutes(minutes).hours_text()), ("minutes", minutes.to_string())];
    out.words.say("cli-hours", &fields(values))
}

fn sums(out: &Output, answer: &Value) {
    // A sum of nothing is worth a line only where it is the result.
    let some = |key| Some(number(answer, key)).filter(|n| *n > 0).map_or_else(String::new, |n| hours(out, n));
    let stars = fields([("due", text(answer, "stars_due")), ("awarded", text(answer, "stars_awarded"))]);
    let review = if flag(answer, "star_review") { out.words.word("word-star-review") } else { String::new() };
    out.pairs(&[
        ("dossier", text(answer, "dossier")),
        ("custody", out.custody(answer)),
        ("epoch", text(answer, "epoch")),
        ("length", text(answer, "length")),
        ("head", text(answer, "head")),
        ("counted", hours(out, number(answer, "counted_minutes"))),
        ("stated", some("stated_minutes")),
        ("disputed", some("disputed_minutes")),
        ("suspended", some("suspended_minutes")),
        ("voided", some("voided_minutes")),
        ("repeated", some("repeated_minutes")),
        ("attestations", text(answer, "attestations")),
        ("stars", out.words.say("dossier-stars", &stars)),
        ("star-review", review),
        ("rebuilt", if flag(answer, "rebuilt") { out.words.word("word-rebuilt") } else { String::new() }),
        ("balance", some("balance_minutes")),
    ]);
}

fn breakdown(out: &Output, answer: &Value, key: &str, heading: &str) {
    let Some(parts) = answer.get(key).and_then(Value::as_object).filter(|m| !m.is_empty()) else { return };
    let row = |(name, minutes): (&String, &Value)| {
        let minutes = minutes.as_u64().unwrap_or_default();
        vec![name.clone(), Minutes(minutes).hours_text(), minutes.to_string()]
    };
    out.line("");
    out.table(&[heading, "hours", "minutes"], &["hours", "minutes"], parts.iter().map(row).collect());
}

fn statements(out: &Output, answer: &Value) {
    let row = |s: &Value| {
        let minutes = s.get("minutes").and_then(Value::as_u64);
        let overlap = if flag(s, "overlap") { out.words.word("word-overlap") } else { String::new() };
        vec![
            text(s, "sequence"),
            out.words.of("kind", &text(s, "kind")),
            text(s, "issuer"),
            text(s, "when"),
            minutes.map(|m| Minutes(m).hours_text()).unwrap_or_default(),
            text(s, "grade"),
            [out.words.of("statement", &text(s, "state")), overlap].concat(),
            out.words.of("place", &text(s, "place")),
            text(s, "activity"),
            text(s, "recorder"),
            text(s, "in_charge"),
            text(s, "id"),
        ]
    };
    let headers = [
        "sequence",
        "kind",
        "issuer",
        "when",
        "hours",
        "grade",
        "state",
        "place",
        "activity",
        "recorder",
        "in-charge",
        "statement",
    ];
    out.line("");
    out.table(&headers, &["sequence", "hours"], list(answer, "statements").iter().map(row).collect());
}

async fn export(context: &Context<'_>, volunteer: &str, file: &Path, own: bool) -> Result<Exit, Failure> {
    let mut answer = context.call("dossier/export", json!({ "volunteer": volunteer, "own": own })).await?;
    let bundle = BASE64URL_NOPAD.decode(text(&answer, "bundle").as_bytes());
    let bundle =
        bundle.map_err(|e| Failure::new("control-broken").with("cause", e).exit(Exit::CannotTell))?;
    files::write(file, &bundle, files::MODE_PRIVATE)?;
    let shown = file.display().to_string();
    let values = [
        ("file", shown.clone()),
        ("statements", text(&answer, "statements")),
        ("hours", Minutes(number(&answer, "minutes")).hours_text()),
    ];
    context.out.say("dossier-exported", &fields(values));
    if own {
        context.out.note("dossier-own", &Fields::new());
    }
    if let Some(object) = answer.as_object_mut() {
        object.remove("bundle");
        object.insert("out".into(), shown.into());
        object.insert("bytes".into(), bundle.len().into());
    }
    context.out.object(&answer);
    Ok(Exit::Yes)
}
