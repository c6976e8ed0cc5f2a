//! Seals, copies and statements that are not what they should be.

use yunling_protocol::custody::{Input, Stage, taking};
use yunling_protocol::dossier::{Dossier, FoldError};
use yunling_protocol::id::{ChainHead, DossierId, DossierKey, Salt, TransferId};
use yunling_protocol::key::{Role, SoftSigner};
use yunling_protocol::message::{Answer, Content, Life, Message};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{Secrets, Vault};
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::statement::{Body, Seal, Statement, statement_common};
use yunling_protocol::store::Read;

use crate::copy::Dies;
use crate::moving::{CHUXIONG, DALI, KUNMING, YUXI, four, moved, until_accepted, volunteer};
use crate::samples::{daily, name};
use crate::sums::outcome;
use crate::world::{PlainVault, World};

/// A world where Dali has accepted and Kunming is about to seal, with the right seal's body.
fn before_seal() -> (World, DossierId, TransferId, Seal, DossierKey) {
    let world = four();
    let id = volunteer(&world);
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    until_accepted(&world, KUNMING, DALI, transfer);
    let dossier = world.dossier(KUNMING, id).unwrap();
    let key = secret(&world, KUNMING, id).key;
    let there = world.transfer(KUNMING, transfer).unwrap();
    let seal = Seal {
        epoch: 0,
        transfer,
        head: dossier.head(),
        count: dossier.length(),
        minutes: Minutes(17_250),
        balance: Minutes(17_250),
        next: world.desks[DALI].name.clone(),
        authorisation: yunling_protocol::statement::Authorisation::CodeHash(there.code_hash),
        nullifier: key.nullifier(0),
    };
    (world, id, transfer, seal, key)
}

pub(crate) fn secret(world: &World, at: usize, id: DossierId) -> Secrets {
    let key = yunling_protocol::office::secrets_key(id);
    let stored = world.desks[at].get(key.table, &key.key).unwrap().unwrap();
    PlainVault.open(id, &stored).unwrap()
}

/// A release as a dishonest Kunming would sign it.
fn release(
    world: &World,
    id: DossierId,
    message_epoch: u64,
    seal: &Statement,
    key: &DossierKey,
    transfer: TransferId,
) -> Vec<u8> {
    let content =
        Content::Release { seal: seal.bytes().to_vec(), key: key.clone(), profile: None, inclusion: None };
    message(world, KUNMING, DALI, id, message_epoch, transfer, content)
}

pub(crate) fn message(
    world: &World,
    from: usize,
    to: usize,
    dossier: DossierId,
    epoch: u64,
    transfer: TransferId,
    content: Content,
) -> Vec<u8> {
    let message = Message {
        from: world.desks[from].name.clone(),
        to: world.desks[to].name.clone(),
        dossier,
        epoch,
        transfer,
        life: Life { generation: 1, mark: [from as u8; 16] },
        at: world.now.get(),
        trial: false,
        content,
    };
    message.sign(&world.desks[from].signer).unwrap()
}

pub(crate) fn signed(world: &World, at: usize, id: DossierId, body: &Body) -> Statement {
    world.office(at).state(&mut world.fresh(at), id, body).unwrap()
}

#[test]
fn the_chain_takes_no_seal_but_the_right_one() {
    let (world, id, _, right, _) = before_seal();
    let dossier = world.dossier(KUNMING, id).unwrap();
    let try_seal = |at: usize, seal: Seal| {
        let statement = signed(&world, at, id, &Body::Seal(seal));
        (*dossier).clone().apply(&statement, &YUNNAN)
    };
    let mismatch = |what| Err(FoldError::SealMismatch(what));
    assert_eq!(try_seal(KUNMING, Seal { epoch: 1, ..right.clone() }), mismatch("epoch"));
    assert_eq!(try_seal(KUNMING, Seal { head: ChainHead([7; 32]), ..right.clone() }), mismatch("head"));
    assert_eq!(try_seal(KUNMING, Seal { count: right.count + 1, ..right.clone() }), mismatch("count"));
    assert_eq!(try_seal(KUNMING, Seal { minutes: Minutes(17_251), ..right.clone() }), mismatch("minutes"));
    assert_eq!(try_seal(KUNMING, Seal { balance: Minutes(0), ..right.clone() }), mismatch("balance"));
    let stranger = try_seal(DALI, right.clone()).unwrap_err();
    assert_eq!(stranger.code(), "not-custodian");
    assert_eq!(try_seal(KUNMING, right), Ok(dossier.length()));
}

