//! `doctor`: looks at the running node and says of each thing whether it is good, worth a look or
//! broken. In: a list of looks, each of which gives its checks. Out: checks with stable codes and
//! values; the words and remedies are the reader's (`doctor-<code>` of the catalogues). Nothing is
//! changed, except that peers are greeted.

mod keys;
mod upkeep;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use serde::Serialize;
use yunling_protocol::message::FUTURE_SECONDS_MAX;
use yunling_protocol::name::NodeName;

use super::greet::Greeted;
use super::peers::{peer_id, records};
use super::reach::ReachState;
use super::{Node, Refusal};
use crate::net::{Connection, Net, Transport};

/// Clock difference from which a person should look, seconds: a clock that is kept by the network is
/// within one; beyond [`FUTURE_SECONDS_MAX`] messages are no longer taken.
pub const CLOCK_WARN_SECONDS: u64 = 60;
/// Free disk below which a person should look, MiB: weeks of work of a prefecture.
const FREE_WARN_MIB: u64 = 1024;
/// Free disk below which the store takes no new work, MiB.
const FREE_FAIL_MIB: u64 = 64;
/// Peers asked at once: all peers that a node may have are asked within three minutes, also when none
/// of them answers.
const PEERS_ABREAST: usize = 32;

/// How a check came out, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good.
    Ok,
    /// Works, but a person should look.
    Warn,
    /// Does not work.
    Fail,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// How it came out.
    pub level: Level,
    /// Stable code; its words are `doctor-<code>`.
    pub code: &'static str,
    /// Values named in the words.
    pub fields: BTreeMap<&'static str, String>,
    /// Code of the failure behind it, where there is one (`error-<code>`).
    pub error: Option<&'static str>,
}

impl Check {
    fn at(level: Level, code: &'static str) -> Self {
        Self { level, code, fields: BTreeMap::new(), error: None }
    }

    fn ok(code: &'static str) -> Self {
        Self::at(Level::Ok, code)
    }

    fn warn(code: &'static str) -> Self {
        Self::at(Level::Warn, code)
    }

    fn fail(code: &'static str) -> Self {
        Self::at(Level::Fail, code)
    }

    fn with(mut self, key: &'static str, value: impl Display) -> Self {
        self.fields.insert(key, value.to_string());
        self
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether nothing failed.
    pub ok: bool,
    /// The worst level.
    pub level: Level,
    /// Every check, in the order of the looks.
    pub checks: Vec<Check>,
}

/// Looks at one thing, or at several of one kind.
type Look = fn(Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>>;

/// Every look, in the order in which they run and are shown. Peers come before reachability: being
/// asked, they connect.
const LOOKS: [Look; 9] =
    [disk, upkeep::store, upkeep::backup, upkeep::recovery, upkeep::roster, keys::keys, peers, relays, reach];

impl Node {
    /// Looks at everything; ends within three minutes also when no peer answers.
    pub async fn doctor(self: &Arc<Self>) -> Result<Report, Refusal> {
        let mut checks = Vec::new();
        for look in LOOKS {
            checks.extend(look(self.clone()).await?);
        }
        let level = checks.iter().map(|check| check.level).max().unwrap_or(Level::Ok);
        Ok(Report { ok: level < Level::Fail, level, checks })
    }

    /// Bytes free on the disk of the store, in MiB; none when the system does not say.
    pub(super) fn free_mib(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(self.home.store_folder()).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize) >> 20)
    }
}

fn disk(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let path = node.home.store_folder().display().to_string();
        Ok(vec![judge_disk(node.free_mib()).with("path", path)])
    }
    .boxed()
}

fn judge_disk(free_mib: Option<u64>) -> Check {
    let Some(free) = free_mib else { return Check::fail("disk-unknown") };
    let check = match free {
        0..FREE_FAIL_MIB => Check::fail("disk-full").with("needed", FREE_FAIL_MIB),
        FREE_FAIL_MIB..FREE_WARN_MIB => Check::warn("disk-low").with("needed", FREE_FAIL_MIB),
        _ => Check::ok("disk-good"),
    };
    check.with("free", free)
}

fn peers(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let reader = node.clone();
        let known = tokio::task::spawn_blocking(move || records(&reader)).await;
        let mut known = known.map_err(|e| Refusal::new("internal").with("cause", e))??;
        known.retain(|record| record.removed_at.is_none());
        if known.is_empty() {
            return Ok(vec![Check::warn("peers-none")]);
        }
        let asked = known.into_iter().map(|record| {
            let node = node.clone();
            async move { ask(&node, &record.card.card.name, record.mutual).await }
        });
        let found: Vec<Vec<Check>> = futures::stream::iter(asked).buffered(PEERS_ABREAST).collect().await;
        Ok(found.concat())
    }
    .boxed()
}

/// Greets one peer: the way to it and its clock.
async fn ask(node: &Arc<Node>, name: &NodeName, mutual: bool) -> Vec<Check> {
    match node.say_hello(name).await {
        Ok(greeted) => {
            let way = way(node, name, greeted.took);
            vec![way, judge_clock(clock_ahead(&greeted)).with("peer", name)]
        }
        Err((code, _)) => {
            let check = if mutual { Check::fail("peer-unreached") } else { Check::warn("peer-waiting") };
            vec![Check { error: Some(code), ..check.with("peer", name) }]
        }
    }
}

