//! Offices without any network: what only shows when files are made and taken step by step.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::DossierId;
use yunling_protocol::ledger;
use yunling_protocol::message::{Frame, Life};

use super::rows::{Kept, ROWS_MAX, Row, Rows};
use super::{ExportRequest, ImportRequest};
use crate::home::Home;
use crate::person::Person;
use crate::service::Node;
use crate::service::volunteers::consent_to_record;

fn office(folder: &Path, name: &str, division: &str) -> Arc<Node> {
    let path = folder.join(name);
    Home::init(&path, name, division, true).unwrap();
    Arc::new(Node::open(Home::open(&path).unwrap()).unwrap())
}

fn peer(a: &Node, b: &Node) {
    a.accept_peer(b.card().unwrap()).unwrap();
    b.accept_peer(a.card().unwrap()).unwrap();
}

fn export(from: &Node, to: &Node) -> Value {
    from.export_courier(&ExportRequest { to: to.home.name.to_string() }).unwrap()
}

async fn import(to: &Arc<Node>, made: &Value) -> Value {
    let file = made["file"].as_str().unwrap().to_owned();
    to.import_courier(ImportRequest { file }).await.unwrap()
}

async fn carry(from: &Arc<Node>, to: &Arc<Node>) -> Value {
    import(to, &export(from, to)).await
}

fn act<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn record(node: &Node, who: &Value, day: u32) -> Value {
    let mut request = json!({
        "activity": "守望", "organization": "服务队", "place": "翠湖", "content": "照护", "division": "530102",
        "day": format!("2025-03-{day:02}"), "minutes": 60, "grade": "B",
    });
    request.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
    node.record(&act(request)).unwrap()
}

/// A volunteer of `node` with so many services; the consent comes first.
fn volunteer(node: &Node, services: u32) -> DossierId {
    let person = Person { name: "岩温".into(), citizen_id: None, contact: None };
    let id = node.register(&person, &consent_to_record("67号 Art. 6")).unwrap();
    for day in 1..=services {
        record(node, &json!({ "volunteer": id.to_string() }), day);
    }
    id
}

fn ask(from: &Node, by: &Node, id: DossierId) -> String {
    let to = by.home.name.to_string();
    let slip = from.authorize(&act(json!({ "volunteer": id.to_string(), "to": to })));
    let start = json!({ "from": from.home.name.to_string(), "code": slip.unwrap()["code"] });
    by.start_transfer(&act(start)).unwrap()["transfer"].as_str().unwrap().to_owned()
}

fn stage(node: &Node, transfer: &str) -> &'static str {
    node.transfer_by_text(transfer).map_or("none", |l| l.transfer.stage.word())
}

