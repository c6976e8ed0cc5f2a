//! transparency-dev/merkle: inclusion, consistency, their subtree forms, and the RFC 6962 tree.

use serde_json::Value;
use yunling_protocol::log::Frontier;
use yunling_protocol::log::merkle::{
    Hash, MemoryTree, MerkleError, is_subtree, leaf_hash, root_at, verify_consistency, verify_inclusion,
    verify_subtree_consistency,
};

use crate::{Tally, base64, json, json_lines};

/// A hash field; `None` when the file gives no 32 bytes, which no function of ours can even be
/// asked about: the type refuses it.
fn hash(case: &Value, field: &str) -> Option<Hash> {
    base64(case[field].as_str().unwrap()).try_into().ok()
}

fn proof(case: &Value) -> Option<Vec<Hash>> {
    match &case["proof"] {
        Value::Null => Some(Vec::new()),
        list => {
            list.as_array().unwrap().iter().map(|h| base64(h.as_str().unwrap()).try_into().ok()).collect()
        }
    }
}

fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap()
}

/// Runs a set: `judge` gets a case and answers `None` where the types refuse it already.
fn run(
    set: &'static str,
    file: &str,
    count: usize,
    judge: impl Fn(&Value) -> Option<Result<(), MerkleError>>,
) {
    let Some(cases) = json_lines(file) else { return };
    let tally = Tally::new(set, &[]);
    let mut by_type = 0;
    for case in &cases {
        let verdict = judge(case);
        by_type += usize::from(verdict.is_none());
        let expected = !case["wantErr"].as_bool().unwrap();
        tally.case(case["path"].as_str().unwrap(), expected, verdict == Some(Ok(())), &verdict);
    }
    println!("{set}: {by_type} of them hold a hash of another length, which the type of a hash refuses");
    tally.finish(count);
}

#[test]
fn inclusion() {
    run("merkle inclusion", "merkle/inclusion.jsonl", 53, |c| {
        let (leaf, root, path) = (hash(c, "leafHash")?, hash(c, "root")?, proof(c)?);
        Some(verify_inclusion(&leaf, number(c, "leafIdx"), number(c, "treeSize"), &root, &path))
    });
}

#[test]
fn consistency() {
    run("merkle consistency", "merkle/consistency.jsonl", 43, |c| {
        let (old, new, path) = (hash(c, "root1")?, hash(c, "root2")?, proof(c)?);
        Some(verify_consistency(number(c, "size1"), &old, number(c, "size2"), &new, &path))
    });
}

#[test]
fn subtree_inclusion() {
    run("merkle subtree inclusion", "merkle/subtreeinclusion.jsonl", 114, |c| {
        let (leaf, root, path) = (hash(c, "leafHash")?, hash(c, "root")?, proof(c)?);
        let (index, start, end) = (number(c, "leafIdx"), number(c, "start"), number(c, "end"));
        // A subtree is a tree of its own, counted from its start.
        if !is_subtree(start, end) || index < start {
            return Some(Err(MerkleError::Sizes));
        }
        Some(verify_inclusion(&leaf, index - start, end - start, &root, &path))
    });
}

#[test]
fn subtree_consistency() {
    run("merkle subtree consistency", "merkle/subtreeconsistency.jsonl", 45, |c| {
        let (old, new, path) = (hash(c, "root1")?, hash(c, "root2")?, proof(c)?);
        let (start, end, size) = (number(c, "start"), number(c, "end"), number(c, "size"));
        Some(verify_subtree_consistency(start, end, &old, size, &new, &path))
    });
}

#[test]
fn the_reference_tree_of_rfc_6962() {
    let Some(set) = json("merkle/rfc6962_reference_tree.json") else { return };
    let hex = |v: &Value| data_encoding::HEXLOWER.decode(v.as_str().unwrap().as_bytes()).unwrap();
    let (mut frontier, mut tree) = (Frontier::new(), MemoryTree::new());
    let roots = set["root_by_size_hex"].as_array().unwrap();
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(frontier.root().to_vec(), hex(root), "size {size}");
        assert_eq!(root_at(&tree, size as u64).unwrap().to_vec(), hex(root));
        if let Some(leaf) = set["leaf_inputs_hex"].get(size) {
            frontier.append(&hex(leaf)).unwrap();
            tree.append_leaf(leaf_hash(&hex(leaf))).unwrap();
        }
    }
    println!("rfc6962 reference tree: {} roots", roots.len());
    assert_eq!((roots.len(), frontier.size()), (9, 8));
}
