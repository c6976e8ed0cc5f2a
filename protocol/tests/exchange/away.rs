//! Served away: delivered, held or refused by policy, redirected after a move, counted once.

use std::collections::BTreeMap;

use yunling_protocol::delivery::{self, Next};
use yunling_protocol::id::{StatementId, TransferId};
use yunling_protocol::message::{Answer, Content};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::office::DecideError;
use yunling_protocol::policy::Policy;
use yunling_protocol::statement::{Attestation, Body, Correction, Grade, Outcome, Seal, Statement};
use yunling_protocol::store::Batch;

use crate::changes::correction;
use crate::moving::{CHUXIONG, DALI, KUNMING, YUXI, four, moved, until_accepted, volunteer};
use crate::samples::{BEGIN, clock, daily, service};
use crate::sums::outcome;
use crate::world::World;

/// Puts a delivery of any statement into the outbox of `from`.
pub(crate) fn post(world: &World, from: usize, to: usize, statement: &Statement) {
    let mut batch = Batch::new();
    let content = Content::Deliver { statement: statement.bytes().to_vec() };
    let to = &world.desks[to].name;
    let dossier = statement.common.dossier;
    world.office(from).post(&mut batch, to, dossier, 0, TransferId([0; 16]), content).unwrap();
    world.commit(from, batch).unwrap();
}

fn graded(number: u64, minutes: u64, grade: Grade) -> Attestation {
    Attestation { grade, ..daily(number, minutes) }
}

fn accepted() -> (Outcome, Option<String>) {
    (Outcome::Accepted, None)
}

fn held(reason: &str) -> (Outcome, Option<String>) {
    (Outcome::Held, Some(reason.into()))
}

fn refused(reason: &str) -> (Outcome, Option<String>) {
    (Outcome::Refused, Some(reason.into()))
}

#[test]
fn grades_a_and_b_are_accepted_c_to_e_held_and_x_refused() {
    let world = four();
    let id = volunteer(&world);
    let outcomes: Vec<_> = Grade::ALL
        .into_iter()
        .enumerate()
        .map(|(index, grade)| {
            let (made, _) = world.record(DALI, id, KUNMING, graded(100 + index as u64, 10, grade)).unwrap();
            let packet = world.outbox(DALI).into_iter().find(|p| p.key.key.ends_with(made.as_bytes()));
            outcome(&world.carry(&packet.unwrap()))
        })
        .collect();
    let hold = held("policy-grade");
    assert_eq!(outcomes, [accepted(), accepted(), hold.clone(), hold.clone(), hold, refused("policy-grade")]);
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_270);
    // Held never ends a delivery; accepted and refused do.
    assert_eq!(world.outbox(DALI).len(), 3);
    world.check(id);
}

#[test]
fn a_person_decides_what_is_held_and_the_issuer_hears_it_when_it_asks_again() {
    let world = four();
    let id = volunteer(&world);
    let (taken, _) = world.record(DALI, id, KUNMING, graded(100, 10, Grade::C)).unwrap();
    let (not_taken, _) = world.record(DALI, id, KUNMING, graded(101, 10, Grade::E)).unwrap();
    for _ in 0..2 {
        assert!(world.send_all(DALI).iter().all(|a| outcome(a) == held("policy-grade")));
    }
    let decide = |target: StatementId, take: bool| {
        let office = world.office(KUNMING);
        let batch = delivery::decide_held(&office, &world.desks[KUNMING], id, target, take)?;
        world.commit(KUNMING, batch).unwrap();
        Ok::<_, DecideError>(())
    };
    decide(taken, true).unwrap();
    decide(not_taken, false).unwrap();
    world.check(id);
    assert_eq!(decide(taken, true), Err(DecideError::Rule("held-unknown")));
    assert_eq!(decide(not_taken, true), Err(DecideError::Rule("held-unknown")));
    let mut answers: Vec<_> = world.send_all(DALI).iter().map(outcome).collect();
    answers.sort_by_key(|(o, _)| *o as u8);
    assert_eq!(answers, [accepted(), refused("held-refused")]);
    assert!(world.waiting().is_empty());
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_260);
}

