//! What is heard of a log: who says it, what contradicts it, and how much of it is kept.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use yunling_protocol::key::Role;
use yunling_protocol::log::Checkpoint;
use yunling_protocol::store::{Read as _, Table};

use super::*;
use crate::home::Home;

struct Two {
    _folder: tempfile::TempDir,
    dali: Node,
    kunming: Home,
}

fn home(path: &Path, name: &str) -> Home {
    Home::init(path, name, "530100", true).unwrap();
    Home::open(path).unwrap()
}

impl Two {
    /// Dali knows Kunming.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kunming = home(&folder.path().join("kunming"), "kunming");
        let dali = Node::open(home(&folder.path().join("dali"), "dali")).unwrap();
        dali.accept_peer(kunming.card(vec![]).unwrap()).unwrap();
        Self { _folder: folder, dali, kunming }
    }

    fn note(signer: &Home, origin: &str, size: u64, root: u8) -> String {
        let signer = signer.signer(Role::Log).unwrap();
        Checkpoint::new(origin, size, [root; 32]).sign(&*signer).unwrap().render()
    }

    fn hear(&self, note: &str, owner: Option<&str>) -> Result<(), String> {
        let owner = owner.map(|name| NodeName::parse(name).unwrap());
        self.dali.hear_checkpoint(note.as_bytes(), owner.as_ref()).map_err(|refusal| refusal.code)
    }

    fn heard(&self) -> usize {
        self.dali.scan(Table::Log, rows::ALL_HEARD_PREFIX, None, 1_000).unwrap().len()
    }

    fn counted(&self, what: &str) -> u64 {
        self.dali.counters.lock().unwrap().get(what).copied().unwrap_or_default()
    }
}

#[test]
fn two_roots_of_one_size_expose_their_log_and_who_has_no_key_says_nothing() {
    let two = Two::new();
    let kunming = NodeName::parse("kunming").unwrap();
    two.hear(&Two::note(&two.kunming, "kunming/1", 7, 1), Some("kunming")).unwrap();
    two.hear(&Two::note(&two.kunming, "kunming/1", 7, 1), None).unwrap();
    assert_eq!((two.heard(), two.dali.is_exposed(&kunming)), (1, false), "a repeat is no contradiction");

    // Signed by another, of a log of somebody else, or said by somebody else.
    let forged = Two::note(&two.dali.home, "kunming/1", 7, 2);
    assert_eq!(two.hear(&forged, None), Err("checkpoint-unsigned".into()));
    let other = Two::note(&two.kunming, "yuxi/1", 7, 2);
    assert_eq!(two.hear(&other, None), Err("checkpoint-unsigned".into()));
    let longer = Two::note(&two.kunming, "kunming/1", 9, 2);
    assert_eq!(two.hear(&longer, Some("dali")), Err("checkpoint-unsigned".into()));
    assert_eq!(two.hear("kunming/1\n", None), Err("checkpoint-unsigned".into()));
    assert_eq!((two.heard(), two.dali.is_exposed(&kunming)), (1, false));

    // Another life is another log.
    two.hear(&Two::note(&two.kunming, "kunming/2", 7, 2), None).unwrap();
    assert!(!two.dali.is_exposed(&kunming));
    two.hear(&Two::note(&two.kunming, "kunming/1", 7, 2), None).unwrap();
    assert!(two.dali.is_exposed(&kunming));
    assert_eq!(two.dali.evidence().unwrap()[0].1.word(), "two-roots");
    let hash = {
        let rows = two.dali.scan(Table::Log, rows::EVIDENCE_PREFIX, None, 10).unwrap();
        <[u8; 32]>::try_from(&rows[0].0[1..]).unwrap()
    };
    let file = two.dali.answer_evidence(&hash).unwrap();
    assert!(matches!(file, Answer::Evidence(_)));
    assert_eq!(two.dali.answer_evidence(&[0; 32]).unwrap(), Answer::Refused("evidence-none".into()));
    // Evidence that is held is not asked for again.
    two.dali.hear_evidence(hash, kunming.clone());
    two.dali.hear_evidence([1; 32], kunming);
    assert_eq!(two.dali.gossip.lock().unwrap().wanted.len(), 1);
}

#[test]
fn what_was_only_heard_is_kept_up_to_a_bound_and_the_oldest_goes() {
    let two = Two::new();
    for size in 1..=40 {
        two.hear(&Two::note(&two.kunming, "kunming/1", size, 1), None).unwrap();
    }
    assert_eq!(two.heard(), HEARD_MAX);
    // The newest is there to be contradicted.
    two.hear(&Two::note(&two.kunming, "kunming/1", 40, 2), None).unwrap();
    assert!(two.dali.is_exposed(&NodeName::parse("kunming").unwrap()));
    assert_eq!(two.dali.gossip.lock().unwrap().unchecked.len(), 1, "one log to be compared");
}

#[test]
fn a_checkpoint_of_this_nodes_own_log_that_it_has_not_made_is_an_alarm() {
    let two = Two::new();
    let made = two.dali.log_head(1).unwrap().unwrap();
    two.hear(&made.note, None).unwrap();
    assert_eq!(two.counted("log_alarms"), 0, "its own");
    two.hear(&Two::note(&two.dali.home, "dali/1", made.frontier.size() + 5, 3), None).unwrap();
    assert_eq!(two.counted("log_alarms"), 1);
    two.hear(&Two::note(&two.dali.home, "dali/1", made.frontier.size(), 3), None).unwrap();
    assert_eq!(two.counted("log_alarms"), 2);
    assert!(!two.dali.is_exposed(&two.dali.home.name));
    assert_eq!(two.heard(), 0, "nothing of it is kept");
}

#[test]
fn what_is_relied_on_is_kept_with_the_duty_to_pass_it_on() {
    let two = Two::new();
    let note = Two::note(&two.kunming, "kunming/1", 7, 1);
    let proof = yunling_protocol::log::tlog_proof::TlogProof {
        extra: None,
        index: 3,
        path: vec![],
        checkpoint: note.clone(),
    };
    let keep = |now: i64| {
        let mut batch = Batch::default();
        rows::keep_foreign(&two.dali, &mut batch, proof.render().as_bytes(), UnixTime(now)).unwrap();
        let puts = batch.put.len();
        two.dali.commit(batch).unwrap();
        puts
    };
    assert_eq!((keep(5), keep(6)), (2, 0), "kept with a duty to pass it on, once");
    // Between bilateral peers nobody is a witness: there is nobody to pass it to, and the duty ends.
    let due = two.dali.to_pass().unwrap();
    assert_eq!((due.len(), &due[0].1, due[0].2.len()), (1, &note, 0));
    // What was believed contradicts what is heard.
    two.hear(&Two::note(&two.kunming, "kunming/1", 7, 2), None).unwrap();
    assert!(two.dali.is_exposed(&NodeName::parse("kunming").unwrap()));
}
