//! One file per verb or noun; this one brings the command line to them.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod correct;
pub(crate) mod courier;
pub(crate) mod delivery;
pub(crate) mod doctor;
pub(crate) mod dossier;
pub(crate) mod evidence;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod peer;
pub(crate) mod proof;
pub(crate) mod record;
pub(crate) mod recovery;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod roster;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod takeover;
pub(crate) mod transfer;
pub(crate) mod trust_pack;
pub(crate) mod verify;
pub(crate) mod void;
pub(crate) mod volunteer;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::args::{Cli, Verb};
use crate::control::Control;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Name of the default home in the user's folder.
const HOME_FOLDER: &str = ".yunling";

/// What every verb has at hand.
pub(crate) struct Context<'a> {
    home: Option<PathBuf>,
    /// Where it prints.
    pub(crate) out: &'a Output,
}

impl Context<'_> {
    /// Home of the node: `--home`, `YUNLING_HOME`, else `~/.yunling`.
    pub(crate) fn home(&self) -> Result<PathBuf, Failure> {
        let given = self.home.clone().filter(|path| !path.as_os_str().is_empty());
        let usual = || std::env::home_dir().map(|folder| folder.join(HOME_FOLDER));
        given.or_else(usual).ok_or_else(|| Failure::usage("home-unset"))
    }

    /// The way to the running node.
    pub(crate) fn control(&self) -> Result<Control, Failure> {
        Ok(Control { home: self.home()? })
    }

    /// One call to the running node.
    pub(crate) async fn call(&self, act: &str, body: Value) -> Result<Value, Failure> {
        self.control()?.call(act, body).await
    }
}

/// Runs a command to its exit code.
pub(crate) async fn run(cli: Cli, out: &Output) -> ExitCode {
    let context = Context { home: cli.home, out };
    let verb = match cli.verb {
        Verb::Demo(args) => return crate::demo::run(args, out).await,
        Verb::Bench(args) => return crate::bench::run(args, out).await,
        verb => verb,
    };
    match act(verb, &context).await {
        Ok(exit) => exit.into(),
        Err(failure) => out.fail(&failure),
    }
}

async fn act(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(args) => init::run(&args, context),
        Verb::Run(args) => run::run(args, context).await,
        Verb::Status(args) => status::run(args, context).await,
        Verb::Doctor(args) => doctor::run(args, context).await,
        Verb::Peer(verb) => peer::run(verb, context).await,
        Verb::Volunteer(verb) => volunteer::run(verb, context).await,
        Verb::Import(args) => import::run(args, context).await,
        Verb::Record(args) => record::run(*args, context).await,
        Verb::Void(args) => void::run(args, context).await,
        Verb::Correct(args) => correct::run(args, context).await,
        Verb::Dossier(verb) => dossier::run(verb, context).await,
        Verb::Transfer(verb) => transfer::run(verb, context).await,
        Verb::Takeover(verb) => takeover::run(verb, context).await,
        Verb::Delivery(verb) => delivery::run(verb, context).await,
        Verb::Courier(verb) => courier::run(verb, context).await,
        Verb::Recovery(verb) => recovery::run(verb, context).await,
        Verb::Audit(args) => audit::run(args, context).await,
        Verb::Evidence(verb) => evidence::run(verb, context).await,
        Verb::Roster(verb) => roster::run(*verb, context).await,
        Verb::Key(verb) => key::run(verb, context).await,
        Verb::Proof(verb) => proof::run(verb, context).await,
        Verb::TrustPack(verb) => trust_pack::run(verb, context).await,
        Verb::Backup(verb) => backup::run(verb, context).await,
        Verb::Restore(args) => restore::run(args, context).await,
        Verb::Repair(args) => repair::run(args, context).await,
        Verb::Completions(args) => Ok(completions::run(&args, context)),
        // Both were taken before: they end with their own exit code.
        Verb::Demo(_) | Verb::Bench(_) => Ok(Exit::Yes),
    }
}
