//! `proof`: proofs issued by the running node; `proof verify` is in [`super::verify`].

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::proof::PREFIX;

use super::{Context, verify};
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::show::{list, text};
use crate::words::fields;

/// Acts on proofs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Issues a proof.
    Issue(IssueArgs),
    /// Proofs of a dossier.
    List {
        /// Dossier id, identity number, or name.
        #[arg(value_name = "REF")]
        volunteer: String,
    },
    /// Adds its place in the log.
    Receipt(ReceiptArgs),
    /// Withdraws one for ever.
    Revoke(RevokeArgs),
    /// Verifies a proof, without a node.
    Verify(verify::Args),
}

/// Options of `proof issue`.
#[derive(Debug, clap::Args)]
pub(crate) struct IssueArgs {
    /// Dossier id, identity number, or name.
    #[arg(value_name = "REF")]
    volunteer: String,
    /// At least so many hours; more cannot be read from the proof.
    #[arg(long, value_name = "HOURS", value_parser = whole_minutes)]
    at_least: Option<Minutes>,
    /// The exact hours, which is the default.
    #[arg(long, conflicts_with = "at_least")]
    exact: bool,
    /// With the full name.
    #[arg(long)]
    with_name: bool,
    /// For whom.
    #[arg(long, value_name = "TEXT")]
    audience: Option<String>,
    /// Days it is valid.
    #[arg(long, value_name = "COUNT")]
    days: Option<u64>,
    /// Certificate number.
    #[arg(long, value_name = "TEXT")]
    number: Option<String>,
    /// File of the text.
    #[arg(long, value_name = "FILE.txt")]
    out: Option<PathBuf>,
    /// File of the QR picture.
    #[arg(long, value_name = "FILE.png")]
    png: Option<PathBuf>,
}

/// Options of `proof receipt`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReceiptArgs {
    /// The text, or a file of it.
    #[arg(value_name = "TEXT|FILE")]
    proof: String,
    /// File of the text.
    #[arg(long, value_name = "FILE.txt")]
    out: Option<PathBuf>,
    /// File of the QR picture.
    #[arg(long, value_name = "FILE.png")]
    png: Option<PathBuf>,
}

/// Options of `proof revoke`.
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// Code, text, or a file of the text.
    #[arg(value_name = "CODE|TEXT|FILE")]
    proof: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Hours with at most two decimals as whole minutes; there is no other unit of account.
fn whole_minutes(text: &str) -> Result<Minutes, String> {
    let wrong =
        || format!("`{text}` is not a number of hours that makes whole minutes, such as 300 or 287.5");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return Err(wrong());
    }
    let hundredths: u64 = format!("{part:0<2}").parse().map_err(|_| wrong())?;
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let minutes =
        whole.checked_mul(60).and_then(|m| m.checked_add(hundredths * 60 / 100)).ok_or_else(wrong)?;
    if (hundredths * 60).is_multiple_of(100) { Ok(Minutes(minutes)) } else { Err(wrong()) }
}

/// Acts.
pub(crate) async fn run(verb: Verb, context: &Context<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Issue(args) => issue(args, context).await,
        Verb::List { volunteer } => listed(&volunteer, context).await,
        Verb::Receipt(args) => receipt(&args, context).await,
        Verb::Revoke(args) => revoke(&args, context).await,
        Verb::Verify(args) => verify::run(&args, context).await,
    }
}

async fn issue(args: IssueArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    // Without `--at-least` the proof is exact, said so or not.
    let least = args.at_least.filter(|_| !args.exact).map(|m| m.0);
    let body = json!({
        "volunteer": args.volunteer, "at_least_minutes": least, "audience": args.audience,
        "with_name": args.with_name, "days": args.days, "number": args.number,
    });
    let out = context.out;
    let mut answer = context.call("proof/issue", body).await?;
    let proof = text(&answer, "proof");
    write_files(&mut answer, &proof, args.out.as_deref(), args.png.as_deref())?;
    out.object(&answer);
    let values = fields([
        ("hours", text(&answer, "hours")),
        ("minutes", text(&answer, "minutes")),
        ("expires", text(&answer, "expires")),
        ("chars", text(&answer, "chars")),
        ("bytes", text(&answer, "bytes")),
    ]);
    out.say(&format!("proof-issued-{}", text(&answer, "amount")), &values);
    for node in list(&answer, "recorders").iter().filter_map(Value::as_str) {
        out.say("proof-recorder", &fields([("title", node), ("node", node)]));
    }
    say_files(out, &answer, &proof);
    out.say("proof-code", &fields([("code", text(&answer, "code"))]));
    Ok(Exit::Yes)
}

