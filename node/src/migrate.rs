//! Before what a home holds is brought to a newer form: a backup, made and checked.
//!
//! Each step says how a home of before it is known; the step itself is done where that form is read.
//! A home that needs one is opened only when the backup of it as it was lies in the folder of backups.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backup::CreateRequest;
use crate::home::{Home, make_folder};
use crate::repair::beside;
use crate::service::{Node, Refusal};
use crate::store::{Damaged, Options, SledStore};

/// One step to a newer form.
struct Step {
    /// Version of the program that wrote the older form.
    from: &'static str,
    /// Whether a store is of the older form.
    due: fn(&Path) -> bool,
}

/// Every step, the oldest first.
const STEPS: [Step; 2] = [
    // The first opening counts the rows; from then on the program of before refuses the store.
    Step { from: "0.1.0", due: is_uncounted },
    // The first opening begins the log, which the program of before would not write on.
    Step { from: "0.2.0", due: crate::store::is_older },
];

fn is_uncounted(store: &Path) -> bool {
    store.join("sled/db").exists() && !store.join("tally").exists()
}

/// Makes a backup of a home whose store is of an older form; gives its file, none when nothing is due.
///
/// The store is read on a copy, since the engine writes when it opens: a refusal leaves all as it was.
pub fn backup_before(home: &Home) -> Result<Option<PathBuf>, Refusal> {
    let store = home.store_folder();
    let Some(step) = STEPS.iter().find(|step| (step.due)(&store)) else { return Ok(None) };
    let copy = beside(&store, ".before");
    let made = backup_of(home, &store, &copy);
    // Also after a run that was killed; what is left of it is worth nothing.
    let removed = remove(&copy);
    let file = made.map_err(|refusal| {
        if refusal.code.starts_with("store-") {
            return refusal.with("path", store.display());
        }
        let folder = crate::backup::folder_of(home);
        Refusal::new("migration-backup")
            .with("from", step.from)
            .with("path", folder.display())
            .with("cause", refusal)
    })?;
    removed?;
    tracing::info!(from = step.from, "a backup was made before the store is brought to the present form");
    Ok(Some(file))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Refusal {
    move |e| Refusal::new("backup-io").with("path", path.display()).with("cause", e)
}

fn remove(copy: &Path) -> Result<(), Refusal> {
    match fs::remove_dir_all(copy) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(copy)(e)),
        _ => Ok(()),
    }
}

fn backup_of(home: &Home, store: &Path, copy: &Path) -> Result<PathBuf, Refusal> {
    remove(copy)?;
    make_folder(copy).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
    let held = Damaged::hold(store, Options::default())?;
    held.copy_to(copy).map_err(io(copy))?;
    let options = Options { ballast_bytes: 0, ..Options::default() };
    let opened = SledStore::open(copy, &crate::service::owner_of(&home.name), options)?;
    let again = Home::open(&home.path).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
    // Only assembled: an office that opens begins its log, and then the program of before could not
    // restore what is kept for it.
    let node = Node::assemble(again, Arc::new(opened))?;
    let made = node.create_backup(&CreateRequest::default())?;
    Ok(PathBuf::from(made["file"].as_str().unwrap_or_default()))
}
