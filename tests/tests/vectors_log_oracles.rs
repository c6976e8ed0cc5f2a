//! Our log against independent crates: the same input, valid or mutated, gets the same verdict, in
//! more than 10^5 cases from fixed seeds. Where a crate is laxer or stricter, the class of inputs
//! stands here with its reason, is counted, and must be met.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::{Digest, Sha256};
use yunling_protocol::key::{Signer, SoftSigner};
use yunling_protocol::log::merkle::{
    Hash, MemoryTree, Nodes, consistency_proof, inclusion_proof, leaf_hash, root_at, verify_consistency,
    verify_inclusion,
};
use yunling_protocol::log::note::{KeyType, NoteKey};
use yunling_protocol::log::tile::{self, Tile, TileKind};
use yunling_protocol::log::{Checkpoint, Note};
use yunling_protocol::proof::receipt::{Inclusion, Receipt};

/// SplitMix64: cases are the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Counts verdicts, and differences by class.
#[derive(Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    classes: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn count(&mut self, accepted: bool) {
        *(if accepted { &mut self.accepted } else { &mut self.refused }) += 1;
    }

    /// Prints; both verdicts were frequent, and exactly these classes were met.
    fn finish(self, what: &str, classes: &[&'static str]) {
        let Self { accepted, refused, classes: met } = self;
        println!("{what}: {} cases, {accepted} accepted, {refused} refused", accepted + refused);
        for (class, n) in &met {
            println!("  {n} differ: {class}");
        }
        assert!(
            accepted > (accepted + refused) / 20 && refused > (accepted + refused) / 20,
            "{what}: one-sided"
        );
        assert_eq!(met.keys().copied().collect::<Vec<_>>(), classes, "{what}: classes of differences");
    }
}

const LEAVES: u64 = 600;

fn entry(i: u64) -> Vec<u8> {
    i.to_be_bytes()[..(i % 9) as usize].to_vec()
}

fn tree() -> MemoryTree {
    let mut tree = MemoryTree::new();
    for i in 0..LEAVES {
        tree.append_leaf(leaf_hash(&entry(i))).unwrap();
    }
    tree
}

fn theirs(hash: &Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash)
}

fn root_hash(root: &Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new((*root).into(), size)
}

fn mutate_path(dice: &mut Dice, path: &mut Vec<Hash>) {
    let at = dice.below(path.len().max(1) as u64) as usize;
    match dice.below(5) {
        0 if !path.is_empty() => path[at][dice.below(32) as usize] ^= 1 << dice.below(8),
        1 if !path.is_empty() => drop(path.remove(at)),
        2 if path.len() > 1 => path.swap(at, 0),
        3 => path.insert(at, [dice.next() as u8; 32]),
        _ => path.push([7; 32]),
    }
}

/// A number near `n`, or far from it.
fn near(dice: &mut Dice, n: u64) -> u64 {
    match dice.below(4) {
        0 => n.saturating_sub(1),
        1 => n + 1,
        2 => n ^ (1 << dice.below(10)),
        _ => dice.below(LEAVES + 5),
    }
}

#[test]
fn roots_and_inclusion_proofs() {
    let tree = tree();
    let mut oracle = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 0..=LEAVES {
        assert_eq!(root_at(&tree, size).unwrap(), oracle.root().as_bytes()[..], "root of {size}");
        if size % 37 == 5 {
            for index in 0..size {
                let ours = inclusion_proof(&tree, index, size).unwrap();
                assert_eq!(ours.concat(), oracle.prove_inclusion(index as usize).as_bytes());
            }
        }
        oracle.push(entry(size));
    }
    let (mut dice, mut tally) = (Dice(1), Tally::default());
    for _ in 0..30_000 {
        let mut size = 1 + dice.below(LEAVES);
        let mut index = dice.below(size);
        let mut path = inclusion_proof(&tree, index, size).unwrap();
        let mut leaf = entry(index);
        let mut root = root_at(&tree, size).unwrap();
        match dice.below(8) {
            0 | 1 => {}
            2 => index = near(&mut dice, index),
            3 => size = near(&mut dice, size),
            4 => root = root_at(&tree, dice.below(LEAVES)).unwrap(),
            5 => leaf = entry(dice.below(LEAVES)),
            _ => mutate_path(&mut dice, &mut path),
        }
        let ours = verify_inclusion(&leaf_hash(&leaf), index, size, &root, &path).is_ok();
        let proof = InclusionProof::<Sha256>::from_bytes(path.concat());
        let a = root_hash(&root, size).verify_inclusion(&leaf, index, &proof).is_ok();
        let hashes = path.iter().map(theirs).collect::<Vec<_>>();
        let b =
            tlog_tiles::check_record(&hashes, size, theirs(&root), index, theirs(&leaf_hash(&leaf))).is_ok();
        assert_eq!((ours, ours), (a, b), "index {index} size {size} path {}", path.len());
        tally.count(ours);
    }
    tally.finish("inclusion proofs", &[]);
}

