//! The two example receipts of RFC 9942. They are ES256, of no log of ours, and their header is out of
//! order (395 before 15, against RFC 8949 §4.2.1), for which our strict reader refuses them. What they hold is read with the labels and the shape that ours have, and
//! the two prove each other: leaf 3 of 5 in one is the fourth leaf of the other.

use yunling_protocol::cbor::{self, CborError, Fields, Value};
use yunling_protocol::log::merkle::{Hash, node_hash, root_from_inclusion, verify_consistency};
use yunling_protocol::proof::Receipt;
use yunling_protocol::proof::receipt::ReceiptError;

use crate::folder;

/// The proof of this kind in a receipt: its two numbers and its hashes.
fn proof(bytes: &[u8], kind: i64) -> (u64, u64, Vec<Hash>) {
    let Value::Tag(18, inner) = cbor::decode_foreign(bytes, 1024).unwrap() else { panic!("tag 18") };
    let Value::Array(items) = *inner else { panic!("an array") };
    let [Value::Bytes(protected), unprotected, Value::Null, Value::Bytes(signature)]: [Value; 4] =
        items.try_into().unwrap()
    else {
        panic!("the payload is detached")
    };
    assert_eq!(signature.len(), 64);
    let mut header = Fields::open(cbor::decode_foreign(&protected, 256).unwrap()).unwrap();
    assert_eq!((header.int(1), header.int(395)), (Ok(-7), Ok(1)));
    let mut claims = Fields::open(header.need(15).unwrap()).unwrap();
    assert_eq!(claims.text(1, 100).unwrap(), "https://transparency-service.example.com");
    let mut proofs = Fields::open(Fields::open(unprotected).unwrap().need(396).unwrap()).unwrap();
    let Value::Bytes(proof) = proofs.list(kind, 1).unwrap().remove(0) else { panic!("bytes") };
    let Value::Array(parts) = cbor::decode(&proof, 1024).unwrap() else { panic!("an array") };
    let Value::Array(hashes) = &parts[2] else { panic!("hashes") };
    let hashes = hashes.iter().map(|hash| cbor::as_array(hash.clone(), 0).unwrap()).collect();
    (cbor::as_uint(&parts[0], 0).unwrap(), cbor::as_uint(&parts[1], 0).unwrap(), hashes)
}

#[test]
fn the_receipts_of_rfc_9942_agree_with_each_other() {
    let Some(folder) = folder().map(|f| f.join("cose-receipts")) else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (inclusion, consistency) = (read("inclusion-receipt.cbor"), read("consistency-receipt.cbor"));
    for receipt in [&inclusion, &consistency] {
        assert!(matches!(Receipt::parse(receipt), Err(ReceiptError::Cbor(CborError::KeyOrder(_)))));
    }
    let (size, index, path) = proof(&inclusion, -1);
    let (old, new, hashes) = proof(&consistency, -2);
    assert_eq!((size, index, old, new), (5, 3, 3, 5));
    // From 3 to 5: the third leaf, its new neighbour, the two before, the fifth.
    let root = root_from_inclusion(&hashes[1], index, size, &path).unwrap();
    let old_root = node_hash(&hashes[2], &hashes[0]);
    assert_eq!(verify_consistency(old, &old_root, new, &root, &hashes), Ok(()));
    println!("cose-receipts: 2 receipts, both refused as proofs of ours: header out of order, and ES256");
}
