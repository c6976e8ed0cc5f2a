//! A roster between real offices: members meet without an invitation, the one with the lower version pulls,
//! a suspended member is read-only and refused, and an expired roster warns and stops nobody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use yunling_tests::office::{Office, Plan, Sheet, free_port, id_number, text, until};

/// Arguments that record an hour away, well evidenced, so that policy lets it in at once.
pub(super) fn record_on<'a>(who: &'a str, day: &'a str, minutes: &'a str) -> Vec<&'a str> {
    let mut arguments = yunling_tests::office::record_on(who, day, minutes);
    arguments.extend(["--grade", "B"]);
    arguments
}

/// Two of three stewards sign.
pub(super) struct Stewards {
    folder: PathBuf,
    publics: Vec<String>,
}

pub(super) fn shown(path: &Path) -> &str {
    path.to_str().expect("a path of the test is UTF-8")
}

impl Stewards {
    pub(super) fn make(office: &Office, folder: &Path) -> Self {
        let key =
            |n: u8| text(&office.ok(&["roster", "key", shown(&folder.join(format!("key{n}")))]), "public");
        Self { folder: folder.to_path_buf(), publics: (1..=3).map(key).collect() }
    }

    fn key(&self, n: u8) -> PathBuf {
        self.folder.join(format!("key{n}"))
    }

    /// Signs with two stewards; the first alone is not enough.
    pub(super) fn sign(&self, office: &Office, file: &Path, by: [u8; 2]) -> Value {
        let one = office.ok(&["roster", "sign", shown(file), "--key", shown(&self.key(by[0]))]);
        assert_eq!(one["complete"], false, "{one}");
        let (exit, refused) = office.json(&["roster", "verify", shown(file)]);
        assert_eq!(exit, 1, "one signature of two: {refused}");
        let two = office.ok(&["roster", "sign", shown(file), "--key", shown(&self.key(by[1]))]);
        assert_eq!(two["complete"], true, "{two}");
        two
    }
}

/// The first version with these offices; gives the file and the fingerprint to compare.
fn first(stewards: &Stewards, offices: &[&Office], days: &str) -> (PathBuf, String) {
    first_with(stewards, offices, days, &[])
}