#[test]
fn consistency_proofs() {
    let tree = tree();
    let (mut dice, mut tally) = (Dice(2), Tally::default());
    for _ in 0..30_000 {
        let mut new = 1 + dice.below(LEAVES);
        let mut old = dice.below(new + 1);
        let mut proof = consistency_proof(&tree, old, new).unwrap();
        let (mut old_root, mut new_root) = (root_at(&tree, old).unwrap(), root_at(&tree, new).unwrap());
        match dice.below(8) {
            0 | 1 => {}
            2 => old = near(&mut dice, old),
            3 => new = near(&mut dice, new),
            4 => old_root = root_at(&tree, dice.below(LEAVES)).unwrap(),
            5 => new_root = root_at(&tree, dice.below(LEAVES)).unwrap(),
            _ => mutate_path(&mut dice, &mut proof),
        }
        let ours = verify_consistency(old, &old_root, new, &new_root, &proof).is_ok();
        let bytes = ConsistencyProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
        let a = root_hash(&new_root, new).verify_consistency(&root_hash(&old_root, old), &bytes).is_ok();
        let hashes = proof.iter().map(theirs).collect::<Vec<_>>();
        let b = tlog_tiles::check_tree(&hashes, new, theirs(&new_root), old, theirs(&old_root)).is_ok();
        if old == 0 {
            // RFC 9162 defines no proof from the empty tree and both crates refuse it; a witness
            // needs it (C2SP tlog-witness: old 0 with an empty proof).
            assert!(!a && !b);
            if ours {
                assert!(proof.is_empty());
                *tally
                    .classes
                    .entry("from the empty tree: accepted by us with an empty proof")
                    .or_default() += 1;
            }
            continue;
        }
        assert_eq!((ours, ours), (a, b), "{old} {new} proof {}", proof.len());
        tally.count(ours);
    }
    tally.finish("consistency proofs", &["from the empty tree: accepted by us with an empty proof"]);
}

/// Changes a text as a careless or hostile sender would.
fn mutate_text(dice: &mut Dice, text: &mut Vec<u8>) {
    const PIECES: [&str; 16] = [
        "\n",
        "\n\n",
        " ",
        "+",
        "=",
        "0",
        "9",
        "A",
        "\u{2014} ",
        "\u{1}",
        "\t",
        "\r",
        "\u{7f}",
        "\u{a0}",
        "/",
        "x",
    ];
    if text.is_empty() {
        return;
    }
    let at = dice.below(text.len() as u64 + 1) as usize;
    let lines = |text: &[u8]| text.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    match dice.below(8) {
        0 if at < text.len() => text[at] ^= 1 << dice.below(8),
        1 if at < text.len() => drop(text.remove(at)),
        2 => drop(text.splice(at..at, dice.pick(&PIECES).bytes())),
        3 => text.truncate(at),
        4 | 5 => {
            let mut all = lines(text);
            let (a, b) = (dice.below(all.len() as u64) as usize, dice.below(all.len() as u64) as usize);
            if dice.below(2) == 0 {
                all.swap(a, b);
            } else {
                all.insert(b, all[a].clone());
            }
            *text = all.concat();
        }
        6 => {
            let mut all = lines(text);
            all.remove(dice.below(all.len() as u64) as usize);
            *text = all.concat();
        }
        _ => {
            // The last letter of a base64 may hide bits behind its end.
            if let Some(end) = text.iter().rposition(|b| *b == b'=').filter(|end| *end > 1) {
                text[end - 1] = dice.pick(b"ABEIMQghijk048");
            }
        }
    }
}

