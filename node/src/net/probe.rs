//! The connection test between two offices: walks the way to a peer step by step, on every kind of
//! address, and says which step failed and why. It opens connections beside existing ones and closes
//! them again; work under way is not disturbed.

use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol, swarm::ConnectionId};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    Net,
    codec::{Kind, Reply, Request},
    dial::{Transport, shortened},
    error::{NetError, Step},
    limits::{DIAL_TIMEOUT, PROBE_ADDRESSES_MAX},
    task::Command,
};

/// One step of a connection test.
#[derive(Clone, Debug)]
pub struct TestStep {
    /// `addresses`, `resolve`, `tcp-port`, `quic`, `tcp`, `websocket`, `relay`, `identity`, `allow-list`,
    /// `echo`, or `hello` where the service adds it.
    pub name: &'static str,
    /// The address tried, where the step has one.
    pub address: Option<String>,
    /// Whether it went well.
    pub ok: bool,
    /// Code of the failure for the message catalogue; none when it went well.
    pub code: Option<&'static str>,
    /// What was found, or the exact error.
    pub detail: String,
    /// How long it took, milliseconds.
    pub millis: u64,
}

/// Kinds of ways, in the order in which their steps are shown.
const KINDS: [(&str, Transport); 4] = [
    ("quic", Transport::Quic),
    ("tcp", Transport::Tcp),
    ("websocket", Transport::WebSocket),
    ("relay", Transport::Relay),
];

/// Collects steps, each timed from the end of the one before.
struct Steps {
    steps: Vec<TestStep>,
    began: Instant,
}

impl Steps {
    fn push(
        &mut self,
        name: &'static str,
        address: Option<&Multiaddr>,
        code: Option<&'static str>,
        detail: String,
    ) {
        self.steps.push(TestStep {
            name,
            address: address.map(ToString::to_string),
            ok: code.is_none(),
            code,
            detail: shortened(&detail),
            millis: self.began.elapsed().as_millis() as u64,
        });
        self.began = Instant::now();
    }

    fn error(&mut self, name: &'static str, address: Option<&Multiaddr>, error: &NetError) {
        let detail = match error {
            NetError::Dial { detail, .. } => detail.clone(),
            other => other.to_string(),
        };
        self.push(name, address, Some(error.code()), detail);
    }
}

impl Net {
    /// Tests the way to `peer`; ends within about a minute and a half in the worst case.
    pub async fn test(&self, peer: PeerId) -> Vec<TestStep> {
        let mut steps = Steps { steps: Vec::new(), began: Instant::now() };
        let Some(addresses) = self.shared().addresses(&peer) else {
            steps.error("addresses", None, &NetError::UnknownPeer { peer });
            return steps.steps;
        };
        let ways = KINDS.map(|(name, kind)| (name, of_kind(&addresses, kind)));
        if ways.iter().all(|(_, addresses)| addresses.is_empty()) {
            let error = "no address of a kind this node dials is known".to_owned();
            steps.push("addresses", None, Some("net-dial-addresses"), error);
            return steps.steps;
        }
        let known: Vec<_> = ways.iter().map(|(name, all)| format!("{} {name}", all.len())).collect();
        steps.push("addresses", None, None, known.join(", "));
        // Each kind beside the others: one that is blocked takes its whole time.
        let walks = ways.iter().map(|(name, addresses)| self.walk(name, peer, addresses));
        let mut reached = Vec::new();
        for (walked, connection) in futures::future::join_all(walks).await {
            steps.steps.extend(walked.steps);
            reached.extend(connection);
        }
        steps.began = Instant::now();
        if !reached.is_empty() {
            let detail = format!("peer {peer} answers with its key");
            steps.push("identity", None, None, detail);
            steps.push("allow-list", None, None, "the peer knows this node".to_owned());
            self.echo(&mut steps, peer).await;
        }
        for id in reached {
            let _ = self.send(Command::Close(id)).await;
        }
        steps.steps
    }

    /// Tries the addresses of one kind; keeps the first connection that came about.
    async fn walk(
        &self,
        name: &'static str,
        peer: PeerId,
        addresses: &[Multiaddr],
    ) -> (Steps, Option<ConnectionId>) {
        let mut steps = Steps { steps: Vec::new(), began: Instant::now() };
        let mut kept = None;
        for address in addresses {
            resolve(&mut steps, address).await;
        }
        for address in addresses {
            let over_tcp = matches!(Transport::of(address), Transport::Tcp | Transport::WebSocket);
            if over_tcp && !tcp_port(&mut steps, address).await {
                continue;
            }
            self.probe(&mut steps, name, peer, address, &mut kept).await;
        }
        (steps, kept)
    }

