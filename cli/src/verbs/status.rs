//! `status`: figures of the running node.

use serde_json::{Value, json};

use super::Context;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::show::{flag, number, text};
use crate::words::{Fields, Lang, fields};

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Shows the figures.
pub(crate) async fn run(_args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.call("status", json!({})).await?;
    out.object(&answer);
    let title = if out.words.lang == Lang::Zh { "title_zh" } else { "title_en" };
    let peers = fields([("connected", number(&answer, "connected")), ("peers", number(&answer, "peers"))]);
    let outbox = fields([
        ("waiting", number(&answer, "outbox_waiting")),
        ("seconds", number(&answer, "outbox_oldest_seconds")),
    ]);
    let store = fields([("state", text(&answer, "store")), ("free", text(&answer, "free_mib"))]);
    let reach = answer.get("reach").unwrap_or(&serde_json::Value::Null);
    out.pairs(&[
        ("node", format!("{} ({})", text(&answer, title), text(&answer, "name"))),
        ("trial", if flag(&answer, "trial") { out.words.word("word-trial") } else { String::new() }),
        ("division", text(&answer, "division")),
        ("version", text(&answer, "version")),
        ("generation", text(&answer, "generation")),
        ("listen", text(&answer, "listen")),
        ("reach", reach_sentence(out, reach)),
        ("peers", out.words.say("status-peers", &peers)),
        ("volunteers", text(&answer, "volunteers")),
        ("outbox", out.words.say("status-outbox", &outbox)),
        ("transfers-open", text(&answer, "transfers_open")),
        ("held", text(&answer, "held")),
        ("store", out.words.say("status-store", &store)),
        ("roster", super::roster::short(out, &answer["roster"])),
        ("log", log(out, &answer)),
        ("places", places(out, &answer["places"])),
        ("recovery", recovery(out, &answer["recovery"])),
        ("backup", backup(out, &answer["backup"])),
        ("backup-copy", copy(out, &answer["backup"]["copy"])),
    ]);
    let counters = answer.get("counters").and_then(serde_json::Value::as_object);
    if let Some(counters) = counters.filter(|c| !c.is_empty()) {
        out.say("status-counters", &Fields::new());
        for (name, value) in counters {
            out.line(&format!("  {name} {value}"));
        }
    }
    Ok(Exit::Yes)
}

/// The node's own log and what its witnesses say.
fn log(out: &Output, answer: &Value) -> String {
    let (log, witnesses) = (&answer["log"], &answer["witnesses"]);
    let sizes = [("origin", text(log, "origin")), ("size", text(log, "size"))];
    if witnesses.is_null() {
        return out.words.say("status-log", &fields(sizes));
    }
    let [origin, size] = sizes;
    let cosigned = ("cosigned", text(witnesses, "cosigned"));
    let of = [("threshold", text(witnesses, "threshold")), ("of", text(witnesses, "of"))];
    let [threshold, of] = of;
    out.words.say("status-log-witnessed", &fields([origin, size, cosigned, threshold, of]))
}

/// Hours of others whose witnesses are waited for; nothing when there are none.
fn places(out: &Output, places: &Value) -> String {
    if number(places, "awaited") == 0 {
        return String::new();
    }
    let values = ["awaited", "unwitnessed"].map(|key| (key, text(places, key)));
    out.words.say("status-places", &fields(values))
}

/// The fence, and what a restore cost; nothing on a node that never needed either.
fn recovery(out: &Output, recovery: &Value) -> String {
    let names: Vec<&str> = crate::show::list(recovery, "missing").iter().filter_map(Value::as_str).collect();
    let rules = crate::show::list(&recovery["witnesses"], "rules");
    if let Some(rule) = rules.first().filter(|_| flag(recovery, "fenced")) {
        return out.words.say("recovery-short-witnesses", &super::recovery::witnesses(rule));
    }
    if flag(recovery, "fenced") {
        return out.words.say("recovery-short", &fields([("missing", names.join(" "))]));
    }
    let (entries, dossiers) = (number(recovery, "lost_entries"), number(recovery, "lost_dossiers"));
    if entries + dossiers == 0 {
        return String::new();
    }
    out.words.say("recovery-short-lost", &fields([("entries", entries), ("dossiers", dossiers)]))
}

/// Age of the newest backup, and why the last run failed.
fn backup(out: &Output, backup: &Value) -> String {
    let age = backup.get("age_seconds").and_then(Value::as_i64);
    told(out, age, &text(backup, "failure"))
}

/// The same of the copies in the second folder; nothing when there is none.
fn copy(out: &Output, copy: &Value) -> String {
    if copy.is_null() {
        return String::new();
    }
    told(out, copy.get("age_seconds").and_then(Value::as_i64), &text(copy, "failure"))
}

fn told(out: &Output, age: Option<i64>, failure: &str) -> String {
    let age = match age {
        None => out.words.word("status-backup-none"),
        Some(seconds) => {
            let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
            out.words.say("status-backup", &fields([("hours", hours), ("minutes", minutes)]))
        }
    };
    if failure.is_empty() {
        return age;
    }
    out.words.say("status-backup-failed", &fields([("age", age.as_str()), ("code", failure)]))
}

/// How others reach the node, in one sentence.
fn reach_sentence(out: &Output, reach: &serde_json::Value) -> String {
    let key = format!("status-reach-{}", text(reach, "state"));
    let known = fields([("relays", text(reach, "relays")), ("ports", text(reach, "ports"))]);
    if out.words.has(&key) { out.words.say(&key, &known) } else { text(reach, "state") }
}
