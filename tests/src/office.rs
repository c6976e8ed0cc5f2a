//! Real offices for the end-to-end tests: one `yunling` process each, with its own home on loopback.
//! In: commands as a clerk types them. Out: their exit code and JSON. An [`Office`] ends the process
//! that it started, and no other; every wait has a deadline.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

mod line;
mod people;
mod program;

pub use line::Line;
pub use people::{Sheet, id_number};
pub use program::{BINARY_VARIABLE, binary, run};

use program::{command, command_in, output};

/// Longest wait for anything: two busy cores need seconds, a fault never ends.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest wait for witnesses: they are asked once a minute when no move waits; twice that and some.
pub const ROUNDS_MAX: Duration = Duration::from_secs(180);
const POLL_EVERY: Duration = Duration::from_millis(50);
/// Ports from here on are below those that systems give to outgoing connections (32768 on Linux).
const PORT_FIRST: u32 = 20_000;
const PORT_COUNT: u32 = 12_000;

/// Asks until `done` gives a value.
///
/// # Panics
/// When it does not within [`WAIT_MAX`].
pub fn until<T>(what: &str, done: impl FnMut() -> Option<T>) -> T {
    until_within(WAIT_MAX, what, done)
}

/// As [`until`], of what a round of witnesses brings.
///
/// # Panics
/// When it does not within [`ROUNDS_MAX`].
pub fn until_witnessed<T>(what: &str, done: impl FnMut() -> Option<T>) -> T {
    until_within(ROUNDS_MAX, what, done)
}

fn until_within<T>(limit: Duration, what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(began.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(POLL_EVERY);
    }
}

/// A port that nobody listens on now, and that this process gives out once.
///
/// # Panics
/// When no port is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORT_COUNT {
        let at = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id().wrapping_mul(97);
        let port = (PORT_FIRST + at % PORT_COUNT) as u16;
        let tcp = std::net::TcpListener::bind(("127.0.0.1", port));
        let udp = std::net::UdpSocket::bind(("127.0.0.1", port));
        if tcp.is_ok() && udp.is_ok() {
            return port;
        }
    }
    panic!("no free port from {PORT_FIRST} on")
}

/// How an office is made.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// A real home instead of a trial one.
    pub real: bool,
    /// Listens on TCP only.
    pub tcp_only: bool,
    /// Address in its card, where it differs from the listen address.
    pub external: Option<String>,
    /// `YUNLING_CLOCK` of its processes, `init` too: its keys begin then.
    pub clock: Option<String>,
    /// Network namespace of its process; none: that of the test.
    pub namespace: Option<String>,
    /// Listen addresses, instead of a port on loopback.
    pub listen: Vec<String>,
    /// Serves as a relay.
    pub relay: bool,
    /// Relays it names.
    pub relays: Vec<String>,
    /// Port of its pages on loopback; none are served without.
    pub pages: Option<u16>,
}

/// One office.
#[derive(Debug)]
pub struct Office {
    /// Name of the node.
    pub name: String,
    /// Its home.
    pub home: PathBuf,
    /// Port it listens on.
    pub port: u16,
    /// The identity that opens its backups, as `init` printed it.
    pub backup_identity: String,
    /// How it was made, and how it starts the next time.
    pub plan: Plan,
    child: Option<Child>,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.kill9();
    }
}

