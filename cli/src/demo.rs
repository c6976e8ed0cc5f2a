//! The demo: three offices as separate processes on loopback, one legacy sheet, one move, one visit,
//! one proof, one void. Prints each step, or one JSON object with the figures.

mod attack;
mod offices;
mod sample;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yunling_node::clock::Clock;
use yunling_protocol::proof::{self, Verdict};

use crate::failure::{Exit, Failure};
use crate::files::{self, MODE_PRIVATE, MODE_PUBLIC};
use crate::output::Output;
use crate::show::text;
use crate::words::Fields;
use offices::Offices;

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stop the offices at the end.
    #[arg(long)]
    exit: bool,
    /// What three attacks come to.
    #[arg(long)]
    attack: bool,
    /// Keep what it made here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Longest any step may take: a cold and busy two-core machine needs seconds.
const STEP_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// Plays the demo.
pub(crate) async fn run(args: Args, out: &Output) -> ExitCode {
    match demo(&args, out).await {
        Ok(()) => Exit::Yes.into(),
        Err(failure) => out.fail(&failure),
    }
}

async fn demo(args: &Args, out: &Output) -> Result<(), Failure> {
    let temporary;
    let folder = match &args.out {
        Some(path) => files::absolute(path)?,
        None => {
            let made = tempfile::Builder::new().prefix("yunling-demo-").tempdir();
            temporary = made.map_err(|e| Failure::new("file-write").with("path", "tmp").with("cause", e))?;
            temporary.path().to_path_buf()
        }
    };
    std::fs::create_dir_all(&folder)
        .map_err(|e| Failure::new("file-write").with("path", folder.display()).with("cause", e))?;
    // Dropped on every way out: the offices never outlive the demo.
    let mut offices = Offices::start(&folder).await?;
    let result = if args.attack {
        attack::play(out, &mut offices, &folder).await?
    } else {
        play(out, &offices, &folder).await?
    };
    out.object(&result);
    if args.out.is_some() || !args.exit {
        say(out, "demo-kept", &json!({ "out": folder.display().to_string() }));
    }
    if !args.exit {
        say(out, "demo-talk", &json!({ "home": offices.home("kunming").display().to_string() }));
        // Ctrl-C reaches the offices too; they stop by themselves.
        let _ = tokio::signal::ctrl_c().await;
    }
    Ok(())
}

fn say(out: &Output, key: &str, value: &Value) {
    let entries = value.as_object().into_iter().flatten();
    let fields: Fields = entries.map(|(k, _)| (k.clone(), text(value, k))).collect();
    out.say(key, &fields);
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let card = path.extension().is_some_and(|e| e == "card");
    files::write(path, bytes, if card { MODE_PUBLIC } else { MODE_PRIVATE })
}

