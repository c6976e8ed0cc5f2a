//! Keys change while offices work: a planned rotation with overlap, and the recovery key after a theft.

use std::path::{Path, PathBuf};

use serde_json::Value;
use yunling_tests::office::{Office, Plan, Sheet, id_number, text, until, until_witnessed};

use super::roster::{Stewards, first_with, record_on, shown, version, wait_met};

fn plan(clock: &str) -> Plan {
    Plan { clock: Some(clock.to_owned()), ..Plan::default() }
}

/// Stops offices and starts them at another time.
fn at(clock: &str, offices: &mut [&mut Office]) {
    for office in offices.iter_mut() {
        office.stop();
        office.plan.clock = Some(clock.to_owned());
    }
    for office in offices.iter_mut() {
        office.start();
    }
}

fn states(office: &Office, role: &str) -> Vec<String> {
    let keys = office.ok(&["key", "list"])["keys"].as_array().cloned().unwrap_or_default();
    keys.iter().filter(|key| key["role"] == role).map(|key| text(key, "state")).collect()
}

fn verify(by: &Office, proof: &str, pack: &Path) -> (i32, Value) {
    let (exit, verified) = by.json(&["proof", "verify", proof, "--trust", shown(pack)]);
    (exit, verified["why"].clone())
}

fn pack(by: &Office, name: &str) -> PathBuf {
    let path = by.home.join(name);
    by.ok(&["trust-pack", "export", shown(&path)]);
    path
}

/// What `dali` says against `kunming` in its own outbox.
fn last_error(office: &Office, peer: &str) -> Option<String> {
    let peers = office.ok(&["peer", "list"]);
    let found = peers["peers"].as_array()?.iter().find(|p| p["name"] == peer)?;
    found["last_error"].as_str().map(str::to_owned)
}

#[test]
fn a_member_rotates_its_keys_with_overlap_and_nothing_stops_counting() {
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = Office::open_with(folder.path(), "kunming", "530100", plan("2026-03-02 09:00"));
    let mut dali = Office::open_with(folder.path(), "dali", "532900", plan("2026-03-02 09:00"));
    let stewards = Stewards::make(&kunming, folder.path());
    let (one, fingerprint) = first_with(&stewards, &[&kunming, &dali], "90", &[]);
    for office in [&kunming, &dali] {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&[&kunming, &dali]);
    dali.import(&Sheet::default().person(1, &[120]).write(folder.path(), "one.csv"));
    let card = text(&dali.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&dali.dossier(&id_number(1)), "dossier");
    kunming.ok(&record_on(&card, "2026-02-25", "60"));
    dali.wait_minutes(&dossier, 180);
    kunming.import(&Sheet::default().person(2, &[600]).write(folder.path(), "two.csv"));
    let old_proof = text(&kunming.ok(&["proof", "issue", &id_number(2), "--at-least", "10"]), "proof");

    // Statement and proof keys of Kunming, announced a week ahead.
    let new_card = folder.path().join("kunming.new");
    for (role, overlap) in [("proof", "60"), ("statement", "30")] {
        let rotate = ["key", "rotate", "--role", role, "--from", "2026-03-09", "--overlap", overlap];
        kunming.ok(&[&rotate[..], &["--out", shown(&new_card)]].concat());
        assert_eq!(states(&kunming, role), ["signing", "waiting"]);
    }
    kunming.refused(&["key", "rotate", "--role", "log"], "key-rotate-log");
    let unlisted = kunming.json(&["doctor"]).1.to_string();
    assert!(unlisted.contains("key-unlisted"), "{unlisted}");
    let two = folder.path().join("roster-2");
    kunming.ok(&["roster", "propose", shown(&one), "--card", shown(&new_card), "--out", shown(&two)]);
    let signed = stewards.sign(&kunming, &two, [1, 3]).to_string();
    assert!(signed.contains("key-added") && signed.contains("key-window"), "{signed}");
    kunming.ok(&["roster", "publish", shown(&two)]);
    until("dali pulls version 2", || (version(&dali) == 2).then_some(()));
    assert!(!kunming.json(&["doctor"]).1.to_string().contains("key-unlisted"));

    // In the overlap both count: new hours are signed by the new key, the old proof is as good as a new one.
    at("2026-03-10 09:00", &mut [&mut kunming, &mut dali]);
    assert_eq!(states(&kunming, "statement"), ["counting", "signing"]);
    kunming.ok(&record_on(&card, "2026-03-09", "60"));
    dali.wait_minutes(&dossier, 240);
    let new_proof = text(&kunming.ok(&["proof", "issue", &id_number(2), "--at-least", "10"]), "proof");
    kunming.refused(&["key", "retire", "--role", "statement"], "key-retire-none");

    // After it the old statement key is destroyed, and the office works on: so it was the new one that signs.
    at("2026-04-20 09:00", &mut [&mut kunming, &mut dali]);
    assert_eq!(states(&kunming, "statement"), ["over", "signing"]);
    kunming.ok(&["key", "retire", "--role", "statement"]);
    assert!(!kunming.home.join("keys/statement.key").exists());
    kunming.restart();
    assert_eq!(states(&kunming, "statement"), ["retired", "signing"]);
    kunming.ok(&record_on(&card, "2026-04-15", "60"));
    dali.wait_minutes(&dossier, 300);
    let pack = pack(&dali, "all.pack");
    for proof in [&old_proof, &new_proof] {
        assert_eq!(verify(&dali, proof, &pack).0, 0);
    }

    // A backup holds what there is, and a home restored from it signs with the same key.
    let backup = folder.path().join("kunming.ylb");
    kunming.ok(&["backup", "create", "--out", shown(&backup)]);
    kunming.stop();
    let safe = folder.path().join("identity");
    std::fs::write(&safe, &kunming.backup_identity).expect("identity");
    let verified = kunming.ok(&["backup", "verify", shown(&backup), "--identity", shown(&safe)]);
    assert_eq!(verified["own"], true, "{verified}");
    let before = kunming.ok(&["key", "list"]);
    std::fs::rename(&kunming.home, folder.path().join("lost")).expect("the old home is set aside");
    kunming.ok(&["restore", shown(&backup), "--identity", shown(&safe), "--no-new-peers"]);
    let after = kunming.ok(&["key", "list"]);
    let online = |list: &Value| {
        let keys = list["keys"].as_array().cloned().unwrap_or_default();
        keys.into_iter().filter(|key| key["role"] != "recovery").collect::<Vec<_>>()
    };
    assert_eq!(online(&before), online(&after));
}