impl Office {
    /// Makes the home below `folder`; starts nothing.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn make(folder: &Path, name: &str, division: &str, plan: Plan) -> Self {
        let home = folder.join(name);
        let backup_identity = String::new();
        let mut office =
            Self { name: name.into(), home, port: free_port(), backup_identity, plan, child: None };
        let mut arguments = vec!["init", "--name", name, "--division", division];
        if !office.plan.real {
            arguments.push("--trial");
        }
        let (code, value) = office.json(&arguments);
        assert_eq!(code, 0, "init of {name}: {value}");
        office.backup_identity = text(&value, "backup_identity");
        office.configure();
        office
    }

    /// Makes and starts a trial office.
    ///
    /// # Panics
    /// As [`Office::make`] and [`Office::start`].
    pub fn open(folder: &Path, name: &str, division: &str) -> Self {
        Self::open_with(folder, name, division, Plan::default())
    }

    /// Makes and starts an office.
    ///
    /// # Panics
    /// As [`Office::make`] and [`Office::start`].
    pub fn open_with(folder: &Path, name: &str, division: &str, plan: Plan) -> Self {
        let mut office = Self::make(folder, name, division, plan);
        office.start();
        office
    }

    /// Writes the addresses into the configuration. The port is fixed: a peer finds the office again
    /// after it was restarted.
    fn configure(&self) {
        let file = self.home.join("config.toml");
        let mut text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut listen = format!("\"/ip4/127.0.0.1/tcp/{}\"", self.port);
        if !self.plan.tcp_only {
            listen = format!("\"/ip4/127.0.0.1/udp/{}/quic-v1\", {listen}", self.port);
        }
        let quoted = |all: &[String]| all.iter().map(|a| format!("\"{a}\"")).collect::<Vec<_>>().join(", ");
        if !self.plan.listen.is_empty() {
            listen = quoted(&self.plan.listen);
        }
        text = replace_list(&text, "listen", &listen);
        text = replace_list(&text, "relays", &quoted(&self.plan.relays));
        let pages = self.plan.pages.map(|port| format!("127.0.0.1:{port}")).unwrap_or_default();
        text = text.replace("\nlisten = \"127.0.0.1:7443\"", &format!("\nlisten = \"{pages}\""));
        if self.plan.relay {
            text = text.replace("\nrelay = false", "\nrelay = true");
        }
        if let Some(external) = &self.plan.external {
            text = replace_list(&text, "external", &format!("\"{external}\""));
        }
        std::fs::write(&file, text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }

    /// Gives the stopped office another port, as a move to another machine does.
    ///
    /// # Panics
    /// When the configuration cannot be written.
    pub fn move_port(&mut self) {
        self.port = free_port();
        self.configure();
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Panics
    /// When it is running already, ends at once or does not answer.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} is running", self.name);
        let log = self.home.with_extension("log");
        let log = File::options().create(true).append(true).open(&log);
        let log = log.unwrap_or_else(|e| panic!("log of {}: {e}", self.name));
        let mut command = self.at_home();
        if let Some(namespace) = &self.plan.namespace {
            // Becomes the node itself, so that its id is that of the process started here.
            command = command_in(namespace, &command);
        }
        command.arg("run").stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap_or_else(|e| panic!("{} does not start: {e}", self.name)));
        until(&format!("start of {}", self.name), || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                panic!("{} ended: {status}\n{}", self.name, self.log_end());
            }
            (self.json(&["status"]).0 == 0).then_some(())
        });
    }

    /// Resident memory of its process in KiB.
    pub fn rss_kib(&self) -> Option<u64> {
        let pid = self.child.as_ref()?.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").trim().parse().ok()
    }

    /// Last lines of its log.
    pub fn log_end(&self) -> String {
        let text = std::fs::read_to_string(self.home.with_extension("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Ends the process as a power cut would.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the process to stop, and waits.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let asked = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
        assert!(asked.is_ok_and(|s| s.success()), "cannot ask {} to stop", self.name);
        let status = until(&format!("stop of {}", self.name), || child.try_wait().ok().flatten());
        assert!(status.success(), "{} stopped with {status}", self.name);
    }

    /// Power cut and start.
    ///
    /// # Panics
    /// As [`Office::start`].
    pub fn restart(&mut self) {
        self.kill9();
        self.start();
    }

    /// The command line of a command against this home, for a caller who runs it itself.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.at_home();
        command.arg("--json").args(arguments);
        command
    }

    /// The binary on this home, under the clock of its plan.
    fn at_home(&self) -> Command {
        let mut command = command();
        command.arg("--home").arg(&self.home);
        if let Some(clock) = &self.plan.clock {
            command.env("YUNLING_CLOCK", clock);
        }
        command
    }

    /// Runs a command against this home.
    ///
    /// # Panics
    /// When the binary does not start.
    pub fn json(&self, arguments: &[&str]) -> (i32, Value) {
        output(&mut self.command(arguments))
    }

    /// Runs a command that must succeed.
    ///
    /// # Panics
    /// When it does not exit with 0.
    pub fn ok(&self, arguments: &[&str]) -> Value {
        let (code, value) = self.json(arguments);
        assert_eq!(code, 0, "{} {arguments:?}: {value}\n{}", self.name, self.log_end());
        value
    }

    /// Runs a command that must be refused with `code`.
    ///
    /// # Panics
    /// When it is not.
    pub fn refused(&self, arguments: &[&str], code: &str) {
        let (exit, value) = self.json(arguments);
        assert_eq!(
            (exit, &value["error"]["code"]),
            (1, &Value::from(code)),
            "{}: {arguments:?}: {value}",
            self.name
        );
    }

    /// Both accept each other's card.
    ///
    /// # Panics
    /// When either refuses.
    pub fn peer_with(&self, other: &Self) {
        for (giver, taker) in [(self, other), (other, self)] {
            taker.ok(&["peer", "accept", &text(&giver.ok(&["peer", "card"]), "card")]);
        }
    }

    /// Imports a sheet.
    ///
    /// # Panics
    /// When it is refused.
    pub fn import(&self, sheet: &Path) -> Value {
        self.ok(&["import", &sheet.display().to_string()])
    }

    /// The dossier as this office has it.
    ///
    /// # Panics
    /// When it has none.
    pub fn dossier(&self, volunteer: &str) -> Value {
        self.ok(&["dossier", "show", volunteer])
    }

    /// Whether this office may append to the dossier.
    ///
    /// # Panics
    /// When it cannot tell.
    pub fn is_custodian(&self, dossier: &str) -> bool {
        let (code, value) = self.json(&["dossier", "show", dossier]);
        let away = ["dossier-unknown", "dossier-moved"].map(|code| value["error"]["code"] == code);
        assert!(code == 0 || away.contains(&true), "{}: {value}", self.name);
        value["custody"] == format!("held:{}", self.name)
    }

    /// Authorises a move of a volunteer of this office; gives the code of the slip.
    ///
    /// # Panics
    /// When it is refused.
    pub fn authorize(&self, volunteer: &str, to: &str) -> String {
        let slip = self.ok(&["transfer", "authorize", volunteer, "--to", to, "--checked", "--with-profile"]);
        text(&slip, "code")
    }

    /// Starts a move to this office; gives the transfer id.
    ///
    /// # Panics
    /// When it is refused.
    pub fn start_transfer(&self, from: &str, code: &str) -> String {
        text(&self.ok(&["transfer", "start", "--from", from, "--code", code]), "transfer")
    }

    /// Moves a volunteer of this office to another and waits for the end on both sides.
    ///
    /// # Panics
    /// When it does not complete.
    pub fn move_to(&self, volunteer: &str, to: &Self) -> String {
        let transfer = to.start_transfer(&self.name, &self.authorize(volunteer, &to.name));
        for office in [to, self] {
            office.wait_stage(&transfer, "completed");
        }
        transfer
    }

    /// The stage of a transfer here, if this office has heard of it.
    pub fn stage(&self, transfer: &str) -> Option<String> {
        let (code, value) = self.json(&["transfer", "show", transfer]);
        (code == 0).then(|| text(&value, "stage"))
    }

    /// Waits until a transfer has a stage.
    ///
    /// # Panics
    /// When it does not reach it in time.
    pub fn wait_stage(&self, transfer: &str, stage: &str) {
        let began = Instant::now();
        while self.stage(transfer).as_deref() != Some(stage) {
            assert!(
                began.elapsed() < WAIT_MAX,
                "{}: transfer not {stage} but {}\n{}",
                self.name,
                self.json(&["transfer", "show", transfer]).1,
                self.log_end()
            );
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Waits until the dossier counts so many minutes here.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_minutes(&self, dossier: &str, minutes: u64) -> Value {
        let mut last = Value::Null;
        let began = Instant::now();
        while began.elapsed() < WAIT_MAX {
            last = self.dossier(dossier);
            if last["counted_minutes"] == minutes {
                return last;
            }
            std::thread::sleep(POLL_EVERY);
        }
        panic!(
            "{}: {minutes} minutes expected, {} counted\n{}",
            self.name,
            last["counted_minutes"],
            self.log_end()
        );
    }
}

/// Sums that must be the same wherever the dossier is.
pub fn sums(dossier: &Value) -> Vec<&Value> {
    let keys = ["counted_minutes", "stated_minutes", "disputed_minutes", "voided_minutes", "attestations"];
    keys.iter().map(|key| &dossier[*key]).collect()
}

/// A text field of an answer.
pub fn text(value: &Value, key: &str) -> String {
    value[key].as_str().map_or_else(|| value[key].to_string(), str::to_owned)
}

fn replace_list(text: &str, key: &str, items: &str) -> String {
    let start =
        text.find(&format!("\n{key} = [")).unwrap_or_else(|| panic!("no `{key}` in the configuration"));
    let end = text[start..].find(']').map_or(text.len(), |at| start + at);
    format!("{}\n{key} = [{items}{}", &text[..start], &text[end..])
}

/// Arguments that record one service on a day without clock times.
pub fn record_on<'a>(who: &'a str, day: &'a str, minutes: &'a str) -> Vec<&'a str> {
    vec![
        "record",
        who,
        "--activity",
        "守望",
        "--organization",
        "服务队",
        "--place",
        "翠湖",
        "--content",
        "照护",
        "--day",
        day,
        "--minutes",
        minutes,
    ]
}
