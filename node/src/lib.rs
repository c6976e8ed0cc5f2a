//! placeholder

pub mod net;
pub mod store;
