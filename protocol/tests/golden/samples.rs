//! One fixed sample of everything that crosses the wire, or lies in a chain, with fixed keys and
//! salts. Optional fields are all filled in one sample of a kind and, where a kind has many, all
//! left out in a second one. Nothing here is about a real person, unit or office.

use std::sync::Arc;

use yunling_protocol::bundle::{Bundle, Own};
use yunling_protocol::card::{Card, NodeKind, SignedCard};
use yunling_protocol::courier::{Cover, Item};
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::division::DivisionCode;
use yunling_protocol::dossier::{empty_head, next_head};
use yunling_protocol::id::{ChainHead, DossierId, DossierKey, ItemId, Salt, StatementId, TransferId};
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::message::{
    Answer, Content, Frame, Hello, Life, Message, Pairing, StatusAnswer, StatusAsk,
};
use yunling_protocol::minutes::{Minutes, Stated, StatedUnit};
use yunling_protocol::name::NodeName;
use yunling_protocol::pairing::Half;
use yunling_protocol::proof::{Amount, Claims};
use yunling_protocol::roster::key_change::KeyChange;
use yunling_protocol::roster::{
    LastCheckpoint, LogPolicy, Roster, RosterNode, SignedRoster, State, StateEntry, Steward,
};
use yunling_protocol::statement::id_of;
use yunling_protocol::statement::{
    Activity, Attestation, Authorisation, Award, Body, Code, Common, Consent, ConsentGiver, Correction,
    EntryWay, Evaluation, Grade, Link, Outcome, Place, Receipt, Received, Receiver, Recorder, Redemption,
    Reservation, Seal, Takeover, Training, Unlink, VoidStatement, When,
};
use yunling_protocol::status::StatusRef;

/// When everything here was signed: 2026-11-18 at UTC+8.
pub(crate) const SIGNED_AT: UnixTime = UnixTime(1_795_000_000);

pub(crate) fn signer(role: Role) -> SoftSigner {
    SoftSigner::from_seed(&[role as u8; 32])
}

pub(crate) fn entry(role: Role) -> KeyEntry {
    KeyEntry::new(role, signer(role).public(), UnixTime(1_700_000_000), None)
        .expect("a key made from a seed is sound")
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("a sample name is well formed")
}

pub(crate) fn common() -> Common {
    Common {
        dossier: DossierId([0x11; 16]),
        salt: Salt([0x22; 16]),
        issuer: name("vol.yn.cn/532900"),
        issued_at: SIGNED_AT,
        trial: false,
    }
}

fn target() -> StatementId {
    StatementId([0x33; 32])
}

fn transfer() -> TransferId {
    TransferId([0x44; 16])
}

fn head() -> ChainHead {
    ChainHead([0x55; 32])
}

fn clock() -> When {
    When::Clock { start: UnixTime(1_794_960_000), end: UnixTime(1_794_973_800) }
}

fn attestation_full() -> Attestation {
    let text = |t: &str| Some(t.to_owned());
    Attestation {
        item: ItemId([0x66; 16]),
        recorder: Recorder {
            name: "苍山志愿服务队".into(),
            uscc: text("51532900MJ0000000X"),
            guided_by: text("大理州文明办"),
        },
        activity: Activity { id: text("DL-2026-0042"), name: "洱海保护宣传".into() },
        position: text("讲解员"),
        place: Place { text: "大理市才村码头".into(), division: Some(DivisionCode(532_901)) },
        content: "向游客讲解洱海保护条例".into(),
        categories: vec![
            Code { code: "08".into(), label: None },
            Code { code: String::new(), label: text("湖泊保护") },
        ],
        beneficiaries: vec![Code { code: "99".into(), label: text("游客") }],
        when: clock(),
        minutes: Minutes(230),
        stated: Some(Stated { value: 383, unit: StatedUnit::Hours, decimals: 2 }),
        parent: Some(target()),
        entry_way: EntryWay::TimeCode,
        grade: Grade::B,
        second_person: Some([0x77; 32]),
        off_duty: true,
        campaign: text("99公益"),
        profile: "yunnan".into(),
        profile_version: 3,
        recorded_at: UnixTime(1_794_980_000),
        in_charge: Some([0x88; 32]),
    }
}

