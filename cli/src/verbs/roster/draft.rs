//! The next version of the roster, made from files by a steward; nothing here signs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use yunling_node::clock::Clock;
use yunling_protocol::card::SignedCard;
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::key::Role;
use yunling_protocol::name::NodeName;
use yunling_protocol::roster::key_change::{KEY_CHANGE_BYTES_MAX, KeyChange, vouch};
use yunling_protocol::roster::step::history;
use yunling_protocol::roster::{
    LastCheckpoint, LogPolicy, Roster, RosterError, RosterNode, SignedRoster, State, StateEntry, Steward,
};

use super::file::RosterFile;
use super::said;
use crate::cards;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::verbs::Context;
use crate::words::{Fields, fields};

/// Days a version is good unless it is said: a year, and a month to make the next one in.
const GOOD_DAYS: u32 = 396;
const DAY_SECONDS: i64 = 86_400;

/// What a first and a later version have in common.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Days until it expires.
    #[arg(long, value_name = "N", default_value_t = GOOD_DAYS)]
    days: u32,
    /// Witnesses of a node's log.
    #[arg(long, value_name = "NODE=K:NODE,NODE")]
    log: Vec<String>,
    /// Page of a node.
    #[arg(long, value_name = "NODE=URL")]
    page: Vec<String>,
}

/// Options of `roster new`.
#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    #[command(flatten)]
    common: Common,
    /// Files with the cards of the members.
    #[arg(long, value_name = "FILE", required = true)]
    card: Vec<PathBuf>,
    /// A steward and its public key.
    #[arg(long, value_name = "NAME=KEY", required = true)]
    steward: Vec<String>,
    /// Stewards that must sign.
    #[arg(long, value_name = "K")]
    threshold: u64,
}

/// Options of `roster propose`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProposeArgs {
    /// Roster file.
    #[arg(value_name = "FILE")]
    base: PathBuf,
    #[command(flatten)]
    common: Common,
    /// File with cards of new members.
    #[arg(long, value_name = "FILE")]
    add: Vec<PathBuf>,
    /// File with new cards of members.
    #[arg(long, value_name = "FILE")]
    card: Vec<PathBuf>,
    /// Request signed by a member's recovery key.
    #[arg(long, value_name = "FILE")]
    key_change: Vec<PathBuf>,
    /// Member to suspend.
    #[arg(long, value_name = "NODE")]
    suspend: Vec<String>,
    /// Member that is active again.
    #[arg(long, value_name = "NODE")]
    resume: Vec<String>,
    /// Member that leaves.
    #[arg(long, value_name = "NODE")]
    withdraw: Vec<String>,
    /// Member and who acts for it.
    #[arg(long, value_name = "NODE=NODE")]
    successor: Option<String>,
    /// Last checkpoint of the succeeded member's log.
    #[arg(long, value_name = "ORIGIN:SIZE:ROOT", requires = "successor")]
    checkpoint: Option<String>,
    /// Member and role or key id of a key in other hands.
    #[arg(long, value_name = "NODE=KEY")]
    compromised: Vec<String>,
    /// Since when states and compromises hold.
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// A steward more.
    #[arg(long, value_name = "NAME=KEY")]
    steward_add: Vec<String>,
    /// A steward less.
    #[arg(long, value_name = "NAME")]
    steward_remove: Vec<String>,
    /// Stewards that must sign from now on.
    #[arg(long, value_name = "K")]
    threshold: Option<u64>,
}

fn wrong(option: &str, value: &str) -> Failure {
    Failure::usage("roster-option").with("option", option).with("value", value)
}

fn refused(error: &RosterError) -> Failure {
    Failure::new(error.code()).with("cause", error)
}

fn pair<'a>(option: &str, value: &'a str) -> Result<(&'a str, &'a str), Failure> {
    value.split_once('=').ok_or_else(|| wrong(option, value))
}

fn name(option: &str, value: &str) -> Result<NodeName, Failure> {
    NodeName::parse(value.trim()).map_err(|_| wrong(option, value))
}

fn steward(option: &str, value: &str) -> Result<Steward, Failure> {
    let (name, key) = pair(option, value)?;
    let key = HEXLOWER.decode(key.trim().as_bytes()).ok().and_then(|k| <[u8; 32]>::try_from(k).ok());
    let steward = key.and_then(|key| Steward::new(name.trim().to_owned(), key).ok());
    steward.ok_or_else(|| wrong(option, value))
}

fn cards(paths: &[PathBuf]) -> Result<Vec<SignedCard>, Failure> {
    let mut out = Vec::new();
    for path in paths {
        let text = files::read_text(path, cards::TEXT_BYTES_MAX)?;
        out.extend(cards::cards_in(&text).map_err(|f| f.with("path", path.display()))?);
    }
    Ok(out)
}

