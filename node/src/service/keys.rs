//! Which of its own keys the node signs with: the newest that others take.
//!
//! In: the keys of the home, what the roster (or the own card) says of them, the clock. A member whose new
//! key the roster does not list yet goes on with the old one: peers would refuse the new one's signatures.

use std::sync::Arc;

use yunling_protocol::key::{KeyEntry, Role, SoftSigner};
use yunling_protocol::member::Members;

use super::{Node, Refusal};
use crate::home::ring::RingKey;

impl Node {
    /// The signer of a role at this moment.
    pub(crate) fn signer_of(&self, role: Role) -> Result<Arc<SoftSigner>, Refusal> {
        let signer = self.key_of(role, &self.members());
        signer.ok_or_else(|| Refusal::new("key-file").with("path", format!("keys/{}.key", role.word())))
    }

    /// As [`Node::signer_of`], judged by these members.
    pub(super) fn key_of(&self, role: Role, members: &Members) -> Option<Arc<SoftSigner>> {
        let (ring, now) = (self.home.keys.ring(), self.home.clock.now());
        let counting: Vec<&KeyEntry> = members.keys(&self.home.name, role, now).collect();
        let counts = |entry: &KeyEntry| counting.iter().any(|key| key.public == entry.public);
        let key = ring.current(role, now, counts).or_else(|| ring.by_window(role, now));
        key.and_then(RingKey::signer)
    }

    /// Takes over keys that were changed in the home; peers are shown the new card.
    pub fn reload_keys(&self) -> Result<(), Refusal> {
        self.home.reload_keys().map_err(|e| Refusal::new(e.code()).with("cause", &e))?;
        self.reload_members()?;
        self.greet_all();
        Ok(())
    }
}
