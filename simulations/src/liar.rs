//! A peer that sends what it may not: it knows every id and head, and signs with its own key.
//!
//! It lies about what others hold. That a custodian can misuse what it does hold is no defect of
//! the machine; receipts and seals make it provable.

use std::rc::Rc;

use yunling_protocol::custody::{Side, Stage, Transfer};
use yunling_protocol::id::{DossierId, DossierKey, Salt, StatementId, TransferId};
use yunling_protocol::message::{Answer, Content, Message};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::statement::{Authorisation, Body, Seal, Statement, statement_common};

use crate::model::Said;
use crate::samples;
use crate::work::Packet;
use crate::world::World;

impl World {
    /// One lie of one node to another.
    pub(crate) fn lie(&mut self) {
        let nodes = self.nodes.len();
        let liar = self.dice.index(nodes);
        let foreign: Vec<(usize, Transfer)> = self
            .live_transfers()
            .into_iter()
            .filter(|(at, t)| *at != liar && t.peer != self.nodes[liar].name)
            .collect();
        match self.dice.below(3) {
            0..2 if !foreign.is_empty() => {
                if let Some((victim, t)) = self.dice.pick(&foreign).cloned() {
                    self.lie_about_transfer(liar, victim, &t);
                }
            }
            _ => {
                let victim = (liar + 1 + self.dice.index(nodes - 1)) % nodes;
                self.lie_about_statement(liar, victim);
            }
        }
    }

    fn lie_about_transfer(&mut self, liar: usize, victim: usize, t: &Transfer) {
        let (head, count) = (t.head, t.count);
        let (content, word) = match (t.side, self.dice.below(3)) {
            (_, 0) => (Content::Cancel { reason: "volunteer-stays".into() }, "forged cancel"),
            (Side::Giving, 1) => (Content::Done { count, head }, "forged done"),
            (Side::Giving, _) => (Content::Accept { head, count }, "forged accept"),
            (Side::Taking, 1) if t.stage != Stage::Accepted => {
                (Content::Offer { head, count: count + 1, minutes: Minutes(1) }, "forged offer")
            }
            (Side::Taking, _) => (self.forged_release(liar, victim, t), "forged release"),
        };
        // Sometimes in the name of the true peer, under a signature that is not its own.
        let peer = self.nodes.iter().position(|n| n.name == t.peer);
        let from = peer.filter(|_| self.dice.chance(200)).unwrap_or(liar);
        self.send_lie(liar, from, victim, (t.dossier, t.epoch, t.id), content, word);
    }

    /// A seal that the liar signs for a dossier it does not hold.
    fn forged_release(&self, liar: usize, victim: usize, t: &Transfer) -> Content {
        let key = DossierKey(self.dice.bytes32());
        let body = Body::Seal(Seal {
            epoch: t.epoch,
            transfer: t.id,
            head: t.head,
            count: t.count,
            minutes: t.minutes,
            balance: t.minutes,
            next: self.nodes[victim].name.clone(),
            authorisation: Authorisation::CodeHash(t.code_hash),
            nullifier: key.nullifier(t.epoch),
        });
        let seal = self.forged(liar, liar, t.dossier, &body).map(|s| s.bytes().to_vec());
        Content::Release { seal: seal.unwrap_or_default(), key, profile: None, inclusion: None }
    }

    /// A statement in the name of `issuer`, signed by `liar`.
    fn forged(&self, liar: usize, issuer: usize, dossier: DossierId, body: &Body) -> Option<Statement> {
        let salt = Salt(self.nodes[liar].fresh().bytes16());
        let at = self.nodes[liar].office(self.seconds(), &self.policies).now;
        let common = statement_common(dossier, salt, self.nodes[issuer].name.clone(), at, false);
        Statement::sign(&self.nodes[liar].signer, &common, body).ok()
    }

    fn lie_about_statement(&mut self, liar: usize, victim: usize) {
        let hours: Vec<(DossierId, StatementId, usize)> = {
            let model = self.model.borrow();
            let hour = model.acknowledged.keys().filter_map(|id| {
                let made = model.intended.get(id)?;
                matches!(made.said, Said::Hour { .. }).then_some((made.dossier, *id, made.issuer))
            });
            hour.filter(|(_, _, issuer)| *issuer != liar).collect()
        };
        let Some((dossier, target, issuer)) = self.dice.pick(&hours).copied() else { return };
        let hour = || Said::Hour { item: 999_983, start: 900 * 24 * 60, minutes: 60 };
        let (statement, word) = match self.dice.below(3) {
            0 => (
                self.forged(liar, liar, dossier, &Body::Void(samples::void(target))),
                "void of another's service",
            ),
            1 => (
                self.forged(liar, issuer, dossier, &Body::Attestation(Box::new(samples::service(&hour())))),
                "service in another's name",
            ),
            _ => (
                self.forged(liar, liar, dossier, &Body::Correction(samples::correction(target, 1))),
                "correction of another's service",
            ),
        };
        let Some(statement) = statement else { return };
        let mut bytes = statement.bytes().to_vec();
        if self.dice.chance(300) {
            let at = self.dice.index(bytes.len());
            bytes[at] ^= 1 << self.dice.below(8);
        }
        let content = Content::Deliver { statement: bytes };
        self.send_lie(liar, liar, victim, (dossier, 0, TransferId([0; 16])), content, word);
    }

    fn send_lie(
        &mut self,
        liar: usize,
        from: usize,
        to: usize,
        about: (DossierId, u64, TransferId),
        content: Content,
        word: &'static str,
    ) {
        let (dossier, epoch, transfer) = about;
        let message = Message {
            from: self.nodes[from].name.clone(),
            to: self.nodes[to].name.clone(),
            dossier,
            epoch,
            transfer,
            life: self.nodes[from].life,
            at: self.nodes[liar].office(self.seconds(), &self.policies).now,
            trial: false,
            content,
        };
        let Ok(bytes) = message.sign(&self.nodes[liar].signer) else { return };
        let boot = self.nodes[liar].boot;
        self.post(Packet { from: liar, to, bytes: Rc::new(bytes), key: None, boot, word });
    }

    /// Sends an issuer on to some node, with a seal that is none.
    pub(crate) fn misled(&self, at: usize) -> Answer {
        let to = self.nodes[self.dice.index(self.nodes.len())].name.clone();
        let body = Body::Void(samples::void(StatementId([0; 32])));
        let no_seal = self.forged(at, at, DossierId([0; 16]), &body);
        Answer::Moved { to, seals: no_seal.iter().map(|s| s.bytes().to_vec()).collect() }
    }
}
