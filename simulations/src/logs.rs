//! Logs and witnesses of a world: in one seed of three the offices stand in a roster, each keeps a log, and the
//! others witness it. A release waits for the quorum, and a restored node rejoins through its witnesses. The
//! files of a node and of its mirrors are not simulated: a mirror is a row of the world that no restore undoes.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use yunling_protocol::custody::Input;
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::TransferId;
use yunling_protocol::key::{Role, Signer as _, SoftSigner};
use yunling_protocol::log::note::{Note, NoteSignature};
use yunling_protocol::log::witness::{self, AddCheckpoint, Answer, Witnesser};
use yunling_protocol::log::{Checkpoint, Entry, Origin, keep, rows};
use yunling_protocol::message::{Content, Message};
use yunling_protocol::office::{DecideError, Office};
use yunling_protocol::recovery::fence::Fence;
use yunling_protocol::recovery::rejoin::{self, Newest, Standing};
use yunling_protocol::roster::{Chain, LogPolicy, Roster, RosterNode, SignedRoster, Steward};
use yunling_protocol::statement::{Body, Statement};
use yunling_protocol::store::{Read as _, SCAN_ITEMS_MAX, Table, scan_all};

use crate::invariants::{SEAL_SHOWN, Violation, violated};
use crate::node::{BEGIN, Cast, NODES_MAX, Node, signer};
use crate::work::{Decided, Packet, Reply, Then, Work, short};
use crate::world::World;

/// Milliseconds between two rounds to the witnesses.
const ROUND_MS: u64 = 2_000;
/// The word of a request for a cosignature on the wire.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// How long the roster of a world is good.
const YEARS: i64 = 20 * 365 * 86_400;

/// What a node has in memory of its rounds to the witnesses.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    text: String,
    lines: BTreeMap<usize, NoteSignature>,
    sizes: BTreeMap<usize, u64>,
    after: u64,
}

/// What witnesses have mirrored, by witness and origin.
pub(crate) type Mirrors = BTreeMap<(usize, String), Vec<Vec<u8>>>;

/// Whether the offices of a seed keep logs with witnesses: one of three, and none of the seeds recorded before
/// there were any.
pub(crate) fn witnessed(seed: u64) -> bool {
    matches!(seed % 9, 1 | 6 | 7)
}

/// The roster of the first `nodes` offices; each log has all others as witnesses, more than half of which must
/// cosign.
pub(crate) fn roster(cast: &Cast, nodes: usize) -> Option<Arc<Chain>> {
    let steward = SoftSigner::from_seed(&[0xee; 32]);
    let listed = |at: usize| {
        let mut node = RosterNode::joining(cast.card(at)?, BEGIN);
        let mut witnesses: Vec<_> =
            (0..nodes).filter(|other| *other != at).map(|other| cast.names[other].clone()).collect();
        witnesses.sort();
        let k = witnesses.len() as u64 / 2 + 1;
        node.log = Some(LogPolicy { name: "majority".into(), witnesses, k });
        Some(Arc::new(node))
    };
    let mut all: Vec<_> = (0..nodes.min(NODES_MAX)).filter_map(listed).collect();
    all.sort_by(|a, b| a.name().cmp(b.name()));
    let roster = Roster {
        version: 1,
        previous: None,
        issued: BEGIN,
        expires: UnixTime(BEGIN.0 + YEARS),
        threshold: 1,
        stewards: vec![Steward::new("steward".into(), steward.public()).ok()?],
        nodes: all,
        trial: false,
    };
    let mut signed = SignedRoster::draft(&roster).ok()?;
    signed.sign(&steward).ok()?;
    Chain::begin(signed, &roster.fingerprint(), false, BEGIN).ok().map(Arc::new)
}

/// Takes what waits into the log.
pub(crate) fn sequence(node: &Node) -> Result<Decided, DecideError> {
    let key = signer(node.at, Role::Log);
    let batch = keep::sequence(node, &node.name, node.life, &key)?;
    Ok(Decided { batches: batch.into_iter().collect(), then: Then::default() })
}

/// Puts the proofs of what a cosigned checkpoint covers beside the seals.
pub(crate) fn prove(node: &Node, note: &str) -> Result<Decided, DecideError> {
    let (batch, proven) = keep::prove(node, node.life.generation, note)?;
    Ok(Decided { batches: vec![batch], then: Then { proven, ..Then::default() } })
}

/// Takes entries of an older log.
pub(crate) fn import(node: &Node, log: &Newest, entries: &[Vec<u8>]) -> Result<Decided, DecideError> {
    Ok(Decided { batches: rejoin::import(node, log, entries)?, then: Then::default() })
}

fn standing(node: &Node, office: &Office<'_>) -> Option<Standing> {
    let (fence, _) = Fence::load(node).ok()??;
    rejoin::standing(office, node, &fence).ok()?
}

