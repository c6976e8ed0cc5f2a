//! A prefecture that is gone: its node is dead, the roster names a successor, and the volunteer's own bundle
//! with what others hold brings the dossier back; a third office verifies it all. And one that is only
//! suspended, whose hours are in dispute.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::Value;
use yunling_protocol::log::Checkpoint;
use yunling_tests::office::{Office, Plan, Sheet, id_number, record_on, text, until};

use super::roster::{Stewards, first_with, shown, wait_met};

const BEGAN: &str = "2026-03-02 09:00";

fn open(folder: &Path, name: &str, division: &str) -> Office {
    Office::open_with(folder, name, division, Plan { clock: Some(BEGAN.into()), ..Plan::default() })
}

/// Stops these offices and starts them at another time.
fn at(clock: &str, offices: &mut [&mut Office]) {
    for office in offices {
        office.stop();
        office.plan.clock = Some(clock.into());
        office.start();
    }
}

/// A well evidenced hour, which policy lets in at once.
fn record(office: &Office, card: &str, day: &str, minutes: &str) {
    let mut arguments = record_on(card, day, minutes);
    arguments.extend(["--grade", "B"]);
    office.ok(&arguments);
}

/// Copies the log of an office as a stick would, and gives its last checkpoint as the roster writes it.
fn saved_log(office: &Office, folder: &Path) -> (PathBuf, String) {
    until("the log takes everything", || (office.ok(&["status"])["log"]["waiting"] == 0).then_some(()));
    let (from, to) = (office.home.join("log/1"), folder.join("saved-log"));
    let copied = std::process::Command::new("cp").arg("-r").arg(&from).arg(&to).status();
    assert!(copied.is_ok_and(|status| status.success()), "cannot copy {}", from.display());
    let note = std::fs::read(to.join("checkpoint")).expect("a log has a checkpoint");
    let (_, checkpoint) = Checkpoint::parse(&note).expect("a checkpoint reads");
    let root = HEXLOWER.encode(&checkpoint.root);
    (to, format!("{}:{}:{root}", checkpoint.origin, checkpoint.size))
}

/// The next version names `by` as the successor of `old`.
fn succession(stewards: &Stewards, by: &Office, old: &str, base: &Path, out: &Path, checkpoint: &str) {
    let successor = format!("{old}={}", by.name);
    let propose =
        ["roster", "propose", shown(base), "--successor", &successor, "--checkpoint", checkpoint, "--out"];
    by.ok(&[&propose[..], &[shown(out)]].concat());
    stewards.sign(by, out, [1, 2]);
    by.ok(&["roster", "publish", shown(out)]);
}

fn takeover(office: &Office) -> Value {
    office.ok(&["takeover", "list"])["takeovers"][0].clone()
}

