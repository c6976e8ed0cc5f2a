//! Whether a new card of a known node continues the one that was accepted: two offices without stewards
//! follow each other's changes of keys.
//!
//! In: both cards, the request that the recovery key signed where there is one, `now`. Out: who vouches.
//! A statement key that counts now may add keys and end windows, and may take nothing back: all old keys
//! stay, the recovery key too, so that a stolen statement key never shuts out the one kept offline. The
//! recovery key may do anything but change itself.

use super::SignedCard;
use crate::day::UnixTime;
use crate::key::{KeyEntry, Role};
use crate::message::FUTURE_SECONDS_MAX;
use crate::roster::RosterNode;
use crate::roster::key_change::{KeyChange, KeyChangeError, Voucher, vouch};

/// Why a card does not continue another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Nobody who counts vouches for it.
    #[error(transparent)]
    Unvouched(#[from] KeyChangeError),
    /// It is older than the one held, or dated in the future.
    #[error("the card is older than the one held, or dated in the future")]
    Date,
    /// A key of the old card is missing, or its window was changed in a way that a statement key may not.
    #[error("the new card takes back what the old one said of a {0} key")]
    Key(&'static str),
}

impl FollowError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unvouched(error) => error.code(),
            Self::Date => "card-follow-date",
            Self::Key(_) => "card-follow-key",
        }
    }
}

/// Judges whether `new` continues `old` at `now`. `change` is one opened with [`open_change`].
pub fn follows(
    old: &SignedCard,
    new: &SignedCard,
    change: Option<&KeyChange>,
    now: UnixTime,
) -> Result<Voucher, FollowError> {
    let voucher = vouch(&member_of(old), new, change, now)?;
    let (was, is) = (old.card.made_at, new.card.made_at);
    if is < was || is.0 > now.0.saturating_add(FUTURE_SECONDS_MAX) || new.card.trial != old.card.trial {
        return Err(FollowError::Date);
    }
    let same = |a: &KeyEntry, b: &KeyEntry| a.public == b.public && a.role == b.role;
    let recovery = |card: &SignedCard| card.card.keys_of(Role::Recovery).cloned().collect::<Vec<_>>();
    if recovery(old) != recovery(new) {
        return Err(FollowError::Key(Role::Recovery.word()));
    }
    if voucher == Voucher::RecoveryKey {
        return Ok(voucher);
    }
    for key in &old.card.keys {
        let later = new.card.keys.iter().find(|k| same(k, key));
        if later.is_none_or(|later| !window_follows(key, later, was, now)) {
            return Err(FollowError::Key(key.role.word()));
        }
    }
    let added = new.card.keys.iter().filter(|key| !old.card.keys.iter().any(|k| same(k, key)));
    match added.into_iter().find(|key| key.not_before < was) {
        Some(key) => Err(FollowError::Key(key.role.word())),
        None => Ok(voucher),
    }
}

/// Opens a request that the recovery key of the card held signed.
pub fn open_change(bytes: &[u8], held: &SignedCard, now: UnixTime) -> Result<KeyChange, KeyChangeError> {
    KeyChange::open(bytes, &member_of(held), now)
}

fn member_of(card: &SignedCard) -> RosterNode {
    RosterNode::joining(card.clone(), card.card.made_at)
}

