//! Bodies as CBOR fields, from label 10 on: what is put is exactly what is taken.

use super::{
    Authorisation, Award, Body, Consent, ConsentGiver, Correction, Evaluation, Link, Outcome, Receipt,
    Received, Receiver, Redemption, Reservation, Seal, Takeover, Training, Unlink, VoidStatement,
};
use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::day::{Day, UnixTime};
use crate::id::{ChainHead, DossierId, StatementId, TransferId};
use crate::minutes::Minutes;
use crate::name::node_name;
use crate::statement::attestation::{Attestation, Grade, LONG_TEXT_BYTES_MAX, SHORT_TEXT_BYTES_MAX, When};

/// Most kinds of data one consent may name.
const DATA_KINDS_MAX: usize = 16;

impl Body {
    pub(in crate::statement) fn put(&self, map: MapBuilder) -> MapBuilder {
        let text = |t: &String| cbor::text(t.as_str());
        let opt = |t: &Option<String>| t.as_ref().map(|t| cbor::text(t.as_str()));
        match self {
            Body::Attestation(a) => a.put(map),
            Body::Training(t) => map
                .put(10, text(&t.name))
                .put(11, text(&t.content))
                .put(12, cbor::int(t.minutes.0))
                .put(13, text(&t.host))
                .put(14, t.when.to_value())
                .put_opt(15, opt(&t.form)),
            Body::Correction(c) => map
                .put(10, cbor::bytes(c.target.0))
                .put(11, text(&c.reason))
                .put_opt(12, opt(&c.note))
                .put_opt(13, c.when.map(When::to_value))
                .put_opt(14, c.minutes.map(|m| cbor::int(m.0)))
                .put_opt(15, c.grade.map(|g| cbor::int(g as u64)))
                .put_opt(16, opt(&c.content))
                .put_opt(17, c.place.as_ref().map(crate::statement::attestation::place_to_value)),
            Body::Award(a) => map
                .put(10, text(&a.name))
                .put(11, cbor::int(a.day.0))
                .put(12, text(&a.grantor))
                .put_opt(13, a.star.map(cbor::int))
                .put_opt(14, opt(&a.evidence)),
            Body::Void(v) => {
                map.put(10, cbor::bytes(v.target.0)).put(11, text(&v.reason)).put_opt(12, opt(&v.note))
            }
            Body::Evaluation(e) => map
                .put(10, cbor::bytes(e.target.0))
                .put(11, Value::Array(e.scores.iter().map(|s| cbor::int(*s)).collect()))
                .put(12, cbor::int(e.day.0)),
            Body::Seal(s) => put_seal(s, map),
            Body::Consent(c) => put_consent(c, map),
            Body::Received(r) => map
                .put(10, cbor::int(r.epoch))
                .put(11, cbor::bytes(r.transfer.0))
                .put(12, cbor::bytes(r.seal.0))
                .put(13, cbor::text(r.from.as_str()))
                .put(14, cbor::int(r.count)),
            Body::Receipt(r) => map
                .put(10, cbor::bytes(r.target.0))
                .put(11, cbor::int(r.outcome as u64))
                .put_opt(12, opt(&r.reason))
                .put_opt(13, r.sequence.map(cbor::int))
                .put_opt(
                    14,
                    r.state.map(|(e, l, h)| Value::Array(vec![cbor::int(e), cbor::int(l), cbor::bytes(h.0)])),
                ),
            Body::Link(l) => map.put(10, cbor::bytes(l.other.0)).put(11, text(&l.reason)),
            Body::Unlink(u) => map.put(10, cbor::bytes(u.link.0)),
            Body::Redemption(r) => {
                map.put(10, cbor::int(r.minutes.0)).put(11, text(&r.item)).put(12, cbor::int(r.number))
            }
            Body::Reservation(r) => {
                map.put(10, cbor::int(r.minutes.0)).put(11, text(&r.item)).put(12, cbor::int(r.until.0))
            }
            Body::Takeover(t) => put_takeover(t, map),
            Body::Unknown { .. } => map,
        }
    }

