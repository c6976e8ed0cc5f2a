#![allow(clippy::unwrap_used)]

use super::*;
use crate::day::UnixTime;
use crate::id::{Salt, TransferId};
use crate::key::{Signer, SoftSigner};
use crate::log::merkle::{MemoryTree, consistency_proof, inclusion_proof, leaf_hash, root_at};
use crate::message::Life;
use crate::minutes::Minutes;
use crate::statement::{Authorisation, Seal, statement_common};

const DOSSIER: DossierId = DossierId([5; 16]);

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// A signer for each node and role.
fn signer(node: &str, role: Role) -> SoftSigner {
    let mut seed = [role as u8; 32];
    seed[..node.len()].copy_from_slice(node.as_bytes());
    SoftSigner::from_seed(&seed)
}

fn keys(node: &NodeName, role: Role) -> Vec<KeyEntry> {
    let known = ["dali", "kunming"].contains(&node.as_str());
    let entry = |role| KeyEntry::new(role, signer(node.as_str(), role).public(), UnixTime(0), None).unwrap();
    if known { vec![entry(role)] } else { vec![] }
}

fn note(origin: &str, size: u64, root: Hash) -> String {
    let node = origin.split('/').next().unwrap();
    Checkpoint::new(origin, size, root).sign(&signer(node, Role::Log)).unwrap().render()
}

/// Evidence as a third machine gets it: through the file.
fn judge(evidence: &Evidence) -> Result<Proved, EvidenceError> {
    let file = evidence.encode();
    let read = Evidence::decode(&file).unwrap();
    assert_eq!(&read, evidence);
    read.verify(keys)
}

fn signed(node: &str, dossier: DossierId, salt: u8, body: &Body) -> Vec<u8> {
    let common = statement_common(dossier, Salt([salt; 16]), name(node), UnixTime(9), false);
    Statement::sign(&signer(node, Role::Statement), &common, body).unwrap().bytes().to_vec()
}

fn seal(epoch: u64, next: &str, count: u64, head: ChainHead) -> Body {
    Body::Seal(Seal {
        epoch,
        transfer: TransferId([3; 16]),
        head,
        count,
        minutes: Minutes(60),
        balance: Minutes(60),
        next: name(next),
        authorisation: Authorisation::CodeHash([4; 32]),
        nullifier: [6; 32],
    })
}

fn receipt(target: u8, outcome: Outcome, epoch: u64, length: u64, head: ChainHead) -> Body {
    let target = StatementId([target; 32]);
    Body::Receipt(Receipt {
        target,
        outcome,
        reason: None,
        sequence: None,
        state: Some((epoch, length, head)),
    })
}

fn ids(all: &[u8]) -> Vec<StatementId> {
    all.iter().map(|n| StatementId([*n; 32])).collect()
}

fn head(all: &[u8]) -> ChainHead {
    ids(all).iter().fold(empty_head(DOSSIER), |head, id| next_head(head, *id))
}

#[test]
fn two_roots_of_one_size_expose_the_log_and_anything_less_does_not() {
    let of = |one: String, other: String| judge(&Evidence::TwoRoots { one, other });
    let proved = of(note("dali/1", 7, [1; 32]), note("dali/1", 7, [2; 32])).unwrap();
    assert_eq!((proved.code(), proved.node()), ("evidence-two-roots", &name("dali")));
    let same = note("dali/1", 7, [1; 32]);
    assert_eq!(of(same.clone(), same.clone()), Err(EvidenceError::NoContradiction));
    assert_eq!(of(same.clone(), note("dali/1", 8, [2; 32])), Err(EvidenceError::Unrelated));
    assert_eq!(of(same.clone(), note("dali/2", 7, [2; 32])), Err(EvidenceError::Unrelated));
    assert_eq!(of(same.clone(), note("kunming/1", 7, [2; 32])), Err(EvidenceError::Unrelated));
    // A checkpoint that another node signed in dali's name accuses nobody.
    let forged = Checkpoint::new("dali/1", 7, [2; 32]).sign(&signer("kunming", Role::Log)).unwrap();
    assert!(matches!(of(same.clone(), forged.render()), Err(EvidenceError::Checkpoint(_))));
    // So does one that the node signed with a key of another role.
    let role = Checkpoint::new("dali/1", 7, [2; 32]).sign(&signer("dali", Role::Witness)).unwrap();
    assert!(matches!(of(same.clone(), role.render()), Err(EvidenceError::Checkpoint(_))));
    assert_eq!(of(same.clone(), note("dali", 7, [2; 32])), Err(EvidenceError::Part));
    assert!(of(same, note("yuxi/1", 7, [2; 32])).is_err(), "an unknown node");
}

