//! Seeded simulation of many nodes over the production decisions of yunling-protocol.
//!
//! A seed draws a world: two to four offices, the faults of the wire, disks and clocks, and what
//! operators do. After every event the invariants are looked at; then the faults stop and
//! everything must end. The same seed gives the same run, byte for byte. Deliberate defects
//! ([`mutants`]) show that the invariants find what they are for.

pub mod calm;
pub mod checking;
pub mod decide;
pub mod dice;
pub mod disk;
pub mod faults;
pub mod invariants;
pub mod liar;
mod logs;
pub mod model;
pub mod mutants;
pub mod node;
pub mod restore;
pub mod run;
pub mod samples;
pub mod wire;
pub mod work;
pub mod workload;
pub mod world;
