//! Many seeds, one seed with its trace, or the deliberate defects.
//!
//! Ends with 0 only when nothing was violated, or when every defect was caught.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::{ProgressBar, ProgressStyle};
use yunling_simulations::checking::{self, Limits};
use yunling_simulations::faults::Fault;
use yunling_simulations::mutants::{CAUGHT_WITHIN_SEEDS, Mutant};
use yunling_simulations::node::Cast;
use yunling_simulations::run::{self, Summary};

/// Failed seeds shown.
const SHOWN_MAX: usize = 20;

/// 模拟多个节点 · Simulates many nodes.
#[derive(Debug, Parser)]
#[command(name = "yunling-simulations")]
struct Args {
    /// 种子数 · How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    seeds: u64,
    /// 第一个种子 · The first seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// 线程数，默认每核一个 · Threads; one for each core if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// 只跑一个种子 · Run one seed only.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// 打印全过程 · Print every event of the one seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// 失败的种子写入 regressions.txt · Append failing seeds to regressions.txt.
    #[arg(long)]
    record: bool,
    /// 带一个故意的缺陷运行 · Run with one deliberate defect.
    #[arg(long, value_name = "NAME", conflicts_with = "mutants")]
    mutant: Option<String>,
    /// 逐个检查所有缺陷是否被发现 · Check that every defect is caught.
    #[arg(long)]
    mutants: bool,
    /// 模型检查托管状态机 · Model-check the custody machine.
    #[arg(long)]
    model: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mutant = match args.mutant.as_deref().map(|name| (name, Mutant::by_name(name))) {
        None => None,
        Some((_, Some(mutant))) if mutant.built() => Some(mutant),
        Some((name, Some(_))) => return refuse(&needs_feature(name)),
        Some((name, None)) => {
            let known: Vec<&str> = Mutant::ALL.iter().map(|m| m.name()).collect();
            return refuse(&format!(
                "没有缺陷“{name}” · no defect `{name}`; 可选 known: {}",
                known.join(", ")
            ));
        }
    };
    if args.model {
        return model(args.jobs);
    }
    if args.mutants {
        return all_mutants();
    }
    match (args.seed, mutant) {
        (Some(seed), mutant) => one(seed, mutant, args.trace),
        (None, Some(mutant)) => table_of_mutants(&[mutant]),
        (None, None) => many(&args),
    }
}

fn model(jobs: Option<usize>) -> ExitCode {
    let report = checking::check(Limits::FULL, threads(jobs));
    print!("{report}");
    if report.broken.is_empty() && report.never.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn threads(jobs: Option<usize>) -> usize {
    jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn refuse(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(2)
}

fn needs_feature(name: &str) -> String {
    format!(
        "缺陷“{name}”需要 --features mutants 编译 · the defect `{name}` needs a build with --features mutants"
    )
}

fn one(seed: u64, mutant: Option<Mutant>, trace: bool) -> ExitCode {
    let outcome = run::one(&Cast::new(), seed, mutant, trace);
    print!("{}", outcome.trace);
    match outcome.violation {
        Some(violation) => {
            println!("种子 seed {seed}: {violation}");
            ExitCode::FAILURE
        }
        None => {
            println!("种子 seed {seed}: 无违例 no violation");
            ExitCode::SUCCESS
        }
    }
}

fn bar(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what.to_owned());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn many(args: &Args) -> ExitCode {
    let jobs = threads(args.jobs);
    let began = Instant::now();
    let bar = bar(args.seeds, "种子 seeds");
    let summary = run::many(args.from, args.seeds, jobs, |done| bar.set_position(done));
    bar.finish_and_clear();
    println!("{}", summary_table(&summary));
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{seconds:.1} s, {:.0} 种子每秒 seeds/s, {jobs} 线程 threads",
        summary.seeds as f64 / seconds.max(0.001)
    );
    for (seed, violation) in summary.failed.iter().take(SHOWN_MAX) {
        println!("种子 seed {seed}: {violation}");
    }
    if summary.failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("重放 replay: cargo run --release -p yunling-simulations -- --seed N --trace");
    if args.record
        && let Err(error) = record(&summary)
    {
        eprintln!("regressions.txt: {error}");
    }
    ExitCode::FAILURE
}

fn summary_table(summary: &Summary) -> Table {
    let t = &summary.tally;
    let mut table = Table::new();
    table.load_style(NOTHING);
    let rows = [
        ("种子 seeds", summary.seeds),
        ("步 steps", t.steps),
        ("操作 acts acknowledged", t.acts),
        ("转移完成 moves completed", t.moves),
        ("经见证的转移 moves under witnesses", t.witnessed),
        ("转移取消 moves cancelled", t.cancelled),
        ("送达 deliveries", t.deliveries),
        ("改投 redirects", t.redirects),
        ("更正与撤销 corrections and voids", t.changes),
        ("证明 proofs", t.proofs),
        ("撤回或取代 withdrawn", t.withdrawn),
        ("多次恢复后停滞 stuck after several restores", t.stuck),
        ("恢复后投递无门 deliveries astray after a restore", t.astray),
        ("报告遗失 dossiers reported lost", t.lost),
        ("由见证节点解除隔离 fences opened by witnesses", t.rejoined),
        ("因日志中的封存而关闭 dossiers closed for a forgotten seal", t.closed),
        ("人工重新打开 dossiers reopened by a person", t.reopened),
        ("写入冲突 conflicts", t.conflicts),
        ("崩溃 crashes", t.crashes),
    ];
    for (word, count) in rows {
        table.add_row([word.to_owned(), count.to_string()]);
    }
    for fault in Fault::ALL {
        table.add_row([format!("故障 fault: {}", fault.word()), t.injected.of(fault).to_string()]);
    }
    table.add_row(["违例 violations".to_owned(), summary.failed.len().to_string()]);
    table
}

/// Appends failing seeds that are not listed yet.
fn record(summary: &Summary) -> std::io::Result<()> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions.txt");
    let listed = std::fs::read_to_string(&path).unwrap_or_default();
    let listed: BTreeSet<u64> =
        listed.lines().filter_map(|l| l.split_whitespace().next()?.parse().ok()).collect();
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    for (seed, violation) in summary.failed.iter().filter(|(seed, _)| !listed.contains(seed)) {
        writeln!(file, "{seed} # {}", violation.invariant)?;
    }
    Ok(())
}

fn all_mutants() -> ExitCode {
    if let Some(missing) = Mutant::ALL.into_iter().find(|m| !m.built()) {
        return refuse(&needs_feature(missing.name()));
    }
    table_of_mutants(&Mutant::ALL)
}

fn table_of_mutants(mutants: &[Mutant]) -> ExitCode {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["缺陷 defect", "首个种子 first seed", "不变量 invariant"]);
    let mut caught = 0;
    for mutant in mutants {
        let bar = bar(CAUGHT_WITHIN_SEEDS, mutant.name());
        let found = run::hunt(*mutant, |seed| bar.set_position(seed));
        bar.finish_and_clear();
        caught += usize::from(found.is_some());
        let row = match found {
            Some((seed, violation)) => [seed.to_string(), violation.invariant.to_owned()],
            None => ["未发现 not caught".to_owned(), "—".to_owned()],
        };
        let [seed, invariant] = row;
        table.add_row([mutant.name().to_owned(), seed, invariant]);
    }
    println!("{table}");
    println!("{caught}/{} 已发现 caught, 上限 within {CAUGHT_WITHIN_SEEDS} 种子 seeds", mutants.len());
    if caught == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
