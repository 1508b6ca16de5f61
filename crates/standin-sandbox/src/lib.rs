//! The native sandbox: Linux namespaces without root and without a helper.
//!
//! [`plan`] turns what is wanted into what is done (pure, snapshot-tested); [`launch`] does it. The way in is one
//! straight line, [`init`], whose comments say why each step precedes the next. The network is a namespace in
//! which every address is local and no process lives: its sockets are handed to the proxy outside.
//!
//! This is the one crate with `unsafe` that guards anything (`standin-attack` makes the calls that attacks are): every system call that rustix does not wrap is a small safe function in
//! [`sys`]. It knows no secret and no proxy.

pub mod backend;
mod broker;
mod confine;
mod control;
mod dns_socket;
mod door;
mod gate;
mod ground;
mod group;
pub mod host;
mod init;
mod launch;
mod layered;
mod lease;
mod limits;
mod masks;
mod mounts;
mod netlink;
mod network;
mod nft;
mod parcel;
pub mod plan;
pub mod private_network;
mod probe;
mod relay;
mod reports;
mod sockets;
mod standard;
mod step;
mod supervise;
mod sys;
pub mod terminal;
mod trees;

pub use control::MAX_LOCAL_PORTS;
pub use dns_socket::DnsSocket;
pub use door::Door;
pub use ground::{Ground, LocalPorts, Terminal};
pub use group::{Group, Toll};
pub use init::{INIT_ARGUMENT, init_main};
pub use launch::{Begun, LaunchError, Planned, Prepared, Process, Sandbox, Sockets, begin};
pub use lease::Lease;
pub use limits::{Held, Limits, Machine};
pub use masks::NOTE as HIDDEN_NOTE;
pub use plan::{Files, Identity, InlineFile, Layer, MaskedFile, Overlay, Plan, Spec, Watch};
pub use reports::{Refused, Reports};
pub use sockets::bound as bound_sockets;
