//! Decisions of one node: loads what the production functions ask for, calls them, and says what
//! must be durable and what follows. Nothing is written here.

use yunling_protocol::custody::record::{Loaded, forget_leftovers};
use yunling_protocol::custody::{Input, Side, Stage, giving, leftovers, takeover, taking};
use yunling_protocol::delivery::{self, Next};
use yunling_protocol::dossier::Dossier;
use yunling_protocol::id::{DossierId, StatementId, TransferId};
use yunling_protocol::ledger::{self, Books as _};
use yunling_protocol::message::{Answer, Content, Message};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::name::NodeName;
use yunling_protocol::office::{self, DecideError, Decision, Office, OutboxEntry};
use yunling_protocol::profile::YUNNAN;
use yunling_protocol::proof::{Amount, Claims, live};
use yunling_protocol::recovery::fence::{self, Fence};
use yunling_protocol::recovery::{self, LifeVerdict, learn, rejoin, tell};
use yunling_protocol::register::{self, Made};
use yunling_protocol::statement::{Body, Outcome, Statement};
use yunling_protocol::store::{Batch, Expect, Put, Read as _};

use crate::logs;
use crate::model::{Intended, Said};
use crate::mutants::Mutant;
use crate::node::{Node, PlainVault, seen_key, signer};
use crate::samples;
use crate::work::{Act, Decided, Packet, Reply, Then, Work};
use crate::world::World;

/// Rows an old custodian sends for one pull at most: dossiers here are short, and a copy in two
/// pieces is worth seeing.
const PULL_ROWS: usize = 6;
/// Days a proof is valid.
const PROOF_SECONDS: i64 = 365 * 86_400;

impl World {
    /// Decides about a piece of work; `Err` is the rule that forbids it, and nothing changes.
    pub(crate) fn decide(&self, at: usize, work: &Work) -> Result<Decided, DecideError> {
        let node = &self.nodes[at];
        let office = node.office(self.seconds(), &self.policies);
        match work {
            Work::Message(packet) => {
                let looks = self.mutant != Some(Mutant::NoLifeCheck);
                Ok(message(node, &office, packet, looks))
            }
            Work::AskPeers => Ok(Decided { batches: vec![ask_peers(node, &office)?], then: Then::default() }),
            Work::Answer(packet, answer) => answered(node, &office, packet, answer),
            Work::Stage(id, from, rows) => {
                let decision = taking::stage(&office, loaded(node, *id)?, *from, rows)?;
                Ok(decided(decision))
            }
            Work::Judge(id) => self.judge(node, &office, *id),
            Work::Push(id, input) => push(node, &office, *id, input),
            Work::Sweep(transfer) => {
                let batch = leftovers::destroy(&office, node, transfer, 16)?;
                let batch = if batch.put.is_empty() { forget_leftovers(transfer) } else { batch };
                Ok(Decided { batches: vec![batch], then: Then::default() })
            }
            Work::Sequence => logs::sequence(node),
            Work::Witness(packet) => self.judge_checkpoint(node, packet),
            Work::Prove(note) => logs::prove(node, note),
            Work::Import(log, entries) => logs::import(node, log, entries),
            Work::Act(act) => self.act(node, &office, act),
        }
    }

    /// Checks a staged copy as the node does, asks the issuers for changes, and accepts.
    fn judge(&self, node: &Node, office: &Office<'_>, id: TransferId) -> Result<Decided, DecideError> {
        let loaded = loaded(node, id)?;
        if loaded.transfer.stage != Stage::Checking {
            return Ok(Decided::default());
        }
        let dossier = match checked_copy(node, office, &loaded) {
            Ok(dossier) => dossier,
            Err(reason) => {
                return Ok(decided(taking::advance(office, loaded, &Input::Failed { reason })?));
            }
        };
        let (mut changes, mut unasked) = (Vec::new(), Vec::new());
        for issuer in taking::issuers(&dossier, &loaded.transfer, office.me) {
            match self.ask_changes(node, office, &dossier, &issuer) {
                Some(told) => changes.extend(told),
                None => unasked.push(issuer),
            }
        }
        Ok(decided(taking::checked(office, loaded, &changes, unasked)?))
    }