#[test]
fn a_successor_takes_a_dossier_over_from_the_volunteers_bundle_and_a_third_office_verifies_it() {
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = open(folder.path(), "kunming", "530100");
    let mut dali = open(folder.path(), "dali", "532900");
    let mut yuxi = open(folder.path(), "yuxi", "530400");
    let stewards = Stewards::make(&kunming, folder.path());
    let (one, fingerprint) = first_with(&stewards, &[&kunming, &dali, &yuxi], "300", &[]);
    for office in [&kunming, &dali, &yuxi] {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&[&kunming, &dali, &yuxi]);

    // Two imported hours and one from Yuxi; the volunteer takes the own bundle home; then one more comes.
    kunming.import(&Sheet::default().person(1, &[120, 60]).write(folder.path(), "one.csv"));
    let card = text(&kunming.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&kunming.dossier(&id_number(1)), "dossier");
    record(&yuxi, &card, "2026-02-20", "60");
    kunming.wait_minutes(&dossier, 240);
    let bundle = folder.path().join("own.bundle");
    kunming.ok(&["dossier", "export", &dossier, "--own", "--out", shown(&bundle)]);
    record(&yuxi, &card, "2026-02-21", "30");
    kunming.wait_minutes(&dossier, 270);
    let (log, checkpoint) = saved_log(&kunming, folder.path());
    until("yuxi has its receipt", || (yuxi.ok(&["status"])["outbox_waiting"] == 0).then_some(()));
    kunming.kill9();

    // The prefecture is merged: the stewards name Dali.
    at("2026-03-03 09:00", &mut [&mut dali, &mut yuxi]);
    let announce = ["takeover", "announce", "--from", "kunming", "--bundle", shown(&bundle)];
    dali.refused(&announce, "takeover-not-successor");
    let two = folder.path().join("roster-2");
    succession(&stewards, &dali, "kunming", &one, &two, &checkpoint);
    until("yuxi pulls version 2", || (yuxi.ok(&["status"])["roster"]["version"] == 2).then_some(()));
    yuxi.refused(&announce, "takeover-not-successor");
    dali.refused(&announce, "takeover-log-short");
    // A service recorded on the old card follows the roster to Dali, and waits there.
    record(&yuxi, &card, "2026-02-22", "15");
    let who = ["--log", shown(&log), "--name", "测试一号", "--id-number", &id_number(1)];
    let announced = dali.ok(&[&announce[..], &who].concat());
    assert_eq!(
        (&announced["state"], &announced["days_left"]),
        (&"noticed".into(), &30.into()),
        "{announced}"
    );
    // The bundle holds four statements; Yuxi shows the receipt for the fifth.
    assert_eq!(announced["count"], 4, "{announced}");
    until("yuxi completes the chain", || (takeover(&dali)["count"] == 5).then_some(()));
    dali.refused(&["takeover", "complete", &dossier], "takeover-notice");
    dali.refused(&record_on(&format!("{dossier}@dali"), "2026-03-01", "60"), "dossier-unknown");

    at("2026-04-05 09:00", &mut [&mut dali, &mut yuxi]);
    let done = dali.ok(&["takeover", "complete", &dossier]);
    assert_eq!((&done["minutes"], &done["epoch"], &done["rebuilt"]), (&270.into(), &1.into(), &true.into()));
    dali.wait_minutes(&dossier, 285);
    record(&dali, &id_number(1), "2026-04-01", "45");
    let here = dali.dossier(&dossier);
    assert_eq!((&here["counted_minutes"], &here["rebuilt"]), (&330.into(), &true.into()), "{here}");
    assert_eq!(dali.ok(&["takeover", "list"])["takeovers"], Value::Array(vec![]));

    // On to a third office, which copies the line with the takeover in it.
    dali.move_to(&dossier, &yuxi);
    let there = yuxi.dossier(&dossier);
    assert_eq!((&there["counted_minutes"], &there["custody"]), (&330.into(), &"held:yuxi".into()), "{there}");
    assert_eq!((&there["epoch"], &there["rebuilt"]), (&2.into(), &true.into()), "{there}");

    // The old machine is found and switched on: it reads what it is, and changes nothing.
    kunming.plan.clock = Some("2026-04-05 09:00".into());
    kunming.start();
    until("kunming pulls version 2", || (kunming.ok(&["status"])["roster"]["version"] == 2).then_some(()));
    kunming.refused(&record_on(&id_number(1), "2026-04-01", "60"), "self-succeeded");
    kunming.refused(&["proof", "issue", &dossier], "self-succeeded");
    kunming.refused(&["transfer", "authorize", &dossier, "--to", "yuxi", "--checked"], "self-succeeded");
}

#[test]
fn a_dossier_that_left_before_its_office_was_gone_is_not_taken_over() {
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = open(folder.path(), "kunming", "530100");
    let mut dali = open(folder.path(), "dali", "532900");
    let mut yuxi = open(folder.path(), "yuxi", "530400");
    let stewards = Stewards::make(&kunming, folder.path());
    let (one, fingerprint) = first_with(&stewards, &[&kunming, &dali, &yuxi], "300", &[]);
    for office in [&kunming, &dali, &yuxi] {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&[&kunming, &dali, &yuxi]);
    kunming.import(&Sheet::default().person(1, &[120]).write(folder.path(), "one.csv"));
    let dossier = text(&kunming.dossier(&id_number(1)), "dossier");
    let bundle = folder.path().join("own.bundle");
    kunming.ok(&["dossier", "export", &dossier, "--own", "--out", shown(&bundle)]);
    let early = folder.path().join("early");
    std::fs::create_dir(&early).expect("folder");
    let (early_log, _) = saved_log(&kunming, &early);
    kunming.move_to(&dossier, &yuxi);
    let (log, checkpoint) = saved_log(&kunming, folder.path());
    kunming.kill9();
    at("2026-03-03 09:00", &mut [&mut dali, &mut yuxi]);
    let two = folder.path().join("roster-2");
    succession(&stewards, &dali, "kunming", &one, &two, &checkpoint);
    let announce = ["takeover", "announce", "--from", "kunming", "--bundle", shown(&bundle), "--log"];
    dali.refused(&[&announce[..], &[shown(&early_log)]].concat(), "takeover-log-short");
    dali.refused(&[&announce[..], &[shown(&log)]].concat(), "takeover-sealed-away");
    assert!(yuxi.is_custodian(&dossier));
    // What Yuxi holds now is not Kunming's to be taken over either.
    let newer = folder.path().join("newer.bundle");
    yuxi.ok(&["dossier", "export", &dossier, "--own", "--out", shown(&newer)]);
    let other = ["takeover", "announce", "--from", "kunming", "--bundle", shown(&newer)];
    dali.refused(&other, "takeover-other-custodian");
}

