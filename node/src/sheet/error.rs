//! Why a sheet could not be read at all. A row that is wrong is no error: it is in the report.

use super::field::Field;

/// A sheet that cannot be judged; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Too large a file.
    #[error("the file has {bytes} bytes, at most {max} are read: split the sheet")]
    TooLarge {
        /// Bytes of the file.
        bytes: u64,
        /// Limit.
        max: u64,
    },
    /// The packed file would unfold to too much.
    #[error("the file unfolds to more than {max} bytes: save the sheet again without pictures, or split it")]
    Unfolds {
        /// Limit in bytes.
        max: u64,
    },
    /// Encrypted.
    #[error("the file is protected by a password: open it, save it without a password, import again")]
    Password,
    /// Something else with the name of a sheet.
    #[error("the file is no sheet but {found}: open it in a spreadsheet program and save it as .xlsx")]
    NotASheet {
        /// What it is.
        found: &'static str,
    },
    /// A damaged file.
    #[error("the file cannot be read as a sheet: {why}; open it in a spreadsheet program and save it again")]
    Unreadable {
        /// What the reader said.
        why: String,
    },
    /// A text file in no known encoding.
    #[error("the text is neither UTF-8 nor GB18030: save the sheet as .xlsx or as CSV UTF-8")]
    Encoding,
    /// No such worksheet.
    #[error("no worksheet `{wanted}`; the file has: {known}")]
    SheetUnknown {
        /// Name or number asked for.
        wanted: String,
        /// Names there are.
        known: String,
    },
    /// No row looks like a header.
    #[error("no header row in the first {rows} rows: name the columns with --map 列名=field")]
    HeaderMissing {
        /// Rows looked at.
        rows: u32,
    },
    /// The header row lacks columns.
    #[error("the header row {row} has no column for {missing}: rename it or use --map 列名=field")]
    ColumnsMissing {
        /// Row number of the header.
        row: u32,
        /// Chinese names of the missing columns.
        missing: String,
        /// The same as fields.
        fields: Vec<Field>,
    },
    /// `--map` names a column that the header row does not have.
    #[error("no column `{column}` in header row {row}")]
    MapColumn {
        /// Column named.
        column: String,
        /// Row number of the header.
        row: u32,
    },
    /// `--map` is no `列名=field`.
    #[error("`{given}` is not 列名=field; fields: {known}")]
    MapField {
        /// The argument.
        given: String,
        /// Fields there are.
        known: String,
    },
    /// More rows than are read.
    #[error("the sheet has more than {max} rows: split it")]
    TooManyRows {
        /// Limit.
        max: usize,
    },
    /// More columns than are read.
    #[error("row {row} has a value beyond column {max}: delete what is not part of the table")]
    TooManyColumns {
        /// Row number.
        row: u32,
        /// Limit.
        max: usize,
    },
    /// Values so far apart that the sheet between them is too large.
    #[error("the sheet spans more than {max} cells: delete what lies far from the table")]
    TooManyCells {
        /// Limit.
        max: u64,
    },
    /// A cell with more text than Excel itself allows.
    #[error("a cell of row {row} has {chars} characters, at most {max} are read")]
    CellTooLong {
        /// Row number.
        row: u32,
        /// Characters.
        chars: usize,
        /// Limit.
        max: usize,
    },
}

/// A file whose structure is broken.
pub(super) fn damaged() -> SheetError {
    SheetError::Unreadable { why: "the file is damaged".to_owned() }
}

impl SheetError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "sheet-io",
            Self::TooLarge { .. } => "sheet-too-large",
            Self::Unfolds { .. } => "sheet-unfolds",
            Self::Password => "sheet-password",
            Self::NotASheet { .. } => "sheet-not-a-sheet",
            Self::Unreadable { .. } => "sheet-unreadable",
            Self::Encoding => "sheet-encoding",
            Self::SheetUnknown { .. } => "sheet-unknown",
            Self::HeaderMissing { .. } => "sheet-header-missing",
            Self::ColumnsMissing { .. } => "sheet-columns-missing",
            Self::MapColumn { .. } => "sheet-map-column",
            Self::MapField { .. } => "sheet-map-field",
            Self::TooManyRows { .. } => "sheet-too-many-rows",
            Self::TooManyColumns { .. } => "sheet-too-many-columns",
            Self::TooManyCells { .. } => "sheet-too-many-cells",
            Self::CellTooLong { .. } => "sheet-cell-too-long",
        }
    }

    /// Values for the words of the catalogue.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Io { path, source } => vec![("path", path.clone()), ("cause", source.to_string())],
            Self::TooLarge { bytes, max } => vec![("bytes", bytes.to_string()), ("max", max.to_string())],
            Self::Unfolds { max } | Self::TooManyCells { max } => vec![("max", max.to_string())],
            Self::Password | Self::Encoding => vec![],
            Self::NotASheet { found } => vec![("found", (*found).to_owned())],
            Self::Unreadable { why } => vec![("cause", why.clone())],
            Self::SheetUnknown { wanted, known } => {
                vec![("wanted", wanted.clone()), ("known", known.clone())]
            }
            Self::HeaderMissing { rows } => vec![("rows", rows.to_string())],
            Self::ColumnsMissing { row, missing, .. } => {
                vec![("row", row.to_string()), ("missing", missing.clone())]
            }
            Self::MapColumn { column, row } => vec![("column", column.clone()), ("row", row.to_string())],
            Self::MapField { given, known } => vec![("given", given.clone()), ("known", known.clone())],
            Self::TooManyRows { max } => vec![("max", max.to_string())],
            Self::TooManyColumns { row, max } => vec![("row", row.to_string()), ("max", max.to_string())],
            Self::CellTooLong { row, chars, max } => {
                vec![("row", row.to_string()), ("chars", chars.to_string()), ("max", max.to_string())]
            }
        }
    }
}
