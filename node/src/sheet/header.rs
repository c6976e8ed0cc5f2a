//! Finds the header row: which row names the columns, and which column is which field.
//!
//! Title rows may stand above it, and a header may span two rows whose upper cells are merged.

use std::collections::BTreeMap;

use super::duration::{UnitHint, unit_of};
use super::error::SheetError;
use super::field::{Field, REQUIRED};
use super::{Cell, Column, Options, Row, text};
use yunling_protocol::minutes::StatedUnit;

/// A header stands within the first rows; further down it would be another table.
const HEADER_ROWS_MAX: u32 = 40;
/// Fewer recognized columns than this are a coincidence.
const FIELDS_MIN: usize = 3;

/// A header row found.
#[derive(Debug)]
pub(super) struct Header {
    /// Row number of its last row.
    pub(super) row: u32,
    /// Texts of all columns.
    pub(super) texts: Vec<String>,
    /// Recognized columns.
    pub(super) columns: BTreeMap<Field, Column>,
}

/// The header of a sheet, or why there is none.
pub(super) fn find(rows: &[Row], options: &Options) -> Result<Header, SheetError> {
    let top = rows.iter().take_while(|row| row.number <= HEADER_ROWS_MAX).count();
    let mut best: Option<Header> = None;
    for i in 0..top {
        let single = recognize(rows[i].number, texts(&rows[i], None, options), options);
        let next = rows.get(i + 1).filter(|next| next.number == rows[i].number + 1);
        let double = next.map(|next| recognize(next.number, texts(&rows[i], Some(next), options), options));
        for candidate in [Some(single), double].into_iter().flatten() {
            let more = best.as_ref().is_none_or(|b| candidate.columns.len() > b.columns.len());
            if candidate.columns.len() >= FIELDS_MIN && more {
                best = Some(candidate);
            }
        }
    }
    let header = best.ok_or(SheetError::HeaderMissing { rows: HEADER_ROWS_MAX })?;
    complete(&header, options)?;
    Ok(header)
}

fn cell_text(row: &Row, index: usize) -> String {
    match row.cells.get(index) {
        Some(Cell::Text(text)) => text.trim_matches(text::is_blank).to_owned(),
        _ => String::new(),
    }
}

/// Header texts; in a header of two rows the lower text counts where it names something.
fn texts(upper: &Row, lower: Option<&Row>, options: &Options) -> Vec<String> {
    let width = upper.cells.len().max(lower.map_or(0, |row| row.cells.len()));
    let one = |i| {
        let above = cell_text(upper, i);
        let below = lower.map(|row| cell_text(row, i)).unwrap_or_default();
        let below_counts = field_of(&below, options).is_some();
        if below_counts || above.is_empty() { below } else { above }
    };
    (0..width).map(one).collect()
}

/// Field of a header text, the rank of its alias (by hand is best) and the unit it names.
fn field_of(header: &str, options: &Options) -> Option<(Field, usize, UnitHint)> {
    let compact = text::compact(header);
    let (base, unit) = split_unit(&compact);
    let by_hand = options.map.iter().find(|(column, _)| text::compact(column) == compact);
    if let Some((_, field)) = by_hand {
        return field.map(|field| (field, 0, unit));
    }
    let (field, rank) = Field::of_header(base, unit != UnitHint::None)?;
    let named_minutes = field == Field::Hours && unit == UnitHint::None && base.contains("分钟");
    Some((field, rank + 1, if named_minutes { UnitHint::Minutes } else { unit }))
}

/// Splits `服务时长(小时)`; what the brackets hold otherwise is a remark.
fn split_unit(compact: &str) -> (&str, UnitHint) {
    let Some((base, rest)) = compact.split_once(['(', '[', '【', '/']) else {
        return (compact, UnitHint::None);
    };
    let inner: String = rest.trim_end_matches([')', ']', '】']).trim_start_matches("单位").replace(':', "");
    let unit = match unit_of(&inner.to_lowercase()) {
        Some(StatedUnit::Hours) => UnitHint::Hours,
        Some(StatedUnit::Minutes) => UnitHint::Minutes,
        None => UnitHint::None,
    };
    if base.is_empty() { (compact, unit) } else { (base, unit) }
}

fn recognize(row: u32, texts: Vec<String>, options: &Options) -> Header {
    let mut columns: BTreeMap<Field, (usize, Column)> = BTreeMap::new();
    for (index, header) in texts.iter().enumerate() {
        let Some((field, rank, unit)) = field_of(header, options) else { continue };
        let column = Column { index, unit };
        let better = columns.get(&field).is_none_or(|(known, _)| rank < *known);
        if better {
            columns.insert(field, (rank, column));
        }
    }
    Header { row, texts, columns: columns.into_iter().map(|(field, (_, column))| (field, column)).collect() }
}

/// Refuses a header that lacks what a row cannot do without.
fn complete(header: &Header, options: &Options) -> Result<(), SheetError> {
    for (column, _) in &options.map {
        let wanted = text::compact(column);
        if !header.texts.iter().any(|t| text::compact(t) == wanted) {
            return Err(SheetError::MapColumn { column: column.clone(), row: header.row });
        }
    }
    let has = |field: Field| header.columns.contains_key(&field);
    let mut missing: Vec<Field> = REQUIRED.into_iter().filter(|field| !has(*field)).collect();
    if !has(Field::Start) && !has(Field::Date) {
        missing.push(Field::Start);
    }
    if !has(Field::Hours) && !has(Field::End) {
        missing.push(Field::Hours);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|field| field.header()).collect();
    Err(SheetError::ColumnsMissing { row: header.row, missing: names.join(" "), fields: missing })
}
