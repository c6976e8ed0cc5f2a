#![allow(clippy::unwrap_used)]

use super::*;
use crate::key::{Role, Signer, SoftSigner};
use crate::log::checkpoint::Checkpoint;
use crate::log::note::Note;

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn signer(seed: u8) -> SoftSigner {
    SoftSigner::from_seed(&[seed; 32])
}

fn witness(node: &str, seeds: &[u8]) -> Witness {
    let key = |seed: &u8| {
        let entry = KeyEntry::new(Role::Witness, signer(*seed).public(), UnixTime(100), Some(UnixTime(900)));
        WitnessKey::of(&name(node), &entry.unwrap()).unwrap()
    };
    Witness::new(name(node), seeds.iter().map(key).collect())
}

fn three() -> Quorum {
    let all = vec![witness("a", &[1]), witness("b", &[2, 12]), witness("c", &[3])];
    Quorum::new("yunnan-1", &name("dali"), all, 2).unwrap()
}

fn text() -> String {
    Checkpoint::new("dali/1", 5, [7; 32]).text()
}

fn line(node: &str, seed: u8, time: u64) -> NoteSignature {
    cosignature::sign(&signer(seed), node, time, &text()).unwrap()
}

fn judge(lines: &[NoteSignature], now: i64) -> Result<Witnessed, PolicyError> {
    three().judge(&text(), lines.iter().map(Cosignature::from), UnixTime(now))
}

#[test]
fn a_quorum_is_more_than_half_of_distinct_witnesses_without_the_owner() {
    let build = |owner: &str, witnesses: Vec<Witness>, k| {
        Quorum::new("p", &name(owner), witnesses, k).map(|q| q.threshold())
    };
    let all = || vec![witness("a", &[1]), witness("b", &[2]), witness("c", &[3]), witness("d", &[4])];
    assert_eq!(build("dali", all(), 3), Ok(3));
    assert_eq!(build("dali", all(), 4), Ok(4));
    for wrong in [0, 1, 2, 5, usize::MAX / 2] {
        assert_eq!(build("dali", all(), wrong), Err(PolicyError::Threshold), "{wrong}");
    }
    assert_eq!(build("dali", vec![], 0), Err(PolicyError::Threshold), "0 of 0 is said with `none` only");
    assert_eq!(build("c", all(), 3), Err(PolicyError::Owner));
    let twice = vec![witness("a", &[1]), witness("a", &[2])];
    assert_eq!(build("dali", twice, 2), Err(PolicyError::Repeated));
    let one_key = vec![witness("a", &[1]), witness("b", &[5, 1])];
    assert_eq!(build("dali", one_key, 2), Err(PolicyError::Repeated));
    let many = (0..=WITNESSES_MAX as u8).map(|i| witness(&format!("w{i}"), &[i + 1])).collect();
    assert_eq!(build("dali", many, 12), Err(PolicyError::TooMany));
    assert_eq!(Quorum::new("", &name("dali"), all(), 3), Err(PolicyError::Name));
}

#[test]
fn the_time_of_a_quorum_is_that_of_its_kth_cosignature() {
    let both = judge(&[line("a", 1, 500), line("c", 3, 300)], 1_000).unwrap();
    assert_eq!(both.at, Some(UnixTime(500)));
    assert_eq!(both.by, [(name("a"), UnixTime(500)), (name("c"), UnixTime(300))]);
    let three = judge(&[line("a", 1, 500), line("c", 3, 300), line("b", 2, 400)], 1_000).unwrap();
    assert_eq!(three.at, Some(UnixTime(400)));
    let none = Quorum::none().judge(&text(), [], UnixTime(0)).unwrap();
    assert_eq!((none.by.len(), none.at), (0, None));
}

