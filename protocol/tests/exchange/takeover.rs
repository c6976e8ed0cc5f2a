//! A custodian that is gone: its dossier goes to the node that the roster names, once every member was told
//! and nothing that the gone node signed speaks against it.

#[path = "takeover/scene.rs"]
pub(crate) mod scene;

use scene::{announce, complete, gone, listed, notice, own_bundle, put_together, rule, succeed, volunteer};

use yunling_protocol::bundle::Bundle;
use yunling_protocol::custody::takeover::act::{self, Heard};
use yunling_protocol::custody::takeover::chain::assemble;
use yunling_protocol::custody::takeover::{Assembled, NOTICE_SECONDS, Search, Searched, noticed, pending};
use yunling_protocol::custody::taking::verify_copied;
use yunling_protocol::day::UnixTime;
use yunling_protocol::delivery::{self, Next};
use yunling_protocol::dossier::{Custody, FoldError};
use yunling_protocol::id::{ChainHead, DossierId, DossierKey, StatementId};
use yunling_protocol::ledger::{self, HeadRecord};
use yunling_protocol::log::Entry;
use yunling_protocol::log::merkle::Frontier;
use yunling_protocol::message::{Answer, Content};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::office::{Office, Vault};
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::register;
use yunling_protocol::roster::LastCheckpoint;
use yunling_protocol::statement::{Body, Outcome, Receipt, Statement, Takeover, id_of};
use yunling_protocol::store::{Batch, Key, Read, SCAN_ITEMS_MAX, Table};

use crate::moving::{CHUXIONG, DALI, KUNMING, YUXI, moved};
use crate::samples::{daily, name};
use crate::world::{PROFILE, PlainVault, World};

#[test]
fn a_takeover_stands_where_a_seal_would_and_the_dossier_goes_on_from_there() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    let sums = world.totals(KUNMING, id);
    // A service that Yuxi recorded when Kunming no longer answered.
    gone(&mut world);
    world.record(YUXI, id, KUNMING, daily(51, 30)).unwrap();
    succeed(&mut world, &mut chain, DALI, None);
    let assembled = put_together(&world, &bundle).unwrap();
    let announced = announce(&world, &assembled, None).unwrap();
    let told: Vec<usize> = world.outbox(DALI).iter().map(|p| p.to).collect();
    assert_eq!(told, [CHUXIONG, KUNMING, YUXI], "every member, and the gone node should it still run");
    assert_eq!(notice(&world, YUXI), (Answer::Ok, None));
    assert_eq!(notice(&world, CHUXIONG), (Answer::Ok, None));

    // Nothing before the notice ended: no append, no takeover.
    let early = world.record(DALI, id, DALI, daily(60, 45));
    assert_eq!(rule(early), "dossier-unknown");
    world.now.set(UnixTime(announced.pending.ends.0 - 1));
    assert_eq!(rule(complete(&world, id)), "takeover-notice");
    world.now.set(announced.pending.ends);
    let dossier = complete(&world, id).unwrap();
    assert!(dossier.rebuilt());
    assert_eq!((dossier.epoch(), dossier.seals().len()), (1, 1));
    assert_eq!(*dossier.custody(), Custody::Open(world.desks[DALI].name.clone()));
    assert_eq!(dossier.totals(&YUNNAN), sums, "what was taken over counts as before");
    assert_eq!(rule(complete(&world, id)), "takeover-unknown", "once");
    assert!(world.outbox(DALI).is_empty(), "nobody is told any more");
    for pending in pending::all(&world.desks[DALI]).unwrap() {
        for _ in 0..2 {
            world.commit(DALI, pending::erase(&world.desks[DALI], &pending).unwrap()).unwrap();
        }
    }
    assert!(world.desks[DALI].scan(Table::Staged, b"", None, 1).unwrap().is_empty());

    // The successor appends; what waited for the gone node follows the roster.
    world.record(DALI, id, DALI, daily(60, 45)).unwrap();
    let packet = world.outbox(YUXI).into_iter().find(|p| p.to == KUNMING).unwrap();
    let Content::Deliver { statement } = packet.message().content else { panic!("a delivery waits") };
    let gone = &world.desks[KUNMING].name;
    let batch = delivery::follow_successor(&world.office(YUXI), gone, &statement).unwrap().unwrap();
    world.commit(YUXI, batch).unwrap();
    world.settle();
    assert_eq!(world.totals(DALI, id).counted.0, sums.counted.0 + 45 + 30);

    // A third office verifies the whole line, the takeover in it.
    moved(&world, id, DALI, CHUXIONG);
    let there = world.dossier(CHUXIONG, id).unwrap();
    assert!(there.rebuilt(), "for ever");
    assert_eq!((there.epoch(), there.seals().len()), (2, 2));
    // And who still asks the successor is told where it went, with the takeover in the line of seals.
    world.record(YUXI, id, DALI, daily(52, 15)).unwrap();
    world.settle();
    assert_eq!(world.totals(CHUXIONG, id).counted.0, sums.counted.0 + 45 + 30 + 15);
    let key = yunling_protocol::office::secrets_key(id);
    let stored = world.desks[CHUXIONG].get(key.table, &key.key).unwrap().unwrap();
    assert_eq!(PlainVault.open(id, &stored).unwrap().profile.as_deref(), Some(PROFILE));
}

