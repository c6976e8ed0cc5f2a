//! The one seam between decisions and a disk: a batch that is written whole or not at all.
//!
//! Decisions read through [`Read`] and answer with a [`Batch`] of expectations and puts; an engine
//! checks every expectation against one state and then writes every put, durable when
//! [`Store::commit`] returns `Ok`. The types here know no disk; [`oracle`] holds the in-memory
//! engine that says what is right and [`conformance`] the suite every engine must pass.

use std::fmt;

pub mod conformance;
pub mod error;
pub mod oracle;
pub mod overlay;

pub use error::{CommitError, Limit, StoreError};
pub use oracle::Oracle;
pub use overlay::Overlay;

/// Longest key in bytes, without its table. Keys are ids (16 or 32 bytes), numbers and short names
/// put together; engines keep many keys in one index page, so a key must stay small beside it.
pub const KEY_BYTES_MAX: usize = 128;

/// Largest value in bytes. It equals the largest statement, and the embedded engine writes a page
/// of about twenty values in one piece: larger values would leave its synced file.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Most puts in one batch: about two thousand imported rows. A batch is checked and written while
/// every other writer waits, so it may not take longer than a fraction of a second.
pub const BATCH_PUTS_MAX: usize = 16_384;

/// Most expectations in one batch, one for each put.
pub const BATCH_EXPECTS_MAX: usize = BATCH_PUTS_MAX;

/// Most bytes of keys and values in one batch. An engine may write some five times as much to
/// its disk for it, which must fit into the space it keeps free.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most items of one scan: the answer is held in memory, so longer lists are read in pages.
pub const SCAN_ITEMS_MAX: usize = 4096;

/// Items that [`scan_all`] asks for at a time.
const SCAN_ALL_PAGE_ITEMS: usize = 256;

/// A kind of record. The numbers are on disk: they are never reused or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Facts about the store and the node itself, such as the owner.
    Meta = 1,
    /// Head, length and custody of each dossier.
    Head = 2,
    /// Statement bytes by statement id.
    Statement = 3,
    /// Statement id by dossier and sequence.
    Chain = 4,
    /// What lies beside a statement: receipts, inclusion, marks.
    Beside = 5,
    /// Lookups that can be rebuilt from the other tables.
    Index = 6,
    /// Encrypted personal data.
    Profile = 7,
    /// Known peers and what was agreed with them.
    Peer = 8,
    /// Messages that wait to be delivered.
    Outbox = 9,
    /// State of each custody transfer.
    Transfer = 10,
    /// Copied dossiers that wait for their seal.
    Staged = 11,
    /// Issued proofs.
    Proof = 12,
    /// Journal of acts.
    Journal = 13,
    /// Messages already answered, so that a repeat gets the same answer.
    Inbox = 14,
    /// Deliveries held for a person to decide.
    Held = 15,
    /// Encrypted notes of the register beside own records.
    Register = 16,
    /// The log of what this node signed, what waits for it, and the logs it witnesses.
    Log = 17,
    /// Adopted versions of the roster, in pieces, and its pin.
    Roster = 18,
}

impl Table {
    /// Every table in order of its number.
    pub const ALL: [Self; 18] = [
        Self::Meta,
        Self::Head,
        Self::Statement,
        Self::Chain,
        Self::Beside,
        Self::Index,
        Self::Profile,
        Self::Peer,
        Self::Outbox,
        Self::Transfer,
        Self::Staged,
        Self::Proof,
        Self::Journal,
        Self::Inbox,
        Self::Held,
        Self::Register,
        Self::Log,
        Self::Roster,
    ];

    /// The number of the table on disk.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The table with this number, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.number() == number)
    }

    /// The name of the table as errors and tools show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Head => "head",
            Self::Statement => "statement",
            Self::Chain => "chain",
            Self::Beside => "beside",
            Self::Index => "index",
            Self::Profile => "profile",
            Self::Peer => "peer",
            Self::Outbox => "outbox",
            Self::Transfer => "transfer",
            Self::Staged => "staged",
            Self::Proof => "proof",
            Self::Journal => "journal",
            Self::Inbox => "inbox",
            Self::Held => "held",
            Self::Register => "register",
            Self::Log => "log",
            Self::Roster => "roster",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The place of one record. Shown as the table and the first bytes of the key in hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The table.
    pub table: Table,
    /// The key within the table, at most [`KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
}

