//! The demo from the bare binary, with its figures.

use serde_json::json;
use yunling_tests::office::run;

#[test]
fn the_demo_shows_its_figures() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("kept");
    let (code, value) = run(&["demo", "--exit", "--json", "--out", &out.display().to_string()]);
    assert_eq!(code, 0, "{value}");
    let expected = json!({
        "moved_minutes": 17_250, "after_visit_minutes": 18_000, "stars_due": 2, "after_void_minutes": 16_500,
        "proof": "valid", "tampered": "invalid", "custodians": 1,
    });
    for (key, figure) in expected.as_object().into_iter().flatten() {
        assert_eq!(&value[key], figure, "{key}");
    }
    for file in ["trust.card", "proof.txt", "proof.png", "dossier.bundle"] {
        assert!(out.join(file).is_file(), "{file} is kept");
    }
    // What it kept is enough to check the proof, without any node.
    let (proof, trust) = (out.join("proof.txt"), out.join("trust.card"));
    let arguments =
        ["proof", "verify", &proof.display().to_string(), "--trust", &trust.display().to_string(), "--json"];
    let (code, verdict) = run(&arguments);
    assert_eq!((code, &verdict["verdict"]), (0, &json!("valid")), "{verdict}");
}

#[test]
fn each_attack_of_the_demo_is_caught() {
    let (code, value) = run(&["demo", "--attack", "--exit", "--json"]);
    assert_eq!(code, 0, "{value}");
    let expected = json!({
        "stale_restore": "fenced", "double_seal": "detected", "rewritten_log": "detected", "evidence": "verified",
    });
    for (key, word) in expected.as_object().into_iter().flatten() {
        assert_eq!(&value[key], word, "{key}: {value}");
    }
}
