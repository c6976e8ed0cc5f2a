//! A custodian that is gone, on stores in memory: a roster, a bundle, a notice and what comes of it.

use std::sync::Arc;

use yunling_protocol::bundle::Bundle;
use yunling_protocol::card::{Card, NodeKind, SignedCard};
use yunling_protocol::custody::takeover::act::{self, Announced, Heard};
use yunling_protocol::custody::takeover::chain::assemble;
use yunling_protocol::custody::takeover::{Assembled, Searched};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::dossier::Dossier;
use yunling_protocol::id::DossierId;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::ledger;
use yunling_protocol::member::{Member, Members};
use yunling_protocol::message::Answer;
use yunling_protocol::office::DecideError;
use yunling_protocol::roster::{
    Chain, LastCheckpoint, Roster, RosterNode, SignedRoster, State, StateEntry, Steward,
};
use yunling_protocol::statement::Statement;
use yunling_protocol::store::{Oracle, SCAN_ITEMS_MAX};

use crate::moving::{DALI, KUNMING, YUXI, four};
use crate::samples::{BEGIN, daily};
use crate::world::{PROFILE, PlainVault, World};

const DAY: i64 = 86_400;

pub(crate) fn steward() -> SoftSigner {
    SoftSigner::from_seed(&[250; 32])
}

/// A card whose keys nobody else has, as a roster wants them.
pub(crate) fn card(world: &World, at: usize) -> SignedCard {
    let desk = &world.desks[at];
    let key = |role: Role| {
        let own = SoftSigner::from_seed(&[role as u8 + 10 * at as u8 + 10; 32]).public();
        let public = if role == Role::Statement { desk.signer.public() } else { own };
        KeyEntry::new(role, public, UnixTime(1_600_000_000), None).unwrap()
    };
    let card = Card {
        name: desk.name.clone(),
        title_zh: "志愿者协会".into(),
        title_en: "Volunteers".into(),
        division: DivisionCode(530_100),
        kind: NodeKind::Prefecture,
        keys: Role::ALL.into_iter().map(key).collect(),
        addresses: Vec::new(),
        contact: "窗口".into(),
        made_at: BEGIN,
        trial: false,
    };
    card.sign(&desk.signer).unwrap()
}

pub(crate) fn signed(roster: &Roster) -> SignedRoster {
    let mut draft = SignedRoster::draft(roster).unwrap();
    draft.sign(&steward()).unwrap();
    draft
}

/// Four offices in one roster.
pub(crate) fn listed() -> (World, Chain) {
    let mut world = four();
    let from = UnixTime(BEGIN.0 - 10 * DAY);
    let mut nodes: Vec<RosterNode> = (0..4).map(|at| RosterNode::joining(card(&world, at), from)).collect();
    nodes.sort_by(|a, b| a.name().cmp(b.name()));
    let roster = Roster {
        version: 1,
        previous: None,
        issued: from,
        expires: UnixTime(BEGIN.0 + 400 * DAY),
        threshold: 1,
        stewards: vec![Steward::new("省".into(), steward().public()).unwrap()],
        nodes: nodes.into_iter().map(Arc::new).collect(),
        trial: false,
    };
    let chain = Chain::begin(signed(&roster), &roster.fingerprint(), false, BEGIN).unwrap();
    adopt(&mut world, &chain);
    (world, chain)
}

pub(crate) fn adopt(world: &mut World, chain: &Chain) {
    let mut members = Members::default();
    for at in 0..4 {
        members.insert(Member { card: card(world, at), removed_at: None });
    }
    members.set_roster(Arc::new(chain.clone()));
    world.members = members;
}

/// The roster names a successor of Kunming.
pub(crate) fn succeed(world: &mut World, chain: &mut Chain, by: usize, checkpoint: Option<LastCheckpoint>) {
    world.wait(60);
    let by = world.desks[by].name.clone();
    let now = world.now.get();
    set_state(world, chain, KUNMING, State::Succeeded { by, checkpoint }, now);
}