impl World {
    /// What the task of the log does each time a node looks round.
    pub(crate) fn tend_log(&mut self, at: usize) {
        let _ = self.submit(at, Work::Sequence);
        if !self.nodes[at].up || self.nodes[at].rounds.after > self.now {
            return;
        }
        self.nodes[at].rounds.after = self.now + ROUND_MS;
        // Also what a crash left between the proof and its release.
        let ready = keep::ready(&self.nodes[at]).unwrap_or_default();
        self.proven(at, &ready);
        let node = &self.nodes[at];
        let generation = node.life.generation;
        let Ok(Some(head)) = keep::head(node, generation) else { return };
        let newest = node.last(Table::Log, &rows::cosigned_prefix(generation)).ok().flatten();
        let newest = newest.and_then(|(_, note)| Checkpoint::parse(&note).ok()).map_or(0, |(_, c)| c.size);
        if newest >= head.frontier.size() {
            return;
        }
        let size = head.frontier.size();
        let Ok((note, _)) = Checkpoint::parse(head.note.as_bytes()) else { return };
        if node.rounds.text != note.text {
            let rounds = &mut self.nodes[at].rounds;
            rounds.lines.clear();
            rounds.text = note.text;
        }
        let boot = self.nodes[at].boot;
        for to in (0..self.nodes.len()).filter(|to| *to != at) {
            let node = &self.nodes[at];
            // Also one that has cosigned already: while this node's clock is far behind, a cosignature is from
            // the future and does not count, and nothing but a new one shows that the clock was set.
            if !node.members.is_active(&self.nodes[to].name) {
                continue;
            }
            let old = node.rounds.sizes.get(&to).copied().unwrap_or(size).min(size);
            let Ok(proof) = keep::consistency(node, generation, old, size) else { continue };
            let bytes = Rc::new(AddCheckpoint::body(old, &proof, &head.note).into_bytes());
            self.post(Packet { from: at, to, bytes, key: None, boot, word: CHECKPOINT });
        }
    }

    /// A witness fetches the entries from their owner and judges the checkpoint.
    pub(crate) fn judge_checkpoint(&self, node: &Node, packet: &Packet) -> Result<Decided, DecideError> {
        let office = node.office(self.seconds(), &self.policies);
        let silent = DecideError::Rule("busy");
        let request = AddCheckpoint::parse(&packet.bytes).map_err(|e| DecideError::Rule(e.code()))?;
        let origin = Origin::parse(&request.checkpoint.origin).ok_or(silent.clone())?;
        let owner = &self.nodes[packet.from];
        if node.fenced || !self.passes(node.at, packet.from) || !office.members.is_active(&owner.name) {
            return Err(silent);
        }
        let size = request.checkpoint.size;
        let entries = keep::entries(owner, origin.generation, 0, size)?;
        let key = signer(node.at, Role::Witness);
        let witness = Witnesser { signer: &key, name: node.name.as_str(), now: office.now };
        let keys = office.members.log_keys(&origin);
        let (decided, batch) = witness::judge(node, &witness, &request, Some(&keys))?;
        if matches!(decided.answer, Answer::Cosigned(_)) {
            let mut mirrors = self.mirrors.borrow_mut();
            let mirror = mirrors.entry((node.at, origin.to_string())).or_default();
            // A restored witness may meet an older checkpoint again; the files it has stay.
            if entries.len() > mirror.len() {
                *mirror = entries;
            }
        }
        let reply = Some(Reply::Judged(decided.answer));
        Ok(Decided { batches: vec![batch], then: Then { reply, ..Then::default() } })
    }

    /// A witness has answered.
    pub(crate) fn judged(&mut self, at: usize, packet: &Packet, answer: Answer) {
        let Ok(request) = AddCheckpoint::parse(&packet.bytes) else { return };
        let rounds = &mut self.nodes[at].rounds;
        match answer {
            Answer::Cosigned(line) => {
                rounds.sizes.insert(packet.to, request.checkpoint.size);
                if rounds.text == request.note.text {
                    rounds.lines.insert(packet.to, line);
                }
            }
            Answer::Conflict(seen) => {
                rounds.sizes.insert(packet.to, seen);
                rounds.after = 0;
            }
            _ => return,
        }
        if self.nodes[at].fenced || self.nodes[at].rounds.text != request.note.text {
            return;
        }
        let node = &self.nodes[at];
        let Note { text, mut signatures } = request.note;
        signatures.extend(node.rounds.lines.values().cloned());
        let note = Note { text, signatures };
        let office = node.office(self.seconds(), &self.policies);
        let Ok(Some(quorum)) = office.members.quorum(&node.name) else { return };
        let lines = note.signatures.iter().map(Into::into);
        if quorum.judge(&note.text, lines, office.now).is_ok() {
            let _ = self.submit(at, Work::Prove(note.render()));
        }
    }

