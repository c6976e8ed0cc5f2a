//! A move between members of the roster: the new office promotes on a seal that its log's witnesses have
//! seen, and on nothing less; the old one sends no release before.

use std::sync::Arc;

use yunling_protocol::card::{Card, NodeKind};
use yunling_protocol::custody::Stage;
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::id::{DossierId, TransferId};
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::log::merkle::{MemoryTree, inclusion_proof, leaf_hash, root_at};
use yunling_protocol::log::tlog_proof::TlogProof;
use yunling_protocol::log::{Checkpoint, Entry, cosignature, rows};
use yunling_protocol::member::Members;
use yunling_protocol::message::{Answer, Content};
use yunling_protocol::roster::{
    Chain, LogPolicy, Roster, RosterNode, SignedRoster, State, StateEntry, Steward,
};
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Batch, Put, Read as _};

use crate::forged::{message, secret};
use crate::moving::{CHUXIONG, DALI, KUNMING, YUXI, four, until_accepted, volunteer};
use crate::samples::BEGIN;
use crate::world::World;

const JOINED: UnixTime = UnixTime(1_700_000_000);
/// When the witnesses cosign, a minute apart.
const SEEN: i64 = BEGIN.0 + 3_600;

fn key(at: usize, role: Role) -> SoftSigner {
    SoftSigner::from_seed(&[[role as u8, at as u8 + 1], [9, 9]].concat().repeat(8).try_into().unwrap())
}

fn steward() -> SoftSigner {
    SoftSigner::from_seed(&[200; 32])
}

/// Kunming's log has the three others as witnesses, two of which must cosign.
fn first(world: &World) -> Roster {
    let node = |at: usize| {
        let desk = &world.desks[at];
        let public =
            |role| if role == Role::Statement { desk.signer.public() } else { key(at, role).public() };
        let entry = |role| KeyEntry::new(role, public(role), UnixTime(1_600_000_000), None).unwrap();
        let card = Card {
            name: desk.name.clone(),
            title_zh: "志愿者协会".into(),
            title_en: "Volunteers".into(),
            division: DivisionCode(530_100),
            kind: NodeKind::Prefecture,
            keys: Role::ALL.into_iter().map(entry).collect(),
            addresses: vec![],
            contact: "窗口".into(),
            made_at: JOINED,
            trial: false,
        };
        let mut node = RosterNode::joining(card.sign(&desk.signer).unwrap(), JOINED);
        if at == KUNMING {
            let mut witnesses = [DALI, YUXI, CHUXIONG].map(|at| world.desks[at].name.clone()).to_vec();
            witnesses.sort();
            node.log = Some(LogPolicy { name: "2-of-3".into(), witnesses, k: 2 });
        }
        Arc::new(node)
    };
    let mut nodes: Vec<_> = (0..4).map(node).collect();
    nodes.sort_by(|a, b| a.name().cmp(b.name()));
    Roster {
        version: 1,
        previous: None,
        issued: JOINED,
        expires: UnixTime(BEGIN.0 + 400 * 86_400),
        threshold: 1,
        stewards: vec![Steward::new("steward".into(), steward().public()).unwrap()],
        nodes,
        trial: false,
    }
}

fn sign(roster: &Roster) -> SignedRoster {
    let mut signed = SignedRoster::draft(roster).unwrap();
    signed.sign(&steward()).unwrap();
    signed
}

fn members(chain: &Chain) -> Members {
    let mut members = Members::default();
    members.set_roster(Arc::new(chain.clone()));
    members
}

/// The chain after a version that suspends `node` from `from` on.
fn suspending(world: &World, chain: &Chain, node: usize, from: i64) -> Members {
    let before = chain.newest();
    let mut next =
        Roster { version: 2, previous: Some(before.hash()), issued: BEGIN, ..before.roster().clone() };
    let name = &world.desks[node].name;
    let entry = next.nodes.iter_mut().find(|n| n.name() == name).unwrap();
    Arc::make_mut(entry).states.push(StateEntry { state: State::Suspended, from: UnixTime(from) });
    let mut chain = chain.clone();
    chain.adopt(sign(&next), world.now.get()).unwrap();
    members(&chain)
}

/// Kunming has sealed for Dali and waits for its witnesses.
fn sealed() -> (World, Chain, DossierId, TransferId, Statement) {
    let mut world = four();
    let first = first(&world);
    let chain = Chain::begin(sign(&first), &first.fingerprint(), false, JOINED).unwrap();
    world.members = members(&chain);
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    world.wait(7_200);
    world.carry_one(DALI, "accept");
    let seal = world.transfer(KUNMING, transfer).unwrap().seal.expect("it has sealed");
    let seal = world.statement(KUNMING, id, seal);
    (world, chain, id, transfer, seal)
}

