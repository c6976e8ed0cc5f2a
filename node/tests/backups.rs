//! A backup made by a released version restores with this one: the format is for the day when the
//! machine, and the program that made it, are gone.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use yunling_node::backup::keys::Unlock;
use yunling_node::backup::{RestoreRequest, restore};
use yunling_node::home::Home;
use yunling_node::service::Node;
use yunling_protocol::citizen_id::CitizenId;

#[test]
fn every_kept_backup_restores_and_keeps_its_minutes() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let (number, _) = CitizenId::parse("530102190001010019").unwrap();
    let mut restored = 0;
    for entry in std::fs::read_dir(samples).unwrap().flatten() {
        let file = entry.path();
        if file.extension().is_none_or(|e| e != "ylbackup") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let unlock = Unlock::identities(&file.with_extension("identity")).unwrap();
        restore(RestoreRequest { file: &file, home: &home, unlock, new_peers: vec![] }).unwrap();
        let node = Node::open(Home::open(&home).unwrap()).unwrap();
        let id = node.find_by_number(&number).unwrap().unwrap();
        let totals = node.fold(id).unwrap().totals(node.profile());
        assert_eq!((totals.counted.0, totals.attestations), (450, 2), "{}", file.display());
        assert_eq!(node.person(id).unwrap().unwrap().name, "岩温·罕");
        assert_eq!(node.life().generation, 2);
        restored += 1;
    }
    assert!(restored > 0, "there is a backup to restore");
}
