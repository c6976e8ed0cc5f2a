//! Live proofs: a void, a correction or an overlap withdraws those whose claim no longer holds, a seal
//! supersedes them all, and the lists say so when they may.

use std::sync::Arc;

use yunling_protocol::custody::PURGE_SECONDS;
use yunling_protocol::day::UnixTime;
use yunling_protocol::dossier::Dossier;
use yunling_protocol::id::{DossierId, StatementId};
use yunling_protocol::key::{Role, SoftSigner};
use yunling_protocol::ledger::{Books, LedgerError};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::DecideError;
use yunling_protocol::profile::{Profile, YUNNAN};
use yunling_protocol::proof::live::{self, Issued, NAMELESS_BASE, moved_to};
use yunling_protocol::proof::rows::{self, Record};
use yunling_protocol::proof::{Amount, Claims, StatusRules, Why, verify_with};
use yunling_protocol::status::publish::{addresses, publish};
use yunling_protocol::status::schedule::{HOURS, last_fixed};
use yunling_protocol::status::stored::{self, stored_lists};
use yunling_protocol::status::{Status, StatusLists, StatusToken};
use yunling_protocol::store::{CommitError, Item, Read, Store as _, StoreError, Table};

use crate::changes::correction;
use crate::moving::{DALI, KUNMING, YUXI, four, moved, until_accepted, volunteer};
use crate::restoring::{backup, restore};
use crate::samples::{clock, daily, service};
use crate::world::{Desk, World};

/// Hours of a volunteer in these tests, in minutes: `moving::volunteer`.
const HOURS_OF_ONE: u64 = 17_250;

fn signer(role: Role) -> SoftSigner {
    SoftSigner::from_seed(&[role as u8; 32])
}

fn claims(world: &World, at: usize, dossier: &Dossier, amount: Amount) -> Claims {
    let totals = dossier.totals(&YUNNAN);
    let exact = matches!(amount, Amount::Exact(_));
    Claims {
        issuer: world.desks[at].name.clone(),
        subject: [7; 16],
        issued: world.now.get(),
        expires: UnixTime(world.now.get().0 + 365 * 86_400),
        full_name: None,
        amount,
        days: totals.days,
        epoch: dossier.epoch(),
        recorders: totals.by_issuer.iter().map(|(n, m)| (n.clone(), exact.then_some(*m))).collect(),
        number: None,
        trial: false,
        status: None,
    }
}

fn decide_proof(
    world: &World,
    at: usize,
    id: DossierId,
    amount: Amount,
) -> Result<(yunling_protocol::store::Batch, Issued), DecideError> {
    let claims = claims(world, at, &world.dossier(at, id).unwrap(), amount);
    let (office, mut fresh) = (world.office(at), world.fresh(at));
    live::issue(&office, &world.desks[at], &mut fresh, &signer(Role::Proof), NAMELESS_BASE, id, claims)
}

pub(crate) fn prove(world: &World, at: usize, id: DossierId, amount: Amount) -> Issued {
    let (batch, issued) = decide_proof(world, at, id, amount).unwrap();
    world.commit(at, batch).unwrap();
    issued
}

pub(crate) fn at_least(minutes: u64) -> Amount {
    Amount::AtLeast(Minutes(minutes))
}

fn record(world: &World, at: usize, id: DossierId, issued: &Issued) -> Record {
    let hash = yunling_protocol::statement::id_of(issued.text.as_bytes());
    rows::record_of(&world.desks[at], id, hash).unwrap().unwrap().0
}

pub(crate) fn status(world: &World, at: usize, id: DossierId, issued: &Issued) -> Status {
    record(world, at, id, issued).status
}

/// Makes every list of `at` that is due; how many were.
fn publish_due(world: &World, at: usize) -> usize {
    let mut made = 0;
    for (uri, own) in addresses(&world.office(at), &world.desks[at]).unwrap() {
        let key = signer(Role::Status);
        let published = publish(&world.office(at), &world.desks[at], &key, &HOURS, &uri, own.as_ref());
        if let Some(published) = published.unwrap() {
            world.commit(at, published.batch).unwrap();
            made += 1;
        }
    }
    made
}

