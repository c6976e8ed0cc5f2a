//! The catalogues are whole: same keys in both, no broken entry, help for every command, words for
//! every code that the sources name.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory as _;

use super::{Lang, Words, keys};
use crate::help::{argument_keys, command_key};

#[test]
fn both_catalogues_hold_the_same_keys_and_no_broken_entry() {
    assert_eq!(keys(Lang::Zh), keys(Lang::En));
    for lang in [Lang::Zh, Lang::En] {
        let words = Words::new(lang);
        for key in keys(lang) {
            assert!(words.has(&key), "{lang:?}: {key} is broken");
        }
    }
}

fn missing_help(command: &clap::Command, path: &[String], words: &Words, missing: &mut Vec<String>) {
    if !words.has(&command_key(path)) {
        missing.push(command_key(path));
    }
    for arg in command.get_arguments() {
        let keys = argument_keys(path, arg.get_id().as_str());
        if !keys.iter().any(|k| words.has(k)) {
            missing.push(keys[1].clone());
        }
    }
    for sub in command.get_subcommands() {
        missing_help(sub, &[path, &[sub.get_name().to_owned()]].concat(), words, missing);
    }
}

#[test]
fn every_command_and_argument_has_help_in_both_languages() {
    for lang in [Lang::Zh, Lang::En] {
        let mut missing = Vec::new();
        missing_help(&crate::args::Cli::command(), &[], &Words::new(lang), &mut missing);
        assert!(missing.is_empty(), "{lang:?}: {missing:?}");
    }
}

fn sources(folder: &Path, out: &mut String) {
    for entry in std::fs::read_dir(folder).expect("source folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).expect("source file");
            // Tests name codes too, but they stand after the code that makes them.
            out.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
}

fn codes() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text = String::new();
    for part in ["protocol/src", "node/src/service", "node/src/sheet", "cli/src"] {
        sources(&root.join(part), &mut text);
    }
    for part in ["api.rs", "run.rs", "qr.rs", "home.rs", "config.rs", "bench.rs"] {
        let file = root.join("node/src").join(part);
        let source = std::fs::read_to_string(file).expect("source file");
        text.push_str(source.split("#[cfg(test)]").next().unwrap_or_default());
    }
    let mut found = BTreeSet::new();
    for before in
        ["Rule(\"", "Refusal::new(\"", "refused(\"", "Failure::new(\"", "Failure::usage(\"", "rule(\""]
    {
        for piece in text.split(before).skip(1) {
            let code = piece.split('"').next().unwrap_or_default();
            if !code.is_empty()
                && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
            {
                found.insert(code.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_refusal_has_its_words_in_both_languages() {
    let codes = codes();
    assert!(codes.len() > 60, "the sources were read: {}", codes.len());
    for lang in [Lang::Zh, Lang::En] {
        let words = Words::new(lang);
        let missing: Vec<_> = codes.iter().filter(|c| !words.has(&format!("error-{c}"))).collect();
        assert!(missing.is_empty(), "{lang:?}: {missing:?}");
    }
}
