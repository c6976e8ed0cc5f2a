//! The binary under test, and one run of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Variable that names the binary under test.
pub const BINARY_VARIABLE: &str = "YUNLING_BINARY";
/// The binary under test: `YUNLING_BINARY`, else the one built in the same profile as the test,
/// else that of another profile.
///
/// # Panics
/// When there is none: the hint says how to build it.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "{BINARY_VARIABLE} names {}, which is no file", path.display());
        return path;
    }
    let test = std::env::current_exe().unwrap_or_default();
    // target/PROFILE/deps/test-0123
    let profile = test.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let target = profile.parent().unwrap_or(Path::new("."));
    let places = [profile.to_path_buf(), target.join("release"), target.join("debug")];
    places.into_iter().map(|place| place.join("yunling")).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("no binary `yunling`: run `cargo build --release -p yunling-cli`, or set {BINARY_VARIABLE}")
    })
}

/// Runs the binary without a home of its own; gives its exit code and the JSON on stdout.
///
/// # Panics
/// When it cannot be started, or ends by a signal.
pub fn run(arguments: &[&str]) -> (i32, Value) {
    output(command().args(arguments))
}

pub(super) fn command() -> Command {
    let mut command = Command::new(binary());
    // What the caller's shell has set must not reach the nodes.
    command.env_remove("YUNLING_HOME").env_remove("YUNLING_CLOCK").env("YUNLING_LANG", "en");
    command.stdin(Stdio::null());
    command
}

/// The same command in a network namespace.
pub(super) fn command_in(namespace: &str, inner: &Command) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(inner.get_program()).args(inner.get_args());
    for (key, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command.stdin(Stdio::null());
    command
}

pub(super) fn output(command: &mut Command) -> (i32, Value) {
    let done = command.output().unwrap_or_else(|e| panic!("yunling does not start: {e}"));
    let code = done.status.code().unwrap_or_else(|| panic!("yunling ended by {}", done.status));
    let value = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| {
        let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        Value::String(format!("{stdout}{stderr}"))
    });
    (code, value)
}
