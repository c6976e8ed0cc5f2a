//! A backup file as it lies on a disk: head, encrypted content, manifest, end mark.
//!
//! [`Opened::open`] checks everything that needs no secret: the version, that the file is whole, the
//! signature, the hash of the encrypted content. [`Opened::content`] opens the content and compares
//! every part with the manifest.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use yunling_protocol::key::{Signer as _, SoftSigner};
use zeroize::Zeroizing;

use super::keys::Unlock;
use super::manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestError, VERSION};
use super::parts::read_parts;
use super::{Hashing, PART_ERASURES, PART_FILES, PART_STORE, damaged, io};
use crate::config::CONFIG_FILE;
use crate::erasures::Erasure;
use crate::service::Refusal;

/// First bytes of every backup, then the version.
pub(crate) const MAGIC: &[u8; 15] = b"yunling-backup\n";
/// Head: magic and version.
pub(crate) const HEAD_BYTES: usize = 16;
/// Last bytes of every backup.
pub(crate) const END_MARK: &[u8; 12] = b"backup-ends\n";
/// Tail behind the manifest: its length and the end mark.
const TAIL_BYTES: usize = 4 + 12;
/// Blocks in which a file is read.
const BLOCK_BYTES: usize = 256 * 1024;

/// The head of a new file.
pub(crate) fn head() -> [u8; HEAD_BYTES] {
    let mut head = [VERSION; HEAD_BYTES];
    head[..MAGIC.len()].copy_from_slice(MAGIC);
    head
}

/// A backup file whose form and signature are good.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    file: File,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Bytes of the whole file.
    pub bytes: u64,
}

/// Files of a home by their path in it.
pub(crate) type HomeFiles = Vec<(String, Zeroizing<Vec<u8>>)>;

/// What stands in a content beside the rows of the store.
#[derive(Default)]
pub struct Content {
    /// Configuration and keys by path in the home.
    pub files: HomeFiles,
    /// Erasures known when it was made.
    pub erasures: std::collections::BTreeSet<Erasure>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} files, {} erasures)", self.files.len(), self.erasures.len())
    }
}

impl Content {
    /// A file of the home.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(n, _)| n == name).map(|(_, bytes)| bytes.as_slice())
    }
}

/// Why reading the content stopped.
enum Stop {
    Io(io::Error),
    Refused(Refusal),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Opened {
    /// Opens a file and reads its manifest, without reading the content: enough for a list.
    pub fn peek(path: &Path) -> Result<Self, Refusal> {
        let io = io(path);
        let mut file = File::open(path).map_err(&io)?;
        let bytes = file.metadata().map_err(&io)?.len();
        let mut head = [0; HEAD_BYTES];
        if bytes < (HEAD_BYTES + TAIL_BYTES) as u64 {
            return Err(Refusal::new("backup-form").with("path", path.display()));
        }
        file.read_exact(&mut head).map_err(&io)?;
        if head[..MAGIC.len()] != *MAGIC {
            return Err(Refusal::new("backup-form").with("path", path.display()));
        }
        if head[MAGIC.len()] != VERSION {
            return Err(newer(path, u64::from(head[MAGIC.len()])));
        }
        let mut tail = [0; TAIL_BYTES];
        file.seek(SeekFrom::Start(bytes - TAIL_BYTES as u64)).map_err(&io)?;
        file.read_exact(&mut tail).map_err(&io)?;
        let (len, mark) = tail.split_at(4);
        let len = len.iter().fold(0, |n, b| n << 8 | u64::from(*b));
        if mark != END_MARK {
            return Err(damaged(path, "end"));
        }
        let start = bytes.checked_sub(len + TAIL_BYTES as u64).filter(|_| len <= MANIFEST_BYTES_MAX as u64);
        let start = start.ok_or_else(|| damaged(path, "end"))?;
        let mut signed = vec![0; len as usize];
        file.seek(SeekFrom::Start(start)).map_err(&io)?;
        file.read_exact(&mut signed).map_err(&io)?;
        let manifest = Manifest::parse(&signed).map_err(|e| match e {
            ManifestError::Newer(version) => newer(path, version),
            ManifestError::Cose(_) | ManifestError::Cbor(_) => damaged(path, "manifest"),
        })?;
        if manifest.bytes != start {
            return Err(damaged(path, "length"));
        }
        Ok(Self { path: path.to_path_buf(), file, manifest, bytes })
    }

    /// Opens a file and checks all that needs no secret.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        let opened = Self::peek(path)?;
        let io = io(path);
        let mut file = opened.file.try_clone().map_err(&io)?;
        file.rewind().map_err(&io)?;
        let mut content = Hashing::new(file.take(opened.manifest.bytes));
        let mut block = vec![0; BLOCK_BYTES];
        while content.read(&mut block).map_err(&io)? > 0 {}
        let (_, bytes, hash) = content.finish();
        if bytes != opened.manifest.bytes || hash != opened.manifest.hash {
            return Err(damaged(path, "content"));
        }
        Ok(opened)
    }

