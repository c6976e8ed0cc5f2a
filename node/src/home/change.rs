//! Changes of a home's role keys: a planned rotation with overlap, the destruction of an old secret, and
//! the replacement of lost or stolen keys by the recovery key.
//!
//! In: an opened home. Out: new files beside the old ones and a new list; nothing is overwritten. The list
//! is written last (rotation, replacement) or first (destruction), so that a crash leaves a key file that
//! nobody names, never a name without its key.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use yunling_protocol::card::{KEYS_MAX, SignedCard};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::roster::key_change::KeyChange;
use zeroize::Zeroizing;

use super::ring::{Ring, RingKey, Secret, first_file, later_file, public_of};
use super::{Home, HomeError, KEYS, hex32, write_secret};
use crate::clock::random32;
use crate::service::Refusal;

/// Days for which old and new key both count, unless told otherwise: messages may lie in an outbox or travel
/// by courier for weeks, and peers learn of the new key in this time only.
pub const OVERLAP_DAYS: u32 = 90;
/// The same for proof keys: a proof is good for a year by default, and one without a receipt needs a key that
/// still counts.
pub const OVERLAP_DAYS_PROOF: u32 = 370;
/// Longest overlap: the longest life of a proof.
pub const OVERLAP_DAYS_MAX: u32 = 3_660;
const DAY_SECONDS: i64 = 86_400;

fn home_refusal(error: HomeError) -> Refusal {
    let refusal = Refusal::new(error.code()).with("cause", &error);
    match error {
        HomeError::Io { path, .. } | HomeError::Key(path) | HomeError::Mode(path) => {
            refusal.with("path", path.display())
        }
        _ => refusal,
    }
}

/// Holds the folder of the keys: two changes at once would lose one.
pub(crate) fn lock(home: &Path) -> Result<File, Refusal> {
    let folder = home.join(KEYS);
    let failed = |e: std::io::Error| Refusal::new("home-io").with("path", folder.display()).with("cause", e);
    let file = File::open(&folder).map_err(failed)?;
    file.try_lock().map_err(|_| Refusal::new("key-busy"))?;
    Ok(file)
}

/// Says why a role is not rotated as planned.
fn refuse_role(role: Role) -> Result<(), Refusal> {
    match role {
        // Peers dial and admit one network identity, the newest on the card.
        Role::Transport => Err(Refusal::new("key-rotate-transport")),
        // Readers of a log hold one key for its origin.
        Role::Log => Err(Refusal::new("key-rotate-log")),
        Role::Recovery => Err(Refusal::new("key-rotate-recovery")),
        _ => Ok(()),
    }
}

/// A new key, with its secret written beside the others.
fn new_key(home: &Path, role: Role, from: UnixTime) -> Result<RingKey, Refusal> {
    let seed = Zeroizing::new(random32());
    let entry = KeyEntry::new(role, public_of(role, &seed), from, None);
    let entry = entry.map_err(|e| Refusal::new("internal").with("cause", e))?;
    let file = later_file(&entry);
    write_secret(&home.join(KEYS).join(&file), &HEXLOWER.encode(&*seed)).map_err(home_refusal)?;
    Ok(RingKey { secret: Some(Secret::new(file, seed)), entry })
}

/// Ends the keys of a role at `end`, where they would count for longer.
fn end_keys(ring: &mut Ring, role: Role, end: UnixTime) {
    for key in ring.keys.iter_mut().filter(|key| key.entry.role == role) {
        // A key that has not begun gets an empty window, never one that ends before it begins.
        let end = end.max(key.entry.not_before);
        if key.entry.not_after.is_none_or(|old| end < old) {
            key.entry.not_after = Some(end);
        }
    }
}

/// Makes a second key of a role that counts from `from` (now when none is given); the present ones count for
/// `overlap` days more. Gives the new key.
pub fn rotate(
    home: &Home,
    role: Role,
    from: Option<UnixTime>,
    overlap: Option<u32>,
) -> Result<KeyEntry, Refusal> {
    refuse_role(role)?;
    let usual = if role == Role::Proof { OVERLAP_DAYS_PROOF } else { OVERLAP_DAYS };
    let overlap = overlap.unwrap_or(usual);
    if !(1..=OVERLAP_DAYS_MAX).contains(&overlap) {
        return Err(Refusal::new("key-overlap").with("days", overlap).with("max", OVERLAP_DAYS_MAX));
    }
    let now = home.clock.now();
    let from = from.unwrap_or(now);
    if from < now {
        return Err(Refusal::new("key-from-past").with("from", from));
    }
    let _one_at_a_time = lock(&home.path)?;
    let mut ring = Ring::load(&home.path).map_err(home_refusal)?;
    if let Some(waiting) = ring.of(role).find(|key| key.entry.not_before > now) {
        return Err(Refusal::new("key-pending").with("from", waiting.entry.not_before));
    }
    refuse_full(&ring, 1)?;
    end_keys(&mut ring, role, UnixTime(from.0.saturating_add(i64::from(overlap) * DAY_SECONDS)));
    let key = new_key(&home.path, role, from)?;
    let entry = key.entry.clone();
    ring.keys.push(key);
    save(home, &ring)?;
    Ok(entry)
}

fn refuse_full(ring: &Ring, more: usize) -> Result<(), Refusal> {
    if ring.keys().len() + more > KEYS_MAX {
        return Err(Refusal::new("key-too-many").with("max", KEYS_MAX));
    }
    Ok(())
}

/// Saves a list whose card is one that others can read.
fn save(home: &Home, ring: &Ring) -> Result<(), Refusal> {
    let card = home.card_of(ring, home.config.net.listen.clone()).map_err(home_refusal)?;
    SignedCard::parse(card.bytes()).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
    ring.save(&home.path).map_err(home_refusal)
}

