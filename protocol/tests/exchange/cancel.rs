//! Cancelling on either side at each stage, in every order of the messages that cross.

use yunling_protocol::custody::{CustodyError, Input, Stage};
use yunling_protocol::id::{DossierId, TransferId};
use yunling_protocol::message::Answer;
use yunling_protocol::office::DecideError;

use crate::copy::Dies;
use crate::moving::{DALI, KUNMING, four, moved, volunteer};
use crate::samples::daily;
use crate::world::World;

/// How far a transfer has come when somebody cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Asked,
    Held,
    OfferMade,
    Copying,
    Checking,
    Accepted,
    AcceptRepeated,
    Sealed,
    Promoted,
    Done,
}

const ALL: [Reached; 10] = [
    Reached::Asked,
    Reached::Held,
    Reached::OfferMade,
    Reached::Copying,
    Reached::Checking,
    Reached::Accepted,
    Reached::AcceptRepeated,
    Reached::Sealed,
    Reached::Promoted,
    Reached::Done,
];

fn reach(world: &World, reached: Reached) -> (DossierId, TransferId) {
    let id = volunteer(world);
    world.desks[KUNMING].hold.set(reached == Reached::Held);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    let at_least = |least: Reached| reached as u8 >= least as u8;
    if at_least(Reached::Held) {
        world.carry_one(DALI, "request");
    }
    if at_least(Reached::Copying) {
        world.carry_one(KUNMING, "offer");
        world.pull(DALI, transfer, 20, Dies::Never);
    }
    if at_least(Reached::Checking) {
        world.pull(DALI, transfer, 100, Dies::Never);
    }
    if at_least(Reached::Accepted) {
        world.judge(DALI, transfer, Dies::Never);
    }
    if at_least(Reached::AcceptRepeated) {
        // The offer comes again before the accept is heard.
        world.carry_one(KUNMING, "offer");
    }
    if at_least(Reached::Sealed) {
        world.carry_one(DALI, "accept");
    }
    if at_least(Reached::Promoted) {
        world.carry_one(KUNMING, "release");
    }
    if at_least(Reached::Done) {
        world.carry_one(DALI, "done");
    }
    world.check(id);
    (id, transfer)
}

fn cancel() -> Input {
    Input::Cancel { reason: "volunteer-stays".into() }
}

/// Nothing waits, nothing is staged, and the sides agree on one custodian who may append.
fn at_rest(world: &World, id: DossierId, transfer: TransferId) -> usize {
    world.desks[KUNMING].hold.set(false);
    world.settle();
    world.check(id);
    for at in [KUNMING, DALI] {
        world.sweep(at);
        assert_eq!(world.staged_rows(at), 0);
    }
    let [custodian] = world.custodians(id)[..] else { panic!("one custodian at rest") };
    let here = world.stage(DALI, transfer);
    let there = world.stage(KUNMING, transfer).or(here);
    assert_eq!(here, there);
    assert_eq!(here == Some(Stage::Completed), custodian == DALI);
    world.record(custodian, id, custodian, daily(500, 10)).unwrap();
    assert_eq!(world.totals(custodian, id).counted.0, 17_260);
    custodian
}

#[test]
fn the_new_office_cancels_at_each_stage() {
    for reached in ALL {
        let world = four();
        let (id, transfer) = reach(&world, reached);
        let cancelled = world.push(DALI, transfer, &cancel());
        let too_late = matches!(reached, Reached::Promoted | Reached::Done);
        let expected = if too_late { Err(DecideError::Custody(CustodyError::AfterSeal)) } else { Ok(()) };
        assert_eq!(cancelled, expected, "{reached:?}");
        let custodian = at_rest(&world, id, transfer);
        let sealed = matches!(reached, Reached::Sealed | Reached::Promoted | Reached::Done);
        assert_eq!(custodian == DALI, sealed, "{reached:?}");
        if !sealed {
            assert_eq!(world.transfer(DALI, transfer).unwrap().reason.as_deref(), Some("volunteer-stays"));
            moved(&world, id, KUNMING, DALI);
        }
    }
}

