//! A state as it will be after a batch, without writing it.
//!
//! A decision that builds on another one reads through an [`Overlay`] of the first one's batch,
//! and both are then committed as one. The overlay never changes what lies beneath it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Batch, Item, Put, Read, SCAN_ITEMS_MAX, StoreError, Table, check_scan};

/// The puts of a batch over another state.
#[derive(Debug)]
pub struct Overlay<'a, R: Read + ?Sized> {
    base: &'a R,
    puts: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
}

impl<'a, R: Read + ?Sized> Overlay<'a, R> {
    /// Shows `batch` over `base`. The expectations of the batch are not looked at.
    pub fn new(base: &'a R, batch: &Batch) -> Self {
        let mut overlay = Self { base, puts: BTreeMap::new() };
        overlay.add(batch);
        overlay
    }

    /// Shows one more batch over all that is here.
    pub fn add(&mut self, batch: &Batch) {
        for put in &batch.put {
            let (key, value) = match put {
                Put::Set(key, value) => (key, Some(value.clone())),
                Put::Delete(key) => (key, None),
            };
            self.puts.insert((key.table, key.key.clone()), value);
        }
    }

    /// The overlaid puts under a prefix, ascending.
    fn own(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.to_vec())),
            _ => Bound::Included((table, prefix.to_vec())),
        };
        let prefix = prefix.to_vec();
        self.puts
            .range((start, Bound::Unbounded))
            .take_while(move |((t, k), _)| *t == table && k.starts_with(&prefix))
            .map(|((_, k), v)| (k.as_slice(), v.as_deref()))
    }

    /// The greatest base record under a prefix that the overlay does not touch.
    fn last_untouched(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        let Some((key, value)) = self.base.last(table, prefix)? else {
            return Ok(None);
        };
        if !self.puts.contains_key(&(table, key.clone())) {
            return Ok(Some((key, value)));
        }
        // The last ones are touched; a state cannot be read backwards, so read it all in pages.
        let mut found = None;
        super::scan_all::<StoreError>(self.base, table, prefix, |key, value| {
            if !self.puts.contains_key(&(table, key.clone())) {
                found = Some((key, value));
            }
            Ok(())
        })?;
        Ok(found)
    }
}

impl<R: Read + ?Sized> Read for Overlay<'_, R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.puts.get(&(table, key.to_vec())) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(table, key),
        }
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        check_scan(limit)?;
        let mut found: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut from = after.map(<[u8]>::to_vec);
        // Each base record the overlay hides costs one more to read; a page at a time is enough.
        let page_items = limit.saturating_add(self.puts.len()).min(SCAN_ITEMS_MAX);
        while found.len() < limit {
            let page = self.base.scan(table, prefix, from.as_deref(), page_items)?;
            let full = page.len() == page_items;
            from = page.last().map(|(key, _)| key.clone());
            for (key, value) in page {
                if !self.puts.contains_key(&(table, key.clone())) {
                    found.insert(key, value);
                }
            }
            if !full {
                break;
            }
        }
        // Base records not read lie behind at least `limit` that were, so the cut below is right.
        for (key, value) in self.own(table, prefix, after) {
            if let Some(value) = value {
                found.insert(key.to_vec(), value.to_vec());
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<Item>, StoreError> {
        let base = self.last_untouched(table, prefix)?;
        let own =
            self.own(table, prefix, None).filter_map(|(k, v)| v.map(|v| (k.to_vec(), v.to_vec()))).last();
        Ok(match (base, own) {
            (Some(a), Some(b)) => Some(if a.0 >= b.0 { a } else { b }),
            (a, b) => a.or(b),
        })
    }
}
