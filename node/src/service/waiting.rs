//! Messages that wait in the outbox, at rest. A release holds a person's data and the dossier's key, a
//! request the code of a slip: on the disk and in a backup they lie sealed under the profile key. The
//! service reads and writes them as they are sent; what is between it and the store is here.

use yunling_protocol::office::OutboxEntry;
use yunling_protocol::store::{Batch, Expect, Item, Key, Put, SCAN_ITEMS_MAX, StoreError, Table};

use super::{Node, Refusal};
use crate::vault::ProfileVault;

/// The batch as it is stored: waiting messages sealed, also where one is expected.
pub(super) fn at_rest(vault: &ProfileVault, mut batch: Batch) -> Batch {
    for put in &mut batch.put {
        if let Put::Set(key, value) = put
            && key.table == Table::Outbox
        {
            *value = vault.seal_waiting(&key.key, value);
        }
    }
    for expect in &mut batch.expect {
        if let Expect::Equals(key, value) = expect
            && key.table == Table::Outbox
        {
            *value = vault.seal_waiting(&key.key, value);
        }
    }
    batch
}

/// A stored value as it was written. One that is not sealed was written by an older version and is sealed
/// when the office opens; one that does not open is damage, and its reader says so.
pub(super) fn as_written(vault: &ProfileVault, table: Table, key: &[u8], value: Vec<u8>) -> Vec<u8> {
    if table == Table::Outbox { vault.unseal_waiting(key, &value).unwrap_or(value) } else { value }
}

impl Node {
    /// The rows that wait under a prefix, as they are stored: a look at their keys opens none of them.
    pub(super) fn waiting(&self, prefix: &[u8], limit: usize) -> Result<Vec<Item>, StoreError> {
        self.store.scan(Table::Outbox, prefix, None, limit)
    }

    /// The entry in a row of [`Node::waiting`].
    pub(super) fn entry_of(&self, key: &[u8], stored: Vec<u8>) -> Option<OutboxEntry> {
        OutboxEntry::decode(&as_written(&self.vault, Table::Outbox, key, stored)).ok()
    }
}

/// Seals what waits unsealed; before anything else of the office reads or writes.
pub(super) fn seal_all(node: &Node) -> Result<(), Refusal> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let items = node.store.scan(Table::Outbox, b"", after.as_deref(), SCAN_ITEMS_MAX)?;
        let Some((last, _)) = items.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, value) in items {
            // A sealed row is no entry: it begins with a version, not with a map.
            if OutboxEntry::decode(&value).is_ok() {
                seal_one(node, key, value)?;
            }
        }
    }
}

/// One by one: a message may be as large as a batch's share, and there are few.
fn seal_one(node: &Node, key: Vec<u8>, value: Vec<u8>) -> Result<(), Refusal> {
    let key = Key::new(Table::Outbox, key);
    let mut batch = Batch::default();
    batch.put.push(Put::Set(key, value));
    Ok(node.commit(batch)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use yunling_protocol::day::UnixTime;
    use yunling_protocol::store::Read as _;

    use super::*;
    use crate::home::Home;

    #[test]
    fn what_waits_lies_sealed_is_read_as_written_and_can_be_expected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kunming");
        Home::init(&path, "kunming", "530100", true).unwrap();
        let open = || Node::open(Home::open(&path).unwrap()).unwrap();
        let key = |name: &[u8]| Key::new(Table::Outbox, name);
        let set = |name: &[u8], value: &[u8]| {
            let mut batch = Batch::default();
            batch.put.push(Put::Set(key(name), value.to_vec()));
            batch
        };
        let entry = OutboxEntry { created: UnixTime(1), message: b"person".to_vec() }.encode();
        let node = open();
        node.commit(set(b"dali", &entry)).unwrap();
        // As an older version left it, and one that nobody can open.
        node.store.commit(set(b"yuxi", &entry)).unwrap();
        node.store.commit(set(b"zhaotong", &[1; 60])).unwrap();
        drop(node);

        let node = open();
        for name in [&b"dali"[..], b"yuxi"] {
            assert_eq!(node.get(Table::Outbox, name).unwrap().unwrap(), entry);
            let stored = node.store.get(Table::Outbox, name).unwrap().unwrap();
            assert!(!stored.windows(6).any(|w| w == b"person"), "sealed on the disk");
        }
        let damaged = node.store.get(Table::Outbox, b"zhaotong").unwrap().unwrap();
        assert_eq!(damaged, [1; 60], "what does not open is left as it is");
        let all = node.scan(Table::Outbox, b"", None, 2).unwrap();
        assert_eq!(all, [(b"dali".to_vec(), entry.clone()), (b"yuxi".to_vec(), entry.clone())]);
        assert_eq!(node.last(Table::Outbox, b"yuxi").unwrap().unwrap().1, entry);
        let mut change = set(b"dali", b"another");
        change.expect.push(Expect::Equals(key(b"dali"), entry));
        node.commit(change.clone()).unwrap();
        assert_eq!(node.commit(change).unwrap_err().code(), "store-conflict");
        assert_eq!(node.get(Table::Outbox, b"dali").unwrap().unwrap(), b"another");
    }
}
