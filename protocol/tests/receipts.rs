//! Proofs with a receipt (P2): what holds, what each wrong step is called, sizes, and the way to a
//! C2SP tlog-proof and back.

#![allow(clippy::unwrap_used, missing_docs)]

use yunling_protocol::base45;
use yunling_protocol::card::{Card, NodeKind};
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::division::DivisionCode;
use yunling_protocol::key::{KeyEntry, Role, Signer, SoftSigner};
use yunling_protocol::log::merkle::{Hash, MemoryTree, inclusion_proof, leaf_hash, root_at};
use yunling_protocol::log::note::{KeyType, NoteKey};
use yunling_protocol::log::policy::{PolicyFile, Witness, WitnessKey};
use yunling_protocol::log::tlog_proof::TlogProof;
use yunling_protocol::log::{Checkpoint, Entry, Origin, Quorum, cosignature};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::receipt::{self, Inclusion, Receipt, TextError};
use yunling_protocol::proof::{
    self, Amount, Claims, LogTrust, PREFIX, StatusRules, Verdict, Verified, Why, logged_id, verify_logged,
    with_receipts,
};
use yunling_protocol::status::{StatusLists, StatusRef};

const ISSUER: &str = "vol.yn.cn/532900";
const ORIGIN: &str = "vol.yn.cn/532900/1";
const ISSUED: UnixTime = UnixTime(1_795_000_000);
const SEEN: u64 = 1_795_000_060;

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// A key for each node and role.
fn signer(node: &str, role: Role) -> SoftSigner {
    let mut seed = [role as u8; 32];
    let tail = node.as_bytes();
    seed[32 - tail.len()..].copy_from_slice(tail);
    SoftSigner::from_seed(&seed)
}