    /// Corrections and voids an issuer made that the copy lacks; `None` when it does not answer.
    fn ask_changes(
        &self,
        node: &Node,
        office: &Office<'_>,
        dossier: &Dossier,
        issuer: &NodeName,
    ) -> Option<Vec<Statement>> {
        let asked = self.nodes.iter().find(|n| n.name == *issuer)?;
        if !self.passes(node.at, asked.at) || !asked.members.is_active(&node.name) {
            return None;
        }
        let (shown, _) = dossier.hours().iter().find(|(_, h)| h.issuer == *issuer)?;
        let its = asked.office(self.seconds(), &self.policies);
        let Ok(Answer::Changes(list)) = delivery::changes(&its, asked, dossier.id(), *shown) else {
            return None;
        };
        let verified = list.iter().map(|b| office.members.verify(b, office.now, false).ok());
        let all: Vec<Statement> = verified.collect::<Option<_>>()?;
        Some(all.into_iter().filter(|s| dossier.sequence_of(s.id).is_none()).collect())
    }

    fn act(&self, node: &Node, office: &Office<'_>, act: &Act) -> Result<Decided, DecideError> {
        let mut fresh = node.fresh();
        let mut then = Then::default();
        let batch = match act {
            Act::Register => {
                let (id, appender, mut batch) =
                    register::open_dossier(office, &PlainVault, &mut fresh, samples::consent(), None)?;
                batch.merge(appender.finish().0);
                then.opened = Some(id);
                batch
            }
            Act::Record(id, custodian, said) => {
                let custodian = &self.nodes[*custodian].name;
                let service = samples::service(said);
                let made = register::record(office, node, &mut fresh, *id, custodian, service)?;
                self.intend(node, *id, *said, made, &mut then)
            }
            Act::Correct(id, target, minutes) => {
                let change = samples::correction(*target, *minutes);
                let made = register::correct(office, node, &mut fresh, *id, change)?;
                let at = made.statement.common.issued_at;
                let said = Said::Correct { target: *target, minutes: *minutes, at };
                self.intend(node, *id, said, made, &mut then)
            }
            Act::Void(id, target) => {
                let made = register::void(office, node, &mut fresh, *id, samples::void(*target))?;
                self.intend(node, *id, Said::Void { target: *target }, made, &mut then)
            }
            Act::Slip(id, to) => {
                let name = &self.nodes[*to].name;
                let consent = samples::consent_to(name);
                let slip = giving::authorise(office, node, &mut fresh, *id, name, consent, true)?;
                then.slip = Some((*to, slip.code));
                slip.batch
            }
            Act::Ask(from, slip) => {
                let (batch, transfer) =
                    taking::start(office, node, &mut fresh, &self.nodes[*from].name, slip)?;
                (then.asked, then.wake) = (Some(transfer.id), true);
                batch
            }
            Act::Held(id, statement, take) => delivery::decide_held(office, node, *id, *statement, *take)?,
            Act::Prove(id) => {
                let (batch, proof) = prove(node, office, *id)?;
                then.proof = Some(proof);
                batch
            }
            Act::Reopen(id) => rejoin::reopen(office, node, *id, &[], "nowhere")?.0,
            Act::Peer(peer, accept) => {
                Node::peer_batch(&self.nodes[*peer].name, (!accept).then_some(office.now))
            }
        };
        Ok(Decided { batches: vec![batch], then })
    }