fn attestation_least() -> Attestation {
    Attestation {
        recorder: Recorder { name: "队".into(), uscc: None, guided_by: None },
        activity: Activity { id: None, name: "扫雪".into() },
        position: None,
        place: Place { text: "香格里拉".into(), division: None },
        categories: vec![],
        beneficiaries: vec![],
        when: When::Day(Day(20_774)),
        minutes: Minutes(1),
        stated: None,
        parent: None,
        entry_way: EntryWay::Unstated,
        grade: Grade::X,
        second_person: None,
        off_duty: false,
        campaign: None,
        in_charge: None,
        ..attestation_full()
    }
}

fn consent() -> Consent {
    Consent {
        purpose: "transfer".into(),
        basis: "67号 Art. 6".into(),
        receiver: Some(Receiver {
            node: name("vol.yn.cn/530100"),
            name: "昆明志愿服务中心".into(),
            contact: "service desk".into(),
        }),
        method: "encrypted".into(),
        data_kinds: vec!["record".into(), "name".into()],
        given_by: ConsentGiver::Volunteer,
        expires: Some(UnixTime(1_797_592_000)),
    }
}

fn seal() -> Seal {
    Seal {
        epoch: 1,
        transfer: transfer(),
        head: head(),
        count: 42,
        minutes: Minutes(18_000),
        balance: Minutes(1_200),
        next: name("vol.yn.cn/530100"),
        authorisation: Authorisation::CodeHash([0x99; 32]),
        nullifier: [0xaa; 32],
    }
}

fn correction(full: bool) -> Correction {
    Correction {
        target: target(),
        reason: "time-wrong".into(),
        note: full.then(|| "签退时间有误".into()),
        when: full.then_some(When::Period { first: Day(20_770), last: Day(20_774) }),
        minutes: full.then_some(Minutes(200)),
        grade: full.then_some(Grade::C),
        content: full.then(|| "讲解".into()),
        place: full.then(|| Place { text: "才村".into(), division: None }),
    }
}

fn receipt(outcome: Outcome) -> Receipt {
    let accepted = outcome == Outcome::Accepted;
    Receipt {
        target: target(),
        outcome,
        reason: (!accepted).then(|| "cap-day".into()),
        sequence: accepted.then_some(7),
        state: accepted.then_some((2, 8, head())),
    }
}

/// Every statement kind, with the name its golden bytes have.
pub(crate) fn bodies() -> Vec<(&'static str, Body)> {
    let text = |t: &str| Some(t.to_owned());
    vec![
        ("attestation", Body::Attestation(Box::new(attestation_full()))),
        ("attestation-least", Body::Attestation(Box::new(attestation_least()))),
        (
            "training",
            Body::Training(Training {
                name: "急救基础".into(),
                content: "心肺复苏".into(),
                minutes: Minutes(120),
                host: "大理州红十字会".into(),
                when: When::Day(Day(20_700)),
                form: text("classroom"),
            }),
        ),
        ("correction", Body::Correction(correction(true))),
        ("correction-least", Body::Correction(correction(false))),
        (
            "award",
            Body::Award(Award {
                name: "三星志愿者".into(),
                day: Day(20_700),
                grantor: "大理州".into(),
                star: Some(3),
                evidence: text("DL-A-7"),
            }),
        ),
        (
            "void",
            Body::Void(VoidStatement {
                target: target(),
                reason: "not-volunteer-service".into(),
                note: text("有偿活动"),
            }),
        ),
        (
            "evaluation",
            Body::Evaluation(Evaluation { target: target(), scores: [5, 4, 3], day: Day(20_775) }),
        ),
        ("seal", Body::Seal(seal())),
        ("consent", Body::Consent(consent())),
        (
            "consent-least",
            Body::Consent(Consent {
                receiver: None,
                data_kinds: vec![],
                given_by: ConsentGiver::Unit,
                expires: None,
                ..consent()
            }),
        ),
        (
            "received",
            Body::Received(Received {
                epoch: 2,
                transfer: transfer(),
                seal: target(),
                from: name("vol.yn.cn/532900"),
                count: 43,
            }),
        ),
        ("receipt", Body::Receipt(receipt(Outcome::Accepted))),
        ("receipt-held", Body::Receipt(receipt(Outcome::Held))),
        ("link", Body::Link(Link { other: DossierId([0xbb; 16]), reason: "imported-twice".into() })),
        ("unlink", Body::Unlink(Unlink { link: target() })),
        (
            "redemption",
            Body::Redemption(Redemption { minutes: Minutes(600), item: "museum".into(), number: 1 }),
        ),
        (
            "reservation",
            Body::Reservation(Reservation { minutes: Minutes(600), item: "museum".into(), until: SIGNED_AT }),
        ),
        ("takeover", Body::Takeover(takeover(true))),
        ("takeover-least", Body::Takeover(takeover(false))),
    ]
}

