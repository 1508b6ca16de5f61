//! PostgreSQL's authentication on both sides: [`server`] asks a client in the sandbox to prove that it knows its stand-in,
//! [`client`] proves at a server that we know the real password.
//!
//! Both work on any stream: who may be reached, TLS and what follows are the proxy's. What is read and written without a stream
//! is in `standin_wire::postgres`; the messages to servers are of `postgres-protocol`, and so is SCRAM towards them.
//! [ADR 12](../../../docs/adr/0012-postgresql-ends-at-the-proxy.md) has the reasons.

pub mod client;
pub mod scram;
pub mod server;

#[cfg(test)]
mod tests;
