//! Backups of real offices: made while an import runs, checked, restored; every file that must be
//! refused; a restore that is killed and begun again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use yunling_tests::office::{Office, Plan, Sheet, id_number, sums, text, until};

/// The fence that a restore puts in.
const FENCE_ROW: u64 = 1;
const MINUTES: u64 = 61;

fn sheet(folder: &Path, name: &str, people: std::ops::Range<u32>, rows: usize) -> PathBuf {
    let sheet = people.fold(Sheet::default(), |s, n| s.person(n, &vec![MINUTES as u32; rows]));
    sheet.write(folder, name)
}

fn identity(folder: &Path, office: &Office) -> String {
    let path = folder.join(format!("{}.identity", office.name));
    std::fs::write(&path, &office.backup_identity).expect("identity file");
    path.display().to_string()
}

/// Names and bytes of everything below a folder.
fn below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.push((path.clone(), vec![]));
            out.extend(below(&path));
        } else {
            out.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    out.sort();
    out
}

fn code(answer: &(i32, Value)) -> (i32, String) {
    (answer.0, text(&answer.1["error"], "code"))
}

#[test]
fn a_backup_made_while_an_import_runs_restores_the_same_records() {
    let folder = tempfile::tempdir().expect("folder");
    let mut office = Office::open(folder.path(), "kunming", "530100");
    let key = identity(folder.path(), &office);
    let long = sheet(folder.path(), "long.csv", 0..150, 30).display().to_string();
    let mut import = office.command(&["import", &long]);
    let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the import starts");
    until("the first records", || (office.ok(&["status"])["volunteers"].as_u64() > Some(0)).then_some(()));
    let made = office.ok(&["backup", "create"]);
    let during = import.try_wait().expect("the import").is_none();
    assert!(import.wait().expect("the import").success());
    println!("backup of {} rows in {} ms, import still running: {during}", made["rows"], made["millis"]);
    let checked = office.ok(&["backup", "verify", &text(&made, "file"), "--identity", &key]);
    assert_eq!(
        (&checked["opened"], &checked["own"], &checked["rows"]),
        (&true.into(), &true.into(), &made["rows"])
    );
    let last = office.ok(&["backup", "create"]);
    assert!(last["rows"].as_u64() > made["rows"].as_u64() || !during, "{made} {last}");
    let status = office.ok(&["status"]);
    assert!(status["backup"]["age_seconds"].as_u64() < Some(600), "{}", status["backup"]);
    assert_eq!(status["backup"]["failure"], Value::Null);
    assert_eq!(office.ok(&["backup", "list"])["backups"].as_array().map(Vec::len), Some(2));
    let before = office.dossier(&id_number(7));
    office.stop();
    // The machine is gone: only the files of the backups and the key in the safe are left.
    let safe = folder.path().join("safe");
    std::fs::rename(office.home.join("backups"), &safe).expect("the backups");
    std::fs::rename(&office.home, folder.path().join("gone")).expect("the home");
    let file = |made: &Value| {
        let path = text(made, "file");
        safe.join(Path::new(&path).file_name().expect("name")).display().to_string()
    };
    // The one made during the import: every dossier in it is whole.
    let restore = |office: &Office, made: &Value| {
        office.ok(&["restore", &file(made), "--identity", &key, "--no-new-peers"])
    };
    let restored = restore(&office, &made);
    assert_eq!((&restored["generation"], &restored["fenced"]), (&2.into(), &true.into()));
    // Owner, life and fence are the home's own.
    assert_eq!(restored["rows"].as_u64().map(|n| n + 2), made["rows"].as_u64());
    office.start();
    let volunteers = office.ok(&["volunteer", "list"]);
    let volunteers = volunteers["volunteers"].as_array().cloned().unwrap_or_default();
    assert!(!volunteers.is_empty());
    for volunteer in &volunteers {
        let dossier = office.dossier(&text(volunteer, "dossier"));
        let minutes = dossier["counted_minutes"].as_u64().unwrap_or(1);
        assert_eq!(minutes, MINUTES * dossier["attestations"].as_u64().unwrap_or(0), "{dossier}");
    }
    office.stop();
    // The one made after it: the same records to the row, and made with the node stopped.
    std::fs::rename(&office.home, folder.path().join("gone too")).expect("the home");
    restore(&office, &last);
    let again = office.ok(&["backup", "create"]);
    assert_eq!(
        again["rows"].as_u64(),
        last["rows"].as_u64().map(|n| n + FENCE_ROW),
        "the fence; the log of the new life begins when it opens"
    );
    office.start();
    assert_eq!(office.ok(&["status"])["volunteers"], 150);
    assert_eq!(office.ok(&["status"])["generation"], 2);
    assert_eq!(sums(&office.dossier(&id_number(7))), sums(&before));
}