#[test]
fn what_a_person_refused_stays_refused_when_policy_would_take_it_later() {
    let mut world = four();
    let id = volunteer(&world);
    let (target, _) = world.record(DALI, id, KUNMING, graded(100, 10, Grade::C)).unwrap();
    world.send_all(DALI);
    let batch =
        delivery::decide_held(&world.office(KUNMING), &world.desks[KUNMING], id, target, false).unwrap();
    world.commit(KUNMING, batch).unwrap();
    let generous = Policy { accept_to: Grade::E, ..Policy::default() };
    let dali = world.desks[DALI].name.clone();
    world.desks[KUNMING].policies = BTreeMap::from([(dali, generous)]);
    assert_eq!(outcome(&world.carry_one(DALI, "deliver")), refused("held-refused"));
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_250);
}

#[test]
fn a_void_of_what_a_person_refused_does_not_wait_for_ever() {
    for moves in [false, true] {
        let world = four();
        let id = volunteer(&world);
        let (target, _) = world.record(DALI, id, KUNMING, graded(100, 10, Grade::C)).unwrap();
        world.send_all(DALI);
        // Dali withdraws it while it waits for a person; the person refuses it.
        world.void(DALI, id, target).unwrap();
        let batch =
            delivery::decide_held(&world.office(KUNMING), &world.desks[KUNMING], id, target, false).unwrap();
        world.commit(KUNMING, batch).unwrap();
        if moves {
            // The new custodian knows nothing of the refusal.
            let refused = world.outbox(DALI).into_iter().find(|p| p.key.key.ends_with(target.as_bytes()));
            world.carry(&refused.unwrap());
            let slip = world.slip(KUNMING, id, YUXI).unwrap();
            let transfer = world.ask(YUXI, KUNMING, &slip).unwrap();
            until_accepted(&world, KUNMING, YUXI, transfer);
            world.carry_one(YUXI, "accept");
            world.carry_one(KUNMING, "release");
        }
        world.settle();
        world.check(id);
        assert!(world.waiting().is_empty());
    }
}

#[test]
fn the_caps_hold_what_is_above_them_and_let_others_go_on() {
    let world = four();
    let id = world.open(KUNMING);
    let give = |from: usize, service: Attestation| {
        let (made, _) = world.record(from, id, KUNMING, service).unwrap();
        let packet = world.outbox(from).into_iter().find(|p| p.key.key.ends_with(made.as_bytes()));
        outcome(&world.carry(&packet.unwrap()))
    };
    // A day: 16 hours of one issuer; another issuer has its own.
    let on = |number, hour, minutes| service(number, clock((2025, 3, 1), hour, 0, minutes), minutes);
    assert_eq!(give(DALI, on(1, 0, 600)), accepted());
    assert_eq!(give(DALI, on(2, 10, 361)), held("policy-day-cap"));
    assert_eq!(give(DALI, on(3, 10, 360)), accepted());
    assert_eq!(give(YUXI, on(4, 18, 60)), accepted());
    // A month: 250 hours, of which 16 are used.
    for day in 2..28 {
        let service = service(100 + u64::from(day), clock((2025, 3, day), 8, 0, 540), 540);
        assert_eq!(give(DALI, service), accepted(), "day {day}");
    }
    assert_eq!(give(DALI, service(200, clock((2025, 3, 28), 8, 0, 60), 60)), held("policy-month-cap"));
    assert_eq!(give(DALI, service(201, clock((2025, 4, 1), 8, 0, 60), 60)), accepted());
    world.check(id);
}

#[test]
fn an_item_above_40_hours_is_held() {
    use yunling_protocol::day::Day;
    use yunling_protocol::statement::When;
    let world = four();
    let id = world.open(KUNMING);
    let shelter =
        When::Period { first: Day::parse("2025-03-01").unwrap(), last: Day::parse("2025-03-03").unwrap() };
    world.record(DALI, id, KUNMING, service(1, shelter, 66 * 60)).unwrap();
    assert_eq!(outcome(&world.carry_one(DALI, "deliver")), held("policy-item-cap"));
}