/// The next version adds a state of one office.
pub(crate) fn set_state(world: &mut World, chain: &mut Chain, of: usize, state: State, from: UnixTime) {
    let now = world.now.get();
    let old = chain.newest().roster().clone();
    let mut next =
        Roster { version: old.version + 1, previous: Some(chain.newest().hash()), issued: now, ..old };
    let node = next.nodes.iter_mut().find(|n| *n.name() == world.desks[of].name).unwrap();
    Arc::make_mut(node).states.push(StateEntry { state, from });
    chain.adopt(signed(&next), now).unwrap();
    adopt(world, chain);
}

/// A volunteer of Kunming: two services there, one at Yuxi, taken with a receipt.
pub(crate) fn volunteer(world: &World) -> DossierId {
    let id = world.open(KUNMING);
    for number in 0..2 {
        world.record(KUNMING, id, KUNMING, daily(number, 120)).unwrap();
    }
    world.record(YUXI, id, KUNMING, daily(50, 60)).unwrap();
    world.settle();
    id
}

/// The volunteer's own bundle, as a file.
pub(crate) fn own_bundle(world: &World, at: usize, id: DossierId) -> Bundle {
    let desk = &world.desks[at];
    let dossier = world.dossier(at, id).unwrap();
    let statements = ledger::chain(desk, id, 0, SCAN_ITEMS_MAX).unwrap();
    let last = Statement::parse(statements.last().unwrap()).unwrap();
    let office = world.office(at);
    let (batch, own) = act::vouch(&office, desk, &PlainVault, &mut world.fresh(at), &dossier, &last).unwrap();
    world.commit(at, batch).unwrap();
    let bundle = Bundle { dossier: id, head: dossier.head(), statements, own: Some(own) };
    Bundle::decode(&bundle.encode()).unwrap()
}

pub(crate) fn gone(world: &mut World) {
    world.desks[KUNMING].store = Oracle::new();
    world.silent.borrow_mut().insert(KUNMING);
}

pub(crate) fn put_together(world: &World, bundle: &Bundle) -> Result<Assembled, DecideError> {
    let old = &world.desks[KUNMING].name;
    assemble(&world.office(DALI), &world.desks[DALI], old, std::slice::from_ref(bundle))
}

pub(crate) fn announce(
    world: &World,
    assembled: &Assembled,
    searched: Option<&Searched>,
) -> Result<Announced, DecideError> {
    let (office, books) = (world.office(DALI), &world.desks[DALI]);
    let profile = Some(PROFILE.to_vec());
    let fresh = &mut world.fresh(DALI);
    let announced = act::announce(&office, books, &PlainVault, fresh, assembled, searched, profile)?;
    for batch in announced.staging.iter().chain([&announced.last]) {
        world.commit(DALI, batch.clone()).unwrap();
    }
    Ok(announced)
}

/// Takes the notice to `at` and its answer back; what Dali makes of an objection.
pub(crate) fn notice(world: &World, at: usize) -> (Answer, Option<Heard>) {
    let packet = world.outbox(DALI).into_iter().find(|p| p.to == at && p.word() == "notice");
    let packet = packet.expect("a notice waits");
    let answer = world.receive(at, &packet.bytes);
    let Answer::Changes(told) = &answer else {
        world.answered(&packet, &answer);
        return (answer, None);
    };
    let (office, books) = (world.office(DALI), &world.desks[DALI]);
    let dossier = packet.message().dossier;
    let from = &world.desks[at].name;
    let (batch, heard) = act::heard(&office, books, &PlainVault, from, dossier, told).unwrap();
    world.commit(DALI, batch).unwrap();
    (answer, Some(heard))
}

pub(crate) fn complete(world: &World, id: DossierId) -> Result<Dossier, DecideError> {
    let (office, books) = (world.office(DALI), &world.desks[DALI]);
    let taken = act::complete(&office, books, &PlainVault, &mut world.fresh(DALI), id)?;
    for batch in taken.install.into_iter().chain([taken.last]) {
        world.commit(DALI, batch).unwrap();
    }
    Ok(taken.dossier)
}

pub(crate) fn rule<T: std::fmt::Debug>(result: Result<T, DecideError>) -> &'static str {
    result.expect_err("it must be refused").code()
}
