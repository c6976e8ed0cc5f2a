//! Cells merged downwards: an activity, its place, unit or time written once for several volunteers
//! holds for each of their rows.
//!
//! Names, identity numbers, durations and remarks are never carried down: a duration merged over
//! three people could be one sum.

use std::collections::BTreeMap;

use calamine::Dimensions;

use super::error::SheetError;
use super::field::Field;
use super::{Cell, Column, Row};

/// Most rows visited for all merged regions together; far beyond any sheet that people merge by hand.
const VISITS_MAX: u64 = 8_000_000;

/// Gives the rows of each merged region the value of its top cell.
pub(super) fn fill(
    rows: &mut [Row],
    regions: &[Dimensions],
    columns: &BTreeMap<Field, Column>,
) -> Result<(), SheetError> {
    let own = [Field::Name, Field::Id, Field::Hours, Field::Remark];
    let carried: Vec<usize> =
        columns.iter().filter(|(field, _)| !own.contains(field)).map(|(_, column)| column.index).collect();
    let mut visits = 0u64;
    for region in regions {
        let column = region.start.1 as usize;
        let (top, bottom) = (region.start.0.saturating_add(1), region.end.0.saturating_add(1));
        if !carried.contains(&column) || bottom <= top {
            continue;
        }
        let Ok(first) = rows.binary_search_by_key(&top, |row| row.number) else { continue };
        let Some(value) = rows[first].cells.get(column).filter(|cell| !cell.is_blank()).cloned() else {
            continue;
        };
        for row in rows[first + 1..].iter_mut().take_while(|row| row.number <= bottom) {
            visits += 1;
            if row.cells.len() <= column {
                row.cells.resize(column + 1, Cell::Empty);
            }
            if row.cells[column].is_blank() {
                row.cells[column] = value.clone();
            }
        }
        if visits > VISITS_MAX {
            return Err(SheetError::TooManyCells { max: VISITS_MAX });
        }
    }
    Ok(())
}
