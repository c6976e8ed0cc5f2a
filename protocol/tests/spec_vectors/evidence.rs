//! Evidence files: each kind, and what is no evidence.

use serde_json::{Value, json};

use yunling_protocol::card::SignedCard;
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::{ChainHead, DossierId, Salt, StatementId, TransferId};
use yunling_protocol::key::{KeyEntry, Role};
use yunling_protocol::log::evidence::{Evidence, IncludedLeaf};
use yunling_protocol::log::{Checkpoint, Hash};
use yunling_protocol::message::{Content, Life, Message};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::statement::{Authorisation, Body, Outcome, Receipt, Seal, Statement, statement_common};

use super::naive;
use super::world::{
    ISSUER, START, WITNESSES, card, cards_trust, hex, judge, list, name, read_trust, signed, signer, unhex,
};

const LOG: &str = "spec.example/cangshan/1";
const OTHER: &str = WITNESSES[0];
const STRANGER: &str = "spec.example/w9";
const DOSSIER: DossierId = DossierId([5; 16]);

fn note_by(origin: &str, size: u64, root: Hash, node: &str, role: Role) -> String {
    Checkpoint::new(origin, size, root).sign(&signer(node, role)).unwrap().render()
}

fn note(origin: &str, size: u64, root: Hash) -> String {
    note_by(origin, size, root, ISSUER, Role::Log)
}

/// One-byte entries 0, 1, 2, …; entry 3 is this one.
fn leaves(third: u8, size: u8) -> Vec<Hash> {
    (0..size).map(|n| naive::leaf(&[if n == 3 { third } else { n }])).collect()
}

fn checkpoint(third: u8, size: u8) -> String {
    note(LOG, size.into(), naive::root(&leaves(third, size)))
}

fn statement(node: &str, dossier: DossierId, salt: u8, body: &Body) -> Vec<u8> {
    let common = statement_common(dossier, Salt([salt; 16]), name(node), UnixTime(START), false);
    Statement::sign(&signer(node, Role::Statement), &common, body).unwrap().bytes().to_vec()
}

fn ids(all: &[u8]) -> Vec<StatementId> {
    all.iter().map(|n| StatementId([*n; 32])).collect()
}

/// SPEC 13.1: the head over these ids, by hand.
fn head(all: &[u8]) -> ChainHead {
    use sha2::{Digest as _, Sha256};
    let empty: Hash =
        Sha256::new().chain_update(b"yunling/chain/1").chain_update(DOSSIER.0).finalize().into();
    let next = |head: Hash, n: &u8| Sha256::new().chain_update(head).chain_update([*n; 32]).finalize().into();
    ChainHead(all.iter().fold(empty, next))
}

fn seal(epoch: u64, next: &str, count: u64, head: ChainHead) -> Body {
    Body::Seal(Seal {
        epoch,
        transfer: TransferId([3; 16]),
        head,
        count,
        minutes: Minutes(60),
        balance: Minutes(60),
        next: name(next),
        authorisation: Authorisation::CodeHash([4; 32]),
        nullifier: [6; 32],
    })
}

fn receipt(target: u8, outcome: Outcome, epoch: u64, all: &[u8]) -> Body {
    let state = Some((epoch, all.len() as u64, head(all)));
    Body::Receipt(Receipt { target: StatementId([target; 32]), outcome, reason: None, sequence: None, state })
}

fn offer(content: Content) -> Vec<u8> {
    let message = Message {
        from: name(ISSUER),
        to: name(OTHER),
        dossier: DOSSIER,
        epoch: 1,
        transfer: TransferId([3; 16]),
        life: Life { generation: 1, mark: [0; 16] },
        at: UnixTime(START),
        trial: false,
        content,
    };
    message.sign(&signer(ISSUER, Role::Statement)).unwrap()
}

fn proves(name: &str, evidence: &Evidence, what: &str, at: &str) -> Value {
    json!({ "name": name, "hex": hex(&evidence.encode()), "expect": { "proves": evidence.word(),
        "node": ISSUER, "what": what, "at": at } })
}

fn nothing(name: &str, evidence: &Evidence, word: &str) -> Value {
    json!({ "name": name, "hex": hex(&evidence.encode()), "expect": { "refused": word } })
}

