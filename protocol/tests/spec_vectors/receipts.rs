//! P2: proofs with receipts, and what a roster makes of a proof.

use serde_json::Value;

use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{Role, Signer as _};
use yunling_protocol::log::{Checkpoint, Entry, cosignature};
use yunling_protocol::proof::receipt::{Inclusion, Receipt};
use yunling_protocol::proof::{Claims, logged_id, with_receipts};
use yunling_protocol::roster::{LastCheckpoint, Roster, SignedRoster, State, StateEntry};

use super::naive;
use super::proofs::{Case, ISSUED, claims, file, issue, logged_json};
use super::world::{
    DAY, ISSUER, START, WITNESSES, card, card_with_window, cards_trust, change_node, first_roster, key, name,
    next_roster, roster_trust, sign_roster, signed, signer,
};

const ORIGIN: &str = "spec.example/cangshan/1";
/// Time of the first cosignature; the second is a minute later, and so the quorum's.
const SEEN: i64 = ISSUED + 60;
const QUORUM: i64 = SEEN + 60;

/// The log of nine entries with the proof at index 3: head of that origin, and path.
fn log(text: &str, origin: &str) -> (Checkpoint, Vec<[u8; 32]>) {
    let entry = Entry::Signed(logged_id(text).unwrap().0).encode().unwrap();
    let leaf = |i: u8| if i == 3 { naive::leaf(&entry) } else { naive::leaf(&[i]) };
    let leaves: Vec<[u8; 32]> = (0..9).map(leaf).collect();
    (Checkpoint::new(origin, 9, naive::root(&leaves)), naive::path(3, &leaves))
}

fn cosign(head: &Checkpoint, witness: &str, time: i64) -> [u8; 76] {
    let key = signer(witness, Role::Witness);
    cosignature::sign(&key, witness, time as u64, &head.text()).unwrap().raw().try_into().unwrap()
}

/// A receipt of the proof with cosignatures of these witnesses at these times.
fn receipt_at(text: &str, origin: &str, role: Role, by: &[(&str, i64)]) -> Receipt {
    let (head, path) = log(text, origin);
    let cosignatures = by.iter().map(|(witness, time)| cosign(&head, witness, *time)).collect();
    Receipt::make(&signer(ISSUER, role), Inclusion { head: &head, index: 3, path, cosignatures }).unwrap()
}

fn receipt(by: &[(&str, i64)]) -> Receipt {
    receipt_at(&issue(&claims()), ORIGIN, Role::Log, by)
}

fn two() -> Receipt {
    receipt(&[(WITNESSES[0], SEEN), (WITNESSES[1], QUORUM)])
}

fn p2(receipts: &[Receipt]) -> String {
    with_receipts(&issue(&claims()), receipts).unwrap()
}

/// As two of the witnesses saw it.
fn seen() -> Value {
    logged_json(ORIGIN, 9, 3, Some((&WITNESSES[..2], QUORUM)))
}

fn holds(
    name: &'static str,
    text: String,
    trust: &'static str,
    why: &'static str,
    logged: Value,
) -> Case<'static> {
    Case { logged: Some(logged), ..Case::new(name, text, trust, why).shows(&claims()) }.at(ISSUED + 20 * DAY)
}

fn wrong(name: &'static str, text: String, why: &'static str) -> Case<'static> {
    Case { required: true, ..Case::new(name, text, "roster", why) }
}

