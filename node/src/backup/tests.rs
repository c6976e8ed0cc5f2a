#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::day::Day;
use yunling_protocol::id::DossierId;
use yunling_protocol::ledger;
use yunling_protocol::name::NodeName;
use yunling_protocol::store::{Read as _, Table, scan_all};

use super::keys::Unlock;
use super::*;
use crate::erasures::{self, Erased, Erasure};
use crate::home::Home;
use crate::person::Person;
use crate::service::volunteers::{CONSENT_BASIS, consent_to_record};
use crate::service::{Node, Refusal};

/// Key of the fence in [`Table::Meta`].
const FENCE_KEY: &[u8] = b"fence";

/// Nobody's: born in 1900.
const NUMBER: &str = "530102190001010019";

struct Office {
    folder: tempfile::TempDir,
    home: PathBuf,
    identity: PathBuf,
    node: Option<Node>,
    people: Vec<DossierId>,
}

impl Office {
    fn open(name: &str, people: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let home = Home::init(&path, name, "530100", true).unwrap();
        let identity = folder.path().join("identity.txt");
        std::fs::write(&identity, home.backup_identity.as_ref().unwrap().expose_secret()).unwrap();
        let node = Node::open(Home::open(&path).unwrap()).unwrap();
        // The second one can be found by an identity number.
        let number = |n| (n == 1).then(|| CitizenId::parse(NUMBER).unwrap().0);
        let person = |n| Person { name: format!("测试{n}"), citizen_id: number(n), contact: None };
        let people = (0..people)
            .map(|n| node.register(&person(n), &consent_to_record(CONSENT_BASIS)).unwrap())
            .collect();
        Self { folder, home: path, identity, node: Some(node), people }
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    fn backup(&self) -> PathBuf {
        let made = self.node().create_backup(&CreateRequest::default()).unwrap();
        PathBuf::from(made["file"].as_str().unwrap())
    }

    fn unlock(&self) -> Unlock {
        Unlock::identities(&self.identity).unwrap()
    }
}

fn restore_from(file: &Path, unlock: Unlock, home: &Path) -> Result<Restored, Refusal> {
    let new_peers = vec![NodeName::parse("dali").unwrap()];
    restore(RestoreRequest { file, home, unlock, new_peers })
}

fn rows(node: &Node) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut out = Vec::new();
    for table in Table::ALL {
        scan_all::<Refusal>(node, table, b"", |k, v| {
            out.push((table, k, v));
            Ok(())
        })
        .unwrap();
    }
    out.retain(|(t, k, _)| *t != Table::Meta || (k != b"life" && k != FENCE_KEY));
    // A new life begins a log of its own.
    out.retain(|(t, ..)| *t != Table::Log);
    out
}

#[test]
fn a_restored_home_has_every_record_a_new_life_and_a_fence() {
    let office = Office::open("kunming", 30);
    let file = office.backup();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = rows(office.node());
    let life = office.node().life();
    let home = office.folder.path().join("again/home");
    let restored = restore_from(&file, office.unlock(), &home).unwrap();
    assert!(!home.join("keys/recovery.key").exists(), "the recovery key is in no backup");
    let node = Node::open(Home::open(&home).unwrap()).unwrap();
    assert_eq!(rows(&node), before);
    assert_eq!(node.life().generation, life.generation + 1);
    assert_ne!(node.life().mark, life.mark);
    assert_eq!(node.life(), restored.life);
    let made_at = restored.manifest.made_at.0;
    let fence = node.get(Table::Meta, FENCE_KEY).unwrap().unwrap();
    let mut f =
        yunling_protocol::cbor::Fields::open(yunling_protocol::cbor::decode(&fence, 1024).unwrap()).unwrap();
    assert_eq!((f.uint(1), f.int(2), f.uint(3)), (Ok(1), Ok(made_at), Ok(1)));
    assert_eq!(f.list(4, 8).unwrap(), [yunling_protocol::cbor::text("dali")]);
    f.finish().unwrap();
    // A person opens with the restored profile key, and the card is the same office's.
    assert_eq!(node.person(office.people[3]).unwrap().unwrap().name, "测试3");
    assert_eq!(node.card().unwrap().fingerprint(), office.node().card().unwrap().fingerprint());
    // The restored home makes backups of its own.
    node.create_backup(&CreateRequest::default()).unwrap();
    let again = restore_from(&file, office.unlock(), &home).unwrap_err();
    assert_eq!(again.code, "home-exists");
}

