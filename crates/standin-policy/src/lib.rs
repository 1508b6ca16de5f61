//! What may be asked of whom: compiled once, decided purely.
//!
//! Same facts, same verdict: no clock, no DNS, no files, no secrets. [`Policy`] answers three questions, about a
//! connection, about a request, and about a command of git's over SSH; [`catalogue`] knows the services and what they need.

pub mod catalogue;
mod policy;

pub use policy::{
    ConnectionVerdict, Considered, Difference, Does, GitFacts, GitId, GitLoan, GitVerdict, Grant, GrantId, Policy,
    PolicyBuilder, RequestFacts, RequestVerdict,
};
