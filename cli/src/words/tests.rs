//! The catalogues are whole: same keys and values in both, no broken entry, help for every command,
//! words for every code that the sources name, and no value that is named but not shown.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory as _;

use super::{EN, Fields, Lang, Words, ZH, fields, keys};
use crate::help::{argument_keys, command_key};

mod sites;
use sites::{codes_of_rows, codes_of_types, sites};

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

/// Fields for programs that the words leave out: the words give the rule in the reader's language.
const NOT_SAID: [(&str, &str); 3] =
    [("dossier-id", "cause"), ("statement-id", "cause"), ("transfer-id", "cause")];

/// The texts of every key: its value and its attributes by name, each with its placeables.
fn texts(lang: Lang) -> BTreeMap<String, Vec<(String, BTreeSet<String>)>> {
    let mut out: BTreeMap<String, Vec<(String, BTreeSet<String>)>> = BTreeMap::new();
    let mut key = String::new();
    for line in if lang == Lang::En { EN } else { ZH }.iter().flat_map(|source| source.lines()) {
        let attribute = line.trim_start().strip_prefix('.').filter(|_| line.starts_with(' '));
        match (attribute.and_then(|a| a.split_once(" =")), line.split_once(" =")) {
            (Some((name, _)), _) => out.entry(key.clone()).or_default().push((name.into(), BTreeSet::new())),
            (None, Some((name, _))) if !line.starts_with([' ', '#']) => {
                name.clone_into(&mut key);
                out.entry(key.clone()).or_default().push((String::new(), BTreeSet::new()));
            }
            _ => {}
        }
        let Some((_, placeables)) = out.get_mut(&key).and_then(|t| t.last_mut()) else { continue };
        let named = line.split("{ $").skip(1).filter_map(|piece| piece.split([' ', '}']).next());
        placeables.extend(named.map(str::to_owned));
    }
    out
}

#[test]
fn both_catalogues_name_the_same_values() {
    assert_eq!(texts(Lang::Zh), texts(Lang::En));
}

fn codes() -> BTreeSet<String> {
    let named = sites().into_iter().map(|s| s.code);
    named.chain(codes_of_types()).chain(codes_of_rows()).collect()
}

#[test]
fn every_refusal_has_its_words_in_both_languages() {
    let codes = codes();
    assert!(codes.len() > 180, "the sources were read: {}", codes.len());
    for lang in [Lang::Zh, Lang::En] {
        let words = Words::new(lang);
        let missing: Vec<_> = codes.iter().filter(|c| !words.has(&format!("error-{c}"))).collect();
        assert!(missing.is_empty(), "{lang:?}: {missing:?}");
    }
}

#[test]
fn every_value_named_where_a_refusal_is_made_is_said_and_none_is_missing() {
    let texts = texts(Lang::Zh);
    let (mut unsaid, mut lacking) = (Vec::new(), Vec::new());
    for site in sites() {
        let Some(texts) = texts.get(&format!("error-{}", site.code)) else { continue };
        for field in &site.fields {
            let said = texts.iter().any(|(_, placeables)| placeables.contains(field));
            if !said && !NOT_SAID.contains(&(&site.code, field)) {
                unsaid.push(format!("{}: {} of {}", site.file, field, site.code));
            }
        }
        if !texts.iter().any(|(_, placeables)| placeables.is_subset(&site.fields)) {
            lacking.push(format!("{}: {} with {:?}", site.file, site.code, site.fields));
        }
    }
    assert!(unsaid.is_empty(), "values named and not said: {unsaid:#?}");
    assert!(lacking.is_empty(), "words that need values not given there: {lacking:#?}");
}

/// What stands in quotes right after `before` in a source file of the node.
fn quoted_after(file: &str, before: &[&str]) -> BTreeSet<String> {
    let all = sites::all_sources();
    let (_, source) = all.iter().find(|(path, _)| path.ends_with(file)).expect("source file");
    let found = before.iter().flat_map(|before| source.split(before).skip(1));
    found.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_check_of_the_doctor_has_its_words_and_values_and_no_word_is_without_a_check() {
    let files = ["service/doctor.rs", "service/doctor/upkeep.rs", "service/doctor/keys.rs"];
    let makers = ["Check::ok(\"", "Check::warn(\"", "Check::fail(\"", "=> \"", "=> Check::fail(\""];
    let codes: BTreeSet<String> = files.iter().flat_map(|file| quoted_after(file, &makers)).collect();
    assert!(codes.len() > 20, "the source was read: {codes:?}");
    let mut values: BTreeSet<String> =
        files.iter().flat_map(|file| quoted_after(file, &[".with(\""])).collect();
    values.insert("reason".to_owned());
    let texts = texts(Lang::Zh);
    let said: BTreeSet<String> =
        texts.keys().filter_map(|key| key.strip_prefix("doctor-")).map(str::to_owned).collect();
    let shape = ["line", "summary"].map(str::to_owned);
    assert_eq!(said, codes.iter().cloned().chain(shape.clone()).collect());
    for (key, texts) in
        texts.iter().filter(|(key, _)| key.strip_prefix("doctor-").is_some_and(|c| codes.contains(c)))
    {
        assert!(texts[0].1.is_subset(&values), "{key} needs values that no check gives: {texts:?}");
    }
    for state in quoted_after("service/reach.rs", &["=> \""]) {
        assert!(texts.contains_key(&format!("status-reach-{state}")), "{state}");
    }
    for level in ["ok", "warn", "fail"] {
        assert!(texts.contains_key(&format!("word-level-{level}")), "{level}");
    }
}

#[test]
fn a_code_is_said_with_the_values_it_has() {
    for (lang, named, bare) in [
        (Lang::Zh, "节点“dali”不在已接受的", "节点不在已接受的"),
        (Lang::En, "Node `dali` is not", "The node is not"),
    ] {
        let words = Words::new(lang);
        assert!(words.error("peer-unknown", &fields([("name", "dali")])).starts_with(named));
        assert!(words.error("peer-unknown", &Fields::new()).starts_with(bare));
        // Nobody sees a placeable, whatever a code comes with.
        for key in keys(lang).iter().filter_map(|key| key.strip_prefix("error-")) {
            let said = words.error(key, &Fields::new());
            assert!(!said.contains('{'), "{lang:?} {key}: {said}");
        }
    }
    let stage = fields([("stage", "sealed")]);
    assert!(!Words::new(Lang::Zh).error("transfer-not-now", &stage).contains("sealed"));
}

#[test]
fn every_refusal_says_what_to_do() {
    // What was put right or only noted needs no act; what is tried again by itself says so.
    const NO_ACT: [&str; 6] = [
        "entry-way-unknown",
        "full-width",
        "in-charge-empty",
        "no-clock-times",
        "stated-shorter",
        "uscc-repaired",
    ];
    let words = Words::new(Lang::Zh);
    let without: Vec<_> = codes()
        .into_iter()
        .map(|code| (words.error(&code, &Fields::new()), code))
        .filter(|(said, code)| {
            !["请", "自动", "不需要"].iter().any(|w| said.contains(w)) && !NO_ACT.contains(&code.as_str())
        })
        .map(|(said, code)| format!("{code}: {said}"))
        .collect();
    assert!(without.is_empty(), "{without:#?}");
}
