//! Rosters and their changes, for people and for programs.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::KeyId;
use yunling_protocol::roster::{Change, LogPolicy, Roster, RosterNode, State};

use super::file::{RosterFile, Standing};
use crate::output::Output;
use crate::show::{list, text};
use crate::words::{Fields, Lang, fields};

/// A version for programs.
pub(super) fn roster(roster: &Roster) -> Value {
    let managers: Vec<Value> = roster
        .stewards
        .iter()
        .map(|s| json!({ "name": s.name, "public": HEXLOWER.encode(s.public()) }))
        .collect();
    json!({
        "version": roster.version,
        "issued": roster.issued.to_string(), "expires": roster.expires.to_string(),
        "threshold": roster.threshold, "stewards": roster.stewards.len(), "nodes": roster.nodes.len(),
        "fingerprint": roster.fingerprint(), "trial": roster.trial,
        "managers": managers,
        "members": roster.nodes.iter().map(|n| member(n)).collect::<Vec<_>>(),
    })
}

fn member(node: &RosterNode) -> Value {
    let card = &node.card.card;
    let keys = node.keys().iter().map(|key| {
        json!({
            "role": key.role.word(), "kid": kid(key.kid()), "from": key.not_before.to_string(),
            "until": key.not_after.map(|t| t.to_string()),
            "compromised_from": node.compromised_from(&key.public).map(|t| t.to_string()),
        })
    });
    let last = node.states.last();
    json!({
        "name": node.name().to_string(), "title_zh": card.title_zh, "title_en": card.title_en,
        "division": card.division.to_string(), "addresses": card.addresses, "page": node.page,
        "log": node.log.as_ref().map(|p| json!({
            "name": p.name, "k": p.k,
            "witnesses": p.witnesses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })),
        "state": last.map(|entry| entry.state.word()), "since": last.map(|entry| entry.from.to_string()),
        "by": last.and_then(|entry| match &entry.state {
            State::Succeeded { by, .. } => Some(by.to_string()),
            _ => None,
        }),
        "fingerprint": node.card.fingerprint(),
        "keys": keys.collect::<Vec<_>>(),
    })
}

fn kid(kid: KeyId) -> String {
    HEXLOWER.encode(&kid)
}

/// Version, dates, thresholds, and the warning when it ends soon.
pub(super) fn view(out: &Output, view: &Value) {
    let need = fields([("threshold", text(view, "threshold")), ("stewards", text(view, "stewards"))]);
    out.pairs(&[
        ("version", text(view, "version")),
        ("issued", text(view, "issued")),
        ("expires", text(view, "expires")),
        ("stewards", out.words.say("roster-need", &need)),
        ("members", text(view, "nodes")),
        ("fingerprint", text(view, "fingerprint")),
    ]);
    let days = view.get("days_left").and_then(Value::as_i64).unwrap_or_default();
    match text(view, "freshness").as_str() {
        "warn" => out.say("roster-ends", &fields([("days", days)])),
        "expired" => out.say("roster-over", &fields([("days", days.unsigned_abs())])),
        _ => {}
    }
    if view.get("forks").and_then(Value::as_u64).unwrap_or_default() > 0 {
        out.say("roster-forked", &Fields::new());
    }
}

/// One line for `status`; nothing when there is no roster.
pub(crate) fn short(out: &Output, view: &Value) -> String {
    if crate::show::number(view, "version") == 0 {
        return String::new();
    }
    let days = view.get("days_left").and_then(Value::as_i64).unwrap_or_default();
    let key =
        if days < 0 || text(view, "freshness") == "expired" { "status-roster-over" } else { "status-roster" };
    let values = fields([
        ("version", text(view, "version")),
        ("days", days.unsigned_abs().to_string()),
        ("state", out.words.of("member", &text(view, "state"))),
    ]);
    out.words.say(key, &values)
}

/// The members as a table.
pub(super) fn members(out: &Output, view: &Value) {
    let title = if out.words.lang == Lang::Zh { "title_zh" } else { "title_en" };
    let row = |node: &Value| {
        vec![
            text(node, "name"),
            text(node, title),
            text(node, "division"),
            out.words.of("member", &text(node, "state")),
            text(node, "since"),
            text(node, "by"),
        ]
    };
    let rows = list(view, "members").iter().map(row).collect();
    out.table(&["node", "title", "division", "state", "since", "successor"], &[], rows);
}

/// Who still has to sign.
pub(super) fn standing(out: &Output, file: &RosterFile, standing: &Standing) {
    let roster = file.last().roster();
    let values = fields([
        ("version", roster.version),
        ("have", standing.own.0),
        ("need", standing.own.1),
        ("before_have", standing.before.0),
        ("before_need", standing.before.1),
    ]);
    out.say(if standing.complete() { "roster-complete" } else { "roster-wants" }, &values);
}