/// The issuer's card; each role's key has the window that `window` gives.
fn trust(window: impl Fn(Role) -> (UnixTime, Option<UnixTime>)) -> Members {
    let key = |role| {
        let (from, until) = window(role);
        KeyEntry::new(role, signer(ISSUER, role).public(), from, until).unwrap()
    };
    let card = Card {
        name: name(ISSUER),
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
    let card = card.sign(&signer(ISSUER, Role::Statement)).unwrap();
    trust.insert(Member { card, removed_at: None });
    trust
}

fn always(_: Role) -> (UnixTime, Option<UnixTime>) {
    (UnixTime(0), None)
}

fn claims() -> Claims {
    Claims {
        issuer: name(ISSUER),
        subject: [7; 16],
        issued: ISSUED,
        expires: UnixTime(ISSUED.0 + 365 * 86_400),
        full_name: Some("岩温·罕玉".into()),
        amount: Amount::AtLeast(Minutes(18_000)),
        days: Some((Day(19_358), Day(20_780))),
        epoch: 2,
        recorders: vec![],
        number: None,
        trial: false,
        status: Some(StatusRef { index: 412_345, uri: "https://vol.yn.cn/532900/s/7".into() }),
    }
}

fn p1() -> String {
    proof::issue(&signer(ISSUER, Role::Proof), &claims()).unwrap()
}

fn quorum() -> Quorum {
    let witness = |node: &str| {
        let key = KeyEntry::new(Role::Witness, signer(node, Role::Witness).public(), UnixTime(0), None);
        Witness::new(name(node), vec![WitnessKey::of(&name(node), &key.unwrap()).unwrap()])
    };
    Quorum::new("yunnan-1", &name(ISSUER), ["w1", "w2", "w3"].map(witness).into(), 2).unwrap()
}

/// A log of `size` entries with the proof at `index`.
fn log(text: &str, index: u64, size: u64) -> (Checkpoint, Vec<Hash>) {
    let entry = Entry::Signed(logged_id(text).unwrap().0).encode().unwrap();
    let mut tree = MemoryTree::new();
    for i in 0..size {
        let leaf = if i == index { leaf_hash(&entry) } else { leaf_hash(&i.to_be_bytes()) };
        tree.append_leaf(leaf).unwrap();
    }
    let head = Checkpoint::new(ORIGIN, size, root_at(&tree, size).unwrap());
    (head, inclusion_proof(&tree, index, size).unwrap())
}

fn cosign(head: &Checkpoint, witnesses: &[&str], time: u64) -> Vec<[u8; 76]> {
    let one = |node: &&str| {
        let line = cosignature::sign(&signer(node, Role::Witness), node, time, &head.text()).unwrap();
        line.raw().try_into().unwrap()
    };
    witnesses.iter().map(one).collect()
}

fn made(index: u64, size: u64, witnesses: &[&str]) -> Receipt {
    let (head, path) = log(&p1(), index, size);
    let cosignatures = cosign(&head, witnesses, SEEN);
    let inclusion = Inclusion { head: &head, index, path, cosignatures };
    Receipt::make(&signer(ISSUER, Role::Log), inclusion).unwrap()
}

fn p2(receipts: &[Receipt]) -> String {
    with_receipts(&p1(), receipts).unwrap()
}

fn check_with(
    text: &str,
    trust: &Members,
    quorum: Option<Quorum>,
    required: bool,
    now: UnixTime,
) -> Verified {
    let keys = |node: &NodeName| {
        let keys = trust.get(node).into_iter().flat_map(|m| m.card.card.keys_of(Role::Log));
        keys.cloned().collect()
    };
    let quorum = |origin: &Origin| quorum.clone().filter(|_| origin.to_string() == ORIGIN);
    let logs = LogTrust { keys: &keys, quorum: &quorum, required };
    verify_logged(text, trust, &StatusLists::default(), &StatusRules::default(), &logs, now)
}

fn check(text: &str) -> Verified {
    check_with(text, &trust(always), Some(quorum()), true, UnixTime(ISSUED.0 + 86_400))
}

#[test]
fn a_receipt_is_added_without_signing_again_and_says_which_checkpoint() {
    let receipt = made(5_000, 9_000, &["w1", "w3"]);
    assert_eq!(Receipt::parse(&receipt.encode()), Ok(receipt.clone()));
    let text = p2(std::slice::from_ref(&receipt));
    let checked = check(&text);
    assert_eq!((checked.why, checked.verdict()), (Why::StatusUnknown, Verdict::Valid));
    assert_eq!(checked.claims, Some(claims()));
    let logged = checked.logged.unwrap();
    assert_eq!((logged.origin.to_string().as_str(), logged.size, logged.index), (ORIGIN, 9_000, 5_000));
    assert_eq!(logged.time(), Some(UnixTime(SEEN as i64)));
    let by = logged.witnessed.unwrap();
    assert_eq!((by.policy.as_str(), by.by.len()), ("yunnan-1", 2));
    // The way back gives the printed proof, character by character, and the same entry in the log.
    assert_eq!(with_receipts(&text, &[]).unwrap(), p1());
    assert_eq!(logged_id(&text), logged_id(&p1()));
    assert_eq!(proof::receipts_of(&text), Ok(vec![receipt]));
}

#[test]
fn each_wrong_step_has_its_word() {
    let why = |receipt: Receipt| check(&p2(&[receipt])).why;
    assert_eq!(why(made(3, 9, &["w1", "w2"])), Why::StatusUnknown);
    assert_eq!(why(made(3, 9, &["w1"])), Why::NotWitnessed);
    assert_eq!(why(made(3, 9, &[])), Why::NotWitnessed);
    assert_eq!(why(made(3, 9, &["w1", "w1"])), Why::NotWitnessed, "a witness counts once");
    assert_eq!(why(made(3, 9, &["w1", ISSUER])), Why::NotWitnessed, "the issuer is no witness");
    assert_eq!(why(made(3, 9, &["w1", "w9"])), Why::NotWitnessed, "a stranger is ignored");
    let spoil = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = made(3, 9, &["w1", "w2", "w3"]);
        change(&mut receipt);
        why(receipt)
    };
    assert_eq!(spoil(&|r| r.cosignatures[2][70] ^= 1), Why::ReceiptBad, "a bad one rejects even a quorum");
    assert_eq!(spoil(&|r| r.cosignatures[0][11] ^= 1), Why::ReceiptBad, "another time");
    assert_eq!(spoil(&|r| r.path[0][0] ^= 1), Why::ReceiptBad);
    assert_eq!(spoil(&|r| r.path.truncate(3)), Why::ReceiptBad);
    assert_eq!(spoil(&|r| r.index = 4), Why::ReceiptBad);
    assert_eq!(spoil(&|r| r.index = 9), Why::ReceiptBad);
    // Size 10 has a path of the same length: the log's signature covers the root alone, and it is the
    // witnesses who bind the size.
    assert_eq!(spoil(&|r| r.size = 10), Why::ReceiptBad);
    assert_eq!(check(&p1()).why, Why::NotLogged, "no receipt where one is wanted");
    assert_eq!(check_with(&p1(), &trust(always), Some(quorum()), false, ISSUED).why, Why::StatusUnknown);
}