/// The way over which a peer was reached: a direct one, where there is one.
fn way(node: &Node, name: &NodeName, took: Duration) -> Check {
    let members = node.members();
    let peer = members.get(name).and_then(|m| peer_id(&m.card));
    let mut open = node.net().map(Net::connected).unwrap_or_default();
    open.retain(|c| Some(c.peer) == peer && c.accepted);
    let relay = |c: &Connection| c.relay.map_or_else(|| "?".to_owned(), |relay| node.peer_word(relay));
    let check = match open.iter().min_by_key(|c| c.transport) {
        Some(circuit) if circuit.transport == Transport::Relay => {
            Check::ok("peer-relayed").with("relay", relay(circuit))
        }
        Some(direct) => Check::ok("peer-direct").with("transport", direct.transport.name()),
        // Answered, and gone since.
        None => Check::ok("peer-answered"),
    };
    check.with("peer", name).with("millis", took.as_millis())
}

/// Seconds by which this node's clock is ahead of the peer's; the answer was on its way for half of
/// the time.
fn clock_ahead(greeted: &Greeted) -> i64 {
    let then = greeted.clock.saturating_sub((greeted.took / 2).as_secs() as i64);
    then.saturating_sub(greeted.hello.clock)
}

fn judge_clock(ahead: i64) -> Check {
    let seconds = ahead.unsigned_abs();
    let code = match ahead {
        _ if seconds < CLOCK_WARN_SECONDS => "clock-good",
        1.. => "clock-ahead",
        _ => "clock-behind",
    };
    let check = match seconds {
        0..CLOCK_WARN_SECONDS => Check::ok(code),
        _ if seconds <= FUTURE_SECONDS_MAX.unsigned_abs() => Check::warn(code),
        _ => Check::fail(code),
    };
    check.with("seconds", seconds).with("max", FUTURE_SECONDS_MAX)
}

fn relays(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let mut checks = Vec::new();
        if node.home.config.net.relay {
            checks.push(Check::ok("relay-serves"));
        }
        let configured = node.home.config.relays()?;
        let ids: std::collections::BTreeSet<_> = configured.into_iter().map(|(relay, _)| relay).collect();
        let held = node.net().map(Net::reach).unwrap_or_default().relays;
        let reached = node.reachability().state == ReachState::Direct;
        for id in &ids {
            let check = match node.member_of(*id) {
                None => Check::fail("relay-stranger"),
                Some(_) if held.contains(id) => Check::ok("relay-held"),
                Some(_) if reached || !held.is_empty() => Check::warn("relay-lost"),
                Some(_) => Check::fail("relay-lost"),
            };
            checks.push(check.with("relay", node.peer_word(*id)));
        }
        if checks.is_empty() {
            checks.push(judge_no_relay(node.reachability().state));
        }
        Ok(checks)
    }
    .boxed()
}

/// Naming no relay is right for a node that is reached without one.
fn judge_no_relay(state: ReachState) -> Check {
    match state {
        ReachState::Closed | ReachState::Unknown => Check::warn("relay-none"),
        _ => Check::ok("relay-unneeded"),
    }
}

fn reach(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let view = node.reachability();
        let linked = node.net().map(Net::connected).unwrap_or_default().iter().any(|c| c.accepted);
        let seen = [view.addresses, view.from].concat();
        let check = match view.state {
            ReachState::Down => Check::fail("reach-down"),
            ReachState::Local => Check::warn("reach-local"),
            ReachState::Direct => Check::ok("reach-direct").with("seen", seen.join(" ")),
            ReachState::Relay => Check::ok("reach-relay").with("relays", view.relays.join(" ")),
            // What this node opened itself carries both directions as long as it stands.
            ReachState::Closed if linked => Check::warn("reach-closed").with("ports", view.ports),
            ReachState::Closed => Check::fail("reach-closed").with("ports", view.ports),
            ReachState::Unknown => Check::warn("reach-unknown").with("ports", view.ports),
        };
        Ok(vec![check])
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(check: &Check) -> (Level, &'static str) {
        (check.level, check.code)
    }

    #[test]
    fn a_clock_is_judged_by_its_difference_to_either_side() {
        for (ahead, level, code) in [
            (0, Level::Ok, "clock-good"),
            (-59, Level::Ok, "clock-good"),
            (60, Level::Warn, "clock-ahead"),
            (-600, Level::Warn, "clock-behind"),
            (601, Level::Fail, "clock-ahead"),
            (i64::MIN, Level::Fail, "clock-behind"),
        ] {
            assert_eq!(outcome(&judge_clock(ahead)), (level, code), "{ahead}");
        }
    }

    #[test]
    fn the_disk_is_judged_by_what_the_store_needs() {
        for (free, level, code) in [
            (Some(0), Level::Fail, "disk-full"),
            (Some(FREE_FAIL_MIB - 1), Level::Fail, "disk-full"),
            (Some(FREE_FAIL_MIB), Level::Warn, "disk-low"),
            (Some(FREE_WARN_MIB), Level::Ok, "disk-good"),
            (None, Level::Fail, "disk-unknown"),
        ] {
            assert_eq!(outcome(&judge_disk(free)), (level, code), "{free:?}");
        }
    }
}
