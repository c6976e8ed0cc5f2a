//! Moves that succeed: alone, while the dossier grows, there and back and away again.

use yunling_protocol::custody::{Input, Stage};
use yunling_protocol::dossier::Custody;
use yunling_protocol::id::{DossierId, TransferId};
use yunling_protocol::ledger;
use yunling_protocol::message::Answer;
use yunling_protocol::office::{self, DecideError};
use yunling_protocol::statement::Body;
use yunling_protocol::store::Read;

use crate::copy::Dies;
use crate::samples::daily;
use crate::world::{PROFILE, World};

pub(crate) const KUNMING: usize = 0;
pub(crate) const DALI: usize = 1;
pub(crate) const YUXI: usize = 2;
pub(crate) const CHUXIONG: usize = 3;

pub(crate) fn four() -> World {
    World::new(&["kunming", "dali", "yuxi", "chuxiong"], 1)
}

/// A volunteer of Kunming with 287.50 hours in 69 services of 250 minutes.
pub(crate) fn volunteer(world: &World) -> DossierId {
    let id = world.open(KUNMING);
    for number in 0..69 {
        world.record(KUNMING, id, KUNMING, daily(number, 250)).unwrap();
    }
    world.check(id);
    id
}

/// Moves a dossier without faults.
pub(crate) fn moved(world: &World, id: DossierId, from: usize, to: usize) -> TransferId {
    let slip = world.slip(from, id, to).unwrap();
    let transfer = world.ask(to, from, &slip).unwrap();
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [to]);
    assert_eq!(world.stage(from, transfer), Some(Stage::Completed));
    assert_eq!(world.stage(to, transfer), Some(Stage::Completed));
    transfer
}

/// Runs a transfer until the copy at `to` is accepted and the accept waits in its outbox.
pub(crate) fn until_accepted(world: &World, from: usize, to: usize, transfer: TransferId) {
    world.carry_one(to, "request");
    world.carry_one(from, "offer");
    while world.stage(to, transfer) != Some(Stage::Accepted) {
        world.work(to, transfer, 7, Dies::Never);
    }
}

#[test]
fn a_move_takes_every_minute_and_the_old_office_keeps_what_it_signed_s1() {
    let world = four();
    let id = volunteer(&world);
    assert_eq!(world.totals(KUNMING, id).counted.hours_text(), "287.50");
    assert_eq!(world.totals(KUNMING, id).stars_due, 1);
    let transfer = moved(&world, id, KUNMING, DALI);

    let totals = world.totals(DALI, id);
    assert_eq!((totals.counted.0, totals.attestations), (17_250, 69));
    assert_eq!(totals.by_issuer.keys().map(ToString::to_string).collect::<Vec<_>>(), ["kunming"]);
    let here = world.dossier(DALI, id).unwrap();
    assert_eq!((here.epoch(), here.seals().len()), (1, 1));
    let old = world.dossier(KUNMING, id).unwrap();
    assert_eq!(
        *old.custody(),
        Custody::Sealed { seal: here.seals()[0], next: world.desks[DALI].name.clone() }
    );
    assert_eq!(old.totals(&yunling_protocol::profile::YUNNAN).counted.0, 17_250);
    assert!(world.transfer(KUNMING, transfer).unwrap().purge_at.is_some());

    // The dossier key and the profile the consent names arrived, and nothing is left staged.
    let key = office::secrets_key(id);
    let stored = |at: usize| world.desks[at].get(key.table, &key.key).unwrap().unwrap();
    assert_eq!(stored(DALI), stored(KUNMING));
    assert!(stored(DALI).ends_with(PROFILE));
    world.sweep(DALI);
    assert_eq!(world.staged_rows(DALI), 0);

    // 12.50 hours more in Dali reach 300.00 and the second star, inclusive.
    world.record(DALI, id, DALI, daily(900, 749)).unwrap();
    assert_eq!(
        (world.totals(DALI, id).counted.hours_text().as_str(), world.totals(DALI, id).stars_due),
        ("299.98", 1)
    );
    world.record(DALI, id, DALI, daily(901, 1)).unwrap();
    assert_eq!(
        (world.totals(DALI, id).counted.hours_text().as_str(), world.totals(DALI, id).stars_due),
        ("300.00", 2)
    );
    let refused = world.record(KUNMING, id, KUNMING, daily(902, 60));
    assert_eq!(refused, Err(DecideError::Rule("dossier-moved")));
    world.check(id);
}

