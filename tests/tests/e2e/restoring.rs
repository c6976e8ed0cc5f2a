//! A dead machine comes back from its backup: real files, real processes, three offices.

use std::path::{Path, PathBuf};

use serde_json::Value;
use yunling_tests::office::{Office, Sheet, id_number, record_on, sums, text, until, until_witnessed};

use super::roster::{Stewards, first_with, shown, wait_met};

/// The machine is gone: only the backup and the identity in the safe are left. Restores and starts.
fn come_back(folder: &Path, office: &mut Office, backup: &Path, peers: &[&str]) {
    office.kill9();
    let gone = (0..100).map(|n| folder.join(format!("gone-{n}"))).find(|p| !p.exists()).expect("a name");
    std::fs::rename(&office.home, gone).expect("the home");
    let identity = folder.join(format!("{}.identity", office.name));
    std::fs::write(&identity, &office.backup_identity).expect("identity file");
    let (backup, identity) = (backup.display().to_string(), identity.display().to_string());
    let mut arguments = vec!["restore", backup.as_str(), "--identity", identity.as_str()];
    arguments.extend_from_slice(peers);
    assert_eq!(office.ok(&arguments)["fenced"], true);
    office.start();
}

fn backup(folder: &Path, office: &Office) -> PathBuf {
    let made = office.ok(&["backup", "create"]);
    let safe = folder.join(format!("{}-{}.ylbackup", office.name, made["rows"]));
    std::fs::copy(text(&made, "file"), &safe).expect("the backup is copied");
    safe
}

fn recovery(office: &Office) -> (i32, Value) {
    office.json(&["recovery", "show"])
}

fn opens(office: &Office) {
    until("the fence opens", || (recovery(office).1["fenced"] == false).then_some(()));
}

fn three(folder: &Path) -> [Office; 3] {
    let offices = [("kunming", "530100"), ("dali", "532900"), ("yuxi", "530400")];
    let offices = offices.map(|(name, division)| Office::open(folder, name, division));
    let [kunming, dali, yuxi] = &offices;
    kunming.peer_with(dali);
    kunming.peer_with(yuxi);
    dali.peer_with(yuxi);
    offices
}

#[test]
fn a_node_from_a_backup_three_moves_old_rejoins_with_the_sums_of_its_peers() {
    let folder = tempfile::tempdir().expect("folder");
    let [mut kunming, dali, mut yuxi] = three(folder.path());
    let person = id_number(0);
    kunming.import(&Sheet::default().person(0, &[60, 60, 60]).write(folder.path(), "sheet.csv"));
    let id = text(&kunming.dossier(&person), "dossier");
    let old = backup(folder.path(), &kunming);
    kunming.move_to(&id, &dali);
    dali.move_to(&id, &yuxi);
    yuxi.move_to(&id, &kunming);
    let card = text(&kunming.ok(&["volunteer", "card", &id]), "card");
    yuxi.ok(&[record_on(&card, "2025-07-01", "45"), vec!["--grade", "B"]].concat());
    let before = kunming.wait_minutes(&id, 225);

    yuxi.stop();
    come_back(folder.path(), &mut kunming, &old, &["--no-new-peers"]);
    // Dali alone is not enough: yuxi gave the dossier last, and only yuxi knows.
    let heard = until("dali has told", || {
        let (code, shown) = recovery(&kunming);
        (code == 2 && shown["heard"] == serde_json::json!(["dali"])).then_some(shown)
    });
    assert_eq!(heard["missing"], serde_json::json!(["yuxi"]));
    kunming.refused(&record_on(&id, "2025-08-01", "30"), "fenced");
    kunming.refused(&["proof", "issue", &id], "fenced");
    kunming.refused(&["transfer", "authorize", &id, "--to", "dali", "--checked"], "fenced");
    let sheet = Sheet::default().person(1, &[60]).write(folder.path(), "more.csv").display().to_string();
    kunming.refused(&["import", &sheet], "fenced");
    kunming.refused(&["recovery", "lift", "--without", "dali", "--reason", "x"], "fence-missing-unnamed");

    yuxi.start();
    opens(&kunming);
    // Told by dali that it had sealed, by yuxi that it holds the dossier again: it is copied anew.
    until("the dossier comes back", || kunming.is_custodian(&id).then_some(()));
    assert_eq!(sums(&kunming.wait_minutes(&id, 225)), sums(&before));
    let custodians = [&kunming, &dali, &yuxi].iter().filter(|o| o.is_custodian(&id)).count();
    assert_eq!(custodians, 1);
    let shown = recovery(&kunming);
    assert_eq!((shown.0, &shown.1["generation"]), (0, &2.into()));
    assert_eq!((&shown.1["lost_entries"], &shown.1["lost_dossiers"]), (&0.into(), &0.into()));
    // Found by number as before, and it moves on.
    assert_eq!(text(&kunming.dossier(&person), "dossier"), id);
    kunming.move_to(&id, &dali);
    assert_eq!(sums(&dali.dossier(&id)), sums(&before));
    // Whatever Dali holds of Kunming stands in the log of one of its lives: what was brought back, in the new one.
    let audited = until("the log has taken all", || {
        let (exit, audited) = dali.json(&["audit", "kunming"]);
        // What was brought back a moment ago is logged within a second.
        let all = audited["unplaced"].as_array().is_some_and(Vec::is_empty);
        (exit == 0 && all).then_some(audited)
    });
    assert_eq!((&audited["origin"], &audited["missing"]), (&"kunming/2".into(), &serde_json::json!([])));
    let lives = |key: &str| audited[key].as_array().map_or(0, Vec::len);
    assert!(lives("earlier") + lives("unread") >= 1, "{audited}");
}