#[test]
fn without_the_rosters_word_nobody_takes_anything_over() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    let assembled_by = |world: &World, at: usize| {
        let old = &world.desks[KUNMING].name;
        assemble(&world.office(at), &world.desks[at], old, std::slice::from_ref(&bundle)).map(drop)
    };
    assert_eq!(rule(assembled_by(&world, DALI)), "takeover-not-successor");
    // Whoever asks for objections to a takeover that the roster does not know is told nothing.
    let notice = |world: &World, from: usize| {
        let content = Content::Notice {
            old: world.desks[KUNMING].name.clone(),
            head: bundle.head,
            count: 1,
            ends: world.now.get(),
        };
        let mut batch = Batch::default();
        let to = &world.desks[YUXI].name;
        let transfer = yunling_protocol::id::TransferId([7; 16]);
        world.office(from).post(&mut batch, to, id, 0, transfer, content).unwrap();
        world.commit(from, batch).unwrap();
        world.carry_one(from, "notice")
    };
    assert_eq!(notice(&world, CHUXIONG), Answer::Refused("takeover-unproven".into()));
    let until = LastCheckpoint { origin: "kunming/1".into(), size: 9, root: [5; 32] };
    succeed(&mut world, &mut chain, DALI, Some(until));
    assert_eq!(rule(assembled_by(&world, CHUXIONG)), "takeover-not-successor");
    assert_eq!(rule(assembled_by(&world, KUNMING)), "self-succeeded");
    assert_eq!(notice(&world, CHUXIONG), Answer::Refused("takeover-unproven".into()));
    assert!(matches!(notice(&world, DALI), Answer::Changes(_)), "the successor is told");

    // A takeover that somebody signed all the same.
    let dossier = world.dossier(KUNMING, id).unwrap();
    let totals = dossier.totals(&YUNNAN);
    let announced = world.now.get();
    let right = Takeover {
        epoch: 0,
        transfer: yunling_protocol::id::TransferId([9; 16]),
        head: dossier.head(),
        count: dossier.length(),
        minutes: totals.counted,
        balance: totals.balance,
        from: name("kunming"),
        searched: Some(("kunming/1".into(), 9)),
        nullifier: [1; 32],
        announced,
        notice_ends: UnixTime(announced.0 + NOTICE_SECONDS),
    };
    let judge = |by: usize, body: Takeover| {
        let made = world.office(by).state(&mut world.fresh(by), id, &Body::Takeover(body)).unwrap();
        let proven = verify_copied(&world.members, made.bytes(), false, world.now.get()).map(drop);
        let mut dossier = (*dossier).clone();
        (proven, dossier.apply(&made, &YUNNAN).map(drop))
    };
    let mismatch = |what| Err(FoldError::TakeoverMismatch(what));
    assert_eq!(judge(DALI, right.clone()), (Err("takeover-notice"), mismatch("notice")));
    world.now.set(right.notice_ends);
    assert_eq!(judge(DALI, right.clone()), (Ok(()), Ok(())));
    assert_eq!(judge(YUXI, right.clone()).0, Err("takeover-unproven"), "not the successor");
    assert_eq!(judge(KUNMING, right.clone()).1, mismatch("custodian"), "nobody succeeds itself");
    for searched in [None, Some(("kunming/1".into(), 8)), Some(("kunming/2".into(), 9))] {
        assert_eq!(judge(DALI, Takeover { searched, ..right.clone() }).0, Err("takeover-unproven"));
    }
    let short = UnixTime(right.announced.0 + 1);
    for (wrong, what) in [
        (Takeover { from: name("yuxi"), ..right.clone() }, "custodian"),
        (Takeover { epoch: 1, ..right.clone() }, "epoch"),
        (Takeover { count: right.count - 1, ..right.clone() }, "count"),
        (Takeover { head: ChainHead([0; 32]), ..right.clone() }, "head"),
        (Takeover { minutes: Minutes(1), ..right.clone() }, "minutes"),
        (Takeover { balance: Minutes(1), ..right.clone() }, "balance"),
        (Takeover { announced: short, ..right.clone() }, "notice"),
    ] {
        assert_eq!(judge(DALI, wrong).1, mismatch(what));
    }
}