/// What a verifier says who has every list that `at` published.
fn word(world: &World, at: usize, issued: &Issued) -> Why {
    let mut lists = StatusLists::default();
    for list in stored_lists(&world.desks[at], None).unwrap() {
        let token = stored::token(&world.desks[at], &list).unwrap().unwrap();
        lists.add(token, &world.members, world.now.get()).unwrap();
    }
    let rules = StatusRules::default();
    verify_with(&issued.text, &world.members, &lists, &rules, world.now.get()).why
}

fn first_hour(world: &World, at: usize, id: DossierId) -> StatementId {
    let dossier = world.dossier(at, id).unwrap();
    *dossier.hours().iter().min_by_key(|(_, h)| h.when.first_day()).unwrap().0
}

/// To the next fixed hour and a little over it.
fn to_fixed_hour(world: &World) {
    world.wait(6 * 3_600);
}

#[test]
fn a_void_withdraws_the_claims_it_breaks_and_no_others() {
    let world = four();
    let id = volunteer(&world);
    let (extra, _) = world.record(KUNMING, id, KUNMING, daily(900, 60)).unwrap();
    let total = HOURS_OF_ONE + 60;
    let high = prove(&world, KUNMING, id, at_least(total));
    let exact = prove(&world, KUNMING, id, Amount::Exact(Minutes(total)));
    // The period of this one ends before the hour that goes.
    let low = {
        let dossier = world.dossier(KUNMING, id).unwrap();
        let mut claims = claims(&world, KUNMING, &dossier, at_least(HOURS_OF_ONE));
        claims.days = claims.days.map(|(first, _)| (first, first));
        let (office, mut fresh) = (world.office(KUNMING), world.fresh(KUNMING));
        let key = signer(Role::Proof);
        let made =
            live::issue(&office, &world.desks[KUNMING], &mut fresh, &key, NAMELESS_BASE, id, claims).unwrap();
        world.commit(KUNMING, made.0).unwrap();
        made.1
    };
    assert_eq!(publish_due(&world, KUNMING), 1, "the first list");
    assert_eq!(word(&world, KUNMING, &high), Why::StatusGood);

    // One hour more breaks nothing, though the exact total is another one now.
    world.wait(60);
    let (late, _) = world.record(KUNMING, id, KUNMING, daily(901, 30)).unwrap();
    let live = |issued| status(&world, KUNMING, id, issued);
    assert_eq!([&high, &exact, &low].map(live), [Status::Valid; 3]);
    assert_eq!(publish_due(&world, KUNMING), 0);

    world.void(KUNMING, id, extra).unwrap();
    assert_eq!([&high, &exact, &low].map(live), [Status::Revoked, Status::Revoked, Status::Valid]);
    assert_eq!(record(&world, KUNMING, id, &exact).reason.as_deref(), Some(live::reason::CLAIM_FAILS));
    // At once, without waiting for an hour.
    assert_eq!(publish_due(&world, KUNMING), 1);
    assert_eq!(word(&world, KUNMING, &high), Why::Revoked);
    assert_eq!(word(&world, KUNMING, &low), Why::StatusGood);
    assert_eq!(publish_due(&world, KUNMING), 0, "and only once");
    world.void(KUNMING, id, late).unwrap();
    assert_eq!(live(&low), Status::Valid);
}

