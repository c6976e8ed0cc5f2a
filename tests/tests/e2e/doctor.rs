//! `doctor` at real offices: what is good, a clock that is off, a peer that is gone, and its exit code.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use yunling_tests::office::{Office, Plan, until};

/// Seconds for a few processes to start and to be asked: a difference stated with this room holds.
const ROOM: i64 = 30;

fn at(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    (now + seconds).to_string()
}

/// Exit code, and the level of each code with its fields.
fn doctor(office: &Office) -> (i32, Vec<(String, String, Value)>) {
    let (exit, answer) = office.json(&["doctor"]);
    let checks = answer["checks"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    let word = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks: Vec<_> =
        checks.iter().map(|c| (word(c, "level"), word(c, "code"), c["fields"].clone())).collect();
    assert_eq!(exit == 0, answer["ok"] == true, "{answer}");
    assert_eq!(exit == 1, checks.iter().any(|(level, ..)| level == "fail"), "{answer}");
    (exit, checks)
}

fn of_peer<'a>(checks: &'a [(String, String, Value)], peer: &str, code: &str) -> &'a (String, String, Value) {
    let found = checks.iter().find(|(_, c, fields)| c.starts_with(code) && fields["peer"] == peer);
    found.unwrap_or_else(|| panic!("no {code} of {peer} in {checks:?}"))
}

fn has(checks: &[(String, String, Value)], level: &str, code: &str) -> bool {
    checks.iter().any(|(l, c, _)| l == level && c == code)
}

/// Both accept each other, and each has heard the other.
fn peered(a: &Office, b: &Office) {
    a.peer_with(b);
    for (office, peer) in [(a, b), (b, a)] {
        until("both have accepted", || {
            let peers = office.ok(&["peer", "list"])["peers"].as_array().cloned().unwrap_or_default();
            peers.iter().any(|p| p["name"] == peer.name.as_str() && p["state"] == "active").then_some(())
        });
    }
}

#[test]
fn doctor_names_a_wrong_clock_and_a_peer_that_is_gone() {
    let folder = tempfile::tempdir().expect("folder");
    let open = |name: &str, division: &str, clock: Option<String>| {
        Office::open_with(folder.path(), name, division, Plan { clock, ..Plan::default() })
    };
    let kunming = open("kunming", "530100", None);
    let (exit, alone) = doctor(&kunming);
    assert_eq!(exit, 0, "{alone:?}");
    assert!(has(&alone, "warn", "peers-none") && has(&alone, "ok", "disk-good"), "{alone:?}");
    assert!(has(&alone, "warn", "reach-local"), "{alone:?}");

    let mut dali = open("dali", "532900", None);
    let slow = open("yuxi", "530400", Some(at(-300)));
    for peer in [&dali, &slow] {
        peered(&kunming, peer);
    }
    let (exit, good) = doctor(&kunming);
    assert_eq!(exit, 0, "{good:?}");
    assert_eq!(of_peer(&good, "dali", "peer-").1, "peer-direct");
    assert_eq!(of_peer(&good, "dali", "clock-").0, "ok");
    let (level, code, fields) = of_peer(&good, "yuxi", "clock-");
    assert_eq!((level.as_str(), code.as_str()), ("warn", "clock-ahead"));
    let seconds: i64 = fields["seconds"].as_str().and_then(|s| s.parse().ok()).expect("seconds");
    assert!((300 - ROOM..300 + ROOM).contains(&seconds), "{fields}");
    // The same seen from the other side.
    assert_eq!(of_peer(&doctor(&slow).1, "kunming", "clock-").1, "clock-behind");

    let off = open("lijiang", "530700", Some(at(-1_200)));
    peered(&kunming, &off);
    let (exit, wrong) = doctor(&kunming);
    assert_eq!((exit, of_peer(&wrong, "lijiang", "clock-").0.as_str()), (1, "fail"));

    kunming.ok(&["peer", "remove", "lijiang"]);
    assert_eq!(doctor(&kunming).0, 0);
    dali.stop();
    let (exit, gone) = doctor(&kunming);
    let (level, code, _) = of_peer(&gone, "dali", "peer-");
    assert_eq!((exit, level.as_str(), code.as_str()), (1, "fail", "peer-unreached"));
}

#[test]
fn a_new_address_reaches_an_accepted_peer_without_a_new_invitation() {
    let folder = tempfile::tempdir().expect("folder");
    let kunming = Office::open(folder.path(), "kunming", "530100");
    let mut dali = Office::open(folder.path(), "dali", "532900");
    peered(&kunming, &dali);
    let known = |kunming: &Office| {
        let peers = kunming.ok(&["peer", "list"]);
        peers["peers"][0]["addresses"].to_string()
    };
    let before = known(&kunming);
    dali.stop();
    // A card is newer by whole seconds.
    std::thread::sleep(Duration::from_millis(1_100));
    dali.move_port();
    dali.start();
    let port = dali.port.to_string();
    assert!(!before.contains(&port));
    until("the new address at the peer", || known(&kunming).contains(&port).then_some(()));
    assert_eq!(of_peer(&doctor(&kunming).1, "dali", "peer-").1, "peer-direct");
}
