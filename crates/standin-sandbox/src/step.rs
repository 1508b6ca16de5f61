//! The steps of the way in: what a failure is called, and what mends it.

use std::io;

/// One step. The text reads after "cannot".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Plan,
    Bubblewrap,
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
    Input,
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
            Self::Bubblewrap => "run bubblewrap",
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
            Self::Input => {
                "open the file that is standard input once more (`cat FILE | standin run …` needs no such thing)"
            }
            Self::Landlock => "restrict the command with Landlock (a kernel with CONFIG_SECURITY_LANDLOCK)",
            Self::Seccomp => "restrict the command's system calls with seccomp",
            Self::Broker => "start the broker of the workspace's files (seccomp's user notification)",
            Self::Limits => "begin in a control group of the command's own, which limits what it uses",
            Self::Descriptors => "close the caller's descriptors with close_range",
            Self::Gate => "run anything in this sandbox, which does not hold",
            Self::Exec => "run the command",
        }
    }

    fn code(self) -> u8 {
        Self::ALL.iter().position(|step| *step == self).map_or(u8::MAX, |at| u8::try_from(at).unwrap_or(u8::MAX))
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    const ALL: &[Self] = &[
        Self::Plan,
        Self::Bubblewrap,
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
        Self::Input,
        Self::Landlock,
        Self::Seccomp,
        Self::Broker,
        Self::Limits,
        Self::Descriptors,
        Self::Gate,
        Self::Exec,
    ];
}

impl StepError {
    /// A failure of a step that is about no thing.
    pub(crate) fn new(step: Step, source: io::Error) -> Self {
        Self { step, what: String::new(), source }
    }

    /// For the wire between two of our processes: the step, the system's number, and what else there is to say.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let number = self.source.raw_os_error();
        // Without a number of the system's the words are the error.
        let words = match (number, self.what.as_str()) {
            (Some(_), what) => what.to_owned(),
            (None, "") => self.source.to_string(),
            (None, what) => format!("{what}: {}", self.source),
        };
        [&[self.step.code()][..], &number.unwrap_or(0).to_le_bytes(), words.as_bytes()].concat()
    }

    /// The inverse of [`StepError::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [code, a, b, c, d, words @ ..] = bytes else { return None };
        let (step, words) = (Step::from_code(*code)?, String::from_utf8_lossy(words).into_owned());
        Some(match i32::from_le_bytes([*a, *b, *c, *d]) {
            0 => Self::new(step, io::Error::other(words)),
            number => Self { step, what: words, source: io::Error::from_raw_os_error(number) },
        })
    }
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
        self.map_err(|source| StepError::new(step, source.into()))
    }

    fn at_thing(self, step: Step, thing: impl std::fmt::Display) -> Result<T, StepError> {
        self.map_err(|source| StepError { step, what: thing.to_string(), source: source.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_as_it_is() {
        let told = |error: StepError| {
            let StepError { step, what, source } = StepError::from_bytes(&error.to_bytes()).unwrap();
            (step, what, source.raw_os_error(), source.to_string())
        };
        let number = io::Error::from_raw_os_error(libc::ENOENT);
        let expected = (Step::Mounts, "/a".to_owned(), Some(libc::ENOENT), number.to_string());
        assert_eq!(told(StepError { step: Step::Mounts, what: "/a".into(), source: number }), expected);
        let words = |what: &str| StepError { step: Step::Exec, what: what.into(), source: io::Error::other("why") };
        assert_eq!(told(words("")), (Step::Exec, String::new(), None, "why".to_owned()));
        assert_eq!(told(words("/a")), (Step::Exec, String::new(), None, "/a: why".to_owned()));
        assert!(StepError::from_bytes(&[u8::MAX, 0, 0, 0, 0]).is_none() && StepError::from_bytes(&[0]).is_none());
    }
}
