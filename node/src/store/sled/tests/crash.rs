//! A process that writes is killed at random moments; what it was told is there, whole.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

/// Folder of the store, set by the test for the process that it kills.
const CHILD_FOLDER: &str = "YUNLING_TEST_CRASH_FOLDER";

const WRITERS: u8 = 4;

/// Kills in a usual run: some seconds. `YUNLING_TEST_LONG` makes it two hundred.
const KILLS: usize = 20;
const KILLS_LONG: usize = 200;

#[test]
#[ignore = "started by the kill test only"]
fn child_that_is_killed() {
    let folder = std::env::var_os(CHILD_FOLDER).unwrap();
    let store = open(Path::new(&folder));
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || write_for_ever(store, writer));
        }
    });
}

fn write_for_ever(store: &SledStore, writer: u8) {
    let head = store.get(Table::Head, &[writer]).unwrap();
    let mut next = head.as_deref().map_or(0, number);
    loop {
        store.commit(step(head_of(next), writer, next)).unwrap();
        // One write call for a line: a kill cannot leave half of one that looks whole.
        let line = format!("\nwrote {writer} {next}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        next += 1;
    }
}

fn head_of(next: u32) -> Option<Vec<u8>> {
    (next > 0).then(|| next.to_be_bytes().to_vec())
}

// The head tells the number of the next step; each step leaves two records, some large.
fn step(head: Option<Vec<u8>>, writer: u8, n: u32) -> Batch {
    let mut batch = Batch::new();
    batch.expect_read(Table::Head, [writer], head.as_deref());
    batch.set(Table::Head, [writer], (n + 1).to_be_bytes());
    for part in 0..2 {
        batch.insert(Table::Chain, chain_key(writer, n, part), value(writer, n));
    }
    if n >= 50 {
        for part in 0..2 {
            batch.delete(Table::Chain, chain_key(writer, n - 50, part));
        }
    }
    batch
}

fn chain_key(writer: u8, n: u32, part: u8) -> Vec<u8> {
    [&[part, writer], n.to_be_bytes().as_slice()].concat()
}

fn value(writer: u8, n: u32) -> Vec<u8> {
    let len = if n.is_multiple_of(17) { 60_000 } else { 700 };
    vec![writer ^ n as u8; len]
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

#[test]
fn a_killed_process_loses_and_tears_nothing_it_was_told() {
    let home = TempDir::new().unwrap();
    drop(open(home.path()));
    let long = std::env::var_os("YUNLING_TEST_LONG").is_some();
    let mut dice = Dice(7);
    for round in 0..if long { KILLS_LONG } else { KILLS } {
        let told = run_and_kill(home.path(), &mut dice);
        let store = open(home.path());
        for writer in 0..WRITERS {
            check(&store, writer, told[usize::from(writer)], round);
        }
    }
}

/// Starts the child, kills it, and says how many steps each writer was told of.
fn run_and_kill(folder: &Path, dice: &mut Dice) -> [u32; WRITERS as usize] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["store::sled::tests::crash::child_that_is_killed", "--exact"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = [0; WRITERS as usize];
    let mut hear = |line: &str| -> bool {
        let mut words = line.split(' ');
        if words.next() != Some("wrote") {
            return false;
        }
        let writer: usize = words.next().unwrap().parse().unwrap();
        told[writer] = words.next().unwrap().parse::<u32>().unwrap() + 1;
        true
    };
    while !hear(&lines.next().expect("the child wrote before it ended").unwrap()) {}
    let wait = Duration::from_millis(dice.below(150));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(wait);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            hear(&line);
        }
    });
    told
}

fn check(store: &SledStore, writer: u8, told: u32, round: usize) {
    let head = store.get(Table::Head, &[writer]).unwrap();
    let head = head.as_deref().map_or(0, number);
    assert!(head >= told, "round {round}: step {told} of writer {writer} is lost");
    for part in 0..2 {
        let items = store.scan(Table::Chain, &[part, writer], None, 99).unwrap();
        let right: Vec<_> =
            (head.saturating_sub(50)..head).map(|n| (chain_key(writer, n, part), value(writer, n))).collect();
        assert!(items == right, "round {round}: a step of writer {writer} is torn");
    }
}
