//! A restored office that rejoins through the witnesses of its log, while others stay away for ever.

use yunling_protocol::id::DossierId;
use yunling_protocol::ledger::{self, Books as _};
use yunling_protocol::log::life::LifeRecord;
use yunling_protocol::log::witness::Seen;
use yunling_protocol::log::{Checkpoint, Origin, keep, rows};
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::proof::live::Issued;
use yunling_protocol::recovery::fence::Fence;
use yunling_protocol::recovery::rejoin::{self, Standing};
use yunling_protocol::status::Status;
use yunling_protocol::store::{Batch, Read as _, Store as _};

use crate::moving::{CHUXIONG, DALI, KUNMING, YUXI, moved, volunteer};
use crate::proofs::{at_least, prove, status};
use crate::restoring::{backup, restore};
use crate::samples::daily;
use crate::world::World;

const BAOSHAN: usize = 4;

/// Kunming's witnesses are Dali, Yuxi and Chuxiong, two of three; Baoshan is none.
fn five() -> World {
    World::witnessed(&["kunming", "dali", "yuxi", "chuxiong", "baoshan"], 3, 2)
}

fn fenced(world: &World, at: usize) -> bool {
    world.office(at).fenced
}

fn silence(world: &World, nodes: &[usize]) {
    *world.silent.borrow_mut() = nodes.iter().copied().collect();
}

fn is_closed(world: &World, at: usize, id: DossierId) -> bool {
    ledger::head_record(&world.desks[at], id).unwrap().is_some_and(|r| r.closed.is_some())
}

fn refused(world: &World, id: DossierId) -> &'static str {
    world.record(KUNMING, id, KUNMING, daily(901, 30)).unwrap_err().code()
}

/// Kunming has moved a dossier to Baoshan since the backup, and Baoshan burns down: only the witnesses are
/// left. `settled` ends with the fence open or not.
fn forgot_a_move_to_baoshan(world: &mut World, lost: &[usize]) -> (DossierId, DossierId, [Issued; 2]) {
    let (gone, stays) = (volunteer(world), volunteer(world));
    world.settle();
    let proofs = [gone, stays].map(|id| prove(world, KUNMING, id, at_least(60)));
    let old = backup(world, KUNMING);
    moved(world, gone, KUNMING, BAOSHAN);
    world.record(KUNMING, stays, KUNMING, daily(800, 20)).unwrap();
    world.settle();
    silence(world, lost);
    restore(world, KUNMING, &old, 7);
    world.rounds(8);
    (gone, stays, proofs)
}