#[test]
fn wrong_cut_flipped_foreign_and_newer_files_change_nothing() {
    let office = Office::open("kunming", 5);
    let other = Office::open("dali", 1);
    let file = office.backup();
    let whole = std::fs::read(&file).unwrap();
    let home = office.folder.path().join("target");
    let path = office.folder.path().join("bad");
    let refused = |bytes: &[u8], unlock: Unlock| {
        std::fs::write(&path, bytes).unwrap();
        let code = restore_from(&path, unlock, &home).unwrap_err().code;
        assert!(!home.exists(), "{code}: something was written");
        code
    };
    assert_eq!(refused(&whole, other.unlock()), "backup-identity-wrong");
    for cut in [0, 10, 20, 100, whole.len() / 2, whole.len() - 1] {
        let code = refused(&whole[..cut], office.unlock());
        assert!(["backup-form", "backup-damaged"].contains(&code.as_str()), "cut at {cut}: {code}");
    }
    for at in (0..whole.len()).step_by(whole.len() / 200 + 1).chain(whole.len() - 40..whole.len()) {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        let code = refused(&bad, office.unlock());
        let known = ["backup-form", "backup-damaged", "backup-newer"];
        assert!(known.contains(&code.as_str()), "flipped at {at}: {code}");
    }
    let mut newer = whole.clone();
    newer[file::MAGIC.len()] = 2;
    assert_eq!(refused(&newer, office.unlock()), "backup-newer");
    // The content of one node under a manifest of another: signed well, and refused.
    let opened = Opened::open(&file).unwrap();
    let content = &whole[..opened.manifest.bytes as usize];
    let signer = other.node().home.signer(yunling_protocol::key::Role::Statement).unwrap();
    let key = yunling_protocol::key::Signer::public(&*signer);
    let signed = Manifest { key, ..opened.manifest.clone() }.sign(&*signer).unwrap();
    let tail = [&signed[..], &(signed.len() as u32).to_be_bytes(), file::END_MARK].concat();
    assert_eq!(refused(&[content, &tail].concat(), office.unlock()), "backup-foreign");
    assert_eq!(refused(b"not a backup, but long enough for one", office.unlock()), "backup-form");
}

