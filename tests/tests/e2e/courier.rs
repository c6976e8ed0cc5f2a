//! Courier files between offices that cannot reach each other: real processes, real files, and no
//! address in any card that leads anywhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use yunling_tests::office::{Office, Plan, Sheet, id_number, record_on, sums, text, until};

/// Offices whose cards lead nowhere: nobody listens on port 1.
fn apart<const N: usize>(folder: &Path, names: [(&str, &str); N]) -> [Office; N] {
    let nowhere = || Plan { external: Some("/ip4/127.0.0.1/tcp/1".into()), ..Plan::default() };
    let offices = names.map(|(name, division)| Office::open_with(folder, name, division, nowhere()));
    for (at, one) in offices.iter().enumerate() {
        offices[at + 1..].iter().for_each(|other| one.peer_with(other));
    }
    offices
}

const TWO: [(&str, &str); 2] = [("kunming", "530100"), ("dali", "532900")];
const THREE: [(&str, &str); 3] = [("kunming", "530100"), ("dali", "532900"), ("yuxi", "530400")];

/// A new file from one office for another.
fn export(folder: &Path, from: &Office, to: &Office) -> (PathBuf, Value) {
    let file = (0..10_000).map(|n| folder.join(format!("{}-{n}.courier", from.name)));
    let file = file.into_iter().find(|path| !path.exists()).expect("a free name");
    let made = from.ok(&["courier", "export", "--to", &to.name, &file.display().to_string()]);
    (file, made)
}

fn import(to: &Office, file: &Path) -> Value {
    to.ok(&["courier", "import", &file.display().to_string()])
}

/// A file goes from one office to the other.
fn carry(folder: &Path, from: &Office, to: &Office) -> (PathBuf, Value) {
    let (file, _) = export(folder, from, to);
    let taken = import(to, &file);
    (file, taken)
}

fn waiting(office: &Office) -> Value {
    office.ok(&["status"])["outbox_waiting"].clone()
}

fn custodians(offices: &[&Office], id: &str) -> Vec<String> {
    offices.iter().filter(|o| o.is_custodian(id)).map(|o| o.name.clone()).collect()
}

/// The whole move of a dossier by files; gives them in the order in which they were carried.
fn move_by_files(folder: &Path, from: &Office, to: &Office, id: &str) -> Vec<PathBuf> {
    let transfer = to.start_transfer(&from.name, &from.authorize(id, &to.name));
    let mut files = Vec::new();
    for (giver, taker, at_taker) in [
        (to, from, "offered"),
        (from, to, "accepted"),
        (to, from, "sealed"),
        (from, to, "completed"),
        (to, from, "completed"),
    ] {
        files.push(carry(folder, giver, taker).0);
        assert_eq!(taker.stage(&transfer).as_deref(), Some(at_taker), "{} after its file", taker.name);
    }
    // The receipt of the last one.
    files.push(carry(folder, from, to).0);
    files
}