#[test]
fn the_profile_stays_without_consent_to_it() {
    use yunling_protocol::custody::giving;
    let world = four();
    let id = volunteer(&world);
    let to = world.desks[DALI].name.clone();
    let consent = crate::samples::consent_to(&to);
    let slip = giving::authorise(
        &world.office(KUNMING),
        &world.desks[KUNMING],
        &mut world.fresh(KUNMING),
        id,
        &to,
        consent,
        false,
    )
    .unwrap();
    world.commit(KUNMING, slip.batch).unwrap();
    world.ask(DALI, KUNMING, &slip.code).unwrap();
    world.settle();
    let key = office::secrets_key(id);
    let stored = world.desks[DALI].get(key.table, &key.key).unwrap().unwrap();
    assert_eq!(stored.len(), 33, "the key alone");
}

#[test]
fn a_line_cut_during_the_copy_ends_with_one_promotion_s5() {
    for (cut_at, dies) in [(41, Dies::BeforeCommit), (71, Dies::HalfInstalled), (71, Dies::BeforeCommit)] {
        let world = four();
        let id = volunteer(&world);
        let slip = world.slip(KUNMING, id, DALI).unwrap();
        let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
        world.carry_one(DALI, "request");
        world.carry_one(KUNMING, "offer");
        while world.transfer(DALI, transfer).unwrap().have < cut_at {
            world.pull(DALI, transfer, 1, Dies::Never);
        }
        // It dies, comes back and goes on where its store stands.
        world.work(DALI, transfer, 5, dies);
        world.check(id);
        assert_eq!(world.transfer(DALI, transfer).unwrap().have, cut_at);
        world.settle();
        world.check(id);
        assert_eq!(world.custodians(id), [DALI]);
        assert_eq!(world.totals(DALI, id).counted.0, 17_250);
        assert_eq!(world.chain(DALI, id).len(), world.chain(KUNMING, id).len() + 1);
    }
}

#[test]
fn the_answer_that_completes_the_move_may_be_lost_at_every_message() {
    let words = ["request", "offer", "accept", "release", "done"];
    let senders = [DALI, KUNMING, DALI, KUNMING, DALI];
    for lost in 0..words.len() {
        let world = four();
        let id = volunteer(&world);
        let slip = world.slip(KUNMING, id, DALI).unwrap();
        let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
        for (index, word) in words.into_iter().enumerate() {
            while world.has_work(DALI).is_some() {
                world.work(DALI, transfer, 100, Dies::Never);
            }
            if index == lost {
                // Received and durable, but the sender never hears of it.
                let packet = world.outbox(senders[index]).into_iter().find(|p| p.word() == word);
                let packet = packet.unwrap();
                assert_eq!(world.receive(packet.to, &packet.bytes), Answer::Ok);
                world.check(id);
                break;
            }
            world.carry_one(senders[index], word);
            world.check(id);
        }
        world.settle();
        world.check(id);
        assert_eq!(world.custodians(id), [DALI], "answer to {} lost", words[lost]);
        assert_eq!(world.totals(DALI, id).counted.0, 17_250);
    }
}

#[test]
fn a_dossier_that_grows_while_copied_is_offered_again_and_then_queues() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    for round in 1..=2 {
        // One more service before the accept arrives: the old head cannot be sealed.
        world.record(KUNMING, id, KUNMING, daily(100 + round, 10)).unwrap();
        world.carry_one(DALI, "accept");
        world.check(id);
        assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Offered));
        assert_eq!(world.transfer(KUNMING, transfer).unwrap().rounds, round + 1);
        world.carry_one(KUNMING, "offer");
        while world.stage(DALI, transfer) != Some(Stage::Accepted) {
            world.work(DALI, transfer, 64, Dies::Never);
        }
    }
    // After two rounds appends wait: here and from away.
    let refused = world.record(KUNMING, id, KUNMING, daily(110, 10));
    assert_eq!(refused, Err(DecideError::Rule("transfer-in-progress")));
    world.record(YUXI, id, KUNMING, daily(111, 10)).unwrap();
    assert_eq!(world.send_all(YUXI), [Answer::Busy]);
    world.carry_one(DALI, "accept");
    world.check(id);
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [DALI]);
    assert_eq!(world.totals(DALI, id).counted.0, 17_250 + 30);
}