#[test]
fn one_backup_restored_twice_and_a_forgotten_seal_leave_one_custodian() {
    let folder = tempfile::tempdir().expect("folder");
    let [mut kunming, dali, yuxi] = three(folder.path());
    kunming.import(&Sheet::default().person(0, &[60, 60]).write(folder.path(), "sheet.csv"));
    let id = text(&kunming.dossier(&id_number(0)), "dossier");
    let old = backup(folder.path(), &kunming);
    kunming.move_to(&id, &dali);
    for generation in [2, 3] {
        come_back(folder.path(), &mut kunming, &old, &["--no-new-peers"]);
        opens(&kunming);
        assert_eq!(recovery(&kunming).1["generation"], generation, "a twin of the first life took one above");
        assert!(!kunming.is_custodian(&id) && dali.is_custodian(&id));
        kunming.refused(&["transfer", "authorize", &id, "--to", "yuxi", "--checked"], "dossier-moved");
    }
    dali.move_to(&id, &yuxi);
    assert_eq!(yuxi.dossier(&id)["counted_minutes"], 120);
}

#[test]
fn a_peer_made_after_the_backup_is_waited_for_and_the_fence_can_be_lifted_by_name() {
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = Office::open(folder.path(), "kunming", "530100");
    let mut dali = Office::open(folder.path(), "dali", "532900");
    let card = text(&dali.ok(&["peer", "card"]), "card");
    kunming.import(&Sheet::default().person(0, &[60]).write(folder.path(), "sheet.csv"));
    let id = text(&kunming.dossier(&id_number(0)), "dossier");
    let old = backup(folder.path(), &kunming);
    kunming.peer_with(&dali);
    let paired = |office: &Office| office.ok(&["peer", "list"])["peers"][0]["paired"] == true;
    until("both keep the pairing record", || (paired(&kunming) && paired(&dali)).then_some(()));
    kunming.move_to(&id, &dali);

    // Dali stands at the door with the record that kunming signed and forgot; nothing is typed.
    come_back(folder.path(), &mut kunming, &old, &["--new-peer", "dali"]);
    opens(&kunming);
    assert!(!kunming.is_custodian(&id) && dali.is_custodian(&id));
    until("paired again", || paired(&kunming).then_some(()));

    // Without the record its card is accepted by hand, as at the first time.
    dali.stop();
    come_back(folder.path(), &mut kunming, &old, &["--new-peer", "dali"]);
    let (code, shown) = recovery(&kunming);
    assert_eq!((code, &shown["unknown"]), (2, &serde_json::json!(["dali"])));
    kunming.ok(&["peer", "accept", &card]);
    dali.start();
    opens(&kunming);
    assert!(!kunming.is_custodian(&id) && dali.is_custodian(&id));

    come_back(folder.path(), &mut kunming, &old, &["--new-peer", "ghost"]);
    // Nobody named dali: its record is enough.
    until("dali is heard", || (recovery(&kunming).1["heard"] == serde_json::json!(["dali"])).then_some(()));
    let without = ["recovery", "lift", "--without", "ghost", "--reason", "机房失火，不再恢复"];
    assert_eq!(kunming.ok(&without)["missing"], serde_json::json!(["ghost"]));
    assert_eq!(recovery(&kunming).1["lifted"], true);
    kunming.refused(&without, "fence-none");
}

