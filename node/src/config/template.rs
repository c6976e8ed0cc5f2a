//! The file that `init` writes: every key with its default and, in its comments, the reference of the keys.

use yunling_protocol::division::DivisionCode;
use yunling_protocol::name::NodeName;
use yunling_protocol::status::schedule;

use super::{BackupSection, NetSection, PORT_NODE, PORT_PAGES, PagesSection};

/// Text of a new configuration file.
pub fn template(name: &NodeName, division: DivisionCode, trial: bool) -> String {
    let title_zh = division.lookup().map(|d| d.name).unwrap_or_default();
    let title_en = division.english().unwrap_or(name.as_str());
    let net = NetSection::default();
    let backup = BackupSection::default();
    let pages = PagesSection::default().listen;
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

[pages]
# 网页与日志文件的监听地址（HTTP，默认只限本机）；对外提供时改为 0.0.0.0:{PORT_PAGES} 或交给代理；为空则不提供。
# Where pages and the log are served over HTTP, this machine only until set; empty: not at all.
listen = "{pages}"

[witness]
# 为这些节点见证：核对其日志检查点前后一致后签名。Nodes whose log checkpoints this node verifies and cosigns.
peers = []

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