#[test]
fn a_voided_hour_withdraws_an_exact_proof_that_later_hours_make_up_for() {
    let world = four();
    let id = volunteer(&world);
    let exact = prove(&world, KUNMING, id, Amount::Exact(Minutes(HOURS_OF_ONE)));
    let least = prove(&world, KUNMING, id, at_least(HOURS_OF_ONE));
    world.record(KUNMING, id, KUNMING, daily(900, 700)).unwrap();
    let target = {
        let dossier = world.dossier(KUNMING, id).unwrap();
        // Not the first or last day, or the period would not hold either.
        let mut hours: Vec<_> = dossier.hours().iter().map(|(id, h)| (h.when.first_day(), *id)).collect();
        hours.sort();
        hours[hours.len() / 2].1
    };
    world.void(KUNMING, id, target).unwrap();
    assert!(world.totals(KUNMING, id).counted.0 >= HOURS_OF_ONE, "the sum is still there");
    assert_eq!(status(&world, KUNMING, id, &exact), Status::Revoked);
    assert_eq!(status(&world, KUNMING, id, &least), Status::Valid);
    let first = first_hour(&world, KUNMING, id);
    world.void(KUNMING, id, first).unwrap();
    assert_eq!(status(&world, KUNMING, id, &least), Status::Revoked, "the period it names began later");
}

#[test]
fn an_overlap_that_comes_in_from_away_and_a_correction_are_looked_at_too() {
    let world = four();
    let id = world.open(KUNMING);
    let day = (2026, 5, 16);
    world.record(KUNMING, id, KUNMING, service(1, clock(day, 9, 0, 60), 60)).unwrap();
    let (own, _) =
        world.record(KUNMING, id, KUNMING, service(2, clock((2026, 5, 17), 9, 0, 60), 60)).unwrap();
    let least = prove(&world, KUNMING, id, at_least(120));
    // Ten minutes said to lie somewhere in three hours: the union counts ten for all of it.
    world.record(YUXI, id, KUNMING, service(1, clock(day, 8, 0, 180), 10)).unwrap();
    world.settle();
    assert_eq!(world.totals(KUNMING, id).counted.0, 70);
    assert_eq!(status(&world, KUNMING, id, &least), Status::Revoked);

    let least = prove(&world, KUNMING, id, at_least(70));
    world.correct(KUNMING, id, correction(own, None, Some(59))).unwrap();
    assert_eq!(status(&world, KUNMING, id, &least), Status::Revoked);
}

#[test]
fn a_move_supersedes_in_the_batch_of_the_seal_and_shows_at_a_fixed_hour() {
    let world = four();
    let id = volunteer(&world);
    let issued = prove(&world, KUNMING, id, at_least(600));
    let gone = prove(&world, KUNMING, id, at_least(601));
    let hash = yunling_protocol::statement::id_of(gone.text.as_bytes());
    let revoked = live::revoke(&world.office(KUNMING), &world.desks[KUNMING], id, hash, "mistake").unwrap();
    world.commit(KUNMING, revoked.0).unwrap();
    publish_due(&world, KUNMING);
    let made = stored_lists(&world.desks[KUNMING], None).unwrap()[0].issued;

    moved(&world, id, KUNMING, DALI);
    assert_eq!(status(&world, KUNMING, id, &issued), Status::Superseded);
    assert_eq!(status(&world, KUNMING, id, &gone), Status::Revoked, "a revocation stays one");
    let place = issued.place;
    let told = |hash, since| moved_to(&world.desks[KUNMING], place, hash, since).unwrap();
    let hash = yunling_protocol::statement::id_of(issued.text.as_bytes());
    // Nothing shows it yet: no new list, and no answer to who has the proof.
    assert_eq!(publish_due(&world, KUNMING), 0);
    assert_eq!(word(&world, KUNMING, &issued), Why::StatusGood);
    assert_eq!(told(hash, last_fixed(world.now.get(), &HOURS)), None);
    // Also not when a revocation makes a list at once.
    let other = world.open(KUNMING);
    world.record(KUNMING, other, KUNMING, daily(1, 60)).unwrap();
    let spent = prove(&world, KUNMING, other, at_least(60));
    let first = first_hour(&world, KUNMING, other);
    world.void(KUNMING, other, first).unwrap();
    assert_eq!(publish_due(&world, KUNMING), 1);
    assert_eq!(
        (word(&world, KUNMING, &spent), word(&world, KUNMING, &issued)),
        (Why::Revoked, Why::StatusGood)
    );

    to_fixed_hour(&world);
    assert_eq!(publish_due(&world, KUNMING), 1);
    assert_eq!(word(&world, KUNMING, &issued), Why::Superseded);
    assert_eq!(word(&world, KUNMING, &gone), Why::Revoked);
    let dali: NodeName = world.desks[DALI].name.clone();
    let moved_at = record(&world, KUNMING, id, &issued).since;
    assert!(moved_at > made);
    let fixed = last_fixed(world.now.get(), &HOURS);
    assert_eq!(told(hash, fixed), Some((moved_at, dali)));
    assert_eq!(told(StatementId([1; 32]), fixed), None, "only to who shows the proof");

    // The new office proves under its own list; the old one cannot any more.
    let fresh = prove(&world, DALI, id, at_least(600));
    publish_due(&world, DALI);
    assert_eq!(word(&world, DALI, &fresh), Why::StatusGood);
    assert_eq!(
        decide_proof(&world, KUNMING, id, at_least(600)).map(|_| ()),
        Err(DecideError::Rule("dossier-moved"))
    );
    // It comes back: what was superseded stays so.
    moved(&world, id, DALI, KUNMING);
    assert_eq!(status(&world, KUNMING, id, &issued), Status::Superseded);
    assert_eq!(status(&world, DALI, id, &fresh), Status::Superseded);
}