    /// Writes a statement into the book before it can be anywhere else.
    fn intend(&self, node: &Node, dossier: DossierId, said: Said, made: Made, then: &mut Then) -> Batch {
        let id = made.statement.id;
        self.model.borrow_mut().intended.insert(id, Intended { issuer: node.at, dossier, said });
        (then.made, then.wake) = (Some(id), made.wake);
        made.batch
    }
}

fn loaded(node: &Node, id: TransferId) -> Result<Loaded, DecideError> {
    Loaded::by_id(node, id)?.ok_or(DecideError::Rule("transfer-unknown"))
}

fn decided(decision: Decision) -> Decided {
    let then = Then { wake: decision.wake, ..Then::default() };
    Decided { batches: vec![decision.batch], then }
}

fn replied(decision: Decision) -> Decided {
    let reply = Some(Reply::Answer(decision.answer.clone()));
    let mut decided = decided(decision);
    decided.then.reply = reply;
    decided
}

/// Answers a message as the node does.
fn message(node: &Node, office: &Office<'_>, packet: &Packet, looks_at_life: bool) -> Decided {
    let opened = Message::open(&packet.bytes, office.me, office.members, office.trial, office.now);
    let message = match opened {
        Ok(message) => message,
        Err(error) => return replied(Decision::refused(error.code())),
    };
    let life = if looks_at_life { judge_life(node, office, &message) } else { Ok(None) };
    match life.and_then(|first| first.map_or_else(|| route(node, office, &message), Ok)) {
        Ok(decided) => decided,
        Err(error) => replied(Decision::refused(error.code())),
    }
}

/// Looks at the life of a message before anything else: a stale one is answered, a newer one is
/// written first, with everything half made with the older one dropped.
fn judge_life(node: &Node, office: &Office<'_>, message: &Message) -> Result<Option<Decided>, DecideError> {
    let seen = node.seen_life(&message.from);
    match recovery::judge_life(seen, message.life) {
        LifeVerdict::Same => Ok(None),
        LifeVerdict::Stale(seen) => Ok(Some(replied(Decision::answer(Answer::Stale { seen })))),
        LifeVerdict::Newer => {
            let mut batch = Batch::default();
            if seen.is_some() {
                batch = recovery::new_life(office, node, &PlainVault, &mut node.fresh(), &message.from)?;
            }
            let key = seen_key(&message.from);
            batch.expect_read(key.table, key.key.clone(), seen.map(fence::encode_life).as_deref());
            batch.put.push(Put::Set(key, fence::encode_life(message.life)));
            let then = Then { again: true, ..Then::default() };
            Ok(Some(Decided { batches: vec![batch], then }))
        }
    }
}

/// Asks every peer that has not answered, or opens when nobody is left to ask.
fn ask_peers(node: &Node, office: &Office<'_>) -> Result<Batch, DecideError> {
    let batch = learn::settle(office, node, &PlainVault, &mut node.fresh())?;
    match Fence::load(node)? {
        Some((fence, stored)) if batch.put.is_empty() => {
            let mut batch = recovery::ask_all(office, node, &fence)?;
            batch.expect.push(Expect::Equals(fence::fence_key(), stored));
            Ok(batch)
        }
        None if batch.put.is_empty() => {
            let Some((asking, stored)) = Fence::load_asking(node)? else { return Ok(batch) };
            let mut batch = recovery::ask_all(office, node, &asking)?;
            batch.expect.push(Expect::Equals(fence::asking_key(), stored));
            Ok(batch)
        }
        _ => Ok(batch),
    }
}

