//! The public HTTP side of a node: what anybody may fetch without being a peer. Files of the log today
//! (`c2sp.org/tlog-tiles`), and the witness' `add-checkpoint` (`c2sp.org/tlog-witness`).
//!
//! Nothing personal is served here, and nothing is believed because of who asks. TLS, where an office
//! wants it, is its proxy's: all that matters is signed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use yunling_protocol::log::witness::REQUEST_BYTES_MAX;

use crate::log::{Kind, Served};
use crate::service::{Node, Refusal};

/// Connections at once: a prefecture's verifiers and monitors are few, and each costs a task and a buffer.
const CONNECTIONS_MAX: usize = 256;
/// Longest a client takes for the head of a request; who is slower holds a place from others.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest a connection lives: a monitor that reads many tiles dials again now and then.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause after the system refused a connection (no file handle left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Full tiles and bundles never change, and a partial one of a given width does not either.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A checkpoint is the newest one for a moment only.
const MOMENT: HeaderValue = HeaderValue::from_static("no-cache");

/// Binds the address of the pages.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Refusal> {
    let failed = |e: std::io::Error| Refusal::new("pages-listen").with("value", address).with("cause", e);
    TcpListener::bind(address).await.map_err(failed)
}

/// Serves the pages until the task is ended.
pub async fn serve(node: Arc<Node>, listener: TcpListener) {
    let app = routes().with_state(node);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // A place first: who comes when all are taken waits in the queue of the system.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(cause = %error, "page connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(app.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _place = place;
            // How a client leaves is its own affair.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
        });
    }
}

fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/log/{generation}/{*path}", get(log_file))
        .route("/roster", get(roster))
        .route("/s/{list}", get(status_list))
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/witness/{origin_hash}/checkpoint", get(witnessed))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
}

type Shared = State<Arc<Node>>;

async fn log_file(State(node): Shared, Path((generation, path)): Path<(u64, String)>) -> Response {
    let read = tokio::task::spawn_blocking(move || node.log_file(generation, &path)).await;
    match read {
        Ok(Ok(Some(served))) => file(served),
        Ok(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn file(Served { kind, bytes }: Served) -> Response {
    let (cache, content) = match kind {
        Kind::Checkpoint => (MOMENT, HeaderValue::from_static("text/plain; charset=utf-8")),
        Kind::Tile => (FOREVER, HeaderValue::from_static("application/octet-stream")),
    };
    ([(header::CACHE_CONTROL, cache), (header::CONTENT_TYPE, content)], bytes).into_response()
}

/// The roster with all its versions; who takes it checks them.
async fn roster(State(node): Shared) -> Response {
    let read = tokio::task::spawn_blocking(move || node.roster_file()).await;
    match read {
        Ok(Ok(bytes)) => {
            let content = HeaderValue::from_static("application/octet-stream");
            ([(header::CACHE_CONTROL, MOMENT), (header::CONTENT_TYPE, content)], bytes).into_response()
        }
        Ok(Err(_)) | Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// An own status list, under the end of its address; caches may keep it as long as it says itself.
async fn status_list(State(node): Shared, Path(list): Path<String>) -> Response {
    let read = tokio::task::spawn_blocking(move || {
        let uri = format!("{}{list}", node.home.config.proof.list_base());
        node.own_status_list(&uri)
    });
    let Ok(Ok(Some((token, ttl)))) = read.await else { return StatusCode::NOT_FOUND.into_response() };
    let cache = HeaderValue::from_str(&format!("public, max-age={ttl}")).unwrap_or(MOMENT);
    let content = HeaderValue::from_static("application/statuslist+cwt");
    ([(header::CACHE_CONTROL, cache), (header::CONTENT_TYPE, content)], token).into_response()
}

async fn add_checkpoint(State(node): Shared, body: Bytes) -> Response {
    let judged = tokio::task::spawn_blocking(move || node.witness(&body)).await;
    match judged {
        Ok(Ok(outcome)) => {
            let status = StatusCode::from_u16(outcome.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let content = HeaderValue::from_static(outcome.content_type());
            (status, [(header::CONTENT_TYPE, content)], outcome.body()).into_response()
        }
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The newest checkpoint this witness has cosigned for a log, by the SHA-256 of its origin in hex.
async fn witnessed(State(node): Shared, Path(origin_hash): Path<String>) -> Response {
    let read = tokio::task::spawn_blocking(move || node.witnessed(&origin_hash)).await;
    match read {
        Ok(Ok(Some(note))) => file(Served { kind: Kind::Checkpoint, bytes: note.into_bytes() }),
        Ok(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
