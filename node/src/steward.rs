//! A steward's key: a file of its own, kept off every node.
//!
//! The file holds one Ed25519 seed, mode 0600; with a passphrase it is an age file, so that the tools of
//! others open it too. Nothing else is derived from the seed.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use yunling_protocol::key::{Signer as _, SoftSigner};
use zeroize::Zeroizing;

use crate::backup::keys::{Lock, Unlock};
use crate::clock::random32;
use crate::home::write_secret;
use crate::service::Refusal;

/// First word of the text in a key file.
const PREFIX: &str = "YUNLING-STEWARD-KEY-1:";
/// Largest key file: an age header and a line.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// What an age file begins with.
const AGE_BEGIN: &[u8] = b"age-encryption.org/";

/// Makes a new key in a file that must not exist; gives the public key. With a passphrase, from the first
/// line of a file, it is encrypted.
pub fn create(path: &Path, passphrase: Option<&Path>) -> Result<[u8; 32], Refusal> {
    let failed = |cause: String| Refusal::new("file-write").with("path", path.display()).with("cause", cause);
    let seed = Zeroizing::new(random32());
    let text = Zeroizing::new(format!("{PREFIX}{}\n", HEXLOWER.encode(&*seed)));
    match passphrase {
        None => write_secret(path, &text).map_err(|e| failed(e.to_string()))?,
        Some(passphrase) => {
            let lock = Lock::passphrase(passphrase)?;
            let mut sealed = Vec::new();
            let mut write = || -> std::io::Result<()> {
                let mut writer = lock
                    .encryptor()
                    .map_err(|e| std::io::Error::other(e.to_string()))?
                    .wrap_output(&mut sealed)
                    .map_err(std::io::Error::other)?;
                writer.write_all(text.as_bytes())?;
                writer.finish()?;
                Ok(())
            };
            write().map_err(|e| failed(e.to_string()))?;
            write_private(path, &sealed).map_err(|e| failed(e.to_string()))?;
        }
    }
    Ok(SoftSigner::from_seed(&seed).public())
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Opens a key file; one that others can read is refused.
pub fn open(path: &Path, passphrase: Option<&Path>) -> Result<SoftSigner, Refusal> {
    let failed =
        |cause: String| Refusal::new("steward-key").with("path", path.display()).with("cause", cause);
    let file = std::fs::File::open(path).map_err(|e| failed(e.to_string()))?;
    let mode = file.metadata().map_err(|e| failed(e.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Refusal::new("key-mode").with("path", path.display()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|e| failed(e.to_string()))?;
    let text = if bytes.starts_with(AGE_BEGIN) {
        let passphrase =
            passphrase.ok_or_else(|| Refusal::new("steward-key-closed").with("path", path.display()))?;
        let unlock = Unlock::passphrase(passphrase)?;
        let decryptor = age::Decryptor::new(bytes.as_slice()).map_err(|e| failed(e.to_string()))?;
        let reader = unlock.decrypt(decryptor).map_err(|e| failed(e.to_string()))?;
        let mut text = Zeroizing::new(String::new());
        reader.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|e| failed(e.to_string()))?;
        text
    } else {
        Zeroizing::new(String::from_utf8(bytes.to_vec()).map_err(|e| failed(e.to_string()))?)
    };
    let seed = text.trim().strip_prefix(PREFIX).and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
    let seed = seed.and_then(|seed| <[u8; 32]>::try_from(seed).ok()).map(Zeroizing::new);
    let seed = seed.ok_or_else(|| failed("no steward key in it".to_owned()))?;
    Ok(SoftSigner::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_opens_with_its_passphrase_only_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let public = create(&at("plain"), None).unwrap();
        assert_eq!(open(&at("plain"), None).unwrap().public(), public);
        assert_eq!(std::fs::metadata(at("plain")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(create(&at("plain"), None).unwrap_err().code, "file-write", "nothing is overwritten");
        std::fs::write(at("right"), "correct horse battery\n").unwrap();
        std::fs::write(at("wrong"), "another horse battery\n").unwrap();
        let public = create(&at("closed"), Some(&at("right"))).unwrap();
        assert_eq!(std::fs::metadata(at("closed")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!String::from_utf8_lossy(&std::fs::read(at("closed")).unwrap()).contains(PREFIX));
        assert_eq!(open(&at("closed"), Some(&at("right"))).unwrap().public(), public);
        assert_eq!(open(&at("closed"), Some(&at("wrong"))).unwrap_err().code, "steward-key");
        assert_eq!(open(&at("closed"), None).unwrap_err().code, "steward-key-closed");
        std::fs::set_permissions(at("plain"), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(open(&at("plain"), None).unwrap_err().code, "key-mode");
        assert_eq!(open(&at("right"), None).unwrap_err().code, "key-mode");
    }
}
