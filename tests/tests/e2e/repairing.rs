//! A damaged store is repaired by the command that an operator types, also when that is killed.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Stdio;

use yunling_tests::dice::Dice;
use yunling_tests::office::{Office, Sheet, id_number, sums, text, until};

const PEOPLE: u32 = 12;
const ROWS: usize = 20;
/// Kills of a repair before one is let through.
const KILLS: u32 = 6;

/// Flips one bit of the part of the engine's log that is written.
fn flip(home: &Path, dice: &mut Dice) -> u64 {
    let path = home.join("data/sled/db");
    let bytes = std::fs::read(&path).expect("the log");
    let written = bytes.iter().rposition(|byte| *byte != 0).expect("something is written");
    let at = dice.below(written as u64);
    let file = std::fs::File::options().write(true).open(&path).expect("the log");
    file.write_all_at(&[bytes[at as usize] ^ 8], at).expect("the bit is flipped");
    at
}

#[test]
fn a_damaged_office_is_repaired_though_the_repair_is_killed_and_rejoins_its_peers() {
    let mut dice = Dice::new(3);
    let folder = tempfile::tempdir().expect("folder");
    let mut kunming = Office::open(folder.path(), "kunming", "530100");
    let dali = Office::open(folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    let sheet = (0..PEOPLE).fold(Sheet::default(), |s, n| s.person(n, &[61; ROWS]));
    kunming.import(&sheet.write(folder.path(), "sheet.csv"));
    kunming.move_to(&id_number(0), &dali);
    let before: Vec<_> = (0..PEOPLE).map(|n| kunming.dossier(&id_number(n))).collect();
    let (code, refused) = kunming.json(&["repair"]);
    assert_eq!((code, &refused["error"]["code"]), (1, &"store-locked".into()), "the node runs: {refused}");
    kunming.stop();
    let whole = kunming.ok(&["repair"]);
    assert_eq!(whole["nothing_to_do"], true, "{whole}");

    let at = flip(&kunming.home, &mut dice);
    let (_, rehearsed) = kunming.json(&["repair", "--dry-run", "--no-new-peers"]);
    assert_eq!(rehearsed["dry_run"], true, "{rehearsed}");
    let began = std::time::Instant::now();
    let _ = kunming.json(&["repair", "--dry-run", "--no-new-peers"]);
    let length = began.elapsed();
    for _ in 0..KILLS {
        let mut run = kunming.command(&["repair", "--no-new-peers"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the repair starts");
        std::thread::sleep(dice.moment(length));
        let _ = run.kill();
        let _ = run.wait();
    }
    let (code, report) = kunming.json(&["repair", "--no-new-peers"]);
    println!("bit {at}: exit {code}, {}", report["why"]);
    // 2: the bit was one of the count itself, so that nobody can tell how much there was.
    assert!([0, 1, 2].contains(&code), "{report}");
    kunming.start();
    if report["accept_again"].as_array().is_some_and(|nodes| !nodes.is_empty()) {
        // Its card was among what the bit spoiled.
        kunming.ok(&["peer", "accept", &text(&dali.ok(&["peer", "card"]), "card")]);
    }
    until("the fence opens", || (kunming.ok(&["status"])["recovery"]["fenced"] != true).then_some(()));
    for (n, before) in (0..PEOPLE).zip(&before) {
        let (found, view) = kunming.json(&["dossier", "show", &text(before, "dossier")]);
        // What cannot be made whole is refused, never counted short.
        assert!(found == 0 || code != 0 && found == 1, "person {n}: {view}");
        if found == 0 {
            assert_eq!(sums(&view), sums(before), "person {n}");
        }
    }
    let moved = text(&before[0], "dossier");
    assert!(dali.is_custodian(&moved) && !kunming.is_custodian(&moved));
}
