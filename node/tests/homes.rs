//! Homes made by released versions open with this one and say the same (upgrade test).
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use yunling_node::backup::keys::{self, ExposeSecret as _, Unlock};
use yunling_node::backup::{RestoreRequest, list, restore};
use yunling_node::home::Home;
use yunling_node::service::Node;
use yunling_protocol::citizen_id::CitizenId;

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

#[test]
fn every_released_home_opens_and_keeps_its_minutes() {
    let homes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/homes");
    let (number, _) = CitizenId::parse("530102190001010019").unwrap();
    let mut opened = 0;
    for entry in std::fs::read_dir(homes).unwrap().flatten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        copy(&entry.path(), &path);
        // An upgrade begins with a backup, and a home of before backups has no key for one.
        let refused = Node::open(Home::open(&path).unwrap()).unwrap_err();
        assert_eq!(refused.code, "migration-backup");
        assert!(!path.join("data/tally").exists(), "the store was not touched");
        let identity = folder.path().join("identity");
        std::fs::write(&identity, keys::renew(&path).unwrap().expose_secret()).unwrap();
        let node = Node::open(Home::open(&path).unwrap()).unwrap();
        let id = node.find_by_number(&number).unwrap().unwrap();
        let totals = node.fold(id).unwrap().totals(node.profile());
        assert_eq!((totals.counted.0, totals.attestations), (450, 2), "{:?}", entry.path());
        assert_eq!(node.person(id).unwrap().unwrap().name, "岩温·罕");
        let made = list(&path.join("backups"), &node.home.name).unwrap();
        assert_eq!(made.len(), 1, "made once, before the first opening");
        drop(node);
        let unlock = Unlock::identities(&identity).unwrap();
        let (file, again) = (&made[0].path, folder.path().join("again"));
        restore(RestoreRequest { file, home: &again, unlock, new_peers: vec![] }).unwrap();
        let node = Node::open(Home::open(&again).unwrap()).unwrap();
        assert_eq!(node.fold(id).unwrap().totals(node.profile()).counted.0, 450, "{}", file.display());
        opened += 1;
    }
    assert!(opened > 0, "there is a home to open");
}
