//! `cargo run --release -p yunling-tests --bin yunling-deb [FOLDER]`: the Debian package of the release
//! binary, into a folder (default `target/debian`).

use std::path::PathBuf;
use std::process::ExitCode;

use yunling_tests::{package, repository_root};

fn main() -> ExitCode {
    let target = repository_root().join("target");
    let binary =
        std::env::var_os("YUNLING_BINARY").map_or_else(|| target.join("release/yunling"), PathBuf::from);
    let out = std::env::args_os().nth(1).map_or_else(|| target.join("debian"), PathBuf::from);
    match package::build(&binary, &out) {
        Ok(package) => {
            println!("{}", package.display());
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("软件包没有做成 · the package was not made: {fault}");
            ExitCode::FAILURE
        }
    }
}