/// A dossier as a file, and as the volunteer's own.
pub(crate) fn bundles() -> [(&'static str, Bundle); 2] {
    let key = DossierKey([0xdd; 32]);
    let dossier = key.dossier_id();
    let statements = vec![vec![0xd2; 8], vec![0xd2; 9]];
    let head = statements.iter().fold(empty_head(dossier), |head, s| next_head(head, id_of(s)));
    let plain = Bundle { dossier, head, statements, own: None };
    let own = Bundle { own: Some(Own { key, receipt: vec![0xd2; 10] }), ..plain.clone() };
    [("plain", plain), ("own", own)]
}

fn takeover(searched: bool) -> Takeover {
    Takeover {
        epoch: 1,
        transfer: transfer(),
        head: head(),
        count: 42,
        minutes: Minutes(18_000),
        balance: Minutes(17_400),
        from: name("vol.yn.cn/533400"),
        searched: searched.then(|| ("vol.yn.cn/533400/2".into(), 9_000)),
        nullifier: [0xab; 32],
        announced: UnixTime(SIGNED_AT.0 - 31 * 86_400),
        notice_ends: UnixTime(SIGNED_AT.0 - 86_400),
    }
}

pub(crate) fn card() -> Card {
    Card {
        name: name("vol.yn.cn/532900"),
        title_zh: "大理州".into(),
        title_en: "Dali".into(),
        division: DivisionCode(532_900),
        kind: NodeKind::Prefecture,
        keys: Role::ALL.into_iter().map(entry).collect(),
        addresses: vec!["/ip4/192.0.2.7/udp/4001/quic-v1".into()],
        contact: "service desk".into(),
        made_at: UnixTime(1_700_000_000),
        trial: false,
    }
}

pub(crate) fn signed_card() -> SignedCard {
    card().sign(&signer(Role::Statement)).expect("a key in memory signs")
}

/// A circle of trust that holds only the sample card.
pub(crate) fn trust() -> Members {
    let mut members = Members::default();
    members.insert(Member { card: signed_card(), removed_at: None });
    members
}

fn life() -> Life {
    Life { generation: 3, mark: [0xcc; 16] }
}

/// Every content of a message, with the name its golden bytes have.
pub(crate) fn contents() -> Vec<(&'static str, Content)> {
    let release = |profile, inclusion| Content::Release {
        seal: vec![0xd2; 8],
        key: DossierKey([0xdd; 32]),
        profile,
        inclusion,
    };
    vec![
        ("request", Content::Request { code: [0xee; 12] }),
        ("offer", Content::Offer { head: head(), count: 42, minutes: Minutes(18_000) }),
        ("refuse", Content::Refuse { reason: "code-wrong".into() }),
        ("pull", Content::Pull { from: 17 }),
        ("accept", Content::Accept { head: head(), count: 42 }),
        ("release", release(Some(vec![0x0f; 16]), None)),
        ("release-least", release(None, None)),
        ("release-witnessed", release(None, Some(b"c2sp.org/tlog-proof@v1\n".to_vec()))),
        ("done", Content::Done { count: 44, head: head() }),
        ("cancel", Content::Cancel { reason: "person-asked".into() }),
        ("deliver", Content::Deliver { statement: vec![0xd2; 8] }),
        ("recovering", Content::Recovering { since: SIGNED_AT, after: vec![0; 49] }),
        ("recovering-least", Content::Recovering { since: SIGNED_AT, after: vec![] }),
        (
            "known",
            Content::Known {
                after: vec![0; 49],
                items: vec![vec![0xd2; 8], vec![0xd2; 9]],
                next: Some(vec![1; 49]),
            },
        ),
        (
            "notice",
            Content::Notice {
                old: name("vol.yn.cn/533400"),
                head: head(),
                count: 42,
                ends: UnixTime(SIGNED_AT.0 + 30 * 86_400),
            },
        ),
        ("known-least", Content::Known { after: vec![], items: vec![], next: None }),
        ("rejoin", Content::Rejoin { since: 2 }),
        ("vouch", Content::Vouch { roster: 7, logs: vec![b"vol.yn.cn/532900/2\n".to_vec(); 2] }),
        ("vouch-least", Content::Vouch { roster: 0, logs: vec![] }),
    ]
}

pub(crate) fn message(content: Content) -> Message {
    let delivery = matches!(content, Content::Deliver { .. });
    Message {
        from: name("vol.yn.cn/532900"),
        to: name("vol.yn.cn/530100"),
        dossier: DossierId([0x11; 16]),
        epoch: 1,
        transfer: if delivery { TransferId([0; 16]) } else { transfer() },
        life: life(),
        at: SIGNED_AT,
        trial: false,
        content,
    }
}

fn hello() -> Hello {
    Hello { card: vec![0xd2; 8], life: life(), version: 1, clock: SIGNED_AT.0, roster: 0 }
}

fn pairing(yours: Option<Vec<u8>>) -> Pairing {
    Pairing { card: vec![0xd2; 8], mine: vec![0xd3; 8], yours }
}

/// A half of the pairing record of the sample office with itself.
pub(crate) fn half() -> Half {
    Half {
        by: name("vol.yn.cn/532900"),
        with: name("vol.yn.cn/532900"),
        fingerprint: signed_card().fingerprint(),
        since: SIGNED_AT,
        trial: false,
    }
}

/// Every request frame, with the name its golden bytes have.
pub(crate) fn frames() -> Vec<(&'static str, Frame)> {
    vec![
        ("frame-message", Frame::Message(vec![0xd2; 8])),
        ("frame-hello", Frame::Hello(hello())),
        ("frame-changes", Frame::Changes { dossier: DossierId([0x11; 16]), shown: target() }),
        ("frame-pairing", Frame::Pairing(pairing(Some(vec![0xd4; 8])))),
        ("frame-pairing-first", Frame::Pairing(pairing(None))),
        ("frame-log-file", Frame::LogFile { generation: 2, path: "tile/0/x001/234.p/5".into(), of: None }),
        (
            "frame-log-file-mirrored",
            Frame::LogFile {
                generation: 2,
                path: "tile/entries/001".into(),
                of: Some(name("vol.yn.cn/532900")),
            },
        ),
        ("frame-add-checkpoint", Frame::AddCheckpoint(b"old 0\n\n".to_vec())),
        ("frame-status", Frame::Status(status_ask(Some((place(), target()))))),
        ("frame-status-lists", Frame::Status(status_ask(None))),
        ("frame-hello-roster", Frame::Hello(Hello { roster: 7, ..hello() })),
        ("frame-roster", Frame::Roster { have: 3 }),
        ("frame-checkpoint", Frame::Checkpoint(b"vol.yn.cn/530100/1\n".to_vec())),
        ("frame-inclusions", Frame::Inclusions(vec![target(); 2])),
        ("frame-evidence", Frame::Evidence([0x33; 32])),
    ]
}

fn place() -> StatusRef {
    StatusRef { index: 1_041_465, uri: "https://vol.yn.cn/532900/s/7".into() }
}

fn status_ask(shown: Option<(StatusRef, StatementId)>) -> StatusAsk {
    let have = if shown.is_some() { vec![] } else { vec![(place().uri, SIGNED_AT)] };
    StatusAsk { issuer: name("vol.yn.cn/532900"), have, shown }
}

fn status_answer() -> StatusAnswer {
    let moved = Some((SIGNED_AT, name("vol.yn.cn/530100")));
    StatusAnswer { tokens: vec![vec![0xd2; 8]; 2], moved }
}

/// Every answer frame, with the name its golden bytes have.
pub(crate) fn answers() -> Vec<(&'static str, Answer)> {
    vec![
        ("answer-ok", Answer::Ok),
        ("answer-receipt", Answer::Receipt(vec![0xd2; 8])),
        ("answer-moved", Answer::Moved { to: name("vol.yn.cn/530100"), seals: vec![vec![0xd2; 8]; 2] }),
        ("answer-refused", Answer::Refused("peer-unknown".into())),
        ("answer-stale", Answer::Stale { seen: life() }),
        ("answer-busy", Answer::Busy),
        ("answer-hello", Answer::Hello(hello())),
        ("answer-changes", Answer::Changes(vec![vec![0xd2; 8]; 2])),
        ("answer-changes-none", Answer::Changes(vec![])),
        ("answer-pairing", Answer::Pairing(vec![0xd3; 8])),
        ("answer-log-file", Answer::LogFile(vec![0xd5; 8])),
        ("answer-witnessed", Answer::Witnessed { status: 409, body: b"7\n".to_vec() }),
        ("answer-status", Answer::Status(status_answer())),
        ("answer-status-none", Answer::Status(StatusAnswer::default())),
        ("answer-hello-roster", Answer::Hello(Hello { roster: 7, ..hello() })),
        ("answer-roster", Answer::Roster(vec![vec![0xd8, 0x62], vec![0xd8, 0x62, 0x84]])),
        ("answer-roster-none", Answer::Roster(vec![])),
        ("answer-inclusions", Answer::Inclusions(vec![b"c2sp.org/tlog-proof@v1\n".to_vec(), vec![]])),
        ("answer-evidence", Answer::Evidence(vec![0xa2; 8])),
    ]
}

/// A steward of the sample rosters.
pub(crate) fn steward(n: u8) -> SoftSigner {
    SoftSigner::from_seed(&[0xa0 + n; 32])
}

/// Another office than the one of the sample card, with keys of its own.
fn second_card() -> SignedCard {
    let key = |role: Role| SoftSigner::from_seed(&[0x40 + role as u8; 32]);
    let entry = |role| KeyEntry::new(role, key(role).public(), UnixTime(1_700_000_000), None);
    let keys = Role::ALL.into_iter().map(|role| entry(role).expect("a key made from a seed is sound"));
    let card = Card { name: name("vol.yn.cn/530100"), keys: keys.collect(), ..card() };
    card.sign(&key(Role::Statement)).expect("a key in memory signs")
}

/// Version 1 without anything that may be left out, and version 2 with everything.
pub(crate) fn rosters() -> [SignedRoster; 2] {
    let mut stewards: Vec<Steward> = (1..=3)
        .map(|n| Steward::new(format!("管理方{n}"), steward(n).public()))
        .collect::<Result<_, _>>()
        .expect("a key made from a seed is sound");
    stewards.sort_by_key(|s| *s.public());
    let sign = |roster: &Roster| {
        let mut signed = SignedRoster::draft(roster).expect("the sample keeps the rules");
        for n in [1, 2] {
            signed.sign(&steward(n)).expect("a key in memory signs");
        }
        signed
    };
    let joined = UnixTime(1_700_000_000);
    let one = Roster {
        version: 1,
        previous: None,
        issued: joined,
        expires: UnixTime(joined.0 + 400 * 86_400),
        threshold: 2,
        stewards,
        nodes: vec![],
        trial: false,
    };
    let one = sign(&one);
    let mut kunming = RosterNode::joining(second_card(), joined);
    let checkpoint = LastCheckpoint { origin: "vol.yn.cn/530100/1".into(), size: 42, root: [0x5a; 32] };
    let by = name("vol.yn.cn/532900");
    let entry = |state, days: i64| StateEntry { state, from: UnixTime(joined.0 + days * 86_400) };
    kunming.states.extend([
        entry(State::Suspended, 10),
        entry(State::Active, 20),
        entry(State::Withdrawn, 30),
        entry(State::Succeeded { by, checkpoint: Some(checkpoint) }, 40),
    ]);
    kunming.compromised = vec![(kunming.keys()[2].public, UnixTime(joined.0 + 5))];
    let mut dali = RosterNode::joining(signed_card(), joined);
    dali.page = Some("https://vol.yn.example/dali".into());
    let witnesses = vec![name("vol.yn.cn/530100")];
    dali.log = Some(LogPolicy { name: "yunnan-1".into(), witnesses, k: 1 });
    let two = Roster {
        version: 2,
        previous: Some(one.hash()),
        issued: UnixTime(joined.0 + 86_400),
        nodes: vec![Arc::new(kunming), Arc::new(dali)],
        ..one.roster().clone()
    };
    let two = sign(&two);
    [one, two]
}

/// Since when the keys of the golden change may have been in other hands.
pub(crate) const STOLEN_AT: UnixTime = UnixTime(SIGNED_AT.0 - 7 * 86_400);

pub(crate) fn key_change() -> KeyChange {
    KeyChange {
        node: name("vol.yn.cn/532900"),
        card: signed_card(),
        at: SIGNED_AT,
        trial: false,
        compromised_from: None,
    }
}

/// Every shape of a printed proof, with the name its golden text has.
pub(crate) fn proofs() -> Vec<(&'static str, Claims)> {
    let with_name = Claims {
        issuer: name("vol.yn.cn/532900"),
        subject: [0xf0; 16],
        issued: SIGNED_AT,
        expires: UnixTime(SIGNED_AT.0 + 365 * 86_400),
        full_name: Some("试样甲乙丙".into()),
        amount: Amount::AtLeast(Minutes(18_000)),
        days: Some((Day(19_358), Day(20_780))),
        epoch: 2,
        recorders: vec![],
        number: None,
        trial: false,
        status: None,
    };
    let blind = Claims { full_name: None, ..with_name.clone() };
    let full = Claims {
        amount: Amount::Exact(Minutes(17_250)),
        recorders: vec![
            (name("vol.yn.cn/530100"), Some(Minutes(250))),
            (name("vol.yn.cn/532900"), Some(Minutes(17_000))),
        ],
        number: Some("DL2026-000042".into()),
        trial: true,
        ..with_name.clone()
    };
    // The largest a printed code must hold: six characters of name, a far place, the longest address.
    let status =
        Claims { full_name: Some("试样甲乙丙丁".into()), status: Some(place()), ..with_name.clone() };
    vec![("p1", with_name), ("p1-blind", blind), ("p1-full", full), ("p1-status", status)]
}

/// The cover of a courier file; length and hash are filled in when it is written.
pub(crate) fn courier_cover() -> Cover {
    Cover {
        from: name("vol.yn.cn/532900"),
        to: name("vol.yn.cn/530100"),
        life: Life { generation: 2, mark: [0x77; 16] },
        number: 3,
        at: SIGNED_AT,
        trial: false,
        bytes: 0,
        hash: [0; 32],
    }
}

/// An item of each kind.
pub(crate) fn courier_items() -> Vec<Item> {
    let part = |from, statements| Item::Part { transfer: transfer(), from, statements };
    vec![
        Item::Request(vec![0xd2; 40]),
        Item::Answer { to: [0x22; 32], answer: vec![0x81, 0x01] },
        Item::Pull(vec![0xd2; 50]),
        part(9, vec![vec![0xd2; 130], vec![0xd2; 140]]),
        part(11, vec![]),
    ]
}
