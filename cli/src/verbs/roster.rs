//! `roster`: who is a member. Stewards work on files and need no node; a node adopts a file and offers it
//! to its peers.
//!
//! A roster file holds all versions; the last one may be one that the stewards still sign. So whoever
//! signs sees against what.

mod draft;
mod file;
mod said;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::{Value, json};
use yunling_node::clock::Clock;
use yunling_node::steward;
use yunling_protocol::key::Signer as _;
use yunling_protocol::roster::{CHAIN_BYTES_MAX, Freshness};

use super::Context;
use crate::failure::{Exit, Failure};
use crate::fetch;
use crate::files;
use crate::show::text;
use crate::words::fields;

pub(crate) use draft::moment;
use file::RosterFile;
pub(crate) use said::short;

/// Acts on the roster.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Makes a steward's key.
    Key {
        /// New file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// File with the passphrase.
        #[arg(long, value_name = "FILE")]
        passphrase: Option<PathBuf>,
    },
    /// The first version.
    New(draft::NewArgs),
    /// The next version.
    Propose(Box<draft::ProposeArgs>),
    /// Signs the last version of a file.
    Sign {
        /// Roster file, changed in its place.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// A steward's key.
        #[arg(long, value_name = "FILE", required_unless_present = "take")]
        key: Option<PathBuf>,
        /// File with the passphrase of the key.
        #[arg(long, value_name = "FILE", requires = "key")]
        passphrase: Option<PathBuf>,
        /// Another copy whose signatures are taken over.
        #[arg(long, value_name = "FILE")]
        take: Vec<PathBuf>,
    },
    /// Adopts a file in this home and offers it to the peers.
    Publish {
        /// Roster file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Fingerprint of the stewards, the first time.
        #[arg(long, value_name = "DIGITS")]
        fingerprint: Option<String>,
    },
    /// Fetches the roster from a web address, adopts it and offers it to the peers.
    Pull {
        /// Address of a roster file.
        #[arg(value_name = "URL")]
        url: String,
        /// Fingerprint of the stewards, the first time.
        #[arg(long, value_name = "DIGITS")]
        fingerprint: Option<String>,
    },
    /// Pins the stewards; the roster comes from a peer.
    Pin {
        /// Fingerprint of the stewards.
        #[arg(value_name = "DIGITS")]
        fingerprint: String,
    },
    /// The roster of this node, or of a file.
    Show {
        /// Roster file.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// File to write this node's roster to.
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        out: Option<PathBuf>,
    },
    /// What changed between two files, or in the last version of one.
    Diff {
        /// Roster file.
        #[arg(value_name = "FILE")]
        old: PathBuf,
        /// Newer roster file.
        #[arg(value_name = "NEWER")]
        new: Option<PathBuf>,
    },
    /// Checks every version of a file.
    Verify {
        /// Roster file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Fingerprint the stewards must have.
        #[arg(long, value_name = "DIGITS")]
        fingerprint: Option<String>,
    },
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Key { file, passphrase } => key(context, &file, passphrase.as_deref()),
        Verb::New(args) => draft::new(&args, context),
        Verb::Propose(args) => draft::propose(&args, context),
        Verb::Sign { file, key, passphrase, take } => {
            sign(context, &file, key.as_deref(), passphrase.as_deref(), &take)
        }
        Verb::Publish { file, fingerprint } => {
            publish(context, &files::read(&file, CHAIN_BYTES_MAX as u64)?, fingerprint).await
        }
        Verb::Pull { url, fingerprint } => {
            publish(context, &fetch::get(&url, CHAIN_BYTES_MAX).await?, fingerprint).await
        }
        Verb::Pin { fingerprint } => pin(context, &fingerprint).await,
        Verb::Show { file: Some(file), .. } => show_file(context, &file),
        Verb::Show { file: None, out } => show(context, out.as_deref()).await,
        Verb::Diff { old, new } => difference(context, &old, new.as_deref()),
        Verb::Verify { file, fingerprint } => verify(context, &file, fingerprint.as_deref()),
    }
}

fn key(context: &Context<'_>, file: &Path, passphrase: Option<&Path>) -> Result<Exit, Failure> {
    let public = data_encoding::HEXLOWER.encode(&steward::create(file, passphrase)?);
    let shown = file.display().to_string();
    context.out.object(&json!({ "file": shown, "public": public, "encrypted": passphrase.is_some() }));
    context.out.say("roster-key", &fields([("file", shown.as_str()), ("public", &public)]));
    if passphrase.is_none() {
        context.out.say("roster-key-open", &fields([("file", shown)]));
    }
    Ok(Exit::Yes)
}