#[test]
fn the_new_office_promotes_on_no_seal_but_the_right_one() {
    let (world, id, transfer, right, key) = before_seal();
    let other_key = DossierKey([9; 32]);
    let give = |at: usize, message_epoch: u64, seal: &Seal, key: &DossierKey| {
        let statement = signed(&world, at, id, &Body::Seal(seal.clone()));
        let answer = world.receive(DALI, &release(&world, id, message_epoch, &statement, key, transfer));
        assert_eq!(world.custodians(id), [KUNMING], "a wrong seal promotes nobody");
        answer
    };
    let wrong = Answer::Refused("seal-mismatch".into());
    let next = world.desks[YUXI].name.clone();
    assert_eq!(give(KUNMING, 0, &Seal { next, ..right.clone() }, &key), wrong);
    assert_eq!(give(KUNMING, 1, &Seal { epoch: 1, ..right.clone() }, &key), wrong);
    assert_eq!(give(KUNMING, 0, &Seal { transfer: TransferId([3; 16]), ..right.clone() }, &key), wrong);
    assert_eq!(give(KUNMING, 0, &Seal { nullifier: [0; 32], ..right.clone() }, &key), wrong);
    assert_eq!(give(KUNMING, 0, &right, &other_key), wrong);
    // The key of another dossier, with the nullifier that fits it.
    assert_eq!(
        give(KUNMING, 0, &Seal { nullifier: other_key.nullifier(0), ..right.clone() }, &other_key),
        wrong
    );
    assert_eq!(give(YUXI, 0, &right, &key), wrong, "signed by a node that does not hold it");
    // Sums that do not fit the copy: the chain refuses them.
    for seal in [Seal { minutes: Minutes(1), ..right.clone() }, Seal { balance: Minutes(1), ..right.clone() }]
    {
        assert_eq!(give(KUNMING, 0, &seal, &key), wrong);
    }
    // Not a seal at all, and a broken signature.
    let attestation = signed(&world, KUNMING, id, &Body::Attestation(Box::new(daily(400, 1))));
    assert_eq!(world.receive(DALI, &release(&world, id, 0, &attestation, &key, transfer)), wrong);
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Accepted));

    // A seal over another head sends the node back to copying, and it still holds nothing.
    assert_eq!(
        give(KUNMING, 0, &Seal { head: ChainHead([7; 32]), count: right.count + 1, ..right }, &key),
        Answer::Ok
    );
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Copying));
    world.check(id);
}

#[test]
fn a_release_from_another_node_or_for_another_dossier_is_refused() {
    let (world, id, transfer, right, key) = before_seal();
    let seal = signed(&world, KUNMING, id, &Body::Seal(right));
    let content =
        || Content::Release { seal: seal.bytes().to_vec(), key: key.clone(), profile: None, inclusion: None };
    let other = Answer::Refused("transfer-other".into());
    let through = message(&world, YUXI, DALI, id, 0, transfer, content());
    assert_eq!(world.receive(DALI, &through), other);
    let elsewhere = message(&world, KUNMING, DALI, DossierId([5; 16]), 0, transfer, content());
    assert_eq!(world.receive(DALI, &elsewhere), other);
    let unknown = message(&world, KUNMING, DALI, id, 0, TransferId([8; 16]), content());
    assert_eq!(world.receive(DALI, &unknown), Answer::Refused("seal-mismatch".into()));
    let mut broken = message(&world, KUNMING, DALI, id, 0, transfer, content());
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert_eq!(world.receive(DALI, &broken), Answer::Refused("message-signature".into()));
    let for_another = message(&world, KUNMING, YUXI, id, 0, transfer, content());
    assert_eq!(world.receive(DALI, &for_another), Answer::Refused("message-not-for-me".into()));
    assert_eq!(world.custodians(id), [KUNMING]);
}

