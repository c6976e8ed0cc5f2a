//! The transparency log of a node (DESIGN §7): pure mathematics and formats, C2SP compatible, so
//! that existing tools can read, witness and audit it.
//!
//! [`entry`] is what stands in the log and [`life`] what opens it, [`merkle`] the tree over it,
//! [`tile`] how both lie on a disk. [`checkpoint`] is the signed head in a [`note`], [`cosignature`]
//! what a [`witness`] adds after its decision, [`policy`] how many of those are enough. [`tlog_proof`]
//! is a proof for the tools of others, [`evidence`] what exposes a node, [`audit`] the replay of a
//! whole log. Receipts in proofs are in [`proof::receipt`](crate::proof::receipt).

pub mod audit;
pub mod checkpoint;
pub mod cosignature;
pub mod entry;
pub mod evidence;
pub mod keep;
pub mod life;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod rows;
pub mod tile;
pub mod tlog_proof;
pub mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, Origin};
pub use entry::{Entry, EntryError};
pub use merkle::{Frontier, Hash, MerkleError};
pub use note::{Note, NoteError, NoteKey};
pub use policy::{Quorum, Witnessed};
pub use tile::Tile;
