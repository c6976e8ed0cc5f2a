//! A replay that is killed goes on where it was, and comes to the same report.

#![allow(clippy::unwrap_used)]

use yunling_protocol::key::{Role, SoftSigner};
use yunling_protocol::member::Member;

use super::*;
use crate::home::Home;
use crate::log::Book;

const SIZE: u64 = 2_000;

struct Scene {
    _home: tempfile::TempDir,
    folder: Folder,
    members: Members,
    signer: std::sync::Arc<SoftSigner>,
    now: UnixTime,
    seen: Vec<String>,
    held: Held,
    keep: Keep,
}

fn id(n: u64) -> [u8; 32] {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    id
}

/// Entry n; one nullifier is repeated, late in the log.
fn entry(n: u64) -> Vec<u8> {
    let entry = match n {
        100 | 1_900 => Entry::Custody { id: id(n), nullifier: [8; 32] },
        150 => Entry::Change { id: id(n), mark: void_mark(StatementId(id(20))) },
        n => Entry::Signed(id(n)),
    };
    entry.encode().unwrap()
}

fn grow(folder: &Folder, signer: &SoftSigner, book: &mut Book, size: u64) -> String {
    let mut round = book.round();
    while book.size() < size {
        book.append(&entry(book.size()), &mut round).unwrap();
    }
    let note = Checkpoint::new("kunming/1", book.size(), book.root()).sign(signer).unwrap().render();
    folder.publish(&book.files(round), &note).unwrap();
    note
}

fn scene() -> Scene {
    let temporary = tempfile::tempdir().unwrap();
    let home = Home::init(&temporary.path().join("home"), "kunming", "530100", true).unwrap();
    let mut members = Members::default();
    members.insert(Member { card: home.card(vec![]).unwrap(), removed_at: None });
    let signer = home.signer(Role::Log).unwrap();
    let folder = Folder::at(temporary.path().join("mirror"));
    let mut book = Book::default();
    let seen = [300, 900, 1_500].map(|size| grow(&folder, &signer, &mut book, size)).to_vec();
    grow(&folder, &signer, &mut book, SIZE);
    // Two are in the log, early and late; one is not.
    let ids = [20, 1_950, 5_000].map(|n| StatementId(id(n))).into();
    let keep = Keep { path: folder.path().join("replay"), every: 256 };
    let now = home.clock.now();
    Scene { _home: temporary, folder, members, signer, now, seen, held: Held { ids }, keep }
}

impl Scene {
    fn run(&self, keep: bool, progress: impl FnMut(u64, u64)) -> Audited {
        let keep = keep.then_some(&self.keep);
        audit_kept(&self.folder, &self.members, (&self.seen, &self.held), keep, self.now, progress).unwrap()
    }

    /// Runs until `at` entries are read and is killed there.
    fn killed_at(&self, at: u64) {
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.run(true, |read, _| assert!(read < at, "killed"));
        }));
        assert!(killed.is_err());
        assert!(self.keep.path.exists());
    }
}

fn same(one: &Audited, other: &Audited) {
    assert_eq!(one.report, other.report);
    assert_eq!((one.size, one.witnessed), (other.size, other.witnessed));
    assert_eq!((&one.found, &one.missing, &one.untold), (&other.found, &other.missing, &other.untold));
    assert_eq!(one.evidence, other.evidence);
}

fn first_read(scene: &Scene) -> (u64, Audited) {
    let mut first = 0;
    let audited = scene.run(true, |read, _| {
        if first == 0 {
            first = read;
        }
    });
    (first, audited)
}

#[test]
fn a_killed_replay_goes_on_and_comes_to_the_same_report() {
    let scene = scene();
    let whole = scene.run(false, |_, _| ());
    assert_eq!(whole.report.size, SIZE);
    assert_eq!((whole.missing.len(), whole.untold.len(), whole.report.counts.repeated), (1, 1, 1));
    scene.killed_at(1_000);
    let (first, audited) = first_read(&scene);
    assert_eq!(first, 1_024 + 256, "it went on behind what was kept");
    same(&whole, &audited);
    assert!(!scene.keep.path.exists(), "the next one begins anew");
    assert_eq!(first_read(&scene).0, 256);
    // Killed twice.
    scene.killed_at(600);
    scene.killed_at(1_700);
    same(&whole, &first_read(&scene).1);
}

#[test]
fn a_log_that_grew_meanwhile_is_gone_on_with_from_within_its_last_bundle() {
    let scene = scene();
    let small = Folder::at(scene.folder.path().with_file_name("small"));
    let mut book = Book::default();
    grow(&small, &scene.signer, &mut book, 700);
    let keep = Keep { path: small.path().join("replay"), every: 1 };
    let scene = Scene { folder: small, keep, seen: vec![], ..scene };
    // Killed after the last entry: what was kept ends in the middle of a bundle.
    scene.killed_at(700);
    grow(&scene.folder, &scene.signer, &mut book, SIZE);
    let (first, audited) = first_read(&scene);
    assert_eq!(first, 768);
    // Two checkpoints: it also compared with the one of the smaller log, which a new replay does not know.
    let mut whole = scene.run(false, |_, _| ()).report;
    assert_eq!((whole.counts.agreed, audited.report.counts.agreed), (1, 2));
    whole.counts.agreed = 2;
    assert_eq!(audited.report, whole);
}

#[test]
fn what_was_kept_of_another_history_or_without_a_checkpoint_seen_since_counts_for_nothing() {
    let mut scene = scene();
    scene.killed_at(1_000);
    // A checkpoint of a size that it has passed: it could not be compared any more.
    let other = Checkpoint::new("kunming/1", 500, [9; 32]).sign(&*scene.signer).unwrap().render();
    scene.seen.push(other);
    let (first, audited) = first_read(&scene);
    assert_eq!((first, audited.report.counts.other_roots), (256, 1));

    scene.seen.pop();
    scene.killed_at(1_000);
    let kept = std::fs::read(&scene.keep.path).unwrap();
    // The folder holds another history now.
    scene.folder.remove().unwrap();
    let mut book = Book::default();
    let mut round = book.round();
    book.append(&Entry::Signed([1; 32]).encode().unwrap(), &mut round).unwrap();
    scene.folder.publish(&book.files(round), "").unwrap();
    grow(&scene.folder, &scene.signer, &mut book, SIZE);
    std::fs::write(&scene.keep.path, &kept).unwrap();
    assert_eq!(first_read(&scene).0, 256);
    // Damage is no state.
    for damaged in [&kept[..kept.len() - 1], b"", b"replay"] {
        std::fs::write(&scene.keep.path, damaged).unwrap();
        assert_eq!(first_read(&scene).0, 256);
    }
}