#[test]
fn two_entries_at_one_index_expose_the_log_across_sizes() {
    let tree = |rewritten: u8, size: u8| {
        let mut tree = MemoryTree::new();
        for i in 0..size {
            tree.append_leaf(leaf_hash(&[if i == 3 { rewritten } else { i }])).unwrap();
        }
        tree
    };
    let leaf = |entry: u8, index: u64, size: u8| {
        let tree = tree(entry, size);
        let root = root_at(&tree, u64::from(size)).unwrap();
        let entry = if index == 3 { entry } else { index as u8 };
        let path = inclusion_proof(&tree, index, u64::from(size)).unwrap();
        IncludedLeaf { entry: vec![entry], path, note: note("dali/1", u64::from(size), root) }
    };
    let of =
        |index, one: IncludedLeaf, other: IncludedLeaf| judge(&Evidence::TwoLeaves { index, one, other });
    assert_eq!(
        of(3, leaf(3, 3, 7), leaf(99, 3, 12)),
        Ok(Proved::TwoLeaves { origin: Origin::parse("dali/1").unwrap(), index: 3 })
    );
    assert_eq!(of(3, leaf(3, 3, 7), leaf(3, 3, 12)), Err(EvidenceError::NoContradiction));
    assert!(matches!(of(4, leaf(3, 3, 7), leaf(99, 3, 12)), Err(EvidenceError::Merkle(_))));
    let mut other_entry = leaf(99, 3, 12);
    other_entry.entry = vec![98];
    assert!(matches!(of(3, leaf(3, 3, 7), other_entry), Err(EvidenceError::Merkle(_))));
}

#[test]
fn a_checkpoint_that_extends_another_root_exposes_the_log() {
    let tree = |rewritten: u8, size: u8| {
        let mut tree = MemoryTree::new();
        for i in 0..size {
            tree.append_leaf(leaf_hash(&[if i == 3 { rewritten } else { i }])).unwrap();
        }
        tree
    };
    let root = |rewritten, size: u8| root_at(&tree(rewritten, size), u64::from(size)).unwrap();
    let signed = |rewritten, size: u8| note("dali/1", u64::from(size), root(rewritten, size));
    let path = |rewritten| consistency_proof(&tree(rewritten, 12), 7, 12).unwrap();
    let of = |old: String, new: String, root, path| judge(&Evidence::Rewritten { old, new, root, path });
    assert_eq!(
        of(signed(3, 7), signed(99, 12), root(99, 7), path(99)),
        Ok(Proved::Rewritten { origin: Origin::parse("dali/1").unwrap(), size: 7 })
    );
    let honest = of(signed(3, 7), signed(3, 12), root(3, 7), path(3));
    assert_eq!(honest, Err(EvidenceError::NoContradiction));
    // A root of nobody's, a path of another tree, another log.
    assert!(matches!(of(signed(3, 7), signed(3, 12), [1; 32], path(3)), Err(EvidenceError::Merkle(_))));
    assert!(matches!(of(signed(3, 7), signed(3, 12), root(99, 7), path(99)), Err(EvidenceError::Merkle(_))));
    let other = note("dali/2", 12, root(99, 12));
    assert_eq!(of(signed(3, 7), other, root(99, 7), path(99)), Err(EvidenceError::Unrelated));
    // Everything extends the empty tree, and any root would seem to be of it.
    assert_eq!(of(note("dali/1", 0, [1; 32]), signed(3, 12), [2; 32], vec![]), Err(EvidenceError::Unrelated));
}

#[test]
fn two_seals_of_one_epoch_expose_the_custodian() {
    let of = |one: Vec<u8>, other: Vec<u8>| judge(&Evidence::TwoSeals { one, other });
    let to = |node: &str, epoch, next: &str, salt| {
        signed(node, DOSSIER, salt, &seal(epoch, next, 2, head(&[1, 2])))
    };
    assert_eq!(
        of(to("dali", 1, "kunming", 1), to("dali", 1, "yuxi", 2)),
        Ok(Proved::TwoSeals { node: name("dali"), dossier: DOSSIER, epoch: 1 })
    );
    let one = to("dali", 1, "kunming", 1);
    assert_eq!(of(one.clone(), one.clone()), Err(EvidenceError::NoContradiction));
    assert_eq!(of(one.clone(), to("dali", 2, "yuxi", 2)), Err(EvidenceError::Unrelated));
    assert_eq!(of(one.clone(), to("kunming", 1, "yuxi", 2)), Err(EvidenceError::Unrelated));
    let other_dossier = signed("dali", DossierId([8; 16]), 2, &seal(1, "yuxi", 2, head(&[1, 2])));
    assert_eq!(of(one.clone(), other_dossier), Err(EvidenceError::Unrelated));
    assert_eq!(of(one.clone(), to("yuxi", 1, "dali", 2)), Err(EvidenceError::Signature));
    let not_a_seal = signed("dali", DOSSIER, 2, &receipt(9, Outcome::Accepted, 1, 2, head(&[1, 2])));
    assert_eq!(of(one.clone(), not_a_seal), Err(EvidenceError::Part));
    let mut broken = to("dali", 1, "yuxi", 2);
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(of(one, broken), Err(EvidenceError::Signature));
}