/// As [`first`], with more options.
pub(super) fn first_with(
    stewards: &Stewards,
    offices: &[&Office],
    days: &str,
    more: &[&str],
) -> (PathBuf, String) {
    let folder = &stewards.folder;
    let file = folder.join("roster-1");
    let mut arguments = vec!["roster".into(), "new".into(), "--out".into(), shown(&file).to_owned()];
    for office in offices {
        let card = folder.join(format!("{}.card", office.name));
        office.ok(&["peer", "card", "--out", shown(&card)]);
        arguments.extend(["--card".into(), shown(&card).to_owned()]);
    }
    for (n, public) in stewards.publics.iter().enumerate() {
        arguments.extend(["--steward".into(), format!("steward {n}={public}")]);
    }
    arguments.extend(["--threshold", "2", "--days", days].map(str::to_owned));
    arguments.extend(more.iter().map(|option| (*option).to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let made = offices[0].ok(&arguments);
    stewards.sign(offices[0], &file, [1, 2]);
    (file, text(&made, "fingerprint"))
}

pub(super) fn version(office: &Office) -> u64 {
    office.ok(&["status"])["roster"]["version"].as_u64().unwrap_or_default()
}

fn peer(office: &Office, name: &str) -> Value {
    let peers = office.ok(&["peer", "list"]);
    let found = peers["peers"].as_array().and_then(|all| all.iter().find(|p| p["name"] == name).cloned());
    found.unwrap_or(Value::Null)
}

/// Waits until every two of these have greeted each other.
pub(super) fn wait_met(offices: &[&Office]) {
    for office in offices {
        for other in offices.iter().filter(|o| o.name != office.name) {
            until(&format!("{} meets {}", office.name, other.name), || {
                let peer = peer(office, &other.name);
                (peer["state"] == "active" && peer["standing"] == "roster").then_some(())
            });
        }
    }
}

#[test]
fn members_meet_without_an_invitation_and_the_one_with_the_lower_version_pulls() {
    let folder = tempfile::tempdir().expect("folder");
    let kunming = Office::open(folder.path(), "kunming", "530100");
    let dali = Office::open(folder.path(), "dali", "532900");
    let mut yuxi = Office::open(folder.path(), "yuxi", "530400");
    let stewards = Stewards::make(&kunming, folder.path());
    let (one, fingerprint) = first(&stewards, &[&kunming, &dali, &yuxi], "30");

    kunming.refused(&["roster", "publish", shown(&one)], "roster-unpinned");
    let wrong = fingerprint.replace(|c: char| c.is_ascii_digit(), "7");
    dali.refused(&["roster", "publish", shown(&one), "--fingerprint", &wrong], "roster-pin");
    for office in [&kunming, &dali, &yuxi] {
        let adopted = office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
        assert_eq!((&adopted["adopted"], &adopted["state"]), (&1.into(), &"active".into()), "{adopted}");
    }
    wait_met(&[&kunming, &dali, &yuxi]);

    // Hours away arrive between members that never exchanged cards.
    dali.import(&Sheet::default().person(1, &[120]).write(folder.path(), "one.csv"));
    let card = text(&dali.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&dali.dossier(&id_number(1)), "dossier");
    kunming.ok(&record_on(&card, "2025-03-05", "60"));
    dali.wait_minutes(&dossier, 180);

    // Version 2 suspends yuxi. Only kunming is given the file; yuxi is away and pulls when it is back.
    yuxi.kill9();
    let two = folder.path().join("roster-2");
    // A state begins after the one before, and a member's first one began when version 1 was made.
    let made = std::fs::metadata(&one).and_then(|file| file.modified()).expect("the file of version 1");
    until("a later second", || (made.elapsed().ok()? > Duration::from_secs(1)).then_some(()));
    kunming.ok(&["roster", "propose", shown(&one), "--suspend", "yuxi", "--out", shown(&two)]);
    kunming.refused(&["roster", "publish", shown(&two)], "roster-threshold-before");
    let signed = stewards.sign(&kunming, &two, [3, 1]);
    assert_eq!(signed["changes"][1]["change"], "state", "{signed}");
    kunming.ok(&["roster", "publish", shown(&two)]);
    until("dali pulls version 2", || (version(&dali) == 2).then_some(()));
    yuxi.start();
    until("yuxi pulls version 2", || (version(&yuxi) == 2).then_some(()));

    for office in [&kunming, &dali] {
        assert_eq!(peer(office, "yuxi")["member"], "suspended");
        assert_eq!(peer(office, "yuxi")["standing"], "roster");
    }
    let to_yuxi = ["transfer", "authorize", &dossier, "--to", "yuxi", "--checked"];
    dali.refused(&to_yuxi, "node-suspended");
    yuxi.refused(&record_on(&card, "2025-03-06", "60"), "self-suspended");
    assert_eq!(yuxi.ok(&["status"])["roster"]["state"], "suspended");
    let (exit, report) = yuxi.json(&["doctor"]);
    assert_eq!(exit, 1, "{report}");
    assert!(report.to_string().contains("roster-suspended"), "{report}");

    // Who was not suspended goes on.
    kunming.ok(&record_on(&card, "2025-03-07", "60"));
    dali.wait_minutes(&dossier, 240);
    // An older file changes nothing, also after a restart.
    assert_eq!(kunming.ok(&["roster", "publish", shown(&one)])["adopted"], 0);
    yuxi.restart();
    assert_eq!(version(&yuxi), 2);
    yuxi.refused(&record_on(&card, "2025-03-06", "60"), "self-suspended");
}

#[test]
fn an_expired_roster_warns_and_stops_nobody() {
    let folder = tempfile::tempdir().expect("folder");
    let plan = |clock: &str| Plan { clock: Some(clock.to_owned()), ..Plan::default() };
    let began = "2026-03-02 09:00";
    let mut dali = Office::open_with(folder.path(), "dali", "532900", plan(began));
    let mut kunming = Office::open_with(folder.path(), "kunming", "530100", plan(began));
    let stewards = Stewards::make(&dali, folder.path());
    let (one, fingerprint) = first(&stewards, &[&dali, &kunming], "90");
    for office in [&dali, &kunming] {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&[&dali, &kunming]);
    dali.import(&Sheet::default().person(1, &[120]).write(folder.path(), "one.csv"));
    let card = text(&dali.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&dali.dossier(&id_number(1)), "dossier");

    let proof = text(&dali.ok(&["proof", "issue", &dossier, "--at-least", "1"]), "proof");
    let by_card = folder.path().join("dali.card");

    // 90 days of life: warned 30 days before the end, expired a month after it.
    for (clock, freshness, days, code, day, minutes) in [
        ("2026-05-20 09:30", "warn", 10, "roster-ends", "2026-05-19", 180),
        ("2026-07-02 09:30", "expired", -32, "roster-expired", "2026-07-01", 240),
    ] {
        for office in [&mut dali, &mut kunming] {
            office.stop();
            office.plan.clock = Some(clock.to_owned());
            office.start();
        }
        for office in [&dali, &kunming] {
            let view = office.ok(&["status"])["roster"].clone();
            assert_eq!((&view["freshness"], &view["days_left"]), (&freshness.into(), &days.into()), "{view}");
            assert!(office.json(&["doctor"]).1.to_string().contains(code), "{code}");
        }
        kunming.ok(&record_on(&card, day, "60"));
        dali.wait_minutes(&dossier, minutes);
        // A proof of a member is judged by it, in a home and with a file; over the limit it is stale.
        let pack = folder.path().join(format!("{freshness}.pack"));
        kunming.ok(&["trust-pack", "export", shown(&pack)]);
        let stale = days < -30;
        for trust in [&["--ask"][..], &["--trust", shown(&pack)]] {
            let verify = |more: &[&str]| {
                let (exit, said) = kunming.json(&[&["proof", "verify", &proof], trust, more].concat());
                let roster = (said["roster"]["state"].clone(), said["roster"]["days_left"].clone());
                assert_eq!(roster, (freshness.into(), days.into()), "{said}");
                (exit, text(&said, "why"))
            };
            let (good, over) = ((0, "proof-status-good".to_owned()), (2, "proof-roster-stale".to_owned()));
            assert_eq!(verify(&[]), if stale { over } else { good.clone() }, "{trust:?}");
            assert_eq!(verify(&["--roster-stale-days", "60"]), good, "{trust:?}");
        }
        let (exit, said) = kunming.json(&["proof", "verify", &proof, "--trust", shown(&by_card)]);
        assert_eq!((exit, &said["roster"]), (0, &Value::Null), "a card stands in no roster: {said}");
    }
    let (exit, verified) = dali.json(&["roster", "verify", shown(&one), "--fingerprint", &fingerprint]);
    assert_eq!((exit, &verified["freshness"]), (2, &"expired".into()), "{verified}");
}

#[test]
fn a_roster_is_pulled_from_the_pages_of_a_member() {
    let folder = tempfile::tempdir().expect("folder");
    let port = free_port();
    let pages = Plan { pages: Some(port), ..Plan::default() };
    let kunming = Office::open_with(folder.path(), "kunming", "530100", pages);
    let dali = Office::open(folder.path(), "dali", "532900");
    let url = format!("http://127.0.0.1:{port}/roster");
    dali.refused(&["roster", "pull", &url], "fetch-status");
    let stewards = Stewards::make(&kunming, folder.path());
    let (one, fingerprint) = first(&stewards, &[&kunming, &dali], "30");
    kunming.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    // Verified as any other: the pin first, then every signature.
    dali.refused(&["roster", "pull", &url], "roster-unpinned");
    let wrong = fingerprint.replace(|c: char| c.is_ascii_digit(), "7");
    dali.refused(&["roster", "pull", &url, "--fingerprint", &wrong], "roster-pin");
    let adopted = dali.ok(&["roster", "pull", &url, "--fingerprint", &fingerprint]);
    assert_eq!((&adopted["adopted"], &adopted["version"]), (&1.into(), &1.into()), "{adopted}");
    wait_met(&[&kunming, &dali]);
    assert_eq!(dali.ok(&["roster", "pull", &url])["adopted"], 0);
    let page = format!("http://127.0.0.1:{port}/log/1/checkpoint");
    dali.refused(&["roster", "pull", &page], "roster-encoding");
}
