//! Maps with integer labels, written and read by hand: typed fields, and a refusal of what is left.

use std::collections::BTreeMap;

use super::{CborError, Value, int};

/// Builds a map with integer labels; optional fields are left out when absent.
#[derive(Debug, Default)]
pub struct MapBuilder(BTreeMap<Value, Value>);

impl MapBuilder {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `label`.
    pub fn put(mut self, label: i64, value: Value) -> Self {
        self.0.insert(int(label), value);
        self
    }

    /// Sets `label` when there is a value.
    pub fn put_opt(self, label: i64, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.put(label, value),
            None => self,
        }
    }

    /// The finished map.
    pub fn build(self) -> Value {
        Value::Map(self.0)
    }
}

/// Takes typed fields out of a map by integer label; [`Fields::finish`] refuses what is left.
///
/// The fields lie in a row in canonical order, and a body asks for its labels in the same order:
/// the next field asked for is nearly always the next one in the row.
#[derive(Debug)]
pub struct Fields {
    row: Vec<(Value, Option<Value>)>,
    next: usize,
}

impl Fields {
    /// Opens a map value.
    pub fn open(value: Value) -> Result<Self, CborError> {
        match value {
            Value::Map(map) => Ok(Self {
                row: map.into_iter().map(|(label, value)| (label, Some(value))).collect(),
                next: 0,
            }),
            _ => Err(CborError::Shape("a map is expected")),
        }
    }

    /// Takes `label` if present.
    pub fn opt(&mut self, label: i64) -> Option<Value> {
        let asked = int(label);
        if let Some((found, value)) = self.row.get_mut(self.next)
            && *found == asked
        {
            self.next += 1;
            return value.take();
        }
        let at = self.row.iter().position(|(found, _)| *found == asked)?;
        self.next = at + 1;
        self.row[at].1.take()
    }

    /// Takes `label`, which must be present.
    pub fn need(&mut self, label: i64) -> Result<Value, CborError> {
        self.opt(label).ok_or(CborError::Missing(label))
    }

    /// A text field of at most `cap` bytes.
    pub fn text(&mut self, label: i64, cap: usize) -> Result<String, CborError> {
        as_text(self.need(label)?, label, cap)
    }

    /// An optional text field of at most `cap` bytes.
    pub fn opt_text(&mut self, label: i64, cap: usize) -> Result<Option<String>, CborError> {
        self.opt(label).map(|v| as_text(v, label, cap)).transpose()
    }

    /// A non-negative integer.
    pub fn uint(&mut self, label: i64) -> Result<u64, CborError> {
        as_uint(&self.need(label)?, label)
    }

    /// An optional non-negative integer.
    pub fn opt_uint(&mut self, label: i64) -> Result<Option<u64>, CborError> {
        self.opt(label).map(|v| as_uint(&v, label)).transpose()
    }

    /// A signed integer.
    pub fn int(&mut self, label: i64) -> Result<i64, CborError> {
        as_int(&self.need(label)?, label)
    }

    /// An optional signed integer.
    pub fn opt_int(&mut self, label: i64) -> Result<Option<i64>, CborError> {
        self.opt(label).map(|v| as_int(&v, label)).transpose()
    }

    /// A byte string of exactly `N` bytes.
    pub fn array<const N: usize>(&mut self, label: i64) -> Result<[u8; N], CborError> {
        as_array(self.need(label)?, label)
    }

    /// An optional byte string of exactly `N` bytes.
    pub fn opt_array<const N: usize>(&mut self, label: i64) -> Result<Option<[u8; N]>, CborError> {
        self.opt(label).map(|v| as_array(v, label)).transpose()
    }

    /// A byte string of at most `cap` bytes.
    pub fn bytes(&mut self, label: i64, cap: usize) -> Result<Vec<u8>, CborError> {
        match self.need(label)? {
            Value::Bytes(bytes) if bytes.len() <= cap => Ok(bytes),
            _ => Err(CborError::WrongType(label)),
        }
    }

    /// An optional byte string of at most `cap` bytes.
    pub fn opt_bytes(&mut self, label: i64, cap: usize) -> Result<Option<Vec<u8>>, CborError> {
        match self.opt(label) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) if bytes.len() <= cap => Ok(Some(bytes)),
            Some(_) => Err(CborError::WrongType(label)),
        }
    }

    /// A flag that is written only when true.
    pub fn flag(&mut self, label: i64) -> Result<bool, CborError> {
        match self.opt(label) {
            None => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(_) => Err(CborError::WrongType(label)),
        }
    }

    /// An array of at most `cap` items; absent means empty.
    pub fn list(&mut self, label: i64, cap: usize) -> Result<Vec<Value>, CborError> {
        match self.opt(label) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= cap && !items.is_empty() => Ok(items),
            Some(_) => Err(CborError::WrongType(label)),
        }
    }

    /// Refuses fields that nobody took.
    pub fn finish(self) -> Result<(), CborError> {
        match self.row.into_iter().find(|(_, value)| value.is_some()) {
            None => Ok(()),
            Some((Value::Integer(n), _)) => Err(CborError::UnknownField(n.to_string())),
            Some(_) => Err(CborError::UnknownField("not an integer".to_owned())),
        }
    }
}

/// A text value of at most `cap` bytes.
pub fn as_text(value: Value, label: i64, cap: usize) -> Result<String, CborError> {
    match value {
        Value::Text(text) if text.len() <= cap => Ok(text),
        _ => Err(CborError::WrongType(label)),
    }
}

/// A non-negative integer value.
pub fn as_uint(value: &Value, label: i64) -> Result<u64, CborError> {
    match value {
        Value::Integer(n) => u64::try_from(*n).map_err(|_| CborError::WrongType(label)),
        _ => Err(CborError::WrongType(label)),
    }
}

/// A signed integer value.
pub fn as_int(value: &Value, label: i64) -> Result<i64, CborError> {
    match value {
        Value::Integer(n) => i64::try_from(*n).map_err(|_| CborError::WrongType(label)),
        _ => Err(CborError::WrongType(label)),
    }
}

/// A byte string value of exactly `N` bytes.
pub fn as_array<const N: usize>(value: Value, label: i64) -> Result<[u8; N], CborError> {
    match value {
        Value::Bytes(bytes) => bytes.try_into().map_err(|_| CborError::WrongType(label)),
        _ => Err(CborError::WrongType(label)),
    }
}