#[test]
fn notes() {
    let signers: Vec<SoftSigner> = (1..=3).map(|seed| SoftSigner::from_seed(&[seed; 32])).collect();
    let names = ["example.com/log", "dali/1", "云岭/2"];
    let key = |at: usize| NoteKey::new(names[at], KeyType::Ed25519, &signers[at].public()).unwrap();
    let known = [key(0), key(1)];
    let verifier = |key: &NoteKey| -> Box<dyn signed_note::Verifier> {
        Box::new(signed_note::StandardVerifier::new(&key.vkey()).unwrap())
    };
    let theirs = signed_note::VerifierList::new(known.iter().map(verifier).collect());
    let (mut dice, mut tally) = (Dice(3), Tally::default());
    for case in 0..20_000u64 {
        let text = match dice.below(3) {
            0 => format!("note {case}\n"),
            1 => format!("a\n\nb {case}\n"),
            _ => Checkpoint::new(names[1], case, [case as u8; 32]).text(),
        };
        let signatures = (0..=dice.below(4))
            .flat_map(|_| {
                let at = dice.below(3) as usize;
                let mut note = Checkpoint::new(names[at], 1, [0; 32]).sign(&signers[at]).unwrap();
                note.signatures[0].signature = signers[at].sign(text.as_bytes()).unwrap().to_vec();
                note.signatures
            })
            .collect();
        let mut bytes = Note { text, signatures }.render().into_bytes();
        for _ in 0..dice.below(3) {
            mutate_text(&mut dice, &mut bytes);
        }
        let ours = Note::parse(&bytes);
        let oracle = signed_note::Note::from_bytes(&bytes);
        assert_eq!(ours.is_ok(), oracle.is_ok(), "{:?}", String::from_utf8_lossy(&bytes));
        let (Ok(ours), Ok(oracle)) = (ours, oracle) else {
            tally.count(false);
            continue;
        };
        assert_eq!(ours.render().as_bytes(), oracle.to_bytes());
        let (a, b) = (ours.verify(&known), oracle.verify(&theirs));
        assert_eq!(a.is_ok(), b.is_ok(), "{:?} {a:?}", String::from_utf8_lossy(&bytes));
        if let (Ok(a), Ok((b, _))) = (&a, &b) {
            let a = a.iter().map(|k| k.key.name()).collect::<Vec<_>>();
            assert_eq!(a, b.iter().map(signed_note::Signature::name).collect::<Vec<_>>());
        }
        tally.count(a.is_ok());
    }
    tally.finish("notes", &[]);
}

#[test]
fn checkpoints() {
    let (mut dice, mut tally) = (Dice(4), Tally::default());
    for case in 0..20_000u64 {
        let mut checkpoint =
            Checkpoint::new(["dali/1", "go.sum database tree"][case as usize % 2], 0, [0; 32]);
        checkpoint.size = dice.next() >> dice.below(64);
        checkpoint.root = Sha256::digest(case.to_be_bytes()).into();
        checkpoint.extension = ["", "", "ext\n", "one\ntwo\n"][dice.below(4) as usize].to_owned();
        let mut bytes = checkpoint.text().into_bytes();
        for _ in 0..dice.below(3) {
            mutate_text(&mut dice, &mut bytes);
        }
        let ours = std::str::from_utf8(&bytes).ok().and_then(|text| Checkpoint::parse_text(text).ok());
        let oracle = tlog_tiles::Checkpoint::from_bytes(&bytes).ok();
        assert_eq!(ours.is_some(), oracle.is_some(), "{:?}", String::from_utf8_lossy(&bytes));
        if let (Some(ours), Some(oracle)) = (&ours, &oracle) {
            assert_eq!((ours.size, ours.origin.as_str()), (oracle.size(), oracle.origin()));
            assert_eq!((ours.root, ours.extension.as_str()), (oracle.hash().0, oracle.extension()));
        }
        tally.count(ours.is_some());
    }
    tally.finish("checkpoints", &[]);
}

