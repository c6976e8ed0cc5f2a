//! The adopted versions in the store: read again whole, pulled again when a piece is lost, forks kept.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use yunling_protocol::card::Card;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::member::Standing;
use yunling_protocol::message::Answer;
use yunling_protocol::name::NodeName;
use yunling_protocol::roster::{Roster, RosterNode, SignedRoster, State, StateEntry, Steward, write_chain};
use yunling_protocol::store::{Batch, Oracle, Read as _, Store as _, Table};

use super::super::Node;
use crate::home::Home;

const DAY: i64 = 86_400;

fn steward(n: u8) -> SoftSigner {
    SoftSigner::from_seed(&[200 + n; 32])
}

fn signed(roster: &Roster) -> SignedRoster {
    let mut signed = SignedRoster::draft(roster).unwrap();
    signed.sign(&steward(1)).unwrap();
    signed
}

/// Another office with keys of its own; its title makes the roster as long as a test wants.
fn member(n: u16, from: UnixTime, title: usize) -> RosterNode {
    let key = |role: Role| {
        let mut seed = [role as u8; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        SoftSigner::from_seed(&seed)
    };
    let card = Card {
        name: NodeName::parse(&format!("member-{n:03}")).unwrap(),
        title_zh: "x".repeat(title),
        title_en: String::new(),
        division: yunling_protocol::division::DivisionCode(530_100),
        kind: yunling_protocol::card::NodeKind::Prefecture,
        keys: Role::ALL.map(|role| KeyEntry::new(role, key(role).public(), from, None).unwrap()).to_vec(),
        addresses: vec![],
        contact: String::new(),
        made_at: from,
        trial: true,
    };
    RosterNode::joining(card.sign(&key(Role::Statement)).unwrap(), from)
}

struct World {
    _folder: tempfile::TempDir,
    store: Arc<Oracle>,
    path: std::path::PathBuf,
    one: SignedRoster,
}

/// A home, and a first version with it and `members` others.
fn world(members: u16, title: usize) -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    let home = Home::init(&path, "kunming", "530100", true).unwrap();
    let now = home.clock.now();
    let from = UnixTime(now.0 - DAY);
    let own = RosterNode::joining(home.card(vec![]).unwrap(), from);
    let mut nodes: Vec<_> = (0..members).map(|n| Arc::new(member(n, from, title))).collect();
    nodes.push(Arc::new(own));
    nodes.sort_by(|a, b| a.name().cmp(b.name()));
    let roster = Roster {
        version: 1,
        previous: None,
        issued: from,
        expires: UnixTime(now.0 + 100 * DAY),
        threshold: 1,
        stewards: vec![Steward::new("steward".into(), steward(1).public()).unwrap()],
        nodes,
        trial: true,
    };
    World { _folder: folder, store: Arc::new(Oracle::default()), path, one: signed(&roster) }
}

impl World {
    fn open(&self) -> Node {
        Node::with_store(Home::open(Path::new(&self.path)).unwrap(), self.store.clone()).unwrap()
    }

    /// The next version, in which the first other member is suspended from `hours` ago.
    fn two(&self, hours: i64) -> SignedRoster {
        let one = self.one.roster();
        let now = Home::open(&self.path).unwrap().clock.now();
        let mut two = Roster {
            version: 2,
            previous: Some(self.one.hash()),
            issued: UnixTime(one.issued.0 + 60),
            ..one.clone()
        };
        let at = two.nodes.iter().position(|n| n.name().as_str() == "member-000").unwrap();
        let entry = StateEntry { state: State::Suspended, from: UnixTime(now.0 - hours * 3600) };
        Arc::make_mut(&mut two.nodes[at]).states.push(entry);
        signed(&two)
    }
}