#[test]
fn a_shorter_bundle_is_completed_by_what_the_old_custodian_signed_and_never_believed() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    let vouchless = Bundle { own: None, ..bundle.clone() };
    // After the bundle was made: one more from Yuxi, which holds the receipt, and one from Dali.
    world.record(YUXI, id, KUNMING, daily(51, 30)).unwrap();
    world.settle();
    world.record(DALI, id, KUNMING, daily(52, 15)).unwrap();
    world.settle();
    let whole = world.dossier(KUNMING, id).unwrap();
    gone(&mut world);
    succeed(&mut world, &mut chain, DALI, None);
    assert_eq!(rule(put_together(&world, &vouchless)), "takeover-no-key");
    let cut = Bundle {
        statements: bundle.statements[..3].to_vec(),
        head: world_head(&bundle, 3),
        ..bundle.clone()
    };
    assert_eq!(rule(put_together(&world, &cut)), "takeover-head-unsigned");

    // Dali's own receipt names a longer chain than it can put together.
    let assembled = put_together(&world, &bundle).unwrap();
    assert_eq!((assembled.dossier.length() + 2, assembled.need), (whole.length(), whole.length()));
    assert_eq!(rule(announce(&world, &assembled, None)), "takeover-shorter");

    // With what Yuxi holds it is whole: as if its bundle came along.
    let told = yuxis_word(&world, id);
    let mut statements = bundle.statements.clone();
    statements.extend(told.iter().filter(|s| is_hour(s)).cloned());
    let receipt = told.iter().find(|s| !is_hour(s)).cloned().unwrap();
    let own = yunling_protocol::bundle::Own { receipt, ..bundle.own.clone().unwrap() };
    let head = world_head(&Bundle { statements: statements.clone(), ..bundle.clone() }, statements.len());
    let longer = Bundle { dossier: id, head, statements, own: Some(own) };
    let assembled = put_together(&world, &longer).unwrap();
    assert_eq!(assembled.dossier.head(), whole.head(), "completed by Dali's own statement and receipt");
    announce(&world, &assembled, None).unwrap();
    assert_eq!(notice(&world, YUXI), (Answer::Ok, None), "nothing longer is known");
    world.wait(NOTICE_SECONDS);
    assert_eq!(complete(&world, id).unwrap().totals(&YUNNAN), whole.totals(&YUNNAN));
}

fn is_hour(bytes: &[u8]) -> bool {
    matches!(Statement::parse(bytes).unwrap().body, Body::Attestation(_))
}

