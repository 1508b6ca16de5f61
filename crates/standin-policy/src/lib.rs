//! What may be asked of whom: compiled once, decided purely.
//!
//! Same facts, same verdict: no clock, no DNS, no files, no secrets. [`Policy`] answers two questions, about a
//! connection and about a request; [`catalogue`] knows the services and what they need.

pub mod catalogue;
mod policy;

pub use policy::{ConnectionVerdict, Grant, GrantId, Policy, PolicyBuilder, RequestFacts, RequestVerdict};
