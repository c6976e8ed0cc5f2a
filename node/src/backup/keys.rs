//! Who can open a backup: the recipients in the home, and the identity or passphrase in the safe.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

pub use age::secrecy::{ExposeSecret, SecretString};
use age::{scrypt, x25519};
use zeroize::Zeroizing;

use super::folder::Unfinished;
use crate::home::{Home, KEYS, RECIPIENT_FILE};
use crate::service::Refusal;

/// Largest key or passphrase file.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Most keys in one file: an office, its province and a few spare ones.
const KEYS_MAX: usize = 16;
/// Shortest passphrase: whoever steals the second copy may try for years.
const PASSPHRASE_CHARS_MIN: usize = 12;
/// Most work a file may demand of the one who opens it: 2^22, 4 GiB and some seconds.
const WORK_FACTOR_MAX: u8 = 22;

/// What a backup is encrypted to.
pub enum Lock {
    /// Public keys.
    Recipients(Vec<x25519::Recipient>),
    /// A passphrase.
    Passphrase(SecretString),
}

/// What opens a backup.
pub enum Unlock {
    /// Identities from the safe.
    Identities(Vec<x25519::Identity>),
    /// A passphrase.
    Passphrase(SecretString),
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lock")
    }
}

impl std::fmt::Debug for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unlock(secret)")
    }
}

/// A new identity, and the recipient that belongs to it.
pub fn generate() -> (SecretString, String) {
    let identity = x25519::Identity::generate();
    (identity.to_string(), identity.to_public().to_string())
}

/// Gives a home a new recipient; the identity is for the safe. Older backups keep theirs.
pub fn renew(home: &Path) -> Result<SecretString, Refusal> {
    let path = home.join(KEYS).join(RECIPIENT_FILE);
    let (identity, recipient) = generate();
    let write = || -> std::io::Result<()> {
        let (unfinished, mut file) = Unfinished::begin(&path)?;
        file.write_all(recipient.as_bytes())?;
        file.sync_all()?;
        unfinished.finish()
    };
    write().map_err(super::io(&path))?;
    Ok(identity)
}

fn read(path: &Path, code: &str) -> Result<Zeroizing<String>, Refusal> {
    let failed = |cause: String| Refusal::new(code).with("path", path.display()).with("cause", cause);
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(|e| failed(e.to_string()))?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|e| failed(e.to_string()))?;
    Ok(text)
}

/// Keys of a file, one a line; lines with `#` are remarks, as the tools of the format write them.
fn lines<T: std::str::FromStr>(text: &str) -> Option<Vec<T>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let keys: Vec<T> = lines.map(|l| l.parse().ok()).collect::<Option<_>>()?;
    (!keys.is_empty() && keys.len() <= KEYS_MAX).then_some(keys)
}

impl Lock {
    /// The recipients of a home; the daily run needs no passphrase.
    pub fn of_home(home: &Home) -> Result<Self, Refusal> {
        let path = home.path.join(KEYS).join(RECIPIENT_FILE);
        if !path.exists() {
            return Err(Refusal::new("backup-recipient-missing").with("path", path.display()));
        }
        let text = read(&path, "backup-recipient")?;
        let keys = lines(&text).ok_or_else(|| {
            Refusal::new("backup-recipient").with("path", path.display()).with("cause", "no age1… key")
        })?;
        Ok(Self::Recipients(keys))
    }

    /// A passphrase from a file.
    pub fn passphrase(path: &Path) -> Result<Self, Refusal> {
        let secret = passphrase(path)?;
        if secret.expose_secret().chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(Refusal::new("backup-passphrase-short").with("min", PASSPHRASE_CHARS_MIN));
        }
        Ok(Self::Passphrase(secret))
    }

    /// Starts the encryption.
    pub(crate) fn encryptor(&self) -> Result<age::Encryptor, Refusal> {
        match self {
            Self::Passphrase(secret) => Ok(age::Encryptor::with_user_passphrase(secret.clone())),
            Self::Recipients(keys) => {
                age::Encryptor::with_recipients(keys.iter().map(|key| key as &dyn age::Recipient))
                    .map_err(|e| Refusal::new("internal").with("cause", e))
            }
        }
    }
}

fn passphrase(path: &Path) -> Result<SecretString, Refusal> {
    let text = read(path, "backup-passphrase")?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(Refusal::new("backup-passphrase").with("path", path.display()).with("cause", "empty"));
    }
    Ok(SecretString::from(line.to_owned()))
}

impl Unlock {
    /// Identities from a file (`AGE-SECRET-KEY-1…`, one a line).
    pub fn identities(path: &Path) -> Result<Self, Refusal> {
        let text = read(path, "backup-identity")?;
        let keys = lines(&text).ok_or_else(|| {
            Refusal::new("backup-identity")
                .with("path", path.display())
                .with("cause", "no AGE-SECRET-KEY-1… line")
        })?;
        Ok(Self::Identities(keys))
    }

    /// A passphrase from the first line of a file.
    pub fn passphrase(path: &Path) -> Result<Self, Refusal> {
        passphrase(path).map(Self::Passphrase)
    }

    /// Opens age content.
    pub(crate) fn decrypt<R: std::io::Read>(
        &self,
        decryptor: age::Decryptor<R>,
    ) -> Result<age::stream::StreamReader<R>, age::DecryptError> {
        match self {
            Self::Identities(keys) => {
                let mut keys = keys.iter().map(|key| key as &dyn age::Identity);
                decryptor.decrypt(&mut keys)
            }
            Self::Passphrase(secret) => {
                let mut identity = scrypt::Identity::new(secret.clone());
                identity.set_max_work_factor(WORK_FACTOR_MAX);
                decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
            }
        }
    }
}