fn valid() -> Vec<Case<'static>> {
    let good = |name, text, trust, logged| holds(name, text, trust, "proof-status-unknown", logged);
    let late = receipt(&[(WITNESSES[1], QUORUM + 500), (WITNESSES[2], QUORUM + 900)]);
    let three = receipt(&[(WITNESSES[2], SEEN + 700), (WITNESSES[0], SEEN), (WITNESSES[1], QUORUM)]);
    let future = receipt(&[(WITNESSES[0], SEEN), (WITNESSES[1], QUORUM), (WITNESSES[2], ISSUED + 21 * DAY)]);
    vec![
        Case { required: true, ..good("two of three witnesses", p2(&[two()]), "roster", seen()) },
        good(
            "three: the second earliest time is the quorum's",
            p2(&[three]),
            "roster",
            logged_json(ORIGIN, 9, 3, Some((&WITNESSES, QUORUM))),
        ),
        good("a cosignature from the future is not counted", p2(&[future]), "roster", seen()),
        good("of two receipts the one that was witnessed first speaks", p2(&[late, two()]), "roster", seen()),
        good(
            "cards know no witnesses: logged, and nobody is said to have seen it",
            p2(&[two()]),
            "card",
            logged_json(ORIGIN, 9, 3, None),
        ),
        good("the proof key ended after witnesses saw it", p2(&[two()]), "proof key ended", seen()),
        good("the log key ended after witnesses saw it", p2(&[two()]), "log key ended", seen()),
        good(
            "the proof key was compromised after witnesses saw it",
            p2(&[two()]),
            "compromised after",
            seen(),
        ),
        good("the issuer was suspended after witnesses saw it", p2(&[two()]), "suspended", seen()),
        good("the issuer left after witnesses saw it", p2(&[two()]), "withdrawn", seen()),
        good("another office acts for the issuer since", p2(&[two()]), "succeeded", seen()),
    ]
}

fn wrong_receipts() -> Vec<Case<'static>> {
    let spoiled = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = two();
        change(&mut receipt);
        p2(&[receipt])
    };
    let with = |by: &[(&str, i64)]| p2(&[receipt(by)]);
    let other = issue(&Claims { subject: [8; 16], ..claims() });
    let of = |origin, role| {
        p2(&[receipt_at(&issue(&claims()), origin, role, &[(WITNESSES[0], SEEN), (WITNESSES[1], QUORUM)])])
    };
    // Of a log with this proof alone, so that five are no longer than a proof may be.
    let alone = Entry::Signed(logged_id(&issue(&claims())).unwrap().0).encode().unwrap();
    let head = Checkpoint::new(ORIGIN, 1, naive::leaf(&alone));
    let inclusion = Inclusion { head: &head, index: 0, path: vec![], cosignatures: vec![] };
    let five = vec![Receipt::make(&signer(ISSUER, Role::Log), inclusion).unwrap(); 5];
    let now = ISSUED + DAY;
    vec![
        wrong("no receipt", issue(&claims()), "proof-not-logged"),
        wrong("one witness", with(&[(WITNESSES[0], SEEN)]), "proof-not-witnessed"),
        wrong("no witness", with(&[]), "proof-not-witnessed"),
        wrong(
            "one witness twice",
            with(&[(WITNESSES[0], SEEN), (WITNESSES[0], QUORUM)]),
            "proof-not-witnessed",
        ),
        wrong(
            "the issuer is no witness",
            with(&[(WITNESSES[0], SEEN), (ISSUER, SEEN)]),
            "proof-not-witnessed",
        ),
        wrong(
            "a stranger is ignored",
            with(&[(WITNESSES[0], SEEN), ("spec.example/w9", SEEN)]),
            "proof-not-witnessed",
        ),
        wrong(
            "the second cosignature is 601 seconds ahead",
            with(&[(WITNESSES[0], SEEN), (WITNESSES[1], now + 601)]),
            "proof-not-witnessed",
        ),
        wrong(
            "a cosignature before its key's window",
            with(&[(WITNESSES[0], SEEN), (WITNESSES[1], START - 31 * DAY)]),
            "proof-not-witnessed",
        ),
        wrong(
            "a changed cosignature rejects, whoever else signed",
            {
                let mut three =
                    receipt(&[(WITNESSES[0], SEEN), (WITNESSES[1], QUORUM), (WITNESSES[2], SEEN)]);
                three.cosignatures[2][75] ^= 1;
                p2(&[three])
            },
            "proof-receipt-bad",
        ),
        wrong(
            "a changed time in a cosignature",
            spoiled(&|r| r.cosignatures[0][11] ^= 1),
            "proof-receipt-bad",
        ),
        wrong("a changed hash of the path", spoiled(&|r| r.path[0][0] ^= 1), "proof-receipt-bad"),
        wrong("a path that is too short", spoiled(&|r| r.path.truncate(3)), "proof-receipt-bad"),
        wrong("another index", spoiled(&|r| r.index = 2), "proof-receipt-bad"),
        wrong("an index outside", spoiled(&|r| r.index = 9), "proof-receipt-bad"),
        wrong("another size with a path of the same length", spoiled(&|r| r.size = 10), "proof-receipt-bad"),
        wrong("the receipt of another proof", with_receipts(&other, &[two()]).unwrap(), "proof-receipt-bad"),
        wrong("the log of another node", of("spec.example/w1/1", Role::Log), "proof-receipt-bad"),
        wrong("by the issuer's proof key", of(ORIGIN, Role::Proof), "proof-receipt-unknown-key"),
        wrong("five receipts", p2(&five), "proof-receipt-bad"),
        wrong(
            "one good and one bad receipt",
            {
                let mut bad = two();
                bad.path[0][0] ^= 1;
                p2(&[two(), bad])
            },
            "proof-receipt-bad",
        ),
    ]
}