#[test]
fn a_receipt_of_another_proof_another_node_or_another_key_proves_nothing() {
    // A genuine receipt of another proof, moved here.
    let other = proof::issue(&signer(ISSUER, Role::Proof), &Claims { subject: [8; 16], ..claims() }).unwrap();
    let moved = with_receipts(&other, &[made(3, 9, &["w1", "w2"])]).unwrap();
    assert_eq!(check(&moved).why, Why::ReceiptBad);
    let (mut head, path) = log(&p1(), 3, 9);
    let cosignatures = cosign(&head, &["w1", "w2"], SEEN);
    let make = |head: &Checkpoint, role| {
        let inclusion = Inclusion { head, index: 3, path: path.clone(), cosignatures: cosignatures.clone() };
        Receipt::make(&signer(ISSUER, role), inclusion).unwrap()
    };
    let why = |receipt| check(&p2(&[receipt])).why;
    assert_eq!(why(make(&head, Role::Log)), Why::StatusUnknown);
    assert_eq!(why(make(&head, Role::Proof)), Why::ReceiptUnknownKey, "a key of another role");
    // Another life's log: no quorum is known of it, and the cosignatures are on another text.
    head.origin = "vol.yn.cn/532900/2".into();
    let life = check(&p2(&[make(&head, Role::Log)]));
    assert_eq!((life.why, life.logged.unwrap().witnessed), (Why::StatusUnknown, None));
    head.origin = "vol.yn.cn/530100/1".into();
    assert_eq!(why(make(&head, Role::Log)), Why::ReceiptBad, "the log of another node");
    head.origin = "vol.yn.cn".into();
    let inclusion = Inclusion { head: &head, index: 3, path: path.clone(), cosignatures: vec![] };
    assert!(Receipt::make(&signer(ISSUER, Role::Log), inclusion).is_err(), "no life in the origin");
}

#[test]
fn what_a_key_signed_before_its_end_stays_valid_where_witnesses_saw_it() {
    let text = p2(&[made(3, 9, &["w1", "w2"])]);
    let later = UnixTime(ISSUED.0 + 90 * 86_400);
    let ended = |role: Role, at: i64| trust(move |r| (UnixTime(0), (r == role).then_some(UnixTime(at))));
    let witnessed = SEEN as i64;
    for role in [Role::Proof, Role::Log] {
        let why = |trust: &Members, quorum| check_with(&text, trust, quorum, false, later).why;
        assert_eq!(why(&ended(role, witnessed + 1), Some(quorum())), Why::StatusUnknown);
        assert_eq!(
            why(&ended(role, witnessed), Some(quorum())),
            Why::DateUnproven,
            "{role:?} compromised before"
        );
        // Without witnesses nothing proves when it was signed.
        assert_eq!(why(&ended(role, witnessed + 1), None), Why::DateUnproven);
    }
    // The printed form of the same proof falls with the key.
    let printed = check_with(&p1(), &ended(Role::Proof, witnessed + 1), Some(quorum()), false, later);
    assert_eq!(printed.why, Why::DateUnproven);
}

#[test]
fn without_a_known_quorum_it_is_logged_and_nobody_is_said_to_have_seen_it() {
    let text = p2(&[made(3, 9, &["w1"])]);
    let checked = check_with(&text, &trust(always), None, true, ISSUED);
    assert_eq!(checked.verdict(), Verdict::Valid);
    assert_eq!(checked.logged.unwrap().witnessed, None);
    // Cards alone know log keys and no witnesses.
    let plain = proof::verify(&text, &trust(always), ISSUED);
    assert_eq!((plain.verdict(), plain.logged.is_some()), (Verdict::Valid, true));
    let mut bad = made(3, 9, &["w1"]);
    bad.path[1][0] ^= 1;
    assert_eq!(proof::verify(&p2(&[bad]), &trust(always), ISSUED).why, Why::ReceiptBad);
}