#[test]
fn an_accept_of_another_head_or_from_another_node_seals_nothing() {
    let (world, id, transfer, right, _) = before_seal();
    let accept = |from, epoch, head, count| {
        let content = Content::Accept { head, count };
        world.receive(KUNMING, &message(&world, from, KUNMING, id, epoch, transfer, content))
    };
    assert_eq!(
        accept(DALI, 0, ChainHead([7; 32]), right.count),
        Answer::Refused("transfer-other-head".into())
    );
    assert_eq!(accept(DALI, 0, right.head, right.count - 1), Answer::Refused("transfer-other-head".into()));
    assert_eq!(accept(DALI, 1, right.head, right.count), Answer::Refused("transfer-other".into()));
    assert_eq!(accept(YUXI, 0, right.head, right.count), Answer::Refused("transfer-other".into()));
    let done = Content::Done { count: right.count, head: right.head };
    let early = message(&world, DALI, KUNMING, id, 0, transfer, done);
    assert_eq!(world.receive(KUNMING, &early), Answer::Refused("transfer-not-now".into()));
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Offered));
    assert_eq!(accept(DALI, 0, right.head, right.count), Answer::Ok);
    assert_eq!(world.stage(KUNMING, transfer), Some(Stage::Sealed));
}

/// Every way the copy may differ from the offer, by the reason it is refused with.
#[test]
fn a_copy_that_differs_from_the_offer_is_refused() {
    let (world, id, transfer, _, _) = before_seal();
    let t = world.transfer(DALI, transfer).unwrap();
    let statements = world.staged(DALI, transfer);
    let check = |list: &[Statement]| world.check_copy(DALI, &t, list).map(|_| ());
    assert_eq!(check(&statements), Ok(()));
    assert_eq!(check(&statements[..statements.len() - 1]), Err("transfer-copy-differs"));
    let mut swapped = statements.clone();
    swapped.swap(5, 6);
    assert_eq!(check(&swapped), Err("transfer-copy-differs"));
    assert_eq!(check(&statements[1..]), Err("consent-missing"));
    let mut twice = statements.clone();
    twice.push(statements[9].clone());
    assert_eq!(check(&twice), Err("dossier-repeated"));
    let more = signed(&world, KUNMING, id, &Body::Attestation(Box::new(daily(400, 1))));
    assert_eq!(check(&[&statements[..], &[more]].concat()), Err("transfer-copy-differs"));
    let other = signed(&world, KUNMING, DossierId([5; 16]), &Body::Attestation(Box::new(daily(400, 1))));
    assert_eq!(check(&[&statements[..], &[other]].concat()), Err("dossier-other"));
    let mut less = t.clone();
    less.minutes = Minutes(17_249);
    assert_eq!(world.check_copy(DALI, &less, &statements).map(|_| ()), Err("transfer-minutes-differ"));
    let mut epoch = t.clone();
    epoch.epoch = 1;
    assert_eq!(world.check_copy(DALI, &epoch, &statements).map(|_| ()), Err("transfer-copy-differs"));
    let mut from = t;
    from.peer = world.desks[YUXI].name.clone();
    assert_eq!(world.check_copy(DALI, &from, &statements).map(|_| ()), Err("transfer-copy-differs"));
}

#[test]
fn an_unknown_critical_kind_stops_a_move_and_an_unknown_other_kind_is_carried() {
    for (kind, expected) in [(101, Err("statement-newer-version")), (102, Ok(()))] {
        let (world, id, transfer, _, _) = before_seal();
        let unknown = signed(&world, KUNMING, id, &Body::Unknown { kind, version: 1 });
        let mut dossier = (*world.dossier(KUNMING, id).unwrap()).clone();
        dossier.apply(&unknown, &YUNNAN).unwrap();
        let mut t = world.transfer(DALI, transfer).unwrap();
        (t.head, t.count) = (dossier.head(), dossier.length());
        let mut statements = world.staged(DALI, transfer);
        statements.push(unknown);
        assert_eq!(world.check_copy(DALI, &t, &statements).map(|_| ()), expected, "kind {kind}");
    }
}

