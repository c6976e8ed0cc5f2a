//! A process that writes is killed at random moments; what it was told is there, whole.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::steps::{WRITERS, check, write};
use super::*;

/// Folder of the store, set by the test for the process that it kills.
const CHILD_FOLDER: &str = "YUNLING_TEST_CRASH_FOLDER";

/// Kills in a usual run: some seconds. `YUNLING_LONG` makes it two hundred.
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
            scope.spawn(move || write(store, writer, |n| tell(writer, n)));
        }
    });
}

// One write call for a line: a kill cannot leave half of one that looks whole.
fn tell(writer: u8, n: u32) -> bool {
    let line = format!("\nwrote {writer} {n}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).is_ok()
}

#[test]
fn a_killed_process_loses_and_tears_nothing_it_was_told() {
    let home = TempDir::new().unwrap();
    drop(open(home.path()));
    let long = std::env::var_os("YUNLING_LONG").is_some();
    let mut dice = Dice(7);
    for round in 0..if long { KILLS_LONG } else { KILLS } {
        let told = run_and_kill(home.path(), &mut dice);
        let store = open(home.path());
        for writer in 0..WRITERS {
            let found = check(&store, writer, told[usize::from(writer)]);
            assert_eq!(found, Ok(()), "kill {round}");
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
