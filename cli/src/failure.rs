//! Why a command did not do what was asked: an exit code, a stable code and fields.

use std::fmt::Display;

use serde_json::{Value, json};
use yunling_node::config::ConfigError;
use yunling_node::home::HomeError;
use yunling_node::service::Refusal;
use yunling_node::sheet::{RefusedError, SheetError};
use yunling_protocol::card::CardError;

use crate::words::{Fields, Words};

/// How a command ends; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, or the answer is yes.
    Yes = 0,
    /// Refused, or the answer is no.
    No = 1,
    /// It cannot be told, or whether it was done is unknown.
    CannotTell = 2,
    /// The command was not used as it is meant (BSD `EX_USAGE`).
    Usage = 64,
    /// The node cannot be reached (BSD `EX_UNAVAILABLE`).
    Unreachable = 69,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that failed; its words are `error-<code>` of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) exit: Exit,
    /// Stable code.
    pub(crate) code: String,
    /// Values named in the words.
    pub(crate) fields: Fields,
}

impl Failure {
    /// A refusal, exit code 1.
    pub(crate) fn new(code: impl Into<String>) -> Self {
        Self { exit: Exit::No, code: code.into(), fields: Fields::new() }
    }

    /// A wrong use, exit code 64.
    pub(crate) fn usage(code: &str) -> Self {
        Self::new(code).exit(Exit::Usage)
    }

    /// Names a value.
    pub(crate) fn with(mut self, key: &str, value: impl Display) -> Self {
        self.fields.insert(key.to_owned(), value.to_string());
        self
    }

    /// Another exit code.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// As programs get it.
    pub(crate) fn json(&self, words: &Words) -> Value {
        let message = words.error(&self.code, &self.fields);
        json!({ "error": { "code": self.code, "fields": self.fields, "message": message } })
    }
}

impl From<yunling_node::log::LogError> for Failure {
    fn from(error: yunling_node::log::LogError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { exit: Exit::No, code: refusal.code, fields: refusal.fields }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        let failure = Self::new(error.code()).with("cause", &error);
        match error {
            HomeError::Config(error) => error.into(),
            HomeError::Exists(path)
            | HomeError::NotEmpty(path)
            | HomeError::Key(path)
            | HomeError::Mode(path) => failure.with("path", path.display()),
            HomeError::Division(value) | HomeError::Name(value) => failure.with("value", value),
            HomeError::Io { path, source } => failure.with("path", path.display()).with("cause", source),
            HomeError::Card(cause) => failure.with("cause", cause),
        }
    }
}

impl From<CardError> for Failure {
    fn from(error: CardError) -> Self {
        let failure = Self::new(error.code());
        match error {
            CardError::Text => failure,
            other => failure.with("cause", other),
        }
    }
}

impl From<SheetError> for Failure {
    fn from(error: SheetError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<RefusedError> for Failure {
    fn from(error: RefusedError) -> Self {
        let failure = Self::new(error.code());
        match &error {
            RefusedError::OverSource { path } => failure.with("path", path),
            RefusedError::Io { path, source } => failure.with("path", path).with("cause", source),
            RefusedError::Sheet(cause) => failure.with("cause", cause),
        }
    }
}