fn sign(
    context: &Context<'_>,
    path: &Path,
    key: Option<&Path>,
    passphrase: Option<&Path>,
    take: &[PathBuf],
) -> Result<Exit, Failure> {
    let mut file = RosterFile::read(path)?;
    for other in take {
        let other_file = RosterFile::read(other)?;
        if !file.last_mut().merge(other_file.last()) {
            return Err(Failure::new("roster-other-version").with("path", other.display()));
        }
    }
    if let Some(key) = key {
        let signer = steward::open(key, passphrase)?;
        if !file.stewards().any(|s| *s.public() == signer.public()) {
            return Err(Failure::new("roster-not-steward").with("path", key.display()));
        }
        file.last_mut().sign(&signer).map_err(|e| Failure::new("sign-device").with("cause", e))?;
    }
    // A signature that does not count, or a history that is not one, is found here and not at the nodes.
    let standing = file.standing()?;
    file.write(path)?;
    let mut answer = said::roster(file.last().roster());
    answer["changes"] = said::changes_json(&file.changes());
    answer["complete"] = standing.complete().into();
    answer["before"] = json!({ "have": standing.before.0, "need": standing.before.1 });
    answer["own"] = json!({ "have": standing.own.0, "need": standing.own.1 });
    context.out.object(&answer);
    said::changes(context.out, &file.changes());
    said::standing(context.out, &file, &standing);
    Ok(Exit::Yes)
}

async fn publish(context: &Context<'_>, bytes: &[u8], fingerprint: Option<String>) -> Result<Exit, Failure> {
    let body = json!({ "file": BASE64.encode(bytes), "fingerprint": fingerprint });
    let answer = context.call("roster/publish", body).await?;
    context.out.object(&answer);
    let count = fields([("adopted", text(&answer, "adopted")), ("version", text(&answer, "version"))]);
    context.out.say("roster-published", &count);
    said::view(context.out, &answer);
    Ok(Exit::Yes)
}

async fn pin(context: &Context<'_>, fingerprint: &str) -> Result<Exit, Failure> {
    let answer = context.call("roster/pin", json!({ "fingerprint": fingerprint })).await?;
    context.out.object(&answer);
    context.out.say("roster-pin", &fields([("fingerprint", text(&answer, "fingerprint"))]));
    Ok(Exit::Yes)
}

async fn show(context: &Context<'_>, out: Option<&Path>) -> Result<Exit, Failure> {
    let mut answer = context.call("roster/show", json!({})).await?;
    if answer["version"] == 0 {
        context.out.object(&answer);
        context.out.say("roster-none", &fields([("pinned", text(&answer, "pinned"))]));
        return Ok(Exit::No);
    }
    let exported = context.call("roster/export", json!({})).await?;
    let bytes = BASE64.decode(text(&exported, "file").as_bytes());
    let bytes = bytes.map_err(|e| Failure::new("control-broken").with("cause", e).exit(Exit::CannotTell))?;
    let file = RosterFile::parse(&bytes, Path::new("-"))?;
    let Value::Object(more) = said::roster(file.last().roster()) else { return Ok(Exit::CannotTell) };
    if let Value::Object(answer) = &mut answer {
        answer.extend(more.into_iter().filter(|(key, _)| key == "members" || key == "managers"));
    }
    if let Some(out) = out {
        files::write(out, &bytes, files::MODE_PUBLIC)?;
        answer["out"] = out.display().to_string().into();
    }
    context.out.object(&answer);
    said::view(context.out, &answer);
    said::members(context.out, &answer);
    if let Some(out) = out {
        context.out.say("roster-written", &fields([("file", out.display())]));
    }
    Ok(Exit::Yes)
}

fn show_file(context: &Context<'_>, path: &Path) -> Result<Exit, Failure> {
    let file = RosterFile::read(path)?;
    let answer = said::roster(file.last().roster());
    context.out.object(&answer);
    said::view(context.out, &answer);
    said::members(context.out, &answer);
    Ok(Exit::Yes)
}

fn difference(context: &Context<'_>, old: &Path, new: Option<&Path>) -> Result<Exit, Failure> {
    let file = RosterFile::read(old)?;
    let changes = match new {
        None => file.changes(),
        Some(new) => {
            yunling_protocol::roster::diff(file.last().roster(), RosterFile::read(new)?.last().roster())
        }
    };
    context.out.object(&json!({ "changes": said::changes_json(&changes) }));
    said::changes(context.out, &changes);
    Ok(Exit::Yes)
}

fn verify(context: &Context<'_>, path: &Path, fingerprint: Option<&str>) -> Result<Exit, Failure> {
    let file = RosterFile::read(path)?;
    let now = Clock::for_home(file.last().roster().trial).now();
    let chain = file.chain(fingerprint, now)?;
    let freshness = chain.freshness(now);
    let mut answer = said::roster(file.last().roster());
    answer["valid"] = true.into();
    answer["pinned"] = fingerprint.is_some().into();
    answer["freshness"] = freshness.word().into();
    answer["days_left"] = freshness.days_left().into();
    context.out.object(&answer);
    let count = fields([("version", file.last().roster().version)]);
    context.out.say(if fingerprint.is_some() { "roster-valid" } else { "roster-valid-unpinned" }, &count);
    said::view(context.out, &answer);
    // Genuine, but what it says may be old: not a plain yes.
    Ok(if matches!(freshness, Freshness::Expired { .. }) { Exit::CannotTell } else { Exit::Yes })
}
