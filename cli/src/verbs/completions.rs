//! `completions`: shell completion of this grammar.

use clap_complete::Shell;
use serde_json::json;

use super::Context;
use crate::failure::Exit;
use crate::help;

/// Options of `completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, context: &Context<'_>) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::command(&context.out.words), "yunling", &mut script);
    let script = String::from_utf8_lossy(&script);
    context.out.object(&json!({ "shell": args.shell.to_string(), "script": script }));
    context.out.line(script.trim_end());
    Exit::Yes
}
