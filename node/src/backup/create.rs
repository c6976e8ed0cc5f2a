//! Making a backup: one state of the store, streamed through encryption into a file, checked, named.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::TryLockError;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{Role, Signer as _};
use zeroize::Zeroizing;

use super::file::{END_MARK, HomeFiles, Opened, head};
use super::folder::{self, Unfinished, folder_of};
use super::keys::{Lock, Unlock};
use super::parts::PartsWriter;
use super::state::{Failed, State};
use super::{Hashing, Manifest, PART_ERASURES, PART_FILES, PART_STORE, Part, io};
use crate::config::CONFIG_FILE;
use crate::erasures;
use crate::home::ring::{RING_FILE, Ring, SINCE_FILE};
use crate::home::{Home, KEYS, PROFILE_FILE, RECIPIENT_FILE, change};
use crate::service::{Node, Refusal};

/// Records read at a time: at most 8 MiB in memory.
const PAGE_ITEMS: usize = 128;
/// Bytes gathered before they are encrypted.
const BUFFER_BYTES: usize = 256 * 1024;

/// How a backup is wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreateRequest {
    /// File to write instead of one in the folder; it is neither copied nor ever removed.
    pub out: Option<PathBuf>,
    /// File with a passphrase instead of the recipients of the home.
    pub passphrase_file: Option<PathBuf>,
}

impl Node {
    /// Makes a backup, copies it to the second folder and removes old ones.
    pub fn create_backup(&self, request: &CreateRequest) -> Result<Value, Refusal> {
        let _one = match self.backup.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Refusal::new("backup-running")),
        };
        let began = Instant::now();
        let made = self.make(request);
        let mut state = State::load(&self.home.path);
        let now = self.home.clock.now().0;
        let failed = |r: &Refusal| Failed { code: r.code.clone(), at: now };
        let (path, manifest, bytes) = match made {
            Ok(made) => made,
            Err(refusal) => {
                tracing::error!(code = %refusal.code, cause = refusal.fields.get("cause"), "backup failed");
                state.failure = Some(failed(&refusal));
                state.save(&self.home.path);
                return Err(refusal);
            }
        };
        let mut answer = json!({
            "file": path.display().to_string(), "bytes": bytes, "made_at": manifest.made_at.0,
            "rows": manifest.rows(PART_STORE), "generation": manifest.life.generation,
            "passphrase": manifest.passphrase,
        });
        if request.out.is_none() {
            state = State {
                file: Some(path.clone()),
                made_at: Some(manifest.made_at.0),
                bytes,
                failure: None,
                ..state
            };
            if let Some(second) = &self.home.config.backup.copy_to {
                match self.copy_backup(&path, second) {
                    Ok(copy) => {
                        answer["copy"] = copy.display().to_string().into();
                        (state.copied_at, state.copy_failure) = (Some(manifest.made_at.0), None);
                    }
                    Err(refusal) => {
                        tracing::error!(code = %refusal.code, cause = refusal.fields.get("cause"), "backup not copied");
                        answer["copy_failure"] = json!(refusal);
                        state.copy_failure = Some(failed(&refusal));
                    }
                }
            }
            state.save(&self.home.path);
            answer["removed"] = self.prune(&path).into();
        }
        answer["millis"] = (began.elapsed().as_millis() as u64).into();
        tracing::info!(rows = manifest.rows(PART_STORE), bytes, "backup made");
        Ok(answer)
    }

    fn copy_backup(&self, path: &Path, second: &Path) -> Result<PathBuf, Refusal> {
        folder::sweep(second, &self.home.name);
        folder::copy(path, second)
    }

    /// Removes old backups; one that cannot be removed is told in the log and tried again next time.
    fn prune(&self, path: &Path) -> usize {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let section = &self.home.config.backup;
        let mut removed = 0;
        for folder in std::iter::once(folder_of(&self.home)).chain(section.copy_to.clone()) {
            match folder::prune(&folder, &self.home.name, section.keep, name) {
                Ok(n) => removed += n,
                Err(error) => tracing::warn!(%error, "old backups could not be removed"),
            }
        }
        removed
    }

    fn make(&self, request: &CreateRequest) -> Result<(PathBuf, Manifest, u64), Refusal> {
        let lock = match &request.passphrase_file {
            Some(path) => Lock::passphrase(path)?,
            None => Lock::of_home(&self.home)?,
        };
        let made_at = self.home.clock.now();
        let path = self.target(request, made_at)?;
        let (unfinished, file) = Unfinished::begin(&path).map_err(io(&path))?;
        let manifest = self.write(file, unfinished.path(), &lock, made_at)?;
        // Read back from the disk: signature and hash always, everything where that needs no safe.
        let opened = Opened::open(unfinished.path())?;
        if let Lock::Passphrase(secret) = lock {
            opened.content(&Unlock::Passphrase(secret), |_, _, _| Ok(()))?;
        }
        let bytes = opened.bytes;
        unfinished.finish().map_err(io(&path))?;
        Ok((path, manifest, bytes))
    }

    /// Where the backup goes; an existing file is never overwritten.
    fn target(&self, request: &CreateRequest, made_at: UnixTime) -> Result<PathBuf, Refusal> {
        let path = match &request.out {
            Some(path) => path.clone(),
            None => {
                let folder = folder_of(&self.home);
                folder::make(&folder).map_err(io(&folder))?;
                folder::sweep(&folder, &self.home.name);
                // Two within one second: the later one is named by the next free second.
                let mut at = made_at;
                while folder.join(folder::name(&self.home.name, at)).exists() {
                    at.0 += 1;
                }
                folder.join(folder::name(&self.home.name, at))
            }
        };
        if path.exists() {
            return Err(Refusal::new("backup-exists").with("path", path.display()));
        }
        Ok(path)
    }

    fn write(&self, file: File, path: &Path, lock: &Lock, made_at: UnixTime) -> Result<Manifest, Refusal> {
        let io = io(path);
        let mut out = Hashing::new(file);
        out.write_all(&head()).map_err(&io)?;
        let encrypted = lock.encryptor()?.wrap_output(out).map_err(&io)?;
        let mut parts = PartsWriter::new(BufWriter::with_capacity(BUFFER_BYTES, encrypted));
        // The moment of the backup; what is written from here on is not in it.
        let mut snapshot = self.store().snapshot()?;
        parts.part(PART_FILES).map_err(&io)?;
        for (name, bytes) in files(&self.home)? {
            parts.row(name.as_bytes(), &bytes).map_err(&io)?;
        }
        parts.part(PART_ERASURES).map_err(&io)?;
        for erasure in erasures::read(&erasures::path_of(&self.home.path, &self.home.config))? {
            parts.row(&[], erasure.to_string().as_bytes()).map_err(&io)?;
        }
        parts.part(PART_STORE).map_err(&io)?;
        loop {
            let page = snapshot.next(PAGE_ITEMS)?;
            if page.is_empty() {
                break;
            }
            for (key, value) in page {
                parts.row(&[&[key.table.number()][..], &key.key].concat(), &value).map_err(&io)?;
            }
        }
        drop(snapshot);
        let (buffer, parts) = parts.finish().map_err(&io)?;
        let encrypted = buffer.into_inner().map_err(|e| io(e.into_error()))?;
        let (mut file, bytes, hash) = encrypted.finish().map_err(&io)?.finish();
        let passphrase = matches!(lock, Lock::Passphrase(_));
        let signer = self.signer_of(Role::Statement)?;
        let manifest = self.manifest(made_at, parts, bytes, hash, (passphrase, signer.public()));
        let signed = manifest.sign(&*signer).map_err(|e| Refusal::new("internal").with("cause", e))?;
        let tail = [&signed[..], &(signed.len() as u32).to_be_bytes(), END_MARK].concat();
        file.write_all(&tail).and_then(|()| file.sync_all()).map_err(&io)?;
        Ok(manifest)
    }

    fn manifest(
        &self,
        made_at: UnixTime,
        parts: Vec<Part>,
        bytes: u64,
        hash: [u8; 32],
        (passphrase, key): (bool, [u8; 32]),
    ) -> Manifest {
        Manifest {
            node: self.home.name.clone(),
            division: self.home.config.node.division.clone(),
            trial: self.home.config.node.trial,
            life: self.life(),
            made_at,
            key,
            bytes,
            hash,
            passphrase,
            parts,
        }
    }
}

