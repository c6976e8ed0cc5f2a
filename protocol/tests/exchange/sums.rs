//! What the fold counts across offices: overlaps, repeats, long days, stars.

use yunling_protocol::custody::giving;
use yunling_protocol::id::{DossierId, StatementId};
use yunling_protocol::message::Answer;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::office::DecideError;
use yunling_protocol::statement::{Body, Outcome, Redemption, Statement};

use crate::moving::{CHUXIONG, DALI, KUNMING, YUXI, four, moved, volunteer};
use crate::samples::{clock, daily, service};
use crate::world::World;

/// The outcome and reason of a receipt.
pub(crate) fn outcome(answer: &Answer) -> (Outcome, Option<String>) {
    let Answer::Receipt(bytes) = answer else { panic!("a receipt is expected, not {answer:?}") };
    match Statement::parse(bytes).unwrap().body {
        Body::Receipt(receipt) => (receipt.outcome, receipt.reason),
        other => panic!("a receipt is expected, not kind {}", other.kind()),
    }
}

/// The statement in the only delivery that waits at `at`.
pub(crate) fn delivered(world: &World, at: usize) -> StatementId {
    let packets = world.outbox(at);
    assert_eq!(packets.len(), 1);
    match packets[0].message().content {
        yunling_protocol::message::Content::Deliver { statement } => {
            yunling_protocol::statement::id_of(&statement)
        }
        other => panic!("a delivery is expected, not {other:?}"),
    }
}

#[test]
fn overlapping_hours_of_two_offices_count_once_s3() {
    let world = four();
    let id = world.open(KUNMING);
    let day = (2026, 5, 16);
    world.record(KUNMING, id, KUNMING, service(1, clock(day, 9, 0, 180), 180)).unwrap();
    world.record(YUXI, id, KUNMING, service(1, clock(day, 11, 0, 150), 150)).unwrap();
    world.settle();
    let check = |at: usize| {
        let t = world.totals(at, id);
        assert_eq!((t.stated.0, t.disputed.0, t.counted.0), (330, 60, 270));
        assert_eq!((t.attestations, t.overlapping.len()), (2, 1), "neither is dropped");
        assert_eq!(t.by_year.values().map(|m| m.0).sum::<u64>(), 270);
        assert_eq!(t.by_issuer.values().map(|m| m.0).sum::<u64>(), 270);
    };
    check(KUNMING);
    moved(&world, id, KUNMING, DALI);
    check(DALI);

    // The recorders decide: Yuxi corrects its time, and the dispute ends at the new custodian.
    let yuxi = world.desks[YUXI].name.clone();
    let dossier = world.dossier(DALI, id).unwrap();
    let (target, _) = dossier.hours().iter().find(|(_, h)| h.issuer == yuxi).unwrap();
    let when = Some(clock(day, 12, 0, 150));
    world.correct(YUXI, id, crate::changes::correction(*target, when, None)).unwrap();
    world.settle();
    let t = world.totals(DALI, id);
    assert_eq!((t.stated.0, t.disputed.0, t.counted.0), (330, 0, 330));
}

#[test]
fn an_overlap_is_flagged_to_the_clerk_who_records_it() {
    let world = four();
    let id = world.open(KUNMING);
    let day = (2026, 5, 16);
    let (_, flags) = world.record(KUNMING, id, KUNMING, service(1, clock(day, 9, 0, 180), 180)).unwrap();
    assert_eq!(flags, Vec::<&str>::new());
    let (_, flags) = world.record(KUNMING, id, KUNMING, service(2, clock(day, 11, 59, 60), 60)).unwrap();
    assert_eq!(flags, ["overlap"]);
    // The end is exclusive: work that follows at once does not overlap.
    let (_, flags) = world.record(KUNMING, id, KUNMING, service(3, clock(day, 12, 59, 60), 60)).unwrap();
    assert_eq!(flags, Vec::<&str>::new());
    assert_eq!(world.totals(KUNMING, id).disputed, Minutes(1));
}

