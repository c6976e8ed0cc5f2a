//! The node's configuration: one TOML file, every key documented, unknown keys refused.
//!
//! [`template`] writes the file that `init` makes; its comments are the reference of the keys.

use std::collections::BTreeMap;
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

/// Name of the file in the home.
pub const CONFIG_FILE: &str = "config.toml";
/// Largest configuration read; a hand-written file is far smaller.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Default port between nodes, UDP (QUIC) and TCP (DESIGN §10).
pub const PORT_NODE: u16 = 7440;

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

/// Text of a new configuration file.
pub fn template(name: &NodeName, division: DivisionCode, trial: bool) -> String {
    let title_zh = division.lookup().map(|d| d.name).unwrap_or_default();
    let title_en = division.english().unwrap_or(name.as_str());
    let net = NetSection::default();
    let backup = BackupSection::default();
    let list_hours = schedule::HOURS;
    let (backup_daily, backup_hour, backup_keep) = (backup.daily, backup.hour, backup.keep);
    let listen = net.listen.iter().map(|a| format!("  \"{a}\",")).collect::<Vec<_>>().join("\n");
    format!(
        r#"# 云岭节点配置 · Yunling node configuration
# 改动后重新启动节点生效；写错的键会被拒绝。Restart the node after a change; unknown keys are refused.

[node]
# 节点名，init 时确定，写进每一份证明，不可更改。Name, fixed at init; it stands in every proof.
name = "{name}"
# 行政区划代码，init 时确定。Division code, fixed at init.
division = "{division}"
# 试用节点：声明与证明都带“试用”标记，正式节点不接受。Trial home, fixed at init.
trial = {trial}
# 显示名称。Titles shown to people.
title_zh = "{title_zh}"
title_en = "{title_en}"
# 类型 kind: prefecture 州市 | county 县区 | organization 组织 | station 服务站 | observer 观察
kind = "prefecture"
# 联系方式，写入同意书的接收方一栏（个人信息保护法第23条）。Contact of the office, named in consents.
contact = ""

[net]
# 监听地址：QUIC(UDP) 与 TCP，默认端口 {PORT_NODE}。Listen addresses.
listen = [
{listen}
]
# 对外地址（写入名片）；为空则用监听地址。Addresses written into the card when they differ.
external = []
# 本节点无开放端口时，经由的中继（最多 4 个；须先互相接受名片）。地址以 /p2p/ 和中继的身份结尾，中继启动时的日志会写出。
# 连接全程加密，中继看不到内容；直连可行时自动改为直连。只开放 TCP 443 时，用中继的 WebSocket 地址。
# Relays to be reached through when no port is open here (at most 4; each must be an accepted peer). The relay's log names
# the address at its start. The relay sees encrypted bytes only, and a direct way is taken where there is one.
# relays = ["/ip4/203.0.113.5/tcp/443/ws/p2p/12D3KooW..."]
relays = []
# 为互相无法直连的节点转接（只限已接受的节点）。对方只能出 TCP 443 时，在 listen 中加 "/ip4/0.0.0.0/tcp/443/ws"
# （低于 1024 的端口需要 CAP_NET_BIND_SERVICE 权限）。
# Serve as a relay for accepted peers that cannot reach each other. For peers that may only go out to TCP 443 add
# "/ip4/0.0.0.0/tcp/443/ws" to listen (a port below 1024 needs the capability CAP_NET_BIND_SERVICE).
relay = false

[store]
# 数据目录，默认 home 下的 data。Data folder.
# folder = "/var/lib/yunling/data"
# 个人信息加密密钥文件，应与数据目录分开保存。Key file of the encrypted profile data.
# profile_key = "/etc/yunling/profile.key"

[transfer]
# 转出是否需要工作人员逐笔批准。A clerk approves each transfer away.
hold_for_clerk = false

[backup]
# 运行中的节点每天备份一次。The running node makes a backup each day.
daily = {backup_daily}
# 每日备份的钟点（0 至 23，北京时间）；错过则开机后补做。Hour of it, China time; a missed one is made up for.
hour = {backup_hour}
# 每个目录保留的份数，更早的自动删除。Backups kept in each folder, older ones are removed.
keep = {backup_keep}
# 备份目录，默认 home 下的 backups。Folder of the backups.
# folder = "/var/backups/yunling"
# 第二存放处，应在另一台机器上（如 NAS）。Second folder, on another machine.
# copy_to = "/mnt/nas/yunling"
# 删除清单，默认与 home 并列；须与数据分开保管，恢复时据此再次删除。List of erasures, applied again by a restore.
# erasures = "/var/lib/yunling/home.erasures.log"

[proof]
# 证明状态列表的网址开头，以 / 结尾，最多 27 个字符；没有网站就留空，列表由对等节点和信任包带走。改动只影响以后的新列表。
# Beginning of the web address of the status lists, at most 27 characters; empty without a web site: peers and trust packs
# carry the lists. A change counts for lists that are opened later.
# list_url = "https://vol.yn.cn/532900/s/"
list_url = ""
# 每天生成状态列表的钟点（北京时间）。转出的档案只在这些钟点之后显示为“已取代”，使人无法由时间推知去向；作废立即公布。
# Hours at which status lists are made, China time. A record that moved shows as superseded only after one of them, so that
# its time tells nobody where it went; a revocation shows at once.
list_hours = {list_hours:?}

[log]
# plain 或 json；级别 error warn info debug trace
format = "plain"
level = "info"

# 接收异地记录的规则；也可按节点写 [policy.dali]。What away deliveries are accepted.
[policy.default]
# 佐证等级不低于此者直接接受 accepted up to this grade
accept_to = "B"
# 不低于此者留待人工处理，更低者拒绝 held up to this grade, worse ones are refused
hold_to = "E"
# 单条、单日、单月分钟上限（同一记录节点、同一档案），超过则留待人工 caps in minutes; above them held
item_minutes_max = 2400
day_minutes_max = 960
month_minutes_max = 15000
"#
    )
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
