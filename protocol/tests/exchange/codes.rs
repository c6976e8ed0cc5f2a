//! The slip: wrong codes, expiry, another receiver, spent, replaced; what a request may ask.

use yunling_protocol::custody::Stage;
use yunling_protocol::custody::authorisation::{CodeRecord, TRIES_MAX, authorisation_key};
use yunling_protocol::id::{DossierId, TransferId};
use yunling_protocol::ledger;
use yunling_protocol::message::Answer;
use yunling_protocol::office::DecideError;
use yunling_protocol::store::Batch;

use crate::moving::{DALI, KUNMING, YUXI, four, moved, until_accepted, volunteer};
use crate::samples::wrong_slip;
use crate::world::World;

/// `at` asks with the slip and hears Kunming's refusal.
fn refused(world: &World, at: usize, slip: &str) -> String {
    let transfer = world.ask(at, KUNMING, slip).unwrap();
    let Answer::Refused(code) = world.carry_one(at, "request") else { panic!("a refusal is expected") };
    let t = world.transfer(at, transfer).unwrap();
    assert_eq!((t.stage, t.reason), (Stage::Cancelled, Some(code.clone())));
    assert_eq!(world.stage(KUNMING, transfer), None);
    assert!(world.outbox(at).is_empty());
    code
}

fn tries(world: &World, id: DossierId) -> u64 {
    CodeRecord::load(&world.desks[KUNMING], id).unwrap().unwrap().0.tries
}

#[test]
fn five_wrong_codes_spend_the_slip() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    for wrong in 1..=5 {
        assert_eq!(refused(&world, DALI, &wrong_slip(&slip, wrong)), "transfer-code-wrong");
    }
    assert_eq!(refused(&world, DALI, &slip), "transfer-code-spent");
    assert_eq!(world.custodians(id), [KUNMING]);
    // The volunteer comes again and gets another one.
    moved(&world, id, KUNMING, DALI);
}

#[test]
fn four_wrong_codes_and_the_right_one_move_the_dossier() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    for wrong in 1..=4 {
        assert_eq!(refused(&world, DALI, &wrong_slip(&slip, wrong)), "transfer-code-wrong");
    }
    world.ask(DALI, KUNMING, &slip).unwrap();
    world.settle();
    assert_eq!(world.custodians(id), [DALI]);
}

#[test]
fn the_slip_counts_for_its_receiver_only_and_nobody_else_uses_up_its_tries() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    for _ in 0..7 {
        assert_eq!(refused(&world, YUXI, &slip), "transfer-code-wrong");
        assert_eq!(refused(&world, YUXI, &wrong_slip(&slip, 9)), "transfer-code-wrong");
    }
    assert_eq!(tries(&world, id), 0);
    world.ask(DALI, KUNMING, &slip).unwrap();
    world.settle();
    assert_eq!(world.custodians(id), [DALI]);
}

#[test]
fn an_expired_slip_is_refused_and_an_expired_transfer_ends_on_both_sides() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    world.wait(30 * 86_400);
    let on_the_last_second = world.ask(DALI, KUNMING, &slip).unwrap();
    assert_eq!(world.carry_one(DALI, "request"), Answer::Ok);
    world.carry_one(KUNMING, "offer");
    world.wait(1);
    for at in [KUNMING, DALI] {
        world.push(at, on_the_last_second, &yunling_protocol::custody::Input::Tick).unwrap();
    }
    world.settle();
    assert_eq!(world.stage(KUNMING, on_the_last_second), Some(Stage::Cancelled));
    assert_eq!(world.stage(DALI, on_the_last_second), Some(Stage::Cancelled));

    let slip = world.slip(KUNMING, id, DALI).unwrap();
    world.wait(30 * 86_400 + 1);
    assert_eq!(refused(&world, DALI, &slip), "transfer-code-expired");
    assert_eq!(world.custodians(id), [KUNMING]);
    world.check(id);
}

#[test]
fn a_slip_is_spent_by_the_offer_and_replaced_by_the_next_slip() {
    let world = four();
    let id = volunteer(&world);
    assert_eq!(refused(&world, DALI, &world.slip(KUNMING, id, YUXI).unwrap()), "transfer-code-wrong");
    let first = world.slip(KUNMING, id, DALI).unwrap();
    let second = world.slip(KUNMING, id, DALI).unwrap();
    assert_eq!(refused(&world, DALI, &first), "transfer-code-wrong");
    let transfer = world.ask(DALI, KUNMING, &second).unwrap();
    world.carry_one(DALI, "request");
    assert_eq!(tries(&world, id), TRIES_MAX);
    let cancel = yunling_protocol::custody::Input::Cancel { reason: "volunteer-stays".into() };
    world.push(KUNMING, transfer, &cancel).unwrap();
    world.settle();
    assert_eq!(refused(&world, DALI, &second), "transfer-code-spent");
}

#[test]
fn a_slip_of_an_earlier_custody_moves_nothing_later() {
    let world = four();
    let id = volunteer(&world);
    let old = world.slip(KUNMING, id, DALI).unwrap();
    // Another slip replaces it, the dossier goes to Yuxi and comes back.
    moved(&world, id, KUNMING, YUXI);
    assert_eq!(refused(&world, DALI, &old), "dossier-moved");
    moved(&world, id, YUXI, KUNMING);
    assert_eq!(refused(&world, DALI, &old), "transfer-code-spent");
    // Even if its record were there again.
    let current = world.slip(KUNMING, id, DALI).unwrap();
    let (mut record, _) = CodeRecord::load(&world.desks[KUNMING], id).unwrap().unwrap();
    assert_eq!(record.epoch, 2);
    record.epoch = 0;
    let mut batch = Batch::new();
    ledger::set(&mut batch, authorisation_key(id), record.encode());
    world.commit(KUNMING, batch).unwrap();
    assert_eq!(refused(&world, DALI, &current), "transfer-epoch");
    assert_eq!(world.custodians(id), [KUNMING]);
}

#[test]
fn what_is_refused_before_anything_is_sent() {
    let world = four();
    let id = volunteer(&world);
    let rule = |code| Err(DecideError::Rule(code));
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let typed = slip.replacen(|c: char| c.is_ascii_digit(), "0", 1);
    assert_eq!(world.ask(DALI, KUNMING, &typed), rule("transfer-code-form"));
    assert_eq!(world.ask(DALI, DALI, &slip), rule("peer-unknown"));
    assert_eq!(world.ask(KUNMING, DALI, &slip), rule("dossier-held-here"));
    assert_eq!(world.slip(KUNMING, id, KUNMING).unwrap_err(), DecideError::Rule("peer-unknown"));
    assert_eq!(world.slip(DALI, id, YUXI).unwrap_err(), DecideError::Rule("dossier-unknown"));
    world.ask(DALI, KUNMING, &slip).unwrap();
    assert_eq!(world.ask(DALI, KUNMING, &slip), rule("transfer-in-progress"));
    world.settle();
    assert_eq!(world.slip(KUNMING, id, YUXI).unwrap_err(), DecideError::Rule("dossier-moved"));
}

#[test]
fn one_dossier_is_offered_to_one_office_at_a_time() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer: TransferId = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    let slip = world.slip(KUNMING, id, YUXI).unwrap();
    assert_eq!(refused(&world, YUXI, &slip), "transfer-in-progress");
    world.settle();
    assert_eq!(world.custodians(id), [DALI]);
    world.check(id);
}
