//! End to end: real `yunling` processes, real files, real connections on loopback. Each test makes
//! its own offices; nothing is shared but the binary.

#[path = "e2e/backups.rs"]
mod backups;
#[path = "e2e/c2sp.rs"]
mod c2sp;
#[path = "e2e/courier.rs"]
mod courier;
#[path = "e2e/cuts.rs"]
mod cuts;
#[path = "e2e/demo.rs"]
mod demo;
#[path = "e2e/doctor.rs"]
mod doctor;
#[path = "e2e/exposed.rs"]
mod exposed;
#[path = "e2e/gossip.rs"]
mod gossip;
#[path = "e2e/imports.rs"]
mod imports;
#[path = "e2e/keys.rs"]
mod keys;
#[path = "e2e/kills.rs"]
mod kills;
#[path = "e2e/log.rs"]
mod log;
#[path = "e2e/moves.rs"]
mod moves;
#[path = "e2e/refusals.rs"]
mod refusals;
#[path = "e2e/repairing.rs"]
mod repairing;
#[path = "e2e/restoring.rs"]
mod restoring;
#[path = "e2e/roster.rs"]
mod roster;
#[path = "e2e/soak.rs"]
mod soak;
#[path = "e2e/static_log.rs"]
mod static_log;
#[path = "e2e/status.rs"]
mod status;
#[path = "e2e/takeover.rs"]
mod takeover;
