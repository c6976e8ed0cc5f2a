//! `repair`: a new store from what is right in a damaged one, on the command line only, with the node
//! stopped. Exit code 0: repaired, or nothing to do; 1: something stayed lost; 2: it cannot be told.

use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::json;
use yunling_node::home::Home;
use yunling_node::repair::{RepairRequest, Report, repair};
use yunling_protocol::day::UnixTime;
use yunling_protocol::name::NodeName;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::words::{Fields, fields};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Options of `repair`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Peers that were accepted.
    #[arg(long, value_name = "NODE", conflicts_with = "no_new_peers")]
    new_peer: Vec<String>,
    /// No others were accepted.
    #[arg(long)]
    no_new_peers: bool,
}

/// Repairs.
pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let names = args
        .new_peer
        .iter()
        .map(|name| NodeName::parse(name).map_err(|_| Failure::usage("node-name").with("value", name)));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let new_peers = (args.no_new_peers || !names.is_empty()).then_some(names);
    let home = Home::open(&context.home()?)?;
    let request = RepairRequest { home, new_peers, dry_run: args.dry_run };
    let spinner = spinner(context.out);
    let done = tokio::task::spawn_blocking(move || repair(request)).await;
    spinner.finish_and_clear();
    let report = done.map_err(|e| Failure::new("internal").with("cause", e))??;
    let exit = exit_of(&report);
    context.out.object(&json!(report));
    show(context.out, &report);
    Ok(exit)
}

fn spinner(out: &Output) -> ProgressBar {
    if out.json {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(out.words.word("repair-works"));
    spinner.enable_steady_tick(TICK);
    spinner
}

fn exit_of(report: &Report) -> Exit {
    let holes = report.holed_dossiers + report.missing_statements + report.forged;
    // Holes that an earlier run left count too, though nothing more can be done about them here.
    match report.lost() {
        Some(0) if holes == 0 => Exit::Yes,
        None if holes == 0 => Exit::CannotTell,
        _ => Exit::No,
    }
}

fn show(out: &Output, report: &Report) {
    if let Some(why) = &report.why {
        out.say("repair-why", &fields([("why", why)]));
    }
    if report.nothing_to_do {
        let key = if report.holed_dossiers > 0 { "repair-nothing-more" } else { "repair-nothing" };
        out.say(key, &Fields::new());
        return counts(out, report);
    }
    let unknown = out.words.word("word-repair-unknown");
    let count = |n: Option<u64>| n.map_or_else(|| unknown.clone(), |n| n.to_string());
    let rows = report.tables.iter().map(|t| {
        let (kept, rebuilt) = (t.kept.to_string(), t.rebuilt.to_string());
        vec![t.table.clone(), count(t.had), kept, rebuilt, count(t.lost)]
    });
    let headers = ["table", "had", "kept", "rebuilt", "lost"];
    out.table(&headers, &headers[1..], rows.collect());
    counts(out, report);
    outcome(out, report);
    let lost = report.lost();
    if let Some(backup) = report.backup.as_ref().filter(|_| lost != Some(0)) {
        let made = UnixTime(backup.made_at).to_string();
        let values =
            [("file", backup.file.display().to_string()), ("made", made), ("rows", backup.rows.to_string())];
        out.say("repair-backup", &fields(values));
    }
}

/// What was met beside the rows of the tables.
fn counts(out: &Output, report: &Report) {
    let counted = [
        ("repair-damaged", report.damaged),
        ("repair-erased", report.erased),
        ("repair-missing", report.missing_statements),
        ("repair-holed", report.holed_dossiers),
        ("repair-by-date", report.by_date),
        ("repair-forged", report.forged),
        ("repair-unjudged", report.unjudged),
    ];
    for (key, n) in counted.into_iter().filter(|(_, n)| *n > 0) {
        out.say(key, &fields([("count", n)]));
    }
}

/// What became of the store.
fn outcome(out: &Output, report: &Report) {
    if report.peers_lost {
        out.say("repair-peers-lost", &Fields::new());
    }
    if !report.accept_again.is_empty() {
        out.say("repair-accept-again", &fields([("nodes", report.accept_again.join(" "))]));
    }
    if report.dry_run {
        return out.say("repair-dry", &Fields::new());
    }
    if let Some(kept) = &report.kept_as {
        out.say("repair-done", &fields([("kept", kept.display().to_string())]));
    }
    match report.generation {
        Some(generation) => out.say("restore-fenced", &fields([("generation", generation)])),
        None => out.say("repair-not-fenced", &Fields::new()),
    }
}
