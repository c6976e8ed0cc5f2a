//! The stateful sequence of add-checkpoint requests of sunlight and torchwood.

use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{Signer, SoftSigner};
use yunling_protocol::log::note::{KeyType, NoteKey};
use yunling_protocol::log::witness::{Answer, SIZE_CONTENT_TYPE, Seen, Witnesser, answer, monitoring_path};
use yunling_protocol::log::{Note, cosignature};

use crate::{Tally, folder, json};

#[test]
fn add_checkpoint() {
    let Some(set) = json("tlog/witness_add_checkpoint_sequence.json") else { return };
    let tally = Tally::new(
        "witness add-checkpoint",
        &[(
            "2",
            "its base64 has bits behind its end (RFC 4648 §3.5), which Go ignores and we refuse: 400, not 403; \
             the same wrong signature in proper base64 follows and gets 403",
        )],
    );
    let signer = SoftSigner::from_seed(&[9; 32]);
    let witness = Witnesser { signer: &signer, name: "example.com/witness", now: UnixTime(1_800_000_000) };
    let log = NoteKey::parse(set["log_vkey"].as_str().unwrap()).unwrap();
    let own = NoteKey::new(witness.name, KeyType::CosignatureV1, &signer.public()).unwrap();
    let mut stored: Option<Seen> = None;
    for step in set["steps"].as_array().unwrap() {
        assert_eq!((&step["method"], &step["path"]), (&"POST".into(), &"/add-checkpoint".into()));
        let body = step["body"].as_str().unwrap();
        if step["step"] == 2 {
            let proper = body.replace("rx6gx=", "rx6gw=");
            assert_ne!(proper, body);
            let keys = Some(vec![log.clone()]);
            let decision = answer(&witness, proper.as_bytes(), |_| (keys, stored.clone())).unwrap();
            assert_eq!((decision.answer.status(), decision.store), (403, None));
        }
        let known = |origin: &str| (origin == log.name()).then(|| vec![log.clone()]);
        let decision = answer(&witness, body.as_bytes(), |origin| (known(origin), stored.clone())).unwrap();
        let (status, text) = (u64::from(decision.answer.status()), decision.answer.body());
        let mut agrees = status == step["want_status"].as_u64().unwrap();
        // The words of errors are informative; a cosignature line and a size are the protocol.
        if matches!(status, 200 | 409) {
            agrees &= text.contains(step["want_body_contains"].as_str().unwrap());
            agrees &= (status == 409) == (decision.answer.content_type() == SIZE_CONTENT_TYPE);
        }
        if let Answer::Cosigned(line) = &decision.answer {
            let note = Note::parse(body.split_once("\n\n").unwrap().1.as_bytes()).unwrap();
            agrees &= cosignature::verify(&own, &note.text, &line.signature) == Some(1_800_000_000);
        }
        tally.case(&step["step"].to_string(), true, agrees, &decision);
        if let Some((_, seen)) = decision.store {
            stored = Some(seen);
        }
    }
    assert_eq!(stored.unwrap().size, 5);
    tally.finish(11);
}

#[test]
fn the_monitoring_path_is_the_one_that_sunlight_serves() {
    // The sources of three checkpoints of the set name the folders of that witness.
    let Some(set) = json("tlog/notes_checkpoints_cosignatures.json") else { return };
    assert!(folder().is_some());
    let mut compared = 0;
    for case in set.as_array().unwrap().iter().filter(|c| c["id"].as_str().unwrap().starts_with("sunlight")) {
        let origin = case["note"].as_str().unwrap().lines().next().unwrap();
        assert!(case["source"].as_str().unwrap().ends_with(&monitoring_path(origin)), "{origin}");
        compared += 1;
    }
    assert_eq!(compared, 3);
}
