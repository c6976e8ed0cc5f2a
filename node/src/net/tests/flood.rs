//! Members that flood: they hold keys that are let in and do what a broken or bought node could do. The
//! victim is a process of its own, so that its memory is measured and nothing else's; a modest member
//! asks all the while and must be served.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::atomic::AtomicU64,
};

use futures::{AsyncWriteExt, future::join_all};
use libp2p::{SwarmBuilder, identity::Keypair, swarm::SwarmEvent};
use tokio::time::timeout;

use super::{membership::on_own_runtime, *};

/// Names the peers that the victim lets in, and makes the test below a victim.
const PEERS_VARIABLE: &str = "YUNLING_FLOOD_PEERS";
/// Runs ten times as many streams.
const LONG_VARIABLE: &str = "YUNLING_TEST_LONG";
/// Tiny streams in all.
const STREAMS: u64 = 100_000;
const STREAMS_LONG: u64 = 1_000_000;
/// Members that open them together, each as fast as it can: so many that what two cores can open is
/// shared by all, and none need be over its own rate. One alone, before, is.
const FLOODERS: usize = 16;
/// Streams that one of them opens beside each other.
const ABREAST: usize = 32;
/// Of these kept open by each.
const HELD: usize = 3;
/// How long a flooder waits for a stream to open: longer than the victim waits for one that it holds
/// ([`short`]). Who fills the connection's window opens nothing more until those streams were given up, and
/// must be there still to be struck for them.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// Pause of a flooder before it comes back.
const RETURN_PAUSE: Duration = Duration::from_millis(250);
/// What the victim's memory may grow by under all of it, bytes: the windows and places of the peers,
/// and never the number of streams.
const MEMORY_GROWTH_MAX: u64 = 96 * 1024 * 1024;
/// Longest a modest member may wait for one answer meanwhile.
const MODEST_PATIENCE: Duration = Duration::from_secs(10);
/// Longest each part may take, and that of ten times the streams. Who asks without end and never reads
/// takes the victim longest to be sure of: its few places run out one timer after the other, about 30 s.
const FLOOD_TIME: Duration = Duration::from_secs(100);
const FLOOD_TIME_LONG: Duration = Duration::from_secs(1_000);

fn key(number: usize) -> Keypair {
    Keypair::ed25519_from_bytes([number as u8 + 1; 32]).unwrap()
}

/// Limits of the victim: cuts off for a moment only, so that the flood comes back and goes on.
fn short() -> Limits {
    Limits {
        cut_off: Duration::from_millis(300),
        frame_timeout: Duration::from_secs(1),
        request_timeout_max: Duration::from_secs(3),
        ..quick()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the flood test starts"]
async fn victim() {
    let Ok(peers) = std::env::var(PEERS_VARIABLE) else { return };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let node = Node::on(QUIC, short()).await;
    let bare = |peer: &str| PeerAddress { peer: peer.parse().unwrap(), addresses: vec![] };
    node.net.set_peers(peers.split(',').map(bare).collect()).await.unwrap();
    println!("victim {} {}", node.id(), node.net.listen_addresses()[0]);
    // Ends with the test that holds the other end.
    let waited = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
    let _ = waited.unwrap();
    node.net.shutdown().await;
}

/// A running victim.
struct Victim {
    child: Child,
    peer: PeerId,
    address: Multiaddr,
    log: Arc<Mutex<String>>,
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Victim {
    fn start(peers: &[PeerId]) -> Self {
        let peers: Vec<_> = peers.iter().map(ToString::to_string).collect();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "net::tests::flood::victim", "--ignored", "--nocapture"])
            .env(PEERS_VARIABLE, peers.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("victim 12D3")).unwrap();
        // Read on: the harness says after a minute that a test runs long, and dies when nobody listens.
        std::thread::spawn(move || lines.for_each(drop));
        let words: Vec<_> = line.split(' ').collect();
        let [.., peer, address] = words[..] else { panic!("{line}") };
        Self { child, peer: peer.parse().unwrap(), address: address.parse().unwrap(), log }
    }

    /// Resident memory, bytes: now, or the most it ever was.
    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn cut(&self, peer: PeerId) -> bool {
        self.log().lines().any(|line| line.contains("peer cut off") && line.contains(&peer.to_string()))
    }
}

/// A connection of a flooder, driven until it is dropped.
struct Line {
    control: libp2p_stream::Control,
    driver: tokio::task::AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Line {
    /// Connects, unless the victim keeps this key out.
    async fn to(victim: &Victim, key: &Keypair) -> Option<Self> {
        let mut swarm = SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_quic()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        let control = swarm.behaviour().new_control();
        swarm.dial(victim.address.clone()).unwrap();
        let connected = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => break true,
                    SwarmEvent::OutgoingConnectionError { .. } => break false,
                    _ => {}
                }
            }
        };
        if !timeout(MODEST_PATIENCE, connected).await.ok()? {
            return None;
        }
        let driver = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Some(Self { control, driver: driver.abort_handle() })
    }

    async fn open(&self, victim: &Victim, protocol: &'static str) -> Option<libp2p::Stream> {
        let mut control = self.control.clone();
        let opening = control.open_stream(victim.peer, StreamProtocol::new(protocol));
        timeout(OPEN_PATIENCE, opening).await.ok()?.ok()
    }
}

