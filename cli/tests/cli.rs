//! The command as a script sees it: exit codes, one JSON object, words in the language asked for.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use yunling_node::home::Home;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::Role;
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::proof::{Amount, Claims, issue};
use yunling_protocol::status::token::{Heading, sign};
use yunling_protocol::status::{LIST_SECONDS, Status, StatusList, StatusRef, TTL_SECONDS};
use yunling_protocol::trust_pack::TrustPack;

const DAY_SECONDS: i64 = 86_400;

/// Runs the command without the variables of the person who runs the tests.
fn yunling(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yunling"));
    for variable in ["YUNLING_LANG", "YUNLING_HOME", "YUNLING_CLOCK"] {
        command.env_remove(variable);
    }
    command.arg("--home").arg(home).args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Exactly one JSON object and nothing else on stdout.
fn object(output: &Output) -> Value {
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(value.is_object());
    value
}

fn init(folder: &Path, name: &str, division: &str, trial: bool) -> Home {
    Home::init(&folder.join(name), name, division, trial).unwrap()
}

#[test]
fn wrong_use_exits_with_64_and_never_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let wrong: [&[&str]; 6] = [
        &["init"],
        &["no-such-command"],
        &["status", "--no-such-option"],
        &["peer", "accept"],
        &["completions", "no-such-shell"],
        &["transfer", "authorize", "x", "--to", "dali"],
    ];
    for args in wrong {
        let output = yunling(folder.path(), args);
        assert_eq!(code(&output), 64, "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}: wrong use must not look like an answer");
        let json = yunling(folder.path(), &[&["--json"], args].concat());
        assert_eq!(code(&json), 64, "{args:?} --json");
        assert!(object(&json)["error"]["code"].is_string());
    }
}

#[test]
fn a_wrong_use_does_not_repeat_an_identity_number() {
    let folder = tempfile::tempdir().unwrap();
    let number = "530102190001010016";
    let output = yunling(folder.path(), &["status", number]);
    assert_eq!(code(&output), 64);
    assert!(!String::from_utf8(output.stderr).unwrap().contains(number));
}

