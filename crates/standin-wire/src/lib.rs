//! Parsing and rewriting of what is on the wire, without a socket.
//!
//! * [`sniff`]: TLS, HTTP, SSH, PostgreSQL or neither, from the first bytes;
//! * [`socks`]: what a SOCKS5 client wants;
//! * [`path`]: one normal form of a request target, judged and sent alike;
//! * [`auth`]: where credentials stand in a request, and how one is exchanged for another;
//! * [`body`]: slots in forms and JSON documents, and what they say;
//! * [`coding`]: content codings, taken off a body while it streams;
//! * [`facts`]: what a request says beyond where it goes, for policy;
//! * [`git`]: what a push asks for;
//! * [`http2`]: what the other side of a connection allows in it, overheard;
//! * [`postgres`]: a client's first words, messages in a stream, a refusal;
//! * [`scrub`]: finding and replacing many values in many encodings, in a stream;
//! * [`ssh`]: git's commands over SSH, and a refusal before any keys are exchanged;
//! * [`terminal`]: what a command may send to the caller's terminal;
//! * [`websocket`]: frames in, frames out, with a filter between them.
//!
//! Everything here is a pure function of its input (or a state machine fed with chunks) and never panics on
//! bytes from a peer.

pub mod auth;
pub mod body;
pub mod coding;
mod encodings;
pub mod facts;
pub mod git;
pub mod http2;
pub mod path;
pub mod postgres;
pub mod scrub;
pub mod sniff;
pub mod socks;
pub mod ssh;
pub mod terminal;
pub mod websocket;
