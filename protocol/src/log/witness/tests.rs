#![allow(clippy::unwrap_used)]

use super::*;
use crate::key::SoftSigner;
use crate::log::merkle::{MemoryTree, consistency_proof, leaf_hash, root_at};
use crate::log::note::KeyType;

struct World {
    log: SoftSigner,
    witness: SoftSigner,
    tree: MemoryTree,
    seen: Option<Seen>,
}

impl World {
    fn new() -> Self {
        let mut tree = MemoryTree::new();
        for i in 0..20u8 {
            tree.append_leaf(leaf_hash(&[i])).unwrap();
        }
        Self {
            log: SoftSigner::from_seed(&[1; 32]),
            witness: SoftSigner::from_seed(&[2; 32]),
            tree,
            seen: None,
        }
    }

    fn head(&self, size: u64) -> Checkpoint {
        Checkpoint::new("dali/1", size, root_at(&self.tree, size).unwrap())
    }

    fn body(&self, old: u64, head: &Checkpoint) -> String {
        let proof = consistency_proof(&self.tree, old, head.size).unwrap_or_default();
        AddCheckpoint::body(old, &proof, &head.sign(&self.log).unwrap().render())
    }

    /// Answers and stores, as a node does.
    fn ask(&mut self, body: &str) -> Decision {
        let keys = vec![NoteKey::new("dali/1", KeyType::Ed25519, &self.log.public()).unwrap()];
        let witness = Witnesser { signer: &self.witness, name: "kunming", now: UnixTime(1_000) };
        let known = |origin: &str| (origin == "dali/1").then_some(keys);
        let decision =
            answer(&witness, body.as_bytes(), |origin| (known(origin), self.seen.clone())).unwrap();
        if let Some((origin, seen)) = &decision.store {
            assert_eq!(origin, "dali/1");
            assert_eq!(Seen::decode(&seen.encode()).as_ref(), Ok(seen));
            self.seen = Some(seen.clone());
        }
        decision
    }
}

#[test]
fn a_growing_log_is_cosigned_step_by_step_and_a_repeat_changes_nothing() {
    let mut world = World::new();
    for (old, new) in [(0, 3), (3, 8), (8, 8), (8, 20)] {
        let head = world.head(new);
        let decision = world.ask(&world.body(old, &head));
        let Answer::Cosigned(line) = &decision.answer else { panic!("{old} {new}: {decision:?}") };
        let key = NoteKey::new("kunming", KeyType::CosignatureV1, &world.witness.public()).unwrap();
        assert_eq!(cosignature::verify(&key, &head.text(), &line.signature), Some(1_000));
        assert_eq!((decision.store.is_some(), decision.alarm), (old != new, None));
        assert_eq!(world.seen.as_ref().unwrap().size, new);
    }
}

#[test]
fn a_refusal_stores_nothing_and_each_has_its_status() {
    let mut world = World::new();
    world.ask(&world.body(0, &world.head(8)));
    let before = world.seen.clone();
    let at = |old, new| world.body(old, &world.head(new));
    let other_origin = AddCheckpoint::body(
        0,
        &[],
        &Checkpoint::new("dali/2", 8, [1; 32]).sign(&world.log).unwrap().render(),
    );
    let stranger = AddCheckpoint::body(8, &[], &world.head(8).sign(&world.witness).unwrap().render());
    let mut rewritten = world.head(9);
    rewritten.root[0] ^= 1;
    let cases = [
        ("garbage".to_owned(), 400, None),
        (at(9, 8), 400, None),
        (at(8, 9).replace("old 8", "old 08"), 400, None),
        (at(8, 9).replace("old 8\n", "old 8\nAAAA\n"), 400, None),
        (other_origin, 404, None),
        (stranger, 403, None),
        (at(0, 9), 409, Some("8\n")),
        (at(0, 5), 409, Some("8\n")),
        (at(5, 9), 409, Some("8\n")),
        (AddCheckpoint::body(8, &[], &world.head(9).sign(&world.log).unwrap().render()), 422, None),
        (world.body(8, &rewritten), 422, None),
        (AddCheckpoint::body(8, &[[0; 32]], &world.head(8).sign(&world.log).unwrap().render()), 422, None),
    ];
    for (body, status, text) in cases {
        let decision = world.ask(&body);
        assert_eq!((decision.answer.status(), decision.store), (status, None), "{body}");
        assert_eq!(matches!(decision.alarm, Some(Alarm::Inconsistent { .. })), status == 422);
        assert!(text.is_none_or(|text| decision.answer.body() == text));
        assert_eq!(decision.answer.content_type() == SIZE_CONTENT_TYPE, status == 409);
        assert_eq!(world.seen, before);
    }
}