/// The newest receipt that Yuxi holds, and what it is for.
fn yuxis_word(world: &World, id: DossierId) -> Vec<Vec<u8>> {
    let rows = world.desks[YUXI].scan(Table::Beside, id.as_bytes(), None, SCAN_ITEMS_MAX).unwrap();
    let newest = rows.into_iter().map(|(_, bytes)| bytes).max_by_key(|bytes| {
        let Body::Receipt(receipt) = Statement::parse(bytes).unwrap().body else { panic!("a receipt") };
        receipt.state.unwrap().1
    });
    let receipt = newest.unwrap();
    let Body::Receipt(body) = Statement::parse(&receipt).unwrap().body else { panic!("a receipt") };
    vec![receipt, world.statement(YUXI, id, body.target).bytes().to_vec()]
}

fn world_head(bundle: &Bundle, length: usize) -> ChainHead {
    let ids = bundle.statements[..length].iter().map(|s| id_of(s));
    let empty = yunling_protocol::dossier::empty_head(bundle.dossier);
    ids.fold(empty, yunling_protocol::dossier::next_head)
}

#[test]
fn a_member_that_holds_a_newer_head_completes_the_chain_while_the_notice_runs() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    world.record(YUXI, id, KUNMING, daily(51, 30)).unwrap();
    world.settle();
    // One that only Kunming has, and one more of Chuxiong behind it.
    let whole = world.dossier(KUNMING, id).unwrap();
    world.record(KUNMING, id, KUNMING, daily(3, 120)).unwrap();
    world.record(CHUXIONG, id, KUNMING, daily(70, 10)).unwrap();
    world.settle();
    let rest = own_bundle(&world, KUNMING, id);
    gone(&mut world);
    succeed(&mut world, &mut chain, DALI, None);
    let assembled = put_together(&world, &bundle).unwrap();
    announce(&world, &assembled, None).unwrap();
    let (answer, heard) = notice(&world, YUXI);
    assert!(matches!(answer, Answer::Changes(told) if told.len() == 2), "a receipt and its statement");
    assert_eq!(heard, Some(Heard::More));
    assert_eq!(notice(&world, YUXI), (Answer::Ok, None), "asked again with the longer chain");
    let pending = pending::Loaded::of(&world.desks[DALI], id).unwrap().unwrap().pending;
    assert_eq!((pending.head, pending.need), (whole.head(), whole.length()));

    // Chuxiong's receipt names a chain with a statement in it that nobody showed.
    assert_eq!(notice(&world, CHUXIONG).1, Some(Heard::More));
    assert_eq!(notice(&world, CHUXIONG).1, Some(Heard::Unproven), "nothing new");
    // Nor does a statement count that the gone node never receipted.
    let (junk, _) = world.record(CHUXIONG, id, KUNMING, daily(71, 10)).unwrap();
    let junk = vec![world.statement(CHUXIONG, id, junk).bytes().to_vec()];
    let (office, books) = (world.office(DALI), &world.desks[DALI]);
    let heard = act::heard(&office, books, &PlainVault, &world.desks[CHUXIONG].name, id, &junk).unwrap();
    assert_eq!((heard.1, heard.0.put.len()), (Heard::Unproven, 0));
    world.wait(NOTICE_SECONDS);
    assert_eq!(rule(complete(&world, id)), "takeover-shorter");
    // The old data turned up: announced again it adds to the notice that ran, and is whole.
    let assembled = put_together(&world, &rest).unwrap();
    let again = announce(&world, &assembled, None).unwrap();
    assert_eq!((again.pending.announced, again.pending.id), (pending.announced, pending.id));
    let dossier = complete(&world, id).unwrap();
    assert_eq!(dossier.length(), rest.statements.len() as u64 + 1);
}

