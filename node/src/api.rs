//! The control API `/api/v1` over a Unix socket in the home, mode 0600: JSON in, JSON out.
//!
//! A refusal is 400 with its code and fields; the words are the client's. Every act runs on a
//! blocking thread and ends by its answer.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use yunling_protocol::card::SignedCard;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::id::DossierId;
use yunling_protocol::roster::CHAIN_BYTES_MAX;

use crate::person::Person;
use crate::service::courier;
use crate::service::refusal::shown;
use crate::service::takeover;
use crate::service::transfers::{Step, node_name, view};
use crate::service::trust_pack;
use crate::service::volunteers::{CONSENT_BASIS, LIST_MAX, consent_to_record};
use crate::service::{Node, Refusal};

/// Largest request body: the longest is a card or a list of statement ids.
const BODY_BYTES_MAX: usize = 1024 * 1024;

type Shared = State<Arc<Node>>;

fn respond(result: Result<Value, Refusal>) -> Response {
    match result {
        Ok(value) => (StatusCode::OK, axum::Json(value)).into_response(),
        Err(refusal) => (StatusCode::BAD_REQUEST, axum::Json(refusal)).into_response(),
    }
}

/// Reads the body and runs the act on a blocking thread.
async fn run<T: DeserializeOwned + Send + 'static>(
    node: Arc<Node>,
    body: Bytes,
    act: impl FnOnce(&Arc<Node>, T) -> Result<Value, Refusal> + Send + 'static,
) -> Response {
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    let request: T = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return respond(Err(Refusal::new("request-form").with("cause", error))),
    };
    let done = tokio::task::spawn_blocking(move || act(&node, request)).await;
    respond(done.unwrap_or_else(|e| Err(Refusal::new("internal").with("cause", e))))
}

macro_rules! act {
    ($act:expr) => {
        post(|State(node): Shared, body: Bytes| run(node, body, $act))
    };
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, Refusal> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| Refusal::new("request-field").with("field", key))
}

fn to_json(value: impl serde::Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|e| Refusal::new("internal").with("cause", e))
}

fn register(node: &Node, request: &Value) -> Result<Value, Refusal> {
    let number = request.get("id_number").and_then(Value::as_str);
    let length = number.map_or(0, |n| n.trim().chars().count());
    let number = number.map(|n| CitizenId::parse(n).map(|(id, _)| id)).transpose();
    let person = Person {
        name: text(request, "name")?.trim().to_owned(),
        // How long it is may be shown, the number never.
        citizen_id: number.map_err(|e| Refusal::new(e.code()).with("length", length))?,
        contact: request.get("contact").and_then(Value::as_str).map(str::to_owned),
    };
    let basis = request.get("basis").and_then(Value::as_str).unwrap_or(CONSENT_BASIS);
    let id = node.register(&person, &consent_to_record(basis))?;
    to_json(node.volunteer_card(id)?)
}

fn list(node: &Node, request: &Value) -> Result<Value, Refusal> {
    let after = request.get("after").and_then(Value::as_str).map(DossierId::parse).transpose();
    let after = after.map_err(|e| {
        Refusal::new("dossier-id")
            .with("value", shown(request["after"].as_str().unwrap_or_default()))
            .with("cause", e)
    })?;
    let limit = request.get("limit").and_then(Value::as_u64).map_or(LIST_MAX, |n| n as usize);
    Ok(json!({ "volunteers": node.volunteers(after, limit)? }))
}

fn card(node: &Node) -> Result<Value, Refusal> {
    let card = node.card()?;
    Ok(
        json!({ "card": card.to_text(), "name": card.card.name.to_string(), "fingerprint": card.fingerprint() }),
    )
}

