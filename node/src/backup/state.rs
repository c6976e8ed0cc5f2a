//! What the last runs came to, for `status`: a small file in the home.
//!
//! `status` reads this file alone. It never looks into the second folder, which may be on a machine
//! that does not answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::folder::Unfinished;
use crate::home::Home;

/// Name of the file in the home.
const STATE_FILE: &str = "backup.state.json";

/// A failure: its code and when, in unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Stable code.
    pub code: String,
    /// Unix seconds.
    pub at: i64,
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Newest backup.
    pub file: Option<PathBuf>,
    /// When it was made, unix seconds.
    pub made_at: Option<i64>,
    /// Bytes of it.
    pub bytes: u64,
    /// Failure of the last run; none when it went well.
    pub failure: Option<Failed>,
    /// When the newest copy in the second folder was made, unix seconds.
    pub copied_at: Option<i64>,
    /// Failure of the last copy.
    pub copy_failure: Option<Failed>,
}

impl State {
    /// The state of a home; an unreadable file is no backup known, which makes the next run due.
    pub fn load(home: &Path) -> Self {
        let bytes = std::fs::read(home.join(STATE_FILE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Writes it. It only informs, so a failure is logged and does not undo a backup.
    pub(super) fn save(&self, home: &Path) {
        let written = serde_json::to_vec(self).map_err(std::io::Error::other).and_then(|bytes| {
            let (unfinished, mut file) = Unfinished::begin(&home.join(STATE_FILE))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            unfinished.finish()
        });
        if let Err(error) = written {
            tracing::warn!(%error, "the state of the backups could not be written");
        }
    }
}

/// The field `backup` of `status`.
pub fn view(home: &Home) -> Value {
    let state = State::load(&home.path);
    let now = home.clock.now().0;
    let age = |at: Option<i64>| at.map(|at| (now - at).max(0));
    // A file removed by hand is no backup any more.
    let there = state.file.as_ref().is_some_and(|f| f.exists());
    let made_at = state.made_at.filter(|_| there);
    let copy = home.config.backup.copy_to.as_ref().map(|folder| {
        json!({
            "folder": folder.display().to_string(), "age_seconds": age(state.copied_at),
            "failure": state.copy_failure.as_ref().map(|f| &f.code),
            "failed_at": state.copy_failure.as_ref().map(|f| f.at),
        })
    });
    json!({
        "daily": home.config.backup.daily, "age_seconds": age(made_at), "made_at": made_at,
        "file": state.file.filter(|_| there).map(|f| f.display().to_string()), "bytes": state.bytes,
        "failure": state.failure.as_ref().map(|f| &f.code), "failed_at": state.failure.as_ref().map(|f| f.at),
        "copy": copy,
    })
}
