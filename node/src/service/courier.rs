//! Courier files: the same messages for offices that no connection joins (DESIGN §6, `docs/courier.md`).
//!
//! What came in a file goes through the same handlers as what came on a connection, so that the
//! state machines cannot tell. A request is remembered until a newer file of the peer no longer asks it;
//! its answer is in every file to the peer until then. A file that is lost costs its journey, no more.

mod export;
mod import;
mod rows;
mod seal;

pub use export::ExportRequest;
pub(crate) use import::BODY_BYTES_MAX;
pub use import::ImportRequest;

use std::collections::BTreeMap;

use yunling_protocol::courier::{CourierError, FILE_BYTES_MAX, request_id};
use yunling_protocol::custody::record::Loaded;
use yunling_protocol::custody::{Side, Stage, Transfer, taking};
use yunling_protocol::message::Frame;
use yunling_protocol::name::NodeName;
use yunling_protocol::store::Batch;

use super::{Node, Refusal};

/// Most questions for changes in one file: moves whose issuer could not be asked are few, and each
/// question reads the beginning of a dossier.
const QUESTIONS_MAX: usize = 256;

/// Questions for changes by the name of the request: the frame, and the move it is about.
type Questions = BTreeMap<[u8; 32], (Vec<u8>, Transfer)>;

impl Node {
    /// Questions to an issuer that could not be asked while a copy was checked, by the name of the
    /// request. They are the same each time, so nothing is stored until the answer comes.
    fn questions(&self, issuer: &NodeName) -> Result<Questions, Refusal> {
        let mut questions = Questions::new();
        if self.fenced() {
            return Ok(questions);
        }
        for transfer in self.transfers()? {
            let unasked = transfer.side == Side::Taking && transfer.unasked.contains(issuer);
            if !unasked || !matches!(transfer.stage, Stage::Accepted | Stage::Completed) {
                continue;
            }
            let Some(shown) = self.decide(|o| taking::shown(o, self, &transfer, issuer))? else { continue };
            let frame = Frame::Changes { dossier: transfer.dossier, shown }.encode();
            questions.insert(request_id(&frame), (frame, transfer));
            if questions.len() == QUESTIONS_MAX {
                break;
            }
        }
        Ok(questions)
    }

    /// Keeps what an issuer told in answer to a question; `false` when it does not fit the question.
    fn learn_changes(&self, issuer: &NodeName, of: &Transfer, list: &[Vec<u8>]) -> Result<bool, Refusal> {
        let Some(changes) = self.changes_of(issuer, of.dossier, list) else { return Ok(false) };
        self.act(|office| {
            let Some(loaded) = Loaded::by_id(self, of.id)? else { return Ok((Batch::default(), ())) };
            Ok((taking::told(office, self, loaded, issuer, &changes)?, ()))
        })?;
        Ok(true)
    }
}

/// A refused file in words that name the value and what was expected.
fn refused(error: &CourierError, me: &NodeName) -> Refusal {
    let refusal = Refusal::new(error.code());
    match error {
        CourierError::Form | CourierError::Trial => refusal,
        CourierError::Newer(version) => refusal.with("version", version),
        CourierError::Large { bytes } => refusal.with("bytes", bytes).with("max", FILE_BYTES_MAX),
        CourierError::Cut { expected, found } => refusal.with("expected", expected).with("found", found),
        CourierError::Damaged(what) => refusal.with("what", what),
        CourierError::NotForMe(to) => refusal.with("to", to).with("me", me),
        CourierError::UnknownSender(from) | CourierError::Signature(from) => refusal.with("from", from),
        CourierError::Clock(at) => refusal.with("at", at),
    }
}

#[cfg(test)]
mod tests;
