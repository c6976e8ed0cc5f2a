//! The `yunling` command: every act of an office, by hand or by script.
//!
//! Acts on a running node go through its control socket; `init`, `run`, `proof verify` and an import
//! with the node stopped happen in this process. Exit codes: 0 yes, 1 no, 2 cannot tell, 64 usage,
//! 69 node unreachable.

mod args;
mod bench;
mod cards;
mod control;
mod demo;
mod failure;
mod fetch;
mod files;
mod help;
mod output;
mod show;
mod trust;
mod verbs;
mod words;

use std::process::ExitCode;

use failure::Failure;
use output::Output;
use words::Words;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let json = args.iter().any(|a| a == "--json");
    let out = Output { json, words: Words::new(help::language(&args)) };
    let cli = match help::parse(args, &out) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(verbs::run(cli, &out)),
        Err(cause) => out.fail(&Failure::new("internal").with("cause", cause)),
    }
}
