//! A node that lost rows rejoins its peers: three offices in one process over real loopback
//! connections and real stores, one of them damaged and repaired.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yunling_node::config::CONFIG_FILE;
use yunling_node::home::Home;
use yunling_node::person::Person;
use yunling_node::repair::{RepairRequest, repair};
use yunling_node::run::{Running, start};
use yunling_node::service::Node;
use yunling_node::service::volunteers::consent_to_record;
use yunling_protocol::id::DossierId;
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Read as _, Table};

async fn office(folder: &Path, name: &str, division: &str) -> Running {
    let path = folder.join(name);
    Home::init(&path, name, division, true).unwrap();
    let file = path.join(CONFIG_FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("listen = [").unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    // A fixed port: the peers find the repaired office where it was.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("listen = [\"/ip4/127.0.0.1/tcp/{port}\"]");
    std::fs::write(&file, format!("{before}{listen}{after}")).unwrap();
    start(Home::open(&path).unwrap()).await.unwrap()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !done() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn act<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn record(node: &Node, who: &Value, day: u32) -> Value {
    let mut request = json!({
        "activity": format!("社区服务{day}"), "organization": "下关志愿服务队", "place": "下关社区",
        "content": "邻里守望", "start": format!("2026-03-{day:02} 08:00"),
        "end": format!("2026-03-{day:02} 10:00"), "grade": "B",
    });
    for (key, value) in who.as_object().unwrap() {
        request[key] = value.clone();
    }
    node.record(&act(request)).unwrap()
}

fn counted(node: &Node, id: DossierId) -> u64 {
    node.fold(id).map_or(0, |d| d.totals(node.profile()).counted.0)
}

/// Ends an office so that its store is closed.
async fn stop(running: Running) {
    let node = Arc::downgrade(&running.node);
    running.stop().await;
    until("the store is closed", || node.upgrade().is_none()).await;
}

/// Takes rows out of a closed store behind its back; gives how many.
fn lose(store: &Path, doomed: impl Fn(u8, &[u8]) -> bool) -> usize {
    let config = sled::Config::new().segment_size(8 << 20).flush_every_ms(None).path(store.join("sled"));
    let mut tries = (0..200).map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        config.open()
    });
    let db = tries.find_map(Result::ok).unwrap();
    let keys: Vec<_> = db.iter().keys().map(Result::unwrap).collect();
    let keys: Vec<_> = keys.into_iter().filter(|key| doomed(key[0], &key[1..])).collect();
    for key in &keys {
        db.remove(key).unwrap();
    }
    db.flush().unwrap();
    keys.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_bring_back_what_a_damaged_store_lost() {
    let folder = tempfile::tempdir().unwrap();
    let kunming = office(folder.path(), "kunming", "530100").await;
    let dali = office(folder.path(), "dali", "532900").await;
    let yuxi = office(folder.path(), "yuxi", "530400").await;
    let (k, y) = (kunming.node.clone(), yuxi.node.clone());
    let d = dali.node.clone();
    for (a, b) in [(&k, &d), (&k, &y), (&d, &y)] {
        a.accept_peer(b.card().unwrap()).unwrap();
        b.accept_peer(a.card().unwrap()).unwrap();
    }
    let person = Person { name: "岩温·罕".into(), citizen_id: None, contact: None };
    let id = k.register(&person, &consent_to_record("67号 Art. 6")).unwrap();
    for day in 1..=5 {
        record(&k, &json!({ "volunteer": id.to_string() }), day);
    }
    let slip = k.authorize(&act(json!({ "volunteer": id.to_string(), "to": "dali" }))).unwrap();
    let started = d.start_transfer(&act(json!({ "from": "kunming", "code": slip["code"] }))).unwrap();
    let transfer = started["transfer"].as_str().unwrap().to_owned();
    until("move", || {
        [&k, &d]
            .iter()
            .all(|n| n.transfer_by_text(&transfer).is_ok_and(|l| l.transfer.stage.word() == "completed"))
    })
    .await;
    let card = d.volunteer_card(id).unwrap().card;
    record(&y, &json!({ "card": card }), 10);
    until("delivery", || counted(&d, id) == 720).await;
    until("outboxes", || [&k, &d, &y].iter().all(|n| n.outbox_figures().unwrap().0 == 0)).await;
    let length = d.fold(id).unwrap().length();
    drop(d);
    stop(dali).await;

    // Gone: what kunming and yuxi signed, the heads, the places of the chain and every lookup.
    let path = folder.path().join("dali");
    let store = path.join("data");
    let others = {
        let node = Node::open(Home::open(&path).unwrap()).unwrap();
        let rows = node.scan(Table::Statement, &id.0, None, 100).unwrap();
        let others = rows.into_iter().filter(|(_, bytes)| {
            let statement = Statement::parse(bytes).unwrap();
            let hour = matches!(statement.body, yunling_protocol::statement::Body::Attestation(_));
            hour && statement.common.issuer.as_str() != "dali"
        });
        others.map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(others.len(), 6);
    let lost = lose(&store, |table, key| {
        let statement = table == Table::Statement.number() && others.iter().any(|other| other == key);
        statement || [Table::Head, Table::Index].iter().any(|t| t.number() == table)
    });
    assert!(lost > 6);
    assert_eq!(Node::open(Home::open(&path).unwrap()).unwrap_err().code, "store-lost");
    let request = RepairRequest { home: Home::open(&path).unwrap(), new_peers: None, dry_run: false };
    let report = repair(request).unwrap();
    assert_eq!((report.missing_statements, report.holed_dossiers), (6, 1), "{report:?}");
    assert_eq!(report.generation, Some(2), "{report:?}");

    let dali = start(Home::open(&path).unwrap()).await.unwrap();
    let d = dali.node.clone();
    assert!(d.fenced() && d.fold(id).is_err());
    until("the fence opens", || !d.fenced()).await;
    // Five from kunming's copy of before the move, one delivered again by yuxi or told by it.
    until("the holes are filled", || counted(&d, id) == 720).await;
    assert_eq!(d.fold(id).unwrap().length(), length);
    assert!(d.holds(id).unwrap() && !k.holds(id).unwrap());
    let shown = d.recovery().unwrap();
    assert_eq!((&shown["holed_dossiers"], &shown["lost_entries"]), (&json!(0), &json!(0)), "{shown}");
    assert_eq!(d.person(id).unwrap().unwrap().name, "岩温·罕");
    record(&d, &json!({ "volunteer": id.to_string() }), 20);
    assert_eq!(counted(&d, id), 840);
    for running in [kunming, dali, yuxi] {
        running.stop().await;
    }
}