#[test]
fn the_same_hours_twice_and_through_a_third_node_count_once_s4() {
    let world = four();
    let id = volunteer(&world);
    world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    let packet = world.outbox(DALI).remove(0);
    let statement = delivered(&world, DALI);
    world.settle();
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_310);
    let first = world.receive(KUNMING, &packet.bytes);
    assert_eq!(outcome(&first), (Outcome::Accepted, None));
    assert_eq!(world.receive(KUNMING, &packet.bytes), first, "a repeat gets the receipt of the first time");

    // Chuxiong passes a copy on; it is the same statement.
    crate::away::post(&world, CHUXIONG, KUNMING, &world.statement(DALI, id, statement));
    let answers = world.send_all(CHUXIONG);
    assert_eq!(answers, [first]);
    assert!(world.waiting().is_empty());
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_310);

    // Typed again by hand from the same record: refused where it was made.
    let again = world.record(DALI, id, KUNMING, daily(100, 60));
    assert_eq!(again, Err(DecideError::Rule("record-duplicate")));
    // Typed again by another office: an overlap, never a second hour.
    world.record(YUXI, id, KUNMING, daily(100, 60)).unwrap();
    world.settle();
    let t = world.totals(KUNMING, id);
    assert_eq!((t.counted.0, t.disputed.0, t.overlapping.len()), (17_310, 60, 1));
    world.check(id);
}

#[test]
fn one_record_signed_twice_is_a_repeat_until_the_first_is_void() {
    let world = four();
    let id = volunteer(&world);
    // Dali recorded it for Kunming, then became custodian and recorded it again before the first
    // statement had found its way.
    let (first, _) = world.record(DALI, id, KUNMING, daily(100, 60)).unwrap();
    world.silent.borrow_mut().insert(DALI);
    let packet = world.outbox(DALI).remove(0);
    world.silent.borrow_mut().clear();
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    crate::moving::until_accepted(&world, KUNMING, DALI, transfer);
    world.carry_one(DALI, "accept");
    world.carry_one(KUNMING, "release");
    let (second, _) = world.record(DALI, id, DALI, daily(100, 60)).unwrap();
    world.settle();
    assert_ne!(first, second);
    assert!(matches!(world.receive(KUNMING, &packet.bytes), Answer::Moved { .. }));
    let t = world.totals(DALI, id);
    assert_eq!((t.counted.0, t.repeated.0), (17_310, 60), "counted once, the other shown apart");
    world.check(id);
    world.void(DALI, id, second).unwrap();
    let t = world.totals(DALI, id);
    assert_eq!((t.counted.0, t.repeated.0, t.voided.0), (17_310, 0, 60));
    world.check(id);
}

#[test]
fn three_rescue_days_of_eleven_hours_are_accepted_and_flagged_s12() {
    let world = four();
    let id = world.open(KUNMING);
    for day in 21..24 {
        let rescue = service(u64::from(day), clock((2025, 5, day), 7, 0, 660), 660);
        let (_, flags) = world.record(DALI, id, KUNMING, rescue).unwrap();
        assert_eq!(flags, ["day-over-flag"]);
        let answers = world.send_all(DALI);
        assert_eq!(outcome(&answers[0]), (Outcome::Accepted, None));
    }
    assert!(world.waiting().is_empty());
    assert_eq!(world.totals(KUNMING, id).counted.hours_text(), "33.00");
    assert_eq!(world.totals(KUNMING, id).by_issuer.keys().next(), Some(&world.desks[DALI].name));
}

/// `at` settles a redemption of some hours, if the dossier is its own.
fn redeem(world: &World, at: usize, id: DossierId, hours: u64) -> Result<(), DecideError> {
    let office = world.office(at);
    let mut appender = giving::open(&office, &world.desks[at], id)?;
    let body = Redemption { minutes: Minutes(hours * 60), item: "家电维修".into(), number: 1 };
    appender.append(&office.state(&mut world.fresh(at), id, &Body::Redemption(body))?)?;
    world.commit(at, appender.finish().0).unwrap();
    Ok(())
}

#[test]
fn spent_hours_stay_spent_after_a_move_and_the_honour_total_never_falls_s17() {
    let world = four();
    let id = world.open(KUNMING);
    for number in 0..80 {
        world.record(KUNMING, id, KUNMING, daily(number, 240)).unwrap();
    }
    redeem(&world, KUNMING, id, 20).unwrap();
    let sums = |at: usize| {
        let t = world.totals(at, id);
        (t.counted.hours_text(), t.balance.hours_text(), t.stars_due)
    };
    assert_eq!(sums(KUNMING), ("320.00".into(), "300.00".into(), 2));
    moved(&world, id, KUNMING, DALI);
    assert_eq!(sums(DALI), ("320.00".into(), "300.00".into(), 2));
    // What was begun in Kunming cannot be settled there any more.
    assert_eq!(redeem(&world, KUNMING, id, 20), Err(DecideError::Rule("dossier-moved")));
    redeem(&world, DALI, id, 20).unwrap();
    assert_eq!(sums(DALI), ("320.00".into(), "280.00".into(), 2));
    world.check(id);
}
