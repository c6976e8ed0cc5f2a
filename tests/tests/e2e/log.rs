//! The log between real offices: a move waits for its witnesses, a proof gets its receipt, a peer's log is
//! audited, its files are read over HTTP, and what an office rewrites is exposed with evidence that a third
//! machine checks.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;
use yunling_node::audit::{Held, audit};
use yunling_node::home::Home;
use yunling_node::log::{Book, Folder};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::Role;
use yunling_protocol::log::tile::{self, Tile, TileKind};
use yunling_protocol::log::{Checkpoint, Entry};
use yunling_protocol::member::{Member, Members};
use yunling_tests::office::{Office, Plan, Sheet, free_port, id_number, record_on, text, until};

use super::roster::{Stewards, first_with, shown, wait_met};

/// What an HTTP server answers: status, head, body.
pub(super) fn http(port: u16, method: &str, path: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("pages are served");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answer");
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, head, answer[split + 4..].to_vec())
}

pub(super) fn checkpoint(office: &Office) -> Checkpoint {
    let note = std::fs::read(office.home.join("log/1/checkpoint")).expect("a checkpoint");
    Checkpoint::parse(&note).expect("a checkpoint").1
}

pub(super) fn card(office: &Office, folder: &Path) -> String {
    let path = folder.join(format!("{}.card", office.name));
    if !path.exists() {
        office.ok(&["peer", "card", "--out", shown(&path)]);
    }
    shown(&path).to_owned()
}

#[test]
fn a_move_waits_for_its_witnesses_and_a_proof_shows_theirs() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let kunming = Office::open(folder, "kunming", "530100");
    let dali = Office::open(folder, "dali", "532900");
    let mut yuxi = Office::open(folder, "yuxi", "530400");
    let stewards = Stewards::make(&kunming, folder);
    let witnesses = ["--log", "kunming=2:dali,yuxi"];
    let (one, fingerprint) = first_with(&stewards, &[&kunming, &dali, &yuxi], "30", &witnesses);
    for office in [&kunming, &dali, &yuxi] {
        office.ok(&["roster", "publish", shown(&one), "--fingerprint", &fingerprint]);
    }
    wait_met(&[&kunming, &dali, &yuxi]);
    kunming.import(&Sheet::default().mover(1).write(folder, "mover.csv"));
    let proof = text(&kunming.ok(&["proof", "issue", &id_number(1), "--at-least", "100"]), "proof");

    // One of the two witnesses is away: the seal is durable, the release does not leave.
    yuxi.kill9();
    let dossier = text(&kunming.dossier(&id_number(1)), "dossier");
    let transfer = dali.start_transfer("kunming", &kunming.authorize(&id_number(1), "dali"));
    kunming.wait_stage(&transfer, "sealed");
    let view = kunming.ok(&["transfer", "show", &transfer]);
    assert_eq!((&view["quorum"], &view["waits_for"]), (&2.into(), &"witnesses".into()), "{view}");
    until("kunming asks its witnesses", || {
        let status = kunming.ok(&["status"]);
        status["witnesses"]["errors"]["yuxi"].is_string().then_some(())
    });
    assert_eq!(dali.stage(&transfer).as_deref(), Some("accepted"));
    assert!(!kunming.is_custodian(&dossier) && !dali.is_custodian(&dossier));
    kunming.refused(&["proof", "receipt", &proof], "proof-not-logged-yet");

    yuxi.start();
    for office in [&kunming, &dali] {
        office.wait_stage(&transfer, "completed");
    }
    assert!(dali.is_custodian(&dossier));

    // The checkpoint of the move covers the proof too.
    let receipt = kunming.ok(&["proof", "receipt", &proof]);
    assert_eq!(receipt["witnesses"], 2, "{receipt}");
    let transparent = text(&receipt, "proof");
    let pack = folder.join("all.pack");
    dali.ok(&["trust-pack", "export", shown(&pack)]);
    let (exit, verified) = dali.json(&["proof", "verify", &transparent, "--trust", shown(&pack), "--logged"]);
    assert_eq!((exit, &verified["logged"]["witnesses"]), (0, &2.into()), "{verified}");
    let (exit, refused) = dali.json(&["proof", "verify", &proof, "--trust", shown(&pack), "--logged"]);
    assert_eq!((exit, &refused["why"]), (2, &"proof-not-logged".into()), "{refused}");

    // A third office replays the whole log and finds what it holds in it.
    let audited = dali.ok(&["audit", "kunming"]);
    assert_eq!((&audited["clean"], &audited["witnessed"]), (&true.into(), &true.into()), "{audited}");
    assert!(audited["checkpoints"].as_u64() >= Some(1), "{audited}");
}

