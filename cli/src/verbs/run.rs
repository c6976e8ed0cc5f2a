//! `run`: the node, until SIGTERM or Ctrl-C. Logs go to stderr.

use std::io::IsTerminal as _;

use serde_json::json;
use tracing_subscriber::EnvFilter;
use yunling_node::config::{ConfigError, LogFormat, LogSection};
use yunling_node::home::Home;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::words::fields;

/// Options of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the node.
pub(crate) async fn run(_args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let path = context.home()?;
    let home = Home::open(&path)?;
    log(&home.config.log)?;
    let name = home.name.to_string();
    context.out.say("run-starts", &fields([("name", name.as_str()), ("home", &path.display().to_string())]));
    yunling_node::run::run(home).await?;
    context.out.object(&json!({ "name": name, "stopped": true }));
    context.out.say("run-stopped", &fields([("name", &name)]));
    Ok(Exit::Yes)
}

/// Starts the log as the configuration says.
fn log(section: &LogSection) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&section.level).map_err(|_| {
        let expected = "error, warn, info, debug, trace or a filter such as yunling_node=debug";
        ConfigError::Value { key: "log.level".into(), value: section.level.clone(), expected }
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match section.format {
        LogFormat::Plain => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| Failure::new("internal").with("cause", e))
}