fn waiting(node: &Node) -> usize {
    node.outbox_figures().unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_on_from_where_it_stopped_and_takes_no_part_behind_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (k, d) = (office(folder.path(), "kunming", "530100"), office(folder.path(), "dali", "532900"));
    peer(&k, &d);
    let id = volunteer(&k, 20);
    let transfer = ask(&k, &d, id);
    carry(&d, &k).await;
    let count = k.transfer_by_text(&transfer).unwrap().transfer.count;
    // The offer comes over a connection that breaks after five statements.
    let (_, offer) = k.sayable(&d.home.name).unwrap().remove(0);
    let whole = export(&k, &d);
    d.answer_frame(&k.home.name, Ok(Frame::Message(offer.message)));
    assert_eq!(stage(&d, &transfer), "copying");
    let five = ledger::chain(&*k, id, 0, 5).unwrap();
    let tid = d.transfer_by_text(&transfer).unwrap().transfer.id;
    d.stage(tid, 0, &five).unwrap();
    assert_eq!(d.stage(tid, 0, &five).unwrap_err().code, "transfer-stage-order");
    carry(&d, &k).await;
    let rest = export(&k, &d);
    assert_eq!(rest["statements"], count - 5, "only what was lacking: {rest}");
    // A file that holds all of it brings the same, whichever comes first.
    assert_eq!(import(&d, &whole).await["statements"], count - 5);
    assert_eq!(stage(&d, &transfer), "accepted");
    assert_eq!(import(&d, &rest).await["statements"], 0);
    carry(&d, &k).await;
    // The release asks for "done"; an answer given before it was known says nothing about it.
    carry(&k, &d).await;
    carry(&d, &k).await;
    assert_eq!((stage(&d, &transfer), stage(&k, &transfer)), ("completed", "completed"));
    assert!(d.holds(id).unwrap() && !k.holds(id).unwrap());
    carry(&k, &d).await;
    assert_eq!((waiting(&k), waiting(&d)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_life_that_is_over_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (k, y) = (office(folder.path(), "kunming", "530100"), office(folder.path(), "yuxi", "530400"));
    peer(&k, &y);
    let id = volunteer(&k, 1);
    let card = k.volunteer_card(id).unwrap().card;
    record(&y, &json!({ "card": card }), 9);
    carry(&y, &k).await;
    let receipt = export(&k, &y);
    assert_eq!(receipt["answers"], 1);
    // Kunming comes back from a backup that does not know of the delivery, and says something.
    let forgotten = k.courier_rows(&y.home.name).unwrap();
    k.keep_rows(&y.home.name, &forgotten, Rows::new()).unwrap();
    *k.life.write().unwrap() = Life { generation: 2, mark: [9; 16] };
    carry(&k, &y).await;
    let again = import(&y, &receipt).await;
    assert_eq!((&again["stale"], &again["ended"]), (&json!(true), &json!(0)));
    assert_eq!(waiting(&y), 1, "kunming may have forgotten what it gave the receipt for");
    carry(&y, &k).await;
    carry(&k, &y).await;
    assert_eq!(waiting(&y), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_asked_is_no_longer_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (k, y) = (office(folder.path(), "kunming", "530100"), office(folder.path(), "yuxi", "530400"));
    peer(&k, &y);
    let id = volunteer(&k, 1);
    record(&y, &json!({ "card": k.volunteer_card(id).unwrap().card }), 9);
    let asks = export(&y, &k);
    import(&k, &asks).await;
    for _ in 0..2 {
        assert_eq!(export(&k, &y)["answers"], 1, "a lost file costs nothing");
    }
    carry(&k, &y).await;
    carry(&y, &k).await;
    assert_eq!(export(&k, &y)["answers"], 0);
    // An old file that turns up late asks nothing anew.
    assert_eq!(import(&k, &asks).await["older"], json!(true));
    assert_eq!(export(&k, &y)["answers"], 0);
    k.remove_peer(&y.home.name).unwrap();
    let refused = k.export_courier(&ExportRequest { to: "yuxi".into() }).unwrap_err();
    assert_eq!(refused.code, "peer-unknown");
    let file = asks["file"].as_str().unwrap().to_owned();
    let refused = k.import_courier(ImportRequest { file }).await.unwrap_err();
    assert_eq!(refused.code, "courier-sender-unknown");
}

#[test]
fn remembered_requests_have_a_limit_and_the_oldest_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let k = office(folder.path(), "kunming", "530100");
    let peer = yunling_protocol::name::NodeName::parse("dali").unwrap();
    let row = |n: usize| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        (id, Row { asked: (1, n as u64), kept: Kept::Answer(vec![0x81, 0x01]) })
    };
    let rows: Rows = (0..ROWS_MAX + 10).map(row).collect();
    k.keep_rows(&peer, &Rows::new(), rows).unwrap();
    let kept = k.courier_rows(&peer).unwrap();
    assert_eq!(kept.len(), ROWS_MAX);
    assert_eq!(kept.values().map(|row| row.asked.1).min(), Some(10));
    let progress = k.courier_progress(&peer).unwrap();
    assert_eq!((progress.seen, progress.seen_at), ((0, 0), UnixTime(0)), "rows and progress lie apart");
}