#[test]
fn a_failed_check_waits_for_a_person_and_then_copies_from_the_start() {
    use yunling_protocol::custody::record::staged_key;
    let (world, id, transfer, ..) = before_seal();
    // Back to a copy that is not checked yet, with one statement damaged on the disk of Dali.
    world.push(DALI, transfer, &Input::Cancel { reason: "retry".into() }).unwrap();
    world.settle();
    let slip = world.slip(KUNMING, id, DALI).unwrap();
    let transfer = world.ask(DALI, KUNMING, &slip).unwrap();
    world.carry_one(DALI, "request");
    world.carry_one(KUNMING, "offer");
    world.pull(DALI, transfer, 100, Dies::Never);
    let mut batch = yunling_protocol::store::Batch::new();
    let other = signed(&world, KUNMING, id, &Body::Attestation(Box::new(daily(400, 1))));
    yunling_protocol::ledger::set(&mut batch, staged_key(transfer, 30), other.bytes().to_vec());
    world.commit(DALI, batch).unwrap();
    world.judge(DALI, transfer, Dies::Never);
    let t = world.transfer(DALI, transfer).unwrap();
    assert_eq!((t.stage, t.reason.as_deref()), (Stage::Attention, Some("transfer-copy-differs")));
    // The offer that comes again hides nothing.
    world.carry_one(KUNMING, "offer");
    assert_eq!(world.stage(DALI, transfer), Some(Stage::Attention));
    world.push(DALI, transfer, &Input::Resume).unwrap();
    assert_eq!(world.transfer(DALI, transfer).unwrap().have, 0);
    world.settle();
    world.check(id);
    assert_eq!(world.custodians(id), [DALI]);
}

/// A statement of a node that is no member, of a trial node, of another dossier, with a broken
/// signature or a key outside its window: neither delivered nor copied.
#[test]
fn foreign_statements_are_refused_on_both_roads() {
    let world = four();
    let id = volunteer(&world);
    let attestation = Body::Attestation(Box::new(daily(400, 1)));
    let sign = |issuer: &NodeName, signer: &SoftSigner, trial: bool| {
        let common = statement_common(id, Salt([1; 16]), issuer.clone(), world.now.get(), trial);
        Statement::sign(signer, &common, &attestation).unwrap()
    };
    let dali = &world.desks[DALI];
    let stranger = name("nujiang");
    let unknown = sign(&stranger, &SoftSigner::from_seed(&[77; 32]), false);
    let trial = sign(&dali.name, &dali.signer, true);
    let other_key = sign(&dali.name, &world.desks[YUXI].signer, false);
    let other_role = sign(&dali.name, &SoftSigner::from_seed(&[Role::Proof as u8; 32]), false);
    let deliver = |statement: &Statement| {
        let content = Content::Deliver { statement: statement.bytes().to_vec() };
        world.receive(KUNMING, &message(&world, DALI, KUNMING, id, 0, TransferId([0; 16]), content))
    };
    let copy =
        |s: &Statement| taking::verify_copied(&world.members, s.bytes(), false, world.now.get()).map(|_| ());
    for (statement, delivered, copied) in [
        (&unknown, "statement-no-key", "issuer-unknown"),
        (&trial, "statement-trial", "statement-trial"),
        (&other_key, "statement-no-key", "statement-no-key"),
        (&other_role, "statement-no-key", "statement-no-key"),
    ] {
        assert_eq!(deliver(statement), Answer::Refused(delivered.into()));
        assert_eq!(copy(statement), Err(copied));
    }
    let good = sign(&dali.name, &dali.signer, false);
    let elsewhere = Content::Deliver { statement: good.bytes().to_vec() };
    let elsewhere = message(&world, DALI, KUNMING, DossierId([5; 16]), 0, TransferId([0; 16]), elsewhere);
    assert_eq!(world.receive(KUNMING, &elsewhere), Answer::Refused("dossier-other".into()));
    assert_eq!(world.totals(KUNMING, id).counted.0, 17_250);
    // A receipt, a seal or a consent of another node never comes in as a delivery.
    let consent = signed(&world, DALI, id, &Body::Consent(crate::samples::consent()));
    assert_eq!(outcome(&deliver(&consent)).1.as_deref(), Some("kind"));
    world.check(id);
}