#[test]
fn a_correction_cannot_pass_the_caps_that_an_attestation_cannot() {
    let world = four();
    let id = world.open(KUNMING);
    let day = |minutes| service(1, clock((2025, 3, 1), 6, 0, 1_020), minutes);
    let (target, _) = world.record(DALI, id, KUNMING, day(10)).unwrap();
    world.settle();
    let give = |change: Correction| {
        world.wait(1);
        let made = world.correct(DALI, id, change).unwrap();
        let packet = world.outbox(DALI).into_iter().find(|p| p.key.key.ends_with(made.as_bytes()));
        outcome(&world.carry(&packet.unwrap()))
    };
    assert_eq!(give(correction(target, None, Some(1_020))), held("policy-day-cap"));
    assert_eq!(give(correction(target, None, Some(960))), accepted());
    assert_eq!(give(correction(target, None, Some(900))), accepted());
    // Worse evidence is the issuer's own admission and taken; better evidence is judged again.
    let worse = Correction { grade: Some(Grade::D), ..correction(target, None, None) };
    assert_eq!(give(worse), accepted());
    let better = Correction { grade: Some(Grade::C), ..correction(target, None, None) };
    assert_eq!(give(better), held("policy-grade"));
    assert_eq!(world.totals(KUNMING, id).counted, Minutes(900));
    world.check(id);
}

#[test]
fn what_no_rule_allows_is_refused_or_held_whoever_signs_it() {
    use yunling_protocol::day::UnixTime;
    use yunling_protocol::statement::When;
    let world = four();
    let id = world.open(KUNMING);
    let give = |service: Attestation| {
        // Signed by a node that does not check.
        let body = yunling_protocol::statement::Body::Attestation(Box::new(service));
        let statement = world.office(DALI).state(&mut world.fresh(DALI), id, &body).unwrap();
        post(&world, DALI, KUNMING, &statement);
        let packet = world.outbox(DALI).into_iter().find(|p| p.key.key.ends_with(statement.id.as_bytes()));
        outcome(&world.carry(&packet.unwrap()))
    };
    let at = |number, when, minutes| service(number, when, minutes);
    assert_eq!(give(at(1, clock((2025, 3, 1), 8, 0, 60), 0)), refused("minutes-zero"));
    assert_eq!(give(at(2, clock((2025, 3, 1), 8, 0, 60), 61)), refused("minutes-over-span"));
    let tomorrow = When::Clock { start: BEGIN, end: UnixTime(BEGIN.0 + 86_400) };
    assert_eq!(give(at(3, tomorrow, 60)), held("clock"));
    let unnamed = Attestation { content: " ".into(), ..daily(4, 60) };
    assert_eq!(give(unnamed), held("rule"));
    // As far apart as numbers go: an answer, not an overflow.
    let ever = When::Clock { start: UnixTime(i64::MIN), end: BEGIN };
    assert_eq!(give(at(5, ever, 60)), held("rule"));
    let long = When::Period { first: yunling_protocol::day::Day(i32::MIN), last: BEGIN.day() };
    assert_eq!(give(at(6, long, 1)), accepted());
    assert_eq!(give(at(7, long, u64::MAX)).0, Outcome::Held);
    world.check(id);
}

#[test]
fn a_statement_dated_ahead_waits_until_its_time_has_come() {
    let world = four();
    let id = world.open(KUNMING);
    let now = world.now.get();
    world.wait(601);
    let (made, _) = world.record(DALI, id, KUNMING, daily(1, 60)).unwrap();
    let statement = world.statement(DALI, id, made);
    world.now.set(now);
    // Dali's clock was ahead when it signed and is right when it sends.
    post(&world, DALI, KUNMING, &statement);
    assert_eq!(outcome(&world.carry_one(DALI, "deliver")), held("clock"));
    world.wait(1);
    assert_eq!(outcome(&world.carry_one(DALI, "deliver")), accepted());
    assert!(world.waiting().is_empty());
}

#[test]
fn a_copy_through_a_third_node_comes_first_and_counts_once() {
    let world = four();
    let id = volunteer(&world);
    let (made, _) = world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    post(&world, CHUXIONG, KUNMING, &world.statement(DALI, id, made));
    assert_eq!(outcome(&world.carry_one(CHUXIONG, "deliver")), accepted());
    assert_eq!(outcome(&world.carry_one(DALI, "deliver")), accepted());
    assert!(world.waiting().is_empty());
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_310);
    world.check(id);
}

