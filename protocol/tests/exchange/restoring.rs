//! A node that comes back with an older state: what it forgot is told to it, and in no order of
//! events do two nodes hold one dossier.

use std::collections::BTreeMap;

use yunling_protocol::custody::{Input, Stage};
use yunling_protocol::id::DossierId;
use yunling_protocol::ledger;
use yunling_protocol::message::{Answer, Life};
use yunling_protocol::office::DecideError;
use yunling_protocol::recovery::fence::{self, Fence};
use yunling_protocol::recovery::learn::{Losses, losses};
use yunling_protocol::recovery::{ask_all, lift};
use yunling_protocol::store::{Batch, Oracle, Put, Store};

use crate::moving::{CHUXIONG, DALI, KUNMING, YUXI, four, moved, until_accepted, volunteer};
use crate::samples::daily;
use crate::world::{PlainVault, World};

/// What a backup holds.
pub(crate) fn backup(world: &World, at: usize) -> Oracle {
    world.desks[at].store.clone()
}

/// Puts a backup back, as `restore` does: a new life and the fence in one batch. `mark` is what
/// is drawn for the life.
pub(crate) fn restore(world: &mut World, at: usize, from: &Oracle, mark: u8) {
    let made_at = world.now.get();
    world.desks[at].store = from.clone();
    let old_generation = world.life(at).generation;
    let life = Life { generation: old_generation + 1, mark: [mark; 16] };
    let fence = Fence { made_at, old_generation, new_peers: vec![], heard: vec![], cursors: BTreeMap::new() };
    let put = vec![
        Put::Set(fence::life_key(), fence::encode_life(life)),
        Put::Set(fence::fence_key(), fence.encode()),
    ];
    world.commit(at, Batch { expect: vec![], put }).unwrap();
    ask(world, at);
}

fn ask(world: &World, at: usize) {
    let (fence, _) = Fence::load(&world.desks[at].store).unwrap().expect("fenced");
    let batch = ask_all(&world.office(at), &world.desks[at].store, &fence).unwrap();
    world.commit(at, batch).unwrap();
}

fn fenced(world: &World, at: usize) -> bool {
    world.office(at).fenced
}

fn lost(world: &World, at: usize) -> Losses {
    losses(&world.desks[at].store, &world.desks[at].name).unwrap()
}

/// Everybody agrees who holds it, and the holder has `minutes`.
fn held_by(world: &World, id: DossierId, at: usize, minutes: u64) {
    assert_eq!(world.custodians(id), [at]);
    assert_eq!(world.totals(at, id).counted.0, minutes);
}

/// A move after a restore: the node signed "received" anew, so its history is not the old one.
fn moves_on(world: &World, id: DossierId, from: usize, to: usize) {
    let slip = world.slip(from, id, to).unwrap();
    world.ask(to, from, &slip).unwrap();
    world.settle();
}

#[test]
fn a_node_that_forgot_its_seal_stays_shut_until_its_peers_have_told_it() {
    let mut world = four();
    let id = volunteer(&world);
    let old = backup(&world, KUNMING);
    moved(&world, id, KUNMING, DALI);
    world.record(DALI, id, DALI, daily(900, 60)).unwrap();

    restore(&mut world, KUNMING, &old, 7);
    let refused = world.record(KUNMING, id, KUNMING, daily(901, 30)).map(|_| ());
    assert_eq!(refused, Err(DecideError::Rule("fenced")));
    assert_eq!(world.slip(KUNMING, id, YUXI).map(|_| ()), Err(DecideError::Rule("fenced")));
    // All but one have answered: still shut. The one that is missing is the one that knows.
    world.silent.borrow_mut().insert(DALI);
    for _ in 0..5 {
        (0..4).for_each(|at| drop(world.send_all(at)));
    }
    assert!(fenced(&world, KUNMING));
    held_by(&world, id, DALI, 17_310);
    world.silent.borrow_mut().clear();
    world.settle();
    assert!(!fenced(&world, KUNMING));
    held_by(&world, id, DALI, 17_310);
    assert_eq!(
        world.record(KUNMING, id, DALI, daily(901, 30)).map(|_| ()),
        Ok(()),
        "served away: it goes to dali"
    );
    world.settle();
    held_by(&world, id, DALI, 17_340);
    assert_eq!(lost(&world, KUNMING), Losses::default());
    // The dossier may come back and go on, with the chain it left with.
    moved(&world, id, DALI, KUNMING);
    held_by(&world, id, KUNMING, 17_340);
}

