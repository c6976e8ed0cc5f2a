//! `evidence`: what a node has signed against itself. Verifying asks nobody: the file and the card of the
//! accused are enough, on any machine.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::json;
use yunling_protocol::key::{KeyEntry, Role};
use yunling_protocol::log::evidence::{EVIDENCE_BYTES_MAX, Evidence};
use yunling_protocol::name::NodeName;

use super::Context;
use super::audit::write_new;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::show::{list, text};
use crate::trust::Trust;
use crate::words::{Fields, fields};

/// Acts on evidence.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// What this node has met.
    List {},
    /// Writes one to a file.
    Export {
        /// Its id in the list.
        #[arg(value_name = "ID")]
        id: String,
        /// The new file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Takes one from a file.
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Lets an exposed node in again.
    Lift {
        /// The node.
        #[arg(value_name = "NODE")]
        node: String,
        /// Why, for the record.
        #[arg(long = "reason", value_name = "TEXT")]
        why: String,
    },
    /// Checks a file.
    Verify {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Cards, that of the accused among them.
        #[arg(long, value_name = "FILE", required = true)]
        trust: Vec<PathBuf>,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::List {} => list_all(context).await,
        Verb::Export { id, file } => export(&id, &file, context).await,
        Verb::Import { file } => import(&file, context).await,
        Verb::Lift { node, why } => {
            let answer = context.call("evidence/lift", json!({ "node": node, "reason": why })).await?;
            context.out.object(&answer);
            context.out.say("evidence-lifted", &fields([("node", text(&answer, "node"))]));
            Ok(Exit::Yes)
        }
        Verb::Verify { file, trust } => verify(&file, &trust, context),
    }
}

async fn list_all(context: &Context<'_>) -> Result<Exit, Failure> {
    let answer = context.call("evidence/list", json!({})).await?;
    let out = context.out;
    out.object(&answer);
    let all = list(&answer, "evidence");
    if all.is_empty() {
        out.say("evidence-none", &Fields::new());
    }
    for one in all {
        let proved = fields(["id", "node", "log", "at"].map(|key| (key, text(one, key))));
        out.say(&format!("evidence-{}", text(one, "kind")), &proved);
    }
    Ok(Exit::Yes)
}

async fn export(id: &str, file: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    let answer = context.call("evidence/export", json!({ "id": id })).await?;
    let bytes = BASE64.decode(text(&answer, "file").as_bytes());
    let bytes = bytes.map_err(|e| Failure::new("control-broken").with("cause", e).exit(Exit::CannotTell))?;
    write_new(file, &bytes)?;
    let written = json!({ "id": text(&answer, "id"), "file": file.display().to_string() });
    context.out.object(&written);
    context.out.say("evidence-written", &fields([("path", file.display().to_string())]));
    Ok(Exit::Yes)
}

async fn import(file: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    let bytes = files::read(file, EVIDENCE_BYTES_MAX as u64)?;
    let answer = context.call("evidence/import", json!({ "file": BASE64.encode(&bytes) })).await?;
    context.out.object(&answer);
    context.out.say("evidence-taken", &fields([("node", text(&answer, "node"))]));
    Ok(Exit::Yes)
}

fn verify(file: &Path, trust: &[PathBuf], context: &Context<'_>) -> Result<Exit, Failure> {
    let mut trust = Trust::read(trust)?;
    // A thief of keys can make evidence: those known to be in other hands do not count.
    let (now, members) = (trust.settle(), &trust.members);
    let bytes = files::read(file, EVIDENCE_BYTES_MAX as u64)?;
    let keys = |node: &NodeName, role: Role| -> Vec<KeyEntry> {
        members.keys_ever(node, role, now).cloned().collect()
    };
    let judged = Evidence::decode(&bytes).and_then(|evidence| Ok((evidence.word(), evidence.verify(keys)?)));
    let out = context.out;
    match judged {
        Ok((kind, proved)) => {
            let (node, log, at) = proved.place();
            out.object(&json!({ "verified": true, "kind": kind, "node": node, "log": log, "at": at }));
            let values = fields([("id", String::new()), ("node", node), ("log", log), ("at", at)]);
            out.say(&format!("evidence-{kind}"), &values);
            out.say("evidence-verified", &values);
            Ok(Exit::Yes)
        }
        Err(error) => {
            out.object(&json!({ "verified": false, "why": error.code() }));
            out.say(
                "evidence-nothing",
                &fields([("cause", error.to_string()), ("code", error.code().to_owned())]),
            );
            Ok(Exit::No)
        }
    }
}
