//! The newest lists a verifier has, each verified when it was put in.

use std::collections::BTreeMap;

use super::token::StatusToken;
use super::{Status, StatusError, StatusRef};
use crate::day::UnixTime;
use crate::key::Role;
use crate::member::Members;
use crate::message::FUTURE_SECONDS_MAX;
use crate::name::NodeName;

/// Verified lists by issuer and address.
#[derive(Debug, Clone, Default)]
pub struct StatusLists(BTreeMap<(NodeName, String), StatusToken>);

/// What a list said of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The word.
    pub status: Status,
    /// When the list was made.
    pub at: UnixTime,
}

impl StatusLists {
    /// Verifies a list with a status key of its issuer that counts at `received`, the time it first
    /// came here (a date inside it proves nothing), and keeps it when it is newer than the one there.
    /// Whether it was kept.
    pub fn add(
        &mut self,
        token: StatusToken,
        members: &Members,
        received: UnixTime,
    ) -> Result<bool, StatusError> {
        let issuer = &token.heading.issuer;
        if members.get(issuer).is_none() {
            return Err(StatusError::UnknownIssuer);
        }
        token.verify(members.keys(issuer, Role::Status, received))?;
        if token.heading.issued.0 > received.0.saturating_add(FUTURE_SECONDS_MAX) {
            return Err(StatusError::FromFuture);
        }
        let key = (issuer.clone(), token.heading.uri.clone());
        if self.0.get(&key).is_some_and(|old| old.heading.issued >= token.heading.issued) {
            return Ok(false);
        }
        self.0.insert(key, token);
        Ok(true)
    }

    /// The list that `issuer` gives at `uri`.
    pub fn get(&self, issuer: &NodeName, uri: &str) -> Option<&StatusToken> {
        self.0.get(&(issuer.clone(), uri.to_owned()))
    }

    /// All, in order of issuer and address.
    pub fn iter(&self) -> impl Iterator<Item = &StatusToken> {
        self.0.values()
    }

    /// What the newest list of `issuer` says of a place, `None` without that list.
    pub fn look(&self, issuer: &NodeName, place: &StatusRef) -> Result<Option<Seen>, StatusError> {
        let Some(token) = self.get(issuer, &place.uri) else { return Ok(None) };
        let status = token.list().status(u64::from(place.index))?;
        Ok(Some(Seen { status, at: token.heading.issued }))
    }
}
