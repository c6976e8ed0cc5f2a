//! Three trial offices as processes of this binary, on free loopback ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yunling_node::config::CONFIG_FILE;
use yunling_node::home::Home;

use crate::control::Control;
use crate::failure::{Exit, Failure};

/// Names of the offices: 昆明, 大理, 玉溪.
pub(crate) const NAMES: [&str; 3] = ["kunming", "dali", "yuxi"];
const DIVISIONS: [&str; 3] = ["530100", "532900", "530400"];
/// Longest an office may take to start.
const START_MAX: Duration = Duration::from_secs(60);
/// Longest an office may take to stop before it is ended.
const STOP_MAX: Duration = Duration::from_secs(10);

/// The running offices.
pub(crate) struct Offices {
    folder: PathBuf,
    binary: PathBuf,
    children: BTreeMap<String, Child>,
}

impl Drop for Offices {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Offices {
    /// Makes and starts the three offices below `folder`.
    pub(crate) async fn start(folder: &Path) -> Result<Self, Failure> {
        let binary = std::env::current_exe().map_err(|e| Failure::new("internal").with("cause", e))?;
        let mut offices = Self { folder: folder.to_path_buf(), binary, children: BTreeMap::new() };
        for (name, division) in NAMES.into_iter().zip(DIVISIONS) {
            let home = offices.home(name);
            Home::init(&home, name, division, true)?;
            listen_on_loopback(&home)?;
            offices.spawn(name)?;
        }
        for name in NAMES {
            offices.wait_for(name).await?;
        }
        Ok(offices)
    }

    fn spawn(&mut self, name: &str) -> Result<(), Failure> {
        let path = self.folder.join(format!("{name}.log"));
        let log = std::fs::File::options().create(true).append(true).open(&path);
        let log =
            log.map_err(|e| Failure::new("file-write").with("path", path.display()).with("cause", e))?;
        let child = Command::new(&self.binary)
            .arg("--home")
            .arg(self.home(name))
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|e| Failure::new("internal").with("cause", e))?;
        self.children.insert(name.to_owned(), child);
        Ok(())
    }

    /// Starts an office that was stopped.
    pub(crate) async fn start_one(&mut self, name: &str) -> Result<(), Failure> {
        self.spawn(name)?;
        self.wait_for(name).await
    }

    /// Stops an office and waits for its end.
    pub(crate) fn stop_one(&mut self, name: &str) {
        if let Some(child) = self.children.remove(name) {
            end(vec![child]);
        }
    }

    /// Home of an office.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    async fn wait_for(&self, name: &str) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            match self.call(name, "status", json!({})).await {
                Err(failure) if failure.exit == Exit::Unreachable && began.elapsed() < START_MAX => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(failure) => return Err(failure),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Calls an office.
    pub(crate) async fn call(&self, name: &str, path: &str, body: Value) -> Result<Value, Failure> {
        Control { home: self.home(name) }.call(path, body).await
    }

    /// Every office accepts every other's card.
    pub(crate) async fn peer_all(&self) -> Result<(), Failure> {
        let mut cards = Vec::new();
        for name in NAMES {
            cards.push(self.call(name, "peer/card", json!({})).await?["card"].clone());
        }
        for (i, name) in NAMES.into_iter().enumerate() {
            for (_, card) in cards.iter().enumerate().filter(|(j, _)| *j != i) {
                self.call(name, "peer/accept", json!({ "card": card })).await?;
            }
        }
        Ok(())
    }

    /// Asks the offices to stop and waits for them.
    pub(crate) fn stop(&mut self) {
        end(std::mem::take(&mut self.children).into_values().collect());
    }
}

fn end(children: Vec<Child>) {
    for child in &children {
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // One that has ended already is fine.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    let began = Instant::now();
    for mut child in children {
        while matches!(child.try_wait(), Ok(None)) {
            if began.elapsed() > STOP_MAX {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Replaces the listen addresses of a fresh home.
fn listen_on_loopback(home: &Path) -> Result<(), Failure> {
    let file = home.join(CONFIG_FILE);
    let failed = |e: std::io::Error| Failure::new("file-write").with("path", file.display()).with("cause", e);
    let text = std::fs::read_to_string(&file).map_err(failed)?;
    let (before, rest) = text.split_once("listen = [").unwrap_or((&text, "]"));
    let (_, after) = rest.split_once(']').unwrap_or(("", ""));
    // A port that stays: an office that is stopped and started is found again.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|taken| taken.local_addr());
    let port = free.map_err(failed)?.port();
    let listen = format!("listen = [\"/ip4/127.0.0.1/udp/{port}/quic-v1\", \"/ip4/127.0.0.1/tcp/{port}\"]");
    // Offices on one machine would have one port for their pages.
    let after = after.replace("\nlisten = \"127.0.0.1:7443\"", "\nlisten = \"\"");
    std::fs::write(&file, format!("{before}{listen}{after}")).map_err(failed)
}