/// Five offices in a roster; three of them witness the log of Kunming, two of which must cosign.
fn witnessed(folder: &Path) -> [Office; 5] {
    let offices = [
        ("kunming", "530100"),
        ("dali", "532900"),
        ("yuxi", "530400"),
        ("chuxiong", "532300"),
        ("baoshan", "530500"),
    ];
    let offices = offices.map(|(name, division)| Office::open(folder, name, division));
    let all: Vec<&Office> = offices.iter().collect();
    let stewards = Stewards::make(&offices[0], folder);
    let witnesses = ["--log", "kunming=2:dali,yuxi,chuxiong"];
    let (one, fingerprint) = first_with(&stewards, &all, "30", &witnesses);
    for office in &all {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&all);
    offices
}

#[test]
fn two_of_three_witnesses_open_the_fence_while_the_peer_that_has_the_record_is_down() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let [mut kunming, dali, mut yuxi, mut chuxiong, mut baoshan] = witnessed(folder);
    let sheet = Sheet::default().person(0, &[60, 60]).person(1, &[45]);
    kunming.import(&sheet.write(folder, "sheet.csv"));
    let [gone, stays] = [0, 1].map(|n| text(&kunming.dossier(&id_number(n)), "dossier"));
    let old = backup(folder, &kunming);
    kunming.move_to(&gone, &baoshan);
    kunming.ok(&record_on(&stays, "2025-07-01", "30"));

    // Baoshan, which has the record, never comes back; of the witnesses one has answered.
    baoshan.kill9();
    yuxi.kill9();
    chuxiong.kill9();
    come_back(folder, &mut kunming, &old, &["--no-new-peers"]);
    let view = until("dali has answered", || {
        let view = recovery(&kunming).1;
        (view["witnesses"]["rules"][0]["heard"] == serde_json::json!(["dali"])).then_some(view)
    });
    let rule = &view["witnesses"]["rules"][0];
    assert_eq!((&rule["need"], &rule["of"]), (&2.into(), &3.into()), "{view}");
    assert_eq!(rule["waits"], serde_json::json!(["chuxiong", "yuxi"]), "{view}");
    kunming.refused(&record_on(&stays, "2025-07-02", "30"), "fenced");
    assert!(!kunming.home.join("log/2").exists(), "its log begins when it knows what it closes");

    yuxi.start();
    opens(&kunming);
    let view = recovery(&kunming).1;
    assert_eq!((&view["closed_dossiers"], &view["lifted"]), (&1.into(), &false.into()), "{view}");
    assert_eq!(view["closed"], serde_json::json!([gone]), "{view}");
    assert!(view["lost_logged"].as_u64() >= Some(2), "a seal and an hour: {view}");
    assert_eq!(view["asking"], serde_json::json!(["baoshan", "chuxiong"]), "{view}");
    // What was sealed after the backup stays closed; what was not goes on.
    kunming.refused(&record_on(&gone, "2025-07-03", "30"), "dossier-closed");
    kunming.refused(&["proof", "issue", &gone], "dossier-closed");
    kunming.refused(&["transfer", "authorize", &gone, "--to", "dali", "--checked"], "dossier-closed");
    kunming.ok(&record_on(&stays, "2025-07-02", "30"));
    kunming.wait_minutes(&stays, 75);
    // A restart changes nothing of it, and the log of the new life closes the old one where it ended.
    kunming.restart();
    kunming.refused(&record_on(&gone, "2025-07-03", "30"), "dossier-closed");
    let life = until("the log of the new life", || std::fs::read(kunming.home.join("log/2/life")).ok());
    let closed = yunling_protocol::log::life::LifeRecord::decode(&life).expect("a record").closes;
    let newest = std::fs::read(kunming.home.join("log/1/checkpoint")).expect("the old log is here");
    let newest = yunling_protocol::log::Checkpoint::parse(&newest).expect("a checkpoint").1;
    assert_eq!(closed.map(|(_, size, root)| (size, root)), Some((newest.size, newest.root)));
    let audited = until_witnessed("the first checkpoint of the new life has its witnesses", || {
        let (_, audited) = dali.json(&["audit", "kunming"]);
        (audited["witnessed"] == true).then_some(audited)
    });
    assert_eq!(audited["clean"], true, "{audited}");
    // Nobody opens it by accident; an operator must name who was not heard.
    let reopen = ["recovery", "lift", "--dossier", gone.as_str(), "--reason", "x"];
    kunming.refused(&reopen, "fence-missing-unnamed");

    // Baoshan is found after all, and with it the seal.
    baoshan.start();
    until("the seal is found", || (recovery(&kunming).1["closed_dossiers"] == 0).then_some(()));
    kunming.refused(&["transfer", "authorize", &gone, "--to", "dali", "--checked"], "dossier-moved");
    assert!(baoshan.is_custodian(&gone));
    kunming.refused(&reopen, "dossier-not-closed");
}
