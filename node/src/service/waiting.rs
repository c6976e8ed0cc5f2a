//! Messages that wait in the outbox, at rest. A release holds a person's data and the dossier's key, a
//! request the code of a slip: on the disk and in a backup they lie sealed under the profile key. The
//! service reads and writes them as they are sent; what is between it and the store is here.

use yunling_protocol::store::{Batch, Expect, Key, Put, SCAN_ITEMS_MAX, Table};

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

/// A stored value as it was written. One that is not sealed was written by an older version or by a
/// repair, and is sealed when the office opens; one that does not open is damage, and its reader says so.
pub(super) fn as_written(vault: &ProfileVault, table: Table, key: &[u8], value: Vec<u8>) -> Vec<u8> {
    if table == Table::Outbox { vault.unseal_waiting(key, &value).unwrap_or(value) } else { value }
}

/// Seals what waits unsealed; before anything else of the office reads or writes.
pub(super) fn seal_all(node: &Node) -> Result<(), Refusal> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let items = node.store.scan(Table::Outbox, b"", after.as_deref(), SCAN_ITEMS_MAX)?;
        let Some((last, _)) = items.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, value) in items {
            if node.vault.unseal_waiting(&key, &value).is_none() {
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
        let node = open();
        node.commit(set(b"dali", b"person")).unwrap();
        // As an older version left it.
        node.store.commit(set(b"yuxi", b"person")).unwrap();
        drop(node);

        let node = open();
        for name in [&b"dali"[..], b"yuxi"] {
            assert_eq!(node.get(Table::Outbox, name).unwrap().unwrap(), b"person");
            let stored = node.store.get(Table::Outbox, name).unwrap().unwrap();
            assert!(!stored.windows(6).any(|w| w == b"person"), "sealed on the disk");
        }
        let all = node.scan(Table::Outbox, b"", None, 10).unwrap();
        assert_eq!(all, [(b"dali".to_vec(), b"person".to_vec()), (b"yuxi".to_vec(), b"person".to_vec())]);
        assert_eq!(node.last(Table::Outbox, b"").unwrap().unwrap().1, b"person");
        let mut change = set(b"dali", b"another");
        change.expect.push(Expect::Equals(key(b"dali"), b"person".to_vec()));
        node.commit(change.clone()).unwrap();
        assert_eq!(node.commit(change).unwrap_err().code(), "store-conflict");
        assert_eq!(node.get(Table::Outbox, b"dali").unwrap().unwrap(), b"another");
    }
}
