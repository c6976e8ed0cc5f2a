//! `doctor`: what is good, what to look at and what is broken at the running node, each with its remedy.

use serde_json::{Value, json};

use super::Context;
use crate::control::TEST_WITHIN;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::show::{flag, list, text};
use crate::words::{Fields, fields};

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Shows the checks; exit code 1 when one failed.
pub(crate) async fn run(_args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.control()?.call_within("doctor", json!({}), TEST_WITHIN).await?;
    out.object(&answer);
    let checks = list(&answer, "checks");
    for check in checks {
        let line = [("level", out.words.of("level", &text(check, "level"))), ("text", sentence(out, check))];
        out.say("doctor-line", &fields(line));
    }
    let count = |level: &str| checks.iter().filter(|check| text(check, "level") == level).count();
    let counts = fields([("good", count("ok")), ("warned", count("warn")), ("failed", count("fail"))]);
    out.say("doctor-summary", &counts);
    Ok(if flag(&answer, "ok") { Exit::Yes } else { Exit::No })
}

/// What was found and what to do about it.
fn sentence(out: &Output, check: &Value) -> String {
    let given = check.get("fields").and_then(Value::as_object).into_iter().flatten();
    let mut known: Fields = given.map(|(key, _)| (key.clone(), text(&check["fields"], key))).collect();
    let error = text(check, "error");
    if !error.is_empty() {
        known.insert("reason".to_owned(), out.words.error(&error, &known));
    }
    let code = text(check, "code");
    let key = format!("doctor-{code}");
    // A newer node may know checks that this program does not.
    if out.words.has(&key) { out.words.say(&key, &known) } else { code }
}