    /// Moves on what waited for the witnesses.
    pub(crate) fn proven(&mut self, at: usize, transfers: &[TransferId]) {
        for id in transfers {
            let _ = self.submit(at, Work::Push(*id, Input::Request { hold: false }));
        }
    }

    /// What a fenced node does beside asking: takes the entries that its witnesses hand over.
    pub(crate) fn take_logs(&mut self, at: usize) {
        let node = &self.nodes[at];
        let office = node.office(self.seconds(), &self.policies);
        let Some(standing) = standing(node, &office).filter(Standing::heard) else { return };
        for log in standing.lacks() {
            let named = |w: &usize| log.from.contains(&self.nodes[*w].name) && self.passes(at, *w);
            let key = |w: usize| (w, log.origin.to_string());
            let mirrors = self.mirrors.borrow();
            let found = (0..self.nodes.len()).filter(named).find_map(|w| mirrors.get(&key(w)));
            let part = found.and_then(|all| all.get(log.have as usize..log.size as usize));
            let Some(entries) = part.map(<[Vec<u8>]>::to_vec) else { continue };
            drop(mirrors);
            let _ = self.submit(at, Work::Import(log.clone(), entries));
        }
    }

    /// A release leaves only with the proof that the quorum has cosigned its seal.
    pub(crate) fn check_release(&mut self, packet: &Packet) {
        let Ok(message) = Message::parse_own(&packet.bytes) else { return };
        let Content::Release { seal, inclusion, .. } = &message.content else { return };
        let node = &self.nodes[packet.from];
        let office = node.office(self.seconds(), &self.policies);
        let entry = Statement::parse(seal).ok().and_then(|seal| Entry::of_statement(&seal, None).ok());
        let shown = entry.zip(inclusion.as_ref()).is_some_and(|(entry, proof)| {
            office.members.logged(&node.name, &entry, proof, office.now).is_ok()
        });
        if !shown {
            let found =
                format!("a release of {} leaves {} unwitnessed", short(&message.dossier.0), packet.from);
            self.broken = Some(Violation { invariant: SEAL_SHOWN, found });
        }
    }

    /// Every seal that reached another node stands, with its nullifier, in what a quorum of its signer's
    /// witnesses has mirrored; so two of one epoch would show the same value twice.
    pub(crate) fn check_seals(&self) -> Result<(), Violation> {
        let mut seals: BTreeSet<(usize, Vec<u8>)> = BTreeSet::new();
        for node in &self.nodes {
            let read = scan_all::<DecideError>(node, Table::Statement, b"", |_, bytes| {
                let Ok(statement) = Statement::parse(&bytes) else { return Ok(()) };
                let by = self.nodes.iter().position(|n| n.name == statement.common.issuer);
                if let (Body::Seal(_), Some(by)) = (&statement.body, by.filter(|by| *by != node.at)) {
                    seals.insert((by, bytes));
                }
                Ok(())
            });
            debug_assert!(read.is_ok(), "a store in memory reads");
        }
        let mirrors = self.mirrors.borrow();
        let need = (self.nodes.len() - 1) / 2 + 1;
        for (by, seal) in &seals {
            let Ok(seal) = Statement::parse(seal) else { continue };
            let Some(entry) = Entry::of_statement(&seal, None).ok().and_then(|entry| entry.encode()) else {
                continue;
            };
            let of = self.nodes[*by].name.as_str();
            let shows = |(key, entries): &(&(usize, String), &Vec<Vec<u8>>)| {
                key.1.rsplit_once('/').is_some_and(|(node, _)| node == of) && entries.contains(&entry)
            };
            let by: BTreeSet<usize> = mirrors.iter().filter(shows).map(|(key, _)| key.0).collect();
            if by.len() < need {
                return violated(
                    SEAL_SHOWN,
                    format!("{} is mirrored by {by:?} of {need}", short(&seal.id.0)),
                );
            }
        }
        Ok(())
    }

    /// Dossiers that stay closed although every peer has told what it knows: their seal left nowhere.
    pub(crate) fn closed_for_good(&self, at: usize) -> Vec<yunling_protocol::id::DossierId> {
        let node = &self.nodes[at];
        let asking = Fence::load_asking(node).ok().flatten().is_some();
        if asking || node.fenced {
            return Vec::new();
        }
        let waits = node.scan(Table::Outbox, &[], None, SCAN_ITEMS_MAX).is_ok_and(|rows| !rows.is_empty());
        let closed = rejoin::closed(node).unwrap_or_default();
        closed.into_iter().filter(|_| !waits).map(|(id, _)| id).collect()
    }
}