fn invite(node: &Node) -> Result<Value, Refusal> {
    let signed = node.card()?;
    let c = &signed.card;
    let invitation = format!(
        "云岭节点邀请 · Yunling node invitation\n节点 node: {} {} ({})\n行政区划 division: {}\n核对码 fingerprint: {}\n地址 addresses: {}\n\n{}\n",
        c.title_zh,
        c.title_en,
        c.name,
        c.division,
        signed.fingerprint(),
        c.addresses.join(" "),
        signed.to_text(),
    );
    Ok(json!({
        "invitation": invitation, "card": signed.to_text(), "name": c.name.to_string(),
        "fingerprint": signed.fingerprint(),
    }))
}

fn peer_routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/peer/card", act!(|n, _: Value| card(n)))
        .route("/api/v1/peer/invite", act!(|n, _: Value| invite(n)))
        .route(
            "/api/v1/peer/accept",
            act!(|n, r: Value| {
                if let Some(change) = r.get("key_change").and_then(Value::as_str) {
                    let change = BASE64.decode(change.as_bytes());
                    let change =
                        change.map_err(|_| Refusal::new("request-field").with("field", "key_change"))?;
                    return to_json(n.accept_key_change(&change)?);
                }
                let card = SignedCard::from_text(text(&r, "card")?)
                    .map_err(|e| Refusal::new(e.code()).with("cause", e))?;
                let view = n.accept_peer(card)?;
                to_json(view)
            }),
        )
        .route(
            "/api/v1/key/reload",
            act!(|n, _: Value| {
                n.reload_keys()?;
                Ok(json!({}))
            }),
        )
        .route("/api/v1/peer/list", act!(|n, _: Value| Ok(json!({ "peers": n.peers()? }))))
        .route(
            "/api/v1/peer/remove",
            act!(|n, r: Value| {
                n.remove_peer(&node_name(text(&r, "name")?)?)?;
                Ok(json!({}))
            }),
        )
        .route("/api/v1/peer/test", post(test_peer))
}

async fn test_peer(State(node): Shared, axum::Json(request): axum::Json<Value>) -> Response {
    let name = match text(&request, "name").and_then(node_name) {
        Ok(name) => name,
        Err(refusal) => return respond(Err(refusal)),
    };
    respond(node.test_peer(&name).await.map(|steps| {
        let ok = steps.iter().any(|s| s.name == "hello" && s.ok);
        let steps: Vec<Value> = steps
            .iter()
            .map(|s| {
                json!({
                    "name": s.name, "address": s.address, "ok": s.ok, "code": s.code, "detail": s.detail,
                    "millis": s.millis,
                })
            })
            .collect();
        json!({ "ok": ok, "steps": steps })
    }))
}

async fn import_courier(State(node): Shared, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(request) => respond(node.import_courier(request).await),
        Err(error) => respond(Err(Refusal::new("request-form").with("cause", error))),
    }
}

fn courier_routes() -> Router<Arc<Node>> {
    let file = DefaultBodyLimit::max(courier::BODY_BYTES_MAX);
    Router::new()
        .route("/api/v1/courier/export", act!(|n, r| n.export_courier(&r)))
        .route("/api/v1/courier/import", post(import_courier).layer(file))
}

async fn export_trust_pack(State(node): Shared) -> Response {
    respond(node.export_trust_pack().await)
}

async fn ask_about_proof(State(node): Shared, axum::Json(request): axum::Json<Value>) -> Response {
    respond(node.ask_about_proof(request).await)
}

fn proof_routes() -> Router<Arc<Node>> {
    let pack = DefaultBodyLimit::max(trust_pack::BODY_BYTES_MAX);
    Router::new()
        .route("/api/v1/proof/issue", act!(|n, r| n.issue_proof(&r)))
        .route("/api/v1/proof/list", act!(|n, r| n.proofs(&r)))
        .route("/api/v1/proof/revoke", act!(|n, r| n.revoke_proof(&r)))
        .route("/api/v1/proof/ask", post(ask_about_proof))
        .route("/api/v1/proof/receipt", act!(|n, r: Value| n.receipt(&r)))
        .route("/api/v1/trust-pack/export", post(export_trust_pack))
        .route("/api/v1/trust-pack/import", act!(|n, r: Value| n.import_trust_pack(&r)).layer(pack))
}

