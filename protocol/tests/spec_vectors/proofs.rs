//! Cases of proofs: how they lie in JSON and how they are judged.

use serde_json::{Map, Value, json};

use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::key::Role;
use yunling_protocol::log::Origin;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::{
    self, Amount, Claims, LogTrust, Logged, StatusRules, Verdict, Verified, verify_logged,
};
use yunling_protocol::status::StatusRef;

use super::world::{DAY, ISSUER, START, hex, list, name, read_trust, signer, string, time};

/// When the proofs are issued: day 57.
pub(crate) const ISSUED: i64 = START + 57 * DAY;
pub(crate) const URI: &str = "yunling:s/1";
pub(crate) const INDEX: u32 = 412_345;

/// Every word with its verdict, as SPEC.md lists them.
pub(crate) const WORDS: [(&str, &str); 24] = [
    ("proof-status-good", "valid"),
    ("proof-status-unknown", "valid"),
    ("proof-not-a-proof", "invalid"),
    ("proof-malformed", "invalid"),
    ("proof-forged", "invalid"),
    ("proof-unknown-issuer", "invalid"),
    ("proof-unknown-key", "invalid"),
    ("proof-key-compromised", "invalid"),
    ("proof-revoked", "invalid"),
    ("proof-status-range", "invalid"),
    ("proof-receipt-bad", "invalid"),
    ("proof-date-unproven", "cannot-tell"),
    ("proof-expired", "cannot-tell"),
    ("proof-from-future", "cannot-tell"),
    ("proof-newer-version", "cannot-tell"),
    ("proof-issuer-removed", "cannot-tell"),
    ("proof-issuer-suspended", "cannot-tell"),
    ("proof-suspended", "cannot-tell"),
    ("proof-superseded", "cannot-tell"),
    ("proof-status-stale", "cannot-tell"),
    ("proof-roster-stale", "cannot-tell"),
    ("proof-receipt-unknown-key", "cannot-tell"),
    ("proof-not-witnessed", "cannot-tell"),
    ("proof-not-logged", "cannot-tell"),
];

pub(crate) fn claims() -> Claims {
    Claims {
        issuer: name(ISSUER),
        subject: [7; 16],
        issued: UnixTime(ISSUED),
        expires: UnixTime(ISSUED + 365 * DAY),
        full_name: None,
        amount: Amount::AtLeast(Minutes(18_000)),
        days: Some((Day(19_358), Day(20_780))),
        epoch: 2,
        recorders: vec![],
        number: None,
        trial: false,
        status: Some(StatusRef { index: INDEX, uri: URI.into() }),
    }
}

pub(crate) fn issue(claims: &Claims) -> String {
    proof::issue(&signer(ISSUER, Role::Proof), claims).unwrap()
}

/// One case as it is put together.
pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: String,
    pub(crate) now: i64,
    pub(crate) trust: &'a str,
    pub(crate) why: &'a str,
    /// What may be shown: only what a signature holds for.
    pub(crate) claims: Option<Claims>,
    /// Receipt wanted.
    pub(crate) required: bool,
    /// Oldest list taken, seconds.
    pub(crate) stale: Option<i64>,
    /// Longest time since the expiry of a roster that is taken, seconds.
    pub(crate) roster_stale: Option<i64>,
    /// Word and date of the list.
    pub(crate) status: Option<(&'a str, i64)>,
    pub(crate) logged: Option<Value>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(name: &'a str, text: String, trust: &'a str, why: &'a str) -> Self {
        Self {
            name,
            text,
            now: ISSUED + DAY,
            trust,
            why,
            claims: None,
            required: false,
            stale: Some(30 * DAY),
            roster_stale: Some(30 * DAY),
            status: None,
            logged: None,
        }
    }

    pub(crate) fn shows(self, claims: &Claims) -> Self {
        Self { claims: Some(claims.clone()), ..self }
    }

    pub(crate) fn at(self, now: i64) -> Self {
        Self { now, ..self }
    }

    pub(crate) fn json(&self) -> Value {
        let verdict = WORDS.iter().find(|(word, _)| *word == self.why).unwrap().1;
        json!({
            "name": self.name, "text": self.text, "now": self.now, "trust": self.trust,
            "receipt_required": self.required, "stale_seconds": self.stale,
            "roster_stale_seconds": self.roster_stale,
            "expect": {
                "verdict": verdict, "why": self.why,
                "claims": self.claims.as_ref().map(claims_json),
                "status": self.status.map(|(word, at)| json!({ "word": word, "list_issued": at })),
                "logged": self.logged,
            },
        })
    }
}