#[test]
fn two_roots_of_one_size_are_a_conflict_and_their_notes_are_handed_out() {
    let mut world = World::new();
    world.ask(&world.body(0, &world.head(8)));
    let mut fork = world.head(8);
    fork.root[0] ^= 1;
    for old in [8, 0] {
        let decision = world.ask(&world.body(old, &fork));
        assert_eq!(decision.answer, Answer::Conflict(8));
        let Some(Alarm::TwoRoots { seen, shown }) = decision.alarm else { panic!("no alarm") };
        assert_eq!(Checkpoint::parse(seen.as_bytes()).unwrap().1, world.head(8));
        assert_eq!(Checkpoint::parse(shown.as_bytes()).unwrap().1, fork);
    }
}

#[test]
fn signatures_of_others_are_not_stored() {
    let mut world = World::new();
    let mut note = world.head(8).sign(&world.log).unwrap();
    let spam = NoteSignature { name: "spam".into(), key_hash: [0; 4], signature: vec![0; 4_000] };
    note.signatures.extend(std::iter::repeat_n(spam, 10));
    let decision = world.ask(&AddCheckpoint::body(0, &[], &note.render()));
    assert_eq!(decision.answer.status(), 200);
    let stored = Note::parse(world.seen.unwrap().note.as_bytes()).unwrap();
    assert_eq!((stored.signatures.len(), stored.text), (1, note.text));
}

/// A log that shows two histories asks in any order, with any old size and any proof; what was cosigned
/// must lie on one of them. Every fork that is shown at the witnessed size comes with its two notes.
#[test]
fn a_log_with_two_histories_never_gets_cosignatures_on_both() {
    let mut seed = 7u64;
    let mut dice = move |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let (mut both, mut forks) = (0, 0);
    for _ in 0..150 {
        let fork = dice(19);
        let mut worlds = [World::new(), World::new()];
        worlds[1].tree = MemoryTree::new();
        for i in 0..20u64 {
            let leaf = if i == fork { [99; 32] } else { leaf_hash(&[i as u8]) };
            worlds[1].tree.append_leaf(leaf).unwrap();
        }
        let mut cosigned: Vec<Checkpoint> = Vec::new();
        let mut sides = [false; 2];
        for _ in 0..40 {
            let side = dice(2) as usize;
            let head = worlds[side].head(dice(21));
            // Mostly the size that the witness has; the proof is of one tree or the other.
            let seen = cosigned.last().map_or(0, |c| c.size);
            let old = if dice(4) == 0 { dice(21) } else { seen };
            let proof = consistency_proof(&worlds[dice(2) as usize].tree, old, head.size).unwrap_or_default();
            let note = head.sign(&worlds[0].log).unwrap().render();
            let decision = worlds[0].ask(&AddCheckpoint::body(old, &proof, &note));
            match decision.answer {
                Answer::Cosigned(_) => {
                    sides[side] |= head.size > fork;
                    cosigned.push(head);
                }
                _ => assert_eq!(decision.store, None),
            }
            if let Some(Alarm::TwoRoots { seen, shown }) = decision.alarm {
                let read = |note: &str| Checkpoint::parse(note.as_bytes()).unwrap().1;
                assert_eq!(read(&seen).size, read(&shown).size);
                assert_ne!(read(&seen).root, read(&shown).root);
                forks += 1;
            }
        }
        assert!(!(sides[0] && sides[1]), "cosignatures on both histories");
        both += usize::from(sides[0] || sides[1]);
        assert!(cosigned.windows(2).all(|pair| pair[0].size <= pair[1].size), "a tree never shrinks");
    }
    assert!(both > 100 && forks > 20, "{both} {forks}: the runs must reach behind the fork");
}
