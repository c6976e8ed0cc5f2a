//! The attestation: this person served these minutes, recorded by this unit (67号 Art. 7).
//!
//! Holds no name, ID number or contact of a person; the person in charge is a salted commitment
//! (the name stays in the register of the issuer).

use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::day::{Day, UnixTime};
use crate::division::DivisionCode;
use crate::id::{ItemId, StatementId};
use crate::minutes::{Minutes, Stated, StatedUnit};

/// Longest short text (names, codes) in bytes: about 80 Chinese characters.
pub const SHORT_TEXT_BYTES_MAX: usize = 256;
/// Longest free text (service content) in bytes: about 680 Chinese characters.
pub const LONG_TEXT_BYTES_MAX: usize = 2048;
/// Most category or beneficiary codes on one attestation (the national system allows 4).
pub const CODES_MAX: usize = 16;

/// How an hour was evidenced (DOMAIN c-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Device check-in and check-out on site, countersigned.
    A = 1,
    /// Check-in/out or time code.
    B = 2,
    /// Group entry on the day by a leader, second person approves.
    C = 3,
    /// Individual application approved by the group.
    D = 4,
    /// Back-entry with paper proof.
    E = 5,
    /// Unknown: foreign, no data.
    X = 6,
}

impl Grade {
    /// Every grade, best first.
    pub const ALL: [Grade; 6] = [Grade::A, Grade::B, Grade::C, Grade::D, Grade::E, Grade::X];

    /// The letter.
    pub fn letter(self) -> &'static str {
        match self {
            Grade::A => "A",
            Grade::B => "B",
            Grade::C => "C",
            Grade::D => "D",
            Grade::E => "E",
            Grade::X => "X",
        }
    }

    /// From its letter.
    pub fn from_letter(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|g| g.letter().eq_ignore_ascii_case(text.trim()))
    }

    fn from_number(n: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|g| *g as u64 == n)
    }
}

/// How the hours came into the books (DOMAIN c-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryWay {
    /// 团体录入
    Group = 1,
    /// 个人申报
    Individual = 2,
    /// 时长码
    TimeCode = 3,
    /// APP计时
    App = 4,
    /// 自动计时
    Automatic = 5,
    /// 补录
    BackEntry = 6,
    /// Not said by the source.
    Unstated = 7,
}

impl EntryWay {
    const ALL: [EntryWay; 7] = [
        EntryWay::Group,
        EntryWay::Individual,
        EntryWay::TimeCode,
        EntryWay::App,
        EntryWay::Automatic,
        EntryWay::BackEntry,
        EntryWay::Unstated,
    ];

    fn from_number(n: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|w| *w as u64 == n)
    }
}

/// When the service took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Clock times, end exclusive.
    Clock {
        /// First second.
        start: UnixTime,
        /// First second after.
        end: UnixTime,
    },
    /// A day without clock times: counted without an overlap check, and shown so.
    Day(Day),
    /// Several days without clock times, both inclusive.
    Period {
        /// First day.
        first: Day,
        /// Last day.
        last: Day,
    },
}

impl When {
    /// First civil day.
    pub fn first_day(&self) -> Day {
        match self {
            When::Clock { start, .. } => start.day(),
            When::Day(day) => *day,
            When::Period { first, .. } => *first,
        }
    }

    /// Last civil day; a service that ends at midnight belongs to the day before.
    pub fn last_day(&self) -> Day {
        match self {
            When::Clock { end, .. } => UnixTime(end.0 - 1).day(),
            When::Day(day) => *day,
            When::Period { last, .. } => *last,
        }
    }

    /// CBOR form: `[1, start, end]`, `[2, day]` or `[3, first, last]`.
    pub fn to_value(self) -> Value {
        let items = match self {
            When::Clock { start, end } => vec![cbor::int(1), cbor::int(start.0), cbor::int(end.0)],
            When::Day(day) => vec![cbor::int(2), cbor::int(day.0)],
            When::Period { first, last } => vec![cbor::int(3), cbor::int(first.0), cbor::int(last.0)],
        };
        Value::Array(items)
    }

    /// From the CBOR form of field `label`.
    pub fn from_value(value: Value, label: i64) -> Result<Self, CborError> {
        let wrong = CborError::WrongType(label);
        let Value::Array(items) = value else { return Err(wrong) };
        let day = |v: &Value| {
            i32::try_from(cbor::as_int(v, label)?).map(Day).map_err(|_| CborError::WrongType(label))
        };
        let when = match items.as_slice() {
            [Value::Integer(1), start, end] => When::Clock {
                start: UnixTime(cbor::as_int(start, label)?),
                end: UnixTime(cbor::as_int(end, label)?),
            },
            [Value::Integer(2), one] => When::Day(day(one)?),
            [Value::Integer(3), first, last] => When::Period { first: day(first)?, last: day(last)? },
            _ => return Err(wrong),
        };
        let ordered = match when {
            When::Clock { start, end } => start < end,
            When::Day(_) => true,
            When::Period { first, last } => first <= last,
        };
        if ordered { Ok(when) } else { Err(wrong) }
    }
}

