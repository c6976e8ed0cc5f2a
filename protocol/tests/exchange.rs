//! The exchange between offices, driven through the production decisions on stores in memory.
//!
//! A [`world::World`] holds a few offices, each with its own store, keys and outbox; a wire takes
//! what stands in the outboxes to the receiver and brings the answer back, faithfully or with
//! seeded faults. After every step the same invariants are checked: one custodian at most, one
//! history that only grows, every minute counted once.

#![allow(clippy::unwrap_used)]

#[path = "exchange/away.rs"]
mod away;
#[path = "exchange/cancel.rs"]
mod cancel;
#[path = "exchange/changes.rs"]
mod changes;
#[path = "exchange/chaos.rs"]
mod chaos;
#[path = "exchange/codes.rs"]
mod codes;
#[path = "exchange/copy.rs"]
mod copy;
#[path = "exchange/disputes.rs"]
mod disputes;
#[path = "exchange/forged.rs"]
mod forged;
#[path = "exchange/hostile.rs"]
mod hostile;
#[path = "exchange/leaving.rs"]
mod leaving;
#[path = "exchange/logs.rs"]
mod logs;
#[path = "exchange/moving.rs"]
mod moving;
#[path = "exchange/proofs.rs"]
mod proofs;
#[path = "exchange/restoring.rs"]
mod restoring;
#[path = "exchange/samples.rs"]
mod samples;
#[path = "exchange/sums.rs"]
mod sums;
#[path = "exchange/takeover.rs"]
mod takeover;
#[path = "exchange/wire.rs"]
mod wire;
#[path = "exchange/witnessed.rs"]
mod witnessed;
#[path = "exchange/witnesses.rs"]
mod witnesses;
#[path = "exchange/world.rs"]
mod world;
