//! What the end-to-end and vector tests share: where test data of other projects lies, how it is
//! read, and how a set is judged. In: a file name below the shared folder. Out: parsed data, or
//! `None` with a loud note when the folder is absent. On a build server absence is a failure.

pub mod decoders;
pub mod dice;
pub mod forwarder;
pub mod namespace;
pub mod office;
pub mod package;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The root of the repository.
///
/// # Panics
/// Never: this crate lies one level below the root.
pub fn repository_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| unreachable!("the crate has a parent folder"))
}

/// The folder of test data from other projects: `YUNLING_SHARED`, or `shared` beside the
/// repository. None of it belongs to the repository.
///
/// # Panics
/// When the folder is absent and `CI` is set: a build server must not skip the vectors.
pub fn shared_dir() -> Option<PathBuf> {
    let beside = || repository_root().parent().map(|parent| parent.join("shared"));
    let folder = std::env::var_os("YUNLING_SHARED").map(PathBuf::from).or_else(beside);
    match folder {
        Some(folder) if folder.join("vectors").is_dir() => Some(folder),
        other => {
            let place = other.map_or_else(|| "nowhere".into(), |p| p.display().to_string());
            assert!(
                std::env::var_os("CI").is_none(),
                "no vectors at {place}: set YUNLING_SHARED to the folder that holds vectors/"
            );
            println!(
                "!!!!!!!! SKIPPED: no vectors at {place}; set YUNLING_SHARED to the folder that holds vectors/"
            );
            None
        }
    }
}

/// A file or folder below `vectors/`.
///
/// # Panics
/// As [`shared_dir`], and when the folder is there but the file is not.
pub fn vector_path(name: &str) -> Option<PathBuf> {
    let path = shared_dir()?.join("vectors").join(name);
    assert!(path.exists(), "vector file {name} is missing");
    Some(path)
}

/// A JSON file below `vectors/`.
///
/// # Panics
/// As [`vector_path`], and when the file is not JSON.
pub fn vector_json(name: &str) -> Option<Value> {
    vector_path(name).map(|path| read_json(&path))
}

/// Every `.json` file below a folder of `vectors/`, with its path from there, in order of path.
///
/// # Panics
/// As [`vector_json`].
pub fn vector_json_files(folder: &str) -> Option<Vec<(String, Value)>> {
    let root = vector_path(folder)?;
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "json") {
                let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                files.push((name, read_json(&path)));
            }
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Some(files)
}

fn read_json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Bytes of a hex text in either case.
///
/// # Panics
/// When the text is not hex; the vectors are.
pub fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap_or_else(|| panic!("`{text}` is not hex")) as u8;
    assert!(text.len().is_multiple_of(2), "`{text}` is not hex");
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Results of one set of vectors, judged against a table of known exceptions.
#[derive(Debug, Default)]
pub struct Outcomes(BTreeMap<String, Result<(), String>>);

impl Outcomes {
    /// Adds the result of one vector.
    ///
    /// # Panics
    /// When a vector of that name was added before.
    pub fn add(&mut self, name: impl Into<String>, result: Result<(), String>) {
        let name = name.into();
        assert!(self.0.insert(name.clone(), result).is_none(), "vector {name} stands twice");
    }

    /// Every vector must pass or be listed with its reason; a listed one must fail, so that the
    /// table never outlives its reasons.
    ///
    /// # Panics
    /// When the number of vectors, a failure or the table is not as expected.
    pub fn judge(self, set: &str, count: usize, exceptions: &[(&str, &str)]) {
        assert_eq!(self.0.len(), count, "{set}: number of vectors");
        let mut wrong = Vec::new();
        for (name, reason) in exceptions {
            match self.0.get(*name) {
                None => wrong.push(format!("{name}: listed ({reason}) but not in the set")),
                Some(Ok(())) => wrong.push(format!("{name}: listed ({reason}) but passes now")),
                Some(Err(_)) => {}
            }
        }
        for (name, result) in &self.0 {
            let listed = exceptions.iter().any(|(listed, _)| listed == name);
            if let (Err(why), false) = (result, listed) {
                wrong.push(format!("{name}: {why}"));
            }
        }
        assert!(
            wrong.is_empty(),
            "{set}: {} of {count} are not as expected:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        println!("{set}: {} of {count} pass, {} listed", count - exceptions.len(), exceptions.len());
    }
}