fn publish_roster(node: &Node, request: &Value) -> Result<Value, Refusal> {
    let file = BASE64.decode(text(request, "file")?.as_bytes());
    let file = file.map_err(|_| Refusal::new("request-field").with("field", "file"))?;
    node.publish_roster(&file, request.get("fingerprint").and_then(Value::as_str))
}

fn roster_routes() -> Router<Arc<Node>> {
    // Base64 and the JSON around it.
    let file = DefaultBodyLimit::max(CHAIN_BYTES_MAX / 3 * 4 + 1024);
    Router::new()
        .route("/api/v1/roster/show", act!(|n, _: Value| Ok(n.roster_view())))
        .route("/api/v1/roster/pin", act!(|n, r: Value| n.pin_roster(text(&r, "fingerprint")?)))
        .route(
            "/api/v1/roster/export",
            act!(|n, _: Value| Ok(json!({ "file": BASE64.encode(&n.roster_file()?) }))),
        )
        .route("/api/v1/roster/publish", act!(|n, r: Value| publish_roster(n, &r)).layer(file))
}

async fn doctor(State(node): Shared) -> Response {
    respond(node.doctor().await.and_then(to_json))
}

async fn audit(State(node): Shared, axum::Json(request): axum::Json<Value>) -> Response {
    match text(&request, "name").and_then(node_name) {
        Ok(name) => respond(node.audit_peer(&name).await),
        Err(refusal) => respond(Err(refusal)),
    }
}

fn evidence_list(node: &Node) -> Result<Value, Refusal> {
    let all = node.evidence()?;
    let shown = all.iter().map(|(id, evidence)| {
        let (accused, log, at) = node.proved(evidence);
        json!({ "id": id, "kind": evidence.word(), "node": accused, "log": log, "at": at })
    });
    Ok(json!({ "evidence": shown.collect::<Vec<_>>() }))
}

fn evidence_export(node: &Node, id: &str) -> Result<Value, Refusal> {
    let all = node.evidence()?;
    let found = all.iter().find(|(known, _)| known == id);
    let (id, evidence) = found.ok_or_else(|| Refusal::new("evidence-unknown").with("id", shown(id)))?;
    Ok(json!({ "id": id, "kind": evidence.word(), "file": BASE64.encode(&evidence.encode()) }))
}

fn transfer_routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/transfer/authorize", act!(|n, r| n.authorize(&r)))
        .route("/api/v1/transfer/start", act!(|n, r| n.start_transfer(&r)))
        .route(
            "/api/v1/transfer/list",
            act!(|n, _: Value| Ok(
                json!({ "transfers": n.transfers()?.iter().map(|t| view(n, t)).collect::<Vec<_>>() })
            )),
        )
        .route(
            "/api/v1/transfer/show",
            act!(|n, r: Value| Ok(view(n, &n.transfer_by_text(text(&r, "transfer")?)?.transfer))),
        )
        .route("/api/v1/transfer/approve", act!(|n, r| n.step_transfer(&r, Step::Approve)))
        .route("/api/v1/transfer/refuse", act!(|n, r| n.step_transfer(&r, Step::Refuse)))
        .route("/api/v1/transfer/cancel", act!(|n, r| n.step_transfer(&r, Step::Cancel)))
        .route("/api/v1/transfer/resume", act!(|n, r| n.step_transfer(&r, Step::Resume)))
}

fn takeover_routes() -> Router<Arc<Node>> {
    let bundles = DefaultBodyLimit::max(takeover::BODY_BYTES_MAX);
    Router::new()
        .route("/api/v1/takeover/announce", act!(|n, r| n.announce_takeover(&r)).layer(bundles))
        .route("/api/v1/takeover/list", act!(|n, _: Value| n.takeovers()))
        .route("/api/v1/takeover/complete", act!(|n, r| n.complete_takeover(&r)))
        .route("/api/v1/takeover/cancel", act!(|n, r| n.cancel_takeover(&r)))
}

fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/status", act!(|n, _: Value| n.status()))
        .route("/api/v1/doctor", post(doctor))
        .route("/api/v1/volunteer/register", act!(|n, r: Value| register(n, &r)))
        .route("/api/v1/volunteer/list", act!(|n, r: Value| list(n, &r)))
        .route("/api/v1/volunteer/show", act!(|n, r| n.show_volunteer(&r)))
        .route(
            "/api/v1/volunteer/card",
            act!(|n, r: Value| to_json(n.volunteer_card(n.find(text(&r, "volunteer")?)?)?)),
        )
        .route("/api/v1/import", act!(|n, r| n.import(&r)))
        .route("/api/v1/record", act!(|n, r| n.record(&r)))
        .route("/api/v1/void", act!(|n, r| n.void(&r)))
        .route("/api/v1/correct", act!(|n, r| n.correct(&r)))
        .route("/api/v1/dossier/show", act!(|n, r| n.show_dossier(&r)))
        .route("/api/v1/dossier/export", act!(|n, r| n.export_dossier(&r)))
        .route("/api/v1/delivery/list", act!(|n, _: Value| n.held()))
        .route(
            "/api/v1/delivery/accept",
            act!(|n, r: Value| n.decide_held(text(&r, "dossier")?, text(&r, "statement")?, true)),
        )
        .route(
            "/api/v1/delivery/refuse",
            act!(|n, r: Value| n.decide_held(text(&r, "dossier")?, text(&r, "statement")?, false)),
        )
        .route("/api/v1/backup/create", act!(|n, r| n.create_backup(&r)))
        .route("/api/v1/recovery/show", act!(|n, _: Value| n.recovery()))
        .route("/api/v1/recovery/lift", act!(|n, r| n.lift_fence(&r)))
        .route("/api/v1/audit", post(audit))
        .route(
            "/api/v1/audit/progress",
            act!(|n, r: Value| Ok(json!({ "under": n.audit_progress(&node_name(text(&r, "name")?)?) }))),
        )
        .route("/api/v1/evidence/list", act!(|n, _: Value| evidence_list(n)))
        .route("/api/v1/evidence/import", act!(|n, r: Value| n.import_evidence(&r)))
        .route("/api/v1/evidence/lift", act!(|n, r: Value| n.lift_exposed(&r)))
        .route("/api/v1/evidence/export", act!(|n, r: Value| evidence_export(n, text(&r, "id")?)))
        .merge(proof_routes())
        .merge(peer_routes())
        .merge(courier_routes())
        .merge(roster_routes())
        .merge(transfer_routes())
        .merge(takeover_routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Path that fits a socket address: a long one is reached through the open folder.
pub fn short_path(path: &Path) -> std::io::Result<(std::path::PathBuf, Option<std::fs::File>)> {
    /// A Unix socket address holds 108 bytes with its end mark.
    const SOCKET_PATH_BYTES_MAX: usize = 100;
    use std::os::fd::AsRawFd as _;
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok((path.to_path_buf(), None));
    }
    let folder = std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?;
    let name = path.file_name().unwrap_or_default();
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok((short, Some(folder)))
}

/// Serves the API on the home's socket until `stop` ends.
pub async fn serve(node: Arc<Node>, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Refusal> {
    let path = node.home.socket();
    let failed =
        |e: std::io::Error| Refusal::new("control-socket").with("path", path.display()).with("cause", e);
    // A socket left by a killed node: the store's lock already proved that nobody else serves it.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let (short, _folder) = short_path(&path).map_err(failed)?;
    let listener = tokio::net::UnixListener::bind(&short).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let served = axum::serve(listener, routes().with_state(node.clone())).with_graceful_shutdown(stop).await;
    let _ = std::fs::remove_file(&path);
    served.map_err(failed)
}
