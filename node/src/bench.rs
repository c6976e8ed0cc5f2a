//! Measurements of `yunling bench`: each figure beside the limit measured in the same run.
//!
//! Machines are noisy, so a figure is the median of several rounds, and a ratio is the median of
//! the ratios of neighbouring rounds.

mod log;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use yunling_protocol::card::{Card, NodeKind};
use yunling_protocol::cose;
use yunling_protocol::day::{Day, UnixTime};
use yunling_protocol::division::DivisionCode;
use yunling_protocol::dossier::Dossier;
use yunling_protocol::fresh::Fresh;
use yunling_protocol::id::{DossierId, ItemId};
use yunling_protocol::key::{KeyEntry, Role, Signer, SoftSigner};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::message::Life;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::Office;
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::proof::{self, Amount, Claims};
use yunling_protocol::register;
use yunling_protocol::statement::{
    Activity, Attestation, Body, Code, EntryWay, Grade, Place, Recorder, Statement, When,
};
use yunling_protocol::store::{Batch, Key, Store, Table};

use crate::service::Refusal;
use crate::service::copy::verify_in_order;
use crate::sheet::{NothingYet, Options, Rules, judge, read_sheet};
use crate::store::{Options as StoreOptions, SledStore};

/// Operations timed together, so that the clock's own cost vanishes.
const INNER: usize = 400;
/// Statements of the large dossier.
const DOSSIER: usize = 10_000;
/// Durable records per round.
const RECORDS_1: usize = 100;
const RECORDS_64: usize = 3_200;
/// Rows of the imported sheet.
const ROWS: usize = 10_000;

/// One printed line.
#[derive(Debug)]
pub struct Line {
    /// What.
    pub name: &'static str,
    /// Figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Ratio to the limit.
    pub ratio: Option<f64>,
    /// The limit, in words.
    pub limit: String,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Microseconds per call, over [`INNER`] calls.
fn micros(mut call: impl FnMut(usize)) -> f64 {
    let began = Instant::now();
    for n in 0..INNER {
        call(n);
    }
    began.elapsed().as_secs_f64() * 1e6 / INNER as f64
}

/// Times `work` and `limit` in turn and compares neighbours.
fn compare(
    rounds: usize,
    name: &'static str,
    limit_words: &str,
    mut work: impl FnMut() -> f64,
    mut limit: impl FnMut() -> f64,
) -> Line {
    let (mut values, mut limits, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        let (l, w) = (limit(), work());
        values.push(w);
        limits.push(l);
        ratios.push(w / l);
    }
    let limit = format!("{limit_words}: {:.1} µs", median(limits));
    Line { name, value: median(values), unit: "µs", ratio: Some(median(ratios)), limit }
}

struct Bench {
    name: NodeName,
    signer: SoftSigner,
    proof_signer: SoftSigner,
    members: Members,
    now: UnixTime,
}

impl Bench {
    fn new() -> Result<Self, Refusal> {
        let wrong = |e: &dyn std::fmt::Display| Refusal::new("internal").with("cause", e);
        let name = NodeName::parse("kunming").map_err(|e| wrong(&e))?;
        let signer = |role: Role| SoftSigner::from_seed(&[role as u8; 32]);
        let keys: Result<Vec<_>, _> =
            Role::ALL.into_iter().map(|r| KeyEntry::new(r, signer(r).public(), UnixTime(0), None)).collect();
        let card = Card {
            name: name.clone(),
            title_zh: "昆明市".into(),
            title_en: "Kunming".into(),
            division: DivisionCode(530_100),
            kind: NodeKind::Prefecture,
            keys: keys.map_err(|e| wrong(&e))?,
            addresses: vec![],
            contact: String::new(),
            made_at: UnixTime(0),
            trial: true,
        };
        let mut members = Members::default();
        let card = card.sign(&signer(Role::Statement)).map_err(|e| wrong(&e))?;
        members.insert(Member { card, removed_at: None });
        Ok(Self {
            name,
            signer: signer(Role::Statement),
            proof_signer: signer(Role::Proof),
            members,
            now: UnixTime(1_795_000_000),
        })
    }

