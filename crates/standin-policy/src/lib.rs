//! What may be asked of whom: compiled once, decided purely.
//!
//! Same facts, same verdict: no clock, no DNS, no files, no secrets. [`Policy`] answers four questions, about a
//! connection, about a request, about a command of git's over SSH, and about a client of PostgreSQL; [`catalogue`] knows the services and what they need;
//! [`lint`] says what is odd about rules.

pub mod catalogue;
pub mod lint;
mod policy;

pub use policy::{
    ConnectionVerdict, Considered, Difference, Does, GitFacts, GitId, GitLoan, GitVerdict, Grant, GrantId, Policy,
    PolicyBuilder, PostgresFacts, PostgresId, PostgresLoan, PostgresVerdict, RequestFacts, RequestVerdict,
};
