//! Tokens of others, read with nothing but what `yunling-protocol` offers: COSE examples, Claim
//! 169 identity tokens (the nearest neighbours of our proofs), European health certificates.

#[path = "vectors_foreign/claim169.rs"]
mod claim169;
#[path = "vectors_foreign/cose.rs"]
mod cose;
#[path = "vectors_foreign/health.rs"]
mod health;
#[path = "vectors_foreign/reader.rs"]
mod reader;