fn route(node: &Node, office: &Office<'_>, message: &Message) -> Result<Decided, DecideError> {
    let mut fresh = node.fresh();
    let give = |fresh| giving::receive(office, node, &PlainVault, fresh, message);
    let take = |fresh| taking::receive(office, node, &PlainVault, fresh, message);
    let decision = match &message.content {
        Content::Deliver { statement } => delivery::receive(office, node, &mut fresh, message, statement)?,
        Content::Request { .. } | Content::Accept { .. } | Content::Done { .. } => give(&mut fresh)?,
        Content::Offer { .. } | Content::Refuse { .. } => take(&mut fresh)?,
        Content::Release { .. } => return release(node, office, message),
        Content::Cancel { .. } => match Loaded::by_id(node, message.transfer)?.map(|l| l.transfer.side) {
            None => Decision::refused("transfer-unknown"),
            Some(Side::Giving) => give(&mut fresh)?,
            Some(Side::Taking) => take(&mut fresh)?,
        },
        Content::Pull { .. } if node.fenced => Decision::refused("fenced"),
        Content::Pull { from } => return pulled(node, message, *from),
        Content::Recovering { since, after } => {
            tell::answer(office, node, &PlainVault, message, *since, after)?
        }
        Content::Known { .. } => learn::take(office, node, &PlainVault, &mut fresh, message)?,
        Content::Notice { .. } => takeover::noticed(office, node, message)?,
        Content::Rejoin { since } => rejoin::vouch(office, node, message, *since)?,
        Content::Vouch { .. } => rejoin::take(office, node, message)?,
    };
    Ok(replied(decision))
}

/// The release: the copy is installed in pieces, then the promotion makes it count.
fn release(node: &Node, office: &Office<'_>, message: &Message) -> Result<Decided, DecideError> {
    let mut batches = Vec::new();
    if let Some(loaded) = Loaded::by_id(node, message.transfer)?
        && taking::may_install(office, &loaded.transfer, message)
    {
        let staged = taking::staged(node, &loaded.transfer)?;
        let parsed = staged.iter().map(|b| Statement::parse(b).map_err(|e| DecideError::Rule(e.code())));
        let statements: Vec<Statement> = parsed.collect::<Result<_, _>>()?;
        for batch in taking::install(loaded.transfer.dossier, &statements) {
            // Smaller pieces than the node's, so that a crash comes between them.
            let pieces = batch.put.chunks(8).map(|put| Batch { expect: Vec::new(), put: put.to_vec() });
            batches.extend(pieces);
        }
    }
    let decision = taking::receive(office, node, &PlainVault, &mut node.fresh(), message)?;
    let mut last = replied(decision);
    batches.append(&mut last.batches);
    Ok(Decided { batches, then: last.then })
}

/// Answers a pull with rows, as the bulk stream does.
fn pulled(node: &Node, message: &Message, from: u64) -> Result<Decided, DecideError> {
    let refused = |code| Ok(replied(Decision::refused(code)));
    let Some(loaded) = Loaded::by_id(node, message.transfer)? else { return refused("transfer-unknown") };
    let t = loaded.transfer;
    let open = matches!(t.stage, Stage::Offered | Stage::Sealed | Stage::Completed);
    if t.side != Side::Giving || t.peer != message.from || !open || t.dossier != message.dossier {
        return refused("transfer-not-now");
    }
    let limit = (t.count.saturating_sub(from) as usize).min(PULL_ROWS);
    let rows = if limit == 0 { Vec::new() } else { ledger::chain(node, t.dossier, from, limit)? };
    let then = Then { reply: Some(Reply::Rows(t.id, from, rows)), ..Then::default() };
    Ok(Decided { batches: Vec::new(), then })
}

/// Verifies and folds a staged copy. `Err` is the reason code.
fn checked_copy(node: &Node, office: &Office<'_>, loaded: &Loaded) -> Result<Dossier, String> {
    let staged = taking::staged(node, &loaded.transfer).map_err(|e| e.code().to_owned())?;
    let begun = taking::CopyCheck::begin(office, node, &loaded.transfer);
    let mut check = begun.map_err(|e| e.code().to_owned())?;
    for bytes in &staged {
        let statement = taking::verify_copied(office.members, bytes, office.trial, office.now)?;
        check.take(statement.into())?;
    }
    Ok(check.finish()?)
}