fn by_roster() -> Vec<Case<'static>> {
    let printed = |name, trust, why| {
        Case::new(name, issue(&claims()), trust, why).shows(&claims()).at(ISSUED + 20 * DAY)
    };
    let dated = |name, trust, why, logged| holds(name, p2(&[two()]), trust, why, logged);
    vec![
        printed("the roster lists the issuer", "roster", "proof-status-unknown"),
        printed("printed, and the key was compromised since", "compromised after", "proof-key-compromised"),
        dated(
            "the key was compromised when witnesses saw it",
            "compromised then",
            "proof-key-compromised",
            seen(),
        ),
        printed("printed, and the issuer is suspended now", "suspended", "proof-issuer-suspended"),
        printed("printed, and the issuer has left", "withdrawn", "proof-issuer-removed"),
        printed("printed, and another office acts for the issuer", "succeeded", "proof-issuer-removed"),
        dated(
            "logged, unwitnessed, and the proof key ended",
            "card with ended key",
            "proof-date-unproven",
            logged_json(ORIGIN, 9, 3, None),
        ),
        Case::new(
            "the log key ended before witnesses saw it",
            p2(&[two()]),
            "log key ended then",
            "proof-date-unproven",
        )
        .at(ISSUED + 20 * DAY),
    ]
}

/// A roster of 70 days, later and later; what was right is right for 30 days more.
fn expired() -> Vec<Case<'static>> {
    let over = START + 70 * DAY + 30 * DAY;
    let printed =
        |name, trust, now, why| Case::new(name, issue(&claims()), trust, why).shows(&claims()).at(now);
    let good = "proof-status-unknown";
    let stale = "proof-roster-stale";
    let late = printed("the roster expired 30 days and a second ago", "roster of 70 days", over + 1, stale);
    vec![
        printed("the roster expired a week ago", "roster of 70 days", over - 23 * DAY, good),
        printed("the roster expired 30 days ago", "roster of 70 days", over, good),
        Case {
            roster_stale: None,
            ..printed("a roster of any age", "roster of 70 days", over + 99 * DAY, good)
        },
        Case { roster_stale: Some(0), ..printed("no day of grace", "roster of 70 days", over, stale) },
        late,
        holds("stale, though witnesses saw it in time", p2(&[two()]), "roster of 70 days", stale, seen())
            .at(over + 1),
        printed("by a card alone nothing goes stale", "card", over + 1, good),
        printed(
            "a compromise stays known, however old the roster",
            "compromised, roster of 70 days",
            over + 1,
            "proof-key-compromised",
        ),
        printed("the key came with an expired version", "key of an expired version", over, stale),
    ]
}

