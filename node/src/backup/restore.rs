//! Restoring a backup into an empty home: an older state comes back, under a new life and fenced.
//!
//! Everything is checked before anything is written. A home is complete when it has its
//! configuration, which is written last; the life and the fence are in the store before it, in one
//! batch, so that no home ever opens unfenced. A run that was killed leaves a mark that names its
//! backup; the same command begins it again from nothing.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::{DossierId, StatementId};
use yunling_protocol::message::Life;
use yunling_protocol::name::NodeName;
use yunling_protocol::recovery::fence::{Fence, encode_life, fence_key, life_key};
use yunling_protocol::store::{Batch, Key, Put, Store as _, Table, scan_all};

use super::file::{Content, Opened};
use super::folder::Unfinished;
use super::keys::Unlock;
use super::{Manifest, PART_STORE, damaged};
use crate::clock::random32;
use crate::config::{CONFIG_FILE, Config};
use crate::erasures::{self, Erased, Erasure};
use crate::home::{KEYS, PROFILE_FILE, make_folder, write_secret};
use crate::service::{Refusal, owner_of};
use crate::store::sled::OWNER_KEY;
use crate::store::{Options, SledStore};

/// Mark of a run under way: the hash of its backup, in hexadecimal.
const MARK_FILE: &str = "restore.part";
/// Puts and bytes of one batch: half of what a batch may be.
pub(crate) const BATCH_PUTS: usize = 8_192;
pub(crate) const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Most new peers named.
const NEW_PEERS_MAX: usize = 512;

/// What to restore.
#[derive(Debug)]
pub struct RestoreRequest<'a> {
    /// The backup.
    pub file: &'a Path,
    /// The home to make.
    pub home: &'a Path,
    /// What opens it.
    pub unlock: Unlock,
    /// Peers accepted since the backup was made: they are waited for too.
    pub new_peers: Vec<NodeName>,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup said.
    pub manifest: Manifest,
    /// The new life.
    pub life: Life,
    /// Records written.
    pub rows: u64,
    /// Records left out because they were erased.
    pub erased: u64,
    /// Whether a run that was killed before was begun again.
    pub again: bool,
}

fn io(path: &Path) -> impl Fn(io::Error) -> Refusal {
    move |e| Refusal::new("restore-io").with("path", path.display()).with("cause", e)
}

/// Restores a backup.
pub fn restore(request: RestoreRequest<'_>) -> Result<Restored, Refusal> {
    if request.new_peers.len() > NEW_PEERS_MAX {
        return Err(Refusal::new("peer-too-many").with("max", NEW_PEERS_MAX));
    }
    // First pass: all of it is read and compared; nothing is written.
    let opened = Opened::open(request.file)?;
    let mut life = None;
    let content = opened.content(&request.unlock, |_, key, value| {
        if key.split_first() == Some((&Table::Meta.number(), life_key().key.as_slice())) {
            life = Some(value.to_vec());
        }
        Ok(())
    })?;
    let manifest = opened.manifest.clone();
    if life.as_deref() != Some(&encode_life(manifest.life)[..]) {
        return Err(damaged(request.file, "life"));
    }
    let config = config_of(&content, &manifest, request.file)?;
    let place = Place::of(request.home, &config);
    let (mark, again) = place.take(&manifest, &content)?;
    let list = erasures::path_of(request.home, &config);
    let beside = erasures::read(&list)?;
    let erased: BTreeSet<Erasure> = beside.union(&content.erasures).copied().collect();

    place.write_keys(&content)?;
    let (rows, left_out) = write_store(&opened, &request.unlock, &place.store, &erased)?;
    let missing: Vec<Erasure> = content.erasures.difference(&beside).copied().collect();
    if !missing.is_empty() {
        erasures::append(&list, &missing)?;
    }
    let old = manifest.life.generation;
    let life = begin_life(&place.store, &manifest.node, manifest.made_at, old, &request.new_peers)?;
    place.complete(&content)?;
    drop(mark);
    Ok(Restored { manifest, life, rows, erased: left_out, again })
}

fn config_of(content: &Content, manifest: &Manifest, file: &Path) -> Result<Config, Refusal> {
    let text = content.file(CONFIG_FILE).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| damaged(file, "files"))?;
    let config = Config::parse(PathBuf::from(CONFIG_FILE), text)
        .map_err(|e| Refusal::new(e.code()).with("path", CONFIG_FILE).with("cause", &e))?;
    if config.node.name != manifest.node.as_str() || config.node.trial != manifest.trial {
        return Err(damaged(file, "files"));
    }
    // Only names that a backup has; a path in it must never lead out of the home.
    let known = |name: &str| {
        name == CONFIG_FILE
            || name
                .strip_prefix(KEYS)
                .and_then(|n| n.strip_prefix('/'))
                .is_some_and(|n| n != "recovery.key" && !n.starts_with('.') && !n.contains(['/', '\0']))
    };
    if content.files.iter().any(|(name, _)| !known(name)) {
        return Err(damaged(file, "files"));
    }
    Ok(config)
}