/// Waits until `done` gives a value.
async fn until<T>(
    what: &'static str,
    mut done: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let began = Instant::now();
    loop {
        if let Some(value) = done().await? {
            return Ok(value);
        }
        if began.elapsed() > STEP_MAX {
            return Err(Failure::new("demo-slow").with("step", what));
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn play(output: &Output, offices: &Offices, out: &Path) -> Result<Value, Failure> {
    offices.peer_all().await?;
    say(output, "demo-offices", &json!({}));
    let sheet = out.join("legacy-530100.csv");
    write_file(&sheet, sample::sheet().as_bytes())?;
    let imported = offices.call("kunming", "import", json!({ "path": sheet })).await?;
    say(output, "demo-import", &json!({ "rows": imported["rows"], "records": imported["records_added"] }));
    let before = dossier(offices, "kunming", sample::NUMBER).await?;
    let id = plain(&before["dossier"]);
    let view = json!({ "hours": before["hours"], "minutes": before["counted_minutes"], "stars": before["stars_due"] });
    say(output, "demo-before", &view);
    let card = offices.call("kunming", "volunteer/card", json!({ "volunteer": id })).await?;

    let moved = move_dossier(offices, &id).await?;
    say(output, "demo-moved", &moved);
    let after_visit = visit(offices, &id, &card["card"]).await?;
    let view = json!({ "hours": after_visit["hours"], "stars": after_visit["stars_due"] });
    say(output, "demo-visit", &view);

    let text = issue(offices, out, &id).await?;
    let verdict = check(out, &text)?;
    let png = out.join("proof.png").display().to_string();
    let bytes = text.len() / 3 * 2;
    say(output, "demo-proof", &json!({ "verdict": verdict["verdict"], "bytes": bytes, "png": png }));
    let tampered = check(out, &tamper(&text))?;
    say(output, "demo-tampered", &json!({ "verdict": tampered["verdict"] }));

    let after_void = void(offices, &id, &before).await?;
    let view = json!({ "hours": after_void["hours"], "review": after_void["star_review"] });
    say(output, "demo-void", &view);
    let later = check(out, &text)?;
    say(output, "demo-later", &later);
    export(offices, out, &id).await?;
    Ok(json!({
        "moved_minutes": moved["counted_minutes"], "after_visit_minutes": after_visit["counted_minutes"],
        "stars_due": after_visit["stars_due"], "after_void_minutes": after_void["counted_minutes"],
        "star_review": after_void["star_review"], "proof": later["verdict"], "tampered": tampered["verdict"],
        "custodians": custodians(offices, &id).await?, "before_stars_due": before["stars_due"],
        "imported_rows": imported["rows"], "proof_chars": text.len(), "out": out.display().to_string(),
    }))
}

async fn dossier(offices: &Offices, office: &str, volunteer: &str) -> Result<Value, Failure> {
    offices.call(office, "dossier/show", json!({ "volunteer": volunteer })).await
}

async fn move_dossier(offices: &Offices, id: &str) -> Result<Value, Failure> {
    let slip =
        offices.call("kunming", "transfer/authorize", json!({ "volunteer": id, "to": "dali" })).await?;
    let start = json!({ "from": "kunming", "code": slip["code"] });
    let transfer = offices.call("dali", "transfer/start", start).await?["transfer"].clone();
    for office in ["dali", "kunming"] {
        until("move", async || {
            match offices.call(office, "transfer/show", json!({ "transfer": transfer })).await {
                Ok(view) if view["stage"] == "completed" => Ok(Some(())),
                Ok(view) if view["stage"] == "cancelled" || view["stage"] == "needs-attention" => {
                    Err(Failure::new(plain(&view["reason"]))
                        .with("dossier", id)
                        .with("transfer", plain(&transfer)))
                }
                Ok(_) => Ok(None),
                // The old office hears of the transfer only with the first message.
                Err(f) if f.code == "transfer-unknown" => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await?;
    }
    dossier(offices, "dali", id).await
}

async fn visit(offices: &Offices, id: &str, card: &Value) -> Result<Value, Failure> {
    let record = json!({
        "card": card, "activity": "抚仙湖环保行动", "organization": "抚仙湖志愿服务队", "place": "澄江市抚仙湖",
        "division": "530400", "content": "湖岸清洁与宣传", "category": "0006", "start": "2026-03-05 08:00",
        "end": "2026-03-05 20:30", "minutes": 750, "grade": "B", "entry_way": "时长码",
    });
    offices.call("yuxi", "record", record).await?;
    wait_minutes(offices, id, 18_000).await
}

async fn wait_minutes(offices: &Offices, id: &str, minutes: u64) -> Result<Value, Failure> {
    until("delivery", async || {
        let view = dossier(offices, "dali", id).await?;
        Ok((view["counted_minutes"] == minutes).then_some(view))
    })
    .await
}

async fn issue(offices: &Offices, out: &Path, id: &str) -> Result<String, Failure> {
    let request = json!({ "volunteer": id, "at_least_minutes": 18_000, "with_name": true });
    let issued = offices.call("dali", "proof/issue", request).await?;
    let text = plain(&issued["proof"]);
    write_file(&out.join("proof.txt"), format!("{text}\n").as_bytes())?;
    write_file(&out.join("proof.png"), &yunling_node::qr::png(&text)?)?;
    let card = offices.call("dali", "peer/card", json!({})).await?;
    write_file(&out.join("trust.card"), format!("{}\n", plain(&card["card"])).as_bytes())?;
    Ok(text)
}

/// Verifies offline, from the files alone.
fn check(out: &Path, text: &str) -> Result<Value, Failure> {
    let trust = crate::trust::Trust::read(&[out.join("trust.card")])?;
    let checked = proof::verify(text, &trust.members, Clock::for_home(true).now());
    let verdict = match checked.verdict() {
        Verdict::Valid => "valid",
        Verdict::Invalid => "invalid",
        Verdict::CannotTell => "cannot-tell",
    };
    let issued = checked.claims.map(|c| c.issued.day().to_string());
    Ok(json!({ "verdict": verdict, "why": checked.why.code(), "issued": issued }))
}

/// The text with one byte of the token changed, still well-formed Base45.
fn tamper(text: &str) -> String {
    let mut bytes = yunling_protocol::base45::decode(&text[proof::PREFIX.len()..]).unwrap_or_default();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    format!("{}{}", proof::PREFIX, yunling_protocol::base45::encode(&bytes))
}

async fn void(offices: &Offices, id: &str, before: &Value) -> Result<Value, Failure> {
    let statements: Vec<&Value> = before["statements"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|s| s["activity"] == sample::DUTY)
        .map(|s| &s["id"])
        .collect();
    let request = json!({
        "volunteer": id, "statements": statements, "reason": "not-volunteer-service",
        "note": "值班属职务行为（67号第十九条）",
    });
    offices.call("kunming", "void", request).await?;
    wait_minutes(offices, id, 16_500).await
}

async fn export(offices: &Offices, out: &Path, id: &str) -> Result<(), Failure> {
    let exported = offices.call("dali", "dossier/export", json!({ "volunteer": id })).await?;
    let text = plain(&exported["bundle"]);
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|e| Failure::new("http").with("status", "bundle").with("body", e))?;
    write_file(&out.join("dossier.bundle"), &bytes)?;
    Ok(())
}

/// How many offices may append to the dossier now.
async fn custodians(offices: &Offices, id: &str) -> Result<u64, Failure> {
    let mut count = 0;
    for office in offices::NAMES {
        match dossier(offices, office, id).await {
            Ok(view) if plain(&view["custody"]) == format!("held:{office}") => count += 1,
            Ok(_) => {}
            Err(f) if f.code == "dossier-unknown" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
