//! What the operators type: services, consents, changes. Nobody here is real.

use yunling_protocol::day::UnixTime;
use yunling_protocol::id::{ItemId, StatementId};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::statement::{
    Activity, Attestation, Consent, ConsentGiver, Correction, EntryWay, Grade, Place, Receiver, Recorder,
    VoidStatement, When,
};

use crate::model::Said;
use crate::node::BEGIN;

/// Minute 0 of the line of all minutes: 2024-01-01, 09:00 at UTC+8.
const LINE_BEGIN: i64 = 1_704_070_800;
/// Every service with this remainder of its number is of grade C, which a person must take.
const HELD_EVERY: u64 = 6;

/// A service as the model knows it, as the form of an office. Anything else gives an empty one.
pub fn service(said: &Said) -> Attestation {
    let (item, start, minutes) = match *said {
        Said::Hour { item, start, minutes } => (item, start, minutes),
        _ => (0, 0, 0),
    };
    let start = UnixTime(LINE_BEGIN + start as i64 * 60);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&item.to_be_bytes());
    Attestation {
        item: ItemId(bytes),
        recorder: Recorder { name: "翠湖社区服务队".into(), uscc: None, guided_by: None },
        activity: Activity { id: None, name: "为老服务".into() },
        position: None,
        place: Place { text: "翠湖社区".into(), division: None },
        content: "陪护".into(),
        categories: Vec::new(),
        beneficiaries: Vec::new(),
        when: When::Clock { start, end: UnixTime(start.0 + minutes as i64 * 60) },
        minutes: Minutes(minutes),
        stated: None,
        parent: None,
        entry_way: EntryWay::TimeCode,
        grade: if item % HELD_EVERY == HELD_EVERY - 1 { Grade::C } else { Grade::A },
        second_person: None,
        off_duty: true,
        campaign: None,
        profile: "yunnan".into(),
        profile_version: 1,
        recorded_at: BEGIN,
        in_charge: None,
    }
}

/// The consent that begins a dossier.
pub fn consent() -> Consent {
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
pub fn consent_to(receiver: &NodeName) -> Consent {
    let receiver =
        Receiver { node: receiver.clone(), name: "志愿者协会".into(), contact: "窗口".into() };
    Consent {
        purpose: "转移接续".into(),
        receiver: Some(receiver),
        data_kinds: vec!["服务".into()],
        ..consent()
    }
}

/// Other minutes for a service.
pub fn correction(target: StatementId, minutes: u64) -> Correction {
    Correction {
        target,
        reason: "typing-error".into(),
        note: None,
        when: None,
        minutes: Some(Minutes(minutes)),
        grade: None,
        content: None,
        place: None,
    }
}

/// A service withdrawn.
pub fn void(target: StatementId) -> VoidStatement {
    VoidStatement { target, reason: "not-volunteer-service".into(), note: None }
}
