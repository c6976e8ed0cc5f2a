//! Proofs that do not stay what they were: withdrawn by a void or by hand, superseded by a move, and
//! what a verifier says who has only a file, or asks.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use yunling_tests::office::{Office, Plan, Sheet, id_number, text, until};

/// Between two hours at which lists are made (0, 6, 12, 18).
const AFTERNOON: &str = "2026-05-16 13:00";
/// After the next one.
const EVENING: &str = "2026-05-16 18:30";

fn plan(clock: &str) -> Plan {
    Plan { clock: Some(clock.into()), ..Plan::default() }
}

struct Shown {
    exit: i32,
    value: Value,
}

impl Shown {
    fn is(&self, exit: i32, why: &str, status: &str) {
        assert_eq!((self.exit, &self.value["why"]), (exit, &Value::from(why)), "{}", self.value);
        assert_eq!(self.value["status"], status, "{}", self.value);
    }
}

/// `proof verify` with a trust pack and nothing else.
fn verify(by: &Office, proof: &str, pack: &Path) -> Shown {
    let (exit, value) = by.json(&["proof", "verify", proof, "--trust", &pack.display().to_string()]);
    Shown { exit, value }
}

/// `proof verify` that asks the running node.
fn ask(by: &Office, proof: &str) -> Shown {
    let (exit, value) = by.json(&["proof", "verify", proof, "--ask"]);
    Shown { exit, value }
}

fn export(by: &Office, file: &str) -> PathBuf {
    let path = by.home.join(file);
    let made = by.ok(&["trust-pack", "export", &path.display().to_string()]);
    assert_eq!(made["bytes"], std::fs::metadata(&path).unwrap().len(), "{made}");
    path
}

fn issue(by: &Office, dossier: &str, hours: &str) -> (String, String) {
    let made = by.ok(&["proof", "issue", dossier, "--at-least", hours]);
    (text(&made, "proof"), text(&made, "code"))
}

/// Status of a proof in the list of the office that issued it.
fn listed(by: &Office, dossier: &str, code: &str) -> String {
    let all = by.ok(&["proof", "list", dossier]);
    let found = all["proofs"].as_array().unwrap().iter().find(|p| p["code"] == code);
    text(found.unwrap_or_else(|| panic!("no {code} in {all}")), "status")
}

