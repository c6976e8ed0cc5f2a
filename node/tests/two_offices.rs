//! Two offices in one process over real loopback connections and real stores: peer, record, move,
//! serve away, prove.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yunling_node::config::CONFIG_FILE;
use yunling_node::home::Home;
use yunling_node::person::Person;
use yunling_node::run::{Running, start};
use yunling_node::service::volunteers::consent_to_record;
use yunling_node::service::{Node, Refusal};
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::id::DossierId;

async fn office(folder: &Path, name: &str, division: &str) -> Running {
    let path = folder.join(name);
    Home::init(&path, name, division, true).unwrap();
    let file = path.join(CONFIG_FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("listen = [").unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    let listen = "listen = [\"/ip4/127.0.0.1/udp/0/quic-v1\", \"/ip4/127.0.0.1/tcp/0\"]";
    std::fs::write(&file, format!("{before}{listen}{after}")).unwrap();
    start(Home::open(&path).unwrap()).await.unwrap()
}

fn peer(a: &Node, b: &Node) {
    a.accept_peer(b.card().unwrap()).unwrap();
    b.accept_peer(a.card().unwrap()).unwrap();
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn act<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn record(node: &Node, who: &Value, day: u32, hours: u32) -> Result<Value, Refusal> {
    let mut request = json!({
        "activity": format!("社区服务{day}"), "organization": "下关志愿服务队", "place": "下关社区",
        "content": "邻里守望", "start": format!("2026-03-{day:02} 08:00"),
        "end": format!("2026-03-{day:02} {:02}:00", 8 + hours), "grade": "B",
    });
    for (key, value) in who.as_object().unwrap() {
        request[key] = value.clone();
    }
    node.record(&act(request))
}

fn counted(node: &Node, id: DossierId) -> u64 {
    node.fold(id).map_or(0, |d| d.totals(node.profile()).counted.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dossier_moves_once_and_hours_served_away_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let kunming = office(folder.path(), "kunming", "530100").await;
    let dali = office(folder.path(), "dali", "532900").await;
    let yuxi = office(folder.path(), "yuxi", "530400").await;
    let (k, d, y) = (kunming.node.clone(), dali.node.clone(), yuxi.node.clone());
    peer(&k, &d);
    peer(&k, &y);
    peer(&d, &y);
    let (number, _) = CitizenId::parse("530102190001010019").unwrap();
    let person = Person { name: "岩温·罕".into(), citizen_id: Some(number.clone()), contact: None };
    let id = k.register(&person, &consent_to_record("67号 Art. 6")).unwrap();
    let me = json!({ "volunteer": id.to_string() });
    let first = record(&k, &me, 1, 5).unwrap();
    for day in 2..=20 {
        record(&k, &me, day, 5).unwrap();
    }
    assert_eq!(record(&k, &me, 20, 5).unwrap_err().code, "record-duplicate");
    assert_eq!(counted(&k, id), 6_000);
    let card = k.volunteer_card(id).unwrap().card;

    let slip = k.authorize(&act(json!({ "volunteer": id.to_string(), "to": "dali" }))).unwrap();
    let started = d.start_transfer(&act(json!({ "from": "kunming", "code": slip["code"] }))).unwrap();
    let transfer = started["transfer"].as_str().unwrap().to_owned();
    let stage = |n: &Node| n.transfer_by_text(&transfer).map(|l| l.transfer.stage.word()).unwrap_or("none");
    until("move", || stage(&d) == "completed" && stage(&k) == "completed").await;
    assert!(d.holds(id).unwrap() && !k.holds(id).unwrap());
    assert_eq!(counted(&d, id), 6_000);
    assert_eq!(record(&k, &me, 21, 5).map(|v| v["away"].clone()).unwrap(), json!(true));

    // The card still names kunming: the delivery follows the dossier.
    let away = record(&y, &json!({ "card": card }), 25, 2).unwrap();
    assert_eq!(away["away"], json!(true));
    until("delivery", || counted(&d, id) == 6_000 + 300 + 120).await;
    until("outboxes", || [&k, &d, &y].iter().all(|n| n.outbox_figures().unwrap().0 == 0)).await;

    k.void(&act(json!({ "volunteer": id.to_string(), "statements": [first["statement"]], "reason": "not-volunteer-service" })))
        .unwrap();
    until("void", || counted(&d, id) == 6_000 + 120).await;
    assert_eq!(d.person(id).unwrap().unwrap().name, "岩温·罕");
    // The new office finds the person by number too, and does not register them twice.
    assert_eq!(d.find_by_number(&number).unwrap(), Some(id));
    let again = d.register(&person, &consent_to_record("67号 Art. 6")).unwrap_err();
    assert_eq!(again.code, "volunteer-exists");
    let proof =
        d.issue_proof(&act(json!({ "volunteer": id.to_string(), "at_least_minutes": 6_000 }))).unwrap();
    assert_eq!(proof["amount"], json!("at-least"));
    assert_eq!(
        k.issue_proof(&act(json!({ "volunteer": id.to_string() }))).unwrap_err().code,
        "dossier-moved"
    );
    for running in [kunming, dali, yuxi] {
        running.stop().await;
    }
}
