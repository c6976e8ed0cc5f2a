//! The time of one person already taken: answers in logarithmic time what a new service overlaps.

use std::collections::BTreeMap;

/// Disjoint pieces of time, each belonging to whoever took it first.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// Start of a piece to its end and owner.
    pieces: BTreeMap<i64, (i64, Owner)>,
}

/// Who took a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A record of the store.
    Store,
    /// A row of this sheet.
    Row(u32),
}

impl Spans {
    /// First owner of any second of `start..end`.
    pub(super) fn overlap(&self, start: i64, end: i64) -> Option<Owner> {
        let before = self.pieces.range(..=start).next_back().filter(|(_, (e, _))| *e > start);
        let inside = || self.pieces.range(start..end).next();
        before.or_else(inside).map(|(_, (_, owner))| *owner)
    }

    /// Takes what is still free of `start..end`. An item lies within one day, so the pieces walked
    /// over are those of one day at most.
    pub(super) fn take(&mut self, start: i64, end: i64, owner: Owner) {
        let mut from = match self.pieces.range(..=start).next_back() {
            Some((_, (e, _))) if *e > start => *e,
            _ => start,
        };
        let taken: Vec<(i64, i64)> =
            self.pieces.range(from..end.max(from)).map(|(s, (e, _))| (*s, *e)).collect();
        for (s, e) in taken {
            if from < s {
                self.pieces.insert(from, (s, owner));
            }
            from = e;
        }
        if from < end {
            self.pieces.insert(from, (end, owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn touching_is_not_overlapping() {
        let mut spans = Spans::default();
        spans.take(10, 20, Owner::Store);
        assert_eq!(spans.overlap(20, 30), None);
        assert_eq!(spans.overlap(0, 10), None);
        assert_eq!(spans.overlap(19, 30), Some(Owner::Store));
        assert_eq!(spans.overlap(0, 100), Some(Owner::Store));
    }

    proptest! {
        #[test]
        fn overlap_answers_as_comparing_with_each_would(spans in prop::collection::vec((0i64..60, 1i64..12), 1..40)) {
            let mut tree = Spans::default();
            let mut list: Vec<(i64, i64)> = vec![];
            for (start, length) in spans {
                let end = start + length;
                let plain = list.iter().any(|(s, e)| start < *e && *s < end);
                prop_assert_eq!(tree.overlap(start, end).is_some(), plain);
                tree.take(start, end, Owner::Row(0));
                list.push((start, end));
            }
            let mut reach = i64::MIN;
            for (s, (e, _)) in &tree.pieces {
                prop_assert!(*s >= reach && e > s);
                reach = *e;
            }
        }
    }
}
