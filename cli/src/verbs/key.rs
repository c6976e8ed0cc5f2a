//! `key`: this node's own keys. They are files of the home, so all works with the node stopped too; a
//! running node is told to read them again.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use yunling_node::home::change;
use yunling_node::home::{Home, ring::RingKey};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role};

use super::roster::moment;
use super::{Context, peer};
use crate::cards;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::show::{list, text};
use crate::words::{Fields, fields};

/// Acts on keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// All keys with their windows.
    List {},
    /// A second key of a role beside the old one.
    Rotate {
        /// Role.
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,
        /// When the new key begins.
        #[arg(long, value_name = "WHEN")]
        from: Option<String>,
        /// Days for which both count.
        #[arg(long, value_name = "DAYS")]
        overlap: Option<u32>,
        /// File for the new card.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Destroys secrets whose windows are over.
    Retire {
        /// Role.
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,
        /// Key id.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// New keys for lost or stolen ones.
    Replace {
        /// The recovery key.
        #[arg(long, value_name = "FILE")]
        recovery: PathBuf,
        /// Roles; all that work online if left out.
        #[arg(long = "role", value_name = "ROLE", value_parser = role)]
        roles: Vec<Role>,
        /// Since when somebody else may have had the old ones.
        #[arg(long, value_name = "WHEN")]
        compromised_from: Option<String>,
        /// The last card, where key files are lost.
        #[arg(long, value_name = "FILE")]
        card: Option<PathBuf>,
        /// File for the signed request.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

fn role(word: &str) -> Result<Role, String> {
    Role::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| word.to_owned())
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::List {} => keys(context),
        Verb::Rotate { role, from, overlap, out } => {
            let from = from.as_deref().map(|from| moment("--from", from)).transpose()?;
            rotate(context, role, from, overlap, out.as_deref()).await
        }
        Verb::Retire { role, key } => retire(context, role, key.as_deref()).await,
        Verb::Replace { recovery, roles, compromised_from, card, out } => {
            let stolen = compromised_from.as_deref().map(|from| moment("--compromised-from", from));
            replace(context, &recovery, &roles, stolen.transpose()?, card.as_deref(), &out).await
        }
    }
}

fn as_json(entry: &KeyEntry) -> Value {
    json!({
        "role": entry.role.word(), "kid": HEXLOWER.encode(&entry.kid()),
        "from": entry.not_before.to_string(), "until": entry.not_after.map(|end| end.to_string()),
    })
}

/// What a key is now: a stable word.
fn state(key: &RingKey, now: UnixTime, signs: bool) -> &'static str {
    let over = key.entry.not_after.is_some_and(|end| end <= now);
    match (key.is_held(), over) {
        // The recovery key belongs off the machine.
        (false, _) if key.entry.role == Role::Recovery => "offline",
        (false, _) => "retired",
        (true, true) => "over",
        (true, false) if key.entry.not_before > now => "waiting",
        (true, false) if signs => "signing",
        (true, false) => "counting",
    }
}

fn keys(context: &Context<'_>) -> Result<Exit, Failure> {
    let home = Home::open(&context.home()?)?;
    let (ring, now) = (home.keys.ring(), home.clock.now());
    let shown = ring.keys().iter().map(|key| {
        let current = ring.by_window(key.entry.role, now);
        let signs = current.is_some_and(|current| current.entry.public == key.entry.public);
        let mut shown = as_json(&key.entry);
        shown["state"] = state(key, now, signs).into();
        shown
    });
    let answer = json!({ "keys": shown.collect::<Vec<_>>() });
    let out = context.out;
    out.object(&answer);
    let row = |key: &Value| {
        vec![
            out.words.of("role", &text(key, "role")),
            text(key, "kid"),
            text(key, "from"),
            text(key, "until"),
            out.words.of("key", &text(key, "state")),
        ]
    };
    out.table(
        &["role", "kid", "from", "until", "state"],
        &[],
        list(&answer, "keys").iter().map(row).collect(),
    );
    Ok(Exit::Yes)
}

/// Tells a running node; one that does not run reads the keys when it starts.
async fn reload(context: &Context<'_>) -> Result<bool, Failure> {
    match context.call("key/reload", json!({})).await {
        Ok(_) => Ok(true),
        Err(failure) if failure.code == "node-unreachable" => Ok(false),
        Err(failure) => Err(failure),
    }
}

