//! One node of the model: the machine of the protocol, and as little around it as possible.
//!
//! A chain is a row of bytes: 1 for the consent, then a byte for each statement. Its head is the
//! row itself, so that two chains with one head are one chain.

use yunling_protocol::custody::{Action, Facts, Side, Stage, Transfer, step};
use yunling_protocol::day::UnixTime;
use yunling_protocol::id::{ChainHead, DossierId, StatementId, TransferId};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;

pub(super) use yunling_protocol::custody::Input;

use super::MOVES;

/// The first statement of the chain.
const CONSENT: u8 = 1;
/// Appended statements are this and above.
const APPENDED: u8 = 10;
/// A seal is this and the epoch.
const SEAL: u8 = 100;
/// A received is this and the epoch that begins.
const RECEIVED: u8 = 150;
/// When everything happens: no transfer expires here.
const NOW: UnixTime = UnixTime(1_795_004_800);

/// A transfer of the machine, with an order of its fields for hashing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held(pub Transfer);

impl std::hash::Hash for Held {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let t = &self.0;
        (t.side as u8, t.stage as u8, t.epoch, t.head.0, t.count, t.have, t.rounds).hash(state);
        (t.peer.as_str(), &t.reason, t.seal.map(|s| s.0)).hash(state);
    }
}

/// A message on the network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msg {
    from: u8,
    pub(super) to: u8,
    number: u8,
    epoch: u64,
    says: Says,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Says {
    /// Hand me the dossier.
    Request,
    /// The answer to a request: no.
    Refused,
    /// Copy this chain.
    Offer(Vec<u8>),
    /// This chain is copied.
    Accept(Vec<u8>),
    /// This chain is sealed.
    Release(Vec<u8>),
    /// Promoted.
    Done,
    /// One side gives up.
    Cancel,
}

/// A node, as its disk has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Desk {
    at: u8,
    pub(super) chain: Vec<u8>,
    pub(super) moves: [Option<Held>; MOVES],
    staged: [Vec<u8>; MOVES],
    /// The slip that counts: move, receiver, epoch, spent.
    code: Option<(u8, u8, u64, bool)>,
}

/// A code as a decision read it: there, or not.
type ReadCode = Option<(u8, u8, u64, bool)>;

/// What a decision writes, with what it read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Change {
    expect_chain: Option<Vec<u8>>,
    /// The code as it was read, if it was.
    expect_code: Option<ReadCode>,
    expect_move: Option<(u8, Option<Held>)>,
    chain: Option<Vec<u8>>,
    code: Option<(u8, u8, u64, bool)>,
    moved: Option<(u8, Held)>,
    staged: Option<(u8, Vec<u8>)>,
    pub(super) posts: Vec<Msg>,
}

impl Change {
    /// The same without what was read.
    pub(super) fn blindly(self) -> Self {
        Self { expect_chain: None, expect_code: None, expect_move: None, ..self }
    }
}

fn name(at: u8) -> NodeName {
    // Names of the model; the fallback is never taken.
    NodeName::parse(["north", "south", "east"][usize::from(at)]).unwrap_or_else(|_| unreachable!())
}

fn head(chain: &[u8]) -> ChainHead {
    let mut head = [0; 32];
    let len = chain.len().min(32);
    head[..len].copy_from_slice(&chain[..len]);
    ChainHead(head)
}

fn row(head: ChainHead, count: u64) -> Vec<u8> {
    head.0[..(count as usize).min(32)].to_vec()
}

/// The epoch of a chain: seals in it that a received follows.
fn epoch(chain: &[u8]) -> u64 {
    chain.iter().filter(|b| **b >= RECEIVED).count() as u64
}

impl Desk {
    pub(super) fn new(at: u8) -> Self {
        let chain = if at == 0 { vec![CONSENT] } else { Vec::new() };
        Self { at, chain, moves: [None, None], staged: [Vec::new(), Vec::new()], code: None }
    }

    /// Whether this node may append: it began the chain or received it, and has not sealed it.
    pub(super) fn may_append(&self) -> bool {
        let sealed = self.chain.last().is_some_and(|b| (SEAL..RECEIVED).contains(b));
        !self.chain.is_empty() && !sealed
    }

    /// The other end of a move.
    pub(super) fn peer(&self, number: u8) -> Option<u8> {
        let peer = &self.moves[usize::from(number)].as_ref()?.0.peer;
        (0..3).find(|at| name(*at) == *peer)
    }

    /// The newest transfer here, whether it has ended.
    fn busy(&self) -> bool {
        self.moves.iter().flatten().next_back().is_some_and(|m| !m.0.stage.ended())
    }