/// `2026-11-18` or `2026-11-18 09:30`, local time.
pub(crate) fn moment(option: &str, value: &str) -> Result<UnixTime, Failure> {
    let bad = || wrong(option, value);
    let (day, time) = value.trim().split_once([' ', 'T']).unwrap_or((value.trim(), "00:00"));
    let (hour, minute) = time.split_once(':').ok_or_else(bad)?;
    let (year, month, day) = Day::parse(day).ok_or_else(bad)?.ymd();
    let (Ok(hour), Ok(minute)) = (hour.parse(), minute.parse()) else { return Err(bad()) };
    UnixTime::from_local(year, month, day, hour, minute, 0).ok_or_else(bad)
}

/// Changes a member of the roster.
fn change(
    roster: &mut Roster,
    option: &str,
    node: &str,
    change: impl FnOnce(&mut RosterNode),
) -> Result<(), Failure> {
    let name = name(option, node)?;
    let found = roster.nodes.iter_mut().find(|n| *n.name() == name);
    change(Arc::make_mut(found.ok_or_else(|| Failure::new("roster-unlisted").with("name", &name))?));
    Ok(())
}

fn apply_common(roster: &mut Roster, common: &Common) -> Result<(), Failure> {
    roster.nodes.sort_by(|a, b| a.name().cmp(b.name()));
    roster.stewards.sort_by_key(|s| *s.public());
    for value in &common.log {
        let (node, policy) = pair("--log", value)?;
        let (k, names) = policy.split_once(':').ok_or_else(|| wrong("--log", value))?;
        let k = k.trim().parse().map_err(|_| wrong("--log", value))?;
        let witnesses = names.split(',').map(|n| name("--log", n)).collect::<Result<Vec<_>, _>>()?;
        let mut witnesses = witnesses;
        witnesses.sort();
        let policy = LogPolicy { name: format!("{k}-of-{}", witnesses.len()), witnesses, k };
        change(roster, "--log", node, |n| n.log = Some(policy))?;
    }
    for value in &common.page {
        let (node, url) = pair("--page", value)?;
        change(roster, "--page", node, |n| n.page = Some(url.trim().to_owned()))?;
    }
    Ok(())
}

/// `roster new`.
pub(super) fn new(args: &NewArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let cards = cards(&args.card)?;
    let trial = cards.first().is_some_and(|card| card.card.trial);
    let now = Clock::for_home(trial).now();
    let mut roster = Roster {
        version: 1,
        previous: None,
        issued: now,
        expires: UnixTime(now.0 + i64::from(args.common.days) * DAY_SECONDS),
        threshold: args.threshold,
        stewards: args.steward.iter().map(|s| steward("--steward", s)).collect::<Result<_, _>>()?,
        nodes: cards.into_iter().map(|card| Arc::new(RosterNode::joining(card, now))).collect(),
        trial,
    };
    apply_common(&mut roster, &args.common)?;
    let file = RosterFile::begin(SignedRoster::draft(&roster).map_err(|e| refused(&e))?);
    finish(&file, &args.common.out, context)
}

/// `roster propose`.
pub(super) fn propose(args: &ProposeArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let mut file = RosterFile::read(&args.base)?;
    if !file.standing()?.complete() {
        return Err(Failure::new("roster-unsigned").with("version", file.last().roster().version));
    }
    let old = file.last().roster().clone();
    let now = Clock::for_home(old.trial).now();
    let from = args.from.as_deref().map(|from| moment("--from", from)).transpose()?.unwrap_or(now);
    let mut roster = Roster {
        version: old.version + 1,
        previous: Some(file.last().hash()),
        issued: now,
        expires: UnixTime(now.0 + i64::from(args.common.days) * DAY_SECONDS),
        threshold: args.threshold.unwrap_or(old.threshold),
        ..old.clone()
    };
    stewards(&mut roster, args)?;
    for card in cards(&args.add)? {
        roster.nodes.push(Arc::new(RosterNode::joining(card, now)));
    }
    new_cards(&mut roster, args, now)?;
    states(&mut roster, args, from)?;
    for value in &args.compromised {
        compromise(&mut roster, value, from)?;
    }
    apply_common(&mut roster, &args.common)?;
    let draft = SignedRoster::draft(&roster).map_err(|e| refused(&e))?;
    history(&old, draft.roster()).map_err(|e| refused(&e))?;
    file.push(draft);
    finish(&file, &args.common.out, context)
}

fn stewards(roster: &mut Roster, args: &ProposeArgs) -> Result<(), Failure> {
    for gone in &args.steward_remove {
        let before = roster.stewards.len();
        roster.stewards.retain(|s| s.name != gone.trim());
        if roster.stewards.len() == before {
            return Err(wrong("--steward-remove", gone));
        }
    }
    for more in &args.steward_add {
        roster.stewards.push(steward("--steward-add", more)?);
    }
    Ok(())
}

