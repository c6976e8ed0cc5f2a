#![allow(clippy::unwrap_used)]

use super::*;

const ORIGIN: &str = "dali/1";

fn entry(i: u64) -> Vec<u8> {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&i.to_be_bytes());
    let entry = match i % 6 {
        0 => Entry::Node(id),
        1 => Entry::Custody { id, nullifier: id },
        2 => Entry::Change { id, mark: id },
        3 => Entry::StatusList(id),
        4 => Entry::Signed(id),
        _ => return vec![0x82, 0x18, 0x63, 0x01],
    };
    entry.encode().unwrap()
}

/// Heads of the log with these entries after each of them.
fn heads(entries: &[Vec<u8>]) -> Vec<Checkpoint> {
    let mut frontier = Frontier::new();
    let mut heads = vec![Checkpoint::new(ORIGIN, 0, frontier.root())];
    for entry in entries {
        frontier.append(entry).unwrap();
        heads.push(Checkpoint::new(ORIGIN, frontier.size(), frontier.root()));
    }
    heads
}

fn announce(audit: &mut Audit, checkpoints: &[Checkpoint]) {
    for checkpoint in checkpoints {
        audit.checkpoint(checkpoint, checkpoint.size.is_multiple_of(2)).unwrap();
    }
}

fn feed(audit: &mut Audit, entries: &[Vec<u8>]) {
    for entry in entries {
        audit.entry(entry).unwrap();
    }
}

fn run(entries: &[Vec<u8>], checkpoints: &[Checkpoint]) -> Report {
    let mut audit = Audit::new(ORIGIN);
    announce(&mut audit, checkpoints);
    feed(&mut audit, entries);
    audit.report()
}

#[test]
fn an_honest_log_is_clean_and_everything_is_counted() {
    let entries: Vec<_> = (0..60).map(entry).collect();
    let heads = heads(&entries);
    let report = run(&entries, &heads);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.size, report.confirmed, report.root), (60, 60, heads[60].root));
    let expected = Counts { kinds: [10; 5], unknown: 10, agreed: 61, witnessed: 31, ..Counts::default() };
    assert_eq!(report.counts, expected);
}

#[test]
fn a_rewritten_entry_is_found_at_every_checkpoint_behind_it() {
    let entries: Vec<_> = (0..60).map(entry).collect();
    let honest = heads(&entries);
    let mut rewritten = entries.clone();
    rewritten[17] = entry(1_004);
    let report = run(&rewritten, &honest);
    assert!(!report.is_clean());
    assert_eq!((report.confirmed, report.counts.other_roots), (17, 60 - 17));
    let Finding::OtherRoot { size, signed, .. } = report.findings[0] else { panic!("{report:?}") };
    assert_eq!((size, signed), (18, honest[18].root));
    // Two roots of one size: whichever entries are shown, one of them disagrees.
    let mut both = heads(&rewritten);
    both.extend(honest);
    for shown in [&entries, &rewritten] {
        assert_eq!(run(shown, &both).counts.other_roots, 60 - 17);
    }
}

#[test]
fn two_seals_of_one_epoch_raise_an_alarm_and_what_cannot_be_read_is_shown() {
    let again = Entry::Custody { id: [9; 32], nullifier: entry(7)[38..].try_into().unwrap() };
    let mut entries: Vec<_> = (0..12).map(entry).collect();
    entries.push(again.encode().unwrap());
    entries.push(vec![0xff]);
    entries.push(vec![]);
    let mut audit = Audit::new(ORIGIN);
    let steps: Vec<Step> = entries.iter().map(|e| audit.entry(e).unwrap()).collect();
    assert_eq!((steps[12].repeats, steps[12].entry), (Some(7), Some(again)));
    assert!(steps[..12].iter().all(|s| s.repeats.is_none() && s.entry.is_some()));
    assert_eq!((steps[13].entry, steps[14].entry), (None, None));
    let report = audit.report();
    assert!(!report.is_clean());
    let expected = [
        Finding::RepeatedNullifier { first: 7, again: 12 },
        Finding::Malformed { index: 13 },
        Finding::Malformed { index: 14 },
    ];
    assert_eq!(report.findings, expected);
}

#[test]
fn an_audit_goes_on_from_its_stored_state_as_if_it_had_never_stopped() {
    let mut entries: Vec<_> = (0..40).map(entry).collect();
    entries[30] = entry(7);
    entries[33] = vec![0];
    let mut heads = heads(&entries);
    heads[35].root[0] ^= 1;
    let whole = run(&entries, &heads);
    assert_eq!(whole.findings.len(), 3);
    for stop in 0..=40 {
        let mut audit = Audit::new(ORIGIN);
        announce(&mut audit, &heads);
        feed(&mut audit, &entries[..stop]);
        let stored = audit.encode();
        let mut audit = Audit::decode(&stored).unwrap();
        assert_eq!(audit.encode(), stored);
        feed(&mut audit, &entries[stop..]);
        assert_eq!(audit.report(), whole);
        assert_eq!(Audit::decode(&stored[..stored.len() - 1]), Err(AuditError::Damaged));
    }
}

#[test]
fn checkpoints_of_others_or_of_the_past_are_refused_and_unreached_ones_are_told() {
    let entries: Vec<_> = (0..9).map(entry).collect();
    let heads = heads(&entries);
    let mut audit = Audit::new(ORIGIN);
    let foreign = Checkpoint::new("kunming/1", 3, [0; 32]);
    assert_eq!(audit.checkpoint(&foreign, false), Err(AuditError::OtherOrigin));
    feed(&mut audit, &entries[..5]);
    assert_eq!(audit.checkpoint(&heads[4], false), Err(AuditError::Passed));
    audit.checkpoint(&heads[5], false).unwrap();
    assert_eq!(audit.report().confirmed, 5);
    let mut wrong = heads[5].clone();
    wrong.root[0] ^= 1;
    audit.checkpoint(&wrong, false).unwrap();
    assert_eq!(audit.report().counts.other_roots, 1);
    audit.checkpoint(&heads[9], false).unwrap();
    audit.checkpoint(&heads[9], true).unwrap();
    assert_eq!((audit.report().unreached, audit.report().is_clean()), (1, false));
}
