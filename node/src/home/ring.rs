//! The keys of a home: one for each role from `init` on, more after a rotation.
//!
//! In: the folder `keys`. Out: every key that the node ever had, with its window, and the secret of those
//! that are still there. A home that never rotated has no ring file: each role has the one key of its
//! `init`. What always holds: a public key stays in the ring for ever (cards and rosters never lose one),
//! and a role that works online has at least one secret.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use yunling_protocol::card::{KEYS_MAX, SignedCard};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::message::FUTURE_SECONDS_MAX;
use zeroize::Zeroizing;

use super::{HomeError, KEYS, hex32, io};
use crate::backup::folder::Unfinished;

/// List of all keys with their windows, once there is more to say than `since`.
pub(crate) const RING_FILE: &str = "ring";
/// First line of the list.
const HEADING: &str = "yunling/keys/1";
/// Largest list: a line of at most 160 bytes for each key of a card.
const RING_BYTES_MAX: u64 = 16 * 1024;
/// When the first keys were made: the beginning of their windows.
pub(crate) const SINCE_FILE: &str = "since";
/// Seconds for which a new key waits while an old one still counts: a peer whose clock is behind by what
/// is tolerated (DESIGN §4) must not meet a key that for it has not begun.
pub const SETTLE_SECONDS: i64 = FUTURE_SECONDS_MAX;

/// The secret of a key.
#[derive(Clone)]
pub(super) struct Secret {
    pub(super) file: String,
    pub(super) seed: Zeroizing<[u8; 32]>,
    signer: Arc<SoftSigner>,
}

impl Secret {
    pub(super) fn new(file: String, seed: Zeroizing<[u8; 32]>) -> Self {
        let signer = Arc::new(SoftSigner::from_seed(&seed));
        Self { file, seed, signer }
    }
}

/// A key of the node.
#[derive(Clone)]
pub struct RingKey {
    /// What cards say of it.
    pub entry: KeyEntry,
    pub(super) secret: Option<Secret>,
}

impl RingKey {
    /// Whether its secret is in the home.
    pub fn is_held(&self) -> bool {
        self.secret.is_some()
    }

    /// Signer, where its secret is in the home.
    pub fn signer(&self) -> Option<Arc<SoftSigner>> {
        self.secret.as_ref().map(|secret| secret.signer.clone())
    }

    /// Seed, where its secret is in the home.
    pub fn seed(&self) -> Option<&[u8; 32]> {
        self.secret.as_ref().map(|secret| &*secret.seed)
    }
}

/// All keys, in the order in which they were made.
#[derive(Clone)]
pub struct Ring {
    pub(super) keys: Vec<RingKey>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.entry)).finish()
    }
}

/// Public half of a seed in a role.
pub(super) fn public_of(role: Role, seed: &[u8; 32]) -> [u8; 32] {
    match role {
        Role::Encryption => {
            x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*seed)).to_bytes()
        }
        _ => SoftSigner::from_seed(seed).public(),
    }
}

/// Name of the file of the first key of a role.
pub(super) fn first_file(role: Role) -> String {
    format!("{}.key", role.word())
}

/// Name of the file of a later key.
pub(super) fn later_file(entry: &KeyEntry) -> String {
    format!("{}-{}.key", entry.role.word(), HEXLOWER.encode(&entry.kid()))
}

fn secret_at(folder: &Path, file: &str, role: Role) -> Result<(Secret, [u8; 32]), HomeError> {
    let seed = hex32(&folder.join(file))?;
    let public = public_of(role, &seed);
    Ok((Secret::new(file.to_owned(), seed), public))
}

