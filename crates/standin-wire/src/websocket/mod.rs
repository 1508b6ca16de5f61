//! WebSocket frames (RFC 6455) and their compression (RFC 7692), one direction at a time.
//!
//! [`Relay`] reads frames from one side, hands their clear payload to a [`Filter`], and writes frames for the other side:
//! with masks of its own towards an origin, compressed as that leg agreed. A message keeps its kind and its bounds, not
//! its fragments (RFC 6455 §5.4 lets intermediaries choose them), so it may change its length, and it is never gathered.
//! What breaks the protocol stops the relay ([`Stop`]); what is written until then is whole frames.

mod deflate;
mod frame;
mod relay;
mod utf8;

pub use deflate::{Agreed, NotOffered, OFFER, Offer};
pub use frame::{Masks, write_close};
pub use relay::{Compression, Filter, Progress, Relay};

use standin_model::Denial;

/// A side of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It opened the WebSocket, and masks its frames.
    Client,
    /// It was asked.
    Origin,
}

/// Why a WebSocket may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// With this code it is closed towards the side that is to blame (RFC 6455 §7.4.1).
    pub code: u16,
    /// Why.
    pub cause: Cause,
}

/// What stopped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The side that sent it broke the protocol.
    Broken(&'static str),
    /// The filter said no.
    Denied(Denial),
}

impl Stop {
    /// The filter says no.
    pub fn denied(code: u16, denial: Denial) -> Self {
        Self { code, cause: Cause::Denied(denial) }
    }

    fn protocol(what: &'static str) -> Self {
        Self { code: 1002, cause: Cause::Broken(what) }
    }

    fn not_utf8() -> Self {
        Self { code: 1007, cause: Cause::Broken("a text is not UTF-8") }
    }

    fn compression() -> Self {
        Self { code: 1007, cause: Cause::Broken("a compressed message cannot be read") }
    }
}

#[cfg(test)]
mod tests;
