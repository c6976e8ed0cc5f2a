//! `import`: a legacy sheet into the register and the dossiers, through the running node or, with
//! the node stopped, in this process. The sheet was read: exit 0, whatever rows it refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;
use yunling_node::home::Home;
use yunling_node::service::Node;
use yunling_node::service::import::ImportRequest;
use yunling_node::sheet::{
    Finding, Judged, Options, Outcome, ReasonHeaders, Verdict, read_sheet, write_refused_xlsx,
};

use super::Context;
use crate::control::IMPORT_WITHIN;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::show::{flag, list, number, text};
use crate::words::{Fields, fields};

/// Findings shown to a person; `--json` and `--report` hold all of them.
const FINDINGS_SHOWN_MAX: usize = 200;
/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);
/// Name under which a reason travels to the writer of the report.
const REASON: &str = "reason";

/// Options of `import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The sheet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Worksheet.
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Columns named by hand.
    #[arg(long, value_name = "列名=field")]
    map: Vec<String>,
    /// Judge only.
    #[arg(long)]
    dry_run: bool,
    /// Words of the consent's basis.
    #[arg(long, value_name = "TEXT")]
    basis: Option<String>,
    /// Sheet of refused rows.
    #[arg(long, value_name = "FILE.xlsx")]
    report: Option<PathBuf>,
}

/// Imports.
pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let request = ImportRequest {
        path: files::absolute(&args.file)?,
        sheet: args.sheet,
        map: columns(&args.map)?,
        dry_run: args.dry_run,
        basis: args.basis,
    };
    // Before anything is recorded: a report that cannot be written is known too late otherwise.
    if let Some(report) = &args.report {
        check_report(report, &request.path)?;
    }
    let spinner = spinner(context.out);
    let answer = import(context, &request).await;
    spinner.finish_and_clear();
    let mut answer = answer?;
    if let Some(report) = &args.report {
        let written = write_report(context.out, report, &request, &answer)?;
        answer["report"] = report.display().to_string().into();
        answer["report_rows"] = written.into();
    }
    context.out.object(&answer);
    show(context.out, &answer);
    Ok(Exit::Yes)
}

fn columns(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut map = BTreeMap::new();
    for argument in given {
        // Checked here too, so that a wrong option is wrong use and not a refused sheet.
        Options::default().map_column(argument).map_err(|e| Failure::from(e).exit(Exit::Usage))?;
        if let Some((column, field)) = argument.split_once(['=', '＝']) {
            map.insert(column.trim().to_owned(), field.trim().to_owned());
        }
    }
    Ok(map)
}

fn check_report(report: &Path, source: &Path) -> Result<(), Failure> {
    let shown = report.display();
    let same = std::fs::canonicalize(report).ok().zip(std::fs::canonicalize(source).ok());
    if same.is_some_and(|(report, source)| report == source) {
        return Err(Failure::usage("refused-over-source").with("path", shown));
    }
    let folder = report.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Failure::usage("refused-io").with("path", shown).with("cause", "no such folder"));
    }
    Ok(())
}

fn spinner(out: &Output) -> ProgressBar {
    // Drawn on stderr, and only when that is a terminal.
    let spinner = ProgressBar::new_spinner().with_message(out.words.word("import-works"));
    spinner.enable_steady_tick(TICK);
    spinner
}

async fn import(context: &Context<'_>, request: &ImportRequest) -> Result<Value, Failure> {
    let body = serde_json::to_value(request).map_err(|e| Failure::new("internal").with("cause", e))?;
    match context.control()?.call_within("import", body, IMPORT_WITHIN).await {
        Err(failure) if failure.code == "node-unreachable" => {}
        answer => return answer,
    }
    let (path, request) = (context.home()?, request.clone());
    let work = move || -> Result<Value, Failure> {
        let node = Node::open(Home::open(&path)?)?;
        Ok(node.import(&request)?)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Failure::new("internal").with("cause", e)))
}

/// The words of a finding.
fn words_of(out: &Output, finding: &Value) -> String {
    let values = finding.get("values").and_then(Value::as_object);
    let values: Fields = values.into_iter().flatten().map(|(k, v)| (k.clone(), plain(v))).collect();
    out.words.finding(&text(finding, "code"), &values)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Writes the refused rows back with their reasons, in the language of the command.
fn write_report(
    out: &Output,
    report: &Path,
    request: &ImportRequest,
    answer: &Value,
) -> Result<usize, Failure> {
    let mut options = Options { sheet: request.sheet.clone(), ..Options::default() };
    for (column, field) in &request.map {
        options.map_column(&format!("{column}={field}"))?;
    }
    let table = read_sheet(&request.path, &options)?;
    let refused = list(answer, "refused_rows").iter().filter_map(|row| u32::try_from(row.as_u64()?).ok());
    let judged = Judged {
        verdicts: refused.map(|row| refused_row(out, row, answer)).collect(),
        skipped: vec![],
        empty_rows: 0,
    };
    let (row, reason) = (out.words.word("head-row"), out.words.word("head-reason"));
    let headers = ReasonHeaders { row: &row, reason: &reason };
    let words = |finding: &Finding| finding.values.get(REASON).cloned().unwrap_or_default();
    Ok(write_refused_xlsx(&judged, &table, report, headers, words)?)
}

fn refused_row(out: &Output, row: u32, answer: &Value) -> Verdict {
    let of_row = |f: &&Value| number(f, "row") == u64::from(row) && text(f, "effect") == "refused";
    let reasons = list(answer, "findings").iter().filter(of_row).map(|finding| {
        let column = text(finding, "column");
        let words = words_of(out, finding);
        let reason = if column.is_empty() { words } else { format!("{column}: {words}") };
        Finding {
            field: None,
            outcome: Outcome::Refused,
            code: REASON,
            values: BTreeMap::from([(REASON, reason)]),
        }
    });
    Verdict { row, outcome: Outcome::Refused, findings: reasons.collect(), record: None }
}

fn show(out: &Output, answer: &Value) {
    let findings = list(answer, "findings");
    let row = |finding: &Value| {
        vec![
            text(finding, "row"),
            out.words.of("outcome", &text(finding, "outcome")),
            text(finding, "column"),
            words_of(out, finding),
        ]
    };
    if !findings.is_empty() {
        let shown = findings.iter().take(FINDINGS_SHOWN_MAX).map(row).collect();
        out.table(&["row", "result", "column", "reason"], &["row"], shown);
    }
    if let Some(more) = findings.len().checked_sub(FINDINGS_SHOWN_MAX).filter(|n| *n > 0) {
        out.say("import-more", &fields([("count", more)]));
    }
    let skipped = number(answer, "skipped_blank") + number(answer, "skipped_total");
    let keys = ["rows", "accepted", "repaired", "flagged", "refused", "duplicate", "records_added", "people"];
    let mut values: Fields = keys.iter().map(|key| (key.replace('_', "-"), text(answer, key))).collect();
    values.extend(fields([("skipped", skipped)]));
    values
        .extend(fields([("minutes", text(answer, "minutes_total")), ("hours", text(answer, "hours_total"))]));
    out.say("import-rows", &values);
    out.say(if flag(answer, "dry_run") { "import-would-add" } else { "import-added" }, &values);
    if answer.get("report").is_some() {
        out.say(
            "import-report",
            &fields([("file", text(answer, "report")), ("rows", text(answer, "report_rows"))]),
        );
    }
}
