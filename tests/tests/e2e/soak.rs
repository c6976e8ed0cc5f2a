//! Mixed load over three offices with random kills: at the end every dossier has one custodian and
//! exactly the minutes that were acknowledged, and the office that was never killed has not grown.
//!
//! Half an hour with `YUNLING_LONG`, or as long as `YUNLING_SOAK_SECONDS` says; else it says aloud
//! that it is left out.

use std::time::{Duration, Instant};

use yunling_tests::dice::Dice;
use yunling_tests::office::{Office, Sheet, id_number, record_on, text};

/// Volunteers in the game: enough that some move while others are served.
const PEOPLE: u32 = 18;
/// Minutes of each record; a day holds one of each dossier, so no cap of a policy is met.
const MINUTES: u64 = 10;
/// Acts between two kills, on average.
const ACTS_PER_KILL: u64 = 150;
/// Growth of resident memory allowed between the second and the last quarter of the run: a cache
/// that fills, and what the allocator keeps. A leak of one fold for each act is far beyond it.
const RSS_FACTOR: f64 = 1.35;
const RSS_SLACK_KIB: u64 = 24 * 1024;
/// Longest a busy peer or a restart may keep the end waiting.
const CALM: Duration = Duration::from_secs(180);

struct Volunteer {
    id: String,
    at: usize,
    days: u32,
    minutes: u64,
    records: Vec<(usize, String)>,
    moving: Option<(usize, String)>,
}

struct Soak {
    offices: [Office; 3],
    people: Vec<Volunteer>,
    dice: Dice,
    acts: [u64; 4],
    kills: u64,
    rss_kib: Vec<u64>,
}

