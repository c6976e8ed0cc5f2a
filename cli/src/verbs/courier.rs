//! `courier`: writes what waits for an office into a sealed file, and takes the file of another. The
//! node makes and takes the bytes; this process reads and writes the file, wherever it lies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::{Value, json};
use yunling_protocol::courier::FILE_BYTES_MAX;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::show::{flag, number, text};
use crate::words::fields;

/// Longest wait: thousands of messages, each durable before the next.
const FILE_WITHIN: Duration = Duration::from_secs(30 * 60);

/// Acts on courier files.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Writes one.
    Export {
        /// The office that is to read it.
        #[arg(long, value_name = "NAME")]
        to: String,
        /// The new file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Takes one.
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Export { to, file } => export(&to, &file, context).await,
        Verb::Import { file } => import(&file, context).await,
    }
}

async fn export(to: &str, file: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    let exists = || Failure::new("courier-exists").with("path", file.display());
    if file.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let control = context.control()?;
    let mut answer = control.call_within("courier/export", json!({ "to": to }), FILE_WITHIN).await?;
    let bytes = BASE64.decode(text(&answer, "file").as_bytes());
    let bytes = bytes.map_err(|e| Failure::new("control-broken").with("cause", e).exit(Exit::CannotTell))?;
    files::write(file, &bytes, files::MODE_PRIVATE)?;
    answer["file"] = file.display().to_string().into();
    let out = context.out;
    out.object(&answer);
    let keys = ["to", "file", "number", "messages", "answers", "statements"];
    let values = fields(keys.map(|key| (key, text(&answer, key))));
    out.say("courier-written", &values);
    if flag(&answer, "more") {
        out.say("courier-more", &values);
    }
    Ok(Exit::Yes)
}

async fn import(file: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    let bytes = files::read(file, FILE_BYTES_MAX as u64)?;
    let body = json!({ "file": BASE64.encode(&bytes) });
    let answer = context.control()?.call_within("courier/import", body, FILE_WITHIN).await?;
    let out = context.out;
    out.object(&answer);
    let keys = ["from", "number", "made", "messages", "ended", "statements"];
    let values = fields(keys.map(|key| (key, text(&answer, key))));
    out.say("courier-taken", &values);
    for (code, count) in answer["refused"].as_object().into_iter().flatten() {
        out.say("courier-refused", &fields([("code", code.clone()), ("count", count.to_string())]));
    }
    if flag(&answer, "stale") {
        out.say("courier-stale", &values);
    } else if flag(&answer, "older") {
        out.say("courier-older", &values);
    }
    if number(&answer, "messages") + number(&answer, "statements") > 0 || !none(&answer["refused"]) {
        out.say("courier-answer", &values);
    }
    Ok(Exit::Yes)
}

fn none(refused: &Value) -> bool {
    refused.as_object().is_none_or(serde_json::Map::is_empty)
}
