//! The words of every message: one Fluent catalogue per language, Chinese first.

use std::collections::BTreeMap;

use fluent_bundle::resolver::ResolverError;
use fluent_bundle::resolver::errors::ReferenceKind;
use fluent_bundle::{FluentArgs, FluentBundle, FluentError, FluentResource};
use unic_langid::LanguageIdentifier;

const ZH: [&str; 9] = [
    include_str!("../words/zh.ftl"),
    include_str!("../words/errors.zh.ftl"),
    include_str!("../words/courier.zh.ftl"),
    include_str!("../words/keys.zh.ftl"),
    include_str!("../words/log.zh.ftl"),
    include_str!("../words/roster.zh.ftl"),
    include_str!("../words/demo.zh.ftl"),
    include_str!("../words/proofs.zh.ftl"),
    include_str!("../words/takeover.zh.ftl"),
];
const EN: [&str; 9] = [
    include_str!("../words/en.ftl"),
    include_str!("../words/errors.en.ftl"),
    include_str!("../words/courier.en.ftl"),
    include_str!("../words/keys.en.ftl"),
    include_str!("../words/log.en.ftl"),
    include_str!("../words/roster.en.ftl"),
    include_str!("../words/demo.en.ftl"),
    include_str!("../words/proofs.en.ftl"),
    include_str!("../words/takeover.en.ftl"),
];

/// Fields of refusals whose values are words of a closed list (`word-<list>-<value>`).
const WORD_LISTS: [&str; 1] = ["stage"];

/// Values named in words.
pub(crate) type Fields = BTreeMap<String, String>;

/// Fields from pairs.
pub(crate) fn fields<V: ToString, const N: usize>(pairs: [(&str, V); N]) -> Fields {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_string())).collect()
}

/// A language with a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Lang {
    /// Chinese, the first language of every office.
    #[default]
    Zh,
    /// English.
    En,
}

impl Lang {
    /// From `zh`, `en` or a locale such as `zh_CN.UTF-8`.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        match text.get(..2)?.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }
}

/// A language's catalogue.
pub(crate) struct Words {
    bundle: FluentBundle<FluentResource>,
    /// The language.
    pub(crate) lang: Lang,
}

impl Words {
    /// The catalogue of a language.
    pub(crate) fn new(lang: Lang) -> Self {
        let (id, sources) = match lang {
            Lang::Zh => ("zh", ZH),
            Lang::En => ("en", EN),
        };
        let id: LanguageIdentifier = id.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new(vec![id]);
        // Marks around values confuse terminals and logs.
        bundle.set_use_isolating(false);
        for source in sources {
            // A broken entry is found by the catalogue test; the others still speak.
            let resource =
                FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, _)| resource);
            let _ = bundle.add_resource(resource);
        }
        Self { bundle, lang }
    }

    /// Whether a key has words.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    /// The words of a key with its values; the key itself when there are none. A code comes with
    /// more or fewer values (a peer sends the bare code): the first of the message and its attributes
    /// whose values are all there is said.
    pub(crate) fn say(&self, key: &str, fields: &Fields) -> String {
        let Some(message) = self.bundle.get_message(key) else { return key.to_owned() };
        let Some(pattern) = message.value() else { return key.to_owned() };
        let mut args = FluentArgs::new();
        for (name, value) in fields {
            args.set(name.replace('_', "-"), value.clone());
        }
        let mut lacking = Vec::new();
        let patterns = std::iter::once(pattern).chain(message.attributes().map(|a| a.value()));
        for pattern in patterns {
            lacking.clear();
            let said = self.bundle.format_pattern(pattern, Some(&args), &mut lacking).into_owned();
            if lacking.is_empty() {
                return said;
            }
        }
        // Nobody is shown the name of a placeable: what is not known is said to be unknown.
        for error in std::mem::take(&mut lacking) {
            if let FluentError::ResolverError(ResolverError::Reference(ReferenceKind::Variable { id })) =
                error
            {
                args.set(id, "?");
            }
        }
        let last = message.attributes().last().map_or(pattern, |a| a.value());
        self.bundle.format_pattern(last, Some(&args), &mut lacking).into_owned()
    }

    /// The words of a key without values.
    pub(crate) fn word(&self, key: &str) -> String {
        self.say(key, &Fields::new())
    }

    /// The words of a value of a closed list, e.g. the stage `copying`; the value itself when unknown.
    pub(crate) fn of(&self, list: &str, value: &str) -> String {
        let key = format!("word-{list}-{value}");
        if self.has(&key) { self.word(&key) } else { value.to_owned() }
    }

    /// The words of a refusal; an unknown code is shown with its values.
    pub(crate) fn error(&self, code: &str, values: &Fields) -> String {
        let key = format!("error-{code}");
        if self.has(&key) {
            let mut values = values.clone();
            for (list, value) in &mut values {
                if WORD_LISTS.contains(&list.as_str()) {
                    *value = self.of(list, value);
                }
            }
            return self.say(&key, &values);
        }
        let all = values.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
        self.say("error-unknown", &fields([("code", code), ("values", &all)]))
    }

    /// The words of what was found in a row of a sheet.
    pub(crate) fn finding(&self, code: &str, values: &Fields) -> String {
        let key = format!("sheet-row-{code}");
        if self.has(&key) { self.say(&key, values) } else { self.error(code, values) }
    }
}

/// Keys of a catalogue's sources, for the tests.
#[cfg(test)]
pub(crate) fn keys(lang: Lang) -> std::collections::BTreeSet<String> {
    let sources = if lang == Lang::En { EN } else { ZH };
    let lines = sources.iter().flat_map(|s| s.lines()).filter(|l| !l.starts_with([' ', '#']));
    lines.filter_map(|l| l.split_once(" =")).map(|(k, _)| k.to_owned()).collect()
}

#[cfg(test)]
mod tests;