#[test]
fn help_is_chinese_first_english_on_request_and_exits_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let zh = yunling(folder.path(), &["--help"]);
    let en = yunling(folder.path(), &["--lang", "en", "--help"]);
    assert_eq!((code(&zh), code(&en)), (0, 0));
    assert!(stdout(&zh).contains("志愿"), "{}", stdout(&zh));
    assert!(stdout(&en).contains("olunteer") && !stdout(&en).contains("志愿"), "{}", stdout(&en));
    let version = yunling(folder.path(), &["--version"]);
    assert_eq!(code(&version), 0);
    assert!(stdout(&version).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_command_and_argument_has_help_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let commands = [
        "init",
        "run",
        "status",
        "peer",
        "peer card",
        "peer invite",
        "peer accept",
        "peer list",
        "peer remove",
        "peer test",
        "volunteer",
        "volunteer register",
        "volunteer list",
        "volunteer show",
        "volunteer card",
        "import",
        "record",
        "void",
        "correct",
        "dossier",
        "dossier show",
        "dossier export",
        "transfer",
        "transfer authorize",
        "transfer start",
        "transfer list",
        "transfer show",
        "transfer approve",
        "transfer refuse",
        "transfer cancel",
        "transfer resume",
        "delivery",
        "delivery list",
        "delivery accept",
        "delivery refuse",
        "proof",
        "proof issue",
        "proof verify",
        "demo",
        "bench",
        "completions",
    ];
    let mut missing = Vec::new();
    for lang in ["zh", "en"] {
        for command in commands {
            let words: Vec<_> = command.split(' ').chain(["--lang", lang, "--help"]).collect();
            let output = yunling(folder.path(), &words);
            assert_eq!(code(&output), 0, "{command}");
            // Words that are missing show as their key.
            let text = stdout(&output);
            let keys =
                text.split_whitespace().filter(|w| w.starts_with("help-") || w.starts_with("cli-heading"));
            missing.extend(keys.map(|key| format!("{lang}: {command}: {key}")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn init_makes_one_home_and_refuses_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("kunming");
    let args = ["--json", "init", "--name", "kunming", "--division", "530100", "--trial"];
    let made = yunling(&home, &args);
    assert_eq!(code(&made), 0);
    let made = object(&made);
    assert_eq!(
        (&made["name"], &made["division"], &made["trial"]),
        (&"kunming".into(), &"530100".into(), &true.into())
    );
    assert_eq!(made["fingerprint"].as_str().unwrap().split(' ').count(), 8);
    let again = yunling(&home, &args);
    assert_eq!(code(&again), 1);
    let error = &object(&again)["error"];
    assert_eq!(error["code"], "home-exists");
    assert!(error["fields"]["path"].as_str().unwrap().ends_with("kunming"));
    assert!(error["message"].as_str().unwrap().contains("init"));
    let wrong = yunling(&folder.path().join("x"), &["--json", "init", "--name", "x", "--division", "999999"]);
    assert_eq!((code(&wrong), &object(&wrong)["error"]["code"]), (1, &"division-unknown".into()));
    assert!(!folder.path().join("x").exists(), "a refusal changes nothing");
}

#[test]
fn a_node_that_does_not_run_is_69_also_behind_a_long_path() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("很长的目录名".repeat(6));
    std::fs::create_dir(&deep).unwrap();
    for place in [folder.path(), &deep] {
        let home = init(place, "dali", "532900", true);
        for args in [&["status"][..], &["peer", "list"], &["proof", "issue", "x"]] {
            let output = yunling(&home.path, &[&["--json"], args].concat());
            assert_eq!(code(&output), 69, "{args:?}");
            assert_eq!(object(&output)["error"]["code"], "node-unreachable");
        }
    }
    let nothing = yunling(&folder.path().join("nothing"), &["--json", "status"]);
    assert_eq!(code(&nothing), 69);
}

#[test]
fn the_card_is_printed_with_the_node_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let home = init(folder.path(), "dali", "532900", true);
    let card = yunling(&home.path, &["--json", "peer", "card"]);
    assert_eq!(code(&card), 0);
    let card = object(&card);
    assert!(card["card"].as_str().unwrap().starts_with("YC1:"));
    assert_eq!(card["fingerprint"], home.card(vec![]).unwrap().fingerprint());
    let file = folder.path().join("dali.card");
    assert_eq!(code(&yunling(&home.path, &["peer", "card", "--out", file.to_str().unwrap()])), 0);
    assert!(std::fs::read_to_string(file).unwrap().starts_with("YC1:"));
}

/// Claims of a proof issued now for a year, at least 300 hours.
fn claims(home: &Home, issued_days_ago: i64, days: i64) -> Claims {
    let issued = UnixTime(home.clock.now().0 - issued_days_ago * DAY_SECONDS);
    Claims {
        issuer: home.name.clone(),
        subject: [7; 16],
        issued,
        expires: UnixTime(issued.0 + days * DAY_SECONDS),
        full_name: None,
        amount: Amount::AtLeast(Minutes(18_000)),
        days: Some((issued.day(), issued.day())),
        epoch: 1,
        recorders: vec![(NodeName::parse("dali").unwrap(), None), (NodeName::parse("yuxi").unwrap(), None)],
        number: None,
        trial: home.config.node.trial,
        status: None,
    }
}

/// A proof and the file of its issuer's card.
fn proof_and_trust(folder: &Path, days: i64) -> (String, String) {
    let home = init(folder, "dali", "532900", true);
    let text = issue(&*home.signer(Role::Proof).unwrap(), &claims(&home, 0, days)).unwrap();
    let trust = folder.join("trust.card");
    std::fs::write(&trust, format!("{}\n", home.card(vec![]).unwrap().to_text())).unwrap();
    (text, trust.to_str().unwrap().to_owned())
}

/// Verifies without any home and gives the exit code and the object.
fn verify(folder: &Path, proof: &str, trust: &str) -> (i32, Value) {
    let output = yunling(&folder.join("no-home"), &["--json", "proof", "verify", proof, "--trust", trust]);
    (code(&output), object(&output))
}

#[test]
fn a_proof_is_valid_from_text_and_from_file_and_a_changed_character_makes_it_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let (text, trust) = proof_and_trust(folder.path(), 365);
    let (exit, value) = verify(folder.path(), &text, &trust);
    assert_eq!((exit, &value["verdict"]), (0, &"valid".into()));
    assert_eq!(
        (&value["minutes"], &value["amount"], &value["hours"]),
        (&18_000.into(), &"at-least".into(), &"300.00".into())
    );
    assert_eq!(
        (&value["trial"], &value["status"], &value["issuer"]),
        (&true.into(), &"unknown".into(), &"dali".into())
    );
    let file = folder.path().join("proof.txt");
    std::fs::write(&file, format!("{text}\n")).unwrap();
    assert_eq!(verify(folder.path(), file.to_str().unwrap(), &trust).0, 0);

    // Past the prefix every character counts; a sample over the whole length.
    for at in (4..text.len()).step_by(17) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        let (exit, value) = verify(folder.path(), &String::from_utf8(bytes).unwrap(), &trust);
        assert_ne!(exit, 0, "character {at} changed");
        assert_ne!(value["verdict"], "valid", "character {at} changed");
    }
}

