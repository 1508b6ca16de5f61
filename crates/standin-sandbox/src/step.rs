//! The steps of the way in: what a failure is called, and what mends it.

use std::io;

/// One step. The text reads after "cannot".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Plan,
    Namespaces,
    Identity,
    GatewayNetwork,
    CaptureRules,
    SandboxNetwork,
    Mounts,
    Layer,
    Masks,
    Proc,
    Terminal,
    Landlock,
    Seccomp,
    Broker,
    Limits,
    Descriptors,
    Gate,
    Exec,
}

/// A step and what the system said to it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct StepError {
    pub(crate) step: Step,
    pub(crate) what: String,
    #[source]
    pub(crate) source: io::Error,
}

impl Step {
    /// What a failure of this step means.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Plan => "read the plan of the sandbox",
            Self::Namespaces => {
                "make the namespaces that the sandbox is built of (user, mount, pid, net, ipc, uts, cgroup)"
            }
            Self::Identity => "map the user into the sandbox",
            Self::GatewayNetwork => "set up the gateway's network namespace",
            Self::CaptureRules => "capture connections with nftables (kernel modules nf_tables and nft_tproxy)",
            Self::SandboxNetwork => "set up the sandbox's network (kernel module veth)",
            Self::Mounts => "set up the sandbox's files",
            Self::Layer => "lay a copy-on-write overlay over the workspace (kernel module overlay)",
            Self::Masks => "hide a file's secrets from the sandbox (it may have changed meanwhile; try again)",
            Self::Proc => "mount /proc in the sandbox; in a container its /proc must not be masked",
            Self::Terminal => "make a terminal in the sandbox",
            Self::Landlock => "restrict the command with Landlock (a kernel with CONFIG_SECURITY_LANDLOCK)",
            Self::Seccomp => "restrict the command's system calls with seccomp",
            Self::Broker => "start the broker of the workspace's files (seccomp's user notification)",
            Self::Limits => "begin in a control group of the command's own, which limits what it uses",
            Self::Descriptors => "close the caller's descriptors with close_range",
            Self::Gate => "run anything in this sandbox, which does not hold",
            Self::Exec => "run the command",
        }
    }

    /// For the wire between the sandbox's first process and ours.
    pub(crate) fn code(self) -> u8 {
        Self::ALL.iter().position(|step| *step == self).map_or(u8::MAX, |at| u8::try_from(at).unwrap_or(u8::MAX))
    }

    /// The inverse of [`Step::code`].
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    const ALL: &[Self] = &[
        Self::Plan,
        Self::Namespaces,
        Self::Identity,
        Self::GatewayNetwork,
        Self::CaptureRules,
        Self::SandboxNetwork,
        Self::Mounts,
        Self::Layer,
        Self::Masks,
        Self::Proc,
        Self::Terminal,
        Self::Landlock,
        Self::Seccomp,
        Self::Broker,
        Self::Limits,
        Self::Descriptors,
        Self::Gate,
        Self::Exec,
    ];
}

/// Says which step a system call belongs to.
pub(crate) trait At<T> {
    /// Names the step.
    fn at(self, step: Step) -> Result<T, StepError>;
    /// Names the step and the thing.
    fn at_thing(self, step: Step, thing: impl std::fmt::Display) -> Result<T, StepError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, StepError> {
        self.map_err(|source| StepError { step, what: String::new(), source: source.into() })
    }

    fn at_thing(self, step: Step, thing: impl std::fmt::Display) -> Result<T, StepError> {
        self.map_err(|source| StepError { step, what: thing.to_string(), source: source.into() })
    }
}
