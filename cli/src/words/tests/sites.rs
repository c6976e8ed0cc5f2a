//! Where the sources name a refusal, and which values they give it there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A place that makes a refusal.
#[derive(Debug)]
pub(super) struct Site {
    /// Its code.
    pub(super) code: String,
    /// Fields named there; empty for the bare word of a rule.
    pub(super) fields: BTreeSet<String>,
    /// File it stands in.
    pub(super) file: String,
}

/// What makes a refusal that fields may follow.
const MAKERS: [&str; 3] = ["Refusal::new(\"", "Failure::new(\"", "Failure::usage(\""];
/// What names a code without any field: rules, answers to a peer, verdicts on a delivery.
const BARE: [&str; 12] = [
    "Rule(\"",
    "refused(\"",
    "Refused(\"",
    "rule(\"",
    "Hold(\"",
    "Refuse(\"",
    "Later(\"",
    "Err(\"",
    "ok_or(\"",
    "reason = Some(\"",
    "SendCancel(\"",
    "reason.clone().unwrap_or_else(|| \"",
];

/// The sources of a folder by file, without their tests.
fn sources(folder: &Path, out: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("source folder").flatten() {
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") && name != "tests.rs" {
            let text = std::fs::read_to_string(&path).expect("source file");
            // Tests name codes too, but they stand after the code that makes them.
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            out.insert(path.display().to_string(), code);
        }
    }
}

/// The sources of the crates that make refusals.
pub(super) fn all_sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut out = BTreeMap::new();
    for part in ["protocol/src", "node/src", "cli/src"] {
        sources(&root.join(part), &mut out);
    }
    out
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
}

/// What stands behind the bracket that is open where `text` begins.
fn behind(text: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    ""
}

/// Fields of the `.with("…", …)` that follow.
fn fields_behind(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = behind(text).trim_start();
    while let Some(call) = rest.strip_prefix('.') {
        let Some((name, arguments)) = call.split_once('(') else { break };
        if name == "with" || name == "about" {
            found.insert(arguments.split('"').nth(1).unwrap_or_default().to_owned());
        } else if name != "exit" {
            break;
        }
        rest = behind(arguments).trim_start();
    }
    found
}

/// Every place that names a refusal by its code.
pub(super) fn sites() -> Vec<Site> {
    let mut out = Vec::new();
    for (file, text) in all_sources() {
        for (makers, bare) in [(&MAKERS[..], false), (&BARE[..], true)] {
            for maker in makers {
                for (at, _) in text.match_indices(maker) {
                    let rest = &text[at + maker.len()..];
                    let code = rest.split('"').next().unwrap_or_default();
                    if is_code(code) {
                        let fields =
                            if bare { BTreeSet::new() } else { fields_behind(&rest[code.len() + 1..]) };
                        out.push(Site { code: code.to_owned(), fields, file: file.clone() });
                    }
                }
            }
        }
    }
    out
}

/// The codes that error types give by their `fn code`.
pub(super) fn codes_of_types() -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for text in all_sources().values() {
        for body in text.split("pub fn code(").skip(1) {
            let body = body.split("\n    }\n").next().unwrap_or_default();
            // What an outcome of a row is called is a word of a list, no refusal.
            if body.contains("=> \"accepted\"") {
                continue;
            }
            out.extend(body.split('"').skip(1).step_by(2).filter(|c| is_code(c)).map(str::to_owned));
        }
    }
    out
}

/// The codes found in rows of a sheet: `refuse(Field::X, "code")` and its like.
pub(super) fn codes_of_rows() -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let all = all_sources();
    for text in all.iter().filter(|(file, _)| file.contains("/sheet/")).map(|(_, text)| text) {
        for piece in text.split("Field::").skip(1) {
            let Some((field, rest)) = piece.split_once(", \"") else { continue };
            let code = rest.split('"').next().unwrap_or_default();
            if field.chars().all(char::is_alphabetic)
                && is_code(code)
                && rest[code.len()..].starts_with("\")")
            {
                out.insert(code.to_owned());
            }
        }
    }
    out
}
