//! Copy-on-write workspaces: where a session's changes are kept, what they are, and taking them over.
//!
//! A session that runs on a copy writes into an overlay's upper directory ([`store`]). [`changes`] compares that directory
//! with the host's workspace, [`diff`] shows the difference, and [`apply`] takes it over. All that is read here was written
//! by an agent: no link is followed ([`tree`]), no name or content reaches a terminal as it is ([`printable`]), and what
//! the host would run without being asked is told apart ([`attention`]).
//!
//! [`repository`] looks at a workspace as it is, for what the host's next git or editor would run.
//!
//! Nothing in here changes the upper directory, which may be mounted: what is left to do is always the difference between
//! it and the workspace as they are. So everything can be broken off and done again.

pub mod apply;
mod attention;
pub mod changes;
pub mod diff;
pub mod printable;
pub mod repository;
pub mod store;
mod tree;

pub use apply::{Applied, Apply, NotApplied};
pub use attention::Attention;
pub use changes::{Change, Changes, ChangesError, Conflict, Kind, Node, changes};
pub use store::{Session, Store, StoreError};