#[test]
fn a_dossier_that_was_sealed_away_is_not_taken_over_whoever_shows_it() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    moved(&world, id, KUNMING, YUXI);
    let sealed = own_bundle(&world, YUXI, id);
    gone(&mut world);
    succeed(&mut world, &mut chain, DALI, None);
    assert_eq!(rule(put_together(&world, &sealed)), "takeover-other-custodian");
    let assembled = put_together(&world, &bundle).unwrap();
    announce(&world, &assembled, None).unwrap();
    assert_eq!(notice(&world, CHUXIONG), (Answer::Ok, None));
    assert_eq!(notice(&world, YUXI).1, Some(Heard::Stopped), "it holds the seal");
    world.wait(NOTICE_SECONDS);
    assert_eq!(rule(complete(&world, id)), "takeover-stopped");
    assert_eq!(rule(announce(&world, &assembled, None)), "takeover-stopped");
    assert_eq!(rule(put_together(&world, &bundle)), "takeover-sealed-away", "the seal was kept");
    assert!(world.outbox(DALI).is_empty(), "nobody is told any more");
    world.check(id);
    // What verifies but was not signed by the gone node says nothing.
    let batch = act::cancel(&world.office(DALI), &world.desks[DALI], id).unwrap();
    world.commit(DALI, batch).unwrap();
    assert_eq!(rule(complete(&world, id)), "takeover-unknown");
}

/// Entries of Kunming's log with a checkpoint after the first `size`.
fn log_of(entries: &[Entry], size: usize) -> (Vec<Vec<u8>>, LastCheckpoint) {
    let bytes: Vec<Vec<u8>> = entries.iter().map(|e| e.encode().unwrap()).collect();
    let mut log = Frontier::new();
    for entry in &bytes[..size] {
        log.append(entry).unwrap();
    }
    (bytes, LastCheckpoint { origin: "kunming/1".into(), size: size as u64, root: log.root() })
}

fn search(
    assembled: &Assembled,
    entries: &[Vec<u8>],
    until: &LastCheckpoint,
) -> Result<Searched, &'static str> {
    let mut search = Search::new(assembled, until);
    for entry in entries {
        search.entry(entry)?;
    }
    search.finish()
}

#[test]
fn the_gone_nodes_log_is_searched_up_to_the_checkpoint_that_counts() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    let key = bundle.own.as_ref().unwrap().key.clone();
    let hour = world.dossier(KUNMING, id).unwrap();
    let hour = *hour.hours().iter().find(|(_, h)| h.issuer == name("kunming")).unwrap().0;
    let noise = [Entry::Node([1; 32]), Entry::Signed([2; 32]), Entry::StatusList([3; 32])];
    let other = Entry::Custody { id: [4; 32], nullifier: DossierKey([9; 32]).nullifier(0) };
    let later = Entry::Custody { id: [4; 32], nullifier: key.nullifier(1) };
    let seal = Entry::Custody { id: [5; 32], nullifier: key.nullifier(0) };
    let mark = yunling_protocol::log::entry::void_mark(hour);
    let void = Entry::Change { id: [6; 32], mark };
    let quiet = [&noise[..], &[other, later]].concat();
    let (entries, until) = log_of(&quiet, 5);
    gone(&mut world);
    succeed(&mut world, &mut chain, DALI, Some(until.clone()));
    let assembled = put_together(&world, &bundle).unwrap();
    assert_eq!(search(&assembled, &entries, &until).unwrap().checkpoint(), &until);
    assert_eq!(search(&assembled, &entries[..4], &until), Err("takeover-log-short"));
    let (swapped, _) = log_of(&[quiet[1], quiet[0], quiet[2], quiet[3], quiet[4]], 5);
    assert_eq!(search(&assembled, &swapped, &until), Err("takeover-log-differs"));
    let (with_seal, sealed) = log_of(&[&quiet[..], &[seal]].concat(), 6);
    assert_eq!(search(&assembled, &with_seal, &sealed), Err("takeover-sealed-away"));
    assert!(search(&assembled, &with_seal, &until).is_ok(), "behind the checkpoint nothing counts");
    let (with_void, voided) = log_of(&[&quiet[..], &[void]].concat(), 6);
    assert_eq!(search(&assembled, &with_void, &voided), Err("takeover-change-missing"));

    // Only what the roster says that counts is enough, today and when it is taken over.
    assert_eq!(rule(announce(&world, &assembled, None)), "takeover-log-needed");
    let another = search(&assembled, &with_void[..5], &until).unwrap();
    announce(&world, &assembled, Some(&another)).unwrap();
    let (_, shorter) = log_of(&quiet, 4);
    let shorter = search(&assembled, &entries, &shorter).unwrap();
    assert_eq!(rule(announce(&world, &assembled, Some(&shorter))), "takeover-log-needed");
    world.wait(NOTICE_SECONDS);
    let dossier = complete(&world, id).unwrap();
    let takeover = world.statement(DALI, id, dossier.seals()[0]);
    let Body::Takeover(body) = &takeover.body else { panic!("a takeover stands there") };
    assert_eq!(body.searched, Some(("kunming/1".into(), 5)));
    let logged = Entry::of_statement(&takeover, None).unwrap();
    assert_eq!(logged, Entry::Custody { id: takeover.id.0, nullifier: key.nullifier(0) });
}

