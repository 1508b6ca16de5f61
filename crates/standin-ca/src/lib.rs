//! The session's certificate authority and what makes a sandbox trust it.
//!
//! The CA's key is made for one session, lives in memory only and is never written, so there is nothing to
//! install on the host and nothing to steal from it (THREATS 123). [`SessionCa`] mints leaves;
//! [`trust`] produces the files and variables by which every runtime inside accepts them.

mod authority;
mod jks;
pub mod trust;

pub use authority::{CaError, Protocols, SessionCa};