#[test]
fn the_recovery_key_ends_a_stolen_one_and_what_was_witnessed_before_stays_valid() {
    let folder = tempfile::tempdir().expect("folder");
    let began = "2026-03-02 09:00";
    let mut kunming = Office::open_with(folder.path(), "kunming", "530100", plan(began));
    let mut dali = Office::open_with(folder.path(), "dali", "532900", plan(began));
    let mut yuxi = Office::open_with(folder.path(), "yuxi", "530400", plan(began));
    let stewards = Stewards::make(&dali, folder.path());
    let witnesses = ["--log", "kunming=2:dali,yuxi"];
    let (one, fingerprint) = first_with(&stewards, &[&kunming, &dali, &yuxi], "90", &witnesses);
    for office in [&kunming, &dali, &yuxi] {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&[&kunming, &dali, &yuxi]);
    dali.import(&Sheet::default().person(1, &[120]).write(folder.path(), "one.csv"));
    let card = text(&dali.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&dali.dossier(&id_number(1)), "dossier");
    kunming.ok(&record_on(&card, "2026-02-25", "60"));
    dali.wait_minutes(&dossier, 180);
    kunming.import(&Sheet::default().person(2, &[600]).write(folder.path(), "two.csv"));
    let proof = text(&kunming.ok(&["proof", "issue", &id_number(2), "--at-least", "10"]), "proof");
    let witnessed = until_witnessed("two witnesses have seen the proof", || {
        let (exit, receipt) = kunming.json(&["proof", "receipt", &proof]);
        (exit == 0).then(|| text(&receipt, "proof"))
    });

    // A thief copies the home without the recovery key, which lies in the safe.
    let safe = folder.path().join("recovery.key");
    std::fs::rename(kunming.home.join("keys/recovery.key"), &safe).expect("the safe");
    kunming.stop();
    let (own, stolen) = (kunming.home.clone(), folder.path().join("stolen"));
    let copied = std::process::Command::new("cp").arg("-a").arg(&own).arg(&stolen).status();
    assert!(copied.expect("cp").success());
    at("2026-03-03 09:00", &mut [&mut dali, &mut yuxi]);
    kunming.plan.clock = Some("2026-03-03 09:00".into());
    let change = folder.path().join("kunming.change");
    let replace = ["key", "replace", "--recovery", shown(&safe), "--role", "statement", "--role", "proof"];
    let more = ["--compromised-from", "2026-03-02 12:00", "--out", shown(&change)];
    kunming.ok(&[&replace[..], &more[..]].concat());
    assert_eq!(states(&kunming, "statement"), ["over", "signing"]);
    let two = folder.path().join("roster-2");
    dali.ok(&["roster", "propose", shown(&one), "--key-change", shown(&change), "--out", shown(&two)]);
    let signed = stewards.sign(&dali, &two, [1, 2]).to_string();
    assert_eq!(signed.matches("key-compromised").count(), 2, "{signed}");
    dali.ok(&["roster", "publish", shown(&two)]);
    until("yuxi pulls version 2", || (version(&yuxi) == 2).then_some(()));

    // The office goes on with its new keys.
    kunming.start();
    kunming.ok(&["roster", "publish", shown(&two)]);
    kunming.ok(&record_on(&card, "2026-02-26", "60"));
    dali.wait_minutes(&dossier, 240);
    let pack = pack(&dali, "all.pack");
    let fresh = text(&kunming.ok(&["proof", "issue", &id_number(2), "--at-least", "10"]), "proof");
    assert_eq!(verify(&dali, &fresh, &pack).0, 0);
    // What two witnesses saw before the theft is valid; what only says so itself is not.
    assert_eq!(verify(&dali, &witnessed, &pack).0, 0);
    assert_eq!(verify(&dali, &proof, &pack), (1, "proof-key-compromised".into()));

    // The thief writes hours with the stolen key: nobody takes them.
    kunming.stop();
    std::fs::rename(&own, folder.path().join("good")).expect("the good home is set aside");
    std::fs::rename(&stolen, &own).expect("the thief's home");
    kunming.start();
    kunming.ok(&record_on(&card, "2026-02-27", "90"));
    let refused = until("the thief is refused", || last_error(&kunming, "dali"));
    assert!(refused.starts_with("key-") || refused.starts_with("message-"), "{refused}");
    let forged = text(&kunming.ok(&["proof", "issue", &id_number(2), "--at-least", "10"]), "proof");
    assert_eq!(verify(&dali, &forged, &pack), (1, "proof-key-compromised".into()));
    dali.wait_minutes(&dossier, 240);
}