#[test]
fn a_backup_three_moves_old_ends_with_the_same_sums_as_its_peers() {
    let mut world = four();
    let id = volunteer(&world);
    let old = backup(&world, KUNMING);
    moved(&world, id, KUNMING, DALI);
    moved(&world, id, DALI, YUXI);
    moved(&world, id, YUXI, KUNMING);
    world.record(YUXI, id, KUNMING, daily(700, 45)).unwrap();
    world.settle();
    held_by(&world, id, KUNMING, 17_295);

    restore(&mut world, KUNMING, &old, 7);
    world.settle();
    // Yuxi gave it last and owes it again; its own hour comes again, too.
    held_by(&world, id, KUNMING, 17_295);
    assert_eq!(world.dossier(KUNMING, id).unwrap().epoch(), 3);
    assert_eq!(lost(&world, KUNMING), Losses::default());
    moves_on(&world, id, KUNMING, CHUXIONG);
    held_by(&world, id, CHUXIONG, 17_295);
}

#[test]
fn a_dossier_received_since_the_backup_comes_again_and_what_was_delivered_too() {
    let mut world = four();
    let empty = backup(&world, DALI);
    let id = volunteer(&world);
    moved(&world, id, KUNMING, DALI);
    let (away, _) = world.record(YUXI, id, DALI, daily(800, 30)).unwrap();
    world.settle();
    world.void(YUXI, id, away).unwrap();
    world.settle();
    // Recorded by dali itself and never shown to anybody: this is what a restore can lose.
    world.record(DALI, id, DALI, daily(801, 15)).unwrap();
    world.record(YUXI, id, DALI, daily(802, 20)).unwrap();
    world.settle();
    held_by(&world, id, DALI, 17_285);

    restore(&mut world, DALI, &empty, 9);
    world.settle();
    assert!(!fenced(&world, DALI));
    held_by(&world, id, DALI, 17_270);
    assert_eq!(lost(&world, DALI), Losses { entries: 1, dossiers: 0 });
}

#[test]
fn own_statements_that_left_come_back_and_a_void_stays_a_void() {
    let mut world = four();
    let id = volunteer(&world);
    moved(&world, id, KUNMING, DALI);
    let old = backup(&world, YUXI);
    let (hour, _) = world.record(YUXI, id, DALI, daily(800, 30)).unwrap();
    world.settle();
    world.void(YUXI, id, hour).unwrap();
    world.settle();

    restore(&mut world, YUXI, &old, 5);
    world.settle();
    assert!(ledger::statement(&world.desks[YUXI].store, id, hour).unwrap().is_some());
    let again = world.void(YUXI, id, hour).map(|_| ());
    assert_eq!(again, Err(DecideError::Rule("already-void")));
    held_by(&world, id, DALI, 17_250);
}

#[test]
fn one_backup_restored_twice_gets_a_life_above_its_twin() {
    let mut world = four();
    let id = volunteer(&world);
    let old = backup(&world, KUNMING);
    moved(&world, id, KUNMING, DALI);
    restore(&mut world, KUNMING, &old, 1);
    world.settle();
    let first = world.life(KUNMING);
    restore(&mut world, KUNMING, &old, 2);
    assert_eq!(world.life(KUNMING).generation, first.generation, "a twin");
    world.settle();
    assert!(world.life(KUNMING).generation > first.generation);
    assert!(!fenced(&world, KUNMING));
    held_by(&world, id, DALI, 17_250);
}

#[test]
fn a_release_of_the_old_life_that_comes_late_moves_nothing() {
    let mut world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let old = backup(&world, KUNMING);
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    world.carry_one(DALI, "accept");
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Sealed));
    let on_its_way = world.outbox(KUNMING).into_iter().find(|p| p.word() == "release").unwrap();
    // Kunming dies with the release on the way and forgets that it sealed.
    restore(&mut world, KUNMING, &old, 3);
    world.settle();
    assert!(matches!(world.receive(DALI, &on_its_way.bytes), Answer::Stale { .. }));
    held_by(&world, id, KUNMING, 17_250);
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Cancelled));
}

#[test]
fn a_seal_in_the_backup_is_owed_again_although_the_other_side_dropped_the_copy() {
    for dropped_first in [true, false] {
        let mut world = four();
        let id = volunteer(&world);
        let slip = world.slip(KUNMING, id, DALI).unwrap();
        let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
        until_accepted(&world, KUNMING, DALI, transfer);
        world.carry_one(DALI, "accept");
        let sealed = backup(&world, KUNMING);
        if !dropped_first {
            world.settle();
        }
        restore(&mut world, KUNMING, &sealed, 3);
        world.settle();
        held_by(&world, id, DALI, 17_250);
        assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Completed));
    }
}