fn length() -> Option<Duration> {
    let told = std::env::var("YUNLING_SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    let usual = std::env::var_os("YUNLING_LONG").map(|_| 1_800);
    told.or(usual).map(Duration::from_secs)
}

/// A day of its own for each record of one dossier.
fn day(number: u32) -> String {
    format!("{}-{:02}-{:02}", 2001 + number / 336 % 24, number / 28 % 12 + 1, number % 28 + 1)
}

impl Soak {
    fn begin(folder: &std::path::Path) -> Self {
        let names = [("kunming", "530100"), ("dali", "532900"), ("yuxi", "530400")];
        let offices = names.map(|(name, division)| Office::open(folder, name, division));
        offices[0].peer_with(&offices[1]);
        offices[0].peer_with(&offices[2]);
        offices[1].peer_with(&offices[2]);
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            let at = number as usize % 3;
            offices[at].import(&Sheet::default().person(number, &[60]).write(folder, "soak.csv"));
            let id = text(&offices[at].dossier(&id_number(number)), "dossier");
            people.push(Volunteer { id, at, days: 0, minutes: 60, records: vec![], moving: None });
        }
        Self { offices, people, dice: Dice::new(7), acts: [0; 4], kills: 0, rss_kib: Vec::new() }
    }

    fn act(&mut self) {
        let who = self.dice.below(self.people.len() as u64) as usize;
        match self.dice.below(10) {
            0..=3 => self.record(who, self.people[who].at),
            4..=6 => {
                let office = self.dice.below(3) as usize;
                self.record(who, office);
            }
            7 => self.void(who),
            _ => self.move_on(who),
        }
        if self.dice.below(ACTS_PER_KILL) == 0 {
            // The first office is never killed: its memory is what is judged.
            let victim = 1 + self.dice.below(2) as usize;
            self.offices[victim].kill9();
            self.offices[victim].start();
            self.kills += 1;
        }
    }

    /// A record at `office`; when it is held elsewhere, for the custodian last known.
    fn record(&mut self, who: usize, office: usize) {
        let person = &self.people[who];
        let target = if office == person.at {
            person.id.clone()
        } else {
            let (code, card) = self.offices[person.at].json(&["volunteer", "card", &person.id]);
            if code != 0 {
                return;
            }
            text(&card, "card")
        };
        let (day, minutes) = (day(person.days), MINUTES.to_string());
        let arguments = [record_on(&target, &day, &minutes), vec!["--grade", "B"]].concat();
        let (code, made) = self.offices[office].json(&arguments);
        let person = &mut self.people[who];
        person.days += 1;
        if code == 0 {
            person.minutes += MINUTES;
            person.records.push((office, text(&made, "statement")));
            self.acts[usize::from(office != person.at)] += 1;
        }
    }

    fn void(&mut self, who: usize) {
        let person = &self.people[who];
        if person.records.is_empty() {
            return;
        }
        let at = self.dice.below(person.records.len() as u64) as usize;
        let (office, statement) = person.records[at].clone();
        let arguments = ["void", &person.id, &statement, "--reason", "recorded-in-error"];
        if self.offices[office].json(&arguments).0 == 0 {
            let person = &mut self.people[who];
            person.records.swap_remove(at);
            person.minutes -= MINUTES;
            self.acts[2] += 1;
        }
    }

    /// Starts a move, or looks whether the one under way has ended.
    fn move_on(&mut self, who: usize) {
        let person = &self.people[who];
        if let Some((to, transfer)) = person.moving.clone() {
            match self.offices[to].stage(&transfer).as_deref() {
                Some("completed") => {
                    (self.people[who].at, self.people[who].moving) = (to, None);
                    self.acts[3] += 1;
                }
                Some("cancelled") => self.people[who].moving = None,
                _ => {}
            }
            return;
        }
        let (from, id) = (person.at, person.id.clone());
        let to = (from + 1 + self.dice.below(2) as usize) % 3;
        let name = self.offices[to].name.clone();
        let authorize = ["transfer", "authorize", &id, "--to", &name, "--checked", "--with-profile"];
        let (code, slip) = self.offices[from].json(&authorize);
        if code != 0 {
            return;
        }
        let name = self.offices[from].name.clone();
        let start = ["transfer", "start", "--from", &name, "--code", &text(&slip, "code")];
        let (code, started) = self.offices[to].json(&start);
        if code == 0 {
            self.people[who].moving = Some((to, text(&started, "transfer")));
        }
    }

    fn measure(&mut self) {
        if let Some(kib) = self.offices[0].rss_kib() {
            self.rss_kib.push(kib);
        }
    }

    /// Everything that is under way ends: moves, deliveries, outboxes.
    fn calm(&mut self) {
        let began = Instant::now();
        loop {
            for who in 0..self.people.len() {
                if self.people[who].moving.is_some() {
                    self.move_on(who);
                }
            }
            let quiet = |o: &Office| {
                let status = o.ok(&["status"]);
                status["outbox_waiting"] == 0 && status["transfers_open"] == 0
            };
            if self.people.iter().all(|p| p.moving.is_none()) && self.offices.iter().all(quiet) {
                return;
            }
            assert!(began.elapsed() < CALM, "never quiet: {}", self.unrest());
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// What is still under way, and why.
    fn unrest(&self) -> String {
        let mut lines = Vec::new();
        for (at, office) in self.offices.iter().enumerate() {
            let transfers = office.ok(&["transfer", "list"])["transfers"].as_array().cloned();
            let open = transfers.unwrap_or_default().into_iter();
            let open = open.filter(|t| t["stage"] != "completed" && t["stage"] != "cancelled");
            lines.extend(open.map(|t| format!("{}: {t}", office.name)));
            lines.push(format!("{}: {}", office.name, office.ok(&["peer", "list"])));
            let waited = self.people.iter().filter_map(|p| p.moving.as_ref()).filter(|(to, _)| *to == at);
            lines.extend(
                waited.map(|(_, t)| format!("{}: waits for {t}: {:?}", office.name, office.stage(t))),
            );
        }
        lines.join("\n")
    }

    fn check(&self) {
        for person in &self.people {
            let holders: Vec<_> = self.offices.iter().filter(|o| o.is_custodian(&person.id)).collect();
            assert_eq!(holders.len(), 1, "one custodian of {}", person.id);
            let dossier = holders[0].dossier(&person.id);
            assert_eq!(dossier["counted_minutes"], person.minutes, "{dossier}");
        }
    }
}

#[test]
fn under_mixed_load_and_kills_the_totals_agree_and_memory_stays_flat() {
    let Some(length) = length() else {
        println!("left out: the soak runs with tests/run --long, or YUNLING_SOAK_SECONDS");
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let mut soak = Soak::begin(folder.path());
    let began = Instant::now();
    let mut measured = Instant::now();
    while began.elapsed() < length {
        soak.act();
        if measured.elapsed() > length / 200 {
            soak.measure();
            measured = Instant::now();
        }
    }
    soak.calm();
    soak.check();
    let rss = &soak.rss_kib;
    let quarter = |n: usize| {
        let mut part = rss[rss.len() * n / 4..rss.len() * (n + 1) / 4].to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied().unwrap_or_default()
    };
    let (second, last) = (quarter(1), quarter(3));
    let [here, away, voids, moves] = soak.acts;
    println!(
        "{} s: {here} records, {away} served away, {voids} voids, {moves} moves, {} kills; \
         resident {second} KiB in the second quarter, {last} KiB in the last",
        length.as_secs(),
        soak.kills
    );
    assert!(here > 0 && away > 0, "something was done");
    let limit = (second as f64 * RSS_FACTOR) as u64 + RSS_SLACK_KIB;
    assert!(last <= limit, "resident memory grew from {second} KiB to {last} KiB");
}