/// A pack with the card of `home` and one list, signed by `signer`, made so many days ago.
fn pack(home: &Home, signer: Role, place: (u32, Status), days_ago: i64) -> Vec<u8> {
    let mut list = StatusList::new();
    list.set(u64::from(place.0), place.1).unwrap();
    let made = UnixTime(home.clock.now().0 - days_ago * DAY_SECONDS);
    let heading = Heading {
        issuer: home.name.clone(),
        uri: "yunling:s/1".into(),
        issued: made,
        expires: UnixTime(made.0 + LIST_SECONDS),
        ttl: TTL_SECONDS,
    };
    let mut pack = TrustPack::new(made, home.name.clone());
    pack.lists.push(sign(&*home.signer(signer).unwrap(), &heading, &list).unwrap());
    pack.cards.push(home.card(vec![]).unwrap().bytes().to_vec());
    pack.encode()
}

#[test]
fn a_trust_pack_says_what_became_of_a_proof_and_a_forged_list_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = init(folder.path(), "dali", "532900", true);
    let status = Some(StatusRef { index: 5, uri: "yunling:s/1".into() });
    let claims = Claims { status, ..claims(&home, 60, 365) };
    let proof = issue(&*home.signer(Role::Proof).unwrap(), &claims).unwrap();
    let file = folder.path().join("trust.pack");
    let verdict = |bytes: &[u8], more: &[&str]| {
        std::fs::write(&file, bytes).unwrap();
        let args = ["--json", "proof", "verify", &proof, "--trust", file.to_str().unwrap()];
        let output = yunling(&folder.path().join("no-home"), &[&args[..], more].concat());
        let value = object(&output);
        let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        (code(&output), word("why"), word("status"), value["lists_refused"].as_u64())
    };
    let said =
        |exit, why: &str, status: &str, refused| (exit, why.to_owned(), status.to_owned(), Some(refused));
    // The keys of this home begin today, so that only the date of issue would be in doubt without this.
    assert_eq!(
        verdict(&pack(&home, Role::Status, (5, Status::Revoked), 1), &[]),
        said(1, "proof-revoked", "revoked", 0)
    );
    let forged = verdict(&pack(&home, Role::Statement, (5, Status::Revoked), 1), &[]);
    assert_eq!((forged.2.as_str(), forged.3), ("unknown", Some(1)), "another role's key says nothing");
    let mut changed = pack(&home, Role::Status, (5, Status::Revoked), 1);
    changed.pop();
    std::fs::write(&file, &changed).unwrap();
    let args = ["proof", "verify", &proof, "--trust", file.to_str().unwrap()];
    assert_eq!(code(&yunling(folder.path(), &args)), 64, "a cut pack is no pack, and no cards");
    assert_eq!(code(&yunling(folder.path(), &["proof", "verify", &proof])), 64, "neither --trust nor --ask");

    // A proof and a list of today.
    let fresh = Claims { status: claims.status.clone(), ..crate::claims(&home, 0, 365) };
    let fresh = issue(&*home.signer(Role::Proof).unwrap(), &fresh).unwrap();
    let good = pack(&home, Role::Status, (6, Status::Revoked), 0);
    std::fs::write(&file, &good).unwrap();
    let args = ["--json", "proof", "verify", &fresh, "--trust", file.to_str().unwrap()];
    let output = yunling(&folder.path().join("no-home"), &args);
    let value = object(&output);
    assert_eq!((code(&output), &value["why"]), (0, &"proof-status-good".into()), "{value}");
    assert_eq!((&value["packs"][0]["by"], &value["status"]), (&"dali".into(), &"valid".into()));
    let shown =
        stdout(&yunling(folder.path(), &["proof", "verify", &fresh, "--trust", file.to_str().unwrap()]));
    for words in ["有效", "未作废", "状态日期", "信任包"] {
        assert!(shown.contains(words), "{words} is missing in:\n{shown}");
    }
}

