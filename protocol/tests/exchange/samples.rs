//! What the offices of the tests record: services, consents, dates. Nobody here is real.

use yunling_protocol::custody::authorisation::{code_text, parse_code};
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::{ItemId, StatementId};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::statement::{
    Activity, Attestation, Consent, ConsentGiver, EntryWay, Grade, Place, Receiver, Recorder, VoidStatement,
    When,
};

/// When every world begins: 2026-11-18, 20:26:40 at UTC+8.
pub(crate) const BEGIN: UnixTime = UnixTime(1_795_004_800);

/// A node name.
pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("a sample name is well formed")
}

/// Clock times of `minutes` from a local moment on.
pub(crate) fn clock(date: (i32, u32, u32), hour: u32, minute: u32, minutes: u64) -> When {
    let start = UnixTime::from_local(date.0, date.1, date.2, hour, minute, 0).expect("a real moment");
    When::Clock { start, end: UnixTime(start.0 + minutes as i64 * 60) }
}

/// A service of grade A; equal numbers are the same record of an issuer.
pub(crate) fn service(number: u64, when: When, minutes: u64) -> Attestation {
    let mut item = [0; 16];
    item[..8].copy_from_slice(&number.to_be_bytes());
    Attestation {
        item: ItemId(item),
        recorder: Recorder { name: "翠湖社区服务队".into(), uscc: None, guided_by: None },
        activity: Activity { id: None, name: "为老服务".into() },
        position: Some("陪护".into()),
        place: Place { text: "翠湖社区".into(), division: None },
        content: "陪老人看病".into(),
        categories: Vec::new(),
        beneficiaries: Vec::new(),
        when,
        minutes: Minutes(minutes),
        stated: None,
        parent: None,
        entry_way: EntryWay::TimeCode,
        grade: Grade::A,
        second_person: None,
        off_duty: true,
        campaign: None,
        profile: "yunnan".into(),
        profile_version: 1,
        recorded_at: BEGIN,
        in_charge: None,
    }
}

/// The `number`-th service of a series that never overlaps: one a day, from 2024-01-01 09:00 on.
pub(crate) fn daily(number: u64, minutes: u64) -> Attestation {
    let first = UnixTime::from_local(2024, 1, 1, 9, 0, 0).expect("a real moment");
    let start = UnixTime(first.0 + number as i64 * 86_400);
    service(number, When::Clock { start, end: UnixTime(start.0 + minutes as i64 * 60) }, minutes)
}

/// The consent that begins a dossier.
pub(crate) fn consent() -> Consent {
    Consent {
        purpose: "志愿服务记录".into(),
        basis: "67号 Art. 6".into(),
        receiver: None,
        method: "在线".into(),
        data_kinds: Vec::new(),
        given_by: ConsentGiver::Volunteer,
        expires: None,
    }
}

/// The consent to a move: the five items of PIPL Art. 23.
pub(crate) fn consent_to(receiver: &NodeName) -> Consent {
    Consent {
        purpose: "转移接续".into(),
        receiver: Some(Receiver {
            node: receiver.clone(),
            name: "志愿者协会".into(),
            contact: "窗口".into(),
        }),
        data_kinds: vec!["服务".into(), "培训".into(), "表彰".into()],
        ..consent()
    }
}

/// A void with the reason of S6.
pub(crate) fn duty_task(target: StatementId) -> VoidStatement {
    VoidStatement { target, reason: "not-volunteer-service".into(), note: None }
}

/// The same slip with another code on it.
pub(crate) fn wrong_slip(slip: &str, change: u8) -> String {
    let (dossier, mut code) = parse_code(slip).expect("a slip made here");
    code[0] ^= change;
    code_text(dossier, &code)
}

/// Seeded random numbers (SplitMix64); the same seed replays the same run.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}
