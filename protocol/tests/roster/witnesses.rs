//! When the cosignature of a witness counts: by the time in it, in its key's window, of an active member.
//! What a quorum proves is also what saves a statement of a key that was compromised later.

use std::sync::Arc;

use yunling_protocol::custody::taking::check_proven;
use yunling_protocol::id::{DossierId, Salt, StatementId};
use yunling_protocol::key::{Role, Signer as _};
use yunling_protocol::log::merkle::{Hash, MemoryTree, inclusion_proof, leaf_hash, root_at};
use yunling_protocol::log::note::Note;
use yunling_protocol::log::tlog_proof::TlogProof;
use yunling_protocol::log::{Checkpoint, Entry, cosignature};
use yunling_protocol::member::Members;
use yunling_protocol::member::quorum::WitnessError;
use yunling_protocol::roster::{Chain, Roster, SignedTime, State};
use yunling_protocol::statement::{Body, Statement, VoidStatement, statement_common};

use crate::world::{advance, after, chain, change_node, name, office_key, set_state};

fn known(chain: &Chain) -> Members {
    let mut members = Members::default();
    members.set_roster(Arc::new(chain.clone()));
    members
}

/// Version 2, issued on day 10, with a change.
fn second(change: impl FnOnce(&mut Roster)) -> Members {
    let mut chain = chain();
    advance(&mut chain, 10, change).unwrap();
    known(&chain)
}

/// A statement of office 1; nothing in it says when it was really signed.
fn statement() -> Statement {
    let common = statement_common(DossierId([1; 16]), Salt([3; 16]), name("office-1"), after(1), false);
    let body = Body::Void(VoidStatement { target: StatementId([4; 32]), reason: "wrong".into(), note: None });
    Statement::sign(&office_key(1, Role::Statement, 0), &common, &body).unwrap()
}

/// The statement in a log under this origin, with cosignatures of these offices, each on its day.
fn proof_in(origin: &str, log_of: u8, by: &[(u8, i64)]) -> Vec<u8> {
    let entry = Entry::of_statement(&statement(), None).unwrap().encode().unwrap();
    let mut tree = MemoryTree::new();
    for leaf in [leaf_hash(b"life"), leaf_hash(&entry), leaf_hash(b"other")] {
        tree.append_leaf(leaf).unwrap();
    }
    let root: Hash = root_at(&tree, 3).unwrap();
    let head = Checkpoint::new(origin, 3, root);
    let mut note = head.sign(&office_key(log_of, Role::Log, 0)).unwrap();
    for (n, days) in by {
        let key = office_key(*n, Role::Witness, 0);
        let time = u64::try_from(after(*days).0).unwrap();
        note.signatures.push(cosignature::sign(&key, &format!("office-{n}"), time, &head.text()).unwrap());
    }
    let note: Note = note;
    let path = inclusion_proof(&tree, 1, 3).unwrap();
    TlogProof { extra: None, index: 1, path, checkpoint: note.render() }.render().into_bytes()
}

fn proof(by: &[(u8, i64)]) -> Vec<u8> {
    proof_in("office-1/1", 1, by)
}

/// What a release, an audit and a receipt ask: whether the entry is under a witnessed checkpoint.
fn counts(members: &Members, by: &[(u8, i64)]) -> Result<(), &'static str> {
    let entry = Entry::of_statement(&statement(), None).unwrap();
    let logged = members.logged(&name("office-1"), &entry, &proof(by), after(40));
    logged.map(|_| ()).map_err(|error| WitnessError::code(&error))
}

#[test]
fn a_witness_counts_only_while_it_is_an_active_member() {
    let short = Err("policy-no-quorum");
    let good = second(|_| ());
    assert_eq!(counts(&good, &[(2, 20), (3, 21)]), Ok(()));
    assert_eq!(counts(&good, &[(2, 20)]), short);
    assert_eq!(counts(&good, &[(2, -1), (3, 21)]), short, "before it joined");
    let suspended = second(|roster| set_state(roster, 2, State::Suspended, 15));
    assert_eq!(counts(&suspended, &[(2, 14), (3, 21)]), Ok(()), "before it was suspended");
    assert_eq!(counts(&suspended, &[(2, 15), (3, 21)]), short);
    assert_eq!(counts(&suspended, &[(2, 20), (3, 14)]), short);
    let left = second(|roster| set_state(roster, 3, State::Withdrawn, 15));
    assert_eq!(counts(&left, &[(2, 20), (3, 14)]), Ok(()));
    assert_eq!(counts(&left, &[(2, 20), (3, 20)]), short);
    let public = office_key(2, Role::Witness, 0).public();
    let stolen = second(|roster| change_node(roster, 2, |node| node.compromised = vec![(public, after(15))]));
    assert_eq!(counts(&stolen, &[(2, 14), (3, 21)]), Ok(()));
    assert_eq!(counts(&stolen, &[(2, 15), (3, 21)]), short);
    // What another key of it did matters nothing.
    let public = office_key(2, Role::Statement, 0).public();
    let other = second(|roster| change_node(roster, 2, |node| node.compromised = vec![(public, after(1))]));
    assert_eq!(counts(&other, &[(2, 20), (3, 21)]), Ok(()));
}

