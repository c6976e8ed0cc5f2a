//! Offices that contradict what they have signed: one puts an old copy of its data back and goes on as if what
//! came since had never been. What others hold of it is evidence, which a machine without a home checks.

use std::path::Path;

use yunling_node::home::Home;
use yunling_node::service::Node;
use yunling_protocol::id::{DossierId, StatementId};
use yunling_protocol::ledger;
use yunling_protocol::log::evidence::Evidence;
use yunling_protocol::statement::{Body, Outcome, Receipt, Statement};
use yunling_protocol::store::{Read as _, SCAN_ITEMS_MAX, Table};
use yunling_tests::office::{Office, record_on, run, text, until};

use super::log::card;
use super::roster::shown;

/// Copies a folder; key files keep their modes.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().expect("kind") {
            kind if kind.is_dir() => copy(&source, &target),
            kind if kind.is_file() => drop(std::fs::copy(&source, &target).expect("copy")),
            _ => {}
        }
    }
}

/// The store of a stopped office.
fn open(office: &Office) -> Node {
    Node::open(Home::open(&office.home).expect("home")).expect("the office is stopped")
}

/// Statements of a table, as they were received.
fn statements(node: &Node, table: Table) -> Vec<Statement> {
    let rows = node.scan(table, b"", None, SCAN_ITEMS_MAX).expect("rows");
    rows.iter().filter_map(|(_, bytes)| Statement::parse(bytes).ok()).collect()
}

/// The ids of a chain, in order.
fn chain(node: &Node, dossier: DossierId) -> Vec<StatementId> {
    let bytes = ledger::chain(node, dossier, 0, SCAN_ITEMS_MAX).expect("chain");
    bytes.iter().map(|bytes| Statement::parse(bytes).expect("a statement").id).collect()
}

/// An office of before puts its copy back: nothing tells it from one that never went on.
fn put_back(office: &mut Office, copied: &Path) {
    office.stop();
    std::fs::remove_dir_all(&office.home).expect("remove");
    copy(copied, &office.home);
    office.start();
}

/// A machine with nothing but the file and the card: the evidence holds against the office, and against no other.
fn a_third_machine_verifies(folder: &Path, evidence: &Evidence, trust: &str, stranger: &str) {
    let file = folder.join(format!("{}.evidence", evidence.word()));
    std::fs::write(&file, evidence.encode()).expect("write");
    let verify = |trust: &str| run(&["evidence", "verify", shown(&file), "--trust", trust, "--json"]);
    let (exit, verified) = verify(trust);
    let said = (&verified["kind"], &verified["node"]);
    assert_eq!((exit, said), (0, (&evidence.word().into(), &"kunming".into())), "{verified}");
    assert_eq!(verify(stranger).0, 1, "the card of another office");
}

/// Taken in by an office that deals with the accused, it shuts the accused out; what it gives out again is the
/// same file.
fn taken_in(folder: &Path, office: &Office, evidence: &Evidence) {
    let file = folder.join(format!("{}.evidence", evidence.word()));
    let taken = office.ok(&["evidence", "import", shown(&file)]);
    assert_eq!((&taken["node"], &taken["kind"]), (&"kunming".into(), &evidence.word().into()), "{taken}");
    let listed = office.ok(&["evidence", "list"])["evidence"][0].clone();
    assert_eq!(listed["kind"], evidence.word(), "{listed}");
    let again = folder.join("exported");
    office.ok(&["evidence", "export", &text(&listed, "id"), shown(&again)]);
    assert_eq!(std::fs::read(again).expect("file"), evidence.encode());
}

/// Serves a volunteer of Kunming at Dali, and waits until Kunming counts it.
fn serve(dali: &Office, kunming: &Office, card: &str, dossier: &str, day: &str, minutes: u64) {
    let counted = kunming.dossier(dossier)["counted_minutes"].as_u64().expect("minutes");
    let mut record = record_on(card, day, "60");
    record.extend(["--grade", "B"]);
    dali.ok(&record);
    kunming.wait_minutes(dossier, counted + minutes);
}

/// A volunteer of Kunming: card and dossier.
fn volunteer(kunming: &Office) -> (String, String) {
    let made = kunming.ok(&["volunteer", "register", "--name", "试用者"]);
    let card = text(&made, "card");
    let dossier = card.split('@').next().unwrap_or_default().to_owned();
    (card, dossier)
}

