//! Steps of a few writers whose traces show any that is lost or half there.
//!
//! The head of a writer names its next step; each step leaves two equal records under a number,
//! some large, and takes away those of fifty steps before.

use super::*;

/// Writers at one time.
pub(super) const WRITERS: u8 = 4;

/// Writes step after step until `told` says no; it is called with each step that was answered.
pub(super) fn write(store: &SledStore, writer: u8, told: impl Fn(u32) -> bool) {
    let head = store.get(Table::Head, &[writer]).unwrap();
    let mut next = head.as_deref().map_or(0, number);
    loop {
        store.commit(step(writer, next)).unwrap();
        if !told(next) {
            return;
        }
        next += 1;
    }
}

fn step(writer: u8, n: u32) -> Batch {
    let mut batch = Batch::new();
    let head = (n > 0).then(|| n.to_be_bytes());
    batch.expect_read(Table::Head, [writer], head.as_ref().map(<[u8; 4]>::as_slice));
    batch.set(Table::Head, [writer], (n + 1).to_be_bytes());
    for part in 0..2 {
        batch.insert(Table::Chain, chain_key(writer, n, part), value(writer, n));
        if n >= 50 {
            batch.delete(Table::Chain, chain_key(writer, n - 50, part));
        }
    }
    batch
}

/// Whether everything up to the `told` steps of a writer is there, and nothing by half.
pub(super) fn check(store: &SledStore, writer: u8, told: u32) -> Result<(), String> {
    let head = store.get(Table::Head, &[writer]).map_err(|e| e.to_string())?;
    let head = head.as_deref().map_or(0, number);
    if head < told {
        return Err(format!("writer {writer}: {head} steps of {told} are there"));
    }
    for part in 0..2 {
        let items = store.scan(Table::Chain, &[part, writer], None, 99).map_err(|e| e.to_string())?;
        let right: Vec<_> =
            (head.saturating_sub(50)..head).map(|n| (chain_key(writer, n, part), value(writer, n))).collect();
        if items != right {
            return Err(format!("writer {writer}: a step is torn"));
        }
    }
    Ok(())
}

fn chain_key(writer: u8, n: u32, part: u8) -> Vec<u8> {
    [&[part, writer], n.to_be_bytes().as_slice()].concat()
}

fn value(writer: u8, n: u32) -> Vec<u8> {
    let len = if n.is_multiple_of(17) { 60_000 } else { 700 };
    vec![writer ^ n as u8; len]
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// Ends other threads also when a check fails, so that the test fails instead of waiting.
pub(super) struct End<'a>(pub(super) &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