#[test]
fn verifier_keys() {
    let (mut dice, mut tally) = (Dice(5), Tally::default());
    for case in 0..5_000u64 {
        let seed: [u8; 32] = Sha256::digest(case.to_be_bytes()).into();
        let public = SoftSigner::from_seed(&seed).public();
        let key_type = if case % 50 == 0 { KeyType::CosignatureV1 } else { KeyType::Ed25519 };
        let mut text = NoteKey::new("example.com/dali", key_type, &public).unwrap().vkey().into_bytes();
        match dice.below(4) {
            0 => mutate_text(&mut dice, &mut text),
            1 => text.iter_mut().skip(17).take(8).for_each(u8::make_ascii_uppercase),
            _ => {}
        }
        let Ok(text) = String::from_utf8(text) else { continue };
        let ours = NoteKey::parse(&text);
        let oracle = signed_note::StandardVerifier::new(&text).is_ok();
        let id = text.split('+').nth(1).unwrap_or_default();
        let class = match (&ours, oracle) {
            (Ok(key), false) if key.key_type() == KeyType::CosignatureV1 => {
                Some("type 0x04 is a key of witnesses, which the crate does not know")
            }
            (Err(_), true) if id.bytes().any(|b| b.is_ascii_uppercase()) => {
                Some("a key id in upper case: two texts for one key are refused by us")
            }
            _ => None,
        };
        match class {
            None => {
                assert_eq!(ours.is_ok(), oracle, "{text:?} {ours:?}");
                tally.count(oracle);
            }
            Some(class) => *tally.classes.entry(class).or_default() += 1,
        }
    }
    let upper = "a key id in upper case: two texts for one key are refused by us";
    tally.finish("verifier keys", &[upper, "type 0x04 is a key of witnesses, which the crate does not know"]);
}

/// The path as the crate writes it: it names the height, and calls entries data.
fn with_height(path: &str) -> Option<String> {
    let rest = path.strip_prefix("tile/")?;
    Some(match rest.strip_prefix("entries/") {
        Some(rest) => format!("tile/8/data/{rest}"),
        None => format!("tile/8/{rest}"),
    })
}

#[test]
fn tile_paths_and_growth() {
    let (mut dice, mut tally) = (Dice(6), Tally::default());
    for _ in 0..20_000 {
        let kind = if dice.below(3) == 0 { TileKind::Entries } else { TileKind::Hashes(dice.below(8) as u8) };
        let index = dice.next() >> (20 + dice.below(44));
        let tile = Tile { kind, index, width: 1 + dice.below(256) as u16 };
        let mut path = tile.to_string().into_bytes();
        if dice.below(2) == 0 {
            mutate_text(&mut dice, &mut path);
        }
        let Ok(path) = String::from_utf8(path) else { continue };
        let Some(mapped) = with_height(&path) else { continue };
        let ours = Tile::parse(&path);
        // The crate panics on a width of 0 and on levels over 63, and reads levels that no tree of
        // 2^64 leaves has.
        let level = mapped.split('/').nth(2).and_then(|level| level.parse::<u8>().ok());
        let width = mapped.split_once(".p/").and_then(|(_, width)| width.parse::<u32>().ok());
        if level.is_some_and(|level| level > 7) || width == Some(0) {
            assert_eq!(ours, None);
            *tally.classes.entry("a tile level over 7, which no tree has, or a width of 0").or_default() += 1;
            continue;
        }
        let oracle = tlog_tiles::Tile::from_path(&mapped);
        assert_eq!(ours.is_some(), oracle.is_ok(), "{path}");
        if let (Some(ours), Ok(oracle)) = (ours, oracle) {
            assert_eq!((ours.index, u32::from(ours.width)), (oracle.level_index(), oracle.width()));
        }
        tally.count(ours.is_some());
    }
    for _ in 0..300 {
        let old = dice.next() >> (40 + dice.below(24));
        let new = old + dice.below(3_000);
        let mut ours: Vec<String> = tile::changed(old, new)
            .iter()
            .filter(|tile| tile.kind != TileKind::Entries)
            .map(|tile| with_height(&tile.to_string()).unwrap())
            .collect();
        let mut oracle: Vec<String> =
            tlog_tiles::Tile::new_tiles(8, old, new).iter().map(tlog_tiles::Tile::path).collect();
        ours.sort();
        oracle.sort();
        assert_eq!(ours, oracle, "{old} {new}");
    }
    tally.finish("tile paths", &["a tile level over 7, which no tree has, or a width of 0"]);
}

