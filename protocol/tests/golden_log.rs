//! Golden bytes of the log: entries, heads, proofs, receipts, evidence and what is stored, with fixed
//! keys. `golden/log.txt` holds `name hex` a line; making a sample must give exactly these bytes, and
//! reading them must give the sample back. To add lines run
//! `cargo test -p yunling-protocol --test golden_log -- --ignored --nocapture`. Never replace a line.

#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code)]
#[path = "golden/samples.rs"]
mod samples;

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use samples::{bodies, common, proofs, signer};
use yunling_protocol::id::{ChainHead, DossierKey, Salt, StatementId, TransferId};
use yunling_protocol::key::Role;
use yunling_protocol::key::Signer as _;
use yunling_protocol::log::audit::Audit;
use yunling_protocol::log::entry::{EntryError, spend_mark, void_mark};
use yunling_protocol::log::evidence::{Evidence, IncludedLeaf};
use yunling_protocol::log::life::LifeRecord;
use yunling_protocol::log::merkle::{
    Frontier, MemoryTree, consistency_proof, inclusion_proof, leaf_hash, root_at,
};
use yunling_protocol::log::note::{KeyType, NoteKey};
use yunling_protocol::log::policy::PolicyFile;
use yunling_protocol::log::tlog_proof::TlogProof;
use yunling_protocol::log::witness::{AddCheckpoint, Seen};
use yunling_protocol::log::{Checkpoint, Entry, Note, Origin, cosignature, tile};
use yunling_protocol::message::Life;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::proof::receipt::{Inclusion, Receipt};
use yunling_protocol::proof::{self, logged_id, receipts_of, with_receipts};
use yunling_protocol::statement::{Authorisation, Body, Outcome, Seal, Statement};

const ORIGIN: &str = "vol.yn.cn/532900/3";
const WITNESS: &str = "vol.yn.cn/530100";

fn golden() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("golden/log.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.map(|line| line.split_once(' ').expect("a golden line is `name value`")).collect()
}

fn entries() -> Vec<Entry> {
    let (id, second) = ([0x11; 32], [0x22; 32]);
    vec![
        life().entry(),
        Entry::Signed(id),
        Entry::Custody { id, nullifier: second },
        Entry::Change { id, mark: second },
        Entry::StatusList(id),
        Entry::Signed(logged_id(&p1()).unwrap().0),
    ]
}

fn life() -> LifeRecord {
    let before = Checkpoint::new("vol.yn.cn/532900/1", 70, [0x33; 32]);
    let life = Life { generation: 3, mark: [0xcc; 16] };
    LifeRecord::new(Origin::parse(ORIGIN).unwrap(), life, Some(&before)).unwrap()
}

fn p1() -> String {
    proof::issue(&signer(Role::Proof), &proofs().into_iter().next().unwrap().1).unwrap()
}

fn tree() -> MemoryTree {
    let mut tree = MemoryTree::new();
    for entry in entries() {
        tree.append_leaf(leaf_hash(&entry.encode().unwrap())).unwrap();
    }
    tree
}

fn head(size: u64) -> Checkpoint {
    Checkpoint::new(ORIGIN, size, root_at(&tree(), size).unwrap())
}

fn note(head: &Checkpoint) -> Note {
    head.sign(&signer(Role::Log)).unwrap()
}

fn cosigned() -> Note {
    let mut note = note(&head(6));
    let line = cosignature::sign(&signer(Role::Witness), WITNESS, 1_795_000_060, &note.text).unwrap();
    note.signatures.push(line);
    note
}

fn receipt() -> Receipt {
    let head = head(6);
    let cosignatures = vec![cosigned().signatures[1].raw().try_into().unwrap()];
    let path = inclusion_proof(&tree(), 5, 6).unwrap();
    Receipt::make(&signer(Role::Log), Inclusion { head: &head, index: 5, path, cosignatures }).unwrap()
}

fn statement(salt: u8, body: &Body) -> Vec<u8> {
    let common = yunling_protocol::statement::Common { salt: Salt([salt; 16]), ..common() };
    Statement::sign(&signer(Role::Statement), &common, body).unwrap().bytes().to_vec()
}

