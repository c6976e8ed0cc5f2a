//! `demo --attack`: Kunming tries three things that must not work, with Dali and Yuxi as witnesses of its log.
//! It puts back an old copy of its data and gives a dossier away a second time; it restores a backup of before
//! the move; it rewrites an old entry of its log. Each is caught, and the last leaves evidence that is
//! checked in an empty home.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use yunling_node::audit::{Held, audit};
use yunling_node::backup::keys::{ExposeSecret as _, Unlock, renew};
use yunling_node::backup::{RestoreRequest, restore};
use yunling_node::clock::Clock;
use yunling_node::home::Home;
use yunling_node::log::{Book, CHECKPOINT_FILE, Folder};
use yunling_protocol::card::SignedCard;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{Role, Signer as _, SoftSigner};
use yunling_protocol::log::tile::{self, Tile};
use yunling_protocol::log::{Checkpoint, Entry};
use yunling_protocol::name::NodeName;
use yunling_protocol::roster::{LogPolicy, Roster, RosterNode, SignedRoster, Steward, write_chain};

use super::offices::{NAMES, Offices};
use super::{move_dossier, plain, sample, say, until, write_file};
use crate::failure::Failure;
use crate::output::Output;
use crate::trust::Trust;

/// Days the roster of the demo is good.
const ROSTER_SECONDS: i64 = 30 * 86_400;
/// The log of Kunming's first life.
const GENERATION: u64 = 1;

pub(super) async fn play(output: &Output, offices: &mut Offices, out: &Path) -> Result<Value, Failure> {
    roster(offices).await?;
    say(output, "attack-roster", &json!({}));
    let sheet = out.join("legacy-530100.csv");
    write_file(&sheet, sample::sheet().as_bytes())?;
    offices.call("kunming", "import", json!({ "path": sheet })).await?;
    let before = super::dossier(offices, "kunming", sample::NUMBER).await?;
    let id = plain(&before["dossier"]);

    // What a thief of time keeps: a copy of the data, and an honest backup.
    let identity = out.join("kunming.identity");
    offices.stop_one("kunming");
    let secret = renew(&offices.home("kunming"))?;
    write_file(&identity, secret.expose_secret().as_bytes())?;
    copy(&offices.home("kunming"), &out.join("kunming.before"))?;
    offices.start_one("kunming").await?;
    let backup = offices.call("kunming", "backup/create", json!({})).await?;
    let moved = move_dossier(offices, &id).await?;
    say(output, "attack-moved", &moved);

    let double = double_seal(output, offices, out, &id).await?;
    let stale =
        stale_restore(output, offices, out, &id, Path::new(&plain(&backup["file"])), &identity).await?;
    let (rewritten, evidence) = rewritten_log(output, offices, out).await?;
    Ok(json!({
        "stale_restore": stale, "double_seal": double, "rewritten_log": rewritten, "evidence": evidence,
        "out": out.display().to_string(),
    }))
}