#[test]
fn an_office_that_drops_an_acknowledged_attestation_is_exposed_to_a_third_machine() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let mut kunming = Office::open(folder, "kunming", "530100");
    let mut dali = Office::open(folder, "dali", "532900");
    let yuxi = Office::open(folder, "yuxi", "530400");
    kunming.peer_with(&dali);
    kunming.peer_with(&yuxi);
    let (who, dossier) = volunteer(&kunming);
    let (trust, stranger) = (card(&kunming, folder), card(&dali, folder));

    kunming.stop();
    copy(&kunming.home, &folder.join("before"));
    kunming.start();
    serve(&dali, &kunming, &who, &dossier, "2025-03-05", 60);
    delivered(&dali);
    // Kunming drops it, and takes the next one as if it were the first.
    put_back(&mut kunming, &folder.join("before"));
    assert_eq!(kunming.dossier(&dossier)["counted_minutes"], 0, "dropped");
    serve(&dali, &kunming, &who, &dossier, "2025-03-06", 60);
    delivered(&dali);
    kunming.stop();
    dali.stop();

    // Dali has both receipts of Kunming; the chain comes from wherever the dossier is shown.
    let at_dali = open(&dali);
    let receipts: Vec<Statement> = statements(&at_dali, Table::Beside);
    let [one, two] = receipts.as_slice() else { panic!("two receipts: {}", receipts.len()) };
    let target = |s: &Statement| match &s.body {
        Body::Receipt(Receipt { target, outcome: Outcome::Accepted, .. }) => *target,
        other => panic!("accepted: {other:?}"),
    };
    let ids = chain(&open(&kunming), one.common.dossier);
    let (dropped, kept) = if ids.contains(&target(one)) { (two, one) } else { (one, two) };
    assert!(!ids.contains(&target(dropped)) && ids.contains(&target(kept)));
    let evidence = |receipt: &Statement, head: &Statement| Evidence::Dropped {
        receipt: receipt.bytes().to_vec(),
        head: head.bytes().to_vec(),
        ids: ids.clone(),
    };
    drop(at_dali);
    let found = evidence(dropped, kept);
    a_third_machine_verifies(folder, &found, &trust, &stranger);
    // An honest receipt is no evidence: its statement is in the chain.
    let honest = folder.join("honest");
    std::fs::write(&honest, evidence(kept, kept).encode()).expect("write");
    let (exit, why) = run(&["evidence", "verify", shown(&honest), "--trust", &trust, "--json"]);
    assert_eq!((exit, &why["why"]), (1, &"evidence-no-contradiction".into()), "{why}");

    taken_in(folder, &yuxi, &found);
    kunming.start();
    let who = text(&yuxi.ok(&["volunteer", "register", "--name", "试用者"]), "card");
    let mut record = record_on(&who, "2025-03-05", "60");
    record.extend(["--grade", "B"]);
    kunming.ok(&record);
    until("Kunming is told that it is exposed", || {
        let peers = kunming.ok(&["peer", "list"]);
        let all = peers["peers"].as_array().cloned().unwrap_or_default();
        all.iter().any(|peer| peer["last_error"] == "node-exposed").then_some(())
    });
}

/// Waits until nothing stands in the outbox: each receipt has come.
fn delivered(office: &Office) {
    until("the receipt comes", || {
        let status = office.ok(&["status"]);
        (status["outbox_waiting"] == 0).then_some(())
    });
}

#[test]
fn an_office_that_seals_a_dossier_twice_is_exposed_to_a_third_machine() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let mut kunming = Office::open(folder, "kunming", "530100");
    let mut dali = Office::open(folder, "dali", "532900");
    let mut yuxi = Office::open(folder, "yuxi", "530400");
    kunming.peer_with(&dali);
    kunming.peer_with(&yuxi);
    let (_, dossier) = volunteer(&kunming);
    let (trust, stranger) = (card(&kunming, folder), card(&dali, folder));

    kunming.stop();
    copy(&kunming.home, &folder.join("before"));
    kunming.start();
    kunming.move_to(&dossier, &dali);
    put_back(&mut kunming, &folder.join("before"));
    // Between bilateral peers nobody has seen the log of Kunming, so nobody can stop it: it is exposed.
    kunming.move_to(&dossier, &yuxi);
    dali.stop();
    yuxi.stop();
    let seal = |office: &Office| {
        let sealed = statements(&open(office), Table::Statement);
        let found = sealed.into_iter().find(|s| matches!(s.body, Body::Seal(_)));
        found.expect("the seal that brought it here").bytes().to_vec()
    };
    let (one, other) = (seal(&dali), seal(&yuxi));
    assert_ne!(one, other);
    let evidence = Evidence::TwoSeals { one, other };
    a_third_machine_verifies(folder, &evidence, &trust, &stranger);
    dali.start();
    taken_in(folder, &dali, &evidence);
}