/// A log of three entries, and a proof that one of them stands at index 1.
struct Shown {
    origin: &'static str,
    entry: Vec<u8>,
    log_key: SoftSigner,
    /// Office, its key, and seconds after [`SEEN`].
    by: Vec<(&'static str, SoftSigner, i64)>,
    index: u64,
}

impl Shown {
    fn good(seal: &Statement) -> Self {
        let by = [("yuxi", YUXI, 0), ("chuxiong", CHUXIONG, 60)];
        Self {
            origin: "kunming/1",
            entry: Entry::of_statement(seal, None).unwrap().encode().unwrap(),
            log_key: key(KUNMING, Role::Log),
            by: by.map(|(name, at, after)| (name, key(at, Role::Witness), after)).into(),
            index: 1,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut tree = MemoryTree::new();
        for leaf in [&b"life"[..], &self.entry, b"other"] {
            tree.append_leaf(leaf_hash(leaf)).unwrap();
        }
        let head = Checkpoint::new(self.origin, 3, root_at(&tree, 3).unwrap());
        let mut note = head.sign(&self.log_key).unwrap();
        for (name, key, after) in &self.by {
            let time = u64::try_from(SEEN + after).unwrap();
            note.signatures.push(cosignature::sign(key, name, time, &head.text()).unwrap());
        }
        let path = inclusion_proof(&tree, self.index, 3).unwrap();
        let proof = TlogProof { extra: None, index: self.index, path, checkpoint: note.render() };
        proof.render().into_bytes()
    }
}

fn release(
    world: &World,
    id: DossierId,
    transfer: TransferId,
    seal: &Statement,
    inclusion: Option<Vec<u8>>,
) -> Vec<u8> {
    let key = secret(world, KUNMING, id).key;
    let content = Content::Release { seal: seal.bytes().to_vec(), key, profile: None, inclusion };
    message(world, KUNMING, DALI, id, 0, transfer, content)
}

type Change = (&'static str, fn(&mut Shown));

const MISSING: [Change; 11] = [
    ("no cosignature", |s| s.by.clear()),
    ("one of the two", |s| s.by.truncate(1)),
    ("one twice", |s| s.by[1] = ("yuxi", key(YUXI, Role::Witness), 60)),
    ("the owner in place of the second", |s| s.by[1] = ("kunming", key(KUNMING, Role::Witness), 60)),
    ("a stranger in place of the second", |s| s.by[1] = ("baoshan", key(40, Role::Witness), 60)),
    ("another role's key", |s| s.by[1].1 = key(CHUXIONG, Role::Log)),
    ("from the future", |s| s.by[1].2 = 86_400),
    ("another leaf", |s| s.entry = Entry::Signed([7; 32]).encode().unwrap()),
    ("another place", |s| s.index = 2),
    ("the log of another", |s| s.origin = "yuxi/1"),
    ("not signed by the log's key", |s| s.log_key = key(YUXI, Role::Log)),
];

#[test]
fn the_new_office_promotes_on_a_seal_that_a_quorum_has_seen_and_on_nothing_less() {
    let (mut world, chain, id, transfer, seal) = sealed();
    assert!(world.outbox(KUNMING).iter().all(|p| p.word() != "release"), "it waits for the quorum");
    let refused = |world: &World, inclusion: Option<Vec<u8>>, why: &str| {
        let answer = world.receive(DALI, &release(world, id, transfer, &seal, inclusion));
        assert_eq!(answer, Answer::Refused("seal-not-witnessed".into()), "{why}");
        assert_eq!(world.stage(DALI, transfer), Some(Stage::Accepted), "{why}");
        assert!(
            world.custodians(id).is_empty() && world.chain(DALI, id).is_empty(),
            "{why}: nothing is promoted"
        );
    };
    refused(&world, None, "no inclusion");
    refused(&world, Some(b"c2sp.org/tlog-proof@v1\n".to_vec()), "no proof at all");
    for (why, change) in MISSING {
        let mut shown = Shown::good(&seal);
        change(&mut shown);
        refused(&world, Some(shown.bytes()), why);
    }
    let good = Shown::good(&seal).bytes();
    let honest = world.members.clone();
    world.members = suspending(&world, &chain, YUXI, SEEN);
    refused(&world, Some(good.clone()), "a witness that was suspended when it cosigned");
    // The third witness makes up for it.
    world.members = suspending(&world, &chain, CHUXIONG, SEEN);
    let mut three = Shown::good(&seal);
    three.by.push(("dali", key(DALI, Role::Witness), 90));
    let taken =
        |world: &World, inclusion| world.decide(DALI, &release(world, id, transfer, &seal, Some(inclusion)));
    assert_eq!(taken(&world, three.bytes()).answer, Answer::Ok);
    world.members = honest;
    assert_eq!(world.receive(DALI, &release(&world, id, transfer, &seal, Some(good))), Answer::Ok);
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Completed));
    assert_eq!(world.custodians(id), [DALI]);
    world.check(id);
}

#[test]
fn the_old_office_sends_what_its_log_shows_and_the_new_one_takes_it() {
    let (world, _, id, transfer, seal) = sealed();
    for _ in 0..3 {
        world.send_all(DALI);
        world.send_all(KUNMING);
    }
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Sealed), "the quorum has not seen it");
    assert_eq!(
        world.waiting(),
        ["dali -> kunming: accept"],
        "asked again and again, and not answered with it"
    );
    let wanted = rows::wanted_key(&seal.id.0);
    assert!(world.desks[KUNMING].get(wanted.table, &wanted.key).unwrap().is_some());
    let put = vec![Put::Set(rows::inclusion_key(&seal.id.0), Shown::good(&seal).bytes())];
    world.commit(KUNMING, Batch { expect: vec![], put }).unwrap();
    world.settle();
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Completed));
    assert_eq!(world.custodians(id), [DALI]);
    world.check(id);
}