/// What a flooder does on each stream.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A right request of no bytes, and gone before the answer: nothing is wrong with it but the number.
    Tiny,
    /// A whole request of the largest size, and the next before the answer.
    Request,
    /// Half a length, held open.
    HalfOpen,
    /// A length far over the cap.
    Oversized,
    /// Asks for a bundle without end and never reads it.
    Endless,
}

impl Act {
    fn protocol(self) -> &'static str {
        match self {
            Self::Tiny | Self::Request | Self::Oversized => RPC_PROTOCOL,
            Self::HalfOpen | Self::Endless => BULK_PROTOCOL,
        }
    }

    fn bytes(self) -> Vec<u8> {
        let framed = |body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], body].concat();
        match self {
            Self::Tiny => [&[1][..], &framed(&[])].concat(),
            Self::Request => {
                let mut body = script(PAUSE, 1_000);
                body.resize(REQUEST_BYTES_MAX, 0);
                [&[0][..], &framed(&body)].concat()
            }
            Self::HalfOpen => vec![0, 0],
            Self::Oversized => [&[0][..], &u32::MAX.to_be_bytes()].concat(),
            Self::Endless => framed(&script(ECHO, u32::MAX)),
        }
    }

    /// Whether the streams are kept open.
    fn holds(self) -> bool {
        !matches!(self, Self::Tiny | Self::Oversized)
    }
}

/// Floods with `act` until `enough` says so, coming back when cut off; counts the streams opened.
async fn flood(victim: &Victim, key: &Keypair, act: Act, opened: &AtomicU64, enough: impl Fn() -> bool) {
    let bytes = act.bytes();
    while !enough() {
        let Some(line) = Line::to(victim, key).await else {
            tokio::time::sleep(RETURN_PAUSE).await;
            continue;
        };
        let one = || async {
            let mut held = VecDeque::new();
            while !enough() {
                let Some(mut stream) = line.open(victim, act.protocol()).await else { break };
                opened.fetch_add(1, Ordering::Relaxed);
                let write = async {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.flush().await;
                };
                let _ = timeout(Duration::from_secs(1), write).await;
                if act.holds() {
                    held.push_back(stream);
                    // No more than the connection carries, so that it goes on opening.
                    if held.len() > HELD {
                        held.pop_front();
                    }
                }
            }
        };
        join_all((0..ABREAST).map(|_| one())).await;
        drop(line);
        // New keys and handshakes are this process's own load, which the modest member shares.
        tokio::time::sleep(RETURN_PAUSE).await;
    }
}