#[test]
fn a_head_without_an_acknowledged_statement_exposes_the_custodian() {
    let took = signed("dali", DOSSIER, 1, &receipt(9, Outcome::Accepted, 1, 3, head(&[1, 2, 9])));
    let of = |receipt: &Vec<u8>, head: Vec<u8>, all: &[u8]| {
        judge(&Evidence::Dropped { receipt: receipt.clone(), head, ids: ids(all) })
    };
    let proved =
        Ok(Proved::Dropped { node: name("dali"), dossier: DOSSIER, statement: StatementId([9; 32]) });
    let later = |all: &[u8], epoch| {
        let body = receipt(70, Outcome::Held, epoch, all.len() as u64, head(all));
        signed("dali", DOSSIER, 2, &body)
    };
    assert_eq!(of(&took, later(&[1, 2, 3], 1), &[1, 2, 3]), proved);
    assert_eq!(
        of(&took, signed("dali", DOSSIER, 2, &seal(1, "yuxi", 4, head(&[1, 2, 3, 4]))), &[1, 2, 3, 4]),
        proved
    );
    let offer = |from: &str, content| {
        let message = Message {
            from: name(from),
            to: name("yuxi"),
            dossier: DOSSIER,
            epoch: 1,
            transfer: TransferId([3; 16]),
            life: Life { generation: 1, mark: [0; 16] },
            at: UnixTime(9),
            trial: false,
            content,
        };
        message.sign(&signer(from, Role::Statement)).unwrap()
    };
    let content = || Content::Offer { head: head(&[1, 2, 3]), count: 3, minutes: Minutes(1) };
    assert_eq!(of(&took, offer("dali", content()), &[1, 2, 3]), proved);

    assert_eq!(of(&took, later(&[1, 2, 9, 3], 1), &[1, 2, 9, 3]), Err(EvidenceError::NoContradiction));
    assert_eq!(of(&took, later(&[1, 2, 3, 9], 1), &[1, 2, 3, 9]), Err(EvidenceError::NoContradiction));
    assert_eq!(of(&took, later(&[1, 2], 1), &[1, 2]), Err(EvidenceError::NotLater));
    assert_eq!(of(&took, later(&[1, 2, 3], 0), &[1, 2, 3]), Err(EvidenceError::NotLater));
    // The list of ids is unsigned: one that leaves the statement out of a chain that has it.
    assert_eq!(of(&took, later(&[1, 2, 9, 3], 1), &[1, 2, 3]), Err(EvidenceError::OtherChain));
    assert_eq!(of(&took, later(&[1, 2, 9, 3], 1), &[1, 2, 8, 3]), Err(EvidenceError::OtherChain));
    assert_eq!(of(&took, offer("kunming", content()), &[1, 2, 3]), Err(EvidenceError::Unrelated));
    let other = signed("dali", DossierId([8; 16]), 2, &receipt(70, Outcome::Held, 1, 3, head(&[1, 2, 3])));
    assert_eq!(of(&took, other, &[1, 2, 3]), Err(EvidenceError::Unrelated));
    let done = Content::Done { count: 3, head: head(&[1, 2, 3]) };
    assert_eq!(of(&took, offer("dali", done), &[1, 2, 3]), Err(EvidenceError::Part));
    let held = signed("dali", DOSSIER, 1, &receipt(9, Outcome::Held, 1, 3, head(&[1, 2, 3])));
    assert_eq!(of(&held, later(&[1, 2, 3], 1), &[1, 2, 3]), Err(EvidenceError::Part));
    let stranger = signed("yuxi", DOSSIER, 1, &receipt(9, Outcome::Accepted, 1, 3, head(&[1, 2, 9])));
    assert_eq!(of(&stranger, later(&[1, 2, 3], 1), &[1, 2, 3]), Err(EvidenceError::Signature));
}

#[test]
fn a_file_of_another_shape_is_refused() {
    let good = Evidence::TwoRoots { one: "a".into(), other: "b".into() }.encode();
    assert!(Evidence::decode(&good).is_ok());
    assert_eq!(Evidence::decode(&good[..good.len() - 1]), Err(EvidenceError::Encoding));
    assert_eq!(Evidence::decode(b"yunling"), Err(EvidenceError::Encoding));
    let at = good.windows(11).position(|w| w == b"/evidence/1").unwrap();
    let mut newer = good;
    newer[at + 10] = b'2';
    assert_eq!(Evidence::decode(&newer), Err(EvidenceError::Encoding));
}
