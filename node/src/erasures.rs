//! The list of erasures: which dossier's personal data, which statement's bytes were erased here.
//!
//! It lies beside the home and not in the store, because a restore brings back an older store: what
//! was erased since must be erased again before the home opens. One line each, only added to, on
//! the disk when [`append`] returns; ids only, never a name. A last line without its end was never
//! acknowledged and does not count.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use yunling_protocol::day::Day;
use yunling_protocol::id::{DossierId, StatementId};

use crate::config::Config;
use crate::service::Refusal;

/// Largest list read: half a million erasures.
const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Erased {
    /// The personal data of a dossier.
    Dossier(DossierId),
    /// The bytes of a statement.
    Statement(StatementId),
}

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Erasure {
    /// What.
    pub what: Erased,
    /// When.
    pub day: Day,
}

impl std::fmt::Display for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.what {
            Erased::Dossier(id) => write!(f, "dossier {id} {}", self.day),
            Erased::Statement(id) => write!(f, "statement {id} {}", self.day),
        }
    }
}

impl Erasure {
    /// Reads a line without its end.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (kind, id, day) = (words.next()?, words.next()?, words.next()?);
        let what = match kind {
            "dossier" => Erased::Dossier(DossierId::parse(id).ok()?),
            "statement" => Erased::Statement(StatementId::parse(id).ok()?),
            _ => return None,
        };
        let erasure = Self { what, day: Day::parse(day)? };
        (words.next().is_none() && erasure.to_string() == line).then_some(erasure)
    }
}

/// Path of the list of a home.
pub fn path_of(home: &Path, config: &Config) -> PathBuf {
    config.backup.erasures.clone().unwrap_or_else(|| {
        let mut name = home.file_name().unwrap_or_default().to_owned();
        name.push(".erasures.log");
        home.with_file_name(name)
    })
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Refusal {
    move |e| Refusal::new("erasures-io").with("path", path.display()).with("cause", e)
}

/// Every erasure in the list; none when there is no list.
pub fn read(path: &Path) -> Result<BTreeSet<Erasure>, Refusal> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(e) => return Err(io(path)(e)),
    };
    let mut text = String::new();
    file.take(LIST_BYTES_MAX + 1).read_to_string(&mut text).map_err(io(path))?;
    let damaged =
        |line: usize| Refusal::new("erasures-damaged").with("path", path.display()).with("line", line);
    if text.len() as u64 > LIST_BYTES_MAX {
        return Err(damaged(0));
    }
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.split('\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(n, line)| Erasure::parse(line).ok_or_else(|| damaged(n + 1))).collect()
}

/// Adds erasures to the list, making it when there is none. On the disk when `Ok`; call it before
/// the erasure itself, so that no power cut leaves an erasure that a restore would undo.
pub fn append(path: &Path, erasures: &[Erasure]) -> Result<(), Refusal> {
    let io = io(path);
    let new = !path.exists();
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = open.map_err(&io)?;
    // A line that a power cut left without its end is not there.
    let end = end_of_lines(&mut file).map_err(&io)?;
    file.set_len(end).map_err(&io)?;
    file.seek(SeekFrom::Start(end)).map_err(&io)?;
    let mut text = Vec::new();
    for erasure in erasures {
        writeln!(text, "{erasure}").map_err(&io)?;
    }
    file.write_all(&text).map_err(&io)?;
    file.sync_all().map_err(&io)?;
    if new && let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        File::open(folder).and_then(|f| f.sync_all()).map_err(&io)?;
    }
    Ok(())
}

/// Position behind the last line end.
fn end_of_lines(file: &mut File) -> std::io::Result<u64> {
    /// More than the longest line.
    const TAIL_BYTES: u64 = 1024;
    let len = file.metadata()?.len();
    let start = len.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(tail.iter().rposition(|b| *b == b'\n').map_or(start, |at| start + at as u64 + 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn erasure(n: u8) -> Erasure {
        Erasure { what: Erased::Dossier(DossierId([n; 16])), day: Day::parse("2026-05-16").unwrap() }
    }

    #[test]
    fn what_was_added_is_read_and_a_torn_last_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home.erasures.log");
        assert!(read(&path).unwrap().is_empty());
        let statement = Erasure { what: Erased::Statement(StatementId([3; 32])), ..erasure(1) };
        append(&path, &[erasure(1), statement]).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("dossier ydaaaa");
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read(&path).unwrap(), BTreeSet::from([erasure(1), statement]));
        append(&path, &[erasure(2)]).unwrap();
        assert_eq!(read(&path).unwrap(), BTreeSet::from([erasure(1), erasure(2), statement]));
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, format!("{}\nnonsense\n", erasure(1))).unwrap();
        let refusal = read(&path).unwrap_err();
        assert_eq!((refusal.code.as_str(), refusal.fields["line"].as_str()), ("erasures-damaged", "2"));
        std::fs::write(&path, "").unwrap();
        assert!(read(&path).unwrap().is_empty());
    }
}