fn witness_states() -> Vec<Case<'static>> {
    let both = || receipt(&[(WITNESSES[0], SEEN), (WITNESSES[1], QUORUM)]);
    let three = receipt(&[(WITNESSES[0], SEEN), (WITNESSES[1], QUORUM), (WITNESSES[2], QUORUM + 60)]);
    let at = |case: Case<'static>| case.at(ISSUED + 20 * DAY);
    vec![
        at(wrong_by("a witness that was suspended then", p2(&[both()]), "witness suspended then")),
        at(wrong_by("a witness that had left by then", p2(&[both()]), "witness withdrawn then")),
        at(wrong_by("a witness that joined later", p2(&[both()]), "witness joined later")),
        at(wrong_by("a witness whose key was compromised then", p2(&[both()]), "witness compromised then")),
        holds(
            "a witness suspended since",
            p2(&[both()]),
            "witness suspended after",
            "proof-status-unknown",
            seen(),
        ),
        holds(
            "a witness suspended for a time before",
            p2(&[both()]),
            "witness back again",
            "proof-status-unknown",
            seen(),
        ),
        holds(
            "the two others are enough, and their time counts",
            p2(&[three]),
            "witness suspended then",
            "proof-status-unknown",
            logged_json(ORIGIN, 9, 3, Some((&[WITNESSES[0], WITNESSES[2]], QUORUM + 60))),
        ),
    ]
}

fn wrong_by(name: &'static str, text: String, trust: &'static str) -> Case<'static> {
    Case { trust, ..wrong(name, text, "proof-not-witnessed") }
}

/// Versions 1 and 2 with states of the second witness.
fn witness(states: &[(State, i64)]) -> Value {
    changed(|roster| {
        change_node(roster, WITNESSES[1], |node| {
            let states = states.iter().map(|(state, from)| (state.clone(), UnixTime(*from)));
            node.states.extend(states.map(|(state, from)| StateEntry { state, from }));
        });
    })
}

/// The second witness was suspended from day 10 to 20.
fn back_again() -> Value {
    let first = sign_roster(&first_roster(), &[1, 2]);
    let mut second = next_roster(&first, 15);
    let state = |state, day| StateEntry { state, from: UnixTime(START + day * DAY) };
    change_node(&mut second, WITNESSES[1], |node| node.states.push(state(State::Suspended, 10)));
    let second = sign_roster(&second, &[1, 2]);
    let mut third = next_roster(&second, 16);
    change_node(&mut third, WITNESSES[1], |node| node.states.push(state(State::Active, 20)));
    roster_trust(&[first, second, sign_roster(&third, &[1, 2])])
}

/// The second witness joined a second after its cosignature.
fn joined_later() -> Value {
    let mut first = first_roster();
    change_node(&mut first, WITNESSES[1], |node| node.states[0].from = UnixTime(QUORUM + 1));
    roster_trust(&[sign_roster(&first, &[1, 2])])
}

fn witness_compromised() -> Value {
    changed(|roster| {
        let public = signer(WITNESSES[1], Role::Witness).public();
        change_node(roster, WITNESSES[1], |node| node.compromised.push((public, UnixTime(QUORUM))));
    })
}

/// Version 1, and perhaps a second one, that expire 70 days after day 0.
fn short(second: Option<&dyn Fn(&mut Roster)>) -> Value {
    let until = UnixTime(START + 70 * DAY);
    let first = sign_roster(&Roster { expires: until, ..first_roster() }, &[1, 2]);
    let Some(change) = second else { return roster_trust(&[first]) };
    let mut next = Roster { expires: until, ..next_roster(&first, 67) };
    change(&mut next);
    roster_trust(&[first, sign_roster(&next, &[1, 3])])
}