#[test]
fn two_of_three_witnesses_open_the_fence_and_what_was_sealed_stays_closed_until_the_seal_is_found() {
    let mut world = five();
    let (gone, stays, proofs) = forgot_a_move_to_baoshan(&mut world, &[BAOSHAN, CHUXIONG]);
    assert!(!fenced(&world, KUNMING), "{:?}", world.standing(KUNMING));
    // Baoshan and Chuxiong are asked on for what they know, but nobody for a word that opens the fence.
    let asked = |word: &str| world.waiting().iter().filter(|waits| waits.ends_with(word)).count();
    assert_eq!((asked(": recovering"), asked(": rejoin")), (2, 0), "{:?}", world.waiting());
    let state = |id, proof| status(&world, KUNMING, id, proof);
    assert_eq!(state(gone, &proofs[0]), Status::Superseded);
    assert_eq!(state(stays, &proofs[1]), Status::Valid);
    // What was not sealed goes on at once; what was is closed, whatever is tried.
    assert!(world.record(KUNMING, stays, KUNMING, daily(901, 30)).is_ok());
    assert!(is_closed(&world, KUNMING, gone) && !is_closed(&world, KUNMING, stays));
    assert_eq!(refused(&world, gone), "dossier-closed");
    let slip = world.slip(KUNMING, gone, DALI).map(|_| ());
    assert_eq!(slip.map_err(|e| e.code()), Err("dossier-closed"));
    let fold = world.desks[KUNMING].dossier(gone, &YUNNAN).map(|_| ());
    assert_eq!(fold.map_err(|e| e.code()), Err("dossier-closed"), "no proof either");
    let listed = rejoin::closed(&world.desks[KUNMING]).unwrap();
    assert_eq!(listed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [gone]);
    assert_eq!(world.custodians(gone), [BAOSHAN]);

    // The new log names the newest checkpoint of the one before, with the entries the backup lacked.
    let key = rows::life_key(2);
    let record = world.desks[KUNMING].get(key.table, &key.key).unwrap().expect("the log began");
    let (origin, size, _) = LifeRecord::decode(&record).unwrap().closes.expect("a log before");
    let whole = keep::head(&world.desks[KUNMING], 1).unwrap().unwrap();
    assert_eq!((origin.generation, size), (1, whole.frontier.size()));
    let lost = |world: &World| {
        world.desks[KUNMING]
            .scan(yunling_protocol::store::Table::Log, rows::LOST_PREFIX, None, 100)
            .unwrap()
            .len()
    };
    assert!(lost(&world) >= 3, "consent, seal and hour");

    // Baoshan is found again: it was asked all the time, and tells the seal.
    let before = lost(&world);
    silence(&world, &[]);
    world.settle();
    assert!(!is_closed(&world, KUNMING, gone) && rejoin::closed(&world.desks[KUNMING]).unwrap().is_empty());
    assert!(lost(&world) < before, "the seal has come back");
    assert_eq!(refused(&world, gone), "dossier-moved");
    assert!(Fence::load_asking(&world.desks[KUNMING]).unwrap().is_none(), "all have told");
    moved(&world, gone, BAOSHAN, KUNMING);
    world.record(KUNMING, gone, KUNMING, daily(902, 5)).unwrap();
}

#[test]
fn one_witness_of_three_is_not_enough_whichever_it_is() {
    for speaks in [DALI, YUXI, CHUXIONG] {
        let mut world = five();
        let silent: Vec<usize> =
            [BAOSHAN, DALI, YUXI, CHUXIONG].into_iter().filter(|w| *w != speaks).collect();
        let (gone, ..) = forgot_a_move_to_baoshan(&mut world, &silent);
        let standing = world.standing(KUNMING).unwrap();
        assert!(fenced(&world, KUNMING));
        assert_eq!((standing.rules[0].need, standing.rules[0].of), (2, 3));
        assert_eq!(standing.rules[0].heard, [world.desks[speaks].name.clone()]);
        assert_eq!(refused(&world, gone), "fenced");
    }
}

#[test]
fn whichever_witness_slept_when_the_seal_was_cosigned_the_others_show_it() {
    for (slept, answer) in [(DALI, [DALI, YUXI]), (YUXI, [YUXI, CHUXIONG]), (CHUXIONG, [DALI, CHUXIONG])] {
        let mut world = five();
        let gone = volunteer(&world);
        world.settle();
        let old = backup(&world, KUNMING);
        let slip = world.slip(KUNMING, gone, BAOSHAN).unwrap();
        world.ask(BAOSHAN, KUNMING, &slip).unwrap();
        // One witness of three (k − 1) never hears of the seal.
        silence(&world, &[slept]);
        world.rounds(12);
        assert_eq!(world.custodians(gone), [BAOSHAN]);
        let silent: Vec<usize> =
            [BAOSHAN, DALI, YUXI, CHUXIONG].into_iter().filter(|w| !answer.contains(w)).collect();
        silence(&world, &silent);
        restore(&mut world, KUNMING, &old, 7);
        world.rounds(8);
        assert!(!fenced(&world, KUNMING), "{:?}", world.standing(KUNMING));
        assert!(is_closed(&world, KUNMING, gone), "asleep: {slept}");
        assert_eq!(world.custodians(gone), [BAOSHAN]);
    }
}

