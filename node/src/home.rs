//! A node's home: the folder with configuration, role keys and data.
//!
//! `init` makes everything and asks nothing. Secrets are files of mode 0600; the recovery key is
//! made here and belongs off the machine. What was fixed at `init` is compared at every start.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use yunling_protocol::card::{Card, SignedCard};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::key::{KeyEntry, Role, Signer, SoftSigner};
use yunling_protocol::name::NodeName;
use zeroize::Zeroizing;

use crate::clock::{Clock, random32};
use crate::config::{self, CONFIG_FILE, Config, ConfigError};
use crate::net::circuit_address;

/// Folder of the keys.
pub(crate) const KEYS: &str = "keys";
/// Public key that backups are encrypted to; what opens them is in the safe.
pub(crate) const RECIPIENT_FILE: &str = "backup.recipient";
/// Secret of items and the person index.
const SECRET_FILE: &str = "secret.key";
/// Key of the profile data.
pub(crate) const PROFILE_FILE: &str = "profile.key";
/// When the keys were made: the beginning of their windows.
const SINCE_FILE: &str = "since";

/// Why a home could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is a home already.
    #[error("{0} is a node's home already")]
    Exists(PathBuf),
    /// The folder holds other things.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// The division code is not in the table.
    #[error("division code `{0}` is not known")]
    Division(String),
    /// The name is malformed.
    #[error("name `{0}` is malformed")]
    Name(String),
    /// A file could not be read or written.
    #[error("cannot use {path}: {source}")]
    Io {
        /// File.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A key file is damaged.
    #[error("key file {0} does not hold 32 bytes in hexadecimal")]
    Key(PathBuf),
    /// A key file can be read by others.
    #[error("key file {0} can be read by others")]
    Mode(PathBuf),
    /// Signing the card failed.
    #[error("the card could not be signed: {0}")]
    Card(String),
}

impl HomeError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(e) => e.code(),
            Self::Exists(_) => "home-exists",
            Self::NotEmpty(_) => "home-not-empty",
            Self::Division(_) => "division-unknown",
            Self::Name(_) => "node-name",
            Self::Io { .. } => "home-io",
            Self::Key(_) => "key-file",
            Self::Mode(_) => "key-mode",
            Self::Card(_) => "sign-device",
        }
    }
}

/// Secrets of a node.
pub struct Keys {
    seeds: Vec<(Role, Zeroizing<[u8; 32]>)>,
    /// Secret under which items and the person index are derived.
    pub secret: Zeroizing<[u8; 32]>,
    /// Key of the profile data.
    pub profile: Zeroizing<[u8; 32]>,
    /// When the role keys were made.
    pub since: UnixTime,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(secret)")
    }
}

impl Keys {
    /// Seed of a role key; the recovery key may be off the machine.
    pub fn seed(&self, role: Role) -> Option<&[u8; 32]> {
        self.seeds.iter().find(|(r, _)| *r == role).map(|(_, seed)| &**seed)
    }

    /// Signer of a role.
    pub fn signer(&self, role: Role) -> Option<SoftSigner> {
        self.seed(role).map(SoftSigner::from_seed)
    }
}

/// An opened home.
#[derive(Debug)]
pub struct Home {
    /// Folder.
    pub path: PathBuf,
    /// Configuration.
    pub config: Config,
    /// Name.
    pub name: NodeName,
    /// Clock.
    pub clock: Clock,
    /// Secrets.
    pub keys: Keys,
    /// The key that opens backups, known only right after `init`: it is for the safe.
    pub backup_identity: Option<age::secrecy::SecretString>,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> HomeError {
    let path = path.to_path_buf();
    move |source| HomeError::Io { path, source }
}

pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), HomeError> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io(path))?;
    file.write_all(text.as_bytes()).map_err(io(path))?;
    file.sync_all().map_err(io(path))
}

pub(crate) fn make_folder(path: &Path) -> Result<(), HomeError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))
}

fn hex32(path: &Path) -> Result<Zeroizing<[u8; 32]>, HomeError> {
    let mode = std::fs::metadata(path).map_err(io(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(HomeError::Mode(path.to_path_buf()));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(io(path))?);
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| HomeError::Key(path.to_path_buf()))?;
    let seed = <[u8; 32]>::try_from(bytes).map_err(|_| HomeError::Key(path.to_path_buf()))?;
    Ok(Zeroizing::new(seed))
}

