//! What stays and what goes when a dossier has left: 90 days after a move, and after a cancel.

use yunling_protocol::custody::{Input, PURGE_SECONDS, Stage};
use yunling_protocol::day::UnixTime;
use yunling_protocol::ledger::{self, LedgerError};
use yunling_protocol::office::{self, DecideError};
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::statement::{Body, Statement};
use yunling_protocol::store::{Read, SCAN_ITEMS_MAX, Table};

use crate::forged::signed;
use crate::moving::{CHUXIONG, DALI, KUNMING, four, moved, until_accepted, volunteer};
use crate::samples::{consent, daily};
use crate::world::World;
use yunling_protocol::id::DossierId;

/// Statements of a dossier that lie in an office's store, and how many of them it signed.
fn kept(world: &World, at: usize, id: DossierId) -> (usize, usize, usize) {
    let rows = world.desks[at].scan(Table::Statement, id.as_bytes(), None, SCAN_ITEMS_MAX).unwrap();
    let statements: Vec<_> = rows.iter().map(|(_, b)| Statement::parse(b).unwrap()).collect();
    let own = statements.iter().filter(|s| s.common.issuer == world.desks[at].name).count();
    let seals = statements.iter().filter(|s| matches!(s.body, Body::Seal(_))).count();
    (statements.len(), own, seals)
}

fn later(world: &World, seconds: i64) {
    world.now.set(UnixTime(world.now.get().0 + seconds));
}

#[test]
fn ninety_days_after_done_only_what_the_office_signed_is_left() {
    let world = four();
    let id = volunteer(&world);
    let (away, _) = world.record(CHUXIONG, id, KUNMING, daily(800, 30)).unwrap();
    world.settle();
    moved(&world, id, KUNMING, DALI);
    moved(&world, id, DALI, KUNMING);
    moved(&world, id, KUNMING, DALI);
    let before = kept(&world, KUNMING, id);
    assert!(before.0 > before.1, "statements of others lie there too: {before:?}");

    world.sweep(KUNMING);
    assert_eq!(kept(&world, KUNMING, id), before, "nothing is destroyed before its time");
    later(&world, PURGE_SECONDS + 60);
    world.sweep(KUNMING);
    let (all, own, seals) = kept(&world, KUNMING, id);
    assert_eq!((own, seals), (before.1, 3), "what it signed and the line of seals stay");
    assert_eq!(all, own + 1, "of others only the seal of dali stays");
    let key = office::secrets_key(id);
    assert_eq!(world.desks[KUNMING].get(key.table, &key.key).unwrap(), None);
    let folded = ledger::fold(&world.desks[KUNMING], id, &YUNNAN);
    assert_eq!(folded.map(|_| ()), Err(LedgerError::Destroyed(id)));
    let ids = world.desks[KUNMING].scan(Table::Chain, id.as_bytes(), None, SCAN_ITEMS_MAX).unwrap().len();
    assert!(ids >= all, "the ids stay");
    // Dali holds it and lost nothing.
    assert_eq!(world.totals(DALI, id).counted.0, 17_280);
    assert!(world.dossier(DALI, id).unwrap().sequence_of(away).is_some());

    // The old office still answers where it went, may still void what it recorded, once.
    assert_eq!(
        world.record(KUNMING, id, KUNMING, daily(801, 30)).map(|_| ()),
        Err(DecideError::Rule("dossier-moved"))
    );
    world.record(CHUXIONG, id, KUNMING, daily(802, 30)).unwrap();
    world.settle();
    assert_eq!(world.totals(DALI, id).counted.0, 17_310, "a delivery follows the dossier");
    let hours = world.dossier(DALI, id).unwrap();
    let (target, _) = hours.hours().iter().find(|(_, h)| h.issuer == world.desks[KUNMING].name).unwrap();
    world.void(KUNMING, id, *target).unwrap();
    assert_eq!(world.void(KUNMING, id, *target).map(|_| ()), Err(DecideError::Rule("already-void")));
    world.settle();
    assert_eq!(world.totals(DALI, id).counted.0, 17_060);

    // And it may come back whole.
    moved(&world, id, DALI, KUNMING);
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_060);
    later(&world, PURGE_SECONDS + 60);
    world.sweep(KUNMING);
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_060, "what is held here is never destroyed");
}

#[test]
fn a_dossier_on_its_way_back_is_not_destroyed_under_its_copy() {
    let world = four();
    let id = volunteer(&world);
    moved(&world, id, KUNMING, DALI);
    later(&world, PURGE_SECONDS + 60);
    let slip = world.slip(DALI, id, KUNMING).unwrap();
    let transfer = world.ask(KUNMING, DALI, &slip).unwrap();
    until_accepted(&world, DALI, KUNMING, transfer);
    world.sweep(KUNMING);
    world.settle();
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Completed));
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_250);
}

#[test]
fn a_cancelled_move_leaves_no_row_of_the_copy() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    assert!(kept(&world, DALI, id).0 > 60, "this world installs before the seal");
    let cancel = Input::Cancel { reason: "volunteer-stays".into() };
    world.push_giving(KUNMING, transfer, &cancel).unwrap();
    world.settle();
    world.sweep(DALI);
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Cancelled));
    assert_eq!(world.staged_rows(DALI), 0);
    for table in [Table::Statement, Table::Chain, Table::Head, Table::Profile] {
        let rows = world.desks[DALI].scan(table, id.as_bytes(), None, SCAN_ITEMS_MAX).unwrap();
        assert!(rows.is_empty(), "{table}: {} rows", rows.len());
    }
}

#[test]
fn a_dossier_comes_back_only_with_the_chain_it_left_with() {
    let world = four();
    let id = volunteer(&world);
    moved(&world, id, KUNMING, DALI);
    let slip = world.slip(DALI, id, KUNMING).unwrap();
    let transfer = world.ask(KUNMING, DALI, &slip).unwrap();
    until_accepted(&world, DALI, KUNMING, transfer);
    let t = world.transfer(KUNMING, transfer).unwrap();
    let honest = world.staged(KUNMING, transfer);
    assert!(world.check_copy(KUNMING, &t, &honest).is_ok());
    // A custodian that leaves out the last hours recorded here, seals and all.
    let short = world.check_copy(KUNMING, &t, &honest[..honest.len() - 4]);
    assert_eq!(short.map(|_| ()), Err("transfer-copy-differs"));
    let mut forked = honest.clone();
    forked.swap(5, 6);
    assert_eq!(world.check_copy(KUNMING, &t, &forked).map(|_| ()), Err("seal-mismatch"));
    // A chain made up from the start, by the custodian alone, in which this office never was.
    let mut invented = vec![signed(&world, DALI, id, &Body::Consent(consent()))];
    for number in 0..80 {
        invented.push(signed(&world, DALI, id, &Body::Attestation(Box::new(daily(number, 250)))));
    }
    let mut dossier = yunling_protocol::dossier::Dossier::new(id);
    for statement in &invented {
        dossier.apply(statement, &YUNNAN).unwrap();
    }
    let mut t = t;
    (t.epoch, t.count, t.head) = (dossier.epoch(), dossier.length(), dossier.head());
    t.minutes = dossier.totals(&YUNNAN).counted;
    assert_eq!(world.check_copy(KUNMING, &t, &invented).map(|_| ()), Err("transfer-copy-forks"));
    assert!(world.check_copy(CHUXIONG, &t, &invented).is_ok(), "only who was there before can tell");
}
