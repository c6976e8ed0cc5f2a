//! `record`: one service of one volunteer, held here or at another office.

use serde_json::json;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::show::{flag, list, text};
use crate::words::{Fields, fields};

/// Options of `record`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dossier id, identity number, name, or card of a volunteer.
    #[arg(value_name = "REF|CARD")]
    volunteer: String,
    /// Activity name.
    #[arg(long, value_name = "TEXT")]
    activity: String,
    /// Recording unit.
    #[arg(long, value_name = "TEXT")]
    organization: String,
    /// Its unified social credit code.
    #[arg(long, value_name = "CODE")]
    uscc: Option<String>,
    /// Unit that guides it.
    #[arg(long, value_name = "TEXT")]
    guided_by: Option<String>,
    /// Place.
    #[arg(long, value_name = "TEXT")]
    place: String,
    /// Division of the place.
    #[arg(long, value_name = "CODE")]
    division: Option<String>,
    /// What was done.
    #[arg(long, value_name = "TEXT")]
    content: String,
    /// Category.
    #[arg(long, value_name = "CODE")]
    category: Option<String>,
    /// Position.
    #[arg(long, value_name = "TEXT")]
    position: Option<String>,
    /// Start.
    #[arg(long, value_name = "TIME", required_unless_present = "day")]
    start: Option<String>,
    /// End.
    #[arg(long, value_name = "TIME", requires = "start")]
    end: Option<String>,
    /// Day without clock times.
    #[arg(long, value_name = "DAY", conflicts_with_all = ["start", "end"], requires = "minutes")]
    day: Option<String>,
    /// Minutes.
    #[arg(long, value_name = "COUNT")]
    minutes: Option<u64>,
    /// Evidence grade.
    #[arg(long, value_name = "A-E")]
    grade: Option<String>,
    /// Entry way.
    #[arg(long, value_name = "WORD")]
    entry_way: Option<String>,
    /// Campaign.
    #[arg(long, value_name = "TEXT")]
    campaign: Option<String>,
    /// Not as part of a job.
    #[arg(long)]
    off_duty: bool,
    /// Person in charge.
    #[arg(long, value_name = "NAME")]
    in_charge: Option<String>,
}

/// Records.
pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let (volunteer, card) = if args.volunteer.contains('@') {
        (None, Some(args.volunteer))
    } else {
        (Some(args.volunteer), None)
    };
    let body = json!({
        "volunteer": volunteer, "card": card, "activity": args.activity, "organization": args.organization,
        "uscc": args.uscc, "guided_by": args.guided_by, "place": args.place, "division": args.division,
        "content": args.content, "category": args.category, "position": args.position, "start": args.start,
        "end": args.end, "day": args.day, "minutes": args.minutes, "grade": args.grade,
        "entry_way": args.entry_way, "campaign": args.campaign, "off_duty": args.off_duty,
        "in_charge": args.in_charge,
    });
    let out = context.out;
    let answer = context.call("record", body).await?;
    out.object(&answer);
    let value = |key| (key, text(&answer, key));
    let said =
        fields([value("statement"), value("dossier"), value("hours"), value("minutes"), value("custodian")]);
    out.say(if flag(&answer, "away") { "record-away" } else { "record-done" }, &said);
    for code in list(&answer, "flags").iter().filter_map(|f| f.as_str()) {
        out.say("record-flag", &fields([("text", out.words.finding(code, &Fields::new()))]));
    }
    Ok(Exit::Yes)
}
