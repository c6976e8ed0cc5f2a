//! Decisions made at the same time on one state: whichever batch comes second changes nothing.

use yunling_protocol::custody::Stage;
use yunling_protocol::delivery;
use yunling_protocol::message::Answer;
use yunling_protocol::register;
use yunling_protocol::statement::Grade;

use crate::moving::{DALI, KUNMING, YUXI, four, until_accepted, volunteer};
use crate::samples::daily;
use crate::world::World;

/// Decides two received messages on one state and commits both, in the given order; who fails?
fn at_once(world: &World, at: usize, bytes: [&[u8]; 2], order: [usize; 2]) -> [bool; 2] {
    let decisions = bytes.map(|b| world.decide(at, b));
    let mut held = [false; 2];
    for index in order {
        held[index] = world.commit(at, decisions[index].batch.clone()).is_ok();
    }
    held
}

#[test]
fn a_seal_and_an_append_on_one_head_never_both_count() {
    for order in [[0, 1], [1, 0]] {
        let world = four();
        let id = volunteer(&world);
        let slip = world.slip(KUNMING, id, DALI).unwrap();
        let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
        until_accepted(&world, KUNMING, DALI, transfer);
        world.record(YUXI, id, KUNMING, daily(100, 60)).unwrap();
        let accept = world.outbox(DALI).remove(0);
        let delivery = world.outbox(YUXI).remove(0);
        let held = at_once(&world, KUNMING, [&accept.bytes, &delivery.bytes], order);
        assert_eq!(held.iter().filter(|h| **h).count(), 1);
        assert_eq!(world.stage(KUNMING, transfer) == Some(Stage::Sealed), order[0] == 0);
        world.check(id);
        world.settle();
        world.check(id);
        assert_eq!(world.custodians(id), [DALI]);
        assert_eq!(world.totals(DALI, id).counted.0, 17_310);
    }
}

#[test]
fn a_clerk_and_a_delivery_on_one_head_never_both_count() {
    let world = four();
    let id = volunteer(&world);
    world.record(YUXI, id, KUNMING, daily(100, 60)).unwrap();
    let packet = world.outbox(YUXI).remove(0);
    let me = &world.desks[KUNMING].name;
    let (office, books) = (world.office(KUNMING), &world.desks[KUNMING]);
    let made = register::record(&office, books, &mut world.fresh(KUNMING), id, me, daily(101, 60)).unwrap();
    assert!(matches!(world.receive(KUNMING, &packet.bytes), Answer::Receipt(_)));
    assert!(world.commit(KUNMING, made.batch).is_err());
    world.check(id);
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_310);
}

#[test]
fn two_clerks_decide_one_held_delivery_once() {
    for takes in [[true, false], [false, true], [true, true]] {
        let world = four();
        let id = volunteer(&world);
        let service = yunling_protocol::statement::Attestation { grade: Grade::C, ..daily(100, 60) };
        let (made, _) = world.record(YUXI, id, KUNMING, service).unwrap();
        world.send_all(YUXI);
        let decide = |take| {
            delivery::decide_held(&world.office(KUNMING), &world.desks[KUNMING], id, made, take).unwrap()
        };
        let batches = takes.map(decide);
        let held = batches.map(|b| world.commit(KUNMING, b).is_ok());
        assert_eq!(held, [true, false], "{takes:?}");
        world.check(id);
    }
}

#[test]
fn one_slip_asked_with_twice_at_once_is_one_transfer() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let first = world.ask(DALI, KUNMING, &slip).unwrap();
    let one = world.outbox(DALI).remove(0);
    // A second request of Dali for the same slip, from a clerk who gave the first one up.
    world.push(DALI, first, &yunling_protocol::custody::Input::Cancel { reason: "again".into() }).unwrap();
    let second = world.ask(DALI, KUNMING, &slip).unwrap();
    let two = world.outbox(DALI).into_iter().find(|p| p.word() == "request").unwrap();
    let held = at_once(&world, KUNMING, [&one.bytes, &two.bytes], [0, 1]);
    assert_eq!(held, [true, false]);
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [KUNMING], "the slip was spent on the one that was given up");
    assert_eq!(world.stage(KUNMING, first), Some(Stage::Cancelled));
    assert_eq!(world.stage(DALI, second), Some(Stage::Cancelled));
}

#[test]
fn two_releases_at_once_promote_once() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    world.carry_one(DALI, "accept");
    let release = world.outbox(KUNMING).remove(0);
    let held = at_once(&world, DALI, [&release.bytes, &release.bytes], [0, 1]);
    assert_eq!(held, [true, false]);
    world.settle();
    world.check(id);
    assert_eq!(world.dossier(DALI, id).unwrap().epoch(), 1);
}

#[test]
fn an_offer_heard_at_the_moment_of_the_release_leaves_nothing_behind() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    let mut offer = None;
    world.carry_one(DALI, "request");
    offer.replace(world.outbox(KUNMING).remove(0));
    until_accepted_from_offer(&world, transfer);
    world.carry_one(DALI, "accept");
    let release = world.outbox(KUNMING).remove(0);
    let held = at_once(&world, DALI, [&release.bytes, &offer.unwrap().bytes], [0, 1]);
    assert_eq!(held, [true, false], "an accept is not sent again after the promotion");
    world.settle();
    world.check(id);
    assert!(world.waiting().is_empty());
}

fn until_accepted_from_offer(world: &World, transfer: yunling_protocol::id::TransferId) {
    world.carry_one(KUNMING, "offer");
    while world.stage(DALI, transfer) != Some(Stage::Accepted) {
        world.work(DALI, transfer, 64, crate::copy::Dies::Never);
    }
}
