//! Homes made by released versions open with this one and say the same (upgrade test).
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use yunling_node::backup::keys::{self, ExposeSecret as _, Unlock};
use yunling_node::backup::{Content, Opened, RestoreRequest, list, restore};
use yunling_node::home::Home;
use yunling_node::service::Node;
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::log::merkle::{leaf_hash, verify_inclusion};
use yunling_protocol::log::{Checkpoint, Entry};
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Read as _, Table};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
            // A repository keeps no modes; key files must not be readable by others.
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Total of the one person in every kept home, two services.
const MINUTES: u64 = 450;

/// The node says what its release recorded; gives the backups in its folder.
fn says_the_same(home: &Path) -> Vec<PathBuf> {
    let (number, _) = CitizenId::parse("530102190001010019").unwrap();
    let node = Node::open(Home::open(home).unwrap()).unwrap();
    let id = node.find_by_number(&number).unwrap().unwrap();
    let totals = node.fold(id).unwrap().totals(node.profile());
    assert_eq!((totals.counted.0, totals.attestations), (MINUTES, 2), "{}", home.display());
    assert_eq!(node.person(id).unwrap().unwrap().name, "岩温·罕");
    // A restored node begins its log when its fence opens.
    if node.recovery().unwrap()["fenced"] == false {
        assert_eq!(logged(&node), 3, "a consent and two services, also of before there was a log");
    }
    let made = list(&home.join("backups"), &node.home.name).unwrap();
    made.into_iter().map(|backup| backup.path).collect()
}

/// Whether a home is fenced.
fn fenced(home: &Path) -> serde_json::Value {
    let node = Node::open(Home::open(home).unwrap()).unwrap();
    node.recovery().unwrap()["fenced"].clone()
}

/// Own statements; each has its place in the log.
fn logged(node: &Node) -> usize {
    while node.sequence().unwrap() {}
    let own = node.scan(Table::Statement, b"", None, 100).unwrap();
    let own = own.into_iter().map(|(_, bytes)| Statement::parse(&bytes).unwrap());
    let own: Vec<Statement> = own.filter(|s| s.common.issuer == node.home.name).collect();
    for statement in &own {
        let (place, inclusion) = node.inclusion(&statement.id.0, None).unwrap().unwrap();
        let (_, head) = Checkpoint::parse(inclusion.note.as_bytes()).unwrap();
        let leaf = leaf_hash(&Entry::of_statement(statement, None).unwrap().encode().unwrap());
        verify_inclusion(&leaf, place.index, head.size, &head.root, &inclusion.path).unwrap();
    }
    own.len()
}

/// An upgrade begins with a backup, from which the program of before could be put back.
fn upgrades(folder: &Path, home: &Path) {
    let store = home.join("data");
    if !store.join("tally").exists() {
        // A home of 0.1.0 has no key for one.
        let refused = Node::open(Home::open(home).unwrap()).unwrap_err();
        assert_eq!(refused.code, "migration-backup");
        assert!(!store.join("tally").exists() && !store.join("form").exists(), "the store was not touched");
    }
    let identity = folder.join("identity");
    std::fs::write(&identity, keys::renew(home).unwrap().expose_secret()).unwrap();
    let made = says_the_same(home);
    assert_eq!(fenced(home), false);
    let [file] = made.as_slice() else { panic!("made once, before the first opening: {made:?}") };
    let mut newest = 0;
    let mut look = |_: &Content, raw: &[u8], _: &[u8]| {
        newest = newest.max(raw[0]);
        Ok(())
    };
    Opened::open(file).unwrap().content(&Unlock::identities(&identity).unwrap(), &mut look).unwrap();
    assert!((1..=Table::Register.number()).contains(&newest), "no table that 0.2.0 does not know: {newest}");
    let (again, unlock) = (folder.join("again"), Unlock::identities(&identity).unwrap());
    restore(RestoreRequest { file, home: &again, unlock, new_peers: vec![] }).unwrap();
    says_the_same(&again);
    assert_eq!(fenced(&again), true);
    // From then on there is nothing to bring to a newer form.
    assert_eq!(says_the_same(home), made);
    assert_eq!(std::fs::read(store.join("form")).unwrap(), b"3\n");
}

/// A home of this form is opened as it is.
fn opens(home: &Path) {
    assert_eq!(says_the_same(home), Vec::<PathBuf>::new(), "no upgrade, no backup");
    assert_eq!(fenced(home), false);
}

#[test]
fn every_released_home_opens_and_keeps_its_minutes() {
    let homes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/homes");
    let (mut upgraded, mut opened) = (0, 0);
    for entry in std::fs::read_dir(homes).unwrap().flatten() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        copy(&entry.path(), &home);
        if home.join("data/form").exists() {
            opens(&home);
            opened += 1;
        } else {
            upgrades(folder.path(), &home);
            upgraded += 1;
        }
    }
    assert_eq!((upgraded, opened), (2, 1), "homes of 0.1.0 and 0.2.0, and of 0.3.0");
}