/// New cards of members: signed by a key the roster lists, or asked for with the recovery key.
fn new_cards(roster: &mut Roster, args: &ProposeArgs, now: UnixTime) -> Result<(), Failure> {
    let listed = |roster: &Roster, name: &NodeName| {
        roster.node(name).cloned().ok_or_else(|| Failure::new("roster-unlisted").with("name", name))
    };
    let mut vouched: Vec<SignedCard> = Vec::new();
    for card in cards(&args.card)? {
        let member = listed(roster, &card.card.name)?;
        let vouched_by = vouch(&member, &card, None, now);
        vouched_by.map_err(|e| Failure::new(e.code()).with("name", member.name()).with("cause", &e))?;
        vouched.push(card);
    }
    for path in &args.key_change {
        let bytes = files::read(path, KEY_CHANGE_BYTES_MAX as u64)?;
        let opened = roster.nodes.iter().map(|member| KeyChange::open(&bytes, member, now));
        let mut refused = None;
        let mut found = None;
        for result in opened {
            match result {
                Ok(change) => found = Some(change),
                Err(error) if error.code() == "key-change-other-node" => {}
                Err(error) => refused = Some(error),
            }
        }
        let asked = found.ok_or_else(|| match refused {
            Some(error) => Failure::new(error.code()).with("path", path.display()).with("cause", &error),
            None => Failure::new("key-change-other-node").with("path", path.display()),
        })?;
        let name = asked.node.to_string();
        change(roster, "--key-change", &name, |node| mark(node, &asked))?;
        vouched.push(asked.card);
    }
    for card in vouched {
        let name = card.card.name.to_string();
        change(roster, "--card", &name, |node| node.card = Arc::new(card))?;
    }
    Ok(())
}

/// Marks the keys that a request ends and that were in other hands.
fn mark(member: &mut RosterNode, asked: &KeyChange) {
    let Some(from) = asked.compromised_from else { return };
    let ended: Vec<[u8; 32]> = asked.compromised(member).map(|key| key.public).collect();
    for public in ended {
        mark_key(member, public, from);
    }
    member.compromised.sort_unstable();
}

fn mark_key(member: &mut RosterNode, public: [u8; 32], from: UnixTime) {
    match member.compromised.iter_mut().find(|(key, _)| *key == public) {
        Some((_, since)) => *since = from.min(*since),
        None => member.compromised.push((public, from)),
    }
}

fn states(roster: &mut Roster, args: &ProposeArgs, from: UnixTime) -> Result<(), Failure> {
    let changes = [
        ("--suspend", &args.suspend, State::Suspended),
        ("--resume", &args.resume, State::Active),
        ("--withdraw", &args.withdraw, State::Withdrawn),
    ];
    for (option, nodes, state) in changes {
        for node in nodes {
            let entry = StateEntry { state: state.clone(), from };
            change(roster, option, node, |n| n.states.push(entry))?;
        }
    }
    let Some(value) = &args.successor else { return Ok(()) };
    let (old, by) = pair("--successor", value)?;
    let checkpoint = args.checkpoint.as_deref().map(checkpoint).transpose()?;
    let state = State::Succeeded { by: name("--successor", by)?, checkpoint };
    change(roster, "--successor", old, |n| n.states.push(StateEntry { state, from }))
}

fn checkpoint(value: &str) -> Result<LastCheckpoint, Failure> {
    let bad = || wrong("--checkpoint", value);
    let mut parts = value.rsplitn(3, ':');
    let (root, size, origin) = (parts.next(), parts.next(), parts.next());
    let root = root.and_then(|r| HEXLOWER.decode(r.as_bytes()).ok()).and_then(|r| r.try_into().ok());
    let size = size.and_then(|s| s.parse().ok());
    Ok(LastCheckpoint {
        origin: origin.filter(|o| !o.is_empty()).ok_or_else(bad)?.to_owned(),
        size: size.ok_or_else(bad)?,
        root: root.ok_or_else(bad)?,
    })
}

/// Marks keys of a member: all of a role, or the one with this key id.
fn compromise(roster: &mut Roster, value: &str, from: UnixTime) -> Result<(), Failure> {
    let (node, which) = pair("--compromised", value)?;
    let which = which.trim();
    let role = Role::ALL.into_iter().find(|role| role.word() == which);
    let mut found = false;
    change(roster, "--compromised", node, |member| {
        let is = |k: &yunling_protocol::key::KeyEntry| {
            role.map_or_else(|| HEXLOWER.encode(&k.kid()) == which, |role| k.role == role)
        };
        let keys: Vec<[u8; 32]> = member.keys().iter().filter(|k| is(k)).map(|k| k.public).collect();
        for public in keys {
            found = true;
            mark_key(member, public, from);
        }
        member.compromised.sort_unstable();
    })?;
    if found { Ok(()) } else { Err(wrong("--compromised", value)) }
}

fn finish(file: &RosterFile, out: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    file.write(out)?;
    let changes = file.changes();
    let mut answer = said::roster(file.last().roster());
    answer["out"] = out.display().to_string().into();
    answer["changes"] = said::changes_json(&changes);
    context.out.object(&answer);
    said::changes(context.out, &changes);
    let shown = out.display().to_string();
    let values = fields([
        ("file", shown.as_str()),
        ("version", &file.last().roster().version.to_string()),
        ("fingerprint", &file.last().roster().fingerprint()),
    ]);
    context.out.say("roster-draft", &values);
    let roster = file.last().roster();
    if roster.threshold.saturating_mul(2) <= roster.stewards.len() as u64 {
        context.out.note("roster-low", &Fields::new());
    }
    Ok(Exit::Yes)
}
