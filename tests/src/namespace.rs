//! Networks of a test's own: namespaces joined by virtual cables, with filters as firewalls and
//! address translation as offices have them. In: names and rules. Out: namespaces that are gone when the
//! value is dropped. Nothing of the machine's own network is touched.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Numbers namespaces of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Whether namespaces and filters can be made here. Says so aloud when not.
///
/// # Panics
/// When they cannot and `CI` is set: a build server must not skip these tests.
pub fn available() -> bool {
    let Err(why) = try_out() else { return true };
    assert!(std::env::var_os("CI").is_none(), "no network namespaces: {why}");
    println!("!!!!!!!! SKIPPED: no network namespaces: {why}; needs root, iproute2 and nftables");
    false
}

fn try_out() -> Result<(), String> {
    // Tests of one process try at the same time.
    let name = format!("yl{}-try{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    run("ip", &["netns", "add", &name])?;
    let filter = run("ip", &["netns", "exec", &name, "nft", "add", "table", "inet", "try"]);
    let gone = run("ip", &["netns", "del", &name]);
    filter.and(gone)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let done = done.map_err(|e| format!("{program}: {e}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
}

fn must(program: &str, arguments: &[&str]) {
    run(program, arguments).unwrap_or_else(|why| panic!("{why}"));
}

/// One network namespace.
#[derive(Debug)]
pub struct Namespace {
    /// Its name, for `ip netns exec`.
    pub name: String,
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The processes in it have ended by now; what is left of it is only a name.
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}

impl Namespace {
    /// Makes one that passes packets on between its cables.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn new(role: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let made = Self { name: format!("yl{}-{number}-{role}", std::process::id()) };
        must("ip", &["netns", "add", &made.name]);
        made.ip(&["link", "set", "lo", "up"]);
        made.inside("sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
        made
    }

    /// Runs a program inside.
    ///
    /// # Panics
    /// When it fails.
    pub fn inside(&self, program: &str, arguments: &[&str]) {
        let all = [&["netns", "exec", &self.name, program][..], arguments].concat();
        must("ip", &all);
    }

    fn ip(&self, arguments: &[&str]) {
        must("ip", &[&["-n", &self.name][..], arguments].concat());
    }

    /// A cable between two namespaces: network `10.77.NUMBER.0/24`, `.1` here and `.2` there. Each end
    /// is called after the number: `c7`.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn cable(&self, there: &Self, number: u8) {
        let end = format!("c{number}");
        self.ip(&["link", "add", &end, "type", "veth", "peer", "name", &end, "netns", &there.name]);
        for (side, host) in [(self, 1), (there, 2)] {
            side.ip(&["addr", "add", &format!("10.77.{number}.{host}/24"), "dev", &end]);
            side.ip(&["link", "set", &end, "up"]);
        }
    }

    /// Sends everything that is not on a cable of its own through this neighbour.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn through(&self, neighbour: &str) {
        self.ip(&["route", "add", "default", "via", neighbour]);
    }

    /// Filters what is passed on between cables: rules in the words of nft, in their order.
    ///
    /// # Panics
    /// When nft refuses them.
    pub fn filter(&self, rules: &[&str]) {
        self.inside("nft", &["add", "table", "inet", "wall"]);
        self.inside(
            "nft",
            &["add chain inet wall pass { type filter hook forward priority 0; policy accept; }"],
        );
        for rule in rules {
            self.inside("nft", &[&format!("add rule inet wall pass {rule}")]);
        }
    }

    /// Takes all filters away.
    ///
    /// # Panics
    /// When nft refuses.
    pub fn unfilter(&self) {
        self.inside("nft", &["flush", "chain", "inet", "wall", "pass"]);
    }

    /// Hides what lies behind cable `inner` as a symmetric NAT does: each way out gets a port of its
    /// own at random, and nothing comes in that was not asked for.
    ///
    /// # Panics
    /// When nft refuses.
    pub fn hide(&self, inner: u8, outer: u8) {
        self.inside("nft", &["add", "table", "ip", "nat"]);
        self.inside("nft", &["add chain ip nat out { type nat hook postrouting priority 100; }"]);
        self.inside("nft", &[&format!("add rule ip nat out oifname c{outer} masquerade fully-random")]);
        self.filter(&[
            &format!("iifname c{outer} oifname c{inner} ct state established,related accept"),
            &format!("iifname c{outer} oifname c{inner} drop"),
        ]);
    }
}