#[test]
fn a_removed_peer_and_a_trial_message_are_not_heard() {
    let mut world = four();
    let id = volunteer(&world);
    world.record(CHUXIONG, id, KUNMING, daily(100, 60)).unwrap();
    let packet = world.outbox(CHUXIONG).remove(0);
    let mut removed = world.members.get(&world.desks[CHUXIONG].name).unwrap().clone();
    let kept = removed.clone();
    removed.removed_at = Some(world.now.get());
    world.members.insert(removed);
    assert_eq!(world.receive(KUNMING, &packet.bytes), Answer::Refused("peer-unknown".into()));
    assert_eq!(world.slip(KUNMING, id, CHUXIONG).unwrap_err().code(), "peer-unknown");
    world.members.insert(kept);
    let statement = world.statement(CHUXIONG, id, crate::sums::delivered(&world, CHUXIONG));
    let trial = Message {
        from: world.desks[CHUXIONG].name.clone(),
        to: world.desks[KUNMING].name.clone(),
        dossier: id,
        epoch: 0,
        transfer: TransferId([0; 16]),
        life: Life { generation: 1, mark: [0; 16] },
        at: world.now.get(),
        trial: true,
        content: Content::Deliver { statement: statement.bytes().to_vec() },
    };
    let trial = trial.sign(&world.desks[CHUXIONG].signer).unwrap();
    assert_eq!(world.receive(KUNMING, &trial), Answer::Refused("trial-mixed".into()));
    assert_eq!(outcome(&world.receive(KUNMING, &packet.bytes)).1, None);
}

#[test]
fn a_copied_chain_counts_only_with_every_seal_by_its_holder() {
    let world = four();
    let id = volunteer(&world);
    moved(&world, id, KUNMING, DALI);
    moved(&world, id, DALI, YUXI);
    let bytes = yunling_protocol::ledger::chain(&world.desks[YUXI], id, 0, 1000).unwrap();
    let all: Vec<_> = bytes.iter().map(|b| Statement::parse(b).unwrap()).collect();
    let fold = |list: &[Statement]| {
        let mut dossier = Dossier::new(id);
        list.iter().try_for_each(|s| dossier.apply(s, &YUNNAN).map(|_| ()))
    };
    assert_eq!(fold(&all), Ok(()));
    let first_seal = all.iter().position(|s| matches!(s.body, Body::Seal(_))).unwrap();
    let mut without_seal = all.clone();
    without_seal.remove(first_seal);
    assert_eq!(fold(&without_seal), Err(FoldError::NotReceivable));
    let mut without_received = all.clone();
    without_received.remove(first_seal + 1);
    assert_eq!(fold(&without_received), Err(FoldError::Sealed(world.desks[DALI].name.clone())));
    // The seal of the second epoch cannot stand for the first.
    let second_seal = all.iter().rposition(|s| matches!(s.body, Body::Seal(_))).unwrap();
    let mut swapped = all.clone();
    swapped.swap(first_seal, second_seal);
    assert!(fold(&swapped).is_err());
    // Received by a node the seal does not name.
    let Body::Received(received) = &all[first_seal + 1].body else { panic!("received follows the seal") };
    let mut stolen = all[..=first_seal].to_vec();
    stolen.push(signed(&world, CHUXIONG, id, &Body::Received(received.clone())));
    assert_eq!(fold(&stolen), Err(FoldError::NotReceivable));
}
