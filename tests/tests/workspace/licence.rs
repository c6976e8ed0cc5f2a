//! SPDX licence expressions, as far as crates use them: names, `WITH`, `AND`, `OR`, parentheses and
//! the older `/` for a choice. In: an expression and the allowed names. Out: whether it can be
//! satisfied with allowed names alone. What cannot be read is not satisfied.

use std::collections::BTreeSet;

/// Whether the expression can be satisfied by `allowed` alone.
pub(crate) fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    reader.any() == Some(true) && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let here = self.words.first() == Some(&word);
        if here {
            self.words = &self.words[1..];
        }
        here
    }

    /// `a OR b`; AND binds tighter.
    fn any(&mut self) -> Option<bool> {
        let mut result = self.all()?;
        while self.take("OR") {
            result |= self.all()?;
        }
        Some(result)
    }

    fn all(&mut self) -> Option<bool> {
        let mut result = self.one()?;
        while self.take("AND") {
            result &= self.one()?;
        }
        Some(result)
    }

    fn one(&mut self) -> Option<bool> {
        let word = self.next()?;
        match word {
            "(" => {
                let inner = self.any()?;
                self.take(")").then_some(inner)
            }
            ")" | "OR" | "AND" | "WITH" => None,
            name => {
                let mut full = name.to_owned();
                if self.take("WITH") {
                    full = format!("{name} WITH {}", self.next()?);
                }
                Some(self.allowed.contains(&full))
            }
        }
    }
}

#[test]
fn expressions_are_satisfied_only_by_allowed_names() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0"].map(str::to_owned).into();
    let yes =
        ["MIT", "GPL-2.0 OR MIT", "MIT/GPL-2.0", "Apache-2.0 / MIT", "ISC AND (GPL-2.0 OR MIT)", "(MIT)"];
    let no = [
        "",
        "GPL-2.0",
        "MIT AND GPL-2.0",
        "GPL-2.0 OR MIT AND MPL-2.0",
        "MIT WITH some-exception",
        "(MIT",
        "MIT)",
        "MIT ISC",
        "OR MIT",
    ];
    for text in yes {
        assert!(satisfied(text, &allowed), "{text}");
    }
    for text in no {
        assert!(!satisfied(text, &allowed), "{text}");
    }
}