#[test]
fn a_witness_that_is_fenced_itself_does_not_count() {
    let mut world = five();
    let gone = volunteer(&world);
    world.settle();
    let (old, old_dali) = (backup(&world, KUNMING), backup(&world, DALI));
    moved(&world, gone, KUNMING, BAOSHAN);
    // Dali forgot too, and Dali's own witnesses are away: Kunming and Yuxi are left of its three.
    silence(&world, &[BAOSHAN, CHUXIONG]);
    restore(&mut world, DALI, &old_dali, 9);
    restore(&mut world, KUNMING, &old, 7);
    world.rounds(10);
    assert!(fenced(&world, KUNMING) && fenced(&world, DALI));
    let standing = world.standing(KUNMING).unwrap();
    assert_eq!(standing.rules[0].heard, [world.desks[YUXI].name.clone()]);
    // Chuxiong comes back: both rejoin, and what the other forgot hides nothing.
    silence(&world, &[BAOSHAN]);
    world.rounds(10);
    assert!(!fenced(&world, KUNMING) && !fenced(&world, DALI));
    assert!(is_closed(&world, KUNMING, gone));
    silence(&world, &[]);
    world.settle();
    assert_eq!(world.custodians(gone), [BAOSHAN]);
}

#[test]
fn witnesses_that_have_answered_cosign_no_older_life() {
    let mut world = five();
    volunteer(&world);
    world.settle();
    let old = backup(&world, KUNMING);
    let head = keep::head(&world.desks[KUNMING], 1).unwrap().unwrap();
    assert!(world.cosign(DALI, KUNMING, &head).is_ok(), "the same checkpoint again");
    silence(&world, &[BAOSHAN]);
    let before = world.desks[KUNMING].store.clone();
    restore(&mut world, KUNMING, &old, 7);
    world.rounds(8);
    assert!(!fenced(&world, KUNMING));
    // A copy of the old life still runs somewhere and asks for a cosignature.
    let new = std::mem::replace(&mut world.desks[KUNMING].store, before);
    for witness in [DALI, YUXI, CHUXIONG] {
        assert_eq!(world.cosign(witness, KUNMING, &head), Err(404), "promised");
    }
    world.desks[KUNMING].store = new;
    let head = keep::head(&world.desks[KUNMING], 2).unwrap().unwrap();
    assert!(world.cosign(DALI, KUNMING, &head).is_ok());
}

#[test]
fn a_cosignature_and_a_promise_do_not_pass_one_another() {
    let mut world = five();
    volunteer(&world);
    world.settle();
    let old = backup(&world, KUNMING);
    restore(&mut world, KUNMING, &old, 7);
    let question = world.outbox(KUNMING).into_iter().find(|p| p.word() == "rejoin").expect("asked");
    let witness = question.to;
    let vouched = world.decide(witness, &question.bytes);
    // Between reading and writing the witness cosigned more of the old life.
    let origin = Origin { node: world.desks[KUNMING].name.clone(), generation: 1 };
    let key = rows::witnessed_key(&origin.hash());
    let seen = world.desks[witness].get(key.table, &key.key).unwrap().unwrap();
    let seen = Seen { size: 10_000, ..Seen::decode(&seen).unwrap() };
    let mut more = Batch::new();
    more.set(key.table, key.key, seen.encode());
    world.write(witness, more);
    assert!(world.desks[witness].store.commit(vouched.batch).is_err(), "decided again");

    // And the other way: the guard of a cosignature expects that no promise was made.
    let mut guard = Batch::new();
    assert!(rejoin::may_cosign(&world.desks[witness], &origin, &mut guard).unwrap());
    let vouched = world.decide(witness, &question.bytes);
    world.write(witness, vouched.batch);
    guard.set(yunling_protocol::store::Table::Log, &b"test"[..], vec![1]);
    assert!(world.desks[witness].store.commit(guard).is_err());
    assert!(!rejoin::may_cosign(&world.desks[witness], &origin, &mut Batch::new()).unwrap());
}