#[test]
fn moved_answers_count_with_a_takeover_in_the_line_only_by_the_rosters_word() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    gone(&mut world);
    let unlisted = world.members.clone();
    succeed(&mut world, &mut chain, DALI, None);
    announce(&world, &put_together(&world, &bundle).unwrap(), None).unwrap();
    world.wait(NOTICE_SECONDS);
    complete(&world, id).unwrap();
    world.silent.borrow_mut().extend([YUXI, CHUXIONG]);
    let batch = act::cancel(&world.office(DALI), &world.desks[DALI], id);
    assert_eq!(rule(batch), "takeover-unknown");
    world.silent.borrow_mut().remove(&CHUXIONG);
    moved(&world, id, DALI, CHUXIONG);
    let made = register::record(
        &world.office(YUXI),
        &world.desks[YUXI],
        &mut world.fresh(YUXI),
        id,
        &world.desks[DALI].name,
        daily(52, 15),
    );
    let statement = made.unwrap().statement;
    let dossier = world.dossier(CHUXIONG, id).unwrap();
    let seals: Vec<Vec<u8>> =
        dossier.seals().iter().map(|s| world.statement(CHUXIONG, id, *s).bytes().to_vec()).collect();
    let follow = |world: &World, from: usize, seals: &[Vec<u8>]| {
        let answer = Answer::Moved { to: world.desks[CHUXIONG].name.clone(), seals: seals.to_vec() };
        let from = &world.desks[from].name;
        delivery::answered(&world.office(YUXI), &world.desks[YUXI], from, &statement, &answer).unwrap()
    };
    let unproven = Next::Later("moved-unproven".into());
    assert!(matches!(follow(&world, DALI, &seals), Next::Redirected(_, to) if to == name("chuxiong")));
    assert_eq!(follow(&world, DALI, &seals[1..]), unproven, "the takeover is missing");
    assert_eq!(follow(&world, DALI, &[seals[1].clone(), seals[0].clone()]), unproven);
    assert_eq!(follow(&world, YUXI, &seals), unproven);
    world.members = unlisted;
    assert_eq!(follow(&world, DALI, &seals), unproven, "without the roster's word");
}

