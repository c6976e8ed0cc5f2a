//! Files that somebody else made: a clerk's sheet, a backup.

use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use yunling_node::backup::{Manifest, Opened, PartsWriter, read_parts};
use yunling_node::sheet::{NothingYet, Options, Rules, judge, read_content};
use yunling_protocol::key::Role;
use yunling_protocol::profile::YUNNAN;

use super::wrap::{NOW, map, payload, signer, wrapped};

/// Bytes as a sheet of any format, judged as an import judges it.
pub(super) fn sheet(bytes: &[u8]) {
    let Ok(table) = read_content(bytes, Path::new("sheet"), &Options::default()) else { return };
    let rows = table.rows.len();
    let Ok(judged) = judge(&table, &NothingYet, Rules { now: NOW, profile: &YUNNAN });
    assert_eq!(judged.verdicts.len() + judged.skipped.len(), rows, "every row is accounted for once");
    let report = judged.report(&table);
    assert_eq!(report.records_added, judged.records().count(), "the report counts what is added");
    assert!(
        table.rows.is_sorted_by(|a, b| a.number < b.number),
        "row numbers rise, so that a report names one row each"
    );
}

/// Bytes as a backup file, as a manifest that the known node signed, and as the content inside.
pub(super) fn backup(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Ok(opened) = Opened::open(path) {
            assert_eq!(opened.bytes, bytes.len() as u64, "every byte belongs to the backup");
            assert!(opened.manifest.bytes < opened.bytes, "the manifest stands behind the content");
        }
    });
    if map(bytes).is_some()
        && let Ok(manifest) = Manifest::parse(&wrapped("yunling/backup", bytes))
    {
        let again = manifest.sign(&signer(Role::Statement));
        assert_eq!(
            again.ok().as_deref().map(payload).as_deref(),
            Some(bytes),
            "what is read is what is written"
        );
    }
    parts(bytes);
}

fn parts(bytes: &[u8]) {
    let mut rows = Vec::new();
    let found = read_parts::<std::io::Error>(bytes, |part, key, value| {
        rows.push((part.to_owned(), key.to_vec(), value.to_vec()));
        Ok(())
    });
    let Ok(found) = found else { return };
    assert_eq!(found.iter().map(|p| p.rows).sum::<u64>(), rows.len() as u64, "each row is in one part");
    let mut writer = PartsWriter::new(Vec::new());
    let mut rows = rows.into_iter();
    for part in &found {
        let written = writer.part(&part.name);
        assert!(written.is_ok(), "writing to memory");
        for (name, key, value) in rows.by_ref().take(part.rows as usize) {
            assert_eq!(name, part.name, "a row is told with its part");
            assert!(writer.row(&key, &value).is_ok(), "a row that was read can be written");
        }
    }
    let again = writer.finish();
    assert!(
        again.is_ok_and(|(out, parts)| out == bytes && parts == found),
        "what is read is what is written"
    );
}

/// A file in memory with these bytes, by a path.
fn with_file(bytes: &[u8], act: impl FnOnce(&Path)) {
    thread_local! {
        static FILE: std::cell::RefCell<Option<std::fs::File>> = const { std::cell::RefCell::new(None) };
    }
    FILE.with_borrow_mut(|kept| {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let file = kept.get_or_insert_with(|| {
            tempfile::tempfile_in(&folder).unwrap_or_else(|e| panic!("a file in {}: {e}", folder.display()))
        });
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(bytes));
        written.unwrap_or_else(|e| panic!("a file in {}: {e}", folder.display()));
        act(&PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
    });
}