/// Where a home is restored to.
struct Place {
    home: PathBuf,
    store: PathBuf,
    profile_key: Option<PathBuf>,
}

fn is_empty(folder: &Path) -> Result<bool, Refusal> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(io(folder)(e)),
    }
}

/// Empties a folder; it may be a mount and stays.
fn clear(folder: &Path) -> Result<(), Refusal> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(folder)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(io(folder))?;
        let path = entry.path();
        let is_folder = entry.file_type().map_err(io(&path))?.is_dir();
        let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(io(&path))?;
    }
    Ok(())
}

impl Place {
    fn of(home: &Path, config: &Config) -> Self {
        Self {
            home: home.to_path_buf(),
            store: config.store.folder.clone().unwrap_or_else(|| home.join("data")),
            profile_key: config.store.profile_key.clone(),
        }
    }

    /// Takes the home: empty, or left by a killed run of the same backup, which is then cleared.
    /// Gives the held mark and whether there was such a run.
    fn take(&self, manifest: &Manifest, content: &Content) -> Result<(File, bool), Refusal> {
        let mark_path = self.home.join(MARK_FILE);
        let hash = HEXLOWER.encode(&manifest.hash);
        if self.home.join(CONFIG_FILE).exists() {
            return Err(Refusal::new("home-exists").with("path", self.home.display()));
        }
        let again = mark_path.exists();
        if !again {
            for folder in [&self.home, &self.store] {
                if !is_empty(folder)? {
                    return Err(Refusal::new("home-not-empty").with("path", folder.display()));
                }
            }
            self.check_profile_key(content)?;
            make_folder(&self.home).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
        }
        let mut mark = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&mark_path)
            .map_err(io(&mark_path))?;
        if mark.try_lock().is_err() {
            return Err(Refusal::new("restore-running").with("path", self.home.display()));
        }
        let mut found = String::new();
        (&mark).take(1024).read_to_string(&mut found).map_err(io(&mark_path))?;
        // A run killed before the mark was whole had written nothing else.
        if found.len() == hash.len() && found != hash {
            return Err(Refusal::new("restore-other").with("path", self.home.display()));
        }
        if again && found == hash {
            clear(&self.home.join(KEYS))?;
            clear(&self.store)?;
        }
        let sync = |file: &mut File| {
            file.rewind()?;
            file.set_len(0)?;
            file.write_all(hash.as_bytes())?;
            file.sync_all()?;
            File::open(&self.home)?.sync_all()
        };
        if found != hash {
            sync(&mut mark).map_err(io(&mark_path))?;
        }
        Ok((mark, again))
    }

    /// A profile key that lies outside of the home is written there, never over another one.
    fn check_profile_key(&self, content: &Content) -> Result<(), Refusal> {
        let Some(path) = &self.profile_key else { return Ok(()) };
        let wanted = content.file(&format!("{KEYS}/{PROFILE_FILE}"));
        match fs::read(path) {
            Ok(found) if Some(found.as_slice()) == wanted => Ok(()),
            Ok(_) => Err(Refusal::new("restore-profile-key").with("path", path.display())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(io(path)(e)),
        }
    }

    fn write_keys(&self, content: &Content) -> Result<(), Refusal> {
        let failed = |e: crate::home::HomeError| {
            Refusal::new(e.code()).with("path", self.home.display()).with("cause", &e)
        };
        let keys = self.home.join(KEYS);
        make_folder(&keys).map_err(failed)?;
        for (name, bytes) in content.files.iter().filter(|(name, _)| name != CONFIG_FILE) {
            let text = std::str::from_utf8(bytes).map_err(|_| damaged(Path::new(name), "files"))?;
            let outside = self.profile_key.as_ref().filter(|_| *name == format!("{KEYS}/{PROFILE_FILE}"));
            let Some(path) = outside else {
                write_secret(&self.home.join(name), text).map_err(failed)?;
                continue;
            };
            if !path.exists() {
                if let Some(folder) = path.parent() {
                    make_folder(folder).map_err(failed)?;
                }
                write_secret(path, text).map_err(failed)?;
            }
        }
        File::open(&keys).and_then(|f| f.sync_all()).map_err(io(&keys))
    }

    /// Writes the configuration: from here on the home is one.
    fn complete(&self, content: &Content) -> Result<(), Refusal> {
        let path = self.home.join(CONFIG_FILE);
        let write = || -> io::Result<()> {
            let (unfinished, mut file) = Unfinished::begin(&path)?;
            file.write_all(content.file(CONFIG_FILE).unwrap_or_default())?;
            file.sync_all()?;
            unfinished.finish()?;
            fs::remove_file(self.home.join(MARK_FILE))?;
            File::open(&self.home)?.sync_all()
        };
        write().map_err(io(&path))
    }
}