#[test]
fn everything_signed_is_logged_within_a_second_and_any_web_client_reads_it() {
    let folder = tempfile::tempdir().expect("folder");
    let pages = free_port();
    let plan = Plan { pages: Some(pages), ..Plan::default() };
    let mut kunming = Office::open_with(folder.path(), "kunming", "530100", plan);
    kunming.import(&Sheet::default().person(1, &[120, 60]).write(folder.path(), "one.csv"));
    let before = checkpoint(&kunming).size;
    kunming.ok(&record_on(&id_number(1), "2025-03-05", "60"));
    until("the record is logged", || (checkpoint(&kunming).size > before).then_some(()));
    kunming.restart();
    let size = checkpoint(&kunming).size;

    let (status, head, body) = http(pages, "GET", "/log/1/checkpoint", b"");
    assert_eq!((status, body), (200, std::fs::read(kunming.home.join("log/1/checkpoint")).expect("file")));
    assert!(head.contains("no-cache") && head.contains("text/plain"), "{head}");
    let bundle = Tile { kind: TileKind::Entries, index: 0, width: size as u16 };
    let (status, head, body) = http(pages, "GET", &format!("/log/1/{bundle}"), b"");
    assert_eq!(status, 200);
    assert!(head.contains("immutable"), "{head}");
    let entries = tile::decode_entries(&body, size as u16).expect("a bundle");
    let kinds: Vec<u64> = entries.iter().map(|e| Entry::decode(e).expect("an entry").kind()).collect();
    assert_eq!(kinds[0], 5, "the log begins with the life: {kinds:?}");
    // Consents of the import, three services and more.
    assert!(kinds.iter().filter(|kind| **kind == 1).count() >= 4, "{kinds:?}");
    for path in ["/log/1/../../keys/log.key", "/log/2/checkpoint", "/log/1/tile/0/001", "/"] {
        assert_eq!(http(pages, "GET", path, b"").0, 404, "{path}");
    }
    // Nothing personal is public.
    let name = "测试1号".as_bytes();
    assert!(!body.windows(name.len()).any(|w| w == name));
    // Not a witness of itself, and a body that is none.
    assert_eq!(http(pages, "POST", "/add-checkpoint", b"old 0\n\nx").0, 400);
}

/// The log of an office as it would be if one old entry had been another, properly signed, and one longer.
pub(super) fn rewritten(office: &Office, into: &Path) {
    let home = Home::open(&office.home).expect("home");
    let signer = home.signer(Role::Log).expect("log key");
    let honest = checkpoint(office);
    let folder = Folder::of(&office.home, 1);
    let mut book = Book::default();
    let mut round = book.round();
    for number in 0..honest.size {
        let (bundle, place) = Tile::bundle_of(number, honest.size).expect("in the log");
        let bytes = folder.tile(bundle).expect("read").expect("there");
        let entries = tile::decode_entries(&bytes, bundle.width).expect("a bundle");
        let other = Entry::Signed([9; 32]).encode().expect("bytes");
        book.append(if number == 1 { &other } else { entries[place] }, &mut round).expect("append");
    }
    book.append(&Entry::Signed([8; 32]).encode().expect("bytes"), &mut round).expect("append");
    let note =
        Checkpoint::new(honest.origin, book.size(), book.root()).sign(&*signer).expect("sign").render();
    Folder::at(into).publish(&book.files(round), &note).expect("publish");
}