/// RFC 9942 by an independent COSE crate, and by an independent tree: the log's signature in a receipt
/// holds over the root that `ct-merkle` finds, with the labels that the RFC gives.
#[test]
fn a_receipt_is_one_of_rfc_9942() {
    use coset::cbor::value::Value;
    use coset::{CborSerializable as _, CoseSign1, Label, TaggedCborSerializable as _};
    let log = SoftSigner::from_seed(&[5; 32]);
    let mut oracle = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut tree = MemoryTree::new();
    for i in 0..100 {
        oracle.push(entry(i));
        tree.append_leaf(leaf_hash(&entry(i))).unwrap();
    }
    let head = Checkpoint::new("dali/1", 100, tree.frontier().root());
    let path = inclusion_proof(&tree, 61, 100).unwrap();
    let inclusion = Inclusion { head: &head, index: 61, path, cosignatures: vec![[1; 76]] };
    let bytes = Receipt::make(&log, inclusion).unwrap().encode();
    let read = CoseSign1::from_tagged_slice(&bytes).unwrap();
    assert_eq!(read.payload, None);
    let key = ed25519_dalek::VerifyingKey::from_bytes(&log.public()).unwrap();
    let check = |root: &[u8]| {
        read.verify_detached_signature(root, &[], |signature, message| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_slice(signature).unwrap())
        })
    };
    check(&oracle.root().as_bytes()[..]).unwrap();
    assert!(check(&[0; 32]).is_err());
    let find = |rest: &[(Label, Value)], label: i64| {
        rest.iter().find(|(l, _)| *l == Label::Int(label)).map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(find(&read.protected.header.rest, 395), Value::from(1));
    let claims = vec![(Value::from(1), Value::from("dali"))];
    assert_eq!(find(&read.protected.header.rest, 15), Value::Map(claims));
    let Value::Map(proofs) = find(&read.unprotected.rest, 396) else { panic!("396") };
    let [(label, Value::Array(inclusions))] = proofs.as_slice() else { panic!("one kind of proof") };
    assert_eq!(*label, Value::from(-1));
    let [Value::Bytes(proof)] = inclusions.as_slice() else { panic!("one proof") };
    let Value::Array(parts) = Value::from_slice(proof).unwrap() else { panic!("an array") };
    assert_eq!(parts[..2], [Value::from(100), Value::from(61)]);
    let hashes: Vec<u8> =
        parts[2].as_array().unwrap().iter().flat_map(|hash| hash.as_bytes().unwrap().clone()).collect();
    assert_eq!(hashes, oracle.prove_inclusion(61).as_bytes());
}

/// Tiles that the crate reads from a tree of ours.
struct Reader<'a>(&'a MemoryTree);

impl tlog_tiles::HashReader for Reader<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let one = |index: &u64| {
            let (level, n) = tlog_tiles::split_stored_hash_index(*index);
            Ok(tlog_tiles::Hash(self.0.node(level, n).map_err(|_| tlog_tiles::Error::IndexesNotInTree)?))
        };
        indexes.iter().map(one).collect()
    }
}

#[test]
fn proofs_are_byte_for_byte_those_of_the_crate() {
    let (tree, mut dice) = (tree(), Dice(7));
    for _ in 0..2_000 {
        let size = 1 + dice.below(LEAVES);
        let index = dice.below(size);
        let raw = |hashes: Vec<tlog_tiles::Hash>| hashes.iter().map(|h| h.0).collect::<Vec<_>>();
        let oracle = raw(tlog_tiles::prove_record(size, index, &Reader(&tree)).unwrap());
        assert_eq!(inclusion_proof(&tree, index, size).unwrap(), oracle);
        let oracle = raw(tlog_tiles::prove_tree(size, index + 1, &Reader(&tree)).unwrap());
        assert_eq!(consistency_proof(&tree, index + 1, size).unwrap(), oracle);
    }
}