#[test]
fn adopted_versions_are_read_again_and_their_members_are_known() {
    let world = world(2, 4);
    let pin = world.one.roster().fingerprint();
    let two = world.two(1);
    let file = write_chain([&world.one, &two]);
    let name = |n: &str| NodeName::parse(n).unwrap();
    {
        let node = world.open();
        assert_eq!(node.publish_roster(&file, None).unwrap_err().code, "roster-unpinned");
        assert_eq!(node.pin_roster("1234").unwrap_err().code, "roster-fingerprint");
        let view = node.publish_roster(&file, Some(&pin)).unwrap();
        assert_eq!(
            (&view["adopted"], &view["version"], &view["state"]),
            (&2.into(), &2.into(), &"active".into())
        );
        assert_eq!(node.publish_roster(&file, Some(&pin)).unwrap()["adopted"], 0, "again");
        let other = pin.chars().map(|c| if c.is_ascii_digit() { '1' } else { c }).collect::<String>();
        assert_eq!(node.pin_roster(&other).unwrap_err().code, "roster-pinned");
    }
    let node = world.open();
    assert_eq!(node.roster_version(), 2);
    let members = node.members();
    assert_eq!(members.standing(&name("member-001")), Some(Standing::Roster));
    assert!(members.admits(&name("member-001"), node.home.clock.now()));
    assert!(!members.admits(&name("member-000"), node.home.clock.now()));
    assert_eq!(node.standing(&name("member-000")), ("roster", "suspended"));
    assert_eq!(node.peers().unwrap().len(), 2, "met, but for itself");
    let Answer::Roster(versions) = node.answer_roster(0) else { panic!("versions were asked for") };
    assert_eq!(versions, [world.one.bytes(), two.bytes()]);
    assert_eq!(node.answer_roster(1), Answer::Roster(vec![two.bytes()]));
    for have in [2, 99, u64::MAX] {
        assert_eq!(node.answer_roster(have), Answer::Roster(vec![]));
    }
}

#[test]
fn a_version_longer_than_a_row_is_whole_and_one_with_a_lost_piece_is_taken_again() {
    let world = world(250, 200);
    let two = world.two(1);
    let bytes = two.bytes();
    assert!(bytes.len() > 2 * 64 * 1024, "{} bytes need several rows", bytes.len());
    let node = world.open();
    let file = write_chain([&world.one, &two]);
    node.publish_roster(&file, Some(&world.one.roster().fingerprint())).unwrap();
    drop(node);
    let node = world.open();
    assert_eq!(node.roster().unwrap().newest().bytes(), bytes);
    drop(node);
    // The second row of version 2 is lost.
    let key = [&b"v"[..], &2u64.to_be_bytes(), &[1]].concat();
    assert!(world.store.get(Table::Roster, &key).unwrap().is_some());
    let mut batch = Batch::new();
    batch.delete(Table::Roster, key);
    world.store.commit(batch).unwrap();
    let node = world.open();
    assert_eq!(node.roster_version(), 1);
    assert_eq!(node.adopt_roster(std::slice::from_ref(&bytes)).unwrap(), 1);
    drop(node);
    assert_eq!(world.open().roster().unwrap().newest().bytes(), bytes);
}

#[test]
fn a_fork_is_kept_and_changes_nothing() {
    let world = world(1, 4);
    let (two, other) = (world.two(1), world.two(2));
    let node = world.open();
    let file = write_chain([&world.one, &two]);
    node.publish_roster(&file, Some(&world.one.roster().fingerprint())).unwrap();
    let refused = node.adopt_roster(&[other.bytes()]).unwrap_err();
    assert_eq!(refused.code, "roster-fork");
    assert_eq!(node.adopt_roster(&[other.bytes()]).unwrap_err().code, "roster-fork", "again");
    // Signed by nobody it is no fork.
    let unsigned = SignedRoster::draft(world.two(3).roster()).unwrap();
    assert_eq!(node.adopt_roster(&[unsigned.bytes()]).unwrap_err().code, "roster-threshold-before");
    drop(node);
    let node = world.open();
    assert_eq!((node.roster_forks().unwrap(), node.roster_version()), (1, 2));
    assert_eq!(node.roster_view()["forks"], 1);
    assert_eq!(node.roster().unwrap().newest().hash(), two.hash());
}
