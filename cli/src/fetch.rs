//! One file over HTTP or HTTPS, for what is believed by its signatures alone.
//!
//! In: an address and the most bytes. Out: the body of a plain 200. Redirects are followed a few times, to
//! http and https only and never from https back to http. TLS is checked against the roots of the web: it
//! hides who reads what; nothing is believed because of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use futures_rustls::rustls::pki_types::ServerName;
use futures_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{HOST, LOCATION, USER_AGENT};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::failure::Failure;

/// Longest a file may take with all its redirects: 16 MiB on a line of 2 Mbit/s.
const WITHIN: Duration = Duration::from_secs(90);
/// Longest for a connection to stand.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Redirects followed: from a name to its canonical form and its new place.
const REDIRECTS_MAX: usize = 3;
/// Bytes moved at a time between TLS and HTTP.
const CHUNK_BYTES: usize = 8 * 1024;

/// Fetches the file at `url`, at most `bytes_max` bytes.
pub(crate) async fn get(url: &str, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    get_with(url, bytes_max, &roots).await
}

async fn get_with(url: &str, bytes_max: usize, roots: &RootCertStore) -> Result<Vec<u8>, Failure> {
    let fetched = tokio::time::timeout(WITHIN, follow(url, bytes_max, roots)).await;
    fetched.unwrap_or_else(|_| Err(failed(url, "timeout")))
}

fn failed(url: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::new("fetch-failed").with("url", url).with("cause", cause)
}

async fn follow(url: &str, bytes_max: usize, roots: &RootCertStore) -> Result<Vec<u8>, Failure> {
    let mut at = address(url)?;
    for _ in 0..=REDIRECTS_MAX {
        let response = ask(&at, roots).await?;
        let status = response.status();
        if status.is_redirection() {
            at = elsewhere(&at, &response)?;
            continue;
        }
        if status != StatusCode::OK {
            return Err(Failure::new("fetch-status").with("url", &at).with("status", status.as_u16()));
        }
        let body = Limited::new(response.into_body(), bytes_max).collect().await;
        return match body {
            Ok(body) => Ok(body.to_bytes().to_vec()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Failure::new("fetch-large").with("url", &at).with("max", bytes_max))
            }
            Err(error) => Err(failed(url, error)),
        };
    }
    Err(Failure::new("fetch-redirect").with("url", url))
}

/// An address that may be asked: http or https with a host, and no password in it.
fn address(url: &str) -> Result<Uri, Failure> {
    let bad = || Failure::usage("fetch-url");
    let uri: Uri = url.trim().parse().map_err(|_| bad())?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri.authority().is_some_and(|a| !a.as_str().contains('@')) && uri.host().is_some();
    if web && plain { Ok(uri) } else { Err(bad()) }
}

/// Where a redirect leads.
fn elsewhere(at: &Uri, response: &Response<hyper::body::Incoming>) -> Result<Uri, Failure> {
    let refused = || Failure::new("fetch-redirect").with("url", at);
    let location = response.headers().get(LOCATION).and_then(|l| l.to_str().ok()).ok_or_else(refused)?;
    let next = if location.starts_with('/') && !location.starts_with("//") {
        let authority = at.authority().ok_or_else(refused)?;
        format!("{}://{authority}{location}", at.scheme_str().unwrap_or("https"))
    } else {
        location.to_owned()
    };
    let next = address(&next).map_err(|_| refused())?;
    if at.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
        return Err(refused());
    }
    Ok(next)
}

async fn ask(at: &Uri, roots: &RootCertStore) -> Result<Response<hyper::body::Incoming>, Failure> {
    let host = at.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let secure = at.scheme_str() == Some("https");
    let port = at.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let connected = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect((host, port))).await;
    let stream = connected.map_err(|_| failed(&at.to_string(), "timeout"))?;
    let stream = stream.map_err(|e| failed(&at.to_string(), e))?;
    if !secure {
        return exchange(TokioIo::new(stream), at).await;
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&at.to_string(), e))?
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(&at.to_string(), e))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, Tcp(stream)).await;
    exchange(Tls(stream.map_err(|e| failed(&at.to_string(), e))?), at).await
}