#[test]
fn the_old_office_cancels_at_each_stage() {
    for reached in ALL.into_iter().skip(1) {
        let world = four();
        let (id, transfer) = reach(&world, reached);
        let sealed = matches!(reached, Reached::Sealed | Reached::Promoted | Reached::Done);
        let expected = if sealed { Err(DecideError::Custody(CustodyError::AfterSeal)) } else { Ok(()) };
        assert_eq!(world.push(KUNMING, transfer, &cancel()), expected, "{reached:?}");
        let custodian = at_rest(&world, id, transfer);
        assert_eq!(custodian == DALI, sealed, "{reached:?}");
    }
}

#[test]
fn both_offices_cancel_at_once_at_each_stage() {
    for reached in ALL.into_iter().skip(1) {
        let world = four();
        let (id, transfer) = reach(&world, reached);
        let _ = world.push(KUNMING, transfer, &cancel());
        let _ = world.push(DALI, transfer, &cancel());
        at_rest(&world, id, transfer);
    }
}

#[test]
fn a_cancel_may_overtake_its_request_and_the_offer_then_ends_too() {
    for epochs in 0..2 {
        let world = four();
        let id = volunteer(&world);
        let (mut from, mut to) = (KUNMING, DALI);
        for _ in 0..epochs {
            // Later epochs too: the cancelled transfer never learned which one it is.
            moved(&world, id, from, to);
            (from, to) = (to, from);
        }
        let slip = world.slip(from, id, to).unwrap();
        let transfer = world.ask(to, from, &slip).unwrap();
        let request = world.outbox(to).remove(0);
        world.push(to, transfer, &cancel()).unwrap();
        assert_eq!(world.carry_one(to, "cancel"), Answer::Ok);
        assert!(world.waiting().is_empty());
        // The request was only slow.
        assert_eq!(world.receive(from, &request.bytes), Answer::Ok);
        assert_eq!(world.stage(from, transfer), Some(Stage::Offered));
        world.settle();
        world.check(id);
        assert_eq!(world.stage(from, transfer), Some(Stage::Cancelled));
        assert_eq!(world.custodians(id), [from]);
    }
}

#[test]
fn a_cancel_asked_after_the_accept_is_not_forgotten_when_the_dossier_grew() {
    let world = four();
    let (id, transfer) = reach(&world, Reached::Accepted);
    world.record(KUNMING, id, KUNMING, daily(300, 10)).unwrap();
    let accept = world.outbox(DALI).remove(0);
    world.push(DALI, transfer, &cancel()).unwrap();
    // The accept was under way; the old office offers again before it hears of the cancel.
    assert_eq!(world.receive(KUNMING, &accept.bytes), Answer::Ok);
    assert_eq!(world.transfer(KUNMING, transfer).unwrap().rounds, 2);
    world.carry_one(KUNMING, "offer");
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Cancelled));
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [KUNMING]);
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Cancelled));
}

#[test]
fn a_cancel_that_crosses_the_seal_does_not_undo_it() {
    let world = four();
    let (id, transfer) = reach(&world, Reached::Accepted);
    let accept = world.outbox(DALI).remove(0);
    world.push(DALI, transfer, &cancel()).unwrap();
    assert_eq!(world.receive(KUNMING, &accept.bytes), Answer::Ok);
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Sealed));
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [DALI]);
    assert_eq!(world.transfer(DALI, transfer).unwrap().reason, None);
}

#[test]
fn a_cancel_that_the_peer_does_not_listen_to_is_kept() {
    let mut world = four();
    let (id, transfer) = reach(&world, Reached::Copying);
    world.push(KUNMING, transfer, &cancel()).unwrap();
    // Dali has ended peering for a while; a clock that is wrong has the same effect.
    let kunming = world.desks[KUNMING].name.clone();
    let card = world.members.get(&kunming).unwrap().clone();
    let removed_at = Some(world.now.get());
    world.members.insert(yunling_protocol::member::Member { removed_at, ..card.clone() });
    assert_eq!(world.carry_one(KUNMING, "cancel"), Answer::Refused("peer-unknown".into()));
    world.members.insert(card);
    world.settle();
    world.check(id);
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Cancelled));
}

#[test]
fn who_thinks_again_before_the_cancel_is_heard_goes_on() {
    let world = four();
    let (id, transfer) = reach(&world, Reached::Accepted);
    world.push(DALI, transfer, &cancel()).unwrap();
    world.push(DALI, transfer, &Input::Resume).unwrap();
    world.settle();
    assert_eq!(world.custodians(id), [DALI]);
}