/// The files of a home that a backup holds, by their path in it: the configuration, and every key
/// but the recovery key. The profile key stands under its usual name wherever it lies.
fn files(home: &Home) -> Result<HomeFiles, Refusal> {
    let read = |path: &Path| std::fs::read(path).map(Zeroizing::new).map_err(io(path));
    let keys = home.path.join(KEYS);
    // The list and the files that it names are of one moment.
    let _unchanged = change::lock(&home.path)?;
    let ring = Ring::load(&home.path).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
    let mut names: Vec<String> = ring.files().into_iter().collect();
    names.extend(["recovery.pub", "secret.key", SINCE_FILE].map(str::to_owned));
    // A home of an older version may have no recipient, one that never rotated has no list of keys.
    names.extend(
        [RECIPIENT_FILE, RING_FILE].map(str::to_owned).into_iter().filter(|name| keys.join(name).exists()),
    );
    let mut out = vec![(CONFIG_FILE.to_owned(), read(&home.path.join(CONFIG_FILE))?)];
    for name in names {
        out.push((format!("{KEYS}/{name}"), read(&keys.join(name))?));
    }
    let profile = home.config.store.profile_key.clone().unwrap_or_else(|| keys.join(PROFILE_FILE));
    out.push((format!("{KEYS}/{PROFILE_FILE}"), read(&profile)?));
    Ok(out)
}