    /// Writes a change, if what was read for it still stands.
    pub(super) fn write(&mut self, change: &Change) -> bool {
        let stands = change.expect_chain.as_ref().is_none_or(|c| *c == self.chain)
            && change.expect_code.as_ref().is_none_or(|c| *c == self.code)
            && change.expect_move.as_ref().is_none_or(|(n, m)| *m == self.moves[usize::from(*n)]);
        if !stands {
            return false;
        }
        if let Some(chain) = &change.chain {
            self.chain.clone_from(chain);
        }
        if let Some(code) = change.code {
            self.code = Some(code);
        }
        if let Some((number, held)) = &change.moved {
            self.moves[usize::from(*number)] = Some(held.clone());
        }
        if let Some((number, staged)) = &change.staged {
            self.staged[usize::from(*number)].clone_from(staged);
        }
        true
    }

    /// A clerk appends, unless a transfer queues appends.
    pub(super) fn append(&self, number: u8) -> Option<Change> {
        let queues = self.moves.iter().flatten().next_back().is_some_and(|m| m.0.queues_appends());
        if !self.may_append() || queues {
            return None;
        }
        let chain = [&self.chain[..], &[APPENDED + number]].concat();
        Some(Change { expect_chain: Some(self.chain.clone()), chain: Some(chain), ..Change::default() })
    }

    /// A slip for a move; the consent it records is left out.
    pub(super) fn authorise(&self, number: u8, to: u8) -> Option<Change> {
        let code = Some((number, to, epoch(&self.chain), false));
        self.may_append().then_some(Change { code, ..Change::default() })
    }

    /// The new node asks.
    pub(super) fn ask(&self, number: u8, from: u8) -> Option<Change> {
        if self.may_append() || self.moves[usize::from(number)].is_some() {
            return None;
        }
        let held = Held(transfer(number, Side::Taking, from, 0));
        let request = Msg { from: self.at, to: from, number, epoch: 0, says: Says::Request };
        Some(Change { moved: Some((number, held)), posts: vec![request], ..Change::default() })
    }

    /// Part of a copy, or all that is offered.
    pub(super) fn pull(&self, number: u8, giver: &Desk, whole: bool) -> Option<Change> {
        let t = &self.moves[usize::from(number)].as_ref()?.0;
        let theirs = &giver.moves[usize::from(number)].as_ref()?.0;
        if !matches!(theirs.stage, Stage::Offered | Stage::Sealed) {
            return None;
        }
        let from = t.have as usize;
        let end = (theirs.count as usize).min(giver.chain.len()).min(t.count as usize);
        let end = if whole { end } else { (from + 1).min(end) };
        let mut staged = self.staged[usize::from(number)].clone();
        staged.truncate(from);
        staged.extend_from_slice(giver.chain.get(from..end).unwrap_or_default());
        let have = staged.len() as u64;
        let mut change = self.push(number, &Input::Staged { have })?;
        change.staged = Some((number, staged));
        Some(change)
    }

    /// Checks a staged copy against the offer.
    pub(super) fn check(&self, number: u8) -> Option<Change> {
        let t = &self.moves[usize::from(number)].as_ref()?.0;
        let copy = self.staged[usize::from(number)].get(..t.count as usize);
        let right =
            copy.is_some_and(|c| head(c) == t.head && epoch(c) == t.epoch && c.starts_with(&self.chain));
        let input = if right {
            Input::Checked { unasked: Vec::new() }
        } else {
            Input::Failed { reason: "transfer-copy-differs".into() }
        };
        self.push(number, &input)
    }

    /// An input to the machine, and its actions as a change.
    pub(super) fn push(&self, number: u8, input: &Input) -> Option<Change> {
        let held = self.moves[usize::from(number)].clone()?;
        self.turn(number, Some(held.clone()), held.0, input)
    }

    fn turn(&self, number: u8, before: Option<Held>, mut t: Transfer, input: &Input) -> Option<Change> {
        let facts = (t.side == Side::Giving).then(|| Facts {
            head: head(&self.chain),
            count: self.chain.len() as u64,
            minutes: Minutes(0),
        });
        let actions = step(&mut t, input, facts, NOW).ok()?;
        let mut change = Change::default();
        for action in actions {
            self.act(number, &mut t, input, action, &mut change)?;
        }
        change.expect_move = Some((number, before));
        change.moved = Some((number, Held(t)));
        Some(change)
    }

