//! What stops an exchange: a denial (a value, ours to give) or a fault (somebody's).

use standin_model::Denial;

/// Why a stage did not yield.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Policy or a check said no.
    Denied(Denial),
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
        Self::Fault(Fault { owner: Owner::Upstream, message, detail: chain(error) })
    }

    /// The origin said nothing for too long.
    pub(crate) fn silent(message: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Fault(Fault { owner: Owner::SilentUpstream, message, detail: chain(error) })
    }

    /// The client failed.
    pub(crate) fn downstream(message: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Fault(Fault { owner: Owner::Downstream, message, detail: chain(error) })
    }
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