    /// Opens the content, gives each row of the store to `store` and the rest back. All of it is
    /// compared with the manifest, and the key inside with the key that signed; only then is `Ok`
    /// given, so rows that `store` got before count for nothing until then.
    pub fn content(
        &self,
        unlock: &Unlock,
        mut store: impl FnMut(&Content, &[u8], &[u8]) -> Result<(), Refusal>,
    ) -> Result<Content, Refusal> {
        let io = io(&self.path);
        let mut file = self.file.try_clone().map_err(&io)?;
        file.seek(SeekFrom::Start(HEAD_BYTES as u64)).map_err(&io)?;
        let bytes = self.manifest.bytes.saturating_sub(HEAD_BYTES as u64);
        let input = BufReader::with_capacity(BLOCK_BYTES, file.take(bytes));
        let decryptor = age::Decryptor::new_buffered(input).map_err(|e| self.decrypt_error(&e))?;
        let plain = unlock.decrypt(decryptor).map_err(|e| self.decrypt_error(&e))?;
        let mut content = Content::default();
        let parts = read_parts(BufReader::with_capacity(BLOCK_BYTES, plain), |part, key, value| {
            match part {
                PART_STORE => store(&content, key, value).map_err(Stop::Refused)?,
                PART_FILES => {
                    let name = String::from_utf8(key.to_vec()).map_err(|_| self.stop("files"))?;
                    content.files.push((name, Zeroizing::new(value.to_vec())));
                }
                PART_ERASURES => {
                    let line = std::str::from_utf8(value).ok().and_then(Erasure::parse);
                    content.erasures.insert(line.ok_or_else(|| self.stop("erasures"))?);
                }
                _ => return Err(self.stop("parts")),
            }
            Ok(())
        });
        let parts = parts.map_err(|stop: Stop| match stop {
            Stop::Refused(refusal) => refusal,
            Stop::Io(e) => damaged(&self.path, "content").with("cause", e),
        })?;
        if parts != self.manifest.parts {
            return Err(damaged(&self.path, "parts"));
        }
        self.check_key(&content)?;
        Ok(content)
    }

    fn stop(&self, what: &str) -> Stop {
        Stop::Refused(damaged(&self.path, what))
    }

    /// A statement key inside must be the one that signed: a manifest of one node around the
    /// content of another is refused.
    fn check_key(&self, content: &Content) -> Result<(), Refusal> {
        let mut found = false;
        let mut signed = false;
        let is_statement = |name: &str| {
            name.starts_with("keys/statement") && Path::new(name).extension().is_some_and(|end| end == "key")
        };
        for (_, text) in content.files.iter().filter(|(name, _)| is_statement(name)) {
            let seed = std::str::from_utf8(text).ok().and_then(|text| {
                let seed = Zeroizing::new(data_encoding::HEXLOWER.decode(text.trim().as_bytes()).ok()?);
                <[u8; 32]>::try_from(seed.as_slice()).ok().map(Zeroizing::new)
            });
            let seed = seed.ok_or_else(|| damaged(&self.path, "files"))?;
            found = true;
            signed |= SoftSigner::from_seed(&seed).public() == self.manifest.key;
        }
        if !found {
            return Err(damaged(&self.path, "files"));
        }
        if !signed {
            return Err(Refusal::new("backup-foreign")
                .with("path", self.path.display())
                .with("node", &self.manifest.node));
        }
        if content.file(CONFIG_FILE).is_none() {
            return Err(damaged(&self.path, "files"));
        }
        Ok(())
    }

    fn decrypt_error(&self, error: &age::DecryptError) -> Refusal {
        use age::DecryptError as E;
        let code = match error {
            E::NoMatchingKeys | E::DecryptionFailed | E::KeyDecryptionFailed if self.manifest.passphrase => {
                "backup-passphrase-wrong"
            }
            E::NoMatchingKeys | E::DecryptionFailed | E::KeyDecryptionFailed => "backup-identity-wrong",
            _ => return damaged(&self.path, "content").with("cause", error),
        };
        Refusal::new(code).with("path", self.path.display())
    }
}

fn newer(path: &Path, version: u64) -> Refusal {
    Refusal::new("backup-newer").with("path", path.display()).with("version", version).with("known", VERSION)
}