#[test]
fn what_the_gone_node_signed_against_the_bundle_stops_it_whatever_it_is() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    let dossier = world.dossier(KUNMING, id).unwrap();
    let receipt = |target: StatementId, length: u64, head: ChainHead| {
        let body = Receipt {
            target,
            outcome: Outcome::Accepted,
            reason: None,
            sequence: Some(length - 1),
            state: Some((0, length, head)),
        };
        let made = world.office(KUNMING).state(&mut world.fresh(KUNMING), id, &Body::Receipt(body));
        made.unwrap().bytes().to_vec()
    };
    let third = id_of(&bundle.statements[2]);
    let lost = StatementId([7; 32]);
    let other_head = receipt(third, 3, ChainHead([7; 32]));
    let other_statement = receipt(lost, 3, world_head(&bundle, 3));
    let right = receipt(third, 3, world_head(&bundle, 3));
    // An offer to Dali that was never carried out names a longer chain too.
    world.record(KUNMING, id, KUNMING, daily(3, 120)).unwrap();
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    world.ask(DALI, KUNMING, &slip).unwrap();
    world.carry_one(DALI, "request");
    world.carry_one(KUNMING, "offer");
    let offered = world.dossier(KUNMING, id).unwrap().length();
    gone(&mut world);
    succeed(&mut world, &mut chain, DALI, None);
    let assembled = put_together(&world, &bundle).unwrap();
    assert_eq!((assembled.dossier.length(), assembled.need), (dossier.length(), offered));
    assert_eq!(rule(announce(&world, &assembled, None)), "takeover-shorter");

    let put = |key: Key, value: Vec<u8>| {
        let mut batch = Batch::default();
        ledger::set(&mut batch, key, value);
        world.commit(DALI, batch).unwrap();
    };
    let beside = ledger::beside_key(id, third);
    for (shown, code) in
        [(&other_head, Some("takeover-forks")), (&other_statement, Some("takeover-forks")), (&right, None)]
    {
        put(beside.clone(), shown.clone());
        assert_eq!(put_together(&world, &bundle).err().map(|e| e.code()), code);
    }
    // It was at Dali once, and left with another chain.
    let left = HeadRecord {
        epoch: 0,
        length: 2,
        head: ChainHead([8; 32]),
        custody: Custody::Sealed { seal: lost, next: name("kunming") },
        counted: Minutes(0),
        destroyed: true,
        closed: None,
    };
    put(ledger::head_key(id), left.encode());
    assert_eq!(rule(put_together(&world, &bundle)), "transfer-copy-forks");
    put(ledger::head_key(id), HeadRecord { head: world_head(&bundle, 2), ..left.clone() }.encode());
    assert!(put_together(&world, &bundle).is_ok());
    put(ledger::head_key(id), HeadRecord { custody: Custody::Open(name("dali")), ..left }.encode());
    assert_eq!(rule(put_together(&world, &bundle)), "dossier-held-here");
}

#[test]
fn a_fenced_node_neither_answers_a_notice_nor_vouches_for_a_bundle() {
    let (mut world, mut chain) = listed();
    let id = volunteer(&world);
    let bundle = own_bundle(&world, KUNMING, id);
    let last = Statement::parse(bundle.statements.last().unwrap()).unwrap();
    let fenced = |at: usize| Office { fenced: true, ..world.office(at) };
    let (desk, dossier) = (&world.desks[KUNMING], world.dossier(KUNMING, id).unwrap());
    let vouched = act::vouch(&fenced(KUNMING), desk, &PlainVault, &mut world.fresh(KUNMING), &dossier, &last);
    assert_eq!(vouched.err().map(|e| e.code()), Some("fenced"));
    succeed(&mut world, &mut chain, DALI, None);
    let assembled = put_together(&world, &bundle).unwrap();
    announce(&world, &assembled, None).unwrap();
    let packet = world.outbox(DALI).into_iter().find(|p| p.to == YUXI).unwrap();
    let office = Office { fenced: true, ..world.office(YUXI) };
    let answered = noticed(&office, &world.desks[YUXI], &packet.message()).unwrap();
    assert_eq!(answered.answer, Answer::Busy);
    // The gone node is read-only and answers all the same; it has its data still, and hands it over.
    assert_eq!(notice(&world, KUNMING), (Answer::Ok, None));
    assert_eq!(own_bundle(&world, KUNMING, id).head, bundle.head);
    // A delivery to a node that is not gone stays where it is.
    let statement = bundle.statements[1].clone();
    let stays = delivery::follow_successor(&world.office(YUXI), &world.desks[CHUXIONG].name, &statement);
    assert_eq!(stays, Ok(None));
}
