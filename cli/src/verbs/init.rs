//! `init`: makes a home. Asks nothing.

use serde_json::json;
use yunling_node::backup::keys::ExposeSecret as _;
use yunling_node::home::Home;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::words::fields;

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Node name.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Division code.
    #[arg(long, value_name = "CODE")]
    division: String,
    /// Trial node.
    #[arg(long)]
    trial: bool,
}

/// Makes the home and says what comes next.
pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let path = files::absolute(&context.home()?)?;
    let home = Home::init(&path, &args.name, &args.division, args.trial)?;
    let card = home.card(home.config.net.listen.clone())?;
    let (name, fingerprint) = (home.name.to_string(), card.fingerprint());
    let identity = home.backup_identity.as_ref().map(|i| i.expose_secret().to_owned()).unwrap_or_default();
    context.out.object(&json!({
        "home": path.display().to_string(), "name": name, "division": home.config.node.division,
        "trial": args.trial, "fingerprint": fingerprint, "backup_identity": identity,
    }));
    let title = match context.out.words.lang {
        crate::words::Lang::Zh => &home.config.node.title_zh,
        crate::words::Lang::En => &home.config.node.title_en,
    };
    let shown = path.display().to_string();
    let values = [("home", shown.as_str()), ("name", &name), ("title", title), ("fingerprint", &fingerprint)];
    context.out.say("init-done", &fields(values));
    if args.trial {
        context.out.say("init-trial", &fields([("name", &name)]));
    }
    context.out.say("init-next", &fields(values));
    context.out.say("backup-identity", &fields([("identity", identity)]));
    Ok(Exit::Yes)
}