#[test]
fn a_proof_and_a_void_that_meet_never_pass_one_another() {
    let world = four();
    let id = volunteer(&world);
    let hour = first_hour(&world, KUNMING, id);
    let void = || {
        let (office, mut fresh) = (world.office(KUNMING), world.fresh(KUNMING));
        let change = crate::samples::duty_task(hour);
        yunling_protocol::register::void(&office, &world.desks[KUNMING], &mut fresh, id, change)
            .unwrap()
            .batch
    };
    let conflict = |result| matches!(result, Err(CommitError::Conflict { .. }));
    // Both decided on one state: whichever is written first, the other must be decided again.
    let (proof, _) = decide_proof(&world, KUNMING, id, at_least(HOURS_OF_ONE)).unwrap();
    let (first, second) = (void(), void());
    let store = &world.desks[KUNMING].store;
    let before = store.clone();
    store.commit(proof.clone()).unwrap();
    assert!(conflict(store.commit(first)), "the void was never compared with this proof");
    let other = before;
    other.commit(second).unwrap();
    assert!(conflict(other.commit(proof)), "the proof stands on an hour that is gone");
}

#[test]
fn a_proof_is_issued_only_for_what_holds_and_each_place_is_given_once() {
    let world = four();
    let id = volunteer(&world);
    let rule = |amount| decide_proof(&world, KUNMING, id, amount).map(|_| ());
    assert_eq!(rule(at_least(HOURS_OF_ONE + 1)), Err(DecideError::Rule("proof-too-high")));
    assert_eq!(rule(Amount::Exact(Minutes(1))), Err(DecideError::Rule("proof-too-high")));
    let elsewhere = world.open(DALI);
    let claims = claims(&world, KUNMING, &world.dossier(DALI, elsewhere).unwrap(), at_least(0));
    let (office, mut fresh) = (world.office(KUNMING), world.fresh(KUNMING));
    let key = signer(Role::Proof);
    let made =
        live::issue(&office, &world.desks[KUNMING], &mut fresh, &key, NAMELESS_BASE, elsewhere, claims);
    assert_eq!(made.map(|_| ()), Err(DecideError::Rule("dossier-unknown")));

    let mut places = std::collections::BTreeSet::new();
    for n in 0..200 {
        world.wait(1);
        let issued = prove(&world, KUNMING, id, at_least(600 + n));
        assert_eq!(issued.claims.status.as_ref().unwrap().index, issued.place.index);
        assert!(places.insert(issued.place), "place {} given twice", issued.place);
        assert_eq!(rows::owner_of(&world.desks[KUNMING], issued.place).unwrap().unwrap().0, id);
    }
    // Spread over the whole list, not one after the other.
    let quarters: std::collections::BTreeSet<u32> = places.iter().map(|p| p.index >> 18).collect();
    assert_eq!(quarters.len(), 4);
    assert_eq!(rows::own_lists(&world.desks[KUNMING]).unwrap().len(), 1);
}

