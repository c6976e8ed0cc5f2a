//! Logs and witnesses of a [`World`]: what waits is logged, witnesses cosign and mirror, a release waits for
//! them, and a fenced office rejoins through them. All by the production decisions.

use std::sync::Arc;

use yunling_protocol::custody::Input;
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::log::note::{Note, NoteSignature};
use yunling_protocol::log::rows::HeadRow;
use yunling_protocol::log::witness::{self, AddCheckpoint, Answer, Seen, Witnesser};
use yunling_protocol::log::{Checkpoint, keep, rows};
use yunling_protocol::member::Member;
use yunling_protocol::recovery::fence::Fence;
use yunling_protocol::recovery::rejoin::{self, Newest, Standing};
use yunling_protocol::recovery::{ask_all, learn};
use yunling_protocol::roster::{Chain, LogPolicy, Roster, RosterNode, SignedRoster, Steward};
use yunling_protocol::store::{Batch, Read as _};

use crate::samples::BEGIN;
use crate::world::{PlainVault, World, role_key};

/// Signs version 1 of the roster of these tests, and those after it.
fn steward() -> SoftSigner {
    SoftSigner::from_seed(&[222; 32])
}

/// How long a version is good.
const YEAR: i64 = 365 * 86_400;

impl World {
    /// Offices of these names in a roster; the log of each has the first `n` of the others as witnesses, `k` of
    /// which must cosign.
    pub(crate) fn witnessed(names: &[&str], n: usize, k: u64) -> Self {
        let mut world = Self::new(names, 1);
        world.logged = true;
        for desk in &world.desks {
            let mut card = world.members.get(&desk.name).unwrap().card.card.clone();
            for key in card.keys.iter_mut().filter(|key| key.role != Role::Statement) {
                let public = role_key(&desk.name, key.role).public();
                *key = KeyEntry::new(key.role, public, key.not_before, None).unwrap();
            }
            world.members.insert(Member { card: card.sign(&desk.signer).unwrap(), removed_at: None });
        }
        let stewards = vec![Steward::new("steward".into(), steward().public()).unwrap()];
        let roster = Roster {
            version: 1,
            previous: None,
            issued: BEGIN,
            expires: UnixTime(BEGIN.0 + YEAR),
            threshold: 1,
            stewards,
            nodes: world.listed(n, k),
            trial: false,
        };
        let mut first = SignedRoster::draft(&roster).unwrap();
        first.sign(&steward()).unwrap();
        let chain = Chain::begin(first, &roster.fingerprint(), false, BEGIN).unwrap();
        world.members.set_roster(Arc::new(chain));
        world
    }

    fn listed(&self, n: usize, k: u64) -> Vec<Arc<RosterNode>> {
        let node = |at: usize| {
            let card = self.members.get(&self.desks[at].name).unwrap().card.clone();
            let mut node = RosterNode::joining(card, BEGIN);
            let others = self.desks.iter().enumerate().filter(|(other, _)| *other != at);
            let mut witnesses: Vec<_> = others.map(|(_, desk)| desk.name.clone()).take(n).collect();
            witnesses.sort();
            node.log = Some(LogPolicy { name: "test".into(), witnesses, k });
            Arc::new(node)
        };
        let mut nodes: Vec<_> = (0..self.desks.len()).map(node).collect();
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        nodes
    }

    /// The stewards name another witness of a log; everybody adopts it now.
    pub(crate) fn new_witness(&mut self, of: usize, witness: usize) {
        let mut chain = (**self.members.roster().unwrap()).clone();
        let before = chain.newest().clone();
        let now = self.now.get();
        let mut next = Roster {
            version: before.roster().version + 1,
            previous: Some(before.hash()),
            issued: now,
            expires: UnixTime(now.0 + YEAR),
            ..before.roster().clone()
        };
        let node = next.nodes.iter_mut().find(|node| *node.name() == self.desks[of].name).unwrap();
        let policy = Arc::make_mut(node).log.as_mut().unwrap();
        policy.witnesses = vec![self.desks[witness].name.clone()];
        let mut signed = SignedRoster::draft(&next).unwrap();
        signed.sign(&steward()).unwrap();
        chain.adopt(signed, now).unwrap();
        self.members.set_roster(Arc::new(chain));
    }

    /// Everything the task of the log does: what waits is logged, the witnesses are asked, what waited for
    /// them goes on. Behind a fence: what the witnesses handed over is taken.
    pub(crate) fn keep_log(&self, at: usize) {
        if self.silent.borrow().contains(&at) {
            return;
        }
        if self.office(at).fenced {
            return self.rejoin(at);
        }
        self.ask_on(at);
        let desk = &self.desks[at];
        let signer = role_key(&desk.name, Role::Log);
        if let Some(batch) = keep::sequence(desk, &desk.name, self.life(at), &signer).unwrap() {
            self.commit(at, batch).unwrap();
        }
        let generation = self.life(at).generation;
        let head = keep::head(desk, generation).unwrap().expect("a log begins with the life");
        let Some(cosigned) = self.ask_witnesses(at, &head) else { return };
        let (batch, proven) = keep::prove(desk, generation, &cosigned).unwrap();
        self.commit(at, batch).unwrap();
        for transfer in proven {
            self.push_giving(at, transfer, &Input::Request { hold: false }).unwrap();
        }
    }

