//! Hours of a suspended issuer: in dispute by the time they were received here, for as long as it is suspended.

use yunling_protocol::day::UnixTime;
use yunling_protocol::dispute;
use yunling_protocol::dossier::{Disputes, Totals};
use yunling_protocol::id::DossierId;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::roster::State;

use crate::moving::{CHUXIONG, DALI, KUNMING, YUXI, moved};
use crate::samples::daily;
use crate::takeover::scene::{listed, set_state};
use crate::world::World;

const DAY: i64 = 86_400;

fn shown(world: &World, at: usize, id: DossierId) -> (Disputes, Totals) {
    let dossier = world.dossier(at, id).unwrap();
    let disputes = dispute::of(&world.office(at), &world.desks[at], &dossier).unwrap();
    let totals = dossier.totals_within(&YUNNAN, u64::MAX, &disputes);
    (disputes, totals)
}

#[test]
fn what_was_received_after_the_date_of_a_suspension_is_stated_and_not_counted_until_it_is_lifted() {
    let (mut world, mut chain) = listed();
    let id = world.open(KUNMING);
    world.record(KUNMING, id, KUNMING, daily(0, 120)).unwrap();
    world.record(YUXI, id, KUNMING, daily(50, 60)).unwrap();
    world.settle();
    let gone = world.open(KUNMING);
    world.record(YUXI, gone, KUNMING, daily(50, 60)).unwrap();
    world.settle();
    moved(&world, gone, KUNMING, CHUXIONG);
    world.wait(5 * DAY);
    let from = world.now.get();
    world.wait(5 * DAY);
    let (late, _) = world.record(YUXI, id, KUNMING, daily(51, 30)).unwrap();
    let (away, _) = world.record(YUXI, gone, CHUXIONG, daily(51, 30)).unwrap();
    world.settle();
    let whole = world.totals(KUNMING, id);
    assert_eq!(shown(&world, KUNMING, id), (Disputes::new(), whole.clone()), "nobody is suspended");

    set_state(&mut world, &mut chain, YUXI, State::Suspended, from);
    let (disputes, totals) = shown(&world, KUNMING, id);
    assert_eq!(disputes, Disputes::from([late]));
    assert_eq!((totals.stated, totals.disputed, totals.suspended), (whole.stated, Minutes(30), Minutes(30)));
    assert_eq!(totals.counted.0, whole.counted.0 - 30);
    assert_eq!(totals.by_issuer[&world.desks[YUXI].name], Minutes(60));
    assert_eq!(world.totals(KUNMING, id), whole, "the fold depends on statements alone");
    // Where a copy was taken in before the date, what came with it counts; what came later does not.
    assert_eq!(shown(&world, CHUXIONG, gone).0, Disputes::from([away]));
    // A copy taken in after it cannot show that anything in it is older.
    moved(&world, id, KUNMING, DALI);
    assert_eq!(shown(&world, DALI, id).0.len(), 2);

    world.wait(DAY);
    let now = world.now.get();
    set_state(&mut world, &mut chain, YUXI, State::Active, now);
    for (at, dossier) in [(DALI, id), (CHUXIONG, gone)] {
        assert_eq!(shown(&world, at, dossier).0, Disputes::new(), "lifted");
    }
    // From another date than any of them came, nothing is in dispute.
    world.wait(DAY);
    let now = UnixTime(world.now.get().0 - 60);
    set_state(&mut world, &mut chain, YUXI, State::Suspended, now);
    assert_eq!(shown(&world, CHUXIONG, gone).0, Disputes::new());
}