#[test]
fn a_witness_that_was_let_in_again_counts_again() {
    let mut chain = chain();
    advance(&mut chain, 10, |roster| set_state(roster, 2, State::Suspended, 12)).unwrap();
    advance(&mut chain, 11, |roster| set_state(roster, 2, State::Active, 20)).unwrap();
    let members = known(&chain);
    let two = |days: i64| counts(&members, &[(2, days), (3, 21)]);
    assert_eq!([two(11), two(20), two(30)], [Ok(()), Ok(()), Ok(())]);
    assert_eq!([two(12), two(19)], [Err("policy-no-quorum"), Err("policy-no-quorum")]);
    // A wrong signature in its name refuses all the same.
    let mut forged = String::from_utf8(proof(&[(2, 19), (3, 21)])).unwrap();
    let at = forged.find("office-2 ").unwrap() + 40;
    let other = if &forged[at..=at] == "A" { "B" } else { "A" };
    forged.replace_range(at..=at, other);
    let entry = Entry::of_statement(&statement(), None).unwrap();
    let error = members.logged(&name("office-1"), &entry, forged.as_bytes(), after(40)).unwrap_err();
    assert_eq!(error.code(), "policy-bad-cosignature");
}

#[test]
fn a_statement_of_a_compromised_key_counts_where_a_quorum_saw_it_before() {
    let public = office_key(1, Role::Statement, 0).public();
    let members =
        second(|roster| change_node(roster, 1, |node| node.compromised = vec![(public, after(20))]));
    let statement = statement();
    let time = |by: &[(u8, i64)]| members.signed_time(&statement, None, &proof(by), after(40));
    let check = |proven| check_proven(&members, &statement, proven, false, after(40));
    assert_eq!(check(None), Err("key-compromised"), "nothing proves that it is older");
    // The second cosignature makes the quorum, so its time is the one that counts.
    assert_eq!(time(&[(2, 5), (3, 19)]), Some(SignedTime::Cosigned(after(19))));
    assert_eq!(check(time(&[(2, 5), (3, 19)])), Ok(()));
    assert_eq!(time(&[(2, 5), (3, 20)]), Some(SignedTime::Cosigned(after(20))));
    assert_eq!(check(time(&[(2, 5), (3, 20)])), Err("key-compromised"));
    for (wrong, why) in [
        (proof(&[(2, 5)]), "one witness"),
        (proof(&[(2, 5), (1, 6)]), "the owner is no witness"),
        (proof_in("office-2/1", 2, &[(1, 5), (3, 6)]), "the log of another"),
        (proof_in("office-1/1", 2, &[(2, 5), (3, 6)]), "not signed by the log's key"),
    ] {
        assert_eq!(members.signed_time(&statement, None, &wrong, after(40)), None, "{why}");
    }
    // Received here before is proof too; a time before the key's window saves nothing.
    assert_eq!(check(Some(SignedTime::Received(after(19)))), Ok(()));
    assert_eq!(check(Some(SignedTime::Cosigned(after(-31)))), Err("key-compromised"));
    // A proven time helps, and never takes away what needs no proof.
    let sound = second(|_| ());
    let late = Some(SignedTime::Cosigned(after(-31)));
    assert_eq!(check_proven(&sound, &statement, late, false, after(40)), Ok(()));
    // Only its own statement: another one is judged without it, and a forged one never passes.
    let mut forged = statement.bytes().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let forged = Statement::parse(&forged).unwrap();
    let early = Some(SignedTime::Cosigned(after(5)));
    assert_eq!(members.signed_time(&forged, None, &proof(&[(2, 5), (3, 6)]), after(40)), None);
    assert!(check_proven(&members, &forged, early, false, after(40)).is_err());
}