#[test]
fn proofs_that_are_over_are_left_alone() {
    let world = four();
    let id = volunteer(&world);
    let issued = prove(&world, KUNMING, id, at_least(600));
    world.wait(366 * 86_400);
    let renewed = prove(&world, KUNMING, id, at_least(600));
    moved(&world, id, KUNMING, DALI);
    assert_eq!(status(&world, KUNMING, id, &issued), Status::Valid, "it expired long ago");
    assert_eq!(status(&world, KUNMING, id, &renewed), Status::Superseded);
}

#[test]
fn a_restored_node_gives_no_place_twice_and_forgets_no_revocation_that_others_saw() {
    let mut world = four();
    let id = volunteer(&world);
    let issued = prove(&world, KUNMING, id, at_least(HOURS_OF_ONE));
    publish_due(&world, KUNMING);
    let old = backup(&world, KUNMING);

    world.wait(60);
    let lost = prove(&world, KUNMING, id, at_least(1));
    let hash = yunling_protocol::statement::id_of(issued.text.as_bytes());
    let (batch, _) =
        live::revoke(&world.office(KUNMING), &world.desks[KUNMING], id, hash, "mistake").unwrap();
    world.commit(KUNMING, batch).unwrap();
    publish_due(&world, KUNMING);
    let list = stored_lists(&world.desks[KUNMING], None).unwrap().pop().unwrap();
    let kept: StatusToken = stored::token(&world.desks[KUNMING], &list).unwrap().unwrap();

    world.wait(3_600);
    restore(&mut world, KUNMING, &old, 7);
    assert_eq!(publish_due(&world, KUNMING), 0, "a fenced node says nothing new");
    assert_eq!(decide_proof(&world, KUNMING, id, at_least(1)).map(|_| ()), Err(DecideError::Rule("fenced")));
    world.settle();
    // A peer that kept the list gives it back, and what it says stays said.
    let batch = stored::store(&world.desks[KUNMING], &kept, world.now.get()).unwrap().unwrap();
    world.commit(KUNMING, batch).unwrap();
    to_fixed_hour(&world);
    publish_due(&world, KUNMING);
    assert_eq!(word(&world, KUNMING, &issued), Why::Revoked);
    // New proofs stand in a list of the new life.
    let fresh = prove(&world, KUNMING, id, at_least(1));
    let uri = |issued: &Issued| issued.claims.status.as_ref().unwrap().uri.clone();
    assert_ne!(uri(&fresh), uri(&lost));
    assert!(fresh.place.list > lost.place.list);
    publish_due(&world, KUNMING);
    assert_eq!(word(&world, KUNMING, &lost), Why::StatusGood);
    assert_eq!(word(&world, KUNMING, &fresh), Why::StatusGood);
}

#[test]
fn a_restored_node_that_is_told_of_its_seal_supersedes_too() {
    let mut world = four();
    let id = volunteer(&world);
    let issued = prove(&world, KUNMING, id, at_least(600));
    let old = backup(&world, KUNMING);
    moved(&world, id, KUNMING, DALI);
    world.wait(3_600);
    restore(&mut world, KUNMING, &old, 7);
    assert_eq!(status(&world, KUNMING, id, &issued), Status::Valid, "it forgot");
    world.settle();
    assert_eq!(status(&world, KUNMING, id, &issued), Status::Superseded);
}

#[test]
fn between_offer_and_seal_a_proof_may_be_issued_and_the_seal_finds_it() {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    assert_eq!(world.custodians(id), [KUNMING], "accepted, and not sealed yet");
    let issued = prove(&world, KUNMING, id, at_least(600));
    world.settle();
    assert_eq!(world.custodians(id), [DALI]);
    assert_eq!(status(&world, KUNMING, id, &issued), Status::Superseded);
}