/// The unit that organized and recorded; never replaced by another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recorder {
    /// Name as registered.
    pub name: String,
    /// Unified social credit code, for a registered unit.
    pub uscc: Option<String>,
    /// Unit that guides an unregistered team (67号 Art. 26).
    pub guided_by: Option<String>,
}

/// The activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Number in the issuer's register.
    pub id: Option<String>,
    /// Name.
    pub name: String,
}

/// Where the service took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Free text.
    pub text: String,
    /// Division code.
    pub division: Option<DivisionCode>,
}

/// A code of a list, with the label kept when the code is foreign or unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The code; empty when only a label was given.
    pub code: String,
    /// The label as stated.
    pub label: Option<String>,
}

/// One service, attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Derived by the issuer from its own record: repeats of one (issuer, item) count once.
    pub item: ItemId,
    /// Recording unit.
    pub recorder: Recorder,
    /// Activity.
    pub activity: Activity,
    /// Position (岗位).
    pub position: Option<String>,
    /// Place.
    pub place: Place,
    /// What was done.
    pub content: String,
    /// Service categories (c-2).
    pub categories: Vec<Code>,
    /// Beneficiaries (c-3).
    pub beneficiaries: Vec<Code>,
    /// When.
    pub when: When,
    /// Minutes counted.
    pub minutes: Minutes,
    /// Value as the source stated it (S2).
    pub stated: Option<Stated>,
    /// Parent attestation of a split continuous duty (S21).
    pub parent: Option<StatementId>,
    /// Entry way.
    pub entry_way: EntryWay,
    /// Evidence grade.
    pub grade: Grade,
    /// Commitment to the second person who approved.
    pub second_person: Option<[u8; 32]>,
    /// 非职务行为 declared (F-13.2).
    pub off_duty: bool,
    /// Campaign tag (F-15.1).
    pub campaign: Option<String>,
    /// Rule profile name.
    pub profile: String,
    /// Rule profile version.
    pub profile_version: u64,
    /// When it was recorded.
    pub recorded_at: UnixTime,
    /// Salted commitment to the person in charge.
    pub in_charge: Option<[u8; 32]>,
}

fn optional_text(value: Option<&String>) -> Option<Value> {
    value.map(|t| cbor::text(t.as_str()))
}

fn codes_to_value(codes: &[Code]) -> Option<Value> {
    if codes.is_empty() {
        return None;
    }
    let item = |c: &Code| {
        let mut pair = vec![cbor::text(c.code.as_str())];
        pair.extend(c.label.as_ref().map(|l| cbor::text(l.as_str())));
        Value::Array(pair)
    };
    Some(Value::Array(codes.iter().map(item).collect()))
}

fn codes_from(values: Vec<Value>, label: i64) -> Result<Vec<Code>, CborError> {
    let one = |value: Value| -> Result<Code, CborError> {
        let Value::Array(pair) = value else { return Err(CborError::WrongType(label)) };
        let mut texts = pair.into_iter().map(|v| cbor::as_text(v, label, SHORT_TEXT_BYTES_MAX));
        let code = texts.next().ok_or(CborError::WrongType(label))??;
        let name = texts.next().transpose()?;
        if texts.next().is_some() {
            return Err(CborError::WrongType(label));
        }
        Ok(Code { code, label: name })
    };
    values.into_iter().map(one).collect()
}

fn stated_to_value(stated: Stated) -> Value {
    let unit = match stated.unit {
        StatedUnit::Hours => 1,
        StatedUnit::Minutes => 2,
    };
    Value::Array(vec![cbor::int(stated.value), cbor::int(unit), cbor::int(stated.decimals)])
}

fn stated_from(value: Value, label: i64) -> Result<Stated, CborError> {
    let wrong = CborError::WrongType(label);
    let Value::Array(items) = value else { return Err(wrong) };
    let [value, unit, decimals] = items.as_slice() else { return Err(wrong) };
    let unit = match cbor::as_uint(unit, label)? {
        1 => StatedUnit::Hours,
        2 => StatedUnit::Minutes,
        _ => return Err(wrong),
    };
    // Nine decimals are more than any source states and keep the scaled value inside u64.
    let decimals = u8::try_from(cbor::as_uint(decimals, label)?).ok().filter(|d| *d <= 9).ok_or(wrong)?;
    Ok(Stated { value: cbor::as_uint(value, label)?, unit, decimals })
}

