//! The data plane: from an accepted connection to an audit record.
//!
//! Two phases, each one function that reads as a table of contents. [`connection::serve`] runs once per
//! connection: identify, authorize, resolve, intercept. [`request::serve`] runs once per request, whatever
//! protocol brought it: bind, authorize, inject, upstream, scrub, record. A check returns a proof (a type
//! with private fields), and the next stage takes that type, so a skipped stage does not compile.
//!
//! This crate knows no sandbox, no file, no environment variable and no secret store: it is handed sockets
//! and a [`Session`], and, where logins are lent, a [`TokenKeeper`]. Policy, injection, dialling and audit each have one call site per phase.
//!
//! Read next: `docs/life-of-a-request.md`, then [`connection`], then [`request`].

mod alarm;
mod connection;
mod dialect;
mod dns;
mod exchange;
mod fault;
mod flights;
mod gate;
mod in_force;
mod io;
mod keeper;
mod listener;
mod replace;
mod request;
mod respond;
mod session;
mod usage;
mod workers;

pub use alarm::AlarmParts;
pub use dns::FakeAddresses;
pub use gate::GateError;
pub use keeper::{Asked, Begun, KeeperError, Kept, Next, TokenKeeper, Turn};
pub use listener::{Doors, serve};
pub use replace::{ReplaceError, Replacement};
pub use session::{Ingress, Lent, Session, SessionParts};
pub use workers::Workers;