/// As between two versions of a roster: an end may come earlier, but not before the old card was made,
/// or later while it has not passed.
fn window_follows(old: &KeyEntry, new: &KeyEntry, settled: UnixTime, now: UnixTime) -> bool {
    let end = |key: &KeyEntry| key.not_after.unwrap_or(UnixTime(i64::MAX));
    let (was, is) = (end(old), end(new));
    old.not_before == new.not_before && (is == was || (is < was && is >= settled) || (is > was && was >= now))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::card::{Card, NodeKind};
    use crate::division::DivisionCode;
    use crate::key::{Signer as _, SoftSigner};
    use crate::name::NodeName;

    const DAY: i64 = 86_400;
    const START: i64 = 1_700_000_000;

    fn at(days: i64) -> UnixTime {
        UnixTime(START + days * DAY)
    }

    fn signer(role: Role, turn: u8) -> SoftSigner {
        SoftSigner::from_seed(&[role as u8 * 16 + turn; 32])
    }

    fn entry(role: Role, turn: u8, from: i64, until: Option<i64>) -> KeyEntry {
        KeyEntry::new(role, signer(role, turn).public(), at(from), until.map(at)).unwrap()
    }

    fn card(made: i64) -> Card {
        Card {
            name: NodeName::parse("dali").unwrap(),
            title_zh: "大理".into(),
            title_en: "Dali".into(),
            division: DivisionCode::parse("532900").unwrap(),
            kind: NodeKind::Prefecture,
            keys: Role::ALL.map(|role| entry(role, 0, 0, None)).to_vec(),
            addresses: vec![],
            contact: "office".into(),
            made_at: at(made),
            trial: false,
        }
    }

    /// Made on day 10: a second statement key from day 20, the first one ending on day 50.
    fn rotated() -> Card {
        let mut card = card(10);
        card.keys.retain(|key| key.role != Role::Statement);
        card.keys.extend([entry(Role::Statement, 0, 0, Some(50)), entry(Role::Statement, 1, 20, None)]);
        card
    }

    fn signed(card: &Card, turn: u8) -> SignedCard {
        card.sign(&signer(Role::Statement, turn)).unwrap()
    }

    #[test]
    fn a_card_signed_by_the_old_statement_key_continues_it_while_that_key_counts() {
        let (old, new) = (signed(&card(0), 0), signed(&rotated(), 0));
        assert_eq!(follows(&old, &new, None, at(10)), Ok(Voucher::StatementKey));
        // A card of the new key alone, which the peer has never seen.
        let unvouched = follows(&old, &signed(&rotated(), 1), None, at(21)).unwrap_err();
        assert_eq!(unvouched.code(), "key-change-unvouched");
        // Once it was followed, the old key vouches until its window ends and the new one goes on.
        let mut later = rotated();
        later.made_at = at(49);
        assert_eq!(follows(&new, &signed(&later, 0), None, at(49)), Ok(Voucher::StatementKey));
        later.made_at = at(51);
        assert!(follows(&new, &signed(&later, 0), None, at(51)).is_err());
        assert_eq!(follows(&new, &signed(&later, 1), None, at(51)), Ok(Voucher::StatementKey));
    }

    #[test]
    fn a_stolen_statement_key_takes_nothing_back() {
        let held = signed(&rotated(), 0);
        let refused = |change: &dyn Fn(&mut Card)| {
            let mut card = rotated();
            card.made_at = at(11);
            change(&mut card);
            follows(&held, &signed(&card, 0), None, at(12)).unwrap_err().code()
        };
        assert_eq!(refused(&|c| c.keys.retain(|k| k.not_before != at(20))), "card-follow-key");
        let turn = |c: &mut Card, role, key| {
            c.keys.retain(|k| k.role != role);
            c.keys.push(key);
        };
        assert_eq!(
            refused(&|c| turn(c, Role::Recovery, entry(Role::Recovery, 1, 11, None))),
            "card-follow-key"
        );
        assert_eq!(refused(&|c| c.keys.push(entry(Role::Recovery, 1, 11, None))), "card-follow-key");
        assert_eq!(refused(&|c| turn(c, Role::Proof, entry(Role::Proof, 0, 0, Some(9)))), "card-follow-key");
        assert_eq!(refused(&|c| c.keys.push(entry(Role::Proof, 1, 9, None))), "card-follow-key");
        assert_eq!(refused(&|c| c.made_at = at(9)), "card-follow-date");
        assert_eq!(refused(&|c| c.made_at = at(13)), "card-follow-date");
        assert_eq!(refused(&|c| c.trial = true), "card-follow-date");
        assert_eq!(refused(&|c| c.name = NodeName::parse("yuxi").unwrap()), "key-change-other-node");
    }

    #[test]
    fn the_recovery_key_replaces_the_others_and_never_itself() {
        let held = signed(&rotated(), 0);
        let mut new = card(30);
        new.keys.retain(|key| key.role != Role::Statement);
        new.keys.push(entry(Role::Statement, 2, 30, None));
        let change = |card: &Card| KeyChange {
            node: card.name.clone(),
            card: signed(card, 2),
            at: at(30),
            trial: false,
            compromised_from: Some(at(25)),
        };
        let open = |card: &Card| {
            let bytes = change(card).sign(&signer(Role::Recovery, 0)).unwrap();
            let opened = open_change(&bytes, &held, at(30)).unwrap();
            follows(&held, &signed(card, 2), Some(&opened), at(30))
        };
        assert_eq!(open(&new), Ok(Voucher::RecoveryKey));
        let forged = change(&new).sign(&signer(Role::Statement, 0)).unwrap();
        assert_eq!(open_change(&forged, &held, at(30)).unwrap_err().code(), "key-change-signature");
        new.keys.push(entry(Role::Recovery, 1, 30, None));
        assert_eq!(open(&new), Err(FollowError::Key("recovery")));
    }
}
