//! Voids and corrections: they follow the hours to every office, in whatever order they arrive.

use yunling_protocol::custody::taking;
use yunling_protocol::id::StatementId;
use yunling_protocol::message::Answer;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::office::DecideError;
use yunling_protocol::statement::{Correction, Grade, Outcome, When};

use crate::copy::Dies;
use crate::moving::{DALI, KUNMING, YUXI, four, moved, until_accepted, volunteer};
use crate::samples::daily;
use crate::sums::outcome;

/// A correction of time or minutes.
pub(crate) fn correction(target: StatementId, when: Option<When>, minutes: Option<u64>) -> Correction {
    Correction {
        target,
        reason: "typing-error".into(),
        note: None,
        when,
        minutes: minutes.map(Minutes),
        grade: None,
        content: None,
        place: None,
    }
}

#[test]
fn a_void_after_the_move_reaches_the_new_custodian_and_asks_for_a_star_review_s6() {
    let world = four();
    let id = world.open(KUNMING);
    let mut duty = Vec::new();
    for number in 0..69 {
        duty.push(world.record(KUNMING, id, KUNMING, daily(number, 250)).unwrap().0);
    }
    moved(&world, id, KUNMING, DALI);
    world.record(DALI, id, DALI, daily(200, 750)).unwrap();
    let t = world.totals(DALI, id);
    assert_eq!((t.counted.hours_text().as_str(), t.stars_due, t.star_review), ("300.00", 2, false));

    // Six services of 250 minutes were a duty task: 25.00 hours.
    for target in duty.iter().take(6) {
        world.void(KUNMING, id, *target).unwrap();
    }
    world.settle();
    world.check(id);
    let t = world.totals(DALI, id);
    assert_eq!((t.counted.hours_text().as_str(), t.voided.hours_text().as_str()), ("275.00", "25.00"));
    assert_eq!(
        (t.stars_due, t.star_review),
        (1, true),
        "the star waits for a review, it is not dropped silently"
    );
    let again = world.void(KUNMING, id, duty[0]);
    assert_eq!(again, Err(DecideError::Rule("already-void")));
    let foreign = world.void(DALI, id, duty[7]);
    assert_eq!(foreign, Err(DecideError::Rule("not-issuer")));
}

#[test]
fn a_correction_follows_the_hours_through_two_moves() {
    let world = four();
    let id = volunteer(&world);
    let (target, _) = world.record(KUNMING, id, KUNMING, daily(100, 60)).unwrap();
    moved(&world, id, KUNMING, DALI);
    moved(&world, id, DALI, YUXI);
    world.correct(KUNMING, id, correction(target, None, Some(45))).unwrap();
    // Kunming knows Dali only; Dali names Yuxi and shows both seals.
    assert!(
        matches!(world.carry_one(KUNMING, "deliver"), Answer::Moved { ref seals, .. } if seals.len() == 2)
    );
    assert_eq!(outcome(&world.carry_one(KUNMING, "deliver")), (Outcome::Accepted, None));
    assert!(world.waiting().is_empty());
    assert_eq!(world.totals(YUXI, id).counted.0, 17_250 + 45);
    world.check(id);
}

#[test]
fn corrections_that_overtake_each_other_end_at_the_newest() {
    let world = four();
    let id = volunteer(&world);
    let (target, _) = world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    world.settle();
    let mut packets = Vec::new();
    for minutes in [50, 40, 30] {
        world.wait(1);
        world.correct(DALI, id, correction(target, None, Some(minutes))).unwrap();
        let new = world
            .outbox(DALI)
            .into_iter()
            .find(|p| packets.iter().all(|o: &crate::wire::Packet| o.key != p.key));
        packets.push(new.unwrap());
    }
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let copy = four_with(&world, id);
        for index in order {
            assert_eq!(outcome(&copy.receive(KUNMING, &packets[index].bytes)).0, Outcome::Accepted);
        }
        assert_eq!(copy.totals(KUNMING, id).counted.0, 17_250 + 30, "{order:?}");
    }
}

/// A world whose Kunming has the same books.
fn four_with(world: &crate::world::World, id: yunling_protocol::id::DossierId) -> crate::world::World {
    let mut copy = four();
    copy.desks[KUNMING].store = world.desks[KUNMING].store.clone();
    copy.now.set(world.now.get());
    copy.check(id);
    copy
}

#[test]
fn a_service_can_be_voided_before_the_custodian_has_answered() {
    let world = four();
    let id = volunteer(&world);
    let (target, _) = world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    world.void(DALI, id, target).unwrap();
    assert_eq!(world.void(DALI, id, target), Err(DecideError::Rule("already-void")));
    world.settle();
    world.check(id);
    let t = world.totals(KUNMING, id);
    assert_eq!((t.counted.0, t.voided.0), (17_250, 60));
}

