//! `kill -9` at random moments of imports, records and moves: nothing acknowledged is lost, a move
//! in flight ends after the restart, and one office holds.
//!
//! Ten kills, five hundred with `YUNLING_LONG` or as many as `YUNLING_KILLS` says; `YUNLING_SEED`
//! repeats a run.

use std::process::{Child, Stdio};
use std::time::Instant;

use yunling_tests::dice::Dice;
use yunling_tests::office::{Office, Sheet, id_number, record_on, sums, text, until};

/// Rows of each import: long enough that a kill falls inside it.
const PEOPLE: u32 = 60;
const ROWS: usize = 20;
/// Records of each dossier that moves.
const MOVED_ROWS: usize = 200;
const MINUTES: u64 = 61;

/// Kills in all without and with `YUNLING_LONG`: the second is what a release must survive.
const KILLS: u32 = 10;
const KILLS_LONG: u32 = 500;

/// Kills of imports and of moves: two fifths and the rest of all.
fn kills() -> (u32, u32) {
    let asked = std::env::var("YUNLING_KILLS").ok();
    let asked = asked.map(|text| text.parse().expect("YUNLING_KILLS is a number"));
    let usual = if std::env::var_os("YUNLING_LONG").is_some() { KILLS_LONG } else { KILLS };
    let all: u32 = asked.unwrap_or(usual);
    let imports = all * 2 / 5;
    (imports, all - imports)
}

fn spawn(office: &Office, arguments: &[&str]) -> Child {
    let mut command = office.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("the command starts")
}

#[test]
fn a_power_cut_during_an_import_loses_nothing_that_was_told() {
    let mut dice = Dice::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let mut office = Office::open(folder.path(), "kunming", "530100");
    let mut told: Vec<String> = Vec::new();
    office.ok(&["volunteer", "register", "--name", "测试乙", "--id-number", &id_number(90_000)]);
    let sheet = |round: u32| {
        let people = round * PEOPLE..(round + 1) * PEOPLE;
        let sheet = people.fold(Sheet::default(), |s, n| s.person(n, &[MINUTES as u32; ROWS]));
        sheet.write(folder.path(), &format!("{round}.csv"))
    };
    let rounds = kills().0;
    let began = Instant::now();
    office.import(&sheet(rounds));
    let whole = began.elapsed();
    for round in 0..rounds {
        let (first, path) = (round * PEOPLE, sheet(round));
        let mut import = spawn(&office, &["import", &path.display().to_string()]);
        // A clerk records single services at the same time.
        let (number, month) = (id_number(90_000), round % 12 + 1);
        let (year, began) = (2000 + round / 12, Instant::now());
        // Reading and judging the sheet comes first: most kills shall fall into the writing.
        let pause = whole * 2 / 5 + dice.moment(whole * 4 / 5);
        for day in 1..=28 {
            if began.elapsed() >= pause {
                break;
            }
            let day = format!("{year}-{month:02}-{day:02}");
            let (code, made) = office.json(&record_on(&number, &day, "30"));
            assert_eq!(code, 0, "{made}");
            told.push(text(&made, "statement"));
        }
        std::thread::sleep(pause.saturating_sub(began.elapsed()));
        office.kill9();
        let finished = import.wait().expect("the import ends").success();
        office.start();
        let rows = u64::from(PEOPLE) * ROWS as u64;
        let again = office.import(&path);
        let added = again["records_added"].as_u64().unwrap_or(0);
        println!(
            "round {round}: killed after {pause:?} of {whole:?}, finished {finished}, {added} of {rows} rows left"
        );
        if finished {
            assert_eq!(added, 0, "round {round}: an import was told and is not there");
        }
        assert_eq!(again["accepted"].as_u64().unwrap_or(0) + again["duplicate"].as_u64().unwrap_or(0), rows);
        assert_eq!(office.import(&path)["records_added"], 0);
        for n in first..first + PEOPLE {
            let view = office.dossier(&id_number(n));
            assert_eq!(view["counted_minutes"], MINUTES * ROWS as u64, "round {round}, person {n}");
            assert_eq!(view["attestations"], ROWS, "round {round}, person {n}");
        }
        let view = office.dossier(&number);
        let has =
            |id: &String| view["statements"].as_array().is_some_and(|l| l.iter().any(|s| s["id"] == **id));
        assert!(told.iter().all(has), "round {round}: a record was told and is not there");
        assert_eq!(view["attestations"], told.len(), "round {round}");
    }
    println!("{rounds} kills of imports, {} records told, none lost", told.len());
}

#[test]
fn a_power_cut_during_a_move_leaves_one_custodian_and_equal_sums() {
    let mut dice = Dice::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = Office::open(folder.path(), "kunming", "530100");
    let mut dali = Office::open(folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    let rounds = kills().1;
    let sheet = (0..=rounds).fold(Sheet::default(), |s, n| s.person(n, &[MINUTES as u32; MOVED_ROWS]));
    kunming.import(&sheet.write(folder.path(), "movers.csv"));
    let code = kunming.authorize(&id_number(rounds), "dali");
    let began = Instant::now();
    let first = dali.start_transfer("kunming", &code);
    kunming.wait_stage(&first, "completed");
    let whole = began.elapsed();
    for n in 0..rounds {
        let before = kunming.dossier(&id_number(n));
        let dossier = text(&before, "dossier");
        let code = kunming.authorize(&dossier, "dali");
        let began = Instant::now();
        let transfer = dali.start_transfer("kunming", &code);
        let moment = dice.moment(whole);
        std::thread::sleep(moment.saturating_sub(began.elapsed()));
        let victim = if dice.below(2) == 0 { &mut kunming } else { &mut dali };
        victim.kill9();
        let name = victim.name.clone();
        victim.start();
        println!("round {n}: {name} killed after {moment:?} of {whole:?}, {:?}", dali.stage(&transfer));
        // The new office is asked first: the move goes on between the two questions, and once dali
        // holds it, kunming must have sealed before. The other way round both could say yes in turn.
        assert!(!(dali.is_custodian(&dossier) && kunming.is_custodian(&dossier)), "round {n}: held twice");
        dali.ok(&["transfer", "resume", &transfer]);
        for office in [&dali, &kunming] {
            office.wait_stage(&transfer, "completed");
        }
        let after = until("the dossier", || Some(dali.dossier(&dossier)));
        assert_eq!(sums(&before), sums(&after), "round {n}");
        assert_eq!(sums(&before), sums(&kunming.dossier(&dossier)), "round {n}");
        assert_eq!(after["counted_minutes"], MINUTES * MOVED_ROWS as u64, "round {n}");
        assert!(dali.is_custodian(&dossier) && !kunming.is_custodian(&dossier), "round {n}");
    }
    println!("{rounds} kills of moves, {rounds} dossiers held once, equal sums");
}