#[test]
fn a_whole_move_by_files_alone_and_the_same_files_again_in_any_order() {
    let folder = tempfile::tempdir().expect("folder");
    let [kunming, dali] = apart(folder.path(), TWO);
    kunming.import(&Sheet::default().mover(1).write(folder.path(), "mover.csv"));
    let before = kunming.dossier(&id_number(1));
    let id = text(&before, "dossier");
    let files = move_by_files(folder.path(), &kunming, &dali, &id);
    let after = dali.dossier(&id);
    assert_eq!((&after["counted_minutes"], sums(&after)), (&17_250.into(), sums(&before)));
    assert_eq!(custodians(&[&kunming, &dali], &id), ["dali"]);
    // Name and number came along, closed; the file shows neither, nor may others read it.
    assert_eq!(text(&dali.dossier(&id_number(1)), "dossier"), id);
    for file in &files {
        let bytes = std::fs::read(file).expect("file");
        let clear = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(!clear(&id_number(1)) && !clear("测试1号") && !clear(&id), "{}", file.display());
        assert_eq!(std::fs::metadata(file).expect("file").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!((waiting(&kunming), waiting(&dali)), (0.into(), 0.into()), "every message was answered");
    assert_eq!(kunming.ok(&["peer", "list"])["peers"][0]["state"], "active", "a file shows the acceptance");

    // Twice more, backwards and shuffled: nothing changes.
    for order in [[5, 4, 3, 2, 1, 0], [2, 5, 0, 3, 1, 4]] {
        for at in order {
            let taker = if at % 2 == 0 { &kunming } else { &dali };
            let again = import(taker, &files[at]);
            assert_eq!((&again["statements"], &again["older"]), (&0.into(), &true.into()), "file {at}");
        }
        assert_eq!(sums(&dali.dossier(&id)), sums(&before));
        assert_eq!(custodians(&[&kunming, &dali], &id), ["dali"]);
    }
    for _ in 0..2 {
        carry(folder.path(), &kunming, &dali);
        carry(folder.path(), &dali, &kunming);
    }
    assert_eq!((waiting(&kunming), waiting(&dali)), (0.into(), 0.into()));
    // And back again by files: the epoch goes on.
    move_by_files(folder.path(), &dali, &kunming, &id);
    assert_eq!(custodians(&[&kunming, &dali], &id), ["kunming"]);
    assert_eq!(sums(&kunming.dossier(&id)), sums(&before));
}

#[test]
fn hours_away_arrive_once_though_a_file_is_lost_and_follow_a_move() {
    let folder = tempfile::tempdir().expect("folder");
    let [kunming, dali, yuxi] = apart(folder.path(), THREE);
    kunming.import(&Sheet::default().person(0, &[60]).write(folder.path(), "sheet.csv"));
    let id = text(&kunming.dossier(&id_number(0)), "dossier");
    let card = text(&kunming.ok(&["volunteer", "card", &id]), "card");
    let visit = |day, minutes| [record_on(&card, day, minutes), vec!["--grade", "B"]].concat();
    let first = yuxi.ok(&visit("2025-07-01", "45"));
    let (lost, told) = export(folder.path(), &yuxi, &kunming);
    assert_eq!(told["messages"], 1);
    std::fs::remove_file(&lost).expect("the file is lost");
    let (second, told) = export(folder.path(), &yuxi, &kunming);
    assert_eq!(told["messages"], 1, "the next file tells it again");
    for _ in 0..2 {
        assert_eq!(import(&kunming, &second)["messages"], 1);
        assert_eq!(kunming.dossier(&id)["counted_minutes"], 105);
    }
    assert_eq!(waiting(&yuxi), 1, "it waits until the receipt is here");
    let (answers, _) = carry(folder.path(), &kunming, &yuxi);
    assert_eq!((waiting(&yuxi), import(&yuxi, &answers)["ended"].clone()), (0.into(), 0.into()));

    // C waits for a person; once he has decided, the next file brings the receipt.
    yuxi.ok(&[record_on(&card, "2025-07-02", "30"), vec!["--grade", "C"]].concat());
    carry(folder.path(), &yuxi, &kunming);
    let held = kunming.ok(&["delivery", "list"]);
    let statement = text(&held["held"][0], "statement");
    kunming.ok(&["delivery", "accept", &id, &statement]);
    carry(folder.path(), &kunming, &yuxi);
    assert_eq!((waiting(&yuxi), &kunming.dossier(&id)["counted_minutes"]), (0.into(), &135.into()));

    // Moved to dali: what yuxi tells kunming follows it there, proven by the seals.
    move_by_files(folder.path(), &kunming, &dali, &id);
    yuxi.ok(&visit("2025-07-03", "15"));
    carry(folder.path(), &yuxi, &kunming);
    carry(folder.path(), &kunming, &yuxi);
    carry(folder.path(), &yuxi, &dali);
    assert_eq!(dali.dossier(&id)["counted_minutes"], 150);
    // A void of what came along in the move.
    yuxi.ok(&["void", &id, &text(&first, "statement"), "--reason", "recorded-in-error"]);
    carry(folder.path(), &yuxi, &dali);
    carry(folder.path(), &dali, &yuxi);
    assert_eq!((waiting(&yuxi), &dali.dossier(&id)["counted_minutes"]), (0.into(), &105.into()));
}

#[test]
fn an_issuer_that_nobody_could_ask_tells_its_void_by_file() {
    let folder = tempfile::tempdir().expect("folder");
    let [kunming, dali, yuxi] = apart(folder.path(), THREE);
    kunming.import(&Sheet::default().person(0, &[60]).write(folder.path(), "sheet.csv"));
    let id = text(&kunming.dossier(&id_number(0)), "dossier");
    let card = text(&kunming.ok(&["volunteer", "card", &id]), "card");
    let made = yuxi.ok(&[record_on(&card, "2025-07-01", "45"), vec!["--grade", "B"]].concat());
    carry(folder.path(), &yuxi, &kunming);
    carry(folder.path(), &kunming, &yuxi);
    // Voided, and the file that says so to kunming is never carried.
    yuxi.ok(&["void", &id, &text(&made, "statement"), "--reason", "recorded-in-error"]);
    move_by_files(folder.path(), &kunming, &dali, &id);
    assert_eq!(dali.dossier(&id)["counted_minutes"], 105);
    carry(folder.path(), &dali, &yuxi);
    let (answer, _) = carry(folder.path(), &yuxi, &dali);
    assert_eq!(dali.dossier(&id)["counted_minutes"], 60, "yuxi was asked by file");
    assert_eq!(import(&dali, &answer)["ended"], 0, "asked once, answered once");
    assert_eq!(export(folder.path(), &dali, &yuxi).1["messages"], 0);
}

#[test]
fn a_refused_file_names_rule_value_and_remedy_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let [kunming, dali, yuxi] = apart(folder.path(), THREE);
    let stranger = Office::open(folder.path(), "chuxiong", "532300");
    kunming.import(&Sheet::default().person(0, &[60]).write(folder.path(), "sheet.csv"));
    let id = text(&kunming.dossier(&id_number(0)), "dossier");
    let code = kunming.authorize(&id, "dali");
    let transfer = dali.start_transfer("kunming", &code);
    let (file, _) = export(folder.path(), &dali, &kunming);
    let shown = file.display().to_string();
    dali.refused(&["courier", "export", "--to", "kunming", &shown], "courier-exists");
    dali.refused(&["courier", "export", "--to", "nobody", "x.courier"], "peer-unknown");

    yuxi.refused(&["courier", "import", &shown], "courier-not-for-me");
    dali.refused(&["courier", "import", &shown], "courier-not-for-me");
    let mut told = yuxi.command(&["--lang", "en", "courier", "import", &shown]);
    let told = String::from_utf8(told.output().expect("yunling").stdout).expect("text");
    assert!(told.contains("is for kunming") && told.contains("Bring it to kunming"), "{told}");
    // Chuxiong has accepted kunming, kunming has not accepted chuxiong.
    stranger.ok(&["peer", "accept", &text(&kunming.ok(&["peer", "card"]), "card")]);
    let (foreign, _) = export(folder.path(), &stranger, &kunming);
    kunming.refused(&["courier", "import", &foreign.display().to_string()], "courier-sender-unknown");

    let whole = std::fs::read(&file).expect("file");
    let spoilt = folder.path().join("spoilt.courier");
    let mut flipped = whole.clone();
    flipped[whole.len() - 20] ^= 1;
    for (bytes, code) in [
        (&whole[..whole.len() / 2], "courier-cut"),
        (&whole[..7], "courier-cut"),
        (&b"hello, this is a letter"[..], "courier-form"),
        (&flipped[..], "courier-damaged"),
    ] {
        std::fs::write(&spoilt, bytes).expect("file");
        kunming.refused(&["courier", "import", &spoilt.display().to_string()], code);
    }
    assert_eq!(kunming.stage(&transfer), None, "nothing was changed");
    import(&kunming, &file);
    assert_eq!(kunming.stage(&transfer).as_deref(), Some("offered"));

    // A clerk cancels; the other office learns it by file and forgets its copy.
    carry(folder.path(), &kunming, &dali);
    let offered = dali.stage(&transfer);
    assert_eq!(offered.as_deref(), Some("accepted"));
    kunming.ok(&["transfer", "cancel", &transfer]);
    carry(folder.path(), &kunming, &dali);
    carry(folder.path(), &dali, &kunming);
    assert_eq!((dali.stage(&transfer), kunming.stage(&transfer)), {
        let cancelled = || Some("cancelled".to_owned());
        (cancelled(), cancelled())
    });
    assert_eq!(custodians(&[&kunming, &dali], &id), ["kunming"]);
    // The spent code is refused by file as on a connection, and counted once however often it comes.
    let transfer = dali.start_transfer("kunming", &code);
    let (file, _) = export(folder.path(), &dali, &kunming);
    for _ in 0..3 {
        import(&kunming, &file);
    }
    carry(folder.path(), &kunming, &dali);
    assert_eq!(dali.stage(&transfer).as_deref(), Some("cancelled"));
}

#[test]
fn two_offices_restored_at_once_open_by_files() {
    let folder = tempfile::tempdir().expect("folder");
    let mut offices = apart(folder.path(), TWO);
    offices[0].import(&Sheet::default().person(0, &[60, 60]).write(folder.path(), "sheet.csv"));
    let id = text(&offices[0].dossier(&id_number(0)), "dossier");
    move_by_files(folder.path(), &offices[0], &offices[1], &id);
    let backups = offices.each_ref().map(|office| {
        let backup = folder.path().join(format!("{}.ylbackup", office.name));
        office.ok(&["backup", "create", "--out", &backup.display().to_string()]);
        backup
    });
    for (office, backup) in offices.iter_mut().zip(&backups) {
        restore(folder.path(), office, backup);
    }
    let [kunming, dali] = &offices;
    carry(folder.path(), kunming, dali);
    carry(folder.path(), dali, kunming);
    carry(folder.path(), kunming, dali);
    for office in [kunming, dali] {
        let shown = office.json(&["recovery", "show"]).1;
        assert_eq!((&shown["fenced"], &shown["lost_entries"]), (&false.into(), &0.into()), "{}", office.name);
    }
    assert_eq!(custodians(&[kunming, dali], &id), ["dali"]);
    move_by_files(folder.path(), dali, kunming, &id);
    assert_eq!(kunming.dossier(&id)["counted_minutes"], 120);
}

/// The machine is gone; the office comes back from its backup, behind a fence.
fn restore(folder: &Path, office: &mut Office, backup: &Path) {
    office.kill9();
    let gone = (0..100).map(|n| folder.join(format!("{}-gone-{n}", office.name)));
    std::fs::rename(&office.home, gone.into_iter().find(|p| !p.exists()).expect("a name")).expect("the home");
    let identity = folder.join(format!("{}.identity", office.name));
    std::fs::write(&identity, &office.backup_identity).expect("identity");
    let (from, with) = (backup.display().to_string(), identity.display().to_string());
    office.ok(&["restore", &from, "--identity", &with, "--no-new-peers"]);
    office.start();
}

#[test]
fn a_restored_office_is_told_by_file_what_it_forgot() {
    let folder = tempfile::tempdir().expect("folder");
    let [mut kunming, dali] = apart(folder.path(), TWO);
    // Three pages of statements to be told.
    kunming.import(
        &Sheet::default().person(0, &[60; 330]).person(1, &[60; 330]).write(folder.path(), "sheet.csv"),
    );
    let ids = [0, 1].map(|n| text(&kunming.dossier(&id_number(n)), "dossier"));
    let backup = folder.path().join("old.ylbackup");
    kunming.ok(&["backup", "create", "--out", &backup.display().to_string()]);
    let before = ids.clone().map(|id| kunming.dossier(&id));
    for id in &ids {
        move_by_files(folder.path(), &kunming, &dali, id);
    }
    let late = export(folder.path(), &kunming, &dali).0;
    for generation in [2, 3] {
        restore(folder.path(), &mut kunming, &backup);
        kunming.refused(&["transfer", "authorize", &ids[0], "--to", "dali", "--checked"], "fenced");
        carry(folder.path(), &kunming, &dali);
        carry(folder.path(), &dali, &kunming);
        if generation == 3 {
            // Dali has seen the twin of this life and said so: asked again by a life above it.
            carry(folder.path(), &kunming, &dali);
            carry(folder.path(), &dali, &kunming);
        }
        let shown = kunming.json(&["recovery", "show"]).1;
        assert_eq!((&shown["fenced"], &shown["generation"]), (&false.into(), &generation.into()), "{shown}");
        assert_eq!(import(&dali, &late)["stale"], true, "a file of the life before");
        carry(folder.path(), &kunming, &dali);
        carry(folder.path(), &dali, &kunming);
        for (id, before) in ids.iter().zip(&before) {
            assert_eq!(custodians(&[&kunming, &dali], id), ["dali"]);
            assert_eq!(sums(&dali.dossier(id)), sums(before));
        }
        until("nothing waits", || (waiting(&kunming) == 0 && waiting(&dali) == 0).then_some(()));
    }
}
