//! What stops an exchange: a denial (a value, ours to give) or a fault (somebody's).

use h2::Reason;
use standin_model::Denial;

/// Why a stage did not yield.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Policy or a check said no.
    Denied(Denial),
    /// Something that is to be had from the host is not to be had.
    Unavailable {
        /// What the agent is told.
        told: Denial,
        /// What the operator is told: it may speak of the host.
        recorded: String,
    },
    /// Something broke.
    Fault(Fault),
}

/// Something broke, and this is whose it is.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Whose fault.
    pub(crate) owner: Owner,
    /// For the agent: one sentence without detail of the host.
    pub(crate) message: &'static str,
    /// For the operator: the chain of errors.
    pub(crate) detail: String,
    /// The code with which it reset its stream of HTTP/2, if that is what happened.
    pub(crate) reset: Option<Reason>,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The origin, or the way to it.
    Upstream,
    /// The origin, which was waited for in vain.
    SilentUpstream,
    /// The client in the sandbox.
    Downstream,
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl Refusal {
    /// The origin, or the way to it, failed.
    pub(crate) fn upstream(message: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::fault(Owner::Upstream, message, error)
    }

    /// The origin said nothing for too long.
    pub(crate) fn silent(message: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::fault(Owner::SilentUpstream, message, error)
    }

    /// The client failed.
    pub(crate) fn downstream(message: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::fault(Owner::Downstream, message, error)
    }

    /// The code with which an origin reset the stream, instead of answering.
    pub(crate) fn reset_by_origin(&self) -> Option<Reason> {
        match self {
            Self::Fault(Fault { owner: Owner::Upstream, reset, .. }) => *reset,
            _ => None,
        }
    }

    fn fault(owner: Owner, message: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Fault(Fault { owner, message, detail: chain(error), reset: reset_in(error) })
    }
}

/// The code of a stream that its other side has reset.
fn reset_in(error: &(dyn std::error::Error + 'static)) -> Option<Reason> {
    let mut sources = std::iter::successors(Some(error), |error| error.source());
    let found = sources.find_map(|error| error.downcast_ref::<h2::Error>())?;
    found.reason().filter(|_| found.is_reset() && found.is_remote())
}

/// An error and its sources on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
