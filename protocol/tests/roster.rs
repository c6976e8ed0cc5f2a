//! The roster as a specification: which version is adopted, what each refusal is called, and whose key
//! counted when. All keys come from fixed seeds; no real office is named.

#![allow(clippy::unwrap_used)]

#[path = "roster/effects.rs"]
mod effects;
#[path = "roster/history.rs"]
mod history;
#[path = "roster/judging.rs"]
mod judging;
#[path = "roster/thresholds.rs"]
mod thresholds;
#[path = "roster/witnesses.rs"]
mod witnesses;
#[path = "roster/world.rs"]
mod world;