impl Ring {
    /// The keys of a home.
    pub fn load(home: &Path) -> Result<Self, HomeError> {
        let folder = home.join(KEYS);
        let file = folder.join(RING_FILE);
        let ring = if file.exists() { Self::listed(&folder)? } else { Self::first(&folder)? };
        // The recovery key belongs off the machine.
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Recovery) {
            if !ring.of(role).any(RingKey::is_held) {
                return Err(HomeError::Key(folder.join(first_file(role))));
            }
        }
        Ok(ring)
    }

    /// The keys as `init` made them.
    fn first(folder: &Path) -> Result<Self, HomeError> {
        let since_file = folder.join(SINCE_FILE);
        let since = std::fs::read_to_string(&since_file).map_err(io(&since_file))?;
        let since = UnixTime(since.trim().parse().map_err(|_| HomeError::Key(since_file))?);
        let mut keys = Vec::new();
        for role in Role::ALL {
            let file = first_file(role);
            let (secret, public) = if role == Role::Recovery && !folder.join(&file).exists() {
                (None, read_public(&folder.join("recovery.pub"))?)
            } else {
                let (secret, public) = secret_at(folder, &file, role)?;
                (Some(secret), public)
            };
            let entry = KeyEntry::new(role, public, since, None);
            keys.push(RingKey { entry: entry.map_err(|_| HomeError::Key(folder.join(&file)))?, secret });
        }
        Ok(Self { keys })
    }

    /// The keys of the list; a secret that is not the one of its public key is refused.
    fn listed(folder: &Path) -> Result<Self, HomeError> {
        let file = folder.join(RING_FILE);
        let damaged = || HomeError::Key(file.clone());
        if std::fs::metadata(&file).map_err(io(&file))?.len() > RING_BYTES_MAX {
            return Err(damaged());
        }
        let text = std::fs::read_to_string(&file).map_err(io(&file))?;
        let mut lines = text.lines();
        if lines.next() != Some(HEADING) {
            return Err(damaged());
        }
        let mut keys = Vec::new();
        for line in lines {
            let (entry, name) = read_line(line).ok_or_else(damaged)?;
            let secret = match name {
                None => None,
                // Off the machine, or not yet: both are right.
                Some(name) if entry.role == Role::Recovery && !folder.join(name).exists() => None,
                Some(name) => {
                    let (secret, public) = secret_at(folder, name, entry.role)?;
                    if public != entry.public {
                        return Err(HomeError::Key(folder.join(name)));
                    }
                    Some(secret)
                }
            };
            keys.push(RingKey { entry, secret });
        }
        if keys.len() > KEYS_MAX || Role::ALL.iter().any(|role| !keys.iter().any(|k| k.entry.role == *role)) {
            return Err(damaged());
        }
        Ok(Self { keys })
    }

    /// The keys that a card of the node names, with the secrets that are still in the home: how a home goes
    /// on that lost some.
    pub fn of_card(home: &Path, card: &SignedCard) -> Result<Self, HomeError> {
        let folder = home.join(KEYS);
        let mut keys = Vec::new();
        for entry in &card.card.keys {
            let mut secret = None;
            for file in [first_file(entry.role), later_file(entry)] {
                if folder.join(&file).exists() {
                    let (found, public) = secret_at(&folder, &file, entry.role)?;
                    secret = secret.or(Some(found).filter(|_| public == entry.public));
                }
            }
            keys.push(RingKey { entry: entry.clone(), secret });
        }
        Ok(Self { keys })
    }

    /// Writes the list whole or not at all.
    pub(super) fn save(&self, home: &Path) -> Result<(), HomeError> {
        let path = home.join(KEYS).join(RING_FILE);
        let mut text = format!("{HEADING}\n");
        for RingKey { entry, secret } in &self.keys {
            let end = entry.not_after.map_or_else(|| "-".to_owned(), |end| end.0.to_string());
            // The recovery key's file may be moved away without a word here.
            let first = (entry.role == Role::Recovery).then(|| first_file(Role::Recovery));
            let file = secret.as_ref().map(|secret| secret.file.clone()).or(first);
            let (role, public) = (entry.role.word(), HEXLOWER.encode(&entry.public));
            let (from, file) = (entry.not_before.0, file.as_deref().unwrap_or("-"));
            text.extend([role, " ", &public, " ", &from.to_string(), " ", &end, " ", file, "\n"]);
        }
        let write = || -> std::io::Result<()> {
            let (unfinished, mut file) = Unfinished::begin(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            unfinished.finish()
        };
        write().map_err(io(&path))
    }

    /// Every key.
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// Every key of a role.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &RingKey> {
        self.keys.iter().filter(move |key| key.entry.role == role)
    }

    /// The key of a role to sign with at `now`, of those that are held and `count`: the newest one that has
    /// settled, else the oldest.
    pub fn current(&self, role: Role, now: UnixTime, count: impl Fn(&KeyEntry) -> bool) -> Option<&RingKey> {
        let held = || self.of(role).filter(|key| key.is_held() && count(&key.entry));
        let settled = |key: &&RingKey| key.entry.not_before.0.saturating_add(SETTLE_SECONDS) <= now.0;
        let begins = |key: &&RingKey| key.entry.not_before;
        held().filter(settled).max_by_key(begins).or_else(|| held().min_by_key(begins))
    }

    /// As [`Ring::current`] by the windows of the ring; a key whose window is over is better than none, for
    /// what it signs is judged by others.
    pub fn by_window(&self, role: Role, now: UnixTime) -> Option<&RingKey> {
        let current = self.current(role, now, |key| key.valid_at(now));
        current.or_else(|| self.of(role).filter(|key| key.is_held()).max_by_key(|key| key.entry.not_before))
    }

    /// The key that signs cards: the oldest statement key that counts, so that for the whole overlap whoever
    /// knows only the old one can follow.
    pub fn card_key(&self, now: UnixTime) -> Option<&RingKey> {
        let counting = self.of(Role::Statement).filter(|key| key.is_held() && key.entry.valid_at(now));
        counting.min_by_key(|key| key.entry.not_before).or_else(|| self.by_window(Role::Statement, now))
    }

    /// Names of the files that hold secrets, without the recovery key.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let online = self.keys.iter().filter(|key| key.entry.role != Role::Recovery);
        online.filter_map(|key| key.secret.as_ref().map(|secret| secret.file.clone())).collect()
    }
}

/// A line of the list: role, public key, beginning, end or `-`, file or `-`.
fn read_line(line: &str) -> Option<(KeyEntry, Option<&str>)> {
    let parts: Vec<&str> = line.split(' ').collect();
    let [role, public, begin, end, file] = parts.as_slice() else { return None };
    let role = Role::ALL.into_iter().find(|r| r.word() == *role)?;
    let public = HEXLOWER.decode(public.as_bytes()).ok()?.try_into().ok()?;
    let end = if *end == "-" { None } else { Some(UnixTime(end.parse().ok()?)) };
    let entry = KeyEntry::new(role, public, UnixTime(begin.parse().ok()?), end).ok()?;
    let known = [first_file(role), later_file(&entry)];
    let file = if *file == "-" { None } else { Some(known.iter().any(|k| k == file).then_some(*file)?) };
    Some((entry, file))
}

fn read_public(file: &Path) -> Result<[u8; 32], HomeError> {
    let text = std::fs::read_to_string(file).map_err(io(file))?;
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| HomeError::Key(file.to_path_buf()))?;
    bytes.try_into().map_err(|_| HomeError::Key(file.to_path_buf()))
}
