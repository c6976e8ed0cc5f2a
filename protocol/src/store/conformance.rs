//! The suite every engine must pass, and a comparer that plays random batches against the oracle.
//!
//! A [`Harness`] makes empty stores and reopens them; each check answers `Ok` or says in words
//! what was wrong and, for the random one, the seed that shows it again. Nothing here knows how an
//! engine keeps its bytes.

use super::{
    BATCH_BYTES_MAX, BATCH_PUTS_MAX, Batch, CommitError, Item, KEY_BYTES_MAX, Key, Oracle, Overlay, Read,
    SCAN_ITEMS_MAX, Store, StoreError, Table, VALUE_BYTES_MAX,
};

/// Makes stores of one engine.
pub trait Harness {
    /// A new store without any record.
    fn fresh(&mut self) -> Box<dyn Store>;

    /// Closes the store and opens it again from what it left.
    fn reopen(&mut self, store: Box<dyn Store>) -> Box<dyn Store>;

    /// The records that a new store of this engine already holds, such as its owner.
    fn initial(&self) -> Batch {
        Batch::new()
    }
}

/// What was wrong, in words.
pub type Failure = String;

type Check = fn(&mut dyn Harness) -> Result<(), Failure>;

const CHECKS: [(&str, Check); 7] = [
    ("a put is read back, also after reopening", put_is_read_back),
    ("a batch is written whole or not at all", whole_or_not_at_all),
    ("every expectation is checked before any put", expects_first),
    ("scans ascend, page and stay in their prefix", scans),
    ("the last record of a prefix is found", last_of_prefix),
    ("limits are kept and refused beyond", limits),
    ("tables are apart", tables_apart),
];

/// Runs every fixed check.
pub fn check(harness: &mut dyn Harness) -> Result<(), Failure> {
    for (sentence, check) in CHECKS {
        check(harness).map_err(|why| format!("{sentence}: {why}"))?;
    }
    Ok(())
}

/// Plays `steps` random batches and reads on the engine and on the oracle; both must answer alike.
pub fn compare(harness: &mut dyn Harness, seed: u64, steps: usize) -> Result<(), Failure> {
    let oracle = Oracle::new();
    ok(oracle.commit(harness.initial()))?;
    let mut store = harness.fresh();
    let mut dice = Dice(seed);
    for step in 0..steps {
        let wrong = |why: Failure| format!("seed {seed}, step {step}: {why}");
        let batch = random_batch(&mut dice, &oracle).map_err(|e| wrong(e.to_string()))?;
        same_overlay(&*store, &oracle, &batch, &mut dice).map_err(wrong)?;
        let told = store.commit(batch.clone());
        let right = oracle.commit(batch);
        if told != right {
            return Err(wrong(format!("commit gave {told:?}, not {right:?}")));
        }
        same_reads(&*store, &oracle, &mut dice).map_err(wrong)?;
        if dice.below(40) == 0 {
            store = harness.reopen(store);
        }
    }
    store = harness.reopen(store);
    same_state(&*store, &oracle).map_err(|why| format!("seed {seed}, at the end: {why}"))
}

/// Whether a store holds exactly the records of the oracle.
pub fn same_state(store: &dyn Store, oracle: &Oracle) -> Result<(), Failure> {
    let mut found = Vec::new();
    for table in Table::ALL {
        super::scan_all::<StoreError>(store, table, &[], |key, value| {
            found.push((Key::new(table, key), value));
            Ok(())
        })
        .map_err(|e| e.to_string())?;
    }
    let right = oracle.dump();
    ensure(found == right, || format!("{} records, not the {} right ones", found.len(), right.len()))
}

/// A small generator of numbers: SplitMix64, so that a seed is enough to play a run again.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next_u64().checked_rem(n).unwrap_or(0)
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next_u64() as u8).collect()
    }
}

fn random_table(dice: &mut Dice) -> Table {
    [Table::Meta, Table::Chain, Table::Held][dice.below(3) as usize]
}

// A small alphabet, with the edge 0xFF, so that keys repeat and prefix each other.
fn random_key(dice: &mut Dice) -> Vec<u8> {
    let len = dice.below(4) as usize;
    (0..len).map(|_| [0, 1, 2, 0xFE, 0xFF][dice.below(5) as usize]).collect()
}

fn random_value(dice: &mut Dice) -> Vec<u8> {
    let len = match dice.below(40) {
        0 => VALUE_BYTES_MAX,
        1..=4 => 5000,
        _ => dice.below(50) as usize,
    };
    dice.bytes(len)
}