#[test]
fn an_office_that_rewrites_an_entry_is_exposed_to_a_third_machine() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let pages = free_port();
    let mut kunming = Office::make(folder, "kunming", "530100", Plan::default());
    let mut dali = Office::make(folder, "dali", "532900", Plan { pages: Some(pages), ..Plan::default() });
    for (office, watched) in [(&kunming, "dali"), (&dali, "kunming")] {
        let file = office.home.join("config.toml");
        let config = std::fs::read_to_string(&file).expect("configuration");
        std::fs::write(&file, config.replace("\npeers = []", &format!("\npeers = [\"{watched}\"]")))
            .expect("write");
    }
    kunming.start();
    dali.start();
    kunming.peer_with(&dali);
    kunming.import(&Sheet::default().person(1, &[120, 60]).write(folder, "one.csv"));
    until("the import is logged", || (checkpoint(&kunming).size >= 4).then_some(()));

    // Dali witnesses over HTTP what Kunming shows now.
    let note = std::fs::read_to_string(kunming.home.join("log/1/checkpoint")).expect("a checkpoint");
    let add = |old: u64, note: &str| {
        let (status, _, body) =
            http(pages, "POST", "/add-checkpoint", format!("old {old}\n\n{note}").as_bytes());
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let (status, line) = add(0, &note);
    assert_eq!(status, 200, "{line}");
    assert!(line.starts_with("\u{2014} dali "), "{line}");
    let seen = checkpoint(&kunming).size;
    assert_eq!(add(0, &note), (409, format!("{seen}\n")));
    let audited = until("dali is connected with kunming", || {
        let (exit, audited) = dali.json(&["audit", "kunming"]);
        (exit != 0 && audited["error"]["code"] == "audit-fetch")
            .then_some(())
            .map_or(Some(audited), |()| None)
    });
    assert_eq!(audited["clean"], true, "{audited}");

    // Another history, signed by the same key: the witness refuses it.
    let forged = folder.join("forged");
    rewritten(&kunming, &forged);
    let other = std::fs::read_to_string(forged.join("checkpoint")).expect("a checkpoint");
    assert_eq!(add(seen, &other).0, 422);

    // Whoever has both the folder and a checkpoint of before has evidence.
    let witnessed = folder.join("seen");
    std::fs::write(&witnessed, &note).expect("write");
    let trust = card(&kunming, folder);
    let evidence = folder.join("evidence");
    let arguments = [
        "audit",
        shown(&forged),
        "--trust",
        &trust,
        "--seen",
        shown(&witnessed),
        "--evidence",
        shown(&evidence),
    ];
    let (exit, exposed) = dali.json(&arguments);
    assert_eq!((exit, &exposed["evidence"]), (1, &Value::from(vec!["rewritten"])), "{exposed}");
    let (exit, verified) =
        yunling_tests::office::run(&["evidence", "verify", shown(&evidence), "--trust", &trust, "--json"]);
    assert_eq!((exit, &verified["node"]), (0, &"kunming".into()), "{verified}");
    // The card of another does not make it hold.
    let stranger = card(&dali, folder);
    let (exit, _) =
        yunling_tests::office::run(&["evidence", "verify", shown(&evidence), "--trust", &stranger, "--json"]);
    assert_eq!(exit, 1);
    // Brought to Dali, it shuts Kunming out until somebody lets it in again.
    assert_eq!(dali.ok(&["evidence", "import", shown(&evidence)])["node"], "kunming");
    assert_eq!(dali.ok(&["evidence", "list"])["evidence"][0]["kind"], "rewritten");
    let card_of = text(&dali.ok(&["volunteer", "register", "--name", "试用者"]), "card");
    kunming.ok(&{
        let mut record = record_on(&card_of, "2025-03-05", "60");
        record.extend(["--grade", "B"]);
        record
    });
    until("Kunming is told so", || {
        let peers = kunming.ok(&["peer", "list"]);
        let error = &peers["peers"][0]["last_error"];
        (*error == "node-exposed").then_some(())
    });
    dali.refused(&["evidence", "lift", "yuxi", "--reason", "none"], "evidence-none");
    dali.ok(&["evidence", "lift", "kunming", "--reason", "tried in a test"]);
    // The folder alone is of one piece: only what was seen before exposes it.
    let (exit, alone) = dali.json(&["audit", shown(&forged), "--trust", &trust]);
    assert_eq!((exit, &alone["clean"]), (0, &true.into()), "{alone}");
}

#[test]
fn a_void_that_was_not_told_is_found_in_the_log() {
    // Pure replay over a folder: what is held, and a change of it that is not.
    let folder = tempfile::tempdir().expect("folder");
    let home = folder.path().join("kunming");
    Home::init(&home, "kunming", "530100", true).expect("home");
    let home = Home::open(&home).expect("home");
    let signer = home.signer(Role::Log).expect("log key");
    let held = yunling_protocol::id::StatementId([1; 32]);
    let mark = yunling_protocol::log::entry::void_mark(held);
    let void = [2; 32];
    let log = Folder::at(folder.path().join("log"));
    let mut book = Book::default();
    let mut round = book.round();
    for entry in [Entry::Node([3; 32]), Entry::Signed(held.0), Entry::Change { id: void, mark }] {
        book.append(&entry.encode().expect("bytes"), &mut round).expect("append");
    }
    let note = Checkpoint::new("kunming/1", book.size(), book.root()).sign(&*signer).expect("sign").render();
    log.publish(&book.files(round), &note).expect("publish");
    let mut members = Members::default();
    members.insert(Member { card: home.card(vec![]).expect("card"), removed_at: None });
    let look = |ids: &[[u8; 32]]| {
        let ids = ids.iter().map(|id| yunling_protocol::id::StatementId(*id)).collect();
        let held = Held { ids };
        audit(&log, &members, &[], &held, UnixTime(1), |_, _| ()).expect("audit")
    };
    let untold = look(&[held.0]);
    assert_eq!((untold.untold.as_slice(), untold.is_clean()), ([held].as_slice(), false));
    assert!(look(&[held.0, void]).is_clean(), "the void is held");
    let missing = look(&[held.0, void, [7; 32]]);
    assert_eq!(missing.missing, [yunling_protocol::id::StatementId([7; 32])]);
}