fn push(node: &Node, office: &Office<'_>, id: TransferId, input: &Input) -> Result<Decided, DecideError> {
    let loaded = loaded(node, id)?;
    let decision = match loaded.transfer.side {
        Side::Giving => giving::advance(office, node, &PlainVault, &mut node.fresh(), loaded, input)?,
        Side::Taking => taking::advance(office, loaded, input)?,
    };
    Ok(decided(decision))
}

/// What the sender does with the answer to a message of its outbox.
fn answered(
    node: &Node,
    office: &Office<'_>,
    packet: &Packet,
    answer: &Answer,
) -> Result<Decided, DecideError> {
    let message = Message::parse_own(&packet.bytes).map_err(|e| DecideError::Rule(e.code()))?;
    let mut decided = Decided::default();
    match (&message.content, answer) {
        (Content::Deliver { statement }, _) => {
            let statement = Statement::parse(statement).map_err(|e| DecideError::Rule(e.code()))?;
            match delivery::answered(office, node, &message.to, &statement, answer)? {
                Next::Ended(batch) => {
                    decided.then.refused = refusal(answer, statement.id);
                    decided.batches.push(batch);
                }
                Next::Redirected(batch, _) => {
                    decided.then.wake = true;
                    decided.batches.push(batch);
                }
                Next::Later(_) => {}
            }
        }
        (content, answer) if office::answer_ends(content, answer) => {
            let Some(key) = &packet.key else { return Ok(decided) };
            // A newer one in the same place has not been answered.
            let stored = node.get(key.table, &key.key)?;
            let same = |entry: OutboxEntry| entry.message == **packet.bytes;
            if stored.and_then(|s| OutboxEntry::decode(&s).ok()).is_some_and(same) {
                decided.batches.push(Batch { expect: Vec::new(), put: vec![Put::Delete(key.clone())] });
            }
        }
        (_, Answer::Stale { seen }) if node.fenced => {
            let (batch, _) = recovery::raise(office, node, *seen, &mut node.fresh())?;
            decided.batches.push(batch);
            decided.then.wake = true;
        }
        (Content::Request { .. }, Answer::Refused(reason)) if reason != "transfer-in-progress" => {
            let input = Input::Refused { reason: reason.clone() };
            return push(node, office, message.transfer, &input);
        }
        _ => {}
    }
    Ok(decided)
}

/// The statement, when its delivery ended without it being taken.
fn refusal(answer: &Answer, id: StatementId) -> Option<StatementId> {
    let Answer::Receipt(bytes) = answer else { return None };
    let receipt = Statement::parse(bytes).ok()?;
    matches!(receipt.body, Body::Receipt(r) if r.outcome != Outcome::Accepted).then_some(id)
}

/// A proof of everything counted, as the node makes one.
fn prove(
    node: &Node,
    office: &Office<'_>,
    id: DossierId,
) -> Result<(Batch, (DossierId, String, u64)), DecideError> {
    if !node.may_append(id) {
        return Err(DecideError::Rule("dossier-moved"));
    }
    let dossier = node.dossier(id, &YUNNAN)?.ok_or(DecideError::Rule("dossier-unknown"))?;
    let totals = dossier.totals(&YUNNAN);
    let claims = Claims {
        issuer: office.me.clone(),
        subject: node.fresh().bytes16(),
        issued: office.now,
        expires: yunling_protocol::day::UnixTime(office.now.0 + PROOF_SECONDS),
        full_name: None,
        amount: Amount::AtLeast(Minutes(totals.counted.0)),
        days: totals.days,
        epoch: dossier.epoch(),
        recorders: Vec::new(),
        number: None,
        trial: false,
        status: None,
    };
    let key = signer(node.at, yunling_protocol::key::Role::Proof);
    let (batch, issued) =
        live::issue(office, node, &mut node.fresh(), &key, live::NAMELESS_BASE, id, claims)?;
    Ok((batch, (id, issued.text, totals.counted.0)))
}
