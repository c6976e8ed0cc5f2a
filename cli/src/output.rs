//! What a command prints: words for people, exactly one JSON object for programs.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use crate::failure::Failure;
use crate::words::{Fields, Words};

/// Where a command prints.
pub(crate) struct Output {
    /// One JSON object instead of words.
    pub(crate) json: bool,
    /// The words.
    pub(crate) words: Words,
}

/// Text that cannot move the cursor or colour a terminal: control characters become blanks.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// Prints a line; a reader that has gone away (`| head`) is no error of the command.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

impl Output {
    /// The object, for programs.
    pub(crate) fn object(&self, value: &Value) {
        if self.json {
            print(&value.to_string());
        }
    }

    /// A line for people.
    pub(crate) fn line(&self, text: &str) {
        if !self.json {
            print(&printable(text));
        }
    }

    /// The words of a key for people.
    pub(crate) fn say(&self, key: &str, fields: &Fields) {
        self.line(&self.words.say(key, fields));
    }

    /// A remark for people on stderr, also beside a JSON object.
    pub(crate) fn note(&self, key: &str, fields: &Fields) {
        eprintln!("{}", printable(&self.words.say(key, fields)));
    }

    /// Prints a failure and gives its exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json {
            print(&failure.json(&self.words).to_string());
        } else {
            eprintln!("{}", printable(&self.words.error(&failure.code, &failure.fields)));
        }
        failure.exit.into()
    }
}