/// A roster of the three, in which Dali and Yuxi must both cosign Kunming's log.
async fn roster(offices: &Offices) -> Result<(), Failure> {
    let now = Clock::for_home(true).now();
    let key = |n: u8| SoftSigner::from_seed(&[n; 32]);
    let broken = |what: &str| Failure::new("internal").with("cause", what);
    let name = |text: &str| NodeName::parse(text).map_err(|_| broken("a name"));
    let mut nodes = Vec::new();
    for office in NAMES {
        let card = offices.call(office, "peer/card", json!({})).await?;
        let mut node = RosterNode::joining(SignedCard::from_text(&plain(&card["card"]))?, now);
        if office == "kunming" {
            let witnesses = vec![name("dali")?, name("yuxi")?];
            node.log = Some(LogPolicy { name: "2-of-2".into(), witnesses, k: 2 });
        }
        nodes.push(Arc::new(node));
    }
    nodes.sort_by(|a, b| a.name().cmp(b.name()));
    let mut stewards = Vec::new();
    for n in 1..=3 {
        let steward = Steward::new(format!("steward {n}"), key(n).public());
        stewards.push(steward.map_err(|_| broken("a steward"))?);
    }
    stewards.sort_by_key(|steward| *steward.public());
    let expires = UnixTime(now.0 + ROSTER_SECONDS);
    let first = Roster {
        version: 1,
        previous: None,
        issued: now,
        expires,
        threshold: 2,
        stewards,
        nodes,
        trial: true,
    };
    let mut signed = SignedRoster::draft(&first).map_err(|e| broken(&e.to_string()))?;
    for n in 1..=2 {
        signed.sign(&key(n)).map_err(|e| broken(&e.to_string()))?;
    }
    let file = data_encoding::BASE64.encode(&write_chain([&signed]));
    for office in NAMES {
        let body = json!({ "file": file, "fingerprint": first.fingerprint() });
        offices.call(office, "roster/publish", body).await?;
    }
    for office in NAMES {
        until("roster", async || {
            let peers = offices.call(office, "peer/list", json!({})).await?;
            let met = |p: &&Value| p["state"] == "active";
            let count = peers["peers"].as_array().map_or(0, |all| all.iter().filter(met).count());
            Ok((count == NAMES.len() - 1).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// The old copy still holds the dossier, and knows nothing of its seal; its witnesses do.
async fn double_seal(
    output: &Output,
    offices: &mut Offices,
    out: &Path,
    id: &str,
) -> Result<&'static str, Failure> {
    swap(offices, &out.join("kunming.before"), &out.join("kunming.now"))?;
    offices.start_one("kunming").await?;
    let slip =
        offices.call("kunming", "transfer/authorize", json!({ "volunteer": id, "to": "yuxi" })).await?;
    let start = json!({ "from": "kunming", "code": slip["code"] });
    let transfer = offices.call("yuxi", "transfer/start", start).await?["transfer"].clone();
    let why = until("witnesses", async || {
        let status = offices.call("kunming", "status", json!({})).await?;
        let why_not = |name: &str| {
            let why = plain(&status["witnesses"]["errors"][name]);
            matches!(why.as_str(), "witness-ahead" | "witness-inconsistent").then_some(why)
        };
        Ok(why_not("dali").and(why_not("yuxi")))
    })
    .await?;
    let view = offices.call("kunming", "transfer/show", json!({ "transfer": transfer })).await?;
    let at_yuxi = offices.call("yuxi", "transfer/show", json!({ "transfer": transfer })).await?;
    let held = view["waits_for"] == "witnesses" && at_yuxi["stage"] == "accepted";
    let taken = super::custodians(offices, id).await? != 1;
    say(output, "attack-double", &json!({ "why": why, "yuxi": at_yuxi["stage"] }));
    offices.stop_one("kunming");
    std::fs::remove_dir_all(offices.home("kunming")).map_err(io(out))?;
    std::fs::rename(out.join("kunming.now"), offices.home("kunming")).map_err(io(out))?;
    Ok(if held && !taken { "detected" } else { "missed" })
}

/// A proper restore: the node knows that it may have forgotten, and says nothing until its peers have spoken.
async fn stale_restore(
    output: &Output,
    offices: &mut Offices,
    out: &Path,
    id: &str,
    backup: &Path,
    identity: &Path,
) -> Result<&'static str, Failure> {
    // The file lies in the home that is put aside.
    let file = out.join("kunming.age");
    std::fs::copy(backup, &file).map_err(io(backup))?;
    offices.stop_one("dali");
    let home = offices.home("kunming");
    std::fs::rename(&home, out.join("kunming.now")).map_err(io(out))?;
    let unlock = Unlock::identities(identity)?;
    restore(RestoreRequest { file: &file, home: &home, unlock, new_peers: vec![] })?;
    offices.start_one("kunming").await?;
    let again = json!({ "volunteer": id, "to": "yuxi" });
    let fenced = offices.call("kunming", "transfer/authorize", again.clone()).await.err().map(|f| f.code);
    offices.start_one("dali").await?;
    until("fence", async || {
        let status = offices.call("kunming", "recovery/show", json!({})).await?;
        Ok((status["fenced"] == false).then_some(()))
    })
    .await?;
    let later = offices.call("kunming", "transfer/authorize", again).await.err().map(|f| f.code);
    let (fenced, later) = (fenced.unwrap_or_default(), later.unwrap_or_default());
    say(output, "attack-restore", &json!({ "fenced": fenced, "later": later }));
    Ok(if fenced == "fenced" && later == "dossier-moved" { "fenced" } else { "missed" })
}

/// Another history under the same key: the folder alone is of one piece, a checkpoint seen before exposes it.
async fn rewritten_log(
    output: &Output,
    offices: &Offices,
    out: &Path,
) -> Result<(&'static str, &'static str), Failure> {
    let pack = offices.call("dali", "trust-pack/export", json!({})).await?;
    let pack = data_encoding::BASE64.decode(plain(&pack["file"]).as_bytes()).unwrap_or_default();
    let file = out.join("dali.pack");
    write_file(&file, &pack)?;
    let mut trust = Trust::read(std::slice::from_ref(&file))?;
    let now = trust.settle();
    let seen = yunling_protocol::trust_pack::TrustPack::decode(&pack).map(|pack| pack.checkpoints);
    let forged = out.join("kunming.forged");
    forge(&out.join("kunming.now"), &forged)?;
    let found = audit(
        &Folder::at(&forged),
        &trust.members,
        &seen.unwrap_or_default(),
        &Held::default(),
        now,
        |_, _| (),
    )?;
    let Some(evidence) = found.evidence.first() else { return Ok(("missed", "none")) };
    let path = out.join("evidence");
    write_file(&path, &evidence.encode())?;
    let kind = evidence.word();
    // A third machine: this program, an empty home, the file and what it trusts.
    let empty = out.join("empty");
    let binary = std::env::current_exe().map_err(|e| Failure::new("internal").with("cause", e))?;
    let checked = Command::new(binary)
        .arg("--home")
        .arg(&empty)
        .args(["--json", "evidence", "verify"])
        .arg(&path)
        .arg("--trust")
        .arg(&file)
        .output()
        .map_err(|e| Failure::new("internal").with("cause", e))?;
    let verified = checked.status.success();
    say(output, "attack-rewritten", &json!({ "kind": kind, "path": path.display().to_string() }));
    Ok(("detected", if verified { "verified" } else { "refused" }))
}

/// The log of a home with one old entry replaced and one more, signed by its own key.
fn forge(home: &Path, into: &Path) -> Result<(), Failure> {
    let broken = |what: &str| Failure::new("internal").with("cause", what);
    let signer = Home::open(home)?.signer(Role::Log).ok_or_else(|| broken("the log key"))?;
    let folder = Folder::of(home, GENERATION);
    let note = folder.read(CHECKPOINT_FILE)?.ok_or_else(|| broken("the checkpoint"))?;
    let (_, honest) = Checkpoint::parse(&note).map_err(|e| broken(&e.to_string()))?;
    let (mut book, other) = (Book::default(), Entry::Signed([7; 32]).encode().unwrap_or_default());
    let mut round = book.round();
    let mut next = 0;
    while let Some((bundle, _)) = Tile::bundle_of(next, honest.size) {
        let bytes = folder.tile(bundle)?.ok_or_else(|| broken("a bundle"))?;
        for entry in tile::decode_entries(&bytes, bundle.width).map_err(|e| broken(&e.to_string()))? {
            book.append(if next == 1 { &other } else { entry }, &mut round)?;
            next += 1;
        }
    }
    book.append(&Entry::Signed([8; 32]).encode().unwrap_or_default(), &mut round)?;
    let note = Checkpoint::new(honest.origin, book.size(), book.root()).sign(&*signer);
    let note = note.map_err(|e| broken(&e.to_string()))?.render();
    Ok(Folder::at(into).publish(&book.files(round), &note)?)
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |e| Failure::new("file-write").with("path", path.display()).with("cause", e)
}

/// Stops Kunming, puts its home aside and a copy of another in its place.
fn swap(offices: &mut Offices, from: &Path, aside: &Path) -> Result<(), Failure> {
    offices.stop_one("kunming");
    let home = offices.home("kunming");
    std::fs::rename(&home, aside).map_err(io(&home))?;
    copy(from, &home)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to).map_err(io(to))?;
    for entry in std::fs::read_dir(from).map_err(io(from))? {
        let entry = entry.map_err(io(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(io(&source))?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_file() {
            // The mode goes with it: key files must not be readable by others.
            std::fs::copy(&source, &target).map_err(io(&source))?;
        }
    }
    Ok(())
}
