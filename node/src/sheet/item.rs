//! What makes two rows the same service: organization, activity, start and end of one person.

use yunling_protocol::day::UnixTime;

/// Identity of a service within one person. The node derives the statement's `item` from its
/// canonical bytes, so a second import of the same row is recognized for ever; the bytes of a given
/// row must never change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// Name of the organizing unit, without blanks at its ends.
    pub organization: String,
    /// Name of the activity, without blanks at its ends.
    pub activity: String,
    /// First second; first second of the day when the source names a day only.
    pub start: UnixTime,
    /// First second after; `None` when the source names none.
    pub end: Option<UnixTime>,
}

impl ItemKey {
    /// Unambiguous bytes: a version, then each text with its length, then the times.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        for text in [&self.organization, &self.activity] {
            bytes.extend((text.len() as u64).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(self.start.0.to_be_bytes());
        match self.end {
            Some(end) => {
                bytes.push(1);
                bytes.extend(end.0.to_be_bytes());
            }
            None => bytes.push(0),
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_texts_do_not_run_into_each_other() {
        let key = |organization: &str, activity: &str| ItemKey {
            organization: organization.into(),
            activity: activity.into(),
            start: UnixTime(0),
            end: None,
        };
        assert_ne!(key("ab", "c").canonical_bytes(), key("a", "bc").canonical_bytes());
        assert_ne!(
            ItemKey { end: Some(UnixTime(0)), ..key("a", "b") }.canonical_bytes(),
            key("a", "b").canonical_bytes()
        );
        assert_eq!(key("", "").canonical_bytes()[0], 1, "golden: the version");
    }
}