async fn rotate(
    context: &Context<'_>,
    role: Role,
    from: Option<UnixTime>,
    overlap: Option<u32>,
    out: Option<&Path>,
) -> Result<Exit, Failure> {
    let path = context.home()?;
    let home = Home::open(&path)?;
    let entry = change::rotate(&home, role, from, overlap)?;
    let running = reload(context).await?;
    home.reload_keys()?;
    let old = home.keys.ring();
    let old = old.of(role).filter(|key| key.entry.public != entry.public && key.is_held());
    let until = old.filter_map(|key| key.entry.not_after).max().unwrap_or(entry.not_before);
    let mut answer = as_json(&entry);
    answer["old_until"] = until.to_string().into();
    answer["running"] = running.into();
    if let Some(file) = out {
        let card = peer::own_card(context).await?;
        files::write(file, format!("{}\n", text(&card, "card")).as_bytes(), files::MODE_PUBLIC)?;
        answer["out"] = file.display().to_string().into();
        answer["fingerprint"] = card["fingerprint"].clone();
    }
    context.out.object(&answer);
    let role = context.out.words.of("role", role.word());
    let values = [("role", role), ("from", text(&answer, "from")), ("until", text(&answer, "old_until"))];
    context.out.say("key-rotated", &fields(values));
    if let Some(file) = out {
        context.out.say("key-card", &fields([("file", file.display())]));
    }
    Ok(Exit::Yes)
}

async fn retire(context: &Context<'_>, role: Role, kid: Option<&str>) -> Result<Exit, Failure> {
    let home = Home::open(&context.home()?)?;
    let gone = change::retire(&home, role, kid)?;
    let running = reload(context).await?;
    let shown: Vec<Value> = gone.iter().map(as_json).collect();
    context.out.object(&json!({ "retired": shown, "running": running }));
    let role = context.out.words.of("role", role.word());
    context.out.say("key-retired", &fields([("role", role), ("count", gone.len().to_string())]));
    Ok(Exit::Yes)
}

async fn replace(
    context: &Context<'_>,
    recovery: &Path,
    roles: &[Role],
    compromised_from: Option<UnixTime>,
    card: Option<&Path>,
    out: &Path,
) -> Result<Exit, Failure> {
    match context.call("status", json!({})).await {
        Err(failure) if failure.code == "node-unreachable" => {}
        // It would go on with the old network identity, and with keys that others refuse.
        _ => return Err(Failure::new("key-node-runs")),
    }
    if out.symlink_metadata().is_ok() {
        return Err(Failure::new("key-change-exists").with("path", out.display()));
    }
    let recovery = change::recovery_key(recovery)?;
    let path = context.home()?;
    let home = match card {
        None => Home::open(&path)?,
        Some(card) => {
            let card = cards::one_card(&files::read_text(card, cards::TEXT_BYTES_MAX)?)?;
            let home = Home::open_with_card(&path, &card)?;
            if card.card.name != home.name {
                return Err(Failure::new("key-card-other").with("name", &card.card.name));
            }
            home
        }
    };
    let online = Role::ALL.into_iter().filter(|role| *role != Role::Recovery).collect();
    let roles = if roles.is_empty() { online } else { roles.to_vec() };
    let replacement = change::replace(&home, &roles, &recovery, compromised_from)?;
    // First the request: new keys that nobody vouches for would shut the node out.
    files::write(out, &replacement.change, files::MODE_PUBLIC)?;
    let added: Vec<Value> = replacement.added.iter().map(as_json).collect();
    replacement.keep(&home)?;
    let fingerprint = Home::open(&path)?.card(Vec::new())?.fingerprint();
    let shown = out.display().to_string();
    context.out.object(&json!({ "keys": added, "out": shown, "fingerprint": fingerprint }));
    let count = added.len().to_string();
    context
        .out
        .say("key-replaced", &fields([("count", count), ("file", shown), ("fingerprint", fingerprint)]));
    if roles.contains(&Role::Log) {
        context.out.say("key-replaced-log", &Fields::new());
    }
    Ok(Exit::Yes)
}
