//! Client of the control API: one request over the Unix socket in the home, one answer.
//!
//! A node that cannot be reached is exit code 69. A call that was sent and not answered is exit
//! code 2: the node may have acted on it.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use yunling_node::config::CONFIG_FILE;

use crate::failure::{Exit, Failure};
use crate::words::Fields;

/// Name of the socket in the home.
const SOCKET_FILE: &str = "control.sock";
/// Longest wait for an ordinary answer.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(60);
/// Longest wait for a connection test: the node itself ends it within a minute and a half.
pub(crate) const TEST_WITHIN: Duration = Duration::from_secs(180);
/// Longest wait for an import: a prefecture's sheets of a whole year.
pub(crate) const IMPORT_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Largest answer taken: the findings of the largest sheet that is read.
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The way to the node of a home.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    /// The home.
    pub(crate) home: PathBuf,
}

impl Control {
    /// Calls `/api/v1/<act>`; fields of the body that are null are left out.
    pub(crate) async fn call(&self, act: &str, body: Value) -> Result<Value, Failure> {
        self.call_within(act, body, CALL_WITHIN).await
    }

    /// As [`Control::call`] with another longest wait.
    pub(crate) async fn call_within(&self, act: &str, body: Value, wait: Duration) -> Result<Value, Failure> {
        let stream = self.connect().await?;
        let asked = tokio::time::timeout(wait, exchange(stream, act, without_nulls(body))).await;
        let late = || Failure::new("control-timeout").with("seconds", wait.as_secs()).exit(Exit::CannotTell);
        let (status, bytes) = asked.map_err(|_| late())??;
        let answer = serde_json::from_slice::<Value>(&bytes);
        match (status, answer) {
            (StatusCode::OK, Ok(value)) => Ok(value),
            (_, Ok(value)) => Err(refusal(&value, status)),
            (_, Err(cause)) => Err(broken(format!("HTTP {status}: {cause}"))),
        }
    }

    async fn connect(&self) -> Result<UnixStream, Failure> {
        let home = self.home.display();
        if !self.home.join(CONFIG_FILE).exists() {
            return Err(Failure::new("home-missing").with("path", home).exit(Exit::Unreachable));
        }
        let socket = self.home.join(SOCKET_FILE);
        let failed = |e: std::io::Error| {
            let code = match e.kind() {
                std::io::ErrorKind::PermissionDenied => "node-permission",
                _ => "node-unreachable",
            };
            Failure::new(code).with("home", &home).with("cause", e).exit(Exit::Unreachable)
        };
        let (path, _folder) = yunling_node::api::short_path(&socket).map_err(failed)?;
        UnixStream::connect(&path).await.map_err(failed)
    }
}

async fn exchange(stream: UnixStream, act: &str, body: Value) -> Result<(StatusCode, Bytes), Failure> {
    let lost = |e: hyper::Error| broken(e.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1/{act}"))
        .header("host", "yunling")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|e| broken(e.to_string()))?;
    let response = sender.send_request(request).await.map_err(lost)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    driver.abort();
    Ok((status, body.map_err(|e| broken(e.to_string()))?.to_bytes()))
}

fn broken(cause: impl Into<String>) -> Failure {
    Failure::new("control-broken").with("cause", cause.into()).exit(Exit::CannotTell)
}

fn refusal(value: &Value, status: StatusCode) -> Failure {
    let Some(code) = value.get("code").and_then(Value::as_str) else {
        return broken(format!("HTTP {status}"));
    };
    let fields: Fields = value
        .get("fields")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    Failure { exit: Exit::No, code: code.to_owned(), fields }
}

fn without_nulls(body: Value) -> Value {
    match body {
        Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_were_not_given_are_not_sent() {
        assert_eq!(without_nulls(json!({ "a": null, "b": 1 })), json!({ "b": 1 }));
    }

    #[test]
    fn a_refusal_keeps_its_code_and_every_field_as_text() {
        let failure =
            refusal(&json!({ "code": "peer-unknown", "fields": { "n": 3 } }), StatusCode::BAD_REQUEST);
        assert_eq!((failure.code.as_str(), failure.fields["n"].as_str()), ("peer-unknown", "3"));
        assert_eq!(refusal(&json!({}), StatusCode::NOT_FOUND).exit, Exit::CannotTell);
    }
}