fn random_batch(dice: &mut Dice, oracle: &Oracle) -> Result<Batch, StoreError> {
    let mut batch = Batch::new();
    for _ in 0..dice.below(3) {
        let (table, key) = (random_table(dice), random_key(dice));
        let now = oracle.get(table, &key)?;
        match dice.below(12) {
            0 => batch.expect_absent(table, key),
            1 => batch.expect_present(table, key),
            2 => batch.expect_equals(table, key, random_value(dice)),
            _ => batch.expect_read(table, key, now.as_deref()),
        };
    }
    for _ in 0..dice.below(8) {
        let (table, key) = (random_table(dice), random_key(dice));
        if dice.below(3) == 0 {
            batch.delete(table, key);
        } else {
            batch.set(table, key, random_value(dice));
        }
    }
    Ok(batch)
}

fn same_reads(store: &dyn Read, right: &dyn Read, dice: &mut Dice) -> Result<(), Failure> {
    let (table, key) = (random_table(dice), random_key(dice));
    let (a, b) = (store.get(table, &key), right.get(table, &key));
    ensure(a == b, || format!("get {table} {key:?} differs"))?;
    let prefix = random_key(dice);
    let (a, b) = (store.last(table, &prefix), right.last(table, &prefix));
    ensure(a == b, || format!("last {table} {prefix:?} differs"))?;
    let after = (dice.below(2) == 0).then(|| random_key(dice));
    let after = after.as_deref();
    let limit = dice.below(9) as usize;
    let a = store.scan(table, &prefix, after, limit);
    let b = right.scan(table, &prefix, after, limit);
    ensure(a == b, || format!("scan {table} {prefix:?} after {after:?} limit {limit} differs"))
}

fn same_overlay(store: &dyn Store, oracle: &Oracle, batch: &Batch, dice: &mut Dice) -> Result<(), Failure> {
    let written = oracle.clone();
    let puts = Batch { expect: Vec::new(), put: batch.put.clone() };
    written.commit(puts).map_err(|e| e.to_string())?;
    let overlay = Overlay::new(store, batch);
    same_reads(&overlay, &written, dice).map_err(|why| format!("overlay: {why}"))
}

fn put_is_read_back(harness: &mut dyn Harness) -> Result<(), Failure> {
    let mut store = harness.fresh();
    let mut batch = Batch::new();
    batch.set(Table::Meta, "a", "1").set(Table::Meta, "", "");
    batch.set(Table::Held, "a", "first");
    batch.set(Table::Held, "a", "second");
    batch.set(Table::Peer, "gone", "x").delete(Table::Peer, "gone");
    ok(store.commit(batch))?;
    for round in ["before", "after"] {
        let state = [
            (Table::Meta, "a", Some("1")),
            (Table::Meta, "", Some("")),
            (Table::Meta, "b", None),
            (Table::Held, "a", Some("second")),
            (Table::Peer, "gone", None),
        ];
        for (table, key, value) in state {
            let found = ok(store.get(table, key.as_bytes()))?;
            ensure(found.as_deref() == value.map(str::as_bytes), || {
                format!("{table} {key:?} is {found:?} {round} reopening")
            })?;
        }
        store = harness.reopen(store);
    }
    ok(store.commit(Batch::new()))
}

fn whole_or_not_at_all(harness: &mut dyn Harness) -> Result<(), Failure> {
    let store = harness.fresh();
    let mut batch = Batch::new();
    batch.set(Table::Head, "a", "1");
    batch.expect_present(Table::Head, "missing");
    let told = store.commit(batch);
    ensure(matches!(&told, Err(CommitError::Conflict { key }) if key.key == b"missing"), || {
        format!("a broken expectation gave {told:?}")
    })?;
    let store = harness.reopen(store);
    let found = ok(store.get(Table::Head, b"a"))?;
    ensure(found.is_none(), || "a refused batch left a record".into())
}

fn expects_first(harness: &mut dyn Harness) -> Result<(), Failure> {
    let store = harness.fresh();
    let mut batch = Batch::new();
    batch.insert(Table::Head, "a", "1");
    ok(store.commit(batch.clone()))?;
    let again = store.commit(batch);
    ensure(again.is_err(), || "a second insert was accepted".into())?;
    let mut swap = Batch::new();
    swap.expect_equals(Table::Head, "a", "1");
    swap.set(Table::Head, "a", "2");
    ok(store.commit(swap.clone()))?;
    let again = store.commit(swap);
    ensure(again.is_err(), || "a stale value was accepted".into())?;
    let mut only = Batch::new();
    only.expect_present(Table::Head, "a");
    only.expect_absent(Table::Head, "b");
    ok(store.commit(only))
}