#[test]
fn of_several_receipts_each_must_hold_and_the_first_witnessed_speaks() {
    let early = made(3, 9, &["w1", "w2"]);
    let (head, path) = log(&p1(), 3, 12);
    let cosignatures = cosign(&head, &["w2", "w3"], SEEN + 500);
    let inclusion = Inclusion { head: &head, index: 3, path, cosignatures };
    let late = Receipt::make(&signer(ISSUER, Role::Log), inclusion).unwrap();
    for both in [[early.clone(), late.clone()], [late.clone(), early.clone()]] {
        let logged = check(&p2(&both)).logged.unwrap();
        assert_eq!((logged.size, logged.time()), (9, Some(UnixTime(SEEN as i64))));
    }
    let mut bad = late;
    bad.path[0][0] ^= 1;
    assert_eq!(check(&p2(&[early.clone(), bad])).why, Why::ReceiptBad);
    let small = made(0, 1, &[]);
    let many = |n| check_with(&p2(&vec![small.clone(); n]), &trust(always), None, true, ISSUED).why;
    assert_eq!(many(receipt::RECEIPTS_MAX), Why::StatusUnknown);
    assert_eq!(many(receipt::RECEIPTS_MAX + 1), Why::ReceiptBad);
}

#[test]
fn every_changed_character_of_p2_is_noticed() {
    let text = p2(&[made(3, 9, &["w1", "w2"])]);
    assert_eq!(check(&text).verdict(), Verdict::Valid);
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let checked = check(&String::from_utf8(bytes).unwrap());
        assert_ne!(checked.verdict(), Verdict::Valid, "character {at}");
    }
}

#[test]
fn a_receipt_of_another_shape_is_refused() {
    let good = made(3, 9, &["w1", "w2"]).encode();
    assert!(Receipt::parse(&good).is_ok());
    for at in 0..good.len() {
        assert!(Receipt::parse(&good[..at]).is_err());
    }
    let replace = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|w| w == from).unwrap();
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    assert!(Receipt::parse(&replace(&[0x19, 0x01, 0x8b, 0x01], &[0x19, 0x01, 0x8b, 0x02])).is_err(), "vds");
    assert!(Receipt::parse(&replace(&[0x19, 0x01, 0x8c], &[0x19, 0x01, 0x8d])).is_err(), "label");
    assert!(Receipt::parse(&replace(&[0xf6, 0x58, 0x40], &[0xf7, 0x58, 0x40])).is_err(), "payload");
    assert!(Receipt::parse(&[good.clone(), vec![0]].concat()).is_err(), "trailing");
}

#[test]
fn p2_and_tlog_proof_turn_into_each_other_byte_for_byte() {
    let receipt = made(700, 1_000, &["w1", "w3"]);
    let leaf = leaf_hash(&Entry::Signed(logged_id(&p1()).unwrap().0).encode().unwrap());
    let (head, _) = log(&p1(), 700, 1_000);
    let note = head.sign(&signer(ISSUER, Role::Log)).unwrap();
    let log_key = NoteKey::new(ORIGIN, KeyType::Ed25519, &signer(ISSUER, Role::Log).public()).unwrap();
    let line = receipt::log_line(&note, ORIGIN, log_key.public());
    assert!(line.is_some());
    for line in [None, line] {
        let with_line = line.is_some();
        let text = receipt::to_tlog_proof(&receipt, &leaf, &quorum(), line).unwrap().render();
        let parsed = TlogProof::parse(text.as_bytes()).unwrap();
        assert_eq!(receipt::of_tlog_proof(&parsed), Ok(receipt.clone()));
        // With the log's line any C2SP verifier takes it, by a policy file.
        let witness = |node: &str| {
            let key = NoteKey::new(node, KeyType::CosignatureV1, &signer(node, Role::Witness).public());
            format!("witness {node} {}\n", key.unwrap().vkey())
        };
        let policy = format!(
            "log {}\n{}{}{}group g 2 w1 w2 w3\nquorum g\n",
            log_key.vkey(),
            witness("w1"),
            witness("w2"),
            witness("w3")
        );
        let policy = PolicyFile::parse(policy.as_bytes()).unwrap();
        assert_eq!(parsed.verify(&leaf, &policy).is_ok(), with_line);
        assert!(parsed.verify(&leaf_hash(b"other"), &policy).is_err());
    }
    let mut other = receipt::to_tlog_proof(&receipt, &leaf, &quorum(), None).unwrap();
    other.checkpoint = other.checkpoint.replace("532900/1\n", "532900/2\n");
    assert_eq!(receipt::of_tlog_proof(&other), Err(TextError::OtherLog));
    other.extra = None;
    assert_eq!(receipt::of_tlog_proof(&other), Err(TextError::NoReceipt));
    let stranger = made(700, 1_000, &["w9"]);
    assert_eq!(receipt::to_tlog_proof(&stranger, &leaf, &quorum(), None), Err(TextError::UnknownWitness));
}