#[test]
fn a_delivery_follows_the_dossier_with_seals_through_three_epochs() {
    let world = four();
    let id = volunteer(&world);
    moved(&world, id, KUNMING, DALI);
    moved(&world, id, DALI, YUXI);
    moved(&world, id, YUXI, DALI);
    world.record(CHUXIONG, id, KUNMING, daily(100, 60)).unwrap();
    let seals_shown: Vec<_> = std::iter::from_fn(|| {
        let Answer::Moved { to, seals } = world.carry_one(CHUXIONG, "deliver") else { return None };
        Some((world.index(&to), seals.len()))
    })
    .collect();
    // Kunming knows one seal. Dali holds it now and takes it.
    assert_eq!(seals_shown, [(DALI, 1)]);
    assert!(world.waiting().is_empty());
    assert_eq!(world.totals(DALI, id).counted.0, 17_310);

    moved(&world, id, DALI, KUNMING);
    moved(&world, id, KUNMING, YUXI);
    world.record(CHUXIONG, id, DALI, daily(101, 60)).unwrap();
    let mut hops = Vec::new();
    while let Answer::Moved { to, seals } = world.carry_one(CHUXIONG, "deliver") {
        hops.push((world.index(&to), seals.len()));
    }
    assert_eq!(hops, [(KUNMING, 4), (YUXI, 5)]);
    assert_eq!(world.totals(YUXI, id).counted.0, 17_370);
    // Next time Chuxiong voids it knows where to go.
    let yuxi = world.dossier(YUXI, id).unwrap();
    let own = yuxi.hours().iter().find(|(_, h)| h.issuer == world.desks[CHUXIONG].name).unwrap();
    world.void(CHUXIONG, id, *own.0).unwrap();
    assert_eq!(outcome(&world.carry_one(CHUXIONG, "deliver")), accepted());
    world.check(id);
}

#[test]
fn a_delivery_waits_while_the_new_custodian_is_not_yet_promoted() {
    let world = four();
    let id = volunteer(&world);
    world.record(YUXI, id, KUNMING, daily(100, 60)).unwrap();
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    world.carry_one(DALI, "accept");
    assert!(matches!(world.carry_one(YUXI, "deliver"), Answer::Moved { .. }));
    assert_eq!(world.carry_one(YUXI, "deliver"), Answer::Refused("dossier-unknown".into()));
    assert_eq!(world.outbox(YUXI).len(), 1);
    world.settle();
    world.check(id);
    assert_eq!(world.totals(DALI, id).counted.0, 17_310);
}

#[test]
fn where_a_dossier_went_is_told_to_issuers_only() {
    let world = four();
    let id = volunteer(&world);
    let (made, _) = world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    let statement = world.statement(DALI, id, made);
    world.settle();
    moved(&world, id, KUNMING, YUXI);
    // Chuxiong shows a statement of another.
    post(&world, CHUXIONG, KUNMING, &statement);
    assert_eq!(world.carry_one(CHUXIONG, "deliver"), Answer::Refused("dossier-unknown".into()));
    post(&world, DALI, KUNMING, &statement);
    assert!(matches!(world.carry_one(DALI, "deliver"), Answer::Moved { .. }));
}

#[test]
fn an_issuer_follows_only_seals_that_prove_the_way() {
    let world = four();
    let id = volunteer(&world);
    let other = world.open(KUNMING);
    moved(&world, id, KUNMING, DALI);
    moved(&world, id, DALI, YUXI);
    moved(&world, other, KUNMING, YUXI);
    let (made, _) = world.record(CHUXIONG, id, DALI, daily(100, 60)).unwrap();
    let statement = world.statement(CHUXIONG, id, made);
    let seals = |at: usize, id| -> Vec<Vec<u8>> {
        let dossier = world.dossier(at, id).unwrap();
        dossier.seals().iter().map(|s| world.statement(at, id, *s).bytes().to_vec()).collect()
    };
    let good = seals(YUXI, id);
    let follow = |from: usize, to: usize, seals: Vec<Vec<u8>>| {
        let answer = Answer::Moved { to: world.desks[to].name.clone(), seals };
        let from = &world.desks[from].name;
        delivery::answered(&world.office(CHUXIONG), &world.desks[CHUXIONG], from, &statement, &answer)
            .unwrap()
    };
    let unproven = Next::Later("moved-unproven".into());
    assert!(
        matches!(follow(DALI, YUXI, good.clone()), Next::Redirected(_, to) if to == world.desks[YUXI].name)
    );
    assert_eq!(follow(DALI, YUXI, vec![]), unproven);
    assert_eq!(follow(DALI, YUXI, vec![good[1].clone()]), unproven, "the first epoch is missing");
    assert_eq!(follow(DALI, YUXI, vec![good[1].clone(), good[0].clone()]), unproven);
    assert_eq!(follow(DALI, KUNMING, good.clone()), unproven, "another next holder");
    assert_eq!(follow(KUNMING, YUXI, good.clone()), unproven, "not the last holder");
    assert_eq!(follow(KUNMING, YUXI, seals(YUXI, other)), unproven, "of another dossier");
    let mut forged = good.clone();
    let last = forged[1].len() - 1;
    forged[1][last] ^= 1;
    assert_eq!(follow(DALI, YUXI, forged), unproven);
    // A stranger to the first seal gives it on in its own name.
    let Body::Seal(second) = Statement::parse(&good[1]).unwrap().body else { panic!("a seal is expected") };
    let stolen = Body::Seal(Seal { next: world.desks[KUNMING].name.clone(), ..second });
    let stolen = world.office(YUXI).state(&mut world.fresh(YUXI), id, &stolen).unwrap();
    assert_eq!(follow(YUXI, KUNMING, vec![good[0].clone(), stolen.bytes().to_vec()]), unproven);
    let not_a_seal = vec![good[0].clone(), statement.bytes().to_vec()];
    assert_eq!(follow(DALI, YUXI, not_a_seal), unproven);
}

