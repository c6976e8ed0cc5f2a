#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::id::DossierId;
use yunling_protocol::recovery::Fence;

use super::*;
use crate::person::Person;
use crate::service::volunteers::{CONSENT_BASIS, consent_to_record};
use crate::store::sled::OWNER_KEY;

/// Nobody's: born in 1900.
const NUMBER: &str = "530102190001010019";
const PEOPLE: usize = 6;
const RECORDS: u32 = 5;

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

struct Office {
    _folder: tempfile::TempDir,
    path: PathBuf,
    people: Vec<DossierId>,
    rows: Rows,
}

fn rows(store: &SledStore) -> Rows {
    let mut rows = Rows::new();
    for table in Table::ALL {
        yunling_protocol::store::scan_all::<Refusal>(store, table, b"", |key, value| {
            rows.insert((table, key), value);
            Ok(())
        })
        .unwrap();
    }
    rows
}

fn home(path: &Path) -> Home {
    Home::open(path).unwrap()
}

fn store(path: &Path) -> SledStore {
    open_store(&home(path).store_folder(), &home(path).name).unwrap()
}

impl Office {
    fn filled() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        Home::init(&path, "kunming", "530100", true).unwrap();
        let node = Node::open(home(&path)).unwrap();
        let number = |n| (n == 1).then(|| CitizenId::parse(NUMBER).unwrap().0);
        let person = |n| Person { name: format!("测试{n}"), citizen_id: number(n), contact: None };
        let people: Vec<DossierId> = (0..PEOPLE)
            .map(|n| node.register(&person(n), &consent_to_record(CONSENT_BASIS)).unwrap())
            .collect();
        for id in &people {
            for day in 1..=RECORDS {
                let request = json!({
                    "volunteer": id.to_string(), "activity": "社区服务", "organization": "翠湖志愿服务队",
                    "place": "翠湖", "content": "邻里守望", "start": format!("2026-03-{day:02} 08:00"),
                    "end": format!("2026-03-{day:02} 09:00"), "grade": "B",
                });
                node.record(&serde_json::from_value(request).unwrap()).unwrap();
            }
        }
        drop(node);
        let rows = rows(&store(&path));
        Self { _folder: folder, path, people, rows }
    }

    /// Takes rows away under the store's back, so that it misses them.
    fn lose(&self, doomed: impl Fn(Table, &[u8]) -> bool) -> u64 {
        let folder = self.path.join("data");
        let config =
            ::sled::Config::new().segment_size(8 << 20).flush_every_ms(None).path(folder.join("sled"));
        let mut tries = (0..200).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            config.open()
        });
        let db = tries.find_map(Result::ok).unwrap();
        let mut lost = 0;
        for (table, key) in self.rows.keys().filter(|(table, key)| doomed(*table, key)) {
            assert!(db.remove([&[table.number()][..], key].concat()).unwrap().is_some());
            lost += 1;
        }
        db.flush().unwrap();
        drop(db);
        lost
    }

    fn refused_to_open(&self) {
        let code = Node::open(home(&self.path)).unwrap_err().code;
        assert!(["store-lost", "store-damaged"].contains(&code.as_str()), "{code}");
    }

    fn repair(&self) -> Report {
        self.ask(false, Some(vec![])).unwrap()
    }

    fn ask(&self, dry_run: bool, new_peers: Option<Vec<NodeName>>) -> Result<Report, Refusal> {
        repair(RepairRequest { home: home(&self.path), new_peers, dry_run })
    }

    fn now(&self) -> Rows {
        rows(&store(&self.path))
    }

    fn counted(&self, n: usize) -> u64 {
        let node = Node::open(home(&self.path)).unwrap();
        node.fold(self.people[n]).unwrap().totals(node.profile()).counted.0
    }
}

fn without_life(mut rows: Rows) -> Rows {
    rows.retain(|(table, key), _| *table != Table::Meta || (key != b"life" && key != b"fence"));
    rows
}

