//! Groups of what is dangerous to ask of a service, under names that mean the same at every service.

use std::fmt;

/// A group of operations. One operation may be in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DangerGroup {
    /// Creates, rotates or answers with a credential.
    Mint,
    /// Changes who may do what.
    Escalate,
    /// Answers with secrets that are kept there.
    SecretRead,
    /// Carries what it is given to where others can fetch it.
    Exfil,
    /// Makes public what was not.
    Public,
    /// Runs code on somebody's machine.
    Exec,
    /// Makes the vendor call an address of the caller's choice.
    ServerEgress,
    /// Moves money, or buys something.
    Spend,
    /// Deletes what cannot be brought back.
    Destroy,
}

/// A word that names no group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such group; they are {}", DangerGroup::names().join(", "))]
pub struct NoSuchGroup;

impl DangerGroup {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Mint,
        Self::Escalate,
        Self::SecretRead,
        Self::Exfil,
        Self::Public,
        Self::Exec,
        Self::ServerEgress,
        Self::Spend,
        Self::Destroy,
    ];

    /// The group of this name.
    pub fn parse(name: &str) -> Result<Self, NoSuchGroup> {
        Self::ALL.into_iter().find(|group| group.as_str() == name).ok_or(NoSuchGroup)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mint => "mint",
            Self::Escalate => "escalate",
            Self::SecretRead => "secret-read",
            Self::Exfil => "exfil",
            Self::Public => "public",
            Self::Exec => "exec",
            Self::ServerEgress => "server-egress",
            Self::Spend => "spend",
            Self::Destroy => "destroy",
        }
    }

    fn names() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::as_str).collect()
    }
}

impl fmt::Display for DangerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_a_name_of_its_own() {
        for group in DangerGroup::ALL {
            assert_eq!(DangerGroup::parse(group.as_str()), Ok(group));
        }
        for wrong in ["", "Mint", "minting", "secret_read"] {
            assert_eq!(DangerGroup::parse(wrong), Err(NoSuchGroup), "{wrong}");
        }
    }
}
