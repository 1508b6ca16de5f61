//! The data plane at the level of protocols, in one process: a scripted client, the proxy, a scripted origin.
//!
//! Tests read like packet traces: who sends what, and what the other side sees next. Every step waits for the one
//! before it, so no test depends on time. Every test ends with [`rig::World::finish`], which compares the whole audit
//! log and looks for the secret in its files.

#![allow(clippy::unwrap_used, reason = "in helpers too: whatever fails, the test has failed")]

mod astray;
mod bodies;
mod caps;
mod codings;
mod credentials;
mod facts;
mod framing;
mod graphql;
mod hangup;
mod http2;
mod identity;
mod informational;
mod ingress;
mod model;
mod parent;
mod partial;
mod publish;
mod replaced;
mod resolve;
mod rig;
mod scrub;
mod signed;
mod slots;
mod smuggling;
mod sources;
mod streaming;
mod tokens;
mod tripwire;
mod upstream;
mod websocket;