#[test]
fn two_offices_without_stewards_follow_each_others_keys() {
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = Office::open(folder.path(), "kunming", "530100");
    let dali = Office::open(folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    dali.import(&Sheet::default().person(1, &[120]).write(folder.path(), "one.csv"));
    let card = text(&dali.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&dali.dossier(&id_number(1)), "dossier");
    let seen = |office: &Office| {
        let peers = office.ok(&["peer", "list"]);
        text(&peers["peers"][0], "fingerprint")
    };
    let before = seen(&dali);
    kunming.ok(&["key", "rotate", "--role", "statement"]);
    let new = text(&kunming.ok(&["peer", "card"]), "fingerprint");
    assert_ne!(before, new);
    until("dali follows", || (seen(&dali) == new).then_some(()));
    until("dali has signed the pairing over the new keys", || {
        (!kunming.json(&["doctor"]).1.to_string().contains("key-behind")).then_some(())
    });
    kunming.ok(&record_on(&card, "2025-03-05", "60"));
    dali.wait_minutes(&dossier, 180);

    // All keys are lost but the recovery key: the peer wants its word.
    let safe = folder.path().join("recovery.key");
    std::fs::rename(kunming.home.join("keys/recovery.key"), &safe).expect("the safe");
    let change = folder.path().join("kunming.change");
    let replace = ["key", "replace", "--recovery", shown(&safe), "--out", shown(&change)];
    kunming.refused(&replace, "key-node-runs");
    kunming.stop();
    kunming.ok(&replace);
    kunming.refused(&replace, "key-change-exists");
    kunming.start();
    let alone = text(&kunming.ok(&["peer", "card"]), "card");
    dali.refused(&["peer", "accept", &alone], "peer-other-keys");
    let accepted = dali.ok(&["peer", "accept", "--key-change", shown(&change)]);
    assert_eq!(accepted["name"], "kunming", "{accepted}");
    kunming.ok(&record_on(&card, "2025-03-06", "60"));
    dali.wait_minutes(&dossier, 240);
}
