//! What offices tell each other of their logs without being asked: places of hours away under the witnesses'
//! word, checkpoints passed on, two histories found by whoever heard both, evidence that goes round.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use yunling_tests::office::{Office, Sheet, id_number, record_on, text, until, until_witnessed};

use super::log::{card, checkpoint, rewritten};
use super::roster::{Stewards, first_with, shown, wait_met};

fn counter(office: &Office, name: &str) -> u64 {
    office.ok(&["status"])["counters"][name].as_u64().unwrap_or_default()
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// An hour away that policy lets in at once.
fn away(office: &Office, who: &str, day: &str) {
    let mut record = record_on(who, day, "60");
    record.extend(["--grade", "B"]);
    office.ok(&record);
}

#[test]
fn hours_away_get_their_place_in_the_issuers_log_and_checkpoints_reach_other_witnesses() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let kunming = Office::open(folder, "kunming", "530100");
    let dali = Office::open(folder, "dali", "532900");
    let yuxi = Office::open(folder, "yuxi", "530400");
    let mut lijiang = Office::open(folder, "lijiang", "530700");
    let all = [&kunming, &dali, &yuxi, &lijiang];
    let stewards = Stewards::make(&kunming, folder);
    let (one, fingerprint) = first_with(&stewards, &all, "30", &["--log", "dali=2:kunming,yuxi,lijiang"]);
    for office in all {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&all);
    // The third witness is away: the other two are the quorum.
    lijiang.stop();

    kunming.import(&Sheet::default().person(1, &[120]).write(folder, "one.csv"));
    let volunteer = text(&kunming.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&kunming.dossier(&id_number(1)), "dossier");
    away(&dali, &volunteer, "2025-03-05");
    kunming.wait_minutes(&dossier, 180);
    let place = || {
        let shown = kunming.dossier(&id_number(1));
        let statements = shown["statements"].as_array().expect("statements").clone();
        let of_dali = statements.into_iter().find(|s| s["issuer"] == "dali").expect("dali's hour");
        of_dali["place"].clone()
    };
    // Delivery waited for nobody.
    assert!(["awaited", "witnessed"].map(Value::from).contains(&place()), "{}", place());
    until_witnessed("dali's witnesses cosign and kunming is shown the place", || {
        (place() == "witnessed").then_some(())
    });
    assert_eq!(kunming.ok(&["status"])["places"]["awaited"], 0);
    let own = kunming.dossier(&id_number(1));
    assert!(own["statements"].as_array().expect("statements").iter().any(|s| s["place"].is_null()));

    // What kunming now relies on reaches the witness that has not seen it.
    lijiang.start();
    until_witnessed("the checkpoint is passed to the third witness", || {
        (counter(&kunming, "checkpoints_passed") > 0).then_some(())
    });
    assert!(counter(&lijiang, "checkpoints_heard") > 0);

    // Dali's key is in other hands from now on. What the witnesses saw before stands, also at a new custodian
    // that is asked to take the record: the old one shows it the place.
    let two = folder.join("roster-2");
    std::thread::sleep(Duration::from_secs(2));
    let stolen = ["roster", "propose", shown(&one), "--compromised", "dali=statement", "--out", shown(&two)];
    kunming.ok(&stolen);
    stewards.sign(&kunming, &two, [1, 2]);
    kunming.ok(&["roster", "publish", shown(&two)]);
    until("yuxi pulls version 2", || (yuxi.ok(&["status"])["roster"]["version"] == 2).then_some(()));
    kunming.move_to(&id_number(1), &yuxi);
    yuxi.wait_minutes(&dossier, 180);
}

#[test]
fn an_office_with_two_histories_is_found_by_those_who_hear_both() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let mut kunming = Office::open(folder, "kunming", "530100");
    let dali = Office::open(folder, "dali", "532900");
    kunming.peer_with(&dali);
    kunming.import(&Sheet::default().person(1, &[120, 60]).write(folder, "one.csv"));
    until("the import is logged", || (checkpoint(&kunming).size >= 4).then_some(()));
    kunming.stop();
    let before = checkpoint(&kunming).size;
    let old = folder.join("old");
    copied(&kunming.home, &old);

    kunming.start();
    // What it announces when it starts has been heard by then: it looks every two seconds.
    std::thread::sleep(Duration::from_secs(6));
    let heard = counter(&dali, "checkpoints_heard");
    kunming.ok(&record_on(&id_number(1), "2025-03-05", "60"));
    until("the record is logged", || (checkpoint(&kunming).size > before).then_some(()));
    let size = checkpoint(&kunming).size;
    // Announced at once when it starts again, as the newest.
    kunming.restart();
    until("dali hears of the first history", || (counter(&dali, "checkpoints_heard") > heard).then_some(()));
    assert_eq!(dali.ok(&["evidence", "list"])["evidence"], Value::Array(vec![]));

    // Yesterday's folder put back by hand, and other work done on it: nobody is told, and nobody asks.
    kunming.stop();
    fs::remove_dir_all(&kunming.home).expect("remove");
    copied(&old, &kunming.home);
    kunming.start();
    for day in ["2025-04-05", "2025-04-06", "2025-04-07"] {
        kunming.ok(&record_on(&id_number(1), day, "90"));
    }
    until("the other records are logged", || (checkpoint(&kunming).size >= size + 2).then_some(()));
    kunming.restart();
    let evidence = until("dali finds the contradiction by itself", || {
        let listed = dali.ok(&["evidence", "list"]);
        listed["evidence"].as_array().and_then(|all| all.first().cloned())
    });
    assert_eq!(evidence["node"], "kunming", "{evidence}");
    assert!(["rewritten", "two-roots"].map(Value::from).contains(&evidence["kind"]), "{evidence}");
    // A third machine with nothing but the card verifies it.
    let (file, trust) = (folder.join("evidence"), card(&kunming, folder));
    dali.ok(&["evidence", "export", &text(&evidence, "id"), shown(&file)]);
    let (exit, verified) =
        yunling_tests::office::run(&["evidence", "verify", shown(&file), "--trust", &trust, "--json"]);
    assert_eq!((exit, &verified["node"]), (0, &"kunming".into()), "{verified}");
}

#[test]
fn evidence_that_one_office_was_brought_goes_round() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let kunming = Office::open(folder, "kunming", "530100");
    let dali = Office::open(folder, "dali", "532900");
    let yuxi = Office::open(folder, "yuxi", "530400");
    for (one, other) in [(&kunming, &dali), (&kunming, &yuxi), (&dali, &yuxi)] {
        one.peer_with(other);
    }
    kunming.import(&Sheet::default().person(1, &[120, 60]).write(folder, "one.csv"));
    until("the import is logged", || (checkpoint(&kunming).size >= 4).then_some(()));
    let (forged, seen, evidence) = (folder.join("forged"), folder.join("seen"), folder.join("evidence"));
    fs::copy(kunming.home.join("log/1/checkpoint"), &seen).expect("copy");
    rewritten(&kunming, &forged);
    let trust = card(&kunming, folder);
    let audit =
        ["audit", shown(&forged), "--trust", &trust, "--seen", shown(&seen), "--evidence", shown(&evidence)];
    assert_eq!(dali.json(&audit).0, 1);
    dali.ok(&["evidence", "import", shown(&evidence)]);
    let told = until("yuxi pulls what dali announced", || {
        let listed = yuxi.ok(&["evidence", "list"]);
        listed["evidence"].as_array().and_then(|all| all.first().cloned())
    });
    assert_eq!((&told["node"], &told["kind"]), (&"kunming".into(), &"rewritten".into()), "{told}");
}