    /// A printed proof.
    fn proof(&self) -> Result<String, Refusal> {
        let claims = Claims {
            issuer: self.name.clone(),
            subject: [1; 16],
            issued: self.now,
            expires: UnixTime(self.now.0 + 86_400),
            full_name: Some("岩温·罕".into()),
            amount: Amount::AtLeast(Minutes(18_000)),
            days: Some((Day(20_000), Day(20_500))),
            epoch: 1,
            recorders: vec![],
            number: None,
            trial: true,
            status: None,
        };
        proof::issue(&self.proof_signer, &claims).map_err(|e| Refusal::new("sign-device").with("cause", e))
    }

    /// One bare signature check of such a proof.
    fn bare_check(&self) -> Result<impl Fn() + '_, Refusal> {
        let token =
            yunling_protocol::base45::decode(&self.proof()?[proof::PREFIX.len()..]).unwrap_or_default();
        let sign1 =
            cose::Sign1::parse(&token, 8_192).map_err(|e| Refusal::new("internal").with("cause", e))?;
        let message = sign1.to_be_signed(&[]);
        let key = self.members.keys(&self.name, Role::Proof, self.now).next();
        let key = key.ok_or_else(|| Refusal::new("internal"))?;
        Ok(move || {
            black_box(key.verify(black_box(&message), &sign1.signature));
        })
    }

    fn attestation(&self, n: usize) -> Attestation {
        let start = UnixTime(self.now.0 - (n as i64 + 2) * 86_400);
        let mut item = [0; 16];
        item[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Attestation {
            item: ItemId(item),
            recorder: Recorder {
                name: "翠湖志愿服务队".into(),
                uscc: Some("51530100MJ000000X8".into()),
                guided_by: None,
            },
            activity: Activity { id: None, name: "邻里守望".into() },
            position: None,
            place: Place { text: "五华区翠湖社区".into(), division: Some(DivisionCode(530_102)) },
            content: "上门照护与清洁".into(),
            categories: vec![Code { code: "0001".into(), label: None }],
            beneficiaries: vec![],
            when: When::Clock { start, end: UnixTime(start.0 + 7_200) },
            minutes: Minutes(120),
            stated: None,
            parent: None,
            entry_way: EntryWay::App,
            grade: Grade::B,
            second_person: None,
            off_duty: false,
            campaign: None,
            profile: "yunnan".into(),
            profile_version: 1,
            recorded_at: self.now,
            in_charge: None,
        }
    }

    fn office<'a>(
        &'a self,
        policies: &'a std::collections::BTreeMap<NodeName, yunling_protocol::policy::Policy>,
    ) -> Office<'a> {
        Office {
            me: &self.name,
            life: Life { generation: 1, mark: [1; 16] },
            trial: true,
            members: &self.members,
            signer: &self.signer,
            profile: &YUNNAN,
            policies,
            fenced: false,
            hold_transfers: false,
            now: self.now,
        }
    }

    fn make(&self, office: &Office<'_>, fresh: &mut Fresh, n: usize) -> Option<Statement> {
        let attestation = self.attestation(n);
        register::check(&attestation, None, &YUNNAN, self.now).ok()?;
        office.state(fresh, DossierId([7; 16]), &Body::Attestation(Box::new(attestation))).ok()
    }
}

/// Runs every measurement.
pub fn all(rounds: usize) -> Result<Vec<Line>, Refusal> {
    let bench = Bench::new()?;
    let mut lines = vec![attest(&bench, rounds), verify_p1(&bench, rounds)?];
    lines.push(log::verify_p2(&bench, rounds)?);
    lines.push(verify_dossier(&bench, rounds)?);
    let folder =
        tempfile::tempdir().map_err(|e| Refusal::new("file-write").with("path", "tmp").with("cause", e))?;
    lines.extend(durable(&bench, folder.path(), rounds)?);
    lines.push(import_rows(folder.path(), rounds)?);
    lines.push(log::logged(folder.path(), rounds)?);
    lines.push(log::audited(rounds)?);
    Ok(lines)
}