async fn exchange<S>(stream: S, at: &Uri) -> Result<Response<hyper::body::Incoming>, Failure>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let failed = |e: &dyn std::fmt::Display| failed(&at.to_string(), e);
    let handshake = hyper::client::conn::http1::handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(|e| failed(&e))?;
    // Ends with the answer, or with the command.
    tokio::spawn(connection);
    let path = at.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .uri(path)
        .header(HOST, at.authority().map(hyper::http::uri::Authority::as_str).unwrap_or_default())
        .header(USER_AGENT, concat!("yunling/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|e| failed(&e))?;
    sender.send_request(request).await.map_err(|e| failed(&e))
}

/// A connection of tokio as the TLS library reads it.
struct Tcp(TcpStream);

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let mut filled = tokio::io::ReadBuf::new(buf);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.0), cx, &mut filled))?;
        Poll::Ready(Ok(filled.filled().len()))
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.0), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.0), cx)
    }
}

/// A TLS stream as the HTTP library reads it.
struct Tls(TlsStream<Tcp>);

impl Read for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut chunk = [0; CHUNK_BYTES];
        let room = buf.remaining().min(CHUNK_BYTES);
        let read = ready!(AsyncRead::poll_read(Pin::new(&mut self.0), cx, &mut chunk[..room]))?;
        buf.put_slice(&chunk[..read]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.0), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        AsyncWrite::poll_close(Pin::new(&mut self.0), cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives these answers, one connection each; gives its address.
    async fn serve(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        format!("http://{address}")
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn moved(to: &str) -> String {
        format!("HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
    }

    async fn code(url: &str) -> String {
        get(url, 16).await.expect_err("it must be refused").code
    }

    #[tokio::test]
    async fn a_file_is_fetched_and_a_redirect_followed_to_the_web_only() {
        let target = serve(vec![ok("roster")]).await;
        let from = serve(vec![moved(&format!("{target}/roster"))]).await;
        assert_eq!(get(&from, 16).await.expect("the file"), b"roster");
        let within = serve(vec![moved("/there"), ok("roster")]).await;
        assert_eq!(get(&within, 16).await.expect("the file"), b"roster");
        for elsewhere in ["file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.1/x", "http://a:b@127.0.0.1/"]
        {
            let from = serve(vec![moved(elsewhere)]).await;
            assert_eq!(code(&from).await, "fetch-redirect", "{elsewhere}");
        }
        let circle = serve(vec![moved("/"); 9]).await;
        assert_eq!(code(&circle).await, "fetch-redirect");
    }

    #[tokio::test]
    async fn what_is_too_large_not_there_or_no_web_address_is_refused() {
        let large = serve(vec![ok("12345678901234567")]).await;
        assert_eq!(code(&large).await, "fetch-large");
        // One that says nothing of its length and does not end.
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(64));
        assert_eq!(code(&serve(vec![endless]).await).await, "fetch-large");
        let missing = serve(vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into()]).await;
        assert_eq!(code(&missing).await, "fetch-status");
        for url in ["ftp://host/", "/roster", "http://", "https://user:secret@host/", "not an address"] {
            assert_eq!(code(url).await, "fetch-url", "{url}");
        }
        let plain = serve(vec![ok("roster")]).await.replace("http:", "https:");
        assert_eq!(code(&plain).await, "fetch-failed", "no TLS there");
    }

    #[tokio::test]
    async fn https_is_checked_against_the_roots_and_never_left_for_http() {
        use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
        use futures_rustls::rustls::ServerConfig;
        use futures_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.key_pair.serialize_der()));
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a server");
        let acceptor = futures_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            for answer in [ok("roster"), moved("http://127.0.0.1:1/")] {
                let Ok((stream, _)) = listener.accept().await else { return };
                let Ok(mut stream) = acceptor.accept(Tcp(stream)).await else { return };
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.close().await;
            }
            let Ok((stream, _)) = listener.accept().await else { return };
            let _ = acceptor.accept(Tcp(stream)).await;
        });
        let url = format!("https://localhost:{port}/roster");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a root");
        assert_eq!(get_with(&url, 16, &roots).await.expect("the file"), b"roster");
        let down = get_with(&url, 16, &roots).await.expect_err("never back to http");
        assert_eq!(down.code, "fetch-redirect");
        assert_eq!(code(&url).await, "fetch-failed", "not one of the web's roots");
    }
}
