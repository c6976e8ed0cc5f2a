//! The line between two offices is cut at ten points of a move; afterwards it ends exactly once.

use yunling_tests::office::{Line, Office, Plan, Sheet, free_port, id_number, sums, text, until};

/// Attestations of each dossier: more bytes than the last cut lets through.
const ROWS: usize = 200;
const CUTS_BYTES: [u64; 10] =
    [200, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 24 << 10, 32 << 10, 48 << 10, 64 << 10];

fn behind(line: &Line, folder: &std::path::Path, name: &str, division: &str) -> Office {
    // The card shows the line's port, so that no peer knows the office itself.
    let relay = free_port();
    let plan =
        Plan { tcp_only: true, external: Some(format!("/ip4/127.0.0.1/tcp/{relay}")), ..Plan::default() };
    let office = Office::open_with(folder, name, division, plan);
    line.from_to(relay, office.port);
    office
}

#[test]
fn a_move_cut_at_ten_points_ends_once_with_equal_sums() {
    let folder = tempfile::tempdir().expect("folder");
    let line = Line::default();
    let kunming = behind(&line, folder.path(), "kunming", "530100");
    let dali = behind(&line, folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    let mut sheet = Sheet::default();
    for n in 0..CUTS_BYTES.len() as u32 {
        sheet = sheet.person(n, &[61; ROWS]);
    }
    let added = kunming.import(&sheet.write(folder.path(), "ten.csv"));
    assert_eq!(added["records_added"], ROWS * CUTS_BYTES.len());
    for (n, bytes) in (0u32..).zip(CUTS_BYTES) {
        let before = kunming.dossier(&id_number(n));
        let dossier = text(&before, "dossier");
        let code = kunming.authorize(&dossier, "dali");
        line.cut_after(bytes);
        let transfer = dali.start_transfer("kunming", &code);
        until(&format!("cut after {bytes} bytes"), || (line.cuts() > 0).then_some(()));
        let at = dali.ok(&["transfer", "show", &transfer]);
        println!("cut after {bytes} bytes: {} {}/{}", at["stage"], at["have"], at["count"]);
        assert_ne!(at["stage"], "completed", "cut after {bytes} bytes came too late");
        assert!(!dali.is_custodian(&dossier), "cut after {bytes} bytes: held before the release");
        line.open();
        dali.ok(&["transfer", "resume", &transfer]);
        for office in [&dali, &kunming] {
            office.wait_stage(&transfer, "completed");
        }
        let after = dali.dossier(&dossier);
        assert_eq!(sums(&before), sums(&after), "cut after {bytes} bytes");
        assert_eq!(sums(&before), sums(&kunming.dossier(&dossier)), "cut after {bytes} bytes");
        assert_eq!(after["counted_minutes"], 61 * ROWS);
        assert!(dali.is_custodian(&dossier) && !kunming.is_custodian(&dossier), "cut after {bytes} bytes");
    }
}
