//! HTTP/2 (RFC 9113): what a library's own use of it never shows.

mod codes;
mod conformance;
mod dead;
mod early;
pub mod peer;