#[test]
fn a_void_of_something_not_arrived_is_held_and_then_taken() {
    let world = four();
    let id = volunteer(&world);
    let before = four_with(&world, id);
    let (target, _) = world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    let attestation = world.outbox(DALI).remove(0);
    world.settle();
    world.void(DALI, id, target).unwrap();
    let void = world.outbox(DALI).remove(0);
    assert_eq!(
        outcome(&before.receive(KUNMING, &void.bytes)),
        (Outcome::Held, Some("target-unknown".into()))
    );
    assert_eq!(outcome(&before.receive(KUNMING, &attestation.bytes)).0, Outcome::Accepted);
    assert_eq!(outcome(&before.receive(KUNMING, &void.bytes)).0, Outcome::Accepted);
    assert_eq!(before.totals(KUNMING, id).counted.0, 17_250);
    assert_eq!(before.totals(KUNMING, id).voided.0, 60);
    before.check(id);
}

#[test]
fn a_void_made_while_the_dossier_moves_is_found_by_asking_the_issuers() {
    for silent in [false, true] {
        let world = four();
        let id = volunteer(&world);
        let (target, _) = world.record(YUXI, id, KUNMING, daily(100, 60)).unwrap();
        world.settle();
        let slip = world.slip(KUNMING, id, DALI).unwrap();
        let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
        world.carry_one(DALI, "request");
        world.carry_one(KUNMING, "offer");
        // Yuxi voids it, but its delivery reaches nobody before the dossier has moved.
        world.void(YUXI, id, target).unwrap();
        if silent {
            world.silent.borrow_mut().insert(YUXI);
        }
        while world.has_work(DALI).is_some() {
            world.work(DALI, transfer, 100, Dies::Never);
        }
        let unasked = world.transfer(DALI, transfer).unwrap().unasked;
        assert_eq!(unasked, if silent { vec![world.desks[YUXI].name.clone()] } else { vec![] });
        world.carry_one(DALI, "accept");
        world.carry_one(KUNMING, "release");
        world.check(id);
        let expected = if silent { 17_310 } else { 17_250 };
        assert_eq!(world.totals(DALI, id).counted.0, expected);
        // When Yuxi speaks again its delivery is redirected, and taken or known already.
        world.silent.borrow_mut().clear();
        world.settle();
        world.check(id);
        assert_eq!(world.totals(DALI, id).counted.0, 17_250);
        assert_eq!(world.totals(DALI, id).voided.0, 60);
    }
}

#[test]
fn changes_are_told_only_to_who_shows_a_statement_of_the_issuer() {
    use yunling_protocol::delivery::changes;
    let world = four();
    let id = volunteer(&world);
    let (theirs, _) = world.record(YUXI, id, KUNMING, daily(100, 60)).unwrap();
    world.settle();
    let void = world.void(YUXI, id, theirs).unwrap();
    world.settle();
    let own = *world.dossier(KUNMING, id).unwrap().hours().keys().find(|h| **h != theirs).unwrap();
    let ask = |shown| changes(&world.office(YUXI), &world.desks[YUXI], id, shown).unwrap();
    let bytes = world.statement(YUXI, id, void).bytes().to_vec();
    assert_eq!(ask(theirs), Answer::Changes(vec![bytes]));
    assert_eq!(ask(own), Answer::Refused("target-unknown".into()));
    let at_kunming = changes(&world.office(KUNMING), &world.desks[KUNMING], id, theirs).unwrap();
    assert_eq!(at_kunming, Answer::Refused("not-issuer".into()));
}

#[test]
fn a_correction_that_changes_nothing_or_breaks_a_rule_is_not_signed() {
    let world = four();
    let id = volunteer(&world);
    let (target, _) = world.record(KUNMING, id, KUNMING, daily(100, 60)).unwrap();
    let correct = |when, minutes| world.correct(KUNMING, id, correction(target, when, minutes));
    assert_eq!(correct(None, None), Err(DecideError::Rule("correction-empty")));
    assert_eq!(correct(None, Some(0)), Err(DecideError::Rule("minutes-zero")));
    assert_eq!(correct(None, Some(61)), Err(DecideError::Rule("minutes-over-span")));
    let future = crate::samples::clock((2027, 1, 1), 9, 0, 60);
    assert_eq!(correct(Some(future), None), Err(DecideError::Rule("in-future")));
    let grade = Correction { grade: Some(Grade::B), ..correction(target, None, None) };
    world.correct(KUNMING, id, grade).unwrap();
    assert_eq!(world.dossier(KUNMING, id).unwrap().hours()[&target].grade, Grade::B);
}

#[test]
fn an_extra_told_twice_is_no_error_of_the_move() {
    let world = four();
    let id = volunteer(&world);
    let (target, _) = world.record(YUXI, id, KUNMING, daily(100, 60)).unwrap();
    world.settle();
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    world.void(YUXI, id, target).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    // The void reaches Kunming after the copy: a new offer brings it in the chain as well.
    world.carry_one(YUXI, "deliver");
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [DALI]);
    let t = world.totals(DALI, id);
    assert_eq!((t.counted.0, t.voided.0), (17_250, 60));
    let dossier = world.dossier(DALI, id).unwrap();
    let peer = world.transfer(DALI, transfer).unwrap();
    assert!(taking::issuers(&dossier, &peer, &world.desks[DALI].name).contains(&world.desks[YUXI].name));
}
