//! What a peer tells a node that was restored: everything the node signed and that is kept here,
//! what is owed to it, and what was delivered to it and must be delivered again.

use super::{NO_DOSSIER, NO_TRANSFER};
use crate::custody::record::{Loaded, forget_leftovers};
use crate::custody::{Side, Stage, giving};
use crate::day::UnixTime;
use crate::dossier::Custody;
use crate::id::{DossierId, TransferId};
use crate::ledger::{self, Books};
use crate::message::{Answer, Content, Message};
use crate::name::NodeName;
use crate::office::{DecideError, Decision, Office, Vault};
use crate::statement::{Body, Outcome, Seal, Statement};
use crate::store::{Batch, Table};

/// Rows read for one page: each may put a delivery into the outbox, which is signed.
pub const PAGE_ROWS: usize = 256;
/// Bytes of statements after which a page ends. With one more of the largest kind it stays under
/// the cap of a message.
const PAGE_BYTES: usize = 40 * 1024;
/// How much earlier than the backup something may be dated and still be told: clocks are set, and a
/// statement told twice costs nothing.
pub const MARGIN_SECONDS: i64 = 7 * 86_400;
/// Tables that hold statements of others, in the order they are told. A correction told while a copy
/// was checked lies with the staged rows until the promotion; rows move to the last table only, so
/// that none slips through between two pages.
const TABLES: [Table; 3] = [Table::Staged, Table::Held, Table::Statement];

/// One page for `peer`.
struct Page<'a> {
    office: &'a Office<'a>,
    books: &'a dyn Books,
    peer: &'a NodeName,
    since: UnixTime,
    items: Vec<Vec<u8>>,
    bytes: usize,
    redeliver: Vec<Statement>,
    owed: Vec<Seal>,
    /// The dossier looked at last, and the epoch of the peer's last seal in it: its rows lie together.
    sealed: Option<(DossierId, Option<u64>)>,
}

/// Answers one question of a restored peer with one page.
pub fn answer(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    message: &Message,
    since: UnixTime,
    after: &[u8],
) -> Result<Decision, DecideError> {
    let mut page = Page {
        office,
        books,
        peer: &message.from,
        since: UnixTime(since.0.saturating_sub(MARGIN_SECONDS)),
        items: Vec::new(),
        bytes: 0,
        redeliver: Vec::new(),
        owed: Vec::new(),
        sealed: None,
    };
    let next = page.read(after)?;
    let mut batch = Batch::default();
    for seal in &page.owed {
        owe(office, books, vault, &message.from, seal, &mut batch)?;
    }
    for statement in &page.redeliver {
        let content = Content::Deliver { statement: statement.bytes().to_vec() };
        office.post(&mut batch, &message.from, statement.common.dossier, 0, NO_TRANSFER, content)?;
    }
    let content = Content::Known { after: after.to_vec(), items: page.items, next };
    // Told to this life of the peer and to no other: of two restores of one backup the second
    // must not take for an answer what the first was told.
    let (generation, mark) = (message.life.generation, TransferId(message.life.mark));
    office.post(&mut batch, &message.from, NO_DOSSIER, generation, mark, content)?;
    Ok(Decision { batch, answer: Answer::Ok, wake: true })
}

