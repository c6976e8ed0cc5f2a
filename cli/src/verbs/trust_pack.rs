//! `trust-pack`: what a verifier needs offline, written to a file or taken from one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::{Value, json};
use yunling_protocol::trust_pack::PACK_BYTES_MAX;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::show::{list, text};
use crate::words::fields;

/// Longest wait: every peer is asked for its newest lists first.
const PACK_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Acts on trust packs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Writes one.
    Export {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Takes the lists of one.
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Export { file } => export(&file, context).await,
        Verb::Import { file } => import(&file, context).await,
    }
}

async fn export(file: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    let mut answer = context.control()?.call_within("trust-pack/export", json!({}), PACK_WITHIN).await?;
    let bytes = BASE64.decode(text(&answer, "file").as_bytes());
    let bytes = bytes.map_err(|e| Failure::new("control-broken").with("cause", e).exit(Exit::CannotTell))?;
    files::write(file, &bytes, files::MODE_PUBLIC)?;
    answer["file"] = file.display().to_string().into();
    let out = context.out;
    out.object(&answer);
    let values = [
        ("file", text(&answer, "file")),
        ("bytes", text(&answer, "bytes")),
        ("lists", list(&answer, "lists").len().to_string()),
        ("cards", text(&answer, "cards")),
    ];
    out.say("trust-pack-written", &fields(values));
    contents(out, &answer);
    Ok(Exit::Yes)
}

async fn import(file: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    let bytes = files::read(file, PACK_BYTES_MAX as u64)?;
    let body = json!({ "file": BASE64.encode(&bytes) });
    let answer = context.control()?.call_within("trust-pack/import", body, PACK_WITHIN).await?;
    let out = context.out;
    out.object(&answer);
    let keys = ["by", "made", "taken", "known"];
    out.say("trust-pack-taken", &fields(keys.map(|key| (key, text(&answer, key)))));
    contents(out, &answer);
    for (code, count) in answer["refused"].as_object().into_iter().flatten() {
        let why = out.words.error(code, &fields::<&str, 0>([]));
        out.say("trust-pack-refused", &fields([("count", count.to_string()), ("why", why)]));
    }
    Ok(Exit::Yes)
}

fn contents(out: &Output, answer: &Value) {
    let rows: Vec<Vec<String>> = list(answer, "lists")
        .iter()
        .map(|l| vec![text(l, "issuer"), text(l, "uri"), text(l, "made"), text(l, "expires")])
        .collect();
    if !rows.is_empty() {
        out.table(&["issuer", "list", "made", "expires"], &[], rows);
    }
}
