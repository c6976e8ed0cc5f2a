//! Shapes of answers for people: tables, pairs and the words of values.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

use crate::output::{Output, printable};

/// A value as text; nothing for null.
pub(crate) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
        Some(other) => other.to_string(),
    }
}

/// A whole number; 0 when it is not there.
pub(crate) fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

/// Whether a flag is set.
pub(crate) fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// The list under `key`; empty when it is not there.
pub(crate) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Output {
    /// A table whose headers are `head-<name>` of the catalogue; `numbers` are set to the right.
    pub(crate) fn table(&self, headers: &[&str], numbers: &[&str], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(headers.iter().map(|name| self.words.word(&format!("head-{name}"))));
        for row in rows {
            table.add_row(row.iter().map(|cell| printable(cell)));
        }
        for (index, _) in headers.iter().enumerate().filter(|(_, name)| numbers.contains(name)) {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.line(table.trim_fmt().trim_end());
    }

    /// Lines `name: value`; the names are `head-<name>` of the catalogue, empty values stay out.
    pub(crate) fn pairs(&self, pairs: &[(&str, String)]) {
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            let name = self.words.word(&format!("head-{name}"));
            let fields = crate::words::fields([("name", name.as_str()), ("value", value)]);
            self.say("cli-pair", &fields);
        }
    }

    /// Custody as the API names it (`held:NODE`, `moved:NODE`) in words.
    pub(crate) fn custody(&self, value: &Value) -> String {
        let custody = text(value, "custody");
        let (state, node) = custody.split_once(':').unwrap_or((&custody, ""));
        let key = format!("word-custody-{state}");
        if !self.words.has(&key) {
            return custody.clone();
        }
        self.words.say(&key, &crate::words::fields([("node", node)]))
    }
}
