//! What an attempt knows: which side it is on, its marks, and where the rig put things.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// On which side an attempt runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// As an ordinary process, where it must succeed.
    Bare,
    /// In the sandbox.
    Boxed,
    /// In the sandbox, on a copy of the workspace.
    Copied,
}

/// The scene of one arm. The agent gets it as an argument: it holds no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scene {
    /// Which side this is.
    pub arm: Arm,
    /// Makes this run's marks unlike any other's.
    pub seed: String,
    /// The rig's directory for this arm, on the host: `home`, `workspace`, `outside`, `run`.
    pub place: PathBuf,
    /// A process of the rig's that holds secrets.
    pub victim: i32,
    /// A descriptor that was left open for the agent: a file of `outside`.
    pub leaked: i32,
    /// What is tried, in this order.
    pub numbers: Vec<u16>,
}

impl Scene {
    /// The mark of a vector: letters and digits, short enough for a label of a name.
    pub fn mark(&self, number: u16) -> String {
        let arm = match self.arm {
            Arm::Bare => 'a',
            Arm::Boxed => 'b',
            Arm::Copied => 'c',
        };
        format!("mark{arm}{number:03}{}", self.seed)
    }

    /// A path of the host's below this arm's directory.
    pub fn host(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }
}
