//! What a verifier trusts: node cards in text files, and trust packs.
//!
//! Every part is checked by its own signature; that the card of a file is the right office's is what
//! `--trust` says. Lists that do not verify are left out, which can only make a verdict weaker.

use std::path::PathBuf;
use std::sync::Arc;

use yunling_node::clock::Clock;
use yunling_protocol::card::{SignedCard, follow};
use yunling_protocol::day::UnixTime;
use yunling_protocol::member::{Member, Members};
use yunling_protocol::name::NodeName;
use yunling_protocol::roster::{Chain, SignedRoster};
use yunling_protocol::status::StatusLists;
use yunling_protocol::trust_pack::{PACK_BYTES_MAX, TrustPack};

use crate::cards;
use crate::failure::{Exit, Failure};
use crate::files;

/// Cards, status lists, and the packs they came in.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// The offices.
    pub(crate) members: Members,
    /// Their lists, verified.
    pub(crate) lists: StatusLists,
    /// Who says to have made each pack, and when.
    pub(crate) packs: Vec<(NodeName, UnixTime)>,
    /// Lists that did not verify.
    pub(crate) refused: usize,
    tokens: Vec<Vec<u8>>,
}

impl Trust {
    /// Reads every file, then verifies the lists with the cards of all.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut trust = Self::default();
        for path in paths {
            let bytes = files::read(path, PACK_BYTES_MAX as u64)?;
            let shown = path.display().to_string();
            if let Ok(pack) = TrustPack::decode(&bytes) {
                trust.add_pack(pack, &shown)?;
                continue;
            }
            let large = bytes.len() as u64 > cards::TEXT_BYTES_MAX;
            let text = String::from_utf8(bytes).ok().filter(|_| !large);
            let text = text.ok_or_else(|| Failure::usage("file-text").with("path", &shown))?;
            let found = cards::cards_in(&text).map_err(|f| f.with("path", &shown).exit(Exit::Usage))?;
            found.into_iter().try_for_each(|card| trust.add_card(card, &shown))?;
        }
        Ok(trust)
    }

    /// Adds a pack; its lists count after [`Trust::settle`].
    pub(crate) fn add_pack(&mut self, pack: TrustPack, shown: &str) -> Result<(), Failure> {
        // One card that a newer version made must not take the others away.
        for card in pack.signed_cards().flatten() {
            self.add_card(card, shown)?;
        }
        // That its first version is the right one is what `--trust` says, as of a card.
        let first = pack.rosters.first().and_then(|bytes| SignedRoster::parse(bytes).ok());
        if let Some(first) = first {
            let (pin, trial) = (first.roster().fingerprint(), first.roster().trial);
            let known =
                self.members.roster().is_some_and(|chain| chain.versions().len() >= pack.rosters.len());
            let stored = pack.rosters.iter().map(|bytes| (bytes.clone(), came(bytes, pack.made_at)));
            if let (false, Ok(Some(chain))) = (known, Chain::load(stored, &pin, trial)) {
                self.members.set_roster(Arc::new(chain));
            }
        }
        self.packs.push((pack.made_by, pack.made_at));
        self.tokens.extend(pack.lists);
        Ok(())
    }

    /// Of two cards of one node the newer counts; other keys under one name are refused, unless the newer
    /// card continues the older one.
    fn add_card(&mut self, card: SignedCard, shown: &str) -> Result<(), Failure> {
        let name = &card.card.name;
        if let Some(Member { card: held, .. }) = self.members.get(name) {
            let newer = card.card.made_at > held.card.made_at;
            let (old, new) = if newer { (held, &card) } else { (&card, held) };
            let followed = || follow::follows(old, new, None, new.card.made_at).is_ok();
            if old.fingerprint() != new.fingerprint() && !followed() {
                return Err(Failure::usage("trust-conflict").with("path", shown).with("name", name));
            }
            if !newer {
                return Ok(());
            }
        }
        self.members.insert(Member { card, removed_at: None });
        Ok(())
    }

    /// Verifies the lists of all packs with the cards of all files; the clock to judge by. It may be set
    /// only where every office trusted is a trial one.
    pub(crate) fn settle(&mut self) -> UnixTime {
        let now = Clock::for_home(self.members.iter().all(|m| m.card.card.trial)).now();
        for bytes in std::mem::take(&mut self.tokens) {
            let token = yunling_protocol::status::StatusToken::parse(&bytes);
            let added = token.and_then(|token| self.lists.add(token, &self.members, now));
            self.refused += usize::from(added.is_err());
        }
        now
    }
}

/// When a version of a pack came, as far as a verifier may say: when it was issued. Whether it had expired
/// when the maker of the pack first saw it stands nowhere; its age is judged by the verifier's own limit,
/// and what an expired roster says against a key must count all the same.
fn came(version: &[u8], made_at: UnixTime) -> UnixTime {
    SignedRoster::parse(version).map_or(made_at, |version| version.roster().issued.min(made_at))
}
