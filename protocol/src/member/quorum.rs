//! Which witnesses a log needs: the roster's policy with the keys of its witnesses.

use super::Members;
use crate::day::UnixTime;
use crate::id::DossierKey;
use crate::key::Role;
use crate::log::NoteKey;
use crate::log::merkle::{self, leaf_hash};
use crate::log::note::{KeyType, VkeyError};
use crate::log::policy::Witnessed;
use crate::log::policy::{PolicyError, Quorum, Witness, WitnessKey};
use crate::log::tlog_proof::TlogProof;
use crate::log::{Checkpoint, Entry, Hash, Origin};
use crate::name::NodeName;
use crate::roster::{LogPolicy, RosterNode, SignedTime};
use crate::statement::Statement;

/// Why a checkpoint or a place under one does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Not a proof, not a checkpoint of this node's logs, or not signed by its log key.
    #[error("not a checkpoint that the node's log has signed")]
    Checkpoint,
    /// The entry is not under it.
    #[error("the entry is not under the checkpoint")]
    Inclusion,
    /// Too few witnesses, or a wrong cosignature.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl WitnessError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint-unsigned",
            Self::Inclusion => "checkpoint-not-included",
            Self::Policy(error) => error.code(),
        }
    }
}

impl Members {
    /// The witnesses that the roster sets for the log of `owner`; `None` when it sets none, which every
    /// result must say (*bilateral*, DESIGN §6).
    pub fn quorum(&self, owner: &NodeName) -> Result<Option<Quorum>, PolicyError> {
        let policy = self.roster().and_then(|roster| roster.node(owner)).and_then(|n| n.log.as_ref());
        policy.map(|policy| self.quorum_of(owner, policy)).transpose()
    }

    /// The rules that the log of `owner` has had since `since`, by this node's own clock: that of the version
    /// held then, and of each that was adopted later. None when one of them sets no witnesses, or when no
    /// version was held then: what was sealed in that time no quorum need have seen.
    pub fn quorums_since(&self, owner: &NodeName, since: UnixTime) -> Result<Vec<Quorum>, PolicyError> {
        let Some(roster) = self.roster() else { return Ok(Vec::new()) };
        let versions = roster.versions();
        let Some(held) = versions.iter().rposition(|version| version.at <= since) else {
            return Ok(Vec::new());
        };
        let mut quorums: Vec<Quorum> = Vec::new();
        for version in &versions[held..] {
            let nodes = &version.signed.roster().nodes;
            let policy = nodes.iter().find(|node| node.name() == owner).and_then(|node| node.log.as_ref());
            let Some(policy) = policy else { return Ok(Vec::new()) };
            let quorum = self.quorum_of(owner, policy)?;
            if !quorums.contains(&quorum) {
                quorums.push(quorum);
            }
        }
        Ok(quorums)
    }

    fn quorum_of(&self, owner: &NodeName, policy: &LogPolicy) -> Result<Quorum, PolicyError> {
        let witnesses = policy.witnesses.iter().map(|node| self.witness(node)).collect();
        Quorum::new(&policy.name, owner, witnesses, usize::try_from(policy.k).unwrap_or(usize::MAX))
    }

    /// Whether the roster sets witnesses for the log of `owner`.
    pub fn has_quorum(&self, owner: &NodeName) -> bool {
        self.roster().and_then(|roster| roster.node(owner)).is_some_and(|node| node.log.is_some())
    }

    /// A witness with every key that it ever had; each counts until its window ended or it was in other hands,
    /// and only at times at which the witness was an active member.
    fn witness(&self, node: &NodeName) -> Witness {
        let listed = self.roster().and_then(|roster| roster.node(node));
        let keys = self.keys_known(node, Role::Witness).filter_map(|entry| {
            let mut key = WitnessKey::of(node, entry).ok()?;
            let compromised = listed.and_then(|node| node.compromised_from(&entry.public));
            key.until = [key.until, compromised].into_iter().flatten().min();
            Some(key)
        });
        let away = listed.map(RosterNode::away).unwrap_or_default();
        Witness { away, ..Witness::new(node.clone(), keys.collect()) }
    }

    /// Keys of the log with this origin, whatever their windows: what a log signs carries no time that could
    /// be believed.
    pub fn log_keys(&self, origin: &Origin) -> Vec<NoteKey> {
        let name = origin.to_string();
        let key = |public: &[u8; 32]| -> Result<NoteKey, VkeyError> {
            NoteKey::new(&name, KeyType::Ed25519, public)
        };
        self.keys_known(&origin.node, Role::Log).filter_map(|entry| key(&entry.public).ok()).collect()
    }

    /// Checks the note of a checkpoint of one of `owner`'s logs: signed by its log key, and cosigned by the
    /// witnesses that the roster sets, where it sets any.
    pub fn checkpoint(
        &self,
        owner: &NodeName,
        note: &[u8],
        now: UnixTime,
    ) -> Result<(Checkpoint, Origin, Option<Witnessed>), WitnessError> {
        let (note, checkpoint) = Checkpoint::parse(note).map_err(|_| WitnessError::Checkpoint)?;
        let origin = Origin::parse(&checkpoint.origin).filter(|origin| origin.node == *owner);
        let origin = origin.ok_or(WitnessError::Checkpoint)?;
        note.verify(&self.log_keys(&origin)).map_err(|_| WitnessError::Checkpoint)?;
        let Some(quorum) = self.quorum(owner)? else { return Ok((checkpoint, origin, None)) };
        let witnessed = quorum.judge(&note.text, note.signatures.iter().map(Into::into), now)?;
        Ok((checkpoint, origin, Some(witnessed)))
    }

    /// When a statement was signed at the latest, if `proof` (a [`TlogProof`]) shows it in its issuer's log
    /// under a checkpoint that the quorum cosigned. A redemption needs the dossier's `key`. `None` where
    /// nothing is proven, as between bilateral peers.
    pub fn signed_time(
        &self,
        statement: &Statement,
        key: Option<&DossierKey>,
        proof: &[u8],
        now: UnixTime,
    ) -> Option<SignedTime> {
        let entry = Entry::of_statement(statement, key).ok()?;
        let (_, witnessed) = self.logged(&statement.common.issuer, &entry, proof, now).ok()?;
        witnessed?.at.map(SignedTime::Cosigned)
    }

    /// Checks that `entry` lies in a log of `owner` under a checkpoint that counts. `proof` is a
    /// [`TlogProof`].
    pub fn logged(
        &self,
        owner: &NodeName,
        entry: &Entry,
        proof: &[u8],
        now: UnixTime,
    ) -> Result<(Checkpoint, Option<Witnessed>), WitnessError> {
        let proof = TlogProof::parse(proof).map_err(|_| WitnessError::Checkpoint)?;
        let (checkpoint, _, witnessed) = self.checkpoint(owner, proof.checkpoint.as_bytes(), now)?;
        let leaf: Hash = leaf_hash(&entry.encode().ok_or(WitnessError::Inclusion)?);
        merkle::verify_inclusion(&leaf, proof.index, checkpoint.size, &checkpoint.root, &proof.path)
            .map_err(|_| WitnessError::Inclusion)?;
        Ok((checkpoint, witnessed))
    }
}