fn seal(salt: u8) -> Vec<u8> {
    statement(
        salt,
        &Body::Seal(Seal {
            epoch: 1,
            transfer: TransferId([3; 16]),
            head: ChainHead([4; 32]),
            count: 2,
            minutes: Minutes(60),
            balance: Minutes(60),
            next: yunling_protocol::name::NodeName::parse(WITNESS).unwrap(),
            authorisation: Authorisation::CodeHash([5; 32]),
            nullifier: [6; 32],
        }),
    )
}

fn evidence() -> Vec<(&'static str, Evidence)> {
    let rewritten = Checkpoint { root: [0x44; 32], ..head(6) };
    let (one, other) = (note(&head(6)).render(), note(&rewritten).render());
    let leaf = |note: &str| IncludedLeaf {
        entry: vec![0x81, 9],
        path: vec![[7; 32], [8; 32]],
        note: note.to_owned(),
    };
    let receipt = Body::Receipt(yunling_protocol::statement::Receipt {
        target: StatementId([9; 32]),
        outcome: Outcome::Accepted,
        reason: None,
        sequence: Some(1),
        state: Some((1, 2, ChainHead([4; 32]))),
    });
    vec![
        ("evidence-two-leaves", Evidence::TwoLeaves { index: 1, one: leaf(&one), other: leaf(&other) }),
        ("evidence-two-roots", Evidence::TwoRoots { one, other }),
        ("evidence-two-seals", Evidence::TwoSeals { one: seal(1), other: seal(2) }),
        (
            "evidence-dropped",
            Evidence::Dropped {
                receipt: statement(1, &receipt),
                head: seal(1),
                ids: vec![StatementId([1; 32]), StatementId([2; 32])],
            },
        ),
    ]
}

fn audit() -> Audit {
    let mut audit = Audit::new(ORIGIN);
    audit.checkpoint(&head(6), true).unwrap();
    audit.checkpoint(&Checkpoint { root: [0x44; 32], ..head(3) }, false).unwrap();
    audit.checkpoint(&Checkpoint::new(ORIGIN, 9, [0x55; 32]), false).unwrap();
    for entry in entries() {
        audit.entry(&entry.encode().unwrap()).unwrap();
    }
    audit.entry(&entries()[2].encode().unwrap()).unwrap();
    audit.entry(&[0xff]).unwrap();
    audit
}

fn tlog_proof() -> TlogProof {
    let path = inclusion_proof(&tree(), 5, 6).unwrap();
    TlogProof { extra: Some(b"more".to_vec()), index: 5, path, checkpoint: cosigned().render() }
}

fn policy() -> String {
    let key = |name, kind, role| NoteKey::new(name, kind, &signer(role).public()).unwrap().vkey();
    format!(
        "# golden\nlog {}\nwitness A {}\ngroup G all A\nquorum G\n",
        key(ORIGIN, KeyType::Ed25519, Role::Log),
        key(WITNESS, KeyType::CosignatureV1, Role::Witness)
    )
}

/// Every sample as made now: name and bytes.
fn made() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut bundle = Vec::new();
    for (at, entry) in entries().into_iter().enumerate() {
        let bytes = entry.encode().unwrap();
        tile::push_entry(&mut bundle, &bytes).unwrap();
        all.push((format!("entry-{at}"), bytes));
    }
    let text = |text: String| text.into_bytes();
    let proof = consistency_proof(&tree(), 3, 6).unwrap();
    let seen = Seen { size: 6, root: head(6).root, note: note(&head(6)).render() };
    all.extend([
        ("bundle".into(), bundle),
        ("frontier".into(), tree().frontier().encode()),
        ("life".into(), life().encode()),
        ("checkpoint".into(), text(note(&head(6)).render())),
        ("checkpoint-cosigned".into(), text(cosigned().render())),
        ("add-checkpoint".into(), text(AddCheckpoint::body(3, &proof, &note(&head(6)).render()))),
        ("seen".into(), seen.encode()),
        ("tlog-proof".into(), text(tlog_proof().render())),
        ("policy".into(), text(policy())),
        ("receipt".into(), receipt().encode()),
        ("proof-p2".into(), text(with_receipts(&p1(), &[receipt()]).unwrap())),
        ("audit".into(), audit().encode()),
    ]);
    all.extend(evidence().into_iter().map(|(name, evidence)| (name.to_owned(), evidence.encode())));
    all
}

