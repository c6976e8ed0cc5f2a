//! Moves and service away between real offices: minutes stay, count once, and one office holds.

use serde_json::Value;
use yunling_tests::office::{Office, Plan, Sheet, id_number, sums, text, until};

const HOURS_11: u64 = 660;

fn record<'a>(who: &'a str, activity: &'a str, start: &'a str, end: &'a str) -> Vec<&'a str> {
    vec![
        "record",
        who,
        "--activity",
        activity,
        "--organization",
        "玉溪志愿服务队",
        "--place",
        "抚仙湖",
        "--content",
        "湖岸清洁",
        "--start",
        start,
        "--end",
        end,
        "--grade",
        "B",
    ]
}

fn one_custodian(offices: &[&Office], dossier: &str, name: &str) {
    let holding: Vec<&str> =
        offices.iter().filter(|o| o.is_custodian(dossier)).map(|o| o.name.as_str()).collect();
    assert_eq!(holding, [name], "custodians");
}

#[test]
fn a_move_keeps_its_minutes_has_one_custodian_and_is_counted_once() {
    let folder = tempfile::tempdir().expect("folder");
    let kunming = Office::open(folder.path(), "kunming", "530100");
    let dali = Office::open(folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    let added = kunming.import(&Sheet::default().mover(1).write(folder.path(), "mover.csv"));
    assert_eq!(added["minutes_total"], 17_250);
    // The same service typed by hand is refused at the office that imported it.
    let again = [
        "record",
        &id_number(1),
        "--activity",
        "邻里守望",
        "--organization",
        "翠湖志愿服务队",
        "--place",
        "翠湖",
        "--content",
        "照护",
        "--start",
        "2024-01-01 08:00",
        "--end",
        "2024-01-01 13:00",
    ];
    kunming.refused(&again, "record-duplicate");

    let before = kunming.dossier(&id_number(1));
    assert_eq!((&before["counted_minutes"], &before["hours"]), (&17_250.into(), &"287.50".into()));
    let dossier = text(&before, "dossier");
    let code = kunming.authorize(&dossier, "dali");
    let transfer = dali.start_transfer("kunming", &code);
    for office in [&dali, &kunming] {
        office.wait_stage(&transfer, "completed");
    }
    one_custodian(&[&kunming, &dali], &dossier, "dali");
    let after = dali.dossier(&dossier);
    assert_eq!(sums(&before), sums(&after));
    assert_eq!(sums(&before), sums(&kunming.dossier(&dossier)));
    assert_eq!(after["by_issuer"]["kunming"], 17_250);

    // The old office appends nothing more: its own records travel to the new custodian.
    kunming.refused(&["transfer", "authorize", &dossier, "--to", "dali", "--checked"], "dossier-moved");
    // The slip is spent: the same bundle cannot be fetched twice.
    dali.refused(&["transfer", "start", "--from", "kunming", "--code", &code], "dossier-held-here");

    // The new office types an hour that came along: flagged, and not a second hour.
    let typed = dali.ok(&record(&dossier, "邻里守望", "2024-01-01 08:00", "2024-01-01 13:00"));
    assert!(typed["flags"].as_array().is_some_and(|f| f.contains(&"overlap".into())), "{typed}");
    let view = dali.dossier(&dossier);
    assert_eq!(view["counted_minutes"], 17_250, "an overlap counts once");
    assert_eq!(view["stated_minutes"], 17_550);

    // 12 h 30 min more in the new place: 300.00 h is the second star, the bound included.
    dali.ok(&record(&dossier, "湖岸清洁", "2025-12-01 08:00", "2025-12-01 20:30"));
    let view = dali.dossier(&dossier);
    assert_eq!((&view["counted_minutes"], &view["stars_due"]), (&18_000.into(), &2.into()));
}

#[test]
fn service_away_arrives_once_though_told_again_and_through_the_old_office() {
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = Office::open(folder.path(), "kunming", "530100");
    let dali = Office::open(folder.path(), "dali", "532900");
    let mut yuxi = Office::open(folder.path(), "yuxi", "530400");
    kunming.peer_with(&dali);
    kunming.peer_with(&yuxi);
    dali.peer_with(&yuxi);
    kunming.import(&Sheet::default().person(1, &[120]).write(folder.path(), "one.csv"));
    let card = text(&kunming.ok(&["volunteer", "card", &id_number(1)]), "card");
    let dossier = text(&kunming.dossier(&id_number(1)), "dossier");

    // The custodian is away while the hours are recorded, and the recorder loses its power twice.
    kunming.kill9();
    let visit = record(&card, "抚仙湖环保", "2025-03-05 08:00", "2025-03-05 11:00");
    let made = yuxi.ok(&visit);
    assert_eq!((&made["away"], &made["custodian"]), (&true.into(), &"kunming".into()));
    yuxi.restart();
    yuxi.refused(&visit, "record-duplicate");
    kunming.start();
    kunming.wait_minutes(&dossier, 300);
    yuxi.restart();
    kunming.restart();
    yuxi.refused(&visit, "record-duplicate");

    // After a move the card still names the old office: what it is told reaches the new one, once.
    kunming.move_to(&dossier, &dali);
    yuxi.ok(&record(&card, "抚仙湖环保", "2025-03-06 08:00", "2025-03-06 11:00"));
    dali.wait_minutes(&dossier, 480);
    yuxi.restart();
    until("an empty outbox", || (yuxi.ok(&["status"])["outbox_waiting"] == 0).then_some(()));
    let view = dali.dossier(&dossier);
    assert_eq!((&view["counted_minutes"], &view["attestations"]), (&480.into(), &3.into()));
    one_custodian(&[&kunming, &dali, &yuxi], &dossier, "dali");
}

#[test]
fn three_days_of_eleven_hours_away_are_accepted_and_flagged() {
    let folder = tempfile::tempdir().expect("folder");
    let kunming = Office::open(folder.path(), "kunming", "530100");
    let dali = Office::open(folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    kunming.ok(&["volunteer", "register", "--name", "测试甲", "--id-number", &id_number(5)]);
    let card = text(&kunming.ok(&["volunteer", "card", &id_number(5)]), "card");
    for day in ["2026-05-21", "2026-05-22", "2026-05-23"] {
        let (start, end) = (format!("{day} 08:00"), format!("{day} 19:00"));
        let made = dali.ok(&record(&card, "漾濞抗震救灾", &start, &end));
        assert_eq!(made["minutes"], HOURS_11);
        assert_eq!(
            made["flags"],
            Value::from(vec!["day-over-flag"]),
            "eleven hours a day are shown to the clerk"
        );
    }
    let view = kunming.wait_minutes(&id_number(5), 3 * HOURS_11);
    assert_eq!(view["by_issuer"]["dali"], 1_980);
}

#[test]
fn ninety_days_after_a_move_the_old_sheet_still_adds_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let summer = || Plan { clock: Some("2026-06-01 08:00".into()), ..Plan::default() };
    let mut kunming = Office::open_with(folder.path(), "kunming", "530100", summer());
    let dali = Office::open_with(folder.path(), "dali", "532900", summer());
    kunming.peer_with(&dali);
    let sheet = Sheet::default().mover(1).write(folder.path(), "mover.csv");
    kunming.import(&sheet);
    let dossier = text(&kunming.dossier(&id_number(1)), "dossier");
    kunming.move_to(&dossier, &dali);
    assert_eq!(kunming.dossier(&dossier)["counted_minutes"], 17_250, "kept for ninety days");

    kunming.stop();
    kunming.plan.clock = Some("2026-09-15 08:00".into());
    kunming.start();
    until("the rest to be destroyed", || (kunming.json(&["dossier", "show", &dossier]).0 == 1).then_some(()));
    kunming.refused(&["dossier", "show", &dossier], "dossier-moved");
    let again = kunming.import(&sheet);
    assert_eq!((&again["records_added"], &again["minutes_total"]), (&0.into(), &0.into()), "{again}");
    assert_eq!(again["refused"], again["rows"]);
    assert_eq!(kunming.ok(&["status"])["volunteers"], 1, "no second dossier of the same person");
    assert_eq!(dali.dossier(&dossier)["counted_minutes"], 17_250);
}

/// A copy is staged in pieces of 64 statements: dossiers that end with a piece, and beside it.
#[test]
fn dossiers_of_whole_pieces_and_one_more_or_less_move() {
    let folder = tempfile::tempdir().expect("folder");
    let kunming = Office::open(folder.path(), "kunming", "530100");
    let dali = Office::open(folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    for (n, statements) in (0..).zip([63, 64, 65, 128]) {
        // The first statement of a dossier is the consent.
        let lengths = vec![60; statements - 1];
        kunming.import(&Sheet::default().person(n, &lengths).write(folder.path(), "pieces.csv"));
        let before = kunming.dossier(&id_number(n));
        let id = text(&before, "dossier");
        kunming.move_to(&id, &dali);
        assert_eq!(sums(&dali.dossier(&id)), sums(&before), "{statements} statements");
        one_custodian(&[&kunming, &dali], &id, "dali");
    }
}
