//! Two and three networks on loopback, over QUIC and over TCP. Every test is bounded in time; nothing
//! leaves the machine.
#![allow(clippy::unwrap_used, clippy::large_futures)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant as Clock,
};

use futures::{FutureExt, StreamExt, stream};

use super::*;

mod calls;
mod flood;
mod hostile;
mod membership;
mod relays;
mod streams;

/// Every test ends within this, seconds.
const TEST_SECONDS: u64 = 180;
/// Longest a test waits for what must come; a busy machine may need most of it.
const PATIENCE: Duration = Duration::from_secs(45);

const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const TCP: &str = "/ip4/127.0.0.1/tcp/0";

/// Behaves as the first byte of a request says; the u32 after it is a size or a count.
#[derive(Default)]
struct Scripted {
    running: AtomicUsize,
    most_running: AtomicUsize,
    answered: AtomicUsize,
    notices: Mutex<Vec<(PeerId, Vec<u8>)>>,
}

const ECHO: u8 = 0;
const SIZE: u8 = 1;
const STALL: u8 = 2;
const PANIC: u8 = 3;
const REFUSE: u8 = 4;
const STOP: u8 = 5;
const PAUSE: u8 = 6;

fn script(what: u8, number: u32) -> Vec<u8> {
    let mut request = vec![what];
    request.extend(number.to_be_bytes());
    request
}

fn number(request: &[u8]) -> u32 {
    u32::from_be_bytes(request[1..5].try_into().unwrap())
}

fn frame(index: u32) -> Vec<u8> {
    index.to_be_bytes().repeat(64)
}

impl Service for Arc<Scripted> {
    fn answer(&self, _: PeerId, request: Vec<u8>) -> BoxFuture<'static, Vec<u8>> {
        let state = self.clone();
        async move {
            let running = state.running.fetch_add(1, Ordering::SeqCst) + 1;
            state.most_running.fetch_max(running, Ordering::SeqCst);
            let answer = match request[0] {
                SIZE => vec![7; number(&request) as usize],
                STALL => futures::future::pending().await,
                PAUSE => {
                    tokio::time::sleep(Duration::from_millis(number(&request).into())).await;
                    vec![]
                }
                PANIC => panic!("as the test asked"),
                _ => request,
            };
            state.running.fetch_sub(1, Ordering::SeqCst);
            state.answered.fetch_add(1, Ordering::SeqCst);
            answer
        }
        .boxed()
    }

    fn bulk(&self, _: PeerId, request: Vec<u8>) -> BoxFuture<'static, Result<BulkSource, Vec<u8>>> {
        async move {
            let count = number(&request);
            let frames = stream::iter((0..count).map(|index| Ok(frame(index))));
            match request[0] {
                REFUSE => Err(b"not yours".to_vec()),
                STALL => Ok(BulkSource::new(frames.chain(stream::pending()))),
                STOP => {
                    let stopped = Err(SourceStopped("as the test asked".to_owned()));
                    Ok(BulkSource::new(frames.chain(stream::iter([stopped]))))
                }
                _ => Ok(BulkSource::new(frames)),
            }
        }
        .boxed()
    }

    fn notice(&self, from: PeerId, notice: Vec<u8>) -> BoxFuture<'static, ()> {
        self.notices.lock().unwrap().push((from, notice));
        async {}.boxed()
    }
}

/// Limits for tests: no standing links unless asked for, short timers.
fn quick() -> Limits {
    Limits {
        standing_links_max: 0,
        redial_first: Duration::from_millis(100),
        redial_max: Duration::from_secs(1),
        frame_timeout: Duration::from_secs(5),
        ..Limits::default()
    }
}

/// A node that listens nowhere and is no relay.
fn config(transport_seed: [u8; 32], limits: Limits) -> NetConfig {
    NetConfig { transport_seed, listen: vec![], external: vec![], relay: false, relays: vec![], limits }
}

struct Node {
    net: Net,
    service: Arc<Scripted>,
    seed: [u8; 32],
}

impl Node {
    async fn on(listen: &str, limits: Limits) -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        Self::with_seed(seed, listen, limits).await.unwrap()
    }

    async fn with_seed(seed: [u8; 32], listen: &str, limits: Limits) -> Result<Self, NetError> {
        Self::with(NetConfig { listen: vec![listen.parse().unwrap()], ..config(seed, limits) }).await
    }

    async fn with(config: NetConfig) -> Result<Self, NetError> {
        let (service, seed) = (Arc::new(Scripted::default()), config.transport_seed);
        let net = Net::start(config, service.clone()).await?;
        Ok(Self { net, service, seed })
    }

    fn id(&self) -> PeerId {
        self.net.local_peer()
    }

    fn card(&self) -> PeerAddress {
        PeerAddress { peer: self.id(), addresses: self.net.listen_addresses() }
    }

    async fn knows(&self, others: &[&Node]) {
        let cards = others.iter().map(|other| other.card()).collect();
        self.net.set_peers(cards).await.unwrap();
    }

    async fn ask(&self, other: &Node, request: Vec<u8>) -> Result<Vec<u8>, NetError> {
        self.net.request(other.id(), request, PATIENCE).await
    }
}

/// Two nodes that know each other.
async fn pair(listen: &str, limits: Limits) -> (Node, Node) {
    let a = Node::on(listen, limits.clone()).await;
    let b = Node::on(listen, limits).await;
    a.knows(&[&b]).await;
    b.knows(&[&a]).await;
    (a, b)
}

/// Runs a test with its bound in time.
async fn bounded(test: impl Future<Output = ()>) {
    let limit = Duration::from_secs(TEST_SECONDS);
    let done = tokio::time::timeout(limit, test).await;
    done.expect("the test took longer than its bound");
}

/// Waits until `holds`, for at most [`PATIENCE`].
async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Clock::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