#[test]
fn a_verdict_for_people_is_a_word_with_its_date_and_never_a_bare_tick() {
    let folder = tempfile::tempdir().unwrap();
    let (text, trust) = proof_and_trust(folder.path(), 365);
    let output = yunling(folder.path(), &["proof", "verify", &text, "--trust", &trust]);
    assert_eq!(code(&output), 0);
    let shown = stdout(&output);
    for words in
        ["有效", "签发", "作废", "300.00", "大理白族自治州", "试用", "出具", "技术签名", "非电子印章"]
    {
        assert!(shown.contains(words), "{words} is missing in:\n{shown}");
    }
    for words in ["官方", "国家认证", "✓", "✔"] {
        assert!(!shown.contains(words), "{words} stands in:\n{shown}");
    }
}

#[test]
fn a_proof_by_somebody_unknown_is_invalid_and_an_expired_one_cannot_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let (text, trust) = proof_and_trust(folder.path(), 365);
    let other = init(folder.path(), "yuxi", "530400", true);
    let others = folder.path().join("others.card");
    std::fs::write(&others, other.card(vec![]).unwrap().to_text()).unwrap();
    let (exit, value) = verify(folder.path(), &text, others.to_str().unwrap());
    assert_eq!((exit, &value["why"]), (1, &"proof-unknown-issuer".into()));
    assert!(value.get("minutes").is_none_or(Value::is_null), "claims nobody vouches for are not shown");

    let expired = tempfile::tempdir().unwrap();
    let (old, old_trust) = proof_and_trust(expired.path(), -1);
    let (exit, value) = verify(expired.path(), &old, &old_trust);
    assert_eq!((exit, &value["verdict"]), (2, &"cannot-tell".into()));
    assert_eq!(value["why"], "proof-expired");

    let both = folder.path().join("both.card");
    let joined =
        [trust.as_str(), others.to_str().unwrap()].map(|f| std::fs::read_to_string(f).unwrap()).join("\n");
    std::fs::write(&both, joined).unwrap();
    assert_eq!(verify(folder.path(), &text, both.to_str().unwrap()).0, 0);
}

#[test]
fn a_file_that_is_not_there_is_wrong_use_and_not_an_invalid_proof() {
    let folder = tempfile::tempdir().unwrap();
    let (text, _) = proof_and_trust(folder.path(), 365);
    let missing = folder.path().join("missing.card");
    assert_eq!(verify(folder.path(), &text, missing.to_str().unwrap()).0, 64);
}

#[test]
fn a_sheet_is_imported_with_the_node_stopped_and_a_second_time_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = init(folder.path(), "kunming", "530100", true);
    let sheet = folder.path().join("sheet.csv");
    std::fs::write(
        &sheet,
        "姓名,证件号码,活动名称,服务内容,服务地点,开始时间,结束时间,服务时长,组织单位\n\
         测试甲,11010119000101001X,河道清洁,清理垃圾,盘龙江,2025-01-04 09:00,2025-01-04 11:30,2.5,样例服务队\n\
         测试乙,110101190001010011,河道清洁,清理垃圾,盘龙江,2025-01-04 09:00,2025-01-04 11:30,2.5,样例服务队\n",
    )
    .unwrap();
    let report = folder.path().join("refused.xlsx");
    let args = ["--json", "import", sheet.to_str().unwrap(), "--report", report.to_str().unwrap()];
    let first = yunling(&home.path, &args);
    let value = object(&first);
    assert_eq!(code(&first), 0, "{value}");
    assert_eq!(value["rows"], 2);
    assert_eq!(value["refused_rows"].as_array().unwrap().len() as u64, value["refused"].as_u64().unwrap());
    assert!(value["records_added"].as_u64().unwrap() <= 1, "a wrong check digit is refused");
    assert!(report.exists());
    let second = yunling(&home.path, &args);
    assert_eq!((code(&second), &object(&second)["records_added"]), (0, &0.into()));
}

#[test]
fn a_sheet_that_cannot_be_read_is_refused_and_a_wrong_map_is_wrong_use() {
    let folder = tempfile::tempdir().unwrap();
    let home = init(folder.path(), "kunming", "530100", true);
    let missing = yunling(&home.path, &["--json", "import", "/no/such/sheet.xlsx"]);
    assert_eq!((code(&missing), &object(&missing)["error"]["code"]), (1, &"sheet-io".into()));
    let map = yunling(&home.path, &["--json", "import", "x.xlsx", "--map", "列=nothing"]);
    assert_eq!((code(&map), &object(&map)["error"]["code"]), (64, &"sheet-map-field".into()));
}

#[test]
fn completions_are_made_for_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = yunling(folder.path(), &["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains("yunling"), "{shell}");
    }
}