#[test]
fn every_kind_of_statement_has_its_entry() {
    let key = DossierKey([0x55; 32]);
    let mut kinds = [0; 4];
    for (name, body) in bodies() {
        let statement = Statement::sign(&signer(Role::Statement), &common(), &body).unwrap();
        let id = statement.id.0;
        let expected = match &body {
            Body::Seal(seal) => Entry::Custody { id, nullifier: seal.nullifier },
            Body::Takeover(takeover) => Entry::Custody { id, nullifier: takeover.nullifier },
            Body::Void(void) => Entry::Change { id, mark: void_mark(void.target) },
            Body::Correction(correction) => Entry::Change { id, mark: void_mark(correction.target) },
            Body::Redemption(redemption) => Entry::Change { id, mark: spend_mark(&key, redemption.number) },
            _ => Entry::Signed(id),
        };
        kinds[expected.kind() as usize] += 1;
        assert_eq!(Entry::of_statement(&statement, Some(&key)), Ok(expected), "{name}");
        let without = Entry::of_statement(&statement, None);
        let needs = matches!(body, Body::Redemption(_));
        assert_eq!(without, if needs { Err(EntryError::KeyNeeded) } else { Ok(expected) }, "{name}");
    }
    assert!(kinds[1] > 5 && kinds[2] > 0 && kinds[3] > 2, "{kinds:?}");
}

#[test]
fn what_is_made_now_is_what_was_made_then() {
    let golden = golden();
    let made = made();
    for (name, bytes) in &made {
        let then = golden.get(name.as_str()).unwrap_or_else(|| panic!("no golden bytes of {name}"));
        assert_eq!(HEXLOWER.encode(bytes), *then, "{name}");
    }
    assert_eq!(golden.len(), made.len(), "every golden line is of a sample");
}

#[test]
fn what_was_made_then_is_read_now() {
    let golden: BTreeMap<_, _> =
        golden().into_iter().map(|(name, hex)| (name, HEXLOWER.decode(hex.as_bytes()).unwrap())).collect();
    for (at, entry) in entries().into_iter().enumerate() {
        assert_eq!(Entry::decode(&golden[format!("entry-{at}").as_str()]), Ok(entry));
    }
    assert_eq!(tile::decode_entries(&golden["bundle"], 6).unwrap().len(), 6);
    assert_eq!(Frontier::decode(&golden["frontier"]).unwrap().root(), head(6).root);
    assert_eq!(LifeRecord::decode(&golden["life"]), Ok(life()));
    assert_eq!(Checkpoint::parse(&golden["checkpoint"]).unwrap().1, head(6));
    let policy = PolicyFile::parse(&golden["policy"]).unwrap();
    assert_eq!(policy.verify(&golden["checkpoint-cosigned"], &[]), Ok(head(6)));
    assert_eq!(AddCheckpoint::parse(&golden["add-checkpoint"]).unwrap().checkpoint, head(6));
    assert_eq!(Seen::decode(&golden["seen"]).unwrap().size, 6);
    let proof = TlogProof::parse(&golden["tlog-proof"]).unwrap();
    let leaf = leaf_hash(&entries()[5].encode().unwrap());
    assert_eq!((proof.verify(&leaf, &policy), proof), (Ok(head(6)), tlog_proof()));
    assert_eq!(Receipt::parse(&golden["receipt"]), Ok(receipt()));
    let p2 = std::str::from_utf8(&golden["proof-p2"]).unwrap();
    assert_eq!((receipts_of(p2), with_receipts(p2, &[])), (Ok(vec![receipt()]), Ok(p1())));
    assert_eq!(Audit::decode(&golden["audit"]), Ok(audit()));
    for (name, evidence) in evidence() {
        assert_eq!(Evidence::decode(&golden[name]), Ok(evidence));
    }
}

#[test]
#[ignore = "prints the lines of samples that have none"]
fn print_missing() {
    let golden = golden();
    for (name, bytes) in made().into_iter().filter(|(name, _)| !golden.contains_key(name.as_str())) {
        println!("{name} {}", HEXLOWER.encode(&bytes));
    }
}
