//! WebSockets (RFC 6455), over HTTP/1.1 and in a stream of HTTP/2 (RFC 8441), frame by frame.

mod closing;
mod compression;
mod frames;
mod handshake;
mod holding;
mod opening;
mod peer;
mod replaced;
mod secrets;
mod streams;
