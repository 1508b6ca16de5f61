//! What a session's record starts with: what keeps it in, and what does not.

use serde::{Deserialize, Serialize};

/// Told before anything is run. The sandbox is made of all these layers, or nothing is run in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assurance {
    /// The kernel's release and the machine.
    pub kernel: String,
    /// What the sandbox is made of.
    pub layers: Vec<String>,
    /// Ways out that it leaves open, as far as they are known.
    pub open: Vec<OpenWay>,
}

/// A way out that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWay {
    /// Its number in docs/threats.md.
    pub number: u16,
    /// What is done.
    pub name: String,
    /// Why it is open.
    pub why: String,
}