#[test]
fn a_passphrase_opens_what_it_closed_and_a_short_one_closes_nothing() {
    let office = Office::open("kunming", 2);
    let write = |name: &str, text: &str| {
        let path = office.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let request = |file: PathBuf| CreateRequest { out: None, passphrase_file: Some(file) };
    let short = office.node().create_backup(&request(write("short", "abc\n"))).unwrap_err();
    assert_eq!(short.code, "backup-passphrase-short");
    let right = write("right", "correct horse battery\n");
    let made = office.node().create_backup(&request(right.clone())).unwrap();
    let file = PathBuf::from(made["file"].as_str().unwrap());
    let home = office.folder.path().join("target");
    let wrong = Unlock::passphrase(&write("wrong", "another long phrase")).unwrap();
    assert_eq!(restore_from(&file, wrong, &home).unwrap_err().code, "backup-passphrase-wrong");
    assert_eq!(restore_from(&file, office.unlock(), &home).unwrap_err().code, "backup-passphrase-wrong");
    assert!(!home.exists());
    restore_from(&file, Unlock::passphrase(&right).unwrap(), &home).unwrap();
}

#[test]
fn what_was_erased_since_stays_erased() {
    let office = Office::open("kunming", 4);
    let day = Day::parse("2026-05-16").unwrap();
    let erase = |id| Erasure { what: Erased::Dossier(id), day };
    let own = erasures::path_of(&office.home, &office.node().home.config);
    erasures::append(&own, &[erase(office.people[0])]).unwrap();
    let file = office.backup();
    let head = ledger::head_record(office.node(), office.people[2]).unwrap().unwrap();
    let chain = office.node().scan(Table::Statement, b"", None, 100).unwrap();
    let statement = yunling_protocol::id::StatementId(chain[0].0[16..].try_into().unwrap());
    assert!(head.length > 0);
    let home = office.folder.path().join("again");
    let list = office.folder.path().join("again.erasures.log");
    let later = [erase(office.people[1]), Erasure { what: Erased::Statement(statement), day }];
    erasures::append(&list, &later).unwrap();
    let restored = restore_from(&file, office.unlock(), &home).unwrap();
    // Two persons, the way to one of them, one statement.
    assert_eq!(restored.erased, 4);
    let node = Node::open(Home::open(&home).unwrap()).unwrap();
    for (n, id) in office.people.iter().enumerate() {
        let profile = node.get(Table::Profile, id.as_bytes()).unwrap();
        assert_eq!(profile.is_none(), n < 2, "person {n}");
    }
    let number = CitizenId::parse(NUMBER).unwrap().0;
    assert_eq!(node.find_by_number(&number).unwrap(), None);
    assert_eq!(office.node().find_by_number(&number).unwrap(), Some(office.people[1]));
    assert!(node.get(Table::Statement, &chain[0].0).unwrap().is_none());
    assert!(node.get(Table::Statement, &chain[1].0).unwrap().is_some());
    // All of it is in the list beside the home and in the next backup.
    assert_eq!(erasures::read(&list).unwrap().len(), 3);
    let made = node.create_backup(&CreateRequest::default()).unwrap();
    let next = Opened::open(Path::new(made["file"].as_str().unwrap())).unwrap();
    assert_eq!(next.content(&office.unlock(), |_, _, _| Ok(())).unwrap().erasures.len(), 3);
}

#[test]
fn a_killed_restore_is_begun_again_and_another_backup_is_refused_there() {
    let office = Office::open("kunming", 3);
    let (file, other) = (office.backup(), office.backup());
    assert_ne!(file, other, "two within a second");
    let home = office.folder.path().join("again");
    let whole = office.folder.path().join("whole");
    restore_from(&file, office.unlock(), &whole).unwrap();
    // What a run leaves that is killed before its last step.
    std::fs::create_dir(&home).unwrap();
    let hash = data_encoding::HEXLOWER.encode(&Opened::open(&file).unwrap().manifest.hash);
    std::fs::write(home.join("restore.part"), &hash).unwrap();
    for name in ["keys", "data"] {
        std::fs::rename(whole.join(name), home.join(name)).unwrap();
    }
    std::fs::remove_dir_all(home.join("data/sled/blobs")).unwrap();
    assert_eq!(Home::open(&home).unwrap_err().code(), "home-missing", "half a home opens nowhere");
    let refused = restore_from(&other, office.unlock(), &home).unwrap_err();
    assert_eq!(refused.code, "restore-other");
    let restored = restore_from(&file, office.unlock(), &home).unwrap();
    assert!(restored.again);
    assert_eq!(rows(&Node::open(Home::open(&home).unwrap()).unwrap()), rows(office.node()));
    // A folder that holds anything else is left alone.
    let strange = office.folder.path().join("strange");
    std::fs::create_dir(&strange).unwrap();
    std::fs::write(strange.join("letter.txt"), "x").unwrap();
    assert_eq!(restore_from(&file, office.unlock(), &strange).unwrap_err().code, "home-not-empty");
    assert_eq!(std::fs::read_dir(&strange).unwrap().count(), 1);
}

#[test]
fn n_are_kept_in_both_folders_and_a_missing_second_folder_is_told() {
    let mut office = Office::open("kunming", 1);
    let second = office.folder.path().join("nas");
    let config = office.home.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("keep = 14", &format!("keep = 2\ncopy_to = \"{}\"", second.display()));
    std::fs::write(&config, text).unwrap();
    office.node = None;
    office.node = Some(Node::open(Home::open(&office.home).unwrap()).unwrap());
    let status = || office.node().status().unwrap()["backup"].clone();
    assert_eq!((&status()["age_seconds"], &status()["copy"]["age_seconds"]), (&().into(), &().into()));
    office.backup();
    assert_eq!(status()["copy"]["failure"], "backup-copy", "{}", status());
    assert_eq!(status()["failure"], serde_json::Value::Null);
    std::fs::create_dir(&second).unwrap();
    std::fs::write(second.join("kunming-notes.txt"), "not ours").unwrap();
    for _ in 0..4 {
        office.backup();
    }
    let own = &office.node().home.name;
    for folder in [folder_of(&office.node().home), second.clone()] {
        let found = list(&folder, own).unwrap();
        assert_eq!(found.len(), 2, "{}", folder.display());
        assert!(found.iter().all(|f| f.manifest.is_ok()));
    }
    assert!(second.join("kunming-notes.txt").exists());
    assert_eq!(status()["copy"]["failure"], serde_json::Value::Null);
    assert!(status()["copy"]["age_seconds"].as_i64().is_some_and(|s| s < 60), "{}", status());
    std::fs::remove_file(office.home.join("keys/backup.recipient")).unwrap();
    let refused = office.node().create_backup(&CreateRequest::default()).unwrap_err();
    assert_eq!(refused.code, "backup-recipient-missing");
    assert_eq!(status()["failure"], "backup-recipient-missing");
}
