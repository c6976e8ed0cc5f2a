//! A node's home: the folder with configuration, role keys and data.
//!
//! `init` makes everything and asks nothing. Secrets are files of mode 0600; the recovery key is
//! made here and belongs off the machine. What was fixed at `init` is compared at every start.

pub mod change;
pub mod ring;

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use data_encoding::HEXLOWER;
use yunling_protocol::card::{Card, SignedCard};
use yunling_protocol::division::DivisionCode;
use yunling_protocol::key::{Role, Signer as _, SoftSigner};
use yunling_protocol::name::NodeName;
use zeroize::Zeroizing;

use crate::clock::{Clock, random32};
use crate::config::{self, CONFIG_FILE, Config, ConfigError};
use crate::net::circuit_address;
use ring::{Ring, SINCE_FILE};

/// Folder of the keys.
pub(crate) const KEYS: &str = "keys";
/// Public key that backups are encrypted to; what opens them is in the safe.
pub(crate) const RECIPIENT_FILE: &str = "backup.recipient";
/// Secret of items and the person index.
const SECRET_FILE: &str = "secret.key";
/// Key of the profile data.
pub(crate) const PROFILE_FILE: &str = "profile.key";

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
    /// Replaced whole when keys were rotated.
    ring: RwLock<Arc<Ring>>,
    /// Secret under which items and the person index are derived.
    pub secret: Zeroizing<[u8; 32]>,
    /// Key of the profile data.
    pub profile: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(secret)")
    }
}

impl Keys {
    /// The role keys as they are now.
    pub fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
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
        Self::with_ring(path, config, Ring::load(path)?)
    }

    /// Opens a home of which role keys may be lost, with the keys that a card of the node names.
    pub fn open_with_card(path: &Path, card: &SignedCard) -> Result<Self, HomeError> {
        let config = Config::load(path)?;
        Self::with_ring(path, config, Ring::of_card(path, card)?)
    }

    fn with_ring(path: &Path, config: Config, ring: Ring) -> Result<Self, HomeError> {
        let name = config.name()?;
        let folder = path.join(KEYS);
        let profile = config.store.profile_key.clone().unwrap_or_else(|| folder.join(PROFILE_FILE));
        let keys = Keys {
            ring: RwLock::new(Arc::new(ring)),
            secret: hex32(&folder.join(SECRET_FILE))?,
            profile: hex32(&profile)?,
        };
        let clock = Clock::for_home(config.node.trial);
        Ok(Self { path: path.to_path_buf(), config, name, clock, keys, backup_identity: None })
    }

    /// Reads the role keys again after a rotation.
    pub fn reload_keys(&self) -> Result<(), HomeError> {
        let ring = Ring::load(&self.path)?;
        *self.keys.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(())
    }

    /// Signer of a role by the windows of the home's own keys; a node asks its roster first.
    pub fn signer(&self, role: Role) -> Option<Arc<SoftSigner>> {
        self.keys.ring().by_window(role, self.clock.now())?.signer()
    }

    /// Folder of the store.
    pub fn store_folder(&self) -> PathBuf {
        self.config.store.folder.clone().unwrap_or_else(|| self.path.join("data"))
    }

    /// Path of the control socket.
    pub fn socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// The node's card, with `addresses` as peers may reach it.
    pub fn card(&self, addresses: Vec<String>) -> Result<SignedCard, HomeError> {
        self.card_of(&self.keys.ring(), addresses)
    }

    /// The card with the keys of a list.
    fn card_of(&self, ring: &Ring, addresses: Vec<String>) -> Result<SignedCard, HomeError> {
        let now = self.clock.now();
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
            keys: ring.keys().iter().map(|key| key.entry.clone()).collect(),
            addresses,
            contact: self.config.node.contact.clone(),
            made_at: now,
            trial: self.config.node.trial,
        };
        let signer = ring.card_key(now).and_then(ring::RingKey::signer);
        let signer = signer.ok_or_else(|| HomeError::Card("no statement key".into()))?;
        card.sign(&*signer).map_err(|e| HomeError::Card(e.to_string()))
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
