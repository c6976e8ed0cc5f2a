//! The daemon: store, network, pump and control API, until it is asked to stop.

use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use tokio::signal::unix::{SignalKind, signal};
use yunling_protocol::key::Role;

use crate::home::Home;
use crate::net::{Limits, Net, NetConfig};
use crate::service::exchange::Exchange;
use crate::service::{Node, Refusal};

/// How often the allow list is compared with the accepted peers.
const PEERS_EVERY: Duration = Duration::from_millis(300);
/// Longest a stop waits for requests under way.
const STOP_WITHIN: Duration = Duration::from_secs(5);

fn addresses(texts: &[String]) -> Result<Vec<Multiaddr>, Refusal> {
    let parse =
        |t: &String| t.parse().map_err(|e| Refusal::new("net-address").with("value", t).with("cause", e));
    texts.iter().map(parse).collect()
}

/// A started node: store, network and pump; the control API is served apart.
#[derive(Debug)]
pub struct Running {
    /// The office.
    pub node: Arc<Node>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Stops the tasks and the network.
    pub async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        if let Some(net) = self.node.net() {
            // A peer that does not answer must not keep a node from stopping.
            let _ = tokio::time::timeout(STOP_WITHIN, net.shutdown()).await;
        }
    }
}

/// Starts a node of a home.
pub async fn start(home: Home) -> Result<Running, Refusal> {
    let listen = addresses(&home.config.net.listen)?;
    let external = addresses(&home.config.net.external)?;
    let transport_seed = home
        .keys
        .ring()
        .by_window(Role::Transport, home.clock.now())
        .and_then(|key| key.seed().copied())
        .ok_or_else(|| Refusal::new("key-file").with("path", "keys/transport.key"))?;
    let opened = tokio::task::spawn_blocking(move || Node::open(home)).await;
    let node = Arc::new(opened.map_err(|e| Refusal::new("internal").with("cause", e))??);
    let (relay, relays) = (node.home.config.net.relay, node.home.config.relays().unwrap_or_default());
    let config = NetConfig { transport_seed, listen, external, relay, relays, limits: Limits::default() };
    let net = Net::start(config, Exchange(node.clone()))
        .await
        .map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
    // Set once: the node was opened a moment ago.
    let _ = node.net.set(net.clone());
    node.reload_members()?;
    let asking = node.clone();
    let asked = tokio::task::spawn_blocking(move || asking.ask_peers()).await;
    asked.map_err(|e| Refusal::new("internal").with("cause", e))??;
    let mut tasks = Vec::new();
    if let Some(address) = node.home.config.pages()? {
        match crate::pages::bind(address).await {
            Ok(listener) => tasks.push(tokio::spawn(crate::pages::serve(node.clone(), listener))),
            // Offices work without their pages; doctor says what is wrong.
            Err(refusal) => tracing::error!(code = refusal.code, %address, "pages are not served"),
        }
    }
    tasks.extend([
        tokio::spawn(node.clone().pump()),
        tokio::spawn(node.clone().keep_log()),
        tokio::spawn(node.clone().keep_witnessed()),
        tokio::spawn(node.clone().keep_gossip()),
        tokio::spawn(node.clone().keep_proven()),
        tokio::spawn(node.clone().keep_rejoining()),
        tokio::spawn(keep_peers(node.clone(), net)),
        tokio::spawn(crate::service::status::keep(node.clone())),
        tokio::spawn(crate::backup::schedule::daily(node.clone())),
    ]);
    tracing::info!(node = %node.home.name, trial = node.home.config.node.trial, "node runs");
    Ok(Running { node, tasks })
}

/// Runs a node until SIGTERM or Ctrl-C.
pub async fn run(home: Home) -> Result<(), Refusal> {
    let running = start(home).await?;
    let served = crate::api::serve(running.node.clone(), stopped()).await;
    let name = running.node.home.name.clone();
    running.stop().await;
    tracing::info!(node = %name, "node stopped");
    served
}

async fn stopped() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without signals the process ends only by being killed, which the store survives.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

async fn keep_peers(node: Arc<Node>, net: Net) {
    let mut known = None;
    loop {
        // Who was accepted after the backup is a stranger to a restored node.
        net.welcome_guests(node.fenced());
        let allowed = node.allowed();
        if known.as_ref() != Some(&allowed) && net.set_peers(allowed.clone()).await.is_ok() {
            known = Some(allowed);
        }
        tokio::time::sleep(PEERS_EVERY).await;
    }
}
