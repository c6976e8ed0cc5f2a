//! The line between two offices is cut at ten points of a move; afterwards it ends exactly once.

use yunling_tests::office::{Line, Office, Plan, Sheet, free_port, id_number, sums, text, until};

/// Attestations of each dossier.
const ROWS: usize = 200;
/// Cuts before and in the first messages.
const EARLY_BYTES: [u64; 3] = [200, 1 << 10, 3 << 10];
/// Cuts in thousandths of the bytes of a whole move: in the copy, around the seal and the release,
/// and where all is stored but not yet told.
const PARTS: [u64; 12] = [120, 250, 400, 550, 700, 820, 900, 930, 950, 965, 978, 988];
/// Cuts that must have happened: the last ones may come after the end.
const CUTS_MIN: usize = 10;
/// Moves in reserve. The measured one may hold bytes that no other has (greetings, a second connection),
/// so a cut that came after the end is made again, earlier.
const RESERVE: usize = 12;

fn behind(line: &Line, folder: &std::path::Path, name: &str, division: &str) -> Office {
    // The card shows the line's port, so that no peer knows the office itself.
    let relay = free_port();
    let plan =
        Plan { tcp_only: true, external: Some(format!("/ip4/127.0.0.1/tcp/{relay}")), ..Plan::default() };
    let office = Office::open_with(folder, name, division, plan);
    line.from_to(relay, office.port);
    office
}

struct Pair {
    line: Line,
    kunming: Office,
    dali: Office,
}

impl Pair {
    fn completed(&self, transfer: &str) -> bool {
        [&self.dali, &self.kunming].iter().all(|o| o.stage(transfer).as_deref() == Some("completed"))
    }

    /// Moves person `n`; cut after so many bytes, then resumed. Gives whether it was cut before its end.
    fn cut_move(&self, n: u32, bytes: u64) -> bool {
        let Self { line, kunming, dali } = self;
        let before = kunming.dossier(&id_number(n));
        let dossier = text(&before, "dossier");
        let code = kunming.authorize(&dossier, "dali");
        line.cut_after(bytes);
        let transfer = dali.start_transfer("kunming", &code);
        let cut = until(&format!("cut after {bytes} bytes"), || match line.cuts() {
            0 => self.completed(&transfer).then_some(false),
            _ => Some(true),
        });
        let at = dali.ok(&["transfer", "show", &transfer]);
        let old = kunming.stage(&transfer).unwrap_or_else(|| "not heard of".into());
        println!(
            "cut after {bytes} bytes ({cut}): {} {}/{}, old office {old}",
            at["stage"], at["have"], at["count"]
        );
        // The new office first: it goes on between the questions.
        assert!(!(dali.is_custodian(&dossier) && kunming.is_custodian(&dossier)), "held twice");
        line.open();
        dali.ok(&["transfer", "resume", &transfer]);
        for office in [dali, kunming] {
            office.wait_stage(&transfer, "completed");
        }
        let after = dali.dossier(&dossier);
        assert_eq!(sums(&before), sums(&after), "cut after {bytes} bytes");
        assert_eq!(sums(&before), sums(&kunming.dossier(&dossier)), "cut after {bytes} bytes");
        assert_eq!(after["counted_minutes"], 61 * ROWS);
        assert!(dali.is_custodian(&dossier) && !kunming.is_custodian(&dossier), "cut after {bytes} bytes");
        cut
    }
}

#[test]
fn a_move_cut_at_ten_points_ends_once_with_equal_sums() {
    let folder = tempfile::tempdir().expect("folder");
    let line = Line::default();
    let kunming = behind(&line, folder.path(), "kunming", "530100");
    let dali = behind(&line, folder.path(), "dali", "532900");
    kunming.peer_with(&dali);
    let people = (EARLY_BYTES.len() + PARTS.len() + RESERVE) as u32;
    let sheet = (0..=people).fold(Sheet::default(), |sheet, n| sheet.person(n, &[61; ROWS]));
    let added = kunming.import(&sheet.write(folder.path(), "movers.csv"));
    assert_eq!(added["records_added"], ROWS * (people as usize + 1));

    let code = kunming.authorize(&id_number(people), "dali");
    line.measure();
    let transfer = dali.start_transfer("kunming", &code);
    for office in [&dali, &kunming] {
        office.wait_stage(&transfer, "completed");
    }
    let mut whole = line.passed();
    println!("a whole move of {ROWS} records: {whole} bytes");
    let pair = Pair { line, kunming, dali };
    let mut cut = (0..).zip(EARLY_BYTES).filter(|(n, bytes)| pair.cut_move(*n, *bytes)).count();
    let rest = EARLY_BYTES.len() as u32..people;
    for (made, (n, part)) in rest.zip(PARTS.into_iter().cycle()).enumerate() {
        if made >= PARTS.len() && cut >= CUTS_MIN {
            break;
        }
        if pair.cut_move(n, whole * part / 1_000) {
            cut += 1;
        } else {
            whole = whole.min(pair.line.passed()) * 9 / 10;
        }
    }
    assert!(cut >= CUTS_MIN, "only {cut} moves were cut before their end");
}