/// Whether a record was erased: personal data of a dossier, the way from a person to it, or the
/// bytes of a statement.
pub(crate) fn is_erased(erased: &BTreeSet<Erased>, table: Table, key: &[u8], value: &[u8]) -> bool {
    let dossier = |bytes: &[u8]| {
        <[u8; 16]>::try_from(bytes).is_ok_and(|id| erased.contains(&Erased::Dossier(DossierId(id))))
    };
    // Keys of these two are the dossier's id and the statement's.
    let statement = |key: &[u8]| {
        let id = key.get(16..).and_then(|id| <[u8; 32]>::try_from(id).ok());
        id.is_some_and(|id| erased.contains(&Erased::Statement(StatementId(id))))
    };
    match table {
        Table::Profile => dossier(key),
        Table::Index => key.first() == Some(&b'p') && dossier(value),
        Table::Statement | Table::Held => statement(key),
        _ => false,
    }
}

pub(crate) fn open_store(folder: &Path, node: &NodeName) -> Result<SledStore, Refusal> {
    SledStore::open(folder, &owner_of(node), Options::default())
        .map_err(|e| Refusal::new(e.code()).with("path", folder.display()).with("cause", &e))
}

/// Second pass: the records, without what was erased. Gives how many were written and left out.
fn write_store(
    opened: &Opened,
    unlock: &Unlock,
    folder: &Path,
    erasures: &BTreeSet<Erasure>,
) -> Result<(u64, u64), Refusal> {
    let erased: BTreeSet<Erased> = erasures.iter().map(|e| e.what).collect();
    let store = open_store(folder, &opened.manifest.node)?;
    let mut batch = Batch::default();
    let (mut bytes, mut rows, mut left_out) = (0, 0, 0);
    // The fence of a backup made behind one stays: what it waited for is waited for again.
    let life = life_key();
    let own = [OWNER_KEY, &life.key];
    opened.content(unlock, |_, raw, value| {
        let (number, key) = raw.split_first().ok_or_else(|| damaged(folder, PART_STORE))?;
        let table = Table::from_number(*number).ok_or_else(|| {
            Refusal::new("backup-newer")
                .with("path", folder.display())
                .with("version", format!("table {number}"))
                .with("known", Table::ALL.len())
        })?;
        if table == Table::Meta && own.contains(&key) {
            return Ok(());
        }
        if is_erased(&erased, table, key, value) {
            left_out += 1;
            return Ok(());
        }
        bytes += key.len() + value.len();
        rows += 1;
        batch.put.push(Put::Set(Key::new(table, key), value.to_vec()));
        if batch.put.len() >= BATCH_PUTS || bytes >= BATCH_BYTES {
            bytes = 0;
            store.commit(std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    store.commit(batch)?;
    Ok((rows, left_out))
}

/// The new life and the fence, in one batch: what a store forgot that was made at `made_at` in the life
/// of `old` is asked of the peers.
pub(crate) fn begin_life(
    folder: &Path,
    node: &NodeName,
    made_at: UnixTime,
    old: u64,
    new_peers: &[NodeName],
) -> Result<Life, Refusal> {
    let store = open_store(folder, node)?;
    let generation = old.checked_add(1).ok_or_else(|| damaged(folder, "life"))?;
    let mut mark = [0; 16];
    mark.copy_from_slice(&random32()[..16]);
    let life = Life { generation, mark };
    let fence = Fence::begin(&store, made_at, old, new_peers)
        .map_err(|e| Refusal::new(e.code()).with("path", folder.display()).with("cause", &e))?;
    let mut batch = Batch::default();
    batch.put.push(Put::Set(life_key(), encode_life(life)));
    batch.put.push(Put::Set(fence_key(), fence.encode()));
    store.commit(batch)?;
    // Read once more as the node will: damage is better met here than at the first start.
    for table in Table::ALL {
        scan_all::<Refusal>(&store, table, b"", |_, _| Ok(()))?;
    }
    debug_assert!(Fence::load(&store).is_ok_and(|f| f.is_some()));
    Ok(life)
}
