//! Looks at the node's own keys: windows that end without a successor, new keys that the roster does not
//! list yet, and peers that have not heard of a new statement key.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role};
use yunling_protocol::pairing::Half;
use yunling_protocol::roster::WARN_DAYS;

use super::Check;
use crate::service::peers::records;
use crate::service::{Node, Refusal};

const DAY_SECONDS: i64 = 86_400;

pub(super) fn keys(node: Arc<Node>) -> BoxFuture<'static, Result<Vec<Check>, Refusal>> {
    async move {
        let looked = tokio::task::spawn_blocking(move || look(&node)).await;
        looked.map_err(|e| Refusal::new("internal").with("cause", e))?
    }
    .boxed()
}

fn look(node: &Node) -> Result<Vec<Check>, Refusal> {
    let (ring, now) = (node.home.keys.ring(), node.home.clock.now());
    let mut checks = Vec::new();
    for role in Role::ALL {
        let keys: Vec<&KeyEntry> = ring.of(role).map(|key| &key.entry).collect();
        checks.extend(judge_end(&keys, now).map(|check| check.with("role", role.word())));
    }
    let members = node.members();
    if let Some(listed) = members.roster().and_then(|roster| roster.node(&node.home.name)) {
        let known = |entry: &KeyEntry| listed.keys_of(entry.role).any(|key| key.public == entry.public);
        let open = |entry: &KeyEntry| entry.not_after.is_none_or(|end| now < end);
        for key in ring.keys().iter().map(|key| &key.entry).filter(|key| open(key) && !known(key)) {
            let check = Check::warn("key-unlisted").with("role", key.role.word());
            checks.push(check.with("from", key.not_before));
        }
    } else if ring.of(Role::Statement).count() > 1 {
        checks.extend(behind(node)?);
    }
    if checks.is_empty() {
        checks.push(Check::ok("key-good"));
    }
    Ok(checks)
}

/// When the keys of a role end with none to follow.
fn judge_end(keys: &[&KeyEntry], now: UnixTime) -> Option<Check> {
    let mut end = now;
    // Each step takes one key at least; an open end is no end.
    while let Some(next) = keys.iter().find(|k| k.not_before <= end && k.not_after.is_none_or(|e| e > end)) {
        end = next.not_after?;
    }
    let left = end.0.saturating_sub(now.0);
    if left == 0 {
        return Some(Check::fail("key-ended"));
    }
    let mark = WARN_DAYS.into_iter().rev().find(|mark| left <= mark * DAY_SECONDS)?;
    Some(Check::warn("key-ends").with("days", left / DAY_SECONDS).with("mark", mark))
}

/// Bilateral peers whose half of the pairing is over older keys: they have not followed yet.
fn behind(node: &Node) -> Result<Option<Check>, Refusal> {
    let own = node.card()?;
    let mut names = Vec::new();
    for record in records(node)?.into_iter().filter(|record| record.removed_at.is_none() && record.mutual) {
        let half = record.theirs.as_deref();
        if half.is_none_or(|half| Half::open(half, &record.card, &own).is_err()) {
            names.push(record.card.card.name.to_string());
        }
    }
    Ok((!names.is_empty()).then(|| Check::warn("key-behind").with("peers", names.join(" "))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use yunling_protocol::key::{Signer as _, SoftSigner};

    use super::*;

    #[test]
    fn an_end_without_a_successor_is_told_60_30_7_and_1_days_ahead() {
        let day = |days: i64| UnixTime(1_700_000_000 + days * DAY_SECONDS);
        let key = |turn: u8, from: i64, until: Option<i64>| {
            let public = SoftSigner::from_seed(&[turn; 32]).public();
            KeyEntry::new(Role::Statement, public, day(from), until.map(day)).unwrap()
        };
        let judge = |keys: &[KeyEntry], now: i64| {
            let check = judge_end(&keys.iter().collect::<Vec<_>>(), day(now));
            check.map(|c| (c.code, c.fields.get("mark").cloned().unwrap_or_default()))
        };
        let ending = [key(1, 0, Some(100))];
        for (now, found) in [
            (39, None),
            (40, Some(("key-ends", "60"))),
            (69, Some(("key-ends", "60"))),
            (70, Some(("key-ends", "30"))),
            (93, Some(("key-ends", "7"))),
            (99, Some(("key-ends", "1"))),
            (100, Some(("key-ended", ""))),
        ] {
            assert_eq!(judge(&ending, now), found.map(|(c, m)| (c, m.to_owned())), "{now}");
        }
        assert_eq!(judge(&[key(1, 0, Some(100)), key(2, 90, None)], 95), None, "another follows");
        let gap = [key(1, 0, Some(100)), key(2, 101, None)];
        assert_eq!(judge(&gap, 99).unwrap().0, "key-ends", "a day without a key");
        assert_eq!(judge(&[key(1, 0, None)], 5_000), None);
    }
}