    pub(in crate::statement) fn take(kind: u64, f: &mut Fields) -> Result<Self, CborError> {
        let short = SHORT_TEXT_BYTES_MAX;
        Ok(match kind {
            1 => Body::Attestation(Box::new(Attestation::take(f)?)),
            2 => Body::Training(Training {
                name: f.text(10, short)?,
                content: f.text(11, LONG_TEXT_BYTES_MAX)?,
                minutes: Minutes(f.uint(12)?),
                host: f.text(13, short)?,
                when: When::from_value(f.need(14)?, 14)?,
                form: f.opt_text(15, short)?,
            }),
            3 => Body::Correction(take_correction(f)?),
            4 => Body::Award(Award {
                name: f.text(10, short)?,
                day: day(f, 11)?,
                grantor: f.text(12, short)?,
                star: f.opt_uint(13)?.map(|s| in_range(s, 1, 5, 13)).transpose()?,
                evidence: f.opt_text(14, short)?,
            }),
            5 => Body::Void(VoidStatement {
                target: StatementId(f.array(10)?),
                reason: f.text(11, short)?,
                note: f.opt_text(12, LONG_TEXT_BYTES_MAX)?,
            }),
            6 => Body::Evaluation(take_evaluation(f)?),
            7 => Body::Seal(take_seal(f)?),
            8 => Body::Consent(take_consent(f)?),
            9 => Body::Received(Received {
                epoch: f.uint(10)?,
                transfer: TransferId(f.array(11)?),
                seal: StatementId(f.array(12)?),
                from: node_name(f, 13)?,
                count: f.uint(14)?,
            }),
            10 => Body::Receipt(take_receipt(f)?),
            11 => Body::Link(Link { other: DossierId(f.array(10)?), reason: f.text(11, short)? }),
            13 => Body::Unlink(Unlink { link: StatementId(f.array(10)?) }),
            15 => Body::Redemption(Redemption {
                minutes: Minutes(f.uint(10)?),
                item: f.text(11, short)?,
                number: f.uint(12)?,
            }),
            17 => Body::Reservation(Reservation {
                minutes: Minutes(f.uint(10)?),
                item: f.text(11, short)?,
                until: UnixTime(f.int(12)?),
            }),
            19 => Body::Takeover(take_takeover(f)?),
            _ => return Err(CborError::WrongType(1)),
        })
    }
}

fn in_range(n: u64, low: u64, high: u64, label: i64) -> Result<u64, CborError> {
    if (low..=high).contains(&n) { Ok(n) } else { Err(CborError::WrongType(label)) }
}

fn day(f: &mut Fields, label: i64) -> Result<Day, CborError> {
    i32::try_from(f.int(label)?).map(Day).map_err(|_| CborError::WrongType(label))
}

fn take_correction(f: &mut Fields) -> Result<Correction, CborError> {
    let grade = f.opt_uint(15)?;
    let grade =
        grade.map(|n| Grade::ALL.into_iter().find(|g| *g as u64 == n).ok_or(CborError::WrongType(15)));
    Ok(Correction {
        target: StatementId(f.array(10)?),
        reason: f.text(11, SHORT_TEXT_BYTES_MAX)?,
        note: f.opt_text(12, LONG_TEXT_BYTES_MAX)?,
        when: f.opt(13).map(|v| When::from_value(v, 13)).transpose()?,
        minutes: f.opt_uint(14)?.map(Minutes),
        grade: grade.transpose()?,
        content: f.opt_text(16, LONG_TEXT_BYTES_MAX)?,
        place: f.opt(17).map(crate::statement::attestation::place_from).transpose()?,
    })
}

fn take_evaluation(f: &mut Fields) -> Result<Evaluation, CborError> {
    let target = StatementId(f.array(10)?);
    let scores = f.list(11, 3)?;
    let scores: Vec<u64> =
        scores.iter().map(|v| in_range(cbor::as_uint(v, 11)?, 1, 5, 11)).collect::<Result<_, _>>()?;
    let scores = scores.try_into().map_err(|_| CborError::WrongType(11))?;
    Ok(Evaluation { target, scores, day: day(f, 12)? })
}

fn put_seal(s: &Seal, map: MapBuilder) -> MapBuilder {
    let Authorisation::CodeHash(hash) = &s.authorisation;
    map.put(10, cbor::int(s.epoch))
        .put(11, cbor::bytes(s.transfer.0))
        .put(12, cbor::bytes(s.head.0))
        .put(13, cbor::int(s.count))
        .put(14, cbor::int(s.minutes.0))
        .put(15, cbor::int(s.balance.0))
        .put(16, cbor::text(s.next.as_str()))
        .put(17, Value::Array(vec![cbor::int(1), cbor::bytes(*hash)]))
        .put(18, cbor::bytes(s.nullifier))
}

fn take_seal(f: &mut Fields) -> Result<Seal, CborError> {
    let authorisation = match f.need(17)? {
        Value::Array(items) => match <[Value; 2]>::try_from(items) {
            Ok([Value::Integer(1), hash]) => Authorisation::CodeHash(cbor::as_array(hash, 17)?),
            _ => return Err(CborError::WrongType(17)),
        },
        _ => return Err(CborError::WrongType(17)),
    };
    Ok(Seal {
        epoch: f.uint(10)?,
        transfer: TransferId(f.array(11)?),
        head: ChainHead(f.array(12)?),
        count: f.uint(13)?,
        minutes: Minutes(f.uint(14)?),
        balance: Minutes(f.uint(15)?),
        next: node_name(f, 16)?,
        authorisation,
        nullifier: f.array(18)?,
    })
}