pub(crate) fn file(about: &str, trusts: Vec<(&str, Value)>, cases: &[Case<'_>]) -> Value {
    let trusts: Map<String, Value> =
        trusts.into_iter().map(|(name, trust)| (name.to_owned(), trust)).collect();
    json!({ "about": about, "trusts": trusts, "cases": cases.iter().map(Case::json).collect::<Vec<_>>() })
}

fn claims_json(claims: &Claims) -> Value {
    let (kind, minutes) = match claims.amount {
        Amount::AtLeast(minutes) => ("at-least", minutes.0),
        Amount::Exact(minutes) => ("exact", minutes.0),
    };
    let recorder = |(node, minutes): &(NodeName, Option<Minutes>)| {
        json!({ "node": node.as_str(),
        "minutes": minutes.map(|m| m.0) })
    };
    json!({
        "issuer": claims.issuer.as_str(), "subject": hex(&claims.subject),
        "issued": claims.issued.0, "expires": claims.expires.0, "full_name": claims.full_name,
        "amount": kind, "minutes": minutes, "days": claims.days.map(|(first, last)| [first.0, last.0]),
        "epoch": claims.epoch, "recorders": claims.recorders.iter().map(recorder).collect::<Vec<_>>(),
        "number": claims.number, "trial": claims.trial,
        "status": claims.status.as_ref().map(|s| json!({ "index": s.index, "uri": s.uri })),
    })
}

pub(crate) fn logged_json(origin: &str, size: u64, index: u64, by: Option<(&[&str], i64)>) -> Value {
    let witnessed = by.map(|(by, at)| json!({ "policy": "two-of-three", "by": by, "at": at }));
    json!({ "origin": origin, "size": size, "index": index, "witnessed": witnessed })
}

fn logged_of(logged: &Logged) -> Value {
    let witnessed = logged.witnessed.as_ref().map(|w| {
        let by: Vec<&str> = w.by.iter().map(|(node, _)| node.as_str()).collect();
        json!({ "policy": w.policy, "by": by, "at": w.at.map(|at| at.0) })
    });
    let (size, index) = (logged.size, logged.index);
    json!({ "origin": logged.origin.to_string(), "size": size, "index": index, "witnessed": witnessed })
}

fn outcome(verified: &Verified) -> Value {
    let verdict = match verified.verdict() {
        Verdict::Valid => "valid",
        Verdict::Invalid => "invalid",
        Verdict::CannotTell => "cannot-tell",
    };
    json!({
        "verdict": verdict, "why": verified.why.code(),
        "claims": verified.claims.as_ref().map(claims_json),
        "status": verified.status.map(|s| json!({ "word": s.status.word(), "list_issued": s.at.0 })),
        "logged": verified.logged.as_ref().map(logged_of),
    })
}

/// Judges every case as `proof verify` does: quorum and log keys come from cards and roster.
pub(crate) fn check(file: &Value) {
    for case in list(&file["cases"]) {
        let (members, lists) = read_trust(&file["trusts"][string(&case["trust"])]);
        let keys = |node: &NodeName| members.keys_known(node, Role::Log).cloned().collect();
        let quorum = |origin: &Origin| members.quorum(&origin.node).ok().flatten();
        let required = case["receipt_required"].as_bool().unwrap();
        let logs = LogTrust { keys: &keys, quorum: &quorum, required };
        let rules = StatusRules {
            stale_seconds: case["stale_seconds"].as_i64(),
            roster_stale_seconds: case["roster_stale_seconds"].as_i64(),
        };
        let verified =
            verify_logged(string(&case["text"]), &members, &lists, &rules, &logs, time(&case["now"]));
        assert_eq!(outcome(&verified), case["expect"], "{}", case["name"]);
    }
}