fn two_roots() -> Vec<Value> {
    let of = |one: String, other: String| Evidence::TwoRoots { one, other };
    let good = || note(LOG, 7, [1; 32]);
    vec![
        proves("two roots of one size", &of(good(), note(LOG, 7, [2; 32])), LOG, "7"),
        nothing("the same root", &of(good(), good()), "evidence-no-contradiction"),
        nothing("two sizes", &of(good(), note(LOG, 8, [2; 32])), "evidence-unrelated"),
        nothing("two lives", &of(good(), note("spec.example/cangshan/2", 7, [2; 32])), "evidence-unrelated"),
        nothing(
            "signed by another node",
            &of(good(), note_by(LOG, 7, [2; 32], OTHER, Role::Log)),
            "note-no-known-signature",
        ),
        nothing(
            "signed by the witness key",
            &of(good(), note_by(LOG, 7, [2; 32], ISSUER, Role::Witness)),
            "note-no-known-signature",
        ),
        nothing("no generation in the origin", &of(good(), note("cangshan", 7, [2; 32])), "evidence-part"),
        nothing("no checkpoint", &of(good(), "text\n".into()), "note-malformed"),
    ]
}

fn two_leaves() -> Vec<Value> {
    let leaf = |third: u8, size: u8| IncludedLeaf {
        entry: vec![third],
        path: naive::path(3, &leaves(third, size)),
        note: checkpoint(third, size),
    };
    let of = |index, one, other| Evidence::TwoLeaves { index, one, other };
    let other_entry = IncludedLeaf { entry: vec![98], ..leaf(99, 12) };
    vec![
        proves("two entries at index 3, under two sizes", &of(3, leaf(3, 7), leaf(99, 12)), LOG, "3"),
        nothing("one entry under two sizes", &of(3, leaf(3, 7), leaf(3, 12)), "evidence-no-contradiction"),
        nothing("another index", &of(4, leaf(3, 7), leaf(99, 12)), "merkle-other-root"),
        nothing("an entry that is not included", &of(3, leaf(3, 7), other_entry), "merkle-other-root"),
    ]
}

fn rewritten() -> Vec<Value> {
    let root = |third, size| naive::root(&leaves(third, size));
    let path = |third| naive::consistency(7, &leaves(third, 12));
    let of = |old: String, new: String, root, path| Evidence::Rewritten { old, new, root, path };
    vec![
        proves(
            "the newer head extends another root",
            &of(checkpoint(3, 7), checkpoint(99, 12), root(99, 7), path(99)),
            LOG,
            "7",
        ),
        nothing(
            "it extends the signed root",
            &of(checkpoint(3, 7), checkpoint(3, 12), root(3, 7), path(3)),
            "evidence-no-contradiction",
        ),
        nothing(
            "a root that is nobody's",
            &of(checkpoint(3, 7), checkpoint(3, 12), [1; 32], path(3)),
            "merkle-other-root",
        ),
        nothing(
            "another log",
            &of(checkpoint(3, 7), note("spec.example/cangshan/2", 12, root(99, 12)), root(99, 7), path(99)),
            "evidence-unrelated",
        ),
        nothing(
            "everything extends the empty tree",
            &of(note(LOG, 0, [1; 32]), checkpoint(3, 12), [2; 32], vec![]),
            "evidence-unrelated",
        ),
    ]
}

fn two_seals() -> Vec<Value> {
    let of = |one: Vec<u8>, other: Vec<u8>| Evidence::TwoSeals { one, other };
    let to = |node: &str, epoch, next: &str, salt| {
        statement(node, DOSSIER, salt, &seal(epoch, next, 2, head(&[1, 2])))
    };
    let one = || to(ISSUER, 1, OTHER, 1);
    let mut broken = to(ISSUER, 1, WITNESSES[1], 2);
    *broken.last_mut().unwrap() ^= 1;
    let elsewhere = statement(ISSUER, DossierId([8; 16]), 2, &seal(1, WITNESSES[1], 2, head(&[1, 2])));
    vec![
        proves(
            "two seals of one epoch",
            &of(one(), to(ISSUER, 1, WITNESSES[1], 2)),
            &DOSSIER.to_string(),
            "1",
        ),
        nothing("one seal twice", &of(one(), one()), "evidence-no-contradiction"),
        nothing("two epochs", &of(one(), to(ISSUER, 2, WITNESSES[1], 2)), "evidence-unrelated"),
        nothing("two nodes", &of(one(), to(OTHER, 1, WITNESSES[1], 2)), "evidence-unrelated"),
        nothing("two dossiers", &of(one(), elsewhere), "evidence-unrelated"),
        nothing(
            "a node that is not trusted",
            &of(one(), to(STRANGER, 1, WITNESSES[1], 2)),
            "evidence-signature",
        ),
        nothing("a broken signature", &of(one(), broken), "evidence-signature"),
        nothing(
            "a receipt",
            &of(one(), statement(ISSUER, DOSSIER, 2, &receipt(9, Outcome::Accepted, 1, &[1, 2]))),
            "evidence-part",
        ),
    ]
}