    async fn probe(
        &self,
        steps: &mut Steps,
        name: &'static str,
        peer: PeerId,
        address: &Multiaddr,
        kept: &mut Option<ConnectionId>,
    ) {
        // Dial and first answer each have the same time.
        let limit = 2 * DIAL_TIMEOUT;
        let dialled = self.ask(|done| Command::Probe { peer, address: address.clone(), done });
        let result = match timeout(limit, dialled).await {
            Ok(result) => result,
            Err(_) => Err(NetError::Timeout { peer, step: Step::Identity, millis: limit.as_millis() as u64 }),
        };
        match result {
            Ok(id) => {
                steps.push(name, Some(address), None, "connected".to_owned());
                // One is kept for the echo; the peer allows only a few connections at once.
                if kept.is_none() {
                    *kept = Some(id);
                } else {
                    let _ = self.send(Command::Close(id)).await;
                }
            }
            Err(error) => {
                let failed = match error {
                    NetError::Refused { .. } => {
                        steps.push(name, Some(address), None, "reached".to_owned());
                        steps.push("identity", Some(address), None, "the right key".to_owned());
                        "allow-list"
                    }
                    NetError::Timeout { .. } | NetError::Dial { step: Step::Identity, .. } => {
                        steps.push(name, Some(address), None, "reached".to_owned());
                        "identity"
                    }
                    _ => name,
                };
                steps.error(failed, Some(address), &error);
            }
        }
    }

    async fn echo(&self, steps: &mut Steps, peer: PeerId) {
        let mut body = [0; 32];
        // The bytes need not be secret; fixed ones show as well that they came back.
        let _ = getrandom::fill(&mut body);
        let request = Request { kind: Kind::Echo, body: body.to_vec() };
        match self.call(peer, request, DIAL_TIMEOUT).await {
            Ok(Reply::Answer(answer)) if answer == body => {
                steps.push("echo", None, None, "answered".to_owned());
            }
            Ok(_) => {
                let detail = "other bytes came back".to_owned();
                steps.error("echo", None, &NetError::Malformed { peer, detail });
            }
            Err(error) => steps.error("echo", None, &error),
        }
    }
}

fn of_kind(addresses: &[Multiaddr], transport: Transport) -> Vec<Multiaddr> {
    let of_kind = addresses.iter().filter(|a| Transport::of(a) == transport);
    of_kind.take(PROBE_ADDRESSES_MAX).cloned().collect()
}

/// Host name or number, and port.
fn host_and_port(address: &Multiaddr) -> Option<(String, u16, bool)> {
    let mut host = None;
    for protocol in address {
        match protocol {
            Protocol::Ip4(ip) => host = Some((ip.to_string(), false)),
            Protocol::Ip6(ip) => host = Some((ip.to_string(), false)),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
                host = Some((name.into_owned(), true));
            }
            Protocol::Tcp(port) | Protocol::Udp(port) => {
                let (host, is_name) = host?;
                return Some((host, port, is_name));
            }
            _ => {}
        }
    }
    None
}

async fn resolve(steps: &mut Steps, address: &Multiaddr) {
    let Some((name, port, true)) = host_and_port(address) else {
        return;
    };
    const CODE: Option<&str> = Some("net-dial-resolve");
    match timeout(DIAL_TIMEOUT, lookup_host((name.as_str(), port))).await {
        Ok(Ok(found)) => {
            let found: Vec<_> = found.map(|found| found.ip().to_string()).collect();
            steps.push("resolve", Some(address), None, found.join(", "));
        }
        Ok(Err(error)) => steps.push("resolve", Some(address), CODE, error.to_string()),
        Err(_) => steps.push("resolve", Some(address), CODE, "no answer".to_owned()),
    }
}

/// Whether anything accepts on the TCP port: a closed firewall and a foreign service look different.
async fn tcp_port(steps: &mut Steps, address: &Multiaddr) -> bool {
    let Some((host, port, _)) = host_and_port(address) else {
        return true;
    };
    const LIMIT: Duration = DIAL_TIMEOUT;
    let failure = match timeout(LIMIT, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", LIMIT.as_secs())),
    };
    let code = failure.as_ref().map(|_| "net-dial-connect");
    let open = failure.is_none();
    let detail = failure.unwrap_or_else(|| "open".to_owned());
    steps.push("tcp-port", Some(address), code, detail);
    open
}
