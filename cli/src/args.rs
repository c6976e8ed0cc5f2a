//! The grammar: NOUN VERB, bare verbs for acts on the whole node and for the clerk's daily acts.
//!
//! What is written here is the shape only; every word of help is in the catalogues and put in by
//! [`crate::help`].

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::verbs;
use crate::words::Lang;

/// Variable that names the home.
pub(crate) const HOME_VARIABLE: &str = "YUNLING_HOME";
/// Variable that names the language.
pub(crate) const LANG_VARIABLE: &str = "YUNLING_LANG";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "yunling", version, disable_help_flag = true, disable_help_subcommand = true)]
#[command(disable_version_flag = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Home of the node.
    #[arg(long, global = true, env = HOME_VARIABLE, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// One JSON object on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Language of the words.
    #[arg(long, global = true, value_name = "zh|en")]
    pub(crate) lang: Option<Lang>,
    /// The command.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Makes a home.
    Init(verbs::init::Args),
    /// Runs the node.
    Run(verbs::run::Args),
    /// Figures of the node.
    Status(verbs::status::Args),
    /// Checks of the node.
    Doctor(verbs::doctor::Args),
    /// Other offices.
    #[command(subcommand, arg_required_else_help = true)]
    Peer(verbs::peer::Verb),
    /// The register.
    #[command(subcommand, arg_required_else_help = true)]
    Volunteer(verbs::volunteer::Verb),
    /// Legacy sheets.
    Import(verbs::import::Args),
    /// Records a service.
    Record(Box<verbs::record::Args>),
    /// Voids records.
    Void(verbs::void::Args),
    /// Corrects a record.
    Correct(verbs::correct::Args),
    /// Dossiers.
    #[command(subcommand, arg_required_else_help = true)]
    Dossier(verbs::dossier::Verb),
    /// Moves of dossiers between offices.
    #[command(subcommand, arg_required_else_help = true)]
    Transfer(verbs::transfer::Verb),
    /// Dossiers of an office that is gone.
    #[command(subcommand, arg_required_else_help = true)]
    Takeover(verbs::takeover::Verb),
    /// Away records that wait for a person.
    #[command(subcommand, arg_required_else_help = true)]
    Delivery(verbs::delivery::Verb),
    /// Courier files.
    #[command(subcommand, arg_required_else_help = true)]
    Courier(verbs::courier::Verb),
    /// The fence of a restored node.
    #[command(subcommand, arg_required_else_help = true)]
    Recovery(verbs::recovery::Verb),
    /// Replays a log.
    Audit(verbs::audit::Args),
    /// Evidence against nodes.
    #[command(subcommand, arg_required_else_help = true)]
    Evidence(verbs::evidence::Verb),
    /// The roster.
    #[command(subcommand, arg_required_else_help = true)]
    Roster(Box<verbs::roster::Verb>),
    /// This node's keys.
    #[command(subcommand, arg_required_else_help = true)]
    Key(verbs::key::Verb),
    /// Proofs.
    #[command(subcommand, arg_required_else_help = true)]
    Proof(verbs::proof::Verb),
    /// Trust packs.
    #[command(subcommand, arg_required_else_help = true)]
    TrustPack(verbs::trust_pack::Verb),
    /// Backups.
    #[command(subcommand, arg_required_else_help = true)]
    Backup(verbs::backup::Verb),
    /// A home from a backup.
    Restore(verbs::restore::Args),
    /// A new store from a damaged one.
    Repair(verbs::repair::Args),
    /// Three offices on this machine.
    Demo(crate::demo::Args),
    /// Speeds.
    Bench(crate::bench::Args),
    /// Shell completion.
    Completions(verbs::completions::Args),
}