#[test]
fn a_receipt_ends_only_its_own_delivery() {
    let world = four();
    let id = volunteer(&world);
    let (first, _) = world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    let answer = world.receive(KUNMING, &world.outbox(DALI).remove(0).bytes);
    let (second, _) = world.record(DALI, id, KUNMING, daily(101, 60)).unwrap();
    let hears = |from: usize, of: StatementId, answer: &Answer| {
        let from = &world.desks[from].name;
        let statement = world.statement(DALI, id, of);
        delivery::answered(&world.office(DALI), &world.desks[DALI], from, &statement, answer).unwrap()
    };
    assert!(matches!(hears(KUNMING, first, &answer), Next::Ended(_)));
    assert_eq!(hears(KUNMING, second, &answer), Next::Later("receipt-other".into()));
    assert_eq!(hears(YUXI, first, &answer), Next::Later("receipt-other".into()), "signed by another");
    let Answer::Receipt(mut bytes) = answer else { panic!("a receipt is expected") };
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(hears(KUNMING, first, &Answer::Receipt(bytes)), Next::Later("statement-bad-signature".into()));
    let own = world.statement(DALI, id, first).bytes().to_vec();
    assert_eq!(hears(KUNMING, first, &Answer::Receipt(own)), Next::Later("receipt-expected".into()));
    assert_eq!(hears(KUNMING, first, &Answer::Ok), Next::Later("answer-unexpected".into()));
}

#[test]
fn an_issuer_that_became_custodian_takes_its_own_delivery_and_answers_others_itself() {
    let world = four();
    let id = volunteer(&world);
    let (made, _) = world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    world.settle();
    world.record(DALI, id, KUNMING, daily(101, 60)).unwrap();
    let pending = world.outbox(DALI).remove(0);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    world.carry_one(DALI, "accept");
    world.carry_one(KUNMING, "release");
    assert!(matches!(world.carry(&pending), Answer::Moved { ref to, .. } if *to == world.desks[DALI].name));
    world.settle();
    assert_eq!(world.totals(DALI, id).counted.0, 17_370);
    // A copy of the first through Chuxiong: Dali's own receipt, not the one Kunming gave it.
    post(&world, CHUXIONG, DALI, &world.statement(DALI, id, made));
    assert_eq!(outcome(&world.carry_one(CHUXIONG, "deliver")), accepted());
    assert!(world.waiting().is_empty());
    world.check(id);
}

#[test]
fn a_flood_of_held_deliveries_is_answered_busy() {
    let world = four();
    let id = world.open(KUNMING);
    for number in 0..=delivery::HELD_MAX as u64 {
        world.record(DALI, id, KUNMING, graded(number, 1, Grade::E)).unwrap();
    }
    let answers = world.send_all(DALI);
    let busy = answers.iter().filter(|a| **a == Answer::Busy).count();
    assert_eq!((busy, answers.len()), (1, delivery::HELD_MAX + 1));
}
