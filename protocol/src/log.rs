//! The transparency log of a node (DESIGN §7): pure mathematics and formats, C2SP compatible, so
//! that existing tools can read, witness and audit it.
//!
//! [`entry`] is what stands in the log, [`merkle`] the tree over it, [`tile`] how both lie on a
//! disk, [`checkpoint`] the signed head in a [`note`], [`cosignature`] what a witness adds.

pub mod checkpoint;
pub mod cosignature;
pub mod entry;
pub mod merkle;
pub mod note;
pub mod rows;
pub mod tile;

pub use checkpoint::{Checkpoint, CheckpointError, Origin};
pub use entry::{Entry, EntryError};
pub use merkle::{Frontier, Hash, MerkleError};
pub use note::{Note, NoteError, NoteKey};
pub use tile::Tile;
