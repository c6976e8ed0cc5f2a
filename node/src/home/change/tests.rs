//! Rotation, destruction and replacement in real folders.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use yunling_protocol::card::follow::{follows, open_change};
use yunling_protocol::roster::key_change::Voucher;

use super::*;

fn made(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    Home::init(&path, name, "530100", true).unwrap();
    (folder, path)
}

/// Moves the windows of the list `days` into the past: the clock of a test stands.
fn age(path: &Path, days: i64) {
    let mut ring = Ring::load(path).unwrap();
    for key in &mut ring.keys {
        let old = &key.entry;
        let back = |at: UnixTime| UnixTime(at.0 - days * DAY_SECONDS);
        let entry = KeyEntry::new(old.role, old.public, back(old.not_before), old.not_after.map(back));
        key.entry = entry.unwrap();
    }
    ring.save(path).unwrap();
}

fn publics(ring: &Ring, role: Role) -> Vec<[u8; 32]> {
    ring.of(role).map(|key| key.entry.public).collect()
}

#[test]
fn a_home_that_never_rotated_has_no_list_and_its_first_keys_in_their_old_files() {
    let (_folder, path) = made("kunming");
    assert!(!path.join("keys/ring").exists());
    let home = Home::open(&path).unwrap();
    let ring = home.keys.ring();
    assert_eq!(ring.keys().len(), Role::ALL.len());
    // As a home of 0.3 and older whose recovery key was moved away.
    std::fs::remove_file(path.join("keys/recovery.key")).unwrap();
    let again = Ring::load(&path).unwrap();
    for role in Role::ALL {
        assert_eq!(publics(&ring, role), publics(&again, role));
    }
    assert!(!again.of(Role::Recovery).any(RingKey::is_held));
}

#[test]
fn a_rotation_makes_a_second_key_and_the_card_is_signed_by_the_old_one() {
    let (_folder, path) = made("kunming");
    let home = Home::open(&path).unwrap();
    let (before, now) = (home.card(vec![]).unwrap(), home.clock.now());
    let from = UnixTime(now.0 + 10 * DAY_SECONDS);
    let new = rotate(&home, Role::Statement, Some(from), Some(30)).unwrap();
    let home = Home::open(&path).unwrap();
    let ring = home.keys.ring();
    let [old, second] = ring.of(Role::Statement).collect::<Vec<_>>()[..] else { panic!("two keys") };
    assert_eq!(second.entry, new);
    assert_eq!(old.entry.not_after, Some(UnixTime(from.0 + 30 * DAY_SECONDS)));
    let file = path.join("keys").join(later_file(&new));
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let after = home.card(vec![]).unwrap();
    assert_ne!(before.fingerprint(), after.fingerprint());
    assert_eq!(follows(&before, &after, None, now), Ok(Voucher::StatementKey));

    // Which one signs: the new one ten minutes after it began, the old one until then.
    let signs = |at: i64| ring.by_window(Role::Statement, UnixTime(at)).unwrap().entry.public;
    for (at, public) in [
        (from.0 - 1, old.entry.public),
        (from.0 + 599, old.entry.public),
        (from.0 + 600, new.public),
        (from.0 + 31 * DAY_SECONDS, new.public),
    ] {
        assert_eq!(signs(at), public, "{}", at - from.0);
    }
    // Cards are signed by the old one to the end of the overlap.
    let card_key = |at: i64| ring.card_key(UnixTime(at)).unwrap().entry.public;
    assert_eq!(card_key(from.0 + 29 * DAY_SECONDS), old.entry.public);
    assert_eq!(card_key(from.0 + 31 * DAY_SECONDS), new.public);
    assert_eq!(rotate(&home, Role::Statement, None, None).unwrap_err().code, "key-pending");
}

#[test]
fn roles_that_cannot_overlap_and_wrong_dates_are_refused_and_change_nothing() {
    let (_folder, path) = made("kunming");
    let home = Home::open(&path).unwrap();
    let past = UnixTime(home.clock.now().0 - 60);
    let refused = |role, from, days| rotate(&home, role, from, days).unwrap_err().code;
    assert_eq!(refused(Role::Transport, None, None), "key-rotate-transport");
    assert_eq!(refused(Role::Log, None, None), "key-rotate-log");
    assert_eq!(refused(Role::Recovery, None, None), "key-rotate-recovery");
    assert_eq!(refused(Role::Proof, Some(past), None), "key-from-past");
    assert_eq!(refused(Role::Proof, None, Some(0)), "key-overlap");
    assert_eq!(refused(Role::Proof, None, Some(OVERLAP_DAYS_MAX + 1)), "key-overlap");
    let held = lock(&path).unwrap();
    assert_eq!(refused(Role::Proof, None, None), "key-busy");
    drop(held);
    assert!(!path.join("keys/ring").exists());
    assert_eq!(std::fs::read_dir(path.join("keys")).unwrap().count(), 13);
}