fn attest(bench: &Bench, rounds: usize) -> Line {
    let policies = std::collections::BTreeMap::new();
    let office = bench.office(&policies);
    let mut fresh = Fresh::new([3; 32]);
    let size = bench.make(&office, &mut fresh, 0).map_or(500, |s| s.bytes().len());
    let message = vec![7u8; size];
    compare(
        rounds,
        "attestation-made",
        "bare sign",
        || micros(|n| drop(black_box(bench.make(&office, &mut fresh, n)))),
        || micros(|_| drop(black_box(bench.signer.sign(black_box(&message))))),
    )
}

fn verify_p1(bench: &Bench, rounds: usize) -> Result<Line, Refusal> {
    let text = bench.proof()?;
    let bare = bench.bare_check()?;
    Ok(compare(
        rounds,
        "p1-verified",
        "bare verify_strict",
        || micros(|_| drop(black_box(proof::verify(black_box(&text), &bench.members, bench.now)))),
        || micros(|_| bare()),
    ))
}

fn verify_dossier(bench: &Bench, rounds: usize) -> Result<Line, Refusal> {
    let policies = std::collections::BTreeMap::new();
    let office = bench.office(&policies);
    let mut fresh = Fresh::new([4; 32]);
    let id = DossierId([7; 16]);
    let consent = crate::service::volunteers::consent_to_record("67号 Art. 6");
    let first =
        office.state(&mut fresh, id, &Body::Consent(consent)).map_err(|_| Refusal::new("sign-device"))?;
    let mut all = vec![first.bytes().to_vec()];
    all.extend((1..DOSSIER).filter_map(|n| bench.make(&office, &mut fresh, n)).map(|s| s.bytes().to_vec()));
    let key = bench.members.keys(&bench.name, Role::Statement, bench.now).next();
    let key = key.ok_or_else(|| Refusal::new("internal"))?;
    let bare: Vec<(Vec<u8>, [u8; 64])> = all
        .iter()
        .filter_map(|bytes| cose::Sign1::parse(bytes, 64 * 1024).ok())
        .map(|s| {
            let word = if s.payload.len() < 400 { "consent" } else { "attestation" };
            (s.to_be_signed(format!("yunling/{word}/1").as_bytes()), s.signature)
        })
        .collect();
    let per = |began: Instant| began.elapsed().as_secs_f64() * 1e6 / DOSSIER as f64;
    let mut line = compare(
        rounds,
        "dossier-10000-statement",
        "bare checks on all cores, each",
        || {
            let began = Instant::now();
            let mut dossier = Dossier::new(id);
            let verified = verify_in_order(&office, &all, &|_| None, |entry| {
                dossier.take(entry, &YUNNAN).map(|_| ()).map_err(|e| Refusal::new(e.code()))
            });
            assert!(verified.is_ok(), "the bench dossier verifies");
            assert_eq!(black_box(dossier.totals(&YUNNAN)).attestations, DOSSIER as u64 - 1, "and whole");
            per(began)
        },
        || {
            let began = Instant::now();
            let good = bare.par_iter().filter(|(m, s)| key.verify(m, s)).count();
            black_box(good);
            per(began)
        },
    );
    line.unit = "µs each";
    Ok(line)
}