impl Key {
    /// Puts a table and a key together.
    pub fn new(table: Table, key: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES: usize = 16;
        let shown = &self.key[..self.key.len().min(SHOWN_BYTES)];
        write!(f, "{}/", self.table)?;
        for byte in shown {
            write!(f, "{byte:02x}")?;
        }
        if shown.len() < self.key.len() {
            f.write_str("…")?;
        }
        Ok(())
    }
}

/// What must hold before a batch is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// There is no record at this key.
    Absent(Key),
    /// The record at this key has exactly these bytes.
    Equals(Key, Vec<u8>),
    /// There is a record at this key.
    Present(Key),
}

impl Expect {
    /// The key that is looked at.
    pub fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::Equals(key, _) | Self::Present(key) => key,
        }
    }

    /// Whether the value found at the key satisfies the expectation.
    pub fn holds(&self, found: Option<&[u8]>) -> bool {
        match self {
            Self::Absent(_) => found.is_none(),
            Self::Equals(_, value) => found == Some(value.as_slice()),
            Self::Present(_) => found.is_some(),
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Self::Equals(_, value) => value.len(),
            Self::Absent(_) | Self::Present(_) => 0,
        }
    }
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// The record at this key now has these bytes.
    Set(Key, Vec<u8>),
    /// There is no record at this key any more; it may not have existed.
    Delete(Key),
}

impl Put {
    /// The key that is changed.
    pub fn key(&self) -> &Key {
        match self {
            Self::Set(key, _) | Self::Delete(key) => key,
        }
    }

    /// The bytes after the change, `None` for a deletion.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Set(_, value) => Some(value),
            Self::Delete(_) => None,
        }
    }
}

/// Expectations and changes that stand or fall together.
///
/// Every expectation is checked against the state before the batch, then the puts are made in
/// order: of two puts at one key the later counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What must hold.
    pub expect: Vec<Expect>,
    /// What changes.
    pub put: Vec<Put>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record or replaces it.
    pub fn set(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.put.push(Put::Set(Key::new(table, key), value.into()));
        self
    }

    /// Removes a record if it exists.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) -> &mut Self {
        self.put.push(Put::Delete(Key::new(table, key)));
        self
    }

    /// Demands that there is no record.
    pub fn expect_absent(&mut self, table: Table, key: impl Into<Vec<u8>>) -> &mut Self {
        self.expect.push(Expect::Absent(Key::new(table, key)));
        self
    }

    /// Demands that there is a record.
    pub fn expect_present(&mut self, table: Table, key: impl Into<Vec<u8>>) -> &mut Self {
        self.expect.push(Expect::Present(Key::new(table, key)));
        self
    }

    /// Demands that the record has exactly these bytes.
    pub fn expect_equals(
        &mut self,
        table: Table,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> &mut Self {
        let key = Key::new(table, key);
        self.expect.push(Expect::Equals(key, value.into()));
        self
    }

    /// Demands what was read: these bytes, or no record for `None`.
    pub fn expect_read(&mut self, table: Table, key: impl Into<Vec<u8>>, read: Option<&[u8]>) -> &mut Self {
        match read {
            Some(value) => self.expect_equals(table, key, value),
            None => self.expect_absent(table, key),
        }
    }

    /// Adds a record that must not exist yet.
    pub fn insert(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        let key = key.into();
        self.expect_absent(table, key.clone());
        self.set(table, key, value)
    }

    /// Takes over everything of another batch, after what is here.
    ///
    /// The expectations of both are checked against the state before either. A decision made on
    /// an [`Overlay`] of the first batch may expect what that batch puts; such expectations are
    /// dropped when they hold, and kept (so that the commit fails) when they do not.
    pub fn merge(&mut self, other: Self) -> &mut Self {
        for expect in other.expect {
            let mut own = self.put.iter().rev();
            let met = own.find(|put| put.key() == expect.key()).is_some_and(|put| expect.holds(put.value()));
            if !met {
                self.expect.push(expect);
            }
        }
        self.put.extend(other.put);
        self
    }

    /// Whether the batch neither expects nor changes anything.
    pub fn is_empty(&self) -> bool {
        self.expect.is_empty() && self.put.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        let expects = self.expect.iter().map(|e| e.key().key.len() + e.value_len());
        let puts = self.put.iter().map(|p| p.key().key.len() + p.value().map_or(0, <[u8]>::len));
        expects.chain(puts).sum()
    }

    /// Checks the limits of this module; engines call it before anything else.
    pub fn check_limits(&self) -> Result<(), StoreError> {
        within(Limit::Puts, self.put.len(), BATCH_PUTS_MAX)?;
        within(Limit::Expects, self.expect.len(), BATCH_EXPECTS_MAX)?;
        for expect in &self.expect {
            within(Limit::Key, expect.key().key.len(), KEY_BYTES_MAX)?;
            within(Limit::Value, expect.value_len(), VALUE_BYTES_MAX)?;
        }
        for put in &self.put {
            within(Limit::Key, put.key().key.len(), KEY_BYTES_MAX)?;
            let len = put.value().map_or(0, <[u8]>::len);
            within(Limit::Value, len, VALUE_BYTES_MAX)?;
        }
        within(Limit::Batch, self.bytes(), BATCH_BYTES_MAX)
    }

    /// The first expectation that does not hold in `read`, as the error to answer with.
    pub fn check_expects(&self, read: &(impl Read + ?Sized)) -> Result<(), CommitError> {
        for expect in &self.expect {
            let key = expect.key();
            let found = read.get(key.table, &key.key)?;
            if !expect.holds(found.as_deref()) {
                return Err(CommitError::Conflict { key: key.clone() });
            }
        }
        Ok(())
    }
}