fn recorder_from(value: Value) -> Result<Recorder, CborError> {
    let mut fields = Fields::open(value)?;
    let recorder = Recorder {
        name: fields.text(1, SHORT_TEXT_BYTES_MAX)?,
        uscc: fields.opt_text(2, 18)?,
        guided_by: fields.opt_text(3, SHORT_TEXT_BYTES_MAX)?,
    };
    fields.finish()?;
    Ok(recorder)
}

fn activity_from(value: Value) -> Result<Activity, CborError> {
    let mut fields = Fields::open(value)?;
    let activity = Activity {
        name: fields.text(1, SHORT_TEXT_BYTES_MAX)?,
        id: fields.opt_text(2, SHORT_TEXT_BYTES_MAX)?,
    };
    fields.finish()?;
    Ok(activity)
}

pub(super) fn place_to_value(place: &Place) -> Value {
    MapBuilder::new()
        .put(1, cbor::text(place.text.as_str()))
        .put_opt(2, place.division.map(|d| cbor::int(d.0)))
        .build()
}

pub(super) fn place_from(value: Value) -> Result<Place, CborError> {
    let mut fields = Fields::open(value)?;
    let text = fields.text(1, SHORT_TEXT_BYTES_MAX)?;
    let division = fields.opt_uint(2)?.map(|n| u32::try_from(n).map(DivisionCode)).transpose();
    fields.finish()?;
    Ok(Place { text, division: division.map_err(|_| CborError::WrongType(2))? })
}

impl Attestation {
    pub(super) fn put(&self, map: MapBuilder) -> MapBuilder {
        let recorder = MapBuilder::new()
            .put(1, cbor::text(self.recorder.name.as_str()))
            .put_opt(2, optional_text(self.recorder.uscc.as_ref()))
            .put_opt(3, optional_text(self.recorder.guided_by.as_ref()));
        let activity = MapBuilder::new()
            .put(1, cbor::text(self.activity.name.as_str()))
            .put_opt(2, optional_text(self.activity.id.as_ref()));
        map.put(10, cbor::bytes(self.item.0))
            .put(11, recorder.build())
            .put(12, activity.build())
            .put_opt(13, optional_text(self.position.as_ref()))
            .put(14, place_to_value(&self.place))
            .put(15, cbor::text(self.content.as_str()))
            .put_opt(16, codes_to_value(&self.categories))
            .put_opt(17, codes_to_value(&self.beneficiaries))
            .put(18, self.when.to_value())
            .put(19, cbor::int(self.minutes.0))
            .put_opt(20, self.stated.map(stated_to_value))
            .put_opt(21, self.parent.map(|id| cbor::bytes(id.0)))
            .put(22, cbor::int(self.entry_way as u64))
            .put(23, cbor::int(self.grade as u64))
            .put_opt(24, self.second_person.map(cbor::bytes))
            .put_opt(25, self.off_duty.then_some(Value::Bool(true)))
            .put_opt(26, optional_text(self.campaign.as_ref()))
            .put(27, cbor::text(self.profile.as_str()))
            .put(28, cbor::int(self.profile_version))
            .put(29, cbor::int(self.recorded_at.0))
            .put_opt(30, self.in_charge.map(cbor::bytes))
    }

    pub(super) fn take(fields: &mut Fields) -> Result<Self, CborError> {
        Ok(Self {
            item: ItemId(fields.array(10)?),
            recorder: recorder_from(fields.need(11)?)?,
            activity: activity_from(fields.need(12)?)?,
            position: fields.opt_text(13, SHORT_TEXT_BYTES_MAX)?,
            place: place_from(fields.need(14)?)?,
            content: fields.text(15, LONG_TEXT_BYTES_MAX)?,
            categories: codes_from(fields.list(16, CODES_MAX)?, 16)?,
            beneficiaries: codes_from(fields.list(17, CODES_MAX)?, 17)?,
            when: When::from_value(fields.need(18)?, 18)?,
            minutes: Minutes(fields.uint(19)?),
            stated: fields.opt(20).map(|v| stated_from(v, 20)).transpose()?,
            parent: fields.opt_array(21)?.map(StatementId),
            entry_way: EntryWay::from_number(fields.uint(22)?).ok_or(CborError::WrongType(22))?,
            grade: Grade::from_number(fields.uint(23)?).ok_or(CborError::WrongType(23))?,
            second_person: fields.opt_array(24)?,
            off_duty: fields.flag(25)?,
            campaign: fields.opt_text(26, SHORT_TEXT_BYTES_MAX)?,
            profile: fields.text(27, SHORT_TEXT_BYTES_MAX)?,
            profile_version: fields.uint(28)?,
            recorded_at: UnixTime(fields.int(29)?),
            in_charge: fields.opt_array(30)?,
        })
    }
}
