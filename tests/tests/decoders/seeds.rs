//! Makes the seeds of `tests/fuzz/seeds` that can be made: golden bytes, rows, texts, sheets, parts of
//! a backup. Run by hand after a new kind: `cargo test -p yunling-tests --test decoders -- --ignored`.
//! Nothing in them is about a real person, unit or office. Files that a fuzzer found have other names
//! and stay.

use std::collections::BTreeMap;

use yunling_node::backup::{Manifest, PartsWriter};
use yunling_node::config::template;
use yunling_node::erasures::Erasure;
use yunling_node::person::Person;
use yunling_node::service::notes::Note;
use yunling_node::service::peers::PeerRecord;
use yunling_protocol::base45;
use yunling_protocol::card::SignedCard;
use yunling_protocol::cbor::{self, Value};
use yunling_protocol::citizen_id::CitizenId;
use yunling_protocol::cose::Sign1;
use yunling_protocol::cose::sign::Sign;
use yunling_protocol::custody::authorisation::{CodeRecord, code_text};
use yunling_protocol::custody::{Side, Stage, Transfer};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::dossier::Custody;
use yunling_protocol::id::{ChainHead, DossierId, ItemId, Salt, StatementId, TransferId};
use yunling_protocol::key::{Role, Signer as _, SoftSigner};
use yunling_protocol::ledger::HeadRecord;
use yunling_protocol::message::Life;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::OutboxEntry;
use yunling_protocol::recovery::fence::{Fence, encode_life};
use yunling_protocol::statement::{Body, Statement, VoidStatement, statement_common};
use yunling_protocol::status::token::{self, Heading};
use yunling_protocol::status::{self, LIST_SECONDS, Status, StatusList, TTL_SECONDS};
use yunling_protocol::trust_pack::TrustPack;
use yunling_tests::{hex, repository_root};

type Seeds = Vec<(String, Vec<u8>)>;

const AT: UnixTime = UnixTime(1_795_000_000);
const LIFE: Life = Life { generation: 3, mark: [0xcc; 16] };

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn golden() -> BTreeMap<String, String> {
    golden_file("bytes.txt")
}

