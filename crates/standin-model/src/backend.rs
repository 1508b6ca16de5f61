//! What isolates the command.

/// A back-end: the same proxy, policy and records in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Backend {
    /// Namespaces of the kernel's, made by Standin.
    #[default]
    Native,
    /// The same, those of users and mounts made by bubblewrap.
    Bubblewrap,
    /// That, and in it gVisor's kernel, in which the command runs.
    Gvisor,
}

/// No back-end has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a back-end is `native`, `bwrap` or `gvisor`")]
pub struct UnknownBackend;

impl Backend {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Native, Self::Bubblewrap, Self::Gvisor];

    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self, UnknownBackend> {
        Self::ALL.into_iter().find(|backend| backend.as_str() == name).ok_or(UnknownBackend)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Bubblewrap => "bwrap",
            Self::Gvisor => "gvisor",
        }
    }

    /// The program that it needs, and the package of Debian's that has it.
    pub fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Native => None,
            Self::Bubblewrap => Some(("bwrap", "bubblewrap")),
            Self::Gvisor => Some(("runsc", "runsc")),
        }
    }
}
