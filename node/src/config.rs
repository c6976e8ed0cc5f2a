//! The node's configuration: one TOML file, every key documented, unknown keys refused.
//!
//! [`template`] writes the file that `init` makes; its comments are the reference of the keys.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use libp2p::{Multiaddr, PeerId};
use serde::Deserialize;
use yunling_protocol::card::NodeKind;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::policy::Policy;
use yunling_protocol::proof::live::NAMELESS_BASE;
use yunling_protocol::statement::Grade;
use yunling_protocol::status::schedule;

use crate::net::limits::RELAYS_MAX;
use crate::net::relay_address;

mod template;

pub use template::template;

/// Name of the file in the home.
pub const CONFIG_FILE: &str = "config.toml";
/// Largest configuration read; a hand-written file is far smaller.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Default port between nodes, UDP (QUIC) and TCP (DESIGN §10).
pub const PORT_NODE: u16 = 7440;
/// Default port of the pages, TCP (DESIGN §10).
pub const PORT_PAGES: u16 = 7443;

/// Most nodes witnessed: a province has some dozens, and each costs a signature a minute.
const WITNESSED_MAX: usize = 64;

/// Longest beginning of a list's address: with the number behind it a printed proof stays within 250
/// bytes (PROOFS §4.1).
const LIST_BASE_BYTES_MAX: usize = 27;

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this node is.
    pub node: NodeSection,
    /// Network.
    #[serde(default)]
    pub net: NetSection,
    /// Store.
    #[serde(default)]
    pub store: StoreSection,
    /// Custody transfers.
    #[serde(default)]
    pub transfer: TransferSection,
    /// Logs.
    #[serde(default)]
    pub log: LogSection,
    /// Backups.
    #[serde(default)]
    pub backup: BackupSection,
    /// Pages and files that anybody may fetch.
    #[serde(default)]
    pub pages: PagesSection,
    /// Whose checkpoints this node cosigns.
    #[serde(default)]
    pub witness: WitnessSection,
    /// Proofs and their status lists.
    #[serde(default)]
    pub proof: ProofSection,
    /// What deliveries are accepted, per peer name; `default` for the others.
    #[serde(default)]
    pub policy: BTreeMap<String, PolicySection>,
}

/// `[node]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// Name, fixed at `init`.
    pub name: String,
    /// Division code, fixed at `init`.
    pub division: String,
    /// Trial home, fixed at `init`.
    #[serde(default)]
    pub trial: bool,
    /// Chinese title.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// Kind of member.
    #[serde(default = "default_kind")]
    pub kind: String,
    /// How people reach the office.
    #[serde(default)]
    pub contact: String,
}

fn default_kind() -> String {
    "prefecture".into()
}

/// `[net]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetSection {
    /// Listen addresses.
    pub listen: Vec<String>,
    /// Addresses written into the card; empty: the listen addresses.
    pub external: Vec<String>,
    /// Carries encrypted connections between peers that cannot reach each other.
    pub relay: bool,
    /// Relays through which peers reach this node, each with `/p2p/` and its identity.
    pub relays: Vec<String>,
}

impl Default for NetSection {
    fn default() -> Self {
        Self {
            listen: vec![
                format!("/ip4/0.0.0.0/udp/{PORT_NODE}/quic-v1"),
                format!("/ip4/0.0.0.0/tcp/{PORT_NODE}"),
                format!("/ip6/::/udp/{PORT_NODE}/quic-v1"),
                format!("/ip6/::/tcp/{PORT_NODE}"),
            ],
            external: vec![],
            relay: false,
            relays: vec![],
        }
    }
}

/// `[store]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Folder of the data; empty: `data` in the home.
    pub folder: Option<PathBuf>,
    /// Key file of the profile data; empty: `keys/profile.key` in the home.
    pub profile_key: Option<PathBuf>,
}

/// `[transfer]`
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransferSection {
    /// A clerk approves each transfer away, even with a right code.
    pub hold_for_clerk: bool,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// `plain` or `json`.
    pub format: LogFormat,
    /// Filter, e.g. `info` or `yunling_node=debug`.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { format: LogFormat::Plain, level: "info".into() }
    }
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a person.
    Plain,
    /// One JSON object a line.
    Json,
}

/// `[backup]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupSection {
    /// Whether the running node makes one each day.
    pub daily: bool,
    /// Hour of the daily run, 0 to 23, China time.
    pub hour: u8,
    /// Backups kept in each folder, at least 1.
    pub keep: u32,
    /// Folder; empty: `backups` in the home.
    pub folder: Option<PathBuf>,
    /// Second folder that each backup is copied to, on another machine.
    pub copy_to: Option<PathBuf>,
    /// List of erasures; empty: beside the home, under its name with `.erasures.log`.
    pub erasures: Option<PathBuf>,
}

impl Default for BackupSection {
    fn default() -> Self {
        Self { daily: true, hour: 3, keep: 14, folder: None, copy_to: None, erasures: None }
    }
}