fn golden_file(name: &str) -> BTreeMap<String, String> {
    let path = repository_root().join("protocol/tests/golden").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.filter_map(|l| l.split_once(' ')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// Golden objects whose name begins so, whole and as their payload alone.
fn objects(golden: &BTreeMap<String, String>, prefix: &str) -> Seeds {
    let mut out = Vec::new();
    for (name, value) in golden.iter().filter(|(n, _)| n.starts_with(prefix)) {
        let bytes = hex(value);
        out.push((format!("payload-{name}"), Sign1::parse(&bytes, 1 << 20).unwrap().payload));
        out.push((name.clone(), bytes));
    }
    out
}

fn rosters(golden: &BTreeMap<String, String>) -> Seeds {
    let mut out = Vec::new();
    for name in ["roster-first", "roster-full"] {
        let bytes = hex(&golden[name]);
        out.push((format!("payload-{name}"), Sign::parse(&bytes, 1 << 20, 32).unwrap().payload));
        out.push((name.to_owned(), bytes));
    }
    let change = hex(&golden["key-change"]);
    out.push(("payload-key-change".into(), Sign1::parse(&change, 1 << 20).unwrap().payload));
    out.push(("roster-file".into(), hex(&golden["roster-file"])));
    out
}

fn frames(golden: &BTreeMap<String, String>) -> Seeds {
    let wanted = |n: &str| n.starts_with("frame-") || n.starts_with("answer-");
    let mut out: Seeds = golden.iter().filter(|(n, _)| wanted(n)).map(|(n, v)| (n.clone(), hex(v))).collect();
    let message = yunling_protocol::message::Frame::Message(hex(&golden["message-offer"]));
    out.push(("whole-message".into(), message.encode()));
    out
}

fn requests(golden: &BTreeMap<String, String>) -> Seeds {
    let of = |kind: u8, body: &[u8]| [&[kind][..], &(body.len() as u32).to_be_bytes(), body].concat();
    vec![
        ("service".into(), of(0, &hex(&golden["frame-changes"]))),
        ("echo".into(), of(1, b"hello")),
        ("promises-much".into(), vec![0, 0xff, 0xff, 0xff, 0xff, 1]),
    ]
}

fn proofs(golden: &BTreeMap<String, String>) -> Seeds {
    let mut out = vec![("proof-p2".to_owned(), hex(&golden_file("log.txt")["proof-p2"]))];
    for (name, text) in golden.iter().filter(|(n, _)| n.starts_with("proof-")) {
        let token = base45::decode(text.strip_prefix("YH1:").unwrap()).unwrap();
        out.push((format!("payload-{name}"), Sign1::parse(&token, 1 << 20).unwrap().payload));
        out.push((format!("token-{name}"), token.clone()));
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, &token).unwrap();
        out.push((format!("packed-{name}"), packed.finish().unwrap()));
        out.push((name.clone(), text.clone().into_bytes()));
    }
    out
}

/// Everything of a log, but a proof with a receipt: that is a seed of the proofs.
fn logs() -> Seeds {
    let golden = golden_file("log.txt");
    golden.iter().filter(|(n, _)| *n != "proof-p2").map(|(n, v)| (n.clone(), hex(v))).collect()
}

/// A chain of the golden statements, with changes to its first hour.
fn bundles(golden: &BTreeMap<String, String>) -> Seeds {
    let bytes = |n: &str| hex(&golden[&format!("statement-{n}")]);
    let signer = SoftSigner::from_seed(&[Role::Statement as u8; 32]);
    let attested = Statement::parse(&bytes("attestation")).unwrap();
    let common = statement_common(
        attested.common.dossier,
        Salt([9; 16]),
        attested.common.issuer.clone(),
        UnixTime(AT.0 + 9),
        false,
    );
    let void = Body::Void(VoidStatement { target: attested.id, reason: "time-wrong".into(), note: None });
    let void = Statement::sign(&signer, &common, &void).unwrap();
    let order = ["consent", "attestation", "attestation-least", "training", "award", "redemption", "link"];
    let mut chain: Vec<Vec<u8>> = order.into_iter().map(bytes).collect();
    chain.push(void.bytes().to_vec());
    let bundle = |chain: &[Vec<u8>]| {
        cbor::encode(&Value::Array(vec![
            cbor::text("yunling/bundle"),
            cbor::int(1),
            cbor::bytes(attested.common.dossier.0),
            cbor::bytes([0x55; 32]),
            Value::Array(chain.iter().map(|s| cbor::bytes(s.as_slice())).collect()),
        ]))
    };
    vec![
        ("chain".into(), bundle(&chain)),
        ("short".into(), bundle(&chain[..2])),
        ("empty".into(), bundle(&[])),
        ("plain".into(), hex(&golden["bundle-plain"])),
        ("own".into(), hex(&golden["bundle-own"])),
    ]
}

fn rows(golden: &BTreeMap<String, String>) -> Seeds {
    let fence = Fence {
        made_at: AT,
        old_generation: 1,
        new_peers: vec![name("yuxi")],
        heard: vec![name("dali"), name("kunming")],
        cursors: BTreeMap::from([(name("yuxi"), vec![2; 49])]),
    };
    // The fence of a hand that wrote one peer twice.
    let mut twice = fence.encode();
    let at = twice.windows(7).position(|w| w == b"kunming").unwrap();
    twice.splice(at - 1..at + 7, *b"\x64dali");
    let head = |custody| HeadRecord {
        closed: None,
        epoch: 1,
        length: 42,
        head: ChainHead([0x55; 32]),
        custody,
        counted: Minutes(18_000),
        destroyed: false,
    };
    let sealed = Custody::Sealed { seal: StatementId([0x33; 32]), next: name("dali") };
    let new = Transfer::new(TransferId([0x44; 16]), DossierId([0x11; 16]), Side::Giving, name("dali"), AT);
    let transfer = Transfer {
        stage: Stage::Sealed,
        reason: Some("person-asked".into()),
        seal: Some(StatementId([0x33; 32])),
        purge_at: Some(AT),
        unasked: vec![name("yuxi"), name("lijiang")],
        ..new
    };
    let code = CodeRecord {
        hash: [7; 32],
        to: name("dali"),
        epoch: 1,
        expires: AT,
        tries: 2,
        consent: StatementId([0x33; 32]),
        with_profile: true,
    };
    let (id, _) = CitizenId::parse("530102190001010019").unwrap();
    let person =
        Person { name: "岩温·罕".into(), citizen_id: Some(id), contact: Some("service desk".into()) };
    let peer = PeerRecord {
        card: SignedCard::parse(&hex(&golden["card"])).unwrap(),
        accepted_at: AT,
        removed_at: Some(AT),
        life: Some(LIFE),
        mutual: true,
        theirs: Some(vec![0xd2; 8]),
    };
    // A generation without its mark.
    let Value::Map(mut half) = cbor::decode(&peer.encode(), 64 * 1024).unwrap() else { unreachable!() };
    half.remove(&Value::Integer(6)).unwrap();
    let half = cbor::encode(&Value::Map(half));
    let message = OutboxEntry { created: AT, message: hex(&golden["message-offer"]) };
    vec![
        ("fence".into(), fence.encode()),
        ("fence-a-peer-twice".into(), twice),
        ("head-open".into(), head(Custody::Open(name("kunming"))).encode()),
        ("head-sealed".into(), head(sealed).encode()),
        ("head-empty".into(), head(Custody::Empty).encode()),
        ("transfer".into(), transfer.encode()),
        ("code".into(), code.encode()),
        ("outbox".into(), message.encode()),
        ("person".into(), person.encode()),
        ("note".into(), Note::new(Some("站长"), Some("雨天")).encode()),
        ("peer".into(), peer.encode()),
        ("peer-half-a-life".into(), half),
        ("life".into(), encode_life(LIFE)),
    ]
}

fn texts() -> Seeds {
    let id = DossierId([0x11; 16]);
    let erasure = Erasure {
        what: yunling_node::erasures::Erased::Statement(StatementId([3; 32])),
        day: yunling_protocol::day::Day(20_700),
    };
    [
        ("dossier", id.to_string()),
        ("statement", StatementId([0x33; 32]).to_string()),
        ("transfer", TransferId([0x44; 16]).to_string()),
        ("item", ItemId([0x66; 16]).to_string()),
        ("slip", code_text(id, &[0xee; 12])),
        ("volunteer-card", format!("{id}@vol.yn.cn/532900")),
        ("name", "vol.yn.cn/532900".to_owned()),
        ("day", "2026-11-18".to_owned()),
        ("moment", "2026-11-18 09:30".to_owned()),
        ("division", "530102".to_owned()),
        ("number", "530102190001010019".to_owned()),
        ("number-full-width", "５３０１０２１９０００１０１００１９".to_owned()),
        ("number-of-15", "530102000101001".to_owned()),
        ("uscc", "51530100MJ000000X8".to_owned()),
        ("base45", "%69 VD92EX0".to_owned()),
        ("erasure", erasure.to_string()),
        (
            "relay",
            "/ip4/192.0.2.1/tcp/443/ws/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN".to_owned(),
        ),
    ]
    .map(|(name, text)| (name.to_owned(), text.into_bytes()))
    .to_vec()
}

fn configs() -> Seeds {
    let text = template(&name("kunming"), DivisionCode(530_100), true);
    let short = "[node]\nname=\"a\"\ndivision=\"530100\"\ntrial=true\n\
                 [policy.dali]\naccept_to=\"A\"\nitem_minutes_max=1\n";
    vec![("template.toml".into(), text.into_bytes()), ("short.toml".into(), short.into())]
}

fn backups() -> Seeds {
    let mut writer = PartsWriter::new(Vec::new());
    for (part, key, value) in [
        ("files", &b"config.toml"[..], &b"[node]\n"[..]),
        ("erasures", b"", b"dossier"),
        ("store", b"\x01key", b"value"),
    ] {
        writer.part(part).unwrap();
        writer.row(key, value).unwrap();
    }
    let (content, parts) = writer.finish().unwrap();
    let signer = SoftSigner::from_seed(&[Role::Statement as u8; 32]);
    let head = b"yunling-backup\n\x01";
    let body = [&head[..], &content].concat();
    let manifest = Manifest {
        node: name("kunming"),
        division: "530100".into(),
        trial: true,
        life: LIFE,
        made_at: AT,
        key: signer.public(),
        bytes: body.len() as u64,
        hash: sha256(&body),
        passphrase: false,
        parts,
    };
    let signed = manifest.sign(&signer).unwrap();
    let file = [&body, &signed, &(signed.len() as u32).to_be_bytes()[..], b"backup-ends\n"].concat();
    let payload = Sign1::parse(&signed, 1 << 20).unwrap().payload;
    vec![("parts".into(), content), ("manifest".into(), payload), ("file".into(), file)]
}

/// The id of a statement is the SHA-256 of any bytes.
fn sha256(bytes: &[u8]) -> [u8; 32] {
    yunling_protocol::statement::id_of(bytes).0
}

const HEADER: &str = "姓名,证件号码,活动名称,服务类别,服务内容,服务地点,行政区划代码,开始时间,结束时间,服务时长,组织单位,统一社会信用代码,负责人,录入方式,备注";
const ROW: &str = "志愿者甲,530102190001010019,环境保护活动1,环境保护,清洁,五华区翠湖社区,530102,2025-01-04 09:00,2025-01-04 12:30,3.5,翠湖志愿服务队,51530100MJ000000X8,站长,团体录入,";

/// Text sheets and a workbook. The old formats are made by an ignored test of `yunling-node`, which
/// has the code for them.
fn sheets() -> Seeds {
    let strange = ROW.replace("2025-01-04 09:00", "2025/1/5 9点").replace("3.5", "3小时半");
    let text = format!("某中心志愿服务登记表\n{HEADER}\n{ROW}\n\n\"{}\n", strange.replacen(',', "\n\",", 1));
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.merge_range(0, 0, 0, 14, "登记表", &rust_xlsxwriter::Format::new()).unwrap();
    for (r, line) in [HEADER, ROW, &strange].into_iter().enumerate() {
        for (c, cell) in line.split(',').enumerate() {
            match cell.parse::<f64>() {
                Ok(number) if c == 9 => sheet.write(r as u32 + 1, c as u16, number).unwrap(),
                _ => sheet.write(r as u32 + 1, c as u16, cell).unwrap(),
            };
        }
    }
    vec![
        ("text.csv".into(), text.clone().into_bytes()),
        ("tabs.csv".into(), text.replace(',', "\t").into_bytes()),
        ("utf16.csv".into(), utf16),
        ("workbook.xlsx".into(), workbook.save_to_buffer().unwrap()),
    ]
}

fn status_token(entries: &[(u64, Status)]) -> Vec<u8> {
    let mut list = StatusList::new();
    for (place, status) in entries {
        list.set(*place, *status).unwrap();
    }
    let heading = Heading {
        issuer: name("vol.yn.cn/532900"),
        uri: "yunling:s/1".into(),
        issued: AT,
        expires: UnixTime(AT.0 + LIST_SECONDS),
        ttl: TTL_SECONDS,
    };
    token::sign(&SoftSigner::from_seed(&[Role::Status as u8; 32]), &heading, &list).unwrap()
}

/// Our tokens, and one as others write it: `bits` before `lst`, four bits, no `iss`.
fn status_lists() -> Seeds {
    let ours =
        status_token(&[(0, Status::Revoked), (77, Status::Suspended), (1_048_575, Status::Superseded)]);
    let row = StatusList::from_row(4, vec![0x21; 600]).unwrap().pack();
    let mut claims = vec![0xa3, 0x02, 0x61, b'u', 0x06, 0x01, 0x19, 0xff, 0xfd, 0xa2, 0x64];
    claims.extend_from_slice(b"bits\x04\x63lst");
    cbor::put_bytes(&mut claims, &row.list);
    let mut header = vec![0xa2, 0x01, 0x26, 0x10];
    cbor::put_text(&mut header, status::TYP);
    let mut foreign = vec![0xd2, 0x84];
    cbor::put_bytes(&mut foreign, &header);
    foreign.push(0xa0);
    cbor::put_bytes(&mut foreign, &claims);
    cbor::put_bytes(&mut foreign, &[0x5a; 64]);
    assert!(status::ForeignToken::parse(&foreign).is_ok());
    vec![
        ("payload".into(), Sign1::parse(&ours, 1 << 20).unwrap().payload),
        ("ours".into(), ours),
        ("empty".into(), status_token(&[])),
        ("foreign".into(), foreign),
    ]
}

fn trust_packs(golden: &BTreeMap<String, String>) -> Seeds {
    let mut pack = TrustPack::new(AT, name("vol.yn.cn/532900"));
    let empty = pack.encode();
    pack.rosters.push(vec![0xd2; 40]);
    pack.lists = vec![status_token(&[(5, Status::Revoked)]), vec![0xd2; 9]];
    pack.checkpoints.push("vol.yn.cn/532900/1\n5\n".into());
    pack.cards.push(hex(&golden["card"]));
    vec![("empty".into(), empty), ("full".into(), pack.encode())]
}

#[test]
#[ignore = "writes the seeds of the decoders"]
fn write_the_seeds() {
    let golden = golden();
    let mut cards = objects(
        &golden.iter().filter(|(n, _)| *n == "card").map(|(n, v)| (n.clone(), v.clone())).collect(),
        "card",
    );
    cards.push(("text".into(), golden["card-text"].clone().into_bytes()));
    let all: [(&str, Seeds); 16] = [
        ("statement", objects(&golden, "statement-")),
        ("message", objects(&golden, "message-")),
        ("card", cards),
        ("roster", rosters(&golden)),
        ("proof", proofs(&golden)),
        ("frame", frames(&golden)),
        ("request", requests(&golden)),
        ("bundle", bundles(&golden)),
        ("row", rows(&golden)),
        ("text", texts()),
        ("config", configs()),
        ("sheet", sheets()),
        ("backup", backups()),
        ("status-list", status_lists()),
        ("trust-pack", trust_packs(&golden)),
        ("log", logs()),
    ];
    for (decoder, seeds) in all {
        let folder = super::folder().join(decoder);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
}
