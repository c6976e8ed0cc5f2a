//! Measurements, each as a ratio to a limit measured in the same run; medians of several rounds.

use std::process::ExitCode;

use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds of each measurement.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
}

/// Rounds when nothing is said: an odd number, so that the median is a measured one.
const ROUNDS: usize = 7;

/// Prints the measurements.
pub(crate) async fn run(args: Args, out: &Output) -> ExitCode {
    let rounds = args.rounds.unwrap_or(ROUNDS).max(1);
    let measured = tokio::task::spawn_blocking(move || yunling_node::bench::all(rounds)).await;
    let lines = match measured {
        Ok(Ok(lines)) => lines,
        Ok(Err(refusal)) => return out.fail(&refusal.into()),
        Err(cause) => return out.fail(&Failure::new("internal").with("cause", cause)),
    };
    let object: serde_json::Map<_, _> = lines
        .iter()
        .map(|l| {
            (
                l.name.to_owned(),
                json!({ "value": l.value, "unit": l.unit, "limit": l.limit, "ratio": l.ratio }),
            )
        })
        .collect();
    out.object(&serde_json::Value::Object(object));
    for l in &lines {
        let ratio = l.ratio.map(|r| format!("{r:.2} ×")).unwrap_or_default();
        out.line(&format!("{:<28} {:>10.1} {:<8} {ratio:>9}  {}", l.name, l.value, l.unit, l.limit));
    }
    Exit::Yes.into()
}
