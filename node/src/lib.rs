//! The daemon as a library: store, network, control API, legacy sheets.
//!
//! Loads state, calls the pure decisions of `yunling-protocol`, commits their batch, then releases
//! their effects.

pub mod api;
pub mod audit;
pub mod backup;
pub mod bench;
pub mod clock;
pub mod config;
pub mod erasures;
pub mod home;
pub mod log;
pub mod migrate;
pub mod net;
pub mod pages;
pub mod person;
pub mod qr;
pub mod repair;
pub mod run;
pub mod service;
pub mod sheet;
pub mod steward;
pub mod store;
pub mod vault;
