//! Tests run the unmodified product in a private network in which every address is local and the names of real
//! services lead to origins of ours. The `rig` program makes that network and runs a command in it.
//!
//! An origin answers as its service does and writes down what it saw; it holds no opinion on what should have come.

pub mod origin;

use serde::{Deserialize, Serialize};

/// One request, as an origin saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The name the connection was made for.
    pub host: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names (in lower case) and values of the header fields.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it is text.
    pub body: String,
}

impl Seen {
    /// A field's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