#[test]
fn entries_that_are_not_those_of_the_named_checkpoint_are_refused() {
    let mut world = five();
    let (gone, old) = (volunteer(&world), {
        world.settle();
        backup(&world, KUNMING)
    });
    moved(&world, gone, KUNMING, BAOSHAN);
    silence(&world, &[BAOSHAN]);
    restore(&mut world, KUNMING, &old, 7);
    for at in [KUNMING, DALI, YUXI] {
        world.send_all(at);
    }
    let standing = world.standing(KUNMING).filter(Standing::heard).expect("two of three have answered");
    assert!(!standing.enough(), "the entries are missing");
    let log = standing.lacks().next().unwrap().clone();
    let good = world.handed_over(&log);
    let import = |log: &rejoin::Newest, entries: &[Vec<u8>]| {
        rejoin::import(&world.desks[KUNMING], log, entries).map(|_| ()).map_err(|e| e.code())
    };
    // A witness that hides the seal behind another entry, hides the last one, or adds one.
    let seal = good.iter().position(|entry| entry[1] == 2).expect("a seal");
    let mut hidden = good.clone();
    hidden[seal] = hidden[0].clone();
    assert_eq!(import(&log, &hidden), Err("rejoin-entries"));
    assert_eq!(import(&log, &good[..good.len() - 1]), Err("rejoin-entries"));
    assert_eq!(import(&log, &[good.clone(), vec![good[0].clone()]].concat()), Err("rejoin-entries"));
    // Another witness named another root on the way.
    let mut forked = log.clone();
    forked.named.insert((log.have + 1, [5; 32]));
    assert_eq!(import(&forked, &good), Err("rejoin-forked"));
    assert_eq!(import(&log, &good), Ok(()));
    let two_of_one_size = Standing {
        logs: vec![{
            let mut forked = log.clone();
            forked.named.insert((log.size, [5; 32]));
            rejoin::Newest { have: log.size, ..forked }
        }],
        ..standing.clone()
    };
    assert!(two_of_one_size.forked() && !two_of_one_size.enough());
}

#[test]
fn what_a_witness_says_counts_for_one_life_and_only_with_the_log_key() {
    let mut world = five();
    volunteer(&world);
    world.settle();
    let old = backup(&world, KUNMING);
    restore(&mut world, KUNMING, &old, 1);
    world.send_all(KUNMING);
    let slow = world.outbox(DALI).into_iter().find(|p| p.word() == "vouch").expect("dali answers");
    // The same backup once more, before anybody was heard.
    restore(&mut world, KUNMING, &old, 2);
    world.receive(KUNMING, &slow.bytes);
    assert!(world.standing(KUNMING).unwrap().rules[0].heard.is_empty(), "said to another life");

    let life = world.life(KUNMING);
    let vouch = |logs: Vec<Vec<u8>>, roster: u64| {
        let mut batch = Batch::new();
        let content = yunling_protocol::message::Content::Vouch { roster, logs };
        let (to, transfer) = (&world.desks[KUNMING].name, yunling_protocol::id::TransferId(life.mark));
        let nothing = DossierId([0; 16]);
        world.office(DALI).post(&mut batch, to, nothing, life.generation, transfer, content).unwrap();
        let entry = batch.put[0].value().unwrap();
        let bytes = yunling_protocol::office::OutboxEntry::decode(entry).unwrap().message;
        world.receive(KUNMING, &bytes)
    };
    let unsigned = yunling_protocol::message::Answer::Refused("checkpoint-unsigned".into());
    let other = crate::world::role_key(&world.desks[DALI].name, yunling_protocol::key::Role::Log);
    let forged = Checkpoint::new("kunming/1", 3, [1; 32]).sign(&other).unwrap().render().into_bytes();
    assert_eq!(vouch(vec![forged], 1), unsigned);
    let good = keep::head(&world.desks[KUNMING], 1).unwrap().unwrap().note.into_bytes();
    assert_eq!(vouch(vec![good.clone(), good.clone()], 1), unsigned, "each log once");
    vouch(vec![good.clone()], 2);
    assert!(world.standing(KUNMING).unwrap().rules[0].heard.is_empty(), "it knows a newer roster");
    vouch(vec![good], 1);
    assert_eq!(world.standing(KUNMING).unwrap().rules[0].heard, [world.desks[DALI].name.clone()]);
}