fn dropped() -> Vec<Value> {
    let took = || statement(ISSUER, DOSSIER, 1, &receipt(9, Outcome::Accepted, 1, &[1, 2, 9]));
    let of = |head: Vec<u8>, all: &[u8]| Evidence::Dropped { receipt: took(), head, ids: ids(all) };
    let later = |all: &[u8], epoch| statement(ISSUER, DOSSIER, 2, &receipt(70, Outcome::Held, epoch, all));
    let sealed = statement(ISSUER, DOSSIER, 2, &seal(1, OTHER, 4, head(&[1, 2, 3, 4])));
    let offered = offer(Content::Offer { head: head(&[1, 2, 3]), count: 3, minutes: Minutes(1) });
    let done = offer(Content::Done { count: 3, head: head(&[1, 2, 3]) });
    let held = Evidence::Dropped {
        receipt: statement(ISSUER, DOSSIER, 1, &receipt(9, Outcome::Held, 1, &[1, 2, 3])),
        head: later(&[1, 2, 3], 1),
        ids: ids(&[1, 2, 3]),
    };
    let (what, at) = (DOSSIER.to_string(), StatementId([9; 32]).to_string());
    vec![
        proves("a later receipt without the statement", &of(later(&[1, 2, 3], 1), &[1, 2, 3]), &what, &at),
        proves("a seal over a chain without it", &of(sealed, &[1, 2, 3, 4]), &what, &at),
        proves("an offer of a chain without it", &of(offered, &[1, 2, 3]), &what, &at),
        nothing("the chain has it", &of(later(&[1, 2, 9, 3], 1), &[1, 2, 9, 3]), "evidence-no-contradiction"),
        nothing(
            "the chain has it at another place",
            &of(later(&[1, 2, 3, 9], 1), &[1, 2, 3, 9]),
            "evidence-no-contradiction",
        ),
        nothing("a shorter head", &of(later(&[1, 2], 1), &[1, 2]), "evidence-not-later"),
        nothing("an earlier epoch", &of(later(&[1, 2, 3], 0), &[1, 2, 3]), "evidence-not-later"),
        nothing(
            "ids that do not lead to the head",
            &of(later(&[1, 2, 9, 3], 1), &[1, 2, 8, 3]),
            "evidence-other-chain",
        ),
        nothing(
            "an id less than the head counts",
            &of(later(&[1, 2, 9, 3], 1), &[1, 2, 3]),
            "evidence-other-chain",
        ),
        nothing("a message of another kind", &of(done, &[1, 2, 3]), "evidence-part"),
        nothing("a receipt that did not accept", &held, "evidence-part"),
    ]
}

pub(crate) fn make() -> Value {
    let cards: Vec<SignedCard> = [ISSUER, OTHER].map(|node| signed(&card(node))).into();
    let good = Evidence::TwoRoots { one: note(LOG, 7, [1; 32]), other: note(LOG, 7, [2; 32]) }.encode();
    let mut newer = good.clone();
    let at = newer.windows(11).position(|w| w == b"/evidence/1").unwrap();
    newer[at + 10] = b'2';
    let file = |name: &str, bytes: &[u8]| {
        json!({ "name": name, "hex": hex(bytes),
        "expect": { "refused": "evidence-encoding" } })
    };
    let broken = vec![file("cut", &good[..good.len() - 1]), file("of a newer version", &newer)];
    let cases: Vec<Value> = [two_roots(), two_leaves(), two_seals(), rewritten(), dropped(), broken]
        .into_iter()
        .flatten()
        .collect();
    json!({ "about": "Evidence files (SPEC 13), judged with these cards: what is proved of whom, or why nothing is.", "trust": cards_trust(&cards), "cases": cases })
}

pub(crate) fn check(file: &Value) {
    let (members, _) = read_trust(&file["trust"]);
    for case in list(&file["cases"]) {
        let keys = |node: &NodeName, role: Role| -> Vec<KeyEntry> {
            members.keys_known(node, role).cloned().collect()
        };
        let judged = Evidence::decode(&unhex(&case["hex"])).and_then(|e| Ok((e.word(), e.verify(keys)?)));
        judge(
            case,
            judged.map_err(|e| e.code().to_owned()).map(|(word, proved)| {
                let (node, what, at) = proved.place();
                assert_eq!(proved.code(), format!("evidence-{word}"));
                json!({ "proves": word, "node": node, "what": what, "at": at })
            }),
        );
    }
}
