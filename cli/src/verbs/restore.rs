//! `restore`: a home from a backup, on the command line only. Asks nothing: what only a person knows
//! is demanded as an option.

use std::path::PathBuf;

use serde_json::json;
use yunling_node::backup::{RestoreRequest, Restored, restore};
use yunling_protocol::name::NodeName;

use super::Context;
use super::backup::UnlockArgs;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::words::fields;

/// Options of `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What opens it.
    #[command(flatten)]
    unlock: UnlockArgs,
    /// Peers accepted since.
    #[arg(long, value_name = "NODE", conflicts_with = "no_new_peers")]
    new_peer: Vec<String>,
    /// No peers were accepted since.
    #[arg(long)]
    no_new_peers: bool,
}

/// Restores.
pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    if args.new_peer.is_empty() && !args.no_new_peers {
        return Err(Failure::usage("restore-new-peers"));
    }
    let names = args
        .new_peer
        .iter()
        .map(|name| NodeName::parse(name).map_err(|_| Failure::usage("node-name").with("value", name)));
    let new_peers = names.collect::<Result<Vec<_>, _>>()?;
    let unlock = args.unlock.read()?.ok_or_else(|| Failure::usage("backup-unlock"))?;
    let home = files::absolute(&context.home()?)?;
    let target = home.clone();
    let waits_for = args.new_peer.clone();
    let work = move || restore(RestoreRequest { file: &args.file, home: &target, unlock, new_peers });
    let done = tokio::task::spawn_blocking(work).await;
    let Restored { manifest, life, rows, erased, again } =
        done.map_err(|e| Failure::new("internal").with("cause", e))??;
    let out = context.out;
    let shown = home.display().to_string();
    out.object(&json!({
        "home": shown, "node": manifest.node.to_string(), "made_at": manifest.made_at.0, "rows": rows,
        "erased": erased, "generation": life.generation, "fenced": true, "again": again,
        "new_peers": waits_for,
    }));
    let values = [
        ("home", shown),
        ("node", manifest.node.to_string()),
        ("made", manifest.made_at.to_string()),
        ("rows", rows.to_string()),
        ("erased", erased.to_string()),
        ("generation", life.generation.to_string()),
    ];
    out.say("restore-done", &fields(values.clone()));
    if erased > 0 {
        out.say("restore-erased", &fields(values.clone()));
    }
    out.say("restore-fenced", &fields(values));
    Ok(Exit::Yes)
}