#[test]
fn files_that_cannot_be_trusted_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let office = Office::make(folder.path(), "kunming", "530100", Plan::default());
    let other = Office::make(folder.path(), "dali", "532900", Plan::default());
    office.import(&sheet(folder.path(), "few.csv", 0..3, 2));
    let (key, foreign_key) = (identity(folder.path(), &office), identity(folder.path(), &other));
    let phrase = |name: &str, words: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, words).expect("passphrase file");
        path.display().to_string()
    };
    let (right, wrong) =
        (phrase("right", "yunling-baoxianxiang-2026\n"), phrase("wrong", "not this phrase\n"));
    let file = text(&office.ok(&["backup", "create"]), "file");
    let closed = text(&office.ok(&["backup", "create", "--passphrase-file", &right]), "file");
    let whole = std::fs::read(&file).expect("backup");
    let bad = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("bad backup");
        path.display().to_string()
    };
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let mut newer = whole.clone();
    newer[15] = 9;
    let cut = bad("cut", &whole[..whole.len() - 100]);
    let (flipped, newer) = (bad("flipped", &flipped), bad("newer", &newer));
    let mut target = Office::make(folder.path(), "x", "530100", Plan::default());
    target.home = folder.path().join("target");
    let homes = below(&office.home);
    let cases = [
        (&file, "--identity", &foreign_key, "backup-identity-wrong"),
        (&closed, "--passphrase-file", &wrong, "backup-passphrase-wrong"),
        (&closed, "--identity", &key, "backup-passphrase-wrong"),
        (&cut, "--identity", &key, "backup-damaged"),
        (&flipped, "--identity", &key, "backup-damaged"),
        (&newer, "--identity", &key, "backup-newer"),
        (&key, "--identity", &key, "backup-form"),
    ];
    for (file, option, secret, expected) in cases {
        let answer = target.json(&["restore", file, option, secret, "--no-new-peers"]);
        assert_eq!(code(&answer), (1, expected.to_owned()), "{}", answer.1);
        assert!(!target.home.exists(), "{expected}: something was written");
    }
    // What only a person knows is demanded, and the refusal says why.
    let answer = target.json(&["restore", &file, "--identity", &key]);
    assert_eq!(code(&answer), (64, "restore-new-peers".into()));
    assert!(text(&answer.1["error"], "message").contains("forgotten"), "{}", answer.1);
    assert_eq!(code(&target.json(&["restore", &file, "--no-new-peers"])), (64, "backup-unlock".into()));
    // A home is never restored over, and another node's file is told apart where there is a home.
    office.refused(&["restore", &file, "--identity", &key, "--new-peer", "dali"], "home-exists");
    other.refused(&["backup", "verify", &file], "backup-foreign");
    office.refused(&["backup", "verify", &flipped], "backup-damaged");
    assert_eq!(office.ok(&["backup", "verify", &file])["opened"], false);
    assert!(below(&office.home) == homes, "the office was changed");
    let restored = target.ok(&["restore", &closed, "--passphrase-file", &right, "--new-peer", "dali"]);
    assert_eq!(restored["new_peers"], Value::from(vec!["dali"]));
}

#[test]
fn a_restore_that_was_killed_is_begun_again_and_ends_well() {
    let folder = tempfile::tempdir().expect("folder");
    let mut office = Office::make(folder.path(), "kunming", "530100", Plan::default());
    let key = identity(folder.path(), &office);
    office.import(&sheet(folder.path(), "many.csv", 0..100, 20));
    let made =
        office.ok(&["backup", "create", "--out", &folder.path().join("one.ylbackup").display().to_string()]);
    let file = text(&made, "file");
    let arguments = ["restore", &file, "--identity", &key, "--no-new-peers"];
    office.home = folder.path().join("whole");
    let began = Instant::now();
    office.ok(&arguments);
    let whole = began.elapsed();
    let mut killed = 0;
    for part in 1..8u32 {
        office.home = folder.path().join(format!("home{part}"));
        let mut command = office.command(&arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("restore starts");
        std::thread::sleep(whole * part / 8);
        let _ = child.kill();
        child.wait().expect("restore");
        let mark = office.home.join("restore.part").exists();
        if office.home.join("config.toml").exists() {
            office.refused(&arguments, "home-exists");
        } else {
            // Half a home is none, whatever lies in it.
            assert_eq!(office.json(&["backup", "list"]).1["error"]["code"], "home-missing");
            killed += u32::from(mark);
            assert_eq!(office.ok(&arguments)["again"], mark);
        }
        let again = office.ok(&["backup", "create"]);
        assert_eq!(again["rows"].as_u64(), made["rows"].as_u64().map(|n| n + FENCE_ROW), "part {part}");
    }
    println!("{killed} of 7 kills fell between the first and the last step of {whole:?}");
    assert!(killed > 0 || whole < Duration::from_millis(200), "no kill met the restore in its work");
}