/// `[pages]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PagesSection {
    /// Address and port of the HTTP pages; empty: none are served.
    pub listen: String,
}

impl Default for PagesSection {
    fn default() -> Self {
        Self { listen: format!("127.0.0.1:{PORT_PAGES}") }
    }
}

/// `[witness]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WitnessSection {
    /// Nodes whose checkpoints this node verifies and cosigns.
    pub peers: Vec<String>,
}

/// `[proof]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProofSection {
    /// Beginning of the address of the status lists; empty: none that a browser could open.
    pub list_url: String,
    /// Hours of the day, China time, at which lists are made.
    pub list_hours: Vec<u32>,
}

impl Default for ProofSection {
    fn default() -> Self {
        Self { list_url: String::new(), list_hours: schedule::HOURS.to_vec() }
    }
}

impl ProofSection {
    /// Beginning of the URI of new lists.
    pub fn list_base(&self) -> &str {
        if self.list_url.is_empty() { NAMELESS_BASE } else { &self.list_url }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let url = &self.list_url;
        let web = (url.starts_with("https://") || url.starts_with("http://")) && url.ends_with('/');
        let plain = url.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
        let right = url.is_empty() || web && plain && url.len() <= LIST_BASE_BYTES_MAX;
        if !right {
            let expected = "an address that begins with https:// and ends with /, of at most 27 characters";
            return Err(value("proof.list_url", url, expected));
        }
        let hours = &self.list_hours;
        if hours.is_empty() || hours.len() > schedule::HOURS_MAX || hours.iter().any(|h| *h > 23) {
            return Err(value("proof.list_hours", &format!("{hours:?}"), "a list of hours from 0 to 23"));
        }
        Ok(())
    }
}

/// `[policy.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySection {
    accept_to: Option<String>,
    hold_to: Option<String>,
    item_minutes_max: Option<u64>,
    day_minutes_max: Option<u64>,
    month_minutes_max: Option<u64>,
}

/// Why the configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not there.
    #[error("no configuration at {0}")]
    Missing(PathBuf),
    /// Cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// File.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// TOML or an unknown key.
    #[error("{path}: {message}")]
    Syntax {
        /// File.
        path: PathBuf,
        /// What the parser says, with the line.
        message: String,
    },
    /// A value out of its range.
    #[error("configuration key `{key}`: `{value}` is not {expected}")]
    Value {
        /// Key.
        key: String,
        /// Value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
}

impl ConfigError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "home-missing",
            Self::Io { .. } => "config-io",
            Self::Syntax { .. } => "config-syntax",
            Self::Value { .. } => "config-value",
        }
    }
}

impl Config {
    /// Reads the configuration of a home.
    pub fn load(home: &Path) -> Result<Self, ConfigError> {
        let path = home.join(CONFIG_FILE);
        let io = |source| ConfigError::Io { path: path.clone(), source };
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(ConfigError::Missing(path)),
            Err(e) => return Err(io(e)),
            Ok(meta) if meta.len() > CONFIG_BYTES_MAX => {
                return Err(ConfigError::Syntax { path, message: "the file is over 1 MiB".into() });
            }
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(&path).map_err(io)?;
        Self::parse(path, &text)
    }

    /// Reads a configuration; `path` is named in errors.
    pub fn parse(path: PathBuf, text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|e| ConfigError::Syntax { path, message: e.to_string() })?;
        if config.backup.hour > 23 {
            return Err(value("backup.hour", &config.backup.hour.to_string(), "an hour from 0 to 23"));
        }
        if config.backup.keep == 0 {
            return Err(value("backup.keep", "0", "a number of at least 1"));
        }
        config.name()?;
        config.division()?;
        config.kind()?;
        config.policies()?;
        config.relays()?;
        config.pages()?;
        config.witnessed()?;
        config.proof.check()?;
        Ok(config)
    }

    /// Node name.
    pub fn name(&self) -> Result<NodeName, ConfigError> {
        NodeName::parse(&self.node.name)
            .map_err(|_| value("node.name", &self.node.name, "1 to 64 bytes of letters, digits and . - _ /"))
    }

    /// Division.
    pub fn division(&self) -> Result<DivisionCode, ConfigError> {
        DivisionCode::parse(&self.node.division)
            .filter(|d| d.lookup().is_some())
            .ok_or_else(|| value("node.division", &self.node.division, "a six-digit division code"))
    }

    /// Kind of member.
    pub fn kind(&self) -> Result<NodeKind, ConfigError> {
        Ok(match self.node.kind.as_str() {
            "prefecture" => NodeKind::Prefecture,
            "county" => NodeKind::County,
            "organization" => NodeKind::Organization,
            "station" => NodeKind::StationHub,
            "observer" => NodeKind::Observer,
            other => {
                let expected = "prefecture, county, organization, station or observer";
                return Err(value("node.kind", other, expected));
            }
        })
    }

    /// Relays to use.
    pub fn relays(&self) -> Result<Vec<(PeerId, Multiaddr)>, ConfigError> {
        if self.net.relays.len() > RELAYS_MAX {
            let count = self.net.relays.len().to_string();
            return Err(value("net.relays", &count, "a list of at most 4 addresses"));
        }
        let expected = "the direct address of a relay that ends in /p2p/ and its identity";
        let relay = |text: &String| relay_address(text).ok_or_else(|| value("net.relays", text, expected));
        self.net.relays.iter().map(relay).collect()
    }

    /// Where the pages are served; none when they are not.
    pub fn pages(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.pages.listen.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| value("pages.listen", text, "an address and port, e.g. 127.0.0.1:7443"))
    }

    /// Nodes whose checkpoints this node cosigns.
    pub fn witnessed(&self) -> Result<BTreeSet<NodeName>, ConfigError> {
        if self.witness.peers.len() > WITNESSED_MAX {
            let count = self.witness.peers.len().to_string();
            return Err(value("witness.peers", &count, "a list of at most 64 names"));
        }
        let name = |t: &String| NodeName::parse(t).map_err(|_| value("witness.peers", t, "a node name"));
        self.witness.peers.iter().map(name).collect()
    }

    /// Policies by peer; `default` applies to peers not named.
    pub fn policies(&self) -> Result<(Policy, BTreeMap<NodeName, Policy>), ConfigError> {
        let default = match self.policy.get("default") {
            Some(section) => section.apply("default", Policy::default())?,
            None => Policy::default(),
        };
        let mut map = BTreeMap::new();
        for (name, section) in self.policy.iter().filter(|(n, _)| *n != "default") {
            let node = NodeName::parse(name).map_err(|_| value("policy", name, "a node name"))?;
            map.insert(node, section.apply(name, default)?);
        }
        Ok((default, map))
    }
}