/// Data codewords of a QR code at level M by version (ISO/IEC 18004, table 7).
const QR_M: [usize; 40] = [
    16, 28, 44, 64, 86, 108, 124, 154, 182, 216, 254, 290, 334, 365, 415, 453, 507, 563, 627, 669, 714, 782,
    860, 914, 1000, 1062, 1128, 1193, 1267, 1373, 1455, 1541, 1631, 1725, 1812, 1914, 1992, 2102, 2216, 2334,
];

/// Smallest version at level M for so many characters in alphanumeric mode.
fn qr_version(chars: usize) -> usize {
    let fits = |version: usize| {
        let count_bits = match version {
            1..=9 => 9,
            10..=26 => 11,
            _ => 13,
        };
        let bits = 4 + count_bits + 11 * (chars / 2) + 6 * (chars % 2);
        bits <= 8 * QR_M[version - 1]
    };
    (1..=40).find(|version| fits(*version)).unwrap()
}

#[test]
fn sizes_of_p1_and_p2() {
    // The table, at points that are printed everywhere: 12-M holds 419 characters, 26-M 1,542.
    assert_eq!([qr_version(419), qr_version(420), qr_version(1_542), qr_version(1_543)], [12, 13, 26, 27]);
    let size = |text: &str| {
        let bytes = base45::decode(text.strip_prefix(PREFIX).unwrap()).unwrap().len();
        (bytes, text.len(), qr_version(text.len()))
    };
    let (bytes, chars, version) = size(&p1());
    println!("P1 threshold, name of 5 characters, status: {bytes} bytes, {chars} characters, V{version}-M");
    assert!(bytes <= 250 && version <= 12, "{bytes} bytes, V{version}-M");
    for (index, entries, witnesses) in [
        (8_191, 8_192, vec!["w1", "w2"]),
        (9_000, 16_384, vec!["w1", "w2"]),
        (9_000, 16_384, vec!["w1", "w2", "w3"]),
        (16_383, 16_384, vec!["w1", "w2"]),
    ] {
        let receipt = made(index, entries, &witnesses);
        let text = p2(std::slice::from_ref(&receipt));
        let (hashes, n) = (receipt.path.len(), witnesses.len());
        let (bytes, chars, version) = size(&text);
        println!("P2 {hashes} hashes, {n} witnesses: {bytes} bytes, {chars} characters, V{version}-M");
        assert_eq!(check(&text).verdict(), Verdict::Valid);
        if (hashes, n) == (14, 2) {
            assert!(bytes <= 1_100, "{bytes} bytes");
        }
    }
}

/// A proof with a receipt against bare signature checks in the same run. Run by hand in release:
/// `cargo test --release -p yunling-protocol --test receipts -- --ignored --nocapture`.
#[test]
#[ignore = "figures, for a release build"]
fn verification_in_bare_signature_checks() {
    let time = |n: u32, work: &dyn Fn()| {
        let started = std::time::Instant::now();
        (0..n).for_each(|_| work());
        started.elapsed() / n
    };
    let signer = signer(ISSUER, Role::Proof);
    let key = KeyEntry::new(Role::Proof, signer.public(), UnixTime(0), None).unwrap();
    let signature = signer.sign(b"message").unwrap();
    let bare = time(2_000, &|| assert!(key.verify(b"message", &signature)));
    let text = p2(&[made(9_000, 16_384, &["w1", "w2"])]);
    let (trust, quorum) = (trust(always), quorum());
    let keys = |node: &NodeName| {
        trust.get(node).into_iter().flat_map(|m| m.card.card.keys_of(Role::Log)).cloned().collect()
    };
    let find = |_: &Origin| Some(quorum.clone());
    let logs = LogTrust { keys: &keys, quorum: &find, required: true };
    let (lists, rules) = (StatusLists::default(), StatusRules::default());
    let p2 = time(1_000, &|| {
        let checked = verify_logged(&text, &trust, &lists, &rules, &logs, ISSUED);
        assert_eq!(checked.verdict(), Verdict::Valid);
    });
    let ratio = p2.as_secs_f64() / bare.as_secs_f64();
    println!("bare signature check {bare:?}, P2 with 14 hashes and 2 witnesses {p2:?}: {ratio:.2} of them");
    assert!(ratio < 6.0, "{ratio:.2}");
}