/// Changes for people, one a line.
pub(super) fn changes(out: &Output, changes: &[Change]) {
    for change in changes {
        let (word, values) = parts(out, change);
        out.say(&format!("roster-change-{word}"), &values);
    }
}

/// Changes for programs.
pub(super) fn changes_json(changes: &[Change]) -> Value {
    let one = |change: &Change| {
        let (word, values) = raw(change);
        let mut map: serde_json::Map<String, Value> =
            values.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        map.insert("change".to_owned(), word.into());
        Value::Object(map)
    };
    Value::Array(changes.iter().map(one).collect())
}

fn parts(out: &Output, change: &Change) -> (&'static str, Fields) {
    let (word, values) = raw(change);
    let said = |(key, value): (&str, String)| {
        let value = match key {
            "state" => out.words.of("member", &value),
            _ if value.is_empty() => "–".to_owned(),
            _ => value,
        };
        (key.to_owned(), value)
    };
    (word, values.into_iter().map(said).collect())
}

fn time(at: Option<UnixTime>) -> String {
    at.map(|t| t.to_string()).unwrap_or_default()
}

fn policy(policy: Option<&LogPolicy>) -> String {
    let names = |p: &LogPolicy| p.witnesses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    policy.map(|p| format!("{}:{}", p.k, names(p))).unwrap_or_default()
}

/// The word of a change and its values.
fn raw(change: &Change) -> (&'static str, Vec<(&'static str, String)>) {
    let before = |old: String, new: String| vec![("old", old), ("new", new)];
    let of = |node: &yunling_protocol::name::NodeName, mut rest: Vec<(&'static str, String)>| {
        rest.insert(0, ("node", node.to_string()));
        rest
    };
    match change {
        Change::Threshold { old, new } => ("threshold", before(old.to_string(), new.to_string())),
        Change::StewardAdded { name, kid: id } => {
            ("steward-added", vec![("name", name.clone()), ("kid", kid(*id))])
        }
        Change::StewardRemoved { name, kid: id } => {
            ("steward-removed", vec![("name", name.clone()), ("kid", kid(*id))])
        }
        Change::StewardRenamed { old, new, .. } => ("steward-renamed", before(old.clone(), new.clone())),
        Change::Expires { old, new } => ("expires", before(old.to_string(), new.to_string())),
        Change::NodeAdded { node } => ("node-added", of(node, vec![])),
        Change::NodeRemoved { node } => ("node-removed", of(node, vec![])),
        Change::Titles { node, old, new } => {
            let both = |(zh, en): &(String, String)| format!("{zh} {en}");
            ("value", of(node, before(both(old), both(new))))
        }
        Change::Division { node, old, new } => ("value", of(node, before(old.to_string(), new.to_string()))),
        Change::Kind { node, old, new } => {
            ("value", of(node, before(format!("{old:?}"), format!("{new:?}"))))
        }
        Change::Addresses { node, old, new } => ("value", of(node, before(old.join(" "), new.join(" ")))),
        Change::Contact { node, old, new } => ("value", of(node, before(old.clone(), new.clone()))),
        Change::Page { node, old, new } => {
            let shown = |page: &Option<String>| page.clone().unwrap_or_default();
            ("value", of(node, before(shown(old), shown(new))))
        }
        Change::Log { node, old, new } => {
            ("log", of(node, before(policy(old.as_ref()), policy(new.as_ref()))))
        }
        Change::KeyAdded { node, role, kid: id, from, .. } => {
            let values =
                vec![("role", role.word().to_owned()), ("kid", kid(*id)), ("from", from.to_string())];
            ("key-added", of(node, values))
        }
        Change::KeyRemoved { node, role, kid: id } => {
            ("key-removed", of(node, vec![("role", role.word().to_owned()), ("kid", kid(*id))]))
        }
        Change::KeyWindow { node, role, kid: id, new, .. } => {
            let values = vec![("role", role.word().to_owned()), ("kid", kid(*id)), ("until", time(*new))];
            ("key-window", of(node, values))
        }
        Change::KeyCompromised { node, role, kid: id, from } => {
            let values = vec![("role", role.word().to_owned()), ("kid", kid(*id)), ("from", time(*from))];
            ("key-compromised", of(node, values))
        }
        Change::StateAdded { node, entry } => {
            let from = entry.from.to_string();
            if let State::Succeeded { by, .. } = &entry.state {
                return ("succeeded", of(node, vec![("by", by.to_string()), ("from", from)]));
            }
            let values = vec![("state", entry.state.word().to_owned()), ("from", from)];
            ("state", of(node, values))
        }
    }
}
