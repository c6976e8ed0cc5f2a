//! `backup`: makes, checks and lists backups. With the node running it makes them, else this
//! process; checking and listing never need the node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use yunling_node::backup::keys::{self, ExposeSecret as _, Unlock};
use yunling_node::backup::{CreateRequest, Found, Manifest, Opened, folder_of, list};
use yunling_node::config::CONFIG_FILE;
use yunling_node::home::Home;
use yunling_node::service::Node;
use yunling_protocol::key::Role;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::show::text;
use crate::words::{Fields, fields};

/// Longest wait for a backup: a prefecture's store on a slow disk, then a NAS.
const BACKUP_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Acts on backups.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Makes one.
    Create {
        /// File instead of one in the folder.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Passphrase instead of the recipient.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Checks one.
    Verify {
        /// The backup.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What opens it.
        #[command(flatten)]
        unlock: UnlockArgs,
    },
    /// Lists them.
    List {},
    /// Makes a new key for backups.
    NewKey {},
}

/// What opens a backup.
#[derive(Debug, clap::Args)]
pub(crate) struct UnlockArgs {
    /// Identity from the safe.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    identity: Option<PathBuf>,
    /// Passphrase.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl UnlockArgs {
    /// The keys, when any were given.
    pub(crate) fn read(&self) -> Result<Option<Unlock>, Failure> {
        Ok(match (&self.identity, &self.passphrase_file) {
            (Some(path), _) => Some(Unlock::identities(path)?),
            (None, Some(path)) => Some(Unlock::passphrase(path)?),
            (None, None) => None,
        })
    }
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Create { out, passphrase_file } => {
            let absolute = |path: Option<PathBuf>| path.map(|p| files::absolute(&p)).transpose();
            let request = CreateRequest { out: absolute(out)?, passphrase_file: absolute(passphrase_file)? };
            create(context, request).await
        }
        Verb::Verify { file, unlock } => {
            blocking(context, move |home| verify(home, &file, &unlock), shown).await
        }
        Verb::List {} => blocking(context, listed, show_list).await,
        Verb::NewKey {} => new_key(context),
    }
}

/// Runs `act` on a thread that may wait for a disk, prints its answer.
async fn blocking(
    context: &Context<'_>,
    act: impl FnOnce(&Path) -> Result<Value, Failure> + Send + 'static,
    show: impl FnOnce(&Context<'_>, &Value),
) -> Result<Exit, Failure> {
    let home = context.home()?;
    let done = tokio::task::spawn_blocking(move || act(&home)).await;
    let answer = done.unwrap_or_else(|e| Err(Failure::new("internal").with("cause", e)))?;
    context.out.object(&answer);
    show(context, &answer);
    Ok(Exit::Yes)
}

async fn create(context: &Context<'_>, request: CreateRequest) -> Result<Exit, Failure> {
    let out = context.out;
    let body = serde_json::to_value(&request).map_err(|e| Failure::new("internal").with("cause", e))?;
    let answer = match context.control()?.call_within("backup/create", body, BACKUP_WITHIN).await {
        Err(failure) if failure.code == "node-unreachable" => {
            let path = context.home()?;
            let work = move || -> Result<Value, Failure> {
                Ok(Node::open(Home::open(&path)?)?.create_backup(&request)?)
            };
            let done = tokio::task::spawn_blocking(work).await;
            done.unwrap_or_else(|e| Err(Failure::new("internal").with("cause", e)))?
        }
        answer => answer?,
    };
    out.object(&answer);
    let values = ["file", "rows", "bytes"].map(|key| (key, text(&answer, key)));
    out.say("backup-made", &fields(values));
    if answer.get("copy").is_some() {
        out.say("backup-copied", &fields([("file", text(&answer, "copy"))]));
    }
    let Some(refused) = answer.get("copy_failure") else { return Ok(Exit::Yes) };
    // The backup is made; that it lies on one machine only is told and is not success.
    let values = refused.get("fields").and_then(Value::as_object).into_iter().flatten();
    let values: Fields =
        values.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect();
    out.line(&out.words.error(&text(refused, "code"), &values));
    Ok(Exit::No)
}

fn as_json(manifest: &Manifest) -> Value {
    json!({
        "node": manifest.node.to_string(), "division": manifest.division, "trial": manifest.trial,
        "generation": manifest.life.generation, "made_at": manifest.made_at.0,
        "made": manifest.made_at.to_string(), "rows": manifest.rows("store"),
        "passphrase": manifest.passphrase,
    })
}

/// Checks a file; whose it must be is known only where there is a home.
fn verify(home: &Path, file: &Path, unlock: &UnlockArgs) -> Result<Value, Failure> {
    let unlock = unlock.read()?;
    let opened = Opened::open(file)?;
    let own = home.join(CONFIG_FILE).exists();
    if own {
        let home = Home::open(home)?;
        let ring = home.keys.ring();
        if !ring.of(Role::Statement).any(|key| key.entry.public == opened.manifest.key) {
            return Err(Failure::new("backup-foreign")
                .with("path", file.display())
                .with("node", &opened.manifest.node));
        }
    }
    if let Some(unlock) = &unlock {
        opened.content(unlock, |_, _, _| Ok(()))?;
    }
    let mut answer = as_json(&opened.manifest);
    answer["file"] = file.display().to_string().into();
    answer["bytes"] = opened.bytes.into();
    answer["own"] = own.into();
    answer["opened"] = unlock.is_some().into();
    Ok(answer)
}

fn shown(context: &Context<'_>, answer: &Value) {
    let out = context.out;
    let values = fields(["node", "made", "rows", "bytes"].map(|key| (key, text(answer, key))));
    out.say("backup-whole", &values);
    out.say(if answer["opened"] == true { "backup-opened" } else { "backup-not-opened" }, &values);
    if answer["own"] != true {
        out.say("backup-not-compared", &values);
    }
}

fn listed(home: &Path) -> Result<Value, Failure> {
    let home = Home::open(home)?;
    let mut rows = Vec::new();
    let folders = [Some(folder_of(&home)), home.config.backup.copy_to.clone()];
    for folder in folders.into_iter().flatten() {
        rows.extend(list(&folder, &home.name)?.iter().map(row));
    }
    Ok(json!({ "backups": rows }))
}

fn row(found: &Found) -> Value {
    let mut value = match &found.manifest {
        Ok(manifest) => as_json(manifest),
        Err(refusal) => json!({ "error": refusal.code }),
    };
    value["file"] = found.path.display().to_string().into();
    value["bytes"] = found.bytes.into();
    value
}

fn show_list(context: &Context<'_>, answer: &Value) {
    let out = context.out;
    let rows = crate::show::list(answer, "backups");
    if rows.is_empty() {
        out.say("backup-none", &Fields::new());
        return;
    }
    let cells = |row: &Value| {
        let state = if row.get("error").is_some() {
            text(row, "error")
        } else {
            out.words.word("word-backup-signed")
        };
        vec![text(row, "made"), text(row, "rows"), text(row, "bytes"), state, text(row, "file")]
    };
    let table = rows.iter().map(cells).collect();
    out.table(&["made", "rows", "bytes", "state", "file"], &["rows", "bytes"], table);
}

fn new_key(context: &Context<'_>) -> Result<Exit, Failure> {
    let path = context.home()?;
    // A home that opens: a key for backups of nothing would only mislead.
    Home::open(&path)?;
    let identity = keys::renew(&path)?.expose_secret().to_owned();
    context.out.object(&json!({ "backup_identity": identity }));
    context.out.say("backup-identity", &fields([("identity", identity)]));
    Ok(Exit::Yes)
}
