//! What offices refuse, with the exit codes that scripts rely on.

use yunling_tests::office::{Office, Plan, Sheet, id_number, record_on, run, text, until};

#[test]
fn wrong_use_exits_64_and_a_stopped_node_69() {
    let folder = tempfile::tempdir().expect("folder");
    let mut office = Office::make(folder.path(), "kunming", "530100", Plan::default());
    for wrong in
        [&["transfer", "start"][..], &["no-such-verb"], &["record", "x"], &["status", "--no-such-option"]]
    {
        assert_eq!(office.json(wrong).0, 64, "{wrong:?}");
    }
    assert_eq!(run(&["--help"]).0, 0);
    let (code, value) = office.json(&["status"]);
    assert_eq!((code, &value["error"]["code"]), (69, &"node-unreachable".into()));
    office.start();
    assert_eq!(office.json(&["status"]).0, 0);
    office.kill9();
    assert_eq!(office.json(&["status"]).0, 69);
    let again = office.json(&["init", "--name", "kunming", "--division", "530100", "--trial"]);
    assert_eq!(again.0, 1, "a home is made once: {}", again.1);
}

#[test]
fn a_wrong_code_is_refused_and_five_tries_spend_the_slip() {
    let folder = tempfile::tempdir().expect("folder");
    let kunming = Office::open(folder.path(), "kunming", "530100");
    let dali = Office::open(folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    kunming.import(&Sheet::default().person(1, &[60]).write(folder.path(), "one.csv"));
    dali.refused(&["transfer", "start", "--from", "kunming", "--code", "not a code"], "transfer-code-form");
    // A slip that a newer one has replaced is well formed, for the right dossier, and wrong.
    let old = kunming.authorize(&id_number(1), "dali");
    let right = kunming.authorize(&id_number(1), "dali");
    let start = |code: &str| dali.json(&["transfer", "start", "--from", "kunming", "--code", code, "--wait"]);
    for _ in 0..5 {
        let (exit, view) = start(&old);
        assert_eq!((exit, &view["reason"]), (1, &"transfer-code-wrong".into()), "{view}");
    }
    let (exit, view) = start(&right);
    assert_eq!((exit, &view["reason"]), (1, &"transfer-code-spent".into()), "{view}");
    assert!(kunming.is_custodian(&id_number(1)), "nothing has moved");
    let (exit, view) = start(&kunming.authorize(&id_number(1), "dali"));
    assert_eq!((exit, &view["stage"]), (0, &"completed".into()), "a new slip works: {view}");
}

#[test]
fn an_office_that_was_not_accepted_gets_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let kunming = Office::open(folder.path(), "kunming", "530100");
    let stranger = Office::open(folder.path(), "chuxiong", "532300");
    kunming.ok(&["volunteer", "register", "--name", "测试甲", "--id-number", &id_number(2)]);
    kunming
        .refused(&["transfer", "authorize", &id_number(2), "--to", "chuxiong", "--checked"], "peer-unknown");
    let card = text(&kunming.ok(&["volunteer", "card", &id_number(2)]), "card");
    stranger.refused(&record_on(&card, "2025-01-01", "60"), "peer-unknown");
    // Only one side has accepted: they do not connect, and the dossier stays as it is.
    let peer = stranger.ok(&["peer", "accept", &text(&kunming.ok(&["peer", "card"]), "card")]);
    assert_eq!(peer["state"], "waiting");
    stranger.ok(&record_on(&card, "2025-01-01", "60"));
    assert_eq!(stranger.json(&["peer", "test", "kunming"]).0, 1);
    assert_eq!(kunming.dossier(&id_number(2))["counted_minutes"], 0);
    assert_eq!(kunming.ok(&["peer", "list"])["peers"].as_array().map(Vec::len), Some(0));
    // Its hours were not lost: they arrive once the other side accepts too.
    kunming.ok(&["peer", "accept", &text(&stranger.ok(&["peer", "card"]), "card")]);
    // Of a day without clock times, such hours wait for a clerk.
    let held = until("the held delivery", || {
        let list = kunming.ok(&["delivery", "list"]);
        list["held"].as_array().and_then(|held| held.first().cloned())
    });
    assert_eq!(kunming.dossier(&id_number(2))["counted_minutes"], 0, "held is not counted");
    kunming.ok(&["delivery", "accept", &text(&held, "dossier"), &text(&held, "statement")]);
    kunming.wait_minutes(&id_number(2), 60);
    // A changed card, a trial card for a real office, and a peer that was removed.
    let mut changed = text(&stranger.ok(&["peer", "card"]), "card");
    let at = changed.len() / 2;
    let other = if &changed[at..=at] == "A" { "B" } else { "A" };
    changed.replace_range(at..=at, other);
    assert_eq!(kunming.json(&["peer", "accept", &changed]).0, 1);
    let real = Office::open_with(folder.path(), "baoshan", "530500", Plan { real: true, ..Plan::default() });
    real.refused(&["peer", "accept", &text(&kunming.ok(&["peer", "card"]), "card")], "trial-mixed");
    kunming.ok(&["peer", "remove", "chuxiong"]);
    until("the removal", || (stranger.json(&["peer", "test", "kunming"]).0 == 1).then_some(()));
}

#[test]
fn only_a_trial_office_lets_its_clock_be_set() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, real) in [("kunming", true), ("dali", false)] {
        let plan = Plan { real, clock: Some("2031-01-02".into()), ..Plan::default() };
        let office = Office::open_with(folder.path(), name, "530100", plan);
        office.ok(&["volunteer", "register", "--name", "测试甲", "--id-number", &id_number(3)]);
        let number = id_number(3);
        if real {
            office.refused(&record_on(&number, "2031-01-01", "60"), "in-future");
        } else {
            office.ok(&record_on(&number, "2031-01-01", "60"));
            office.refused(&record_on(&number, "2031-01-04", "60"), "in-future");
        }
    }
}