/// Version 2 brings the issuer's proof key and had expired when it came.
fn late_key() -> Value {
    let mut first = first_roster();
    let mut before = card(ISSUER);
    for entry in before.keys.iter_mut().filter(|entry| entry.role == Role::Proof) {
        *entry = key("an older key", Role::Proof, START - 30 * DAY, None);
    }
    let mut after = before.clone();
    after.keys.push(key(ISSUER, Role::Proof, START + 51 * DAY, None));
    change_node(&mut first, ISSUER, |node| node.card = signed(&before).into());
    let first = sign_roster(&first, &[1, 2]);
    let until = UnixTime(START + 70 * DAY);
    let mut next = Roster { expires: until, ..next_roster(&first, 50) };
    change_node(&mut next, ISSUER, |node| node.card = signed(&after).into());
    let mut trust = roster_trust(&[first, sign_roster(&next, &[1, 3])]);
    trust["roster"]["versions"][1]["adopted_at"] = until.0.into();
    trust
}

/// Versions 1 and 2; version 2 is issued ten days after the proof.
fn changed(change: impl FnOnce(&mut Roster)) -> Value {
    let first = sign_roster(&first_roster(), &[1, 2]);
    let mut next = next_roster(&first, 67);
    change(&mut next);
    roster_trust(&[first, sign_roster(&next, &[1, 3])])
}

fn ended(role: Role, until: i64) -> Value {
    let mut first = first_roster();
    change_node(&mut first, ISSUER, |node| {
        node.card = card_with_window(ISSUER, role, START - 30 * DAY, Some(until)).into();
    });
    roster_trust(&[sign_roster(&first, &[1, 2])])
}

fn state(state: State) -> Value {
    changed(|roster| {
        change_node(roster, ISSUER, |node| {
            node.states.push(StateEntry { state, from: UnixTime(ISSUED + 5 * DAY) });
        });
    })
}

fn compromised(from: i64) -> Value {
    changed(|roster| {
        let public = signer(ISSUER, Role::Proof).public();
        change_node(roster, ISSUER, |node| node.compromised.push((public, UnixTime(from))));
    })
}

pub(crate) fn make() -> Value {
    let first: SignedRoster = sign_roster(&first_roster(), &[1, 2]);
    let checkpoint =
        LastCheckpoint { origin: ORIGIN.into(), size: 9, root: log(&issue(&claims()), ORIGIN).0.root };
    let by = State::Succeeded { by: name(WITNESSES[0]), checkpoint: Some(checkpoint) };
    let trusts = vec![
        ("roster", roster_trust(&[first])),
        ("card", cards_trust(&[signed(&card(ISSUER))])),
        (
            "card with ended key",
            cards_trust(&[card_with_window(ISSUER, Role::Proof, START - 30 * DAY, Some(ISSUED + 10 * DAY))]),
        ),
        ("proof key ended", ended(Role::Proof, QUORUM + 1)),
        ("log key ended", ended(Role::Log, QUORUM + 1)),
        ("log key ended then", ended(Role::Log, QUORUM)),
        ("compromised after", compromised(QUORUM + 1)),
        ("compromised then", compromised(QUORUM)),
        ("suspended", state(State::Suspended)),
        ("withdrawn", state(State::Withdrawn)),
        ("succeeded", state(by)),
        ("roster of 70 days", short(None)),
        (
            "compromised, roster of 70 days",
            short(Some(&|roster| {
                let public = signer(ISSUER, Role::Proof).public();
                change_node(roster, ISSUER, |node| node.compromised.push((public, UnixTime(QUORUM))));
            })),
        ),
        ("key of an expired version", late_key()),
        ("witness suspended then", witness(&[(State::Suspended, QUORUM)])),
        ("witness suspended after", witness(&[(State::Suspended, QUORUM + 1)])),
        ("witness withdrawn then", witness(&[(State::Withdrawn, ISSUED - DAY)])),
        ("witness back again", back_again()),
        ("witness joined later", joined_later()),
        ("witness compromised then", witness_compromised()),
    ];
    let cases: Vec<Case<'_>> =
        [valid(), wrong_receipts(), by_roster(), expired(), witness_states()].into_iter().flatten().collect();
    file("Proofs with receipts, and judged by rosters (SPEC 9, 11, 12).", trusts, &cases)
}
