//! Proofs with receipts (P2) under independent implementations: the token read by the reference reader of Claim
//! 169, the receipt by `coset`, the root made again from RFC 9162 alone. The same text, valid or changed, gets
//! the same verdict; where the others are laxer, the class of inputs stands here with its reason and is met.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use claim169_core::{CryptoError, CryptoResult, Decoder, SignatureVerifier};
use coset::cbor::value::Value;
use coset::{CborSerializable as _, CoseSign1, Label, TaggedCborSerializable as _, iana};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use yunling_protocol::base45;
use yunling_protocol::card::{Card, NodeKind};
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::division::DivisionCode;
use yunling_protocol::key::{ALG_EDDSA, KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::log::merkle::{MemoryTree, inclusion_proof, leaf_hash, root_at};
use yunling_protocol::log::{Checkpoint, Entry};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::receipt::{Inclusion, Receipt};
use yunling_protocol::proof::{
    Amount, Claims, LogTrust, PREFIX, StatusRules, Verdict, Why, issue_with_alg, logged_id, verify_logged,
    with_receipts,
};
use yunling_protocol::status::StatusLists;
use yunling_tests::dice::Dice;

const ISSUER: &str = "vol.yn.cn/532900";
const ISSUED: i64 = 1_795_000_000;
const CASES: u64 = 12_000;

fn signer(role: Role) -> SoftSigner {
    SoftSigner::from_seed(&[role as u8; 32])
}

/// The same keys, without our key code.
fn public(role: Role) -> VerifyingKey {
    SigningKey::from_bytes(&[role as u8; 32]).verifying_key()
}

fn trust() -> Members {
    let key = |role| KeyEntry::new(role, signer(role).public(), UnixTime(0), None).unwrap();
    let card = Card {
        name: NodeName::parse(ISSUER).unwrap(),
        title_zh: "大理".into(),
        title_en: "Dali".into(),
        division: DivisionCode(532_900),
        kind: NodeKind::Prefecture,
        keys: Role::ALL.into_iter().map(key).collect(),
        addresses: vec![],
        contact: String::new(),
        made_at: UnixTime(0),
        trial: false,
    };
    let mut trust = Members::default();
    trust.insert(Member { card: card.sign(&signer(Role::Statement)).unwrap(), removed_at: None });
    trust
}

fn p1(subject: u8) -> String {
    let claims = Claims {
        issuer: NodeName::parse(ISSUER).unwrap(),
        subject: [subject; 16],
        issued: UnixTime(ISSUED),
        expires: UnixTime(ISSUED + 365 * 86_400),
        full_name: Some("试样甲乙丙".into()),
        amount: Amount::AtLeast(Minutes(18_000)),
        days: Some((Day(19_358), Day(20_780))),
        epoch: 2,
        recorders: vec![],
        number: None,
        trial: false,
        status: None,
    };
    issue_with_alg(&signer(Role::Proof), ALG_EDDSA, &claims).unwrap()
}

/// A receipt of `text` at `index` of a log of `size` entries, by the key of `role`.
fn receipt(text: &str, index: u64, size: u64, role: Role) -> Receipt {
    let entry = Entry::Signed(logged_id(text).unwrap().0).encode().unwrap();
    let mut tree = MemoryTree::new();
    for i in 0..size {
        let leaf = if i == index { leaf_hash(&entry) } else { leaf_hash(&i.to_be_bytes()) };
        tree.append_leaf(leaf).unwrap();
    }
    let head = Checkpoint::new(format!("{ISSUER}/1"), size, root_at(&tree, size).unwrap());
    let path = inclusion_proof(&tree, index, size).unwrap();
    Receipt::make(&signer(role), Inclusion { head: &head, index, path, cosignatures: vec![[1; 76]] }).unwrap()
}

/// Our verdict: valid, and logged.
fn ours(text: &str, trust: &Members) -> Result<(u64, u64), Why> {
    let keys = |node: &NodeName| trust.keys_known(node, Role::Log).cloned().collect();
    let logs = LogTrust { keys: &keys, quorum: &|_| None, required: true };
    let (lists, rules) = (StatusLists::default(), StatusRules::default());
    let checked = verify_logged(text, trust, &lists, &rules, &logs, UnixTime(ISSUED + 60));
    match (checked.verdict(), checked.logged) {
        (Verdict::Valid, Some(logged)) => Ok((logged.size, logged.index)),
        _ => Err(checked.why),
    }
}

struct Strict(VerifyingKey);

impl SignatureVerifier for Strict {
    fn verify(
        &self,
        _: iana::Algorithm,
        _: Option<&[u8]>,
        data: &[u8],
        signature: &[u8],
    ) -> CryptoResult<()> {
        let signature = Signature::from_slice(signature).map_err(|_| CryptoError::VerificationFailed)?;
        self.0.verify_strict(data, &signature).map_err(|_| CryptoError::VerificationFailed)
    }
}

/// The verdict of the others: the token by the Claim 169 reader, each receipt as RFC 9942 says. What the
/// unprotected header holds besides is nothing to them.
fn theirs(text: &str) -> Option<(u64, u64)> {
    let body = text.strip_prefix(PREFIX)?;
    let read = Decoder::new(body).verify_with(Strict(public(Role::Proof)));
    let read = read.without_timestamp_validation().decode().ok()?;
    if read.cwt_meta.issuer.as_deref() != Some(ISSUER) {
        return None;
    }
    let token = CoseSign1::from_tagged_slice(&base45::decode(body).ok()?).ok()?;
    let receipts = find(&token.unprotected.rest, 394)?.as_array()?.clone();
    // The entry is the id of the token without its receipts.
    let mut bare = token;
    bare.unprotected = coset::Header::default();
    let id = Sha256::digest(bare.to_tagged_vec().ok()?);
    let entry = Value::Array(vec![Value::from(1), Value::Bytes(id.to_vec())]).to_vec().ok()?;
    let places: Option<Vec<(u64, u64)>> =
        receipts.iter().map(|one| included(one.as_bytes()?, &entry)).collect();
    places?.first().copied()
}

fn find(rest: &[(Label, Value)], label: i64) -> Option<&Value> {
    rest.iter().find(|(known, _)| *known == Label::Int(label)).map(|(_, value)| value)
}

/// RFC 9942: the root made from the leaf is the detached payload.
fn included(bytes: &[u8], entry: &[u8]) -> Option<(u64, u64)> {
    let receipt = CoseSign1::from_tagged_slice(bytes).ok()?;
    let number = |value: &Value| u64::try_from(value.as_integer()?).ok();
    let claims = find(&receipt.protected.header.rest, 15)?.as_map()?;
    let issuer = claims.iter().find(|(key, _)| *key == Value::from(1)).map(|(_, value)| value)?;
    let kind = number(find(&receipt.protected.header.rest, 395)?)?;
    if receipt.payload.is_some() || issuer.as_text() != Some(ISSUER) || kind != 1 {
        return None;
    }
    let proofs = find(&receipt.unprotected.rest, 396)?.as_map()?;
    let inclusion = proofs.iter().find(|(key, _)| *key == Value::from(-1)).map(|(_, value)| value)?;
    let [proof] = inclusion.as_array()?.as_slice() else { return None };
    let Value::Array(parts) = Value::from_slice(proof.as_bytes()?).ok()? else { return None };
    let [size, index, path] = parts.as_slice() else { return None };
    let (size, index) = (number(size)?, number(index)?);
    let path: Option<Vec<[u8; 32]>> =
        path.as_array()?.iter().map(|hash| hash.as_bytes()?.as_slice().try_into().ok()).collect();
    let root = root_of(entry, index, size, &path?)?;
    receipt
        .verify_detached_signature(&root, &[], |signature, message| {
            Signature::from_slice(signature).and_then(|s| public(Role::Log).verify_strict(message, &s))
        })
        .ok()?;
    Some((size, index))
}

/// RFC 9162 §2.1.3.2, step by step.
fn root_of(entry: &[u8], index: u64, size: u64, path: &[[u8; 32]]) -> Option<[u8; 32]> {
    let node = |left: &[u8; 32], right: &[u8; 32]| -> [u8; 32] {
        Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
    };
    let mut at = index;
    let mut last = size.checked_sub(1).filter(|last| index <= *last)?;
    let mut root: [u8; 32] = Sha256::new().chain_update([0]).chain_update(entry).finalize().into();
    for hash in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            root = node(hash, &root);
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = node(&root, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// One text: the proof with its receipt, changed in some way or in none.
fn case(dice: &mut Dice, proofs: &[(String, Receipt)]) -> String {
    let pick = |dice: &mut Dice| &proofs[dice.below(proofs.len() as u64) as usize];
    let (text, mut receipt) = pick(dice).clone();
    match dice.below(9) {
        0 | 1 => {}
        2 => receipt = pick(dice).1.clone(),
        3 => receipt.index ^= 1 << dice.below(9),
        4 => receipt.size = receipt.size.saturating_add(dice.below(5)).saturating_sub(2),
        5 => match receipt.path.len() as u64 {
            0 => receipt.path.push([7; 32]),
            n => _ = receipt.path.remove(dice.below(n) as usize),
        },
        6 => match receipt.path.len() as u64 {
            0 => return with_receipts(&text, &[]).unwrap(),
            n => receipt.path[dice.below(n) as usize][3] ^= 1 << dice.below(8),
        },
        // Any bit, and any byte taken out or doubled.
        7 => {
            let whole = with_receipts(&text, &[receipt]).unwrap();
            let mut bytes = base45::decode(&whole[PREFIX.len()..]).unwrap();
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << dice.below(8);
            return format!("{PREFIX}{}", base45::encode(&bytes));
        }
        _ => {
            let whole = with_receipts(&text, &[receipt]).unwrap();
            let mut bytes = base45::decode(&whole[PREFIX.len()..]).unwrap();
            let at = dice.below(bytes.len() as u64) as usize;
            if dice.below(2) == 0 {
                bytes.remove(at);
            } else {
                bytes.insert(at, bytes[at]);
            }
            return format!("{PREFIX}{}", base45::encode(&bytes));
        }
    }
    with_receipts(&text, &[receipt]).unwrap()
}

#[test]
fn a_proof_with_a_receipt_gets_the_verdict_that_others_give_it() {
    let trust = trust();
    let mut proofs: Vec<(String, Receipt)> = [(1, 0, 1), (2, 3, 9), (3, 255, 300), (4, 61, 100), (5, 6, 7)]
        .into_iter()
        .map(|(subject, index, size)| {
            let text = p1(subject);
            let receipt = receipt(&text, index, size, Role::Log);
            (text, receipt)
        })
        .collect();
    let text = p1(6);
    proofs.push((text.clone(), receipt(&text, 2, 5, Role::Proof)));
    let mut dice = Dice::new(42);
    let (mut accepted, mut refused) = (0u64, 0u64);
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..CASES {
        let text = case(&mut dice, &proofs);
        match (ours(&text, &trust), theirs(&text)) {
            (Ok(a), Some(b)) => {
                assert_eq!(a, b, "{text}");
                accepted += 1;
            }
            (Err(_), None) => refused += 1,
            (Ok(_), None) => panic!("only we take {text}"),
            // Never the token, whose bytes are signed: what nobody signed has one form here, and nothing in it
            // is passed over.
            (Err(why), Some(_)) => *classes.entry(why.code().to_owned()).or_default() += 1,
        }
    }
    println!("{CASES} cases, {accepted} accepted, {refused} refused, stricter here: {classes:?}");
    assert!(accepted > CASES / 10 && refused > CASES / 10, "one-sided");
    // Bits of the unprotected headers: another label beside, another form of a length, a receipt with more in it.
    let met: Vec<&str> = classes.keys().map(String::as_str).collect();
    assert_eq!(met, STRICTER);
    assert!(classes.values().sum::<u64>() < CASES / 20, "{classes:?}");
}

/// What the others pass over and we refuse.
const STRICTER: [&str; 1] = ["proof-receipt-bad"];

/// The structure that RFC 9942 gives a receipt in a token, to a library that knows nothing of ours.
#[test]
fn the_unprotected_header_of_a_proof_holds_receipts_as_the_rfc_says() {
    let text = p1(1);
    let receipts = [receipt(&text, 3, 9, Role::Log), receipt(&text, 61, 100, Role::Log)];
    let with = with_receipts(&text, &receipts).unwrap();
    let token = CoseSign1::from_tagged_slice(&base45::decode(&with[PREFIX.len()..]).unwrap()).unwrap();
    let [(label, Value::Array(all))] = token.unprotected.rest.as_slice() else { panic!("one label") };
    assert_eq!((label, all.len()), (&Label::Int(394), 2));
    for (one, made) in all.iter().zip(&receipts) {
        let read = CoseSign1::from_tagged_slice(one.as_bytes().unwrap()).unwrap();
        assert_eq!(read.clone().to_tagged_vec().unwrap(), made.encode());
        assert_eq!(read.protected.header.key_id, signer(Role::Log).kid());
        let labels: Vec<&Label> = read.protected.header.rest.iter().map(|(label, _)| label).collect();
        assert_eq!(labels, [&Label::Int(15), &Label::Int(395), &Label::Int(-65_539)]);
        let beside: Vec<&Label> = read.unprotected.rest.iter().map(|(label, _)| label).collect();
        assert_eq!(beside, [&Label::Int(396), &Label::Int(-65_538)]);
    }
    // Taking the receipts out again leaves the printed proof, byte for byte.
    let mut bare = token;
    bare.unprotected = coset::Header::default();
    assert_eq!(format!("{PREFIX}{}", base45::encode(&bare.to_tagged_vec().unwrap())), text);
}
