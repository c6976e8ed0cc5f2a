//! Help and usage errors in the language of the user.
//!
//! The catalogues hold `help-<command path>` for every command and `help-arg-<command path>-<name>`
//! or `help-arg-<name>` for every argument; a test walks all of them. Wrong use exits with 64.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, LANG_VARIABLE};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::words::{Lang, Words};

/// Digits in a row that may be an identity or telephone number and are not repeated in an error.
const PRIVATE_DIGITS_MIN: usize = 11;

/// Language asked for by `--lang`, else by `YUNLING_LANG`, else Chinese; needed before the command
/// line is parsed, because its errors are words too.
pub(crate) fn language(args: &[OsString]) -> Lang {
    let texts: Vec<_> = args.iter().map(|a| a.to_string_lossy()).collect();
    let after =
        texts.iter().zip(texts.iter().skip(1)).find(|(flag, _)| *flag == "--lang").map(|(_, value)| &**value);
    let joined = texts.iter().find_map(|a| a.strip_prefix("--lang="));
    let variable = std::env::var(LANG_VARIABLE).ok();
    after
        .or(joined)
        .and_then(Lang::from_text)
        .or_else(|| variable.as_deref().and_then(Lang::from_text))
        .unwrap_or_default()
}

/// The grammar with help in the language of `words`.
pub(crate) fn command(words: &Words) -> Command {
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).global(true);
    localise(Cli::command().arg(version).arg(help), &[], words)
}

/// Catalogue key of the help of a command.
pub(crate) fn command_key(path: &[String]) -> String {
    if path.is_empty() { "help-yunling".to_owned() } else { format!("help-{}", path.join("-")) }
}

/// Catalogue keys under which the help of an argument may stand, the closest first.
pub(crate) fn argument_keys(path: &[String], id: &str) -> [String; 2] {
    let name = id.replace('_', "-");
    let own = path.iter().map(String::as_str).chain([name.as_str()]).collect::<Vec<_>>().join("-");
    [format!("help-arg-{own}"), format!("help-arg-{name}")]
}

fn localise(command: Command, path: &[String], words: &Words) -> Command {
    let template = format!(
        "{{about-with-newline}}\n{} {{usage}}\n\n{{all-args}}{{after-help}}",
        words.word("cli-heading-usage")
    );
    command
        .about(words.word(&command_key(path)))
        .long_about(None)
        .help_template(template)
        .subcommand_help_heading(words.word("cli-heading-commands"))
        .mut_args(|arg| localise_argument(arg, path, words))
        .mut_subcommands(|sub| {
            let path = [path, &[sub.get_name().to_owned()]].concat();
            localise(sub, &path, words).disable_help_flag(true)
        })
}

fn localise_argument(arg: Arg, path: &[String], words: &Words) -> Arg {
    let keys = argument_keys(path, arg.get_id().as_str());
    let key = keys.iter().find(|key| words.has(key)).unwrap_or(&keys[1]);
    let heading = if arg.is_positional() { "cli-heading-arguments" } else { "cli-heading-options" };
    let takes_value = arg.get_action().takes_values();
    arg.help(words.word(key))
        .long_help(None)
        .help_heading(words.word(heading))
        .hide_default_value(takes_value)
        .hide_possible_values(takes_value)
        .hide_env(takes_value)
}

/// Parses the command line, or prints help or what is wrong and gives the exit code.
pub(crate) fn parse(args: Vec<OsString>, out: &Output) -> Result<Cli, ExitCode> {
    let matches = command(&out.words).try_get_matches_from(args);
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| stop(&error, out))
}

fn stop(error: &clap::Error, out: &Output) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Exit::Yes.into()
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !out.json => {
            // To stderr: a script that forgot the command must not take help for an answer.
            let _ = error.print();
            Exit::Usage.into()
        }
        _ => out.fail(&usage(error)),
    }
}

fn usage(error: &clap::Error) -> Failure {
    let value = |kind| error.get(kind).map(words_of).filter(|text| !text.is_empty());
    let code = match error.kind() {
        ErrorKind::InvalidValue if value(ContextKind::InvalidValue).is_none() => "usage-values",
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => "usage-invalid-value",
        ErrorKind::UnknownArgument => "usage-unknown-argument",
        ErrorKind::InvalidSubcommand => "usage-unknown-command",
        ErrorKind::MissingRequiredArgument => "usage-missing-argument",
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "usage-missing-command"
        }
        ErrorKind::ArgumentConflict => "usage-conflict",
        ErrorKind::TooFewValues
        | ErrorKind::TooManyValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::NoEquals => "usage-values",
        _ => "usage-other",
    };
    let fields = [
        ("argument", ContextKind::InvalidArg),
        ("command", ContextKind::InvalidSubcommand),
        ("value", ContextKind::InvalidValue),
        ("possible", ContextKind::ValidValue),
        ("other", ContextKind::PriorArg),
        ("suggestion", ContextKind::SuggestedArg),
        ("suggestion", ContextKind::SuggestedSubcommand),
        ("suggestion", ContextKind::SuggestedValue),
    ];
    let mut failure = Failure::usage(code);
    for (name, kind) in fields {
        if let Some(text) = value(kind) {
            failure = failure.with(name, without_private_numbers(&text));
        }
    }
    failure
}

fn words_of(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(texts) => texts.join(" "),
        other => other.to_string(),
    }
}

/// The text, or nothing of it when it may hold an identity or telephone number.
fn without_private_numbers(text: &str) -> &str {
    let longest = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
    if longest >= PRIVATE_DIGITS_MIN { "…" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound_and_a_number_is_not_repeated_in_an_error() {
        command(&Words::new(Lang::En)).debug_assert();
        assert_eq!(without_private_numbers("a 530102190001010016"), "…");
        assert_eq!(without_private_numbers("--minutes 210"), "--minutes 210");
    }

    #[test]
    fn the_language_is_known_before_the_command_line_is_parsed() {
        let lang = |args: &[&str]| language(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(lang(&["yunling", "--lang", "en", "status"]), Lang::En);
        assert_eq!(lang(&["yunling", "--lang=en"]), Lang::En);
        assert_eq!(lang(&["yunling", "--lang", "zh"]), Lang::Zh);
    }
}