#[test]
fn a_taking_side_restored_at_any_moment_of_a_move_ends_as_custodian() {
    // The backups of dali at each step of the move; each is put back after the move is over.
    let steps = {
        let world = four();
        let id = volunteer(&world);
        let slip = world.slip(KUNMING, id, DALI).unwrap();
        let mut backups = vec![backup(&world, DALI)];
        let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
        backups.push(backup(&world, DALI));
        until_accepted(&world, KUNMING, DALI, transfer);
        backups.push(backup(&world, DALI));
        world.carry_one(DALI, "accept");
        world.settle();
        backups.push(backup(&world, DALI));
        backups.len()
    };
    for step in 0..steps {
        for late in [false, true] {
            let mut world = four();
            let id = volunteer(&world);
            let slip = world.slip(KUNMING, id, DALI).unwrap();
            let mut kept = backup(&world, DALI);
            let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
            if step > 0 {
                kept = backup(&world, DALI);
            }
            until_accepted(&world, KUNMING, DALI, transfer);
            if step > 1 {
                kept = backup(&world, DALI);
            }
            world.carry_one(DALI, "accept");
            if late || step > 2 {
                world.settle();
            }
            if step > 2 {
                kept = backup(&world, DALI);
            }
            restore(&mut world, DALI, &kept, 4);
            world.settle();
            held_by(&world, id, DALI, 17_250);
            assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Completed), "step {step}, late {late}");
        }
    }
}

#[test]
fn both_sides_restored_at_once_leave_one_custodian() {
    for older in [KUNMING, DALI] {
        let mut world = four();
        let id = volunteer(&world);
        let before = [backup(&world, KUNMING), backup(&world, DALI)];
        moved(&world, id, KUNMING, DALI);
        let after = [backup(&world, KUNMING), backup(&world, DALI)];
        for at in [KUNMING, DALI] {
            let kept = if at == older { &before[at] } else { &after[at] };
            restore(&mut world, at, kept, at as u8 + 60);
        }
        world.settle();
        held_by(&world, id, DALI, 17_250);
    }
    let mut world = four();
    let id = volunteer(&world);
    let before = [backup(&world, KUNMING), backup(&world, DALI)];
    moved(&world, id, KUNMING, DALI);
    restore(&mut world, KUNMING, &before[KUNMING], 60);
    restore(&mut world, DALI, &before[DALI], 61);
    world.settle();
    // Nobody remembers the move: it is as if it had never been.
    held_by(&world, id, KUNMING, 17_250);
    moves_on(&world, id, KUNMING, DALI);
    held_by(&world, id, DALI, 17_250);
}

#[test]
fn an_operator_may_lift_the_fence_only_by_naming_who_was_not_heard() {
    let mut world = four();
    let id = volunteer(&world);
    let old = backup(&world, KUNMING);
    world.silent.borrow_mut().insert(YUXI);
    restore(&mut world, KUNMING, &old, 7);
    for _ in 0..5 {
        (0..4).for_each(|at| drop(world.send_all(at)));
    }
    let (fence, _) = Fence::load(&world.desks[KUNMING].store).unwrap().unwrap();
    let (office, desk) = (world.office(KUNMING), &world.desks[KUNMING]);
    let missing = fence.missing(office.members, office.me);
    assert_eq!(missing, [world.desks[YUXI].name.clone()]);
    let lift = |without: &[_], reason: &str| {
        lift(&office, desk, &PlainVault, &mut world.fresh(KUNMING), without, reason)
    };
    let other = world.desks[DALI].name.clone();
    assert_eq!(lift(&[other], "fire").map(|_| ()), Err(DecideError::Rule("fence-missing-unnamed")));
    assert_eq!(lift(&missing, " ").map(|_| ()), Err(DecideError::Rule("fence-reason")));
    let (batch, act) = lift(&missing, "玉溪机房失火").unwrap();
    desk.store.commit(batch).unwrap();
    assert!(!act.is_empty() && !fenced(&world, KUNMING));
    let key = fence::lifted_key(world.life(KUNMING));
    let kept = yunling_protocol::store::Read::get(desk, key.table, &key.key).unwrap();
    assert_eq!(kept, Some(act), "the act is kept");
    world.silent.borrow_mut().clear();
    world.settle();
    moved(&world, id, KUNMING, YUXI);
}