#[test]
fn a_whole_store_is_left_alone() {
    let office = Office::filled();
    let report = office.repair();
    assert!(report.nothing_to_do && !report.forgot, "{report:?}");
    assert_eq!(office.now(), office.rows);
    assert_eq!(fs::read_dir(office.path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside");
}

#[test]
fn lost_lookups_come_back_to_the_last_byte_without_a_fence() {
    let office = Office::filled();
    let lost = office.lose(|table, _| table == Table::Index);
    assert!(lost > 0);
    office.refused_to_open();
    let report = office.repair();
    assert_eq!((report.lost(), report.forgot, report.generation), (Some(0), false, None), "{report:?}");
    assert_eq!(office.now(), office.rows);
    let kept = report.kept_as.unwrap();
    assert!(kept.join("sled/db").exists() && kept.to_string_lossy().contains("data.damaged-"));
    let node = Node::open(home(&office.path)).unwrap();
    assert!(!node.fenced());
    let (number, _) = CitizenId::parse(NUMBER).unwrap();
    assert_eq!(node.find_by_number(&number).unwrap(), Some(office.people[1]));
}

#[test]
fn lost_heads_and_places_of_chains_are_made_again_from_the_statements() {
    for doomed in [&[Table::Head][..], &[Table::Chain], &[Table::Head, Table::Chain]] {
        let office = Office::filled();
        office.lose(|table, _| doomed.contains(&table));
        office.refused_to_open();
        let report = office.repair();
        assert_eq!(report.lost(), Some(0), "{doomed:?}: {report:?}");
        // One day after another, signed in one second: the order is the one they were recorded in.
        assert_eq!(without_life(office.now()), without_life(office.rows.clone()), "{doomed:?}");
        assert_eq!(office.counted(0), u64::from(RECORDS) * 60);
    }
}

#[test]
fn a_lost_statement_is_counted_shown_and_keeps_its_dossier_shut() {
    let office = Office::filled();
    let id = office.people[2];
    let of_dossier = |table: Table, key: &[u8]| table == Table::Statement && key.starts_with(&id.0);
    let victim = office.rows.keys().find(|(table, key)| of_dossier(*table, key)).unwrap().1.clone();
    office.lose(|table, key| of_dossier(table, key) && key == victim);
    office.refused_to_open();
    let dry = office.ask(true, None).unwrap();
    assert!(dry.dry_run);
    office.refused_to_open();
    let report = office.repair();
    assert_eq!(
        (report.missing_statements, report.holed_dossiers, report.lost()),
        (1, 1, Some(1)),
        "{report:?}"
    );
    assert_eq!((dry.lost(), dry.missing_statements), (report.lost(), report.missing_statements));
    assert_eq!(report.generation, Some(2));
    let node = Node::open(home(&office.path)).unwrap();
    assert!(node.fenced() && Fence::load(&node).unwrap().is_some());
    let shown = node.recovery().unwrap();
    assert_eq!((&shown["holed_dossiers"], &shown["missing_statements"]), (&json!(1), &json!(1)));
    assert_eq!(shown["holed"], json!([id.to_string()]));
    assert!(node.fold(id).is_err());
    drop(node);
    assert_eq!(office.counted(0), u64::from(RECORDS) * 60, "the others are as they were");
}

#[test]
fn every_table_may_be_lost_and_the_numbers_say_so() {
    for table in Table::ALL {
        let office = Office::filled();
        let doomed = |t: Table, key: &[u8]| t == table && key != OWNER_KEY;
        if office.lose(doomed) == 0 {
            continue;
        }
        let report = office.repair();
        let node = Node::open(home(&office.path)).unwrap();
        assert_eq!(node.fenced(), report.forgot, "{table}");
        assert!(report.lost().is_some(), "{table}: {report:?}");
        let row = report.tables.iter().find(|row| row.table == table.name()).unwrap();
        let found = row.kept + row.rebuilt + row.lost.unwrap();
        assert!(found >= row.had.unwrap(), "{table}: {report:?}");
    }
}

#[test]
fn what_the_engine_cannot_read_is_read_from_its_log() {
    let mut whole = 0;
    for seed in 0..12_u64 {
        let office = Office::filled();
        let db = office.path.join("data/sled/db");
        let mut bytes = fs::read(&db).unwrap();
        let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        // A byte in every part of the log, the head of its segment included.
        let at = usize::try_from(seed).unwrap() * written / 12;
        bytes[at] ^= 0x40;
        fs::write(&db, bytes).unwrap();
        let report = office.repair();
        let node = Node::open(home(&office.path)).unwrap();
        drop(node);
        let now = office.now();
        let statements = |rows: &Rows| rows.keys().filter(|(table, _)| *table == Table::Statement).count();
        println!("byte {at} of {written}: {:?}, lost {:?}", report.why, report.lost());
        // One byte spoils one message: a page or a change of it.
        assert!(statements(&now) + 40 > statements(&office.rows), "{report:?}");
        whole += usize::from(without_life(now) == without_life(office.rows));
    }
    assert!(whole >= 6, "{whole} of 12");
}

#[test]
fn a_lost_tally_keeps_every_row_and_says_that_it_cannot_tell() {
    let office = Office::filled();
    fs::remove_file(office.path.join("data/tally")).unwrap();
    office.refused_to_open();
    let report = office.repair();
    assert_eq!(report.lost(), None);
    assert!(report.forgot);
    assert_eq!(without_life(office.now()), without_life(office.rows));
}

#[test]
fn lost_cards_of_peers_must_be_spoken_for() {
    let office = Office::filled();
    fs::remove_file(office.path.join("data/tally")).unwrap();
    assert_eq!(office.ask(false, None).unwrap_err().code, "repair-new-peers");
    office.refused_to_open();
    let dali = NodeName::parse("dali").unwrap();
    let report = office.ask(false, Some(vec![dali])).unwrap();
    assert_eq!(report.accept_again, ["dali"]);
    let node = Node::open(home(&office.path)).unwrap();
    assert_eq!(node.recovery().unwrap()["missing"], json!(["dali"]));
}

#[test]
fn a_run_killed_at_any_step_of_the_exchange_goes_on_and_no_node_starts_before() {
    for step in 0..4 {
        let office = Office::filled();
        office.lose(|table, _| table == Table::Index);
        let place = Place::of(&home(&office.path));
        let kept = place.kept_name(0);
        // As a run leaves it that was killed: whole, before or after each change of a name.
        let report = office.ask(true, Some(vec![])).unwrap();
        place.make().unwrap();
        let made = open_store(&place.new, &home(&office.path).name).unwrap();
        let mut batch = Batch::default();
        for ((table, key), value) in office.rows.iter().filter(|((_, key), _)| key != OWNER_KEY) {
            batch.set(*table, key.clone(), value.clone());
        }
        made.commit(batch).unwrap();
        drop(made);
        if step == 0 {
            place.mark(&Stage::Copy).unwrap();
        } else {
            place.mark(&Stage::Swap { kept: kept.clone(), report: Box::new(report) }).unwrap();
        }
        if step >= 2 {
            let exchange = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(rustix::fs::CWD, &place.store, rustix::fs::CWD, &place.new, exchange)
                .unwrap();
        }
        if step >= 3 {
            fs::rename(&place.new, &kept).unwrap();
        }
        assert_eq!(Node::open(home(&office.path)).unwrap_err().code, "repair-unfinished", "step {step}");
        let report = office.repair();
        assert!(report.again, "step {step}");
        assert_eq!(office.now(), office.rows, "step {step}");
        assert!(Node::open(home(&office.path)).is_ok());
        assert!(step == 0 || kept.join("sled/db").exists());
        assert!(!place.reading.exists() && !place.store.join("repaired").exists());
    }
}
