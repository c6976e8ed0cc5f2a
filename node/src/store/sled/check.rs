//! The full check of an open store, for `doctor`: every row is met once while work goes on.
//!
//! In goes an open store, out come the rows met, those that are damaged, and whether all that was
//! written is there. Nothing is changed.

use yunling_protocol::id::StatementId;
use yunling_protocol::statement::id_of;
use yunling_protocol::store::{Key, StoreError, Table};

use super::SledStore;
use super::record::{decode, raw_end, raw_key};
use super::state::State;
use super::tally::{TALLY_KEY, Tally};

/// Rows that are read at a time: readers and the writer get their turn between.
const PAGE_ROWS: usize = 256;

/// Most damaged rows that are named; they are all counted.
const NAMED_MAX: usize = 100;

/// Bytes of a statement's id, the end of its key.
const ID_BYTES: usize = 32;

/// What a full check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Rows met.
    pub rows: u64,
    /// Rows whose checksum does not match, and statements that are not those of their id.
    pub damaged: u64,
    /// The first hundred of these.
    pub named: Vec<Key>,
    /// What is missing against the count that the store keeps, in words; none when all is there.
    pub missing: Option<String>,
    /// Whether the count could be compared: not when batches were written in the meantime.
    pub counted: bool,
}

impl Checked {
    /// Whether every row is right and, as far as could be seen, there.
    pub fn is_good(&self) -> bool {
        self.damaged == 0 && self.missing.is_none()
    }
}

impl SledStore {
    /// Reads every row, compares it with its checksum and each statement with its id, and compares
    /// the number of rows with the one the store keeps. `progress` gets rows met and rows there are.
    ///
    /// Takes as long as reading the whole file. An error is the engine's: the store cannot be read.
    pub fn check(&self, mut progress: impl FnMut(u64, u64)) -> Result<Checked, StoreError> {
        let before = self.tally()?;
        let all = before.as_ref().map_or(0, Tally::rows);
        let mut checked = Checked::default();
        for table in Table::ALL {
            let mut start = raw_key(table, &[]);
            let end = raw_end(&start);
            loop {
                let rows = self.answered(|state| state.ascending(&start, &end, PAGE_ROWS))?;
                let Some((last, _)) = rows.last() else { break };
                // The first key behind the last one.
                start = [last.as_slice(), &[0]].concat();
                for (key, stored) in &rows {
                    checked.meet(table, key, stored);
                }
                progress(checked.rows, all.max(checked.rows));
            }
        }
        let Some(tally) = before else {
            checked.missing = Some("the tally is gone".to_owned());
            return Ok(checked);
        };
        // Under one lock: what is written meanwhile would look like a difference.
        let compared = self.answered(|state| {
            if state.get(TALLY_KEY)?.as_deref().and_then(Tally::parse).as_ref() != Some(&tally) {
                return Ok(None);
            }
            state.undo().is_empty().then(|| state.noted(tally.compare(state.db()?))).transpose()
        })?;
        checked.counted = compared.is_some();
        checked.missing = compared.and_then(Result::err);
        Ok(checked)
    }

    fn tally(&self) -> Result<Option<Tally>, StoreError> {
        let stored = self.answered(|state: &State| state.get(TALLY_KEY))?;
        Ok(stored.as_deref().and_then(Tally::parse))
    }
}

impl Checked {
    fn meet(&mut self, table: Table, raw_key: &[u8], stored: &[u8]) {
        self.rows += 1;
        let key = raw_key.get(1..).unwrap_or_default();
        let right = decode(raw_key, stored).is_ok_and(|value| {
            let id = key.last_chunk::<ID_BYTES>();
            table != Table::Statement || id.is_some_and(|id| id_of(&value) == StatementId(*id))
        });
        if !right {
            self.damaged += 1;
            if self.named.len() < NAMED_MAX {
                self.named.push(Key::new(table, key));
            }
        }
    }
}