fn durable(bench: &Bench, folder: &Path, rounds: usize) -> Result<Vec<Line>, Refusal> {
    let store = SledStore::open(&folder.join("store"), b"bench/1", StoreOptions::default())
        .map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
    let store: Arc<dyn Store> = Arc::new(store);
    let policies = std::collections::BTreeMap::new();
    let office = bench.office(&policies);
    let mut fresh = Fresh::new([5; 32]);
    let bytes = bench.make(&office, &mut fresh, 1).map(|s| s.bytes().to_vec()).unwrap_or_default();
    let write = |n: u64| {
        let mut batch = Batch::default();
        for table in [Table::Statement, Table::Chain, Table::Head] {
            let key = Key::new(table, n.to_be_bytes().to_vec());
            batch.put.push(yunling_protocol::store::Put::Set(key, bytes.clone()));
        }
        store.commit(batch)
    };
    let failed = std::sync::Mutex::new(None);
    let rounds_done = std::sync::atomic::AtomicU64::new(0);
    let per_second = |writers: usize, records: usize| -> f64 {
        // Fresh keys each round: writing the same bytes again could be cheaper.
        let base = rounds_done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) << 32;
        let began = Instant::now();
        std::thread::scope(|scope| {
            for w in 0..writers {
                let (write, failed) = (&write, &failed);
                scope.spawn(move || {
                    for n in 0..records / writers {
                        if let Err(error) = write(base + (w * records + n) as u64) {
                            failed
                                .lock()
                                .unwrap_or_else(std::sync::PoisonError::into_inner)
                                .get_or_insert(error);
                            return;
                        }
                    }
                });
            }
        });
        records as f64 / began.elapsed().as_secs_f64()
    };
    let fsyncs = |count: usize| -> f64 {
        use std::io::Write as _;
        let Ok(mut file) = std::fs::File::create(folder.join("fsync")) else { return f64::NAN };
        let began = Instant::now();
        for _ in 0..count {
            if file.write_all(&bytes).and_then(|()| file.sync_all()).is_err() {
                return f64::NAN;
            }
        }
        count as f64 / began.elapsed().as_secs_f64()
    };
    let (mut one, mut many, mut disk, mut r1, mut r64) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..rounds.min(5) {
        let d = fsyncs(RECORDS_1);
        let (a, b) = (per_second(1, RECORDS_1), per_second(64, RECORDS_64));
        one.push(a);
        many.push(b);
        disk.push(d);
        r1.push(a / d);
        r64.push(b / d);
    }
    if let Some(error) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error.into());
    }
    let limit = format!("append and fsync of the disk: {:.0}/s", median(disk));
    Ok(vec![
        Line {
            name: "durable-records-1-writer",
            value: median(one),
            unit: "/s",
            ratio: Some(median(r1)),
            limit: limit.clone(),
        },
        Line {
            name: "durable-records-64-writers",
            value: median(many),
            unit: "/s",
            ratio: Some(median(r64)),
            limit,
        },
    ])
}

fn import_rows(folder: &Path, rounds: usize) -> Result<Line, Refusal> {
    use std::fmt::Write as _;
    let mut text =
        String::from("姓名,证件号码,活动名称,服务内容,服务地点,开始时间,结束时间,服务时长,组织单位\n");
    let first = Day::from_ymd(1990, 1, 1).unwrap_or(Day(7_305));
    for n in 0..ROWS {
        let day = Day(first.0 + n as i32);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "岩温·罕,530102190001010019,邻里守望{n},清洁,翠湖,{day} 08:00,{day} 10:00,2小时,翠湖志愿服务队"
        );
    }
    let path = folder.join("sheet.csv");
    std::fs::write(&path, &text)
        .map_err(|e| Refusal::new("file-write").with("path", path.display()).with("cause", e))?;
    let rules = Rules { now: UnixTime(1_795_000_000), profile: &YUNNAN };
    let (mut values, mut ratios) = (vec![], vec![]);
    for _ in 0..rounds.min(3) {
        let began = Instant::now();
        let lines =
            std::fs::read_to_string(&path).map(|t| t.lines().map(|l| l.split(',').count()).sum::<usize>());
        black_box(lines.unwrap_or(0));
        let bare = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let table = read_sheet(&path, &Options::default())?;
        let Ok(judged) = judge(&table, &NothingYet, rules);
        black_box(judged.records().count());
        let took = began.elapsed().as_secs_f64();
        values.push(ROWS as f64 / took);
        ratios.push(took / bare);
    }
    let limit = "reading and splitting the same lines".to_owned();
    Ok(Line {
        name: "import-rows-judged",
        value: median(values),
        unit: "/s",
        ratio: Some(median(ratios)),
        limit,
    })
}