impl Page<'_> {
    /// Reads on from a cursor (one byte of place in [`TABLES`], then the last key told); returns
    /// the next one, `None` at the end.
    fn read(&mut self, after: &[u8]) -> Result<Option<Vec<u8>>, DecideError> {
        let (mut place, mut last) = match after.split_first() {
            Some((place, key)) => (usize::from(*place), (!key.is_empty()).then(|| key.to_vec())),
            None => (0, None),
        };
        let mut rows_left = PAGE_ROWS;
        while let Some(table) = TABLES.get(place) {
            let rows = self.books.scan(*table, &[], last.as_deref(), rows_left)?;
            let ended = rows.len() < rows_left;
            rows_left -= rows.len();
            for (key, bytes) in rows {
                self.take(&bytes)?;
                if self.bytes >= PAGE_BYTES {
                    return Ok(Some([&[place as u8][..], &key].concat()));
                }
                last = Some(key);
            }
            if !ended {
                return Ok(Some([&[place as u8][..], last.as_deref().unwrap_or_default()].concat()));
            }
            (place, last) = (place + 1, None);
        }
        Ok(None)
    }

    fn push(&mut self, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.items.push(bytes);
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), DecideError> {
        // An empty row stands for a held delivery that a person refused.
        if bytes.is_empty() {
            return Ok(());
        }
        let statement = Statement::parse(bytes).map_err(|e| DecideError::Rule(e.code()))?;
        if statement.common.issuer == *self.peer {
            // Its seals are told whatever their date says: custody hangs on them.
            let seal = matches!(statement.body, Body::Seal(_));
            if seal || statement.common.issued_at >= self.since {
                self.push(bytes.to_vec());
            }
        } else if self.leads_to_the_peer(&statement)? {
            self.push(bytes.to_vec());
        } else if statement.common.issuer == *self.office.me {
            self.take_own(statement)?;
        }
        Ok(())
    }

    /// Whether it is a seal of another before one of the peer: without these the peer cannot show
    /// where the dossier is. Each is told by its own row, so that a page stays under its cap however
    /// often a dossier has moved.
    fn leads_to_the_peer(&mut self, statement: &Statement) -> Result<bool, DecideError> {
        let epoch = match &statement.body {
            Body::Seal(seal) => seal.epoch,
            Body::Takeover(takeover) => takeover.epoch,
            _ => return Ok(false),
        };
        let dossier = statement.common.dossier;
        let known = self.sealed.filter(|(id, _)| *id == dossier).map(|(_, last)| last);
        let last = match known {
            Some(last) => last,
            None => {
                let mut last = None;
                for bytes in ledger::seals_kept(self.books, dossier)? {
                    let seal = Statement::parse(&bytes).map_err(|e| DecideError::Rule(e.code()))?;
                    if let Body::Seal(body) = &seal.body
                        && seal.common.issuer == *self.peer
                    {
                        last = last.max(Some(body.epoch));
                    }
                }
                self.sealed = Some((dossier, last));
                last
            }
        };
        Ok(last > Some(epoch))
    }

    /// A statement of this node: a seal that gave the peer a dossier, or something the peer took.
    fn take_own(&mut self, statement: Statement) -> Result<(), DecideError> {
        let id = statement.common.dossier;
        if let Body::Seal(seal) = &statement.body {
            if seal.next != *self.peer {
                return Ok(());
            }
            let record = ledger::head_record(self.books, id)?;
            let newest = record.is_some_and(|r| {
                !r.destroyed && matches!(r.custody, Custody::Sealed { seal, .. } if seal == statement.id)
            });
            if newest {
                self.owed.push(seal.clone());
            }
            self.push(statement.bytes().to_vec());
            return Ok(());
        }
        let key = ledger::beside_key(id, statement.id);
        let Some(receipt) = self.books.get(key.table, &key.key)? else { return Ok(()) };
        let parsed = Statement::parse(&receipt).map_err(|e| DecideError::Rule(e.code()))?;
        let taken = matches!(&parsed.body, Body::Receipt(r) if r.outcome == Outcome::Accepted);
        if taken && parsed.common.issuer == *self.peer && parsed.common.issued_at >= self.since {
            self.push(receipt);
            self.redeliver.push(statement);
        }
        Ok(())
    }
}

/// The peer was given a dossier and may have forgotten it: the release is owed again until `Done`.
fn owe(
    office: &Office<'_>,
    books: &dyn Books,
    vault: &dyn Vault,
    peer: &NodeName,
    seal: &Seal,
    batch: &mut Batch,
) -> Result<(), DecideError> {
    let Some(mut loaded) = Loaded::by_id(books, seal.transfer)? else { return Ok(()) };
    let t = &loaded.transfer;
    if t.side != Side::Giving || t.peer != *peer || !matches!(t.stage, Stage::Sealed | Stage::Completed) {
        return Ok(());
    }
    batch.merge(forget_leftovers(t));
    loaded.transfer.stage = Stage::Sealed;
    loaded.transfer.purge_at = None;
    giving::release_again(office, books, vault, &loaded.transfer, batch)?;
    loaded.save(batch);
    Ok(())
}