#[test]
fn queued_appends_go_on_after_a_cancel() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    for round in 0..2 {
        world.record(KUNMING, id, KUNMING, daily(100 + round, 10)).unwrap();
        world.carry_one(DALI, "accept");
        world.carry_one(KUNMING, "offer");
        while world.stage(DALI, transfer) != Some(Stage::Accepted) {
            world.work(DALI, transfer, 64, Dies::Never);
        }
    }
    assert!(world.record(KUNMING, id, KUNMING, daily(110, 10)).is_err());
    world.push(KUNMING, transfer, &Input::Cancel { reason: "volunteer-stays".into() }).unwrap();
    world.record(KUNMING, id, KUNMING, daily(110, 10)).unwrap();
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [KUNMING]);
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Cancelled));
}

#[test]
fn there_and_back_and_away_again_is_one_history_of_three_seals() {
    let world = four();
    let id = volunteer(&world);
    moved(&world, id, KUNMING, DALI);
    world.record(DALI, id, DALI, daily(200, 100)).unwrap();
    moved(&world, id, DALI, KUNMING);
    world.record(KUNMING, id, KUNMING, daily(201, 100)).unwrap();
    moved(&world, id, KUNMING, YUXI);
    world.record(YUXI, id, YUXI, daily(202, 100)).unwrap();
    world.check(id);

    let dossier = world.dossier(YUXI, id).unwrap();
    assert_eq!((dossier.epoch(), dossier.seals().len()), (3, 3));
    assert_eq!(world.totals(YUXI, id).counted.0, 17_250 + 300);
    // No minute counts at two places: only one office may state the dossier now.
    for (at, next) in [(KUNMING, YUXI), (DALI, KUNMING)] {
        let record = ledger::head_record(&world.desks[at], id).unwrap().unwrap();
        assert!(matches!(record.custody, Custody::Sealed { next: n, .. } if n == world.desks[next].name));
    }
    let seals: Vec<_> = dossier.seals().iter().map(|s| world.statement(YUXI, id, *s)).collect();
    let nullifiers: std::collections::BTreeSet<_> = seals
        .iter()
        .map(|s| match &s.body {
            Body::Seal(seal) => seal.nullifier,
            other => panic!("a seal is expected, not kind {}", other.kind()),
        })
        .collect();
    assert_eq!(nullifiers.len(), 3, "each epoch has its own nullifier");
}

#[test]
fn a_late_done_of_an_old_move_never_hides_the_one_under_way() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let first = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, first);
    world.carry_one(DALI, "accept");
    world.carry_one(KUNMING, "release");
    let done = world.outbox(DALI).into_iter().find(|p| p.word() == "done").unwrap();
    assert_eq!(world.stage(KUNMING, first), Some(Stage::Sealed));

    // Dali holds it and gives it back before Kunming heard of the end of the first move.
    let slip = world.slip(DALI, id, KUNMING).unwrap();
    let second = world.ask(KUNMING, DALI, &slip).unwrap();
    world.carry_one(KUNMING, "request");
    world.carry(&done);
    assert_eq!(world.stage(KUNMING, first), Some(Stage::Completed));
    let again = world.ask(KUNMING, DALI, &slip);
    assert_eq!(again, Err(DecideError::Rule("transfer-in-progress")));
    world.settle();
    world.check(id);
    assert_eq!(world.stage(KUNMING, second), Some(Stage::Completed));
    assert_eq!(world.custodians(id), [KUNMING]);
}

#[test]
fn a_clerk_may_hold_a_move_and_then_approve_or_refuse_it() {
    let world = four();
    let id = volunteer(&world);
    world.desks[KUNMING].hold.set(true);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    assert_eq!(world.carry_one(DALI, "request"), Answer::Ok);
    assert_eq!(world.carry_one(DALI, "request"), Answer::Ok);
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Requested));
    assert!(world.outbox(KUNMING).is_empty());
    world.push(KUNMING, transfer, &Input::Approve).unwrap();
    world.settle();
    assert_eq!(world.custodians(id), [DALI]);

    world.desks[DALI].hold.set(true);
    let slip = world.slip(DALI, id, YUXI).unwrap();
    let transfer = world.ask(YUXI, DALI, &slip).unwrap();
    world.carry_one(YUXI, "request");
    world.push(DALI, transfer, &Input::Refuse { reason: "identity-doubt".into() }).unwrap();
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [DALI]);
    let there = world.transfer(YUXI, transfer).unwrap();
    assert_eq!((there.stage, there.reason.as_deref()), (Stage::Cancelled, Some("identity-doubt")));
}
