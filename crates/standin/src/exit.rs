//! How Standin ends: the exit codes, and the one place that prints an error.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | all went well |
//! | 1 | `demo`: something is not as it should be; `doctor`: `run` would refuse, or a way out is open; `log`: nothing is recorded; `diff`, `apply`, `discard`: no changes are kept; `apply`: something was left; `check-repo`: something was found; `secret rotate`: it is for you to do; `policy test`: an answer is not the one that is wanted; `policy lint`: a rule is odd; `reload`: a session did not take it, or none is running |
//! | 2 | the command line is not understood |
//! | 3 | `policy check`, `policy explain`: denied |
//! | 125 | Standin failed: configuration, sandbox, audit log |
//! | 127 | the command was not found |
//! | other | the sandboxed command's own code, or 128 and the signal that ended it |

use standin_workspace::printable;
use std::fmt;

/// All went well.
pub(crate) const SUCCESS: i32 = 0;
/// A check failed.
pub(crate) const CHECK_FAILED: i32 = 1;
/// The command line is not understood.
pub(crate) const USAGE: i32 = 2;
/// The policy says no.
pub(crate) const DENIED: i32 = 3;
/// Standin failed.
pub(crate) const FAILED: i32 = 125;
/// The command was not found.
pub(crate) const NOT_FOUND: i32 = 127;

/// What the user is told.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    code: i32,
}

impl Failure {
    /// Says what failed.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None, code: FAILED }
    }

    /// Says what failed and, with its sources, why.
    pub(crate) fn because(what: impl fmt::Display, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = format!("{what}: {error}");
        let mut next = error.source();
        while let Some(source) = next {
            message.push_str(": ");
            message.push_str(&source.to_string());
            next = source.source();
        }
        Self::new(message)
    }

    /// The output could not be written.
    #[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
    pub(crate) fn output(error: std::io::Error) -> Self {
        Self::because("cannot write the output", &error)
    }

    /// What the user is told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What would mend it.
    pub(crate) fn mend(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Adds what would mend it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Ends with another code than 125.
    #[must_use]
    pub(crate) fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }
}

/// Ends the process.
pub(crate) fn with(result: Result<i32, Failure>) -> ! {
    let code = match result {
        Ok(code) => code,
        Err(failure) => {
            say(&format!("error: {}", failure.message));
            if let Some(hint) = failure.hint {
                say(&format!("hint: {hint}"));
            }
            failure.code
        }
    };
    std::process::exit(code)
}

/// A line on stderr, or some. Where even that is closed, nobody can be told anything. An agent, or whoever made a repository, chose
/// names in it, which must not steer the terminal.
#[expect(clippy::print_stderr, reason = "the command line's one voice for people")]
pub(crate) fn say(text: &str) {
    let lines: Vec<_> = text.split('\n').map(|line| printable::line(line.as_bytes()).0).collect();
    eprintln!("standin: {}", lines.join("\n"));
}