fn value(key: &str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError::Value { key: key.into(), value: value.into(), expected }
}

impl PolicySection {
    fn apply(&self, name: &str, mut policy: Policy) -> Result<Policy, ConfigError> {
        let grade = |key: &str, text: &Option<String>, old: Grade| match text {
            None => Ok(old),
            Some(text) => Grade::from_letter(text)
                .ok_or_else(|| value(&format!("policy.{name}.{key}"), text, "a grade A, B, C, D, E or X")),
        };
        policy.accept_to = grade("accept_to", &self.accept_to, policy.accept_to)?;
        policy.hold_to = grade("hold_to", &self.hold_to, policy.hold_to)?;
        policy.item_minutes_max = self.item_minutes_max.map_or(policy.item_minutes_max, Minutes);
        policy.day_minutes_max = self.day_minutes_max.map_or(policy.day_minutes_max, Minutes);
        policy.month_minutes_max = self.month_minutes_max.map_or(policy.month_minutes_max, Minutes);
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_template_is_a_valid_configuration_and_an_unknown_key_is_refused() {
        let name = NodeName::parse("kunming").unwrap();
        let text = template(&name, DivisionCode(530_100), true);
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(CONFIG_FILE), &text).unwrap();
        let config = Config::load(home.path()).unwrap();
        assert_eq!(config.node.title_zh, "昆明市");
        assert_eq!(config.policies().unwrap().0, Policy::default());
        for (line, right) in [
            ("list_url = \"https://vol.yn.cn/532900/s/\"", true),
            ("list_url = \"https://vol.yn.cn/532900/s\"", false),
            ("list_url = \"https://vol.yn.cn/532900/list/\"", false),
            ("list_url = \"vol.yn.cn/s/\"", false),
        ] {
            let with = text.replace("\nlist_url = \"\"", &format!("\n{line}"));
            assert_eq!(Config::parse(PathBuf::new(), &with).is_ok(), right, "{line}");
        }
        for (hours, right) in [("[4]", true), ("[]", false), ("[24]", false)] {
            let with = text.replace("[0, 6, 12, 18]", hours);
            assert_eq!(Config::parse(PathBuf::new(), &with).is_ok(), right, "{hours}");
        }
        let late = text.replace("hour = 3", "hour = 24");
        std::fs::write(home.path().join(CONFIG_FILE), late).unwrap();
        assert_eq!(Config::load(home.path()).unwrap_err().code(), "config-value");
        let relay = format!("/ip4/192.0.2.1/tcp/443/ws/p2p/{}", PeerId::random());
        for (relays, right) in [(relay.as_str(), true), ("/ip4/192.0.2.1/tcp/443/ws", false)] {
            let with = text.replace("\nrelays = []", &format!("\nrelays = [\"{relays}\"]"));
            std::fs::write(home.path().join(CONFIG_FILE), with).unwrap();
            match Config::load(home.path()) {
                Ok(config) => assert_eq!(config.relays().unwrap().len(), usize::from(right)),
                Err(error) => assert!(!right && error.to_string().contains("net.relays"), "{error}"),
            }
        }
        std::fs::write(home.path().join(CONFIG_FILE), text + "\n[net2]\nx = 1\n").unwrap();
        assert_eq!(Config::load(home.path()).unwrap_err().code(), "config-syntax");
    }
}