#[test]
fn hours_of_a_suspended_issuer_are_in_dispute_and_a_proof_over_them_is_revoked() {
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = open(folder.path(), "kunming", "530100");
    let mut yuxi = open(folder.path(), "yuxi", "530400");
    let stewards = Stewards::make(&kunming, folder.path());
    let (one, fingerprint) = first_with(&stewards, &[&kunming, &yuxi], "300", &[]);
    for office in [&kunming, &yuxi] {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&[&kunming, &yuxi]);
    kunming.import(&Sheet::default().person(1, &[120]).write(folder.path(), "one.csv"));
    let card = text(&kunming.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&kunming.dossier(&id_number(1)), "dossier");
    record(&yuxi, &card, "2026-02-20", "60");
    kunming.wait_minutes(&dossier, 180);
    let some = text(&kunming.ok(&["proof", "issue", &dossier, "--at-least", "3"]), "code");
    // A week later Yuxi attests once more.
    at("2026-03-09 09:00", &mut [&mut kunming, &mut yuxi]);
    record(&yuxi, &card, "2026-03-08", "30");
    kunming.wait_minutes(&dossier, 210);
    let all = text(&kunming.ok(&["proof", "issue", &dossier, "--at-least", "3.5"]), "code");
    let status = |office: &Office, code: &str| {
        let list = office.ok(&["proof", "list", &dossier]);
        let found = list["proofs"].as_array().and_then(|all| all.iter().find(|p| p["code"] == code).cloned());
        text(&found.unwrap_or(Value::Null), "status")
    };
    assert_eq!((status(&kunming, &all), status(&kunming, &some)), ("valid".into(), "valid".into()));

    // The stewards suspend it from a day between the two.
    let two = folder.path().join("roster-2");
    let from = ["--suspend", "yuxi", "--from", "2026-03-05", "--out", shown(&two)];
    kunming.ok(&[&["roster", "propose", shown(&one)][..], &from].concat());
    stewards.sign(&kunming, &two, [1, 2]);
    kunming.ok(&["roster", "publish", shown(&two)]);
    let view = kunming.dossier(&dossier);
    let sums = ["stated_minutes", "disputed_minutes", "suspended_minutes", "counted_minutes"];
    assert_eq!(sums.map(|key| view[key].as_u64()), [210, 30, 30, 180].map(Some), "{view}");
    let states: Vec<&Value> =
        view["statements"].as_array().expect("statements").iter().map(|s| &s["state"]).collect();
    assert_eq!(states.iter().filter(|state| **state == "disputed").count(), 1, "{view}");
    assert_eq!((status(&kunming, &all), status(&kunming, &some)), ("revoked".into(), "valid".into()));
    kunming.refused(&["proof", "issue", &dossier, "--at-least", "3.5"], "proof-too-high");

    // Lifted, they count again; what was revoked stays so, and a new proof is given.
    at("2026-03-10 09:00", &mut [&mut kunming]);
    let three = folder.path().join("roster-3");
    let lift = ["roster", "propose", shown(&two), "--resume", "yuxi", "--out", shown(&three)];
    kunming.ok(&lift);
    stewards.sign(&kunming, &three, [1, 2]);
    kunming.ok(&["roster", "publish", shown(&three)]);
    let view = kunming.dossier(&dossier);
    assert_eq!(sums.map(|key| view[key].as_u64()), [210, 0, 0, 210].map(Some), "{view}");
    assert_eq!(status(&kunming, &all), "revoked");
    kunming.ok(&["proof", "issue", &dossier, "--at-least", "3.5"]);
}
