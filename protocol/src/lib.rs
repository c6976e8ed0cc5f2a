//! What nodes agree on: statements, dossiers, custody, proofs.
//!
//! Everything here is a pure function of its arguments: no clock, no randomness, no disk, no
//! network, no async. `now` and fresh random bytes come in; new statements, a store batch and
//! messages come out. The node and the simulator run the same functions.

pub mod base45;
pub mod bundle;
pub mod card;
pub mod cbor;
pub mod citizen_id;
pub mod cose;
pub mod courier;
pub mod custody;
pub mod day;
pub mod delivery;
pub mod dispute;
pub mod division;
pub mod dossier;
pub mod fresh;
pub mod id;
pub mod key;
pub mod ledger;
pub mod log;
pub mod member;
pub mod message;
pub mod minutes;
pub mod mutants;
pub mod name;
pub mod office;
pub mod pairing;
pub mod policy;
pub mod profile;
pub mod proof;
pub mod recovery;
pub mod register;
pub mod roster;
pub mod statement;
pub mod status;
pub mod store;
pub mod trust_pack;
pub mod uscc;