#[test]
fn witnesses_named_since_the_backup_are_asked_beside_those_of_its_time() {
    let mut world = World::witnessed(&["kunming", "dali", "yuxi", "chuxiong", "baoshan"], 1, 1);
    let gone = volunteer(&world);
    world.settle();
    let old = backup(&world, KUNMING);
    world.wait(60);
    world.new_witness(KUNMING, CHUXIONG);
    moved(&world, gone, KUNMING, BAOSHAN);
    silence(&world, &[BAOSHAN, CHUXIONG]);
    // The backup's own time: its fence begins where version 1 was in force.
    restore(&mut world, KUNMING, &old, 7);
    let (mut fence, _) = Fence::load(&world.desks[KUNMING]).unwrap().unwrap();
    fence.made_at = crate::samples::BEGIN;
    let mut batch = Batch::new();
    let key = yunling_protocol::recovery::fence::fence_key();
    batch.set(key.table, key.key, fence.encode());
    world.write(KUNMING, batch);
    world.rounds(6);
    assert!(fenced(&world, KUNMING), "the witness of today has not answered");
    assert_eq!(world.standing(KUNMING).unwrap().rules.len(), 2);
    silence(&world, &[BAOSHAN, DALI]);
    world.rounds(6);
    // Dali has answered before.
    assert!(!fenced(&world, KUNMING));
    assert!(is_closed(&world, KUNMING, gone));
}

#[test]
fn a_release_of_a_dossier_that_came_and_left_since_the_backup_is_not_taken_again() {
    let mut world = five();
    let id = volunteer(&world);
    moved(&world, id, KUNMING, YUXI);
    // The copy is accepted and the release on its way when the backup is made.
    let slip = world.slip(YUXI, id, KUNMING).unwrap();
    let transfer = world.ask(KUNMING, YUXI, &slip).unwrap();
    crate::moving::until_accepted(&world, YUXI, KUNMING, transfer);
    let accepted = backup(&world, KUNMING);
    world.settle();
    moved(&world, id, KUNMING, BAOSHAN);
    // Yuxi gave it and owes it again; Baoshan, which has it now, is away.
    silence(&world, &[BAOSHAN]);
    restore(&mut world, KUNMING, &accepted, 6);
    world.rounds(12);
    assert!(!fenced(&world, KUNMING));
    assert_eq!(world.custodians(id), [BAOSHAN], "kunming would hold it a second time");
    silence(&world, &[]);
    world.settle();
    assert_eq!(world.custodians(id), [BAOSHAN]);
}

#[test]
fn an_office_without_named_witnesses_asks_everybody_as_before() {
    let mut world = crate::moving::four();
    let id = volunteer(&world);
    let old = backup(&world, KUNMING);
    moved(&world, id, KUNMING, DALI);
    restore(&mut world, KUNMING, &old, 7);
    assert_eq!(world.standing(KUNMING), None);
    assert!(world.outbox(KUNMING).iter().all(|p| p.word() == "recovering"));
    // A repaired one knows of no time before which it forgot nothing.
    let mut world = five();
    let old = backup(&world, KUNMING);
    restore(&mut world, KUNMING, &old, 7);
    let (fence, _) = Fence::load(&world.desks[KUNMING]).unwrap().unwrap();
    let repaired = Fence { made_at: yunling_protocol::day::UnixTime(0), ..fence };
    assert_eq!(rejoin::standing(&world.office(KUNMING), &world.desks[KUNMING], &repaired), Ok(None));
}
