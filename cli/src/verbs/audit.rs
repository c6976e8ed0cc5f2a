//! `audit`: replays a whole log. That of a peer is fetched by the running node; one in a folder (a stick, a
//! copy of a web server) is replayed here, with nothing but the cards one trusts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use yunling_node::audit::{Held, audit};
use yunling_node::log::Folder;
use yunling_node::service::audit::view;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::show::{flag, list, number, text};
use crate::trust::Trust;
use crate::words::fields;

/// Longest wait for a peer's log: ten million entries are 40,000 files.
const AUDIT_WITHIN: Duration = Duration::from_secs(3 * 3600);
/// How often the bar looks.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Largest checkpoint file.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// Options of `audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A peer, or the folder of a log.
    #[arg(value_name = "NODE|DIR")]
    log: String,
    /// Cards that say whose log it is; with them a folder is replayed.
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// Checkpoints of it that were seen elsewhere.
    #[arg(long, value_name = "FILE", requires = "trust")]
    seen: Vec<PathBuf>,
    /// Where evidence is written, should there be any.
    #[arg(long, value_name = "FILE", requires = "trust")]
    evidence: Option<PathBuf>,
}

/// Audits.
pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let answer = if args.trust.is_empty() { of_peer(&args.log, context).await? } else { of_folder(&args)? };
    context.out.object(&answer);
    show(&answer, context);
    Ok(if flag(&answer, "clean") { Exit::Yes } else { Exit::No })
}

/// The node does the work; the bar asks it now and then how far it is.
async fn of_peer(name: &str, context: &Context<'_>) -> Result<Value, Failure> {
    let control = context.control()?;
    let work = control.call_within("audit", json!({ "name": name }), AUDIT_WITHIN);
    tokio::pin!(work);
    let bar = bar();
    let answer = loop {
        tokio::select! {
            answer = &mut work => break answer,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        // A look that fails says nothing of the work.
        let Ok(answer) = context.call("audit/progress", json!({ "name": name })).await else { continue };
        let under = &answer["under"];
        if !under.is_null() {
            bar.set_message(context.out.words.of("audit", &text(under, "stage")));
            bar.set_length(number(under, "of"));
            bar.set_position(number(under, "at"));
        }
    };
    bar.finish_and_clear();
    answer
}

/// On stderr, and only where that is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn of_folder(args: &Args) -> Result<Value, Failure> {
    let mut trust = Trust::read(&args.trust)?;
    let now = trust.settle();
    let seen: Vec<String> =
        args.seen.iter().map(|path| files::read_text(path, NOTE_BYTES_MAX)).collect::<Result<_, _>>()?;
    let bar = bar();
    let progress = |at, of| {
        bar.set_length(of);
        bar.set_position(at);
    };
    let folder = Folder::at(&args.log);
    let audited = audit(&folder, &trust.members, &seen, &Held::default(), now, progress)?;
    bar.finish_and_clear();
    let mut answer = view(&audited.report.origin, &audited);
    if let (Some(path), Some(evidence)) = (&args.evidence, audited.evidence.first()) {
        write_new(path, &evidence.encode())?;
        answer["evidence_file"] = path.display().to_string().into();
    }
    Ok(answer)
}

/// Evidence is never written over what is there.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() {
        return Err(Failure::new("evidence-exists").with("path", path.display()));
    }
    files::write(path, bytes, files::MODE_PUBLIC)
}

fn show(answer: &Value, context: &Context<'_>) {
    let out = context.out;
    let keys = ["origin", "entries", "checkpoints", "confirmed"];
    out.say("audit-read", &fields(keys.map(|key| (key, text(answer, key)))));
    match answer.get("witnessed").and_then(Value::as_bool) {
        Some(true) => out.say("audit-witnessed", &fields([("size", text(answer, "size"))])),
        Some(false) => out.say("audit-unwitnessed", &fields([("size", text(answer, "size"))])),
        None => out.say("audit-bilateral", &fields([("size", text(answer, "size"))])),
    }
    for finding in list(answer, "findings") {
        let key = format!("audit-{}", text(finding, "kind"));
        out.say(&key, &fields([("at", text(finding, "at")), ("first", text(finding, "first"))]));
    }
    for life in list(answer, "earlier") {
        out.say(
            "audit-earlier",
            &fields([("origin", text(life, "origin")), ("entries", text(life, "entries"))]),
        );
        for finding in list(life, "findings") {
            let key = format!("audit-{}", text(finding, "kind"));
            out.say(&key, &fields([("at", text(finding, "at")), ("first", text(finding, "first"))]));
        }
    }
    let unread = text(answer, "unread");
    if !unread.is_empty() {
        out.say("audit-unread", &fields([("lives", unread)]));
    }
    let lists = [("missing", "audit-missing"), ("untold", "audit-untold"), ("unplaced", "audit-unplaced")];
    for (key, what) in lists {
        let ids: Vec<String> =
            list(answer, key).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if !ids.is_empty() {
            out.say(what, &fields([("count", ids.len().to_string()), ("ids", ids.join(" "))]));
        }
    }
    if answer.get("evidence_file").is_some() {
        out.say("audit-evidence", &fields([("path", text(answer, "evidence_file"))]));
    }
    let result = if flag(answer, "clean") { "audit-clean" } else { "audit-not-clean" };
    out.say(result, &fields([("count", number(answer, "other_roots"))]));
}