fn put_takeover(t: &Takeover, map: MapBuilder) -> MapBuilder {
    let searched = t.searched.as_ref();
    let searched = searched.map(|(o, size)| Value::Array(vec![cbor::text(o.as_str()), cbor::int(*size)]));
    map.put(10, cbor::int(t.epoch))
        .put(11, cbor::bytes(t.transfer.0))
        .put(12, cbor::bytes(t.head.0))
        .put(13, cbor::int(t.count))
        .put(14, cbor::int(t.minutes.0))
        .put(15, cbor::int(t.balance.0))
        .put(16, cbor::text(t.from.as_str()))
        .put_opt(17, searched)
        .put(18, cbor::bytes(t.nullifier))
        .put(19, cbor::int(t.announced.0))
        .put(20, cbor::int(t.notice_ends.0))
}

fn take_takeover(f: &mut Fields) -> Result<Takeover, CborError> {
    let searched = |value: Value| -> Result<(String, u64), CborError> {
        let Value::Array(items) = value else { return Err(CborError::WrongType(17)) };
        let [origin, size]: [Value; 2] = items.try_into().map_err(|_| CborError::WrongType(17))?;
        Ok((cbor::as_text(origin, 17, SHORT_TEXT_BYTES_MAX)?, cbor::as_uint(&size, 17)?))
    };
    Ok(Takeover {
        epoch: f.uint(10)?,
        transfer: TransferId(f.array(11)?),
        head: ChainHead(f.array(12)?),
        count: f.uint(13)?,
        minutes: Minutes(f.uint(14)?),
        balance: Minutes(f.uint(15)?),
        from: node_name(f, 16)?,
        searched: f.opt(17).map(searched).transpose()?,
        nullifier: f.array(18)?,
        announced: UnixTime(f.int(19)?),
        notice_ends: UnixTime(f.int(20)?),
    })
}

fn put_consent(c: &Consent, map: MapBuilder) -> MapBuilder {
    let receiver = c.receiver.as_ref().map(|r| {
        MapBuilder::new()
            .put(1, cbor::text(r.node.as_str()))
            .put(2, cbor::text(r.name.as_str()))
            .put(3, cbor::text(r.contact.as_str()))
            .build()
    });
    let kinds = c.data_kinds.iter().map(|k| cbor::text(k.as_str())).collect::<Vec<_>>();
    map.put(10, cbor::text(c.purpose.as_str()))
        .put(11, cbor::text(c.basis.as_str()))
        .put_opt(12, receiver)
        .put(13, cbor::text(c.method.as_str()))
        .put_opt(14, (!kinds.is_empty()).then_some(Value::Array(kinds)))
        .put(15, cbor::int(c.given_by as u64))
        .put_opt(16, c.expires.map(|t| cbor::int(t.0)))
}

fn take_consent(f: &mut Fields) -> Result<Consent, CborError> {
    let receiver = |value: Value| -> Result<Receiver, CborError> {
        let mut r = Fields::open(value)?;
        let receiver = Receiver {
            node: node_name(&mut r, 1)?,
            name: r.text(2, SHORT_TEXT_BYTES_MAX)?,
            contact: r.text(3, SHORT_TEXT_BYTES_MAX)?,
        };
        r.finish()?;
        Ok(receiver)
    };
    let given_by = match f.uint(15)? {
        1 => ConsentGiver::Volunteer,
        2 => ConsentGiver::Guardian,
        3 => ConsentGiver::Unit,
        _ => return Err(CborError::WrongType(15)),
    };
    Ok(Consent {
        purpose: f.text(10, SHORT_TEXT_BYTES_MAX)?,
        basis: f.text(11, SHORT_TEXT_BYTES_MAX)?,
        receiver: f.opt(12).map(receiver).transpose()?,
        method: f.text(13, SHORT_TEXT_BYTES_MAX)?,
        data_kinds: f
            .list(14, DATA_KINDS_MAX)?
            .into_iter()
            .map(|v| cbor::as_text(v, 14, SHORT_TEXT_BYTES_MAX))
            .collect::<Result<_, _>>()?,
        given_by,
        expires: f.opt_int(16)?.map(UnixTime),
    })
}

fn take_receipt(f: &mut Fields) -> Result<Receipt, CborError> {
    let outcome = match f.uint(11)? {
        1 => Outcome::Accepted,
        2 => Outcome::Held,
        3 => Outcome::Refused,
        _ => return Err(CborError::WrongType(11)),
    };
    let state = |value: Value| -> Result<(u64, u64, ChainHead), CborError> {
        let Value::Array(items) = value else { return Err(CborError::WrongType(14)) };
        let [epoch, length, head]: [Value; 3] = items.try_into().map_err(|_| CborError::WrongType(14))?;
        Ok((cbor::as_uint(&epoch, 14)?, cbor::as_uint(&length, 14)?, ChainHead(cbor::as_array(head, 14)?)))
    };
    Ok(Receipt {
        target: StatementId(f.array(10)?),
        outcome,
        reason: f.opt_text(12, SHORT_TEXT_BYTES_MAX)?,
        sequence: f.opt_uint(13)?,
        state: f.opt(14).map(state).transpose()?,
    })
}