/// Destroys the secrets of a role whose windows are over, or the one with this key id; gives those destroyed.
/// What they signed is still verified: public keys stay.
pub fn retire(home: &Home, role: Role, kid: Option<&str>) -> Result<Vec<KeyEntry>, Refusal> {
    let _one_at_a_time = lock(&home.path)?;
    let mut ring = Ring::load(&home.path).map_err(home_refusal)?;
    let now = home.clock.now();
    let over = |entry: &KeyEntry| entry.not_after.is_some_and(|end| end <= now);
    let named = |entry: &KeyEntry| kid.is_none_or(|kid| HEXLOWER.encode(&entry.kid()) == kid);
    if let Some(kid) = kid {
        let found = ring.of(role).find(|key| named(&key.entry));
        let found = found.ok_or_else(|| Refusal::new("key-unknown-here").with("kid", kid))?;
        if !over(&found.entry) {
            let until = found.entry.not_after.map_or_else(|| "…".to_owned(), |end| end.to_string());
            return Err(Refusal::new("key-retire-early").with("until", until));
        }
    }
    let mut gone = Vec::new();
    for key in ring.keys.iter_mut().filter(|key| key.entry.role == role && key.entry.role != Role::Recovery) {
        if over(&key.entry) && named(&key.entry) && (key.secret.take().is_some() || lies(home, &key.entry)) {
            gone.push(key.entry.clone());
        }
    }
    if gone.is_empty() {
        return Err(Refusal::new("key-retire-none").with("role", role.word()));
    }
    if !ring.of(role).any(RingKey::is_held) {
        return Err(Refusal::new("key-retire-last").with("role", role.word()));
    }
    ring.save(&home.path).map_err(home_refusal)?;
    for entry in &gone {
        for file in files_of(entry).iter().filter(|file| is_of(home, file, entry)) {
            let path = home.path.join(KEYS).join(file);
            destroy(&path)
                .map_err(|e| Refusal::new("home-io").with("path", path.display()).with("cause", e))?;
        }
    }
    Ok(gone)
}

fn files_of(entry: &KeyEntry) -> [String; 2] {
    [first_file(entry.role), later_file(entry)]
}

/// Whether a file holds the secret of this key.
fn is_of(home: &Home, file: &str, entry: &KeyEntry) -> bool {
    hex32(&home.path.join(KEYS).join(file)).is_ok_and(|seed| public_of(entry.role, &seed) == entry.public)
}

/// Whether a secret still lies there that a run which was killed had left out of the list.
fn lies(home: &Home, entry: &KeyEntry) -> bool {
    files_of(entry).iter().any(|file| is_of(home, file, entry))
}

/// Overwrites and removes a file. A disk may keep old blocks, and backups keep the key.
fn destroy(path: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(&[b'0'; 64])?;
    file.sync_all()?;
    std::fs::remove_file(path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Reads the recovery key from the safe: a file with mode 0600, as `init` made it.
pub fn recovery_key(path: &Path) -> Result<SoftSigner, Refusal> {
    let seed = hex32(path).map_err(home_refusal)?;
    Ok(SoftSigner::from_seed(&seed))
}

/// New keys that the recovery key has vouched for, before they are the home's.
#[derive(Debug)]
pub struct Replacement {
    ring: Ring,
    _one_at_a_time: File,
    /// The signed request for the stewards and for bilateral peers.
    pub change: Vec<u8>,
    /// The new keys.
    pub added: Vec<KeyEntry>,
}

/// Prepares new keys of these roles; the old ones end now. `compromised_from` says since when somebody else
/// may have had them. Nothing of it counts before [`Replacement::keep`].
pub fn replace(
    home: &Home,
    roles: &[Role],
    recovery: &SoftSigner,
    compromised_from: Option<UnixTime>,
) -> Result<Replacement, Refusal> {
    let now = home.clock.now();
    if roles.contains(&Role::Recovery) {
        return Err(Refusal::new("key-rotate-recovery"));
    }
    if let Some(from) = compromised_from.filter(|from| *from > now) {
        return Err(Refusal::new("key-compromised-future").with("from", from));
    }
    let one_at_a_time = lock(&home.path)?;
    let mut ring = Ring::clone(&home.keys.ring());
    if !ring.of(Role::Recovery).any(|key| key.entry.public == recovery.public()) {
        return Err(Refusal::new("key-recovery-other"));
    }
    refuse_full(&ring, roles.len())?;
    let mut added = Vec::new();
    for role in roles {
        end_keys(&mut ring, *role, now);
        let key = new_key(&home.path, *role, now)?;
        added.push(key.entry.clone());
        ring.keys.push(key);
    }
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Recovery) {
        if !ring.of(role).any(RingKey::is_held) {
            return Err(Refusal::new("key-replace-lost").with("role", role.word()));
        }
    }
    let card = home.card_of(&ring, home.config.net.listen.clone()).map_err(home_refusal)?;
    SignedCard::parse(card.bytes()).map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
    let trial = home.config.node.trial;
    let change = KeyChange { node: home.name.clone(), card, at: now, trial, compromised_from };
    let change = change.sign(recovery).map_err(|e| Refusal::new("sign-device").with("cause", e))?;
    Ok(Replacement { ring, _one_at_a_time: one_at_a_time, change, added })
}

impl Replacement {
    /// Makes the new keys those of the home; call it once the request is safe in its file.
    pub fn keep(self, home: &Home) -> Result<(), Refusal> {
        self.ring.save(&home.path).map_err(home_refusal)
    }
}

#[cfg(test)]
mod tests;
