//! Looks at what keeps the records: the store itself, its backups, and the fence after a restore.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

use super::Check;
use crate::service::{Node, Refusal};
use crate::store::Checked;

/// Age from which a backup is late, hours: a day, and two hours for a machine that was off.
const BACKUP_LATE_HOURS: i64 = 26;
/// Age from which it fails: three days of work would be lost.
const BACKUP_FAIL_HOURS: i64 = 72;

/// Reads every row and compares checksums, statement ids and the count.
pub(super) fn store(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let Some(store) = node.embedded() else { return Ok(Vec::new()) };
        let checked = tokio::task::spawn_blocking(move || store.check(|_, _| {})).await;
        let checked = checked.map_err(|e| Refusal::new("internal").with("cause", e))?;
        Ok(vec![match checked {
            Ok(checked) => judge_store(&checked),
            Err(error) => {
                Check { error: Some(error.code()), ..Check::fail("store-unreadable") }.with("cause", error)
            }
        }])
    }
    .boxed()
}

fn judge_store(checked: &Checked) -> Check {
    if checked.damaged > 0 {
        return Check::fail("store-damaged").with("rows", checked.rows).with("damaged", checked.damaged);
    }
    if let Some(missing) = &checked.missing {
        return Check::fail("store-missing").with("rows", checked.rows).with("missing", missing);
    }
    let check = if checked.counted { Check::ok("store-good") } else { Check::ok("store-busy") };
    check.with("rows", checked.rows)
}

/// Age and failure of the newest backup and of its copy.
pub(super) fn backup(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let view = crate::backup::state::view(&node.home);
        let mut checks = vec![judge_backup(&view, "backup")];
        if view["copy"].is_null() {
            checks.push(Check::warn("copy-unset"));
        } else {
            checks.push(judge_backup(&view["copy"], "copy"));
        }
        Ok(checks)
    }
    .boxed()
}

fn judge_backup(view: &Value, which: &str) -> Check {
    let words = |code: &str| match (which, code) {
        ("copy", "failed") => "copy-failed",
        ("copy", "none") => "copy-none",
        ("copy", "old") => "copy-old",
        ("copy", _) => "copy-good",
        (_, "failed") => "backup-failed",
        (_, "none") => "backup-none",
        (_, "old") => "backup-old",
        (_, _) => "backup-good",
    };
    let hours = view["age_seconds"].as_i64().map(|seconds| seconds / 3600);
    if let Some(failure) = view["failure"].as_str() {
        return Check::fail(words("failed")).with("failure", failure);
    }
    match hours {
        None => Check::warn(words("none")),
        Some(hours) if hours >= BACKUP_FAIL_HOURS => Check::fail(words("old")).with("hours", hours),
        Some(hours) if hours >= BACKUP_LATE_HOURS => Check::warn(words("old")).with("hours", hours),
        Some(hours) => Check::ok(words("good")).with("hours", hours),
    }
}

/// Time the roster has left, what it says of this node, and forks; nothing where there is none.
pub(super) fn roster(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let reader = node.clone();
        let view = tokio::task::spawn_blocking(move || reader.roster_view()).await;
        let view = view.map_err(|e| Refusal::new("internal").with("cause", e))?;
        Ok(judge_roster(&view))
    }
    .boxed()
}

fn judge_roster(view: &Value) -> Vec<Check> {
    let version = view["version"].as_u64().unwrap_or_default();
    if version == 0 {
        return Vec::new();
    }
    let check = match view["freshness"].as_str() {
        Some("expired") => Check::warn("roster-expired"),
        Some("warn") => Check::warn("roster-ends"),
        _ => Check::ok("roster-good"),
    };
    let days = view["days_left"].as_i64().unwrap_or_default().unsigned_abs();
    let mut checks = vec![check.with("version", version).with("days", days)];
    match view["state"].as_str() {
        Some("suspended") => checks.push(Check::fail("roster-suspended")),
        Some("withdrawn") => checks.push(Check::fail("roster-withdrawn")),
        Some("succeeded") => checks.push(Check::fail("roster-succeeded")),
        Some("unlisted") => checks.push(Check::warn("roster-unlisted")),
        _ => {}
    }
    if view["forks"].as_u64().unwrap_or_default() > 0 {
        checks.push(Check::fail("roster-forked"));
    }
    checks
}

/// The fence, and what a restore cost.
pub(super) fn recovery(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let reader = node.clone();
        let view = tokio::task::spawn_blocking(move || reader.recovery()).await;
        let view = view.map_err(|e| Refusal::new("internal").with("cause", e))??;
        let mut checks = Vec::new();
        let rules = view["witnesses"]["rules"].as_array().cloned().unwrap_or_default();
        for rule in &rules {
            let names = |key: &str| {
                let names = rule[key].as_array().into_iter().flatten().filter_map(Value::as_str);
                names.collect::<Vec<_>>().join(" ")
            };
            let heard = rule["heard"].as_array().map_or(0, Vec::len);
            let check = Check::warn("fence-witnesses").with("heard", heard).with("need", &rule["need"]);
            checks.push(check.with("of", &rule["of"]).with("waits", names("waits")));
        }
        if view["witnesses"]["forked"] == true {
            checks.push(Check::fail("fence-forked"));
        }
        if view["closed_dossiers"].as_u64().unwrap_or_default() > 0 {
            checks.push(Check::warn("dossiers-closed").with("count", &view["closed_dossiers"]));
        }
        if view["fenced"] == true && rules.is_empty() {
            let missing = view["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing: Vec<&str> = missing.collect();
            checks.push(Check::warn("fence-closed").with("missing", missing.join(" ")));
        }
        let lost = |key: &str| view[key].as_u64().unwrap_or_default();
        if lost("lost_entries") + lost("lost_dossiers") > 0 {
            let check = Check::warn("restore-lost").with("entries", lost("lost_entries"));
            checks.push(check.with("dossiers", lost("lost_dossiers")));
        }
        if lost("holed_dossiers") > 0 {
            let check = Check::fail("holes").with("entries", lost("missing_statements"));
            checks.push(check.with("dossiers", lost("holed_dossiers")));
        }
        if lost("double_seals") > 0 {
            checks.push(Check::fail("double-seals").with("count", lost("double_seals")));
        }
        Ok(checks)
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::doctor::Level;
    use serde_json::json;

    #[test]
    fn a_damaged_store_an_old_backup_and_a_failed_copy_do_not_pass() {
        let good = Checked { rows: 9, counted: true, ..Checked::default() };
        assert_eq!(judge_store(&good).level, Level::Ok);
        assert_eq!(judge_store(&Checked { damaged: 1, ..good.clone() }).level, Level::Fail);
        assert_eq!(judge_store(&Checked { missing: Some("2 rows".into()), ..good }).level, Level::Fail);
        let aged = |hours: i64| judge_backup(&json!({ "age_seconds": hours * 3600 }), "backup").level;
        assert_eq!([aged(1), aged(30), aged(80)], [Level::Ok, Level::Warn, Level::Fail]);
        assert_eq!(judge_backup(&json!({ "age_seconds": null }), "backup").level, Level::Warn);
        let failed = json!({ "age_seconds": 60, "failure": "backup-copy" });
        assert_eq!(judge_backup(&failed, "copy").level, Level::Fail);
    }
}