#[test]
fn ninety_days_after_a_move_only_place_and_status_of_a_proof_are_left() {
    let world = four();
    let id = volunteer(&world);
    let issued = prove(&world, KUNMING, id, at_least(600));
    assert_eq!(record(&world, KUNMING, id, &issued).claims.unwrap().amount, at_least(600));
    moved(&world, id, KUNMING, DALI);
    world.sweep(KUNMING);
    assert!(record(&world, KUNMING, id, &issued).claims.is_some(), "nothing is destroyed before its time");
    world.wait(PURGE_SECONDS + 60);
    world.sweep(KUNMING);
    let left = record(&world, KUNMING, id, &issued);
    assert_eq!((left.status, left.claims), (Status::Superseded, None));
    publish_due(&world, KUNMING);
    assert_eq!(word(&world, KUNMING, &issued), Why::Superseded);
    let hash = yunling_protocol::statement::id_of(issued.text.as_bytes());
    let told = moved_to(&world.desks[KUNMING], issued.place, hash, world.now.get()).unwrap();
    assert_eq!(told.map(|(_, to)| to), Some(world.desks[DALI].name.clone()));
}

#[test]
fn the_name_in_a_proof_is_not_kept() {
    let world = four();
    let id = volunteer(&world);
    let name = "试样甲乙丙";
    let dossier = world.dossier(KUNMING, id).unwrap();
    let claims = Claims { full_name: Some(name.into()), ..claims(&world, KUNMING, &dossier, at_least(1)) };
    let (office, mut fresh) = (world.office(KUNMING), world.fresh(KUNMING));
    let key = signer(Role::Proof);
    let (batch, issued) =
        live::issue(&office, &world.desks[KUNMING], &mut fresh, &key, NAMELESS_BASE, id, claims).unwrap();
    assert_eq!(issued.claims.full_name.as_deref(), Some(name));
    let holds = |bytes: &[u8]| bytes.windows(name.len()).any(|w| w == name.as_bytes());
    let token = yunling_protocol::base45::decode(&issued.text[4..]).unwrap();
    assert!(holds(&token), "the proof itself shows it");
    assert!(batch.put.iter().all(|put| !put.value().is_some_and(holds)));
}

/// An office whose first list has no place left.
struct Full<'a>(&'a Desk);

impl Read for Full<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let place = [&b"x"[..], &1u32.to_be_bytes()].concat();
        let given = table == Table::Proof && key.len() == 9 && key.starts_with(&place);
        if given { Ok(Some(vec![0; 48])) } else { self.0.get(table, key) }
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.0.scan(table, prefix, after, limit)
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        self.0.last(table, prefix)
    }
}

impl Books for Full<'_> {
    fn dossier(&self, id: DossierId, profile: &Profile) -> Result<Option<Arc<Dossier>>, LedgerError> {
        self.0.dossier(id, profile)
    }
}

#[test]
fn a_full_list_is_followed_by_a_new_one() {
    let world = four();
    let id = volunteer(&world);
    let uri = |issued: &Issued| issued.claims.status.as_ref().unwrap().uri.clone();
    let first = prove(&world, KUNMING, id, at_least(600));
    assert_eq!((first.place.list, uri(&first).as_str()), (1, "yunling:s/1"));
    let claims = claims(&world, KUNMING, &world.dossier(KUNMING, id).unwrap(), at_least(600));
    let (office, mut fresh) = (world.office(KUNMING), world.fresh(KUNMING));
    let (key, full) = (signer(Role::Proof), Full(&world.desks[KUNMING]));
    let (batch, second) = live::issue(&office, &full, &mut fresh, &key, NAMELESS_BASE, id, claims).unwrap();
    world.commit(KUNMING, batch).unwrap();
    assert_eq!((second.place.list, uri(&second).as_str()), (2, "yunling:s/1-2"));
    assert_eq!(publish_due(&world, KUNMING), 2);
    assert_eq!(word(&world, KUNMING, &second), Why::StatusGood);
    assert_eq!(prove(&world, KUNMING, id, at_least(600)).place.list, 2, "the newest is gone on with");
}