async fn receipt(args: &ReceiptArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let body = json!({ "proof": given(&args.proof)?.trim() });
    let mut answer = context.call("proof/receipt", body).await?;
    let proof = text(&answer, "proof");
    write_files(&mut answer, &proof, args.out.as_deref(), args.png.as_deref())?;
    let out = context.out;
    out.object(&answer);
    let keys = ["origin", "size", "index", "witnesses"];
    out.say("proof-receipt", &fields(keys.map(|key| (key, text(&answer, key)))));
    say_files(out, &answer, &proof);
    Ok(Exit::Yes)
}

/// Writes text and picture where they were asked for, and puts the places into the answer.
fn write_files(
    answer: &mut Value,
    proof: &str,
    out: Option<&Path>,
    png: Option<&Path>,
) -> Result<(), Failure> {
    if let Some(file) = out {
        files::write(file, format!("{proof}\n").as_bytes(), files::MODE_PRIVATE)?;
        answer["out"] = file.display().to_string().into();
    }
    if let Some(file) = png {
        files::write(file, &yunling_node::qr::png(proof)?, files::MODE_PRIVATE)?;
        answer["png"] = file.display().to_string().into();
    }
    Ok(())
}

/// Names the files written, and shows the text where it went into none.
fn say_files(out: &Output, answer: &Value, proof: &str) {
    for key in ["out", "png"].iter().filter(|key| answer.get(**key).is_some()) {
        out.say("cli-written", &fields([("file", text(answer, key))]));
    }
    if answer.get("out").is_none() {
        out.line(proof);
    }
}

/// The text of a proof, or of a file of it.
fn given(proof: &str) -> Result<String, Failure> {
    if proof.starts_with(PREFIX) {
        return Ok(proof.to_owned());
    }
    files::read_text(Path::new(proof), verify::PROOF_BYTES_MAX)
}

async fn listed(volunteer: &str, context: &Context<'_>) -> Result<Exit, Failure> {
    let out = context.out;
    let answer = context.call("proof/list", json!({ "volunteer": volunteer })).await?;
    out.object(&answer);
    let row = |p: &Value| {
        let hours = fields([("hours", text(p, "hours")), ("minutes", text(p, "minutes"))]);
        vec![
            text(p, "code"),
            text(p, "issued"),
            text(p, "expires"),
            // Of a record that moved away long ago only the status is left.
            if p["amount"].is_null() {
                String::new()
            } else {
                out.words.say(&format!("verify-{}", text(p, "amount")), &hours)
            },
            out.words.of("status", &text(p, "status")),
            text(p, "since"),
            text(p, "reason"),
        ]
    };
    let rows: Vec<_> = list(&answer, "proofs").iter().map(row).collect();
    if rows.is_empty() {
        out.say("proof-none", &fields::<&str, 0>([]));
    } else {
        out.table(&["code", "issued", "expires", "amount", "status", "since", "reason"], &[], rows);
    }
    Ok(Exit::Yes)
}

async fn revoke(args: &RevokeArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    // A code has a slash as a path has: what is there as a file is read.
    let path = Path::new(&args.proof);
    let given = args.proof.starts_with(PREFIX) || !path.is_file();
    let proof = if given { args.proof.clone() } else { files::read_text(path, verify::PROOF_BYTES_MAX)? };
    let answer =
        context.call("proof/revoke", json!({ "proof": proof.trim(), "reason": args.reason })).await?;
    context.out.object(&answer);
    context.out.say("proof-revoked", &fields([("code", text(&answer, "code"))]));
    Ok(Exit::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_taken_only_when_they_make_whole_minutes() {
        assert_eq!(whole_minutes("300"), Ok(Minutes(18_000)));
        assert_eq!(whole_minutes("287.5"), Ok(Minutes(17_250)));
        assert_eq!(whole_minutes("0.05"), Ok(Minutes(3)));
        for wrong in ["0.33", "1.234", "-1", "", ".5", "1.", "1e3", "999999999999999999999"] {
            assert!(whole_minutes(wrong).is_err(), "{wrong}");
        }
    }
}
