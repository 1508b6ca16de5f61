//! What a vector is: its number, how it is tried, and what counts as evidence that it worked.

use crate::scene::Scene;
use std::fmt;
use std::io;

/// One way out.
pub struct Vector {
    /// Its number in docs/threats.md.
    pub number: u16,
    /// What is done, in a line.
    pub name: &'static str,
    /// Which part of the catalogue it belongs to.
    pub group: Group,
    /// How it is tried.
    pub trial: Trial,
    /// Where we stand, as far as we know; the tests compare it with what is measured.
    pub standing: Standing,
}

/// The parts of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Getting packets past the policy.
    Packets,
    /// Getting data out through what is allowed.
    Channels,
    /// Files: stealing, persisting, escaping.
    Files,
    /// Processes, kernel, terminal, desktop.
    Kernel,
}

/// How a vector is tried.
#[derive(Clone, Copy)]
pub enum Trial {
    /// From inside, by this.
    Attempt(Evidence, Attempt),
    /// From outside: by how the sandbox is started, on which host, or by what comes out of it.
    Outside(Evidence),
    /// Not at all, for this reason.
    None(&'static str),
}

/// An attempt. It is given the scene and a mark that nobody else has; it gives what it got or did.
pub type Attempt = fn(&Scene, &str) -> Tried;

/// What an attempt says of itself.
pub type Tried = Result<String, Stop>;

/// A server of the rig's got the mark, behind whatever.
pub(crate) const SEEN: Evidence = Evidence::Arrived("");

/// What shows that an attempt worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A server of the rig's got the mark, behind this text.
    Arrived(&'static str),
    /// The attempt tells the secret that the rig hid for it, and that it cannot know otherwise.
    Got,
    /// A file of the host's (or what a link says), below the rig's directory, holds the mark.
    Left(&'static str),
    /// This file of the host's is still locked by a process of the sandbox's when the session is over.
    Alive(&'static str),
    /// The call that matters succeeded: the attempt's own word.
    Done,
}

/// Where we stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is held.
    Held,
    /// It is not, for this reason.
    Open(&'static str),
    /// It is not, for this reason, when the session is so.
    When(Condition, &'static str),
}

impl Standing {
    /// Why it is open in a session for which these conditions hold.
    pub fn open_when(self, holds: impl Fn(Condition) -> bool) -> Option<&'static str> {
        match self {
            Self::Open(why) => Some(why),
            Self::When(condition, why) if holds(condition) => Some(why),
            Self::When(..) | Self::Held => None,
        }
    }
}

/// What a session may be like, besides what the attempts find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The workspace is no copy (`--cow`).
    InPlace,
    /// A host is allowed by a wildcard.
    Wildcard,
    /// Connections go out through a parent proxy.
    ParentProxy,
    /// The command may make user namespaces (`--allow-nested`).
    Nested,
}

/// Why an attempt gave up.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// What was attacked refused.
    Refused(String),
    /// It did not come to the attack, so this says nothing.
    Untried(String),
}

/// Marks what an attack consists of: an error there is a refusal. Anywhere else (`?` alone) it says that nothing was
/// tried.
pub(crate) trait Attacked<T> {
    /// This call is the attack.
    fn attacked(self, what: &str) -> Result<T, Stop>;
}

impl<T, E: fmt::Display> Attacked<T> for Result<T, E> {
    fn attacked(self, what: &str) -> Result<T, Stop> {
        self.map_err(|error| Stop::Refused(format!("{what}: {error}")))
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Untried(error.to_string())
    }
}

impl From<rustix::io::Errno> for Stop {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// A row of the catalogue that is held.
pub(crate) const fn held(
    number: u16,
    group: Group,
    name: &'static str,
    evidence: Evidence,
    attempt: Attempt,
) -> Vector {
    Vector { number, name, group, trial: Trial::Attempt(evidence, attempt), standing: Standing::Held }
}

/// A row of the catalogue that is held, and is tried from outside.
pub(crate) const fn outside(number: u16, group: Group, name: &'static str, evidence: Evidence) -> Vector {
    Vector { number, name, group, trial: Trial::Outside(evidence), standing: Standing::Held }
}

/// A row of the catalogue that is not tried.
pub(crate) const fn untried(number: u16, group: Group, name: &'static str, reason: &'static str) -> Vector {
    Vector { number, name, group, trial: Trial::None(reason), standing: Standing::Held }
}

impl Group {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Channels => "channels",
            Self::Files => "files",
            Self::Kernel => "kernel",
        }
    }
}

impl Vector {
    /// What would show that it works, if it is tried.
    pub fn evidence(&self) -> Option<Evidence> {
        match self.trial {
            Trial::Attempt(evidence, _) | Trial::Outside(evidence) => Some(evidence),
            Trial::None(_) => None,
        }
    }

    /// Whether it is open only where the workspace is no copy.
    pub fn differs_in_a_copy(&self) -> bool {
        matches!(self.standing, Standing::When(Condition::InPlace, _))
    }

    /// Says that it is open, and why.
    pub(crate) const fn open(mut self, why: &'static str) -> Self {
        self.standing = Standing::Open(why);
        self
    }

    /// Says that it is open unless the workspace is a copy, and why.
    pub(crate) const fn open_in_place(self, why: &'static str) -> Self {
        self.open_when(Condition::InPlace, why)
    }

    /// Says that it is open in some sessions, and why.
    pub(crate) const fn open_when(mut self, condition: Condition, why: &'static str) -> Self {
        self.standing = Standing::When(condition, why);
        self
    }
}