fn scans(harness: &mut dyn Harness) -> Result<(), Failure> {
    let store = harness.fresh();
    let mut batch = Batch::new();
    for n in 0..300_u16 {
        batch.set(Table::Chain, [b"p".as_slice(), &n.to_be_bytes()].concat(), "v");
    }
    batch.set(Table::Chain, "o", "before").set(Table::Chain, "q", "behind");
    ok(store.commit(batch))?;
    let mut seen = 0_u16;
    ok(super::scan_all::<StoreError>(&*store, Table::Chain, b"p", |key, _| {
        if key == [b"p".as_slice(), &seen.to_be_bytes()].concat() {
            seen += 1;
        }
        Ok(())
    }))?;
    ensure(seen == 300, || format!("paging saw {seen} of 300 in order"))?;
    let keys = |items: Vec<Item>| items.into_iter().map(|(k, _)| k).collect::<Vec<_>>();
    let behind = keys(ok(store.scan(Table::Chain, b"", Some(b"p\xFF"), 9))?);
    ensure(behind == [b"q".to_vec()], || format!("after a gap: {behind:?}"))?;
    let early = keys(ok(store.scan(Table::Chain, b"p", Some(b"a"), 1))?);
    ensure(early == [b"p\x00\x00".to_vec()], || format!("after below the prefix: {early:?}"))?;
    let none = ok(store.scan(Table::Chain, b"p", Some(b"q"), 9))?;
    ensure(none.is_empty(), || "after behind the prefix gave records".into())?;
    let none = ok(store.scan(Table::Chain, b"", None, 0))?;
    ensure(none.is_empty(), || "limit 0 gave records".into())
}

fn last_of_prefix(harness: &mut dyn Harness) -> Result<(), Failure> {
    let store = harness.fresh();
    let mut batch = Batch::new();
    batch.set(Table::Chain, [1, 1], "a").set(Table::Chain, [1, 0xFF, 0xFF], "b");
    batch.set(Table::Chain, [0xFF, 0xFF], "c").set(Table::Beside, [1], "d");
    ok(store.commit(batch))?;
    let cases: [(&[u8], Option<&str>); 5] =
        [(&[], Some("c")), (&[1], Some("b")), (&[1, 1], Some("a")), (&[0xFF], Some("c")), (&[2], None)];
    for (prefix, value) in cases {
        let found = ok(store.last(Table::Chain, prefix))?.map(|(_, v)| v);
        ensure(found.as_deref() == value.map(str::as_bytes), || format!("last of {prefix:?} is {found:?}"))?;
    }
    Ok(())
}

fn limits(harness: &mut dyn Harness) -> Result<(), Failure> {
    let store = harness.fresh();
    let key = [7; KEY_BYTES_MAX];
    let mut batch = Batch::new();
    for n in 0..=20 {
        batch.set(Table::Meta, [key[1..].to_vec(), vec![n]].concat(), vec![n; VALUE_BYTES_MAX]);
    }
    ok(store.commit(batch))?;
    let store = harness.reopen(store);
    let found = ok(store.get(Table::Meta, &key))?;
    ensure(found == Some(vec![7; VALUE_BYTES_MAX]), || "the largest value is lost".into())?;
    let one = |key: &[u8], len: usize| {
        let mut batch = Batch::new();
        batch.set(Table::Meta, key, vec![0; len]);
        batch
    };
    let mut many = Batch::new();
    for n in 0..=BATCH_PUTS_MAX as u64 {
        many.set(Table::Meta, n.to_be_bytes(), "");
    }
    let mut heavy = Batch::new();
    for n in 0..=(BATCH_BYTES_MAX / VALUE_BYTES_MAX) as u64 {
        heavy.set(Table::Meta, n.to_be_bytes(), vec![0; VALUE_BYTES_MAX]);
    }
    let refused = [
        ("key", one(&[0; KEY_BYTES_MAX + 1], 0)),
        ("value", one(b"v", VALUE_BYTES_MAX + 1)),
        ("puts", many),
        ("bytes", heavy),
    ];
    for (name, batch) in refused {
        let told = store.commit(batch);
        ensure(matches!(told, Err(CommitError::Limit { .. })), || format!("too many {name} gave {told:?}"))?;
    }
    let told = store.scan(Table::Meta, b"", None, SCAN_ITEMS_MAX + 1);
    ensure(matches!(told, Err(StoreError::Limit { .. })), || "a boundless scan was made".into())
}

fn tables_apart(harness: &mut dyn Harness) -> Result<(), Failure> {
    let store = harness.fresh();
    let before = ok(store.scan(Table::Meta, b"", None, 9))?.len();
    let mut batch = Batch::new();
    for table in Table::ALL {
        batch.set(table, [0xFF; 3], [table.number()]);
    }
    ok(store.commit(batch))?;
    for table in Table::ALL {
        let items = ok(store.scan(table, &[0xFF], None, 9))?;
        let right = vec![(vec![0xFF; 3], vec![table.number()])];
        ensure(items == right, || format!("{table} holds {} records", items.len()))?;
        let last = ok(store.last(table, &[]))?;
        ensure(last.as_ref() == right.first(), || format!("last of {table} is another"))?;
    }
    let after = ok(store.scan(Table::Meta, b"", None, 9))?.len();
    ensure(after == before + 1, || "meta holds records of others".into())
}

fn ok<T, E: std::error::Error>(result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|e| e.to_string())
}

fn ensure(holds: bool, why: impl FnOnce() -> Failure) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(why()) }
}