#[test]
fn half_made_moves_of_a_restored_node_end_on_both_sides() {
    let mut world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    world.carry_one(DALI, "request");
    let offered = backup(&world, KUNMING);
    restore(&mut world, KUNMING, &offered, 7);
    world.settle();
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Cancelled));
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Cancelled));
    held_by(&world, id, KUNMING, 17_250);
    assert!(world.push(DALI, transfer, &Input::Resume).is_err(), "nothing is left to resume");
}

#[test]
fn what_was_told_to_an_earlier_life_does_not_open_the_fence_of_a_later_one() {
    let mut world = four();
    let id = volunteer(&world);
    let old = backup(&world, KUNMING);
    restore(&mut world, KUNMING, &old, 1);
    // Every peer answers the first restore; the answer of Dali comes twice, the second time late.
    world.send_all(KUNMING);
    let slow = world.outbox(DALI).into_iter().find(|p| p.word() == "known").unwrap();
    world.settle();
    assert!(!fenced(&world, KUNMING));
    moved(&world, id, KUNMING, DALI);
    // The same backup once more: Dali knows of a seal now, but says so to nobody yet.
    restore(&mut world, KUNMING, &old, 2);
    world.silent.borrow_mut().insert(DALI);
    assert_eq!(world.receive(KUNMING, &slow.bytes), Answer::Ok);
    for _ in 0..5 {
        for at in [KUNMING, YUXI, CHUXIONG] {
            world.send_all(at);
        }
    }
    assert!(fenced(&world, KUNMING), "dali told it to another life");
    world.silent.borrow_mut().clear();
    world.settle();
    assert!(!fenced(&world, KUNMING));
    held_by(&world, id, DALI, 17_250);
}

#[test]
fn a_backup_made_behind_a_fence_asks_since_the_backup_before_it() {
    let mut world = four();
    let id = volunteer(&world);
    let old = backup(&world, YUXI);
    let (hour, _) = world.record(YUXI, id, KUNMING, daily(800, 30)).unwrap();
    world.settle();
    restore(&mut world, YUXI, &old, 1);
    world.wait(40 * 86_400);
    let inner = Fence::load(&world.desks[YUXI].store).unwrap().unwrap().0;
    // A backup of the fenced store, put back much later.
    let store = backup(&world, YUXI);
    let name = world.desks[CHUXIONG].name.clone();
    let outer = Fence::begin(&store, world.now.get(), 2, std::slice::from_ref(&name)).unwrap();
    assert_eq!((outer.made_at, outer.old_generation), (inner.made_at, inner.old_generation));
    assert_eq!((outer.new_peers, outer.heard), (vec![name], vec![]));
    world.settle();
    assert!(ledger::statement(&world.desks[YUXI].store, id, hour).unwrap().is_some());
}

#[test]
fn a_move_whose_giver_was_told_its_seal_ends_on_both_sides() {
    let mut world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let old = backup(&world, KUNMING);
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    world.record(KUNMING, id, KUNMING, daily(900, 10)).unwrap();
    world.carry_one(DALI, "accept");
    world.carry_one(KUNMING, "offer");
    while world.stage(DALI, transfer) != Some(Stage::Accepted) {
        world.work(DALI, transfer, 64, crate::copy::Dies::Never);
    }
    world.carry_one(DALI, "accept");
    world.carry_one(KUNMING, "release");
    // The giver forgets the hour and the seal before it hears that all is done.
    restore(&mut world, KUNMING, &old, 4);
    world.settle();
    held_by(&world, id, DALI, 17_260);
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Completed));
    assert!(world.waiting().is_empty());
}

#[test]
fn a_release_of_what_has_gone_on_since_is_done_and_not_promoted_again() {
    let mut world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    let accepted = backup(&world, DALI);
    world.settle();
    moved(&world, id, DALI, YUXI);
    // Dali comes back with the copy accepted and the promotion still to come.
    restore(&mut world, DALI, &accepted, 6);
    world.settle();
    held_by(&world, id, YUXI, 17_250);
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Completed));
}

#[test]
fn a_taker_that_forgot_the_end_of_a_cancelled_move_is_told_again() {
    let mut world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    let cancel = Input::Cancel { reason: "volunteer-stays".into() };
    world.push(DALI, transfer, &cancel).unwrap();
    let asked = backup(&world, DALI);
    world.settle();
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Cancelled));
    restore(&mut world, DALI, &asked, 8);
    world.settle();
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Cancelled));
    held_by(&world, id, KUNMING, 17_250);
}
