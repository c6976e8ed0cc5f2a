//! Two offices, a relay where one is needed, and the move that every way must carry.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use yunling_tests::namespace::Namespace;
use yunling_tests::office::{Office, Plan, id_number, sums, text};

/// Port between nodes in every namespace: each has its own.
pub(crate) const PORT: u16 = 7440;
/// Longest a test of this file may take.
pub(crate) const TEST_MAX: Duration = Duration::from_secs(60);
/// Hours recorded before the move: what a dossier of a first year looks like.
const RECORDS: u64 = 12;

/// Listens on QUIC and TCP of an address.
pub(crate) fn at(ip: &str) -> Vec<String> {
    vec![format!("/ip4/{ip}/udp/{PORT}/quic-v1"), format!("/ip4/{ip}/tcp/{PORT}")]
}

/// An office in a namespace.
pub(crate) fn office(folder: &Path, namespace: &Namespace, name: &str, division: &str, plan: Plan) -> Office {
    let plan = Plan { namespace: Some(namespace.name.clone()), ..plan };
    Office::open_with(folder, name, division, plan)
}

/// A volunteer with hours, as a clerk types them.
pub(crate) fn volunteer(office: &Office, number: u32) -> String {
    let id = id_number(number);
    office.ok(&["volunteer", "register", "--name", "测试甲", "--id-number", &id]);
    for day in 1..=RECORDS {
        let (start, end) = (format!("2025-03-{day:02} 09:00"), format!("2025-03-{day:02} 10:30"));
        office.ok(&[
            "record",
            &id,
            "--activity",
            "河道清洁",
            "--organization",
            "翠湖志愿服务队",
            "--place",
            "盘龙江",
            "--content",
            "清理河岸",
            "--start",
            &start,
            "--end",
            &end,
            "--grade",
            "B",
        ]);
    }
    text(&office.dossier(&id), "dossier")
}

/// Moves the volunteer, waits, and holds both sides to the sums of before.
pub(crate) fn move_once(from: &Office, to: &Office, dossier: &str) {
    let before = from.dossier(dossier);
    let code = from.authorize(dossier, &to.name);
    to.ok(&["transfer", "start", "--from", &from.name, "--code", &code, "--wait"]);
    moved_once(from, to, dossier, &before);
}

/// Holds both sides to the sums of before, and to one custodian.
pub(crate) fn moved_once(from: &Office, to: &Office, dossier: &str, before: &Value) {
    assert_eq!(before["counted_minutes"], RECORDS * 90);
    assert_eq!(sums(before), sums(&to.dossier(dossier)), "at the new office");
    assert_eq!(sums(before), sums(&from.dossier(dossier)), "at the old office");
    assert!(to.is_custodian(dossier) && !from.is_custodian(dossier), "one custodian");
}

/// Steps of a connection test: name and whether it went well, once each.
pub(crate) fn steps(office: &Office, peer: &str) -> Vec<(String, bool)> {
    let (_, answer) = office.json(&["peer", "test", peer]);
    let all = answer["steps"].as_array().cloned().unwrap_or_default();
    let mut steps: Vec<_> = all.iter().map(|s| (text(s, "name"), s["ok"] == true)).collect();
    steps.dedup();
    println!("{} tests the way to {peer}: {steps:?}", office.name);
    steps
}

/// Checks of `doctor`: code, and the values named in it.
pub(crate) fn doctor(office: &Office) -> Vec<(String, Value)> {
    let (exit, answer) = office.json(&["doctor"]);
    assert_eq!(exit, 0, "{}: {answer}", office.name);
    let all = answer["checks"].as_array().cloned().unwrap_or_default();
    all.iter().map(|check| (text(check, "code"), check["fields"].clone())).collect()
}

/// Runs a test and holds it to its bound.
pub(crate) fn bounded(test: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("folder");
    let began = Instant::now();
    test(folder.path());
    let took = began.elapsed();
    println!("took {:.1} s", took.as_secs_f32());
    assert!(took < TEST_MAX, "took {took:?}");
}