/// Asks until told to stop; gives the number of answers and the longest wait.
async fn ask_on(modest: &Node, victim: &Victim, stop: &AtomicUsize) -> (u32, Duration) {
    let (mut answers, mut longest) = (0, Duration::ZERO);
    while stop.load(Ordering::SeqCst) == 0 {
        let began = Clock::now();
        let asked = modest.net.request(victim.peer, script(ECHO, answers), MODEST_PATIENCE).await;
        let answer = asked.unwrap_or_else(|error| panic!("answer {answers}: {error}\n{}", victim.log()));
        assert_eq!(answer, script(ECHO, answers));
        longest = longest.max(began.elapsed());
        answers += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (answers, longest)
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_every_kind_are_slowed_cut_and_named_and_others_are_served() {
    let long = std::env::var_os(LONG_VARIABLE).is_some();
    let (streams, time) = if long { (STREAMS_LONG, FLOOD_TIME_LONG) } else { (STREAMS, FLOOD_TIME) };
    let acts = [Act::Tiny, Act::Request, Act::HalfOpen, Act::Oversized, Act::Endless];
    let keys: Vec<_> = (0..FLOODERS + acts.len()).map(key).collect();
    let ids: Vec<_> = keys.iter().map(|key| key.public().to_peer_id()).collect();
    // In a runtime of its own: what is measured is the victim's patience with it, not this process's.
    let (runtime, modest) = on_own_runtime([201; 32], QUIC.to_owned());
    let victim = Victim::start(&[&ids[..], &[modest.id()]].concat());
    let card = PeerAddress { peer: victim.peer, addresses: vec![victim.address.clone()] };
    modest.net.set_peers(vec![card]).await.unwrap();
    modest.net.request(victim.peer, script(ECHO, 1), PATIENCE).await.unwrap();
    let before = victim.memory("VmRSS");
    let (stop, began) = (AtomicUsize::new(0), Clock::now());

    let attack = async {
        // One kind after the other, each until its member is cut off and named.
        for (number, act) in acts.into_iter().enumerate() {
            let (peer, opened, began) = (ids[number], AtomicU64::new(0), Clock::now());
            let bound = timeout(time, flood(&victim, &keys[number], act, &opened, || victim.cut(peer)));
            bound.await.unwrap_or_else(|_| panic!("{act:?}: never cut off\n{}", victim.log()));
            let opened = opened.into_inner();
            println!("{act:?}: cut off after {opened} streams, {:.1} s", began.elapsed().as_secs_f32());
        }
        let (opened, began) = (AtomicU64::new(0), Clock::now());
        let enough = || opened.load(Ordering::Relaxed) >= streams;
        let floods = keys[acts.len()..].iter().map(|key| flood(&victim, key, Act::Tiny, &opened, enough));
        timeout(time, join_all(floods)).await.expect("the streams took too long");
        println!("{} tiny streams in {:.1} s", opened.into_inner(), began.elapsed().as_secs_f32());
        stop.store(1, Ordering::SeqCst);
    };
    let ((), (answers, longest)) = tokio::join!(attack, ask_on(&modest, &victim, &stop));
    runtime.shutdown_background();

    let grown = victim.memory("VmHWM").saturating_sub(before);
    println!(
        "{:.1} s; memory {} MiB before, {} MiB more at most; the modest member got {answers} answers, the slowest in {} ms",
        began.elapsed().as_secs_f32(),
        before >> 20,
        grown >> 20,
        longest.as_millis(),
    );
    assert!(grown <= MEMORY_GROWTH_MAX, "{grown} bytes more");
    assert!(answers >= 100 && longest < MODEST_PATIENCE);
    assert!(!victim.cut(modest.id()), "who asks modestly is left alone");
    let log = victim.log();
    let lines = log.lines().count();
    println!("log: {lines} lines, {} KiB", log.len() >> 10);
    assert!(lines < 1_000, "the flood filled the log with {lines} lines");
}