/// A key and its value.
pub type Item = (Vec<u8>, Vec<u8>);

/// Reading one state of a store. An answer shows only what is durable.
pub trait Read {
    /// The bytes at a key, `None` when there is no record.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` (≤ [`SCAN_ITEMS_MAX`]) records whose key begins with `prefix`, ascending,
    /// strictly after the full key `after`.
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError>;

    /// The record with the greatest key that begins with `prefix`.
    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError>;
}

/// Every record of one state, however long the reading takes and whatever is written meanwhile.
pub trait Snapshot {
    /// At most `limit` (≤ [`SCAN_ITEMS_MAX`]) further records, in order of table and key; none when
    /// all were given.
    fn next(&mut self, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError>;
}

/// A store: reads, and batches that are written whole, durable, in one order for all.
pub trait Store: Read + Send + Sync {
    /// Checks every expectation and makes every put, or does nothing. Durable when `Ok`.
    fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// The durable state of this moment, for a backup; batches go on being written. An engine need
    /// not give one, and need not give two at a time.
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Err(StoreError::Engine("this engine gives no snapshot".to_owned()))
    }
}

/// Calls `each` for every record whose key begins with `prefix`, ascending, reading in pages.
///
/// The pages are read one after the other: a record written meanwhile may or may not be seen.
/// The caller's error type only needs to be made from [`StoreError`].
pub fn scan_all<E: From<StoreError>>(
    read: &(impl Read + ?Sized),
    table: Table,
    prefix: &[u8],
    mut each: impl FnMut(Vec<u8>, Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = read.scan(table, prefix, after.as_deref(), SCAN_ALL_PAGE_ITEMS)?;
        let full = page.len() == SCAN_ALL_PAGE_ITEMS;
        after = page.last().map(|(key, _)| key.clone());
        for (key, value) in page {
            each(key, value)?;
        }
        if !full {
            return Ok(());
        }
    }
}

/// Refuses a scan of more than [`SCAN_ITEMS_MAX`] items; engines call it first.
pub fn check_scan(limit: usize) -> Result<(), StoreError> {
    within(Limit::Scan, limit, SCAN_ITEMS_MAX)
}

fn within(limit: Limit, found: usize, max: usize) -> Result<(), StoreError> {
    if found > max {
        return Err(StoreError::Limit { limit, found, max });
    }
    Ok(())
}

/// The first key after all keys that begin with `prefix`; `None` when there is no such key.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests;