impl Home {
    /// Makes a home: configuration, role keys, profile key. Asks nothing.
    pub fn init(path: &Path, name: &str, division: &str, trial: bool) -> Result<Self, HomeError> {
        let node = NodeName::parse(name).map_err(|_| HomeError::Name(name.into()))?;
        let code = DivisionCode::parse(division)
            .filter(|d| d.lookup().is_some())
            .ok_or_else(|| HomeError::Division(division.into()))?;
        if path.join(CONFIG_FILE).exists() {
            return Err(HomeError::Exists(path.to_path_buf()));
        }
        if path.is_dir() && std::fs::read_dir(path).map_err(io(path))?.next().is_some() {
            return Err(HomeError::NotEmpty(path.to_path_buf()));
        }
        make_folder(path)?;
        let keys = path.join(KEYS);
        make_folder(&keys)?;
        for role in Role::ALL {
            write_secret(&keys.join(format!("{}.key", role.word())), &HEXLOWER.encode(&random32()))?;
        }
        // The public half stays when the recovery key is moved off the machine.
        let recovery = SoftSigner::from_seed(&*hex32(&keys.join("recovery.key"))?);
        write_secret(&keys.join("recovery.pub"), &HEXLOWER.encode(&recovery.public()))?;
        write_secret(&keys.join(SECRET_FILE), &HEXLOWER.encode(&random32()))?;
        write_secret(&keys.join(PROFILE_FILE), &HEXLOWER.encode(&random32()))?;
        let now = Clock::for_home(trial).now();
        write_secret(&keys.join(SINCE_FILE), &now.0.to_string())?;
        let (identity, recipient) = crate::backup::keys::generate();
        write_secret(&keys.join(RECIPIENT_FILE), &recipient)?;
        // Last: a half-made home has no configuration and is refused, never half used.
        let file = path.join(CONFIG_FILE);
        std::fs::write(&file, config::template(&node, code, trial)).map_err(io(&file))?;
        Ok(Self { backup_identity: Some(identity), ..Self::open(path)? })
    }

    /// Opens a home.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let config = Config::load(path)?;
        let name = config.name()?;
        let folder = path.join(KEYS);
        let mut seeds = Vec::new();
        for role in Role::ALL {
            let file = folder.join(format!("{}.key", role.word()));
            // The recovery key belongs off the machine.
            if role == Role::Recovery && !file.exists() {
                continue;
            }
            seeds.push((role, hex32(&file)?));
        }
        let profile = config.store.profile_key.clone().unwrap_or_else(|| folder.join(PROFILE_FILE));
        let since_file = folder.join(SINCE_FILE);
        let since = std::fs::read_to_string(&since_file).map_err(io(&since_file))?;
        let since = UnixTime(since.trim().parse().map_err(|_| HomeError::Key(since_file))?);
        let keys =
            Keys { seeds, secret: hex32(&folder.join(SECRET_FILE))?, profile: hex32(&profile)?, since };
        let clock = Clock::for_home(config.node.trial);
        Ok(Self { path: path.to_path_buf(), config, name, clock, keys, backup_identity: None })
    }

    /// Folder of the store.
    pub fn store_folder(&self) -> PathBuf {
        self.config.store.folder.clone().unwrap_or_else(|| self.path.join("data"))
    }

    /// Path of the control socket.
    pub fn socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// Public key of a role. The recovery key's public half is kept beside it once it is moved away.
    fn public(&self, role: Role) -> Result<[u8; 32], HomeError> {
        if let Some(seed) = self.keys.seed(role) {
            return Ok(match role {
                Role::Encryption => {
                    x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*seed)).to_bytes()
                }
                _ => SoftSigner::from_seed(seed).public(),
            });
        }
        let file = self.path.join(KEYS).join(format!("{}.pub", role.word()));
        let text = std::fs::read_to_string(&file).map_err(io(&file))?;
        let bytes = HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| HomeError::Key(file.clone()))?;
        bytes.try_into().map_err(|_| HomeError::Key(file))
    }

    /// The node's card, with `addresses` as peers may reach it.
    pub fn card(&self, addresses: Vec<String>) -> Result<SignedCard, HomeError> {
        let mut keys = Vec::new();
        for role in Role::ALL {
            let entry = KeyEntry::new(role, self.public(role)?, self.keys.since, None);
            keys.push(entry.map_err(|e| HomeError::Card(e.to_string()))?);
        }
        let mut addresses =
            if self.config.net.external.is_empty() { addresses } else { self.config.net.external.clone() };
        // Known before any relay has answered, so that the card does not change with the weather.
        let relays = self.config.relays()?;
        addresses.extend(relays.iter().map(|(relay, address)| circuit_address(*relay, address).to_string()));
        let card = Card {
            name: self.name.clone(),
            title_zh: self.config.node.title_zh.clone(),
            title_en: self.config.node.title_en.clone(),
            division: self.config.division()?,
            kind: self.config.kind()?,
            keys,
            addresses,
            contact: self.config.node.contact.clone(),
            made_at: self.clock.now(),
            trial: self.config.node.trial,
        };
        let signer =
            self.keys.signer(Role::Statement).ok_or_else(|| HomeError::Card("no statement key".into()))?;
        card.sign(&signer).map_err(|e| HomeError::Card(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn init_makes_every_role_key_with_mode_0600_and_refuses_a_second_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let home = Home::init(&path, "kunming", "530100", false).unwrap();
        for role in Role::ALL {
            let file = path.join("keys").join(format!("{}.key", role.word()));
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let card = home.card(vec!["/ip4/127.0.0.1/tcp/7440".into()]).unwrap();
        assert_eq!(SignedCard::from_text(&card.to_text()).unwrap(), card);
        assert_eq!(Home::init(&path, "kunming", "530100", false).unwrap_err().code(), "home-exists");
        assert_eq!(
            Home::init(&folder.path().join("x"), "a b", "530100", false).unwrap_err().code(),
            "node-name"
        );
        let wrong = Home::init(&folder.path().join("x"), "a", "999999", false).unwrap_err();
        assert_eq!(wrong.code(), "division-unknown");
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        Home::init(&path, "kunming", "530100", true).unwrap();
        let file = path.join("keys/statement.key");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Home::open(&path).unwrap_err().code(), "key-mode");
    }
}