    /// One action of the machine. `None`: the chain or the slip does not take it.
    fn act(
        &self,
        number: u8,
        t: &mut Transfer,
        input: &Input,
        action: Action,
        change: &mut Change,
    ) -> Option<()> {
        let says = match action {
            Action::SpendCode => {
                let (of, to, at, _) = self.code.filter(|c| c.0 == number && !c.3)?;
                change.expect_code = Some(self.code);
                change.code = Some((of, to, at, true));
                return Some(());
            }
            Action::Seal => {
                if !self.may_append() || epoch(&self.chain) != t.epoch || head(&self.chain) != t.head {
                    return None;
                }
                let sealed = [&self.chain[..], &[SEAL + t.epoch as u8]].concat();
                change.expect_chain = Some(self.chain.clone());
                change.chain = Some(sealed);
                t.seal = Some(StatementId([t.epoch as u8; 32]));
                return Some(());
            }
            Action::Promote => {
                let Input::Release { count, .. } = input else { return None };
                let copy = self.staged[usize::from(number)].get(..*count as usize)?;
                let marks = [SEAL + t.epoch as u8, RECEIVED + t.epoch as u8 + 1];
                change.expect_chain = Some(self.chain.clone());
                change.chain = Some([copy, &marks].concat());
                return Some(());
            }
            Action::EraseStaged => {
                change.staged = Some((number, Vec::new()));
                return Some(());
            }
            // What was sent may arrive at any time, also after it left the outbox.
            Action::ClearOutbox => return Some(()),
            Action::SendOffer => Says::Offer(row(t.head, t.count)),
            Action::SendRefuse(_) => Says::Refused,
            Action::SendCancel(_) => Says::Cancel,
            Action::SendAccept => Says::Accept(row(t.head, t.count)),
            Action::SendRelease => Says::Release(row(t.head, t.count)),
            Action::SendDone => Says::Done,
        };
        let to = (0..3).find(|at| name(*at) == t.peer)?;
        change.posts.push(Msg { from: self.at, to, number, epoch: t.epoch, says });
        Some(())
    }

    /// Hears a message; `None` when it changes nothing and is not answered.
    pub(super) fn hear(&self, message: &Msg) -> Option<Change> {
        let number = message.number;
        let held = self.moves[usize::from(number)].clone();
        let Some(held) = held else {
            return if message.says == Says::Request { self.request(message) } else { None };
        };
        let mut t = held.0.clone();
        let taking = t.side == Side::Taking;
        if taking && message.says != Says::Refused && t.stage == Stage::Requested {
            // The slip does not name the epoch: it is known from the first offer on.
            t.epoch = message.epoch;
        }
        let knows = !matches!(message.says, Says::Request | Says::Cancel | Says::Refused);
        if knows && t.epoch != message.epoch && !(taking && t.stage == Stage::Cancelled) {
            return None;
        }
        let input = match &message.says {
            Says::Request if !taking => Input::Request { hold: true },
            Says::Accept(row) if !taking => Input::Accept { head: head(row), count: row.len() as u64 },
            Says::Done if !taking => Input::Done,
            Says::Cancel => Input::PeerCancels { reason: "volunteer-stays".into() },
            Says::Refused if taking => Input::Refused { reason: "transfer-code-spent".into() },
            Says::Offer(row) if taking => {
                Input::Offer { head: head(row), count: row.len() as u64, minutes: Minutes(0) }
            }
            Says::Release(row) if taking => Input::Release {
                head: head(row),
                count: row.len() as u64,
                seal: StatementId([message.epoch as u8; 32]),
            },
            _ => return None,
        };
        self.turn(number, Some(held), t, &input)
    }

    /// The first request of a move.
    fn request(&self, message: &Msg) -> Option<Change> {
        let (number, refused) = (message.number, Says::Refused);
        let fits = self.code.is_some_and(|(of, to, at, spent)| {
            of == number && to == message.from && at == epoch(&self.chain) && !spent
        });
        if !fits || !self.may_append() {
            let answer = Msg { from: self.at, to: message.from, number, epoch: 0, says: refused };
            return Some(Change { posts: vec![answer], ..Change::default() });
        }
        if self.busy() {
            return None;
        }
        let t = transfer(number, Side::Giving, message.from, epoch(&self.chain));
        self.turn(number, None, t, &Input::Request { hold: false })
    }
}

fn transfer(number: u8, side: Side, peer: u8, epoch: u64) -> Transfer {
    let (id, dossier) = (TransferId([number + 1; 16]), DossierId([7; 16]));
    Transfer { epoch, code_hash: [number; 32], ..Transfer::new(id, dossier, side, name(peer), NOW) }
}