#[test]
fn a_secret_is_destroyed_after_its_window_only_and_its_public_key_stays() {
    let (_folder, path) = made("kunming");
    let home = Home::open(&path).unwrap();
    rotate(&home, Role::Proof, None, Some(20)).unwrap();
    let kid = HEXLOWER.encode(&home.keys.ring().of(Role::Proof).next().unwrap().entry.kid());
    assert_eq!(retire(&home, Role::Proof, Some(&kid)).unwrap_err().code, "key-retire-early");
    assert_eq!(retire(&home, Role::Proof, None).unwrap_err().code, "key-retire-none");
    assert_eq!(retire(&home, Role::Proof, Some("00")).unwrap_err().code, "key-unknown-here");
    age(&path, 21);
    let before = publics(&Ring::load(&path).unwrap(), Role::Proof);
    let secret = std::fs::read(path.join("keys/proof.key")).unwrap();
    let gone = retire(&home, Role::Proof, Some(&kid)).unwrap();
    assert_eq!(gone.len(), 1);
    assert!(!path.join("keys/proof.key").exists());
    let home = Home::open(&path).unwrap();
    assert_eq!(publics(&home.keys.ring(), Role::Proof), before, "what it signed is still verified");
    assert_eq!(home.card(vec![]).unwrap().card.keys_of(Role::Proof).count(), 2);
    assert_eq!(retire(&home, Role::Proof, None).unwrap_err().code, "key-retire-none");
    // A run that was killed between the list and the file.
    std::fs::write(path.join("keys/proof.key"), secret).unwrap();
    std::fs::set_permissions(path.join("keys/proof.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(retire(&home, Role::Proof, None).unwrap().len(), 1);
    assert!(!path.join("keys/proof.key").exists());
    // The last one stays, also when its window is over.
    age(&path, 1);
    let mut ring = Ring::load(&path).unwrap();
    end_keys(&mut ring, Role::Proof, home.clock.now());
    ring.save(&path).unwrap();
    assert_eq!(retire(&home, Role::Proof, None).unwrap_err().code, "key-retire-last");
}

#[test]
fn a_list_whose_file_holds_another_key_is_refused() {
    let (_folder, path) = made("kunming");
    let home = Home::open(&path).unwrap();
    let new = rotate(&home, Role::Status, None, None).unwrap();
    let file = path.join("keys").join(later_file(&new));
    std::fs::copy(path.join("keys/proof.key"), &file).unwrap();
    assert_eq!(Home::open(&path).unwrap_err().code(), "key-file");
    let ring = path.join("keys/ring");
    let text = std::fs::read_to_string(&ring).unwrap();
    for wrong in [
        text.replace("yunling/keys/1", "yunling/keys/2"),
        text.replace(&later_file(&new), "../config.toml"),
        text.replace("witness ", "witless "),
    ] {
        std::fs::write(&ring, wrong).unwrap();
        assert_eq!(Home::open(&path).unwrap_err().code(), "key-file");
    }
}

#[test]
fn the_recovery_key_replaces_lost_and_stolen_keys() {
    let (folder, path) = made("kunming");
    let safe = folder.path().join("safe.key");
    std::fs::rename(path.join("keys/recovery.key"), &safe).unwrap();
    let home = Home::open(&path).unwrap();
    let (before, now) = (home.card(vec![]).unwrap(), home.clock.now());
    let recovery = recovery_key(&safe).unwrap();
    let stolen_at = UnixTime(now.0 - 3_600);
    let other = SoftSigner::from_seed(&[9; 32]);
    let refused = |roles: &[Role], key: &SoftSigner, from| replace(&home, roles, key, from).unwrap_err().code;
    assert_eq!(refused(&[Role::Statement], &other, None), "key-recovery-other");
    assert_eq!(refused(&[Role::Recovery], &recovery, None), "key-rotate-recovery");
    let future = Some(UnixTime(now.0 + 60));
    assert_eq!(refused(&[Role::Statement], &recovery, future), "key-compromised-future");

    let replacement = replace(&home, &[Role::Statement, Role::Log], &recovery, Some(stolen_at)).unwrap();
    let bytes = replacement.change.clone();
    assert!(!path.join("keys/ring").exists(), "nothing counts before the request is safe");
    replacement.keep(&home).unwrap();
    let change = open_change(&bytes, &before, home.clock.now()).unwrap();
    assert_eq!(change.compromised_from, Some(stolen_at));
    assert_eq!(follows(&before, &change.card, Some(&change), home.clock.now()), Ok(Voucher::RecoveryKey));
    let again = Home::open(&path).unwrap();
    let ring = again.keys.ring();
    let now = again.clock.now();
    for role in [Role::Statement, Role::Log] {
        assert_eq!(ring.of(role).filter(|key| key.entry.valid_at(now)).count(), 1, "no overlap");
    }
    assert_eq!(ring.of(Role::Proof).count(), 1, "what was not named stays");
}

#[test]
fn a_home_that_lost_its_key_files_goes_on_from_its_card() {
    let (folder, path) = made("kunming");
    let safe = folder.path().join("safe.key");
    std::fs::rename(path.join("keys/recovery.key"), &safe).unwrap();
    let card = Home::open(&path).unwrap().card(vec![]).unwrap();
    for role in [Role::Statement, Role::Transport] {
        std::fs::remove_file(path.join("keys").join(first_file(role))).unwrap();
    }
    assert!(Home::open(&path).is_err());
    let home = Home::open_with_card(&path, &card).unwrap();
    let recovery = recovery_key(&safe).unwrap();
    let lacking = replace(&home, &[Role::Statement], &recovery, None).unwrap_err();
    assert_eq!((lacking.code.as_str(), lacking.fields["role"].as_str()), ("key-replace-lost", "transport"));
    replace(&home, &[Role::Statement, Role::Transport], &recovery, None).unwrap().keep(&home).unwrap();
    let again = Home::open(&path).unwrap().card(vec![]).unwrap();
    for key in &card.card.keys {
        assert!(again.card.keys.iter().any(|k| k.public == key.public), "no key leaves the card");
    }
    assert_eq!(again.card.keys.len(), card.card.keys.len() + 2);
}
