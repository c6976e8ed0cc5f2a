//! The tree of RFC 6962 §2.1 as its text defines it, by recursion over all leaves.

use sha2::{Digest, Sha256};

use yunling_protocol::log::Hash;

pub(crate) fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

fn split(leaves: &[Hash]) -> usize {
    let mut k = 1;
    while 2 * k < leaves.len() {
        k *= 2;
    }
    k
}

pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(split(leaves));
            Sha256::new()
                .chain_update([1])
                .chain_update(root(left))
                .chain_update(root(right))
                .finalize()
                .into()
        }
    }
}

/// PATH(m, D[n]).
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let k = split(leaves);
    let (left, right) = leaves.split_at(k);
    let (mut below, beside) =
        if index < k { (path(index, left), root(right)) } else { (path(index - k, right), root(left)) };
    below.push(beside);
    below
}

/// PROOF(m, D[n]).
pub(crate) fn consistency(old: usize, leaves: &[Hash]) -> Vec<Hash> {
    if old == 0 { Vec::new() } else { subproof(old, leaves, true) }
}

fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let k = split(leaves);
    let (left, right) = leaves.split_at(k);
    let (mut below, beside) = if old <= k {
        (subproof(old, left, whole), root(right))
    } else {
        (subproof(old - k, right, false), root(left))
    };
    below.push(beside);
    below
}