#[test]
fn a_proof_is_withdrawn_with_its_hours_and_superseded_with_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut kunming = Office::open_with(folder.path(), "kunming", "530100", plan(AFTERNOON));
    let mut dali = Office::open_with(folder.path(), "dali", "532900", plan(AFTERNOON));
    kunming.peer_with(&dali);
    kunming.import(&Sheet::default().mover(1).write(folder.path(), "mover.csv"));
    let view = kunming.dossier(&id_number(1));
    let dossier = text(&view, "dossier");

    // Good as of the list's date, by the file alone; without a list the status is unknown.
    let (high, high_code) = issue(&kunming, &dossier, "287");
    let (low, low_code) = issue(&kunming, &dossier, "100");
    kunming.refused(&["proof", "issue", &dossier, "--at-least", "288"], "proof-too-high");
    let before = export(&kunming, "before.pack");
    let good = verify(&kunming, &high, &before);
    good.is(0, "proof-status-good", "valid");
    assert!(text(&good.value, "status_at").starts_with("2026-05-16"), "{}", good.value);
    assert_eq!(good.value["packs"][0]["by"], "kunming");
    let card = kunming.home.join("card");
    std::fs::write(&card, text(&kunming.ok(&["peer", "card"]), "card")).unwrap();
    verify(&kunming, &high, &card).is(0, "proof-status-unknown", "unknown");

    // A void takes the hours away: the proof that needs them is withdrawn and shown so at once, also by
    // the peer's pack. The pack of before says what it said; its date is shown.
    // Not the first day: the other proof names the period, which would begin later.
    let hour = &view["statements"].as_array().unwrap().iter().filter(|s| s["minutes"] == 300).nth(9).unwrap();
    kunming.ok(&["void", &dossier, &text(hour, "id"), "--reason", "not-volunteer-service"]);
    assert_eq!(listed(&kunming, &dossier, &high_code), "revoked");
    assert_eq!(listed(&kunming, &dossier, &low_code), "valid");
    let pack = until("the list of kunming at dali", || {
        let pack = export(&dali, "dali.pack");
        (verify(&dali, &high, &pack).value["status"] == "revoked").then_some(pack)
    });
    verify(&dali, &high, &pack).is(1, "proof-revoked", "revoked");
    verify(&dali, &low, &pack).is(0, "proof-status-good", "valid");
    verify(&dali, &high, &before).is(0, "proof-status-good", "valid");
    ask(&dali, &high).is(1, "proof-revoked", "revoked");
    kunming.refused(&["proof", "revoke", &high_code, "--reason", "again"], "proof-already-revoked");

    // The record moves. Nothing that can be fetched or asked tells it before the fixed hour.
    kunming.move_to(&dossier, &dali);
    assert_eq!(listed(&kunming, &dossier, &low_code), "superseded");
    let asked = ask(&dali, &low);
    asked.is(0, "proof-status-good", "valid");
    assert_eq!(asked.value["moved"], Value::Null);
    kunming.refused(&["proof", "issue", &dossier], "dossier-moved");
    for office in [&mut kunming, &mut dali] {
        office.stop();
        office.plan.clock = Some(EVENING.into());
        office.start();
    }
    let pack = until("the list of the evening at dali", || {
        let pack = export(&dali, "evening.pack");
        (verify(&dali, &low, &pack).value["status"] == "superseded").then_some(pack)
    });
    let offline = verify(&dali, &low, &pack);
    offline.is(2, "proof-superseded", "superseded");
    assert_eq!((&offline.value["verdict"], &offline.value["moved"]), (&"cannot-tell".into(), &Value::Null));
    // Who asks is told when, and where to get a fresh one.
    let asked = ask(&dali, &low);
    asked.is(2, "proof-superseded", "superseded");
    assert_eq!(
        (&asked.value["moved"]["to"], &asked.value["moved"]["at"]),
        (&"dali".into(), &"2026-05-16".into())
    );
    let message = text(&asked.value, "message");
    assert!(message.contains("Dali") && message.contains("2026-05-16"), "{message}");

    // There it is.
    let (fresh, _) = issue(&dali, &dossier, "100");
    until("the first list of dali", || {
        let pack = export(&dali, "fresh.pack");
        (verify(&dali, &fresh, &pack).value["status"] == "valid").then_some(())
    });

    // An office that cannot reach kunming takes the file, and says the same.
    let yuxi = Office::open_with(folder.path(), "yuxi", "530400", plan(EVENING));
    yuxi.ok(&["peer", "accept", &text(&kunming.ok(&["peer", "card"]), "card")]);
    kunming.stop();
    let taken = yuxi.ok(&["trust-pack", "import", &pack.display().to_string()]);
    assert_eq!((&taken["taken"], &taken["by"]), (&1.into(), &"dali".into()), "{taken}");
    assert_eq!(yuxi.ok(&["trust-pack", "import", &pack.display().to_string()])["taken"], 0);
    ask(&yuxi, &low).is(2, "proof-superseded", "superseded");
    ask(&yuxi, &high).is(1, "proof-revoked", "revoked");
    // A pack accepts nobody: dali is no peer of yuxi, and its proof is by nobody known there.
    ask(&yuxi, &fresh).is(1, "proof-unknown-issuer", "unknown");
}

#[test]
fn a_clerk_withdraws_a_proof_by_its_code_or_text_and_only_an_own_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut kunming = Office::open_with(folder.path(), "kunming", "530100", plan(AFTERNOON));
    let dali = Office::open_with(folder.path(), "dali", "532900", plan(AFTERNOON));
    kunming.peer_with(&dali);
    kunming.import(&Sheet::default().person(1, &[120, 60]).write(folder.path(), "one.csv"));
    let dossier = text(&kunming.dossier(&id_number(1)), "dossier");
    let (first, first_code) = issue(&kunming, &dossier, "1");
    let (second, second_code) = issue(&kunming, &dossier, "2");
    let file = kunming.home.join("second.txt");
    std::fs::write(&file, format!("{second}\n")).unwrap();

    dali.refused(&["proof", "revoke", &first, "--reason", "not ours"], "proof-not-ours");
    kunming.refused(&["proof", "revoke", "1/1", "--reason", "guessed"], "proof-not-ours");
    kunming.refused(&["proof", "revoke", &first_code, "--reason", " "], "reason-length");
    kunming.ok(&["proof", "revoke", &first_code, "--reason", "issued by mistake"]);
    let pack = export(&kunming, "pack");
    verify(&kunming, &first, &pack).is(1, "proof-revoked", "revoked");
    verify(&kunming, &second, &pack).is(0, "proof-status-good", "valid");

    // It survives a power cut, and so does the other one.
    kunming.restart();
    kunming.ok(&["proof", "revoke", &file.display().to_string(), "--reason", "the other too"]);
    assert_eq!(listed(&kunming, &dossier, &second_code), "revoked");
    let pack = export(&kunming, "pack");
    verify(&kunming, &second, &pack).is(1, "proof-revoked", "revoked");
    verify(&kunming, &first, &pack).is(1, "proof-revoked", "revoked");
}
