//! placeholder

pub mod net;
pub mod sheet;
pub mod store;
