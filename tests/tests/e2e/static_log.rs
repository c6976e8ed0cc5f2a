//! The log folder of an office on a plain web server, which knows nothing of logs, read by a client that knows
//! nothing of us ([`super::c2sp`]).

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use tokio::runtime::Runtime;
use yunling_node::home::Home;
use yunling_protocol::key::{Role, Signer as _};
use yunling_protocol::log::note::{KeyType, NoteKey};
use yunling_tests::office::{Office, Sheet, id_number, record_on, until};

use super::c2sp::Client;

/// Files of a folder over HTTP, until it is dropped.
struct WebServer {
    port: u16,
    _runtime: Runtime,
}

impl WebServer {
    fn of(folder: &Path) -> Self {
        let folder = folder.to_owned();
        let file = async move |path: PathBuf| tokio::fs::read(path).await.map_err(|_| StatusCode::NOT_FOUND);
        let app =
            Router::new().fallback(move |uri: Uri| file(folder.join(uri.path().trim_start_matches('/'))));
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.set_nonblocking(true).expect("listener");
        let port = listener.local_addr().expect("address").port();
        let runtime = Runtime::new().expect("runtime");
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
            axum::serve(listener, app).await.expect("serve");
        });
        Self { port, _runtime: runtime }
    }
}

#[test]
fn a_folder_on_a_web_server_is_a_log_to_the_tools_of_others() {
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = Office::open(folder.path(), "kunming", "530100");
    // Over 256 entries: a whole tile, and a part of one.
    kunming.import(&Sheet::default().person(1, &[60; 300]).write(folder.path(), "many.csv"));
    let log = kunming.home.join("log");
    let server = WebServer::of(&log);
    // What an office tells whoever wants to watch it.
    let key = Home::open(&kunming.home).expect("home").signer(Role::Log).expect("log key");
    let vkey = NoteKey::new("kunming/1", KeyType::Ed25519, &key.public()).expect("key").vkey();
    let client = Client::new(server.port, "/1", &vkey);
    // The office goes on writing until all of it is logged.
    let sized = |least: u64| {
        until("all is logged", || {
            let head = client.checkpoint().ok().filter(|head| head.size() >= least)?;
            std::thread::sleep(Duration::from_millis(1_500));
            (client.checkpoint().ok()?.size() == head.size()).then_some(head)
        })
    };
    let before = sized(301);
    assert_eq!(before.origin(), "kunming/1");
    let entries = client.entries(&before).expect("entries");
    client.includes_all(&before, &entries).expect("every entry is under the checkpoint");
    println!("{} entries, {} requests", entries.len(), client.asked.get());

    for day in ["2025-03-05", "2025-03-06", "2025-03-07"] {
        kunming.ok(&record_on(&id_number(1), day, "60"));
    }
    let after = sized(before.size() + 3);
    client.extends(&before, &after).expect("it only grew");
    let more = client.entries(&after).expect("entries");
    assert_eq!(more[..entries.len()], entries);
    client.includes_all(&after, &more).expect("every entry");
    // A process killed and started again goes on with the same log.
    kunming.restart();
    let later = client.checkpoint().expect("a checkpoint");
    client.extends(&after, &later).expect("it only grew");
    kunming.stop();
    let later = client.checkpoint().expect("a checkpoint");
    client.includes_all(&later, &more).expect("every entry, as before");

    // The client notices what is not right: it would say so of a log that lies.
    let mut other = more.clone();
    other[7][5] ^= 1;
    assert!(client.includes_all(&later, &other).is_err(), "another entry");
    let stranger = vkey_of_a_stranger();
    assert!(Client::new(server.port, "/1", &stranger).checkpoint().is_err(), "another key");
    let tile = log.join("1/tile/0/000");
    let whole = std::fs::read(&tile).expect("a whole tile");
    assert_eq!(whole.len(), 256 * 32);
    let mut bad = whole.clone();
    bad[40] ^= 1;
    replace(&tile, &bad);
    assert!(client.includes_all(&later, &more).is_err(), "a changed hash in a tile");
    replace(&tile, &whole);
    client.extends(&before, &later).expect("as it was");
    let note = log.join("1/checkpoint");
    let honest = std::fs::read_to_string(&note).expect("a checkpoint");
    let size = later.size();
    let grown = honest.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size + 1), 1);
    assert_ne!(grown, honest);
    assert!(client.verified(grown.as_bytes()).is_err(), "a changed size");
    assert!(client.verified(honest.as_bytes()).is_ok());
}

fn vkey_of_a_stranger() -> String {
    let key = yunling_protocol::key::SoftSigner::from_seed(&[9; 32]);
    NoteKey::new("kunming/1", KeyType::Ed25519, &key.public()).expect("key").vkey()
}

/// Puts other bytes in the place of a file, whatever its mode.
fn replace(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).expect("remove");
    std::fs::write(path, bytes).expect("write");
}