    /// The head with the cosignatures of its quorum.
    fn ask_witnesses(&self, at: usize, head: &HeadRow) -> Option<String> {
        let quorum = self.members.quorum(&self.desks[at].name).unwrap().expect("a rule");
        let names = quorum.witnesses().iter().map(|w| self.index(&w.node));
        let asked = names.filter(|w| !self.silent.borrow().contains(w));
        let lines: Vec<NoteSignature> = asked.filter_map(|w| self.cosign(w, at, head).ok()).collect();
        let mut note = Note::parse(head.note.as_bytes()).unwrap();
        note.signatures.extend(lines);
        let judged = quorum.judge(&note.text, note.signatures.iter().map(Into::into), self.now.get());
        judged.ok().map(|_| note.render())
    }

    /// A witness mirrors the entries, then judges the checkpoint; without its word, its HTTP status.
    pub(crate) fn cosign(&self, witness: usize, of: usize, head: &HeadRow) -> Result<NoteSignature, u16> {
        if self.office(witness).fenced {
            return Err(503);
        }
        let (_, checkpoint) = Checkpoint::parse(head.note.as_bytes()).unwrap();
        let origin = yunling_protocol::log::Origin::parse(&checkpoint.origin).unwrap();
        let desk = &self.desks[witness];
        let key = rows::witnessed_key(&origin.hash());
        let seen = desk.get(key.table, &key.key).unwrap().map(|bytes| Seen::decode(&bytes).unwrap());
        let old = seen.map_or(0, |seen| seen.size);
        let proof =
            keep::consistency(&self.desks[of], origin.generation, old.min(checkpoint.size), checkpoint.size);
        let request = AddCheckpoint::parse(AddCheckpoint::body(old, &proof.unwrap(), &head.note).as_bytes());
        let entries = keep::entries(&self.desks[of], origin.generation, 0, checkpoint.size).unwrap();
        let signer = role_key(&desk.name, Role::Witness);
        let asked = Witnesser { signer: &signer, name: desk.name.as_str(), now: self.now.get() };
        let keys = self.members.log_keys(&origin);
        let (decided, batch) = witness::judge(desk, &asked, &request.unwrap(), Some(&keys)).unwrap();
        self.commit(witness, batch).unwrap();
        match decided.answer {
            Answer::Cosigned(line) => {
                self.mirrors.borrow_mut().insert((witness, checkpoint.origin), entries);
                Ok(line)
            }
            other => Err(other.status()),
        }
    }

    pub(crate) fn standing(&self, at: usize) -> Option<Standing> {
        let (fence, _) = Fence::load(&self.desks[at]).unwrap()?;
        rejoin::standing(&self.office(at), &self.desks[at], &fence).unwrap()
    }

    /// The entries of a log as a witness that named its newest checkpoint hands them over.
    pub(crate) fn handed_over(&self, log: &Newest) -> Vec<Vec<u8>> {
        let from = log.from.iter().map(|name| self.index(name));
        let mut from = from.filter(|at| !self.silent.borrow().contains(at));
        let mirrors = self.mirrors.borrow();
        let mirrored = from.find_map(|at| mirrors.get(&(at, log.origin.to_string()))).cloned();
        mirrored.map(|all| all[log.have as usize..log.size as usize].to_vec()).unwrap_or_default()
    }

    /// Behind a fence that its witnesses opened an office asks on.
    fn ask_on(&self, at: usize) {
        let desk = &self.desks[at];
        let Some((asking, _)) = Fence::load_asking(desk).unwrap() else { return };
        let batch = learn::settle(&self.office(at), desk, &PlainVault, &mut self.fresh(at)).unwrap();
        let settled = !batch.put.is_empty();
        let batch = if settled { batch } else { ask_all(&self.office(at), desk, &asking).unwrap() };
        self.commit(at, batch).unwrap();
    }

    /// What a fenced office does again and again.
    fn rejoin(&self, at: usize) {
        let desk = &self.desks[at];
        let standing = self.standing(at).filter(Standing::heard);
        for log in standing.iter().flat_map(Standing::lacks) {
            let entries = self.handed_over(log);
            for batch in rejoin::import(desk, log, &entries).unwrap_or_default() {
                self.commit(at, batch).unwrap();
            }
        }
        let batch = learn::settle(&self.office(at), desk, &PlainVault, &mut self.fresh(at)).unwrap();
        let batch = match Fence::load(desk).unwrap() {
            Some((fence, _)) if batch.put.is_empty() => ask_all(&self.office(at), desk, &fence).unwrap(),
            _ => batch,
        };
        self.commit(at, batch).unwrap();
    }

    /// Rounds in which nobody needs to come to rest.
    pub(crate) fn rounds(&self, rounds: usize) {
        for _ in 0..rounds {
            for at in 0..self.desks.len() {
                if !self.silent.borrow().contains(&at) {
                    self.send_all(at);
                    self.keep_log(at);
                }
                while let Some(t) = self.has_work(at) {
                    self.work(at, t.id, 64, crate::copy::Dies::Never);
                    if self.transfer(at, t.id).is_some_and(|n| n == t) {
                        break;
                    }
                }
            }
            self.wait(60);
        }
    }

    /// Writes rows as the disk has them.
    pub(crate) fn write(&self, at: usize, batch: Batch) {
        self.commit(at, batch).unwrap();
    }
}
