//! The catalogues: the same keys and values in both languages, and words for every code that the
//! sources can give a person.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fluent_bundle::FluentResource;

/// Codes that name a result and not a refusal; their words stand with the results.
const RESULTS: [&str; 5] = ["accepted", "duplicate", "flagged", "refused", "repaired"];

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text of every catalogue of a language: `zh.ftl`, `errors.zh.ftl` and the like.
fn catalogues(lang: &str) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(crate_folder().join("words")).unwrap();
    let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    paths.retain(|p| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        name == format!("{lang}.ftl") || name.ends_with(&format!(".{lang}.ftl"))
    });
    paths.sort();
    paths.into_iter().map(|p| (p.clone(), std::fs::read_to_string(p).unwrap())).collect()
}

/// Every key of a language with the values its words name.
fn keys(lang: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in catalogues(lang) {
        let mut key = String::new();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
                line.split_once('=').unwrap().0.trim().clone_into(&mut key);
                assert!(
                    out.insert(key.clone(), BTreeSet::new()).is_none(),
                    "{}: {key} stands twice",
                    path.display()
                );
            }
            for part in line.split('$').skip(1) {
                let name = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap();
                out.get_mut(&key).unwrap().insert(name.to_owned());
            }
        }
    }
    out
}

#[test]
fn the_catalogues_are_sound_and_hold_the_same_keys() {
    for lang in ["zh", "en"] {
        for (path, text) in catalogues(lang) {
            if let Err((_, errors)) = FluentResource::try_new(text) {
                panic!("{}: {errors:?}", path.display());
            }
        }
    }
    let (zh, en) = (keys("zh"), keys("en"));
    let names = |map: &BTreeMap<String, BTreeSet<String>>| map.keys().cloned().collect::<BTreeSet<_>>();
    let different: Vec<_> = names(&zh).symmetric_difference(&names(&en)).cloned().collect();
    assert!(different.is_empty(), "keys of one language only: {different:?}");
    let titles = |name: &String| !name.starts_with("title");
    for (key, values) in zh.iter().filter(|(key, _)| key.starts_with("error-")) {
        let (zh, en): (Vec<_>, Vec<_>) =
            (values.iter().filter(|n| titles(n)).collect(), en[key].iter().filter(|n| titles(n)).collect());
        assert_eq!(zh, en, "{key} names other values in the other language");
    }
}

fn sources(folder: &Path, out: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs")
            && name != "tests.rs"
            && name != "conformance.rs"
        {
            let text = std::fs::read_to_string(&path).unwrap();
            // What a test writes is no code a person sees.
            let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
            out.push((path, text));
        }
    }
}

fn is_code(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// String literals that directly follow `before`, as in `Refusal::new("…`.
fn literals_after<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
    let found = text.match_indices(before).filter_map(|(at, _)| {
        let rest = text[at + before.len()..].trim_start().strip_prefix('"')?;
        rest.split('"').next()
    });
    found.filter(|l| is_code(l)).collect()
}

/// String literals in the bodies of `fn code(…)`, where error types name their codes.
fn literals_of_code_tables(text: &str) -> Vec<&str> {
    let bodies = text.match_indices("fn code(").filter_map(|(at, _)| text[at..].split("\n    }").next());
    bodies.flat_map(|b| b.split('"').skip(1).step_by(2)).filter(|l| is_code(l)).collect()
}

/// String literals on the lines that report something found in a row of a sheet.
fn literals_of_rows(text: &str) -> Vec<&str> {
    let makers = [
        "refuse(",
        "repair(",
        "remark(",
        "finding(",
        "needed(",
        "stated_text(",
        "unreadable(",
        "Finding::new(",
    ];
    let lines = text.lines().filter(|l| makers.iter().any(|m| l.contains(m)));
    // Field names and values are single words; codes of rows are all joined by a hyphen or `overlap`.
    lines
        .flat_map(|l| l.split('"').skip(1).step_by(2))
        .filter(|l| is_code(l) && (l.contains('-') || *l == "overlap"))
        .collect()
}

#[test]
fn every_code_of_the_sources_has_words_with_a_remedy_in_both_languages() {
    let root = crate_folder().parent().unwrap();
    let mut texts = Vec::new();
    for folder in ["protocol/src", "node/src", "cli/src"] {
        sources(&root.join(folder), &mut texts);
    }
    let makers = [
        "Refusal::new(",
        "Rule(",
        "rule(",
        "refused(",
        "Refused(",
        "Later(",
        "Hold(",
        "Refuse(",
        "Failure::new(",
        "Failure::usage(",
    ];
    let mut codes: BTreeMap<&str, &Path> = BTreeMap::new();
    for (path, text) in &texts {
        let mut found = literals_of_code_tables(text);
        found.extend(makers.iter().flat_map(|maker| literals_after(text, maker)));
        if path.starts_with(root.join("node/src/sheet")) {
            found.extend(literals_of_rows(text));
        }
        codes.extend(found.into_iter().map(|code| (code, path.as_path())));
    }
    assert!(codes.len() > 200, "only {} codes found: the search is broken", codes.len());
    let (zh, en) = (keys("zh"), keys("en"));
    let missing: Vec<_> = codes
        .iter()
        .filter(|(code, _)| !RESULTS.contains(*code))
        .filter(|(code, _)| {
            !zh.contains_key(&format!("error-{code}")) || !en.contains_key(&format!("error-{code}"))
        })
        .map(|(code, path)| format!("{code} ({})", path.strip_prefix(root).unwrap().display()))
        .collect();
    assert!(missing.is_empty(), "codes without words: {missing:#?}");
}