#[test]
fn each_witness_counts_once_and_only_what_verifies_counts() {
    let short = Err(PolicyError::NoQuorum { have: 1, need: 2 });
    assert_eq!(judge(&[line("a", 1, 500)], 1_000), short);
    assert_eq!(judge(&[line("a", 1, 500), line("a", 1, 501)], 1_000), short, "one witness twice");
    assert_eq!(judge(&[line("b", 2, 500), line("b", 12, 501)], 1_000), short, "two keys of one witness");
    assert_eq!(judge(&[line("a", 1, 500), line("x", 9, 500)], 1_000), short, "unknown is ignored");
    assert_eq!(judge(&[line("a", 1, 500), line("c", 9, 500)], 1_000), short, "known name, unknown key");
    assert_eq!(judge(&[line("a", 1, 500), line("c", 3, 99)], 1_000), short, "before its window");
    assert_eq!(judge(&[line("a", 1, 500), line("c", 3, 900)], 1_000), short, "after its window");
    assert_eq!(
        judge(&[line("a", 1, 500), line("c", 3, 701)], 100),
        Err(PolicyError::NoQuorum { have: 1, need: 2 })
    );
    assert!(judge(&[line("a", 1, 500), line("c", 3, 700)], 100).is_ok(), "ten minutes ahead");
    let mut bad = line("c", 3, 500);
    bad.signature[30] ^= 1;
    let all = [line("a", 1, 500), line("b", 2, 500), bad];
    assert_eq!(judge(&all, 1_000), Err(PolicyError::BadCosignature), "a bad one rejects even a quorum");
    let mut other_time = line("c", 3, 500);
    other_time.signature[7] ^= 1;
    assert_eq!(judge(&[line("a", 1, 500), other_time], 1_000), Err(PolicyError::BadCosignature));
}

#[test]
fn the_76_bytes_of_a_receipt_count_as_the_line_does() {
    let raws: Vec<[u8; 76]> =
        [line("a", 1, 500), line("b", 12, 600)].iter().map(|l| l.raw().try_into().unwrap()).collect();
    let judged = three().judge(&text(), raws.iter().map(Cosignature::of_raw), UnixTime(1_000)).unwrap();
    assert_eq!(judged.at, Some(UnixTime(600)));
    let other = Checkpoint::new("dali/1", 6, [7; 32]).text();
    let judged = three().judge(&other, raws.iter().map(Cosignature::of_raw), UnixTime(1_000));
    assert_eq!(judged, Err(PolicyError::BadCosignature));
}

#[test]
fn a_policy_file_demands_the_log_and_the_quorum_together() {
    let log_key = |origin: &str| NoteKey::new(origin, KeyType::Ed25519, &signer(40).public()).unwrap();
    let key = |node: &str, seed: u8| {
        NoteKey::new(node, KeyType::CosignatureV1, &signer(seed).public()).unwrap().vkey()
    };
    let file = format!(
        "# ours\nlog {}\nwitness A {}\nwitness B {} https://b/\ngroup G all A B\nquorum G\n",
        log_key("dali/1").vkey(),
        key("a", 1),
        key("b", 2)
    );
    let file = PolicyFile::parse(file.as_bytes()).unwrap();
    let checkpoint = Checkpoint::new("dali/1", 5, [7; 32]);
    let signed = checkpoint.sign(&signer(40)).unwrap();
    let note = |lines: &[NoteSignature]| {
        let signatures = signed.signatures.iter().chain(lines).cloned().collect();
        Note { text: signed.text.clone(), signatures }.render()
    };
    let both = [line("a", 1, 5), line("b", 2, 6)];
    assert_eq!(file.verify(note(&both).as_bytes(), &[]), Ok(checkpoint.clone()));
    let twice = [log_key("dali/1"), log_key("dali/2"), log_key("dali/1")];
    assert!(file.verify(note(&both).as_bytes(), &twice).is_ok());
    assert_eq!(file.verify(note(&both[..1]).as_bytes(), &[]), Err(file::PolicyRefusal::NoQuorum));
    let unsigned = Note { text: signed.text.clone(), signatures: both.to_vec() }.render();
    assert_eq!(file.verify(unsigned.as_bytes(), &[]), Err(file::PolicyRefusal::NoLog));
    // A listed log's key under another origin is another log.
    let other = Checkpoint::new("dali/2", 5, [7; 32]).sign(&signer(40)).unwrap().render();
    assert_eq!(file.verify(other.as_bytes(), &[]), Err(file::PolicyRefusal::NoLog));
    let none = PolicyFile::parse(b"quorum none").unwrap();
    assert_eq!(none.verify(note(&[]).as_bytes(), &[]), Err(file::PolicyRefusal::NoLog));
    assert_eq!(none.verify(note(&[]).as_bytes(), &[log_key("dali/1")]), Ok(checkpoint));
}
