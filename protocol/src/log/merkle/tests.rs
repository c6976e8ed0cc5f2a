#![allow(clippy::unwrap_used)]

use super::*;

fn leaf(i: u64) -> Hash {
    leaf_hash(&i.to_be_bytes())
}

fn tree(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for i in 0..size {
        assert_eq!(tree.append_leaf(leaf(i)), Ok(i));
    }
    tree
}

/// RFC 9162 §2.1.1 as it is written, to compare with.
fn by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&by_definition(left), &by_definition(right))
        }
    }
}

#[test]
fn every_root_up_to_200_leaves_is_the_one_of_the_definition() {
    let all = tree(200);
    let leaves: Vec<Hash> = (0..200).map(leaf).collect();
    let mut frontier = Frontier::new();
    for size in 0..=200 {
        let expected = by_definition(&leaves[..size]);
        assert_eq!(frontier.root(), expected);
        assert_eq!(root_at(&all, size as u64), Ok(expected));
        let kept = frontier.encode();
        assert_eq!(Frontier::decode(&kept), Ok(frontier.clone()));
        assert!(kept.len() <= FRONTIER_BYTES_MAX);
        if let Some(next) = leaves.get(size) {
            frontier.append_leaf(*next, |_, _, _| ()).unwrap();
        }
    }
}

#[test]
fn every_inclusion_proof_verifies_and_no_other_claim_does() {
    let all = tree(70);
    for size in 1..=70 {
        let root = root_at(&all, size).unwrap();
        for index in 0..size {
            let path = inclusion_proof(&all, index, size).unwrap();
            assert_eq!(inclusion_length(index, size), Some(path.len()));
            assert_eq!(verify_inclusion(&leaf(index), index, size, &root, &path), Ok(()));
            for other in (0..size + 2).filter(|o| *o != index) {
                assert!(verify_inclusion(&leaf(index), other, size, &root, &path).is_err());
                assert!(verify_inclusion(&leaf(other), index, size, &root, &path).is_err());
            }
            let longer = [path.clone(), vec![root]].concat();
            assert_eq!(
                verify_inclusion(&leaf(index), index, size, &root, &longer),
                Err(MerkleError::ProofLength)
            );
            for at in 0..path.len() {
                let mut changed = path.clone();
                changed[at][0] ^= 1;
                assert_eq!(
                    verify_inclusion(&leaf(index), index, size, &root, &changed),
                    Err(MerkleError::OtherRoot)
                );
            }
        }
    }
}

#[test]
fn every_consistency_proof_verifies_and_no_other_claim_does() {
    let all = tree(70);
    let roots: Vec<Hash> = (0..=70).map(|size| root_at(&all, size).unwrap()).collect();
    for new in 0..=70usize {
        for old in 0..=new {
            let proof = consistency_proof(&all, old as u64, new as u64).unwrap();
            let check = |old: usize, old_root: &Hash, new: usize, new_root: &Hash, proof: &[Hash]| {
                verify_consistency(old as u64, old_root, new as u64, new_root, proof)
            };
            assert_eq!(check(old, &roots[old], new, &roots[new], &proof), Ok(()), "{old} {new}");
            let longer = [proof.clone(), vec![roots[new]]].concat();
            assert!(check(old, &roots[old], new, &roots[new], &longer).is_err());
            let mut changed = roots[old];
            changed[31] ^= 1;
            assert!(check(old, &changed, new, &roots[new], &proof).is_err());
            if old > 0 {
                let mut changed = roots[new];
                changed[31] ^= 1;
                assert!(check(old, &roots[old], new, &changed, &proof).is_err());
            }
            for at in 0..proof.len() {
                let mut wrong = proof.clone();
                wrong[at][7] ^= 1;
                assert_eq!(check(old, &roots[old], new, &roots[new], &wrong), Err(MerkleError::OtherRoot));
                wrong.remove(at);
                assert!(check(old, &roots[old], new, &roots[new], &wrong).is_err());
            }
        }
    }
    assert_eq!(verify_consistency(3, &roots[3], 2, &roots[2], &[]), Err(MerkleError::Sizes));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 5, &roots[5], &[roots[5]]), Err(MerkleError::ProofLength));
}

#[test]
fn sizes_at_the_end_of_the_numbers_are_judged_without_overflow() {
    let path = vec![[1; 32]; 64];
    let top = u64::MAX;
    assert!(root_from_inclusion(&[0; 32], 0, top, &path).is_ok());
    assert_eq!(inclusion_length(top - 1, top), Some(63));
    assert_eq!(verify_inclusion(&[0; 32], 1 << 63, top, &[0; 32], &path), Err(MerkleError::OtherRoot));
    for old in [1, 2, 3, 1 << 63, (1 << 63) + 1, top - 1, top] {
        assert!(verify_consistency(old, &[0; 32], top, &[0; 32], &path).is_err());
    }
    assert!(!is_subtree(0, 0) && !is_subtree(1, 3) && is_subtree(2, 4) && is_subtree(0, top));
    // Here the subtree would need 2^64 leaves.
    assert!(!is_subtree(1 << 62, top));
}

#[test]
fn a_damaged_frontier_is_refused() {
    let kept = tree(7).frontier().encode();
    assert!(Frontier::decode(&kept).is_ok());
    assert_eq!(Frontier::decode(&kept[..kept.len() - 1]), Err(MerkleError::Damaged));
    assert_eq!(Frontier::decode(&[kept.clone(), vec![0; 32]].concat()), Err(MerkleError::Damaged));
    assert_eq!(Frontier::decode(&[]), Err(MerkleError::Damaged));
    let mut other_size = kept;
    other_size[7] = 8;
    assert_eq!(Frontier::decode(&other_size), Err(MerkleError::Damaged));
    let mut over = (SIZE_MAX << 1).to_be_bytes().to_vec();
    over.extend_from_slice(&[0; 32]);
    assert_eq!(Frontier::decode(&over), Err(MerkleError::Damaged));
}
